//! Keys and algorithms that are too weak, unknown, or written in another way than they should be.

use std::sync::LazyLock;

use sealmark_keys::{Algorithm, PrivateKey};

use crate::draft::{Accepted, ECDSA_SHA256, LEAF_KEY, ROOT_KEY, Refused, algorithm, check, name};
use crate::issuing::{oid, sequence, tlv};

const NOT_SUPPORTED: &str = "is not supported; supported are ECDSA";
const KEY: &str = "the public key in the certificate cannot be used";

const EC_PUBLIC_KEY: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const RSA: &str = "1.2.840.113549.1.1.1";

fn spki(algorithm: &[Vec<u8>], key: &[u8]) -> Vec<u8> {
    sequence(&[sequence(algorithm), tlv(3, &[&[0], key].concat())])
}

/// The point of a P-256 key, uncompressed.
fn point() -> Vec<u8> {
    let der = LEAF_KEY.public_key().spki_der();
    der[der.len() - 65..].to_vec()
}

/// An RSA key of so many bytes; whether it has two prime factors nobody looks at here.
fn rsa(bytes: usize, exponent: &[u8]) -> Vec<u8> {
    let modulus = [vec![0], vec![0xc5; bytes - 1], vec![0xc1]].concat();
    sequence(&[tlv(2, &modulus), tlv(2, exponent)])
}

#[test]
fn signature_algorithms() {
    check(&[
        ("ECDSA with SHA-1", Refused(NOT_SUPPORTED), |c| {
            c.leaf.algorithms(&algorithm("1.2.840.10045.4.1"));
        }),
        ("ECDSA with SHA-1 in the CA", Refused(NOT_SUPPORTED), |c| {
            c.ca.algorithms(&algorithm("1.2.840.10045.4.1"));
        }),
        ("RSA with SHA-1", Refused(NOT_SUPPORTED), |c| {
            c.leaf
                .algorithms(&sequence(&[oid("1.2.840.113549.1.1.5"), vec![5, 0]]));
        }),
        ("RSA with MD5", Refused(NOT_SUPPORTED), |c| {
            c.leaf
                .algorithms(&sequence(&[oid("1.2.840.113549.1.1.4"), vec![5, 0]]));
        }),
        ("DSA with SHA-256", Refused(NOT_SUPPORTED), |c| {
            c.leaf.algorithms(&algorithm("2.16.840.1.101.3.4.3.2"));
        }),
        ("Ed448", Refused(NOT_SUPPORTED), |c| {
            c.leaf.algorithms(&algorithm("1.3.101.113"))
        }),
        ("RSA by an ECDSA key", Refused(NOT_SUPPORTED), |c| {
            c.leaf
                .algorithms(&sequence(&[oid("1.2.840.113549.1.1.11"), vec![5, 0]]));
        }),
        ("ECDSA with a NULL", Refused(NOT_SUPPORTED), |c| {
            c.leaf
                .algorithms(&sequence(&[oid(ECDSA_SHA256), vec![5, 0]]));
        }),
        (
            "another hash than was used",
            Refused("does not match the key of the CA"),
            |c| {
                c.leaf.algorithms(&algorithm("1.2.840.10045.4.3.3"));
            },
        ),
        ("SHA-1 in the root's own signature", Accepted, |c| {
            // Nobody checks it: the root is trusted, and not because it says so.
            c.root.algorithms(&algorithm("1.2.840.10045.4.1"));
        }),
    ]);
}

