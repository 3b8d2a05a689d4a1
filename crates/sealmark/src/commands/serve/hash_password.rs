//! `serve hash-password`: what the file of `--dev-users` has for a password.

use sealmark_server::oidc;

use crate::error::Error;
use crate::password;
use crate::terminal::Terminal;

/// Flags. The password is none: other users of a machine can see those.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Whose password it is; without, the hash alone is printed
    #[arg(value_name = "E-MAIL")]
    email: Option<String>,
}

/// Reads a password from standard input, or asks for it, and prints the lines of the file.
pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    if let Some(email) = &arguments.email
        && !oidc::is_address(email)
    {
        return Err(Error::Usage(format!("{email:?} is no e-mail address")));
    }
    let password = password::of_user()?;
    let hash = oidc::password_hash(&password)?;
    match &arguments.email {
        Some(email) => {
            terminal.line(format!("  - email: {}", email.trim()))?;
            terminal.line(format!("    password: {hash}"))
        }
        None => terminal.line(hash),
    }
}
