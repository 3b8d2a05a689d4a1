//! The lead and the two headers of a package, as far as a log wants them.
//!
//! Invariant: as Rekor's library reads them, so that what it refuses is refused. It reads each value of each tag; here
//! only those that are wanted are, and of the others only that they could be read.

use std::collections::BTreeMap;

const LEAD: usize = 96;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// That the signature is in a header of its own.
const HEADER_SIGNATURE: [u8; 2] = [0, 5];
const HEADER_MAGIC: [u8; 3] = [0x8e, 0xad, 0xe8];
const INTRO: usize = 16;
const INDEX_ENTRY: usize = 16;
/// Rekor's library bounds both parts of a header to this.
const MAX_HEADER: usize = 32 << 20;

/// Types of values.
const INT8: u32 = 2;
const INT16: u32 = 3;
const INT32: u32 = 4;
const INT64: u32 = 5;
const STRING: u32 = 6;
const BINARY: u32 = 7;
const STRING_ARRAY: u32 = 8;
const I18N_STRING: u32 = 9;

/// Signatures over header and payload, in the order in which they are looked for: `RPMSIGTAG_PGP`, `_PGP5`, `_GPG`.
const SIGNATURES: [u32; 3] = [1002, 1006, 1005];

/// What a log wants of a package.
#[derive(Debug)]
pub(super) struct Package<'a> {
    /// The OpenPGP packets.
    pub(super) signature: &'a [u8],
    /// The header and the payload.
    pub(super) signed: &'a [u8],
    /// What the entry keeps.
    pub(super) headers: BTreeMap<&'static str, String>,
}

impl<'a> Package<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, String> {
        let (lead, rest) = file
            .split_at_checked(LEAD)
            .filter(|(lead, _)| lead.starts_with(&LEAD_MAGIC))
            .ok_or("it is not an RPM package")?;
        if !matches!(lead[4], 3 | 4) {
            return Err(format!(
                "not supported: RPM packages of version {}",
                lead[4]
            ));
        }
        if lead[78..80] != HEADER_SIGNATURE {
            return Err("not supported: RPM packages without a header for signatures".to_owned());
        }
        let (signatures, rest) = Header::parse(rest)?;
        // The next header begins at a multiple of eight.
        let padding = (8 - signatures.store.len() % 8) % 8;
        let signed = rest.get(padding..).ok_or("the package is cut off")?;
        let (header, _) = Header::parse(signed)?;
        let mut found = SIGNATURES.into_iter();
        let signature = found.find_map(|tag| signatures.binary(tag)).ok_or(
            "the package has no signature over its payload: sign it with rpmsign --rpmv3 --addsign",
        )?;
        let mut headers = BTreeMap::from([
            ("Name", header.text(1000)?),
            ("Version", header.text(1001)?),
            ("Release", header.text(1002)?),
            ("Epoch", header.integer(1003).to_string()),
            ("Architecture", header.text(1022)?),
        ]);
        for (name, tag) in [
            ("RPMSIGTAG_MD5", 1004),
            ("RPMSIGTAG_SHA1", 1012),
            ("RPMSIGTAG_SHA256", 1016),
        ] {
            headers.extend(
                signatures
                    .binary(tag)
                    .map(|bytes| (name, hex::encode(bytes))),
            );
        }
        Ok(Self {
            signature,
            signed,
            headers,
        })
    }
}

/// An index of tags, and the store that their values are in.
struct Header<'a> {
    index: Vec<Tag>,
    store: &'a [u8],
}

struct Tag {
    tag: u32,
    kind: u32,
    offset: usize,
    count: usize,
}

