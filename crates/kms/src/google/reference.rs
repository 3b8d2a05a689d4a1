//! Names of keys in Google Cloud KMS: resource names as every tool prints them, and what the console's address bar shows.

use core::fmt;

use url::Url;

/// A key of Google Cloud KMS.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Reference {
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K`.
    pub(crate) key: String,
    /// The newest that is enabled if it is not given.
    pub(crate) version: Option<u64>,
}

const FORM: &str = "gcpkms://projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY[/cryptoKeyVersions/VERSION]";
/// The collections of a resource name, each before an id.
const COLLECTIONS: [&str; 4] = ["projects", "locations", "keyRings", "cryptoKeys"];
/// The longest id of any of them; KMS has 63, a project with its domain may have more.
const MAX_ID: usize = 128;

/// Whether a text without a scheme of ours can only be meant as such a key.
pub(crate) fn is_one(text: &str) -> bool {
    text.starts_with("projects/") && text.contains("/keyRings/")
        || text.starts_with("//cloudkms.googleapis.com/")
        || text.starts_with("https://cloudkms.googleapis.com/")
        || text.starts_with("https://console.cloud.google.com/security/kms/")
}

impl Reference {
    /// Understands a name, with `gcpkms://` or without.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("gcpkms://").unwrap_or(text);
        if name.starts_with("https://console.cloud.google.com/") {
            return console(name);
        }
        let name = [
            "https://cloudkms.googleapis.com/v1/",
            "//cloudkms.googleapis.com/",
        ]
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
        let parts: Vec<&str> = name.trim_matches('/').split('/').collect();
        let mut ids = Vec::new();
        for (at, collection) in COLLECTIONS.iter().enumerate() {
            match parts.get(2 * at) {
                Some(found) if found == collection => {}
                Some(found) => {
                    return Err(format!(
                        "{:?} stands where {collection} belongs: {FORM}",
                        sealmark_http::sanitise(found)
                    ));
                }
                None => return Err(format!("{collection} is missing: {FORM}")),
            }
            let id = parts.get(2 * at + 1).copied().unwrap_or_default();
            ids.push(checked(collection, id)?);
        }
        let version = match &parts[2 * COLLECTIONS.len()..] {
            [] => None,
            ["cryptoKeyVersions" | "versions", number] => Some(number_of(number)?),
            ["cryptoKeyVersions" | "versions"] => {
                return Err(format!("the version is missing: {FORM}"));
            }
            [other, ..] => {
                return Err(format!(
                    "{:?} stands where cryptoKeyVersions belongs: {FORM}",
                    sealmark_http::sanitise(other)
                ));
            }
        };
        Ok(Self::of(&ids, version))
    }

    fn of(ids: &[&str], version: Option<u64>) -> Self {
        let parts: Vec<String> = COLLECTIONS
            .iter()
            .zip(ids)
            .map(|(collection, id)| format!("{collection}/{id}"))
            .collect();
        Self {
            key: parts.join("/"),
            version,
        }
    }

    /// The resource name of a version.
    pub(crate) fn version_name(&self, version: u64) -> String {
        format!("{}/cryptoKeyVersions/{version}", self.key)
    }
}

fn number_of(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("the version is not a number from 1 on".to_owned()),
        Ok(number) => Ok(number),
    }
}

fn checked<'a>(collection: &str, id: &'a str) -> Result<&'a str, String> {
    // A project may be one of a domain: example.com:project.
    let good = (1..=MAX_ID).contains(&id.len())
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
        && !id.chars().all(|c| c == '.');
    good.then_some(id).ok_or_else(|| {
        format!(
            "{:?} is no id after {collection}: {FORM}",
            sealmark_http::sanitise(id)
        )
    })
}

