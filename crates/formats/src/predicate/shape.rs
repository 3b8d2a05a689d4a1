//! Checks a document against its format's table in one pass over the text: nothing of it is kept but the path to where
//! the pass is, whatever the size.

use core::cell::RefCell;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::table::{Kind, Object, Shape};

/// More values of an enumeration are not listed in a message.
const LISTED: usize = 12;

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

/// Checks the document; the first fault in its order counts.
pub(super) fn check(document: &[u8], shape: &Shape) -> Result<(), Fault> {
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    let pass = Pass {
        shape,
        path: RefCell::new(Vec::new()),
        fault: RefCell::new(None),
    };
    let mut reader = serde_json::Deserializer::from_slice(document);
    let value = Value {
        pass: &pass,
        kinds: &[Kind::Object(shape.document)],
    };
    let read = value.deserialize(&mut reader).and_then(|_| reader.end());
    match (read, pass.fault.into_inner()) {
        (_, Some(fault)) => Err(fault),
        (Err(error), None) => Err(Fault {
            path: "$".to_owned(),
            problem: format!("is no JSON: {error}"),
        }),
        (Ok(()), None) => Ok(()),
    }
}

struct Pass<'a> {
    shape: &'a Shape,
    path: RefCell<Vec<Step>>,
    fault: RefCell<Option<Fault>>,
}

enum Step {
    Known(&'static str),
    Named(String),
    Element(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |name: &str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_@$".contains(&byte);
            !name.is_empty() && name.bytes().all(good)
        };
        match self {
            Self::Known(name) if plain(name) => write!(f, ".{name}"),
            Self::Named(name) if plain(name) => write!(f, ".{name}"),
            Self::Known(name) => write!(f, "[{name:?}]"),
            Self::Named(name) => write!(f, "[{:?}]", crate::excerpt(name.clone())),
            Self::Element(index) => write!(f, "[{index}]"),
        }
    }
}

impl Pass<'_> {
    /// Notes a fault here, and ends the pass.
    fn fail<E: serde::de::Error>(&self, problem: impl Into<String>) -> E {
        let path: String = self.path.borrow().iter().map(ToString::to_string).collect();
        *self.fault.borrow_mut() = Some(Fault {
            path: format!("${path}"),
            problem: problem.into(),
        });
        E::custom("a fault")
    }

    /// One step deeper.
    fn within<T>(&self, step: Step, read: impl FnOnce() -> T) -> T {
        self.path.borrow_mut().push(step);
        let read = read();
        // After a fault the path is not needed any more.
        self.path.borrow_mut().pop();
        read
    }

    fn describe(&self, kinds: &[Kind]) -> String {
        let all: Vec<String> = kinds
            .iter()
            .map(|kind| match kind {
                Kind::Any => "a value".to_owned(),
                Kind::Bool => "true or false".to_owned(),
                Kind::Text(lexical) => lexical.description().to_owned(),
                Kind::Enum(place) => match self.shape.enums[*place].as_slice() {
                    long if long.len() > LISTED => format!("one of {} known values", long.len()),
                    values => values.join(" or "),
                },
                Kind::Number { whole, least, most } => {
                    let what = match whole {
                        true => "a whole number",
                        false => "a number",
                    };
                    match (least, most) {
                        (None, None) => what.to_owned(),
                        (Some(least), None) => format!("{what} from {least}"),
                        (None, Some(most)) => format!("{what} up to {most}"),
                        (Some(least), Some(most)) => format!("{what} from {least} to {most}"),
                    }
                }
                Kind::List { filled: false, .. } => "an array".to_owned(),
                Kind::List { filled: true, .. } => "an array that is not empty".to_owned(),
                Kind::Map(_) | Kind::AnyObject | Kind::Object(_) => "an object".to_owned(),
            })
            .collect();
        all.join(" or ")
    }
}

/// One value, and what it may be.
struct Value<'a> {
    pass: &'a Pass<'a>,
    kinds: &'a [Kind],
}

