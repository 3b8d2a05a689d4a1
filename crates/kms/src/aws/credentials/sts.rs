//! The security token service: credentials of a role, and who somebody is.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html>

use jiff::Timestamp;
use sealmark_http::Service;
use url::form_urlencoded;

use super::{Credentials, Search, failed};
use crate::aws::config::read;
use crate::aws::sigv4::{self, Unsigned};
use crate::aws::{Error, endpoint};

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// The interface's version.
const VERSION: &str = "2011-06-15";
/// As the session is called in AWS's audit log, if nobody names it.
const SESSION: &str = "sealmark";

/// A role to assume.
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) duration: Option<String>,
}

impl Search<'_> {
    /// The credentials of a role that these credentials may assume.
    pub(super) async fn assume(
        &self,
        role: &Role,
        from: &Credentials,
        title: &str,
    ) -> Result<Credentials, Error> {
        let session = role.session.as_deref().unwrap_or(SESSION);
        let mut form = vec![("RoleArn", role.arn.as_str()), ("RoleSessionName", session)];
        form.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
        form.extend(
            role.duration
                .as_deref()
                .map(|time| ("DurationSeconds", time)),
        );
        let source = format!("{title} (role {}, assumed with {})", role.arn, from.source);
        let answer = ask(self, "AssumeRole", &form, Some(from)).await;
        let answer = answer.map_err(|reason| failed(&*source, reason))?;
        credentials(&answer, &source)
    }

    /// The credentials of a role that the bearer of a token may assume.
    pub(super) async fn assume_with_web_identity(
        &self,
        role: &str,
        file: &str,
        session: Option<String>,
        whose: &str,
    ) -> Result<Credentials, Error> {
        let source = format!("the {whose} web identity (role {role}, token in {file})");
        let wrong = |reason: String| failed(&*source, reason);
        let token = read(file.as_ref()).await?;
        let token = token.ok_or_else(|| wrong(format!("there is no file {file}")))?;
        let session = session.unwrap_or_else(|| SESSION.to_owned());
        let form = [
            ("RoleArn", role),
            ("RoleSessionName", &session),
            ("WebIdentityToken", token.trim()),
        ];
        let answer = ask(self, "AssumeRoleWithWebIdentity", &form, None).await;
        credentials(&answer.map_err(wrong)?, &source)
    }
}

/// The ARN of whoever has these credentials.
pub(in crate::aws) async fn caller(
    search: &Search<'_>,
    credentials: &Credentials,
) -> Result<String, String> {
    let answer = ask(search, "GetCallerIdentity", &[], Some(credentials)).await?;
    let arn = element(&answer, "Arn").ok_or("there is no ARN in the answer")?;
    Ok(sealmark_http::sanitise(&arn))
}

/// One call; `signer` signs it.
async fn ask(
    search: &Search<'_>,
    action: &str,
    form: &[(&str, &str)],
    signer: Option<&Credentials>,
) -> Result<String, String> {
    let place = endpoint::sts(search.region, search.config).map_err(|error| error.to_string())?;
    let service = Service::new("AWS STS", &place.url, search.http).map_err(|e| e.to_string())?;
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", action)
        .append_pair("Version", VERSION)
        .extend_pairs(form)
        .finish();
    let body = zeroize::Zeroizing::new(body);
    let url = service.at("");
    let answer = service
        .post(&url, |request| {
            let unsigned = Unsigned {
                method: "POST",
                url: &url,
                headers: &[("content-type", FORM)],
                body: body.as_bytes(),
            };
            let added = signer.map_or_else(Vec::new, |credentials| {
                sigv4::sign(
                    &unsigned,
                    credentials,
                    &place.region,
                    "sts",
                    Timestamp::now(),
                )
            });
            let request = request
                .header("content-type", FORM)
                .body(body.as_bytes().to_vec());
            added.into_iter().fold(request, |request, (name, value)| {
                request.header(name, value)
            })
        })
        .await
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    match answer.status {
        200 => Ok(text),
        status => {
            let said = match (element(&text, "Code"), element(&text, "Message")) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                _ => format!("status {status}"),
            };
            Err(format!(
                "AWS STS refused sts:{action} ({url}): {}",
                sealmark_http::sanitise(&said)
            ))
        }
    }
}

fn credentials(answer: &str, source: &str) -> Result<Credentials, Error> {
    let get = |name: &str| {
        let value = element(answer, name);
        value.ok_or_else(|| failed(source, format!("AWS STS answered without {name}")))
    };
    Ok(Credentials {
        access_key_id: get("AccessKeyId")?,
        secret_access_key: get("SecretAccessKey")?.into(),
        session_token: Some(get("SessionToken")?.into()),
        expires: get("Expiration")?.parse().ok(),
        source: source.to_owned(),
    })
}

/// The text of the first element of this name. The service's answers have each of these once, and no markup in them.
fn element(xml: &str, name: &str) -> Option<String> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let text = &xml[start..];
    let text = &text[..text.find('<')?];
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    let text = entities
        .iter()
        .fold(text.to_owned(), |text, (entity, char)| {
            text.replace(entity, char)
        });
    Some(text.trim().to_owned())
}
