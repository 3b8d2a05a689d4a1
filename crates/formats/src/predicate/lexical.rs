//! Texts of a certain form, as schemas ask for them. Where a form is known for being written carelessly and nothing
//! depends on it, only what makes it useless is refused.

/// The form of a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lexical {
    /// Any.
    Text,
    /// Any but the empty one.
    Filled,
    /// A time with its zone: RFC 3339.
    Time,
    /// A time in UTC without fractions, as SPDX writes it.
    UtcTime,
    /// A URI with a scheme: RFC 3986.
    Uri,
    /// A URI or a part of one, of any script.
    IriReference,
    /// `urn:uuid:` and a UUID.
    UrnUuid,
    /// A UUID.
    Uuid,
    /// Hexadecimal digits.
    Hex,
    /// Hexadecimal digits of a hash of 128, 160, 256, 384 or 512 bits.
    Digest,
    /// `text/plain`
    MediaType,
    /// `en`, `en-US`
    Locale,
    /// `CVE-2026-12345`
    Cve,
    /// `CWE-79`
    Cwe,
    /// `SPDXRef-a.b-c`
    SpdxId,
    /// One of the same document or of another, or that there is none.
    SpdxReference,
}

const TABLE: [(&str, Lexical, &str); 16] = [
    ("text", Lexical::Text, "a text"),
    ("text+", Lexical::Filled, "a text that is not empty"),
    (
        "time",
        Lexical::Time,
        "a time such as 2026-01-31T12:00:00Z (RFC 3339)",
    ),
    (
        "utc-time",
        Lexical::UtcTime,
        "a time in UTC such as 2026-01-31T12:00:00Z",
    ),
    ("uri", Lexical::Uri, "a URI with its scheme"),
    ("iri-reference", Lexical::IriReference, "a URI"),
    (
        "urn-uuid",
        Lexical::UrnUuid,
        "urn:uuid: and a UUID in lower case",
    ),
    ("uuid", Lexical::Uuid, "a UUID"),
    ("hex", Lexical::Hex, "hexadecimal digits"),
    (
        "digest",
        Lexical::Digest,
        "a hash of 32, 40, 64, 96 or 128 hexadecimal digits",
    ),
    (
        "media-type",
        Lexical::MediaType,
        "a media type such as text/plain",
    ),
    ("locale", Lexical::Locale, "a language such as en or en-US"),
    ("cve", Lexical::Cve, "an id such as CVE-2026-12345"),
    ("cwe", Lexical::Cwe, "an id such as CWE-79"),
    (
        "spdx-id",
        Lexical::SpdxId,
        "SPDXRef- with letters, digits, dots and hyphens",
    ),
    (
        "spdx-reference",
        Lexical::SpdxReference,
        "an SPDXRef-…, DocumentRef-…:SPDXRef-…, NONE or NOASSERTION",
    ),
];

impl Lexical {
    /// By its name in tables.
    pub(super) fn named(name: &str) -> Option<Self> {
        let found = TABLE.iter().find(|(known, ..)| *known == name);
        found.map(|(_, lexical, _)| *lexical)
    }

    /// What it is, for people.
    pub(super) fn description(self) -> &'static str {
        let found = TABLE.iter().find(|(_, known, _)| *known == self);
        found.map_or("a text", |(.., description)| description)
    }

    /// Whether a text has the form.
    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Filled => !text.is_empty(),
            Self::Time => is_time(text),
            Self::UtcTime => text.len() == 20 && text.ends_with('Z') && is_time(text),
            Self::Uri => has_scheme(text) && is_uri(text),
            Self::IriReference => is_uri(text),
            Self::UrnUuid => text.strip_prefix("urn:uuid:").is_some_and(|uuid| {
                is_uuid(uuid) && !uuid.bytes().any(|byte| byte.is_ascii_uppercase())
            }),
            Self::Uuid => is_uuid(text),
            Self::Hex => !text.is_empty() && is_hex(text),
            Self::Digest => [32, 40, 64, 96, 128].contains(&text.len()) && is_hex(text),
            Self::MediaType => text.split_once('/').is_some_and(|(class, name)| {
                let fits = |part: &str| {
                    let good = |byte: u8| {
                        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-+.".contains(&byte)
                    };
                    !part.is_empty() && part.bytes().all(good)
                };
                fits(class) && fits(name)
            }),
            Self::Locale => {
                let (language, country) = text.split_once('-').unwrap_or((text, "XX"));
                let two = |part: &str, good: fn(&u8) -> bool| {
                    part.len() == 2 && part.as_bytes().iter().all(good)
                };
                two(language, u8::is_ascii_lowercase) && two(country, u8::is_ascii_uppercase)
            }
            Self::Cve => text.strip_prefix("CVE-").is_some_and(|rest| {
                let parts = rest.split_once('-');
                parts.is_some_and(|(year, number)| {
                    year.len() == 4 && number.len() >= 4 && is_digits(year) && is_digits(number)
                })
            }),
            Self::Cwe => text.strip_prefix("CWE-").is_some_and(|number| {
                (1..=6).contains(&number.len()) && is_digits(number) && !number.starts_with('0')
            }),
            Self::SpdxId => is_reference(text, "SPDXRef-"),
            Self::SpdxReference => match text.split_once(':') {
                Some((document, element)) => {
                    is_reference(&document.replace('+', "-"), "DocumentRef-")
                        && is_reference(element, "SPDXRef-")
                }
                None => ["NONE", "NOASSERTION"].contains(&text) || is_reference(text, "SPDXRef-"),
            },
        }
    }
}

