//! The test vectors of Project Wycheproof as signatures over files: every one by the verifier, and of each kind of edge
//! case one by the program. `sealmark-keys` checks the same vectors scheme by scheme; here only the key says which
//! schemes count, as it is for users.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::PublicKey;
use sealmark_sign::blob;
use sealmark_testkit::Sandbox;
use sealmark_verify::artifact::{Bytes, needed_hashes};
use sealmark_verify::report::Verdict;
use sealmark_verify::{Artifact, Demand, Kind, Policy, Requirement, Signer, TrustedMaterial};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");

/// What is expected of a file of vectors.
#[derive(Clone, Copy)]
enum Expect {
    /// Good is what is valid; what is only acceptable is refused, as no signer makes it.
    Valid,
    /// Nothing is good, and why.
    Never(&'static str),
}

use Expect::{Never, Valid};

/// Not a hash that signers with such keys use; a bundle that names it is another matter.
const OTHER_HASH: &str = "the hash is not one of the key's";
/// As cosign: DER is what every signer writes.
const NOT_DER: &str = "the signature is r and s side by side, and not DER";
const NO_KEY: &str = "keys of this kind are not supported";
/// As Go's `PSSSaltLengthEqualsHash`; no signer of Sigstore makes another.
const SALT: &str = "the salt is not as long as the hash";

/// Vectors that are not valid in the scheme of their file, and good here: they are signatures by the key in another of
/// its schemes. An RSA key says neither PKCS#1 v1.5 nor PSS, and cosign's users have both; where a certificate or a log
/// names the scheme, only that counts.
const OTHER_SCHEME: &[&str] = &[
    // PSS with SHA-256, among those of PKCS#1 v1.5.
    "Rsa2048Sha256 257",
    "Rsa3072Sha256 258",
    "Rsa4096Sha256 258",
    "Rsa8192Sha256 258",
    // SHA-256 "instead of" the file's hash.
    "Rsa2048Sha224 219",
    "Rsa2048Sha384 221",
    "Rsa4096Sha512 222",
    // PKCS#1 v1.5 with SHA-256, among those of PSS.
    "RsaPss2048Sha256Mgf1SaltLen32 108",
    "RsaPss3072Sha256Mgf1SaltLen32 108",
    "RsaPss4096Sha256Mgf1SaltLen32 108",
    "RsaPss2048Sha256Mgf1SaltLen0 103",
    "RsaPss2048Sha1Mgf1SaltLen20 88",
    "RsaPss2048Sha384Mgf1SaltLen48 140",
    "RsaPss4096Sha512Mgf1SaltLen64 178",
    // A salt of 32 bytes "instead of" none.
    "RsaPss2048Sha256Mgf1SaltLen0 69",
];

struct Vector {
    name: String,
    flags: Vec<String>,
    key: String,
    message: Vec<u8>,
    signature: Vec<u8>,
    good: bool,
}

/// The vectors of a file; the four modules have types of their own, with the same fields.
macro_rules! vectors {
    ($module:ident, $table:expr) => {
        $table
            .into_iter()
            .map(|(name, expected)| {
                let groups = $module::TestSet::load(name).unwrap().test_groups;
                let vectors = groups.into_iter().flat_map(move |group| {
                    group.tests.into_iter().map(move |test| Vector {
                        name: format!("{name:?} {}: {}", test.tc_id, test.comment),
                        flags: test.flags.iter().map(|flag| format!("{flag:?}")).collect(),
                        key: group.pem.clone(),
                        message: test.msg.to_vec(),
                        signature: test.sig.to_vec(),
                        good: OTHER_SCHEME.contains(&format!("{name:?} {}", test.tc_id).as_str())
                            || (matches!(expected, Valid) && test.result == TestResult::Valid),
                    })
                });
                (expected, vectors.collect())
            })
            .collect::<Vec<(Expect, Vec<Vector>)>>()
    };
}

fn ecdsa_files() -> Vec<(Expect, Vec<Vector>)> {
    use ecdsa::TestName::*;
    vectors!(
        ecdsa,
        [
            (EcdsaSecp256r1Sha256, Valid),
            (EcdsaSecp384r1Sha384, Valid),
            // As older clients signed with P-384 keys.
            (EcdsaSecp384r1Sha256, Valid),
            (EcdsaSecp521r1Sha512, Valid),
            (EcdsaSecp256r1Sha512, Never(OTHER_HASH)),
            (EcdsaSecp256r1Sha3_256, Never(OTHER_HASH)),
            (EcdsaSecp384r1Sha512, Never(OTHER_HASH)),
            (EcdsaSecp256r1Sha256P1363, Never(NOT_DER)),
            (EcdsaSecp384r1Sha384P1363, Never(NOT_DER)),
            (EcdsaSecp521r1Sha512P1363, Never(NOT_DER)),
            (EcdsaSecp224r1Sha256, Never(NO_KEY)),
            (EcdsaSecp256k1Sha256, Never(NO_KEY)),
            (EcdsaBrainpool256r1Sha256, Never(NO_KEY)),
        ]
    )
}

fn ed25519_files() -> Vec<(Expect, Vec<Vector>)> {
    use eddsa::TestName::*;
    vectors!(eddsa, [(Ed25519, Valid), (Ed448, Never(NO_KEY))])
}

fn rsa_pkcs1_files() -> Vec<(Expect, Vec<Vector>)> {
    use rsa_pkcs1_verify::TestName::*;
    vectors!(
        rsa_pkcs1_verify,
        [
            (Rsa2048Sha256, Valid),
            (Rsa3072Sha256, Valid),
            (Rsa4096Sha256, Valid),
            (Rsa8192Sha256, Valid),
            (Rsa2048Sha224, Never(OTHER_HASH)),
            (Rsa2048Sha384, Never(OTHER_HASH)),
            (Rsa4096Sha512, Never(OTHER_HASH)),
        ]
    )
}

fn rsa_pss_files() -> Vec<(Expect, Vec<Vector>)> {
    use rsa_pss_verify::TestName::*;
    vectors!(
        rsa_pss_verify,
        [
            (RsaPss2048Sha256Mgf1SaltLen32, Valid),
            (RsaPss3072Sha256Mgf1SaltLen32, Valid),
            (RsaPss4096Sha256Mgf1SaltLen32, Valid),
            (RsaPss2048Sha256Mgf1SaltLen0, Never(SALT)),
            (RsaPss2048Sha1Mgf1SaltLen20, Never(OTHER_HASH)),
            (RsaPss2048Sha384Mgf1SaltLen48, Never(OTHER_HASH)),
            (RsaPss4096Sha512Mgf1SaltLen64, Never(OTHER_HASH)),
        ]
    )
}

struct Slice<'a>(&'a [u8]);

