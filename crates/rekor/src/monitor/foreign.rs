//! Keys that are neither X.509 nor PKIX, as far as their names and fingerprints go.
//!
//! Nothing here says that a key is good; it is read to be found again. Formats: OpenPGP
//! <https://www.rfc-editor.org/rfc/rfc4880#section-4>, OpenSSH `authorized_keys`, minisign
//! <https://jedisct1.github.io/minisign/#public-key-format>.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sealmark_formats::Digest;
use sha1::{Digest as _, Sha1};

/// More packets than this in one key ring are not looked at.
const MAX_PACKETS: usize = 4096;
/// SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), before the key.
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// What a key says of itself.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Key {
    /// User ids, and the addresses in them.
    pub(super) names: Vec<String>,
    /// In the form of [`super::fingerprint`].
    pub(super) fingerprints: Vec<String>,
}

/// A line of `authorized_keys`: its fingerprint is that of `ssh-keygen -l`.
pub(super) fn ssh(content: &[u8]) -> Result<Key, String> {
    let text = core::str::from_utf8(content).map_err(|_| "it is not text")?;
    let mut words = text.split_ascii_whitespace();
    let blob = words.nth(1).ok_or("it has no second word")?;
    let blob = STANDARD
        .decode(blob)
        .map_err(|_| "its second word is not base64")?;
    let fingerprint = STANDARD_NO_PAD.encode(Digest::sha256(&blob).bytes());
    Ok(Key {
        names: words.next().map(str::to_owned).into_iter().collect(),
        fingerprints: vec![format!("SHA256:{fingerprint}")],
    })
}

/// Base64 of algorithm (2 bytes), key id (8) and an Ed25519 key (32), after a comment or not.
pub(super) fn minisign(content: &[u8]) -> Result<Key, String> {
    let text = core::str::from_utf8(content).map_err(|_| "it is not text")?;
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    let bytes = STANDARD
        .decode(line.unwrap_or_default().trim())
        .map_err(|_| "it is not base64")?;
    if bytes.len() != 42 {
        return Err(format!("it has {} bytes, not 42", bytes.len()));
    }
    let spki = [&ED25519_SPKI[..], &bytes[10..]].concat();
    Ok(Key {
        names: Vec::new(),
        fingerprints: vec![Digest::sha256(&spki).hex()],
    })
}

/// An armoured key ring: the fingerprints of its keys and subkeys of version 4, its user ids and their addresses.
pub(super) fn pgp(content: &[u8]) -> Result<Key, String> {
    let ring = dearmor(content)?;
    let mut key = Key::default();
    let mut rest = ring.as_slice();
    for _ in 0..MAX_PACKETS {
        if rest.is_empty() {
            break;
        }
        let (tag, body, after) = packet(rest).ok_or("a packet is malformed")?;
        match tag {
            // Public key and public subkey.
            6 | 14 if body.first() == Some(&4) => key.fingerprints.push(fingerprint_v4(body)?),
            13 => {
                let name = String::from_utf8_lossy(body).into_owned();
                let address = name
                    .rsplit_once('<')
                    .and_then(|(_, end)| end.strip_suffix('>'))
                    .map(str::to_owned);
                key.names.push(name);
                key.names.extend(address);
            }
            _ => {}
        }
        rest = after;
    }
    match key.fingerprints.is_empty() {
        true => Err("it has no key of version 4".to_owned()),
        false => Ok(key),
    }
}

/// SHA-1 over 0x99, the length and the packet (RFC 4880, section 12.2).
fn fingerprint_v4(body: &[u8]) -> Result<String, String> {
    let length = u16::try_from(body.len()).map_err(|_| "a key is too long")?;
    let mut hash = Sha1::new();
    hash.update([0x99]);
    hash.update(length.to_be_bytes());
    hash.update(body);
    Ok(hex::encode(hash.finalize()))
}

/// Tag and body of the first packet, and what follows it (RFC 4880, section 4.2). Partial lengths, which only data has,
/// are not taken.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    if head & 0x80 == 0 {
        return None;
    }
    let (tag, length, rest) = if head & 0x40 != 0 {
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=191 => (usize::from(first), rest),
            192..=223 => {
                let (&second, rest) = rest.split_first()?;
                let length = ((usize::from(first) - 192) << 8) + usize::from(second) + 192;
                (length, rest)
            }
            255 => {
                let (length, rest) = rest.split_first_chunk::<4>()?;
                (u32::from_be_bytes(*length) as usize, rest)
            }
            _ => return None,
        };
        (head & 0x3f, length, rest)
    } else {
        let tag = (head >> 2) & 0x0f;
        match head & 0x03 {
            0 => {
                let (&length, rest) = rest.split_first()?;
                (tag, usize::from(length), rest)
            }
            1 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (tag, usize::from(u16::from_be_bytes(*length)), rest)
            }
            2 => {
                let (length, rest) = rest.split_first_chunk::<4>()?;
                (tag, u32::from_be_bytes(*length) as usize, rest)
            }
            _ => return None,
        }
    };
    let (body, after) = rest.split_at_checked(length)?;
    Some((tag, body, after))
}

/// The bytes in ASCII armour (RFC 4880, section 6.2); its checksum protects against accidents only, and is not looked at.
fn dearmor(content: &[u8]) -> Result<Vec<u8>, String> {
    let text = core::str::from_utf8(content).map_err(|_| "it is not armoured")?;
    let (_, rest) = text
        .split_once("-----BEGIN PGP PUBLIC KEY BLOCK-----")
        .ok_or("it is not an armoured public key")?;
    let (inside, _) = rest
        .split_once("-----END ")
        .ok_or("its armour does not end")?;
    // Headers end at the first empty line.
    let base64: String = inside
        .lines()
        .skip(1)
        .skip_while(|line| line.contains(": "))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take_while(|line| !line.starts_with('='))
        .collect();
    STANDARD
        .decode(base64)
        .map_err(|_| "its armour is not base64".to_owned())
}
