//! A log of several trees: what its clients still get of those that ended, and what they get of the one that goes on.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use sealmark_server::log::{Interface, Options, Rotation, ShardInfo, freeze, rotate};
use sealmark_tlog::tile::{Bundle, LengthPrefix};
use sealmark_tlog::{Checkpoint, Origin};
use serde_json::{Value, json};

use crate::served::Served;
use crate::{hashedrekord, key};

pub(crate) fn rotation(interface: Interface) -> Rotation {
    Rotation {
        interface,
        place: None,
        keep_key: false,
        key: None,
        password: None,
    }
}

fn rotate_v1(directory: &Path) -> (ShardInfo, ShardInfo) {
    rotate(directory, &rotation(Interface::V1)).expect("nobody has the log open")
}

/// A request to v2.
pub(crate) fn request_v2(key: &PrivateKey, data: &[u8]) -> Value {
    let digest = Digest::of(key.key_type().hash(), data);
    let signature = key.sign_digest(&digest).expect("the key signs");
    json!({"hashedRekordRequestV002": {
        "digest": STANDARD.encode(digest.bytes()),
        "signature": {"content": STANDARD.encode(signature), "verifier": {
            "publicKey": {"rawBytes": STANDARD.encode(key.public_key().spki_der())},
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        }},
    }})
}

#[tokio::test]
async fn trees_of_v1_are_one_log() {
    let directory = tempfile::tempdir().unwrap();
    let key = key();
    let (a, b, c) = (
        hashedrekord(&key, b"a"),
        hashedrekord(&key, b"b"),
        hashedrekord(&key, b"c"),
    );
    let log = Served::open(directory.path()).await;
    let (old_a, shown_a) = log.create(&a).await;
    let (old_b, _) = log.create(&b).await;
    let before = log.json("/api/v1/log").await;
    log.close().await;
    let (old, new) = rotate_v1(directory.path());
    assert_eq!((old.size, new.size, new.first), (2, 0, 2));
    assert!(old.frozen >= Some(old.created) && new.frozen.is_none());

    let log = Served::open(directory.path()).await;
    assert_ne!(log.trees[0].1, log.trees[1].1, "each tree has its key");
    let (new_c, shown_c) = log.create(&c).await;
    assert_eq!(shown_c["logIndex"], 2);
    assert_eq!(shown_c["verification"]["inclusionProof"]["logIndex"], 0);
    // Entries are compared with those of the active tree only.
    let (new_a, _) = log.create(&a).await;
    assert_eq!(new_a[16..], old_a[16..]);
    assert_eq!(log.post("/api/v1/log/entries", &a).await.status(), 409);

    for (index, id) in [&old_a, &old_b, &new_c, &new_a].into_iter().enumerate() {
        let paths = [format!("?logIndex={index}"), format!("/{id}")];
        for path in paths {
            let shown = log.json(&format!("/api/v1/log/entries{path}")).await;
            log.prove(id, &shown[id.as_str()]);
            assert_eq!(shown[id.as_str()]["logIndex"], index as u64, "{path}");
        }
    }
    assert_eq!(
        log.get("/api/v1/log/entries?logIndex=4").await.status(),
        404
    );
    let shown = log.json(&format!("/api/v1/log/entries/{old_a}")).await;
    assert_eq!(
        shown[&old_a]["integratedTime"], shown_a["integratedTime"],
        "what was promised stays promised"
    );
    // Without a tree, the active one is looked into first; all that have it are in a query's answer.
    let uuid = &old_a[16..];
    let shown = log.json(&format!("/api/v1/log/entries/{uuid}")).await;
    assert!(shown.get(&new_a).is_some());
    let shown = log
        .json(&format!("/api/v1/log/entries/{}", &old_b[16..]))
        .await;
    assert!(shown.get(&old_b).is_some());
    for query in [json!({"entryUUIDs": [uuid]}), json!({"entries": [a]})] {
        let response = log.post("/api/v1/log/entries/retrieve", &query).await;
        let shown: Vec<Value> = response.json().await.unwrap();
        let ids: Vec<&String> = shown
            .iter()
            .flat_map(|entry| entry.as_object().unwrap().keys())
            .collect();
        assert_eq!(ids, [&new_a, &old_a], "{query}");
    }
    let query = json!({"logIndexes": [1, 2], "entryUUIDs": [old_a]});
    let response = log.post("/api/v1/log/entries/retrieve", &query).await;
    assert_eq!(response.json::<Vec<Value>>().await.unwrap().len(), 3);
    let by_hash = json!({"hash": Digest::sha256(b"a").hex()});
    assert_eq!(log.search(by_hash).await, [old_a.as_str(), new_a.as_str()]);

    let info = log.json("/api/v1/log").await;
    let inactive = &info["inactiveShards"];
    assert_eq!(info["treeID"], new.tree_id.unwrap().to_string());
    assert_eq!(info["treeSize"], 2);
    assert_eq!(inactive.as_array().unwrap().len(), 1);
    for same in ["treeID", "treeSize", "rootHash"] {
        assert_eq!(inactive[0][same], before[same], "{same}");
    }
    for (tree, key) in &log.trees {
        let pem = log
            .get(&format!("/api/v1/log/publicKey?treeID={tree}"))
            .await;
        assert_eq!(pem.text().await.unwrap(), key.to_pem());
        let proof = format!("/api/v1/log/proof?lastSize=2&treeID={tree}");
        assert_eq!(
            log.json(&proof).await["hashes"].as_array().unwrap().len(),
            1
        );
    }
    let note = inactive[0]["signedTreeHead"].as_str().unwrap();
    Checkpoint::open(note, Origin::RekorV1, &log.trees[0].1).unwrap();
    let again = log.json("/api/v1/log").await["inactiveShards"][0]["signedTreeHead"].clone();
    assert_eq!(again, note, "it is signed once");
    log.close().await;
}

