//! LocalStack: an AWS whose KMS makes real signatures, out of packages of the Python index.
//!
//! Invariant: every package has the version that was looked at. 4.4 runs with every Python that a Debian since 12 has, and
//! without an account at its maker's, as later ones do not. What only its other services need is left out.

use std::path::Path;
use std::time::Instant;

use crate::process::{self, Outcome};
use crate::{peers, python};

const VERSION: &str = "4.4.0";

/// The name in `.peers/bin` that never changes.
const ALIAS: &str = "localstack";

/// What its KMS and STS import.
const PACKAGES: &[&str] = &[
    "annotated-types==0.8.0",
    "antlr4-python3-runtime==4.13.2",
    "apispec==6.10.1",
    "attrs==26.1.0",
    "boto3==1.38.8",
    "botocore==1.38.8",
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
    "json5==0.17.3",
    "jsonpatch==1.47",
    "jsonpath-ng==1.16.0",
    "jsonpointer==3.12",
    "jsonschema==4.26.0",
    "jsonschema-path==0.4.6",
    "jsonschema-specifications==2025.9.1",
    "lazy-object-proxy==1.13.0",
    "localstack-core==4.4.0",
    "localstack-twisted==26.4.0",
    "markdown-it-py==4.3.0",
    "MarkupSafe==3.0.4",
    "mdurl==0.1.2",
    "more-itertools==11.2.1",
    "moto-ext==5.1.4.post1",
    "multipart==2.0.1",
    "openapi-core==0.23.1",
    "openapi-schema-validator==0.8.1",
    "openapi-spec-validator==0.8.5",
    "packaging==26.3",
    "pathable==0.5.0",
    "plux==1.12.1",
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
    "s3transfer==0.12.0",
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

/// What the script does before it becomes LocalStack: it serves KMS and STS at the address that it is given, downloads
/// nothing, tells nobody, and keeps its files in the folder where it is run.
const SETTINGS: &str = "\
# Usage: localstack 127.0.0.1:PORT
export GATEWAY_LISTEN=\"$1\" GATEWAY_SERVER=hypercorn DNS_ADDRESS=0
export SERVICES=kms,sts STRICT_SERVICE_LOADING=1 SKIP_SSL_CERT_DOWNLOAD=1 DISABLE_EVENTS=1
export LOCALSTACK_VOLUME_DIR=\"$PWD/localstack/volume\" FILESYSTEM_ROOT=\"$PWD/localstack\"
echo 'starting LocalStack'
";

/// Puts `localstack` into `.peers/bin`.
pub(crate) fn fetch(root: &Path) -> Outcome<()> {
    let program = root.join("bin").join(ALIAS);
    let marker = root.join(format!("{ALIAS}-{VERSION}")).join("complete");
    if program.is_file() && marker.is_file() {
        println!("{ALIAS:<16} {VERSION} (was there)");
        return Ok(());
    }
    let start = Instant::now();
    let failed = |error| format!("cannot get {ALIAS} {VERSION}: {error}");
    let folder = format!("{ALIAS}-{VERSION}");
    let python = python::interpreter().map_err(failed)?;
    python::unpack(&root.join(&folder), &python, PACKAGES).map_err(failed)?;
    let text = format!(
        "{SETTINGS}export PYTHONPATH=\"$peers/{folder}\"\nexec \"{python}\" -m localstack.runtime.main \"$@\"\n"
    );
    peers::script(root, ALIAS, VERSION, &text)?;
    process::write(&marker, "")?;
    println!(
        "{ALIAS:<16} {VERSION} ({:.1} s)",
        start.elapsed().as_secs_f32()
    );
    Ok(())
}
