//! How many bundles one process verifies in a second of a core, beside what their signature checks alone would allow.
//!
//! Nothing is kept from one bundle to the next but the trusted material: each is read from its JSON, and every one of
//! its signatures is checked. The floor is the cost of those checks with the same library, keys read beforehand.
//! Writes one JSON object a line, one for each bundle; `cargo xtask bench verify-many` makes a table of them.
//!
//! ```console
//! $ cargo bench -p sealmark-verify --bench verify_many -- --rounds 5
//! ```

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as sig, KeyPair as _, ParsedPublicKey};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use sealmark_formats::trusted_root::TrustedRoot;
use sealmark_formats::{Bundle, Digest};
use sealmark_keys::{Curve, KeyType};
use sealmark_verify::evidence::{Content, Evidence, Layout, Source};
use sealmark_verify::policy::{Identity, Match};
use sealmark_verify::report::Verdict;
use sealmark_verify::trust::Authority;
use sealmark_verify::{Artifact, Demand, Kind, Policy, Signer, TrustedMaterial, verify};
use sealmark_x509::{Certificate, TimestampToken};

/// So many bundles are verified in a round, unless `--bundles` says otherwise: a profiler is content with less.
const BUNDLES: usize = 1000;

/// So many checks of one kind are timed in a round: some hundredths of a second of the slowest kind.
const CHECKS: u32 = 300;

/// Rounds that are measured, after one to warm up, unless `--rounds` says otherwise.
const ROUNDS: usize = 5;

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!(
            "../../conformance/tests/fixtures/bundle-verify/",
            $path
        ))
    };
}

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// A bundle, and whom to believe.
struct Case {
    name: &'static str,
    bundle: &'static [u8],
    trusted_root: &'static [u8],
}

const CASES: [Case; 2] = [
    Case {
        name: "rekor-v1",
        bundle: fixture!("happy-path-intoto-in-dsse-v3/bundle.sigstore.json"),
        trusted_root: include_bytes!("../../trust/embedded/trusted_root.json"),
    },
    Case {
        name: "rekor-v2-timestamp",
        bundle: fixture!("rekor2-checkpoint-cosigned/bundle.sigstore.json"),
        trusted_root: fixture!("rekor2-checkpoint-cosigned/trusted_root.json"),
    },
];

fn main() {
    let rounds = option("--rounds").unwrap_or(ROUNDS);
    let bundles = option("--bundles").unwrap_or(BUNDLES);
    for case in &CASES {
        Measured::new(case, rounds, bundles).print(case.name);
    }
}

/// `cargo bench` adds options of its own, which mean nothing here.
fn option(name: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|word| word != name);
    arguments.nth(1)?.parse().ok()
}

/// Everything that stays the same from bundle to bundle.
struct Setting {
    bundle: &'static [u8],
    trust: TrustedMaterial,
    policy: Policy,
    artifact: Digest,
    now: i64,
}

impl Setting {
    fn new(case: &Case) -> Self {
        let root = TrustedRoot::parse(case.trusted_root).expect("a trusted root");
        let identity = Identity {
            issuer: Match::Exact(ISSUER.to_owned()),
            subject: Match::Exact(IDENTITY.to_owned()),
            extensions: Vec::new(),
        };
        let signers = vec![Signer::Identity(identity)];
        Self {
            bundle: case.bundle,
            trust: TrustedMaterial::new(&root),
            policy: Demand::new(Kind::BlobSignatureOrStatement, signers).into(),
            artifact: Digest::sha256(fixture!("a.txt")),
            now: 1_780_000_000,
        }
    }

    /// Verifies one bundle, from its JSON.
    fn verify(&self) {
        let evidence = [Evidence {
            source: Source {
                layout: Layout::File,
                manifest: None,
                location: "bundle.sigstore.json".to_owned(),
            },
            content: Content::from_bundle(black_box(self.bundle)),
        }];
        let report = verify(
            &Artifact::by_digest(self.artifact.clone()),
            &evidence,
            &self.trust,
            &self.policy,
            self.now,
        );
        assert_eq!(report.verdict, Verdict::Verified, "{report:?}");
    }

    /// The keys of all signatures that have to be checked, each as often as there are signatures by it.
    fn signatures(&self) -> Vec<KeyType> {
        let bundle = Bundle::parse(self.bundle).expect("a bundle");
        let sealmark_formats::bundle::Material::Certificate(der) = &bundle.material else {
            panic!("a keyless bundle of version 0.3");
        };
        let leaf = Certificate::from_der(der).expect("a certificate");
        let mut keys = vec![key_type(&leaf)];
        let authorities = &self.trust.authorities;
        keys.extend(
            authorities
                .iter()
                .find_map(|ca| issuers(&leaf, ca))
                .into_iter()
                .flatten(),
        );
        for sct in leaf.signed_certificate_timestamps() {
            let log = self.trust.ct_logs.iter().find(|log| log.id == sct.log_id);
            keys.extend(log.map(|log| log.key.key_type()));
        }
        for entry in &bundle.log_entries {
            let log = self.trust.logs.iter().find(|log| log.id == entry.log_id);
            let key = log.expect("a trusted log").key.key_type();
            keys.extend(entry.inclusion_promise.as_ref().map(|_| key));
            keys.extend(entry.inclusion_proof.as_ref().map(|_| key));
        }
        for response in &bundle.timestamps {
            TimestampToken::parse(response).expect("a timestamp");
            let authority = &self.trust.timestamp_authorities[0].chain;
            keys.extend(authority.iter().map(key_type));
        }
        keys
    }
}

