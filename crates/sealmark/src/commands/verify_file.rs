//! What `verify-blob` and `verify-blob-attestation` share: check a file's evidence, and say what it is worth.

use sealmark_formats::statement::Statement;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_sign::blob::FileBytes;
use sealmark_verify::artifact::{Bytes, needed_hashes};
use sealmark_verify::evidence::{Content, Evidence};
use sealmark_verify::policy_file;
use sealmark_verify::report::Verdict;
use sealmark_verify::{Artifact, Policy, Report, Revocations, TrustedMaterial};
use serde::Serialize;

use super::cosign_output;
use crate::asking::Asking;
use crate::detached::Beside;
use crate::error::{Error, VerificationExit};
use crate::input::Input;
use crate::printable::printable;
use crate::remote_check;
use crate::report::{self, OutputFormat};
use crate::terminal::Terminal;
use crate::trust_flags;

/// What is verified and how it is shown.
pub(crate) struct Settings {
    /// The file as the user wrote it; without one, the statement is verified and nothing is compared with it.
    pub(crate) file: Option<String>,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) beside: Beside,
    /// Show the policy and every check.
    pub(crate) explain: bool,
    pub(crate) output: OutputFormat,
    /// A policy file may ask for more; only attestations are looked at.
    pub(crate) only_attestations: bool,
    /// Whether the statement must have the file as a subject.
    pub(crate) check_claims: bool,
}

#[derive(Serialize)]
struct FileJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trusting: Option<String>,
    #[serde(flatten)]
    report: Report,
}

/// Verifies the file against its evidence.
pub(crate) async fn run(
    mut settings: Settings,
    mut asking: Asking,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    for evidence in &mut settings.evidence {
        if settings.beside.has_sct() && matches!(evidence.content, Content::Bundle(_)) {
            return Err(Error::Usage(format!(
                "{} is a Sigstore bundle, whose certificate has the promises of CT logs in it; --sct goes with a \
                 signature that is kept without one",
                evidence.source.location
            )));
        }
        settings.beside.complete(evidence);
    }
    let file = settings.file.clone();
    let name = file.clone().unwrap_or_else(|| "the statement".to_owned());
    let mut policy = asking
        .policy(policy_file::Artifact::File(&name), terminal)
        .await?;
    for demand in &mut policy.demands {
        demand.check_claims = settings.check_claims;
    }
    let trust = &asking.trusted.material;
    let input = file.as_deref().map(Input::open).transpose()?;
    let report = match &input {
        Some(input) => verify(
            input,
            &settings.evidence,
            trust,
            &asking.revocations,
            &policy,
        )?,
        None => {
            let digest = claimed(&settings.evidence)?;
            let artifact = Artifact::by_digest(digest);
            let now = trust_flags::now();
            sealmark_verify::verify_unless_revoked(
                &artifact,
                &settings.evidence,
                trust,
                &policy,
                &asking.revocations,
                now,
            )
        }
    };
    if asking.verify_remotely && report.verdict == Verdict::Verified {
        let artifact = match &input {
            Some(input) => remote_check::Artifact::of(input),
            None => remote_check::Artifact::Digest(&report.digest),
        };
        let (keys, evidence) = (&asking.remote, &settings.evidence);
        remote_check::check(keys, evidence, &report, &artifact, terminal).await?;
    }
    print(&settings, &name, &asking, &report, terminal)?;
    match report.verdict {
        Verdict::Verified => Ok(()),
        verdict => Err(Error::Verification {
            exit: VerificationExit::NoMatch,
            message: failure(&name, verdict, &settings, &asking, &report),
        }),
    }
}

fn failure(
    name: &str,
    verdict: Verdict,
    settings: &Settings,
    asking: &Asking,
    report: &Report,
) -> String {
    let mut message = report::no_match(name, report);
    let other_types = settings.only_attestations && verdict == Verdict::NoSignatures;
    if other_types && asking.made_of_flags() {
        message.push_str("\n  the type that is meant is named with --type");
    }
    message.push_str(&asking.variables_note());
    message
}

