//! What a CI provider's claims become: the part of Go's `text/template` that Fulcio's configurations use.
//! <https://pkg.go.dev/text/template>
//!
//! A text without `{{` is the name of a claim. What is read: fields (`.name`), `index . "name"`, texts, `eq`, `ne`,
//! `not`, `and`, `or`, `printf "%s"`-free parentheses, `if`, `else if`, `else`, `end`, and `-` that trims. Everything
//! else is refused when the configuration is read, not when somebody waits for a certificate.

use std::collections::BTreeMap;

/// The deepest nesting of `if` and parentheses.
const MAX_DEPTH: usize = 16;
/// The longest result, in bytes: what becomes a name or an extension of a certificate.
const MAX_RESULT: usize = 4096;

/// A template that was understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Template {
    /// The name of a claim.
    Claim(String),
    Nodes(Vec<Node>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Value(Value),
    If {
        branches: Vec<(Value, Vec<Self>)>,
        otherwise: Vec<Self>,
    },
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Claim(String),
    Equal(Vec<Self>),
    Different(Vec<Self>),
    Not(Vec<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl Template {
    /// # Errors
    /// What cannot be understood.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if !text.contains("{{") {
            return Ok(Self::Claim(text.to_owned()));
        }
        let mut parser = Parser {
            pieces: pieces(text)?.into_iter().peekable(),
        };
        let (nodes, end) = parser.nodes(0)?;
        match end {
            None => Ok(Self::Nodes(nodes)),
            Some(word) => Err(format!("there is {word:?} without an \"if\"")),
        }
    }

    /// The names of the claims that it is about.
    pub(crate) fn claims<'a>(&'a self, into: &mut Vec<&'a str>) {
        match self {
            Self::Claim(name) => into.push(name),
            Self::Nodes(nodes) => claims(nodes, into),
        }
    }

    /// # Errors
    /// The name of a claim that is missing, or that the result is too long.
    pub(crate) fn fill(&self, data: &BTreeMap<String, String>) -> Result<String, String> {
        let mut out = String::new();
        match self {
            Self::Claim(name) => out.push_str(claim(data, name)?),
            Self::Nodes(nodes) => fill(nodes, data, &mut out)?,
        }
        match out.len() {
            ..=MAX_RESULT => Ok(out),
            length => Err(format!(
                "the result has {length} bytes, at most {MAX_RESULT} are allowed"
            )),
        }
    }
}

fn claim<'a>(data: &'a BTreeMap<String, String>, name: &str) -> Result<&'a str, String> {
    data.get(name)
        .map(String::as_str)
        .ok_or_else(|| format!("the token has no {name:?}"))
}

fn claims<'a>(nodes: &'a [Node], into: &mut Vec<&'a str>) {
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Value(value) => value.claims(into),
            Node::If {
                branches,
                otherwise,
            } => {
                for (condition, nodes) in branches {
                    condition.claims(into);
                    claims(nodes, into);
                }
                claims(otherwise, into);
            }
        }
    }
}

fn fill(nodes: &[Node], data: &BTreeMap<String, String>, out: &mut String) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Value(value) => out.push_str(&value.evaluate(data)?),
            Node::If {
                branches,
                otherwise,
            } => {
                let mut chosen = otherwise;
                for (condition, nodes) in branches {
                    if is_true(&condition.evaluate(data)?) {
                        chosen = nodes;
                        break;
                    }
                }
                fill(chosen, data, out)?;
            }
        }
    }
    Ok(())
}

/// All values are texts; those of comparisons are `true` and `false`. Go takes every text but the empty one for true.
fn is_true(text: &str) -> bool {
    !text.is_empty() && text != "false"
}

impl Value {
    fn claims<'a>(&'a self, into: &mut Vec<&'a str>) {
        match self {
            Self::Text(_) => {}
            Self::Claim(name) => into.push(name),
            Self::Equal(values)
            | Self::Different(values)
            | Self::Not(values)
            | Self::All(values)
            | Self::Any(values) => values.iter().for_each(|value| value.claims(into)),
        }
    }

    fn evaluate(&self, data: &BTreeMap<String, String>) -> Result<String, String> {
        let all = |values: &[Self]| -> Result<Vec<String>, String> {
            values.iter().map(|value| value.evaluate(data)).collect()
        };
        let truth = |value: bool| Ok(value.to_string());
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Claim(name) => claim(data, name).map(str::to_owned),
            // `eq a b c`: a is b or c.
            Self::Equal(values) => {
                let values = all(values)?;
                truth(values[1..].contains(&values[0]))
            }
            Self::Different(values) => {
                let values = all(values)?;
                truth(values[0] != values[1])
            }
            Self::Not(values) => truth(!is_true(&all(values)?[0])),
            Self::All(values) => first(values, data, |value| !is_true(value)),
            Self::Any(values) => first(values, data, is_true),
        }
    }
}

