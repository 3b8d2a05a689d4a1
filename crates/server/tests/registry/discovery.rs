//! A user looks around: the specification's category "Content Discovery".

use sealmark_formats::Digest;
use sealmark_server::registry::Options;
use serde_json::{Value, json};

use crate::service::{INDEX, MANIFEST, Service, image};

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let service = Service::start().await;
    let client = &service.client;
    client.push_image("a/b", "v10", b"layer").await;
    for tag in ["v2", "Beta", "alpha", "beta", "_x"] {
        client.push_image("a/b", tag, b"layer").await;
    }
    // "Lexical order (i.e. case-insensitive alphanumeric order)"
    let all = ["_x", "alpha", "Beta", "beta", "v10", "v2"];
    let answer = client.get("/v2/a/b/tags/list").await;
    assert_eq!((answer.status, answer.next()), (200, None));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), json!({"name": "a/b", "tags": all}));

    let mut seen: Vec<Value> = Vec::new();
    let mut next = Some("/v2/a/b/tags/list?n=4".to_owned());
    while let Some(path) = next {
        let page = client.get(&path).await;
        seen.extend(page.json()["tags"].as_array().unwrap().clone());
        next = page.next();
    }
    assert_eq!(seen, all);
    let table = [
        ("n=0", json!([]), false),
        ("n=1", json!(["_x"]), true),
        ("n=6", json!(all), false),
        ("n=100", json!(all), false),
        ("last=beta", json!(["v10", "v2"]), false),
        ("n=1&last=Beta", json!(["beta"]), true),
        ("n=2&last=c", json!(["v10", "v2"]), false),
        ("n=2&last=zzz", json!([]), false),
    ];
    for (query, tags, more) in table {
        let page = client.get(&format!("/v2/a/b/tags/list?{query}")).await;
        assert_eq!(
            (&page.json()["tags"], page.next().is_some()),
            (&tags, more),
            "{query}"
        );
    }
    for query in ["n=-1", "n=x", "n=1.5"] {
        client
            .get(&format!("/v2/a/b/tags/list?{query}"))
            .await
            .refuses(400, "UNSUPPORTED");
    }
    client.push_blob("untagged", b"x").await;
    assert_eq!(
        client.get("/v2/untagged/tags/list").await.json()["tags"],
        json!([])
    );
    let catalog = client.get("/v2/_catalog?n=1").await;
    assert_eq!(catalog.json(), json!({"repositories": ["a/b"]}));
    let rest = client.get(&catalog.next().unwrap()).await;
    assert_eq!(
        (rest.json(), rest.next()),
        (json!({"repositories": ["untagged"]}), None)
    );
}

