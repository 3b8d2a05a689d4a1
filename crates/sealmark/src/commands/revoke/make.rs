//! The revocation itself: signed, attached or written, and what falls removed if that is wanted.

use sealmark_formats::Digest;
use sealmark_formats::revocation::REVOCATION_V1;
use sealmark_formats::statement;
use sealmark_oci::{Client, Reference};
use sealmark_sign::attest::{self, Claim};
use sealmark_sign::{Signatory, State};
use serde_json::value::RawValue;

use super::find::Found;
use super::{Arguments, Outcome};
use crate::commands::serve::revocations::add_to_feed;
use crate::commands::sign::print;
use crate::error::Error;
use crate::flags::{self, Format};
use crate::terminal::Terminal;

impl Arguments {
    /// Signs the revocation and brings it where verifiers find it.
    pub(super) async fn make(
        &self,
        client: &Client,
        signatory: &Signatory,
        found: &Found,
        result: &mut Outcome<'_>,
        terminal: &mut Terminal,
    ) -> Result<(), Error> {
        let predicate = serde_json::value::to_raw_value(result.revocation)
            .map_err(|error| Error::Usage(error.to_string()))?;
        // A window is about a signer; attached to an image, it has to be about that, too.
        let subject = result.revocation.subject();
        let subjects: Vec<&Digest> = subject.iter().chain(&found.artifact).collect();
        let Some(first) = subjects.first() else {
            return Err(Error::Usage(
                "name the image that it is attached to".to_owned(),
            ));
        };
        let json = statement_about(&subjects, &found.name, &predicate);
        result.statement = Some(Digest::sha256(&json));
        let bundle = match &found.image {
            Some(image) if !self.no_upload => {
                let request = attest::Request {
                    client,
                    image,
                    attestations: &flags::signature_repository(image)?,
                    signatory,
                    claim: Claim::Statement(&json),
                    layouts: self.format.or_cosigns(None, terminal),
                    docker_media_types: false,
                    recursive: false,
                    upload: true,
                    replace: false,
                };
                let attested = attest::attest(&request).await?;
                if self.output == Format::Text {
                    for one in &attested {
                        print(one, "revocation attached to", terminal)?;
                    }
                }
                let mut placed = attested.iter().flat_map(|one| &one.signatures);
                let placed = placed.next();
                result.attached = placed.and_then(|placed| match &placed.state {
                    State::Attached(location) | State::AlreadyThere(location) => {
                        Some(location.reference.clone())
                    }
                    State::NotUploaded => None,
                });
                placed.and_then(|placed| placed.bundle.clone().map(Vec::from))
            }
            _ => {
                let claim = Claim::Statement(&json);
                let made = attest::attest_file(signatory, claim, &found.name, first).await?;
                Some(made.bundle)
            }
        };
        if let Some(bundle) = &bundle {
            self.write(bundle, result.attached.is_some(), terminal)?;
            if let Some(directory) = &self.feed {
                let key = signatory.signer().public_key().clone();
                let bundle = ("the revocation".to_owned(), bundle.clone());
                add_to_feed(directory, &[key], vec![bundle])?;
                terminal.note(format!(
                    "the revocation is in the feed of {}",
                    directory.display()
                ));
            }
        }
        if let (true, Some(image)) = (self.detach, &found.image) {
            self.remove(client, image, found, result, terminal).await?;
        }
        Ok(())
    }

    fn write(&self, bundle: &[u8], attached: bool, terminal: &mut Terminal) -> Result<(), Error> {
        match (&self.bundle, attached || self.output == Format::Json) {
            (Some(path), _) => {
                let mut line = bundle.to_vec();
                line.push(b'\n');
                std::fs::write(path, line).map_err(|cause| Error::file("write", path, cause))?;
                terminal.note(format!(
                    "the revocation is in {}; verify takes it with --revocations",
                    path.display()
                ));
                Ok(())
            }
            (None, false) => terminal.line(String::from_utf8_lossy(bundle)),
            (None, true) => Ok(()),
        }
    }

    /// Takes out of the registry what falls.
    async fn remove(
        &self,
        client: &Client,
        image: &Reference,
        found: &Found,
        result: &mut Outcome<'_>,
        terminal: &mut Terminal,
    ) -> Result<(), Error> {
        let Some(subject) = &found.artifact else {
            return Ok(());
        };
        let falls = || result.signatures.iter().filter(|fate| fate.falls);
        let old = falls().filter(|fate| !fate.is_bundle).count();
        let mut manifests: Vec<Digest> = falls()
            .filter(|fate| fate.is_bundle)
            .filter_map(|fate| fate.manifest.clone())
            .collect();
        manifests.dedup();
        let repository = flags::signature_repository(image)?;
        client.detach(&repository, subject, &manifests).await?;
        for manifest in &manifests {
            terminal.note(format!("removed {}", repository.at(&manifest.to_string())));
        }
        result.detached = manifests;
        if old > 0 {
            terminal.warn(format!(
                "{old} of what falls shares a manifest with other signatures (cosign's older layout) and was not \
                 removed; clean removes all of them"
            ));
        }
        Ok(())
    }
}

fn statement_about(subjects: &[&Digest], name: &str, predicate: &RawValue) -> Vec<u8> {
    let mut seen = Vec::new();
    for digest in subjects {
        if !seen.contains(&(name, *digest)) {
            seen.push((name, *digest));
        }
    }
    statement::attestation(&seen, REVOCATION_V1, predicate)
}
