//! `signing-config create`: write down which services a signer uses.

use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;
use sealmark_formats::SigningConfig;
use sealmark_formats::signing_config::{Selector, Service};
use sealmark_formats::trusted_root::TimeRange;

use super::generate_key_pair::{Overwrite, write_whole};
use super::trusted_root::{defaults, replace};
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
    /// Make a signing configuration of the services that are named
    Create(Create),
}

/// Flags of `create`.
#[derive(clap::Args, Debug)]
struct Create {
    /// A certificate authority: url=…,api-version=1,start-time=…,operator=…, optional end-time=…
    #[arg(long, value_name = "KEYS", help_heading = "Services")]
    fulcio: Vec<Specification>,
    /// A transparency log: url=…,api-version=1|2,start-time=…,operator=…, optional end-time=…
    #[arg(long, value_name = "KEYS", help_heading = "Services")]
    rekor: Vec<Specification>,
    /// An OpenID provider: url=…,api-version=1,start-time=…,operator=…, optional end-time=…
    #[arg(long, value_name = "KEYS", help_heading = "Services")]
    oidc_provider: Vec<Specification>,
    /// A timestamp authority: url=…,api-version=1,start-time=…,operator=…, optional end-time=…
    #[arg(long, value_name = "KEYS", help_heading = "Services")]
    tsa: Vec<Specification>,
    /// How many logs: ANY, ALL or EXACT:n; needed with --rekor
    #[arg(long, value_name = "SELECTOR", value_parser = selector)]
    rekor_config: Option<Selector>,
    /// How many timestamp authorities: ANY, ALL or EXACT:n; needed with --tsa
    #[arg(long, value_name = "SELECTOR", value_parser = selector)]
    tsa_config: Option<Selector>,
    /// Begin with the services of the public instance, or of the one that was initialised
    #[arg(long)]
    with_default_services: bool,
    /// As --with-default-services, with the log of version 2
    #[arg(long)]
    with_default_rekor_v2: bool,
    /// Begin with this signing configuration
    #[arg(long, value_name = "FILE", conflicts_with_all = ["with_default_services", "with_default_rekor_v2"])]
    base_config: Option<PathBuf>,
    /// Without the default certificate authorities
    #[arg(long)]
    no_default_fulcio: bool,
    /// Without the default transparency logs
    #[arg(long)]
    no_default_rekor: bool,
    /// Without the default OpenID providers
    #[arg(long)]
    no_default_oidc: bool,
    /// Without the default timestamp authorities
    #[arg(long)]
    no_default_tsa: bool,
    /// Write to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn selector(text: &str) -> Result<Selector, String> {
    text.parse()
        .map_err(|error: sealmark_formats::ParseError| error.to_string())
}

/// Makes the signing configuration.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let Action::Create(create) = arguments.action;
    let mut config = create.base(terminal).await?;
    create.apply(&mut config)?;
    let json = config.to_json();
    match create.out {
        Some(path) => write_whole(&path, &json, 0o644, Overwrite::Yes),
        None => {
            terminal.bytes(&json)?;
            terminal.bytes(b"\n")
        }
    }
}

impl Create {
    async fn base(&self, terminal: &Terminal) -> Result<SigningConfig, Error> {
        if let Some(path) = &self.base_config {
            return Ok(sealmark_trust::material::signing_config_from_file(path)?);
        }
        if !self.with_default_services && !self.with_default_rekor_v2 {
            return Ok(SigningConfig::default());
        }
        let material = defaults(terminal).await?;
        let (config, name) = match self.with_default_rekor_v2 {
            true => (
                material.signing_config_rekor_v2,
                "signing_config_rekor_v2.v0.2.json",
            ),
            false => (material.signing_config, "signing_config.v0.2.json"),
        };
        config.ok_or_else(|| {
            Error::Usage(format!(
                "{} has no {name}, so there are no default services; name them with flags",
                material.origin
            ))
        })
    }

