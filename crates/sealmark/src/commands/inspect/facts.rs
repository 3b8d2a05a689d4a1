//! What is known about a thing: named values in order, for people as aligned lines, for programs as JSON.
//!
//! Names are written as in JSON, `logIndex`, and shown as words, `log index`. Everything that is shown goes through
//! [`printable`], whatever it is and wherever it came from.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::printable::printable;

/// Entries of a list that are shown to people; JSON has all of them.
const MAX_SHOWN: usize = 50;
/// Characters of one value that are shown to people.
const MAX_TEXT: usize = 500;

/// Named values.
#[derive(Clone, Debug, Default)]
pub(in crate::commands) struct Facts(Vec<(String, Value)>);

#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Number(u64),
    Flag(bool),
    List(Vec<String>),
    Facts(Facts),
    Each(Vec<Facts>),
    /// Names that are data and not ours, as annotations have them.
    Map(Vec<(String, String)>),
}

impl Facts {
    pub(in crate::commands) fn new() -> Self {
        Self::default()
    }

    pub(in crate::commands) fn text(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), Value::Text(value.into())));
    }

    /// Nothing, if there is none.
    pub(in crate::commands) fn maybe(&mut self, name: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    pub(in crate::commands) fn number(&mut self, name: &str, value: u64) {
        self.0.push((name.to_owned(), Value::Number(value)));
    }

    /// The number of things in a list.
    pub(in crate::commands) fn count(&mut self, name: &str, count: usize) {
        self.number(name, count as u64);
    }

    pub(in crate::commands) fn flag(&mut self, name: &str, value: bool) {
        self.0.push((name.to_owned(), Value::Flag(value)));
    }

    /// Nothing, if the list is empty.
    pub(in crate::commands) fn list(&mut self, name: &str, values: Vec<String>) {
        if !values.is_empty() {
            self.0.push((name.to_owned(), Value::List(values)));
        }
    }

    pub(in crate::commands) fn facts(&mut self, name: &str, facts: Self) {
        self.0.push((name.to_owned(), Value::Facts(facts)));
    }

    /// Nothing, if there are none.
    pub(in crate::commands) fn each(&mut self, name: &str, facts: Vec<Self>) {
        if !facts.is_empty() {
            self.0.push((name.to_owned(), Value::Each(facts)));
        }
    }

    /// Nothing, if there are none.
    pub(in crate::commands) fn map<'a>(
        &mut self,
        name: &str,
        entries: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) {
        let entries: Vec<_> = entries
            .into_iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        if !entries.is_empty() {
            self.0.push((name.to_owned(), Value::Map(entries)));
        }
    }

    pub(in crate::commands) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// For people.
    pub(in crate::commands) fn lines(&self) -> Vec<String> {
        let width = self
            .0
            .iter()
            .filter(|(_, value)| value.is_inline())
            .map(|(name, _)| words(name).chars().count() + 2)
            .max()
            .unwrap_or(0);
        let mut lines = Vec::new();
        for (name, value) in &self.0 {
            let label = format!("{}:", words(name));
            let line = |text: &str| format!("{label:<width$}{text}");
            match value {
                Value::Text(text) => lines.push(line(&shown(text))),
                Value::Number(number) => lines.push(line(&number.to_string())),
                Value::Flag(flag) => lines.push(line(if *flag { "yes" } else { "no" })),
                Value::List(values) if values.len() == 1 => lines.push(line(&shown(&values[0]))),
                Value::List(values) => {
                    lines.push(label);
                    lines.extend(
                        values
                            .iter()
                            .take(MAX_SHOWN)
                            .map(|value| format!("  - {}", shown(value))),
                    );
                    more(values.len(), &mut lines);
                }
                Value::Map(entries) => {
                    lines.push(label);
                    lines.extend(
                        entries
                            .iter()
                            .take(MAX_SHOWN)
                            .map(|(key, value)| format!("  {}: {}", shown(key), shown(value))),
                    );
                    more(entries.len(), &mut lines);
                }
                Value::Facts(facts) => {
                    lines.push(label);
                    lines.extend(facts.lines().into_iter().map(|line| format!("  {line}")));
                }
                Value::Each(all) => {
                    lines.push(label);
                    for facts in all.iter().take(MAX_SHOWN) {
                        let mut start = "  - ";
                        for line in facts.lines() {
                            lines.push(format!("{start}{line}"));
                            start = "    ";
                        }
                    }
                    more(all.len(), &mut lines);
                }
            }
        }
        lines
            .iter()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }
}

