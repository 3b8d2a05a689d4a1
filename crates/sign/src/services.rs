//! Which services a signature is made with: a CA, an identity provider, logs, timestamp authorities.
//!
//! They are those of a signing configuration, chosen by the rules that all of Sigstore's clients follow
//! ([`sealmark_formats::signing_config::select`]), or those that the user named.

use jiff::Timestamp;
use sealmark_formats::SigningConfig;

use crate::Error;

/// The versions of Fulcio's, the providers' and the timestamp authorities' interfaces that are spoken here.
const VERSION_1: &[u32] = &[1];
/// The versions of Rekor's interface that are spoken here.
const REKOR_VERSIONS: &[u32] = &[1, 2];

/// The services.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Services {
    /// The certificate authority (Fulcio).
    pub ca: Option<String>,
    /// The identity provider (OpenID Connect) that a person logs in at.
    pub issuer: Option<String>,
    /// Transparency logs; each must have the signature.
    pub logs: Vec<LogService>,
    /// Timestamp authorities, with their paths; each must have seen the signature.
    pub timestamp_authorities: Vec<String>,
}

/// A transparency log (Rekor).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogService {
    /// Where it is.
    pub url: String,
    /// The version of its interface; if nobody says, the log itself is asked.
    pub version: Option<u32>,
}

impl Services {
    /// The services of a signing configuration at `now`.
    ///
    /// # Errors
    /// [`Error::Select`] if it names services of a kind and none of them, or fewer than demanded, can be used.
    pub fn from_config(config: &SigningConfig, now: Timestamp) -> Result<Self, Error> {
        let logs = config.rekor(now, REKOR_VERSIONS)?;
        let stamps = config.tsa(now, VERSION_1)?;
        Ok(Self {
            ca: config.ca(now, VERSION_1)?.map(|it| it.url.clone()),
            issuer: config.oidc(now, VERSION_1)?.map(|it| it.url.clone()),
            logs: logs
                .into_iter()
                .map(|it| LogService {
                    url: it.url.clone(),
                    version: Some(it.major_api_version),
                })
                .collect(),
            timestamp_authorities: stamps.into_iter().map(|it| it.url.clone()).collect(),
        })
    }

    /// Whether a signature is to be proven to others than its signer.
    pub fn have_witnesses(&self) -> bool {
        !self.logs.is_empty() || !self.timestamp_authorities.is_empty()
    }

    /// Checks that a certificate that is valid for minutes can be used with these: somebody must say when the signature
    /// was made. Gives the CA.
    ///
    /// # Errors
    /// [`Error::Services`].
    pub fn for_certificates(&self) -> Result<&str, Error> {
        let missing = |what: &str| Err(Error::Services(what.to_owned()));
        let Some(ca) = &self.ca else {
            return missing(
                "without --key a certificate authority is needed, and none is named: give a --signing-config that names \
                 one, --fulcio-url, or run `sealmark initialize` with an instance that has one",
            );
        };
        if !self.timestamp_authorities.is_empty() {
            return Ok(ca);
        }
        match self.logs.as_slice() {
            [] => missing(
                "a certificate for an identity is valid for minutes, so somebody else must say when the signature was \
                 made, and no transparency log or timestamp authority is named: give a --signing-config that names one, \
                 --rekor-url or --timestamp-server-url",
            ),
            logs if logs.iter().all(|log| log.version == Some(2)) => missing(
                "logs of version 2 do not say when a signature was made, and a certificate for an identity is valid for \
                 minutes: a timestamp authority is needed (--timestamp-server-url, or in the signing configuration)",
            ),
            _ => Ok(ca),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> SigningConfig {
        let json = format!(
            r#"{{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",{json}}}"#
        );
        SigningConfig::parse(json.as_bytes()).unwrap()
    }

    fn now() -> Timestamp {
        "2026-06-01T00:00:00Z".parse().unwrap()
    }

    const LOGS: &str = r#""rekorTlogUrls":[
        {"url":"https://old.example","majorApiVersion":1,"operator":"a","validFor":{"start":"2020-01-01T00:00:00Z"}},
        {"url":"https://new.example","majorApiVersion":2,"operator":"a","validFor":{"start":"2026-01-01T00:00:00Z"}},
        {"url":"https://later.example","majorApiVersion":2,"operator":"b","validFor":{"start":"2027-01-01T00:00:00Z"}}],
        "rekorTlogConfig":{"selector":"ANY"}"#;

    #[test]
    fn the_newest_version_that_counts_now_is_chosen() {
        let services = Services::from_config(&config(LOGS), now()).unwrap();
        let log = LogService {
            url: "https://new.example".to_owned(),
            version: Some(2),
        };
        assert_eq!(services.logs, [log]);
        assert!(services.have_witnesses());
    }

    #[test]
    fn a_certificate_needs_a_ca_and_somebody_who_tells_the_time() {
        let ca = r#""caUrls":[{"url":"https://ca.example","majorApiVersion":1,"validFor":{"start":"2020-01-01T00:00:00Z"}}]"#;
        let tsa = r#""tsaUrls":[{"url":"https://tsa.example/x","majorApiVersion":1,"validFor":{"start":"2020-01-01T00:00:00Z"}}],"tsaConfig":{"selector":"ALL"}"#;
        for (json, wrong) in [
            (LOGS.to_owned(), Some("a certificate authority is needed")),
            (ca.to_owned(), Some("no transparency log or timestamp")),
            (
                format!("{ca},{LOGS}"),
                Some("a timestamp authority is needed"),
            ),
            (format!("{ca},{tsa}"), None),
            (format!("{ca},{tsa},{LOGS}"), None),
        ] {
            let services = Services::from_config(&config(&json), now()).unwrap();
            match (services.for_certificates(), wrong) {
                (Ok(url), None) => assert_eq!(url, "https://ca.example"),
                (Err(error), Some(part)) => {
                    assert!(error.to_string().contains(part), "{error}");
                }
                other => panic!("{json}: {other:?}"),
            }
        }
    }
}
