//! `revoke`: say, signed, that signatures count no more, and show first which ones fall.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealmark_formats::Digest;
use sealmark_formats::bundle::{self, Bundle};
use sealmark_formats::revocation::{
    LogPosition, LogRange, REVOCATION_V1, Reason, Revocation, Scope, SignerName, Window,
};
use sealmark_formats::statement;
use sealmark_kms::KeyRef;
use sealmark_oci::{Client, Reference, Source, Want};
use sealmark_sign::attest::{self, Claim};
use sealmark_sign::{Signatory, State};
use sealmark_verify::evidence::Evidence;
use sealmark_verify::report::Attachment;
use sealmark_verify::{Artifact, Revocations, revocation};
use serde::Serialize;
use serde_json::value::RawValue;

use super::sign::{LayoutFlag, print};
use crate::detached;
use crate::error::Error;
use crate::flags::{self, Format, RegistryFlags};
use crate::identity_flags::{IdentityFlags, Manners};
use crate::printable::printable;
use crate::service_flags::{ServiceFlags, key_options};
use crate::terminal::Terminal;
use crate::trust_flags;

/// A bundle is not larger, in bytes.
const MAX_BUNDLE: u64 = 16 << 20;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The image whose signatures fall, or a bundle: that one signature falls. Without either, --identity or
    /// --signed-by says whose
    #[arg(value_name = "IMAGE|BUNDLE", required_unless_present_any = ["identity", "signed_by"])]
    what: Option<String>,
    /// Only this signature of the image: SHA-256 of its bytes, or of the manifest that holds it (tree shows it)
    #[arg(long, value_name = "DIGEST", requires = "what", conflicts_with_all = ["log_index", "undo"])]
    signature: Option<Digest>,
    /// Only the signature of the image that has this index in the log
    #[arg(long, value_name = "N", requires = "what", conflicts_with = "undo")]
    log_index: Option<u64>,
    /// Whose signatures fall, if they are not by whoever revokes: an identity
    #[arg(
        long,
        value_name = "IDENTITY",
        requires = "issuer",
        conflicts_with = "signed_by"
    )]
    identity: Option<String>,
    /// Identity provider of --identity
    #[arg(long, value_name = "URL", requires = "identity")]
    issuer: Option<String>,
    /// Whose signatures fall: the holder of this key
    #[arg(long, value_name = "KEY")]
    signed_by: Option<String>,
    /// What was signed from this time on falls (RFC 3339), of whatever artifact
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// What was signed until this time falls
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// What a log has at these positions falls, whatever its time: the id of the log in hex, and the positions, of
    /// which one may be missing; several by repeating
    #[arg(long, value_name = "ID:FROM-TO", value_parser = log_range)]
    log_range: Vec<LogRange>,
    /// Take a revocation back: its bundle
    #[arg(long, value_name = "FILE", conflicts_with_all = ["signature", "log_index", "identity", "signed_by"])]
    undo: Option<PathBuf>,
    /// Why
    #[arg(long, value_enum, default_value = "unspecified")]
    reason: ReasonFlag,
    /// Why, for people: it is public
    #[arg(long, value_name = "TEXT", default_value = "")]
    text: String,
    /// Say which signatures would fall and which stay, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Also remove from the registry what falls, so that it fails for programs that know no revocations
    #[arg(long, requires = "what", conflicts_with_all = ["undo", "no_upload"])]
    detach: bool,
    /// The form in which it is attached: legacy and both make it an attestation that cosign verifies, too
    #[arg(long, value_enum, default_value = "bundle")]
    format: LayoutFlag,
    /// Do not attach the revocation to the image, print it
    #[arg(long)]
    no_upload: bool,
    /// Write the revocation to this file, for --revocations
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Private key of whoever revokes; without one, a certificate for an identity is asked for
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Do not ask whether an identity may become public
    #[arg(short, long)]
    yes: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    services: ServiceFlags,
    #[command(flatten)]
    identity_of_revoker: IdentityFlags,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// [`Reason`], on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ReasonFlag {
    KeyCompromise,
    IdentityCompromise,
    BuildCompromise,
    BadArtifact,
    Mistake,
    CessationOfOperation,
    Superseded,
    Unspecified,
}

