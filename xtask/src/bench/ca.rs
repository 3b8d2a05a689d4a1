//! `cargo xtask bench ca`: the certificate authority with its CT log, and the timestamp authority, under load, beside
//! what the machine allows and beside Sigstore's own; writes its section of `docs/benchmarks.md`.
//!
//! Invariant: server, load generator and floor share the same cores in the same run, in turn, round by round; tokens and
//! proofs are signed before the clock starts. Every answer must be a certificate or a timestamp: otherwise the run ends
//! with an error.

mod report;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use report::Report;

use super::generator::{Generator, Load, median, series};
use super::registry::Process;
use super::section::Section;
use super::server::{Server, free_address};
use super::tools;
use crate::go_programs::{FULCIO, TIMESTAMP_SERVER};
use crate::process::{self, Outcome};

/// Its section of `docs/benchmarks.md`.
pub(super) const SECTION: Section = Section("ca");

const USAGE: &str = "\
usage: cargo xtask bench ca [OPTION…]

  --quick              fewer and shorter rounds; only prints
  --no-peers           without Fulcio and timestamp-server, which take minutes to build
  --sealmark PROGRAM   this program instead of one built now; only prints

Otherwise the section of docs/benchmarks.md is written.
";

/// Connections of the load generator. Each waits for its answer, so as many requests are on their way at once.
const CONNECTIONS: &str = "64";
/// At half of the rate.
const HALF_CONNECTIONS: &str = "256";
/// Certificates with the same token, where a job signs several things.
const PER_TOKEN: &str = "10";
/// Starts that are timed.
const STARTS: usize = 5;
/// After a start, what it had to do is done.
const SETTLED: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Options {
    quick: bool,
    peers: bool,
    sealmark: Option<PathBuf>,
}

/// Runs everything, prints the section, and writes it unless the options say that it is no whole run.
pub(super) fn run(checkout: &Path, words: &[&str]) -> Outcome<()> {
    if let ["help" | "--help" | "-h"] = words {
        print!("{USAGE}");
        return Ok(());
    }
    let options = parse(words)?;
    let folder = tempfile::Builder::new()
        .prefix("sealmark-bench-")
        .tempdir()
        .map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let sealmark = match &options.sealmark {
        Some(program) => std::path::absolute(program)
            .map_err(|error| format!("cannot find {}: {error}", program.display()))?,
        None => tools::build_sealmark(checkout)?,
    };
    let peers = match options.peers {
        true => Some((FULCIO.fetch(checkout)?, TIMESTAMP_SERVER.fetch(checkout)?)),
        false => None,
    };
    let generator = Generator::build(checkout, folder.path())?;
    let bench = Bench {
        issuer: Issuer::start(&generator, folder.path())?,
        generator,
        folder: folder.path().to_path_buf(),
        sealmark,
        quick: options.quick,
    };
    let report = bench.measure(peers.as_ref())?;
    let section = report.section()?;
    print!("{section}");
    if options.sealmark.is_none() && !options.quick {
        SECTION.write(checkout, &section)?;
    }
    Ok(())
}

fn parse(words: &[&str]) -> Outcome<Options> {
    let mut options = Options {
        quick: false,
        peers: true,
        sealmark: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--quick" => options.quick = true,
            "--no-peers" => options.peers = false,
            "--sealmark" => {
                options.sealmark = Some(words.next().ok_or("--sealmark needs a program")?.into());
            }
            word => return Err(format!("not an option: {word}\n\n{USAGE}").into()),
        }
    }
    Ok(options)
}

/// An issuer of identity tokens, for as long as the run.
struct Issuer {
    url: String,
    key: String,
    /// The configurations of those who believe it.
    sealmark: PathBuf,
    fulcio: PathBuf,
    _process: Process,
}

