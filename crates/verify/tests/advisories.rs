//! Security advisories of cosign, each with the attack that it was about. Those about downloads from a registry
//! (GHSA-vfp6-jrw2-99g9, GHSA-88jx-383q-w4qc, GHSA-95pr-fxf5-86gv) belong to what is before these checks; what reaches
//! the checks is bounded, see `bounds.rs`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use sealmark_formats::bundle::Version;
use sealmark_formats::legacy::BlobBundle;
use sealmark_formats::log_entry::{EntrySignature, Verifier};
use sealmark_formats::log_entry::{hashedrekord_v1_body, hashedrekord_v2_body};
use sealmark_formats::{Digest, dsse};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_verify::evidence::{Content, Detached};
use sealmark_virtual::{
    By, CertificateAuthority, DAY, HOUR, Issuer, Made, Proofs, START, VirtualSigstore, What, YEAR,
};
use sealmark_x509::ExtendedKeyUsage;
use support::{
    Ask, FILE, Need, bundle, detached, key, layer, person, simple_signing, statement,
    statement_about, v0_3,
};

const OTHER: &[u8] = b"another file";

/// An attacker takes the log's promise for a signature that is in the log, and puts it beside one that is not.
#[test]
fn ghsa_ccxc_vr6p_4858_the_promise_for_another_signature() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let root = sigstore.trusted_root();
    let payload = simple_signing();
    let person = person();
    for (by, ask) in [
        (By::Key(&by), Ask::key(by.public_key())),
        (By::Identity(&person), Ask::person()),
    ] {
        let logged = sigstore.sign(What::SimpleSigning(OTHER), by, Proofs::REKOR_V1);
        let secret = sigstore.sign(What::SimpleSigning(&payload), by, Proofs::NONE);
        let mut attack = secret.legacy();
        attack.log_entry = logged.legacy().log_entry;
        let answer = ask.image().of(&root, layer(&attack));
        answer.is_refused("transparency log", "it is of another signature or signer");
    }
}

/// The entry of a blob's bundle was of any other blob.
#[test]
fn ghsa_8gw7_4j42_w388_the_log_entry_of_another_blob() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let root = sigstore.trusted_root();
    let person = person();
    for (by, ask) in [
        (By::Key(&by), Ask::key(by.public_key())),
        (By::Identity(&person), Ask::person()),
    ] {
        let logged = sigstore.sign(What::File(OTHER), by, Proofs::REKOR_V1);
        let secret = sigstore.sign(What::File(FILE), by, Proofs::NONE);
        let mut attack = secret.legacy();
        attack.log_entry = logged.legacy().log_entry;
        // Through the file in which cosign 1 and 2 kept it.
        let file = BlobBundle {
            signature: attack.signature.clone(),
            certificate: attack.certificate.clone().unwrap_or_default(),
            rekor_bundle: attack.log_entry.clone(),
        };
        let read = BlobBundle::parse(&file.to_json()).unwrap();
        attack.log_entry = read.rekor_bundle;
        let answer = ask.of(&root, detached(attack));
        answer.is_refused("transparency log", "it is of another signature or signer");
    }
}

/// The same signature under an entry whose digest is another's: what is signed must be what is logged.
#[test]
fn ghsa_8gw7_4j42_w388_the_log_entry_of_another_digest() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let mut signed = sigstore.sign(What::File(FILE), By::Key(&by), Proofs::NONE);
    let pem = by.public_key().to_pem();
    let body = hashedrekord_v1_body(&Digest::sha256(OTHER), signed.signature(), &pem).unwrap();
    signed.log_entries = vec![sigstore.rekor_v1.append(body)];
    let ask = Ask::key(by.public_key());
    let answer = ask.of(&sigstore.trusted_root(), detached(signed.legacy()));
    answer.is_refused("transparency log", "it is of other content");
}

