//! `cargo xtask bench log`: the transparency log under load, beside what the machine allows and beside rekor-tiles;
//! writes its section of `docs/benchmarks.md`.
//!
//! Invariant: server, load generator and floor share the same cores in the same run, in turn, round by round; the
//! entries are signed before the clock starts. Every answer must be a 201, and after a kill every entry that was
//! acknowledged must be there: otherwise the run ends with an error.

mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use report::Report;
use serde_json::Value;

use super::generator::Generator;
use super::section::Section;
use super::server::Server;
use super::tools;
use crate::go_programs::REKOR_TILES;
use crate::process::{self, Outcome};

/// Its section of `docs/benchmarks.md`.
pub(super) const SECTION: Section = Section("log");

const USAGE: &str = "\
usage: cargo xtask bench log [OPTION…]

  --quick              fewer and shorter rounds, 20,000 entries in the long run; only prints
  --entries N          entries of the long run (1,000,000)
  --no-peer            without rekor-tiles, which takes a minute to build
  --sealmark PROGRAM   this program instead of one built now; only prints

Otherwise the section of docs/benchmarks.md is written.
";

/// The two interfaces.
const APIS: [&str; 2] = ["v1", "v2"];

/// Connections of the load generator. Each waits for its answer, so as many entries are on their way at once.
const CONNECTIONS: &str = "256";
/// Of the load on rekor-tiles, which answers when it publishes a checkpoint: with few it would do little.
const PEER_CONNECTIONS: usize = 2048;

struct Options {
    quick: bool,
    peer: bool,
    entries: u64,
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
    let peer = match options.peer {
        true => Some(REKOR_TILES.fetch(checkout)?),
        false => None,
    };
    let bench = Bench {
        generator: Generator::build(checkout, folder.path())?,
        folder: folder.path().to_path_buf(),
        sealmark,
        options,
    };
    let report = bench.measure(peer.as_deref())?;
    let section = report.section()?;
    print!("{section}");
    if bench.options.sealmark.is_none() && !bench.options.quick {
        SECTION.write(checkout, &section)?;
    }
    Ok(())
}

fn parse(words: &[&str]) -> Outcome<Options> {
    let mut options = Options {
        quick: false,
        peer: true,
        entries: 0,
        sealmark: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--quick" => options.quick = true,
            "--no-peer" => options.peer = false,
            "--entries" => {
                let number = words
                    .next()
                    .and_then(|word| word.replace(',', "").parse().ok());
                options.entries = number.ok_or("--entries needs a number")?;
            }
            "--sealmark" => {
                options.sealmark = Some(words.next().ok_or("--sealmark needs a program")?.into());
            }
            word => return Err(format!("not an option: {word}\n\n{USAGE}").into()),
        }
    }
    if options.entries == 0 {
        options.entries = if options.quick { 20_000 } else { 1_000_000 };
    }
    Ok(options)
}

/// With as many connections as there are unless it is said otherwise.
fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["--connections", CONNECTIONS], more].concat()
}

struct Bench {
    generator: Generator,
    folder: PathBuf,
    sealmark: PathBuf,
    options: Options,
}

impl Bench {
    fn measure(&self, peer: Option<&Path>) -> Outcome<Report> {
        let (rounds, entries) = if self.options.quick {
            (3, 10_000)
        } else {
            (5, 50_000)
        };
        let mut report = Report::new(self.options.entries, CONNECTIONS, PEER_CONNECTIONS);
        let server = self.start("rounds")?;
        let peer = peer
            .map(|peer| Server::rekor_tiles(peer, &self.folder))
            .transpose()?;
        for api in APIS {
            self.generator.load(&server, api, 2000, &with(&[]))?;
        }
        for round in 1..=rounds {
            eprintln!("round {round} of {rounds}");
            report.floors.push(self.generator.floor()?);
            for (api, loads) in APIS.iter().zip(&mut report.loads) {
                loads.push(self.generator.load(&server, api, entries, &with(&[]))?);
            }
            if let Some(peer) = &peer {
                let connections = PEER_CONNECTIONS.to_string();
                let more = ["--connections", &connections];
                let load = self.generator.load(peer, "v2", entries / 5, &more)?;
                report.peer.push(load);
            }
        }
        if let Some(peer) = peer {
            let disk = peer.disk()?;
            report.peer_disk = Some((disk.index + disk.rest, report.peer_leaf_bytes()));
        }
        for (at, api) in APIS.iter().enumerate() {
            let rate = report.rate(at) / 2.0;
            eprintln!("{api} at half of that: {rate:.0} entries/s");
            let seconds = if self.options.quick { 3.0 } else { 20.0 };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count"
            )]
            let entries = (rate * seconds) as u64;
            let rate = ["--rate", &rate.to_string(), "--connections", "512"];
            report
                .half
                .push(self.generator.load(&server, api, entries, &rate)?);
        }
        drop(server);
        for api in APIS {
            self.long(&mut report, api)?;
        }
        Ok(report)
    }

    /// One tree of many entries; then a kill while it takes more, and the next start.
    fn long(&self, report: &mut Report, api: &str) -> Outcome<()> {
        let server = self.start(&format!("long-{api}"))?;
        eprintln!("{api}: {} entries", self.options.entries);
        let load = self
            .generator
            .load(&server, api, self.options.entries, &with(&[]))?;
        // What the writer has in hand gets into its files.
        std::thread::sleep(Duration::from_secs(2));
        let disk = server.disk()?;
        let before = server.size(api)?;
        let mut more = self
            .generator
            .command(&server, api, 20_000, &with(&["--cut"]));
        let more = std::thread::spawn(move || process::succeed(&mut more));
        // The generator signs first, then sends for some seconds.
        while server.size(api)? < before + 2000 {
            std::thread::sleep(Duration::from_millis(20));
        }
        let killed = server.kill();
        let acknowledged = more.join().map_err(|_| "the thread of a load panicked")??;
        let acknowledged: Value = serde_json::from_str(&acknowledged)
            .map_err(|error| format!("the load generator printed no figures: {error}"))?;
        let acknowledged = before + acknowledged["entries"].as_u64().unwrap_or(0);
        let mut starts = Vec::new();
        let mut server = killed.start_again()?;
        let size = server.size(api)?;
        if size < acknowledged {
            let lost = acknowledged - size;
            return Err(format!("{lost} entries that were acknowledged are lost: {api}").into());
        }
        starts.push(server.started_in.as_secs_f64());
        for _ in 1..report.starts() {
            server = server.kill().start_again()?;
            starts.push(server.started_in.as_secs_f64());
        }
        report.long.push(report::Long { load, disk, starts });
        Ok(())
    }

    fn start(&self, name: &str) -> Outcome<Server> {
        Server::sealmark(&self.sealmark, &self.folder, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_run_has_a_million_entries_and_a_quick_one_few() {
        assert_eq!(parse(&[]).unwrap().entries, 1_000_000);
        assert_eq!(parse(&["--quick"]).unwrap().entries, 20_000);
        let own = parse(&["--quick", "--entries", "5,000", "--no-peer"]).unwrap();
        assert!(own.entries == 5000 && !own.peer);
        for wrong in [&["--entries"][..], &["--entries", "many"], &["verify"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
