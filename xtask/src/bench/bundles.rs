//! Keyless bundles: each verified offline by a process of its own, and many in one process.
//!
//! Invariant: all programs get the same bundle, the same artifact, the same trusted root and the same identity, from
//! files; none asks the network. What is missing on this machine is said, and left out.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::cases::Bench;
use super::measure::in_turn;
use super::table::{Aim, Aims, Row, Table};
use super::tools::{Tool, executable};
use crate::peers;
use crate::process::{self, Outcome};

/// Of the public suite sigstore-conformance, as everybody who made these bundles.
const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// The folder of the bundles, and the artifact in it.
const FIXTURES: &str = "crates/conformance/tests/fixtures/bundle-verify";
const ARTIFACT: &str = "a.txt";

/// Processor time, in milliseconds, and peak memory, in MiB: those of sigstore-rust, which checks less.
const COLD_AIMS: Aims = Aims {
    wall: None,
    cpu: Some(Aim::Own(6.0)),
    peak: Some(Aim::Own(10.0)),
};

/// A bundle that all programs accept.
struct Bundle {
    /// As [`verify_many`](Bench::verify_many_bundles) calls it.
    name: &'static str,
    title: &'static str,
    folder: &'static str,
    /// From the checkout.
    trusted_root: &'static str,
    /// The predicate type by cosign's name, if it is an attestation.
    attestation: Option<&'static str>,
}

const BUNDLES: [Bundle; 2] = [
    Bundle {
        name: "rekor-v1",
        title: "attestation, Rekor v1 with promise and proof",
        folder: "happy-path-intoto-in-dsse-v3",
        trusted_root: "crates/trust/embedded/trusted_root.json",
        attestation: Some("slsaprovenance1"),
    },
    Bundle {
        name: "rekor-v2-timestamp",
        title: "file, Rekor v2 and a timestamp",
        folder: "rekor2-checkpoint-cosigned",
        trusted_root: "crates/conformance/tests/fixtures/bundle-verify/rekor2-checkpoint-cosigned/trusted_root.json",
        attestation: None,
    },
];

/// The files of a bundle.
struct Files {
    bundle: String,
    trusted_root: String,
    /// The trusted root in the form that sigstore-python takes.
    trust_config: String,
    artifact: String,
}

impl Bench {
    /// One bundle, one process.
    pub(super) fn verify_keyless(&self) -> Outcome<Vec<Table>> {
        if self.requests_only {
            return Ok(Vec::new());
        }
        for reason in peers::fetch_for_bench(&self.checkout)? {
            eprintln!("not compared: {reason}");
        }
        BUNDLES.iter().map(|bundle| self.cold(bundle)).collect()
    }

    fn cold(&self, bundle: &Bundle) -> Outcome<Table> {
        let files = self.files(bundle)?;
        let others: Vec<(String, Command)> = [
            ("cosign3", self.by_cosign(Tool::Cosign, bundle, &files)),
            ("sigstore-go", self.by_sigstore_go(&files)),
            ("sigstore-python", self.by_sigstore_python(&files)),
        ]
        .into_iter()
        .filter(|(peer, _)| self.tools.peer(peer).exists())
        .map(|(peer, command)| (self.tools.version_of(peer), command))
        .collect();
        let commands = |_| {
            let mut all = vec![self.by_cosign(Tool::Sealmark, bundle, &files)];
            all.extend(others.iter().map(|(_, command)| again(command)));
            Ok(all)
        };
        let costs = in_turn(self.runs, commands)?;
        let [own, of_others @ ..] = &costs[..] else {
            return Err("no program was measured".into());
        };
        let mut rows = Vec::new();
        for ((name, _), cost) in others.iter().zip(of_others) {
            // What is aimed at is Sealmark's own figure, and is said once.
            let aims = match rows.is_empty() {
                true => COLD_AIMS,
                false => Aims::default(),
            };
            rows.extend(Row::costs(own, cost, aims).map(|row| row.beside(name)));
        }
        Ok(Table {
            title: format!("Verify a keyless bundle offline ({})", bundle.title),
            other: "other".to_owned(),
            rows,
        })
    }

