//! Chains: whether a certificate was issued, over any number of steps, by a CA that the caller trusts.
//!
//! Paths are built and their signatures, names and lengths checked by `rustls-webpki`. What it leaves to its caller
//! is checked here, as Sigstore's other clients do: the purpose, in the signer's certificate and in every CA's that
//! limits it; `keyCertSign`, which CAs need and others must not have; that every key is one that is supported, every
//! CA has a name; and that the trust anchor, too, is understood and valid at the time. Every certificate of the path must
//! be valid at that one time: one whose issuer was no longer valid when it was used is worth nothing.

use core::cell::RefCell;
use core::fmt;
use core::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};

use crate::chain_error::explain;
use crate::validity::UnixSeconds;
use crate::{Certificate, ChainError, ExtendedKeyUsage, signature_algorithms};

/// What a certificate is used for. All demand more than RFC 5280, which lets a certificate without a purpose serve
/// every one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Purpose {
    /// Signing artifacts: the signer's certificate has `codeSigning` among its purposes.
    CodeSigning,
    /// Signing timestamps: the authority's certificate has `timeStamping` as its only purpose, and critical
    /// (RFC 3161, section 2.3).
    TimeStamping,
    /// TLS servers: their certificate has `serverAuth` among its purposes. Nothing is signed with those; public suites
    /// for chains are about servers.
    ServerAuth,
    /// TLS clients, likewise.
    ClientAuth,
}

impl Purpose {
    /// The purpose as certificates have it.
    pub fn extended_key_usage(self) -> ExtendedKeyUsage {
        match self {
            Self::CodeSigning => ExtendedKeyUsage::CodeSigning,
            Self::TimeStamping => ExtendedKeyUsage::TimeStamping,
            Self::ServerAuth => ExtendedKeyUsage::ServerAuth,
            Self::ClientAuth => ExtendedKeyUsage::ClientAuth,
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.extended_key_usage().fmt(f)
    }
}

/// A chain that was verified: from the signer's certificate to a trust anchor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain<'a> {
    /// At least two.
    certificates: Vec<&'a Certificate>,
}

impl<'a> Chain<'a> {
    /// All certificates: the signer's own first, the trust anchor last.
    pub fn certificates(&self) -> &[&'a Certificate] {
        &self.certificates
    }

    /// The signer's certificate.
    pub fn leaf(&self) -> &'a Certificate {
        self.certificates[0]
    }

    /// The certificate of the CA that issued the signer's: the one whose key an SCT names.
    pub fn issuer(&self) -> &'a Certificate {
        self.certificates[1]
    }

    /// Whether every certificate was valid at another time, too. Nothing else about a chain changes with the time.
    pub fn is_valid_at(&self, at_unix_seconds: u64) -> bool {
        self.certificates
            .iter()
            .all(|certificate| check_validity(certificate, at_unix_seconds).is_ok())
    }

    /// The trust anchor.
    pub fn anchor(&self) -> &'a Certificate {
        self.certificates[self.certificates.len() - 1]
    }
}

