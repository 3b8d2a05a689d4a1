//! Trusted material, with the reason why it is believed.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sealmark_formats::revocation_feed::{FEED_TARGET, Feed};
use sealmark_formats::trusted_root::{CertificateAuthority, LogInstance, MAX_SIZE, TimeRange};
use sealmark_formats::{SigningConfig, TrustedRoot};
use sealmark_x509::Certificate;

use crate::{Error, service, tuf};

const EMBEDDED_TRUSTED_ROOT: &[u8] = include_bytes!("../embedded/trusted_root.json");
const EMBEDDED_SIGNING_CONFIG: &[u8] = include_bytes!("../embedded/signing_config.v0.2.json");
const EMBEDDED_REKOR_V2: &[u8] = include_bytes!("../embedded/signing_config_rekor_v2.v0.2.json");

/// Where trusted material is from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A file that the user named.
    File(PathBuf),
    /// The copy of the public instance's that is part of the program.
    Embedded,
    /// A TUF repository, by its URL.
    Tuf(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Embedded => f.write_str("the embedded copy of the public instance's root"),
            Self::Tuf(mirror) => write!(f, "the TUF repository {mirror}"),
        }
    }
}

/// Whom to believe, and which services to use.
#[derive(Clone, Debug)]
pub struct TrustedMaterial {
    /// Whom to believe.
    pub trusted_root: TrustedRoot,
    /// Which services to sign with, where the origin says so.
    pub signing_config: Option<SigningConfig>,
    /// The same with the newer log, where the origin offers it.
    pub signing_config_rekor_v2: Option<SigningConfig>,
    /// What the origin says was revoked, if it has a feed.
    pub revocations: Option<RevocationFeed>,
    /// Where it is from.
    pub origin: Origin,
}

/// The feed of revocations of a TUF repository.
#[derive(Clone, Debug)]
pub struct RevocationFeed {
    /// What it has.
    pub feed: Feed,
    /// Until when it is complete: when the repository signed its newest timestamp, if it says so.
    pub signed: Option<jiff::Timestamp>,
    /// The repository.
    pub mirror: String,
}

impl TrustedMaterial {
    /// The trusted root in a file.
    ///
    /// # Errors
    /// If it cannot be read or is not a trusted root.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let trusted_root = trusted_root(&path.display().to_string(), &read(path)?)?;
        Ok(Self {
            trusted_root,
            signing_config: None,
            signing_config_rekor_v2: None,
            revocations: None,
            origin: Origin::File(path.to_owned()),
        })
    }

    /// The public instance, as the program was built with it.
    ///
    /// ```
    /// let public = sealmark_trust::TrustedMaterial::embedded_public_good();
    /// assert_eq!(public.trusted_root.tlogs[0].base_url, "https://rekor.sigstore.dev");
    /// ```
    pub fn embedded_public_good() -> Self {
        let embedded = "embedded documents are parsed in the tests";
        Self {
            trusted_root: TrustedRoot::parse(EMBEDDED_TRUSTED_ROOT).expect(embedded),
            signing_config: Some(SigningConfig::parse(EMBEDDED_SIGNING_CONFIG).expect(embedded)),
            signing_config_rekor_v2: Some(SigningConfig::parse(EMBEDDED_REKOR_V2).expect(embedded)),
            revocations: None,
            origin: Origin::Embedded,
        }
    }

    /// What a TUF repository offers, refreshed and checked from its pinned root.
    ///
    /// # Errors
    /// If the repository cannot be reached or trusted, or has no trusted root. A repository without signing
    /// configurations is fine.
    pub async fn from_tuf(options: &tuf::Options) -> Result<Self, Error> {
        let repository = tuf::refresh(options).await?;
        Self::of_repository(&repository).await
    }

    /// What a refreshed repository offers.
    ///
    /// # Errors
    /// As [`from_tuf`](Self::from_tuf).
    pub async fn of_repository(repository: &tuf::Repository) -> Result<Self, Error> {
        let root = repository.target("trusted_root.json").await?;
        let place = |name: &str| format!("{name} of {}", repository.mirror());
        let mut configurations = Vec::new();
        for name in [
            "signing_config.v0.2.json",
            "signing_config_rekor_v2.v0.2.json",
        ] {
            configurations.push(if repository.has(name).await? {
                let bytes = repository.target(name).await?;
                Some(signing_config(&place(name), &bytes)?)
            } else {
                None
            });
        }
        let signing_config_rekor_v2 = configurations.pop().flatten();
        let revocations = match repository.has(FEED_TARGET).await? {
            true => {
                let json = repository.target(FEED_TARGET).await?;
                let failed = |cause| Error::Document {
                    from: place(FEED_TARGET),
                    cause,
                };
                Some(RevocationFeed {
                    feed: Feed::parse(&json).map_err(failed)?,
                    signed: repository.signed_at(),
                    mirror: repository.mirror().to_owned(),
                })
            }
            false => None,
        };
        Ok(Self {
            trusted_root: trusted_root(&place("trusted_root.json"), &root)?,
            signing_config: configurations.pop().flatten(),
            signing_config_rekor_v2,
            revocations,
            origin: Origin::Tuf(repository.mirror().to_owned()),
        })
    }
}

