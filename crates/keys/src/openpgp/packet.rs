//! Packets (RFC 4880, section 4): headers, lengths, numbers; and their sequence in a file.
//!
//! Invariant: what is read has no bytes left over, so that writing it again gives the same bytes but for the header.

use super::key::Key;
use super::signature::{Signature, SignatureV3};
use super::{Dialect, Fault, MAX_PACKETS};

/// Tags (RFC 4880, section 4.3).
pub(super) const TAG_SIGNATURE: u8 = 2;
pub(super) const TAG_PUBLIC_KEY: u8 = 6;
pub(super) const TAG_USER_ID: u8 = 13;
pub(super) const TAG_PUBLIC_SUBKEY: u8 = 14;

/// Bytes of a user id: as GnuPG bounds them. All signatures on it are over it.
const MAX_USER_ID: usize = 2048;

/// Fields of a packet, one after the other.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| Fault::fatal("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u16(&mut self) -> Result<usize, Fault> {
        self.take(2)
            .map(|bytes| usize::from(bytes[0]) << 8 | usize::from(bytes[1]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        let bytes = self.take(8)?;
        Ok(bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    /// A number (section 3.2), with the leading zeros that it may have.
    pub(super) fn mpi(&mut self) -> Result<&'a [u8], Fault> {
        let bits = self.u16()?;
        self.take(bits.div_ceil(8))
    }

    /// The next subpacket (section 5.2.3.1): its type, and what it says.
    pub(super) fn subpacket(&mut self) -> Result<(u8, &'a [u8]), Fault> {
        let read = |fields: &mut Self| {
            let length = match fields.byte()? {
                short @ 0..192 => usize::from(short),
                high @ 192..255 => {
                    (usize::from(high - 192) << 8) + usize::from(fields.byte()?) + 192
                }
                255 => fields.u32()? as usize,
            };
            fields.take(length)
        };
        match read(self) {
            Ok([kind, content @ ..]) => Ok((*kind, content)),
            Ok([]) => Err(Fault::structural("a subpacket is empty")),
            Err(_) => Err(Fault::structural("a subpacket is cut off")),
        }
    }

    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.0 {
            [] => Ok(()),
            _ => Err(Fault::fatal("there is more in it than belongs there")),
        }
    }
}

/// A header in the new format (section 4.2.2), which Go always writes.
pub(super) fn write_header(tag: u8, length: usize, to: &mut Vec<u8>) {
    to.push(0xc0 | tag);
    match length {
        0..192 => to.push(length as u8),
        192..8384 => {
            let length = length - 192;
            to.extend([192 + (length >> 8) as u8, length as u8]);
        }
        // Files are bounded far below 4 GiB.
        _ => {
            to.push(255);
            to.extend((length as u32).to_be_bytes());
        }
    }
}

/// What is in a keyring, or in a file with signatures.
#[derive(Clone, Debug)]
pub(super) enum Packet {
    Key(Key),
    UserId(Vec<u8>),
    Signature(Box<Signature>),
    SignatureV3(SignatureV3),
    /// It is passed over where it stands.
    Other,
}

/// The packets of a file.
pub(super) struct Packets<'a> {
    rest: &'a [u8],
    unread: Option<Packet>,
    count: usize,
    dialect: Dialect,
}

impl<'a> Packets<'a> {
    pub(super) fn of(bytes: &'a [u8], dialect: Dialect) -> Self {
        Self {
            rest: bytes,
            unread: None,
            count: 0,
            dialect,
        }
    }

    pub(super) fn unread(&mut self, packet: Packet) {
        self.unread = Some(packet);
    }

