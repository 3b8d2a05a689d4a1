//! A CA for tests, that issues whatever it is told to: certificates as no CA that is right in the head would issue them.

#![allow(dead_code, reason = "not every test uses all of it")]

use der::Encode;
use der::asn1::ObjectIdentifier;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_x509::issue::{CertificateTemplate, Extension, Name};
use sealmark_x509::{BasicConstraints, Certificate, ExtendedKeyUsage};

/// 2024-01-01T00:00:00Z, where the tests take place.
pub(crate) const NOW: u64 = 1_704_067_200;
pub(crate) const DAY: u64 = 86_400;

pub(crate) const CODE_SIGNING: ExtendedKeyUsage = ExtendedKeyUsage::CodeSigning;
pub(crate) const TIME_STAMPING: ExtendedKeyUsage = ExtendedKeyUsage::TimeStamping;
pub(crate) const SERVER_AUTH: ExtendedKeyUsage = ExtendedKeyUsage::ServerAuth;
pub(crate) const ANY_PURPOSE: ExtendedKeyUsage = ExtendedKeyUsage::Any;
pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(crate) const KEY_CERT_SIGN: u8 = 0x04;

/// An element with any tag, for structures that nobody writes.
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

pub(crate) fn extension(id: &str, critical: bool, value: &[u8]) -> Extension {
    Extension::new(id, critical, value.to_vec())
}

fn name(common_name: &str) -> Name {
    match common_name {
        "" => Name::empty(),
        text => Name::common(text).unwrap(),
    }
}

/// What is to be in a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) subject: String,
    pub(crate) valid: (u64, u64),
    /// Whether it is a CA, and how many may follow.
    pub(crate) ca: Option<Option<u8>>,
    pub(crate) purposes: Vec<ExtendedKeyUsage>,
    pub(crate) purposes_critical: bool,
    pub(crate) key_usage: Option<u8>,
    /// Written after the others, as they are.
    pub(crate) more: Vec<Extension>,
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

    pub(crate) fn purposes(mut self, purposes: &[ExtendedKeyUsage]) -> Self {
        self.purposes = purposes.to_vec();
        self
    }

    pub(crate) fn path_len(mut self, length: u8) -> Self {
        self.ca = Some(Some(length));
        self
    }

    pub(crate) fn template(&self, issuer: Name, key: &PrivateKey) -> CertificateTemplate {
        let mut extensions = Vec::new();
        if let Some(bits) = self.key_usage {
            let unused = u8::try_from(bits.trailing_zeros()).unwrap();
            extensions.push(extension("2.5.29.15", true, &[3, 2, unused, bits]));
        }
        if !self.purposes.is_empty() {
            let critical = self.purposes_critical;
            extensions.push(Extension::extended_key_usage(&self.purposes, critical).unwrap());
        }
        if let Some(path_len) = self.ca {
            let constraints = BasicConstraints { ca: true, path_len };
            extensions.push(Extension::basic_constraints(constraints).unwrap());
        }
        extensions.extend_from_slice(&self.more);
        CertificateTemplate {
            serial: vec![0x42, 0x17],
            issuer,
            subject: name(&self.subject),
            not_before: self.valid.0,
            not_after: self.valid.1,
            public_key: key.public_key().spki_der().to_vec(),
            extensions,
        }
    }
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
        let template = profile.template(name(&profile.subject), &key);
        let certificate = template.sign(&key).unwrap();
        Self { key, certificate }
    }

    pub(crate) fn issue(&self, profile: &Profile) -> Self {
        self.issue_with(profile, Algorithm::EcdsaP256)
    }

    pub(crate) fn issue_with(&self, profile: &Profile, algorithm: Algorithm) -> Self {
        self.issue_for(profile, PrivateKey::generate(algorithm).unwrap())
    }

    pub(crate) fn issue_for(&self, profile: &Profile, key: PrivateKey) -> Self {
        let template = profile.template(Name::subject_of(&self.certificate), &key);
        let certificate = template.sign(&self.key).unwrap();
        Self { key, certificate }
    }
}
