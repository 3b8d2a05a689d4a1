//! References to keys: what Azure's portal shows, what cosign wants, and what lies between.
//!
//! One table in the tests says what each text is taken for, and what is said of those that are refused.

use core::fmt;

#[cfg(feature = "azure")]
use super::cloud::below;
use super::cloud::{CLOUDS, Cloud};

/// The scheme of references.
const SCHEME: &str = "azurekms";
/// What a name of a key may be long.
const MAX_NAME: usize = 127;
/// Digits of a version.
const VERSION_DIGITS: usize = 32;

/// Where a key is. Its `Display` is the one normal form: `azurekms://HOST/NAME[/VERSION]`, as cosign has it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Key {
    /// The host, with a port only on this machine.
    pub(crate) host: String,
    /// The key's name.
    pub(crate) name: String,
    /// One version of it, in lower case; else the newest.
    pub(crate) version: Option<String>,
    /// Whether the user wrote the vault's name without its domain.
    #[cfg_attr(not(feature = "azure"), allow(dead_code, reason = "for a message"))]
    pub(crate) completed: bool,
}

impl Key {
    /// The key that the text means, if it means one of Azure at all.
    ///
    /// `environment` is the value of `AZURE_ENVIRONMENT`, which says in which cloud a vault is whose name is not whole.
    ///
    /// # Errors
    /// Which part is wrong, and the nearest right form.
    pub fn parse(text: &str, environment: Option<&str>) -> Option<Result<Self, String>> {
        let rest = of_azure(text)?;
        Some(parse(rest, environment))
    }

    /// The same key in this version.
    #[must_use]
    pub fn at(mut self, version: &str) -> Self {
        self.version = Some(version.to_ascii_lowercase());
        self
    }

    /// The name of the vault, without the domain.
    #[cfg(feature = "azure")]
    pub(crate) fn vault(&self) -> &str {
        Cloud::of(&self.host).map_or(&self.host, |(_, name)| name)
    }

    /// Whether it is a managed HSM.
    #[cfg(feature = "azure")]
    pub(crate) fn is_hsm(&self) -> bool {
        CLOUDS
            .iter()
            .any(|cloud| below(&self.host, cloud.hsms).is_some())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}://{}/", self.host)?;
        // A key that is called as the portal's folder is.
        if matches!(self.name.as_str(), "keys" | "secrets" | "certificates") {
            f.write_str("keys/")?;
        }
        f.write_str(&self.name)?;
        match &self.version {
            Some(version) => write!(f, "/{version}"),
            None => Ok(()),
        }
    }
}

/// What follows the scheme, if this is a reference to Azure.
fn of_azure(text: &str) -> Option<&str> {
    if let Some(rest) = without_prefix(text, "azurekms:") {
        return Some(rest.strip_prefix("//").unwrap_or(rest));
    }
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| without_prefix(text, scheme))
        .unwrap_or(text);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    // A file may have any name, but none has a slash after the domain of a vault.
    let is_path = rest.len() == text.len() && !rest.contains('/');
    (Cloud::of(&host.to_ascii_lowercase()).is_some() && !is_path).then_some(text)
}

fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

fn parse(text: &str, environment: Option<&str>) -> Result<Key, String> {
    if let Some(rest) = without_prefix(text, "http://") {
        return Err(format!(
            "Key Vault is reached over https:// only: {}",
            like(rest.split('/').next().unwrap_or_default(), "NAME")
        ));
    }
    let text = without_prefix(text, "https://").unwrap_or(text);
    if text.contains(['?', '#']) {
        return Err("the identifier of a key has no ? or #: end it after the version".into());
    }
    let (authority, path) = text.split_once('/').unwrap_or((text, ""));
    if authority.contains('@') {
        return Err(
            "it must have no user name or password; credentials come from the environment".into(),
        );
    }
    let (host, completed) = host(authority, environment)?;
    let (name, version) = name(&host, path)?;
    Ok(Key {
        host,
        name,
        version,
        completed,
    })
}

