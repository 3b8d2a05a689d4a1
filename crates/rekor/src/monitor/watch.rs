//! What a monitor looks for, and whether an entry has it.
//!
//! Invariant: [`Watch::look`] answers [`Look::Nothing`] only for an entry that has none of what is looked for. An entry
//! that cannot be read, so that nobody can say, is [`Look::Unreadable`].

use core::fmt;

use sealmark_formats::Digest;
use sealmark_formats::log_entry::{EntryBody, EntryClaims, Verifier};
use sealmark_verify::policy::Match;
use serde::Serialize;

use super::sieve::Sieve;
use super::signer::{Signed, Signer};

/// More is refused: each is compared with each name of each entry.
pub const MAX_CONDITIONS: usize = 10_000;

/// One thing that is looked for.
#[derive(Clone, Debug)]
pub enum Condition {
    /// A certificate with a name that fits, or any if there is no pattern, of one of the issuers, or of any if none is
    /// given.
    Certificate {
        /// The subject alternative name.
        subject: Option<Match>,
        /// The identity provider that Fulcio has written into the certificate.
        issuers: Vec<Match>,
    },
    /// A certificate with an extension that has one of the values.
    Extension {
        /// The object identifier, in dots.
        oid: String,
        /// Texts.
        values: Vec<String>,
    },
    /// A name in a certificate or in an OpenPGP key.
    Subject(Match),
    /// A key or a certificate.
    Key {
        /// As [`fingerprint`] gives it.
        fingerprint: String,
        /// SubjectPublicKeyInfo in DER, if it is known.
        spki: Option<Vec<u8>>,
    },
    /// The digest of what was signed: artifact, payload or envelope.
    Digest(Digest),
}

/// Why an entry is reported.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Reason {
    /// `identity`, `issuer`, `extension`, `subject`, `key` or `digest`.
    pub by: &'static str,
    /// What was looked for, in words.
    pub wanted: String,
    /// What the entry has.
    pub found: String,
}

/// An entry that has what is looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// `kind` of the body.
    pub kind: String,
    /// `apiVersion` of the body.
    pub version: String,
    /// Why, once for each condition that it meets.
    pub reasons: Vec<Reason>,
    /// Every digest that the entry names.
    pub digests: Vec<Digest>,
    /// Who signed, in the order of the entry.
    pub signers: Vec<Signed>,
}

/// What came of looking at an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Look {
    /// It has nothing of what is looked for.
    Nothing,
    /// It has.
    Found(Box<Found>),
    /// Nobody can say, for this reason.
    Unreadable(String),
}

/// Everything that is looked for.
#[derive(Debug, Default)]
pub struct Watch {
    conditions: Vec<Condition>,
    sieve: Sieve,
}

impl Watch {
    /// Looks for entries that meet one of the conditions.
    ///
    /// # Errors
    /// If there are more than [`MAX_CONDITIONS`].
    pub fn new(conditions: Vec<Condition>) -> Result<Self, String> {
        let count = conditions.len();
        if count > MAX_CONDITIONS {
            return Err(format!(
                "{count} things to look for are too many, at most {MAX_CONDITIONS} are allowed"
            ));
        }
        let sieve = Sieve::of(&conditions)?;
        Ok(Self { conditions, sieve })
    }

    /// Whether nothing is looked for, so that no entry needs to be read.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// How many things are looked for.
    pub fn len(&self) -> usize {
        self.conditions.len()
    }

    /// A digest of what is looked for, in whatever order, by which a change is noticed.
    pub fn summary(&self) -> String {
        let mut all: Vec<String> = self.conditions.iter().map(Condition::to_string).collect();
        all.sort();
        Digest::sha256(all.join("\n").as_bytes()).to_string()
    }

    /// Looks at the body of an entry.
    pub fn look(&self, body: &[u8]) -> Look {
        if self.is_empty() || self.sieve.rules_out(body) {
            return Look::Nothing;
        }
        match EntryBody::parse(body) {
            Ok(EntryBody::Claims(claims)) => self.judge(claims),
            Ok(EntryBody::Other { kind, version }) => Look::Unreadable(excerpt(format!(
                "it is of the kind {kind:?} {version:?}, which is not known"
            ))),
            Err(error) => Look::Unreadable(excerpt(error.to_string())),
        }
    }

