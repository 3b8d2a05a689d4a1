//! Trusted roots of real instances, and everything that must not be one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use sealmark_formats::trusted_root::{MAX_CHAIN, MAX_ENTRIES, MAX_SIZE, MEDIA_TYPES, TimeRange};
use sealmark_formats::{Digest, TrustedRoot};
use serde_json::{Value, json};

const PUBLIC: &[u8] = include_bytes!("fixtures/trust/public-good.json");
const OTHERS: [(&str, &[u8]); 5] = [
    (
        "rekor2-dsse-happy-path",
        include_bytes!("fixtures/trust/conformance-rekor2-dsse-happy-path.json"),
    ),
    (
        "bundle-with-sct-with-extensions",
        include_bytes!("fixtures/trust/conformance-bundle-with-sct-with-extensions.json"),
    ),
    (
        "trust-root-tsa-validity-end-inclusive",
        include_bytes!("fixtures/trust/conformance-trust-root-tsa-validity-end-inclusive.json"),
    ),
    (
        "managed-key-and-trusted-root",
        include_bytes!("fixtures/trust/conformance-managed-key-and-trusted-root.json"),
    ),
    (
        "intoto-with-custom-trust-root",
        include_bytes!("fixtures/trust/conformance-intoto-with-custom-trust-root.json"),
    ),
];

fn public() -> Value {
    serde_json::from_slice(PUBLIC).unwrap()
}

fn parse(value: &Value) -> Result<TrustedRoot, String> {
    TrustedRoot::parse(value.to_string().as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn the_public_root_is_read_whole() {
    let root = TrustedRoot::parse(PUBLIC).unwrap();
    assert_eq!(
        (root.tlogs.len(), root.ctlogs.len()),
        (2, 2),
        "logs and certificate transparency logs"
    );
    assert_eq!(root.certificate_authorities.len(), 2);
    assert_eq!(root.certificate_authorities[1].cert_chain.len(), 2);
    assert_eq!(
        root.timestamp_authorities[0].common_name,
        "sigstore-tsa-selfsigned"
    );
    let rekor = &root.tlogs[0];
    assert_eq!(rekor.log_id, Digest::sha256(&rekor.public_key).bytes());
    assert_eq!(rekor.key_details, "PKIX_ECDSA_P256_SHA_256");
    let old = root.certificate_authorities[0].valid_for;
    let end = old.end.unwrap();
    assert_eq!(end.to_string(), "2022-12-31T23:59:59.999Z");
    assert!(old.contains(end) && old.contains_seconds(end.as_second()));
    assert!(!old.contains_seconds(end.as_second() + 1));
}

#[test]
fn what_is_read_is_written_as_it_was() {
    for (name, json) in OTHERS.into_iter().chain([("public-good", PUBLIC)]) {
        let root = TrustedRoot::parse(json).unwrap_or_else(|error| panic!("{name}: {error}"));
        let written = root.to_json();
        assert_eq!(TrustedRoot::parse(&written).unwrap(), root, "{name}");
        if name == "public-good" {
            assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), public());
        }
    }
}

#[test]
fn protobuf_json_is_read_in_every_form_it_may_have() {
    let mut value = public();
    value["media_type"] = value["mediaType"].take();
    value.as_object_mut().unwrap().remove("mediaType");
    value["tlogs"][0]["base_url"] = value["tlogs"][0]["baseUrl"].take();
    value["tlogs"][0].as_object_mut().unwrap().remove("baseUrl");
    value["tlogs"][0]["operator"] = Value::Null;
    value["tlogs"][0]["logId"]["keyId"] = json!("wNI9atQGlz-VWfO6LRygH4QUfY_8W4RFwiT5i5WRgB0");
    value["ctlogs"] = Value::Null;
    value["somethingNew"] = json!({"a": 1});
    let root = parse(&value).unwrap();
    let public = TrustedRoot::parse(PUBLIC).unwrap();
    assert_eq!(root.tlogs, public.tlogs);
    assert!(root.ctlogs.is_empty());
}

