//! A key that somebody else's plugin has.

use core::fmt;
use std::sync::Arc;

use sealmark_keys::{Algorithm, PublicKey, Scheme};

use super::protocol::{
    Arguments, Bytes, CreateKey, InitOptions, MessageOptions, Nothing, PublicKeyAnswer,
    PublicKeyArguments, PublicKeyOptions, Response, RpcOptions, SignMessage, SignOptions, VERSION,
    VerifySignature, number,
};
use super::{Error, PREFIX};
use crate::program::Program;
use crate::{Input, KeyService, Options, Pending, RemoteKey};

/// Longest part of a reference that is printed.
const MAX_SHOWN: usize = 200;

/// A key of a plugin: `NAME://…`.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Key {
    scheme: String,
    resource: String,
}

impl Key {
    /// The key, if there is a plugin for the scheme in `PATH`.
    pub(crate) fn find(scheme: &str, resource: &str) -> Option<Self> {
        Program::find(&format!("{PREFIX}{scheme}"))?;
        Some(Self {
            scheme: scheme.to_owned(),
            resource: resource.to_owned(),
        })
    }

    fn program(&self) -> String {
        format!("{PREFIX}{}", self.scheme)
    }
}

/// Without what may be a secret: user name, password and query.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rest, cut) = match self.resource.find(['?', '#']) {
            Some(at) => (&self.resource[..at], "…"),
            None => (self.resource.as_str(), ""),
        };
        let (user, rest) = match rest.rfind('@') {
            Some(at) => ("…", &rest[at..]),
            None => ("", rest),
        };
        let rest: String = rest
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_SHOWN)
            .collect();
        write!(f, "{}://{user}{rest}{cut}", self.scheme)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Finds the key.
pub(crate) async fn open(key: &Key, options: &Options) -> Result<RemoteKey, Error> {
    let plugin = Plugin {
        key: key.clone(),
        options: options.clone(),
    };
    let mut call = plugin.call("publicKey", None);
    call.public_key = Some(PublicKeyArguments {
        public_key_options: Some(PublicKeyOptions::default()),
    });
    let answer = plugin
        .ask(&call, Vec::new())
        .await?
        .public_key
        .ok_or_else(|| plugin.error("answered without a public key"))?;
    plugin.key_of(answer)
}

/// Has the plugin make the key. Which names of algorithms it knows is its own affair: ours is what it is asked for.
pub(crate) async fn create(
    key: &Key,
    algorithm: Algorithm,
    options: &Options,
) -> Result<RemoteKey, Error> {
    let plugin = Plugin {
        key: key.clone(),
        options: options.clone(),
    };
    let mut call = plugin.call("supportedAlgorithms", None);
    call.supported_algorithms = Some(Nothing {});
    let supported = plugin.ask(&call, Vec::new()).await?.supported_algorithms;
    let supported = supported.map_or_else(Vec::new, |answer| answer.supported_algorithms);
    if !supported.iter().any(|name| name == algorithm.name()) {
        let known = sealmark_http::sanitise(&supported.join(", "));
        return Err(plugin.error(format!("makes no {algorithm} keys; it makes: {known}")));
    }
    let mut call = plugin.call("createKey", None);
    call.create_key = Some(CreateKey {
        ctx_deadline: plugin.deadline(),
        algorithm: algorithm.name().to_owned(),
    });
    let answer = plugin
        .ask(&call, Vec::new())
        .await?
        .create_key
        .ok_or_else(|| plugin.error("answered without a public key"))?;
    plugin.key_of(answer)
}

#[derive(Debug)]
struct Plugin {
    key: Key,
    options: Options,
}

impl Plugin {
    /// The key with the public key that was answered.
    fn key_of(self, answer: PublicKeyAnswer) -> Result<RemoteKey, Error> {
        let public = PublicKey::from_pem(&answer.public_key_pem.0).map_err(|error| {
            self.error(format!("gave a public key that cannot be used: {error}"))
        })?;
        let scheme = public.key_type().schemes()[0];
        self.options.tell(format!(
            "key {} of the plugin {}: {}",
            self.key,
            self.key.program(),
            scheme.describe(public.key_type())
        ));
        Ok(RemoteKey {
            name: self.key.to_string(),
            public,
            scheme,
            service: Arc::new(self),
        })
    }

