//! A repository on its server, and two clients that go through the same: ours and the reference client.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use percent_encoding::percent_decode_str;
use sealmark_testkit::{FaultyServer, Peer, Reply, Sandbox};
use serde_json::{Value, json};

use crate::repository::Repository;

pub(crate) const CLIENT: &str = env!("CARGO_BIN_EXE_sealmark-tuf-conformance");

/// What the server has, and what it does instead.
#[derive(Default)]
struct Served {
    files: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, Reply>,
}

pub(crate) struct Story {
    pub(crate) repository: Repository,
    server: FaultyServer,
    served: Arc<Mutex<Served>>,
    sandbox: Sandbox,
    /// Whether the reference client goes along.
    in_company: bool,
    /// Why our client does not do as the reference client from here on.
    differs: Option<&'static str>,
}

impl Story {
    /// A new repository and clients that trust version 1 of its root.
    pub(crate) fn new() -> Self {
        Self::of(Repository::new())
    }

    pub(crate) fn of(repository: Repository) -> Self {
        let served = Arc::new(Mutex::new(Served::default()));
        let shared = Arc::clone(&served);
        let server = FaultyServer::start(move |request| {
            let served = shared.lock().unwrap();
            let path = request.path.trim_start_matches('/');
            // Metadata of a role has its quoted name on the server, a target its own.
            let decoded = percent_decode_str(path).decode_utf8_lossy().into_owned();
            if let Some(fault) = served.faults.get(path) {
                return fault.clone();
            }
            let found = served
                .files
                .get(path)
                .or_else(|| served.files.get(&decoded));
            match found {
                Some(content) => Reply::status(200).body(content.clone()),
                None => Reply::status(404),
            }
        });
        let story = Self {
            repository,
            server,
            served,
            sandbox: Sandbox::new(),
            in_company: true,
            differs: None,
        };
        let root = story.repository.root_json(1);
        story.trust(&root);
        story
    }

    /// Gives both clients a root to begin with.
    pub(crate) fn trust(&self, root: &[u8]) {
        let path = self.sandbox.write("given.json", root);
        let done = self.ours(&["init", path.to_str().unwrap()], false);
        assert!(done.is_ok(), "init: {done:?}");
        self.sandbox.write("reference/metadata/root.json", root);
    }

