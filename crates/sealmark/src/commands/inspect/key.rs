//! Keys, public and private. Of a private key nothing is shown but its public half, and an encrypted one is not
//! opened.

use sealmark_keys::{PrivateKey, PublicKey};

use super::facts::Facts;

/// What a public key is.
pub(super) fn public_facts(key: &PublicKey) -> Facts {
    let mut facts = Facts::new();
    facts.text("algorithm", key.algorithm_name());
    facts.text("keyId", key.id().to_string());
    facts.text("hint", key.id().hint());
    facts
}

/// A PEM file with a key; `None` if it is not one.
pub(super) fn from_pem(pem: &[u8]) -> Result<Option<(&'static str, Facts)>, String> {
    match PrivateKey::is_encrypted_pem(pem) {
        Some(true) => {
            let mut facts = Facts::new();
            facts.flag("encrypted", true);
            facts.text(
                "publicKey",
                "encrypted too; sealmark public-key --key FILE asks for the password and prints it",
            );
            Ok(Some(("private key, encrypted", facts)))
        }
        Some(false) => {
            let key = PrivateKey::from_pem(pem, || Err(sealmark_keys::Error::WrongPassword))
                .map_err(|error| error.to_string())?;
            Ok(Some(private(&key)))
        }
        None => match PublicKey::from_pem(pem) {
            Ok(key) => Ok(Some(("public key", public_facts(&key)))),
            Err(sealmark_keys::Error::NotPem(_) | sealmark_keys::Error::WrongKind { .. }) => {
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        },
    }
}

/// DER with a key; `None` if it is not one.
pub(super) fn from_der(der: &[u8]) -> Option<(&'static str, Facts)> {
    if let Ok(key) = PublicKey::from_spki_der(der) {
        return Some(("public key", public_facts(&key)));
    }
    PrivateKey::from_pkcs8_der(der)
        .ok()
        .map(|key| private(&key))
}

fn private(key: &PrivateKey) -> (&'static str, Facts) {
    let mut facts = Facts::new();
    facts.flag("encrypted", false);
    facts.facts("publicKey", public_facts(key.public_key()));
    ("private key, NOT encrypted", facts)
}
