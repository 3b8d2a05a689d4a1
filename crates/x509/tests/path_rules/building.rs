//! Finding a path among many certificates, some of which lead nowhere, or round in circles.

use std::time::{Duration, Instant};

use sealmark_keys::PrivateKey;

use crate::draft::{CA_KEY, Draft, LEAF_KEY, ROOT_KEY, p256, verify};
use crate::issuing::NOW;

fn ca(issuer: &str, subject: &str, key: &PrivateKey, signer: &PrivateKey) -> Vec<u8> {
    Draft::ca(issuer, subject, key).sign(signer)
}

fn leaf(issuer: &str, signer: &PrivateKey) -> Vec<u8> {
    Draft::leaf(issuer, &LEAF_KEY).sign(signer)
}

fn root() -> Vec<u8> {
    ca("root", "root", &ROOT_KEY, &ROOT_KEY)
}

#[test]
fn a_signer_that_issued_its_own_certificate_is_not_trusted_for_being_given() {
    let mut own = Draft::leaf("me", &LEAF_KEY);
    own.subject = crate::draft::name("me");
    let own = own.sign(&LEAF_KEY);
    let reason = verify(&own, &[], &[root()], NOW).unwrap_err();
    assert!(
        reason.contains("\"CN=me\", which is not trusted"),
        "{reason}"
    );
    let reason = verify(&own, std::slice::from_ref(&own), &[root()], NOW).unwrap_err();
    assert!(reason.contains("\"CN=me\""), "{reason}");
    // Not even as its own root: it is no CA.
    let reason = verify(&own, &[], std::slice::from_ref(&own), NOW).unwrap_err();
    assert!(reason.contains("is not that of a CA"), "{reason}");
}

#[test]
fn without_roots_nothing_is_trusted() {
    let intermediate = ca("root", "ca", &CA_KEY, &ROOT_KEY);
    let reason = verify(&leaf("ca", &CA_KEY), &[intermediate, root()], &[], NOW).unwrap_err();
    assert!(reason.contains("no certificate is"), "{reason}");
}

#[test]
fn order_and_strangers_do_not_matter() {
    let [a, b] = [p256(), p256()];
    let good = [
        ca("b", "ca", &CA_KEY, &b),
        ca("a", "b", &b, &a),
        ca("root", "a", &a, &ROOT_KEY),
    ];
    let strange = [
        ca("nobody", "stranger", &p256(), &p256()),
        // The right name, another key.
        ca("root", "a", &p256(), &ROOT_KEY),
        // The right name, signed by nobody.
        ca("b", "ca", &CA_KEY, &p256()),
        root(),
    ];
    let forward = [&good[..], &strange[..]].concat();
    let backward: Vec<_> = forward.iter().rev().cloned().collect();
    let leaf = leaf("ca", &CA_KEY);
    assert_eq!(verify(&leaf, &forward, &[root()], NOW), Ok(5));
    assert_eq!(verify(&leaf, &backward, &[root()], NOW), Ok(5));
    // The same certificate many times is the same certificate.
    let often: Vec<_> = good.iter().cycle().take(30).cloned().collect();
    assert_eq!(verify(&leaf, &often, &[root()], NOW), Ok(5));
}

#[test]
fn an_expired_way_does_not_close_the_other() {
    let mut old = Draft::ca("root", "ca", &CA_KEY);
    old.validity = crate::issuing::sequence(&[
        crate::draft::utc("220101000000Z"),
        crate::draft::utc("230101000000Z"),
    ]);
    let both = [old.sign(&ROOT_KEY), ca("root", "ca", &CA_KEY, &ROOT_KEY)];
    assert_eq!(verify(&leaf("ca", &CA_KEY), &both, &[root()], NOW), Ok(3));
    let reason = verify(&leaf("ca", &CA_KEY), &both[..1], &[root()], NOW).unwrap_err();
    assert!(reason.contains("\"CN=ca\" had expired"), "{reason}");
}

#[test]
fn cas_that_certify_each_other_are_no_trap() {
    let [a, b] = [p256(), p256()];
    let loops = [
        ca("b", "a", &a, &b),
        ca("a", "b", &b, &a),
        ca("a", "a", &a, &a),
        ca("b", "b", &b, &b),
    ];
    let leaf = leaf("a", &a);
    let reason = verify(&leaf, &loops, &[root()], NOW).unwrap_err();
    assert!(reason.contains("which is not trusted"), "{reason}");
    // And one way out is found.
    let out = [&loops[..], &[ca("root", "b", &b, &ROOT_KEY)]].concat();
    assert_eq!(verify(&leaf, &out, &[root()], NOW), Ok(4));
}

#[test]
fn no_byte_of_a_ca_can_be_changed() {
    let good = ca("root", "ca", &CA_KEY, &ROOT_KEY);
    let (leaf, root) = (leaf("ca", &CA_KEY), root());
    let count = verify(
        &leaf,
        std::slice::from_ref(&good),
        std::slice::from_ref(&root),
        NOW,
    );
    assert_eq!(count, Ok(3));
    for index in 0..good.len() {
        for flipped in [0x01, 0x20, 0x80] {
            let mut changed = good.clone();
            changed[index] ^= flipped;
            let result = verify(&leaf, &[changed], std::slice::from_ref(&root), NOW);
            assert!(result.is_err(), "byte {index} ^ {flipped:#x}");
        }
    }
}

/// Every CA of a level is certified by every CA of the next: a number of paths that nobody can try.
#[test]
fn a_maze_ends_soon() {
    const WIDTH: usize = 5;
    const DEPTH: usize = 6;
    let keys: Vec<Vec<_>> = (0..DEPTH)
        .map(|_| (0..WIDTH).map(|_| p256()).collect())
        .collect();
    let mut maze = Vec::new();
    for (level, row) in keys.iter().enumerate() {
        let (name, above) = (format!("level {level}"), format!("level {}", level + 1));
        for key in row {
            match keys.get(level + 1) {
                Some(signers) => {
                    maze.extend(signers.iter().map(|signer| ca(&above, &name, key, signer)));
                }
                // The last level says that the root issued it, and it did not.
                None => maze.push(ca("root", &name, key, key)),
            }
        }
    }
    let leaf = leaf("level 0", &keys[0][0]);
    let start = Instant::now();
    let reason = verify(&leaf, &maze, &[root()], NOW).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20), "{reason}");
}

#[test]
fn six_intermediates_and_no_more() {
    let keys: Vec<_> = (0..7).map(|_| p256()).collect();
    let name = |level: usize| format!("level {level}");
    let chain = |length: usize| {
        let mut list = vec![ca("root", &name(length - 1), &keys[length - 1], &ROOT_KEY)];
        for level in 0..length - 1 {
            list.push(ca(
                &name(level + 1),
                &name(level),
                &keys[level],
                &keys[level + 1],
            ));
        }
        verify(&leaf(&name(0), &keys[0]), &list, &[root()], NOW)
    };
    assert_eq!(chain(6), Ok(8));
    let reason = chain(7).unwrap_err();
    assert!(
        reason.contains("at most 6 intermediates are looked at"),
        "{reason}"
    );
}
