//! `verify-attestation`: verify attestations of images.

use sealmark_oci::Want;

use super::verify_images::{self, Settings};
use crate::detached::DetachedFlags;
use crate::error::Error;
use crate::flags::RegistryFlags;
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
    /// Images, by tag or digest; with --local-image a directory
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    #[command(flatten)]
    policy: PolicyFlags,
    #[command(flatten)]
    types: TypeFlags,
    #[command(flatten)]
    slsa: SlsaFlags,
    #[command(flatten)]
    predicate: PredicateFlags,
    /// =false: do not check that the statement is about this image
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    check_claims: bool,
    /// The images are OCI layouts on disk; DIR:NAME picks one of several
    #[arg(long)]
    local_image: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: OutputFormat,
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
pub(crate) async fn run(mut arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    arguments.policy.check_claims(arguments.check_claims)?;
    let slsa = arguments.slsa.expected(&arguments.policy)?;
    let predicate = arguments.predicate.read(&arguments.policy)?;
    let wanted = Wanted::Attestation {
        of_image: true,
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
    verify_images::run(
        Settings {
            images: &arguments.images,
            local: arguments.local_image,
            check_claims: arguments.check_claims,
            explain: arguments.policy.explain,
            output: arguments.output,
            want: Want::ATTESTATIONS,
            instead: Want::SIGNATURES,
            recursive: false,
            only_attestations: true,
            beside,
            given: None,
        },
        asking,
        &arguments.registry.client(terminal)?,
        terminal,
    )
    .await
}
