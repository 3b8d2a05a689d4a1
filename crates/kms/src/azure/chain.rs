//! With what one logs in: the order of Azure's SDKs (`DefaultAzureCredential`), and what each source said.
//! <https://learn.microsoft.com/azure/developer/go/sdk/authentication/credential-chains>
//!
//! A source that is not there is passed over; one that is there and fails ends the search, so that nobody works as
//! somebody else by accident.

use super::environment::Environment;
use super::error::Error;
use super::identity::Token;
use super::{login, managed, tools};
use crate::Options;

/// The variable that limits the sources.
const SELECTION: &str = "AZURE_TOKEN_CREDENTIALS";

/// What a token is wanted for.
pub(crate) struct Ask<'a> {
    /// The vault's host, for messages.
    pub(crate) vault: &'a str,
    /// Where one logs in, without a path.
    pub(crate) authority: String,
    /// The tenant that the vault trusts.
    pub(crate) tenant: &'a str,
    /// What the token is for: `https://vault.azure.net`.
    pub(crate) resource: &'a str,
    /// Seconds since 1970.
    pub(crate) now: i64,
    /// The variables.
    pub(crate) environment: &'a Environment,
    /// How services are reached.
    pub(crate) options: &'a Options,
}

/// What a source gave.
pub(crate) enum Attempt {
    /// A token.
    Token(Token),
    /// It is not there, and why that is thought.
    Absent(String),
    /// It is there, and failed.
    Failed(Error),
}

/// A source of credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    Environment,
    Workload,
    Managed,
    AzureCli,
    DeveloperCli,
}

/// The order.
const ORDER: [Source; 5] = [
    Source::Environment,
    Source::Workload,
    Source::Managed,
    Source::AzureCli,
    Source::DeveloperCli,
];

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Environment => login::ENVIRONMENT,
            Self::Workload => login::WORKLOAD,
            Self::Managed => managed::NAME,
            Self::AzureCli => tools::AZURE_CLI,
            Self::DeveloperCli => tools::DEVELOPER_CLI,
        }
    }

    /// The name of Azure's SDKs, in lower case.
    fn named(name: &str) -> Option<Self> {
        match name {
            "environmentcredential" => Some(Self::Environment),
            "workloadidentitycredential" => Some(Self::Workload),
            "managedidentitycredential" => Some(Self::Managed),
            "azureclicredential" => Some(Self::AzureCli),
            "azuredeveloperclicredential" => Some(Self::DeveloperCli),
            _ => None,
        }
    }

    async fn ask(self, ask: &Ask<'_>, only: bool) -> Attempt {
        match self {
            Self::Environment => login::environment(ask).await,
            Self::Workload => login::workload(ask).await,
            Self::Managed => managed::token(ask, only).await,
            Self::AzureCli => tools::azure_cli(ask).await,
            Self::DeveloperCli => tools::developer_cli(ask).await,
        }
    }
}

/// The sources that `AZURE_TOKEN_CREDENTIALS` leaves.
fn selected(environment: &Environment) -> Result<Vec<Source>, Error> {
    let Some(selection) = environment.get(SELECTION) else {
        return Ok(ORDER.to_vec());
    };
    let selection = selection.trim().to_ascii_lowercase();
    match selection.as_str() {
        "prod" => Ok(ORDER[..3].to_vec()),
        "dev" => Ok(ORDER[3..].to_vec()),
        name => Source::named(name)
            .map(|source| vec![source])
            .ok_or_else(|| Error::Variable {
                variable: SELECTION,
                reason: format!(
                    "{:?} is none of dev, prod, EnvironmentCredential, WorkloadIdentityCredential, \
                     ManagedIdentityCredential, AzureCLICredential, AzureDeveloperCLICredential",
                    sealmark_http::sanitise(name)
                ),
            }),
    }
}

/// A token from the first source that has one.
pub(crate) async fn token(ask: &Ask<'_>) -> Result<Token, Error> {
    let sources = selected(ask.environment)?;
    let only = sources.len() == 1;
    let mut passed_over = Vec::new();
    for source in sources {
        match source.ask(ask, only).await {
            Attempt::Token(mut token) => {
                token.identity.passed_over = passed_over;
                ask.options.tell(format!(
                    "Azure credential: {}; the token is that of {}, and expires {}",
                    token.identity.source,
                    token.identity.subject(),
                    token.identity.expiry()
                ));
                return Ok(token);
            }
            Attempt::Absent(reason) => {
                let line = format!("{}: {reason}", source.name());
                ask.options
                    .tell(format!("Azure credential passed over: {line}"));
                passed_over.push(line);
            }
            Attempt::Failed(error) => return Err(error),
        }
    }
    Err(Error::NoCredential {
        vault: ask.vault.to_owned(),
        attempts: passed_over.join("; "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_variable_chooses_among_the_sources() {
        for (value, expected) in [
            ("", ORDER.to_vec()),
            ("dev", vec![Source::AzureCli, Source::DeveloperCli]),
            (
                "PROD",
                vec![Source::Environment, Source::Workload, Source::Managed],
            ),
            ("ManagedIdentityCredential", vec![Source::Managed]),
            ("AzureCliCredential", vec![Source::AzureCli]),
            ("AzureCLICredential", vec![Source::AzureCli]),
        ] {
            let environment = Environment::of(&[(SELECTION, value)]);
            assert_eq!(selected(&environment).unwrap(), expected, "{value}");
        }
        let environment = Environment::of(&[(SELECTION, "AzurePowerShellCredential")]);
        let error = selected(&environment).unwrap_err().to_string();
        assert!(
            error.contains("\"azurepowershellcredential\" is none of dev, prod"),
            "{error}"
        );
    }
}
