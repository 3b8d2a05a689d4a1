//! Services that fail and come back, that lose answers, that are old, and certificates that expire during a run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealmark_testkit::{FaultyServer, Finished, Reply, Request};
use serde_json::{Value, json};

use super::refused;
use super::world::{JANE, SEALMARK, World};

/// What was signed with a timestamp and without a log is verified so.
const TSA_ALONE: [&str; 2] = ["--insecure-ignore-tlog", "--use-signed-timestamps"];

/// A way to a service, on which a test does harm.
struct Way {
    target: String,
    runtime: Mutex<tokio::runtime::Runtime>,
}

impl Way {
    fn to(url: &str) -> Self {
        // Of a timestamp authority only the host: its path is in the requests.
        let host = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("there are threads");
        Self {
            target: host,
            runtime: Mutex::new(runtime),
        }
    }

    /// Lets a request through.
    fn pass(&self, request: &Request) -> Reply {
        let url = format!("{}{}", self.target, request.path);
        let method = request.method.parse().expect("it is a method");
        let mut builder = reqwest::Client::new().request(method, url);
        for name in ["content-type", "authorization", "accept"] {
            if let Some(value) = request.header(name) {
                builder = builder.header(name, value);
            }
        }
        let builder = builder.body(request.body.clone());
        let runtime = self.runtime.lock().expect("nobody panicked");
        runtime.block_on(async {
            let answer = builder.send().await.expect("the service is there");
            let mut reply = Reply::status(answer.status().as_u16());
            for name in ["content-type", "location"] {
                if let Some(value) = answer.headers().get(name) {
                    reply = reply.with(name, value.to_str().expect("it is text"));
                }
            }
            reply.body(answer.bytes().await.expect("it comes whole"))
        })
    }
}

fn url(server: &FaultyServer) -> String {
    format!("http://{}", server.address())
}

fn posts(server: &FaultyServer) -> usize {
    let requests = server.requests();
    requests.iter().filter(|it| it.method == "POST").count()
}

/// A service that is busy for the first requests that change something.
fn busy(target: &str, times: usize) -> FaultyServer {
    let (way, asked) = (Way::to(target), AtomicUsize::new(0));
    FaultyServer::start(move |request| match request.method.as_str() {
        "POST" if asked.fetch_add(1, Ordering::SeqCst) < times => {
            Reply::status(503).with("retry-after", "0")
        }
        _ => way.pass(request),
    })
}

fn sign(world: &World, services: &[&str], files: &[&str]) -> Finished {
    let sign = ["sign-blob", "--yes", "--trusted-root", "root.json"];
    world.sealmark(&sign).args(services).args(files).run()
}

fn verified(world: &World, bundle: &str, file: &str, more: &[&str]) {
    let words = [
        "verify-blob",
        "--trusted-root",
        "root.json",
        "--bundle",
        bundle,
    ];
    let who = ["--certificate-identity", JANE, "--certificate-oidc-issuer"];
    let verify = world.sandbox.command(SEALMARK).args(words).args(who);
    let verify = verify.args([&world.issuer_url(), file]);
    verify.args(more).run().success();
}

#[test]
fn services_that_are_busy_twice_are_asked_three_times() {
    let world = World::start();
    let tsa_path = "/api/v1/timestamp";
    let (ca, log) = (busy(&world.ca, 2), busy(&world.log, 2));
    let tsa = busy(&world.tsa, 2);
    let tsa_url = format!("{}{tsa_path}", url(&tsa));
    // The log is known by its host: that of the way to it is the same.
    let services = [
        ["--fulcio-url", &url(&ca)],
        ["--rekor-url", &url(&log)],
        ["--timestamp-server-url", &tsa_url],
        ["--bundle", "b.json"],
    ];
    sign(&world, services.as_flattened(), &["app.txt"]).success();
    assert_eq!([posts(&ca), posts(&log), posts(&tsa)], [3, 3, 3]);
    verified(&world, "b.json", "app.txt", &[]);
}

#[test]
fn an_entry_whose_answer_was_lost_is_not_made_twice() {
    let world = World::start();
    let (way, asked) = (Way::to(&world.log), AtomicUsize::new(0));
    let log = FaultyServer::start(move |request| {
        let reply = way.pass(request);
        match request.method.as_str() {
            // The log has the entry; who sent it does not hear of that.
            "POST" if asked.fetch_add(1, Ordering::SeqCst) == 0 => {
                Reply::status(502).with("retry-after", "0")
            }
            _ => reply,
        }
    });
    let services = [
        "--fulcio-url",
        &world.ca,
        "--rekor-url",
        &url(&log),
        "--bundle",
        "b.json",
    ];
    sign(&world, &services, &["app.txt"]).success();
    assert_eq!(posts(&log), 2);
    verified(&world, "b.json", "app.txt", &[]);
    let answer = sealmark_testkit::get(world.log.trim_start_matches("http://"), "/api/v1/log");
    let info: Value = serde_json::from_slice(&answer.expect("the log answers").body).unwrap();
    assert_eq!(info["treeSize"], 1, "{info}");
}

