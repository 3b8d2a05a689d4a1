//! Flags of the commands that verify: whom to believe about who signed.
//!
//! cosign asks the public log about every signature unless it is told not to. Here a key verifies with nothing but the
//! registry, and a log's proof is demanded once a trusted root that was given or initialised names a log. An identity is
//! a matter of trust in others from the start: without a trusted root it is the embedded one of the public instance.

use std::path::{Path, PathBuf};

use sealmark_formats::trusted_root::CertificateAuthority;
use sealmark_trust::tuf::Options;
use sealmark_trust::{EnvironmentFiles, RevocationFeed, TrustedMaterial, TrustedRoot, material};

use crate::error::Error;
use crate::terminal::Terminal;

/// Whom to believe.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Trust options")]
pub(crate) struct TrustFlags {
    /// Trusted root (trusted_root.json); if it names a log, a log must prove every signature
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
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
    pub(crate) offline: bool,
    /// Believe this authority alone: the certificates that lead from the signer's to the root, PEM
    #[arg(long, value_name = "FILE", alias = "cert-chain")]
    certificate_chain: Option<PathBuf>,
    /// Accept bundles of version 0.3 with a chain of certificates, which cosign writes for one's own CA
    #[arg(long)]
    pub(crate) allow_certificate_chain: bool,
    /// Believe these authorities alone: roots, PEM
    #[arg(long, value_name = "FILE", conflicts_with = "certificate_chain")]
    ca_roots: Option<PathBuf>,
    /// Intermediates of --ca-roots, PEM
    #[arg(long, value_name = "FILE", requires = "ca_roots")]
    ca_intermediates: Option<PathBuf>,
    /// Believe this timestamp authority alone: its certificate and those that lead to the root, PEM
    #[arg(long, value_name = "FILE")]
    timestamp_certificate_chain: Option<PathBuf>,
    /// A timestamp was given in a file of its own: it must be good.
    #[arg(skip)]
    pub(crate) timestamp_given: bool,
}

/// What a flag or its absence asks for, with the reason if nothing is asked.
pub(crate) enum Asked {
    Required,
    IfPresent,
    Ignored(String),
}

/// Whom to believe.
pub(crate) struct Trusted {
    /// In the form in which it is used.
    pub(crate) material: sealmark_verify::TrustedMaterial,
    /// Where it is from; `None` if nobody is believed.
    pub(crate) origin: Option<String>,
    /// Whether it names a log, usable or not.
    has_log: bool,
    /// What was revoked, by where it is from.
    pub(crate) feed: Option<RevocationFeed>,
    /// The variables that replace parts of it.
    pub(crate) variables: Vec<&'static str>,
}

impl TrustFlags {
    /// What the commands that sign have of these flags.
    pub(crate) fn for_signing(trusted_root: Option<PathBuf>, offline: bool) -> Self {
        Self {
            trusted_root,
            offline,
            ..Self::default()
        }
    }

    /// Reads the trusted material. `default_root` is what a policy file names.
    pub(crate) async fn trusted(
        &self,
        default_root: Option<PathBuf>,
        by_identity: bool,
        terminal: &Terminal,
    ) -> Result<Trusted, Error> {
        let named = self.trusted_root.clone().or(default_root);
        let is_named = named.is_some();
        let base = match (named, by_identity) {
            (Some(path), _) => Some(TrustedMaterial::from_file(&path)?),
            (None, by_identity) => match self.initialised()? {
                Some(options) => Some(TrustedMaterial::from_tuf(&options).await?),
                None => by_identity.then(TrustedMaterial::embedded_public_good),
            },
        };
        let mut origin: Vec<String> = base
            .iter()
            .map(|material| material.origin.to_string())
            .collect();
        let mut feed = None;
        let mut root = base.map(|material| {
            feed = material.revocations;
            material.trusted_root
        });
        let variables = self.replace_parts(&mut root, &mut origin, is_named)?;
        let material = root.as_ref().map_or_else(Default::default, |root| {
            sealmark_verify::TrustedMaterial::new(root)
        });
        for reason in &material.unusable {
            terminal.warn(format!(
                "the trusted root has what cannot be used: {reason}"
            ));
        }
        let has_log = root.as_ref().is_some_and(|root| !root.tlogs.is_empty());
        let origin = root.map(|_| origin.join(", "));
        if let Some(origin) = &origin {
            terminal.detail(format!("trusting {origin}"));
        }
        Ok(Trusted {
            material,
            origin,
            has_log,
            feed,
            variables,
        })
    }

