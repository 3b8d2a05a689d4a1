//! Timestamps of the instance, as openssl and rfc3161-client ask for them and verify them.

use sealmark_testkit::Finished;
use serde_json::json;

use crate::bench::{Bench, have};
use crate::clients::script;
use crate::world::Instance;

const HASHES: [&str; 3] = ["-sha256", "-sha384", "-sha512"];

/// Posts a request as RFC 3161 section 3.4 has it; the status and what came back.
fn post(url: &str, query: Vec<u8>) -> (u16, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let request = reqwest::Client::new().post(url).body(query);
        let request = request.header("content-type", "application/timestamp-query");
        let answer = request.send().await.expect("the authority answers");
        let status = answer.status().as_u16();
        (status, answer.bytes().await.expect("a whole answer").into())
    })
}

fn openssl(bench: &Bench, words: &[&str]) -> Finished {
    bench.peer("openssl").args(words).run()
}

#[test]
fn openssl_and_rfc3161_client_verify_what_they_asked_for() {
    if !have(&["openssl", "python-sigstore"]) {
        return;
    }
    let bench = Bench::new();
    let instance = Instance::start(&bench);
    let url = format!("{}/api/v1/timestamp", instance.url);
    // Its own certificate first, then the root.
    let chain = bench.sandbox.read("instance/tsa.pem");
    let (own, root) = chain.split_at(
        chain
            .find("-----END CERTIFICATE-----\n")
            .expect("a certificate")
            + 26,
    );
    bench.sandbox.write("own.pem", own);
    bench.sandbox.write("root.pem", root);
    bench.sandbox.write("data", "what existed");
    bench.sandbox.write("other", "what did not");
    let mut replies = Vec::new();
    for hash in HASHES {
        for certificate in [true, false] {
            for nonce in [true, false] {
                let name = format!("{hash}-{certificate}-{nonce}");
                let (query, reply) = (format!("query{name}"), format!("reply{name}"));
                let mut ask = vec!["ts", "-query", "-data", "data", hash, "-out", &query];
                ask.extend(certificate.then_some("-cert"));
                ask.extend((!nonce).then_some("-no_nonce"));
                openssl(&bench, &ask).success();
                let asked = std::fs::read(bench.sandbox.join(&query)).expect("openssl wrote it");
                let (status, answer) = post(&url, asked);
                assert_eq!(status, 200, "{name}");
                bench.sandbox.write(&reply, answer);
                let trust = ["-CAfile", "root.pem", "-untrusted", "own.pem"];
                let verify = ["ts", "-verify", "-in", &reply];
                for by in [["-queryfile", &query], ["-data", "data"]] {
                    openssl(&bench, &[&verify[..], &by[..], &trust[..]].concat())
                        .success()
                        .stdout_has("Verification: OK");
                }
                openssl(
                    &bench,
                    &[&verify[..], &["-data", "other"], &trust[..]].concat(),
                )
                .failure();
                // Without the certificate in it, it must be given.
                let alone = openssl(
                    &bench,
                    &[&verify[..], &["-data", "data"], &trust[..2]].concat(),
                );
                match certificate {
                    true => alone.success(),
                    false => alone.failure(),
                };
                let text = openssl(&bench, &["ts", "-reply", "-in", &reply, "-text"]);
                let text = text.success().stdout_has("Status: Granted.");
                assert_eq!(
                    text.stdout().contains("Nonce: unspecified"),
                    !nonce,
                    "{text}"
                );
                replies.push(reply);
            }
        }
    }
    let given = json!({
        "url": url, "own": own, "root": root, "data": "what existed", "other": "what did not",
        "replies": replies,
    });
    bench
        .peer("python-sigstore")
        .arg(script("timestamps.py"))
        .stdin(given.to_string())
        .run()
        .success()
        .stdout_has("20 timestamps are good");
    // What is too weak is no evidence.
    openssl(
        &bench,
        &["ts", "-query", "-data", "data", "-sha1", "-out", "weak"],
    )
    .success();
    let weak = std::fs::read(bench.sandbox.join("weak")).expect("openssl wrote it");
    assert_eq!(post(&url, weak).0, 400);
}
