//! What may fall: the signatures of an image or in a bundle, and whose each is.

use std::path::Path;

use sealmark_formats::Digest;
use sealmark_formats::revocation::{LogPosition, Scope};
use sealmark_kms::KeyRef;
use sealmark_oci::{Client, Reference, Source, Want};
use sealmark_sign::Signatory;
use sealmark_verify::evidence::Evidence;
use sealmark_verify::report::Attachment;
use sealmark_verify::{Artifact, Revocations};

use super::{Arguments, MAX_BUNDLE};
use crate::detached;
use crate::error::Error;
use crate::flags;
use crate::service_flags::key_options;
use crate::terminal::Terminal;
use crate::trust_flags;

/// What may fall, as it was found.
pub(super) struct Found {
    /// What it is called.
    pub(super) name: String,
    /// The artifact; `None` if no artifact was named.
    pub(super) artifact: Option<Digest>,
    /// The image, if it is one.
    pub(super) image: Option<Reference>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) attachments: Vec<Attachment>,
}

impl Arguments {
    /// What may fall.
    pub(super) async fn find(&self, client: &Client) -> Result<Found, Error> {
        let mut found = Found {
            name: self.what.clone().unwrap_or_default(),
            artifact: None,
            image: None,
            evidence: Vec::new(),
            attachments: Vec::new(),
        };
        let Some(what) = &self.what else {
            return Ok(found);
        };
        if Path::new(what).is_file() {
            let json = detached::read_bounded(Path::new(what), MAX_BUNDLE, "bundle")?;
            let evidence = detached::from_file(what.clone(), detached::content(json));
            let digest = evidence.claimed_digest().ok_or_else(|| {
                Error::Usage(format!("{what} does not tell what it is a signature of"))
            })?;
            found.artifact = Some(digest);
            found.evidence = vec![evidence];
            return Ok(found);
        }
        let image: Reference = what.parse().map_err(sealmark_oci::Error::from)?;
        let digest = client.resolve(&image).await?.digest;
        let source = Source::Registry {
            client: client.clone(),
            repository: flags::signature_repository(&image)?,
        };
        found.evidence = sealmark_oci::gather(&source, &digest, Want::ALL).await?;
        found.artifact = Some(digest);
        found.image = Some(image);
        Ok(found)
    }

    /// Whose each signature is. Only to tell what falls: who may revoke and what counts is the verifier's affair.
    pub(super) async fn explain(
        &self,
        found: &mut Found,
        signatory: Option<&Signatory>,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        let Some(digest) = &found.artifact else {
            return Ok(());
        };
        let mut keys: Vec<_> = signatory
            .map(|signatory| signatory.signer().public_key().clone())
            .into_iter()
            .collect();
        if let Some(key) = &self.signed_by {
            let key = KeyRef::parse(key)?;
            keys.push(sealmark_kms::load_public(&key, &key_options(terminal)).await?);
        }
        let flags = self.services.trust_flags();
        let trusted = flags.trusted(None, false, terminal).await?;
        found.attachments = sealmark_verify::explain(
            &Artifact::by_digest(digest.clone()),
            &found.evidence,
            &trusted.material,
            &keys,
            &Revocations::default(),
            trust_flags::now(),
        );
        Ok(())
    }

    /// The one signature that is meant.
    pub(super) fn one(&self, found: &Found, artifact: &Digest) -> Result<Scope, Error> {
        let is_meant = |attachment: &&Attachment| match (&self.signature, self.log_index) {
            (Some(digest), _) => {
                attachment.signature_digest.as_ref() == Some(digest)
                    || attachment.manifest_digest.as_ref() == Some(digest)
            }
            (None, Some(index)) => attachment.seen.iter().any(|s| s.log_index == Some(index)),
            (None, None) => true,
        };
        let mut meant = found.attachments.iter().filter(is_meant);
        let (first, more) = (meant.next(), meant.next());
        let Some(signature) = first.and_then(|attachment| attachment.signature_digest.clone())
        else {
            return Err(Error::Usage(format!(
                "{} has no such signature{}",
                found.name,
                match self.log_index {
                    Some(_) => " that a trusted log has at this index",
                    None => "; tree shows what it has",
                }
            )));
        };
        if more.is_some_and(|more| more.signature_digest.as_ref() != Some(&signature)) {
            return Err(Error::Usage(format!(
                "{} has several signatures there: name one by the SHA-256 of its bytes with --signature",
                found.name
            )));
        }
        let entry = first
            .into_iter()
            .flat_map(|attachment| &attachment.seen)
            .find_map(|seen| {
                Some(LogPosition {
                    log_id: seen.log_id.clone()?,
                    log_index: seen.log_index?,
                })
            });
        Ok(Scope::Signature {
            artifact: artifact.clone(),
            signature: Some(signature),
            log_entry: entry,
        })
    }
}
