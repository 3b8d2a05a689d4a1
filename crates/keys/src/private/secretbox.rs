//! The encrypted key files of Sigstore: JSON of go-securesystemslib's `encrypted` package around a NaCl secretbox,
//! whose key is derived by scrypt.
//!
//! <https://github.com/secure-systems-lab/go-securesystemslib/blob/main/encrypted/encrypted.go>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Error;
use crate::engine::private::{self, cipher};

/// What cosign writes, about 64 MiB of memory and 0.2 s.
const N: u64 = 65_536;
/// What cosign reads. N=32768 was written by early versions of it; N=131072 is OWASP's advice. Any other value would let who
/// gives us the file choose how much memory we need.
const KNOWN_N: [u64; 3] = [32_768, 65_536, 131_072];
const R: u64 = 8;
const P: u64 = 1;
const SALT: usize = 32;
const NONCE: usize = 24;
const TAG: usize = 16;

// The order of the fields is that of Go's structs, as its json.Marshal writes them.
#[derive(Serialize, Deserialize)]
struct Encrypted {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u64,
    p: u64,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

fn malformed(reason: impl Into<String>) -> Error {
    Error::Malformed {
        what: "encrypted Sigstore private key",
        reason: reason.into(),
    }
}

/// An encrypted key whose form is right, so that it is worth asking for the password.
pub(crate) struct Sealed {
    n: u64,
    salt: Vec<u8>,
    nonce: [u8; NONCE],
    ciphertext: Vec<u8>,
}

impl Sealed {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Error> {
        let Encrypted {
            kdf,
            cipher,
            ciphertext,
        } = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        if kdf.name != "scrypt" {
            return Err(malformed(format!(
                "the kdf is {}, not scrypt",
                printable(&kdf.name)
            )));
        }
        if cipher.name != "nacl/secretbox" {
            let name = printable(&cipher.name);
            return Err(malformed(format!(
                "the cipher is {name}, not nacl/secretbox"
            )));
        }
        let Params { n, r, p } = kdf.params;
        if !KNOWN_N.contains(&n) || r != R || p != P {
            return Err(Error::ScryptParameters { n, r, p });
        }
        let decode = |what: &str, text: &str| {
            STANDARD
                .decode(text)
                .map_err(|_| malformed(format!("the {what} is not base64")))
        };
        let nonce = decode("nonce", &cipher.nonce)?;
        let nonce = nonce
            .try_into()
            .map_err(|_| malformed("the nonce is not 24 bytes long"))?;
        let ciphertext = decode("ciphertext", &ciphertext)?;
        if ciphertext.len() < TAG {
            return Err(malformed("the ciphertext is cut off"));
        }
        Ok(Self {
            n,
            salt: decode("salt", &kdf.salt)?,
            nonce,
            ciphertext,
        })
    }

