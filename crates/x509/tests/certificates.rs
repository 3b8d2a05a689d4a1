//! Certificates of real and test CAs, read.

use proptest::prelude::*;
use sealmark_x509::{
    BasicConstraints, Certificate, Error, ExtendedKeyUsage, FulcioExtension, MAX_CERTIFICATE,
    MAX_CHAIN, MAX_PEM, SubjectAltName, Unread,
};

const GITHUB_WORKFLOW: &[u8] = include_bytes!("fixtures/github-workflow.pem");
const SCT_WITH_EXTENSIONS: &[u8] = include_bytes!("fixtures/sct-with-extensions.pem");
const CUSTOM_CA: &[u8] = include_bytes!("fixtures/custom-ca.pem");
const PUBLIC_GOOD_CA: &[u8] = include_bytes!("fixtures/public-good-ca.pem");
const ALL_NAMES: &[u8] = include_bytes!("fixtures/all-names.pem");
const DSA_KEY: &[u8] = include_bytes!("fixtures/dsa-key.pem");

const FINGERPRINT: &str = "1d415fd220da92b02fa01a6f3804ccc967cc80768aaf1ef239ba94b7db612880";
const WORKFLOW: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/\
                        .github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";

#[test]
fn a_workflows_certificate_says_who_signed_and_from_where() {
    let certificate = Certificate::from_pem(GITHUB_WORKFLOW).unwrap();

    assert_eq!(
        certificate.serial().to_string(),
        "73b8a61fb654922066090ee17280b49a8ca9788d"
    );
    assert_eq!(certificate.subject(), "");
    assert_eq!(
        certificate.issuer(),
        "CN=sigstore-intermediate,O=sigstore.dev"
    );
    assert!(!certificate.is_self_issued() && !certificate.is_ca());
    assert_eq!(certificate.basic_constraints(), None);
    assert_eq!(certificate.signature_algorithm(), "1.2.840.10045.4.3.3");

    let validity = certificate.validity();
    assert_eq!(validity.not_before.to_string(), "2024-12-16T18:42:56Z");
    assert_eq!(validity.not_before.unix_seconds(), 1_734_374_576);
    assert_eq!(validity.not_after.to_string(), "2024-12-16T18:52:56Z");
    let contains = [1_734_374_575, 1_734_374_576, 1_734_375_176, 1_734_375_177]
        .map(|second| validity.contains(second));
    assert_eq!(contains, [false, true, true, false]);

    assert_eq!(
        certificate.public_key().unwrap().algorithm_name(),
        "ecdsa-p256"
    );
    assert_eq!(
        certificate.subject_alt_names(),
        [SubjectAltName::Uri(WORKFLOW.into())]
    );
    assert_eq!(
        certificate.key_usage().unwrap().names(),
        ["digitalSignature"]
    );
    assert_eq!(
        certificate.extended_key_usage(),
        [ExtendedKeyUsage::CodeSigning]
    );
    assert!(certificate.unread_extensions().is_empty());

    let fulcio = certificate.fulcio();
    assert_eq!(
        fulcio.issuer(),
        Some("https://token.actions.githubusercontent.com")
    );
    for (extension, value) in [
        (FulcioExtension::GithubWorkflowTrigger, "workflow_dispatch"),
        (
            FulcioExtension::GithubWorkflowName,
            "Extremely dangerous OIDC beacon",
        ),
        (FulcioExtension::BuildSignerUri, WORKFLOW),
        (FulcioExtension::RunnerEnvironment, "github-hosted"),
        (FulcioExtension::SourceRepositoryIdentifier, "632596897"),
        (FulcioExtension::SourceRepositoryVisibility, "public"),
    ] {
        assert_eq!(fulcio.get(extension), Some(value), "{extension:?}");
    }
    assert_eq!(fulcio.get(FulcioExtension::TokenSubject), None);
    assert_eq!(fulcio.iter().count(), 21);

    let [timestamp] = certificate.signed_certificate_timestamps() else {
        panic!("expected one SCT");
    };
    assert_eq!(timestamp.log_id[..4], [0xdd, 0x3d, 0x30, 0x6a]);
    assert_eq!(
        timestamp.timestamp / 1000,
        validity.not_before.unix_seconds()
    );
    assert_eq!((timestamp.hash, timestamp.signature_algorithm), (4, 3));
    assert!(timestamp.extensions.is_empty());
}

#[test]
fn an_sct_may_have_extensions() {
    let certificate = Certificate::from_pem(SCT_WITH_EXTENSIONS).unwrap();
    assert_eq!(
        certificate.issuer(),
        "CN=fulcio.test,O=Sigstore,ST=Some-State,C=US"
    );
    let [timestamp] = certificate.signed_certificate_timestamps() else {
        panic!("expected one SCT");
    };
    assert!(!timestamp.extensions.is_empty());
}

