//! A CA for tests, that issues whatever it is told to: certificates are written element by element, so that those can
//! be had that no tool would make.

#![allow(dead_code, reason = "not every test uses all of it")]

use std::time::Duration;

use der::asn1::{ObjectIdentifier, UtcTime};
use der::{DateTime, Encode};
use sealmark_keys::{Algorithm, Curve, KeyType, PrivateKey};
use sealmark_x509::Certificate;

/// 2024-01-01T00:00:00Z, where the tests take place.
pub(crate) const NOW: u64 = 1_704_067_200;
pub(crate) const DAY: u64 = 86_400;

pub(crate) const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
pub(crate) const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
pub(crate) const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub(crate) const ANY_PURPOSE: &str = "2.5.29.37.0";
pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(crate) const KEY_CERT_SIGN: u8 = 0x04;

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let length: &[u8] = match content.len() {
        0..0x80 => &length[1..],
        0x80..0x100 => &[0x81, length[1]],
        _ => &[0x82, length[0], length[1]],
    };
    [&[tag], length, content].concat()
}

pub(crate) fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &elements.concat())
}

pub(crate) fn oid(text: &str) -> Vec<u8> {
    text.parse::<ObjectIdentifier>().unwrap().to_der().unwrap()
}

fn name(common_name: &str) -> Vec<u8> {
    if common_name.is_empty() {
        return sequence(&[]);
    }
    let attribute = sequence(&[oid("2.5.4.3"), tlv(0x0c, common_name.as_bytes())]);
    sequence(&[tlv(0x31, &attribute)])
}

fn time(unix_seconds: u64) -> Vec<u8> {
    let time = DateTime::from_unix_duration(Duration::from_secs(unix_seconds)).unwrap();
    UtcTime::from_date_time(time).unwrap().to_der().unwrap()
}

pub(crate) fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut elements = vec![oid(id)];
    if critical {
        elements.push(vec![1, 1, 0xff]);
    }
    elements.push(tlv(4, value));
    sequence(&elements)
}

/// What is to be in a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) subject: String,
    pub(crate) valid: (u64, u64),
    /// Whether it is a CA, and how many may follow.
    pub(crate) ca: Option<Option<u8>>,
    pub(crate) purposes: Vec<&'static str>,
    pub(crate) purposes_critical: bool,
    pub(crate) key_usage: Option<u8>,
    /// Written after the others, as they are.
    pub(crate) more: Vec<Vec<u8>>,
}

impl Profile {
    pub(crate) fn ca(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            valid: (NOW - 365 * DAY, NOW + 365 * DAY),
            ca: Some(None),
            purposes: Vec::new(),
            purposes_critical: false,
            key_usage: Some(KEY_CERT_SIGN),
            more: Vec::new(),
        }
    }

    /// As Fulcio's: ten minutes, and no subject.
    pub(crate) fn leaf() -> Self {
        Self {
            subject: String::new(),
            valid: (NOW, NOW + 600),
            ca: None,
            purposes: vec![CODE_SIGNING],
            key_usage: Some(DIGITAL_SIGNATURE),
            ..Self::ca("")
        }
    }

    pub(crate) fn valid(mut self, from: u64, until: u64) -> Self {
        self.valid = (from, until);
        self
    }

    pub(crate) fn purposes(mut self, purposes: &[&'static str]) -> Self {
        self.purposes = purposes.to_vec();
        self
    }

    pub(crate) fn path_len(mut self, length: u8) -> Self {
        self.ca = Some(Some(length));
        self
    }

    fn tbs(&self, issuer: &str, signer: &PrivateKey, key: &PrivateKey) -> Vec<u8> {
        let mut extensions = Vec::new();
        if let Some(bits) = self.key_usage {
            let unused = u8::try_from(bits.trailing_zeros()).unwrap();
            extensions.push(extension("2.5.29.15", true, &[3, 2, unused, bits]));
        }
        if !self.purposes.is_empty() {
            let purposes: Vec<_> = self.purposes.iter().map(|it| oid(it)).collect();
            let value = sequence(&purposes);
            extensions.push(extension("2.5.29.37", self.purposes_critical, &value));
        }
        if let Some(path_len) = self.ca {
            let mut value = vec![vec![1, 1, 0xff]];
            value.extend(path_len.map(|length| vec![2, 1, length]));
            extensions.push(extension("2.5.29.19", true, &sequence(&value)));
        }
        extensions.extend_from_slice(&self.more);
        let mut fields = vec![
            vec![0xa0, 3, 2, 1, 2],
            tlv(2, &[0x42, 0x17]),
            signature_algorithm(signer),
            name(issuer),
            sequence(&[time(self.valid.0), time(self.valid.1)]),
            name(&self.subject),
            key.public_key().spki_der().to_vec(),
        ];
        if !extensions.is_empty() {
            fields.push(tlv(0xa3, &sequence(&extensions)));
        }
        sequence(&fields)
    }
}

fn signature_algorithm(key: &PrivateKey) -> Vec<u8> {
    let id = match key.public_key().key_type() {
        KeyType::Ecdsa(Curve::P256) => "1.2.840.10045.4.3.2",
        KeyType::Ecdsa(Curve::P384) => "1.2.840.10045.4.3.3",
        KeyType::Ecdsa(Curve::P521) => "1.2.840.10045.4.3.4",
        KeyType::Ed25519 => "1.3.101.112",
        KeyType::Rsa { .. } => return sequence(&[oid("1.2.840.113549.1.1.11"), vec![5, 0]]),
    };
    sequence(&[oid(id)])
}

/// A certificate with its key.
pub(crate) struct Issued {
    pub(crate) key: PrivateKey,
    pub(crate) certificate: Certificate,
}

impl Issued {
    pub(crate) fn root(profile: &Profile) -> Self {
        Self::root_with(profile, Algorithm::EcdsaP256)
    }

    pub(crate) fn root_with(profile: &Profile, algorithm: Algorithm) -> Self {
        let key = PrivateKey::generate(algorithm).unwrap();
        let certificate = certificate(&key, &profile.tbs(&profile.subject, &key, &key));
        Self { key, certificate }
    }

    pub(crate) fn issue(&self, profile: &Profile) -> Self {
        self.issue_with(profile, Algorithm::EcdsaP256)
    }

    pub(crate) fn issue_with(&self, profile: &Profile, algorithm: Algorithm) -> Self {
        self.issue_for(profile, PrivateKey::generate(algorithm).unwrap())
    }

    pub(crate) fn issue_for(&self, profile: &Profile, key: PrivateKey) -> Self {
        let subject = self.certificate.subject();
        let issuer = subject.strip_prefix("CN=").unwrap_or(&subject);
        let certificate = certificate(&self.key, &profile.tbs(issuer, &self.key, &key));
        Self { key, certificate }
    }
}

fn certificate(signer: &PrivateKey, tbs: &[u8]) -> Certificate {
    let signature = [&[0][..], &signer.sign(tbs).unwrap()].concat();
    let der = sequence(&[
        tbs.to_vec(),
        signature_algorithm(signer),
        tlv(3, &signature),
    ]);
    Certificate::from_der(&der).unwrap()
}
