//! The sections of `docs/benchmarks.md` that a command of its own writes.
//!
//! Invariant: a section stands between two markers; only what is between them is replaced.

use std::path::Path;

use crate::process::{self, Outcome};

/// The section of `cargo xtask bench NAME`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section(pub(super) &'static str);

/// How long a build takes, and how large the program is: measured by hand on a machine that does nothing else.
pub(super) const BUILD: Section = Section("build");

impl Section {
    fn begin(self) -> String {
        format!("<!-- cargo xtask bench {}: begin -->\n", self.0)
    }

    fn end(self) -> String {
        format!("<!-- cargo xtask bench {}: end -->\n", self.0)
    }

    /// The section with its markers.
    pub(super) fn marked(self, text: &str) -> String {
        format!("{}{text}{}", self.begin(), self.end())
    }

    /// The section in a page, markers included; empty if there is none.
    pub(super) fn of(self, page: &str) -> &str {
        let (begin, end) = (self.begin(), self.end());
        let found = page.find(&begin).and_then(|from| {
            let to = page[from..].find(&end)?;
            page.get(from..from + to + end.len())
        });
        found.unwrap_or_default()
    }

    /// The page with this section in place of its own, or after all else.
    pub(super) fn put(self, page: &str, section: &str) -> String {
        match self.of(page) {
            _ if section.is_empty() => page.to_owned(),
            "" => format!("{}\n\n{section}", page.trim_end()),
            old => page.replacen(old, section, 1),
        }
    }

    /// Puts the section into `docs/benchmarks.md`.
    pub(super) fn write(self, checkout: &Path, section: &str) -> Outcome<()> {
        let path = checkout.join("docs/benchmarks.md");
        let page = String::from_utf8_lossy(&process::read(&path)?).into_owned();
        process::write(&path, self.put(&page, section))?;
        eprintln!("written: {}", path.display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let (log, ca) = (Section("log"), Section("ca"));
        let first = log.marked("one\n");
        let page = log.put("# Page\n", &first);
        assert_eq!(page, format!("# Page\n\n{first}"));
        assert_eq!(log.of(&page), first);
        assert_eq!(ca.of(&page), "");
        let page = ca.put(&page, &ca.marked("another's\n"));
        let second = log.marked("two\n");
        let page = log.put(&format!("{page}after\n"), &second);
        let both = format!("# Page\n\n{second}\n{}after\n", ca.marked("another's\n"));
        assert_eq!(page, both);
        assert_eq!(log.of("# Page\n"), "");
    }
}