impl Issuer {
    fn start(generator: &Generator, folder: &Path) -> Outcome<Self> {
        let address = free_address()?;
        let key = folder.join("issuer.der");
        let said = folder.join("issuer.log");
        let log = File::create(&said)
            .map_err(|error| format!("cannot write {}: {error}", said.display()))?;
        let child = Command::new(&generator.program)
            .args(["issuer", "--address", &address, "--key"])
            .arg(&key)
            .stdin(Stdio::piped())
            .stdout(log)
            .spawn()
            .map_err(|error| format!("cannot start the issuer: {error}"))?;
        let mut process = Process(child);
        let url = format!("http://{address}");
        let (sealmark, fulcio) = (folder.join("issuers.yaml"), folder.join("fulcio.yaml"));
        process::write(
            &sealmark,
            format!("oidc-issuers:\n  {url}:\n    client-id: sigstore\n    type: email\n"),
        )?;
        process::write(
            &fulcio,
            format!(
                "oidc-issuers:\n  {url}:\n    issuer-url: {url}\n    client-id: sigstore\n    type: email\n"
            ),
        )?;
        // Its key takes a moment.
        loop {
            let mut text = String::new();
            let read = File::open(&said).and_then(|mut file| file.read_to_string(&mut text));
            if read.is_ok() && text.contains("ready") {
                break;
            }
            if process.0.try_wait().is_ok_and(|status| status.is_some()) {
                return Err("the issuer of tokens does not start".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self {
            url,
            key: key.display().to_string(),
            sealmark,
            fulcio,
            _process: process,
        })
    }
}

struct Bench {
    generator: Generator,
    issuer: Issuer,
    folder: PathBuf,
    sealmark: PathBuf,
    quick: bool,
}

impl Bench {
    fn measure(&self, peers: Option<&(PathBuf, PathBuf)>) -> Outcome<Report> {
        let (rounds, certificates, timestamps) = match self.quick {
            true => (3, 3000, 10_000),
            false => (5, 20_000, 60_000),
        };
        let mut report = Report::new(CONNECTIONS, PER_TOKEN);
        self.starts(&mut report)?;
        let server = self.instance("rounds")?;
        let fulcio =
            peers.map(|(fulcio, _)| Server::fulcio(fulcio, &self.folder, &self.issuer.fulcio));
        let fulcio = fulcio.transpose()?;
        let tsa = peers.map(|(_, tsa)| Server::timestamp_server(tsa, &self.folder));
        let tsa = tsa.transpose()?;
        self.certificates(&server, 500, &[])?;
        self.timestamps(&server, 500, &[])?;
        for round in 1..=rounds {
            eprintln!("round {round} of {rounds}");
            report.floors.push(self.generator.floor()?);
            report
                .certificates
                .push(self.certificates(&server, certificates, &[])?);
            let shared = ["--per-token", PER_TOKEN];
            report
                .shared
                .push(self.certificates(&server, certificates, &shared)?);
            report
                .timestamps
                .push(self.timestamps(&server, timestamps, &[])?);
            if let Some(fulcio) = &fulcio {
                let load = self.certificates(fulcio, certificates / 10, &[])?;
                report.fulcio.push(load);
            }
            if let Some(tsa) = &tsa {
                let load = self.timestamps(tsa, timestamps / 20, &[])?;
                report.timestamp_server.push(load);
            }
        }
        report.after_kib = Some(server.memory()?);
        let seconds = if self.quick { 3.0 } else { 20.0 };
        let half = |loads: &[Load]| median(&series(loads, "perSecond")) / 2.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        let requests = |rate: f64| (rate * seconds) as u64;
        let rate = half(&report.certificates);
        eprintln!("at half of that: {rate:.0} certificates/s");
        let words = rate.to_string();
        let more = ["--rate", &words, "--connections", HALF_CONNECTIONS];
        let load = self.certificates(&server, requests(rate), &more)?;
        report.half_certificates.push(load);
        let rate = half(&report.timestamps);
        eprintln!("at half of that: {rate:.0} timestamps/s");
        let words = rate.to_string();
        let more = ["--rate", &words, "--connections", HALF_CONNECTIONS];
        let load = self.timestamps(&server, requests(rate), &more)?;
        report.half_timestamps.push(load);
        Ok(report)
    }

    /// First starts, and starts of an instance that is there, with the memory of one that does nothing.
    fn starts(&self, report: &mut Report) -> Outcome<()> {
        for number in 0..STARTS {
            let first = self.instance(&format!("start-{number}"))?;
            report.first_starts.push(first.started_in.as_secs_f64());
            // It has issued something, as any has that is started again.
            self.certificates(&first, 50, &[])?;
            let again = first.kill().start_again()?;
            report.starts.push(again.started_in.as_secs_f64());
            std::thread::sleep(SETTLED);
            report.idle_kib.push(again.memory()?);
        }
        Ok(())
    }

    fn instance(&self, name: &str) -> Outcome<Server> {
        Server::instance(&self.sealmark, &self.folder, name, &self.issuer.sealmark)
    }

    fn certificates(&self, server: &Server, count: u64, more: &[&str]) -> Outcome<Load> {
        let issuer = ["--issuer", &self.issuer.url, "--key", &self.issuer.key];
        let words = with_connections(&[&issuer[..], more].concat());
        self.generator.load(server, "ca", count, &words)
    }

    fn timestamps(&self, server: &Server, count: u64, more: &[&str]) -> Outcome<Load> {
        let words = with_connections(more);
        self.generator.load(server, "tsa", count, &words)
    }
}

/// With as many connections as there are unless it is said otherwise.
fn with_connections<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut words = more.to_vec();
    if !words.contains(&"--connections") {
        words.extend(["--connections", CONNECTIONS]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_run_has_peers_and_writes() {
        let whole = parse(&[]).unwrap();
        assert!(whole.peers && !whole.quick && whole.sealmark.is_none());
        let quick = parse(&["--quick", "--no-peers", "--sealmark", "s"]).unwrap();
        assert!(!quick.peers && quick.quick && quick.sealmark.is_some());
        for wrong in [&["--sealmark"][..], &["--entries"], &["verify"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn connections_are_said_once() {
        assert_eq!(with_connections(&["--rate", "1"]).len(), 4);
        assert_eq!(
            with_connections(&["--connections", "9"]),
            ["--connections", "9"]
        );
    }
}
