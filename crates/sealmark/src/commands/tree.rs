//! `tree`: show what is attached to an image.

use std::collections::HashMap;
use std::path::Path;

use sealmark_formats::Digest;
use sealmark_formats::bundle::{self, Material};
use sealmark_formats::revocation::{REVOCATION_V1, Revocation, Scope, SignerName};
use sealmark_formats::statement::{self, Statement};
use sealmark_oci::tree::{Attachment, Node};
use sealmark_oci::{Layout, Reference, Source, Want, gather};
use sealmark_verify::evidence::{Content, Evidence};
use sealmark_verify::revocation::is_revocation;
use sealmark_x509::Certificate;
use serde::Serialize;

use super::cosign_output;
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

/// What attachments say of themselves, by the manifest that says so. Claims only: nothing is verified here.
#[derive(Default)]
struct Signers(HashMap<Digest, Vec<Claims>>);

/// What one attachment says of itself.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    #[serde(rename = "claimedSigner", skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
    #[serde(rename = "claimedLogIndex", skip_serializing_if = "Option::is_none")]
    log_index: Option<u64>,
    #[serde(rename = "claimedTime", skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    /// What a revocation that is attached, too, says of it; `explain` and `verify` tell whether it counts.
    #[serde(rename = "claimedRevocation", skip_serializing_if = "Option::is_none")]
    revocation: Option<String>,
}

impl Signers {
    async fn of(source: &Source, node: &Node) -> Result<Self, Error> {
        let mut signers = Self::default();
        let mut nodes = vec![node];
        while let Some(node) = nodes.pop() {
            nodes.extend(&node.children);
            if node.attachments.is_empty() {
                continue;
            }
            let all = gather(source, &node.digest, Want::ALL).await?;
            let revocations: Vec<Revocation> = all.iter().filter_map(revocation).collect();
            for evidence in &all {
                if let Some(manifest) = &evidence.source.manifest {
                    let mut claims = claims(&evidence.content);
                    if !is_revocation(evidence) {
                        claims.revocation = revoked(evidence, &node.digest, &revocations);
                    }
                    let of_manifest = signers.0.entry(manifest.clone()).or_default();
                    of_manifest.push(claims);
                }
            }
        }
        Ok(signers)
    }

    /// What each attachment of a node says, in their order. The layers of one manifest are told apart by their order,
    /// and not at all where the two lists are not about the same layers.
    fn of_attachments<'a>(&'a self, node: &Node) -> Vec<Option<&'a Claims>> {
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
                claims.get(*index - 1)
            })
            .collect()
    }
}

fn revocation(evidence: &Evidence) -> Option<Revocation> {
    let statement = cosign_output::envelope(&evidence.content)
        .and_then(|envelope| Statement::parse(&envelope.payload).ok())
        .filter(|_| is_revocation(evidence))?;
    Revocation::parse(statement.predicate?.get().as_bytes()).ok()
}

/// What the revocations say of this one. Windows need proofs, which are not looked at here.
fn revoked(evidence: &Evidence, artifact: &Digest, all: &[Revocation]) -> Option<String> {
    let names = names(&evidence.content);
    let signature = signature(&evidence.content).map(Digest::sha256);
    let falls = |revocation: &&Revocation| {
        let by = revocation.signer.as_ref();
        match &revocation.scope {
            Scope::Artifact { digest } => {
                digest == artifact && by.is_some_and(|name| names.contains(name))
            }
            Scope::Signature {
                artifact: of,
                signature: one,
                ..
            } => of == artifact && one.is_some() && *one == signature,
            Scope::Window(_) | Scope::Nothing {} => false,
        }
    };
    let revocation = all.iter().find(falls)?;
    let text = match revocation.text.is_empty() {
        true => String::new(),
        false => format!(": {}", revocation.text),
    };
    Some(format!("{}{text}", revocation.reason.name()))
}

fn signature(content: &Content) -> Option<&[u8]> {
    match content {
        Content::Bundle(bundle) => match &bundle.content {
            bundle::Content::MessageSignature(message) => Some(&message.signature),
            bundle::Content::Dsse(envelope) => envelope.signatures.first().map(|one| &*one.sig),
        },
        Content::SimpleSigning(detached) | Content::Blob(detached) => Some(&detached.signature),
        Content::Envelope(_) | Content::Unreadable(_) => None,
    }
}

/// The certificate that comes with it.
fn certificate(content: &Content) -> Option<Certificate> {
    let der = match content {
        Content::Bundle(bundle) => match &bundle.material {
            Material::PublicKey { .. } => return None,
            Material::Certificate(der) => der,
            Material::CertificateChain(chain) => chain.first()?,
        },
        Content::SimpleSigning(detached)
        | Content::Envelope(detached)
        | Content::Blob(detached) => {
            return Certificate::from_pem(detached.certificate.as_ref()?).ok();
        }
        Content::Unreadable(_) => return None,
    };
    Certificate::from_der(der).ok()
}

