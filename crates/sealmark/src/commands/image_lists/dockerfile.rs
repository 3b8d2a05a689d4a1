//! The images that a Dockerfile builds on: of `FROM`, `COPY --from` and `RUN --mount=from`, but not its own stages.
//!
//! <https://docs.docker.com/reference/dockerfile/>

use std::collections::BTreeMap;

use super::add;

/// The images of a Dockerfile.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Images {
    /// All of them, in the order of the file, each once.
    pub(super) all: Vec<String>,
    /// The one that the last stage builds on, through other stages if it does; none if that is `scratch`.
    pub(super) base: Option<String>,
}

/// A stage: its name, and the image that it builds on in the end.
struct Stage {
    name: Option<String>,
    base: Option<String>,
}

/// Finds them; `argument` gives the value of an `ARG` that is not the file's own.
///
/// # Errors
/// If a name cannot be told: an `ARG` that has no value.
pub(super) fn images(
    text: &str,
    argument: &dyn Fn(&str) -> Option<String>,
) -> Result<Images, String> {
    let mut found = Images::default();
    // Arguments before the first FROM are those that FROM knows.
    let mut arguments: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: Vec<Stage> = Vec::new();
    for (line, instruction) in instructions(text) {
        let at = |reason: String| format!("line {line}: {reason}");
        let (word, rest) = instruction
            .split_once(char::is_whitespace)
            .unwrap_or((&instruction, ""));
        match word.to_ascii_uppercase().as_str() {
            "ARG" if stages.is_empty() => {
                for text in rest.split_whitespace() {
                    let (name, default) = match text.split_once('=') {
                        Some((name, default)) => (name, Some(unquoted(default))),
                        None => (text, None),
                    };
                    let value = match (argument(name), default) {
                        (Some(value), _) => Some(value),
                        (None, Some(default)) => Some(expand(default, &arguments).map_err(at)?),
                        (None, None) => None,
                    };
                    arguments.extend(value.map(|value| (name.to_owned(), value)));
                }
            }
            "FROM" => {
                let words: Vec<&str> = rest
                    .split_whitespace()
                    .skip_while(|word| word.starts_with("--"))
                    .collect();
                let (image, name) = match words.as_slice() {
                    [image] => (image, None),
                    [image, word, name] if word.eq_ignore_ascii_case("as") => {
                        (image, Some(name.to_ascii_lowercase()))
                    }
                    _ => return Err(at(format!("FROM {rest:?}: an image is expected"))),
                };
                let image = expand(unquoted(image), &arguments).map_err(at)?;
                let base = match stage(&stages, &image, false) {
                    Some(stage) => stage.base.clone(),
                    None if image == "scratch" => None,
                    None if image.is_empty() => {
                        return Err(at(format!("FROM {rest}: the image is empty")));
                    }
                    None => {
                        add(&mut found.all, &image);
                        Some(image)
                    }
                };
                found.base.clone_from(&base);
                stages.push(Stage { name, base });
            }
            "COPY" | "ADD" | "RUN" => {
                for image in others(rest) {
                    let image = expand(unquoted(image), &arguments).map_err(at)?;
                    if stage(&stages, &image, true).is_none() && image != "scratch" {
                        add(&mut found.all, &image);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The earlier stage of this name, or number: `COPY --from` takes both, `FROM` a name alone.
fn stage<'a>(stages: &'a [Stage], name: &str, by_number: bool) -> Option<&'a Stage> {
    let lower = name.to_ascii_lowercase();
    let named = stages
        .iter()
        .rev()
        .find(|stage| stage.name.as_deref() == Some(lower.as_str()));
    let numbered = || stages.get(name.parse::<usize>().ok()?);
    named.or_else(|| by_number.then(numbered).flatten())
}

/// The images in flags: `--from=IMAGE`, `--mount=type=bind,from=IMAGE`.
fn others(rest: &str) -> Vec<&str> {
    let mut images = Vec::new();
    for word in rest
        .split_whitespace()
        .take_while(|word| word.starts_with("--"))
    {
        if let Some(image) = word.strip_prefix("--from=") {
            images.push(image);
        } else if let Some(mount) = word.strip_prefix("--mount=") {
            let parts = mount.split(',').map(|part| part.trim_matches('"'));
            images.extend(parts.filter_map(|part| part.strip_prefix("from=")));
        }
    }
    images
}

/// Instructions with the number of their first line: comments left out, continued lines joined, here-documents skipped.
fn instructions(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut document: Option<String> = None;
    let escape = escape(text);
    for (line, number) in text.lines().zip(1..) {
        if let Some(end) = &document {
            if line.trim() == end {
                document = None;
            }
            continue;
        }
        let trimmed = line.trim();
        if trimmed.starts_with('#') || trimmed.is_empty() {
            continue;
        }
        let (start, mut instruction) = open.take().unwrap_or((number, String::new()));
        match trimmed.strip_suffix(escape) {
            Some(more) => {
                instruction.push_str(more);
                instruction.push(' ');
                open = Some((start, instruction));
            }
            None => {
                instruction.push_str(trimmed);
                let first = instruction.split_whitespace().next().unwrap_or_default();
                let takes_documents = ["RUN", "COPY", "ADD"];
                if takes_documents
                    .iter()
                    .any(|word| word.eq_ignore_ascii_case(first))
                {
                    document = here_document(&instruction)
                        .filter(|end| text.lines().skip(number).any(|line| line.trim() == end));
                }
                found.push((start, instruction));
            }
        }
    }
    found.extend(open);
    found
}

/// `# escape=` of the directives at the top.
fn escape(text: &str) -> char {
    text.lines()
        .map_while(|line| line.trim().strip_prefix('#'))
        .filter_map(|line| line.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("escape"))
        .and_then(|(_, value)| value.trim().chars().next())
        .unwrap_or('\\')
}

/// The word that ends a here-document.
fn here_document(instruction: &str) -> Option<String> {
    let (_, after) = instruction.split_once("<<")?;
    let after = after.strip_prefix('-').unwrap_or(after);
    let word: String = after
        .trim_start_matches(['"', '\''])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}

fn unquoted(text: &str) -> &str {
    let inner = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+value}`.
fn expand(text: &str, arguments: &BTreeMap<String, String>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, modifier, after) = match after.strip_prefix('{') {
            Some(inner) => {
                let (inner, after) = inner
                    .split_once('}')
                    .ok_or_else(|| format!("{text:?}: a }} is missing"))?;
                match inner.split_once(':') {
                    Some((name, modifier)) => (name, Some(modifier), after),
                    None => (inner, None, after),
                }
            }
            None => {
                let end = after
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(after.len());
                (&after[..end], None, &after[end..])
            }
        };
        let value = arguments.get(name).filter(|value| !value.is_empty());
        match (modifier.map(|it| it.split_at_checked(1)), value) {
            (None | Some(Some(("-", _))), Some(value)) => expanded.push_str(value),
            (Some(Some(("-", other))), None) | (Some(Some(("+", other))), Some(_)) => {
                expanded.push_str(other);
            }
            (Some(Some(("+", _))), None) => {}
            (None, None) => {
                return Err(format!(
                    "{text:?}: {name} has no value; give it with --build-arg {name}=…"
                ));
            }
            _ => return Err(format!("{text:?}: only :- and :+ are known after a name")),
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Images {
        let argument = |name: &str| (name == "GIVEN").then(|| "given".to_owned());
        images(text, &argument).unwrap()
    }

    #[test]
    fn images_are_found_and_stages_are_not() {
        let text = r#"# syntax=docker/dockerfile:1
ARG TAG=v1
ARG GIVEN=default
ARG BASE="example.com/base:${TAG}"
FROM --platform=$BUILDPLATFORM example.com/build:${TAG} AS Build
ARG TAG=v9
RUN --mount=type=bind,from=example.com/mount:1,target=/m <<END
FROM example.com/not-one
END
RUN echo $((1<<X))
COPY --chown=1:1 --from=example.com/tool@sha256:aa /x \
  # a comment within
  /y
FROM build AS again
COPY --from=0 /x /x
COPY --from=BUILD /x /x
from example.com/${GIVEN}:${MISSING:-v2}
RUN echo FROM example.com/neither
FROM scratch
FROM $BASE
COPY --from=again /x /x
"#;
        let expected = [
            "example.com/build:v1",
            "example.com/mount:1",
            "example.com/tool@sha256:aa",
            "example.com/given:v2",
            "example.com/base:v1",
        ];
        let found = found(text);
        assert_eq!(found.all, expected);
        assert_eq!(found.base.as_deref(), Some("example.com/base:v1"));
    }

    #[test]
    fn the_base_is_what_the_last_stage_builds_on() {
        for (text, base) in [
            ("FROM a AS x\nFROM b\nFROM x", Some("a")),
            ("FROM a AS x\nFROM scratch", None),
            ("# escape=`\nFROM `\na", Some("a")),
            ("", None),
        ] {
            assert_eq!(found(text).base.as_deref(), base, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_an_error_with_its_line() {
        let error = |text: &str| images(text, &|_| None).unwrap_err();
        assert_eq!(
            error("ARG X\n\nFROM a:$X"),
            "line 3: \"a:$X\": X has no value; give it with --build-arg X=…"
        );
        for text in ["FROM", "FROM a b", "FROM ${X", "FROM ${X:?no}", "FROM \"\""] {
            error(text);
        }
    }
}
