//! `log certificates`: what a certificate authority has certified, by its certificate transparency log: for whom, and when.
//!
//! All of the log is read, and proven to be what it has signed, so that the answer leaves nothing out.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use sealmark_formats::Digest;
use sealmark_keys::PublicKey;
use sealmark_rekor::ct::{Client, Logged, TreeHead};
use sealmark_rekor::{Http, Options};
use sealmark_trust::TrustedMaterial;
use serde::Serialize;

use crate::error::Error;
use crate::printable::printable;
use crate::terminal::{self, Terminal};

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Trusted root that names the logs and has their keys
    #[arg(long, value_name = "FILE")]
    trusted_root: PathBuf,
    /// Only the log at this URL, and not all that the trusted root names
    #[arg(long, value_name = "URL")]
    ct_log_url: Option<String>,
    /// Only certificates for this identity
    #[arg(long, visible_alias = "subject", value_name = "IDENTITY")]
    identity: Option<String>,
    /// Only those for which this identity provider vouched
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Only what was logged from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only what was logged until this time
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// How the result is printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: crate::flags::Format,
}

/// One log, read whole.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    log: String,
    tree_size: u64,
    root_hash: String,
    signed_at: String,
    certificates: Vec<Shown>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    index: u64,
    time: String,
    identities: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    serial: String,
    not_before: String,
    not_after: String,
    /// SHA-256 of the public key (`SubjectPublicKeyInfo`).
    key: String,
}

/// Reads, proves, and prints.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    if let (Some(from), Some(to)) = (arguments.from, arguments.to)
        && from > to
    {
        return Err(Error::Usage(format!(
            "--from {from} is after --to {to}: nothing can be between them"
        )));
    }
    let mut answers = Vec::new();
    for client in arguments.logs(terminal)? {
        let head = client.tree_head().await?;
        let mut certificates = Vec::new();
        client
            .read(&head, |logged| {
                if arguments.is_wanted(&logged) {
                    certificates.push(Shown::new(&logged));
                }
            })
            .await?;
        answers.push(Answer {
            log: client.http().shown().to_owned(),
            tree_size: head.size,
            root_hash: head.root.to_string(),
            signed_at: time(head.time),
            certificates,
        });
        said(&head, answers.last(), terminal);
    }
    if arguments.output == crate::flags::Format::Json {
        return terminal.json(&answers);
    }
    for one in answers.iter().flat_map(|answer| &answer.certificates) {
        terminal.line(format!(
            "{}  {:>6}  {}  {}  {}",
            one.time,
            one.index,
            printable(&one.identities.join(", ")),
            printable(one.issuer.as_deref().unwrap_or("-")),
            one.key
        ))?;
    }
    Ok(())
}

fn said(head: &TreeHead, answer: Option<&Answer>, terminal: &Terminal) {
    if let Some(answer) = answer {
        terminal.note(format!(
            "{} of the {} certificates in {}; all were read and proven, as of {}",
            answer.certificates.len(),
            head.size,
            answer.log,
            answer.signed_at
        ));
    }
}

impl Arguments {
    fn logs(&self, terminal: &Terminal) -> Result<Vec<Client>, Error> {
        let root = TrustedMaterial::from_file(&self.trusted_root)?.trusted_root;
        let path = self.trusted_root.display();
        let verbose = terminal.is_verbose();
        let options = Options {
            on_request: Some(Arc::new(move |request: &sealmark_rekor::RequestLog| {
                if verbose {
                    terminal::note(&format!(
                        "{} {} {} ms",
                        request.method, request.url, request.millis
                    ));
                }
            })),
            ..Options::default()
        };
        let wanted = self
            .ct_log_url
            .as_deref()
            .map(|url| url.trim_end_matches('/'));
        let mut clients = Vec::new();
        for log in &root.ctlogs {
            if wanted.is_some_and(|wanted| log.base_url.trim_end_matches('/') != wanted) {
                continue;
            }
            let key = PublicKey::from_spki_der(&log.public_key)?;
            clients.push(Client::new(Http::new(&log.base_url, options.clone())?, key));
        }
        if clients.is_empty() {
            let known: Vec<&str> = root.ctlogs.iter().map(|log| &*log.base_url).collect();
            return Err(Error::Usage(match (wanted, known.is_empty()) {
                (_, true) => format!("{path} names no certificate transparency log"),
                (Some(wanted), _) => {
                    format!("{path} names no log at {wanted}, only {}", known.join(", "))
                }
                (None, _) => format!("{path} names no log that can be read"),
            }));
        }
        Ok(clients)
    }

    fn is_wanted(&self, logged: &Logged) -> bool {
        let certificate = &logged.certificate;
        let named = |wanted: &String| {
            let mut names = certificate.subject_alt_names().iter();
            names.any(|name| name.value() == *wanted)
        };
        let since =
            |bound: Timestamp| i128::from(logged.time) >= i128::from(bound.as_millisecond());
        let until =
            |bound: Timestamp| i128::from(logged.time) <= i128::from(bound.as_millisecond());
        self.identity.as_ref().is_none_or(named)
            && self
                .issuer
                .as_deref()
                .is_none_or(|wanted| certificate.fulcio().issuer() == Some(wanted))
            && self.from.is_none_or(since)
            && self.to.is_none_or(until)
    }
}

impl Shown {
    fn new(logged: &Logged) -> Self {
        let certificate = &logged.certificate;
        let validity = certificate.validity();
        Self {
            index: logged.index,
            time: time(logged.time),
            identities: certificate
                .subject_alt_names()
                .iter()
                .map(|name| name.value().to_owned())
                .collect(),
            issuer: certificate.fulcio().issuer().map(str::to_owned),
            serial: certificate.serial().to_string(),
            not_before: validity.not_before.to_string(),
            not_after: validity.not_after.to_string(),
            key: Digest::sha256(certificate.spki_der()).to_string(),
        }
    }
}

/// Milliseconds since 1970, as RFC 3339 has them.
fn time(milliseconds: u64) -> String {
    let time = i64::try_from(milliseconds).ok();
    let time = time.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(
        || format!("millisecond {milliseconds}"),
        |time| time.to_string(),
    )
}
