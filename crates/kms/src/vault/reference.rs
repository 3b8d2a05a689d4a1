//! References to keys of a transit engine: `hashivault://KEY`, `openbao://KEY`, with the engine's path, the version and
//! the namespace where they are not the usual ones.

use core::fmt;

/// Which of the two products' variables come first.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Product {
    /// HashiCorp Vault: `VAULT_…`.
    Vault,
    /// OpenBao: `BAO_…`.
    OpenBao,
}

/// A key of a transit secrets engine.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Reference {
    /// As the scheme says.
    pub(crate) product: Product,
    /// The path at which the engine is mounted; `TRANSIT_SECRET_ENGINE_PATH` or `transit` if it is not given.
    pub(crate) mount: Option<String>,
    /// The key's name.
    pub(crate) key: String,
    /// The newest if it is not given.
    pub(crate) version: Option<u64>,
    /// The namespace; `VAULT_NAMESPACE` if it is not given.
    pub(crate) namespace: Option<String>,
}

impl Reference {
    /// Understands what follows `hashivault://`, `vault://` or `openbao://`.
    pub(crate) fn parse(product: Product, rest: &str) -> Result<Self, String> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        if path.contains(':') {
            return Err("the server's address is given in VAULT_ADDR or BAO_ADDR, not here: hashivault://KEY".into());
        }
        let mut version = None;
        if let [.., "versions", number] = parts.as_slice() {
            version = Some(parse_version(number)?);
            parts.truncate(parts.len() - 2);
        }
        // The interface's own paths, and those of the web page, have `keys` between the engine and the key.
        if parts.len() >= 3 && parts[parts.len() - 2] == "keys" {
            parts.remove(parts.len() - 2);
        }
        let key = parts.pop().unwrap_or_default();
        if key.is_empty() {
            return Err(
                "the name of the key is missing: hashivault://KEY, or hashivault://ENGINE/KEY"
                    .into(),
            );
        }
        for part in parts.iter().chain(&[key]) {
            segment(part)?;
        }
        let mut reference = Self {
            product,
            mount: (!parts.is_empty()).then(|| parts.join("/")),
            key: key.to_owned(),
            version,
            namespace: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            reference.option(pair)?;
        }
        Ok(reference)
    }

    fn option(&mut self, pair: &str) -> Result<(), String> {
        match pair.split_once('=') {
            Some(("version", number)) => {
                let version = parse_version(number)?;
                if self.version.is_some_and(|other| other != version) {
                    return Err("it has two versions".to_owned());
                }
                self.version = Some(version);
            }
            Some(("namespace", namespace)) => {
                let namespace = namespace.trim_matches('/');
                for part in namespace.split('/') {
                    segment(part)?;
                }
                self.namespace = Some(namespace.to_owned());
            }
            _ => {
                return Err(format!(
                    "{} is no option: known are ?version=N and ?namespace=PATH",
                    sealmark_http::sanitise(pair.split('=').next().unwrap_or_default())
                ));
            }
        }
        Ok(())
    }
}

fn parse_version(number: &str) -> Result<u64, String> {
    match number.parse() {
        Ok(0) | Err(_) => Err("the version is not a number from 1 on".to_owned()),
        Ok(version) => Ok(version),
    }
}

/// A part of a path, as it is sent: nothing in it is to be encoded.
fn segment(part: &str) -> Result<(), String> {
    let good = !part.is_empty()
        && part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !part.chars().all(|c| c == '.');
    good.then_some(()).ok_or_else(|| {
        format!(
            "{:?} is no name of a key, an engine or a namespace: letters, digits, _, - and . make one up",
            sealmark_http::sanitise(part)
        )
    })
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.product {
            Product::Vault => "hashivault://",
            Product::OpenBao => "openbao://",
        })?;
        if let Some(mount) = &self.mount {
            write!(f, "{mount}/")?;
        }
        f.write_str(&self.key)?;
        if let Some(version) = self.version {
            write!(f, "/versions/{version}")?;
        }
        if let Some(namespace) = &self.namespace {
            write!(f, "?namespace={namespace}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_reference_is_taken_for() {
        let table = [
            ("release", "hashivault://release"),
            ("my_key-1.2", "hashivault://my_key-1.2"),
            ("signing/release", "hashivault://signing/release"),
            ("team/signing/release", "hashivault://team/signing/release"),
            ("transit/keys/release", "hashivault://transit/release"),
            ("keys/release", "hashivault://keys/release"),
            ("release/versions/3", "hashivault://release/versions/3"),
            (
                "transit/keys/release/versions/3",
                "hashivault://transit/release/versions/3",
            ),
            ("release?version=3", "hashivault://release/versions/3"),
            (
                "release?version=3&namespace=admin/team/",
                "hashivault://release/versions/3?namespace=admin/team",
            ),
            ("/release/", "hashivault://release"),
        ];
        for (text, expected) in table {
            let parsed = Reference::parse(Product::Vault, text)
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.to_string(), expected, "{text}");
            let again = Reference::parse(
                Product::Vault,
                expected.strip_prefix("hashivault://").unwrap(),
            );
            assert_eq!(again, Ok(parsed), "{text}");
        }
        let openbao = Reference::parse(Product::OpenBao, "k").unwrap();
        assert_eq!(openbao.to_string(), "openbao://k");
    }

    #[test]
    fn what_is_said_of_references_that_cannot_be_right() {
        let missing =
            "the name of the key is missing: hashivault://KEY, or hashivault://ENGINE/KEY";
        let names = "is no name of a key, an engine or a namespace: letters, digits, _, - and . make one up";
        let table = [
            ("", missing.to_owned()),
            ("/", missing.to_owned()),
            ("a b", format!("\"a b\" {names}")),
            ("a//b", format!("\"\" {names}")),
            ("../k", format!("\"..\" {names}")),
            ("a%2fb", format!("\"a%2fb\" {names}")),
            ("k?version=0", "the version is not a number from 1 on".into()),
            ("k/versions/latest", "the version is not a number from 1 on".into()),
            ("k/versions/1?version=2", "it has two versions".into()),
            ("k?namespace=", format!("\"\" {names}")),
            ("k?token=hunter2", "token is no option: known are ?version=N and ?namespace=PATH".into()),
            ("vault.example.com:8200/k", "the server's address is given in VAULT_ADDR or BAO_ADDR, not here: hashivault://KEY".into()),
        ];
        for (text, expected) in table {
            assert_eq!(
                Reference::parse(Product::Vault, text),
                Err(expected),
                "{text}"
            );
        }
    }
}
