//! Signed certificate timestamps: the promises of CT logs that a certificate is in them.
//!
//! Layout: RFC 6962, sections 3.2 and 3.3, in TLS encoding: big-endian, vectors with their length before them. Only
//! the structure is read; whether a promise is good is decided by [`verify_embedded_sct`](crate::verify_embedded_sct)
//! and [`verify_detached_sct`](crate::verify_detached_sct).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::Error;

const EXTENSION: &str = "SCT list";
/// `v1` of RFC 6962.
const V1: u8 = 0;
/// The longest text with a detached SCT that is read, in bytes; one has about 300, its extensions at most 64 KiB.
pub const MAX_DETACHED_SCT: usize = 256 * 1024;

/// What `add-chain` of a CT log replies.
#[derive(Deserialize)]
struct AddChainReply {
    sct_version: u8,
    id: String,
    timestamp: u64,
    #[serde(default)]
    extensions: String,
    signature: String,
}

/// A promise of a CT log (RFC 6962, version 1).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SignedCertificateTimestamp {
    /// SHA-256 of the log's key as SubjectPublicKeyInfo.
    pub log_id: [u8; 32],
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// Extensions, opaque.
    pub extensions: Vec<u8>,
    /// The hash in the signature, by its number in RFC 5246: 4 is SHA-256.
    pub hash: u8,
    /// The kind of signature, by its number in RFC 5246: 1 is RSA, 3 is ECDSA.
    pub signature_algorithm: u8,
    /// The signature.
    pub signature: Vec<u8>,
}

impl SignedCertificateTimestamp {
    /// The version in words.
    pub fn version(&self) -> &'static str {
        "v1"
    }

    /// When the promise was given, in whole seconds since 1970.
    pub fn unix_seconds(&self) -> u64 {
        self.timestamp / 1000
    }

    /// Reads a promise that comes beside its certificate: the JSON of a CT log's reply (RFC 6962, section 4.1), which
    /// cosign's `--sct` reads, or that in base64, as in the `SCT` header of Fulcio's replies.
    ///
    /// # Errors
    /// If it is none of these, or longer than [`MAX_DETACHED_SCT`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes.trim_ascii();
        if bytes.len() > MAX_DETACHED_SCT {
            return Err(Error::Sct(format!(
                "it has {} bytes, more than {MAX_DETACHED_SCT}",
                bytes.len()
            )));
        }
        let decode = |text: &[u8], what: &str| {
            STANDARD
                .decode(text)
                .map_err(|error| Error::Sct(format!("{what} is not base64: {error}")))
        };
        let decoded;
        let json = if bytes.first() == Some(&b'{') {
            bytes
        } else {
            decoded = decode(bytes, "what is not JSON")?;
            &decoded
        };
        let reply: AddChainReply =
            serde_json::from_slice(json).map_err(|error| Error::Sct(error.to_string()))?;
        if reply.sct_version != V1 {
            return Err(Error::Sct(format!(
                "its version is {}, and only 0 (v1) is known",
                reply.sct_version
            )));
        }
        let log_id = decode(reply.id.as_bytes(), "id")?;
        let signature = decode(reply.signature.as_bytes(), "signature")?;
        let mut signature = Reader(&signature);
        let cut_off = |_| Error::Sct("its signature is cut off, or too long".to_owned());
        let [hash, signature_algorithm] = signature.array().map_err(cut_off)?;
        let value = signature.vector().map_err(cut_off)?.to_vec();
        signature.finish().map_err(cut_off)?;
        Ok(Self {
            log_id: log_id
                .try_into()
                .map_err(|_| Error::Sct("its log id does not have 32 bytes".to_owned()))?,
            timestamp: reply.timestamp,
            extensions: decode(reply.extensions.as_bytes(), "extensions")?,
            hash,
            signature_algorithm,
            signature: value,
        })
    }

    /// Reads a promise in TLS encoding, as it is in the list of a certificate.
    ///
    /// # Errors
    /// If it is malformed, or of another version.
    pub fn from_tls(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.first() != Some(&V1) {
            return Err(Error::Sct("it is not one of version 1".to_owned()));
        }
        Self::parse(bytes)
    }

    /// Reads a `SignedCertificateTimestampList`. Promises of versions that are not known are passed over, as they
    /// cannot be understood.
    pub(crate) fn parse_list(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        let mut outer = Reader(bytes);
        let mut list = Reader(outer.vector()?);
        outer.finish()?;
        let mut timestamps = Vec::new();
        while !list.0.is_empty() {
            let serialized = list.vector()?;
            if serialized.first() == Some(&V1) {
                timestamps.push(Self::parse(serialized)?);
            } else if serialized.is_empty() {
                return Err(Error::extension(EXTENSION, "an entry is empty"));
            }
        }
        Ok(timestamps)
    }

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        reader.array::<1>()?;
        let timestamp = Self {
            log_id: reader.array()?,
            timestamp: u64::from_be_bytes(reader.array()?),
            extensions: reader.vector()?.to_vec(),
            hash: reader.array::<1>()?[0],
            signature_algorithm: reader.array::<1>()?[0],
            signature: reader.vector()?.to_vec(),
        };
        reader.finish()?;
        Ok(timestamp)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| Error::extension(EXTENSION, "it is cut off"))?;
        self.0 = rest;
        Ok(*head)
    }

    /// A vector with two bytes of length.
    fn vector(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let (head, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| Error::extension(EXTENSION, "it is cut off"))?;
        self.0 = rest;
        Ok(head)
    }

    fn finish(self) -> Result<(), Error> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::extension(EXTENSION, "there are bytes after its end"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[Vec<u8>]) -> Vec<u8> {
        let vector = |bytes: &[u8]| {
            [
                &u16::try_from(bytes.len()).unwrap().to_be_bytes()[..],
                bytes,
            ]
            .concat()
        };
        let entries: Vec<u8> = entries.iter().flat_map(|entry| vector(entry)).collect();
        vector(&entries)
    }

    fn entry(version: u8) -> Vec<u8> {
        let mut bytes = vec![version];
        bytes.extend([7; 32]);
        bytes.extend(1_700_000_000_123_u64.to_be_bytes());
        bytes.extend([0, 2, 8, 9, 4, 3, 0, 3, 1, 2, 3]);
        bytes
    }

    #[test]
    fn an_sct_is_read_field_by_field() {
        let read = SignedCertificateTimestamp::parse_list(&list(&[entry(0)])).unwrap();
        let expected = SignedCertificateTimestamp {
            log_id: [7; 32],
            timestamp: 1_700_000_000_123,
            extensions: vec![8, 9],
            hash: 4,
            signature_algorithm: 3,
            signature: vec![1, 2, 3],
        };
        assert_eq!(read, [expected]);
    }

    #[test]
    fn unknown_versions_are_passed_over_and_damage_is_not() {
        let read = SignedCertificateTimestamp::parse_list(&list(&[entry(1), entry(0)])).unwrap();
        assert_eq!(read.len(), 1);
        let whole = list(&[entry(0)]);
        for length in 0..whole.len() {
            assert!(
                SignedCertificateTimestamp::parse_list(&whole[..length]).is_err(),
                "{length}"
            );
        }
        let mut longer = whole;
        longer.push(0);
        assert!(SignedCertificateTimestamp::parse_list(&longer).is_err());
        let mut trailing = entry(0);
        trailing.push(0);
        assert!(SignedCertificateTimestamp::parse_list(&list(&[trailing])).is_err());
        assert!(SignedCertificateTimestamp::parse_list(&list(&[vec![]])).is_err());
    }
}