    pub(crate) fn open(self, password: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = derive(password, &self.salt, self.n)?;
        let (tag, ciphertext) = self.ciphertext.split_at(TAG);
        let (mut stream, mac_key) = keystream(&key, &self.nonce);
        if !cipher::equal(&mac(&mac_key, ciphertext), tag) {
            return Err(Error::WrongPassword);
        }
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        stream.apply_keystream(&mut plain);
        Ok(plain)
    }
}

/// Encrypts, giving the JSON.
pub(crate) fn seal(plain: &[u8], password: &[u8]) -> Result<Vec<u8>, Error> {
    let mut salt = [0; SALT];
    let mut nonce = [0; NONCE];
    private::random(&mut salt)?;
    private::random(&mut nonce)?;
    let key = derive(password, &salt, N)?;
    let (mut stream, mac_key) = keystream(&key, &nonce);
    let mut ciphertext = plain.to_vec();
    stream.apply_keystream(&mut ciphertext);
    let mut boxed = mac(&mac_key, &ciphertext).to_vec();
    boxed.append(&mut ciphertext);
    let encrypted = Encrypted {
        kdf: Kdf {
            name: "scrypt".into(),
            params: Params { n: N, r: R, p: P },
            salt: STANDARD.encode(salt),
        },
        cipher: Cipher {
            name: "nacl/secretbox".into(),
            nonce: STANDARD.encode(nonce),
        },
        ciphertext: STANDARD.encode(boxed),
    };
    serde_json::to_vec(&encrypted).map_err(|error| malformed(error.to_string()))
}

fn derive(password: &[u8], salt: &[u8], n: u64) -> Result<Zeroizing<[u8; 32]>, Error> {
    let failed = |_| Error::Engine("derive a key from the password");
    let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
    let params = scrypt::Params::new(log_n, R as u32, P as u32).map_err(failed)?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(password, salt, &params, &mut *key)
        .map_err(|_| Error::Engine("derive a key from the password"))?;
    Ok(key)
}

/// NaCl's crypto_secretbox: the first 32 bytes of XSalsa20's key stream are the key of Poly1305, the rest encrypts.
pub(super) fn keystream(key: &[u8; 32], nonce: &[u8; NONCE]) -> (XSalsa20, Zeroizing<[u8; 32]>) {
    let mut stream = XSalsa20::new(key.into(), nonce.into());
    let mut mac_key = Zeroizing::new([0; 32]);
    stream.apply_keystream(&mut *mac_key);
    (stream, mac_key)
}

pub(super) fn mac(key: &[u8; 32], ciphertext: &[u8]) -> [u8; TAG] {
    Poly1305::new(key.into())
        .compute_unpadded(ciphertext)
        .into()
}

/// A stranger's text, quoted, escaped and cut to a length that can be printed.
fn printable(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of NaCl's own `tests/secretbox.c` (also in libsodium).
    #[test]
    fn seals_as_nacl_does() {
        let key = hex::decode("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
            .unwrap();
        let nonce = hex::decode("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37").unwrap();
        let plain = "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c\
                     61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af\
                     1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705";
        let sealed = "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186a\
                      c0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae\
                      90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74\
                      e355a5";
        let (key, nonce): ([u8; 32], [u8; 24]) =
            (key.try_into().unwrap(), nonce.try_into().unwrap());
        let (mut stream, mac_key) = keystream(&key, &nonce);
        let mut bytes = hex::decode(plain).unwrap();
        stream.apply_keystream(&mut bytes);
        assert_eq!(
            hex::encode([&mac(&mac_key, &bytes)[..], &bytes].concat()),
            sealed
        );
    }

    #[test]
    fn refuses_what_no_client_writes() {
        let json = |kdf: &str, n: u64, r: u64, p: u64, cipher: &str, nonce: &str, text: &str| {
            format!(
                r#"{{"kdf":{{"name":"{kdf}","params":{{"N":{n},"r":{r},"p":{p}}},"salt":"AAAA"}},"cipher":{{"name":"{cipher}","nonce":"{nonce}"}},"ciphertext":"{text}"}}"#
            )
        };
        let nonce = "A".repeat(32);
        let text = "A".repeat(64);
        let good = json("scrypt", 65536, 8, 1, "nacl/secretbox", &nonce, &text);
        assert!(Sealed::parse(good.as_bytes()).is_ok());
        let table = [
            (
                json("scrypt", 1 << 40, 8, 1, "nacl/secretbox", &nonce, &text),
                "unsupported scrypt parameters N=1099511627776, r=8, p=1 in the encrypted private key: N may be 32768, 65536 or 131072, with r=8 and p=1",
            ),
            (
                json("scrypt", 65536, 9, 1, "nacl/secretbox", &nonce, &text),
                "unsupported scrypt parameters N=65536, r=9, p=1 in the encrypted private key: N may be 32768, 65536 or 131072, with r=8 and p=1",
            ),
            (
                json("argon2", 65536, 8, 1, "nacl/secretbox", &nonce, &text),
                "not a valid encrypted Sigstore private key: the kdf is \"argon2\", not scrypt",
            ),
            (
                json("scrypt", 65536, 8, 1, "rot13", &nonce, &text),
                "not a valid encrypted Sigstore private key: the cipher is \"rot13\", not nacl/secretbox",
            ),
            (
                json("scrypt", 65536, 8, 1, "nacl/secretbox", "AAAA", &text),
                "not a valid encrypted Sigstore private key: the nonce is not 24 bytes long",
            ),
            (
                json("scrypt", 65536, 8, 1, "nacl/secretbox", &nonce, "AAAA"),
                "not a valid encrypted Sigstore private key: the ciphertext is cut off",
            ),
            (
                json("scrypt", 65536, 8, 1, "nacl/secretbox", &nonce, "?"),
                "not a valid encrypted Sigstore private key: the ciphertext is not base64",
            ),
        ];
        for (json, message) in table {
            let error = Sealed::parse(json.as_bytes())
                .err()
                .map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(message));
        }
        assert!(Sealed::parse(&good.as_bytes()[..good.len() - 1]).is_err());
    }
}
