//! Requests to the embedded registry, one after the other, each as `METHOD PATH`, lines of headers, an empty line and a
//! body, with `====` between them; `@` is the address that the last answer gave. None makes the registry fail, and
//! nothing is written outside of its folder.
#![no_main]

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::Request;
use sealmark_server::registry::{Options, Registry};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
});

/// An input with more requests shows nothing that this many do not.
const MAX_REQUESTS: usize = 8;

const PUSH: &[u8] = br#"PUT /v2/a/b/manifests/v1
Content-Type: application/vnd.oci.image.index.v1+json

{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"subject":{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}}
====
GET /v2/a/b/manifests/v1
Accept: */*
====
GET /v2/a/b/tags/list?n=1&last=a
====
GET /v2/a/b/referrers/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855?artifactType=a%2Fb
====
DELETE /v2/a/b/manifests/v1
====
GET /v2/_catalog?n=1"#;

const BLOB: &[u8] = br#"POST /v2/a/blobs/uploads/?digest=sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
Content-Type: application/octet-stream

abc
====
GET /v2/a/blobs/sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
Range: bytes=1-
If-None-Match: "x"
====
POST /v2/b/blobs/uploads/?mount=sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad&from=a
====
HEAD /v2/b/blobs/sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
====
DELETE /v2/a/blobs/sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"#;

const CHUNKS: &[u8] = br#"POST /v2/a/blobs/uploads/
====
PATCH @
Content-Range: 0-0

a
====
GET @
====
PATCH @
Content-Range: 1-2
Content-Length: 2

bc
====
PUT @?digest=sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
====
POST /v2/a/blobs/uploads/?digest-algorithm=sha512
====
DELETE @"#;

fn request(text: &str, address: &str) -> Option<Request<Body>> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder()
        .method(method)
        .uri(path.replacen('@', address, 1));
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        request = request.header(name, value);
    }
    request.body(Body::from(body.to_owned())).ok()
}

/// A folder in memory where there is one: every input has a registry of its own.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a folder")
}

sealmark_fuzz::target!(only [PUSH, BLOB, CHUNKS], |data| {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let requests: Vec<&str> = text.split("\n====\n").collect();
    if requests.len() > MAX_REQUESTS || request(requests[0], "").is_none() {
        return false;
    }
    let folder = folder();
    let options = Options {
        max_blob_bytes: 4096,
        max_uploads: 2,
        ..Options::default()
    };
    let registry =
        Registry::open_with(&folder.path().join("registry"), options).expect("a registry");
    let mut router = registry.router();
    let mut address = String::new();
    for text in requests {
        let Some(request) = request(text, &address) else {
            continue;
        };
        let what = format!("{} {}", request.method(), request.uri());
        let answer = RUNTIME
            .block_on(router.call(request))
            .expect("routers answer");
        assert!(
            !answer.status().is_server_error(),
            "{what}: {}",
            answer.status()
        );
        if let Some(location) = answer.headers().get("location") {
            address = location.to_str().expect("addresses are text").to_owned();
        }
    }
    let written = std::fs::read_dir(folder.path())
        .expect("the folder is there")
        .count();
    assert_eq!(
        written, 1,
        "something was written beside the registry's folder"
    );
    true
});
