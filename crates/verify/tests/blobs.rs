//! Signatures over files: by digest where the scheme allows, from the bytes where it does not.

use std::collections::BTreeMap;

use sealmark_formats::bundle::{self, Bundle, Material, MessageSignature};
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_verify::artifact::{Bytes, needed_hashes};
use sealmark_verify::evidence::{Content, Detached, Evidence, Layout, Source};
use sealmark_verify::report::{CheckName, Verdict};
use sealmark_verify::{Artifact, Demand, Kind, Report, Requirement, Signer, TrustedMaterial};

const FILE: &[u8] = b"the content of a file";

struct Slice(&'static [u8]);

impl Bytes for Slice {
    fn read(&self, sink: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        self.0.chunks(7).for_each(sink);
        Ok(())
    }
}

fn policy(key: &PrivateKey) -> Demand {
    Demand {
        log: Requirement::not_checked("no trusted root"),
        timestamp: Requirement::not_checked("none"),
        ..Demand::new(
            Kind::BlobSignature,
            vec![Signer::Key(key.public_key().clone())],
        )
    }
}

fn source() -> Source {
    Source {
        layout: Layout::File,
        manifest: None,
        location: "file.sig".to_owned(),
    }
}

fn detached(signature: Vec<u8>) -> Evidence {
    Evidence {
        source: source(),
        content: Content::Blob(Detached {
            signature,
            ..Detached::default()
        }),
    }
}

fn in_bundle(signature: Vec<u8>, digest: Option<Digest>) -> Evidence {
    let bundle = Bundle::new(
        Material::PublicKey {
            hint: "any".to_owned(),
        },
        bundle::Content::MessageSignature(MessageSignature { digest, signature }),
    );
    Evidence {
        source: source(),
        content: Content::from_bundle(&bundle.to_json()),
    }
}

fn verify(file: &'static [u8], evidence: Evidence, key: &PrivateKey) -> Report {
    let (evidence, policy) = ([evidence], policy(key).into());
    let mut digests: Vec<_> = needed_hashes(&evidence, &policy)
        .into_iter()
        .map(|algorithm| Digest::of(algorithm, file))
        .collect();
    let bytes = Slice(file);
    let artifact = Artifact {
        digest: digests.remove(0),
        more_digests: digests,
        bytes: Some(&bytes),
    };
    sealmark_verify::verify(
        &artifact,
        &evidence,
        &TrustedMaterial::default(),
        &policy,
        0,
    )
}

#[test]
fn every_algorithm_is_good_over_the_file_and_bad_over_another() {
    for algorithm in [
        Algorithm::EcdsaP256,
        Algorithm::EcdsaP384,
        Algorithm::EcdsaP521,
        Algorithm::Ed25519,
        Algorithm::Rsa2048,
    ] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let signature = key.sign(FILE).unwrap();
        let good = verify(FILE, detached(signature.clone()), &key);
        assert_eq!(good.verdict, Verdict::Verified, "{algorithm:?} {good:#?}");
        let bad = verify(b"another file", detached(signature), &key);
        assert_eq!(bad.verdict, Verdict::NoMatchingSignatures, "{algorithm:?}");
    }
}

#[test]
fn a_bundle_that_claims_another_digest_is_refused() {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let signature = key.sign(FILE).unwrap();
    for (digest, verdict) in [
        (None, Verdict::Verified),
        (Some(Digest::sha256(FILE)), Verdict::Verified),
        (
            Some(Digest::of(HashAlgorithm::Sha512, FILE)),
            Verdict::Verified,
        ),
        (
            Some(Digest::sha256(b"another")),
            Verdict::NoMatchingSignatures,
        ),
    ] {
        let report = verify(FILE, in_bundle(signature.clone(), digest.clone()), &key);
        assert_eq!(report.verdict, verdict, "{digest:?}");
    }
}

#[test]
fn ed25519_needs_the_bytes_and_says_so() {
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let evidence = [detached(key.sign(FILE).unwrap())];
    let artifact = Artifact::by_digest(Digest::sha256(FILE));
    let report = sealmark_verify::verify(
        &artifact,
        &evidence,
        &TrustedMaterial::default(),
        &policy(&key).into(),
        0,
    );
    assert_eq!(report.verdict, Verdict::NoMatchingSignatures);
    let check = report.demands[0].attachments[0].failure().unwrap();
    assert_eq!(check.name, CheckName::Signature);
    let text = format!("{:?}", check.outcome);
    assert!(text.contains("digest"), "{text}");
}

#[test]
fn an_attestation_of_the_file_is_no_signature_of_it() {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let statement =
        sealmark_formats::statement::image_signature(&Digest::sha256(FILE), &BTreeMap::new());
    let mut envelope = sealmark_formats::dsse::Envelope {
        payload: statement,
        payload_type: sealmark_formats::dsse::IN_TOTO_PAYLOAD_TYPE.to_owned(),
        signatures: Vec::new(),
    };
    let sig = key.sign(&envelope.pae()).unwrap();
    envelope
        .signatures
        .push(sealmark_formats::dsse::Signature { sig, keyid: None });
    let bundle = Bundle::new(
        Material::PublicKey {
            hint: String::new(),
        },
        bundle::Content::Dsse(envelope),
    );
    let evidence = Evidence {
        source: source(),
        content: Content::from_bundle(&bundle.to_json()),
    };
    let report = verify(FILE, evidence, &key);
    assert_eq!(
        report.demands[0].attachments[0].failure().unwrap().name,
        CheckName::Kind
    );
}
