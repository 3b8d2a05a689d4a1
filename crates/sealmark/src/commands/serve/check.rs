//! `serve check`: whether a configuration is what it was meant to be, before a server has it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sealmark_identity::{Configuration, Issuer};
use sealmark_server::instance::references;
use sealmark_server::{ca, oidc, password as kept, reload};
use serde_json::{Value, json};

use super::keys::open;
use super::{PasswordFlags, blocking, password};
use crate::commands::log::absolute;
use crate::error::Error;
use crate::flags::Format;
use crate::service_flags::key_options;
use crate::terminal::Terminal;

/// Issuers that are asked at once.
const AT_ONCE: usize = 8;
/// Time for one issuer, whose two answers have bounds of their own.
const ASKING: Duration = Duration::from_secs(25);

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The issuers that a certificate authority is to believe: YAML or JSON, as `serve` takes it
    #[arg(long, value_name = "FILE", required_unless_present_any = ["dev_users", "dir"])]
    config: Option<PathBuf>,
    /// Who may log in at the issuer for development, as `serve` takes it
    #[arg(long, value_name = "FILE")]
    dev_users: Option<PathBuf>,
    /// Directory of an instance: which of its keys are elsewhere, and with --online whether each can be reached
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordFlags,
    /// Ask each issuer for its keys, as the certificate authority will, and each provider of keys of --dir for them
    #[arg(long)]
    online: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// What an issuer answered.
type Asked = (Issuer, Result<String, String>);

/// Checks, and fails if there is a fault.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let mut faults = 0;
    if arguments.password.are_given() && arguments.dir.is_none() {
        return Err(Error::Usage(
            "a password is for the keys of a directory: add --dir".to_owned(),
        ));
    }
    if let Some(path) = &arguments.config {
        faults += config(path, arguments.online, arguments.output, terminal).await?;
    }
    if let Some(path) = &arguments.dev_users {
        let count = oidc::check_users(path).map_err(|error| error.to_string());
        faults += usize::from(count.is_err());
        let path = path.display();
        match (arguments.output, count) {
            (Format::Json, Ok(users)) => {
                terminal.json(&json!({"file": path.to_string(), "users": users}))?
            }
            (Format::Json, Err(fault)) => {
                terminal.json(&json!({"file": path.to_string(), "fault": fault}))?;
            }
            (Format::Text, Ok(users)) => terminal.line(format!("{path}: {users} users, good"))?,
            (Format::Text, Err(fault)) => terminal.line(fault)?,
        }
    }
    if arguments.dir.is_some() {
        faults += keys(&arguments, terminal).await?;
    }
    match faults {
        0 => Ok(()),
        1 => Err(Error::Usage("there is 1 fault".to_owned())),
        faults => Err(Error::Usage(format!("there are {faults} faults"))),
    }
}

/// Asks for the keys of an instance that are elsewhere, and compares them with what stands in its directory.
async fn keys(arguments: &Arguments, terminal: &mut Terminal) -> Result<usize, Error> {
    let directory = absolute(arguments.dir.as_deref().unwrap_or_else(|| Path::new(".")))?;
    let folder = directory.clone();
    let references = blocking(move || Ok(references(&folder)?)).await?;
    let (options, online) = (key_options(terminal), arguments.online);
    let mut faults = 0;
    let mut shown = Vec::new();
    let wrapped = password::wrapped(&directory)?;
    // Nobody is asked for it but online.
    let found = match online {
        true => arguments.password.of(&directory, terminal).await,
        false => Ok(None),
    };
    let password = match (&wrapped, found) {
        (None, found) => found?,
        (Some(wrapped), found) => {
            let place = wrapped.key();
            let mut value = json!({"password": kept::FILE, "reference": place});
            let (line, password) = match found {
                Ok(password) if online => (format!("password: {place} has unwrapped it"), password),
                Ok(_) => (format!("password: {place} wraps it"), None),
                Err(error) => {
                    faults += 1;
                    let fault = error.to_string();
                    value["fault"] = fault.clone().into();
                    (format!("password: {fault}"), None)
                }
            };
            match arguments.output {
                Format::Text => terminal.line(line)?,
                Format::Json => shown.push(value),
            }
            password
        }
    };
    for its in references {
        let answer = match online {
            true => Some(open(&its.reference, password.clone(), &options).await),
            false => None,
        };
        let answer = answer.map(|opened| {
            let key = opened?;
            let (id, kind) = (key.public_key().id(), key.key_type());
            match &its.public {
                Some(public) if public != key.public_key() => Err(format!(
                    "it is another key, {id}, than the one that this service signs with, {}",
                    public.id()
                )),
                _ => Ok(format!("{kind}, {id}")),
            }
        });
        faults += usize::from(matches!(answer, Some(Err(_))));
        let (service, name, place) = (its.service, &its.name, &its.reference);
        let mut value = json!({"service": service, "name": name, "reference": place});
        let line = match answer {
            None => format!("{service} key {name}: {place}"),
            Some(Ok(key)) => {
                value["key"] = key.clone().into();
                format!("{service} key {name}: {place} answers: {key}")
            }
            Some(Err(fault)) => {
                value["fault"] = fault.clone().into();
                format!("{service} key {name}: {place}: {fault}")
            }
        };
        match arguments.output {
            Format::Text => terminal.line(line)?,
            Format::Json => shown.push(value),
        }
    }
    if arguments.output == Format::Json {
        terminal.json(&json!({"keys": shown}))?;
    }
    Ok(faults)
}

