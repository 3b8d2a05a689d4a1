//! The cache is shared with cosign.

mod support;

use sealmark_testkit::{Sandbox, require_or_skip};
use sealmark_trust::TrustedMaterial;
use sealmark_trust::tuf::Options;
use support::*;

#[tokio::test]
async fn what_cosign_initialised_is_used_without_a_network() {
    let cosign = require_or_skip!("cosign3");
    // cosign looks at the real clock.
    let never = "2099-01-01T00:00:00Z";
    let (root_key, online) = (key(), key());
    let root = RootSpec {
        version: 1,
        keys: &[&root_key],
        threshold: 1,
        online: &online,
        expires: never,
    }
    .signed_by(&[&root_key]);
    let files = Files::default();
    publish(&files, &online, 1, never);
    let server = Server::start(files);
    let sandbox = Sandbox::new();
    let root = sandbox.write("root.json", root);
    let cache = sandbox.join("cache");
    let command = sandbox.command(cosign).env("TUF_ROOT", &cache);
    let arguments = ["initialize", "--mirror", &server.url, "--root"];
    command.args(arguments).arg(&root).run().success();

    let environment = |name: &str| (name == "TUF_ROOT").then(|| cache.clone().into_os_string());
    let now = NOW.parse().unwrap();
    let options = Options::from_environment(environment, now).unwrap();
    assert_eq!(
        options.mirror, server.url,
        "cosign notes the mirror where we look for it"
    );
    server.asked.lock().unwrap().clear();
    let offline = Options {
        offline: true,
        ..options.clone()
    };
    let material = TrustedMaterial::from_tuf(&offline).await.unwrap();
    assert_eq!(material.trusted_root.tlogs.len(), 2);
    assert!(server.asked.lock().unwrap().is_empty());
    // And goes on from there.
    publish(&server.files, &online, 2, never);
    TrustedMaterial::from_tuf(&options).await.unwrap();
}
