//! Root: the way from the trusted one to the newest (5.3).

use serde_json::json;

use crate::play;
use crate::repository::{Key, in_days};

#[test]
fn the_way_to_the_newest_root() {
    play(&[
        ("nothing new", |story| {
            let asked = story.asked(|story| story.accepts("first"));
            let wanted = [
                "metadata/2.root.json",
                "metadata/timestamp.json",
                "metadata/1.snapshot.json",
                "metadata/1.targets.json",
            ];
            assert_eq!(asked, wanted);
            assert_eq!(story.trusts(), "root 1, snapshot 1, targets 1, timestamp 1");
            // Nothing is fetched twice but what may have changed.
            let asked = story.asked(|story| story.accepts("again"));
            assert_eq!(asked, wanted[..2]);
        }),
        ("many roots, one by one", |story| {
            for _ in 0..6 {
                story.repository.next_root(&[]);
            }
            let asked = story.asked(|story| story.accepts("seven roots"));
            let roots: Vec<&String> = asked.iter().filter(|path| path.contains("root")).collect();
            assert_eq!(roots.first().unwrap().as_str(), "metadata/2.root.json");
            assert_eq!(roots.last().unwrap().as_str(), "metadata/8.root.json");
            assert_eq!(roots.len(), 7);
            assert!(story.trusts().starts_with("root 7,"), "{}", story.trusts());
            let asked = story.asked(|story| story.accepts("from the newest"));
            assert_eq!(asked[0], "metadata/8.root.json");
        }),
        (
            "a root that has expired matters only as the last",
            |story| {
                story.repository.expires("root", -1).next_root(&[]);
                story.repository.expires("root", 10).next_root(&[]);
                story.accepts("an expired one on the way");
                story.repository.expires("root", -1).next_root(&[]);
                story.refuses(
                    "an expired one at the end",
                    "root version 4 of the TUF repository expired",
                );
                // It is the newest, and is kept.
                assert!(story.trusts().starts_with("root 4,"), "{}", story.trusts());
                story.repository.expires("root", 10).next_root(&[]);
                story.accepts("renewed");
            },
        ),
        ("the root to begin with may have expired", |story| {
            story.repository.expires("root", -100).publish_root();
            story.trust(&story.repository.root_json(1));
            story.refuses("alone", "expired");
            story.repository.expires("root", 10).next_root(&[]);
            story.accepts("with a successor");
        }),
        ("what was checked before a fault is kept", |story| {
            story.repository.next_root(&[]);
            story.repository.next_root(&[]);
            story.repository.tamper("metadata/3.root.json", |text| {
                text.replace("1.0.31", "1.0.32")
            });
            story.refuses("a fault in the third", "0 valid signatures");
            assert_eq!(story.trusts(), "root 2");
            story.repository.publish_root();
            story.accepts("the third mended");
        }),
        ("no more than 256 in one update", |story| {
            for _ in 0..257 {
                story.repository.next_root(&[]);
            }
            story.differs("the reference client needs minutes for this");
            story.accepts("the first 256");
            assert!(
                story.trusts().starts_with("root 257,"),
                "{}",
                story.trusts()
            );
            story.accepts("and the rest");
            assert!(
                story.trusts().starts_with("root 258,"),
                "{}",
                story.trusts()
            );
        }),
        ("the trusted root must sign itself", |story| {
            let other = Key::new();
            story
                .repository
                .signers
                .insert("root".to_owned(), vec![other]);
            story.repository.publish_root();
            story.trust(&story.repository.root_json(1));
            story.refuses("signed by a stranger", "0 valid signatures of the 1");
        }),
        ("something else than a root", |story| {
            for (what, json) in [
                ("nothing", &b""[..]),
                ("an object", b"{}"),
                ("a list", b"[]"),
                ("no JSON", b"root"),
            ] {
                story.trust(json);
                story.refuses(what, "the pinned root of the TUF repository is not valid");
            }
            let timestamp = story.repository.files["metadata/timestamp.json"].clone();
            story.trust(&timestamp);
            story.refuses("a timestamp", "");
        }),
    ]);
}

