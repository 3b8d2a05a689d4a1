//! `log proof`: that the log of one size is the beginning of the log of another.

use serde_json::json;

use super::Format;
use super::session::{Log, LogFlags};
use super::shown::entries;
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Size of the smaller tree
    #[arg(
        long,
        value_name = "SIZE",
        alias = "first_size",
        default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    first_size: u64,
    /// Size of the larger tree [default: as large as it is]
    #[arg(long, value_name = "SIZE", alias = "last_size", value_parser = clap::value_parser!(u64).range(1..))]
    last_size: Option<u64>,
    /// The tree, if not the active one
    #[arg(long, value_name = "ID", alias = "tree_id")]
    tree_id: Option<u64>,
    /// How the proof is printed
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        visible_alias = "format",
        default_value = "default"
    )]
    output: Format,
    #[command(flatten)]
    log: LogFlags,
}

/// A proof, checked.
struct Proof {
    last: u64,
    roots: [String; 2],
    hashes: Vec<String>,
    size: u64,
}

/// Prints the proof.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let format = arguments.output.without_tle("a proof")?;
    let session = arguments.log.open(terminal).await?;
    let first = arguments.first_size;
    let proof = match &session.log {
        Log::V1(client) => {
            let info = client.info().await?;
            let shard = match arguments.tree_id {
                None => &info.active,
                Some(id) => info
                    .shard(id)
                    .ok_or_else(|| Error::Log(format!("{} has no tree {id}", session.url())))?,
            };
            session.compare(&shard.signed).await?;
            let size = shard.signed.checkpoint.size;
            let last = arguments.last(size)?;
            let growth = client.growth(shard, first, last).await?;
            Proof {
                last,
                roots: [growth.first_root, growth.last_root].map(|root| root.to_string()),
                hashes: growth.hashes.iter().map(ToString::to_string).collect(),
                size,
            }
        }
        Log::V2(client) => {
            if arguments.tree_id.is_some() {
                return Err(Error::Usage(
                    "--tree-id: a log of version 2 has one tree; leave it out".to_owned(),
                ));
            }
            let reader = client.reader();
            let signed = reader.checkpoint().await?;
            session.compare(&signed).await?;
            let size = signed.checkpoint.size;
            let last = arguments.last(size)?;
            let mut tree = reader.tree(&signed.checkpoint).await?;
            let hashes = tree.consistency_proof(first, last).await?;
            let roots = [tree.root_at(first).await?, tree.root_at(last).await?];
            sealmark_tlog::merkle::verify_consistency(first, last, &roots[0], &roots[1], &hashes)
                .map_err(|error| Error::Log(error.to_string()))?;
            Proof {
                last,
                roots: roots.map(|root| root.to_string()),
                hashes: hashes.iter().map(ToString::to_string).collect(),
                size,
            }
        }
    };
    let [first_root, last_root] = &proof.roots;
    if format == Format::Json {
        return terminal.json(&json!({
            "FirstSize": first, "LastSize": proof.last, "Hashes": proof.hashes,
            "FirstRootHash": first_root, "RootHash": last_root, "VerifiedBySize": proof.size,
        }));
    }
    terminal.line(format!("First: {}, root {first_root}", entries(first)))?;
    terminal.line(format!("Last: {}, root {last_root}", entries(proof.last)))?;
    terminal.line(format!("Hashes: [{}]", proof.hashes.join(",")))?;
    terminal.line(format!(
        "Verified: the first tree is the beginning of the last, and both of the log's signed tree of {}",
        entries(proof.size)
    ))
}

impl Arguments {
    fn last(&self, size: u64) -> Result<u64, Error> {
        let last = self.last_size.unwrap_or(size);
        if last > size {
            return Err(Error::Log(format!(
                "--last-size {last}: the log has {size} entries only"
            )));
        }
        if self.first_size > last {
            return Err(Error::Usage(format!(
                "--first-size {} is more than the last size, {last}",
                self.first_size
            )));
        }
        Ok(last)
    }
}
