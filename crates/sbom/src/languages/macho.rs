//! Mach-O: the objects of macOS, of all processors that it still runs on.
//!
//! <https://github.com/apple-oss-distributions/xnu/blob/main/EXTERNAL_HEADERS/mach-o/loader.h>

use super::input::exactly;
use super::object::{Fields, MAX_TABLE, Object, Range, padded};
use crate::file::Content;

const NARROW: &[u8] = b"\xce\xfa\xed\xfe";
const WIDE: &[u8] = b"\xcf\xfa\xed\xfe";
/// Load commands for a segment.
const SEGMENT: u32 = 1;
const SEGMENT_WIDE: u32 = 0x19;

/// Whether a file begins like one.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(NARROW) || head.starts_with(WIDE)
}

/// Reads the load commands of what begins at `start` in the file.
pub(super) fn read(head: &[u8], start: u64, content: &mut dyn Content) -> Result<Object, String> {
    let fields = Fields::little(head);
    let header = if head.starts_with(WIDE) { 32 } else { 28 };
    let length = u64::from(fields.u32(20).ok_or("its header is cut")?);
    if length > MAX_TABLE {
        return Err(format!("not supported: load commands of {length} bytes"));
    }
    let commands = exactly(content, start.saturating_add(header), length)?;
    let (mut object, mut rest) = (Object::default(), &commands[..]);
    while let Some(size) = Fields::little(rest).u32(4) {
        // A command that is shorter than its own header would never end.
        let Some(command) = rest.get(..size as usize).filter(|_| size >= 8) else {
            break;
        };
        segment(command, start, &mut object);
        rest = &rest[size as usize..];
    }
    Ok(object)
}

/// A segment and its sections; other commands are none of ours.
fn segment(command: &[u8], start: u64, object: &mut Object) -> Option<()> {
    let fields = Fields::little(command);
    let wide = match fields.u32(0)? {
        SEGMENT => false,
        SEGMENT_WIDE => true,
        _ => return None,
    };
    let word = if wide { 8 } else { 4 };
    let file = 24 + 2 * word;
    let name = padded(command.get(8..24)?);
    object.segments.push(Range {
        address: fields.word(24, wide)?,
        offset: start.checked_add(fields.word(file, wide)?)?,
        size: fields.word(file + word, wide)?,
        data: name == "__DATA",
        name,
    });
    let (first, each) = if wide { (72, 80) } else { (56, 68) };
    for section in command.get(first..)?.chunks_exact(each) {
        let fields = Fields::little(section);
        let offset = u64::from(fields.u32(32 + 2 * word)?);
        object.sections.push(Range {
            name: padded(&section[..16]),
            address: fields.word(32, wide)?,
            offset: start.checked_add(offset)?,
            size: fields.word(32 + word, wide)?,
            data: false,
        });
    }
    Some(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A wide object with one section in `__DATA`, in a universal file of that one alone.
    pub(in super::super) fn universal(name: &str, data: &[u8]) -> Vec<u8> {
        let place = |name: &str| {
            let mut bytes = [0; 16];
            bytes[..name.len()].copy_from_slice(name.as_bytes());
            bytes
        };
        let (size, offset) = (72 + 80_u32, 32 + 72 + 80_u64);
        let length = data.len() as u64;
        let mut object = [WIDE, &[0; 12], &[1, 0, 0, 0], &size.to_le_bytes(), &[0; 8]].concat();
        object.extend([SEGMENT_WIDE.to_le_bytes(), size.to_le_bytes()].concat());
        object.extend(place("__DATA"));
        for number in [0x1000, length, offset, length, 0, 1] {
            object.extend(number.to_le_bytes());
        }
        object.extend([place(name), place("__DATA")].concat());
        object.extend([0x1000_u64.to_le_bytes(), length.to_le_bytes()].concat());
        object.extend((offset as u32).to_le_bytes());
        object.extend([0; 28]);
        object.extend(data);
        let mut bytes = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1, 1, 0, 0, 7, 0, 0, 0, 3];
        bytes.extend([64_u32.to_be_bytes(), (object.len() as u32).to_be_bytes()].concat());
        bytes.resize(64, 0);
        bytes.extend(object);
        bytes
    }

    #[test]
    fn a_section_of_a_universal_file_is_found() {
        let bytes = universal("__go_buildinfo", b"here");
        let mut content = std::io::Cursor::new(&bytes);
        let object = Object::open_all(&mut content)
            .expect("it can be read")
            .remove(0);
        let section = object.section("__go_buildinfo").expect("it is there");
        assert_eq!(
            exactly(&mut content, section.offset, section.size),
            Ok(b"here".to_vec())
        );
        assert_eq!(object.memory(&mut content, 0x1001, 3), Ok(b"ere".to_vec()));
    }

    #[test]
    fn no_cut_or_changed_object_is_more_than_an_error() {
        let bytes = universal("__x", b"here");
        for at in 0..bytes.len() {
            let _ = Object::open_all(&mut std::io::Cursor::new(&bytes[..at]));
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                let _ = Object::open_all(&mut std::io::Cursor::new(&changed));
            }
        }
    }

    /// It begins with the same four bytes as a universal file.
    #[test]
    fn a_java_class_is_no_program() {
        let class = [
            0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 65, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert!(!super::super::object::is_program(&class));
    }
}
