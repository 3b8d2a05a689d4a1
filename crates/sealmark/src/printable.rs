//! Text from outside, made fit for a terminal.
//!
//! Whatever a registry, a file or a certificate says goes through [`printable`] before it is printed for people, so
//! that it can neither move the cursor nor pretend to be another line or another name.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with every character that does not simply show itself written as an escape: control characters
/// (`\n`, `\u{1b}`), and those that turn the direction of writing or cannot be seen.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c if is_hostile(c) => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// A whole text of our own with stranger's names in it: its lines stay lines.
pub(crate) fn printable_lines(text: &str) -> Cow<'_, str> {
    let hostile = |c| is_hostile(c) && c != '\n';
    if !text.chars().any(hostile) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    Cow::Owned(lines.join("\n"))
}

/// JSON that shows itself, and says the same: outside of strings there is nothing to escape but white space.
pub(crate) fn printable_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hostile(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Invisible, or it turns the direction of writing (Unicode's bidirectional and format characters).
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_the_same_json() {
        let text = "x\u{1b}\u{9b}\u{7f}\u{202e}\u{e0041}\n\"é";
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        let shown = printable_json(&json);
        assert!(!shown.contains(|c| is_hostile(c) && c != '\n'), "{shown}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&shown).unwrap(), [text]);
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(printable_lines("a\nb\u{1b}c\rd\n"), "a\nb\\u{1b}c\\rd\n");
    }

    #[test]
    fn nothing_from_outside_commands_the_terminal() {
        for (text, shown) in [
            ("ghcr.io/team/app@sha256:00", "ghcr.io/team/app@sha256:00"),
            ("Müller & Söhne ✓", "Müller & Söhne ✓"),
            ("\u{1b}[2Jverified", "\\u{1b}[2Jverified"),
            ("a\nverified: yes", "a\\nverified: yes"),
            ("a\rb\tc\0", "a\\rb\\tc\\u{0}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("txt\u{202e}exe", "txt\\u{202e}exe"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
    }
}