/// With a trusted root and an old bundle, nothing in the entry was compared: not digest, nor key, nor signature.
#[test]
fn ghsa_whqx_f9j3_ch6m_an_old_bundle_with_any_entry_of_a_trusted_log() {
    let sigstore = VirtualSigstore::new();
    let root = sigstore.trusted_root();
    let mine = key();
    let person = person();
    for (by, ask) in [
        (By::Key(&mine), Ask::key(mine.public_key())),
        (By::Identity(&person), Ask::person()),
    ] {
        for what in [
            What::File(FILE),
            What::Statement(&statement("https://example.com/t")),
        ] {
            let good = sigstore.sign(what, by, Proofs::REKOR_V1);
            ask.of(&root, bundle(&good.bundle(Version::V0_1))).is_good();

            let of_others = [
                sigstore.sign(what, By::Key(&key()), Proofs::REKOR_V1),
                sigstore.sign(What::File(OTHER), by, Proofs::REKOR_V1),
                sigstore.sign(
                    What::Statement(&statement_about(OTHER, "https://example.com/t")),
                    by,
                    Proofs::REKOR_V1,
                ),
                sigstore.sign(what, by, Proofs::REKOR_V2),
            ];
            for other in of_others {
                for version in [Version::V0_1, Version::V0_2, Version::V0_3] {
                    let mut attack = good.clone();
                    attack.log_entries = other.log_entries.clone();
                    let answer = ask.of(&root, bundle(&attack.bundle(version)));
                    answer.is_refused("transparency log", "it is of ");
                }
                let mut attack = good.clone();
                attack.log_entries = other.log_entries;
                let legacy = attack.legacy();
                if legacy.log_entry.is_some() {
                    let content = match &attack.made {
                        Made::File { .. } => detached(legacy),
                        _ => layer(&legacy),
                    };
                    ask.of(&root, content)
                        .is_refused("transparency log", "it is of ");
                }
            }
        }
    }
}

/// The same in a log of version 2, whose leaf verifiers of that log rebuild from the bundle.
#[test]
fn ghsa_whqx_f9j3_ch6m_a_version_2_entry_of_another_digest_key_or_signature() {
    let sigstore = VirtualSigstore::new();
    let mine = key();
    let good = sigstore.sign(What::File(FILE), By::Key(&mine), Proofs::REKOR_V2);
    let entry = |digest: &[u8], signature: &[u8], by: &PrivateKey| {
        let signature = EntrySignature {
            signature: Some(signature.to_vec()),
            verifier: Verifier::PublicKey(by.public_key().spki_der().to_vec()),
            key_details: Some("PKIX_ECDSA_P256_SHA_256".to_owned()),
        };
        hashedrekord_v2_body(&Digest::sha256(digest), &signature).unwrap()
    };
    let ask = Ask::key(mine.public_key());
    for (body, reason) in [
        (entry(FILE, good.signature(), &mine), None),
        (
            entry(OTHER, good.signature(), &mine),
            Some("it is of other content"),
        ),
        (
            entry(FILE, &mine.sign(OTHER).unwrap(), &mine),
            Some("it is of another signature"),
        ),
        (
            entry(FILE, good.signature(), &key()),
            Some("it is of another signature"),
        ),
    ] {
        let mut attack = good.clone();
        attack.log_entries = vec![sigstore.rekor_v2.append(body)];
        let answer = ask.of(&sigstore.trusted_root(), v0_3(&attack));
        match reason {
            None => answer.is_good(),
            Some(reason) => answer.is_refused("transparency log", reason),
        }
    }
}

/// The CA that issued the certificate had expired before the certificate began.
#[test]
fn ghsa_wfqv_66vq_46rm_the_issuing_ca_had_expired() {
    let mut sigstore = VirtualSigstore::new();
    let (from, until) = (START - YEAR, START + YEAR);
    let root = Issuer::root("a root", Algorithm::EcdsaP384, from, until);
    for (ends, good) in [(START + DAY, true), (START, true), (START - 1, false)] {
        let issuer = root.intermediate(
            "a CA",
            Algorithm::EcdsaP256,
            ExtendedKeyUsage::CodeSigning,
            from,
            ends,
        );
        let above = vec![root.certificate.clone()];
        sigstore.ca = CertificateAuthority::of(&sigstore.clock, issuer, above);
        for proofs in [Proofs::REKOR_V1, Proofs::REKOR_V2] {
            let signed = sigstore.sign(What::File(FILE), By::Identity(&person()), proofs);
            for content in [v0_3(&signed), bundle(&signed.bundle(Version::V0_2))] {
                let answer = Ask::person().of(&sigstore.trusted_root(), content);
                match good {
                    true => answer.is_good(),
                    false => answer
                        .is_refused("certificate", "\"CN=a CA,O=virtual.example\" had expired"),
                }
            }
        }
        let signed = sigstore.sign(What::File(FILE), By::Identity(&person()), Proofs::REKOR_V1);
        let answer = Ask::person().of(&sigstore.trusted_root(), detached(signed.legacy()));
        assert_eq!(answer.verified, good, "{}", answer.why);
    }
}

