//! Delegated roles: who is asked for a target, in which order, and by whose word (5.6.7).

use serde_json::json;

use crate::play;
use crate::repository::{Key, Repository, sign};
use crate::story::Story;

fn any() -> serde_json::Value {
    json!({"paths": ["*"]})
}

#[test]
fn delegated_targets_are_found() {
    play(&[
        ("by one role", |story| {
            story.repository.delegate("targets", "role", any());
            story
                .repository
                .target("role", "file", b"content")
                .publish();
            let asked = story.asked(|story| story.downloads(&["file"]));
            assert!(
                asked.contains(&"metadata/1.role.json".to_owned()),
                "{asked:?}"
            );
            assert!(story.trusts().contains("role 1"), "{}", story.trusts());
            assert_eq!(story.downloaded()["file"], b"content");
            // Neither metadata nor the target is fetched again.
            let asked = story.asked(|story| story.downloads(&["file"]));
            assert_eq!(asked, ["metadata/2.root.json", "metadata/timestamp.json"]);
        }),
        ("by none", |story| {
            story.repository.delegate("targets", "role", any());
            story.repository.publish();
            story.does_not_download(&["file"], "has no target file");
            assert!(story.downloaded().is_empty());
        }),
        ("not of the roles that are not asked", |story| {
            story
                .repository
                .delegate("targets", "role", json!({"paths": ["other*"]}));
            story
                .repository
                .target("role", "file", b"content")
                .publish();
            let asked = story.asked(|story| story.does_not_download(&["file"], "has no target"));
            assert!(
                !asked.contains(&"metadata/1.role.json".to_owned()),
                "{asked:?}"
            );
        }),
        ("of the most trusted role", |story| {
            for (role, content) in [("first", &b"one"[..]), ("second", b"two")] {
                story.repository.delegate("targets", role, any());
                story.repository.target(role, "file", content);
            }
            story.repository.publish();
            story.downloads(&["file"]);
            assert_eq!(story.downloaded()["file"], b"one");
            story
                .repository
                .target("targets", "file", b"zero")
                .bump("targets");
            story
                .repository
                .bump("snapshot")
                .bump("timestamp")
                .publish();
            story.downloads(&["file"]);
            assert_eq!(story.downloaded()["file"], b"zero");
        }),
        ("depth first, and by no detour", |story| {
            let repository = &mut story.repository;
            for (from, to, terminating) in [
                ("targets", "A", false),
                ("targets", "B", false),
                ("A", "C", false),
                ("A", "D", true),
                ("A", "E", false),
                ("C", "A", false),
            ] {
                repository.delegate(
                    from,
                    to,
                    json!({"paths": ["*"], "terminating": terminating}),
                );
            }
            repository
                .target("B", "file", b"b")
                .target("E", "file", b"e")
                .publish();
            let asked = story.asked(|story| story.does_not_download(&["file"], "has no target"));
            let roles: Vec<&str> = asked[4..].iter().map(String::as_str).collect();
            assert_eq!(
                roles,
                [
                    "metadata/1.A.json",
                    "metadata/1.C.json",
                    "metadata/1.D.json"
                ]
            );
        }),
        (
            "at the end of a long way, and not of a longer one",
            |story| {
                let mut from = "targets".to_owned();
                for at in 1..=33 {
                    let name = format!("role{at}");
                    story.repository.delegate(&from, &name, any());
                    from = name;
                }
                story.repository.target("role32", "near", b"near");
                story.repository.target("role33", "far", b"far").publish();
                story.downloads(&["near"]);
                story.does_not_download(&["far"], "has no target far");
            },
        ),
        ("by the beginning of the path's hash", |story| {
            // SHA-256 of "file" begins with 3b9c, that of "other" with d9298.
            let bin = |prefixes: &[&str]| json!({"path_hash_prefixes": prefixes});
            story
                .repository
                .delegate("targets", "low", bin(&["0", "1", "2", "3a", "3b"]));
            story
                .repository
                .delegate("targets", "high", bin(&["d9", "f"]));
            story
                .repository
                .target("low", "file", b"low")
                .target("high", "file", b"wrong");
            story.repository.target("high", "other", b"high").publish();
            story.downloads(&["file", "other"]);
            assert_eq!(story.downloaded()["file"], b"low");
            assert_eq!(story.downloaded()["other"], b"high");
        }),
        ("in bins that only their number describes", |story| {
            let key = Key::new();
            story.repository.role("targets")["delegations"] = json!({
                "keys": {&key.id: key.json},
                "succinct_roles": {
                    "keyids": [&key.id], "threshold": 1, "bit_length": 10, "name_prefix": "bin",
                },
            });
            // 3b9c: the first ten bits are 0ee; d929: 364.
            for name in ["bin-0ee", "bin-364"] {
                story
                    .repository
                    .add_targets_role(name, std::slice::from_ref(&key));
            }
            story.repository.target("bin-0ee", "file", b"one");
            story
                .repository
                .target("bin-364", "other", b"two")
                .publish();
            story.downloads(&["file", "other"]);
            assert_eq!(story.downloaded().len(), 2);
            story.does_not_download(&["third"], "");
        }),
    ]);
}

