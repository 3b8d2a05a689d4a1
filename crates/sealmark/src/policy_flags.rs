//! Flags of the commands that verify: what is asked of the artifact, by flags or in a policy file.
//!
//! The flags are a shorthand: they make a policy file with one rule, and the same code turns either into a policy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sealmark_keys::PublicKey;
use sealmark_kms::KeyRef;
use sealmark_verify::policy::Match;
use sealmark_verify::policy_file::{
    AttestationWanted, GithubWorkflow, LogWanted, MAX_POLICY_FILE, Number, OneOrMore, PolicyFile,
    Rule, SignatureWanted, SignerRef, SignerText, SlsaText, VERSION, Word,
};
use sealmark_verify::slsa::Expected;

use crate::asking::{Asking, Reasons, load};
use crate::error::Error;
use crate::predicate_policy::{self, Compiled, Language, PredicatePolicies};
use crate::revocation_flags::RevocationFlags;
use crate::terminal::Terminal;
use crate::trust_flags::{Asked, TrustFlags};

/// Who must have signed.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct PolicyFlags {
    /// Public key of the signer: a file, env://VARIABLE, https://…, or a key in a provider (awskms:///…); several by
    /// repeating
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Ask the provider of the key, too, whether the signatures are its own; a key in AWS KMS or the like
    #[arg(long)]
    verify_remotely: bool,
    /// Policy file: which artifacts need whose signatures and which attestations. For attestations FILE.rego (several
    /// by repeating) and FILE.cel, too: what they must say
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Show the policy, and every check with what was expected and found
    #[arg(long)]
    pub(crate) explain: bool,
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
    #[command(flatten)]
    revocations: RevocationFlags,
}

/// What kind of attachment the flags ask for.
pub(crate) enum Wanted {
    ImageSignature {
        annotations: BTreeMap<String, String>,
    },
    BlobSignature,
    Attestation {
        /// Of an image, and not of a file.
        of_image: bool,
        /// Predicate types by name or URI, of each of which there must be one; any if there is none.
        types: Vec<String>,
        /// What they must say as SLSA provenance.
        slsa: Option<Box<Expected>>,
        /// What policies in other languages ask of them.
        predicate: PredicatePolicies,
    },
}

impl PolicyFlags {
    /// Whether a key is asked for.
    pub(crate) fn by_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// Whether nothing says who must have signed.
    pub(crate) fn names_nobody(&self) -> bool {
        self.key.is_empty() && !self.has_file() && self.identity_flag().is_none()
    }

    /// Has the policy in this file ask, where nobody was named.
    pub(crate) fn take_file(&mut self, path: PathBuf) {
        self.policy.push(path);
    }

    /// Respects the revocations in this file, too.
    pub(crate) fn take_revocations(&mut self, path: PathBuf) {
        self.revocations.take(path);
    }

    /// Claims that are not checked make a policy worth nothing.
    pub(crate) fn check_claims(&self, check_claims: bool) -> Result<(), Error> {
        match check_claims || !self.has_file() {
            true => Ok(()),
            false => Err(Error::Usage(
                "--check-claims=false and --policy: a policy is about this artifact and no other; leave one of them out"
                    .to_owned(),
            )),
        }
    }

    /// Whether a policy file of Sealmark's own is named.
    pub(crate) fn has_file(&self) -> bool {
        self.own_files().next().is_some()
    }

