//! Public key packets of version 4 (RFC 4880, section 5.5.2; RFC 6637, section 9; RFC 9580, section 5.5.5).

use std::borrow::Cow;

use sealmark_formats::digest::sha1_for_legacy_use_only;

use super::packet::{Fields, TAG_PUBLIC_KEY, TAG_PUBLIC_SUBKEY, write_header};
use super::{Dialect, Fault};
use crate::asn1::{self, Family};
use crate::{Curve, PublicKey};

/// Algorithms (RFC 4880, section 9.1; RFC 9580, section 9.1).
pub(super) const RSA: u8 = 1;
const RSA_ENCRYPT_ONLY: u8 = 2;
pub(super) const RSA_SIGN_ONLY: u8 = 3;
const ELGAMAL: u8 = 16;
pub(super) const DSA: u8 = 17;
const ECDH: u8 = 18;
pub(super) const ECDSA: u8 = 19;
/// On Ed25519 in keys of version 4, with a curve's name.
pub(super) const EDDSA: u8 = 22;
const X25519: u8 = 25;
/// The same curve since RFC 9580.
pub(super) const ED25519: u8 = 27;

/// Curves by their object identifiers, without tag and length.
const P256_OID: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384_OID: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521_OID: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const ED25519_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
const X25519_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01];
/// Go reads no longer one.
const GO_MAX_OID: usize = 8;
/// Go reads no larger exponent.
const MAX_EXPONENT_BYTES: usize = 3;

/// A public key or subkey.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) algorithm: u8,
    pub(super) is_subkey: bool,
    /// The last eight bytes of the fingerprint.
    pub(super) id: u64,
    body: Vec<u8>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Checked(PublicKey),
    /// Cannot sign, or cannot be used here.
    Other,
}

impl Key {
    pub(super) fn parse(body: &[u8], is_subkey: bool, dialect: Dialect) -> Result<Self, Fault> {
        let mut fields = Fields(body);
        // Read as Go does it: of a packet that is too short nothing is judged.
        let head = fields.take(6)?;
        let (version, algorithm) = (head[0], head[5]);
        if version != 4 {
            return Err(Fault::unsupported(format!(
                "OpenPGP keys of version {version}"
            )));
        }
        let more = dialect == Dialect::Curve25519;
        let material = match algorithm {
            RSA | RSA_ENCRYPT_ONLY | RSA_SIGN_ONLY => {
                let (n, e) = (fields.mpi()?.to_vec(), fields.mpi()?.to_vec());
                if e.len() > MAX_EXPONENT_BYTES {
                    return Err(Fault::unsupported("RSA exponents of more than three bytes"));
                }
                Material::Rsa { n, e }
            }
            DSA => numbers(&mut fields, 4)?,
            ELGAMAL => numbers(&mut fields, 3)?,
            ECDSA => {
                let oid = oid(&mut fields, dialect)?;
                Material::Checked(point(oid, fields.mpi()?)?)
            }
            ECDH => {
                let oid = oid(&mut fields, dialect)?;
                let key = fields.mpi()?;
                // Section 9 of RFC 6637: a length, 1, a hash, a cipher.
                let [1, _, _] = (match fields.byte()? {
                    length @ 0..3 => {
                        return Err(Fault::unsupported(format!(
                            "ECDH parameters of {length} bytes"
                        )));
                    }
                    length => fields.take(usize::from(length))?,
                }) else {
                    return Err(Fault::unsupported("ECDH parameters other than RFC 6637's"));
                };
                if !(more && oid == X25519_OID) {
                    point(oid, key)?;
                }
                Material::Other
            }
            EDDSA if more => {
                let oid = oid(&mut fields, dialect)?;
                if oid != ED25519_OID {
                    return Err(unknown_curve(oid));
                }
                match fields.mpi()? {
                    [0x40, key @ ..] => Material::Checked(checked(Family::Ed25519, key)?),
                    _ => return Err(Fault::unsupported("EdDSA points without the prefix 40")),
                }
            }
            ED25519 if more => Material::Checked(checked(Family::Ed25519, fields.take(32)?)?),
            X25519 if more => {
                fields.take(32)?;
                Material::Other
            }
            _ => {
                let name = match algorithm {
                    EDDSA | ED25519 => "Ed25519",
                    X25519 => "X25519",
                    26 => "X448",
                    28 => "Ed448",
                    _ => "unknown",
                };
                return Err(Fault::unsupported(format!(
                    "OpenPGP keys of the algorithm {algorithm} ({name})"
                )));
            }
        };
        fields.end()?;
        let mut key = Self {
            algorithm,
            is_subkey,
            id: 0,
            body: body.to_vec(),
            material,
        };
        // Section 12.2.
        let fingerprint = sha1_for_legacy_use_only(&key.hashed());
        key.id = Fields(&fingerprint[12..]).u64()?;
        Ok(key)
    }

