//! Timestamp, snapshot and targets (5.4 to 5.6).

use serde_json::json;

use crate::play;
use crate::repository::{Key, sign};
use crate::story::Story;

/// Signs a role's metadata as it is now, under the name that the server has it by.
fn all_of(story: &mut Story) -> &mut crate::repository::Repository {
    for role in ["targets", "snapshot", "timestamp"] {
        story.repository.bump(role);
    }
    &mut story.repository
}

#[test]
fn a_timestamp_leads_to_the_newest_snapshot() {
    play(&[
        ("the same version changes nothing", |story| {
            story.accepts("at first");
            let before = std::fs::read(story.metadata().join("timestamp.json")).unwrap();
            story
                .repository
                .expires("timestamp", 20)
                .bump("snapshot")
                .publish();
            story.accepts("another content of the same version");
            let after = std::fs::read(story.metadata().join("timestamp.json")).unwrap();
            assert_eq!(before, after);
            assert_eq!(story.trusts(), "root 1, snapshot 1, targets 1, timestamp 1");
        }),
        (
            "nor does the same version help when it has expired",
            |story| {
                story.repository.expires("timestamp", -1).publish();
                story.refuses(
                    "expired",
                    "timestamp version 1 of the TUF repository expired",
                );
                assert_eq!(story.trusts(), "root 1");
            },
        ),
        ("an older one", |story| {
            story.repository.set_version("timestamp", 5).publish();
            story.accepts("5");
            story.repository.set_version("timestamp", 4).publish();
            story.refuses(
                "4",
                "timestamp of the TUF repository went back from version 5 to 4",
            );
            story.repository.set_version("timestamp", 6).publish();
            story.accepts("6");
        }),
        ("a newer one of an older snapshot", |story| {
            story.repository.set_version("snapshot", 5).publish();
            story.accepts("snapshot 5");
            story
                .repository
                .bump("timestamp")
                .set_version("snapshot", 4)
                .publish();
            story.refuses(
                "snapshot 4",
                "snapshot of the TUF repository went back from version 5 to 4",
            );
            assert_eq!(story.trusts(), "root 1, snapshot 5, targets 1, timestamp 1");
        }),
        ("an expired one of ours still says what was", |story| {
            story.accepts("at first");
            // As if time had passed: what is trusted has expired, and is signed.
            let expired = story
                .repository
                .expires("timestamp", -1)
                .set_version("timestamp", 9);
            let json = sign(&expired.roles["timestamp"], &expired.signers["timestamp"]);
            for client in ["ours", "reference"] {
                story.write(&format!("{client}/metadata/timestamp.json"), &json);
            }
            story
                .repository
                .expires("timestamp", 10)
                .set_version("timestamp", 8)
                .publish();
            story.refuses("older than the expired", "went back from version 9 to 8");
            story.repository.set_version("timestamp", 10).publish();
            story.accepts("newer than the expired");
        }),
        ("unsigned", |story| {
            story
                .repository
                .signers
                .insert("timestamp".to_owned(), Vec::new());
            story.repository.publish();
            story.refuses(
                "unsigned",
                "0 valid signatures of the 1 that root version 1 demands",
            );
            assert_eq!(story.trusts(), "root 1");
        }),
        ("of another type", |story| {
            story.repository.role("timestamp")["_type"] = json!("snapshot");
            story.repository.publish();
            story.refuses("a snapshot", "its _type is \"snapshot\"");
        }),
        ("which describes no snapshot", |story| {
            story.repository.role("timestamp")["meta"] = json!({});
            story.repository.serve("timestamp");
            story.refuses("nothing", "missing field `snapshot.json`");
        }),
        ("which is not there", |story| {
            story.repository.files.remove("metadata/timestamp.json");
            story.refuses("404", "has no timestamp.json");
        }),
    ]);
}

