//! Some services of an instance in `serve`: `--only ca,ct`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealmark_keys::PublicKey;
use sealmark_server::ca::{Promises, RemoteCt};
use sealmark_server::elsewhere::Places;
use sealmark_server::instance::{Part, PartOptions, Parts, TUF_PATH};
use sealmark_server::{log, oidc};
use sealmark_x509::Certificate;

use super::super::operations::OperationFlags;
use super::instance::InstanceFlags;
use super::{blocking, host};
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Services apart (--only)")]
pub(super) struct PartFlags {
    /// CT log, elsewhere, that logs what the certificate authority issues: URL to which /ct/v1/add-pre-chain is added
    #[arg(long, value_name = "URL", requires = "ct_key")]
    ct_url: Option<String>,
    /// Public key of that CT log, PEM: its promises are verified before a certificate has them
    #[arg(long, value_name = "FILE", requires = "ct_url")]
    ct_key: Option<PathBuf>,
    /// Issue certificates that no CT log has: cosign and others refuse them
    #[arg(long, conflicts_with = "ct_url")]
    without_ct: bool,
    /// Certificates of certificate authorities elsewhere, PEM, whose certificates the CT log takes; may be repeated
    #[arg(long, value_name = "FILE")]
    ct_roots: Vec<PathBuf>,
    /// Folder with the files that the TUF repository hands out, such as trusted_root.json; it is looked at for changes
    #[arg(long, value_name = "DIR")]
    tuf_targets: Option<PathBuf>,
}

impl PartFlags {
    /// Checks that the flags go together; `parts` are `None` for an instance, and a log or witness alone.
    pub(super) fn check(
        &self,
        parts: Option<&BTreeSet<Part>>,
        instance: &InstanceFlags,
        prepare: bool,
    ) -> Result<(), Error> {
        let usage = |message: &str| Err(Error::Usage(message.to_owned()));
        let has = |part| parts.is_some_and(|parts| parts.contains(&part));
        let names_ct = self.ct_url.is_some() || self.without_ct;
        if names_ct && (has(Part::Ct) || !has(Part::Ca)) {
            return usage(
                "--ct-url, --ct-key and --without-ct are for a certificate authority without a CT log beside it: --only ca",
            );
        }
        if !self.ct_roots.is_empty() && !has(Part::Ct) {
            return usage("--ct-roots is for a CT log of its own: --only ct");
        }
        if self.tuf_targets.is_some() && !has(Part::Tuf) {
            return usage("--tuf-targets is for a TUF repository of its own: --only tuf");
        }
        // What is prepared is not served yet, and needs nothing of others.
        if parts.is_none() || prepare {
            return Ok(());
        }
        if has(Part::Ca) && instance.config.is_none() && !has(Part::Oidc) {
            return usage(
                "nobody could get a certificate: say with --config FILE whose identity tokens are believed, or try it out with --only ca,oidc",
            );
        }
        if has(Part::Ca) && !has(Part::Ct) && !names_ct {
            return usage(
                "a certificate authority needs a CT log, which cosign and others want a promise of: name one with --ct-url URL and --ct-key FILE, run one beside it with --only ca,ct, or do without it with --without-ct; what that log needs of this one is made with --prepare",
            );
        }
        if has(Part::Ct) && !has(Part::Ca) && self.ct_roots.is_empty() {
            return usage(
                "a CT log takes certificates of the authorities that it knows: give their certificates with --ct-roots FILE: chain.pem of the one that runs elsewhere, which makes it with --prepare",
            );
        }
        if has(Part::Tuf) && self.tuf_targets.is_none() {
            return usage(
                "a TUF repository hands out files: name their folder with --tuf-targets DIR",
            );
        }
        Ok(())
    }

