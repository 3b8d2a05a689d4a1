//! Versions of the bundle's format, and the media types that name them.
//!
//! Version 0.1 and 0.2 are named by a parameter, `…bundle+json;version=0.2`; from 0.3 on, because a registry takes no
//! parameters, by the type itself, `…bundle.v0.3+json`. Clients that were made between the two write either form.

use super::MEDIA_TYPE_PREFIX;
use crate::encoding::ParseError;
use crate::protobuf_json::{Document, shown};

/// The version of a bundle's format.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Version {
    /// Version 0.1: log entries have an inclusion promise.
    V0_1,
    /// Version 0.2: log entries have an inclusion proof.
    V0_2,
    /// Version 0.3: a single certificate instead of a chain.
    V0_3,
}

impl Version {
    /// The version that a media type names, in either form. A third number (`v0.3.1`) is a patch, which changes nothing
    /// in what a field means; sigstore-go reads those too.
    ///
    /// ```
    /// use sealmark_formats::bundle::Version;
    /// let named = |suffix: &str| {
    ///     Version::from_media_type(&format!("application/vnd.dev.sigstore.bundle{suffix}"))
    /// };
    /// assert_eq!(named("+json;version=0.2"), Some(Version::V0_2));
    /// assert_eq!(named(".v0.3+json"), Some(Version::V0_3));
    /// assert_eq!(named(".v0.4+json"), None);
    /// ```
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        match numbers(media_type)? {
            (0, 1) => Some(Self::V0_1),
            (0, 2) => Some(Self::V0_2),
            (0, 3) => Some(Self::V0_3),
            _ => None,
        }
    }

    pub(super) fn read(document: Document, media_type: &str) -> Result<Self, ParseError> {
        Self::from_media_type(media_type).ok_or_else(|| {
            let shown = shown(media_type);
            let reason = match numbers(media_type) {
                Some((major, minor)) if (major, minor) > (0, 3) => {
                    format!("is of version {major}.{minor}; this program reads 0.1, 0.2 and 0.3")
                }
                _ => "is none that is known (bundle versions 0.1, 0.2, 0.3)".to_owned(),
            };
            document.error(format!("mediaType {shown:?} {reason}"))
        })
    }
}

/// Major and minor version that a media type of a bundle names.
fn numbers(media_type: &str) -> Option<(u32, u32)> {
    let rest = media_type.strip_prefix(MEDIA_TYPE_PREFIX)?;
    let version = rest
        .strip_prefix("+json;version=")
        .or_else(|| rest.strip_prefix(".v")?.strip_suffix("+json"))?;
    let parts: Vec<u32> = version.splitn(4, '.').map(number).collect::<Option<_>>()?;
    match *parts.as_slice() {
        [major, minor] | [major, minor, _] => Some((major, minor)),
        _ => None,
    }
}

/// A decimal number as semantic versioning writes it: no sign, no leading zero.
fn number(text: &str) -> Option<u32> {
    let canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}
