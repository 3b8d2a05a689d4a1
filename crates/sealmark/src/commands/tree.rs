//! `tree`: show what is attached to an image.

use std::collections::HashMap;
use std::path::Path;

use sealmark_formats::bundle::Material;
use sealmark_formats::{Digest, statement};
use sealmark_oci::tree::{Attachment, Node};
use sealmark_oci::{Layout, Reference, Source, Want, gather};
use sealmark_verify::evidence::Content;
use sealmark_x509::Certificate;
use serde::Serialize;

use crate::error::Error;
use crate::flags::{self, Format, RegistryFlags};
use crate::printable::printable;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The image, by tag or digest; or an OCI layout on disk, DIR or DIR:NAME
    #[arg(value_name = "IMAGE")]
    image: String,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Prints the tree.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let (name, source, digest) = match layout(&arguments.image) {
        Some((directory, name)) => {
            let layout = Layout::open(directory)?;
            let digest = layout.resolve(name)?.digest;
            (
                format!("{directory}@{digest}"),
                Source::Layout(layout),
                digest,
            )
        }
        None => {
            let image: Reference = arguments.image.parse().map_err(sealmark_oci::Error::from)?;
            let client = arguments.registry.client(terminal)?;
            let digest = client.resolve(&image).await?.digest;
            let repository = flags::signature_repository(&image)?;
            let name = image.in_repository().at(&digest.to_string());
            (name, Source::Registry { client, repository }, digest)
        }
    };
    let node = sealmark_oci::tree::list(&source, &digest, true).await?;
    let signers = Signers::of(&source, &node).await?;
    match arguments.output {
        Format::Json => terminal.json(&Tree {
            image: &name,
            tree: TreeNode::new(&node, &signers),
        }),
        Format::Text => {
            terminal.line(&*printable(&name))?;
            for line in lines(&node, &signers) {
                terminal.line(line)?;
            }
            if count(&node) == 0 {
                terminal.line("Nothing is attached.")?;
                if matches!(source, Source::Registry { .. }) {
                    terminal.note(format!("sealmark sign --key KEY {name} signs the image"));
                }
            }
            Ok(())
        }
    }
}

/// A directory on disk, `DIR`, `DIR:NAME` or `DIR@sha256:…`, and the name of the image in it.
fn layout(image: &str) -> Option<(&str, Option<&str>)> {
    let (directory, name) = flags::layout_and_image(image);
    let found = match name {
        Some(_) => Path::new(directory).join("oci-layout").is_file(),
        None => Path::new(directory).is_dir(),
    };
    found.then_some((directory, name))
}

fn count(node: &Node) -> usize {
    node.attachments.len() + node.children.iter().map(count).sum::<usize>()
}

/// Who claims to have signed, by the manifest that says so. Claims only: nothing is verified here.
#[derive(Default)]
struct Signers(HashMap<Digest, Vec<Option<String>>>);

impl Signers {
    async fn of(source: &Source, node: &Node) -> Result<Self, Error> {
        let mut signers = Self::default();
        let mut nodes = vec![node];
        while let Some(node) = nodes.pop() {
            nodes.extend(&node.children);
            if node.attachments.is_empty() {
                continue;
            }
            for evidence in gather(source, &node.digest, Want::ALL).await? {
                if let Some(manifest) = evidence.source.manifest {
                    signers
                        .0
                        .entry(manifest)
                        .or_default()
                        .push(claimed_signer(&evidence.content));
                }
            }
        }
        Ok(signers)
    }

    /// The signer of each attachment of a node, in their order. The layers of one manifest are told apart by their
    /// order, and not at all where the two lists are not about the same layers.
    fn of_attachments<'a>(&'a self, node: &Node) -> Vec<Option<&'a str>> {
        let mut used: HashMap<&Digest, usize> = HashMap::new();
        let layers = |manifest: &Digest| {
            node.attachments
                .iter()
                .filter(|attachment| attachment.manifest == *manifest)
                .count()
        };
        node.attachments
            .iter()
            .map(|attachment| {
                let claims = self.0.get(&attachment.manifest)?;
                let index = used.entry(&attachment.manifest).or_default();
                *index += 1;
                if claims.len() != layers(&attachment.manifest) {
                    return None;
                }
                claims.get(*index - 1)?.as_deref()
            })
            .collect()
    }
}

