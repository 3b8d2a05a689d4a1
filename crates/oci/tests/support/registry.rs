//! A registry in memory, with the quirks of real ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealmark_formats::Digest;
use serde_json::{Value, json};

use super::{Reply, Request, Server};

/// What a registry does with `ETag` and `If-Match`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Etag {
    /// As docker's does: sends one, and ignores the condition.
    #[default]
    Ignored,
    Honoured,
    None,
}

#[derive(Clone, Debug, Default)]
pub struct Quirks {
    /// No referrers API: `404 page not found` in plain text, as docker-registry 2.8.
    pub no_referrers: bool,
    /// Reports the type of the empty configuration for every referrer.
    pub mistyped: bool,
    /// Referrers on a page; 0 is all.
    pub page: usize,
    /// Sends `OCI-Subject`.
    pub subject_header: bool,
    pub etag: Etag,
    /// Every answer to a manifest request is delayed by up to this; a PUT is applied after its delay.
    pub delay: Duration,
    /// Has the API, and lists nothing there.
    pub unlisted: bool,
    /// Tags cannot be overwritten.
    pub immutable: bool,
}

#[derive(Default)]
pub struct State {
    pub blobs: HashMap<String, Vec<u8>>,
    /// By tag and by digest.
    pub manifests: HashMap<String, (String, Vec<u8>)>,
    uploads: usize,
}

impl State {
    pub fn put(&mut self, tag: Option<&str>, media_type: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let entry = (media_type.to_owned(), bytes.to_vec());
        if let Some(tag) = tag {
            self.manifests.insert(tag.to_owned(), entry.clone());
        }
        self.manifests.insert(digest.to_string(), entry);
        digest
    }

    pub fn put_blob(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        self.blobs.insert(digest.to_string(), bytes.to_vec());
        digest
    }

    pub fn json(&self, identifier: &str) -> Value {
        serde_json::from_slice(&self.manifests[identifier].1).unwrap()
    }

    fn referrers(&self, subject: &str, mistyped: bool) -> Vec<Value> {
        let mut found: Vec<(String, Value)> = Vec::new();
        for (identifier, (media_type, bytes)) in &self.manifests {
            if !identifier.contains(':') {
                continue;
            }
            let Ok(manifest) = serde_json::from_slice::<Value>(bytes) else {
                continue;
            };
            if manifest["subject"]["digest"] != subject {
                continue;
            }
            let kind = if mistyped {
                json!("application/vnd.oci.empty.v1+json")
            } else {
                manifest["artifactType"].clone()
            };
            found.push((
                identifier.clone(),
                json!({
                    "mediaType": media_type, "digest": identifier, "size": bytes.len(),
                    "artifactType": kind, "annotations": manifest["annotations"],
                }),
            ));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found.into_iter().map(|(_, value)| value).collect()
    }
}

pub struct Memory {
    pub server: Server,
    pub state: Arc<Mutex<State>>,
}

impl Memory {
    pub async fn start(quirks: Quirks) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = Server::start_async(move |request| {
            let (state, quirks) = (shared.clone(), quirks.clone());
            Box::pin(async move {
                let manifest = request.path.contains("/manifests/");
                let put = request.method == "PUT";
                let delay = || tokio::time::sleep(random(quirks.delay));
                if manifest && put {
                    delay().await;
                }
                let reply = answer(&mut state.lock().unwrap(), &quirks, &request);
                if manifest && !put {
                    delay().await;
                }
                reply
            })
        })
        .await;
        Self { server, state }
    }
}

fn random(most: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let share = RandomState::new().hash_one(0) >> 32;
    most.mul_f64(share as f64 / f64::from(u32::MAX))
}

fn unknown(code: &str) -> Reply {
    Reply::error(404, code, "unknown")
}

fn manifest(media_type: &str, bytes: &[u8], etag: Etag) -> Reply {
    let digest = Digest::sha256(bytes);
    let mut reply = Reply::new(200)
        .with("content-type", media_type)
        .with("docker-content-digest", &digest)
        .with("content-length", bytes.len())
        .body(bytes);
    if etag != Etag::None {
        reply = reply.with("etag", format!("\"{digest}\""));
    }
    reply
}

