//! One key in AWS KMS: what it is, what it signs, how it is made.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::{Algorithm, KeyType, PublicKey, Scheme};
use serde::Deserialize;
use serde_json::{Value, json};

use super::calls::Client;
use super::reference::Id;
use super::{Error, Key};
use crate::{Input, KeyService, Options, Pending, RemoteKey};

/// The most that KMS signs as a message and not as a digest.
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html>
const MAX_MESSAGE: usize = 4096;

/// What `GetPublicKey` answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    key_id: String,
    public_key: String,
    #[serde(alias = "CustomerMasterKeySpec")]
    key_spec: Option<String>,
    key_usage: Option<String>,
    #[serde(default)]
    signing_algorithms: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Signed {
    signature: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Checked {
    signature_valid: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    key_metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    arn: String,
}

/// A key, and the way to it.
#[derive(Debug)]
struct Service {
    client: Arc<Client>,
    /// As KMS is asked for it: what the user wrote, for a permission may hang on the alias.
    id: String,
    algorithms: Vec<String>,
}

/// Gets the public key.
pub(crate) async fn load(key: &Key, options: &Options) -> Result<RemoteKey, Error> {
    options.tell(format!("key {key}"));
    let client = Client::new(key, options).await?;
    read(client, key, options).await
}

async fn read(client: Arc<Client>, key: &Key, options: &Options) -> Result<RemoteKey, Error> {
    let id = key.id.to_string();
    let found: Description = client.call("GetPublicKey", json!({ "KeyId": id })).await?;
    let spec = found.key_spec.unwrap_or_default();
    let unsuitable = |reason: String| Error::Unsuitable {
        key: key.to_string(),
        reason,
    };
    if let Some(reason) = other_use(&spec, found.key_usage.as_deref()) {
        return Err(unsuitable(reason));
    }
    let answer = |reason: String| Error::Answer {
        action: "kms:GetPublicKey".to_owned(),
        host: client.host(),
        reason,
    };
    let der = STANDARD.decode(&found.public_key);
    let der = der.map_err(|_| answer("the public key is not base64".to_owned()))?;
    let public = PublicKey::from_spki_der(&der).map_err(|error| answer(error.to_string()))?;
    let scheme = scheme_of(&public);
    if !found
        .signing_algorithms
        .iter()
        .any(|name| name == name_of(scheme))
    {
        return Err(unsuitable(format!(
            "AWS offers {} for it, and not {}",
            found.signing_algorithms.join(", "),
            name_of(scheme)
        )));
    }
    // The answer names the key itself, also if an alias was asked for, which may lead elsewhere tomorrow.
    let name = match Key::parse(&found.key_id) {
        Ok(pinned) => Key {
            endpoint: key.endpoint.clone(),
            ..pinned
        },
        Err(_) => key.clone(),
    };
    options.tell(format!(
        "AWS key {name}: {spec}, signs {}",
        scheme.describe(public.key_type())
    ));
    Ok(RemoteKey {
        name: name.to_string(),
        public,
        scheme,
        service: Arc::new(Service {
            client,
            id,
            algorithms: found.signing_algorithms,
        }),
    })
}

/// Why a key of this kind does not sign here.
fn other_use(spec: &str, usage: Option<&str>) -> Option<String> {
    let make = "make one that signs: sealmark generate-key-pair --kms awskms:///alias/NAME";
    let usage = usage.unwrap_or("SIGN_VERIFY");
    Some(match spec {
        "SYMMETRIC_DEFAULT" => {
            format!("it is a symmetric key (SYMMETRIC_DEFAULT), which encrypts; {make}")
        }
        hmac if hmac.starts_with("HMAC_") => format!(
            "it is a symmetric key ({spec}), whose codes only its holders can check; {make}"
        ),
        _ if usage != "SIGN_VERIFY" => {
            format!("it is for {usage} and not for SIGN_VERIFY, which cannot be changed; {make}")
        }
        "ECC_SECG_P256K1" => {
            format!("its curve is secp256k1, which Sigstore's formats do not have; {make}")
        }
        "SM2" => format!("it is an SM2 key, which Sigstore's formats do not have; {make}"),
        pq if pq.starts_with("ML_DSA_") => {
            format!("it is an ML-DSA key ({spec}), which is not supported; {make}")
        }
        _ => return None,
    })
}

/// What a key of this kind signs with here.
fn scheme_of(public: &PublicKey) -> Scheme {
    match public.key_type() {
        KeyType::Rsa { .. } => Scheme::RsaPkcs1Sha256,
        key => key.schemes()[0],
    }
}

/// KMS's name of a scheme.
fn name_of(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::EcdsaSha256 => "ECDSA_SHA_256",
        Scheme::EcdsaSha384 => "ECDSA_SHA_384",
        Scheme::EcdsaSha512 => "ECDSA_SHA_512",
        Scheme::RsaPkcs1Sha256 => "RSASSA_PKCS1_V1_5_SHA_256",
        Scheme::RsaPkcs1Sha384 => "RSASSA_PKCS1_V1_5_SHA_384",
        Scheme::RsaPkcs1Sha512 => "RSASSA_PKCS1_V1_5_SHA_512",
        Scheme::RsaPssSha256 => "RSASSA_PSS_SHA_256",
        Scheme::RsaPssSha384 => "RSASSA_PSS_SHA_384",
        Scheme::RsaPssSha512 => "RSASSA_PSS_SHA_512",
        Scheme::Ed25519 => "ED25519_SHA_512",
        Scheme::Ed25519ph => "ED25519_PH_SHA_512",
    }
}

