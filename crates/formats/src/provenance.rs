//! SLSA provenance version 1, written: how an artifact was built, and of what.
//!
//! Format: <https://slsa.dev/spec/v1.0/provenance>. The same facts always make the same bytes: members stand in the order
//! of the specification, parameters in the order of their names, and there is no time but what is given.

mod environment;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

pub use environment::{Ci, EnvironmentError, Facts, MAX_EVENT, is_secret};

/// The predicate type of what is written here.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// How an artifact was built.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provenance {
    /// URI of the kind of build: what the parameters mean.
    pub build_type: String,
    /// URI of who built, and vouches for what is said here.
    pub builder_id: String,
    /// What whoever started the build decided.
    pub external_parameters: BTreeMap<String, Value>,
    /// What the builder decided.
    pub internal_parameters: BTreeMap<String, Value>,
    /// What went into the build, the source first.
    pub resolved_dependencies: Vec<Resource>,
    /// Which build it was.
    pub invocation_id: Option<String>,
    /// When it began, RFC 3339.
    pub started_on: Option<String>,
    /// When it ended, RFC 3339.
    pub finished_on: Option<String>,
}

/// Something that went into a build (`ResourceDescriptor`).
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Resource {
    /// Where it came from.
    pub uri: String,
    /// Digests in hex by algorithm.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
}

impl Provenance {
    /// The predicate.
    ///
    /// ```
    /// use sealmark_formats::provenance::Provenance;
    /// let provenance = Provenance {
    ///     build_type: "https://example.com/make/v1".to_owned(),
    ///     builder_id: "https://example.com/builder".to_owned(),
    ///     ..Provenance::default()
    /// };
    /// assert_eq!(provenance.predicate().get(), concat!(
    ///     r#"{"buildDefinition":{"buildType":"https://example.com/make/v1","externalParameters":{}},"#,
    ///     r#""runDetails":{"builder":{"id":"https://example.com/builder"}}}"#,
    /// ));
    /// ```
    pub fn predicate(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Predicate<'a> {
            build_definition: Definition<'a>,
            run_details: Details<'a>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Definition<'a> {
            build_type: &'a str,
            external_parameters: &'a BTreeMap<String, Value>,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            internal_parameters: &'a BTreeMap<String, Value>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            resolved_dependencies: &'a [Resource],
        }
        #[derive(Serialize)]
        struct Details<'a> {
            builder: Builder<'a>,
            #[serde(skip_serializing_if = "Metadata::is_empty")]
            metadata: Metadata<'a>,
        }
        #[derive(Serialize)]
        struct Builder<'a> {
            id: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            invocation_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            started_on: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            finished_on: Option<&'a str>,
        }
        impl Metadata<'_> {
            fn is_empty(&self) -> bool {
                self.invocation_id.is_none()
                    && self.started_on.is_none()
                    && self.finished_on.is_none()
            }
        }
        serde_json::value::to_raw_value(&Predicate {
            build_definition: Definition {
                build_type: &self.build_type,
                external_parameters: &self.external_parameters,
                internal_parameters: &self.internal_parameters,
                resolved_dependencies: &self.resolved_dependencies,
            },
            run_details: Details {
                builder: Builder {
                    id: &self.builder_id,
                },
                metadata: Metadata {
                    invocation_id: self.invocation_id.as_deref(),
                    started_on: self.started_on.as_deref(),
                    finished_on: self.finished_on.as_deref(),
                },
            },
        })
        .expect("texts and maps with text keys serialise")
    }
}

impl Resource {
    /// A git repository at a reference and a commit.
    pub fn git(repository: &str, git_ref: Option<&str>, commit: Option<&str>) -> Self {
        let base = match repository.starts_with("git+") || !repository.contains("://") {
            true => repository.to_owned(),
            false => format!("git+{repository}"),
        };
        Self {
            uri: match git_ref {
                Some(git_ref) => format!("{base}@{git_ref}"),
                None => base,
            },
            digest: commit
                .map(|commit| ("gitCommit".to_owned(), commit.to_owned()))
                .into_iter()
                .collect(),
        }
    }
}

/// A URI without who logs in: CI systems put tokens there.
///
/// ```
/// use sealmark_formats::provenance::without_login;
/// assert_eq!(without_login("https://gitlab-ci-token:glcbt-64@gitlab.com/a/b.git"), "https://gitlab.com/a/b.git");
/// assert_eq!(without_login("https://u:p@ss@gitlab.com/a"), "https://gitlab.com/a");
/// assert_eq!(without_login("git@github.com:team/app.git"), "git@github.com:team/app.git");
/// assert_eq!(without_login("https://github.com/a/b@refs/heads/main"), "https://github.com/a/b@refs/heads/main");
/// ```
pub fn without_login(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..host_end].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[host..])
}
