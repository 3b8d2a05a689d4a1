//! Tar archives (POSIX.1-1988 ustar, and the headers of POSIX.1-2001 as far as they change nothing) in memory.
//!
//! <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_92_13_06>
//!
//! What readers differ on is refused: long names and sizes in other places than the header, sparse files.

const BLOCK: usize = 512;

/// A file in an archive.
pub(crate) struct File<'a> {
    pub(crate) name: Vec<u8>,
    pub(crate) content: &'a [u8],
}

/// The regular files. The end of the bytes ends an archive, too: of all but the last one in a package, the end is cut.
pub(crate) fn files(mut bytes: &[u8]) -> Result<Vec<File<'_>>, String> {
    let mut files = Vec::new();
    while let Some(header) = block(bytes)? {
        let rest = &bytes[BLOCK..];
        if header.iter().all(|byte| *byte == 0) {
            match block(rest)? {
                Some(second) if second.iter().any(|byte| *byte != 0) => {
                    return Err("the tar archive goes on after its end".to_owned());
                }
                _ => break,
            }
        }
        check_sum(header)?;
        let kind = header[156];
        let size = match kind {
            // Links, devices, folders: whatever their size says, nothing follows.
            b'1'..=b'6' => 0,
            _ => usize::try_from(octal(&header[124..136])?).map_err(|_| CUT)?,
        };
        let padded = size.checked_next_multiple_of(BLOCK).ok_or(CUT)?;
        let (content, after) = rest.split_at_checked(padded).ok_or(CUT)?;
        let content = &content[..size];
        bytes = after;
        match kind {
            b'0' | 0 => files.push(File {
                name: name(header),
                content,
            }),
            b'x' | b'g' => check_extended(content)?,
            b'1'..=b'6' => {}
            other => {
                let other = other.escape_ascii();
                return Err(format!(
                    "not supported: tar archives with entries of the type '{other}'"
                ));
            }
        }
    }
    Ok(files)
}

const CUT: &str = "the tar archive ends too early";

/// The next block; `None` if there is nothing.
fn block(bytes: &[u8]) -> Result<Option<&[u8]>, String> {
    match bytes.is_empty() {
        true => Ok(None),
        false => Ok(Some(bytes.get(..BLOCK).ok_or(CUT)?)),
    }
}

fn name(header: &[u8]) -> Vec<u8> {
    let name = text(&header[..100]);
    match text(&header[345..500]) {
        prefix if header[257..263] == *b"ustar\0" && !prefix.is_empty() => {
            [prefix, b"/", name].concat()
        }
        _ => name.to_vec(),
    }
}

/// Up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}

fn octal(field: &[u8]) -> Result<u64, String> {
    let digits = core::str::from_utf8(text(field)).unwrap_or("?");
    match digits.trim_matches(' ') {
        "" => Ok(0),
        digits => u64::from_str_radix(digits, 8)
            .map_err(|_| "a number in the tar archive is not octal".to_owned()),
    }
}

fn check_sum(header: &[u8]) -> Result<(), String> {
    let bytes = header.iter().enumerate();
    let sum: u64 = bytes
        .map(|(at, byte)| match at {
            148..156 => b' '.into(),
            _ => u64::from(*byte),
        })
        .sum();
    match octal(&header[148..156])? == sum {
        true => Ok(()),
        false => Err("a checksum in the tar archive is not that of its header".to_owned()),
    }
}

/// An extended header: records `LENGTH KEY=VALUE\n`. Times, owners and checksums may stand there.
fn check_extended(mut records: &[u8]) -> Result<(), String> {
    const MALFORMED: &str = "an extended header in the tar archive is malformed";
    while !records.is_empty() {
        let space = records.iter().position(|byte| *byte == b' ');
        let length = space
            .and_then(|space| core::str::from_utf8(&records[..space]).ok())
            .and_then(|digits| digits.parse::<usize>().ok())
            .filter(|length| *length > 0)
            .ok_or(MALFORMED)?;
        let (record, rest) = records.split_at_checked(length).ok_or(MALFORMED)?;
        let record = record
            .get(space.unwrap_or_default() + 1..)
            .ok_or(MALFORMED)?;
        let key = record
            .split(|byte| *byte == b'=')
            .next()
            .unwrap_or_default();
        if matches!(key, b"path" | b"size") || key.starts_with(b"GNU.sparse.") {
            return Err(
                "not supported: tar archives with names or sizes in extended headers".to_owned(),
            );
        }
        records = rest;
    }
    Ok(())
}
