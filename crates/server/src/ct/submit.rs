//! `add-chain` and `add-pre-chain` (RFC 6962, sections 4.1 and 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_x509::{Certificate, SignedCertificateTimestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CtError, CtLog};

/// Certificates of one chain.
const MAX_CHAIN: usize = 10;

#[derive(Deserialize)]
struct Submission {
    chain: Vec<String>,
}

/// Reads a submission, and logs it.
pub(super) async fn add(log: &CtLog, json: &[u8], precertificate: bool) -> Result<Value, CtError> {
    let refused = |reason: String| CtError::Refused(sealmark_formats::excerpt(reason));
    let submission: Submission = serde_json::from_slice(json)
        .map_err(|error| refused(format!("the body is not a chain of certificates: {error}")))?;
    if submission.chain.len() > MAX_CHAIN {
        let count = submission.chain.len();
        return Err(refused(format!(
            "the chain has {count} certificates, at most {MAX_CHAIN} are taken"
        )));
    }
    let mut chain = Vec::new();
    for (at, text) in submission.chain.iter().enumerate() {
        let der = STANDARD.decode(text);
        let der = der.map_err(|_| refused(format!("certificate {at} is not base64")))?;
        let certificate = Certificate::from_der(&der);
        chain.push(certificate.map_err(|error| refused(format!("certificate {at}: {error}")))?);
    }
    let chain = complete(log, chain).map_err(refused)?;
    let Some((certificate, above)) = chain.split_first() else {
        return Err(refused("the chain is empty".to_owned()));
    };
    let promise = match (precertificate, certificate.is_precertificate()) {
        (true, true) => log.promise(certificate, above).await?,
        (false, false) => log.promise_final(certificate, above).await?,
        (true, false) => {
            return Err(refused(
                "it is not a precertificate: it has no poison".to_owned(),
            ));
        }
        (false, true) => {
            return Err(refused(
                "it is a precertificate: send it to add-pre-chain".to_owned(),
            ));
        }
    };
    Ok(to_json(&promise))
}

/// `SignedCertificateTimestamp` in JSON (RFC 6962, section 4.1).
pub(crate) fn to_json(promise: &SignedCertificateTimestamp) -> Value {
    let mut signature = vec![promise.hash, promise.signature_algorithm];
    signature.extend((promise.signature.len() as u16).to_be_bytes());
    signature.extend(&promise.signature);
    json!({
        "sct_version": 0,
        "id": STANDARD.encode(promise.log_id),
        "timestamp": promise.timestamp,
        "extensions": STANDARD.encode(&promise.extensions),
        "signature": STANDARD.encode(signature),
    })
}

/// The chain with its root, if each certificate is signed by the one above it and the last is, or is by, a root of this
/// log. Times and purposes are not looked at: a log is there to show also what a CA should not have issued.
fn complete(log: &CtLog, mut chain: Vec<Certificate>) -> Result<Vec<Certificate>, String> {
    for pair in chain.windows(2) {
        if !is_signed_by(&pair[0], &pair[1]) {
            return Err(format!(
                "{:?} is not signed by {:?}, which follows it",
                pair[0].subject(),
                pair[1].subject()
            ));
        }
    }
    let Some(last) = chain.last() else {
        return Ok(chain);
    };
    let roots = log.roots();
    if chain.len() > 1 && roots.iter().any(|root| root.der() == last.der()) {
        return Ok(chain);
    }
    let root = roots.into_iter().find(|root| is_signed_by(last, root));
    let root = root.ok_or("the chain leads to no root that this log takes certificates of")?;
    chain.push(root);
    Ok(chain)
}

fn is_signed_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    issuer.is_ca() && certificate.is_signed_by(issuer)
}
