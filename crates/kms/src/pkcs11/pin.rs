//! Where the PIN of a token comes from.

use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::reference::{Pin, Reference};
use super::token::Token;
use crate::Options;

/// The variable that has it, as for cosign.
const VARIABLE: &str = "COSIGN_PKCS11_PIN";
/// The largest file with a PIN: tokens take 255 bytes.
const MAX_FILE: u64 = 1024;

/// The PIN, and where it came from in words; no PIN where the reader has a pad for it.
pub(super) type Given = (Option<Zeroizing<String>>, String);

/// The PIN of `token`: from the URI, the environment or a person, in this order.
pub(super) async fn get(
    reference: &Reference,
    token: &Token,
    options: &Options,
) -> Result<Given, String> {
    if token.pin_pad {
        options.tell(format_args!(
            "type the PIN of {:?} on its reader",
            token.label
        ));
        return Ok((None, "typed on its reader".to_owned()));
    }
    match reference.pin() {
        Some(Pin::Value(pin)) => {
            return Ok((Some(pin.clone()), "from the URI's pin-value".to_owned()));
        }
        Some(Pin::File(path)) => {
            let file = path.clone();
            let pin = tokio::task::spawn_blocking(move || read(&file)).await;
            let pin = pin.map_err(|error| error.to_string())?;
            let pin = pin.map_err(|reason| {
                format!("the PIN cannot be read from {}: {reason}", path.display())
            })?;
            return Ok((Some(pin), format!("from {}", path.display())));
        }
        None => {}
    }
    if let Some(value) = std::env::var_os(VARIABLE) {
        let pin = value
            .into_string()
            .map_err(|_| format!("{VARIABLE} is not UTF-8"))?;
        return Ok((Some(Zeroizing::new(pin)), format!("from {VARIABLE}")));
    }
    let Some(ask) = options.ask.clone() else {
        return Err(format!(
            "the token needs its PIN: set {VARIABLE}, or give pin-source=file:/PATH after the URI's question mark"
        ));
    };
    let question = format!(
        "PIN of the token {}: ",
        sealmark_http::sanitise(&token.label)
    );
    let answer = tokio::task::spawn_blocking(move || ask(&question)).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let answer = answer.map_err(|error| error.to_string())?;
    let pin = std::str::from_utf8(&answer).map_err(|_| "the PIN is not UTF-8".to_owned())?;
    Ok((Some(Zeroizing::new(pin.to_owned())), "typed".to_owned()))
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    // Reserved at once, so that no copy of it is left behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize + 1));
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_FILE {
        return Err("it is too large to be a PIN".to_owned());
    }
    let length = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(length);
    Ok(text)
}
