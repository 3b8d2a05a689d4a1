//! Whom to believe, and the services: are they there, and are they who they are believed to be?

use std::path::Path;

use jiff::Timestamp;
use sealmark_formats::trusted_root::TimeRange;
use sealmark_sign::http::{self, Answer, Service};
use sealmark_sign::timestamp;
use sealmark_verify::TrustedMaterial;
use sealmark_verify::trust::Authority;
use sealmark_x509::{Certificate, TimestampToken};

use super::{Arguments, Finding, Told};
use crate::commands::log::session::{Log, LogFlags};
use crate::error::Error;
use crate::service_flags;
use crate::terminal::Terminal;

pub(super) const ROOT: &str = "trusted root";
pub(super) const LOG: &str = "transparency log";
pub(super) const CA: &str = "certificate authority";
pub(super) const TSA: &str = "timestamp authority";

/// What ends sooner is worth a warning: 30 days, in seconds.
const SOON: i64 = 30 * 24 * 60 * 60;
/// How deep the cache of a TUF repository is.
const DEPTH: u32 = 4;
const ROOT_TARGET: &str = "trusted_root.json";
const CONFIG_TARGET: &str = "signing_config.v0.2.json";
/// What a throw-away timestamp is over.
const NOTHING: &[u8] = b"sealmark doctor";

pub(super) async fn check(
    arguments: &mut Arguments,
    findings: &mut Vec<Finding>,
    told: &mut Vec<Told>,
    terminal: &Terminal,
) {
    let (material, _tuf) = root(arguments, findings, terminal).await;
    let chosen = match arguments.services.choose(false, terminal).await {
        Ok(chosen) => chosen.services,
        Err(error) => {
            findings.push(Finding::failed("services", error.to_string()));
            return;
        }
    };
    let none = "none is configured; --signing-config or a URL names one, and `initialize` a whole instance";
    match chosen.logs.is_empty() {
        true => findings.push(Finding::skipped(LOG, none)),
        false => {
            for log in &chosen.logs {
                let vouched = !material.logs.is_empty();
                findings.push(log_answers(&log.url, vouched, arguments, terminal).await);
            }
        }
    }
    let options = service_flags::options(terminal);
    findings.push(match &chosen.ca {
        None => Finding::skipped(CA, none),
        Some(url) => match ca_answers(url, &material, &options, told).await {
            Ok(finding) => finding,
            Err(error) => Finding::failed(CA, error),
        },
    });
    match chosen.timestamp_authorities.is_empty() {
        true => findings.push(Finding::skipped(TSA, none)),
        false => {
            for url in &chosen.timestamp_authorities {
                let found = tsa_answers(url, &material, &options, told).await;
                findings.push(found.unwrap_or_else(|error| Finding::failed(TSA, error)));
            }
        }
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// What a TUF repository says now, in files that are gone with this.
struct FromTuf {
    mirror: String,
    expires: Timestamp,
    _folder: tempfile::TempDir,
}

/// Asks the TUF repository that `initialize` chose, with a copy of its cache: the cache stays as it is.
async fn from_tuf(arguments: &mut Arguments) -> Result<Option<FromTuf>, Error> {
    if arguments.services.named_root().is_some() {
        return Ok(None);
    }
    let Some(mut options) = arguments.services.trust_flags().initialised()? else {
        return Ok(None);
    };
    let failed = |cause| Error::file("copy", &options.cache, cause);
    let folder = tempfile::tempdir().map_err(failed)?;
    copy(&options.cache, &folder.path().join("cache"), DEPTH).map_err(failed)?;
    options.cache = folder.path().join("cache");
    let repository = sealmark_trust::tuf::refresh(&options).await?;
    let mut files = Vec::new();
    for name in [ROOT_TARGET, CONFIG_TARGET] {
        if repository.has(name).await? {
            let path = folder.path().join(name);
            let bytes = repository.target(name).await?;
            std::fs::write(&path, bytes).map_err(|cause| Error::file("write", &path, cause))?;
            files.push(path);
        }
    }
    let mut files = files.into_iter();
    if let Some(root) = files.next() {
        arguments.services.take_from(root, files.next());
    }
    Ok(Some(FromTuf {
        mirror: repository.mirror().to_owned(),
        expires: repository.expires(),
        _folder: folder,
    }))
}

/// Copies a folder of small files.
fn copy(from: &Path, to: &Path, depth: u32) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let target = to.join(entry.file_name());
        if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        } else if kind.is_dir() && depth > 0 {
            copy(&entry.path(), &target, depth - 1)?;
        }
    }
    Ok(())
}

