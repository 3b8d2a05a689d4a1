//! A double of KMS, STS and the services that hand out credentials, on loopback, by what AWS documents of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_testkit::{FaultyServer, Reply, Request};
use serde_json::{Value, json};

/// A running double.
pub(crate) struct Double(FaultyServer);

impl Double {
    /// With one key, under every name. `special` may answer first.
    pub(crate) fn start(
        algorithm: Algorithm,
        special: impl Fn(&Call<'_>) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let key = PrivateKey::generate(algorithm).unwrap();
        let server = FaultyServer::start(move |request| {
            let call = Call::of(request);
            special(&call).unwrap_or_else(|| answer(&key, algorithm, &call))
        });
        Self(server)
    }

    pub(crate) fn address(&self) -> &str {
        self.0.address()
    }

    /// Which calls there were: `Sign alias/release us-west-2 AKIAENVIRONMENT`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let requests = self.0.requests();
        let calls = requests.iter().map(Call::of);
        calls.map(|call| call.to_string()).collect()
    }
}

/// A request, understood.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    /// `Sign`; for others the path.
    pub(crate) action: String,
    pub(crate) body: Value,
    /// Whose access key signed it.
    pub(crate) by: String,
    pub(crate) region: String,
}

impl<'a> Call<'a> {
    fn of(request: &'a Request) -> Self {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let target = request.header("x-amz-target").map(str::to_owned);
        let action = target.and_then(|target| Some(target.split_once('.')?.1.to_owned()));
        let form = || {
            let (_, rest) = text.split_once("Action=")?;
            Some(rest.split('&').next()?.to_owned())
        };
        let scope = request.header("authorization").unwrap_or_default();
        let scope = scope.split_once("Credential=").map_or("", |(_, rest)| rest);
        let mut scope = scope.split('/');
        Self {
            action: action.or_else(form).unwrap_or_else(|| request.path.clone()),
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            by: scope.next().unwrap_or_default().to_owned(),
            region: scope.nth(1).unwrap_or_default().to_owned(),
            request,
        }
    }

    pub(crate) fn key(&self) -> &str {
        self.body["KeyId"].as_str().unwrap_or_default()
    }
}

impl std::fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = [&*self.action, self.key(), &self.region, &self.by];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        f.write_str(&words.join(" "))
    }
}

/// A refusal in KMS's form.
pub(crate) fn refusal(code: &str, message: &str) -> Reply {
    let body = json!({ "__type": code, "message": message });
    Reply::status(400).body(body.to_string())
}

pub(crate) fn good(body: &Value) -> Reply {
    Reply::status(200).body(body.to_string())
}

fn specification(algorithm: Algorithm) -> (&'static str, &'static str, HashAlgorithm) {
    match algorithm {
        Algorithm::EcdsaP384 => ("ECC_NIST_P384", "ECDSA_SHA_384", HashAlgorithm::Sha384),
        Algorithm::Ed25519 => (
            "ECC_NIST_EDWARDS25519",
            "ED25519_SHA_512",
            HashAlgorithm::Sha512,
        ),
        Algorithm::Rsa2048 => (
            "RSA_2048",
            "RSASSA_PKCS1_V1_5_SHA_256",
            HashAlgorithm::Sha256,
        ),
        _ => ("ECC_NIST_P256", "ECDSA_SHA_256", HashAlgorithm::Sha256),
    }
}

fn answer(key: &PrivateKey, algorithm: Algorithm, call: &Call<'_>) -> Reply {
    let (spec, name, hash) = specification(algorithm);
    let message = || {
        STANDARD
            .decode(call.body["Message"].as_str().unwrap_or_default())
            .unwrap()
    };
    match &*call.action {
        "GetPublicKey" => good(&json!({
            "KeyId": super::ARN,
            "PublicKey": STANDARD.encode(key.public_key().spki_der()),
            "KeySpec": spec,
            "KeyUsage": "SIGN_VERIFY",
            "SigningAlgorithms": [name],
        })),
        "Sign" if call.body["SigningAlgorithm"] != name => {
            refusal("InvalidKeyUsageException", "wrong algorithm")
        }
        "Sign" => {
            let signature = match call.body["MessageType"].as_str() {
                Some("DIGEST") => {
                    key.sign_digest(&Digest::from_bytes(hash, &message()).unwrap())
                }
                _ => key.sign(&message()),
            };
            good(&json!({ "Signature": STANDARD.encode(signature.unwrap()) }))
        }
        "Verify" => {
            let signature = call.body["Signature"].as_str().unwrap_or_default();
            let signature = STANDARD.decode(signature).unwrap();
            let verified = match call.body["MessageType"].as_str() {
                Some("DIGEST") => {
                    let digest = Digest::from_bytes(hash, &message()).unwrap();
                    key.public_key().verify_digest(&digest, &signature)
                }
                _ => key.public_key().verify(&message(), &signature),
            };
            match verified {
                Ok(_) => good(&json!({ "SignatureValid": true })),
                Err(_) => refusal("KMSInvalidSignatureException", ""),
            }
        }
        "GetCallerIdentity" => Reply::status(200).body(format!(
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::562077019569:user/{}</Arn>\
             </GetCallerIdentityResult></GetCallerIdentityResponse>",
            call.by
        )),
        _ => Reply::status(404),
    }
}
