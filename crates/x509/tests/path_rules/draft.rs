//! Certificates of which every field can be made wrong, in a chain of three whose signatures are right.

use std::sync::LazyLock;

use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_x509::{Certificate, ChainError, Purpose, verify_chain};

use crate::issuing::{NOW, oid, sequence, tlv};

// Purposes by number: several of these drafts are nothing that a writer of certificates would take.
pub(crate) const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
pub(crate) const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
pub(crate) const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub(crate) const ANY_PURPOSE: &str = "2.5.29.37.0";

fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut elements = vec![oid(id)];
    if critical {
        elements.push(vec![1, 1, 0xff]);
    }
    elements.push(tlv(4, value));
    sequence(&elements)
}

pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const SUBJECT_KEY_ID: &str = "2.5.29.14";
pub(crate) const SUBJECT_ALT_NAME: &str = "2.5.29.17";
pub(crate) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub(crate) const NAME_CONSTRAINTS: &str = "2.5.29.30";
pub(crate) const AUTHORITY_KEY_ID: &str = "2.5.29.35";
pub(crate) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";

pub(crate) const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

/// Context tags of names: `rfc822Name`, `dNSName`, `directoryName`, `uniformResourceIdentifier`, `iPAddress`.
pub(crate) const EMAIL: u8 = 0x81;
pub(crate) const DNS: u8 = 0x82;
pub(crate) const DIRECTORY: u8 = 0xa4;
pub(crate) const URI: u8 = 0x86;
pub(crate) const IP: u8 = 0x87;

/// A certificate before it is signed. Every field is the DER, or what takes its place.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) inner_algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) validity: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    /// Between key and extensions.
    pub(crate) unique_ids: Vec<u8>,
    /// `None` leaves the field out.
    pub(crate) extensions: Option<Vec<(String, Vec<u8>)>>,
    /// Behind the extensions, inside of what is signed.
    pub(crate) rest: Vec<u8>,
    pub(crate) outer_algorithm: Vec<u8>,
    /// In the place of the issuer's signature.
    pub(crate) forged: Option<Vec<u8>>,
    /// Done to the signed certificate.
    pub(crate) spoil: fn(Vec<u8>) -> Vec<u8>,
}

pub(crate) fn name(common_name: &str) -> Vec<u8> {
    name_as(0x0c, common_name)
}

/// A name whose text has this tag: UTF8String, PrintableString, …
pub(crate) fn name_as(tag: u8, common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[oid("2.5.4.3"), tlv(tag, common_name.as_bytes())]);
    sequence(&[tlv(0x31, &attribute)])
}

pub(crate) fn algorithm(id: &str) -> Vec<u8> {
    sequence(&[oid(id)])
}

pub(crate) fn utc(text: &str) -> Vec<u8> {
    tlv(0x17, text.as_bytes())
}

pub(crate) fn generalized(text: &str) -> Vec<u8> {
    tlv(0x18, text.as_bytes())
}

pub(crate) fn purposes(list: &[&str]) -> Vec<u8> {
    let ids: Vec<_> = list.iter().map(|it| oid(it)).collect();
    sequence(&ids)
}

pub(crate) fn names(list: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<_> = list.iter().map(|(tag, value)| tlv(*tag, value)).collect();
    sequence(&names)
}

/// `NameConstraints` with these subtrees.
pub(crate) fn limits(permitted: &[(u8, &[u8])], excluded: &[(u8, &[u8])]) -> Vec<u8> {
    let subtrees = |tag, list: &[(u8, &[u8])]| {
        let bases: Vec<_> = list
            .iter()
            .map(|(tag, value)| sequence(&[tlv(*tag, value)]))
            .collect();
        if bases.is_empty() {
            Vec::new()
        } else {
            tlv(tag, &bases.concat())
        }
    };
    sequence(&[subtrees(0xa0, permitted), subtrees(0xa1, excluded)])
}

impl Draft {
    fn new(issuer: &str, subject: Vec<u8>, key: &PrivateKey) -> Self {
        Self {
            version: vec![0xa0, 3, 2, 1, 2],
            serial: vec![2, 2, 0x42, 0x17],
            inner_algorithm: algorithm(ECDSA_SHA256),
            issuer: name(issuer),
            validity: sequence(&[utc("230101000000Z"), utc("250101000000Z")]),
            subject,
            spki: key.public_key().spki_der().to_vec(),
            unique_ids: Vec::new(),
            extensions: Some(Vec::new()),
            rest: Vec::new(),
            outer_algorithm: algorithm(ECDSA_SHA256),
            forged: None,
            spoil: |der| der,
        }
    }

    pub(crate) fn ca(issuer: &str, subject: &str, key: &PrivateKey) -> Self {
        let mut ca = Self::new(issuer, name(subject), key);
        ca.set(BASIC_CONSTRAINTS, true, &sequence(&[vec![1, 1, 0xff]]));
        ca.set(KEY_USAGE, true, &[3, 2, 2, 0x04]);
        ca.set_key_ids(issuer, subject);
        ca
    }

    /// As Fulcio's, but for the time.
    pub(crate) fn leaf(issuer: &str, key: &PrivateKey) -> Self {
        let mut leaf = Self::new(issuer, sequence(&[]), key);
        leaf.set(KEY_USAGE, true, &[3, 2, 7, 0x80]);
        leaf.set(EXTENDED_KEY_USAGE, false, &purposes(&[CODE_SIGNING]));
        leaf.set(
            SUBJECT_ALT_NAME,
            true,
            &names(&[(URI, b"https://id.example/me")]),
        );
        leaf.set_key_ids(issuer, "leaf");
        leaf
    }

