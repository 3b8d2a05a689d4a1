//! The search index of a Rekor v1.
//!
//! Nothing proves what it finds: that an entry is there is for [`Client::get`] to prove, that there are no more of them
//! for nobody.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::Client;
use crate::{EntryId, Error};

/// The largest answer: 100,000 ids, which is more than anyone looks through.
const MAX_FOUND: usize = 100_000 * 84;

/// What is looked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query {
    /// A name in the signer's certificate: a mail address.
    pub email: Option<String>,
    /// A name in the signer's certificate, of any kind.
    pub subject: Option<String>,
    /// The signer's key or certificate, as its file has it.
    pub public_key: Option<(KeyFormat, Vec<u8>)>,
    /// A digest of an artifact, an envelope or a payload: `sha256:HEX`.
    pub hash: Option<String>,
    /// Whether all of these, or one.
    pub operator: Operator,
}

/// How several criteria are joined.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Operator {
    /// All must fit.
    And,
    /// One must fit.
    #[default]
    Or,
}

/// Formats of keys, by Rekor's names for them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyFormat {
    /// PEM of a key or a certificate.
    X509,
    /// OpenPGP, armoured.
    Pgp,
    /// minisign.
    Minisign,
    /// OpenSSH.
    Ssh,
    /// The root of a TUF repository.
    Tuf,
}

impl KeyFormat {
    /// Rekor's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::X509 => "x509",
            Self::Pgp => "pgp",
            Self::Minisign => "minisign",
            Self::Ssh => "ssh",
            Self::Tuf => "tuf",
        }
    }

    /// The format of a key's file, by how it begins.
    pub fn of(key: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&key[..key.len().min(400)]);
        let text = text.trim_start();
        if text.contains("-----BEGIN PGP") {
            Self::Pgp
        } else if text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") {
            Self::Ssh
        } else if text.starts_with("untrusted comment:") || text.starts_with("RW") {
            Self::Minisign
        } else if text.starts_with('{') {
            Self::Tuf
        } else {
            Self::X509
        }
    }
}

/// What the index has found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The entries' ids, without doubles, in the server's order.
    pub ids: Vec<EntryId>,
    /// The server says that it has more than it gives.
    pub is_cut: bool,
}

impl Query {
    fn json(&self) -> Value {
        let mut query = Map::new();
        let texts = [
            ("email", &self.email),
            ("subject", &self.subject),
            ("hash", &self.hash),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                query.insert(name.to_owned(), Value::from(value.as_str()));
            }
        }
        if let Some((format, content)) = &self.public_key {
            let key =
                serde_json::json!({"format": format.name(), "content": STANDARD.encode(content)});
            query.insert("publicKey".to_owned(), key);
        }
        // A server of before the operators would refuse one.
        if query.len() > 1 {
            let name = match self.operator {
                Operator::And => "and",
                Operator::Or => "or",
            };
            query.insert("operator".to_owned(), Value::from(name));
        }
        Value::Object(query)
    }
}

impl Client {
    /// Looks into the index.
    ///
    /// # Errors
    /// Of the network; [`Error::Malformed`] if what is found are not ids.
    pub async fn search(&self, query: &Query) -> Result<Found, Error> {
        let body = query.json().to_string().into_bytes();
        let path = "api/v1/index/retrieve";
        let answer = self.http.post(path, body, MAX_FOUND).await?.good()?;
        let names: Vec<String> = answer.json()?;
        let mut ids: Vec<EntryId> = Vec::with_capacity(names.len());
        let mut seen = std::collections::HashSet::new();
        for name in names {
            let id = name.parse().map_err(|reason| answer.malformed(reason))?;
            // The index of a Rekor has doubles.
            if seen.insert(id) {
                ids.push(id);
            }
        }
        Ok(Found {
            ids,
            is_cut: answer.header("x-more-entries").is_some(),
        })
    }

    /// Several entries at once, those that the log has: up to ten.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_all(&self, ids: &[EntryId]) -> Result<Vec<crate::Entry>, Error> {
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let found = self
            .retrieve(&serde_json::json!({ "entryUUIDs": names }))
            .await?;
        for entry in &found {
            let is_wanted = ids.iter().any(|id| id.leaf == entry.id.leaf);
            if !is_wanted {
                let what = format!("entry {}", entry.id);
                return Err(self.unproven(&what, "it was not asked for"));
            }
        }
        Ok(found)
    }
}
