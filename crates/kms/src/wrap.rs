//! Secrets that lie wrapped beside what they are for: a key in a provider encrypts them, and only it opens them again.
//!
//! ```text
//! {"layout": 1, "reference": REF, "key": REF, "algorithm": NAME, "instance": NAME, "ciphertext": TEXT}
//! ```
//!
//! Invariants: what is given out of [`wrap`] was opened again by the provider and was the same; a wrapped secret says what
//! it is for ([`Context`]), and opens for nothing else; a file that is read is bounded, and leads to no program (plugins are
//! not asked). Secrets are zeroed where this crate holds them; the libraries for HTTP and TLS have copies that they free and
//! do not zero.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Error, KeyRef, Options};

/// The longest secret, in bytes: RSA-OAEP-256 with a key of 2048 bits takes 190, of which 32 bind the context.
pub const MAX_SECRET: usize = 128;
/// The largest file: a reference is at most some 4 KiB long, and there are two.
pub const MAX_FILE: usize = 16 << 10;
/// The longest ciphertext. Those of 128 bytes are a few hundred characters long with every provider.
const MAX_CIPHERTEXT: usize = 4096;
/// The longest reference: those of Google's keys have at most some 330 bytes.
const MAX_REFERENCE: usize = 600;
/// The longest name: that of a host has 253.
const MAX_NAME: usize = 256;
/// The layout of the file.
const LAYOUT: u32 = 1;
/// What failed, in messages.
#[allow(
    dead_code,
    reason = "which is needed depends on the providers that are built in"
)]
pub(crate) const WRAP: &str = "cannot wrap a password";
/// The same.
#[allow(
    dead_code,
    reason = "which is needed depends on the providers that are built in"
)]
pub(crate) const UNWRAP: &str = "cannot unwrap the password";

/// What a secret is for. Providers that bind data to a ciphertext (an encryption context, associated data) have it in the
/// clear: it stands in their logs, and their policies can ask for it.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Whose secret.
    pub instance: &'a str,
}

impl Context<'_> {
    /// What the secret is, for all of them.
    pub(crate) const PURPOSE: &'static str = "password of the private keys of an instance";

    /// For providers that bind bytes.
    #[allow(
        dead_code,
        reason = "which is needed depends on the providers that are built in"
    )]
    pub(crate) fn bytes(&self) -> Vec<u8> {
        format!("sealmark\n{}\n{}\n", Self::PURPOSE, self.instance).into_bytes()
    }
}

/// What a provider made of a secret.
#[allow(
    dead_code,
    reason = "which is needed depends on the providers that are built in"
)]
pub(crate) struct Made {
    /// The reference of the very key, which opens it whatever an alias leads to later.
    pub(crate) key: String,
    pub(crate) algorithm: String,
    /// As the provider writes it: base64, base64url, or a text of its own.
    pub(crate) ciphertext: String,
}

/// A secret that is wrapped, as its file has it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Wrapped {
    layout: u32,
    /// The reference as it was given, in its normal form.
    reference: String,
    /// That of the very key.
    key: String,
    algorithm: String,
    instance: String,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Layout {
    layout: u32,
}

impl Wrapped {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, after `it`.
    pub fn parse(file: &[u8]) -> Result<Self, String> {
        if file.len() > MAX_FILE {
            return Err(format!("it is larger than {} KiB", MAX_FILE >> 10));
        }
        let damaged = |error: serde_json::Error| {
            let error = sealmark_http::sanitise(&error.to_string());
            format!("it is damaged: {error}; restore it from a backup")
        };
        let Layout { layout } = serde_json::from_slice(file).map_err(damaged)?;
        if layout != LAYOUT {
            return Err(format!(
                "it has layout {layout}, this program knows layout {LAYOUT}: use the program that wrote it"
            ));
        }
        let wrapped: Self = serde_json::from_slice(file).map_err(damaged)?;
        for text in [&wrapped.reference, &wrapped.key] {
            if text.len() > MAX_REFERENCE {
                return Err(format!(
                    "it is damaged: it names a key in {} bytes",
                    text.len()
                ));
            }
            let key = KeyRef::parse_built_in(text).map_err(|error| format!("it has a {error}"))?;
            if !can_wrap(&key) {
                return Err(format!("it names {key}, which wraps no password"));
            }
        }
        let name = |text: &str| text.len() <= MAX_NAME && !text.contains(char::is_control);
        let is_sound = name(&wrapped.instance)
            && name(&wrapped.algorithm)
            && wrapped.ciphertext.len() <= MAX_CIPHERTEXT
            && !wrapped.ciphertext.is_empty()
            && wrapped
                .ciphertext
                .bytes()
                .all(|byte| byte.is_ascii_graphic());
        match is_sound {
            true => Ok(wrapped),
            false => Err(
                "it is damaged: a name or the ciphertext is not one; restore it from a backup"
                    .to_owned(),
            ),
        }
    }

