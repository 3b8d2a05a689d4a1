//! `completion`: print the completion script of a shell.

use clap_complete::Shell;

use crate::app;
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The shell, e.g.: source <(sealmark completion bash)
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(arguments: &Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    terminal.bytes(&script(arguments.shell))
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut app::command(), "sealmark", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_every_command() {
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::PowerShell,
            Shell::Elvish,
        ] {
            let script = String::from_utf8(script(shell)).unwrap();
            for command in app::command().get_subcommands() {
                assert!(
                    script.contains(command.get_name()),
                    "{shell}: {}",
                    command.get_name()
                );
            }
        }
    }
}
