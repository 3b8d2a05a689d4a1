//! This machine: its clock, and what is configured on it.

use std::path::PathBuf;

use super::{Arguments, Finding, Told};

/// A difference that does not matter, in seconds.
const SMALL: i64 = 30;
/// With more, in seconds, certificates of ten minutes are not yet or no more valid.
const LARGE: i64 = 240;

/// What changes how things are done; values may be secrets, and are not shown.
const PREFIXES: [&str; 10] = [
    "ACTIONS_ID_TOKEN_",
    "AWS_",
    "AZURE_",
    "BAO_",
    "COSIGN_",
    "GOOGLE_",
    "SEALMARK_",
    "SIGSTORE_",
    "TUF_",
    "VAULT_",
];
/// Variables that are listed.
const MAX_LISTED: usize = 40;

/// Whether the clock is right, as far as those who were asked tell.
pub(super) fn clock(told: &[Told]) -> Finding {
    const CHECK: &str = "clock";
    let Some(worst) = told.iter().max_by_key(|told| told.ahead.abs()) else {
        return Finding::skipped(CHECK, "nobody was asked who tells the time");
    };
    let by = &worst.by;
    let way = match worst.ahead > 0 {
        true => "behind",
        false => "ahead of",
    };
    let detail = format!("{} s {way} {by}", worst.ahead.abs());
    let remedy = "set the clock, e.g. with NTP: certificates for signing are valid for ten minutes";
    match worst.ahead.abs() {
        difference if difference > LARGE => Finding::failed(CHECK, detail).remedy(remedy),
        difference if difference > SMALL => Finding::warning(CHECK, detail, remedy),
        _ => Finding::ok(CHECK, format!("within {SMALL} s of {by}")),
    }
}

/// What is configured: files that were found, and variables that count.
pub(super) fn configuration(arguments: &Arguments) -> Finding {
    const CHECK: &str = "configuration";
    let mut found = Vec::new();
    let names = [
        arguments.services.named_config(),
        arguments.services.named_root(),
    ];
    let docker = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let docker = docker.or_else(|| home.map(|home| home.join(".docker")));
    let files = names
        .into_iter()
        .flatten()
        .chain(docker.map(|dir| dir.join("config.json")));
    found.extend(
        files
            .filter(|path| path.is_file())
            .map(|path| path.display().to_string()),
    );
    let mut variables: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    variables.sort();
    variables.truncate(MAX_LISTED);
    if !variables.is_empty() {
        found.push(format!("variables {}", variables.join(" ")));
    }
    match found.is_empty() {
        true => Finding::ok(CHECK, "none: the defaults apply"),
        false => Finding::ok(CHECK, found.join(", ")),
    }
}
