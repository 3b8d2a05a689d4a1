//! From a request to a certificate: the token, who it is of, the key, the precertificate, its promise, the certificate.

use sealmark_identity::{Expected, Identity, Token, TokenError};
use sealmark_keys::PublicKey;
use sealmark_x509::issue::{CertificateTemplate, Extension, IssueError, Name, Usage, key_id};
use sealmark_x509::{Certificate, ExtendedKeyUsage};

use super::issuers::Published;
use super::refusal::Refusal;
use super::request::Asked;
use super::tokens::Unusable;
use super::{CT_TIMEOUT, Inner, LIFETIME, Signing};
use crate::ct::CtError;
use crate::serial::serial;

/// An issued certificate, and those above it.
pub(super) struct Issued {
    pub(super) certificate: Certificate,
    pub(super) above: Vec<Certificate>,
    /// Whether it has the promise of a CT log inside.
    pub(super) is_promised: bool,
}

/// Issues a certificate. `request_id` is for the audit log.
pub(super) async fn issue(
    inner: &Inner,
    asked: Asked,
    request_id: &str,
) -> Result<Issued, Refusal> {
    let now = inner.now();
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
    let issued = sign(inner, &signing, template).await?;
    // The audit log: one line for each certificate, with all that tells it from others.
    tracing::info!(
        target: "audit",
        serial = %issued.certificate.serial(),
        name = %printable(&who.identity.name.value()),
        issuer = %printable(&who.issuer),
        subject = %printable(&who.subject),
        fingerprint = %issued.certificate.fingerprint(),
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
    let verify = |published: &Published| {
        let expected = Expected {
            issuer: &url,
            audience: Some(&issuer.client_id),
            algorithms: &published.algorithms,
        };
        token.verify(&published.keys, &expected, now)
    };
    // A key that is not known may be a new one.
    let known =
        |published: &Published| !matches!(verify(published), Err(TokenError::UnknownKey { .. }));
    let published = inner.issuers.published(issuer, &url, known).await;
    let published =
        published.map_err(|unknown| Refusal::unavailable(&format!("{unknown}; try again")))?;
    let claims = verify(&published).map_err(Refusal::token)?;
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
    let issuer = &signing.chain[0];
    let issuer_key_id = match issuer.subject_key_id() {
        Some(id) => id.to_vec(),
        None => key_id(issuer.spki_der())?,
    };
    let names = std::slice::from_ref(&identity.name);
    let mut extensions = vec![
        Extension::key_usage(&[Usage::DigitalSignature])?,
        Extension::extended_key_usage(&[ExtendedKeyUsage::CodeSigning], false)?,
        Extension::subject_key_id(&key_id(key.spki_der())?)?,
        Extension::authority_key_id(&issuer_key_id)?,
        Extension::subject_alt_names(names, true)?,
    ];
    for (extension, value) in &identity.extensions {
        extensions.push(Extension::fulcio(*extension, value)?);
    }
    Ok(CertificateTemplate {
        serial: serial()?,
        issuer: Name::subject_of(issuer),
        subject: Name::empty(),
        not_before: now,
        not_after: now + lifetime,
        public_key: key.spki_der().to_vec(),
        extensions,
    })
}

async fn sign(
    inner: &Inner,
    signing: &Signing,
    mut template: CertificateTemplate,
) -> Result<Issued, Refusal> {
    let fault = |error: IssueError| Refusal::fault("error communicating with CA backend", error);
    if let Some(ct) = &inner.ct {
        let mut precertificate = template.clone();
        precertificate.extensions.push(Extension::ct_poison());
        let precertificate = precertificate.sign(&signing.key).map_err(fault)?;
        let promise = ct.promise(&precertificate, &signing.chain);
        let promise = match tokio::time::timeout(CT_TIMEOUT, promise).await {
            Ok(Ok(promise)) => promise,
            Ok(Err(
                error @ (CtError::Unavailable(_)
                | CtError::Log(sealmark_log::Error::Overloaded { .. })),
            )) => {
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
        template
            .extensions
            .push(Extension::sct_list(&[promise]).map_err(fault)?);
    }
    Ok(Issued {
        certificate: template.sign(&signing.key).map_err(fault)?,
        above: signing.chain.clone(),
        is_promised: inner.ct.is_some(),
    })
}