/// `…/security/kms/key/manage/LOCATION/RING/KEY[/VERSION]?project=PROJECT`.
fn console(text: &str) -> Result<Reference, String> {
    let other = || format!("of the console's pages, that of a key or a version names one; {FORM}");
    let url = Url::parse(text).map_err(|_| other())?;
    let project = url.query_pairs().find(|(name, _)| name == "project");
    let (_, project) = project.ok_or_else(|| "the page's address lacks ?project=".to_owned())?;
    let parts: Vec<&str> = url.path().trim_matches('/').split('/').collect();
    let [
        "security",
        "kms",
        "key" | "keyversion",
        "manage",
        location,
        ring,
        key,
        rest @ ..,
    ] = parts.as_slice()
    else {
        return Err(other());
    };
    let ids = [
        checked("projects", &project)?,
        checked("locations", location)?,
        checked("keyRings", ring)?,
        checked("cryptoKeys", key)?,
    ];
    let version = rest
        .iter()
        .find_map(|part| part.parse().ok())
        .filter(|version| *version > 0);
    Ok(Reference::of(&ids, version))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gcpkms://{}", self.key)?;
        match self.version {
            Some(version) => write!(f, "/cryptoKeyVersions/{version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_name_is_taken_for() {
        let key = "gcpkms://projects/acme/locations/europe-west3/keyRings/ci/cryptoKeys/release";
        let table = [
            (
                "projects/acme/locations/europe-west3/keyRings/ci/cryptoKeys/release",
                "",
            ),
            (
                "gcpkms://projects/acme/locations/europe-west3/keyRings/ci/cryptoKeys/release",
                "",
            ),
            (
                "gcpkms://projects/acme/locations/europe-west3/keyRings/ci/cryptoKeys/release/",
                "",
            ),
            (
                "projects/acme/locations/europe-west3/keyRings/ci/cryptoKeys/release/cryptoKeyVersions/3",
                "/cryptoKeyVersions/3",
            ),
            (
                "gcpkms://projects/acme/locations/europe-west3/keyRings/ci/cryptoKeys/release/versions/3",
                "/cryptoKeyVersions/3",
            ),
            (
                "//cloudkms.googleapis.com/projects/acme/locations/europe-west3/keyRings/ci/cryptoKeys/release",
                "",
            ),
            (
                "https://cloudkms.googleapis.com/v1/projects/acme/locations/europe-west3/keyRings/ci/cryptoKeys/release",
                "",
            ),
            (
                "https://console.cloud.google.com/security/kms/key/manage/europe-west3/ci/release?project=acme",
                "",
            ),
            (
                "https://console.cloud.google.com/security/kms/key/manage/europe-west3/ci/release/overview?hl=en&project=acme",
                "",
            ),
            (
                "https://console.cloud.google.com/security/kms/keyversion/manage/europe-west3/ci/release/3?project=acme",
                "/cryptoKeyVersions/3",
            ),
        ];
        for (text, version) in table {
            let parsed = Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.to_string(), format!("{key}{version}"), "{text}");
            assert_eq!(Reference::parse(&parsed.to_string()), Ok(parsed), "{text}");
            assert!(text.starts_with("gcpkms://") || is_one(text), "{text}");
        }
        let domain =
            Reference::parse("projects/example.com:p/locations/global/keyRings/r/cryptoKeys/k");
        assert!(domain.is_ok());
    }

    #[test]
    fn what_is_said_of_names_that_cannot_be_right() {
        let table = [
            ("gcpkms://", "\"\" stands where projects belongs"),
            ("gcpkms://projects/p", "locations is missing"),
            (
                "gcpkms://projects/p/location/l/keyRings/r/cryptoKeys/k",
                "\"location\" stands where locations belongs",
            ),
            ("projects/p/locations/l/keyRings/r", "cryptoKeys is missing"),
            (
                "projects//locations/l/keyRings/r/cryptoKeys/k",
                "\"\" is no id after projects",
            ),
            (
                "projects/p/locations/l/keyRings/r/cryptoKeys/k?x",
                "\"k?x\" is no id after cryptoKeys",
            ),
            (
                "projects/p/locations/../keyRings/r/cryptoKeys/k",
                "\"..\" is no id after locations",
            ),
            (
                "projects/p/locations/l/keyRings/r/cryptoKeys/k/version/1",
                "\"version\" stands where cryptoKeyVersions belongs",
            ),
            (
                "projects/p/locations/l/keyRings/r/cryptoKeys/k/versions",
                "the version is missing",
            ),
            (
                "projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/latest",
                "the version is not a number from 1 on",
            ),
            (
                "https://console.cloud.google.com/security/kms/key/manage/l/r/k",
                "the page's address lacks ?project=",
            ),
            (
                "https://console.cloud.google.com/security/kms/keyrings?project=p",
                "of the console's pages, that of a key or a version names one",
            ),
        ];
        for (text, expected) in table {
            let reason = Reference::parse(text).unwrap_err();
            assert!(reason.starts_with(expected), "{text}: {reason}");
        }
    }
}
