//! Keys and certificates on a token: found, named, and read as public keys.

use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use sealmark_keys::{Curve, PublicKey};
use sealmark_x509::Certificate;

use super::module::words;
use super::reference::{Reference, key_attributes};
use crate::encode;

/// As many objects of a token are looked at: one who has more gives an id.
const MAX_OBJECTS: usize = 1000;
/// As many are named in a message.
const MAX_NAMED: usize = 10;

/// An object on a token.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) handle: ObjectHandle,
    pub(super) label: String,
    pub(super) id: Vec<u8>,
}

impl Object {
    fn describe(&self) -> String {
        match key_attributes(Some(&self.label), Some(&self.id)) {
            parts if parts.is_empty() => "one without label and id".to_owned(),
            parts => parts.join(";"),
        }
    }
}

/// Objects of this class with the label and the id that the reference has.
pub(super) fn find(
    session: &Session,
    class: ObjectClass,
    label: Option<&str>,
    id: Option<&[u8]>,
) -> Result<Vec<Object>, String> {
    let mut template = vec![Attribute::Class(class)];
    if let Some(label) = label {
        template.push(Attribute::Label(label.as_bytes().to_vec()));
    }
    if let Some(id) = id {
        template.push(Attribute::Id(id.to_vec()));
    }
    let failed = |error| format!("its objects cannot be listed: {}", words(&error));
    let handles: Vec<ObjectHandle> = session
        .iter_objects(&template)
        .map_err(failed)?
        .take(MAX_OBJECTS)
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let describe = |handle| {
        let wanted = [AttributeType::Label, AttributeType::Id];
        let (mut label, mut id) = (String::new(), Vec::new());
        for attribute in session.get_attributes(handle, &wanted).unwrap_or_default() {
            match attribute {
                Attribute::Label(bytes) => label = String::from_utf8_lossy(&bytes).into_owned(),
                Attribute::Id(bytes) => id = bytes,
                _ => {}
            }
        }
        Object { handle, label, id }
    };
    let mut objects: Vec<Object> = handles.into_iter().map(describe).collect();
    // Tokens give them in any order.
    objects.sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
    Ok(objects)
}

/// Objects, for a message.
pub(super) fn list(objects: &[Object]) -> String {
    let mut shown: Vec<String> = objects
        .iter()
        .take(MAX_NAMED)
        .map(Object::describe)
        .collect();
    if objects.len() > MAX_NAMED {
        shown.push(format!("{} more", objects.len() - MAX_NAMED));
    }
    shown.join(", ")
}

/// A key as far as it can be seen.
#[derive(Clone, Debug)]
pub(super) struct Visible {
    pub(super) object: Object,
    pub(super) public: PublicKey,
    /// `CKA_ALLOWED_MECHANISMS`, where the token says so.
    pub(super) allowed: Vec<MechanismType>,
}

/// The key that the reference means: from its public key, or its certificate; with `private`, from what an RSA key says
/// of itself. `None` if nothing is to be seen.
pub(super) fn visible(
    session: &Session,
    reference: &Reference,
    private: bool,
) -> Result<Option<Visible>, String> {
    let (label, id) = (reference.label.as_deref(), reference.id.as_deref());
    let mut classes = vec![ObjectClass::PUBLIC_KEY, ObjectClass::CERTIFICATE];
    if private {
        classes.push(ObjectClass::PRIVATE_KEY);
    }
    for class in classes {
        let mut found: Vec<Visible> = Vec::new();
        let mut objects = Vec::new();
        let mut reason = None;
        for object in find(session, class, label, id)? {
            match read(session, class, object.handle) {
                Ok((public, allowed)) => {
                    objects.push(object.clone());
                    if found.iter().all(|other| other.public != public) {
                        found.push(Visible {
                            object,
                            public,
                            allowed,
                        });
                    }
                }
                Err(cause) => reason = Some(cause),
            }
        }
        match (found.len(), reason) {
            (1, _) => return Ok(found.pop()),
            (0, None) => {}
            (0, Some(reason)) if class == ObjectClass::PUBLIC_KEY => return Err(reason),
            (0, Some(_)) => {}
            _ => {
                return Err(format!(
                    "several keys are meant: {}; add {} to the URI",
                    list(&objects),
                    match label {
                        Some(_) => "id=",
                        None => "object= or id=",
                    }
                ));
            }
        }
    }
    Ok(None)
}

