//! `doctor`: can signing and verifying work here? One line for each thing that must be right, and what to do where it
//! is not.
//!
//! Invariant: nothing is changed, anywhere. Whatever is asked is asked by reading; a digest is signed only with `--sign`.
//! Nobody is asked whom `sign` and `verify` with the same flags would not ask.

mod key;
mod place;
mod registry;
mod services;

use std::time::Duration;

use serde::Serialize;

use crate::error::Error;
use crate::flags::{Format, RegistryFlags};
use crate::printable::printable;
use crate::service_flags::ServiceFlags;
use crate::terminal::Terminal;

/// How long the key, the registry or the services may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// An image in the registry that is to be used
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
    /// The key that is to be used: a file, or a key in a provider (awskms:///…)
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Also sign a throw-away digest with the key
    #[arg(long, requires = "key")]
    sign: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    services: ServiceFlags,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// What came of a check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    check: &'static str,
    outcome: Outcome,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    /// It works, and will not for ever or not for everybody.
    Warning,
    Failed,
    /// It was not looked at.
    Skipped,
}

impl Finding {
    fn new(check: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            check,
            outcome,
            detail: detail.into(),
            remedy: None,
        }
    }

    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Ok, detail)
    }

    fn warning(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(check, Outcome::Warning, detail).remedy(remedy)
    }

    fn failed(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Failed, detail)
    }

    fn skipped(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Outcome::Skipped, detail)
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// What somebody else says the time is: who, and how many seconds it is ahead of ours.
struct Told {
    by: String,
    ahead: i64,
}

/// Every check, in the order of the report.
const CHECKS: [&str; 14] = [
    "clock",
    "configuration",
    key::CREDENTIALS,
    key::REACHABLE,
    key::KIND,
    key::SIGN,
    registry::REGISTRY,
    registry::LOGIN,
    registry::IMAGE,
    registry::REFERRERS,
    services::ROOT,
    services::LOG,
    services::CA,
    services::TSA,
];

#[derive(Serialize)]
struct Report<'a> {
    healthy: bool,
    checks: &'a [Finding],
}

/// Looks at everything that the flags name, and at what is configured.
pub(crate) async fn run(mut arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let mut told = Vec::new();
    let mut findings = vec![place::configuration(&arguments)];
    let limit = terminal.timeout().unwrap_or(LIMIT).min(LIMIT);
    // What hangs costs itself, and is told with the rest.
    let looked = tokio::time::timeout(limit, key::check(&arguments, &mut findings, terminal)).await;
    gave_up(looked.is_err(), key::REACHABLE, limit, &mut findings);
    let work = registry::check(&arguments, &mut findings, &mut told, terminal);
    let looked = tokio::time::timeout(limit, work).await;
    gave_up(looked.is_err(), registry::REGISTRY, limit, &mut findings);
    let work = services::check(&mut arguments, &mut findings, &mut told, terminal);
    let looked = tokio::time::timeout(limit, work).await;
    gave_up(looked.is_err(), services::ROOT, limit, &mut findings);
    // The clock comes first, for it explains much of what follows; those who know the time are asked before.
    findings.push(place::clock(&told));
    for check in CHECKS {
        if !findings.iter().any(|finding| finding.check == check) {
            findings.push(Finding::skipped(check, "not looked at"));
        }
    }
    findings.sort_by_key(|finding| CHECKS.iter().position(|check| *check == finding.check));
    let of = |outcome| {
        findings
            .iter()
            .filter(|finding| finding.outcome == outcome)
            .count()
    };
    let failed = of(Outcome::Failed);
    match arguments.output {
        Format::Json => terminal.json(&Report {
            healthy: failed == 0,
            checks: &findings,
        })?,
        Format::Text => {
            for finding in &findings {
                print(finding, terminal)?;
            }
        }
    }
    let all = findings.len() - of(Outcome::Skipped);
    match failed {
        0 => Ok(()),
        failed => Err(Error::Unwell { failed, all }),
    }
}

/// What was asked last has not answered.
fn gave_up(it_did: bool, whose: &'static str, limit: Duration, findings: &mut Vec<Finding>) {
    if it_did {
        let after = CHECKS.iter().skip_while(|check| **check != whose);
        let mut missing = after.filter(|check| !findings.iter().any(|one| one.check == **check));
        let check = missing.next().copied().unwrap_or(whose);
        findings.push(Finding::failed(
            check,
            format!("no answer within {} s", limit.as_secs()),
        ));
    }
}

fn print(finding: &Finding, terminal: &mut Terminal) -> Result<(), Error> {
    let mark = match finding.outcome {
        Outcome::Ok => "ok     ",
        Outcome::Warning => "warning",
        Outcome::Failed => "FAILED ",
        Outcome::Skipped => "-      ",
    };
    let detail = finding.detail.replace('\n', "\n          ");
    let line = format!("{mark} {}: {}", finding.check, lines(&detail));
    terminal.line(line)?;
    match &finding.remedy {
        Some(remedy) => terminal.line(format!("          → {}", lines(remedy))),
        None => Ok(()),
    }
}

/// For a terminal, line by line: what others said has no control characters.
fn lines(text: &str) -> String {
    let each: Vec<_> = text
        .lines()
        .map(|line| printable(line).into_owned())
        .collect();
    each.join("\n")
}