/// RFC 3339: jiff reads more (a space for the T, no seconds, names of zones).
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = |at: usize, byte: u8| {
        bytes
            .get(at)
            .is_some_and(|it| it.eq_ignore_ascii_case(&byte))
    };
    let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    punctuation.iter().all(|(at, byte)| shape(*at, *byte))
        && !text.contains('[')
        && text.parse::<jiff::Timestamp>().is_ok()
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12] && parts.iter().all(|part| is_hex(part))
}

fn is_reference(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|id| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        !id.is_empty() && id.bytes().all(good)
    })
}

fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme.bytes().all(good)
            && !rest.is_empty()
    })
}

/// Letters that no URI has. Whether the parts are where they belong is not asked: `git@example.com:a/b.git` is what
/// package managers write.
fn is_uri(text: &str) -> bool {
    !text
        .bytes()
        .any(|byte| byte <= b' ' || byte == 0x7f || b"<>\"{}|\\^`".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_what_fits_and_what_does_not() {
        for (name, good, bad) in [
            ("text", &["", "a"][..], &[][..]),
            ("text+", &["a"], &[""]),
            (
                "time",
                &[
                    "2026-01-31T12:00:00Z",
                    "2026-01-31t12:00:00.123456789+02:00",
                ],
                &[
                    "",
                    "2026-01-31",
                    "2026-13-31T12:00:00Z",
                    "2026-01-31 12:00:00Z",
                    "2026-01-31T12:00:00",
                    "2026-01-31T12:00:00+00:00[UTC]",
                ],
            ),
            (
                "utc-time",
                &["2026-01-31T12:00:00Z"],
                &["2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00+00:00"],
            ),
            (
                "uri",
                &["https://a.example/b?c#d", "pkg:npm/a@1", "urn:a:b"],
                &["", "a", "a b:c", "https://a b", "1a:b", "a:"],
            ),
            (
                "iri-reference",
                &[
                    "",
                    "a",
                    "../b",
                    "git@git.example:a/b.git",
                    "https://ü.example/",
                ],
                &["a b", "<a>", "a\nb"],
            ),
            (
                "urn-uuid",
                &["urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79"],
                &[
                    "3e671687-395b-41f5-a30f-a58921a69b79",
                    "urn:uuid:3E671687-395b-41f5-a30f-a58921a69b79",
                    "urn:uuid:3e671687",
                ],
            ),
            (
                "uuid",
                &["3E671687-395b-41f5-a30f-a58921a69b79"],
                &["3e671687395b41f5a30fa58921a69b79", "g"],
            ),
            ("hex", &["aF0"], &["", "ag"]),
            (
                "digest",
                &["d41d8cd98f00b204e9800998ecf8427e"],
                &[
                    "d41d8cd98f00b204e9800998ecf8427",
                    "z41d8cd98f00b204e9800998ecf8427e",
                ],
            ),
            (
                "media-type",
                &["text/plain", "application/vnd.a+json"],
                &["text", "text/", "Text/plain", "text/plain; a=b"],
            ),
            ("locale", &["en", "en-US"], &["eng", "en-us", "en-USA", ""]),
            (
                "cve",
                &["CVE-2026-1234", "CVE-2026-1234567"],
                &["CVE-26-1234", "CVE-2026-123", "cve-2026-1234"],
            ),
            (
                "cwe",
                &["CWE-79"],
                &["CWE-", "CWE-079", "79", "CWE-1234567"],
            ),
            (
                "spdx-id",
                &["SPDXRef-DOCUMENT", "SPDXRef-a.b-1"],
                &["SPDXRef-", "SPDXRef-a_b", "DOCUMENT"],
            ),
            (
                "spdx-reference",
                &[
                    "SPDXRef-a",
                    "DocumentRef-x+1:SPDXRef-a",
                    "NONE",
                    "NOASSERTION",
                ],
                &["none", "x:SPDXRef-a", "DocumentRef-x:a", ""],
            ),
        ] {
            let form = Lexical::named(name).unwrap();
            for text in good {
                assert!(form.fits(text), "{name}: {text:?}");
            }
            for text in bad {
                assert!(!form.fits(text), "{name}: {text:?}");
            }
        }
        assert_eq!(Lexical::named("texts"), None);
    }
}
