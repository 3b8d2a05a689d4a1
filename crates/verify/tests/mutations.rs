//! Evidence that was changed in one place, whichever: none of it verifies, but for changes in places that are listed
//! here, with the reason why they prove nothing and so cannot mislead.

#![allow(clippy::unwrap_used, reason = "tests")]

mod mutating;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use mutating::{Inside, mutants};
use sealmark_formats::bundle::Version;
use sealmark_formats::{Bundle, TrustedRoot, dsse};
use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use sealmark_verify::TrustedMaterial;
use sealmark_verify::evidence::{Content, Detached};
use sealmark_virtual::{By, Legacy, Proofs, V1Kind, VirtualSigstore, What, Witness};
use sealmark_x509::Certificate;
use serde_json::Value;
use support::{Ask, FILE, Need, key, person, simple_signing, statement};

/// A place, with or without a change after a colon, and why it proves nothing. A `*` at the end stands for any ending.
type Reasons = &'static [(&'static str, &'static str)];

/// Places in which a change may go unnoticed, and why that is right.
const IRRELEVANT: Reasons = &[
    (
        "verificationMaterial.publicKey.hint",
        "a hint for who looks for a key; the policy has the key",
    ),
    (
        "verificationMaterial.publicKey: an empty *",
        "says that a key signed, as one with a hint does",
    ),
    (
        "dsseEnvelope.signatures[0].keyid",
        "a hint for who looks for a key, which nobody signs",
    ),
    ("messageSignature.messageDigest: dropped", DIGEST),
    ("messageSignature.messageDigest: null", DIGEST),
    ("messageSignature.messageDigest: an empty *", DIGEST),
    (
        "verificationMaterial.tlogEntries[0].inclusionProof.checkpoint.envelope!a cosignature*",
        "no witness was asked for, and the log signs for itself",
    ),
    (
        "verificationMaterial.tlogEntries[0].inclusionProof.checkpoint.envelope!the log's signature: \
         there twice",
        "both are good",
    ),
    (
        "verificationMaterial.tlogEntries[0].inclusionProof.checkpoint.envelope!the log's signature: \
         swapped with the line before",
        "in which order the signatures stand says nothing",
    ),
    (
        "verificationMaterial.x509CertificateChain.certificates[+]*",
        ISSUERS,
    ),
    (
        "verificationMaterial.x509CertificateChain.certificates[0]: there twice",
        ISSUERS,
    ),
    (
        "verificationMaterial.timestampVerificationData.rfc3161Timestamps[0]: there twice",
        "an authority counts once, however often it speaks",
    ),
    (
        "verificationMaterial.timestampVerificationData.rfc3161Timestamps[0].signedTimestamp!der/0/0: \
         byte 8 flipped in bit 0",
        GRANTED,
    ),
    (
        "verificationMaterial.timestampVerificationData.rfc3161Timestamps[0].signedTimestamp!\
         der/1/1/0/1/0*",
        STREAMS,
    ),
];
const STREAMS: &str =
    "a hint for readers of streams; the hash that the signer names counts (RFC 5652, section 5.1)";
const DIGEST: &str = "a claim beside the signature, which is checked over the artifact itself";
const ISSUERS: &str = "issuers that the signature brings along; the trusted root lists them all";
const GRANTED: &str =
    "granted with modifications; nobody signs it, and the token says what was granted";