    fn apply(&self, config: &mut SigningConfig) -> Result<(), Error> {
        let services = |flag: &str, given: &[Specification]| -> Result<Vec<Service>, Error> {
            given.iter().map(|one| one.service(flag)).collect()
        };
        for (given, selector, flag) in [
            (&self.rekor, self.rekor_config, "rekor"),
            (&self.tsa, self.tsa_config, "tsa"),
        ] {
            if !given.is_empty() && selector.is_none() {
                return Err(Error::Usage(format!(
                    "--{flag} needs --{flag}-config: ANY, ALL or EXACT:n"
                )));
            }
        }
        replace(
            &mut config.ca_urls,
            self.no_default_fulcio,
            services("--fulcio", &self.fulcio)?,
        );
        replace(
            &mut config.oidc_urls,
            self.no_default_oidc,
            services("--oidc-provider", &self.oidc_provider)?,
        );
        replace(
            &mut config.rekor_tlog_urls,
            self.no_default_rekor,
            services("--rekor", &self.rekor)?,
        );
        replace(
            &mut config.tsa_urls,
            self.no_default_tsa,
            services("--tsa", &self.tsa)?,
        );
        config.rekor_tlog_config = self.rekor_config.or(config.rekor_tlog_config);
        config.tsa_config = self.tsa_config.or(config.tsa_config);
        Ok(())
    }
}

/// A service in one flag: `key=value,key=value`.
#[derive(Clone, Debug)]
pub(super) struct Specification(Vec<(String, String)>);

impl FromStr for Specification {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split(',') {
            let Some((key, value)) = part.split_once('=') else {
                return Err(format!("{part:?} is not KEY=VALUE"));
            };
            let key = key.trim().to_owned();
            if pairs.iter().any(|(other, _)| *other == key) {
                return Err(format!("{key} is given twice"));
            }
            pairs.push((key, value.trim().to_owned()));
        }
        Ok(Self(pairs))
    }
}

impl Specification {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(name, _)| name == key);
        pair.map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(super) fn required(&self, flag: &str, key: &str) -> Result<&str, Error> {
        self.get(key)
            .ok_or_else(|| Error::Usage(format!("{flag} needs {key}=…")))
    }

    pub(super) fn only(&self, flag: &str, known: &[&str]) -> Result<(), Error> {
        match self
            .0
            .iter()
            .find(|(key, _)| !known.contains(&key.as_str()))
        {
            None => Ok(()),
            Some((key, _)) => Err(Error::Usage(format!(
                "{flag} does not know {key:?}; it knows {}",
                known.join(", ")
            ))),
        }
    }

    pub(super) fn range(&self, flag: &str) -> Result<TimeRange, Error> {
        let time = |key: &str| -> Result<Option<Timestamp>, Error> {
            self.get(key)
                .map(|text| {
                    text.parse().map_err(|_| {
                        Error::Usage(format!(
                            "{flag}: {key} {text:?} is not a time; write it as 2024-01-01T00:00:00Z"
                        ))
                    })
                })
                .transpose()
        };
        let range = TimeRange {
            start: time("start-time")?,
            end: time("end-time")?,
        };
        if let (Some(start), Some(end)) = (range.start, range.end)
            && end < start
        {
            return Err(Error::Usage(format!(
                "{flag}: end-time is before start-time"
            )));
        }
        Ok(range)
    }

    fn service(&self, flag: &str) -> Result<Service, Error> {
        self.only(
            flag,
            &["url", "api-version", "start-time", "end-time", "operator"],
        )?;
        self.required(flag, "start-time")?;
        let version = self.required(flag, "api-version")?;
        let major_api_version = version
            .parse()
            .ok()
            .filter(|version| *version > 0)
            .ok_or_else(|| {
                Error::Usage(format!(
                    "{flag}: api-version {version:?} is not a number from 1"
                ))
            })?;
        Ok(Service {
            url: self.required(flag, "url")?.to_owned(),
            major_api_version,
            valid_for: self.range(flag)?,
            operator: self.required(flag, "operator")?.to_owned(),
        })
    }
}