/// The first value that decides, or the last: so Go's `and` and `or` have it.
fn first(
    values: &[Value],
    data: &BTreeMap<String, String>,
    decides: impl Fn(&str) -> bool,
) -> Result<String, String> {
    let mut last = String::new();
    for value in values {
        last = value.evaluate(data)?;
        if decides(&last) {
            break;
        }
    }
    Ok(last)
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Action(Vec<Word>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Word {
    Name(String),
    Field(String),
    Dot,
    Text(String),
    Open,
    Close,
}

/// Splits into texts and actions.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim = false;
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, behind) = after
            .split_once("}}")
            .ok_or("an action has no end: \"}}\" is missing")?;
        let mut before = if trim { before.trim_start() } else { before };
        let action = match action.strip_prefix("- ") {
            Some(action) => {
                before = before.trim_end();
                action
            }
            None => action,
        };
        let (action, trims) = match action.strip_suffix(" -") {
            Some(action) => (action, true),
            None => (action, false),
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Action(words(action)?));
        (rest, trim) = (behind, trims);
    }
    let rest = if trim { rest.trim_start() } else { rest };
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn words(action: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = action.trim_start();
    while let Some(start) = rest.chars().next() {
        let length = match start {
            '(' => {
                words.push(Word::Open);
                1
            }
            ')' => {
                words.push(Word::Close);
                1
            }
            '"' | '`' => {
                let end = rest[1..].find(start).ok_or("a text in quotes has no end")?;
                let text = &rest[1..=end];
                if start == '"' && text.contains('\\') {
                    return Err("escapes in texts are not supported".to_owned());
                }
                words.push(Word::Text(text.to_owned()));
                end + 2
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "()\"`".contains(c));
                let word = &rest[..end.unwrap_or(rest.len())];
                words.push(match word.strip_prefix('.') {
                    Some("") => Word::Dot,
                    Some(name) if !name.contains('.') => Word::Field(name.to_owned()),
                    Some(_) => return Err(format!("{word:?} is not supported: claims are texts")),
                    None => Word::Name(word.to_owned()),
                });
                word.len()
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

struct Parser<I: Iterator<Item = Piece>> {
    pieces: std::iter::Peekable<I>,
}

impl<I: Iterator<Item = Piece>> Parser<I> {
    /// Nodes up to the end, or to the action that ends them, which is given, too: `end`, `else`, or a condition after
    /// `else if` in [`Parser::branches`].
    fn nodes(&mut self, depth: usize) -> Result<(Vec<Node>, Option<String>), String> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deep".to_owned());
        }
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.peek() {
            let words = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.clone()));
                    self.pieces.next();
                    continue;
                }
                Piece::Action(words) => words.clone(),
            };
            match words.first() {
                Some(Word::Name(name)) if name == "end" || name == "else" => {
                    return Ok((nodes, Some(name.clone())));
                }
                Some(Word::Name(name)) if name == "if" => {
                    self.pieces.next();
                    nodes.push(self.branches(&words[1..], depth)?);
                }
                _ => {
                    self.pieces.next();
                    nodes.push(Node::Value(value(&words)?));
                }
            }
        }
        Ok((nodes, None))
    }

    fn branches(&mut self, condition: &[Word], depth: usize) -> Result<Node, String> {
        let mut branches = Vec::new();
        let mut condition = Some(value(condition)?);
        let mut otherwise = Vec::new();
        loop {
            let (nodes, _) = self.nodes(depth + 1)?;
            match condition.take() {
                Some(condition) => branches.push((condition, nodes)),
                None => otherwise = nodes,
            }
            let Some(Piece::Action(words)) = self.pieces.next() else {
                return Err("an \"if\" has no \"end\"".to_owned());
            };
            let name = |at: usize, name: &str| words.get(at) == Some(&Word::Name(name.to_owned()));
            if name(0, "end") && words.len() == 1 {
                return Ok(Node::If {
                    branches,
                    otherwise,
                });
            }
            if !otherwise.is_empty() || !name(0, "else") {
                return Err("after \"else\" only \"end\" may follow".to_owned());
            }
            if name(1, "if") {
                condition = Some(value(&words[2..])?);
            } else if words.len() > 1 {
                return Err("after \"else\" only \"if\" may follow".to_owned());
            }
        }
    }
}

/// One value that takes all the words.
fn value(words: &[Word]) -> Result<Value, String> {
    let mut rest = words;
    let value = call(&mut rest, 0)?;
    match rest {
        [] => Ok(value),
        _ => Err("there is something after the end of a value".to_owned()),
    }
}

