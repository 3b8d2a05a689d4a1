//! A registry that fails in every way it can, and what the user is told.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sealmark_formats::Digest;
use sealmark_oci::error::ConnectCause;
use sealmark_oci::manifest::{OCI_INDEX, OCI_MANIFEST, bundle_manifest};
use sealmark_oci::{Client, Descriptor, Error, Index, Options, Reference, Source, Want, gather};
use support::registry::{self, Quirks, State};
use support::{Reply, Server, client, options};

fn reference(server: &Server) -> Reference {
    format!("{}/team/app:v1", server.host()).parse().unwrap()
}

async fn refusal(handler: impl Fn(&support::Request) -> Reply + Send + Sync + 'static) -> Error {
    let server = Server::start(handler).await;
    client().resolve(&reference(&server)).await.unwrap_err()
}

#[tokio::test]
async fn a_registry_that_is_down() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client()
        .resolve(&format!("{address}/a:v1").parse().unwrap())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Connect {
                cause: ConnectCause::Refused,
                ..
            }
        ),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains(&address.to_string()) && text.contains("is the registry running"),
        "{text}"
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve() {
    let reference = "registry.invalid/a:v1".parse().unwrap();
    let patient = Client::new(Options {
        timeout: Duration::from_secs(10),
        ..options()
    });
    let error = patient.resolve(&reference).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Connect {
                cause: ConnectCause::Dns,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("registry.invalid"), "{error}");
}

