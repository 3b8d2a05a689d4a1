//! Promises of CT logs: real ones, and those of a log that the test runs itself.

#![allow(clippy::unwrap_used, reason = "tests")]

mod issuing;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use issuing::{Issued, NOW, Profile, extension, tlv};
use proptest::prelude::*;
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use sealmark_x509::{
    Certificate, SctError, SignedCertificateTimestamp, verify_detached_sct, verify_embedded_sct,
};

const SCT_LIST: &str = "1.3.6.1.4.1.11129.2.4.2";

macro_rules! certificate {
    ($path:literal) => {
        &Certificate::chain_from_pem(include_bytes!(concat!("fixtures/", $path))).unwrap()[0]
    };
}

macro_rules! key {
    ($path:literal) => {
        PublicKey::from_pem(include_bytes!(concat!("fixtures/authorities/", $path))).unwrap()
    };
}

#[test]
fn scts_of_sigstores_logs_verify() {
    let public_good = certificate!("authorities/public-good/fulcio-1.pem");
    let staging = certificate!("authorities/staging/fulcio-0.pem");
    let table = [
        (
            certificate!("bundles/checkpoint-wrong-roothash_fail/certificate.pem"),
            public_good,
            key!("public-good/ctlog-1.pem"),
            0,
        ),
        (
            certificate!("github-workflow.pem"),
            public_good,
            key!("public-good/ctlog-1.pem"),
            0,
        ),
        (
            certificate!("bundles/rekor2-checkpoint-cosigned/certificate.pem"),
            staging,
            key!("staging/ctlog-2.pem"),
            0,
        ),
        // A log with tiles: its SCTs have the index of the entry in an extension.
        (
            certificate!("bundles/rekor2-dsse-happy-path/certificate.pem"),
            staging,
            key!("staging/ctlog-3.pem"),
            8,
        ),
        (
            certificate!("custom-ca.pem"),
            certificate!("authorities/custom/fulcio-0.pem"),
            key!("custom/ctlog-0.pem"),
            0,
        ),
        (
            certificate!("sct-with-extensions.pem"),
            certificate!("authorities/local/fulcio-0.pem"),
            key!("local/ctlog-0.pem"),
            8,
        ),
    ];
    for (leaf, issuer, key, extensions) in &table {
        let [sct] = leaf.signed_certificate_timestamps() else {
            panic!("{leaf:?}")
        };
        assert_eq!(sct.extensions.len(), *extensions);
        assert_eq!(
            verify_embedded_sct(leaf, issuer, sct, key),
            Ok(()),
            "{leaf:?}"
        );

        // Nothing of it may be otherwise.
        let mut other = sct.clone();
        other.timestamp += 1;
        assert_mismatch(&verify_embedded_sct(leaf, issuer, &other, key));
        let mut other = sct.clone();
        other.extensions.push(0);
        assert_mismatch(&verify_embedded_sct(leaf, issuer, &other, key));
        assert_mismatch(&verify_embedded_sct(leaf, leaf, sct, key));
        assert_mismatch(&verify_detached_sct(leaf, sct, key));
        for (other, _, _, _) in table.iter().filter(|(other, ..)| other != leaf) {
            assert_mismatch(&verify_embedded_sct(other, issuer, sct, key));
        }
    }
}

fn assert_mismatch(result: &Result<(), SctError>) {
    assert!(matches!(result, Err(SctError::Mismatch(_))), "{result:?}");
}

#[test]
fn a_changed_certificate_is_not_the_promised_one() {
    let leaf = certificate!("github-workflow.pem");
    let issuer = certificate!("authorities/public-good/fulcio-1.pem");
    let key = key!("public-good/ctlog-1.pem");
    let sct = &leaf.signed_certificate_timestamps()[0];
    let start = leaf.der().len() - leaf.tbs_der().len();
    let mut tried = 0;
    for index in start..leaf.tbs_der().len() {
        let mut changed = leaf.der().to_vec();
        changed[index] ^= 1;
        let Ok(changed) = Certificate::from_der(&changed) else {
            continue;
        };
        // The list itself is what the log did not sign.
        if changed.signed_certificate_timestamps() == leaf.signed_certificate_timestamps() {
            assert!(
                verify_embedded_sct(&changed, issuer, sct, &key).is_err(),
                "byte {index}"
            );
            tried += 1;
        }
    }
    assert!(tried > 500, "{tried}");
}

#[test]
fn an_sct_of_another_log_is_named_as_such() {
    let leaf = certificate!("github-workflow.pem");
    let issuer = certificate!("authorities/public-good/fulcio-1.pem");
    let sct = &leaf.signed_certificate_timestamps()[0];
    let error = verify_embedded_sct(leaf, issuer, sct, &key!("public-good/ctlog-0.pem"));
    assert_eq!(
        error.unwrap_err().to_string(),
        "the SCT is by the CT log dd3d306ac6c7113263191e1c99673702a24a5eb8de3cadff878a72802f29ee8e, and the key is \
         that of the log 086092f02852ff6845d1d16b27849c456718ac163dc338d26de6bc2206366f72"
    );
    let mut other = sct.clone();
    other.signature_algorithm = 1;
    let error = verify_embedded_sct(leaf, issuer, &other, &key!("public-good/ctlog-1.pem"));
    assert!(matches!(error, Err(SctError::UnsupportedSignature { .. })));
    assert_eq!(sct.unix_seconds(), 1_734_374_576);
}

/// The bytes that a log signs (RFC 6962, section 3.2), written down once more.
fn signed(timestamp: u64, entry_type: u8, entry: &[u8], extensions: &[u8]) -> Vec<u8> {
    let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
    [
        &[0, 0][..],
        &timestamp.to_be_bytes(),
        &[0, entry_type],
        entry,
        &length,
        extensions,
    ]
    .concat()
}

