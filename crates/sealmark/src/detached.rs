//! What is kept beside a signature in files of its own, as cosign 1 and 2 write it: flags, and reading it.
//!
//! Nothing here is believed: a certificate, timestamp or SCT only completes the evidence, and the checks judge all of it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use sealmark_formats::bundle::{MAX_TIMESTAMPS, Material};
use sealmark_formats::dsse;
use sealmark_formats::legacy::{BlobBundle, Rfc3161Timestamp};
use sealmark_verify::evidence::{Content, Detached, Evidence, Layout, Source};
use sealmark_x509::Certificate;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::Error;
use crate::trust_flags::TrustFlags;

/// A bundle, signature or payload file is not larger than this, in bytes: as much as an attachment of an image.
pub(crate) const MAX_BUNDLE: u64 = 192 << 20;
/// A certificate, SCT or timestamp is not larger than this, in bytes; real ones have some kilobytes.
const MAX_PROOF: u64 = 1 << 20;

/// What the DER of a certificate or of a timestamp begins with.
const DER_SEQUENCE: u8 = 0x30;
const PEM_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Files beside a signature.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Files beside a signature")]
pub(crate) struct DetachedFlags {
    /// Certificate of the signer, for a signature that has none: PEM, DER, or base64 of either
    #[arg(long, value_name = "FILE", alias = "cert")]
    certificate: Option<String>,
    /// Promise of a CT log for the certificate: JSON, or as in TLS
    #[arg(long, value_name = "FILE")]
    sct: Option<PathBuf>,
    /// Timestamp of the signature (RFC 3161): cosign's JSON, or DER
    #[arg(long, value_name = "FILE")]
    rfc3161_timestamp: Option<PathBuf>,
}

/// What these files hold.
#[derive(Default)]
pub(crate) struct Beside {
    /// PEM, the signer's certificate first.
    certificate: Option<Vec<u8>>,
    /// DER of the signer's certificate.
    leaf: Option<Vec<u8>>,
    sct: Option<Vec<u8>>,
    timestamp: Option<Vec<u8>>,
}

impl DetachedFlags {
    /// Reads the files. A timestamp that is given must be good.
    pub(crate) fn read(&self, by_key: bool, trust: &mut TrustFlags) -> Result<Beside, Error> {
        if by_key && self.certificate.is_some() {
            return Err(Error::Usage(
                "a key or a certificate? Whoever has the certificate is asked for with \
                 --certificate-identity and --certificate-oidc-issuer, and --key is left out"
                    .to_owned(),
            ));
        }
        let certificate = self.certificate.as_deref().map(certificate).transpose()?;
        let sct = self
            .sct
            .as_deref()
            .map(|path| read_bounded(path, MAX_PROOF, "SCT"));
        let timestamp = self
            .rfc3161_timestamp
            .as_deref()
            .map(timestamp)
            .transpose()?;
        trust.timestamp_given = timestamp.is_some();
        let (certificate, leaf) = certificate.unzip();
        Ok(Beside {
            certificate,
            leaf,
            sct: sct.transpose()?,
            timestamp,
        })
    }
}

impl Beside {
    /// Completes an attachment with what it does not have itself.
    pub(crate) fn complete(&self, evidence: &mut Evidence) {
        match &mut evidence.content {
            Content::SimpleSigning(detached)
            | Content::Envelope(detached)
            | Content::Blob(detached) => {
                if detached.certificate.is_none() {
                    detached.certificate.clone_from(&self.certificate);
                }
                // A promise is for a certificate, whether that was given or came with the signature.
                if detached.certificate.is_some() {
                    detached.sct.clone_from(&self.sct);
                }
                detached.timestamps.extend(self.timestamp.clone());
            }
            Content::Bundle(bundle) => {
                if let (Material::PublicKey { .. }, Some(leaf)) = (&bundle.material, &self.leaf) {
                    bundle.material = Material::Certificate(leaf.clone());
                }
                if bundle.timestamps.len() < MAX_TIMESTAMPS {
                    bundle.timestamps.extend(self.timestamp.clone());
                }
            }
            Content::Unreadable(_) => {}
        }
    }

    /// Whether there is an SCT, which only goes with a signature that is no bundle.
    pub(crate) fn has_sct(&self) -> bool {
        self.sct.is_some()
    }
}

/// Evidence that was read from a file.
pub(crate) fn from_file(location: String, content: Content) -> Evidence {
    let source = Source {
        layout: Layout::File,
        manifest: None,
        location,
    };
    Evidence { source, content }
}

