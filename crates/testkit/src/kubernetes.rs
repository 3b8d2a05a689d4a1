//! A double of a Kubernetes API server on loopback, as far as secrets go: discovery, secrets, who may do what.
//!
//! It is written after the interface's description and what a real server answers to clients: `Status` objects with their
//! reasons, optimistic concurrency by `resourceVersion`, immutable secrets. Clients written in Go send objects in Protobuf,
//! which it understands; its answers are JSON, which they understand.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::faulty::{FaultyServer, Reply, Request};
use crate::{Sandbox, Tls};

/// The one namespace that there is.
pub const NAMESPACE: &str = "demo";
/// A token of somebody who may do everything.
pub const ADMIN: &str = "token-of-the-administrator";
/// A token of a service account that may read secrets.
pub const READER: &str = "token-of-a-reader";
/// A token of a service account that may do nothing.
pub const NOBODY: &str = "token-of-nobody";

type Secrets = BTreeMap<(String, String), Value>;

/// A running double.
#[derive(Debug)]
pub struct Kubernetes {
    server: FaultyServer,
    authority: PathBuf,
    secrets: Arc<Mutex<Secrets>>,
    busy: Arc<AtomicU32>,
}

impl Kubernetes {
    /// Listens on a free port of 127.0.0.1 with TLS, by a certificate for `names`, as OpenSSL writes them. OpenSSL must be
    /// there. The certificate's authority is in `sandbox`.
    ///
    /// # Panics
    ///
    /// If OpenSSL fails.
    pub fn start(sandbox: &Sandbox, names: &str) -> Self {
        let tls = Tls::for_names(sandbox, names);
        Self::with(tls)
    }

    /// As [`start`](Self::start), and only for clients with a certificate by the same authority, who may do everything.
    ///
    /// # Panics
    ///
    /// If OpenSSL fails.
    pub fn start_for_certificates(sandbox: &Sandbox) -> Self {
        Self::with(Tls::for_names(sandbox, "IP:127.0.0.1").with_clients())
    }

    fn with(tls: Tls) -> Self {
        let secrets: Arc<Mutex<Secrets>> = Arc::default();
        let busy: Arc<AtomicU32> = Arc::default();
        let left = Arc::clone(&busy);
        let (state, certificates) = (Arc::clone(&secrets), tls.demands_certificates);
        let answer = move |request: &Request| {
            let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            if taken.is_ok() {
                let message = "Too many requests, please try again later.";
                return status(
                    429,
                    "TooManyRequests",
                    message,
                    &json!({"retryAfterSeconds": 1}),
                )
                .with("retry-after", 1);
            }
            let who = match certificates {
                true => Some("kubernetes-admin"),
                false => user(request),
            };
            let mut secrets = state.lock().unwrap_or_else(PoisonError::into_inner);
            answer(&mut secrets, request, who)
        };
        Self {
            server: FaultyServer::start_on("127.0.0.1:0", Some(tls.config), answer),
            authority: tls.authority,
            secrets,
            busy,
        }
    }

    /// `https://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("https://{}", self.server.address())
    }

    /// The certificate that stands for the server's.
    pub fn authority(&self) -> &PathBuf {
        &self.authority
    }

    /// A kubeconfig whose one user is this, in YAML's flow form: `{token: …}`.
    pub fn kubeconfig(&self, user: &str) -> String {
        let (url, authority) = (self.url(), self.authority.display());
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters:\n- name: double\n  cluster:\n    server: {url}\n    certificate-authority: {authority}\n\
             contexts:\n- name: test\n  context: {{cluster: double, user: ci}}\n\
             users:\n- name: ci\n  user: {user}\n"
        )
    }

    /// Refuses the next requests, as a server that is asked too often.
    pub fn throttle(&self, requests: u32) {
        self.busy.store(requests, Ordering::SeqCst);
    }

    /// A member of a secret.
    pub fn member(&self, name: &str, member: &str) -> Option<Vec<u8>> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = secrets.get(&(NAMESPACE.to_owned(), name.to_owned()))?;
        STANDARD.decode(secret["data"][member].as_str()?).ok()
    }

    /// Changes a secret behind everybody's back; `null` takes it away.
    pub fn change(&self, name: &str, change: impl FnOnce(Value) -> Value) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (NAMESPACE.to_owned(), name.to_owned());
        let new = change(secrets.remove(&key).unwrap_or_else(|| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {"name": name, "namespace": NAMESPACE, "resourceVersion": "1"}, "data": {},
            })
        }));
        if !new.is_null() {
            secrets.insert(key, new);
        }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }
}

