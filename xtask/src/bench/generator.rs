//! The load generator, and the figures that it prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::server::Server;
use super::tools;
use crate::process::{self, Outcome};

/// The bench program of `sealmark-server`.
const PROGRAM: &str = "service_load";

/// Figures of one run of the load generator.
#[derive(Clone, Debug)]
pub(super) struct Load(pub(super) Value);

impl Load {
    pub(super) fn figure(&self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap_or(f64::NAN)
    }

    /// How many requests were answered.
    pub(super) fn entries(&self) -> u64 {
        self.0["entries"].as_u64().unwrap_or(0)
    }

    /// The server's resident memory in KiB, with how many requests were answered then.
    pub(super) fn memory(&self) -> Vec<(u64, u64)> {
        let samples = self.0["memory"].as_array().map_or(&[][..], Vec::as_slice);
        let pair = |sample: &Value| Some((sample[0].as_u64()?, sample[1].as_u64()?));
        samples.iter().filter_map(pair).collect()
    }
}

/// The load generator.
pub(super) struct Generator {
    pub(super) program: PathBuf,
    pub(super) folder: PathBuf,
}

impl Generator {
    pub(super) fn build(checkout: &Path, folder: &Path) -> Outcome<Self> {
        eprintln!("building the bench program {PROGRAM}, optimised");
        let mut build = process::cargo(checkout);
        build
            .args(["build", "--release", "--locked"])
            .args(["--package", "sealmark-server", "--bench", PROGRAM])
            .arg("--message-format=json-render-diagnostics");
        let messages = process::succeed(&mut build)?;
        let program = tools::executable(&messages, PROGRAM)
            .ok_or_else(|| format!("cargo build named no program {PROGRAM}"))?;
        Ok(Self {
            program,
            folder: folder.to_path_buf(),
        })
    }

    pub(super) fn floor(&self) -> Outcome<Load> {
        let mut command = Command::new(&self.program);
        command.arg("floor").arg("--folder").arg(&self.folder);
        self.json(&mut command)
    }

    pub(super) fn load(
        &self,
        server: &Server,
        api: &str,
        requests: u64,
        more: &[&str],
    ) -> Outcome<Load> {
        self.json(&mut self.command(server, api, requests, more))
    }

    pub(super) fn command(
        &self,
        server: &Server,
        api: &str,
        requests: u64,
        more: &[&str],
    ) -> Command {
        let mut command = Command::new(&self.program);
        let (pid, requests) = (server.pid().to_string(), requests.to_string());
        command
            .args(["load", "--address", &server.address, "--api", api])
            .args(["--pid", &pid, "--entries", &requests])
            .args(more);
        command
    }

    fn json(&self, command: &mut Command) -> Outcome<Load> {
        let line = process::succeed(command)?;
        let figures = serde_json::from_str(&line);
        Ok(Load(figures.map_err(|error| {
            format!("the load generator printed no figures, but {line:?}: {error}")
        })?))
    }
}

/// A figure of several runs.
pub(super) fn series(loads: &[Load], name: &str) -> Vec<f64> {
    loads.iter().map(|load| load.figure(name)).collect()
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no count here has more than 52 bits"
)]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}
