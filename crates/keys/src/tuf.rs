//! Public keys as TUF metadata has them: a type, a scheme, and PEM or hex.
//! <https://theupdateframework.github.io/specification/latest/#keys>

use crate::{Curve, KeyType, PublicKey, Scheme};

impl PublicKey {
    /// Reads the `keytype`, the `scheme` and the `keyval.public` of a key in TUF metadata.
    ///
    /// `None` for keys of kinds that are not known, and for those that are not what their type and scheme say.
    ///
    /// ```
    /// # use sealmark_keys::{PublicKey, Scheme};
    /// let hex = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    /// let (_, scheme) = PublicKey::from_tuf("ed25519", "ed25519", hex).unwrap();
    /// assert_eq!(scheme, Scheme::Ed25519);
    /// assert_eq!(PublicKey::from_tuf("rsa", "ed25519", hex), None);
    /// ```
    pub fn from_tuf(keytype: &str, scheme: &str, public: &str) -> Option<(Self, Scheme)> {
        let known = match scheme {
            "ed25519" => Scheme::Ed25519,
            "ecdsa-sha2-nistp256" => Scheme::EcdsaSha256,
            "ecdsa-sha2-nistp384" => Scheme::EcdsaSha384,
            "ecdsa-sha2-nistp521" => Scheme::EcdsaSha512,
            "rsassa-pss-sha256" => Scheme::RsaPssSha256,
            "rsassa-pss-sha384" => Scheme::RsaPssSha384,
            "rsassa-pss-sha512" => Scheme::RsaPssSha512,
            "rsa-pkcs1v15-sha256" => Scheme::RsaPkcs1Sha256,
            "rsa-pkcs1v15-sha384" => Scheme::RsaPkcs1Sha384,
            "rsa-pkcs1v15-sha512" => Scheme::RsaPkcs1Sha512,
            _ => return None,
        };
        let key = if public.trim_start().starts_with("-----BEGIN") {
            Self::from_pem(public.as_bytes()).ok()?
        } else {
            Self::from_spki_der(&spki_of_raw(known, public)?).ok()?
        };
        // A scheme's name says which curve, and older repositories repeat the scheme as the type.
        let fits = match (key.key_type(), keytype) {
            (KeyType::Ed25519, "ed25519") => known == Scheme::Ed25519,
            (KeyType::Rsa { .. }, "rsa") => known.fits(key.key_type()),
            (KeyType::Ecdsa(curve), keytype) => {
                let named = match curve {
                    Curve::P256 => "ecdsa-sha2-nistp256",
                    Curve::P384 => "ecdsa-sha2-nistp384",
                    Curve::P521 => "ecdsa-sha2-nistp521",
                };
                scheme == named && (keytype == "ecdsa" || keytype == named)
            }
            _ => false,
        };
        fits.then_some((key, known))
    }

    /// The `keytype`, the `scheme` and the `keyval.public` of this key, as [`from_tuf`](Self::from_tuf) and the clients
    /// of others read them: PEM, but hex for Ed25519.
    ///
    /// `None` for RSA, of which no one scheme is everybody's.
    ///
    /// ```
    /// # use sealmark_keys::{Algorithm, PrivateKey, PublicKey, Scheme};
    /// let key = PrivateKey::generate(Algorithm::EcdsaP256)?;
    /// let (keytype, scheme, public) = key.public_key().to_tuf().unwrap();
    /// let read = PublicKey::from_tuf(keytype, scheme, &public);
    /// assert_eq!(read, Some((key.public_key().clone(), Scheme::EcdsaSha256)));
    /// # Ok::<(), sealmark_keys::Error>(())
    /// ```
    pub fn to_tuf(&self) -> Option<(&'static str, &'static str, String)> {
        let scheme = match self.key_type() {
            KeyType::Ed25519 => {
                let raw = self.spki_der().last_chunk::<32>()?;
                return Some(("ed25519", "ed25519", hex::encode(raw)));
            }
            KeyType::Ecdsa(Curve::P256) => "ecdsa-sha2-nistp256",
            KeyType::Ecdsa(Curve::P384) => "ecdsa-sha2-nistp384",
            KeyType::Ecdsa(Curve::P521) => "ecdsa-sha2-nistp521",
            KeyType::Rsa { .. } => return None,
        };
        Some(("ecdsa", scheme, self.to_pem()))
    }
}

/// Keys in hex: 32 bytes of Ed25519, or an uncompressed point on P-256 as Sigstore's roots 1 to 4 have it.
fn spki_of_raw(scheme: Scheme, text: &str) -> Option<Vec<u8>> {
    // The DER of a SubjectPublicKeyInfo up to the key, RFC 8410 and RFC 5480.
    const ED25519: &str = "302a300506032b6570032100";
    const P256: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let (prefix, length) = match scheme {
        Scheme::Ed25519 => (ED25519, 32),
        Scheme::EcdsaSha256 => (P256, 65),
        _ => return None,
    };
    let raw = hex::decode(text).ok().filter(|raw| raw.len() == length)?;
    Some([hex::decode(prefix).ok()?, raw].concat())
}
