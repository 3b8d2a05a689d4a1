//! `verify-blob`: verify the signature of a file.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use sealmark_formats::HashAlgorithm;
use sealmark_formats::legacy::BlobBundle;
use sealmark_sign::blob::{self, FileBytes};
use sealmark_verify::artifact::{Bytes, needed_hashes};
use sealmark_verify::evidence::{Content, Detached, Evidence, Layout, Source};
use sealmark_verify::policy_file;
use sealmark_verify::report::Verdict;
use sealmark_verify::{Artifact, Policy, TrustedMaterial};
use serde::Serialize;

use crate::error::{Error, VerificationExit};
use crate::flags::Format;
use crate::input::Input;
use crate::policy_flags::{PolicyFlags, Wanted};
use crate::report;
use crate::terminal::Terminal;
use crate::trust_flags::{self, TrustFlags};

/// A bundle or signature file is not larger than this, in bytes: as much as an attachment of an image.
const MAX_BUNDLE: u64 = 128 << 20;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The file; - is standard input, sha256:… is a file elsewhere
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    policy: PolicyFlags,
    /// The bundle, of any version, or as cosign 1 and 2 wrote it
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The signature alone: a file, or base64
    #[arg(long, value_name = "FILE|BASE64", conflicts_with = "bundle")]
    signature: Option<String>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    trust: TrustFlags,
    /// Accepted and without effect: no log is asked
    #[arg(long, hide = true, value_name = "URL")]
    rekor_url: Option<String>,
    /// Accepted and without effect: the hash follows from the key
    #[arg(long, hide = true, value_name = "ALGORITHM")]
    signature_digest_algorithm: Option<String>,
    /// Accepted and without effect: the format is recognised
    #[arg(long, hide = true)]
    new_bundle_format: bool,
    /// Accepted and without effect
    #[arg(long, hide = true, value_name = "N")]
    max_workers: Option<u32>,
}

#[derive(Serialize)]
struct BlobJson {
    file: String,
    #[serde(flatten)]
    report: sealmark_verify::Report,
}

/// Verifies the file against the signature.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let evidence = [arguments.evidence()?];
    let mut asking = arguments
        .policy
        .asking(&arguments.trust, Wanted::BlobSignature, terminal)
        .await?;
    let artifact = policy_file::Artifact::File(&arguments.file);
    let policy = asking.policy(artifact, terminal).await?;
    let report = verify(
        &arguments.file,
        &evidence,
        &asking.trusted.material,
        &policy,
    )?;
    let verdict = report.verdict;
    let failure = report::no_match(&arguments.file, &report);
    match arguments.output {
        Format::Json => terminal.json(&BlobJson {
            file: arguments.file,
            report,
        })?,
        Format::Text if arguments.policy.explain => {
            terminal.line(asking.describe())?;
            let word = match verdict {
                Verdict::Verified => "verified",
                _ => "NOT verified",
            };
            terminal.line(format!("{word} {} ({})", arguments.file, report.digest))?;
            report::explain(&report, terminal)?;
        }
        Format::Text if verdict == Verdict::Verified => {
            terminal.line(format!("verified {} ({})", arguments.file, report.digest))?;
            report::print(&report, terminal)?;
        }
        Format::Text => {}
    }
    match verdict {
        Verdict::Verified => Ok(()),
        _ => Err(Error::Verification {
            exit: VerificationExit::NoMatch,
            message: failure,
        }),
    }
}

impl Arguments {
    fn evidence(&self) -> Result<Evidence, Error> {
        match (&self.bundle, &self.signature) {
            (Some(path), _) => from_bundle(path),
            (None, Some(text)) => Ok(blob::detached("--signature".to_owned(), signature(text)?)),
            (None, None) => Err(Error::Usage(
                "give the signature with --bundle FILE or --signature FILE".to_owned(),
            )),
        }
    }
}

fn from_bundle(path: &Path) -> Result<Evidence, Error> {
    Ok(read_bundle(
        path.display().to_string(),
        &read_bounded(path)?,
    ))
}

/// A bundle of any version, or as cosign 1 and 2 wrote it.
pub(super) fn read_bundle(location: String, json: &[u8]) -> Evidence {
    let source = Source {
        layout: Layout::File,
        manifest: None,
        location,
    };
    // A legacy bundle carries a key of its own; it is a claim, and --key is what counts.
    let content = match BlobBundle::parse(json) {
        Ok(legacy) => Content::Blob(Detached {
            signature: legacy.signature,
            certificate: certificate(legacy.certificate),
            log_entry: legacy.rekor_bundle,
            ..Detached::default()
        }),
        Err(_) => Content::from_bundle(json),
    };
    Evidence { source, content }
}

/// A legacy bundle has a certificate or a public key in the same field; only a certificate names another signer.
fn certificate(pem: Vec<u8>) -> Option<Vec<u8>> {
    let marker = b"-----BEGIN CERTIFICATE-----";
    pem.windows(marker.len())
        .any(|window| window == marker)
        .then_some(pem)
}

/// A signature: a file with raw bytes or base64, or base64 itself.
fn signature(text: &str) -> Result<Vec<u8>, Error> {
    let decode = |bytes: &[u8]| {
        let compact: Vec<u8> = bytes
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        base64::engine::general_purpose::STANDARD
            .decode(compact)
            .ok()
    };
    let path = Path::new(text);
    if path.exists() {
        let bytes = read_bounded(path)?;
        return Ok(decode(&bytes).unwrap_or(bytes));
    }
    decode(text.as_bytes()).ok_or_else(|| {
        Error::Usage(format!(
            "--signature {text}: no such file, and not base64 either"
        ))
    })
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |cause| Error::file("read", path, cause);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BUNDLE + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_BUNDLE {
        return Err(Error::Usage(format!(
            "{} is larger than {} MiB, which no bundle or signature is",
            path.display(),
            MAX_BUNDLE >> 20
        )));
    }
    Ok(bytes)
}

fn verify(
    name: &str,
    evidence: &[Evidence],
    trust: &TrustedMaterial,
    policy: &Policy,
) -> Result<sealmark_verify::Report, Error> {
    let now = trust_flags::now();
    let input = Input::open(name)?;
    let path = match &input {
        Input::File(path) => path,
        Input::Standard(file) => file.path(),
        Input::Digest(digest) => {
            let artifact = Artifact::by_digest(digest.clone());
            return Ok(sealmark_verify::verify(
                &artifact, evidence, trust, policy, now,
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
    Ok(sealmark_verify::verify(
        &artifact, evidence, trust, policy, now,
    ))
}
