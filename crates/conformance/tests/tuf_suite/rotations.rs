//! Keys that change: root's own, those of the other roles, and what an attacker did who had one (5.3.4, 5.3.11).

use crate::play;
use crate::repository::Key;
use crate::story::Story;

/// Which keys sign, as in the table of the reference client's own tests: keys, threshold, signers, and whether it is
/// accepted, for each version of root.
type Version<'a> = (&'a [usize], u64, &'a [usize], bool);

#[test]
fn root_keys_change_by_the_word_of_the_old_ones() {
    let cases: &[(&str, &[Version<'_>])] = &[
        ("one key", &[(&[1], 1, &[1], true)]),
        ("one key, unsigned", &[(&[1], 1, &[], false)]),
        ("one key, another's signature", &[(&[1], 1, &[2], false)]),
        (
            "one key, and another's signature",
            &[(&[1], 1, &[1, 2], true)],
        ),
        ("threshold of two keys", &[(&[1, 2], 2, &[1, 2], true)]),
        ("one of two", &[(&[1, 2], 2, &[1], false)]),
        ("one key twice", &[(&[1, 2], 2, &[2], false)]),
        ("any two of three", &[(&[1, 2, 3], 2, &[1, 3], true)]),
        ("more than there are", &[(&[1], 2, &[1], false)]),
        (
            "a new key",
            &[(&[1], 1, &[1], true), (&[2], 1, &[2, 1], true)],
        ),
        (
            "a new key alone",
            &[(&[1], 1, &[1], true), (&[2], 1, &[2], false)],
        ),
        (
            "an old key alone",
            &[(&[1], 1, &[1], true), (&[2], 1, &[1], false)],
        ),
        (
            "a higher threshold",
            &[(&[1, 2, 3], 1, &[1], true), (&[1, 2, 3], 2, &[1, 2], true)],
        ),
        (
            "a higher threshold not met",
            &[(&[1, 2, 3], 1, &[1], true), (&[1, 2, 3], 2, &[1], false)],
        ),
        (
            "a lower threshold, with the old one met",
            &[(&[1, 2], 2, &[1, 2], true), (&[1, 2], 1, &[1, 2], true)],
        ),
        (
            "a lower threshold, without",
            &[(&[1, 2], 2, &[1, 2], true), (&[1, 2], 1, &[1], false)],
        ),
        (
            "two of three exchanged",
            &[
                (&[1, 2, 3], 2, &[1, 2], true),
                (&[3, 4, 5], 2, &[1, 3, 4], true),
            ],
        ),
        (
            "two of three exchanged, old threshold missed",
            &[
                (&[1, 2, 3], 2, &[1, 2], true),
                (&[3, 4, 5], 2, &[3, 4], false),
            ],
        ),
        (
            "on and on",
            &[
                (&[1], 1, &[1], true),
                (&[2], 1, &[1, 2], true),
                (&[3, 4], 2, &[2, 3, 4], true),
                (&[1], 1, &[1, 3, 4], true),
                (&[5], 1, &[1], false),
            ],
        ),
    ];
    for (name, versions) in cases {
        println!("case: {name}");
        let keys: Vec<Key> = (0..6).map(|_| Key::new()).collect();
        let of = |ids: &[usize]| -> Vec<Key> { ids.iter().map(|id| keys[*id].clone()).collect() };
        let mut story = Story::new();
        // The first is trusted because it is given.
        let mut trusted = 0;
        for (at, (role, threshold, signers, good)) in versions.iter().enumerate() {
            let repository = &mut story.repository;
            repository.set_keys("root", &of(role), *threshold);
            repository.signers.insert("root".to_owned(), of(signers));
            repository.set_version("root", at as u64 + 1).publish_root();
            if at == 0 {
                story.trust(&story.repository.root_json(1));
            }
            match good {
                true => {
                    story.accepts(name);
                    trusted = at + 1;
                }
                false => story.refuses(name, "valid signatures of the"),
            }
            if trusted > 0 {
                let starts = format!("root {trusted},");
                assert!(
                    story.trusts().starts_with(&starts),
                    "{name}: {}",
                    story.trusts()
                );
            }
        }
    }
}

#[test]
fn other_roles_keys_change_with_the_root() {
    for role in ["timestamp", "snapshot", "targets"] {
        println!("role: {role}");
        let mut story = Story::new();
        story.accepts("at first");
        let old = story.repository.signers[role].clone();
        // Root names a new key, but the old one signs.
        story
            .repository
            .set_keys(role, &[Key::new()], 1)
            .next_root(&[]);
        let new = story
            .repository
            .signers
            .insert(role.to_owned(), old)
            .unwrap();
        for bumped in ["targets", "snapshot", "timestamp"] {
            story.repository.bump(bumped);
        }
        story.repository.publish();
        if role != "targets" {
            story.differs("the reference client does not delete timestamp and snapshot (5.3.11)");
        }
        story.refuses("the old key", &format!("{role} version 2"));
        story.repository.signers.insert(role.to_owned(), new);
        story.repository.publish();
        story.accepts("the new key");
        assert_eq!(story.trusts(), "root 2, snapshot 2, targets 2, timestamp 2");
    }
}

#[test]
fn versions_that_an_attacker_raised_go_back_with_new_keys() {
    play(&[
        ("timestamp", |story| {
            story.repository.set_version("timestamp", 99_999).publish();
            story.accepts("raised");
            story.repository.set_version("timestamp", 2).publish();
            story.refuses("without new keys", "went back from version 99999 to 2");
            story.repository.set_keys("timestamp", &[Key::new()], 1);
            story.repository.next_root(&[]).publish();
            story.accepts("with new keys");
            assert_eq!(story.trusts(), "root 2, snapshot 1, targets 1, timestamp 2");
        }),
        ("snapshot", |story| {
            story.repository.set_version("snapshot", 99_999).publish();
            story.accepts("raised");
            story
                .repository
                .bump("timestamp")
                .set_version("snapshot", 2)
                .publish();
            story.refuses(
                "without new keys",
                "snapshot of the TUF repository went back",
            );
            for role in ["timestamp", "snapshot"] {
                story.repository.set_keys(role, &[Key::new()], 1);
            }
            story.repository.next_root(&[]).publish();
            story.accepts("with new keys");
            assert_eq!(story.trusts(), "root 2, snapshot 2, targets 1, timestamp 2");
        }),
        ("snapshot, by its own key alone", |story| {
            story.repository.set_version("snapshot", 99_999).publish();
            story.accepts("raised");
            story.differs("the reference client keeps the timestamp, against 5.3.11");
            story
                .repository
                .bump("timestamp")
                .set_version("snapshot", 2);
            story.repository.set_keys("snapshot", &[Key::new()], 1);
            story.repository.next_root(&[]).publish();
            story.accepts("with a new key");
            assert_eq!(story.trusts(), "root 2, snapshot 2, targets 1, timestamp 2");
        }),
        ("targets", |story| {
            story.repository.set_version("targets", 99_999).publish();
            story.accepts("raised");
            story.repository.bump("timestamp").bump("snapshot");
            story.repository.set_version("targets", 2).publish();
            story.refuses(
                "without new keys",
                "\"targets.json\" of the TUF repository went back",
            );
            story.repository.set_keys("snapshot", &[Key::new()], 1);
            story
                .repository
                .next_root(&[])
                .bump("timestamp")
                .bump("snapshot")
                .publish();
            story.accepts("with a new key of snapshot");
            assert!(story.trusts().contains("targets 2"), "{}", story.trusts());
        }),
        ("an update that ends between does not forget it", |story| {
            story.repository.set_version("timestamp", 99_999).publish();
            story.accepts("raised");
            let [kept, stolen] = [Key::new(), Key::new()];
            story.differs("the reference client has no such step");
            // Both keys have signed it, one of them stays: it would still be trusted.
            story
                .repository
                .set_keys("timestamp", &[kept.clone(), stolen], 1);
            story
                .repository
                .next_root(&[])
                .set_version("timestamp", 100_000)
                .publish();
            story.accepts("raised, with both keys");
            story
                .repository
                .set_keys("timestamp", &[kept], 1)
                .next_root(&[]);
            story.repository.files.remove("metadata/timestamp.json");
            story.refuses("without a timestamp", "has no timestamp.json");
            assert_eq!(story.trusts(), "root 3, targets 1");
            story.repository.set_version("timestamp", 2).publish();
            story.accepts("the next time");
        }),
        ("a key more is no reason to go back", |story| {
            story.repository.set_version("timestamp", 7).publish();
            story.accepts("at first");
            let mut keys = story.repository.signers["timestamp"].clone();
            keys.push(Key::new());
            story
                .repository
                .set_keys("timestamp", &keys, 1)
                .next_root(&[]);
            story.repository.set_version("timestamp", 6).publish();
            story.refuses("a key more", "went back from version 7 to 6");
        }),
    ]);
}
