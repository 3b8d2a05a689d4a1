//! A place in a request's JSON that knows its path, so that a refusal names the field it is about, as Rekor's do.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::refusal::{Refusal, invalid};

/// A value and its path.
pub(super) struct Field<'a> {
    pub(super) value: &'a Value,
    path: String,
}

impl<'a> Field<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    /// The member `name`, which must be there.
    pub(super) fn get(&self, name: &str) -> Result<Self, Refusal> {
        let path = self.path_of(name);
        self.find(name).ok_or_else(|| {
            Refusal::invalid(invalid::REQUIRED, format!("{path} in body is required"))
        })
    }

    /// The member `name`, if there is one.
    pub(super) fn find(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self {
            value,
            path: self.path_of(name),
        })
    }

    /// A string that is not empty.
    pub(super) fn text(&self) -> Result<&'a str, Refusal> {
        let text = self.value.as_str().ok_or_else(|| self.of_type("string"))?;
        match text.is_empty() {
            false => Ok(text),
            true => Err(Refusal::invalid(
                invalid::REQUIRED,
                format!("{} in body is required", self.path),
            )),
        }
    }

    /// Bytes in base64, at least one.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Refusal> {
        STANDARD
            .decode(self.text()?)
            .map_err(|_| self.of_type("byte"))
    }

    /// The items of an array of `least` to `most`.
    pub(super) fn items(&self, least: usize, most: usize) -> Result<Vec<Self>, Refusal> {
        let items = self.value.as_array().ok_or_else(|| self.of_type("array"))?;
        let path = &self.path;
        if items.len() < least || items.len() > most {
            let message = format!("{path} in body should have {least} to {most} items");
            return Err(Refusal::invalid(invalid::LENGTH, message));
        }
        let field = |(index, value)| Self {
            value,
            path: format!("{path}.{index}"),
        };
        Ok(items.iter().enumerate().map(field).collect())
    }

    pub(super) fn of_type(&self, wanted: &str) -> Refusal {
        let message = format!("{} in body must be of type {wanted}", self.path);
        Refusal::invalid(invalid::TYPE, message)
    }

    /// The value is none of those that are allowed.
    pub(super) fn not_one_of(&self, allowed: &str) -> Refusal {
        let message = format!("{} in body should be one of [{allowed}]", self.path);
        Refusal::invalid(invalid::CHOICE, message)
    }

    /// The entry is refused for what stands here.
    pub(super) fn refuse(&self, reason: impl std::fmt::Display) -> Refusal {
        Refusal::entry(format_args!("{}: {reason}", self.path))
    }

    fn path_of(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }
}
