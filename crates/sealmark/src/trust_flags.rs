//! Flags of the commands that verify: who must have signed, and whom to believe about it.
//!
//! cosign asks the public log about every signature unless it is told not to. Here a key verifies with nothing but the
//! registry, and a log's proof is demanded once a trusted root that was given or initialised names a log. An identity is
//! a matter of trust in others from the start: without a trusted root it is the embedded one of the public instance.

use std::path::PathBuf;

use sealmark_kms::KeyRef;
use sealmark_trust::TrustedMaterial;
use sealmark_trust::tuf::Options;
use sealmark_verify::policy::{Identity, Match};
use sealmark_verify::{Requirement, Signer};
use sealmark_x509::FulcioExtension;

use crate::error::Error;
use crate::terminal::Terminal;

/// Who must have signed.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct SignerFlags {
    /// Public key of the signer: a file, env://VARIABLE, or https://…; several by repeating
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Identity that the signer's certificate must be for; several by repeating
    #[arg(
        long,
        value_name = "IDENTITY",
        alias = "cert-identity",
        help_heading = "Identity options"
    )]
    certificate_identity: Vec<String>,
    /// Pattern (RE2) that must be found in the identity; ^ and $ tie it to the ends
    #[arg(long, value_name = "PATTERN", help_heading = "Identity options")]
    certificate_identity_regexp: Vec<String>,
    /// Identity provider that must have vouched for the identity
    #[arg(
        long,
        value_name = "URL",
        alias = "cert-oidc-issuer",
        help_heading = "Identity options"
    )]
    certificate_oidc_issuer: Option<String>,
    /// Pattern (RE2) that must be found in the identity provider's URL
    #[arg(
        long,
        value_name = "PATTERN",
        conflicts_with = "certificate_oidc_issuer",
        help_heading = "Identity options"
    )]
    certificate_oidc_issuer_regexp: Option<String>,
    /// Event that must have started the GitHub workflow
    #[arg(long, value_name = "EVENT", help_heading = "Identity options")]
    certificate_github_workflow_trigger: Option<String>,
    /// Commit that the GitHub workflow must have run for
    #[arg(long, value_name = "COMMIT", help_heading = "Identity options")]
    certificate_github_workflow_sha: Option<String>,
    /// Name that the GitHub workflow must have
    #[arg(long, value_name = "NAME", help_heading = "Identity options")]
    certificate_github_workflow_name: Option<String>,
    /// Repository that the GitHub workflow must be in
    #[arg(long, value_name = "OWNER/NAME", help_heading = "Identity options")]
    certificate_github_workflow_repository: Option<String>,
    /// Git reference that the GitHub workflow must have run for
    #[arg(long, value_name = "REF", help_heading = "Identity options")]
    certificate_github_workflow_ref: Option<String>,
    /// How many of the keys or identities must have signed
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: usize,
}

/// Whom to believe.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Trust options")]
pub(crate) struct TrustFlags {
    /// Trusted root (trusted_root.json); if it names a log, a log must prove every signature
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// Do not ask for a log's proof
    #[arg(long)]
    insecure_ignore_tlog: bool,
    /// cosign's former name of --insecure-ignore-tlog
    #[arg(long, hide = true)]
    private_infrastructure: bool,
    /// Ask for the proof of a timestamp authority
    #[arg(long)]
    use_signed_timestamps: bool,
    /// Do not ask for a CT log's promise in the signer's certificate
    #[arg(long)]
    insecure_ignore_sct: bool,
    /// Ask no TUF repository: use what was fetched before, if it has not expired
    #[arg(long)]
    offline: bool,
}

/// What the flags ask for, ready to be put into a policy.
pub(crate) struct Demands {
    pub(crate) trust: sealmark_verify::TrustedMaterial,
    pub(crate) signers: Vec<Signer>,
    pub(crate) threshold: usize,
    pub(crate) log: Requirement,
    pub(crate) timestamp: Requirement,
    pub(crate) sct: Requirement,
}

/// Reads keys, patterns and the trusted root.
pub(crate) async fn demands(
    signers: &SignerFlags,
    trust: &TrustFlags,
    terminal: &Terminal,
) -> Result<Demands, Error> {
    let identities = signers.identities()?;
    let by_identity = !identities.is_empty();
    if signers.key.is_empty() && !by_identity {
        return Err(Error::Usage(
            "who must have signed? Give a public key with --key, or an identity with \
             --certificate-identity and --certificate-oidc-issuer"
                .to_owned(),
        ));
    }
    if !signers.key.is_empty() && by_identity && signers.threshold < 2 {
        return Err(Error::Usage(
            "a key or an identity? Either is asked for, or both with --threshold 2".to_owned(),
        ));
    }
    let mut list = Vec::new();
    for key in &signers.key {
        let key = sealmark_kms::load_public(&KeyRef::parse(key)?).await?;
        terminal.detail(format!(
            "verifying with {} key {}",
            key.algorithm_name(),
            key.id()
        ));
        let known = |signer: &Signer| matches!(signer, Signer::Key(other) if *other == key);
        if list.iter().any(known) {
            return Err(Error::Usage(format!(
                "key {} is given twice: that is one signer",
                key.id()
            )));
        }
        list.push(Signer::Key(key));
    }
    list.extend(identities.into_iter().map(Signer::Identity));
    if signers.threshold == 0 || signers.threshold > list.len() {
        return Err(Error::Usage(format!(
            "--threshold {}: of {} signers between 1 and {} can be asked for",
            signers.threshold,
            list.len(),
            list.len()
        )));
    }
    let material = match (&trust.trusted_root, by_identity) {
        (Some(path), _) => Some(TrustedMaterial::from_file(path)?),
        (None, by_identity) => match trust.initialised()? {
            Some(options) => Some(TrustedMaterial::from_tuf(&options).await?),
            None => by_identity.then(TrustedMaterial::embedded_public_good),
        },
    };
    let usable = material.as_ref().map_or_else(Default::default, |material| {
        terminal.detail(format!("trusting {}", material.origin));
        sealmark_verify::TrustedMaterial::new(&material.trusted_root)
    });
    for reason in &usable.unusable {
        terminal.warn(format!(
            "the trusted root has what cannot be used: {reason}"
        ));
    }
    Ok(Demands {
        log: trust.log(material.as_ref(), by_identity, terminal),
        timestamp: match (&material, trust.use_signed_timestamps) {
            (_, true) => Requirement::Required,
            (Some(_), false) => Requirement::IfPresent,
            (None, false) => Requirement::NotChecked {
                reason: "no trusted root".to_owned(),
            },
        },
        sct: match trust.insecure_ignore_sct {
            true => Requirement::NotChecked {
                reason: "--insecure-ignore-sct was given".to_owned(),
            },
            false => Requirement::Required,
        },
        trust: usable,
        signers: list,
        threshold: signers.threshold,
    })
}

