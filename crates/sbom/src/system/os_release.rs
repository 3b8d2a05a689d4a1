//! `os-release`: which system it is.
//!
//! <https://www.freedesktop.org/software/systemd/man/latest/os-release.html>

use super::value;

/// The system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsRelease {
    /// `debian`.
    pub id: String,
    /// `12`; rolling systems have none.
    pub version: Option<String>,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
}

impl OsRelease {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let field = |key: &str| {
            let lines = text.lines().map(str::trim);
            let mut values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            let text = values.next_back()?.trim();
            let unquoted = ['"', '\'']
                .iter()
                .find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
            value(unquoted.unwrap_or(text))
        };
        let id = field("ID")?.to_lowercase();
        Some(Self {
            name: field("PRETTY_NAME").unwrap_or_else(|| id.clone()),
            version: field("VERSION_ID"),
            id,
        })
    }

    /// As package URLs have it: `debian-12`.
    pub(crate) fn distro(&self) -> String {
        match &self.version {
            Some(version) => format!("{}-{version}", self.id),
            None => self.id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_named_as_they_name_themselves() {
        for (text, distro) in [
            (
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n",
                Some("debian-12"),
            ),
            ("ID='alpine'\nVERSION_ID=3.19.1", Some("alpine-3.19.1")),
            ("ID=arch\nBUILD_ID=rolling", Some("arch")),
            ("NAME=nothing", None),
            ("ID=a\x07", None),
        ] {
            let found = OsRelease::read(text).map(|os| os.distro());
            assert_eq!(found.as_deref(), distro, "{text}");
        }
    }
}
