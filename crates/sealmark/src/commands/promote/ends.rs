//! The two ends of a promotion: where the image is, and where it goes.

use std::path::Path;

use sealmark_formats::Digest;
use sealmark_oci::client::Client;
use sealmark_oci::{Descriptor, Layout, Reference, Repository, Source};

use super::Arguments;
use crate::error::Error;
use crate::flags::layout_and_image;
use crate::terminal::Terminal;

/// How a layout on disk begins; other tools call it the same.
const LAYOUT: &str = "oci:";

/// The image at the source, resolved once.
pub(super) struct From {
    pub(super) source: Source,
    /// Registry and repository as a policy has it, or the layout.
    pub(super) repository: String,
    /// As the user named it.
    pub(super) reference: String,
    /// By its digest.
    pub(super) pinned: String,
    pub(super) digest: Digest,
    pub(super) descriptor: Descriptor,
    /// The tag that it was named by.
    pub(super) tag: Option<String>,
    /// It is in a layout on disk.
    pub(super) local: bool,
}

/// The destination.
pub(super) struct To {
    pub(super) client: Client,
    pub(super) repository: Repository,
    /// The tag that moves, last of all.
    pub(super) tag: Option<String>,
    /// What it was.
    pub(super) before: Option<Digest>,
}

/// What became of the tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TagState {
    /// There was none.
    Set,
    /// It was another image.
    Moved,
    /// It was this image.
    AlreadyThere,
    /// None is to be set.
    NoTag,
}

impl From {
    pub(super) async fn find(arguments: &Arguments, terminal: &Terminal) -> Result<Self, Error> {
        let text = arguments.source.as_str();
        let named = arguments.source_name.as_deref();
        let found = match directory(text) {
            Some(layout) => Self::in_layout(layout, named)?,
            None => Self::in_registry(arguments, terminal).await?,
        };
        let Some(name) = named else {
            return Ok(found);
        };
        let name: Repository = name.parse().map_err(sealmark_oci::Error::from)?;
        if !found.local && name.to_string() != found.repository {
            return Err(Error::Usage(format!(
                "--source-name {name}: the source is {}; it is for layouts, which do not have a name of their own",
                found.repository
            )));
        }
        Ok(Self {
            repository: name.to_string(),
            reference: match &found.tag {
                Some(tag) => name.at(tag),
                None => name.at(&found.digest.to_string()),
            },
            ..found
        })
    }

    fn in_layout(text: &str, named: Option<&str>) -> Result<Self, Error> {
        let (directory, name) = layout_and_image(text);
        let layout = Layout::open(directory)?;
        let descriptor = layout.resolve(name)?;
        let stated = descriptor
            .annotations
            .get(sealmark_oci::manifest::REF_NAME_ANNOTATION)
            .map(String::as_str);
        let tag = name.or(stated).filter(|name| is_tag(name));
        if named.is_none() && !Path::new(directory).is_relative() {
            // Said in a statement that others read.
            return Err(Error::Usage(format!(
                "{directory} is a path of this machine, and the statement would tell it: say with --source-name which \
                 repository the layout was saved from, or name it by a relative path"
            )));
        }
        Ok(Self {
            repository: format!("{LAYOUT}{directory}"),
            reference: format!("{LAYOUT}{text}"),
            pinned: format!("{directory}@{}", descriptor.digest),
            digest: descriptor.digest.clone(),
            tag: tag.map(str::to_owned),
            source: Source::Layout(layout),
            descriptor,
            local: true,
        })
    }

    async fn in_registry(arguments: &Arguments, terminal: &Terminal) -> Result<Self, Error> {
        let image: Reference = arguments
            .source
            .parse()
            .map_err(sealmark_oci::Error::from)?;
        // What is for the destination's registry goes to no other.
        let destination: Option<Reference> = arguments.destination.parse().ok();
        let is_same = destination.is_some_and(|other| other.registry == image.registry);
        let credentials = &arguments.source_credentials;
        let client = match is_same && !credentials.are_given() {
            true => arguments.registry.client(terminal)?,
            false => arguments.registry.client_of_source(credentials, terminal)?,
        };
        let descriptor = client.resolve(&image).await.map_err(missing)?;
        let repository = image.in_repository();
        Ok(Self {
            repository: repository.to_string(),
            reference: image.to_string(),
            pinned: image.by_digest(&descriptor.digest).to_string(),
            digest: descriptor.digest.clone(),
            tag: image.tag.clone(),
            source: Source::Registry { client, repository },
            descriptor,
            local: false,
        })
    }
}

fn missing(error: sealmark_oci::Error) -> Error {
    match error.is_not_found() {
        true => Error::Verification {
            exit: crate::error::VerificationExit::ImageMissing,
            message: error.to_string(),
        },
        false => error.into(),
    }
}

