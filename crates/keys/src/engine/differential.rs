//! Both engines side by side: whatever one says of a key or a signature, the other says too.
//!
//! Signatures are real ones, and real ones with a few changes. For RSA what is inside a signature is changed as well,
//! and signed then, so that the checks behind the arithmetic are met.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use der::asn1::UintRef;
use der::{Decode, Encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use sealmark_formats::{Digest, HashAlgorithm};

use super::portable::rsa::{emsa_pkcs1, mgf1};
use super::private::KeyPair;
use super::{aws_lc, ed25519, portable};
use crate::asn1::{self, Family};
use crate::{Algorithm, Curve, KeyType, Scheme, pem};

fn key(key_type: KeyType, raw: &[u8]) -> bool {
    let ours = portable::is_public_key(key_type, raw);
    assert_eq!(ours, aws_lc::is_public_key(key_type, raw), "{raw:02x?}");
    ours
}

fn verify(
    key_type: KeyType,
    scheme: Scheme,
    raw: &[u8],
    digest: &Digest,
    signature: &[u8],
) -> bool {
    let ours = portable::verify_digest(key_type, scheme, raw, digest, signature);
    let theirs = aws_lc::verify_digest(key_type, scheme, raw, digest, signature);
    assert_eq!(
        ours, theirs,
        "{scheme} {digest} key {raw:02x?} signature {signature:02x?}"
    );
    ours
}

/// One change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, u8),
    Cut(Index),
}

