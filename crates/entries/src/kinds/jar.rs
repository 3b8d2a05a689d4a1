//! `jar` 0.0.1: a JAR file with its signature, of which the log keeps the hash and the signature.
//!
//! The chain of what is checked: the signature block signs the signature file, that has the digest of the manifest or of
//! its sections, these have those of the files. Files that the manifest does not list are not signed, and taken, as Java
//! and Rekor take them. Rekor takes the first signature block that it finds for the one that was checked, so that an
//! archive with a second, loose one is logged with a signature of somebody else: here there may be one only, and its
//! first certificate, which is logged, must be the signer's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{Digest, jcs};
use sealmark_x509::DetachedSignature;
use serde_json::json;

use super::checked_hash;
use super::dsse::hash_json;
use crate::field::Field;
use crate::manifest::{Digests, Manifest};
use crate::verifier::Verifier;
use crate::zip::{Archive, Entry, shown};
use crate::{Error, Proposed};

/// Bytes of one file about the archive: the default of Rekor's `max_jar_metadata_size`.
const MAX_METADATA: u32 = 1024 * 1024;

pub(crate) fn read(spec: &Field<'_>) -> Result<Proposed, Error> {
    let (field, bytes, digest) = checked_hash(&spec.get("archive")?)?;
    let signature = verify(&bytes).map_err(|reason| field.refuse(reason))?;
    let [certificate, ..] = signature.certificates() else {
        return Err(field.refuse("the signature has no certificate"));
    };
    let verifier = Verifier::of_certificate(certificate, certificate.to_pem())
        .map_err(|reason| field.refuse(reason))?;
    let pem = signature.to_pem();
    let leaf = jcs::to_vec(&json!({
        "apiVersion": "0.0.1",
        "kind": "jar",
        "spec": {
            "archive": {"hash": hash_json(&digest)},
            "signature": {
                "content": STANDARD.encode(&pem),
                "publicKey": {"content": verifier.base64()},
            },
        },
    }))
    .map_err(Error::entry)?;
    let mut keys = verifier.keys();
    // Rekor finds it by the signature where other kinds have the key.
    keys.extend([Digest::sha256(pem.as_bytes()).hex(), digest.to_string()]);
    Ok(Proposed::new(leaf, keys))
}

/// The signature of an archive that is signed.
fn verify(bytes: &[u8]) -> Result<DetachedSignature, String> {
    let mut archive = Archive::open(bytes)?;
    let about = About::find(&archive)?;
    let manifest = archive.content(&about.manifest)?;
    let signature_file = archive.content(&about.signature_file)?;
    let block = archive.content(&about.block)?;

    let signature = DetachedSignature::parse(&block).map_err(|error| error.to_string())?;
    let signer = signature
        .verify(&signature_file)
        .map_err(|error| error.to_string())?;
    if signature.certificates().first() != Some(signer) {
        return Err(
            "not supported: signatures whose first certificate is not the signer's".to_owned(),
        );
    }
    let in_manifest = |reason| format!("META-INF/MANIFEST.MF: {reason}");
    let parsed = Manifest::parse(&manifest).map_err(in_manifest)?;
    check_manifest(&signature_file, &manifest, &parsed)
        .map_err(|reason| format!("manifest signature: {reason}"))?;
    check_files(&mut archive, &parsed)?;
    Ok(signature)
}

/// The files that say something about the others.
struct About<'a> {
    manifest: Entry<'a>,
    signature_file: Entry<'a>,
    block: Entry<'a>,
}

impl<'a> About<'a> {
    fn find(archive: &Archive<'a>) -> Result<Self, String> {
        let (mut manifest, mut signature_file, mut block) = (None, None, None);
        for entry in &archive.entries {
            let name = entry.name.to_ascii_uppercase();
            let Some(name) = name.strip_prefix(b"META-INF/") else {
                continue;
            };
            let dot = name.iter().rposition(|byte| *byte == b'.');
            let (Some(dot), false) = (dot, name.contains(&b'/')) else {
                continue;
            };
            if entry.size > MAX_METADATA {
                return Err(format!(
                    "uncompressed jar metadata of size {} exceeds max allowed size {MAX_METADATA}",
                    entry.size
                ));
            }
            let (base, extension) = name.split_at(dot);
            let (found, twice) = match extension {
                _ if name == b"MANIFEST.MF" => (&mut manifest, "the JAR has several manifests"),
                b".SF" => (
                    &mut signature_file,
                    "multiple signatures detected in JAR; unable to process",
                ),
                b".RSA" | b".DSA" | b".EC" => (&mut block, SEVERAL_BLOCKS),
                _ if name.starts_with(b"SIG-") => (&mut block, SEVERAL_BLOCKS),
                _ => continue,
            };
            if found.replace((base.to_vec(), *entry)).is_some() {
                return Err(twice.to_owned());
            }
        }
        let (_, manifest) = manifest.ok_or("JAR contains no META-INF/MANIFEST.MF")?;
        let (of, signature_file) = signature_file.ok_or("JAR contains no signatures")?;
        match block {
            Some((base, block)) if base == of => Ok(Self {
                manifest,
                signature_file,
                block,
            }),
            _ => Err(format!(
                "JAR contains sigfile META-INF/{}.SF with no matching signature",
                String::from_utf8_lossy(&of)
                    .chars()
                    .take(100)
                    .collect::<String>()
            )),
        }
    }
}

const SEVERAL_BLOCKS: &str = "the JAR has several signature blocks, and only one that belongs to a signature file may be there";

/// Whether the signature file speaks of this manifest: of all of it, or of its sections.
fn check_manifest(
    signature_file: &[u8],
    manifest: &[u8],
    parsed: &Manifest<'_>,
) -> Result<(), String> {
    let signed = Manifest::parse(signature_file)?;
    if let Some(digests) = Digests::find(&signed.main, "-manifest")? {
        return digests.check(manifest);
    }
    Digests::find(&signed.main, "-manifest-main-attributes")?
        .ok_or("no recognized digests found")?
        .check(parsed.main_bytes)?;
    for (name, (attributes, _)) in &signed.sections {
        let of = |reason| format!("section {}: {reason}", shown(name));
        let (_, section) = parsed
            .sections
            .get(name)
            .ok_or_else(|| of("manifest is missing signed section".to_owned()))?;
        let digests = Digests::find(attributes, "").map_err(of)?;
        let digests = digests.ok_or_else(|| of("no recognized digests found".to_owned()))?;
        digests.check(section).map_err(of)?;
    }
    Ok(())
}

/// Whether the files are those of the manifest.
fn check_files(archive: &mut Archive<'_>, manifest: &Manifest<'_>) -> Result<(), String> {
    let entries: std::collections::BTreeMap<_, _> = archive
        .entries
        .iter()
        .map(|entry| (entry.name, *entry))
        .collect();
    for (name, (attributes, _)) in &manifest.sections {
        // Magic: digests of such files are computed in a way that only who wrote them knows.
        if attributes.get("magic").is_some() {
            continue;
        }
        let of = |reason| format!("file {} in MANIFEST.MF: {reason}", shown(name));
        let entry = entries
            .get(name.as_slice())
            .ok_or_else(|| of("it is in manifest but not JAR".to_owned()))?;
        let digests = Digests::find(attributes, "").map_err(of)?;
        let mut digests = digests.ok_or_else(|| of("no recognized digests found".to_owned()))?;
        archive.unpack(entry, |piece| digests.update(piece))?;
        digests.finish().map_err(of)?;
    }
    Ok(())
}