/// Verifies that `leaf` was issued for this purpose by one of `roots`, directly or through some of `intermediates`,
/// and that every certificate of the path, the leaf's and the root's included, was valid at `at_unix_seconds`.
///
/// Only `roots` are trusted. One may itself be an intermediate of another CA; intermediates may come from anywhere,
/// in any order, and those that do not fit are passed over.
///
/// ```
/// use sealmark_x509::{Certificate, ChainError, Purpose, verify_chain};
/// # let leaf = include_bytes!("../tests/fixtures/github-workflow.pem");
/// # let authority = include_bytes!("../tests/fixtures/public-good-ca.pem");
/// let leaf = Certificate::from_pem(leaf)?;
/// let authority = Certificate::chain_from_pem(authority)?; // intermediate, root
/// let (intermediates, root) = authority.split_at(authority.len() - 1);
///
/// let chain = verify_chain(&leaf, intermediates, root, 1_734_374_576, Purpose::CodeSigning).unwrap();
/// assert_eq!(chain.issuer(), &authority[0]);
/// assert!(chain.is_valid_at(1_734_375_176) && !chain.is_valid_at(1_734_375_177));
///
/// let later = verify_chain(&leaf, intermediates, root, 1_734_375_177, Purpose::CodeSigning);
/// assert!(matches!(later, Err(ChainError::Expired { .. })));
/// # Ok::<(), sealmark_x509::Error>(())
/// ```
///
/// # Errors
/// The first thing that is wrong with the leaf itself, else what is wrong with the best path that was found.
pub fn verify_chain<'a>(
    leaf: &'a Certificate,
    intermediates: &'a [Certificate],
    roots: &'a [Certificate],
    at_unix_seconds: u64,
    purpose: Purpose,
) -> Result<Chain<'a>, ChainError> {
    check_leaf(leaf, at_unix_seconds, purpose)?;

    let leaf_der = CertificateDer::from(leaf.der());
    let end_entity = EndEntityCert::try_from(&leaf_der)
        .map_err(|error| explain(&error, leaf, &[], roots, at_unix_seconds))?;
    let intermediate_ders = ders(intermediates);
    let root_ders = ders(roots);
    let mut unusable_root = None;
    let mut usable_roots = Vec::with_capacity(roots.len());
    let mut anchors: Vec<TrustAnchor<'_>> = Vec::with_capacity(roots.len());
    for (root, der) in roots.iter().zip(&root_ders) {
        match webpki::anchor_from_trusted_cert(der) {
            Ok(anchor) => {
                usable_roots.push(root);
                anchors.push(anchor);
            }
            Err(error) => unusable_root = Some(ChainError::unusable(root, &format!("{error:?}"))),
        }
    }
    let time = UnixTime::since_unix_epoch(Duration::from_secs(at_unix_seconds));

    // What is wrong with a path whose signatures are all right.
    let refusal = RefCell::new(None);
    let path_of = |path: &VerifiedPath<'_>| {
        let mut certificates = vec![leaf];
        for issuer in path.intermediate_certificates() {
            let der = issuer.der();
            certificates.extend(intermediates.iter().find(|c| c.der() == der.as_ref()));
        }
        let anchor = anchors
            .iter()
            .position(|anchor| core::ptr::eq(anchor, path.anchor()));
        certificates.extend(anchor.map(|index| usable_roots[index]));
        certificates
    };
    let check_path = |path: &VerifiedPath<'_>| {
        check_issuers(&path_of(path)[1..], at_unix_seconds, purpose).map_err(|error| {
            refusal.borrow_mut().get_or_insert(error);
            webpki::Error::CertDistrusted
        })
    };
    let result = end_entity.verify_for_usage(
        signature_algorithms::ALL,
        &anchors,
        &intermediate_ders,
        time,
        AnyUsage,
        None,
        Some(&check_path),
    );
    let error = match result {
        Ok(path) => {
            let certificates = path_of(&path);
            return Ok(Chain { certificates });
        }
        Err(error) => error,
    };
    if let Some(refusal) = refusal.into_inner() {
        return Err(refusal);
    }
    let error = explain(&error, leaf, intermediates, roots, at_unix_seconds);
    match (error, unusable_root) {
        (ChainError::UnknownIssuer { .. }, Some(unusable)) => Err(unusable),
        (error, _) => Err(error),
    }
}

fn ders(certificates: &[Certificate]) -> Vec<CertificateDer<'_>> {
    certificates
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der()))
        .collect()
}

/// Purposes are not left to the path builder: it would demand one of every CA, and those of many have none.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

fn check_leaf(leaf: &Certificate, at: u64, purpose: Purpose) -> Result<(), ChainError> {
    if leaf.is_ca() {
        return Err(ChainError::CaAsSigner {
            certificate: name(leaf),
        });
    }
    check_validity(leaf, at)?;
    let found = leaf.extended_key_usage();
    if !found.contains(&purpose.extended_key_usage()) {
        return Err(wrong_purpose(leaf, purpose));
    }
    if purpose == Purpose::TimeStamping
        && (found.len() != 1 || !leaf.extended_key_usage_is_critical())
    {
        return Err(ChainError::TimeStampingNotAlone {
            certificate: name(leaf),
            found: found.to_vec(),
            critical: leaf.extended_key_usage_is_critical(),
        });
    }
    match leaf.key_usage() {
        Some(usage) if !usage.digital_signature() && !usage.non_repudiation() => {
            return Err(ChainError::WrongKeyUsage {
                certificate: name(leaf),
                needed: "digitalSignature",
                found: usage.names(),
            });
        }
        // RFC 5280, section 4.2.1.3: only a CA's key may be for that.
        Some(usage) if usage.key_cert_sign() => {
            return Err(ChainError::unusable(
                leaf,
                "its key is for keyCertSign, and it is not that of a CA",
            ));
        }
        _ => {}
    }
    check_key(leaf)
}

