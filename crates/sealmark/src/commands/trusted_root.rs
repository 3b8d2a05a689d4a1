//! `trusted-root create`: write down whom to believe, of keys and certificates in PEM files.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealmark_formats::trusted_root::{CertificateAuthority, LogInstance, TrustedRoot};
use sealmark_trust::tuf::{Options, PUBLIC_MIRROR};
use sealmark_trust::{TrustedMaterial, service};

use super::generate_key_pair::{Overwrite, write_whole};
use super::signing_config::{Specification, refresh_note};
use crate::error::Error;
use crate::terminal::Terminal;

/// The subcommands.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Make a trusted root of keys and certificates in PEM files
    Create(Create),
}

/// Flags of `create`.
#[derive(clap::Args, Debug)]
struct Create {
    /// A certificate authority: url=…,certificate-chain=FILE, optional start-time=…, end-time=…
    #[arg(long, value_name = "KEYS", help_heading = "Services")]
    fulcio: Vec<Specification>,
    /// A transparency log: url=…,public-key=FILE,start-time=…, optional end-time=…, origin=…
    #[arg(long, value_name = "KEYS", help_heading = "Services")]
    rekor: Vec<Specification>,
    /// A certificate transparency log: url=…,public-key=FILE,start-time=…, optional end-time=…, origin=…
    #[arg(long, value_name = "KEYS", help_heading = "Services")]
    ctfe: Vec<Specification>,
    /// A timestamp authority: url=…,certificate-chain=FILE, optional start-time=…, end-time=…
    #[arg(long, value_name = "KEYS", help_heading = "Services")]
    tsa: Vec<Specification>,
    /// Begin with the services of the public instance, or of the one that was initialised
    #[arg(long)]
    with_default_services: bool,
    /// Without the default certificate authorities
    #[arg(long)]
    no_default_fulcio: bool,
    /// Without the default transparency logs
    #[arg(long)]
    no_default_rekor: bool,
    /// Without the default certificate transparency logs
    #[arg(long)]
    no_default_ctfe: bool,
    /// Without the default timestamp authorities
    #[arg(long)]
    no_default_tsa: bool,
    /// Write to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Makes the trusted root.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let Action::Create(create) = arguments.action;
    let mut root = match create.with_default_services {
        true => defaults(terminal).await?.trusted_root,
        false => TrustedRoot::empty(),
    };
    create.apply(&mut root)?;
    let json = root.to_json();
    match create.out {
        Some(path) => write_whole(&path, &json, 0o644, Overwrite::Yes),
        None => {
            terminal.bytes(&json)?;
            terminal.bytes(b"\n")
        }
    }
}

/// What the repository in use offers: the public one, or the one of `initialize`.
pub(super) async fn defaults(terminal: &Terminal) -> Result<TrustedMaterial, Error> {
    let options = Options::from_environment(|name| std::env::var_os(name), Timestamp::now())?;
    terminal.detail(refresh_note(
        &options.mirror,
        options.mirror == PUBLIC_MIRROR,
    ));
    Ok(TrustedMaterial::from_tuf(&options).await?)
}

impl Create {
    /// A service that is given replaces the default ones of its kind, as with cosign.
    fn apply(&self, root: &mut TrustedRoot) -> Result<(), Error> {
        let logs = |flag: &str, given: &[Specification]| -> Result<Vec<LogInstance>, Error> {
            given.iter().map(|one| log(flag, one)).collect()
        };
        let authorities = |flag: &str, given: &[Specification]| -> Result<Vec<_>, Error> {
            given.iter().map(|one| authority(flag, one)).collect()
        };
        replace(
            &mut root.certificate_authorities,
            self.no_default_fulcio,
            authorities("--fulcio", &self.fulcio)?,
        );
        replace(
            &mut root.tlogs,
            self.no_default_rekor,
            logs("--rekor", &self.rekor)?,
        );
        replace(
            &mut root.ctlogs,
            self.no_default_ctfe,
            logs("--ctfe", &self.ctfe)?,
        );
        replace(
            &mut root.timestamp_authorities,
            self.no_default_tsa,
            authorities("--tsa", &self.tsa)?,
        );
        // Oldest first, as readers expect it.
        root.tlogs.sort_by_key(|log| log.valid_for.start);
        root.ctlogs.sort_by_key(|log| log.valid_for.start);
        root.certificate_authorities
            .sort_by_key(|ca| ca.valid_for.start);
        root.timestamp_authorities
            .sort_by_key(|ca| ca.valid_for.start);
        Ok(())
    }
}

pub(super) fn replace<T>(list: &mut Vec<T>, without_default: bool, given: Vec<T>) {
    if without_default || !given.is_empty() {
        *list = given;
    }
}

