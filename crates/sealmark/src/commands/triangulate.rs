//! `triangulate`: print where what is attached to an image is kept.

use sealmark_formats::Digest;
use sealmark_oci::{Client, Reference, ReferrersSource, Repository, attachment_tag};

use crate::error::Error;
use crate::flags::{self, RegistryFlags};
use crate::terminal::Terminal;

/// What is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Type {
    /// Signatures at a tag (cosign 1 and 2)
    Signature,
    /// Attestations at a tag (cosign 1 and 2)
    Attestation,
    /// The SBOM at a tag (cosign 1 and 2)
    Sbom,
    /// The image itself, by digest
    Digest,
    /// Where bundles are listed, both signatures and attestations (cosign 3)
    Bundle,
}

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The image, by tag or digest
    #[arg(value_name = "IMAGE")]
    image: String,
    /// What is looked for
    #[arg(long = "type", value_enum, default_value = "signature")]
    kind: Type,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Prints the place, whether there is anything or not.
pub(crate) async fn run(arguments: &Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let image: Reference = arguments.image.parse().map_err(sealmark_oci::Error::from)?;
    let client = arguments.registry.client(terminal)?;
    let digest = client.digest(&image).await?;
    let repository = flags::signature_repository(&image)?;
    let place = match arguments.kind {
        Type::Digest => image.in_repository().at(&digest.to_string()),
        Type::Bundle => bundles(&client, &repository, &digest).await?,
        Type::Signature => tag(&client, &repository, &digest, "sig"),
        Type::Attestation => tag(&client, &repository, &digest, "att"),
        Type::Sbom => tag(&client, &repository, &digest, "sbom"),
    };
    terminal.line(place)
}

fn tag(client: &Client, repository: &Repository, digest: &Digest, suffix: &str) -> String {
    repository.at(&attachment_tag(
        &client.options().tag_prefix,
        digest,
        suffix,
    ))
}

/// The list of referrers: the registry's API, or the tag that stands in for it.
async fn bundles(
    client: &Client,
    repository: &Repository,
    digest: &Digest,
) -> Result<String, Error> {
    Ok(
        match client.referrers(repository, digest, None).await?.source {
            ReferrersSource::Api => {
                format!(
                    "{}/v2/{}/referrers/{digest}",
                    repository.registry, repository.name
                )
            }
            ReferrersSource::FallbackIndex | ReferrersSource::None => {
                repository.at(&attachment_tag("", digest, ""))
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_are_cosigns_with_the_prefix() {
        let options = sealmark_oci::Options {
            tag_prefix: "ci-".to_owned(),
            ..Default::default()
        };
        let repository: Repository = "ghcr.io/team/app".parse().unwrap();
        let digest = Digest::sha256(b"");
        assert_eq!(
            tag(&Client::new(options), &repository, &digest, "att"),
            "ghcr.io/team/app:ci-sha256-\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.att"
        );
    }
}
