//! Where a source is: the many ways in which one git repository is named, made one.

use core::fmt;

/// A git repository: host and path, without what differs between the ways to reach it.
///
/// ```
/// use sealmark_verify::slsa::GitSource;
/// let (source, reference) = GitSource::parse("git+https://github.com/team/app.git@refs/tags/v1");
/// assert_eq!(source.to_string(), "github.com/team/app");
/// assert_eq!(reference, Some("refs/tags/v1"));
/// for same in ["github.com/team/app", "https://GitHub.com/team/app/", "git@github.com:team/app.git"] {
///     assert_eq!(GitSource::parse(same).0, source);
/// }
/// assert_ne!(GitSource::parse("github.com/team/app-evil").0, source);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GitSource(String);

impl GitSource {
    /// The repository, and the git reference after `@` if there is one.
    pub fn parse(uri: &str) -> (Self, Option<&str>) {
        let rest = uri.strip_prefix("git+").unwrap_or(uri);
        let (scheme, rest) = match rest.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, rest),
        };
        // Whoever logs in is not part of the place.
        let host_end = rest.find('/').unwrap_or(rest.len());
        let rest = match rest[..host_end].find('@') {
            Some(at) if scheme.is_some() || rest[at..].contains(':') => &rest[at + 1..],
            _ => rest,
        };
        let (place, reference) = match rest.split_once('@') {
            Some((place, reference)) => (place, Some(reference)),
            None => (rest, None),
        };
        let place = place.split(['?', '#']).next().unwrap_or(place);
        let place = place.trim_end_matches('/');
        let place = place.strip_suffix(".git").unwrap_or(place);
        // As scp names it: host:path.
        let (host, path) = match (place.split_once('/'), place.split_once(':')) {
            (Some((host, path)), Some((short, after)))
                if scheme.is_none() && host.contains(':') && !starts_with_port(after) =>
            {
                let _ = path;
                (short, after)
            }
            (Some((host, path)), _) => (host, path),
            (None, Some((host, path))) if scheme.is_none() => (host, path),
            _ => (place, ""),
        };
        let host = host.to_ascii_lowercase();
        let source = match path {
            "" => host,
            path => format!("{host}/{path}"),
        };
        (Self(source), reference.filter(|text| !text.is_empty()))
    }
}

/// `8443/team/app` is a port and a path, `team/app` is a path.
fn starts_with_port(text: &str) -> bool {
    let port = text.split('/').next().unwrap_or(text);
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for GitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
