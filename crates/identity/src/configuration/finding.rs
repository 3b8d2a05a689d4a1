//! What a look at a configuration finds.

use std::fmt;

/// Something about a configuration, and where it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The line, counted from 1, if it is about one.
    pub line: Option<u64>,
    /// Whether the configuration cannot be used because of it. If not, it is allowed, and seldom meant so.
    pub is_fault: bool,
    /// What it is, and what would be right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Why a configuration is none: all that is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigurationError {
    /// In the order of the file; at least one.
    pub faults: Vec<Finding>,
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self.faults.iter().map(Finding::to_string).collect();
        f.write_str(&faults.join("; "))
    }
}

impl std::error::Error for ConfigurationError {}

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn fault(&mut self, line: u64, message: impl Into<String>) {
        self.add(line, true, message.into());
    }

    pub(super) fn warn(&mut self, line: u64, message: impl Into<String>) {
        self.add(line, false, message.into());
    }

    /// 0 is no line.
    fn add(&mut self, line: u64, is_fault: bool, message: String) {
        self.0.push(Finding {
            line: Some(line).filter(|line| *line > 0),
            is_fault,
            message: sealmark_formats::excerpt(message),
        });
    }

    pub(super) fn has_faults(&self) -> bool {
        self.0.iter().any(|finding| finding.is_fault)
    }

    /// In the order of the file.
    pub(super) fn into_sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| finding.line);
        self.0
    }
}
