//! `sealmark log`, on a log of this program: beside rekor-cli, against servers that lie, and what is remembered of logs.

mod asking;
#[path = "../bench/mod.rs"]
mod bench;
mod liars;
mod peers;
mod remembered;
mod serving;
mod tiles;
