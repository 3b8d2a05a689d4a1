//! The CA: chains of issuers, and certificates with Fulcio's profile.

use std::sync::atomic::{AtomicU64, Ordering};

use sealmark_formats::trusted_root::{self, TimeRange};
use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use sealmark_x509::issue::{CertificateTemplate, Extension, Name, Usage, key_id};
use sealmark_x509::{
    BasicConstraints, Certificate, ExtendedKeyUsage, FulcioExtension, SubjectAltName,
};

use crate::clock::unsigned;
use crate::{Clock, CtLog, DAY, MINUTE, START, YEAR, seconds};

/// Numbers for certificates and tokens, each given once in a process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A serial number of 9 bytes that was never given before.
pub(crate) fn serial() -> Vec<u8> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    [&[0x5e], &number[..]].concat()
}

/// A certificate with its key, that can issue others.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its key.
    pub key: PrivateKey,
    /// Its certificate.
    pub certificate: Certificate,
}

impl Issuer {
    /// A root, valid from one time to another.
    pub fn root(name: &str, algorithm: Algorithm, from: i64, until: i64) -> Self {
        let key = generate(algorithm);
        let subject = organization(name);
        let template = ca(
            subject.clone(),
            subject,
            key.public_key(),
            from,
            until,
            None,
        );
        let certificate = template
            .sign(&key)
            .expect("a root's template can be written");
        Self { key, certificate }
    }

    /// A CA below this one, for signers or timestamp authorities.
    pub fn intermediate(
        &self,
        name: &str,
        algorithm: Algorithm,
        purpose: ExtendedKeyUsage,
        from: i64,
        until: i64,
    ) -> Self {
        let key = generate(algorithm);
        let issuer = Name::subject_of(&self.certificate);
        let purpose = Some(purpose);
        let template = ca(
            issuer,
            organization(name),
            key.public_key(),
            from,
            until,
            purpose,
        );
        let certificate = self.certify(&template);
        Self { key, certificate }
    }

    /// Signs whatever the template says.
    pub fn certify(&self, template: &CertificateTemplate) -> Certificate {
        template
            .sign(&self.key)
            .expect("the test's template can be written")
    }
}

pub(crate) fn generate(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::generate(algorithm).expect("the system has randomness")
}

pub(crate) fn organization(name: &str) -> Name {
    Name::organization("virtual.example", name).expect("names of authorities are short")
}

/// The extension that names the issuer's key.
pub(crate) fn authority_key_id(issuer: &Certificate) -> Extension {
    let id = issuer.subject_key_id().expect("every CA here has a key id");
    Extension::authority_key_id(id).expect("it is not empty")
}

fn ca(
    issuer: Name,
    subject: Name,
    key: &PublicKey,
    from: i64,
    until: i64,
    purpose: Option<ExtendedKeyUsage>,
) -> CertificateTemplate {
    const WRITABLE: &str = "constant extensions can be written";
    let id = key_id(key.spki_der()).expect("a public key has bits");
    let mut extensions = vec![
        Extension::key_usage(&[Usage::KeyCertSign, Usage::CrlSign]).expect(WRITABLE),
        Extension::basic_constraints(BasicConstraints {
            ca: true,
            path_len: None,
        })
        .expect(WRITABLE),
        Extension::subject_key_id(&id).expect(WRITABLE),
    ];
    if let Some(purpose) = purpose {
        extensions.push(Extension::extended_key_usage(&[purpose], false).expect(WRITABLE));
    }
    CertificateTemplate {
        serial: serial(),
        issuer,
        subject,
        not_before: unsigned(from),
        not_after: unsigned(until),
        public_key: key.spki_der().to_vec(),
        extensions,
    }
}

/// Who asks for a certificate, as the identity provider vouched for it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The subject alternative name.
    pub subject: SubjectAltName,
    /// The identity provider.
    pub issuer: String,
    /// Further extensions of Fulcio, in order.
    pub extensions: Vec<(FulcioExtension, String)>,
}

impl Identity {
    /// A person.
    pub fn email(address: &str, issuer: &str) -> Self {
        Self {
            subject: SubjectAltName::Email(address.to_owned()),
            issuer: issuer.to_owned(),
            extensions: Vec::new(),
        }
    }

    /// A workflow or a service.
    pub fn uri(uri: &str, issuer: &str) -> Self {
        Self {
            subject: SubjectAltName::Uri(uri.to_owned()),
            issuer: issuer.to_owned(),
            extensions: Vec::new(),
        }
    }

    /// With one more extension.
    #[must_use]
    pub fn with(mut self, extension: FulcioExtension, value: &str) -> Self {
        self.extensions.push((extension, value.to_owned()));
        self
    }
}

