//! The commands and the flags that all of them have.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands;
use crate::compat;
use crate::error::Error;
use crate::spelling;

/// Signs, verifies and keeps signatures of container images and files, in the formats of Sigstore
#[derive(Debug, Parser)]
#[command(name = "sealmark", disable_version_flag = true, max_term_width = 100)]
pub(crate) struct App {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(clap::Args, Debug)]
pub(crate) struct Global {
    /// Write the result to this file instead of standard output
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) output_file: Option<PathBuf>,
    /// Say how things are done: requests to registries, which key, which credentials
    #[arg(
        short = 'd',
        visible_short_alias = 'v',
        long,
        global = true,
        help_heading = "Global options"
    )]
    pub(crate) verbose: bool,
    /// Give up after this time (e.g. 90s, 3m, 1m30s; 0 for no bound)
    #[arg(short, long, global = true, default_value = "3m", value_name = "TIME", value_parser = duration, help_heading = "Global options")]
    pub(crate) timeout: Duration,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key pair
    GenerateKeyPair(commands::generate_key_pair::Arguments),
    /// Encrypt an existing private key as a key pair
    ImportKeyPair(commands::import_key_pair::Arguments),
    /// Print the public key of a key
    PublicKey(commands::public_key::Arguments),
    /// Sign images
    Sign(commands::sign::Arguments),
    /// Verify the signatures of images
    Verify(commands::verify::Arguments),
    /// Sign files
    SignBlob(commands::sign_blob::Arguments),
    /// Verify the signature of a file
    VerifyBlob(commands::verify_blob::Arguments),
    /// Say something about images, signed: an SBOM, provenance, or anything else
    Attest(commands::attest::Arguments),
    /// Say something about a file, signed
    AttestBlob(commands::attest_blob::Arguments),
    /// Write SLSA provenance of a build, to be attested
    Provenance(commands::provenance::Arguments),
    /// Verify attestations of images
    VerifyAttestation(commands::verify_attestation::Arguments),
    /// Verify an attestation of a file
    VerifyBlobAttestation(commands::verify_blob_attestation::Arguments),
    /// Say that signatures count no more: one, those of an image, or those of a signer within a time
    Revoke(commands::revoke::Arguments),
    /// Print what is attached to an image, as it is
    Download(commands::download::Arguments),
    /// Attach to an image what was made elsewhere
    Attach(commands::attach::Arguments),
    /// Put files into a registry
    Upload(commands::upload::Arguments),
    /// Make Sigstore bundles of what older tools left, and look into bundles
    Bundle(commands::bundle::Arguments),
    /// Verify the images of Kubernetes manifests
    Manifest(commands::image_lists::ManifestArguments),
    /// Verify the images that a Dockerfile builds on
    Dockerfile(commands::image_lists::DockerfileArguments),
    /// Show what is attached to an image
    Tree(commands::tree::Arguments),
    /// List the packages inside an image or a directory, as SPDX or CycloneDX
    Sbom(commands::sbom::Arguments),
    /// Tell who signed a bundle or an image, when, and how that is known
    Explain(commands::explain::Arguments),
    /// Say what an image, bundle, signature manifest, certificate or key is and what is in it
    Inspect(commands::inspect::Arguments),
    /// Print where the signatures of an image are kept
    Triangulate(commands::triangulate::Arguments),
    /// Copy an image, with everything that is attached to it, to another registry or repository
    Copy(commands::copy::Arguments),
    /// Save an image, with everything that is attached to it, as an OCI layout on disk
    Save(commands::save::Arguments),
    /// Load an image, with everything that is attached to it, from an OCI layout on disk into a registry
    Load(commands::load::Arguments),
    /// Bring an image, with everything that is attached to it, into another registry under the own key
    Promote(Box<commands::promote::Arguments>),
    /// Remove what is attached to an image
    Clean(commands::clean::Arguments),
    /// Fetch whom to believe from a TUF repository, and remember which one
    Initialize(commands::initialize::Arguments),
    /// Make a trusted root: whom to believe
    TrustedRoot(commands::trusted_root::Arguments),
    /// Make a signing configuration: which services to sign with
    SigningConfig(commands::signing_config::Arguments),
    /// Say what is in an identity token, and why a certificate authority would refuse it
    #[command(visible_alias = "get-identity-token")]
    Token(commands::token::Arguments),
    /// Log in to a registry
    Login(commands::login::Arguments),
    /// Write into transparency logs, read them, and prove what they say
    Log(commands::log::Arguments),
    /// Run a small registry on this machine, for tests, demos and air-gapped transfer
    Registry(commands::registry::Arguments),
    /// Run Sigstore's services on this machine: today the transparency log
    Serve(commands::serve::Arguments),
    /// Play three stories of a supply chain, on this machine alone: a key in a KMS, a break-in, a promotion
    Demo(commands::demo::Arguments),
    /// Print the completion script of a shell
    Completion(commands::completion::Arguments),
    /// Print the manual page of this program or of one of its commands, or write all of them
    Man(commands::man::Arguments),
    /// Check that signing and verifying can work here, and say what to do where it cannot; nothing is changed
    Doctor(commands::doctor::Arguments),
    /// Print what this program is and how it was built
    Version(commands::version::Arguments),
}

