//! What strangers may send: entries whose data, signature or key is not what it was, and keys that were made to cost much.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_entries::read_v1;
use serde_json::Value;

const DATA: &str = "/spec/data/content";
const SIGNATURE: &str = "/spec/signature/content";
const KEY: &str = "/spec/signature/publicKey/content";

fn proposed(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rekor-1.5.3");
    let case = fs::read(folder.join(format!("{name}.json"))).expect("the fixture is there");
    let mut case: Value = serde_json::from_slice(&case).expect("it is JSON");
    case["proposed"].take()
}

fn bytes(entry: &Value, place: &str) -> Vec<u8> {
    let text = entry.pointer(place).and_then(Value::as_str);
    STANDARD
        .decode(text.expect("it has this part"))
        .expect("it is base64")
}

/// The entry with other bytes in this place.
fn with(entry: &Value, place: &str, bytes: &[u8]) -> Value {
    let mut entry = entry.clone();
    *entry.pointer_mut(place).expect("it has this part") = Value::from(STANDARD.encode(bytes));
    entry
}

fn check(entry: &Value) -> Result<Vec<u8>, String> {
    read_v1(entry.to_string().as_bytes())
        .map(|proposed| proposed.leaf)
        .map_err(|error| error.to_string())
}

const ENTRIES: [&str; 9] = [
    "rekord-pgp-rsa2048-binary",
    "rekord-pgp-p256-binary",
    "rekord-pgp-ed25519-binary",
    "rekord-pgp-signing-subkey",
    "rekord-minisign",
    "rekord-minisign-legacy",
    "rekord-ssh-ed25519",
    "rekord-ssh-ecdsa384",
    "rekord-x509-rsa2048",
];

#[test]
fn no_other_data_is_signed() {
    for name in ENTRIES {
        let entry = proposed(name);
        assert!(check(&entry).is_ok(), "{name}");
        let data = bytes(&entry, DATA);
        for at in 0..data.len() {
            let mut changed = data.clone();
            changed[at] ^= 0x20;
            assert!(check(&with(&entry, DATA, &changed)).is_err(), "{name} {at}");
        }
        for longer in [[&data[..], b"\n"].concat(), [b"\n", &data[..]].concat()] {
            assert!(check(&with(&entry, DATA, &longer)).is_err(), "{name}");
        }
    }
}

/// Texts have places that nothing depends on, and Rekor keeps some of them; bytes have hardly any: what is not signed of
/// an OpenPGP signature is in the entry.
#[test]
fn a_changed_signature_is_refused_or_another_entry() {
    for name in [
        "rekord-pgp-rsa2048-binary",
        "rekord-pgp-p256-binary",
        "rekord-pgp-ed25519-binary",
        "rekord-x509-rsa2048",
        "rekord-x509-p256",
    ] {
        let entry = proposed(name);
        let leaf = check(&entry).expect("it is taken");
        let sent = bytes(&entry, SIGNATURE);
        for at in 0..sent.len() {
            let mut changed = sent.clone();
            changed[at] ^= 1;
            let other = check(&with(&entry, SIGNATURE, &changed));
            assert!(other != Ok(leaf.clone()), "{name} {at}");
            let cut = check(&with(&entry, SIGNATURE, &sent[..at]));
            assert!(cut.is_err(), "{name} {at}");
        }
    }
}

/// The packets of an OpenPGP file with their headers, which GnuPG writes in the old format.
fn packets(file: &[u8]) -> Vec<&[u8]> {
    let (mut packets, mut rest) = (Vec::new(), file);
    while let [first, lengths @ ..] = rest {
        let count = 1_usize << (first & 3);
        let length = lengths[..count]
            .iter()
            .fold(0, |n, byte| n << 8 | usize::from(*byte));
        let (packet, after) = rest.split_at(1 + count + length);
        packets.push(packet);
        rest = after;
    }
    packets
}

