//! A user pushes: the specification's category "Push".

use sealmark_formats::Digest;
use serde_json::json;

use crate::service::{Answer, Client, INDEX, MANIFEST, Service, image};

async fn begin(client: &Client, name: &str) -> String {
    let begun = client
        .send("POST", &format!("/v2/{name}/blobs/uploads/"))
        .await;
    assert_eq!(begun.status, 202, "{begun:?}");
    begun.header("location").to_owned()
}

async fn patch(client: &Client, location: &str, range: &str, data: &'static [u8]) -> Answer {
    Answer::of(
        client
            .request("PATCH", location)
            .header("content-range", range)
            .body(data),
    )
    .await
}

#[tokio::test]
async fn a_blob_is_pushed_with_one_post() {
    let service = Service::start().await;
    let client = &service.client;
    let digest = Digest::sha256(b"once");
    let post = client
        .request("POST", &format!("/v2/a/blobs/uploads/?digest={digest}"))
        .body("once");
    let answer = Answer::of(post).await;
    assert_eq!(
        (answer.status, answer.header("docker-content-digest")),
        (201, digest.to_string().as_str())
    );
    assert_eq!(client.get(answer.header("location")).await.body, b"once");
}

#[tokio::test]
async fn a_blob_is_pushed_in_chunks_and_the_client_may_ask_how_far_it_got() {
    let service = Service::start().await;
    let client = &service.client;
    let location = begin(client, "a/b").await;
    let first = patch(client, &location, "0-3", b"0123").await;
    assert_eq!((first.status, first.header("range")), (202, "0-3"));
    let status = client.get(first.header("location")).await;
    assert_eq!((status.status, status.header("range")), (204, "0-3"));
    assert!(!status.header("location").is_empty());

    // The same chunk again, and one too far ahead, are out of order; the upload goes on.
    for range in ["0-3", "5-8", "nonsense", "bytes 4-7/8", "4-3"] {
        let refused = patch(client, &location, range, b"4567").await;
        refused.refuses(416, "BLOB_UPLOAD_INVALID");
        assert_eq!(
            (refused.header("range"), refused.header("location")),
            ("0-3", location.as_str())
        );
    }
    // A chunk that contradicts itself is refused whole.
    patch(client, &location, "4-8", b"4567")
        .await
        .refuses(400, "SIZE_INVALID");
    assert_eq!(
        patch(client, &location, "4-7", b"4567")
            .await
            .header("range"),
        "0-7"
    );

    let digest = Digest::sha256(b"0123456789");
    let put = client.request("PUT", &format!("{location}?digest={digest}"));
    let refused = Answer::of(put.header("content-range", "9-10").body("89")).await;
    refused.refuses(416, "BLOB_UPLOAD_INVALID");
    let put = client.request("PUT", &format!("{location}?digest={digest}"));
    let done = Answer::of(put.header("content-range", "8-9").body("89")).await;
    assert_eq!(done.status, 201, "{done:?}");
    assert_eq!(done.header("location"), format!("/v2/a/b/blobs/{digest}"));
    assert_eq!(
        client.get(done.header("location")).await.body,
        b"0123456789"
    );
    client
        .get(&location)
        .await
        .refuses(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn a_chunk_that_says_its_range_but_not_its_length_is_measured() {
    let service = Service::start().await;
    let client = &service.client;
    let location = begin(client, "a").await;
    for (data, range) in [("12", "0-2"), ("1234", "0-2")] {
        let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(data)]);
        let request = client
            .request("PATCH", &location)
            .header("content-range", range);
        let answer = Answer::of(request.body(reqwest::Body::wrap_stream(pieces))).await;
        answer.refuses(400, "SIZE_INVALID");
    }
    assert_eq!(patch(client, &location, "0-2", b"123").await.status, 202);
    let digest = Digest::sha256(b"123");
    let done = client
        .send("PUT", &format!("{location}?digest={digest}"))
        .await;
    assert_eq!(
        done.status, 201,
        "the refused chunks left nothing behind: {done:?}"
    );
}

#[tokio::test]
async fn a_stream_without_ranges_is_pushed_as_docker_does() {
    let service = Service::start().await;
    let client = &service.client;
    let location = begin(client, "a").await;
    let data: Vec<u8> = (0..3_000_000u32).map(|i| (i % 253) as u8).collect();
    for part in data.chunks(1_400_000) {
        let pieces: Vec<_> = part
            .chunks(10_000)
            .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
            .collect();
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        assert_eq!(
            Answer::of(client.request("PATCH", &location).body(body))
                .await
                .status,
            202
        );
    }
    let digest = Digest::sha256(&data);
    assert_eq!(
        client
            .send("PUT", &format!("{location}?digest={digest}"))
            .await
            .status,
        201
    );
    assert!(client.get(&format!("/v2/a/blobs/{digest}")).await.body == data);
}