impl From<ReasonFlag> for Reason {
    fn from(flag: ReasonFlag) -> Self {
        match flag {
            ReasonFlag::KeyCompromise => Self::KeyCompromise,
            ReasonFlag::IdentityCompromise => Self::IdentityCompromise,
            ReasonFlag::BuildCompromise => Self::BuildCompromise,
            ReasonFlag::BadArtifact => Self::BadArtifact,
            ReasonFlag::Mistake => Self::Mistake,
            ReasonFlag::CessationOfOperation => Self::CessationOfOperation,
            ReasonFlag::Superseded => Self::Superseded,
            ReasonFlag::Unspecified => Self::Unspecified,
        }
    }
}

/// What may fall, as it was found.
struct Found {
    /// What it is called.
    name: String,
    /// The artifact; `None` if no artifact was named.
    artifact: Option<Digest>,
    /// The image, if it is one.
    image: Option<Reference>,
    evidence: Vec<Evidence>,
    attachments: Vec<Attachment>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    done: bool,
    revocation: &'a Revocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attached: Option<String>,
    detached: Vec<Digest>,
    signatures: Vec<Fate>,
}

/// What becomes of a signature.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fate {
    location: String,
    falls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    signer: String,
    #[serde(skip)]
    manifest: Option<Digest>,
    #[serde(skip)]
    is_bundle: bool,
}

/// Revokes, and prints what falls by it and where the revocation is.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let client = arguments.registry.client(terminal)?;
    let mut found = arguments.find(&client).await?;
    let manners = Manners {
        yes: arguments.yes,
        input_is_taken: false,
    };
    let (who, services) = (&arguments.identity_of_revoker, &arguments.services);
    let named = arguments.named_signer(terminal).await?;
    // Whose signatures fall may be known only when it is known who revokes.
    let signatory = match (&named, arguments.dry_run) {
        (Some(_), true) => None,
        _ => Some(
            who.signatory(arguments.key.as_deref(), services, manners, terminal)
                .await?,
        ),
    };
    arguments
        .explain(&mut found, signatory.as_ref(), terminal)
        .await?;
    let own = signatory.as_ref().map(own_name);
    let revocation = arguments.revocation(&found, named.or(own))?;
    let fates = fates(&found, &revocation);
    let mut result = Outcome {
        done: !arguments.dry_run,
        revocation: &revocation,
        statement: None,
        attached: None,
        detached: Vec::new(),
        signatures: fates,
    };
    if arguments.output == Format::Text {
        tell(&found, &result.signatures, arguments.dry_run, terminal)?;
    }
    if let (false, Some(signatory)) = (arguments.dry_run, &signatory) {
        arguments
            .make(&client, signatory, &found, &mut result, terminal)
            .await?;
    }
    match arguments.output {
        Format::Json => terminal.json(&result),
        Format::Text => Ok(()),
    }
}

/// Who that is, as a revocation names them.
fn own_name(signatory: &Signatory) -> SignerName {
    match signatory.issued() {
        Some(issued) => SignerName::Identity {
            identity: issued.subject(),
            issuer: issued.issuer().to_owned(),
        },
        None => SignerName::Key {
            key: signatory.signer().public_key().id().digest().clone(),
        },
    }
}

fn fates(found: &Found, revocation: &Revocation) -> Vec<Fate> {
    let Some(digest) = &found.artifact else {
        return Vec::new();
    };
    let artifact = Artifact::by_digest(digest.clone());
    let each = found.evidence.iter().zip(&found.attachments);
    each.filter(|(evidence, _)| !revocation::is_revocation(evidence))
        .map(|(_, attachment)| {
            let why = revocation::reaches(revocation, &artifact, attachment);
            Fate {
                location: attachment.location.clone(),
                falls: why.is_some(),
                why,
                signer: describe(attachment),
                manifest: attachment.manifest_digest.clone(),
                is_bundle: attachment.layout == sealmark_verify::evidence::Layout::Bundle,
            }
        })
        .collect()
}

/// Who made a signature, in a few words.
fn describe(attachment: &Attachment) -> String {
    let signer = attachment
        .signer
        .as_ref()
        .or(attachment.claimed_signer.as_ref());
    match signer {
        Some(signer) => match (&signer.key_id, signer.subjects.first()) {
            (Some(key), _) => format!("key {key}"),
            (None, subject) => format!(
                "{} of {}",
                subject.map_or("nobody", String::as_str),
                signer.issuer.as_deref().unwrap_or("no issuer")
            ),
        },
        None => "a key that is not known".to_owned(),
    }
}

