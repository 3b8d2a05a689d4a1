//! Tokens that an authority's own key signed, and that are wrong in one thing each.

#![allow(clippy::unwrap_used, reason = "tests")]

mod issuing;

use issuing::{
    CODE_SIGNING, DIGITAL_SIGNATURE, Issued, NOW, Profile, TIME_STAMPING, extension, oid, sequence,
    tlv,
};
use sealmark_formats::Digest;
use sealmark_keys::Algorithm;
use sealmark_x509::issue::{UnsignedTimestamp, granted};
use sealmark_x509::{ChainError, ExtendedKeyUsage, TimestampError, TimestampToken};

const MESSAGE: &[u8] = b"a signature";
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
const ED25519: &str = "1.3.101.112";

/// A token, in the parts that a forger can choose.
struct Token {
    time: &'static str,
    info_version: u8,
    info_extension: Option<Vec<u8>>,
    content_type: &'static str,
    signed_type: &'static str,
    /// What is signed as the content, if it is not the content.
    signed_content: Option<Vec<u8>>,
    bound_to: Option<Vec<u8>>,
    more_attributes: Vec<Vec<u8>>,
    signers: usize,
    version: u8,
    digest: Option<&'static str>,
    signature_algorithm: Option<&'static str>,
}

impl Token {
    fn good() -> Self {
        Self {
            time: "20240101000100.25Z",
            info_version: 1,
            info_extension: None,
            content_type: TST_INFO,
            signed_type: TST_INFO,
            signed_content: None,
            bound_to: None,
            more_attributes: Vec::new(),
            signers: 1,
            version: 3,
            digest: None,
            signature_algorithm: None,
        }
    }

    fn info(&self) -> Vec<u8> {
        let imprint = sequence(&[
            sequence(&[oid(SHA256), vec![5, 0]]),
            tlv(4, Digest::sha256(MESSAGE).bytes()),
        ]);
        let mut info = vec![
            vec![2, 1, self.info_version],
            oid("1.2.3.4"),
            imprint,
            vec![2, 1, 7],
            tlv(0x18, self.time.as_bytes()),
        ];
        info.extend(self.info_extension.as_ref().map(|it| tlv(0xa1, it)));
        sequence(&info)
    }

    fn write(&self, signer: &Issued) -> Vec<u8> {
        let info = self.info();
        let signed = self.signed_content.clone().unwrap_or_else(|| info.clone());
        let scheme = signer.key.scheme();
        let mut token = UnsignedTimestamp::new(signed, NOW, &signer.certificate, scheme).unwrap();
        token.content = info;
        token.version = self.version;
        token.content_type = self.content_type.to_owned();
        token.certificates = vec![signer.certificate.der().to_vec()];
        token.signer = [&[2, 1, 3], &tlv(0x80, b"the key")[..]].concat();
        if let Some(digest) = self.digest {
            token.digest_algorithm = sequence(&[oid(digest)]);
        }
        if let Some(algorithm) = self.signature_algorithm {
            token.signature_algorithm = sequence(&[oid(algorithm)]);
        }
        token.attributes[0] = attribute("1.2.840.113549.1.9.3", &oid(self.signed_type));
        match self.bound_to.as_deref() {
            None => {}
            Some([]) => drop(token.attributes.pop()),
            Some(hash) => {
                let id = sequence(&[sequence(&[sequence(&[tlv(4, hash)])])]);
                token.attributes[3] = attribute("1.2.840.113549.1.9.16.2.47", &id);
            }
        }
        token.attributes.extend_from_slice(&self.more_attributes);
        let signature = signer.key.sign(&token.to_be_signed().unwrap()).unwrap();
        token.signed(&vec![signature; self.signers]).unwrap()
    }
}

fn attribute(id: &str, value: &[u8]) -> Vec<u8> {
    sequence(&[oid(id), tlv(0x31, value)])
}

