//! Removing what refers to an artifact.
//!
//! Manifests go first, and their entries in the list that stands in for the referrers API after them: a writer that adds
//! to the list at the same time brings back only entries whose manifest still exists.

use sealmark_formats::Digest;

use crate::client::Client;
use crate::error::Error;
use crate::manifest::OCI_INDEX;
use crate::reference::{Repository, attachment_tag};

/// How often the list is written before others that write it, too, are given way.
const MAX_WRITES: u32 = 5;

impl Client {
    /// Removes manifests that refer to `subject`. One that is gone already is no failure.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the registry does not delete; any other failure as what it is. What was removed until
    /// then stays removed.
    pub async fn detach(
        &self,
        repository: &Repository,
        subject: &Digest,
        manifests: &[Digest],
    ) -> Result<(), Error> {
        for manifest in manifests {
            match self.delete_manifest(repository, manifest).await {
                Err(error) if error.is_not_found() => {}
                other => other?,
            }
        }
        self.unlist(repository, subject, manifests).await
    }

    /// Takes manifests that are gone out of the fallback index of `subject`, if there is one, and leaves the entries of
    /// others.
    ///
    /// # Errors
    /// [`Error::Contended`] if others keep overwriting; any other failure as what it is.
    pub async fn unlist(
        &self,
        repository: &Repository,
        subject: &Digest,
        gone: &[Digest],
    ) -> Result<(), Error> {
        let tag = attachment_tag("", subject, "");
        for _ in 0..MAX_WRITES {
            let Some(manifest) = self.manifest_if_exists(repository, &tag).await? else {
                return Ok(());
            };
            let mut index = manifest.index()?;
            let before = index.manifests.len();
            index
                .manifests
                .retain(|entry| !gone.contains(&entry.digest));
            if index.manifests.len() == before {
                return Ok(());
            }
            if index.manifests.is_empty() {
                match self.delete_tag(repository, &tag).await {
                    Ok(()) => continue,
                    Err(error) if error.is_not_found() => return Ok(()),
                    // An empty list says the same.
                    Err(Error::Rejected { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            self.push_manifest(repository, Some(&tag), OCI_INDEX, index.to_json().into())
                .await?;
            // Read again: somebody may have written what they had read before.
        }
        Err(Error::Contended {
            target: repository.at(&tag),
            tries: MAX_WRITES,
        })
    }
}
