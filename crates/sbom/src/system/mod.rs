//! Packages of the operating system: what dpkg, apk and rpm keep account of, and which system it is.
//!
//! Invariant: what several files tell of a package (its state, its licences, the system's name) is combined only after
//! all layers are, so that only what survives counts.

mod apk;
mod deb;
mod os_release;
mod rpm;
mod sqlite;

pub(crate) use apk::installed as apk;
pub(crate) use deb::{copyright, status as dpkg};
pub use os_release::OsRelease;
pub(crate) use rpm::installed as rpm;

use crate::package::{Ecosystem, Package, Purl};

/// A package as its database tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
    /// What it was built from, `NAME` or `NAME@VERSION`; empty if it is the same.
    pub(crate) upstream: String,
    /// What counts more than the version, where it stands beside it.
    pub(crate) epoch: Option<u32>,
    pub(crate) supplier: Option<String>,
    pub(crate) licences: Vec<String>,
    pub(crate) needs: Vec<String>,
    /// What others may need that it gives, beside its name.
    pub(crate) provides: Vec<String>,
}

impl Installed {
    /// The package on a system.
    pub(crate) fn package(&self, ecosystem: Ecosystem, os: Option<&OsRelease>) -> Package {
        let kind = match ecosystem {
            Ecosystem::Apk => "apk",
            Ecosystem::Rpm => "rpm",
            _ => "deb",
        };
        // The names that other tools write, too: databases of vulnerabilities know these.
        let namespace = os.map(|os| match (ecosystem, os.id.as_str()) {
            (Ecosystem::Rpm, "rhel") => "redhat",
            (Ecosystem::Rpm, id) if id.starts_with("opensuse") => "opensuse",
            (_, id) => id,
        });
        let distro = os.map(OsRelease::distro).unwrap_or_default();
        let epoch = self.epoch.map(|epoch| epoch.to_string());
        let purl = Purl::new(kind, namespace, &self.name, Some(&self.version))
            .with("arch", &self.architecture)
            .with("distro", &distro)
            .with("epoch", &epoch.unwrap_or_default())
            .with("upstream", &self.upstream);
        let mut package = Package::new(ecosystem, &self.name, Some(&self.version), purl);
        package.supplier.clone_from(&self.supplier);
        package.licences.clone_from(&self.licences);
        package
    }
}

/// A value that may stand in a document: one line, not long.
fn value(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = text.len() <= 512 && !text.contains(char::is_control);
    (plain && !text.is_empty()).then(|| text.to_owned())
}
