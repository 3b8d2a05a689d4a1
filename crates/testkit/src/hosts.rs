//! Doubles of what GitLab and GitHub keep for a project's jobs, on loopback: written after the descriptions of their
//! interfaces, and what cosign makes of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::digest::consts::U24;
use blake2::{Blake2b, Digest as _};
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::consts::U10;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde_json::{Value, json};

use crate::faulty::{FaultyServer, Reply, Request};

/// The token that may do everything.
pub const TOKEN: &str = "glpat-of-a-maintainer";
/// A token that may do nothing.
pub const GUEST: &str = "glpat-of-a-guest";
/// The project that there is, by its path and by its id.
pub const PROJECT: [&str; 2] = ["acme%2Fapp", "4711"];

type Variables = BTreeMap<String, Value>;

/// The variables of one project, over GitLab's interface.
#[derive(Debug)]
pub struct GitLab {
    server: FaultyServer,
    variables: Arc<Mutex<Variables>>,
}

impl GitLab {
    /// Listens on a free port of 127.0.0.1.
    pub fn start() -> Self {
        let variables: Arc<Mutex<Variables>> = Arc::default();
        let state = Arc::clone(&variables);
        let server = FaultyServer::start(move |request| {
            gitlab(
                &mut state.lock().unwrap_or_else(PoisonError::into_inner),
                request,
            )
        });
        Self { server, variables }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// A variable's value.
    pub fn variable(&self, name: &str) -> Option<String> {
        let variables = self
            .variables
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Some(variables.get(name)?["value"].as_str()?.to_owned())
    }

    /// Sets a variable behind everybody's back; `None` takes it away.
    pub fn set(&self, name: &str, variable: Option<Value>) {
        let mut variables = self
            .variables
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match variable {
            Some(variable) => variables.insert(name.to_owned(), variable),
            None => variables.remove(name),
        };
    }
}

fn message(status: u16, message: &Value) -> Reply {
    answer(status, &json!({"message": message}))
}

fn answer(status: u16, body: &Value) -> Reply {
    Reply::status(status)
        .with("content-type", "application/json")
        .body(body.to_string())
}

fn gitlab(variables: &mut Variables, request: &Request) -> Reply {
    let token = request.header("private-token");
    if !matches!(token, Some(TOKEN | GUEST)) {
        return message(401, &json!("401 Unauthorized"));
    }
    let path = request.path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    // Go's client asks the root for its rate limits.
    let ["api", "v4", kind, project, ref below @ ..] = parts[..] else {
        return message(404, &json!("404 Not Found"));
    };
    match (kind, PROJECT.contains(&project)) {
        ("projects", true) => {}
        ("groups", _) if project == "acme" => {}
        ("groups", _) => return message(404, &json!("404 Group Not Found")),
        _ => return message(404, &json!("404 Project Not Found")),
    }
    let name = match below {
        [] => return answer(200, &json!({"id": 4711})),
        ["variables"] => None,
        ["variables", name] => Some(*name),
        _ => return message(404, &json!("404 Not Found")),
    };
    if token == Some(GUEST) {
        return message(403, &json!("403 Forbidden"));
    }
    let sent: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match (request.method.as_str(), name) {
        ("GET", Some(name)) => match variables.get(name) {
            Some(variable) => answer(200, variable),
            None => message(404, &json!("404 Variable Not Found")),
        },
        ("PUT", Some(name)) => match variables.get_mut(name) {
            Some(variable) => {
                variable["value"] = sent["value"].clone();
                answer(200, variable)
            }
            None => message(404, &json!("404 Variable Not Found")),
        },
        ("POST", None) => {
            let name = sent["key"].as_str().unwrap_or_default().to_owned();
            if variables.contains_key(&name) {
                let taken = format!("({name}) has already been taken");
                return message(400, &json!({"key": [taken]}));
            }
            variables.insert(name, sent.clone());
            answer(201, &sent)
        }
        _ => message(405, &json!("405 Method Not Allowed")),
    }
}

/// The Actions secrets of `acme/app`, over GitHub's interface for Enterprise servers.
pub struct GitHub {
    server: FaultyServer,
    secrets: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    private: PrivateKey,
    public: [u8; 32],
}

impl GitHub {
    /// Listens on a free port of 127.0.0.1, with a key of its own for secrets.
    ///
    /// # Panics
    ///
    /// If there is no randomness.
    pub fn start() -> Self {
        let private = PrivateKey::generate(&X25519).expect("there is randomness");
        let public = private.compute_public_key().expect("it is a key");
        let public: [u8; 32] = public
            .as_ref()
            .try_into()
            .expect("a key of X25519 has 32 bytes");
        let secrets: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let state = Arc::clone(&secrets);
        let server = FaultyServer::start(move |request| {
            let mut secrets = state.lock().unwrap_or_else(PoisonError::into_inner);
            github(&mut secrets, &public, request)
        });
        Self {
            server,
            secrets,
            private,
            public,
        }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// What a workflow would get of a secret; `None` if it is not there or was not sealed for this repository.
    ///
    /// <https://doc.libsodium.org/public-key_cryptography/sealed_boxes>, read backwards.
    pub fn secret(&self, name: &str) -> Option<Vec<u8>> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, boxed) = secrets.get(name)?.split_at_checked(32)?;
        let (tag, ciphertext) = boxed.split_at_checked(16)?;
        let key = agree(
            &self.private,
            UnparsedPublicKey::new(&X25519, sender),
            (),
            |shared| {
                let shared: [u8; 32] = shared.try_into().map_err(|_| ())?;
                Ok(salsa20::hsalsa::<U10>((&shared).into(), &[0; 16].into()))
            },
        );
        let nonce = Blake2b::<U24>::new()
            .chain_update(sender)
            .chain_update(self.public)
            .finalize();
        let nonce: [u8; 24] = nonce.into();
        let mut stream = XSalsa20::new(&key.ok()?, (&nonce).into());
        let mut mac_key = [0; 32];
        stream.apply_keystream(&mut mac_key);
        let mac: [u8; 16] = Poly1305::new((&mac_key).into())
            .compute_unpadded(ciphertext)
            .into();
        let mut plain = ciphertext.to_vec();
        stream.apply_keystream(&mut plain);
        (mac == tag).then_some(plain)
    }
}

