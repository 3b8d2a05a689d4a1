//! Flags that several commands share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use sealmark_formats::Digest;
use sealmark_oci::{Client, Options, Reference, Repository};

use crate::error::Error;
use crate::terminal::{self, Terminal};

/// How to talk to registries.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct RegistryFlags {
    /// Accept any TLS certificate of a registry
    #[arg(long)]
    allow_insecure_registry: bool,
    /// Talk plain HTTP to registries (always done on loopback addresses)
    #[arg(long)]
    allow_http_registry: bool,
    /// User name for the registry
    #[arg(long, value_name = "NAME")]
    registry_username: Option<String>,
    /// Password for the registry; better in COSIGN_REGISTRY_PASSWORD than on the command line
    #[arg(long, value_name = "PASSWORD", hide_env_values = true)]
    registry_password: Option<String>,
    /// Bearer token for the registry; better in COSIGN_REGISTRY_TOKEN than on the command line
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    registry_token: Option<String>,
    /// Certificates (PEM) of the authorities that may sign the registry's certificate
    #[arg(long, value_name = "FILE")]
    registry_cacert: Option<PathBuf>,
    /// Client certificate (PEM) for the registry
    #[arg(long, value_name = "FILE")]
    registry_client_cert: Option<PathBuf>,
    /// Key (PEM) of the client certificate
    #[arg(long, value_name = "FILE")]
    registry_client_key: Option<PathBuf>,
    /// Name that the registry's certificate must have, instead of its host name
    #[arg(long, value_name = "NAME")]
    registry_server_name: Option<String>,
    /// Prefix of the tags at which legacy signatures are kept
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    attachment_tag_prefix: String,
}

/// Credentials for the registry that an image is only read from.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct SourceCredentials {
    /// User name for the source's registry; --registry-username and the like are for the destination's alone
    #[arg(long, value_name = "NAME")]
    source_registry_username: Option<String>,
    /// Password for the source's registry; better in COSIGN_SOURCE_REGISTRY_PASSWORD than on the command line
    #[arg(long, value_name = "PASSWORD", hide_env_values = true)]
    source_registry_password: Option<String>,
    /// Bearer token for the source's registry; better in COSIGN_SOURCE_REGISTRY_TOKEN than on the command line
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    source_registry_token: Option<String>,
}

impl SourceCredentials {
    /// Whether there are some.
    pub(crate) fn are_given(&self) -> bool {
        let all = [
            &self.source_registry_username,
            &self.source_registry_password,
            &self.source_registry_token,
        ];
        all.into_iter().any(Option::is_some)
    }
}

impl RegistryFlags {
    /// A client that does what the flags say.
    pub(crate) fn client(&self, terminal: &Terminal) -> Result<Client, Error> {
        Ok(Client::new(self.options(terminal)?))
    }

    /// A client for a registry that is only read, and must not learn the credentials of the one that is written.
    pub(crate) fn client_of_source(
        &self,
        credentials: &SourceCredentials,
        terminal: &Terminal,
    ) -> Result<Client, Error> {
        let mut options = self.options(terminal)?;
        options.username = credentials.source_registry_username.clone();
        options.password = credentials.source_registry_password.clone().map(Into::into);
        options.token = credentials.source_registry_token.clone().map(Into::into);
        Ok(Client::new(options))
    }

    fn options(&self, terminal: &Terminal) -> Result<Options, Error> {
        let mut options = Options {
            allow_insecure: self.allow_insecure_registry,
            allow_http: self.allow_http_registry,
            username: self.registry_username.clone(),
            password: self.registry_password.clone().map(Into::into),
            token: self.registry_token.clone().map(Into::into),
            cacert: self.registry_cacert.clone(),
            client_cert: self.registry_client_cert.clone(),
            client_key: self.registry_client_key.clone(),
            server_name: self.registry_server_name.clone(),
            tag_prefix: self.attachment_tag_prefix.clone(),
            ..Options::default()
        };
        if let Some(text) = environment("COSIGN_MAX_ATTACHMENT_SIZE")? {
            options.max_attachment = size(&text).ok_or_else(|| {
                Error::Usage(format!(
                    "COSIGN_MAX_ATTACHMENT_SIZE: {text:?} is not a size; write e.g. 128MiB"
                ))
            })?;
        }
        if let Some(timeout) = terminal.timeout() {
            options.timeout = options.timeout.min(timeout);
        }
        let (verbose, last) = (terminal.is_verbose(), terminal.last_request());
        options.on_request = Some(Arc::new(move |request: &sealmark_oci::RequestLog| {
            let status = request
                .status
                .map_or_else(|| "no answer".to_owned(), |s| s.to_string());
            let line = format!("{} {} {status}", request.method, request.url);
            if verbose {
                terminal::note(&format!("{line} {} ms", request.millis));
            }
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
        }));
        Ok(options)
    }
}

