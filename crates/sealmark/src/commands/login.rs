//! `login`: log in to a registry.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use sealmark_oci::{Client, Options, Secret, credentials};

use crate::error::Error;
use crate::flags::RegistryFlags;
use crate::terminal::Terminal;

/// A user name or password is not longer than this, in bytes; tokens of cloud registries have some 5 KiB.
const MAX_INPUT: u64 = 64 * 1024;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The registry: HOST or HOST:PORT
    #[arg(value_name = "SERVER")]
    server: String,
    /// User name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Password; others can see it on the command line, so better --password-stdin
    #[arg(
        short,
        long,
        value_name = "PASSWORD",
        conflicts_with = "password_stdin",
        hide_env_values = true
    )]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Checks the credentials with the registry, then stores them where docker and others find them.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let server = server(&arguments.server)?;
    if arguments.password.is_some() {
        terminal.warn(
            "--password is insecure: others can see it in the list of processes and in the shell's history; \
             use --password-stdin",
        );
    }
    let (username, password) = arguments.credentials(terminal)?;
    let options = Options {
        username: Some(username.clone()),
        password: Some(password.clone()),
        token: None,
        ..arguments.registry.client(terminal)?.options().clone()
    };
    Client::new(options.clone()).check_login(server).await?;
    // Where they are stored does not depend on what they are.
    let stored = credentials::store(server, &username, &password, &options).await?;
    terminal.note(format!("logged in via {stored}"));
    Ok(())
}

impl Arguments {
    fn credentials(&self, terminal: &Terminal) -> Result<(String, Secret), Error> {
        let username = match &self.username {
            Some(name) => name.clone(),
            None if terminal.is_interactive() && !self.password_stdin => ask_name()?,
            None => {
                return Err(Error::Usage(
                    "give the user name with --username".to_owned(),
                ));
            }
        };
        if username.is_empty() {
            return Err(Error::Usage("the user name is empty".to_owned()));
        }
        let password = match &self.password {
            Some(password) => password.clone(),
            None if self.password_stdin => from_standard_input()?,
            None if io::stdin().is_terminal() => {
                rpassword::prompt_password("Password: ").map_err(|cause| Error::Stream {
                    action: "ask for the password",
                    cause,
                })?
            }
            None => {
                return Err(Error::Usage(
                    "there is no terminal to ask for the password: use --password-stdin".to_owned(),
                ));
            }
        };
        if password.is_empty() {
            return Err(Error::Usage("the password is empty".to_owned()));
        }
        Ok((username, Secret::from(password)))
    }
}

/// The registry, as a host with an optional port.
fn server(text: &str) -> Result<&str, Error> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or(text);
    let host = host.trim_end_matches('/');
    if host.contains('/') {
        return Err(Error::Usage(format!(
            "{text:?} is not a registry: give only the host, e.g. {}",
            host.split('/').next().unwrap_or_default()
        )));
    }
    sealmark_oci::reference::check_registry(host)
        .map_err(|reason| Error::Usage(format!("{text:?} is not a registry: {reason}")))?;
    Ok(if host == "docker.io" {
        sealmark_oci::reference::DOCKER_HUB
    } else {
        host
    })
}

fn ask_name() -> Result<String, Error> {
    eprint!("Username: ");
    let _ = io::stderr().flush();
    let mut name = String::new();
    io::stdin()
        .lock()
        .take(MAX_INPUT)
        .read_line(&mut name)
        .map_err(|cause| Error::Stream {
            action: "read the user name",
            cause,
        })?;
    Ok(name.trim().to_owned())
}

fn from_standard_input() -> Result<String, Error> {
    let mut password = String::new();
    io::stdin()
        .take(MAX_INPUT)
        .read_to_string(&mut password)
        .map_err(|cause| Error::Stream {
            action: "read the password from standard input",
            cause,
        })?;
    // Only the line's end: a password may end in a space.
    let length = password.trim_end_matches(['\r', '\n']).len();
    password.truncate(length);
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_whatever_is_around_it() {
        for (text, host) in [
            ("ghcr.io", "ghcr.io"),
            ("https://ghcr.io/", "ghcr.io"),
            ("localhost:5000", "localhost:5000"),
            ("docker.io", "index.docker.io"),
        ] {
            assert_eq!(server(text).unwrap(), host, "{text}");
        }
        for (text, reason) in [
            ("ghcr.io/team/app", "give only the host, e.g. ghcr.io"),
            ("", "the registry's host is empty"),
            ("a b", "is not allowed"),
        ] {
            let error = server(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