impl To {
    pub(super) async fn find(
        arguments: &Arguments,
        from: &From,
        terminal: &Terminal,
    ) -> Result<Self, Error> {
        let text = arguments.destination.as_str();
        if directory(text).is_some() {
            return Err(Error::NotSupported(format!(
                "promoting into a layout ({text}): signatures are attached in a registry; promote into one, and save \
                 the image from there"
            )));
        }
        let image: Reference = text.parse().map_err(sealmark_oci::Error::from)?;
        if let Some(other) = image.digest.as_ref().filter(|other| **other != from.digest) {
            return Err(Error::Usage(format!(
                "{} is {}, and cannot be promoted to the digest {other}: name a tag, or no digest",
                from.reference, from.digest
            )));
        }
        let repository = image.in_repository();
        let tag = match (names_a_version(text), &from.tag) {
            (true, _) => image.tag.clone(),
            (false, Some(tag)) => Some(tag.clone()),
            (false, None) => {
                return Err(Error::Usage(format!(
                    "which tag is it to have? {} has none: write {repository}:TAG, or {repository}@{} for none",
                    from.reference, from.digest
                )));
            }
        };
        // Of one registry both ends share what is known of it, and what it has need not be sent.
        let client = match &from.source {
            Source::Registry {
                client,
                repository: source,
            } if source.registry == repository.registry
                && !arguments.source_credentials.are_given() =>
            {
                client.clone()
            }
            _ => arguments.registry.client(terminal)?,
        };
        let mut to = Self {
            client,
            repository,
            tag,
            before: None,
        };
        to.before = to.tagged().await?;
        Ok(to)
    }

    /// The image by its digest.
    pub(super) fn pinned(&self, digest: &Digest) -> String {
        self.repository.at(&digest.to_string())
    }

    /// The tag, as people write it.
    pub(super) fn tag_name(&self) -> Option<String> {
        self.tag.as_ref().map(|tag| self.repository.at(tag))
    }

    /// What the tag points at.
    async fn tagged(&self) -> Result<Option<Digest>, Error> {
        let Some(tag) = &self.tag else {
            return Ok(None);
        };
        let reference = Reference {
            registry: self.repository.registry.clone(),
            repository: self.repository.name.clone(),
            tag: Some(tag.clone()),
            digest: None,
        };
        match self.client.resolve(&reference).await {
            Ok(descriptor) => Ok(Some(descriptor.digest)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The last step: from now on consumers get this image.
    pub(super) async fn move_tag(&self, digest: &Digest) -> Result<TagState, Error> {
        let (Some(tag), Some(name)) = (&self.tag, self.tag_name()) else {
            return Ok(TagState::NoTag);
        };
        let now = self.tagged().await?;
        if now.as_ref() == Some(digest) {
            return Ok(TagState::AlreadyThere);
        }
        if now != self.before {
            return Err(Error::Usage(format!(
                "somebody else moved {name} meanwhile, {}: it was left so. Promote again to move it to {digest}",
                match &now {
                    Some(now) => format!("to {now}"),
                    None => "away".to_owned(),
                }
            )));
        }
        let failed = |cause| Error::TagNotMoved {
            tag: name.clone(),
            pinned: self.pinned(digest),
            cause: Box::new(cause),
        };
        let manifest = self
            .client
            .manifest(&self.repository, &digest.to_string())
            .await
            .map_err(failed)?;
        let (media_type, bytes) = (&manifest.media_type, manifest.bytes);
        self.client
            .push_manifest(&self.repository, Some(tag), media_type, bytes)
            .await
            .map_err(failed)?;
        Ok(match now {
            Some(_) => TagState::Moved,
            None => TagState::Set,
        })
    }
}

/// The layout that a text names.
fn directory(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix(LAYOUT) {
        return Some(rest);
    }
    let (directory, _) = layout_and_image(text);
    Path::new(directory)
        .join("oci-layout")
        .is_file()
        .then_some(text)
}

/// Whether a reference says which image of the repository is meant.
fn names_a_version(text: &str) -> bool {
    text.contains('@')
        || text
            .rsplit('/')
            .next()
            .is_some_and(|name| name.contains(':'))
}

fn is_tag(name: &str) -> bool {
    format!("registry.example/name:{name}")
        .parse::<Reference>()
        .is_ok_and(|reference| reference.tag.as_deref() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_or_digest_is_told_from_a_port() {
        for (text, named) in [
            ("127.0.0.1:5000/app", false),
            ("127.0.0.1:5000/app:v1", true),
            ("alpine", false),
            ("alpine:3", true),
            ("registry.example/app@sha256:00", true),
        ] {
            assert_eq!(names_a_version(text), named, "{text}");
        }
    }

    #[test]
    fn a_layout_is_named_by_its_prefix() {
        assert_eq!(directory("oci:saved:v1"), Some("saved:v1"));
        assert_eq!(directory("registry.example/app:v1"), None);
        assert!(is_tag("v1") && !is_tag("a b") && !is_tag("a/b"));
    }
}
