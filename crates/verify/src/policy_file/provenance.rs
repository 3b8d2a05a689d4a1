//! What SLSA provenance must say, as a policy file has it: every text is checked where it is read, so that an error
//! has its line.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::wire::given;
use crate::slsa::{Expected, MAX_LEVEL, Material, check_version};

/// What SLSA provenance must say; without anything, that it is well-formed provenance.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlsaText {
    /// Who must have built; without `@VERSION` every version.
    #[serde(
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub builder_id: Option<String>,
    /// What kind of build it must have been.
    #[serde(
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub build_type: Option<String>,
    /// The repository that must have been built.
    #[serde(
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub source: Option<String>,
    /// The whole Git reference.
    #[serde(
        default,
        rename = "ref",
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub git_ref: Option<String>,
    /// The branch.
    #[serde(
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub branch: Option<String>,
    /// The tag.
    #[serde(
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub tag: Option<String>,
    /// The tag, as a version of which parts may be left out.
    #[serde(
        default,
        deserialize_with = "version",
        skip_serializing_if = "Option::is_none"
    )]
    pub versioned_tag: Option<String>,
    /// The commit.
    #[serde(
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub commit: Option<String>,
    /// The level of the SLSA build track that the builder must be known to reach.
    #[serde(
        default,
        deserialize_with = "level",
        skip_serializing_if = "Option::is_none"
    )]
    pub level: Option<u8>,
    /// What must have gone into the build: `URI` or `URI@sha256:HEX`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub materials: Vec<MaterialText>,
    /// Inputs that the build must have been started with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, InputText>,
}

/// A material as it is written.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct MaterialText(String);

/// An input's value, as the text it is compared as: `5` and `"5"` are the same.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct InputText(String);

impl<'de> Deserialize<'de> for MaterialText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Material::parse(&text).map_err(D::Error::custom)?;
        Ok(Self(text))
    }
}

impl<'de> Deserialize<'de> for InputText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            value @ (Value::Bool(_) | Value::Number(_)) => Ok(Self(value.to_string())),
            _ => Err(D::Error::custom(
                "an input is a text, a number, or true or false",
            )),
        }
    }
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text: Option<String> = given(deserializer)?;
    match text.as_deref() {
        Some("") => Err(D::Error::custom("it is empty: is a variable not set?")),
        _ => Ok(text),
    }
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let version = text(deserializer)?;
    if let Some(version) = &version {
        check_version(version).map_err(D::Error::custom)?;
    }
    Ok(version)
}

fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    match u8::deserialize(deserializer)? {
        level @ 1..=MAX_LEVEL => Ok(Some(level)),
        level => Err(D::Error::custom(format!(
            "{level}: SLSA has build levels 1 to {MAX_LEVEL}"
        ))),
    }
}

impl From<&Expected> for SlsaText {
    fn from(expected: &Expected) -> Self {
        let materials = expected.materials.iter();
        let inputs = expected.inputs.iter();
        Self {
            builder_id: expected.builder_id.clone(),
            build_type: expected.build_type.clone(),
            source: expected.source.clone(),
            git_ref: expected.git_ref.clone(),
            branch: expected.branch.clone(),
            tag: expected.tag.clone(),
            versioned_tag: expected.versioned_tag.clone(),
            commit: expected.commit.clone(),
            level: expected.level,
            materials: materials
                .map(|material| MaterialText(material.to_string()))
                .collect(),
            inputs: inputs
                .map(|(name, value)| (name.clone(), InputText(value.clone())))
                .collect(),
        }
    }
}

impl From<&SlsaText> for Expected {
    fn from(text: &SlsaText) -> Self {
        // Each was parsed when it was read.
        let materials = text
            .materials
            .iter()
            .filter_map(|material| Material::parse(&material.0).ok());
        let inputs = text.inputs.iter();
        Self {
            builder_id: text.builder_id.clone(),
            build_type: text.build_type.clone(),
            source: text.source.clone(),
            git_ref: text.git_ref.clone(),
            branch: text.branch.clone(),
            tag: text.tag.clone(),
            versioned_tag: text.versioned_tag.clone(),
            commit: text.commit.clone(),
            level: text.level,
            materials: materials.collect(),
            inputs: inputs
                .map(|(name, value)| (name.clone(), value.0.clone()))
                .collect(),
        }
    }
}
