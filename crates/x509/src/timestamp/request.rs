//! Requests for a timestamp: `TimeStampReq` of RFC 3161, section 2.4.1.

use der::asn1::ObjectIdentifier;
use der::{Decode, Tag};
use sealmark_formats::{Digest, HashAlgorithm};

use crate::element::{Element, constructed, encode};
use crate::issue::{IssueError, hash_in_imprint, object_identifier, sequence};

/// The longest request, in bytes: a digest, a nonce and a policy.
pub const MAX_TIMESTAMP_REQUEST: usize = 4096;
/// The longest nonce, in bytes.
const MAX_NONCE: usize = 64;
/// Components of a policy's identifier; Go's parser has the same bound.
const MAX_POLICY: usize = 128;

/// Why there is no timestamp for a request.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampRequestError {
    /// It is longer than a request is.
    #[error("it has {0} bytes, at most {MAX_TIMESTAMP_REQUEST} are read")]
    TooLarge(usize),
    /// It is no request.
    #[error("it is not a timestamp request (RFC 3161): {0}")]
    Malformed(String),
    /// Its hash is none that proves anything, or none that is known.
    #[error("its hash algorithm {0} is not SHA-256, SHA-384 or SHA-512")]
    Hash(String),
    /// Its digest is not as long as those of its hash.
    #[error("its digest has {found} bytes, those of {hash} have {expected}")]
    Length {
        /// The hash.
        hash: HashAlgorithm,
        /// How long its digests are.
        expected: usize,
        /// How long this one is.
        found: usize,
    },
    /// It wants something that is not known here.
    #[error("it has extensions, which are not supported")]
    Extensions,
}

/// A request that is well formed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TimestampRequest {
    /// The digest of what existed.
    pub imprint: Digest,
    /// The policy that is asked for, in dots.
    pub policy: Option<String>,
    /// The nonce, as the content of a DER integer.
    pub nonce: Option<Vec<u8>>,
    /// Whether the token is to have the authority's certificate inside.
    pub certificates: bool,
}

impl TimestampRequest {
    /// Reads DER.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_der(bytes: &[u8]) -> Result<Self, TimestampRequestError> {
        use TimestampRequestError::{Extensions, Hash, Malformed, TooLarge};
        if bytes.len() > MAX_TIMESTAMP_REQUEST {
            return Err(TooLarge(bytes.len()));
        }
        let read = || -> der::Result<_> {
            let mut fields = Element::only(bytes)?.elements()?;
            let version = fields.expect(Tag::Integer)?;
            let imprint = fields.expect(Tag::Sequence)?;
            let policy = fields.optional(Tag::ObjectIdentifier)?;
            let nonce = fields.optional(Tag::Integer)?;
            let certificates = fields.optional(Tag::Boolean)?;
            let extensions = fields.optional(constructed(0))?;
            fields.finish()?;
            let mut imprint = imprint.elements()?;
            let algorithm = imprint.expect(Tag::Sequence)?.elements()?.next()?;
            let algorithm: ObjectIdentifier = algorithm.decode()?;
            let digest = imprint.expect(Tag::OctetString)?;
            imprint.finish()?;
            let policy = policy.map(|policy| policy.decode::<ObjectIdentifier>());
            let certificates = certificates.map(|flag| bool::from_der(flag.der));
            Ok((
                version.content,
                algorithm,
                digest.content,
                policy.transpose()?,
                nonce.map(|nonce| nonce.content.to_vec()),
                certificates.transpose()?,
                extensions.is_some(),
            ))
        };
        let malformed = |error: der::Error| Malformed(error.to_string());
        let (version, algorithm, digest, policy, nonce, certificates, extensions) =
            read().map_err(malformed)?;
        if version != [1] {
            return Err(Malformed("its version is not 1".to_owned()));
        }
        if extensions {
            return Err(Extensions);
        }
        if nonce
            .as_ref()
            .is_some_and(|it| it.is_empty() || it.len() > MAX_NONCE)
        {
            return Err(Malformed(format!(
                "its nonce has not 1 to {MAX_NONCE} bytes"
            )));
        }
        if policy.is_some_and(|policy| policy.arcs().count() > MAX_POLICY) {
            return Err(Malformed(format!(
                "its policy has more than {MAX_POLICY} parts"
            )));
        }
        let hash = match algorithm.to_string().as_str() {
            "2.16.840.1.101.3.4.2.1" => HashAlgorithm::Sha256,
            "2.16.840.1.101.3.4.2.2" => HashAlgorithm::Sha384,
            "2.16.840.1.101.3.4.2.3" => HashAlgorithm::Sha512,
            other => return Err(Hash(other.to_owned())),
        };
        Ok(Self {
            imprint: imprint(hash, digest)?,
            policy: policy.map(|policy| policy.to_string()),
            nonce,
            certificates: certificates.unwrap_or(false),
        })
    }
}

