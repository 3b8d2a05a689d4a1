//! The harness for x509-limbo, a public suite of cases for path validation (<https://x509-limbo.com>).
//!
//! ```text
//! sealmark-x509-limbo [limbo.json]
//! ```
//!
//! It reads the suite from the file, or from standard input, and writes what it found as JSON, as the suite's own
//! harnesses do. Standard error has what is not as the suite expects; `crates/x509/tests/path_rules` says where we
//! differ on purpose. A case is skipped, with the reason, if it is about what Sealmark has no use for: CRLs, limits on
//! the length of chains, names of servers that are not in the certificate letter by letter.

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use sealmark_x509::{Certificate, Purpose, SubjectAltName, verify_chain};
use serde::{Deserialize, Serialize};

/// Larger suites are refused, in bytes; that of 2025 has about 100 MB.
const MAX_SUITE: u64 = 1 << 30;

/// `limbo.json`.
#[derive(Deserialize)]
struct Suite {
    version: u64,
    testcases: Vec<Case>,
}

/// A `Testcase` of the suite's schema. What is not here makes no difference to path validation.
#[derive(Deserialize)]
struct Case {
    id: String,
    validation_kind: ValidationKind,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    /// RFC 3339; `None` is now.
    validation_time: Option<String>,
    #[serde(default)]
    signature_algorithms: Vec<String>,
    #[serde(default)]
    key_usage: Vec<String>,
    #[serde(default)]
    extended_key_usage: Vec<String>,
    expected_result: ExpectedResult,
    expected_peer_name: Option<PeerName>,
    #[serde(default)]
    expected_peer_names: Vec<PeerName>,
    max_chain_depth: Option<u64>,
    #[serde(default)]
    crls: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum ValidationKind {
    Client,
    Server,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum ExpectedResult {
    Success,
    Failure,
}

#[derive(Deserialize)]
struct PeerName {
    kind: String,
    value: String,
}

/// What the suite wants to be told: its `LimboResult`.
#[derive(Serialize)]
struct Report {
    version: u64,
    harness: &'static str,
    results: Vec<CaseResult>,
}

#[derive(Serialize)]
struct CaseResult {
    id: String,
    actual_result: ActualResult,
    /// Why, unless it is a success.
    context: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum ActualResult {
    Success,
    Failure,
    Skipped,
}

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<String, String> {
    let (name, input): (_, Box<dyn Read>) = match arguments {
        [] => ("standard input", Box::new(std::io::stdin())),
        [path] if !path.starts_with('-') => {
            let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
            (path.as_str(), Box::new(file))
        }
        _ => return Err("usage: sealmark-x509-limbo [limbo.json]".to_owned()),
    };
    let mut json = Vec::new();
    input
        .take(MAX_SUITE)
        .read_to_end(&mut json)
        .map_err(|error| format!("{name}: {error}"))?;
    let suite: Suite = serde_json::from_slice(&json)
        .map_err(|error| format!("{name} is not a limbo.json: {error}"))?;
    if suite.version != 1 {
        let version = suite.version;
        return Err(format!(
            "{name} is of version {version}; only 1 is supported"
        ));
    }
    let mut results = Vec::with_capacity(suite.testcases.len());
    for case in &suite.testcases {
        let (actual_result, context) = match evaluate(case) {
            Outcome::Success => (ActualResult::Success, None),
            Outcome::Failure(reason) => (ActualResult::Failure, Some(reason)),
            Outcome::Skipped(reason) => (ActualResult::Skipped, Some(reason)),
        };
        tell_unexpected(case, actual_result, context.as_deref());
        results.push(CaseResult {
            id: case.id.clone(),
            actual_result,
            context,
        });
    }
    let report = Report {
        version: 1,
        harness: concat!("sealmark-", env!("CARGO_PKG_VERSION")),
        results,
    };
    serde_json::to_string_pretty(&report).map_err(|error| error.to_string())
}

fn tell_unexpected(case: &Case, actual: ActualResult, context: Option<&str>) {
    match (case.expected_result, actual) {
        (ExpectedResult::Success, ActualResult::Failure) => {
            eprintln!("{}: refused: {}", case.id, context.unwrap_or_default());
        }
        (ExpectedResult::Failure, ActualResult::Success) => eprintln!("{}: accepted", case.id),
        _ => {}
    }
}

enum Outcome {
    Success,
    Failure(String),
    Skipped(String),
}

fn evaluate(case: &Case) -> Outcome {
    let purpose = match purpose(case) {
        Ok(purpose) => purpose,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let at = match &case.validation_time {
        None => Ok(jiff::Timestamp::now()),
        Some(text) => text.parse(),
    };
    let Some(at) = at.ok().and_then(|at| u64::try_from(at.as_second()).ok()) else {
        return Outcome::Skipped("its time is none from 1970 on".to_owned());
    };
    let leaf = match Certificate::from_pem(case.peer_certificate.as_bytes()) {
        Ok(leaf) => leaf,
        Err(error) => return Outcome::Failure(error.to_string()),
    };
    if let Some(reason) = names_are_ours(case, &leaf) {
        return Outcome::Skipped(reason);
    }
    let read = |list: &[String]| -> Result<Vec<Certificate>, String> {
        list.iter()
            .map(|pem| Certificate::from_pem(pem.as_bytes()).map_err(|error| error.to_string()))
            .collect()
    };
    let result = read(&case.untrusted_intermediates).and_then(|intermediates| {
        let roots = read(&case.trusted_certs)?;
        verify_chain(&leaf, &intermediates, &roots, at, purpose)
            .map(drop)
            .map_err(|error| error.to_string())
    });
    match result {
        Ok(()) => Outcome::Success,
        Err(reason) => Outcome::Failure(reason),
    }
}

/// The purpose of the case, or why it is none for us.
fn purpose(case: &Case) -> Result<Purpose, String> {
    let skipped = |what: &str| Err(format!("{what} are not supported"));
    if !case.crls.is_empty() {
        return skipped("CRLs");
    }
    if case.max_chain_depth.is_some() {
        return skipped("limits on the length of chains that are given");
    }
    if !case.signature_algorithms.is_empty() {
        return skipped("choices of signature algorithms");
    }
    if case
        .key_usage
        .iter()
        .any(|usage| usage != "digitalSignature")
    {
        return skipped("key usages other than digitalSignature");
    }
    let known = [
        Purpose::CodeSigning,
        Purpose::TimeStamping,
        Purpose::ServerAuth,
        Purpose::ClientAuth,
    ];
    match (case.extended_key_usage.as_slice(), case.validation_kind) {
        ([], ValidationKind::Server) => Ok(Purpose::ServerAuth),
        ([], ValidationKind::Client) => Ok(Purpose::ClientAuth),
        ([one], _) => known
            .into_iter()
            .find(|purpose| purpose.to_string() == *one)
            .ok_or_else(|| format!("certificates for {one:?} are not supported")),
        _ => skipped("several purposes at once"),
    }
}

/// Sealmark matches identities and no servers: only where each name stands in the certificate letter by letter does
/// the case depend on the chain alone. Otherwise, why it is skipped.
fn names_are_ours(case: &Case, leaf: &Certificate) -> Option<String> {
    let mut names = case
        .expected_peer_name
        .iter()
        .chain(&case.expected_peer_names);
    let missing = names.find(|name| {
        !leaf.subject_alt_names().iter().any(|san| {
            let kind = match san {
                SubjectAltName::Dns(_) => "DNS",
                SubjectAltName::Ip(_) => "IP",
                SubjectAltName::Email(_) => "RFC822",
                _ => return false,
            };
            kind == name.kind && san.value() == name.value
        })
    })?;
    let PeerName { kind, value } = missing;
    let value: String = value.chars().take(100).collect();
    Some(format!(
        "names of peers are not matched, and {kind} {value:?} does not stand in the certificate"
    ))
}