/// A bundle of any kind: a Sigstore bundle, what cosign 1 and 2 wrote instead, or a DSSE envelope.
pub(crate) fn bundle(path: &Path) -> Result<Evidence, Error> {
    let json = read_bounded(path, MAX_BUNDLE, "bundle")?;
    Ok(from_file(path.display().to_string(), content(json)))
}

/// A DSSE envelope in a file of its own, or base64 of it; a bundle will do too.
pub(crate) fn envelope(text: &str) -> Result<Evidence, Error> {
    let (location, bytes) = bytes_or_base64("--signature", text)?;
    Ok(from_file(location, content(bytes)))
}

/// A signature: a file with raw bytes or base64, or base64 itself.
pub(crate) fn signature(text: &str) -> Result<(String, Vec<u8>), Error> {
    bytes_or_base64("--signature", text)
}

/// What a signature is over, in a file of its own.
pub(crate) fn payload(path: &Path) -> Result<Vec<u8>, Error> {
    read_bounded(path, MAX_BUNDLE, "payload")
}

/// By which a file shows what it should be.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields {
    media_type: Option<IgnoredAny>,
    payload_type: Option<IgnoredAny>,
    predicate_type: Option<IgnoredAny>,
    base64_signature: Option<IgnoredAny>,
}

/// What a file holds: a Sigstore bundle, what cosign 1 and 2 wrote instead, or a DSSE envelope.
pub(crate) fn content(bytes: Vec<u8>) -> Content {
    let not_legacy = match BlobBundle::parse(&bytes) {
        Ok(legacy) => return of_legacy(legacy),
        Err(error) => error,
    };
    let fields: Option<Fields> = match bytes.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(&bytes).ok(),
        _ => None,
    };
    let Some(fields) = fields.filter(|fields| fields.media_type.is_none()) else {
        return Content::from_bundle(&bytes);
    };
    if fields.payload_type.is_some() {
        return match dsse::Envelope::parse(&bytes) {
            Ok(_) => Content::Envelope(Detached {
                payload: bytes,
                ..Detached::default()
            }),
            Err(error) => Content::Unreadable(error.to_string()),
        };
    }
    if fields.predicate_type.is_some() {
        return Content::Unreadable(
            "a statement without a signature; the signed envelope is a file of its own (cosign attest-blob \
             --output-signature)"
                .to_owned(),
        );
    }
    Content::Unreadable(match fields.base64_signature {
        Some(_) => not_legacy.to_string(),
        None => "neither a Sigstore bundle, which has a mediaType, nor one of cosign 1 or 2, which has a base64Signature"
            .to_owned(),
    })
}

fn of_legacy(legacy: BlobBundle) -> Content {
    // A legacy bundle may carry a key instead; it is a claim, and --key is what counts.
    let beside = Detached {
        certificate: is_pem(&legacy.certificate).then_some(legacy.certificate),
        log_entry: legacy.rekor_bundle,
        ..Detached::default()
    };
    match dsse::Envelope::parse(&legacy.signature) {
        Ok(_) => Content::Envelope(Detached {
            payload: legacy.signature,
            ..beside
        }),
        Err(_) => Content::Blob(Detached {
            signature: legacy.signature,
            ..beside
        }),
    }
}

fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let compact: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    base64::engine::general_purpose::STANDARD
        .decode(compact)
        .ok()
}

/// What a file holds, base64 decoded, or what base64 on the command line stands for; and its name, for people.
fn bytes_or_base64(flag: &str, text: &str) -> Result<(String, Vec<u8>), Error> {
    let path = Path::new(text);
    if path.exists() {
        let bytes = read_bounded(path, MAX_BUNDLE, "signature")?;
        return Ok((flag.to_owned(), decode(&bytes).unwrap_or(bytes)));
    }
    match decode(text.as_bytes()) {
        Some(bytes) => Ok((flag.to_owned(), bytes)),
        None if text.starts_with("https://") || text.starts_with("http://") => {
            Err(Error::NotSupported(format!(
                "{flag} {text}: a URL; fetch the file first, and give its name"
            )))
        }
        None => Err(Error::Usage(format!(
            "{flag} {text}: no such file, and not base64 either"
        ))),
    }
}