fn trusted_root(from: &str, json: &[u8]) -> Result<TrustedRoot, Error> {
    TrustedRoot::parse(json).map_err(|cause| Error::Document {
        from: from.to_owned(),
        cause,
    })
}

fn signing_config(from: &str, json: &[u8]) -> Result<SigningConfig, Error> {
    SigningConfig::parse(json).map_err(|cause| Error::Document {
        from: from.to_owned(),
        cause,
    })
}

/// The signing configuration in a file.
///
/// # Errors
/// If it cannot be read or is not a signing configuration.
pub fn signing_config_from_file(path: &Path) -> Result<SigningConfig, Error> {
    signing_config(&path.display().to_string(), &read(path)?)
}

/// Reads a file that is no larger than a trusted root may be.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_SIZE as u64 + 1).read_to_end(&mut content))
        .map_err(|cause| Error::file("read", path, cause))?;
    if content.len() > MAX_SIZE {
        return Err(Error::TooLarge {
            what: path.display().to_string(),
            limit: MAX_SIZE as u64,
        });
    }
    Ok(content)
}

/// The files that environment variables name instead of parts of a trusted root.
///
/// Each variable replaces its part: `SIGSTORE_ROOT_FILE` the authorities, `SIGSTORE_REKOR_PUBLIC_KEY` the log,
/// `SIGSTORE_CT_LOG_PUBLIC_KEY_FILE` the certificate transparency log, `SIGSTORE_TSA_CERTIFICATE_FILE` the timestamp
/// authority. The files do not say from when to when they count; certificates do so themselves.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EnvironmentFiles {
    /// `SIGSTORE_ROOT_FILE`.
    pub authorities: Option<Vec<CertificateAuthority>>,
    /// `SIGSTORE_REKOR_PUBLIC_KEY`.
    pub tlogs: Option<Vec<LogInstance>>,
    /// `SIGSTORE_CT_LOG_PUBLIC_KEY_FILE`.
    pub ctlogs: Option<Vec<LogInstance>>,
    /// `SIGSTORE_TSA_CERTIFICATE_FILE`.
    pub timestamp_authorities: Option<Vec<CertificateAuthority>>,
}

