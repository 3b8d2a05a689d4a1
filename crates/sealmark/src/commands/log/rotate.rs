//! `log rotate` and `log freeze`: end the tree of a log that is not served, and begin the next.

use std::path::{Path, PathBuf};

use sealmark_server::log::{Interface, Rotation, ShardInfo, freeze, rotate};
use serde_json::{Value, json};

use super::Format;
use crate::commands::client_files::update_client_files;
use crate::commands::serve::{host, keys, password};
use crate::error::Error;
use crate::terminal::Terminal;

/// Which trees of a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Which {
    /// Those that clients of Rekor v1 use
    V1,
    /// Those that clients of Rekor v2 use
    V2,
}

impl From<Which> for Interface {
    fn from(which: Which) -> Self {
        match which {
            Which::V1 => Self::V1,
            Which::V2 => Self::V2,
        }
    }
}

/// Flags of `rotate`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Directory of the log, as `serve` has it as --dir; stop the server first
    dir: PathBuf,
    /// Whose tree ends; the other interface goes on as it is
    #[arg(long, value_enum, default_value = "v1")]
    interface: Which,
    /// Where clients find the new tree; its host is the tree's name. Needed for v2, whose trees are told by their names
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Sign with the key that there is; without it the new tree has a new one
    #[arg(long)]
    keep_key: bool,
    /// The new key, if it is elsewhere: what sign has as --key
    #[arg(long, value_name = "REF", value_parser = keys::checked, conflicts_with = "keep_key")]
    key: Option<String>,
    /// How the result is printed
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        visible_alias = "format",
        default_value = "default"
    )]
    output: Format,
}

/// Flags of `freeze`.
#[derive(clap::Args, Debug)]
pub(crate) struct FreezeArguments {
    /// Directory of the log, as `serve` has it as --dir; stop the server first
    dir: PathBuf,
    /// Whose tree ends; without it, all
    #[arg(long, value_enum)]
    interface: Option<Which>,
    /// How the result is printed
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        visible_alias = "format",
        default_value = "default"
    )]
    output: Format,
}

/// Rotates.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let format = arguments.output.without_tle("a tree")?;
    let place = match &arguments.url {
        Some(url) => {
            let url = url.trim_end_matches('/');
            Some((url.to_owned(), host(url)?.to_owned()))
        }
        None => None,
    };
    let directory = absolute(&arguments.dir)?;
    let rotation = Rotation {
        interface: arguments.interface.into(),
        place,
        keep_key: arguments.keep_key,
        key: arguments.key,
        password: password::of(&directory, terminal).await?,
    };
    keys::install(&rotation.password, terminal);
    let (old, new, files) = super::blocking(move || {
        let (old, new) = rotate(&directory, &rotation)?;
        let files = update_client_files(&directory, &rotation.password)?;
        Ok((old, new, files))
    })
    .await?;
    if format == Format::Json {
        return terminal.json(&json!({"frozen": show(&old), "active": show(&new)}));
    }
    terminal.line(format!("frozen: {}, {} entries", name(&old), old.size))?;
    terminal.line(format!(
        "active: {}, which begins at index {}; public key {}",
        name(&new),
        new.first,
        new.public_key.display()
    ))?;
    tell(terminal, files.as_ref());
    Ok(())
}

/// Freezes.
pub(super) async fn run_freeze(
    arguments: FreezeArguments,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let format = arguments.output.without_tle("a tree")?;
    let interface = arguments.interface.map(Interface::from);
    let directory = absolute(&arguments.dir)?;
    let password = password::of(&directory, terminal).await?;
    keys::install(&password, terminal);
    let (ended, files) = super::blocking(move || {
        let ended = freeze(&directory, interface, &password)?;
        let files = update_client_files(&directory, &password)?;
        Ok((ended, files))
    })
    .await?;
    if format == Format::Json {
        let ended: Vec<Value> = ended.iter().map(show).collect();
        return terminal.json(&json!({"frozen": ended}));
    }
    if ended.is_empty() {
        terminal.line("nothing to do: no tree of this log takes entries")?;
    }
    for tree in &ended {
        terminal.line(format!(
            "frozen: {}, {} entries; it can be read, and takes none any more",
            name(tree),
            tree.size
        ))?;
    }
    tell(terminal, files.as_ref());
    Ok(())
}

/// Who must hear of it.
fn tell(terminal: &Terminal, files: Option<&[PathBuf; 3]>) {
    terminal.note(match files {
        Some([root, ..]) => format!(
            "{} has all trees: give it to clients before they meet entries of a new one",
            root.display()
        ),
        None => "`serve` writes what clients need to know of it".to_owned(),
    });
}

/// The directory, so that messages have its whole path.
pub(crate) fn absolute(dir: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(dir).map_err(|cause| Error::file("find", dir, cause))
}

/// A tree, for people.
pub(crate) fn name(shard: &ShardInfo) -> String {
    match shard.tree_id {
        Some(id) => format!("{} ({}, tree {id})", shard.tree, shard.host),
        None => format!("{} ({})", shard.tree, shard.host),
    }
}

/// A tree, for programs.
pub(crate) fn show(shard: &ShardInfo) -> Value {
    json!({
        "tree": shard.tree,
        "interface": shard.interface.to_string(),
        "host": shard.host,
        "url": shard.url,
        "treeID": shard.tree_id.map(|id| id.to_string()),
        "publicKey": shard.public_key,
        "created": shard.created,
        "frozen": shard.frozen,
        "size": shard.size,
        "firstIndex": shard.first,
    })
}