#[test]
fn keys_of_elliptic_curves() {
    check(&[
        ("P-256", Accepted, |c| {
            c.leaf.spki = spki(&[oid(EC_PUBLIC_KEY), oid(P256)], &point())
        }),
        ("explicit parameters", Refused(KEY), |c| {
            let parameters = sequence(&[vec![2, 1, 1], sequence(&[oid("1.2.840.10045.1.1")])]);
            c.leaf.spki = spki(&[oid(EC_PUBLIC_KEY), parameters], &point());
        }),
        ("no parameters", Refused(KEY), |c| {
            c.leaf.spki = spki(&[oid(EC_PUBLIC_KEY)], &point())
        }),
        ("P-192", Refused(KEY), |c| {
            let point = [vec![4], vec![7; 48]].concat();
            c.leaf.spki = spki(&[oid(EC_PUBLIC_KEY), oid("1.2.840.10045.3.1.1")], &point);
        }),
        ("secp256k1", Refused(KEY), |c| {
            c.leaf.spki = spki(&[oid(EC_PUBLIC_KEY), oid("1.3.132.0.10")], &point());
        }),
        ("a point beside the curve", Refused(KEY), |c| {
            let mut point = point();
            point[64] ^= 1;
            c.leaf.spki = spki(&[oid(EC_PUBLIC_KEY), oid(P256)], &point);
        }),
        ("the point at infinity", Refused(KEY), |c| {
            c.leaf.spki = spki(&[oid(EC_PUBLIC_KEY), oid(P256)], &[0]);
        }),
        ("a compressed point", Refused(KEY), |c| {
            let point = point();
            let compressed = [&[2 + (point[64] & 1)][..], &point[1..33]].concat();
            c.leaf.spki = spki(&[oid(EC_PUBLIC_KEY), oid(P256)], &compressed);
        }),
        ("Ed25519 of small order", Refused("of small order"), |c| {
            let mut point = [0; 32];
            point[0] = 1;
            c.leaf.spki = spki(&[oid("1.3.101.112")], &point);
        }),
        (
            // Such a key checks nothing, so it has signed nothing.
            "Ed25519 of small order in the CA, by which everything is signed",
            Refused("does not match the key of the CA"),
            |c| {
                let mut neutral = [0; 32];
                neutral[0] = 1;
                c.ca.spki = spki(&[oid("1.3.101.112")], &neutral);
                c.leaf.algorithms(&algorithm("1.3.101.112"));
                c.leaf.forged = Some([neutral, [0; 32]].concat());
            },
        ),
        ("Ed25519 with a NULL", Refused(KEY), |c| {
            c.leaf.spki = spki(&[oid("1.3.101.112"), vec![5, 0]], &[9; 32]);
        }),
    ]);
}

#[test]
fn rsa_keys() {
    const EXPONENT: [u8; 3] = [1, 0, 1];
    check(&[
        ("2048 bits", Accepted, |c| {
            c.leaf.spki = RSA_KEY.public_key().spki_der().to_vec();
        }),
        ("without the NULL", Refused(KEY), |c| {
            let der = RSA_KEY.public_key().spki_der();
            // The key is the last element; its length has two bytes.
            let key = &der[der.len() - 270..];
            c.leaf.spki = spki(&[oid(RSA)], key);
        }),
        ("1024 bits", Refused(KEY), |c| {
            c.leaf.spki = spki(&[oid(RSA), vec![5, 0]], &rsa(128, &EXPONENT));
        }),
        ("1024 bits in the CA", Refused(""), |c| {
            c.ca.spki = spki(&[oid(RSA), vec![5, 0]], &rsa(128, &EXPONENT));
        }),
        ("16384 bits", Refused(KEY), |c| {
            c.leaf.spki = spki(&[oid(RSA), vec![5, 0]], &rsa(2048, &EXPONENT));
        }),
        ("an exponent of 1", Refused(KEY), |c| {
            c.leaf.spki = spki(&[oid(RSA), vec![5, 0]], &rsa(256, &[1]));
        }),
        ("an even exponent", Refused(KEY), |c| {
            c.leaf.spki = spki(&[oid(RSA), vec![5, 0]], &rsa(256, &[4]));
        }),
        ("a DSA key", Refused(KEY), |c| {
            let parameters = sequence(&[vec![2, 1, 7], vec![2, 1, 7], vec![2, 1, 7]]);
            c.leaf.spki = spki(&[oid("1.2.840.10040.4.1"), parameters], &[2, 1, 7]);
        }),
    ]);
}

static RSA_KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate(Algorithm::Rsa2048).unwrap());

#[test]
fn signatures_by_others() {
    const OTHER: &str = "does not match the key of the CA";
    check(&[
        (
            "the leaf is not by the CA with that name",
            Refused(OTHER),
            |c| {
                c.ca.spki = LEAF_KEY.public_key().spki_der().to_vec();
            },
        ),
        (
            "the CA is not by the root with that name",
            Refused(OTHER),
            |c| {
                c.root.spki = LEAF_KEY.public_key().spki_der().to_vec();
            },
        ),
        (
            "another root has the key",
            Refused("which is not trusted"),
            |c| {
                c.root.subject = name("another");
            },
        ),
        ("a byte of the signature is changed", Refused(OTHER), |c| {
            c.leaf.spoil = |mut der| {
                let last = der.len() - 1;
                der[last] ^= 1;
                der
            };
        }),
    ]);
    assert_ne!(ROOT_KEY.public_key(), LEAF_KEY.public_key());
}
