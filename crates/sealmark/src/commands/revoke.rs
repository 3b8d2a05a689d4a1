//! `revoke`: say, signed, that signatures count no more, and show first which ones fall.

mod find;
mod make;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealmark_formats::Digest;
use sealmark_formats::bundle::{self, Bundle};
use sealmark_formats::revocation::{
    LogRange, REVOCATION_V1, Reason, Revocation, Scope, SignerName, Window,
};
use sealmark_formats::statement;
use sealmark_kms::KeyRef;
use sealmark_sign::Signatory;
use sealmark_verify::report::Attachment;
use sealmark_verify::{Artifact, revocation};
use serde::Serialize;

use self::find::Found;
use super::sign::LayoutFlag;
use crate::detached;
use crate::error::Error;
use crate::flags::{Format, RegistryFlags};
use crate::identity_flags::{IdentityFlags, Manners};
use crate::printable::printable;
use crate::service_flags::{ServiceFlags, key_options};
use crate::terminal::Terminal;

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
    /// Also put it into the feed of the instance in this directory, which may be served
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    feed: Option<PathBuf>,
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
