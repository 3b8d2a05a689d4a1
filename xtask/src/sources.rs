//! The Debian mirror that this machine's apt is set up to use.
//!
//! Both formats of sources.list(5) are read: one line per source, and deb822 stanzas. The mirror is the machine
//! owner's choice; only the suite is ours.

use std::fs;
use std::path::Path;

/// A mirror of the Debian archive, and the keyring that the machine trusts for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mirror {
    /// The address below which `dists/` and `pool/` are.
    pub(crate) uri: String,
    /// The value of `Signed-By`, if it is a file.
    pub(crate) keyring: Option<String>,
}

#[derive(Debug, Default)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

/// The mirror from which the machine gets `suite`; `etc` is `/etc/apt`.
pub(crate) fn mirror(etc: &Path, suite: &str) -> Option<Mirror> {
    let mut files = vec![etc.join("sources.list")];
    if let Ok(entries) = fs::read_dir(etc.join("sources.list.d")) {
        files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(text.lines().filter_map(one_line)),
            Some("sources") => sources.extend(stanzas(&text)),
            _ => {}
        }
    }
    choose(&sources, suite)
}

/// A machine may name its suite by what it is today (`stable`) instead of by its code name.
const ROLES: [&str; 4] = ["stable", "oldstable", "testing", "unstable"];

fn choose(sources: &[Source], suite: &str) -> Option<Mirror> {
    let main = |source: &&Source| {
        source
            .components
            .iter()
            .any(|component| component == "main")
    };
    let exact = |source: &&Source| source.suites.iter().any(|name| name == suite);
    let role = |source: &&Source| {
        source
            .suites
            .iter()
            .any(|name| ROLES.contains(&name.as_str()))
    };
    let mut candidates = sources.iter().filter(main);
    let source = candidates
        .clone()
        .find(exact)
        .or_else(|| candidates.find(role))?;
    Some(Mirror {
        uri: source.uris.first()?.clone(),
        keyring: source.signed_by.clone(),
    })
}

/// `deb [signed-by=FILE] URI SUITE COMPONENT…`
fn one_line(line: &str) -> Option<Source> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let mut rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None; // deb-src
    }
    let mut source = Source::default();
    rest = rest.trim_start();
    if let Some(options) = rest.strip_prefix('[') {
        let (options, after) = options.split_once(']')?;
        source.signed_by = options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .and_then(keyring_file);
        rest = after;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    source.uris.push(words.next()?);
    source.suites.push(words.next()?);
    source.components.extend(words);
    Some(source)
}

/// Stanzas of `Field: value` lines, parted by empty lines; a value may continue on indented lines.
fn stanzas(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines
        .split(|line| line.trim().is_empty())
        .filter_map(stanza)
        .collect()
}

fn stanza(lines: &[&str]) -> Option<Source> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut()?;
            value.push(' ');
            value.push_str(line.trim());
        } else {
            let (name, value) = line.split_once(':')?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let words = |name: &str| -> Vec<String> {
        let value = fields
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str());
        value
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    let disabled = words("enabled")
        .first()
        .is_some_and(|word| word == "no" || word == "false");
    if disabled || !words("types").iter().any(|word| word == "deb") {
        return None;
    }
    let keyring = match words("signed-by").as_slice() {
        [file] => keyring_file(file),
        _ => None, // several, or a key block in place
    };
    Some(Source {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: keyring,
    })
}

fn keyring_file(value: &str) -> Option<String> {
    value.starts_with('/').then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

    #[test]
    fn the_mirror_of_a_deb822_file_is_the_one_that_has_the_suite() {
        let text = "Types: deb\n# a comment\nURIs: http://deb.debian.org/debian-security\n\
            Suites: bookworm-security\nComponents: main\n\n\
            Types: deb deb-src\nURIs: http://mirror.example/debian\n\
            Suites: bookworm\n bookworm-updates\nComponents: main contrib\n\
            Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
        let mirror = choose(&stanzas(text), "bookworm").unwrap();
        assert_eq!(mirror.uri, "http://mirror.example/debian");
        assert_eq!(mirror.keyring.as_deref(), Some(KEYRING));
    }

    #[test]
    fn the_one_line_format_is_read_with_and_without_options() {
        let lines = [
            "# deb http://old.example/debian bookworm main",
            "deb-src http://source.example/debian bookworm main",
            "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
             http://mirror.example/debian bookworm main # ours",
        ];
        let sources: Vec<Source> = lines.into_iter().filter_map(one_line).collect();
        assert_eq!(
            choose(&sources, "bookworm"),
            Some(Mirror {
                uri: "http://mirror.example/debian".into(),
                keyring: Some(KEYRING.into())
            })
        );
        let plain = one_line("deb http://mirror.example/debian stable main").unwrap();
        assert_eq!(choose(&[plain], "bookworm").unwrap().keyring, None);
    }

    #[test]
    fn disabled_stanzas_and_foreign_suites_are_no_mirror() {
        let text = "Types: deb\nEnabled: no\nURIs: http://a.example\nSuites: bookworm\n\
            Components: main\n\nTypes: deb\nURIs: http://b.example\nSuites: nodistro\n\
            Components: main\n";
        assert_eq!(choose(&stanzas(text), "bookworm"), None);
    }
}
