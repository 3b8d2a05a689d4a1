//! `KEY = VALUE` lines as Rekor reads them in `.PKGINFO`: with the parser of `gopkg.in/ini.v1` and its default options.
//!
//! Alpine's own tools know nothing of sections, quotes or continued lines. What is logged is what that parser makes of a
//! file, so this one does the same, whatever one thinks of it: a `#` or `;` ends a value anywhere, a backslash at a
//! line's end goes on with the next, and quotes are taken off.

use std::collections::BTreeMap;

/// The keys and values that stand in no section.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut lines = Lines {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        at_end: false,
    };
    let mut found = BTreeMap::new();
    let (mut in_section, mut counter) = (false, 1);
    while !lines.at_end {
        let line = lines.next().trim_start();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let end = rest
                .rfind(']')
                .ok_or_else(|| of(line, "unclosed section"))?;
            let name = &rest[..end];
            if name.is_empty() {
                return Err("empty section name".to_owned());
            }
            in_section = name != "DEFAULT";
            counter = 1;
            continue;
        }
        let (key, value) = key(line)?;
        let mut key = key.to_owned();
        if key == "-" {
            key = format!("#{counter}");
            counter += 1;
        }
        let value = lines.value(value)?;
        if key.is_empty() {
            return Err(of(line, "empty key name"));
        }
        if !in_section {
            found.insert(key, value);
        }
    }
    Ok(found)
}

/// The key of a line, and what stands after its delimiter.
fn key(line: &str) -> Result<(&str, &str), String> {
    const DELIMITERS: [char; 2] = ['=', ':'];
    let quote = match line.as_bytes() {
        [b'"', b'"', b'"', ..] if line.len() > 6 => "\"\"\"",
        [b'"', ..] => "\"",
        [b'`', ..] => "`",
        _ => {
            let end = line
                .find(DELIMITERS)
                .ok_or_else(|| of(line, "key-value delimiter not found"))?;
            return match end {
                0 => Err(of(line, "empty key name")),
                _ => Ok((line[..end].trim(), &line[end + 1..])),
            };
        }
    };
    let inside = &line[quote.len()..];
    let end = inside
        .find(quote)
        .ok_or_else(|| of(line, "missing closing key quote"))?;
    let after = &inside[end + quote.len()..];
    let delimiter = after
        .find(DELIMITERS)
        .ok_or_else(|| of(line, "key-value delimiter not found"))?;
    Ok((inside[..end].trim(), &after[delimiter + 1..]))
}

/// Lines, which a value may take more than one of.
struct Lines<'a> {
    rest: &'a str,
    /// The last line has no newline, and may be empty.
    at_end: bool,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> &'a str {
        let end = match self.rest.find('\n') {
            Some(newline) => newline + 1,
            None => {
                self.at_end = true;
                self.rest.len()
            }
        };
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        line
    }

    fn value(&mut self, after_delimiter: &'a str) -> Result<String, String> {
        let line = after_delimiter.trim_start();
        let quote = match line.as_bytes() {
            [b'"', b'"', b'"', _, ..] => Some("\"\"\""),
            [b'`', ..] => Some("`"),
            _ => None,
        };
        if let Some(quote) = quote {
            let inside = &line[quote.len()..];
            return match inside.rfind(quote) {
                Some(end) => Ok(inside[..end].to_owned()),
                None => self.until(quote, inside),
            };
        }
        let line = line.trim();
        if let Some(start) = line.strip_suffix('\\') {
            return Ok(self.continued(start));
        }
        let line = match line.find(['#', ';']) {
            Some(comment) => line[..comment].trim(),
            None => line,
        };
        let unquoted = ['\'', '"'].into_iter().find_map(|quote| {
            let inside = line.strip_prefix(quote)?.strip_suffix(quote)?;
            (!inside.contains(quote)).then_some(inside)
        });
        Ok(unquoted.unwrap_or(line).to_owned())
    }

    /// A value in quotes that ends on another line.
    fn until(&mut self, quote: &str, start: &str) -> Result<String, String> {
        let mut value = start.to_owned();
        loop {
            let line = self.next();
            let Some(end) = line.rfind(quote) else {
                value.push_str(line);
                match self.at_end {
                    true => return Err("missing closing key quote".to_owned()),
                    false => continue,
                }
            };
            // A backslash after the quote takes it back.
            if line[end + quote.len()..].trim().ends_with('\\') {
                value.push_str(line);
                continue;
            }
            value.push_str(&line[..end]);
            return Ok(value);
        }
    }

    /// A value that goes on for as long as lines end in a backslash.
    fn continued(&mut self, start: &str) -> String {
        let mut value = start.to_owned();
        loop {
            let line = self.next().trim();
            match line.strip_suffix('\\') {
                Some(line) => value.push_str(line),
                None => {
                    value.push_str(line);
                    return value;
                }
            }
        }
    }
}

fn of(line: &str, reason: &str) -> String {
    let line: String = line.trim_end().chars().take(100).collect();
    format!("{reason}: {line:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go's parser gives for the same, see `tests/fixtures/rekor/README.md`.
    #[test]
    fn values_are_those_of_the_parser_that_rekor_uses() {
        for (text, expected) in [
            ("a = 1\nb: 2\n", &[("a", "1"), ("b", "2")][..]),
            ("a = 1\na = 2", &[("a", "2")]),
            ("a = x # y\nb=x;y", &[("a", "x"), ("b", "x")]),
            (
                "a = 'x'\nb = \"x\" y\nc = \"x\"",
                &[("a", "x"), ("b", "\"x\" y"), ("c", "x")],
            ),
            ("a = x \\\n  y \\\n z\nb=1", &[("a", "x y z"), ("b", "1")]),
            (
                "a = \"\"\"x\ny\"\"\" z\nb = `x\ny`",
                &[("a", "x\ny"), ("b", "x\ny")],
            ),
            ("[s]\na = 1\n[DEFAULT]\nb = 2", &[("b", "2")]),
            ("- = x\n- = y", &[("#1", "x"), ("#2", "y")]),
            ("\"a = b\" = c", &[("a = b", "c")]),
            ("a =\nb", &[]),
        ] {
            let expected = expected
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()));
            let found = parse(text).unwrap_or_default();
            assert_eq!(found, expected.collect(), "{text:?}");
        }
        for text in ["a", "= b", "[a", "[]", "\"a = b", "a = `x", "\"\" = x"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
