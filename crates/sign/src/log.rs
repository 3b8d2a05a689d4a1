//! The transparency log: a signature in, a proven entry out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sealmark_formats::bundle::LogEntry;
use sealmark_formats::legacy::{RekorBundle, RekorPayload};
use sealmark_formats::{Digest, Hasher, dsse};
use sealmark_keys::{KeyType, PublicKey};
use sealmark_rekor::proposal::{self, Files, Kind};
use sealmark_rekor::{Http, LogKey, v1, v2};
use sealmark_tlog::note::KeyKind;
use sealmark_verify::TrustedMaterial;
use sealmark_verify::trust::Log;

use crate::Error;
use crate::services::LogService;
use sealmark_http::Options;

/// Logs of version 1 that take nothing larger than 8 MiB, as the one here, take envelopes up to this size: in the request
/// they are quoted once more. Logs of version 2 get digests only.
pub(crate) const SURELY_TAKEN: usize = 6 << 20;
/// Rekor v1 has no limit of its own, but proxies before it give up somewhere above (its issue 2915): nothing larger is sent.
pub(crate) const TRIED: usize = 32 << 20;

/// The bytes of an envelope around a statement of so many.
pub(crate) fn envelope_size(statement: usize) -> usize {
    statement.div_ceil(3) * 4
}

/// What was signed, and the signature.
#[derive(Clone, Copy)]
pub(crate) enum Signed<'a> {
    /// Data, of which logs get the digest.
    Data {
        digest: &'a Digest,
        signature: &'a [u8],
        key: KeyType,
    },
    /// An envelope with one signature.
    Envelope {
        envelope: &'a dsse::Envelope,
        signature: &'a [u8],
        key: &'a PublicKey,
    },
}

impl<'a> Signed<'a> {
    pub(crate) fn signature(&self) -> &'a [u8] {
        match self {
            Self::Data { signature, .. } | Self::Envelope { signature, .. } => signature,
        }
    }

    /// The entry as `sealmark log upload` would make it.
    fn proposal(&self, verifier_pem: &str) -> Result<(Kind, Files), Error> {
        let public_keys = vec![verifier_pem.as_bytes().to_vec()];
        let (name, files) = match self {
            Self::Data {
                key: KeyType::Ed25519,
                ..
            } => {
                return Err(Error::Services(
                    "a log takes digests of what was signed, and a signature by an Ed25519 key is not over one: sign with \
                     another key, or without a log (--tlog-upload=false)"
                        .to_owned(),
                ));
            }
            Self::Data {
                digest, signature, ..
            } => {
                let files = Files {
                    digest: Some((*digest).clone()),
                    signature: Some(STANDARD.encode(signature).into_bytes()),
                    public_keys,
                    ..Files::default()
                };
                ("hashedrekord", files)
            }
            Self::Envelope { envelope, .. } => {
                let json =
                    serde_json::to_vec(envelope).expect("bytes and texts can be written as JSON");
                let files = Files {
                    artifact: Some(json),
                    public_keys,
                    ..Files::default()
                };
                ("dsse", files)
            }
        };
        let kind = name.parse().map_err(Error::Services)?;
        Ok((kind, files))
    }
}

/// Sends a signature to a log, which must prove that it has it now. A signature that is there already is found there. Of an
/// envelope that is too large for the log the entry is that of a log of version 2: over the digest of what is signed.
pub(crate) async fn upload(
    log: &LogService,
    signed: Signed<'_>,
    verifier_pem: &str,
    trust: &TrustedMaterial,
    options: &Options,
) -> Result<LogEntry, Error> {
    let Signed::Envelope {
        envelope,
        signature,
        key,
    } = signed
    else {
        return send(log, signed, verifier_pem, trust, options).await;
    };
    let size = envelope_size(envelope.payload.len());
    if size <= TRIED {
        let sent = send(log, signed, verifier_pem, trust, options).await;
        // A log or a proxy that does not take as much says so in one way or another, or hangs up.
        if sent.is_ok() || size <= SURELY_TAKEN || key.key_type() == KeyType::Ed25519 {
            return sent;
        }
    }
    let mut hasher = Hasher::new(key.hash());
    let header = dsse::pae_header(&envelope.payload_type, envelope.payload.len());
    hasher.update(&header);
    hasher.update(&envelope.payload);
    let by_digest = Signed::Data {
        digest: &hasher.finish(),
        signature,
        key: key.key_type(),
    };
    send(log, by_digest, verifier_pem, trust, options).await
}

