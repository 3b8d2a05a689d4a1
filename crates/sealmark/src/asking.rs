//! What is asked of artifacts and whom to believe: a policy file with what it names, whether flags made it or a person.
//!
//! It is made once for all artifacts of a command; keys are loaded when a rule that names them is used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealmark_formats::Digest;
use sealmark_formats::promotion::PROMOTION_V1;
use sealmark_keys::PublicKey;
use sealmark_kms::{KeyRef, RemoteKey};
use sealmark_verify::policy::{Attestation, Demand, Kind, PredicateCheck as _, PredicateType};
use sealmark_verify::policy_file::{Artifact, PolicyFile};
use sealmark_verify::promotion::PromotedFrom;
use sealmark_verify::{Policy, Requirement, Revocations, Signer};

use crate::error::{Error, VerificationExit};
use crate::predicate_policy::{Compiled, PredicatePolicies};
use crate::terminal::Terminal;
use crate::trust_flags::Trusted;

/// What is asked, and whom to believe: made once for all artifacts of a command.
pub(crate) struct Asking {
    pub(crate) file: PolicyFile,
    /// It, as it was written; if the flags made it, without what differs from machine to machine.
    pub(crate) yaml: String,
    /// Key files are named relative to it.
    pub(crate) directory: PathBuf,
    /// The policy file's name; `None` if the flags made it.
    pub(crate) name: Option<String>,
    /// Why the flags ask for less than they could, for the report.
    pub(crate) reasons: Reasons,
    /// As the flag says.
    pub(crate) allow_certificate_chain: bool,
    pub(crate) keys: BTreeMap<String, PublicKey>,
    /// Those of them that are in a provider.
    pub(crate) remote: Vec<RemoteKey>,
    /// The provider is to be asked about the signatures.
    pub(crate) verify_remotely: bool,
    /// No key is fetched.
    pub(crate) offline: bool,
    /// The programs in other languages that the policy file has.
    pub(crate) programs: Compiled,
    /// What flags ask in other languages beside a policy file.
    pub(crate) beside: PredicatePolicies,
    /// Where the image must have been promoted from, by one of those who must have signed it.
    pub(crate) promoted_from: Option<PromotedFrom>,
    pub(crate) trusted: Trusted,
    /// Revocations from elsewhere than the artifact's own attachments.
    pub(crate) revocations: Revocations,
}

/// Why less is asked than could be.
#[derive(Default)]
pub(crate) struct Reasons {
    pub(crate) log: Option<String>,
    pub(crate) timestamp: Option<String>,
    pub(crate) sct: Option<String>,
}

/// A key by its name: a file relative to the directory, or any other reference.
pub(crate) async fn load(
    name: &str,
    directory: &Path,
    offline: bool,
    terminal: &Terminal,
) -> Result<(PublicKey, Option<RemoteKey>), Error> {
    let reference = match KeyRef::parse(name)? {
        KeyRef::File(path) => KeyRef::File(directory.join(path)),
        KeyRef::Url(url) if offline => {
            return Err(Error::Usage(format!(
                "--offline: the key {url} would have to be fetched; keep it in a file"
            )));
        }
        key if offline && key.needs_network() => {
            return Err(Error::Usage(format!(
                "--offline: the key {key} would have to be asked for; keep its public key in a file while there is a \
                 network: sealmark public-key --key {key} --outfile FILE"
            )));
        }
        other => other,
    };
    let options = crate::service_flags::key_options(terminal);
    let (key, place) = sealmark_kms::load_verifier(&reference, &options).await?;
    terminal.detail(format!(
        "verifying with {} key {}",
        key.algorithm_name(),
        key.id()
    ));
    Ok((key, place))
}