#[tokio::test]
async fn an_upload_is_cancelled() {
    let service = Service::start().await;
    let location = begin(&service.client, "a").await;
    assert_eq!(service.client.send("DELETE", &location).await.status, 204);
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let answer = service.client.send(method, &location).await;
        answer.refuses(404, "BLOB_UPLOAD_UNKNOWN");
    }
    let left = std::fs::read_dir(service.directory.path().join("uploads"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "the file of the upload is gone");
}

#[tokio::test]
async fn content_with_another_digest_is_refused_and_not_kept() {
    let service = Service::start().await;
    let client = &service.client;
    let wrong = Digest::sha256(b"something else");
    let location = begin(client, "a").await;
    let put = client
        .request("PUT", &format!("{location}?digest={wrong}"))
        .body("content");
    Answer::of(put).await.refuses(400, "DIGEST_INVALID");
    let post = client
        .request("POST", &format!("/v2/a/blobs/uploads/?digest={wrong}"))
        .body("content");
    Answer::of(post).await.refuses(400, "DIGEST_INVALID");
    let location = begin(client, "a").await;
    for query in [
        "",
        "?digest=sha256:abc",
        "?digest=md5:d41d8cd98f00b204e9800998ecf8427e",
    ] {
        client
            .send("PUT", &format!("{location}{query}"))
            .await
            .refuses(400, "DIGEST_INVALID");
    }
    assert_eq!(client.send("DELETE", &location).await.status, 204);
    for digest in [wrong, Digest::sha256(b"content")] {
        assert_eq!(
            client.get(&format!("/v2/a/blobs/{digest}")).await.status,
            404
        );
        assert!(!service.content_file(&digest).exists());
    }
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository_and_stored_once() {
    let service = Service::start().await;
    let client = &service.client;
    let digest = client.push_blob("source/deep", b"shared").await;
    let mount =
        |query: String| client.request("POST", &format!("/v2/target/blobs/uploads/?{query}"));
    let absent = Digest::sha256(b"absent");
    for query in [
        format!("mount={digest}&from=elsewhere"),
        format!("mount={digest}&from=../source"),
        format!("mount={absent}&from=source/deep"),
        format!("mount={absent}"),
        "mount=nonsense&from=source/deep".to_owned(),
    ] {
        let answer = Answer::of(mount(query.clone())).await;
        assert_eq!(answer.status, 202, "{query}: falls back to an upload");
        assert_eq!(
            client
                .send("DELETE", answer.header("location"))
                .await
                .status,
            204
        );
    }
    assert_eq!(
        client
            .get(&format!("/v2/target/blobs/{digest}"))
            .await
            .status,
        404
    );
    for query in [
        format!("mount={digest}&from=source/deep"),
        format!("mount={digest}"),
    ] {
        let answer = Answer::of(mount(query)).await;
        assert_eq!(answer.status, 201);
        assert_eq!(
            answer.header("location"),
            format!("/v2/target/blobs/{digest}")
        );
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    }
    assert_eq!(
        client.get(&format!("/v2/target/blobs/{digest}")).await.body,
        b"shared"
    );
    // Deleted in one repository, it stays in the other, and goes with the last.
    assert_eq!(
        client
            .send("DELETE", &format!("/v2/source/deep/blobs/{digest}"))
            .await
            .status,
        202
    );
    assert_eq!(
        client
            .get(&format!("/v2/source/deep/blobs/{digest}"))
            .await
            .status,
        404
    );
    assert_eq!(
        client
            .get(&format!("/v2/target/blobs/{digest}"))
            .await
            .status,
        200
    );
    assert_eq!(
        client
            .send("DELETE", &format!("/v2/target/blobs/{digest}"))
            .await
            .status,
        202
    );
    assert!(!service.content_file(&digest).exists());
}

#[tokio::test]
async fn a_manifest_is_stored_byte_for_byte_under_the_type_it_was_pushed_as() {
    let service = Service::start().await;
    let client = &service.client;
    let config = client.push_blob("a", b"{}").await;
    let layer = client.push_blob("a", b"layer").await;
    let manifest = format!("\n {} \n\n", image(&config, 2, &[(&layer, 5)]));
    let digest = Digest::sha256(manifest.as_bytes());
    let put = client.request("PUT", "/v2/a/manifests/v1");
    let put = Answer::of(
        put.header("content-type", format!("{MANIFEST}; charset=utf-8"))
            .body(manifest.clone()),
    )
    .await;
    assert_eq!(put.status, 201);
    assert_eq!(put.header("location"), format!("/v2/a/manifests/{digest}"));
    let pulled = client.get(put.header("location")).await;
    assert_eq!(pulled.body, manifest.as_bytes());
    assert_eq!(
        pulled.header("content-type"),
        MANIFEST,
        "parameters are dropped"
    );

    // Without layers; and of other types, with and without a Content-Type.
    let empty = client
        .put_manifest("a", "empty", &image(&config, 2, &[]))
        .await;
    assert_eq!(empty.status, 201);
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    for (tag, manifest) in [
        (
            "other",
            json!({"mediaType": "application/vnd.example+json", "anything": [1, 2]}),
        ),
        (
            "index",
            json!({"mediaType": INDEX, "schemaVersion": 2, "manifests": []}),
        ),
        (
            "list",
            json!({"mediaType": list, "schemaVersion": 2, "manifests": []}),
        ),
    ] {
        let put = Answer::of(
            client
                .request("PUT", &format!("/v2/a/manifests/{tag}"))
                .body(manifest.to_string()),
        )
        .await;
        assert_eq!(put.status, 201, "{put:?}");
        let pulled = client.get(&format!("/v2/a/manifests/{tag}")).await;
        assert_eq!(
            pulled.header("content-type"),
            manifest["mediaType"].as_str().unwrap()
        );
    }
}

#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    let service = Service::start().await;
    let client = &service.client;
    let config = client.push_blob("a", b"{}").await;
    let good = image(&config, 2, &[]);
    let with = |key: &str, value: serde_json::Value| {
        let mut manifest = good.clone();
        manifest[key] = value;
        manifest.to_string()
    };
    let bodies = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "[".repeat(100_000),
        format!("{good}{good}"),
        with("schemaVersion", json!(1)),
        with("schemaVersion", json!(null)),
        with("config", json!(null)),
        with("config", json!({"digest": "sha256:abc", "size": 1})),
        with("config", json!({"digest": config, "size": -1})),
        with("layers", json!({})),
        with("manifests", json!([])),
        with("mediaType", json!(INDEX)),
        with("subject", json!({"digest": "../../etc/passwd", "size": 1})),
        with("annotations", json!({"a": 1})),
    ];
    for body in bodies {
        let put = client
            .request("PUT", "/v2/a/manifests/v1")
            .header("content-type", MANIFEST);
        Answer::of(put.body(body))
            .await
            .refuses(400, "MANIFEST_INVALID");
    }
    let put = client
        .request("PUT", "/v2/a/manifests/v1")
        .header("content-type", "not a type");
    Answer::of(put.body(good.to_string()))
        .await
        .refuses(400, "MANIFEST_INVALID");
    let other = Digest::sha256(b"other");
    client
        .put_manifest("a", &other.to_string(), &good)
        .await
        .refuses(400, "DIGEST_INVALID");
    client
        .put_manifest("a", "sha256:abc", &good)
        .await
        .refuses(400, "DIGEST_INVALID");
    client
        .put_manifest("a", "-tag", &good)
        .await
        .refuses(400, "MANIFEST_INVALID");
    client
        .put_manifest("A", "tag", &good)
        .await
        .refuses(400, "NAME_INVALID");
    assert_eq!(
        client.get("/v2/a/tags/list").await.json()["tags"],
        json!([])
    );
}

