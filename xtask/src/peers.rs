//! `cargo xtask peers`: the programs of other projects that the tests run against.
//!
//! Invariant: `.peers/bin` holds each program under its real version (`cosign-3.1.1`) and under the stable name by
//! which tests ask for it (`cosign3`). What is there is used again without any network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::apt::{self, Apt, Unpacked};
use crate::process::{self, Outcome};
use crate::{
    cargo_deny, go_programs, image, libraries, localstack, node, openbao, python, softhsm, sources,
};

/// A program that tests run.
struct Peer {
    /// The name in `.peers/bin` that never changes.
    alias: &'static str,
    /// The Debian package.
    package: &'static str,
    /// The program's file in `/usr/bin`.
    program: &'static str,
    /// The Debian suite; `None` is the machine's own, whose C library its programs need.
    suite: Option<&'static str>,
    /// The version that the tests were written against.
    wanted: Option<&'static str>,
    /// What proves that it runs here: its arguments.
    probe: &'static str,
    /// Arguments that the program always gets; `@` is the folder `.peers`, `%` the one that stands for `/`.
    arguments: &'static str,
    /// Whether the machine's own program, where there is one, is as good.
    system: bool,
}

const PEERS: [Peer; 12] = [
    Peer {
        alias: "cosign3",
        package: "cosign",
        program: "cosign",
        suite: Some("sid"),
        wanted: Some("3.1.1"),
        probe: "version",
        arguments: "",
        system: false,
    },
    Peer {
        alias: "cosign2",
        package: "cosign",
        program: "cosign",
        suite: Some("trixie"),
        wanted: Some("2.5.0"),
        probe: "version",
        arguments: "",
        system: false,
    },
    Peer {
        alias: "gitsign",
        package: "gitsign",
        program: "gitsign",
        suite: Some("sid"),
        wanted: Some("0.16.1"),
        probe: "version",
        arguments: "",
        system: false,
    },
    Peer {
        alias: "rekor-cli",
        package: "rekor",
        program: "rekor-cli",
        suite: Some("sid"),
        wanted: Some("1.5.3"),
        probe: "version",
        arguments: "",
        system: false,
    },
    Peer {
        alias: "litewitness",
        package: "torchwood",
        program: "litewitness",
        suite: Some("sid"),
        wanted: Some("0.9.0"),
        probe: "-h",
        arguments: "",
        system: false,
    },
    Peer {
        alias: "witnessctl",
        package: "torchwood",
        program: "witnessctl",
        suite: Some("sid"),
        wanted: Some("0.9.0"),
        probe: "list-logs -h",
        arguments: "",
        system: false,
    },
    Peer {
        alias: "oras",
        package: "oras",
        program: "oras",
        suite: Some("sid"),
        wanted: None,
        probe: "version",
        arguments: "",
        system: false,
    },
    Peer {
        alias: "skopeo",
        package: "skopeo",
        program: "skopeo",
        suite: None,
        wanted: None,
        probe: "--version",
        // Its default policy is a file of /etc that only the installed package provides.
        arguments: r#"--policy "@/etc/policy.json""#,
        system: false,
    },
    Peer {
        alias: "umoci",
        package: "umoci",
        program: "umoci",
        suite: None,
        wanted: None,
        probe: "--version",
        arguments: "",
        system: false,
    },
    Peer {
        alias: "docker-registry",
        package: "docker-registry",
        program: "docker-registry",
        suite: None,
        wanted: None,
        probe: "--version",
        arguments: "",
        system: false,
    },
    Peer {
        alias: "openssl",
        package: "openssl",
        program: "openssl",
        suite: None,
        wanted: None,
        probe: "version",
        arguments: "",
        system: true,
    },
    // What gitsign signs for. Its own programs are where the installed package would have them.
    Peer {
        alias: "git",
        package: "git",
        program: "git",
        suite: None,
        wanted: None,
        probe: "--version",
        arguments: r#"--exec-path="%/usr/lib/git-core""#,
        system: true,
    },
];

