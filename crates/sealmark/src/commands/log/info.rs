//! `log info`: the log's checkpoint, and that it goes on from the one that was last seen.

use sealmark_rekor::{Compared, SignedCheckpoint};
use serde_json::{Value, json};

use super::Format;
use super::session::{Log, LogFlags};
use super::shown::entries;
use crate::error::Error;
use crate::printable::printable;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How the result is printed
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

/// A tree of the log.
struct Tree {
    id: Option<u64>,
    signed: SignedCheckpoint,
    compared: Compared,
    is_active: bool,
}

/// Prints the trees.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let format = arguments.output.without_tle("a checkpoint")?;
    let session = arguments.log.open(terminal).await?;
    let mut trees = Vec::new();
    match &session.log {
        Log::V1(client) => {
            let info = client.info().await?;
            // The one that takes entries first, as rekor-cli prints them.
            for shard in std::iter::once(&info.active).chain(info.inactive.iter().rev()) {
                trees.push(Tree {
                    id: Some(shard.tree),
                    compared: session.compare(&shard.signed).await?,
                    signed: shard.signed.clone(),
                    is_active: shard.tree == info.active.tree,
                });
            }
        }
        Log::V2(client) => {
            let signed = client.reader().checkpoint().await?;
            // That its tiles lead to the root is part of the log being there.
            client.reader().tree(&signed.checkpoint).await?;
            trees.push(Tree {
                id: None,
                compared: session.compare(&signed).await?,
                signed,
                is_active: true,
            });
        }
    }
    let total = trees.iter().fold(0, |sum: u64, tree| {
        sum.saturating_add(tree.signed.checkpoint.size)
    });
    if format == Format::Json {
        return terminal.json(&json(session.url(), &trees, total));
    }
    terminal.line(format!("Log: {}", printable(session.url())))?;
    terminal.line(format!("Total Tree Size: {total}"))?;
    for tree in &trees {
        terminal.line("")?;
        tree.print(terminal)?;
    }
    Ok(())
}

impl Tree {
    fn print(&self, terminal: &mut Terminal) -> Result<(), Error> {
        let checkpoint = &self.signed.checkpoint;
        terminal.line(match self.is_active {
            true => "Active Tree",
            false => "Inactive Tree",
        })?;
        terminal.line(format!("Tree Size: {}", checkpoint.size))?;
        terminal.line(format!("Root Hash: {}", checkpoint.root))?;
        if let Some(id) = self.id {
            terminal.line(format!("TreeID: {id}"))?;
        }
        terminal.line(format!("Origin: {}", printable(&checkpoint.origin)))?;
        terminal.line(format!("Verified: checkpoint signature, {}", self.growth()))
    }

    fn growth(&self) -> String {
        match self.compared {
            Compared::First => "nothing to compare it with yet".to_owned(),
            Compared::Same => "the same tree as last time".to_owned(),
            Compared::Grown { from } => format!("grown from {}, which it still has", entries(from)),
            Compared::Older { than } => {
                format!(
                    "an older tree than last time, the beginning of that of {}",
                    entries(than)
                )
            }
        }
    }

    fn json(&self) -> Value {
        let checkpoint = &self.signed.checkpoint;
        let (relation, before) = match self.compared {
            Compared::First => ("first", None),
            Compared::Same => ("same", Some(checkpoint.size)),
            Compared::Grown { from } => ("grown", Some(from)),
            Compared::Older { than } => ("older", Some(than)),
        };
        json!({
            "TreeID": self.id.map(|id| id.to_string()),
            "TreeSize": checkpoint.size,
            "RootHash": checkpoint.root.to_string(),
            "Origin": checkpoint.origin,
            "Checkpoint": self.signed.note,
            "LastSeen": {"relation": relation, "treeSize": before},
        })
    }
}

/// rekor-cli's names for what rekor-cli prints, too.
fn json(url: &str, trees: &[Tree], total: u64) -> Value {
    let mut inactive = trees.iter().filter(|tree| !tree.is_active);
    let inactive: Vec<Value> = inactive.by_ref().map(Tree::json).collect();
    let active = trees.iter().find(|tree| tree.is_active);
    let mut shown = json!({
        "Log": url,
        "ActiveTreeSize": active.map(|tree| tree.signed.checkpoint.size),
        "TotalTreeSize": total,
        "InactiveShards": inactive,
    });
    if let (Some(all), Some(Value::Object(tree))) = (shown.as_object_mut(), active.map(Tree::json))
    {
        all.extend(tree);
    }
    shown
}