impl TimestampRequest {
    /// The request as DER, version 1.
    ///
    /// ```
    /// use sealmark_formats::Digest;
    /// use sealmark_x509::TimestampRequest;
    /// let request = TimestampRequest {
    ///     imprint: Digest::sha256(b"what existed"),
    ///     policy: None,
    ///     nonce: Some(vec![0x5a, 0x17]),
    ///     certificates: true,
    /// };
    /// assert_eq!(TimestampRequest::from_der(&request.to_der()?), Ok(request));
    /// # Ok::<(), sealmark_x509::issue::IssueError>(())
    /// ```
    ///
    /// # Errors
    /// If the policy is no object identifier.
    pub fn to_der(&self) -> Result<Vec<u8>, IssueError> {
        let imprint = sequence(&[
            &hash_in_imprint(self.imprint.algorithm())?,
            &encode(Tag::OctetString, self.imprint.bytes())?,
        ])?;
        let mut fields = vec![vec![2, 1, 1], imprint]; // version 1
        if let Some(policy) = &self.policy {
            fields.push(object_identifier("the policy", policy)?);
        }
        if let Some(nonce) = &self.nonce {
            fields.push(encode(Tag::Integer, nonce)?);
        }
        if self.certificates {
            fields.push(encode(Tag::Boolean, &[0xff])?);
        }
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        Ok(sequence(&fields)?)
    }
}

/// A digest of this hash.
pub(crate) fn imprint(hash: HashAlgorithm, digest: &[u8]) -> Result<Digest, TimestampRequestError> {
    Digest::from_bytes(hash, digest).ok_or_else(|| TimestampRequestError::Length {
        hash,
        expected: Digest::of(hash, b"").bytes().len(),
        found: digest.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_and_every_other_is_refused() {
        let request = |policy: &[u8], tail: &[u8], hash: &[u8], digest: &[u8]| {
            let algorithm = [&[0x30, hash.len() as u8 + 2][..], hash, &[5, 0]].concat();
            let digest = [&[4, digest.len() as u8][..], digest].concat();
            let imprint = [
                &[0x30, (algorithm.len() + digest.len()) as u8][..],
                &algorithm,
                &digest,
            ]
            .concat();
            let content = [&[2, 1, 1][..], &imprint, policy, tail].concat();
            [&[0x30, content.len() as u8][..], &content].concat()
        };
        let sha256 = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
        let sha1 = [6, 5, 0x2b, 0x0e, 3, 2, 0x1a];
        let policy = [6, 4, 0x2a, 3, 4, 5];
        let read = TimestampRequest::from_der(&request(
            &policy,
            &[2, 1, 7, 1, 1, 0xff],
            &sha256,
            &[0; 32],
        ));
        assert_eq!(
            read,
            Ok(TimestampRequest {
                imprint: Digest::from_bytes(HashAlgorithm::Sha256, &[0; 32]).unwrap(),
                policy: Some("1.2.3.4.5".to_owned()),
                nonce: Some(vec![7]),
                certificates: true,
            })
        );
        let again = request(&policy, &[2, 1, 7, 1, 1, 0xff], &sha256, &[0; 32]);
        assert_eq!(read.unwrap().to_der().unwrap(), again);
        let plain = TimestampRequest::from_der(&request(&[], &[], &sha256, &[0; 32])).unwrap();
        assert_eq!(
            (plain.policy, plain.nonce, plain.certificates),
            (None, None, false)
        );
        for (bytes, reason) in [
            (
                request(&[], &[], &sha1, &[0; 20]),
                "hash algorithm 1.3.14.3.2.26",
            ),
            (
                request(&[], &[], &sha256, &[0; 31]),
                "has 31 bytes, those of sha256 have 32",
            ),
            (request(&[], &[0xa0, 0], &sha256, &[0; 32]), "extensions"),
            (request(&[], &[2, 0], &sha256, &[0; 32]), "nonce"),
            (vec![0; 4097], "4097 bytes"),
            (vec![], "not a timestamp request"),
        ] {
            let error = TimestampRequest::from_der(&bytes).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let good = request(&policy, &[2, 1, 7, 1, 1, 0xff], &sha256, &[0; 32]);
        for end in 0..good.len() {
            assert!(TimestampRequest::from_der(&good[..end]).is_err());
        }
    }
}
