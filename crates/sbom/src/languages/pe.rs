//! PE: the objects of Windows, which come in images too.
//!
//! <https://learn.microsoft.com/en-us/windows/win32/debug/pe-format>

use super::input::exactly;
use super::object::{Fields, Object, Range, padded};
use crate::file::Content;

const DOS: &[u8] = b"MZ";
const MAGIC: &[u8] = b"PE\0\0";
/// A header for programs of 64 bits.
const WIDE: u16 = 0x20b;
/// A section of variables that can be written.
const DATA: u32 = 0x0000_0040 | 0x4000_0000 | 0x8000_0000;

/// Whether a file begins like one.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(DOS)
}

/// Reads the table of sections. What has a header of DOS alone has none.
pub(super) fn read(head: &[u8], content: &mut dyn Content) -> Result<Object, String> {
    let Some(start) = Fields::little(head).u32(0x3c).map(u64::from) else {
        return Ok(Object::default());
    };
    // The header itself, and of the optional header as far as the address that all others count from.
    let Ok(header) = exactly(content, start, 24 + 32) else {
        return Ok(Object::default());
    };
    if !header.starts_with(MAGIC) {
        return Ok(Object::default());
    }
    let fields = Fields::little(&header);
    let read = || {
        let wide = fields.u16(24)? == WIDE;
        let base = fields.word(if wide { 24 + 24 } else { 24 + 28 }, wide)?;
        Some((u64::from(fields.u16(6)?), u64::from(fields.u16(20)?), base))
    };
    let (count, optional, base) = read().ok_or("its header is cut")?;
    let table = exactly(content, start + 24 + optional, count * 40)?;
    let sections: Vec<Range> = table
        .chunks_exact(40)
        .filter_map(|entry| {
            let fields = Fields::little(entry);
            Some(Range {
                name: padded(&entry[..8]),
                address: base.checked_add(u64::from(fields.u32(12)?))?,
                // It is filled up to a round number; what is meant may be shorter.
                size: u64::from(fields.u32(16)?.min(fields.u32(8)?)),
                offset: u64::from(fields.u32(20)?),
                data: fields.u32(36)? & DATA == DATA,
            })
        })
        .collect();
    Ok(Object {
        segments: sections.clone(),
        sections,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A program with one section.
    pub(in super::super) fn program(name: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = [DOS, &[0; 58], &64_u32.to_le_bytes()].concat();
        bytes.extend([MAGIC, &[0x64, 0x86, 1, 0], &[0; 12], &[112, 0, 0, 0]].concat());
        bytes.extend(WIDE.to_le_bytes());
        bytes.resize(64 + 24 + 24, 0);
        bytes.extend(0x1_4000_0000_u64.to_le_bytes());
        bytes.resize(64 + 24 + 112, 0);
        bytes.extend(name.as_bytes());
        bytes.resize(64 + 24 + 112 + 8, 0);
        for number in [
            data.len() as u32,
            0x1000,
            data.len().next_multiple_of(512) as u32,
            512,
        ] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([&[0; 12][..], &DATA.to_le_bytes()].concat());
        bytes.resize(512, 0);
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    #[test]
    fn a_section_is_found() {
        let bytes = program(".dep-v0", b"here");
        let mut content = std::io::Cursor::new(&bytes);
        let object = Object::open_all(&mut content)
            .expect("it can be read")
            .remove(0);
        let section = object.section(".dep-v0").expect("it is there");
        assert_eq!(
            exactly(&mut content, section.offset, section.size),
            Ok(b"here".to_vec())
        );
        assert!(section.data);
        let memory = object.memory(&mut content, 0x1_4000_1000, 4);
        assert_eq!(memory, Ok(b"here".to_vec()));
    }

    #[test]
    fn no_cut_or_changed_program_is_more_than_an_error() {
        let bytes = program(".data", b"here");
        for at in 0..bytes.len() {
            let _ = Object::open_all(&mut std::io::Cursor::new(&bytes[..at]));
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                let _ = Object::open_all(&mut std::io::Cursor::new(&changed));
            }
        }
    }
}