/// A CA.
#[derive(Clone, Debug)]
pub struct CertificateAuthority {
    /// The one that signs certificates of signers.
    pub issuer: Issuer,
    /// The certificates above it, the root last; empty if the root itself signs.
    pub above: Vec<Certificate>,
    /// Where it is.
    pub uri: String,
    /// When a trusted root believes in it.
    pub valid_for: TimeRange,
    /// How long its certificates are valid, in seconds. Fulcio's are for ten minutes.
    pub lifetime: i64,
    /// The clock.
    pub clock: Clock,
}

impl CertificateAuthority {
    /// A CA with a P-384 root and a P-256 intermediate, as the public instance has.
    pub fn new(clock: &Clock) -> Self {
        Self::with(clock, Algorithm::EcdsaP384, Algorithm::EcdsaP256)
    }

    /// A CA with keys of these kinds, valid from a year before the clock starts to nine years after.
    pub fn with(clock: &Clock, root: Algorithm, intermediate: Algorithm) -> Self {
        let (from, until) = (START - YEAR, START + 9 * YEAR);
        let root = Issuer::root("root of signers", root, from, until);
        let name = "CA of signers";
        let purpose = ExtendedKeyUsage::CodeSigning;
        let issuer = root.intermediate(name, intermediate, purpose, from + DAY, until - DAY);
        Self::of(clock, issuer, vec![root.certificate])
    }

    /// A CA of these certificates.
    pub fn of(clock: &Clock, issuer: Issuer, above: Vec<Certificate>) -> Self {
        Self {
            issuer,
            above,
            uri: "https://ca.virtual.example".to_owned(),
            valid_for: seconds(START - YEAR, START + 9 * YEAR),
            lifetime: 10 * MINUTE,
            clock: clock.clone(),
        }
    }

    /// Every certificate, the one that signs first, the root last.
    pub fn chain(&self) -> Vec<Certificate> {
        let mut chain = vec![self.issuer.certificate.clone()];
        chain.extend_from_slice(&self.above);
        chain
    }

    /// Issues a certificate, with a promise of this CT log in it.
    pub fn issue(&self, identity: &Identity, key: &PublicKey, ct: Option<&CtLog>) -> Certificate {
        self.certify(self.template(identity, key), ct)
    }

    /// What [`issue`](Self::issue) signs, without the promise: Fulcio's profile, valid from now.
    pub fn template(&self, identity: &Identity, key: &PublicKey) -> CertificateTemplate {
        const WRITABLE: &str = "the test's identity can be written";
        let purpose = [ExtendedKeyUsage::CodeSigning];
        let names = core::slice::from_ref(&identity.subject);
        let mut extensions = vec![
            Extension::key_usage(&[Usage::DigitalSignature]).expect(WRITABLE),
            Extension::extended_key_usage(&purpose, false).expect(WRITABLE),
            authority_key_id(&self.issuer.certificate),
            Extension::subject_alt_names(names, true).expect(WRITABLE),
        ];
        let issuer = [FulcioExtension::IssuerV1, FulcioExtension::Issuer]
            .map(|extension| (extension, identity.issuer.clone()));
        let mut fulcio = issuer.to_vec();
        fulcio.extend_from_slice(&identity.extensions);
        fulcio.sort_by_key(|(extension, _)| *extension);
        for (extension, value) in fulcio {
            extensions.push(Extension::fulcio(extension, &value).expect(WRITABLE));
        }
        CertificateTemplate {
            serial: serial(),
            issuer: Name::subject_of(&self.issuer.certificate),
            subject: Name::empty(),
            not_before: self.clock.unsigned(),
            not_after: unsigned(self.clock.now() + self.lifetime),
            public_key: key.spki_der().to_vec(),
            extensions,
        }
    }

    /// Issues a certificate by a template, with a promise of this CT log in it.
    pub fn certify(&self, mut template: CertificateTemplate, ct: Option<&CtLog>) -> Certificate {
        if let Some(ct) = ct {
            let mut precertificate = template.clone();
            precertificate.extensions.push(Extension::ct_poison());
            let precertificate = self.issuer.certify(&precertificate);
            let sct = ct.promise(&precertificate, &self.issuer.certificate);
            let list = Extension::sct_list(&[sct]).expect("one SCT is a short list");
            template.extensions.push(list);
        }
        self.issuer.certify(&template)
    }

    /// The entry of a trusted root.
    pub fn trusted(&self) -> trusted_root::CertificateAuthority {
        trusted(&self.uri, &self.chain(), self.valid_for)
    }
}

pub(crate) fn trusted(
    uri: &str,
    chain: &[Certificate],
    valid_for: TimeRange,
) -> trusted_root::CertificateAuthority {
    trusted_root::CertificateAuthority {
        organization: "virtual.example".to_owned(),
        common_name: "an authority".to_owned(),
        uri: uri.to_owned(),
        cert_chain: chain.iter().map(|it| it.der().to_vec()).collect(),
        valid_for,
        operator: None,
    }
}