    fn own_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.policy
            .iter()
            .filter(|path| Language::of(path).is_none())
    }

    /// Policies on what attestations say, in languages of their own.
    pub(crate) fn in_other_languages(&self) -> impl Iterator<Item = &PathBuf> {
        self.policy
            .iter()
            .filter(|path| Language::of(path).is_some())
    }

    /// Reads the policy file, or makes one of the flags, and reads the trusted material.
    pub(crate) async fn asking(
        &self,
        trust: &TrustFlags,
        wanted: Wanted,
        terminal: &Terminal,
    ) -> Result<Asking, Error> {
        if let (false, Some(path)) = (
            matches!(wanted, Wanted::Attestation { .. }),
            self.in_other_languages().next(),
        ) {
            return Err(Error::Usage(format!(
                "{} is a policy on what attestations say, and signatures are asked for: it is for \
                 verify-attestation and verify-blob-attestation",
                path.display()
            )));
        }
        let mut own = self.own_files();
        match (own.next(), own.next()) {
            (None, _) => self.made_of_flags(trust, wanted, terminal).await,
            (Some(path), None) => self.read_file(path, trust, wanted, terminal).await,
            (Some(_), Some(_)) => Err(Error::Usage(
                "--policy is given several times: put the rules into one file".to_owned(),
            )),
        }
    }

    async fn read_file(
        &self,
        path: &Path,
        trust: &TrustFlags,
        wanted: Wanted,
        terminal: &Terminal,
    ) -> Result<Asking, Error> {
        let annotated =
            matches!(&wanted, Wanted::ImageSignature { annotations } if !annotations.is_empty());
        let given = [
            (!self.key.is_empty(), "--key"),
            (self.threshold != 1, "--threshold"),
            (annotated, "-a"),
        ]
        .into_iter()
        .find_map(|(given, flag)| given.then_some(flag))
        .or_else(|| self.identity_flag())
        .or_else(|| self.revocations.in_policy())
        .or_else(|| trust.in_policy());
        if let Some(flag) = given {
            return Err(Error::Usage(format!(
                "{flag} and --policy: the policy file says who must have signed and what must prove it; \
                 leave one of them out"
            )));
        }
        let failed = |cause| Error::file("read", path, cause);
        let mut yaml = String::new();
        std::fs::File::open(path)
            .and_then(|file| {
                use std::io::Read as _;
                file.take(MAX_POLICY_FILE as u64 + 1)
                    .read_to_string(&mut yaml)
            })
            .map_err(failed)?;
        let file = PolicyFile::parse(&yaml)
            .map_err(|cause| Error::Usage(format!("{}: {cause}", path.display())))?;
        let directory = path.parent().unwrap_or_else(|| Path::new("")).to_path_buf();
        let root = file.trusted_root.as_ref().map(|root| directory.join(root));
        let name = path.display().to_string();
        let programs = predicate_policy::compile(&file, &name, &directory)?;
        // What a policy file asks of logs is asked of those of the public instance, unless others are named.
        let trusted = trust.trusted(root, file.needs_trust(), terminal).await?;
        Ok(Asking {
            revocations: self.revocations.read(&file, &trusted)?,
            trusted,
            offline: trust.offline,
            file,
            directory,
            name: Some(name),
            reasons: Reasons::default(),
            allow_certificate_chain: trust.allow_certificate_chain,
            keys: BTreeMap::new(),
            remote: Vec::new(),
            verify_remotely: self.verify_remotely,
            programs,
            beside: match wanted {
                Wanted::Attestation { predicate, .. } => predicate,
                _ => PredicatePolicies::default(),
            },
            promoted_from: None,
            yaml,
        })
    }

    async fn made_of_flags(
        &self,
        trust: &TrustFlags,
        wanted: Wanted,
        terminal: &Terminal,
    ) -> Result<Asking, Error> {
        let identities = self.identities()?;
        let by_identity = !identities.is_empty();
        if self.key.is_empty() && !by_identity {
            return Err(Error::Usage(
                "who must have signed? Give a public key with --key, or an identity with \
                 --certificate-identity and --certificate-oidc-issuer"
                    .to_owned(),
            ));
        }
        if !self.key.is_empty() && by_identity && self.threshold < 2 {
            return Err(Error::Usage(
                "a key or an identity? Either is asked for, or both with --threshold 2".to_owned(),
            ));
        }
        let keys = self.key.iter().map(|key| SignerText {
            key: Some(absolute(key)),
            ..SignerText::default()
        });
        let signers: Vec<SignerRef> = keys
            .chain(identities)
            .map(|signer| SignerRef::Here(Box::new(signer)))
            .collect();
        if self.threshold == 0 || self.threshold > signers.len() {
            return Err(Error::Usage(format!(
                "--threshold {}: of {} signers between 1 and {} can be asked for",
                self.threshold,
                signers.len(),
                signers.len()
            )));
        }
        // Before trusted material is fetched: a key that cannot be read is the plainer mistake.
        let (mut loaded, mut remote) = (BTreeMap::new(), Vec::new());
        for name in &self.key {
            let (key, place) = load(name, Path::new(""), trust.offline, terminal).await?;
            if loaded.values().any(|known| *known == key) {
                return Err(Error::Usage(format!(
                    "key {} is given twice: that is one signer",
                    key.id()
                )));
            }
            loaded.insert(absolute(name), key);
            remote.extend(place);
        }
        let revokers = self.revocations.revokers()?;
        let trusted = trust.trusted(None, by_identity, terminal).await?;
        let mut reasons = Reasons::default();
        let log = number(trust.log(&trusted, by_identity, terminal), &mut reasons.log);
        let mut rule = Rule {
            log: LogWanted::Simple(log),
            timestamp: number(trust.timestamp(&trusted), &mut reasons.timestamp),
            sct: number(trust.sct(), &mut reasons.sct),
            ..Rule::default()
        };
        let everything = vec!["**".to_owned()];
        match &wanted {
            Wanted::ImageSignature { .. } | Wanted::Attestation { of_image: true, .. } => {
                rule.images = everything;
            }
            Wanted::BlobSignature | Wanted::Attestation { .. } => rule.files = everything,
        }
        let mut programs = Compiled::new();
        match wanted {
            Wanted::Attestation {
                types,
                slsa,
                predicate,
                ..
            } => {
                programs = predicate.compiled();
                let wanted = |types| {
                    let mut wanted = AttestationWanted {
                        types,
                        signers: signers.clone(),
                        threshold: self.threshold,
                        predicate: Vec::new(),
                        slsa: slsa.as_deref().map(SlsaText::from),
                        rego: Vec::new(),
                        cel: Vec::new(),
                        every: false,
                    };
                    predicate.write(&mut wanted);
                    wanted
                };
                // One of each type: whoever names two wants both.
                rule.attestations = match types.as_slice() {
                    [] => vec![wanted(None)],
                    types => types
                        .iter()
                        .map(|name| wanted(Some(OneOrMore::One(name.clone()))))
                        .collect(),
                };
            }
            Wanted::BlobSignature => {
                rule.signature = Some(self.signature(signers, BTreeMap::new()));
            }
            Wanted::ImageSignature { annotations } => {
                rule.signature = Some(self.signature(signers, annotations));
            }
        }
        let file = PolicyFile {
            version: VERSION,
            trusted_root: trust
                .trusted_root
                .as_ref()
                .map(|path| absolute(&path.display().to_string())),
            rules: vec![rule],
            revokers,
            require_fresh_revocations: self.revocations.fresh(),
            ..PolicyFile::default()
        };
        Ok(Asking {
            revocations: self.revocations.read(&file, &trusted)?,
            yaml: wherever_it_is(&file, &loaded).to_yaml(),
            file,
            directory: PathBuf::new(),
            name: None,
            reasons,
            allow_certificate_chain: trust.allow_certificate_chain,
            keys: loaded,
            remote,
            verify_remotely: self.verify_remotely,
            offline: trust.offline,
            programs,
            beside: PredicatePolicies::default(),
            promoted_from: None,
            trusted,
        })
    }

    fn signature(
        &self,
        signers: Vec<SignerRef>,
        annotations: BTreeMap<String, String>,
    ) -> SignatureWanted {
        SignatureWanted {
            signers,
            threshold: self.threshold,
            annotations,
        }
    }

    /// The first flag about identities that is given.
    fn identity_flag(&self) -> Option<&'static str> {
        [
            (
                !self.certificate_identity.is_empty(),
                "--certificate-identity",
            ),
            (
                !self.certificate_identity_regexp.is_empty(),
                "--certificate-identity-regexp",
            ),
            (
                self.certificate_oidc_issuer.is_some(),
                "--certificate-oidc-issuer",
            ),
            (
                self.certificate_oidc_issuer_regexp.is_some(),
                "--certificate-oidc-issuer-regexp",
            ),
            (
                self.github_workflow().is_some(),
                "--certificate-github-workflow-…",
            ),
        ]
        .into_iter()
        .find_map(|(given, flag)| given.then_some(flag))
    }

    fn identities(&self) -> Result<Vec<SignerText>, Error> {
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
        let patterns = self
            .certificate_identity_regexp
            .iter()
            .map(|text| ("--certificate-identity-regexp", text))
            .chain(
                self.certificate_oidc_issuer_regexp
                    .iter()
                    .map(|text| ("--certificate-oidc-issuer-regexp", text)),
            );
        for (flag, text) in patterns {
            Match::pattern(text)
                .map_err(|error| Error::Usage(format!("{flag} {text:?}: {error}")))?;
        }
        let issuer =
            self.certificate_oidc_issuer.is_some() || self.certificate_oidc_issuer_regexp.is_some();
        let subjects =
            !self.certificate_identity.is_empty() || !self.certificate_identity_regexp.is_empty();
        match (subjects, issuer) {
            (true, true) => {}
            (false, false) if self.github_workflow().is_none() => return Ok(Vec::new()),
            (true, false) => {
                return Err(Error::Usage(
                    "an identity is worth what its identity provider is: name it with \
                     --certificate-oidc-issuer (or --certificate-oidc-issuer-regexp)"
                        .to_owned(),
                ));
            }
            (false, _) => {
                return Err(Error::Usage(
                    "whose signature? Name the identity with --certificate-identity (or \
                     --certificate-identity-regexp)"
                        .to_owned(),
                ));
            }
        }
        let common = SignerText {
            issuer: self.certificate_oidc_issuer.clone(),
            issuer_pattern: self.certificate_oidc_issuer_regexp.clone(),
            github_workflow: self.github_workflow(),
            ..SignerText::default()
        };
        let exact = self.certificate_identity.iter().map(|text| SignerText {
            subject: Some(text.clone()),
            ..common.clone()
        });
        let patterns = self
            .certificate_identity_regexp
            .iter()
            .map(|text| SignerText {
                subject_pattern: Some(text.clone()),
                ..common.clone()
            });
        Ok(exact.chain(patterns).collect())
    }

    fn github_workflow(&self) -> Option<GithubWorkflow> {
        let workflow = GithubWorkflow {
            trigger: self.certificate_github_workflow_trigger.clone(),
            sha: self.certificate_github_workflow_sha.clone(),
            name: self.certificate_github_workflow_name.clone(),
            repository: self.certificate_github_workflow_repository.clone(),
            git_ref: self.certificate_github_workflow_ref.clone(),
        };
        (!workflow.extensions().is_empty()).then_some(workflow)
    }
}

