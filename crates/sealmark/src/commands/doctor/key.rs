//! The key: is it there, can it be used, and may it?

use std::sync::{Arc, Mutex, PoisonError};

use sealmark_kms::KeyRef;

use super::{Arguments, Finding};
use crate::password;
use crate::service_flags::key_options;
use crate::terminal::Terminal;

pub(super) const CREDENTIALS: &str = "credentials";
pub(super) const REACHABLE: &str = "key";
pub(super) const KIND: &str = "key type";
pub(super) const SIGN: &str = "permission to sign";

pub(super) async fn check(arguments: &Arguments, findings: &mut Vec<Finding>, terminal: &Terminal) {
    let Some(text) = &arguments.key else {
        findings.push(Finding::skipped(REACHABLE, "none was named with --key"));
        return;
    };
    let key = match KeyRef::parse(text) {
        Ok(key) => key,
        Err(error) => {
            findings.push(Finding::failed(REACHABLE, error.to_string()));
            return;
        }
    };
    // What a provider's client says of its choices: the credential, and whose it is.
    let notes = Arc::new(Mutex::new(Vec::new()));
    let mut options = key_options(terminal);
    let (kept, shown) = (notes.clone(), options.note.clone());
    options.note = Some(Arc::new(move |line: &str| {
        kept.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line.to_owned());
        if let Some(shown) = &shown {
            shown(line);
        }
    }));
    let loaded = sealmark_kms::load_verifier(&key, &options).await;
    let notes: Vec<String> = notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let is_local = matches!(key, KeyRef::File(_) | KeyRef::Env(_) | KeyRef::Url(_));
    if !is_local {
        findings.push(match notes.is_empty() {
            true => Finding::skipped(CREDENTIALS, "the provider needed none"),
            false => Finding::ok(CREDENTIALS, notes.join("\n")),
        });
    }
    let is_encrypted = matches!(loaded, Err(sealmark_kms::Error::EncryptedPrivateKey { .. }));
    match loaded {
        Ok((public, remote)) => {
            let name = remote
                .as_ref()
                .map_or_else(|| key.to_string(), |key| key.name.clone());
            findings.push(Finding::ok(REACHABLE, format!("{name} can be read")));
            findings.push(Finding::ok(
                KIND,
                format!("{}, {}", public.algorithm_name(), public.id()),
            ));
        }
        Err(_) if is_encrypted => {
            findings.push(Finding::ok(
                REACHABLE,
                format!("{key} is an encrypted private key"),
            ));
        }
        Err(error) => {
            findings.push(Finding::failed(REACHABLE, error.to_string()));
            return;
        }
    }
    if !arguments.sign {
        let why = "not tried; --sign signs a throw-away digest";
        findings.push(Finding::skipped(SIGN, why));
        return;
    }
    let signed = async {
        let signer = sealmark_kms::load_signer(&key, password::for_key, &options).await?;
        // What comes back is verified where it is used: a signature that is none is an error.
        signer
            .sign(b"sealmark doctor: this is signed to see whether it can be")
            .await?;
        Ok::<_, sealmark_kms::Error>(signer)
    };
    findings.push(match signed.await {
        Ok(signer) => {
            let scheme = signer.scheme().describe(signer.public_key().key_type());
            Finding::ok(SIGN, format!("{scheme}, by {}", signer.public_key().id()))
        }
        Err(error) => Finding::failed(SIGN, error.to_string()),
    });
}