    /// Writes a file of a client, in `ours/` or `reference/`.
    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        self.sandbox.write(name, content);
    }

    pub(crate) fn metadata(&self) -> PathBuf {
        self.sandbox.join("ours/metadata")
    }

    pub(crate) fn targets(&self) -> PathBuf {
        self.sandbox.join("ours/targets")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.server.address())
    }

    /// From here on only our client counts, because of this.
    pub(crate) fn differs(&mut self, why: &'static str) {
        self.differs = Some(why);
    }

    /// The server does this for a path until [`mend`](Self::mend).
    pub(crate) fn fault(&self, path: &str, reply: Reply) {
        let mut served = self.served.lock().unwrap();
        served.faults.insert(path.to_owned(), reply);
    }

    pub(crate) fn mend(&self) {
        self.served.lock().unwrap().faults.clear();
    }

    /// Puts on the server what the repository has published.
    pub(crate) fn upload(&self) {
        self.served
            .lock()
            .unwrap()
            .files
            .clone_from(&self.repository.files);
    }

    /// The paths that our client asks for meanwhile.
    pub(crate) fn asked(&mut self, during: impl FnOnce(&mut Self)) -> Vec<String> {
        self.in_company = false;
        let before = self.server.requests().len();
        during(self);
        self.in_company = true;
        let requests = self.server.requests();
        requests[before..]
            .iter()
            .map(|request| request.path.trim_start_matches('/').to_owned())
            .collect()
    }

    /// A refresh that must be done.
    pub(crate) fn accepts(&self, what: &str) {
        if let Err(error) = self.refresh(what) {
            panic!("{what}: refused: {error}");
        }
    }

    /// A refresh that must be refused, for the reason that is meant.
    pub(crate) fn refuses(&self, what: &str, reason: &str) {
        refused(what, reason, self.refresh(what));
    }

    pub(crate) fn downloads(&self, names: &[&str]) {
        if let Err(error) = self.download(names) {
            panic!("{names:?}: refused: {error}");
        }
    }

    pub(crate) fn does_not_download(&self, names: &[&str], reason: &str) {
        refused(&format!("{names:?}"), reason, self.download(names));
    }

    pub(crate) fn refresh(&self, what: &str) -> Result<(), String> {
        self.both(what, &[], |story| {
            let url = story.url("metadata/");
            story.ours(&["--metadata-url", &url, "refresh"], true)
        })
    }

    pub(crate) fn download(&self, names: &[&str]) -> Result<(), String> {
        self.both(&format!("{names:?}"), names, |story| {
            let (url, base) = (story.url("metadata"), story.url("targets/"));
            let targets = story.targets();
            let mut arguments = vec!["--metadata-url", url.as_str()];
            for name in names {
                arguments.extend(["--target-name", name]);
            }
            arguments.extend(["--target-base-url", base.as_str()]);
            arguments.extend(["--target-dir", targets.to_str().unwrap()]);
            arguments.push("download");
            story.ours(&arguments, true)
        })
    }

    fn both(
        &self,
        what: &str,
        names: &[&str],
        ours: impl FnOnce(&Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.upload();
        let done = ours(self);
        if !self.in_company || self.differs.is_some() {
            return done;
        }
        let metadata = self.sandbox.join("reference/metadata");
        let targets = self.sandbox.join("reference/targets");
        let request = json!({
            "metadata": metadata, "metadata_url": self.url("metadata/"),
            "targets": targets, "targets_url": self.url("targets/"), "names": names,
        });
        let Some(theirs) = REFERENCE.with(|one| one.as_ref().map(|one| one.ask(&request))) else {
            return done;
        };
        assert_eq!(
            done.is_ok(),
            theirs.is_ok(),
            "{what}: ours {done:?}, python-tuf {theirs:?}"
        );
        assert_eq!(
            versions(&self.metadata()),
            versions(&metadata),
            "{what}: what is trusted, after {done:?}"
        );
        assert_eq!(
            files(&self.targets()),
            files(&targets),
            "{what}: downloaded"
        );
        done
    }

    /// Runs our client; the reason if it refuses. It never ends in another way.
    pub(crate) fn ours(&self, arguments: &[&str], strict: bool) -> Result<(), String> {
        let program = self
            .sandbox
            .command(CLIENT)
            .arg("--metadata-dir")
            .arg(self.metadata());
        let finished = program.args(arguments).run();
        let reason = finished.stderr().trim().to_owned();
        match finished.exit_code() {
            Some(0) => Ok(()),
            Some(1) => {
                assert!(!strict || !reason.contains("usage:"), "{reason}");
                Err(reason)
            }
            other => panic!("exit {other:?}: {reason}"),
        }
    }

    /// What our client trusts: `root 2, snapshot 1, …`.
    pub(crate) fn trusts(&self) -> String {
        let versions: Vec<String> = versions(&self.metadata())
            .into_iter()
            .map(|(role, version)| format!("{role} {version}"))
            .collect();
        versions.join(", ")
    }

    /// What was downloaded, by the names of the files.
    pub(crate) fn downloaded(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.targets())
    }
}

fn refused(what: &str, reason: &str, result: Result<(), String>) {
    match result {
        Ok(()) => panic!("{what}: must be refused: {reason}"),
        Err(error) => assert!(
            error.contains(reason),
            "{what}: {error:?} does not say {reason:?}"
        ),
    }
}

/// The roles in a directory of metadata. There are no other files.
fn versions(directory: &Path) -> BTreeSet<(String, u64)> {
    let found = files(directory).into_iter().filter_map(|(name, content)| {
        let role = name.strip_suffix(".json").unwrap().to_owned();
        let role = percent_decode_str(&role).decode_utf8_lossy().into_owned();
        let json: Value = serde_json::from_slice(&content).ok()?;
        Some((role, json["signed"]["version"].as_u64()?))
    });
    found.collect()
}

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return BTreeMap::new();
    };
    let found = entries.filter_map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // The reference client has a directory of roots there.
        path.is_file()
            .then(|| (name, std::fs::read(&path).unwrap()))
    });
    found.collect()
}

thread_local! {
    /// One for each test.
    static REFERENCE: Option<Reference> = Reference::start();
}

/// python-tuf, in a process of its own.
struct Reference {
    process: Mutex<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl Reference {
    fn start() -> Option<Self> {
        let Some(program) = Peer::find("python-tuf") else {
            sealmark_testkit::skip("python-tuf");
            return None;
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tuf_suite/python_tuf.py");
        let mut child = Command::new(program)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Some(Self {
            process: Mutex::new((child, stdin, stdout)),
        })
    }

    fn ask(&self, request: &Value) -> Result<(), String> {
        let mut process = self.process.lock().unwrap();
        writeln!(process.1, "{request}").unwrap();
        let mut line = String::new();
        process.2.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        match answer["done"].as_bool().unwrap() {
            true => Ok(()),
            false => Err(answer["error"].as_str().unwrap().to_owned()),
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let (child, ..) = self.process.get_mut().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}
