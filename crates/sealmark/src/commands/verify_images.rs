//! What `verify` and `verify-attestation` share: look at everything that is attached to each image, and say what it is
//! worth.

use std::collections::BTreeMap;

use sealmark_formats::Digest;
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_formats::statement::{self, Statement};
use sealmark_oci::{Client, Descriptor, Layout, Reference, Repository, Source, Want};
use sealmark_verify::evidence::{Content, Detached, Evidence};
use sealmark_verify::policy_file;
use sealmark_verify::report::{Report, Verdict};
use sealmark_verify::{Artifact, Kind, Policy};
use serde::Serialize;

use super::cosign_output;
use crate::asking::Asking;
use crate::detached::{self, Beside};
use crate::error::{Error, VerificationExit};
use crate::flags;
use crate::printable::printable;
use crate::remote_check;
use crate::report::{self, OutputFormat};
use crate::terminal::Terminal;
use crate::trust_flags;

/// Types of attestations that a message lists.
const MAX_TYPES: usize = 8;

/// What is verified and how it is shown.
pub(crate) struct Settings<'a> {
    /// As the user wrote them.
    pub(crate) images: &'a [String],
    /// They are layouts on disk.
    pub(crate) local: bool,
    /// Whether the signed claims must name the image.
    pub(crate) check_claims: bool,
    /// Show the policy and every check.
    pub(crate) explain: bool,
    pub(crate) output: OutputFormat,
    /// Which attachments can be what is asked for.
    pub(crate) want: Want,
    /// Where there is none of them, it helps to hear that there are these.
    pub(crate) instead: Want,
    /// Verify every image of an index too.
    pub(crate) recursive: bool,
    /// A policy file may ask for more; only attestations are looked at.
    pub(crate) only_attestations: bool,
    /// Completes what is found.
    pub(crate) beside: Beside,
    /// A signature in a file, instead of those that are attached.
    pub(crate) given: Option<GivenSignature>,
}

/// A signature of an image that is kept in files.
pub(crate) struct GivenSignature {
    pub(crate) location: String,
    pub(crate) signature: Vec<u8>,
    /// What it is over; without it, what cosign signs for the image and no annotations.
    pub(crate) payload: Option<Vec<u8>>,
}

impl GivenSignature {
    fn evidence(&self, found: &Found) -> Evidence {
        let payload = self.payload.clone().unwrap_or_else(|| {
            SimpleSigning::new(&found.repository, &found.digest, &BTreeMap::new()).to_json()
        });
        detached::from_file(
            self.location.clone(),
            Content::SimpleSigning(Detached {
                payload,
                signature: self.signature.clone(),
                ..Detached::default()
            }),
        )
    }
}

/// An image whose evidence was gathered and verified.
pub(super) struct Verified {
    /// As the user wrote it.
    name: String,
    /// What to deploy: the image by digest.
    pinned: String,
    pub(super) evidence: Vec<Evidence>,
    pub(super) report: Report,
    /// Identities were asked for, and no key.
    by_identity: bool,
    /// The user can name another type of attestation.
    hint: bool,
    local: bool,
    variables_note: String,
    trusting: Option<String>,
    check_claims: bool,
}

/// An image as it was found.
#[derive(Clone)]
struct Found {
    /// Registry and repository, or the directory.
    repository: String,
    pinned: String,
    digest: Digest,
    /// What points at it, if that was asked for.
    descriptor: Option<Descriptor>,
    source: Source,
    /// Whether there is such an image; otherwise the user gave a digest, and nobody has looked yet.
    looked_up: bool,
}

/// Verifies each image; the first that fails decides the exit code, after all were looked at.
pub(crate) async fn run(
    settings: Settings<'_>,
    mut asking: Asking,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    if settings.explain && settings.output == OutputFormat::Text {
        terminal.line(asking.describe())?;
    }
    let mut first_failure = None;
    let mut json = Vec::new();
    let mut found = Vec::new();
    for name in settings.images {
        match find_all(name, &settings, client).await {
            Ok(images) => found.extend(images.into_iter().map(|image| (name, Ok(image)))),
            Err(error) => found.push((name, Err(error))),
        }
    }
    for ((name, found), looked_at) in found.into_iter().zip(1..) {
        let verified = match found {
            Ok(found) => one(name, found, &settings, &mut asking, client, terminal).await,
            Err(error) => Err(error),
        };
        let failure = match verified {
            Ok(verified) => {
                let failure = verified.failure();
                match settings.output {
                    OutputFormat::Text => verified.print_text(&settings, terminal)?,
                    OutputFormat::Json => json.push(verified.json()),
                    OutputFormat::Cosign if failure.is_none() => {
                        verified.print_cosign(&settings, terminal)?;
                    }
                    OutputFormat::Predicate if failure.is_none() => {
                        cosign_output::predicates(&verified.report, &verified.evidence, terminal)?;
                    }
                    OutputFormat::Cosign | OutputFormat::Predicate => {}
                }
                failure
            }
            Err(Error::Oci(error)) if error.is_not_found() => Some(Error::Verification {
                exit: VerificationExit::ImageMissing,
                message: error.to_string(),
            }),
            Err(error) => Some(error),
        };
        if let Some(failure) = &failure
            && json.len() < looked_at
        {
            json.push(ImageJson::Failed {
                image: name.clone(),
                error: failure.to_string(),
            });
        }
        match failure {
            Some(failure) if first_failure.is_some() => terminal.note(format!("error: {failure}")),
            failure => first_failure = first_failure.or(failure),
        }
    }
    if settings.output == OutputFormat::Json {
        terminal.json(&json)?;
    }
    first_failure.map_or(Ok(()), Err)
}