impl Value {
    /// Whether it is shown on the line of its name.
    fn is_inline(&self) -> bool {
        match self {
            Self::Text(_) | Self::Number(_) | Self::Flag(_) => true,
            Self::List(values) => values.len() == 1,
            Self::Facts(_) | Self::Each(_) | Self::Map(_) => false,
        }
    }
}

fn more(count: usize, lines: &mut Vec<String>) {
    if count > MAX_SHOWN {
        lines.push(format!(
            "  … and {} more (all of them with --output json)",
            count - MAX_SHOWN
        ));
    }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        None => printable(text).into_owned(),
        Some((end, _)) => {
            format!("{}… ({} bytes in all)", printable(&text[..end]), text.len())
        }
    }
}

/// `logIndex` as `log index`, `sourceRepositoryURI` as `source repository URI`.
fn words(name: &str) -> String {
    let mut words = String::new();
    let characters: Vec<char> = name.chars().collect();
    for (index, &c) in characters.iter().enumerate() {
        let before = index.checked_sub(1).map(|i| characters[i]);
        let acronym = characters
            .get(index + 1)
            .is_none_or(|next| !next.is_lowercase())
            && (index + 1 < characters.len() || before.is_some_and(char::is_uppercase));
        if c.is_uppercase() && before.is_some_and(|b| b.is_lowercase() || b.is_ascii_digit()) {
            words.push(' ');
        }
        if c.is_uppercase() && !acronym && !before.is_some_and(char::is_uppercase) {
            words.extend(c.to_lowercase());
        } else {
            words.push(c);
        }
    }
    words
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(values) => values.serialize(serializer),
            Self::Facts(facts) => facts.serialize(serializer),
            Self::Each(all) => all.serialize(serializer),
            Self::Map(entries) => serializer.collect_map(entries.iter().map(|(k, v)| (k, v))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_words() {
        for (name, shown) in [
            ("kind", "kind"),
            ("logIndex", "log index"),
            ("sourceRepositoryURI", "source repository URI"),
            ("githubWorkflowSHA", "github workflow SHA"),
            ("sha256Fingerprint", "sha256 fingerprint"),
            ("URI", "URI"),
        ] {
            assert_eq!(words(name), shown);
        }
    }

    #[test]
    fn facts_are_lines_for_people_and_json_for_programs() {
        let mut inner = Facts::new();
        inner.text("name", "a\u{1b}b");
        inner.flag("isCa", true);
        let mut facts = Facts::new();
        facts.text("mediaType", "x/y");
        facts.number("size", 7);
        facts.list("names", vec!["one".into(), "two".into()]);
        facts.list("none", Vec::new());
        facts.each("certificates", vec![inner]);
        facts.map("annotations", [(&"a.B".to_owned(), &"c".to_owned())]);
        assert_eq!(
            facts.lines(),
            [
                "media type: x/y",
                "size:       7",
                "names:",
                "  - one",
                "  - two",
                "certificates:",
                "  - name:  a\\u{1b}b",
                "    is ca: yes",
                "annotations:",
                "  a.B: c",
            ]
        );
        assert_eq!(
            serde_json::to_string(&facts).unwrap(),
            "{\"mediaType\":\"x/y\",\"size\":7,\"names\":[\"one\",\"two\"],\
             \"certificates\":[{\"name\":\"a\\u001bb\",\"isCa\":true}],\"annotations\":{\"a.B\":\"c\"}}"
        );
    }

    #[test]
    fn long_values_and_lists_are_cut_for_people_only() {
        let mut facts = Facts::new();
        facts.text("text", "x".repeat(1000));
        facts.list("list", vec!["y".to_owned(); 60]);
        let lines = facts.lines();
        assert!(lines[0].ends_with("… (1000 bytes in all)") && lines[0].len() < 600);
        assert_eq!(
            lines.last().unwrap(),
            "  … and 10 more (all of them with --output json)"
        );
        assert!(serde_json::to_string(&facts).unwrap().len() > 1200);
    }
}