#[test]
fn a_media_type_names_a_version() {
    let base = "application/vnd.dev.sigstore.trustedroot";
    for (suffix, read, why) in [
        ("+json;version=0.1", true, "what every client writes"),
        (".v0.1+json", true, "specified"),
        (
            ".v0.2+json",
            true,
            "specified, adds operators and ids of checkpoint keys",
        ),
        (
            "+json;version=0.2",
            true,
            "the older form of what is specified",
        ),
        (".v0.3+json", false, "not specified yet"),
        ("+json;version=0.3", false, "not specified yet"),
        ("+json", false, "no version"),
        (".v0.1", false, "not JSON"),
    ] {
        let media_type = format!("{base}{suffix}");
        let mut value: Value = serde_json::from_slice(PUBLIC).unwrap();
        value["mediaType"] = json!(media_type);
        match parse(&value) {
            Ok(root) => assert!(read && root.media_type == media_type, "{suffix}: {why}"),
            Err(error) => assert!(
                !read && error.to_string().contains(&MEDIA_TYPES.join(", ")),
                "{suffix}: {why}: {error}"
            ),
        }
    }
}

#[test]
fn what_is_no_trusted_root_is_refused_with_the_place() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 15] = [
        (
            "version",
            |v| v["mediaType"] = json!("application/x"),
            "mediaType",
        ),
        ("no version", |v| v["mediaType"] = Value::Null, "mediaType"),
        (
            "base64",
            |v| v["tlogs"][1]["publicKey"]["rawBytes"] = json!("a*b="),
            "tlogs[1].publicKey.rawBytes is not base64",
        ),
        (
            "no key",
            |v| v["ctlogs"][0]["publicKey"] = Value::Null,
            "ctlogs[0].publicKey is missing",
        ),
        (
            "empty key",
            |v| v["ctlogs"][0]["publicKey"]["rawBytes"] = json!(""),
            "ctlogs[0].publicKey.rawBytes is empty",
        ),
        (
            "no id",
            |v| v["tlogs"][0]["logId"] = Value::Null,
            "tlogs[0].logId is missing",
        ),
        (
            "hash",
            |v| v["tlogs"][0]["hashAlgorithm"] = json!("MD5"),
            "hashAlgorithm \"MD5\"",
        ),
        (
            "negative range",
            |v| v["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2020-01-01T00:00:00Z"),
            "before its start",
        ),
        (
            "a date only",
            |v| v["tlogs"][0]["publicKey"]["validFor"]["start"] = json!("2020-01-01"),
            "not an RFC 3339 time",
        ),
        (
            "a time with a space",
            |v| v["tlogs"][0]["publicKey"]["validFor"]["start"] = json!("2020-01-01 00:00:00Z"),
            "not an RFC 3339 time",
        ),
        (
            "a time with a zone's name",
            |v| {
                v["tlogs"][0]["publicKey"]["validFor"]["start"] =
                    json!("2020-01-01T00:00:00Z[UTC]");
            },
            "not an RFC 3339 time",
        ),
        (
            "empty chain",
            |v| v["certificateAuthorities"][0]["certChain"]["certificates"] = json!([]),
            "certificateAuthorities[0].certChain has 0",
        ),
        (
            "long chain",
            |v| {
                let one = v["certificateAuthorities"][0]["certChain"]["certificates"][0].clone();
                v["certificateAuthorities"][0]["certChain"]["certificates"] =
                    json!(vec![one; MAX_CHAIN + 1]);
            },
            "certChain has 17",
        ),
        (
            "empty certificate",
            |v| {
                v["timestampAuthorities"][0]["certChain"]["certificates"][1]["rawBytes"] =
                    json!("");
            },
            "timestampAuthorities[0].certChain.certificates is empty",
        ),
        (
            "too many",
            |v| {
                let one = v["tlogs"][0].clone();
                v["tlogs"] = json!(vec![one; MAX_ENTRIES + 1]);
            },
            "257 tlogs",
        ),
    ];
    for (name, change, expected) in cases {
        let mut value = public();
        change(&mut value);
        let error = parse(&value).expect_err(name);
        assert!(error.contains(expected), "{name}: {error}");
    }
    for json in [&b""[..], b"[]", b"{", b"null", &vec![b' '; MAX_SIZE + 1]] {
        assert!(TrustedRoot::parse(json).is_err());
    }
}

#[test]
fn a_range_means_one_thing() {
    let at = |text: &str| Some(text.parse().unwrap());
    let range = TimeRange {
        start: at("2024-01-01T00:00:00Z"),
        end: at("2024-01-02T00:00:00Z"),
    };
    let (start, end) = (1_704_067_200, 1_704_153_600);
    for (time, within) in [
        (i64::MIN, false),
        (start - 1, false),
        (start, true),
        (end, true),
        (end + 1, false),
        (i64::MAX, false),
    ] {
        assert_eq!(range.contains_seconds(time), within, "{time}");
        assert!(TimeRange::ALWAYS.contains_seconds(time), "{time}");
    }
}
