//! What this crate writes, read by openssl: another implementation must see the same certificate and accept the same
//! timestamp.

#![allow(clippy::unwrap_used, reason = "tests")]

use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_testkit::{Sandbox, require_or_skip};
use sealmark_x509::issue::{
    CertificateTemplate, Extension, IssueError, IssuingKey, Name, TimestampInfo, Usage, granted,
    key_id, sct_for_certificate, sct_for_precertificate,
};
use sealmark_x509::{
    BasicConstraints, Certificate, ExtendedKeyUsage, FulcioExtension, Purpose, SubjectAltName,
    TimestampToken, verify_chain, verify_detached_sct, verify_embedded_sct,
};

/// 2026-01-01T00:00:00Z.
const NOW: u64 = 1_767_225_600;
const YEAR: u64 = 365 * 86_400;

struct Ca {
    key: PrivateKey,
    certificate: Certificate,
}

fn root(algorithm: Algorithm) -> Ca {
    let key = PrivateKey::generate(algorithm).unwrap();
    let name = Name::organization("example.com", "a root").unwrap();
    let id = key_id(key.public_key().spki_der()).unwrap();
    let template = CertificateTemplate {
        // The first byte would make it negative.
        serial: vec![0, 0xff, 0x01, 0x02],
        issuer: name.clone(),
        subject: name,
        not_before: NOW - YEAR,
        // After 2049, where times change their form.
        not_after: NOW + 30 * YEAR,
        public_key: key.public_key().spki_der().to_vec(),
        extensions: vec![
            Extension::key_usage(&[Usage::KeyCertSign, Usage::CrlSign]).unwrap(),
            Extension::basic_constraints(BasicConstraints {
                ca: true,
                path_len: Some(1),
            })
            .unwrap(),
            Extension::subject_key_id(&id).unwrap(),
        ],
    };
    let certificate = template.sign(&key).unwrap();
    Ca { key, certificate }
}

fn leaf(
    ca: &Ca,
    key: &PrivateKey,
    subject: Name,
    extensions: Vec<Extension>,
) -> CertificateTemplate {
    let id = ca.certificate.subject_key_id().unwrap();
    let mut all = vec![
        Extension::key_usage(&[Usage::DigitalSignature]).unwrap(),
        Extension::authority_key_id(id).unwrap(),
    ];
    all.extend(extensions);
    CertificateTemplate {
        serial: vec![0x17; 20],
        issuer: Name::subject_of(&ca.certificate),
        subject,
        not_before: NOW,
        not_after: NOW + 600,
        public_key: key.public_key().spki_der().to_vec(),
        extensions: all,
    }
}

fn fulcio_extensions() -> Vec<Extension> {
    let names = [
        SubjectAltName::Email("person@example.com".into()),
        SubjectAltName::Uri("https://example.com/workflow@refs/heads/main".into()),
        SubjectAltName::Dns("host.example.com".into()),
        SubjectAltName::Ip("192.0.2.7".parse().unwrap()),
        SubjectAltName::Ip("2001:db8::7".parse().unwrap()),
        SubjectAltName::Username("user!example.com".into()),
    ];
    vec![
        Extension::extended_key_usage(&[ExtendedKeyUsage::CodeSigning], false).unwrap(),
        Extension::subject_alt_names(&names, true).unwrap(),
        Extension::fulcio(FulcioExtension::IssuerV1, "https://issuer.example.com").unwrap(),
        Extension::fulcio(FulcioExtension::Issuer, "https://issuer.example.com").unwrap(),
        Extension::fulcio(
            FulcioExtension::SourceRepositoryUri,
            "https://example.com/r",
        )
        .unwrap(),
    ]
}