impl TrustFlags {
    /// The repository that `initialize` chose.
    fn initialised(&self) -> Result<Option<Options>, Error> {
        // Without a home directory there is nothing that could have been initialised.
        let variable = |name: &str| std::env::var_os(name);
        if variable("HOME").is_none() && variable("TUF_ROOT").is_none() {
            return Ok(None);
        }
        let mut options = Options::from_environment(variable, jiff::Timestamp::now())?;
        options.offline = self.offline;
        Ok(options.is_initialised()?.then_some(options))
    }

    fn log(
        &self,
        material: Option<&TrustedMaterial>,
        by_identity: bool,
        terminal: &Terminal,
    ) -> Requirement {
        if self.private_infrastructure {
            terminal.warn("--private-infrastructure is deprecated: write --insecure-ignore-tlog");
        }
        if self.insecure_ignore_tlog || self.private_infrastructure {
            let reason = "--insecure-ignore-tlog was given".to_owned();
            return Requirement::NotChecked { reason };
        }
        match material {
            None => Requirement::NotChecked {
                reason: "no trusted root".to_owned(),
            },
            // An authority without a log is believed with timestamps alone, if the user says so.
            Some(material) if material.trusted_root.tlogs.is_empty() && !by_identity => {
                let reason = format!("{} names no log", material.origin);
                Requirement::NotChecked { reason }
            }
            Some(_) => Requirement::Required,
        }
    }
}

impl SignerFlags {
    fn identities(&self) -> Result<Vec<Identity>, Error> {
        // An empty pattern is found in everything, and usually is a variable that was not set.
        let texts = self
            .certificate_identity
            .iter()
            .chain(&self.certificate_identity_regexp);
        let issuers = [
            &self.certificate_oidc_issuer,
            &self.certificate_oidc_issuer_regexp,
        ];
        if texts
            .chain(issuers.into_iter().flatten())
            .any(String::is_empty)
        {
            return Err(Error::Usage(
                "an identity, issuer or pattern is empty: is a variable not set?".to_owned(),
            ));
        }
        let pattern = |flag: &str, text: &String| {
            Match::pattern(text).map_err(|error| Error::Usage(format!("{flag} {text:?}: {error}")))
        };
        let mut subjects: Vec<Match> = self
            .certificate_identity
            .iter()
            .cloned()
            .map(Match::Exact)
            .collect();
        for text in &self.certificate_identity_regexp {
            subjects.push(pattern("--certificate-identity-regexp", text)?);
        }
        let issuer = match (
            &self.certificate_oidc_issuer,
            &self.certificate_oidc_issuer_regexp,
        ) {
            (Some(url), _) => Some(Match::Exact(url.clone())),
            (None, Some(text)) => Some(pattern("--certificate-oidc-issuer-regexp", text)?),
            (None, None) => None,
        };
        let extensions = self.extensions();
        match (subjects.is_empty(), issuer) {
            (false, Some(issuer)) => Ok(subjects
                .into_iter()
                .map(|subject| Identity {
                    issuer: issuer.clone(),
                    subject,
                    extensions: extensions.clone(),
                })
                .collect()),
            (true, None) if extensions.is_empty() => Ok(Vec::new()),
            (false, None) => Err(Error::Usage(
                "an identity is worth what its identity provider is: name it with \
                 --certificate-oidc-issuer (or --certificate-oidc-issuer-regexp)"
                    .to_owned(),
            )),
            (true, _) => Err(Error::Usage(
                "whose signature? Name the identity with --certificate-identity (or \
                 --certificate-identity-regexp)"
                    .to_owned(),
            )),
        }
    }

    fn extensions(&self) -> Vec<(FulcioExtension, String)> {
        [
            (
                FulcioExtension::GithubWorkflowTrigger,
                &self.certificate_github_workflow_trigger,
            ),
            (
                FulcioExtension::GithubWorkflowSha,
                &self.certificate_github_workflow_sha,
            ),
            (
                FulcioExtension::GithubWorkflowName,
                &self.certificate_github_workflow_name,
            ),
            (
                FulcioExtension::GithubWorkflowRepository,
                &self.certificate_github_workflow_repository,
            ),
            (
                FulcioExtension::GithubWorkflowRef,
                &self.certificate_github_workflow_ref,
            ),
        ]
        .into_iter()
        .filter_map(|(extension, value)| Some((extension, value.clone()?)))
        .collect()
    }
}

/// The present, in seconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
