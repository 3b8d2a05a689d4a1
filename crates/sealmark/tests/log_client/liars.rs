//! Servers that lie: each stands before a real log and changes one thing, and the client says exactly which.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use regex::Regex;
use sealmark_testkit::{FaultyServer, Finished, Reply, Request};
use serde_json::{Value, json};

use crate::bench::{Bench, SEALMARK};
use crate::serving::{Log, signed, upload};

/// What the real log answers.
pub(crate) fn forward(address: &str, request: &Request) -> Reply {
    let mut stream = TcpStream::connect(address).expect("the log listens");
    let head = format!(
        "{} {} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\r\n",
        request.method,
        request.path,
        request.body.len()
    );
    stream
        .write_all(&[head.as_bytes(), &request.body].concat())
        .expect("the log takes requests");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the log answers");
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = bytes.split_at(end.expect("the log speaks HTTP") + 4);
    let head = String::from_utf8_lossy(head);
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let mut reply = Reply::status(status.expect("the log speaks HTTP")).body(body);
    for line in head.lines().skip(1) {
        if let Some((name, value)) = line.split_once(": ")
            && !["content-length", "connection", "transfer-encoding"].contains(&name)
        {
            reply = reply.with(name, value);
        }
    }
    reply
}

/// The reply with another JSON.
fn edit(reply: Reply, change: impl FnOnce(&mut Value)) -> Reply {
    let Reply::Full { body, .. } = &reply else {
        return reply;
    };
    let mut json = serde_json::from_slice(body).expect("the log answers in JSON");
    change(&mut json);
    reply.body(json.to_string())
}

/// The entry in `{ID: ENTRY}`.
fn entry(json: &mut Value) -> &mut Value {
    let entries = json.as_object_mut().expect("entries are in a map");
    entries.values_mut().next().expect("there is an entry")
}

fn request(method: &str, path: &str, body: &Value) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        },
    }
}

/// Asserts that a failed command said this and nothing else; `*` stands for what differs from run to run.
#[track_caller]
fn says(finished: &Finished, name: &str, message: &str) {
    assert_eq!(finished.exit_code(), Some(1), "{name}\n{finished}");
    let pattern = regex::escape(message).replace(r"\*", ".*");
    let whole = Regex::new(&format!("^error: {pattern}\n$")).expect("it is escaped");
    assert!(
        whole.is_match(&finished.stderr()),
        "{name}: expected {message:?}\n{finished}"
    );
    assert!(finished.stdout().is_empty(), "{name}\n{finished}");
}

type Lie = Box<dyn Fn(&str, &Request) -> Reply + Send + Sync>;

/// A lie about every entry.
fn about_entries(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Lie {
    Box::new(move |address, request| {
        let reply = forward(address, request);
        match request.path.contains("/entries") {
            true => edit(reply, |json| change(entry(json))),
            false => reply,
        }
    })
}

/// Other bytes for one path.
fn instead(path: &'static str, reply: Reply) -> Lie {
    Box::new(move |address, request| match request.path.contains(path) {
        true => reply.clone(),
        false => forward(address, request),
    })
}

/// The table.
struct Table<'a> {
    bench: &'a Bench,
    log: &'a Log,
}

impl Table<'_> {
    /// The command is lied to, and says this.
    #[track_caller]
    fn case(&self, name: &str, words: &[&str], lie: Lie, message: &str) {
        let address = self.log.address().to_owned();
        let server = FaultyServer::start(move |request| lie(&address, request));
        let message = message.replace("HOST", server.address());
        let run = self.bench.sandbox.command(SEALMARK).arg("log").args(words);
        let finished = run
            .args(["--store-tree-state=false", "--retry", "0"])
            .args(["--rekor-url", &format!("http://{}", server.address())])
            .arg("--trusted-root")
            .arg(self.log.directory.join("trusted_root.json"))
            .run();
        says(&finished, name, &message);
    }
}