impl Bytes for Slice<'_> {
    fn read(&self, sink: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        self.0.chunks(17).for_each(sink);
        Ok(())
    }
}

/// As `verify-blob --key K --signature S --insecure-ignore-tlog FILE` verifies it.
fn verifies(key: &PublicKey, vector: &Vector) -> bool {
    let policy = Policy::from(Demand {
        log: Requirement::not_checked("as the user asked"),
        timestamp: Requirement::not_checked("as the user asked"),
        ..Demand::new(Kind::BlobSignature, vec![Signer::Key(key.clone())])
    });
    let evidence = [blob::detached("file".to_owned(), vector.signature.clone())];
    let more_digests = needed_hashes(&evidence, &policy)
        .into_iter()
        .filter(|hash| *hash != HashAlgorithm::Sha256)
        .map(|hash| Digest::of(hash, &vector.message))
        .collect();
    let artifact = Artifact {
        digest: Digest::sha256(&vector.message),
        more_digests,
        bytes: Some(&Slice(&vector.message)),
    };
    let trust = TrustedMaterial::default();
    sealmark_verify::verify(&artifact, &evidence, &trust, &policy, 0).verdict == Verdict::Verified
}

/// Every vector of the files; at least so many must be good, and so many not.
fn check_all(files: Vec<(Expect, Vec<Vector>)>, at_least: (usize, usize)) {
    let (mut good, mut bad, mut wrong) = (0, 0, Vec::new());
    for (expected, vectors) in files {
        for vector in vectors {
            let key = PublicKey::from_pem(vector.key.as_bytes());
            if let Never(NO_KEY) = expected {
                assert!(key.is_err(), "{}", vector.name);
                bad += 1;
                continue;
            }
            let verified = verifies(&key.unwrap(), &vector);
            if verified != vector.good {
                wrong.push(vector.name);
            }
            if verified { good += 1 } else { bad += 1 }
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
    assert!(
        good >= at_least.0 && bad >= at_least.1,
        "{good} good, {bad} bad"
    );
}

#[test]
fn every_ecdsa_vector() {
    check_all(ecdsa_files(), (500, 3000));
}

#[test]
fn every_ed25519_vector() {
    check_all(ed25519_files(), (80, 130));
}

#[test]
fn every_rsa_pkcs1_vector() {
    check_all(rsa_pkcs1_files(), (20, 1000));
}

#[test]
fn every_rsa_pss_vector() {
    check_all(rsa_pss_files(), (100, 300));
}

/// Of each file one good and one bad vector for each kind of edge case; of a file in which nothing should be good, one
/// that is and one that is not.
fn sample(files: Vec<(Expect, Vec<Vector>)>) -> Vec<(Expect, Vector)> {
    let mut sample = Vec::new();
    for (expected, vectors) in files {
        let mut seen = BTreeSet::new();
        for vector in vectors {
            let new = match expected {
                Never(_) => seen.insert((String::new(), vector.good)),
                Valid => {
                    let mut kinds = vector.flags.clone();
                    kinds.push(String::new());
                    let before = seen.len();
                    seen.extend(kinds.into_iter().map(|kind| (kind, vector.good)));
                    seen.len() > before
                }
            };
            if new {
                sample.push((expected, vector));
            }
        }
    }
    sample
}

fn check_by_program(files: Vec<(Expect, Vec<Vector>)>, at_least: usize) {
    let sandbox = Sandbox::new();
    let sample = sample(files);
    assert!(sample.len() >= at_least, "{}", sample.len());
    for (expected, vector) in sample {
        sandbox.write("key.pub", &vector.key);
        sandbox.write("file", &vector.message);
        // Bytes that happen to be letters of base64 are taken for it, so it is given as base64.
        sandbox.write("file.sig", STANDARD.encode(&vector.signature));
        let finished = sandbox
            .command(SEALMARK)
            .args(["verify-blob", "--insecure-ignore-tlog", "--key", "key.pub"])
            .args(["--signature", "file.sig", "file"])
            .run();
        let exit = match expected {
            _ if vector.good => 0,
            Never(NO_KEY) => 1,
            _ => 12,
        };
        let (stdout, stderr) = (finished.stdout(), finished.stderr());
        assert_eq!(
            finished.exit_code(),
            Some(exit),
            "{}: {stderr}",
            vector.name
        );
        assert_eq!(
            stdout.starts_with("verified file"),
            vector.good,
            "{}: {stdout}",
            vector.name
        );
    }
}

#[test]
fn edge_cases_of_ecdsa_by_the_program() {
    check_by_program(ecdsa_files(), 50);
}

#[test]
fn edge_cases_of_ed25519_by_the_program() {
    check_by_program(ed25519_files(), 8);
}

#[test]
fn edge_cases_of_rsa_by_the_program() {
    check_by_program(rsa_pkcs1_files(), 30);
    check_by_program(rsa_pss_files(), 10);
}
