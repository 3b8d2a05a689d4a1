//! Provenance from what CI systems set, and nothing that is a secret in it.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use sealmark_formats::provenance::{Ci, Facts};
use serde_json::{Value, json};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Variables as GitHub documents them.
const GITHUB: &[(&str, &str)] = &[
    ("GITHUB_ACTIONS", "true"),
    ("GITHUB_SERVER_URL", "https://github.com"),
    ("GITHUB_REPOSITORY", "team/app"),
    (
        "GITHUB_WORKFLOW_REF",
        "team/app/.github/workflows/release.yml@refs/heads/main",
    ),
    ("GITHUB_REF", "refs/tags/v1.2.3"),
    ("GITHUB_SHA", COMMIT),
    ("GITHUB_EVENT_NAME", "workflow_dispatch"),
    ("GITHUB_REPOSITORY_ID", "1"),
    ("GITHUB_REPOSITORY_OWNER_ID", "2"),
    ("GITHUB_RUN_ID", "77"),
    ("GITHUB_RUN_ATTEMPT", "2"),
    ("RUNNER_ENVIRONMENT", "github-hosted"),
    ("GITHUB_TOKEN", "ghs_donotwriteme"),
    ("GITHUB_BASE_REF", ""),
];
const GITLAB: &[(&str, &str)] = &[
    ("GITLAB_CI", "true"),
    ("CI_PROJECT_URL", "https://gitlab.com/team/app"),
    (
        "CI_REPOSITORY_URL",
        "https://gitlab-ci-token:glcbt-64_x@gitlab.com/team/app.git",
    ),
    ("CI_COMMIT_REF_NAME", "main"),
    ("CI_COMMIT_SHA", COMMIT),
    ("CI_JOB_NAME", "build"),
    ("CI_JOB_URL", "https://gitlab.com/team/app/-/jobs/9"),
    ("CI_JOB_STARTED_AT", "2026-01-02T03:04:05Z"),
    ("CI_RUNNER_ID", "12"),
    ("CI_JOB_TOKEN", "glcbt-64_x"),
];
const BUILDKITE: &[(&str, &str)] = &[
    ("BUILDKITE", "true"),
    ("BUILDKITE_ORGANIZATION_SLUG", "team"),
    ("BUILDKITE_PIPELINE_SLUG", "app"),
    (
        "BUILDKITE_REPO",
        "https://ci:ghp_donotwriteme@github.com/team/app.git",
    ),
    ("BUILDKITE_BRANCH", "main"),
    ("BUILDKITE_COMMIT", "HEAD"),
    (
        "BUILDKITE_BUILD_URL",
        "https://buildkite.com/team/app/builds/4",
    ),
    ("BUILDKITE_JOB_ID", "0190"),
];
const JENKINS: &[(&str, &str)] = &[
    ("JENKINS_URL", "https://ci.example.com/"),
    ("JOB_NAME", "app/main"),
    ("BUILD_URL", "https://ci.example.com/job/app/4/"),
    ("GIT_URL", "https://bot:hunter22@git.example.com/app.git"),
    ("GIT_BRANCH", "origin/main"),
    ("GIT_COMMIT", COMMIT),
];

fn read(variables: &[(&str, &str)], event: Option<&[u8]>) -> Result<(Ci, Facts), String> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let ci = Ci::detect(&variable).ok_or("no CI system")?;
    ci.read(&variable, event)
        .map(|facts| (ci, facts))
        .map_err(|error| error.to_string())
}

fn predicate(facts: &Facts) -> Value {
    serde_json::from_str(facts.provenance.predicate().get()).unwrap()
}

#[test]
fn a_github_workflow_is_told_with_its_inputs() {
    let event =
        br#"{"inputs":{"release":"yes","debug":true,"deploy-token":"abc","none":null},"ref":"x"}"#;
    let (ci, facts) = read(GITHUB, Some(event)).unwrap();
    assert_eq!(ci, Ci::GithubActions);
    assert_eq!(
        predicate(&facts),
        json!({
            "buildDefinition": {
                "buildType": "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1",
                "externalParameters": {
                    "inputs": {"debug": true, "release": "yes"},
                    "workflow": {
                        "path": ".github/workflows/release.yml",
                        "ref": "refs/heads/main",
                        "repository": "https://github.com/team/app",
                    },
                },
                "internalParameters": {"github": {
                    "event_name": "workflow_dispatch",
                    "repository_id": "1",
                    "repository_owner_id": "2",
                    "runner_environment": "github-hosted",
                }},
                "resolvedDependencies": [{
                    "uri": "git+https://github.com/team/app@refs/tags/v1.2.3",
                    "digest": {"gitCommit": COMMIT},
                }],
            },
            "runDetails": {
                "builder": {"id": "https://github.com/team/app/.github/workflows/release.yml@refs/heads/main"},
                "metadata": {"invocationId": "https://github.com/team/app/actions/runs/77/attempts/2"},
            },
        })
    );
    assert_eq!(
        facts.left_out,
        ["the input deploy-token, which by its name is a secret"]
    );
}

#[test]
fn every_system_tells_builder_source_and_commit() {
    for (variables, builder, uri, commit) in [
        (
            GITLAB,
            "https://gitlab.com/team/app/-/runners/12",
            "git+https://gitlab.com/team/app@refs/heads/main",
            Some(COMMIT),
        ),
        (
            BUILDKITE,
            "https://buildkite.com/team/app",
            "git+https://github.com/team/app.git@refs/heads/main",
            None,
        ),
        (
            JENKINS,
            "https://ci.example.com/",
            "git+https://git.example.com/app.git@refs/heads/main",
            Some(COMMIT),
        ),
    ] {
        let (ci, facts) = read(variables, None).unwrap();
        let predicate = predicate(&facts);
        assert_eq!(predicate["runDetails"]["builder"]["id"], builder, "{ci:?}");
        let source = &predicate["buildDefinition"]["resolvedDependencies"][0];
        assert_eq!(source["uri"], uri);
        assert_eq!(source["digest"]["gitCommit"].as_str(), commit);
        let text = predicate.to_string();
        for secret in ["donotwriteme", "glcbt", "hunter22"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn the_same_environment_makes_the_same_bytes() {
    for variables in [GITHUB, GITLAB, BUILDKITE, JENKINS] {
        let bytes = || read(variables, None).unwrap().1.provenance.predicate();
        assert_eq!(bytes().get(), bytes().get());
    }
}

#[test]
fn what_is_missing_is_named() {
    let without = |name: &str| {
        let rest: Vec<_> = GITHUB
            .iter()
            .copied()
            .filter(|(it, _)| *it != name)
            .collect();
        read(&rest, None).map(|_| ())
    };
    assert_eq!(
        without("GITHUB_SHA").unwrap_err(),
        "GitHub Actions is to set GITHUB_SHA: it is not set"
    );
    assert!(without("GITHUB_RUN_ATTEMPT").is_ok());
    assert_eq!(read(&[], None).unwrap_err(), "no CI system");
    let error = read(GITHUB, Some(b"no json")).unwrap_err();
    assert!(
        error.contains("GITHUB_EVENT_PATH: the payload is no JSON"),
        "{error}"
    );
}
