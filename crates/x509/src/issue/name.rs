//! Names of subjects and issuers (RFC 5280, section 4.1.2.4).

use der::Tag;

use super::{IssueError, object_identifier, sequence};
use crate::Certificate;
use crate::element::encode;

/// The longest `commonName` and `organizationName`, in characters (RFC 5280, appendix A.1, `ub-common-name`).
const MAX_ATTRIBUTE: usize = 64;

/// A distinguished name, as its DER.
///
/// An issuer's name must be the very bytes of its certificate's subject, or no chain is found:
/// [`subject_of`](Self::subject_of) gives those.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Name {
    der: Vec<u8>,
}

impl Name {
    /// The name without parts, which the leaf certificates of Fulcio have.
    pub fn empty() -> Self {
        // SEQUENCE, no content.
        Self {
            der: vec![0x30, 0x00],
        }
    }

    /// `CN=common_name`.
    ///
    /// # Errors
    /// If it is empty or longer than 64 characters.
    pub fn common(common_name: &str) -> Result<Self, IssueError> {
        Self::of(&[("2.5.4.3", common_name)])
    }

    /// `O=organization, CN=common_name`, in the order in which Sigstore's authorities write them.
    ///
    /// # Errors
    /// If one is empty or longer than 64 characters.
    pub fn organization(organization: &str, common_name: &str) -> Result<Self, IssueError> {
        Self::of(&[("2.5.4.10", organization), ("2.5.4.3", common_name)])
    }

    /// The subject of a certificate, byte for byte.
    pub fn subject_of(certificate: &Certificate) -> Self {
        Self {
            der: certificate.subject_der().to_vec(),
        }
    }

    fn of(attributes: &[(&str, &str)]) -> Result<Self, IssueError> {
        let mut sets = Vec::new();
        for (oid, text) in attributes {
            if text.is_empty() || text.chars().count() > MAX_ATTRIBUTE {
                return Err(IssueError::unwritable(
                    "a name",
                    format_args!(
                        "a part of it must have 1 to {MAX_ATTRIBUTE} characters: {text:?}"
                    ),
                ));
            }
            let attribute = sequence(&[
                &object_identifier("a name", oid)?,
                &encode(Tag::Utf8String, text.as_bytes())?,
            ])?;
            sets.extend(encode(Tag::Set, &attribute)?);
        }
        Ok(Self {
            der: encode(Tag::Sequence, &sets)?,
        })
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }
}
