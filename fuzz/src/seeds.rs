//! Inputs to start from: the project's own test files and everything inside of them.
//!
//! A bundle holds a certificate, which holds SCTs; a log entry in it holds a body, a checkpoint, a promise. Each file
//! is taken apart down to such pieces, and a target starts from those that it accepts. So a new fixture is a seed of
//! every target that can read it, or a piece of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::change::{count, nth};

/// Larger pieces make fuzzing slow, and show nothing that smaller ones do not.
const MAX_PIECE: usize = 64 << 10;
/// A target starts from no more pieces than this; the smallest are taken.
const MAX_SEEDS: usize = 512;
/// Pieces are in pieces this deep: a bundle, its log entry, the body, a certificate, an extension, its value.
const MAX_DEPTH: usize = 12;

/// Of this many seeds there are also variants with something long in them.
const MAX_STRETCHED: usize = 8;
/// How long that is, in bytes: errors must not quote it.
const LONG: usize = 4000;

/// The variable that makes a target write its seeds and end. Set by `cargo xtask fuzz`.
const WRITE_TO: &str = "SEALMARK_FUZZ_SEEDS";

/// Writes the target's seeds if that is asked for, and does not return then.
pub fn begin(own: &[&[u8]], run: fn(&[u8]) -> bool, from_test_files: bool) {
    let Some(folder) = std::env::var_os(WRITE_TO).map(PathBuf::from) else {
        return;
    };
    let mut pieces = BTreeSet::new();
    let files = if from_test_files {
        test_files()
    } else {
        Vec::new()
    };
    for file in files {
        let content = fs::read(&file).expect("test files can be read");
        take_apart(&content, 0, &mut pieces);
    }
    let mut pieces: Vec<Vec<u8>> = pieces.into_iter().filter(|piece| run(piece)).collect();
    pieces.sort_by_key(Vec::len);
    pieces.truncate(MAX_SEEDS);
    for (number, seed) in own.iter().enumerate() {
        assert!(run(seed), "seed {number} of the target is not accepted");
    }
    pieces.extend(own.iter().map(|seed| seed.to_vec()));
    let long: Vec<Vec<u8>> = pieces
        .iter()
        .take(MAX_STRETCHED)
        .flat_map(|piece| stretched(piece))
        .collect();
    pieces.extend(long);
    assert!(
        !pieces.is_empty(),
        "the target accepts no test file and has no seed of its own"
    );
    fs::create_dir_all(&folder).expect("the folder for seeds can be made");
    for (number, piece) in pieces.iter().enumerate() {
        let file = folder.join(format!("seed-{number:03}"));
        fs::write(file, piece).expect("seeds can be written");
    }
    std::process::exit(0);
}

/// The files in `crates/*/tests`, but for programs.
fn test_files() -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut folders: Vec<PathBuf> = entries(&crates).map(|path| path.join("tests")).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|ending| ending != "rs") {
                files.push(path);
            }
        }
    }
    files
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

fn take_apart(piece: &[u8], depth: usize, pieces: &mut BTreeSet<Vec<u8>>) {
    if piece.len() < 4 || depth > MAX_DEPTH {
        return;
    }
    if piece.len() <= MAX_PIECE && !pieces.insert(piece.to_vec()) {
        return;
    }
    if let Ok(value) = serde_json::from_slice::<Value>(piece) {
        return take_json_apart(&value, depth, pieces);
    }
    for inside in elements(piece) {
        take_apart(inside, depth + 1, pieces);
    }
    let Ok(text) = std::str::from_utf8(piece) else {
        return;
    };
    for block in text.split_inclusive("-----END ") {
        let body = block
            .lines()
            .filter(|line| !line.contains("-----"))
            .collect::<String>();
        if let Ok(bytes) = STANDARD.decode(body.trim()) {
            take_apart(&bytes, depth + 1, pieces);
        }
    }
}

fn take_json_apart(value: &Value, depth: usize, pieces: &mut BTreeSet<Vec<u8>>) {
    match value {
        Value::String(text) => take_apart(text.as_bytes(), depth + 1, pieces),
        Value::Array(items) => {
            items
                .iter()
                .for_each(|item| take_json_apart(item, depth + 1, pieces));
        }
        Value::Object(fields) => {
            let text = serde_json::to_vec(value).expect("JSON values serialise");
            if text.len() <= MAX_PIECE {
                pieces.insert(text);
            }
            fields
                .values()
                .for_each(|field| take_json_apart(field, depth + 1, pieces));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The piece with something long in each of its places in turn: what libFuzzer, which begins with short inputs, makes
/// late if ever.
fn stretched(piece: &[u8]) -> Vec<Vec<u8>> {
    let long = "a".repeat(LONG);
    if let Ok(value) = serde_json::from_slice::<Value>(piece) {
        let mut variants = Vec::new();
        for place in 0..count(&value) {
            let mut variant = value.clone();
            if let Some(target) = nth(&mut variant, &mut { place }) {
                *target = Value::String(long.clone());
            }
            variants.push(serde_json::to_vec(&variant).expect("JSON values serialise"));
        }
        return variants;
    }
    let Ok(text) = std::str::from_utf8(piece) else {
        return Vec::new();
    };
    let line_ends = text
        .match_indices('\n')
        .map(|(at, _)| at)
        .chain([text.len()]);
    line_ends
        .map(|at| [&text[..at], &long, &text[at..]].concat().into_bytes())
        .collect()
}

/// The elements of DER that the piece consists of, without their heads; those that hold others hold them as they are.
fn elements(piece: &[u8]) -> Vec<&[u8]> {
    let mut inside = Vec::new();
    let mut rest = piece;
    while let [_, first, more @ ..] = rest {
        let (length, more) = match *first {
            short @ 0..=0x7f => (usize::from(short), more),
            long @ 0x81..=0x83 => {
                let Some((digits, more)) = more.split_at_checked(usize::from(long - 0x80)) else {
                    return Vec::new();
                };
                let digit = |number, digit: &u8| number << 8 | usize::from(*digit);
                (digits.iter().fold(0, digit), more)
            }
            _ => return Vec::new(),
        };
        let Some((content, more)) = more.split_at_checked(length) else {
            return Vec::new();
        };
        inside.push(content);
        // Whole elements are pieces, too: certificates inside of tokens.
        inside.push(&rest[..rest.len() - more.len()]);
        rest = more;
    }
    inside
}