#[test]
fn delegated_roles_are_verified_as_the_others() {
    play(&[
        ("signed by a stranger", |story| {
            story.repository.delegate("targets", "role", any());
            story
                .repository
                .signers
                .insert("role".to_owned(), vec![Key::new()]);
            story
                .repository
                .target("role", "file", b"content")
                .publish();
            story.does_not_download(&["file"], "the targets role \"role\" version 1");
            assert!(!story.trusts().contains("role 1"), "{}", story.trusts());
            assert!(story.downloaded().is_empty());
        }),
        ("by too few, and by one key under two names", |story| {
            let [one, two] = [Key::new(), Key::new()];
            let keys = [one.clone(), two.clone()];
            story
                .repository
                .delegate_to("targets", "role", any(), &keys, 2);
            story
                .repository
                .signers
                .insert("role".to_owned(), vec![one.clone()]);
            story
                .repository
                .target("role", "file", b"content")
                .publish();
            story.does_not_download(&["file"], "1 valid signatures of the 2");
            story
                .repository
                .signers
                .insert("role".to_owned(), keys.to_vec());
            story.repository.publish();
            story.downloads(&["file"]);
        }),
        ("expired", |story| {
            story.repository.delegate("targets", "role", any());
            story
                .repository
                .target("role", "file", b"content")
                .expires("role", -1)
                .publish();
            story.accepts("nobody has asked for it yet");
            story.does_not_download(&["file"], "expired");
        }),
        ("of another version than the snapshot's", |story| {
            story.repository.delegate("targets", "role", any());
            story
                .repository
                .target("role", "file", b"content")
                .publish();
            let repository = &mut story.repository;
            repository.set_version("role", 2);
            let json = sign(&repository.roles["role"], &repository.signers["role"]);
            repository
                .files
                .insert("metadata/1.role.json".to_owned(), json);
            story.does_not_download(&["file"], "version 2 instead of 1");
        }),
        ("of another hash than the snapshot's", |story| {
            story.repository.described = true;
            story.repository.delegate("targets", "role", any());
            story
                .repository
                .target("role", "file", b"content")
                .publish();
            story
                .repository
                .tamper("metadata/1.role.json", |text| format!("{text} "));
            story.does_not_download(&["file"], "larger than");
        }),
        ("not in the snapshot", |story| {
            story.repository.delegate("targets", "role", any());
            story
                .repository
                .target("role", "file", b"content")
                .publish();
            let meta = &mut story.repository.role("snapshot")["meta"];
            meta.as_object_mut().unwrap().remove("role.json");
            story.repository.publish_snapshot();
            story.does_not_download(&["file"], "it does not describe \"role\"");
        }),
        ("not on the server", |story| {
            story.repository.delegate("targets", "role", any());
            story.repository.delegate("targets", "other", any());
            story
                .repository
                .target("other", "file", b"content")
                .publish();
            story.repository.files.remove("metadata/1.role.json");
            story.does_not_download(&["file"], "has no 1.role.json");
        }),
        ("of another type", |story| {
            story.repository.delegate("targets", "role", any());
            story.repository.role("role")["_type"] = json!("role");
            story.repository.publish();
            story.does_not_download(&["file"], "its _type is \"role\"");
        }),
        ("with a new key of the delegation", |story| {
            story.repository.delegate("targets", "role", any());
            story
                .repository
                .target("role", "file", b"content")
                .publish();
            story.downloads(&["file"]);
            story.repository.role("targets")["delegations"] = json!(null);
            story.repository.roles.remove("role");
            story.repository.delegate("targets", "role", any());
            story
                .repository
                .target("role", "file", b"other content")
                .bump("targets");
            story
                .repository
                .bump("role")
                .bump("snapshot")
                .bump("timestamp")
                .publish();
            story.downloads(&["file"]);
            assert_eq!(story.downloaded()["file"], b"other content");
        }),
        ("by the one that leads to it, not by another", |story| {
            // Both delegate to C, with other keys; A comes first, so that its word counts.
            story.repository.delegate("targets", "A", any());
            story.repository.delegate("targets", "B", any());
            story.repository.delegate("A", "C", any());
            let b = Key::new();
            story
                .repository
                .delegate_to("B", "C", any(), std::slice::from_ref(&b), 1);
            story.repository.signers.insert("C".to_owned(), vec![b]);
            story.repository.target("C", "file", b"content").publish();
            story.does_not_download(&["file"], "that the targets role \"A\" demands");
        }),
    ]);
}

