//! A key as the vault describes it: a JSON Web Key with its attributes.
//! <https://learn.microsoft.com/rest/api/keyvault/keys/get-key/get-key>

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_keys::{Curve, KeyType, PublicKey, Scheme};
use serde::Deserialize;

use super::cloud::Cloud;
use super::reference::Key;
use crate::encode;

/// What a vault says of a key.
#[derive(Deserialize)]
pub(crate) struct Bundle {
    key: Jwk,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Jwk {
    kid: String,
    kty: String,
    #[serde(default)]
    key_ops: Vec<String>,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

#[derive(Default, Deserialize)]
struct Attributes {
    enabled: Option<bool>,
    nbf: Option<i64>,
    exp: Option<i64>,
}

/// A key that was understood.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) public: PublicKey,
    pub(crate) scheme: Scheme,
    pub(crate) version: String,
    /// Why it cannot sign, if it cannot.
    pub(crate) mute: Option<String>,
}

impl Bundle {
    /// The key, if it is the one that was asked for, and of a kind that Sigstore knows.
    pub(crate) fn read(self, asked: &Key, now: i64) -> Result<Found, String> {
        let version = self.version(asked)?;
        let public = self.key.public()?;
        let scheme = match public.key_type() {
            KeyType::Ecdsa(Curve::P256) => Scheme::EcdsaSha256,
            KeyType::Ecdsa(Curve::P384) => Scheme::EcdsaSha384,
            KeyType::Ecdsa(Curve::P521) => Scheme::EcdsaSha512,
            KeyType::Rsa { .. } => Scheme::RsaPkcs1Sha256,
            KeyType::Ed25519 => return Err("Ed25519 keys are not supported".into()),
        };
        let mute = self.mute(asked, now);
        Ok(Found {
            public,
            scheme,
            version,
            mute,
        })
    }

    /// The version, which is the end of the identifier. An emulator may call its host as it likes.
    fn version(&self, asked: &Key) -> Result<String, String> {
        let kid = &self.key.kid;
        let wrong = || {
            format!(
                "do not trust the answer: it is about another key, {}",
                sealmark_http::sanitise(kid)
            )
        };
        match Key::parse(&format!("azurekms://{kid}"), None) {
            Some(Ok(Key {
                host,
                name,
                version: Some(version),
                ..
            })) if name.eq_ignore_ascii_case(&asked.name)
                && (host == asked.host || Cloud::of(&asked.host).is_none())
                && asked.version.as_ref().is_none_or(|want| *want == version) =>
            {
                Ok(version)
            }
            _ => Err(wrong()),
        }
    }

    fn mute(&self, asked: &Key, now: i64) -> Option<String> {
        let named = format!("--vault-name {} --name {}", asked.vault(), asked.name);
        if self.attributes.enabled == Some(false) {
            return Some(format!(
                "the key is disabled; enable it: az keyvault key set-attributes {named} --enabled true"
            ));
        }
        let time = |seconds: i64| {
            jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |t| t.to_string())
        };
        if let Some(end) = self.attributes.exp.filter(|end| *end < now) {
            return Some(format!(
                "the key expired {}; use a newer version",
                time(end)
            ));
        }
        if let Some(start) = self.attributes.nbf.filter(|start| *start > now) {
            return Some(format!("the key may not be used before {}", time(start)));
        }
        let operations = &self.key.key_ops;
        if !operations.iter().any(|operation| operation == "sign") {
            return Some(format!(
                "the key may not sign: its permitted operations are {}; permit it: az keyvault key set-attributes {named} \
                 --ops sign verify",
                match operations.is_empty() {
                    true => "none".to_owned(),
                    false => sealmark_http::sanitise(&operations.join(", ")),
                }
            ));
        }
        None
    }
}

impl Jwk {
    fn public(&self) -> Result<PublicKey, String> {
        let number = |text: &str| {
            URL_SAFE_NO_PAD
                .decode(text.trim_end_matches('='))
                .map_err(|_| {
                    "do not trust the answer: a number of the key is not base64url".to_owned()
                })
        };
        let use_another = "make one with `az keyvault key create --kty EC --curve P-256`";
        let made = match self.kty.as_str() {
            "EC" | "EC-HSM" => {
                let curve = match self.crv.as_str() {
                    "P-256" => Curve::P256,
                    "P-384" => Curve::P384,
                    "P-521" => Curve::P521,
                    other => {
                        return Err(format!(
                            "it is a key of the curve {}, with which Sigstore knows no signature; {use_another}",
                            sealmark_http::sanitise(other)
                        ));
                    }
                };
                let length = scalar_length(curve);
                let (x, y) = (
                    padded(&number(&self.x)?, length)?,
                    padded(&number(&self.y)?, length)?,
                );
                encode::ecdsa_key(curve, &[&[4], x.as_slice(), y.as_slice()].concat())
            }
            "RSA" | "RSA-HSM" => encode::rsa_key(&number(&self.n)?, &number(&self.e)?),
            "oct" | "oct-HSM" => {
                return Err(format!(
                    "it is a symmetric key ({}), which has no public part; {use_another}",
                    self.kty
                ));
            }
            other => {
                return Err(format!(
                    "it is a key of the type {:?}, which is not supported; {use_another}",
                    sealmark_http::sanitise(other)
                ));
            }
        };
        made.map_err(|error| error.to_string())
    }
}

