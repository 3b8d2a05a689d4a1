//! A whole answer, and what it says.
//!
//! Nothing of it gets into an error unsanitised.

use std::fmt;

use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use crate::Error;
use sealmark_http::sanitise;

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Method and URL, for errors.
    pub(crate) request: String,
}

impl Answer {
    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer, if its status is that of success.
    pub(crate) fn good(self) -> Result<Self, Error> {
        match self.status {
            200..=299 => Ok(self),
            _ => Err(self.refused()),
        }
    }

    /// The error that the answer is, with the server's own words.
    pub(crate) fn refused(self) -> Error {
        #[derive(serde::Deserialize)]
        struct Words {
            message: String,
        }
        let message = match serde_json::from_slice::<Words>(&self.body) {
            Ok(words) => words.message,
            // A page for people says nothing in one line.
            Err(_) if self.is_page() => String::new(),
            Err(_) => String::from_utf8_lossy(&self.body).into_owned(),
        };
        Error::Refused {
            request: self.request,
            status: self.status,
            message: sanitise(&message),
        }
    }

    /// What the JSON says.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if self.is_page() {
            let start: String = String::from_utf8_lossy(&self.body)
                .chars()
                .take(60)
                .collect();
            return Err(Error::NotALog {
                request: self.request.clone(),
                reason: format!("it sends a page for people, {:?}", sanitise(&start)),
            });
        }
        serde_json::from_slice(&self.body).map_err(|error| self.malformed(error))
    }

    /// What the text says.
    pub(crate) fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.body).map_err(|_| self.malformed("it is not text"))
    }

    pub(crate) fn malformed(&self, reason: impl fmt::Display) -> Error {
        Error::Malformed {
            request: self.request.clone(),
            reason: sanitise(&sealmark_formats::excerpt(reason.to_string())),
        }
    }

    fn is_page(&self) -> bool {
        let html = self
            .header("content-type")
            .is_some_and(|value| value.starts_with("text/html"));
        html || self.body.trim_ascii_start().starts_with(b"<")
    }
}
