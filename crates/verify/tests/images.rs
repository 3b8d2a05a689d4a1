//! What an engineer may rely on when `verify` says yes, and what the report says when it says no.

use std::collections::BTreeMap;

use sealmark_formats::bundle::{self, Bundle, Material, MessageSignature};
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_formats::{Digest, dsse, statement};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_verify::evidence::{Content, Detached, Evidence, Layout, Source};
use sealmark_verify::report::{CheckName, Outcome, Report, Verdict};
use sealmark_verify::{Artifact, Demand, Kind, Requirement, Signer, TrustedMaterial};

fn key() -> PrivateKey {
    PrivateKey::generate(Algorithm::EcdsaP256).expect("a key")
}

fn image() -> Digest {
    Digest::sha256(b"an image")
}

fn policy(key: &PrivateKey) -> Demand {
    Demand {
        log: Requirement::not_checked("no trusted root"),
        timestamp: Requirement::not_checked("none"),
        ..Demand::new(
            Kind::ImageSignature,
            vec![Signer::Key(key.public_key().clone())],
        )
    }
}

fn evidence(layout: Layout, location: &str, content: Content) -> Evidence {
    Evidence {
        source: Source {
            layout,
            manifest: None,
            location: location.to_owned(),
        },
        content,
    }
}

fn in_bundle(key: &PrivateKey, statement: Vec<u8>) -> Evidence {
    let mut envelope = dsse::Envelope {
        payload: statement,
        payload_type: dsse::IN_TOTO_PAYLOAD_TYPE.to_owned(),
        signatures: Vec::new(),
    };
    let sig = key.sign(&envelope.pae()).expect("a signature");
    envelope
        .signatures
        .push(dsse::Signature { sig, keyid: None });
    let hint = key.public_key().id().hint();
    let bundle = Bundle::new(
        Material::PublicKey { hint },
        bundle::Content::Dsse(envelope),
    );
    // Through bytes, as it comes from a registry.
    evidence(
        Layout::Bundle,
        "a bundle",
        Content::from_bundle(&bundle.to_json()),
    )
}

fn signature(key: &PrivateKey, digest: &Digest, annotations: &[(&str, &str)]) -> Evidence {
    in_bundle(key, statement::image_signature(digest, &map(annotations)))
}

fn legacy(key: &PrivateKey, digest: &Digest, annotations: &[(&str, &str)]) -> Evidence {
    let payload = SimpleSigning::new("registry/app", digest, &map(annotations)).to_json();
    let signature = key.sign(&payload).expect("a signature");
    let content = Content::SimpleSigning(Detached {
        payload,
        signature,
        ..Detached::default()
    });
    evidence(Layout::LegacySignature, "a layer", content)
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn verify(evidence: &[Evidence], policy: &Demand) -> Report {
    sealmark_verify::verify(
        &Artifact::by_digest(image()),
        evidence,
        &TrustedMaterial::default(),
        &policy.clone().into(),
        0,
    )
}

/// The check that failed on the only attachment, with what was found.
fn failure(report: &Report) -> (CheckName, String) {
    assert_eq!(report.demands[0].attachments.len(), 1);
    assert!(!report.demands[0].attachments[0].accepted);
    let check = report.demands[0].attachments[0]
        .failure()
        .expect("a check failed");
    let Outcome::Failed { found, .. } = &check.outcome else {
        unreachable!()
    };
    (check.name, found.clone())
}

#[test]
fn a_signature_by_the_key_over_the_image_is_good_in_every_layout() {
    let key = key();
    for evidence in [signature(&key, &image(), &[]), legacy(&key, &image(), &[])] {
        let report = verify(&[evidence], &policy(&key));
        assert_eq!(report.verdict, Verdict::Verified, "{report:#?}");
        let signer = report.demands[0].attachments[0].signer.as_ref().unwrap();
        assert_eq!(signer.key_id, Some(key.public_key().id().to_string()));
    }
}

#[test]
fn no_attachment_at_all_is_no_signature() {
    assert_eq!(verify(&[], &policy(&key())).verdict, Verdict::NoSignatures);
}

#[test]
fn an_attestation_by_the_trusted_key_is_not_a_signature() {
    let key = key();
    let statement = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v0.1","subject":[{{"name":"app","digest":{{"sha256":"{}"}}}}],
            "predicateType":"https://cosign.sigstore.dev/attestation/vuln/v1","predicate":{{"result":"FAILED"}}}}"#,
        image().hex()
    );
    let report = verify(&[in_bundle(&key, statement.into_bytes())], &policy(&key));
    assert_eq!(report.verdict, Verdict::NoSignatures);
    let (check, found) = failure(&report);
    assert_eq!(check, CheckName::Kind);
    assert!(found.contains("attestation/vuln/v1"), "{found}");
}

