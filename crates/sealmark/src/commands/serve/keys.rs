//! `serve --key SERVICE=REF`: services that sign with keys which are elsewhere, by any reference that other commands know.
//!
//! Invariant: a key that cannot sign as the services need it is refused when it is opened, before anything is made with it.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sealmark_keys::PrivateKey;
use sealmark_kms::{KeyRef, Options, Signer, load_signer};
use sealmark_server::elsewhere::{self, Places};
use sealmark_server::instance::Part;
use tokio::runtime::Handle;

use super::{Only, Password};
use crate::error::Error;
use crate::service_flags::key_options;
use crate::terminal::Terminal;

/// Time for opening a key, with all that a provider is asked for.
const OPENING: Duration = Duration::from_secs(60);

/// What a key in a provider signs when it is opened: no certificate, checkpoint or metadata can look like it.
const TRIAL: &[u8] = b"sealmark: whether this key signs\n";

/// Whose key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Whose {
    Ca,
    Ct,
    Log,
    LogV2,
    Tsa,
    Tuf,
}

impl Whose {
    const NAMES: [(&'static str, Self); 6] = [
        ("ca", Self::Ca),
        ("ct", Self::Ct),
        ("log", Self::Log),
        ("log-v2", Self::LogV2),
        ("tsa", Self::Tsa),
        ("tuf", Self::Tuf),
    ];

    fn name(self) -> &'static str {
        let of = Self::NAMES.iter().find(|(_, whose)| *whose == self);
        of.map_or("", |(name, _)| name)
    }

    fn part(self) -> Part {
        match self {
            Self::Ca => Part::Ca,
            Self::Ct => Part::Ct,
            Self::Log | Self::LogV2 => Part::Log,
            Self::Tsa => Part::Tsa,
            Self::Tuf => Part::Tuf,
        }
    }
}

/// Where a service's key is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Placed {
    whose: Whose,
    reference: String,
}

impl FromStr for Placed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Whose::NAMES.map(|(name, _)| name).join(", ");
        let (name, reference) = text
            .split_once('=')
            .ok_or_else(|| format!("say whose key it is: SERVICE=REF, of {names}"))?;
        let whose = Whose::NAMES.iter().find(|(known, _)| *known == name);
        let (_, whose) =
            whose.ok_or_else(|| format!("{name:?} has no such key; there are {names}"))?;
        Ok(Self {
            whose: *whose,
            reference: checked(reference)?,
        })
    }
}

/// A reference that is one, as it is kept: a file's path does not depend on where the server is started.
pub(crate) fn checked(reference: &str) -> Result<String, String> {
    match KeyRef::parse(reference).map_err(|error| error.to_string())? {
        KeyRef::File(path) => {
            let path = std::path::absolute(&path).map_err(|error| error.to_string())?;
            let path = path.into_os_string().into_string();
            path.map_err(|path| format!("{} is not UTF-8", Path::new(&path).display()))
        }
        _ => Ok(reference.to_owned()),
    }
}

/// Flags.
#[derive(clap::Args, Debug)]
pub(super) struct KeyFlags {
    /// Sign with a key that is elsewhere, e.g. ca=awskms:///alias/ca: SERVICE is ca, ct, log, log-v2, tsa or tuf, REF what
    /// sign has as --key; may be repeated. The directory remembers it
    #[arg(long = "key", value_name = "SERVICE=REF")]
    keys: Vec<Placed>,
}

impl KeyFlags {
    /// Where each key is to be.
    pub(super) fn places(&self, only: &Only) -> Result<Places, Error> {
        let mut places = Places::default();
        for Placed { whose, reference } in &self.keys {
            let name = whose.name();
            let is_served = match only {
                Only::Everything => true,
                Only::Log => whose.part() == Part::Log,
                Only::Witness => false,
                Only::Parts(parts) => parts.contains(&whose.part()),
            };
            if !is_served {
                return Err(Error::Usage(format!(
                    "--key {name}=… is for a service that --only leaves out"
                )));
            }
            let place = match whose {
                Whose::Ca => &mut places.ca,
                Whose::Ct => &mut places.ct,
                Whose::Log => &mut places.log,
                Whose::LogV2 => &mut places.log_v2,
                Whose::Tsa => &mut places.tsa,
                Whose::Tuf => &mut places.tuf,
            };
            if place.replace(reference.clone()).is_some() {
                return Err(Error::Usage(format!("--key {name}=… is given twice")));
            }
        }
        Ok(places)
    }
}

