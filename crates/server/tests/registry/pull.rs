//! A user pulls: the specification's category "Pull".

use sealmark_formats::{Digest, HashAlgorithm};

use crate::service::{Answer, MANIFEST, Service};

#[tokio::test]
async fn a_client_asks_whether_this_is_a_registry() {
    let service = Service::start().await;
    for path in ["/v2/", "/v2"] {
        let answer = service.client.get(path).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{}"[..]));
        assert_eq!(service.client.send("HEAD", path).await.status, 200);
    }
    let elsewhere = service.client.request("GET", "/").send().await.unwrap();
    assert_eq!(elsewhere.status(), 404);
    service
        .client
        .get("/v2/nothing")
        .await
        .refuses(404, "UNSUPPORTED");
}

#[tokio::test]
async fn an_image_is_pulled_by_tag_and_by_digest() {
    let service = Service::start().await;
    let client = &service.client;
    let (manifest, digest) = client.push_image("library/alpine", "v1", b"layer").await;
    for reference in ["v1".to_owned(), digest.to_string()] {
        let path = format!("/v2/library/alpine/manifests/{reference}");
        let answer = client.get(&path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, manifest.to_string().as_bytes());
        assert_eq!(answer.header("content-type"), MANIFEST);
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        let head = client.send("HEAD", &path).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(
            head.header("content-length"),
            manifest.to_string().len().to_string()
        );
        assert_eq!(head.header("content-type"), MANIFEST);
        assert_eq!(head.header("docker-content-digest"), digest.to_string());
        let cached = client
            .request("GET", &path)
            .header("if-none-match", format!("\"{digest}\""));
        assert_eq!(Answer::of(cached).await.status, 304);
    }
}

#[tokio::test]
async fn a_blob_is_pulled_whole_and_in_parts() {
    let service = Service::start().await;
    let client = &service.client;
    // More than one piece of what is read at once.
    let data: Vec<u8> = (0..700_001u32).map(|i| (i % 251) as u8).collect();
    let digest = client.push_blob("a/b", &data).await;
    let path = format!("/v2/a/b/blobs/{digest}");
    let whole = client.get(&path).await;
    assert_eq!((whole.status, whole.body == data), (200, true));
    assert_eq!(whole.header("docker-content-digest"), digest.to_string());
    assert_eq!(whole.header("content-length"), "700001");
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let encoded = format!("/v2/a/b/blobs/{}", digest.to_string().replace(':', "%3A"));
    assert_eq!(client.get(&encoded).await.status, 200);
    let head = client.send("HEAD", &path).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, "700001")
    );

    let table = [
        ("bytes=0-0", 0..1),
        ("bytes=1-9", 1..10),
        ("bytes=262143-262145", 262_143..262_146),
        ("bytes=700000-", 700_000..700_001),
        ("bytes=-5", 699_996..700_001),
        ("bytes=300000-9999999", 300_000..700_001),
    ];
    for (range, expected) in table {
        let part = Answer::of(client.request("GET", &path).header("range", range)).await;
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.body, data[expected.clone()], "{range}");
        let content_range = format!("bytes {}-{}/700001", expected.start, expected.end - 1);
        assert_eq!(part.header("content-range"), content_range);
    }
    let beyond = Answer::of(
        client
            .request("GET", &path)
            .header("range", "bytes=700001-"),
    )
    .await;
    beyond.refuses(416, "SIZE_INVALID");
    assert_eq!(beyond.header("content-range"), "bytes */700001");
    for ignored in ["bytes=0-1,3-4", "bytes=9-1", "lines=1-2", "bytes=x-y"] {
        let answer = Answer::of(client.request("GET", &path).header("range", ignored)).await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (200, data.len()),
            "{ignored}"
        );
    }
    let stale = client
        .request("GET", &path)
        .header("range", "bytes=0-1")
        .header("if-range", "\"x\"");
    assert_eq!(Answer::of(stale).await.status, 200);
}