    /// Opens the services, and tells what clients need to know of each.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is one fact of the command line"
    )]
    pub(super) async fn open(
        &self,
        parts: &BTreeSet<Part>,
        directory: &Path,
        url: &str,
        keys: Places,
        log: log::Options,
        instance: &InstanceFlags,
        operation: &OperationFlags,
        terminal: &Terminal,
    ) -> Result<Parts, Error> {
        let promises = match (&self.ct_url, &self.ct_key) {
            (Some(url), Some(path)) => {
                let pem = read(path)?;
                let key = PublicKey::from_pem(&pem);
                let key = key.map_err(|error| unusable(path, &error))?;
                Some(Promises::There(RemoteCt::new(url, key)?))
            }
            _ => None,
        };
        let mut ct_roots = Vec::new();
        for path in &self.ct_roots {
            let chain = Certificate::chain_from_pem(&read(path)?);
            let chain = chain.map_err(|error| unusable(path, &error))?;
            // What is below a root leads to it; a log shows roots.
            ct_roots.extend(chain.into_iter().filter(|it| it.is_signed_by(it)));
        }
        if !self.ct_roots.is_empty() && ct_roots.is_empty() {
            return Err(Error::Usage(
                "no file of --ct-roots has the certificate of a root, which is signed by its own key"
                    .to_owned(),
            ));
        }
        let options = PartOptions {
            parts: parts.clone(),
            url: url.to_owned(),
            host: host(url)?.to_owned(),
            password: log.password.clone(),
            keys,
            issuers: instance.issuers()?,
            promises,
            ct_roots,
            dev_issuer: instance.dev_issuer_options(url, &log),
            log,
        };
        let folder = directory.to_owned();
        let opened = blocking(move || Ok(Parts::open(&folder, options)?)).await?;
        if let (Some(tuf), Some(folder)) = (opened.tuf.clone(), self.tuf_targets.clone()) {
            blocking(move || Ok(tuf.publish_folder(&folder)?)).await?;
        }
        for part in parts {
            for line in lines(*part, &opened, url) {
                operation.note(terminal, line);
            }
        }
        if self.without_ct {
            operation.warn(
                terminal,
                "no CT log has the certificates: cosign, sigstore-python and others refuse them, unless told to ignore it (cosign verify --insecure-ignore-sct)",
            );
        }
        if let Some(issuer) = &opened.dev_issuer {
            instance.warn_if_open(issuer, operation, terminal);
        }
        Ok(opened)
    }

    /// The folder that a repository hands out.
    pub(super) fn tuf_targets(&self) -> Option<PathBuf> {
        self.tuf_targets.clone()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|cause| Error::file("read", path, cause))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Usage(format!("cannot use {}: {error}", path.display()))
}

/// What clients, and other services, need to know of a service.
fn lines(part: Part, opened: &Parts, url: &str) -> Vec<String> {
    let since = i64::try_from(opened.created).ok();
    let since = since.and_then(|seconds| Timestamp::from_second(seconds).ok());
    let since = since.unwrap_or_default();
    let operator = host(url).unwrap_or_default();
    let root = |words: String| format!("  sealmark trusted-root create {words}");
    let config = |flag: &str, url: &str, version: u8| {
        format!(
            "  sealmark signing-config create --{flag} url={url},api-version={version},start-time={since},operator={operator}"
        )
    };
    match part {
        Part::Ca => {
            let chain = opened.chain_file(part);
            let chain = chain.display();
            vec![
                format!("certificate authority at {url}; its certificates: {chain}"),
                root(format!(
                    "--fulcio url={url},certificate-chain={chain},start-time={since}"
                )),
                config("fulcio", url, 1),
                format!("  for a CT log elsewhere: sealmark serve --only ct --ct-roots {chain}"),
            ]
        }
        Part::Ct => {
            let url = format!("{url}{}", opened.ct_path());
            let key = opened.ct_key_file();
            let key = key.display();
            vec![
                format!("CT log at {url}; its key: {key}"),
                root(format!(
                    "--ctfe url={url},public-key={key},start-time={since}"
                )),
                format!(
                    "  for a certificate authority elsewhere: sealmark serve --only ca --ct-url {url} --ct-key {key}"
                ),
            ]
        }
        Part::Tsa => {
            let url = format!("{url}/api/v1/timestamp");
            let chain = opened.chain_file(part);
            let chain = chain.display();
            vec![
                format!("timestamp authority at {url}; its certificates: {chain}"),
                root(format!(
                    "--tsa url={url},certificate-chain={chain},start-time={since}"
                )),
                config("tsa", &url, 1),
            ]
        }
        Part::Tuf => {
            let url = format!("{url}{TUF_PATH}");
            let folder = opened.folder(part).join("repository/1.root.json");
            vec![
                format!("TUF repository at {url}"),
                format!(
                    "  sealmark initialize --mirror {url} --root {}",
                    folder.display()
                ),
            ]
        }
        Part::Oidc => {
            let url = format!("{url}{}", oidc::PATH);
            vec![
                format!("identities for development at {url}"),
                format!(
                    "  for the --config of a certificate authority elsewhere: oidc-issuers: {{\"{url}\": {{client-id: {}, type: email}}}}",
                    oidc::CLIENT
                ),
                config("oidc-provider", &url, 1),
            ]
        }
        Part::Log => {
            let Some(log) = &opened.log else {
                return Vec::new();
            };
            let (v1, v2) = (log.public_key_v1(), log.public_key_v2());
            vec![
                format!("transparency log at {url}; tree {}", log.tree_id()),
                root(format!(
                    "--rekor url={url},public-key={},start-time={since} --rekor url={url},public-key={},start-time={since},origin={operator}",
                    v1.display(),
                    v2.display()
                )),
                config("rekor", url, 1),
                config("rekor", url, 2),
            ]
        }
    }
}