fn tell(
    found: &Found,
    fates: &[Fate],
    dry_run: bool,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let (fall, stay) = match dry_run {
        true => ("would fall", "would stay"),
        false => ("falls", "stays"),
    };
    for fate in fates {
        let what = match &fate.why {
            Some(why) => format!("{fall}: {why}"),
            None => stay.to_owned(),
        };
        terminal.line(format!(
            "{what}\n  {}\n  by {}",
            printable(&fate.location),
            printable(&fate.signer)
        ))?;
    }
    match (&found.artifact, fates.iter().any(|fate| fate.falls)) {
        (Some(_), false) if !fates.is_empty() => terminal.warn(format!(
            "none of the signatures of {} falls by this",
            found.name
        )),
        (Some(_), false) => terminal.warn(format!("{} has no signatures", found.name)),
        _ => {}
    }
    Ok(())
}

impl Arguments {
    /// What may fall.
    async fn find(&self, client: &Client) -> Result<Found, Error> {
        let mut found = Found {
            name: self.what.clone().unwrap_or_default(),
            artifact: None,
            image: None,
            evidence: Vec::new(),
            attachments: Vec::new(),
        };
        let Some(what) = &self.what else {
            return Ok(found);
        };
        if Path::new(what).is_file() {
            let json = detached::read_bounded(Path::new(what), MAX_BUNDLE, "bundle")?;
            let evidence = detached::from_file(what.clone(), detached::content(json));
            let digest = evidence.claimed_digest().ok_or_else(|| {
                Error::Usage(format!("{what} does not tell what it is a signature of"))
            })?;
            found.artifact = Some(digest);
            found.evidence = vec![evidence];
            return Ok(found);
        }
        let image: Reference = what.parse().map_err(sealmark_oci::Error::from)?;
        let digest = client.resolve(&image).await?.digest;
        let source = Source::Registry {
            client: client.clone(),
            repository: flags::signature_repository(&image)?,
        };
        found.evidence = sealmark_oci::gather(&source, &digest, Want::ALL).await?;
        found.artifact = Some(digest);
        found.image = Some(image);
        Ok(found)
    }

    /// Whose each signature is. Only to tell what falls: who may revoke and what counts is the verifier's affair.
    async fn explain(
        &self,
        found: &mut Found,
        signatory: Option<&Signatory>,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        let Some(digest) = &found.artifact else {
            return Ok(());
        };
        let mut keys: Vec<_> = signatory
            .map(|signatory| signatory.signer().public_key().clone())
            .into_iter()
            .collect();
        if let Some(key) = &self.signed_by {
            let key = KeyRef::parse(key)?;
            keys.push(sealmark_kms::load_public(&key, &key_options(terminal)).await?);
        }
        let flags = self.services.trust_flags();
        let trusted = flags.trusted(None, false, terminal).await?;
        found.attachments = sealmark_verify::explain(
            &Artifact::by_digest(digest.clone()),
            &found.evidence,
            &trusted.material,
            &keys,
            &Revocations::default(),
            trust_flags::now(),
        );
        Ok(())
    }

    /// Whose signatures fall, if that is said.
    async fn named_signer(&self, terminal: &Terminal) -> Result<Option<SignerName>, Error> {
        if let (Some(identity), Some(issuer)) = (&self.identity, &self.issuer) {
            return Ok(Some(SignerName::Identity {
                identity: identity.clone(),
                issuer: issuer.clone(),
            }));
        }
        let Some(key) = &self.signed_by else {
            return Ok(None);
        };
        let key = sealmark_kms::load_public(&KeyRef::parse(key)?, &key_options(terminal)).await?;
        Ok(Some(SignerName::Key {
            key: key.id().digest().clone(),
        }))
    }

