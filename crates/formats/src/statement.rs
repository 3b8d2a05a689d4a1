//! In-toto statements: a predicate about subjects that are named by digest.
//!
//! Format: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>, and v0.1 before it. The predicate
//! is kept as the text it was, so that no number is changed and no field is lost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::encoding::ParseError;
use crate::protobuf_json::null_as_default;

/// `_type` of statements version 1.
pub const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";
/// `_type` of statements version 0.1, which cosign still writes for attestations.
pub const STATEMENT_V0_1: &str = "https://in-toto.io/Statement/v0.1";
/// The predicate type by which a bundle says that it is an image signature and not an attestation.
pub const COSIGN_SIGN_V1: &str = "https://sigstore.dev/cosign/sign/v1";

/// More subjects than this are refused, as sigstore-go does: each is compared with the artifact.
pub const MAX_SUBJECTS: usize = 1024;
/// More digests for one subject are refused.
pub const MAX_DIGESTS_PER_SUBJECT: usize = 32;

const FORMAT: &str = "in-toto statement";

/// A statement.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Statement {
    /// [`STATEMENT_V1`] or [`STATEMENT_V0_1`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What the statement is about.
    #[serde(default, deserialize_with = "crate::encoding::at_most::<1025, _, _>")]
    pub subject: Vec<Subject>,
    /// The URI that says what the predicate means.
    #[serde(rename = "predicateType", default)]
    pub predicate_type: String,
    /// The predicate, as the text it was; `None` where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<Box<RawValue>>,
}

/// One subject: an artifact, by digest.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Subject {
    /// A name, informative only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Digests in hex by algorithm name; they are alternatives for the same bytes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub digest: BTreeMap<String, String>,
    /// Free annotations; `cosign sign -a` puts its own here.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, serde_json::Value>,
}

impl Statement {
    /// Parses a statement and checks its bounds.
    ///
    /// # Errors
    /// If it is not JSON of this shape, `_type` is no known version, or it has more subjects or digests than allowed.
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        serde_json::from_slice(json)
            .map_err(|error| ParseError::new(FORMAT, error.to_string()))
            .and_then(Self::checked)
    }

    /// [`parse`](Self::parse) without the predicate, which may have many megabytes: what it is about, and of which type.
    /// [`predicate_of`] gives the predicate.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_head(json: &[u8]) -> Result<Self, ParseError> {
        let head: Head = serde_json::from_slice(json)
            .map_err(|error| ParseError::new(FORMAT, error.to_string()))?;
        let statement = Self {
            statement_type: head.statement_type,
            subject: head.subject,
            predicate_type: head.predicate_type,
            predicate: None,
        };
        statement.checked()
    }

    fn checked(self) -> Result<Self, ParseError> {
        let statement = self;
        if ![STATEMENT_V1, STATEMENT_V0_1].contains(&statement.statement_type.as_str()) {
            return Err(ParseError::new(
                FORMAT,
                format!(
                    "_type is {:?}, expected {STATEMENT_V1:?} or {STATEMENT_V0_1:?}",
                    statement.statement_type
                ),
            ));
        }
        if statement.subject.len() > MAX_SUBJECTS {
            return Err(ParseError::new(
                FORMAT,
                format!(
                    "{} subjects, at most {MAX_SUBJECTS} are allowed",
                    statement.subject.len()
                ),
            ));
        }
        if let Some(subject) = statement
            .subject
            .iter()
            .find(|s| s.digest.len() > MAX_DIGESTS_PER_SUBJECT)
        {
            return Err(ParseError::new(
                FORMAT,
                format!(
                    "a subject with {} digests, at most {MAX_DIGESTS_PER_SUBJECT} are allowed",
                    subject.digest.len()
                ),
            ));
        }
        Ok(statement)
    }

    /// The subjects that have this digest.
    pub fn subjects_with<'a>(&'a self, digest: &'a Digest) -> impl Iterator<Item = &'a Subject> {
        let hex = digest.hex();
        self.subject.iter().filter(move |subject| {
            subject
                .digest
                .get(digest.algorithm().name())
                .is_some_and(|value| *value == hex)
        })
    }
}