impl<'a> Header<'a> {
    /// A header, and what follows it.
    fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), String> {
        const CUT_OFF: &str = "the package is cut off";
        let (intro, rest) = bytes.split_at_checked(INTRO).ok_or(CUT_OFF)?;
        if !intro.starts_with(&HEADER_MAGIC) {
            return Err("a header of the package does not begin as one".to_owned());
        }
        let (count, length) = (number(&intro[8..]), number(&intro[12..]));
        if length > MAX_HEADER || count > MAX_HEADER / INDEX_ENTRY {
            return Err("a header of the package is larger than 32 MiB".to_owned());
        }
        let (index, rest) = rest.split_at_checked(count * INDEX_ENTRY).ok_or(CUT_OFF)?;
        let (store, rest) = rest.split_at_checked(length).ok_or(CUT_OFF)?;
        let tags = index.chunks_exact(INDEX_ENTRY).map(|entry| Tag {
            tag: number(entry) as u32,
            kind: number(&entry[4..]) as u32,
            offset: number(&entry[8..]),
            count: number(&entry[12..]),
        });
        let header = Self {
            index: tags.collect(),
            store,
        };
        match header.index.iter().all(|tag| header.is_in_store(tag)) {
            true => Ok((header, rest)),
            false => Err("a header of the package has a value that is not in it".to_owned()),
        }
    }

    /// Whether Rekor's library could read it.
    fn is_in_store(&self, tag: &Tag) -> bool {
        let Some(rest) = self.store.get(tag.offset..).filter(|rest| !rest.is_empty()) else {
            return false;
        };
        let width = match tag.kind {
            0 => return tag.count > 0,
            1 | INT8 | BINARY | STRING | STRING_ARRAY | I18N_STRING => 1,
            INT16 => 2,
            INT32 => 4,
            INT64 => 8,
            _ => return false,
        };
        // A string takes at least one byte.
        tag.count > 0
            && tag
                .count
                .checked_mul(width)
                .is_some_and(|length| length <= rest.len())
    }

    /// The value of the first such tag.
    fn find(&self, tag: u32) -> Option<(&Tag, &'a [u8])> {
        let found = self.index.iter().find(|entry| entry.tag == tag)?;
        Some((found, self.store.get(found.offset..)?))
    }

    fn binary(&self, tag: u32) -> Option<&'a [u8]> {
        let (entry, rest) = self.find(tag).filter(|(entry, _)| entry.kind == BINARY)?;
        rest.get(..entry.count)
    }

    /// The first of its strings; empty if there is none.
    fn text(&self, tag: u32) -> Result<String, String> {
        let strings = [STRING, STRING_ARRAY, I18N_STRING];
        let found = self
            .find(tag)
            .filter(|(entry, _)| strings.contains(&entry.kind));
        let text = found.and_then(|(_, rest)| rest.split(|byte| *byte == 0).next());
        let text = String::from_utf8(text.unwrap_or_default().to_vec());
        text.map_err(|_| "not supported: names in RPM packages that are not UTF-8".to_owned())
    }

    /// The first of its numbers, which have a sign; 0 if there is none.
    fn integer(&self, tag: u32) -> i64 {
        let value = self.find(tag).and_then(|(entry, rest)| {
            Some(match entry.kind {
                INT8 => i64::from(*rest.first()? as i8),
                INT16 => i64::from(i16::from_be_bytes(*rest.first_chunk()?)),
                INT32 => i64::from(i32::from_be_bytes(*rest.first_chunk()?)),
                INT64 => i64::from_be_bytes(*rest.first_chunk()?),
                _ => return None,
            })
        });
        value.unwrap_or(0)
    }
}

/// Four bytes, big-endian.
fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take(4)
        .fold(0, |n, byte| n << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(tags: &[(u32, u32, u32, u32)], store: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
        bytes.extend((tags.len() as u32).to_be_bytes());
        bytes.extend((store.len() as u32).to_be_bytes());
        for (tag, kind, offset, count) in tags {
            for field in [tag, kind, offset, count] {
                bytes.extend(field.to_be_bytes());
            }
        }
        bytes.extend(store);
        bytes
    }

    #[test]
    fn values_are_read_by_their_types() {
        let store = b"name\0\0\xff\xff\xff\xfe\x01\x02two\0";
        let tags = [
            (1000, STRING, 0, 1),
            (1003, INT32, 6, 1),
            (1004, BINARY, 10, 2),
            (1005, STRING_ARRAY, 0, 2),
        ];
        let bytes = [header(&tags, store), b"rest".to_vec()].concat();
        let (header, rest) = Header::parse(&bytes).unwrap();
        assert_eq!(rest, b"rest");
        assert_eq!(header.text(1000).as_deref(), Ok("name"));
        assert_eq!(header.text(1004).as_deref(), Ok(""));
        assert_eq!(header.integer(1003), -2);
        assert_eq!(header.integer(1000), 0);
        assert_eq!(header.binary(1004), Some(&[1, 2][..]));
        assert_eq!(header.binary(1003), None);
    }

    #[test]
    fn values_out_of_the_store_are_refused() {
        for tag in [
            (1, STRING, 9, 1),
            (1, STRING, 0, 0),
            (1, STRING, 0, 10),
            (1, INT64, 4, 1),
            (1, INT32, 0, u32::MAX),
            (1, BINARY, 0, 10),
            (1, 10, 0, 1),
        ] {
            assert!(
                Header::parse(&header(&[tag], b"a\0b\0cdefg")).is_err(),
                "{tag:?}"
            );
        }
        let mut huge = header(&[], b"");
        huge[8] = 0xff;
        assert!(Header::parse(&huge).is_err());
    }
}
