//! JSON documents, told apart by the fields that only they have.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Bundle;
use sealmark_formats::bundle::MEDIA_TYPE_PREFIX;
use sealmark_formats::dsse::Envelope;
use sealmark_formats::legacy::{self, BlobBundle};
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_formats::statement::Statement;
use serde_json::Value;

use super::facts::Facts;
use super::{bundle, certificate, image, key};

const TRUSTED_ROOT: &str = "application/vnd.dev.sigstore.trustedroot";
const SIGNING_CONFIG: &str = "application/vnd.dev.sigstore.signingconfig";

type Description = Result<(&'static str, Facts), String>;

/// What the document is; `None` if it is none of those that are known.
pub(super) fn describe(bytes: &[u8]) -> Option<Description> {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return Some(Err(format!("it looks like JSON, and is not: {error}"))),
    };
    let has = |field: &str| value.get(field).is_some();
    let media_type = value["mediaType"].as_str().unwrap_or_default();
    let text = |error: sealmark_formats::ParseError| error.to_string();
    if media_type.starts_with(MEDIA_TYPE_PREFIX) || has("verificationMaterial") {
        return Some(
            Bundle::parse(bytes)
                .map(|b| ("Sigstore bundle", bundle::facts(&b)))
                .map_err(text),
        );
    }
    if media_type.starts_with(TRUSTED_ROOT) || has("certificateAuthorities") {
        return Some(Ok(("Sigstore trusted root", trusted_root(&value))));
    }
    if media_type.starts_with(SIGNING_CONFIG) {
        return Some(Ok((
            "Sigstore signing configuration",
            signing_config(&value),
        )));
    }
    if has("schemaVersion") && (has("manifests") || has("layers") || has("config")) {
        return Some(
            image::describe_manifest(media_type, bytes).map_err(|error| error.to_string()),
        );
    }
    if has("base64Signature") {
        return Some(
            BlobBundle::parse(bytes)
                .map(|b| {
                    (
                        "legacy blob bundle (cosign 1 and 2)",
                        bundle::blob_bundle_facts(&b),
                    )
                })
                .map_err(text),
        );
    }
    if has("payloadType") || has("payload_type") {
        return Some(
            Envelope::parse(bytes)
                .map(|envelope| ("DSSE envelope", bundle::envelope_facts(&envelope)))
                .map_err(text),
        );
    }
    if has("critical") {
        return Some(
            SimpleSigning::parse(bytes)
                .map(|payload| {
                    (
                        "legacy signature payload (simple signing)",
                        bundle::simple_signing_facts(&payload),
                    )
                })
                .map_err(text),
        );
    }
    if has("_type") {
        return Some(
            Statement::parse(bytes)
                .map(|statement| ("in-toto statement", bundle::statement_facts(&statement)))
                .map_err(text),
        );
    }
    if has("SignedEntryTimestamp") {
        return Some(
            serde_json::from_slice::<legacy::RekorBundle>(bytes)
                .map(|promise| {
                    (
                        "log promise (cosign 1 and 2)",
                        bundle::promise_facts(&promise),
                    )
                })
                .map_err(|error| error.to_string()),
        );
    }
    None
}

/// What is trusted, and when. Dates and keys are shown as the file has them.
fn trusted_root(root: &Value) -> Facts {
    let mut facts = Facts::new();
    facts.maybe("mediaType", root["mediaType"].as_str());
    for (field, name) in [
        ("tlogs", "transparencyLogs"),
        ("ctlogs", "certificateTransparencyLogs"),
    ] {
        facts.each(name, list(&root[field]).map(log).collect());
    }
    for (field, name) in [
        ("certificateAuthorities", "certificateAuthorities"),
        ("timestampAuthorities", "timestampAuthorities"),
    ] {
        facts.each(name, list(&root[field]).map(authority).collect());
    }
    facts
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn log(log: &Value) -> Facts {
    let mut facts = Facts::new();
    facts.maybe("url", log["baseUrl"].as_str());
    facts.maybe("operator", log["operator"].as_str());
    facts.maybe("logId", log["logId"]["keyId"].as_str());
    let spki = log["publicKey"]["rawBytes"]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok());
    match spki.as_deref().map(key::from_der) {
        Some(Some((_, key))) => facts.facts("publicKey", key),
        _ => facts.text("publicKey", "unreadable"),
    }
    valid_for(&log["publicKey"]["validFor"], &mut facts);
    facts
}

fn authority(authority: &Value) -> Facts {
    let mut facts = Facts::new();
    facts.maybe("url", authority["uri"].as_str());
    facts.maybe("operator", authority["operator"].as_str());
    valid_for(&authority["validFor"], &mut facts);
    let chain = list(&authority["certChain"]["certificates"]).map(|certificate| {
        match certificate["rawBytes"]
            .as_str()
            .and_then(|text| STANDARD.decode(text).ok())
        {
            Some(der) => certificate::embedded(&der),
            None => {
                let mut facts = Facts::new();
                facts.text("unreadable", "it is not base64");
                facts
            }
        }
    });
    facts.each("certificates", chain.collect());
    facts
}

fn valid_for(period: &Value, facts: &mut Facts) {
    facts.maybe("validFrom", period["start"].as_str());
    facts.maybe("validUntil", period["end"].as_str());
}

fn signing_config(config: &Value) -> Facts {
    let mut facts = Facts::new();
    facts.maybe("mediaType", config["mediaType"].as_str());
    for (field, name) in [
        ("caUrls", "certificateAuthorities"),
        ("oidcUrls", "identityProviders"),
        ("rekorTlogUrls", "transparencyLogs"),
        ("tsaUrls", "timestampAuthorities"),
    ] {
        let services = list(&config[field]).map(|service| {
            let mut facts = Facts::new();
            facts.maybe("url", service["url"].as_str());
            facts.maybe(
                "apiVersion",
                service["majorApiVersion"].as_u64().map(|v| v.to_string()),
            );
            facts.maybe("operator", service["operator"].as_str());
            valid_for(&service["validFor"], &mut facts);
            facts
        });
        facts.each(name, services.collect());
    }
    facts.maybe(
        "transparencyLogSelection",
        config["rekorTlogConfig"]["selector"].as_str(),
    );
    facts.maybe(
        "timestampSelection",
        config["tsaConfig"]["selector"].as_str(),
    );
    facts
}
