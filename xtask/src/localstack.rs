//! LocalStack: an AWS whose KMS makes real signatures, out of packages of the Python index.
//!
//! Invariant: every package has the version that was looked at. 4.14 is the last one that runs without an account at its
//! maker's. What only its other services need is left out, and no other service is started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::process::{self, Outcome};
use crate::sigstore_python::install_with;

const VERSION: &str = "4.14.0";

/// The name in `.peers/bin` that never changes.
const ALIAS: &str = "localstack";

/// It has the grammar of this Python.
const MINOR: u32 = 12;

/// What its KMS and STS import.
const PACKAGES: &[&str] = &[
    "annotated-types==0.8.0",
    "antlr4-python3-runtime==4.13.2",
    "apispec==6.10.1",
    "asn1crypto==1.5.1",
    "attrs==26.1.0",
    "boto3==1.42.54",
    "botocore==1.42.54",
    "cachetools==8.0.1",
    "cbor2==5.7.1",
    "certifi==2026.10.18",
    "cffi==2.1.1",
    "charset-normalizer==3.5.2",
    "click==8.5.1",
    "constantly==23.10.4",
    "cryptography==44.0.3",
    "decorator==5.3.1",
    "dill==0.3.6",
    "dnslib==0.9.26",
    "dnspython==2.9.2",
    "Events==0.5",
    "h11==0.16.0",
    "h2==4.4.1",
    "hpack==4.2.0",
    "Hypercorn==0.18.0",
    "hyperframe==6.1.0",
    "hyperlink==21.0.0",
    "idna==3.20",
    "Incremental==24.11.0",
    "isodate==0.7.2",
    "Jinja2==3.1.6",
    "jmespath==1.1.0",
    "joserfc==1.0.4",
    "jsonpatch==1.47",
    "jsonpath-ng==1.16.0",
    "jsonpointer==3.12",
    "jsonschema==4.26.0",
    "jsonschema-path==0.4.6",
    "jsonschema-specifications==2025.9.1",
    "lazy-object-proxy==1.13.0",
    "localstack-core==4.14.0",
    "localstack-twisted==26.4.0",
    "markdown-it-py==4.3.0",
    "MarkupSafe==3.0.4",
    "mdurl==0.1.2",
    "more-itertools==11.2.1",
    "moto-ext==5.1.54",
    "multipart==2.0.1",
    "openapi-core==0.23.1",
    "openapi-schema-validator==0.8.1",
    "openapi-spec-validator==0.8.5",
    "packaging==26.3",
    "pathable==0.5.0",
    "plux==1.16.0",
    "ply==3.11",
    "priority==1.3.0",
    "psutil==7.2.2",
    "pyasn1==0.6.5",
    "pyasn1_modules==0.4.2",
    "pycparser==3.12",
    "pydantic==2.13.5",
    "pydantic_core==2.46.5",
    "pydantic-settings==2.16.3",
    "Pygments==2.21.0",
    "pyOpenSSL==24.3.0",
    "pyparsing==3.3.3",
    "python-dateutil==2.9.0.post0",
    "python-dotenv==1.2.4",
    "PyYAML==6.0.3",
    "readerwriterlock==1.0.10",
    "referencing==0.37.0",
    "requests==2.34.2",
    "requests-aws4auth==1.4.0",
    "responses==0.26.3",
    "rfc3339-validator==0.1.4",
    "rich==15.0.0",
    "rolo==0.8.9",
    "rpds-py==2026.9.1",
    "s3transfer==0.16.1",
    "semver==3.1.1",
    "service-identity==24.2.0",
    "six==1.17.0",
    "typing_extensions==4.16.0",
    "typing-inspection==0.4.5",
    "urllib3==2.8.0",
    "Werkzeug==3.1.9",
    "wrapt==2.5.2",
    "wsproto==1.3.2",
    "xmltodict==1.0.4",
    "zope.interface==8.7",
];

/// Puts `localstack` into `.peers/bin`: a script that serves KMS and STS at the address that it is given.
pub(crate) fn fetch(root: &Path) -> Outcome<()> {
    let program = root.join("bin").join(ALIAS);
    let marker = root.join(format!("{ALIAS}-{VERSION}")).join("complete");
    if program.is_file() && marker.is_file() {
        println!("{ALIAS:<16} {VERSION} (was there)");
        return Ok(());
    }
    let start = Instant::now();
    let Some(python) = python() else {
        println!(
            "{ALIAS:<16} left out: it needs Python 3.{MINOR} or newer, with pip, and there is none on PATH or in ~/.pyenv; the \
             tests with it will say that they are skipped"
        );
        return Ok(());
    };
    install_with(
        &python,
        root,
        ALIAS,
        VERSION,
        PACKAGES,
        "-m localstack.runtime.main ",
    )
    .map_err(|error| format!("cannot get {ALIAS} {VERSION}: {error}"))?;
    let name = format!("{ALIAS}-{VERSION}");
    let script = format!(
        "#!/bin/sh\n# Written by `cargo xtask peers`. Usage: {ALIAS} 127.0.0.1:PORT\n\
         peers=$(dirname \"$(dirname \"$(readlink -f \"$0\")\")\")\n\
         export PYTHONPATH=\"$peers/{name}\" PYTHONDONTWRITEBYTECODE=1\n\
         export GATEWAY_LISTEN=\"$1\" SERVICES=kms,sts STRICT_SERVICE_LOADING=1\n\
         export LOCALSTACK_VOLUME_DIR=\"$PWD/localstack/volume\" FILESYSTEM_ROOT=\"$PWD/localstack\"\n\
         # It downloads nothing, tells nobody, and keeps to the address that it was given.\n\
         export SKIP_SSL_CERT_DOWNLOAD=1 DISABLE_EVENTS=1 DNS_ADDRESS=0 GATEWAY_SERVER=hypercorn\n\
         echo 'starting LocalStack'\n\
         exec \"{}\" -m localstack.runtime.main\n",
        python.display()
    );
    process::write(&root.join("bin").join(&name), script)?;
    process::write(&marker, "")?;
    println!(
        "{ALIAS:<16} {VERSION} ({:.1} s)",
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

/// A Python that is new enough: one on `PATH`, or one of pyenv's.
fn python() -> Option<PathBuf> {
    let names = ["python3", "python3.14", "python3.13", "python3.12"];
    let on_path = names.iter().filter_map(|name| process::on_path(name));
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let versions = pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
    let mut own: Vec<PathBuf> = versions
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin/python3")))
        .collect();
    own.sort();
    on_path.chain(own).find_map(|python| is_new_enough(&python))
}

/// The interpreter itself, and not a script that looks for one.
fn is_new_enough(python: &Path) -> Option<PathBuf> {
    let probe = format!(
        "import sys, pip; sys.version_info >= (3, {MINOR}) or sys.exit(1); print(sys.executable)"
    );
    let found = process::succeed(Command::new(python).args(["-c", &probe])).ok()?;
    Some(PathBuf::from(found.trim()))
}
