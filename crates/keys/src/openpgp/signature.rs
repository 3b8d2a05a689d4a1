//! Signature packets (RFC 4880, section 5.2).
//!
//! Invariant: [`Signature::write`] gives what Go writes of what it read: subpackets that are not hashed lose their
//! critical bit and get lengths of the shortest form, everything else is as it was.

use super::key::{DSA, ECDSA, ED25519, EDDSA, RSA, RSA_SIGN_ONLY};
use super::packet::{Fields, TAG_SIGNATURE, write_header};
use super::{Dialect, Fault};

/// Types (section 5.2.1).
pub(super) const BINARY: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const GENERIC_CERTIFICATION: u8 = 0x10;
pub(super) const POSITIVE_CERTIFICATION: u8 = 0x13;
pub(super) const SUBKEY_BINDING: u8 = 0x18;
const PRIMARY_KEY_BINDING: u8 = 0x19;
pub(super) const KEY_REVOCATION: u8 = 0x20;
pub(super) const SUBKEY_REVOCATION: u8 = 0x28;

/// In the key flags (section 5.2.3.21).
const FLAG_SIGN: u8 = 2;
/// A signature may hold one by a subkey (section 5.2.3.26), which holds none.
const MAX_DEPTH: usize = 1;

/// Of version 4.
#[derive(Clone, Debug, Default)]
pub(super) struct Signature {
    pub(super) kind: u8,
    pub(super) algorithm: u8,
    pub(super) hash: u8,
    /// From the version to the end of the hashed subpackets.
    head: Vec<u8>,
    /// As Go writes them.
    unhashed: Vec<u8>,
    pub(super) hash_tag: [u8; 2],
    /// The numbers, with their lengths.
    tail: Vec<u8>,
    pub(super) numbers: Vec<Vec<u8>>,
    pub(super) created: u32,
    pub(super) issuer: Option<u64>,
    pub(super) is_primary_id: Option<bool>,
    /// All key flags, if there are any.
    flags: Option<u8>,
    pub(super) revokes: bool,
    pub(super) embedded: Option<Box<Self>>,
}

impl Signature {
    pub(super) fn parse(body: &[u8], dialect: Dialect) -> Result<Self, Fault> {
        let mut fields = Fields(body);
        let signature = Self::fields(&mut fields, dialect, 0)?;
        fields.end()?;
        Ok(signature)
    }

    fn fields(fields: &mut Fields<'_>, dialect: Dialect, depth: usize) -> Result<Self, Fault> {
        let start = fields.0;
        let version = fields.byte()?;
        if version != 4 {
            return Err(Fault::unsupported(format!(
                "OpenPGP signatures of version {version}"
            )));
        }
        let mut signature = Self {
            kind: fields.byte()?,
            algorithm: fields.byte()?,
            hash: fields.byte()?,
            ..Self::default()
        };
        let length = fields.u16()?;
        match signature.algorithm {
            RSA | RSA_SIGN_ONLY | DSA | ECDSA => {}
            EDDSA | ED25519 if dialect == Dialect::Curve25519 => {}
            other => {
                return Err(Fault::unsupported(format!(
                    "OpenPGP signatures of the algorithm {other}"
                )));
            }
        }
        known_hash(signature.hash)?;
        let mut hashed = Fields(fields.take(length)?);
        signature.head = start[..6 + length].to_vec();
        let mut has_time = false;
        while !hashed.0.is_empty() {
            signature.subpacket(&mut hashed, true, &mut has_time, dialect, depth)?;
        }
        if !has_time {
            return Err(Fault::structural(
                "a signature does not say when it was made",
            ));
        }
        let length = fields.u16()?;
        let mut unhashed = Fields(fields.take(length)?);
        while !unhashed.0.is_empty() {
            signature.subpacket(&mut unhashed, false, &mut has_time, dialect, depth)?;
        }
        let tag = fields.take(2)?;
        signature.hash_tag = [tag[0], tag[1]];
        let tail = fields.0;
        signature.numbers = match signature.algorithm {
            RSA | RSA_SIGN_ONLY => vec![fields.mpi()?.to_vec()],
            ED25519 => vec![fields.take(64)?.to_vec()],
            _ => vec![fields.mpi()?.to_vec(), fields.mpi()?.to_vec()],
        };
        signature.tail = tail[..tail.len() - fields.0.len()].to_vec();
        Ok(signature)
    }

