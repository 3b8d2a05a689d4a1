//! `config.json` of docker and `auth.json` of podman: no value of theirs is in an error.
#![no_main]

use sealmark_oci::credentials::fuzzing;
use serde_json::Value;

const SEEDS: [&[u8]; 2] = [
    br#"{"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpwYXNz"},"ghcr.io":{"identitytoken":"t"},"a.example/team":{"username":"u","password":"p"}},"credHelpers":{"b.example":"pass"},"credsStore":"desktop"}"#,
    br#"{"auths":{"registry.example":{"auth":"dXNlcjpwYXNzAAA=","registrytoken":"x"}},"HttpHeaders":{}}"#,
];

/// Shorter values could be in an error's own words.
const SECRET: usize = 20;

fn values<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if text.len() >= SECRET => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| values(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| values(field, found)),
        _ => {}
    }
}

sealmark_fuzz::target!(SEEDS, |data| {
    fuzzing::docker_config(data, &mut |error| {
        let document = serde_json::from_slice(data).unwrap_or(Value::Null);
        let mut secrets = Vec::new();
        values(&document, &mut secrets);
        for secret in secrets {
            assert!(!error.contains(secret), "an error that repeats a secret");
        }
    })
});