/// The path builder looks only at the keys that check a signature, and not at whether they are any good.
fn check_key(certificate: &Certificate) -> Result<(), ChainError> {
    certificate
        .public_key()
        .map(drop)
        .map_err(|error| ChainError::unusable(certificate, &error.to_string()))
}

/// The extensions about policies (RFC 5280, section 4.2.1): without a policy that is asked for they forbid nothing. And
/// `nameConstraints`, which the path builder reads.
const HARMLESS_IN_AN_ANCHOR: [&str; 5] = [
    "2.5.29.30",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.36",
    "2.5.29.54",
];

/// The path builder reads no more of an anchor than its name, its key and its name constraints.
fn check_anchor(anchor: &Certificate) -> Result<(), ChainError> {
    let unknown = anchor
        .unread_extensions()
        .iter()
        .find(|it| it.critical && !HARMLESS_IN_AN_ANCHOR.contains(&it.oid.as_str()));
    match unknown {
        Some(unknown) => Err(ChainError::unusable(
            anchor,
            &format!("its critical extension {} is not known", unknown.oid),
        )),
        None => Ok(()),
    }
}

/// Checks the CAs of a path, that of the leaf first and the anchor last.
fn check_issuers(issuers: &[&Certificate], at: u64, purpose: Purpose) -> Result<(), ChainError> {
    if let Some(anchor) = issuers.last() {
        check_anchor(anchor)?;
    }
    for (below, issuer) in issuers.iter().enumerate() {
        check_validity(issuer, at)?;
        if issuer.subject().is_empty() {
            return Err(ChainError::unusable(
                issuer,
                "it is that of a CA without a name",
            ));
        }
        check_key(issuer)?;
        let Some(constraints) = issuer.basic_constraints().filter(|it| it.ca) else {
            return Err(ChainError::NotCa {
                certificate: name(issuer),
            });
        };
        if let Some(allowed) = constraints.path_len.filter(|len| below > usize::from(*len)) {
            return Err(ChainError::PathTooLong {
                certificate: Some(name(issuer)),
                allowed: allowed.into(),
                found: Some(below),
            });
        }
        if let Some(usage) = issuer.key_usage().filter(|usage| !usage.key_cert_sign()) {
            return Err(ChainError::WrongKeyUsage {
                certificate: name(issuer),
                needed: "keyCertSign",
                found: usage.names(),
            });
        }
        let purposes = issuer.extended_key_usage();
        let serves = |it: &ExtendedKeyUsage| {
            *it == ExtendedKeyUsage::Any || *it == purpose.extended_key_usage()
        };
        if !purposes.is_empty() && !purposes.iter().any(serves) {
            return Err(wrong_purpose(issuer, purpose));
        }
    }
    Ok(())
}

pub(crate) fn check_validity(certificate: &Certificate, at: u64) -> Result<(), ChainError> {
    let validity = certificate.validity();
    let at = UnixSeconds(at);
    if at.0 < validity.not_before.unix_seconds() {
        return Err(ChainError::NotYetValid {
            certificate: name(certificate),
            at,
            not_before: validity.not_before,
        });
    }
    if at.0 > validity.not_after.unix_seconds() {
        return Err(ChainError::Expired {
            certificate: name(certificate),
            at,
            not_after: validity.not_after,
        });
    }
    Ok(())
}

fn wrong_purpose(certificate: &Certificate, needed: Purpose) -> ChainError {
    ChainError::WrongPurpose {
        certificate: name(certificate),
        needed: needed.extended_key_usage(),
        found: certificate.extended_key_usage().to_vec(),
    }
}

/// A certificate in a message: its subject, or its serial number where it has none, as Fulcio's leaves.
pub(crate) fn name(certificate: &Certificate) -> String {
    let subject = certificate.subject();
    if subject.is_empty() {
        format!("with serial number {}", certificate.serial())
    } else {
        printable(&subject)
    }
}

/// A stranger's text, quoted, escaped and cut to a length that can be printed.
pub(crate) fn printable(text: &str) -> String {
    format!("{:?}", text.chars().take(200).collect::<String>())
}
