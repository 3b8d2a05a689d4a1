//! The signer's certificate: is it by a trusted authority, valid when the signature was made, promised to a CT log, and
//! for an identity that the policy names?

use std::collections::BTreeSet;

use sealmark_keys::PublicKey;
use sealmark_x509::{
    Certificate, Chain, Purpose, SctError, SignedCertificateTimestamp, verify_chain,
    verify_detached_sct, verify_embedded_sct,
};

use crate::checks::Failure;
use crate::log::time_text;
use crate::policy::{Identity, Signer};
use crate::trust::{Authority, Log, TrustedMaterial};

/// Certificates of an attachment beyond these are not tried: path building costs the product of all names.
const MAX_INTERMEDIATES: usize = 8;

/// The certificate must be valid at every one of `times`; gives the certificate that issued it.
pub(crate) fn chain<'a>(
    leaf: &'a Certificate,
    others: &'a [Certificate],
    times: &[i64],
    trust: &'a TrustedMaterial,
) -> Result<Certificate, Failure> {
    let mut issued: Option<Issued<'a>> = None;
    for time in times {
        // The signatures of a path need no second check because of another time.
        if !issued.as_ref().is_some_and(|path| path.holds_at(*time)) {
            issued = Some(chain_at(leaf, others, *time, trust)?);
        }
    }
    issued
        .map(|path| path.chain.issuer().clone())
        .ok_or_else(|| {
            Failure::new(
                "a time at which the signature was made, proven by a log or a timestamp authority",
                "none",
            )
        })
}

/// A path from the signer's certificate to an authority.
struct Issued<'a> {
    authority: &'a Authority,
    chain: Chain<'a>,
}

impl Issued<'_> {
    fn holds_at(&self, time: i64) -> bool {
        self.authority.valid_for.contains_seconds(time)
            && u64::try_from(time).is_ok_and(|at| self.chain.is_valid_at(at))
    }
}

fn chain_at<'a>(
    leaf: &'a Certificate,
    others: &'a [Certificate],
    time: i64,
    trust: &'a TrustedMaterial,
) -> Result<Issued<'a>, Failure> {
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
        let between = match intermediates {
            [] => &others[..others.len().min(MAX_INTERMEDIATES)],
            listed => listed,
        };
        let roots = core::slice::from_ref(root);
        match verify_chain(leaf, between, roots, at, Purpose::CodeSigning) {
            Ok(chain) => return Ok(Issued { authority, chain }),
            Err(error) => found = error.to_string(),
        }
    }
    Err(Failure::new(expected(), found))
}

/// So many trusted CT logs must have promised to log the certificate, in it or in `detached`.
pub(crate) fn sct(
    leaf: &Certificate,
    issuer: &Certificate,
    detached: Option<&SignedCertificateTimestamp>,
    needed: usize,
    trust: &TrustedMaterial,
) -> Result<String, Failure> {
    let embedded = leaf.signed_certificate_timestamps();
    let mut logs = BTreeSet::new();
    let mut good = Vec::new();
    let mut rejected = Vec::new();
    let all = embedded.iter().map(|sct| (sct, true));
    for (sct, is_embedded) in all.chain(detached.map(|sct| (sct, false))) {
        let promise = promised(sct, trust, |log_key| match is_embedded {
            true => verify_embedded_sct(leaf, issuer, sct, log_key),
            false => verify_detached_sct(leaf, sct, log_key),
        });
        match promise {
            Ok((log, text)) if logs.insert(log.key.spki_der()) => good.push(text),
            Ok((_, text)) => rejected.push(format!("another promise: {text}")),
            Err(reason) => rejected.push(reason),
        }
    }
    if good.len() >= needed {
        return Ok(good.join(", "));
    }
    good.extend(rejected);
    Err(Failure::new(
        match needed {
            1 => "a promise of a trusted CT log (SCT) in the certificate".to_owned(),
            several => format!("promises of {several} trusted CT logs (SCT) in the certificate"),
        },
        match good.is_empty() {
            true => "no SCT".to_owned(),
            false => good.join("; "),
        },
    ))
}

/// The log that made this promise, and the promise for people.
fn promised<'a>(
    sct: &SignedCertificateTimestamp,
    trust: &'a TrustedMaterial,
    verify: impl Fn(&PublicKey) -> Result<(), SctError>,
) -> Result<(&'a Log, String), String> {
    // Milliseconds since 1970.
    let seconds = i64::try_from(sct.timestamp / 1000).unwrap_or(i64::MAX);
    let mut reason = "an SCT of a log that is not trusted".to_owned();
    for log in trust
        .ct_logs
        .iter()
        .filter(|log| log.id == *sct.log_id.as_slice())
    {
        if !log.valid_for.contains_seconds(seconds) {
            reason = format!("an SCT of {} from outside of its time", log.url);
            continue;
        }
        match verify(&log.key) {
            Ok(()) => return Ok((log, format!("{} at {}", log.url, time_text(seconds)))),
            Err(error) => reason = format!("{}: {error}", log.url),
        }
    }
    Err(reason)
}

/// The indexes of the signers that the certificate is for, and the identity for people.
pub(crate) fn identity(
    leaf: &Certificate,
    signers: &[Signer],
) -> Result<(Vec<usize>, String), Failure> {
    let issuer = leaf.fulcio().issuer().unwrap_or_default();
    let subjects = subjects(leaf);
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
    let found = describe(leaf);
    let indexes: Vec<usize> = signers
        .iter()
        .enumerate()
        .filter(|(_, signer)| matches!(signer, Signer::Identity(identity) if matches(identity)))
        .map(|(index, _)| index)
        .collect();
    if !indexes.is_empty() {
        return Ok((indexes, found));
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
                let actual = actual.map_or_else(|| "none".to_owned(), |text| format!("{text:?}"));
                found.push_str(&format!(", with {} {actual}", extension.label()));
            }
        }
    }
    Err(Failure::new(wanted.join(" or "), found))
}

/// The identity that a certificate is for, for people.
pub(crate) fn describe(leaf: &Certificate) -> String {
    let issuer = leaf.fulcio().issuer().unwrap_or_default();
    format!("identity {} of issuer {issuer:?}", quoted(&subjects(leaf)))
}

fn subjects(leaf: &Certificate) -> Vec<String> {
    leaf.subject_alt_names()
        .iter()
        .map(|name| name.value().to_string())
        .collect()
}

fn quoted(list: &[String]) -> String {
    list.iter()
        .map(|text| format!("{text:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}
