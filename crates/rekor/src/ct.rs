//! A client of certificate transparency logs (RFC 6962): what an authority has certified, read whole.
//!
//! Invariant: when [`Client::read`] succeeds, the certificates that it gave are all that the log has under a tree head
//! signed by the log's key, each once and in order: their leaves make up the signed root. Before that they prove nothing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::PublicKey;
use sealmark_tlog::Hash;
use sealmark_tlog::merkle::{RightEdge, leaf_hash};
use sealmark_x509::{Certificate, log_leaf, verify_tree_head};
use serde::Deserialize;

use crate::Error;
use crate::http::Http;

/// A tree head, in bytes.
const MAX_HEAD: usize = 1 << 14;
/// Entries asked for at once; logs give fewer if they like.
const PAGE: u64 = 256;
/// So many entries with long chains, in bytes.
const MAX_ENTRIES: usize = 64 << 20;
/// A log with more is no private instance's: reading it whole takes hours.
pub const MAX_SIZE: u64 = 20_000_000;

/// A way to one log, and its key.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http,
    key: PublicKey,
}

/// The head of a tree, signed by the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TreeHead {
    /// The number of entries.
    pub size: u64,
    /// The hash of the tree.
    pub root: Hash,
    /// When it was signed, in milliseconds since 1970.
    pub time: u64,
}

/// A certificate in the log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its index.
    pub index: u64,
    /// When the log took it, in milliseconds since 1970.
    pub time: u64,
    /// The certificate, or the precertificate of it.
    pub certificate: Certificate,
}

#[derive(Deserialize)]
struct Sth {
    tree_size: u64,
    timestamp: u64,
    sha256_root_hash: String,
    tree_head_signature: String,
}

#[derive(Deserialize)]
struct Entries {
    entries: Vec<RawEntry>,
}

#[derive(Deserialize)]
struct RawEntry {
    leaf_input: String,
    extra_data: String,
}

impl Client {
    /// A client of the log at this URL with this key.
    pub fn new(http: Http, key: PublicKey) -> Self {
        Self { http, key }
    }

    /// The way to the log.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// The newest tree head, its signature checked.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`] if it is not by the log's key.
    pub async fn tree_head(&self) -> Result<TreeHead, Error> {
        let answer = self.http.get("ct/v1/get-sth", MAX_HEAD).await?.good()?;
        let raw: Sth = answer.json()?;
        let root = Hash::from_base64(&raw.sha256_root_hash)
            .ok_or_else(|| answer.malformed("the root is no SHA-256 digest in base64"))?;
        let signature = STANDARD
            .decode(&raw.tree_head_signature)
            .map_err(|error| answer.malformed(error))?;
        let (size, time) = (raw.tree_size, raw.timestamp);
        verify_tree_head(time, size, root.bytes(), &signature, &self.key)
            .map_err(|error| self.unproven("its tree head", error))?;
        Ok(TreeHead { size, root, time })
    }

    /// Reads all certificates under a tree head. What `each` was given is to be believed when this succeeds.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`] if what the log gives is not what its tree head says; if the log has more than
    /// [`MAX_SIZE`] entries.
    pub async fn read(&self, head: &TreeHead, mut each: impl FnMut(Logged)) -> Result<(), Error> {
        if head.size > MAX_SIZE {
            return Err(self.unproven(
                "its certificates",
                format!(
                    "it has {} entries, and more than {MAX_SIZE} are not read",
                    head.size
                ),
            ));
        }
        let mut edge = RightEdge::new();
        while edge.size() < head.size {
            let start = edge.size();
            let end = (start + PAGE).min(head.size) - 1;
            let path = format!("ct/v1/get-entries?start={start}&end={end}");
            let answer = self.http.get(&path, MAX_ENTRIES).await?.good()?;
            let page: Entries = answer.json()?;
            let count = page.entries.len() as u64;
            if count == 0 || count > end - start + 1 {
                return Err(answer.malformed(format!(
                    "{count} entries, where 1 to {} were asked for",
                    end - start + 1
                )));
            }
            for raw in page.entries {
                let index = edge.size();
                let decode = |text: &str| {
                    STANDARD
                        .decode(text)
                        .map_err(|error| answer.malformed(format!("entry {index}: {error}")))
                };
                let (leaf, extra) = (decode(&raw.leaf_input)?, decode(&raw.extra_data)?);
                edge.push(leaf_hash(&leaf));
                let entry = logged(&leaf, &extra);
                let (time, certificate) =
                    entry.map_err(|why| self.unproven(format!("entry {index}"), why))?;
                each(Logged {
                    index,
                    time,
                    certificate,
                });
            }
        }
        match edge.root() {
            root if root == head.root => Ok(()),
            root => Err(self.unproven(
                "its entries",
                format!(
                    "together they hash to {root}, and its tree head says {}",
                    head.root
                ),
            )),
        }
    }

