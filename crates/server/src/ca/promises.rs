//! Where a CA has its certificates logged: in this process, or at a CT log elsewhere (RFC 6962, section 4.2).
//!
//! Invariant: a promise that comes from elsewhere is verified with the key that the operator gave, for the very
//! precertificate and issuer, before a certificate has it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use reqwest::StatusCode;
use sealmark_keys::{Curve, KeyType, PublicKey};
use sealmark_x509::{Certificate, SignedCertificateTimestamp, verify_precertificate_sct};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::issuers::{cause, client};
use crate::Error;
use crate::ct::{CtError, CtLog};

/// Bytes of an answer: a promise has some 300.
const MAX_ANSWER: usize = 64 << 10;
/// Waits between the attempts to reach a log, which are short beside what the whole may take.
const AGAIN: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// A CT log, for a CA.
#[derive(Clone)]
pub enum Promises {
    /// Of this process.
    Here(CtLog),
    /// Of another.
    There(RemoteCt),
}

impl From<CtLog> for Promises {
    fn from(log: CtLog) -> Self {
        Self::Here(log)
    }
}

impl Promises {
    pub(super) async fn promise(
        &self,
        precertificate: &Certificate,
        chain: &[Certificate],
    ) -> Result<SignedCertificateTimestamp, CtError> {
        match self {
            Self::Here(log) => log.promise(precertificate, chain).await,
            Self::There(log) => log.promise(precertificate, chain).await,
        }
    }

    /// What is not of this process is taken for healthy: each certificate shows whether it is.
    pub(super) fn is_healthy(&self) -> bool {
        match self {
            Self::Here(log) => log.is_healthy(),
            Self::There(_) => true,
        }
    }
}

/// A CT log that is reached over HTTP.
#[derive(Clone)]
pub struct RemoteCt {
    endpoint: Url,
    key: PublicKey,
    client: reqwest::Client,
}

#[derive(Deserialize)]
struct Answer {
    sct_version: u8,
    id: String,
    timestamp: u64,
    #[serde(default)]
    extensions: String,
    signature: String,
}

impl RemoteCt {
    /// The log at this URL, to which `/ct/v1/add-pre-chain` is added, with its key.
    ///
    /// # Errors
    /// If the URL is none, or the key of a kind that clients do not take promises of.
    pub fn new(url: &str, key: PublicKey) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Authority(reason);
        let endpoint = format!("{}/ct/v1/add-pre-chain", url.trim_end_matches('/'));
        let endpoint = Url::parse(&endpoint).ok();
        let endpoint = endpoint.filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some()
                && url.query().is_none()
        });
        let endpoint = endpoint.ok_or_else(|| {
            wrong(format!(
                "{url:?} is not the URL of a CT log: it is http:// or https://, a host, and the log's path, e.g. https://ct.example.com/ct"
            ))
        })?;
        // Go's verifier takes no others.
        if !matches!(
            key.key_type(),
            KeyType::Ecdsa(Curve::P256) | KeyType::Rsa { .. }
        ) {
            return Err(wrong(format!(
                "the CT log's key is {}: clients verify promises of P-256 and RSA keys only",
                key.key_type()
            )));
        }
        Ok(Self {
            endpoint,
            key,
            client: client(None).map_err(wrong)?,
        })
    }

    async fn promise(
        &self,
        precertificate: &Certificate,
        chain: &[Certificate],
    ) -> Result<SignedCertificateTimestamp, CtError> {
        let certificates = std::iter::once(precertificate).chain(chain);
        let certificates: Vec<_> = certificates.map(|it| STANDARD.encode(it.der())).collect();
        let body = json!({"chain": certificates}).to_string();
        let mut waits = AGAIN.into_iter();
        let answer = loop {
            match (self.ask(&body).await, waits.next()) {
                // Who sends the same again gets the promise of the same entry.
                (Err(CtError::Unavailable(_)), Some(wait)) => tokio::time::sleep(wait).await,
                (answer, _) => break answer?,
            }
        };
        let promise = read(&answer)
            .ok_or_else(|| CtError::Fault(format!("{} gave no promise (SCT)", self.endpoint)))?;
        let issuer = chain
            .first()
            .ok_or_else(|| CtError::Fault("the CA has no certificate".to_owned()))?;
        verify_precertificate_sct(precertificate, issuer, &promise, &self.key).map_err(
            |error| {
                CtError::Fault(format!(
                    "the promise of {} is not good, is its key the one of --ct-key? {error}",
                    self.endpoint
                ))
            },
        )?;
        Ok(promise)
    }

    async fn ask(&self, body: &str) -> Result<Vec<u8>, CtError> {
        let url = self.endpoint.as_str();
        let request = self.client.post(url).body(body.to_owned());
        let request = request.header("content-type", "application/json");
        let away = |error| CtError::Unavailable(cause(url, error));
        let answer = request.send().await.map_err(away)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        let mut stream = answer.bytes_stream();
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece.map_err(away)?);
            if bytes.len() > MAX_ANSWER {
                let message = format!("{url} answered more than {MAX_ANSWER} bytes");
                return Err(CtError::Fault(message));
            }
        }
        if status.is_success() {
            return Ok(bytes);
        }
        let said = String::from_utf8_lossy(&bytes)
            .trim()
            .escape_debug()
            .to_string();
        let message = format!(
            "{url} answered {status}: {}",
            sealmark_formats::excerpt(said)
        );
        Err(match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                CtError::Unavailable(message)
            }
            status if status.is_server_error() => CtError::Unavailable(message),
            _ => CtError::Fault(message),
        })
    }
}