    fn set_key_ids(&mut self, issuer: &str, subject: &str) {
        self.set(SUBJECT_KEY_ID, false, &tlv(4, subject.as_bytes()));
        if issuer != subject {
            let id = sequence(&[tlv(0x80, issuer.as_bytes())]);
            self.set(AUTHORITY_KEY_ID, false, &id);
        }
    }

    /// Sets an extension, in the place of one that is there.
    pub(crate) fn set(&mut self, id: &str, critical: bool, value: &[u8]) {
        self.remove(id);
        self.add(id, critical, value);
    }

    pub(crate) fn add(&mut self, id: &str, critical: bool, value: &[u8]) {
        let list = self.extensions.get_or_insert_default();
        list.push((id.to_owned(), extension(id, critical, value)));
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(list) = &mut self.extensions {
            list.retain(|(other, _)| other != id);
        }
    }

    pub(crate) fn algorithms(&mut self, id: &[u8]) {
        self.inner_algorithm = id.to_vec();
        self.outer_algorithm = id.to_vec();
    }

    pub(crate) fn sign(&self, signer: &PrivateKey) -> Vec<u8> {
        let mut fields = vec![
            self.version.clone(),
            self.serial.clone(),
            self.inner_algorithm.clone(),
            self.issuer.clone(),
            self.validity.clone(),
            self.subject.clone(),
            self.spki.clone(),
            self.unique_ids.clone(),
        ];
        if let Some(list) = &self.extensions {
            let list: Vec<_> = list.iter().map(|(_, der)| der.clone()).collect();
            fields.push(tlv(0xa3, &sequence(&list)));
        }
        fields.push(self.rest.clone());
        let tbs = sequence(&fields);
        let signature = match &self.forged {
            Some(bytes) => bytes.clone(),
            None => signer.sign(&tbs).unwrap(),
        };
        let signature = [&[0][..], &signature].concat();
        let der = sequence(&[tbs, self.outer_algorithm.clone(), tlv(3, &signature)]);
        (self.spoil)(der)
    }
}

pub(crate) static ROOT_KEY: LazyLock<PrivateKey> = LazyLock::new(p256);
pub(crate) static CA_KEY: LazyLock<PrivateKey> = LazyLock::new(p256);
pub(crate) static LEAF_KEY: LazyLock<PrivateKey> = LazyLock::new(p256);

pub(crate) fn p256() -> PrivateKey {
    PrivateKey::generate(Algorithm::EcdsaP256).unwrap()
}

/// A root, a CA and a signer, and the time for which they are checked.
pub(crate) struct Chain {
    pub(crate) root: Draft,
    pub(crate) ca: Draft,
    pub(crate) leaf: Draft,
    pub(crate) at: u64,
}

impl Chain {
    pub(crate) fn new() -> Self {
        Self {
            root: Draft::ca("root", "root", &ROOT_KEY),
            ca: Draft::ca("root", "ca", &CA_KEY),
            leaf: Draft::leaf("ca", &LEAF_KEY),
            at: NOW,
        }
    }

    pub(crate) fn verify(&self) -> Result<usize, String> {
        verify(
            &self.leaf.sign(&CA_KEY),
            &[self.ca.sign(&ROOT_KEY)],
            &[self.root.sign(&ROOT_KEY)],
            self.at,
        )
    }
}

/// The number of certificates in the chain, or why there is none. Bytes that are no certificate fail at reading; what a
/// stranger adds to a chain must be read before it is used, so that counts.
pub(crate) fn verify(
    leaf: &[u8],
    intermediates: &[Vec<u8>],
    roots: &[Vec<u8>],
    at: u64,
) -> Result<usize, String> {
    let read = |der: &[u8]| Certificate::from_der(der).map_err(|error| error.to_string());
    let all = |list: &[Vec<u8>]| {
        list.iter()
            .map(|der| read(der))
            .collect::<Result<Vec<_>, _>>()
    };
    let (leaf, intermediates, roots) = (read(leaf)?, all(intermediates)?, all(roots)?);
    verify_chain(&leaf, &intermediates, &roots, at, Purpose::CodeSigning)
        .map(|chain| chain.certificates().len())
        .map_err(|error: ChainError| error.to_string())
}

/// What a rule demands, and for what is refused a part of the reason.
#[derive(Clone, Copy)]
pub(crate) enum Expect {
    Accepted,
    Refused(&'static str),
}

pub(crate) use Expect::{Accepted, Refused};

/// A rule, what is expected, and what is changed in a chain that is good.
pub(crate) type Row = (&'static str, Expect, fn(&mut Chain));

/// Checks every row, and tells of all that are not as expected.
pub(crate) fn check(rows: &[Row]) {
    let mut wrong = Vec::new();
    for (rule, expected, change) in rows {
        let mut chain = Chain::new();
        change(&mut chain);
        match (chain.verify(), expected) {
            (Ok(3), Accepted) => {}
            (Err(reason), Refused(part)) if reason.contains(part) => {}
            (Ok(count), _) => wrong.push(format!("{rule}: accepted, with {count} certificates")),
            (Err(reason), _) => wrong.push(format!("{rule}: {reason}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