#[tokio::test]
async fn a_tree_may_go_on_with_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let (id, _) = log.create(&hashedrekord(&key(), b"a")).await;
    log.close().await;
    let rotation = Rotation {
        keep_key: true,
        key: None,
        ..rotation(Interface::V1)
    };
    rotate(directory.path(), &rotation).unwrap();
    rotate_v1(directory.path());
    let log = Served::open(directory.path()).await;
    assert_eq!(log.trees[0].1, log.trees[1].1);
    assert_ne!(log.trees[1].1, log.trees[2].1);
    let shown = log.json("/api/v1/log/entries?logIndex=0").await;
    log.prove(&id, &shown[&id]);
    // The tree between has no entries, so there is nothing with an index in it.
    let (_, next) = log.create(&hashedrekord(&key(), b"b")).await;
    assert_eq!(next["logIndex"], 1);
    log.close().await;
}

#[tokio::test]
async fn trees_of_v2_are_told_by_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let log = Served::open(directory.path()).await;
    let (one, two) = (request_v2(&key, b"one"), request_v2(&key, b"two"));
    let first: Value = log
        .post("/api/v2/log/entries", &one)
        .await
        .json()
        .await
        .unwrap();
    log.close().await;

    for (host, keep_key, reason) in [
        (None, false, "--url"),
        (Some("127.0.0.1"), false, "--url"),
        (Some("a b"), false, "space"),
        (Some("localhost"), true, "--keep-key"),
    ] {
        let rotation = Rotation {
            place: host.map(|host| (format!("http://{host}"), host.to_owned())),
            keep_key,
            ..rotation(Interface::V2)
        };
        let error = rotate(directory.path(), &rotation).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    let to = ("http://localhost:1".to_owned(), "localhost".to_owned());
    let rotation = Rotation {
        place: Some(to),
        ..rotation(Interface::V2)
    };
    let (old, new) = rotate(directory.path(), &rotation).unwrap();
    assert_eq!((old.size, new.size, new.first), (1, 0, 0));
    assert_eq!(new.url.as_deref(), Some("http://localhost:1"));

    let log = Served::open(directory.path()).await;
    let ask = |host: &str, path: &str| {
        let request = log.client.get(format!("{}/api/v2/{path}", log.url));
        request.header("host", host).send()
    };
    let send = |host: &str, entry: &Value| {
        let request = log.client.post(format!("{}/api/v2/log/entries", log.url));
        request.header("host", host).json(entry).send()
    };
    // To the old name, the old tree answers: it is read, and takes nothing.
    let refused = send("127.0.0.1:3000", &two).await.unwrap();
    assert_eq!(refused.status(), 405);
    assert_eq!(
        refused.text().await.unwrap(),
        "This log has been frozen, please switch to the latest log."
    );
    let note = ask("127.0.0.1", "checkpoint")
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(note.contains("\nLog frozen \u{2014} "), "{note}");
    let public = |shard: &ShardInfo| {
        PublicKey::from_pem(&std::fs::read(&shard.public_key).expect("it is there"))
            .expect("it is a key")
    };
    let frozen = Checkpoint::open(&note, Origin::Named("127.0.0.1"), &public(&old)).unwrap();
    assert_eq!(frozen.size, 1);
    let bundle = Bundle::parse("tile/entries/000.p/1").unwrap();
    let bytes = ask("127.0.0.1", "tile/entries/000.p/1").await.unwrap();
    let bytes = bytes.bytes().await.unwrap();
    let body = STANDARD
        .decode(first["canonicalizedBody"].as_str().unwrap())
        .unwrap();
    assert_eq!(
        bundle.decode(&bytes, LengthPrefix::Two).unwrap(),
        [body.as_slice()]
    );

    // To the new name, and to any that is none of them, the new one.
    for (number, host) in ["localhost:3000", "LOCALHOST", "proxy.internal"]
        .into_iter()
        .enumerate()
    {
        let entry = request_v2(&key, host.as_bytes());
        let sent = send(host, &entry).await.unwrap();
        assert_eq!(sent.status(), 201, "{host}");
        let sent: Value = sent.json().await.unwrap();
        assert_eq!(sent["logIndex"], number.to_string());
        let note = sent["inclusionProof"]["checkpoint"]["envelope"]
            .as_str()
            .unwrap();
        Checkpoint::open(note, Origin::Named("localhost"), &public(&new)).unwrap();
    }
    let again = send("localhost", &one).await.unwrap();
    assert_eq!(again.status(), 201, "it is new in this tree");
    log.close().await;
}

