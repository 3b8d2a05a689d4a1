//! The file that says what to look for, in the form of rekor-monitor's, so that its files can be used.
//!
//! Form: <https://github.com/sigstore/rekor-monitor#configuration-file-format>. The meaning is the same: subjects and
//! issuers are patterns that may be found anywhere in the text, values of extensions are compared as they are, and one
//! thing that fits is enough. What is not known is an error, with its line. What says how rekor-monitor tells of its
//! findings has no meaning here; [`Config::unused`] names it.

use std::path::PathBuf;

use sealmark_formats::log_entry::MAX_BODY;
use sealmark_verify::policy::Match;
use sealmark_x509::FulcioExtension;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::watch::{Condition, fingerprint};

/// A larger file is refused, in bytes.
pub const MAX_CONFIG: usize = MAX_BODY;

/// What a file asks for.
#[derive(Debug, Default)]
pub struct Config {
    /// What to look for.
    pub conditions: Vec<Condition>,
    /// The first index to read.
    pub start: Option<u64>,
    /// The last index to read.
    pub end: Option<u64>,
    /// Where rekor-monitor would keep the last checkpoint.
    pub log_info_file: Option<PathBuf>,
    /// What the file says that has no meaning here, and what to do instead.
    pub unused: Vec<&'static str>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    ///
    /// ```
    /// let config = sealmark_rekor::monitor::Config::parse(r#"
    /// monitoredValues:
    ///   certIdentities:
    ///     - certSubject: user@example\.com
    ///       issuers: [https://accounts\.example\.com]
    /// "#)?;
    /// assert_eq!(
    ///     config.conditions[0].to_string(),
    ///     r"identity /user@example\.com/ of issuer /https://accounts\.example\.com/",
    /// );
    /// # Ok::<(), String>(())
    /// ```
    pub fn parse(yaml: &str) -> Result<Self, String> {
        if yaml.len() > MAX_CONFIG {
            return Err(format!(
                "it has {} bytes, at most {MAX_CONFIG} are allowed",
                yaml.len()
            ));
        }
        let file: File = serde_saphyr::from_str(yaml)
            .map_err(|cause| sealmark_formats::excerpt(cause.to_string()))?;
        file.read()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    #[serde(default)]
    start_index: Option<u64>,
    #[serde(default)]
    end_index: Option<u64>,
    #[serde(default)]
    monitored_values: Option<Values>,
    #[serde(default)]
    log_info_file: Option<PathBuf>,
    #[serde(default)]
    output_identities: Option<IgnoredAny>,
    #[serde(default)]
    output_identities_format: Option<IgnoredAny>,
    #[serde(default)]
    identity_metadata_file: Option<IgnoredAny>,
    #[serde(default)]
    github_issue: Option<IgnoredAny>,
    #[serde(default, rename = "emailNotificationSMTP")]
    email_smtp: Option<IgnoredAny>,
    #[serde(default)]
    email_notification_mailgun: Option<IgnoredAny>,
    #[serde(default)]
    email_notification_send_grid: Option<IgnoredAny>,
    #[serde(default, rename = "trustedCAs")]
    trusted_cas: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Values {
    #[serde(default)]
    cert_identities: Option<Vec<CertIdentity>>,
    #[serde(default)]
    fingerprints: Option<Vec<Checked<Fingerprint>>>,
    #[serde(default)]
    subjects: Option<Vec<Checked<Pattern>>>,
    #[serde(default)]
    oid_matchers: Option<OidMatchers>,
    #[serde(default)]
    fulcio_extensions: Option<FulcioExtensions>,
    #[serde(default)]
    custom_extensions: Option<Vec<OidMatcher>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CertIdentity {
    cert_subject: Checked<Pattern>,
    #[serde(default)]
    issuers: Option<Vec<Checked<Pattern>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OidMatcher {
    object_identifier: Checked<Oid>,
    extension_values: Texts,
}

impl File {
    fn read(self) -> Result<Config, String> {
        let given = [
            (
                self.output_identities.is_some() || self.output_identities_format.is_some(),
                "outputIdentities: what is found is printed; see --output json and --output-file",
            ),
            (
                self.identity_metadata_file.is_some(),
                "identityMetadataFile: the next index is kept in the state file",
            ),
            (
                self.github_issue.is_some()
                    || self.email_smtp.is_some()
                    || self.email_notification_mailgun.is_some()
                    || self.email_notification_send_grid.is_some(),
                "githubIssue, emailNotification…: --exec starts a program for each finding",
            ),
            (
                self.trusted_cas.is_some(),
                "trustedCAs: certificates of every authority are reported",
            ),
        ];
        let unused = given.into_iter().filter(|(given, _)| *given);
        Ok(Config {
            conditions: self.monitored_values.unwrap_or_default().conditions(),
            start: self.start_index,
            end: self.end_index,
            log_info_file: self.log_info_file,
            unused: unused.map(|(_, what)| what).collect(),
        })
    }
}

impl Values {
    fn conditions(self) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for identity in self.cert_identities.into_iter().flatten() {
            let issuers = identity.issuers.into_iter().flatten();
            conditions.push(Condition::Certificate {
                subject: Some(identity.cert_subject.0.0),
                issuers: issuers.map(|issuer| issuer.0.0).collect(),
            });
        }
        for subject in self.subjects.into_iter().flatten() {
            conditions.push(Condition::Subject(subject.0.0));
        }
        for fingerprint in self.fingerprints.into_iter().flatten() {
            conditions.push(Condition::Key {
                fingerprint: fingerprint.0.0,
                spki: None,
            });
        }
        let matchers = self.oid_matchers.unwrap_or_default();
        let custom = matchers.list.into_iter();
        for matcher in custom.chain(self.custom_extensions.into_iter().flatten()) {
            conditions.push(Condition::Extension {
                oid: matcher.object_identifier.0.0,
                values: matcher.extension_values.0,
            });
        }
        let fulcio = [matchers.fulcio, self.fulcio_extensions];
        for (extension, values) in fulcio.into_iter().flatten().flat_map(|list| list.0) {
            conditions.push(Condition::Extension {
                oid: extension.oid(),
                values,
            });
        }
        conditions
    }
}

/// A text that is checked while the file is read, so that an error has its line.
struct Checked<T>(T);

trait FromText: Sized {
    fn from_text(text: String) -> Result<Self, String>;
}

impl<'de, T: FromText> Deserialize<'de> for Checked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::from_text(text).map(Self).map_err(D::Error::custom)
    }
}

struct Pattern(Match);

impl FromText for Pattern {
    fn from_text(text: String) -> Result<Self, String> {
        let pattern = Match::pattern(&text);
        pattern
            .map(Self)
            .map_err(|cause| format!("{text:?} is no pattern: {cause}"))
    }
}

struct Fingerprint(String);

impl FromText for Fingerprint {
    fn from_text(text: String) -> Result<Self, String> {
        fingerprint(&text).map(Self)
    }
}

/// An object identifier: a text with dots, or a list of numbers.
struct Oid(String);

impl FromText for Oid {
    fn from_text(text: String) -> Result<Self, String> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits && (part == "0" || !part.starts_with('0'))
        };
        match text.contains('.') && text.split('.').all(number) {
            true => Ok(Self(text)),
            false => Err(format!(
                "{text:?} is no object identifier, like 1.3.6.1.4.1.57264.1.9"
            )),
        }
    }
}

