//! What every [`Storage`] must do: one suite for all implementations.

use super::{CommitError, Object, Storage};
use crate::Error;

/// A storage that can be opened again: what a restart does.
pub trait Reopen {
    /// What is tested.
    type Storage: Storage;

    /// Opens it; the one before was dropped. The first time, it is empty.
    fn open(&mut self) -> Self::Storage;
}

/// Runs the suite. It panics where the storage does not keep the contract, and is meant for tests.
///
/// # Panics
/// See above.
pub fn check(storage: &mut impl Reopen) {
    empty(&storage.open());
    journal_keeps_its_order(storage);
    a_number_is_given_once(&storage.open());
    objects_stay(storage);
    what_is_forgotten_is_missed(storage);
}

fn records(storage: &impl Storage, from: u64) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    let result = storage.replay(from, &mut |number, record| {
        found.push((number, record.to_vec()));
        Ok(())
    });
    assert!(result.is_ok(), "replay from {from}: {result:?}");
    found
}

fn empty(storage: &impl Storage) {
    assert_eq!(records(storage, 1), []);
    assert!(matches!(storage.get("snapshot"), Ok(None)));
    assert!(matches!(storage.get("public/none/tile/0/000"), Ok(None)));
}

fn journal_keeps_its_order(storage: &mut impl Reopen) {
    let bodies: Vec<Vec<u8>> = vec![
        b"one".to_vec(),
        Vec::new(),
        vec![3; 100_000],
        b"four".to_vec(),
    ];
    let opened = storage.open();
    for (number, body) in (1..).zip(&bodies) {
        let committed = opened.commit(number, body);
        assert!(committed.is_ok(), "{committed:?}");
    }
    let all: Vec<(u64, Vec<u8>)> = (1..).zip(bodies).collect();
    assert_eq!(records(&opened, 1), all);
    drop(opened);
    let opened = storage.open();
    assert_eq!(records(&opened, 1), all);
    assert_eq!(records(&opened, 3), all[2..]);
    assert_eq!(records(&opened, 5), []);
    let stop = opened.replay(1, &mut |_, _| Err(Error::Closed));
    assert!(matches!(stop, Err(Error::Closed)));
}

fn a_number_is_given_once(storage: &impl Storage) {
    for number in [4, 6] {
        let result = storage.commit(number, b"another");
        assert!(matches!(result, Err(CommitError::Unknown(_))), "{result:?}");
    }
}

fn object(name: &str, bytes: &[u8]) -> Object {
    Object {
        name: name.to_owned(),
        bytes: bytes.to_vec(),
    }
}

fn objects_stay(storage: &mut impl Reopen) {
    let opened = storage.open();
    let tiles: Vec<Object> = (0..20u8)
        .map(|n| object(&format!("public/a/tile/0/x001/{n:03}"), &[n; 9000]))
        .collect();
    assert!(opened.put(&tiles).is_ok());
    assert!(
        opened.put(&tiles[3..5]).is_ok(),
        "again, with the same bytes"
    );
    for changed in [&b"other"[..], &[3; 8999]] {
        let result = opened.put(&[object(&tiles[3].name, changed)]);
        assert!(matches!(result, Err(Error::Damaged { .. })), "{result:?}");
    }
    for bytes in [&b"first"[..], b"second, longer", b""] {
        assert!(
            opened
                .replace(&object("public/a/checkpoint", bytes))
                .is_ok()
        );
        let found = opened.get("public/a/checkpoint");
        assert!(
            matches!(&found, Ok(Some(found)) if found == bytes),
            "{found:?}"
        );
    }
    drop(opened);
    let opened = storage.open();
    for tile in &tiles {
        let found = opened.get(&tile.name);
        assert!(matches!(&found, Ok(Some(found)) if *found == tile.bytes));
    }
}

fn what_is_forgotten_is_missed(storage: &mut impl Reopen) {
    let opened = storage.open();
    // Enough for any storage that forgets in larger pieces.
    for number in 5..30 {
        assert!(opened.commit(number, &vec![7; 1 << 20]).is_ok());
    }
    assert!(opened.forget(28).is_ok());
    drop(opened);
    let opened = storage.open();
    assert_eq!(records(&opened, 28).len(), 2);
    assert!(opened.commit(30, b"goes on").is_ok());
    let missing = opened.replay(1, &mut |_, _| Ok(()));
    assert!(matches!(missing, Err(Error::Damaged { .. })), "{missing:?}");
    let ahead = opened.replay(40, &mut |_, _| Ok(()));
    assert!(matches!(ahead, Err(Error::Damaged { .. })), "{ahead:?}");
}
