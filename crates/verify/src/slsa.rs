//! What SLSA provenance must say: who built, from which source, and of what.
//!
//! Formats: <https://slsa.dev/spec/v1.0/provenance> and <https://slsa.dev/spec/v0.2/provenance>. Both are read into one
//! [`Provenance`], so that a demand means the same of either. What is stated several times must be what is expected each
//! time: whoever writes a provenance must not be able to say one thing to one reader and another to the next.

mod expected;
mod source;

use serde_json::Value;

pub use expected::{Expected, MAX_LEVEL, Material, Mismatch, check_version};
pub use source::GitSource;

/// Predicate type of provenance version 0.2.
pub const PROVENANCE_V0_2: &str = "https://slsa.dev/provenance/v0.2";
/// Predicate type of provenance version 1.
pub const PROVENANCE_V1: &str = "https://slsa.dev/provenance/v1";
/// Dependencies that are compared with what is expected; larger lists are refused.
pub const MAX_DEPENDENCIES: usize = 100_000;

/// What provenance of either version says, read and not believed.
#[derive(Clone, Debug, Default)]
pub struct Provenance<'a> {
    /// Who says that it built.
    pub builder_id: &'a str,
    /// What kind of build it was.
    pub build_type: &'a str,
    /// Where the source is said to be: each statement of it, with its git reference if one stands beside it.
    pub sources: Vec<(GitSource, Option<&'a str>)>,
    /// Git references that are stated without a source.
    pub refs: Vec<&'a str>,
    /// The branch that a tag was made on, as the build's event has it.
    pub base_ref: Option<&'a str>,
    /// What went into the build.
    pub dependencies: Vec<Dependency<'a>>,
    /// Objects in which the user's inputs stand.
    pub inputs: Vec<&'a Value>,
}

/// Something that went into a build.
#[derive(Clone, Debug)]
pub struct Dependency<'a> {
    /// Where it came from.
    pub uri: &'a str,
    /// Its digests: algorithm and value.
    pub digests: Vec<(&'a str, &'a str)>,
}

impl<'a> Provenance<'a> {
    /// Reads a predicate of one of the two types.
    ///
    /// # Errors
    /// What is expected of such a predicate, and what is there.
    pub fn read(predicate_type: &str, predicate: &'a Value) -> Result<Self, Mismatch> {
        let provenance = match predicate_type {
            PROVENANCE_V1 => Self::read_v1(predicate)?,
            PROVENANCE_V0_2 => Self::read_v0_2(predicate)?,
            other => {
                return Err(Mismatch::new(
                    format!("SLSA provenance, {PROVENANCE_V1} or {PROVENANCE_V0_2}"),
                    other,
                ));
            }
        };
        match provenance.dependencies.len() {
            0..=MAX_DEPENDENCIES => Ok(provenance),
            count => Err(Mismatch::new(
                format!("at most {MAX_DEPENDENCIES} dependencies"),
                count.to_string(),
            )),
        }
    }

    fn read_v1(predicate: &'a Value) -> Result<Self, Mismatch> {
        let definition = &predicate["buildDefinition"];
        let external = &definition["externalParameters"];
        let mut provenance = Self {
            builder_id: text_at(predicate, "/runDetails/builder/id")?,
            build_type: text_at(predicate, "/buildDefinition/buildType")?,
            dependencies: dependencies(&definition["resolvedDependencies"]),
            inputs: [
                "/inputs",
                "/workflow/inputs",
                "/workflow_inputs",
                "/parameters",
                "",
            ]
            .into_iter()
            .filter_map(|path| external.pointer(path))
            .chain(definition.pointer("/internalParameters/GITHUB_EVENT_PAYLOAD/inputs"))
            .collect(),
            base_ref: ["/GITHUB_BASE_REF", "/github/base_ref", "/base_ref"]
                .into_iter()
                .find_map(|path| definition["internalParameters"].pointer(path)?.as_str())
                .filter(|text| !text.is_empty()),
            ..Self::default()
        };
        // Each build type has its own place: GitHub's workflows, Google's builds, generators, GitLab's jobs.
        for (repository, reference) in [
            ("/workflow/repository", "/workflow/ref"),
            ("/buildConfigSource/repository", "/buildConfigSource/ref"),
            ("/sourceToBuild/repository", "/sourceToBuild/ref"),
            ("/source/uri", "/source/ref"),
            ("/source/repository", "/source/branch"),
            ("/source", "/ref"),
        ] {
            let reference = external.pointer(reference).and_then(Value::as_str);
            match external.pointer(repository).and_then(Value::as_str) {
                Some(uri) => provenance.add_source(uri, reference),
                None if repository == "/source" => provenance.refs.extend(reference),
                None => {}
            }
        }
        Ok(provenance)
    }

    fn read_v0_2(predicate: &'a Value) -> Result<Self, Mismatch> {
        let invocation = &predicate["invocation"];
        let mut provenance = Self {
            builder_id: text_at(predicate, "/builder/id")?,
            build_type: text_at(predicate, "/buildType")?,
            dependencies: dependencies(&predicate["materials"]),
            inputs: [
                "/environment/github_event_payload/inputs",
                "/parameters/event_inputs",
                "/parameters/inputs",
                "/parameters",
            ]
            .into_iter()
            .filter_map(|path| invocation.pointer(path))
            .collect(),
            base_ref: [
                "/environment/github_event_payload/base_ref",
                "/environment/github_base_ref",
            ]
            .into_iter()
            .find_map(|path| invocation.pointer(path)?.as_str())
            .filter(|text| !text.is_empty()),
            refs: invocation
                .pointer("/environment/github_ref")
                .and_then(Value::as_str)
                .into_iter()
                .collect(),
            ..Self::default()
        };
        if let Some(uri) = invocation
            .pointer("/configSource/uri")
            .and_then(Value::as_str)
        {
            provenance.add_source(uri, None);
        }
        Ok(provenance)
    }

    fn add_source(&mut self, uri: &'a str, reference: Option<&'a str>) {
        let (source, inside) = GitSource::parse(uri);
        self.sources.push((source.clone(), inside));
        if reference.is_some_and(|text| !text.is_empty()) {
            self.sources.push((source, reference));
        }
    }
}

fn dependencies(list: &Value) -> Vec<Dependency<'_>> {
    let items = list.as_array().into_iter().flatten();
    items
        .map(|item| Dependency {
            uri: item["uri"].as_str().unwrap_or_default(),
            digests: item["digest"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(algorithm, value)| Some((algorithm.as_str(), value.as_str()?)))
                .collect(),
        })
        .collect()
}

fn text_at<'a>(predicate: &'a Value, path: &str) -> Result<&'a str, Mismatch> {
    match predicate.pointer(path) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(other) => Err(Mismatch::new(
            format!("a text at {path}"),
            sealmark_formats::excerpt(other.to_string()),
        )),
        None => Err(Mismatch::new(
            format!("a text at {path}"),
            format!("no {path}"),
        )),
    }
}
