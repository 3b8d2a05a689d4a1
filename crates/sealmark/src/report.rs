//! A verification's report for people.

use sealmark_verify::Report;
use sealmark_verify::report::{Attachment, Check, CheckName, DemandReport, Outcome, Verdict};

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
    /// Of each good attestation the predicate, a line of JSON
    Predicate,
}

/// Prints every attachment: the good ones first.
pub(crate) fn print(report: &Report, terminal: &mut Terminal) -> Result<(), Error> {
    for demand in &report.demands {
        if report.demands.len() > 1 {
            terminal.line(format!("  {}:", printable(&demand.kind)))?;
        }
        // Attachments of another kind belong to another demand, or to whoever asks for signatures, who hears of them.
        let all = report.demands.len() == 1 && kind_word(demand) == "signature";
        let (other, of_this_kind): (Vec<_>, Vec<_>) =
            demand.attachments.iter().partition(|a| is_of_other_kind(a));
        let (good, bad): (Vec<_>, Vec<_>) = of_this_kind.into_iter().partition(|a| a.accepted);
        let other = if all { other } else { Vec::new() };
        let count = good.len() + bad.len() + other.len();
        for attachment in good.into_iter().chain(bad).chain(other).take(MAX_LISTED) {
            match is_of_other_kind(attachment) {
                true => print_other_kind(attachment, terminal)?,
                false => print_attachment(attachment, terminal)?,
            }
        }
        let more = count.saturating_sub(MAX_LISTED);
        if more > 0 {
            terminal.line(format!(
                "  … and {more} more (all of them with --output json)"
            ))?;
        }
    }
    Ok(())
}

fn is_of_other_kind(attachment: &Attachment) -> bool {
    attachment
        .failure()
        .is_some_and(|check| check.name == CheckName::Kind)
}

/// It is no failed signature, and nobody has checked if it is a good something else.
fn print_other_kind(attachment: &Attachment, terminal: &mut Terminal) -> Result<(), Error> {
    let what = match attachment.failure().map(|check| &check.outcome) {
        Some(Outcome::Failed { found, .. }) => printable(found),
        _ => "of another kind".into(),
    };
    terminal.line(format!(
        "  not asked for: {} {}, {what}",
        attachment.layout.name(),
        printable(&attachment.location)
    ))
}

/// Prints every check of every attachment: what passed and why, what failed and what would make it pass.
pub(crate) fn explain(report: &Report, terminal: &mut Terminal) -> Result<(), Error> {
    for demand in &report.demands {
        let verdict = match demand.verdict {
            Verdict::Verified => "met",
            Verdict::NoSignatures => "NOT met, there is none",
            Verdict::NoMatchingSignatures => "NOT met",
        };
        terminal.line(format!(
            "demand: {} by {} of {}: {verdict}",
            printable(&demand.kind),
            demand.threshold,
            demand.signers.len()
        ))?;
        for signer in &demand.signers {
            let mark = if signer.signed {
                "signed"
            } else {
                "not signed"
            };
            terminal.line(format!("  {mark}: {}", printable(&signer.signer)))?;
        }
        for attachment in &demand.attachments {
            let verdict = if attachment.accepted {
                "accepted"
            } else {
                "not accepted"
            };
            let location = printable(&attachment.location);
            terminal.line(format!(
                "  {} {location}: {verdict}",
                attachment.layout.name()
            ))?;
            explain_checks(attachment, terminal)?;
        }
    }
    print_sources(report, true, terminal)
}

/// Prints where revocations were looked for; unless `all` are wanted, nothing if that was nowhere but at the image.
pub(crate) fn print_sources(
    report: &Report,
    all: bool,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let sources = &report.revocation_sources;
    if !all && sources.len() < 2 {
        return Ok(());
    }
    for source in sources {
        let place = match &source.location {
            Some(location) => format!("{} {}", source.kind, printable(location)),
            None => source.kind.to_owned(),
        };
        let fresh = match &source.as_of {
            Some(time) => format!(", as of {time}"),
            None => String::new(),
        };
        let count = source.revocations;
        terminal.line(format!("  revocations: {place}: {count}{fresh}"))?;
    }
    Ok(())
}

