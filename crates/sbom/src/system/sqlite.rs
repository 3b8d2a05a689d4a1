//! One table of an SQLite database, row by row.
//!
//! <https://www.sqlite.org/fileformat2.html>
//!
//! Invariant: no page of the tree is read twice, and no row is larger than [`MAX_ROW`], so that damaged trees end.

use std::collections::HashSet;
use std::io::{Read as _, SeekFrom};

use crate::file::Content;

/// How every database begins.
pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";
/// Bytes of a row; the header of the largest known package has a tenth of it.
const MAX_ROW: u64 = 64 << 20;
/// Bytes of all rows. A damaged database may name the same bytes again and again.
const MAX_ROWS: u64 = 1 << 30;

pub(super) struct Database<'a> {
    content: &'a mut dyn Content,
    page_size: u64,
    usable: u64,
    seen: HashSet<u32>,
    /// Bytes of rows that may still come.
    left: u64,
}

/// Called with the columns of each row: `None` for what is neither text nor blob nor number.
type OnRow<'r> = &'r mut dyn FnMut(Vec<Column>) -> Result<(), String>;

/// A value.
pub(super) enum Column {
    Number(i64),
    Bytes(Vec<u8>),
    Other,
}

const WRONG: &str = "not an SQLite database, or a damaged one";

impl<'a> Database<'a> {
    pub(super) fn open(content: &'a mut dyn Content) -> Result<Self, String> {
        let header = read(content, 0, 100)?;
        let page_size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65536,
            size if size >= 512 && size.is_power_of_two() => u64::from(size),
            _ => return Err(WRONG.to_owned()),
        };
        Ok(Self {
            content,
            page_size,
            usable: page_size - u64::from(header[20]),
            seen: HashSet::new(),
            left: MAX_ROWS,
        })
    }

    /// The rows of a table.
    pub(super) fn rows(&mut self, table: &str, on_row: OnRow<'_>) -> Result<(), String> {
        let mut root = None;
        self.seen.clear();
        self.tree(1, &mut |row| {
            if let [
                Column::Bytes(kind),
                Column::Bytes(name),
                _,
                Column::Number(page),
                ..,
            ] = row.as_slice()
                && kind == b"table"
                && name == table.as_bytes()
            {
                root = u32::try_from(*page).ok();
            }
            Ok(())
        })?;
        self.seen.clear();
        let root = root.ok_or_else(|| format!("there is no table {table} in the database"))?;
        self.tree(root, on_row)
    }

    fn tree(&mut self, root: u32, on_row: OnRow<'_>) -> Result<(), String> {
        let mut pages = vec![root];
        while let Some(number) = pages.pop() {
            let page = self.page(number)?;
            let start = if number == 1 { 100 } else { 0 };
            let header = page.get(start..start + 12).ok_or(WRONG)?;
            let cells = usize::from(u16::from_be_bytes([header[3], header[4]]));
            let is_leaf = match header[0] {
                0x0d => true,
                0x05 => false,
                _ => return Err(WRONG.to_owned()),
            };
            let pointers = start + if is_leaf { 8 } else { 12 };
            let pointers = page.get(pointers..pointers + 2 * cells).ok_or(WRONG)?;
            let places = pointers.as_chunks().0.iter();
            let places = places.map(|place| usize::from(u16::from_be_bytes(*place)));
            if is_leaf {
                for place in places {
                    let row = self.row(page.get(place..).ok_or(WRONG)?)?;
                    on_row(columns(&row)?)?;
                }
                continue;
            }
            pages.push(number_at(&page, start + 8)?);
            let children: Result<Vec<u32>, String> =
                places.map(|place| number_at(&page, place)).collect();
            pages.extend(children?.into_iter().rev());
        }
        Ok(())
    }

    /// The bytes of a row, from its cell and the pages that it goes on in.
    fn row(&mut self, cell: &[u8]) -> Result<Vec<u8>, String> {
        let (size, cell) = varint(cell)?;
        let (_, cell) = varint(cell)?;
        if size > MAX_ROW {
            return Err(format!("not supported: a row of {size} bytes"));
        }
        let left = self.left.checked_sub(size);
        self.left = left.ok_or_else(|| format!("not supported: more than {MAX_ROWS} bytes"))?;
        let most = self.usable.saturating_sub(35);
        let local = match size <= most {
            true => size,
            false => {
                let least = (self.usable.saturating_sub(12) * 32 / 255).saturating_sub(23);
                let local = least + (size.saturating_sub(least)) % (self.usable - 4);
                if local <= most { local } else { least }
            }
        };
        let start = usize::try_from(local).map_err(|_| WRONG)?;
        let mut row = cell.get(..start).ok_or(WRONG)?.to_vec();
        let mut left = size - local;
        let mut next = match left {
            0 => 0,
            _ => number_at(cell, start)?,
        };
        while left > 0 {
            let page = self.page(next)?;
            let here = usize::try_from(left.min(self.usable - 4)).map_err(|_| WRONG)?;
            row.extend_from_slice(page.get(4..4 + here).ok_or(WRONG)?);
            left -= here as u64;
            next = number_at(&page, 0)?;
        }
        Ok(row)
    }

    fn page(&mut self, number: u32) -> Result<Vec<u8>, String> {
        if number == 0 || !self.seen.insert(number) {
            return Err(WRONG.to_owned());
        }
        let start = u64::from(number - 1) * self.page_size;
        read(self.content, start, self.page_size)
    }
}

fn read(content: &mut dyn Content, start: u64, length: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    content
        .seek(SeekFrom::Start(start))
        .and_then(|_| content.take(length).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(WRONG.to_owned()),
    }
}

fn number_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    let rest = bytes.get(at..).and_then(<[u8]>::first_chunk);
    Ok(u32::from_be_bytes(*rest.ok_or(WRONG)?))
}

/// Seven bits a byte, the highest first; of a ninth byte all eight.
fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), String> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        if at == 8 {
            return Ok((value << 8 | u64::from(*byte), &bytes[9..]));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[at + 1..]));
        }
    }
    Err(WRONG.to_owned())
}

fn columns(row: &[u8]) -> Result<Vec<Column>, String> {
    let (header, rest) = varint(row)?;
    let header = usize::try_from(header).map_err(|_| WRONG)?;
    let mut types = row.get(row.len() - rest.len()..header).ok_or(WRONG)?;
    let mut values = &row[header..];
    let mut columns = Vec::new();
    while !types.is_empty() {
        let (kind, rest) = varint(types)?;
        types = rest;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return Err(WRONG.to_owned()),
            kind => (kind - 12) / 2,
        };
        let length = usize::try_from(length).map_err(|_| WRONG)?;
        let (value, rest) = values.split_at_checked(length).ok_or(WRONG)?;
        values = rest;
        columns.push(match kind {
            8 | 9 => Column::Number(i64::from(kind == 9)),
            1..=6 => Column::Number(
                value
                    .iter()
                    .fold(if value[0] & 0x80 != 0 { -1 } else { 0 }, |number, byte| {
                        number << 8 | i64::from(*byte)
                    }),
            ),
            12.. => Column::Bytes(value.to_vec()),
            _ => Column::Other,
        });
    }
    Ok(columns)
}
