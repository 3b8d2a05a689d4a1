//! Names of images: docker's normalisation, and errors that say which part is wrong.
//!
//! Invariant: a [`Reference`] or [`Repository`] that exists is well formed, so that its parts can be put into a URL
//! path as they are. Grammar: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>.

use core::fmt;
use core::str::FromStr;

use sealmark_formats::Digest;

use crate::error::sanitise;

/// Docker Hub's host, which is meant when a reference names none.
pub const DOCKER_HUB: &str = "index.docker.io";
/// The tag that is meant when a reference has neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
/// The longest tag that the specification allows.
const MAX_TAG: usize = 128;
/// The longest repository name that registries accept.
const MAX_REPOSITORY: usize = 255;

/// Why a text does not name an image.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not an image reference: {reason}")]
pub struct ReferenceError {
    /// The text, cut to a length that can be printed.
    pub text: String,
    /// Which part is wrong, and what is allowed there.
    pub reason: String,
}

impl ReferenceError {
    fn new(text: &str, reason: impl Into<String>) -> Self {
        Self {
            text: text.chars().take(200).collect(),
            reason: sanitise(&reason.into()),
        }
    }
}

/// A repository: `registry/name`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Repository {
    /// Host, with a port if it is not the scheme's own: `index.docker.io`, `localhost:5000`.
    pub registry: String,
    /// The name in the registry: `library/alpine`.
    pub name: String,
}

impl Repository {
    /// This repository, with a tag or a digest, for people.
    pub fn at(&self, identifier: &str) -> String {
        let separator = if identifier.contains(':') { '@' } else { ':' };
        format!("{self}{separator}{identifier}")
    }

    /// The image in this repository with this digest.
    pub fn with_digest(&self, digest: &Digest) -> Reference {
        Reference {
            registry: self.registry.clone(),
            repository: self.name.clone(),
            tag: None,
            digest: Some(digest.clone()),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.name)
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason: String| ReferenceError::new(text, reason);
        preliminary(text).map_err(error)?;
        if text.contains('@') {
            return Err(error(
                "a repository is expected here, without a digest".to_owned(),
            ));
        }
        let (registry, name) = split_registry(text);
        if name.contains(':') {
            return Err(error(
                "a repository is expected here, without a tag".to_owned(),
            ));
        }
        repository(registry, name).map_err(error)
    }
}

/// An image by tag, by digest, or by both. The digest decides when there is one.
///
/// ```
/// use sealmark_oci::Reference;
/// let alpine: Reference = "alpine".parse().unwrap();
/// assert_eq!(alpine.to_string(), "index.docker.io/library/alpine:latest");
/// let local: Reference = "localhost:5000/team/app:v1".parse().unwrap();
/// assert_eq!(local.registry, "localhost:5000");
/// assert!("https://example.com/app".parse::<Reference>().is_err());
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reference {
    /// Host, with a port if it is not the scheme's own.
    pub registry: String,
    /// The name in the registry.
    pub repository: String,
    /// The tag; [`DEFAULT_TAG`] if the text had neither tag nor digest.
    pub tag: Option<String>,
    /// The digest.
    pub digest: Option<Digest>,
}

impl Reference {
    /// The repository that the image is in.
    pub fn in_repository(&self) -> Repository {
        Repository {
            registry: self.registry.clone(),
            name: self.repository.clone(),
        }
    }

    /// The same image by digest only.
    pub fn by_digest(&self, digest: &Digest) -> Self {
        self.in_repository().with_digest(digest)
    }

    /// What the registry is asked for: the digest if there is one, else the tag.
    pub fn identifier(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason: String| ReferenceError::new(text, reason);
        preliminary(text).map_err(error)?;
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest
                    .parse::<Digest>()
                    .map_err(|cause| error(format!("bad digest: {}", cause.reason)))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (registry, rest) = split_registry(rest);
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) => {
                check_tag(tag).map_err(error)?;
                (name, Some(tag.to_owned()))
            }
            None => (rest, None),
        };
        let Repository { registry, name } = repository(registry, name).map_err(error)?;
        let tag = match (tag, &digest) {
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (tag, _) => tag,
        };
        Ok(Self {
            registry,
            repository: name,
            tag,
            digest,
        })
    }
}