fn key_type(certificate: &Certificate) -> KeyType {
    certificate.public_key().expect("a usable key").key_type()
}

/// The keys of this authority that signed the certificates of the leaf's chain.
fn issuers(leaf: &Certificate, authority: &Authority) -> Option<Vec<KeyType>> {
    let issuer = authority.chain.first()?;
    (issuer.subject_key_id() == leaf.authority_key_id())
        .then(|| authority.chain.iter().map(key_type).collect())
}

/// A signature of which the check is timed.
struct Check {
    key: ParsedPublicKey,
    signature: Vec<u8>,
}

const MESSAGE: &[u8] = b"the message is short, so that the check and not its hash is timed";

impl Check {
    fn new(key_type: KeyType) -> Self {
        let ecdsa = |signing, verifying| {
            let pair = sig::EcdsaKeyPair::generate(signing).expect("a key");
            let random = aws_lc_rs::rand::SystemRandom::new();
            let signature = pair.sign(&random, MESSAGE).expect("a signature");
            let key = ParsedPublicKey::new(verifying, pair.public_key()).expect("its key");
            (key, signature.as_ref().to_vec())
        };
        let (key, signature) = match key_type {
            KeyType::Ecdsa(Curve::P256) => ecdsa(
                &sig::ECDSA_P256_SHA256_ASN1_SIGNING,
                &sig::ECDSA_P256_SHA256_ASN1,
            ),
            KeyType::Ecdsa(Curve::P384) => ecdsa(
                &sig::ECDSA_P384_SHA384_ASN1_SIGNING,
                &sig::ECDSA_P384_SHA384_ASN1,
            ),
            KeyType::Ed25519 => {
                let pair = sig::Ed25519KeyPair::generate().expect("a key");
                let key = ParsedPublicKey::new(&sig::ED25519, pair.public_key());
                (key.expect("its key"), pair.sign(MESSAGE).as_ref().to_vec())
            }
            KeyType::Rsa { bits: 2048 } => {
                let pair = sig::RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
                let random = aws_lc_rs::rand::SystemRandom::new();
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&sig::RSA_PKCS1_SHA256, &random, MESSAGE, &mut signature)
                    .expect("a signature");
                let key = ParsedPublicKey::new(&sig::RSA_PKCS1_2048_8192_SHA256, pair.public_key());
                (key.expect("its key"), signature)
            }
            other => panic!("{}: its check is not timed", other.name()),
        };
        Self { key, signature }
    }

    /// The processor time of one check.
    fn time(&self) -> Duration {
        let start = processor_time();
        for _ in 0..CHECKS {
            black_box(&self.key)
                .verify_sig(black_box(MESSAGE), &self.signature)
                .expect("a good signature");
        }
        (processor_time() - start) / CHECKS
    }
}

/// What the process has used, on all cores, in user and kernel mode.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("what the process used");
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(microseconds.unsigned_abs())
}

/// Microseconds, of several rounds.
#[derive(Default)]
struct Measured {
    /// Per bundle, with one thread, of processor time.
    one_thread: Vec<f64>,
    /// Per bundle and core, with a thread on every core, of time on the wall.
    all_cores: Vec<f64>,
    /// Of the signature checks of one bundle alone.
    checks: Vec<f64>,
    /// How many signatures of which kind a bundle has.
    signatures: BTreeMap<String, usize>,
}

impl Measured {
    fn new(case: &Case, rounds: usize, bundles: usize) -> Self {
        let setting = Setting::new(case);
        let mut kinds: BTreeMap<String, (Check, u32)> = BTreeMap::new();
        for key in setting.signatures() {
            let kind = kinds
                .entry(key.name())
                .or_insert_with(|| (Check::new(key), 0));
            kind.1 += 1;
        }
        let mut measured = Self::default();
        for (name, (_, count)) in &kinds {
            measured.signatures.insert(name.clone(), *count as usize);
        }
        for round in 0..=rounds {
            let one_thread = one_thread(&setting, bundles);
            let all_cores = all_cores(&setting, bundles);
            let checks: Duration = kinds
                .values()
                .map(|(check, count)| check.time() * *count)
                .sum();
            if round > 0 {
                measured.one_thread.push(one_thread);
                measured.all_cores.push(all_cores);
                measured.checks.push(checks.as_secs_f64() * 1e6);
            }
        }
        measured
    }

    fn print(&self, name: &str) {
        let line = serde_json::json!({
            "bundle": name,
            "signatures": self.signatures,
            "cores": cores(),
            "oneThread": self.one_thread,
            "allCores": self.all_cores,
            "checks": self.checks,
        });
        println!("{line}");
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[expect(clippy::cast_precision_loss, reason = "nobody verifies 2^52")]
fn per_bundle(time: Duration, bundles: usize) -> f64 {
    time.as_secs_f64() * 1e6 / bundles as f64
}

fn one_thread(setting: &Setting, bundles: usize) -> f64 {
    let start = processor_time();
    for _ in 0..bundles {
        setting.verify();
    }
    per_bundle(processor_time() - start, bundles)
}

fn all_cores(setting: &Setting, bundles: usize) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores() {
            // As many on each core, so that the time is one core's.
            scope.spawn(|| {
                for _ in 0..bundles {
                    setting.verify();
                }
            });
        }
    });
    per_bundle(start.elapsed(), bundles)
}
