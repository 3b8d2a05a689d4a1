//! What is expected of provenance, and the comparison.

use serde_json::Value;

use super::{Dependency, GitSource, Provenance};

/// The highest level of the SLSA build track.
pub const MAX_LEVEL: u8 = 3;

/// Builders that are known, what their ids begin with, and the level of the SLSA build track that they are known to
/// reach: <https://slsa.dev/spec/v1.0/levels>.
const BUILDERS: [(&str, u8); 5] = [
    (
        "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/",
        3,
    ),
    (GITHUB_HOSTED, 2),
    ("https://github.com/actions/runner/self-hosted", 1),
    ("https://cloudbuild.googleapis.com/GoogleHostedWorker", 3),
    (GITHUB, 2),
];
/// Any machine of GitHub's; the workflow that signs has another name.
const GITHUB_HOSTED: &str = "https://github.com/actions/runner/github-hosted";
/// Workflows are builders that sign with identities of their own.
const GITHUB: &str = "https://github.com/";
/// Digest names under which a git commit stands.
const COMMITS: [&str; 3] = ["gitCommit", "sha1", "sha256"];
/// Hex digits of a commit: SHA-1 at least.
const MIN_COMMIT: usize = 40;

/// What is expected of provenance. Without anything, that it is well-formed provenance.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Expected {
    /// The builder; without `@` every version of it.
    pub builder_id: Option<String>,
    /// What kind of build it must have been.
    pub build_type: Option<String>,
    /// The repository that was built, in any of its spellings; with `@REF` also that reference.
    pub source: Option<String>,
    /// The whole git reference: `refs/heads/main`.
    pub git_ref: Option<String>,
    /// The branch: its name, or the one that a tag was made on.
    pub branch: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// The tag as a semantic version, of which parts may be left out: `v1` is every `v1.x.y`.
    pub versioned_tag: Option<String>,
    /// The commit, in hex.
    pub commit: Option<String>,
    /// The level of the SLSA build track that the builder must be known to reach.
    pub level: Option<u8>,
    /// What must have gone into the build.
    pub materials: Vec<Material>,
    /// Inputs that the build must have been started with.
    pub inputs: Vec<(String, String)>,
}

/// Something that must have gone into a build.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Material {
    /// Where it came from.
    pub uri: String,
    /// Digest in hex, and of which algorithm if that is said.
    pub digest: Option<(Option<String>, String)>,
}

impl Material {
    /// `URI`, `URI@ALGORITHM:HEX` or `URI@HEX`.
    ///
    /// # Errors
    /// If there is no URI.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_hex = |text: &str| {
            text.len() >= MIN_COMMIT && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let (uri, digest) = match text.rsplit_once('@') {
            Some((uri, digest)) => match digest.split_once(':') {
                Some((algorithm, hex)) if is_hex(hex) => {
                    (uri, Some((Some(algorithm.to_owned()), hex)))
                }
                None if is_hex(digest) => (uri, Some((None, digest))),
                _ => (text, None),
            },
            None => (text, None),
        };
        match uri {
            "" => Err(format!("{text:?} names no material: write URI@sha256:HEX")),
            uri => Ok(Self {
                uri: uri.to_owned(),
                digest: digest.map(|(algorithm, hex)| (algorithm, hex.to_ascii_lowercase())),
            }),
        }
    }

    fn is(&self, dependency: &Dependency<'_>) -> bool {
        (self.uri == dependency.uri
            || GitSource::parse(&self.uri) == GitSource::parse(dependency.uri))
            && match &self.digest {
                None => true,
                Some((algorithm, hex)) => dependency.digests.iter().any(|(name, value)| {
                    algorithm.as_ref().is_none_or(|wanted| wanted == name)
                        && value.eq_ignore_ascii_case(hex)
                }),
            }
    }
}

impl core::fmt::Display for Material {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.digest {
            None => f.write_str(&self.uri),
            Some((None, hex)) => write!(f, "{}@{hex}", self.uri),
            Some((Some(algorithm), hex)) => write!(f, "{}@{algorithm}:{hex}", self.uri),
        }
    }
}

/// What provenance does not say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mismatch {
    /// What would have passed.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Mismatch {
    pub(super) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: sealmark_formats::excerpt(found.into()),
        }
    }
}