/// Whom to believe, and until when.
async fn root(
    arguments: &mut Arguments,
    findings: &mut Vec<Finding>,
    terminal: &Terminal,
) -> (TrustedMaterial, Option<FromTuf>) {
    let none = TrustedMaterial::default;
    let tuf = match from_tuf(arguments).await {
        Ok(tuf) => tuf,
        Err(error) => {
            findings.push(Finding::failed(ROOT, error.to_string()));
            return (none(), None);
        }
    };
    let flags = arguments.services.trust_flags();
    let trusted = match flags.trusted(None, false, terminal).await {
        Ok(trusted) => trusted,
        Err(error) => {
            findings.push(Finding::failed(ROOT, error.to_string()));
            return (none(), tuf);
        }
    };
    let Some(origin) = trusted.origin else {
        let why = "none was named or initialised: keys verify without, identities with the public instance's";
        findings.push(Finding::skipped(ROOT, why));
        return (trusted.material, tuf);
    };
    let (origin, said) = match &tuf {
        None => (origin, String::new()),
        Some(tuf) => (
            format!("the TUF repository {}", tuf.mirror),
            format!("; its metadata is good until {}", tuf.expires),
        ),
    };
    let (over, soon) = ends(&trusted.material);
    let remedy = "fetch a newer one: `sealmark initialize`, or ask whoever runs the services";
    findings.push(match (over.as_slice(), soon.as_slice()) {
        ([], []) => Finding::ok(ROOT, format!("{origin}{said}")),
        ([], soon) => {
            Finding::warning(ROOT, format!("{origin}{said}: {}", soon.join(", ")), remedy)
        }
        (over, _) => {
            Finding::failed(ROOT, format!("{origin}{said}: {}", over.join(", "))).remedy(remedy)
        }
    });
    (trusted.material, tuf)
}

/// Kinds of services of which none is valid any more, and those that end soon.
fn ends(material: &TrustedMaterial) -> (Vec<String>, Vec<String>) {
    let logs = |logs: &[sealmark_verify::trust::Log]| -> Vec<(String, Option<i64>)> {
        logs.iter()
            .map(|log| (log.url.clone(), end(&log.valid_for)))
            .collect()
    };
    let authorities = |list: &[Authority]| -> Vec<(String, Option<i64>)> {
        let until = |one: &Authority| {
            let certificates = one.chain.iter().map(|certificate| {
                i64::try_from(certificate.validity().not_after.unix_seconds()).unwrap_or(i64::MAX)
            });
            certificates.chain(end(&one.valid_for)).min()
        };
        list.iter()
            .map(|one| (one.uri.clone(), until(one)))
            .collect()
    };
    let (mut over, mut soon) = (Vec::new(), Vec::new());
    for (kind, all) in [
        ("log", logs(&material.logs)),
        ("CT log", logs(&material.ct_logs)),
        (CA, authorities(&material.authorities)),
        (TSA, authorities(&material.timestamp_authorities)),
    ] {
        // Old generations have ended, and stay for what they signed: the newest counts.
        let newest = all
            .iter()
            .max_by_key(|(_, until)| until.unwrap_or(i64::MAX));
        let Some((url, Some(until))) = newest else {
            continue;
        };
        let at =
            Timestamp::from_second(*until).map_or_else(|_| until.to_string(), |t| t.to_string());
        if *until < now() {
            over.push(format!("the {kind} {url} has ended at {at}"));
        } else if *until < now() + SOON {
            soon.push(format!("the {kind} {url} ends at {at}"));
        }
    }
    (over, soon)
}

fn end(range: &TimeRange) -> Option<i64> {
    range.end.map(|end| end.as_second())
}