#[tokio::test]
async fn the_empty_blob_is_a_blob() {
    let service = Service::start().await;
    let digest = service.client.push_blob("a", b"").await;
    let answer = service.client.get(&format!("/v2/a/blobs/{digest}")).await;
    assert_eq!(
        (
            answer.status,
            answer.body.len(),
            answer.header("content-length")
        ),
        (200, 0, "0")
    );
}

#[tokio::test]
async fn sha512_names_blobs_and_manifests() {
    let service = Service::start().await;
    let client = &service.client;
    let config = Digest::of(HashAlgorithm::Sha512, b"{}");
    let path = format!("/v2/a/blobs/uploads/?digest={config}");
    assert_eq!(
        Answer::of(client.request("POST", &path).body("{}"))
            .await
            .status,
        201
    );
    // Also where the upload did not foresee it, and where it did.
    for query in ["", "?digest-algorithm=sha512"] {
        let layer = Digest::of(HashAlgorithm::Sha512, query.as_bytes());
        let begun = client
            .send("POST", &format!("/v2/a/blobs/uploads/{query}"))
            .await;
        let put = client.request(
            "PUT",
            &format!("{}?digest={layer}", begun.header("location")),
        );
        let put = Answer::of(put.body(query)).await;
        assert_eq!(
            (put.status, put.header("docker-content-digest")),
            (201, layer.to_string().as_str())
        );
    }
    let manifest = crate::service::image(&config, 2, &[]);
    let digest = Digest::of(HashAlgorithm::Sha512, manifest.to_string().as_bytes());
    let put = client
        .put_manifest("a", &digest.to_string(), &manifest)
        .await;
    assert_eq!(
        (put.status, put.header("docker-content-digest")),
        (201, digest.to_string().as_str())
    );
    let put = client
        .put_manifest("a", &format!("v512?digest={digest}"), &manifest)
        .await;
    assert_eq!(put.status, 201);
    for reference in [digest.to_string(), "v512".to_owned()] {
        let answer = client.get(&format!("/v2/a/manifests/{reference}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        assert_eq!(answer.body, manifest.to_string().as_bytes());
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_missing() {
    let service = Service::start().await;
    let client = &service.client;
    let absent = Digest::sha256(b"absent");
    client.push_image("here", "v1", b"layer").await;
    let table = [
        (format!("/v2/here/manifests/{absent}"), "MANIFEST_UNKNOWN"),
        ("/v2/here/manifests/v2".to_owned(), "MANIFEST_UNKNOWN"),
        (
            "/v2/here/manifests/.INVALID_NAME".to_owned(),
            "MANIFEST_UNKNOWN",
        ),
        (
            "/v2/here/manifests/sha256:abc".to_owned(),
            "MANIFEST_UNKNOWN",
        ),
        (format!("/v2/here/blobs/{absent}"), "BLOB_UNKNOWN"),
        ("/v2/here/blobs/sha256:abc".to_owned(), "DIGEST_INVALID"),
        (format!("/v2/there/manifests/{absent}"), "NAME_UNKNOWN"),
        ("/v2/there/manifests/v1".to_owned(), "NAME_UNKNOWN"),
        (format!("/v2/there/blobs/{absent}"), "NAME_UNKNOWN"),
        ("/v2/there/tags/list".to_owned(), "NAME_UNKNOWN"),
        ("/v2/UPPER/tags/list".to_owned(), "NAME_INVALID"),
        (
            "/v2/here/blobs/uploads/00000000-0000-4000-8000-000000000000".to_owned(),
            "BLOB_UPLOAD_UNKNOWN",
        ),
    ];
    for (path, code) in table {
        client.get(&path).await.refuses(404, code);
        let head = client.send("HEAD", &path).await;
        assert_eq!((head.status, head.body.len()), (404, 0), "{path}");
    }
}