#[test]
fn versions_are_not_skipped() {
    play(&[
        ("version 3 as the second", |story| {
            story.repository.set_version("root", 3).publish_root();
            let third = story.repository.root_json(3);
            story
                .repository
                .files
                .insert("metadata/2.root.json".to_owned(), third);
            story.refuses(
                "3 for 2",
                "2.root.json is not the file that its name describes",
            );
            assert_eq!(story.trusts(), "root 1");
        }),
        ("the same version again", |story| {
            let first = story.repository.root_json(1);
            story
                .repository
                .files
                .insert("metadata/2.root.json".to_owned(), first);
            story.refuses("1 for 2", "it is version 1");
        }),
        ("version 0", |story| {
            story.repository.set_version("root", 0).publish_root();
            let zero = story.repository.root_json(0);
            story
                .repository
                .files
                .insert("metadata/2.root.json".to_owned(), zero);
            story.refuses("0 for 2", "");
        }),
        ("an old root as the next", |story| {
            story.repository.next_root(&[]);
            story.accepts("the second");
            let first = story.repository.root_json(1);
            story
                .repository
                .files
                .insert("metadata/3.root.json".to_owned(), first);
            story.refuses("1 for 3", "it is version 1");
            assert!(story.trusts().starts_with("root 2,"));
        }),
    ]);
}

#[test]
fn roots_of_another_form_are_refused() {
    play(&[
        ("threshold 0", |story| {
            story.repository.role("root")["roles"]["snapshot"]["threshold"] = json!(0);
            story.repository.next_root(&[]);
            story.refuses("threshold 0", "its threshold is 0");
        }),
        ("a key id twice", |story| {
            let ids = &mut story.repository.role("root")["roles"]["targets"]["keyids"];
            let id = ids[0].clone();
            ids.as_array_mut().unwrap().push(id);
            story.repository.next_root(&[]);
            story.refuses("a key id twice", "a key id is listed twice");
        }),
        ("a role missing", |story| {
            let roles = &mut story.repository.role("root")["roles"];
            roles.as_object_mut().unwrap().remove("snapshot");
            story.repository.next_root(&[]);
            story.refuses("a role missing", "the role snapshot is missing");
        }),
        ("another major version of the specification", |story| {
            for version in ["2.0.0", "0.1.0", "1", "1.x", "1.0.0.0", ""] {
                story.repository.role("root")["spec_version"] = json!(version);
                story.repository.next_root(&[]);
                story.refuses(version, "its spec_version is");
                story.repository.set_version("root", 1);
            }
            story.repository.role("root")["spec_version"] = json!("1.99");
            story.repository.next_root(&[]);
            story.accepts("1.99");
        }),
        ("no date", |story| {
            story.repository.role("root")["expires"] = json!("tomorrow");
            story.repository.next_root(&[]);
            story.refuses("tomorrow", "expires \"tomorrow\"");
        }),
        ("a number that is no integer", |story| {
            story.repository.role("root")["x"] = json!(1.5);
            story.repository.next_root(&[]);
            story.refuses("1.5", "a number that is no integer");
        }),
        ("fields that nobody knows are signed, too", |story| {
            let root = story.repository.role("root");
            root["x-new"] = json!({"b": [1, -2, null, true], "a": "\"\\é\u{1F511}\n", "": {}});
            root["keys"]
                .as_object_mut()
                .unwrap()
                .values_mut()
                .for_each(|key| {
                    key["x-owner"] = json!("@someone");
                });
            root["roles"]["root"]["x-portions"] = json!(7);
            root["expires"] = json!(in_days(5));
            story.repository.next_root(&[]);
            story.accepts("unknown fields");
            story.repository.next_root(&[]);
            story.repository.tamper("metadata/3.root.json", |text| {
                text.replace("@someone", "@another")
            });
            story.refuses("one changed", "0 valid signatures");
        }),
        ("two signatures by one id", |story| {
            let key = story.repository.signers["root"][0].clone();
            story.repository.bump("root");
            story
                .repository
                .signers
                .insert("root".to_owned(), vec![key.clone(), key]);
            story.repository.publish_root();
            story.refuses("two of one", "two signatures have the same key id");
        }),
    ]);
}
