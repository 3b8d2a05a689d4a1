//! `serve` is killed, again and again, while people get certificates, and while it is started for the first time. No
//! certificate that anybody received has a promise that the CT log does not keep, and no key is ever another.
//!
//! `SEALMARK_KILL_ROUNDS` says how often it is killed; 6 times if it does not.

#![allow(clippy::unwrap_used, reason = "tests")]

mod world;

use std::collections::{BTreeMap, HashMap};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::{PublicKey, Scheme};
use sealmark_tlog::Hash;
use sealmark_tlog::merkle::{leaf_hash, verify_consistency, verify_inclusion};
use sealmark_x509::{Certificate, verify_embedded_sct};
use serde_json::Value;

use world::*;

/// People who ask for certificates at once.
const PEOPLE: usize = 8;
/// Certificates whose inclusion is proven one by one, besides those whose entry is read.
const PROVEN: usize = 60;

/// A tree head, as the log showed it.
#[derive(Clone, Debug)]
struct Head {
    size: u64,
    root: Hash,
}

fn head(address: &str) -> Option<Head> {
    let sth = ask(address, "/ct/ct/v1/get-sth")?;
    Some(Head {
        size: sth["tree_size"].as_u64()?,
        root: Hash::from_base64(sth["sha256_root_hash"].as_str()?)?,
    })
}

/// What was seen of the instance from outside, in all rounds.
#[derive(Default)]
struct Seen {
    certificates: Vec<Vec<Certificate>>,
    heads: Vec<Head>,
}

#[test]
fn no_certificate_has_a_promise_that_the_log_lacks() {
    let rounds = std::env::var("SEALMARK_KILL_ROUNDS");
    let rounds: u64 = rounds.map_or(6, |rounds| rounds.parse().unwrap());
    let world = World::new();
    let (mut server, url) = world.serve("127.0.0.1:0");
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let ct_key = PublicKey::from_pem(world.sandbox.read("instance/ctfe.pub").as_bytes()).unwrap();
    let seen = Mutex::new(Seen::default());
    let mut moment = 0x2545_f491_4f6c_dd1d_u64 ^ u64::from(std::process::id());
    for round in 0..rounds {
        moment ^= moment << 13;
        moment ^= moment >> 7;
        moment ^= moment << 17;
        let wait = Duration::from_millis(moment % 900);
        std::thread::scope(|scope| {
            for _ in 0..PEOPLE {
                scope.spawn(|| {
                    // Until it is killed.
                    while let Some(chain) = world.certificate(&address) {
                        seen.lock().unwrap().certificates.push(chain);
                    }
                });
            }
            scope.spawn(|| {
                while let Some(head) = head(&address) {
                    seen.lock().unwrap().heads.push(head);
                }
            });
            std::thread::sleep(wait);
            server.kill();
        });
        (server, _) = world.serve(&address);
        check(&address, &ct_key, &seen.lock().unwrap(), round);
    }
    let seen = seen.into_inner().unwrap();
    let (certificates, heads) = (seen.certificates.len(), seen.heads.len());
    println!("{rounds} kills: {certificates} certificates and {heads} tree heads, all kept");
    assert!(certificates > 0 && heads > 0);
    assert!(server.terminate().success());
}

