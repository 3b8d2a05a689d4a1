//! `promote`: bring an image with all that is attached to it into another registry, under the own key.
//!
//! The journey, of which each step is done again without effect when the whole is: the source is verified → the image is
//! copied, without a tag → the own signature → a signed statement that says what was verified → all of that is read back
//! and verified with the own key alone → the tag moves. Whoever pulls the tag gets the former image, or one that the own
//! key vouches for.

mod ends;
mod flags;
mod judgement;
mod packed;
mod rescan;
mod statement;
mod tell;

use std::collections::BTreeMap;
use std::path::PathBuf;

use sealmark_formats::promotion::{PROMOTION_V1, Promotion};
use sealmark_oci::copy::Options;
use sealmark_oci::{Copied, Destination, Source, Want};
use sealmark_sign::attest::{self, Claim};
use sealmark_sign::image::{self, Signed};
use sealmark_sign::{Layouts, Signatory};
use sealmark_verify::evidence::{Evidence, Layout as Form};

use self::ends::{From, To};
use self::flags::AskedOfSource;
use self::judgement::Judgement;
use self::rescan::Rescanned;
pub(super) use self::statement::read as read_promotion;
use super::sign::LayoutFlag;
use crate::error::Error;
use crate::flags::{Format, RegistryFlags, SourceCredentials};
use crate::identity_flags::{IdentityFlags, Manners};
use crate::progress::Bar;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The image: in a registry by tag or digest, or in an OCI layout on disk, oci:DIR or oci:DIR:NAME
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Where it goes: a repository, with a tag; without one, the source's tag
    #[arg(value_name = "DESTINATION")]
    destination: String,
    /// The own private key, which vouches for the image from now on: a file, env://VARIABLE, https://…, or a key in a
    /// provider (awskms:///…); without one, a certificate for an identity is asked for
    #[arg(long = "key", value_name = "KEY")]
    own_key: Option<String>,
    /// Trusted root for what the own log and timestamp authority say [default: that of --trusted-root]
    #[arg(long, value_name = "FILE", help_heading = "Service options")]
    own_trusted_root: Option<PathBuf>,
    /// Attestations that there must be, too, by those who must have signed: sbom, provenance, vuln, … or a URI; of an
    /// index, on it or on each image in it
    #[arg(long, value_delimiter = ',', value_name = "TYPE,…")]
    require: Vec<String>,
    /// Name of the source in the policy and in the statement: for a layout, the repository that it was saved from
    #[arg(long, value_name = "REPOSITORY")]
    source_name: Option<String>,
    /// Believe the trusted root, and ask what the policy asks, that save --with-trust has put into the layout. Whoever made
    /// the layout made them: only if you know that it is from whom you believe anyway
    #[arg(long)]
    trust_from_layout: bool,
    /// List the packages that are in the image, and attest that SBOM with the own key
    #[arg(long)]
    rescan_sbom: bool,
    /// Sign every image of an index, too
    #[arg(short, long)]
    recursive: bool,
    /// The form of what is signed [default: bundle, or both if the source has signatures in the legacy form]
    #[arg(long, value_enum)]
    format: Option<LayoutFlag>,
    /// Verify the source, say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask whether an identity may become public
    #[arg(short, long)]
    yes: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    asked: AskedOfSource,
    #[command(flatten)]
    identity: IdentityFlags,
    #[command(flatten)]
    source_credentials: SourceCredentials,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// What was done, or, in a dry run, would be.
struct Done {
    copied: Option<Copied>,
    signed: Vec<Signed>,
    statement: Promotion,
    attested: Vec<Signed>,
    sboms: Vec<Rescanned>,
}

/// Promotes, and prints each step.
pub(crate) async fn run(mut arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    arguments.check()?;
    let from = From::find(&arguments, terminal).await?;
    // The files are there as long as they are read.
    let _unpacked = packed::take(&mut arguments, &from, terminal)?;
    if arguments.asked.policy.names_nobody() {
        return Err(who_signed());
    }
    let to = To::find(&arguments, &from, terminal).await?;
    let judgement = Judgement::of(&arguments, &from, terminal).await?;
    if arguments.output == Format::Text {
        tell::verified(&from, &judgement, arguments.asked.policy.explain, terminal)?;
    }
    if let Some(root) = arguments.own_trusted_root.take() {
        arguments.asked.services.take_from(root, None);
    }
    // A dry run asks nobody for a certificate: that would be public.
    let signatory = match arguments.dry_run && arguments.own_key.is_none() {
        true => None,
        false => Some(arguments.signatory(terminal).await?),
    };
    let wanted = statement::of(&from, &to, &judgement, &arguments.require)?;
    let (Some(signatory), false) = (&signatory, arguments.dry_run) else {
        return tell::plan(&arguments, &from, &to, wanted, signatory.as_ref(), terminal).await;
    };
    let copied = arguments.copy(&from, &to).await?;
    if arguments.output == Format::Text {
        tell::copied(&copied, terminal)?;
    }
    let signed = arguments.sign(&from, &to, signatory, &judgement).await?;
    if arguments.output == Format::Text {
        for one in &signed {
            super::sign::print(one, "signed", terminal)?;
        }
    }
    let there = to.gather(&from.digest).await?;
    let earlier = statement::earlier(&there, signatory, &from.digest, &wanted);
    let statement = Promotion {
        promoted_at: earlier.unwrap_or(wanted.promoted_at),
        ..wanted
    };
    let attested = arguments
        .attest(&from, &to, signatory, &judgement, &statement)
        .await?;
    if arguments.output == Format::Text {
        for one in &attested {
            super::sign::print(one, "promotion attached to", terminal)?;
        }
    }
    let sboms = match arguments.rescan_sbom {
        true => {
            arguments
                .rescan(&from, &to, signatory, &judgement, terminal)
                .await?
        }
        false => Vec::new(),
    };
    for one in &signed {
        let there = to.gather(&one.digest).await?;
        let stated = attested.iter().any(|other| other.digest == one.digest);
        judgement::own(&to, &one.digest, &there, stated, signatory, &judgement)?;
    }
    if arguments.output == Format::Text {
        terminal.line("verified at the destination, with the own key alone")?;
    }
    let moved = to.move_tag(&from.digest).await?;
    let done = Done {
        copied: Some(copied),
        signed,
        statement,
        attested,
        sboms,
    };
    tell::done(&arguments, &from, &to, moved, &done, signatory, terminal)
}

