//! The own SBOM: what is in the image that arrived, attested with the own key, beside what the source says is in it.

use std::collections::BTreeSet;

use sealmark_formats::Digest;
use sealmark_formats::predicate::{self, Format as Document};
use sealmark_formats::statement::Statement;
use sealmark_oci::Want;
use sealmark_sbom::{ImageName, Sbom, spdx_json};
use sealmark_sign::attest::{self, Claim};
use sealmark_sign::{Layouts, Signatory, State};
use sealmark_verify::evidence::Evidence;
use sealmark_verify::policy::{Attestation, PredicateType};
use sealmark_verify::report::Verdict;
use sealmark_verify::{Kind, Revocations};
use serde::Serialize;
use serde_json::Value;

use super::Arguments;
use super::ends::{From, To};
use super::judgement::{self, Judgement};
use crate::commands::verify_images::{self, Image};
use crate::commands::{cosign_output, sbom};
use crate::error::{Error, VerificationExit};
use crate::flags::Format;
use crate::printable::printable;
use crate::terminal::Terminal;

/// Packages that are listed of a difference; JSON has all of them.
const MAX_LISTED: usize = 20;

/// The own SBOM of one image, and how the source's differs from it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rescanned {
    image: Digest,
    packages: usize,
    /// Whether it was attested now, and not before.
    pub(super) added: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Difference>,
}

/// By package URL, without its qualifiers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Difference {
    /// In the image, and in no SBOM of the source.
    only_here: Vec<String>,
    /// In an SBOM of the source, and not in the image.
    only_at_source: Vec<String>,
}

impl Arguments {
    /// Lists, attests and compares the packages of each image.
    pub(super) async fn rescan(
        &self,
        from: &From,
        to: &To,
        signatory: &Signatory,
        judgement: &Judgement,
        terminal: &mut Terminal,
    ) -> Result<Vec<Rescanned>, Error> {
        let mut images: Vec<Digest> = judgement::images(from)
            .await?
            .into_iter()
            .map(|image| image.digest)
            .collect();
        if images.is_empty() {
            images.push(from.digest.clone());
        }
        let mut all = Vec::new();
        for image in images {
            let layouts = self.layouts(judgement);
            let (text, added) = own(to, &image, signatory, layouts, terminal).await?;
            let own = packages(&text).unwrap_or_default();
            let theirs = at_source(from, &image, judgement, terminal).await?;
            let one = Rescanned {
                packages: own.len(),
                added,
                difference: theirs.map(|theirs| Difference {
                    only_here: own.difference(&theirs).cloned().collect(),
                    only_at_source: theirs.difference(&own).cloned().collect(),
                }),
                image,
            };
            if self.output == Format::Text {
                one.print(terminal)?;
            }
            all.push(one);
        }
        Ok(all)
    }
}

/// The SBOM of what is at the destination, attested there, and whether that is new.
async fn own(
    to: &To,
    image: &Digest,
    signatory: &Signatory,
    layouts: Layouts,
    terminal: &Terminal,
) -> Result<(String, bool), Error> {
    let reference = to.repository.with_digest(image);
    let name = ImageName::Registry(&reference);
    let found = sealmark_sbom::image(&to.source(), &name, image, &sbom::own_platform()).await?;
    sbom::tell_problems(&found, terminal);
    let there = to.gather(image).await?;
    let text = match earlier(&there, &found, image, signatory) {
        Some(text) => text,
        None => spdx_json::document(&found, &sbom::created()?),
    };
    let wrong = |error: String| Error::Usage(format!("the SBOM of {reference}: {error}"));
    let kind = Document::of(text.as_bytes())
        .ok_or_else(|| wrong("it is not known as one".to_owned()))?
        .predicate_type;
    let json = predicate::predicate(text.clone().into_bytes()).map_err(wrong)?;
    let request = attest::Request {
        client: &to.client,
        image: &reference,
        attestations: &to.repository,
        signatory,
        claim: Claim::Predicate {
            predicate_type: kind,
            predicate: &json,
        },
        layouts,
        docker_media_types: crate::flags::docker_media_types(),
        recursive: false,
        upload: true,
        replace: false,
    };
    let attested = attest::attest(&request).await?;
    let mut placed = attested.iter().flat_map(|one| &one.signatures);
    let added = placed.any(|placed| matches!(placed.state, State::Attached(_)));
    // As it is there, and not as it was sent.
    let there = to.gather(image).await?;
    let policy = signatory.policy(of_type(kind));
    let none = Revocations::default();
    let report = judgement::verify_own(&there, image, &policy, signatory, &none);
    match report.verdict {
        Verdict::Verified => Ok((text, added)),
        _ => Err(Error::Verification {
            exit: VerificationExit::NoMatch,
            message: format!("the own SBOM of {reference} is not good as it was read back"),
        }),
    }
}

fn of_type(uri: &str) -> Kind {
    Kind::Attestation(Attestation {
        types: vec![PredicateType::Exact(uri.to_owned())],
        ..Attestation::default()
    })
}

