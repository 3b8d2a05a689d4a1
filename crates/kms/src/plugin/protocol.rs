//! The messages of the protocol, version 1, as the field names of Go's `cliplugin/common` have them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::HashAlgorithm;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The version that is spoken.
pub(crate) const VERSION: &str = "v1";

/// Bytes, in JSON as base64.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Go writes null for an empty slice.
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("not base64"))
    }
}

/// All that a plugin is told.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Arguments {
    pub(crate) init_options: InitOptions,
    pub(crate) method_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_algorithm: Option<Nothing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) supported_algorithms: Option<Nothing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) create_key: Option<CreateKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) public_key: Option<PublicKeyArguments>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sign_message: Option<SignMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verify_signature: Option<VerifySignature>,
}

/// Arguments of a method that has none.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Nothing {}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitOptions {
    /// RFC 3339
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ctx_deadline: Option<String>,
    #[serde(default)]
    pub(crate) protocol_version: String,
    /// What follows `NAME://`
    #[serde(rename = "keyResourceID")]
    pub(crate) key_resource_id: String,
    /// The number of a hash in Go's package `crypto`
    #[serde(default)]
    pub(crate) hash_func: u32,
    pub(crate) rpc_options: Option<RpcOptions>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ctx_deadline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remote_verification: Option<bool>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hash_func: Option<u32>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ctx_deadline: Option<String>,
    pub(crate) algorithm: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublicKeyArguments {
    pub(crate) public_key_options: Option<PublicKeyOptions>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublicKeyOptions {
    #[serde(default)]
    pub(crate) rpc_options: RpcOptions,
}

/// What signing and verifying are told alike.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignOptions {
    #[serde(default)]
    pub(crate) rpc_options: RpcOptions,
    #[serde(default)]
    pub(crate) message_options: MessageOptions,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignMessage {
    pub(crate) sign_options: Option<SignOptions>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifySignature {
    pub(crate) signature: Bytes,
    pub(crate) verify_options: Option<SignOptions>,
}

/// What a plugin answers.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Response {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) error_message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_algorithm: Option<DefaultAlgorithm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) supported_algorithms: Option<SupportedAlgorithms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) create_key: Option<PublicKeyAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) public_key: Option<PublicKeyAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sign_message: Option<Signed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verify_signature: Option<Nothing>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DefaultAlgorithm {
    pub(crate) default_algorithm: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SupportedAlgorithms {
    pub(crate) supported_algorithms: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct PublicKeyAnswer {
    #[serde(rename = "publicKeyPEM")]
    pub(crate) public_key_pem: Bytes,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Signed {
    pub(crate) signature: Bytes,
}

/// A hash's number in Go's package `crypto`.
pub(crate) fn number(hash: HashAlgorithm) -> u32 {
    match hash {
        HashAlgorithm::Sha256 => 5,
        HashAlgorithm::Sha384 => 6,
        HashAlgorithm::Sha512 => 7,
    }
}

/// The hash of a number.
pub(crate) fn hash(number: u32) -> Option<HashAlgorithm> {
    HashAlgorithm::ALL
        .into_iter()
        .find(|hash| self::number(*hash) == number)
}
