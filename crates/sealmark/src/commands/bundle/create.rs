//! `bundle create`: make a bundle of a signature, whose it is, and what logs and timestamp authorities said of it.

use std::path::PathBuf;

use sealmark_formats::bundle::{Content, Material, MessageSignature};
use sealmark_formats::{Bundle, Digest, HashAlgorithm};
use sealmark_keys::PublicKey;
use sealmark_kms::KeyRef;
use sealmark_sign::blob::FileBytes;
use sealmark_verify::evidence::Content as Found;
use sealmark_verify::report::Verdict;
use sealmark_verify::{
    Demand, Evidence, Kind, Policy, Requirement, Revocations, Signer, TrustedMaterial,
};
use sealmark_x509::Certificate;

use crate::commands::attach::rekor_bundle;
use crate::commands::log::session::LogFlags;
use crate::commands::{cosign_output, verify_file};
use crate::detached;
use crate::error::{Error, VerificationExit};
use crate::input::Input;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The file that is signed; sha256:… is a file elsewhere
    #[arg(long, value_name = "FILE")]
    artifact: Option<String>,
    /// The signature over it: a file with raw bytes or base64, or base64
    #[arg(long, value_name = "FILE|BASE64", conflicts_with_all = ["bundle", "attestation"])]
    signature: Option<String>,
    /// What cosign 1 and 2 wrote with sign-blob --bundle
    #[arg(long, value_name = "FILE", conflicts_with = "attestation")]
    bundle: Option<PathBuf>,
    /// An attestation of the file, as a DSSE envelope
    #[arg(long, value_name = "FILE")]
    attestation: Option<PathBuf>,
    /// Public key of the signer: a file, env://VARIABLE, https://…, or a key in a provider
    #[arg(long, value_name = "KEY", conflicts_with = "certificate")]
    key: Option<String>,
    /// Certificate of the signer: PEM, DER, or base64 of either
    #[arg(long, value_name = "FILE", alias = "cert")]
    certificate: Option<String>,
    /// Answer of the log: what a Rekor answered, or what cosign keeps of it
    #[arg(long, value_name = "FILE")]
    rekor_response: Option<PathBuf>,
    /// Timestamp of the signature (RFC 3161): cosign's JSON, or DER
    #[arg(long, value_name = "FILE")]
    rfc3161_timestamp: Option<PathBuf>,
    /// Make a bundle without a log entry
    #[arg(long)]
    ignore_tlog: bool,
    /// Write to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    log: LogFlags,
}

/// Makes the bundle, checks the signature in it, and writes it.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let found = arguments.found()?;
    let input = arguments.artifact.as_deref().map(Input::open).transpose()?;
    let (material, key) = arguments.signer(&found, terminal).await?;
    let content = content(&found, input.as_ref(), &key)?;
    let mut bundle = Bundle::new(material, content);
    if let Some(path) = &arguments.rfc3161_timestamp {
        bundle.timestamps.push(detached::timestamp(path)?);
    }
    check(&bundle, &key, input.as_ref())?;
    if !arguments.ignore_tlog {
        let promise = match (&arguments.rekor_response, &found) {
            (Some(path), _) => Some(
                rekor_bundle(&detached::payload(path)?)
                    .map_err(|reason| Error::Usage(format!("{}: {reason}", path.display())))?,
            ),
            (None, Found::Blob(legacy) | Found::Envelope(legacy)) => legacy.log_entry.clone(),
            _ => None,
        };
        let promise = promise.ok_or_else(|| {
            Error::Usage(
                "which entry of the log is it? It is in a --bundle of cosign 1 and 2 or in a --rekor-response; \
                 --ignore-tlog makes a bundle without one"
                    .to_owned(),
            )
        })?;
        bundle.log_entries = vec![super::entry_of(&promise).map_err(Error::Usage)?];
        super::prove(&mut bundle.log_entries, &arguments.log, terminal).await?;
    }
    super::write(&bundle.to_json(), arguments.out.as_deref(), terminal)
}

impl Arguments {
    /// The signature, as it is given.
    fn found(&self) -> Result<Found, Error> {
        let path = self.bundle.as_ref().or(self.attestation.as_ref());
        let found = match (path, &self.signature) {
            (Some(path), _) => {
                let found = detached::bundle(path)?.content;
                match &found {
                    Found::Unreadable(reason) => {
                        return Err(Error::Usage(format!("{}: {reason}", path.display())));
                    }
                    Found::Bundle(_) => {
                        return Err(Error::Usage(format!(
                            "{} is a Sigstore bundle already; sealmark bundle upgrade brings old ones up to date",
                            path.display()
                        )));
                    }
                    _ => found,
                }
            }
            (None, Some(text)) => {
                let (_, signature) = detached::signature(text)?;
                Found::Blob(sealmark_verify::evidence::Detached {
                    signature,
                    ..Default::default()
                })
            }
            (None, None) => {
                return Err(Error::Usage(
                    "give the signature with --signature, --bundle or --attestation".to_owned(),
                ));
            }
        };
        match (&found, &self.artifact) {
            (Found::Blob(_), None) => Err(Error::Usage(
                "which file is it a signature of? Name it with --artifact".to_owned(),
            )),
            _ => Ok(found),
        }
    }

