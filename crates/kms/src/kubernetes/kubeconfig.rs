//! The files that say where clusters are and who is known there
//! ([their form](https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/)).
//!
//! Invariants: as for kubectl, the first file of `KUBECONFIG` that has something wins, and a path in a file is relative to
//! that file's folder. What a file says is in no message, but for the names in it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

/// The largest file: hundreds of clusters with their certificates.
const MAX_FILE: u64 = 4 << 20;

/// All files together.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Kubeconfig {
    pub(super) current_context: Option<String>,
    clusters: Option<Vec<Named<Cluster>>>,
    users: Option<Vec<Named<User>>>,
    contexts: Option<Vec<Named<Context>>>,
    /// The files that were read.
    #[serde(skip)]
    pub(super) files: Vec<PathBuf>,
}

/// A member of a list; its content's key says of which.
#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "user", alias = "context")]
    content: Option<T>,
}

/// Where a cluster is.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) server: String,
    pub(super) certificate_authority: Option<PathBuf>,
    pub(super) certificate_authority_data: Option<String>,
    pub(super) insecure_skip_tls_verify: Option<bool>,
    pub(super) tls_server_name: Option<String>,
    pub(super) proxy_url: Option<String>,
}

/// Who asks.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct User {
    pub(super) client_certificate: Option<PathBuf>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key: Option<PathBuf>,
    pub(super) client_key_data: Option<Zeroizing<String>>,
    pub(super) token: Option<Zeroizing<String>>,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: Option<PathBuf>,
    #[serde(rename = "as")]
    pub(super) impersonated: Option<String>,
    pub(super) as_uid: Option<String>,
    pub(super) as_groups: Option<Vec<String>>,
    pub(super) as_user_extra: Option<IgnoredAny>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Zeroizing<String>>,
    pub(super) auth_provider: Option<AuthProvider>,
    pub(super) exec: Option<Exec>,
    /// The folder that the user's program is relative to.
    #[serde(skip)]
    pub(super) folder: PathBuf,
}

/// What kubectl itself no longer has.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct AuthProvider {
    pub(super) name: String,
}

/// A program that knows who asks.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Exec {
    pub(super) api_version: String,
    pub(super) command: String,
    pub(super) args: Option<Vec<String>>,
    pub(super) env: Option<Vec<Variable>>,
    pub(super) install_hint: Option<String>,
    pub(super) provide_cluster_info: Option<bool>,
    pub(super) interactive_mode: Option<String>,
}

/// A variable of that program.
#[derive(Clone, Deserialize)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: Zeroizing<String>,
}

/// Who asks where.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Context {
    cluster: String,
    user: String,
}

/// What the current context leads to.
pub(super) struct Chosen {
    pub(super) context: String,
    pub(super) cluster: Cluster,
    pub(super) user_name: String,
    pub(super) user: User,
}

impl Kubeconfig {
    /// The files of `KUBECONFIG`, or `~/.kube/config`. Those that are not there do not count.
    pub(super) async fn load() -> Result<Self, String> {
        let mut all = Self::default();
        for path in paths() {
            if !path.exists() {
                continue;
            }
            let failed = |reason: String| format!("the kubeconfig {}: {reason}", path.display());
            let text = read(&path).await.map_err(failed)?;
            let mut one = Self::parse(&text).map_err(failed)?;
            let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
            one.anchor(absolute.parent().unwrap_or_else(|| Path::new("/")));
            all.add(one, path);
        }
        Ok(all)
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The parser's own words quote what is around a mistake, and that may be a token.
        serde_saphyr::from_str(text).map_err(|error| match error.location() {
            Some(at) => format!("it cannot be read as one (line {})", at.line()),
            None => "it cannot be read as one".to_owned(),
        })
    }

    /// Makes paths independent of the file they stand in.
    fn anchor(&mut self, folder: &Path) {
        let at = |path: &mut Option<PathBuf>| {
            if let Some(path) = path {
                *path = folder.join(&path);
            }
        };
        for cluster in self.clusters.iter_mut().flatten() {
            if let Some(cluster) = &mut cluster.content {
                at(&mut cluster.certificate_authority);
            }
        }
        for user in self.users.iter_mut().flatten() {
            if let Some(user) = &mut user.content {
                at(&mut user.client_certificate);
                at(&mut user.client_key);
                at(&mut user.token_file);
                user.folder = folder.to_owned();
            }
        }
    }

    /// What this has already stays as it is.
    fn add(&mut self, later: Self, path: PathBuf) {
        self.files.push(path);
        if self.current_context.as_deref().is_none_or(str::is_empty) {
            self.current_context = later.current_context;
        }
        join(&mut self.clusters, later.clusters);
        join(&mut self.users, later.users);
        join(&mut self.contexts, later.contexts);
    }