impl Service {
    /// The members that `Sign` and `Verify` share.
    fn request(&self, scheme: Scheme, input: Input<'_>) -> Result<Value, Error> {
        let unsuitable = |reason: String| Error::Unsuitable {
            key: self.client.key.clone(),
            reason,
        };
        let name = name_of(scheme);
        if !self.algorithms.iter().any(|offered| offered == name) {
            return Err(unsuitable(format!(
                "AWS offers {} for it, and not {name}",
                self.algorithms.join(", ")
            )));
        }
        let (message, kind) = match input {
            Input::Digest(digest) => (digest.bytes(), "DIGEST"),
            Input::Message(message) if message.len() > MAX_MESSAGE => {
                return Err(unsuitable(format!(
                    "{} bytes are to be signed, and AWS KMS signs at most {MAX_MESSAGE} with Ed25519, which signs the \
                     data itself and no digest; use an ECDSA or RSA key",
                    message.len()
                )));
            }
            Input::Message(message) => (message, "RAW"),
        };
        Ok(json!({
            "KeyId": self.id,
            "Message": STANDARD.encode(message),
            "MessageType": kind,
            "SigningAlgorithm": name,
        }))
    }

    async fn sign_it(&self, scheme: Scheme, input: Input<'_>) -> Result<Vec<u8>, Error> {
        let request = self.request(scheme, input)?;
        let signed: Signed = self.client.call("Sign", request).await?;
        STANDARD
            .decode(&signed.signature)
            .map_err(|_| Error::Answer {
                action: "kms:Sign".to_owned(),
                host: self.client.host(),
                reason: "the signature is not base64".to_owned(),
            })
    }

    async fn verify_it(
        &self,
        scheme: Scheme,
        input: Input<'_>,
        signature: &[u8],
    ) -> Result<bool, Error> {
        let mut request = self.request(scheme, input)?;
        request["Signature"] = STANDARD.encode(signature).into();
        match self.client.try_call::<Checked>("Verify", &request).await? {
            Ok(checked) => Ok(checked.signature_valid),
            // It is an error to KMS.
            Err(said) if said.code == "KMSInvalidSignatureException" => Ok(false),
            Err(said) => Err(self.client.refused("Verify", said)),
        }
    }
}

impl KeyService for Service {
    fn sign<'a>(&'a self, scheme: Scheme, input: Input<'a>) -> Pending<'a, Vec<u8>> {
        Box::pin(async move { Ok(self.sign_it(scheme, input).await?) })
    }

    fn verify<'a>(
        &'a self,
        scheme: Scheme,
        input: Input<'a>,
        signature: &'a [u8],
    ) -> Pending<'a, bool> {
        Box::pin(async move { Ok(self.verify_it(scheme, input, signature).await?) })
    }
}

/// Makes a key, which gets its id from AWS and its name from the alias of the reference.
pub(crate) async fn create(
    key: &Key,
    algorithm: Algorithm,
    options: &Options,
) -> Result<RemoteKey, Error> {
    let failed = |reason: String| Error::Create {
        key: key.to_string(),
        reason,
    };
    let alias = match &key.id {
        Id::Alias(name) => format!("alias/{name}"),
        Id::Arn(arn) if arn.resource.starts_with("alias/") => arn.resource.clone(),
        _ => {
            return Err(failed(
                "a new key gets its id from AWS; name it by an alias: awskms:///alias/NAME"
                    .to_owned(),
            ));
        }
    };
    if alias.starts_with("alias/aws/") {
        return Err(failed(
            "aliases that begin with aws/ are AWS's own".to_owned(),
        ));
    }
    options.tell(format!("key {key}"));
    let client = Client::new(key, options).await?;
    // Before a key is made that nobody would ever use, and that costs money.
    let request = json!({ "KeyId": key.id.to_string() });
    match client
        .try_call::<Description>("GetPublicKey", &request)
        .await?
    {
        Err(said) if said.is_not_found() => {}
        Err(said) if said.code == "AccessDeniedException" => {
            return Err(client.refused("GetPublicKey", said));
        }
        Ok(found) => {
            return Err(failed(format!(
                "the alias is that of the key {} already, and nothing was made; sealmark public-key --key {key} shows it",
                found.key_id
            )));
        }
        Err(said) => {
            return Err(failed(format!(
                "the alias is in use, and nothing was made ({}: {})",
                said.code, said.message
            )));
        }
    }
    let request = json!({
        "KeySpec": spec_of(algorithm),
        "KeyUsage": "SIGN_VERIFY",
        "Description": "Made by sealmark generate-key-pair",
    });
    let created: Created = client.call("CreateKey", request).await?;
    let arn = created.key_metadata.arn;
    options.tell(format!("AWS key {arn} made"));
    let request = json!({ "AliasName": alias, "TargetKeyId": arn });
    if let Err(said) = client.try_call_empty("CreateAlias", &request).await? {
        let refused = client.refused("CreateAlias", said);
        return Err(failed(format!(
            "{refused}; the key {arn} was made and has no alias: give it one, or delete it with aws kms \
             schedule-key-deletion --region {} --key-id {arn}",
            client.place.region
        )));
    }
    read(client, key, options).await
}

fn spec_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EcdsaP256 => "ECC_NIST_P256",
        Algorithm::EcdsaP384 => "ECC_NIST_P384",
        Algorithm::EcdsaP521 => "ECC_NIST_P521",
        Algorithm::Ed25519 => "ECC_NIST_EDWARDS25519",
        Algorithm::Rsa2048 => "RSA_2048",
        Algorithm::Rsa3072 => "RSA_3072",
        Algorithm::Rsa4096 => "RSA_4096",
    }
}
