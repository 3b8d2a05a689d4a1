//! CI providers that Fulcio knows by a type of their own, in the form that everybody may write in a configuration.
//! <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>

use std::collections::BTreeMap;

use sealmark_x509::FulcioExtension::{self, *};

use crate::issuer::CiProvider;
use crate::template::Template;

type Row = (FulcioExtension, &'static str);

const GITHUB: &[Row] = &[
    (GithubWorkflowTrigger, "event_name"),
    (GithubWorkflowSha, "sha"),
    (GithubWorkflowName, "workflow"),
    (GithubWorkflowRepository, "repository"),
    (GithubWorkflowRef, "ref"),
    (BuildSignerUri, "{{ .url }}/{{ .job_workflow_ref }}"),
    (BuildSignerDigest, "job_workflow_sha"),
    (RunnerEnvironment, "runner_environment"),
    (SourceRepositoryUri, "{{ .url }}/{{ .repository }}"),
    (SourceRepositoryDigest, "sha"),
    (SourceRepositoryRef, "ref"),
    (SourceRepositoryIdentifier, "repository_id"),
    (
        SourceRepositoryOwnerUri,
        "{{ .url }}/{{ .repository_owner }}",
    ),
    (SourceRepositoryOwnerIdentifier, "repository_owner_id"),
    (BuildConfigUri, "{{ .url }}/{{ .workflow_ref }}"),
    (BuildConfigDigest, "workflow_sha"),
    (BuildTrigger, "event_name"),
    (
        RunInvocationUri,
        "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}",
    ),
    (SourceRepositoryVisibility, "repository_visibility"),
    (DeploymentEnvironment, "environment"),
];

const GITLAB: &[Row] = &[
    (BuildSignerUri, "https://{{ .ci_config_ref_uri }}"),
    (BuildSignerDigest, "ci_config_sha"),
    (RunnerEnvironment, "runner_environment"),
    (SourceRepositoryUri, "{{ .url }}/{{ .project_path }}"),
    (SourceRepositoryDigest, "sha"),
    (
        SourceRepositoryRef,
        "refs/{{if eq .ref_type \"branch\"}}heads/{{ else }}tags/{{end}}{{ .ref }}",
    ),
    (SourceRepositoryIdentifier, "project_id"),
    (SourceRepositoryOwnerUri, "{{ .url }}/{{ .namespace_path }}"),
    (SourceRepositoryOwnerIdentifier, "namespace_id"),
    (BuildConfigUri, "https://{{ .ci_config_ref_uri }}"),
    (BuildConfigDigest, "ci_config_sha"),
    (BuildTrigger, "pipeline_source"),
    (
        RunInvocationUri,
        "{{ .url }}/{{ .project_path }}/-/jobs/{{ .job_id }}",
    ),
    (SourceRepositoryVisibility, "project_visibility"),
    (DeploymentEnvironment, "environment"),
];

const BUILDKITE: &[Row] = &[
    (RunnerEnvironment, "runner_environment"),
    (SourceRepositoryDigest, "build_commit"),
    (BuildTrigger, "build_source"),
    (
        RunInvocationUri,
        "{{ .url }}/{{ .organization_slug }}/{{ .pipeline_slug }}/builds/{{ .build_number }}#{{ .job_id }}",
    ),
];

const CODEFRESH: &[Row] = &[
    (
        BuildSignerUri,
        "{{ .platform_url }}/build/{{ .workflow_id }}",
    ),
    (RunnerEnvironment, "runner_environment"),
    (SourceRepositoryUri, "scm_repo_url"),
    (SourceRepositoryRef, "scm_ref"),
    (
        BuildConfigUri,
        "{{ .platform_url }}/api/pipelines/{{ .pipeline_id }}",
    ),
    (
        RunInvocationUri,
        "{{ .platform_url }}/build/{{ .workflow_id }}",
    ),
];

/// The provider that a type of issuer stands for.
pub(crate) fn by_type(name: &str, url: &str) -> Option<CiProvider> {
    let url = url.trim_end_matches('/');
    let (subject, rows, defaults): (_, _, &[(&str, &str)]) = match name {
        "github-workflow" => (
            "{{ .url }}/{{ .job_workflow_ref }}",
            GITHUB,
            &[("url", "https://github.com"), ("environment", "")],
        ),
        "gitlab-pipeline" => (
            "https://{{ .ci_config_ref_uri }}",
            GITLAB,
            &[("url", url), ("environment", "")],
        ),
        "buildkite-job" => (
            "{{ .url }}/{{ .organization_slug }}/{{ .pipeline_slug }}",
            BUILDKITE,
            &[("url", "https://buildkite.com"), ("runner_environment", "")],
        ),
        "codefresh-workflow" => (
            "{{ .platform_url }}/{{ .account_name }}/{{ .pipeline_name }}:{{ .account_id }}/{{ .pipeline_id }}",
            CODEFRESH,
            &[
                ("platform_url", "https://g.codefresh.io"),
                ("scm_repo_url", ""),
                ("scm_ref", ""),
                ("runner_environment", ""),
            ],
        ),
        _ => return None,
    };
    const READ: &str = "the templates here are read by a test";
    let extensions = rows.iter();
    Some(CiProvider {
        name: name.to_owned(),
        defaults: defaults
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        subject: Template::parse(subject).expect(READ),
        extensions: extensions
            .map(|(extension, template)| (*extension, Template::parse(template).expect(READ)))
            .collect(),
    })
}

/// The extension that a configuration calls by this name.
pub(crate) fn extension(name: &str) -> Option<FulcioExtension> {
    Some(match name {
        "github-workflow-trigger" => GithubWorkflowTrigger,
        "github-workflow-sha" => GithubWorkflowSha,
        "github-workflow-name" => GithubWorkflowName,
        "github-workflow-repository" => GithubWorkflowRepository,
        "github-workflow-ref" => GithubWorkflowRef,
        "build-signer-uri" => BuildSignerUri,
        "build-signer-digest" => BuildSignerDigest,
        "runner-environment" => RunnerEnvironment,
        "source-repository-uri" => SourceRepositoryUri,
        "source-repository-digest" => SourceRepositoryDigest,
        "source-repository-ref" => SourceRepositoryRef,
        "source-repository-identifier" => SourceRepositoryIdentifier,
        "source-repository-owner-uri" => SourceRepositoryOwnerUri,
        "source-repository-owner-identifier" => SourceRepositoryOwnerIdentifier,
        "build-config-uri" => BuildConfigUri,
        "build-config-digest" => BuildConfigDigest,
        "build-trigger" => BuildTrigger,
        "run-invocation-uri" => RunInvocationUri,
        "source-repository-visibility-at-signing" => SourceRepositoryVisibility,
        "deployment-environment" => DeploymentEnvironment,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_provider_is_understood() {
        for name in [
            "github-workflow",
            "gitlab-pipeline",
            "buildkite-job",
            "codefresh-workflow",
        ] {
            assert_eq!(by_type(name, "https://x.example/").unwrap().name, name);
        }
        assert!(by_type("email", "https://x.example").is_none());
    }
}
