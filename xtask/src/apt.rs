//! Debian packages without root: a private apt, one for each suite and architecture.
//!
//! Invariant: apt's state, cache and source list are below `.peers/apt/`; from the system come only its mirror,
//! its transport settings (proxies, retries) and its keyring. Every index is verified by apt against a Debian
//! archive key; there is no unverified path.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Outcome};
use crate::sources::Mirror;

/// The keyring of Debian's archive where the package debian-archive-keyring puts it.
const KEYRING: &str = "usr/share/keyrings/debian-archive-keyring.gpg";

/// Fixed settings. The first line takes the system's own, so that proxies work; what else those may contain (hooks
/// that write to the system, icons and descriptions that nobody here reads) is taken out again.
const SETTINGS: &str = r#"#include "/etc/apt/apt.conf.d/";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large;
#clear APT::Architectures;
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourceparts "/dev/null";
"#;

/// A private apt that knows one suite in one architecture.
pub(crate) struct Apt {
    suite: String,
    configuration: PathBuf,
}

impl Apt {
    /// Fetches the index of `suite` for `architecture` (as dpkg names it) below `root`.
    pub(crate) fn open(
        root: &Path,
        mirror: &Mirror,
        suite: &str,
        architecture: &str,
    ) -> Outcome<Self> {
        let folder = root.join(format!("{suite}-{architecture}"));
        for part in ["state/lists/partial", "cache/archives/partial"] {
            process::create_dir(&folder.join(part))?;
        }
        process::write(&folder.join("state/status"), "")?;
        let options = match &mirror.keyring {
            Some(file) => format!("[signed-by={file}] "),
            None => String::new(),
        };
        let sources = format!("deb {options}{} {suite} main\n", mirror.uri);
        process::write(&folder.join("sources.list"), sources)?;
        let configuration = folder.join("apt.conf");
        let at = folder.display();
        let places = format!(
            "APT::Architecture \"{architecture}\";\nAPT::Architectures \"{architecture}\";\n\
             Dir::State \"{at}/state\";\nDir::State::status \"{at}/state/status\";\n\
             Dir::Cache \"{at}/cache\";\nDir::Etc::sourcelist \"{at}/sources.list\";\n"
        );
        process::write(&configuration, format!("{SETTINGS}{places}"))?;
        let apt = Self {
            suite: suite.to_owned(),
            configuration,
        };
        process::succeed(apt.command("apt-get").args(["update", "--quiet"]))?;
        Ok(apt)
    }

    /// Downloads `package` and unpacks it below `root`, in a folder with its name and version.
    pub(crate) fn unpack(&self, root: &Path, package: &str) -> Outcome<Unpacked> {
        let download = root.join(format!(".{package}-{}.part", self.suite));
        process::remove_dir(&download)?;
        process::create_dir(&download)?;
        let mut command = self.command("apt-get");
        command
            .args(["download", "--quiet", package])
            .current_dir(&download);
        process::succeed(&mut command).map_err(|error| {
            format!(
                "cannot get the Debian package {package} from the suite {}: {error}",
                self.suite
            )
        })?;
        let archive = process::list(&download)?
            .into_iter()
            .find(|file| file.extension().is_some_and(|extension| extension == "deb"))
            .ok_or_else(|| format!("apt-get download {package} left no .deb file"))?;
        let field = |name| {
            let mut command = Command::new("dpkg-deb");
            process::succeed(command.arg("-f").arg(&archive).arg(name))
        };
        let version = field("Version")?.trim().to_owned();
        let architecture = field("Architecture")?.trim().to_owned();
        // An epoch's colon would part the entries of LD_LIBRARY_PATH.
        let name = format!("{package}-{}-{architecture}", version.replace(':', "_"));
        let target = root.join(&name);
        if !target.is_dir() {
            let tree = download.join(&name);
            process::create_dir(&tree)?;
            extract(&archive, &tree)?;
            let mut command = Command::new("dpkg-deb");
            process::succeed(
                command
                    .arg("--control")
                    .arg(&archive)
                    .arg(tree.join(CONTROL)),
            )?;
            process::rename(&tree, &target)?;
        }
        process::remove_dir(&download)?;
        Ok(Unpacked {
            package: package.to_owned(),
            version,
            tree: target,
        })
    }

    /// The shared library packages that `package` depends on, without the C library, which every Debian has.
    pub(crate) fn libraries(&self, package: &str) -> Outcome<Vec<String>> {
        let text = process::succeed(self.command("apt-cache").args(["depends", package]))?;
        let libraries = text
            .lines()
            .filter_map(|line| {
                line.trim()
                    .trim_start_matches('|')
                    .strip_prefix("Depends: ")
            })
            .filter(|name| name.starts_with("lib") && !name.starts_with("libc6"));
        Ok(libraries.map(str::to_owned).collect())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", &self.configuration)
            .env("LC_ALL", "C.UTF-8");
        command
    }
}

