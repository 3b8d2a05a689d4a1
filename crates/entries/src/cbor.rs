//! CBOR (RFC 8949) as COSE messages are written in it: definite lengths, no tags but the one that names the message.
//!
//! A reader of a slice that gives one item after the other. Invariant: it never looks at a byte that is not there,
//! never reserves memory for a length that is only claimed, and goes down [`MAX_DEPTH`] levels at most.

/// Levels of arrays and maps in each other. Headers have two; go-cose stops at 32.
const MAX_DEPTH: usize = 16;

/// What stands at one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Item<'a> {
    /// Major types 0 and 1: every integer of 64 bits fits.
    Integer(i128),
    /// Major type 2.
    Bytes(&'a [u8]),
    /// Major type 3.
    Text(&'a str),
    /// Major type 4, and how many items follow.
    Array(u64),
    /// Major type 5, and how many pairs follow.
    Map(u64),
    /// Major type 7: false, true, null, undefined, other simple values, and floats. Nothing here asks for their value.
    Simple,
    /// The simple value 22.
    Null,
}

/// Reads items from the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// An error if anything is left.
    pub(crate) fn finish(&self) -> Result<(), String> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(format!("{more} more bytes follow the CBOR")),
        }
    }

    /// The next item, without what is in it if it is an array or a map.
    pub(crate) fn item(&mut self) -> Result<Item<'a>, String> {
        let (major, info) = self.initial()?;
        if major == 7 {
            return self.simple(info);
        }
        let argument = self.argument(info)?;
        Ok(match major {
            0 => Item::Integer(argument.into()),
            1 => Item::Integer(-1 - i128::from(argument)),
            2 => Item::Bytes(self.take(argument)?),
            3 => Item::Text(
                core::str::from_utf8(self.take(argument)?)
                    .map_err(|_| "a CBOR text is not UTF-8".to_owned())?,
            ),
            4 => Item::Array(argument),
            5 => Item::Map(argument),
            _ => return Err("CBOR tags are not allowed here".to_owned()),
        })
    }

    /// Goes past one item with all that is in it.
    pub(crate) fn skip(&mut self) -> Result<(), String> {
        // How many items are still to come on each level.
        let mut open = vec![1_u64];
        while let Some(left) = open.last_mut() {
            if *left == 0 {
                open.pop();
                continue;
            }
            *left -= 1;
            match self.item()? {
                Item::Array(items) => open.push(items),
                Item::Map(pairs) => open.push(pairs.checked_mul(2).ok_or_else(cut)?),
                _ => {}
            }
            if open.len() > MAX_DEPTH {
                return Err(format!("the CBOR is nested deeper than {MAX_DEPTH} levels"));
            }
        }
        Ok(())
    }

    fn initial(&mut self) -> Result<(u8, u8), String> {
        let byte = self.take(1)?[0];
        Ok((byte >> 5, byte & 0x1f))
    }

    /// The number after the initial byte. It need not be in its shortest form.
    fn argument(&mut self, info: u8) -> Result<u64, String> {
        let length = match info {
            0..=23 => return Ok(info.into()),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 => return Err("indefinite lengths are not allowed in this CBOR".to_owned()),
            _ => return Err("the CBOR has a reserved length".to_owned()),
        };
        let bytes = self.take(length)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn simple(&mut self, info: u8) -> Result<Item<'a>, String> {
        match info {
            22 => return Ok(Item::Null),
            0..=23 => {}
            24 if self.take(1)?[0] < 32 => {
                return Err("the CBOR has a simple value that is not well formed".to_owned());
            }
            24 => {}
            25 => drop(self.take(2)?),
            26 => drop(self.take(4)?),
            27 => drop(self.take(8)?),
            _ => return Err("the CBOR has a break, or a reserved value".to_owned()),
        }
        Ok(Item::Simple)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let length = usize::try_from(length).map_err(|_| cut())?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }
}

fn cut() -> String {
    "the CBOR ends too early".to_owned()
}

/// Writes the head of an item in its shortest form.
pub(crate) fn head(out: &mut Vec<u8>, major: u8, argument: usize) {
    let bytes = (argument as u64).to_be_bytes();
    let (info, length) = match argument {
        0..=23 => (argument as u8, 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    out.push(major << 5 | info);
    out.extend_from_slice(&bytes[8 - length..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 8949, appendix A.
    #[test]
    fn items_are_those_of_the_standard() {
        for (bytes, item) in [
            ("00", Item::Integer(0)),
            ("1818", Item::Integer(24)),
            (
                "1bffffffffffffffff",
                Item::Integer(18_446_744_073_709_551_615),
            ),
            (
                "3bffffffffffffffff",
                Item::Integer(-18_446_744_073_709_551_616),
            ),
            ("3903e7", Item::Integer(-1000)),
            ("4401020304", Item::Bytes(&[1, 2, 3, 4])),
            ("62c3bc", Item::Text("ü")),
            ("f6", Item::Null),
            ("f5", Item::Simple),
            ("f8ff", Item::Simple),
            ("fb3ff199999999999a", Item::Simple),
        ] {
            let bytes = hex::decode(bytes).unwrap();
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.item().unwrap(), item);
            reader.finish().unwrap();
        }
        let nested = hex::decode("a26161016162820203").unwrap();
        let mut reader = Reader::new(&nested);
        reader.skip().unwrap();
        reader.finish().unwrap();
    }

    #[test]
    fn what_is_not_well_formed_is_an_error() {
        let deep = "81".repeat(17) + "00";
        for bytes in [
            "",
            "18",
            "62c3",
            "62c328",
            "5f",
            "c000",
            "1c",
            "f818",
            "ff",
            "a1",
            "9b",
            &deep,
            "bbffffffffffffffff",
        ] {
            let bytes = hex::decode(bytes).unwrap();
            assert!(Reader::new(&bytes).skip().is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn heads_are_the_shortest() {
        for (argument, expected) in [
            (23, "57"),
            (24, "5818"),
            (256, "590100"),
            (65536, "5a00010000"),
        ] {
            let mut out = Vec::new();
            head(&mut out, 2, argument);
            assert_eq!(hex::encode(out), expected);
        }
    }
}