    /// The file.
    pub fn to_json(&self) -> String {
        // Of texts and numbers alone, so that it cannot fail.
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        json + "\n"
    }

    /// The reference of the key that wraps it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether a reference is surely of the key that wraps it: nobody is asked.
    pub fn is_by(&self, key: &KeyRef) -> bool {
        let key = key.to_string();
        key == self.reference || key == self.key
    }
}

fn can_wrap(key: &KeyRef) -> bool {
    matches!(
        key,
        KeyRef::Aws(_) | KeyRef::Azure(_) | KeyRef::Google(_) | KeyRef::Vault(_)
    )
}

fn not_supported(key: &KeyRef) -> Error {
    let reason = match key {
        KeyRef::Pkcs11(_) => {
            "wrapping by a token is not supported: what tokens have in common for it is RSA-OAEP with SHA-1; keys \
             that sign on the token (--key SERVICE=pkcs11:…) need no password"
        }
        KeyRef::Plugin(_) => "plugins sign, and have no way to wrap",
        _ => {
            "it is no key of a KMS: those of awskms://, azurekms://, gcpkms://, hashivault:// and openbao:// wrap; for a file, \
             use --password-file"
        }
    };
    Error::Provider {
        key: key.to_string(),
        what: WRAP,
        reason: reason.to_owned(),
    }
}

/// Has a secret wrapped by a key, and opened again to see that it can be.
///
/// # Errors
/// Why the key cannot, with the permission that is missing; if what was opened is another secret.
pub async fn wrap(
    key: &KeyRef,
    secret: &[u8],
    context: Context<'_>,
    options: &Options,
) -> Result<Wrapped, Error> {
    let failed = |reason: &str| Error::Provider {
        key: key.to_string(),
        what: WRAP,
        reason: reason.to_owned(),
    };
    if secret.is_empty() || secret.len() > MAX_SECRET {
        return Err(failed(&format!("it must have 1 to {MAX_SECRET} bytes")));
    }
    let made = wrap_by(key, secret, context, options).await?;
    let wrapped = Wrapped {
        layout: LAYOUT,
        reference: key.to_string(),
        key: made.key,
        algorithm: made.algorithm,
        instance: context.instance.to_owned(),
        ciphertext: made.ciphertext,
    };
    // As the file will be read: what could not be read again is not written.
    let wrapped = Wrapped::parse(wrapped.to_json().as_bytes())
        .map_err(|reason| failed(&format!("what came of it cannot be kept: {reason}")))?;
    let opened = unwrap(&wrapped, options).await?;
    match *opened == *secret {
        true => Ok(wrapped),
        false => Err(failed(
            "what it unwraps is another secret than what it wrapped; it is not used",
        )),
    }
}

/// Has a secret opened by the key that wraps it.
///
/// # Errors
/// Why the key cannot, with the permission that is missing; if what it opens is for another instance.
pub async fn unwrap(wrapped: &Wrapped, options: &Options) -> Result<Zeroizing<Vec<u8>>, Error> {
    let key = KeyRef::parse_built_in(&wrapped.key)?;
    let context = Context {
        instance: &wrapped.instance,
    };
    let text = wrapped.ciphertext.as_str();
    let opened = unwrap_by(&key, text, context, options).await?;
    match opened.is_empty() || opened.len() > MAX_SECRET {
        true => Err(Error::Provider {
            key: wrapped.key.clone(),
            what: UNWRAP,
            reason: "what it unwraps is not as long as a secret of this program".to_owned(),
        }),
        false => Ok(opened),
    }
}

