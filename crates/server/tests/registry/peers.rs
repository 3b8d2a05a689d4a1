//! Other people's clients, where they are installed in `.peers/bin` (or in `SEALMARK_PEERS`).

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sealmark_server::registry::Options;
use serde_json::Value;
use tokio::process::Command;

use crate::service::Service;

fn peer(name: &str) -> Option<PathBuf> {
    let path = sealmark_testkit::Peer::find(name);
    if path.is_none() {
        sealmark_testkit::skip(name);
    }
    path
}

/// Runs a client in a home of its own and returns what it printed.
async fn run(program: &Path, home: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(home)
        .env("HOME", home)
        .env("DOCKER_CONFIG", home);
    command.env("COSIGN_PASSWORD", "").stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    text
}

#[tokio::test]
async fn oras_pushes_attaches_discovers_pulls_copies_and_deletes() {
    let Some(oras) = peer("oras") else { return };
    let service = Service::start().await;
    let home = tempfile::tempdir().unwrap();
    let oras = |arguments: Vec<String>| {
        let (oras, home) = (oras.clone(), home.path().to_owned());
        async move {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            run(&oras, &home, &arguments).await
        }
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let host = service.address;
    std::fs::write(home.path().join("hello.txt"), "hello").unwrap();
    std::fs::write(home.path().join("sbom.json"), "{\"sbom\":true}").unwrap();
    oras(words(&format!(
        "push --plain-http {host}/a/b:v1 hello.txt:text/plain"
    )))
    .await;
    oras(words(&format!(
        "attach --plain-http --artifact-type application/spdx+json {host}/a/b:v1 sbom.json"
    )))
    .await;
    oras(words(&format!(
        "attach --plain-http --artifact-type application/other {host}/a/b:v1 sbom.json"
    )))
    .await;
    let found = oras(words(&format!(
        "discover --plain-http --format json --artifact-type application/spdx+json {host}/a/b:v1"
    )));
    let found: Value = serde_json::from_str(&found.await).unwrap();
    assert_eq!(found["referrers"].as_array().unwrap().len(), 1, "{found}");
    oras(words(&format!("tag --plain-http {host}/a/b:v1 v2 v3"))).await;
    assert_eq!(
        oras(words(&format!("repo tags --plain-http {host}/a/b"))).await,
        "v1\nv2\nv3\n"
    );
    oras(words(&format!(
        "cp -r --from-plain-http --to-plain-http {host}/a/b:v1 {host}/copy:v1"
    )))
    .await;
    let found = oras(words(&format!(
        "discover --plain-http --format json {host}/copy:v1"
    )))
    .await;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["referrers"].as_array().unwrap().len(), 2, "{found}");
    oras(words(&format!("pull --plain-http -o out {host}/copy:v1"))).await;
    assert_eq!(
        std::fs::read_to_string(home.path().join("out/hello.txt")).unwrap(),
        "hello"
    );
    oras(words(&format!(
        "manifest delete --plain-http -f {host}/a/b:v1"
    )))
    .await;
    assert_eq!(
        service.client.get("/v2/a/b/manifests/v2").await.status,
        404,
        "the manifest took its tags along"
    );
}

#[tokio::test]
async fn skopeo_copies_to_a_layout_and_back_lists_and_deletes() {
    let Some(skopeo) = peer("skopeo") else { return };
    let service = Service::start().await;
    let home = tempfile::tempdir().unwrap();
    // No policy of the machine's owner, whatever it is.
    std::fs::write(
        home.path().join("policy.json"),
        r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
    )
    .unwrap();
    let skopeo = |arguments: String| {
        let (skopeo, home) = (skopeo.clone(), home.path().to_owned());
        async move {
            let arguments: Vec<_> = ["--policy", "policy.json"]
                .into_iter()
                .chain(arguments.split(' '))
                .collect();
            run(&skopeo, &home, &arguments).await
        }
    };
    let host = service.address;
    let (manifest, digest) = service.client.push_image("a/b", "v1", b"layer").await;
    skopeo(format!(
        "copy --preserve-digests --src-tls-verify=false docker://{host}/a/b:v1 oci:layout:v1"
    ))
    .await;
    skopeo(format!(
        "copy --preserve-digests --dest-tls-verify=false oci:layout:v1 docker://{host}/c:v1"
    ))
    .await;
    let raw = skopeo(format!(
        "inspect --raw --tls-verify=false docker://{host}/c@{digest}"
    ))
    .await;
    assert_eq!(raw, manifest.to_string());
    let listed = skopeo(format!("list-tags --tls-verify=false docker://{host}/c")).await;
    assert_eq!(
        serde_json::from_str::<Value>(&listed).unwrap()["Tags"],
        serde_json::json!(["v1"])
    );
    skopeo(format!("delete --tls-verify=false docker://{host}/c:v1")).await;
    assert_eq!(
        service
            .client
            .get(&format!("/v2/c/manifests/{digest}"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn cosign_signs_with_and_without_the_referrers_api() {
    let Some(cosign) = peer("cosign3") else {
        return;
    };
    for referrers in [true, false] {
        let service = Service::start_with(Options {
            referrers,
            ..Options::default()
        })
        .await;
        let home = tempfile::tempdir().unwrap();
        let (_, digest) = service.client.push_image("a/b", "v1", b"layer").await;
        let image = format!("{}/a/b@{digest}", service.address);
        run(&cosign, home.path(), &["generate-key-pair"]).await;
        let sign = "sign --yes --tlog-upload=false --use-signing-config=false --allow-http-registry --key cosign.key";
        let verify = "verify --insecure-ignore-tlog --allow-http-registry --key cosign.pub";
        for command in [sign, verify] {
            let arguments: Vec<_> = command.split(' ').chain([image.as_str()]).collect();
            run(&cosign, home.path(), &arguments).await;
        }
        let fallback = service
            .client
            .get(&format!(
                "/v2/a/b/manifests/{}",
                digest.to_string().replace(':', "-")
            ))
            .await;
        assert_eq!(
            fallback.status,
            if referrers { 404 } else { 200 },
            "the index that stands in for the API"
        );
    }
}
