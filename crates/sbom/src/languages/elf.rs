//! ELF: the objects of Linux and most others.
//!
//! <https://gabi.xinuos.com/elf/>

use super::input::exactly;
use super::object::{Fields, MAX_TABLE, Object, Range, padded};
use crate::file::Content;

const MAGIC: &[u8] = b"\x7fELF";
/// A segment that is loaded.
const LOAD: u32 = 1;
const EXECUTABLE: u32 = 1;
const WRITABLE: u32 = 2;
/// A section without content: variables that begin as zeros.
const NO_BITS: u32 = 8;
/// Characters of a section's name that matter.
const MAX_NAME: usize = 64;

/// Whether a file begins like one.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(MAGIC) && matches!(head.get(4..6), Some([1 | 2, 1 | 2]))
}

/// Reads the tables.
pub(super) fn read(head: &[u8], content: &mut dyn Content) -> Result<Object, String> {
    let layout = Layout {
        wide: head[4] == 2,
        big: head[5] == 2,
    };
    let header = layout.fields(head);
    let table = |offset: (usize, usize), size: (usize, usize), content: &mut dyn Content| {
        let (offset, size) = if layout.wide {
            (offset.1, size.1)
        } else {
            (offset.0, size.0)
        };
        let read = || {
            let each = usize::from(header.u16(size)?);
            let count = usize::from(header.u16(size + 2)?);
            Some((header.word(offset, layout.wide)?, each, count))
        };
        let (offset, each, count) = read().ok_or("its header is cut")?;
        let length = each as u64 * count as u64;
        match length {
            0 => Ok((Vec::new(), 1)),
            1..=MAX_TABLE => Ok((exactly(content, offset, length)?, each)),
            _ => Err(format!("not supported: a table of {length} bytes")),
        }
    };
    let (segments, each_segment) = table((28, 32), (42, 54), content)?;
    let (sections, each_section) = table((32, 40), (46, 58), content)?;
    let sections: Vec<Section> = sections
        .chunks_exact(each_section)
        .filter_map(|entry| layout.section(entry))
        .collect();
    let index = header.u16(if layout.wide { 62 } else { 50 });
    let names = index.and_then(|index| sections.get(usize::from(index)));
    let names = match names.filter(|names| names.kind != NO_BITS && names.range.size <= MAX_TABLE) {
        Some(names) => exactly(content, names.range.offset, names.range.size)?,
        None => Vec::new(),
    };
    let named = |mut section: Section| {
        let name = names.get(section.name..).unwrap_or_default();
        section.range.name = padded(&name[..name.len().min(MAX_NAME)]);
        section.range
    };
    Ok(Object {
        sections: sections
            .into_iter()
            .filter(|section| section.kind != NO_BITS)
            .map(named)
            .collect(),
        segments: segments
            .chunks_exact(each_segment)
            .filter_map(|entry| layout.segment(entry))
            .collect(),
    })
}

/// A line of the table of sections.
struct Section {
    name: usize,
    kind: u32,
    range: Range,
}

#[derive(Clone, Copy)]
struct Layout {
    wide: bool,
    big: bool,
}

impl Layout {
    fn fields(self, bytes: &[u8]) -> Fields<'_> {
        match self.big {
            true => Fields::big(bytes),
            false => Fields::little(bytes),
        }
    }

    fn section(self, entry: &[u8]) -> Option<Section> {
        let fields = self.fields(entry);
        let (address, offset, size) = if self.wide {
            (16, 24, 32)
        } else {
            (12, 16, 20)
        };
        Some(Section {
            name: fields.u32(0)? as usize,
            kind: fields.u32(4)?,
            range: Range {
                name: String::new(),
                address: fields.word(address, self.wide)?,
                offset: fields.word(offset, self.wide)?,
                size: fields.word(size, self.wide)?,
                data: false,
            },
        })
    }

    fn segment(self, entry: &[u8]) -> Option<Range> {
        let fields = self.fields(entry);
        let (flags, offset, address, size) = if self.wide {
            (4, 8, 16, 32)
        } else {
            (24, 4, 8, 16)
        };
        let loaded = fields.u32(0)? == LOAD;
        loaded.then_some(Range {
            name: String::new(),
            address: fields.word(address, self.wide)?,
            offset: fields.word(offset, self.wide)?,
            size: fields.word(size, self.wide)?,
            data: fields.u32(flags)? & (EXECUTABLE | WRITABLE) == WRITABLE,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Where the first section is loaded to.
    pub(in super::super) const ADDRESS: u64 = 0x40_0000;

    /// A wide little-endian object of these sections, which one writable segment loads.
    pub(in super::super) fn object(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut data, mut names, mut table) = (Vec::new(), vec![0], vec![0; 64]);
        const START: u64 = 64 + 56;
        let mut add = |name: &str, content: &[u8], names: &mut Vec<u8>, data: &mut Vec<u8>| {
            table.extend((names.len() as u32).to_le_bytes());
            table.extend(1_u32.to_le_bytes());
            let offset = START + data.len() as u64;
            for number in [
                0,
                ADDRESS + data.len() as u64,
                offset,
                content.len() as u64,
                0,
                1,
                0,
            ] {
                table.extend(number.to_le_bytes());
            }
            names.extend([name.as_bytes(), b"\0"].concat());
            data.extend(content);
            data.resize(data.len().next_multiple_of(16), 0);
        };
        for (name, content) in sections {
            add(name, content, &mut names, &mut data);
        }
        let content = [&names[..], b".names\0"].concat();
        add(".names", &content, &mut names, &mut data);
        let mut bytes = [MAGIC, &[2, 1, 1], &[0; 9], &[2, 0, 62, 0, 1, 0, 0, 0]].concat();
        for number in [ADDRESS, 64, START + data.len() as u64] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([0; 4]);
        for number in [
            64,
            56,
            1,
            64,
            sections.len() as u16 + 2,
            sections.len() as u16 + 1,
        ] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([1, 0, 0, 0, 6, 0, 0, 0]);
        let size = data.len() as u64;
        for number in [START, ADDRESS, ADDRESS, size, size, 16] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(data);
        bytes.extend(table);
        bytes
    }

    #[test]
    fn sections_have_names_and_memory_has_content() {
        let bytes = object(&[(".one", b"first"), (".two", b"second")]);
        let mut content = std::io::Cursor::new(&bytes);
        let object = Object::open_all(&mut content)
            .expect("it can be read")
            .remove(0);
        let two = object.section(".two").expect("it is there").clone();
        assert_eq!(
            exactly(&mut content, two.offset, two.size),
            Ok(b"second".to_vec())
        );
        let second = object.memory(&mut content, two.address, 6);
        assert_eq!(second, Ok(b"second".to_vec()));
        assert!(object.memory(&mut content, ADDRESS - 1, 1).is_err());
        assert!(object.memory(&mut content, ADDRESS, u64::MAX).is_err());
        assert!(object.memory(&mut content, u64::MAX, 1).is_err());
    }

    #[test]
    fn no_cut_or_changed_object_is_more_than_an_error() {
        let bytes = object(&[(".one", b"first")]);
        for end in 0..bytes.len() {
            let _ = Object::open_all(&mut std::io::Cursor::new(&bytes[..end]));
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                let _ = Object::open_all(&mut std::io::Cursor::new(&changed));
            }
        }
    }
}