/// In logs of version 1.
const IN_VERSION_1: Reasons = &[(
    "verificationMaterial.tlogEntries[0].inclusionProof.checkpoint.envelope!the log's signature, name*",
    "the key is named by its hash alone; whose the tree is stands in the signed text",
)];
/// In bundles of version 0.1.
const IN_BUNDLE_0_1: Reasons = &[
    (
        "verificationMaterial.tlogEntries[0].inclusionProof: dropped",
        PROMISED,
    ),
    (
        "verificationMaterial.tlogEntries[0].inclusionProof: null",
        PROMISED,
    ),
];
const PROMISED: &str = "bundles of this version prove by the promise";
/// In tokens that bring certificates along.
const IN_TOKEN_WITH_CERTIFICATES: Reasons = &[(
    "verificationMaterial.timestampVerificationData.rfc3161Timestamps[0].signedTimestamp!der/1/1/0/3*",
    "the certificates in a token, which nobody signs; the authority's own is in the trusted root",
)];
/// In layers of cosign 1 and 2.
const IN_LAYER: Reasons = &[
    ("annotations.dev.sigstore.cosign/chain*", ISSUERS),
    (
        "annotations.dev.sigstore.cosign/certificate!first: there twice",
        ISSUERS,
    ),
    (
        "annotations.dev.sigstore.cosign/rfc3161timestamp!SignedRFC3161Timestamp: \
         der/0/0!byte 8 flipped in bit 0",
        GRANTED,
    ),
    (
        "annotations.dev.sigstore.cosign/rfc3161timestamp!SignedRFC3161Timestamp: der/1/1/0/1/0*",
        STREAMS,
    ),
];
/// In layers with envelopes.
const IN_LAYER_WITH_ENVELOPE: Reasons = &[(
    "annotations.dev.cosignproject.cosign/signature*",
    "empty there, as the envelope has the signature",
)];

fn is_explained(place: &str, change: &str, tables: &[Reasons]) -> bool {
    let with_change = format!("{place}: {change}");
    tables
        .iter()
        .flat_map(|table| table.iter())
        .any(|(known, _)| match known.strip_suffix('*') {
            Some(start) => with_change.starts_with(start),
            None => *known == place || *known == with_change,
        })
}

/// What the texts of a bundle contain.
fn inside_bundle(place: &str) -> Inside {
    let end = |suffix: &str| place.ends_with(suffix);
    if end("canonicalizedBody") {
        Inside::Json(inside_body)
    } else if end("envelope") {
        Inside::Note
    } else if end("rawBytes") || end("signedTimestamp") {
        Inside::Der
    } else if ["payload", "sig", "signature", "digest", "keyId", "rootHash"]
        .iter()
        .any(|name| end(&format!(".{name}")))
        || end("signedEntryTimestamp")
        || place.contains(".hashes[")
    {
        Inside::Bytes
    } else {
        Inside::Text
    }
}

/// What the texts of a log entry's body contain; the tree's hash is over all of it, so no deeper look is needed.
fn inside_body(_: &str) -> Inside {
    Inside::Text
}

/// What the annotations of a layer contain.
fn inside_layer(place: &str) -> Inside {
    match place {
        "annotations.dev.cosignproject.cosign/signature" => Inside::Bytes,
        "annotations.dev.sigstore.cosign/certificate" | "annotations.dev.sigstore.cosign/chain" => {
            Inside::Pem
        }
        "annotations.dev.sigstore.cosign/bundle" => Inside::JsonText(inside_rekor_bundle),
        "annotations.dev.sigstore.cosign/rfc3161timestamp" => Inside::JsonText(inside_timestamp),
        "payload" => Inside::JsonText(inside_body),
        _ => Inside::Text,
    }
}

fn inside_rekor_bundle(place: &str) -> Inside {
    match place {
        "SignedEntryTimestamp" => Inside::Bytes,
        "Payload.body" => Inside::Json(inside_body),
        _ => Inside::Text,
    }
}

fn inside_timestamp(_: &str) -> Inside {
    Inside::Der
}

/// One kind of evidence: how it is read, and what is asked.
struct Subject {
    name: String,
    document: Value,
    inside: fn(&str) -> Inside,
    read: fn(&str) -> Content,
    same: fn(&Content, &Content) -> bool,
    ask: Ask,
    trust: TrustedMaterial,
}