    /// What the current context leads to; `None` if there is no context.
    pub(super) fn choose(&self) -> Result<Option<Chosen>, String> {
        let Some(name) = self
            .current_context
            .as_deref()
            .filter(|name| !name.is_empty())
        else {
            return match self.contexts.as_deref() {
                None | Some([]) => Ok(None),
                Some(some) => Err(format!(
                    "{} has no current-context; choose one: kubectl config use-context NAME ({})",
                    self.place(),
                    names(some)
                )),
            };
        };
        let context = find(&self.contexts, name).ok_or_else(|| {
            format!(
                "{} has no context {name:?}, which is the current one",
                self.place()
            )
        })?;
        let cluster = find(&self.clusters, &context.cluster).ok_or_else(|| {
            let cluster = &context.cluster;
            format!(
                "{}: the context {name:?} is of a cluster {cluster:?}, which is not in it",
                self.place()
            )
        })?;
        // A context without a user asks as nobody.
        let user = match context.user.as_str() {
            "" => User::default(),
            user => find(&self.users, user).cloned().ok_or_else(|| {
                format!(
                    "{}: the context {name:?} is of a user {user:?}, who is not in it",
                    self.place()
                )
            })?,
        };
        Ok(Some(Chosen {
            context: name.to_owned(),
            cluster: cluster.clone(),
            user_name: context.user.clone(),
            user,
        }))
    }

    /// The files, for messages.
    pub(super) fn place(&self) -> String {
        let files: Vec<String> = self
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        match files.is_empty() {
            true => "the kubeconfig".to_owned(),
            false => files.join(" and "),
        }
    }
}

fn join<T>(all: &mut Option<Vec<Named<T>>>, later: Option<Vec<Named<T>>>) {
    let all = all.get_or_insert_default();
    for one in later.into_iter().flatten() {
        if !all.iter().any(|have| have.name == one.name) {
            all.push(one);
        }
    }
}

fn find<'a, T>(all: &'a Option<Vec<Named<T>>>, name: &str) -> Option<&'a T> {
    let found = all.iter().flatten().find(|one| one.name == name);
    found.and_then(|one| one.content.as_ref())
}

fn names<T>(all: &[Named<T>]) -> String {
    let names: Vec<String> = all.iter().map(|one| format!("{:?}", one.name)).collect();
    sealmark_http::sanitise(&names.join(", "))
}

/// Where the files would be.
pub(super) fn paths() -> Vec<PathBuf> {
    if let Some(list) = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
        return std::env::split_paths(&list)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    home.map(|home| PathBuf::from(home).join(".kube/config"))
        .into_iter()
        .collect()
}

/// A file of text that may hold a secret.
pub(super) async fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    use tokio::io::AsyncReadExt;
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| error.to_string())?;
    let mut text = Zeroizing::new(String::new());
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text).await;
    read.map_err(|error| error.to_string())?;
    match text.len() as u64 > MAX_FILE {
        true => Err("it is too large".to_owned()),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str]) -> Kubeconfig {
        let mut all = Kubeconfig::default();
        for (number, text) in files.iter().enumerate() {
            let mut one = Kubeconfig::parse(text).unwrap();
            one.anchor(Path::new(&format!("/f{number}")));
            all.add(one, PathBuf::from(format!("/f{number}/config")));
        }
        all
    }

    const CLUSTER: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: kind\n  cluster: {server: 'https://a:6443', certificate-authority: ca.pem}\n";
    const USER: &str = "users:\n- name: me\n  user: {tokenFile: t/token, client-key: /abs/key}\n";

    #[test]
    fn the_first_file_that_has_something_wins_and_paths_are_those_of_their_file() {
        let context = "current-context: c\ncontexts:\n- name: c\n  context: {cluster: kind, user: me, namespace: x}\n";
        let other =
            "current-context: other\nclusters:\n- name: kind\n  cluster: {server: 'https://b'}\n";
        let all = of(&[context, CLUSTER, other, USER]);
        let chosen = all.choose().unwrap().unwrap();
        assert_eq!(chosen.context, "c");
        assert_eq!(chosen.cluster.server, "https://a:6443");
        assert_eq!(
            chosen.cluster.certificate_authority,
            Some("/f1/ca.pem".into())
        );
        assert_eq!(chosen.user.token_file, Some("/f3/t/token".into()));
        assert_eq!(chosen.user.client_key, Some("/abs/key".into()));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (files, message) in [
            (
                vec!["contexts:\n- name: a\n  context: {}\n"],
                "/f0/config has no current-context; choose one: kubectl config use-context NAME (\"a\")",
            ),
            (
                vec!["current-context: x\nclusters: null\n"],
                "/f0/config has no context \"x\", which is the current one",
            ),
            (
                vec!["current-context: x\ncontexts:\n- name: x\n  context: {cluster: k}\n"],
                "/f0/config: the context \"x\" is of a cluster \"k\", which is not in it",
            ),
            (
                vec![
                    "current-context: x\ncontexts:\n- name: x\n  context: {cluster: kind, user: u}\n",
                    CLUSTER,
                ],
                "/f0/config and /f1/config: the context \"x\" is of a user \"u\", who is not in it",
            ),
        ] {
            assert_eq!(of(&files).choose().err().unwrap(), message);
        }
        assert!(of(&[]).choose().unwrap().is_none());
        assert!(of(&["kind: Config"]).choose().unwrap().is_none());
        let broken = Kubeconfig::parse("users:\n- name: me\n  user: {token: [hunter2}\n")
            .err()
            .unwrap();
        assert!(
            broken.contains("it cannot be read as one") && !broken.contains("hunter2"),
            "{broken}"
        );
    }
}