#[tokio::test]
async fn a_frozen_log_is_read_only_until_it_is_rotated() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let entry = hashedrekord(&key(), b"a");
    let (id, _) = log.create(&entry).await;
    log.close().await;
    let ended = freeze(directory.path(), None, &None).unwrap();
    let trees: Vec<&str> = ended.iter().map(|shard| shard.tree.as_str()).collect();
    assert_eq!(trees, ["v1", "v2"]);
    assert!(freeze(directory.path(), None, &None).unwrap().is_empty());

    let log = Served::open(directory.path()).await;
    let refused = log
        .post("/api/v1/log/entries", &hashedrekord(&key(), b"b"))
        .await;
    assert_eq!(refused.status(), 405);
    let refused: Value = refused.json().await.unwrap();
    assert!(refused["message"].as_str().unwrap().contains("frozen"));
    let sent = log
        .post("/api/v2/log/entries", &request_v2(&key(), b"b"))
        .await;
    assert_eq!(sent.status(), 405);
    let shown = log.json("/api/v1/log/entries?logIndex=0").await;
    log.prove(&id, &shown[&id]);
    assert_eq!(log.json("/api/v1/log").await["treeSize"], 1);
    log.close().await;

    rotate_v1(directory.path());
    let log = Served::open(directory.path()).await;
    let (_, shown) = log.create(&entry).await;
    assert_eq!(shown["logIndex"], 1);
    log.close().await;
}

#[tokio::test]
async fn a_log_of_the_first_layout_opens_and_rotates() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let (id, _) = log.create(&hashedrekord(&key(), b"a")).await;
    let tree = log.tree;
    log.close().await;
    // As the first version of this program wrote it.
    let first =
        format!(r#"{{"layout":1,"host":"127.0.0.1","treeID":"{tree}","created":1795000000}}"#);
    std::fs::write(directory.path().join("sealmark-log"), first).unwrap();
    std::fs::remove_file(directory.path().join("backup.lock")).unwrap();

    let log = Served::open(directory.path()).await;
    assert_eq!(log.tree, tree);
    let shown = log.json("/api/v1/log/entries?logIndex=0").await;
    log.prove(&id, &shown[&id]);
    log.close().await;
    let (old, _) = rotate_v1(directory.path());
    assert_eq!((old.tree_id, old.created), (Some(tree), 1_795_000_000));
    let log = Served::open(directory.path()).await;
    let shown = log.json("/api/v1/log/entries?logIndex=0").await;
    log.prove(&id, &shown[&id]);
    log.close().await;
}

#[tokio::test]
async fn keys_of_new_trees_are_encrypted_too() {
    let directory = tempfile::tempdir().unwrap();
    let options = |password: &str| Options {
        password: Some(password.as_bytes().to_vec().into()),
        ..Options::new("127.0.0.1")
    };
    Served::open_with(directory.path(), options("secret"))
        .await
        .close()
        .await;
    for wrong in [None, Some(b"wrong".to_vec().into())] {
        let rotation = Rotation {
            password: wrong,
            ..rotation(Interface::V1)
        };
        let error = rotate(directory.path(), &rotation).unwrap_err();
        assert!(error.to_string().contains("keys/v1.pem"), "{error}");
    }
    let rotation = Rotation {
        password: Some(b"secret".to_vec().into()),
        ..rotation(Interface::V1)
    };
    rotate(directory.path(), &rotation).unwrap();
    let file = std::fs::read(directory.path().join("keys/v1-2.pem")).unwrap();
    assert_eq!(PrivateKey::is_encrypted_pem(&file), Some(true));
}
