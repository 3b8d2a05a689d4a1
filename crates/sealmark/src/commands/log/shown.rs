//! An entry as it is printed: with rekor-cli's names for what rekor-cli prints, too.

use sealmark_formats::bundle::LogEntry;
use sealmark_formats::log_entry::{EntryBody, Verifier};
use sealmark_keys::PublicKey;
use sealmark_rekor::Entry;
use sealmark_x509::Certificate;
use serde_json::{Map, Value, json};

use super::Format;
use crate::error::Error;
use crate::printable::printable;
use crate::terminal::Terminal;

/// Prints an entry of the log at `url`.
pub(super) fn entry(
    entry: &Entry,
    url: &str,
    format: Format,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    match format {
        Format::Tle => {
            terminal.bytes(&entry.log_entry.to_json())?;
            terminal.bytes(b"\n")
        }
        Format::Json => terminal.json(&json(entry)),
        Format::Default => text(entry, url, terminal),
    }
}

fn text(entry: &Entry, url: &str, terminal: &mut Terminal) -> Result<(), Error> {
    let log = &entry.log_entry;
    terminal.line(format!("Log: {}", printable(url)))?;
    terminal.line(format!("LogID: {}", hex(&log.log_id)))?;
    terminal.line(format!("Index: {}", log.log_index))?;
    if let Some(time) = time(log) {
        terminal.line(format!("IntegratedTime: {time}"))?;
    }
    terminal.line(format!("UUID: {}", entry.id))?;
    terminal.line(format!("Kind: {} {}", log.kind, log.kind_version))?;
    for signer in signers(log) {
        terminal.line(format!("SignedBy: {}", printable(&signer)))?;
    }
    terminal.line(format!("Verified: {}", proofs(entry).join(", ")))?;
    if entry.attestation.is_some() {
        terminal.note("the server has an attestation beside the entry, which nothing proves; --output json shows it");
    }
    let body = serde_json::to_string_pretty(&body(log)).unwrap_or_default();
    terminal.line(format!("Body: {body}"))
}

/// What rekor-cli prints with `--format json`, and under `Verified` what was proven.
pub(super) fn json(entry: &Entry) -> Value {
    let log = &entry.log_entry;
    let mut shown = Map::new();
    let attestation = entry.attestation.as_deref().map(String::from_utf8_lossy);
    shown.insert("Attestation".into(), attestation.unwrap_or_default().into());
    shown.insert("AttestationType".into(), "".into());
    shown.insert("Body".into(), body(log));
    shown.insert("LogIndex".into(), log.log_index.into());
    shown.insert("IntegratedTime".into(), log.integrated_time.into());
    shown.insert("UUID".into(), entry.id.to_string().into());
    shown.insert("LogID".into(), hex(&log.log_id).into());
    shown.insert("Kind".into(), log.kind.as_str().into());
    shown.insert("KindVersion".into(), log.kind_version.as_str().into());
    shown.insert("SignedBy".into(), signers(log).into());
    shown.insert(
        "Verified".into(),
        json!({
            "signedEntryTimestamp": log.inclusion_promise.is_some(),
            "treeSize": entry.checkpoint.size,
            "rootHash": entry.checkpoint.root.to_string(),
            "origin": entry.checkpoint.origin,
        }),
    );
    Value::Object(shown)
}

/// What was proven of an entry.
pub(super) fn proofs(entry: &Entry) -> Vec<String> {
    let mut proofs = Vec::new();
    if entry.log_entry.inclusion_promise.is_some() {
        proofs.push("signed entry timestamp".to_owned());
    }
    proofs.push(format!(
        "inclusion in the signed tree of {} of {:?}",
        entries(entry.checkpoint.size),
        printable(&entry.checkpoint.origin)
    ));
    proofs
}

/// A number of entries, for people.
pub(super) fn entries(count: u64) -> String {
    match count {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    }
}

/// The time that the log gives, which a Rekor v2 does not.
pub(super) fn time(entry: &LogEntry) -> Option<String> {
    if entry.integrated_time == 0 {
        return None;
    }
    let time = jiff::Timestamp::from_second(entry.integrated_time);
    Some(time.map_or_else(|_| entry.integrated_time.to_string(), |t| t.to_string()))
}

/// The specification of the entry, under the name that rekor-cli gives it.
fn body(entry: &LogEntry) -> Value {
    let name = match entry.kind.as_str() {
        "hashedrekord" => "HashedRekordObj",
        "rekord" => "RekordObj",
        "dsse" => "DSSEObj",
        "intoto" => "IntotoObj",
        "helm" => "HelmObj",
        "tuf" => "TufObj",
        "rpm" => "RPMModel",
        "alpine" => "AlpineModel",
        "jar" => "JARModel",
        "cose" => "CoseObj",
        "rfc3161" => "Rfc3161Obj",
        other => other,
    };
    let body: Value = serde_json::from_slice(&entry.canonicalized_body).unwrap_or_default();
    // The specification in Rekor v2 has its own name, which stays.
    match entry.kind_version.as_str() {
        "0.0.2" if entry.kind != "intoto" => body["spec"].clone(),
        _ => json!({ name: body["spec"] }),
    }
}

/// Who signed, by what the log has recorded: an identity, or a key.
pub(super) fn signers(entry: &LogEntry) -> Vec<String> {
    let Ok(EntryBody::Claims(claims)) = EntryBody::parse(&entry.canonicalized_body) else {
        return Vec::new();
    };
    let signatures = claims.signatures.iter();
    signatures
        .map(|signature| match &signature.verifier {
            Verifier::Certificate(der) => match Certificate::from_der(der) {
                Ok(certificate) => identity(&certificate),
                Err(error) => format!("a certificate that cannot be read: {error}"),
            },
            Verifier::PublicKey(der) => match PublicKey::from_spki_der(der) {
                Ok(key) => format!("the key {} ({})", key.id(), key.algorithm_name()),
                Err(error) => format!("a key that cannot be read: {error}"),
            },
            Verifier::Other { format, .. } => format.to_string(),
        })
        .collect()
}

fn identity(certificate: &Certificate) -> String {
    let names: Vec<String> = certificate
        .subject_alt_names()
        .iter()
        .map(|name| name.value())
        .collect();
    let names = match names.as_slice() {
        [] => certificate.subject(),
        names => names.join(", "),
    };
    // The certificate is as the log recorded it; no authority was asked.
    match certificate.fulcio().issuer() {
        Some(issuer) => {
            format!("{names}, known to {issuer} (by its certificate, whose issuer was not checked)")
        }
        None => format!("{names} (by its certificate, whose issuer was not checked)"),
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