#[test]
fn openssl_reads_what_was_written_and_finds_the_chain_good() {
    let openssl = require_or_skip!("openssl");
    for algorithm in Algorithm::ALL {
        let ca = root(algorithm);
        let key = PrivateKey::generate(algorithm).unwrap();
        let leaf = leaf(&ca, &key, Name::empty(), fulcio_extensions());
        let leaf = leaf.sign(&ca.key).unwrap();
        let sandbox = Sandbox::new();
        sandbox.write("root.pem", ca.certificate.to_pem());
        sandbox.write("leaf.pem", leaf.to_pem());

        let run = sandbox
            .command(&openssl)
            .args(["x509", "-in", "leaf.pem", "-noout", "-text"])
            .run()
            .success();
        let text = run.stdout();
        for expected in [
            "Version: 3 (0x2)",
            "17:17:17:17:17:17:17:17:17:17:17:17:17:17:17:17:17:17:17:17",
            "Not Before: Jan  1 00:00:00 2026 GMT",
            "Not After : Jan  1 00:10:00 2026 GMT",
            "X509v3 Key Usage: critical\n                Digital Signature",
            "X509v3 Extended Key Usage: \n                Code Signing",
            "X509v3 Subject Alternative Name: critical",
            "email:person@example.com",
            "URI:https://example.com/workflow@refs/heads/main",
            "DNS:host.example.com",
            "IP Address:192.0.2.7",
            "IP Address:2001:DB8:0:0:0:0:0:7",
            "othername: 1.3.6.1.4.1.57264.1.7::user!example.com",
            "1.3.6.1.4.1.57264.1.1: \n                https://issuer.example.com",
            "1.3.6.1.4.1.57264.1.8: \n                ..https://issuer.example.com",
        ] {
            assert!(text.contains(expected), "{algorithm}: {expected}\n{text}");
        }
        let run = sandbox
            .command(&openssl)
            .args(["x509", "-in", "root.pem", "-noout", "-text"])
            .run()
            .success();
        let text = run.stdout();
        for expected in [
            "(0xff0102)",
            "Not After : Dec 25 00:00:00 2055 GMT",
            "CA:TRUE, pathlen:1",
            "Certificate Sign, CRL Sign",
            "Issuer: O = example.com, CN = a root",
        ] {
            let spaceless = |text: &str| text.replace(' ', "");
            assert!(
                spaceless(&text).contains(&spaceless(expected)),
                "{algorithm}: {expected}\n{text}"
            );
        }
        let at = (NOW + 60).to_string();
        sandbox
            .command(&openssl)
            .args([
                "verify",
                "-x509_strict",
                "-attime",
                &at,
                "-CAfile",
                "root.pem",
                "leaf.pem",
            ])
            .run()
            .success();
        let roots = [ca.certificate];
        verify_chain(&leaf, &[], &roots, NOW + 60, Purpose::CodeSigning).unwrap();
    }
}

#[test]
fn openssl_accepts_the_timestamps_of_every_algorithm() {
    let openssl = require_or_skip!("openssl");
    const DATA: &[u8] = b"what existed";
    for algorithm in Algorithm::ALL {
        let ca = root(algorithm);
        let key = PrivateKey::generate(algorithm).unwrap();
        let subject = Name::organization("example.com", "a timestamp authority").unwrap();
        let purpose = [ExtendedKeyUsage::TimeStamping];
        let purpose = Extension::extended_key_usage(&purpose, true).unwrap();
        let signer = leaf(&ca, &key, subject, vec![purpose])
            .sign(&ca.key)
            .unwrap();
        let info = TimestampInfo {
            policy: "1.3.6.1.4.1.57264.2".into(),
            imprint: Digest::of(HashAlgorithm::Sha512, DATA),
            serial: vec![0x80; 20],
            unix_seconds: NOW + 60,
            accuracy_seconds: Some(1),
            nonce: Some(vec![0x7f, 1, 2, 3]),
        };
        let token = info
            .sign(&signer, &key, core::slice::from_ref(&signer))
            .unwrap();
        let reply = granted(&token).unwrap();

        let read = TimestampToken::parse(&reply).unwrap();
        assert_eq!(read.nonce(), info.nonce.as_deref());
        let authority = [signer.clone(), ca.certificate.clone()];
        let verified = read.verify(DATA, &authority).unwrap();
        assert_eq!(verified.unix_seconds, info.unix_seconds);
        assert_eq!(verified.policy, info.policy);

        // openssl 3.0 makes no digest for Ed25519, and so does not read CMS that is signed with it.
        if algorithm == Algorithm::Ed25519 {
            continue;
        }
        let sandbox = Sandbox::new();
        sandbox.write("root.pem", ca.certificate.to_pem());
        sandbox.write("data", DATA);
        sandbox.write("reply.tsr", &reply);
        let at = (NOW + 60).to_string();
        let run = sandbox
            .command(&openssl)
            .args([
                "ts",
                "-verify",
                "-in",
                "reply.tsr",
                "-data",
                "data",
                "-CAfile",
                "root.pem",
            ])
            .args(["-attime", &at])
            .run()
            .success();
        assert!(
            run.stdout().contains("Verification: OK"),
            "{algorithm}: {}",
            run.stdout()
        );
        let run = sandbox
            .command(&openssl)
            .args(["ts", "-reply", "-in", "reply.tsr", "-text"])
            .run()
            .success();
        for expected in [
            "Status: Granted.",
            "Policy OID: 1.3.6.1.4.1.57264.2",
            "Hash Algorithm: sha512",
            "Time stamp: Jan  1 00:01:00 2026 GMT",
            "Accuracy: 0x01 seconds",
            "Nonce: 0x7F010203",
            "TSA: DirName:/O=example.com/CN=a timestamp authority",
        ] {
            assert!(
                run.stdout().contains(expected),
                "{expected}\n{}",
                run.stdout()
            );
        }
    }
}