    fn revocation(&self, found: &Found, signer: Option<SignerName>) -> Result<Revocation, Error> {
        let window = self.from.is_some() || self.to.is_some() || !self.log_range.is_empty();
        let one = self.signature.is_some() || self.log_index.is_some();
        let bundle = found.artifact.is_some() && found.image.is_none();
        if window && (one || bundle) {
            return Err(Error::Usage(
                "one signature, or those within a window? --from, --to and --log-range go without --signature, \
                 --log-index and a bundle"
                    .to_owned(),
            ));
        }
        let supersedes = self.undo.as_deref().map(statement_of).transpose()?;
        let (scope, signer) = match (&found.artifact, &supersedes) {
            (_, Some(_)) => (Scope::Nothing {}, None),
            (Some(artifact), None) if one || bundle => (self.one(found, artifact)?, None),
            (Some(digest), None) if !window => (
                Scope::Artifact {
                    digest: digest.clone(),
                },
                signer,
            ),
            _ => (
                Scope::Window(Window {
                    logs: self.log_range.clone(),
                    from: self.from,
                    to: self.to,
                }),
                signer,
            ),
        };
        let revocation = Revocation {
            scope,
            signer,
            reason: self.reason.into(),
            text: self.text.clone(),
            supersedes: supersedes.into_iter().collect(),
        };
        // As a verifier reads it.
        let json = serde_json::to_vec(&revocation).map_err(|e| Error::Usage(e.to_string()))?;
        Revocation::parse(&json).map_err(|error| Error::Usage(error.to_string()))
    }

    /// The one signature that is meant.
    fn one(&self, found: &Found, artifact: &Digest) -> Result<Scope, Error> {
        let is_meant = |attachment: &&Attachment| match (&self.signature, self.log_index) {
            (Some(digest), _) => {
                attachment.signature_digest.as_ref() == Some(digest)
                    || attachment.manifest_digest.as_ref() == Some(digest)
            }
            (None, Some(index)) => attachment.seen.iter().any(|s| s.log_index == Some(index)),
            (None, None) => true,
        };
        let mut meant = found.attachments.iter().filter(is_meant);
        let (first, more) = (meant.next(), meant.next());
        let Some(signature) = first.and_then(|attachment| attachment.signature_digest.clone())
        else {
            return Err(Error::Usage(format!(
                "{} has no such signature{}",
                found.name,
                match self.log_index {
                    Some(_) => " that a trusted log has at this index",
                    None => "; tree shows what it has",
                }
            )));
        };
        if more.is_some_and(|more| more.signature_digest.as_ref() != Some(&signature)) {
            return Err(Error::Usage(format!(
                "{} has several signatures there: name one by the SHA-256 of its bytes with --signature",
                found.name
            )));
        }
        let entry = first
            .into_iter()
            .flat_map(|attachment| &attachment.seen)
            .find_map(|seen| {
                Some(LogPosition {
                    log_id: seen.log_id.clone()?,
                    log_index: seen.log_index?,
                })
            });
        Ok(Scope::Signature {
            artifact: artifact.clone(),
            signature: Some(signature),
            log_entry: entry,
        })
    }

    /// Signs the revocation and brings it where verifiers find it.
    async fn make(
        &self,
        client: &Client,
        signatory: &Signatory,
        found: &Found,
        result: &mut Outcome<'_>,
        terminal: &mut Terminal,
    ) -> Result<(), Error> {
        let predicate = serde_json::value::to_raw_value(result.revocation)
            .map_err(|error| Error::Usage(error.to_string()))?;
        // A window is about a signer; attached to an image, it has to be about that, too.
        let subject = result.revocation.subject();
        let subjects: Vec<&Digest> = subject.iter().chain(&found.artifact).collect();
        let Some(first) = subjects.first() else {
            return Err(Error::Usage(
                "name the image that it is attached to".to_owned(),
            ));
        };
        let json = statement_about(&subjects, &found.name, &predicate);
        result.statement = Some(Digest::sha256(&json));
        let bundle = match &found.image {
            Some(image) if !self.no_upload => {
                let request = attest::Request {
                    client,
                    image,
                    attestations: &flags::signature_repository(image)?,
                    signatory,
                    claim: Claim::Statement(&json),
                    layouts: self.format.or_cosigns(None, terminal),
                    docker_media_types: false,
                    recursive: false,
                    upload: true,
                    replace: false,
                };
                let attested = attest::attest(&request).await?;
                if self.output == Format::Text {
                    for one in &attested {
                        print(one, "revocation attached to", terminal)?;
                    }
                }
                let mut placed = attested.iter().flat_map(|one| &one.signatures);
                let placed = placed.next();
                result.attached = placed.and_then(|placed| match &placed.state {
                    State::Attached(location) | State::AlreadyThere(location) => {
                        Some(location.reference.clone())
                    }
                    State::NotUploaded => None,
                });
                placed.and_then(|placed| placed.bundle.clone())
            }
            _ => {
                let claim = Claim::Statement(&json);
                let made = attest::attest_file(signatory, claim, &found.name, first).await?;
                Some(made.bundle)
            }
        };
        if let Some(bundle) = &bundle {
            self.write(bundle, result.attached.is_some(), terminal)?;
        }
        if let (true, Some(image)) = (self.detach, &found.image) {
            self.remove(client, image, found, result, terminal).await?;
        }
        Ok(())
    }

