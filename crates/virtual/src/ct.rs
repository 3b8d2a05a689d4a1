//! The CT log: promises to log certificates. Nobody asks whether it keeps them.

use sealmark_formats::HashAlgorithm;
use sealmark_formats::trusted_root::{LogInstance, TimeRange};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_x509::issue::sct_for_precertificate;
use sealmark_x509::{Certificate, SignedCertificateTimestamp};

use crate::authority::generate;
use crate::{Clock, START, YEAR, key_details, seconds};

/// A CT log.
#[derive(Clone, Debug)]
pub struct CtLog {
    /// Its key; ECDSA P-256, as every client can check it.
    pub key: PrivateKey,
    /// Where it is.
    pub url: String,
    /// When a trusted root believes in its key.
    pub valid_for: TimeRange,
    /// Extensions of its SCTs; empty as those of logs without tiles.
    pub extensions: Vec<u8>,
    /// The clock.
    pub clock: Clock,
}

impl CtLog {
    /// A log.
    pub fn new(clock: &Clock) -> Self {
        Self {
            key: generate(Algorithm::EcdsaP256),
            url: "https://ct.virtual.example".to_owned(),
            valid_for: seconds(START - YEAR, START + 9 * YEAR),
            extensions: Vec::new(),
            clock: clock.clone(),
        }
    }

    /// A promise, now, for the certificate that `issuer` will make of its precertificate.
    pub fn promise(
        &self,
        precertificate: &Certificate,
        issuer: &Certificate,
    ) -> SignedCertificateTimestamp {
        let milliseconds = self.clock.unsigned() * 1000;
        sct_for_precertificate(
            precertificate,
            issuer,
            milliseconds,
            &self.extensions,
            &self.key,
        )
        .and_then(|unsigned| unsigned.sign(&self.key))
        .expect("a precertificate can be promised")
    }

    /// The entry of a trusted root.
    pub fn trusted(&self) -> LogInstance {
        let id = self.key.public_key().id().bytes().to_vec();
        trusted(&self.url, &self.key, id, self.valid_for)
    }
}

pub(crate) fn trusted(
    url: &str,
    key: &PrivateKey,
    log_id: Vec<u8>,
    valid_for: TimeRange,
) -> LogInstance {
    LogInstance {
        base_url: url.to_owned(),
        hash_algorithm: HashAlgorithm::Sha256,
        public_key: key.public_key().spki_der().to_vec(),
        key_details: key_details(key.public_key()),
        valid_for,
        log_id,
        checkpoint_key_id: None,
        operator: None,
    }
}