fn number(asked: Asked, reason: &mut Option<String>) -> Number {
    Number::Word(match asked {
        Asked::Required => Word::Required,
        Asked::IfPresent => Word::IfPresent,
        Asked::Ignored(why) => {
            *reason = Some(why);
            Word::Ignored
        }
    })
}

/// A key or root as it is found from every folder, so that the policy that is shown can be kept anywhere.
pub(crate) fn absolute(name: &str) -> String {
    match KeyRef::parse(name) {
        Ok(KeyRef::File(path)) => std::path::absolute(&path)
            .map_or_else(|_| name.to_owned(), |path| path.display().to_string()),
        _ => name.to_owned(),
    }
}

/// The policy that flags stand for, with keys by their ids and without paths: it is the same on every machine.
fn wherever_it_is(file: &PolicyFile, keys: &BTreeMap<String, PublicKey>) -> PolicyFile {
    let mut file = file.clone();
    file.trusted_root = None;
    let signatures = file.rules.iter_mut().flat_map(|rule| &mut rule.signature);
    let signers = signatures.flat_map(|wanted| &mut wanted.signers);
    for signer in signers.chain(&mut file.revokers) {
        let SignerRef::Here(text) = signer else {
            continue;
        };
        if let Some(name) = &text.key {
            text.key = match (keys.get(name), KeyRef::parse(name)) {
                (Some(key), _) => Some(key.id().to_string()),
                (None, Ok(KeyRef::File(path))) => path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned()),
                _ => continue,
            };
        }
    }
    file
}
