//! Removing attachments, and then their entries in the list of referrers that stands in for the API.

use sealmark_formats::Digest;
use sealmark_oci::{Client, Error, Repository};

use super::inventory::Item;

/// What came of it.
pub(super) struct Outcome {
    /// What is gone.
    pub(super) removed: Vec<Item>,
    /// Why not all of it, and what is still there.
    pub(super) failure: Option<(Error, Vec<Item>)>,
}

/// Removes the items in their order, up to the first that cannot be removed.
pub(super) async fn remove(
    client: &Client,
    repository: &Repository,
    subject: &Digest,
    items: Vec<Item>,
) -> Outcome {
    let mut removed: Vec<Item> = Vec::new();
    let mut failure = None;
    let mut rest = items.into_iter();
    while let Some(item) = rest.next() {
        match remove_one(client, repository, &item).await {
            Ok(()) => removed.push(item),
            Err(cause) => {
                let remaining = std::iter::once(item).chain(rest).collect();
                failure = Some((cause, remaining));
                break;
            }
        }
    }
    let gone: Vec<Digest> = removed
        .iter()
        .filter(|item| item.tag.is_none())
        .map(|item| item.manifest.clone())
        .collect();
    if !gone.is_empty()
        && let Err(cause) = client.unlist(repository, subject, &gone).await
    {
        failure.get_or_insert((cause, Vec::new()));
    }
    Outcome { removed, failure }
}

