//! What is looked for in the search index of a log.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_formats::log_entry::{EntryBody, EntryClaims, Verifier as Recorded};
use sealmark_keys::PublicKey;
use sealmark_x509::Certificate;
use serde_json::{Map, Value, json};

use crate::Entry;

/// More pages of one search are not asked for: a million entries, in pages of the smallest server.
pub(crate) const MAX_PAGES: usize = 1000;

/// What is looked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query {
    /// A name in the signer's certificate: a mail address.
    pub email: Option<String>,
    /// A name in the signer's certificate, of any kind.
    pub subject: Option<String>,
    /// The signer's key or certificate, as its file has it.
    pub public_key: Option<(KeyFormat, Vec<u8>)>,
    /// A digest of an artifact, an envelope or a payload: `sha256:HEX`.
    pub hash: Option<String>,
    /// Whether all of these, or one.
    pub operator: Operator,
}

/// How several criteria are joined.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Operator {
    /// All must fit.
    And,
    /// One must fit.
    #[default]
    Or,
}

/// Formats of keys, by Rekor's names for them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyFormat {
    /// PEM of a key or a certificate.
    X509,
    /// OpenPGP, armoured.
    Pgp,
    /// minisign.
    Minisign,
    /// OpenSSH.
    Ssh,
    /// The root of a TUF repository.
    Tuf,
}

impl KeyFormat {
    /// Rekor's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::X509 => "x509",
            Self::Pgp => "pgp",
            Self::Minisign => "minisign",
            Self::Ssh => "ssh",
            Self::Tuf => "tuf",
        }
    }

    /// The format of a key's file, by how it begins.
    ///
    /// ```
    /// use sealmark_rekor::search::KeyFormat;
    /// assert_eq!(KeyFormat::of(b"-----BEGIN PUBLIC KEY-----\n"), KeyFormat::X509);
    /// assert_eq!(KeyFormat::of(b"ssh-ed25519 AAAA me@example.com"), KeyFormat::Ssh);
    /// ```
    pub fn of(key: &[u8]) -> Self {
        // The packets of OpenPGP begin with this bit, and neither text nor DER does.
        if key.first().is_some_and(|byte| byte & 0x80 != 0) {
            return Self::Pgp;
        }
        let text = String::from_utf8_lossy(&key[..key.len().min(400)]);
        let text = text.trim_start();
        if text.contains("-----BEGIN PGP") {
            Self::Pgp
        } else if text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") {
            Self::Ssh
        } else if text.starts_with("untrusted comment:") || text.starts_with("RW") {
            Self::Minisign
        } else if text.starts_with('{') {
            Self::Tuf
        } else {
            Self::X509
        }
    }
}

impl Query {
    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        let operator = self.operator;
        *self
            == Self {
                operator,
                ..Self::default()
            }
    }

    /// The `SearchIndex` of Rekor v1, from an entry on where the server has pages.
    pub(crate) fn json(&self, from: Option<u64>) -> Value {
        let mut query = Map::new();
        let texts = [
            ("email", &self.email),
            ("subject", &self.subject),
            ("hash", &self.hash),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                query.insert(name.to_owned(), Value::from(value.as_str()));
            }
        }
        if let Some((format, content)) = &self.public_key {
            let key = json!({"format": format.name(), "content": STANDARD.encode(content)});
            query.insert("publicKey".to_owned(), key);
        }
        // A server of before the operators would refuse one.
        if query.len() > 1 {
            let name = match self.operator {
                Operator::And => "and",
                Operator::Or => "or",
            };
            query.insert("operator".to_owned(), Value::from(name));
        }
        if let Some(from) = from {
            query.insert("from".to_owned(), Value::from(from));
        }
        Value::Object(query)
    }

    /// Whether the entry itself shows that it fits. One that does not may fit as well: logs find entries by what they
    /// were told when these were written, too, as by what an attestation is about.
    pub fn is_shown_by(&self, entry: &Entry) -> bool {
        let Ok(EntryBody::Claims(claims)) = EntryBody::parse(&entry.log_entry.canonicalized_body)
        else {
            return false;
        };
        let name = |wanted: &String| names(&claims).contains(&wanted.to_lowercase());
        let criteria = [
            self.email.as_ref().map(name),
            self.subject.as_ref().map(name),
            self.hash.as_ref().map(|hash| has_digest(&claims, hash)),
            self.public_key
                .as_ref()
                .map(|(_, key)| has_key(&claims, key)),
        ];
        let mut criteria = criteria.into_iter().flatten();
        match self.operator {
            Operator::And => criteria.all(|fits| fits),
            Operator::Or => criteria.any(|fits| fits),
        }
    }
}

/// The names in certificates, in lower case.
fn names(claims: &EntryClaims) -> Vec<String> {
    let certificates = claims.signatures.iter().filter_map(|signature| {
        let Recorded::Certificate(der) = &signature.verifier else {
            return None;
        };
        Certificate::from_der(der).ok()
    });
    certificates
        .flat_map(|certificate| {
            let names = certificate.subject_alt_names().iter();
            names
                .map(|name| name.value().to_lowercase())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn has_digest(claims: &EntryClaims, wanted: &str) -> bool {
    let wanted = wanted.to_lowercase();
    let hex = wanted.rsplit(':').next().unwrap_or_default();
    let digests = [
        &claims.artifact_digest,
        &claims.payload_digest,
        &claims.envelope_digest,
        &claims.subject_digest,
    ];
    let mut digests = digests.into_iter().flatten();
    digests.any(|digest| digest.hex() == hex)
        || claims.signatures.iter().any(|signature| {
            // Entries are found by the hash of their key, too.
            pem(&signature.verifier).is_some_and(|pem| Digest::sha256(pem.as_bytes()).hex() == hex)
        })
}

fn pem(verifier: &Recorded) -> Option<String> {
    match verifier {
        Recorded::PublicKey(der) => Some(PublicKey::from_spki_der(der).ok()?.to_pem()),
        Recorded::Certificate(der) => Some(Certificate::from_der(der).ok()?.to_pem()),
        Recorded::Other { .. } => None,
    }
}

fn has_key(claims: &EntryClaims, wanted: &[u8]) -> bool {
    let Ok(wanted) = sealmark_entries::Verifier::from_pem(wanted) else {
        return false;
    };
    let mut signatures = claims.signatures.iter();
    // Of a chain, the body's parser gives the first certificate.
    signatures
        .any(|signature| pem(&signature.verifier).is_some_and(|pem| wanted.pem.starts_with(&pem)))
}
