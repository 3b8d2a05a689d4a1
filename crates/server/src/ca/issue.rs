//! From a request to a certificate: the token, who it is of, the key, the precertificate, its promise, the certificate.

use std::sync::Arc;

use sealmark_formats::Digest;
use sealmark_identity::{Expected, Identity, Token};
use sealmark_keys::PublicKey;
use sealmark_x509::issue::{
    CertificateTemplate, Extension, IssueError, Name, Usage, key_id, to_pem,
};
use sealmark_x509::{Certificate, ExtendedKeyUsage};

use super::issuers::Published;
use super::refusal::Refusal;
use super::request::Asked;
use super::tokens::Unusable;
use super::{CT_TIMEOUT, Inner, LIFETIME, Signing};
use crate::serial::serial;

/// An issued certificate, and what signed it.
pub(super) struct Issued {
    der: Vec<u8>,
    signing: Arc<Signing>,
    /// Whether it has the promise of a CT log inside.
    pub(super) is_promised: bool,
}

impl Issued {
    /// The certificate and those above it, in PEM.
    pub(super) fn pems(&self) -> Vec<String> {
        let above = self.signing.pems.iter().cloned();
        std::iter::once(to_pem(&self.der)).chain(above).collect()
    }
}

/// Issues a certificate. `request_id` is for the audit log.
pub(super) async fn issue(
    inner: &Inner,
    asked: Asked,
    request_id: &str,
) -> Result<Issued, Refusal> {
    let now = inner.clock.seconds();
    let now = now.map_err(|set_back| {
        tracing::error!("certificate authority: {set_back}");
        Refusal::unavailable(&set_back.to_string())
    })?;
    let lifetime = match asked.lifetime {
        None => LIFETIME,
        Some(seconds @ 1..=LIFETIME) => seconds,
        Some(_) => return Err(Refusal::lifetime(LIFETIME)),
    };
    let who = authenticate(inner, &asked.token, now).await?;
    let key = asked.key.proven(&who.identity.challenges)?;
    if who.single_use {
        let used = inner.used.use_up(&who.token, who.expires, now as i64);
        used.map_err(|unusable| match unusable {
            Unusable::Used => Refusal::token(
                "it was used already, and its issuer's tokens are good for one certificate",
            ),
            Unusable::Full => {
                Refusal::unavailable("too many tokens are in use: try again in a minute")
            }
        })?;
    }
    let signing = inner.signing();
    let template = template(&signing, &who.identity, &key, now, lifetime)
        .map_err(|error| Refusal::token(error.to_string()))?;
    let serial = template.serial.clone();
    let issued = sign(inner, signing, &template).await?;
    inner.clock.issued(now);
    // The audit log: one line for each certificate, with all that tells it from others.
    tracing::info!(
        target: "audit",
        serial = %hex::encode(&serial),
        name = %printable(&who.identity.name.value()),
        issuer = %printable(&who.issuer),
        subject = %printable(&who.subject),
        fingerprint = %Digest::sha256(&issued.der),
        not_after = now + lifetime,
        request_id,
        "certificate issued"
    );
    Ok(issued)
}

/// What comes from outside must not make lines of its own.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Who a token is of.
struct Who {
    /// What its issuer signed.
    token: String,
    identity: Identity,
    issuer: String,
    subject: String,
    expires: i64,
    single_use: bool,
}

async fn authenticate(inner: &Inner, token: &str, now: u64) -> Result<Who, Refusal> {
    let token = Token::parse(token).map_err(Refusal::token)?;
    let url = token.unverified_issuer().unwrap_or_default().to_owned();
    let configuration = inner.configuration();
    let issuer = configuration.find(&url).ok_or_else(|| {
        let url: String = url.chars().take(200).collect();
        Refusal::token(format_args!(
            "its issuer {url:?} is not one that this CA believes"
        ))
    })?;
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    // A key that is not known may be a new one.
    let known = |published: &Published| token.names_key_of(&published.keys);
    let published = inner.issuers.published(issuer, &url, known).await;
    let published =
        published.map_err(|unknown| Refusal::unavailable(&format!("{unknown}; try again")))?;
    let expected = Expected {
        issuer: &url,
        audience: Some(&issuer.client_id),
        algorithms: &published.algorithms,
    };
    let claims = token.verify(&published.keys, &expected, now);
    let claims = claims.map_err(Refusal::token)?;
    let identity = issuer.identify(&claims).map_err(Refusal::token)?;
    Ok(Who {
        token: token.signed_part().to_owned(),
        identity,
        issuer: url.clone(),
        subject: claims.text("sub").unwrap_or_default().to_owned(),
        expires: claims
            .get("exp")
            .and_then(|exp| exp.as_f64())
            .unwrap_or(0.0) as i64,
        single_use: issuer.single_use,
    })
}

/// The certificate without promise: Fulcio's profile, valid from now.
fn template(
    signing: &Signing,
    identity: &Identity,
    key: &PublicKey,
    now: u64,
    lifetime: u64,
) -> Result<CertificateTemplate, IssueError> {
    let names = std::slice::from_ref(&identity.name);
    let mut extensions = vec![
        Extension::key_usage(&[Usage::DigitalSignature])?,
        Extension::extended_key_usage(&[ExtendedKeyUsage::CodeSigning], false)?,
        Extension::subject_key_id(&key_id(key.spki_der())?)?,
        Extension::authority_key_id(&signing.key_id)?,
        Extension::subject_alt_names(names, true)?,
    ];
    for (extension, value) in &identity.extensions {
        extensions.push(Extension::fulcio(*extension, value)?);
    }
    Ok(CertificateTemplate {
        serial: serial()?,
        issuer: signing.name.clone(),
        subject: Name::empty(),
        not_before: now,
        not_after: now + lifetime,
        public_key: key.spki_der().to_vec(),
        extensions,
    })
}

async fn sign(
    inner: &Inner,
    signing: Arc<Signing>,
    template: &CertificateTemplate,
) -> Result<Issued, Refusal> {
    let fault = |error: IssueError| Refusal::fault("error communicating with CA backend", error);
    let key = &signing.key;
    let written = template.written(key.scheme()).map_err(fault)?;
    let Some(ct) = &inner.ct else {
        return Ok(Issued {
            der: written.sign(None, key).map_err(fault)?,
            signing,
            is_promised: false,
        });
    };
    let poison = Extension::ct_poison();
    let precertificate = written.sign(Some(&poison), key).map_err(fault)?;
    let precertificate = Certificate::from_der(&precertificate)
        .map_err(|error| Refusal::fault("error communicating with CA backend", error))?;
    let promise = ct.promise(&precertificate, &signing.chain);
    let promise = match tokio::time::timeout(CT_TIMEOUT, promise).await {
        Ok(Ok(promise)) => promise,
        Ok(Err(error)) if error.is_passing() => {
            tracing::warn!("certificate authority: {error}");
            return Err(Refusal::unavailable(&format!(
                "Error entering certificate in CTL: {error}"
            )));
        }
        Ok(Err(error)) => {
            return Err(Refusal::fault("Error entering certificate in CTL", error));
        }
        Err(_) => {
            return Err(Refusal::unavailable(
                "Error entering certificate in CTL: it took too long; try again",
            ));
        }
    };
    let promises = Extension::sct_list(&[promise]).map_err(fault)?;
    Ok(Issued {
        der: written.sign(Some(&promises), key).map_err(fault)?,
        signing,
        is_promised: true,
    })
}
