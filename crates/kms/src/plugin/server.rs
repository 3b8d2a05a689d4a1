//! This program as a plugin: one call in, one answer out.

use std::io::Read;
use std::time::Duration;

use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Algorithm, Scheme};

use super::protocol::{
    Arguments, Bytes, DefaultAlgorithm, MessageOptions, Nothing, PublicKeyAnswer, Response,
    RpcOptions, Signed, SupportedAlgorithms, VERSION, hash,
};
use crate::{Input, KeyRef, MAX_MESSAGE, Options, RemoteKey, load};

/// What to print on standard output.
#[derive(Debug)]
pub struct Answer {
    /// The JSON.
    pub json: String,
    /// The error that is in it, or nothing.
    pub message: String,
}

impl Answer {
    /// The answer that the call failed.
    pub fn failure(message: &str) -> Self {
        Self::of(Response {
            error_message: message.to_owned(),
            ..Response::default()
        })
    }

    /// Whether it is an error.
    pub fn failed(&self) -> bool {
        !self.message.is_empty()
    }

    fn of(response: Response) -> Self {
        match serde_json::to_string(&response) {
            Ok(json) => Self {
                json,
                message: response.error_message,
            },
            // Text and numbers can be written; should that ever fail, the caller hears so.
            Err(error) => Self {
                json: r#"{"errorMessage":"the answer cannot be written"}"#.to_owned(),
                message: error.to_string(),
            },
        }
    }
}

/// Answers one call of a client that runs this program as `sigstore-kms-SCHEME`.
///
/// `words` are the arguments after the program's name; `stdin` is read only for methods that need it.
pub async fn answer<R>(scheme: &str, words: &[String], stdin: R, options: &Options) -> Answer
where
    R: Read + Send + 'static,
{
    match call(scheme, words, stdin, options).await {
        Ok(response) => Answer::of(response),
        Err(message) => Answer::failure(&message),
    }
}

async fn call<R>(
    scheme: &str,
    words: &[String],
    stdin: R,
    options: &Options,
) -> Result<Response, String>
where
    R: Read + Send + 'static,
{
    let [version, arguments] = words else {
        return Err(format!(
            "this is a plugin for keys, which cosign runs: cosign sign --key {scheme}://KEY …; run sealmark for everything \
             else"
        ));
    };
    if version != VERSION {
        return Err(format!(
            "this plugin speaks version {VERSION} of the protocol, not {version:?}"
        ));
    }
    let arguments: Arguments = serde_json::from_str(arguments)
        .map_err(|error| format!("cannot read the plugin's arguments: {error}"))?;
    let spoken = &arguments.init_options.protocol_version;
    if spoken != VERSION {
        return Err(format!(
            "this plugin speaks version {VERSION} of the protocol, not {spoken:?}"
        ));
    }
    let mut options = options.clone();
    if let Some(left) = left(&arguments)? {
        options.timeout = options.timeout.min(left);
        return tokio::time::timeout(left, method(scheme, &arguments, stdin, &options))
            .await
            .unwrap_or_else(|_| {
                Err(format!(
                    "the caller's deadline passed before {scheme} had answered"
                ))
            });
    }
    method(scheme, &arguments, stdin, &options).await
}

/// The time until the first of the deadlines.
fn left(arguments: &Arguments) -> Result<Option<Duration>, String> {
    let rpc = |options: &Option<RpcOptions>| options.as_ref()?.ctx_deadline.clone();
    let sign = arguments.sign_message.as_ref();
    let verify = arguments.verify_signature.as_ref();
    let public = arguments.public_key.as_ref();
    let deadlines = [
        arguments.init_options.ctx_deadline.clone(),
        rpc(&arguments.init_options.rpc_options),
        arguments
            .create_key
            .as_ref()
            .and_then(|create| create.ctx_deadline.clone()),
        public.and_then(|a| {
            a.public_key_options
                .as_ref()?
                .rpc_options
                .ctx_deadline
                .clone()
        }),
        sign.and_then(|a| a.sign_options.as_ref()?.rpc_options.ctx_deadline.clone()),
        verify.and_then(|a| a.verify_options.as_ref()?.rpc_options.ctx_deadline.clone()),
    ];
    let now = jiff::Timestamp::now();
    let mut first: Option<Duration> = None;
    for text in deadlines.into_iter().flatten() {
        let deadline: jiff::Timestamp = text
            .parse()
            .map_err(|_| format!("the deadline {text:?} is not a time of RFC 3339"))?;
        let left = Duration::try_from(deadline - now)
            .map_err(|_| format!("the caller's deadline {deadline} has passed"))?;
        first = Some(first.map_or(left, |least| least.min(left)));
    }
    Ok(first)
}