/// Whose it says it is, as a revocation names them.
fn names(content: &Content) -> Vec<SignerName> {
    if let Some(certificate) = certificate(content) {
        let issuer = certificate.fulcio().issuer().unwrap_or_default();
        let subjects = certificate.subject_alt_names().iter();
        let name = |subject: String| SignerName::Identity {
            identity: subject,
            issuer: issuer.to_owned(),
        };
        return subjects
            .map(|subject| name(subject.value().to_string()))
            .collect();
    }
    match content {
        Content::Bundle(bundle) => {
            let key = bundle.material.key_digest();
            key.map(|key| SignerName::Key { key }).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn claims(content: &Content) -> Claims {
    let signer = match content {
        Content::Bundle(bundle) => match &bundle.material {
            material @ Material::PublicKey { hint } => Some(match material.key_digest() {
                Some(digest) => format!("key {digest}"),
                None => format!("key {hint}"),
            }),
            _ => certificate(content).map(|certificate| identity(&certificate)),
        },
        Content::SimpleSigning(detached)
        | Content::Envelope(detached)
        | Content::Blob(detached) => match &detached.certificate {
            Some(_) => certificate(content).map(|certificate| identity(&certificate)),
            None => Some("a key".to_owned()),
        },
        Content::Unreadable(reason) => Some(format!("unreadable: {reason}")),
    };
    let entry = match content {
        Content::Bundle(bundle) => bundle
            .log_entries
            .first()
            .map(|entry| (entry.log_index, entry.integrated_time)),
        Content::SimpleSigning(detached)
        | Content::Envelope(detached)
        | Content::Blob(detached) => {
            let entry = detached.log_entry.as_ref();
            entry.and_then(|entry| {
                let index = u64::try_from(entry.payload.log_index).ok()?;
                Some((index, entry.payload.integrated_time))
            })
        }
        Content::Unreadable(_) => None,
    };
    // Rekor v2 gives none.
    let time = entry.filter(|(_, time)| *time > 0);
    let time = time.and_then(|(_, time)| jiff::Timestamp::from_second(time).ok());
    Claims {
        signer,
        log_index: entry.map(|(index, _)| index),
        time: time.map(|time| time.to_string()),
        revocation: None,
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
        ("bundle", Some(REVOCATION_V1)) => "revocation".to_owned(),
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

fn attachment_lines(attachment: &Attachment, claims: Option<&Claims>) -> Vec<String> {
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
    let Some(claims) = claims else {
        return block;
    };
    if let Some(signer) = &claims.signer {
        block.push(format!("    claimed signer: {}", printable(signer)));
    }
    if let Some(index) = claims.log_index {
        let time = claims.time.as_ref().map(|time| format!(", {time}"));
        block.push(format!(
            "    claimed log entry: {index}{}",
            time.unwrap_or_default()
        ));
    }
    if let Some(revocation) = &claims.revocation {
        block[0] = format!("{} REVOKED", struck(&block[0]));
        block.push(format!(
            "    claimed to be revoked, {}; verify tells whether that counts",
            printable(revocation)
        ));
    }
    block
}

/// Struck out, where the terminal shows it: U+0336 goes over the letter before it.
fn struck(text: &str) -> String {
    text.chars()
        .flat_map(|letter| [letter, '\u{336}'])
        .collect()
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
    #[serde(flatten)]
    claims: Option<&'a Claims>,
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
                .map(|(attachment, claims)| TreeAttachment {
                    kind: kind(attachment),
                    attachment,
                    claims,
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
        signers.0.insert(
            signature.clone(),
            vec![Claims {
                signer: Some("a key".to_owned()),
                log_index: Some(7),
                revocation: Some("mistake".to_owned()),
                ..Claims::default()
            }],
        );
        assert_eq!(
            lines(&root, &signers),
            [
                "|-- application/vnd.example".to_owned(),
                format!("|       {manifest}"),
                "|       referrer, 7 bytes, created 2024-05-01T12:00:00Z".to_owned(),
                format!("`-- image {image} (linux/amd64)"),
                format!("    `-- {} REVOKED", struck("signature")),
                format!("            {signature} (tag a\\u{{1b}}b)"),
                "            legacy-signature, 7 bytes, created 2024-05-01T12:00:00Z".to_owned(),
                "            claimed signer: a key".to_owned(),
                "            claimed log entry: 7".to_owned(),
                "            claimed to be revoked, mistake; verify tells whether that counts"
                    .to_owned(),
            ]
        );
        assert_eq!(count(&root), 2);
    }
}