    /// Variables and flags name files instead of parts of a trusted root; gives the variables.
    fn replace_parts(
        &self,
        root: &mut Option<TrustedRoot>,
        origin: &mut Vec<String>,
        is_named: bool,
    ) -> Result<Vec<&'static str>, Error> {
        let mut names = Vec::new();
        // Whoever names a trusted root means that one, whatever is left in the environment.
        if !is_named {
            let variables = EnvironmentFiles::read(|name| std::env::var_os(name))?;
            if !variables.is_empty() {
                names = variables.names();
                origin.push(format!("files from {}", names.join(" and ")));
                variables.apply(root.get_or_insert_with(TrustedRoot::empty));
            }
        }
        let mut files: Vec<&Path> = Vec::new();
        files.extend(self.certificate_chain.as_deref());
        files.extend(self.ca_roots.as_deref());
        files.extend(self.ca_intermediates.as_deref());
        if !files.is_empty() {
            let authorities: Vec<CertificateAuthority> = material::authorities_from_files(&files)?;
            origin.extend(files.iter().map(|path| path.display().to_string()));
            root.get_or_insert_with(TrustedRoot::empty)
                .certificate_authorities = authorities;
        }
        if let Some(path) = &self.timestamp_certificate_chain {
            origin.push(path.display().to_string());
            root.get_or_insert_with(TrustedRoot::empty)
                .timestamp_authorities = vec![material::timestamp_authority_from_file(path)?];
        }
        Ok(names)
    }

    /// The repository that `initialize` chose.
    pub(crate) fn initialised(&self) -> Result<Option<Options>, Error> {
        // Without a home directory there is nothing that could have been initialised.
        let variable = |name: &str| std::env::var_os(name);
        if variable("HOME").is_none() && variable("TUF_ROOT").is_none() {
            return Ok(None);
        }
        let mut options = Options::from_environment(variable, jiff::Timestamp::now())?;
        options.offline = self.offline;
        Ok(options.is_initialised()?.then_some(options))
    }

    /// What is asked of transparency logs.
    pub(crate) fn log(&self, trusted: &Trusted, by_identity: bool, terminal: &Terminal) -> Asked {
        if self.private_infrastructure {
            terminal.warn("--private-infrastructure is deprecated: write --insecure-ignore-tlog");
        }
        if self.insecure_ignore_tlog || self.private_infrastructure {
            return Asked::Ignored("--insecure-ignore-tlog was given".to_owned());
        }
        match &trusted.origin {
            None => Asked::Ignored("no trusted root".to_owned()),
            // An authority without a log is believed with timestamps alone, if the user says so.
            Some(origin) if !trusted.has_log && !by_identity => {
                Asked::Ignored(format!("{origin} names no log"))
            }
            Some(_) => Asked::Required,
        }
    }

    /// What is asked of timestamp authorities.
    pub(crate) fn timestamp(&self, trusted: &Trusted) -> Asked {
        let required = self.use_signed_timestamps || self.timestamp_given;
        match (&trusted.origin, required) {
            (_, true) => Asked::Required,
            (Some(_), false) => Asked::IfPresent,
            (None, false) => Asked::Ignored("no trusted root".to_owned()),
        }
    }

    /// What is asked of CT logs.
    pub(crate) fn sct(&self) -> Asked {
        match self.insecure_ignore_sct {
            true => Asked::Ignored("--insecure-ignore-sct was given".to_owned()),
            false => Asked::Required,
        }
    }

    /// The flags that say what a policy file says.
    pub(crate) fn in_policy(&self) -> Option<&'static str> {
        [
            (self.insecure_ignore_tlog, "--insecure-ignore-tlog"),
            (self.private_infrastructure, "--private-infrastructure"),
            (self.use_signed_timestamps, "--use-signed-timestamps"),
            (self.insecure_ignore_sct, "--insecure-ignore-sct"),
        ]
        .into_iter()
        .find_map(|(given, flag)| given.then_some(flag))
    }
}

/// The present, in seconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