/// Who a request is of.
fn user(request: &Request) -> Option<&str> {
    let name = match request.header("authorization")?.split_once(' ')? {
        ("Bearer", ADMIN) => "kubernetes-admin",
        ("Bearer", READER) => "system:serviceaccount:demo:reader",
        ("Bearer", NOBODY) => "system:serviceaccount:demo:nobody",
        ("Basic", pair) if STANDARD.decode(pair).ok()? == b"admin:hunter2" => "kubernetes-admin",
        _ => return None,
    };
    match (name, request.header("impersonate-user")) {
        ("kubernetes-admin", Some(other)) => Some(other),
        _ => Some(name),
    }
}

fn answer(secrets: &mut Secrets, request: &Request, user: Option<&str>) -> Reply {
    let Some(user) = user else {
        return status(401, "Unauthorized", "Unauthorized", &json!({}));
    };
    let path = request.path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (namespace, name) = match parts[..] {
        ["version"] => {
            return good(
                200,
                &json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"}),
            );
        }
        ["api"] => return good(200, &json!({"kind": "APIVersions", "versions": ["v1"]})),
        ["apis"] => {
            return good(
                200,
                &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}),
            );
        }
        ["api", "v1", "namespaces", namespace, "secrets"] => (namespace, None),
        ["api", "v1", "namespaces", namespace, "secrets", name] => (namespace, Some(name)),
        _ => {
            return status(
                404,
                "NotFound",
                "the server could not find the requested resource",
                &json!({}),
            );
        }
    };
    let verb = match (request.method.as_str(), name) {
        ("GET", Some(_)) => "get",
        ("GET", None) => "list",
        ("POST", None) => "create",
        ("PUT", Some(_)) => "update",
        _ => {
            return status(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
                &json!({}),
            );
        }
    };
    let may = match user {
        "kubernetes-admin" => true,
        "system:serviceaccount:demo:reader" => verb == "get" && namespace == NAMESPACE,
        _ => false,
    };
    if !may {
        let which = name.map_or_else(|| "secrets".to_owned(), |name| format!("secrets {name:?}"));
        let message = format!(
            "{which} is forbidden: User {user:?} cannot {verb} resource \"secrets\" in API group \"\" in the namespace {namespace:?}"
        );
        return status(
            403,
            "Forbidden",
            &message,
            &json!({"name": name, "kind": "secrets"}),
        );
    }
    let missing = |name: &str| {
        status(
            404,
            "NotFound",
            &format!("secrets {name:?} not found"),
            &json!({"name": name, "kind": "secrets"}),
        )
    };
    let sent = match request.body.is_empty() {
        true => Value::Null,
        false => match object(&request.body) {
            Some(object) => object,
            None => {
                return status(
                    400,
                    "BadRequest",
                    "the object provided is unrecognized",
                    &json!({}),
                );
            }
        },
    };
    match (verb, name) {
        ("get", Some(name)) => match secrets.get(&(namespace.to_owned(), name.to_owned())) {
            Some(secret) => good(200, secret),
            None => missing(name),
        },
        ("create", _) if namespace != NAMESPACE => {
            let message = format!("namespaces {namespace:?} not found");
            status(
                404,
                "NotFound",
                &message,
                &json!({"name": namespace, "kind": "namespaces"}),
            )
        }
        ("create", _) => {
            let name = sent["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let key = (namespace.to_owned(), name.clone());
            if secrets.contains_key(&key) {
                let message = format!("secrets {name:?} already exists");
                return status(
                    409,
                    "AlreadyExists",
                    &message,
                    &json!({"name": name, "kind": "secrets"}),
                );
            }
            let secret = kept(sent, namespace, 1);
            secrets.insert(key, secret.clone());
            good(201, &secret)
        }
        ("update", Some(name)) => {
            let key = (namespace.to_owned(), name.to_owned());
            let Some(old) = secrets.get(&key) else {
                return missing(name);
            };
            let version = &old["metadata"]["resourceVersion"];
            let given = &sent["metadata"]["resourceVersion"];
            if given.as_str().is_some_and(|given| !given.is_empty()) && given != version {
                let message = format!(
                    "Operation cannot be fulfilled on secrets {name:?}: the object has been modified; please apply your changes \
                     to the latest version and try again"
                );
                return status(
                    409,
                    "Conflict",
                    &message,
                    &json!({"name": name, "kind": "secrets"}),
                );
            }
            if old["immutable"] == true
                && (old["data"] != sent["data"] || sent["immutable"] != true)
            {
                let message = format!(
                    "Secret {name:?} is invalid: data: Forbidden: field is immutable when `immutable` is set"
                );
                return status(
                    422,
                    "Invalid",
                    &message,
                    &json!({"name": name, "kind": "Secret"}),
                );
            }
            let number: u64 = version
                .as_str()
                .and_then(|text| text.parse().ok())
                .unwrap_or(1);
            let secret = kept(sent, namespace, number + 1);
            secrets.insert(key, secret.clone());
            good(200, &secret)
        }
        _ => good(
            200,
            &json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}),
        ),
    }
}

