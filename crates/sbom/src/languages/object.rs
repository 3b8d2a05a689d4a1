//! Programs and libraries: where their sections are, and what memory they are loaded to.
//!
//! Invariant: nothing is read for a table that is longer than [`MAX_TABLE`], or that the file is too short for.

use super::input::{exactly, range};
use super::{elf, macho, pe};
use crate::file::Content;

/// Bytes of a table of sections, of their names, or of load commands. ELF's count of sections, of 16 bits, allows for
/// 4 MiB.
pub(super) const MAX_TABLE: u64 = 4 << 20;

/// Programs in one universal Mach-O file. A Java class begins with the same bytes, and would have 45 or more.
const MAX_SLICES: u32 = 16;

const FAT: &[u8] = b"\xca\xfe\xba\xbe";

/// A program, a library, or an object file.
#[derive(Debug, Default)]
pub(super) struct Object {
    /// The sections that have content.
    pub(super) sections: Vec<Range>,
    /// What is loaded.
    pub(super) segments: Vec<Range>,
}

/// A section or a segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Range {
    /// The name; segments of ELF have none.
    pub(super) name: String,
    /// Where it is loaded to.
    pub(super) address: u64,
    /// Where it is in the file.
    pub(super) offset: u64,
    /// How long it is in the file.
    pub(super) size: u64,
    /// Whether it holds variables.
    pub(super) data: bool,
}

/// Whether a file begins like a program.
pub(super) fn is_program(head: &[u8]) -> bool {
    elf::begins(head) || macho::begins(head) || pe::begins(head) || slices(head).is_some()
}

impl Object {
    /// Reads the tables: of one object, or of each in a universal file.
    pub(super) fn open_all(content: &mut dyn Content) -> Result<Vec<Self>, String> {
        let head = range(content, 0, crate::file::HEAD as u64)?;
        match slices(&head) {
            Some(offsets) => offsets
                .into_iter()
                .map(|offset| Self::open(content, offset))
                .collect(),
            None => Ok(vec![Self::open(content, 0)?]),
        }
    }

    fn open(content: &mut dyn Content, offset: u64) -> Result<Self, String> {
        let head = range(content, offset, crate::file::HEAD as u64)?;
        if elf::begins(&head) {
            elf::read(&head, content)
        } else if macho::begins(&head) {
            macho::read(&head, offset, content)
        } else if pe::begins(&head) {
            pe::read(&head, content)
        } else {
            Ok(Self::default())
        }
    }

    /// The section of this name.
    pub(super) fn section(&self, name: &str) -> Option<&Range> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// What is in memory at an address, `length` bytes.
    pub(super) fn memory(
        &self,
        content: &mut dyn Content,
        address: u64,
        length: u64,
    ) -> Result<Vec<u8>, String> {
        let offset = self.segments.iter().find_map(|segment| {
            let inside = address.checked_sub(segment.address)?;
            let left = segment.size.checked_sub(inside)?;
            (left >= length).then_some(segment.offset.checked_add(inside)?)
        });
        let offset =
            offset.ok_or_else(|| format!("nothing is loaded to the address {address:#x}"))?;
        exactly(content, offset, length)
    }
}

/// Where the programs of a universal file are.
/// <https://github.com/apple-oss-distributions/cctools/blob/main/include/mach-o/fat.h>
fn slices(head: &[u8]) -> Option<Vec<u64>> {
    let fields = Fields::big(head);
    let count = fields.u32(4).filter(|_| head.starts_with(FAT))?;
    let offsets = (0..count.min(MAX_SLICES) as usize).map(|slice| fields.u32(8 + slice * 20 + 8));
    let offsets: Option<Vec<u64>> = offsets.map(|offset| offset.map(u64::from)).collect();
    offsets.filter(|_| (1..=MAX_SLICES).contains(&count))
}

/// Numbers at places in a record.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl<'a> Fields<'a> {
    /// A record with the highest byte first.
    pub(super) fn big(bytes: &'a [u8]) -> Self {
        Self { bytes, big: true }
    }

    /// A record with the lowest byte first.
    pub(super) fn little(bytes: &'a [u8]) -> Self {
        Self { bytes, big: false }
    }

    fn number(self, at: usize, length: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let fold = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(match self.big {
            true => bytes.iter().fold(0, fold),
            false => bytes.iter().rev().fold(0, fold),
        })
    }

    /// A number of 16 bits.
    pub(super) fn u16(self, at: usize) -> Option<u16> {
        self.number(at, 2).map(|number| number as u16)
    }

    /// A number of 32 bits.
    pub(super) fn u32(self, at: usize) -> Option<u32> {
        self.number(at, 4).map(|number| number as u32)
    }

    /// A number of 64 bits, or of 32 in a narrow file.
    pub(super) fn word(self, at: usize, wide: bool) -> Option<u64> {
        self.number(at, if wide { 8 } else { 4 })
    }
}

/// A name that zeros fill up to its place.
pub(super) fn padded(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}
