//! A certificate authority of a test's own, made with OpenSSL, and a server's certificate by it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::{Peer, Sandbox};

/// A server's certificate, and who stands for it.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The authority's certificate: for `SSL_CERT_FILE`.
    pub authority: PathBuf,
    /// For a server.
    pub config: Arc<ServerConfig>,
    /// Whether it wants a certificate of its clients.
    pub(crate) demands_certificates: bool,
}

impl Tls {
    /// For these names, as OpenSSL writes them: `DNS:localhost,IP:127.0.0.1`.
    ///
    /// # Panics
    ///
    /// If OpenSSL is not there or fails.
    pub fn for_names(sandbox: &Sandbox, names: &str) -> Self {
        let openssl = |words: &[&str]| {
            let program = Peer::find("openssl").expect("the caller looked for openssl");
            sandbox.command(program).args(words).run().success();
        };
        sandbox.write("tls/ext", format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\n"));
        for key in ["tls/ca.key", "tls/server.key"] {
            openssl(&[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-out",
                key,
            ]);
        }
        openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            "tls/ca.key",
            "-sha256",
            "-days",
            "30",
            "-subj",
            "/CN=test authority",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-out",
            "tls/ca.pem",
        ]);
        openssl(&[
            "req",
            "-new",
            "-key",
            "tls/server.key",
            "-subj",
            "/CN=localhost",
            "-out",
            "tls/server.csr",
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            "tls/server.csr",
            "-CA",
            "tls/ca.pem",
            "-CAkey",
            "tls/ca.key",
            "-CAcreateserial",
            "-days",
            "30",
            "-sha256",
            "-extfile",
            "tls/ext",
            "-out",
            "tls/server.pem",
        ]);
        Self {
            authority: sandbox.join("tls/ca.pem"),
            config: Arc::new(config(
                &sandbox.join("tls/server.pem"),
                &sandbox.join("tls/server.key"),
            )),
            demands_certificates: false,
        }
    }

    /// The same for clients alone that have a certificate by the same authority.
    ///
    /// # Panics
    ///
    /// If OpenSSL wrote no certificate.
    #[must_use]
    pub fn with_clients(mut self) -> Self {
        let folder = self.authority.parent().expect("it is in a folder");
        let authority = CertificateDer::from_pem_file(&self.authority).expect("OpenSSL wrote it");
        let mut roots = RootCertStore::empty();
        roots.add(authority).expect("it is a certificate");
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
        let verifier = verifier.build().expect("there is an authority");
        let (certificate, key) = pair(&folder.join("server.pem"), &folder.join("server.key"));
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key)
            .expect("the key is that of the certificate");
        self.config = Arc::new(config);
        self.demands_certificates = true;
        self
    }
}

fn config(certificate: &Path, key: &Path) -> ServerConfig {
    let (certificate, key) = pair(certificate, key);
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key is that of the certificate")
}

fn pair(certificate: &Path, key: &Path) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    (
        CertificateDer::from_pem_file(certificate).expect("OpenSSL wrote it"),
        PrivateKeyDer::from_pem_file(key).expect("OpenSSL wrote it"),
    )
}