/// The certificate as PEM, and the DER of the first.
pub(crate) fn certificate(text: &str) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let path = Path::new(text);
    let bytes = match path.exists() {
        true => read_bounded(path, MAX_PROOF, "certificate")?,
        false => decode(text.as_bytes())
            .ok_or_else(|| Error::file("read", path, std::io::ErrorKind::NotFound.into()))?,
    };
    // cosign 2 writes base64 of PEM.
    let bytes = match is_pem(&bytes) {
        true => bytes,
        false => decode(&bytes).unwrap_or(bytes),
    };
    let failed = |reason: String| Error::Usage(format!("--certificate {text}: {reason}"));
    let pem = match (is_pem(&bytes), bytes.first()) {
        (true, _) => bytes,
        (false, Some(&DER_SEQUENCE)) => to_pem(&bytes),
        _ => return Err(failed("there is no certificate in it".to_owned())),
    };
    let chain = Certificate::chain_from_pem(&pem).map_err(|error| failed(error.to_string()))?;
    match chain.first() {
        Some(leaf) => Ok((pem, leaf.der().to_vec())),
        None => Err(failed("there is no certificate in it".to_owned())),
    }
}

fn is_pem(bytes: &[u8]) -> bool {
    let marker = PEM_CERTIFICATE.as_bytes();
    bytes.windows(marker.len()).any(|window| window == marker)
}

fn to_pem(der: &[u8]) -> Vec<u8> {
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("{PEM_CERTIFICATE}\n");
    for (index, letter) in base64.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem.into_bytes()
}

/// The response of a timestamp authority, DER.
pub(crate) fn timestamp(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = read_bounded(path, MAX_PROOF, "timestamp")?;
    match bytes.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice::<Rfc3161Timestamp>(&bytes)
            .map(|timestamp| timestamp.response)
            .map_err(|error| {
                Error::Usage(format!(
                    "{}: not a timestamp as cosign writes it: {error}",
                    path.display()
                ))
            }),
        Some(&DER_SEQUENCE) => Ok(bytes),
        _ => Err(Error::Usage(format!(
            "{}: neither JSON with SignedRFC3161Timestamp nor a DER response of a timestamp authority",
            path.display()
        ))),
    }
}

pub(crate) fn read_bounded(path: &Path, max: u64, what: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| {
            // So that a large file is not moved while it is read.
            let length = file.metadata()?.len().min(max);
            bytes.reserve_exact(usize::try_from(length).unwrap_or_default() + 1);
            file.take(max + 1).read_to_end(&mut bytes)
        })
        .map_err(|cause| Error::file("read", path, cause))?;
    if bytes.len() as u64 > max {
        return Err(Error::Usage(format!(
            "{} is larger than {} MiB, which no {what} is",
            path.display(),
            max >> 20
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURE: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/github-workflow.pem"
    );

    #[test]
    fn a_certificate_is_read_in_every_form() {
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let pem = std::fs::read(FIXTURE).unwrap();
        let (read, der) = certificate(FIXTURE).unwrap();
        assert_eq!(read, pem);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("certificate");
        for form in [
            der.clone(),
            encode(&der).into_bytes(),
            encode(&pem).into_bytes(),
            to_pem(&der),
        ] {
            std::fs::write(&path, &form).unwrap();
            assert_eq!(certificate(path.to_str().unwrap()).unwrap().1, der);
        }
        assert_eq!(certificate(&encode(&pem)).unwrap().1, der);
        for wrong in ["", "no certificate", "-----BEGIN PUBLIC KEY-----", "MAA="] {
            std::fs::write(&path, wrong).unwrap();
            assert!(certificate(path.to_str().unwrap()).is_err(), "{wrong}");
        }
        assert!(certificate("no-such-file").is_err());
    }

    #[test]
    fn files_are_recognised_by_what_is_in_them() {
        let envelope =
            r#"{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}"#;
        let legacy = |signature: &str| {
            let text = base64::engine::general_purpose::STANDARD.encode(signature);
            content(format!(r#"{{"base64Signature":"{text}"}}"#).into_bytes())
        };
        assert!(matches!(legacy("MEUC"), Content::Blob(_)));
        assert!(matches!(legacy(envelope), Content::Envelope(_)));
        assert!(matches!(
            content(envelope.as_bytes().to_vec()),
            Content::Envelope(_)
        ));
        for unreadable in ["", "{}", "null", "[]", r#"{"predicateType":""}"#] {
            let content = content(unreadable.as_bytes().to_vec());
            assert!(matches!(content, Content::Unreadable(_)), "{unreadable}");
        }
    }
}
