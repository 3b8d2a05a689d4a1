//! Signatures by a token.

use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType as Kind, ObjectClass};
use cryptoki::session::Session;
use sealmark_formats::HashAlgorithm;
use sealmark_keys::{Curve, KeyType, PublicKey, Scheme};

use super::module::words;
use super::object::{self, Object};
use crate::encode;

/// The scheme for a key: the kind of key says it; an RSA key that may only be used with PSS is.
pub(super) fn scheme(
    public: &PublicKey,
    allowed: &[MechanismType],
    token: &[MechanismType],
) -> Scheme {
    let plain = public.key_type().schemes()[0];
    let may = |mechanism| match allowed.is_empty() {
        // A token that tells nothing is believed to have everything.
        true => token.is_empty() || token.contains(&mechanism),
        false => allowed.contains(&mechanism),
    };
    let pss = [
        (MechanismType::RSA_PKCS_PSS, Scheme::RsaPssSha256),
        (MechanismType::SHA256_RSA_PKCS_PSS, Scheme::RsaPssSha256),
        (MechanismType::SHA384_RSA_PKCS_PSS, Scheme::RsaPssSha384),
        (MechanismType::SHA512_RSA_PKCS_PSS, Scheme::RsaPssSha512),
    ];
    match public.key_type() {
        KeyType::Rsa { .. } if !may(MechanismType::RSA_PKCS) => {
            let other = pss.into_iter().find(|(mechanism, _)| may(*mechanism));
            other.map_or(plain, |(_, scheme)| scheme)
        }
        _ => plain,
    }
}

/// The private key beside a public one.
pub(super) fn private_key(
    session: &Session,
    public: &PublicKey,
    label: Option<&str>,
    id: Option<&[u8]>,
) -> Result<Object, String> {
    let kind = match public.key_type() {
        KeyType::Ecdsa(_) => Kind::EC,
        KeyType::Ed25519 => Kind::EC_EDWARDS,
        KeyType::Rsa { .. } => Kind::RSA,
    };
    let mut found = object::find(session, ObjectClass::PRIVATE_KEY, label, id)?;
    found.retain(|object| {
        let attributes = session.get_attributes(object.handle, &[AttributeType::KeyType]);
        attributes.is_ok_and(|attributes| attributes.contains(&Attribute::KeyType(kind)))
    });
    if found.len() > 1 {
        // RSA keys tell which one they are.
        let modulus = |object: &Object| {
            session
                .get_attributes(object.handle, &[AttributeType::Modulus])
                .ok()
        };
        found.retain(|object| match modulus(object).as_deref() {
            Some([Attribute::Modulus(bytes)]) => {
                let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
                public
                    .spki_der()
                    .windows(bytes.len().max(1))
                    .any(|part| part == bytes)
            }
            _ => true,
        });
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err("the token has the public key, but not its private key".to_owned()),
        several => Err(format!(
            "several private keys are meant: {}; add id= to the URI",
            object::list(several)
        )),
    }
}

/// A signature over a digest, or for Ed25519 over the data, in Sigstore's form.
pub(super) fn sign(
    session: &Session,
    key: &Object,
    scheme: Scheme,
    data: &[u8],
) -> Result<Vec<u8>, String> {
    let mechanism = mechanism(scheme)?;
    let wanted = [
        AttributeType::AlwaysAuthenticate,
        AttributeType::Sign,
        AttributeType::AllowedMechanisms,
    ];
    for attribute in session
        .get_attributes(key.handle, &wanted)
        .unwrap_or_default()
    {
        match attribute {
            Attribute::AlwaysAuthenticate(true) => {
                return Err("the token wants the PIN for each single use of this key, which is not supported: PKCS#11 \
                            allows that for digests only in a way that the library for it lacks; use a key without \
                            CKA_ALWAYS_AUTHENTICATE (on a YubiKey any slot but 9c)"
                    .to_owned());
            }
            Attribute::Sign(false) => {
                return Err("the key is not there to sign with: its CKA_SIGN is false".to_owned());
            }
            // What the token shows of it before a login may have lacked this.
            Attribute::AllowedMechanisms(allowed)
                if !allowed.is_empty() && !allowed.contains(&mechanism.mechanism_type()) =>
            {
                let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
                return Err(format!(
                    "the token lets this private key be used with {} only, and its public key does not say so: give the \
                     public key the same CKA_ALLOWED_MECHANISMS",
                    allowed.join(", ")
                ));
            }
            _ => {}
        }
    }
    let input = input(scheme, data);
    let raw = session
        .sign(&mechanism, key.handle, &input)
        .map_err(|error| words(&error))?;
    match scheme {
        Scheme::EcdsaSha256 | Scheme::EcdsaSha384 | Scheme::EcdsaSha512 => {
            encode::ecdsa_signature(&raw)
                .ok_or_else(|| "what came is no ECDSA signature".to_owned())
        }
        _ => Ok(raw),
    }
}