/// A function with what it is applied to, or a single operand.
fn call(rest: &mut &[Word], depth: usize) -> Result<Value, String> {
    let Some((Word::Name(function), after)) = rest.split_first() else {
        return operand(rest, depth);
    };
    *rest = after;
    if function == "index" {
        let (Some(Word::Dot), Some(Word::Text(name))) = (rest.first(), rest.get(1)) else {
            return Err("\"index\" is supported as: index . \"claim\"".to_owned());
        };
        let value = Value::Claim(name.clone());
        *rest = &rest[2..];
        return Ok(value);
    }
    let mut operands = Vec::new();
    while !matches!(rest.first(), None | Some(Word::Close)) {
        operands.push(operand(rest, depth)?);
    }
    let count = operands.len();
    let value = match function.as_str() {
        "eq" if count >= 2 => Value::Equal(operands),
        "ne" if count == 2 => Value::Different(operands),
        "not" if count == 1 => Value::Not(operands),
        "and" if count >= 1 => Value::All(operands),
        "or" if count >= 1 => Value::Any(operands),
        "eq" | "ne" | "not" | "and" | "or" => {
            return Err(format!("{function:?} has {count} operands"));
        }
        _ => return Err(format!("the function {function:?} is not supported")),
    };
    Ok(value)
}

fn operand(rest: &mut &[Word], depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err("it is nested too deep".to_owned());
    }
    let Some((word, after)) = rest.split_first() else {
        return Err("an action is empty".to_owned());
    };
    *rest = after;
    Ok(match word {
        Word::Text(text) => Value::Text(text.clone()),
        Word::Field(name) => Value::Claim(name.clone()),
        Word::Open => {
            let value = call(rest, depth + 1)?;
            let Some((Word::Close, after)) = rest.split_first() else {
                return Err("a parenthesis is not closed".to_owned());
            };
            *rest = after;
            value
        }
        Word::Name(name) => return Err(format!("{name:?} is not supported here")),
        Word::Dot => return Err("\".\" alone is not supported".to_owned()),
        Word::Close => return Err("a parenthesis is closed that was not opened".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data() -> BTreeMap<String, String> {
        let pairs = [
            ("url", "https://github.com"),
            ("repository", "acme/app"),
            ("ref", "v1"),
            ("ref_type", "tag"),
            ("empty", ""),
            ("oidc.circleci.com/project-id", "p1"),
        ];
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn templates_are_filled_as_go_fills_them() {
        for (template, result) in [
            ("repository", "acme/app"),
            (
                "{{ .url }}/{{ .repository }}",
                "https://github.com/acme/app",
            ),
            ("{{.url}}", "https://github.com"),
            (
                r#"refs/{{if eq .ref_type "branch"}}heads/{{ else }}tags/{{end}}{{ .ref }}"#,
                "refs/tags/v1",
            ),
            (
                r#"{{if eq .ref_type "branch"}}a{{else if eq .ref_type "x" "tag"}}b{{else}}c{{end}}"#,
                "b",
            ),
            (r#"{{(index . "oidc.circleci.com/project-id")}}"#, "p1"),
            (r#"{{ index . "url" }}"#, "https://github.com"),
            ("{{if .empty}}yes{{else}}no{{end}}", "no"),
            ("{{if not .empty}}yes{{end}}", "yes"),
            (r#"{{if and .url (ne .ref "v2")}}yes{{end}}"#, "yes"),
            ("{{or .empty .ref}}", "v1"),
            ("a  {{- .ref -}}  b", "av1b"),
            (r#"{{if eq .ref "x"}}a{{end}}"#, ""),
        ] {
            let parsed = Template::parse(template).unwrap();
            assert_eq!(parsed.fill(&data()).unwrap(), result, "{template}");
        }
    }

    #[test]
    fn a_claim_that_is_missing_is_named() {
        for template in ["nothing", "{{ .nothing }}", r#"{{index . "nothing"}}"#] {
            let error = Template::parse(template).unwrap().fill(&data());
            assert_eq!(error.unwrap_err(), r#"the token has no "nothing""#);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_when_it_is_read() {
        for (template, reason) in [
            ("{{ .a", "\"}}\" is missing"),
            ("{{ }}", "empty"),
            ("{{ if .a }}x", "no \"end\""),
            ("{{ end }}", "without an \"if\""),
            ("{{ range .a }}{{end}}", "\"range\""),
            ("{{ .a | html }}", "after the end"),
            ("{{ .a.b }}", "not supported"),
            ("{{ eq .a }}", "1 operands"),
            ("{{ (eq .a .b }}", "not closed"),
            (r#"{{ "a\n" }}"#, "escapes"),
            ("{{ if .a }}x{{else}}y{{else}}z{{end}}", "only \"end\""),
        ] {
            let error = Template::parse(template).unwrap_err();
            assert!(error.contains(reason), "{template}: {error}");
        }
        let deep = "{{if .a}}".repeat(100) + &"{{end}}".repeat(100);
        assert!(Template::parse(&deep).unwrap_err().contains("too deep"));
        let deep = format!("{{{{{}.a{}}}}}", "(".repeat(100), ")".repeat(100));
        assert!(Template::parse(&deep).unwrap_err().contains("too deep"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}. a-z()\"`\\-]{0,60}", inner in "[. a-z()\"-]{0,40}") {
            for text in [text, format!("{{{{{inner}}}}}{{{{end}}}}"), format!("{{{{if {inner}}}}}x{{{{else}}}}y{{{{end}}}}")] {
                if let Ok(template) = Template::parse(&text) {
                    let _ = template.fill(&data());
                }
            }
        }
    }
}
