//! The same with a real registry: docker's, which has no referrers API and ignores conditions on tags.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sealmark_formats::Digest;
use sealmark_oci::error::ConnectCause;
use sealmark_oci::manifest::{ImageManifest, OCI_MANIFEST, empty_config};
use sealmark_oci::{
    BundleAttachment, Client, Descriptor, Error, Options, ReferrersSource, Repository, Source,
    Want, gather, tree,
};
use support::options;

struct Registry {
    child: Child,
    host: String,
    _dir: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    /// `None`, after saying so, if the program is not installed.
    async fn start(extra: &str) -> Option<Self> {
        let Some(program) = sealmark_testkit::Peer::find("docker-registry") else {
            sealmark_testkit::skip("docker-registry");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let host = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  \
             delete: {{enabled: true}}\nhttp:\n  addr: {host}\n{extra}",
            dir.path().join("data").display()
        );
        std::fs::write(dir.path().join("config.yml"), config).unwrap();
        #[expect(
            clippy::zombie_processes,
            reason = "waited for on drop, and a panic ends the test"
        )]
        let child = Command::new(program)
            .arg("serve")
            .arg(dir.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if std::net::TcpStream::connect(&host).is_ok() {
                return Some(Self {
                    child,
                    host,
                    _dir: dir,
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("docker-registry does not listen");
    }

    fn repository(&self) -> Repository {
        format!("{}/team/app", self.host).parse().unwrap()
    }
}

fn patient() -> Options {
    Options {
        timeout: Duration::from_secs(20),
        ..options()
    }
}

fn attachment(n: usize) -> BundleAttachment {
    BundleAttachment {
        json: format!("{{\"n\":{n}}}").into(),
        media_type: "application/vnd.dev.sigstore.bundle.v0.3+json".to_owned(),
        annotations: BTreeMap::new(),
    }
}

async fn push_image(client: &Client, repository: &Repository) -> Descriptor {
    client.push_blob(repository, "{}".into()).await.unwrap();
    let image = ImageManifest {
        schema_version: 2,
        media_type: Some(OCI_MANIFEST.to_owned()),
        config: empty_config(),
        layers: vec![empty_config()],
        annotations: BTreeMap::new(),
        subject: None,
        artifact_type: None,
    };
    let bytes = image.to_json().into();
    client
        .push_manifest(repository, Some("v1"), OCI_MANIFEST, bytes)
        .await
        .unwrap();
    client
        .resolve(&format!("{repository}:v1").parse().unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_signers_lose_nothing_in_dockers_registry() {
    let Some(registry) = Registry::start("").await else {
        return;
    };
    let repository = registry.repository();
    let image = push_image(&Client::new(patient()), &repository).await;
    let signers = (0..12).map(|n| {
        let (repository, image) = (repository.clone(), image.clone());
        tokio::spawn(async move {
            Client::new(patient())
                .attach_bundle(&repository, &image, attachment(n))
                .await
                .unwrap()
        })
    });
    for signer in futures_util::future::join_all(signers).await {
        assert_eq!(signer.unwrap().via, ReferrersSource::FallbackIndex);
    }
    let client = Client::new(patient());
    let found = client
        .referrers(&repository, &image.digest, None)
        .await
        .unwrap();
    assert_eq!(found.descriptors.len(), 12);
    let source = Source::Registry {
        client: client.clone(),
        repository: repository.clone(),
    };
    assert_eq!(
        gather(&source, &image.digest, Want::ALL)
            .await
            .unwrap()
            .len(),
        12
    );
    assert_eq!(
        tree::list(&source, &image.digest, true)
            .await
            .unwrap()
            .attachments
            .len(),
        12
    );

    // Large blobs, both ways, and cleaning up.
    let big = bytes::Bytes::from(vec![1; 20 << 20]);
    let digest = client.push_blob(&repository, big.clone()).await.unwrap();
    let mut copy = Vec::new();
    client
        .blob_to(&repository, &Descriptor::of("a/b", &big), &mut copy)
        .await
        .unwrap();
    assert_eq!(Digest::sha256(&copy), digest);
    let other: Repository = format!("{}/other", registry.host).parse().unwrap();
    assert!(
        client
            .mount_blob(&repository, &other, &digest)
            .await
            .unwrap()
    );
    client
        .delete_manifest(&repository, &image.digest)
        .await
        .unwrap();
    let gone: sealmark_oci::Reference = format!("{repository}:v1").parse().unwrap();
    assert!(client.resolve(&gone).await.unwrap_err().is_not_found());
}

/// `htpasswd -nbB robot hunter2`
const HTPASSWD: &str = "robot:$2y$05$3zR9WJEvs2kWYGdce0UHIeAOUgQKO2TlB6bkl2ha6ZMxm9lp.ECVu\n";

fn tls(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name)
}

#[tokio::test]
async fn a_private_registry_with_tls_asks_who_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let htpasswd = dir.path().join("htpasswd");
    std::fs::write(&htpasswd, HTPASSWD).unwrap();
    let extra = format!(
        "  tls: {{certificate: {}, key: {}}}\nauth:\n  htpasswd: {{realm: test, path: {}}}\n",
        tls("server.pem").display(),
        tls("server.key").display(),
        htpasswd.display()
    );
    let Some(registry) = Registry::start(&extra).await else {
        return;
    };
    let repository = registry.repository();
    let trusting = Options {
        cacert: Some(tls("ca.pem")),
        ..patient()
    };
    let login = |password: &str| Options {
        username: Some("robot".to_owned()),
        password: Some(password.into()),
        ..trusting.clone()
    };
    let client = Client::new(login("hunter2"));
    client.check_login(&registry.host).await.unwrap();
    let image = push_image(&client, &repository).await;
    client
        .attach_bundle(&repository, &image, attachment(1))
        .await
        .unwrap();

    let reference = format!("{repository}:v1").parse().unwrap();
    for options in [login("wrong"), trusting.clone()] {
        let error = Client::new(options).resolve(&reference).await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
        assert!(error.to_string().contains("sealmark login"), "{error}");
    }
    let distrusting = Options {
        cacert: Some(tls("named.pem")),
        ..patient()
    };
    let error = Client::new(distrusting)
        .resolve(&reference)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Connect {
                cause: ConnectCause::Tls,
                ..
            }
        ),
        "{error:?}"
    );
}