/// What was read, as far as conditions on other members ask for it.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Seen {
    Null,
    Word(&'static str),
    Other,
}

impl Value<'_> {
    fn wrong<E: serde::de::Error>(&self, found: &str) -> E {
        let expected = self.pass.describe(self.kinds);
        self.pass
            .fail(format!("must be {expected}, and is {found}"))
    }

    fn number<E: serde::de::Error>(&self, number: f64, shown: String) -> Result<Seen, E> {
        let fits = |kind: &Kind| match kind {
            Kind::Number { whole, least, most } => {
                !(*whole && number.fract() != 0.0)
                    && least.is_none_or(|least| number >= least)
                    && most.is_none_or(|most| number <= most)
            }
            kind => *kind == Kind::Any,
        };
        match self.kinds.iter().any(fits) {
            true => Ok(Seen::Other),
            false => Err(self.wrong(&format!("the number {shown}"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        match self.kinds {
            [Kind::Any] if !self.pass.shape.nulls => {
                deserializer.deserialize_ignored_any(IgnoredAny)?;
                Ok(Seen::Other)
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pass.describe(self.kinds))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Seen, E> {
        match self.pass.shape.nulls || self.kinds.contains(&Kind::Any) {
            true => Ok(Seen::Null),
            false => Err(self.wrong("null")),
        }
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Seen, E> {
        match self.kinds.contains(&Kind::Bool) || self.kinds.contains(&Kind::Any) {
            true => Ok(Seen::Other),
            false => Err(self.wrong(&value.to_string())),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Seen, E> {
        self.number(value as f64, value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Seen, E> {
        self.number(value as f64, value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Seen, E> {
        self.number(value, value.to_string())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Seen, E> {
        for kind in self.kinds {
            match kind {
                Kind::Any => return Ok(Seen::Other),
                Kind::Text(lexical) if lexical.fits(text) => return Ok(Seen::Other),
                Kind::Enum(place) => {
                    let values = &self.pass.shape.enums[*place];
                    if let Ok(place) = values.binary_search(&text) {
                        return Ok(Seen::Word(values[place]));
                    }
                }
                _ => {}
            }
        }
        let found = format!("{:?}", crate::excerpt(text.to_owned()));
        Err(self.wrong(&found))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Seen, A::Error> {
        let fits = self.kinds.iter().find_map(|kind| match kind {
            Kind::Any => Some((&[Kind::Any][..], false)),
            Kind::List { items, filled } => Some((items, *filled)),
            _ => None,
        });
        let Some((items, filled)) = fits else {
            return Err(self.wrong("an array"));
        };
        let mut count = 0;
        loop {
            let element = Value {
                pass: self.pass,
                kinds: items,
            };
            let read = || list.next_element_seed(element);
            match self.pass.within(Step::Element(count), read)? {
                Some(_) => count += 1,
                None if filled && count == 0 => return Err(self.wrong("an empty one")),
                None => return Ok(Seen::Other),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
        for kind in self.kinds {
            match kind {
                Kind::Any | Kind::AnyObject => {
                    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                    return Ok(Seen::Other);
                }
                Kind::Map(kinds) => {
                    while let Some(name) = map.next_key::<String>()? {
                        let value = Value {
                            pass: self.pass,
                            kinds,
                        };
                        self.pass
                            .within(Step::Named(name), || map.next_value_seed(value))?;
                    }
                    return Ok(Seen::Other);
                }
                Kind::Object(place) => {
                    return self.members(&self.pass.shape.objects[*place], map);
                }
                _ => {}
            }
        }
        Err(self.wrong("an object"))
    }
}

/// The name of a member, looked up in the object without being kept.
struct Name<'a>(&'a Object);

enum Found {
    Known(usize),
    Unknown(String),
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Found, E> {
        Ok(match self.0.member(name) {
            Some((place, _)) => Found::Known(place),
            None => Found::Unknown(name.to_owned()),
        })
    }
}

impl Value<'_> {
    fn members<'de, A: MapAccess<'de>>(
        &self,
        object: &Object,
        mut map: A,
    ) -> Result<Seen, A::Error> {
        let pass = self.pass;
        let (mut there, mut null) = (0_u64, 0_u64);
        let mut words: Vec<(usize, &'static str)> = Vec::new();
        while let Some(name) = map.next_key_seed(Name(object))? {
            let place = match name {
                Found::Known(place) => place,
                Found::Unknown(name) if object.closed => {
                    let refused = || pass.fail("is no member that is known there");
                    return Err(pass.within(Step::Named(name), refused));
                }
                Found::Unknown(_) => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let member = &object.members[place];
            let seen = pass.within(Step::Known(member.name), || {
                if (there | null) & (1 << place) != 0 {
                    return Err(pass.fail("is there twice"));
                }
                map.next_value_seed(Value {
                    pass,
                    kinds: &member.kinds,
                })
            })?;
            match seen {
                Seen::Null if pass.shape.nulls => null |= 1 << place,
                Seen::Word(word) => {
                    there |= 1 << place;
                    if !object.conditions.is_empty() {
                        words.push((place, word));
                    }
                }
                _ => there |= 1 << place,
            }
        }
        let missing = object
            .members
            .iter()
            .enumerate()
            .find(|(place, member)| member.required && there & (1 << place) == 0);
        if let Some((_, member)) = missing {
            return Err(pass.within(Step::Known(member.name), || pass.fail("is missing")));
        }
        for group in &object.groups {
            let whole = group
                .alternatives
                .iter()
                .filter(|set| there & *set == **set);
            match (whole.count(), group.only_one) {
                (0, _) => {
                    let names = group.names.join(" or ").replace('+', " with ");
                    return Err(pass.fail(format!("must have {names}")));
                }
                (2.., true) => {
                    let names = group.names.join(" and ").replace('+', " with ");
                    return Err(pass.fail(format!("must have only one of {names}")));
                }
                _ => {}
            }
        }
        for condition in &object.conditions {
            if words.contains(&(condition.member, condition.value)) && there & condition.one_of == 0
            {
                let names = condition.names.join(" or ");
                let member = object.members[condition.member].name;
                let value = condition.value;
                return Err(pass.fail(format!("must have {names} where {member} is {value}")));
            }
        }
        Ok(Seen::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;

    /// Documents that are good, and one for each kind of fault with its place.
    #[test]
    fn faults_have_their_place() {
        let spdx = |rest: &str| {
            format!(
                r#"{{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"a","dataLicense":"CC0-1.0","documentNamespace":"https://a.example/1","creationInfo":{{"created":"2026-01-31T12:00:00Z","creators":["Tool: a-1"]}}{rest}}}"#
            )
        };
        let cyclonedx =
            |rest: &str| format!(r#"{{"bomFormat":"CycloneDX","specVersion":"1.6"{rest}}}"#);
        let openvex = |statement: &str| {
            format!(
                r#"{{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://a.example/vex","author":"a","timestamp":"2026-01-31T12:00:00Z","version":1,"statements":[{statement}]}}"#
            )
        };
        for (document, fault) in [
            (spdx(""), None),
            (
                spdx(r#","packages":[{"SPDXID":"SPDXRef-a","name":"b","downloadLocation":"NONE"},{"SPDXID":"SPDXRef-c","downloadLocation":"NONE"}]"#),
                Some("$.packages[1].name is missing"),
            ),
            (
                spdx(r#","packages":[{"SPDXID":"a","name":"b","downloadLocation":"NONE"}]"#),
                Some("$.packages[0].SPDXID must be SPDXRef- with letters, digits, dots and hyphens, and is \"a\""),
            ),
            (
                spdx(r#","package":[]"#),
                Some("$.package is no member that is known there"),
            ),
            (spdx(r#","name":"b""#), Some("$.name is there twice")),
            (
                spdx(r#","a b":7"#),
                Some("$[\"a b\"] is no member that is known there"),
            ),
            (cyclonedx(""), None),
            (
                cyclonedx(r#","metadata":{"tools":[{"name":"a"}]}"#),
                None,
            ),
            (
                cyclonedx(r#","metadata":{"tools":{"components":[{"type":"application","name":"a"}]}}"#),
                None,
            ),
            (
                cyclonedx(r#","metadata":{"tools":{"components":[{"type":"app","name":"a"}]}}"#),
                Some("$.metadata.tools.components[0].type must be one of 13 known values, and is \"app\""),
            ),
            (
                cyclonedx(r#","metadata":{"tools":"a"}"#),
                Some("$.metadata.tools must be an object or an array, and is \"a\""),
            ),
            (
                cyclonedx(r#","components":[{"type":"library","name":"a","licenses":[{}]}]"#),
                Some("$.components[0].licenses[0] must have license or expression"),
            ),
            (
                cyclonedx(r#","components":[{"type":"library","name":"a","licenses":[{"license":{"id":"MIT","name":"MIT"}}]}]"#),
                Some("$.components[0].licenses[0].license must have only one of id and name"),
            ),
            (
                cyclonedx(r#","version":0.5"#),
                Some("$.version must be a whole number from 1, and is the number 0.5"),
            ),
            (
                cyclonedx(r#","version":0"#),
                Some("$.version must be a whole number from 1, and is the number 0"),
            ),
            (
                cyclonedx(r#","serialNumber":null"#),
                Some("$.serialNumber must be urn:uuid: and a UUID in lower case, and is null"),
            ),
            (
                r#"{"bomFormat":"CycloneDX","specVersion":1.6}"#.to_owned(),
                Some("$.specVersion must be a text, and is the number 1.6"),
            ),
            (
                r#"{"bomFormat":"cyclonedx","specVersion":"1.6"}"#.to_owned(),
                Some("$.bomFormat must be CycloneDX, and is \"cyclonedx\""),
            ),
            (
                r#"{"buildDefinition":{"buildType":"t","externalParameters":{}},"runDetails":{"builder":{}}}"#.to_owned(),
                Some("$.runDetails.builder.id is missing"),
            ),
            (
                r#"{"buildDefinition":{"buildType":"t","externalParameters":null},"runDetails":{"builder":{"id":"a"}}}"#.to_owned(),
                Some("$.buildDefinition.externalParameters is missing"),
            ),
            (
                r#"{"buildDefinition":{"buildType":"t","externalParameters":{},"internalParameters":null,"resolvedDependencies":[{"digest":{"sha1":7}}]},"runDetails":{"builder":{"id":"a"}}}"#.to_owned(),
                Some("$.buildDefinition.resolvedDependencies[0].digest.sha1 must be a text, and is the number 7"),
            ),
            (
                openvex(r#"{"vulnerability":{"name":"CVE-1"},"status":"fixed"}"#),
                None,
            ),
            (
                openvex(r#"{"vulnerability":{"name":"CVE-1"},"status":"fine"}"#),
                Some("$.statements[0].status must be affected or fixed or not_affected or under_investigation, and is \"fine\""),
            ),
            (
                openvex(r#"{"vulnerability":{"name":"CVE-1"},"status":"affected"}"#),
                Some("$.statements[0] must have action_statement where status is affected"),
            ),
            (
                openvex(""),
                Some("$.statements must be an array that is not empty, and is an empty one"),
            ),
            (
                openvex("7"),
                Some("$.statements[0] must be an object, and is the number 7"),
            ),
        ] {
            let format = Format::of(document.as_bytes()).unwrap();
            let found = format.check(document.as_bytes()).err();
            let found = found.map(|fault| fault.to_string());
            assert_eq!(found.as_deref(), fault, "{document}");
        }
    }
}