    fn error(&self, reason: impl Into<String>) -> Error {
        Error {
            key: self.key.to_string(),
            program: self.key.program(),
            reason: reason.into(),
        }
    }

    fn call(&self, method: &str, scheme: Option<Scheme>) -> Arguments {
        let hash = scheme.and_then(Scheme::hash);
        Arguments {
            init_options: InitOptions {
                ctx_deadline: self.deadline(),
                protocol_version: VERSION.to_owned(),
                key_resource_id: self.key.resource.clone(),
                hash_func: number(hash.unwrap_or(sealmark_formats::HashAlgorithm::Sha256)),
                rpc_options: Some(RpcOptions::default()),
            },
            method_name: method.to_owned(),
            default_algorithm: None,
            supported_algorithms: None,
            create_key: None,
            public_key: None,
            sign_message: None,
            verify_signature: None,
        }
    }

    fn deadline(&self) -> Option<String> {
        let now = jiff::Timestamp::now();
        let end = now.checked_add(self.options.timeout).ok()?;
        Some(end.to_string())
    }

    async fn ask(&self, call: &Arguments, stdin: Vec<u8>) -> Result<Response, Error> {
        let program = Program::find(&self.key.program())
            .ok_or_else(|| self.error("is not in PATH any more"))?;
        let arguments = serde_json::to_string(call)
            .map_err(|error| self.error(format!("cannot be asked: {error}")))?;
        let output = program
            .run(&[VERSION, &arguments], stdin, self.options.timeout)
            .await
            .map_err(|reason| self.error(format!("failed: {reason}")))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = match sealmark_http::sanitise(&complaint) {
            text if text.is_empty() => text,
            text => format!("; it says: {text}"),
        };
        if !output.exited {
            return Err(self.error(format!("was ended by a signal{complaint}")));
        }
        let answer: Response = serde_json::from_slice(&output.stdout).map_err(|_| {
            self.error(format!(
                "did not answer in JSON as the protocol wants it{complaint}"
            ))
        })?;
        match answer.error_message.as_str() {
            "" => Ok(answer),
            message => Err(self.error(format!("says: {}", sealmark_http::sanitise(message)))),
        }
    }

    /// What a signature is over: the digest as an option, or the data on standard input.
    fn input(scheme: Scheme, input: Input<'_>) -> (SignOptions, Vec<u8>) {
        let (digest, message) = match input {
            Input::Digest(digest) => (Some(Bytes(digest.bytes().to_vec())), Vec::new()),
            Input::Message(message) => (None, message.to_vec()),
        };
        let options = SignOptions {
            rpc_options: RpcOptions::default(),
            message_options: MessageOptions {
                digest,
                hash_func: scheme.hash().map(number),
            },
        };
        (options, message)
    }

    async fn sign(&self, scheme: Scheme, input: Input<'_>) -> Result<Vec<u8>, Error> {
        let (options, message) = Self::input(scheme, input);
        let mut call = self.call("signMessage", Some(scheme));
        call.sign_message = Some(SignMessage {
            sign_options: Some(options),
        });
        let answer = self.ask(&call, message).await?;
        let signed = answer
            .sign_message
            .ok_or_else(|| self.error("answered without a signature"))?;
        Ok(signed.signature.0)
    }

    async fn verify(
        &self,
        scheme: Scheme,
        input: Input<'_>,
        signature: &[u8],
    ) -> Result<bool, Error> {
        let (mut options, message) = Self::input(scheme, input);
        options.rpc_options.remote_verification = Some(true);
        let mut call = self.call("verifySignature", Some(scheme));
        call.verify_signature = Some(VerifySignature {
            signature: Bytes(signature.to_vec()),
            verify_options: Some(options),
        });
        // The protocol has one kind of failure: a bad signature is an error like any other.
        let answer = self.ask(&call, message).await?;
        Ok(answer.verify_signature.is_some())
    }
}

impl KeyService for Plugin {
    fn sign<'a>(&'a self, scheme: Scheme, input: Input<'a>) -> Pending<'a, Vec<u8>> {
        Box::pin(async move { Ok(self.sign(scheme, input).await?) })
    }

    fn verify<'a>(
        &'a self,
        scheme: Scheme,
        input: Input<'a>,
        signature: &'a [u8],
    ) -> Pending<'a, bool> {
        Box::pin(async move { Ok(self.verify(scheme, input, signature).await?) })
    }
}
