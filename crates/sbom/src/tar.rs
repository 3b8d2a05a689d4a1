//! Tar archives as layers have them, read as a stream: ustar, GNU's long names, and the extended headers of POSIX.1-2001.
//!
//! <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_92_13_06>
//!
//! Invariant: what is taken from a stream for an entry is what its header says, and nothing is allocated for more than
//! [`MAX_EXTENDED`]. Where readers differ, it is read as Go's `archive/tar` does, which is what container engines use.

use std::io::{self, Read};

const BLOCK: usize = 512;

/// Bytes of a long name or an extended header; container engines take no more either.
const MAX_EXTENDED: u64 = 1 << 20;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
    /// A device, a pipe, or a file whose holes are left out.
    Other,
}

/// A header.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) executable: bool,
}

/// An archive; after an entry, it reads as the entry's content.
pub(crate) struct Archive<R> {
    stream: R,
    /// Bytes of the content that are left.
    left: u64,
    padding: u64,
}

/// What extended headers say about the next entry.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    is_sparse: bool,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self {
            stream,
            left: 0,
            padding: 0,
        }
    }

    /// The next entry, after what is left of this one.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, String> {
        let mut extended = Extended::default();
        let (mut long_name, mut long_link) = (None, None);
        loop {
            if !self.skip()? {
                return Ok(None);
            }
            let Some(header) = self.block()? else {
                return Ok(None);
            };
            if header.iter().all(|byte| *byte == 0) {
                return match self.block()? {
                    Some(second) if second.iter().any(|byte| *byte != 0) => {
                        Err("the tar archive goes on after its end".to_owned())
                    }
                    _ => Ok(None),
                };
            }
            check_sum(&header)?;
            self.content(number(&header[124..136])?)?;
            match header[156] {
                b'x' => extended = extended_header(&self.special()?)?,
                b'g' => drop(self.special()?),
                b'L' => long_name = Some(until_nul(&self.special()?).to_vec()),
                b'K' => long_link = Some(until_nul(&self.special()?).to_vec()),
                kind => {
                    extended.path = long_name.or(extended.path);
                    extended.link = long_link.or(extended.link);
                    return self.entry(&header, kind, extended).map(Some);
                }
            }
        }
    }

    fn entry(
        &mut self,
        header: &[u8; BLOCK],
        kind: u8,
        extended: Extended,
    ) -> Result<Entry, String> {
        let path = extended.path.unwrap_or_else(|| name(header));
        let link = extended
            .link
            .unwrap_or_else(|| until_nul(&header[157..257]).to_vec());
        let is_folder = path.ends_with(b"/");
        let kind = match kind {
            b'0' | 0 if is_folder => Kind::Directory,
            b'0' | 0 | b'7' if extended.is_sparse => Kind::Other,
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Symlink(link),
            b'5' => Kind::Directory,
            b'S' => {
                // The map of the holes goes on in blocks of its own.
                let mut more = header[482] != 0;
                while more {
                    more = self.block()?.ok_or(CUT)?[504] != 0;
                }
                Kind::Other
            }
            _ => Kind::Other,
        };
        let header_only = (b'1'..=b'6').contains(&header[156]);
        match header_only {
            // Links, devices, folders: whatever their size says, nothing follows.
            true => self.content(0)?,
            false => self.content(extended.size.unwrap_or(self.left))?,
        }
        Ok(Entry {
            path,
            kind,
            size: self.left,
            executable: number(&header[100..108]).unwrap_or(0) & 0o111 != 0,
        })
    }

    fn content(&mut self, size: u64) -> Result<(), String> {
        let padded = size.checked_next_multiple_of(BLOCK as u64).ok_or(CUT)?;
        (self.left, self.padding) = (size, padded - size);
        Ok(())
    }

    /// Goes to the next header; false if the archive ends before it. What pads the last entry may be missing.
    fn skip(&mut self) -> Result<bool, String> {
        let mut pass = |count: u64| {
            io::copy(&mut (&mut self.stream).take(count), &mut io::sink())
                .map_err(|error| error.to_string())
        };
        if pass(self.left)? != self.left {
            return Err(CUT.to_owned());
        }
        let is_whole = pass(self.padding)? == self.padding;
        (self.left, self.padding) = (0, 0);
        Ok(is_whole)
    }

    /// The content of an entry that says something about the next one.
    fn special(&mut self) -> Result<Vec<u8>, String> {
        let size = self.left;
        if size > MAX_EXTENDED {
            return Err(format!("not supported: a name or header of {size} bytes"));
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    /// The next block; `None` if there is nothing.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, String> {
        let mut block = [0; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            match self.stream.read(&mut block[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(CUT.to_owned()),
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(Some(block))
    }
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        match self.stream.read(&mut buffer[..most])? {
            0 => Err(io::Error::other(CUT)),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}

const CUT: &str = "the tar archive ends too early";

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or(bytes)
}

fn name(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_nul(&header[..100]);
    let prefix = match &header[257..263] {
        b"ustar\0" => until_nul(&header[345..500]),
        _ => &[],
    };
    match prefix {
        [] => name.to_vec(),
        prefix => [prefix, b"/", name].concat(),
    }
}

fn check_sum(header: &[u8; BLOCK]) -> Result<(), String> {
    let told = number(&header[148..156]).unwrap_or(u64::MAX);
    let byte_at = |at: usize| match (148..156).contains(&at) {
        true => b' ',
        false => header[at],
    };
    let unsigned: u64 = (0..BLOCK).map(|at| u64::from(byte_at(at))).sum();
    let signed: i64 = (0..BLOCK)
        .map(|at| i64::from(byte_at(at).cast_signed()))
        .sum();
    match told == unsigned || i64::try_from(told) == Ok(signed) {
        true => Ok(()),
        false => Err("not a tar archive, or a damaged one: a header's sum is wrong".to_owned()),
    }
}

/// A number in octal, or in GNU's binary form.
fn number(field: &[u8]) -> Result<u64, String> {
    let wrong = || "a number in a tar header is none".to_owned();
    if let Some((first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) {
        let start = u64::from(first & 0x7f);
        return rest.iter().try_fold(start, |value, byte| {
            let value = value.checked_mul(256).ok_or_else(wrong)?;
            Ok(value | u64::from(*byte))
        });
    }
    let text = str::from_utf8(field).map_err(|_| wrong())?;
    let text = text.trim_matches([' ', '\0']);
    match text {
        "" => Ok(0),
        text if text.starts_with('+') => Err(wrong()),
        text => u64::from_str_radix(text, 8).map_err(|_| wrong()),
    }
}

/// `LENGTH KEY=VALUE\n`, again and again.
fn extended_header(mut bytes: &[u8]) -> Result<Extended, String> {
    let wrong = || "an extended tar header is none".to_owned();
    let mut extended = Extended::default();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ');
        let (digits, _) = bytes.split_at(space.ok_or_else(wrong)?);
        let length = str::from_utf8(digits).ok().and_then(|it| it.parse().ok());
        let length: usize = length.ok_or_else(wrong)?;
        let record = bytes.get(digits.len() + 1..length).ok_or_else(wrong)?;
        bytes = &bytes[length..];
        let record = record.strip_suffix(b"\n").ok_or_else(wrong)?;
        let equals = record.iter().position(|byte| *byte == b'=');
        let (key, value) = record.split_at(equals.ok_or_else(wrong)?);
        let value = &value[1..];
        match key {
            b"path" => extended.path = Some(value.to_vec()).filter(|it| !it.is_empty()),
            b"linkpath" => extended.link = Some(value.to_vec()).filter(|it| !it.is_empty()),
            b"size" if !value.is_empty() => {
                let size = str::from_utf8(value).ok().and_then(|it| it.parse().ok());
                extended.size = Some(size.ok_or_else(wrong)?);
            }
            key if key.starts_with(b"GNU.sparse.") => extended.is_sparse = true,
            _ => {}
        }
    }
    Ok(extended)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ustar header, as POSIX has it.
    fn header(path: &str, kind: u8, size: &[u8; 12]) -> Vec<u8> {
        let mut header = vec![0; BLOCK];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[124..136].copy_from_slice(size);
        header[156] = kind;
        header[257..263].copy_from_slice(b"ustar\0");
        header[345..348].copy_from_slice(b"pre");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        header
    }

    fn padded(content: &[u8]) -> Vec<u8> {
        let mut bytes = content.to_vec();
        bytes.resize(content.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    fn paths(bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut archive = Archive::new(bytes);
        let mut paths = Vec::new();
        while let Some(entry) = archive.next()? {
            let path = String::from_utf8(entry.path).unwrap();
            paths.push(format!("{path} {}", entry.size));
        }
        Ok(paths)
    }

    #[test]
    fn names_and_sizes_are_where_each_kind_of_archive_has_them() {
        let file = header("name", b'0', b"00000000003\0");
        let binary = header("name", b'0', b"\x80\0\0\0\0\0\0\0\0\0\0\x03");
        let folder = header("name", b'5', b"00000000003\0");
        let content = padded(b"abc");
        let long = [
            header("././@LongLink", b'L', b"00000000005\0"),
            padded(b"long\0"),
        ]
        .concat();
        let pax = b"12 path=pax\n10 size=4\n";
        let pax = [header("x", b'x', b"00000000026\0"), padded(pax)].concat();
        for (archive, expected) in [
            (vec![file.clone(), content.clone()], &["pre/name 3"][..]),
            (vec![binary, content.clone()], &["pre/name 3"]),
            (
                vec![folder, file.clone(), b"abc".to_vec()],
                &["pre/name 0", "pre/name 3"],
            ),
            (
                vec![long.clone(), file.clone(), content.clone()],
                &["long 3"],
            ),
            (vec![pax.clone(), file.clone(), content.clone()], &["pax 4"]),
            (vec![pax, long, file.clone(), content.clone()], &["long 4"]),
            (vec![vec![0; 1024], file.clone()], &[]),
            (vec![], &[]),
        ] {
            let archive = archive.concat();
            assert_eq!(paths(&archive).unwrap(), expected);
        }
        for wrong in [
            [file.clone(), b"ab".to_vec()].concat(),
            file[..511].to_vec(),
            header(
                "name",
                b'0',
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            ),
            header("name", b'0', b"9\0\0\0\0\0\0\0\0\0\0\0"),
            [header("x", b'x', b"00000000003\0"), padded(b"9 a"), file].concat(),
            vec![b'a'; BLOCK],
        ] {
            paths(&wrong).unwrap_err();
        }
    }
}
