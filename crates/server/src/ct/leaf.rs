//! The bytes of an entry: `MerkleTreeLeaf` of RFC 6962 (section 3.4), and `TileLeaf` of static-ct-api.
//!
//! ```text
//! leaf    00 00  u64 time  u16 type  entry  0008  00 0005 u40 index
//! extra   for a precertificate: u24 length, precertificate
//!         u16 length, the fingerprints of the certificates above it, 32 bytes each
//! ```
//!
//! The leaf is byte for byte what the promise signs. `TileLeaf` is the leaf without its first two bytes, and the extra.

use sealmark_formats::Digest;
use sealmark_x509::{Certificate, FulcioExtension};

/// Where the time stands in a leaf.
const TIME: std::ops::Range<usize> = 2..10;
/// What comes before the `TimestampedEntry` in a leaf.
const HEAD: usize = 2;

/// The extension of a promise that says where the entry is.
pub(super) fn leaf_index(index: u64) -> [u8; 8] {
    let [_, _, _, a, b, c, d, e] = index.to_be_bytes();
    [0, 0, 5, a, b, c, d, e]
}

/// The leaf, out of the same leaf with other time and index.
pub(super) fn placed(mut leaf: Vec<u8>, index: u64, time: u64) -> Vec<u8> {
    leaf[TIME].copy_from_slice(&time.to_be_bytes());
    let end = leaf.len();
    leaf[end - 8..].copy_from_slice(&leaf_index(index));
    leaf
}

/// What is kept beside the leaf.
pub(super) fn extra(
    certificate: &Certificate,
    chain: &[Certificate],
    precertificate: bool,
) -> Vec<u8> {
    let mut extra = Vec::new();
    if precertificate {
        put_u24(certificate.der(), &mut extra);
    }
    // A chain has some certificates; the length cannot overflow.
    extra.extend(((chain.len() * 32) as u16).to_be_bytes());
    for certificate in chain {
        extra.extend(certificate.fingerprint().bytes());
    }
    extra
}

/// What the entry is found by: who it is of, who asked, which key.
pub(super) fn keys(certificate: &Certificate) -> Vec<String> {
    let mut keys: Vec<String> = certificate
        .subject_alt_names()
        .iter()
        .map(|name| name.value().to_lowercase())
        .collect();
    let issuer = certificate.fulcio().get(FulcioExtension::Issuer);
    keys.extend(issuer.map(str::to_lowercase));
    keys.push(format!("serial:{}", certificate.serial()));
    keys.push(Digest::sha256(certificate.spki_der()).to_string());
    keys.retain(|key| key.len() <= sealmark_log::MAX_KEY);
    keys
}

/// An entry of a `tile/data` tile.
pub(super) fn tile_leaf(leaf: &[u8], extra: &[u8]) -> Vec<u8> {
    [leaf.get(HEAD..).unwrap_or_default(), extra].concat()
}

/// What is in an entry, for who asks as RFC 6962 has it.
pub(super) struct Parts<'a> {
    /// The certificate, or the precertificate.
    pub(super) submitted: &'a [u8],
    /// Whether it is a precertificate.
    pub(super) is_precertificate: bool,
    /// Fingerprints of the certificates above it.
    pub(super) chain: Vec<[u8; 32]>,
}

/// `None` if it is no entry of this log.
pub(super) fn parts<'a>(leaf: &'a [u8], extra: &'a [u8]) -> Option<Parts<'a>> {
    let kind = leaf.get(TIME.end..TIME.end + 2)?;
    let is_precertificate = kind == [0, 1];
    let (submitted, rest) = match is_precertificate {
        true => take_u24(extra)?,
        false => (take_u24(leaf.get(TIME.end + 2..)?)?.0, extra),
    };
    let length = u16::from_be_bytes(rest.get(..2)?.try_into().ok()?);
    let fingerprints = rest.get(2..2 + usize::from(length))?;
    let (chain, left) = fingerprints.as_chunks::<32>();
    left.is_empty().then(|| Parts {
        submitted,
        is_precertificate,
        chain: chain.to_vec(),
    })
}

pub(super) fn put_u24(bytes: &[u8], out: &mut Vec<u8>) {
    let [_, a, b, c] = (bytes.len() as u32).to_be_bytes();
    out.extend([a, b, c]);
    out.extend(bytes);
}

fn take_u24(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = from.split_first_chunk::<3>()?;
    let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
    rest.split_at_checked(length)
}
