//! The process is killed, over and over, while it publishes and exchanges keys. After each end, a client that only ever
//! sees the files, and one that follows across all ends, find a repository that they accept.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use sealmark_log::SystemClock;
use sealmark_server::listen;
use tokio::net::TcpListener;

use crate::world::{Follower, TRUSTED_ROOT, open};

const ROUNDS: u64 = 40;
const DIRECTORY: &str = "SEALMARK_CRASH_DIRECTORY";

/// Not a test: what the child process of the test below runs.
#[test]
#[ignore = "runs in a child process, which it leaves only by being killed"]
fn sign_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    println!("\nstarts");
    let repository = open(Path::new(&directory), SystemClock).unwrap();
    println!("\nopened");
    for number in 0_u64.. {
        let content = format!("{}/{number}", std::process::id());
        repository.publish(&[(TRUSTED_ROOT, content)]).unwrap();
        match number % 3 {
            0 => repository.rotate_online(None).unwrap(),
            1 => repository.rotate_root(None).unwrap(),
            _ => {}
        }
    }
}

struct Killable(Child);

impl Drop for Killable {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs it until some moment after it has said `line`, and kills it.
fn run(directory: &Path, line: &str, after: Duration) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "crash::sign_until_killed",
        "--exact",
        "--ignored",
        "--nocapture",
    ]);
    command.env(DIRECTORY, directory).stdout(Stdio::piped());
    let mut child = Killable(command.spawn().unwrap());
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let said = lines.map_while(Result::ok).any(|said| said == line);
    assert!(said, "the child says {line}");
    std::thread::sleep(after);
    assert!(
        child.0.try_wait().unwrap().is_none(),
        "it runs until it is killed"
    );
}

/// The directory as a plain file server would show it.
async fn serve_files(directory: &Path) -> String {
    let answer = |State(root): State<std::path::PathBuf>, request: Request| async move {
        match std::fs::read(root.join(request.uri().path().trim_start_matches('/'))) {
            Ok(content) => (StatusCode::OK, content),
            Err(_) => (StatusCode::NOT_FOUND, Vec::new()),
        }
    };
    let router = axum::Router::new().fallback(answer);
    let router = router.with_state(directory.join("repository"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(listen::serve(router, listener, std::future::pending()));
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_leaves_a_repository_that_clients_accept() {
    let directory = tempfile::tempdir().unwrap();
    let repository = open(directory.path(), SystemClock).unwrap();
    repository.publish(&[(TRUSTED_ROOT, "first")]).unwrap();
    let first = repository.first_root();
    drop(repository);
    let url = serve_files(directory.path()).await;
    let follower = Follower::of(&first);
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        run(
            directory.path(),
            "opened",
            Duration::from_micros(round * 9_700 % 397_000),
        );
        let seen = follower.reads(&url, Timestamp::now()).await;
        let seen = seen.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(seen.contains('/') || seen == "first", "{seen}");
        let keys = std::fs::read_dir(directory.path().join("keys")).unwrap();
        interrupted += u32::from(keys.count() > 4);
        let repository = open(directory.path(), SystemClock);
        drop(repository.unwrap_or_else(|error| panic!("round {round}: {error}")));
        let again = follower.reads(&url, Timestamp::now()).await;
        assert_eq!(
            again.unwrap_or_else(|error| panic!("round {round}: {error}")),
            seen
        );
    }
    let read = Follower::of(&first).reads(&url, Timestamp::now()).await;
    println!("{ROUNDS} rounds, {interrupted} amid an exchange of keys: {read:?}");
    assert!(interrupted > 0, "no round ended amid an exchange of keys");
    // One that begins with the first root goes the whole way: 256 roots in one update.
    let walker = Follower::of(&first);
    for _ in 0..8 {
        let _ = walker.reads(&url, Timestamp::now()).await;
    }
    assert_eq!(walker.root_version(), follower.root_version());
}

#[test]
fn kill_9_while_the_repository_is_made() {
    for round in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        run(
            directory.path(),
            "starts",
            Duration::from_micros(round * 400),
        );
        let repository = open(directory.path(), SystemClock);
        let repository = repository.unwrap_or_else(|error| panic!("round {round}: {error}"));
        repository.publish(&[(TRUSTED_ROOT, "one")]).unwrap();
    }
}