impl Expected {
    /// Whether the predicate says what is expected; what it says, for people. `identities` are those of the signer's
    /// certificate, which was verified before.
    ///
    /// # Errors
    /// The first thing that it does not say.
    pub fn check(
        &self,
        predicate_type: &str,
        predicate: &Value,
        identities: &[String],
    ) -> Result<String, Mismatch> {
        let provenance = Provenance::read(predicate_type, predicate)?;
        self.check_builder(&provenance, identities)?;
        let source = self.check_source(&provenance)?;
        self.check_refs(&provenance)?;
        for material in &self.materials {
            if !provenance.dependencies.iter().any(|it| material.is(it)) {
                let found = match provenance
                    .dependencies
                    .iter()
                    .find(|it| it.uri == material.uri)
                {
                    Some(other) => format!("{} with {}", other.uri, digests(other)),
                    None => format!("{} others", provenance.dependencies.len()),
                };
                return Err(Mismatch::new(format!("material {material}"), found));
            }
        }
        for (name, wanted) in &self.inputs {
            let found = provenance.inputs.iter().find_map(|inputs| inputs.get(name));
            let text = found.map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            if text.as_ref() != Some(wanted) {
                let found =
                    text.map_or_else(|| format!("no input {name}"), |it| format!("{name}={it}"));
                return Err(Mismatch::new(format!("input {name}={wanted}"), found));
            }
        }
        let from = source
            .map(|source| format!(" from {source}"))
            .unwrap_or_default();
        Ok(format!("built by {}{from}", provenance.builder_id))
    }

    fn check_builder(
        &self,
        provenance: &Provenance<'_>,
        identities: &[String],
    ) -> Result<(), Mismatch> {
        let id = provenance.builder_id;
        if let Some(wanted) = &self.builder_id
            && !is_builder(wanted, id)
        {
            return Err(Mismatch::new(format!("builder {wanted}"), id));
        }
        if let Some(wanted) = &self.build_type
            && wanted != provenance.build_type
        {
            return Err(Mismatch::new(
                format!("build type {wanted}"),
                provenance.build_type,
            ));
        }
        let Some(wanted) = self.level else {
            return Ok(());
        };
        let known = BUILDERS.iter().find(|(prefix, _)| id.starts_with(prefix));
        let level = known.map_or(1, |(_, level)| *level);
        if level < wanted {
            let how = match known {
                Some(_) => "which reaches",
                None => "of which nothing is known but",
            };
            return Err(Mismatch::new(
                format!("a builder of SLSA build level {wanted}"),
                format!("{id}, {how} level {level}"),
            ));
        }
        // Anyone can write the name of such a builder; only it has a certificate for it.
        let is_own = |identity: &String| match id {
            GITHUB_HOSTED => identity.starts_with(GITHUB),
            id => identity == id,
        };
        if wanted > 1 && id.starts_with(GITHUB) && !identities.iter().any(is_own) {
            return Err(Mismatch::new(
                format!("signed by the builder itself, {id}"),
                match identities.first() {
                    Some(identity) => identity.as_str(),
                    None => "signed with a key",
                },
            ));
        }
        Ok(())
    }

    /// What was built, if it is said.
    fn check_source(&self, provenance: &Provenance<'_>) -> Result<Option<GitSource>, Mismatch> {
        let first = provenance
            .dependencies
            .first()
            .map(|it| GitSource::parse(it.uri).0);
        let stated = provenance.sources.first().map(|(source, _)| source.clone());
        let Some(text) = &self.source else {
            return Ok(stated.or(first));
        };
        let (wanted, _) = GitSource::parse(text);
        let mismatch = |found: String| Mismatch::new(format!("source {wanted}"), found);
        if let Some((other, _)) = provenance
            .sources
            .iter()
            .find(|(source, _)| *source != wanted)
        {
            return Err(mismatch(other.to_string()));
        }
        // What was built is what went in: it must be among the dependencies if there are any.
        let inside = provenance
            .dependencies
            .iter()
            .any(|it| GitSource::parse(it.uri).0 == wanted);
        match (provenance.sources.is_empty(), inside, first) {
            (_, true, _) | (false, _, None) => Ok(Some(wanted)),
            (false, false, Some(first)) => {
                Err(mismatch(format!("{first} among what went into the build")))
            }
            (true, false, Some(first)) => Err(mismatch(first.to_string())),
            (true, false, None) => Err(mismatch("no source".to_owned())),
        }
    }

