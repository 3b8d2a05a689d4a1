//! Protobuf JSON of signing configurations, read and written with the rules of [`crate::trusted_root::json`].

use serde::{Deserialize, Deserializer, Serialize};

use super::{MAX_SERVICES, MAX_SIZE, MEDIA_TYPE_V0_2, Selector, Service, SigningConfig};
use crate::encoding::ParseError;
use crate::trusted_root::json::{RangeJson, document, media_type, or_default, range, write_range};

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigJson {
    #[serde(alias = "media_type", deserialize_with = "or_default")]
    media_type: String,
    #[serde(
        alias = "ca_urls",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    ca_urls: Vec<ServiceJson>,
    #[serde(
        alias = "oidc_urls",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    oidc_urls: Vec<ServiceJson>,
    #[serde(
        alias = "rekor_tlog_urls",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    rekor_tlog_urls: Vec<ServiceJson>,
    #[serde(alias = "rekor_tlog_config", deserialize_with = "or_default")]
    rekor_tlog_config: SelectorJson,
    #[serde(
        alias = "tsa_urls",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    tsa_urls: Vec<ServiceJson>,
    #[serde(alias = "tsa_config", deserialize_with = "or_default")]
    tsa_config: SelectorJson,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceJson {
    #[serde(deserialize_with = "or_default")]
    url: String,
    #[serde(alias = "major_api_version", deserialize_with = "uint32")]
    major_api_version: u32,
    #[serde(alias = "valid_for", skip_serializing_if = "Option::is_none")]
    valid_for: Option<RangeJson>,
    #[serde(
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    operator: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct SelectorJson {
    #[serde(
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    selector: String,
    #[serde(deserialize_with = "uint32", skip_serializing_if = "is_zero")]
    count: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Protobuf JSON writes 32-bit integers as numbers and reads strings too.
fn uint32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u32),
        Text(String),
    }
    match Option::deserialize(deserializer)? {
        None => Ok(0),
        Some(Either::Number(number)) => Ok(number),
        Some(Either::Text(text)) => text.parse().map_err(serde::de::Error::custom),
    }
}

const FORMAT: &str = "Sigstore signing configuration";

fn error(reason: impl Into<String>) -> ParseError {
    ParseError::new(FORMAT, reason)
}

pub(super) fn parse(json: &[u8]) -> Result<SigningConfig, ParseError> {
    let raw: ConfigJson = document(FORMAT, json, MAX_SIZE)?;
    media_type(FORMAT, raw.media_type, &[MEDIA_TYPE_V0_2])?;
    Ok(SigningConfig {
        ca_urls: services("caUrls", raw.ca_urls)?,
        oidc_urls: services("oidcUrls", raw.oidc_urls)?,
        rekor_tlog_urls: services("rekorTlogUrls", raw.rekor_tlog_urls)?,
        rekor_tlog_config: selector("rekorTlogConfig", &raw.rekor_tlog_config)?,
        tsa_urls: services("tsaUrls", raw.tsa_urls)?,
        tsa_config: selector("tsaConfig", &raw.tsa_config)?,
    })
}

fn services(field: &str, list: Vec<ServiceJson>) -> Result<Vec<Service>, ParseError> {
    if list.len() > MAX_SERVICES {
        return Err(error(format!(
            "{} {field}, at most {MAX_SERVICES} are allowed",
            list.len()
        )));
    }
    list.into_iter()
        .enumerate()
        .map(|(index, raw)| {
            let place = format!("{field}[{index}]");
            if raw.url.is_empty() {
                return Err(error(format!("{place}.url is missing")));
            }
            if raw.major_api_version == 0 {
                return Err(error(format!("{place}.majorApiVersion is missing or 0")));
            }
            Ok(Service {
                url: raw.url,
                major_api_version: raw.major_api_version,
                valid_for: range(FORMAT, &place, raw.valid_for)?,
                operator: raw.operator,
            })
        })
        .collect()
}

fn selector(field: &str, raw: &SelectorJson) -> Result<Option<Selector>, ParseError> {
    match (raw.selector.as_str(), raw.count) {
        ("" | "SERVICE_SELECTOR_UNDEFINED", _) => Ok(None),
        ("ANY", _) => Ok(Some(Selector::Any)),
        ("ALL", _) => Ok(Some(Selector::All)),
        ("EXACT", 0) => Err(error(format!(
            "{field} is EXACT, and its count is missing or 0"
        ))),
        ("EXACT", count) => Ok(Some(Selector::Exact(count))),
        (other, _) => Err(error(format!(
            "{field}.selector {other:?} is none of ANY, ALL, EXACT"
        ))),
    }
}

pub(super) fn write(config: &SigningConfig) -> Vec<u8> {
    let json = ConfigJson {
        media_type: MEDIA_TYPE_V0_2.to_owned(),
        ca_urls: write_services(&config.ca_urls),
        oidc_urls: write_services(&config.oidc_urls),
        rekor_tlog_urls: write_services(&config.rekor_tlog_urls),
        rekor_tlog_config: write_selector(config.rekor_tlog_config),
        tsa_urls: write_services(&config.tsa_urls),
        tsa_config: write_selector(config.tsa_config),
    };
    serde_json::to_vec(&json).expect("strings serialise")
}

fn write_services(services: &[Service]) -> Vec<ServiceJson> {
    services
        .iter()
        .map(|service| ServiceJson {
            url: service.url.clone(),
            major_api_version: service.major_api_version,
            valid_for: write_range(&service.valid_for),
            operator: service.operator.clone(),
        })
        .collect()
}

fn write_selector(selector: Option<Selector>) -> SelectorJson {
    let (selector, count) = match selector {
        None => ("", 0),
        Some(Selector::Any) => ("ANY", 0),
        Some(Selector::All) => ("ALL", 0),
        Some(Selector::Exact(count)) => ("EXACT", count),
    };
    SelectorJson {
        selector: selector.to_owned(),
        count,
    }
}