/// Bytes of each number of a curve's keys and signatures.
pub(crate) fn scalar_length(curve: Curve) -> usize {
    match curve {
        Curve::P256 => 32,
        Curve::P384 => 48,
        Curve::P521 => 66,
    }
}

/// A number at its full length.
pub(crate) fn padded(number: &[u8], length: usize) -> Result<Vec<u8>, String> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    if number.len() > length {
        return Err(
            "do not trust the answer: a number is longer than the key's curve has it".into(),
        );
    }
    let mut bytes = vec![0; length - number.len()];
    bytes.extend_from_slice(number);
    Ok(bytes)
}

/// The two numbers of an ECDSA signature in DER, each at its full length, as JSON Web Signatures have them.
pub(crate) fn two_numbers(der: &[u8], length: usize) -> Option<Vec<u8>> {
    fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
        let (length, rest) = match bytes {
            [found, length @ 0..=0x7f, rest @ ..] if *found == tag => (*length, rest),
            [found, 0x81, length, rest @ ..] if *found == tag => (*length, rest),
            _ => return None,
        };
        rest.split_at_checked(usize::from(length))
    }
    let (sequence, rest) = take(der, 0x30)?;
    let (r, after) = take(sequence, 0x02)?;
    let (s, end) = take(after, 0x02)?;
    if !rest.is_empty() || !end.is_empty() {
        return None;
    }
    Some([padded(r, length).ok()?, padded(s, length).ok()?].concat())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_of_signatures_are_of_full_length_both_ways() {
        let mut raw = vec![0; 64];
        raw[1] = 0x80;
        raw[63] = 7;
        let der = encode::ecdsa_signature(&raw).unwrap();
        assert_eq!(der.len(), 2 + 2 + 32 + 2 + 1);
        assert_eq!(two_numbers(&der, 32), Some(raw));
        for bad in [
            &b""[..],
            b"\x30\x00",
            b"\x30\x06\x02\x01\x01\x02\x01\x01\x00",
            &[0x30, 0x81],
        ] {
            assert_eq!(two_numbers(bad, 32), None);
        }
        assert_eq!(two_numbers(&der, 8), None);
    }

    /// The x and y are those of the example in RFC 7517, A.1, and the RSA key is that of RFC 7517, A.1, too.
    #[test]
    fn a_key_is_the_one_that_was_asked_for_and_of_a_kind_that_can_be_used() {
        let version = "91ca3fb133614790a51fc9c04bd96890";
        let asked = Key::parse("azurekms://vault-1/k", None).unwrap().unwrap();
        let good = json!({
            "key": {
                "kid": format!("https://vault-1.vault.azure.net/keys/k/{version}"),
                "kty": "EC-HSM", "crv": "P-256", "key_ops": ["sign", "verify"],
                "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
            },
            "attributes": {"enabled": true, "created": 1},
        });
        let read = |value: serde_json::Value| {
            let bundle: Bundle = serde_json::from_value(value).unwrap();
            bundle.read(&asked, 1_000)
        };
        let found = read(good.clone()).unwrap();
        assert_eq!((found.version.as_str(), found.mute), (version, None));
        assert_eq!(found.scheme, Scheme::EcdsaSha256);

        let changed = |pointer: &str, value: serde_json::Value| {
            let mut bundle = good.clone();
            match bundle.pointer_mut(pointer) {
                Some(place) => *place = value,
                None => bundle["attributes"][pointer] = value,
            }
            bundle
        };
        for (bundle, part) in [
            (
                changed(
                    "/key/kid",
                    json!(
                        "https://vault-2.vault.azure.net/keys/k/91ca3fb133614790a51fc9c04bd96890"
                    ),
                ),
                "about another key",
            ),
            (
                changed(
                    "/key/kid",
                    json!(
                        "https://vault-1.vault.azure.net/keys/j/91ca3fb133614790a51fc9c04bd96890"
                    ),
                ),
                "about another key",
            ),
            (
                changed("/key/kid", json!("https://vault-1.vault.azure.net/keys/k")),
                "about another key",
            ),
            (changed("/key/kid", json!("\u{1b}[2K")), "about another key"),
            (
                changed("/key/crv", json!("P-256K")),
                "the curve P-256K, with which Sigstore knows no signature",
            ),
            (changed("/key/kty", json!("oct-HSM")), "symmetric key"),
            (changed("/key/kty", json!("OKP")), "the type \"OKP\""),
            (changed("/key/x", json!("AAAA")), "not on the curve"),
            (changed("/key/x", json!("*")), "not base64url"),
        ] {
            let error = read(bundle).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        for (bundle, part) in [
            (
                changed("/attributes/enabled", json!(false)),
                "disabled; enable it: az keyvault key set-attributes --vault-name vault-1 --name k",
            ),
            (
                changed("/key/key_ops", json!(["verify"])),
                "its permitted operations are verify",
            ),
            (
                changed("/key/key_ops", json!([])),
                "its permitted operations are none",
            ),
            (changed("exp", json!(999)), "expired 1970-01-01T00:16:39Z"),
            (
                changed("nbf", json!(1001)),
                "not be used before 1970-01-01T00:16:41Z",
            ),
        ] {
            let mute = read(bundle).unwrap().mute.unwrap();
            assert!(mute.contains(part), "{mute}");
        }
    }
}
