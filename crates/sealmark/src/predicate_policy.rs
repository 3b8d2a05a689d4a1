//! Policies in Rego and CEL: judgements of what an attestation says, beside the conditions of a policy file.
//!
//! The statement is what somebody signed and the policy is the user's, so a judgement has no clock, network or files, is
//! bounded in time and input, and whatever goes wrong in it is a no, with the cause.

mod cel;
mod rego;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use sealmark_verify::Policy;
use sealmark_verify::policy::{Kind, PredicateCheck};

use crate::error::Error;
use crate::policy_flags::PolicyFlags;

/// A policy's text is not longer than this, in bytes; what people write has some thousands.
const MAX_POLICY: u64 = 1 << 20;
/// A statement that is judged is not longer than this, in bytes: a large SBOM has some millions.
const MAX_STATEMENT: usize = 32 << 20;
/// One judgement of one statement takes no longer; people's policies take milliseconds.
const MAX_TIME: Duration = Duration::from_secs(5);
/// The evaluators walk expressions and JSON by recursion, of bounded depth, which this is enough for.
const STACK: usize = 64 << 20;

/// What is asked of the predicate by policies in languages of their own.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct PredicateFlags {
    /// Expression (CEL) over predicate, predicateType, subject and statement that must be true; several by repeating
    #[arg(long, value_name = "EXPRESSION", help_heading = "Predicate options")]
    cel: Vec<String>,
    /// Every attestation of the type by the signers must be as is asked, and not just one; with policies in Rego or
    /// CEL, as with cosign, that is so without it
    #[arg(long, help_heading = "Predicate options")]
    all: bool,
    /// One attestation that is as the policies in Rego or CEL ask is enough, whatever others say
    #[arg(long, conflicts_with = "all", help_heading = "Predicate options")]
    any: bool,
}

/// Policies that are ready to judge.
#[derive(Debug, Default)]
pub(crate) struct PredicatePolicies {
    checks: Vec<Arc<dyn PredicateCheck>>,
    every: bool,
}

/// The language of a policy file that is not one of Sealmark's own, by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Language {
    Rego,
    Cel,
    Cue,
}

impl Language {
    /// `None` for a policy file of Sealmark's own.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "rego" => Some(Self::Rego),
            "cel" => Some(Self::Cel),
            "cue" => Some(Self::Cue),
            _ => None,
        }
    }
}

impl PredicateFlags {
    /// Reads and compiles the policies that these flags and `--policy` name.
    pub(crate) fn read(&self, policy: &PolicyFlags) -> Result<PredicatePolicies, Error> {
        let mut modules = Vec::new();
        let mut checks: Vec<Arc<dyn PredicateCheck>> = Vec::new();
        for path in policy.in_other_languages() {
            match Language::of(path) {
                Some(Language::Cue) => return Err(cue(path)),
                Some(Language::Rego) => modules.push((path.clone(), text(path)?)),
                _ => checks.push(Arc::new(cel::Expression::compile(
                    path.display().to_string(),
                    &text(path)?,
                )?)),
            }
        }
        if !modules.is_empty() {
            checks.insert(0, Arc::new(rego::Modules::compile(&modules)?));
        }
        for expression in &self.cel {
            checks.push(Arc::new(cel::Expression::of_flag(expression)?));
        }
        if self.any && checks.is_empty() {
            return Err(Error::Usage(
                "--any is about policies in Rego and CEL, and none is given; without one, one attestation is enough \
                 unless a policy file says `every: true`"
                    .to_owned(),
            ));
        }
        Ok(PredicatePolicies {
            every: self.all || (!checks.is_empty() && !self.any),
            checks,
        })
    }
}

impl PredicatePolicies {
    /// Asks this of every attestation that is demanded.
    pub(crate) fn demand(&self, policy: &mut Policy) -> Result<(), Error> {
        let mut asked = false;
        for demand in &mut policy.demands {
            if let Kind::Attestation(wanted) = &mut demand.kind {
                wanted.checks.clone_from(&self.checks);
                wanted.every |= self.every;
                asked = true;
            }
        }
        match asked || self.checks.is_empty() {
            true => Ok(()),
            false => Err(Error::Usage(format!(
                "{} is about attestations, and the policy file's rule asks for none",
                self.names().join(", ")
            ))),
        }
    }

    /// What the policies are called in reports.
    pub(crate) fn names(&self) -> Vec<String> {
        self.checks.iter().map(|check| check.name()).collect()
    }
}

fn text(path: &PathBuf) -> Result<String, Error> {
    let failed = |cause| Error::file("read", path, cause);
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_POLICY + 1).read_to_string(&mut text))
        .map_err(failed)?;
    match text.len() as u64 > MAX_POLICY {
        true => Err(Error::Usage(format!(
            "{} is longer than {MAX_POLICY} bytes, which no policy is",
            path.display()
        ))),
        false => Ok(text),
    }
}

fn cue(path: &Path) -> Error {
    Error::NotSupported(format!(
        "{} is a policy in CUE. What it asks can be said with --cel 'predicate.builder.id == \"…\"', in Rego \
         (--policy FILE.rego), or in a policy file of Sealmark with conditions such as {{path: /builder/id, equals: …}}",
        path.display()
    ))
}

/// Lets a thread of its own judge, with room for recursion and no longer than [`MAX_TIME`]. One that takes longer is
/// left behind, and ends with the program at the latest.
fn in_time<T: Send + 'static>(
    judge: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("policy".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // Nobody listens any more if it took too long.
            let _ = sender.send(judge());
        })
        .map_err(|cause| format!("the policy could not be started: {cause}"))?;
    // Rego stops itself at the same time; its own word for it is as good.
    match receiver.recv_timeout(MAX_TIME + Duration::from_millis(500)) {
        Ok(said) => said,
        Err(RecvTimeoutError::Timeout) => Err(too_long()),
        Err(RecvTimeoutError::Disconnected) => Err(
            "the evaluation ended without a result, which is a fault of the evaluator".to_owned(),
        ),
    }
}

fn too_long() -> String {
    format!(
        "the evaluation took longer than {} s and was given up",
        MAX_TIME.as_secs()
    )
}

/// Refuses a statement that is too long to be judged.
fn bounded(statement: &str) -> Result<(), String> {
    match statement.len() > MAX_STATEMENT {
        true => Err(format!(
            "a statement of {} bytes; policies judge none that is longer than {MAX_STATEMENT}",
            statement.len()
        )),
        false => Ok(()),
    }
}

/// The value, short enough for a message.
fn brief(text: &str) -> String {
    const LONG: usize = 200;
    match text.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
