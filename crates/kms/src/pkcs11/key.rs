//! A key on a token, as any key in a provider.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sealmark_keys::{Algorithm, PublicKey, Scheme};

use super::module::{Module, State};
use super::object::{self, Visible};
use super::reference::Reference;
use super::token::{self, Token};
use super::{create as creation, pin, sign};
use crate::remote::KeyService;
use crate::{Error, Input, Options, Pending, RemoteKey};

/// How much longer than any other call a token may take to make a key: an RSA key of 4096 bits on a smart card takes
/// minutes.
const PATIENCE: u32 = 10;

/// What a job on the module's thread ends with.
enum Outcome<T> {
    Done(T),
    /// Only after somebody has logged in.
    LockedAway,
}

/// A key and the way to it.
#[derive(Clone)]
struct TokenKey {
    module: Arc<Module>,
    token: Token,
    /// As it was given: where the PIN comes from.
    reference: Reference,
    /// As it is printed.
    name: String,
    label: Option<String>,
    id: Option<Vec<u8>>,
    public: PublicKey,
    options: Options,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Finds the key; without a PIN, wherever the token shows its public half to everybody.
pub(crate) async fn open(reference: &Reference, options: &Options) -> Result<RemoteKey, Error> {
    let failed = |reason| failed(reference, "cannot be found", reason);
    let (module, token) = reach(reference, options).await.map_err(failed)?;
    let look = |private: bool| {
        let (reference, token) = (reference.clone(), token.clone());
        move |state: &mut State| {
            let open = state.session(&token)?;
            match object::visible(&open.session, &reference, private || open.logged_in)? {
                Some(key) => Ok(Outcome::Done(describe(state, &token, key)?)),
                None if private || open.logged_in => Err(format!(
                    "token {:?}: {}",
                    token.label,
                    object::others(&open.session, &reference)
                )),
                None => Ok(Outcome::LockedAway),
            }
        }
    };
    let seen = match module
        .call(options.timeout, look(false))
        .await
        .map_err(failed)?
    {
        Outcome::Done(seen) => seen,
        Outcome::LockedAway => {
            log_in(&module, &token, reference, options)
                .await
                .map_err(failed)?;
            match module
                .call(options.timeout, look(true))
                .await
                .map_err(failed)?
            {
                Outcome::Done(seen) => seen,
                Outcome::LockedAway => return Err(failed("the token shows no key".to_owned())),
            }
        }
    };
    Ok(key(module, token, reference, seen, options))
}

/// Makes a key.
pub(crate) async fn create(
    reference: &Reference,
    algorithm: Algorithm,
    options: &Options,
) -> Result<RemoteKey, Error> {
    let failed = |reason| failed(reference, "cannot be made", reason);
    let (module, token) = reach(reference, options).await.map_err(failed)?;
    log_in(&module, &token, reference, options)
        .await
        .map_err(failed)?;
    let (wanted, at) = (reference.clone(), token.clone());
    let make = move |state: &mut State| {
        let key = creation::create(state, &at, &wanted, algorithm)?;
        describe(state, &at, key)
    };
    let patience = options
        .timeout
        .checked_mul(PATIENCE)
        .unwrap_or(Duration::MAX);
    let seen = module.call(patience, make).await.map_err(failed)?;
    Ok(key(module, token, reference, seen, options))
}

fn failed(reference: &Reference, what: &'static str, reason: String) -> Error {
    Error::Provider {
        key: reference.to_string(),
        what,
        reason,
    }
}

/// The module, and the token in it.
async fn reach(reference: &Reference, options: &Options) -> Result<(Arc<Module>, Token), String> {
    let module = Module::of(reference, options.timeout).await?;
    let wanted = reference.clone();
    let token = module
        .call(options.timeout, move |state| token::find(state, &wanted))
        .await;
    let path = module.path().display();
    let token = token.map_err(|reason| format!("module {path}: {reason}"))?;
    options.tell(format_args!(
        "PKCS#11 module {path}, token {:?} (serial {}, slot {})",
        token.label, token.serial, token.slot
    ));
    Ok((module, token))
}

async fn log_in(
    module: &Module,
    token: &Token,
    reference: &Reference,
    options: &Options,
) -> Result<(), String> {
    let _one_at_a_time = module.login.lock().await;
    let at = token.clone();
    let done = module.call(options.timeout, move |state| {
        Ok(state.session(&at)?.logged_in)
    });
    if done.await? {
        return Ok(());
    }
    let (pin, origin) = pin::get(reference, token, options).await?;
    options.tell(format_args!(
        "logging in to the token {:?} with the PIN {origin}",
        token.label
    ));
    let at = token.clone();
    let log_in = move |state: &mut State| state.log_in(&at, pin.as_ref(), &origin);
    module.call(options.timeout, log_in).await
}

/// What is told of a key that is visible.
struct Seen {
    key: Visible,
    scheme: Scheme,
    /// The subject of the certificate beside it.
    certificate: Option<String>,
}

fn describe(state: &State, token: &Token, key: Visible) -> Result<Seen, String> {
    let slot = cryptoki::slot::Slot::try_from(token.slot).map_err(|error| error.to_string())?;
    let mechanisms = state.library.get_mechanism_list(slot).unwrap_or_default();
    let certificate = object::certificate(&state.session(token)?.session, &key);
    Ok(Seen {
        scheme: sign::scheme(&key.public, &key.allowed, &mechanisms),
        certificate: certificate.map(|certificate| certificate.subject()),
        key,
    })
}

fn key(
    module: Arc<Module>,
    token: Token,
    reference: &Reference,
    seen: Seen,
    options: &Options,
) -> RemoteKey {
    let Visible { object, public, .. } = seen.key;
    let label = Some(object.label).filter(|label| !label.is_empty());
    let id = Some(object.id).filter(|id| !id.is_empty());
    let name = reference
        .of_key(&token.label, &token.serial, label.as_deref(), id.as_deref())
        .to_string();
    options.tell(format_args!(
        "key {name}: {}",
        seen.scheme.describe(public.key_type())
    ));
    if let Some(subject) = seen.certificate {
        options.tell(format_args!(
            "the token has a certificate for this key, {subject}: it is not used; give it with --certificate to have it \
             in what is signed"
        ));
    }
    let service = TokenKey {
        module,
        token,
        reference: reference.clone(),
        name: name.clone(),
        label,
        id,
        public: public.clone(),
        options: options.clone(),
    };
    RemoteKey {
        name,
        public,
        scheme: seen.scheme,
        service: Arc::new(service),
    }
}

impl TokenKey {
    fn failed(&self, what: &'static str, reason: String) -> Error {
        Error::Provider {
            key: self.name.clone(),
            what,
            reason,
        }
    }

