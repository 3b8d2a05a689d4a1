//! An operator chooses how the registry behaves.

use std::time::Duration;

use sealmark_formats::Digest;
use sealmark_server::Error;
use sealmark_server::registry::{Options, Registry};
use serde_json::json;

use crate::service::{Answer, INDEX, MANIFEST, Service};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let service = Service::start().await;
    let (manifest, digest) = service
        .client
        .push_image("deep/er/name", "V1.0-rc_1", b"layer")
        .await;
    let (_, referrer) = service
        .client
        .attach("deep/er/name", &digest, "application/x", "note")
        .await;
    service.client.send("POST", "/v2/a/blobs/uploads/").await;
    let service = Service::start_in(service.stop().await, Options::default()).await;
    let client = &service.client;
    assert_eq!(
        client
            .get("/v2/deep/er/name/manifests/V1.0-rc_1")
            .await
            .body,
        manifest.to_string().as_bytes()
    );
    assert_eq!(
        client
            .get(&format!(
                "/v2/deep/er/name/blobs/{}",
                Digest::sha256(b"layer")
            ))
            .await
            .body,
        b"layer"
    );
    let referrers = client
        .get(&format!("/v2/deep/er/name/referrers/{digest}"))
        .await
        .json();
    assert_eq!(referrers["manifests"][0]["digest"], json!(referrer));
    assert_eq!(
        client.get("/v2/_catalog").await.json(),
        json!({"repositories": ["deep/er/name"]})
    );
    assert_eq!(
        std::fs::read_dir(service.directory.path().join("uploads"))
            .unwrap()
            .count(),
        0
    );
    // The count of references survives too.
    assert_eq!(
        client
            .send("DELETE", &format!("/v2/deep/er/name/manifests/{digest}"))
            .await
            .status,
        202
    );
    assert!(!service.content_file(&digest).exists());
}

#[tokio::test]
async fn requests_in_flight_finish_when_the_registry_stops() {
    let service = Service::start().await;
    let begun = service.client.send("POST", "/v2/a/blobs/uploads/").await;
    let digest = Digest::sha256(b"slow, but sure");
    let (started, mut under_way) = tokio::sync::mpsc::channel(1);
    let pieces = futures_util::stream::unfold((0, started), |(step, started)| async move {
        if step == 1 {
            started.send(()).await.ok()?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let piece = ["slow, ", "but ", "sure"].get(step)?;
        Some((Ok::<_, std::io::Error>(*piece), (step + 1, started)))
    });
    let put = service.client.request(
        "PUT",
        &format!("{}?digest={digest}", begun.header("location")),
    );
    let push = tokio::spawn(Answer::of(put.body(reqwest::Body::wrap_stream(pieces))));
    under_way.recv().await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (client, directory) = (service.client.clone(), service.stop().await);
    assert_eq!(push.await.unwrap().status, 201);
    assert!(
        client.request("GET", "/v2/").send().await.is_err(),
        "nobody listens any more"
    );
    let service = Service::start_in(directory, Options::default()).await;
    assert_eq!(
        service
            .client
            .get(&format!("/v2/a/blobs/{digest}"))
            .await
            .body,
        b"slow, but sure"
    );
}

#[tokio::test]
async fn a_directory_has_one_registry_at_a_time() {
    let service = Service::start().await;
    let error = Registry::open(service.directory.path()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }));
    let message = error.to_string();
    assert!(
        message.contains(&std::process::id().to_string()) && message.contains("stop that process"),
        "{message}"
    );
    Registry::open(service.stop().await.path()).unwrap();
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let precious = directory.path().join("uploads/precious");
    std::fs::create_dir(directory.path().join("uploads")).unwrap();
    std::fs::write(&precious, "x").unwrap();
    let error = Registry::open(directory.path()).unwrap_err();
    assert!(matches!(error, Error::ForeignDirectory { .. }), "{error}");
    assert!(precious.exists());

    let directory = tempfile::tempdir().unwrap();
    drop(Registry::open(directory.path()).unwrap());
    std::fs::write(directory.path().join("sealmark-registry"), "layout 2\n").unwrap();
    let error = Registry::open(directory.path()).unwrap_err().to_string();
    assert!(
        error.contains("layout 2") && error.contains("knows layout 1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_read_only_registry_can_be_pulled_from() {
    let service = Service::start().await;
    let (_, digest) = service.client.push_image("a", "v1", b"layer").await;
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    let service = Service::start_in(service.stop().await, options).await;
    assert_eq!(service.client.get("/v2/a/manifests/v1").await.status, 200);
    for (method, path) in [
        ("POST", "/v2/a/blobs/uploads/".to_owned()),
        ("PUT", "/v2/a/manifests/v1".to_owned()),
        ("DELETE", format!("/v2/a/manifests/{digest}")),
        ("DELETE", format!("/v2/a/blobs/{digest}")),
    ] {
        service
            .client
            .send(method, &path)
            .await
            .refuses(405, "UNSUPPORTED");
    }
    assert_eq!(service.client.get("/v2/a/manifests/v1").await.status, 200);
}

#[tokio::test]
async fn a_user_logs_in() {
    let basic = Some(("user".to_owned(), "pass:word".to_owned()));
    let service = Service::start_with(Options {
        basic: basic.clone(),
        ..Options::default()
    })
    .await;
    let request = |credentials: Option<(&str, &str)>| {
        let request = service.client.request("GET", "/v2/");
        Answer::of(match credentials {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        })
    };
    assert_eq!(request(Some(("user", "pass:word"))).await.status, 200);
    for wrong in [
        None,
        Some(("user", "pass")),
        Some(("user", "")),
        Some(("", "")),
        Some(("user:pass", "word2")),
    ] {
        let answer = request(wrong).await;
        answer.refuses(401, "UNAUTHORIZED");
        assert!(
            answer
                .header("www-authenticate")
                .starts_with("Basic realm=")
        );
    }
    let bearer = service
        .client
        .request("GET", "/v2/")
        .header("authorization", "Bearer xyz");
    Answer::of(bearer).await.refuses(401, "UNAUTHORIZED");
    service
        .client
        .send("POST", "/v2/a/blobs/uploads/")
        .await
        .refuses(401, "UNAUTHORIZED");
    let shown = format!(
        "{:?}",
        Options {
            basic,
            ..Options::default()
        }
    );
    assert!(shown.contains("user") && !shown.contains("word"), "{shown}");
}

#[tokio::test]
async fn an_index_must_be_complete_if_the_operator_says_so() {
    let service = Service::start_with(Options {
        sparse_indexes: false,
        ..Options::default()
    })
    .await;
    let (_, digest) = service.client.push_image("a", "v1", b"layer").await;
    let index = |digest: &Digest| {
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": MANIFEST, "digest": digest, "size": 1}
        ]})
    };
    assert_eq!(
        service
            .client
            .put_manifest("a", "index", &index(&digest))
            .await
            .status,
        201
    );
    let absent = index(&Digest::sha256(b"absent"));
    service
        .client
        .put_manifest("a", "index", &absent)
        .await
        .refuses(404, "MANIFEST_BLOB_UNKNOWN");
}

