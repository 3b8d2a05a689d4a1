//! Someone means harm, or a disk decays.

use std::time::Duration;

use sealmark_formats::Digest;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::service::{Answer, MANIFEST, Service, image};

/// Sends bytes as they are and reads until the registry closes the connection.
async fn raw(service: &Service, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    // It may be closed before all is written.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the registry answers");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn no_path_leads_out_of_the_directory() {
    let service = Service::start().await;
    let outside = service
        .directory
        .path()
        .parent()
        .unwrap()
        .join("sealmark-outside");
    let digest = Digest::sha256(b"x");
    for name in [
        "..",
        "../..",
        "a/../..",
        "%2e%2e",
        "a/%2e%2e/%2e%2e",
        "..%2f..",
        "a%2f..%2f..",
        "%252e%252e",
        "/etc",
        "//",
        "a//b",
        "%00",
        "a%00b",
        "_blobs",
        "a/_tags",
        "a\\..",
        "%5c..",
        "A",
        "%c3%a4",
        "%ff",
        ".",
    ] {
        for (method, rest) in [
            ("POST", format!("blobs/uploads/?digest={digest}")),
            ("PUT", "manifests/sealmark-outside".to_owned()),
            ("GET", "tags/list".to_owned()),
            ("GET", "manifests/latest".to_owned()),
            ("DELETE", "manifests/latest".to_owned()),
        ] {
            let request = format!(
                "{method} /v2/{name}/{rest} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
            );
            let answer = raw(&service, request.as_bytes()).await;
            let status: u16 = answer
                .split(' ')
                .nth(1)
                .and_then(|s| s.parse().ok())
                .expect(&answer);
            assert!((400..=404).contains(&status), "{request}: {answer}");
        }
    }
    for reference in [
        "..",
        "%2e%2e%2f%2e%2e%2fsealmark-outside",
        "a%2fb",
        "sha256:..%2f..",
        "sha256-..",
        "%00",
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let request = format!(
                "{method} /v2/a/manifests/{reference} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\
                 Connection: close\r\n\r\n{{}}"
            );
            let answer = raw(&service, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 40"), "{request}: {answer}");
        }
    }
    assert!(!outside.exists());
    let mut top: Vec<_> = std::fs::read_dir(service.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    top.sort();
    assert_eq!(
        top,
        ["lock", "sealmark-registry", "uploads"],
        "nothing was stored anywhere"
    );
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let service = Service::start().await;
    let long = format!(
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    assert!(
        raw(&service, long.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    let many = format!(
        "GET /v2/ HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X-A: b\r\n".repeat(200)
    );
    assert!(
        raw(&service, many.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    let line = format!(
        "GET /v2/{} HTTP/1.1\r\nHost: x\r\n\r\n",
        "a".repeat(1 << 20)
    );
    assert!(
        raw(&service, line.as_bytes())
            .await
            .starts_with("HTTP/1.1 4")
    );
    assert!(
        raw(&service, b"nonsense\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 400")
    );
    assert_eq!(service.client.get("/v2/").await.status, 200);
}

#[tokio::test]
async fn a_manifest_is_at_most_four_mebibytes() {
    let service = Service::start().await;
    let client = &service.client;
    let config = client.push_blob("a", b"{}").await;
    let mut manifest = image(&config, 2, &[]);
    manifest["annotations"] = json!({"a": ""});
    let room = 4 * 1024 * 1024 - manifest.to_string().len();
    manifest["annotations"] = json!({"a": "x".repeat(room)});
    assert_eq!(
        client.put_manifest("a", "largest", &manifest).await.status,
        201
    );
    manifest["annotations"] = json!({"a": "x".repeat(room + 1)});
    client
        .put_manifest("a", "larger", &manifest)
        .await
        .refuses(413, "SIZE_INVALID");
    let pieces = (0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 16]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let endless = client
        .request("PUT", "/v2/a/manifests/v1")
        .header("content-type", MANIFEST)
        .body(body);
    Answer::of(endless).await.refuses(413, "SIZE_INVALID");
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_an_upload_that_another_can_finish() {
    let service = Service::start().await;
    let client = &service.client;
    let location = client
        .send("POST", "/v2/a/blobs/uploads/")
        .await
        .header("location")
        .to_owned();
    for head in ["", "Content-Range: 0-99\r\n"] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let head =
            format!("PATCH {location} HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 100\r\n\r\n");
        // First with a range, which counts whole or not at all; then without one, which counts as far as it came.
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"0123").await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(stream);
        // It is noticed within moments.
        for attempt in 0.. {
            let status = client.get(&location).await;
            assert_eq!(status.status, 204);
            if status.header("range") == "0-3" {
                break;
            }
            assert!(attempt < 100, "{status:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let rest = client
        .request("PATCH", &location)
        .header("content-range", "4-9")
        .body("456789");
    assert_eq!(Answer::of(rest).await.status, 202);
    let digest = Digest::sha256(b"0123456789");
    assert_eq!(
        client
            .send("PUT", &format!("{location}?digest={digest}"))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let service = Service::start().await;
    let location = service
        .client
        .send("POST", "/v2/a/blobs/uploads/")
        .await
        .header("location")
        .to_owned();
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    service
        .client
        .get(&elsewhere)
        .await
        .refuses(404, "BLOB_UPLOAD_UNKNOWN");
    service
        .client
        .send("DELETE", &elsewhere)
        .await
        .refuses(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn damage_on_disk_is_an_error_and_never_a_wrong_answer() {
    let service = Service::start().await;
    let client = &service.client;
    let data = vec![7u8; 600_000];
    let (_, manifest) = client.push_image("a", "v1", &data).await;
    let blob = Digest::sha256(&data);
    let path = format!("/v2/a/blobs/{blob}");

    let mut flipped = data.clone();
    flipped[300_000] = 8;
    std::fs::write(service.content_file(&blob), &flipped).unwrap();
    let response = client.request("GET", &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err(), "the body breaks off");

    std::fs::write(service.content_file(&blob), &data[1..]).unwrap();
    client.get(&path).await.refuses(500, "UNKNOWN");
    // It is not spread, and pushing it again repairs it.
    let mount = client
        .send("POST", &format!("/v2/b/blobs/uploads/?mount={blob}&from=a"))
        .await;
    assert_eq!(mount.status, 202);
    client.push_blob("b", &data).await;
    assert!(client.get(&path).await.body == data);

    let mut content = std::fs::read(service.content_file(&manifest)).unwrap();
    content[10] ^= 1;
    std::fs::write(service.content_file(&manifest), content).unwrap();
    let answer = client.get("/v2/a/manifests/v1").await;
    let errors = answer.refuses(500, "UNKNOWN");
    let place = service.directory.path().to_str().unwrap();
    assert!(
        !errors.to_string().contains(place),
        "where it is on this machine is for the log"
    );
}
