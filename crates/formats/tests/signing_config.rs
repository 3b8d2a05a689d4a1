//! Signing configurations of the public instance, and how services are chosen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use jiff::Timestamp;
use sealmark_formats::SigningConfig;
use sealmark_formats::signing_config::{SelectError, Selector, Service, select};
use sealmark_formats::trusted_root::TimeRange;
use serde_json::{Value, json};

const PUBLIC: &[u8] = include_bytes!("fixtures/trust/signing_config.v0.2.json");
const REKOR_V2: &[u8] = include_bytes!("fixtures/trust/signing_config_rekor_v2.v0.2.json");

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn service(url: &str, version: u32, start: &str, end: Option<&str>, operator: &str) -> Service {
    Service {
        url: url.to_owned(),
        major_api_version: version,
        valid_for: TimeRange {
            start: Some(at(start)),
            end: end.map(at),
        },
        operator: operator.to_owned(),
    }
}

#[test]
fn the_public_configuration_names_the_services_that_are_used_today() {
    let config = SigningConfig::parse(PUBLIC).unwrap();
    let now = at("2026-08-21T00:00:00Z");
    assert_eq!(
        config.ca(now, &[1]).unwrap().unwrap().url,
        "https://fulcio.sigstore.dev"
    );
    assert_eq!(
        config.oidc(now, &[1]).unwrap().unwrap().url,
        "https://oauth2.sigstore.dev/auth"
    );
    assert_eq!(
        config.rekor(now, &[1, 2]).unwrap()[0].url,
        "https://rekor.sigstore.dev"
    );
    assert_eq!(config.tsa(now, &[1]).unwrap().len(), 1);

    let config = SigningConfig::parse(REKOR_V2).unwrap();
    let newest = config.rekor(now, &[1, 2]).unwrap();
    assert_eq!(newest[0].url, "https://log2025-1.rekor.sigstore.dev");
    // Who speaks version 1 only, or signs before the new log opened, gets the old one.
    assert_eq!(
        config.rekor(now, &[1]).unwrap()[0].url,
        "https://rekor.sigstore.dev"
    );
    let before = config.rekor(at("2025-12-31T00:00:00Z"), &[1, 2]).unwrap();
    assert_eq!(before[0].url, "https://rekor.sigstore.dev");
}

#[test]
fn services_are_chosen_by_version_then_age_then_operator() {
    let services = [
        service("old-version", 1, "2026-01-01T00:00:00Z", None, "c"),
        service(
            "ended",
            2,
            "2024-01-01T00:00:00Z",
            Some("2024-06-01T00:00:00Z"),
            "d",
        ),
        service("older", 2, "2024-01-01T00:00:00Z", None, "a"),
        service("newer", 2, "2025-01-01T00:00:00Z", None, "b"),
        service("newest of a", 2, "2025-06-01T00:00:00Z", None, "a"),
        service("future", 2, "2030-01-01T00:00:00Z", None, "e"),
        service("unknown version", 3, "2025-01-01T00:00:00Z", None, "f"),
    ];
    let choose = |selector, supported: &[u32]| {
        select(
            "log",
            &services,
            selector,
            at("2026-02-01T00:00:00Z"),
            supported,
        )
        .map(|chosen| chosen.iter().map(|s| s.url.as_str()).collect::<Vec<_>>())
    };
    assert_eq!(choose(Selector::Any, &[1, 2]).unwrap(), ["newest of a"]);
    assert_eq!(
        choose(Selector::All, &[1, 2]).unwrap(),
        ["newest of a", "newer"]
    );
    assert_eq!(
        choose(Selector::Exact(2), &[2]).unwrap(),
        ["newest of a", "newer"]
    );
    assert_eq!(choose(Selector::All, &[1]).unwrap(), ["old-version"]);
    assert!(matches!(
        choose(Selector::Exact(3), &[1, 2]),
        Err(SelectError::TooFew {
            wanted: 3,
            found: 2,
            ..
        })
    ));
    let error = choose(Selector::Any, &[7]).unwrap_err();
    assert!(error.to_string().contains("API version 7"), "{error}");
    assert_eq!(
        select(
            "log",
            &[],
            Selector::Exact(2),
            at("2026-02-01T00:00:00Z"),
            &[1]
        ),
        Ok(vec![])
    );
}

#[test]
fn the_end_of_a_service_is_its_last_moment() {
    let services = [service(
        "x",
        1,
        "2024-01-01T00:00:00Z",
        Some("2024-02-01T00:00:00Z"),
        "a",
    )];
    let usable = |now| select("log", &services, Selector::Any, at(now), &[1]).is_ok();
    assert!(usable("2024-01-01T00:00:00Z") && usable("2024-02-01T00:00:00Z"));
    assert!(!usable("2023-12-31T23:59:59Z") && !usable("2024-02-01T00:00:01Z"));
}

