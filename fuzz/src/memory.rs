//! The bound on memory: in proportion to the input, whatever lengths the input claims.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes of memory for each byte of input. JSON's worst case is `{"":0},` for which `serde_json` makes a map with a
/// node of 632 bytes; reading it twice, and comparing, is still below this.
const PER_BYTE: usize = 256;

/// Bytes of memory that any input may take: tables, regular expressions, error texts.
const BASE: usize = 4 << 20;

/// Runs a target on `data` and panics if it takes too much memory at once.
pub fn bounded(data: &[u8], run: fn(&[u8]) -> bool) -> bool {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let accepted = run(data);
    let taken = ALLOCATOR.peak_usage().saturating_sub(before);
    let allowed = BASE + PER_BYTE * data.len();
    assert!(
        taken <= allowed,
        "{} bytes of input took {taken} bytes of memory, more than {allowed}",
        data.len()
    );
    accepted
}
