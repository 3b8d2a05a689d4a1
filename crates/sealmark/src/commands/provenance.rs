//! `provenance`: write SLSA provenance of a build, from what the CI system says and from flags.
//!
//! It is written and not signed: `attest` does that. The same environment and flags always make the same bytes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sealmark_formats::provenance::{
    Ci, Facts, MAX_EVENT, PREDICATE_TYPE, Provenance, Resource, is_secret, without_login,
};
use sealmark_formats::{Digest, HashAlgorithm, statement};
use sealmark_sign::blob::FileBytes;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::terminal::Terminal;

/// A variable with a shorter value is not looked for in what is written: it would be found everywhere.
const MIN_SECRET: usize = 8;

/// The CI system whose variables are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum CiFlag {
    /// The one on whose machine this is
    Auto,
    /// None: flags say everything
    None,
    /// GitHub Actions
    Github,
    /// GitLab CI
    Gitlab,
    /// Buildkite
    Buildkite,
    /// Jenkins
    Jenkins,
}

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// With --statement: what was built, as a file or as NAME@sha256:HEX
    #[arg(value_name = "SUBJECT", requires = "statement")]
    subjects: Vec<String>,
    /// Write the whole in-toto statement and not its predicate alone
    #[arg(long, requires = "subjects")]
    statement: bool,
    /// CI system whose variables are read
    #[arg(long, value_enum, default_value = "auto")]
    ci: CiFlag,
    /// Who builds, as a URI
    #[arg(long, value_name = "URI")]
    builder_id: Option<String>,
    /// What kind of build it is, as a URI
    #[arg(long, value_name = "URI")]
    build_type: Option<String>,
    /// Repository that is built
    #[arg(long, value_name = "URI")]
    source: Option<String>,
    /// Git reference that is built: refs/heads/main
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// Commit that is built
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// What whoever started the build decided; several by repeating
    #[arg(long, value_name = "NAME=VALUE")]
    parameter: Vec<String>,
    /// What else went into the build; several by repeating
    #[arg(long, value_name = "URI@ALGORITHM:HEX")]
    material: Vec<String>,
    /// Which build it is
    #[arg(long, value_name = "ID")]
    invocation_id: Option<String>,
    /// When it began, RFC 3339
    #[arg(long, value_name = "TIME")]
    started_on: Option<String>,
    /// When it ended, RFC 3339
    #[arg(long, value_name = "TIME")]
    finished_on: Option<String>,
    /// Write to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes the provenance.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let mut facts = facts(arguments.ci, terminal)?;
    arguments.complete(&mut facts)?;
    let predicate = finished(facts.provenance)?;
    let json = match arguments.statement {
        false => predicate.get().as_bytes().to_vec(),
        true => {
            let subjects = arguments
                .subjects
                .iter()
                .map(|text| subject(text))
                .collect::<Result<Vec<_>, _>>()?;
            let subjects: Vec<(&str, &Digest)> = subjects
                .iter()
                .map(|(name, digest)| (name.as_str(), digest))
                .collect();
            statement::attestation(&subjects, PREDICATE_TYPE, &predicate)
        }
    };
    match &arguments.out {
        Some(path) => std::fs::write(path, json).map_err(|cause| Error::file("write", path, cause)),
        None => terminal.line(String::from_utf8_lossy(&json)),
    }
}

/// The provenance that the environment alone tells, for `attest --provenance`.
pub(crate) fn of_environment(terminal: &Terminal) -> Result<Box<RawValue>, Error> {
    finished(facts(CiFlag::Auto, terminal)?.provenance)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn facts(ci: CiFlag, terminal: &Terminal) -> Result<Facts, Error> {
    let ci = match ci {
        CiFlag::Auto => Ci::detect(&variable),
        CiFlag::None => None,
        CiFlag::Github => Some(Ci::GithubActions),
        CiFlag::Gitlab => Some(Ci::Gitlab),
        CiFlag::Buildkite => Some(Ci::Buildkite),
        CiFlag::Jenkins => Some(Ci::Jenkins),
    };
    let Some(ci) = ci else {
        return Ok(Facts::default());
    };
    terminal.note(format!("read from the variables of {}", ci.name()));
    let event = match (ci, variable("GITHUB_EVENT_PATH")) {
        (Ci::GithubActions, Some(path)) if !path.is_empty() => Some(event(&PathBuf::from(path))?),
        _ => None,
    };
    let facts = ci
        .read(&variable, event.as_deref())
        .map_err(|error| Error::Usage(error.to_string()))?;
    for left_out in &facts.left_out {
        terminal.note(format!("left out: {left_out}"));
    }
    Ok(facts)
}

fn event(path: &std::path::Path) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_EVENT as u64 + 1).read_to_end(&mut bytes))
        .map_err(|cause| Error::file("read", path, cause))?;
    Ok(bytes)
}

