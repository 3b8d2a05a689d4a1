//! What bytes are, by their content: PEM, JSON, DER, or base64 around one of these.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_x509::Certificate;

use super::facts::Facts;
use super::{certificate, json, key};

/// What is recognised, for the error.
const RECOGNISED: &str = "Recognised are images, OCI layouts, Sigstore bundles, manifests, certificates (PEM, DER), \
     keys (PEM, DER), DSSE envelopes, in-toto statements, legacy blob bundles, payloads and signatures, trusted roots \
     and signing configurations";
/// A signature that stands alone, in bytes: Ed25519 has 64, RSA 8192 has 1024.
const SIGNATURE_SIZES: core::ops::RangeInclusive<usize> = 64..=1024;

/// What it is, and what is in it.
///
/// # Errors
/// Why it cannot be said.
pub(super) fn describe(bytes: &[u8]) -> Result<(&'static str, Facts), String> {
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if contains(bytes, b"-----BEGIN ") && !text.starts_with(b"{") {
        return pem(bytes);
    }
    if text.starts_with(b"{") {
        return json::describe(bytes)
            .unwrap_or_else(|| Err(format!("it is JSON of an unknown kind. {RECOGNISED}")));
    }
    // The tag of an ASN.1 sequence is also the digit 0, so base64 is tried before DER.
    if let Some(decoded) = base64(text)
        && let Some(found) = inside_base64(&decoded)?
    {
        return Ok(found);
    }
    if bytes.first() == Some(&0x30)
        && let Some(found) = der(bytes)
    {
        return Ok(found);
    }
    Err(format!("its content is not recognised. {RECOGNISED}"))
}

fn pem(bytes: &[u8]) -> Result<(&'static str, Facts), String> {
    match Certificate::chain_from_pem(bytes) {
        Ok(chain) => return Ok(certificate::chain(&chain)),
        Err(sealmark_x509::Error::NoCertificate(_)) => {}
        Err(error) => return Err(error.to_string()),
    }
    match key::from_pem(bytes)? {
        Some(found) => Ok(found),
        None => Err(format!(
            "it is PEM with neither a certificate nor a key. {RECOGNISED}"
        )),
    }
}

fn der(bytes: &[u8]) -> Option<(&'static str, Facts)> {
    match Certificate::from_der(bytes) {
        Ok(certificate) => Some(certificate::chain(&[certificate])),
        Err(_) => key::from_der(bytes),
    }
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let compact: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    STANDARD.decode(compact).ok()
}

