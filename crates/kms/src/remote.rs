//! Keys that never leave where they are.
//!
//! Each provider is a module that understands its references and implements [`KeyService`]; what all have in common
//! is here, once:
//!
//! - Everything ends within [`Options::timeout`] for each request.
//! - A signature is checked here with the public key before anybody gets it, whatever the provider says of it.
//! - What was chosen (which credential, which identity, which version of the key) is told to [`Options::note`],
//!   secrets never.

use std::fmt;
use std::future::Future;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sealmark_formats::{Digest, Hasher};
use sealmark_http::OnRequest;
use sealmark_keys::{Elsewhere, Input, PrivateKey, PublicKey, Scheme};
use tokio::runtime::Handle;

use crate::Error;

/// Asks a person for a secret, with this text; may block.
pub type Ask = Arc<dyn Fn(&str) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> + Send + Sync>;

/// How long one request to a provider may take.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that is sent to be signed where a digest cannot be (Ed25519): as much as a provider takes, and a signer holds.
pub const MAX_MESSAGE: usize = 64 << 20;

/// Called with a line about something that was chosen, as `--verbose` shows it.
pub type OnNote = Arc<dyn Fn(&str) + Send + Sync>;

/// How providers are reached.
#[derive(Clone)]
pub struct Options {
    /// How long one request may take.
    pub timeout: Duration,
    /// Called for each request.
    pub on_request: Option<OnRequest>,
    /// Called for each choice: the normalised reference, the credential and whose it is, the version of the key.
    pub note: Option<OnNote>,
    /// Called where a provider needs a secret that nothing else gives, such as a PIN; none if there is nobody to ask.
    pub ask: Option<Ask>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            on_request: None,
            note: None,
            ask: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Tells what was chosen.
    pub fn tell(&self, line: impl fmt::Display) {
        if let Some(note) = &self.note {
            note(&line.to_string());
        }
    }

    /// For requests over HTTP.
    pub fn http(&self) -> sealmark_http::Options {
        sealmark_http::Options {
            timeout: self.timeout,
            on_request: self.on_request.clone(),
            ..sealmark_http::Options::default()
        }
    }
}

/// A future of an object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A key in a provider, as far as it differs from any other.
pub trait KeyService: fmt::Debug + Send + Sync {
    /// A signature, in the form that Sigstore has it: ECDSA as DER, RSA and Ed25519 as they are.
    fn sign<'a>(&'a self, scheme: Scheme, input: Input<'a>) -> Pending<'a, Vec<u8>>;

    /// Asks the provider itself about a signature: whether it is good.
    ///
    /// # Errors
    /// Also if the provider offers no such thing.
    fn verify<'a>(
        &'a self,
        scheme: Scheme,
        input: Input<'a>,
        signature: &'a [u8],
    ) -> Pending<'a, bool>;
}

/// A key in a provider, its public part known.
#[derive(Clone, Debug)]
pub struct RemoteKey {
    /// The reference in its one normal form, with the version that is used.
    pub name: String,
    /// The public key.
    pub public: PublicKey,
    /// The scheme of the signatures that are made.
    pub scheme: Scheme,
    /// What signs.
    pub service: Arc<dyn KeyService>,
}

impl RemoteKey {
    /// Signs, and checks what came.
    pub(crate) async fn sign(&self, input: Input<'_>) -> Result<Vec<u8>, Error> {
        let signature = self.service.sign(self.scheme, input).await?;
        let checked = match input {
            Input::Digest(digest) => {
                self.public
                    .verify_digest_scheme(self.scheme, digest, &signature)
            }
            Input::Message(message) => self.public.verify_scheme(self.scheme, message, &signature),
        };
        match checked {
            Ok(()) => Ok(signature),
            Err(cause) => Err(Error::BadSignature {
                key: self.name.clone(),
                scheme: self.scheme.describe(self.public.key_type()),
                cause: cause.to_string(),
            }),
        }
    }

    /// The key for code that signs and waits for it. Not for a runtime of one thread, which would wait for itself.
    pub fn waiting(self, runtime: Handle) -> PrivateKey {
        let public = self.public.clone();
        PrivateKey::elsewhere(public, Arc::new(Waiting { key: self, runtime }))
    }

    /// Signs a message.
    pub(crate) async fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match self.scheme.hash() {
            Some(hash) => self.sign(Input::Digest(&Digest::of(hash, message))).await,
            None => self.sign(Input::Message(message)).await,
        }
    }

    /// Signs what a reader gives, and gives the digest of it by the key's own hash.
    pub(crate) async fn sign_reader<R>(&self, reader: R) -> Result<(Vec<u8>, Digest), Error>
    where
        R: Read + Send + 'static,
    {
        let (scheme, hash) = (self.scheme, self.public.hash());
        let read = tokio::task::spawn_blocking(move || read(reader, scheme, hash)).await;
        let (digest, message) = read.map_err(|error| Error::Interrupted(error.to_string()))??;
        let signature = match scheme.hash() {
            Some(_) => self.sign(Input::Digest(&digest)).await?,
            None => self.sign(Input::Message(&message)).await?,
        };
        Ok((signature, digest))
    }
}

/// A key whose caller waits.
struct Waiting {
    key: RemoteKey,
    runtime: Handle,
}

impl Elsewhere for Waiting {
    fn sign(&self, input: Input<'_>) -> Result<Vec<u8>, String> {
        // Other tasks of this thread go on elsewhere in the meantime.
        let wait = || self.runtime.block_on(self.key.sign(input));
        tokio::task::block_in_place(wait).map_err(|error| error.to_string())
    }
}

/// The digest of what a reader gives, and where a scheme needs it all of that.
fn read(
    mut reader: impl Read,
    scheme: Scheme,
    hash: sealmark_formats::HashAlgorithm,
) -> Result<(Digest, Vec<u8>), Error> {
    let failed = |error: std::io::Error| Error::Sign {
        key: String::new(),
        cause: sealmark_keys::Error::Read(error.to_string()),
    };
    let mut hasher = Hasher::new(scheme.hash().unwrap_or(hash));
    let mut message = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let n = match reader.read(&mut piece) {
            Ok(0) => return Ok((hasher.finish(), message)),
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        hasher.update(&piece[..n]);
        if scheme.hash().is_none() {
            if message.len() + n > MAX_MESSAGE {
                return Err(Error::MessageTooLarge { limit: MAX_MESSAGE });
            }
            message.extend_from_slice(&piece[..n]);
        }
    }
}