/// The whole name of the host, and whether that was completed.
fn host(authority: &str, environment: Option<&str>) -> Result<(String, bool), String> {
    let authority = authority.to_ascii_lowercase();
    if authority.is_empty() {
        return Err("the vault's name is missing: azurekms://VAULT/NAME".into());
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority.as_str(), None),
    };
    if sealmark_http::is_loopback(host) {
        // An emulator.
        return match port.map(str::parse::<u16>) {
            Some(Err(_)) => Err("the port is not a number from 0 to 65535".into()),
            _ => Ok((authority, false)),
        };
    }
    if port.is_some_and(|port| port != "443") {
        return Err(format!(
            "Key Vault has no other port than 443: {}",
            like(host, "NAME")
        ));
    }
    if host.contains('.') {
        return whole(host).map(|host| (host, false));
    }
    vault_name(host)?;
    let cloud = match environment.filter(|name| !name.is_empty()) {
        None => &CLOUDS[0],
        Some(name) => Cloud::named(name).ok_or_else(|| {
            format!(
                "the vault {host:?} is in the cloud that AZURE_ENVIRONMENT names, and {name:?} is none of AzureCloud, \
                 AzureUSGovernment, AzureChinaCloud; write the whole host: {}",
                like(&format!("{host}.vault.azure.net"), "NAME")
            )
        })?,
    };
    Ok((format!("{host}.{}", cloud.vaults), true))
}

/// A host with its domain.
fn whole(host: &str) -> Result<String, String> {
    if let Some((_, name)) = Cloud::of(host) {
        vault_name(name)?;
        return Ok(host.to_owned());
    }
    let name = host.split('.').next().unwrap_or_default();
    let private = host.contains(".privatelink.");
    let nearest = like(&format!("{name}.vault.azure.net"), "NAME");
    Err(match private {
        true => format!(
            "{host:?} is the private link's own name, for which the vault has no certificate; the vault's name leads \
             there too: {nearest}"
        ),
        false => format!(
            "the host {host:?} is in no domain of Key Vault (vault.azure.net, vault.usgovcloudapi.net, vault.azure.cn, \
             and managedhsm. instead of vault.); did you mean {nearest}?"
        ),
    })
}

/// Checks the name of a vault: 3 to 24 letters, digits and single hyphens.
fn vault_name(name: &str) -> Result<(), String> {
    let reason = if !(3..=24).contains(&name.len()) {
        "it has 3 to 24 characters"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        "it has letters, digits and hyphens only"
    } else if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        "it begins with a letter"
    } else if name.ends_with('-') || name.contains("--") {
        "a hyphen in it is followed by a letter or a digit"
    } else {
        return Ok(());
    };
    Err(format!(
        "{name:?} cannot be the name of a vault: {reason}; the form is azurekms://VAULT/NAME or \
         https://VAULT.vault.azure.net/keys/NAME"
    ))
}

/// The name and the version.
fn name(host: &str, path: &str) -> Result<(String, Option<String>), String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = match path {
        "" => Vec::new(),
        path => path.split('/').collect(),
    };
    let (name, version) = match parts.as_slice() {
        [] | [""] => return Err(format!("the key's name is missing: {}", like(host, "NAME"))),
        [folder @ ("keys" | "secrets" | "certificates")] => {
            return Err(format!(
                "the key's name is missing after {folder}/: {}",
                like(host, "NAME")
            ));
        }
        [folder @ ("secrets" | "certificates"), name, ..] => {
            let what = folder.trim_end_matches('s');
            return Err(format!(
                "it is the identifier of a {what}; the key of a certificate has the same name: {}",
                like(host, name)
            ));
        }
        ["keys", name] => (*name, None),
        ["keys", name, version] => (*name, Some(*version)),
        [name] => (*name, None),
        [name, version] => (*name, Some(*version)),
        [.., _] => {
            return Err(format!(
                "it has more parts than vault, name and version: {}",
                like(host, "NAME/VERSION")
            ));
        }
    };
    let legal = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if name.is_empty() {
        return Err(format!("the key's name is missing: {}", like(host, "NAME")));
    }
    if name.len() > MAX_NAME || !legal(name) {
        return Err(format!(
            "{:?} cannot be the name of a key, which has at most {MAX_NAME} letters, digits and hyphens",
            name.chars().take(MAX_NAME).collect::<String>()
        ));
    }
    let Some(version) = version else {
        return Ok((name.to_owned(), None));
    };
    if version.len() != VERSION_DIGITS || !version.bytes().all(|b| b.is_ascii_hexdigit()) {
        let nearest = match name {
            // keys/NAME, misspelt.
            "key" | "Keys" | "KEYS" if legal(version) => like(host, version),
            _ => like(host, name),
        };
        return Err(format!(
            "{:?} is not a key's version, which has {VERSION_DIGITS} hexadecimal digits; for the newest write {nearest}",
            version.chars().take(MAX_NAME).collect::<String>()
        ));
    }
    Ok((name.to_owned(), Some(version.to_ascii_lowercase())))
}

