//! The way to the API server.

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Certificate, Identity, Method};
use sealmark_http::{Answer, Service};
use serde_json::Value;
use url::Url;

use super::access::Access;
use super::reference::Reference;
use crate::stored::Purpose;
use crate::{Error, Options};

/// A server, and what is presented to it.
pub(super) struct Connection {
    service: Service,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What is presented, for messages.
    pub(super) credentials: String,
}

impl Connection {
    /// As the kubeconfig says, or the pod.
    pub(super) async fn open(
        reference: &Reference,
        purpose: Purpose,
        options: &Options,
    ) -> Result<Self, Error> {
        let what = purpose.failed();
        let failed = |reason: String| Error::Provider {
            key: reference.to_string(),
            what,
            reason,
        };
        let access = Access::find(options).await.map_err(failed)?;
        let origin = access.origin.clone();
        let failed = |reason: String| failed(format!("{origin}: {reason}"));
        options.tell(format!(
            "Kubernetes at {} ({origin})",
            sealmark_http::sanitise(&access.server)
        ));
        options.tell(format!("Kubernetes credentials: {}", access.credentials));
        let mut url =
            Url::parse(&access.server).map_err(|_| failed("its server is no URL".to_owned()))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if url.scheme() != "https" && !sealmark_http::is_loopback(&host) {
            return Err(failed(format!(
                "its server {host} is http://, over which anyone on the way could read the private key; use https://"
            )));
        }
        let mut http = options.http();
        // What is written is not sent twice: the second try would find what the first one left.
        if purpose == Purpose::Write {
            http.tries = 1;
        }
        http.tls.accept_any_certificate = access.accept_any_certificate;
        if access.accept_any_certificate {
            options.tell(format!(
                "TLS: any certificate of {host} is believed (insecure-skip-tls-verify)"
            ));
        }
        if let Some(pem) = &access.authorities {
            let found = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
            if found.is_empty() {
                return Err(failed(
                    "its certificate-authority has no certificates in PEM".to_owned(),
                ));
            }
            http.authorities = found;
            http.tls.only_authorities = true;
        }
        if let Some(pem) = &access.identity {
            let identity = Identity::from_pem(pem.as_bytes());
            let wrong = |_| {
                failed("the client-certificate and client-key of its user are not a certificate and a key in PEM".to_owned())
            };
            http.tls.identity = Some(identity.map_err(wrong)?);
        }
        if let Some(name) = &access.server_name {
            let port = url.port_or_known_default().unwrap_or(443);
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let found = tokio::net::lookup_host((bare, port)).await;
            let address = found.ok().and_then(|mut found| found.next());
            http.tls.address =
                Some(address.ok_or_else(|| failed(format!("the host {host} is not known")))?);
            url.set_host(Some(name))
                .map_err(|_| failed(format!("its tls-server-name {name:?} is no name")))?;
        }
        let service = Service::new("Kubernetes API server", url.as_str(), &http)?;
        let mut headers = Vec::new();
        if let Some(authorization) = &access.authorization {
            let mut value = HeaderValue::from_str(authorization).map_err(|_| {
                failed("the token of its user has characters that no token has".to_owned())
            })?;
            value.set_sensitive(true);
            headers.push((AUTHORIZATION, value));
        }
        for (name, value) in &access.impersonation {
            let value = HeaderValue::from_str(value).map_err(|_| {
                failed("the name to impersonate has characters that none has".to_owned())
            })?;
            headers.push((HeaderName::from_static(name), value));
        }
        Ok(Self {
            service,
            headers,
            credentials: access.credentials,
        })
    }

    /// A request about a secret, or about the secrets of a namespace, and its answer, whatever that says.
    pub(super) async fn ask(
        &self,
        method: Method,
        reference: &Reference,
        name: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let mut path = format!("api/v1/namespaces/{}/secrets", reference.namespace);
        if let Some(name) = name {
            path = format!("{path}/{name}");
        }
        let url = self.service.at(&path);
        // Data of a secret is Base64 in JSON, so this is no more secret than what the program holds anyhow.
        let body = body.map(|body| zeroize::Zeroizing::new(body.to_string()));
        let answer = self.service.request(method, &url, |request| {
            let mut request = request.header("accept", "application/json");
            for (name, value) in &self.headers {
                request = request.header(name.clone(), value.clone());
            }
            match &body {
                Some(body) => request
                    .header("content-type", "application/json")
                    .body(body.to_string()),
                None => request,
            }
        });
        Ok(answer.await?)
    }

    /// The host, for messages.
    pub(super) fn host(&self) -> String {
        let url = self.service.url();
        let host = url.host_str().unwrap_or_default();
        match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}
