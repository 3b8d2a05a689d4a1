//! Kinds whose signatures are in a format of their own: inside of a package, a message or a document. They are read so
//! that an answer can be true about what an entry is; none of them is about a signature that a bundle could hold.

use super::Read;
use crate::digest::Digest;
use crate::log_entry::field::Field;
use crate::log_entry::{EntryClaims, EntrySignature, KeyFormat, Verifier};

/// Rekor refuses larger timestamp responses, in bytes.
const MAX_TIMESTAMP_RESPONSE: usize = 10 << 10;

/// `pkg/types/cose/v0.0.1/cose_v0_0_1_schema.json`
pub(super) fn cose_v1(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let data = spec.get("data")?;
    claims.payload_digest = Some(data.get("payloadHash")?.hex_digest()?);
    claims.envelope_digest = Some(data.get("envelopeHash")?.hex_digest()?);
    let verifier = Verifier::from_pem_field(&spec.get("publicKey")?)?;
    claims.signatures.push(by(verifier, None));
    Ok(())
}

/// `pkg/types/rfc3161/v0.0.1/rfc3161_v0_0_1_schema.json`
pub(super) fn rfc3161_v1(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let content = spec.get("tsr")?.get("content")?;
    let response = content.bytes()?;
    if response.len() > MAX_TIMESTAMP_RESPONSE {
        let size = response.len();
        return Err(content.error(format_args!(
            "has {size} bytes, at most {MAX_TIMESTAMP_RESPONSE} are allowed"
        )));
    }
    claims.subject_digest = Some(Digest::sha256(&response));
    Ok(())
}

/// `pkg/types/jar/v0.0.1/jar_v0_0_1_schema.json`
pub(super) fn jar_v1(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let signature = spec.get("signature")?;
    let certificate = signature.get("publicKey")?.get("content")?;
    claims.subject_digest = Some(spec.get("archive")?.get("hash")?.hex_digest()?);
    claims.signatures.push(by(
        Verifier::from_pem_field(&certificate)?,
        Some(signature.get("content")?.bytes()?),
    ));
    Ok(())
}

/// `pkg/types/rpm/v0.0.1/rpm_v0_0_1_schema.json`
pub(super) fn rpm_v1(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let key = spec.get("publicKey")?.get("content")?;
    claims.subject_digest = Some(spec.get("package")?.get("hash")?.hex_digest()?);
    let verifier = Verifier::other(KeyFormat::Pgp, &key)?;
    claims.signatures.push(by(verifier, None));
    Ok(())
}

/// `pkg/types/alpine/v0.0.1/alpine_v0_0_1_schema.json`
pub(super) fn alpine_v1(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let key = spec.get("publicKey")?.get("content")?;
    claims.subject_digest = Some(spec.get("package")?.get("hash")?.hex_digest()?);
    let verifier = Verifier::from_pem_field(&key)?;
    claims.signatures.push(by(verifier, None));
    Ok(())
}

/// `pkg/types/helm/v0.0.1/helm_v0_0_1_schema.json`
pub(super) fn helm_v1(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let chart = spec.get("chart")?;
    let key = spec.get("publicKey")?.get("content")?;
    let signature = chart.get("provenance")?.get("signature")?.get("content")?;
    claims.subject_digest = Some(chart.get("hash")?.hex_digest()?);
    claims.signatures.push(by(
        Verifier::other(KeyFormat::Pgp, &key)?,
        Some(signature.bytes()?),
    ));
    Ok(())
}

/// `pkg/types/tuf/v0.0.1/tuf_v0_0_1_schema.json`. Both documents are there whole, in canonical JSON; the signatures
/// stand in the metadata.
pub(super) fn tuf_v1(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let metadata = spec.get("metadata")?.get("content")?.bytes()?;
    let root = spec.get("root")?.get("content")?;
    claims.subject_digest = Some(Digest::sha256(&metadata));
    let verifier = Verifier::other(KeyFormat::TufRoot, &root)?;
    claims.signatures.push(by(verifier, None));
    Ok(())
}

fn by(verifier: Verifier, signature: Option<Vec<u8>>) -> EntrySignature {
    EntrySignature {
        signature,
        verifier,
        key_details: None,
    }
}