fn check(address: &str, ct_key: &PublicKey, seen: &Seen, round: u64) {
    let now = head(address).unwrap();
    let mut indices = HashMap::new();
    let mut entries: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    while (entries.len() as u64) < now.size {
        let next = entries.len() as u64;
        let path = format!("/ct/ct/v1/get-entries?start={next}&end={}", now.size - 1);
        let answer = ask(address, &path).unwrap();
        for entry in answer["entries"].as_array().unwrap() {
            let leaf = STANDARD.decode(entry["leaf_input"].as_str().unwrap());
            entries.insert(entries.len() as u64, leaf.unwrap());
        }
    }
    for (at, chain) in seen.certificates.iter().enumerate() {
        let [leaf, ca, _root] = &chain[..] else {
            panic!("{} certificates", chain.len())
        };
        let [sct] = leaf.signed_certificate_timestamps() else {
            panic!("one promise")
        };
        verify_embedded_sct(leaf, ca, sct, ct_key).unwrap();
        let index = u64::from_be_bytes(sct.extensions.clone().try_into().unwrap()) & 0xff_ffff_ffff;
        let serial = leaf.serial().to_string();
        let twice = indices.insert(index, serial.clone());
        assert_eq!(twice, None, "round {round}: index {index} twice");
        let entry = entries.get(&index);
        let entry =
            entry.unwrap_or_else(|| panic!("round {round}: no entry {index} of {}", now.size));
        // The leaf is the very bytes that the promise signs (RFC 6962, sections 3.2 and 3.4).
        let kept = ct_key.verify_scheme(Scheme::EcdsaSha256, entry, &sct.signature);
        assert!(
            kept.is_ok(),
            "round {round}: entry {index} is not that of {serial}"
        );
        if at % seen.certificates.len().div_ceil(PROVEN) == 0 {
            let hash = leaf_hash(entry);
            let query = percent(&hash.to_base64());
            let path = format!(
                "/ct/ct/v1/get-proof-by-hash?hash={query}&tree_size={}",
                now.size
            );
            let proof = ask(address, &path).unwrap();
            assert_eq!(proof["leaf_index"], index);
            let path = hashes(&proof["audit_path"]);
            verify_inclusion(index, now.size, &hash, &path, &now.root).unwrap();
        }
    }
    let step = seen.heads.len().div_ceil(PROVEN).max(1);
    for old in seen.heads.iter().step_by(step) {
        assert!(old.size <= now.size, "round {round}: {old:?} {now:?}");
        if old.size == 0 {
            continue;
        }
        let path = format!(
            "/ct/ct/v1/get-sth-consistency?first={}&second={}",
            old.size, now.size
        );
        let proof = hashes(&ask(address, &path).unwrap()["consistency"]);
        verify_consistency(old.size, now.size, &old.root, &now.root, &proof).unwrap();
    }
}

fn hashes(json: &Value) -> Vec<Hash> {
    let each = json.as_array().unwrap().iter();
    each.map(|hash| Hash::from_base64(hash.as_str().unwrap()).unwrap())
        .collect()
}

fn percent(base64: &str) -> String {
    base64
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
}

#[test]
fn a_first_start_that_is_killed_anywhere_is_finished_by_the_next() {
    const MOMENTS: u32 = 12;
    let began = Instant::now();
    let world = World::new();
    let (server, _) = world.serve("127.0.0.1:0");
    let whole = began.elapsed();
    assert!(server.terminate().success());
    let mut caught = 0;
    for moment in 0..MOMENTS {
        let world = World::new();
        let mut child = Command::new(SEALMARK)
            .args(world.words("127.0.0.1:0"))
            .args(["--url", URL])
            .current_dir(world.sandbox.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(whole * moment / MOMENTS);
        child.kill().unwrap();
        child.wait().unwrap();
        let before = world.keys();
        let (server, _) = world.serve_as(URL);
        let after = world.keys();
        for (key, content) in &before {
            assert_eq!(
                after.get(key),
                Some(content),
                "{moment}: {key:?} is another"
            );
        }
        caught += usize::from(!before.is_empty() && before.len() < after.len());
        assert!(server.terminate().success());
        let files = ["fulcio.pem", "ctfe.pub", "trusted_root.json"];
        let for_clients = || files.map(|name| world.sandbox.read(format!("instance/{name}")));
        let first = for_clients();
        let (server, _) = world.serve_as(URL);
        assert_eq!(for_clients(), first, "{moment}");
        assert_eq!(world.keys(), after, "{moment}");
        assert!(server.terminate().success());
    }
    println!("{caught} of {MOMENTS} kills between the first key and the last");
}
