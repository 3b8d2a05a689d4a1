//! Registries that refuse, fail, lie, or do not answer.

use std::time::{Duration, Instant};

use sealmark_formats::Digest;
use sealmark_testkit::{FaultyServer, Reply, Request};

use crate::content::{Content, MANIFEST};
use crate::{Ground, Table};

/// A message about this registry.
fn at(server: &FaultyServer, message: &str) -> String {
    message.replace("HOST", server.address())
}

type Fault = fn(&Request) -> Reply;

#[test]
fn a_registry_that_refuses_or_fails() {
    let html = "<html><title>Please log in</title></html>";
    let unauthorized = |_: &Request| {
        Reply::error(401, "UNAUTHORIZED", "authentication required")
            .with("www-authenticate", "Basic realm=\"team\"")
    };
    let faults: Vec<(&str, Fault, i32, &str)> = vec![
        (
            "401",
            unauthorized,
            1,
            "reading the manifest HOST/team/app:v1: HOST asks for credentials (UNAUTHORIZED: authentication required); used: nothing, since no credentials were found. Log in with `sealmark login HOST`, or check the credentials",
        ),
        (
            "403",
            |_| Reply::error(403, "DENIED", "not your team"),
            1,
            "reading the manifest HOST/team/app:v1: HOST denies access (DENIED: not your team); used: nothing. Ask for the permission, or use another account",
        ),
        (
            "404 image",
            |_| Reply::error(404, "MANIFEST_UNKNOWN", "no v1"),
            11,
            "not found: HOST/team/app:v1 (MANIFEST_UNKNOWN: no v1)",
        ),
        (
            "404 repository",
            |_| Reply::error(404, "NAME_UNKNOWN", "no team/app"),
            11,
            "repository not found: HOST/team/app:v1 (NAME_UNKNOWN: no team/app)",
        ),
        (
            "404 of another server",
            |_| {
                Reply::status(404)
                    .with("content-type", "text/html")
                    .body("<h1>Not Found</h1>")
            },
            1,
            "reading the manifest HOST/team/app:v1: HOST does not answer like a registry: expected JSON, got \"text/html\" starting \"<h1>Not Found</h1>\"; is there a proxy or login page in between?",
        ),
        (
            "500",
            |_| Reply::error(500, "UNKNOWN", "disk full"),
            1,
            "reading the manifest HOST/team/app:v1: HOST failed with status 500 (UNKNOWN: disk full); this is the registry's fault, try later",
        ),
        (
            "418",
            |_| Reply::status(418).body("short and stout"),
            1,
            "reading the manifest HOST/team/app:v1: HOST refused with status 418 (short and stout)",
        ),
        (
            "escape codes",
            |_| Reply::error(403, "DENIED", "\\u001b[2J\\u001b[1;1Hverified\\n\u{202e}ok"),
            1,
            "reading the manifest HOST/team/app:v1: HOST denies access (DENIED: [2J [1;1Hverified  ok); used: nothing. Ask for the permission, or use another account",
        ),
        (
            "connection closed",
            |_| Reply::Close,
            1,
            "reading the manifest HOST/team/app:v1: cannot connect to HOST: connection closed before message completed; try again; if it stays, look at the network in between",
        ),
        (
            "redirect to nowhere",
            |_| Reply::status(302),
            1,
            "reading the manifest HOST/team/app:v1: HOST redirects, and that is not followed: it does not say where to",
        ),
    ];
    let ground = Ground::new();
    let mut table = Table::default();
    for (what, fault, exit, message) in faults {
        let server = FaultyServer::start(fault);
        let message = at(&server, message);
        let line = format!("verify --key cosign.pub {}/team/app:v1", server.address());
        table.expect(what, ground.sealmark(&line), exit, &message);
    }
    let server = FaultyServer::start(move |_| {
        Reply::status(200)
            .with("content-type", "text/html")
            .body(html)
    });
    let line = format!("verify --key cosign.pub {}/team/app:v1", server.address());
    table.expect("a login page", ground.sealmark(&line), 1, &at(&server, "reading the manifest HOST/team/app:v1: HOST does not answer like a registry: expected JSON, got \"text/html\" starting \"<html><title>Please log in</title></html>\"; is there a proxy or login page in between?"));
}