async fn send(
    log: &LogService,
    signed: Signed<'_>,
    verifier_pem: &str,
    trust: &TrustedMaterial,
    options: &Options,
) -> Result<LogEntry, Error> {
    let (kind, files) = signed.proposal(verifier_pem)?;
    let note = options.on_request.clone();
    let on_request: Option<sealmark_rekor::RequestCallback> = note.map(|note| {
        let call = move |request: &sealmark_rekor::RequestLog| {
            let status = request
                .status
                .map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            note(&format!(
                "{} {} {status} {} ms",
                request.method, request.url, request.millis
            ));
        };
        std::sync::Arc::new(call) as sealmark_rekor::RequestCallback
    });
    let options = sealmark_rekor::Options {
        timeout: options.timeout,
        on_request,
        ..sealmark_rekor::Options::default()
    };
    let http = Http::new(&log.url, options)?;
    let version = match log.version {
        Some(version) => version,
        None => sealmark_rekor::version_of(&http).await?,
    };
    let uploaded = match version {
        1 => {
            let proposed = proposal::v1(&kind, &files)?;
            let leaf = proposal::leaf_of(&proposed)?;
            let keys = trust.logs.iter().map(|log| LogKey {
                key: log.key.clone(),
                valid_for: log.valid_for,
            });
            let keys: Vec<LogKey> = keys.collect();
            if keys.is_empty() {
                return Err(unknown(&http));
            }
            let client = v1::Client::new(http, keys);
            client.upload(&proposed, leaf.as_deref()).await?
        }
        _ => {
            let request = proposal::v2(&kind, &files)?;
            let key = v2_key(&http, &trust.logs).ok_or_else(|| unknown(&http))?;
            let origin = http.host().to_owned();
            v2::Client::new(http, origin, key).upload(request).await?
        }
    };
    Ok(uploaded.entry.log_entry)
}

/// The key of a log of version 2: the newest that counts now, of those that are called as the log at this host. A key that
/// the host's name is part of goes before one that is the same under every name, as those of version 1 are: the log of
/// version 1 at the same host may have the newer key.
fn v2_key(http: &Http, logs: &[Log]) -> Option<PublicKey> {
    let host = http.host();
    let is_called_so = |log: &&Log| {
        let mut kinds = KeyKind::of(&log.key).iter();
        kinds
            .next()
            .is_some_and(|kind| log.id == kind.key_hash(host, &log.key).bytes())
    };
    let now = Timestamp::now();
    let known = logs.iter().filter(is_called_so);
    let newest = known.max_by_key(|log| {
        let is_named = log.id != log.key.id().bytes();
        (log.valid_for.contains(now), is_named, log.valid_for.start)
    });
    newest.map(|log| log.key.clone())
}

fn unknown(http: &Http) -> Error {
    Error::Services(format!(
        "the key of the log {} is not known, so nobody could tell whether it has the signature: give a --trusted-root \
         that names this log",
        http.shown()
    ))
}

/// The log's promise as cosign 1 and 2 keep it; a log of version 2 gives none.
pub fn promise_of(entry: &LogEntry) -> Option<RekorBundle> {
    Some(RekorBundle {
        signed_entry_timestamp: entry.inclusion_promise.clone()?,
        payload: RekorPayload {
            body: entry.canonicalized_body.clone(),
            integrated_time: entry.integrated_time,
            log_index: i64::try_from(entry.log_index).ok()?,
            log_id: hex::encode(&entry.log_id),
        },
    })
}