    /// Does `work` with the session and this key.
    async fn work<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Self, &State) -> Result<T, String> + Send + 'static,
    ) -> Result<T, Error> {
        let this = self.clone();
        let timeout = self.options.timeout;
        let done = self.module.call(timeout, move |state| work(&this, state));
        done.await.map_err(|reason| self.failed(what, reason))
    }
}

fn bytes(input: Input<'_>) -> Vec<u8> {
    match input {
        Input::Digest(digest) => digest.bytes().to_vec(),
        Input::Message(message) => message.to_vec(),
    }
}

impl KeyService for TokenKey {
    fn sign<'a>(&'a self, scheme: Scheme, input: Input<'a>) -> Pending<'a, Vec<u8>> {
        let data = bytes(input);
        const WHAT: &str = "cannot sign";
        Box::pin(async move {
            let logged_in = log_in(&self.module, &self.token, &self.reference, &self.options);
            logged_in
                .await
                .map_err(|reason| self.failed(WHAT, reason))?;
            let sign = move |this: &Self, state: &State| {
                let session = &state.session(&this.token)?.session;
                let (label, id) = (this.label.as_deref(), this.id.as_deref());
                let key = sign::private_key(session, &this.public, label, id)?;
                sign::sign(session, &key, scheme, &data)
            };
            self.work(WHAT, sign).await
        })
    }

    fn verify<'a>(
        &'a self,
        scheme: Scheme,
        input: Input<'a>,
        signature: &'a [u8],
    ) -> Pending<'a, bool> {
        let (data, signature) = (bytes(input), signature.to_vec());
        // What everybody may see needs no PIN.
        Box::pin(self.work("cannot verify", move |this, state| {
            let session = &state.session(&this.token)?.session;
            let (label, id) = (this.label.as_deref(), this.id.as_deref());
            let class = cryptoki::object::ObjectClass::PUBLIC_KEY;
            let keys = object::find(session, class, label, id)?;
            let key = keys
                .first()
                .ok_or("the token has no public key object to verify with")?;
            sign::verify(session, key, &this.public, scheme, &data, &signature)
        }))
    }
}
