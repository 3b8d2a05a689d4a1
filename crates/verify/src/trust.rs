//! Trusted material in the form in which it is used: keys and certificates read, each with the time it is valid for.

use sealmark_formats::trusted_root::{self, TimeRange, TrustedRoot};
use sealmark_keys::PublicKey;
use sealmark_x509::Certificate;

/// What a verifier believes in.
#[derive(Clone, Debug, Default)]
pub struct TrustedMaterial {
    /// Transparency logs.
    pub logs: Vec<Log>,
    /// Certificate authorities.
    pub authorities: Vec<Authority>,
    /// CT logs.
    pub ct_logs: Vec<Log>,
    /// Timestamp authorities.
    pub timestamp_authorities: Vec<Authority>,
    /// What the trusted root has and this program cannot use, with the reason. It is trusted for nothing.
    pub unusable: Vec<String>,
}

/// A log.
#[derive(Clone, Debug)]
pub struct Log {
    /// Where it is, for people.
    pub url: String,
    /// Its key.
    pub key: PublicKey,
    /// The id by which entries and SCTs name it.
    pub id: Vec<u8>,
    /// When its key is valid.
    pub valid_for: TimeRange,
}

/// A certificate authority or timestamp authority.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Where it is, for people.
    pub uri: String,
    /// Its certificates, root last.
    pub chain: Vec<Certificate>,
    /// When it may be believed.
    pub valid_for: TimeRange,
}

impl TrustedMaterial {
    /// Reads the keys and certificates of a trusted root.
    pub fn new(root: &TrustedRoot) -> Self {
        let mut unusable = Vec::new();
        let logs = read_all(&root.tlogs, log, &mut unusable);
        let authorities = read_all(&root.certificate_authorities, authority, &mut unusable);
        let ct_logs = read_all(&root.ctlogs, log, &mut unusable);
        let timestamp_authorities = read_all(&root.timestamp_authorities, authority, &mut unusable);
        Self {
            logs,
            authorities,
            ct_logs,
            timestamp_authorities,
            unusable,
        }
    }
}

fn read_all<T, U>(
    list: &[T],
    read: impl Fn(&T) -> Result<U, String>,
    unusable: &mut Vec<String>,
) -> Vec<U> {
    let mut usable = Vec::with_capacity(list.len());
    for item in list {
        match read(item) {
            Ok(item) => usable.push(item),
            Err(reason) => unusable.push(reason),
        }
    }
    usable
}

fn log(instance: &trusted_root::LogInstance) -> Result<Log, String> {
    let key = PublicKey::from_spki_der(&instance.public_key)
        .map_err(|error| format!("log {}: {error}", instance.base_url))?;
    Ok(Log {
        url: instance.base_url.clone(),
        key,
        id: instance.log_id.clone(),
        valid_for: instance.valid_for,
    })
}

fn authority(authority: &trusted_root::CertificateAuthority) -> Result<Authority, String> {
    let chain = authority
        .cert_chain
        .iter()
        .map(|der| Certificate::from_der(der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("authority {}: {error}", authority.uri))?;
    if chain.is_empty() {
        return Err(format!(
            "authority {}: it has no certificate",
            authority.uri
        ));
    }
    Ok(Authority {
        uri: authority.uri.clone(),
        chain,
        valid_for: authority.valid_for,
    })
}
