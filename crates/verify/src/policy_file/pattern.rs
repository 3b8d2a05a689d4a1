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
    let last = pattern.rsplit('/').next().unwrap_or(pattern);
    // The registry may have a port; a pattern that is nothing but a registry is none of a repository.
    if pattern.contains('@') || (last.contains(':') && pattern.contains('/')) {
        return Err(format!(
            "{pattern:?} names a tag or digest: a rule is for repositories, whatever their tags point to"
        ));
    }
    Ok(())
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
    fn tags_and_digests_are_no_part_of_a_pattern() {
        for bad in ["", "registry/app:v1", "registry/app@sha256:00"] {
            assert!(check_image(bad).is_err(), "{bad}");
        }
        assert!(check_image("localhost:5000/app").is_ok());
    }
}
