//! A stand-in for AWS KMS with one key, for demonstrations on a machine without an account.
//!
//! It answers what a signer asks (`GetPublicKey`, `DescribeKey`, `Sign`), for the one key it has, to the one access key
//! it knows. It is no KMS: the private key lives in this process and dies with it, and the signature of a request is
//! not checked, only whose it says it is. Listen on loopback.
//!
//! <https://docs.aws.amazon.com/kms/latest/APIReference/Welcome.html>

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Algorithm, PrivateKey};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::listen;

/// What the interface is called in requests.
const TARGET: &str = "TrentService.";
const JSON: &str = "application/x-amz-json-1.1";
/// The one scheme of a P-256 key.
const SCHEME: &str = "ECDSA_SHA_256";
/// Bytes of a message that KMS signs as it is; more must come as a digest.
const MAX_RAW: usize = 4096;
/// Bytes of a request: a message in base64, and names.
const MAX_REQUEST: usize = 16 << 10;

/// What the key is called, and who may use it.
#[derive(Clone, Debug)]
pub struct Names {
    /// `us-west-2`.
    pub region: String,
    /// The account's number.
    pub account: String,
    /// The key's id.
    pub id: String,
    /// Its alias, without `alias/`.
    pub alias: String,
    /// The id of the access key that requests must be signed with.
    pub access_key: String,
}

/// A KMS with one key, ECDSA P-256, made when it starts.
#[derive(Clone, Debug)]
pub struct Kms(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    key: PrivateKey,
    names: Names,
}

/// What a request has.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    key_id: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    message_type: String,
    #[serde(default)]
    signing_algorithm: String,
}

/// KMS's name of an error, and its words.
#[derive(Debug)]
struct Refusal(&'static str, String);

impl Kms {
    /// Makes the key.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new(names: Names) -> Result<Self, sealmark_keys::Error> {
        let key = PrivateKey::generate(Algorithm::EcdsaP256)?;
        Ok(Self(Arc::new(Inner { key, names })))
    }

    /// The key's ARN.
    pub fn arn(&self) -> String {
        self.0.names.arn(&format!("key/{}", self.0.names.id))
    }

    /// The one endpoint.
    pub fn router(self) -> Router {
        Router::new()
            .route("/", post(answer))
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .with_state(self.0)
    }

    /// Serves on `listener` until `shutdown` completes.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        listen::serve(self.router(), listener, shutdown).await;
    }
}

async fn answer(State(kms): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let (status, body) = match kms.answer(&headers, &body) {
        Ok(body) => (StatusCode::OK, body),
        Err(Refusal(code, message)) => (
            StatusCode::BAD_REQUEST,
            json!({ "__type": code, "message": message }),
        ),
    };
    (status, [(header::CONTENT_TYPE, JSON)], body.to_string()).into_response()
}

impl Names {
    fn arn(&self, resource: &str) -> String {
        let Self {
            region, account, ..
        } = self;
        format!("arn:aws:kms:{region}:{account}:{resource}")
    }

    /// Whether the key is called so.
    fn has(&self, name: &str) -> bool {
        let key = format!("key/{}", self.id);
        let alias = format!("alias/{}", self.alias);
        name == self.id || name == alias || name == self.arn(&key) || name == self.arn(&alias)
    }
}

impl Inner {
    fn answer(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let action = text("x-amz-target").and_then(|target| target.strip_prefix(TARGET));
        self.check_caller(text("authorization").unwrap_or_default())?;
        let request: Request = serde_json::from_slice(body)
            .map_err(|error| Refusal("SerializationException", error.to_string()))?;
        if !self.names.has(&request.key_id) {
            return Err(Refusal(
                "NotFoundException",
                format!("Key '{}' does not exist", request.key_id),
            ));
        }
        let arn = self.names.arn(&format!("key/{}", self.names.id));
        match action {
            Some("GetPublicKey") => Ok(json!({
                "KeyId": arn,
                "PublicKey": STANDARD.encode(self.key.public_key().spki_der()),
                "KeySpec": "ECC_NIST_P256",
                "KeyUsage": "SIGN_VERIFY",
                "SigningAlgorithms": [SCHEME],
            })),
            Some("DescribeKey") => Ok(json!({ "KeyMetadata": {
                "AWSAccountId": self.names.account,
                "Arn": arn,
                "KeyId": self.names.id,
                "KeySpec": "ECC_NIST_P256",
                "KeyUsage": "SIGN_VERIFY",
                "KeyState": "Enabled",
                "Enabled": true,
                "SigningAlgorithms": [SCHEME],
            }})),
            Some("Sign") => Ok(json!({
                "KeyId": arn,
                "Signature": STANDARD.encode(self.sign(&request)?),
                "SigningAlgorithm": SCHEME,
            })),
            other => Err(Refusal(
                "UnknownOperationException",
                format!("{} is not played here", other.unwrap_or("nothing")),
            )),
        }
    }

