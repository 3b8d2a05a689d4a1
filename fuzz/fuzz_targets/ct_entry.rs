//! An entry of a certificate transparency log, as `get-entries` gives it: it is that of its certificate, or none.
#![no_main]

use std::sync::LazyLock;

use sealmark_x509::{Certificate, log_leaf};

static LEAF: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let pem = include_bytes!("../../crates/x509/tests/fixtures/github-workflow.pem");
    let certificate = Certificate::from_pem(pem).expect("a certificate of the tests");
    log_leaf(&certificate, None, 1, &[]).expect("it can be in a log")
});

sealmark_fuzz::target!([LEAF.as_slice()], |data| {
    let (leaf, extra) = data.split_at(data.len() - data.len() / 3);
    let parts = sealmark_rekor::ct::is_entry(leaf, extra);
    sealmark_rekor::ct::is_entry(data, &[]) || parts
});