    fn check_refs(&self, provenance: &Provenance<'_>) -> Result<(), Mismatch> {
        let built = provenance.sources.first().map(|(source, _)| source.clone());
        let of_source = self
            .source
            .as_deref()
            .map(|text| GitSource::parse(text).0)
            .or(built);
        let dependencies: Vec<(GitSource, Option<&str>, &Dependency<'_>)> = provenance
            .dependencies
            .iter()
            .map(|it| {
                let (source, reference) = GitSource::parse(it.uri);
                (source, reference, it)
            })
            .enumerate()
            .filter(|(index, (source, ..))| match &of_source {
                Some(wanted) => source == wanted,
                None => *index == 0,
            })
            .map(|(_, it)| it)
            .collect();
        let mut refs: Vec<&str> = provenance
            .sources
            .iter()
            .filter_map(|(_, it)| *it)
            .collect();
        refs.extend(&provenance.refs);
        refs.extend(
            dependencies
                .iter()
                .filter_map(|(_, reference, _)| *reference),
        );
        let with_source = self
            .source
            .as_deref()
            .and_then(|text| GitSource::parse(text).1);
        for (wanted, fits) in [
            (
                self.git_ref.as_deref().map(|it| format!("ref {it}")),
                self.git_ref.as_deref(),
            ),
            (with_source.map(|it| format!("ref {it}")), with_source),
        ] {
            if let (Some(wanted), Some(exact)) = (wanted, fits) {
                each(&refs, wanted, |it| it == exact)?;
            }
        }
        if let Some(branch) = &self.branch {
            let whole = format!("refs/heads/{}", branch.trim_start_matches("refs/heads/"));
            let short = whole.trim_start_matches("refs/heads/");
            let base = provenance
                .base_ref
                .filter(|_| refs.iter().all(|it| it.starts_with("refs/tags/")));
            match base {
                Some(base) => each(&[base], format!("branch {short}"), |it| {
                    it == whole || it == short
                })?,
                None => each(&refs, format!("branch {short}"), |it| it == whole)?,
            }
        }
        if let Some(tag) = &self.tag {
            let whole = format!("refs/tags/{}", tag.trim_start_matches("refs/tags/"));
            each(
                &refs,
                format!("tag {}", &whole["refs/tags/".len()..]),
                |it| it == whole,
            )?;
        }
        if let Some(version) = &self.versioned_tag {
            let wanted = format!("a tag of version {version}");
            each(&refs, wanted, |it| {
                it.strip_prefix("refs/tags/")
                    .is_some_and(|tag| is_version(version, tag))
            })?;
        }
        if let Some(commit) = &self.commit {
            let found = dependencies.iter().flat_map(|(_, _, it)| {
                it.digests
                    .iter()
                    .filter(|(name, _)| COMMITS.contains(name))
                    .map(|(_, hex)| *hex)
            });
            let found: Vec<&str> = found.collect();
            let wanted = format!("commit {commit}");
            if found.is_empty() {
                return Err(Mismatch::new(wanted, "no commit of the source"));
            }
            each(&found, wanted, |it| it.eq_ignore_ascii_case(commit))?;
        }
        Ok(())
    }
}

/// Each of them must fit, and there must be one.
fn each(found: &[&str], wanted: String, fits: impl Fn(&str) -> bool) -> Result<(), Mismatch> {
    match (found.iter().find(|it| !fits(it)), found.is_empty()) {
        (Some(other), _) => Err(Mismatch::new(wanted, *other)),
        (None, true) => Err(Mismatch::new(wanted, "none")),
        (None, false) => Ok(()),
    }
}

fn digests(dependency: &Dependency<'_>) -> String {
    let list: Vec<_> = dependency
        .digests
        .iter()
        .map(|(name, hex)| format!("{name}:{hex}"))
        .collect();
    match list.is_empty() {
        true => "no digest".to_owned(),
        false => list.join(" and "),
    }
}

/// Whether an id is of this builder: without a version any, `@v1` also where the id has `@refs/tags/v1`.
fn is_builder(wanted: &str, id: &str) -> bool {
    if wanted == id {
        return true;
    }
    let (name, version) = id.split_once('@').unwrap_or((id, ""));
    match wanted.split_once('@') {
        None => wanted == name,
        Some((wanted, tag)) => wanted == name && version.strip_prefix("refs/tags/") == Some(tag),
    }
}

/// Whether this can be [`Expected::versioned_tag`].
///
/// # Errors
/// How a version is written.
pub fn check_version(text: &str) -> Result<(), String> {
    let parts = |rest: &str| -> Vec<bool> {
        let numbers = rest.split(['-', '+']).next().unwrap_or(rest);
        let parts = numbers.split('.');
        parts.map(|part| part.parse::<u64>().is_ok()).collect()
    };
    match text.strip_prefix('v').map(parts) {
        Some(parts) if parts.len() <= 3 && parts.iter().all(|good| *good) => Ok(()),
        _ => Err(format!("{text}: a version is written v1, v1.2 or v1.2.3")),
    }
}

/// Whether a tag is a version that begins with the parts that are given. A version before the release (`-rc1`) is none,
/// unless it is named whole.
fn is_version(wanted: &str, tag: &str) -> bool {
    fn parts(text: &str) -> Option<(Vec<u64>, &str)> {
        let text = text.strip_prefix('v')?;
        let text = text.split('+').next().unwrap_or(text);
        let (numbers, before) = text.split_once('-').map_or((text, ""), |(a, b)| (a, b));
        let numbers: Option<Vec<u64>> = numbers.split('.').map(|it| it.parse().ok()).collect();
        numbers.filter(|it| it.len() <= 3).map(|it| (it, before))
    }
    match (parts(wanted), parts(tag)) {
        (Some((wanted, before)), Some((found, found_before))) => {
            found.len() == 3 && found.starts_with(&wanted) && before == found_before
        }
        _ => false,
    }
}
