//! Real clients log in: cosign with a device and with a browser, sigstore-python with a browser and with a code.
//!
//! They go on to a certificate of a CA that believes the issuer, sigstore-python to a log as well, and verify what they
//! made.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_identity::Configuration;
use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use sealmark_log::{Clock, Log, Settings, SystemClock};
use sealmark_server::ca::{self, Authority, CertificateAuthority};
use sealmark_server::ct::{CtLog, CtSigner, TREE};
use sealmark_server::listen;
use sealmark_server::log::{self, TransparencyLog};
use sealmark_testkit::{Program, Sandbox, require_or_skip};
use sealmark_x509::{Certificate, ExtendedKeyUsage};
use serde_json::{Value, json};

use super::JANE;
use super::world::{Browser, World, claims, listener};

/// How long a client may take until it asks for its user.
const PATIENCE: Duration = Duration::from_secs(60);

/// A CA, believing the issuer without asking it over HTTP, a log, and what clients are told of them.
struct Instance {
    world: World,
    ca: String,
    sandbox: Sandbox,
}

impl Instance {
    async fn start() -> Self {
        let world = World::start(None).await;
        let sandbox = Sandbox::new();
        let now = SystemClock.now_ms() / 1000;
        let key = |algorithm| PrivateKey::generate(algorithm).unwrap();
        let root = key(Algorithm::EcdsaP384);
        let root = Authority::root(root, "example.org", "root", now).unwrap();
        let purpose = ExtendedKeyUsage::CodeSigning;
        let signing = key(Algorithm::EcdsaP256);
        let signing = root.intermediate(signing, "example.org", "CA", purpose, now);
        let signing = signing.unwrap();
        let chain = vec![signing.certificate, root.certificate];
        let ct_key = key(Algorithm::EcdsaP256);
        let signer = CtSigner::new("ct.example/log", ct_key.clone());
        let folder = sandbox.join("ct");
        let log = Log::open_directory(&folder.join("log"), Settings::with_signer(TREE, signer));
        let roots = vec![chain[1].clone()];
        let ct = CtLog::open(
            Arc::new(log.unwrap()),
            "ct.example/log",
            ct_key.clone(),
            roots,
            &folder,
        );
        let issuer = &world.issuer;
        let configuration = format!(
            "oidc-issuers:\n  {}:\n    client-id: sigstore\n    type: email\n",
            issuer.url()
        );
        let ca = CertificateAuthority::new(ca::Options {
            key: signing.key,
            chain: chain.clone(),
            ct: Some(ct.unwrap().into()),
            configuration: Configuration::parse(&configuration).unwrap(),
            clock: Arc::new(SystemClock),
        });
        let ca = ca.unwrap();
        ca.know_issuer(issuer.url(), issuer.key_set(), issuer.algorithms());
        let ca_url = serve(ca.router()).await;
        let mut root = trusted_root(&ca_url, &chain, &ct_key);
        let config = signing_config(&ca_url, issuer.url());
        sandbox.write("trusted_root.json", root.to_string());
        sandbox.write("signing_config.json", config.to_string());
        // For clients that want all in one file, and a log.
        let (log_url, log_key) = serve_log(&sandbox.join("log")).await;
        root["tlogs"] = json!([log_instance(&log_url, &log_key)]);
        let mut config = config;
        config["rekorTlogUrls"] = json!([service(&log_url)]);
        config["rekorTlogConfig"] = json!({"selector": "ANY"});
        let both = json!({
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": root, "signingConfig": config,
        });
        sandbox.write("trust_config.json", both.to_string());
        sandbox.write("blob", "what is signed");
        // For clients of the old interface.
        let pem: String = chain.iter().map(Certificate::to_pem).collect();
        sandbox.write("chain.pem", pem);
        sandbox.write("ct.pub", ct_key.public_key().to_pem());
        browser(&sandbox);
        Self {
            world,
            ca: ca_url,
            sandbox,
        }
    }

    /// A client, what it says in the file `said`; with a browser that only notes what it was to open.
    fn client(&self, program: &Path, arguments: &str) -> Program {
        let bin = self.sandbox.join("bin");
        let path = std::env::var("PATH").unwrap();
        let script = format!("exec \"$0\" {arguments} 2>said");
        let program = program.to_str().unwrap();
        self.sandbox
            .command("sh")
            .args(["-c", &script, program])
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("BROWSER", format!("{}/xdg-open %s", bin.display()))
    }