/// The root had, or had not begun: no trust anchor is trusted for longer than it says.
#[test]
fn ghsa_wfqv_66vq_46rm_the_root_had_expired() {
    let mut sigstore = VirtualSigstore::new();
    for (from, until) in [(START - YEAR, START - 1), (START + HOUR, START + YEAR)] {
        let root = Issuer::root("a root", Algorithm::EcdsaP384, from, until);
        let issuer = root.intermediate(
            "a CA",
            Algorithm::EcdsaP256,
            ExtendedKeyUsage::CodeSigning,
            START - YEAR,
            START + YEAR,
        );
        let above = vec![root.certificate.clone()];
        sigstore.ca = CertificateAuthority::of(&sigstore.clock, issuer, above);
        let signed = sigstore.sign(What::File(FILE), By::Identity(&person()), Proofs::REKOR_V1);
        let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
        answer.is_refused("certificate", "\"CN=a root,O=virtual.example\"");
    }
}

/// A good signature over what is no statement, or over a payload of another type, was "verified".
#[test]
fn ghsa_w6c6_c85g_mmv6_a_signed_payload_that_is_no_statement() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let ask = Ask::key(by.public_key());
    let root = sigstore.trusted_root();
    let good = statement("https://example.com/t");
    let half = &good[..good.len() / 2];
    let no_type = String::from_utf8(good.clone())
        .unwrap()
        .replace("_type", "type");
    let no_subject = String::from_utf8(good.clone())
        .unwrap()
        .replace("subject", "object");
    for (payload, check, reason) in [
        (&b""[..], "format", "in-toto statement"),
        (b"not JSON", "format", "in-toto statement"),
        (b"[]", "format", "in-toto statement"),
        (b"{}", "format", "in-toto statement"),
        (half, "format", "in-toto statement"),
        (no_type.as_bytes(), "format", "in-toto statement"),
        (
            no_subject.as_bytes(),
            "digest",
            "a statement without a subject",
        ),
    ] {
        let signed = sigstore.sign(What::Statement(payload), By::Key(&by), Proofs::REKOR_V1);
        for content in [v0_3(&signed), layer(&signed.legacy())] {
            ask.of(&root, content).is_refused(check, reason);
        }
    }

    // A statement in an envelope that says it is something else, signed as such.
    for payload_type in [
        "",
        "application/json",
        "application/vnd.in-toto+json; charset=utf-8",
    ] {
        let mut signed = sigstore.sign(What::Statement(&good), By::Key(&by), Proofs::NONE);
        let sig = by.sign(&dsse::pae(payload_type, &good)).unwrap();
        signed.made = Made::Envelope(dsse::Envelope {
            payload: good.clone(),
            payload_type: payload_type.to_owned(),
            signatures: vec![dsse::Signature { sig, keyid: None }],
        });
        let ask = ask.clone().log(Need::NotChecked);
        for content in [v0_3(&signed), layer(&signed.legacy())] {
            ask.of(&root, content).is_refused("format", "payloadType");
        }
    }
}

/// An attestation of whatever type is no signature of an image.
#[test]
fn ghsa_w6c6_c85g_mmv6_an_attestation_does_not_sign_an_image() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let ask = Ask::key(by.public_key()).image();
    for (predicate_type, good) in [
        ("https://sigstore.dev/cosign/sign/v1", true),
        ("https://sigstore.dev/cosign/sign/v2", false),
        ("https://sigstore.dev/cosign/sign/v1/", false),
        ("https://cosign.sigstore.dev/attestation/vuln/v1", false),
        ("", false),
    ] {
        let payload = statement(predicate_type);
        let signed = sigstore.sign(What::Statement(&payload), By::Key(&by), Proofs::ALL);
        let answer = ask.of(&sigstore.trusted_root(), v0_3(&signed));
        match good {
            true => answer.is_good(),
            false => answer.is_refused("kind", "an attestation of type"),
        }
    }
}

