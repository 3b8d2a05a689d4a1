//! The timestamp authority.

use sealmark_formats::Digest;
use sealmark_formats::trusted_root::{self, TimeRange};
use sealmark_keys::{Algorithm, PublicKey};
use sealmark_x509::issue::{CertificateTemplate, Extension, Name, TimestampInfo, Usage, granted};
use sealmark_x509::{Certificate, ExtendedKeyUsage};

use crate::authority::{authority_key_id, generate, organization, serial, trusted};
use crate::clock::unsigned;
use crate::{Clock, Issuer, START, YEAR, seconds};

/// A timestamp authority.
#[derive(Clone, Debug)]
pub struct TimestampAuthority {
    /// Its own key and certificate.
    pub signer: Issuer,
    /// The certificates above it, the root last.
    pub above: Vec<Certificate>,
    /// Whether its own certificate is in its tokens. Clients of Sigstore do not ask for it.
    pub embeds_certificate: bool,
    /// Where it is.
    pub uri: String,
    /// When a trusted root believes in it.
    pub valid_for: TimeRange,
    /// The clock.
    pub clock: Clock,
}

impl TimestampAuthority {
    /// An authority, P-384 under a P-384 root, as the public instance's.
    pub fn new(clock: &Clock) -> Self {
        Self::with(clock, Algorithm::EcdsaP384)
    }

    /// An authority with keys of this kind, valid from a year before the clock starts to nine years after.
    pub fn with(clock: &Clock, algorithm: Algorithm) -> Self {
        let (from, until) = (START - YEAR, START + 9 * YEAR);
        let root = Issuer::root("root of timestamps", algorithm, from, until);
        Self::below(clock, &root, Vec::new(), algorithm, from, until)
    }

    /// An authority that this issuer certified; `above` are the certificates above the issuer.
    pub fn below(
        clock: &Clock,
        issuer: &Issuer,
        above: Vec<Certificate>,
        algorithm: Algorithm,
        from: i64,
        until: i64,
    ) -> Self {
        let key = generate(algorithm);
        let template = Self::template(issuer, key.public_key(), from, until);
        let certificate = issuer.certify(&template);
        let mut chain = vec![issuer.certificate.clone()];
        chain.extend(above);
        Self {
            signer: Issuer { key, certificate },
            above: chain,
            embeds_certificate: false,
            uri: "https://tsa.virtual.example/api/v1/timestamp".to_owned(),
            valid_for: seconds(from, until),
            clock: clock.clone(),
        }
    }

    /// What an issuer signs for an authority: timestamps as the only purpose, and critical.
    pub fn template(
        issuer: &Issuer,
        key: &PublicKey,
        from: i64,
        until: i64,
    ) -> CertificateTemplate {
        const WRITABLE: &str = "constant extensions can be written";
        let purpose = [ExtendedKeyUsage::TimeStamping];
        CertificateTemplate {
            serial: serial(),
            issuer: Name::subject_of(&issuer.certificate),
            subject: organization("timestamp authority"),
            not_before: unsigned(from),
            not_after: unsigned(until),
            public_key: key.spki_der().to_vec(),
            extensions: vec![
                Extension::key_usage(&[Usage::DigitalSignature]).expect(WRITABLE),
                Extension::extended_key_usage(&purpose, true).expect(WRITABLE),
                authority_key_id(&issuer.certificate),
            ],
        }
    }

    /// Every certificate, its own first, the root last.
    pub fn chain(&self) -> Vec<Certificate> {
        let mut chain = vec![self.signer.certificate.clone()];
        chain.extend_from_slice(&self.above);
        chain
    }

    /// The reply to a request for these bytes, now.
    pub fn stamp(&self, message: &[u8]) -> Vec<u8> {
        self.reply(&self.info(message))
    }

    /// What [`stamp`](Self::stamp) says.
    pub fn info(&self, message: &[u8]) -> TimestampInfo {
        TimestampInfo {
            policy: "1.3.6.1.4.1.57264.2".to_owned(),
            imprint: Digest::sha256(message),
            serial: serial(),
            unix_seconds: self.clock.unsigned(),
            accuracy_seconds: Some(1),
            nonce: None,
        }
    }

    /// The reply that says this, true or not.
    pub fn reply(&self, info: &TimestampInfo) -> Vec<u8> {
        let own = core::slice::from_ref(&self.signer.certificate);
        let embedded = if self.embeds_certificate { own } else { &[] };
        info.sign(&self.signer.certificate, &self.signer.key, embedded)
            .and_then(|token| granted(&token))
            .expect("a timestamp of this era can be written")
    }

    /// The entry of a trusted root.
    pub fn trusted(&self) -> trusted_root::CertificateAuthority {
        trusted(&self.uri, &self.chain(), self.valid_for)
    }
}