    fn write(&self, bundle: &[u8], attached: bool, terminal: &mut Terminal) -> Result<(), Error> {
        match (&self.bundle, attached || self.output == Format::Json) {
            (Some(path), _) => {
                let mut line = bundle.to_vec();
                line.push(b'\n');
                std::fs::write(path, line).map_err(|cause| Error::file("write", path, cause))?;
                terminal.note(format!(
                    "the revocation is in {}; verify takes it with --revocations",
                    path.display()
                ));
                Ok(())
            }
            (None, false) => terminal.line(String::from_utf8_lossy(bundle)),
            (None, true) => Ok(()),
        }
    }

    /// Takes out of the registry what falls.
    async fn remove(
        &self,
        client: &Client,
        image: &Reference,
        found: &Found,
        result: &mut Outcome<'_>,
        terminal: &mut Terminal,
    ) -> Result<(), Error> {
        let Some(subject) = &found.artifact else {
            return Ok(());
        };
        let falls = || result.signatures.iter().filter(|fate| fate.falls);
        let old = falls().filter(|fate| !fate.is_bundle).count();
        let mut manifests: Vec<Digest> = falls()
            .filter(|fate| fate.is_bundle)
            .filter_map(|fate| fate.manifest.clone())
            .collect();
        manifests.dedup();
        let repository = flags::signature_repository(image)?;
        client.detach(&repository, subject, &manifests).await?;
        for manifest in &manifests {
            terminal.note(format!("removed {}", repository.at(&manifest.to_string())));
        }
        result.detached = manifests;
        if old > 0 {
            terminal.warn(format!(
                "{old} of what falls shares a manifest with other signatures (cosign's older layout) and was not \
                 removed; clean removes all of them"
            ));
        }
        Ok(())
    }
}

/// SHA-256 of the statement that a revocation's bundle holds.
fn statement_of(path: &Path) -> Result<Digest, Error> {
    let json = detached::read_bounded(path, MAX_BUNDLE, "bundle")?;
    let wrong = |why: String| Error::Usage(format!("{}: {why}", path.display()));
    let bundle = Bundle::parse(json.trim_ascii()).map_err(|error| wrong(error.to_string()))?;
    let bundle::Content::Dsse(envelope) = &bundle.content else {
        return Err(wrong(
            "it holds a signature of a file, and no revocation".to_owned(),
        ));
    };
    let statement =
        statement::Statement::parse(&envelope.payload).map_err(|error| wrong(error.to_string()))?;
    match statement.predicate_type == REVOCATION_V1 {
        true => Ok(Digest::sha256(&envelope.payload)),
        false => Err(wrong(format!(
            "it is no revocation but {}",
            statement.predicate_type
        ))),
    }
}

fn statement_about(subjects: &[&Digest], name: &str, predicate: &RawValue) -> Vec<u8> {
    let mut seen = Vec::new();
    for digest in subjects {
        if !seen.contains(&(name, *digest)) {
            seen.push((name, *digest));
        }
    }
    statement::attestation(&seen, REVOCATION_V1, predicate)
}

/// `ID:FROM-TO`
fn log_range(text: &str) -> Result<LogRange, String> {
    let shape =
        || "expected ID:FROM-TO, e.g. c0d23d…:100-200, :100- or :-200 after the id".to_owned();
    let (id, range) = text.split_once(':').ok_or_else(shape)?;
    let (from, to) = range.split_once('-').ok_or_else(shape)?;
    let number = |text: &str| match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| shape()),
    };
    Ok(LogRange {
        log_id: id.to_owned(),
        from: number(from)?,
        to: number(to)?,
    })
}
