//! Merkle proofs: with random hashes none is good, but for trees and paths that need no proof.
#![no_main]

use sealmark_tlog::Hash;
use sealmark_tlog::merkle::{
    verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
};

// Three numbers, then hashes of 32 bytes.
sealmark_fuzz::target!(only[&[1; 24 + 32 * 4]], |data| {
    let Some((numbers, hashes)) = data.split_at_checked(24) else {
        return false;
    };
    let number = |at: usize| {
        u64::from_be_bytes(numbers[8 * at..8 * at + 8].try_into().expect("eight bytes"))
    };
    let (a, b, c) = (number(0), number(1), number(2));
    let hashes: Vec<Hash> = hashes
        .chunks_exact(32)
        .filter_map(|bytes| Hash::try_from(bytes).ok())
        .collect();
    let Some((first, proof)) = hashes.split_first() else {
        return false;
    };
    // No input hashes to this.
    let root = Hash::try_from([0xa5; 32].as_slice()).expect("32 bytes");
    let same = *first == root;
    assert!(same || verify_inclusion(a, b, first, proof, &root).is_err());
    assert!(same || verify_consistency(a, b, first, &root, proof).is_err());
    assert!(same || verify_subtree_inclusion(a, b, c, first, proof, &root).is_err());
    // An empty subtree is in every tree.
    assert!(same || a == b || verify_subtree_consistency(a, b, c, first, &root, proof).is_err());
    true
});
