//! Bodies, read kind by kind. One function per kind and version, named as the log names them.

use super::field::{FORMAT, Field};
use super::{
    EntryBody, EntryClaims, EntrySignature, KeyFormat, MAX_BODY, MAX_SIGNATURES, SignedForm,
    Verifier,
};
use crate::encoding::{ParseError, decode_base64};
use crate::jcs;

mod foreign;

pub(super) fn parse(json: &[u8]) -> Result<EntryBody, ParseError> {
    if json.len() > MAX_BODY {
        let reason = format!(
            "it has {} bytes, at most {MAX_BODY} are allowed",
            json.len()
        );
        return Err(ParseError::new(FORMAT, reason));
    }
    let value = jcs::parse(FORMAT, json)?;
    let root = Field::root(&value);
    let kind = root.get("kind")?.text()?.to_owned();
    let version = root.get("apiVersion")?.text()?.to_owned();
    let (signed, read): (SignedForm, fn(&Field<'_>, &mut EntryClaims) -> Read) =
        match (kind.as_str(), version.as_str()) {
            ("hashedrekord", "0.0.1") => (SignedForm::Data, hashedrekord_v1),
            ("hashedrekord", "0.0.2") => (SignedForm::Data, hashedrekord_v2),
            ("rekord", "0.0.1") => (SignedForm::Data, rekord_v1),
            ("dsse", "0.0.1") => (SignedForm::Envelope, dsse_v1),
            ("dsse", "0.0.2") => (SignedForm::Envelope, dsse_v2),
            ("intoto", "0.0.1") => (SignedForm::Envelope, intoto_v1),
            ("intoto", "0.0.2") => (SignedForm::Envelope, intoto_v2),
            ("cose", "0.0.1") => (SignedForm::CoseMessage, foreign::cose_v1),
            ("rfc3161", "0.0.1") => (SignedForm::TimestampResponse, foreign::rfc3161_v1),
            ("jar", "0.0.1") => (SignedForm::Package, foreign::jar_v1),
            ("rpm", "0.0.1") => (SignedForm::Package, foreign::rpm_v1),
            ("alpine", "0.0.1") => (SignedForm::Package, foreign::alpine_v1),
            ("helm", "0.0.1") => (SignedForm::Package, foreign::helm_v1),
            ("tuf", "0.0.1") => (SignedForm::TufMetadata, foreign::tuf_v1),
            _ => return Ok(EntryBody::Other { kind, version }),
        };
    let mut claims = EntryClaims {
        kind,
        version,
        signed,
        artifact_digest: None,
        payload_digest: None,
        envelope_digest: None,
        subject_digest: None,
        signatures: Vec::new(),
    };
    read(&root.get("spec")?, &mut claims)?;
    Ok(EntryBody::Claims(claims))
}

type Read = Result<(), ParseError>;

/// `pkg/types/hashedrekord/v0.0.1/hashedrekord_v0_0_1_schema.json`
fn hashedrekord_v1(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let signature = spec.get("signature")?;
    claims.artifact_digest = Some(spec.get("data")?.get("hash")?.hex_digest()?);
    claims.signatures.push(EntrySignature {
        signature: Some(signature.get("content")?.bytes()?),
        verifier: Verifier::from_pem_field(&signature.get("publicKey")?.get("content")?)?,
        key_details: None,
    });
    Ok(())
}

/// `HashedRekordLogEntryV002` of `hashedrekord.proto`
fn hashedrekord_v2(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let entry = spec.get("hashedRekordV002")?;
    claims.artifact_digest = Some(entry.get("data")?.base64_digest()?);
    claims
        .signatures
        .push(signature_v2(&entry.get("signature")?)?);
    Ok(())
}

/// `pkg/types/dsse/v0.0.1/dsse_v0_0_1_schema.json`
fn dsse_v1(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    claims.envelope_digest = Some(spec.get("envelopeHash")?.hex_digest()?);
    claims.payload_digest = Some(spec.get("payloadHash")?.hex_digest()?);
    for signature in spec.get("signatures")?.items(MAX_SIGNATURES)? {
        claims.signatures.push(EntrySignature {
            signature: Some(signature.get("signature")?.bytes()?),
            verifier: Verifier::from_pem_field(&signature.get("verifier")?)?,
            key_details: None,
        });
    }
    Ok(())
}

/// `pkg/types/rekord/v0.0.1/rekord_v0_0_1_schema.json`
fn rekord_v1(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let signature = spec.get("signature")?;
    let format = signature.get("format")?;
    let key = signature.get("publicKey")?.get("content")?;
    let verifier = match format.text()? {
        "x509" => Verifier::from_pem_field(&key)?,
        other => {
            let format = KeyFormat::from_name(other)
                .ok_or_else(|| format.error("is none of x509, pgp, minisign, ssh"))?;
            Verifier::other(format, &key)?
        }
    };
    claims.artifact_digest = Some(spec.get("data")?.get("hash")?.hex_digest()?);
    claims.signatures.push(EntrySignature {
        signature: Some(signature.get("content")?.bytes()?),
        verifier,
        key_details: None,
    });
    Ok(())
}

/// `DSSELogEntryV002` of `dsse.proto`, as of rekor-tiles 2.2
fn dsse_v2(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let entry = spec.get("dsseV002")?;
    claims.payload_digest = Some(entry.get("payloadHash")?.base64_digest()?);
    for signature in entry.get("signatures")?.items(MAX_SIGNATURES)? {
        claims.signatures.push(signature_v2(&signature)?);
    }
    Ok(())
}

/// `pkg/types/intoto/v0.0.1/intoto_v0_0_1_schema.json`
fn intoto_v1(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let content = spec.get("content")?;
    claims.envelope_digest = Some(content.get("hash")?.hex_digest()?);
    // Entries of 2021 have no payloadHash.
    if let Some(hash) = content.find("payloadHash") {
        claims.payload_digest = Some(hash.hex_digest()?);
    }
    claims.signatures.push(EntrySignature {
        signature: None,
        verifier: Verifier::from_pem_field(&spec.get("publicKey")?)?,
        key_details: None,
    });
    Ok(())
}

/// `pkg/types/intoto/v0.0.2/intoto_v0_0_2_schema.json`
fn intoto_v2(spec: &Field<'_>, claims: &mut EntryClaims) -> Read {
    let content = spec.get("content")?;
    if let Some(hash) = content.find("hash") {
        claims.envelope_digest = Some(hash.hex_digest()?);
    }
    claims.payload_digest = Some(content.get("payloadHash")?.hex_digest()?);
    let envelope = content.get("envelope")?;
    for signature in envelope.get("signatures")?.items(MAX_SIGNATURES)? {
        // Base64 of the envelope's base64: the field has the format "byte", and clients put the text there.
        let sig = signature.get("sig")?;
        let bytes = core::str::from_utf8(&sig.bytes()?)
            .ok()
            .and_then(|text| decode_base64(text).ok())
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| sig.error("is not base64 of base64"))?;
        claims.signatures.push(EntrySignature {
            signature: Some(bytes),
            verifier: Verifier::from_pem_field(&signature.get("publicKey")?)?,
            key_details: None,
        });
    }
    Ok(())
}

/// `Signature` of `verifier.proto`
fn signature_v2(field: &Field<'_>) -> Result<EntrySignature, ParseError> {
    let verifier = field.get("verifier")?;
    Ok(EntrySignature {
        signature: Some(field.get("content")?.bytes()?),
        verifier: Verifier::from_field(&verifier)?,
        key_details: Some(verifier.get("keyDetails")?.text()?.to_owned()),
    })
}