#[test]
fn a_signature_of_a_file_is_not_a_signature_of_an_image() {
    let key = key();
    let message = MessageSignature {
        digest: Some(image()),
        signature: key.sign_digest(&image()).unwrap(),
    };
    let bundle = Bundle::new(
        Material::PublicKey {
            hint: String::new(),
        },
        bundle::Content::MessageSignature(message),
    );
    let evidence = evidence(Layout::Bundle, "x", Content::from_bundle(&bundle.to_json()));
    assert_eq!(
        failure(&verify(&[evidence], &policy(&key))).0,
        CheckName::Kind
    );
}

#[test]
fn another_key_is_named() {
    let (signer, trusted) = (key(), key());
    let report = verify(&[signature(&signer, &image(), &[])], &policy(&trusted));
    assert_eq!(report.verdict, Verdict::NoMatchingSignatures);
    let (check, found) = failure(&report);
    assert_eq!(check, CheckName::Signature);
    assert!(
        found.contains(&signer.public_key().id().to_string()),
        "{found}"
    );
    assert!(
        report.demands[0].attachments[0].signer.is_none(),
        "an unverified signer must not be shown"
    );
}

#[test]
fn a_signature_of_another_image_names_it() {
    let key = key();
    let other = Digest::sha256(b"another image");
    for evidence in [signature(&key, &other, &[]), legacy(&key, &other, &[])] {
        let (check, found) = failure(&verify(&[evidence], &policy(&key)));
        assert_eq!(check, CheckName::Digest);
        assert!(found.contains(&other.to_string()), "{found}");
    }
}

#[test]
fn annotations_must_be_there_with_the_value() {
    let key = key();
    for make in [signature, legacy] {
        let evidence = [make(&key, &image(), &[("env", "test"), ("by", "ci")])];
        let mut policy = policy(&key);
        for (wanted, found) in [
            (&[("env", "test")][..], None),
            (&[("env", "test"), ("by", "ci")], None),
            (&[("env", "prod")], Some("annotation env=test")),
            (&[("missing", "x")], Some("no annotation missing")),
        ] {
            policy.annotations = map(wanted);
            let report = verify(&evidence, &policy);
            match found {
                None => assert_eq!(report.verdict, Verdict::Verified, "{wanted:?}"),
                Some(text) => {
                    assert_eq!(failure(&report), (CheckName::Annotations, text.to_owned()));
                }
            }
        }
    }
}

#[test]
fn swapped_annotations_of_a_signed_payload_break_the_signature() {
    let key = key();
    let Content::SimpleSigning(mut detached) = legacy(&key, &image(), &[("env", "test")]).content
    else {
        unreachable!()
    };
    detached.payload =
        SimpleSigning::new("registry/app", &image(), &map(&[("env", "prod")])).to_json();
    let evidence = evidence(
        Layout::LegacySignature,
        "x",
        Content::SimpleSigning(detached),
    );
    assert_eq!(
        failure(&verify(&[evidence], &policy(&key))).0,
        CheckName::Signature
    );
}