async fn remove_one(client: &Client, repository: &Repository, item: &Item) -> Result<(), Error> {
    let result = match &item.tag {
        // Many registries delete manifests, and not tags.
        Some(tag) => match client.delete_tag(repository, tag).await {
            Err(Error::Rejected { .. }) => client.delete_manifest(repository, &item.manifest).await,
            other => other,
        },
        None => client.delete_manifest(repository, &item.manifest).await,
    };
    match result {
        // Somebody else was faster.
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sealmark_oci::manifest::{self, BUNDLE_PREDICATE_ANNOTATION, ImageManifest, OCI_MANIFEST};
    use sealmark_oci::{BundleAttachment, Descriptor, Options, Source, attachment_tag, tree};
    use sealmark_server::registry::{self, Registry};

    use super::super::inventory::{self, Kind};
    use super::*;

    /// A registry on a port of its own with one image.
    struct Shop {
        client: Client,
        repository: Repository,
        image: Descriptor,
        directory: tempfile::TempDir,
        server: tokio::task::JoinHandle<()>,
    }

    impl Shop {
        async fn open(options: registry::Options) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let (server, repository) = serve(&directory, options).await;
            let client = Client::new(Options::default());
            let bytes = artifact(None, "application/vnd.example.image").to_json();
            client
                .push_blob(&repository, manifest::EMPTY_JSON.into())
                .await
                .unwrap();
            let image = Descriptor::of(OCI_MANIFEST, &bytes);
            client
                .push_manifest(&repository, Some("v1"), OCI_MANIFEST, bytes.into())
                .await
                .unwrap();
            Self {
                client,
                repository,
                image,
                directory,
                server,
            }
        }

        /// The same content, served in another way.
        async fn reopen(self, options: registry::Options) -> Self {
            self.server.abort();
            let _ = self.server.await;
            let (server, repository) = serve(&self.directory, options).await;
            let client = Client::new(Options::default());
            Self {
                client,
                repository,
                image: self.image,
                directory: self.directory,
                server,
            }
        }

        async fn attach_bundle(&self, predicate: &str) {
            let annotations =
                BTreeMap::from([(BUNDLE_PREDICATE_ANNOTATION.to_owned(), predicate.to_owned())]);
            let bundle = BundleAttachment {
                json: format!("{{\"of\":\"{predicate}\"}}").into(),
                media_type: sealmark_formats::bundle::MEDIA_TYPE_V0_3.to_owned(),
                annotations,
            };
            self.client
                .attach_bundle(&self.repository, &self.image, bundle)
                .await
                .unwrap();
        }

        async fn attach_foreign(&self) {
            let bytes =
                artifact(Some(self.image.clone()), "application/vnd.example.other").to_json();
            self.client
                .attach(&self.repository, &self.image, OCI_MANIFEST, bytes.into())
                .await
                .unwrap();
        }

        async fn inventory(&self) -> Vec<Item> {
            let source = Source::Registry {
                client: self.client.clone(),
                repository: self.repository.clone(),
            };
            inventory::take(&source, &self.client, &self.repository, &self.image.digest)
                .await
                .unwrap()
        }

        async fn kinds(&self) -> Vec<Kind> {
            self.inventory()
                .await
                .iter()
                .map(|item| item.kind)
                .collect()
        }

        async fn remove(&self, kind: Kind) -> Outcome {
            let items = self
                .inventory()
                .await
                .into_iter()
                .filter(|item| item.kind == kind)
                .collect();
            remove(&self.client, &self.repository, &self.image.digest, items).await
        }
    }

    async fn serve(
        directory: &tempfile::TempDir,
        options: registry::Options,
    ) -> (tokio::task::JoinHandle<()>, Repository) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let repository = format!("{}/app", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let registry = Registry::open_with(directory.path(), options).unwrap();
        (
            tokio::spawn(registry.serve(listener, std::future::pending())),
            repository,
        )
    }

    fn artifact(subject: Option<Descriptor>, kind: &str) -> ImageManifest {
        ImageManifest {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.to_owned()),
            config: manifest::empty_config(),
            layers: Vec::new(),
            annotations: BTreeMap::new(),
            subject,
            artifact_type: Some(kind.to_owned()),
        }
    }

    fn options(referrers: bool) -> registry::Options {
        registry::Options {
            referrers,
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn what_was_not_asked_for_stays_listed_with_and_without_the_api() {
        for referrers in [true, false] {
            let shop = Shop::open(options(referrers)).await;
            shop.attach_bundle(sealmark_formats::statement::COSIGN_SIGN_V1)
                .await;
            shop.attach_bundle("https://slsa.dev/provenance/v1").await;
            shop.attach_foreign().await;

            let outcome = shop.remove(Kind::Signature).await;
            assert!(outcome.failure.is_none());
            assert_eq!(outcome.removed.len(), 1);
            let mut left = shop.kinds().await;
            left.sort_by_key(|kind| kind.name());
            assert_eq!(left, [Kind::Attestation, Kind::Foreign], "API: {referrers}");

            assert_eq!(shop.remove(Kind::Attestation).await.removed.len(), 1);
            assert_eq!(shop.kinds().await, [Kind::Foreign], "API: {referrers}");
            // The last entry takes the list with it.
            assert_eq!(shop.remove(Kind::Foreign).await.removed.len(), 1);
            let tag = attachment_tag("", &shop.image.digest, "");
            let list = shop
                .client
                .manifest_if_exists(&shop.repository, &tag)
                .await
                .unwrap();
            assert_eq!(list, None);
            let source = Source::Registry {
                client: shop.client.clone(),
                repository: shop.repository.clone(),
            };
            let node = tree::list(&source, &shop.image.digest, false)
                .await
                .unwrap();
            assert!(node.media_type.is_some(), "the image itself is still there");
        }
    }

    #[tokio::test]
    async fn a_registry_that_does_not_delete_is_an_error_that_names_what_remains() {
        let shop = Shop::open(options(true)).await;
        shop.attach_bundle(sealmark_formats::statement::COSIGN_SIGN_V1)
            .await;
        let shop = shop
            .reopen(registry::Options {
                read_only: true,
                ..Default::default()
            })
            .await;
        let outcome = shop.remove(Kind::Signature).await;
        assert!(outcome.removed.is_empty());
        let (cause, remaining) = outcome.failure.unwrap();
        assert!(
            matches!(cause, Error::Rejected { status: 405, .. }),
            "{cause}"
        );
        assert_eq!(remaining, shop.inventory().await);
    }
}