    fn files(&self, bundle: &Bundle) -> Outcome<Files> {
        let path = |path: &Path| self.checkout.join(path).display().to_string();
        let folder = Path::new(FIXTURES);
        let trusted_root = self.checkout.join(bundle.trusted_root);
        let content: Value = serde_json::from_slice(&process::read(&trusted_root)?)
            .map_err(|error| format!("{} is not JSON: {error}", trusted_root.display()))?;
        // Nothing is signed: the configuration may be empty.
        let config = json!({
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": content,
            "signingConfig": { "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json" },
        });
        let trust_config = self.tools.file(&format!("{}.json", bundle.name));
        process::write(Path::new(&trust_config), config.to_string())?;
        Ok(Files {
            bundle: path(&folder.join(bundle.folder).join("bundle.sigstore.json")),
            trusted_root: trusted_root.display().to_string(),
            trust_config,
            artifact: path(&folder.join(ARTIFACT)),
        })
    }

    /// By the flags that Sealmark shares with cosign.
    fn by_cosign(&self, tool: Tool, bundle: &Bundle, files: &Files) -> Command {
        let verb = match bundle.attestation {
            Some(kind) => vec!["verify-blob-attestation", "--type", kind],
            None => vec!["verify-blob"],
        };
        let mut command = self.tools.tool(tool, &verb);
        command
            .args(["--bundle", &files.bundle])
            .args(["--trusted-root", &files.trusted_root])
            .args(["--certificate-identity", IDENTITY])
            .args(["--certificate-oidc-issuer", ISSUER, &files.artifact]);
        command
    }

    fn by_sigstore_go(&self, files: &Files) -> Command {
        let program = self.tools.peer("sigstore-go");
        let mut command = self
            .tools
            .command(&program, &["-artifact", &files.artifact]);
        command
            .args(["-trustedrootJSONpath", &files.trusted_root])
            .args(["-expectedSAN", IDENTITY, "-expectedIssuer", ISSUER])
            .arg(&files.bundle);
        command
    }

    fn by_sigstore_python(&self, files: &Files) -> Command {
        let program = self.tools.peer("sigstore-python");
        let trust = ["--trust-config", &files.trust_config];
        let mut command = self.tools.command(&program, &trust);
        command
            .args(["verify", "identity", "--offline", "--bundle", &files.bundle])
            .args(["--cert-identity", IDENTITY])
            .args(["--cert-oidc-issuer", ISSUER, &files.artifact]);
        command
    }

    /// Many bundles, one process, beside what their signature checks alone cost.
    pub(super) fn verify_many_bundles(&self) -> Outcome<Vec<Table>> {
        if self.requests_only {
            return Ok(Vec::new());
        }
        eprintln!("building the bench program verify_many, optimised");
        let mut build = process::cargo(&self.checkout);
        build
            .args([
                "build",
                "--release",
                "--locked",
                "--package",
                "sealmark-verify",
            ])
            .args(["--bench", "verify_many"])
            .arg("--message-format=json-render-diagnostics");
        let messages = process::succeed(&mut build)?;
        let program = executable(&messages, "verify_many")
            .ok_or("cargo build named no program verify_many")?;
        let rounds = self.runs.to_string();
        let output = process::succeed(&mut self.tools.command(&program, &["--rounds", &rounds]))?;
        let mut rates = Command::new(self.tools.peer("openssl"));
        rates
            .args(["speed", "-seconds", "1"])
            .args(SPEED.map(|(_, name, _)| name));
        let rates = process::succeed(&mut rates)?;
        output
            .lines()
            .map(|line| in_process(line, &rates))
            .collect()
    }
}

/// The same command once more: one cannot be cloned.
fn again(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            copy.env(name, value);
        }
    }
    copy
}

/// Kinds of keys: as Sealmark calls them, as `openssl speed` takes them, and as it names them in its table.
const SPEED: [(&str, &str, &str); 4] = [
    ("ecdsa-p256", "ecdsap256", "ecdsa (nistp256)"),
    ("ecdsa-p384", "ecdsap384", "ecdsa (nistp384)"),
    ("ed25519", "ed25519", "EdDSA (Ed25519)"),
    ("rsa-2048", "rsa2048", "rsa 2048 bits"),
];