async fn config(
    path: &Path,
    online: bool,
    output: Format,
    terminal: &mut Terminal,
) -> Result<usize, Error> {
    let text = std::fs::read(path).map_err(|cause| Error::file("read", path, cause))?;
    let text = String::from_utf8(text)
        .map_err(|_| Error::Usage(format!("{} is not UTF-8", path.display())))?;
    let checked = Configuration::check(&text);
    let faults = checked.findings.iter().filter(|it| it.is_fault).count();
    let warnings = checked.findings.len() - faults;
    let issuers = checked.configuration.unwrap_or_default();
    let asked = match online {
        true => ask(issuers.issuers()).await,
        false => Vec::new(),
    };
    let silent = asked.iter().filter(|(_, answer)| answer.is_err()).count();
    if output == Format::Json {
        let findings = checked.findings.iter().map(|finding| {
            json!({"line": finding.line, "fault": finding.is_fault, "message": finding.message})
        });
        let urls = issuers.issuers().iter().map(|issuer| issuer.url.as_str());
        let mut value = json!({
            "file": path.display().to_string(),
            "issuers": urls.collect::<Vec<_>>(),
            "findings": findings.collect::<Vec<Value>>(),
        });
        if online {
            let answers = asked.iter().map(|(issuer, answer)| match answer {
                Ok(keys) => json!({"issuer": issuer.url, "keys": keys}),
                Err(fault) => json!({"issuer": issuer.url, "fault": fault}),
            });
            value["online"] = answers.collect::<Vec<Value>>().into();
        }
        terminal.json(&value)?;
        return Ok(faults + silent);
    }
    for finding in &checked.findings {
        terminal.line(reload::line(path, finding))?;
    }
    for (issuer, answer) in &asked {
        let url = &issuer.url;
        let place = match checked.lines.get(url) {
            Some(line) => format!("{}:{line}", path.display()),
            None => path.display().to_string(),
        };
        terminal.line(match answer {
            Ok(keys) => format!("{place}: the issuer {url} answers: {keys}"),
            Err(fault) => format!("{place}: the issuer {url}: {fault}"),
        })?;
    }
    if faults + silent == 0 {
        let count = issuers.issuers().len();
        let plural = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let path = path.display();
        terminal.line(format!(
            "{path}: {}, no fault, {}",
            plural(count, "issuer"),
            plural(warnings, "warning")
        ))?;
    }
    Ok(faults + silent)
}

/// Asks all issuers that can be asked, some at once, in their order.
async fn ask(issuers: &[Issuer]) -> Vec<Asked> {
    let mut asked = Vec::new();
    let exact: Vec<_> = issuers.iter().filter(|it| !it.is_wildcard()).collect();
    for some in exact.chunks(AT_ONCE) {
        let tasks: Vec<_> = some
            .iter()
            .map(|issuer| {
                let issuer = (*issuer).clone();
                tokio::spawn(async move {
                    let answer = tokio::time::timeout(ASKING, ca::probe(&issuer)).await;
                    let answer = answer.unwrap_or_else(|_| {
                        Err(format!("no answer within {} s", ASKING.as_secs()))
                    });
                    let answer = answer.map(|(keys, algorithms)| {
                        let names = algorithms.iter().map(|algorithm| algorithm.name());
                        let names: Vec<_> = names.collect();
                        format!("{keys} keys, {}", names.join(", "))
                    });
                    (issuer, answer)
                })
            })
            .collect();
        for task in tasks {
            // The task is not cancelled; if it panicked, so may this one.
            let answer = task.await;
            asked
                .push(answer.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
        }
    }
    asked
}
