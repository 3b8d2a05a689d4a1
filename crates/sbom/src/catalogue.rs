//! What all files tell, put together: one package for each package URL, with all its places.

use std::collections::{BTreeMap, BTreeSet};

use sealmark_formats::Digest;

use crate::found::{Found, documentation_of};
use crate::layer::{Layer, MAX_PROBLEMS, merge};
use crate::package::{Ecosystem, Location, Package};
use crate::system::{Installed, OsRelease};

/// Packages that give one name. The mail servers of Debian are some thirty.
const MAX_PROVIDERS: usize = 64;
/// Dependencies between packages of systems. A full Debian has some 30,000.
const MAX_EDGES: usize = 1_000_000;
/// Dependencies of one package: they are compared one by one.
const MAX_NEEDS: usize = 4096;
/// Versions of a package among which the one that is meant is looked for, and places of each that are compared.
const MAX_VERSIONS: usize = 8;
const MAX_PLACES: usize = 8;
/// Links from one package's documentation to another's.
const MAX_LINKS: usize = 8;

/// What an SBOM is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// For people: the reference without the digest, or the directory.
    pub name: String,
    /// Of the image; none for a directory.
    pub digest: Option<Digest>,
    /// The package URL of an image in a registry.
    pub purl: Option<String>,
}

/// The packages in something.
#[derive(Clone, Debug)]
pub struct Sbom {
    /// What they are in.
    pub subject: Subject,
    /// The operating system, if it names itself.
    pub os: Option<OsRelease>,
    /// The packages, by package URL; each is there once.
    pub packages: Vec<Package>,
    /// What could not be read, so that packages may be missing; with the place.
    pub problems: Vec<String>,
}

impl Sbom {
    pub(crate) fn of(subject: Subject, layers: &[Layer]) -> Self {
        let merged = merge(layers);
        let os = ["etc/os-release", "usr/lib/os-release"]
            .iter()
            .find_map(|path| match merged.get(path) {
                Some((Found::OsRelease(os), _)) => Some(os.clone()),
                _ => None,
            });
        let mut problems: Vec<String> = layers
            .iter()
            .flat_map(|layer| layer.problems.iter().cloned())
            .collect();
        let mut packages: BTreeMap<String, Package> = BTreeMap::new();
        let licences = Licences::of(&merged);
        let mut edges = MAX_EDGES;
        let systems = [Ecosystem::Deb, Ecosystem::Apk, Ecosystem::Rpm]
            .map(|kind| (kind, providers(&merged, kind)));
        for (path, (found, layer)) in &merged {
            let location = Location {
                path: format!("/{path}"),
                layer: layer.cloned(),
            };
            let mut of_system = |kind: Ecosystem, list: &[Installed]| -> Vec<Package> {
                let providers = systems.iter().find(|(other, _)| *other == kind);
                let mut complete = |one: &Installed| {
                    let mut package = one.package(kind, os.as_ref());
                    if kind == Ecosystem::Deb {
                        package.licences = licences.of_package(&one.name);
                    }
                    let needs = one.needs.iter().filter_map(|need| {
                        let (_, providers) = providers?;
                        providers.get(need.as_str())
                    });
                    // Who gives a name that many give is not known.
                    let needs = needs.filter(|providers| providers.len() <= MAX_PROVIDERS);
                    let needs: BTreeSet<&str> = needs.flatten().copied().take(edges).collect();
                    edges -= needs.len();
                    package.depends_on = needs.into_iter().map(str::to_owned).collect();
                    package
                };
                list.iter().map(&mut complete).collect()
            };
            let told = match found {
                Found::Packages(told) => told.clone(),
                Found::Dpkg(list) => of_system(Ecosystem::Deb, list),
                Found::Apk(list) => of_system(Ecosystem::Apk, list),
                Found::Rpm(list) => of_system(Ecosystem::Rpm, list),
                Found::Unread(problem) => {
                    problems.push(format!("/{path}: {problem}"));
                    continue;
                }
                Found::Copyright(_) | Found::SameDocumentation(_) | Found::OsRelease(_) => continue,
            };
            for package in told {
                add(&mut packages, package, &location);
            }
        }
        if edges == 0 {
            problems.push(format!(
                "more than {MAX_EDGES} dependencies of packages on others; the rest is left out"
            ));
        }
        if problems.len() > MAX_PROBLEMS {
            let more = problems.len() - MAX_PROBLEMS;
            problems.truncate(MAX_PROBLEMS);
            problems.push(format!("and {more} more"));
        }
        Self {
            subject,
            os,
            packages: packages.into_values().collect(),
            problems,
        }
    }

    /// For each package those that it needs and that are there, by their place in [`packages`](Self::packages).
    pub(crate) fn dependencies(&self) -> Vec<BTreeSet<usize>> {
        let mut by_name: BTreeMap<(Ecosystem, &str), Vec<usize>> = BTreeMap::new();
        for (number, package) in self.packages.iter().enumerate() {
            let key = (package.ecosystem, package.name.as_str());
            by_name.entry(key).or_default().push(number);
        }
        let needs = |(own, package): (usize, &Package)| {
            let found = package.depends_on.iter().filter_map(|name| {
                let known = by_name.get(&(package.ecosystem, name.as_str()))?;
                // Of several versions, it is the one in the same program or lock file; else nobody says which is meant.
                let beside = |other: &&usize| {
                    let places = &self.packages[**other].locations;
                    let own = || package.locations.iter().take(MAX_PLACES);
                    let mut places = places.iter().take(MAX_PLACES);
                    places.any(|place| own().any(|own| own == place))
                };
                match known.as_slice() {
                    [one] => Some(*one),
                    several if several.len() > MAX_VERSIONS => None,
                    several => {
                        let mut beside = several.iter().filter(beside);
                        let one = beside.next()?;
                        beside.next().is_none().then_some(*one)
                    }
                }
            });
            found.filter(|other| *other != own).collect()
        };
        self.packages.iter().enumerate().map(needs).collect()
    }
}