/// The same SBOM as this signer has attested it before: it differs by its time alone.
fn earlier(there: &[Evidence], sbom: &Sbom, image: &Digest, own: &Signatory) -> Option<String> {
    let none = Revocations::default();
    there.iter().find_map(|evidence| {
        let statement = statement(evidence)?;
        let said = statement.predicate.as_ref()?.get();
        let value: Value = serde_json::from_str(said).ok()?;
        let created = value["creationInfo"]["created"].as_str()?;
        let text = spdx_json::document(sbom, created);
        if serde_json::from_str::<Value>(&text).ok()? != value {
            return None;
        }
        let one = std::slice::from_ref(evidence);
        let policy = own.policy(of_type(&statement.predicate_type));
        let report = judgement::verify_own(one, image, &policy, own, &none);
        (report.verdict == Verdict::Verified).then_some(text)
    })
}

fn statement(evidence: &Evidence) -> Option<Statement> {
    let envelope = cosign_output::envelope(&evidence.content)?;
    Statement::parse(&envelope.payload).ok()
}

/// What the good SBOMs of the source list together; `None` if it has none that can be compared.
async fn at_source(
    from: &From,
    digest: &Digest,
    judgement: &Judgement,
    terminal: &Terminal,
) -> Result<Option<BTreeSet<String>>, Error> {
    let types = PredicateType::named("sbom").map_err(|error| Error::Usage(error.to_string()))?;
    let evidence = sealmark_oci::gather(&from.source, digest, Want::ALL).await?;
    let image = Image {
        name: &from.reference,
        pinned: digest.to_string(),
        digest: digest.clone(),
        local: from.local,
    };
    let policy = judgement.policy_for(types);
    let judged =
        verify_images::judge(image, evidence, &policy, &judgement.asking, terminal).await?;
    let good = judged
        .report
        .attachments()
        .zip(&judged.evidence)
        .filter(|(attachment, _)| attachment.accepted);
    let lists: Vec<_> = good
        .filter_map(|(_, evidence)| packages(statement(evidence)?.predicate?.get()))
        .collect();
    Ok((!lists.is_empty()).then(|| lists.into_iter().flatten().collect()))
}

/// The package URLs in an SBOM in JSON, without qualifiers and without those of images.
fn packages(document: &str) -> Option<BTreeSet<String>> {
    let value: Value = serde_json::from_str(document).ok()?;
    let spdx = value["packages"].as_array().map(|packages| {
        let references = packages
            .iter()
            .filter_map(|package| package["externalRefs"].as_array())
            .flatten();
        let of_type = references.filter(|it| it["referenceType"] == "purl");
        let urls = of_type.filter_map(|it| it["referenceLocator"].as_str());
        urls.map(str::to_owned).collect::<Vec<_>>()
    });
    let urls = spdx.or_else(|| {
        let components = value["components"].as_array()?.iter();
        let urls = components.filter_map(|it| it["purl"].as_str());
        Some(urls.map(str::to_owned).collect())
    })?;
    let plain = urls.iter().filter_map(|url| url.split(['?', '#']).next());
    let is_image = |url: &&str| url.starts_with("pkg:oci/") || url.starts_with("pkg:docker/");
    Some(
        plain
            .filter(|url| !is_image(url))
            .map(str::to_owned)
            .collect(),
    )
}

impl Rescanned {
    fn print(&self, terminal: &mut Terminal) -> Result<(), Error> {
        let state = match self.added {
            true => "attested by the own key",
            false => "the own key has attested it before",
        };
        terminal.line(format!(
            "sbom of {}: {} packages, {state}",
            self.image, self.packages
        ))?;
        let Some(difference) = &self.difference else {
            return terminal.line("  the source has no SBOM to compare it with");
        };
        let (here, there) = (&difference.only_here, &difference.only_at_source);
        if here.is_empty() && there.is_empty() {
            return terminal.line("  the source's SBOM lists the same packages");
        }
        terminal.line(format!(
            "  {} are in the image and not in the source's SBOM, {} are in that and not in the image",
            here.len(),
            there.len()
        ))?;
        for (mark, list) in [('+', here), ('-', there)] {
            for url in list.iter().take(MAX_LISTED) {
                terminal.line(format!("  {mark} {}", printable(url)))?;
            }
            if list.len() > MAX_LISTED {
                terminal.line(format!("  {mark} … and {} more", list.len() - MAX_LISTED))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_compared_by_their_urls_in_either_format() {
        let spdx = r#"{"packages":[{"name":"x"},{"externalRefs":[
            {"referenceType":"purl","referenceLocator":"pkg:deb/debian/bash@5?arch=amd64"},
            {"referenceType":"purl","referenceLocator":"pkg:oci/app@sha256:1"}]}]}"#;
        let cyclonedx =
            r#"{"components":[{"purl":"pkg:deb/debian/bash@5?arch=arm64"},{"name":"y"}]}"#;
        let bash = BTreeSet::from(["pkg:deb/debian/bash@5".to_owned()]);
        assert_eq!(packages(spdx), Some(bash.clone()));
        assert_eq!(packages(cyclonedx), Some(bash));
        assert_eq!(packages("\"SPDXVersion: SPDX-2.3\""), None);
        assert_eq!(packages("{"), None);
    }
}
