//! Bundles of all versions are read, written back the same, and malformed ones are refused with the reason.

use sealmark_formats::Bundle;
use sealmark_formats::bundle::{Content, LogEntry, Material, Version};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name, ".json")).as_slice()
    };
}

const CERTIFICATE: &[u8] = fixture!("v0.3-certificate-message");

#[test]
fn every_version_is_read_and_survives_a_round_trip() {
    for (json, version, entries, timestamps) in [
        (fixture!("v0.1-chain-message"), Version::V0_1, 1, 0),
        (fixture!("v0.2-chain-dsse"), Version::V0_2, 1, 1),
        (CERTIFICATE, Version::V0_3, 1, 0),
        (fixture!("v0.3-rekor2-dsse"), Version::V0_3, 1, 1),
        (fixture!("v0.3-key-message"), Version::V0_3, 1, 0),
    ] {
        let bundle = Bundle::parse(json).unwrap();
        assert_eq!(bundle.version, version);
        assert_eq!(bundle.log_entries.len(), entries);
        assert_eq!(bundle.timestamps.len(), timestamps);
        assert_eq!(Bundle::parse(&bundle.to_json()).unwrap(), bundle);
    }
}

#[test]
fn a_log_entry_also_stands_alone() {
    for json in [fixture!("v0.1-chain-message"), fixture!("v0.3-rekor2-dsse")] {
        let entry = Bundle::parse(json).unwrap().log_entries.remove(0);
        assert_eq!(LogEntry::parse(&entry.to_json()), Ok(entry));
    }
    let error = LogEntry::parse(br#"{"logIndex":"-1","kindVersion":{}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a valid transparency log entry: the entry.logIndex is negative: -1"
    );
}

#[test]
fn material_and_content_are_what_the_bundle_has() {
    let key = Bundle::parse(fixture!("v0.3-key-message")).unwrap();
    assert!(matches!(&key.material, Material::PublicKey { hint } if !hint.is_empty()));
    let Content::MessageSignature(message) = &key.content else {
        panic!("{:?}", key.content)
    };
    assert!(message.digest.is_some());
    let chain = Bundle::parse(fixture!("v0.2-chain-dsse")).unwrap();
    assert!(matches!(&chain.material, Material::CertificateChain(list) if !list.is_empty()));
    let Content::Dsse(envelope) = &chain.content else {
        panic!("{:?}", chain.content)
    };
    assert_eq!(envelope.signatures.len(), 1);
}

#[test]
fn snake_case_numbers_and_unpadded_base64_are_protobuf_json_too() {
    let json = r#"{"media_type":"application/vnd.dev.sigstore.bundle.v0.3+json",
        "verification_material":{"public_key":{"hint":"x"},"tlog_entries":null,"futureField":{}},
        "message_signature":{"signature":"_-8"}}"#;
    let bundle = Bundle::parse(json.as_bytes()).unwrap();
    let Content::MessageSignature(message) = bundle.content else {
        panic!()
    };
    assert_eq!(message.signature, [0xff, 0xef]);
}

fn edited(edit: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut json: serde_json::Value = serde_json::from_slice(CERTIFICATE).expect("JSON");
    edit(&mut json);
    json.to_string().into_bytes()
}

