//! The timestamp authority: a signature in, an RFC 3161 reply out, that is about this signature and no older.

use aws_lc_rs::rand;
use sealmark_formats::Digest;
use sealmark_x509::{TimestampRequest, TimestampToken};

use crate::Error;
use sealmark_http::{Options, Service};

const KIND: &str = "timestamp authority";
/// Bytes of randomness by which a reply is known to be to this request.
const NONCE: usize = 8;

/// Asks the authority at `url`, which is with its path, when `signature` existed; gives its whole reply, DER.
///
/// # Errors
/// Of the network; [`sealmark_http::Error::Refused`]; [`sealmark_http::Error::Answer`] if the reply is to something else.
pub async fn stamp(url: &str, signature: &[u8], options: &Options) -> Result<Vec<u8>, Error> {
    let service = Service::new(KIND, url, options)?;
    let request = TimestampRequest {
        imprint: Digest::sha256(signature),
        policy: None,
        nonce: Some(nonce()?),
        // Verifiers exist that do not look for the certificate in their trusted root.
        certificates: true,
    };
    let der = request.to_der();
    let der =
        der.map_err(|error| Error::Services(format!("no timestamp can be asked for: {error}")))?;
    let answer = service
        .post(service.url(), |builder| {
            let builder = builder.header("content-type", "application/timestamp-query");
            builder.body(der.clone())
        })
        .await?
        .good()?;
    let token = TimestampToken::parse_response(&answer.body);
    let token = token.map_err(|error| answer.malformed(error))?;
    if token.imprint() != &request.imprint {
        return Err(answer
            .malformed(format_args!(
                "the timestamp is for data with the digest {}, and asked for was one for {}",
                token.imprint(),
                request.imprint
            ))
            .into());
    }
    if token.nonce() != request.nonce.as_deref() {
        let reason =
            "the timestamp was made for another request: its nonce is not the one that was sent";
        return Err(answer.malformed(reason).into());
    }
    Ok(answer.body)
}

/// The content of a positive DER integer.
fn nonce() -> Result<Vec<u8>, Error> {
    let mut nonce = [0; NONCE];
    rand::fill(&mut nonce)
        .map_err(|_| Error::Services("the system gives no randomness".to_owned()))?;
    // Positive, and without a zero that DER would have to leave out.
    nonce[0] = nonce[0] & 0x7f | 0x40;
    Ok(nonce.to_vec())
}
