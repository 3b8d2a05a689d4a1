//! A verification's report for people.

use sealmark_verify::Report;
use sealmark_verify::report::{Attachment, Check, CheckName, Outcome};

use crate::error::Error;
use crate::printable::printable;
use crate::terminal::Terminal;

/// Attachments that are listed in full; the rest is counted.
const MAX_LISTED: usize = 20;

/// How a verification's result is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    #[default]
    Text,
    /// For programs: every attachment with every check
    Json,
    /// What cosign prints as JSON
    Cosign,
}

/// Prints every attachment: the good ones first.
pub(crate) fn print(report: &Report, terminal: &mut Terminal) -> Result<(), Error> {
    let (good, bad): (Vec<_>, Vec<_>) = report.attachments.iter().partition(|a| a.accepted);
    for attachment in good.iter().chain(&bad).take(MAX_LISTED) {
        print_attachment(attachment, terminal)?;
    }
    let more = report.attachments.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        terminal.line(format!(
            "  … and {more} more (all of them with --output json)"
        ))?;
    }
    Ok(())
}

fn print_attachment(attachment: &Attachment, terminal: &mut Terminal) -> Result<(), Error> {
    let mark = if attachment.accepted {
        "good"
    } else {
        "not good"
    };
    terminal.line(format!(
        "  {mark}: {} {}",
        attachment.layout.name(),
        printable(&attachment.location)
    ))?;
    if let Some(first) = &attachment.duplicate_of {
        terminal.line(format!("    a copy of {}", printable(first)))?;
    }
    for Check { name, outcome } in &attachment.checks {
        let title = name.title();
        let text = match outcome {
            Outcome::Passed { evidence } => match name {
                // The reader knows these from the line above, or from what was typed.
                CheckName::Format | CheckName::Kind => continue,
                _ => format!("{title}: {}", printable(evidence)),
            },
            Outcome::Failed {
                expected,
                found,
                remedy,
            } => {
                let remedy = remedy
                    .as_deref()
                    .map(|text| format!("; {text}"))
                    .unwrap_or_default();
                format!(
                    "{title}: FAILED, expected {}, found {}{}",
                    printable(expected),
                    printable(found),
                    printable(&remedy)
                )
            }
            Outcome::Skipped { reason } => match name {
                // Nobody asked for them.
                CheckName::Annotations | CheckName::Timestamp => continue,
                _ => format!("{title}: {}", printable(reason)),
            },
            Outcome::NotApplicable { .. } | Outcome::NotReached => continue,
        };
        terminal.line(format!("    {text}"))?;
    }
    if attachment.accepted
        && let Some(claims) = &attachment.claims
    {
        for (key, value) in &claims.annotations {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            terminal.line(format!(
                "    signed annotation: {}={}",
                printable(key),
                printable(&value)
            ))?;
        }
    }
    Ok(())
}

/// Says that there is no signature, and what there is.
pub(crate) fn no_signatures(name: &str, report: &Report) -> String {
    match report.attachments.as_slice() {
        [] => format!(
            "{name} has no signature: no bundle refers to {digest}, and there is no tag \
             sha256-{hex}.sig. Signatures in another repository are found with COSIGN_REPOSITORY",
            digest = report.digest,
            hex = report.digest.hex(),
        ),
        others => {
            let found = others
                .iter()
                .filter_map(|attachment| match attachment.failure() {
                    Some(Check {
                        outcome: Outcome::Failed { found, .. },
                        ..
                    }) => Some(printable(found).into_owned()),
                    _ => None,
                });
            let list: Vec<_> = found.take(3).collect();
            format!(
                "{name} has no signature, only {}: {}",
                others.len(),
                list.join("; ")
            )
        }
    }
}

/// Says which signatures there are and why each is not good.
pub(crate) fn no_match(name: &str, report: &Report) -> String {
    let reasons = report
        .attachments
        .iter()
        .filter_map(|attachment| match attachment.failure() {
            Some(Check {
                name,
                outcome:
                    Outcome::Failed {
                        expected,
                        found,
                        remedy,
                    },
            }) => {
                let remedy = remedy
                    .as_deref()
                    .map(|text| format!(" ({text})"))
                    .unwrap_or_default();
                Some(format!(
                    "\n  {}: {}: expected {}, found {}{}",
                    printable(&attachment.location),
                    name.title(),
                    printable(expected),
                    printable(found),
                    printable(&remedy),
                ))
            }
            _ => None,
        });
    let list: String = reasons.take(MAX_LISTED).collect();
    if report.accepted().next().is_some() {
        let have = report.signers();
        let need = report.threshold;
        return format!("{name}: good signatures by {have} of the {need} signers needed{list}");
    }
    let count = report.attachments.len();
    let plural = if count == 1 {
        "its one signature is not good"
    } else {
        "no signature is good"
    };
    format!("{name}: {plural}{list}")
}