    fn judge(&self, claims: EntryClaims) -> Look {
        let verifiers: Vec<&Verifier> = claims.signatures.iter().map(|s| &s.verifier).collect();
        let signers: Vec<Signer> = verifiers.into_iter().map(Signer::read).collect();
        let digests: Vec<Digest> = [
            &claims.artifact_digest,
            &claims.payload_digest,
            &claims.envelope_digest,
            &claims.subject_digest,
        ]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
        let reasons: Vec<Reason> = self
            .conditions
            .iter()
            .filter_map(|condition| condition.met_by(&signers, &digests))
            .collect();
        if !reasons.is_empty() {
            return Look::Found(Box::new(Found {
                kind: claims.kind,
                version: claims.version,
                reasons,
                digests,
                signers: signers.into_iter().map(Signer::shown).collect(),
            }));
        }
        // Digests and the bytes of keys have been compared; names are what a broken key or certificate may hide.
        let asks_for_names = self.conditions.iter().any(Condition::reads_keys);
        let broken = signers.iter().find_map(|signer| signer.problem.as_deref());
        match broken.filter(|_| asks_for_names) {
            Some(problem) => Look::Unreadable(excerpt(problem.to_owned())),
            None => Look::Nothing,
        }
    }
}

impl Condition {
    /// Whether more than digests must be read of an entry.
    fn reads_keys(&self) -> bool {
        !matches!(self, Self::Digest(_))
    }

    fn met_by(&self, signers: &[Signer], digests: &[Digest]) -> Option<Reason> {
        let reason = |by, found: &str| Reason {
            by,
            wanted: self.to_string(),
            found: found.to_owned(),
        };
        match self {
            Self::Certificate { subject, issuers } => signers.iter().find_map(|signer| {
                let certificate = signer.certificate.as_ref()?;
                let issuer = certificate.fulcio().issuer();
                let issuer_fits = issuers.is_empty()
                    || issuer.is_some_and(|issuer| issuers.iter().any(|i| i.matches(issuer)));
                if !issuer_fits {
                    return None;
                }
                match subject {
                    Some(subject) => {
                        let name = signer.name_that_fits(subject)?;
                        Some(reason("identity", name))
                    }
                    None => Some(reason("issuer", issuer?)),
                }
            }),
            Self::Extension { oid, values } => signers.iter().find_map(|signer| {
                let found = signer.extension(oid)?;
                values.contains(&found).then(|| reason("extension", &found))
            }),
            Self::Subject(subject) => {
                let name = signers.iter().find_map(|s| s.name_that_fits(subject))?;
                Some(reason("subject", name))
            }
            Self::Key { fingerprint, .. } => {
                let has = |signer: &Signer| signer.fingerprints.contains(fingerprint);
                let found = signers.iter().any(has);
                found.then(|| reason("key", fingerprint))
            }
            Self::Digest(digest) => digests
                .contains(digest)
                .then(|| reason("digest", &digest.to_string())),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { subject, issuers } => {
                match subject {
                    Some(subject) => write!(f, "identity {subject}")?,
                    None => f.write_str("any identity")?,
                }
                let issuers: Vec<String> = issuers.iter().map(Match::to_string).collect();
                match issuers.is_empty() {
                    true => Ok(()),
                    false => write!(f, " of issuer {}", issuers.join(" or ")),
                }
            }
            Self::Extension { oid, values } => {
                let values: Vec<String> = values.iter().map(|v| format!("{v:?}")).collect();
                write!(f, "extension {oid} {}", values.join(" or "))
            }
            Self::Subject(subject) => write!(f, "subject {subject}"),
            Self::Key { fingerprint, .. } => write!(f, "key {fingerprint}"),
            Self::Digest(digest) => write!(f, "digest {digest}"),
        }
    }
}

/// A fingerprint as people write it, in the one form in which fingerprints are compared: 64 digits of hex (SHA-256 of a
/// public key or certificate in DER), 40 (OpenPGP), or `SHA256:` and base64 (OpenSSH).
///
/// # Errors
/// Which forms there are, if it has none of them.
///
/// ```
/// use sealmark_rekor::monitor::fingerprint;
/// let hex = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
/// assert_eq!(fingerprint(hex), fingerprint(&format!("sha256:{}", hex.to_lowercase())));
/// assert!(fingerprint("A0B1C2D3E4F5").is_err());
/// ```
pub fn fingerprint(text: &str) -> Result<String, String> {
    let plain = text.trim();
    let hex: String = plain
        .strip_prefix("sha256:")
        .unwrap_or(plain)
        .chars()
        .filter(|c| !matches!(c, ':' | ' '))
        .collect::<String>()
        .to_ascii_lowercase();
    if matches!(hex.len(), 40 | 64) && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(hex);
    }
    let base64 = plain.strip_prefix("SHA256:").unwrap_or(plain);
    let base64 = base64.trim_end_matches('=');
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if base64.len() == 43 && base64.bytes().all(is_base64) {
        return Ok(format!("SHA256:{base64}"));
    }
    Err(excerpt(format!(
        "{text:?} is no fingerprint: one has 64 digits of hex (SHA-256 of a key or certificate in DER), 40 (OpenPGP), \
         or is SHA256: and 43 characters of base64 (OpenSSH)"
    )))
}

/// What strangers have written is quoted in part.
fn excerpt(text: String) -> String {
    sealmark_formats::excerpt(text)
}
