//! What `serve` reads again while it runs, and when: every few seconds, and on SIGHUP.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealmark_identity::Issuer;
use sealmark_server::ca::CertificateAuthority;
use sealmark_server::oidc::DevIssuer;
use sealmark_server::ops::Server;
use sealmark_server::reload::{Reload, Told};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::super::operations::OperationFlags;
use crate::error::Error;

/// What is read again.
pub(super) struct Files {
    /// Whom the CA believes.
    pub(super) config: Option<PathBuf>,
    /// Who may log in.
    pub(super) users: Option<PathBuf>,
}

/// Ends when it is dropped.
pub(super) struct Reloading(Vec<JoinHandle<()>>);

fn hangups() -> Result<Signal, Error> {
    signal(SignalKind::hangup()).map_err(|cause| Error::Stream {
        action: "listen for signals",
        cause,
    })
}

impl Reloading {
    /// Of a server that has no such files. Who exchanges a certificate, or has all services reload, sends the signal to it,
    /// too, and not to end it.
    pub(super) fn of_nothing(operation: &OperationFlags) -> Result<Self, Error> {
        let mut hangup = hangups()?;
        let tell = operation.teller();
        let told = match operation.scheme() {
            "https" => {
                "SIGHUP: nothing is read again but the certificate, which is every two seconds"
            }
            _ => "SIGHUP: there is no file that is read again; other flags need a restart",
        };
        let signals = tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                tell(told, false);
            }
        });
        Ok(Self(vec![signals]))
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Files {
    /// Reads them again from now on. The server has metrics of it.
    pub(super) fn follow(
        &self,
        ca: Option<&CertificateAuthority>,
        dev_issuer: Option<&DevIssuer>,
        server: Server,
        operation: &OperationFlags,
    ) -> Result<(Server, Reloading), Error> {
        let mut reload = Reload::default();
        if let (Some(path), Some(ca)) = (&self.config, ca) {
            let own: Vec<Issuer> = dev_issuer.iter().map(|issuer| issuer.issuer()).collect();
            reload.issuers(path, ca.clone(), own);
        }
        if let (Some(path), Some(issuer)) = (&self.users, dev_issuer) {
            reload.users(path, issuer.clone());
        }
        if reload.is_empty() {
            return Ok((server, Reloading::of_nothing(operation)?));
        }
        let mut hangup = hangups()?;
        let server = server.with(reload.service());
        let now = Arc::new(Notify::new());
        let notified = now.clone();
        let signals = tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                notified.notify_one();
            }
        });
        let tell = operation.teller();
        let reload = tokio::spawn(reload.run(now, move |told| match told {
            Told::Taken(text) => tell(&text, false),
            Told::Refused(text) => tell(&text, true),
        }));
        Ok((server, Reloading(vec![signals, reload])))
    }
}

/// The file of users that an issuer in this folder has, if there is one.
pub(super) fn users_file(given: Option<&Path>, folder: &Path) -> Option<PathBuf> {
    let own = folder.join(sealmark_server::oidc::USERS);
    match given {
        Some(given) => Some(given.to_owned()),
        None => own.exists().then_some(own),
    }
}
