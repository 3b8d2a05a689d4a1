//! Policies of logs and witnesses (<https://c2sp.org/tlog-policy>), and what is sent to a witness
//! (<https://c2sp.org/tlog-witness>).

#![allow(clippy::unwrap_used, reason = "tests")]

use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_tlog::note::{KeyKind, VerifierKey};
use sealmark_tlog::policy::{MAX_WITNESSES, Policy};
use sealmark_tlog::witness::{AddCheckpoint, MAX_PROOF_LINES};
use sealmark_tlog::{Checkpoint, Error, Hash, NoteSigner};

fn signer(kind: KeyKind, name: &str) -> NoteSigner {
    let algorithm = match kind {
        KeyKind::Spki => Algorithm::EcdsaP256,
        _ => Algorithm::Ed25519,
    };
    NoteSigner::new(name, kind, PrivateKey::generate(algorithm).unwrap()).unwrap()
}

fn vkey(kind: KeyKind, name: &str) -> String {
    signer(kind, name).verifier_key().unwrap().to_string()
}

/// A policy with the witnesses W0, W1 …, and then these lines.
fn policy(witnesses: usize, rest: &str) -> Result<Policy, Error> {
    let mut text = String::new();
    for number in 0..witnesses {
        let key = vkey(KeyKind::CosignatureV1, &format!("w{number}.example"));
        text += &format!("witness W{number} {key} https://w{number}.example/\n");
    }
    Policy::parse((text + rest).as_bytes())
}

#[test]
fn enough_witnesses_are_enough() {
    let nested = "group X 2 W0 W1 W2\ngroup Y any W3 W4\ngroup both all X Y\nquorum both\n";
    for (rest, enough, not_enough) in [
        (
            "quorum W1\n",
            &[&[1][..], &[0, 1]][..],
            &[&[][..], &[0, 2]][..],
        ),
        ("quorum none\n", &[&[], &[0]], &[]),
        ("group g any W0 W1\nquorum g", &[&[0], &[1]], &[&[], &[2]]),
        ("group g all W0 W1\nquorum g", &[&[0, 1]], &[&[0], &[1, 2]]),
        (
            nested,
            &[&[0, 2, 4], &[0, 1, 2, 3]],
            &[&[0, 1, 2], &[0, 3, 4]],
        ),
        // What is defined, and not part of the quorum, does not count.
        ("group g all W0 W1\nquorum W4\n", &[&[4]], &[&[0, 1]]),
        (
            "  # a comment\n\n\tgroup\tg  1 W0 W1 \n quorum g",
            &[&[0]],
            &[&[]],
        ),
    ] {
        let policy = policy(5, rest).unwrap();
        for (cases, expected) in [(enough, true), (not_enough, false)] {
            for have in cases {
                let satisfied = policy.is_satisfied(|at| have.contains(&at));
                assert_eq!(satisfied, expected, "{rest:?} with {have:?}");
            }
        }
    }
}

#[test]
fn a_policy_that_is_none_says_in_which_line() {
    for (rest, line, reason) in [
        ("", 0, "no line \"quorum NAME\""),
        ("quorum W0\nquorum W1\n", 4, "a quorum already"),
        ("quorum X\n", 3, "\"X\" was not defined before"),
        ("group g any W0 W9\nquorum g", 3, "\"W9\" was not defined"),
        ("group g any g\nquorum g", 3, "\"g\" was not defined before"),
        ("group g any W0 W0\nquorum g", 3, "counts once"),
        ("group g any W0\ngroup h any W0\nquorum h", 4, "counts once"),
        ("group g 3 W0 W1\nquorum g", 3, "\"3\" of 2 members"),
        ("group g 0 W0 W1\nquorum g", 3, "\"0\" of 2 members"),
        ("group g 01 W0 W1\nquorum g", 3, "\"01\" of 2 members"),
        ("group g most W0 W1\nquorum g", 3, "\"most\""),
        ("group g any\nquorum g", 3, "a group is"),
        ("group W0 any W1\nquorum W0", 3, "\"W0\" is defined twice"),
        ("group none any W1\nquorum none", 3, "none cannot be"),
        ("group g any none\nquorum g", 3, "\"none\" was not defined"),
        ("quorum\n", 3, "a quorum is"),
        ("# \u{7}\n", 3, "control character 0x07"),
        ("quorum W0\r\n", 3, "control character 0x0d"),
        ("witness W9\n", 3, "a witness is"),
        ("witness W9 nonsense\n", 3, "is not a verifier key"),
        ("log\n", 3, "a log is"),
        ("quora W0\n", 3, "\"quora\" is not log"),
    ] {
        match policy(2, rest).unwrap_err() {
            Error::Policy {
                line: found,
                reason: because,
            } => {
                assert_eq!(found, line, "{rest:?}: {because}");
                assert!(because.contains(reason), "{rest:?}: {because}");
            }
            other => panic!("{other}"),
        }
    }
    let most = policy(MAX_WITNESSES, "quorum W0").unwrap();
    assert_eq!(most.witnesses.len(), MAX_WITNESSES);
    assert!(policy(MAX_WITNESSES + 1, "quorum W0").is_err());
    assert!(Policy::parse(&vec![b' '; 1 << 20]).is_err());
}

