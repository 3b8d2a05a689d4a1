//! Signing and verifying: whole, by digest, and in pieces.

mod common;

use std::io::{Cursor, Read, Seek, SeekFrom};

use common::{fixture, open_plain};
use sealmark_keys::{
    Algorithm, Digest, Error, HashAlgorithm, PrivateKey, PublicKey, Scheme, VerifyError,
};

fn stream(
    key: &PublicKey,
    signature: &[u8],
    hint: Option<HashAlgorithm>,
    data: &[u8],
) -> Result<(Scheme, Digest), VerifyError> {
    let mut check = key.stream_verifier(signature, hint);
    data.chunks(7).for_each(|piece| check.update(piece));
    check.finish()
}

#[test]
fn every_algorithm_signs_and_verifies_in_every_way() {
    let message = b"the quick brown fox".repeat(50);
    for algorithm in Algorithm::ALL {
        let key = PrivateKey::generate(algorithm).unwrap();
        let public = key.public_key();
        assert_eq!(public.key_type(), algorithm.key_type());
        assert_eq!(public.algorithm_name(), algorithm.name());
        let signature = key.sign(&message).unwrap();
        assert_eq!(
            public.verify(&message, &signature),
            Ok(key.scheme()),
            "{algorithm}"
        );

        let own_hash = public.hash();
        let own = Digest::of(own_hash, &message);
        for hint in [None].into_iter().chain(HashAlgorithm::ALL.map(Some)) {
            let (scheme, digest) = stream(public, &signature, hint, &message).unwrap();
            assert_eq!(scheme, key.scheme(), "{algorithm} {hint:?}");
            assert_eq!(digest, Digest::of(hint.unwrap_or(own_hash), &message));
        }

        let (from_reader, digest) = key.sign_reader(Cursor::new(&message)).unwrap();
        assert_eq!(
            public.verify(&message, &from_reader),
            Ok(key.scheme()),
            "{algorithm}"
        );
        assert_eq!(digest, own);
        if key.passes() == 1 {
            let mut signer = key.stream_signer().unwrap();
            message.chunks(100).for_each(|piece| signer.update(piece));
            let (streamed, digest) = signer.finish().unwrap();
            assert_eq!(public.verify_digest(&digest, &streamed), Ok(key.scheme()));
        } else {
            assert!(key.stream_signer().is_none());
            // RFC 8032 is deterministic, so both ways give the same bytes.
            assert_eq!(from_reader, signature);
        }

        let by_digest = key.sign_digest(&own).unwrap();
        let scheme = public.verify_digest(&own, &by_digest).unwrap();
        assert_eq!(
            public.verify(&message, &by_digest),
            Ok(scheme),
            "{algorithm}"
        );
        assert_eq!(
            stream(public, &by_digest, None, &message).unwrap().0,
            scheme
        );
        assert_eq!(scheme == Scheme::Ed25519ph, algorithm == Algorithm::Ed25519);

        let again = PrivateKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
        assert_eq!(again.public_key(), public);
    }
}

#[test]
fn anything_tampered_with_is_refused() {
    let message = b"the quick brown fox";
    for algorithm in Algorithm::ALL {
        let key = PrivateKey::generate(algorithm).unwrap();
        let other = PrivateKey::generate(algorithm).unwrap();
        let public = key.public_key();
        let signature = key.sign(message).unwrap();
        let refused = |key: &PublicKey, message: &[u8], signature: &[u8]| {
            let streamed = stream(key, signature, None, message);
            let whole = key.verify(message, signature);
            assert!(
                whole.is_err() && streamed.is_err(),
                "{algorithm}: {whole:?} {streamed:?}"
            );
            let digest = Digest::of(key.hash(), message);
            assert!(
                key.verify_digest(&digest, signature).is_err(),
                "{algorithm}"
            );
        };
        refused(other.public_key(), message, &signature);
        refused(public, b"the quick brown fix", &signature);
        refused(public, message, b"");
        refused(public, message, &signature[1..]);
        refused(public, message, &[&signature[..], &[0]].concat());
        for byte in (0..signature.len()).step_by(3) {
            let mut changed = signature.clone();
            changed[byte] ^= 1 << (byte % 8);
            refused(public, message, &changed);
        }
    }
}

#[test]
fn a_refusal_says_what_was_tried() {
    let key = open_plain(&fixture("p384.pkcs8.pem")).unwrap();
    let rsa = PublicKey::from_pem(&fixture("rsa2048.pub.pem")).unwrap();
    assert_eq!(
        key.public_key().verify(b"", b"").unwrap_err().to_string(),
        "the signature does not match: it was made with another key, or over other data \
         (tried ECDSA P-384 with SHA-384, ECDSA P-384 with SHA-256)"
    );
    assert_eq!(
        stream(&rsa, b"", None, b"").unwrap_err().to_string(),
        "the signature does not match: it was made with another key, or over other data \
         (tried RSA 2048 PKCS#1 v1.5 with SHA-256, RSA 2048 PSS with SHA-256; \
         not tried RSA 2048 PKCS#1 v1.5 with SHA-384, RSA 2048 PKCS#1 v1.5 with SHA-512, \
         RSA 2048 PSS with SHA-384, RSA 2048 PSS with SHA-512)"
    );
    let ed25519 = PublicKey::from_pem(&fixture("ed25519.pub.pem")).unwrap();
    assert_eq!(
        ed25519
            .verify_digest(&Digest::sha256(b""), b"")
            .unwrap_err()
            .to_string(),
        "an Ed25519 signature cannot be checked against a sha256 digest alone; \
         the signed data is needed"
    );
    assert_eq!(
        rsa.verify_scheme(Scheme::EcdsaSha256, b"", b"")
            .unwrap_err()
            .to_string(),
        "an RSA 2048 key does not make ECDSA with SHA-256 signatures"
    );
    assert_eq!(
        rsa.verify_digest_scheme(Scheme::RsaPssSha512, &Digest::sha256(b""), b"")
            .unwrap_err()
            .to_string(),
        "a RSA PSS with SHA-512 signature cannot be checked against a sha256 digest"
    );
    assert_eq!(
        key.sign_digest(&Digest::sha256(b""))
            .unwrap_err()
            .to_string(),
        "an ECDSA P-384 key cannot sign a sha256 digest; it signs sha384 digests"
    );
}

