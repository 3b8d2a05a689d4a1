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
/// Others by their whole names: where credentials for registries are, and who stands between. In either case, as
/// proxies' have it.
const NAMES: [&str; 6] = [
    "ALL_PROXY",
    "DOCKER_CONFIG",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "REGISTRY_AUTH_FILE",
];
/// Variables that are listed.
const MAX_LISTED: usize = 40;

/// Whether the clock is right, as far as those who were asked tell.
pub(super) fn clock(told: &[Told]) -> Finding {
    const CHECK: &str = "clock";
    // Two that agree are right, and the third is wrong: whoever is nearest to this clock speaks for it.
    let Some(nearest) = told.iter().min_by_key(|told| told.ahead.abs()) else {
        return Finding::skipped(CHECK, "nobody was asked who tells the time");
    };
    let by = &nearest.by;
    let way = match nearest.ahead > 0 {
        true => "behind",
        false => "ahead of",
    };
    let off = nearest.ahead.abs();
    let detail = format!("{off} s {way} {by}");
    let remedy = "set the clock, e.g. with NTP: certificates for signing are valid for ten minutes";
    let others: String = told
        .iter()
        .filter(|told| off <= SMALL && told.ahead.abs() > LARGE)
        .map(|told| format!("; {}, however, is {} s off", told.by, told.ahead.abs()))
        .collect();
    match off {
        difference if difference > LARGE => Finding::failed(CHECK, detail).remedy(remedy),
        difference if difference > SMALL => Finding::warning(CHECK, detail, remedy),
        _ => Finding::ok(CHECK, format!("within {SMALL} s of {by}{others}")),
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
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = folder("HOME");
    let below_home = |name: &str| home.clone().map(|home| home.join(name));
    let docker = folder("DOCKER_CONFIG").or_else(|| below_home(".docker"));
    let config_home = folder("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
    let podman = [folder("XDG_RUNTIME_DIR"), config_home];
    let podman = podman
        .into_iter()
        .flatten()
        .map(|dir| dir.join("containers/auth.json"));
    let files = names
        .into_iter()
        .flatten()
        .chain(docker.map(|dir| dir.join("config.json")))
        .chain(folder("REGISTRY_AUTH_FILE"))
        .chain(podman);
    found.extend(
        files
            .filter(|path| path.is_file())
            .map(|path| path.display().to_string()),
    );
    let mut variables: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| {
            PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                || NAMES.iter().any(|one| name.eq_ignore_ascii_case(one))
        })
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

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn whoever_is_nearest_speaks_for_the_clock() {
        let told = |seconds: &[i64]| {
            let each = seconds.iter().enumerate();
            let each: Vec<_> = each
                .map(|(index, &ahead)| Told {
                    by: format!("host{index}"),
                    ahead,
                })
                .collect();
            clock(&each)
        };
        for (seconds, outcome, detail) in [
            (&[][..], Outcome::Skipped, "nobody"),
            (&[3], Outcome::Ok, "within 30 s of host0"),
            (&[9000, -2], Outcome::Ok, "host0, however, is 9000 s off"),
            (&[100, 9000], Outcome::Warning, "100 s behind host0"),
            (&[-500, -9000], Outcome::Failed, "500 s ahead of host0"),
        ] {
            let finding = told(seconds);
            assert_eq!(finding.outcome, outcome, "{seconds:?}");
            assert!(finding.detail.contains(detail), "{}", finding.detail);
        }
    }
}
