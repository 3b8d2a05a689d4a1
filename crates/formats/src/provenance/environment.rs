//! What CI systems say of a build in variables of the environment.
//!
//! Only variables that are named here are read, and none of them is a secret; a login in the URL of a repository is left
//! out. Nothing here is proven: it is worth what the machine is that the variables are on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Provenance, Resource, without_login};

/// A larger payload of an event is refused, in bytes: GitHub's largest is 25 MB.
pub const MAX_EVENT: usize = 32 << 20;
/// Hex digits of a SHA-1 and of a SHA-256 commit.
const COMMIT_LENGTHS: [usize; 2] = [40, 64];
/// What the name of an input has if its value is not to be written anywhere.
const SECRET_WORDS: [&str; 7] = [
    "token",
    "secret",
    "passw",
    "credential",
    "apikey",
    "api_key",
    "private",
];

/// A CI system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ci {
    /// GitHub Actions.
    GithubActions,
    /// GitLab CI.
    Gitlab,
    /// Buildkite.
    Buildkite,
    /// Jenkins.
    Jenkins,
}

/// What an environment says of the build, and what of it was left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The provenance; what the environment does not say is empty.
    pub provenance: Provenance,
    /// The repository, without login.
    pub source: Option<String>,
    /// The whole git reference.
    pub git_ref: Option<String>,
    /// The commit, in hex.
    pub commit: Option<String>,
    /// What was not written and why, for people.
    pub left_out: Vec<String>,
}

/// Why an environment cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{ci} is to set {variable}: {reason}")]
pub struct EnvironmentError {
    ci: &'static str,
    variable: &'static str,
    reason: String,
}

impl Ci {
    /// The system on whose machine this is; `variable` gives what a variable is set to.
    pub fn detect(variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let is_true = |name| variable(name).is_some_and(|value| value == "true");
        if is_true("GITHUB_ACTIONS") {
            Some(Self::GithubActions)
        } else if is_true("GITLAB_CI") {
            Some(Self::Gitlab)
        } else if is_true("BUILDKITE") {
            Some(Self::Buildkite)
        } else if variable("JENKINS_URL").is_some_and(|url| !url.is_empty()) {
            Some(Self::Jenkins)
        } else {
            None
        }
    }

    /// The name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::GithubActions => "GitHub Actions",
            Self::Gitlab => "GitLab CI",
            Self::Buildkite => "Buildkite",
            Self::Jenkins => "Jenkins",
        }
    }

    /// The kind of build that is written for it; what its parameters mean is in `docs/provenance.md`.
    pub fn build_type(self) -> &'static str {
        match self {
            Self::GithubActions => {
                "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"
            }
            Self::Gitlab => "https://sealmark.dev/provenance/gitlab-job/v1",
            Self::Buildkite => "https://sealmark.dev/provenance/buildkite-step/v1",
            Self::Jenkins => "https://sealmark.dev/provenance/jenkins-build/v1",
        }
    }

    /// Reads the environment. `event` is the payload of the event that started a GitHub workflow, if it is at hand.
    ///
    /// # Errors
    /// If a variable is missing that the system always sets, or the payload is no JSON.
    pub fn read(
        self,
        variable: &dyn Fn(&str) -> Option<String>,
        event: Option<&[u8]>,
    ) -> Result<Facts, EnvironmentError> {
        let mut facts = Reader {
            ci: self,
            variable,
            facts: Facts::default(),
        };
        facts.facts.provenance.build_type = self.build_type().to_owned();
        match self {
            Self::GithubActions => facts.github(event)?,
            Self::Gitlab => facts.gitlab()?,
            Self::Buildkite => facts.buildkite()?,
            Self::Jenkins => facts.jenkins()?,
        }
        Ok(facts.facts)
    }
}

