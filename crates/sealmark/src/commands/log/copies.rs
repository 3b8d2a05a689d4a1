//! `log backup`, `log export` and `log import`: take a log elsewhere.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use sealmark_server::log::{Import, backup, export, import};
use serde_json::json;

use super::Format;
use super::rotate::{absolute, name, show};
use crate::commands::serve::password;
use crate::error::Error;
use crate::terminal::Terminal;

/// A private key's file is not longer than this, in bytes.
const MAX_KEY: u64 = 1 << 20;

/// Flags of `backup`.
#[derive(clap::Args, Debug)]
pub(crate) struct BackupArguments {
    /// Directory of the log, which may be served meanwhile
    dir: PathBuf,
    /// Where the copy is made; nothing may be there. It has the private keys
    to: PathBuf,
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

/// Flags of `export`.
#[derive(clap::Args, Debug)]
pub(crate) struct ExportArguments {
    /// Directory of the log, or a backup of it; stop the server first, or export a backup
    dir: PathBuf,
    /// File to write; nothing may be there. `-` is standard output
    file: PathBuf,
    /// Name or id of the tree; without it, the newest of v1
    #[arg(long)]
    tree: Option<String>,
    /// How the result is printed; not with `-`
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        visible_alias = "format",
        default_value = "default"
    )]
    output: Format,
}

/// Flags of `import`.
#[derive(clap::Args, Debug)]
pub(crate) struct ImportArguments {
    /// Directory of a log, which goes on with the tree, or of none yet; stop the server first
    dir: PathBuf,
    /// File that `export` wrote. `-` is standard input
    file: PathBuf,
    /// Private key that signed for the tree where it comes from, so that clients notice nothing
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
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

/// Copies a log.
pub(super) async fn run_backup(
    arguments: BackupArguments,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let format = arguments.output.without_tle("a tree")?;
    let (directory, to) = (absolute(&arguments.dir)?, absolute(&arguments.to)?);
    let place = to.clone();
    super::blocking(move || Ok(backup(&directory, &to)?)).await?;
    match format {
        Format::Json => terminal.json(&json!({"backup": place})),
        _ => {
            terminal.line(format!("copied to {}", place.display()))?;
            terminal.note("it has the private keys; `sealmark log fsck` checks it");
            Ok(())
        }
    }
}

/// Writes a tree.
pub(super) async fn run_export(
    arguments: ExportArguments,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let format = arguments.output.without_tle("a tree")?;
    let directory = absolute(&arguments.dir)?;
    let to_stdout = arguments.file.as_os_str() == "-";
    let (file, tree) = (arguments.file.clone(), arguments.tree);
    let written = super::blocking(move || match to_stdout {
        true => Ok(export(&directory, tree.as_deref(), io::stdout().lock())?),
        false => export_to(&file, |out| Ok(export(&directory, tree.as_deref(), out)?)),
    })
    .await?;
    let said = format!(
        "exported {} ({}): {} entries",
        written.tree, written.origin, written.size
    );
    if to_stdout {
        terminal.note(said);
        return Ok(());
    }
    match format {
        Format::Json => terminal.json(&json!({
            "tree": written.tree, "origin": written.origin, "size": written.size,
        })),
        _ => terminal.line(said),
    }
}

/// Writes a new file, which is removed again if that fails: half an export is none.
fn export_to<T>(
    path: &Path,
    work: impl FnOnce(&mut BufWriter<File>) -> Result<T, Error>,
) -> Result<T, Error> {
    let failed = |cause| Error::file("write", path, cause);
    let mut out = BufWriter::new(File::create_new(path).map_err(failed)?);
    let result = work(&mut out).and_then(|done| {
        let finish = out.flush().and_then(|()| out.get_ref().sync_all());
        finish.map_err(failed).map(|()| done)
    });
    if result.is_err() {
        // What went wrong first is the message.
        let _ = std::fs::remove_file(path);
    }
    result
}

/// Reads a tree.
pub(super) async fn run_import(
    arguments: ImportArguments,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let format = arguments.output.without_tle("a tree")?;
    let key = match &arguments.key {
        Some(path) => Some(read_key(path)?),
        None => None,
    };
    let directory = absolute(&arguments.dir)?;
    let how = Import {
        key,
        password: password::of(&directory, terminal).await?,
    };
    let file = arguments.file.clone();
    let made = super::blocking(move || match file.as_os_str() == "-" {
        true => Ok(import(&directory, io::stdin().lock(), &how)?),
        false => {
            let open = File::open(&file).map_err(|cause| Error::file("read", &file, cause))?;
            Ok(import(&directory, BufReader::new(open), &how)?)
        }
    })
    .await?;
    match format {
        Format::Json => terminal.json(&show(&made)),
        _ => {
            terminal.line(format!(
                "active: {}, {} entries, from index {}",
                name(&made),
                made.size,
                made.first
            ))?;
            if arguments.key.is_none() {
                terminal.warn(format!(
                    "it has a new key, {}: clients that trust the old one must learn it (--key goes on with the old one)",
                    made.public_key.display()
                ));
            }
            Ok(())
        }
    }
}

fn read_key(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |cause| Error::file("read", path, cause);
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_KEY {
        return Err(Error::Usage(format!(
            "{} is no private key",
            path.display()
        )));
    }
    std::fs::read(path).map_err(failed)
}
