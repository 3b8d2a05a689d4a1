//! Flags of the commands that sign about the transparency log, and what this version does about them.
//!
//! cosign sends every signature to the public log unless it is told not to. Here a key signs and verifies with
//! nothing but the registry, and a log comes into play when one is configured.

use std::path::PathBuf;

use crate::error::Error;
use crate::terminal::Terminal;

/// A trusted root or signing configuration is not larger than this, in bytes; the public instance's has 10 KiB.
const MAX_CONFIGURATION: u64 = 4 << 20;

/// Flags of the commands that sign.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Transparency log options")]
pub(crate) struct SigningLogFlags {
    /// Signing configuration that names a log and timestamp authorities
    #[arg(long, value_name = "FILE")]
    signing_config: Option<PathBuf>,
    /// Transparency log to send the signature to
    #[arg(long, value_name = "URL")]
    rekor_url: Option<String>,
    /// =false: do not send the signature to a log
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tlog_upload: Option<bool>,
    /// =false: do not look for a signing configuration
    #[arg(long, value_name = "BOOL", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    use_signing_config: Option<bool>,
}

impl SigningLogFlags {
    /// Says in one line that no log is used, unless the user said that none is to be.
    pub(crate) fn note(&self, terminal: &Terminal) {
        if self.tlog_upload != Some(false) {
            terminal.note("transparency log: not used, no signing configuration names one");
        }
    }

    /// Refuses a log that was asked for.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.tlog_upload == Some(false) {
            return Ok(());
        }
        let unsupported = |what: String| {
            Error::NotSupported(format!(
                "{what}: this version cannot send signatures to a log or a timestamp authority. \
                 With --tlog-upload=false it signs without"
            ))
        };
        if let Some(url) = &self.rekor_url {
            return Err(unsupported(format!("--rekor-url {url}")));
        }
        if let Some(path) = &self.signing_config {
            let services = services(path)?;
            if let Some(first) = services.first() {
                return Err(unsupported(format!(
                    "--signing-config {} ({first})",
                    path.display()
                )));
            }
        } else if self.tlog_upload == Some(true) {
            return Err(unsupported("--tlog-upload".to_owned()));
        }
        Ok(())
    }
}

/// The logs and timestamp authorities that a signing configuration names.
fn services(path: &std::path::Path) -> Result<Vec<String>, Error> {
    let json = configuration(path)?;
    Ok(["rekorTlogUrls", "tsaUrls"]
        .iter()
        .flat_map(|field| json[field].as_array().into_iter().flatten())
        .filter_map(|service| service["url"].as_str().map(str::to_owned))
        .collect())
}

fn configuration(path: &std::path::Path) -> Result<serde_json::Value, Error> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_CONFIGURATION).read_to_end(&mut bytes))
        .map_err(|cause| Error::file("read", path, cause))?;
    let json: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|error| Error::Usage(format!("{} is not JSON: {error}", path.display())))?;
    if !json["mediaType"].is_string() {
        return Err(Error::Usage(format!(
            "{} is neither a trusted root nor a signing configuration: it has no mediaType",
            path.display()
        )));
    }
    Ok(json)
}
