//! References of keys: what is displayed of a file or a variable is read again as the same. URLs are
//! displayed without what may be secret in them.
#![no_main]

use sealmark_kms::KeyRef;

const SEEDS: [&[u8]; 6] = [
    b"cosign.key",
    b"env://COSIGN_KEY",
    b"https://example.com/cosign.pub",
    b"http://127.0.0.1:8080/cosign.pub",
    b"file:///etc/keys/cosign.pub",
    b"./C:\\keys\\cosign.pub",
];

sealmark_fuzz::target!(only SEEDS, |data| {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Some(reference) = sealmark_fuzz::read(KeyRef::parse(text)) else {
        return false;
    };
    // Other paths have no text that is theirs alone.
    let in_text = match &reference {
        KeyRef::File(path) => path.to_str().is_some(),
        KeyRef::Env(_) => true,
        KeyRef::Url(_) => false,
    };
    if in_text {
        sealmark_fuzz::same(&reference, KeyRef::parse(&reference.to_string()));
    }
    true
});