    fn unproven(&self, what: impl Into<String>, reason: impl std::fmt::Display) -> Error {
        Error::unproven(&self.http.authority(), what, reason)
    }
}

/// Time and certificate of an entry; the leaf, which is what the tree has, must be of this very certificate.
fn logged(leaf: &[u8], extra: &[u8]) -> Result<(u64, Certificate), String> {
    let short = || "it is too short".to_owned();
    let (head, rest) = leaf.split_first_chunk::<12>().ok_or_else(short)?;
    let [0, 0, time @ .., kind_high, kind_low] = *head else {
        return Err("it is no timestamped entry of version 1".to_owned());
    };
    let time = u64::from_be_bytes(time);
    let certificate = |der: &[u8]| {
        Certificate::from_der(der).map_err(|error| format!("its certificate: {error}"))
    };
    let (found, issuer, extensions) = match [kind_high, kind_low] {
        [0, 0] => {
            let (der, extensions) = vector(rest).ok_or_else(short)?;
            (certificate(der)?, None, extensions)
        }
        [0, 1] => {
            // The hash of the issuer's key, and the certificate without the poison.
            let (_, rest) = rest.split_at_checked(32).ok_or_else(short)?;
            let (_, extensions) = vector(rest).ok_or_else(short)?;
            let (der, chain) = vector(extra).ok_or_else(short)?;
            let (chain, _) = vector(chain).ok_or_else(short)?;
            let (issuer, _) = vector(chain).ok_or("it has no issuer's certificate")?;
            (certificate(der)?, Some(certificate(issuer)?), extensions)
        }
        kind => return Err(format!("it is of the kind {kind:?}, which is not known")),
    };
    let extensions = extensions.get(2..).ok_or_else(short)?;
    let own = log_leaf(&found, issuer.as_ref(), time, extensions).map_err(|e| e.to_string())?;
    match own == leaf {
        true => Ok((time, found)),
        false => Err("the certificate beside it is not the one in the tree".to_owned()),
    }
}

/// The door for fuzzing: whether it is an entry.
#[cfg(fuzzing)]
pub fn is_entry(leaf: &[u8], extra: &[u8]) -> bool {
    logged(leaf, extra).is_ok()
}

/// A vector with three bytes of length, and what comes after it.
fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<3>()?;
    let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_make_it_panic_and_none_are_an_entry_by_themselves() {
        let mut leaf = vec![0; 12];
        for length in 0..40 {
            leaf.resize(length, 0);
            for kind in 0..3 {
                if let Some(last) = leaf.get_mut(11) {
                    *last = kind;
                }
                assert!(logged(&leaf, &[]).is_err(), "{leaf:?}");
                assert!(logged(&leaf, &leaf).is_err(), "{leaf:?}");
            }
        }
        assert_eq!(vector(&[0, 0, 1, 7, 9]), Some((&[7][..], &[9][..])));
        assert_eq!(vector(&[0, 0, 2, 7]), None);
        assert_eq!(vector(&[0, 0]), None);
    }
}
