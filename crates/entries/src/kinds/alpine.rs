//! `alpine` 0.0.1: a package of Alpine Linux, of which the log keeps the hash and the `.PKGINFO`.
//!
//! A package is three gzip members (<https://wiki.alpinelinux.org/wiki/Apk_spec>): a signature of the second, the
//! control archive with the hash of the third, and the data. The signature is RSA over SHA-1: whoever can have a control
//! archive signed may be able to make a second one with that signature. No other kind takes SHA-1.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::bufread::GzDecoder;
use sealmark_formats::{Digest, jcs};
use serde_json::json;

use super::checked_hash;
use super::dsse::hash_json;
use crate::field::Field;
use crate::verifier::Verifier;
use crate::{Error, Proposed, ini, tar};

/// Bytes of one file about the package: the default of Rekor's `max_apk_metadata_size`.
const MAX_METADATA: usize = 1024 * 1024;
/// Bytes of the unpacked control archive, which has the install scripts, too. Rekor has no bound there.
const MAX_CONTROL: usize = 4 * MAX_METADATA;

pub(crate) fn read(spec: &Field<'_>) -> Result<Proposed, Error> {
    let pem = spec.get("publicKey")?.get("content")?;
    let verifier = Verifier::from_pem(&pem.bytes()?).map_err(|reason| pem.refuse(reason))?;
    let (field, bytes, digest) = checked_hash(&spec.get("package")?)?;
    let package = Package::parse(&bytes).map_err(|reason| field.refuse(reason))?;
    let key = &verifier.key;
    if !key.is_rsa_sha1_signature_for_legacy_use_only(package.control, &package.signature) {
        return Err(field.refuse(format_args!(
            "publicKey, which is {}, did not make the signature {}; only RSA with SHA-1 (.SIGN.RSA) is supported",
            key.algorithm_name(),
            crate::zip::shown(&package.signature_name),
        )));
    }
    let leaf = jcs::to_vec(&json!({
        "apiVersion": "0.0.1",
        "kind": "alpine",
        "spec": {
            "package": {"hash": hash_json(&digest), "pkginfo": package.info},
            "publicKey": {"content": verifier.base64()},
        },
    }))
    .map_err(Error::entry)?;
    let mut keys = verifier.keys();
    keys.push(digest.to_string());
    Ok(Proposed::new(leaf, keys))
}

/// A package that is whole, and whose signature is not verified.
struct Package<'a> {
    signature_name: Vec<u8>,
    signature: Vec<u8>,
    /// The control archive as it is signed, packed.
    control: &'a [u8],
    info: BTreeMap<String, String>,
}

impl<'a> Package<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let (signatures, rest) = member("signature.tar.gz", bytes, MAX_METADATA)?;
        let (control, data) = member("control.tar.gz", rest, MAX_CONTROL)?;
        let signature = tar::files(&signatures)
            .map_err(|reason| format!("signature.tar.gz: {reason}"))?
            .into_iter()
            .find(|file| file.name.starts_with(b".SIGN"))
            .ok_or("no signature detected in alpine package")?;
        if signature.content.starts_with(b"-----BEGIN") {
            return Err("not supported: signatures in PEM".to_owned());
        }
        let info = info(&control).map_err(|reason| format!("control.tar.gz: {reason}"))?;
        let computed = Digest::sha256(data);
        let named = info.get("datahash").map(String::as_str).unwrap_or_default();
        if !named.eq_ignore_ascii_case(&computed.hex()) {
            let named: String = named.chars().take(2 * 64).collect();
            return Err(format!(
                "checksum for data.tar.gz ({}) does not match value from .PKGINFO ({named:?})",
                computed.hex()
            ));
        }
        Ok(Self {
            signature_name: signature.name,
            signature: signature.content.to_vec(),
            control: &rest[..rest.len() - data.len()],
            info,
        })
    }
}

/// The gzip member (RFC 1952) at the front, unpacked, and what follows it.
fn member<'a>(name: &str, bytes: &'a [u8], limit: usize) -> Result<(Vec<u8>, &'a [u8]), String> {
    let mut decoder = GzDecoder::new(bytes);
    let mut content = Vec::new();
    (&mut decoder)
        .take(limit as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|error| format!("reading {name}: {error}"))?;
    if content.len() > limit {
        return Err(format!(
            "decompressed size for {name} exceeds max allowed size {limit}"
        ));
    }
    Ok((content, decoder.into_inner()))
}

/// What `.PKGINFO` says.
fn info(control: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let files = tar::files(control)?;
    let mut found = files.iter().filter(|file| file.name == b".PKGINFO");
    let file = found.next().ok_or(".PKGINFO file was not located")?;
    if found.next().is_some() {
        return Err(".PKGINFO is there twice".to_owned());
    }
    if file.content.len() > MAX_METADATA {
        return Err(format!(
            "uncompressed .PKGINFO file size {} exceeds max allowed size {MAX_METADATA}",
            file.content.len()
        ));
    }
    let text = core::str::from_utf8(file.content).map_err(|_| ".PKGINFO is not UTF-8")?;
    ini::parse(text).map_err(|reason| format!(".PKGINFO: {reason}"))
}
