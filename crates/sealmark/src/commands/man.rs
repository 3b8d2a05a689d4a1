//! `man`: manual pages, made of what `--help` is made of, so that the two cannot differ.
//!
//! Invariant: a page is a function of the program alone. It has no date, or a release could not be built twice.

use std::path::PathBuf;

use clap_mangen::Man;

use crate::app;
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The command, e.g.: sealmark man sign-blob | man -l -
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// Prints one page, or writes all.
pub(crate) fn run(arguments: &Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    if let Some(dir) = &arguments.dir {
        std::fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(app::command(), dir))
            .map_err(|cause| Error::file("write manual pages into", dir, cause))?;
        return Ok(());
    }
    let page = page(&arguments.command)?;
    terminal.bytes(&page)
}

fn page(path: &[String]) -> Result<Vec<u8>, Error> {
    let mut root = app::command();
    // Names of commands inside others are known when the command is built.
    root.build();
    let mut command = &root;
    for name in path {
        command = command.find_subcommand(name).ok_or_else(|| {
            Error::Usage(format!(
                "there is no command {} and thus no page of it",
                path.join(" ")
            ))
        })?;
    }
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .map_err(|cause| Error::file("write", "a manual page", cause))?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_a_command_inside_another_has_its_whole_name_and_its_flags() {
        let text = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            page(&words).map(|page| String::from_utf8(page).unwrap())
        };
        assert!(text(&[]).unwrap().contains(".TH sealmark 1"));
        let log = text(&["log", "upload"]).unwrap();
        assert!(log.contains(".TH sealmark-log-upload 1"), "{log}");
        assert!(text(&["sign-blob"]).unwrap().contains("bundle"));
        assert!(text(&["sing-blob"]).is_err());
    }
}
