//! `--output cosign`: what cosign prints on standard output, for scripts that read that; and `--output predicate`.

use sealmark_formats::dsse;
use sealmark_formats::statement::Statement;
use sealmark_verify::evidence::{Content, Evidence};
use sealmark_verify::report::{Attachment, Report};
use serde::Serialize;

use crate::error::Error;
use crate::printable::printable_json;
use crate::terminal::Terminal;

/// One signature, as `cosign verify` prints it.
#[derive(Serialize)]
struct CosignJson {
    critical: serde_json::Value,
    optional: serde_json::Value,
}

/// A list of signatures, as `cosign verify` prints it. `name` is the image as the user wrote it.
pub(crate) fn signatures(
    name: &str,
    report: &Report,
    evidence: &[Evidence],
    check_claims: bool,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let list: Vec<_> = accepted(report, evidence)
        .filter_map(|(attachment, evidence)| match &evidence.content {
            Content::SimpleSigning(detached) => {
                let payload: serde_json::Value = serde_json::from_slice(&detached.payload).ok()?;
                Some(CosignJson {
                    critical: payload["critical"].clone(),
                    optional: payload["optional"].clone(),
                })
            }
            _ => {
                let claims = attachment.claims.clone().unwrap_or_default();
                // With --check-claims=false the signature may be of another image.
                let digest = match check_claims {
                    true => report.digest.to_string(),
                    false => claims.digests.first().cloned().unwrap_or_default(),
                };
                Some(CosignJson {
                    critical: serde_json::json!({
                        "identity": { "docker-reference": name },
                        "image": { "docker-manifest-digest": digest },
                        "type": claims.claim_type,
                    }),
                    optional: serde_json::json!(claims.annotations),
                })
            }
        })
        .collect();
    let json = serde_json::to_string(&list).map_err(failed)?;
    terminal.line(printable_json(&json))
}

/// A line with the envelope of each attestation, as `cosign verify-attestation` prints it.
pub(crate) fn attestations(
    report: &Report,
    evidence: &[Evidence],
    terminal: &mut Terminal,
) -> Result<(), Error> {
    for (_, evidence) in accepted(report, evidence) {
        if let Some(envelope) = envelope(&evidence.content) {
            let json = serde_json::to_string(&envelope).map_err(failed)?;
            terminal.line(printable_json(&json))?;
        }
    }
    Ok(())
}

/// A line with the predicate of each attestation.
pub(crate) fn predicates(
    report: &Report,
    evidence: &[Evidence],
    terminal: &mut Terminal,
) -> Result<(), Error> {
    for (_, evidence) in accepted(report, evidence) {
        let statement = envelope(&evidence.content)
            .and_then(|envelope| Statement::parse(&envelope.payload).ok());
        if let Some(statement) = statement {
            let text = statement.predicate.as_ref().map_or("null", |raw| raw.get());
            // As it was signed, but on one line: strings of JSON have no bare line breaks, so these are white space.
            terminal.line(printable_json(&text.replace(['\n', '\r'], " ")))?;
        }
    }
    Ok(())
}

fn failed(error: serde_json::Error) -> Error {
    Error::Stream {
        action: "write JSON",
        cause: error.into(),
    }
}

/// The accepted attachments, each once, with what they were read from.
fn accepted<'a>(
    report: &'a Report,
    evidence: &'a [Evidence],
) -> impl Iterator<Item = (&'a Attachment, &'a Evidence)> {
    let all = |index: usize| {
        report
            .demands
            .iter()
            .filter_map(move |demand| demand.attachments.get(index))
            .find(|attachment| attachment.accepted)
    };
    evidence
        .iter()
        .enumerate()
        .filter_map(move |(index, evidence)| Some((all(index)?, evidence)))
}

/// The DSSE envelope of an attestation.
pub(crate) fn envelope(content: &Content) -> Option<dsse::Envelope> {
    match content {
        Content::Bundle(bundle) => match &bundle.content {
            sealmark_formats::bundle::Content::Dsse(envelope) => Some(envelope.clone()),
            _ => None,
        },
        Content::Envelope(detached) => dsse::Envelope::parse(&detached.payload).ok(),
        _ => None,
    }
}
