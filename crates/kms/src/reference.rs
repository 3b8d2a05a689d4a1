//! Key references: what a user writes after `--key`.
//!
//! One parser for all of them; the table in its tests says what each kind of text is taken for.

use core::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use url::{Host, Url};

use crate::{Error, aws, azure, plugin};

/// Where a key is.
///
/// ```
/// use sealmark_kms::KeyRef;
/// assert_eq!(KeyRef::parse("cosign.pub")?, KeyRef::File("cosign.pub".into()));
/// assert_eq!(KeyRef::parse("env://COSIGN_KEY")?, KeyRef::Env("COSIGN_KEY".into()));
/// assert!(KeyRef::parse("http://example.com/cosign.pub").is_err());
/// # Ok::<(), sealmark_kms::Error>(())
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub enum KeyRef {
    /// A file.
    File(PathBuf),
    /// An environment variable that holds the content of a key file.
    Env(String),
    /// A URL that gives a key file: `https`, or `http` on this machine.
    Url(Url),
    /// A key in AWS KMS.
    Aws(aws::Key),
    /// A key in Azure Key Vault.
    Azure(azure::Key),
    /// A key of a plugin, for a scheme that is not known here.
    Plugin(plugin::Key),
    /// In Google Cloud KMS.
    Google(crate::google::Reference),
    /// On a token with a PKCS#11 module.
    Pkcs11(crate::pkcs11::Reference),
    /// In a transit engine of Vault or OpenBao.
    Vault(crate::vault::Reference),
    /// A key pair in a secret of Kubernetes.
    Kubernetes(crate::kubernetes::Reference),
    /// A key pair in variables of a GitLab project.
    GitLab(crate::gitlab::Reference),
    /// A key pair in secrets of a GitHub repository, which can be written and not read.
    GitHub(crate::github::Reference),
}

/// The schemes that are supported.
const SUPPORTED: [&str; 14] = [
    "awskms",
    "azurekms",
    "env",
    "https",
    "http",
    "file",
    "gcpkms",
    "github",
    "gitlab",
    "hashivault",
    "k8s",
    "openbao",
    "pkcs11",
    "vault",
];

/// Longest part of a reference that is repeated in an error.
const MAX_SHOWN: usize = 200;

impl KeyRef {
    /// Understands a key reference. Nothing is read yet, but `PATH` is searched for a plugin where only that helps.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let found = Self::parse_built_in(text);
        match &found {
            Err(Error::UnknownScheme { .. }) => scheme(text)
                .and_then(|(scheme, rest)| plugin::Key::find(&scheme, rest))
                .map_or(found, |key| Ok(Self::Plugin(key))),
            _ => found,
        }
    }

    /// Understands a key reference to what is built in.
    pub(crate) fn parse_built_in(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(bad(text, "it is empty"));
        }
        if text
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("arn:"))
        {
            return aws(text, text);
        }
        let environment = std::env::var("AZURE_ENVIRONMENT").ok();
        if let Some(key) = azure::Key::parse(text, environment.as_deref()) {
            return key.map(Self::Azure).map_err(|reason| bad(text, &reason));
        }
        if crate::google::reference::is_one(text) {
            return google(text);
        }
        let Some((scheme, rest)) = scheme(text) else {
            return Ok(Self::File(text.into()));
        };
        match scheme.as_str() {
            "awskms" => aws(text, rest),
            "env" => variable(text, rest),
            "file" => Url::parse(text)
                .ok()
                .and_then(|url| url.to_file_path().ok())
                .map(Self::File)
                .ok_or_else(|| bad(text, "a file:// URL needs an absolute path: file:///PATH")),
            "http" | "https" => web(text),
            "gcpkms" => google(&format!("gcpkms://{rest}")),
            "hashivault" | "vault" | "openbao" => {
                let product = match scheme == "openbao" {
                    true => crate::vault::Product::OpenBao,
                    false => crate::vault::Product::Vault,
                };
                crate::vault::Reference::parse(product, rest)
                    .map(Self::Vault)
                    .map_err(|reason| bad(text, &reason))
            }
            "pkcs11" => {
                let uri = text.split_once(':').map_or(rest, |(_, uri)| uri);
                crate::pkcs11::Reference::parse(uri)
                    .map(Self::Pkcs11)
                    .map_err(|reason| bad(text, &reason))
            }
            "k8s" => crate::kubernetes::Reference::parse(rest)
                .map(Self::Kubernetes)
                .map_err(|reason| bad(text, &reason)),
            "gitlab" => crate::gitlab::Reference::parse(rest)
                .map(Self::GitLab)
                .map_err(|reason| bad(text, &reason)),
            "github" => crate::github::Reference::parse(rest)
                .map(Self::GitHub)
                .map_err(|reason| bad(text, &reason)),
            other => Err(Error::UnknownScheme {
                reference: shown(text),
                nearest: nearest(other),
            }),
        }
    }
}

