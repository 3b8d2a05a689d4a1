//! Policies in Rego and CEL: judgements of what an attestation says, beside the conditions of a policy file.
//!
//! The statement is what somebody signed and the policy is the user's, so a judgement has no clock, network or files, is
//! bounded in time and input, and whatever goes wrong in it is a no, with the cause.

mod cel;
mod rego;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use sealmark_verify::Policy;
use sealmark_verify::policy::{Kind, PredicateCheck};
use sealmark_verify::policy_file::{AttestationWanted, CelText, PolicyFile, Program};

use crate::error::Error;
use crate::policy_flags::{PolicyFlags, absolute};

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

/// Programs of a policy file that are ready to judge.
pub(crate) type Compiled = BTreeMap<Program, Arc<dyn PredicateCheck>>;

/// Policies that are ready to judge.
#[derive(Debug, Default)]
pub(crate) struct PredicatePolicies {
    /// In the order in which a policy file has them.
    checks: Vec<(Program, Arc<dyn PredicateCheck>)>,
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
        let mut checks: Vec<(Program, Arc<dyn PredicateCheck>)> = Vec::new();
        for path in policy.in_other_languages() {
            match Language::of(path) {
                Some(Language::Cue) => return Err(cue(path)),
                Some(Language::Rego) => modules.push((path.clone(), text(path)?)),
                _ => checks.push((
                    Program::CelFile(name(path)),
                    Arc::new(cel::Expression::of_file(path, &text(path)?)?),
                )),
            }
        }
        if !modules.is_empty() {
            let program = Program::Rego(modules.iter().map(|(path, _)| name(path)).collect());
            checks.insert(0, (program, Arc::new(rego::Modules::compile(&modules)?)));
        }
        for expression in &self.cel {
            checks.push((
                Program::Cel(expression.clone()),
                Arc::new(cel::Expression::of_flag(expression)?),
            ));
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
    /// Says in a policy file what the flags say.
    pub(crate) fn write(&self, wanted: &mut AttestationWanted) {
        wanted.every |= self.every;
        for (program, _) in &self.checks {
            match program {
                Program::Rego(files) => wanted.rego.extend(files.iter().cloned().map(Into::into)),
                Program::Cel(text) => wanted.cel.push(CelText::from(text.as_str()).into()),
                Program::CelFile(file) => wanted.cel.push(CelText::file(file).into()),
            }
        }
    }

    /// The programs that a policy file made of the flags has.
    pub(crate) fn compiled(&self) -> Compiled {
        self.checks.iter().cloned().collect()
    }

    /// Asks this of every attestation that a policy file demands, beside what it asks itself.
    pub(crate) fn demand(&self, policy: &mut Policy) -> Result<(), Error> {
        let mut asked = false;
        for demand in &mut policy.demands {
            if let Kind::Attestation(wanted) = &mut demand.kind {
                let checks = self.checks.iter().map(|(_, check)| Arc::clone(check));
                wanted.checks.extend(checks);
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
        self.checks.iter().map(|(_, check)| check.name()).collect()
    }
}

/// Compiles what a policy file has in other languages, in every rule: a mistake is told before anything is fetched.
/// `file_name` is the policy file's, and files are named relative to `directory`.
pub(crate) fn compile(
    file: &PolicyFile,
    file_name: &str,
    directory: &Path,
) -> Result<Compiled, Error> {
    let mut compiled = Compiled::new();
    for (program, line) in file.rules.iter().flat_map(|rule| rule.programs()) {
        if compiled.contains_key(&program) {
            continue;
        }
        let at = |error: Error| {
            let line = line
                .map(|line| format!(", line {line}"))
                .unwrap_or_default();
            let language = program.language();
            Error::Usage(format!("{file_name}{line}: {language}: {error}"))
        };
        let check = of_file(&program, directory).map_err(at)?;
        compiled.insert(program, check);
    }
    Ok(compiled)
}

fn of_file(program: &Program, directory: &Path) -> Result<Arc<dyn PredicateCheck>, Error> {
    Ok(match program {
        Program::Cel(expression) => Arc::new(cel::Expression::of_policy(expression)?),
        Program::CelFile(file) => {
            let path = directory.join(file);
            Arc::new(cel::Expression::of_file(&path, &text(&path)?)?)
        }
        Program::Rego(files) => {
            let mut modules = Vec::new();
            for file in files {
                let path = directory.join(file);
                modules.push((path.clone(), text(&path)?));
            }
            Arc::new(rego::Modules::compile(&modules)?)
        }
    })
}

/// A file, as it is found from every folder.
fn name(path: &Path) -> String {
    absolute(&path.display().to_string())
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
