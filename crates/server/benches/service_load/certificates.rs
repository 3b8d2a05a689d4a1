//! Requests for certificates, as runs of a CI make them: each with a token of its own, and a key of its own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_x509::Certificate;
use serde_json::{Value, json};

use super::issuer::Issuer;
use super::requests::{Requests, body, in_parallel, post};

/// Requests, whole: some 1,400 bytes each.
pub(crate) struct Certificates(Vec<Vec<u8>>);

impl Certificates {
    /// `count` requests, with tokens each of which is for `per_token` of them.
    pub(crate) fn make(issuer: &Issuer, host: &str, count: usize, per_token: usize) -> Self {
        let per_token = per_token.max(1);
        // RSA signatures are most of the work, so each core makes tokens.
        let tokens = in_parallel(count.div_ceil(per_token), |number| issuer.token(number));
        Self(in_parallel(count, |number| {
            let key = PrivateKey::generate(Algorithm::EcdsaP256).expect("a P-256 key");
            let token = &tokens[number / per_token];
            let who = issuer.email(number / per_token);
            let proof = key.sign(who.as_bytes()).expect("a P-256 key signs");
            let body = json!({
                "credentials": {"oidcIdentityToken": token},
                "publicKeyRequest": {
                    "publicKey": {"algorithm": "ECDSA", "content": key.public_key().to_pem()},
                    "proofOfPossession": STANDARD.encode(proof),
                },
            });
            let body = body.to_string();
            post(
                host,
                "/api/v2/signingCert",
                "application/json",
                body.as_bytes(),
            )
        }))
    }
}

impl Requests for Certificates {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn request(&self, number: usize, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.0[number]);
    }

    /// How many promises are in the certificate, which must be one for somebody of the issuer.
    fn sample(&self, answer: &[u8]) -> Option<usize> {
        let answer: Value = serde_json::from_slice(body(answer)).expect("the answer is JSON");
        let (_, signed) = answer.as_object()?.iter().next()?;
        let pem = signed["chain"]["certificates"][0].as_str();
        let pem = pem.expect("a chain");
        let leaf = Certificate::from_pem(pem.as_bytes()).expect("a certificate");
        let name = leaf.subject_alt_names().first().expect("a name");
        assert!(name.value().ends_with("@example.org"), "{name:?}");
        Some(leaf.signed_certificate_timestamps().len())
    }
}
