//! A file as a cataloguer sees it: where it is, how it begins, and its content, on demand.

use std::io::{Read, Seek};

use crate::package::Package;

/// What is known of a file before its content is read.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// The path from the root of the image, without a leading slash, with neither `.` nor `..` in it.
    pub path: &'a str,
    /// The size in bytes.
    pub size: u64,
    /// Whether somebody may execute it.
    pub executable: bool,
    /// The first bytes, at most [`HEAD`].
    pub head: &'a [u8],
}

/// How many of a file's first bytes are known before it is asked for.
pub const HEAD: usize = 4096;

/// A file's content.
pub trait Content: Read + Seek {}

impl<T: Read + Seek> Content for T {}

/// Reads the packages that a file tells of. The error says what is wrong with the file, without its path.
pub type Reader = fn(&File<'_>, &mut dyn Content) -> Result<Vec<Package>, String>;

impl<'a> File<'a> {
    /// The last part of the path.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}