#[tokio::test]
async fn every_blob_that_is_missing_is_named() {
    let service = Service::start().await;
    let client = &service.client;
    let config = client.push_blob("a", b"{}").await;
    let (x, y) = (Digest::sha256(b"x"), Digest::sha256(b"y"));
    client.push_blob("b", b"x").await;
    let manifest = image(&config, 2, &[(&x, 1), (&y, 1), (&x, 1)]);
    let errors = client
        .put_manifest("a", "v1", &manifest)
        .await
        .refuses(404, "MANIFEST_BLOB_UNKNOWN");
    let mut named: Vec<_> = errors
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["detail"]["digest"].clone())
        .collect();
    named.sort_by_key(|digest| digest.to_string());
    let mut expected = [json!(x), json!(y)];
    expected.sort_by_key(|digest| digest.to_string());
    assert_eq!(
        named, expected,
        "a blob of another repository does not count"
    );

    // A layer that lives elsewhere is not missed.
    let mut foreign = image(&config, 2, &[(&y, 1)]);
    foreign["layers"][0]["urls"] = json!(["https://example.com/layer"]);
    assert_eq!(client.put_manifest("a", "v1", &foreign).await.status, 201);
    // Nor is a manifest that an index lists.
    let sparse = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": MANIFEST, "digest": x, "size": 1}
    ]});
    assert_eq!(
        client.put_manifest("a", "sparse", &sparse).await.status,
        201
    );
}