/// What is kept of what was sent.
fn kept(mut secret: Value, namespace: &str, version: u64) -> Value {
    secret["apiVersion"] = json!("v1");
    secret["kind"] = json!("Secret");
    secret["metadata"]["namespace"] = json!(namespace);
    secret["metadata"]["resourceVersion"] = json!(version.to_string());
    secret["metadata"]["uid"] = json!("5e1f3c52-0f2f-4f5d-8f0e-6f0f3c9b2a11");
    secret["metadata"]["creationTimestamp"] = json!("2026-11-23T00:00:00Z");
    secret
}

fn good(status: u16, body: &Value) -> Reply {
    Reply::status(status)
        .with("content-type", "application/json")
        .body(body.to_string())
}

fn status(code: u16, reason: &str, message: &str, details: &Value) -> Reply {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason,
        "details": details, "code": code,
    });
    good(code, &status)
}

/// An object in JSON, or a secret in Protobuf: `k8s\0`, then a `runtime.Unknown` around it.
fn object(body: &[u8]) -> Option<Value> {
    let Some(unknown) = body.strip_prefix(b"k8s\0") else {
        return serde_json::from_slice(body).ok();
    };
    // core/v1 Secret: metadata 1, data 2, type 3, stringData 4, immutable 5.
    let secret = fields(fields(unknown)?.bytes(2)?)?;
    let metadata = fields(secret.bytes(1)?)?;
    // ObjectMeta: name 1, resourceVersion 6.
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let mut object = json!({"metadata": {"name": text(metadata.bytes(1)?)?}});
    if let Some(version) = metadata.bytes(6).and_then(text) {
        object["metadata"]["resourceVersion"] = json!(version);
    }
    let mut data = Map::new();
    for (_, entry) in secret.0.iter().filter(|(number, _)| *number == 2) {
        let Field::Bytes(entry) = entry else {
            return None;
        };
        let entry = fields(entry)?;
        data.insert(
            text(entry.bytes(1)?)?,
            json!(STANDARD.encode(entry.bytes(2).unwrap_or_default())),
        );
    }
    object["data"] = Value::Object(data);
    object["type"] = json!(
        secret
            .bytes(3)
            .and_then(text)
            .filter(|kind| !kind.is_empty())
            .unwrap_or_else(|| "Opaque".to_owned())
    );
    if let Some((_, Field::Number(immutable))) = secret.0.iter().find(|(number, _)| *number == 5) {
        object["immutable"] = json!(*immutable == 1);
    }
    Some(object)
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

struct Fields<'a>(Vec<(u64, Field<'a>)>);

impl<'a> Fields<'a> {
    fn bytes(&self, number: u64) -> Option<&'a [u8]> {
        self.0.iter().find_map(|(have, field)| match field {
            Field::Bytes(bytes) if *have == number => Some(*bytes),
            _ => None,
        })
    }
}

/// A message of Protobuf, its fields in their order.
fn fields(mut bytes: &[u8]) -> Option<Fields<'_>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes)?;
        let field = match tag & 7 {
            0 => Field::Number(number(&mut bytes)?),
            2 => {
                let length = usize::try_from(number(&mut bytes)?).ok()?;
                let (field, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(field)
            }
            _ => return None,
        };
        all.push((tag >> 3, field));
    }
    Some(Fields(all))
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