#[test]
fn a_private_ca_may_write_fewer_extensions() {
    let certificate = Certificate::from_pem(CUSTOM_CA).unwrap();
    assert_eq!(certificate.issuer(), "O=sigstore.mock,CN=sigstore");
    assert_eq!(certificate.fulcio().iter().count(), 2);
    assert_eq!(certificate.subject_key_id().unwrap()[..2], [0xe7, 0xc0]);
    assert_eq!(certificate.authority_key_id().unwrap()[..2], [0x3f, 0x14]);
}

#[test]
fn a_chain_is_read_in_its_order() {
    let chain = Certificate::chain_from_pem(PUBLIC_GOOD_CA).unwrap();
    let [intermediate, root] = chain.as_slice() else {
        panic!("expected two certificates")
    };
    assert_eq!(
        intermediate.subject(),
        "CN=sigstore-intermediate,O=sigstore.dev"
    );
    assert_eq!(
        intermediate.basic_constraints(),
        Some(BasicConstraints {
            ca: true,
            path_len: Some(0)
        })
    );
    assert!(intermediate.key_usage().unwrap().key_cert_sign());
    assert_eq!(intermediate.issuer(), root.subject());
    assert!(root.is_self_issued() && root.is_ca() && !intermediate.is_self_issued());
    assert_eq!(intermediate.authority_key_id(), root.subject_key_id());

    // What the issuer signed is exactly the part that verification will look at.
    let key = root.public_key().unwrap();
    key.verify(intermediate.tbs_der(), intermediate.signature())
        .unwrap();
    key.verify(root.tbs_der(), root.signature()).unwrap();
    assert!(
        key.verify(intermediate.der(), intermediate.signature())
            .is_err()
    );

    assert_eq!(
        Certificate::from_pem(PUBLIC_GOOD_CA)
            .unwrap_err()
            .to_string(),
        "one certificate is expected, and there are 2; give only the signer's own, or give them as a chain"
    );
}

#[test]
fn every_kind_of_name_is_shown() {
    let certificate = Certificate::from_pem(ALL_NAMES).unwrap();
    let names: Vec<String> = certificate
        .subject_alt_names()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        names,
        [
            "email:person@example.com",
            "URI:https://example.com/workflow",
            "DNS:example.com",
            "IP:192.0.2.1",
            "IP:2001:db8::1",
            "username:user!example.com",
            "otherName 1.2.3.6:#0c04656c7365",
            "name [8]:#88032a0307",
            "directory name:CN=directory",
        ]
    );
    assert_eq!(certificate.serial().to_string(), "0123456789abcdef");
    assert_eq!(certificate.subject(), "CN=all names,O=Example\\, Inc.,C=DE");
    assert_eq!(
        certificate.public_key().unwrap().algorithm_name(),
        "ed25519"
    );
    assert_eq!(
        certificate.extended_key_usage(),
        [
            ExtendedKeyUsage::CodeSigning,
            ExtendedKeyUsage::TimeStamping,
            ExtendedKeyUsage::Other("1.2.3.4".into()),
        ]
    );
    assert_eq!(
        certificate.unread_extensions(),
        [Unread {
            oid: "2.5.29.32".into(),
            critical: true,
            value: certificate.unread_extensions()[0].value.clone(),
        }]
    );
    // Certificate policies are no text.
    assert_eq!(certificate.unread_extensions()[0].text(), None);
    assert!(certificate.fulcio().is_empty());
    assert!(certificate.signed_certificate_timestamps().is_empty());
}

#[test]
fn a_certificate_with_an_unsupported_key_can_be_looked_at() {
    let certificate = Certificate::from_pem(DSA_KEY).unwrap();
    assert_eq!(certificate.subject(), "CN=DSA");
    let error = certificate.public_key().unwrap_err().to_string();
    assert!(
        error.starts_with("the public key in the certificate cannot be used: "),
        "{error}"
    );
}

#[test]
fn the_fingerprint_is_that_of_openssl() {
    // openssl x509 -noout -fingerprint -sha256
    let certificate = Certificate::from_pem(CUSTOM_CA).unwrap();
    assert_eq!(certificate.fingerprint().hex(), FINGERPRINT);
    assert_eq!(
        Certificate::from_der(certificate.der()).unwrap(),
        certificate
    );
}