#[tokio::test]
async fn one_push_sets_several_tags() {
    let service = Service::start().await;
    let client = &service.client;
    let (manifest, digest) = client.push_image("a", "v1", b"layer").await;
    let put = client
        .put_manifest("a", &format!("{digest}?tag=v2&tag=V2&tag=v2"), &manifest)
        .await;
    assert_eq!(put.status, 201);
    let tags: Vec<_> = put
        .headers
        .get_all("oci-tag")
        .iter()
        .map(|tag| tag.to_str().unwrap())
        .collect();
    assert_eq!(tags, ["v2", "V2"]);
    for tag in ["v1", "v2", "V2"] {
        let pulled = client.get(&format!("/v2/a/manifests/{tag}")).await;
        assert_eq!(pulled.header("docker-content-digest"), digest.to_string());
    }
    client
        .put_manifest("a", &format!("{digest}?tag=../x"), &manifest)
        .await
        .refuses(400, "MANIFEST_INVALID");
    let many: String = (0..200).map(|i| format!("&tag=t{i}")).collect();
    client
        .put_manifest("a", &format!("{digest}?{many}"), &manifest)
        .await
        .refuses(414, "UNSUPPORTED");
}

#[tokio::test]
async fn a_tag_moves_and_a_condition_protects_it() {
    let service = Service::start().await;
    let client = &service.client;
    let (old, first) = client.push_image("a", "v1", b"one").await;
    let (new, second) = client.push_image("a", "v1", b"two").await;
    let put = |condition: &'static str, tag: String, manifest: &serde_json::Value| {
        let request = client
            .request("PUT", "/v2/a/manifests/v1")
            .header("content-type", MANIFEST);
        Answer::of(request.header(condition, tag).body(manifest.to_string()))
    };
    put("if-match", format!("\"{first}\""), &old)
        .await
        .refuses(412, "MANIFEST_INVALID");
    put("if-none-match", "*".to_owned(), &old)
        .await
        .refuses(412, "MANIFEST_INVALID");
    let tagged = client.send("HEAD", "/v2/a/manifests/v1").await;
    assert_eq!(tagged.header("docker-content-digest"), second.to_string());
    assert_eq!(
        put("if-match", tagged.header("etag").to_owned(), &old)
            .await
            .status,
        201
    );
    assert_eq!(
        put("if-match", format!("\"{first}\""), &new).await.status,
        201
    );
}

#[tokio::test]
async fn many_writers_of_one_tag_leave_one_whole_manifest() {
    let service = Service::start().await;
    let client = &service.client;
    let config = client.push_blob("a", b"{}").await;
    let writers = (0..16).map(|i| {
        let (client, mut manifest) = (client.clone(), image(&config, 2, &[]));
        manifest["annotations"] = json!({ "writer": i.to_string() });
        tokio::spawn(async move {
            for _ in 0..5 {
                assert_eq!(
                    client
                        .put_manifest("a", "contested", &manifest)
                        .await
                        .status,
                    201
                );
                let seen = client.get("/v2/a/manifests/contested").await;
                let digest = Digest::sha256(&seen.body).to_string();
                assert_eq!(
                    (seen.status, seen.header("docker-content-digest")),
                    (200, digest.as_str())
                );
            }
            manifest.to_string()
        })
    });
    let mut manifests = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        manifests.push(writer.await.unwrap());
    }
    let last = client.get("/v2/a/manifests/contested").await;
    assert!(
        manifests
            .iter()
            .any(|manifest| manifest.as_bytes() == last.body)
    );
}

#[tokio::test]
async fn the_same_blob_from_many_clients_is_one_blob() {
    let service = Service::start().await;
    let data: Vec<u8> = (0..400_000u32).map(|i| (i % 241) as u8).collect();
    let pushes: Vec<_> = (0..8)
        .map(|i| {
            let (client, data) = (service.client.clone(), data.clone());
            tokio::spawn(async move { client.push_blob(&format!("r{}", i % 3), &data).await })
        })
        .collect();
    for push in pushes {
        let digest = push.await.unwrap();
        assert!(
            service
                .client
                .get(&format!("/v2/r0/blobs/{digest}"))
                .await
                .body
                == data
        );
    }
}
