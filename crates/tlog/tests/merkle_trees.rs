//! Trees built leaf by leaf from the definition in RFC 6962: every proof of every small tree is accepted, and none
//! with anything changed.

use proptest::prelude::*;
use sealmark_tlog::merkle::{
    empty_root, leaf_hash, node_hash, root_of_beginning, verify_consistency, verify_inclusion,
    verify_subtree_consistency, verify_subtree_inclusion,
};
use sealmark_tlog::{Error, Hash};

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

/// The largest power of two below `count`.
fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// MTH of RFC 6962, section 2.1.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// PATH of RFC 6962, section 2.1.1.
fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = match index < middle {
        true => (path(index, left), root(right)),
        false => (path(index - middle, right), root(left)),
    };
    proof.push(sibling);
    proof
}

/// SUBPROOF of RFC 6962, section 2.1.2.
fn subproof(size1: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if size1 == leaves.len() {
        return match known {
            true => Vec::new(),
            false => vec![root(leaves)],
        };
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = match size1 <= middle {
        true => (subproof(size1, left, known), root(right)),
        false => (subproof(size1 - middle, right, false), root(left)),
    };
    proof.push(sibling);
    proof
}

const LARGEST: u64 = 33;

/// A consistency proof has the root of the smaller tree in it, but for powers of two.
#[test]
fn a_proof_of_growth_tells_the_root_of_the_beginning() {
    const MOST: u64 = 40;
    let all = leaves(MOST);
    for size2 in 1..=MOST {
        let whole = &all[..size2 as usize];
        for size1 in 1..=size2 {
            let proof = subproof(size1 as usize, whole, true);
            let found = root_of_beginning(size1, size2, &root(whole), &proof);
            if size1.is_power_of_two() && size1 < size2 {
                assert!(matches!(found, Err(Error::Range { .. })), "{size1} {size2}");
                continue;
            }
            assert_eq!(found, Ok(root(&all[..size1 as usize])), "{size1} {size2}");
            for at in 0..proof.len() {
                let mut wrong = proof.clone();
                wrong[at] = leaf_hash(b"another");
                let found = root_of_beginning(size1, size2, &root(whole), &wrong);
                assert!(found.is_err(), "{size1} {size2} {at}");
            }
        }
    }
    assert!(root_of_beginning(0, 3, &root(&all[..3]), &[]).is_err());
    assert!(root_of_beginning(4, 3, &root(&all[..3]), &[]).is_err());
}

#[test]
fn every_leaf_of_every_tree_is_included() {
    let all = leaves(LARGEST);
    for size in 1..=LARGEST {
        let tree = &all[..size as usize];
        let root = root(tree);
        for index in 0..size {
            let proof = path(index as usize, tree);
            let leaf = &tree[index as usize];
            verify_inclusion(index, size, leaf, &proof, &root).unwrap();
            verify_subtree_inclusion(index + 64, 64, 64 + size, leaf, &proof, &root).unwrap();
            for other in (0..size).filter(|other| *other != index) {
                verify_inclusion(other, size, leaf, &proof, &root).unwrap_err();
            }
            for at in 0..proof.len() {
                let mut wrong = proof.clone();
                wrong[at] = leaf_hash(b"wrong");
                assert!(matches!(
                    verify_inclusion(index, size, leaf, &wrong, &root),
                    Err(Error::RootMismatch { .. })
                ));
                wrong.remove(at);
                assert!(matches!(
                    verify_inclusion(index, size, leaf, &wrong, &root),
                    Err(Error::ProofLength { .. })
                ));
            }
        }
        let error = verify_inclusion(size, size, &tree[0], &[], &root).unwrap_err();
        assert!(matches!(error, Error::Range { .. }), "{error}");
    }
}

#[test]
fn every_tree_is_consistent_with_every_larger_one() {
    let all = leaves(LARGEST);
    for size2 in 1..=LARGEST {
        let root2 = root(&all[..size2 as usize]);
        for size1 in 1..=size2 {
            let root1 = root(&all[..size1 as usize]);
            let proof = subproof(size1 as usize, &all[..size2 as usize], true);
            verify_consistency(size1, size2, &root1, &root2, &proof).unwrap();
            verify_subtree_consistency(0, size1, size2, &root1, &root2, &proof).unwrap();
            for at in 0..proof.len() {
                let mut wrong = proof.clone();
                wrong[at] = leaf_hash(b"wrong");
                verify_consistency(size1, size2, &root1, &root2, &wrong).unwrap_err();
            }
            let other = leaf_hash(b"other");
            verify_consistency(size1, size2, &other, &root2, &proof).unwrap_err();
            verify_consistency(size1, size2, &root1, &other, &proof).unwrap_err();
        }
        let error = verify_consistency(0, size2, &empty_root(), &root2, &[]).unwrap_err();
        assert!(
            error.to_string().contains("consistent with the empty one"),
            "{error}"
        );
        let error = verify_consistency(size2 + 1, size2, &root2, &root2, &[]).unwrap_err();
        assert!(matches!(error, Error::Range { .. }));
    }
}

/// Sizes near the powers of two and the largest there is, where a shift could go wrong.
fn size() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..70,
        any::<u64>(),
        (0_u32..64, 0_u64..3).prop_map(|(n, off)| (1_u64 << n).wrapping_sub(1).wrapping_add(off)),
        (0_u64..3).prop_map(|n| u64::MAX - n),
    ]
}

proptest! {
    #[test]
    fn no_numbers_panic(a in size(), b in size(), c in size(), count in 0_usize..67) {
        let hash = empty_root();
        let proof = vec![hash; count];
        let _ = verify_inclusion(a, b, &hash, &proof, &hash);
        let _ = verify_consistency(a, b, &hash, &hash, &proof);
        let _ = verify_subtree_inclusion(a, b, c, &hash, &proof, &hash);
        let _ = verify_subtree_consistency(a, b, c, &hash, &hash, &proof);
    }

    /// A proof of the length that is asked for gets as far as the hashes, and they are wrong.
    #[test]
    fn no_length_that_fits_panics(a in size(), b in size(), c in size()) {
        let hash = empty_root();
        let check = |proof: &[Hash]| verify_subtree_consistency(a, b, c, &hash, &hash, proof);
        if let Err(Error::ProofLength { expected, .. }) = check(&[hash; 70]) {
            prop_assert!(expected <= sealmark_tlog::merkle::MAX_PROOF);
            let again = check(&vec![hash; expected]);
            let right = matches!(again, Ok(()) | Err(Error::RootMismatch { .. }));
            prop_assert!(right);
        }
    }
}