#[test]
fn pem_is_read_as_other_tools_write_it() {
    let text = String::from_utf8(CUSTOM_CA.to_vec()).unwrap();
    let expected = Certificate::from_pem(CUSTOM_CA).unwrap();
    let key = "-----BEGIN PUBLIC KEY-----\nAQID\n-----END PUBLIC KEY-----\n";
    let one_line = {
        let body: String = text
            .lines()
            .skip_while(|line| !line.starts_with("---"))
            .skip(1)
            .collect();
        format!(
            "-----BEGIN CERTIFICATE-----\n{}",
            body.replace("-----END", "\n-----END")
        )
    };
    for variant in [
        text.replace('\n', "\r\n"),
        text.replace('\n', "\n\n"),
        format!("{key}{text}{key}"),
        one_line,
    ] {
        assert_eq!(
            Certificate::from_pem(variant.as_bytes()).unwrap(),
            expected,
            "{variant}"
        );
    }
}

#[test]
fn what_is_not_a_certificate_is_refused_with_the_reason() {
    let der = Certificate::from_pem(CUSTOM_CA).unwrap().der().to_vec();
    let many = GITHUB_WORKFLOW.repeat(MAX_CHAIN + 1);
    for (pem, reason) in [
        (
            &b""[..],
            "there is no certificate: there is no -----BEGIN CERTIFICATE----- line",
        ),
        (
            b"-----BEGIN PUBLIC KEY-----\nAQID\n-----END PUBLIC KEY-----\n",
            "there is no certificate: the PEM block is a \"PUBLIC KEY\"",
        ),
        (
            b"-----BEGIN CERTIFICATE-----\nAQID\n",
            "the PEM block of certificate 1 is damaged: it has no -----END CERTIFICATE----- line",
        ),
        (
            b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
            "the PEM block of certificate 1 is damaged: it is not base64",
        ),
        (
            b"-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----",
            "not a valid X.509 certificate: ",
        ),
        (
            &many,
            "the PEM file has more than 32 certificates; give the chain of one certificate",
        ),
    ] {
        let error = Certificate::chain_from_pem(pem).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{error}");
    }
    assert_eq!(
        Certificate::from_der(&vec![0; MAX_CERTIFICATE + 1]),
        Err(Error::TooLarge(MAX_CERTIFICATE + 1))
    );
    assert_eq!(
        Certificate::from_pem(&vec![b' '; MAX_PEM + 1]),
        Err(Error::PemTooLarge(MAX_PEM + 1))
    );
    for length in 0..der.len() {
        assert!(Certificate::from_der(&der[..length]).is_err(), "{length}");
    }
    let longer = [&der[..], &[0]].concat();
    assert!(Certificate::from_der(&longer).is_err());
}

#[test]
fn an_extension_that_is_there_twice_is_refused() {
    let der = Certificate::from_pem(GITHUB_WORKFLOW)
        .unwrap()
        .der()
        .to_vec();
    // Extension 3 (SHA) becomes a second extension 2 (trigger): the last byte of its object identifier.
    let oid = [
        0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x03,
    ];
    let at = der
        .windows(oid.len())
        .position(|window| window == oid)
        .unwrap();
    let mut twice = der;
    twice[at + oid.len() - 1] = 0x02;
    assert_eq!(
        Certificate::from_der(&twice).unwrap_err().to_string(),
        "not a valid X.509 certificate: the extension 1.3.6.1.4.1.57264.1.2 is malformed: it is there twice"
    );
}

/// Reads a certificate and everything in it.
fn look_at(bytes: &[u8]) -> bool {
    let Ok(certificate) = Certificate::from_der(bytes) else {
        return false;
    };
    let names: Vec<String> = certificate
        .subject_alt_names()
        .iter()
        .map(ToString::to_string)
        .collect();
    let text = format!(
        "{certificate:?} {} {} {} {:?} {names:?} {:?} {:?} {:?}",
        certificate.serial(),
        certificate.subject(),
        certificate.issuer(),
        certificate.validity(),
        certificate.public_key(),
        certificate.signed_certificate_timestamps(),
        certificate.fulcio(),
    );
    assert!(
        bytes
            .windows(certificate.tbs_der().len())
            .any(|w| w == certificate.tbs_der())
    );
    !text.is_empty()
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        look_at(&bytes);
        let _ = Certificate::chain_from_pem(&bytes);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(-----(BEGIN|END) (CERTIFICATE|PUBLIC KEY)-----\n|[A-Za-z0-9+/=]{0,8}\n){0,12}") {
        let _ = Certificate::chain_from_pem(text.as_bytes());
    }

    #[test]
    fn no_change_of_a_certificate_makes_it_panic(
        which in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let pem = [GITHUB_WORKFLOW, SCT_WITH_EXTENSIONS, ALL_NAMES, CUSTOM_CA][which];
        let mut der = Certificate::from_pem(pem).unwrap().der().to_vec();
        for (index, byte) in changes {
            let index = index.index(der.len());
            der[index] = byte;
        }
        look_at(&der);
    }
}
