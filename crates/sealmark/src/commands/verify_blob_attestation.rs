//! `verify-blob-attestation`: verify an attestation of a file.

use std::path::PathBuf;

use sealmark_formats::Digest;
use sealmark_verify::Evidence;

use super::verify_file::{self, Settings};
use crate::detached::{self, DetachedFlags};
use crate::error::Error;
use crate::policy_flags::{PolicyFlags, Wanted};
use crate::predicate_policy::PredicateFlags;
use crate::report::OutputFormat;
use crate::slsa_flags::SlsaFlags;
use crate::terminal::Terminal;
use crate::trust_flags::TrustFlags;
use crate::type_flags::TypeFlags;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The file; - is standard input, sha256:… is a file elsewhere
    #[arg(value_name = "FILE")]
    file: Option<String>,
    #[command(flatten)]
    policy: PolicyFlags,
    #[command(flatten)]
    types: TypeFlags,
    #[command(flatten)]
    slsa: SlsaFlags,
    #[command(flatten)]
    predicate: PredicateFlags,
    /// The bundle, of any version, or as cosign 1 and 2 wrote it; several by repeating
    #[arg(long, value_name = "FILE")]
    bundle: Vec<PathBuf>,
    /// The attestation as a DSSE envelope: a file, or base64
    #[arg(long, value_name = "FILE|BASE64", conflicts_with = "bundle")]
    signature: Option<String>,
    /// Digest of the file, instead of the file
    #[arg(long, value_name = "HEX", conflicts_with = "file")]
    digest: Option<String>,
    /// Algorithm of --digest: sha256, sha384 or sha512
    #[arg(
        long = "digestAlg",
        alias = "digest-alg",
        value_name = "ALGORITHM",
        requires = "digest"
    )]
    digest_algorithm: Option<String>,
    /// =false: do not check that the statement is about the file, which need not be there then
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    check_claims: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: OutputFormat,
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
    #[arg(long, hide = true)]
    experimental_oci11: bool,
    /// Accepted and without effect
    #[arg(long, hide = true, value_name = "N")]
    max_workers: Option<u32>,
}

/// Verifies that the statement is about the file and by the signer.
pub(crate) async fn run(mut arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    arguments.policy.check_claims(arguments.check_claims)?;
    let file = arguments.file()?;
    let evidence = arguments.evidence()?;
    let slsa = arguments.slsa.expected(&arguments.policy)?;
    let predicate = arguments.predicate.read(&arguments.policy)?;
    let wanted = Wanted::Attestation {
        of_image: false,
        types: arguments.types.names(&arguments.policy, slsa.is_some())?,
        slsa: slsa.map(Box::new),
        predicate,
    };
    let by_key = arguments.policy.by_key();
    let beside = arguments.beside.read(by_key, &mut arguments.trust)?;
    let asking = arguments
        .policy
        .asking(&arguments.trust, wanted, terminal)
        .await?;
    let settings = Settings {
        file,
        evidence,
        beside,
        explain: arguments.policy.explain,
        output: arguments.output,
        only_attestations: true,
        check_claims: arguments.check_claims,
    };
    verify_file::run(settings, asking, terminal).await
}

impl Arguments {
    /// The file, or `ALGORITHM:HEX` of one that is elsewhere.
    fn file(&self) -> Result<Option<String>, Error> {
        match (&self.file, &self.digest) {
            (Some(file), _) => Ok(Some(file.clone())),
            (None, Some(text)) => self.digest(text).map(|digest| Some(digest.to_string())),
            (None, None) if self.check_claims => Err(Error::Usage(
                "which file is the attestation about? Name it, or give its digest with --digest; with \
                 --check-claims=false nothing is compared with the statement"
                    .to_owned(),
            )),
            (None, None) if self.policy.has_file() => Err(Error::Usage(
                "--policy has rules for files: name the file, or give its digest with --digest"
                    .to_owned(),
            )),
            (None, None) if self.bundle.len() > 1 => Err(Error::Usage(
                "several bundles are of one file: name it, or give its digest with --digest"
                    .to_owned(),
            )),
            (None, None) => Ok(None),
        }
    }

    fn digest(&self, text: &str) -> Result<Digest, Error> {
        let wrong =
            |error: &dyn std::fmt::Display| Error::Usage(format!("--digest {text}: {error}"));
        let digest: Digest = match (&self.digest_algorithm, text.contains(':')) {
            (Some(algorithm), false) => format!("{algorithm}:{text}"),
            (None, false) => format!("sha256:{text}"),
            (_, true) => text.to_owned(),
        }
        .parse()
        .map_err(|error| wrong(&error))?;
        match &self.digest_algorithm {
            Some(algorithm) if algorithm != digest.algorithm().name() => {
                Err(wrong(&format!("--digestAlg says {algorithm}")))
            }
            _ => Ok(digest),
        }
    }

    fn evidence(&self) -> Result<Vec<Evidence>, Error> {
        match (self.bundle.as_slice(), &self.signature) {
            ([], Some(text)) => Ok(vec![detached::envelope(text)?]),
            ([], None) => Err(Error::Usage(
                "give the attestation with --bundle FILE or --signature FILE".to_owned(),
            )),
            (paths, _) => paths.iter().map(|path| detached::bundle(path)).collect(),
        }
    }
}
