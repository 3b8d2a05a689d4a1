//! Rekor v2 over gRPC, as gRPC's own client and Sigstore's own messages use it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use sealmark_testkit::{Sandbox, Server, get, require_or_skip};
use sealmark_tlog::merkle::leaf_hash;
use sealmark_tlog::tile::{Bundle, LengthPrefix};
use sealmark_tlog::{Checkpoint, Hash, Origin, Tile};
use serde_json::{Value, json};

/// A log that runs.
fn serve(sandbox: &Sandbox) -> (Server, String) {
    let program = sandbox.command(env!("CARGO_BIN_EXE_sealmark"));
    let program = program.args(["serve", "--only", "log", "--dir", "log"]);
    program.args(["--listen", "127.0.0.1:0"]).serve(|line| {
        let (_, rest) = line.split_once("transparency log at http://")?;
        rest.split(' ').next().map(str::to_owned)
    })
}

fn client() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc/client.py")
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap_or_default()).unwrap()
}

#[test]
fn grpcio_uses_it_as_a_rekor_of_version_2() {
    let python = require_or_skip!("python-grpc");
    let sandbox = Sandbox::new();
    let (server, address) = serve(&sandbox);
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let (digest, other) = (Digest::sha256(b"data"), Digest::sha256(b"other"));
    let sign = |digest: &Digest| STANDARD.encode(key.sign_digest(digest).unwrap());
    let given = json!({
        "digest": STANDARD.encode(digest.bytes()),
        "signature": sign(&digest),
        "key": STANDARD.encode(key.public_key().spki_der()),
        "other_digest": STANDARD.encode(other.bytes()),
        "other_signature": sign(&other),
    });
    let finished = sandbox
        .command(python)
        .arg(client())
        .arg(&address)
        .stdin(given.to_string())
        .run()
        .success();
    let said: Value = serde_json::from_slice(finished.stdout_bytes()).unwrap();

    // Both entries are proven by what came.
    let pem = std::fs::read(sandbox.join("log/keys/v2.pub")).unwrap();
    let log = PublicKey::from_pem(&pem).unwrap();
    let mut leaves = Vec::new();
    for (index, name) in ["entry", "second"].into_iter().enumerate() {
        let entry = &said[name];
        let proof = &entry["inclusionProof"];
        let note = proof["checkpoint"]["envelope"].as_str().unwrap();
        let checkpoint = Checkpoint::open(note, Origin::Named("127.0.0.1"), &log).unwrap();
        let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(number(&entry["logIndex"]), index as u64);
        assert_eq!(number(&proof["logIndex"]), index as u64);
        assert_eq!(number(&proof["treeSize"]), checkpoint.size);
        assert_eq!(bytes(&proof["rootHash"]), checkpoint.root.bytes());
        let hashes = proof["hashes"].as_array().unwrap().iter();
        let hashes: Vec<Hash> = hashes
            .map(|hash| Hash::try_from(bytes(hash).as_slice()).unwrap())
            .collect();
        let body = bytes(&entry["canonicalizedBody"]);
        let leaf = leaf_hash(&body);
        checkpoint
            .verify_inclusion(index as u64, &leaf, &hashes)
            .unwrap();
        assert_eq!(
            entry["kindVersion"],
            json!({"kind": "hashedrekord", "version": "0.0.2"})
        );
        assert_eq!(bytes(&entry["logId"]["keyId"]).len(), 32);
        leaves.push(body);
    }

    // Refusals are those of HTTP.
    let refusal = "invalid hashedrekord request: ";
    for (name, code, message) in [
        (
            "again",
            "ALREADY_EXISTS",
            "an equivalent entry already exists in the transparency log with index 0",
        ),
        ("wrong signature", "INVALID_ARGUMENT", refusal),
        (
            "wrong key",
            "INVALID_ARGUMENT",
            "keyDetails is none that this log takes",
        ),
        ("empty", "INVALID_ARGUMENT", refusal),
        ("dsse", "INVALID_ARGUMENT", "dsse is not taken"),
        ("nonsense", "INVALID_ARGUMENT", "not the message"),
        ("unknown method", "UNIMPLEMENTED", "Rekor/Nothing"),
        ("too large", "RESOURCE_EXHAUSTED", "at most 4194304"),
        ("compressed", "UNIMPLEMENTED", "compressed"),
        ("no tile", "NOT_FOUND", "no such tile"),
        ("no path", "NOT_FOUND", "no such tile"),
    ] {
        assert_eq!(said[name]["code"], code, "{name}: {}", said[name]);
        let found = said[name]["message"].as_str().unwrap();
        assert!(found.contains(message), "{name}: {found}");
    }
    assert_eq!(said["again"]["index"], "0");

    // What is read is what HTTP gives.
    for (name, path, kind) in [
        (
            "checkpoint",
            "/api/v2/checkpoint",
            "text/plain; charset=utf-8",
        ),
        ("tile", "/api/v2/tile/0/000.p/2", "application/octet-stream"),
        (
            "bundle",
            "/api/v2/tile/entries/000.p/2",
            "application/octet-stream",
        ),
    ] {
        assert_eq!(said[name]["type"], kind);
        let http = get(&address, path).unwrap();
        assert_eq!(
            (http.status, http.body),
            (200, bytes(&said[name]["data"])),
            "{name}"
        );
    }
    let tile = Tile::parse("tile/0/000.p/2").unwrap();
    let hashes = tile.decode(&bytes(&said["tile"]["data"])).unwrap();
    assert_eq!(hashes[1], leaf_hash(&leaves[1]));
    let bundle = Bundle::parse("tile/entries/000.p/2").unwrap();
    let data = bytes(&said["bundle"]["data"]);
    assert_eq!(bundle.decode(&data, LengthPrefix::Two).unwrap(), leaves);

    assert_eq!(said["health"], json!(["SERVING", "SERVING"]));
    assert_eq!(said["health of nobody"], "NOT_FOUND");
    assert_eq!(said["watched"], "SERVING");
    assert_eq!(said["watched nobody"], "SERVICE_UNKNOWN");
    assert_eq!(
        said["services"],
        json!(["dev.sigstore.rekor.v2.Rekor", "grpc.health.v1.Health"])
    );
    let methods = ["CreateEntry", "GetTile", "GetEntryBundle", "GetCheckpoint"];
    assert_eq!(said["methods"], json!(methods));
    assert!(server.terminate().success());
}

