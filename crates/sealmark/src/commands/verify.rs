//! `verify`: verify the signatures of images.

use std::path::PathBuf;

use sealmark_oci::Want;
use sealmark_verify::promotion::PromotedFrom;

use super::verify_images::{self, GivenSignature, Settings};
use crate::detached::{self, DetachedFlags};
use crate::error::Error;
use crate::flags::{AnnotationFlags, RegistryFlags};
use crate::policy_flags::{PolicyFlags, Wanted};
use crate::report::OutputFormat;
use crate::terminal::Terminal;
use crate::trust_flags::TrustFlags;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Images, by tag or digest; with --local-image a directory
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    #[command(flatten)]
    flags: Flags,
}

/// Everything but the images.
#[derive(clap::Args, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    policy: PolicyFlags,
    #[command(flatten)]
    annotations: AnnotationFlags,
    /// =false: do not check that the signature is of this image
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    check_claims: bool,
    /// There must be a promotion, too, by one of the signers, from a repository that fits this pattern: * stands for
    /// letters within one part of its name, ** for any number of parts
    #[arg(long, value_name = "PATTERN")]
    promoted_from: Option<String>,
    /// Of an index, verify every image in it too
    #[arg(short, long)]
    recursive: bool,
    /// The images are OCI layouts on disk; DIR:NAME picks one of several
    #[arg(long)]
    local_image: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: OutputFormat,
    /// A signature of the image in a file, or base64, instead of those in the registry
    #[arg(long, value_name = "FILE|BASE64")]
    signature: Option<String>,
    /// What --signature is over; without it, what is signed of an image without annotations
    #[arg(long, value_name = "FILE", requires = "signature")]
    payload: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    beside: DetachedFlags,
    /// Accepted and without effect
    #[arg(long, hide = true, value_name = "N")]
    max_workers: Option<u32>,
    /// Accepted and without effect: no log is asked
    #[arg(long, hide = true, value_name = "URL")]
    rekor_url: Option<String>,
    /// Accepted and without effect: the hash follows from the key
    #[arg(long, hide = true, value_name = "ALGORITHM")]
    signature_digest_algorithm: Option<String>,
    /// Accepted and without effect: every layout is looked at
    #[arg(long, hide = true)]
    new_bundle_format: bool,
    /// Accepted and without effect: every layout is looked at
    #[arg(long, hide = true)]
    experimental_oci11: bool,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Verifies each image; the first that fails decides the exit code, after all were looked at.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    images(&arguments.images, arguments.flags, terminal).await
}

/// Verifies images, wherever they are named.
pub(crate) async fn images(
    images: &[String],
    mut arguments: Flags,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    if arguments.output == OutputFormat::Predicate {
        return Err(Error::Usage(
            "--output predicate: signatures have none; it is for verify-attestation".to_owned(),
        ));
    }
    arguments.policy.check_claims(arguments.check_claims)?;
    let given = arguments.given(images)?;
    let promoted_from = arguments.promoted_from()?;
    let by_key = arguments.policy.by_key();
    let beside = arguments.beside.read(by_key, &mut arguments.trust)?;
    let wanted = Wanted::ImageSignature {
        annotations: arguments.annotations.parse()?,
    };
    let mut asking = arguments
        .policy
        .asking(&arguments.trust, wanted, terminal)
        .await?;
    asking.promoted_from = promoted_from;
    verify_images::run(
        Settings {
            images,
            local: arguments.local_image,
            check_claims: arguments.check_claims,
            explain: arguments.policy.explain,
            output: arguments.output,
            want: Want::SIGNATURES,
            instead: Want::ATTESTATIONS,
            recursive: arguments.recursive,
            only_attestations: false,
            beside,
            given,
        },
        asking,
        &arguments.registry.client(terminal)?,
        terminal,
    )
    .await
}

impl Flags {
    fn promoted_from(&self) -> Result<Option<PromotedFrom>, Error> {
        let Some(pattern) = &self.promoted_from else {
            return Ok(None);
        };
        if self.signature.is_some() {
            return Err(Error::Usage(
                "--promoted-from and --signature: a promotion is attached to the image, and what is attached is not \
                 looked at; leave one of them out"
                    .to_owned(),
            ));
        }
        PromotedFrom::new(pattern)
            .map(Some)
            .map_err(|error| Error::Usage(format!("--promoted-from: {error}")))
    }

    fn given(&self, images: &[String]) -> Result<Option<GivenSignature>, Error> {
        let Some(text) = &self.signature else {
            return Ok(None);
        };
        if images.len() > 1 {
            return Err(Error::Usage(
                "--signature is a signature of one image, and several are named".to_owned(),
            ));
        }
        let (location, signature) = detached::signature(text)?;
        let payload = self.payload.as_deref().map(detached::payload).transpose()?;
        Ok(Some(GivenSignature {
            location,
            signature,
            payload,
        }))
    }
}
