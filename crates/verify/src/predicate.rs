//! What an attestation's predicate must say.
//!
//! Conditions are plain data: a path into the predicate's JSON and a test of what is there. They can be listed, explained
//! and compared, and they end: no loop, no state, no I/O.

use core::fmt;

use serde_json::Value;

use crate::policy::Match;

/// Values that one path can select; a predicate of many megabytes is not listed in an error.
const MAX_SELECTED: usize = 1_000_000;
/// Characters of a value that a message shows.
const MAX_SHOWN: usize = 120;

/// One thing that a predicate must say.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Where in the predicate: a JSON pointer (RFC 6901), in which `*` stands for every element of an array or every
    /// member of an object; then each of them must pass the test. Empty is the predicate itself.
    pub path: String,
    /// What must be true there.
    pub test: Test,
}

/// A test of a JSON value.
#[derive(Clone, Debug)]
pub enum Test {
    /// It is there, or it is not.
    Exists(bool),
    /// It is one of these values.
    OneOf(Vec<Value>),
    /// It is none of these values.
    NoneOf(Vec<Value>),
    /// It is a text that fits.
    Matches(Match),
    /// It is a number that is not smaller.
    AtLeast(f64),
    /// It is a number that is not larger.
    AtMost(f64),
    /// It is a time (RFC 3339), not in the future and not longer ago than so many seconds.
    MaxAge(i64),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path.as_str() {
            "" => "the predicate",
            path => path,
        };
        match &self.test {
            Test::Exists(true) => write!(f, "{path} there"),
            Test::Exists(false) => write!(f, "no {path}"),
            Test::OneOf(values) => write!(f, "{path} {}", list(values)),
            Test::NoneOf(values) => write!(f, "{path} not {}", list(values)),
            Test::Matches(text) => write!(f, "{path} {text}"),
            Test::AtLeast(number) => write!(f, "{path} at least {number}"),
            Test::AtMost(number) => write!(f, "{path} at most {number}"),
            Test::MaxAge(seconds) => {
                let (count, unit) = [(86_400, "d"), (3600, "h"), (60, "min")]
                    .into_iter()
                    .find(|(unit, _)| *seconds > 0 && seconds % unit == 0)
                    .map_or((*seconds, "s"), |(unit, name)| (seconds / unit, name));
                write!(f, "{path} at most {count} {unit} ago")
            }
        }
    }
}

fn list(values: &[Value]) -> String {
    let texts: Vec<_> = values.iter().map(ToString::to_string).collect();
    texts.join(" or ")
}

impl Condition {
    /// Whether the predicate passes. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// What is there instead, for people.
    pub(crate) fn check(&self, predicate: &Value, now: i64) -> Result<(), String> {
        let selected = select(predicate, &self.path)?;
        if let Test::Exists(wanted) = self.test {
            return match (wanted, selected.values.first(), selected.missing) {
                (true, _, Some(missing)) => Err(format!("no {missing}")),
                (true, None, None) => Err(format!("nothing at {}", self.path)),
                (false, Some(value), _) => Err(show(value)),
                _ => Ok(()),
            };
        }
        if let Some(missing) = selected.missing {
            // Also for values that are forbidden: a member that is spelt differently must not pass for harmless.
            return Err(format!("no {missing}"));
        }
        // "Each of nothing" is right of what is forbidden, and says nothing of what is demanded.
        if selected.values.is_empty() && !matches!(self.test, Test::NoneOf(_) | Test::AtMost(_)) {
            return Err(format!("nothing at {}", self.path));
        }
        match selected
            .values
            .iter()
            .find(|value| !self.test.passes(value, now))
        {
            Some(value) => Err(show(value)),
            None => Ok(()),
        }
    }
}

impl Test {
    fn passes(&self, value: &Value, now: i64) -> bool {
        match self {
            Self::Exists(wanted) => *wanted,
            Self::OneOf(values) => values.iter().any(|wanted| same(wanted, value)),
            Self::NoneOf(values) => !values.iter().any(|wanted| same(wanted, value)),
            Self::Matches(text) => value.as_str().is_some_and(|value| text.matches(value)),
            Self::AtLeast(least) => value.as_f64().is_some_and(|number| number >= *least),
            Self::AtMost(most) => value.as_f64().is_some_and(|number| number <= *most),
            Self::MaxAge(seconds) => value
                .as_str()
                .and_then(|text| text.parse::<jiff::Timestamp>().ok())
                .is_some_and(|time| {
                    let age = now.saturating_sub(time.as_second());
                    (0..=*seconds).contains(&age)
                }),
        }
    }
}

/// Equal as JSON: `1` and `1.0` are one number, as in JSON schema and JavaScript.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y || x.as_f64() == y.as_f64() && !both_integers(x, y)
        }
        _ => a == b,
    }
}

/// Integers are compared exactly: beyond 2^53 different ones have the same `f64`.
fn both_integers(x: &serde_json::Number, y: &serde_json::Number) -> bool {
    !x.is_f64() && !y.is_f64()
}

fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

struct Selected<'a> {
    values: Vec<&'a Value>,
    /// The first place that the path names and that is not there.
    missing: Option<String>,
}

fn select<'a>(predicate: &'a Value, path: &str) -> Result<Selected<'a>, String> {
    let mut selected = Selected {
        values: vec![predicate],
        missing: None,
    };
    let mut done = String::new();
    for step in steps(path) {
        done.push('/');
        done.push_str(&step);
        let mut next = Vec::new();
        for value in selected.values {
            match (value, step.as_str()) {
                (Value::Array(items), "*") => next.extend(items),
                (Value::Object(members), "*") => next.extend(members.values()),
                (value, step) => match lookup(value, step) {
                    Some(value) => next.push(value),
                    None => selected.missing = selected.missing.or_else(|| Some(done.clone())),
                },
            }
            if next.len() > MAX_SELECTED {
                return Err(format!("more than {MAX_SELECTED} values at {done}"));
            }
        }
        selected.values = next;
    }
    Ok(selected)
}

