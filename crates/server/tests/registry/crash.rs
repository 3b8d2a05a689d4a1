//! The power fails, over and over, while several clients push.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealmark_formats::Digest;
use sealmark_server::registry;
use serde_json::json;
use tokio::net::TcpListener;

use crate::service::{Client, MANIFEST, image};

const ROUNDS: u64 = 20;
const WRITERS: u64 = 4;
const DIRECTORY: &str = "SEALMARK_CRASH_DIRECTORY";
const READY: &str = "ready at ";

/// Not a test: what the child process of the test below runs.
#[tokio::test]
#[ignore = "runs in a child process, which it leaves only by being killed"]
async fn serve_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\n{READY}{}", listener.local_addr().unwrap());
    registry::serve(Path::new(&directory), listener, std::future::pending())
        .await
        .unwrap();
}

struct Killable(Child);

impl Drop for Killable {
    fn drop(&mut self) {
        // SIGKILL on Unix: nothing is flushed, nothing is tidied up.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(directory: &Path) -> (Killable, SocketAddr) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "crash::serve_until_killed",
        "--exact",
        "--ignored",
        "--nocapture",
    ]);
    command.env(DIRECTORY, directory).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let child = Killable(child);
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix(READY)?.parse().ok());
    (child, address.expect("the child serves"))
}

/// What clients were told. An operation is in `begun` from before it is sent, in the state after it is acknowledged.
#[derive(Default)]
struct Told {
    blobs: Vec<(String, Digest)>,
    manifests: Vec<(String, Digest)>,
    deleted: Vec<(String, Digest)>,
    /// For each repository: what the tag `moving` may name. The last one acknowledged, and those begun after it.
    moving: BTreeMap<String, Vec<Digest>>,
}

/// Pushes images, moves a tag to each and deletes some, until the registry no longer answers.
async fn write(client: Client, told: Arc<Mutex<Told>>, round: u64, writer: u64) -> Option<()> {
    let name = format!("crash/writer{writer}");
    for number in 0.. {
        let seed = format!("{round}/{writer}/{number} ");
        let layer = seed.repeat(1 + (number as usize * 7919) % 20_000);
        let digest = Digest::sha256(layer.as_bytes());
        let begun = client
            .request("POST", &format!("/v2/{name}/blobs/uploads/"))
            .send()
            .await
            .ok()?;
        let location = begun.headers().get("location")?.to_str().ok()?.to_owned();
        let half = layer.len() / 2;
        let patch = client
            .request("PATCH", &location)
            .body(layer[..half].to_owned())
            .send()
            .await
            .ok()?;
        assert_eq!(patch.status(), 202);
        let put = client.request("PUT", &format!("{location}?digest={digest}"));
        let put = put.body(layer[half..].to_owned()).send().await.ok()?;
        assert_eq!(put.status(), 201);
        told.lock()
            .unwrap()
            .blobs
            .push((name.clone(), digest.clone()));

        let config = Digest::sha256(b"{}");
        let path = format!("/v2/{name}/blobs/uploads/?digest={config}");
        assert_eq!(
            client
                .request("POST", &path)
                .body("{}")
                .send()
                .await
                .ok()?
                .status(),
            201
        );
        let mut manifest = image(&config, 2, &[(&digest, layer.len())]);
        manifest["subject"] = json!({"mediaType": MANIFEST, "digest": config, "size": 2});
        let manifest = manifest.to_string();
        let digest = Digest::sha256(manifest.as_bytes());
        told.lock()
            .unwrap()
            .moving
            .entry(name.clone())
            .or_default()
            .push(digest.clone());
        let put = client.request("PUT", &format!("/v2/{name}/manifests/moving"));
        let put = put
            .header("content-type", MANIFEST)
            .body(manifest)
            .send()
            .await
            .ok()?;
        assert_eq!(put.status(), 201);
        {
            let mut told = told.lock().unwrap();
            told.manifests.push((name.clone(), digest.clone()));
            told.moving.insert(name.clone(), vec![digest.clone()]);
        }
        if number % 4 == 2 {
            // The one before; the tag has moved on from it.
            let victim = {
                let mut told = told.lock().unwrap();
                let mine = |(repository, _): &(String, Digest)| *repository == name;
                let last = told.manifests.iter().rposition(mine)?;
                let victim = told.manifests[..last].iter().rposition(mine)?;
                told.manifests.remove(victim).1
            };
            let path = format!("/v2/{name}/manifests/{victim}");
            assert_eq!(
                client.request("DELETE", &path).send().await.ok()?.status(),
                202
            );
            told.lock().unwrap().deleted.push((name.clone(), victim));
        }
    }
    None
}