fn log(flag: &str, given: &Specification) -> Result<LogInstance, Error> {
    given.only(
        flag,
        &["url", "public-key", "start-time", "end-time", "origin"],
    )?;
    given.required(flag, "start-time")?;
    let path = given.required(flag, "public-key")?;
    let pem = read(path)?;
    Ok(service::log(
        path,
        &pem,
        given.required(flag, "url")?,
        given.get("origin"),
        given.range(flag)?,
    )?)
}

fn authority(flag: &str, given: &Specification) -> Result<CertificateAuthority, Error> {
    given.only(
        flag,
        &["url", "certificate-chain", "start-time", "end-time"],
    )?;
    let path = given.required(flag, "certificate-chain")?;
    let chain = service::chain(path, &read(path)?)?;
    let url = given.required(flag, "url")?;
    let range = given.range(flag)?;
    Ok(match flag {
        "--tsa" => service::timestamp_authority(path, &chain, url, range)?,
        _ => service::certificate_authority(path, &chain, url, range)?,
    })
}

/// Reads a PEM file; nothing that is one has more than this.
fn read(path: &str) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    const LIMIT: u64 = 1 << 20;
    let path = Path::new(path);
    let mut content = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LIMIT).read_to_end(&mut content))
        .map_err(|cause| Error::file("read", path, cause))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use sealmark_testkit::{Sandbox, require_or_skip};

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        create: Create,
    }

    fn create(flags: &[String]) -> Result<TrustedRoot, String> {
        let program = std::iter::once("create".to_owned());
        let alone = Alone::try_parse_from(program.chain(flags.iter().cloned()))
            .map_err(|error| error.to_string())?;
        let mut root = TrustedRoot::empty();
        alone
            .create
            .apply(&mut root)
            .map_err(|error| error.to_string())?;
        Ok(root)
    }

    fn key(sandbox: &Sandbox, name: &str, algorithm: sealmark_keys::Algorithm) -> String {
        let key = sealmark_keys::PrivateKey::generate(algorithm).unwrap();
        let path = sandbox.write(name, key.public_key().to_pem());
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn cosign_makes_the_same_of_the_same_flags() {
        let cosign = require_or_skip!("cosign3");
        let sandbox = Sandbox::new();
        let rekor = key(&sandbox, "rekor.pub", sealmark_keys::Algorithm::Ed25519);
        let ctfe = key(&sandbox, "ctfe.pub", sealmark_keys::Algorithm::EcdsaP384);
        let flags = [
            format!(
                "--rekor=url=https://new,public-key={rekor},start-time=2025-01-01T00:00:00Z,origin=new"
            ),
            format!(
                "--rekor=url=https://old,public-key={ctfe},start-time=2024-01-01T02:00:00+02:00"
            ),
            format!(
                "--ctfe=url=https://ct,public-key={ctfe},start-time=2024-01-01T00:00:00Z,end-time=2025-01-01T00:00:00Z"
            ),
        ];
        let theirs = sandbox
            .command(cosign)
            .args(["trusted-root", "create"])
            .args(&flags)
            .run()
            .success();
        let ours: serde_json::Value =
            serde_json::from_slice(&create(&flags).unwrap().to_json()).unwrap();
        let theirs: serde_json::Value = serde_json::from_str(&theirs.stdout()).unwrap();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn flags_that_say_too_little_or_something_unknown_are_refused() {
        let sandbox = Sandbox::new();
        let pem = key(&sandbox, "rekor.pub", sealmark_keys::Algorithm::EcdsaP256);
        let start = "start-time=2024-01-01T00:00:00Z";
        for (flag, expected) in [
            ("--rekor=url=a".to_owned(), "--rekor needs start-time"),
            (format!("--rekor=url=a,{start}"), "--rekor needs public-key"),
            (
                format!("--rekor=public-key={pem},{start}"),
                "--rekor needs url",
            ),
            (format!("--rekor=url=a,url=b,{start}"), "url is given twice"),
            (
                format!("--rekor=url=a,public-key={pem},colour=red,{start}"),
                "colour",
            ),
            (
                format!("--rekor=url=a,public-key={pem},start-time=2024"),
                "is not a time",
            ),
            (
                format!("--rekor=url=a,public-key={pem},{start},end-time=2023-01-01T00:00:00Z"),
                "end-time is before start-time",
            ),
            (
                format!("--ctfe=url=a,public-key=/absent,{start}"),
                "cannot read /absent",
            ),
            ("--tsa=url=a".to_owned(), "--tsa needs certificate-chain"),
            (
                format!("--fulcio=url=a,certificate-chain={pem}"),
                "rekor.pub",
            ),
            ("--fulcio=nothing".to_owned(), "is not KEY=VALUE"),
        ] {
            let error = create(std::slice::from_ref(&flag)).expect_err(&flag);
            assert!(error.contains(expected), "{flag}: {error}");
        }
    }
}
