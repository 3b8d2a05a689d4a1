//! A user tidies up: the specification's category "Content Management".

use sealmark_formats::Digest;
use serde_json::json;

use crate::service::Service;

#[tokio::test]
async fn a_tag_is_deleted_and_its_manifest_stays() {
    let service = Service::start().await;
    let client = &service.client;
    let (manifest, digest) = client.push_image("a", "v1", b"layer").await;
    client.put_manifest("a", "V1", &manifest).await;
    assert_eq!(
        client.send("DELETE", "/v2/a/manifests/v1").await.status,
        202
    );
    client
        .get("/v2/a/manifests/v1")
        .await
        .refuses(404, "MANIFEST_UNKNOWN");
    client
        .send("DELETE", "/v2/a/manifests/v1")
        .await
        .refuses(404, "MANIFEST_UNKNOWN");
    assert_eq!(
        client
            .get(&format!("/v2/a/manifests/{digest}"))
            .await
            .status,
        200
    );
    assert_eq!(
        client.get("/v2/a/tags/list").await.json()["tags"],
        json!(["V1"])
    );
}

#[tokio::test]
async fn a_manifest_is_deleted_with_its_tags() {
    let service = Service::start().await;
    let client = &service.client;
    let (manifest, digest) = client.push_image("a", "v1", b"layer").await;
    client.put_manifest("a", "v2", &manifest).await;
    client.push_image("a", "other", b"other").await;
    assert_eq!(
        client
            .send("DELETE", &format!("/v2/a/manifests/{digest}"))
            .await
            .status,
        202
    );
    for reference in ["v1", "v2", &digest.to_string()] {
        client
            .get(&format!("/v2/a/manifests/{reference}"))
            .await
            .refuses(404, "MANIFEST_UNKNOWN");
    }
    client
        .send("DELETE", &format!("/v2/a/manifests/{digest}"))
        .await
        .refuses(404, "MANIFEST_UNKNOWN");
    assert_eq!(
        client.get("/v2/a/tags/list").await.json()["tags"],
        json!(["other"])
    );
    assert!(!service.content_file(&digest).exists());
    // It can come back.
    assert_eq!(client.put_manifest("a", "v1", &manifest).await.status, 201);
    assert_eq!(client.get("/v2/a/manifests/v1").await.status, 200);
}

#[tokio::test]
async fn a_blob_is_deleted() {
    let service = Service::start().await;
    let client = &service.client;
    let digest = client.push_blob("a", b"blob").await;
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(client.send("DELETE", &path).await.status, 202);
    client.get(&path).await.refuses(404, "BLOB_UNKNOWN");
    client
        .send("DELETE", &path)
        .await
        .refuses(404, "BLOB_UNKNOWN");
    client
        .send("DELETE", "/v2/a/blobs/sha256:abc")
        .await
        .refuses(404, "BLOB_UNKNOWN");
    client
        .send("DELETE", &format!("/v2/none/blobs/{digest}"))
        .await
        .refuses(404, "NAME_UNKNOWN");
    client
        .send("DELETE", "/v2/none/manifests/v1")
        .await
        .refuses(404, "NAME_UNKNOWN");
    // A manifest's bytes are not a blob: only what was pushed as one can be deleted as one.
    let (_, manifest) = client.push_image("a", "v1", b"layer").await;
    let path = format!("/v2/a/blobs/{}", Digest::sha256(b"layer"));
    client
        .send("DELETE", &format!("/v2/a/blobs/{manifest}"))
        .await
        .refuses(404, "BLOB_UNKNOWN");
    assert_eq!(
        client.send("DELETE", &path).await.status,
        202,
        "also what a manifest refers to"
    );
}

#[tokio::test]
async fn methods_that_an_endpoint_lacks_are_named() {
    let service = Service::start().await;
    let digest = Digest::sha256(b"");
    let table = [
        ("POST", "/v2/".to_owned(), "GET, HEAD"),
        ("DELETE", "/v2/a/tags/list".to_owned(), "GET, HEAD"),
        ("PUT", format!("/v2/a/referrers/{digest}"), "GET, HEAD"),
        ("PUT", format!("/v2/a/blobs/{digest}"), "GET, HEAD, DELETE"),
        ("GET", "/v2/a/blobs/uploads/".to_owned(), "POST"),
        (
            "POST",
            "/v2/a/manifests/v1".to_owned(),
            "GET, HEAD, PUT, DELETE",
        ),
    ];
    for (method, path, allowed) in table {
        let answer = service.client.send(method, &path).await;
        answer.refuses(405, "UNSUPPORTED");
        assert_eq!(answer.header("allow"), allowed);
    }
}
