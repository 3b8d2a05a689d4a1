//! Where the API server is, and who asks: from the kubeconfig, or from what a pod finds in its container.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::kubeconfig::{Chosen, Cluster, Kubeconfig, User, paths, read};
use crate::Options;

/// What a pod's service account is given.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Everything that it takes to ask.
pub(super) struct Access {
    pub(super) server: String,
    /// The authorities that alone are believed, PEM; the system's if there are none.
    pub(super) authorities: Option<String>,
    pub(super) accept_any_certificate: bool,
    /// The name in the server's certificate, if it is not the host's.
    pub(super) server_name: Option<String>,
    /// `Bearer …` or `Basic …`.
    pub(super) authorization: Option<Zeroizing<String>>,
    /// Certificate and key, PEM.
    pub(super) identity: Option<Zeroizing<String>>,
    /// Headers to ask as somebody else.
    pub(super) impersonation: Vec<(&'static str, String)>,
    /// Which entry of which file, for people.
    pub(super) origin: String,
    /// What is presented, for people: `the token of the user "ci"`.
    pub(super) credentials: String,
}

impl Access {
    /// The kubeconfig's current context; without one, the pod's service account.
    pub(super) async fn find(options: &Options) -> Result<Self, String> {
        let config = Kubeconfig::load().await?;
        if let Some(chosen) = config.choose()? {
            return Self::of(&config, chosen, options).await;
        }
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(host) = variable("KUBERNETES_SERVICE_HOST") {
            let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
            return Self::in_pod(&host, &port, Path::new(SERVICE_ACCOUNT)).await;
        }
        let places: Vec<String> = paths()
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        Err(format!(
            "where is the cluster? No context in {}, and this is no pod (KUBERNETES_SERVICE_HOST is not set); set KUBECONFIG",
            match places.is_empty() {
                true => "KUBECONFIG".to_owned(),
                false => places.join(" and "),
            }
        ))
    }

    async fn in_pod(host: &str, port: &str, folder: &Path) -> Result<Self, String> {
        let file = async |name: &str| {
            let path = folder.join(name);
            let text = read(&path).await;
            text.map_err(|reason| format!("the service account's {}: {reason}", path.display()))
        };
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        Ok(Self {
            server: format!("https://{host}:{port}"),
            authorities: Some(file("ca.crt").await?.to_string()),
            accept_any_certificate: false,
            server_name: None,
            authorization: Some(bearer(&file("token").await?)),
            identity: None,
            impersonation: Vec::new(),
            origin: "this pod's cluster".to_owned(),
            credentials: format!(
                "the token of the pod's service account ({})",
                folder.display()
            ),
        })
    }

    async fn of(config: &Kubeconfig, chosen: Chosen, options: &Options) -> Result<Self, String> {
        let Chosen {
            context,
            cluster,
            user_name,
            user,
        } = chosen;
        let origin = format!("the context {context:?} of {}", config.place());
        let failed = |reason: String| format!("{origin}: {reason}");
        if cluster.server.is_empty() {
            return Err(failed("its cluster has no server".to_owned()));
        }
        if cluster
            .proxy_url
            .as_deref()
            .is_some_and(|url| !url.is_empty())
        {
            return Err(failed(
                "proxy-url is not supported; set HTTPS_PROXY".to_owned(),
            ));
        }
        let authorities = authorities(&cluster).await.map_err(failed)?;
        let mut access = Self {
            server: cluster.server.clone(),
            accept_any_certificate: cluster.insecure_skip_tls_verify == Some(true),
            server_name: cluster
                .tls_server_name
                .clone()
                .filter(|name| !name.is_empty()),
            authorization: None,
            identity: None,
            impersonation: impersonation(&user).map_err(failed)?,
            credentials: match user_name.as_str() {
                "" => "no credentials".to_owned(),
                name => format!("no credentials of the user {name:?}"),
            },
            authorities,
            origin: origin.clone(),
        };
        access
            .log_in(&cluster, &user_name, user, options)
            .await
            .map_err(failed)?;
        Ok(access)
    }