impl EnvironmentFiles {
    /// Reads the files that the variables name; `variable` looks one up, e.g. `|name| std::env::var_os(name)`.
    ///
    /// # Errors
    /// If a file that is named cannot be read or has not what it should.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let file = |name: &str| {
            variable(name)
                .filter(|path| !path.is_empty())
                .map(|path| {
                    let path = PathBuf::from(path);
                    let from = format!("{} (from {name})", path.display());
                    read(&path).map(|content| (from, content))
                })
                .transpose()
        };
        let logs = |name: &str| {
            file(name)?
                .map(|(from, pem)| {
                    pem_blocks(&pem)
                        .map(|block| service::log(&from, block, "", None, TimeRange::ALWAYS))
                        .collect::<Result<Vec<_>, _>>()
                })
                .transpose()
        };
        Ok(Self {
            authorities: file("SIGSTORE_ROOT_FILE")?
                .map(|(from, pem)| authorities(&from, &service::chain(&from, &pem)?))
                .transpose()?,
            tlogs: logs("SIGSTORE_REKOR_PUBLIC_KEY")?,
            ctlogs: logs("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE")?,
            timestamp_authorities: file("SIGSTORE_TSA_CERTIFICATE_FILE")?
                .map(|(from, pem)| tsa(&from, &pem).map(|authority| vec![authority]))
                .transpose()?,
        })
    }

    /// The variables that are set.
    pub fn names(&self) -> Vec<&'static str> {
        [
            (self.authorities.is_some(), "SIGSTORE_ROOT_FILE"),
            (self.tlogs.is_some(), "SIGSTORE_REKOR_PUBLIC_KEY"),
            (self.ctlogs.is_some(), "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE"),
            (
                self.timestamp_authorities.is_some(),
                "SIGSTORE_TSA_CERTIFICATE_FILE",
            ),
        ]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
        .collect()
    }

    /// Whether no variable is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether every part comes from a variable, so that no other trusted root is needed.
    pub fn is_complete(&self) -> bool {
        self.authorities.is_some()
            && self.tlogs.is_some()
            && self.ctlogs.is_some()
            && self.timestamp_authorities.is_some()
    }

    /// Replaces in `root` the parts that variables give.
    pub fn apply(self, root: &mut TrustedRoot) {
        if let Some(authorities) = self.authorities {
            root.certificate_authorities = authorities;
        }
        if let Some(tlogs) = self.tlogs {
            root.tlogs = tlogs;
        }
        if let Some(ctlogs) = self.ctlogs {
            root.ctlogs = ctlogs;
        }
        if let Some(authorities) = self.timestamp_authorities {
            root.timestamp_authorities = authorities;
        }
    }
}

/// Authorities from PEM files: roots and intermediates in any order and any number of files. They count as long as their
/// certificates do.
///
/// # Errors
/// If a file cannot be read or has something else than certificates of authorities.
pub fn authorities_from_files(paths: &[&Path]) -> Result<Vec<CertificateAuthority>, Error> {
    let mut certificates = Vec::new();
    let mut from = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        certificates.extend(service::chain(&name, &read(path)?)?);
        from.push(name);
    }
    authorities(&from.join(", "), &certificates)
}

/// A timestamp authority from a PEM file: its own certificate first, the anchor last.
///
/// # Errors
/// If the file cannot be read or has something else.
pub fn timestamp_authority_from_file(path: &Path) -> Result<CertificateAuthority, Error> {
    tsa(&path.display().to_string(), &read(path)?)
}

fn tsa(from: &str, pem: &[u8]) -> Result<CertificateAuthority, Error> {
    let chain = service::chain(from, pem)?;
    service::timestamp_authority(from, &chain, "", TimeRange::ALWAYS).map(unbounded)
}

/// The pieces of a file with several PEM blocks; the whole if there is no mark, so that the error is about it.
fn pem_blocks(pem: &[u8]) -> impl Iterator<Item = &[u8]> {
    const MARK: &[u8] = b"-----BEGIN ";
    let mut starts: Vec<usize> = pem
        .windows(MARK.len())
        .enumerate()
        .filter(|(_, window)| *window == MARK)
        .map(|(index, _)| index)
        .collect();
    if starts.is_empty() {
        starts.push(0);
    }
    let ends: Vec<usize> = starts[1..].iter().copied().chain([pem.len()]).collect();
    starts
        .into_iter()
        .zip(ends)
        .map(|(start, end)| &pem[start..end])
}

/// A bundle of roots and intermediates in any order: one entry for each, with its issuers in the same file.
fn authorities(
    from: &str,
    certificates: &[Certificate],
) -> Result<Vec<CertificateAuthority>, Error> {
    certificates
        .iter()
        .map(|first| {
            let mut chain = vec![first.clone()];
            while let Some(last) = chain.last().filter(|last| !last.is_self_issued())
                && chain.len() < certificates.len()
            {
                // Of two roots with one name the key tells which it is: the public instance has had two.
                let issuer = |other: &&Certificate| {
                    other.subject() == last.issuer()
                        && match (last.authority_key_id(), other.subject_key_id()) {
                            (Some(wanted), Some(key)) => wanted == key,
                            _ => true,
                        }
                };
                match certificates.iter().find(issuer) {
                    Some(issuer) => chain.push(issuer.clone()),
                    None => break,
                }
            }
            service::certificate_authority(from, &chain, "", TimeRange::ALWAYS).map(unbounded)
        })
        .collect()
}

fn unbounded(mut authority: CertificateAuthority) -> CertificateAuthority {
    authority.valid_for = TimeRange::ALWAYS;
    authority
}