#[tokio::test]
async fn uploads_are_bounded_in_number_and_size() {
    let options = Options {
        max_uploads: 2,
        max_blob_bytes: 10,
        ..Options::default()
    };
    let service = Service::start_with(options).await;
    let client = &service.client;
    let first = client
        .send("POST", "/v2/a/blobs/uploads/")
        .await
        .header("location")
        .to_owned();
    let second = client
        .send("POST", "/v2/a/blobs/uploads/")
        .await
        .header("location")
        .to_owned();
    client
        .send("POST", "/v2/a/blobs/uploads/")
        .await
        .refuses(429, "TOOMANYREQUESTS");
    let large = client.request("PATCH", &first).body("01234567890");
    Answer::of(large).await.refuses(413, "SIZE_INVALID");
    let pieces = futures_util::stream::iter(["0123", "4567", "890"].map(Ok::<_, std::io::Error>));
    let unsized_body = client
        .request("PATCH", &second)
        .body(reqwest::Body::wrap_stream(pieces));
    Answer::of(unsized_body).await.refuses(413, "SIZE_INVALID");
    let digest = Digest::sha256(b"0123456789");
    let fitting = client
        .request("PUT", &format!("{first}?digest={digest}"))
        .body("0123456789");
    assert_eq!(Answer::of(fitting).await.status, 201);
}

#[tokio::test]
async fn an_upload_that_lies_still_is_dropped() {
    let options = Options {
        upload_idle: Duration::from_secs(2),
        ..Options::default()
    };
    let service = Service::start_with(options).await;
    let client = &service.client;
    let idle = client
        .send("POST", "/v2/a/blobs/uploads/")
        .await
        .header("location")
        .to_owned();
    assert_eq!(client.get(&idle).await.status, 204);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    client.get(&idle).await.refuses(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(
        std::fs::read_dir(service.directory.path().join("uploads"))
            .unwrap()
            .count(),
        0
    );
}