#[test]
fn signing_fails_as_truly_as_verifying() {
    let ground = Ground::new();
    let mut table = Table::default();
    let faults: Vec<(&str, Fault, &str)> = vec![
        (
            "403",
            |_| Reply::error(403, "DENIED", "not your team"),
            "reading the manifest HOST/team/app:v1: HOST denies access (DENIED: not your team); used: nothing. Ask for the permission, or use another account",
        ),
        (
            "404",
            |_| Reply::error(404, "MANIFEST_UNKNOWN", "no v1"),
            "not found: HOST/team/app:v1 (MANIFEST_UNKNOWN: no v1)",
        ),
    ];
    for (what, fault, message) in faults {
        let server = FaultyServer::start(fault);
        let message = at(&server, message);
        let line = format!("sign --key cosign.key {}/team/app:v1", server.address());
        table.expect(what, ground.sealmark(&line), 1, &message);
    }
    // Reading is allowed, writing is not. What Ed25519 signs twice is the same, so that the blob is known.
    ground
        .run("generate-key-pair --algorithm ed25519 --output-key-prefix ed")
        .success();
    let (content, image) = Content::with_image();
    let server = FaultyServer::start(move |request| match request.method.as_str() {
        "GET" | "HEAD" => content.answer(request),
        _ => Reply::error(403, "DENIED", "read only"),
    });
    let sign = |flags: &str| {
        let address = server.address();
        format!("sign --key ed.key {flags} {address}/team/app@{image}")
    };
    ground
        .run(&sign("--upload=false --bundle b.json"))
        .success();
    let blob = Digest::sha256(ground.read("b.json").as_bytes());
    let message = format!(
        "pushing the blob HOST/team/app@{blob}: HOST denies access (DENIED: read only); used: nothing. Ask for the \
         permission, or use another account"
    );
    table.expect(
        "read only",
        ground.sealmark(&sign("")),
        1,
        &at(&server, &message),
    );
}

#[test]
fn a_registry_that_is_down() {
    let ground = Ground::new();
    let address = FaultyServer::nobody();
    let line = format!("verify --key cosign.pub {address}/team/app:v1");
    let mut table = Table::default();
    table.expect("refused", ground.sealmark(&line), 1, &format!("reading the manifest {address}/team/app:v1: cannot connect to {address}: Connection refused (os error 111); is the registry running, and is the port right?"));

    // The system's own words are not the same everywhere.
    let finished = ground.run("verify --key cosign.pub registry.invalid/team/app:v1");
    let finished = finished
        .code(1)
        .stderr_has("cannot connect to registry.invalid: failed to lookup address information");
    finished.stderr_has("is the registry's name right, and does DNS work here?");
}

