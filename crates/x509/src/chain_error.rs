//! Why a certificate is not to be trusted.

use der::asn1::ObjectIdentifier;

use crate::chain::{check_validity, name, printable};
use crate::element::Elements;
use crate::validity::UnixSeconds;
use crate::{Certificate, ExtendedKeyUsage, Instant};

/// What is wrong with which certificate of the chain. Certificates are named by their subject, or by their serial
/// number where they have none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A certificate was used after its end.
    #[error(
        "the certificate {certificate} had expired: it is used at {at}, and was valid until {not_after}"
    )]
    Expired {
        /// Which one.
        certificate: String,
        /// The time for which it was checked.
        at: UnixSeconds,
        /// Its last second.
        not_after: Instant,
    },
    /// A certificate was used before its start.
    #[error(
        "the certificate {certificate} was not yet valid: it is used at {at}, and is valid from {not_before}"
    )]
    NotYetValid {
        /// Which one.
        certificate: String,
        /// The time for which it was checked.
        at: UnixSeconds,
        /// Its first second.
        not_before: Instant,
    },
    /// No trusted certificate issued it.
    #[error(
        "the certificate {certificate} was issued by {issuer}, which is not trusted; {}",
        trusted(known)
    )]
    UnknownIssuer {
        /// Where the chain ends.
        certificate: String,
        /// The name of the CA that is missing.
        issuer: String,
        /// The certificates that are trusted.
        known: Vec<String>,
    },
    /// There is a CA of the right name, and it did not sign this.
    #[error(
        "the certificate {certificate} was not issued by the trusted {issuer}: a signature in its chain does not \
         match the key of the CA with that name"
    )]
    BadSignature {
        /// The signer's certificate.
        certificate: String,
        /// The CA that it names.
        issuer: String,
    },
    /// A certificate was signed in a way that is not supported.
    #[error(
        "the signature of the certificate {certificate} cannot be checked: its algorithm {algorithm}, with these \
         parameters and its issuer's key, is not supported; supported are ECDSA on P-256, P-384 and P-521, Ed25519, \
         and RSA from 2048 bits, where the salt of PSS is as long as the hash"
    )]
    UnsupportedSignature {
        /// Which one.
        certificate: String,
        /// The algorithm, an object identifier in dots.
        algorithm: String,
    },
    /// A certificate is for something else.
    #[error(
        "the certificate {certificate} is not for {needed}, but for {}",
        list(found)
    )]
    WrongPurpose {
        /// Which one.
        certificate: String,
        /// The purpose that is needed.
        needed: ExtendedKeyUsage,
        /// Those that it has.
        found: Vec<ExtendedKeyUsage>,
    },
    /// RFC 3161, section 2.3, wants one purpose, and critical.
    #[error(
        "the certificate {certificate} may not sign timestamps: timeStamping must be its only purpose, and critical, \
         and it has {}, {}", list(found), if *critical { "critical" } else { "not critical" }
    )]
    TimeStampingNotAlone {
        /// Which one.
        certificate: String,
        /// Its purposes.
        found: Vec<ExtendedKeyUsage>,
        /// Whether they are critical.
        critical: bool,
    },
    /// The key may not be used for this.
    #[error(
        "the key of the certificate {certificate} is not for {needed}, but for {}",
        list(found)
    )]
    WrongKeyUsage {
        /// Which one.
        certificate: String,
        /// The usage that is needed.
        needed: &'static str,
        /// Those that it has.
        found: Vec<&'static str>,
    },
    /// The signer's certificate is one of a CA.
    #[error(
        "the certificate {certificate} is that of a CA; CAs sign certificates and nothing else"
    )]
    CaAsSigner {
        /// Which one.
        certificate: String,
    },
    /// A certificate was issued by somebody who is no CA.
    #[error("the certificate {certificate} is not that of a CA, and cannot have issued another")]
    NotCa {
        /// Which one.
        certificate: String,
    },
    /// There are more CAs in a row than allowed.
    #[error("the chain is too long: {}", too_long(certificate.as_deref(), *allowed, *found))]
    PathTooLong {
        /// The CA that limits it; `None` if it is our own limit.
        certificate: Option<String>,
        /// How many CAs may be below it.
        allowed: usize,
        /// How many are, if known.
        found: Option<usize>,
    },
    /// A CA of the chain limits the names of the certificates below it.
    #[error(
        "the certificate {certificate} limits the names below it (nameConstraints), and a name in the chain is not \
         among those that it permits, or of a kind whose limits are not supported: limits of host names and IP \
         addresses are, those of e-mail addresses, URIs and directory names forbid every name of the kind"
    )]
    NameNotPermitted {
        /// Which one.
        certificate: String,
    },
    /// A certificate cannot be used in a chain.
    #[error("the certificate {certificate} cannot be used in a chain: {reason}")]
    Unusable {
        /// Which one.
        certificate: String,
        /// What the path builder says about it.
        reason: String,
    },
}