/// Prints every check of one attachment.
pub(crate) fn explain_checks(
    attachment: &Attachment,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    if let Some(first) = &attachment.duplicate_of {
        terminal.line(format!("    a copy of {}", printable(first)))?;
    }
    for Check { name, outcome } in &attachment.checks {
        let title = name.title();
        match outcome {
            Outcome::Passed { evidence } => {
                terminal.line(format!("    ok      {title}: {}", printable(evidence)))?;
            }
            Outcome::Failed {
                expected,
                found,
                remedy,
            } => {
                terminal.line(format!(
                    "    FAILED  {title}: expected {}",
                    printable(expected)
                ))?;
                terminal.line(format!("              found {}", printable(found)))?;
                if let Some(remedy) = remedy {
                    terminal.line(format!("            to pass {}", printable(remedy)))?;
                }
            }
            Outcome::Skipped { reason } => {
                terminal.line(format!("    -       {title}: {}", printable(reason)))?;
            }
            Outcome::NotApplicable { reason } => {
                terminal.line(format!(
                    "    -       {title}: nothing to check, {}",
                    printable(reason)
                ))?;
            }
            Outcome::NotReached => {
                terminal.line(format!("    -       {title}: not reached"))?;
            }
        }
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
                CheckName::Annotations
                | CheckName::Timestamp
                | CheckName::Predicate
                | CheckName::Revocation => continue,
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

/// The demands that are not met besides the one that a message is about.
fn also_unmet(report: &Report, told: &DemandReport) -> String {
    report
        .demands
        .iter()
        .filter(|demand| demand.verdict != Verdict::Verified && !std::ptr::eq(*demand, told))
        .map(|demand| {
            let why = match demand.verdict {
                Verdict::NoSignatures => "there is none",
                _ => "none is good enough",
            };
            format!("\n  also not met: {}, {why}", printable(&demand.kind))
        })
        .collect()
}

/// The first demand that is not met.
fn unmet(report: &Report) -> Option<&DemandReport> {
    report
        .demands
        .iter()
        .find(|demand| demand.verdict == report.verdict)
}

/// Says that there is nothing of the kind that was asked for, and what there is.
pub(crate) fn none_there(name: &str, report: &Report, local: bool) -> String {
    let Some(demand) = unmet(report) else {
        return format!("{name}: nothing is asked for");
    };
    let kind = demand.kind.as_str();
    let what = match kind {
        "image signature" => "signature".to_owned(),
        kind => kind.to_owned(),
    };
    let others: Vec<String> = demand
        .attachments
        .iter()
        .filter_map(|attachment| match attachment.failure() {
            Some(Check {
                outcome: Outcome::Failed { found, .. },
                ..
            }) => Some(printable(found).into_owned()),
            _ => None,
        })
        .collect();
    match others.len() {
        0 => {
            let (tag, those) = match what == "signature" {
                true => ("sig", "Signatures"),
                false => ("att", "Attestations"),
            };
            // A layout on disk has nothing elsewhere.
            let elsewhere = match local {
                true => String::new(),
                false => {
                    format!(". {those} in another repository are found with COSIGN_REPOSITORY")
                }
            };
            format!(
                "{name} has no {what}: no bundle refers to {digest}, and there is no tag \
                 sha256-{hex}.{tag}{elsewhere}{also}",
                digest = report.digest,
                hex = report.digest.hex(),
                also = also_unmet(report, demand),
            )
        }
        count => {
            let list: Vec<_> = others.into_iter().take(3).collect();
            format!(
                "{name} has no {what}, only {count}: {}{}",
                list.join("; "),
                also_unmet(report, demand)
            )
        }
    }
}

/// Says which attachments there are and why each is not good.
pub(crate) fn no_match(name: &str, report: &Report) -> String {
    let Some(demand) = unmet(report) else {
        return format!("{name}: nothing is asked for");
    };
    let reasons = demand
        .attachments
        .iter()
        .filter(|attachment| demand.attachments.len() == 1 || !is_of_other_kind(attachment))
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
    let mut list: String = reasons.take(MAX_LISTED).collect();
    list.push_str(&also_unmet(report, demand));
    let have = demand.signers.iter().filter(|signer| signer.signed).count();
    if have > 0 {
        let need = demand.threshold;
        let missing: Vec<_> = demand
            .signers
            .iter()
            .filter(|signer| !signer.signed)
            .map(|signer| printable(&signer.signer).into_owned())
            .collect();
        let missing = match missing.is_empty() {
            true => String::new(),
            false => format!(", missing {}", missing.join(" and ")),
        };
        return format!(
            "{name}: good {}s by {have} of the {need} signers needed{missing}{list}",
            kind_word(demand)
        );
    }
    let count = demand.attachments.len();
    let word = kind_word(demand);
    let plural = if count == 1 {
        format!("its one {word} is not good")
    } else {
        format!("no {word} is good")
    };
    format!("{name}: {plural}{list}")
}

fn kind_word(demand: &DemandReport) -> &'static str {
    match demand.kind.starts_with("attestation") {
        true => "attestation",
        false => "signature",
    }
}
