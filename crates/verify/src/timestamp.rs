//! Timestamp authorities: when did one that is trusted see this signature?

use std::collections::BTreeSet;

use sealmark_x509::TimestampToken;

use crate::log::time_text;
use crate::report::Sighting;
use crate::signed::Signed;
use crate::trust::TrustedMaterial;

/// What the good timestamps of an attachment prove.
#[derive(Debug, Default)]
pub(crate) struct Proven {
    /// For people: which authority, which time.
    pub(crate) evidence: Vec<String>,
    /// The same for programs.
    pub(crate) seen: Vec<Sighting>,
    /// The times, in seconds since 1970.
    pub(crate) times: Vec<i64>,
    /// Why other timestamps do not count.
    pub(crate) rejected: Vec<String>,
}

/// Checks every timestamp. Each authority counts once, however many timestamps it gave and however often it is listed;
/// every time that it gave is proven.
pub(crate) fn check(signed: &Signed<'_>, trust: &TrustedMaterial, now: i64) -> Proven {
    let mut proven = Proven::default();
    let mut counted = BTreeSet::new();
    for response in &signed.timestamps {
        match one(response, &signed.signature, trust, now) {
            Ok(Stamp { uri, key, time }) => {
                proven.times.push(time);
                if !counted.insert(key) {
                    proven.rejected.push(format!("another timestamp by {uri}"));
                    continue;
                }
                proven
                    .evidence
                    .push(format!("{} by {uri}", time_text(time)));
                proven.seen.push(Sighting {
                    by: uri.to_owned(),
                    log_index: None,
                    time: Some(time_text(time)),
                    log_id: None,
                    seconds: Some(time),
                });
            }
            Err(reason) => proven.rejected.push(reason),
        }
    }
    proven
}

/// What a good token says, and who signed it.
struct Stamp<'a> {
    uri: &'a str,
    /// The authority's key: it is one authority wherever it is listed.
    key: Vec<u8>,
    time: i64,
}

/// A token is good only within the time of the authority that signed it, and not before it was made.
fn one<'a>(
    response: &[u8],
    over: &[u8],
    trust: &'a TrustedMaterial,
    now: i64,
) -> Result<Stamp<'a>, String> {
    let token = TimestampToken::parse(response).map_err(|error| error.to_string())?;
    let mut reason = "no timestamp authority is trusted".to_owned();
    for authority in &trust.timestamp_authorities {
        match token.verify(over, &authority.chain) {
            Ok(verified) => {
                let time = i64::try_from(verified.unix_seconds).unwrap_or(i64::MAX);
                if time > now {
                    return Err(format!("the time {} is in the future", time_text(time)));
                }
                if authority.valid_for.contains_seconds(time) {
                    return Ok(Stamp {
                        uri: &authority.uri,
                        key: verified.signer.spki_der().to_vec(),
                        time,
                    });
                }
                reason = format!(
                    "the time {} is outside of the time for which {} is trusted",
                    time_text(time),
                    authority.uri
                );
            }
            Err(error) => reason = format!("timestamp: {error}"),
        }
    }
    Err(reason)
}