fn print(
    settings: &Settings,
    name: &str,
    asking: &Asking,
    report: &Report,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let verified = report.verdict == Verdict::Verified;
    let line = |word: &str| match settings.file {
        Some(_) if !settings.check_claims => {
            let about = settings
                .evidence
                .first()
                .and_then(Evidence::claimed_digest)
                .map_or_else(String::new, |digest| format!(" about {digest}"));
            format!(
                "{word} the statement{about}, and not that it is about {} (--check-claims=false)",
                printable(name)
            )
        }
        Some(_) => format!("{word} {} ({})", printable(name), report.digest),
        None => {
            let subjects = settings
                .evidence
                .first()
                .and_then(|evidence| statement(&evidence.content).ok())
                .map_or(1, |statement| statement.subject.len());
            let more = match subjects {
                0 | 1 => String::new(),
                several => format!(" and {} more", several - 1),
            };
            format!("{word} {name} about {}{more}", report.digest)
        }
    };
    match settings.output {
        OutputFormat::Json => terminal.json(&FileJson {
            file: settings.file.clone(),
            trusting: asking.trusted.origin.clone(),
            report: report.clone(),
        }),
        OutputFormat::Text if settings.explain => {
            terminal.line(asking.describe())?;
            let word = if verified { "verified" } else { "NOT verified" };
            terminal.line(line(word))?;
            report::explain(report, terminal)
        }
        OutputFormat::Text if verified => {
            terminal.line(line("verified"))?;
            report::print(report, terminal)
        }
        OutputFormat::Cosign if verified => {
            cosign_output::attestations(report, &settings.evidence, terminal)
        }
        OutputFormat::Predicate if verified => {
            cosign_output::predicates(report, &settings.evidence, terminal)
        }
        // A failure is said once, by its message.
        OutputFormat::Text | OutputFormat::Cosign | OutputFormat::Predicate => Ok(()),
    }
}

/// The first digest that the one statement claims to be about.
fn claimed(evidence: &[Evidence]) -> Result<Digest, Error> {
    let [evidence] = evidence else {
        return Err(Error::Usage(
            "several attestations are of one file, which is to be named".to_owned(),
        ));
    };
    let failed = |reason: &str| Error::Verification {
        exit: VerificationExit::NoMatch,
        message: printable(&format!("{}: {reason}", evidence.source.location)).into_owned(),
    };
    let statement = statement(&evidence.content).map_err(|reason| failed(&reason))?;
    statement
        .subject
        .iter()
        .flat_map(|subject| &subject.digest)
        .find_map(|(name, hex)| format!("{name}:{hex}").parse().ok())
        .ok_or_else(|| failed("a statement about nothing that is known by a digest"))
}

fn statement(content: &Content) -> Result<Statement, String> {
    match content {
        Content::Unreadable(reason) => Err(reason.clone()),
        content => cosign_output::envelope(content)
            .ok_or_else(|| "a signature over a file, and no statement".to_owned())
            .and_then(|envelope| {
                Statement::parse(&envelope.payload).map_err(|error| error.to_string())
            }),
    }
}

pub(super) fn verify(
    input: &Input,
    evidence: &[Evidence],
    trust: &TrustedMaterial,
    revocations: &Revocations,
    policy: &Policy,
) -> Result<Report, Error> {
    let now = trust_flags::now();
    let path = match input {
        Input::File(path) => path,
        Input::Standard(file) => file.path(),
        Input::Digest(digest) => {
            let artifact = Artifact::by_digest(digest.clone());
            return Ok(sealmark_verify::verify_unless_revoked(
                &artifact,
                evidence,
                trust,
                policy,
                revocations,
                now,
            ));
        }
    };
    let bytes = FileBytes(path);
    let failed = |reason| Error::Usage(reason);
    let mut digests = bytes
        .digests(&needed_hashes(evidence, policy))
        .map_err(failed)?;
    let first = digests
        .iter()
        .position(|digest| digest.algorithm() == HashAlgorithm::Sha256)
        .map(|index| digests.swap_remove(index))
        .ok_or_else(|| Error::Usage("no SHA-256 digest was made".to_owned()))?;
    let artifact = Artifact {
        digest: first,
        more_digests: digests,
        bytes: Some(&bytes as &dyn Bytes),
    };
    Ok(sealmark_verify::verify_unless_revoked(
        &artifact,
        evidence,
        trust,
        policy,
        revocations,
        now,
    ))
}
