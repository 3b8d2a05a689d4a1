//! What a profile says about its credentials: they themselves, a role, a login, a program.

use super::{Credentials, Missing, Search, failed};
use crate::aws::Error;
use crate::aws::config::Section;

/// Profiles that name each other: as long as any chain of roles that somebody means.
const MAX_CHAIN: usize = 5;

impl Search<'_> {
    pub(super) async fn profile(&self) -> Result<Credentials, Missing> {
        let (name, chosen) = (&self.config.profile, self.config.chosen_by);
        let places = self.config.places();
        let Some(section) = self.config.section("profile", name) else {
            return Err(match chosen {
                Some(variable) => Missing::Failed(failed(
                    format!("the profile {name} that {variable} names"),
                    format!(
                        "it is not in {places}; there are these: {}",
                        self.config.profiles()
                    ),
                )),
                None => Missing::Unset(format!("profile {name}: not in {places}")),
            });
        };
        let mut seen = Vec::new();
        match self.of(name, section, &mut seen).await? {
            Some(credentials) => Ok(credentials),
            None => {
                let reason = format!(
                    "it has no access key, role, login (sso_session) or credential_process ({places})"
                );
                Err(match chosen {
                    Some(variable) => Missing::Failed(failed(
                        format!("the profile {name} that {variable} names"),
                        reason,
                    )),
                    None => Missing::Unset(format!("profile {name}: {reason}")),
                })
            }
        }
    }

    /// The credentials of a profile, if it says anything about them.
    fn of<'a>(
        &'a self,
        name: &'a str,
        section: &'a Section,
        seen: &'a mut Vec<String>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Option<Credentials>, Error>> + Send + 'a>>
    {
        Box::pin(async move {
            let get = |key: &str| {
                let value = section.get(key).map(|value| value.to_string());
                value.filter(|value| !value.is_empty())
            };
            let title = format!("the profile {name}");
            let wrong = |reason: String| Err(failed(&*title, reason));
            if seen.iter().any(|other| other == name) && get("role_arn").is_some() {
                // A profile may name itself, for its own access key; a longer way round leads nowhere.
                if seen.last().is_some_and(|last| last == name) {
                    return Ok(keys(name, section));
                }
                return wrong(format!("the profiles {} name each other", seen.join(", ")));
            }
            if seen.len() >= MAX_CHAIN {
                return wrong(format!("more than {MAX_CHAIN} profiles name each other"));
            }
            seen.push(name.to_owned());
            if let Some(role) = get("role_arn") {
                let session = get("role_session_name");
                if let Some(file) = get("web_identity_token_file") {
                    let whose = format!("profile {name}'s");
                    let assumed = self.assume_with_web_identity(&role, &file, session, &whose);
                    return assumed.await.map(Some);
                }
                if get("mfa_serial").is_some() {
                    return wrong(
                        "its role needs a one-time password (mfa_serial), which is not supported; log in with AWS's \
                         own tool, and take what it gives: eval \"$(aws configure export-credentials --format env)\""
                            .to_owned(),
                    );
                }
                let from = match (get("source_profile"), get("credential_source")) {
                    (Some(source), _) => {
                        let Some(section) = self.config.section("profile", &source) else {
                            return wrong(format!("its source_profile {source} does not exist"));
                        };
                        match self.of(&source, section, seen).await? {
                            Some(credentials) => credentials,
                            None => {
                                return wrong(format!(
                                    "its source_profile {source} has no credentials"
                                ));
                            }
                        }
                    }
                    (None, Some(source)) => self.named_source(&title, &source).await?,
                    (None, None) => {
                        return wrong(
                            "it has a role_arn, and neither source_profile nor credential_source, which say who \
                             assumes it"
                                .to_owned(),
                        );
                    }
                };
                let external = get("external_id");
                let duration = get("duration_seconds");
                let role = super::sts::Role {
                    arn: role,
                    session,
                    external_id: external,
                    duration,
                };
                return self.assume(&role, &from, &title).await.map(Some);
            }
            if let Some(credentials) = keys(name, section) {
                return Ok(Some(credentials));
            }
            let half = ["aws_access_key_id", "aws_secret_access_key"];
            if let [Some(_), None] | [None, Some(_)] = half.map(&get) {
                return wrong(format!("it has only one of {} and {}", half[0], half[1]));
            }
            if get("sso_session").is_some() || get("sso_start_url").is_some() {
                return self.sso(name, section).await.map(Some);
            }
            if get("login_session").is_some() {
                return wrong(
                    "it is one of `aws login`, whose sessions cannot be read; take what AWS's own tool gives: \
                     eval \"$(aws configure export-credentials --format env)\""
                        .to_owned(),
                );
            }
            match get("credential_process") {
                Some(command) => super::process::run(&command, &title, self.http.timeout)
                    .await
                    .map(Some),
                None => Ok(None),
            }
        })
    }

    /// `credential_source`.
    async fn named_source(&self, title: &str, source: &str) -> Result<Credentials, Error> {
        let result = match source {
            "Environment" => self.environment(),
            "EcsContainer" => self.container().await,
            "Ec2InstanceMetadata" => self.instance().await,
            other => {
                return Err(failed(
                    title,
                    format!(
                        "its credential_source is {other:?}, and may be Environment, EcsContainer or Ec2InstanceMetadata"
                    ),
                ));
            }
        };
        result.map_err(|missing| match missing {
            Missing::Failed(error) => error,
            Missing::Unset(reason) => failed(title, reason),
        })
    }
}

/// The access key that stands in the profile.
fn keys(name: &str, section: &Section) -> Option<Credentials> {
    let get = |key: &str| section.get(key).filter(|value| !value.is_empty());
    Some(Credentials {
        access_key_id: get("aws_access_key_id")?.to_string(),
        secret_access_key: get("aws_secret_access_key")?.clone(),
        session_token: get("aws_session_token").cloned(),
        expires: None,
        source: format!("the profile {name} (its access key)"),
    })
}
