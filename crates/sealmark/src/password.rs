//! The password of a private key: from `COSIGN_PASSWORD`, a prompt, or standard input.

use std::io::{self, IsTerminal, Read};

use zeroize::Zeroizing;

use crate::error::Error;

/// The variable that holds the password; set and empty is an empty password.
const VARIABLE: &str = "COSIGN_PASSWORD";
/// A password on standard input is not longer than this, in bytes.
const MAX_PASSWORD: u64 = 64 * 1024;

/// Asks for the password of an existing key.
pub(crate) fn existing() -> Result<Zeroizing<Vec<u8>>, Error> {
    from_environment().map_or_else(
        || {
            if io::stdin().is_terminal() {
                prompt("Enter password for private key: ")
            } else {
                from_standard_input()
            }
        },
        Ok,
    )
}

/// Asks for the password of a new key; on a terminal twice.
pub(crate) fn new() -> Result<Zeroizing<Vec<u8>>, Error> {
    if let Some(password) = from_environment() {
        return Ok(password);
    }
    if !io::stdin().is_terminal() {
        return from_standard_input();
    }
    let first = prompt("Enter password for private key: ")?;
    let second = prompt("Enter password for private key again: ")?;
    if *first != *second {
        return Err(Error::Usage("the two passwords differ".to_owned()));
    }
    Ok(first)
}

/// Asks for the password of a user of the issuer for development: from standard input, or on a terminal twice.
pub(crate) fn of_user() -> Result<Zeroizing<Vec<u8>>, Error> {
    if !io::stdin().is_terminal() {
        return from_standard_input();
    }
    let first = prompt("Password: ")?;
    let second = prompt("Password again: ")?;
    match *first == *second {
        true => Ok(first),
        false => Err(Error::Usage("the two passwords differ".to_owned())),
    }
}

/// Where a password came from, for the message that it is wrong.
pub(crate) fn source() -> &'static str {
    if from_environment().is_some() {
        "it was taken from COSIGN_PASSWORD"
    } else if io::stdin().is_terminal() {
        "try again, or give it in COSIGN_PASSWORD"
    } else {
        "it was read from standard input, as COSIGN_PASSWORD is not set"
    }
}

fn from_environment() -> Option<Zeroizing<Vec<u8>>> {
    use std::os::unix::ffi::OsStringExt;
    std::env::var_os(VARIABLE).map(|value| Zeroizing::new(value.into_vec()))
}

fn prompt(text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    rpassword::prompt_password(text)
        .map(|password| Zeroizing::new(password.into_bytes()))
        .map_err(|cause| Error::Stream {
            action: "ask for the password",
            cause,
        })
}

/// Asks for another secret than the password of a key file: the PIN of a token.
pub(crate) fn secret(text: &str) -> Result<Zeroizing<Vec<u8>>, sealmark_kms::Error> {
    prompt(text).map_err(|error| sealmark_kms::Error::Password(error.to_string()))
}

fn from_standard_input() -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut password = Zeroizing::new(Vec::new());
    io::stdin()
        .take(MAX_PASSWORD)
        .read_to_end(&mut password)
        .map_err(|cause| Error::Stream {
            action: "read the password from standard input",
            cause,
        })?;
    while password
        .last()
        .is_some_and(|byte| [b'\n', b'\r'].contains(byte))
    {
        password.pop();
    }
    Ok(password)
}

/// [`existing`] in the form that loading a key asks for.
pub(crate) fn for_key() -> Result<Zeroizing<Vec<u8>>, sealmark_kms::Error> {
    existing().map_err(|error| sealmark_kms::Error::Password(error.to_string()))
}

/// [`for_key`] where standard input is taken by something else.
pub(crate) fn for_key_without_standard_input() -> Result<Zeroizing<Vec<u8>>, sealmark_kms::Error> {
    let taken = "the key is encrypted and standard input is the file to sign: \
                 give the password in COSIGN_PASSWORD";
    from_environment().ok_or_else(|| sealmark_kms::Error::Password(taken.to_owned()))
}