fn changes(most: usize) -> impl Strategy<Value = Vec<Change>> {
    let at = any::<Index>;
    let byte = || prop_oneof![any::<u8>(), select(vec![0, 1, 0x7f, 0x80, 0xff])];
    let change = prop_oneof![
        4 => (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (at(), byte()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => (at(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => at().prop_map(Change::Cut),
    ];
    vec(change, 0..=most)
}

fn apply(changes: &[Change], bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let len = bytes.len();
        match change {
            Change::Insert(at, byte) => bytes.insert(at.index(len + 1), *byte),
            _ if len == 0 => {}
            Change::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
            Change::Set(at, byte) => bytes[at.index(len)] = *byte,
            Change::Cut(at) => drop(bytes.remove(at.index(len))),
        }
    }
    bytes
}

fn hash_of(scheme: Scheme) -> HashAlgorithm {
    scheme.hash().expect("not pure Ed25519")
}

/// The numbers at which a verifier's range checks and carries are.
fn edges(curve: Curve) -> Vec<Vec<u8>> {
    let order = match curve {
        Curve::P256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        Curve::P384 => {
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
        }
        Curve::P521 => {
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409"
        }
    };
    let order = hex::decode(order).expect("hex");
    let last = order.len() - 1;
    let mut numbers = vec![vec![0], vec![1], vec![2], vec![0xff; order.len()]];
    for less in [2, 1, 0] {
        let mut number = order.clone();
        number[last] -= less;
        numbers.push(number);
    }
    let mut above = order.clone();
    above[last] += 1;
    numbers.push(above);
    numbers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn ecdsa(
        curve in select(Curve::ALL.to_vec()),
        message: [u8; 8],
        in_key in changes(1),
        in_signature in changes(2),
        numbers: (Index, Index),
    ) {
        let pair = KeyPair::generate(match curve {
            Curve::P256 => Algorithm::EcdsaP256,
            Curve::P384 => Algorithm::EcdsaP384,
            Curve::P521 => Algorithm::EcdsaP521,
        }).unwrap();
        let (key_type, raw) = (KeyType::Ecdsa(curve), pair.public().1);
        prop_assert!(key(key_type, raw));
        let digest = Digest::of(key_type.hash(), &message);
        let signature = pair.sign_digest(&digest).unwrap();
        let own = key_type.schemes()[0];
        prop_assert!(verify(key_type, own, raw, &digest, &signature));

        // Digests of all lengths; they are not what was signed, but must do no other harm than not to match.
        for scheme in [Scheme::EcdsaSha256, Scheme::EcdsaSha384, Scheme::EcdsaSha512] {
            let digest = Digest::of(hash_of(scheme), &message);
            let matches = verify(key_type, scheme, raw, &digest, &signature);
            prop_assert_eq!(matches, scheme == own);
            verify(key_type, own, raw, &digest, &signature);
        }
        verify(key_type, own, raw, &digest, &apply(&in_signature, &signature));

        let edges = edges(curve);
        let number = |at: Index| UintRef::new(&edges[at.index(edges.len())]).unwrap();
        let inside = [number(numbers.0).to_der().unwrap(), number(numbers.1).to_der().unwrap()].concat();
        let made = der::asn1::AnyRef::new(der::Tag::Sequence, &inside).unwrap().to_der().unwrap();
        verify(key_type, own, raw, &digest, &made);

        let other = apply(&in_key, raw);
        if asn1::public(Family::Ec(curve), &other).is_ok() && key(key_type, &other) {
            verify(key_type, own, &other, &digest, &signature);
        }
    }

    #[test]
    fn ed25519_(message: [u8; 8], in_key in changes(1), in_signature in changes(2)) {
        let pair = KeyPair::generate(Algorithm::Ed25519).unwrap();
        let KeyPair::Ed25519(inner) = &pair else { unreachable!() };
        let signature = super::private::sign_ed25519(inner, &message).unwrap();
        let raw = pair.public().1;
        let both = |raw: &[u8], signature: &[u8]| {
            let ours = portable::verify_ed25519(raw, &message, signature);
            assert_eq!(ours, aws_lc::verify_ed25519(raw, &message, signature), "{raw:02x?} {signature:02x?}");
            ours
        };
        prop_assert!(both(raw, &signature));
        both(raw, &apply(&in_signature, &signature));
        let other = apply(&in_key, raw);
        if ed25519::is_public_key(&other) {
            both(&other, &signature);
        }
    }

    #[test]
    fn rsa(
        pair in select(vec![0_usize, 1]),
        scheme in select(KeyType::Rsa { bits: 2048 }.schemes().to_vec()),
        salt_len in prop_oneof![3 => Just(None), 1 => (0..70_usize).prop_map(Some)],
        message: [u8; 8],
        in_key in changes(1),
        inside in changes(1),
        outside in changes(1),
        plus_modulus: bool,
    ) {
        let pair = &rsa_pairs()[pair];
        let (bits, raw) = (pair.bits, &*pair.public);
        let key_type = KeyType::Rsa { bits };
        prop_assert!(key(key_type, raw));
        let digest = Digest::of(hash_of(scheme), &message);
        let (encoded, valid) = match scheme {
            Scheme::RsaPkcs1Sha256 | Scheme::RsaPkcs1Sha384 | Scheme::RsaPkcs1Sha512 => {
                (emsa_pkcs1(&digest, bits.div_ceil(8)).unwrap(), true)
            }
            _ => {
                let own = digest.bytes().len();
                let salt = vec![message[0]; salt_len.unwrap_or(own)];
                (emsa_pss(&digest, &salt, bits), salt.len() == own)
            }
        };
        let signature = pair.sign(&encoded);
        prop_assert_eq!(verify(key_type, scheme, raw, &digest, &signature), valid);
        for other in key_type.schemes() {
            let digest = Digest::of(hash_of(*other), &message);
            prop_assert_eq!(verify(key_type, *other, raw, &digest, &signature), valid && *other == scheme);
        }
        verify(key_type, scheme, raw, &digest, &pair.sign(&apply(&inside, &encoded)));
        verify(key_type, scheme, raw, &digest, &apply(&outside, &signature));
        if plus_modulus {
            let sum = pair.plus_modulus(&signature);
            prop_assert!(!verify(key_type, scheme, raw, &digest, &sum));
        }
        let other = apply(&in_key, raw);
        if let Ok((key_type, _)) = asn1::public(Family::Rsa, &other) && key(key_type, &other) {
            verify(key_type, scheme, &other, &digest, &signature);
        }
    }
}

/// An RSA key with which any number can be signed, whatever it means.
struct RsaPair {
    bits: usize,
    /// RSAPublicKey.
    public: Vec<u8>,
    modulus: BoxedUint,
    secret: BoxedUint,
}

/// One whose modulus fills its bytes, and one for which an encoded PSS message is a byte shorter.
fn rsa_pairs() -> &'static [RsaPair; 2] {
    static PAIRS: std::sync::OnceLock<[RsaPair; 2]> = std::sync::OnceLock::new();
    let files: [&[u8]; 2] = [
        include_bytes!("../../tests/fixtures/rsa2048.pkcs1.pem"),
        include_bytes!("../../tests/fixtures/rsa2049.pkcs1.pem"),
    ];
    PAIRS.get_or_init(|| files.map(RsaPair::from_pem))
}

impl RsaPair {
    fn from_pem(file: &[u8]) -> Self {
        let der = pem::decode(file).expect("PEM").content;
        let private = der::asn1::AnyRef::from_der(&der).expect("DER");
        let numbers = private.sequence(|r| {
            let mut numbers = Vec::new();
            while !der::Reader::is_finished(r) {
                numbers.push(UintRef::decode(r)?.as_bytes());
            }
            Ok::<_, der::Error>(numbers)
        });
        // Version, modulus, public exponent, private exponent (RFC 8017, A.1.2).
        let numbers = numbers.expect("numbers");
        let inside = [numbers[1], numbers[2]].map(|number| {
            UintRef::new(number)
                .and_then(|it| it.to_der())
                .expect("DER")
        });
        let public = der::asn1::AnyRef::new(der::Tag::Sequence, &inside.concat())
            .and_then(|it| it.to_der())
            .expect("DER");
        let modulus = BoxedUint::from_be_slice_vartime(numbers[1]);
        let precision = modulus.bits_precision();
        Self {
            bits: modulus.bits_vartime() as usize,
            public,
            secret: BoxedUint::from_be_slice(numbers[3], precision).expect("less than the modulus"),
            modulus,
        }
    }

    /// As long as the modulus; of what is too long for it, the remainder.
    fn sign(&self, encoded: &[u8]) -> Vec<u8> {
        let modulus = Odd::new(self.modulus.clone()).expect("odd");
        let precision = 8 * (encoded.len() as u32 + 8);
        let wide = BoxedUint::from_be_slice(encoded, precision).expect("fits");
        let base = wide.rem_vartime(modulus.as_nz_ref());
        let params = BoxedMontyParams::new(modulus);
        self.bytes(
            &BoxedMontyForm::new(base, &params)
                .pow(&self.secret)
                .retrieve(),
        )
    }

    /// The same number modulo the modulus; cut to its length if it has become longer.
    fn plus_modulus(&self, signature: &[u8]) -> Vec<u8> {
        let precision = self.modulus.bits_precision();
        let number =
            BoxedUint::from_be_slice(signature, precision).expect("as long as the modulus");
        self.bytes(&number.wrapping_add(&self.modulus))
    }

    fn bytes(&self, number: &BoxedUint) -> Vec<u8> {
        let bytes = number.to_be_bytes();
        bytes[bytes.len() - self.bits.div_ceil(8)..].to_vec()
    }
}

/// EMSA-PSS-ENCODE (RFC 8017, section 9.1.1).
fn emsa_pss(digest: &Digest, salt: &[u8], modulus_bits: usize) -> Vec<u8> {
    let hash = digest.algorithm();
    let bits = modulus_bits - 1;
    let len = bits.div_ceil(8);
    let inner = Digest::of(hash, &[&[0; 8], digest.bytes(), salt].concat());
    let zeros = len - salt.len() - inner.bytes().len() - 2;
    let block = [&*vec![0; zeros], &[1], salt].concat();
    let mask = mgf1(hash, inner.bytes(), block.len());
    let mut encoded: Vec<u8> = block.iter().zip(mask).map(|(a, b)| a ^ b).collect();
    encoded[0] &= 0xff >> (8 * len - bits);
    encoded.extend_from_slice(inner.bytes());
    encoded.push(0xbc);
    encoded
}