impl ChainError {
    pub(crate) fn unusable(certificate: &Certificate, reason: &str) -> Self {
        Self::Unusable {
            certificate: name(certificate),
            reason: reason.to_owned(),
        }
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "nothing in particular".to_owned();
    }
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

fn trusted(known: &[String]) -> String {
    match known {
        [] => "no certificate is".to_owned(),
        [one] => format!("only {one} is"),
        several => format!("trusted are {}", several.join(", ")),
    }
}

fn too_long(certificate: Option<&str>, allowed: usize, found: Option<usize>) -> String {
    let limit = certificate.map_or_else(
        || format!("at most {allowed} intermediates are looked at"),
        |certificate| format!("{certificate} allows {allowed} CAs below it"),
    );
    match found {
        Some(found) => format!("{limit}, and there are {found}"),
        None => limit,
    }
}

/// Puts names and values to what the path builder found.
pub(crate) fn explain(
    error: &webpki::Error,
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
    at: u64,
) -> ChainError {
    use webpki::Error::{
        CertExpired, CertNotValidYet, EndEntityUsedAsCa, InvalidSignatureForPublicKey,
        MaximumPathDepthExceeded, NameConstraintViolation, PathLenConstraintViolated,
        UnknownIssuer, UnsupportedCriticalExtension, UnsupportedSignatureAlgorithmContext,
        UnsupportedSignatureAlgorithmForPublicKeyContext,
    };
    // Where the chain ends, going by names: the leaf, or the highest of the intermediates.
    let mut top = leaf;
    for _ in intermediates {
        let above = intermediates
            .iter()
            .find(|it| it.subject() == top.issuer() && !it.is_self_issued());
        let Some(above) = above else { break };
        top = above;
    }
    match error {
        UnknownIssuer => ChainError::UnknownIssuer {
            certificate: name(top),
            issuer: printable(&top.issuer()),
            known: roots.iter().map(name).collect(),
        },
        InvalidSignatureForPublicKey => ChainError::BadSignature {
            certificate: name(leaf),
            issuer: printable(&leaf.issuer()),
        },
        CertExpired { .. } | CertNotValidYet { .. } => intermediates
            .iter()
            .find_map(|it| check_validity(it, at).err())
            .unwrap_or_else(|| ChainError::unusable(top, &format!("{error:?}"))),
        PathLenConstraintViolated => {
            let limit = intermediates
                .iter()
                .filter_map(|it| Some((it, it.basic_constraints()?.path_len?)))
                .min_by_key(|(_, limit)| *limit);
            ChainError::PathTooLong {
                certificate: limit.map(|(it, _)| name(it)),
                allowed: limit.map_or(0, |(_, limit)| limit.into()),
                found: None,
            }
        }
        MaximumPathDepthExceeded => ChainError::PathTooLong {
            certificate: None,
            allowed: MAX_INTERMEDIATES,
            found: None,
        },
        NameConstraintViolation => ChainError::NameNotPermitted {
            certificate: intermediates
                .iter()
                .chain(roots)
                .find(|it| {
                    it.unread_extensions()
                        .iter()
                        .any(|e| e.oid == NAME_CONSTRAINTS)
                })
                .map_or_else(|| name(top), name),
        },
        UnsupportedCriticalExtension => {
            let unknown = |it: &&Certificate| it.unread_extensions().iter().any(|e| e.critical);
            let certificate = core::iter::once(leaf).chain(intermediates).find(unknown);
            ChainError::unusable(
                certificate.unwrap_or(top),
                "it has a critical extension that is not known",
            )
        }
        EndEntityUsedAsCa => ChainError::NotCa {
            certificate: intermediates
                .iter()
                .find(|it| !it.is_ca())
                .map_or_else(|| name(top), name),
        },
        UnsupportedSignatureAlgorithmContext(context) => {
            unsupported_signature(&context.signature_algorithm_id, leaf, intermediates)
        }
        UnsupportedSignatureAlgorithmForPublicKeyContext(context) => {
            unsupported_signature(&context.signature_algorithm_id, leaf, intermediates)
        }
        other => ChainError::unusable(top, &format!("{other:?}")),
    }
}

const NAME_CONSTRAINTS: &str = "2.5.29.30";

/// The path builder's limit.
const MAX_INTERMEDIATES: usize = 6;

fn unsupported_signature(
    algorithm_identifier: &[u8],
    leaf: &Certificate,
    intermediates: &[Certificate],
) -> ChainError {
    let oid = Elements::new(algorithm_identifier).and_then(|mut fields| fields.next()?.decode());
    let algorithm = oid.map_or_else(
        |_| "unknown".to_owned(),
        |oid: ObjectIdentifier| oid.to_string(),
    );
    let signed = core::iter::once(leaf)
        .chain(intermediates)
        .find(|it| it.signature_algorithm() == algorithm);
    ChainError::UnsupportedSignature {
        certificate: name(signed.unwrap_or(leaf)),
        algorithm,
    }
}
