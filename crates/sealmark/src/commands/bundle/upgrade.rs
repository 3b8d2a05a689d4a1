//! `bundle upgrade`: make a bundle of version 0.3 of an older one, or of what cosign 1 and 2 wrote instead.

use std::path::PathBuf;

use sealmark_formats::bundle::{Content, MEDIA_TYPE_V0_3, Material, MessageSignature, Version};
use sealmark_formats::{Bundle, HashAlgorithm};
use sealmark_keys::PublicKey;
use sealmark_verify::evidence::{Content as Found, Detached};
use sealmark_x509::Certificate;

use super::create::digest;
use crate::commands::cosign_output;
use crate::commands::log::session::LogFlags;
use crate::detached;
use crate::error::Error;
use crate::input::Input;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The file that is signed, where a bundle of cosign 1 or 2 has no log entry that tells its digest
    #[arg(long, value_name = "FILE")]
    artifact: Option<String>,
    /// Write to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    log: LogFlags,
}

/// Writes the bundle anew.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let name = arguments.bundle.display().to_string();
    let wrong = |reason: String| Error::Usage(format!("{name}: {reason}"));
    let mut bundle = match detached::bundle(&arguments.bundle)?.content {
        Found::Unreadable(reason) => return Err(wrong(reason)),
        Found::Bundle(bundle) if bundle.version == Version::V0_3 => {
            terminal.note("Bundle is already at v0.3, no upgrade needed.");
            match arguments.out {
                Some(_) => *bundle,
                None => return Ok(()),
            }
        }
        Found::Bundle(bundle) => *bundle,
        content @ (Found::Blob(_) | Found::Envelope(_)) => arguments.of_legacy(&content)?,
        Found::SimpleSigning(_) => return Err(wrong("it is no bundle".to_owned())),
    };
    bundle.media_type = MEDIA_TYPE_V0_3.to_owned();
    bundle.version = Version::V0_3;
    if let Material::CertificateChain(chain) = &mut bundle.material {
        // Whom to believe is the verifier's affair: of the chain, version 0.3 has the first.
        if chain.is_empty() {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
        bundle.material = Material::Certificate(chain.swap_remove(0));
    }
    super::prove(&mut bundle.log_entries, &arguments.log, terminal).await?;
    let json = bundle.to_json();
    // What a reader would refuse is not written.
    Bundle::parse(&json).map_err(|error| wrong(error.to_string()))?;
    super::write(&json, arguments.out.as_deref(), terminal)
}

impl Arguments {
    fn of_legacy(&self, found: &Found) -> Result<Bundle, Error> {
        let wrong = |reason: &dyn core::fmt::Display| {
            Error::Usage(format!("{}: {reason}", self.bundle.display()))
        };
        let (Found::Blob(legacy) | Found::Envelope(legacy)) = found else {
            return Err(wrong(&"it is no bundle"));
        };
        let entries = match &legacy.log_entry {
            Some(promise) => vec![super::entry_of(promise).map_err(|it| wrong(&it))?],
            None => Vec::new(),
        };
        let (material, hash) = self.material(legacy)?;
        let content = match found {
            Found::Envelope(_) => {
                let envelope = cosign_output::envelope(found);
                Content::Dsse(envelope.ok_or_else(|| wrong(&"it has no envelope"))?)
            }
            _ => {
                let input = self.artifact.as_deref().map(Input::open).transpose()?;
                let digest = match (&input, super::logged_digest(&entries)) {
                    (Some(input), _) => digest(input, hash)?,
                    (None, Some(digest)) => digest,
                    (None, None) => {
                        return Err(wrong(
                            &"it does not tell what is signed; name the file with --artifact",
                        ));
                    }
                };
                Content::MessageSignature(MessageSignature {
                    digest: Some(digest),
                    signature: legacy.signature.clone(),
                })
            }
        };
        let mut bundle = Bundle::new(material, content);
        bundle.log_entries = entries;
        Ok(bundle)
    }

    /// Whose signature it says that it is.
    fn material(&self, legacy: &Detached) -> Result<(Material, HashAlgorithm), Error> {
        let wrong = |reason: String| Error::Usage(format!("{}: {reason}", self.bundle.display()));
        let inside = sealmark_formats::legacy::BlobBundle::parse(&detached::payload(&self.bundle)?)
            .map(|it| it.certificate)
            .unwrap_or_default();
        // cosign 2 writes no key beside the signature: there it is the log that tells.
        let logged = legacy
            .log_entry
            .as_ref()
            .and_then(|promise| logged_signer(&promise.payload.body));
        let pem = match inside.is_empty() {
            true => logged.unwrap_or_default(),
            false => inside,
        };
        if let Ok(certificate) = Certificate::from_pem(&pem) {
            let key = certificate
                .public_key()
                .map_err(|it| wrong(it.to_string()))?;
            let hash = key.hash();
            return Ok((Material::Certificate(certificate.der().to_vec()), hash));
        }
        // A key is a claim, and all that is kept of it is its name.
        let key = PublicKey::from_pem(&pem).map_err(|_| {
            wrong(
                "it does not tell whose signature it is; sealmark bundle create takes --key or --certificate"
                    .to_owned(),
            )
        })?;
        let hint = key.id().hint();
        Ok((Material::PublicKey { hint }, key.hash()))
    }
}

/// The key or certificate that a log entry of Rekor v1 says has signed, PEM.
fn logged_signer(body: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let content = [
        "/spec/signature/publicKey/content",
        "/spec/signatures/0/verifier",
    ]
    .into_iter()
    .find_map(|path| body.pointer(path)?.as_str())?;
    base64::engine::general_purpose::STANDARD
        .decode(content)
        .ok()
}