fn lookup<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    match value {
        Value::Array(items) => index_of(step).and_then(|index| items.get(index)),
        Value::Object(members) => members.get(step),
        _ => None,
    }
}

/// RFC 6901, section 4: digits without a leading zero.
fn index_of(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with('0');
    (plain && step.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| step.parse().ok())
        .flatten()
}

fn steps(path: &str) -> impl Iterator<Item = String> + '_ {
    path.strip_prefix('/')
        .into_iter()
        .flat_map(|rest| rest.split('/'))
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
}

/// Whether a path is a JSON pointer: empty, or starting with a slash.
///
/// # Errors
/// What a path looks like.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    let escapes_are_right = path
        .split('~')
        .skip(1)
        .all(|rest| rest.starts_with(['0', '1']));
    if (path.is_empty() || path.starts_with('/')) && escapes_are_right {
        return Ok(());
    }
    Err(format!(
        "{path:?} is not a JSON pointer, which looks like /buildDefinition/buildType or /packages/*/name"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// path, test, predicate, and what is found instead if it does not pass
    #[test]
    fn conditions() {
        let now = 1_700_000_000;
        let predicate = json!({
            "builder": {"id": "https://ci/1"},
            "vulns": [{"severity": "LOW", "score": 3}, {"severity": "HIGH", "score": 8.5}],
            "none": [],
            "big": 9_007_199_254_740_993_u64,
            "a/b": {"~": 1},
            "when": "2023-11-14T22:00:00Z",
            "mixed": [{"x": 1}, {"y": 2}],
        });
        let text = |values: &[&str]| values.iter().map(|v| json!(v)).collect::<Vec<_>>();
        let pattern = |text| Test::Matches(Match::pattern(text).expect("a pattern"));
        let table: Vec<(&str, Test, Option<&str>)> = vec![
            ("/builder/id", Test::OneOf(text(&["https://ci/1"])), None),
            (
                "/builder/id",
                Test::OneOf(text(&["https://ci/2"])),
                Some("\"https://ci/1\""),
            ),
            (
                "/builder/name",
                Test::OneOf(text(&["x"])),
                Some("no /builder/name"),
            ),
            (
                "/builder/id/x",
                Test::Exists(true),
                Some("no /builder/id/x"),
            ),
            ("/builder/name", Test::Exists(false), None),
            ("/builder/id", Test::Exists(false), Some("\"https://ci/1\"")),
            ("/vulns/*/severity", Test::NoneOf(text(&["CRITICAL"])), None),
            (
                "/vulns/*/severity",
                Test::NoneOf(text(&["HIGH"])),
                Some("\"HIGH\""),
            ),
            ("/vulns/*/score", Test::AtMost(8.5), None),
            ("/vulns/*/score", Test::AtMost(7.0), Some("8.5")),
            ("/vulns/*/severity", Test::AtLeast(0.0), Some("\"LOW\"")),
            ("/vulns/1/score", Test::OneOf(vec![json!(8.5)]), None),
            ("/vulns/01/score", Test::Exists(true), Some("no /vulns/01")),
            ("/vulns/0/score", Test::OneOf(vec![json!(3.0)]), None),
            // Of nothing, each is harmless, and none is what it should be. A member that is missing passes nothing.
            ("/none/*/x", Test::NoneOf(text(&["x"])), None),
            (
                "/none/*/x",
                Test::OneOf(text(&["x"])),
                Some("nothing at /none/*/x"),
            ),
            ("/none/*", Test::Exists(true), Some("nothing at /none/*")),
            ("/gone/*/x", Test::OneOf(text(&["x"])), Some("no /gone")),
            ("/gone/*/x", Test::NoneOf(text(&["x"])), Some("no /gone")),
            (
                "/mixed/*/x",
                Test::OneOf(vec![json!(1)]),
                Some("no /mixed/*/x"),
            ),
            (
                "/mixed/*/x",
                Test::NoneOf(vec![json!(2)]),
                Some("no /mixed/*/x"),
            ),
            (
                "/big",
                Test::OneOf(vec![json!(9_007_199_254_740_992_u64)]),
                Some("9007199254740993"),
            ),
            ("/a~1b/~0", Test::OneOf(vec![json!(1)]), None),
            ("/builder/id", pattern("^https://ci/"), None),
            ("/builder/id", pattern("^http://"), Some("\"https://ci/1\"")),
            ("/big", pattern("9"), Some("9007199254740993")),
            ("/when", Test::MaxAge(3600), None),
            ("/when", Test::MaxAge(600), Some("\"2023-11-14T22:00:00Z\"")),
        ];
        for (path, test, found) in table {
            let condition = Condition {
                path: path.to_owned(),
                test,
            };
            assert_eq!(
                condition.check(&predicate, now).err().as_deref(),
                found,
                "{condition}"
            );
        }
    }

    #[test]
    fn a_time_in_the_future_is_not_fresh() {
        let condition = Condition {
            path: String::new(),
            test: Test::MaxAge(10),
        };
        assert!(
            condition
                .check(&json!("2023-11-14T22:13:21Z"), 1_700_000_000)
                .is_err()
        );
    }

    #[test]
    fn paths_are_json_pointers() {
        for good in ["", "/", "/a/b", "/a~0b/~1", "/*/x"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in ["a", "a/b", "$.a", "/a~b", "/a~"] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }
}