/// Whether the token itself finds a signature good.
pub(super) fn verify(
    session: &Session,
    key: &Object,
    public: &PublicKey,
    scheme: Scheme,
    data: &[u8],
    signature: &[u8],
) -> Result<bool, String> {
    use cryptoki::error::{Error, RvError};
    let raw = match public.key_type() {
        KeyType::Ecdsa(curve) => match raw_signature(signature, curve) {
            Some(raw) => raw,
            None => return Ok(false),
        },
        _ => signature.to_vec(),
    };
    match session.verify(&mechanism(scheme)?, key.handle, &input(scheme, data), &raw) {
        Ok(()) => Ok(true),
        Err(Error::Pkcs11(RvError::SignatureInvalid | RvError::SignatureLenRange, _)) => Ok(false),
        Err(error) => Err(words(&error)),
    }
}

/// What a mechanism is given: PKCS#1 v1.5 wants the digest with its name.
fn input(scheme: Scheme, data: &[u8]) -> Vec<u8> {
    match scheme {
        Scheme::RsaPkcs1Sha256 => encode::digest_info(HashAlgorithm::Sha256, data),
        Scheme::RsaPkcs1Sha384 => encode::digest_info(HashAlgorithm::Sha384, data),
        Scheme::RsaPkcs1Sha512 => encode::digest_info(HashAlgorithm::Sha512, data),
        _ => data.to_vec(),
    }
}

fn mechanism(scheme: Scheme) -> Result<Mechanism<'static>, String> {
    let pss = |hash_alg, mgf, length: u64| {
        let s_len = length.into();
        Ok(Mechanism::RsaPkcsPss(PkcsPssParams {
            hash_alg,
            mgf,
            s_len,
        }))
    };
    match scheme {
        Scheme::EcdsaSha256 | Scheme::EcdsaSha384 | Scheme::EcdsaSha512 => Ok(Mechanism::Ecdsa),
        Scheme::RsaPkcs1Sha256 | Scheme::RsaPkcs1Sha384 | Scheme::RsaPkcs1Sha512 => {
            Ok(Mechanism::RsaPkcs)
        }
        Scheme::RsaPssSha256 => pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32),
        Scheme::RsaPssSha384 => pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
        Scheme::RsaPssSha512 => pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
        Scheme::Ed25519 => Ok(Mechanism::Eddsa(EddsaParams::new(
            EddsaSignatureScheme::Pure,
        ))),
        Scheme::Ed25519ph => Err("Ed25519ph is not supported on tokens".to_owned()),
    }
}

/// `r` and `s` behind each other, each as long as the curve's order; `None` if that is no signature.
fn raw_signature(der: &[u8], curve: Curve) -> Option<Vec<u8>> {
    let length: usize = match curve {
        Curve::P256 => 32,
        Curve::P384 => 48,
        Curve::P521 => 66,
    };
    let mut rest = match der {
        [0x30, 0x81, _, rest @ ..] => rest,
        [0x30, _, rest @ ..] => rest,
        _ => return None,
    };
    let mut raw = Vec::new();
    for _ in 0..2 {
        let [2, n, content @ ..] = rest else {
            return None;
        };
        let number = content.get(..usize::from(*n))?;
        rest = &content[number.len()..];
        let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
        raw.resize(raw.len() + length.checked_sub(number.len())?, 0);
        raw.extend_from_slice(number);
    }
    Some(raw)
}