impl Subject {
    fn bundle(name: &str, bundle: &[u8], ask: Ask, root: &TrustedRoot) -> Self {
        Self {
            name: name.to_owned(),
            document: serde_json::from_slice(bundle).unwrap(),
            inside: inside_bundle,
            read: |text| Content::from_bundle(text.as_bytes()),
            same: |a, b| match (a, b) {
                (Content::Bundle(a), Content::Bundle(b)) => a == b,
                _ => false,
            },
            ask,
            trust: TrustedMaterial::new(root),
        }
    }

    fn layer(name: &str, legacy: &Legacy, ask: Ask, root: &TrustedRoot) -> Self {
        let document = serde_json::json!({
            "mediaType": legacy.media_type(),
            "payload": String::from_utf8(legacy.payload.clone()).unwrap(),
            "annotations": legacy.annotations(),
        });
        Self {
            name: name.to_owned(),
            document,
            inside: inside_layer,
            read: read_layer,
            same: |a, b| match (a, b) {
                (Content::SimpleSigning(a), Content::SimpleSigning(b)) => same(a, b),
                (Content::Envelope(a), Content::Envelope(b)) => same(a, b),
                _ => false,
            },
            ask,
            trust: TrustedMaterial::new(root),
        }
    }

    /// Tries every mutant; gives those that verify and are not explained.
    fn unexplained(&self, tables: &[Reasons]) -> Vec<String> {
        let original = (self.read)(&self.document.to_string());
        let answer = self.ask.of_all(&self.trust, vec![original.clone()]);
        assert!(answer.verified, "{}: {}", self.name, answer.why);
        let mut found = Vec::new();
        let mutants = mutants(&self.document, self.inside);
        assert!(mutants.len() > 200, "{}: {}", self.name, mutants.len());
        for mutant in mutants {
            let content = (self.read)(&mutant.text);
            // The same evidence in other words: it says nothing else.
            if (self.same)(&original, &content) {
                continue;
            }
            let verified = catch_unwind(AssertUnwindSafe(|| {
                self.ask.of_all(&self.trust, vec![content]).verified
            }));
            let Ok(verified) = verified else {
                panic!("{}: {}: {}", self.name, mutant.place, mutant.change);
            };
            if verified && !is_explained(&mutant.place, &mutant.change, tables) {
                found.push(format!(
                    "{}: {}: {}",
                    self.name, mutant.place, mutant.change
                ));
            }
        }
        found
    }
}

/// Whether two layers say the same, however PEM, hex and the JSON around what is signed are spelt.
fn same(a: &Detached, b: &Detached) -> bool {
    let read = |pem: &Option<Vec<u8>>| {
        let pem = pem.as_ref()?;
        Some(Certificate::chain_from_pem(pem).ok())
    };
    let rest = |detached: &Detached| {
        let mut detached = detached.clone();
        detached.certificate = None;
        detached.chain = None;
        if let Some(entry) = &mut detached.log_entry {
            entry.payload.log_id.make_ascii_lowercase();
        }
        if let Ok(envelope) = dsse::Envelope::parse(&detached.payload) {
            detached.payload = serde_json::to_vec(&envelope).unwrap();
        }
        detached
    };
    rest(a) == rest(b)
        && read(&a.certificate) == read(&b.certificate)
        && read(&a.chain) == read(&b.chain)
}