#[test]
fn one_good_signature_is_enough_whatever_else_is_attached() {
    let (good, other) = (key(), key());
    let evidence = [
        signature(&other, &image(), &[]),
        evidence(Layout::Bundle, "junk", Content::from_bundle(b"{}")),
        legacy(&good, &image(), &[]),
    ];
    let report = verify(&evidence, &policy(&good));
    assert_eq!(report.verdict, Verdict::Verified);
    assert_eq!(report.accepted().count(), 1);
    assert_eq!(report.demands[0].attachments.len(), 3, "each is reported");
}

#[test]
fn what_cannot_be_read_is_reported_and_is_not_an_absence() {
    let report = verify(
        &[evidence(
            Layout::Bundle,
            "junk",
            Content::from_bundle(b"<html>"),
        )],
        &policy(&key()),
    );
    assert_eq!(report.verdict, Verdict::NoMatchingSignatures);
    assert_eq!(failure(&report).0, CheckName::Format);
}

#[test]
fn copies_are_marked() {
    let key = key();
    let one = signature(&key, &image(), &[]);
    let mut two = one.clone();
    two.source.location = "its copy".to_owned();
    let report = verify(&[one, two], &policy(&key));
    assert_eq!(report.demands[0].attachments[0].duplicate_of, None);
    assert_eq!(
        report.demands[0].attachments[1].duplicate_of.as_deref(),
        Some("a bundle")
    );
}

#[test]
fn a_log_that_is_demanded_is_never_waved_through() {
    let key = key();
    let mut policy = policy(&key);
    policy.log = Requirement::AtLeast(1);
    for evidence in [signature(&key, &image(), &[]), legacy(&key, &image(), &[])] {
        assert_eq!(
            failure(&verify(&[evidence], &policy)).0,
            CheckName::TransparencyLog
        );
    }
    policy.log = Requirement::not_checked("x");
    policy.timestamp = Requirement::AtLeast(1);
    let report = verify(&[signature(&key, &image(), &[])], &policy);
    assert_eq!(failure(&report).0, CheckName::Timestamp);
}

#[test]
fn without_claims_check_the_report_says_so() {
    let key = key();
    let mut policy = policy(&key);
    policy.check_claims = false;
    let report = verify(
        &[signature(&key, &Digest::sha256(b"another"), &[])],
        &policy,
    );
    assert_eq!(report.verdict, Verdict::Verified);
    let digest = &report.demands[0].attachments[0].checks[4];
    assert_eq!(digest.name, CheckName::Digest);
    assert!(matches!(digest.outcome, Outcome::Skipped { .. }));
}

#[test]
fn every_report_lists_every_check_once_in_order() {
    let (key, other) = (key(), key());
    let evidence = [
        signature(&key, &image(), &[]),
        signature(&other, &image(), &[]),
    ];
    for attachment in verify(&evidence, &policy(&key)).attachments() {
        let names: Vec<_> = attachment.checks.iter().map(|check| check.name).collect();
        assert_eq!(names, CheckName::ALL);
        assert!(names.is_sorted());
    }
}

/// Every bit of a signed bundle's signature and payload counts.
#[test]
fn no_flipped_bit_verifies() {
    let key = key();
    let Content::Bundle(bundle) = signature(&key, &image(), &[("a", "b")]).content else {
        unreachable!()
    };
    let bundle::Content::Dsse(envelope) = &bundle.content else {
        unreachable!()
    };
    let (payload, sig) = (envelope.payload.len(), envelope.signatures[0].sig.len());
    for position in 0..payload + sig {
        for bit in 0..8 {
            let mut mutant = envelope.clone();
            match position.checked_sub(payload) {
                None => mutant.payload[position] ^= 1 << bit,
                Some(offset) => mutant.signatures[0].sig[offset] ^= 1 << bit,
            }
            let mut bundle = bundle.clone();
            bundle.content = bundle::Content::Dsse(mutant);
            let evidence = evidence(Layout::Bundle, "mutant", Content::Bundle(bundle));
            let report = verify(&[evidence], &policy(&key));
            assert_ne!(
                report.verdict,
                Verdict::Verified,
                "byte {position} bit {bit}"
            );
        }
    }
}
