//! A double of Azure Key Vault, of Microsoft Entra and of managed identities, on loopback.
//!
//! It is written after Microsoft's description of the interface and the answers that its SDKs' tests have recorded:
//! challenge, tokens, keys, refusals. OpenSSL has the keys, so that no code of ours judges its own signatures. The texts for
//! a disabled key and for a digest of a wrong length are not from recordings.
//!
//! A key's name says what happens to it: see [`KEYS`] and [`REFUSED`].

mod entra;
mod keys;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::faulty::{FaultyServer, Reply, Request};
use crate::{Program, Sandbox, Tls};
use keys::Pair;

/// The tenant that the vault trusts.
pub const TENANT: &str = "08c1c649-bfdd-439e-8e5b-5ff31c72ce4e";
/// Another one.
pub const OTHER_TENANT: &str = "11111111-2222-4333-8444-555555555555";
/// The application with all permissions.
pub const APPLICATION: &str = "a59eaa16-0000-4000-8000-dca100533b89";
/// Its secret.
pub const SECRET: &str = "s3cret~value";
/// A secret of it that has expired.
pub const EXPIRED_SECRET: &str = "s3cret~expired";
/// What App Service asks for.
pub const IDENTITY_HEADER: &str = "a header of App Service";
/// The object that each token is of.
pub const OBJECT: &str = "f4650a81-f57d-4fb3-870c-e84fe859f68a";

/// The keys: name, type, and curve or size.
pub const KEYS: [(&str, &str, &str); 17] = [
    ("ec256", "EC", "P-256"),
    ("ec384", "EC", "P-384"),
    ("ec521", "EC", "P-521"),
    ("ec256k", "EC", "P-256K"),
    ("echsm", "EC-HSM", "P-256"),
    ("rsa2048", "RSA", "2048"),
    ("rsa3072", "RSA", "3072"),
    ("rsa4096", "RSA", "4096"),
    ("rsahsm", "RSA-HSM", "2048"),
    ("oct", "oct-HSM", ""),
    // Its permitted operations are `verify` alone.
    ("nosign", "EC", "P-256"),
    ("disabled", "EC", "P-256"),
    // The vault's access policy gives nobody the right to sign with it.
    ("policy-sign", "EC", "P-256"),
    // As little to wrap with it, or to unwrap.
    ("policy-wrap", "RSA", "2048"),
    ("policy-unwrap", "RSA", "2048"),
    // As the story's user called them.
    ("sigstore-azure-test-key", "RSA", "2048"),
    ("sigstore-azure-test-key-ec", "EC", "P-256"),
];

/// Keys that are refused whatever one does, by the code of the refusal.
pub const REFUSED: [(&str, &str); 4] = [
    ("policy", "ForbiddenByPolicy"),
    ("rbac", "ForbiddenByRbac"),
    ("firewall", "ForbiddenByFirewall"),
    ("connection", "ForbiddenByConnection"),
];

/// A running double.
#[derive(Debug)]
pub struct KeyVault {
    server: FaultyServer,
    machine: FaultyServer,
    authority: PathBuf,
    state: Arc<State>,
}

/// What the double knows.
#[derive(Debug)]
struct State {
    sandbox: Sandbox,
    keys: Mutex<HashMap<String, Arc<Pair>>>,
    tokens: Mutex<Vec<String>>,
    throttled: Mutex<u32>,
}

impl KeyVault {
    /// Listens on free ports of 127.0.0.1. OpenSSL must be there.
    ///
    /// # Panics
    ///
    /// If OpenSSL fails.
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0", "127.0.0.1:0", "DNS:localhost,IP:127.0.0.1")
    }

    /// Vault and Entra at one address, with a certificate for these names, and the metadata service at another.
    ///
    /// # Panics
    ///
    /// If OpenSSL fails, or an address is taken.
    pub fn start_at(address: &str, metadata: &str, names: &str) -> Self {
        let state = Arc::new(State {
            sandbox: Sandbox::new(),
            keys: Mutex::default(),
            tokens: Mutex::default(),
            throttled: Mutex::default(),
        });
        let tls = Tls::for_names(&state.sandbox, names);
        let (cloud, machine) = (Arc::clone(&state), Arc::clone(&state));
        Self {
            server: FaultyServer::start_on(address, Some(tls.config), move |request| {
                let is = |part: &str| request.path.contains(part);
                if is("/.well-known/") {
                    cloud.discovery(request)
                } else if is("/oauth2/") {
                    cloud.token(request)
                } else {
                    cloud.vault(request)
                }
            }),
            machine: FaultyServer::start_on(metadata, None, move |request| {
                machine.managed_identity(request)
            }),
            authority: tls.authority,
            state,
        }
    }

    /// `localhost:PORT`, where vault and Entra are.
    pub fn host(&self) -> String {
        let (_, port) = self.server.address().rsplit_once(':').expect("HOST:PORT");
        format!("localhost:{port}")
    }

    /// `http://127.0.0.1:PORT`, where managed identities are.
    pub fn machine(&self) -> String {
        format!("http://{}", self.machine.address())
    }

    /// The certificate that stands for the server's.
    pub fn authority(&self) -> &PathBuf {
        &self.authority
    }

    /// `program`, which believes the server's certificate and looks for Entra and managed identities here.
    pub fn beside(&self, program: Program) -> Program {
        program
            .env("SSL_CERT_FILE", &self.authority)
            .env("AZURE_AUTHORITY_HOST", format!("https://{}", self.host()))
            .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")
    }

    /// [`beside`](Self::beside), with the application that has all permissions.
    pub fn logged_in(&self, program: Program) -> Program {
        self.beside(program)
            .env("AZURE_TENANT_ID", TENANT)
            .env("AZURE_CLIENT_ID", APPLICATION)
            .env("AZURE_CLIENT_SECRET", SECRET)
    }

    /// Refuses the next requests with a token, as a vault that is asked too often.
    pub fn throttle(&self, requests: u32) {
        *locked(&self.state.throttled) = requests;
    }

    /// A token for the vault, of a user of the Azure CLI.
    pub fn token_of_a_user(&self, tenant: &str) -> String {
        self.state.issue(json!({
            "aud": "https://vault.azure.net", "iss": format!("https://sts.windows.net/{tenant}/"),
            "appid": "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "oid": OBJECT, "tid": tenant,
            "upn": "toddy@example.com", "exp": 4_102_444_800_u64,
        }))
    }

    /// The requests so far: method and path with its query.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Entra takes this certificate as the application's.
    pub fn trust_certificate(&self, pem: &str) {
        self.state.sandbox.write("client.pem", pem);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(status: u16, body: &Value) -> Reply {
    Reply::status(status)
        .with("content-type", "application/json; charset=utf-8")
        .with("cache-control", "no-cache")
        .body(body.to_string())
}