async fn method<R>(
    scheme: &str,
    arguments: &Arguments,
    stdin: R,
    options: &Options,
) -> Result<Response, String>
where
    R: Read + Send + 'static,
{
    let mut response = Response::default();
    match arguments.method_name.as_str() {
        "defaultAlgorithm" => {
            response.default_algorithm = Some(DefaultAlgorithm {
                default_algorithm: Algorithm::EcdsaP256.name().to_owned(),
            });
        }
        "supportedAlgorithms" => {
            let supported = Algorithm::ALL.iter().map(|a| a.name().to_owned());
            response.supported_algorithms = Some(SupportedAlgorithms {
                supported_algorithms: supported.collect(),
            });
        }
        "createKey" => {
            let create = arguments
                .create_key
                .as_ref()
                .ok_or("createKey has no arguments")?;
            let algorithm: Algorithm = create
                .algorithm
                .parse()
                .map_err(|error: sealmark_keys::Error| error.to_string())?;
            let key = reference(scheme, arguments)?;
            let made = load::create_key(&key, algorithm, options)
                .await
                .map_err(|error| error.to_string())?;
            response.create_key = Some(pem(&made));
        }
        "publicKey" => {
            response.public_key = Some(pem(&key(scheme, arguments, options).await?));
        }
        "signMessage" => {
            let given = arguments
                .sign_message
                .as_ref()
                .and_then(|sign| sign.sign_options.as_ref());
            let given = given.map(|options| &options.message_options);
            let mut key = key(scheme, arguments, options).await?;
            key.scheme = chosen(&key, given, &arguments.init_options)?;
            let data = data(key.scheme, given, stdin).await?;
            let signature = key.sign(data.input()).await.map_err(|e| e.to_string())?;
            response.sign_message = Some(Signed {
                signature: Bytes(signature),
            });
        }
        "verifySignature" => {
            let verify = arguments
                .verify_signature
                .as_ref()
                .ok_or("verifySignature has no arguments")?;
            let given = verify.verify_options.as_ref();
            let remotely = [
                given.map(|options| &options.rpc_options),
                arguments.init_options.rpc_options.as_ref(),
            ];
            let remotely = remotely
                .into_iter()
                .flatten()
                .any(|rpc| rpc.remote_verification == Some(true));
            let given = given.map(|options| &options.message_options);
            let mut key = key(scheme, arguments, options).await?;
            key.scheme = chosen(&key, given, &arguments.init_options)?;
            let data = data(key.scheme, given, stdin).await?;
            check(&key, data.input(), &verify.signature.0, remotely).await?;
            response.verify_signature = Some(Nothing {});
        }
        other => return Err(format!("the method {other:?} is not supported")),
    }
    Ok(response)
}

async fn check(
    key: &RemoteKey,
    input: Input<'_>,
    signature: &[u8],
    remotely: bool,
) -> Result<(), String> {
    if remotely {
        let good = key.service.verify(key.scheme, input, signature);
        return match good.await.map_err(|error| error.to_string())? {
            true => Ok(()),
            false => Err(format!(
                "{} says that the signature is not by this key over this data",
                key.name
            )),
        };
    }
    let checked = match input {
        Input::Digest(digest) => key
            .public
            .verify_digest_scheme(key.scheme, digest, signature),
        Input::Message(message) => key.public.verify_scheme(key.scheme, message, signature),
    };
    checked.map_err(|error| format!("{}: {error}", key.name))
}

/// The reference that the caller gave. Only what is built in counts: a plugin that asked plugins could ask itself.
fn reference(scheme: &str, arguments: &Arguments) -> Result<KeyRef, String> {
    let resource = &arguments.init_options.key_resource_id;
    let start = format!("{scheme}://");
    let resource = resource.strip_prefix(&start).unwrap_or(resource);
    let key = KeyRef::parse_built_in(&format!("{start}{resource}")).map_err(|e| e.to_string())?;
    let public = arguments.public_key.as_ref();
    let sign = arguments.sign_message.as_ref();
    let version = [
        arguments
            .init_options
            .rpc_options
            .as_ref()
            .and_then(|rpc| rpc.key_version.clone()),
        public.and_then(|a| {
            a.public_key_options
                .as_ref()?
                .rpc_options
                .key_version
                .clone()
        }),
        sign.and_then(|a| a.sign_options.as_ref()?.rpc_options.key_version.clone()),
    ];
    let version = version
        .into_iter()
        .flatten()
        .find(|version| !version.is_empty());
    match (key, version) {
        (key, None) => Ok(key),
        (KeyRef::Azure(key), Some(version)) => {
            KeyRef::parse_built_in(&key.at(&version).to_string()).map_err(|e| e.to_string())
        }
        (_, Some(version)) => Err(format!(
            "a key version beside the reference ({version:?}) is not supported; put it into the reference"
        )),
    }
}

