//! Entries of the kinds that clients of bundles do not write.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::log_entry::{EntryBody, KeyFormat, SignedForm, Verifier};
use sealmark_formats::{Digest, HashAlgorithm};
use serde_json::{Value, json};

use super::{KEY_PEM, claims, hash, pem};

const CERTIFICATE_PEM: &str = "-----BEGIN CERTIFICATE-----\nY2VydA==\n-----END CERTIFICATE-----\n";
const PGP_KEY: &str =
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nc3Br\n=c3Br\n-----END PGP PUBLIC KEY BLOCK-----";
const PGP_SIGNATURE: &str =
    "-----BEGIN PGP SIGNATURE-----\n\nc2ln\n=c2ln\n-----END PGP SIGNATURE-----";

/// One body of every kind that is not written by clients of bundles, by its schema in `pkg/types` of Rekor, as the log
/// keeps it: without what the schema marks `writeOnly`.
pub(super) fn other_kinds() -> Vec<(&'static str, Value, SignedForm)> {
    let key = || json!({"content": pem(KEY_PEM)});
    let pgp = || json!({"content": pem(PGP_KEY)});
    let rekord = |format: &str, content: &str, key: &str| {
        json!({"data": {"hash": hash()}, "signature":
            {"format": format, "content": pem(content), "publicKey": {"content": pem(key)}}})
    };
    vec![
        ("rekord", rekord("x509", "sig", KEY_PEM), SignedForm::Data),
        (
            "rekord",
            rekord("pgp", PGP_SIGNATURE, PGP_KEY),
            SignedForm::Data,
        ),
        (
            "rekord",
            rekord("minisign", "untrusted comment:\nRWQ=", "RWQ="),
            SignedForm::Data,
        ),
        (
            "rekord",
            rekord("ssh", "-----BEGIN SSH SIGNATURE-----", "ssh-ed25519 AAAA\n"),
            SignedForm::Data,
        ),
        (
            "cose",
            json!({"data": {"payloadHash": hash(), "envelopeHash": hash()}, "publicKey": pem(KEY_PEM)}),
            SignedForm::CoseMessage,
        ),
        (
            "rfc3161",
            json!({"tsr": {"content": "MAA="}}),
            SignedForm::TimestampResponse,
        ),
        (
            "jar",
            json!({"archive": {"hash": hash()}, "signature": {
                "content": pem("-----BEGIN PKCS7-----"),
                "publicKey": {"content": pem(CERTIFICATE_PEM)}}}),
            SignedForm::Package,
        ),
        (
            "rpm",
            json!({"package": {"hash": hash(), "headers": {"Name": "n"}}, "publicKey": pgp()}),
            SignedForm::Package,
        ),
        (
            "alpine",
            json!({"package": {"hash": hash(), "pkginfo": {"pkgname": "n"}}, "publicKey": key()}),
            SignedForm::Package,
        ),
        (
            "helm",
            json!({"chart": {"hash": hash(), "provenance": {"signature": {"content": pem(PGP_SIGNATURE)}}},
                "publicKey": pgp()}),
            SignedForm::Package,
        ),
        (
            "tuf",
            json!({"spec_version": "1.0", "metadata": {"content": pem("{}")}, "root": {"content": pem("{\"a\":1}")}}),
            SignedForm::TufMetadata,
        ),
    ]
}

pub(super) fn body(kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": "0.0.1", "kind": kind, "spec": spec})
}

#[test]
fn every_kind_of_the_public_log_is_read_as_what_it_is() {
    let digest = Digest::from_bytes(HashAlgorithm::Sha256, &[0xab; 32]);
    for (kind, spec, signed) in other_kinds() {
        let format = spec["signature"]["format"].as_str();
        let claims = claims(body(kind, &spec).to_string().as_bytes());
        assert_eq!((claims.kind.as_str(), claims.signed), (kind, signed));
        assert_eq!(signed.is_of_bundles(), kind == "rekord", "{kind}");
        let subject = match kind {
            "rekord" | "cose" => None,
            "rfc3161" => Some(Digest::sha256(b"0\0")),
            "tuf" => Some(Digest::sha256(b"{}")),
            _ => digest.clone(),
        };
        assert_eq!(claims.subject_digest, subject, "{kind}");
        assert_eq!(
            claims.artifact_digest,
            digest.clone().filter(|_| kind == "rekord"),
            "{kind}"
        );
        assert_eq!(
            claims.payload_digest,
            digest.clone().filter(|_| kind == "cose"),
            "{kind}"
        );
        assert_eq!(
            claims.envelope_digest,
            digest.clone().filter(|_| kind == "cose"),
            "{kind}"
        );
        if kind == "rfc3161" {
            assert!(claims.signatures.is_empty());
            continue;
        }
        let [recorded] = claims.signatures.as_slice() else {
            panic!("{kind}: {claims:?}")
        };
        let other = |format, content: &str| Verifier::Other {
            format,
            content: content.as_bytes().to_vec(),
        };
        let verifier = match (kind, format) {
            ("rekord", Some("pgp")) | ("rpm" | "helm", _) => other(KeyFormat::Pgp, PGP_KEY),
            ("rekord", Some("minisign")) => other(KeyFormat::Minisign, "RWQ="),
            ("rekord", Some("ssh")) => other(KeyFormat::Ssh, "ssh-ed25519 AAAA\n"),
            ("tuf", _) => other(KeyFormat::TufRoot, "{\"a\":1}"),
            ("jar", _) => Verifier::Certificate(b"cert".to_vec()),
            _ => Verifier::PublicKey(b"spki".to_vec()),
        };
        assert!(
            recorded.verifier == verifier,
            "{kind} {format:?}: {recorded:?}"
        );
        let signature = match (kind, format) {
            ("rekord", Some("x509")) => Some("sig"),
            ("rekord", Some("pgp")) | ("helm", _) => Some(PGP_SIGNATURE),
            ("rekord", Some("minisign")) => Some("untrusted comment:\nRWQ="),
            ("rekord", _) => Some("-----BEGIN SSH SIGNATURE-----"),
            ("jar", _) => Some("-----BEGIN PKCS7-----"),
            _ => None,
        };
        assert_eq!(
            recorded.signature.as_deref(),
            signature.map(str::as_bytes),
            "{kind}"
        );
    }
}

#[test]
fn what_no_log_would_keep_is_refused() {
    let of = |kind: &str, spec: Value| {
        EntryBody::parse(body(kind, &spec).to_string().as_bytes())
            .unwrap_err()
            .to_string()
    };
    let rekord = |format: &str| {
        json!({"data": {"hash": hash()}, "signature":
            {"format": format, "content": "c2ln", "publicKey": {"content": pem(PGP_KEY)}}})
    };
    assert!(of("rekord", rekord("gpg")).contains("spec.signature.format is none of x509, pgp"));
    assert!(of("rekord", rekord("x509")).contains("spec.signature.publicKey.content is not PEM"));
    let response = json!({"tsr": {"content": STANDARD.encode([0; 10_241])}});
    assert!(of("rfc3161", response).contains("spec.tsr.content has 10241 bytes, at most 10240"));
}

#[test]
fn of_an_unknown_kind_the_name_is_known() {
    let body = EntryBody::parse(br#"{"apiVersion":"0.0.1","kind":"x","spec":{}}"#).unwrap();
    assert_eq!((body.kind(), body.version()), ("x", "0.0.1"));
    assert!(matches!(body, EntryBody::Other { .. }));
    let unknown = EntryBody::parse(br#"{"apiVersion":"0.0.3","kind":"dsse"}"#).unwrap();
    assert!(matches!(unknown, EntryBody::Other { .. }));
}