    /// Runs a client while somebody does what it asks for: `user` gets the URL that `find` sees in `file`.
    async fn with_user(
        &self,
        client: Program,
        file: &str,
        find: impl Fn(&str) -> Option<String>,
        user: impl AsyncFnOnce(Browser, String),
    ) -> String {
        let running = tokio::task::spawn_blocking(move || client.run());
        let deadline = Instant::now() + PATIENCE;
        let url = loop {
            let text = std::fs::read_to_string(self.sandbox.join(file)).unwrap_or_default();
            match find(&text) {
                Some(url) => break url,
                None if running.is_finished() || Instant::now() > deadline => {
                    let said = self.sandbox.read("said");
                    panic!("nobody was asked: {said}")
                }
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        user(Browser::new(), url).await;
        let finished = running.await.unwrap();
        let said = self.sandbox.read("said");
        assert_eq!(finished.exit_code(), Some(0), "{said}\n{finished}");
        finished.stdout()
    }

    /// cosign verifies what cosign signed.
    fn verify(&self, cosign: &Path) {
        let identity = format!("--certificate-oidc-issuer={}", self.world.issuer.url());
        self.sandbox
            .command(cosign)
            .args([
                "verify-blob",
                "--trusted-root=trusted_root.json",
                "--bundle=bundle.json",
            ])
            .args(["--certificate-identity=jane@example.org", identity.as_str()])
            // There is no log and no timestamp authority: the bundle is as young as its certificate.
            .args([
                "--insecure-ignore-tlog",
                "--use-signed-timestamps=false",
                "blob",
            ])
            .run()
            .success();
    }
}

async fn serve(router: Router) -> String {
    let (listener, url) = listener().await;
    tokio::spawn(listen::serve(router, listener, std::future::pending()));
    url
}

/// What stands for a browser: it writes down what it was to open.
fn browser(sandbox: &Sandbox) {
    use std::os::unix::fs::PermissionsExt;
    let opened = sandbox.join("opened");
    let script = format!(
        "#!/bin/sh\nprintf '%s' \"$1\" >'{0}.new' && mv '{0}.new' '{0}'\n",
        opened.display()
    );
    let file = sandbox.write("bin/xdg-open", script);
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

const SINCE: &str = "2020-01-01T00:00:00Z";

fn service(url: &str) -> Value {
    json!({"url": url, "majorApiVersion": 1, "validFor": {"start": SINCE}, "operator": "example.org"})
}

fn signing_config(ca: &str, issuer: &str) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": [service(ca)], "oidcUrls": [service(issuer)], "rekorTlogUrls": [], "tsaUrls": [],
    })
}

fn trusted_root(ca: &str, chain: &[Certificate], ct: &PrivateKey) -> Value {
    let certificates = chain
        .iter()
        .map(|certificate| json!({"rawBytes": STANDARD.encode(certificate.der())}));
    json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "certificateAuthorities": [{
            "subject": {"organization": "example.org", "commonName": "CA"}, "uri": ca,
            "certChain": {"certificates": certificates.collect::<Vec<_>>()},
            "validFor": {"start": SINCE},
        }],
        "ctlogs": [log_instance(ca, ct.public_key())],
        "tlogs": [], "timestampAuthorities": [],
    })
}

fn log_instance(url: &str, key: &PublicKey) -> Value {
    json!({
        "baseUrl": url, "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": STANDARD.encode(key.spki_der()),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": {"start": SINCE},
        },
        "logId": {"keyId": STANDARD.encode(key.id().bytes())},
    })
}

/// A transparency log, with its key.
async fn serve_log(folder: &Path) -> (String, PublicKey) {
    let log = TransparencyLog::open(folder, log::Options::new("127.0.0.1")).unwrap();
    let key = PublicKey::from_pem(&std::fs::read(log.public_key_v1()).unwrap()).unwrap();
    (serve(log.router()).await, key)
}

const COSIGN: &str = "sign-blob --yes --signing-config=signing_config.json \
                      --trusted-root=trusted_root.json --bundle=bundle.json blob";

/// Jane signs in and goes where she is sent, as a browser does.
async fn jane_signs_in(mut browser: Browser, url: String) {
    let page = browser.open(&url).await;
    let answer = browser.submit(&page, &JANE).await;
    let program = answer.headers["location"].to_str().unwrap();
    assert_eq!(browser.open(program).await.status, 200);
}

