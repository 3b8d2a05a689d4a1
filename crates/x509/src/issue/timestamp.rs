//! RFC 3161 timestamps: `TSTInfo` (section 2.4.2) in CMS `SignedData` (RFC 5652, section 5).

use der::Encode;
use der::Tag;
use der::asn1::{GeneralizedTime, UtcTime};
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::Scheme;

use super::{
    IssueError, IssuingKey, algorithm, date_time, object_identifier, positive, sequence, set_of,
    sorted,
};
use crate::Certificate;
use crate::element::{constructed, encode};

/// The longest serial number, in bytes: 160 bits (section 2.4.2), and a sign.
const MAX_SERIAL: usize = 21;
/// The longest nonce that is echoed, in bytes: as long as those that are read.
const MAX_NONCE: usize = 64;
const WHAT: &str = "a timestamp";
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const SIGNING_TIME: &str = "1.2.840.113549.1.9.5";
const SIGNING_CERTIFICATE_V2: &str = "1.2.840.113549.1.9.16.2.47";

/// What an authority says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TimestampInfo {
    /// The policy, an object identifier in dots; Sigstore's is `1.3.6.1.4.1.57264.2`.
    pub policy: String,
    /// What existed: the digest of the data.
    pub imprint: Digest,
    /// The number of the token, big-endian: larger than zero, at most 160 bits, never used twice.
    pub serial: Vec<u8>,
    /// When, in whole seconds since 1970.
    pub unix_seconds: u64,
    /// How far off the time may be at most, in seconds; from 1 to 127 if it is said.
    pub accuracy_seconds: Option<u8>,
    /// The nonce of the request, as the content of a DER integer.
    pub nonce: Option<Vec<u8>>,
}

impl TimestampInfo {
    /// The `TSTInfo`, with the subject of the signer's certificate as the authority's name.
    ///
    /// # Errors
    /// If a number is out of bounds, the policy is no object identifier, or the time is after the year 9999.
    pub fn to_der(&self, signer: &Certificate) -> Result<Vec<u8>, IssueError> {
        let imprint = sequence(&[
            &algorithm::hash_in_imprint(self.imprint.algorithm())?,
            &encode(Tag::OctetString, self.imprint.bytes())?,
        ])?;
        let time = date_time("the time", self.unix_seconds)?;
        let mut fields = vec![
            vec![2, 1, 1], // version 1
            object_identifier("the policy", &self.policy)?,
            imprint,
            positive("the serial number", &self.serial, MAX_SERIAL)?,
            GeneralizedTime::from_date_time(time).to_der()?,
        ];
        match self.accuracy_seconds {
            Some(seconds @ 1..=127) => {
                fields.push(encode(Tag::Sequence, &encode(Tag::Integer, &[seconds])?)?);
            }
            Some(seconds) => {
                let reason = format!("{seconds} seconds is not from 1 to 127");
                return Err(IssueError::unwritable("the accuracy", reason));
            }
            None => {}
        }
        if let Some(nonce) = &self.nonce {
            if nonce.is_empty() || nonce.len() > MAX_NONCE {
                let reason = format!("it has {} bytes, not 1 to {MAX_NONCE}", nonce.len());
                return Err(IssueError::unwritable("the nonce", reason));
            }
            fields.push(encode(Tag::Integer, nonce)?);
        }
        fields.push(encode(
            constructed(0),
            &directory_name(signer.subject_der())?,
        )?);
        Ok(encode(Tag::Sequence, &fields.concat())?)
    }

    /// The token by this signer, with `certificates` in it: none, or the signer's, or its chain.
    ///
    /// # Errors
    /// As [`to_der`](Self::to_der) and [`UnsignedTimestamp::new`], and if the key does not sign.
    pub fn sign(
        &self,
        signer: &Certificate,
        key: &impl IssuingKey,
        certificates: &[Certificate],
    ) -> Result<Vec<u8>, IssueError> {
        let content = self.to_der(signer)?;
        let time = self.unix_seconds;
        let mut unsigned = UnsignedTimestamp::new(content, time, signer, key.scheme())?;
        unsigned.certificates = certificates.iter().map(|it| it.der().to_vec()).collect();
        let signature = key
            .sign(&unsigned.to_be_signed()?)
            .map_err(IssueError::Key)?;
        unsigned.signed(&[signature])
    }
}

/// A token before it is signed, in the parts that the structure has. An authority leaves them as
/// [`new`](Self::new) makes them and adds certificates; who tests verifiers changes one of them first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnsignedTimestamp {
    /// `version` of the `SignedData`.
    pub version: u8,
    /// The type of the content, an object identifier in dots.
    pub content_type: String,
    /// The DER of the `TSTInfo`.
    pub content: Vec<u8>,
    /// The certificates, DER.
    pub certificates: Vec<Vec<u8>>,
    /// Version and `SignerIdentifier` of the signer.
    pub signer: Vec<u8>,
    /// The hash of the content, an `AlgorithmIdentifier`.
    pub digest_algorithm: Vec<u8>,
    /// The signed attributes, each the DER of an `Attribute`.
    pub attributes: Vec<Vec<u8>>,
    /// The scheme, an `AlgorithmIdentifier`.
    pub signature_algorithm: Vec<u8>,
}

