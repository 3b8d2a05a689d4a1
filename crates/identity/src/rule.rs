//! Rules on claims: which tokens of an issuer get a certificate.
//!
//! Whoever trusts GitHub's issuer trusts every workflow of every user of GitHub. A rule says which are meant:
//!
//! ```
//! # use sealmark_identity::Rule;
//! Rule::parse(r#"repository_owner == "acme" && ref in ["refs/heads/main", "refs/heads/stable"]"#)?;
//! Rule::parse(r#"sub matches "repo:acme/.*" && !(event_name == "pull_request_target")"#)?;
//! # Ok::<(), sealmark_identity::RuleError>(())
//! ```
//!
//! A claim is its name, with dots for what is inside (`federated_claims.connector_id`), or `claim["any.name"]`. Values
//! are texts, numbers, `true` and `false`. `==`, `!=`, `in` (a list here, or a claim that is a list), `matches` (a
//! regular expression over the whole text), `&&`, `||`, `!` and parentheses. A claim that is missing equals nothing and
//! matches nothing: also `!=` is false for it, so that a rule never holds because a token says less.

use std::collections::BTreeSet;
use std::fmt;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::Claims;

/// The deepest nesting.
const MAX_DEPTH: usize = 32;
/// The longest rule, in bytes.
const MAX_LENGTH: usize = 4096;
/// The most memory that a regular expression may take, compiled.
const MAX_REGEX: usize = 1 << 20;

/// Why a rule is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{rule:?} is not a rule: {reason}")]
pub struct RuleError {
    rule: String,
    reason: String,
}

/// A condition on the claims of a token.
#[derive(Clone, Debug)]
pub struct Rule {
    text: String,
    condition: Condition,
}

#[derive(Clone, Debug)]
enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Equal(Operand, Operand),
    Different(Operand, Operand),
    In(Operand, Operand),
    Matches(Operand, Regex),
    True(Operand),
}

#[derive(Clone, Debug)]
enum Operand {
    Claim(Vec<String>),
    Value(Value),
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// What cannot be understood, and where.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let wrong = |reason: String| RuleError {
            rule: sealmark_formats::excerpt(text.to_owned()),
            reason,
        };
        if text.len() > MAX_LENGTH {
            return Err(wrong(format!("it has more than {MAX_LENGTH} bytes")));
        }
        let tokens = tokens(text).map_err(wrong)?;
        let mut parser = Parser {
            tokens: &tokens,
            at: 0,
        };
        let condition = parser.any(0).map_err(wrong)?;
        match parser.next() {
            None => Ok(Self {
                text: text.to_owned(),
                condition,
            }),
            Some(token) => Err(wrong(format!("{token} is not expected"))),
        }
    }

    /// The names of the claims that it is about.
    pub(crate) fn claims(&self) -> BTreeSet<String> {
        let mut claims = BTreeSet::new();
        self.condition.claims(&mut claims);
        claims
    }

    /// Whether the rule holds.
    pub fn holds(&self, claims: &Claims) -> bool {
        self.condition.holds(claims)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Condition {
    fn claims(&self, into: &mut BTreeSet<String>) {
        let mut operand = |operand: &Operand| {
            if let Operand::Claim(path) = operand {
                into.extend(path.first().cloned());
            }
        };
        match self {
            Self::All(all) | Self::Any(all) => all.iter().for_each(|one| one.claims(into)),
            Self::Not(inner) => inner.claims(into),
            Self::Equal(a, b) | Self::Different(a, b) | Self::In(a, b) => {
                operand(a);
                operand(b);
            }
            Self::Matches(a, _) | Self::True(a) => operand(a),
        }
    }

    fn holds(&self, claims: &Claims) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(claims)),
            Self::Any(any) => any.iter().any(|one| one.holds(claims)),
            Self::Not(inner) => inner.is_decidable(claims) && !inner.holds(claims),
            Self::Equal(a, b) => both(a, b, claims).is_some_and(|(a, b)| same(a, b)),
            Self::Different(a, b) => both(a, b, claims).is_some_and(|(a, b)| !same(a, b)),
            Self::In(a, b) => both(a, b, claims).is_some_and(|(one, list)| {
                let list = list.as_array();
                list.is_some_and(|list| list.iter().any(|item| same(one, item)))
            }),
            Self::Matches(a, regex) => a
                .value(claims)
                .and_then(Value::as_str)
                .is_some_and(|text| regex.is_match(text)),
            Self::True(a) => a.value(claims).is_some_and(is_true),
        }
    }

    /// Whether every claim that it is about is there: `!(a == "b")` is not true for a token without `a`.
    fn is_decidable(&self, claims: &Claims) -> bool {
        match self {
            Self::All(all) | Self::Any(all) => all.iter().all(|one| one.is_decidable(claims)),
            Self::Not(inner) => inner.is_decidable(claims),
            Self::Equal(a, b) | Self::Different(a, b) | Self::In(a, b) => {
                both(a, b, claims).is_some()
            }
            Self::Matches(a, _) | Self::True(a) => a.value(claims).is_some(),
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, claims: &'a Claims) -> Option<&'a Value> {
        match self {
            Self::Claim(path) => claims.at(path).filter(|value| !value.is_null()),
            Self::Value(value) => Some(value),
        }
    }
}

fn both<'a>(a: &'a Operand, b: &'a Operand, claims: &'a Claims) -> Option<(&'a Value, &'a Value)> {
    Some((a.value(claims)?, b.value(claims)?))
}

