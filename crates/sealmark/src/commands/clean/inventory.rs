//! What is attached to an image, as things that can be removed one by one.

use sealmark_formats::{Digest, bundle, legacy, statement};
use sealmark_oci::tree::{self, Attachment};
use sealmark_oci::{Client, Repository, Source};
use sealmark_verify::evidence::Content;

use super::Type;
use crate::error::Error;

/// `artifactType` of SBOMs that cosign 2 attached as referrers.
const OCI11_SBOM_TYPE: &str = "application/vnd.dev.cosign.artifact.sbom.v1+json";

/// What an attachment is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Signature,
    Attestation,
    Sbom,
    /// Of another tool.
    Foreign,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Attestation => "attestation",
            Self::Sbom => "SBOM",
            Self::Foreign => "other artifact",
        }
    }
}

/// A manifest that is attached to an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Item {
    pub(super) kind: Kind,
    /// In which form, as in `tree`.
    pub(super) layout: &'static str,
    /// The tag that it is at; without one it refers to the image.
    pub(super) tag: Option<String>,
    pub(super) manifest: Digest,
    pub(super) predicate_type: Option<String>,
}

impl Item {
    pub(super) fn is_of(&self, wanted: Type) -> bool {
        match wanted {
            Type::Signature => self.kind == Kind::Signature,
            Type::Attestation => self.kind == Kind::Attestation,
            Type::Sbom => self.kind == Kind::Sbom,
            Type::All => self.kind != Kind::Foreign,
            Type::Referrer => self.tag.is_none(),
        }
    }

    pub(super) fn place(&self, repository: &Repository) -> String {
        match &self.tag {
            Some(tag) => repository.at(tag),
            None => repository.at(&self.manifest.to_string()),
        }
    }
}

/// Everything that is attached to the image itself. Signatures at a tag are one item, however many there are.
pub(super) async fn take(
    source: &Source,
    client: &Client,
    repository: &Repository,
    digest: &Digest,
) -> Result<Vec<Item>, Error> {
    let mut items: Vec<Item> = Vec::new();
    for attachment in tree::list(source, digest, false).await?.attachments {
        if items
            .iter()
            .any(|item| item.manifest == attachment.manifest && item.tag == attachment.tag)
        {
            continue;
        }
        let (kind, predicate_type) = match &attachment.predicate_type {
            // The annotation is only a copy; without it the bundle itself says what it is.
            None if attachment.layout == "bundle" => {
                open_bundle(client, repository, &attachment).await?
            }
            predicate => (classify(&attachment), predicate.clone()),
        };
        items.push(Item {
            kind,
            layout: attachment.layout,
            tag: attachment.tag,
            manifest: attachment.manifest,
            predicate_type,
        });
    }
    Ok(items)
}

fn classify(attachment: &Attachment) -> Kind {
    match attachment.layout {
        "legacy-signature" | "oci-1-1" => Kind::Signature,
        "legacy-attestation" => Kind::Attestation,
        "legacy-sbom" => Kind::Sbom,
        "bundle" => match attachment.predicate_type.as_deref() {
            None | Some(statement::COSIGN_SIGN_V1) => Kind::Signature,
            Some(_) => Kind::Attestation,
        },
        _ if attachment.artifact_type == OCI11_SBOM_TYPE => Kind::Sbom,
        _ if attachment.artifact_type == legacy::OCI11_SIGNATURE_TYPE => Kind::Signature,
        _ => Kind::Foreign,
    }
}

async fn open_bundle(
    client: &Client,
    repository: &Repository,
    attachment: &Attachment,
) -> Result<(Kind, Option<String>), Error> {
    let Some(layer) = &attachment.layer else {
        return Ok((Kind::Foreign, None));
    };
    let json = client
        .blob(repository, layer, client.options().max_attachment)
        .await?;
    Ok(kind_of_bundle(&json))
}

fn kind_of_bundle(json: &[u8]) -> (Kind, Option<String>) {
    match Content::from_bundle(json) {
        Content::Bundle(bundle) => match &bundle.content {
            bundle::Content::MessageSignature(_) => (Kind::Signature, None),
            bundle::Content::Dsse(envelope) => {
                match statement::Statement::parse(&envelope.payload) {
                    Ok(statement) if statement.predicate_type == statement::COSIGN_SIGN_V1 => {
                        (Kind::Signature, Some(statement.predicate_type))
                    }
                    Ok(statement) => (Kind::Attestation, Some(statement.predicate_type)),
                    Err(_) => (Kind::Foreign, None),
                }
            }
        },
        // Nobody can verify it; only --type referrer removes it.
        _ => (Kind::Foreign, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: Kind, tag: Option<&str>) -> Item {
        Item {
            kind,
            layout: "bundle",
            tag: tag.map(str::to_owned),
            manifest: Digest::sha256(b""),
            predicate_type: None,
        }
    }

    #[test]
    fn each_type_removes_its_own_kind_and_all_spares_other_tools() {
        let items = [
            item(Kind::Signature, Some("t.sig")),
            item(Kind::Signature, None),
            item(Kind::Attestation, Some("t.att")),
            item(Kind::Attestation, None),
            item(Kind::Sbom, Some("t.sbom")),
            item(Kind::Foreign, None),
        ];
        for (wanted, chosen) in [
            (Type::Signature, vec![0, 1]),
            (Type::Attestation, vec![2, 3]),
            (Type::Sbom, vec![4]),
            (Type::Referrer, vec![1, 3, 5]),
            (Type::All, vec![0, 1, 2, 3, 4]),
        ] {
            let found: Vec<usize> = (0..items.len())
                .filter(|index| items[*index].is_of(wanted))
                .collect();
            assert_eq!(found, chosen, "{wanted:?}");
        }
    }

    #[test]
    fn a_bundle_says_itself_if_it_is_a_signature_or_an_attestation() {
        use sealmark_formats::Bundle;
        use sealmark_formats::bundle::{Content, Material, MessageSignature};
        use sealmark_formats::dsse::{Envelope, IN_TOTO_PAYLOAD_TYPE, Signature};

        let bundle = |content| {
            Bundle::new(
                Material::PublicKey {
                    hint: "k".to_owned(),
                },
                content,
            )
            .to_json()
        };
        let dsse = |payload: Vec<u8>| {
            Content::Dsse(Envelope {
                payload,
                payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
                signatures: vec![Signature {
                    sig: vec![1],
                    keyid: None,
                }],
            })
        };
        let signature = statement::image_signature(&Digest::sha256(b""), &Default::default());
        let attestation = String::from_utf8(signature.clone())
            .unwrap()
            .replace(statement::COSIGN_SIGN_V1, "https://slsa.dev/provenance/v1");
        let message = Content::MessageSignature(MessageSignature {
            digest: Some(Digest::sha256(b"")),
            signature: vec![1],
        });
        assert_eq!(kind_of_bundle(&bundle(dsse(signature))).0, Kind::Signature);
        assert_eq!(
            kind_of_bundle(&bundle(dsse(attestation.into_bytes()))),
            (
                Kind::Attestation,
                Some("https://slsa.dev/provenance/v1".to_owned())
            )
        );
        assert_eq!(kind_of_bundle(&bundle(message)).0, Kind::Signature);
        assert_eq!(kind_of_bundle(b"{}").0, Kind::Foreign);
    }
}