/// The image, and if it is wanted every image inside it.
async fn find_all(
    name: &str,
    settings: &Settings<'_>,
    client: &Client,
) -> Result<Vec<Found>, Error> {
    let found = match settings.local {
        true => find_local(name)?,
        false => find(client, name, settings.recursive).await?,
    };
    let (true, Some(root)) = (settings.recursive, found.descriptor.clone()) else {
        return Ok(vec![found]);
    };
    let own = match &found.source {
        Source::Registry { client, .. } => {
            let image: Reference = found.pinned.parse().map_err(sealmark_oci::Error::from)?;
            Source::Registry {
                client: client.clone(),
                repository: image.in_repository(),
            }
        }
        layout => layout.clone(),
    };
    let inside = own.with_children(root).await?.into_iter().skip(1);
    let children = inside.map(|child| Found {
        pinned: format!("{}@{}", found.repository, child.digest),
        digest: child.digest,
        descriptor: None,
        ..found.clone()
    });
    let children: Vec<Found> = children.collect();
    Ok(core::iter::once(found).chain(children).collect())
}

async fn one(
    name: &str,
    found: Found,
    settings: &Settings<'_>,
    asking: &mut Asking,
    client: &Client,
    terminal: &Terminal,
) -> Result<Verified, Error> {
    let artifact = policy_file::Artifact::Image(&found.repository);
    let mut policy = asking.policy(artifact, terminal).await?;
    for demand in &mut policy.demands {
        demand.check_claims = settings.check_claims;
    }
    let mut evidence = match &settings.given {
        Some(given) => vec![given.evidence(&found)],
        None => gather(&found, wanted(settings, &policy), settings.instead, client).await?,
    };
    for evidence in &mut evidence {
        settings.beside.complete(evidence);
    }
    let image = Image {
        name,
        pinned: found.pinned,
        digest: found.digest,
        local: settings.local,
    };
    let verified = judge(image, evidence, &policy, asking, terminal).await?;
    Ok(Verified {
        hint: settings.only_attestations && asking.made_of_flags(),
        check_claims: settings.check_claims,
        ..verified
    })
}

/// An image that is judged.
pub(super) struct Image<'a> {
    /// As the user wrote it.
    pub(super) name: &'a str,
    /// By its digest.
    pub(super) pinned: String,
    pub(super) digest: Digest,
    /// It is in a layout on disk.
    pub(super) local: bool,
}

/// What the evidence is worth for the policy.
pub(super) async fn judge(
    image: Image<'_>,
    evidence: Vec<Evidence>,
    policy: &Policy,
    asking: &Asking,
    terminal: &Terminal,
) -> Result<Verified, Error> {
    let report = sealmark_verify::verify_unless_revoked(
        &Artifact::by_digest(image.digest),
        &evidence,
        &asking.trusted.material,
        policy,
        &asking.revocations,
        trust_flags::now(),
    );
    if asking.verify_remotely && report.verdict == Verdict::Verified {
        let artifact = remote_check::Artifact::Digest(&report.digest);
        remote_check::check(&asking.remote, &evidence, &report, &artifact, terminal).await?;
    }
    Ok(Verified {
        name: image.name.to_owned(),
        pinned: image.pinned,
        evidence,
        report,
        by_identity: Asking::by_identity(policy),
        hint: false,
        local: image.local,
        variables_note: asking.variables_note(),
        trusting: asking.trusted.origin.clone(),
        check_claims: true,
    })
}

/// A policy file may ask for signatures and attestations at once.
fn wanted(settings: &Settings<'_>, policy: &Policy) -> Want {
    let attestations =
        |demand: &&sealmark_verify::Demand| matches!(demand.kind, Kind::Attestation(_));
    let asked = policy.demands.iter().filter(attestations).count();
    match (asked, asked == policy.demands.len()) {
        (0, _) => settings.want,
        (_, true) => Want::ATTESTATIONS,
        _ => Want::ALL,
    }
}

async fn find(client: &Client, name: &str, look: bool) -> Result<Found, Error> {
    let image: Reference = name.parse().map_err(sealmark_oci::Error::from)?;
    let repository: Repository = flags::signature_repository(&image)?;
    let descriptor = match (&image.digest, look) {
        (Some(_), false) => None,
        _ => Some(client.resolve(&image).await?),
    };
    let digest = match (&image.digest, &descriptor) {
        (Some(digest), _) => digest.clone(),
        (None, Some(descriptor)) => descriptor.digest.clone(),
        (None, None) => return Err(Error::Usage(format!("{name} has no digest"))),
    };
    Ok(Found {
        repository: image.in_repository().to_string(),
        pinned: image.by_digest(&digest).to_string(),
        looked_up: descriptor.is_some(),
        digest,
        descriptor,
        source: Source::Registry {
            client: client.clone(),
            repository,
        },
    })
}

