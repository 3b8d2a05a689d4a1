//! Services that run while a test does.

use std::path::Path;

use axum::Router;
use reqwest::{Client, Response, StatusCode};
use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use sealmark_server::listen;
use sealmark_server::witness::{Options, Witness};
use sealmark_tlog::{Checkpoint, Hash, NoteSigner};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The key of a log.
pub(crate) fn log_key(name: &str, algorithm: Algorithm) -> NoteSigner {
    let key = PrivateKey::generate(algorithm).expect("the engine makes keys");
    NoteSigner::log(name, key).expect("the name is one")
}

/// A signed checkpoint.
pub(crate) fn signed(origin: &str, size: u64, root: Hash, by: &NoteSigner) -> String {
    let checkpoint = Checkpoint {
        origin: origin.to_owned(),
        size,
        root,
        extensions: Vec::new(),
    };
    let note = checkpoint.sign(0, std::slice::from_ref(by));
    note.expect("it can be signed").to_string()
}

/// The witness in this directory, which trusts these logs.
pub(crate) fn witness(directory: &Path, logs: &[&NoteSigner]) -> Witness {
    let options = Options {
        name: "witness.example".to_owned(),
        logs: logs
            .iter()
            .map(|log| log.verifier_key().expect("it has one"))
            .collect(),
        password: None,
    };
    Witness::open(directory, options).expect("the witness opens")
}

/// A router behind a port of loopback.
pub(crate) struct Running {
    pub(crate) url: String,
    client: Client,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("there is a port");
        let address = listener.local_addr().expect("it has an address");
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(listen::serve(router, listener, async {
            let _ = stopped.await;
        }));
        Self {
            url: format!("http://{address}"),
            client: Client::new(),
            stop,
            served,
        }
    }

    pub(crate) async fn close(self) {
        drop(self.client);
        let _ = self.stop.send(());
        self.served.await.expect("it ends in order");
    }

    pub(crate) async fn post(&self, path: &str, body: String) -> Response {
        let request = self.client.post(format!("{}{path}", self.url)).body(body);
        request.send().await.expect("it answers")
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = self.client.get(format!("{}{path}", self.url));
        let response = request.send().await.expect("it answers");
        let status = response.status();
        (status, response.text().await.expect("it answers whole"))
    }

    /// The key of the witness in this directory.
    pub(crate) fn witness_key(&self, directory: &tempfile::TempDir) -> PublicKey {
        let path = directory.path().join("keys/witness.pub");
        let pem = std::fs::read(path).expect("the key is there");
        PublicKey::from_pem(&pem).expect("it is a key")
    }
}
