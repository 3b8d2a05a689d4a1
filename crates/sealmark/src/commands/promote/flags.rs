//! What is asked of the source, and which services see the own signature.
//!
//! The flags are those of `verify` and of `sign`. Where both have a flag of one name, the source's keeps it; only the key
//! is the other way round, since `--key` is what every command that signs calls its key.

use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::policy_flags::PolicyFlags;
use crate::service_flags::ServiceFlags;
use crate::trust_flags::TrustFlags;

/// Flags that `verify` and `sign` both have.
const SHARED: [&str; 2] = ["trusted_root", "offline"];

/// Who must have signed at the source and whom to believe about that, and the own services.
#[derive(Debug)]
pub(super) struct AskedOfSource {
    pub(super) policy: PolicyFlags,
    pub(super) trust: TrustFlags,
    pub(super) services: ServiceFlags,
}

impl Args for AskedOfSource {
    fn augment_args(command: Command) -> Command {
        let command = TrustFlags::augment_args(PolicyFlags::augment_args(command));
        let command = command.mut_arg("key", |key| {
            key.long("source-key").help(
                "Public key of who must have signed the source: a file, env://VARIABLE, https://…, or a key in a \
                 provider; several by repeating",
            )
        });
        let services = ServiceFlags::augment_args(Command::new("services"));
        let own: Vec<_> = services
            .get_arguments()
            .filter(|argument| !SHARED.contains(&argument.get_id().as_str()))
            .cloned()
            .collect();
        command.args(own)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for AskedOfSource {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self {
            policy: PolicyFlags::from_arg_matches(matches)?,
            trust: TrustFlags::from_arg_matches(matches)?,
            services: ServiceFlags::from_arg_matches(matches)?,
        })
    }

    // What one of them took out of the matches, another would miss.
    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches(matches)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }

    fn update_from_arg_matches_mut(&mut self, matches: &mut ArgMatches) -> Result<(), clap::Error> {
        self.update_from_arg_matches(matches)
    }
}