fn find_local(name: &str) -> Result<Found, Error> {
    let (directory, image) = flags::layout_and_image(name);
    let layout = Layout::open(directory)?;
    let descriptor = layout.resolve(image)?;
    Ok(Found {
        repository: directory.to_owned(),
        pinned: format!("{directory}@{}", descriptor.digest),
        digest: descriptor.digest.clone(),
        descriptor: Some(descriptor),
        source: Source::Layout(layout),
        looked_up: true,
    })
}

async fn gather(
    found: &Found,
    want: Want,
    instead: Want,
    client: &Client,
) -> Result<Vec<Evidence>, Error> {
    let evidence = sealmark_oci::gather(&found.source, &found.digest, want).await?;
    if !evidence.is_empty() || want == Want::ALL {
        return Ok(evidence);
    }
    // No signature, or no image?
    if !found.looked_up {
        let image: Reference = found.pinned.parse().map_err(sealmark_oci::Error::from)?;
        client.resolve(&image).await?;
    }
    Ok(sealmark_oci::gather(&found.source, &found.digest, instead).await?)
}

/// One image in `--output json`.
#[derive(Serialize)]
#[serde(untagged)]
enum ImageJson {
    /// It was looked at.
    Looked {
        image: String,
        pinned: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        trusting: Option<String>,
        #[serde(flatten)]
        report: Report,
    },
    /// It could not be looked at.
    Failed { image: String, error: String },
}

impl Verified {
    /// Why it is not verified, if it is not.
    pub(super) fn failure(&self) -> Option<Error> {
        let (exit, message) = match self.report.verdict {
            Verdict::Verified => return None,
            Verdict::NoSignatures => (
                VerificationExit::Unsigned,
                self.none_of_type()
                    .unwrap_or_else(|| report::none_there(&self.name, &self.report, self.local)),
            ),
            Verdict::NoMatchingSignatures => {
                let exit = match self.by_identity
                    && !self.evidence.iter().any(Evidence::has_certificate)
                {
                    true => VerificationExit::CertificateMissing,
                    false => VerificationExit::NoMatch,
                };
                let message = report::no_match(&self.name, &self.report);
                (exit, message + &self.variables_note)
            }
        };
        Some(Error::Verification { exit, message })
    }

    fn print_text(&self, settings: &Settings<'_>, terminal: &mut Terminal) -> Result<(), Error> {
        let verified = self.report.verdict == Verdict::Verified;
        if verified {
            terminal.line(match self.check_claims {
                true => format!("verified {}", self.pinned),
                false => format!(
                    "verified, but not of what it is (--check-claims=false): what is attached to {}",
                    self.pinned
                ),
            })?;
        } else if settings.explain {
            terminal.line(format!("NOT verified {}", self.pinned))?;
        }
        match (settings.explain, verified) {
            (true, _) => report::explain(&self.report, terminal),
            (false, true) => {
                report::print(&self.report, terminal)?;
                report::print_sources(&self.report, false, terminal)
            }
            // A failure is said once, by its message.
            (false, false) => Ok(()),
        }
    }

    fn json(self) -> ImageJson {
        ImageJson::Looked {
            image: self.name,
            pinned: self.pinned,
            trusting: self.trusting,
            report: self.report,
        }
    }

    /// Says which types of attestations there are, if there are some and none is of a type that was asked for.
    fn none_of_type(&self) -> Option<String> {
        let wanted = self
            .report
            .demands
            .iter()
            .find(|demand| demand.verdict == Verdict::NoSignatures)?;
        let mut types: BTreeMap<String, usize> = BTreeMap::new();
        for evidence in &self.evidence {
            let statement = cosign_output::envelope(&evidence.content)
                .and_then(|envelope| Statement::parse(&envelope.payload).ok());
            if let Some(statement) = statement
                && statement.predicate_type != statement::COSIGN_SIGN_V1
            {
                *types.entry(statement.predicate_type).or_default() += 1;
            }
        }
        if !self.hint || types.is_empty() {
            return None;
        }
        let list: Vec<_> = types
            .iter()
            .take(MAX_TYPES)
            .map(|(name, count)| match count {
                1 => printable(name).into_owned(),
                several => format!("{} ({several})", printable(name)),
            })
            .chain((types.len() > MAX_TYPES).then(|| "others".to_owned()))
            .collect();
        Some(format!(
            "{} has no {}. It has attestations of type {}; name the one that is meant with --type",
            self.name,
            wanted.kind,
            list.join(", ")
        ))
    }

    fn print_cosign(&self, settings: &Settings<'_>, terminal: &mut Terminal) -> Result<(), Error> {
        if settings.only_attestations {
            return cosign_output::attestations(&self.report, &self.evidence, terminal);
        }
        cosign_output::signatures(
            &self.name,
            &self.report,
            &self.evidence,
            settings.check_claims,
            terminal,
        )
    }
}
