//! A TUF repository that is made here, on a server that may misbehave, and its users: our client, and beside it the
//! reference client. The signing is the tests' own, so that a fault in the program's canonical form cannot hide itself.

#![allow(dead_code, reason = "every test file uses another part")]
#![allow(clippy::unwrap_used, reason = "only tests call this")]

use std::collections::BTreeMap;
use std::rc::Rc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Algorithm, KeyType, PrivateKey};
use serde_json::{Value, json};

/// What Python's `quote` leaves as it is.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub(crate) fn quote(name: &str) -> String {
    utf8_percent_encode(name, QUOTED).to_string()
}

/// A time so many days from now, as metadata writes it.
pub(crate) fn in_days(days: i64) -> String {
    let time = jiff::Timestamp::now().as_second() + days * 86_400;
    jiff::Timestamp::from_second(time).unwrap().to_string()
}

/// A key as metadata has it, and what signs with it.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) json: Value,
    sign: Rc<Sign>,
}

type Sign = dyn Fn(&[u8]) -> Vec<u8>;

impl Key {
    /// Ed25519, whose signatures the reference client checks without compiled code.
    pub(crate) fn new() -> Self {
        let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
        let spki = key.public_key().spki_der().to_vec();
        let public = hex::encode(&spki[spki.len() - 32..]);
        Self::with("ed25519", "ed25519", &public, move |message| {
            key.sign(message).unwrap()
        })
    }

    /// Another algorithm, signing as the key does by itself.
    pub(crate) fn of(algorithm: Algorithm, keytype: &str, scheme: &str) -> Self {
        let key = PrivateKey::generate(algorithm).unwrap();
        assert!(key.key_type() != KeyType::Ed25519, "that is Key::new");
        let public = key.public_key().to_pem();
        Self::with(keytype, scheme, &public, move |message| {
            key.sign(message).unwrap()
        })
    }

    pub(crate) fn with(
        keytype: &str,
        scheme: &str,
        public: &str,
        sign: impl Fn(&[u8]) -> Vec<u8> + 'static,
    ) -> Self {
        let json = json!({"keytype": keytype, "scheme": scheme, "keyval": {"public": public}});
        Self {
            id: Digest::sha256(canonical(&json).as_bytes()).hex(),
            json,
            sign: Rc::new(sign),
        }
    }

    /// The same key by another id.
    pub(crate) fn called(&self, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..self.clone()
        }
    }

    fn signature(&self, message: &[u8]) -> Value {
        json!({"keyid": self.id, "sig": hex::encode((self.sign)(message))})
    }
}

/// serde_json's maps are sorted, and line feeds are the only characters here that canonical JSON leaves bare.
fn canonical(value: &Value) -> String {
    value.to_string().replace("\\n", "\n")
}

pub(crate) const TOP: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// What a repository's maintainers have: metadata to be signed, the keys, and what is published of it.
pub(crate) struct Repository {
    /// What is signed, by role.
    pub(crate) roles: BTreeMap<String, Value>,
    /// Who signs.
    pub(crate) signers: BTreeMap<String, Vec<Key>>,
    /// Whether timestamp and snapshot say lengths and hashes.
    pub(crate) described: bool,
    /// The files on the server, by path.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Repository {
    /// Version 1 of everything, one key for each role, consistent snapshots, published.
    pub(crate) fn new() -> Self {
        let mut roles = BTreeMap::new();
        let empty = json!({"keys": {}, "roles": {}, "consistent_snapshot": true});
        for (role, body) in [
            ("root", empty),
            ("timestamp", json!({"meta": {}})),
            ("snapshot", json!({"meta": {}})),
            ("targets", json!({"targets": {}})),
        ] {
            roles.insert(role.to_owned(), with_head(role, body));
        }
        let mut repository = Self {
            roles,
            signers: BTreeMap::new(),
            described: false,
            files: BTreeMap::new(),
        };
        for role in TOP {
            repository.set_keys(role, &[Key::new()], 1);
        }
        repository.publish_root();
        repository.publish();
        repository
    }

    pub(crate) fn role(&mut self, role: &str) -> &mut Value {
        self.roles.get_mut(role).unwrap()
    }

    pub(crate) fn version(&self, role: &str) -> u64 {
        self.roles[role]["version"].as_u64().unwrap()
    }

    pub(crate) fn bump(&mut self, role: &str) -> &mut Self {
        let next = self.version(role) + 1;
        self.set_version(role, next)
    }

    pub(crate) fn set_version(&mut self, role: &str, version: u64) -> &mut Self {
        self.role(role)["version"] = json!(version);
        self
    }

    pub(crate) fn expires(&mut self, role: &str, days: i64) -> &mut Self {
        self.role(role)["expires"] = json!(in_days(days));
        self
    }

    /// Gives a top-level role these keys, in root and to sign with.
    pub(crate) fn set_keys(&mut self, role: &str, keys: &[Key], threshold: u64) -> &mut Self {
        let root = self.role("root");
        for key in keys {
            root["keys"][&key.id] = key.json.clone();
        }
        let ids: Vec<&String> = keys.iter().map(|key| &key.id).collect();
        root["roles"][role] = json!({"keyids": ids, "threshold": threshold});
        self.signers.insert(role.to_owned(), keys.to_vec());
        self
    }

    /// Publishes the root under its version, signed by these too.
    pub(crate) fn publish_root_signed_by(&mut self, others: &[Key]) -> &mut Self {
        let mut signers = self.signers["root"].clone();
        for other in others {
            if signers.iter().all(|signer| signer.id != other.id) {
                signers.push(other.clone());
            }
        }
        let name = format!("metadata/{}.root.json", self.version("root"));
        let json = sign(&self.roles["root"], &signers);
        self.files.insert(name, json);
        self
    }

