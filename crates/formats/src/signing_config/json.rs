//! Protobuf JSON of signing configurations, read and written with the rules of [`crate::protobuf_json`].

use serde::{Deserialize, Serialize};

use super::{
    MAX_SERVICES, MAX_SIZE, MEDIA_TYPE_V0_1, MEDIA_TYPE_V0_2, MEDIA_TYPES, Selector, Service,
    SigningConfig,
};
use crate::encoding::ParseError;
use crate::protobuf_json::{Document, RangeJson, null_as_default, shown, uint32};
use crate::trusted_root::TimeRange;

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigJson {
    #[serde(alias = "media_type", deserialize_with = "null_as_default")]
    media_type: String,
    #[serde(
        alias = "ca_urls",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    ca_urls: Vec<ServiceJson>,
    #[serde(
        alias = "oidc_urls",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    oidc_urls: Vec<ServiceJson>,
    #[serde(
        alias = "rekor_tlog_urls",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    rekor_tlog_urls: Vec<ServiceJson>,
    /// Left out where nothing is said: other clients read an object without a selector as a wrong one.
    #[serde(alias = "rekor_tlog_config", skip_serializing_if = "Option::is_none")]
    rekor_tlog_config: Option<SelectorJson>,
    #[serde(
        alias = "tsa_urls",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    tsa_urls: Vec<ServiceJson>,
    #[serde(alias = "tsa_config", skip_serializing_if = "Option::is_none")]
    tsa_config: Option<SelectorJson>,
}

/// What every version has.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MediaTypeJson {
    #[serde(alias = "media_type", deserialize_with = "null_as_default")]
    media_type: String,
}

/// `SigningConfig` before version 0.4.1 of the protobuf specifications.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigV01Json {
    #[serde(alias = "ca_url", deserialize_with = "null_as_default")]
    ca_url: String,
    #[serde(alias = "oidc_url", deserialize_with = "null_as_default")]
    oidc_url: String,
    #[serde(alias = "tlog_urls", deserialize_with = "null_as_default")]
    tlog_urls: Vec<String>,
    #[serde(alias = "tsa_urls", deserialize_with = "null_as_default")]
    tsa_urls: Vec<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceJson {
    #[serde(deserialize_with = "null_as_default")]
    url: String,
    #[serde(alias = "major_api_version", deserialize_with = "uint32")]
    major_api_version: u32,
    #[serde(alias = "valid_for", skip_serializing_if = "Option::is_none")]
    valid_for: Option<RangeJson>,
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    operator: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct SelectorJson {
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    selector: String,
    #[serde(deserialize_with = "uint32", skip_serializing_if = "is_zero")]
    count: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

const DOCUMENT: Document = Document("Sigstore signing configuration");

pub(super) fn parse(json: &[u8]) -> Result<SigningConfig, ParseError> {
    let MediaTypeJson { media_type } = DOCUMENT.parse_at_most(MAX_SIZE, json)?;
    match DOCUMENT.media_type(media_type, &MEDIA_TYPES)?.as_str() {
        MEDIA_TYPE_V0_1 => v0_1(DOCUMENT.parse(json)?),
        _ => v0_2(DOCUMENT.parse(json)?),
    }
}

fn v0_2(raw: ConfigJson) -> Result<SigningConfig, ParseError> {
    let services = |place, list| DOCUMENT.items(place, list, MAX_SERVICES, service);
    Ok(SigningConfig {
        ca_urls: services("caUrls", raw.ca_urls)?,
        oidc_urls: services("oidcUrls", raw.oidc_urls)?,
        rekor_tlog_urls: services("rekorTlogUrls", raw.rekor_tlog_urls)?,
        rekor_tlog_config: selector("rekorTlogConfig", raw.rekor_tlog_config)?,
        tsa_urls: services("tsaUrls", raw.tsa_urls)?,
        tsa_config: selector("tsaConfig", raw.tsa_config)?,
    })
}

/// Version 0.1 knows addresses only. All of its time spoke version 1 of every API, and one log and one authority were
/// used.
fn v0_1(raw: ConfigV01Json) -> Result<SigningConfig, ParseError> {
    let service = |place: &str, url: String| {
        if url.is_empty() {
            return Err(DOCUMENT.error(format!("{place} is empty")));
        }
        Ok(Service {
            url,
            major_api_version: 1,
            valid_for: TimeRange::ALWAYS,
            operator: String::new(),
        })
    };
    let services = |place, list| DOCUMENT.items(place, list, MAX_SERVICES, service);
    let optional = |url: String| (!url.is_empty()).then_some(url).into_iter().collect();
    let rekor_tlog_urls = services("tlogUrls", raw.tlog_urls)?;
    let tsa_urls = services("tsaUrls", raw.tsa_urls)?;
    Ok(SigningConfig {
        ca_urls: services("caUrl", optional(raw.ca_url))?,
        oidc_urls: services("oidcUrl", optional(raw.oidc_url))?,
        rekor_tlog_config: (!rekor_tlog_urls.is_empty()).then_some(Selector::Any),
        rekor_tlog_urls,
        tsa_config: (!tsa_urls.is_empty()).then_some(Selector::Any),
        tsa_urls,
    })
}

fn service(place: &str, raw: ServiceJson) -> Result<Service, ParseError> {
    if raw.url.is_empty() {
        return Err(DOCUMENT.error(format!("{place}.url is missing")));
    }
    if raw.major_api_version == 0 {
        return Err(DOCUMENT.error(format!("{place}.majorApiVersion is missing or 0")));
    }
    Ok(Service {
        url: raw.url,
        major_api_version: raw.major_api_version,
        valid_for: DOCUMENT.range(place, raw.valid_for)?,
        operator: raw.operator,
    })
}

fn selector(field: &str, raw: Option<SelectorJson>) -> Result<Option<Selector>, ParseError> {
    let raw = raw.unwrap_or_default();
    match (raw.selector.as_str(), raw.count) {
        ("" | "SERVICE_SELECTOR_UNDEFINED", _) => Ok(None),
        ("ANY", _) => Ok(Some(Selector::Any)),
        ("ALL", _) => Ok(Some(Selector::All)),
        ("EXACT", 0) => {
            Err(DOCUMENT.error(format!("{field} is EXACT, and its count is missing or 0")))
        }
        ("EXACT", count) => Ok(Some(Selector::Exact(count))),
        (other, _) => {
            let shown = shown(other);
            Err(DOCUMENT.error(format!(
                "{field}.selector {shown:?} is none of ANY, ALL, EXACT"
            )))
        }
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
            valid_for: RangeJson::new(&service.valid_for),
            operator: service.operator.clone(),
        })
        .collect()
}

fn write_selector(selector: Option<Selector>) -> Option<SelectorJson> {
    let (selector, count) = match selector? {
        Selector::Any => ("ANY", 0),
        Selector::All => ("ALL", 0),
        Selector::Exact(count) => ("EXACT", count),
    };
    Some(SelectorJson {
        selector: selector.to_owned(),
        count,
    })
}
