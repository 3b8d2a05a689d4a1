//! Credentials of somebody who has logged in with IAM Identity Center: `aws sso login`.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html>

use aws_lc_rs::digest;
use jiff::Timestamp;
use sealmark_http::Service;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Credentials, Search, failed};
use crate::aws::config::{Section, read};
use crate::aws::{Error, endpoint, sigv4};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    access_token: Zeroizing<String>,
    expires_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    role_credentials: Role,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Role {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
    /// Milliseconds since 1970.
    expiration: i64,
}

impl Search<'_> {
    /// The credentials of the role that the profile names.
    pub(super) async fn sso(&self, name: &str, section: &Section) -> Result<Credentials, Error> {
        let title = format!("the profile {name} (IAM Identity Center)");
        let wrong = |reason: String| failed(&*title, reason);
        let session = section.get("sso_session").map(|name| name.to_string());
        let shared = match &session {
            Some(session) => {
                Some(self.config.section("sso-session", session).ok_or_else(|| {
                    wrong(format!(
                        "its sso_session {session} does not exist in {}",
                        self.config.places()
                    ))
                })?)
            }
            None => None,
        };
        let get = |key: &str| {
            let value = shared
                .and_then(|shared| shared.get(key))
                .or_else(|| section.get(key));
            value
                .map(|value| value.to_string())
                .ok_or_else(|| wrong(format!("it has no {key}")))
        };
        let (start, region) = (get("sso_start_url")?, get("sso_region")?);
        let (account, role) = (get("sso_account_id")?, get("sso_role_name")?);
        let again = format!("run: aws sso login --profile {name}");
        let token = self.token(session.as_deref().unwrap_or(&start)).await?;
        let Some(token) = token else {
            return Err(wrong(format!("nobody has logged in; {again}")));
        };
        let token: Token = serde_json::from_str(&token)
            .map_err(|_| wrong(format!("the session that was kept cannot be read; {again}")))?;
        // Some versions write `UTC` for `Z`.
        let expires = token.expires_at.replace("UTC", "Z").parse::<Timestamp>();
        if expires.is_ok_and(|expires| expires <= Timestamp::now()) {
            return Err(wrong(format!("the login has expired; {again}")));
        }
        let service = Service::new(
            "IAM Identity Center",
            &endpoint::sso(&region, self.config),
            self.http,
        );
        let service = service.map_err(|error| wrong(error.to_string()))?;
        let mut url = service.at("federation/credentials");
        url.query_pairs_mut()
            .append_pair("role_name", &role)
            .append_pair("account_id", &account);
        let answer = service
            .get(&url, |request| {
                request.header("x-amz-sso_bearer_token", token.access_token.as_str())
            })
            .await
            .map_err(|error| wrong(error.to_string()))?;
        if answer.status == 401 {
            return Err(wrong(format!("the login is not valid any more; {again}")));
        }
        let answer = answer.good().map_err(|error| wrong(error.to_string()))?;
        let answer: Answer = answer.json().map_err(|error| wrong(error.to_string()))?;
        let role_credentials = answer.role_credentials;
        Ok(Credentials {
            access_key_id: role_credentials.access_key_id,
            secret_access_key: role_credentials.secret_access_key,
            session_token: Some(role_credentials.session_token),
            expires: Timestamp::from_millisecond(role_credentials.expiration).ok(),
            source: format!("{title}, role {role} of account {account}"),
        })
    }

    /// The session that the login has left, by the SHA-1 of its name, as AWS's tools call the file.
    async fn token(&self, name: &str) -> Result<Option<Zeroizing<String>>, Error> {
        let Some(home) = self.config.home() else {
            return Ok(None);
        };
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, name.as_bytes());
        let file = format!("{}.json", sigv4::hex(hash.as_ref()));
        read(&home.join(".aws/sso/cache").join(file)).await
    }
}