#[test]
fn malformed_bundles_are_refused_with_the_reason() {
    let material = "verificationMaterial";
    for (json, reason) in [
        (
            fixture!("bad-base64").to_vec(),
            "messageSignature.signature is not base64",
        ),
        (
            fixture!("bad-empty-chain").to_vec(),
            "x509CertificateChain has 0 certificates, from 1 to 16",
        ),
        (
            fixture!("bad-negative-index").to_vec(),
            "logIndex is negative",
        ),
        (fixture!("bad-version").to_vec(), "version=99.9"),
        (b"".to_vec(), "EOF"),
        (b"<html></html>".to_vec(), "not a JSON object"),
        (b"[]".to_vec(), "not a JSON object"),
        (b"{}".to_vec(), "mediaType \"\""),
        (
            edited(|b| b[material] = serde_json::Value::Null),
            "verificationMaterial is missing",
        ),
        (
            edited(|b| b[material]["publicKey"] = serde_json::json!({"hint": "x"})),
            "exactly one of",
        ),
        (
            edited(|b| b["messageSignature"] = serde_json::Value::Null),
            "neither",
        ),
        (
            edited(|b| {
                b["dsseEnvelope"] =
                    serde_json::json!({"payload":"","payloadType":"","signatures":[]});
            }),
            "both",
        ),
        (
            edited(|b| {
                b["messageSignature"] = serde_json::Value::Null;
                let one = serde_json::json!({"sig": "AA=="});
                b["dsseEnvelope"] =
                    serde_json::json!({"payload":"","payloadType":"x","signatures":[one, one]});
            }),
            "2 signatures, exactly one",
        ),
        (
            edited(|b| {
                let entry = b[material]["tlogEntries"][0].clone();
                b[material]["tlogEntries"] = vec![entry; 33].into();
            }),
            "33 tlogEntries, at most 32",
        ),
        (
            edited(|b| {
                b[material]["tlogEntries"][0]["inclusionProof"]["hashes"] = vec!["AA=="; 65].into();
            }),
            "65 tlogEntries[0].inclusionProof.hashes, at most 64",
        ),
        (
            edited(|b| b["messageSignature"]["messageDigest"]["digest"] = "AAAA".into()),
            "wrong length",
        ),
        (
            edited(|b| b["messageSignature"]["messageDigest"]["algorithm"] = "MD5".into()),
            "messageDigest.algorithm \"MD5\" is none of SHA2_256",
        ),
    ] {
        let error = Bundle::parse(&json).expect_err(reason).to_string();
        assert!(error.contains(reason), "{error} (expected {reason})");
        assert!(
            error.starts_with("not a valid Sigstore bundle: "),
            "{error}"
        );
    }
}

/// The forms of the protobuf specifications, and what sigstore-go takes beside them.
#[test]
fn a_media_type_names_a_version() {
    let base = "application/vnd.dev.sigstore.bundle";
    for (suffix, version, why) in [
        ("+json;version=0.1", Some(Version::V0_1), "specified"),
        ("+json;version=0.2", Some(Version::V0_2), "specified"),
        (
            "+json;version=0.3",
            Some(Version::V0_3),
            "specified, the first form of 0.3",
        ),
        (
            ".v0.3+json",
            Some(Version::V0_3),
            "specified, what is written today",
        ),
        (
            ".v0.1+json",
            Some(Version::V0_1),
            "sigstore-go takes every version in this form",
        ),
        (".v0.2+json", Some(Version::V0_2), "the same"),
        (
            ".v0.3.0+json",
            Some(Version::V0_3),
            "a patch changes no meaning",
        ),
        (
            ".v0.3.1+json",
            Some(Version::V0_3),
            "a patch changes no meaning",
        ),
        (
            "+json;version=0.3.1",
            Some(Version::V0_3),
            "a patch changes no meaning",
        ),
        (".v0.4+json", None, "not specified yet"),
        ("+json;version=0.4", None, "not specified yet"),
        (".v1.0+json", None, "not specified yet"),
        (
            ".v0.4.0-rc1+json",
            None,
            "a draft of what is not specified yet",
        ),
        (
            ".v0.3.0-rc1+json",
            None,
            "a draft may differ from what was specified",
        ),
        (".v0.0.1+json", None, "before the first version"),
        (".v0.3.1.1+json", None, "no version has four numbers"),
        (".v0.03+json", None, "no number has a leading zero"),
        (".v0.+3+json", None, "no number has a sign"),
        (".v3+json", None, "one number is not enough"),
        (".vgarbage+json", None, "no version"),
        (".v0.3", None, "not JSON"),
        ("+json", None, "no version"),
        ("+json; version=0.3", None, "no client writes a space"),
    ] {
        let media_type = format!("{base}{suffix}");
        assert_eq!(
            Version::from_media_type(&media_type),
            version,
            "{suffix}: {why}"
        );
        let json = edited(|b| b["mediaType"] = media_type.clone().into());
        match Bundle::parse(&json) {
            Ok(bundle) => assert_eq!(
                (Some(bundle.version), bundle.media_type),
                (version, media_type)
            ),
            Err(error) => assert!(
                version.is_none() && error.to_string().contains(suffix),
                "{error}"
            ),
        }
    }
    let newer = edited(|b| b["mediaType"] = format!("{base}.v0.4+json").into());
    assert!(
        Bundle::parse(&newer)
            .unwrap_err()
            .to_string()
            .ends_with("is of version 0.4; this program reads 0.1, 0.2 and 0.3")
    );
}