fn github(
    secrets: &mut BTreeMap<String, Vec<u8>>,
    recipient: &[u8; 32],
    request: &Request,
) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return message(401, &json!("Bad credentials"));
    }
    let path = request.path.split('?').next().unwrap_or_default();
    let name = match path.strip_prefix("/api/v3/repos/acme/app/actions/secrets/") {
        Some("public-key") => {
            return answer(
                200,
                &json!({"key_id": "568250167242549743", "key": STANDARD.encode(recipient)}),
            );
        }
        Some(name) => name,
        None => return message(404, &json!("Not Found")),
    };
    let there = secrets.contains_key(name);
    match (request.method.as_str(), there) {
        ("GET", true) => answer(
            200,
            &json!({"name": name, "created_at": "2026-11-23T00:00:00Z", "updated_at": "2026-11-23T00:00:00Z"}),
        ),
        ("GET", false) => message(404, &json!("Not Found")),
        ("PUT", _) => {
            let sent: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let value = sent["encrypted_value"]
                .as_str()
                .and_then(|text| STANDARD.decode(text).ok());
            let (Some(value), Some("568250167242549743")) = (value, sent["key_id"].as_str()) else {
                return message(422, &json!("Validation Failed"));
            };
            secrets.insert(name.to_owned(), value);
            Reply::status(if there { 204 } else { 201 })
        }
        _ => message(405, &json!("Method Not Allowed")),
    }
}
