//! The client that the public suite sigstore-conformance drives.
//!
//! Its command line is the suite's contract, with options always in this order:
//!
//! ```text
//! sealmark-conformance verify-bundle [--staging] --bundle FILE
//!     (--certificate-identity ID --certificate-oidc-issuer URL | --key FILE)
//!     [--trusted-root FILE] FILE_OR_DIGEST
//! ```
//!
//! Exit code 0 is verified, everything else is refused. `sign-bundle` is not supported: keyless signing is not there
//! yet.

use std::path::Path;
use std::process::ExitCode;

use sealmark_formats::{Bundle, Digest};
use sealmark_keys::PublicKey;
use sealmark_sign::blob::FileBytes;
use sealmark_trust::TrustedMaterial;
use sealmark_verify::artifact::{Artifact, Bytes, needed_hashes};
use sealmark_verify::evidence::{Content, Evidence, Layout, Source};
use sealmark_verify::policy::{Demand, Identity, Kind, Match, Policy, Requirement, Signer};
use sealmark_verify::report::{Outcome, Verdict};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    match arguments.split_first() {
        Some((command, rest)) if command == "verify-bundle" => Request::parse(rest)?.verify(),
        Some((command, _)) if command == "sign-bundle" => {
            Err("sign-bundle is not supported: keyless signing is not there yet".to_owned())
        }
        _ => Err("usage: sealmark-conformance verify-bundle …".to_owned()),
    }
}

#[derive(Default)]
struct Request {
    bundle: String,
    identity: Option<String>,
    issuer: Option<String>,
    key: Option<String>,
    trusted_root: Option<String>,
    artifact: String,
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut request = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || {
                rest.next()
                    .cloned()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--staging" => {
                    return Err("--staging: that instance's root is not embedded".to_owned());
                }
                "--bundle" => request.bundle = value()?,
                "--certificate-identity" => request.identity = Some(value()?),
                "--certificate-oidc-issuer" => request.issuer = Some(value()?),
                "--key" => request.key = Some(value()?),
                "--trusted-root" => request.trusted_root = Some(value()?),
                option if option.starts_with("--") => return Err(format!("unknown: {option}")),
                artifact => request.artifact = artifact.to_owned(),
            }
        }
        Ok(request)
    }

    fn signer(&self) -> Result<Signer, String> {
        match (&self.key, &self.identity, &self.issuer) {
            (Some(key), None, None) => {
                let pem = read(key)?;
                PublicKey::from_pem(&pem)
                    .map(Signer::Key)
                    .map_err(|error| error.to_string())
            }
            (None, Some(identity), Some(issuer)) => Ok(Signer::Identity(Identity {
                issuer: Match::Exact(issuer.clone()),
                subject: Match::Exact(identity.clone()),
                extensions: Vec::new(),
            })),
            _ => Err(
                "give --key, or --certificate-identity and --certificate-oidc-issuer".to_owned(),
            ),
        }
    }

    fn verify(&self) -> Result<(), String> {
        let bundle = Bundle::parse(&read(&self.bundle)?).map_err(|error| error.to_string())?;
        let material = match &self.trusted_root {
            Some(path) => {
                TrustedMaterial::from_file(Path::new(path)).map_err(|error| error.to_string())?
            }
            None => TrustedMaterial::embedded_public_good(),
        };
        let trust = sealmark_verify::TrustedMaterial::new(&material.trusted_root);
        let policy = Policy::from(Demand {
            // A private instance may do without a CT log.
            sct: match material.trusted_root.ctlogs.is_empty() {
                true => Requirement::not_checked("no CT log is trusted"),
                false => Requirement::AtLeast(1),
            },
            ..Demand::new(Kind::BlobSignatureOrStatement, vec![self.signer()?])
        });
        let source = Source {
            layout: Layout::File,
            manifest: None,
            location: self.bundle.clone(),
        };
        let evidence = [Evidence {
            source,
            content: Content::Bundle(Box::new(bundle)),
        }];
        let bytes = FileBytes(Path::new(&self.artifact));
        let artifact = artifact(&self.artifact, &bytes, &evidence, &policy)?;
        let now = jiff::Timestamp::now().as_second();
        let report = sealmark_verify::verify(&artifact, &evidence, &trust, &policy, now);
        if report.verdict == Verdict::Verified {
            return Ok(());
        }
        let failure = report
            .attachments()
            .find_map(|attachment| attachment.failure());
        Err(match failure {
            Some(check) => match &check.outcome {
                Outcome::Failed {
                    expected, found, ..
                } => {
                    format!("{}: expected {expected}, found {found}", check.name.title())
                }
                _ => check.name.title().to_owned(),
            },
            None => "not verified".to_owned(),
        })
    }
}

/// A digest, if it has that form and there is no such file; else a file.
fn artifact<'a>(
    name: &str,
    bytes: &'a FileBytes<'a>,
    evidence: &[Evidence],
    policy: &Policy,
) -> Result<Artifact<'a>, String> {
    if let (false, Ok(digest)) = (Path::new(name).exists(), name.parse::<Digest>()) {
        return Ok(Artifact::by_digest(digest));
    }
    let mut digests = bytes.digests(&needed_hashes(evidence, policy))?;
    let digest = digests.remove(0);
    Ok(Artifact {
        digest,
        more_digests: digests,
        bytes: Some(bytes as &dyn Bytes),
    })
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))
}