async fn check(client: &Client, told: &Mutex<Told>, from: (usize, usize, usize)) {
    let (blobs, manifests, deleted, moving) = {
        let told = told.lock().unwrap();
        let rest = |list: &[(String, Digest)], from: usize| list[from.min(list.len())..].to_vec();
        let (blobs, manifests) = (rest(&told.blobs, from.0), rest(&told.manifests, from.1));
        (
            blobs,
            manifests,
            rest(&told.deleted, from.2),
            told.moving.clone(),
        )
    };
    for (name, digest) in blobs {
        let blob = client.get(&format!("/v2/{name}/blobs/{digest}")).await;
        assert_eq!((blob.status, Digest::sha256(&blob.body)), (200, digest));
    }
    let mut referrers = BTreeMap::new();
    for (name, digest) in manifests {
        let manifest = client.get(&format!("/v2/{name}/manifests/{digest}")).await;
        assert_eq!(
            (manifest.status, Digest::sha256(&manifest.body)),
            (200, digest.clone())
        );
        if !referrers.contains_key(&name) {
            let path = format!("/v2/{name}/referrers/{}", Digest::sha256(b"{}"));
            referrers.insert(
                name.clone(),
                String::from_utf8(client.get(&path).await.body).unwrap(),
            );
        }
        assert!(
            referrers[&name].contains(&digest.to_string()),
            "the manifest refers to its subject"
        );
    }
    for (name, digest) in deleted {
        assert_eq!(
            client
                .get(&format!("/v2/{name}/manifests/{digest}"))
                .await
                .status,
            404
        );
    }
    for (name, allowed) in moving {
        let tagged = client.get(&format!("/v2/{name}/manifests/moving")).await;
        // Before the first acknowledgement the tag need not be there.
        if tagged.status == 404
            && told
                .lock()
                .unwrap()
                .manifests
                .iter()
                .all(|(other, _)| *other != name)
        {
            continue;
        }
        assert_eq!(tagged.status, 200, "{name}");
        assert!(
            allowed.contains(&Digest::sha256(&tagged.body)),
            "{name}: the tag names something stale"
        );
    }
}

/// Every file of content has the digest that it is named after.
fn check_content(directory: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += check_content(&path);
        } else {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!(Digest::sha256(&std::fs::read(&path).unwrap()).hex(), name);
            count += 1;
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let told = Arc::new(Mutex::new(Told::default()));
    for round in 0..ROUNDS {
        let (child, address) = spawn(directory.path());
        let seen = {
            let told = told.lock().unwrap();
            (told.blobs.len(), told.manifests.len(), told.deleted.len())
        };
        let writers: Vec<_> = (0..WRITERS)
            .map(|w| tokio::spawn(write(Client::new(address), told.clone(), round, w)))
            .collect();
        // Long enough for something to have been acknowledged, however slow the machine is, and then a moment more,
        // so that the end comes at another point of the work each time.
        let enough = seen.0 + 8 + round as usize;
        while told.lock().unwrap().blobs.len() < enough && writers.iter().any(|w| !w.is_finished())
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(round * 1_700 % 9_000)).await;
        drop(child);
        for writer in writers {
            writer.await.unwrap();
        }
        let (child, address) = spawn(directory.path());
        let client = Client::new(address);
        assert_eq!(
            client.get("/v2/").await.status,
            200,
            "it answers when it has opened the directory"
        );
        // Deletions move the lists a little; overlap covers that.
        let from = (seen.0, seen.1.saturating_sub(50), seen.2);
        check(&client, &told, from).await;
        assert_eq!(
            std::fs::read_dir(directory.path().join("uploads"))
                .unwrap()
                .count(),
            0
        );
        drop(child);
        check_content(&directory.path().join("blobs"));
    }
    let (_child, address) = spawn(directory.path());
    check(&Client::new(address), &told, (0, 0, 0)).await;
    let told = told.lock().unwrap();
    println!(
        "{ROUNDS} rounds: {} blobs, {} manifests, {} deletions",
        told.blobs.len(),
        told.manifests.len(),
        told.deleted.len()
    );
    assert!(
        !told.deleted.is_empty(),
        "the rounds were too short to show that deletions last"
    );
}
