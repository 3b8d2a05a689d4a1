//! Entries to be logged: all different, all with signatures that verify, made before the clock starts.
//!
//! What is kept of an entry is its digest and its signature, so that a million of them take little memory; the request
//! is written when it is sent, which takes less than a microsecond.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey};

use super::requests::{Requests, find, in_parallel};

/// Bytes of a P-256 signature in DER, at most.
const SIGNATURE: usize = 72;

/// Which of the two interfaces is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Api {
    V1,
    V2,
}

#[derive(Clone, Copy)]
struct Signed {
    digest: [u8; 32],
    signature: [u8; SIGNATURE],
    length: u8,
}

/// `hashedrekord` entries by one P-256 key, which is new in each run, so that no two runs have an entry in common.
pub(crate) struct Entries {
    signed: Vec<Signed>,
    head: String,
    /// What stands before, between and after the digest and the signature.
    before: String,
    between: &'static str,
    after: String,
    api: Api,
}

impl Entries {
    /// Signs `count` entries on all cores.
    pub(crate) fn sign(api: Api, host: &str, count: usize) -> Self {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).expect("a P-256 key");
        let signed = in_parallel(count, |number| sign(&key, number));
        let public = key.public_key();
        let (path, before, between, after) = match api {
            Api::V1 => (
                "/api/v1/log/entries",
                r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":""#
                    .to_owned(),
                r#""}},"signature":{"content":""#,
                format!(r#"","publicKey":{{"content":"{}"}}}}}}}}"#, STANDARD.encode(public.to_pem())),
            ),
            Api::V2 => (
                "/api/v2/log/entries",
                r#"{"hashedRekordRequestV002":{"digest":""#.to_owned(),
                r#"","signature":{"content":""#,
                format!(
                    r#"","verifier":{{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{{"rawBytes":"{}"}}}}}}}}}}"#,
                    STANDARD.encode(public.spki_der())
                ),
            ),
        };
        Self {
            signed,
            head: format!(
                "POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\
                 Content-Type: application/json\r\nContent-Length: "
            ),
            before,
            between,
            after,
            api,
        }
    }
}

impl Requests for Entries {
    fn len(&self) -> usize {
        self.signed.len()
    }

    fn request(&self, number: usize, out: &mut Vec<u8>) {
        let Signed {
            digest,
            signature,
            length,
        } = &self.signed[number];
        let digest = match self.api {
            Api::V1 => hex::encode(digest),
            Api::V2 => STANDARD.encode(digest),
        };
        let signature = STANDARD.encode(&signature[..usize::from(*length)]);
        let parts = [&self.before, &digest, self.between, &signature, &self.after];
        let length: usize = parts.iter().map(|part| part.len()).sum();
        out.clear();
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(length.to_string().as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        parts
            .iter()
            .for_each(|part| out.extend_from_slice(part.as_bytes()));
    }

    /// The bytes of the leaf in an answer.
    fn sample(&self, answer: &[u8]) -> Option<usize> {
        let name: &[u8] = match self.api {
            Api::V1 => b"\"body\":",
            Api::V2 => b"\"canonicalizedBody\":",
        };
        // Other servers may write a space before the value.
        let after = find(answer, name)? + name.len();
        let start = after + find(&answer[after..], b"\"")? + 1;
        let base64 = &answer[start..start + find(&answer[start..], b"\"")?];
        let padding = base64
            .iter()
            .rev()
            .take_while(|byte| **byte == b'=')
            .count();
        Some(base64.len() / 4 * 3 - padding)
    }
}

fn sign(key: &PrivateKey, number: usize) -> Signed {
    let digest = Digest::sha256(&number.to_be_bytes());
    let der = key.sign_digest(&digest).expect("a P-256 key signs");
    let mut signed = Signed {
        digest: digest.bytes().try_into().expect("SHA-256 has 32 bytes"),
        signature: [0; SIGNATURE],
        length: u8::try_from(der.len()).expect("a signature is short"),
    };
    signed.signature[..der.len()].copy_from_slice(&der);
    signed
}