#[tokio::test]
async fn what_refers_to_an_image_is_found_by_its_digest() {
    let service = Service::start().await;
    let client = &service.client;
    // The referrer may come before its subject.
    let subject = Digest::sha256(b"comes later");
    let path = format!("/v2/a/referrers/{subject}");
    let empty = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
    let answer = client.get(&path).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, empty.clone()),
        "even if there is no repository"
    );
    assert_eq!(answer.header("content-type"), INDEX);

    let (put, sbom) = client
        .attach("a", &subject, "application/spdx+json", "one")
        .await;
    assert_eq!(
        (put.status, put.header("oci-subject")),
        (201, subject.to_string().as_str())
    );
    let (_, signature) = client
        .attach("a", &subject, "application/vnd.example.signature", "two")
        .await;
    // The type of the config stands in for a missing artifactType; an index has none.
    let config = client.push_blob("a", b"{}").await;
    let mut typed = image(&config, 2, &[]);
    typed["subject"] = json!({"mediaType": MANIFEST, "digest": subject, "size": 7});
    assert_eq!(client.put_manifest("a", "typed", &typed).await.status, 201);
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": typed["subject"]});
    assert_eq!(
        client
            .put_manifest("a", "index", &index)
            .await
            .header("oci-subject"),
        subject.to_string()
    );
    // Elsewhere, or of something else, it does not count.
    client
        .attach("b", &subject, "application/elsewhere", "")
        .await;
    client.attach("a", &sbom, "application/deeper", "").await;

    let found = client.get(&path).await.json()["manifests"].clone();
    let of = |digest: &Digest| {
        found
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["digest"] == json!(digest))
            .unwrap()
            .clone()
    };
    assert_eq!(found.as_array().unwrap().len(), 4);
    let size = client
        .get(&format!("/v2/a/manifests/{sbom}"))
        .await
        .body
        .len();
    let expected = json!({
        "mediaType": MANIFEST, "digest": sbom, "size": size,
        "artifactType": "application/spdx+json", "annotations": {"note": "one"},
    });
    assert_eq!(of(&sbom), expected);
    assert_eq!(of(&signature)["annotations"], json!({"note": "two"}));
    let typed = of(&Digest::sha256(typed.to_string().as_bytes()));
    assert_eq!(
        typed["artifactType"],
        "application/vnd.oci.image.config.v1+json"
    );
    assert_eq!(
        of(&Digest::sha256(index.to_string().as_bytes())).get("artifactType"),
        None
    );

    for filter in ["application/spdx+json", "application%2Fspdx%2Bjson"] {
        let filtered = client.get(&format!("{path}?artifactType={filter}")).await;
        assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
        assert_eq!(filtered.json()["manifests"], json!([expected]));
    }
    let none = client.get(&format!("{path}?artifactType=x/y")).await;
    assert_eq!((none.status, none.json()), (200, empty.clone()));
    for bad in [
        "sha256:abc",
        "latest",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
    ] {
        client
            .get(&format!("/v2/a/referrers/{bad}"))
            .await
            .refuses(400, "DIGEST_INVALID");
    }

    // What is deleted no longer refers.
    assert_eq!(
        client
            .send("DELETE", &format!("/v2/a/manifests/{sbom}"))
            .await
            .status,
        202
    );
    assert_eq!(
        client.get(&path).await.json()["manifests"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[tokio::test]
async fn many_referrers_come_in_pages() {
    let service = Service::start_with(Options {
        referrers_page: 3,
        ..Options::default()
    })
    .await;
    let client = &service.client;
    let subject = Digest::sha256(b"subject");
    let mut expected = Vec::new();
    for i in 0..8 {
        let (_, digest) = client
            .attach("a", &subject, "application/x+json", &i.to_string())
            .await;
        expected.push(digest.to_string());
        client
            .attach("a", &subject, "application/other", &i.to_string())
            .await;
    }
    expected.sort();
    let mut found = Vec::new();
    let mut pages = 0;
    let mut next = Some(format!(
        "/v2/a/referrers/{subject}?artifactType=application/x%2Bjson"
    ));
    while let Some(path) = next {
        let page = client.get(&path).await;
        assert_eq!(page.header("oci-filters-applied"), "artifactType");
        let manifests = page.json()["manifests"].as_array().unwrap().clone();
        assert!(manifests.len() <= 3);
        found.extend(
            manifests
                .iter()
                .map(|entry| entry["digest"].as_str().unwrap().to_owned()),
        );
        next = page.next();
        pages += 1;
    }
    assert_eq!((found, pages), (expected, 3));
}

#[tokio::test]
async fn referrers_with_large_annotations_do_not_make_a_page_too_large() {
    let service = Service::start().await;
    let client = &service.client;
    let subject = Digest::sha256(b"subject");
    for i in 0..3 {
        let note = i.to_string().repeat(2_000_000);
        assert_eq!(
            client
                .attach("a", &subject, "application/x", &note)
                .await
                .0
                .status,
            201
        );
    }
    let mut next = Some(format!("/v2/a/referrers/{subject}"));
    let mut sizes = Vec::new();
    while let Some(path) = next {
        let page = client.get(&path).await;
        sizes.push(page.json()["manifests"].as_array().unwrap().len());
        assert!(page.body.len() <= 4 * 1024 * 1024);
        next = page.next();
    }
    assert_eq!(sizes, [2, 1]);
}

#[tokio::test]
async fn an_older_registry_is_played_for_clients_to_be_tested() {
    let service = Service::start_with(Options {
        referrers: false,
        ..Options::default()
    })
    .await;
    let (_, subject) = service.client.push_image("a", "v1", b"layer").await;
    let (put, referrer) = service
        .client
        .attach("a", &subject, "application/x", "")
        .await;
    assert_eq!((put.status, put.headers.get("oci-subject")), (201, None));
    let answer = service
        .client
        .get(&format!("/v2/a/referrers/{subject}"))
        .await;
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (404, &b"404 page not found\n"[..])
    );
    assert!(answer.header("content-type").starts_with("text/plain"));

    // When the API is switched on, it knows what was pushed before.
    let service = Service::start_in(service.stop().await, Options::default()).await;
    let found = service
        .client
        .get(&format!("/v2/a/referrers/{subject}"))
        .await
        .json();
    assert_eq!(found["manifests"][0]["digest"], json!(referrer));
}