/// Which repository the default services come from.
pub(super) fn refresh_note(mirror: &str, is_public: bool) -> String {
    match is_public {
        true => format!("the default services are those of the public instance ({mirror})"),
        false => format!("the default services are those of {mirror}, which was initialised"),
    }
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

    fn create(flags: &[&str], mut config: SigningConfig) -> Result<SigningConfig, String> {
        let alone = Alone::try_parse_from(std::iter::once(&"create").chain(flags))
            .map_err(|error| error.to_string())?;
        alone
            .create
            .apply(&mut config)
            .map_err(|error| error.to_string())?;
        Ok(config)
    }

    const ONE: &str = "url=https://one,api-version=1,start-time=2024-01-01T00:00:00Z,operator=acme";
    const TWO: &str = "url=https://two,api-version=2,start-time=2025-01-01T00:00:00Z,\
                       end-time=2026-01-01T00:00:00Z,operator=other";

    #[test]
    fn cosign_makes_the_same_of_the_same_flags() {
        let cosign = require_or_skip!("cosign3");
        let sandbox = Sandbox::new();
        for flags in [
            &[][..],
            &["--rekor", ONE, "--rekor", TWO, "--rekor-config", "EXACT:2"],
            &[
                "--fulcio",
                ONE,
                "--oidc-provider",
                TWO,
                "--tsa",
                ONE,
                "--tsa-config",
                "ANY",
            ],
            &["--rekor-config", "ALL"],
        ] {
            let theirs = sandbox
                .command(&cosign)
                .args(["signing-config", "create"])
                .args(flags)
                .run()
                .success();
            let ours = create(flags, SigningConfig::default()).unwrap().to_json();
            let ours: serde_json::Value = serde_json::from_slice(&ours).unwrap();
            let mut theirs: serde_json::Value = serde_json::from_str(&theirs.stdout()).unwrap();
            // Where it says nothing, it writes `{}`, which sigstore-python and sigstore-js do not take.
            let members = theirs.as_object_mut().unwrap();
            members.retain(|_, member| *member != serde_json::json!({}));
            assert_eq!(ours, theirs, "{flags:?}");
        }
    }

    #[test]
    fn defaults_are_replaced_kind_by_kind() {
        let public = sealmark_trust::TrustedMaterial::embedded_public_good();
        let public = public.signing_config.unwrap();
        let changed = create(
            &["--tsa", ONE, "--tsa-config", "ALL", "--no-default-rekor"],
            public.clone(),
        )
        .unwrap();
        assert_eq!(changed.ca_urls, public.ca_urls);
        assert_eq!(changed.tsa_urls[0].url, "https://one");
        assert!(changed.rekor_tlog_urls.is_empty());
    }

    #[test]
    fn flags_that_say_too_little_or_something_unknown_are_refused() {
        for (flags, expected) in [
            (&["--rekor", ONE][..], "--rekor needs --rekor-config"),
            (&["--tsa", ONE], "--tsa needs --tsa-config"),
            (&["--rekor-config", "SOME"], "none of ANY, ALL"),
            (
                &["--rekor-config", "EXACT:0"],
                "EXACT:n with n of at least 1",
            ),
            (
                &[
                    "--fulcio",
                    "url=a,start-time=2024-01-01T00:00:00Z,operator=o",
                ],
                "needs api-version",
            ),
            (
                &[
                    "--fulcio",
                    "url=a,start-time=2024-01-01T00:00:00Z,operator=o,api-version=v1",
                ],
                "not a number",
            ),
            (
                &["--fulcio", "url=a,api-version=1,operator=o"],
                "needs start-time",
            ),
            (
                &[
                    "--fulcio",
                    "url=a,api-version=1,start-time=2024-01-01T00:00:00Z",
                ],
                "needs operator",
            ),
        ] {
            let error = create(flags, SigningConfig::default()).expect_err(expected);
            assert!(error.contains(expected), "{flags:?}: {error}");
        }
    }
}
