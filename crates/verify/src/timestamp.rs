//! Timestamp authorities: when did one that is trusted see this signature?

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

/// Checks every timestamp. Each authority counts once, however many timestamps it gave.
pub(crate) fn check(signed: &Signed, trust: &TrustedMaterial) -> Proven {
    let mut proven = Proven::default();
    let mut counted = Vec::new();
    for response in &signed.timestamps {
        match one(response, &signed.signature, trust) {
            Ok((index, _)) if counted.contains(&index) => {
                let uri = &trust.timestamp_authorities[index].uri;
                proven.rejected.push(format!("another timestamp by {uri}"));
            }
            Ok((index, time)) => {
                counted.push(index);
                let uri = &trust.timestamp_authorities[index].uri;
                proven
                    .evidence
                    .push(format!("{} by {uri}", time_text(time)));
                proven.seen.push(Sighting {
                    by: uri.clone(),
                    log_index: None,
                    time: Some(time_text(time)),
                });
                proven.times.push(time);
            }
            Err(reason) => proven.rejected.push(reason),
        }
    }
    proven
}

/// The authority that signed, and the time. A token is good only within the time of the authority that signed it.
fn one(response: &[u8], over: &[u8], trust: &TrustedMaterial) -> Result<(usize, i64), String> {
    let token = TimestampToken::parse(response).map_err(|error| error.to_string())?;
    let mut reason = "no timestamp authority is trusted".to_owned();
    for (index, authority) in trust.timestamp_authorities.iter().enumerate() {
        match token.verify(over, &authority.chain) {
            Ok(verified) => {
                let time = i64::try_from(verified.unix_seconds).unwrap_or(i64::MAX);
                if authority.valid_for.contains_seconds(time) {
                    return Ok((index, time));
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