impl KeyRef {
    /// Whether a network may be needed to have the key. Only a file, a variable and a token are surely here.
    pub fn needs_network(&self) -> bool {
        !matches!(self, Self::File(_) | Self::Env(_) | Self::Pkcs11(_))
    }

    /// Whether a key pair is kept there, as in files: see [`store`](crate::store).
    pub fn keeps_key_pairs(&self) -> bool {
        matches!(
            self,
            Self::Kubernetes(_) | Self::GitLab(_) | Self::GitHub(_)
        )
    }
}

/// The scheme in lower case and what follows it. Only `pkcs11:` (RFC 7512) goes without slashes.
fn scheme(text: &str) -> Option<(String, &str)> {
    let legal = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
    };
    if let Some((scheme, rest)) = text.split_once("://")
        && legal(scheme)
    {
        return Some((scheme.to_ascii_lowercase(), rest));
    }
    let (scheme, rest) = text.split_once(':')?;
    scheme
        .eq_ignore_ascii_case("pkcs11")
        .then(|| ("pkcs11".to_owned(), rest))
}

fn aws(text: &str, rest: &str) -> Result<KeyRef, Error> {
    let key = aws::Key::parse(rest).map_err(|reason| bad(text, &reason))?;
    Ok(KeyRef::Aws(key))
}

fn google(text: &str) -> Result<KeyRef, Error> {
    crate::google::Reference::parse(text)
        .map(KeyRef::Google)
        .map_err(|reason| bad(text, &reason))
}

fn variable(text: &str, name: &str) -> Result<KeyRef, Error> {
    if name.is_empty() {
        return Err(bad(text, "the variable's name is missing: env://VARIABLE"));
    }
    if name.contains(['=', '\0', '/']) {
        return Err(bad(text, "that cannot be the name of a variable"));
    }
    Ok(KeyRef::Env(name.to_owned()))
}

fn web(text: &str) -> Result<KeyRef, Error> {
    let url = Url::parse(text).map_err(|error| bad(text, &error.to_string()))?;
    if !is_safe(&url) {
        return Err(bad(
            &without_secrets(&url),
            "http:// is allowed to this machine only, as anyone on the way could exchange the key; use https://",
        ));
    }
    Ok(KeyRef::Url(url))
}

/// `https`, or `http` to this machine.
pub(crate) fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
            None => false,
        },
        _ => false,
    }
}

fn bad(text: &str, reason: &str) -> Error {
    Error::BadReference {
        reference: shown(text),
        // It may quote a part of a reference that is as long as anybody likes.
        reason: sealmark_http::sanitise(reason),
    }
}

/// A reference for an error: quoted, cut, and without the PIN that a PKCS#11 URI may carry, or the password and the
/// query of a URL. It may be one that nobody can read, so this looks for the marks of such parts only.
fn shown(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(start) = text.find("://").map(|at| at + "://".len()) {
        if let Some(query) = text[start..].find(['?', '#']) {
            text.truncate(start + query);
            text.push('…');
        }
        if let Some(user) = text[start..].rfind('@') {
            text.replace_range(start..start + user, "…");
        }
    }
    let mut text: String = text.chars().take(MAX_SHOWN).collect();
    if let Some(pin) = text.find("pin-value=") {
        text.truncate(pin);
        text.push_str("pin-value=…");
    }
    format!("{text:?}")
}

/// A URL for people and logs: without user name, password, query and fragment.
pub(crate) fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    // These fail only for URLs that cannot have a user, which then have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn nearest(scheme: &str) -> Option<&'static str> {
    // As many slips as still leave it clear what was meant.
    const MAX_SLIPS: usize = 2;
    if scheme.len() > 32 {
        return None;
    }
    SUPPORTED
        .iter()
        .map(|name| (edit_distance(scheme, name), *name))
        .filter(|(slips, name)| *slips <= MAX_SLIPS && 2 * slips < name.len())
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substitution = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// As the user wrote it, but without secrets.
impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Env(name) => write!(f, "env://{name}"),
            Self::Url(url) => f.write_str(&without_secrets(url)),
            Self::Aws(key) => key.fmt(f),
            Self::Azure(key) => key.fmt(f),
            Self::Plugin(key) => key.fmt(f),
            Self::Google(key) => key.fmt(f),
            Self::Pkcs11(key) => key.fmt(f),
            Self::Vault(key) => key.fmt(f),
            Self::Kubernetes(key) => key.fmt(f),
            Self::GitLab(key) => key.fmt(f),
            Self::GitHub(key) => key.fmt(f),
        }
    }
}

