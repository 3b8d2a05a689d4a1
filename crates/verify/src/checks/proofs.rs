//! The checks of what others prove about a signature: logs, timestamp authorities, CT logs.

use sealmark_keys::PublicKey;
use sealmark_x509::Certificate;

use super::{Context, Failure, Run, Stop, passed};
use crate::policy::{Demand, Requirement};
use crate::report::{Outcome, Sighting};
use crate::signed::Signed;
use crate::{certificate, log, timestamp};

/// Only a user who asked for neither log nor timestamp gets by with the present.
pub(super) fn none_asked(demand: &Demand) -> bool {
    matches!(demand.log, Requirement::NotChecked { .. })
        && !matches!(demand.timestamp, Requirement::AtLeast(_))
}

/// Checks the log entries and the timestamps; gives every time that one of them proves.
pub(super) fn times(
    signed: &Signed<'_>,
    signer: &PublicKey,
    context: &Context<'_>,
    seen: &mut Vec<Sighting>,
    run: &mut Run,
) -> Result<Vec<i64>, Stop> {
    let demand = context.demand;
    let stamped = match demand.timestamp {
        Requirement::NotChecked { .. } => timestamp::Proven::default(),
        _ => timestamp::check(signed, context.trust, context.now),
    };
    let logged = match demand.log {
        Requirement::NotChecked { .. } => log::Proven::default(),
        _ => run.need(log::check(signed, signer, context, &stamped.times))?,
    };
    seen.extend(logged.seen.iter().chain(&stamped.seen).cloned());
    run.done(log_check(&logged, signed, &demand.log))?;
    run.done(timestamp_check(&stamped, signed, &demand.timestamp))?;
    Ok([stamped.times, logged.times].concat())
}

fn log_check(
    proven: &log::Proven,
    signed: &Signed<'_>,
    requirement: &Requirement,
) -> Result<Outcome, Failure> {
    if let Requirement::NotChecked { reason } = requirement {
        return Ok(not_checked(reason));
    }
    let wanted = requirement.count();
    if !proven.evidence.is_empty() && proven.logs.len() >= wanted {
        return Ok(passed(proven.evidence.join(", ")));
    }
    let found = found("log entry", &proven.evidence, &proven.rejected);
    match requirement {
        Requirement::IfPresent if signed.log_entries.is_empty() => {
            Ok(Outcome::Skipped { reason: found })
        }
        _ => {
            let failure = Failure::new(
                match wanted {
                    0 | 1 => "an entry in a trusted transparency log".to_owned(),
                    several => format!("entries in {several} trusted transparency logs"),
                },
                found,
            );
            // A proof that is there and wrong is no reason to do without one.
            Err(
                match (proven.in_foreign_log, signed.log_entries.is_empty()) {
                    (true, _) => failure
                        .remedy("give the trusted root that has this log with --trusted-root"),
                    (false, true) => failure.remedy(
                        "--insecure-ignore-tlog accepts signatures without a look at the log",
                    ),
                    (false, false) => failure,
                },
            )
        }
    }
}

fn timestamp_check(
    proven: &timestamp::Proven,
    signed: &Signed<'_>,
    requirement: &Requirement,
) -> Result<Outcome, Failure> {
    if let Requirement::NotChecked { reason } = requirement {
        return Ok(not_checked(reason));
    }
    let wanted = requirement.count();
    if !proven.evidence.is_empty() && proven.evidence.len() >= wanted {
        return Ok(passed(proven.evidence.join(", ")));
    }
    let found = found("timestamp", &proven.evidence, &proven.rejected);
    match requirement {
        // A timestamp that does not count leaves the signature as if it had none, and the reader hears of it.
        Requirement::IfPresent if signed.timestamps.is_empty() => {
            Ok(Outcome::Skipped { reason: found })
        }
        Requirement::IfPresent => Ok(Outcome::Skipped {
            reason: format!("it does not count: {found}"),
        }),
        _ => Err(Failure::new(
            match wanted {
                1 => "a timestamp by a trusted authority".to_owned(),
                several => format!("timestamps by {several} trusted authorities"),
            },
            found,
        )),
    }
}

/// Checks the promises of CT logs: those in the certificate, and the one that came beside it.
pub(super) fn sct(
    leaf: &Certificate,
    issuer: &Certificate,
    signed: &Signed<'_>,
    context: &Context<'_>,
) -> Result<Outcome, Failure> {
    let none = leaf.signed_certificate_timestamps().is_empty() && signed.sct.is_none();
    match &context.demand.sct {
        Requirement::NotChecked { reason } => Ok(not_checked(reason)),
        Requirement::IfPresent if none => Ok(Outcome::Skipped {
            reason: "the certificate has none".to_owned(),
        }),
        requirement => certificate::sct(
            leaf,
            issuer,
            signed.sct.as_ref(),
            requirement.count().max(1),
            context.trust,
        )
        .map(passed),
    }
}

fn not_checked(reason: &str) -> Outcome {
    Outcome::Skipped {
        reason: format!("not checked, {reason}"),
    }
}

fn found(what: &str, good: &[String], rejected: &[String]) -> String {
    match (good, rejected) {
        ([], []) => format!("no {what}"),
        (good, rejected) => {
            let all: Vec<_> = good.iter().chain(rejected).map(String::as_str).collect();
            all.join("; ")
        }
    }
}