/// What only benchmarks run: fetched when the first one asks for it.
const BENCH_PEERS: [Peer; 1] = [Peer {
    alias: "sigstore-go",
    package: "sigstore-go",
    program: "sigstore-go-verification",
    suite: Some("sid"),
    wanted: Some("1.3.0"),
    probe: "-help",
    arguments: "",
    system: false,
}];

/// The folder for all that is fetched or built for tests.
pub(crate) fn folder(checkout: &Path) -> PathBuf {
    checkout.join(".peers")
}

/// Fetches what is missing, then builds the test images.
pub(crate) fn fetch(checkout: &Path) -> Outcome<()> {
    let root = folder(checkout);
    let _lock = lock(&root)?;
    process::write(&root.join("etc/policy.json"), POLICY)?;
    let mut archive = None;
    for peer in &PEERS {
        obtain(&root, peer, &mut archive)?;
    }
    cargo_deny::fetch(&root)?;
    python::fetch(&root)?;
    node::fetch(&root)?;
    localstack::fetch(&root)?;
    go_programs::go(&root, &mut archive)?;
    go_programs::REKOR_TILES.fetch_in(&root, &mut archive)?;
    softhsm::fetch_in(&root, &mut archive)?;
    openbao::fetch(&root)?;
    image::build_in(&root, &mut archive)
}

/// Fetches what only benchmarks need; the reasons why a peer of theirs is not there, each complete in itself.
pub(crate) fn fetch_for_bench(checkout: &Path) -> Outcome<Vec<String>> {
    let root = folder(checkout);
    let _lock = lock(&root)?;
    let mut archive = None;
    Ok(BENCH_PEERS
        .iter()
        .filter_map(|peer| obtain(&root, peer, &mut archive).err())
        .map(|error| error.to_string())
        .collect())
}

fn obtain(root: &Path, peer: &Peer, archive: &mut Option<Archive>) -> Outcome<()> {
    let start = Instant::now();
    let how = if peer.system && process::on_path(peer.program).is_some() {
        "the machine's own".to_owned()
    } else if let Some(version) = present(root, peer) {
        format!("{version} (was there)")
    } else {
        let archive = match archive {
            Some(archive) => archive,
            empty => empty.insert(Archive::open(root)?),
        };
        let version = archive.fetch(root, peer)?;
        format!("{version} ({:.1} s)", start.elapsed().as_secs_f32())
    };
    println!("{:<16} {how}", peer.alias);
    Ok(())
}

/// Two runs at once would write the same files. The lock ends with the process.
pub(crate) fn lock(root: &Path) -> Outcome<fs::File> {
    process::create_dir(root)?;
    let path = root.join("lock");
    let error = |error: std::io::Error| format!("cannot lock {}: {error}", path.display());
    let file = fs::File::create(&path).map_err(error)?;
    file.lock().map_err(error)?;
    Ok(file)
}

/// For skopeo: test images carry no signature of its kind.
const POLICY: &str = "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}\n";

/// The version of `peer` that is there, if it was fetched for the same wish.
fn present(root: &Path, peer: &Peer) -> Option<String> {
    let wish = fs::read_to_string(wish_file(root, peer)).ok()?;
    let version = wish.strip_prefix(&wish_of(peer))?.trim().to_owned();
    root.join("bin")
        .join(peer.alias)
        .is_file()
        .then_some(version)
}

fn wish_file(root: &Path, peer: &Peer) -> PathBuf {
    root.join("state").join(peer.alias)
}

fn wish_of(peer: &Peer) -> String {
    let suite = peer.suite.unwrap_or("own suite");
    format!(
        "{} from {suite}, wanted {}: ",
        peer.package,
        peer.wanted.unwrap_or("any")
    )
}

/// Debian's archive, as this machine reaches it. Each suite's index is fetched when the first package is.
pub(crate) struct Archive {
    /// The folder `.peers`.
    root: PathBuf,
    mirror: sources::Mirror,
    codename: String,
    architecture: String,
    suites: Vec<(String, String, Apt)>,
}

