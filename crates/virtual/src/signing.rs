//! Signing, step by step as clients do it: key, certificate, signature, timestamp, log entries.

use sealmark_formats::bundle::LogEntry;
use sealmark_formats::log_entry::{
    EntrySignature, Verifier, dsse_v1_body, hashedrekord_v1_body, hashedrekord_v2_body,
    intoto_v2_body,
};
use sealmark_formats::{Digest, dsse};
use sealmark_keys::{Algorithm, KeyType, PrivateKey};
use sealmark_x509::Certificate;

use crate::authority::generate;
use crate::{Identity, Made, Signed, VirtualSigstore, key_details};

const SIGNS: &str = "a key in memory signs";
const WRITABLE: &str = "strings can be written as JSON";

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// The bytes of a file: a message signature.
    File(&'a [u8]),
    /// The JSON of an in-toto statement, in a DSSE envelope.
    Statement(&'a [u8]),
    /// A simple signing payload, as cosign 1 and 2 signed images.
    SimpleSigning(&'a [u8]),
}

/// Who signs.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// The holder of a key.
    Key(&'a PrivateKey),
    /// Someone with an identity, for whom the CA certifies a fresh P-256 key.
    Identity(&'a Identity),
    /// As [`Identity`](Self::Identity), with a key of this kind.
    IdentityWith(&'a Identity, Algorithm),
    /// The holder of a key with a certificate that the test made.
    Certificate(&'a PrivateKey, &'a Certificate),
}

/// The kind of entry for a DSSE envelope in a Rekor v1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum V1Kind {
    /// `dsse` 0.0.1, what clients send today.
    Dsse,
    /// `intoto` 0.0.2, what clients of 2023 sent.
    Intoto,
}

/// What shall prove the signature and its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proofs {
    /// An entry in the log of version 1. For files and simple signing payloads it is of the kind `hashedrekord`.
    pub rekor_v1: Option<V1Kind>,
    /// An entry in the log of version 2.
    pub rekor_v2: bool,
    /// A timestamp.
    pub timestamp: bool,
}

impl Proofs {
    /// None.
    pub const NONE: Self = Self {
        rekor_v1: None,
        rekor_v2: false,
        timestamp: false,
    };
    /// An entry in the log of version 1.
    pub const REKOR_V1: Self = Self {
        rekor_v1: Some(V1Kind::Dsse),
        ..Self::NONE
    };
    /// A timestamp.
    pub const TIMESTAMP: Self = Self {
        timestamp: true,
        ..Self::NONE
    };
    /// An entry in the log of version 2, and a timestamp, without which there is no time.
    pub const REKOR_V2: Self = Self {
        rekor_v2: true,
        ..Self::TIMESTAMP
    };
    /// All of them.
    pub const ALL: Self = Self {
        rekor_v1: Some(V1Kind::Dsse),
        ..Self::REKOR_V2
    };
}

impl VirtualSigstore {
    /// Signs, and gathers proofs, all at the time that the clock shows.
    pub fn sign(&self, what: What<'_>, by: By<'_>, proofs: Proofs) -> Signed {
        let mut signed = self.sign_only(what, by);
        if proofs.timestamp {
            self.stamp(&mut signed);
        }
        if let Some(kind) = proofs.rekor_v1 {
            self.log_v1(&mut signed, kind);
        }
        if proofs.rekor_v2 {
            self.log_v2(&mut signed);
        }
        signed
    }

    /// Signs, without proofs; an identity gets its certificate.
    pub fn sign_only(&self, what: What<'_>, by: By<'_>) -> Signed {
        let (key, certificate) = match by {
            By::Key(key) => (key.clone(), None),
            By::Certificate(key, certificate) => (key.clone(), Some(certificate.clone())),
            By::Identity(identity) => self.certified(identity, Algorithm::EcdsaP256),
            By::IdentityWith(identity, algorithm) => self.certified(identity, algorithm),
        };
        let made = match what {
            What::File(bytes) => {
                let digest = Digest::of(key.public_key().hash(), bytes);
                // The same as over the bytes, but for Ed25519, which logs take only over a digest.
                let signature = key.sign_digest(&digest).expect(SIGNS);
                Made::File { digest, signature }
            }
            What::Statement(payload) => Made::Envelope(envelope(&key, payload)),
            What::SimpleSigning(payload) => Made::SimpleSigning {
                payload: payload.to_vec(),
                signature: key.sign(payload).expect(SIGNS),
            },
        };
        let issuers = certificate.is_some().then(|| self.ca.chain());
        Signed {
            made,
            key,
            certificate,
            issuers: issuers.unwrap_or_default(),
            log_entries: Vec::new(),
            timestamps: Vec::new(),
        }
    }

    /// A fresh key, and its certificate for an identity.
    fn certified(
        &self,
        identity: &Identity,
        algorithm: Algorithm,
    ) -> (PrivateKey, Option<Certificate>) {
        let key = generate(algorithm);
        let certificate = self.ca.issue(identity, key.public_key(), Some(&self.ct));
        (key, Some(certificate))
    }

    /// Adds a timestamp over the signature, now.
    pub fn stamp(&self, signed: &mut Signed) {
        signed.timestamps.push(self.tsa.stamp(signed.signature()));
    }

    /// Adds an entry of the log of version 1, now.
    pub fn log_v1(&self, signed: &mut Signed, kind: V1Kind) {
        let entry = self.rekor_v1.append(v1_body(signed, kind));
        signed.log_entries.push(entry);
    }

    /// Adds an entry of the log of version 2.
    pub fn log_v2(&self, signed: &mut Signed) {
        let entry: LogEntry = self.rekor_v2.append(v2_body(signed));
        signed.log_entries.push(entry);
    }
}

fn envelope(key: &PrivateKey, payload: &[u8]) -> dsse::Envelope {
    let payload_type = dsse::IN_TOTO_PAYLOAD_TYPE.to_owned();
    let sig = key.sign(&dsse::pae(&payload_type, payload)).expect(SIGNS);
    dsse::Envelope {
        payload: payload.to_vec(),
        payload_type,
        signatures: vec![dsse::Signature { sig, keyid: None }],
    }
}

/// The body that a Rekor v1 writes for a signature.
pub(crate) fn v1_body(signed: &Signed, kind: V1Kind) -> Vec<u8> {
    let pem = signed.verifier_pem();
    let body = match (&signed.made, kind) {
        (Made::File { digest, signature }, _) => hashedrekord_v1_body(digest, signature, &pem),
        (Made::SimpleSigning { payload, signature }, _) => {
            hashedrekord_v1_body(&Digest::sha256(payload), signature, &pem)
        }
        (Made::Envelope(envelope), V1Kind::Dsse) => {
            dsse_v1_body(&signed.envelope_json(), envelope, &pem)
        }
        (Made::Envelope(envelope), V1Kind::Intoto) => {
            intoto_v2_body(&signed.envelope_json(), envelope, &pem)
        }
    };
    body.expect(WRITABLE)
}

/// The body that a Rekor v2 writes for a signature.
pub(crate) fn v2_body(signed: &Signed) -> Vec<u8> {
    let key = signed.key.public_key();
    let digest = match &signed.made {
        Made::File { digest, .. } => digest.clone(),
        Made::Envelope(envelope) => Digest::of(key.hash(), &envelope.pae()),
        Made::SimpleSigning { payload, .. } => Digest::of(key.hash(), payload),
    };
    let verifier = match &signed.certificate {
        Some(certificate) => Verifier::Certificate(certificate.der().to_vec()),
        None => Verifier::PublicKey(key.spki_der().to_vec()),
    };
    let details = match key.key_type() {
        // The only form in which this log takes such keys.
        KeyType::Ed25519 => "PKIX_ED25519_PH".to_owned(),
        _ => key_details(key),
    };
    let signature = EntrySignature {
        signature: Some(signed.signature().to_vec()),
        verifier,
        key_details: Some(details),
    };
    hashedrekord_v2_body(&digest, &signature).expect(WRITABLE)
}
