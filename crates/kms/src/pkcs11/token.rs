//! Which token is meant, and the way into it.
//!
//! Invariant: a PIN is tried once. Tokens count, and lock themselves.

use cryptoki::context::Function;
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::UserType;
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::module::{Open, State, words};
use super::reference::Reference;

/// A token that was found.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// Where it is.
    pub(super) slot: u64,
    /// Its label.
    pub(super) label: String,
    /// Its serial number.
    pub(super) serial: String,
    /// The PIN is typed on the reader itself.
    pub(super) pin_pad: bool,
}

/// The one token that the reference means, with a session to it.
pub(super) fn find(state: &mut State, reference: &Reference) -> Result<Token, String> {
    let failed = |error: Pkcs11Error| format!("its tokens cannot be listed: {}", words(&error));
    let slots = state
        .library
        .get_slots_with_initialized_token()
        .map_err(failed)?;
    let mut all = Vec::new();
    for slot in slots {
        // A token may be pulled out between two calls.
        if let Ok(info) = state.library.get_token_info(slot) {
            all.push((slot, info));
        }
    }
    let (matching, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|(slot, info)| matches(state, reference, *slot, info));
    match matching.as_slice() {
        [(slot, info)] => {
            let token = Token {
                slot: slot.id(),
                label: info.label().trim().to_owned(),
                serial: info.serial_number().trim().to_owned(),
                pin_pad: info.protected_authentication_path(),
            };
            open(state, *slot)?;
            Ok(token)
        }
        [] => Err(match others.is_empty() {
            true => "the module has no token: is it plugged in, and initialised?".to_owned(),
            false => format!("no such token; those there are: {}", list(&others)),
        }),
        several => Err(format!(
            "several tokens are meant: {}; add serial= to the URI",
            list(several)
        )),
    }
}

fn list(tokens: &[(Slot, TokenInfo)]) -> String {
    let shown: Vec<String> = tokens
        .iter()
        .map(|(slot, info)| {
            let label = sealmark_http::sanitise(info.label().trim());
            let serial = sealmark_http::sanitise(info.serial_number().trim());
            format!("{label:?} (serial {serial}, slot {})", slot.id())
        })
        .collect();
    shown.join(", ")
}

fn matches(state: &State, reference: &Reference, slot: Slot, info: &TokenInfo) -> bool {
    if reference.slot.is_some_and(|wanted| wanted != slot.id()) {
        return false;
    }
    reference.place.iter().all(|(name, wanted)| {
        let slot_info = || state.library.get_slot_info(slot).ok();
        let library = || state.library.get_library_info().ok();
        let found = match *name {
            "token" => Some(info.label().to_owned()),
            "manufacturer" => Some(info.manufacturer_id().to_owned()),
            "model" => Some(info.model().to_owned()),
            "serial" => Some(info.serial_number().to_owned()),
            "slot-description" => slot_info().map(|slot| slot.slot_description().to_owned()),
            "slot-manufacturer" => slot_info().map(|slot| slot.manufacturer_id().to_owned()),
            "library-description" => library().map(|info| info.library_description().to_owned()),
            "library-manufacturer" => library().map(|info| info.manufacturer_id().to_owned()),
            _ => library().map(|info| {
                let version = info.library_version();
                format!("{}.{}", version.major(), version.minor())
            }),
        };
        // Fields of PKCS#11 are padded with spaces.
        found.is_some_and(|found| found.trim_end() == wanted.trim_end())
    })
}

fn open(state: &mut State, slot: Slot) -> Result<(), String> {
    if state.open.contains_key(&slot.id()) {
        return Ok(());
    }
    let session = state.library.open_ro_session(slot);
    let session =
        session.map_err(|error| format!("no session can be opened: {}", words(&error)))?;
    let logged_in = false;
    state.open.insert(slot.id(), Open { session, logged_in });
    Ok(())
}

impl State {
    /// The session to a token that [`find`] has found.
    pub(super) fn session(&self, token: &Token) -> Result<&Open, String> {
        let open = self.open.get(&token.slot);
        open.ok_or_else(|| "the token is gone".to_owned())
    }

    /// Logs in, if nobody has yet. Without a PIN, the reader's own pad asks for it.
    pub(super) fn log_in(
        &mut self,
        token: &Token,
        pin: Option<&Zeroizing<String>>,
        origin: &str,
    ) -> Result<(), String> {
        if self.session(token)?.logged_in {
            return Ok(());
        }
        let slot = Slot::try_from(token.slot).map_err(|error| words(&error))?;
        let info = |state: &Self| state.library.get_token_info(slot);
        if let Ok(info) = info(self) {
            if info.user_pin_locked() {
                return Err(LOCKED.to_owned());
            }
            if info.login_required() && !info.user_pin_initialized() {
                return Err("the token has no PIN yet: set one with its own tool".to_owned());
            }
        }
        let secret = pin.map(|pin| AuthPin::new(pin.as_str().into()));
        let session = &self.session(token)?.session;
        match session.login(UserType::User, secret.as_ref()) {
            Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(refused(&error, info(self).ok().as_ref(), origin)),
        }
        if let Some(open) = self.open.get_mut(&token.slot) {
            open.logged_in = true;
        }
        Ok(())
    }
}

const LOCKED: &str = "the token has locked its PIN after too many wrong ones: unlock it with the security officer's \
                      PIN or the PUK, with the token's own tool";

fn refused(error: &Pkcs11Error, info: Option<&TokenInfo>, origin: &str) -> String {
    let Pkcs11Error::Pkcs11(code, Function::Login) = error else {
        return format!("the token cannot be logged in to: {}", words(error));
    };
    match code {
        // Too short or too long is wrong, too.
        RvError::PinIncorrect | RvError::PinLenRange => {
            let left = match info {
                Some(info) if info.user_pin_locked() => format!("; {LOCKED}"),
                Some(info) if info.user_pin_final_try() => {
                    "; one try is left before the token locks it".to_owned()
                }
                Some(info) if info.user_pin_count_low() => {
                    "; the token counts wrong ones, and locks its PIN after some more".to_owned()
                }
                _ => "; it was tried once, and the token does not tell how many tries are left"
                    .to_owned(),
            };
            format!("the token refuses the PIN ({origin}){left}")
        }
        RvError::PinLocked => LOCKED.to_owned(),
        RvError::PinExpired => {
            "the PIN has expired: set a new one with the token's own tool".to_owned()
        }
        RvError::UserPinNotInitialized => {
            "the token has no PIN yet: set one with its own tool".to_owned()
        }
        RvError::FunctionCanceled => "the PIN was not given".to_owned(),
        _ => format!("the token cannot be logged in to: {}", words(error)),
    }
}
