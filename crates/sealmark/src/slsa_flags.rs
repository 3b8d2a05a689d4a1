//! Flags of the commands that verify attestations: what SLSA provenance must say.

use sealmark_verify::slsa::{Expected, MAX_LEVEL, Material, check_version};

use crate::error::Error;
use crate::policy_flags::PolicyFlags;

/// What provenance must say.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Provenance options")]
pub(crate) struct SlsaFlags {
    /// There must be SLSA provenance (version 0.2 or 1), and it must say what the other flags ask for
    #[arg(long)]
    slsa: bool,
    /// Who must have built; without @VERSION every version
    #[arg(long, value_name = "ID")]
    slsa_builder_id: Option<String>,
    /// Kind of build that it must have been
    #[arg(long, value_name = "URI")]
    slsa_build_type: Option<String>,
    /// Repository that must have been built, e.g. github.com/team/app
    #[arg(long, value_name = "REPOSITORY", alias = "slsa-source-uri")]
    slsa_source: Option<String>,
    /// Git reference that must have been built, e.g. refs/heads/main
    #[arg(long, value_name = "REF")]
    slsa_ref: Option<String>,
    /// Branch that must have been built, or that the tag was made on
    #[arg(long, value_name = "BRANCH", alias = "slsa-source-branch")]
    slsa_branch: Option<String>,
    /// Tag that must have been built
    #[arg(long, value_name = "TAG", alias = "slsa-source-tag")]
    slsa_tag: Option<String>,
    /// Tag that must have been built, as a version of which parts may be left out: v1 is every v1.x.y
    #[arg(long, value_name = "VERSION", alias = "slsa-source-versioned-tag")]
    slsa_versioned_tag: Option<String>,
    /// Commit that must have been built
    #[arg(long, value_name = "COMMIT")]
    slsa_commit: Option<String>,
    /// SLSA build level (1 to 3) that the builder must be known to reach
    #[arg(long, value_name = "LEVEL")]
    slsa_level: Option<u8>,
    /// What must have gone into the build: URI, or URI@sha256:HEX; several by repeating
    #[arg(long, value_name = "MATERIAL")]
    slsa_material: Vec<String>,
    /// Input that the build must have been started with; several by repeating
    #[arg(long, value_name = "NAME=VALUE", alias = "slsa-build-workflow-input")]
    slsa_input: Vec<String>,
}

impl SlsaFlags {
    /// What is asked of provenance; `None` if nothing is.
    pub(crate) fn expected(&self, policy: &PolicyFlags) -> Result<Option<Expected>, Error> {
        let texts = [
            ("--slsa-builder-id", &self.slsa_builder_id),
            ("--slsa-build-type", &self.slsa_build_type),
            ("--slsa-source", &self.slsa_source),
            ("--slsa-ref", &self.slsa_ref),
            ("--slsa-branch", &self.slsa_branch),
            ("--slsa-tag", &self.slsa_tag),
            ("--slsa-versioned-tag", &self.slsa_versioned_tag),
            ("--slsa-commit", &self.slsa_commit),
        ];
        for (flag, text) in &texts {
            if text.as_ref().is_some_and(String::is_empty) {
                return Err(Error::Usage(format!(
                    "{flag} is empty: is a variable not set?"
                )));
            }
        }
        if let Some(version) = &self.slsa_versioned_tag {
            check_version(version)
                .map_err(|cause| Error::Usage(format!("--slsa-versioned-tag {cause}")))?;
        }
        if let Some(level) = self.slsa_level
            && !(1..=MAX_LEVEL).contains(&level)
        {
            return Err(Error::Usage(format!(
                "--slsa-level {level}: SLSA has build levels 1 to {MAX_LEVEL}"
            )));
        }
        let materials = self.slsa_material.iter().map(|text| {
            Material::parse(text)
                .map_err(|reason| Error::Usage(format!("--slsa-material {reason}")))
        });
        let inputs = self.slsa_input.iter().map(|text| {
            let (name, value) = text.split_once('=').ok_or_else(|| {
                Error::Usage(format!("--slsa-input {text}: an input is NAME=VALUE"))
            })?;
            Ok((name.to_owned(), value.to_owned()))
        });
        let expected = Expected {
            builder_id: self.slsa_builder_id.clone(),
            build_type: self.slsa_build_type.clone(),
            source: self.slsa_source.clone(),
            git_ref: self.slsa_ref.clone(),
            branch: self.slsa_branch.clone(),
            tag: self.slsa_tag.clone(),
            versioned_tag: self.slsa_versioned_tag.clone(),
            commit: self.slsa_commit.clone(),
            level: self.slsa_level,
            materials: materials.collect::<Result<_, _>>()?,
            inputs: inputs.collect::<Result<_, Error>>()?,
        };
        if !self.slsa && expected == Expected::default() {
            return Ok(None);
        }
        if policy.has_file() {
            return Err(Error::Usage(
                "--slsa and --policy: the policy file says what provenance must say; leave one of them out".to_owned(),
            ));
        }
        Ok(Some(expected))
    }
}
