//! `token`: say what is in an identity token, and why a certificate authority would refuse it.

use jiff::Timestamp;
use sealmark_sign::identity::IdentityToken;
use sealmark_sign::identity::examine::{self, Finding, Outcome};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::flags::Format;
use crate::identity_flags::TokenFlags;
use crate::printable::printable;
use crate::service_flags;
use crate::terminal::Terminal;

/// Claims that are shown above, or mean nothing to people.
const SHOWN: [&str; 9] = [
    "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "at_hash",
];
/// A claim is shown up to this length, in characters.
const MAX_CLAIM: usize = 200;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The token, or a file with it; without one, that which signing would take
    #[arg(value_name = "TOKEN")]
    token: Option<String>,
    /// Get a token from where this runs: ambient for the first place that is there, or its name, e.g. github-actions
    #[arg(long, value_name = "PLACE", conflicts_with_all = ["token", "identity_token", "oidc_provider"])]
    from: Option<String>,
    /// Print the token alone, and explain nothing. It is a secret: whoever has it signs as you
    #[arg(long, conflicts_with_all = ["online", "output"])]
    raw: bool,
    /// Also ask the issuer whether the signature is by one of its keys
    #[arg(long)]
    online: bool,
    /// Also ask this certificate authority whether it believes the issuer
    #[arg(long, value_name = "URL")]
    fulcio_url: Option<String>,
    /// Identity provider to log in at, if no other token is found
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<String>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    source: TokenFlags,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained<'a> {
    origin: &'a str,
    issuer: String,
    subject: String,
    audience: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    claims: &'a Map<String, Value>,
    checks: &'a [Finding],
}

/// Explains the token; it fails if an authority would refuse it.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let token = arguments.token(terminal).await?;
    if arguments.raw {
        return terminal.line(token.reveal());
    }
    let options = service_flags::options(terminal);
    let now = Timestamp::now().as_second();
    let mut findings = examine::claims(&token, &arguments.source.oidc_client_id, now);
    findings.push(match arguments.online {
        true => examine::signature(&token, now, &options).await,
        false => Finding::skipped(
            "signature",
            "not checked; --online asks the issuer for its keys",
        ),
    });
    if let Some(url) = &arguments.fulcio_url {
        findings.push(examine::authority(url, &token, &options).await);
    }
    match arguments.output {
        Format::Json => terminal.json(&explained(&token, &findings))?,
        Format::Text => print(&token, &findings, now, terminal)?,
    }
    let failed = findings.iter().filter(|it| it.outcome == Outcome::Failed);
    let failed: Vec<&str> = failed.map(|it| it.what).collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Error::Token(failed.join(", "))),
    }
}

impl Arguments {
    async fn token(&self, terminal: &Terminal) -> Result<IdentityToken, Error> {
        let given = self.token.as_ref().or(self.source.identity_token.as_ref());
        if let Some(text) = given {
            return Ok(IdentityToken::read(text, "what was given")?);
        }
        // One that has expired is to be explained, too.
        let in_environment = std::env::var("SIGSTORE_ID_TOKEN").ok();
        let in_environment = in_environment.filter(|text| !text.is_empty());
        if let (Some(text), None, None) = (in_environment, &self.from, &self.source.oidc_provider) {
            return Ok(IdentityToken::read(&text, "SIGSTORE_ID_TOKEN")?);
        }
        let issuer = self.oidc_issuer.clone();
        let mut source = self.source.source(issuer, false, terminal)?;
        if let Some(place) = &self.from {
            source.take_only_from(Some(place.clone()).filter(|place| place != "ambient"));
        }
        Ok(source.token().await?)
    }
}

fn explained<'a>(token: &'a IdentityToken, findings: &'a [Finding]) -> Explained<'a> {
    let inner = token.unverified();
    Explained {
        origin: token.origin(),
        issuer: token.issuer(),
        subject: token.subject(),
        audience: inner.unverified_claim("aud").unwrap_or(&Value::Null),
        expires: examine::seconds(inner, "exp").map(examine::shown),
        claims: inner.unverified_claims(),
        checks: findings,
    }
}

fn print(
    token: &IdentityToken,
    findings: &[Finding],
    now: i64,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let inner = token.unverified();
    terminal.line(format!("identity token from {}", printable(token.origin())))?;
    let claim = |name: &str| {
        inner
            .unverified_claim(name)
            .map(text)
            .unwrap_or_else(|| "none".to_owned())
    };
    let time = |name: &str| {
        let seconds = examine::seconds(inner, name)?;
        let away = seconds.saturating_sub(now);
        let away = match away {
            1.. => format!("in {away} s"),
            _ => format!("{} s ago", away.saturating_neg()),
        };
        Some(format!("{}, {away}", examine::shown(seconds)))
    };
    let mut lines = vec![
        ("issuer", Some(claim("iss"))),
        ("subject", Some(claim("sub"))),
        ("audience", Some(claim("aud"))),
        ("issued", time("iat")),
        ("expires", time("exp")),
    ];
    let others = inner.unverified_claims().iter();
    let others = others.filter(|(name, _)| !SHOWN.contains(&name.as_str()));
    lines.extend(others.map(|(name, value)| (name.as_str(), Some(text(value)))));
    for (name, value) in lines {
        if let Some(value) = value {
            terminal.line(format!("  {}: {}", printable(name), printable(&value)))?;
        }
    }
    terminal.line("what a certificate authority looks at")?;
    for finding in findings {
        let outcome = match finding.outcome {
            Outcome::Passed => "ok",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "-",
        };
        let reason = printable(&finding.reason);
        terminal.line(format!("  {outcome:<7} {}: {reason}", finding.what))?;
    }
    Ok(())
}

/// A claim on one line, cut.
fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(MAX_CLAIM) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
