//! What the fuzz targets reach of this module's parsers; see `fuzz/`.

use std::sync::LazyLock;

use super::metadata::{Role, Unverified};
use super::root::{Root, RootBody};
use super::snapshot::SnapshotBody;
use super::targets::TargetsBody;
use super::timestamp::TimestampBody;

/// The embedded root, where trust begins.
pub const EMBEDDED_ROOT: &[u8] = super::EMBEDDED_ROOT;

static ROOT: LazyLock<Root> =
    LazyLock::new(|| Root::pinned(EMBEDDED_ROOT).expect("the embedded root signs itself"));

/// What is signed in the embedded root.
static MESSAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let document = Unverified::parse("root", EMBEDDED_ROOT).expect("the embedded root parses");
    document.message
});

/// What became of a document.
#[derive(Debug)]
pub struct Taken {
    /// It is well-formed metadata of some role.
    pub read: bool,
    /// The embedded root's keys signed it.
    pub trusted: bool,
    /// What is signed in it is what is signed in the embedded root.
    pub same_content: bool,
}

/// Takes a document for metadata of every role.
pub fn metadata(json: &[u8]) -> Taken {
    let root = &*ROOT;
    let document = Unverified::parse("document", json);
    // Whoever signs it itself is well formed, and trusted by nobody for it.
    if let Err(error) = Root::pinned(json) {
        assert!(error.to_string().len() < 8000, "an error that is too long");
    }
    let of = |document: &Unverified| {
        fn reads<T: Role>(document: &Unverified) -> bool {
            document.claims::<T>("role").is_ok()
        }
        reads::<RootBody>(document)
            || reads::<TimestampBody>(document)
            || reads::<SnapshotBody>(document)
            || reads::<TargetsBody>(document)
    };
    Taken {
        read: document.as_ref().is_ok_and(of),
        trusted: root.next(json).is_ok()
            || root.verify::<RootBody>(json).is_ok()
            || root.verify::<TimestampBody>(json).is_ok()
            || root.verify::<SnapshotBody>(json).is_ok()
            || root.verify::<TargetsBody>(json).is_ok(),
        same_content: document.is_ok_and(|document| document.message == *MESSAGE),
    }
}