/// A promotion by one of those who are asked for something else.
fn promoted_from(from: &PromotedFrom, like: &Demand) -> Demand {
    let wanted = Attestation {
        types: vec![PredicateType::Exact(PROMOTION_V1.to_owned())],
        checks: vec![Arc::new(from.clone())],
        ..Attestation::default()
    };
    Demand {
        kind: Kind::Attestation(wanted),
        threshold: 1,
        annotations: BTreeMap::new(),
        ..like.clone()
    }
}

impl Asking {
    /// Whether flags made the policy, and no file.
    pub(crate) fn made_of_flags(&self) -> bool {
        self.name.is_none()
    }

    /// SHA-256 of the policy file, or of the one that the flags stand for.
    pub(crate) fn policy_digest(&self) -> Digest {
        Digest::sha256(self.yaml.as_bytes())
    }

    /// What is asked of this artifact.
    pub(crate) async fn policy(
        &mut self,
        artifact: Artifact<'_>,
        terminal: &Terminal,
    ) -> Result<Policy, Error> {
        let name = self.name.as_deref().unwrap_or("the flags");
        let failed = |cause| Error::Usage(format!("{name}: {cause}"));
        let rule = self
            .file
            .rule(artifact)
            .ok_or_else(|| Error::Verification {
                exit: VerificationExit::NoMatch,
                message: match artifact {
                    Artifact::Image(image) => format!("{name} has no rule for the image {image}"),
                    Artifact::File(path) => format!("{name} has no rule for the file {path}"),
                },
            })?;
        for key in rule.keys(&self.file).map_err(failed)? {
            if !self.keys.contains_key(key) {
                let (loaded, place) = load(key, &self.directory, self.offline, terminal).await?;
                self.keys.insert(key.to_owned(), loaded);
                self.remote.extend(place);
            }
        }
        let mut policy = rule
            .policy(&self.file, &self.keys, &self.programs)
            .map_err(failed)?;
        self.beside.demand(&mut policy)?;
        if let (Some(from), Some(first)) = (&self.promoted_from, policy.demands.first()) {
            policy.demands.push(promoted_from(from, first));
        }
        for demand in &mut policy.demands {
            demand.allow_certificate_chain = self.allow_certificate_chain;
            let Reasons {
                log,
                timestamp,
                sct,
            } = &self.reasons;
            for (requirement, reason) in [
                (&mut demand.log, log),
                (&mut demand.timestamp, timestamp),
                (&mut demand.sct, sct),
            ] {
                if let (Requirement::NotChecked { .. }, Some(reason)) = (&requirement, reason) {
                    *requirement = Requirement::not_checked(reason);
                }
            }
        }
        Ok(policy)
    }

    /// What a failure may be due to that nobody thinks of: variables of the environment that say whom to believe.
    pub(crate) fn variables_note(&self) -> String {
        match self.trusted.variables.as_slice() {
            [] => String::new(),
            names => format!("\n  trusted are the files from {}", names.join(" and ")),
        }
    }

    /// Whether identities are asked for, and no key.
    pub(crate) fn by_identity(policy: &Policy) -> bool {
        let mut signers = policy.demands.iter().flat_map(|demand| &demand.signers);
        signers.all(|signer| matches!(signer, Signer::Identity(_)))
    }

    /// The policy and the trusted material, for people: what `--explain` shows first.
    pub(crate) fn describe(&self) -> String {
        let from = match &self.name {
            Some(name) => format!("policy ({name}):"),
            None => "policy (made of the flags):".to_owned(),
        };
        let trusting = self
            .trusted
            .origin
            .as_deref()
            .unwrap_or("nobody but the keys");
        let yaml: String = self
            .file
            .to_yaml()
            .lines()
            .map(|line| format!("  {line}\n"))
            .collect();
        let more: String =
            self.beside
                .names()
                .iter()
                .map(|name| format!("and of the predicate: {name}\n"))
                .chain(self.promoted_from.iter().map(|from| {
                    format!("and a promotion, by one of the signers: {}\n", from.asks())
                }))
                .collect();
        format!("{from}\n{yaml}{more}trusting: {trusting}")
    }
}