/// Numbers are compared as numbers: 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// Some issuers write booleans as texts.
fn is_true(value: &Value) -> bool {
    value == &Value::Bool(true) || value == "true"
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Value(Value),
    Symbol(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?}"),
            Self::Value(value) => write!(f, "{value}"),
            Self::Symbol(symbol) => write!(f, "{symbol:?}"),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    const SYMBOLS: [&str; 10] = ["==", "!=", "&&", "||", "!", "(", ")", "[", "]", ","];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(start) = rest.chars().next() {
        let length = if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol))
        {
            tokens.push(Token::Symbol(symbol));
            symbol.len()
        } else if start == '"' {
            let length = quoted(rest).ok_or("a text in quotes has no end")?;
            let value = serde_json::from_str(&rest[..length]).map_err(|_| {
                let text = &rest[..length];
                format!("{text} has an escape that JSON does not know")
            })?;
            tokens.push(Token::Value(value));
            length
        } else if start.is_ascii_digit() || start == '-' {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
            let word = &rest[..length.unwrap_or(rest.len())];
            let number = serde_json::from_str::<serde_json::Number>(word);
            let number = number.map_err(|_| format!("{word:?} is not a number"))?;
            tokens.push(Token::Value(Value::Number(number)));
            word.len()
        } else if start.is_ascii_alphabetic() || start == '_' {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c)));
            let word = &rest[..length.unwrap_or(rest.len())];
            tokens.push(match word {
                "true" => Token::Value(Value::Bool(true)),
                "false" => Token::Value(Value::Bool(false)),
                _ => Token::Name(word.to_owned()),
            });
            word.len()
        } else {
            return Err(format!("{start:?} is not expected"));
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// The length of a text in quotes, with them.
fn quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map(|end| end + 2)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at);
        self.at += 1;
        token
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Symbol(it)) if *it == symbol);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Name(it)) if it == word);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<Condition, String> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deep".to_owned());
        }
        let mut any = vec![self.all(depth)?];
        while self.take("||") {
            any.push(self.all(depth)?);
        }
        Ok(match any.len() {
            1 => any.remove(0),
            _ => Condition::Any(any),
        })
    }

    fn all(&mut self, depth: usize) -> Result<Condition, String> {
        let mut all = vec![self.one(depth)?];
        while self.take("&&") {
            all.push(self.one(depth)?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Condition::All(all),
        })
    }

    fn one(&mut self, depth: usize) -> Result<Condition, String> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deep".to_owned());
        }
        if self.take("!") {
            return Ok(Condition::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.any(depth + 1)?;
            return match self.take(")") {
                true => Ok(inner),
                false => Err("a parenthesis is not closed".to_owned()),
            };
        }
        let left = self.operand()?;
        if self.take("==") {
            return Ok(Condition::Equal(left, self.operand()?));
        }
        if self.take("!=") {
            return Ok(Condition::Different(left, self.operand()?));
        }
        if self.take_word("in") {
            return Ok(Condition::In(left, self.operand()?));
        }
        if self.take_word("matches") {
            let Some(Token::Value(Value::String(pattern))) = self.next() else {
                return Err("\"matches\" wants a regular expression in quotes".to_owned());
            };
            let regex = RegexBuilder::new(&format!("^(?:{pattern})$"))
                .size_limit(MAX_REGEX)
                .build();
            // The message has lines with arrows; the last says what is wrong.
            return regex
                .map(|regex| Condition::Matches(left, regex))
                .map_err(|error| {
                    let reason = error.to_string();
                    let reason = reason.lines().last().unwrap_or_default();
                    format!("{pattern:?} is not a regular expression: {reason}")
                });
        }
        Ok(Condition::True(left))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        match self.next() {
            None => Err("it ends too early".to_owned()),
            Some(Token::Value(value)) => Ok(Operand::Value(value.clone())),
            Some(Token::Symbol("[")) => self.list(),
            Some(Token::Name(name)) if name == "claim" && self.take("[") => match self.next() {
                Some(Token::Value(Value::String(name))) if self.take("]") => {
                    Ok(Operand::Claim(vec![name.clone()]))
                }
                _ => Err("a claim is written as claim[\"name\"]".to_owned()),
            },
            Some(Token::Name(name)) => {
                Ok(Operand::Claim(name.split('.').map(str::to_owned).collect()))
            }
            Some(token) => Err(format!("{token} is not expected")),
        }
    }

    fn list(&mut self) -> Result<Operand, String> {
        let mut items = Vec::new();
        while !self.take("]") {
            if !items.is_empty() && !self.take(",") {
                return Err("a list is not closed".to_owned());
            }
            match self.next() {
                Some(Token::Value(value)) => items.push(value.clone()),
                _ => return Err("a list has texts and numbers, with commas between".to_owned()),
            }
        }
        Ok(Operand::Value(Value::Array(items)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn claims() -> Claims {
        let claims = json!({
            "repository_owner": "acme", "ref": "refs/heads/main", "run_attempt": 1,
            "email_verified": true, "verified": "true", "groups": ["dev", "release"],
            "federated_claims": {"connector_id": "github"}, "https://a.b/c": "x", "nothing": null,
        });
        Claims::new(claims.as_object().unwrap().clone())
    }

    #[test]
    fn rules_hold_or_not() {
        for (rule, holds) in [
            (r#"repository_owner == "acme""#, true),
            (r#"repository_owner == "acme2""#, false),
            (r#"repository_owner != "acme""#, false),
            (r#"missing == "acme""#, false),
            (r#"missing != "acme""#, false),
            (r#"!(missing == "acme")"#, false),
            (r#"nothing != "acme""#, false),
            (r#"ref matches "refs/heads/(main|stable)""#, true),
            (r#"ref matches "heads""#, false),
            (r#"ref matches "refs/heads/main|evil""#, true),
            (r#"repository_owner matches "ac|me""#, false),
            (r#"ref in ["a", "refs/heads/main"]"#, true),
            (r#""release" in groups"#, true),
            (r#""root" in groups"#, false),
            ("run_attempt == 1.0", true),
            ("email_verified && verified", true),
            ("missing || email_verified", true),
            ("!email_verified", false),
            (r#"federated_claims.connector_id == "github""#, true),
            (r#"claim["https://a.b/c"] == "x""#, true),
            (
                r#"(ref == "a" || repository_owner == "acme") && run_attempt != 2"#,
                true,
            ),
            (
                r#"ref == "a" || repository_owner == "acme" && run_attempt == 2"#,
                false,
            ),
            ("true", true),
            ("false", false),
        ] {
            assert_eq!(Rule::parse(rule).unwrap().holds(&claims()), holds, "{rule}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_reason() {
        for (rule, reason) in [
            ("", "it ends too early"),
            ("a ==", "it ends too early"),
            ("a = b", "'=' is not expected"),
            ("a == b c", "\"c\" is not expected"),
            ("(a", "not closed"),
            (r#"a == "b"#, "no end"),
            (r#"a matches "(""#, "not a regular expression"),
            ("a matches b", "in quotes"),
            ("a in [b]", "texts and numbers"),
            ("a == 1x", "not a number"),
            (r#"claim["a" == 1"#, "claim[\"name\"]"),
        ] {
            let error = Rule::parse(rule).unwrap_err().to_string();
            assert!(error.contains(reason), "{rule}: {error}");
        }
        let deep = "(".repeat(1000) + "a" + &")".repeat(1000);
        assert!(
            Rule::parse(&deep)
                .unwrap_err()
                .to_string()
                .contains("too deep")
        );
        assert!(Rule::parse(&"!".repeat(1000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z\"!=&|()\\[\\], .0-9\\\\é]{0,60}") {
            if let Ok(rule) = Rule::parse(&text) {
                rule.holds(&claims());
            }
        }
    }
}