/// What the key's provider makes of a secret.
#[cfg_attr(
    not(any(
        feature = "aws",
        feature = "azure",
        feature = "google",
        feature = "vault"
    )),
    expect(unused_variables, reason = "there is no provider to ask")
)]
async fn wrap_by(
    key: &KeyRef,
    secret: &[u8],
    context: Context<'_>,
    options: &Options,
) -> Result<Made, Error> {
    match key {
        #[cfg(feature = "aws")]
        KeyRef::Aws(key) => Ok(crate::aws::wrap(key, secret, context, options).await?),
        #[cfg(feature = "azure")]
        KeyRef::Azure(key) => Ok(crate::azure::wrap(key, secret, context, options).await?),
        #[cfg(feature = "google")]
        KeyRef::Google(key) => Ok(crate::google::wrap(key, secret, context, options).await?),
        #[cfg(feature = "vault")]
        KeyRef::Vault(key) => Ok(crate::vault::wrap(key, secret, context, options).await?),
        other => Err(unavailable(other)),
    }
}

/// What the key's provider opens.
#[cfg_attr(
    not(any(
        feature = "aws",
        feature = "azure",
        feature = "google",
        feature = "vault"
    )),
    expect(unused_variables, reason = "there is no provider to ask")
)]
async fn unwrap_by(
    key: &KeyRef,
    text: &str,
    context: Context<'_>,
    options: &Options,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    match key {
        #[cfg(feature = "aws")]
        KeyRef::Aws(key) => Ok(crate::aws::unwrap(key, text, context, options).await?),
        #[cfg(feature = "azure")]
        KeyRef::Azure(key) => Ok(crate::azure::unwrap(key, text, context, options).await?),
        #[cfg(feature = "google")]
        KeyRef::Google(key) => Ok(crate::google::unwrap(key, text, context, options).await?),
        #[cfg(feature = "vault")]
        KeyRef::Vault(key) => Ok(crate::vault::unwrap(key, text, context, options).await?),
        other => Err(unavailable(other)),
    }
}

/// This build has not what is needed, or nobody has.
fn unavailable(key: &KeyRef) -> Error {
    match key {
        KeyRef::Aws(_) => crate::load::not_built(key, "AWS KMS"),
        KeyRef::Azure(_) => crate::load::not_built(key, "Azure Key Vault"),
        KeyRef::Google(_) => crate::load::not_built(key, "Google Cloud KMS"),
        KeyRef::Vault(_) => crate::load::not_built(key, "Vault"),
        other => not_supported(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Wrapped {
        Wrapped {
            layout: LAYOUT,
            reference: "openbao://wrap".to_owned(),
            key: "openbao://transit/wrap".to_owned(),
            algorithm: "transit".to_owned(),
            instance: "sigstore.example.com".to_owned(),
            ciphertext: "vault:v1:AAAA".to_owned(),
        }
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_by_either_name_of_its_key() {
        let wrapped = good();
        assert_eq!(
            Wrapped::parse(wrapped.to_json().as_bytes()),
            Ok(wrapped.clone())
        );
        for (key, is_it) in [
            ("openbao://wrap", true),
            ("openbao://transit/keys/wrap", true),
            ("openbao://other", false),
            ("hashivault://wrap", false),
        ] {
            assert_eq!(wrapped.is_by(&KeyRef::parse(key).unwrap()), is_it, "{key}");
        }
    }

    #[test]
    fn a_file_that_is_not_one_says_why() {
        let changed = |change: fn(&mut Wrapped)| {
            let mut wrapped = good();
            change(&mut wrapped);
            wrapped.to_json().into_bytes()
        };
        for (file, part) in [
            (Vec::new(), "it is damaged"),
            (vec![b' '; MAX_FILE + 1], "larger than 16 KiB"),
            (changed(|it| it.layout = 2), "it has layout 2"),
            (b"{\"layout\": 1}".to_vec(), "missing field"),
            (
                changed(|it| it.key = "/etc/passwd".into()),
                "wraps no password",
            ),
            (
                changed(|it| it.key = "ourhsm://k".into()),
                "unknown key reference",
            ),
            (changed(|it| it.reference = String::new()), "it is empty"),
            (changed(|it| it.ciphertext = String::new()), "not one"),
            (changed(|it| it.ciphertext = "a\n".into()), "not one"),
            (changed(|it| it.ciphertext = "A".repeat(5000)), "not one"),
            (changed(|it| it.instance = "a\u{1b}".into()), "not one"),
        ] {
            let error = Wrapped::parse(&file).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_cannot_wrap_says_what_can() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let context = Context { instance: "test" };
        for (key, part) in [
            ("cosign.key", "use --password-file"),
            ("pkcs11:token=t;object=k", "by a token is not supported"),
        ] {
            let key = KeyRef::parse(key).unwrap();
            let tried = runtime.block_on(wrap(&key, b"secret", context, &Options::default()));
            let error = tried.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