pub fn answer(state: &mut State, quirks: &Quirks, request: &Request) -> Reply {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let query: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let Some(rest) = path.strip_prefix("/v2/team/app/") else {
        return unknown("NAME_UNKNOWN");
    };
    let method = request.method.as_str();
    if let Some(identifier) = rest.strip_prefix("manifests/") {
        return match method {
            "PUT" => {
                let current = state
                    .manifests
                    .get(identifier)
                    .map(|(_, bytes)| Digest::sha256(bytes));
                if quirks.immutable && current.is_some() && !identifier.contains(':') {
                    return Reply::error(412, "PRECONDITION", "the tag is immutable");
                }
                if quirks.etag == Etag::Honoured {
                    let tag = current.map(|digest| format!("\"{digest}\""));
                    let if_match = request.header("if-match");
                    let fails = if_match.is_some() && if_match != tag.as_deref()
                        || request.header("if-none-match").is_some() && tag.is_some();
                    if fails {
                        return Reply::error(412, "PRECONDITION", "changed meanwhile");
                    }
                }
                let media_type = request.header("content-type").unwrap_or_default();
                let tag = (!identifier.contains(':')).then_some(identifier);
                let digest = state.put(tag, media_type, &request.body);
                let reply = Reply::new(201).with("docker-content-digest", digest);
                let json: Value = serde_json::from_slice(&request.body).unwrap();
                match json["subject"]["digest"].as_str() {
                    Some(subject) if quirks.subject_header => reply.with("oci-subject", subject),
                    _ => reply,
                }
            }
            "DELETE" => match state.manifests.remove(identifier) {
                Some(_) => Reply::new(202),
                None => unknown("MANIFEST_UNKNOWN"),
            },
            _ => match state.manifests.get(identifier) {
                Some((media_type, bytes)) => manifest(media_type, bytes, quirks.etag),
                None => unknown("MANIFEST_UNKNOWN"),
            },
        };
    }
    if let Some(subject) = rest.strip_prefix("referrers/") {
        if quirks.no_referrers {
            return Reply::new(404)
                .with("content-type", "text/plain; charset=utf-8")
                .body("404 page not found\n");
        }
        let mut all = state.referrers(subject, quirks.mistyped);
        if quirks.unlisted {
            all.clear();
        }
        let from: usize = query.get("from").map_or(0, |from| from.parse().unwrap());
        let size = if quirks.page == 0 {
            all.len()
        } else {
            quirks.page
        };
        let page: Vec<&Value> = all.iter().skip(from).take(size).collect();
        let body = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": page,
        });
        let reply = Reply::new(200)
            .with("content-type", "application/vnd.oci.image.index.v1+json")
            .body(body.to_string());
        return if from + size < all.len() {
            reply.with(
                "link",
                format!("<{path}?from={}>; rel=\"next\"", from + size),
            )
        } else {
            reply
        };
    }
    if rest == "tags/list" {
        let tags: Vec<&String> = state
            .manifests
            .keys()
            .filter(|key| !key.contains(':'))
            .collect();
        return Reply::json(200, json!({"name": "team/app", "tags": tags}).to_string());
    }
    if rest == "blobs/uploads/" && method == "POST" {
        if let Some(digest) = query
            .get("mount")
            .filter(|digest| state.blobs.contains_key(*digest))
        {
            return Reply::new(201).with("docker-content-digest", digest);
        }
        state.uploads += 1;
        let location = format!("/v2/team/app/blobs/uploads/{}?state=secret", state.uploads);
        return Reply::new(202).with("location", location);
    }
    if rest.starts_with("blobs/uploads/") && method == "PUT" {
        let digest = Digest::sha256(&request.body).to_string();
        if query.get("digest") != Some(&digest) {
            return Reply::error(400, "DIGEST_INVALID", "not that digest");
        }
        state.put_blob(&request.body);
        return Reply::new(201);
    }
    if let Some(digest) = rest.strip_prefix("blobs/") {
        return match state.blobs.get(digest) {
            Some(bytes) => Reply::new(200)
                .with("content-length", bytes.len())
                .body(bytes.clone()),
            None => unknown("BLOB_UNKNOWN"),
        };
    }
    unknown("UNSUPPORTED")
}