impl fmt::Debug for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRef({self})")
    }
}

impl core::str::FromStr for KeyRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_reference_is_taken_for() {
        let table = [
            ("cosign.pub", "File cosign.pub"),
            ("./a b/cosign.key", "File ./a b/cosign.key"),
            ("/etc/keys/cosign.key", "File /etc/keys/cosign.key"),
            ("C:\\keys\\cosign.key", "File C:\\keys\\cosign.key"),
            ("key:1.pem", "File key:1.pem"),
            (
                "file:///etc/keys/cosign%20a.pub",
                "File /etc/keys/cosign a.pub",
            ),
            ("env://COSIGN_KEY", "Env env://COSIGN_KEY"),
            ("ENV://COSIGN_KEY", "Env env://COSIGN_KEY"),
            (
                "https://example.com/cosign.pub",
                "Url https://example.com/cosign.pub",
            ),
            (
                "HTTPS://Example.com:8443/k",
                "Url https://example.com:8443/k",
            ),
            (
                "https://me:secret@example.com/k?token=x#y",
                "Url https://example.com/k",
            ),
            ("http://localhost:8080/k", "Url http://localhost:8080/k"),
            ("http://127.8.9.1/k", "Url http://127.8.9.1/k"),
            ("http://[::1]:80/k", "Url http://[::1]/k"),
            (
                "https://v-1.vault.azure.net/keys/k",
                "azurekms://v-1.vault.azure.net/k",
            ),
            (
                "PKCS11:object=k;token=t?pin-value=1234",
                "pkcs11:token=t;object=k",
            ),
            (
                "projects/p/locations/l/keyRings/r/cryptoKeys/k",
                "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
            ),
            ("vault://transit/keys/k", "hashivault://transit/k"),
            ("openbao://k?version=2", "openbao://k/versions/2"),
            ("k8s://demo/release", "k8s://demo/release"),
            ("K8S://demo/release", "k8s://demo/release"),
            ("gitlab://acme/app", "gitlab://acme/app"),
            ("gitlab://4711/", "gitlab://4711"),
            ("github://acme/app", "github://acme/app"),
        ];
        for (text, expected) in table {
            let found = match KeyRef::parse(text) {
                Ok(key @ KeyRef::File(_)) => format!("File {key}"),
                Ok(key @ KeyRef::Env(_)) => format!("Env {key}"),
                Ok(key @ KeyRef::Url(_)) => format!("Url {key}"),
                Ok(key) => format!("{key}"),
                Err(error) => panic!("{text}: {error}"),
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_said_of_references_that_cannot_be_used() {
        let http = "http:// is allowed to this machine only, as anyone on the way could exchange the key; use https://";
        let known = "known are a file's path, env://VARIABLE, https://… and what docs/keys.md lists: awskms, azurekms, gcpkms, gitlab, hashivault, k8s, openbao, pkcs11";
        let table = [
            ("", "bad key reference \"\": it is empty".to_owned()),
            ("env://", "bad key reference \"env://\": the variable's name is missing: env://VARIABLE".into()),
            ("env://A=B", "bad key reference \"env://A=B\": that cannot be the name of a variable".into()),
            ("file://relative", "bad key reference \"file://relative\": a file:// URL needs an absolute path: file:///PATH".into()),
            ("https://", "bad key reference \"https://\": empty host".into()),
            ("http://example.com/k", format!("bad key reference \"http://example.com/k\": {http}")),
            ("http://u:p@example.com/k?t=1", format!("bad key reference \"http://example.com/k\": {http}")),
            ("http://127.0.0.1.example.com/", format!("bad key reference \"http://127.0.0.1.example.com/\": {http}")),
            ("azurekms://v/k", "bad key reference \"azurekms://v/k\": \"v\" cannot be the name of a vault: it has 3 to 24 characters; the form is azurekms://VAULT/NAME or https://VAULT.vault.azure.net/keys/NAME".into()),
            ("gcpkms://projects/p", "bad key reference \"gcpkms://projects/p\": locations is missing: gcpkms://projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY[/cryptoKeyVersions/VERSION]".into()),
            ("hashivault://a b", "bad key reference \"hashivault://a b\": \"a b\" is no name of a key, an engine or a namespace: letters, digits, _, - and . make one up".into()),
            ("k8s://release", "bad key reference \"k8s://release\": the namespace or the secret is missing: k8s://NAMESPACE/SECRET".into()),
            ("gitlab://", "bad key reference \"gitlab://\": the project is missing: gitlab://GROUP/PROJECT or gitlab://PROJECT-ID".into()),
            ("github://o", "bad key reference \"github://o\": the form is github://OWNER/REPOSITORY; secrets of an organisation are not supported, gh secret set --org writes them".into()),
            ("pkcs11://token=t", "bad key reference \"pkcs11://token=t\": a PKCS#11 URI has no slashes: pkcs11:token=NAME;object=NAME".into()),
            ("pkcs11:token=t;pin-value=1234", "bad key reference \"pkcs11:token=t;pin-value=…\": pin-value comes after a question mark: …?pin-value=…".into()),
            ("awskm://k", format!("unknown key reference \"awskm://k\": did you mean awskms://? {known}")),
            ("azurkms://k", format!("unknown key reference \"azurkms://k\": did you mean azurekms://? {known}")),
            ("htps://k", format!("unknown key reference \"htps://k\": did you mean https://? {known}")),
            ("evn://K", format!("unknown key reference \"evn://K\": {known}")),
            ("ftp://k", format!("unknown key reference \"ftp://k\": {known}")),
            ("oci://k", format!("unknown key reference \"oci://k\": {known}")),
        ];
        for (text, message) in table {
            match KeyRef::parse(text) {
                Ok(key) => panic!("{text} was taken for {key:?}"),
                Err(error) => assert_eq!(error.to_string(), message, "{text}"),
            }
        }
        let long = KeyRef::parse(&format!("x://{}", "é".repeat(10_000)))
            .unwrap_err()
            .to_string();
        assert!(long.len() < 700, "{}", long.len());
    }
    /// What the author of "Sigstore for containers" (2022) pasted after `--key`, in the order of the story, and what cosign
    /// said of it then.
    #[test]
    fn what_the_story_s_user_pasted_is_understood() {
        const ID: &str = "61c124fb-bf47-4f95-a805-65dda7cd08ae";
        const ARN: &str =
            "arn:aws:kms:us-west-2:562077019569:key/61c124fb-bf47-4f95-a805-65dda7cd08ae";
        const VAULT: &str = "azurekms://tsm-kv-usw3-tst-cssc.vault.azure.net";
        const VERSION: &str = "91ca3fb133614790a51fc9c04bd96890";
        const KEY: &str = "sigstore-azure-test-key";
        for (pasted, expected) in [
            // "kms specification should be in the format awskms://[ENDPOINT]/[ID/ALIAS/ARN]"
            (format!("awskms://{ID}"), format!("awskms:///{ID}")),
            // "failed to parse endpoint URL: … invalid port \":key\" after host"
            (format!("awskms://{ARN}"), format!("awskms:///{ARN}")),
            // It signed.
            (format!("awskms:///{ID}"), format!("awskms:///{ID}")),
            (format!("awskms:///{ARN}"), format!("awskms:///{ARN}")),
            // "kms specification should be in the format azurekms://[VAULT_NAME][VAULT_URL]/[KEY_NAME]"
            (
                format!("{VAULT}/keys/{KEY}/{VERSION}"),
                format!("{VAULT}/{KEY}/{VERSION}"),
            ),
            // It hung for minutes.
            (
                format!("azurekms://tsm-kv-usw3-tst-cssc/{KEY}"),
                format!("{VAULT}/{KEY}"),
            ),
            // 403 of somebody else, then: "algorithm 'ES256' can only be used with a key of type 'EC'"
            (format!("{VAULT}/{KEY}"), format!("{VAULT}/{KEY}")),
            // It signed.
            (format!("{VAULT}/{KEY}-ec"), format!("{VAULT}/{KEY}-ec")),
        ] {
            assert_eq!(KeyRef::parse(&pasted).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_reference_that_cannot_be_read_is_shown_without_its_secrets() {
        for text in [
            "https://me:hunter2@example.com:99999/k",
            "https://me:hun/ter2@example.com/k",
            "https://me:hunter2@exa mple.com/k?token=hunter2",
            "htps://me:hunter2@example.com/k",
            "http://me:hunter2@example.com/k#hunter2",
            "hashivault://me:hunter2@vault/k",
            "pkcs11:token=a;pin-value=hunter2",
        ] {
            let error = KeyRef::parse(text).unwrap_err().to_string();
            assert!(!error.contains("ter2"), "{error}");
        }
    }
}