/// An authority; the ids of its keys are `the key`.
fn authority(purpose: ExtendedKeyUsage, critical: bool, algorithm: Algorithm) -> (Issued, Issued) {
    let root = Issued::root(&Profile::ca("root"));
    let mut profile = Profile::leaf().purposes(&[purpose]);
    profile.subject = "tsa".to_owned();
    profile.key_usage = Some(DIGITAL_SIGNATURE);
    profile.purposes_critical = critical;
    profile.more = vec![extension("2.5.29.14", false, &tlv(4, b"the key"))];
    let signer = root.issue_with(&profile, algorithm);
    (root, signer)
}

fn verify(token: &Token) -> Result<(u64, u32), TimestampError> {
    let (root, signer) = authority(TIME_STAMPING, true, Algorithm::EcdsaP256);
    verify_by(token, &root, &signer)
}

fn verify_by(token: &Token, root: &Issued, signer: &Issued) -> Result<(u64, u32), TimestampError> {
    let read = TimestampToken::parse(&token.write(signer))?;
    // Whether the authority's own certificate is known or only its CA makes no difference.
    let with = read.verify(
        MESSAGE,
        &[signer.certificate.clone(), root.certificate.clone()],
    );
    let without = read.verify(MESSAGE, core::slice::from_ref(&root.certificate));
    assert_eq!(with, without);
    with.map(|it| (it.unix_seconds, it.nanoseconds))
}

#[test]
fn one_that_is_right_verifies() {
    assert_eq!(verify(&Token::good()), Ok((NOW + 60, 250_000_000)));

    let extension = sequence(&[oid("1.2.3.4"), tlv(4, &[5, 0])]);
    let with_extension = Token {
        info_extension: Some(extension),
        ..Token::good()
    };
    assert_eq!(verify(&with_extension), Ok((NOW + 60, 250_000_000)));

    let (root, signer) = authority(TIME_STAMPING, true, Algorithm::Ed25519);
    assert_eq!(
        verify_by(&Token::good(), &root, &signer),
        Ok((NOW + 60, 250_000_000))
    );
}

#[test]
fn one_that_is_malformed_is_refused_unverified() {
    let critical = sequence(&[oid("1.2.3.4"), vec![1, 1, 0xff], tlv(4, &[5, 0])]);
    let twice = attribute("1.2.840.113549.1.9.3", &oid(TST_INFO));
    let table = [
        (
            Token {
                info_version: 2,
                ..Token::good()
            },
            "TSTInfo",
            "its version is 2, and only 1 is known",
        ),
        (
            Token {
                info_extension: Some(critical),
                ..Token::good()
            },
            "extension",
            "1.2.3.4 is critical and not known",
        ),
        (
            Token {
                time: "20240101000100",
                ..Token::good()
            },
            "time",
            "it is not YYYYMMDDhhmmss[.s]Z",
        ),
        (
            Token {
                content_type: "1.2.840.113549.1.7.1",
                ..Token::good()
            },
            "CMS structure",
            "it is not about a TSTInfo",
        ),
        (
            Token {
                signed_type: "1.2.840.113549.1.7.1",
                ..Token::good()
            },
            "signed attributes",
            "they are not about a TSTInfo",
        ),
        (
            Token {
                bound_to: Some(Vec::new()),
                ..Token::good()
            },
            "signed attributes",
            "they do not say which certificate the signer's is",
        ),
        (
            Token {
                more_attributes: vec![twice],
                ..Token::good()
            },
            "signed attributes",
            "one is there twice",
        ),
        (
            Token {
                version: 1,
                ..Token::good()
            },
            "CMS structure",
            "its version is not 3",
        ),
        (
            Token {
                signers: 0,
                ..Token::good()
            },
            "CMS structure",
            "it does not have exactly one signer",
        ),
        (
            Token {
                signers: 2,
                ..Token::good()
            },
            "CMS structure",
            "it does not have exactly one signer",
        ),
    ];
    for (token, part, reason) in table {
        let reason = reason.to_owned();
        assert_eq!(
            verify(&token),
            Err(TimestampError::Malformed { part, reason })
        );
    }
}

