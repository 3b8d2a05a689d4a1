//! Entries made of PEM files are those that cosign makes of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use sealmark_formats::TrustedRoot;
use sealmark_formats::trusted_root::TimeRange;
use sealmark_testkit::{Sandbox, require_or_skip};
use sealmark_trust::{EnvironmentFiles, TrustedMaterial, service};

/// Certificates and keys that openssl makes: a root, an intermediate of it, a timestamp signer, and keys.
const MAKE: &str = r#"
set -e
newkey() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.pem; }
issue() {
  newkey $1
  openssl req -new -key $1.pem -subj "$2" -out $1.csr
  printf '%b' "$3" > $1.cnf
  openssl x509 -req -in $1.csr -CA root.crt -CAkey root.pem -set_serial $4 -days 30 -extfile $1.cnf -out $1.crt
}
newkey root
openssl req -x509 -new -key root.pem -subj "/O=acme/CN=acme root" -days 60 -out root.crt
issue intermediate "/O=acme other/CN=acme intermediate" "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n" 2
issue tsa "/O=acme/CN=acme time" "keyUsage=digitalSignature\nextendedKeyUsage=critical,timeStamping\n" 3
cat intermediate.crt root.crt > fulcio.pem
cat tsa.crt root.crt > tsa.pem
for curve in P-256 P-384 P-521; do
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:$curve | openssl pkey -pubout -out $curve.pub
done
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkey -pubout -out other.pub
openssl genpkey -algorithm ed25519 | openssl pkey -pubout -out ed25519.pub
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 | openssl pkey -pubout -out rsa.pub
"#;

fn made() -> Option<tempfile::TempDir> {
    require_or_skip!("openssl", None);
    let directory = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", MAKE])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(directory)
}

fn range(start: Option<&str>, end: Option<&str>) -> TimeRange {
    TimeRange {
        start: start.map(|text| text.parse().unwrap()),
        end: end.map(|text| text.parse().unwrap()),
    }
}

fn read(directory: &Path, name: &str) -> Vec<u8> {
    std::fs::read(directory.join(name)).unwrap()
}