#[test]
fn a_service_that_stays_away_is_named_with_host_status_and_words() {
    let world = World::start();
    let away = FaultyServer::start(|_| {
        Reply::status(503)
            .with("retry-after", "0")
            .body(r#"{"code":503,"message":"the disk is full"}"#)
    });
    let url = url(&away);
    let words = ["--fulcio-url", &world.ca, "--rekor-url", &url];
    refused(&world, &words, None, &[&url, "503", "the disk is full"]);
    let tsa = format!("{url}/ts");
    let words = ["--fulcio-url", &world.ca, "--timestamp-server-url", &tsa];
    let expected = [
        "timestamp authority",
        &tsa,
        "503",
        "the disk is full",
        "try again later",
    ];
    refused(&world, &words, None, &expected);
}

#[test]
fn an_authority_that_has_not_heard_of_v2_is_asked_over_v1() {
    let world = World::start();
    for status in [404, 405, 501] {
        let way = Way::to(&world.ca);
        let old = FaultyServer::start(move |request| match request.path.as_str() {
            "/api/v2/signingCert" => Reply::status(status),
            _ => way.pass(request),
        });
        let services = [
            "--fulcio-url",
            &url(&old),
            "--rekor-url",
            &world.log,
            "--bundle",
            "b.json",
        ];
        sign(&world, &services, &["app.txt"]).success();
        let paths: Vec<String> = old.requests().into_iter().map(|it| it.path).collect();
        assert_eq!(paths, ["/api/v2/signingCert", "/api/v1/signingCert"]);
        verified(&world, "b.json", "app.txt", &[]);
    }
}

/// The world's authority, which gives certificates of so many seconds, and a timestamp authority whose first answer
/// takes longer than these are good.
fn short_lived(world: &World) -> (FaultyServer, FaultyServer) {
    let way = Way::to(&world.ca);
    let ca = FaultyServer::start(move |request| {
        let mut request = request.clone();
        if let Ok(mut body) = serde_json::from_slice::<Value>(&request.body) {
            body["lifetimeSeconds"] = json!(4);
            request.body = body.to_string().into_bytes();
        }
        way.pass(&request)
    });
    let (way, asked) = (Way::to(&world.tsa), AtomicUsize::new(0));
    let tsa = FaultyServer::start(move |request| {
        let reply = way.pass(request);
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            std::thread::sleep(std::time::Duration::from_secs(4));
        }
        reply
    });
    (ca, tsa)
}

#[test]
fn a_run_that_outlives_its_certificate_gets_another_one_for_the_same_identity() {
    let world = World::start();
    let (ca, tsa) = short_lived(&world);
    let tsa = format!("{}/api/v1/timestamp", url(&tsa));
    world.sandbox.write("other.txt", "another file\n");
    let services = ["--fulcio-url", &url(&ca), "--timestamp-server-url", &tsa];
    let files = ["--output-certificate", "all.pem", "app.txt", "other.txt"];
    let signed = sign(&world, &services, &files).success();
    let signed = signed.stderr_has("so another one is asked for");
    assert_eq!(posts(&ca), 2, "{signed}");
    for file in ["app.txt", "other.txt"] {
        verified(&world, &format!("{file}.sigstore.json"), file, &TSA_ALONE);
    }
    let all = world.sandbox.read("all.pem");
    assert_eq!(all.matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn a_run_that_outlives_its_certificate_and_its_token_says_so_and_keeps_what_is_done() {
    let world = World::start();
    let (ca, tsa) = short_lived(&world);
    let tsa = format!("{}/api/v1/timestamp", url(&tsa));
    world.sandbox.write("other.txt", "another file\n");
    let words = ["sign-blob", "--yes", "--trusted-root", "root.json"];
    let services = ["--fulcio-url", &url(&ca), "--timestamp-server-url", &tsa];
    let program = world.sandbox.command(SEALMARK).args(words).args(services);
    let end = jiff::Timestamp::now().as_second() + 4;
    let token = world.token(json!({"exp": end}));
    let finished = program
        .env("SIGSTORE_ID_TOKEN", token)
        .args(["app.txt", "other.txt"])
        .run()
        .failure()
        .stderr_has("the certificate of this run was good until")
        .stderr_has("the identity token from SIGSTORE_ID_TOKEN: it expired")
        .stderr_has("sign the rest in another run");
    verified(&world, "app.txt.sigstore.json", "app.txt", &TSA_ALONE);
    let unsigned = world.sandbox.join("other.txt.sigstore.json");
    assert!(!unsigned.exists(), "{finished}");

    // Nor is the rest signed by somebody else.
    let (ca, tsa) = short_lived(&world);
    let tsa = format!("{}/api/v1/timestamp", url(&tsa));
    let asked = AtomicUsize::new(0);
    let tokens = world.signing();
    let github = FaultyServer::start(move |_| {
        let name = ["jane", "john"][asked.fetch_add(1, Ordering::SeqCst).min(1)];
        let token = tokens.token(json!({"email": format!("{name}@example.org")}));
        Reply::status(200).body(json!({"value": token}).to_string())
    });
    let services = ["--fulcio-url", &url(&ca), "--timestamp-server-url", &tsa];
    let program = world.sandbox.command(SEALMARK).args(words).args(services);
    program
        .env(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            format!("{}/t", url(&github)),
        )
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")
        .args(["app.txt", "other.txt"])
        .run()
        .failure()
        .stderr_has("the new one is for john@example.org")
        .stderr_has("what was signed before is by jane@example.org");
    assert!(!unsigned.exists());
}