/// The key in the file of a blob's signature was used in place of the one that the user gave.
#[test]
fn ghsa_fx35_mq7g_6g98_the_key_in_the_file_is_not_the_users() {
    let sigstore = VirtualSigstore::new();
    let root = sigstore.trusted_root();
    let (users, attackers) = (key(), key());
    let signed = sigstore.sign(What::File(FILE), By::Key(&attackers), Proofs::REKOR_V1);
    let ask = Ask::key(users.public_key());

    // The attacker's key, bare, in PEM, in the place of the certificate: good for nothing, also where it is right.
    for by in [&attackers, &users] {
        let mut legacy = signed.legacy();
        legacy.certificate = Some(by.public_key().to_pem().into_bytes());
        let file = BlobBundle {
            signature: legacy.signature.clone(),
            certificate: legacy.certificate.clone().unwrap(),
            rekor_bundle: legacy.log_entry.clone(),
        };
        let read = BlobBundle::parse(&file.to_json()).unwrap();
        legacy.certificate = Some(read.certificate);
        ask.of(&root, detached(legacy))
            .is_refused("format", "certificate");
    }
    // Left out, as a careful reader of that file does: then only the user's key counts.
    let answer = ask.of(&root, detached(signed.legacy()));
    answer.is_refused("signature", &users.public_key().id().to_string());

    // A certificate of the attacker, by the trusted CA even.
    let with_certificate =
        sigstore.sign(What::File(FILE), By::Identity(&person()), Proofs::REKOR_V1);
    for content in [v0_3(&with_certificate), detached(with_certificate.legacy())] {
        ask.of(&root, content)
            .is_refused("signature", "with a certificate");
    }

    // A bundle whose hint names the user's key, and whose signature is the attacker's.
    let mut named = signed.bundle(Version::V0_3);
    named.material = sealmark_formats::bundle::Material::PublicKey {
        hint: users.public_key().id().hint(),
    };
    let answer = ask.of(&root, bundle(&named));
    answer.is_refused("signature", &users.public_key().id().to_string());
}

/// The certificate in a bundle says nothing that its CA, trusted, did not say.
#[test]
fn ghsa_fx35_mq7g_6g98_nor_is_a_certificate_of_the_attackers_own_making() {
    let sigstore = VirtualSigstore::new();
    let root = sigstore.trusted_root();
    let mut attacker = VirtualSigstore::new();
    attacker.rekor_v1 = sealmark_virtual::RekorV1::with_key(
        &attacker.clock,
        sigstore.rekor_v1.key.clone(), // The log takes entries from everybody.
    );
    let signed = attacker.sign(What::File(FILE), By::Identity(&person()), Proofs::REKOR_V1);
    for content in [
        v0_3(&signed),
        bundle(&signed.bundle(Version::V0_1)),
        detached(signed.legacy()),
        Content::Blob(Detached {
            chain: None,
            ..match detached(signed.legacy()) {
                Content::Blob(detached) => detached,
                other => panic!("{other:?}"),
            }
        }),
    ] {
        let answer = Ask::person().of(&root, content);
        answer.is_refused("certificate", "was not issued by the trusted");
    }
}

/// Any attestation of the image made a question for one type come out well.
#[test]
fn ghsa_vjxv_45g9_9296_an_attestation_of_another_type() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let root = sigstore.trusted_root();
    let sign = |predicate_type: &str| {
        let payload = statement(predicate_type);
        sigstore.sign(What::Statement(&payload), By::Key(&by), Proofs::REKOR_V1)
    };
    let of_vulnerabilities = "https://cosign.sigstore.dev/attestation/vuln/v1";
    let of_a_build = "https://slsa.dev/provenance/v1";
    for every in [false, true] {
        let ask = Ask::key(by.public_key()).attestation(&[of_vulnerabilities], every);
        for other in [of_a_build, "https://sigstore.dev/cosign/sign/v1", ""] {
            for content in [v0_3(&sign(other)), layer(&sign(other).legacy())] {
                ask.of(&root, content)
                    .is_refused("kind", "an attestation of type");
            }
        }
        let wanted = sign(of_vulnerabilities);
        ask.of(&root, v0_3(&wanted)).is_good();
        // The right one among others counts, one by somebody else does not.
        let trust = sealmark_verify::TrustedMaterial::new(&root);
        let among = vec![v0_3(&sign(of_a_build)), v0_3(&wanted)];
        ask.of_all(&trust, among).is_good();
        let payload = statement(of_vulnerabilities);
        let by_another =
            sigstore.sign(What::Statement(&payload), By::Key(&key()), Proofs::REKOR_V1);
        let among = vec![v0_3(&by_another), v0_3(&sign(of_a_build))];
        assert!(!ask.of_all(&trust, among).verified);
    }
    // A file's signature and an image's are no attestations of whatever type.
    let ask = Ask::key(by.public_key()).attestation(&[], false);
    let file = sigstore.sign(What::File(FILE), By::Key(&by), Proofs::REKOR_V1);
    let payload = simple_signing();
    let image = sigstore.sign(
        What::SimpleSigning(&payload),
        By::Key(&by),
        Proofs::REKOR_V1,
    );
    for content in [
        v0_3(&file),
        layer(&image.legacy()),
        v0_3(&sign("https://sigstore.dev/cosign/sign/v1")),
    ] {
        ask.of(&root, content)
            .is_refused("kind", "expected an attestation");
    }
}