async fn key(scheme: &str, arguments: &Arguments, options: &Options) -> Result<RemoteKey, String> {
    let key = reference(scheme, arguments)?;
    load::remote(&key, options)
        .await
        .map_err(|error| error.to_string())?
        .ok_or_else(|| format!("{scheme}:// names no key that stays with a provider"))
}

fn pem(key: &RemoteKey) -> PublicKeyAnswer {
    PublicKeyAnswer {
        public_key_pem: Bytes(key.public.to_pem().into_bytes()),
    }
}

/// The scheme with the hash that is asked for. What the call itself asks for must be had; what the caller set up for all
/// calls is a wish, as it does not know the key: an RSA key has it, with a curve goes the curve's own hash.
fn chosen(
    key: &RemoteKey,
    given: Option<&MessageOptions>,
    init: &super::protocol::InitOptions,
) -> Result<Scheme, String> {
    let key_type = key.public.key_type();
    let of = |number: u32| -> Result<Option<HashAlgorithm>, String> {
        match number {
            0 => Ok(None),
            number => hash(number).map(Some).ok_or_else(|| {
                format!("the hash {number} of Go's crypto is none of SHA-256 (5), SHA-384 (6), SHA-512 (7)")
            }),
        }
    };
    let asked = of(given.and_then(|given| given.hash_func).unwrap_or(0))?;
    let wished = of(init.hash_func)?;
    let same = |hash: HashAlgorithm| key.scheme.hash() == Some(hash);
    match (asked, wished) {
        (None, None) => Ok(key.scheme),
        (Some(hash), _) | (None, Some(hash)) if same(hash) => Ok(key.scheme),
        (Some(hash), _) | (None, Some(hash))
            if matches!(key_type, sealmark_keys::KeyType::Rsa { .. }) =>
        {
            Ok(key_type.schemes_with(hash)[0])
        }
        (None, Some(_)) => Ok(key.scheme),
        (Some(hash), _) => Err(format!(
            "{} signs with {}, not with {hash}",
            key.name,
            key.scheme.describe(key_type)
        )),
    }
}

/// What is to be signed or was.
enum Data {
    Digest(Digest),
    Message(Vec<u8>),
}

impl Data {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Digest(digest) => Input::Digest(digest),
            Self::Message(message) => Input::Message(message),
        }
    }
}

/// The digest of the options, or that of standard input.
async fn data<R>(scheme: Scheme, given: Option<&MessageOptions>, stdin: R) -> Result<Data, String>
where
    R: Read + Send + 'static,
{
    let digest = given.and_then(|given| given.digest.as_ref());
    match (digest.filter(|digest| !digest.0.is_empty()), scheme.hash()) {
        (Some(bytes), Some(hash)) => Digest::from_bytes(hash, &bytes.0)
            .map(Data::Digest)
            .ok_or_else(|| {
                format!(
                    "a digest of {} bytes was given, and this key signs {hash} digests, of {} bytes",
                    bytes.0.len(),
                    hash.digest_len()
                )
            }),
        (Some(_), None) => Err("this key signs the data itself, and only a digest was given".into()),
        (None, _) => tokio::task::spawn_blocking(move || read(stdin, scheme))
            .await
            .map_err(|error| error.to_string())?,
    }
}

fn read(mut stdin: impl Read, scheme: Scheme) -> Result<Data, String> {
    let failed = |error: std::io::Error| format!("cannot read standard input: {error}");
    let Some(hash) = scheme.hash() else {
        let mut message = Vec::new();
        stdin
            .take(MAX_MESSAGE as u64 + 1)
            .read_to_end(&mut message)
            .map_err(failed)?;
        return match message.len() > MAX_MESSAGE {
            true => Err(format!(
                "the data is larger than {} MiB, which is the most that such a key signs",
                MAX_MESSAGE >> 20
            )),
            false => Ok(Data::Message(message)),
        };
    };
    let mut hasher = sealmark_formats::Hasher::new(hash);
    let mut piece = vec![0; 64 << 10];
    loop {
        match stdin.read(&mut piece) {
            Ok(0) => return Ok(Data::Digest(hasher.finish())),
            Ok(n) => hasher.update(&piece[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}