fn claimed_signer(content: &Content) -> Option<String> {
    match content {
        Content::Bundle(bundle) => match &bundle.material {
            material @ Material::PublicKey { hint } => Some(match material.key_digest() {
                Some(digest) => format!("key {digest}"),
                None => format!("key {hint}"),
            }),
            Material::Certificate(der) => Certificate::from_der(der).ok().map(|c| identity(&c)),
            Material::CertificateChain(chain) => Certificate::from_der(chain.first()?)
                .ok()
                .map(|c| identity(&c)),
        },
        Content::SimpleSigning(detached)
        | Content::Envelope(detached)
        | Content::Blob(detached) => match &detached.certificate {
            Some(pem) => Certificate::from_pem(pem).ok().map(|c| identity(&c)),
            None => Some("a key".to_owned()),
        },
        Content::Unreadable(reason) => Some(format!("unreadable: {reason}")),
    }
}

/// Who a certificate is for, in one line.
fn identity(certificate: &Certificate) -> String {
    let names: Vec<String> = certificate
        .subject_alt_names()
        .iter()
        .map(sealmark_x509::SubjectAltName::value)
        .collect();
    let name = if names.is_empty() {
        certificate.subject()
    } else {
        names.join(", ")
    };
    match certificate.fulcio().issuer() {
        Some(issuer) => format!("{name} (issuer {issuer})"),
        None => name,
    }
}

/// What an attachment is, for people and programs.
fn kind(attachment: &Attachment) -> String {
    match (attachment.layout, attachment.predicate_type.as_deref()) {
        ("legacy-signature" | "oci-1-1", _) => "signature".to_owned(),
        ("bundle", Some(statement::COSIGN_SIGN_V1)) => "signature".to_owned(),
        ("bundle", None) => "bundle".to_owned(),
        ("bundle" | "legacy-attestation", Some(predicate)) => format!("attestation {predicate}"),
        ("legacy-attestation", None) => "attestation".to_owned(),
        ("legacy-sbom", _) => format!("SBOM {}", attachment.artifact_type),
        _ => attachment.artifact_type.clone(),
    }
}

/// The attachments and images below `node`, one line each.
fn lines(node: &Node, signers: &Signers) -> Vec<String> {
    let mut blocks: Vec<Vec<String>> = Vec::new();
    for (attachment, signer) in node.attachments.iter().zip(signers.of_attachments(node)) {
        blocks.push(attachment_lines(attachment, signer));
    }
    for child in &node.children {
        let platform = child.platform.as_deref().unwrap_or("unknown platform");
        let mut block = vec![format!("image {} ({})", child.digest, printable(platform))];
        block.extend(lines(child, signers));
        blocks.push(block);
    }
    let last = blocks.len().saturating_sub(1);
    let mut all = Vec::new();
    for (index, block) in blocks.into_iter().enumerate() {
        let (first, rest) = if index == last {
            ("`-- ", "    ")
        } else {
            ("|-- ", "|   ")
        };
        for (number, line) in block.into_iter().enumerate() {
            all.push(format!("{}{line}", if number == 0 { first } else { rest }));
        }
    }
    all
}

fn attachment_lines(attachment: &Attachment, signer: Option<&str>) -> Vec<String> {
    let mut facts = vec![
        attachment.layout.to_owned(),
        format!("{} bytes", attachment.size),
    ];
    if let Some(created) = &attachment.created {
        facts.push(format!("created {}", printable(created)));
    }
    let mut block = vec![printable(&kind(attachment)).into_owned()];
    block.push(match &attachment.tag {
        Some(tag) => format!("    {} (tag {})", attachment.manifest, printable(tag)),
        None => format!("    {}", attachment.manifest),
    });
    block.push(format!("    {}", facts.join(", ")));
    if let Some(signer) = signer {
        block.push(format!("    claimed signer: {}", printable(signer)));
    }
    block
}