#[test]
fn what_nobody_signs_is_of_the_right_shape_all_the_same() {
    let (_, signer) = authority(TIME_STAMPING, true, Algorithm::EcdsaP256);
    let reply = granted(&Token::good().write(&signer)).unwrap();
    assert!(TimestampToken::parse(&reply).is_ok());
    let sequences = reply.iter().enumerate().filter(|(_, byte)| **byte == 0x30);
    // The reply, its status, the token, and in it the signed data.
    for (position, _) in sequences.take(4) {
        let mut changed = reply.clone();
        changed[position] = 0x31;
        let error = TimestampToken::parse(&changed).unwrap_err();
        assert!(
            error.to_string().contains("expected SEQUENCE"),
            "{position}: {error}"
        );
    }
}

#[test]
fn one_that_was_signed_for_something_else_does_not_verify() {
    let other_content = Token {
        signed_content: Some(b"another".to_vec()),
        ..Token::good()
    };
    assert_eq!(verify(&other_content), Err(TimestampError::ContentChanged));

    let other_certificate = Token {
        bound_to: Some(vec![0; 32]),
        ..Token::good()
    };
    assert!(matches!(
        verify(&other_certificate),
        Err(TimestampError::OtherCertificate { .. })
    ));

    let hash = attribute(
        "1.2.840.113549.1.9.16.2.12",
        &sequence(&[sequence(&[sequence(&[tlv(4, &[0; 20])])])]),
    );
    let in_one_of_two = Token {
        more_attributes: vec![hash],
        ..Token::good()
    };
    assert_eq!(
        verify(&in_one_of_two).unwrap_err().to_string(),
        "the timestamp is bound to another certificate than that of its signer, \"CN=tsa\": its signingCertificate \
         does not match"
    );

    let algorithm = Token {
        signature_algorithm: Some("1.2.840.10045.4.3.3"),
        ..Token::good()
    };
    assert!(matches!(
        verify(&algorithm),
        Err(TimestampError::Signature(_))
    ));
    let algorithm = Token {
        signature_algorithm: Some(ED25519),
        ..Token::good()
    };
    assert!(matches!(
        verify(&algorithm),
        Err(TimestampError::Signature(_))
    ));
    let algorithm = Token {
        signature_algorithm: Some("1.2.840.10045.4.1"),
        ..Token::good()
    };
    assert!(matches!(
        verify(&algorithm),
        Err(TimestampError::UnsupportedAlgorithm { .. })
    ));
    let digest = Token {
        digest: Some("1.3.14.3.2.26"),
        ..Token::good()
    };
    assert!(matches!(
        verify(&digest),
        Err(TimestampError::UnsupportedAlgorithm { .. })
    ));
}

#[test]
fn the_signer_must_have_been_an_authority_at_that_time() {
    let chain = |result: Result<_, TimestampError>| match result {
        Err(TimestampError::Chain { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    // Its certificate is valid for ten minutes.
    let early = verify(&Token {
        time: "20231231235959Z",
        ..Token::good()
    });
    assert!(matches!(chain(early), ChainError::NotYetValid { .. }));
    let late = verify(&Token {
        time: "20240101001001Z",
        ..Token::good()
    });
    assert_eq!(
        late.unwrap_err().to_string(),
        "the timestamp of 2024-01-01T00:10:01Z is not to be trusted: the certificate \"CN=tsa\" had expired: it is \
         used at 2024-01-01T00:10:01Z, and was valid until 2024-01-01T00:10:00Z"
    );
    let last = verify(&Token {
        time: "20240101001000Z",
        ..Token::good()
    });
    assert_eq!(last, Ok((NOW + 600, 0)));

    let (root, signer) = authority(TIME_STAMPING, false, Algorithm::EcdsaP256);
    let error = chain(verify_by(&Token::good(), &root, &signer));
    assert!(
        matches!(error, ChainError::TimeStampingNotAlone { .. }),
        "{error}"
    );
    let (root, signer) = authority(CODE_SIGNING, true, Algorithm::EcdsaP256);
    let error = chain(verify_by(&Token::good(), &root, &signer));
    assert!(matches!(error, ChainError::WrongPurpose { .. }), "{error}");
}