#[test]
fn what_is_read_is_written_as_it_was() {
    for json in [PUBLIC, REKOR_V2] {
        let config = SigningConfig::parse(json).unwrap();
        let written = config.to_json();
        assert_eq!(SigningConfig::parse(&written).unwrap(), config);
    }
    // As cosign writes a configuration without services; sigstore-python and sigstore-js take `{}` for a wrong selector.
    let cosign = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;
    let ours = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}"#;
    assert_eq!(SigningConfig::default().to_json(), ours.as_bytes());
    for empty in [cosign, ours] {
        let parsed = SigningConfig::parse(empty.as_bytes()).unwrap();
        assert_eq!(parsed, SigningConfig::default());
    }
}

/// What the public instance had until 2025, and its TUF repository still has as `signing_config.json`; the timestamp
/// authority is added.
#[test]
fn version_0_1_names_one_service_of_a_kind_or_a_choice() {
    let json = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.1+json",
        "caUrl":"https://fulcio.sigstore.dev","oidcUrl":"https://oauth2.sigstore.dev/auth",
        "tlogUrls":["https://rekor.sigstore.dev","https://rekor.example"],"tsa_urls":["https://tsa.example/timestamp"]}"#;
    let config = SigningConfig::parse(json.as_bytes()).unwrap();
    let now = at("2026-01-01T00:00:00Z");
    let ca = config.ca(now, &[1]).unwrap().unwrap();
    assert_eq!(ca.url, "https://fulcio.sigstore.dev");
    let provider = config.oidc(now, &[1]).unwrap().unwrap();
    assert_eq!(provider.url, "https://oauth2.sigstore.dev/auth");
    let urls = |chosen: Vec<&Service>| -> Vec<String> {
        chosen
            .into_iter()
            .map(|service| service.url.clone())
            .collect()
    };
    assert_eq!(
        urls(config.rekor(now, &[1, 2]).unwrap()),
        ["https://rekor.sigstore.dev"]
    );
    assert!(
        config.rekor(now, &[2]).is_err(),
        "no log of that time speaks version 2"
    );
    assert_eq!(
        urls(config.tsa(now, &[1]).unwrap()),
        ["https://tsa.example/timestamp"]
    );
    // It is written as version 0.2, which says the same.
    assert_eq!(SigningConfig::parse(&config.to_json()).unwrap(), config);

    let nothing =
        r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.1+json","caUrl":null}"#;
    assert_eq!(
        SigningConfig::parse(nothing.as_bytes()).unwrap(),
        SigningConfig::default()
    );
    let empty = nothing.replace(r#""caUrl":null"#, r#""tlogUrls":[""]"#);
    let error = SigningConfig::parse(empty.as_bytes())
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("tlogUrls[0] is empty"), "{error}");
}

#[test]
fn a_log_without_a_selector_is_an_error_when_a_log_is_needed() {
    let mut value: Value = serde_json::from_slice(PUBLIC).unwrap();
    value["rekorTlogConfig"] = Value::Null;
    let config = SigningConfig::parse(value.to_string().as_bytes()).unwrap();
    let error = config.rekor(at("2026-01-01T00:00:00Z"), &[1]).unwrap_err();
    assert!(matches!(error, SelectError::NoSelector { .. }), "{error}");
}

#[test]
fn what_is_no_signing_configuration_is_refused_with_the_place() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 7] = [
        ("mediaType", |v| {
            v["mediaType"] = json!("application/vnd.dev.sigstore.signingconfig.v0.3+json");
        }),
        ("caUrls[0].url is missing", |v| {
            v["caUrls"][0]["url"] = json!("")
        }),
        ("caUrls[0].majorApiVersion", |v| {
            v["caUrls"][0]["majorApiVersion"] = json!(0)
        }),
        ("invalid", |v| {
            v["caUrls"][0]["majorApiVersion"] = json!("-1")
        }),
        ("tsaConfig.selector", |v| {
            v["tsaConfig"]["selector"] = json!("SOME")
        }),
        ("count is missing or 0", |v| {
            v["tsaConfig"]["selector"] = json!("EXACT")
        }),
        ("before its start", |v| {
            v["tsaUrls"][0]["validFor"]["end"] = json!("2020-01-01T00:00:00Z");
        }),
    ];
    for (expected, change) in cases {
        let mut value: Value = serde_json::from_slice(PUBLIC).unwrap();
        change(&mut value);
        let error = SigningConfig::parse(value.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

#[test]
fn selectors_are_written_as_flags_have_them() {
    for text in ["ANY", "ALL", "EXACT:3"] {
        assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
    }
    for text in ["", "any", "EXACT", "EXACT:0", "EXACT:-1", "EXACT:x"] {
        assert!(text.parse::<Selector>().is_err(), "{text}");
    }
}
