//! The members that a document must have, as a table of paths.

use core::fmt;

use serde_json::Value;

/// What a member must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Any,
    Text,
    Array,
    Object,
    OneOf(&'static [&'static str]),
}

/// When a member must be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Presence {
    Required,
    /// Where the array before it is there at all.
    IfArray,
    Optional,
}

/// One member: `a.b` is a member of a member, `a[].b` one of every element.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rule {
    path: &'static str,
    kind: Kind,
    presence: Presence,
}

const fn rule(path: &'static str, kind: Kind) -> Rule {
    Rule {
        path,
        kind,
        presence: Presence::Required,
    }
}

pub(super) const fn any(path: &'static str) -> Rule {
    rule(path, Kind::Any)
}

pub(super) const fn text(path: &'static str) -> Rule {
    rule(path, Kind::Text)
}

pub(super) const fn array(path: &'static str) -> Rule {
    rule(path, Kind::Array)
}

pub(super) const fn object(path: &'static str) -> Rule {
    rule(path, Kind::Object)
}

pub(super) const fn one_of(path: &'static str, texts: &'static [&'static str]) -> Rule {
    rule(path, Kind::OneOf(texts))
}

impl Rule {
    /// Every element must have it, and there need not be an array.
    pub(super) const fn if_present(mut self) -> Self {
        self.presence = Presence::IfArray;
        self
    }

    /// It need not be there.
    pub(super) const fn optional(mut self) -> Self {
        self.presence = Presence::Optional;
        self
    }
}

/// What is wrong with a document, and where (`$.packages[3].name`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The place, as a JSON path.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

impl core::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.problem)
    }
}

pub(super) fn check(document: &[u8], rules: &[Rule]) -> Result<(), Fault> {
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    let value: Value = serde_json::from_slice(document).map_err(|error| Fault {
        path: "$".to_owned(),
        problem: format!("is no JSON: {error}"),
    })?;
    for rule in rules {
        follow(&value, "$".to_owned(), rule.path, rule)?;
    }
    Ok(())
}

fn follow(value: &Value, at: String, path: &str, rule: &Rule) -> Result<(), Fault> {
    let (step, rest) = path
        .split_once('.')
        .map_or((path, None), |(step, rest)| (step, Some(rest)));
    let (name, each) = match step.strip_suffix("[]") {
        Some(name) => (name, true),
        None => (step, false),
    };
    let at = format!("{at}.{name}");
    let Some(member) = value.get(name) else {
        return match (rule.presence, each) {
            (Presence::Required, _) | (Presence::IfArray, false) => Err(Fault {
                path: at,
                problem: "is missing".to_owned(),
            }),
            _ => Ok(()),
        };
    };
    if each {
        let Some(elements) = member.as_array() else {
            return Err(wrong(at, "an array", member));
        };
        let rest = rest.unwrap_or_default();
        for (index, element) in elements.iter().enumerate() {
            follow(element, format!("{at}[{index}]"), rest, rule)?;
        }
        return Ok(());
    }
    match rest {
        Some(rest) => follow(member, at, rest, rule),
        None => fits(member, at, rule.kind),
    }
}

fn fits(value: &Value, at: String, kind: Kind) -> Result<(), Fault> {
    let (good, expected) = match kind {
        Kind::Any => (!value.is_null(), "a value".to_owned()),
        Kind::Text => (value.is_string(), "a text".to_owned()),
        Kind::Array => (value.is_array(), "an array".to_owned()),
        Kind::Object => (value.is_object(), "an object".to_owned()),
        Kind::OneOf(texts) => (
            value.as_str().is_some_and(|text| texts.contains(&text)),
            texts.join(" or "),
        ),
    };
    match good {
        true => Ok(()),
        false => Err(wrong(at, &expected, value)),
    }
}

fn wrong(path: String, expected: &str, found: &Value) -> Fault {
    let found = match found {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("{:?}", crate::excerpt(text.clone())),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    Fault {
        path,
        problem: format!("must be {expected}, and is {found}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;

    #[test]
    fn faults_have_their_place() {
        for (document, fault) in [
            (
                r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"a","dataLicense":"CC0-1.0","documentNamespace":"x","creationInfo":{"created":"x","creators":[]}}"#,
                None,
            ),
            (
                r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"a","dataLicense":"CC0-1.0","documentNamespace":"x","creationInfo":{"created":"x","creators":[]},"packages":[{"SPDXID":"a","name":"b"},{"SPDXID":"c"}]}"#,
                Some("$.packages[1].name is missing"),
            ),
            (
                r#"{"bomFormat":"CycloneDX","specVersion":1.6}"#,
                Some("$.specVersion must be a text, and is the number 1.6"),
            ),
            (
                r#"{"bomFormat":"cyclonedx","specVersion":"1.6"}"#,
                Some("$.bomFormat must be CycloneDX, and is \"cyclonedx\""),
            ),
            (
                r#"{"buildDefinition":{"buildType":"t","externalParameters":{}},"runDetails":{"builder":{}}}"#,
                Some("$.runDetails.builder.id is missing"),
            ),
            (
                r#"{"@context":"https://openvex.dev/ns/v0.2.0","@id":"i","author":"a","timestamp":"t","version":1,"statements":[{"vulnerability":{},"status":"fine"}]}"#,
                Some(
                    "$.statements[0].status must be not_affected or affected or fixed or under_investigation, and is \"fine\"",
                ),
            ),
        ] {
            let format = Format::of(document.as_bytes()).unwrap();
            let found = format.check(document.as_bytes()).err();
            let found = found.map(|fault| fault.to_string());
            assert_eq!(found.as_deref(), fault, "{document}");
        }
    }
}
