//! What is measured, case by case.
//!
//! Invariant: every signature that is verified was made by another program, and every image that is signed for a figure
//! of a first signature has none before.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::Command;

use super::measure::in_turn;
use super::registry::{By, Registry};
use super::table::{Aim, Aims, Row, Table};
use super::tools::{Key, Tool, Tools};
use crate::process::{self, Outcome};

/// A case's name on the command line, and what it is.
pub(super) const NAMES: [(&str, &str); 7] = [
    ("start", "start and end: `version`"),
    ("sign", "sign an image in a registry"),
    ("verify", "verify an image with 2 signatures"),
    ("verify-100", "verify an image with 100 signatures"),
    ("verify-blob", "verify a file of 1 GiB"),
    ("verify-keyless", "verify a keyless bundle, offline"),
    (
        "verify-many",
        "verify bundles, one after another in one process",
    ),
];

/// The size of the large file, in MiB.
const BLOB_MEBIBYTES: usize = 1024;

/// The signatures that an image gets, one after another, while requests are counted.
const SIGNATURES: [(&str, Key); 3] = [
    ("first signature", Key::Usual),
    ("same key again", Key::Usual),
    ("another key", Key::Another),
];

/// Everything that a case needs.
pub(super) struct Bench {
    pub(super) tools: Tools,
    pub(super) registries: Vec<Registry>,
    /// How often each program runs.
    pub(super) runs: usize,
    /// The same, for cases that take long.
    pub(super) long_runs: usize,
    /// Count requests, which are exact, and measure nothing.
    pub(super) requests_only: bool,
    /// Print each request.
    pub(super) show_requests: bool,
    /// The checkout.
    pub(super) checkout: PathBuf,
}

impl Bench {
    /// The tables of one case.
    pub(super) fn run(&self, name: &str) -> Outcome<Vec<Table>> {
        let each = |case: &dyn Fn(&Registry) -> Outcome<Table>| {
            let tables = self.registries.iter().map(|registry| {
                eprintln!("{name}: {}", registry.name);
                case(registry)
            });
            tables.collect()
        };
        match name {
            "sign" => each(&|registry| self.sign(registry)),
            "verify" => each(&|registry| self.verify(registry)),
            "verify-100" => each(&|registry| self.verify_many(registry)),
            "start" => {
                eprintln!("{name}");
                self.start()
            }
            "verify-blob" => {
                eprintln!("{name}");
                self.verify_blob()
            }
            "verify-keyless" => {
                eprintln!("{name}");
                self.verify_keyless()
            }
            "verify-many" => {
                eprintln!("{name}");
                self.verify_many_bundles()
            }
            _ => Err(format!("{name} is no case").into()),
        }
    }

    fn start(&self) -> Outcome<Vec<Table>> {
        if self.requests_only {
            return Ok(Vec::new());
        }
        let commands = |_| Ok(Tool::BOTH.map(|tool| self.tools.version(tool)).into());
        let aims = Aims {
            cpu: Some(Aim::Ratio(0.1)),
            ..Aims::default()
        };
        let rows = self.measure(self.runs, commands, aims)?;
        Ok(vec![self.against_cosign(
            "Start and end (`version`)".to_owned(),
            rows,
        )])
    }

    fn sign(&self, registry: &Registry) -> Outcome<Table> {
        let mut rows = Vec::new();
        if !self.requests_only {
            let commands = |round| {
                let command = |tool: Tool| {
                    let repository = format!("sign/{}-{round}", tool.name());
                    registry.push(&self.tools, &repository)?;
                    let image = registry.image(&repository, By::Digest);
                    Ok(self.tools.sign(tool, Key::Usual, &image))
                };
                Tool::BOTH.into_iter().map(command).collect()
            };
            rows = self.measure(self.runs, commands, Aims::default())?;
        }
        for by in By::ALL {
            let repository = |tool: Tool| format!("sign/{}-by-{}", tool.name(), by.name());
            for tool in Tool::BOTH {
                registry.push(&self.tools, &repository(tool))?;
            }
            for (which, key) in SIGNATURES {
                let what = format!("requests, by {}, {which}", by.name());
                let count = |tool| {
                    let image = registry.counted(&repository(tool), by);
                    self.count(
                        registry,
                        &what,
                        tool,
                        &mut self.tools.sign(tool, key, &image),
                    )
                };
                let (own, other) = (count(Tool::Sealmark)?, count(Tool::Cosign)?);
                rows.push(Row::requests(what, own, other, Some(Aim::Ratio(0.5))));
            }
        }
        Ok(self.against_cosign(format!("Sign an image in {}", registry.name), rows))
    }

    fn verify(&self, registry: &Registry) -> Outcome<Table> {
        let aims = Aims {
            wall: Some(Aim::Ratio(1.0 / 3.0)),
            ..Aims::default()
        };
        let rows = self.verify_signed(registry, 2, self.runs, aims, Some(Aim::Own(6.0)))?;
        let title = format!("Verify an image with 2 signatures in {}", registry.name);
        Ok(self.against_cosign(title, rows))
    }

