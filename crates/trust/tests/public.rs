//! The public instance, as it is embedded.

mod support;

use sealmark_trust::tuf::{Options, PUBLIC_MIRROR};
use sealmark_trust::{EnvironmentFiles, TrustedMaterial};

#[test]
fn the_embedded_documents_are_read() {
    let public = TrustedMaterial::embedded_public_good();
    assert_eq!(public.trusted_root.certificate_authorities.len(), 2);
    assert!(public.signing_config.is_some() && public.signing_config_rekor_v2.is_some());
}

#[test]
fn without_a_word_the_public_repository_is_meant() {
    let cache = tempfile::tempdir().unwrap();
    let home = cache.path().as_os_str().to_owned();
    let environment = |name: &str| (name == "HOME").then(|| home.clone());
    let options = Options::from_environment(environment, support::NOW.parse().unwrap()).unwrap();
    assert_eq!(options.mirror, PUBLIC_MIRROR);
    assert_eq!(options.cache, cache.path().join(".sigstore/root"));
    let nothing = EnvironmentFiles::read(|_| None).unwrap();
    assert!(nothing.is_empty() && !nothing.is_complete());
    assert!(!options.is_initialised().unwrap());
    std::fs::create_dir_all(&options.cache).unwrap();
    std::fs::write(
        options.cache.join("remote.json"),
        r#"{"mirror":"https://tuf.example"}"#,
    )
    .unwrap();
    let options = Options::from_environment(environment, support::NOW.parse().unwrap()).unwrap();
    assert_eq!(options.mirror, "https://tuf.example");
    assert!(options.is_initialised().unwrap());
}
