//! A registry that speaks HTTPS: whom it is trusted by, and under which name.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sealmark_oci::error::ConnectCause;
use sealmark_oci::manifest::OCI_MANIFEST;
use sealmark_oci::{Client, Error, Options};
use support::{Reply, Request, Server, options};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name)
}

/// A registry on this machine; `name` is that of its certificate file.
async fn registry(name: &str) -> (String, Arc<Mutex<Vec<Request>>>) {
    let certificate = CertificateDer::from_pem_file(file(&format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let log = Arc::new(Mutex::new(Vec::new()));
    let shared = log.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, log) = (acceptor.clone(), shared.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                support::connection(
                    stream,
                    Arc::new(|_| {
                        Box::pin(async {
                            Reply::new(200)
                                .with("content-type", OCI_MANIFEST)
                                .body("{\"schemaVersion\":2}")
                        })
                    }),
                    log,
                )
                .await;
            });
        }
    });
    (host, log)
}

async fn read(host: &str, options: Options) -> Result<(), Error> {
    let repository = format!("{host}/team/app").parse().unwrap();
    Client::new(options)
        .manifest(&repository, "v1")
        .await
        .map(|_| ())
}

#[tokio::test]
async fn the_authority_can_be_named() {
    let (host, log) = registry("server").await;
    let options = Options {
        cacert: Some(file("ca.pem")),
        ..options()
    };
    // Plain HTTP is tried first on this machine, and the registry shows that it expects HTTPS.
    read(&host, options).await.unwrap();
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_unknown_authority_is_told_as_that() {
    let (host, log) = registry("server").await;
    // An authority that did not sign it: nothing of the machine's own is needed for the test.
    let options = Options {
        cacert: Some(file("named.pem")),
        allow_http: false,
        ..options()
    };
    let url = format!("{host}/team/app");
    let error = Client::new(options)
        .manifest(&url.parse().unwrap(), "v1")
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
    let text = error.to_string();
    assert!(
        text.contains("certificate") && text.contains("--registry-cacert"),
        "{text}"
    );
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn any_certificate_if_the_user_says_so() {
    let (host, _) = registry("named").await;
    read(
        &host,
        Options {
            allow_insecure: true,
            ..options()
        },
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_name_needs_that_name() {
    let (host, log) = registry("named").await;
    let trusting = Options {
        cacert: Some(file("ca.pem")),
        ..options()
    };
    let error = read(&host, trusting.clone()).await.unwrap_err();
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
    let named = Options {
        server_name: Some("registry.example.com".to_owned()),
        ..trusting
    };
    read(&host, named).await.unwrap();
    let requests = log.lock().unwrap();
    assert_eq!(requests.last().unwrap().header("host"), Some(host.as_str()));
}

#[tokio::test]
async fn a_bad_certificate_file_is_told_with_its_flag() {
    let (host, _) = registry("server").await;
    let missing = Options {
        cacert: Some(file("none.pem")),
        ..options()
    };
    let error = read(&host, missing).await.unwrap_err().to_string();
    assert!(
        error.starts_with("--registry-cacert: cannot read"),
        "{error}"
    );
    let key_only = Options {
        client_key: Some(file("server.key")),
        ..options()
    };
    let error = read(&host, key_only).await.unwrap_err().to_string();
    assert!(error.contains("--registry-client-cert, too"), "{error}");
}

#[tokio::test]
async fn a_redirect_does_not_lead_out_of_tls() {
    let plain = Server::start(|_| Reply::new(200)).await;
    // On this machine it may, as test registries with a blob store need.
    let target = plain.url("/blob");
    let server = Server::start(move |_| Reply::new(307).with("location", &target)).await;
    let client = support::client();
    let _ = client
        .blob(
            &server.repository(),
            &sealmark_formats::Digest::sha256(b""),
            10,
        )
        .await;
    assert_eq!(plain.requests().len(), 1);
}
