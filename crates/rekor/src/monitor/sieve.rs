//! A quick look at an entry, which spares the slow one where the entry cannot have what is looked for.
//!
//! Almost every entry of a Rekor v2 is a `hashedrekord` of one shape, and almost none is what somebody looks for. Such a
//! body is read without a tree of JSON values, and its certificate is not parsed: a name, an issuer or an extension that
//! is looked for literally stands in the DER as it is, so a certificate without these bytes cannot have it.
//!
//! Invariant: [`Sieve::rules_out`] is true only where the slow look would find nothing; anything unusual is for the slow
//! look.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::bytes::{Regex, RegexBuilder};
use sealmark_formats::digest::HashAlgorithm;
use sealmark_formats::{Digest, digest};
use sealmark_verify::policy::Match;
use serde::Deserialize;

use super::watch::Condition;

/// The searcher for all literals together is not larger than this, in bytes.
const MAX_SEARCHER: usize = 64 << 20;

/// What a quick look must not pass over.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    certificates: Certificates,
    digests: HashSet<Digest>,
    /// In hex.
    keys: HashSet<String>,
}

/// Which certificates need the slow look.
#[derive(Debug, Default)]
enum Certificates {
    /// None: nothing about certificates is looked for.
    #[default]
    None,
    /// Those with one of some literals.
    With(Regex),
    /// All, as something is looked for by a pattern or a hash.
    All,
}

impl Sieve {
    pub(super) fn of(conditions: &[Condition]) -> Result<Self, String> {
        let mut sieve = Self::default();
        let mut literals: Option<Vec<Vec<u8>>> = Some(Vec::new());
        for condition in conditions {
            let needed = match condition {
                Condition::Digest(digest) => {
                    sieve.digests.insert(digest.clone());
                    continue;
                }
                Condition::Key { fingerprint, spki } => {
                    sieve.keys.insert(fingerprint.clone());
                    spki.clone().map(|spki| vec![spki])
                }
                Condition::Certificate { subject, issuers } => {
                    exact(subject.iter()).or_else(|| exact(issuers.iter()))
                }
                Condition::Extension { values, .. } => exact_texts(values.iter()),
                Condition::Subject(subject) => exact([subject].into_iter()),
            };
            literals = literals.zip(needed).map(|(mut all, needed)| {
                all.extend(needed);
                all
            });
        }
        sieve.certificates = match literals {
            None => Certificates::All,
            Some(literals) if literals.is_empty() => Certificates::None,
            Some(literals) => Certificates::With(searcher(&literals)?),
        };
        Ok(sieve)
    }

    /// Whether the entry with this body has nothing of what is looked for, as far as a quick look can tell.
    pub(super) fn rules_out(&self, body: &[u8]) -> bool {
        self.cannot_be(body).unwrap_or(false)
    }

    /// `None` if the body is not of the shape that is read here.
    fn cannot_be(&self, body: &[u8]) -> Option<bool> {
        let body: Body<'_> = serde_json::from_slice(body).ok()?;
        if body.kind != "hashedrekord" || body.api_version != "0.0.2" {
            return None;
        }
        let entry = body.spec.entry;
        if !self.digests.is_empty() {
            let algorithm = HashAlgorithm::from_protobuf_name(&entry.data.algorithm)?;
            let bytes = STANDARD.decode(&*entry.data.digest).ok()?;
            if self
                .digests
                .contains(&Digest::from_bytes(algorithm, &bytes)?)
            {
                return Some(false);
            }
        }
        let verifier = entry.signature.verifier;
        match (verifier.public_key, verifier.certificate) {
            (Some(_), None) if self.keys.is_empty() => Some(true),
            (Some(key), None) => {
                let spki = STANDARD.decode(&*key.raw_bytes).ok()?;
                let fingerprint = hex::encode(digest::sha256(&spki));
                Some(!self.keys.contains(&fingerprint))
            }
            (None, Some(certificate)) => match &self.certificates {
                Certificates::None => Some(true),
                Certificates::All => None,
                Certificates::With(literals) => {
                    let der = STANDARD.decode(&*certificate.raw_bytes).ok()?;
                    Some(!literals.is_match(&der))
                }
            },
            _ => None,
        }
    }
}

/// The literals of which a certificate that fits must have one; `None` if there are none, or one is no literal.
fn exact<'a>(patterns: impl Iterator<Item = &'a Match>) -> Option<Vec<Vec<u8>>> {
    let texts: Option<Vec<&String>> = patterns
        .map(|pattern| match pattern {
            Match::Exact(text) => Some(text),
            Match::Pattern(_) => None,
        })
        .collect();
    exact_texts(texts?.into_iter())
}

/// A text without characters is in everything, so it rules nothing out.
fn exact_texts<'a>(texts: impl Iterator<Item = &'a String>) -> Option<Vec<Vec<u8>>> {
    let literals: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).collect();
    let usable = !literals.is_empty() && literals.iter().all(|literal| !literal.is_empty());
    usable.then_some(literals)
}

/// One searcher for all of them: an automaton, however many there are.
fn searcher(literals: &[Vec<u8>]) -> Result<Regex, String> {
    let escaped: Vec<String> = literals
        .iter()
        .map(|literal| {
            literal
                .iter()
                .map(|byte| format!("\\x{byte:02x}"))
                .collect()
        })
        .collect();
    RegexBuilder::new(&escaped.join("|"))
        .unicode(false)
        .size_limit(MAX_SEARCHER)
        .build()
        .map_err(|_| "too much is looked for; use several monitors".to_owned())
}

/// `HashedRekordLogEntryV002` of `hashedrekord.proto`, and nothing more, so that whatever else there is gets the slow
/// look.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    spec: Spec<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec<'a> {
    #[serde(borrow, rename = "hashedRekordV002")]
    entry: HashedRekord<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashedRekord<'a> {
    #[serde(borrow)]
    data: Data<'a>,
    #[serde(borrow)]
    signature: Signature<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data<'a> {
    #[serde(borrow)]
    algorithm: Cow<'a, str>,
    #[serde(borrow)]
    digest: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature<'a> {
    #[serde(borrow)]
    #[allow(dead_code, reason = "it must be there")]
    content: Cow<'a, str>,
    #[serde(borrow)]
    verifier: KeyOrCertificate<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct KeyOrCertificate<'a> {
    #[serde(borrow)]
    #[allow(dead_code, reason = "it must be there")]
    key_details: Cow<'a, str>,
    #[serde(borrow, default)]
    public_key: Option<RawBytes<'a>>,
    #[serde(borrow, default, rename = "x509Certificate")]
    certificate: Option<RawBytes<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawBytes<'a> {
    #[serde(borrow)]
    raw_bytes: Cow<'a, str>,
}