/// `SignedCertificateTimestamp` in JSON (RFC 6962, section 4.1); the signature is a `digitally-signed` of TLS.
fn read(json: &[u8]) -> Option<SignedCertificateTimestamp> {
    let answer: Answer = serde_json::from_slice(json).ok()?;
    let signature = STANDARD.decode(&answer.signature).ok()?;
    let [hash, algorithm, high, low, signature @ ..] = signature.as_slice() else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    (answer.sct_version == 0 && signature.len() == length).then_some(())?;
    Some(SignedCertificateTimestamp {
        log_id: STANDARD.decode(&answer.id).ok()?.try_into().ok()?,
        timestamp: answer.timestamp,
        extensions: STANDARD.decode(&answer.extensions).ok()?,
        hash: *hash,
        signature_algorithm: *algorithm,
        signature: signature.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_promise_is_none() {
        let id = STANDARD.encode([7; 32]);
        let good = json!({"sct_version": 0, "id": id, "timestamp": 1, "extensions": "", "signature": "BAMAAQU="});
        let sct = read(good.to_string().as_bytes()).unwrap();
        assert_eq!(
            (sct.hash, sct.signature_algorithm, sct.signature),
            (4, 3, vec![5])
        );
        for (member, value) in [
            ("sct_version", json!(1)),
            ("id", json!("AAAA")),
            ("timestamp", json!(-1)),
            ("extensions", json!("?")),
            ("signature", json!("BAMAAg==")),
            ("signature", json!("BA==")),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            assert!(read(bad.to_string().as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_log_has_a_url_and_a_key_that_clients_take() {
        use sealmark_keys::{Algorithm, PrivateKey};
        let key = |algorithm| {
            PrivateKey::generate(algorithm)
                .unwrap()
                .public_key()
                .clone()
        };
        let p256 = key(Algorithm::EcdsaP256);
        let log = RemoteCt::new("https://ct.example/a/", p256.clone()).unwrap();
        assert_eq!(
            log.endpoint.as_str(),
            "https://ct.example/a/ct/v1/add-pre-chain"
        );
        for url in ["ct.example", "ftp://ct.example", "https://ct.example/?a="] {
            assert!(RemoteCt::new(url, p256.clone()).is_err(), "{url}");
        }
        let error = RemoteCt::new("https://ct.example", key(Algorithm::Ed25519));
        assert!(error.err().unwrap().to_string().contains("P-256 and RSA"));
    }
}