/// The folder in a package's tree where [`Apt::unpack`] leaves its control files, which are no part of the package's files.
pub(crate) const CONTROL: &str = ".control";

/// A package's files.
pub(crate) struct Unpacked {
    /// The package's name.
    pub(crate) package: String,
    /// Its whole Debian version, such as `3.1.1-2`.
    pub(crate) version: String,
    /// The folder that stands for `/`.
    pub(crate) tree: PathBuf,
}

impl Unpacked {
    /// The version of the program inside: without Debian's epoch, repackaging mark and revision.
    pub(crate) fn upstream(&self) -> &str {
        let version = self
            .version
            .split_once(':')
            .map_or(self.version.as_str(), |(_, rest)| rest);
        let version = version
            .rsplit_once('-')
            .map_or(version, |(upstream, _)| upstream);
        version.split(['+', '~']).next().unwrap_or(version)
    }

    /// One of the files that describe the package to dpkg: `control`, `md5sums`.
    pub(crate) fn control_file(&self, name: &str) -> Outcome<String> {
        let path = self.tree.join(CONTROL).join(name);
        String::from_utf8(process::read(&path)?)
            .map_err(|_| format!("{} is not UTF-8", path.display()).into())
    }
}

/// All files belong to whoever runs this: `dpkg-deb -x` as root would keep owners that an ordinary user can't give.
fn extract(archive: &Path, tree: &Path) -> Outcome<()> {
    let tar = tree.with_extension("tar");
    let file = std::fs::File::create(&tar)
        .map_err(|error| format!("cannot write {}: {error}", tar.display()))?;
    let mut command = Command::new("dpkg-deb");
    process::show(command.arg("--fsys-tarfile").arg(archive).stdout(file))?;
    let mut command = Command::new("tar");
    command
        .args([
            "--extract",
            "--preserve-permissions",
            "--no-same-owner",
            "--file",
        ])
        .arg(&tar);
    process::succeed(command.arg("--directory").arg(tree))?;
    std::fs::remove_file(&tar)
        .map_err(|error| format!("cannot remove {}: {error}", tar.display()).into())
}

/// Opens `suite`, which may be newer than the system: if the system's keyring lacks its key, the system's own suite,
/// which that keyring does verify, provides a newer one.
pub(crate) fn open_foreign(
    root: &Path,
    mirror: &Mirror,
    own: &Apt,
    suite: &str,
    architecture: &str,
) -> Outcome<Apt> {
    let first = match Apt::open(root, mirror, suite, architecture) {
        Ok(apt) => return Ok(apt),
        Err(error) => error.to_string(),
    };
    if !lacks_key(&first) {
        return Err(first.into());
    }
    println!(
        "the keyring of this machine cannot verify the suite {suite}; trying the newest \
         debian-archive-keyring of {}",
        own.suite
    );
    let package = own.unpack(root, "debian-archive-keyring")?;
    let keyring = package.tree.join(KEYRING).display().to_string();
    let mirror = Mirror {
        uri: mirror.uri.clone(),
        keyring: Some(keyring),
    };
    Apt::open(root, &mirror, suite, architecture).map_err(|second| {
        format!(
            "the suite {suite} is signed with a key that neither this machine's keyring nor \
             debian-archive-keyring {} has, and it is not used unverified: {second}",
            package.version
        )
        .into()
    })
}

fn lacks_key(error: &str) -> bool {
    [
        "NO_PUBKEY",
        "couldn't be verified",
        "is not signed",
        "Missing key",
    ]
    .iter()
    .any(|text| error.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_version_is_debians_without_epoch_mark_and_revision() {
        for (version, upstream) in [
            ("3.1.1-2", "3.1.1"),
            ("2.5.0-2+b8", "2.5.0"),
            ("1:1.35.0-4+b7", "1.35.0"),
            ("1.9.3+ds1-1+b9", "1.9.3"),
            ("2.8.2~ds1-1", "2.8.2"),
        ] {
            let package = Unpacked {
                package: "p".into(),
                version: version.into(),
                tree: PathBuf::new(),
            };
            assert_eq!(package.upstream(), upstream);
        }
    }

    #[test]
    fn only_a_missing_key_leads_to_another_keyring() {
        assert!(lacks_key(
            "W: GPG error: sid InRelease: ... NO_PUBKEY 6ED0E7B82643E131"
        ));
        assert!(!lacks_key(
            "E: Failed to fetch http://a.example/dists/sid/InRelease 404"
        ));
    }
}