/// What the browser was to open: the whole file.
fn whole(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The last word of a line, which is there to its end.
fn last_word(text: &str, of: &str) -> Option<String> {
    let (_, rest) = text.split_once(of)?;
    let (line, _) = rest.split_once('\n')?;
    line.split(' ').next_back().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_signs_with_a_device_login() {
    let cosign = require_or_skip!("cosign3");
    let instance = Instance::start().await;
    let client = instance.client(
        &cosign,
        &format!("{COSIGN} --fulcio-auth-flow=device >asked"),
    );
    let find = |text: &str| last_word(text, "Enter the verification code");
    instance
        .with_user(client, "asked", find, async |mut browser, url| {
            let page = browser.open(&url).await;
            let code = url.split_once("user_code=").unwrap().1.to_owned();
            let fields = [("user_code", code.as_str()), JANE[0], JANE[1]];
            let done = browser.submit(&page, &fields).await;
            assert!(done.html.contains("You are signed in"), "{}", done.html);
        })
        .await;
    tokio::task::spawn_blocking(move || instance.verify(&cosign))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_signs_with_a_login_in_a_browser() {
    let cosign = require_or_skip!("cosign3");
    let instance = Instance::start().await;
    let client = instance.client(&cosign, &format!("{COSIGN} --fulcio-auth-flow=normal"));
    instance
        .with_user(client, "opened", whole, jane_signs_in)
        .await;
    tokio::task::spawn_blocking(move || instance.verify(&cosign))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_2_signs_with_a_login_in_a_browser() {
    let cosign = require_or_skip!("cosign2");
    let verifier = require_or_skip!("cosign3");
    let instance = Instance::start().await;
    let arguments = format!(
        "sign-blob --yes --new-bundle-format --bundle=bundle.json --tlog-upload=false --fulcio-url={} \
         --oidc-issuer={} --fulcio-auth-flow=normal blob",
        instance.ca,
        instance.world.issuer.url()
    );
    let client = instance
        .client(&cosign, &arguments)
        .env("SIGSTORE_ROOT_FILE", instance.sandbox.join("chain.pem"))
        .env(
            "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE",
            instance.sandbox.join("ct.pub"),
        );
    instance
        .with_user(client, "opened", whole, jane_signs_in)
        .await;
    tokio::task::spawn_blocking(move || instance.verify(&verifier))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_takes_a_token_that_the_operator_made() {
    let cosign = require_or_skip!("cosign3");
    let instance = Instance::start().await;
    let token = instance
        .world
        .issuer
        .mint("jane@example.org", PATIENCE)
        .unwrap();
    let client = instance.client(&cosign, &format!("{COSIGN} --identity-token={token}"));
    let work = move || {
        client.run().success();
        instance.verify(&cosign);
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigstore_python_signs_with_a_login_in_a_browser() {
    let python = require_or_skip!("sigstore-python");
    let instance = Instance::start().await;
    let client = instance.client(
        &python,
        "--trust-config trust_config.json sign --oidc-disable-ambient-providers --bundle bundle.json blob",
    );
    instance
        .with_user(client, "opened", whole, jane_signs_in)
        .await;
    let verify = instance.client(
        &python,
        &format!(
            "--trust-config trust_config.json verify identity --bundle bundle.json \
             --cert-identity jane@example.org --cert-oidc-issuer {} blob",
            instance.world.issuer.url()
        ),
    );
    let work = tokio::task::spawn_blocking(|| verify.run()).await.unwrap();
    let said = instance.sandbox.read("said");
    assert!(
        work.exit_code() == Some(0) && said.contains("OK: blob"),
        "{said}\n{work}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigstore_python_logs_in_with_a_code() {
    let python = require_or_skip!("sigstore-python");
    let instance = Instance::start().await;
    // The user copies the code to where the program reads it from.
    let made = std::process::Command::new("mkfifo")
        .arg(instance.sandbox.join("typed"))
        .status();
    assert!(made.unwrap().success());
    let client = instance.client(
        &python,
        "--trust-config trust_config.json get-identity-token --oidc-disable-ambient-providers \
         --oauth-force-oob <typed",
    );
    let typed = instance.sandbox.join("typed");
    // Opened for both, so that neither side waits for the other.
    let mut pipe = std::fs::File::options()
        .read(true)
        .write(true)
        .open(typed)
        .unwrap();
    let find = |text: &str| {
        let (_, rest) = text.split_once("link in a browser:\n\n\t")?;
        rest.split_once('\n').map(|(url, _)| url.to_owned())
    };
    let token = instance
        .with_user(client, "said", find, async |mut browser, url| {
            use std::io::Write;
            let page = browser.open(&url).await;
            let page = browser.submit(&page, &JANE).await;
            let code = super::between(&page.html, "<code>", "</code>").unwrap();
            writeln!(pipe, "{code}").unwrap();
        })
        .await;
    let token = token.trim().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(claims(&token)["email"], "jane@example.org");
}