/// How many signatures of this kind OpenSSL checks in a second: the last column.
fn openssl_rate(table: &str, kind: &str) -> Option<f64> {
    let (_, _, label) = SPEED.iter().find(|(name, _, _)| *name == kind)?;
    let line = table.lines().find(|line| line.contains(label))?;
    line.split_whitespace().last()?.parse().ok()
}

/// The table of one line that `verify_many` wrote.
fn in_process(line: &str, openssl: &str) -> Outcome<Table> {
    let unreadable = || format!("the bench program verify_many printed no figures, but {line:?}");
    let figures: Value = serde_json::from_str(line).map_err(|_| unreadable())?;
    let series = |name: &str| -> Outcome<Vec<f64>> {
        let values = figures[name].as_array().ok_or_else(unreadable)?;
        Ok(values
            .iter()
            .filter_map(Value::as_f64)
            .map(|us| 1e6 / us)
            .collect())
    };
    let signatures = figures["signatures"].as_object().ok_or_else(unreadable)?;
    let mut kinds = Vec::new();
    let mut seconds = 0.0;
    for (kind, count) in signatures {
        let rate = openssl_rate(openssl, kind)
            .ok_or_else(|| format!("openssl speed printed no rate of {kind}:\n{openssl}"))?;
        let count = count.as_f64().ok_or_else(unreadable)?;
        seconds += count / rate;
        kinds.push(format!("{count} × {kind}"));
    }
    let (one, all, checks) = (series("oneThread")?, series("allCores")?, series("checks")?);
    let cores = &figures["cores"];
    let floor = Aim::AtLeast(0.7);
    let row = |what: String, own: &[f64], other: &[f64], aim| {
        Row::rates(what, own.iter().copied(), other.iter().copied(), aim)
    };
    let title = BUNDLES
        .iter()
        .find(|bundle| figures["bundle"] == bundle.name)
        .map_or("?", |bundle| bundle.title);
    Ok(Table {
        title: format!("Verify keyless bundles in one process ({title})"),
        other: format!("signature checks alone ({})", kinds.join(", ")),
        rows: vec![
            row(
                "1 thread, openssl speed".into(),
                &one,
                &[1.0 / seconds],
                Some(floor),
            ),
            row("1 thread, the same library".into(), &one, &checks, None),
            row(
                format!("per core of {cores}, openssl speed"),
                &all,
                &[1.0 / seconds],
                Some(floor),
            ),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENSSL: &str = "\
                  sign    verify    sign/s verify/s
rsa 2048 bits 0.000587s 0.000017s   1703.4  58245.1
                              sign    verify    sign/s verify/s
 256 bits ecdsa (nistp256)   0.0000s   0.0001s  44138.0  10000.0
 384 bits ecdsa (nistp384)   0.0010s   0.0008s   1021.0   1000.0
                              sign    verify    sign/s verify/s
 253 bits EdDSA (Ed25519)   0.0000s   0.0001s  24000.0   9000.0
";

    #[test]
    fn the_floor_is_the_sum_of_its_signature_checks() {
        let line = r#"{"bundle":"rekor-v1","signatures":{"ecdsa-p256":10,"ecdsa-p384":2},"cores":2,"oneThread":[4000,5000,4500],"allCores":[5000],"checks":[2000]}"#;
        let text = in_process(line, OPENSSL).unwrap().markdown();
        assert!(text.contains("(10 × ecdsa-p256, 2 × ecdsa-p384)"), "{text}");
        // 10 / 10000 s and 2 / 1000 s are 3 ms.
        for part in [
            "| 222/s (200–250) | 333/s",
            "0.67",
            "| 500/s",
            "ratio ≥ 0.70: not met",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(in_process("no figures", OPENSSL).is_err());
        assert!(in_process(line, "no rates").is_err());
    }

    #[test]
    fn every_kind_of_key_is_found_in_the_table_of_openssl() {
        for (kind, _, _) in SPEED {
            assert!(openssl_rate(OPENSSL, kind).is_some(), "{kind}");
        }
    }
}