    /// Who asks, and for which region, stands in the request's signature:
    /// `AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, …`
    fn check_caller(&self, authorization: &str) -> Result<(), Refusal> {
        let credential = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=");
        let scope: Vec<&str> = credential
            .and_then(|rest| rest.split(',').next())
            .map(|scope| scope.trim().split('/').collect())
            .unwrap_or_default();
        let Names {
            access_key, region, ..
        } = &self.names;
        match scope[..] {
            [id, _, place, "kms", "aws4_request"] if id == access_key && place == region => Ok(()),
            [id, ..] if id != access_key => Err(Refusal(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.".to_owned(),
            )),
            _ => Err(Refusal(
                "InvalidSignatureException",
                format!("Credential should be scoped to kms in {region}"),
            )),
        }
    }

    fn sign(&self, request: &Request) -> Result<Vec<u8>, Refusal> {
        let invalid = |reason: &str| Refusal("ValidationException", reason.to_owned());
        if request.signing_algorithm != SCHEME {
            return Err(Refusal(
                "InvalidKeyUsageException",
                format!("the key signs {SCHEME} alone"),
            ));
        }
        let message = STANDARD
            .decode(&request.message)
            .map_err(|_| invalid("Message is not base64"))?;
        let signature = match request.message_type.as_str() {
            "DIGEST" => {
                let digest = Digest::from_bytes(HashAlgorithm::Sha256, &message)
                    .ok_or_else(|| invalid("Digest is invalid length for algorithm"))?;
                self.key.sign_digest(&digest)
            }
            _ if message.len() > MAX_RAW => {
                return Err(invalid("Message is too long to be signed as it is"));
            }
            _ => self.key.sign(&message),
        };
        signature.map_err(|error| Refusal("KMSInternalException", error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kms() -> Kms {
        Kms::new(Names {
            region: "us-west-2".to_owned(),
            account: "111122223333".to_owned(),
            id: "1234abcd-12ab-34cd-56ef-1234567890ab".to_owned(),
            alias: "release".to_owned(),
            access_key: "DEMO".to_owned(),
        })
        .unwrap()
    }

    fn ask(kms: &Kms, caller: &str, action: &str, body: &Value) -> Result<Value, Refusal> {
        let mut headers = HeaderMap::new();
        let credential = format!(
            "AWS4-HMAC-SHA256 Credential={caller}/aws4_request, SignedHeaders=host, Signature=00"
        );
        headers.insert("authorization", credential.parse().unwrap());
        headers.insert("x-amz-target", format!("{TARGET}{action}").parse().unwrap());
        kms.0.answer(&headers, body.to_string().as_bytes())
    }

    const CALLER: &str = "DEMO/20261123/us-west-2/kms";

    #[test]
    fn the_key_signs_digests_and_messages_under_each_of_its_names() {
        let kms = kms();
        let public = kms.0.key.public_key();
        for name in [
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/release",
            "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:us-west-2:111122223333:alias/release",
        ] {
            let found = ask(&kms, CALLER, "GetPublicKey", &json!({ "KeyId": name })).unwrap();
            assert_eq!(found["KeyId"], kms.arn());
            assert_eq!(found["PublicKey"], STANDARD.encode(public.spki_der()));
            for (kind, bytes) in [
                ("DIGEST", Digest::sha256(b"hello").bytes()),
                ("RAW", &b"hello"[..]),
            ] {
                let body = json!({
                    "KeyId": name,
                    "Message": STANDARD.encode(bytes),
                    "MessageType": kind,
                    "SigningAlgorithm": SCHEME,
                });
                let signed = ask(&kms, CALLER, "Sign", &body).unwrap();
                let signature = signed["Signature"].as_str().unwrap();
                let signature = STANDARD.decode(signature).unwrap();
                public.verify(b"hello", &signature).unwrap();
            }
        }
    }

    #[test]
    fn what_is_not_for_it_is_refused_as_kms_does() {
        let kms = kms();
        let key = json!({ "KeyId": "alias/release" });
        let sign = |kind: &str, message: &[u8], scheme: &str| {
            json!({
                "KeyId": "alias/release",
                "Message": STANDARD.encode(message),
                "MessageType": kind,
                "SigningAlgorithm": scheme,
            })
        };
        for (caller, action, body, code) in [
            (
                "OTHER/20261123/us-west-2/kms",
                "GetPublicKey",
                key.clone(),
                "UnrecognizedClientException",
            ),
            (
                "DEMO/20261123/eu-west-1/kms",
                "GetPublicKey",
                key.clone(),
                "InvalidSignatureException",
            ),
            (
                "DEMO/20261123/us-west-2/sts",
                "GetPublicKey",
                key.clone(),
                "InvalidSignatureException",
            ),
            (CALLER, "Encrypt", key, "UnknownOperationException"),
            (CALLER, "Sign", Value::Null, "SerializationException"),
            (
                CALLER,
                "GetPublicKey",
                json!({ "KeyId": "alias/other" }),
                "NotFoundException",
            ),
            (
                CALLER,
                "Sign",
                sign("DIGEST", &[0; 32], "RSASSA_PSS_SHA_256"),
                "InvalidKeyUsageException",
            ),
            (
                CALLER,
                "Sign",
                sign("DIGEST", &[0; 31], SCHEME),
                "ValidationException",
            ),
            (
                CALLER,
                "Sign",
                sign("RAW", &[0; MAX_RAW + 1], SCHEME),
                "ValidationException",
            ),
        ] {
            let Refusal(found, message) = ask(&kms, caller, action, &body).unwrap_err();
            assert_eq!(found, code, "{action}: {message}");
        }
    }
}