/// cosign writes certificates as base64 of PEM, and signatures as base64.
fn inside_base64(decoded: &[u8]) -> Result<Option<(&'static str, Facts)>, String> {
    if contains(decoded, b"-----BEGIN ") {
        return pem(decoded).map(Some);
    }
    if let Some(found) = der(decoded) {
        return Ok(Some(found));
    }
    if SIGNATURE_SIZES.contains(&decoded.len()) {
        let mut facts = Facts::new();
        facts.count("size", decoded.len());
        facts.text(
            "encoding",
            if decoded[0] == 0x30 {
                "DER, as ECDSA signatures have it"
            } else {
                "raw, as RSA and Ed25519 have it"
            },
        );
        facts.text("sha256", sealmark_formats::Digest::sha256(decoded).hex());
        return Ok(Some(("base64, probably a signature on its own", facts)));
    }
    Ok(None)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use sealmark_formats::bundle::{Content, Material, MessageSignature};
    use sealmark_formats::simple_signing::SimpleSigning;
    use sealmark_formats::{Bundle, Digest, statement};
    use sealmark_keys::{Algorithm, PrivateKey};

    use super::*;

    const CERTIFICATE: &[u8] = include_bytes!("../../../tests/fixtures/github-workflow.pem");

    fn kind(bytes: &[u8]) -> &'static str {
        match describe(bytes) {
            Ok((kind, _)) => kind,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn everything_of_a_signers_desk_is_recognised_by_its_content() {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        let signature = key.sign(b"x").unwrap();
        let bundle = Bundle::new(
            Material::PublicKey {
                hint: key.public_key().id().hint(),
            },
            Content::MessageSignature(MessageSignature {
                digest: Some(Digest::sha256(b"x")),
                signature: signature.clone(),
            }),
        );
        let digest = Digest::sha256(b"");
        let certificate = Certificate::from_pem(CERTIFICATE).unwrap();
        let table: Vec<(&str, Vec<u8>)> = vec![
            ("X.509 certificate", CERTIFICATE.to_vec()),
            ("X.509 certificates", CERTIFICATE.repeat(2)),
            ("X.509 certificate", certificate.der().to_vec()),
            (
                "X.509 certificate",
                STANDARD.encode(CERTIFICATE).into_bytes(),
            ),
            ("public key", key.public_key().to_pem().into_bytes()),
            ("public key", key.public_key().spki_der().to_vec()),
            (
                "private key, encrypted",
                key.to_encrypted_pem(b"").unwrap().into_bytes(),
            ),
            (
                "private key, NOT encrypted",
                key.to_pkcs8_der().unwrap().to_vec(),
            ),
            ("Sigstore bundle", bundle.to_json()),
            (
                "base64, probably a signature on its own",
                STANDARD.encode(&signature).into_bytes(),
            ),
            (
                "in-toto statement",
                statement::image_signature(&digest, &Default::default()),
            ),
            (
                "legacy signature payload (simple signing)",
                SimpleSigning::new("a/b", &digest, &Default::default()).to_json(),
            ),
            (
                "DSSE envelope",
                br#"{"payloadType":"text/plain","payload":"eA==","signatures":[{"sig":"eA=="}]}"#
                    .to_vec(),
            ),
            (
                "legacy blob bundle (cosign 1 and 2)",
                br#"{"base64Signature":"eA==","cert":""}"#.to_vec(),
            ),
            (
                "Sigstore trusted root",
                br#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#
                    .to_vec(),
            ),
            (
                "Sigstore signing configuration",
                br#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}"#.to_vec(),
            ),
            (
                "image index",
                br#"{"schemaVersion":2,"manifests":[]}"#.to_vec(),
            ),
        ];
        for (expected, bytes) in table {
            assert_eq!(kind(&bytes), expected);
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        let der = key.to_pkcs8_der().unwrap();
        let (_, facts) = describe(&der).unwrap();
        let shown = format!(
            "{:?}{}",
            facts.lines(),
            serde_json::to_string(&facts).unwrap()
        );
        assert!(shown.contains(&key.public_key().id().to_string()));
        // The scalar stands at a fixed place of PKCS#8 for P-256 (RFC 5915).
        let scalar = &der[36..68];
        assert!(
            !shown.contains(&certificate::hex(scalar)) && !shown.contains(&STANDARD.encode(scalar))
        );
    }

    #[test]
    fn what_is_unknown_or_damaged_is_an_error_that_says_so() {
        for (bytes, reason) in [
            (&b" \n"[..], "it is empty"),
            (
                b"hello world",
                "its content is not recognised. Recognised are images",
            ),
            (
                b"{}",
                "it is JSON of an unknown kind. Recognised are images",
            ),
            (b"{\"a\":", "it looks like JSON, and is not"),
            (b"AAAA", "its content is not recognised"),
            (
                b"-----BEGIN PGP MESSAGE-----\n-----END PGP MESSAGE-----\n",
                "it is PEM with neither",
            ),
            (
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "not a valid X.509",
            ),
            (
                b"{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v9+json\"}",
                "not a valid Sigstore bundle",
            ),
        ] {
            let error = describe(bytes).unwrap_err();
            assert!(error.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn a_certificates_identity_is_shown() {
        let (_, facts) = describe(CERTIFICATE).unwrap();
        let lines = facts.lines().join("\n");
        for expected in [
            "subject alt names:     URI:https://github.com/sigstore-conformance/",
            "  issuer:                                  https://token.actions.githubusercontent.com",
            "not after:             2024-12-16T18:52:56Z",
        ] {
            assert!(lines.contains(expected), "{expected}\n{lines}");
        }
    }
}
