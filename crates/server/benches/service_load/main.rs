//! A load generator for services over HTTP (transparency logs, certificate authorities, timestamp authorities), and
//! what the machine would allow: `cargo xtask bench log` and `cargo xtask bench ca` run it beside the server and make
//! tables of the JSON object that it prints.
//!
//! It shares the machine's cores with the server, so it is made to cost little: one thread, one request at a time on
//! each connection, requests made before the clock starts, and most answers looked at no further than their status.
//!
//! ```console
//! $ cargo bench -p sealmark-server --bench service_load -- floor --folder /tmp
//! $ cargo bench -p sealmark-server --bench service_load -- load --address 127.0.0.1:3000 --api v1 --pid 4711
//! ```

mod certificates;
mod client;
mod entries;
mod floor;
mod issuer;
mod proc;
mod requests;
mod timestamps;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use certificates::Certificates;
use client::Load;
use entries::{Api, Entries};
use issuer::Issuer;
use requests::Requests;
use timestamps::Timestamps;

const USAGE: &str = "\
usage: service_load floor --folder DIR [--milliseconds N]
       service_load issuer --address HOST:PORT --key FILE
       service_load load --address HOST:PORT --api v1|v2|ca|tsa --pid PID [--entries N] [--connections N]
                         [--rate PER_SECOND] [--cut] [--issuer URL --key FILE [--per-token N]]

  --api        entries of a log (v1, v2), certificates (ca), timestamps (tsa)
  --pid        the server's process, whose CPU time and memory are read
  --rate       requests come at this rate, whether or not those before are answered
  --cut        the server may be killed on the way: then say how many entries it had acknowledged
  --issuer     who signs the tokens for certificates, with the key that `issuer` wrote to the file
  --per-token  certificates with the same token (1)
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
        Some("issuer") => issuer::serve(
            &options.required::<String>("--address"),
            &options.required::<PathBuf>("--key"),
        ),
        Some("load") => Load {
            address: options.required("--address"),
            pid: options.required("--pid"),
            connections: options.get("--connections").unwrap_or(64),
            rate: options.get("--rate"),
            may_be_cut: words.iter().any(|word| word == "--cut"),
        }
        .run(requests(&options)),
        _ => usage(),
    };
    println!("{result}");
}

fn requests(options: &Options<'_>) -> Box<dyn Requests> {
    let host: String = options.required("--address");
    let count = options.get("--entries").unwrap_or(20_000);
    match options.required::<String>("--api").as_str() {
        "v1" => Box::new(Entries::sign(Api::V1, &host, count)),
        "v2" => Box::new(Entries::sign(Api::V2, &host, count)),
        "tsa" => Box::new(Timestamps::new(&host, count)),
        "ca" => {
            let url: String = options.required("--issuer");
            let issuer = Issuer::read(&url, &options.required::<PathBuf>("--key"));
            let per_token = options.get("--per-token").unwrap_or(1);
            Box::new(Certificates::make(&issuer, &host, count, per_token))
        }
        _ => usage(),
    }
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