/// The log's checkpoint, proven with the key that is believed.
async fn log_answers(
    url: &str,
    vouched: bool,
    arguments: &Arguments,
    terminal: &Terminal,
) -> Finding {
    let looked = async {
        let flags = LogFlags::at(url, arguments.services.named_root());
        let session = flags.open(terminal).await?;
        Ok::<_, Error>(match &session.log {
            Log::V1(client) => (1, client.info().await?.total()),
            Log::V2(client) => (2, client.reader().checkpoint().await?.checkpoint.size),
        })
    };
    match looked.await {
        Ok((version, size)) if !vouched => Finding::failed(
            LOG,
            format!("{url} (version {version}) has {size} entries, and no trusted root vouches for its key"),
        )
        .remedy(
            "give the trusted root of this instance: --trusted-root, or `sealmark initialize`; signing needs it",
        ),
        Ok((version, size)) => Finding::ok(
            LOG,
            format!(
                "{url} (version {version}) has {size} entries; its checkpoint is signed by the log's key"
            ),
        ),
        Err(error) => Finding::failed(LOG, error.to_string()),
    }
}

/// The authority's certificates, and whether they are those that are believed.
async fn ca_answers(
    url: &str,
    material: &TrustedMaterial,
    options: &http::Options,
    told: &mut Vec<Told>,
) -> Result<Finding, String> {
    #[derive(serde::Deserialize)]
    struct Bundle {
        chains: Vec<Chain>,
    }
    #[derive(serde::Deserialize)]
    struct Chain {
        certificates: Vec<String>,
    }
    let service = Service::new(CA, url, options).map_err(|error| error.to_string())?;
    let answer = service
        .get(&service.at("api/v2/trustBundle"), |request| request)
        .await;
    let answer = answer
        .and_then(Answer::good)
        .map_err(|error| error.to_string())?;
    told.extend(date(url, &answer));
    let bundle: Bundle = answer.json().map_err(|error| error.to_string())?;
    let pems = bundle.chains.iter().flat_map(|chain| &chain.certificates);
    let theirs: Vec<Certificate> = pems
        .filter_map(|pem| Certificate::from_pem(pem.as_bytes()).ok())
        .collect();
    Ok(belief(CA, url, &theirs, &material.authorities))
}

fn belief(kind: &'static str, url: &str, theirs: &[Certificate], known: &[Authority]) -> Finding {
    let is_known = |certificate: &&Certificate| {
        known
            .iter()
            .flat_map(|one| &one.chain)
            .any(|other| other.der() == certificate.der())
    };
    let Some(found) = theirs.iter().find(is_known) else {
        let mut finding = Finding::failed(
            kind,
            format!("{url} answers, and the trusted root knows none of its certificates"),
        );
        if known.is_empty() {
            finding.detail = format!("{url} answers, and no trusted root says whom to believe");
        }
        return finding.remedy(
            "give the trusted root of this instance: --trusted-root, or `sealmark initialize`",
        );
    };
    Finding::ok(
        kind,
        format!("{url} answers, and {} is trusted", found.subject()),
    )
}

/// A timestamp over nothing: it is verified, and thrown away.
async fn tsa_answers(
    url: &str,
    material: &TrustedMaterial,
    options: &http::Options,
    told: &mut Vec<Told>,
) -> Result<Finding, String> {
    let stamped = timestamp::stamp(url, NOTHING, options).await;
    let response = stamped.map_err(|error| error.to_string())?;
    let token = TimestampToken::parse(&response).map_err(|error| error.to_string())?;
    let mut reason = "no trusted root says whom to believe".to_owned();
    for authority in &material.timestamp_authorities {
        match token.verify(NOTHING, &authority.chain) {
            Ok(verified) => {
                let time = i64::try_from(verified.unix_seconds).unwrap_or(i64::MAX);
                told.push(Told {
                    by: url.to_owned(),
                    ahead: time.saturating_sub(now()),
                });
                let subject = verified.signer.subject();
                return Ok(Finding::ok(
                    TSA,
                    format!("{url} stamps, and {subject} is trusted"),
                ));
            }
            Err(error) => reason = error.to_string(),
        }
    }
    let finding = Finding::failed(
        TSA,
        format!("{url} stamps, and its stamp is not believed: {reason}"),
    );
    Ok(finding
        .remedy("give the trusted root of this instance: --trusted-root, or `sealmark initialize`"))
}

/// The time that an answer has.
pub(super) fn date(by: &str, answer: &Answer) -> Option<Told> {
    let text = answer.headers.get("date")?.to_str().ok()?;
    let time = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Told {
        by: by.to_owned(),
        ahead: time.as_second() - now(),
    })
}