fn opaque24(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[1..], bytes].concat()
}

fn sct(log: &PrivateKey, numbers: [u8; 2], signed: &[u8]) -> SignedCertificateTimestamp {
    SignedCertificateTimestamp {
        log_id: log.public_key().id().bytes().try_into().unwrap(),
        timestamp: NOW * 1000,
        extensions: Vec::new(),
        hash: numbers[0],
        signature_algorithm: numbers[1],
        signature: log.sign(signed).unwrap(),
    }
}

#[test]
fn the_list_is_taken_out_wherever_it_is() {
    let log = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let root = Issued::root(&Profile::ca("root"));
    let others = [
        extension("1.2.3.4", false, &[5, 0]),
        extension("1.2.3.5", false, &[7; 200]),
    ];
    for others in [&others[..], &others[..1], &[]] {
        for bare in [false, true] {
            let mut profile = Profile::leaf();
            if bare {
                // Then the list can be the only extension of all.
                profile.key_usage = None;
                profile.purposes.clear();
            }
            profile.more = others.to_vec();
            let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
            let leaf = root.issue_for(&profile, key);
            let issuer_hash = Digest::sha256(root.certificate.spki_der());
            let entry = [issuer_hash.bytes(), &opaque24(leaf.certificate.tbs_der())].concat();
            let promise = sct(&log, [4, 3], &signed(NOW * 1000, 1, &entry, &[]));

            let serialized = [
                &[0][..],
                &promise.log_id,
                &promise.timestamp.to_be_bytes(),
                &[
                    0,
                    0,
                    4,
                    3,
                    0,
                    u8::try_from(promise.signature.len()).unwrap(),
                ],
                &promise.signature,
            ]
            .concat();
            assert_eq!(
                SignedCertificateTimestamp::from_tls(&serialized).unwrap(),
                promise
            );
            let length = u8::try_from(serialized.len()).unwrap();
            let list = [&[0, length + 2, 0, length][..], &serialized].concat();
            let list = extension(SCT_LIST, false, &tlv(4, &list));
            let mut key = Some(leaf.key);
            for position in 0..=others.len() {
                profile.more = others.to_vec();
                profile.more.insert(position, list.clone());
                let signed = root.issue_for(&profile, key.take().unwrap());
                let [read] = signed.certificate.signed_certificate_timestamps() else {
                    panic!()
                };
                assert_eq!(*read, promise);
                assert_eq!(
                    verify_embedded_sct(
                        &signed.certificate,
                        &root.certificate,
                        read,
                        log.public_key()
                    ),
                    Ok(()),
                    "{position}"
                );
                key = Some(signed.key);
            }
            let without = verify_embedded_sct(
                &leaf.certificate,
                &root.certificate,
                &promise,
                log.public_key(),
            );
            assert_eq!(without, Err(SctError::NotEmbedded));
        }
    }
}

#[test]
fn a_detached_sct_is_for_the_whole_certificate() {
    let root = Issued::root(&Profile::ca("root"));
    let leaf = root.issue(&Profile::leaf()).certificate;
    let other = root.issue(&Profile::leaf()).certificate;
    for (algorithm, numbers) in [
        (Algorithm::EcdsaP256, [4, 3]),
        (Algorithm::EcdsaP384, [5, 3]),
        (Algorithm::EcdsaP521, [6, 3]),
        (Algorithm::Rsa2048, [4, 1]),
    ] {
        let log = PrivateKey::generate(algorithm).unwrap();
        let promise = sct(
            &log,
            numbers,
            &signed(NOW * 1000, 0, &opaque24(leaf.der()), &[]),
        );
        let key = log.public_key();
        assert_eq!(
            verify_detached_sct(&leaf, &promise, key),
            Ok(()),
            "{algorithm}"
        );
        assert_mismatch(&verify_detached_sct(&other, &promise, key));

        // As cosign's --sct file, and as Fulcio's header.
        let length = u16::try_from(promise.signature.len())
            .unwrap()
            .to_be_bytes();
        let signature = [&numbers[..], &length, &promise.signature].concat();
        let json = format!(
            r#"{{"sct_version":0,"id":"{}","timestamp":{},"extensions":"","signature":"{}"}}"#,
            STANDARD.encode(promise.log_id),
            promise.timestamp,
            STANDARD.encode(&signature),
        );
        let header = STANDARD.encode(&json);
        for text in [&json, &header, &format!("{json}\n")] {
            let read = SignedCertificateTimestamp::from_json(text.as_bytes()).unwrap();
            assert_eq!(read, promise);
        }
        for (from, to, message) in [
            ("\"sct_version\":0", "\"sct_version\":1", "its version is 1"),
            ("\"id\":\"", "\"id\":\"AAAA", "does not have 32 bytes"),
            (
                "\"signature\":\"",
                "\"signature\":\"AAAA",
                "signature is cut off, or too long",
            ),
            (
                "\"extensions\":\"\"",
                "\"extensions\":\"=\"",
                "extensions is not base64",
            ),
            ("\"timestamp\"", "\"time\"", "missing field `timestamp`"),
        ] {
            let text = json.replace(from, to);
            let error = SignedCertificateTimestamp::from_json(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = SignedCertificateTimestamp::from_json(&bytes);
        let _ = SignedCertificateTimestamp::from_tls(&bytes);
        let text = STANDARD.encode(&bytes);
        let json = format!(r#"{{"sct_version":0,"id":"{text}","timestamp":1,"signature":"{text}"}}"#);
        let _ = SignedCertificateTimestamp::from_json(json.as_bytes());
    }
}