/// Checks an object identifier that was given as a flag.
///
/// # Errors
/// If it is not numbers with dots between them.
pub fn object_identifier(text: &str) -> Result<String, String> {
    Oid::from_text(text.to_owned()).map(|oid| oid.0)
}

/// One text or several.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Texts;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

/// `oidMatchers`: a list of object identifiers with values, or the three lists under their names.
#[derive(Default)]
struct OidMatchers {
    list: Vec<OidMatcher>,
    fulcio: Option<FulcioExtensions>,
}

impl<'de> Deserialize<'de> for OidMatchers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrNames;
        impl<'de> Visitor<'de> for ListOrNames {
            type Value = OidMatchers;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(
                    "a list of {objectIdentifier, extensionValues}, or {oidExtensions, fulcioExtensions, \
                     customExtensions}",
                )
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OidMatchers, A::Error> {
                let mut matchers = OidMatchers::default();
                while let Some(matcher) = list.next_element()? {
                    matchers.list.push(matcher);
                }
                Ok(matchers)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OidMatchers, A::Error> {
                const NAMES: &[&str] = &["oidExtensions", "fulcioExtensions", "customExtensions"];
                let mut matchers = OidMatchers::default();
                // Older versions of rekor-monitor read the names in lower case.
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "oidExtensions" | "oidextensions" | "customExtensions"
                        | "customextensions" => {
                            matchers.list.extend(map.next_value::<Vec<OidMatcher>>()?);
                        }
                        "fulcioExtensions" | "fulcioextensions" => {
                            matchers.fulcio = Some(map.next_value()?);
                        }
                        other => return Err(A::Error::unknown_field(other, NAMES)),
                    }
                }
                Ok(matchers)
            }
        }
        deserializer.deserialize_any(ListOrNames)
    }
}

/// Extensions of Fulcio by their names: `build-config-uri`.
struct FulcioExtensions(Vec<(FulcioExtension, Vec<String>)>);

impl<'de> Deserialize<'de> for FulcioExtensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = FulcioExtensions;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("names of Fulcio's extensions with values, like build-config-uri: […]")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<FulcioExtensions, A::Error> {
                let mut extensions = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let named = named(&name);
                    if named.is_empty() {
                        let known: Vec<String> =
                            FulcioExtension::ALL.iter().map(|e| kebab(*e)).collect();
                        return Err(A::Error::custom(format!(
                            "{name:?} is no extension of Fulcio; there are: {}",
                            known.join(", ")
                        )));
                    }
                    let values: Texts = map.next_value()?;
                    extensions.extend(named.into_iter().map(|e| (e, values.0.clone())));
                }
                Ok(FulcioExtensions(extensions))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// The extensions with this name: the issuer has two, one of each generation.
fn named(name: &str) -> Vec<FulcioExtension> {
    if name == "issuer" {
        return vec![FulcioExtension::IssuerV1, FulcioExtension::Issuer];
    }
    let all = FulcioExtension::ALL.iter().copied();
    all.filter(|extension| kebab(*extension) == name).collect()
}

/// `sourceRepositoryURI` as rekor-monitor writes it: `source-repository-uri`.
fn kebab(extension: FulcioExtension) -> String {
    let name = extension.json_name();
    let mut kebab = String::new();
    let mut before_is_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && before_is_lower {
            kebab.push('-');
        }
        before_is_lower = !c.is_ascii_uppercase();
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests;