#[test]
fn a_rekor_v1_that_lies_is_found_out() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    let ids: Vec<String> = ["one", "two", "three"]
        .map(|name| {
            upload(&bench, &log, name)["UUID"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .to_vec();
    let table = Table {
        bench: &bench,
        log: &log,
    };
    let get = ["get", "--log-index", "0"];
    let hash = "0".repeat(64);

    let wrong = hash.clone();
    table.case(
        "a proof with a wrong hash",
        &get,
        about_entries(move |entry| {
            entry["verification"]["inclusionProof"]["hashes"][0] = json!(wrong);
        }),
        "do not trust this answer of HOST: entry 0: the inclusion proof leads to the root *, not to *",
    );
    table.case(
        "a proof with too few hashes",
        &get,
        about_entries(|entry| entry["verification"]["inclusionProof"]["hashes"] = json!([])),
        "do not trust this answer of HOST: entry 0: the inclusion proof has 0 hashes, but 2 belong to these indices and sizes",
    );
    table.case(
        "a promise for another time",
        &get,
        about_entries(|entry| entry["integratedTime"] = json!(1_600_000_000)),
        "do not trust this answer of HOST: entry 0: its signed entry timestamp is not by the log's key: *",
    );
    table.case(
        "no promise",
        &get,
        about_entries(|entry| entry["verification"]["signedEntryTimestamp"] = Value::Null),
        "do not trust this answer of HOST: entry 0: it has no signed entry timestamp",
    );
    table.case(
        "another body",
        &get,
        about_entries(|entry| entry["body"] = json!("eyJraW5kIjoieCIsImFwaVZlcnNpb24iOiIxIn0=")),
        "do not trust this answer of HOST: entry 0: the inclusion proof leads to the root *, not to *",
    );
    table.case(
        "a checkpoint that nobody signed",
        &get,
        about_entries(|entry| {
            let proof = &mut entry["verification"]["inclusionProof"];
            let note = proof["checkpoint"].as_str().unwrap().replace("\n3\n", "\n4\n");
            proof["checkpoint"] = json!(note);
        }),
        "do not trust this answer of HOST: entry 0: its checkpoint: the note's signature by 127.0.0.1 (*) is wrong: *",
    );
    table.case(
        "another tree than the checkpoint's",
        &get,
        about_entries(|entry| entry["verification"]["inclusionProof"]["treeSize"] = json!(2)),
        "do not trust this answer of HOST: entry 0: the proof is for a tree with 2 leaves and the root *, but the checkpoint is of one with 3 leaves and the root *",
    );
    let id = hash.clone();
    table.case(
        "a log whose key nobody knows",
        &get,
        about_entries(move |entry| entry["logID"] = json!(id)),
        "do not trust this answer of HOST: entry 0: it is of the log with the id 00*, whose key is not known",
    );
    table.case(
        "another entry than the index names",
        &get,
        Box::new(|address, asked| {
            let path = asked.path.replace("logIndex=0", "logIndex=1");
            forward(address, &request("GET", &path, &Value::Null))
        }),
        "do not trust this answer of HOST: entry 0: the server gave entry 1 instead",
    );
    let (first, second) = (ids[0].clone(), ids[1].clone());
    let other = second.clone();
    table.case(
        "another entry than the UUID names",
        &["get", "--uuid", &ids[0]],
        Box::new(move |address, asked| {
            let path = asked.path.replace(&first, &other);
            forward(address, &request("GET", &path, &Value::Null))
        }),
        &format!(
            "do not trust this answer of HOST: entry {}: the server gave entry {second} instead",
            ids[0]
        ),
    );
    let (first, second) = (ids[0].clone(), ids[1].clone());
    table.case(
        "an entry under the name of another",
        &["get", "--uuid", &ids[0]],
        Box::new(move |address, asked| {
            let path = asked.path.replace(&first, &second);
            let reply = forward(address, &request("GET", &path, &Value::Null));
            match path == asked.path {
                true => reply,
                false => edit(reply, |json| {
                    let entry = entry(json).take();
                    *json = json!({ &first: entry });
                }),
            }
        }),
        &format!(
            "do not trust this answer of HOST: entry {}: the server gave entry {} instead",
            ids[0], ids[1]
        ),
    );
    table.case(
        "no entry",
        &get,
        instead("/entries", Reply::status(200).body("{}")),
        "GET http://HOST/api/v1/log/entries?logIndex=0: the answer is not as a log answers: it has 0 entries, not one",
    );

    // Writing.
    let files = signed(&bench, "four");
    let mut words = vec!["upload"];
    words.extend(files.iter().map(String::as_str));
    let known = ids[2].clone();
    table.case(
        "another entry than was sent",
        &words,
        Box::new(move |address, asked| match asked.method.as_str() {
            "POST" => {
                let path = format!("/api/v1/log/entries/{known}");
                match forward(address, &request("GET", &path, &Value::Null)) {
                    Reply::Full { headers, body, .. } => Reply::Full {
                        status: 201,
                        headers,
                        body,
                    },
                    other => other,
                }
            }
            _ => forward(address, asked),
        }),
        "do not trust this answer of HOST: entry 2: it is not the entry that was sent",
    );
    let known = ids[2].clone();
    table.case(
        "a duplicate that is another entry",
        &words,
        Box::new(move |address, asked| match asked.method.as_str() {
            "POST" => Reply::status(409).with("location", format!("/api/v1/log/entries/{known}")),
            _ => forward(address, asked),
        }),
        "do not trust this answer of HOST: entry 2: it is not the entry that was sent",
    );
    let nowhere = format!("{}{hash}", &ids[0][..16]);
    let location = format!("/api/v1/log/entries/{nowhere}");
    table.case(
        "a duplicate that is not there",
        &words,
        Box::new(move |address, asked| match asked.method.as_str() {
            "POST" => Reply::status(409).with("location", &location),
            _ => forward(address, asked),
        }),
        &format!("do not trust this answer of HOST: entry {nowhere}, which it says that it has already: there is no such entry"),
    );
    table.case(
        "an entry that is led elsewhere",
        &words,
        Box::new(|address, asked| match asked.method.as_str() {
            "POST" => Reply::status(307).with("location", "http://elsewhere.example/"),
            _ => forward(address, asked),
        }),
        "POST http://HOST/api/v1/log/entries: the server answered 307 and leads to \"http://elsewhere.example/\", but an entry goes only where the user said; give that URL",
    );

    // The index.
    let found = json!([nowhere]).to_string();
    table.case(
        "an entry that is only in the index",
        &["search", "--artifact", "one.txt"],
        instead("/index/", Reply::status(200).body(found)),
        &format!("http://HOST found the entry {nowhere}, and does not have it"),
    );
    table.case(
        "no entry in the index",
        &["search", "--artifact", "one.txt"],
        instead("/index/", Reply::status(200).body("[]")),
        "http://HOST found no matching entry, by its own word",
    );

    // The log as a whole.
    let changed = |change: fn(&mut Value)| -> Lie {
        Box::new(move |address, asked| {
            let reply = forward(address, asked);
            match asked.path.as_str() {
                "/api/v1/log" => edit(reply, change),
                _ => reply,
            }
        })
    };
    table.case(
        "a larger log than is signed",
        &["info"],
        changed(|info| info["treeSize"] = json!(7)),
        "do not trust this answer of HOST: the checkpoint of tree *: the proof is for a tree with 7 leaves and the root *, but the checkpoint is of one with 3 leaves and the root *",
    );
    table.case(
        "another tree than is signed",
        &["info"],
        changed(|info| info["treeID"] = json!("5")),
        "do not trust this answer of HOST: the checkpoint of tree 5: it is of \"127.0.0.1 - *\"",
    );
    for (sizes, culprit) in [(["1", "3"], "from 1 to 3"), (["2", "3"], "from 2 to 3")] {
        table.case(
            "growth that is not proven",
            &["proof", "--first-size", sizes[0], "--last-size", sizes[1]],
            Box::new(|address, asked| {
                let reply = forward(address, asked);
                match asked.path.contains("/proof") {
                    true => edit(reply, |proof| {
                        proof["hashes"][0] = json!("1".repeat(64));
                    }),
                    false => reply,
                }
            }),
            &format!("do not trust this answer of HOST: the growth of tree * {culprit} entries: the consistency proof leads to the root *, not to *"),
        );
    }
    log.stop();
}

#[test]
fn a_rekor_v2_that_lies_is_found_out() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    for name in ["one", "two", "three"] {
        let words = signed(&bench, name);
        let uploaded = log.sealmark_v2(&bench, &["upload"]).args(words);
        uploaded.run().success();
    }
    let table = Table {
        bench: &bench,
        log: &log,
    };
    let get = ["get", "--log-index", "0", "--log-version", "2"];
    table.case(
        "a tile of another tree",
        &get,
        instead("/tile/0/", Reply::status(200).body(vec![7; 96])),
        "do not trust this answer of HOST: its tree of 3 entries: the tiles' proof leads to the root *, not to *",
    );
    table.case(
        "a tile that is cut off",
        &get,
        instead("/tile/0/", Reply::status(200).body(vec![7; 95])),
        "do not trust this answer of HOST: its tree of 3 entries: tile/0/000.p/3 has 95 bytes, not 32 for each of its 3 hashes",
    );
    table.case(
        "entries of another tree",
        &get,
        Box::new(|address, asked| {
            let reply = forward(address, asked);
            match (asked.path.contains("/tile/entries/"), reply) {
                (true, Reply::Full { status, headers, mut body }) => {
                    body[7] ^= 1;
                    Reply::Full { status, headers, body }
                }
                (_, reply) => reply,
            }
        }),
        "do not trust this answer of HOST: tile/entries/000.p/3: entry 0 in it is not the one that the tree has",
    );
    table.case(
        "a bundle that ends too early",
        &get,
        instead("/tile/entries/", Reply::status(200).body(vec![0, 9])),
        "GET http://HOST/api/v2/tile/entries/000.p/3: the answer is not as a log answers: tile/entries/000.p/3 ends inside of entry 0 of 3",
    );
    table.case(
        "a checkpoint of another size",
        &get,
        Box::new(|address, asked| {
            let reply = forward(address, asked);
            match (asked.path.ends_with("/checkpoint"), reply) {
                (true, Reply::Full { status, headers, body }) => {
                    let note = String::from_utf8(body).unwrap().replace("\n3\n", "\n2\n");
                    Reply::Full { status, headers, body: note.into_bytes() }
                }
                (_, reply) => reply,
            }
        }),
        "do not trust this answer of HOST: its checkpoint: the note's signature by 127.0.0.1 (*) is wrong: *",
    );

    let files = signed(&bench, "four");
    let mut words = vec!["upload", "--log-version", "2"];
    words.extend(files.iter().map(String::as_str));
    let answer = |change: fn(&mut Value)| -> Lie {
        Box::new(move |address, asked| {
            let reply = forward(address, asked);
            match asked.method.as_str() {
                "POST" => edit(reply, change),
                _ => reply,
            }
        })
    };
    table.case(
        "another entry than was sent",
        &words,
        answer(|entry| entry["canonicalizedBody"] = json!("e30=")),
        "do not trust this answer of HOST: entry 3: it is not the entry that was sent",
    );
    table.case(
        "a duplicate that is another entry",
        &words,
        instead(
            "/api/v2/log/entries",
            Reply::status(409).with("x-log-index", 1),
        ),
        "do not trust this answer of HOST: entry 1: it is not the entry that was sent",
    );
    table.case(
        "a duplicate that is not there",
        &words,
        instead("/api/v2/log/entries", Reply::status(409).with("x-log-index", 77)),
        "do not trust this answer of HOST: the entry that it has already, with the index 77: there is no such entry",
    );
    table.case(
        "an index of its own",
        &{
            let mut words = vec![
                "upload".to_owned(),
                "--log-version".to_owned(),
                "2".to_owned(),
            ];
            words.extend(signed(&bench, "five"));
            words
        }
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>(),
        answer(|entry| entry["logIndex"] = json!("12")),
        "do not trust this answer of HOST: entry 12: its index is not that of its proof",
    );
    log.stop();
}

#[test]
fn what_is_no_log_is_said_to_be_none() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    upload(&bench, &log, "one");
    let table = Table {
        bench: &bench,
        log: &log,
    };
    let page = "<!doctype html><title>Log in</title>";
    let get = ["get", "--log-version", "1", "--log-index", "0"];
    table.case(
        "a page for people",
        &get,
        instead("/entries", Reply::status(200).with("content-type", "text/html").body(page)),
        "GET http://HOST/api/v1/log/entries?logIndex=0: what answers there is no transparency log: it sends a page for people, \"<!doctype html><title>Log in</title>\"",
    );
    table.case(
        "an error page of a proxy",
        &get,
        instead(
            "/entries",
            Reply::status(502)
                .with("content-type", "text/html")
                .body(page),
        ),
        "GET http://HOST/api/v1/log/entries?logIndex=0: the server answered 502; try again later",
    );
    table.case(
        "a server that knows neither version",
        &["info"],
        instead("/api/", Reply::status(404)),
        "GET http://HOST: what answers there is no transparency log: /api/v1/log is answered with 404, and /api/v2/checkpoint with 404",
    );
    table.case(
        "a refusal, in the server's words",
        &get,
        instead(
            "/entries",
            Reply::status(400).body(r#"{"code":400,"message":"not \u001b[31mtoday"}"#),
        ),
        "GET http://HOST/api/v1/log/entries?logIndex=0: the server answered 400: not  [31mtoday",
    );
    table.case(
        "an answer without end",
        &get,
        instead("/entries", Reply::Endless(Vec::new())),
        "GET http://HOST/api/v1/log/entries?logIndex=0: the answer is larger than 8388608 bytes, which no such answer is",
    );
    table.case(
        "an answer that is announced too large",
        &get,
        instead("/entries", Reply::status(200).with("content-length", 1u64 << 40)),
        "GET http://HOST/api/v1/log/entries?logIndex=0: the answer is larger than 8388608 bytes, which no such answer is",
    );
    table.case(
        "redirects without end",
        &get,
        instead("/entries", Reply::status(302).with("location", "/api/v1/log/entries?logIndex=0")),
        "GET http://HOST/api/v1/log/entries?logIndex=0: the server answered 302 and leads to \"/api/v1/log/entries?logIndex=0\", and that is one redirect too many",
    );
    let started = Instant::now();
    table.case(
        "no answer at all",
        &["get", "--log-version", "1", "--log-index", "0", "--timeout", "1s"],
        instead("/entries", Reply::Hang),
        "GET http://HOST/api/v1/log/entries?logIndex=0: no complete answer within 1 s; allow more time with --timeout",
    );
    assert!(started.elapsed() < Duration::from_secs(10));
    table.case(
        "a connection that breaks off",
        &get,
        instead("/entries", Reply::Close),
        "GET http://HOST/api/v1/log/entries?logIndex=0: the connection broke off: *",
    );
    log.stop();
}

#[test]
fn what_passes_by_itself_is_tried_again_as_the_server_says() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    upload(&bench, &log, "one");
    let root = log.directory.join("trusted_root.json");
    let run = |server: &FaultyServer| {
        let words = ["log", "get", "--log-version", "1", "--log-index", "0", "-v"];
        bench
            .sandbox
            .command(SEALMARK)
            .args(words)
            .args(["--rekor-url", &format!("http://{}", server.address())])
            .arg("--trusted-root")
            .arg(&root)
            .run()
    };
    for status in [429, 503] {
        let (address, count) = (log.address().to_owned(), Arc::new(AtomicUsize::new(0)));
        let times = Arc::new(Mutex::new(Vec::new()));
        let (asked, at) = (Arc::clone(&count), Arc::clone(&times));
        let server = FaultyServer::start(move |request| {
            at.lock().unwrap().push(Instant::now());
            match asked.fetch_add(1, Ordering::SeqCst) {
                0 => Reply::status(status).with("retry-after", 1),
                _ => forward(&address, request),
            }
        });
        let finished = run(&server).success();
        // `-v` tells of both.
        finished
            .stderr_has(&format!("logIndex=0 {status} "))
            .stderr_has("logIndex=0 200 ");
        let times = times.lock().unwrap();
        assert_eq!(times.len(), 2);
        assert!(times[1] - times[0] >= Duration::from_secs(1));

        // Who says to come back in an hour is not waited for.
        let server = FaultyServer::start(move |_| {
            Reply::status(status)
                .with("retry-after", 3600)
                .body(r#"{"code":8,"message":"busy"}"#)
        });
        let started = Instant::now();
        run(&server).failure().stderr_has(&format!(
            "the server answered {status}: busy; try again later"
        ));
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(server.requests().len(), 1);
    }
    log.stop();
}