impl UnsignedTimestamp {
    /// A token with this content that is right in all else, without certificates. `unix_seconds` is the time of
    /// signing.
    ///
    /// # Errors
    /// If the time is after 2049, or CMS has no name for the scheme.
    pub fn new(
        content: Vec<u8>,
        unix_seconds: u64,
        signer: &Certificate,
        scheme: Scheme,
    ) -> Result<Self, IssueError> {
        let hash = match scheme.hash() {
            Some(hash) => hash,
            // Ed25519 goes with SHA-512 (RFC 8419, section 2.3).
            None => HashAlgorithm::Sha512,
        };
        let digest = Digest::of(hash, &content);
        let signing_time = UtcTime::from_date_time(date_time("the time", unix_seconds)?)?;
        let attributes = vec![
            attribute(CONTENT_TYPE, &object_identifier(WHAT, TST_INFO)?)?,
            attribute(SIGNING_TIME, &signing_time.to_der()?)?,
            attribute(MESSAGE_DIGEST, &encode(Tag::OctetString, digest.bytes())?)?,
            attribute(SIGNING_CERTIFICATE_V2, &signing_certificate_v2(signer)?)?,
        ];
        let serial = encode(Tag::Integer, signer.serial_der())?;
        let id = sequence(&[signer.issuer_der(), &serial])?;
        Ok(Self {
            version: 3,
            content_type: TST_INFO.to_owned(),
            content,
            certificates: Vec::new(),
            signer: [&[2, 1, 1], &id[..]].concat(),
            digest_algorithm: algorithm::hash(hash)?,
            attributes,
            signature_algorithm: algorithm::signature(WHAT, scheme)?,
        })
    }

    /// The bytes that the signer signs: the signed attributes as a SET (RFC 5652, section 5.4).
    ///
    /// # Errors
    /// If they are longer than anything that can be written.
    pub fn to_be_signed(&self) -> Result<Vec<u8>, IssueError> {
        Ok(set_of(&self.attributes)?)
    }

    /// The `TimeStampToken` with the signer's signature. A good one has exactly one.
    ///
    /// # Errors
    /// If it is longer than anything that can be written.
    pub fn signed(&self, signatures: &[Vec<u8>]) -> Result<Vec<u8>, IssueError> {
        let mut signers = Vec::new();
        for signature in signatures {
            signers.extend(sequence(&[
                &self.signer,
                &self.digest_algorithm,
                &encode(constructed(0), &sorted(&self.attributes))?,
                &self.signature_algorithm,
                &encode(Tag::OctetString, signature)?,
            ])?);
        }
        let octets = encode(Tag::OctetString, &self.content)?;
        let content = sequence(&[
            &object_identifier(WHAT, &self.content_type)?,
            &encode(constructed(0), &octets)?,
        ])?;
        let certificates = match self.certificates.is_empty() {
            true => Vec::new(),
            false => encode(constructed(0), &sorted(&self.certificates))?,
        };
        let signed_data = sequence(&[
            &[2, 1, self.version],
            &encode(Tag::Set, &self.digest_algorithm)?,
            &content,
            &certificates,
            &encode(Tag::Set, &signers)?,
        ])?;
        Ok(sequence(&[
            &object_identifier(WHAT, SIGNED_DATA)?,
            &encode(constructed(0), &signed_data)?,
        ])?)
    }
}

/// The reply of an authority with a token: a `TimeStampResp` that says `granted` (RFC 3161, section 2.4.2).
///
/// # Errors
/// If it is longer than anything that can be written.
pub fn granted(token: &[u8]) -> Result<Vec<u8>, IssueError> {
    Ok(sequence(&[&sequence(&[&[2, 1, 0]])?, token])?)
}

fn attribute(oid: &str, value: &[u8]) -> Result<Vec<u8>, IssueError> {
    Ok(sequence(&[
        &object_identifier(WHAT, oid)?,
        &encode(Tag::Set, value)?,
    ])?)
}

/// `SigningCertificateV2` (RFC 5035, section 3), with SHA-256, which is the default and so not said.
fn signing_certificate_v2(signer: &Certificate) -> Result<Vec<u8>, IssueError> {
    let hash = Digest::sha256(signer.der());
    let issuer = encode(Tag::Sequence, &directory_name(signer.issuer_der())?)?;
    let serial = encode(Tag::Integer, signer.serial_der())?;
    let id = sequence(&[
        &encode(Tag::OctetString, hash.bytes())?,
        &sequence(&[&issuer, &serial])?,
    ])?;
    Ok(sequence(&[&sequence(&[&id])?])?)
}

/// A `GeneralName` with a name of the directory; a choice is tagged explicitly.
fn directory_name(name: &[u8]) -> der::Result<Vec<u8>> {
    encode(constructed(4), name)
}
