//! What was granted and not yet fetched: codes of browsers (RFC 6749, section 4.1.2) and of devices (RFC 8628).
//!
//! Invariants: a code is known by its digest only, so that looking it up tells nothing of it; it is good once,
//! whatever comes of it; the tables are bounded, and nobody's code is forgotten for the sake of a newcomer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_formats::digest::sha256;

use super::random;
use crate::Error;

/// Codes that wait, of each kind.
const MAX_WAITING: usize = 1024;
/// Seconds for a code that a browser brings to a program on its machine.
pub(super) const CODE_LIFETIME: u64 = 60;
/// Seconds for a code that a person copies.
pub(super) const COPIED_LIFETIME: u64 = 300;
/// Seconds for a device.
pub(super) const DEVICE_LIFETIME: u64 = 600;
/// Seconds between two questions of a device.
pub(super) const INTERVAL: u64 = 5;
/// What a device that asks too often has to add (RFC 8628, section 3.5).
const SLOWER: u64 = 5;
/// How much earlier a question may come, in milliseconds: clocks and networks are not exact.
const EARLY_MS: u64 = 1000;
/// Consonants, which make no words (RFC 8628, section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// 34 bits.
const USER_CODE: usize = 8;

type Id = [u8; 32];

/// Why there is no new code.
pub(super) enum Refused {
    /// Too many wait.
    Full,
    /// There is no randomness.
    Fault(Error),
}

/// What somebody granted in a browser.
pub(super) struct Grant {
    pub(super) email: String,
    pub(super) nonce: Option<String>,
    pub(super) challenge: String,
    pub(super) redirect: String,
    /// When it ends, in seconds since 1970.
    pub(super) expires: u64,
}

/// The codes of browsers.
#[derive(Default)]
pub(super) struct Codes(Mutex<HashMap<Id, Grant>>);

impl Codes {
    /// A code for a grant, and the grants that nobody fetched are dropped.
    pub(super) fn give(&self, grant: Grant, now: u64) -> Result<String, Refused> {
        let code = secret()?;
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|_, grant| grant.expires > now);
        if table.len() >= MAX_WAITING {
            return Err(Refused::Full);
        }
        table.insert(sha256(code.as_bytes()), grant);
        Ok(code)
    }

    /// What a code was given for. It is no good afterwards.
    pub(super) fn take(&self, code: &str, now: u64) -> Option<Grant> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = table.remove(&sha256(code.as_bytes()));
        grant.filter(|grant| grant.expires > now)
    }
}

/// A device that waits.
struct Device {
    user_code: String,
    challenge: Option<String>,
    state: State,
    expires: u64,
    /// Seconds between questions.
    interval: u64,
    /// When it asked last, in milliseconds.
    asked: Option<u64>,
}

enum State {
    Waiting,
    Denied,
    Granted { email: String },
}

/// What a device is told.
pub(super) struct Started {
    pub(super) device_code: String,
    /// To be typed, with a dash in the middle.
    pub(super) user_code: String,
}

/// The answer to a device's question.
pub(super) enum Poll {
    Unknown,
    Expired,
    SlowDown,
    Pending,
    Denied,
    Granted {
        email: String,
        challenge: Option<String>,
    },
}

/// The devices that wait.
#[derive(Default)]
pub(super) struct Devices(Mutex<HashMap<Id, Device>>);