/// The tag under which cosign 1 and 2 keep what is attached to `subject`: `sha256-….sig`. An empty suffix gives the
/// tag of the OCI fallback index. `prefix` is `--attachment-tag-prefix`.
pub fn attachment_tag(prefix: &str, subject: &Digest, suffix: &str) -> String {
    let dot = if suffix.is_empty() { "" } else { "." };
    format!(
        "{prefix}{}-{}{dot}{suffix}",
        subject.algorithm(),
        subject.hex()
    )
}

fn preliminary(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(format!(
            "leave {scheme}:// away, as in {}",
            rest.trim_end_matches('/')
        ));
    }
    if let Some(bad) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("the character {bad:?} is not allowed"));
    }
    Ok(())
}

/// The first component is a registry if it looks like a host: it has a dot or a port, or is `localhost`.
fn split_registry(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            (Some(first), rest)
        }
        _ => (None, text),
    }
}

fn repository(registry: Option<&str>, name: &str) -> Result<Repository, String> {
    let registry = match registry {
        None | Some("docker.io") => DOCKER_HUB.to_owned(),
        Some(host) => {
            check_registry(host)?;
            host.to_owned()
        }
    };
    check_name(name)?;
    let name = if registry == DOCKER_HUB && !name.contains('/') {
        format!("library/{name}")
    } else {
        name.to_owned()
    };
    // As it is in the registry: what is written in full must be as good.
    check_name(&name)?;
    Ok(Repository { registry, name })
}

/// Checks a registry's name as `login` takes it: a host with an optional port.
///
/// # Errors
/// What is wrong, for people.
pub fn check_registry(registry: &str) -> Result<(), String> {
    let (host, port) = match registry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, port)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(format!("[{address}] is not an IPv6 address"));
            }
            match port.strip_prefix(':') {
                None if !port.is_empty() => {
                    return Err(format!("after [{address}] only :PORT may follow"));
                }
                port => ("", port),
            }
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    if host.is_empty() && !registry.starts_with('[') {
        return Err("the registry's host is empty".to_owned());
    }
    if let Some(bad) = host
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || "._-".contains(*c)))
    {
        return Err(format!(
            "the character {bad:?} is not allowed in a registry's host"
        ));
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(format!("{:?} is not a port", port.unwrap_or_default()));
    }
    // What is left are hosts like `.0`, which look like numbers and are no addresses.
    url::Url::parse(&format!("http://{registry}/"))
        .map(|_| ())
        .map_err(|error| format!("{registry:?} is not a host: {error}"))
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the repository's name is empty".to_owned());
    }
    if name.len() > MAX_REPOSITORY {
        return Err(format!(
            "the repository's name is longer than {MAX_REPOSITORY} characters"
        ));
    }
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        return Err("uppercase letters are not allowed in a repository name".to_owned());
    }
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if let Some(bad) = name
        .chars()
        .find(|c| !alphanumeric(*c) && !"._-/".contains(*c))
    {
        return Err(format!(
            "the character {bad:?} is not allowed in a repository name"
        ));
    }
    for part in name.split('/') {
        if part.is_empty() {
            return Err("the repository's name has an empty part".to_owned());
        }
        if !part.starts_with(alphanumeric) || !part.ends_with(alphanumeric) {
            return Err(format!(
                "the part {part:?} of the repository's name must start and end with a letter or digit"
            ));
        }
    }
    Ok(())
}

