//! What Rekor 1.5.3 makes of proposed entries, and what is made of them here. The fixtures' README says where they are
//! from.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sealmark_entries::{Error, read_v1};
use serde::Deserialize;
use serde_json::Value;

/// An entry as it was proposed to Rekor's own code, and what came of it.
#[derive(Deserialize)]
struct Case {
    proposed: Value,
    /// More than one if Rekor has not always the same: of a key with several identities, it writes these in any order.
    #[serde(default)]
    bodies: Vec<String>,
    #[serde(default)]
    keys: Vec<String>,
    error: Option<String>,
}

fn cases() -> BTreeMap<String, Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rekor-1.5.3");
    let files = fs::read_dir(folder).expect("the fixtures are there");
    let files = files.map(|file| file.expect("a folder can be read").path());
    files
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            let name = path.file_stem().and_then(|name| name.to_str());
            let case = fs::read(&path).expect("a fixture can be read");
            let case = serde_json::from_slice(&case).expect("a fixture is as the README has it");
            (name.expect("names are plain").to_owned(), case)
        })
        .collect()
}

/// What Rekor takes and what is not taken here, with the reason that is given.
const NOT_HERE: [(&str, &str); 11] = [
    ("helm-dsa", "not supported: OpenPGP key"),
    ("helm-rsa1024", "an RSA key of 1024 bits is too weak"),
    ("rekord-pgp-dsa", "is a DSA key"),
    ("rekord-pgp-dsa-binary", "is a DSA key"),
    ("rekord-pgp-rsa1024", "an RSA key of 1024 bits is too weak"),
    (
        "rekord-pgp-rsa1024-binary",
        "an RSA key of 1024 bits is too weak",
    ),
    (
        "rekord-pgp-sha1",
        "not supported: signatures over SHA-1, of which one can be over two files",
    ),
    (
        "rekord-pgp-sha224",
        "not supported: OpenPGP signatures over the hash 11 (SHA-224)",
    ),
    // Rekor keeps these keys, so the entry cannot be made without them.
    ("rekord-pgp-with-dsa", "is a DSA key"),
    (
        "rekord-pgp-with-rsa1024",
        "an RSA key of 1024 bits is too weak",
    ),
    ("rekord-ssh-dsa", "not supported: SSH keys of the kind DSA"),
];
/// What Rekor does not take and what is taken here: all with Ed25519 in OpenPGP.
const MORE: [&str; 6] = [
    "helm-ed25519",
    "rekord-pgp-certified-by-ed25519",
    "rekord-pgp-ed25519",
    "rekord-pgp-ed25519-binary",
    "rekord-pgp-ed25519-subkey",
    "rekord-pgp-ed25519-subkey-signs",
];

#[test]
fn entries_are_those_of_rekor() {
    let mut wrong = Vec::new();
    let cases = cases();
    let named = NOT_HERE.iter().map(|(name, _)| name).chain(&MORE);
    for name in named {
        assert!(cases.contains_key(*name), "{name}");
    }
    for (name, case) in cases {
        let json = serde_json::to_vec(&case.proposed).unwrap();
        let refused = NOT_HERE.iter().find(|(not_here, _)| *not_here == name);
        match (read_v1(&json), &case.error) {
            (Ok(_), _) if refused.is_some() => wrong.push(format!("{name}: taken")),
            (Ok(proposed), None) => {
                let leaf = String::from_utf8(proposed.leaf).unwrap();
                if !case.bodies.contains(&leaf) {
                    wrong.push(format!("{name}: {leaf}\n{}", case.bodies[0]));
                }
                for key in &case.keys {
                    if !proposed.keys.contains(&key.to_lowercase()) {
                        wrong.push(format!("{name}: {key} is not in {:?}", proposed.keys));
                    }
                }
            }
            (Ok(_), Some(error)) if !MORE.contains(&&*name) => {
                wrong.push(format!("{name}: taken, and Rekor says {error}"));
            }
            (Err(error), None) => match refused {
                Some((_, reason)) if error.to_string().contains(reason) => {}
                _ => wrong.push(format!("{name}: {error}")),
            },
            (Err(Error::Malformed(error)), Some(_)) => wrong.push(format!("{name}: {error}")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
