//! `verify-blob`: verify the signature of a file.

use std::path::PathBuf;

use sealmark_sign::blob;
use sealmark_verify::Evidence;

use super::verify_file::{self, Settings};
use crate::detached::{self, DetachedFlags};
use crate::error::Error;
use crate::flags::Format;
use crate::policy_flags::{PolicyFlags, Wanted};
use crate::report::OutputFormat;
use crate::terminal::Terminal;
use crate::trust_flags::TrustFlags;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The file; - is standard input, sha256:… is a file elsewhere
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    policy: PolicyFlags,
    /// The bundle, of any version, or as cosign 1 and 2 wrote it; several by repeating
    #[arg(long, value_name = "FILE")]
    bundle: Vec<PathBuf>,
    /// The signature alone: a file, or base64
    #[arg(long, value_name = "FILE|BASE64", conflicts_with = "bundle")]
    signature: Option<String>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    beside: DetachedFlags,
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

/// Verifies the file against the signature.
pub(crate) async fn run(mut arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let evidence = arguments.evidence()?;
    let by_key = arguments.policy.by_key();
    let beside = arguments.beside.read(by_key, &mut arguments.trust)?;
    let asking = arguments
        .policy
        .asking(&arguments.trust, Wanted::BlobSignature, terminal)
        .await?;
    let settings = Settings {
        file: Some(arguments.file),
        evidence,
        beside,
        explain: arguments.policy.explain,
        output: match arguments.output {
            Format::Text => OutputFormat::Text,
            Format::Json => OutputFormat::Json,
        },
        only_attestations: false,
        check_claims: true,
    };
    verify_file::run(settings, asking, terminal).await
}

impl Arguments {
    fn evidence(&self) -> Result<Vec<Evidence>, Error> {
        match (self.bundle.as_slice(), &self.signature) {
            ([], Some(text)) => {
                let (location, signature) = detached::signature(text)?;
                Ok(vec![blob::detached(location, signature)])
            }
            ([], None) => Err(Error::Usage(
                "give the signature with --bundle FILE or --signature FILE".to_owned(),
            )),
            (paths, _) => paths.iter().map(|path| detached::bundle(path)).collect(),
        }
    }
}