fn check_tag(tag: &str) -> Result<(), String> {
    if tag.is_empty() {
        return Err("the tag after ':' is empty".to_owned());
    }
    if tag.len() > MAX_TAG {
        return Err(format!("the tag is longer than {MAX_TAG} characters"));
    }
    if let Some(bad) = tag
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || "._-".contains(*c)))
    {
        return Err(format!("the character {bad:?} is not allowed in a tag"));
    }
    if tag.starts_with(['.', '-']) {
        return Err("a tag must start with a letter, a digit or '_'".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_accepted_can_stand_in_a_url_and_is_read_again(
            text in "(([a-z]{1,3}\\.)?[a-zA-Z0-9_.\\[\\]-]{1,6}(:[0-9]{1,6})?/)?[a-zA-Z0-9_./-]{1,12}(:[a-zA-Z0-9_.%-]{0,5})?",
        ) {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
                let path = format!("/v2/{}/manifests/{}", reference.repository, reference.identifier());
                let url = url::Url::parse(&format!("https://{}{path}", reference.registry)).unwrap();
                prop_assert_eq!(url.path(), path);
            }
        }

        #[test]
        fn any_text_is_read(text in ".{0,60}") {
            let _ = text.parse::<Reference>();
            let _ = text.parse::<Repository>();
        }
    }

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn references_are_normalised_as_docker_does() {
        for (text, expected) in [
            ("alpine", "index.docker.io/library/alpine:latest"),
            ("alpine:3.20", "index.docker.io/library/alpine:3.20"),
            ("docker.io/alpine", "index.docker.io/library/alpine:latest"),
            (
                "docker.io/grafana/loki",
                "index.docker.io/grafana/loki:latest",
            ),
            ("grafana/loki:v1", "index.docker.io/grafana/loki:v1"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/a/b/c:v1", "localhost:5000/a/b/c:v1"),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
            ("[::1]:5000/app:v1", "[::1]:5000/app:v1"),
            (
                "ghcr.io/o/a_b__c-d.e:V_1.0-x",
                "ghcr.io/o/a_b__c-d.e:V_1.0-x",
            ),
        ] {
            assert_eq!(
                text.parse::<Reference>().unwrap().to_string(),
                expected,
                "{text}"
            );
        }
        let by_digest: Reference = format!("ghcr.io/o/a@sha256:{HEX}").parse().unwrap();
        assert_eq!(by_digest.tag, None);
        assert_eq!(by_digest.to_string(), format!("ghcr.io/o/a@sha256:{HEX}"));
        let both: Reference = format!("ghcr.io/o/a:v1@sha256:{HEX}").parse().unwrap();
        assert_eq!(both.tag.as_deref(), Some("v1"));
        assert_eq!(both.identifier(), format!("sha256:{HEX}"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, reason) in [
            ("", "it is empty"),
            (
                "https://ghcr.io/o/a",
                "leave https:// away, as in ghcr.io/o/a",
            ),
            (
                "ghcr.io/O/a",
                "uppercase letters are not allowed in a repository name",
            ),
            ("ghcr.io/o/a:", "the tag after ':' is empty"),
            (
                "ghcr.io/o/a:b!c",
                "the character '!' is not allowed in a tag",
            ),
            (
                "ghcr.io/o/a:-b",
                "a tag must start with a letter, a digit or '_'",
            ),
            ("ghcr.io/o//a", "the repository's name has an empty part"),
            ("ghcr.io/", "the repository's name is empty"),
            ("ghcr.io/../a", "must start and end with a letter or digit"),
            ("ghcr.io/o/a b", "the character ' ' is not allowed"),
            (
                "ghcr.io/o/a@sha256:12",
                "bad digest: the number of hex digits",
            ),
            ("ghcr.io/o/a@md5:12", "bad digest: the algorithm is none of"),
            ("example.com:x/a", "\"x\" is not a port"),
            ("[::z]:1/a", "is not an IPv6 address"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!("ghcr.io/o/a:v1".parse::<Repository>().is_err());
        assert!(
            format!("ghcr.io/o/a@sha256:{HEX}")
                .parse::<Repository>()
                .is_err()
        );
        let long = format!("ghcr.io/{}", "a".repeat(256));
        assert!(
            long.parse::<Repository>()
                .unwrap_err()
                .to_string()
                .contains("longer")
        );
        // `library/` counts, too.
        assert!("a".repeat(248).parse::<Repository>().is_err());
        assert!("a".repeat(247).parse::<Repository>().is_ok());
        assert_eq!(
            "alpine".parse::<Repository>().unwrap().name,
            "library/alpine"
        );
    }

    #[test]
    fn attachment_tags_are_cosigns() {
        let digest: Digest = format!("sha256:{HEX}").parse().unwrap();
        assert_eq!(
            attachment_tag("", &digest, "sig"),
            format!("sha256-{HEX}.sig")
        );
        assert_eq!(
            attachment_tag("ci-", &digest, "att"),
            format!("ci-sha256-{HEX}.att")
        );
        assert_eq!(attachment_tag("", &digest, ""), format!("sha256-{HEX}"));
    }
    #[test]
    fn an_error_repeats_neither_a_long_reference_nor_its_control_characters() {
        let long = "a".repeat(4000);
        for text in [
            format!("https://{long}"),
            format!("{long}://x"),
            format!("localhost:{long}/app"),
            format!("localhost/{long}-/app"),
            "https://\u{1b}[2Jx".to_owned(),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.len() < 1000, "{} bytes", error.len());
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }
}