/// Watches until the server says that it ends.
const WATCH: &str = "
import sys, grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
stub = health_pb2_grpc.HealthStub(grpc.insecure_channel(sys.argv[1]))
for seen in stub.Watch(health_pb2.HealthCheckRequest(), timeout=60):
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(seen.status), flush=True)
print('ended', flush=True)
";

#[test]
fn who_watches_hears_that_the_log_stops_and_does_not_keep_it() {
    let python = require_or_skip!("python-grpc");
    let sandbox = Sandbox::new();
    let (server, address) = serve(&sandbox);
    let watcher = sandbox.command(python).args(["-c", WATCH]).arg(&address);
    let (watcher, ()) = watcher.serve(|line| (line.trim() == "SERVING").then_some(()));
    assert!(server.terminate().success());
    let start = std::time::Instant::now();
    while !watcher.log().contains("ended") {
        assert!(start.elapsed().as_secs() < 10, "{}", watcher.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(watcher.log(), "SERVING\nNOT_SERVING\nended\n");
}

/// What a server says it has, and whether each of it serves; the second argument is a certificate to believe.
const ABOUT: &str = "
import sys, grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
if len(sys.argv) > 2:
    credentials = grpc.ssl_channel_credentials(open(sys.argv[2], 'rb').read())
    channel = grpc.secure_channel(sys.argv[1], credentials)
else:
    channel = grpc.insecure_channel(sys.argv[1])
for service in sorted(ProtoReflectionDescriptorDatabase(channel).get_services()):
    if service != 'grpc.health.v1.Health':
        request = health_pb2.HealthCheckRequest(service=service)
        status = health_pb2_grpc.HealthStub(channel).Check(request, timeout=30).status
        print(service, health_pb2.HealthCheckResponse.ServingStatus.Name(status))
bundle = channel.unary_unary('/dev.sigstore.fulcio.v2.CA/GetTrustBundle')(b'', timeout=30)
print(bundle.count(b'BEGIN CERTIFICATE'))
";

#[test]
fn an_instance_has_its_log_and_its_ca_on_one_port_also_over_tls() {
    let python = require_or_skip!("python-grpc");
    let sandbox = Sandbox::new();
    let (key, certificate) = (sandbox.join("tls.key"), sandbox.join("tls.pem"));
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "1", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    let tls = made.is_ok_and(|made| made.status.success());
    for with_tls in [false, true] {
        if with_tls && !tls {
            sealmark_testkit::skip("openssl");
            continue;
        }
        let directory = format!("instance-{with_tls}");
        let program = sandbox.command(env!("CARGO_BIN_EXE_sealmark"));
        let program = program.args(["serve", "--dev-issuer", "--listen", "127.0.0.1:0"]);
        let program = program.args(["--dir", &directory]);
        let program = match with_tls {
            true => program.args(["--tls-cert", "tls.pem", "--tls-key", "tls.key"]),
            false => program,
        };
        let (server, address) = program.serve(|line| {
            let (_, rest) = line.split_once("Sigstore at http")?;
            let rest = rest.split_once("://")?.1;
            rest.split(": ").next().map(str::to_owned)
        });
        let about = sandbox.command(&python).args(["-c", ABOUT]).arg(&address);
        let about = match with_tls {
            true => about.arg(&certificate),
            false => about,
        };
        assert_eq!(
            about.run().success().stdout(),
            "dev.sigstore.fulcio.v2.CA SERVING\ndev.sigstore.rekor.v2.Rekor SERVING\n2\n"
        );
        assert!(server.terminate().success());
    }
}