#[test]
fn keys_that_were_made_to_cost_much_are_refused() {
    let entry = proposed("rekord-pgp-rsa2048-binary");
    let key = bytes(&entry, KEY);
    let parts = packets(&key);
    let [primary, id, certification, subkey, binding] = parts.as_slice() else {
        panic!("{} packets", parts.len());
    };
    let many = |part: &[u8], count: usize| part.repeat(count);
    let long_id = [&[0xb5, 0x08, 0x01][..], &[b'x'; 2049]].concat();
    for (key, reason) in [
        (
            [*primary, id, &many(certification, 300)].concat(),
            "not supported: OpenPGP keyrings with more than 256 signatures by their own keys",
        ),
        (
            [*primary, id, certification, subkey, &many(binding, 300)].concat(),
            "not supported: OpenPGP keyrings with more than 256 signatures by their own keys",
        ),
        (
            many(&[*primary, id, certification].concat(), 300),
            "not supported: OpenPGP keyrings with more than 256 signatures by their own keys",
        ),
        (
            [*primary, &many(id, 5000)].concat(),
            "not a valid OpenPGP packet: there are more than 4096",
        ),
        (
            [*primary, &long_id, certification].concat(),
            "not supported: OpenPGP user ids of more than 2048 bytes",
        ),
        (
            many(&key, 1000),
            "not supported: OpenPGP keyrings of more than 1024 KiB",
        ),
        (
            [*primary, id].concat(),
            "not a valid OpenPGP key: a key has no identity that it signed",
        ),
        (
            [*primary, id, certification, subkey].concat(),
            "not a valid OpenPGP key: a subkey is not bound to its primary key",
        ),
        (
            [&[0xc6, 0xff, 0xff, 0xff, 0xff, 0xff], *primary].concat(),
            "not a valid OpenPGP packet: it is cut off",
        ),
        (
            [&[0xc6, 0xe1], *primary].concat(),
            "not supported: OpenPGP packets of partial length",
        ),
    ] {
        let started = Instant::now();
        let error = check(&with(&entry, KEY, &key)).expect_err(reason);
        assert!(error.ends_with(reason), "{error}\n{reason}");
        assert!(started.elapsed() < Duration::from_secs(5), "{reason}");
    }
    let secret = proposed("rekord-pgp-secret-key");
    let error = check(&secret).expect_err("private keys are not taken");
    assert!(error.contains("send the public key alone"), "{error}");
}

/// A key that is not this one's, moved under it: Go checks what binds them, and so is it here.
#[test]
fn parts_of_another_key_do_not_sign() {
    let (victim, attacker) = (
        proposed("rekord-pgp-rsa2048-binary"),
        proposed("rekord-pgp-p256-binary"),
    );
    let (key, other) = (bytes(&victim, KEY), bytes(&attacker, KEY));
    let (key, other) = (packets(&key), packets(&other));
    let mut stolen = other[0].to_vec();
    // A public key as a subkey: tag 14 instead of 6.
    stolen[0] = (14 << 2) | 0x80 | (stolen[0] & 3);
    let stolen = stolen.as_slice();
    for parts in [
        vec![key[0], key[1], key[2], stolen, key[4]],
        vec![key[0], key[1], key[2], stolen, other[2]],
        vec![key[0], key[1], key[2], stolen],
        vec![key[0], key[1], other[2]],
        vec![other[0], key[1], key[2]],
        vec![key[0], other[1], key[2]],
    ] {
        let entry = with(&attacker, KEY, &parts.concat());
        assert!(check(&entry).is_err());
    }
}

#[test]
fn ssh_keys_of_other_kinds_are_named() {
    let entry = proposed("rekord-ssh-ed25519");
    let blob = |kind: &str| {
        let mut blob = (kind.len() as u32).to_be_bytes().to_vec();
        blob.extend(kind.bytes());
        format!("{kind} {} comment\n", STANDARD.encode(blob))
    };
    for (line, reason) in [
        (blob("ssh-dss"), "not supported: SSH keys of the kind DSA"),
        (
            blob("sk-ssh-ed25519@openssh.com"),
            "not supported: SSH keys of the kind security key",
        ),
        (
            blob("ssh-ed25519-cert-v01@openssh.com"),
            "not supported: SSH keys of the kind certificate",
        ),
        (blob("ssh-ed25519"), "it is cut off"),
        (
            blob("ssh-unknown"),
            "there is no line with the type of a key",
        ),
        (
            String::new() + "hello\n",
            "there is no line with the type of a key",
        ),
        (
            "# nothing\n".to_owned(),
            "there is no line with the type of a key",
        ),
    ] {
        let error = check(&with(&entry, KEY, line.as_bytes())).expect_err(reason);
        assert!(error.contains(reason), "{error}\n{reason}");
    }
}
