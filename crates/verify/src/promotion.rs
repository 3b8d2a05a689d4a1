//! Where an image must have been promoted from, as its promotion says it.
//!
//! A promotion is an attestation like any other: its signer is judged as every signer is, and this only reads what it says.

use sealmark_formats::promotion::Promotion;
use sealmark_formats::statement::Statement;

use crate::policy::PredicateCheck;
use crate::policy_file;

/// Asks that the image was promoted from a repository that fits a pattern of policy files.
///
/// ```
/// use sealmark_verify::promotion::PromotedFrom;
/// assert!(PromotedFrom::new("ghcr.io/acme/**").is_ok());
/// assert!(PromotedFrom::new("ghcr.io*/acme").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct PromotedFrom {
    pattern: String,
}

impl PromotedFrom {
    /// `*` stands for letters within one part of the repository's name, `**` for any number of parts.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(pattern: &str) -> Result<Self, String> {
        policy_file::check_repository_pattern(pattern)?;
        Ok(Self {
            pattern: pattern.to_owned(),
        })
    }
}

impl PredicateCheck for PromotedFrom {
    fn name(&self) -> String {
        "promotion".to_owned()
    }

    fn asks(&self) -> String {
        format!("promoted from {}", self.pattern)
    }

    fn check(&self, statement: &str) -> Result<(), String> {
        let statement =
            Statement::parse(statement.as_bytes()).map_err(|error| error.to_string())?;
        let predicate = statement.predicate.as_ref().map_or("null", |raw| raw.get());
        let promotion =
            Promotion::parse(predicate.as_bytes()).map_err(|error| error.to_string())?;
        let repository = &promotion.source.repository;
        match policy_file::repository_fits(&self.pattern, repository) {
            true => Ok(()),
            false => Err(format!("promoted from {repository}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(repository: &str) -> String {
        let digest = format!("sha256:{}", "0".repeat(64));
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://sealmark.dev/promotion/v1",
            "predicate":{{"source":{{"repository":"{repository}","reference":"x:v1","digest":"{digest}"}},
            "destination":"x","promotedAt":"2026-11-23T08:00:00Z","policy":{{"digest":"{digest}"}},
            "verified":[{{"type":"t","signature":"{digest}","signer":{{"key":"{digest}"}}}}]}}}}"#
        )
    }

    #[test]
    fn the_whole_name_of_the_repository_must_fit() {
        for (pattern, repository, fits) in [
            ("ghcr.io/acme/**", "ghcr.io/acme/app", true),
            ("ghcr.io/acme/*", "ghcr.io/acme/team/app", false),
            ("ghcr.io/acme/**", "evil.example/ghcr.io/acme/app", false),
            ("ghcr.io/acme/**", "ghcr.io/acme-evil/app", false),
            (
                "docker.io/library/*",
                "index.docker.io/library/alpine",
                true,
            ),
            ("**", "layout", true),
        ] {
            let asked = PromotedFrom::new(pattern).expect("a pattern");
            assert_eq!(
                asked.check(&statement(repository)).is_ok(),
                fits,
                "{pattern} {repository}"
            );
        }
    }

    #[test]
    fn what_is_no_promotion_does_not_pass() {
        let asked = PromotedFrom::new("**").expect("a pattern");
        for text in ["", "{}", &statement("")] {
            assert!(asked.check(text).is_err());
        }
    }
}