struct Reader<'a> {
    ci: Ci,
    variable: &'a dyn Fn(&str) -> Option<String>,
    facts: Facts,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn need(&self, name: &'static str) -> Result<String, EnvironmentError> {
        self.get(name)
            .ok_or_else(|| self.wrong(name, "it is not set"))
    }

    fn wrong(&self, variable: &'static str, reason: impl Into<String>) -> EnvironmentError {
        EnvironmentError {
            ci: self.ci.name(),
            variable,
            reason: reason.into(),
        }
    }

    fn external(&mut self, name: &str, value: impl Into<Value>) {
        let parameters = &mut self.facts.provenance.external_parameters;
        parameters.insert(name.to_owned(), value.into());
    }

    /// The variables that are set, by the names that they get.
    fn internal(&mut self, of: &str, names: &[(&str, &str)]) {
        let found: BTreeMap<&str, String> = names
            .iter()
            .filter_map(|(name, variable)| Some((*name, self.get(variable)?)))
            .collect();
        if !found.is_empty() {
            let parameters = &mut self.facts.provenance.internal_parameters;
            parameters.insert(of.to_owned(), json!(found));
        }
    }

    /// What was built; `commit` is left out if it is none, as Buildkite's `HEAD`.
    fn source(&mut self, repository: &str, git_ref: Option<String>, commit: Option<String>) {
        let is_commit = |text: &String| {
            COMMIT_LENGTHS.contains(&text.len()) && text.bytes().all(|it| it.is_ascii_hexdigit())
        };
        let repository = without_login(repository);
        let (commit, other) = match commit {
            Some(text) if is_commit(&text) => (Some(text), None),
            other => (None, other),
        };
        if let Some(other) = other {
            self.facts
                .left_out
                .push(format!("the commit, for {other:?} is none"));
        }
        self.facts
            .provenance
            .resolved_dependencies
            .push(Resource::git(
                &repository,
                git_ref.as_deref(),
                commit.as_deref(),
            ));
        self.facts.source = Some(repository);
        self.facts.git_ref = git_ref;
        self.facts.commit = commit;
    }

    /// <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>
    fn github(&mut self, event: Option<&[u8]>) -> Result<(), EnvironmentError> {
        let server = self
            .get("GITHUB_SERVER_URL")
            .unwrap_or_else(|| "https://github.com".to_owned());
        let repository = self.need("GITHUB_REPOSITORY")?;
        let workflow_ref = self.need("GITHUB_WORKFLOW_REF")?;
        let (path, reference) = workflow_ref
            .strip_prefix(&format!("{repository}/"))
            .unwrap_or(&workflow_ref)
            .split_once('@')
            .ok_or_else(|| self.wrong("GITHUB_WORKFLOW_REF", "there is no @ in it"))?;
        let url = format!("{server}/{repository}");
        self.external(
            "workflow",
            json!({"path": path, "ref": reference, "repository": url}),
        );
        self.inputs(event)?;
        self.internal(
            "github",
            &[
                ("base_ref", "GITHUB_BASE_REF"),
                ("event_name", "GITHUB_EVENT_NAME"),
                ("repository_id", "GITHUB_REPOSITORY_ID"),
                ("repository_owner_id", "GITHUB_REPOSITORY_OWNER_ID"),
                ("runner_environment", "RUNNER_ENVIRONMENT"),
            ],
        );
        let commit = self.need("GITHUB_SHA")?;
        let git_ref = self.get("GITHUB_REF");
        self.source(&url, git_ref, Some(commit));
        let run = self.need("GITHUB_RUN_ID")?;
        let attempt = self
            .get("GITHUB_RUN_ATTEMPT")
            .unwrap_or_else(|| "1".to_owned());
        let provenance = &mut self.facts.provenance;
        // The identity that a certificate for this workflow is for.
        provenance.builder_id = format!("{server}/{workflow_ref}");
        provenance.invocation_id = Some(format!("{url}/actions/runs/{run}/attempts/{attempt}"));
        Ok(())
    }

    /// What somebody chose who started the workflow by hand.
    fn inputs(&mut self, event: Option<&[u8]>) -> Result<(), EnvironmentError> {
        let Some(event) = event else {
            return Ok(());
        };
        if event.len() > MAX_EVENT {
            let reason = format!("the payload is larger than {} MiB", MAX_EVENT >> 20);
            return Err(self.wrong("GITHUB_EVENT_PATH", reason));
        }
        let payload: Value = serde_json::from_slice(event).map_err(|error| {
            self.wrong(
                "GITHUB_EVENT_PATH",
                format!("the payload is no JSON: {error}"),
            )
        })?;
        let Some(inputs) = payload["inputs"].as_object() else {
            return Ok(());
        };
        let mut written = BTreeMap::new();
        for (name, value) in inputs {
            if is_secret(name) {
                let note = format!("the input {name}, which by its name is a secret");
                self.facts.left_out.push(note);
            } else if !value.is_null() {
                written.insert(name.clone(), value.clone());
            }
        }
        if !written.is_empty() {
            self.external("inputs", json!(written));
        }
        Ok(())
    }

    /// <https://docs.gitlab.com/ci/variables/predefined_variables/>
    fn gitlab(&mut self) -> Result<(), EnvironmentError> {
        let project = self.need("CI_PROJECT_URL")?;
        let name = self.need("CI_COMMIT_REF_NAME")?;
        let git_ref = match (
            self.get("CI_COMMIT_TAG"),
            self.get("CI_MERGE_REQUEST_REF_PATH"),
        ) {
            (Some(tag), _) => format!("refs/tags/{tag}"),
            (None, Some(path)) => path,
            (None, None) => format!("refs/heads/{name}"),
        };
        let job = self.need("CI_JOB_NAME")?;
        self.external("source", without_login(&project));
        self.external("ref", git_ref.clone());
        self.external("job", job);
        if let Some(path) = self.get("CI_CONFIG_PATH") {
            self.external("configuration", path);
        }
        self.internal(
            "gitlab",
            &[
                ("pipeline_source", "CI_PIPELINE_SOURCE"),
                ("pipeline_id", "CI_PIPELINE_ID"),
                ("project_id", "CI_PROJECT_ID"),
                ("runner_executable_arch", "CI_RUNNER_EXECUTABLE_ARCH"),
                ("runner_version", "CI_RUNNER_VERSION"),
            ],
        );
        let commit = self.need("CI_COMMIT_SHA")?;
        self.source(&project, Some(git_ref), Some(commit));
        let runner = self.need("CI_RUNNER_ID")?;
        let provenance = &mut self.facts.provenance;
        provenance.builder_id = format!("{}/-/runners/{runner}", without_login(&project));
        provenance.invocation_id = (self.variable)("CI_JOB_URL").filter(|url| !url.is_empty());
        provenance.started_on = (self.variable)("CI_JOB_STARTED_AT").filter(|it| !it.is_empty());
        Ok(())
    }

    /// <https://buildkite.com/docs/pipelines/configure/environment-variables>
    fn buildkite(&mut self) -> Result<(), EnvironmentError> {
        let organization = self.need("BUILDKITE_ORGANIZATION_SLUG")?;
        let pipeline = self.need("BUILDKITE_PIPELINE_SLUG")?;
        let repository = self.need("BUILDKITE_REPO")?;
        let git_ref = match (self.get("BUILDKITE_TAG"), self.get("BUILDKITE_BRANCH")) {
            (Some(tag), _) => Some(format!("refs/tags/{tag}")),
            (None, Some(branch)) => Some(format!("refs/heads/{branch}")),
            (None, None) => None,
        };
        self.external("source", without_login(&repository));
        if let Some(git_ref) = &git_ref {
            self.external("ref", git_ref.clone());
        }
        for (name, variable) in [
            ("step", "BUILDKITE_STEP_KEY"),
            ("label", "BUILDKITE_LABEL"),
            ("trigger", "BUILDKITE_SOURCE"),
        ] {
            if let Some(value) = self.get(variable) {
                self.external(name, value);
            }
        }
        self.internal(
            "buildkite",
            &[
                ("agent_id", "BUILDKITE_AGENT_ID"),
                ("build_id", "BUILDKITE_BUILD_ID"),
                ("cluster_id", "BUILDKITE_CLUSTER_ID"),
                ("pipeline_id", "BUILDKITE_PIPELINE_ID"),
            ],
        );
        let commit = self.get("BUILDKITE_COMMIT");
        self.source(&repository, git_ref, commit);
        let build = self.need("BUILDKITE_BUILD_URL")?;
        let job = self.get("BUILDKITE_JOB_ID");
        let provenance = &mut self.facts.provenance;
        provenance.builder_id = format!("https://buildkite.com/{organization}/{pipeline}");
        provenance.invocation_id = Some(match job {
            Some(job) => format!("{build}#{job}"),
            None => build,
        });
        Ok(())
    }

    /// <https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables>, and the git plugin's.
    fn jenkins(&mut self) -> Result<(), EnvironmentError> {
        let server = self.need("JENKINS_URL")?;
        let job = self.need("JOB_NAME")?;
        let build = self.need("BUILD_URL")?;
        self.external("job", job);
        // Of a repository that the git plugin has checked out; other builds have none.
        if let Some(repository) = self.get("GIT_URL") {
            let local = |branch: String| {
                let short = branch.strip_prefix("refs/heads/").unwrap_or(&branch);
                let short = short.strip_prefix("origin/").unwrap_or(short);
                format!("refs/heads/{short}")
            };
            let git_ref = match self.get("TAG_NAME") {
                Some(tag) => Some(format!("refs/tags/{tag}")),
                None => self
                    .get("GIT_BRANCH")
                    .or_else(|| self.get("BRANCH_NAME"))
                    .filter(|branch| branch != "detached")
                    .map(local),
            };
            self.external("source", without_login(&repository));
            if let Some(git_ref) = &git_ref {
                self.external("ref", git_ref.clone());
            }
            let commit = self.get("GIT_COMMIT");
            self.source(&repository, git_ref, commit);
        }
        self.internal(
            "jenkins",
            &[
                ("build_tag", "BUILD_TAG"),
                ("executor", "EXECUTOR_NUMBER"),
                ("node", "NODE_NAME"),
            ],
        );
        let provenance = &mut self.facts.provenance;
        provenance.builder_id = without_login(&server);
        provenance.invocation_id = Some(without_login(&build));
        Ok(())
    }
}

/// Whether an input or variable with this name has a value that is not to be shown.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|word| name.contains(word))
}