fn who_signed() -> Error {
    Error::Usage(
        "who must have signed the image at the source? Name them with --certificate-identity and \
         --certificate-oidc-issuer, with --source-key KEY, or in a policy file with --policy; --key is the own key, with \
         which the image is signed at the destination"
            .to_owned(),
    )
}

impl Arguments {
    /// What makes no sense together.
    fn check(&mut self) -> Result<(), Error> {
        let wrong = |text: &str| Err(Error::Usage(text.to_owned()));
        if self.asked.policy.names_nobody() && !self.trust_from_layout {
            return Err(who_signed());
        }
        if self.asked.policy.by_key() && self.asked.policy.has_file() {
            return wrong(
                "--source-key and --policy: the policy file says who must have signed; leave one of them out",
            );
        }
        if std::env::var_os("COSIGN_REPOSITORY").is_some_and(|text| !text.is_empty()) {
            return Err(Error::NotSupported(
                "promoting with COSIGN_REPOSITORY, which keeps signatures apart from images: unset it, or copy the \
                 signatures first"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    async fn signatory(&self, terminal: &Terminal) -> Result<Signatory, Error> {
        let manners = Manners {
            yes: self.yes,
            input_is_taken: false,
        };
        let (key, services) = (self.own_key.as_deref(), &self.asked.services);
        self.identity
            .signatory(key, services, manners, terminal)
            .await
    }

    async fn copy(&self, from: &From, to: &To) -> Result<Copied, Error> {
        let destination = Destination::Registry {
            client: to.client.clone(),
            repository: to.repository.clone(),
            tag: None,
        };
        let (options, bar) = (Options::default(), Bar::over("Copying"));
        Ok(sealmark_oci::copy(&from.source, &from.digest, &destination, &options, bar).await?)
    }

    /// Whoever could verify the source can verify the destination.
    fn layouts(&self, judgement: &Judgement) -> Layouts {
        let is_legacy =
            |evidence: &Evidence| matches!(evidence.source.layout, Form::LegacySignature);
        match self.format {
            Some(LayoutFlag::Bundle) => Layouts::Bundle,
            Some(LayoutFlag::Legacy) => Layouts::Legacy,
            Some(LayoutFlag::Both) => Layouts::Both,
            None if judgement.evidence.iter().any(is_legacy) => Layouts::Both,
            None => Layouts::Bundle,
        }
    }

    async fn sign(
        &self,
        from: &From,
        to: &To,
        signatory: &Signatory,
        judgement: &Judgement,
    ) -> Result<Vec<Signed>, Error> {
        let request = image::Request {
            client: &to.client,
            image: &to.repository.with_digest(&from.digest),
            signatures: &to.repository,
            signatory,
            annotations: &BTreeMap::new(),
            container_identity: None,
            layouts: self.layouts(judgement),
            docker_media_types: crate::flags::docker_media_types(),
            recursive: self.recursive,
            upload: true,
        };
        Ok(image::sign(&request).await?)
    }

    async fn attest(
        &self,
        from: &From,
        to: &To,
        signatory: &Signatory,
        judgement: &Judgement,
        statement: &Promotion,
    ) -> Result<Vec<Signed>, Error> {
        let predicate = serde_json::value::to_raw_value(statement)
            .map_err(|error| Error::Usage(error.to_string()))?;
        let request = attest::Request {
            client: &to.client,
            image: &to.repository.with_digest(&from.digest),
            attestations: &to.repository,
            signatory,
            claim: Claim::Predicate {
                predicate_type: PROMOTION_V1,
                predicate: &predicate,
            },
            layouts: self.layouts(judgement),
            docker_media_types: crate::flags::docker_media_types(),
            recursive: self.recursive,
            upload: true,
            replace: false,
        };
        Ok(attest::attest(&request).await?)
    }
}

impl To {
    fn source(&self) -> Source {
        Source::Registry {
            client: self.client.clone(),
            repository: self.repository.clone(),
        }
    }

    /// Everything that is attached there.
    async fn gather(&self, digest: &sealmark_formats::Digest) -> Result<Vec<Evidence>, Error> {
        Ok(sealmark_oci::gather(&self.source(), digest, Want::ALL).await?)
    }
}