#[test]
fn null_is_an_absent_field() {
    let json = edited(|b| {
        b["messageSignature"]["messageDigest"] = serde_json::Value::Null;
        b["verificationMaterial"]["tlogEntries"][0]["logId"]["keyId"] = serde_json::Value::Null;
        b["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = serde_json::Value::Null;
        b["verificationMaterial"]["timestampVerificationData"] =
            serde_json::json!({"rfc3161Timestamps": null});
    });
    let entry = Bundle::parse(&json).unwrap().log_entries.remove(0);
    assert_eq!((entry.integrated_time, entry.log_id), (0, vec![]));
}

#[test]
fn an_envelope_has_a_bound_of_signatures() {
    use sealmark_formats::dsse::{Envelope, MAX_SIGNATURES};
    let envelope = |count: usize| {
        let list = vec![r#"{"sig":"AA=="}"#; count].join(",");
        let json = format!(r#"{{"payload":"","payloadType":"x","signatures":[{list}]}}"#);
        Envelope::parse(json.as_bytes()).map(|envelope| envelope.signatures.len())
    };
    assert_eq!(envelope(MAX_SIGNATURES), Ok(MAX_SIGNATURES));
    let error = envelope(MAX_SIGNATURES + 1).unwrap_err().to_string();
    assert!(error.contains("a list of more than 64 items"), "{error}");
}

/// `serde_json` stops at a depth of 128: nested input cannot overflow the stack.
#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let deep = format!(
        r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","x":{}"#,
        "[".repeat(100_000)
    );
    assert!(Bundle::parse(deep.as_bytes()).is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..512)) {
        let _ = Bundle::parse(&bytes);
        let _ = sealmark_formats::statement::Statement::parse(&bytes);
        let _ = sealmark_formats::simple_signing::SimpleSigning::parse(&bytes);
        let _ = sealmark_formats::legacy::BlobBundle::parse(&bytes);
        let _ = sealmark_formats::dsse::Envelope::parse(&bytes);
    }

    #[test]
    fn no_cut_or_change_of_a_real_bundle_makes_the_parser_panic(
        length in 0..CERTIFICATE.len(), position in 0..CERTIFICATE.len(), byte: u8,
    ) {
        let mut bytes = CERTIFICATE.to_vec();
        bytes[position] = byte;
        let _ = Bundle::parse(&bytes);
        bytes.truncate(length);
        let _ = Bundle::parse(&bytes);
    }
}

#[test]
fn an_error_does_not_repeat_a_whole_document() {
    let text = String::from_utf8(CERTIFICATE.to_vec()).unwrap();
    let long = format!(r#""verificationMaterial": "{}", "x":"#, "a".repeat(1 << 20));
    let text = text.replacen(r#""verificationMaterial":"#, &long, 1);
    let error = Bundle::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(error.len() < 1000 && error.contains(" at line "), "{error}");
}
