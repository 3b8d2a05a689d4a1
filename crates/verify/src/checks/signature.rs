//! The check of the signature itself: which key made it?

use sealmark_formats::Hasher;
use sealmark_keys::{KeyType, PublicKey, Scheme};

use super::Failure;
use crate::artifact::Artifact;
use crate::policy::{Demand, Requirement, Signer};
use crate::signed::{By, Payload, Signed};

/// The key that made a signature.
pub(super) struct Made {
    pub(super) key: PublicKey,
    pub(super) scheme: Scheme,
    /// Which of the signers it is, if one of those that are named by key.
    pub(super) signer: Option<usize>,
}

/// The key that made the signature: one of the signers', or the certificate's.
pub(super) fn by_whom(
    artifact: &Artifact<'_>,
    signed: &Signed<'_>,
    demand: &Demand,
) -> Result<Made, Failure> {
    let signers = demand.signers.as_slice();
    let keys = signers
        .iter()
        .enumerate()
        .filter_map(|(index, signer)| match signer {
            Signer::Key(key) => Some((index, key)),
            Signer::Identity(_) => None,
        });
    match &signed.by {
        By::Certificate { leaf, .. } => {
            let key = leaf.public_key().map_err(|error| {
                Failure::new("a certificate with a usable key", error.to_string())
            })?;
            // Whoever trusts the key itself does not need the certificate's word. But where a log is asked, it must have
            // the bare key: whoever watches the log for the key would not see an entry by a certificate.
            let no_log = matches!(demand.log, Requirement::NotChecked { .. });
            let signer = keys
                .filter(|(_, known)| no_log && *known == key)
                .map(|(index, _)| index)
                .next();
            let identities = signers
                .iter()
                .any(|signer| matches!(signer, Signer::Identity(_)));
            if signer.is_none() && !identities {
                return Err(Failure::new(
                    expected(signers),
                    "a signature with a certificate (keyless signing)",
                )
                .remedy("name the signer's identity and issuer, if it is to be trusted"));
            }
            certificate_key(artifact, signed, key).map(|made| Made { signer, ..made })
        }
        By::Key(hint) => {
            let mut found = None;
            let mut named = false;
            for (index, key) in keys {
                match made_by(key, artifact, signed) {
                    Ok(scheme) => {
                        return Ok(Made {
                            key: key.clone(),
                            scheme,
                            signer: Some(index),
                        });
                    }
                    Err(reason) => found = found.or(Some(reason)),
                }
                named |= hint.as_ref() == Some(key.id().digest());
            }
            if let Some(hint) = hint
                && !named
            {
                found = Some(format!("a signature that names another key: {hint}"));
            }
            if let Some(failure) = over_another(artifact, signed) {
                return Err(failure);
            }
            let only_identities = !signers.iter().any(|s| matches!(s, Signer::Key(_)));
            let failure = Failure::new(
                expected(signers),
                found.unwrap_or_else(|| "a signature with a key".to_owned()),
            );
            // Where nothing says which key it was, the content may as well have been changed.
            Err(match (only_identities, hint) {
                (true, _) => failure.remedy(
                    "a key made this signature, and identities were asked for; give the signer's public key with \
                     --key, if it is to be trusted",
                ),
                (false, Some(_)) if !named => failure
                    .remedy("give the public key of the signer with --key, if it is to be trusted"),
                (false, _) => failure,
            })
        }
    }
}

/// The key that made the signature, whoever that is: the certificate's, one of `known`, or one that a log entry names.
pub(super) fn by_anyone(
    artifact: &Artifact<'_>,
    signed: &Signed<'_>,
    known: &[Signer],
) -> Result<Made, Failure> {
    let hint = match &signed.by {
        By::Key(hint) => hint,
        By::Certificate { leaf, .. } => {
            let key = leaf.public_key().map_err(|error| {
                Failure::new("a certificate with a usable key", error.to_string())
            })?;
            return certificate_key(artifact, signed, key);
        }
    };
    let given = known.iter().filter_map(|signer| match signer {
        Signer::Key(key) => Some(key.clone()),
        Signer::Identity(_) => None,
    });
    for key in given.chain(crate::log::named_keys(signed)) {
        if let Ok(scheme) = made_by(&key, artifact, signed) {
            return Ok(Made {
                key,
                scheme,
                signer: None,
            });
        }
    }
    if let Some(failure) = over_another(artifact, signed) {
        return Err(failure);
    }
    let found = match hint {
        Some(hint) => format!("a signature by the key {hint}, which is not here"),
        None => "a signature by a key that it does not name".to_owned(),
    };
    Err(Failure::new("a public key that made the signature", found)
        .remedy("give the signer's public key with --key"))
}

fn certificate_key(
    artifact: &Artifact<'_>,
    signed: &Signed<'_>,
    key: &PublicKey,
) -> Result<Made, Failure> {
    match made_by(key, artifact, signed) {
        Ok(scheme) => Ok(Made {
            key: key.clone(),
            scheme,
            signer: None,
        }),
        Err(reason) => Err(over_another(artifact, signed)
            .unwrap_or_else(|| Failure::new("a signature by the certificate's key", reason))),
    }
}

fn expected(signers: &[Signer]) -> String {
    let names: Vec<_> = signers.iter().map(ToString::to_string).collect();
    format!("a signature by {}", names.join(" or "))
}

fn made_by(
    key: &PublicKey,
    artifact: &Artifact<'_>,
    signed: &Signed<'_>,
) -> Result<Scheme, String> {
    match &signed.payload {
        Payload::Claims { signed: bytes, .. } => bytes.verify(key, &signed.signature),
        Payload::Artifact { .. } => over_artifact(key, artifact, &signed.signature),
    }
}

/// The plainer reason why a signature does not verify: its bundle names another file; most often the file was changed.
fn over_another(artifact: &Artifact<'_>, signed: &Signed<'_>) -> Option<Failure> {
    let Payload::Artifact {
        digest: Some(claimed),
    } = &signed.payload
    else {
        return None;
    };
    artifact
        .digests()
        .find(|digest| digest.algorithm() == claimed.algorithm() && *digest != claimed)
        .map(|digest| {
            Failure::new(
                format!("a signature over this file, {digest}"),
                format!("a signature over another file, {claimed}"),
            )
        })
}

/// Checks a signature over the artifact's bytes: from a digest where the scheme allows, else from the bytes.
fn over_artifact(
    key: &PublicKey,
    artifact: &Artifact<'_>,
    signature: &[u8],
) -> Result<Scheme, String> {
    let mut reason = None;
    for digest in artifact.digests() {
        match key.verify_digest(digest, signature) {
            Ok(scheme) => return Ok(scheme),
            Err(error) => reason = Some(error.to_string()),
        }
    }
    if let (KeyType::Ed25519, Some(bytes)) = (key.key_type(), artifact.bytes) {
        let mut verifier = key.stream_verifier(signature, None);
        let mut hasher = Hasher::new(artifact.digest.algorithm());
        bytes.read(&mut |piece| {
            verifier.update(piece);
            hasher.update(piece);
        })?;
        // The digest was made in an earlier reading, and it is what the report names.
        if hasher.finish() != artifact.digest {
            return Err("the file changed while it was read".to_owned());
        }
        return verifier
            .finish()
            .map(|(scheme, _)| scheme)
            .map_err(|error| error.to_string());
    }
    Err(reason.unwrap_or_else(|| "the artifact has no digest".to_owned()))
}