    fn verify_many(&self, registry: &Registry) -> Outcome<Table> {
        let rows = self.verify_signed(registry, 100, self.long_runs, Aims::default(), None)?;
        let title = format!("Verify an image with 100 signatures in {}", registry.name);
        Ok(self.against_cosign(title, rows))
    }

    fn verify_signed(
        &self,
        registry: &Registry,
        signatures: usize,
        runs: usize,
        aims: Aims,
        requests: Option<Aim>,
    ) -> Outcome<Vec<Row>> {
        let repository = format!("verify/{signatures}");
        registry.push(&self.tools, &repository)?;
        let image = registry.image(&repository, By::Digest);
        for _ in 0..signatures {
            process::succeed(&mut self.tools.sign(Tool::Cosign, Key::Usual, &image))?;
        }
        let mut rows = Vec::new();
        if !self.requests_only {
            let commands = |_| {
                Ok(Tool::BOTH
                    .map(|tool| self.tools.verify(tool, &image))
                    .into())
            };
            rows = self.measure(runs, commands, aims)?;
        }
        for by in By::ALL {
            let what = format!("requests, by {}", by.name());
            let image = registry.counted(&repository, by);
            let count =
                |tool| self.count(registry, &what, tool, &mut self.tools.verify(tool, &image));
            let (own, other) = (count(Tool::Sealmark)?, count(Tool::Cosign)?);
            rows.push(Row::requests(what, own, other, requests));
        }
        Ok(rows)
    }

    fn verify_blob(&self) -> Outcome<Vec<Table>> {
        if self.requests_only {
            return Ok(Vec::new());
        }
        let (file, bundle) = (
            self.tools.file("blob"),
            self.tools.file("blob.sigstore.json"),
        );
        write_blob(&file)?;
        process::succeed(&mut self.tools.sign_blob(&file, &bundle))?;
        let openssl = self.tools.peer("openssl");
        let commands = |_| {
            let [own, cosign] = Tool::BOTH.map(|tool| self.tools.verify_blob(tool, &file, &bundle));
            let floor = self.tools.command(&openssl, &["dgst", "-sha256", &file]);
            Ok(vec![own, cosign, floor])
        };
        let costs = in_turn(self.long_runs, commands)?;
        let [own, cosign, floor] = &costs[..] else {
            return Err("three programs were measured, but not three came back".into());
        };
        // A tenth more, for the start of the program and what the machine does beside it.
        let aims = Aims {
            wall: Some(Aim::Ratio(1.1)),
            peak: Some(Aim::Own(20.0)),
            cpu: None,
        };
        let title = "Verify a file of 1 GiB (bundle, P-256)".to_owned();
        let against_floor = Table {
            title: format!("{title}, beside its hash alone"),
            other: "openssl dgst -sha256".to_owned(),
            rows: Row::costs(own, floor, aims).into(),
        };
        let against_cosign = Row::costs(own, cosign, Aims::default()).into();
        Ok(vec![
            self.against_cosign(title, against_cosign),
            against_floor,
        ])
    }

    /// Measures Sealmark's command and cosign's, in turn.
    fn measure(
        &self,
        runs: usize,
        commands: impl FnMut(usize) -> Outcome<Vec<Command>>,
        aims: Aims,
    ) -> Outcome<Vec<Row>> {
        match &in_turn(runs, commands)?[..] {
            [own, cosign] => Ok(Row::costs(own, cosign, aims).into()),
            _ => Err("two programs were measured, but not two came back".into()),
        }
    }

    /// The number of requests that `command`, which names the counted registry, sends.
    fn count(
        &self,
        registry: &Registry,
        what: &str,
        tool: Tool,
        command: &mut Command,
    ) -> Outcome<usize> {
        registry.counter.take()?;
        process::succeed(command)?;
        let requests = registry.counter.take()?;
        if self.show_requests {
            eprintln!("{}, {what}: {}", tool.name(), requests.len());
            for line in &requests {
                eprintln!("  {line}");
            }
        }
        Ok(requests.len())
    }

    fn against_cosign(&self, title: String, rows: Vec<Row>) -> Table {
        Table {
            title,
            other: self.tools.version_of("cosign3"),
            rows,
        }
    }
}

/// A file without holes: a pseudo-random MiB (xorshift64), again and again.
fn write_blob(path: &str) -> Outcome<()> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut mebibyte = Vec::with_capacity(1 << 20);
    while mebibyte.len() < 1 << 20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        mebibyte.extend_from_slice(&state.to_le_bytes());
    }
    let error = |error: std::io::Error| format!("cannot write {path}: {error}");
    let mut file = BufWriter::new(File::create(path).map_err(error)?);
    for _ in 0..BLOB_MEBIBYTES {
        file.write_all(&mebibyte).map_err(error)?;
    }
    Ok(file.flush().map_err(error)?)
}
