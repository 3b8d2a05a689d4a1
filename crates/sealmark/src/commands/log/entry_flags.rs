//! The files of an entry: flags that `upload` and `verify` share, named as rekor-cli names them.

use std::path::PathBuf;

use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_rekor::proposal::{self, Files, Kind};
use sealmark_rekor::search::KeyFormat;
use serde_json::Value;

use super::files;
use crate::error::Error;

/// An artifact that is sent to a log as it is is not larger, in bytes: logs take requests of up to 4 or 8 MiB.
const MAX_ARTIFACT: u64 = 64 << 20;
/// A signature, key or certificate is not larger than this, in bytes.
const MAX_SMALL: u64 = 1 << 20;

/// The files of an entry.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "The entry")]
pub(crate) struct EntryFlags {
    /// The artifact; of dsse and intoto the envelope, of helm the provenance file
    #[arg(long, value_name = "FILE")]
    artifact: Option<PathBuf>,
    /// The artifact's digest instead of the artifact: hex of SHA-256, or sha384: or sha512: and hex
    #[arg(
        long,
        value_name = "DIGEST",
        alias = "artifact_hash",
        conflicts_with = "artifact"
    )]
    artifact_hash: Option<String>,
    /// The signature, if it is not part of the artifact
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Key or certificate of the signer; several for an envelope with several signatures
    #[arg(long, value_name = "FILE", alias = "public_key", value_delimiter = ',')]
    public_key: Vec<PathBuf>,
    /// Format of the key: x509, pgp, minisign, ssh or tuf [default: as the file looks like]
    #[arg(long, value_name = "FORMAT", alias = "pki_format", value_parser = key_format)]
    pki_format: Option<KeyFormat>,
    /// Kind of the entry, with its version if need be: hashedrekord, dsse, intoto:0.0.1, …
    #[arg(
        long = "type",
        value_name = "KIND[:VERSION]",
        default_value = "hashedrekord"
    )]
    kind: Kind,
    /// The proposed entry as it is to be sent, in JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["artifact", "artifact_hash", "signature", "public_key"])]
    entry: Option<PathBuf>,
    /// Additional authenticated data of a COSE message, in base64
    #[arg(long, value_name = "BASE64")]
    aad: Option<String>,
}

impl EntryFlags {
    /// The entry for a log of version 1.
    pub(crate) fn v1(&self) -> Result<Value, Error> {
        match &self.entry {
            Some(path) => {
                let json = files::read(path, MAX_ARTIFACT)?;
                serde_json::from_slice(&json).map_err(|error| {
                    Error::Usage(format!("{} is not JSON: {error}", path.display()))
                })
            }
            None => Ok(proposal::v1(&self.kind, &self.files()?)?),
        }
    }

    /// The entry for a log of version 2.
    pub(crate) fn v2(&self) -> Result<sealmark_entries::RequestV2, Error> {
        match &self.entry {
            Some(path) => {
                let json = files::read(path, MAX_ARTIFACT)?;
                sealmark_entries::RequestV2::from_json(&json)
                    .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))
            }
            None => Ok(proposal::v2(&self.kind, &self.files()?)?),
        }
    }

    fn files(&self) -> Result<Files, Error> {
        let small = |path: &PathBuf| files::read(path, MAX_SMALL);
        let public_keys = self
            .public_key
            .iter()
            .map(small)
            .collect::<Result<Vec<_>, _>>()?;
        let mut found = Files {
            signature: self.signature.as_ref().map(small).transpose()?,
            key_format: self.pki_format,
            aad: self.aad.as_deref().map(aad).transpose()?,
            ..Files::default()
        };
        // An artifact of any size has a digest; only other kinds send it as it is.
        if self.kind.name == "hashedrekord" {
            found.digest = match (&self.artifact, &self.artifact_hash, public_keys.first()) {
                (_, Some(text), _) => Some(digest(text)?),
                (Some(path), None, Some(key)) => {
                    Some(files::digest(path, proposal::artifact_hash(key)?)?)
                }
                _ => None,
            };
        } else if let Some(path) = &self.artifact {
            found.artifact = Some(files::read(path, MAX_ARTIFACT)?);
        }
        found.public_keys = public_keys;
        Ok(found)
    }
}

/// A digest as rekor-cli takes it: with or without its algorithm, in letters of either case.
fn digest(text: &str) -> Result<Digest, Error> {
    let lower = text.to_lowercase();
    let named = match (lower.contains(':'), lower.len()) {
        (true, _) => lower,
        (false, 96) => format!("sha384:{lower}"),
        (false, 128) => format!("sha512:{lower}"),
        (false, _) => format!("sha256:{lower}"),
    };
    named
        .parse()
        .map_err(|error| Error::Usage(format!("--artifact-hash: {error}")))
}

fn aad(text: &str) -> Result<Vec<u8>, Error> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|error| Error::Usage(format!("--aad {text}: that is not base64: {error}")))
}

/// A format of keys by Rekor's name for it.
pub(super) fn key_format(text: &str) -> Result<KeyFormat, String> {
    let all = [
        KeyFormat::X509,
        KeyFormat::Pgp,
        KeyFormat::Minisign,
        KeyFormat::Ssh,
        KeyFormat::Tuf,
    ];
    let found = all.into_iter().find(|format| format.name() == text);
    found.ok_or_else(|| format!("{text:?} is none of x509, pgp, minisign, ssh, tuf"))
}

/// The SHA-256 of a file, as a search wants it.
pub(super) fn sha256(path: &std::path::Path) -> Result<Digest, Error> {
    files::digest(path, HashAlgorithm::Sha256)
}
