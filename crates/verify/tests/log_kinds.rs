//! Entries of every kind in a log that is trusted: which of them speak for a signature over a file, and what is said of
//! those that do not.

#![allow(clippy::unwrap_used, reason = "tests")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_formats::legacy::{RekorBundle, RekorPayload};
use sealmark_formats::log_entry::set_payload;
use sealmark_formats::trusted_root::TimeRange;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_verify::evidence::{Content, Detached, Evidence, Layout, Source};
use sealmark_verify::report::{CheckName, Verdict};
use sealmark_verify::trust::Log;
use sealmark_verify::{
    Artifact, Demand, Kind, Policy, Report, Requirement, Signer, TrustedMaterial,
};
use serde_json::{Value, json};

const FILE: &[u8] = b"the content of a file";
const NOW: i64 = 1_700_000_000;

struct World {
    log: PrivateKey,
    signer: PrivateKey,
    signature: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let signer = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        Self {
            log: PrivateKey::generate(Algorithm::EcdsaP256).unwrap(),
            signature: signer.sign(FILE).unwrap(),
            signer,
        }
    }

    /// What cosign 1 wrote beside the signature, with the log's promise for this body.
    fn verify(&self, kind: &str, spec: &Value) -> Report {
        let log_id = Digest::sha256(self.log.public_key().spki_der());
        let body = json!({"apiVersion": "0.0.1", "kind": kind, "spec": spec}).to_string();
        let promised = set_payload(&STANDARD.encode(&body), NOW, &log_id.hex(), 7);
        let log_entry = RekorBundle {
            signed_entry_timestamp: self.log.sign(&promised).unwrap(),
            payload: RekorPayload {
                body: body.into_bytes(),
                integrated_time: NOW,
                log_index: 7,
                log_id: log_id.hex(),
            },
        };
        let evidence = Evidence {
            source: Source {
                layout: Layout::File,
                manifest: None,
                location: "file.bundle".to_owned(),
            },
            content: Content::Blob(Detached {
                signature: self.signature.clone(),
                log_entry: Some(log_entry),
                ..Detached::default()
            }),
        };
        let trust = TrustedMaterial {
            logs: vec![Log {
                url: "https://log.example".to_owned(),
                key: self.log.public_key().clone(),
                id: log_id.bytes().to_vec(),
                valid_for: TimeRange::ALWAYS,
            }],
            ..TrustedMaterial::default()
        };
        let signers = vec![Signer::Key(self.signer.public_key().clone())];
        let policy = Policy::from(Demand {
            timestamp: Requirement::not_checked("no authority in this test"),
            ..Demand::new(Kind::BlobSignature, signers)
        });
        let artifact = Artifact::by_digest(Digest::sha256(FILE));
        sealmark_verify::verify(&artifact, &[evidence], &trust, &policy, NOW)
    }

    fn rekord(&self, format: &str, key: &[u8], file: &[u8], signature: &[u8]) -> Value {
        json!({"data": {"hash": hash(file)}, "signature": {
            "format": format,
            "content": STANDARD.encode(signature),
            "publicKey": {"content": STANDARD.encode(key)}}})
    }

    fn pem(&self) -> String {
        self.signer.public_key().to_pem()
    }
}

fn hash(data: &[u8]) -> Value {
    json!({"algorithm": "sha256", "value": Digest::sha256(data).hex()})
}

fn reason(report: &Report) -> String {
    assert_eq!(report.verdict, Verdict::NoMatchingSignatures, "{report:#?}");
    let check = report.demands[0].attachments[0].failure().unwrap();
    assert_eq!(check.name, CheckName::TransparencyLog);
    format!("{:?}", check.outcome)
}

#[test]
fn a_signature_that_was_logged_as_rekord_is_verified() {
    let world = World::new();
    let key = world.pem();
    let logged = world.rekord("x509", key.as_bytes(), FILE, &world.signature);
    let report = world.verify("rekord", &logged);
    assert_eq!(report.verdict, Verdict::Verified, "{report:#?}");
}

#[test]
fn a_rekord_of_anything_else_is_not_of_this_signature() {
    let world = World::new();
    let key = world.pem();
    let other = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let other_key = other.public_key().to_pem();
    // The same key signed the file twice: only the signature at hand counts.
    let again = world.signer.sign(FILE).unwrap();
    for (what, spec, expected) in [
        (
            "other file",
            world.rekord("x509", key.as_bytes(), b"other", &world.signature),
            "it is of other content",
        ),
        (
            "other key",
            world.rekord("x509", other_key.as_bytes(), FILE, &world.signature),
            "it is of another signature or signer",
        ),
        (
            "other signature",
            world.rekord("x509", key.as_bytes(), FILE, &again),
            "it is of another signature or signer",
        ),
        (
            "other format",
            world.rekord("pgp", key.as_bytes(), FILE, &world.signature),
            "it is of a signature by an OpenPGP key",
        ),
        (
            "minisign",
            world.rekord("minisign", b"RWQ=", FILE, &world.signature),
            "it is of a signature by a minisign key",
        ),
        (
            "ssh",
            world.rekord("ssh", b"ssh-ed25519 AAAA", FILE, &world.signature),
            "it is of a signature by an OpenSSH key",
        ),
    ] {
        let reason = reason(&world.verify("rekord", &spec));
        assert!(reason.contains(expected), "{what}: {reason}");
    }
}

/// The key is the signer's and the digest the file's in each of these; the signature that the log saw is another.
#[test]
fn a_package_a_message_or_a_timestamp_is_no_signature_of_a_file() {
    let world = World::new();
    let content = STANDARD.encode(world.pem());
    let key = json!({"content": content});
    let certificate = "-----BEGIN CERTIFICATE-----\nY2VydA==\n-----END CERTIFICATE-----\n";
    let any = STANDARD.encode("x");
    for (kind, spec, about) in [
        (
            "cose",
            json!({"data": {"payloadHash": hash(FILE), "envelopeHash": hash(FILE)}, "publicKey": content}),
            "a COSE message",
        ),
        ("rfc3161", json!({"tsr": {"content": any}}), "a timestamp"),
        (
            "alpine",
            json!({"package": {"hash": hash(FILE), "pkginfo": {}}, "publicKey": key}),
            "a package",
        ),
        (
            "rpm",
            json!({"package": {"hash": hash(FILE), "headers": {}}, "publicKey": key}),
            "a package",
        ),
        (
            "jar",
            json!({"archive": {"hash": hash(FILE)}, "signature": {"content": any,
                "publicKey": {"content": STANDARD.encode(certificate)}}}),
            "a package",
        ),
        (
            "helm",
            json!({"chart": {"hash": hash(FILE), "provenance": {"signature": {"content": any}}},
                "publicKey": key}),
            "a package",
        ),
        (
            "tuf",
            json!({"metadata": {"content": any}, "root": {"content": any}}),
            "TUF metadata",
        ),
    ] {
        let reason = reason(&world.verify(kind, &spec));
        let expected = format!("it is of kind {kind}, about {about}");
        assert!(reason.contains(&expected), "{kind}: {reason}");
    }
    let unknown = reason(&world.verify("swid", &json!({})));
    assert!(
        unknown.contains("entries of kind swid 0.0.1 are not supported"),
        "{unknown}"
    );
}