/// Why there is nothing to run.
pub(crate) enum Exit {
    /// Help was asked for and printed.
    Printed(ExitCode),
    /// The arguments are wrong.
    Failed(Box<Error>),
}

/// Parses the arguments, each flag also from the variable `COSIGN_<FLAG>`.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<App, Exit> {
    command()
        .try_get_matches_from(&arguments)
        .and_then(|matches| App::from_arg_matches(&matches))
        .map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let _ = error.print();
                Exit::Printed(ExitCode::SUCCESS)
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let _ = error.print();
                Exit::Printed(ExitCode::FAILURE)
            }
            _ => Exit::Failed(Box::new(explain(&error, &arguments))),
        })
}

/// The whole command line, as help and completions show it.
pub(crate) fn command() -> clap::Command {
    adapted(App::command())
}

/// The command and those inside it, with every flag as cosign takes it.
fn adapted(mut command: clap::Command) -> clap::Command {
    let names: Vec<_> = command
        .get_subcommands()
        .map(|c| c.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(name, adapted);
    }
    command.mut_args(as_cosign_takes_it)
}

/// Switches take `=true` and `=false`, and every flag has its variable.
fn as_cosign_takes_it(argument: clap::Arg) -> clap::Arg {
    let Some(long) = argument.get_long().map(str::to_owned) else {
        return argument;
    };
    if long == "help" {
        return argument;
    }
    let argument = match argument.get_action() {
        ArgAction::SetTrue => argument
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .hide_default_value(true)
            .hide_possible_values(true)
            .value_name("BOOL"),
        _ => argument,
    };
    // As Go reads them: 1, t, true, TRUE and so on; variables are often set to 1.
    let argument = match argument.get_value_parser().type_id() == std::any::TypeId::of::<bool>() {
        true => argument.value_parser(clap::builder::BoolishValueParser::new()),
        false => argument,
    };
    // The password has its own rules: see `password`.
    let variable = format!("COSIGN_{}", long.to_uppercase().replace('-', "_"));
    if variable == "COSIGN_PASSWORD" {
        return argument;
    }
    // Who must have signed is said on the command line alone: a forgotten variable must not add someone.
    // Nor must a key that is set for signing be looked for in a log.
    let is_wanted = argument.get_help_heading() == Some(commands::log::monitor::HEADING);
    if long.starts_with("certificate-") || long == "threshold" || is_wanted {
        return argument;
    }
    argument.env(variable).hide_env(true)
}

fn explain(error: &clap::Error, arguments: &[OsString]) -> Error {
    if let (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
        && let Some(reason) = compat::unsupported(flag.trim_start_matches('-'))
    {
        return Error::NotSupported(format!("{flag} needs {reason}, which this version lacks"));
    }
    if let (ErrorKind::InvalidSubcommand, Some(ContextValue::String(name))) =
        (error.kind(), error.get(ContextKind::InvalidSubcommand))
        && compat::is_command_of_cosign(name)
    {
        return Error::NotSupported(format!("{name}, which cosign has and this version lacks"));
    }
    let mut text = error.render().to_string();
    // clap knows no exchanged letters, and offers to take a misspelt flag for a file.
    if let (ErrorKind::UnknownArgument, Some(ContextValue::String(flag)), None) = (
        error.kind(),
        error.get(ContextKind::InvalidArg),
        error.get(ContextKind::SuggestedArg),
    ) && let Some(meant) = spelling::nearest(flag, &flags_of(arguments))
    {
        text = text.replace(
            &format!("to pass '{flag}' as a value, use '-- {flag}'"),
            &format!("a similar argument exists: '{meant}'"),
        );
    }
    Error::Usage(text.trim_start_matches("error: ").trim_end().to_owned())
}

/// The flags of the command that these arguments name.
fn flags_of(arguments: &[OsString]) -> Vec<String> {
    let app = command();
    let mut named = &app;
    for argument in arguments.iter().skip(1) {
        named = named.find_subcommand(argument).unwrap_or(named);
    }
    let all = app.get_arguments().chain(named.get_arguments());
    all.filter(|argument| !argument.is_hide_set())
        .filter_map(|argument| argument.get_long())
        .map(|long| format!("--{long}"))
        .collect()
}

/// Parses a duration as Go writes it: `3m0s`, `1m30s`, `500ms`, `0`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time; write e.g. 90s, 3m or 1m30s");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u32 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let one = match &rest[..unit] {
            "h" => Duration::from_secs(3600),
            "m" => Duration::from_secs(60),
            "s" => Duration::from_secs(1),
            "ms" => Duration::from_millis(1),
            _ => return Err(wrong()),
        };
        total = one
            .checked_mul(number)
            .and_then(|t| total.checked_add(t))
            .ok_or_else(wrong)?;
        rest = &rest[unit..];
    }
    if text.is_empty() {
        Err(wrong())
    } else {
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn times_are_read_as_go_writes_them() {
        for (text, seconds) in [
            ("3m0s", 180.0),
            ("1m30s", 90.0),
            ("500ms", 0.5),
            ("0", 0.0),
            ("2h", 7200.0),
        ] {
            assert_eq!(duration(text).unwrap().as_secs_f64(), seconds, "{text}");
        }
        for text in ["", "3", "m", "-1s", "3 m", "99999999999h", "1d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