#[test]
fn delegations_of_another_form_are_refused() {
    type Change = fn(&mut serde_json::Value);
    let cases: &[(&str, Change, &str)] = &[
        (
            "a top-level name",
            |d| d["roles"][0]["name"] = json!("snapshot"),
            "only root may name",
        ),
        (
            "no name",
            |d| d["roles"][0]["name"] = json!(""),
            "only root may name",
        ),
        (
            "threshold 0",
            |d| d["roles"][0]["threshold"] = json!(0),
            "its threshold is 0",
        ),
        (
            "two of one name",
            |d| {
                let role = d["roles"][0].clone();
                d["roles"].as_array_mut().unwrap().push(role);
            },
            "there are two of this name",
        ),
        (
            "paths and hashes",
            |d| d["roles"][0]["path_hash_prefixes"] = json!(["0"]),
            "both paths and path_hash_prefixes",
        ),
        (
            "roles and bins",
            |d| {
                d["succinct_roles"] =
                    json!({"keyids": [], "threshold": 1, "bit_length": 1, "name_prefix": "b"});
            },
            "both to roles and to succinct_roles",
        ),
        (
            "bins of no bits",
            |d| {
                *d = json!({"keys": {}, "succinct_roles":
                    {"keyids": [], "threshold": 1, "bit_length": 0, "name_prefix": "b"}});
            },
            "bit_length 0 is not 1 to 32",
        ),
        (
            "bins of too many bits",
            |d| {
                *d = json!({"keys": {}, "succinct_roles":
                    {"keyids": [], "threshold": 1, "bit_length": 33, "name_prefix": "b"}});
            },
            "bit_length 33 is not 1 to 32",
        ),
    ];
    for (what, change, reason) in cases {
        println!("case: {what}");
        let mut repository = Repository::new();
        repository.delegate("targets", "role", any());
        change(&mut repository.role("targets")["delegations"]);
        repository.publish();
        let story = Story::of(repository);
        story.refuses(what, reason);
        assert_eq!(story.trusts(), "root 1, snapshot 1, timestamp 1");
    }
}
