//! Patterns of names: `*` stands for letters within one part of a path, `**` for any number of parts.

/// Letters of a pattern; matching costs the product of both lengths.
const MAX_PATTERN: usize = 512;

/// Whether a pattern can be the name of a repository.
///
/// # Errors
/// Why not.
pub(super) fn check_image(pattern: &str) -> Result<(), String> {
    if pattern.is_empty() {
        return Err("a pattern in images is empty".to_owned());
    }
    if pattern.len() > MAX_PATTERN {
        return Err(format!("a pattern has more than {MAX_PATTERN} letters"));
    }
    let wrong = |why: &str| Err(format!("{pattern:?} {why}"));
    if pattern == "**" {
        return Ok(());
    }
    if pattern.contains("://") {
        return wrong("has a scheme: a rule is for REGISTRY/REPOSITORY");
    }
    let plain = |letter: char| !letter.is_whitespace() && !letter.is_control();
    if !pattern.chars().all(plain) || pattern.split('/').any(str::is_empty) {
        return wrong("is no name of an image: a part of it is empty or has a blank");
    }
    let Some((host, repository)) = pattern.split_once('/') else {
        return wrong("has no registry: write docker.io/library/NAME, REGISTRY/** or **");
    };
    let is_host = host.contains(['.', ':', '*']) || host.eq_ignore_ascii_case("localhost");
    if !is_host {
        return wrong("has no registry: for Docker Hub begin with docker.io/");
    }
    // registry.example* would also be registry.example.evil.
    if host.ends_with('*') && host != "*" && host != "**" {
        return wrong("has a registry that ends in *, which is everybody's");
    }
    if repository.contains(['@', ':']) {
        return wrong(
            "names a tag or digest: a rule is for repositories, whatever their tags point to",
        );
    }
    if repository.chars().any(char::is_uppercase) {
        return wrong("has capital letters, which no repository has");
    }
    Ok(())
}

/// A name or pattern in the form in which they are compared: registries have several names.
pub(super) fn canonical(name: &str) -> String {
    let (host, rest) = name.split_once('/').unwrap_or((name, ""));
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(":443").unwrap_or(&host);
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = match host {
        "docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => "index.docker.io",
        host => host,
    };
    match rest {
        "" => host.to_owned(),
        rest => format!("{host}/{rest}"),
    }
}

/// A path without the parts that change nothing: `./dist//x` is `dist/x`.
pub(super) fn plain_path(path: &str) -> String {
    let start = if path.starts_with('/') { "/" } else { "" };
    let parts: Vec<_> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    format!("{start}{}", parts.join("/"))
}

/// Whether the whole name fits.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    if pattern.len() > MAX_PATTERN || name.len() > MAX_PATTERN * 8 {
        return false;
    }
    let parts: Vec<&str> = pattern.split('/').collect();
    let names: Vec<&str> = name.split('/').collect();
    // fitting[j]: the pattern's parts so far fit the first j parts of the name.
    let mut fitting = vec![false; names.len() + 1];
    fitting[0] = true;
    for part in parts {
        let mut next = vec![false; names.len() + 1];
        if part == "**" {
            let first = fitting
                .iter()
                .position(|fits| *fits)
                .unwrap_or(fitting.len());
            for fits in next.iter_mut().skip(first) {
                *fits = true;
            }
        } else {
            for (index, name) in names.iter().enumerate() {
                next[index + 1] = fitting[index] && part_fits(part, name);
            }
        }
        fitting = next;
    }
    fitting[names.len()]
}

fn part_fits(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        if let Some(piece) = last.replace(piece) {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
    }
    match last {
        Some(last) => rest.ends_with(last),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let table = [
            ("**", "a/b/c", true),
            ("registry/**", "registry/a/b", true),
            ("registry/**", "registry", true),
            ("registry/**", "registry2/a", false),
            ("registry/*", "registry/a", true),
            ("registry/*", "registry/a/b", false),
            ("*/app", "evil/registry/app", false),
            ("**/app", "registry/team/app", true),
            ("registry/team-*/app", "registry/team-a/app", true),
            ("registry/*-a-*", "registry/x-a-b-a-c", true),
            ("registry/a*a", "registry/a", false),
            (
                "registry.example.com/app",
                "registryxexample.com/app",
                false,
            ),
            ("localhost:5000/*", "localhost:5000/app", true),
            ("a/**/b/**/c", "a/x/b/c", true),
            ("a/**/b", "a/b/c", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_that_would_never_fit_are_refused() {
        for bad in [
            "",
            "registry.example/app:v1",
            "registry.example/app@sha256:00",
            "nginx",
            "acme/app",
            "ghcr.io",
            "ghcr.io/",
            "ghcr.io/acme/",
            "https://ghcr.io/acme/**",
            " ghcr.io/acme/**",
            "ghcr.io/Acme/**",
            "ghcr.io*/acme/app",
        ] {
            assert!(check_image(bad).is_err(), "{bad}");
        }
        for good in [
            "**",
            "*/app",
            "**/app",
            "localhost:5000/app",
            "localhost/app",
            "*.example.com/**",
        ] {
            assert_eq!(check_image(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_registry_has_several_names() {
        let same = [
            ("docker.io/acme/**", "index.docker.io/acme/app"),
            ("GHCR.io/acme/**", "ghcr.io/acme/app"),
            ("ghcr.io/acme/**", "GHCR.io:443/acme/app"),
            ("ghcr.io/acme/**", "ghcr.io./acme/app"),
        ];
        for (pattern, name) in same {
            assert!(
                fits(&canonical(pattern), &canonical(name)),
                "{pattern} {name}"
            );
        }
        assert_eq!(plain_path("./dist//x"), "dist/x");
        assert_eq!(plain_path("/dist/./x"), "/dist/x");
    }
}