#[test]
fn a_snapshot_is_the_one_that_the_timestamp_describes() {
    play(&[
        ("of another version", |story| {
            story.repository.bump("snapshot").publish();
            // 2.snapshot.json says that it is version 3.
            let repository = &mut story.repository;
            repository.set_version("snapshot", 3);
            let json = sign(
                &repository.roles["snapshot"],
                &repository.signers["snapshot"],
            );
            repository
                .files
                .insert("metadata/2.snapshot.json".to_owned(), json);
            story.differs("the reference client keeps it although it is the wrong one");
            story.refuses("3 for 2", "version 3 instead of 2");
            assert_eq!(story.trusts(), "root 1, timestamp 1");
        }),
        ("of another length", |story| {
            story.repository.described = true;
            all_of(story).publish();
            for (what, change) in [("longer", " "), ("shorter", "")] {
                let original = story.repository.files["metadata/2.snapshot.json"].clone();
                story
                    .repository
                    .tamper("metadata/2.snapshot.json", |text| match change {
                        "" => text.replace("1.0.31", "1.0.3"),
                        more => format!("{text}{more}"),
                    });
                story.refuses(what, "");
                story
                    .repository
                    .files
                    .insert("metadata/2.snapshot.json".to_owned(), original);
            }
            story.accepts("as described");
        }),
        ("of another hash", |story| {
            story.repository.described = true;
            all_of(story).publish();
            let repository = &mut story.repository;
            repository.role("timestamp")["meta"]["snapshot.json"]["hashes"]["sha256"] =
                json!("00".repeat(32));
            repository.serve("timestamp");
            story.refuses("zeros", "its sha256 is");
            assert_eq!(story.trusts(), "root 1, timestamp 2");
        }),
        ("by a hash that nobody can compute", |story| {
            story.repository.described = true;
            story.repository.publish();
            story.repository.role("timestamp")["meta"]["snapshot.json"]["hashes"] =
                json!({"crc32": "00000000"});
            story.repository.serve("timestamp");
            story.refuses("crc32", "\"crc32\" is none of");
        }),
        ("by hashes that are none", |story| {
            story.repository.role("timestamp")["meta"]["snapshot.json"]["hashes"] = json!({});
            story.repository.serve("timestamp");
            story.refuses("none", "hashes are given, but none is");
        }),
        ("by length alone, and by hash alone", |story| {
            for field in ["length", "hashes"] {
                story.repository.described = true;
                all_of(story).publish();
                for (role, by) in [("targets", "snapshot"), ("snapshot", "timestamp")] {
                    let repository = &mut story.repository;
                    let meta = &mut repository.role(by)["meta"][format!("{role}.json")];
                    meta.as_object_mut().unwrap().remove(field);
                    repository.serve(by);
                    if by == "snapshot" {
                        repository.describe("snapshot", "timestamp");
                    }
                }
                story.accepts(field);
            }
        }),
        ("expired", |story| {
            story.accepts("at first");
            all_of(story).expires("snapshot", -1).publish();
            story.refuses(
                "expired",
                "snapshot version 2 of the TUF repository expired",
            );
            assert_eq!(story.trusts(), "root 1, snapshot 1, targets 1, timestamp 2");
            all_of(story).expires("snapshot", 10).publish();
            story.accepts("renewed");
        }),
        ("signed by a stranger", |story| {
            story
                .repository
                .signers
                .insert("snapshot".to_owned(), vec![Key::new()]);
            story.repository.publish();
            story.refuses(
                "stranger",
                "snapshot version 1 of the TUF repository has 0 valid",
            );
            assert_eq!(story.trusts(), "root 1, timestamp 1");
        }),
        ("in which targets went back", |story| {
            story.repository.set_version("targets", 5).publish();
            story.accepts("5");
            story
                .repository
                .bump("timestamp")
                .bump("snapshot")
                .set_version("targets", 4)
                .publish();
            story.refuses(
                "4",
                "\"targets.json\" of the TUF repository went back from version 5 to 4",
            );
            assert_eq!(story.trusts(), "root 1, snapshot 1, targets 5, timestamp 2");
        }),
        ("in which targets went back, with hashes", |story| {
            // Our snapshot is not the one that the new timestamp describes, and still says what was.
            story.repository.described = true;
            story.repository.set_version("targets", 5).publish();
            story.accepts("5");
            story
                .repository
                .bump("timestamp")
                .bump("snapshot")
                .set_version("targets", 4)
                .publish();
            story.refuses("4", "went back from version 5 to 4");
        }),
        ("in which a delegated role went back, or is gone", |story| {
            story
                .repository
                .delegate("targets", "role", json!({"paths": ["*"]}));
            story.repository.set_version("role", 5).publish();
            story.accepts("5");
            all_of(story).set_version("role", 4).publish();
            story.refuses(
                "4",
                "\"role.json\" of the TUF repository went back from version 5 to 4",
            );
            let repository = all_of(story).set_version("role", 6).publish();
            repository.role("snapshot")["meta"]
                .as_object_mut()
                .unwrap()
                .remove("role.json");
            repository.publish_snapshot();
            story.refuses("gone", "no longer lists \"role.json\"");
        }),
        ("which does not know targets", |story| {
            story.repository.role("snapshot")["meta"] = json!({});
            story.repository.publish_snapshot();
            story.differs("the reference client keeps a snapshot without targets, and so do we");
            story.refuses("no targets", "it does not describe \"targets\"");
        }),
    ]);
}