    /// `None` at the end. Of a packet that cannot be read, the next begins where it ends.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, Fault> {
        if let Some(packet) = self.unread.take() {
            return Ok(Some(packet));
        }
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            self.count += 1;
            if self.count > MAX_PACKETS {
                return Err(Fault::fatal(format!("there are more than {MAX_PACKETS}")));
            }
            let (tag, body) = self.header()?;
            let packet = match tag {
                TAG_SIGNATURE if body.first().is_some_and(|version| *version < 4) => {
                    Packet::SignatureV3(SignatureV3::parse(body)?)
                }
                TAG_SIGNATURE => Packet::Signature(Box::new(Signature::parse(body, self.dialect)?)),
                TAG_PUBLIC_KEY | TAG_PUBLIC_SUBKEY => match body {
                    // Version 2 and 3 (section 5.5.2): Go reads such keys, and does nothing with them.
                    [2 | 3, _, _, _, _, _, _, 1..=3, ..] => Packet::Other,
                    _ => Packet::Key(Key::parse(body, tag == TAG_PUBLIC_SUBKEY, self.dialect)?),
                },
                TAG_USER_ID if body.len() > MAX_USER_ID => {
                    return Err(Fault::not_here(format!(
                        "OpenPGP user ids of more than {MAX_USER_ID} bytes"
                    )));
                }
                TAG_USER_ID => Packet::UserId(body.to_vec()),
                5 | 7 => {
                    return Err(Fault::not_here(
                        "private keys; send the public key alone: gpg --export --armor",
                    ));
                }
                // Of messages: encrypted, compressed, literal.
                1 | 3 | 4 | 8 | 9 | 11 | 18 => {
                    return Err(Fault::fatal(format!(
                        "one of the kind {tag} does not belong here"
                    )));
                }
                // A user attribute (section 5.12), which is a photograph.
                17 => {
                    let mut fields = Fields(body);
                    while !fields.0.is_empty() {
                        fields.subpacket()?;
                    }
                    Packet::Other
                }
                // Go passes over kinds that it does not know, such as those that only GnuPG's own files have.
                _ => continue,
            };
            return Ok(Some(packet));
        }
    }

    fn header(&mut self) -> Result<(u8, &'a [u8]), Fault> {
        let mut fields = Fields(self.rest);
        let first = fields.byte()?;
        if first & 0x80 == 0 {
            return Err(Fault::fatal("it does not begin as one"));
        }
        let new = first & 0x40 != 0;
        let (tag, length) = if new {
            let length = match fields.byte()? {
                short @ 0..192 => usize::from(short),
                high @ 192..224 => {
                    (usize::from(high - 192) << 8) + usize::from(fields.byte()?) + 192
                }
                255 => fields.u32()? as usize,
                _ => return Err(Fault::not_here("OpenPGP packets of partial length")),
            };
            (first & 0x3f, length)
        } else {
            let length = match first & 3 {
                0 => usize::from(fields.byte()?),
                1 => fields.u16()?,
                2 => fields.u32()? as usize,
                _ => return Err(Fault::not_here("OpenPGP packets of indeterminate length")),
            };
            ((first & 0x3f) >> 2, length)
        };
        let body = fields.take(length)?;
        self.rest = fields.0;
        Ok((tag, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_written() {
        for length in [0, 2, 190, 192, 194, 8382, 8384, 70_000] {
            let mut bytes = Vec::new();
            // A user attribute with as many subpackets as fit.
            write_header(17, length, &mut bytes);
            bytes.extend([1, b'x'].repeat(length / 2));
            let mut packets = Packets::of(&bytes, Dialect::Go);
            assert!(matches!(packets.next(), Ok(Some(Packet::Other))));
            assert!(packets.next().unwrap().is_none(), "{length}");
            bytes.pop();
            assert!(Packets::of(&bytes, Dialect::Go).next().is_err());
        }
    }

    #[test]
    fn a_flood_of_packets_is_refused() {
        let bytes = [0xc0 | TAG_USER_ID, 0].repeat(MAX_PACKETS + 1);
        let mut packets = Packets::of(&bytes, Dialect::Go);
        for _ in 0..MAX_PACKETS {
            assert!(packets.next().is_ok());
        }
        let error = packets.next().unwrap_err().error().to_string();
        assert_eq!(
            error,
            "not a valid OpenPGP packet: there are more than 4096"
        );
    }
}
