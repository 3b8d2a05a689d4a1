//! The names of hashes and signature schemes in certificates and in CMS (`AlgorithmIdentifier`).

use sealmark_formats::HashAlgorithm;
use sealmark_keys::Scheme;

use super::{IssueError, object_identifier, sequence};

const NULL: &[u8] = &[5, 0];

/// The scheme as certificates name it: RFC 5758 for ECDSA, RFC 8017 for RSA, RFC 8410 for Ed25519.
pub(super) fn signature(what: &'static str, scheme: Scheme) -> Result<Vec<u8>, IssueError> {
    let (oid, parameters): (_, &[u8]) = match scheme {
        Scheme::EcdsaSha256 => ("1.2.840.10045.4.3.2", &[]),
        Scheme::EcdsaSha384 => ("1.2.840.10045.4.3.3", &[]),
        Scheme::EcdsaSha512 => ("1.2.840.10045.4.3.4", &[]),
        Scheme::RsaPkcs1Sha256 => ("1.2.840.113549.1.1.11", NULL),
        Scheme::RsaPkcs1Sha384 => ("1.2.840.113549.1.1.12", NULL),
        Scheme::RsaPkcs1Sha512 => ("1.2.840.113549.1.1.13", NULL),
        Scheme::Ed25519 => ("1.3.101.112", &[]),
        // PSS has parameters that hardly any reader of Sigstore understands, Ed25519ph has no name at all.
        Scheme::RsaPssSha256 | Scheme::RsaPssSha384 | Scheme::RsaPssSha512 | Scheme::Ed25519ph => {
            return Err(IssueError::Scheme { what, scheme });
        }
    };
    Ok(sequence(&[&object_identifier(what, oid)?, parameters])?)
}

/// The hash with the parameters that a request for a timestamp has, NULL.
pub(crate) fn hash_in_imprint(hash: HashAlgorithm) -> Result<Vec<u8>, IssueError> {
    Ok(sequence(&[&hash_oid(hash)?, NULL])?)
}

/// The hash as CMS names it: without parameters (RFC 5754, section 2).
pub(super) fn hash(hash: HashAlgorithm) -> Result<Vec<u8>, IssueError> {
    Ok(sequence(&[&hash_oid(hash)?])?)
}

fn hash_oid(hash: HashAlgorithm) -> Result<Vec<u8>, IssueError> {
    let oid = match hash {
        HashAlgorithm::Sha256 => "2.16.840.1.101.3.4.2.1",
        HashAlgorithm::Sha384 => "2.16.840.1.101.3.4.2.2",
        HashAlgorithm::Sha512 => "2.16.840.1.101.3.4.2.3",
    };
    object_identifier("a hash", oid)
}