#[test]
fn other_data_can_be_told_from_another_key() {
    let key = open_plain(&fixture("p256.pkcs8.pem")).unwrap();
    let mut check = key
        .public_key()
        .stream_verifier(b"no signature", Some(HashAlgorithm::Sha512));
    check.update(b"data");
    let (digest, result) = check.finish_with_digest();
    assert!(result.is_err());
    assert_eq!(digest, Digest::of(HashAlgorithm::Sha512, b"data"));
}

/// RFC 8032, section 7.1, test 3, and section 7.3.
#[test]
fn ed25519_is_that_of_the_rfc() {
    let key = |seed: &str| {
        let mut der = hex::decode("302e020100300506032b657004220420").unwrap();
        der.extend(hex::decode(seed).unwrap());
        PrivateKey::from_pkcs8_der(&der).unwrap()
    };
    let pure = key("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7");
    let signature = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                     18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";
    assert_eq!(hex::encode(pure.sign(&[0xaf, 0x82]).unwrap()), signature);
    let (signed, _) = pure.sign_reader(Cursor::new([0xaf, 0x82])).unwrap();
    assert_eq!(hex::encode(signed), signature);

    let ph = key("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42");
    let digest = Digest::of(HashAlgorithm::Sha512, b"abc");
    assert_eq!(
        hex::encode(ph.sign_digest(&digest).unwrap()),
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41\
         31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    );
}

/// All encodings of the points of small order; the first eight are canonical. By such a key some signatures are good over
/// any message. And as `R`, both engines must agree on them, or a signature would be good for a small file and bad for
/// a large one.
#[test]
fn points_of_small_order_are_no_ed25519_keys_and_make_no_signature() {
    let low = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];
    let spki = |point: &str| {
        let der = hex::decode(format!("302a300506032b6570032100{point}")).unwrap();
        PublicKey::from_spki_der(&der)
    };
    for point in low {
        let error = spki(point).expect_err(point).to_string();
        assert_eq!(
            error,
            "not a valid Ed25519 public key: the point is not on the curve, not in canonical form, or of small order",
            "{point}"
        );
    }
    let key = spki("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
    for r in low {
        for s in [
            "00".repeat(32),
            "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010".into(),
        ] {
            let signature = hex::decode(format!("{r}{s}")).unwrap();
            for message in 0..8_u8 {
                let whole = key.verify_scheme(Scheme::Ed25519, &[message], &signature);
                assert!(whole.is_err(), "R={r} S={s} M={message}");
                assert!(
                    stream(&key, &signature, None, &[message]).is_err(),
                    "R={r} S={s} M={message}"
                );
            }
        }
    }
}

/// A file that is not the same when it is read again.
struct Fickle {
    passes: u8,
    position: u64,
}

impl Read for Fickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.position == 1 {
            return Ok(0);
        }
        self.position = 1;
        buffer[0] = self.passes;
        Ok(1)
    }
}

impl Seek for Fickle {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        if let SeekFrom::Start(position) = to {
            self.position = position;
            self.passes += 1;
        }
        Ok(self.position)
    }
}

#[test]
fn a_file_that_changes_between_two_passes_is_not_signed() {
    let key = open_plain(&fixture("ed25519.pkcs8.pem")).unwrap();
    assert_eq!(key.passes(), 2);
    let error = key
        .sign_reader(Fickle {
            passes: 0,
            position: 0,
        })
        .unwrap_err();
    assert_eq!(error, Error::DataChanged);
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the disk is on fire"))
    }
}

impl Seek for Broken {
    fn seek(&mut self, _: SeekFrom) -> std::io::Result<u64> {
        Ok(0)
    }
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    for name in ["p256.pkcs8.pem", "ed25519.pkcs8.pem"] {
        let error = open_plain(&fixture(name))
            .unwrap()
            .sign_reader(Broken)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the data to sign: the disk is on fire"
        );
    }
}

#[test]
fn a_reader_is_signed_from_where_it_stands() {
    for name in ["p256.pkcs8.pem", "ed25519.pkcs8.pem"] {
        let key = open_plain(&fixture(name)).unwrap();
        let mut reader = Cursor::new(b"head and tail".to_vec());
        reader.set_position(9);
        let (signature, digest) = key.sign_reader(reader).unwrap();
        assert!(key.public_key().verify(b"tail", &signature).is_ok());
        assert_eq!(digest, Digest::of(key.public_key().hash(), b"tail"));
    }
}