fn add(packages: &mut BTreeMap<String, Package>, mut package: Package, location: &Location) {
    let known = match packages.entry(package.purl.to_string()) {
        std::collections::btree_map::Entry::Vacant(free) => {
            package.locations = vec![location.clone()];
            free.insert(package);
            return;
        }
        std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
    };
    let join = |list: &mut Vec<String>, more: Vec<String>| {
        for one in more {
            if list.len() < MAX_NEEDS && !list.contains(&one) {
                list.push(one);
            }
        }
    };
    join(&mut known.licences, package.licences);
    join(&mut known.depends_on, package.depends_on);
    if known.supplier.is_none() {
        known.supplier = package.supplier;
    }
    if !known.locations.contains(location) {
        known.locations.push(location.clone());
    }
}

type Merged<'a> = BTreeMap<&'a str, (&'a Found, Option<&'a Digest>)>;

/// Who gives what others need: each name, and what else it provides.
fn providers<'a>(merged: &Merged<'a>, kind: Ecosystem) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut providers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (found, _) in merged.values() {
        let ((Found::Dpkg(list), Ecosystem::Deb)
        | (Found::Apk(list), Ecosystem::Apk)
        | (Found::Rpm(list), Ecosystem::Rpm)) = (found, kind)
        else {
            continue;
        };
        for one in list {
            for name in one.provides.iter().chain([&one.name]) {
                providers.entry(name).or_default().insert(&one.name);
            }
        }
    }
    providers
}

/// The licences of packages by the names of their documentation.
struct Licences<'a> {
    texts: BTreeMap<&'a str, &'a [String]>,
    links: BTreeMap<&'a str, &'a str>,
}

impl<'a> Licences<'a> {
    fn of(merged: &Merged<'a>) -> Self {
        let (mut texts, mut links) = (BTreeMap::new(), BTreeMap::new());
        for (path, (found, _)) in merged {
            let Some((name, _)) = documentation_of(path) else {
                continue;
            };
            match found {
                Found::Copyright(licences) => drop(texts.insert(name, licences.as_slice())),
                Found::SameDocumentation(other) => drop(links.insert(name, other.as_str())),
                _ => {}
            }
        }
        Self { texts, links }
    }

    fn of_package(&self, name: &str) -> Vec<String> {
        let mut name = name;
        for _ in 0..MAX_LINKS {
            if let Some(licences) = self.texts.get(name) {
                return licences.to_vec();
            }
            match self.links.get(name) {
                Some(other) => name = other,
                None => break,
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everybody gives what everybody needs: without a bound, that is the square of it.
    #[test]
    fn what_many_give_is_not_multiplied() {
        const MANY: usize = 20_000;
        let package = |number: usize| Installed {
            name: format!("p{number}"),
            needs: vec!["z".to_owned()],
            provides: vec!["z".to_owned()],
            ..Installed::default()
        };
        let list = (0..MANY).map(package).collect();
        let mut layer = Layer::default();
        layer
            .found
            .insert("var/lib/dpkg/status".to_owned(), Found::Dpkg(list));
        let subject = Subject {
            name: "x".to_owned(),
            digest: None,
            purl: None,
        };
        let sbom = Sbom::of(subject, &[layer]);
        assert_eq!(sbom.packages.len(), MANY);
        assert!(
            sbom.packages
                .iter()
                .all(|package| package.depends_on.is_empty())
        );
    }

    /// Two programs in one image, with one module in two versions: each needs its own.
    #[test]
    fn of_several_versions_the_one_in_the_same_program_is_needed() {
        let module = |name: &str, version: &str| {
            let purl = crate::Purl::new("golang", None, name, Some(version));
            Package::new(Ecosystem::Go, name, Some(version), purl)
        };
        let mut layer = Layer::default();
        for (program, version) in [("bin/a", "v1.0.0"), ("bin/b", "v2.0.0")] {
            let mut own = module(program, "v0.1.0");
            own.depends_on = vec!["text".to_owned(), "other".to_owned()];
            let mut told = vec![own, module("text", version)];
            // A third version, in no program of these.
            told.push(module("other", version));
            layer
                .found
                .insert(program.to_owned(), Found::Packages(told));
        }
        let third = vec![module("other", "v3.0.0")];
        layer
            .found
            .insert("go.sum".to_owned(), Found::Packages(third));
        let subject = Subject {
            name: "x".to_owned(),
            digest: None,
            purl: None,
        };
        let sbom = Sbom::of(subject, &[layer]);
        let needs = sbom.dependencies();
        for (program, version) in [("bin/a", "v1.0.0"), ("bin/b", "v2.0.0")] {
            let own = sbom.packages.iter().position(|one| one.name == program);
            let needed: Vec<(&str, Option<&str>)> = needs[own.expect("it is there")]
                .iter()
                .map(|number| &sbom.packages[*number])
                .map(|one| (one.name.as_str(), one.version.as_deref()))
                .collect();
            assert_eq!(needed, [("other", Some(version)), ("text", Some(version))]);
        }
    }
}
