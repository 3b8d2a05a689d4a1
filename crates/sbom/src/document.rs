//! What SPDX and CycloneDX documents have in common: who made them, when, and a name that no other document has.
//!
//! Invariant: a document is a function of what was found and of the time alone.

use sealmark_formats::digest::sha256;
use serde_json::Value;

/// The name of this program in documents.
pub(crate) const TOOL: &str = "sealmark";
/// Its version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A UUID of version 8 (RFC 9562, section 5.8): the content decides it.
pub(crate) fn uuid(content: &Value) -> String {
    let hash = sha256(content.to_string().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    format!("urn:uuid:{}", parts.join("-"))
}

/// A licence as a package states it, if it is an SPDX expression of known licences.
pub(crate) fn expression(licence: &str) -> Option<String> {
    let own = licence.contains("LicenseRef-") || licence.contains("DocumentRef-");
    let known = !own && spdx::Expression::parse(licence).is_ok();
    known.then(|| match licence.contains(' ') {
        true => format!("({licence})"),
        false => licence.to_owned(),
    })
}

/// Pretty-printed, with a line's end.
pub(crate) fn text(document: &Value) -> String {
    format!("{document:#}\n")
}