/// [`Statement`] without the predicate, which is read and not kept.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "_type")]
    statement_type: String,
    #[serde(default, deserialize_with = "crate::encoding::at_most::<1025, _, _>")]
    subject: Vec<Subject>,
    #[serde(rename = "predicateType", default)]
    predicate_type: String,
    #[serde(rename = "predicate", default)]
    _predicate: serde::de::IgnoredAny,
}

/// The predicate of a statement, where it stands in the text.
///
/// ```
/// let json = br#"{"_type":"https://in-toto.io/Statement/v1","predicate":{"n": 1.10}}"#;
/// let predicate = sealmark_formats::statement::predicate_of(json).unwrap();
/// assert_eq!(predicate.get(), r#"{"n": 1.10}"#);
/// ```
pub fn predicate_of(json: &[u8]) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Predicate<'a> {
        #[serde(borrow, default)]
        predicate: Option<&'a RawValue>,
    }
    let statement: Predicate<'_> = serde_json::from_slice(json).ok()?;
    statement.predicate
}

/// The statement that signs an image in bundle format, as cosign 3 writes it: subject by digest without a name,
/// annotations on the subject, an empty predicate.
///
/// ```
/// use sealmark_formats::{Digest, statement};
/// let json = statement::image_signature(&Digest::sha256(b""), &Default::default());
/// assert_eq!(String::from_utf8(json).unwrap(), concat!(
///     r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"#,
///     r#""e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}],"#,
///     r#""predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}"#,
/// ));
/// ```
pub fn image_signature(digest: &Digest, annotations: &BTreeMap<String, String>) -> Vec<u8> {
    let statement = Statement {
        statement_type: STATEMENT_V1.to_owned(),
        subject: vec![Subject {
            name: String::new(),
            digest: BTreeMap::from([(digest.algorithm().name().to_owned(), digest.hex())]),
            annotations: annotations
                .iter()
                .map(|(key, value)| (key.clone(), value.clone().into()))
                .collect(),
        }],
        predicate_type: COSIGN_SIGN_V1.to_owned(),
        predicate: RawValue::from_string("{}".to_owned()).ok(),
    };
    serde_json::to_vec(&statement).expect("strings and maps with string keys serialise")
}

/// A statement with this predicate, as the text it is, about subjects by name and digest.
///
/// ```
/// use sealmark_formats::{Digest, statement};
/// use serde_json::value::RawValue;
/// let predicate = RawValue::from_string(r#"{"n": 9007199254740993}"#.to_owned()).unwrap();
/// let digest = Digest::sha256(b"");
/// let json = statement::attestation(&[("app", &digest)], "https://example.com/review/v1", &predicate);
/// assert_eq!(String::from_utf8(json).unwrap(), concat!(
///     r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":"#,
///     r#""e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}],"#,
///     r#""predicateType":"https://example.com/review/v1","predicate":{"n": 9007199254740993}}"#,
/// ));
/// ```
pub fn attestation(
    subjects: &[(&str, &Digest)],
    predicate_type: &str,
    predicate: &RawValue,
) -> Vec<u8> {
    let subject = subjects.iter().map(|(name, digest)| Subject {
        name: (*name).to_owned(),
        digest: BTreeMap::from([(digest.algorithm().name().to_owned(), digest.hex())]),
        annotations: BTreeMap::new(),
    });
    let statement = Statement {
        statement_type: STATEMENT_V1.to_owned(),
        subject: subject.collect(),
        predicate_type: predicate_type.to_owned(),
        predicate: None,
    };
    let mut json =
        serde_json::to_vec(&statement).expect("strings and maps with string keys serialise");
    // The predicate comes last, and is copied once.
    const NAME: &[u8] = b",\"predicate\":";
    json.reserve_exact(NAME.len() + predicate.get().len());
    json.pop();
    json.extend_from_slice(NAME);
    json.extend_from_slice(predicate.get().as_bytes());
    json.push(b'}');
    json
}
