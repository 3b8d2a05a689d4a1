//! New keys on a token.
//!
//! Invariant: nothing that is there is replaced, and the private key cannot leave the token.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::Session;
use sealmark_keys::{Algorithm, Curve, KeyType};

use super::module::{State, words};
use super::object::{self, Visible};
use super::reference::Reference;
use super::token::Token;

/// 65537.
const EXPONENT: [u8; 3] = [1, 0, 1];
/// As much of the key's id becomes `CKA_ID`: as long as that of a certificate's key identifier, which tools expect.
const ID_LENGTH: usize = 20;

/// Makes a key pair with the reference's label and id. The token is logged in to.
pub(super) fn create(
    state: &State,
    token: &Token,
    reference: &Reference,
    algorithm: Algorithm,
) -> Result<Visible, String> {
    let (label, id) = (reference.label.as_deref(), reference.id.as_deref());
    if label.is_none() && id.is_none() {
        return Err("a new key needs a name: give object=NAME, or id=, in the URI".to_owned());
    }
    let slot = cryptoki::slot::Slot::try_from(token.slot).map_err(|error| words(&error))?;
    let session = state.library.open_rw_session(slot);
    let session =
        session.map_err(|error| format!("the token cannot be written to: {}", words(&error)))?;
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let there = object::find(&session, class, label, id)?;
        if !there.is_empty() {
            return Err(format!(
                "it is there already ({}): nothing was made, as a key that is replaced cannot be brought back",
                object::list(&there)
            ));
        }
    }
    let (public, private) = pair(&session, label, id, algorithm)?;
    let seen = object::find(&session, ObjectClass::PUBLIC_KEY, label, id)?;
    let mut key = match seen.as_slice() {
        [_] => object::visible(&session, reference, true)?,
        _ => None,
    }
    .ok_or("the token has made a key that it does not show")?;
    if id.is_none() {
        let id = key.public.id().bytes()[..ID_LENGTH].to_vec();
        // Only for other tools, which find the two halves by it; some tokens give ids themselves.
        let named = [public, private].into_iter().all(|half| {
            session
                .update_attributes(half, &[Attribute::Id(id.clone())])
                .is_ok()
        });
        if named {
            key.object.id = id;
        }
    }
    Ok(key)
}

type Pair = (
    cryptoki::object::ObjectHandle,
    cryptoki::object::ObjectHandle,
);

fn pair(
    session: &Session,
    label: Option<&str>,
    id: Option<&[u8]>,
    algorithm: Algorithm,
) -> Result<Pair, String> {
    let mut name = vec![Attribute::Token(true)];
    name.extend(label.map(|label| Attribute::Label(label.as_bytes().to_vec())));
    name.extend(id.map(|id| Attribute::Id(id.to_vec())));
    let private = [
        name.as_slice(),
        &[
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ],
    ]
    .concat();
    let make = |mechanism: &Mechanism<'_>, kind: &[Attribute]| {
        let usage = [Attribute::Private(false), Attribute::Verify(true)];
        let public = [name.as_slice(), &usage, kind].concat();
        session.generate_key_pair(mechanism, &public, &private)
    };
    let curve = |curve: Curve| {
        [Attribute::EcParams(
            crate::encode::curve_oid(curve).to_vec(),
        )]
    };
    let made = match algorithm.key_type() {
        KeyType::Ecdsa(name) => make(&Mechanism::EccKeyPairGen, &curve(name)),
        KeyType::Ed25519 => {
            // PKCS#11 3.0 has the name of the curve as a PrintableString; newer tokens take its object identifier.
            let name = b"\x13\x0cedwards25519".to_vec();
            let oid = b"\x06\x03\x2b\x65\x70".to_vec();
            let make = |parameters| {
                make(
                    &Mechanism::EccEdwardsKeyPairGen,
                    &[Attribute::EcParams(parameters)],
                )
            };
            make(name).or_else(|_| make(oid))
        }
        KeyType::Rsa { bits } => {
            let bits = bits.try_into().map_err(|_| "too many bits".to_owned())?;
            make(
                &Mechanism::RsaPkcsKeyPairGen,
                &[
                    Attribute::ModulusBits(bits),
                    Attribute::PublicExponent(EXPONENT.to_vec()),
                ],
            )
        }
    };
    made.map_err(|error| format!("the token cannot make such a key: {}", words(&error)))
}