    async fn signer(
        &self,
        found: &Found,
        terminal: &Terminal,
    ) -> Result<(Material, PublicKey), Error> {
        let inside = match found {
            Found::Blob(legacy) | Found::Envelope(legacy) => legacy.certificate.as_deref(),
            _ => None,
        };
        let der = match (&self.certificate, inside) {
            (Some(text), _) => Some(detached::certificate(text)?.1),
            (None, Some(pem)) if self.key.is_none() => {
                let certificate = Certificate::from_pem(pem)
                    .map_err(|error| Error::Usage(format!("--bundle: {error}")))?;
                Some(certificate.der().to_vec())
            }
            _ => None,
        };
        if let Some(der) = der {
            let failed =
                |error: sealmark_x509::Error| Error::Usage(format!("certificate: {error}"));
            let certificate = Certificate::from_der(&der).map_err(failed)?;
            let key = certificate.public_key().map_err(failed)?.clone();
            return Ok((Material::Certificate(der), key));
        }
        let name = self.key.as_deref().ok_or_else(|| {
            Error::Usage("whose signature is it? Give --key or --certificate".to_owned())
        })?;
        let options = crate::service_flags::key_options(terminal);
        let (key, _) = sealmark_kms::load_verifier(&KeyRef::parse(name)?, &options).await?;
        let hint = key.id().hint();
        Ok((Material::PublicKey { hint }, key))
    }
}

fn content(found: &Found, input: Option<&Input>, key: &PublicKey) -> Result<Content, Error> {
    match (found, input) {
        (Found::Blob(legacy), Some(input)) => Ok(Content::MessageSignature(MessageSignature {
            digest: Some(digest(input, key.hash())?),
            signature: legacy.signature.clone(),
        })),
        (found, _) => {
            let mut envelope = cosign_output::envelope(found)
                .ok_or_else(|| Error::Usage("neither a signature nor an envelope".to_owned()))?;
            if envelope.signatures.len() != 1 {
                return Err(Error::Usage(format!(
                    "the envelope has {} signatures, and a bundle has one",
                    envelope.signatures.len()
                )));
            }
            for signature in &mut envelope.signatures {
                signature.keyid = signature.keyid.take().filter(|id| !id.is_empty());
            }
            Ok(Content::Dsse(envelope))
        }
    }
}

pub(super) fn digest(input: &Input, algorithm: HashAlgorithm) -> Result<Digest, Error> {
    let path = match input {
        Input::Digest(digest) => return Ok(digest.clone()),
        Input::File(path) => path,
        Input::Standard(file) => file.path(),
    };
    let digests = FileBytes(path)
        .digests(&[algorithm])
        .map_err(Error::Usage)?;
    let found = digests.into_iter().find(|it| it.algorithm() == algorithm);
    found.ok_or_else(|| Error::Usage(format!("no {algorithm} digest was made")))
}

/// Whether this key has made the signature. Who the key belongs to is for a verifier to ask.
fn check(bundle: &Bundle, key: &PublicKey, input: Option<&Input>) -> Result<(), Error> {
    let mut checked = bundle.clone();
    checked.material = Material::PublicKey {
        hint: key.id().hint(),
    };
    let kind = match checked.content {
        Content::MessageSignature(_) => Kind::BlobSignature,
        Content::Dsse(_) => Kind::Attestation(Default::default()),
    };
    let not_checked = Requirement::not_checked("a bundle is made, and nobody is trusted");
    let policy = Policy::from(Demand {
        check_claims: input.is_some(),
        log: not_checked.clone(),
        timestamp: not_checked.clone(),
        sct: not_checked,
        ..Demand::new(kind, vec![Signer::Key(key.clone())])
    });
    let evidence: Vec<Evidence> = vec![detached::from_file(
        "the signature".to_owned(),
        Found::Bundle(Box::new(checked)),
    )];
    let nothing = Input::Digest(Digest::sha256(b""));
    let trust = TrustedMaterial::default();
    let report = verify_file::verify(
        input.unwrap_or(&nothing),
        &evidence,
        &trust,
        &Revocations::default(),
        &policy,
    )?;
    match report.verdict {
        Verdict::Verified => Ok(()),
        _ => Err(Error::Verification {
            exit: VerificationExit::NoMatch,
            message: crate::report::no_match("no bundle was made", &report),
        }),
    }
}