#[tokio::test]
async fn a_registry_that_never_answers() {
    let started = Instant::now();
    let error = refusal(|_| Reply::Hang).await;
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(
        error.to_string().contains("no answer from 127.0.0.1:"),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("0.4 s while waiting for the first byte"),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn what_a_status_means_is_told_with_the_registrys_words() {
    type Check = fn(&Error) -> bool;
    let cases: [(Reply, Check, &str); 8] = [
        (
            Reply::error(404, "MANIFEST_UNKNOWN", "no v1"),
            |e| {
                matches!(
                    e,
                    Error::NotFound {
                        repository_unknown: false,
                        ..
                    }
                )
            },
            "not found: 127.0.0.1:PORT/team/app:v1 (MANIFEST_UNKNOWN: no v1)",
        ),
        (
            Reply::error(404, "NAME_UNKNOWN", ""),
            |e| {
                matches!(
                    e,
                    Error::NotFound {
                        repository_unknown: true,
                        ..
                    }
                )
            },
            "repository not found: 127.0.0.1:PORT/team/app:v1 (NAME_UNKNOWN)",
        ),
        (
            Reply::error(403, "DENIED", "not yours"),
            |e| matches!(e, Error::Forbidden { .. }),
            "denies access (DENIED: not yours)",
        ),
        (
            Reply::error(401, "UNAUTHORIZED", "who?"),
            |e| matches!(e, Error::Unauthorized { .. }),
            "`sealmark login 127.0.0.1:PORT`",
        ),
        (
            Reply::json(500, "{\"message\":\"disk\\u001b[2Jfull\"}"),
            |e| matches!(e, Error::Server { status: 500, .. }),
            "failed with status 500 (disk [2Jfull)",
        ),
        (
            Reply::error(418, "X", &"long ".repeat(1000)),
            |e| matches!(e, Error::Rejected { status: 418, .. }) && e.to_string().len() < 500,
            "refused with status 418",
        ),
        (
            Reply::new(404)
                .with("content-type", "text/html")
                .body("<html>Not here</html>"),
            |e| matches!(e, Error::NotRegistry { .. }),
            "got \"text/html\" starting \"<html>Not here</html>\"",
        ),
        (
            Reply::new(200)
                .with("content-type", "text/html")
                .body("<html>Please log in"),
            |e| matches!(e, Error::NotRegistry { .. }),
            "is there a proxy or login page in between?",
        ),
    ];
    for (reply, check, text) in cases {
        let server = Server::start(move |_| reply.clone()).await;
        let error = client().resolve(&reference(&server)).await.unwrap_err();
        assert!(check(&error), "{error:?}");
        let port = server.address.port().to_string();
        let told = error.to_string().replace(&port, "PORT");
        assert!(told.contains(text), "{told}");
    }
}

#[tokio::test]
async fn too_many_requests_are_repeated_as_the_registry_asks() {
    for header in [Some("0"), None] {
        let left = AtomicUsize::new(2);
        let server = Server::start(move |_| {
            if left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok()
            {
                let reply = Reply::error(429, "TOOMANYREQUESTS", "slow down");
                return match header {
                    Some(wait) => reply.with("retry-after", wait),
                    None => reply,
                };
            }
            let body = br#"{"schemaVersion":2}"#;
            Reply::new(200)
                .with("content-type", OCI_MANIFEST)
                .with("docker-content-digest", Digest::sha256(body))
                .body(&body[..])
        })
        .await;
        client().resolve(&reference(&server)).await.unwrap();
        assert_eq!(server.requests().len(), 3);
    }
}

#[tokio::test]
async fn a_rate_limit_that_lasts_is_told_and_not_waited_for() {
    let started = Instant::now();
    let error = refusal(|_| Reply::error(429, "X", "y").with("retry-after", 3600)).await;
    assert!(
        matches!(error, Error::RateLimited { tries: 1, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("asks to wait 3600 s"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(2));
    // Also when it is given as a date.
    let later = "Fri, 01 Jan 2100 00:00:00 GMT";
    let error = refusal(move |_| Reply::error(429, "X", "y").with("retry-after", later)).await;
    assert!(
        matches!(
            error,
            Error::RateLimited {
                retry_after: Some(_),
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_rate_limit_is_never_no_signatures() {
    for status in [401, 403, 429, 500] {
        let server = Server::start(move |request| {
            if request.path.contains("/referrers/") {
                return Reply::error(status, "X", "y").with("retry-after", 3600);
            }
            Reply::error(404, "MANIFEST_UNKNOWN", "none")
        })
        .await;
        let source = Source::Registry {
            client: client(),
            repository: server.repository(),
        };
        let error = gather(&source, &Digest::sha256(b"x"), Want::ALL)
            .await
            .unwrap_err();
        assert!(!error.is_not_found(), "{status}: {error}");
        assert!(
            error.to_string().contains("listing the referrers"),
            "{status}: {error}"
        );
    }
}

/// A registry that has two bundles, one of them with a lie about the other's blob, and answers `fault` at a path.
async fn gathered_with(fault: Reply, at: String, referrers_api: bool) -> Result<usize, Error> {
    let subject = Descriptor::of(OCI_MANIFEST, b"image");
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let quirks = Quirks {
        no_referrers: !referrers_api,
        ..Quirks::default()
    };
    let mut state = State::default();
    state.put_blob(b"{}");
    let mut listed = Vec::new();
    for size in [2, 127 << 20] {
        let layer = Descriptor::new(kind, Digest::sha256(b"{}"), size);
        let manifest = bundle_manifest(&subject, layer, BTreeMap::new()).to_json();
        state.put(None, OCI_MANIFEST, &manifest);
        listed.push(Descriptor::of(OCI_MANIFEST, &manifest));
    }
    let tag = format!("sha256-{}", subject.digest.hex());
    state.put(Some(&tag), OCI_INDEX, &Index::of(listed).to_json());
    let state = Mutex::new(state);
    let server = Server::start(move |request| {
        if request.path.contains(&at) {
            return fault.clone();
        }
        registry::answer(&mut state.lock().unwrap(), &quirks, request)
    })
    .await;
    let source = Source::Registry {
        client: client(),
        repository: server.repository(),
    };
    let evidence = gather(&source, &subject.digest, Want::ALL).await?;
    Ok(evidence.len())
}

#[tokio::test]
async fn a_fault_of_the_registry_is_no_fault_of_an_attachment() {
    let faults = || {
        [
            Reply::error(401, "UNAUTHORIZED", "who"),
            Reply::error(403, "DENIED", "no"),
            Reply::error(429, "TOOMANYREQUESTS", "slowly").with("retry-after", 3600),
            Reply::new(502),
            Reply::new(200)
                .with("content-length", 2)
                .with("content-type", "text/html"),
            Reply::Close,
            Reply::Hang,
        ]
    };
    let tag = format!("/manifests/sha256-{}", Digest::sha256(b"image").hex());
    for (at, referrers_api) in [
        ("/blobs/", true),
        ("/blobs/", false),
        ("/manifests/sha256:", true),
        (&*tag, false),
    ] {
        let nowhere = Reply::error(404, "UNKNOWN", "");
        let found = gathered_with(nowhere, "/no-such-path".to_owned(), referrers_api).await;
        assert_eq!(found.unwrap(), 2, "{at}");
        let results = faults().map(async |fault| {
            let told = format!("{at}: {fault:?}");
            (
                told,
                gathered_with(fault, at.to_owned(), referrers_api).await,
            )
        });
        for (told, result) in futures_util::future::join_all(results).await {
            let error = result.expect_err(&told);
            assert!(!error.is_not_found(), "{told}: {error}");
            let excused = matches!(error, Error::NotReferrers { .. });
            assert!(!excused, "{told}: {error}");
        }
    }
    // A login page in the place of the list is none.
    let page = Reply::new(200)
        .with("content-type", "text/html")
        .body("<html>");
    let error = gathered_with(page, tag, false).await.unwrap_err();
    assert!(matches!(error, Error::NotRegistry { .. }), "{error:?}");
    // That it does not know one thing, or the algorithm of its digest, is about this thing.
    for status in [400, 404] {
        let fault = Reply::error(status, "UNSUPPORTED", "no");
        let found = gathered_with(fault, "/blobs/".to_owned(), true).await;
        assert_eq!(found.unwrap(), 2, "{status}");
    }
}

#[tokio::test]
async fn a_server_error_that_passes_is_repeated_and_others_are_not() {
    for (status, requests) in [(503, 4), (500, 1), (404, 1), (409, 1)] {
        let options = Options {
            retries: 3,
            ..options()
        };
        let server = Server::start(move |_| Reply::new(status).with("retry-after", 0)).await;
        let error = Client::new(options)
            .manifest(&server.repository(), "v1")
            .await
            .unwrap_err();
        assert_eq!(server.requests().len(), requests, "{status}: {error}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_repeated() {
    let first = AtomicUsize::new(0);
    let body = br#"{"schemaVersion":2}"#;
    let server = Server::start(move |_| match first.fetch_add(1, Ordering::SeqCst) {
        // The first answer tells that the host speaks plain HTTP.
        1 => Reply::Close,
        _ => Reply::new(200)
            .with("content-type", OCI_MANIFEST)
            .body(&body[..]),
    })
    .await;
    let client = client();
    client.manifest(&server.repository(), "v1").await.unwrap();
    client.manifest(&server.repository(), "v1").await.unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_manifest_of_another_digest_is_refused() {
    let body = br#"{"schemaVersion":2}"#;
    let asked = Digest::sha256(b"something else");
    let server = Server::start(|_| Reply::new(200).body(&body[..])).await;
    let error = client()
        .manifest(&server.repository(), &asked.to_string())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::DigestMismatch { expected, found, .. }
            if *expected == asked && *found == Digest::sha256(body)),
        "{error:?}"
    );
    // By tag, the registry's own word is held against it.
    let lie = asked.clone();
    let server = Server::start(move |_| {
        Reply::new(200)
            .with("docker-content-digest", &lie)
            .body(&body[..])
    })
    .await;
    let error = client()
        .manifest(&server.repository(), "v1")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    // And a blob.
    let error = client()
        .blob(&server.repository(), &asked, 1000)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    let mut sink = Vec::new();
    let descriptor = Descriptor::new("a/b", asked, 1000);
    let error = client()
        .blob_to(&server.repository(), &descriptor, &mut sink)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
}

#[tokio::test]
async fn an_endless_body_is_cut() {
    let server = Server::start(|_| Reply::Endless).await;
    let error = client()
        .manifest(&server.repository(), "v1")
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                limit: 4_194_304,
                ..
            }
        ),
        "{error:?}"
    );
    let digest = Digest::sha256(b"");
    let error = client()
        .blob(&server.repository(), &digest, 10)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 10, .. }),
        "{error:?}"
    );
    // Nor does an endless error keep anyone.
    let error = client()
        .push_blob(&server.repository(), "x".into())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotRegistry { .. }), "{error:?}");
}

#[tokio::test]
async fn a_slow_drip_ends() {
    let started = Instant::now();
    let server = Server::start(|_| Reply::Drip).await;
    let options = Options {
        timeout: Duration::from_millis(150),
        ..options()
    };
    let error = Client::new(options)
        .manifest(&server.repository(), "v1")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(error.to_string().contains("too slowly"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_redirect_to_a_blob_store_takes_no_credentials_along() {
    let blob = b"the blob";
    let store = Server::start(move |request| {
        // As S3 does.
        if request.header("authorization").is_some() {
            return Reply::error(400, "InvalidArgument", "Only one auth mechanism allowed");
        }
        Reply::new(200).body(&blob[..])
    })
    .await;
    let location = store.url("/bucket/x?X-Amz-Signature=abc");
    let server = Server::start(move |request| match request.header("authorization") {
        None => Reply::new(401).with("www-authenticate", "Basic realm=x"),
        Some(_) if request.path.contains("/first") => Reply::new(500),
        Some(_) => Reply::new(307).with("location", &location),
    })
    .await;
    let shown = std::sync::Arc::new(Mutex::new(Vec::new()));
    let log = shown.clone();
    let client = Client::new(Options {
        username: Some("u".to_owned()),
        password: Some("hunter2".into()),
        on_request: Some(std::sync::Arc::new(move |request| {
            log.lock().unwrap().push(format!("{request:?}"));
        })),
        ..options()
    });
    let got = client
        .blob(&server.repository(), &Digest::sha256(blob), 100)
        .await
        .unwrap();
    assert_eq!(got, blob);
    assert_eq!(store.requests().len(), 1);
    let shown = shown.lock().unwrap().join("\n");
    assert!(
        shown.contains("X-Amz-Signature") && !shown.contains("abc"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2") && !format!("{client:?}").contains("hunter2"));
}

#[tokio::test]
async fn redirects_end() {
    let server = Server::start(|_| Reply::new(307).with("location", "/v2/again")).await;
    let error = client()
        .manifest(&server.repository(), "v1")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 6);
    let error = refusal(|_| Reply::new(307).with("location", "file:///etc/passwd")).await;
    assert!(error.to_string().contains("scheme \"file\""), "{error}");
}