#[derive(Serialize)]
struct Tree<'a> {
    image: &'a str,
    #[serde(flatten)]
    tree: TreeNode<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TreeNode<'a> {
    digest: &'a Digest,
    media_type: Option<&'a str>,
    platform: Option<&'a str>,
    attachments: Vec<TreeAttachment<'a>>,
    children: Vec<Self>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TreeAttachment<'a> {
    kind: String,
    #[serde(flatten)]
    attachment: &'a Attachment,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_signer: Option<&'a str>,
}

impl<'a> TreeNode<'a> {
    fn new(node: &'a Node, signers: &'a Signers) -> Self {
        Self {
            digest: &node.digest,
            media_type: node.media_type.as_deref(),
            platform: node.platform.as_deref(),
            attachments: node
                .attachments
                .iter()
                .zip(signers.of_attachments(node))
                .map(|(attachment, claimed_signer)| TreeAttachment {
                    kind: kind(attachment),
                    attachment,
                    claimed_signer,
                })
                .collect(),
            children: node
                .children
                .iter()
                .map(|child| Self::new(child, signers))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(layout: &'static str, predicate: Option<&str>, tag: Option<&str>) -> Attachment {
        Attachment {
            layout,
            manifest: Digest::sha256(layout.as_bytes()),
            tag: tag.map(str::to_owned),
            layer: None,
            artifact_type: "application/vnd.example".to_owned(),
            predicate_type: predicate.map(str::to_owned),
            size: 7,
            created: Some("2024-05-01T12:00:00Z".to_owned()),
        }
    }

    fn node(attachments: Vec<Attachment>, children: Vec<Node>) -> Node {
        Node {
            digest: Digest::sha256(b""),
            media_type: None,
            platform: Some("linux/amd64".to_owned()),
            attachments,
            children,
        }
    }

    #[test]
    fn every_kind_of_attachment_has_its_name() {
        for (layout, predicate, expected) in [
            ("bundle", Some(statement::COSIGN_SIGN_V1), "signature"),
            (
                "bundle",
                Some("https://slsa.dev/provenance/v1"),
                "attestation https://slsa.dev/provenance/v1",
            ),
            ("bundle", None, "bundle"),
            ("oci-1-1", None, "signature"),
            ("legacy-signature", None, "signature"),
            (
                "legacy-attestation",
                Some("https://spdx.dev/Document"),
                "attestation https://spdx.dev/Document",
            ),
            ("legacy-sbom", None, "SBOM application/vnd.example"),
            ("referrer", None, "application/vnd.example"),
        ] {
            assert_eq!(kind(&attachment(layout, predicate, None)), expected);
        }
    }

    #[test]
    fn attachments_and_images_are_drawn_as_a_tree() {
        let child = node(
            vec![attachment("legacy-signature", None, Some("a\u{1b}b"))],
            Vec::new(),
        );
        let root = node(vec![attachment("referrer", None, None)], vec![child]);
        let manifest = Digest::sha256(b"referrer");
        let signature = Digest::sha256(b"legacy-signature");
        let image = Digest::sha256(b"");
        let mut signers = Signers::default();
        signers
            .0
            .insert(signature.clone(), vec![Some("a key".to_owned())]);
        assert_eq!(
            lines(&root, &signers),
            [
                "|-- application/vnd.example".to_owned(),
                format!("|       {manifest}"),
                "|       referrer, 7 bytes, created 2024-05-01T12:00:00Z".to_owned(),
                format!("`-- image {image} (linux/amd64)"),
                "    `-- signature".to_owned(),
                format!("            {signature} (tag a\\u{{1b}}b)"),
                "            legacy-signature, 7 bytes, created 2024-05-01T12:00:00Z".to_owned(),
                "            claimed signer: a key".to_owned(),
            ]
        );
        assert_eq!(count(&root), 2);
    }
}
