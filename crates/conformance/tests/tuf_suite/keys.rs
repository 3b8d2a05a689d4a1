//! Keys: their kinds, their ids, and how they are counted.

use std::process::Command;

use sealmark_keys::Algorithm;
use sealmark_testkit::require_or_skip;
use serde_json::json;

use crate::repository::Key;
use crate::story::Story;

#[test]
fn every_kind_of_key_signs_metadata() {
    use Algorithm::{EcdsaP256, EcdsaP384, EcdsaP521, Rsa2048, Rsa3072};
    for (algorithm, keytype, scheme, good) in [
        (EcdsaP256, "ecdsa", "ecdsa-sha2-nistp256", true),
        (
            EcdsaP256,
            "ecdsa-sha2-nistp256",
            "ecdsa-sha2-nistp256",
            true,
        ),
        (EcdsaP384, "ecdsa", "ecdsa-sha2-nistp384", true),
        (
            EcdsaP384,
            "ecdsa-sha2-nistp384",
            "ecdsa-sha2-nistp384",
            true,
        ),
        (EcdsaP521, "ecdsa", "ecdsa-sha2-nistp521", true),
        (Rsa2048, "rsa", "rsa-pkcs1v15-sha256", true),
        (Rsa3072, "rsa", "rsa-pkcs1v15-sha256", true),
        // Not what they say.
        (EcdsaP384, "ecdsa", "ecdsa-sha2-nistp256", false),
        (EcdsaP256, "ecdsa", "ecdsa-sha2-nistp384", false),
        (EcdsaP256, "rsa", "ecdsa-sha2-nistp256", false),
        (
            EcdsaP256,
            "ecdsa-sha2-nistp384",
            "ecdsa-sha2-nistp256",
            false,
        ),
        (EcdsaP256, "ed25519", "ed25519", false),
        (Rsa2048, "rsa", "rsassa-pss-sha256", false),
        (Rsa2048, "rsa", "rsa-pkcs1v15-sha512", false),
        (Rsa2048, "ecdsa", "rsa-pkcs1v15-sha256", false),
        (EcdsaP256, "ecdsa", "ecdsa-sha9-nistp256", false),
        (EcdsaP256, "elliptic", "ecdsa-sha2-nistp256", false),
    ] {
        println!("case: {algorithm:?} as {keytype}, {scheme}");
        let story = with_key_of_targets(Key::of(algorithm, keytype, scheme));
        match good {
            true => story.accepts(scheme),
            false => story.refuses(
                scheme,
                "targets version 2 of the TUF repository has 0 valid",
            ),
        }
    }
}

