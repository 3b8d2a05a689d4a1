//! A place in a request's JSON that knows its path, so that a refusal names the field it is about, as Rekor's do.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::{Error, Violation};

/// A value and its path.
pub struct Field<'a> {
    /// What stands there.
    pub value: &'a Value,
    path: String,
}

impl<'a> Field<'a> {
    /// The whole.
    pub fn root(value: &'a Value) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    /// The member `name`, which must be there.
    pub fn get(&self, name: &str) -> Result<Self, Error> {
        let path = self.path_of(name);
        self.find(name).ok_or_else(|| {
            Error::invalid(Violation::Required, format!("{path} in body is required"))
        })
    }

    /// The member `name`, if there is one.
    pub fn find(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self {
            value,
            path: self.path_of(name),
        })
    }

    /// A string that is not empty.
    pub fn text(&self) -> Result<&'a str, Error> {
        let text = self.value.as_str().ok_or_else(|| self.of_type("string"))?;
        match text.is_empty() {
            false => Ok(text),
            true => Err(Error::invalid(
                Violation::Required,
                format!("{} in body is required", self.path),
            )),
        }
    }

    /// Bytes in base64, at least one.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        STANDARD
            .decode(self.text()?)
            .map_err(|_| self.of_type("byte"))
    }

    /// The items of an array of `least` to `most`.
    pub fn items(&self, least: usize, most: usize) -> Result<Vec<Self>, Error> {
        let items = self.value.as_array().ok_or_else(|| self.of_type("array"))?;
        let path = &self.path;
        if items.len() < least || items.len() > most {
            let message = format!("{path} in body should have {least} to {most} items");
            return Err(Error::invalid(Violation::Length, message));
        }
        let field = |(index, value)| Self {
            value,
            path: format!("{path}.{index}"),
        };
        Ok(items.iter().enumerate().map(field).collect())
    }

    /// The value is of another type.
    pub fn of_type(&self, wanted: &str) -> Error {
        let message = format!("{} in body must be of type {wanted}", self.path);
        Error::invalid(Violation::Type, message)
    }

    /// The value is none of those that are allowed.
    pub fn not_one_of(&self, allowed: &str) -> Error {
        let message = format!("{} in body should be one of [{allowed}]", self.path);
        Error::invalid(Violation::Choice, message)
    }

    /// The entry is refused for what stands here.
    pub fn refuse(&self, reason: impl std::fmt::Display) -> Error {
        Error::entry(format_args!("{}: {reason}", self.path))
    }

    fn path_of(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }
}
