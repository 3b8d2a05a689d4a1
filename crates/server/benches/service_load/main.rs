//! A load generator for transparency logs over HTTP, and what the machine would allow: `cargo xtask bench log` runs it
//! beside the server and makes tables of the JSON object that it prints.
//!
//! It shares the machine's cores with the server, so it is made to cost little: one thread, one request at a time on
//! each connection, entries signed before the clock starts, and answers looked at no further than their status.
//!
//! ```console
//! $ cargo bench -p sealmark-server --bench log_load -- floor --folder /tmp
//! $ cargo bench -p sealmark-server --bench log_load -- load --address 127.0.0.1:3000 --api v1 --pid 4711
//! ```

mod client;
mod entries;
mod floor;
mod proc;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use client::Load;
use entries::Api;

const USAGE: &str = "\
usage: log_load floor --folder DIR [--milliseconds N]
       log_load load --address HOST:PORT --api v1|v2 --pid PID [--entries N] [--connections N]
                     [--rate PER_SECOND] [--cut]

  --pid    the server's process, whose CPU time and memory are read
  --rate   entries come at this rate, whether or not those before are answered
  --cut    the server may be killed on the way: then say how many entries it had acknowledged
";

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` adds it.
    words.retain(|word| word != "--bench");
    let options = Options(&words);
    let result = match words.first().map(String::as_str) {
        Some("floor") => floor::measure(
            &options.required::<PathBuf>("--folder"),
            Duration::from_millis(options.get("--milliseconds").unwrap_or(1000)),
        ),
        Some("load") => Load {
            address: options.required("--address"),
            api: options.required::<Api>("--api"),
            pid: options.required("--pid"),
            entries: options.get("--entries").unwrap_or(20_000),
            connections: options.get("--connections").unwrap_or(64),
            rate: options.get("--rate"),
            may_be_cut: words.iter().any(|word| word == "--cut"),
        }
        .run(),
        _ => usage(),
    };
    println!("{result}");
}

fn usage() -> ! {
    eprint!("{USAGE}");
    std::process::exit(2)
}

struct Options<'a>(&'a [String]);

impl Options<'_> {
    fn get<T: FromStr>(&self, name: &str) -> Option<T> {
        let at = self.0.iter().position(|word| word == name)?;
        let value = self.0.get(at + 1).and_then(|word| word.parse().ok());
        Some(value.unwrap_or_else(|| usage()))
    }

    fn required<T: FromStr>(&self, name: &str) -> T {
        self.get(name).unwrap_or_else(|| usage())
    }
}
