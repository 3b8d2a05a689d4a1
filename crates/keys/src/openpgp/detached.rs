//! Signatures in files of their own (RFC 4880, section 11.4).

use super::armor::{self, Block};
use super::keyring::KeyRing;
use super::packet::{Packet, Packets};
use super::{Dialect, Fault, MAX_FILE, malformed};
use crate::Error;

/// Signatures over data that is elsewhere, armored or not.
#[derive(Clone, Debug)]
pub struct Detached {
    file: Vec<u8>,
    is_armored: bool,
    packets: Vec<Packet>,
}

impl Detached {
    /// Reads a file with one signature or more.
    ///
    /// # Errors
    /// If it does not begin with one, or with one that cannot be checked here.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "OpenPGP signature";
        if file.len() > MAX_FILE {
            return Err(malformed(WHAT, "it is larger than 1 MiB"));
        }
        let block = Block::find(file);
        let bytes = match &block {
            Some(block) if block.kind != armor::SIGNATURE.as_bytes() => {
                return Err(malformed(WHAT, "the armor is of something else"));
            }
            Some(block) => block.bytes()?,
            None => file.to_vec(),
        };
        let mut packets = Packets::of(&bytes, Dialect::Curve25519);
        let mut read = Vec::new();
        loop {
            match packets.next() {
                Ok(None) => break,
                Ok(Some(packet)) => read.push(packet),
                // What follows the first is judged only if that is by an unknown key.
                Err(_) if !read.is_empty() => {
                    read.push(Packet::Other);
                    break;
                }
                Err(Fault::Fatal(_)) => {
                    return Err(malformed(WHAT, "it is no packet of such a signature"));
                }
                Err(fault) => return Err(fault.error()),
            }
        }
        match read.first() {
            Some(Packet::Signature(_) | Packet::SignatureV3(_)) => Ok(Self {
                file: file.to_vec(),
                is_armored: block.is_some(),
                packets: read,
            }),
            _ => Err(malformed(WHAT, "it does not begin with one")),
        }
    }

    /// The canonical form: as it was if it is armored, otherwise armored.
    pub fn canonical(&self) -> Vec<u8> {
        match self.is_armored {
            true => self.file.clone(),
            false => armor::encode(armor::SIGNATURE, &self.file).into_bytes(),
        }
    }

    /// Checks that a key of the ring which may sign made the first signature that any of them is named in.
    ///
    /// # Errors
    /// [`Error::NotSigned`], or what cannot be checked here.
    pub fn verify(&self, keys: &KeyRing, data: &[u8]) -> Result<(), Error> {
        keys.check(&self.packets, data)
    }
}