    /// What of it goes into the hash of a signature on it, and into the fingerprint (section 5.2.4).
    pub(super) fn hashed(&self) -> Vec<u8> {
        // No key is longer than four numbers of 8 KiB.
        let length = (self.body.len() as u16).to_be_bytes();
        [&[0x99], &length[..], &self.body].concat()
    }

    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let tag = match self.is_subkey {
            true => TAG_PUBLIC_SUBKEY,
            false => TAG_PUBLIC_KEY,
        };
        write_header(tag, self.body.len(), to);
        to.extend_from_slice(&self.body);
    }

    /// Whether a primary key can be of this algorithm.
    pub(super) fn can_sign(&self) -> bool {
        matches!(
            self.algorithm,
            RSA | RSA_SIGN_ONLY | DSA | ECDSA | EDDSA | ED25519
        )
    }

    /// What signatures by it are checked with.
    pub(super) fn public_key(&self) -> Result<Cow<'_, PublicKey>, Fault> {
        match &self.material {
            Material::Checked(key) => Ok(Cow::Borrowed(key)),
            Material::Rsa { n, e } => PublicKey::from_rsa_numbers(n, e)
                .map(Cow::Owned)
                .map_err(|error| Fault::not_here(format!("OpenPGP key {:016X}: {error}", self.id))),
            Material::Other if self.algorithm == DSA => Err(Fault::not_here(format!(
                "OpenPGP key {:016X} is a DSA key; sign with RSA, ECDSA or Ed25519",
                self.id
            ))),
            Material::Other => Err(Fault::structural("a key that cannot sign has signed")),
        }
    }
}

fn numbers(fields: &mut Fields<'_>, count: usize) -> Result<Material, Fault> {
    for _ in 0..count {
        fields.mpi()?;
    }
    Ok(Material::Other)
}

fn oid<'a>(fields: &mut Fields<'a>, dialect: Dialect) -> Result<&'a [u8], Fault> {
    let length = usize::from(fields.byte()?);
    if dialect == Dialect::Go && length > GO_MAX_OID {
        return Err(Fault::unsupported(format!(
            "OpenPGP curves with an identifier of {length} bytes"
        )));
    }
    fields.take(length)
}

fn unknown_curve(oid: &[u8]) -> Fault {
    let name: String = oid.iter().map(|byte| format!("{byte:02x}")).collect();
    Fault::unsupported(format!("the OpenPGP curve with the identifier {name}"))
}

fn point(oid: &[u8], point: &[u8]) -> Result<PublicKey, Fault> {
    let curve = match oid {
        P256_OID => Curve::P256,
        P384_OID => Curve::P384,
        P521_OID => Curve::P521,
        _ => return Err(unknown_curve(oid)),
    };
    checked(Family::Ec(curve), point)
}

fn checked(family: Family, key: &[u8]) -> Result<PublicKey, Fault> {
    asn1::public(family, key)
        .and_then(PublicKey::from_raw)
        .map_err(Fault::Unsupported)
}