#[test]
fn logs_and_witnesses_have_keys_of_their_kind_once() {
    let (log, rekor) = (vkey(KeyKind::Ed25519, "log"), vkey(KeyKind::Spki, "rekor"));
    let witness = vkey(KeyKind::CosignatureV1, "w");
    let text = format!("log {log}\nlog {rekor} https://r.example\nwitness W {witness}\nquorum W");
    let policy = Policy::parse(text.as_bytes()).unwrap();
    assert_eq!(policy.logs[0].key.name(), "log");
    assert_eq!(policy.logs[1].url.as_deref(), Some("https://r.example"));
    assert_eq!(policy.witnesses[0].key.to_string(), witness);
    for wrong in [
        format!("log {witness}\nquorum none"),
        format!("witness W {rekor}\nquorum none"),
        format!("log {log}\nlog {log}\nquorum none"),
        format!("witness A {witness}\nwitness B {witness}\nquorum none"),
    ] {
        assert!(Policy::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
    // Names are bytes, and need not be text.
    let odd = [b"witness \xff ", witness.as_bytes(), b"\nquorum \xff\n"].concat();
    assert!(Policy::parse(&odd).unwrap().wants_witnesses());
}

#[test]
fn a_checkpoint_is_cosigned_when_the_quorum_has_signed_it() {
    let log = signer(KeyKind::Ed25519, "log.example");
    let witnesses =
        ["a.example", "b.example", "c.example"].map(|name| signer(KeyKind::CosignatureV1, name));
    let lines = ["A", "B", "C"].into_iter().zip(&witnesses);
    let lines =
        lines.map(|(name, key)| format!("witness {name} {}\n", key.verifier_key().unwrap()));
    let text = lines.collect::<String>() + "group two 2 A B C\nquorum two\n";
    let policy = Policy::parse(text.as_bytes()).unwrap();
    let checkpoint = Checkpoint {
        origin: "log.example".to_owned(),
        size: 1,
        root: Hash::from([7; 32]),
        extensions: Vec::new(),
    };
    let [a, b, _] = witnesses;
    let one = checkpoint.sign(1, &[log.clone(), a.clone()]).unwrap();
    assert!(!policy.is_cosigned(&one));
    let mut two = checkpoint.sign(1, &[log, a, b]).unwrap();
    assert!(policy.is_cosigned(&two));
    two.signatures[2].signature[20] ^= 1;
    assert!(!policy.is_cosigned(&two));
}

#[test]
fn a_verifier_key_is_read_as_it_was_written() {
    for kind in [KeyKind::Ed25519, KeyKind::CosignatureV1, KeyKind::Spki] {
        let signer = signer(kind, "name.example/2026");
        let key = signer.verifier_key().unwrap();
        assert_eq!(key.to_string().parse::<VerifierKey>().unwrap(), key);
        let checkpoint = "name.example/2026\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
        let note = sealmark_tlog::Note::sign(checkpoint, 1, &[signer]).unwrap();
        assert_eq!(key.verify(&note).unwrap().kind, kind);
    }
    let key = PrivateKey::generate(Algorithm::Rsa2048).unwrap();
    let signer = NoteSigner::log("rsa.example", key).unwrap();
    assert!(signer.verifier_key().is_err());
    let text = vkey(KeyKind::Ed25519, "a");
    for wrong in ["", "a+b", &text.replace('a', "b"), &text[..text.len() - 4]] {
        assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
    }
}

#[test]
fn a_request_to_a_witness_is_read_as_it_was_written() {
    let checkpoint =
        "log\n5\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\u{2014} log AAAAAAAA\n";
    let request = AddCheckpoint {
        old_size: 3,
        proof: vec![Hash::from([1; 32]); MAX_PROOF_LINES],
        checkpoint: checkpoint.to_owned(),
    };
    assert_eq!(AddCheckpoint::parse(&request.to_string()).unwrap(), request);
    let first = format!("old 0\n\n{checkpoint}");
    assert_eq!(AddCheckpoint::parse(&first).unwrap().proof, []);
    let hash = Hash::from([1; 32]).to_base64();
    for wrong in [
        String::new(),
        "old 0\n".to_owned(),
        format!("old 01\n\n{checkpoint}"),
        format!("old -1\n\n{checkpoint}"),
        format!("old  1\n\n{checkpoint}"),
        format!("new 0\n\n{checkpoint}"),
        format!("old 0\nabc\n\n{checkpoint}"),
        format!("old 0\n{hash} \n\n{checkpoint}"),
        format!("old 1\n{}\n{checkpoint}", format!("{hash}\n").repeat(64)),
    ] {
        assert!(AddCheckpoint::parse(&wrong).is_err(), "{wrong:?}");
    }
}
