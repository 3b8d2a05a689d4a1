//! Why an entry is not taken.

use std::fmt;

/// What is wrong with a proposed entry. Each message is complete, and tells the client what it did.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The bytes are no JSON, or not the protobuf message they should be.
    #[error("{0}")]
    Malformed(String),
    /// A field is not as the interface's description says.
    #[error("{message}")]
    Invalid {
        /// In which way.
        violation: Violation,
        /// Which field, and what it should be.
        message: String,
    },
    /// The entry is refused for what it says.
    #[error("error processing entry: {0}")]
    Refused(String),
}

/// The ways in which a field differs from its description, as go-openapi numbers them in Rekor's answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Violation {
    /// It is of another type.
    Type,
    /// It is missing, or empty.
    Required,
    /// It is too long or too short.
    Length,
    /// It is not written as it must be.
    Pattern,
    /// It is none of those that are allowed.
    Choice,
}

impl Violation {
    /// The number that stands for it in the body of a 422.
    ///
    /// ```
    /// assert_eq!(sealmark_entries::Violation::Required.code(), 602);
    /// ```
    pub fn code(self) -> u16 {
        match self {
            Self::Type => 601,
            Self::Required => 602,
            Self::Length => 604,
            Self::Pattern => 605,
            Self::Choice => 606,
        }
    }
}

impl Error {
    /// A field that is not as its description says.
    pub fn invalid(violation: Violation, message: impl Into<String>) -> Self {
        Self::Invalid {
            violation,
            message: message.into(),
        }
    }

    /// An entry that is refused for what it says.
    pub fn entry(reason: impl fmt::Display) -> Self {
        Self::Refused(sealmark_formats::excerpt(reason.to_string()))
    }
}