impl Archive {
    /// Finds the machine's mirror, suite and architecture.
    pub(crate) fn open(peers: &Path) -> Outcome<Self> {
        for program in ["apt-get", "apt-cache", "dpkg", "dpkg-deb", "tar"] {
            if process::on_path(program).is_none() {
                return Err(format!(
                    "{program} is not on this machine: the peers are Debian packages, so this \
                     command needs Debian"
                )
                .into());
            }
        }
        let release = process::read(Path::new("/etc/os-release"))?;
        let release = String::from_utf8_lossy(&release);
        let codename = release
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
            .map(|name| name.trim_matches('"').to_owned())
            .ok_or("/etc/os-release has no VERSION_CODENAME: which Debian is this?")?;
        let mirror = sources::mirror(Path::new("/etc/apt"), &codename).ok_or_else(|| {
            format!("no source in /etc/apt has the suite {codename} with the component main")
        })?;
        let architecture = process::succeed(Command::new("dpkg").arg("--print-architecture"))?
            .trim()
            .to_owned();
        Ok(Self {
            root: peers.to_path_buf(),
            mirror,
            codename,
            architecture,
            suites: Vec::new(),
        })
    }

    /// Unpacks a package of the machine's own suite for `architecture`.
    pub(crate) fn unpack(&mut self, package: &str, architecture: &str) -> Outcome<Unpacked> {
        let codename = self.codename.clone();
        let trees = self.root.join("deb");
        self.suite(&codename, architecture)?.unpack(&trees, package)
    }

    /// Unpacks a package of the machine's own suite and architecture.
    pub(crate) fn unpack_own(&mut self, package: &str) -> Outcome<Unpacked> {
        let architecture = self.architecture.clone();
        self.unpack(package, &architecture)
    }

    /// Unpacks a package of another suite for the machine's own architecture.
    pub(crate) fn unpack_from(&mut self, suite: &str, package: &str) -> Outcome<Unpacked> {
        let architecture = self.architecture.clone();
        let trees = self.root.join("deb");
        self.suite(suite, &architecture)?.unpack(&trees, package)
    }

    /// The suite's apt, opened when it is first asked for.
    fn suite(&mut self, suite: &str, architecture: &str) -> Outcome<&Apt> {
        let at = match self.position(suite, architecture) {
            Some(at) => at,
            None => {
                let apt = self.open_suite(suite, architecture)?;
                self.suites
                    .push((suite.to_owned(), architecture.to_owned(), apt));
                self.suites.len() - 1
            }
        };
        Ok(&self.suites[at].2)
    }

    fn position(&self, suite: &str, architecture: &str) -> Option<usize> {
        self.suites
            .iter()
            .position(|(s, a, _)| s == suite && a == architecture)
    }

    fn open_suite(&mut self, suite: &str, architecture: &str) -> Outcome<Apt> {
        let root = self.root.join("apt");
        let mirror = self.mirror.clone();
        println!(
            "reading the index of {suite} for {architecture} from {}",
            mirror.uri
        );
        if suite == self.codename {
            return Apt::open(&root, &mirror, suite, architecture);
        }
        let codename = self.codename.clone();
        let own = self.suite(&codename, architecture)?;
        apt::open_foreign(&root, &mirror, own, suite, architecture)
    }

    /// Fetches `peer` and proves that it runs; the version that came.
    fn fetch(&mut self, root: &Path, peer: &Peer) -> Outcome<String> {
        let suite = peer.suite.unwrap_or(&self.codename).to_owned();
        let (alias, package) = (peer.alias, peer.package);
        self.fetch_from(root, peer, &suite).map_err(|error| {
            format!("cannot get {alias} (the Debian package {package} of {suite}): {error}").into()
        })
    }

