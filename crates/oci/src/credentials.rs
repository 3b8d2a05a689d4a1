//! Credentials for registries: found where docker and podman keep them, and stored there.
//!
//! Invariant: a credential names its source, so that a refusal can say which one was used; a source that is broken is
//! an error, and never the same as none. Nothing here is sent anywhere.
//!
//! Order: flags; `config.json` of docker; `$REGISTRY_AUTH_FILE`; podman's `auth.json`. In each, an entry for the
//! repository is preferred to one for its host. <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>

mod config;
#[cfg(fuzzing)]
pub mod fuzzing;
mod helper;

use std::ffi::OsString;
use std::path::PathBuf;

use self::config::Config;
use crate::error::Error;
use crate::options::{Options, Secret};
use crate::reference::DOCKER_HUB;

/// The key under which docker keeps the credential for its hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The part of the environment that says where credentials are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `DOCKER_CONFIG`: a directory.
    pub docker_config: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`.
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// `PATH`, where credential helpers are.
    pub path: Option<OsString>,
}

impl Environment {
    /// The process's own.
    pub fn of_process() -> Self {
        let get = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            home: get("HOME").map(PathBuf::from),
            docker_config: get("DOCKER_CONFIG").map(PathBuf::from),
            registry_auth_file: get("REGISTRY_AUTH_FILE").map(PathBuf::from),
            xdg_runtime_dir: get("XDG_RUNTIME_DIR").map(PathBuf::from),
            xdg_config_home: get("XDG_CONFIG_HOME").map(PathBuf::from),
            path: get("PATH"),
        }
    }

    /// Docker's `config.json`.
    fn docker_file(&self, options: &Options) -> Option<PathBuf> {
        options
            .docker_config
            .clone()
            .or_else(|| self.docker_config.clone())
            .or_else(|| self.home.as_ref().map(|home| home.join(".docker")))
            .map(|dir| dir.join("config.json"))
    }

    /// Every file that may hold credentials, the preferred first.
    fn files(&self, options: &Options) -> Vec<PathBuf> {
        let config_home = self
            .xdg_config_home
            .clone()
            .or_else(|| self.home.as_ref().map(|home| home.join(".config")));
        let podman = |dir: PathBuf| dir.join("containers").join("auth.json");
        [
            self.docker_file(options),
            self.registry_auth_file.clone(),
            self.xdg_runtime_dir.clone().map(podman),
            config_home.map(podman),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// A credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credential {
    /// What it is.
    pub kind: Kind,
    /// Where it was found, for people.
    pub source: String,
}

/// The kinds of credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// User name and password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token for the registry's token endpoint.
    IdentityToken(Secret),
    /// A bearer token for the registry itself.
    RegistryToken(Secret),
}

/// The credential for a repository; `None` if there is none anywhere. It may run a credential helper.
///
/// # Errors
/// [`Error::Credentials`] if a file cannot be understood, or a helper is missing or fails; [`Error::Option`] if the
/// flags contradict each other.
pub async fn lookup(
    registry: &str,
    repository: &str,
    options: &Options,
) -> Result<Option<Credential>, Error> {
    if let Some(credential) = of_flags(options)? {
        return Ok(Some(credential));
    }
    let environment = options
        .environment
        .clone()
        .unwrap_or_else(Environment::of_process);
    for path in environment.files(options) {
        let Some(config) = Config::read(registry, &path)? else {
            continue;
        };
        if let Some(credential) = of_file(&config, registry, repository, &environment).await? {
            return Ok(Some(credential));
        }
    }
    Ok(None)
}

fn of_flags(options: &Options) -> Result<Option<Credential>, Error> {
    if let Some(token) = &options.token {
        return Ok(Some(Credential {
            kind: Kind::RegistryToken(token.clone()),
            source: "--registry-token".to_owned(),
        }));
    }
    match (&options.username, &options.password) {
        (Some(username), Some(password)) => Ok(Some(Credential {
            kind: Kind::Basic {
                username: username.clone(),
                password: password.clone(),
            },
            source: "--registry-username".to_owned(),
        })),
        (Some(_), None) => Err(Error::Option {
            option: "--registry-username",
            reason: "give --registry-password, too".to_owned(),
        }),
        (None, Some(_)) => Err(Error::Option {
            option: "--registry-password",
            reason: "give --registry-username, too".to_owned(),
        }),
        (None, None) => Ok(None),
    }
}

async fn of_file(
    config: &Config,
    registry: &str,
    repository: &str,
    environment: &Environment,
) -> Result<Option<Credential>, Error> {
    // From `host/team/app` up to `host/team`: an entry for less is not one for all of the host.
    let mut name = repository;
    while !name.is_empty() {
        for host in hosts(registry) {
            if let Some(credential) = config.entry(registry, &format!("{host}/{name}"))? {
                return Ok(Some(credential));
            }
        }
        name = name.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    let of_host = || -> Result<Option<Credential>, Error> {
        for host in hosts(registry) {
            if let Some(credential) = config.entry(registry, host)? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    };
    if let Some(helper) = config.helper(registry) {
        let found = helper::get(
            helper,
            server(registry),
            registry,
            config.path(),
            environment,
        );
        match found.await {
            Ok(Some(credential)) => return Ok(Some(credential)),
            Ok(None) => {}
            Err(error) => return of_host()?.map_or(Err(error), |credential| Ok(Some(credential))),
        }
    }
    of_host()
}

/// Under which names a registry's credential may be kept.
fn hosts(registry: &str) -> Vec<&str> {
    if registry == DOCKER_HUB {
        vec![DOCKER_HUB, "docker.io", "registry-1.docker.io"]
    } else {
        vec![registry]
    }
}

/// What a credential helper is asked for.
fn server(registry: &str) -> &str {
    if registry == DOCKER_HUB {
        HUB_KEY
    } else {
        registry
    }
}

/// Keeps a credential for later runs: with the credential helper that docker's `config.json` names, or else in that
/// file, which only its owner can read. Says where. Check it with [`check_login`](crate::Client::check_login) first.
///
/// # Errors
/// [`Error::Credentials`] if the file cannot be understood or the helper fails; [`Error::Io`].
pub async fn store(
    registry: &str,
    username: &str,
    password: &Secret,
    options: &Options,
) -> Result<String, Error> {
    let environment = options
        .environment
        .clone()
        .unwrap_or_else(Environment::of_process);
    let path = docker_file(registry, options, &environment)?;
    let config = Config::read(registry, &path)?;
    let key = server(registry);
    match config.as_ref().and_then(|config| config.helper(registry)) {
        Some(helper) => {
            helper::store(
                helper,
                key,
                username,
                password,
                registry,
                &path,
                &environment,
            )
            .await?;
            config::write(registry, &path, key, Some(config::Entry::default()))?;
            Ok(format!("docker-credential-{helper}"))
        }
        None => {
            let entry = config::Entry::basic(username, password);
            config::write(registry, &path, key, Some(entry))?;
            Ok(path.display().to_string())
        }
    }
}

/// Forgets what [`store`] keeps.
///
/// # Errors
/// As of [`store`].
pub async fn erase(registry: &str, options: &Options) -> Result<(), Error> {
    let environment = options
        .environment
        .clone()
        .unwrap_or_else(Environment::of_process);
    let path = docker_file(registry, options, &environment)?;
    let Some(config) = Config::read(registry, &path)? else {
        return Ok(());
    };
    let key = server(registry);
    if let Some(helper) = config.helper(registry) {
        helper::erase(helper, key, registry, &path, &environment).await?;
    }
    config::write(registry, &path, key, None)
}

fn docker_file(
    registry: &str,
    options: &Options,
    environment: &Environment,
) -> Result<PathBuf, Error> {
    environment
        .docker_file(options)
        .ok_or_else(|| Error::Credentials {
            registry: registry.to_owned(),
            reason: "there is no place to keep them: set HOME or DOCKER_CONFIG".to_owned(),
        })
}
