//! What `log monitor` looks for: flags, and a file of rekor-monitor's form.

use std::path::{Path, PathBuf};

use sealmark_formats::Digest;
use sealmark_keys::{MAX_KEY_FILE, PublicKey};
use sealmark_rekor::monitor::{Condition, Config, MAX_CONFIG, fingerprint, object_identifier};
use sealmark_verify::policy::Match;
use sealmark_x509::Certificate;

use super::super::files;
use crate::error::Error;
use crate::terminal::Terminal;

/// The heading of these flags; no variables of the environment stand for them (see `app`), so that a forgotten one makes
/// nobody look for the wrong thing.
pub(crate) const HEADING: &str = "What to look for";

/// What to look for. An entry is reported if one of these fits.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = HEADING)]
pub(crate) struct WantedFlags {
    /// A certificate for this mail address, URI, host or user
    #[arg(long, value_name = "NAME")]
    identity: Vec<String>,
    /// A certificate for a name in which this pattern is found
    #[arg(long, value_name = "PATTERN")]
    identity_regexp: Vec<String>,
    /// With --identity…: of this identity provider; alone: every certificate that it has vouched for
    #[arg(long, value_name = "URL")]
    issuer: Vec<String>,
    /// As --issuer, by a pattern
    #[arg(long, value_name = "PATTERN")]
    issuer_regexp: Vec<String>,
    // Not a doc comment: rustdoc wants links where help wants text.
    #[arg(
        long,
        value_name = "OID=TEXT",
        help = "A certificate with this text in an extension, like 1.3.6.1.4.1.57264.1.12=https://github.com/acme/app"
    )]
    certificate_oid: Vec<String>,
    /// A key or certificate: a file (PEM), or its fingerprint in hex
    #[arg(long, value_name = "FILE|FINGERPRINT")]
    key: Vec<String>,
    /// The digest of what was signed, like sha256:…: of a file, a payload or an envelope
    #[arg(long, value_name = "DIGEST")]
    digest: Vec<Digest>,
    /// A name in a certificate or in an OpenPGP key
    #[arg(long, value_name = "NAME")]
    subject: Vec<String>,
    /// As --subject, by a pattern
    #[arg(long, value_name = "PATTERN")]
    subject_regexp: Vec<String>,
    /// File with all this, in the form of rekor-monitor's (YAML)
    #[arg(long, value_name = "FILE", visible_alias = "config-file")]
    config: Option<PathBuf>,
}

/// What was asked for.
pub(super) struct Wanted {
    pub(super) conditions: Vec<Condition>,
    /// The first index, if the file says one.
    pub(super) start: Option<u64>,
    /// The last index, if the file says one.
    pub(super) end: Option<u64>,
}

impl WantedFlags {
    /// Reads the files that are named.
    pub(super) fn read(&self, terminal: &Terminal) -> Result<Wanted, Error> {
        let mut wanted = Wanted {
            conditions: Vec::new(),
            start: None,
            end: None,
        };
        if let Some(path) = &self.config {
            let config = config(path)?;
            for unused in &config.unused {
                terminal.warn(format!("{}: not used: {unused}", path.display()));
            }
            if let Some(file) = &config.log_info_file {
                terminal.detail(format!(
                    "{}: logInfoFile ({}) is not used; --state names the file with the last checkpoint",
                    path.display(),
                    file.display()
                ));
            }
            (wanted.start, wanted.end) = (config.start, config.end);
            wanted.conditions = config.conditions;
        }
        let conditions = &mut wanted.conditions;
        let mut issuers = exact("--issuer", &self.issuer)?;
        issuers.extend(patterns("--issuer-regexp", &self.issuer_regexp)?);
        let mut subjects = exact("--identity", &self.identity)?;
        subjects.extend(patterns("--identity-regexp", &self.identity_regexp)?);
        if subjects.is_empty() && !issuers.is_empty() {
            conditions.push(Condition::Certificate {
                subject: None,
                issuers: issuers.clone(),
            });
        }
        conditions.extend(subjects.into_iter().map(|subject| Condition::Certificate {
            subject: Some(subject),
            issuers: issuers.clone(),
        }));
        for text in &self.certificate_oid {
            conditions.push(extension(text)?);
        }
        for text in &self.key {
            conditions.push(key(text)?);
        }
        conditions.extend(self.digest.iter().cloned().map(Condition::Digest));
        let names = exact("--subject", &self.subject)?;
        let patterns = patterns("--subject-regexp", &self.subject_regexp)?;
        conditions.extend(names.into_iter().chain(patterns).map(Condition::Subject));
        Ok(wanted)
    }
}

fn config(path: &Path) -> Result<Config, Error> {
    let bytes = files::read(path, MAX_CONFIG as u64)?;
    let wrong = |reason: String| Error::Usage(format!("{}: {reason}", path.display()));
    let yaml = String::from_utf8(bytes).map_err(|_| wrong("it is not text".to_owned()))?;
    Config::parse(&yaml).map_err(wrong)
}

fn exact(flag: &str, texts: &[String]) -> Result<Vec<Match>, Error> {
    if texts.iter().any(String::is_empty) {
        return Err(Error::Usage(format!("{flag} is empty")));
    }
    Ok(texts.iter().cloned().map(Match::Exact).collect())
}

fn patterns(flag: &str, texts: &[String]) -> Result<Vec<Match>, Error> {
    let pattern = |text: &String| {
        Match::pattern(text).map_err(|cause| Error::Usage(format!("{flag} {text:?}: {cause}")))
    };
    texts.iter().map(pattern).collect()
}

fn extension(text: &str) -> Result<Condition, Error> {
    let wrong = |reason: String| Error::Usage(format!("--certificate-oid {text:?}: {reason}"));
    let (oid, value) = text
        .split_once('=')
        .filter(|(_, value)| !value.is_empty())
        .ok_or_else(|| wrong("write OID=TEXT".to_owned()))?;
    Ok(Condition::Extension {
        oid: object_identifier(oid).map_err(wrong)?,
        values: vec![value.to_owned()],
    })
}

/// A file if there is one of this name, else a fingerprint.
fn key(text: &str) -> Result<Condition, Error> {
    let path = Path::new(text);
    if !path.exists() {
        let fingerprint = fingerprint(text)
            .map_err(|cause| Error::Usage(format!("--key: there is no such file, and {cause}")))?;
        return Ok(Condition::Key {
            fingerprint,
            spki: None,
        });
    }
    let pem = files::read(path, MAX_KEY_FILE as u64)?;
    let spki = match Certificate::from_pem(&pem) {
        Ok(certificate) => certificate.spki_der().to_vec(),
        Err(_) => PublicKey::from_pem(&pem)?.spki_der().to_vec(),
    };
    Ok(Condition::Key {
        fingerprint: Digest::sha256(&spki).hex(),
        spki: Some(spki),
    })
}
