//! The vectors of transparency-dev/merkle: every file is a proof that must be accepted or refused.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_tlog::merkle::{
    leaf_hash, verify_consistency, verify_inclusion, verify_subtree_consistency,
    verify_subtree_inclusion,
};
use sealmark_tlog::{Error, Hash};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<Option<String>>>,
    #[serde(rename = "desc")]
    _desc: String,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SubtreeInclusion {
    leaf_idx: u64,
    start: u64,
    end: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<Option<String>>>,
    #[serde(rename = "desc")]
    _desc: String,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<Option<String>>>,
    #[serde(rename = "desc")]
    _desc: String,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SubtreeConsistency {
    start: u64,
    end: u64,
    size: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<Option<String>>>,
    #[serde(rename = "desc")]
    _desc: String,
    want_err: bool,
}

/// `None` if it is not 32 bytes; the type `Hash` holds no others, so such a case is refused before any check.
fn hash(base64: &str) -> Option<Hash> {
    Hash::try_from(STANDARD.decode(base64).unwrap().as_slice()).ok()
}

/// As [`hash`], but some cases have a text instead of a root, where only equality matters; another hash stands in.
fn any_hash(base64: &str) -> Hash {
    hash(base64).unwrap_or_else(|| leaf_hash(base64.as_bytes()))
}

fn proof(hashes: Option<Vec<Option<String>>>) -> Vec<Hash> {
    let hash = |hash: &Option<String>| any_hash(hash.as_deref().unwrap_or(""));
    hashes.iter().flatten().map(hash).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

/// Runs every vector in the folder; `run` gives whether an error is wanted, and what was found.
fn run(name: &str, expected: usize, run: impl Fn(&[u8]) -> (bool, Option<Result<(), Error>>)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/merkle");
    let files = files(&folder.join(name));
    assert_eq!(files.len(), expected);
    let mut accepted = 0;
    for file in files {
        let (want_error, result) = run(&fs::read(&file).unwrap());
        let found = result.is_none_or(|result| result.is_err());
        assert_eq!(found, want_error, "{}", file.display());
        accepted += usize::from(!found);
    }
    assert!(accepted >= 6, "only {accepted} proofs were accepted");
}

#[test]
fn inclusion() {
    run("inclusion", 98, |json| {
        let case: Inclusion = serde_json::from_slice(json).unwrap();
        let result = hash(&case.leaf_hash)
            .zip(hash(&case.root))
            .map(|(leaf, root)| {
                verify_inclusion(
                    case.leaf_idx,
                    case.tree_size,
                    &leaf,
                    &proof(case.proof),
                    &root,
                )
            });
        (case.want_err, result)
    });
}

#[test]
fn subtree_inclusion() {
    run("subtreeinclusion", 204, |json| {
        let case: SubtreeInclusion = serde_json::from_slice(json).unwrap();
        let result = hash(&case.leaf_hash)
            .zip(hash(&case.root))
            .map(|(leaf, root)| {
                let proof = proof(case.proof);
                verify_subtree_inclusion(case.leaf_idx, case.start, case.end, &leaf, &proof, &root)
            });
        (case.want_err, result)
    });
}

#[test]
fn consistency() {
    run("consistency", 98, |json| {
        let case: Consistency = serde_json::from_slice(json).unwrap();
        let (root1, root2) = (any_hash(&case.root1), any_hash(&case.root2));
        let proof = proof(case.proof);
        let result = verify_consistency(case.size1, case.size2, &root1, &root2, &proof);
        (case.want_err, Some(result))
    });
}

#[test]
fn subtree_consistency() {
    run("subtreeconsistency", 118, |json| {
        let case: SubtreeConsistency = serde_json::from_slice(json).unwrap();
        let (root1, root2) = (any_hash(&case.root1), any_hash(&case.root2));
        let proof = proof(case.proof);
        let result =
            verify_subtree_consistency(case.start, case.end, case.size, &root1, &root2, &proof);
        (case.want_err, Some(result))
    });
}
