//! Text from outside, made fit for a terminal.
//!
//! Whatever a registry, a file or a certificate says goes through [`printable`] before it is printed for people, so
//! that it can neither move the cursor nor pretend to be another line or another name.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with every character that does not simply show itself written as an escape: control characters
/// (`\n`, `\u{1b}`), those that turn the direction of writing or cannot be seen, blanks other than the space, and those
/// that every font shows as it likes. Letters that look alike in two scripts are shown: they are what somebody's
/// language is written in.
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
    c.is_control() || is_ignorable(c) || is_blank(c) || is_nobodys(c)
}

/// Unicode's `Default_Ignorable_Code_Point`: what a program is to show as nothing at all where it does not know better.
/// Soft hyphens, joiners, turns of direction, fillers, variation selectors, tags.
/// <https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt>
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Blank all the same: every space but the one on the keyboard, ends of lines, letters and signs without ink, and
/// marks that only arrange others.
fn is_blank(c: char) -> bool {
    matches!(c,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}'
        | '\u{2800}' | '\u{3000}' | '\u{fff9}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}' | '\u{16fe4}'
        | '\u{1d159}')
}

/// Private use and noncharacters: no standard says what they look like.
fn is_nobodys(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{f0000}'..='\u{10ffff}')
        || u32::from(c) & 0xfffe == 0xfffe
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
    fn what_cannot_be_seen_is_written_out() {
        for (c, what) in [
            ('\u{ad}', "soft hyphen"),
            ('\u{34f}', "combining grapheme joiner"),
            ('\u{61c}', "Arabic letter mark"),
            ('\u{115f}', "Hangul initial filler"),
            ('\u{1160}', "Hangul medial filler"),
            ('\u{17b4}', "Khmer inherent vowel"),
            ('\u{180b}', "Mongolian variation selector"),
            ('\u{180e}', "Mongolian vowel separator"),
            ('\u{200b}', "zero width space"),
            ('\u{200d}', "zero width joiner"),
            ('\u{200f}', "right-to-left mark"),
            ('\u{202e}', "right-to-left override"),
            ('\u{2060}', "word joiner"),
            ('\u{2066}', "left-to-right isolate"),
            ('\u{206f}', "nominal digit shapes"),
            ('\u{3164}', "Hangul filler"),
            ('\u{fe0f}', "variation selector 16"),
            ('\u{feff}', "byte order mark"),
            ('\u{ffa0}', "half width Hangul filler"),
            ('\u{fff0}', "unassigned, ignorable"),
            ('\u{1bca0}', "shorthand format letter overlap"),
            ('\u{1d173}', "musical symbol begin beam"),
            ('\u{e0041}', "tag letter A"),
            ('\u{e0100}', "variation selector 17"),
            ('\u{a0}', "no-break space"),
            ('\u{2003}', "em space"),
            ('\u{2028}', "line separator"),
            ('\u{202f}', "narrow no-break space"),
            ('\u{2800}', "Braille blank"),
            ('\u{3000}', "ideographic space"),
            ('\u{fffa}', "interlinear annotation"),
            ('\u{13430}', "Egyptian vertical joiner"),
            ('\u{16fe4}', "Khitan filler"),
            ('\u{1d159}', "musical null notehead"),
            ('\u{e000}', "private use"),
            ('\u{fffe}', "noncharacter"),
            ('\u{10ffff}', "noncharacter"),
        ] {
            let shown = format!("app\\u{{{:x}}}", u32::from(c));
            assert_eq!(printable(&format!("app{c}")), shown, "{what}");
        }
        // "Total code points: 4174", says the file of Unicode 16.
        assert_eq!(
            ('\0'..=char::MAX).filter(|c| is_ignorable(*c)).count(),
            4174
        );
        for text in [
            "naïve café e\u{301}",
            "ελληνικά русский עברית العربية हिन्दी 日本語 한국어 ไทย",
            "✓ → … “quoted” – ½ €",
            "🙂",
        ] {
            assert!(matches!(printable(text), Cow::Borrowed(_)), "{text}");
        }
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
