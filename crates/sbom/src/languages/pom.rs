//! `pom.xml`: what Maven knows of a project. As much of XML as it needs, and nothing that an entity could do.
//!
//! <https://maven.apache.org/pom.html>

use std::collections::BTreeMap;

/// How deep elements may stand in each other. Those that are read here have at most five above them.
const MAX_DEPTH: usize = 64;
/// Times that a property may lead to another.
const MAX_STEPS: usize = 8;
/// Characters that all properties together may make of a value.
const MAX_VALUE: usize = 512;

/// A project, or one that it depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Coordinates {
    pub(super) group: String,
    pub(super) artifact: String,
    pub(super) version: String,
}

/// A project.
#[derive(Debug, Default)]
pub(super) struct Pom {
    pub(super) own: Coordinates,
    parent: Coordinates,
    pub(super) licences: Vec<String>,
    pub(super) dependencies: Vec<Coordinates>,
    properties: BTreeMap<String, String>,
}

impl Pom {
    /// Reads what can be read: there is no file that is none.
    pub(super) fn read(text: &str) -> Self {
        let mut pom = Self::default();
        walk(text, |path, value| pom.take(path, value));
        let parent = pom.parent.clone();
        if pom.own.group.is_empty() {
            pom.own.group = parent.group;
        }
        if pom.own.version.is_empty() {
            pom.own.version = parent.version;
        }
        pom.own = pom.resolved(&pom.own);
        pom.dependencies = pom
            .dependencies
            .iter()
            .map(|one| pom.resolved(one))
            .collect();
        pom
    }

    fn take(&mut self, path: &[&str], value: &str) {
        let value = value.to_owned();
        match path {
            ["project", key] => self.own.set(key, value),
            ["project", "parent", key] => self.parent.set(key, value),
            ["project", "licenses", "license", "name"] => self.licences.push(value),
            ["project", "properties", key] => {
                self.properties.insert((*key).to_owned(), value);
            }
            ["project", "dependencies", "dependency", key] => {
                // The group comes first in each, or else the artifact does: what is there already belongs to the last.
                let next = self.dependencies.last().is_none_or(|last| last.has(key));
                if next && matches!(*key, "groupId" | "artifactId") {
                    self.dependencies.push(Coordinates::default());
                }
                if let Some(last) = self.dependencies.last_mut() {
                    last.set(key, value);
                }
            }
            _ => {}
        }
    }

    fn resolved(&self, coordinates: &Coordinates) -> Coordinates {
        Coordinates {
            group: self.value(&coordinates.group),
            artifact: self.value(&coordinates.artifact),
            version: self.value(&coordinates.version),
        }
    }

    /// A value with its properties; empty if one is not known.
    fn value(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..MAX_STEPS {
            let Some((front, rest)) = text.split_once("${") else {
                return text;
            };
            let Some((key, back)) = rest.split_once('}') else {
                break;
            };
            let value = match key {
                "project.version" | "version" | "pom.version" => &self.own.version,
                "project.groupId" | "groupId" | "pom.groupId" => &self.own.group,
                "project.artifactId" | "artifactId" => &self.own.artifact,
                "project.parent.version" => &self.parent.version,
                "project.parent.groupId" => &self.parent.group,
                other => match self.properties.get(other) {
                    Some(value) => value,
                    None => break,
                },
            };
            let next = format!("{front}{value}{back}");
            if next.len() > MAX_VALUE {
                break;
            }
            text = next;
        }
        String::new()
    }
}

impl Coordinates {
    fn field(&mut self, key: &str) -> Option<&mut String> {
        match key {
            "groupId" => Some(&mut self.group),
            "artifactId" => Some(&mut self.artifact),
            "version" => Some(&mut self.version),
            _ => None,
        }
    }

    pub(super) fn set(&mut self, key: &str, value: String) {
        if let Some(field) = self.field(key) {
            *field = value;
        }
    }

    fn has(&self, key: &str) -> bool {
        match key {
            "groupId" => !self.group.is_empty(),
            "artifactId" => !self.artifact.is_empty(),
            _ => false,
        }
    }
}

/// Calls `take` for each element that has nothing but text, with the names of those around it and its own.
fn walk<'a>(text: &'a str, mut take: impl FnMut(&[&'a str], &str)) {
    let (mut path, mut rest, mut value) = (Vec::new(), text, "");
    while let Some((before, after)) = rest.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        let Some((tag, after)) = after.split_once('>') else {
            return;
        };
        rest = after;
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if tag.starts_with('/') {
            if value.is_empty() {
                value = before.trim();
            }
            if !value.is_empty() {
                take(&path, &unescaped(value));
            }
            path.pop();
        } else if !tag.ends_with('/') {
            if path.len() == MAX_DEPTH {
                return;
            }
            path.push(tag.split_whitespace().next().unwrap_or_default());
        }
        value = "";
    }
}

/// The five entities that XML has by itself.
fn unescaped(text: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let replace = |text: String, (entity, plain): (&str, &str)| text.replace(entity, plain);
    entities.into_iter().fold(text.to_owned(), replace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coordinates(text: &str) -> Coordinates {
        let mut parts = text.split(':').map(str::to_owned);
        let mut next = || parts.next().expect("three parts");
        Coordinates {
            group: next(),
            artifact: next(),
            version: next(),
        }
    }

    #[test]
    fn a_project_is_read() {
        let pom = Pom::read(
            "<?xml version=\"1.0\"?>\n<!-- <project> --><project xmlns=\"x\">\n<parent><groupId>org.example</groupId>\
             <artifactId>parent</artifactId><version>2</version><relativePath/></parent>\n<artifactId>app</artifactId>\
             <name>A &amp; B</name><properties><a>${b}.1</a><b>7</b><loop>${loop}</loop></properties>\
             <licenses><license><name>Apache-2.0</name><url>x</url></license></licenses>\
             <dependencies><dependency><groupId>${project.groupId}</groupId><artifactId>one</artifactId><version>${a}</version>\
             <exclusions><exclusion><groupId>no</groupId></exclusion></exclusions></dependency>\
             <dependency><artifactId>two</artifactId><groupId>g</groupId></dependency>\
             <dependency><groupId>g</groupId><artifactId>three</artifactId><version>${loop}</version></dependency></dependencies>\
             <build><plugins><plugin><artifactId>none</artifactId></plugin></plugins></build></project>",
        );
        assert_eq!(pom.own, coordinates("org.example:app:2"));
        assert_eq!(pom.licences, ["Apache-2.0"]);
        let dependencies = ["org.example:one:7.1", "g:two:", "g:three:"].map(coordinates);
        assert_eq!(pom.dependencies, dependencies);
    }

    #[test]
    fn what_is_no_project_has_nothing_in_it() {
        let deep = "<a>".repeat(100_000);
        let grows =
            "<project><version>${a}</version><properties><a>${a}${a}</a></properties></project>";
        for text in [
            "",
            "<",
            "<>",
            "</",
            "</a></b>",
            "<!--",
            "<project><version>1",
            grows,
            &deep,
        ] {
            assert_eq!(
                Pom::read(text).own,
                Coordinates::default(),
                "{}",
                text.len()
            );
        }
    }
}
