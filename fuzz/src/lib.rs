//! What the fuzz targets share: the shape of a target, the bound on its memory, the inputs that it starts from.
//!
//! A target is a function from bytes to whether they were accepted; it panics if a promise is broken. See
//! `fuzz/README.md`.

mod case;
mod change;
mod entries;
mod memory;
mod seeds;

pub use case::{Case, cases, verified};
pub use change::changed;
pub use entries::Entries;
pub use memory::bounded;
pub use seeds::begin;

pub use libfuzzer_sys;

#[cfg(not(fuzzing))]
compile_error!("build this with `cargo xtask fuzz`, or with `cargo +nightly fuzz` from cargo-fuzz");

/// The program of one target.
///
/// The function gives whether the input was accepted, and panics if a promise is broken. `$seeds` are inputs to start
/// from beside the project's test files, of which those are taken that the target accepts; with `only`, the test files
/// are not tried, because they are not of the form that the target takes.
#[macro_export]
macro_rules! target {
    (only $seeds:expr, $run:expr) => {
        $crate::target!(@ $crate::begin(&$seeds, RUN, false), $run);
    };
    ($seeds:expr, $run:expr) => {
        $crate::target!(@ $crate::begin(&$seeds, RUN, true), $run);
    };
    (@ $begin:expr, $run:expr) => {
        const RUN: fn(&[u8]) -> bool = $run;

        $crate::libfuzzer_sys::fuzz_target!(
            init: $begin,
            |data: &[u8]| { $crate::bounded(data, RUN); }
        );
    };
}

/// Characters of an error's text: what a stranger wrote is quoted in part.
const MAX_ERROR: usize = 2000;

/// What was read; an error must be short enough to be shown.
#[track_caller]
pub fn read<T, E: std::fmt::Display>(result: Result<T, E>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error.to_string(),
    };
    assert!(!error.is_empty(), "an error that says nothing");
    let length = error.chars().count();
    assert!(length <= MAX_ERROR, "an error of {length} characters");
    None
}

/// A value that was written and read again must be the same.
#[track_caller]
pub fn same<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(written: &T, read: Result<T, E>) {
    let read = read.expect("what was written can be read");
    assert_eq!(*written, read, "what was written is read as another value");
}
