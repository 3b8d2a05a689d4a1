//! The certificate authority: a public key and an identity token in, a certificate out.
//!
//! Fulcio's interface: <https://github.com/sigstore/fulcio/blob/main/fulcio.proto> (v2), and v1 where a server has no
//! other. A certificate that comes out of here is for the key that was sent and valid now; whether the authority is one
//! to trust, the chain to it and the CT log's promise say, which are checked with the trusted material.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sealmark_kms::Signer;
use sealmark_verify::TrustedMaterial;
use sealmark_x509::{Certificate, Purpose, verify_chain};
use serde::Deserialize;
use serde_json::json;

use crate::Error;
use crate::identity::IdentityToken;
use sealmark_http::{Answer, Options, Service};

const KIND: &str = "certificate authority";
/// The certificate of a clock ahead of ours: so many seconds are forgiven, but not more, for then something is wrong.
const CLOCK_SKEW: u64 = 300;

/// A certificate for a key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The signer's.
    pub certificate: Certificate,
    /// Those of its issuers, the root last, as the authority gives them: no reason to trust them.
    pub chain: Vec<Certificate>,
}

impl Issued {
    /// Who the certificate is for: the subject alternative name.
    pub fn subject(&self) -> String {
        let names = self.certificate.subject_alt_names();
        names.first().map(|name| name.value()).unwrap_or_default()
    }

    /// Checks that an authority issued it that is believed, before anything is made with it.
    ///
    /// # Errors
    /// The reason why not.
    pub(crate) fn check(&self, trust: &TrustedMaterial) -> Result<(), String> {
        let from = self.certificate.validity().not_before.unix_seconds();
        let mut reason = "the trusted root names no certificate authority for this time".to_owned();
        for authority in &trust.authorities {
            let counts =
                i64::try_from(from).is_ok_and(|at| authority.valid_for.contains_seconds(at));
            let Some((root, between)) = authority.chain.split_last().filter(|_| counts) else {
                continue;
            };
            let between = [between, &self.chain].concat();
            let roots = core::slice::from_ref(root);
            match verify_chain(
                &self.certificate,
                &between,
                roots,
                from,
                Purpose::CodeSigning,
            ) {
                Ok(_) => return Ok(()),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(reason)
    }

    /// Who vouched for that.
    pub fn issuer(&self) -> &str {
        let fulcio = self.certificate.fulcio();
        fulcio.issuer().unwrap_or_default()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerV2 {
    signed_certificate_embedded_sct: Option<WithChain>,
    signed_certificate_detached_sct: Option<WithChain>,
}

#[derive(Deserialize)]
struct WithChain {
    chain: ChainV2,
}

#[derive(Deserialize)]
struct ChainV2 {
    certificates: Vec<String>,
}

/// Asks the authority at `url` for a certificate for the signer's key.
///
/// # Errors
/// Of the network; [`sealmark_http::Error::Refused`] with the authority's words, and what the token says; [`sealmark_http::Error::Answer`] if the
/// certificate is for another key or time.
pub async fn certificate(
    url: &str,
    signer: &Signer,
    token: &IdentityToken,
    options: &Options,
) -> Result<Issued, Error> {
    let service = Service::new(KIND, url, options)?;
    let key = signer.public_key();
    let proof = signer.sign(token.challenge().as_bytes()).await?;
    let proof = STANDARD.encode(proof);
    let pem = key.to_pem();
    let algorithm = match key.key_type() {
        sealmark_keys::KeyType::Rsa { .. } => "RSA",
        sealmark_keys::KeyType::Ecdsa(_) => "ECDSA",
        sealmark_keys::KeyType::Ed25519 => "ED25519",
    };
    let body = json!({"publicKeyRequest": {
        "publicKey": {"algorithm": algorithm, "content": pem},
        "proofOfPossession": proof,
    }});
    let answer = post(&service, "api/v2/signingCert", token, body.to_string()).await?;
    let (answer, chain) = match answer.status {
        // A proxy, or a server that has not heard of v2.
        404 | 405 | 501 => {
            let body = json!({
                "publicKey": {"algorithm": algorithm.to_lowercase(), "content": STANDARD.encode(&pem)},
                "signedEmailAddress": proof,
            });
            let answer = post(&service, "api/v1/signingCert", token, body.to_string()).await?;
            let answer = good(answer, token)?;
            let chain = Certificate::chain_from_pem(&answer.body);
            let chain = chain.map_err(|error| answer.malformed(error))?;
            (answer, chain)
        }
        _ => {
            let answer = good(answer, token)?;
            let chain = read_v2(&answer)?;
            (answer, chain)
        }
    };
    let mut chain = chain.into_iter();
    let Some(certificate) = chain.next() else {
        return Err(answer.malformed("it has no certificate").into());
    };
    if certificate.spki_der() != key.spki_der() {
        let reason = "its certificate is for another key than the one that was sent";
        return Err(answer.malformed(reason).into());
    }
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    let validity = certificate.validity();
    let (from, to) = (
        validity.not_before.unix_seconds(),
        validity.not_after.unix_seconds(),
    );
    if from > now.saturating_add(CLOCK_SKEW) || to < now.saturating_sub(CLOCK_SKEW) {
        return Err(answer.malformed(format_args!(
            "its certificate is valid from {} to {}, which is not now: one of the clocks is wrong",
            validity.not_before, validity.not_after
        ))
        .into());
    }
    if certificate.fulcio().issuer().is_none() || certificate.subject_alt_names().is_empty() {
        let reason = "its certificate does not say who it is for, or who vouched for that";
        return Err(answer.malformed(reason).into());
    }
    Ok(Issued {
        certificate,
        chain: chain.collect(),
    })
}

async fn post(
    service: &Service,
    path: &str,
    token: &IdentityToken,
    body: String,
) -> Result<Answer, sealmark_http::Error> {
    let url = service.at(path);
    let post = service.post(&url, |request| {
        let request = request.header("content-type", "application/json");
        request.bearer_auth(token.secret()).body(body.clone())
    });
    post.await
}

/// A refusal most often is about the token, of which the authority says little.
fn good(answer: Answer, token: &IdentityToken) -> Result<Answer, sealmark_http::Error> {
    match answer.status {
        200..=299 => Ok(answer),
        400 | 401 | 403 => Err(answer.refused(&format!("; the identity token is {token}"))),
        _ => answer.good(),
    }
}

fn read_v2(answer: &Answer) -> Result<Vec<Certificate>, sealmark_http::Error> {
    let read: AnswerV2 = answer.json()?;
    let signed = read.signed_certificate_embedded_sct;
    let signed = signed.or(read.signed_certificate_detached_sct);
    let signed = signed.ok_or_else(|| answer.malformed("it has no certificate"))?;
    let pem = signed.chain.certificates.join("\n");
    Certificate::chain_from_pem(pem.as_bytes()).map_err(|error| answer.malformed(error))
}