/// What there is besides what was asked for: the end of a message that it was not found.
pub(super) fn others(session: &Session, reference: &Reference) -> String {
    let wanted = match reference.describe_key() {
        key if key.is_empty() => "no key".to_owned(),
        key => format!("no key {key}"),
    };
    let mut objects = find(session, ObjectClass::PUBLIC_KEY, None, None).unwrap_or_default();
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::CERTIFICATE] {
        for object in find(session, class, None, None).unwrap_or_default() {
            if objects
                .iter()
                .all(|o| (&o.label, &o.id) != (&object.label, &object.id))
            {
                objects.push(object);
            }
        }
    }
    match objects.is_empty() {
        true => format!("{wanted} on it; it shows no key at all"),
        false => format!("{wanted} on it; those there are: {}", list(&objects)),
    }
}

/// The certificate beside a key.
pub(super) fn certificate(session: &Session, key: &Visible) -> Option<Certificate> {
    let id = Some(key.object.id.as_slice()).filter(|id| !id.is_empty());
    let label = Some(key.object.label.as_str()).filter(|label| id.is_none() && !label.is_empty());
    let objects = find(session, ObjectClass::CERTIFICATE, label, id).ok()?;
    let mut certificates = objects
        .into_iter()
        .filter_map(|object| Certificate::from_der(&value(session, object.handle)?).ok());
    certificates.find(|certificate| {
        let mut public = certificate.public_key();
        public.as_mut().is_ok_and(|public| **public == key.public)
    })
}

fn value(session: &Session, handle: ObjectHandle) -> Option<Vec<u8>> {
    let attributes = session
        .get_attributes(handle, &[AttributeType::Value])
        .ok()?;
    attributes
        .into_iter()
        .find_map(|attribute| match attribute {
            Attribute::Value(bytes) => Some(bytes),
            _ => None,
        })
}

fn read(
    session: &Session,
    class: ObjectClass,
    handle: ObjectHandle,
) -> Result<(PublicKey, Vec<MechanismType>), String> {
    if class == ObjectClass::CERTIFICATE {
        let der = value(session, handle).ok_or("a certificate without a value")?;
        let certificate = Certificate::from_der(&der).map_err(|error| error.to_string())?;
        let public = certificate
            .public_key()
            .map_err(|error| error.to_string())?;
        return Ok((public.clone(), Vec::new()));
    }
    let wanted = [
        AttributeType::KeyType,
        AttributeType::Modulus,
        AttributeType::PublicExponent,
        AttributeType::EcParams,
        AttributeType::EcPoint,
        AttributeType::AllowedMechanisms,
    ];
    let attributes = session.get_attributes(handle, &wanted);
    let attributes =
        attributes.map_err(|error| format!("the key cannot be read: {}", words(&error)))?;
    let (mut kind, mut allowed) = (None, Vec::new());
    let (mut modulus, mut exponent) = (Vec::new(), Vec::new());
    let (mut parameters, mut point) = (Vec::new(), Vec::new());
    for attribute in attributes {
        match attribute {
            Attribute::KeyType(found) => kind = Some(found),
            Attribute::Modulus(bytes) => modulus = bytes,
            Attribute::PublicExponent(bytes) => exponent = bytes,
            Attribute::EcParams(bytes) => parameters = bytes,
            Attribute::EcPoint(bytes) => point = bytes,
            Attribute::AllowedMechanisms(found) => allowed = found,
            _ => {}
        }
    }
    let key = match kind {
        Some(KeyType::RSA) => {
            encode::rsa_key(&modulus, &exponent).map_err(|error| error.to_string())
        }
        Some(KeyType::EC) => {
            let curve = Curve::ALL
                .into_iter()
                .find(|curve| encode::curve_oid(*curve) == parameters)
                .ok_or("its curve is none of P-256, P-384 and P-521, so the key cannot be used")?;
            let point = plain_point(&point, |bytes| {
                bytes.first() == Some(&4) && !bytes.len().is_multiple_of(2)
            });
            encode::ecdsa_key(curve, point).map_err(|error| error.to_string())
        }
        Some(KeyType::EC_EDWARDS) => {
            let point = plain_point(&point, |bytes| bytes.len() == 32);
            encode::ed25519_key(point).map_err(|error| error.to_string())
        }
        Some(other) => Err(format!("keys of the type {other} are not supported")),
        None => Err("the token does not say what kind of key it is".to_owned()),
    };
    key.map(|key| (key, allowed))
}

/// `CKA_EC_POINT` is the point in an OCTET STRING, or, on some tokens, the point itself.
fn plain_point(bytes: &[u8], is_point: impl Fn(&[u8]) -> bool) -> &[u8] {
    match encode::octet_string(bytes) {
        Some(inner) if is_point(inner) => inner,
        _ => bytes,
    }
}