/// A layer from the document that a test made of it; what is no text there is an empty one.
fn read_layer(text: &str) -> Content {
    let Ok(document) = serde_json::from_str::<Value>(text) else {
        return Content::Unreadable("not JSON".to_owned());
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let annotations = document["annotations"].as_object().cloned();
    let annotations = annotations
        .unwrap_or_default()
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let payload = text(&document["payload"]).into_bytes();
    Content::from_legacy_layer(&text(&document["mediaType"]), payload, &annotations)
}

fn none_unexplained(subjects: &[Subject], more: &[Reasons]) {
    let tables = [&[IRRELEVANT], more].concat();
    let found: Vec<String> = subjects
        .iter()
        .flat_map(|subject| subject.unexplained(&tables))
        .collect();
    assert!(
        found.is_empty(),
        "{} changes go unnoticed:\n{}",
        found.len(),
        found.join("\n")
    );
}

const V1_AND_TIMESTAMP: Proofs = Proofs {
    timestamp: true,
    ..Proofs::REKOR_V1
};
const INTOTO: Proofs = Proofs {
    rekor_v1: Some(V1Kind::Intoto),
    ..Proofs::NONE
};

fn sigstore() -> VirtualSigstore {
    let mut sigstore = VirtualSigstore::new();
    let witness = Witness::new("witness.example");
    sigstore.rekor_v2.witnesses.push(witness);
    sigstore
}

/// What a user asks who wants every proof that is there to be good.
fn with_all(ask: Ask, proofs: Proofs) -> Ask {
    match proofs.timestamp {
        true => ask.timestamp(Need::Required),
        false => ask,
    }
}

/// Bundles of these versions of what was signed by a person.
fn by_person(name: &str, what: What<'_>, proofs: Proofs, versions: &[Version]) -> Vec<Subject> {
    let sigstore = sigstore();
    let signed = sigstore.sign(what, By::Identity(&person()), proofs);
    let ask = with_all(Ask::person(), proofs);
    versions
        .iter()
        .map(|version| {
            let json = signed.bundle(*version).to_json();
            let name = format!("{name} {version:?}");
            Subject::bundle(&name, &json, ask.clone(), &sigstore.trusted_root())
        })
        .collect()
}

fn by_key(name: &str, what: What<'_>, proofs: Proofs, key: &PrivateKey) -> Subject {
    let sigstore = sigstore();
    let signed = sigstore.sign(what, By::Key(key), proofs);
    let json = signed.bundle(Version::V0_3).to_json();
    let ask = with_all(Ask::key(key.public_key()), proofs);
    Subject::bundle(name, &json, ask, &sigstore.trusted_root())
}

#[test]
fn a_persons_signature_over_a_file_in_a_log_of_version_1() {
    let of = |versions| by_person("file, v1", What::File(FILE), Proofs::REKOR_V1, versions);
    none_unexplained(&of(&[Version::V0_1]), &[IN_VERSION_1, IN_BUNDLE_0_1]);
    none_unexplained(&of(&[Version::V0_2, Version::V0_3]), &[IN_VERSION_1]);
}

#[test]
fn a_persons_signature_over_a_file_in_a_log_of_version_2() {
    let what = What::File(FILE);
    let subjects = by_person("file, v2", what, Proofs::REKOR_V2, &[Version::V0_3]);
    none_unexplained(&subjects, &[]);
}

#[test]
fn a_persons_statement_as_clients_sign_it_today() {
    let payload = statement("https://example.com/t");
    let what = What::Statement(&payload);
    let subjects = by_person("statement", what, V1_AND_TIMESTAMP, &[Version::V0_3]);
    none_unexplained(&subjects, &[IN_VERSION_1]);
}

#[test]
fn a_persons_statement_as_clients_signed_it_in_2023() {
    let payload = statement("https://example.com/t");
    let what = What::Statement(&payload);
    let subjects = by_person("intoto", what, INTOTO, &[Version::V0_2]);
    none_unexplained(&subjects, &[IN_VERSION_1]);
}

#[test]
fn signatures_by_keys() {
    let payload = statement("https://example.com/t");
    let statement = What::Statement(&payload);
    let file = What::File(FILE);
    let ed25519 = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    none_unexplained(
        &[by_key("key, file, v1", file, Proofs::REKOR_V1, &key())],
        &[IN_VERSION_1],
    );
    none_unexplained(
        &[
            by_key("key, statement, v2", statement, Proofs::REKOR_V2, &key()),
            by_key("Ed25519, file, v2", file, Proofs::REKOR_V2, &ed25519),
        ],
        &[],
    );
}

#[test]
fn what_cosign_1_and_2_kept_in_a_registry() {
    let sigstore = sigstore();
    let root = sigstore.trusted_root();
    let by = key();
    let (payload, attestation) = (simple_signing(), statement("https://example.com/t"));
    let (image, attestation) = (What::SimpleSigning(&payload), What::Statement(&attestation));
    let person = person();
    let sign = |what, by, proofs| sigstore.sign(what, by, proofs).legacy();
    let by_person = sign(image, By::Identity(&person), V1_AND_TIMESTAMP);
    let by_key = sign(image, By::Key(&by), Proofs::REKOR_V1);
    let envelope = sign(attestation, By::Identity(&person), Proofs::REKOR_V1);
    let ask = with_all(Ask::person(), V1_AND_TIMESTAMP).image();
    let ask_key = Ask::key(by.public_key()).image();
    none_unexplained(
        &[
            Subject::layer("layer, person", &by_person, ask, &root),
            Subject::layer("layer, key", &by_key, ask_key, &root),
        ],
        &[IN_LAYER],
    );
    none_unexplained(
        &[Subject::layer(
            "layer, envelope",
            &envelope,
            Ask::person(),
            &root,
        )],
        &[IN_LAYER, IN_LAYER_WITH_ENVELOPE],
    );
}

/// A case of the conformance suite that is good.
fn case(name: &str) -> Subject {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../conformance/tests/fixtures/bundle-verify");
    let case = folder.join(name);
    let read = |path: PathBuf| std::fs::read(&path).ok();
    let root = read(case.join("trusted_root.json"))
        .unwrap_or_else(|| include_bytes!("../../trust/embedded/trusted_root.json").to_vec());
    let root = TrustedRoot::parse(&root).unwrap();
    // Whose identity it is is not what is tested here.
    let json = read(case.join("bundle.sigstore.json")).unwrap();
    let bundle = Bundle::parse(&json).unwrap();
    let file = read(case.join("artifact"))
        .or_else(|| read(folder.join("a.txt")))
        .unwrap();
    let ask = match read(case.join("key.pub")) {
        Some(pem) => Ask::key(&PublicKey::from_pem(&pem).unwrap()),
        None => Ask::signer_of(&bundle),
    };
    let timestamp = match bundle.timestamps.is_empty() {
        true => Need::IfPresent,
        false => Need::Required,
    };
    let mut ask = ask
        .file(&file)
        .timestamp(timestamp)
        .now(i64::from(u32::MAX));
    if root.ctlogs.is_empty() {
        ask.sct = Need::NotChecked;
    }
    Subject::bundle(name, &json, ask, &root)
}

#[test]
fn real_bundles_of_logs_of_version_1() {
    let of = |names: &[&str]| names.iter().map(|name| case(name)).collect::<Vec<_>>();
    let subjects = of(&[
        "bundle-with-sct-with-extensions",
        "happy-path-intoto-in-dsse-v3",
        "managed-key-and-trusted-root",
    ]);
    none_unexplained(&subjects, &[IN_VERSION_1]);
    let subjects = of(&["intoto-with-custom-trust-root"]);
    none_unexplained(&subjects, &[IN_VERSION_1, IN_TOKEN_WITH_CERTIFICATES]);
}

#[test]
fn real_bundles_of_logs_of_version_2() {
    let subjects = [
        "rekor2-checkpoint-cosigned",
        "rekor2-checkpoint-multiple-cosigs",
        "rekor2-checkpoint-origin-not-first",
        "rekor2-dsse-happy-path",
        "rekor2-timestamp-with-expired-cert-chain",
        "trust-root-tsa-validity-end-inclusive",
    ]
    .map(case);
    none_unexplained(&subjects, &[IN_TOKEN_WITH_CERTIFICATES]);
}