#[test]
fn a_precertificate_and_its_certificate_are_the_same_to_the_log() {
    let ca = root(Algorithm::EcdsaP384);
    let log = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let template = leaf(&ca, &key, Name::empty(), fulcio_extensions());
    let with = |extension: Extension| {
        let mut template = template.clone();
        template.extensions.push(extension);
        template.sign(&ca.key).unwrap()
    };
    let precertificate = with(Extension::ct_poison());
    let leaf_index = [0, 0, 5, 0, 0, 0, 0, 7];
    let unsigned = sct_for_precertificate(
        &precertificate,
        &ca.certificate,
        NOW * 1000,
        &leaf_index,
        &log,
    );
    let sct = unsigned.unwrap().sign(&log).unwrap();
    let certificate = with(Extension::sct_list(core::slice::from_ref(&sct)).unwrap());

    assert_eq!(
        certificate.signed_certificate_timestamps(),
        core::slice::from_ref(&sct)
    );
    let log_key = log.public_key();
    assert_eq!(
        verify_embedded_sct(&certificate, &ca.certificate, &sct, log_key),
        Ok(())
    );
    // Each is refused where the other is asked for.
    assert!(sct_for_precertificate(&certificate, &ca.certificate, NOW * 1000, &[], &log).is_err());
    assert!(verify_embedded_sct(&precertificate, &ca.certificate, &sct, log_key).is_err());

    let detached = sct_for_certificate(&certificate, NOW * 1000, &[], &log).unwrap();
    let detached = detached.sign(&log).unwrap();
    assert_eq!(
        verify_detached_sct(&certificate, &detached, log_key),
        Ok(())
    );
}

#[test]
fn what_has_no_place_in_the_structure_is_refused() {
    let reason = |result: Result<Extension, IssueError>| result.unwrap_err().to_string();
    let table = [
        (
            reason(Extension::key_usage(&[])),
            "a key usage cannot be written: it is empty",
        ),
        (
            reason(Extension::extended_key_usage(
                &[ExtendedKeyUsage::Other("1.2.x".into())],
                false,
            )),
            "an extended key usage cannot be written: \"1.2.x\" is no object identifier",
        ),
        (
            reason(Extension::subject_alt_names(
                &[SubjectAltName::Email("\u{e4}@example.com".into())],
                true,
            )),
            "a subject alternative name cannot be written: \"\u{e4}@example.com\" is empty or not ASCII",
        ),
        (
            reason(Extension::subject_alt_names(
                &[SubjectAltName::Directory("CN=a".into())],
                true,
            )),
            "a subject alternative name cannot be written: a name of the kind \"directory name\" is not supported",
        ),
        (
            reason(Extension::basic_constraints(BasicConstraints {
                ca: false,
                path_len: Some(0),
            })),
            "basic constraints cannot be written: only a CA has a path length",
        ),
        (
            reason(Extension::fulcio(FulcioExtension::Issuer, "")),
            "an extension of Fulcio cannot be written: it is empty",
        ),
        (
            reason(Extension::sct_list(&[])),
            "a list of SCTs cannot be written: it is empty",
        ),
    ];
    for (found, expected) in table {
        assert_eq!(found, expected);
    }

    let ca = root(Algorithm::EcdsaP256);
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let mut template = leaf(&ca, &key, Name::empty(), Vec::new());
    for (serial, reason) in [
        (vec![], "it must be larger than zero"),
        (vec![0, 0], "it must be larger than zero"),
        (vec![0x80; 20], "it takes 21 bytes, at most 20 are allowed"),
    ] {
        template.serial = serial;
        assert_eq!(
            template.sign(&ca.key).unwrap_err().to_string(),
            format!("the serial number cannot be written: {reason}")
        );
    }
    template.serial = vec![1];
    template.not_after = u64::MAX;
    assert_eq!(
        template.sign(&ca.key).unwrap_err().to_string(),
        "a time of validity cannot be written: it is after the year 9999"
    );
    template.not_after = NOW;
    assert_eq!(
        template
            .to_be_signed(sealmark_keys::Scheme::Ed25519ph)
            .unwrap_err()
            .to_string(),
        "a certificate cannot be signed with Ed25519ph; use a key that signs otherwise"
    );
    // CT logs have ECDSA or RSA keys.
    let certificate = template.sign(&ca.key).unwrap();
    assert_eq!(
        sct_for_certificate(&certificate, 0, &[], &key),
        Err(IssueError::Scheme {
            what: "an SCT",
            scheme: IssuingKey::scheme(&key)
        })
    );
}
