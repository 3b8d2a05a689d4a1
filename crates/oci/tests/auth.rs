//! Logging in, as registries ask for it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealmark_oci::manifest::OCI_MANIFEST;
use sealmark_oci::{Client, Error, Options};
use support::{Reply, Request, Server, client, options};

const MANIFEST: &[u8] = br#"{"schemaVersion":2}"#;

fn ok() -> Reply {
    Reply::new(200)
        .with("content-type", OCI_MANIFEST)
        .body(MANIFEST)
}

fn challenge(request: &Request, service: &str) -> Reply {
    let host = request.header("host").unwrap_or_default();
    Reply::error(401, "UNAUTHORIZED", "authentication required").with(
        "www-authenticate",
        format!(r#"Bearer realm="http://{host}/token",service="{service}",scope="repository:team/app:pull""#),
    )
}

fn login() -> Options {
    Options {
        username: Some("robot+ci".to_owned()),
        password: Some("hunter2".into()),
        ..options()
    }
}

/// Accepts the tokens that it gave: `t1`, `t2`, …; the newest only.
async fn token_server(field: &'static str) -> Server {
    let given = std::sync::Arc::new(AtomicUsize::new(0));
    Server::start(move |request| {
        let newest = format!("Bearer t{}", given.load(Ordering::SeqCst));
        if request.path.starts_with("/token") {
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::json(
                200,
                format!(r#"{{"{field}":"t{number}","expires_in":300}}"#),
            );
        }
        match request.header("authorization") {
            Some(token) if token == newest => ok(),
            _ => challenge(request, "reg istry"),
        }
    })
    .await
}

#[tokio::test]
async fn a_token_is_got_once_and_used_again() {
    for field in ["token", "access_token"] {
        let server = token_server(field).await;
        let client = Client::new(login());
        let repository = server.repository();
        let one = client.manifest(&repository, "v1");
        one.await.unwrap();
        let (a, b) = tokio::join!(
            client.manifest(&repository, "v1"),
            client.manifest(&repository, "v2")
        );
        a.unwrap();
        b.unwrap();
        let lines = server.lines();
        assert_eq!(
            lines[..3],
            [
                "GET /v2/team/app/manifests/v1".to_owned(),
                "GET /token?service=reg+istry&scope=repository%3Ateam%2Fapp%3Apull\
                 &account=robot%2Bci&client_id=sealmark"
                    .to_owned(),
                "GET /v2/team/app/manifests/v1".to_owned(),
            ]
        );
        assert_eq!(lines.len(), 5);
        let requests = server.requests();
        let basic = format!("Basic {}", STANDARD.encode("robot+ci:hunter2"));
        assert_eq!(requests[1].header("authorization"), Some(basic.as_str()));
        // The password went to the token endpoint and nowhere else.
        assert!(requests[0].header("authorization").is_none());
    }
}

#[tokio::test]
async fn parallel_requests_share_one_token() {
    let server = token_server("token").await;
    let client = Client::new(login());
    let repository = server.repository();
    let all = (0..8).map(|_| client.manifest(&repository, "v1"));
    for result in futures_util::future::join_all(all).await {
        result.unwrap();
    }
    assert_eq!(server.count("GET /token"), 1);
}

#[tokio::test]
async fn a_token_that_ended_is_replaced_once() {
    let given = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if request.path.starts_with("/token") {
            let number = given.fetch_add(1, Ordering::SeqCst);
            return Reply::json(200, format!(r#"{{"token":"t{number}","expires_in":300}}"#));
        }
        match request.header("authorization") {
            Some("Bearer t0") if request.path.ends_with("v1") => ok(),
            Some("Bearer t1") => ok(),
            _ => challenge(request, "s"),
        }
    })
    .await;
    let client = Client::new(login());
    client.manifest(&server.repository(), "v1").await.unwrap();
    client.manifest(&server.repository(), "v2").await.unwrap();
    assert_eq!(server.count("GET /token"), 2);
}

#[tokio::test]
async fn a_token_that_is_never_accepted_ends_in_401() {
    let server = Server::start(|request| {
        if request.path.starts_with("/token") {
            return Reply::json(200, r#"{"token":"no"}"#);
        }
        challenge(request, "s")
    })
    .await;
    let error = Client::new(login())
        .manifest(&server.repository(), "v1")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("used: --registry-username"), "{text}");
    assert!(
        text.contains("UNAUTHORIZED: authentication required"),
        "{text}"
    );
    assert!(server.requests().len() <= 4, "{:?}", server.lines());
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_post_or_else_by_get() {
    for post in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(move |request| {
            if request.path.starts_with("/token") {
                return match request.method.as_str() {
                    "POST" if post => {
                        let body = String::from_utf8_lossy(&request.body);
                        assert!(body.contains("grant_type=refresh_token"), "{body}");
                        assert!(body.contains("refresh_token=ident"), "{body}");
                        assert!(
                            body.contains("scope=repository%3Ateam%2Fapp%3Apull"),
                            "{body}"
                        );
                        Reply::json(200, r#"{"access_token":"t"}"#)
                    }
                    "POST" => Reply::new(405),
                    _ => Reply::json(200, r#"{"token":"t"}"#),
                };
            }
            match request.header("authorization") {
                Some("Bearer t") => ok(),
                _ => challenge(request, "s"),
            }
        })
        .await;
        let config = format!(
            r#"{{"auths":{{"{}":{{"identitytoken":"ident"}}}}}}"#,
            server.host()
        );
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        let options = Options {
            docker_config: Some(dir.path().to_owned()),
            ..options()
        };
        Client::new(options)
            .manifest(&server.repository(), "v1")
            .await
            .unwrap();
        assert_eq!(server.count("GET /token"), usize::from(!post));
        assert_eq!(server.count("POST /token"), 1);
    }
}

#[tokio::test]
async fn basic_and_given_tokens_are_sent_as_they_are() {
    let basic = format!("Basic {}", STANDARD.encode("robot+ci:hunter2"));
    for (options, challenge, expected) in [
        (login(), "Basic realm=\"r\"", basic.as_str()),
        (
            Options {
                token: Some("given".into()),
                ..options()
            },
            "Bearer realm=\"https://unused.invalid/\"",
            "Bearer given",
        ),
    ] {
        let want = expected.to_owned();
        let server = Server::start(move |request| match request.header("authorization") {
            Some(got) if got == want => ok(),
            _ => Reply::new(401).with("www-authenticate", challenge),
        })
        .await;
        let client = Client::new(options);
        client.check_login(&server.host()).await.unwrap();
        // The demand is remembered.
        client.manifest(&server.repository(), "v1").await.unwrap();
        assert_eq!(server.requests().len(), 3);
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_by_the_token_endpoint() {
    let server = Server::start(|request| {
        if request.path.starts_with("/token") {
            return Reply::json(401, r#"{"details":"incorrect username or password"}"#);
        }
        challenge(request, "s")
    })
    .await;
    let error = Client::new(login())
        .check_login(&server.host())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    assert!(
        error.to_string().contains("incorrect username or password"),
        "{error}"
    );
}

#[tokio::test]
async fn a_password_is_not_sent_in_the_clear() {
    let server = Server::start(|_| {
        Reply::new(401).with(
            "www-authenticate",
            r#"Bearer realm="http://auth.example.com/token""#,
        )
    })
    .await;
    let error = Client::new(login())
        .manifest(&server.repository(), "v1")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("auth.example.com without TLS"),
        "{error}"
    );
}

#[tokio::test]
async fn without_credentials_public_images_are_still_read() {
    let server = token_server("token").await;
    client().manifest(&server.repository(), "v1").await.unwrap();
    let requests = server.requests();
    assert!(
        requests[1].path.starts_with("/token") && requests[1].header("authorization").is_none()
    );
}

#[tokio::test]
async fn a_push_token_also_reads() {
    let server = Server::start(|request| {
        if request.path.starts_with("/token") {
            return Reply::json(200, r#"{"token":"t","expires_in":300}"#);
        }
        match (request.header("authorization"), request.method.as_str()) {
            (None, _) => challenge(request, "s"),
            (_, "PUT") => Reply::new(201),
            _ => ok(),
        }
    })
    .await;
    let client = Client::new(login());
    let repository = server.repository();
    client
        .push_manifest(&repository, Some("v1"), OCI_MANIFEST, MANIFEST.into())
        .await
        .unwrap();
    client.manifest(&repository, "v1").await.unwrap();
    assert_eq!(server.count("GET /token"), 1);
    assert!(
        server.lines()[1].contains("pull%2Cpush"),
        "{:?}",
        server.lines()
    );
}
