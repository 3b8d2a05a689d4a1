//! Attachments as cosign 1 and 2 keep them: a layer of the image at the tag `sha256-….sig` or `sha256-….att`, with
//! everything else about the signature in its annotations. There is room for one log entry with a promise, and for one
//! timestamp.

use std::collections::BTreeMap;

use base64::Engine as _;
use sealmark_formats::{Digest, legacy};
use sealmark_oci::Replace;
use sealmark_verify::Evidence;
use sealmark_verify::evidence::{Content, Detached, Layout};

use crate::place::{Place, Placed, says_the_same, sign_envelope};
use crate::{Error, Signatory, log};

/// The annotation by which cosign finds the attestations of a type.
const PREDICATE_TYPE_ANNOTATION: &str = "predicateType";

/// Puts a signature over a simple signing payload into `.sig`.
pub(crate) async fn signature(
    place: &Place<'_>,
    payload: Vec<u8>,
    existing: &[Evidence],
) -> Result<Placed, Error> {
    let twin = existing
        .iter()
        .filter_map(|evidence| match &evidence.content {
            Content::SimpleSigning(d) if d.payload == payload => Some((evidence, d)),
            _ => None,
        })
        .find_map(|(evidence, detached)| {
            let seen = place.accepted(evidence).ok()?;
            Some((evidence, detached, seen))
        });
    if let Some((evidence, detached, seen)) = twin {
        return Ok(Placed {
            layout: Layout::LegacySignature,
            payload,
            signature: detached.signature.clone(),
            bundle: None,
            seen,
            state: place.already_there(evidence, "tag"),
            replaced: Vec::new(),
        });
    }
    let signature = place.signatory.signer().sign(&payload).await?;
    let key = place.signatory.signer().public_key();
    let digest = Digest::of(key.hash(), &payload);
    let signed = log::Signed::Data {
        digest: &digest,
        signature: &signature,
        key: key.key_type(),
    };
    let detached = witnessed(place.signatory, signed, payload.clone(), signature.clone()).await?;
    let annotations = annotations(&detached);
    let (seen, _) = place.check_fresh(Content::SimpleSigning(detached))?;
    let media_type = legacy::SIMPLE_SIGNING_MEDIA_TYPE;
    let layer = place.layer(
        "sig",
        media_type,
        payload.clone(),
        annotations,
        Replace::Nothing,
    );
    Ok(Placed {
        layout: Layout::LegacySignature,
        payload,
        signature,
        bundle: None,
        seen,
        state: layer.await?,
        replaced: Vec::new(),
    })
}

/// Puts a statement into `.att`. What is in `replace` gives way to it: blobs of layers.
pub(crate) async fn attestation(
    place: &Place<'_>,
    payload: Vec<u8>,
    predicate_type: &str,
    existing: &[Evidence],
    replace: Vec<Digest>,
) -> Result<Placed, Error> {
    let twin = existing
        .iter()
        .filter_map(|evidence| match &evidence.content {
            Content::Envelope(detached) => {
                let envelope = sealmark_formats::dsse::Envelope::parse(&detached.payload).ok()?;
                says_the_same(&envelope.payload, &payload).then_some((evidence, envelope))
            }
            _ => None,
        })
        .find_map(|(evidence, envelope)| {
            let seen = place.accepted(evidence).ok()?;
            Some((evidence, envelope, seen))
        });
    if let Some((evidence, envelope, seen)) = twin
        && let Some(signature) = envelope.signatures.first()
    {
        return Ok(Placed {
            layout: Layout::LegacyAttestation,
            payload,
            signature: signature.sig.clone(),
            bundle: None,
            seen,
            state: place.already_there(evidence, "tag"),
            replaced: Vec::new(),
        });
    }
    let (envelope, signature) = sign_envelope(place.signatory, payload).await?;
    // The text of a large payload is not moved while it grows.
    let mut blob = Vec::with_capacity(envelope.payload.len().div_ceil(3) * 4 + (4 << 10));
    serde_json::to_writer(&mut blob, &envelope).expect("bytes and texts can be written as JSON");
    let signed = log::Signed::Envelope {
        envelope: &envelope,
        signature: &signature,
        key: place.signatory.signer().public_key(),
    };
    let detached = witnessed(place.signatory, signed, blob, Vec::new()).await?;
    let payload = envelope.payload;
    let mut annotations = annotations(&detached);
    annotations.insert(
        PREDICATE_TYPE_ANNOTATION.to_owned(),
        predicate_type.to_owned(),
    );
    let (seen, content) = place.check_fresh(Content::Envelope(detached))?;
    let blob = match content {
        Content::Envelope(detached) => detached.payload,
        _ => Vec::new(),
    };
    let replaced = replace.clone();
    let media_type = legacy::DSSE_MEDIA_TYPE;
    let layer = place.layer(
        "att",
        media_type,
        blob,
        annotations,
        Replace::Blobs(replace),
    );
    Ok(Placed {
        layout: Layout::LegacyAttestation,
        payload,
        signature,
        bundle: None,
        seen,
        state: layer.await?,
        replaced,
    })
}

/// A signature over a payload, seen by whoever is to see it, as far as the legacy form has room for that.
async fn witnessed(
    signatory: &Signatory,
    signed: log::Signed<'_>,
    payload: Vec<u8>,
    signature: Vec<u8>,
) -> Result<Detached, Error> {
    let signatory = &signatory.current().await?;
    let witnessed = signatory.witness(signed).await?;
    let no_room = |what: &str| {
        Error::Services(format!(
            "a legacy signature has no room for {what}; write --format bundle"
        ))
    };
    let log_entry = match witnessed.log_entries.as_slice() {
        [] => None,
        [one] => {
            Some(log::promise_of(one).ok_or_else(|| no_room("an entry of a log of version 2"))?)
        }
        _ => return Err(no_room("several log entries")),
    };
    if witnessed.timestamps.len() > 1 {
        return Err(no_room("several timestamps"));
    }
    let issued = signatory.issued();
    let chain = issued.map(|issued| {
        let chain = issued.chain.iter().map(sealmark_x509::Certificate::to_pem);
        chain.collect::<String>().into_bytes()
    });
    Ok(Detached {
        payload,
        signature,
        certificate: issued.map(|issued| issued.certificate.to_pem().into_bytes()),
        chain: chain.filter(|chain| !chain.is_empty()),
        log_entry,
        timestamps: witnessed.timestamps,
        sct: None,
    })
}

/// What a layer says of its payload.
fn annotations(detached: &Detached) -> BTreeMap<String, String> {
    let base64 = base64::engine::general_purpose::STANDARD.encode(&detached.signature);
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let json =
        |value: serde_json::Result<String>| value.expect("bytes and texts can be written as JSON");
    let bundle = detached
        .log_entry
        .as_ref()
        .map(|bundle| json(serde_json::to_string(bundle)));
    let timestamp = detached.timestamps.first().map(|response| {
        let response = response.clone();
        json(serde_json::to_string(&legacy::Rfc3161Timestamp {
            response,
        }))
    });
    [
        (legacy::SIGNATURE_ANNOTATION, Some(base64)),
        (
            legacy::CERTIFICATE_ANNOTATION,
            detached.certificate.as_ref().map(text),
        ),
        (legacy::CHAIN_ANNOTATION, detached.chain.as_ref().map(text)),
        (legacy::BUNDLE_ANNOTATION, bundle),
        (legacy::TIMESTAMP_ANNOTATION, timestamp),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}
