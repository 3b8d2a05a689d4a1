//! The signer's certificate: is it by a trusted authority, valid when the signature was made, promised to a CT log, and
//! for an identity that the policy names?

use sealmark_x509::{Certificate, Purpose, verify_chain, verify_embedded_sct};

use crate::checks::Failure;
use crate::log::time_text;
use crate::policy::{Identity, Signer};
use crate::trust::TrustedMaterial;

/// Certificates of an attachment beyond these are not tried: path building costs the product of all names.
const MAX_INTERMEDIATES: usize = 8;

/// The certificate must be valid at every one of `times`; gives the certificate that issued it.
pub(crate) fn chain(
    leaf: &Certificate,
    others: &[Certificate],
    times: &[i64],
    trust: &TrustedMaterial,
) -> Result<Certificate, Failure> {
    let mut issuer = None;
    for time in times {
        issuer = Some(chain_at(leaf, others, *time, trust)?);
    }
    issuer.ok_or_else(|| {
        Failure::new(
            "a time at which the signature was made, proven by a log or a timestamp authority",
            "none",
        )
    })
}

fn chain_at(
    leaf: &Certificate,
    others: &[Certificate],
    time: i64,
    trust: &TrustedMaterial,
) -> Result<Certificate, Failure> {
    let expected = || {
        format!(
            "a certificate by a trusted authority, valid at {}",
            time_text(time)
        )
    };
    let Ok(at) = u64::try_from(time) else {
        return Err(Failure::new(expected(), "a time before 1970"));
    };
    let mut found = "no certificate authority is trusted at that time".to_owned();
    for authority in trust
        .authorities
        .iter()
        .filter(|a| a.valid_for.contains_seconds(time))
    {
        let Some((root, intermediates)) = authority.chain.split_last() else {
            continue;
        };
        // What the trusted root lists is complete: an intermediate that was taken out of it must not come back with
        // the signature. Only a root that lists none leaves them to the signature.
        let mut between = intermediates.to_vec();
        if between.is_empty() {
            between.extend(others.iter().take(MAX_INTERMEDIATES).cloned());
        }
        match verify_chain(
            leaf,
            &between,
            core::slice::from_ref(root),
            at,
            Purpose::CodeSigning,
        ) {
            Ok(chain) => return Ok(chain.issuer().clone()),
            Err(error) => found = error.to_string(),
        }
    }
    Err(Failure::new(expected(), found))
}

/// At least one trusted CT log must have promised to log the certificate.
pub(crate) fn sct(
    leaf: &Certificate,
    issuer: &Certificate,
    trust: &TrustedMaterial,
) -> Result<String, Failure> {
    let expected = "a promise of a trusted CT log (SCT) in the certificate";
    let timestamps = leaf.signed_certificate_timestamps();
    let mut found = match timestamps.len() {
        0 => "no SCT".to_owned(),
        _ => "an SCT of a log that is not trusted".to_owned(),
    };
    for sct in timestamps {
        // Milliseconds since 1970.
        let seconds = i64::try_from(sct.timestamp / 1000).unwrap_or(i64::MAX);
        for log in trust
            .ct_logs
            .iter()
            .filter(|log| log.id == *sct.log_id.as_slice())
        {
            if !log.valid_for.contains_seconds(seconds) {
                found = format!("an SCT of {} from outside of its time", log.url);
                continue;
            }
            match verify_embedded_sct(leaf, issuer, sct, &log.key) {
                Ok(()) => return Ok(format!("{} at {}", log.url, time_text(seconds))),
                Err(error) => found = format!("{}: {error}", log.url),
            }
        }
    }
    Err(Failure::new(expected, found))
}

/// The index of the policy's signer that the certificate is for, and the identity for people.
pub(crate) fn identity(leaf: &Certificate, signers: &[Signer]) -> Result<(usize, String), Failure> {
    let issuer = leaf.fulcio().issuer().unwrap_or_default();
    let subjects: Vec<String> = leaf
        .subject_alt_names()
        .iter()
        .map(|name| name.value().to_string())
        .collect();
    let matches = |identity: &Identity| {
        identity.issuer.matches(issuer)
            && subjects
                .iter()
                .any(|subject| identity.subject.matches(subject))
            && identity
                .extensions
                .iter()
                .all(|(extension, value)| leaf.fulcio().get(*extension) == Some(value.as_str()))
    };
    let found = format!("identity {} of issuer {issuer:?}", quoted(&subjects));
    for (index, signer) in signers.iter().enumerate() {
        if let Signer::Identity(identity) = signer
            && matches(identity)
        {
            return Ok((index, found));
        }
    }
    let wanted: Vec<_> = signers.iter().map(ToString::to_string).collect();
    let mut found = found;
    for signer in signers {
        let Signer::Identity(identity) = signer else {
            continue;
        };
        for (extension, value) in &identity.extensions {
            let actual = leaf.fulcio().get(*extension);
            if actual != Some(value.as_str()) {
                found.push_str(&format!(", with {} {actual:?}", extension.label()));
            }
        }
    }
    Err(Failure::new(wanted.join(" or "), found))
}

fn quoted(list: &[String]) -> String {
    list.iter()
        .map(|text| format!("{text:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}