/// The portal's form.
fn like(host: &str, name: &str) -> String {
    format!("https://{host}/keys/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "91ca3fb133614790a51fc9c04bd96890";

    /// `V` stands for the version.
    fn read(text: &str, environment: Option<&str>) -> Option<Result<String, String>> {
        let text = text.replace("/V", &format!("/{VERSION}"));
        let key = Key::parse(&text, environment)?;
        Some(key.map(|key| key.to_string().replace(VERSION, "V")))
    }

    #[test]
    fn what_a_user_can_copy_is_one_key() {
        let host = "tsm-kv-usw3-tst-cssc.vault.azure.net";
        let key = format!("azurekms://{host}/sigstore-azure-test-key");
        let version = format!("{key}/V");
        let table = [
            // The portal's identifier, and what the story's user made of it.
            (
                "https://tsm-kv-usw3-tst-cssc.vault.azure.net/keys/sigstore-azure-test-key/V",
                &version,
            ),
            (
                "azurekms://tsm-kv-usw3-tst-cssc.vault.azure.net/keys/sigstore-azure-test-key/V",
                &version,
            ),
            (
                "tsm-kv-usw3-tst-cssc.vault.azure.net/keys/sigstore-azure-test-key/V",
                &version,
            ),
            (
                "https://tsm-kv-usw3-tst-cssc.vault.azure.net/keys/sigstore-azure-test-key",
                &key,
            ),
            (
                "azurekms://tsm-kv-usw3-tst-cssc.vault.azure.net/keys/sigstore-azure-test-key",
                &key,
            ),
            (
                "tsm-kv-usw3-tst-cssc.vault.azure.net/keys/sigstore-azure-test-key/",
                &key,
            ),
            // The vault's short name.
            (
                "azurekms://tsm-kv-usw3-tst-cssc/sigstore-azure-test-key",
                &key,
            ),
            (
                "azurekms://tsm-kv-usw3-tst-cssc/sigstore-azure-test-key/V",
                &version,
            ),
            (
                "azurekms://tsm-kv-usw3-tst-cssc/keys/sigstore-azure-test-key",
                &key,
            ),
            (
                "azurekms://tsm-kv-usw3-tst-cssc/keys/sigstore-azure-test-key/V/",
                &version,
            ),
            // cosign's own form.
            (
                "azurekms://tsm-kv-usw3-tst-cssc.vault.azure.net/sigstore-azure-test-key",
                &key,
            ),
            (
                "azurekms://tsm-kv-usw3-tst-cssc.vault.azure.net/sigstore-azure-test-key/",
                &key,
            ),
            (
                "azurekms://tsm-kv-usw3-tst-cssc.vault.azure.net/sigstore-azure-test-key/V",
                &version,
            ),
            // Slips that leave it clear what is meant.
            (
                "AzureKMS://TSM-kv-usw3-tst-cssc.Vault.Azure.Net/keys/sigstore-azure-test-key/V",
                &version,
            ),
            (
                "azurekms:tsm-kv-usw3-tst-cssc/sigstore-azure-test-key",
                &key,
            ),
            (
                "azurekms://https://tsm-kv-usw3-tst-cssc.vault.azure.net/keys/sigstore-azure-test-key",
                &key,
            ),
            (
                "https://tsm-kv-usw3-tst-cssc.vault.azure.net:443/keys/sigstore-azure-test-key",
                &format!("azurekms://{host}:443/sigstore-azure-test-key").replace(":443", ""),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(read(text, None), Some(Ok(expected.clone())), "{text}");
        }
        let upper = format!("azurekms://vault-1/k/{}", VERSION.to_uppercase());
        assert_eq!(
            read(&upper, None).unwrap().unwrap(),
            "azurekms://vault-1.vault.azure.net/k/V"
        );
        for (text, environment, expected) in [
            (
                "azurekms://vault-1/k",
                Some("AzureUSGovernment"),
                "azurekms://vault-1.vault.usgovcloudapi.net/k",
            ),
            (
                "azurekms://vault-1/k",
                Some("AZUREUSGOVERNMENTCLOUD"),
                "azurekms://vault-1.vault.usgovcloudapi.net/k",
            ),
            (
                "azurekms://vault-1/k",
                Some("AzureChinaCloud"),
                "azurekms://vault-1.vault.azure.cn/k",
            ),
            (
                "azurekms://vault-1/k",
                Some("AzurePublicCloud"),
                "azurekms://vault-1.vault.azure.net/k",
            ),
            (
                "azurekms://vault-1/k",
                Some(""),
                "azurekms://vault-1.vault.azure.net/k",
            ),
            // A whole name says by itself where it is.
            (
                "https://vault-1.vault.azure.cn/keys/k",
                Some("AzureCloud"),
                "azurekms://vault-1.vault.azure.cn/k",
            ),
            (
                "https://hsm-1.managedhsm.azure.net/keys/k/V",
                None,
                "azurekms://hsm-1.managedhsm.azure.net/k/V",
            ),
            (
                "hsm-1.managedhsm.usgovcloudapi.net/keys/k",
                None,
                "azurekms://hsm-1.managedhsm.usgovcloudapi.net/k",
            ),
            (
                "azurekms://localhost:8443/k",
                None,
                "azurekms://localhost:8443/k",
            ),
            (
                "azurekms://https://127.0.0.1:8443/keys/k/V",
                None,
                "azurekms://127.0.0.1:8443/k/V",
            ),
            (
                "azurekms://vault-1/keys/keys",
                None,
                "azurekms://vault-1.vault.azure.net/keys/keys",
            ),
        ] {
            assert_eq!(
                read(text, environment),
                Some(Ok(expected.to_owned())),
                "{text}"
            );
            assert_eq!(
                read(expected, None),
                Some(Ok(expected.to_owned())),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_of_azure_is_left_to_others() {
        for text in [
            "cosign.key",
            "vault.azure.net/keys/k",
            "https://example.com/v.vault.azure.net/keys/k",
            "v1x.vault.azure.net",
            "awskms:///x",
            "azurkms://v/k",
            "/etc/keys/v.vault.azure.net/k",
        ] {
            assert_eq!(read(text, None), None, "{text}");
        }
    }

    #[test]
    fn a_refused_reference_says_which_part_and_shows_the_nearest_right_form() {
        let table = [
            (
                "azurekms://",
                "the vault's name is missing: azurekms://VAULT/NAME",
            ),
            (
                "azurekms:///k",
                "the vault's name is missing: azurekms://VAULT/NAME",
            ),
            (
                "azurekms://vault-1",
                "the key's name is missing: https://vault-1.vault.azure.net/keys/NAME",
            ),
            (
                "azurekms://vault-1/",
                "the key's name is missing: https://vault-1.vault.azure.net/keys/NAME",
            ),
            (
                "https://vault-1.vault.azure.net",
                "the key's name is missing: https://vault-1.vault.azure.net/keys/NAME",
            ),
            (
                "https://vault-1.vault.azure.net/keys/",
                "the key's name is missing after keys/: https://vault-1.vault.azure.net/keys/NAME",
            ),
            (
                "azurekms://vault-1//V",
                "the key's name is missing: https://vault-1.vault.azure.net/keys/NAME",
            ),
            (
                "https://vault-1.vault.azure.net/certificates/c/V",
                "it is the identifier of a certificate; the key of a certificate has the same name: https://vault-1.vault.azure.net/keys/c",
            ),
            (
                "https://vault-1.vault.azure.net/secrets/c/V",
                "it is the identifier of a secret; the key of a certificate has the same name: https://vault-1.vault.azure.net/keys/c",
            ),
            (
                "azurekms://vault-1/keys/k/V/sign",
                "it has more parts than vault, name and version: https://vault-1.vault.azure.net/keys/NAME/VERSION",
            ),
            (
                "azurekms://vault-1/k/2",
                "\"2\" is not a key's version, which has 32 hexadecimal digits; for the newest write https://vault-1.vault.azure.net/keys/k",
            ),
            (
                "azurekms://vault-1/key/my-key",
                "\"my-key\" is not a key's version, which has 32 hexadecimal digits; for the newest write https://vault-1.vault.azure.net/keys/my-key",
            ),
            (
                "azurekms://vault-1/my_key",
                "\"my_key\" cannot be the name of a key, which has at most 127 letters, digits and hyphens",
            ),
            (
                "azurekms://v/k",
                "\"v\" cannot be the name of a vault: it has 3 to 24 characters; the form is azurekms://VAULT/NAME or https://VAULT.vault.azure.net/keys/NAME",
            ),
            (
                "azurekms://1vault/k",
                "\"1vault\" cannot be the name of a vault: it begins with a letter; the form is azurekms://VAULT/NAME or https://VAULT.vault.azure.net/keys/NAME",
            ),
            (
                "azurekms://a--b/k",
                "\"a--b\" cannot be the name of a vault: a hyphen in it is followed by a letter or a digit; the form is azurekms://VAULT/NAME or https://VAULT.vault.azure.net/keys/NAME",
            ),
            (
                "azurekms://vault_1/k",
                "\"vault_1\" cannot be the name of a vault: it has letters, digits and hyphens only; the form is azurekms://VAULT/NAME or https://VAULT.vault.azure.net/keys/NAME",
            ),
            (
                "azurekms://vault-1.vault.azure.com/k",
                "the host \"vault-1.vault.azure.com\" is in no domain of Key Vault (vault.azure.net, vault.usgovcloudapi.net, vault.azure.cn, and managedhsm. instead of vault.); did you mean https://vault-1.vault.azure.net/keys/NAME?",
            ),
            (
                "azurekms://vault-1.privatelink.vaultcore.azure.net/k",
                "\"vault-1.privatelink.vaultcore.azure.net\" is the private link's own name, for which the vault has no certificate; the vault's name leads there too: https://vault-1.vault.azure.net/keys/NAME",
            ),
            (
                "http://vault-1.vault.azure.net/keys/k",
                "Key Vault is reached over https:// only: https://vault-1.vault.azure.net/keys/NAME",
            ),
            (
                "https://vault-1.vault.azure.net:8443/keys/k",
                "Key Vault has no other port than 443: https://vault-1.vault.azure.net/keys/NAME",
            ),
            (
                "https://vault-1.vault.azure.net/keys/k?api-version=7.4",
                "the identifier of a key has no ? or #: end it after the version",
            ),
            (
                "https://me:pw@vault-1.vault.azure.net/keys/k",
                "it must have no user name or password; credentials come from the environment",
            ),
            (
                "azurekms://localhost:99999/k",
                "the port is not a number from 0 to 65535",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(read(text, None), Some(Err(expected.to_owned())), "{text}");
        }
        let wrong = read("azurekms://vault-1/k", Some("AzureGermanCloud"))
            .unwrap()
            .unwrap_err();
        assert!(wrong.contains("\"AzureGermanCloud\" is none of"), "{wrong}");
    }
}