impl Arguments {
    /// Flags win over the environment.
    fn complete(&self, facts: &mut Facts) -> Result<(), Error> {
        let provenance = &mut facts.provenance;
        for (flag, given, place) in [
            ("--builder-id", &self.builder_id, &mut provenance.builder_id),
            ("--build-type", &self.build_type, &mut provenance.build_type),
        ] {
            if let Some(uri) = given {
                check_uri(flag, uri)?;
                place.clone_from(uri);
            }
        }
        for (flag, given, place) in [
            ("--started-on", &self.started_on, &mut provenance.started_on),
            (
                "--finished-on",
                &self.finished_on,
                &mut provenance.finished_on,
            ),
        ] {
            if let Some(time) = given {
                time.parse::<jiff::Timestamp>().map_err(|error| {
                    Error::Usage(format!("{flag} {time}: not a time as in RFC 3339: {error}"))
                })?;
                *place = Some(time.clone());
            }
        }
        if let Some(id) = &self.invocation_id {
            provenance.invocation_id = Some(id.clone());
        }
        if self.source.is_some() || self.git_ref.is_some() || self.commit.is_some() {
            let source = self.source.as_deref().map(without_login);
            let source = source.or_else(|| facts.source.clone()).ok_or_else(|| {
                Error::Usage("--ref and --commit are of a source: name it with --source".to_owned())
            })?;
            let commit = self.commit.clone().or_else(|| facts.commit.clone());
            if let Some(commit) = &commit
                && !([40, 64].contains(&commit.len())
                    && commit.bytes().all(|byte| byte.is_ascii_hexdigit()))
            {
                return Err(Error::Usage(format!(
                    "--commit {commit}: a commit is 40 or 64 hex digits; git rev-parse HEAD prints it"
                )));
            }
            let git_ref = self.git_ref.clone().or_else(|| facts.git_ref.clone());
            let resource = Resource::git(&source, git_ref.as_deref(), commit.as_deref());
            match provenance.resolved_dependencies.first_mut() {
                Some(first) => *first = resource,
                None => provenance.resolved_dependencies.push(resource),
            }
        }
        for text in &self.parameter {
            let (name, value) = text
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| {
                    Error::Usage(format!("--parameter {text}: a parameter is NAME=VALUE"))
                })?;
            if is_secret(name) {
                return Err(Error::Usage(format!(
                    "--parameter {name}: by its name it is a secret, and provenance is for everybody"
                )));
            }
            let parameters = &mut provenance.external_parameters;
            parameters.insert(name.to_owned(), value.into());
        }
        for text in &self.material {
            provenance.resolved_dependencies.push(material(text)?);
        }
        Ok(())
    }
}

fn check_uri(flag: &str, uri: &str) -> Result<(), Error> {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    match is_scheme {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "{flag} {uri:?}: it is to be a URI, e.g. https://ci.example.com/builder"
        ))),
    }
}

fn material(text: &str) -> Result<Resource, Error> {
    let wrong = || {
        Error::Usage(format!(
            "--material {text}: a material is URI@ALGORITHM:HEX, e.g. pkg:docker/alpine@3.20@sha256:…"
        ))
    };
    let (uri, digest) = text.rsplit_once('@').ok_or_else(wrong)?;
    let (algorithm, hex) = digest.split_once(':').ok_or_else(wrong)?;
    let is_hex = hex.len() >= 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if uri.is_empty() || algorithm.is_empty() || !is_hex {
        return Err(wrong());
    }
    Ok(Resource {
        uri: without_login(uri),
        digest: BTreeMap::from([(algorithm.to_owned(), hex.to_ascii_lowercase())]),
    })
}

/// The predicate, if all is there that must be and nothing that must not.
fn finished(provenance: Provenance) -> Result<Box<RawValue>, Error> {
    for (flag, text) in [
        ("--builder-id", &provenance.builder_id),
        ("--build-type", &provenance.build_type),
    ] {
        if text.is_empty() {
            return Err(Error::Usage(format!(
                "{flag} is missing, and this is no machine of a CI system that is known (GitHub Actions, GitLab CI, \
                 Buildkite, Jenkins)"
            )));
        }
    }
    let predicate = provenance.predicate();
    let secrets: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, value)| is_secret(name) && value.len() >= MIN_SECRET)
        .collect();
    let value: Value = serde_json::from_str(predicate.get()).map_err(|error| Error::Stream {
        action: "write JSON",
        cause: error.into(),
    })?;
    match secrets.iter().find(|(_, secret)| says(&value, secret)) {
        Some((name, _)) => Err(Error::Usage(format!(
            "the provenance would have the value of the variable {name} in it, which by its name is a secret; nothing \
             was written"
        ))),
        None => Ok(predicate),
    }
}

/// Whether a text is part of any text in the value.
fn says(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string.contains(text),
        Value::Array(items) => items.iter().any(|item| says(item, text)),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains(text) || says(value, text)),
        _ => false,
    }
}

/// A file by its name, or `NAME@sha256:HEX`.
fn subject(text: &str) -> Result<(String, Digest), Error> {
    if let Some((name, digest)) = text.rsplit_once('@')
        && let Ok(digest) = digest.parse()
        && !std::path::Path::new(text).exists()
    {
        return Ok((name.to_owned(), digest));
    }
    let path = std::path::Path::new(text);
    if !path.exists() {
        return Err(Error::Usage(format!(
            "there is no file {text}, and it is not NAME@sha256:HEX either"
        )));
    }
    let digests = FileBytes(path)
        .digests(&[HashAlgorithm::Sha256])
        .map_err(Error::Usage)?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    match digests.into_iter().next() {
        Some(digest) => Ok((name.to_string_lossy().into_owned(), digest)),
        None => Err(Error::Usage(format!("no digest was made of {text}"))),
    }
}
