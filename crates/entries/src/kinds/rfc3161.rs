//! `rfc3161` 0.0.1: the reply of a timestamp authority.
//!
//! What is shown of it is that a certificate in it signed it. Which authorities are to be trusted is for who finds it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{Digest, jcs};
use sealmark_x509::TimestampToken;
use serde_json::json;

use crate::field::Field;
use crate::{Error, Proposed};

/// Rekor's bound, in bytes.
const MAX_RESPONSE: usize = 10 * 1024;

pub(crate) fn read(spec: &Field<'_>) -> Result<Proposed, Error> {
    let content = spec.get("tsr")?.get("content")?;
    let response = content.bytes()?;
    if response.len() > MAX_RESPONSE {
        return Err(content.refuse("tsr exceeds maximum allowed size (10kB)"));
    }
    let token =
        TimestampToken::parse_response(&response).map_err(|reason| content.refuse(reason))?;
    token
        .verify_integrity(&[])
        .map_err(|reason| content.refuse(reason))?;
    let leaf = jcs::to_vec(&json!({
        "apiVersion": "0.0.1",
        "kind": "rfc3161",
        "spec": {"tsr": {"content": STANDARD.encode(&response)}},
    }))
    .map_err(Error::entry)?;
    Ok(Proposed::new(
        leaf,
        vec![Digest::sha256(&response).to_string()],
    ))
}