    /// One subpacket (section 5.2.3.1).
    fn subpacket(
        &mut self,
        fields: &mut Fields<'_>,
        hashed: bool,
        has_time: &mut bool,
        dialect: Dialect,
        depth: usize,
    ) -> Result<(), Fault> {
        let (kind, content) = fields.subpacket()?;
        let (kind, critical) = (kind & 0x7f, kind & 0x80 != 0);
        if !hashed {
            write_subpacket(kind, content, &mut self.unhashed);
        }
        let wrong = || {
            Fault::structural(format!(
                "the subpacket {kind} of a signature is of a wrong length"
            ))
        };
        match kind {
            // Signature creation time.
            2 => {
                if !hashed {
                    return Err(Fault::structural("a signature's time is not signed"));
                }
                let time: [u8; 4] = content.try_into().map_err(|_| wrong())?;
                self.created = u32::from_be_bytes(time);
                *has_time = true;
            }
            // Issuer, which Go takes from either area.
            16 => {
                let id: [u8; 8] = content.try_into().map_err(|_| wrong())?;
                self.issuer = Some(u64::from_be_bytes(id));
            }
            // Signature and key expiration time: not judged.
            3 | 9 if hashed && content.len() != 4 => return Err(wrong()),
            // Primary user id.
            25 if hashed => match content {
                [primary] => self.is_primary_id = Some(*primary > 0),
                _ => return Err(wrong()),
            },
            // Key flags.
            27 if hashed => {
                let first = content.first().ok_or_else(wrong)?;
                self.flags = Some(self.flags.unwrap_or(0) | first);
            }
            // Reason for revocation.
            29 if hashed => {
                content.first().ok_or_else(wrong)?;
                self.revokes = true;
            }
            // Embedded signature.
            32 => {
                if self.embedded.is_some() {
                    return Err(Fault::structural("a signature holds two others"));
                }
                if depth == MAX_DEPTH {
                    return Err(Fault::fatal("signatures are in signatures too deep"));
                }
                let embedded = Self::fields(&mut Fields(content), dialect, depth + 1)?;
                if embedded.kind != PRIMARY_KEY_BINDING {
                    return Err(Fault::structural("a signature holds one of a wrong type"));
                }
                self.embedded = Some(Box::new(embedded));
            }
            // Preferences and features, which nothing depends on.
            3 | 9 | 11 | 21 | 22 | 25 | 27 | 29 | 30 => {}
            _ if critical => {
                return Err(Fault::unsupported(format!(
                    "the OpenPGP signature subpacket {kind}, which is critical"
                )));
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether it says that the key signs. `None` if it says nothing of what the key does.
    pub(super) fn lets_sign(&self) -> Option<bool> {
        self.flags.map(|flags| flags & FLAG_SIGN != 0)
    }

    /// What is hashed after the data (section 5.2.4).
    pub(super) fn trailer(&self) -> Vec<u8> {
        let length = (self.head.len() as u32).to_be_bytes();
        [&self.head, &[4, 0xff][..], &length].concat()
    }

    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let length = self.head.len() + 2 + self.unhashed.len() + 2 + self.tail.len();
        write_header(TAG_SIGNATURE, length, to);
        to.extend_from_slice(&self.head);
        // It was as long or longer when it was read.
        to.extend_from_slice(&(self.unhashed.len() as u16).to_be_bytes());
        to.extend_from_slice(&self.unhashed);
        to.extend_from_slice(&self.hash_tag);
        to.extend_from_slice(&self.tail);
    }
}

fn write_subpacket(kind: u8, content: &[u8], to: &mut Vec<u8>) {
    match content.len() + 1 {
        length @ 0..192 => to.push(length as u8),
        length @ 192..16320 => {
            let length = length - 192;
            to.extend([192 + (length >> 8) as u8, length as u8]);
        }
        length => {
            to.push(255);
            to.extend((length as u32).to_be_bytes());
        }
    }
    to.push(kind);
    to.extend_from_slice(content);
}

/// Of version 2 or 3 (section 5.2.2), which old packages have.
#[derive(Clone, Debug)]
pub(super) struct SignatureV3 {
    pub(super) kind: u8,
    /// The type and the time.
    pub(super) trailer: [u8; 5],
    pub(super) issuer: u64,
    pub(super) algorithm: u8,
    pub(super) hash: u8,
    pub(super) hash_tag: [u8; 2],
    pub(super) numbers: Vec<Vec<u8>>,
}

impl SignatureV3 {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let mut fields = Fields(body);
        let version = fields.byte()?;
        if !matches!(version, 2 | 3) || fields.byte()? != 5 {
            return Err(Fault::unsupported(format!(
                "OpenPGP signatures of version {version}"
            )));
        }
        let hashed = fields.take(5)?;
        let trailer: [u8; 5] = core::array::from_fn(|at| hashed[at]);
        let issuer = fields.u64()?;
        let (algorithm, hash) = (fields.byte()?, fields.byte()?);
        let count = match algorithm {
            RSA | RSA_SIGN_ONLY => 1,
            DSA => 2,
            _ => {
                return Err(Fault::unsupported(format!(
                    "OpenPGP signatures of version 3 and the algorithm {algorithm}"
                )));
            }
        };
        known_hash(hash)?;
        let tag = fields.take(2)?;
        let hash_tag = [tag[0], tag[1]];
        let numbers = (0..count)
            .map(|_| fields.mpi().map(<[u8]>::to_vec))
            .collect::<Result<_, _>>()?;
        fields.end()?;
        Ok(Self {
            kind: trailer[0],
            trailer,
            issuer,
            algorithm,
            hash,
            hash_tag,
            numbers,
        })
    }
}

/// Those that Go has a name for (section 9.4).
fn known_hash(hash: u8) -> Result<(), Fault> {
    match hash {
        1..=3 | 8..=11 => Ok(()),
        _ => Err(Fault::unsupported(format!("the OpenPGP hash {hash}"))),
    }
}