    fn fetch_from(&mut self, root: &Path, peer: &Peer, suite: &str) -> Outcome<String> {
        let architecture = self.architecture.clone();
        let trees = root.join("deb");
        let apt = self.suite(suite, &architecture)?;
        let package = apt.unpack(&trees, peer.package)?;
        let version = package.upstream().to_owned();
        if let Some(wanted) = peer.wanted.filter(|wanted| *wanted != version) {
            println!(
                "{suite} no longer has {} {wanted}: using {version}",
                peer.package
            );
        }
        let program = package.tree.join("usr/bin").join(peer.program);
        let libraries = libraries::missing(apt, &trees, peer.package, &program)?;
        let bin = root.join("bin");
        process::create_dir(&bin)?;
        let name = format!("{}-{version}", peer.program);
        if libraries.is_empty() && peer.arguments.is_empty() {
            link(&relative(root, &program)?, &bin.join(&name))?;
        } else {
            let tree = relative(root, &package.tree)?;
            let tree = tree.display().to_string().replacen("..", "$peers", 1);
            let arguments = peer.arguments.replace('%', &tree);
            wrap_with(root, &program, &libraries, &arguments, &bin.join(&name))?;
        }
        process::succeed(Command::new(bin.join(&name)).args(peer.probe.split(' '))).map_err(
            |error| {
                format!(
                    "{} {} of the suite {suite} does not run on this machine: {error}",
                    peer.package, package.version
                )
            },
        )?;
        link(Path::new(&name), &bin.join(peer.alias))?;
        process::write(
            &wish_file(root, peer),
            format!("{}{version}\n", wish_of(peer)),
        )?;
        Ok(version)
    }
}

/// A script beside the links, for a program that needs libraries or arguments. It finds everything from its own place,
/// so that the checkout can be moved.
pub(crate) fn wrap_with(
    root: &Path,
    program: &Path,
    libraries: &[PathBuf],
    arguments: &str,
    to: &Path,
) -> Outcome<()> {
    let inside = |path: &Path| -> Outcome<String> {
        let relative = path
            .strip_prefix(root)
            .map_err(|_| "a peer is outside .peers")?;
        Ok(format!("$peers/{}", relative.display()))
    };
    let mut text = String::new();
    if !libraries.is_empty() {
        let folders: Vec<String> = libraries
            .iter()
            .map(|folder| inside(folder))
            .collect::<Outcome<_>>()?;
        text += &format!("export LD_LIBRARY_PATH=\"{}\"\n", folders.join(":"));
    }
    let arguments = arguments.replace('@', "$peers");
    text += &format!("exec \"{}\" {arguments} \"$@\"\n", inside(program)?);
    write_script(to, &text)
}

/// Puts a script `alias-VERSION` into `.peers/bin`, and a link `alias` to it. In `text`, `$peers` is the folder `.peers`.
pub(crate) fn script(root: &Path, alias: &str, version: &str, text: &str) -> Outcome<()> {
    let (bin, name) = (root.join("bin"), format!("{alias}-{version}"));
    write_script(&bin.join(&name), text)?;
    link(Path::new(&name), &bin.join(alias))
}

/// It finds everything from its own place, so that the checkout can be moved.
fn write_script(to: &Path, text: &str) -> Outcome<()> {
    // A link that was here before must not lead the script into another file.
    remove(to)?;
    process::write(
        to,
        format!(
            "#!/bin/sh\n# Written by `cargo xtask peers`.\n\
             peers=$(dirname \"$(dirname \"$(readlink -f \"$0\")\")\")\n{text}"
        ),
    )?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(to, mode)
        .map_err(|error| format!("cannot make {} executable: {error}", to.display()).into())
}

/// `path` as seen from `.peers/bin`.
pub(crate) fn relative(root: &Path, path: &Path) -> Outcome<PathBuf> {
    let inside = path
        .strip_prefix(root)
        .map_err(|_| "a peer is outside .peers")?;
    Ok(Path::new("..").join(inside))
}

/// Puts a symbolic link, in place of whatever was there.
pub(crate) fn link(target: &Path, at: &Path) -> Outcome<()> {
    remove(at)?;
    std::os::unix::fs::symlink(target, at)
        .map_err(|error| format!("cannot link {}: {error}", at.display()).into())
}

fn remove(path: &Path) -> Outcome<()> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("cannot remove {}: {error}", path.display()).into()),
    }
}