#[test]
fn openssl_signs_metadata_with_rsa_pss() {
    let openssl = require_or_skip!("openssl");
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    let run = |command: &mut Command| -> Vec<u8> {
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let generate = [
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
    ];
    run(Command::new(&openssl).args(generate).arg(&key));
    let public = run(Command::new(&openssl)
        .args(["pkey", "-pubout", "-in"])
        .arg(&key));
    let public = String::from_utf8(public).unwrap();
    for hash in ["sha256", "sha384", "sha512"] {
        let (openssl, key, message) = (openssl.clone(), key.clone(), folder.path().join("message"));
        let sign = move |bytes: &[u8]| {
            std::fs::write(&message, bytes).unwrap();
            let mut command = Command::new(&openssl);
            command.args([
                "dgst",
                &format!("-{hash}"),
                "-sigopt",
                "rsa_padding_mode:pss",
            ]);
            command
                .args(["-sigopt", "rsa_pss_saltlen:digest", "-sign"])
                .arg(&key);
            let output = command.arg(&message).output().unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            output.stdout
        };
        let key = Key::with("rsa", &format!("rsassa-pss-{hash}"), &public, sign);
        with_key_of_targets(key).accepts(hash);
    }
}

/// A repository whose targets are signed by this key.
fn with_key_of_targets(key: Key) -> Story {
    let mut story = Story::new();
    story.differs("without compiled code the reference client has Ed25519 only");
    story
        .repository
        .set_keys("targets", &[key], 1)
        .next_root(&[]);
    story
        .repository
        .bump("targets")
        .bump("snapshot")
        .bump("timestamp")
        .publish();
    story
}

#[test]
fn keys_are_counted_once() {
    let [one, two] = [Key::new(), Key::new()];
    for (what, keys, signers, good) in [
        (
            "two keys",
            vec![one.clone(), two.clone()],
            vec![one.clone(), two.clone()],
            true,
        ),
        (
            "one key",
            vec![one.clone(), two.clone()],
            vec![two.clone()],
            false,
        ),
        (
            "one key by two ids",
            vec![one.clone(), one.called("another")],
            vec![one.clone(), one.called("another")],
            false,
        ),
        (
            "one key by the other's id",
            vec![one.clone(), two.clone()],
            vec![one.clone(), one.called(&two.id)],
            false,
        ),
        (
            "ids that are names",
            vec![one.called("Alice's"), two.called("\u{1F511} 2")],
            vec![one.called("Alice's"), two.called("\u{1F511} 2")],
            true,
        ),
    ] {
        println!("case: {what}");
        let mut story = Story::new();
        if what == "one key by two ids" {
            story.differs("the reference client counts ids");
        }
        story
            .repository
            .set_keys("snapshot", &keys, 2)
            .next_root(&[]);
        story
            .repository
            .signers
            .insert("snapshot".to_owned(), signers);
        story
            .repository
            .bump("snapshot")
            .bump("timestamp")
            .publish();
        match good {
            true => story.accepts(what),
            false => story.refuses(what, "1 valid signatures of the 2"),
        }
    }
}

#[test]
fn keys_that_nobody_knows_do_no_harm() {
    for (what, key) in [
        (
            "another algorithm",
            json!({"keytype": "x", "scheme": "x", "keyval": {"public": "x"}}),
        ),
        (
            "another form",
            json!({"keytype": "x", "scheme": "x", "keyval": {"certificate": "x"}}),
        ),
        ("no key", json!({})),
        (
            "a broken one",
            json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "00"}}),
        ),
    ] {
        println!("case: {what}");
        let mut story = Story::new();
        story.differs("the reference client refuses a root with keys that it does not know");
        let root = story.repository.role("root");
        root["keys"]["unknown"] = key;
        let ids = root["roles"]["targets"]["keyids"].as_array_mut().unwrap();
        ids.insert(0, json!("unknown"));
        // And an id without a key.
        ids.push(json!("nowhere"));
        story.repository.next_root(&[]);
        story.accepts(what);
        // Where they are needed they do not count.
        story.repository.role("root")["roles"]["targets"]["threshold"] = json!(2);
        let stranger = Key::new().called("unknown");
        story
            .repository
            .signers
            .get_mut("targets")
            .unwrap()
            .push(stranger);
        story.repository.next_root(&[]);
        story
            .repository
            .bump("targets")
            .bump("snapshot")
            .bump("timestamp")
            .publish();
        story.refuses(what, "1 valid signatures of the 2");
    }
}

#[test]
fn signatures_that_do_not_count_do_no_harm() {
    let mut story = Story::new();
    let stranger = Key::new();
    let mut signers = vec![stranger.clone()];
    signers.extend(story.repository.signers["timestamp"].clone());
    signers.push(Key::with("x", "x", "x", |_| b"no signature".to_vec()));
    story
        .repository
        .signers
        .insert("timestamp".to_owned(), signers);
    story.repository.publish();
    story.accepts("a stranger's and a broken signature beside a good one");
    // The good one's id, by a stranger.
    let id = story.repository.signers["timestamp"][1].id.clone();
    let forged = vec![stranger.called(&id)];
    story
        .repository
        .signers
        .insert("timestamp".to_owned(), forged);
    story.repository.bump("timestamp").publish();
    story.refuses(
        "a stranger's by the right id",
        "0 valid signatures of the 1",
    );
}