#[test]
fn a_registry_that_never_answers_is_named_when_the_time_is_over() {
    let ground = Ground::new();
    let server = FaultyServer::start(|_| Reply::Hang);
    let line = format!(
        "verify --timeout 2s --key cosign.pub {}/team/app:v1",
        server.address()
    );
    let started = Instant::now();
    let mut table = Table::default();
    table.expect("hangs", ground.sealmark(&line), 1, &at(&server, "reading the manifest HOST/team/app:v1: no answer from HOST within 2 s while waiting for the first byte of the answer; try again, or allow more time"));
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_registry_that_is_slow_each_time_is_named_too() {
    let ground = Ground::new();
    let (content, _) = Content::with_image();
    let server = FaultyServer::start(move |request| {
        std::thread::sleep(Duration::from_millis(1400));
        content.answer(request)
    });
    let line = format!(
        "verify --timeout 2s --key cosign.pub {}/team/app:v1",
        server.address()
    );
    let message = "gave up after 2s, the last request was HEAD http://HOST/v2/team/app/manifests/v1 200; \
                   allow more time with --timeout";
    let mut table = Table::default();
    table.expect("slow", ground.sealmark(&line), 1, &at(&server, message));
}

#[test]
fn a_limit_on_requests_is_waited_for_and_then_told() {
    let ground = Ground::new();
    let limited = || Reply::error(429, "TOOMANYREQUESTS", "100 an hour").with("retry-after", 1);
    let mut table = Table::default();
    let server = FaultyServer::start(move |_| limited());
    let line = format!("verify --key cosign.pub {}/team/app:v1", server.address());
    let started = Instant::now();
    table.expect("always", ground.sealmark(&line), 1, &at(&server, "reading the manifest HOST/team/app:v1: HOST limits the rate of requests (429, after 4 tries) (TOOMANYREQUESTS: 100 an hour); it asks to wait 1 s"));
    assert!(started.elapsed() >= Duration::from_secs(3));

    // Once only: the wait is kept, and the true answer is told.
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = FaultyServer::start(move |_| {
        match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => limited(),
            _ => Reply::error(404, "MANIFEST_UNKNOWN", "no v1"),
        }
    });
    let line = format!("verify --key cosign.pub {}/team/app:v1", server.address());
    table.expect(
        "once",
        ground.sealmark(&line),
        11,
        &at(
            &server,
            "not found: HOST/team/app:v1 (MANIFEST_UNKNOWN: no v1)",
        ),
    );
}

#[test]
fn a_registry_that_lies() {
    let ground = Ground::new();
    let mut table = Table::default();
    let hello = Digest::sha256(b"hello");
    let lie = r#"{"schemaVersion":2}"#;
    let truth = Digest::sha256(lie.as_bytes());

    // The body is not what the header says it is.
    let claim = hello.clone();
    let server = FaultyServer::start(move |request| match request.method.as_str() {
        "HEAD" => Reply::status(200).with("content-type", MANIFEST),
        _ => Reply::status(200)
            .with("content-type", MANIFEST)
            .with("docker-content-digest", &claim)
            .body(lie),
    });
    let message = format!(
        "manifest HOST/team/app:v1: expected digest {hello}, found {truth}; the content was altered or \
         damaged, do not use it"
    );
    for command in ["verify --key cosign.pub", "sign --key cosign.key"] {
        let line = format!("{command} {}/team/app:v1", server.address());
        table.expect(command, ground.sealmark(&line), 1, &at(&server, &message));
    }

    // The body is not what was asked for: what refers to the image.
    let (mut content, image) = Content::with_image();
    content.list(&hello, 300);
    let server =
        FaultyServer::start(
            move |request| match request.path.ends_with(&hello.to_string()) {
                true => Reply::status(200).with("content-type", MANIFEST).body(lie),
                false => content.answer(request),
            },
        );
    let hello = Digest::sha256(b"hello");
    let message = format!(
        "HOST/team/app@{image}: its one signature is not good\n  HOST/team/app@{hello}: format: expected a \
         well-formed signature or attestation, found manifest HOST/team/app@{hello}: expected digest {hello}, \
         found {truth}; the content was altered or damaged, do not use it"
    );
    let line = format!(
        "verify --key cosign.pub {}/team/app@{image}",
        server.address()
    );
    table.expect(
        "other bytes",
        ground.sealmark(&line),
        12,
        &at(&server, &message),
    );

    let server = FaultyServer::start(|request| match request.method.as_str() {
        "HEAD" => Reply::status(404),
        _ => Reply::Endless(vec![("content-type".to_owned(), MANIFEST.to_owned())]),
    });
    let line = format!("verify --key cosign.pub {}/team/app:v1", server.address());
    table.expect(
        "a manifest without an end",
        ground.sealmark(&line),
        1,
        &at(
            &server,
            "manifest HOST/team/app:v1 is larger than 4194304 bytes; it is not read further",
        ),
    );
}