impl Devices {
    /// A new one.
    pub(super) fn start(&self, challenge: Option<String>, now: u64) -> Result<Started, Refused> {
        let device_code = secret()?;
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|_, device| device.expires > now);
        if table.len() >= MAX_WAITING {
            return Err(Refused::Full);
        }
        let user_code = loop {
            let code = user_code()?;
            if table.values().all(|device| device.user_code != code) {
                break code;
            }
        };
        let (left, right) = user_code.split_at(USER_CODE / 2);
        let shown = format!("{left}-{right}");
        let device = Device {
            user_code,
            challenge,
            state: State::Waiting,
            expires: now + DEVICE_LIFETIME,
            interval: INTERVAL,
            asked: None,
        };
        table.insert(sha256(device_code.as_bytes()), device);
        Ok(Started {
            device_code,
            user_code: shown,
        })
    }

    /// Whether a device shows this code, and waits for an answer.
    pub(super) fn waits(&self, typed: &str, now: u64) -> bool {
        self.with(typed, now, |_| ()).is_some()
    }

    /// Somebody says who they are to the device with this code, or that it is not theirs (`None`). `false` if there is
    /// none that waits.
    pub(super) fn decide(&self, typed: &str, email: Option<String>, now: u64) -> bool {
        let state = email.map_or(State::Denied, |email| State::Granted { email });
        self.with(typed, now, |device| device.state = state)
            .is_some()
    }

    fn with<T>(&self, typed: &str, now: u64, then: impl FnOnce(&mut Device) -> T) -> Option<T> {
        let code = normal(typed)?;
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let device = table.values_mut().find(|device| device.user_code == code)?;
        let waits = device.expires > now && matches!(device.state, State::Waiting);
        waits.then(|| then(device))
    }

    /// A device asks. After an answer that is final it is forgotten.
    pub(super) fn poll(&self, device_code: &str, now_ms: u64) -> Poll {
        let id = sha256(device_code.as_bytes());
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(device) = table.get_mut(&id) else {
            return Poll::Unknown;
        };
        if device.expires <= now_ms / 1000 {
            table.remove(&id);
            return Poll::Expired;
        }
        let due = device.asked.map(|asked| asked + device.interval * 1000);
        device.asked = Some(now_ms);
        if due.is_some_and(|due| now_ms + EARLY_MS < due) {
            device.interval = (device.interval + SLOWER).min(DEVICE_LIFETIME);
            return Poll::SlowDown;
        }
        if matches!(device.state, State::Waiting) {
            return Poll::Pending;
        }
        match table.remove(&id) {
            Some(Device {
                state: State::Granted { email },
                challenge,
                ..
            }) => Poll::Granted { email, challenge },
            _ => Poll::Denied,
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

fn secret() -> Result<String, Error> {
    Ok(URL_SAFE_NO_PAD.encode(random()?))
}

/// Letters that are equally likely.
fn user_code() -> Result<String, Error> {
    let mut code = String::with_capacity(USER_CODE);
    // 240 is a multiple of 20: what is above it is thrown away.
    let fair = 256 / LETTERS.len() * LETTERS.len();
    while code.len() < USER_CODE {
        let bytes = random()?.into_iter().map(usize::from);
        let letters = bytes.filter(|byte| *byte < fair);
        let letters = letters.map(|byte| char::from(LETTERS[byte % LETTERS.len()]));
        code.extend(letters.take(USER_CODE - code.len()));
    }
    Ok(code)
}

/// A code as it was typed: case, dashes and spaces do not matter.
fn normal(typed: &str) -> Option<String> {
    let letters = typed.chars().filter(|c| !matches!(c, '-' | ' '));
    let code: String = letters.take(USER_CODE + 1).collect();
    let code = code.to_ascii_uppercase();
    (code.len() == USER_CODE && code.is_ascii()).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(expires: u64) -> Grant {
        Grant {
            email: "jane@example.org".to_owned(),
            nonce: None,
            challenge: String::new(),
            redirect: String::new(),
            expires,
        }
    }

    fn given<T>(result: Result<T, Refused>) -> T {
        let Ok(given) = result else { panic!("refused") };
        given
    }

    #[test]
    fn a_code_is_good_once_and_until_its_time() {
        let codes = Codes::default();
        let code = given(codes.give(grant(60), 0));
        assert!(codes.take("x", 0).is_none());
        assert!(codes.take(&code, 59).is_some());
        assert!(codes.take(&code, 59).is_none());
        let code = given(codes.give(grant(60), 0));
        assert!(codes.take(&code, 60).is_none());
    }

    #[test]
    fn nobody_makes_others_lose_their_codes() {
        let codes = Codes::default();
        let first = given(codes.give(grant(60), 0));
        for _ in 1..MAX_WAITING {
            given(codes.give(grant(60), 0));
        }
        assert!(matches!(codes.give(grant(60), 0), Err(Refused::Full)));
        assert!(codes.take(&first, 0).is_some());
        given(codes.give(grant(60), 0));
        // When they have expired there is room.
        given(codes.give(grant(120), 60));
        let devices = Devices::default();
        for _ in 0..MAX_WAITING {
            given(devices.start(None, 0));
        }
        assert!(matches!(devices.start(None, 0), Err(Refused::Full)));
        given(devices.start(None, DEVICE_LIFETIME));
    }

    #[test]
    fn a_device_waits_for_its_user() {
        let devices = Devices::default();
        let Started {
            device_code,
            user_code,
        } = given(devices.start(None, 0));
        assert_eq!(user_code.len(), 9);
        assert!(matches!(devices.poll("x", 0), Poll::Unknown));
        assert!(matches!(devices.poll(&device_code, 0), Poll::Pending));
        assert!(matches!(devices.poll(&device_code, 1000), Poll::SlowDown));
        // Ten seconds now.
        assert!(matches!(devices.poll(&device_code, 7000), Poll::SlowDown));
        assert!(matches!(devices.poll(&device_code, 22_000), Poll::Pending));
        let typed = user_code.to_lowercase().replace('-', " ");
        assert!(devices.waits(&typed, 22));
        assert!(!devices.waits("BBBB-BBBB-B", 22) && !devices.waits("", 22));
        assert!(devices.decide(&typed, Some("jane@example.org".to_owned()), 22));
        assert!(!devices.decide(&typed, None, 22));
        let Poll::Granted { email, .. } = devices.poll(&device_code, 40_000) else {
            panic!("it was granted")
        };
        assert_eq!(email, "jane@example.org");
        assert!(matches!(devices.poll(&device_code, 60_000), Poll::Unknown));
        let other = given(devices.start(None, 0));
        assert!(devices.decide(&other.user_code, None, 0));
        assert!(matches!(devices.poll(&other.device_code, 0), Poll::Denied));
        let late = given(devices.start(None, 0));
        assert!(!devices.decide(&late.user_code, None, DEVICE_LIFETIME));
        let end = DEVICE_LIFETIME * 1000;
        assert!(matches!(
            devices.poll(&late.device_code, end),
            Poll::Expired
        ));
    }
}
