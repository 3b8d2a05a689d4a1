//! Signatures of images as cosign 1 and 2 keep them: a layer at the tag `sha256-….sig`, with everything else about the
//! signature in its annotations. There is room for one log entry with a promise, and for one timestamp.

use std::collections::BTreeMap;

use base64::Engine as _;
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_formats::{Digest, legacy};
use sealmark_oci::{Descriptor, Replace};
use sealmark_verify::Evidence;
use sealmark_verify::evidence::{Content, Detached, Layout};

use super::{Location, Placed, Request, State, accepted, already_there, check_fresh};
use crate::{Error, Signatory, log};

pub(super) async fn as_legacy(
    request: &Request<'_>,
    subject: &Descriptor,
    existing: &[Evidence],
) -> Result<Placed, Error> {
    let repository = request.image.in_repository().to_string();
    let identity = request.container_identity.unwrap_or(&repository);
    let payload = SimpleSigning::new(identity, &subject.digest, request.annotations).to_json();
    let twin = existing
        .iter()
        .filter_map(|evidence| match &evidence.content {
            Content::SimpleSigning(d) if d.payload == payload => Some((evidence, d)),
            _ => None,
        })
        .find_map(|(evidence, detached)| {
            let seen = accepted(request.signatory, &subject.digest, evidence).ok()?;
            Some((evidence, detached, seen))
        });
    if let Some((evidence, detached, seen)) = twin {
        return Ok(Placed {
            layout: Layout::LegacySignature,
            payload,
            signature: detached.signature.clone(),
            bundle: None,
            seen,
            state: already_there(evidence, &subject.digest, "tag"),
        });
    }
    let signatory = &request.signatory.current().await?;
    let signature = signatory.signer().sign(&payload).await?;
    let detached = legacy_signature(signatory, payload.clone(), signature.clone()).await?;
    let annotations = legacy_annotations(&detached);
    let content = Content::SimpleSigning(detached);
    let seen = check_fresh(signatory, subject, content)?;
    let state = match request.upload {
        false => State::NotUploaded,
        true => {
            let mut layer = Descriptor::of(legacy::SIMPLE_SIGNING_MEDIA_TYPE, &payload);
            layer.annotations.extend(annotations);
            let pushed = request
                .client
                .append_legacy(
                    request.signatures,
                    &subject.digest,
                    "sig",
                    layer,
                    payload.clone().into(),
                    Replace::Nothing,
                    request.docker_media_types,
                )
                .await?;
            let prefix = &request.client.options().tag_prefix;
            let tag = sealmark_oci::attachment_tag(prefix, &subject.digest, "sig");
            State::Attached(Location {
                reference: request.signatures.with_digest(&pushed).to_string(),
                digest: pushed,
                found_by: format!("tag {tag}"),
            })
        }
    };
    Ok(Placed {
        layout: Layout::LegacySignature,
        payload,
        signature,
        bundle: None,
        seen,
        state,
    })
}

/// A signature over a payload, seen by whoever is to see it, as far as the legacy form has room for that.
async fn legacy_signature(
    signatory: &Signatory,
    payload: Vec<u8>,
    signature: Vec<u8>,
) -> Result<Detached, Error> {
    let key = signatory.signer().public_key();
    let digest = Digest::of(key.hash(), &payload);
    let witnessed = signatory
        .witness(log::Signed::Data {
            digest: &digest,
            signature: &signature,
            key: key.key_type(),
        })
        .await?;
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
fn legacy_annotations(detached: &Detached) -> BTreeMap<String, String> {
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