    /// What the user presents. A certificate goes beside a token; of the others the first that there is.
    async fn log_in(
        &mut self,
        cluster: &Cluster,
        name: &str,
        user: User,
        options: &Options,
    ) -> Result<(), String> {
        let certificate = pem(
            user.client_certificate_data.as_deref(),
            user.client_certificate.as_deref(),
            "client-certificate",
        )
        .await?;
        let key = pem(
            user.client_key_data.as_ref().map(|data| data.as_str()),
            user.client_key.as_deref(),
            "client-key",
        )
        .await?;
        let mut what = Vec::new();
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                self.identity = Some(together(&certificate, &key));
                what.push("the certificate");
            }
            (None, None) => {}
            _ => {
                return Err(format!(
                    "the user {name:?} has a client-certificate without its client-key, or the other way round"
                ));
            }
        }
        if let Some(path) = &user.token_file {
            let token = read(path).await.map_err(|reason| {
                format!(
                    "the token of the user {name:?}, {}: {reason}",
                    path.display()
                )
            })?;
            self.authorization = Some(bearer(&token));
            what.push("the token (tokenFile)");
        } else if let Some(token) = user.token.as_ref().filter(|token| !token.is_empty()) {
            self.authorization = Some(bearer(token));
            what.push("the token");
        } else if let Some(username) = user.username.as_ref().filter(|name| !name.is_empty()) {
            let password = user
                .password
                .as_ref()
                .map_or("", |password| password.as_str());
            let pair = Zeroizing::new(format!("{username}:{password}"));
            self.authorization = Some(Zeroizing::new(format!(
                "Basic {}",
                STANDARD.encode(pair.as_bytes())
            )));
            what.push("the user name and password");
        } else if let Some(exec) = &user.exec {
            let authorities = self.authorities.as_deref();
            let given =
                super::exec::ask(exec, cluster, authorities, &user.folder, options.timeout).await?;
            self.authorization = given.token.as_ref().map(|token| bearer(token));
            if let (Some(certificate), Some(key)) =
                (&given.client_certificate_data, &given.client_key_data)
            {
                self.identity = Some(together(certificate, key));
            }
            let until = given
                .expiration_timestamp
                .as_deref()
                .map(sealmark_http::sanitise);
            let until = until.map_or_else(String::new, |until| format!(", valid until {until}"));
            self.credentials =
                format!("what {:?} gives for the user {name:?}{until}", exec.command);
            return Ok(());
        } else if let Some(provider) = &user.auth_provider {
            return Err(format!(
                "the user {name:?} has the auth-provider {:?}, which is not supported (nor by kubectl since 1.26); use an \
                 exec program or a token",
                provider.name
            ));
        }
        if !what.is_empty() {
            self.credentials = format!("{} of the user {name:?}", what.join(" and "));
        }
        Ok(())
    }
}

fn bearer(token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("Bearer {}", token.trim()))
}

fn together(certificate: &str, key: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{}\n{}", certificate.trim_end(), key))
}

async fn authorities(cluster: &Cluster) -> Result<Option<String>, String> {
    let data = cluster.certificate_authority_data.as_deref();
    let path = cluster.certificate_authority.as_deref();
    Ok(pem(data, path, "certificate-authority")
        .await?
        .map(|pem| pem.to_string()))
}

/// Data in Base64, which wins, or a file.
async fn pem(
    data: Option<&str>,
    path: Option<&Path>,
    name: &str,
) -> Result<Option<Zeroizing<String>>, String> {
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        let packed: Zeroizing<String> = Zeroizing::new(data.split_ascii_whitespace().collect());
        let bytes = STANDARD.decode(packed.as_bytes()).map(Zeroizing::new);
        let text = bytes
            .ok()
            .and_then(|bytes| Some(std::str::from_utf8(&bytes).ok()?.to_owned()));
        return match text {
            Some(text) => Ok(Some(Zeroizing::new(text))),
            None => Err(format!("{name}-data is not PEM in Base64")),
        };
    }
    let Some(path) = path.filter(|path| *path != PathBuf::new()) else {
        return Ok(None);
    };
    let text = read(path).await;
    text.map(Some)
        .map_err(|reason| format!("its {name}, {}: {reason}", path.display()))
}

fn impersonation(user: &User) -> Result<Vec<(&'static str, String)>, String> {
    if user.as_user_extra.is_some() {
        return Err("as-user-extra is not supported".to_owned());
    }
    let mut headers = Vec::new();
    headers.extend(
        user.impersonated
            .clone()
            .map(|name| ("impersonate-user", name)),
    );
    headers.extend(user.as_uid.clone().map(|uid| ("impersonate-uid", uid)));
    for group in user.as_groups.iter().flatten() {
        headers.push(("impersonate-group", group.clone()));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pod_asks_with_its_service_account() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Access::in_pod("10.96.0.1", "443", folder.path())
            .await
            .err()
            .unwrap();
        assert!(
            missing.contains("the service account's") && missing.contains("ca.crt"),
            "{missing}"
        );
        std::fs::write(folder.path().join("ca.crt"), "the authority").unwrap();
        std::fs::write(folder.path().join("token"), "abc\n").unwrap();
        let access = Access::in_pod("fd00::1", "443", folder.path())
            .await
            .unwrap();
        assert_eq!(access.server, "https://[fd00::1]:443");
        assert_eq!(access.authorization.unwrap().as_str(), "Bearer abc");
        assert_eq!(access.authorities.as_deref(), Some("the authority"));
        assert!(!access.accept_any_certificate);
    }
}