/// The repository that attachments are in if it is not the image's own, as `COSIGN_REPOSITORY` says.
pub(crate) fn attachments_elsewhere(terminal: &Terminal) -> Result<Option<Repository>, Error> {
    let Some(text) = environment("COSIGN_REPOSITORY")? else {
        return Ok(None);
    };
    let repository: Repository = text
        .parse()
        .map_err(|error| Error::Oci(sealmark_oci::Error::from(error)))?;
    terminal.note(format!(
        "attachments are in {repository} (COSIGN_REPOSITORY)"
    ));
    Ok(Some(repository))
}

/// The repository where the signatures of an image are kept: `COSIGN_REPOSITORY`, else the image's own.
pub(crate) fn signature_repository(image: &Reference) -> Result<Repository, Error> {
    match environment("COSIGN_REPOSITORY")? {
        Some(text) => text
            .parse()
            .map_err(|error| Error::Oci(sealmark_oci::Error::from(error))),
        None => Ok(image.in_repository()),
    }
}

/// An OCI layout on disk and the image in it: `DIR`, `DIR:NAME`, `DIR:sha256:…`, or `DIR@sha256:…` as it is printed.
pub(crate) fn layout_and_image(text: &str) -> (&str, Option<&str>) {
    if std::path::Path::new(text).exists() {
        return (text, None);
    }
    // A digest has a colon itself.
    let digest = text
        .match_indices(['@', ':'])
        .find(|(at, _)| text[at + 1..].parse::<Digest>().is_ok());
    match digest.map(|(at, _)| at).or_else(|| text.rfind(':')) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Whether legacy signatures are written with docker's media types: `COSIGN_DOCKER_MEDIA_TYPES=1`.
pub(crate) fn docker_media_types() -> bool {
    std::env::var("COSIGN_DOCKER_MEDIA_TYPES").is_ok_and(|value| value == "1")
}

/// A variable that is set and not empty.
fn environment(name: &str) -> Result<Option<String>, Error> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::Usage(format!("{name} is not valid UTF-8")))
        }
    }
}

/// A size in bytes: `1048576`, `128MiB`, `100MB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" | "k" => 1_000,
        "kib" | "ki" => 1 << 10,
        "mb" | "m" => 1_000_000,
        "mib" | "mi" => 1 << 20,
        "gb" | "g" => 1_000_000_000,
        "gib" | "gi" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Annotations on the command line.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct AnnotationFlags {
    /// Annotation of the signature; several by repeating or with commas
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',')]
    annotations: Vec<String>,
}

impl AnnotationFlags {
    /// The annotations by key.
    pub(crate) fn parse(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut annotations = BTreeMap::new();
        for text in &self.annotations {
            let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
                return Err(Error::Usage(format!(
                    "-a {text}: an annotation is KEY=VALUE"
                )));
            };
            let former = annotations.insert(key.to_owned(), value.to_owned());
            if former.is_some_and(|former| former != value) {
                return Err(Error::Usage(format!(
                    "-a {key} is given twice, with different values"
                )));
            }
        }
        Ok(annotations)
    }
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs, complete.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_unit() {
        for (text, bytes) in [
            ("5", Some(5)),
            ("128MiB", Some(128 << 20)),
            ("1 GB", Some(1_000_000_000)),
            ("2k", Some(2000)),
            ("x", None),
            ("1.5MB", None),
            ("-1", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_layout_is_named_with_or_without_the_image_in_it() {
        let digest = Digest::sha256(b"").to_string();
        for (text, dir, image) in [
            ("layout".to_owned(), "layout", None),
            (".".to_owned(), ".", None),
            ("layout:v1".to_owned(), "layout", Some("v1")),
            (format!("a/b:{digest}"), "a/b", Some(digest.as_str())),
            (format!("a/b@{digest}"), "a/b", Some(digest.as_str())),
            ("a@b:v1".to_owned(), "a@b", Some("v1")),
        ] {
            assert_eq!(layout_and_image(&text), (dir, image), "{text}");
        }
    }

    #[test]
    fn annotations_are_key_and_value() {
        let flags = |list: &[&str]| AnnotationFlags {
            annotations: list.iter().map(|s| (*s).to_owned()).collect(),
        };
        assert_eq!(flags(&["a=1", "b=x=y", "c="]).parse().unwrap()["b"], "x=y");
        for wrong in ["a", "=b", ""] {
            assert!(flags(&[wrong]).parse().is_err(), "{wrong}");
        }
    }
}