    pub(crate) fn publish_root(&mut self) -> &mut Self {
        self.publish_root_signed_by(&[])
    }

    /// The next root, as it is now, signed by the present keys and these.
    pub(crate) fn next_root(&mut self, others: &[Key]) -> &mut Self {
        self.bump("root").publish_root_signed_by(others)
    }

    pub(crate) fn root_json(&self, version: u64) -> Vec<u8> {
        self.files[&format!("metadata/{version}.root.json")].clone()
    }

    /// Publishes all but the root: each described by the one above.
    pub(crate) fn publish(&mut self) -> &mut Self {
        let targets: Vec<String> = self.roles.keys().cloned().collect();
        for role in targets
            .iter()
            .filter(|role| !["root", "snapshot", "timestamp"].contains(&role.as_str()))
        {
            self.serve(role);
            self.describe(role, "snapshot");
        }
        self.publish_snapshot()
    }

    /// Publishes snapshot and timestamp, as they are now.
    pub(crate) fn publish_snapshot(&mut self) -> &mut Self {
        self.serve("snapshot");
        self.describe("snapshot", "timestamp");
        self.serve("timestamp")
    }

    pub(crate) fn file_name(&self, role: &str) -> String {
        let name = quote(role);
        let consistent = self.roles["root"]["consistent_snapshot"] == json!(true);
        match consistent && role != "timestamp" {
            true => format!("metadata/{}.{name}.json", self.version(role)),
            false => format!("metadata/{name}.json"),
        }
    }

    /// Signs a role's metadata and puts it on the server.
    pub(crate) fn serve(&mut self, role: &str) -> &mut Self {
        let json = sign(&self.roles[role], &self.signers[role]);
        self.files.insert(self.file_name(role), json);
        self
    }

    /// Says in `by` what the server has of `role`.
    pub(crate) fn describe(&mut self, role: &str, by: &str) -> &mut Self {
        let mut meta = json!({"version": self.version(role)});
        if self.described {
            let content = &self.files[&self.file_name(role)];
            meta["length"] = json!(content.len());
            meta["hashes"] = json!({"sha256": Digest::sha256(content).hex()});
        }
        self.role(by)["meta"][format!("{role}.json")] = meta;
        self
    }

    /// Changes the bytes of a file on the server.
    pub(crate) fn tamper(&mut self, file: &str, change: impl FnOnce(&str) -> String) -> &mut Self {
        let content = String::from_utf8(self.files[file].clone()).unwrap();
        let changed = change(&content);
        assert_ne!(content, changed, "nothing was changed in {file}");
        self.files.insert(file.to_owned(), changed.into_bytes());
        self
    }

    /// A target, listed by `role` and on the server under all its names.
    pub(crate) fn target(&mut self, role: &str, path: &str, content: &[u8]) -> &mut Self {
        let sha256 = Digest::sha256(content).hex();
        let sha512 = Digest::of(HashAlgorithm::Sha512, content).hex();
        self.role(role)["targets"][path] =
            json!({"length": content.len(), "hashes": {"sha256": sha256, "sha512": sha512}});
        let (directory, name) = match path.rsplit_once('/') {
            Some((directory, name)) => (format!("{directory}/"), name),
            None => (String::new(), path),
        };
        for name in [
            name.to_owned(),
            format!("{sha256}.{name}"),
            format!("{sha512}.{name}"),
        ] {
            self.files
                .insert(format!("targets/{directory}{name}"), content.to_vec());
        }
        self
    }

    /// Delegates from `from` to the new role `name` with a key of its own; `rest` are its paths and the like.
    pub(crate) fn delegate(&mut self, from: &str, name: &str, rest: Value) -> Key {
        let key = Key::new();
        self.delegate_to(from, name, rest, std::slice::from_ref(&key), 1);
        key
    }

    pub(crate) fn delegate_to(
        &mut self,
        from: &str,
        name: &str,
        mut rest: Value,
        keys: &[Key],
        threshold: u64,
    ) -> &mut Self {
        let delegations = &mut self.role(from)["delegations"];
        if delegations.is_null() {
            *delegations = json!({"keys": {}, "roles": []});
        }
        for key in keys {
            delegations["keys"][&key.id] = key.json.clone();
        }
        rest["name"] = json!(name);
        rest["keyids"] = json!(keys.iter().map(|key| &key.id).collect::<Vec<_>>());
        rest["threshold"] = json!(threshold);
        if rest["terminating"].is_null() {
            rest["terminating"] = json!(false);
        }
        delegations["roles"].as_array_mut().unwrap().push(rest);
        if !self.roles.contains_key(name) {
            self.add_targets_role(name, keys);
        }
        self
    }

    /// A role without targets.
    pub(crate) fn add_targets_role(&mut self, name: &str, keys: &[Key]) -> &mut Self {
        let body = with_head("targets", json!({"targets": {}}));
        self.roles.insert(name.to_owned(), body);
        self.signers.insert(name.to_owned(), keys.to_vec());
        self
    }
}

fn with_head(kind: &str, mut body: Value) -> Value {
    body["_type"] = json!(kind);
    body["spec_version"] = json!("1.0.31");
    body["version"] = json!(1);
    body["expires"] = json!(in_days(10));
    body
}

pub(crate) fn sign(signed: &Value, signers: &[Key]) -> Vec<u8> {
    let message = canonical(signed);
    let signatures: Vec<Value> = signers
        .iter()
        .map(|key| key.signature(message.as_bytes()))
        .collect();
    json!({"signatures": signatures, "signed": signed})
        .to_string()
        .into_bytes()
}
