//! What a request is called in logs, here and at the client.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header, of requests and of answers.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that a client gives; Fulcio has the same bound.
const MAX: usize = 128;
/// Bytes of an id that is made here: nobody guesses another's.
const RANDOM: usize = 16;

/// The client's id if it is one line of visible ASCII and not too long, else a new one.
pub(super) fn of(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(HEADER).filter(|value| {
        (1..=MAX).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(new)
}

fn new() -> HeaderValue {
    let mut bytes = [0; RANDOM];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        // Without randomness no key works either; a request without a name is the least of it.
        return HeaderValue::from_static("-");
    }
    HeaderValue::from_str(&hex::encode(bytes)).expect("hex is visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sane_id_is_honoured() {
        for (given, honoured) in [
            ("7", true),
            ("01HF-abc_DEF.~!", true),
            (&"x".repeat(128), true),
            (&"x".repeat(129), false),
            ("", false),
            ("two words", false),
            ("tab\there", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(given).unwrap());
            assert_eq!(of(&headers) == given, honoured, "{given:?}");
        }
        let made = [of(&HeaderMap::new()), of(&HeaderMap::new())];
        assert_eq!(made.clone().map(|id| id.len()), [32, 32]);
        assert_ne!(made[0], made[1]);
        let mut bytes = HeaderMap::new();
        bytes.insert(HEADER, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(of(&bytes).len(), 32);
    }
}