#[test]
fn cosign_makes_the_same_trusted_root_of_the_same_files() {
    let cosign = require_or_skip!("cosign3");
    let Some(directory) = made() else { return };
    let directory = directory.path();
    let start = "2024-01-01T00:00:00Z";
    let logs = [
        ("P-256.pub", "https://one", None, None),
        (
            "P-384.pub",
            "https://two/path",
            None,
            Some("2025-01-01T00:00:00.5Z"),
        ),
        ("P-521.pub", "https://three", None, None),
        ("rsa.pub", "https://four", None, None),
        ("ed25519.pub", "https://five", None, None),
        (
            "ed25519.pub",
            "https://six",
            Some("six.example/origin"),
            None,
        ),
        ("other.pub", "https://seven", Some("ignored"), None),
    ];
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(cosign);
    command = command.args(["trusted-root", "create"]);
    let mut expected = TrustedRoot::empty();
    for (key, url, origin, end) in logs {
        let path = directory.join(key);
        let mut flag = format!("url={url},public-key={},start-time={start}", path.display());
        for (name, value) in [("origin", origin), ("end-time", end)] {
            flag.extend(value.map(|value| format!(",{name}={value}")));
        }
        command = command.args(["--rekor", &flag]).args(["--ctfe", &flag]);
        let log = service::log(
            key,
            &read(directory, key),
            url,
            origin,
            range(Some(start), end),
        );
        expected.tlogs.push(log.unwrap());
    }
    expected.ctlogs.clone_from(&expected.tlogs);
    let fulcio = directory.join("fulcio.pem");
    let tsa = directory.join("tsa.pem");
    let ends = "2030-01-01T00:00:00Z";
    let finished = command
        .args([
            "--fulcio",
            &format!("url=https://ca,certificate-chain={}", fulcio.display()),
        ])
        .args([
            "--tsa",
            &format!(
                "url=https://tsa,certificate-chain={},end-time={ends}",
                tsa.display()
            ),
        ])
        .run()
        .success();
    let chain = service::chain("fulcio.pem", &read(directory, "fulcio.pem")).unwrap();
    let authority = service::certificate_authority("", &chain, "https://ca", TimeRange::ALWAYS);
    expected.certificate_authorities.push(authority.unwrap());
    let chain = service::chain("tsa.pem", &read(directory, "tsa.pem")).unwrap();
    let authority =
        service::timestamp_authority("", &chain, "https://tsa", range(None, Some(ends)));
    expected.timestamp_authorities.push(authority.unwrap());

    let mut cosigns = TrustedRoot::parse(finished.stdout().as_bytes()).unwrap();
    // Entries that begin at one time come in no certain order from cosign, which keeps one of each id.
    cosigns.tlogs.sort_by(|a, b| a.base_url.cmp(&b.base_url));
    cosigns.ctlogs.sort_by(|a, b| a.base_url.cmp(&b.base_url));
    expected.tlogs.sort_by(|a, b| a.base_url.cmp(&b.base_url));
    expected.ctlogs.sort_by(|a, b| a.base_url.cmp(&b.base_url));
    for (ours, theirs) in expected.tlogs.iter().zip(&cosigns.tlogs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(expected, cosigns);
}

#[test]
fn certificates_that_do_not_suit_are_refused_with_the_reason() {
    let Some(directory) = made() else { return };
    let directory = directory.path();
    let chain = |name: &str| service::chain(name, &read(directory, name)).unwrap();
    let mut swapped = chain("fulcio.pem");
    swapped.reverse();
    let ca = |chain: &[_]| service::certificate_authority("f", chain, "u", TimeRange::ALWAYS);
    let tsa = |chain: &[_]| service::timestamp_authority("f", chain, "u", TimeRange::ALWAYS);
    for (result, expected) in [
        (ca(&chain("tsa.pem")), "not the certificate of an authority"),
        (ca(&swapped), "did not issue it"),
        (ca(&[]), "no certificate"),
        (
            tsa(&chain("fulcio.pem")),
            "must be the one that signs timestamps",
        ),
    ] {
        let error = result.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let log = |name| service::log(name, &read(directory, name), "u", None, TimeRange::ALWAYS);
    log("root.crt").expect_err("a certificate is no key");
    service::chain("rsa.pub", &read(directory, "rsa.pub")).expect_err("a key is no certificate");
}

#[test]
fn variables_replace_parts_of_the_trusted_root() {
    let Some(directory) = made() else { return };
    let directory = directory.path();
    let keys = [read(directory, "P-256.pub"), read(directory, "ed25519.pub")].concat();
    std::fs::write(directory.join("keys.pub"), keys).unwrap();
    let variable = |name: &str| {
        let file = match name {
            "SIGSTORE_ROOT_FILE" => "fulcio.pem",
            "SIGSTORE_REKOR_PUBLIC_KEY" => "keys.pub",
            "SIGSTORE_TSA_CERTIFICATE_FILE" => "tsa.pem",
            _ => return None,
        };
        Some(directory.join(file).into_os_string())
    };
    let files = EnvironmentFiles::read(variable).unwrap();
    assert!(!files.is_empty() && !files.is_complete());
    let mut root = TrustedMaterial::embedded_public_good().trusted_root;
    let ctlogs = root.ctlogs.clone();
    files.apply(&mut root);
    assert_eq!(root.tlogs.len(), 2);
    assert_eq!(root.ctlogs, ctlogs, "no variable, no change");
    let chains: Vec<usize> = root
        .certificate_authorities
        .iter()
        .map(|a| a.cert_chain.len())
        .collect();
    assert_eq!(
        chains,
        [2, 1],
        "the intermediate with its root, and the root"
    );
    assert_eq!(root.timestamp_authorities[0].valid_for, TimeRange::ALWAYS);
    let wrong = |_: &str| Some(directory.join("absent").into_os_string());
    let error = EnvironmentFiles::read(wrong).unwrap_err();
    assert!(
        error.to_string().contains("absent (from") || error.to_string().contains("absent"),
        "{error}"
    );
    // A trusted root in a file.
    let file = directory.join("trusted_root.json");
    std::fs::write(&file, root.to_json()).unwrap();
    assert_eq!(
        TrustedMaterial::from_file(&file).unwrap().trusted_root,
        root
    );
}
