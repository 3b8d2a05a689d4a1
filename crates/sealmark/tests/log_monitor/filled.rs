//! A log's directory with many entries, made by the engine itself, as `serve` would make it one by one.

use std::path::Path;
use std::sync::Arc;

use sealmark_keys::PrivateKey;
use sealmark_log::{Appended, Entry, LocalSigner, Log, Settings};
use sealmark_tlog::NoteSigner;
use tokio::task::JoinSet;

/// Entries that wait to be sequenced at the same time.
const AT_ONCE: usize = 2000;

/// Appends to the Rekor v2 of the directory that `serve` has made before and is not using now.
pub(crate) fn fill(directory: &Path, host: &str, bodies: impl Iterator<Item = Vec<u8>>) {
    let pem = std::fs::read(directory.join("keys/v2.pem")).expect("serve has made keys");
    let key = PrivateKey::from_pem(&pem, || {
        Err::<zeroize::Zeroizing<Vec<u8>>, _>(sealmark_keys::Error::WrongPassword)
    })
    .expect("the keys are not encrypted");
    let note = NoteSigner::log(host, key).expect("it is a name");
    let settings = Settings::with_signer("v2", LocalSigner::new(host, note, Vec::new()));
    let log = Log::open_directory(&directory.join("log"), settings).expect("serve has stopped");
    let log = Arc::new(log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("there are threads");
    runtime.block_on(async {
        let mut waiting = JoinSet::new();
        for leaf in bodies {
            if waiting.len() >= AT_ONCE {
                waiting.join_next().await;
            }
            let log = log.clone();
            waiting.spawn(async move {
                let entry = Entry {
                    leaf,
                    keys: Vec::new(),
                    extra: Vec::new(),
                };
                let appended = log.append("v2", entry).await.expect("the disk is not full");
                assert!(
                    matches!(appended, Appended::New(_)),
                    "every entry is another"
                );
            });
        }
        while let Some(done) = waiting.join_next().await {
            done.expect("appending does not panic");
        }
    });
    drop(runtime);
    let log = Arc::into_inner(log).expect("every task is done");
    log.close();
}