#[test]
fn targets_are_those_that_the_snapshot_describes() {
    play(&[
        ("of another version", |story| {
            story.repository.bump("targets").publish();
            let repository = &mut story.repository;
            repository.set_version("targets", 3);
            let json = sign(&repository.roles["targets"], &repository.signers["targets"]);
            repository
                .files
                .insert("metadata/2.targets.json".to_owned(), json);
            story.refuses("3 for 2", "version 3 instead of 2");
            assert_eq!(story.trusts(), "root 1, snapshot 1, timestamp 1");
        }),
        ("of another hash", |story| {
            story.repository.described = true;
            all_of(story).publish();
            story.repository.role("snapshot")["meta"]["targets.json"]["hashes"]["sha256"] =
                json!("00".repeat(32));
            story.repository.publish_snapshot();
            story.refuses("zeros", "its sha256 is");
            assert_eq!(story.trusts(), "root 1, snapshot 2, timestamp 2");
        }),
        ("expired", |story| {
            all_of(story).expires("targets", -1).publish();
            story.refuses("expired", "targets version 2 of the TUF repository expired");
            assert_eq!(story.trusts(), "root 1, snapshot 2, timestamp 2");
        }),
        ("signed by too few", |story| {
            let keys = [Key::new(), Key::new(), Key::new()];
            story
                .repository
                .set_keys("targets", &keys, 2)
                .next_root(&[]);
            story
                .repository
                .signers
                .insert("targets".to_owned(), keys[..1].to_vec());
            all_of(story).publish();
            story.refuses("one of two", "1 valid signatures of the 2");
            story
                .repository
                .signers
                .insert("targets".to_owned(), keys[1..].to_vec());
            story.repository.publish();
            story.accepts("two of three");
        }),
        ("without consistent snapshots", |story| {
            story.repository.role("root")["consistent_snapshot"] = json!(false);
            story.repository.target("targets", "file", b"content");
            story.repository.next_root(&[]);
            all_of(story).publish();
            let asked = story.asked(|story| story.downloads(&["file"]));
            let last = [
                "metadata/timestamp.json",
                "metadata/snapshot.json",
                "metadata/targets.json",
                "targets/file",
            ];
            assert_eq!(asked[2..], last);
            // And back again.
            story.repository.role("root")["consistent_snapshot"] = json!(true);
            story.repository.next_root(&[]);
            all_of(story).publish();
            let asked = story.asked(|story| story.accepts("consistent"));
            assert_eq!(asked[3], "metadata/3.snapshot.json");
        }),
        ("where root says nothing of consistency", |story| {
            let root = story.repository.role("root");
            root.as_object_mut().unwrap().remove("consistent_snapshot");
            story.repository.next_root(&[]);
            story.repository.publish();
            let asked = story.asked(|story| story.accepts("not consistent"));
            assert!(
                asked.contains(&"metadata/snapshot.json".to_owned()),
                "{asked:?}"
            );
        }),
    ]);
}

#[test]
fn what_lies_in_the_cache_is_not_believed_for_lying_there() {
    for role in ["timestamp", "snapshot", "targets"] {
        for (what, content) in [
            ("nothing", &b""[..]),
            ("garbage", b"{\"signed\": {}}"),
            ("too much", &[b' '; 9 << 20]),
        ] {
            println!("case: {role}, {what}");
            let story = Story::new();
            story.accepts("at first");
            for client in ["ours", "reference"] {
                story.write(&format!("{client}/metadata/{role}.json"), content);
            }
            story.accepts(what);
            assert_eq!(story.trusts(), "root 1, snapshot 1, targets 1, timestamp 1");
        }
    }
    // Another one's metadata, with a higher version.
    let mut story = Story::new();
    story.accepts("at first");
    story.repository.set_version("timestamp", 50);
    let forged = sign(&story.repository.roles["timestamp"], &[Key::new()]);
    for client in ["ours", "reference"] {
        story.write(&format!("{client}/metadata/timestamp.json"), &forged);
    }
    story.repository.set_version("timestamp", 2).publish();
    story.accepts("a forged timestamp does not bind");
}