/// Tells the services how keys that are elsewhere are reached, for the rest of the process. Files of keys that are
/// encrypted have the password of the directory.
pub(crate) fn install(password: &Password, terminal: &Terminal) {
    let (password, options, runtime) = (password.clone(), key_options(terminal), Handle::current());
    elsewhere::install(Box::new(move |reference| {
        let opening = open(reference, password.clone(), &options);
        // Other tasks of this thread, should it have any, go on elsewhere.
        tokio::task::block_in_place(|| runtime.block_on(opening))
    }));
}

/// Opens a key, within its time.
pub(super) async fn open(
    reference: &str,
    password: Password,
    options: &Options,
) -> Result<PrivateKey, String> {
    let key = KeyRef::parse(reference).map_err(|error| error.to_string())?;
    let ask = move || {
        password.ok_or_else(|| {
            let missing = "the key's file is encrypted: give its password with --password-file or in SEALMARK_PASSWORD";
            sealmark_kms::Error::Password(missing.to_owned())
        })
    };
    let signer = tokio::time::timeout(OPENING, load_signer(&key, ask, options)).await;
    let signer = signer
        .map_err(|_| format!("{key}: no answer within {} s", OPENING.as_secs()))?
        .map_err(|error| error.to_string())?;
    // Whoever may read a public key may not be allowed to sign with it: better known now than at the first certificate.
    if let Signer::Remote(_) = &signer {
        let trial = tokio::time::timeout(OPENING, signer.sign(TRIAL)).await;
        trial
            .map_err(|_| format!("{key}: no signature within {} s", OPENING.as_secs()))?
            .map_err(|error| error.to_string())?;
    }
    match signer {
        Signer::Local(key) => Ok(key),
        Signer::Remote(remote) => {
            let (its, found) = (remote.public.key_type(), remote.scheme);
            if found != its.schemes()[0] {
                return Err(format!(
                    "{} signs as {}, and services sign as {}: use a key that does",
                    remote.name,
                    found.describe(its),
                    its.schemes()[0].describe(its)
                ));
            }
            Ok(remote.waiting(Handle::current()))
        }
        _ => Err(format!("{key} cannot be used by a service")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_key_it_is_stands_before_the_reference() {
        for (text, whose) in [
            ("ca=awskms:///alias/ca", Some(Whose::Ca)),
            (
                "log-v2=pkcs11:token=hsm;object=log?pin-value=1",
                Some(Whose::LogV2),
            ),
            ("tuf=hashivault://tuf", Some(Whose::Tuf)),
            ("oidc=hashivault://tuf", None),
            ("awskms:///alias/ca", None),
            ("ca=", None),
        ] {
            let placed: Option<Placed> = text.parse().ok();
            assert_eq!(placed.map(|placed| placed.whose), whose, "{text}");
        }
        let placed: Placed = "ct=ct.key".parse().unwrap();
        assert!(
            Path::new(&placed.reference).is_absolute(),
            "{}",
            placed.reference
        );
    }

    #[test]
    fn a_key_is_of_a_service_that_is_served_and_given_once() {
        let flags = |keys: &[&str]| KeyFlags {
            keys: keys.iter().map(|key| key.parse().unwrap()).collect(),
        };
        let twice = flags(&["ca=a", "ca=b"]).places(&Only::Everything);
        assert!(twice.unwrap_err().to_string().contains("twice"));
        let other = flags(&["ca=a"]).places(&Only::Log);
        assert!(other.unwrap_err().to_string().contains("--only"));
        assert!(flags(&["log=a", "log-v2=b"]).places(&Only::Log).is_ok());
    }
}
