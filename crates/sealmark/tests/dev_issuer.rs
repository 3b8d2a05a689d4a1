//! `serve --dev-issuer`: a private Sigstore in which people log in, with cosign 2, cosign 3 and sigstore-python.

mod bench;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use bench::{Bench, SEALMARK, have};
use sealmark_testkit::{Program, Server};

const WHO: &str = "jane@example.org";
/// A browser in which Jane logs in: it opens what it is given, fills the form in, and goes where it is sent.
const BROWSER: &str = r#"#!/usr/bin/env python3
import html, http.cookiejar, os, re, sys, urllib.parse, urllib.request
# Who opens a browser does not wait for it: cosign listens only afterwards.
if len(sys.argv) == 2 and os.fork():
    sys.exit()
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
page = opener.open(sys.argv[1])
text = page.read().decode()
action = html.unescape(re.search('<form method="post" action="([^"]*)"', text).group(1))
form = dict(re.findall('<input type="hidden" name="([^"]*)" value="([^"]*)"', text))
form.update(email="WHO", decision="yes", password="PASSWORD")
target = urllib.parse.urljoin(page.url, action)
print(opener.open(target, urllib.parse.urlencode(form).encode()).status)
"#;

/// Jane, who reads what a program says, logs in where it tells her to, and types the code if she is shown one.
const READER: &str = r#"#!/usr/bin/env python3
import html, http.cookiejar, re, subprocess, sys, urllib.parse, urllib.request
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
for line in child.stderr:
    sys.stderr.write(line)
    found = re.search(r'http://\S+/oidc/(authorize|device)\?\S+', line)
    if found:
        page = opener.open(found.group(0))
        text = page.read().decode()
        action = html.unescape(re.search('<form method="post" action="([^"]*)"', text).group(1))
        form = dict(re.findall('<input type="hidden" name="([^"]*)" value="([^"]*)"', text))
        form.update(re.findall('<input [^>]*name="(user_code)"[^>]* value="([^"]*)"', text))
        form.update(email="WHO", decision="yes")
        target = urllib.parse.urljoin(page.url, action)
        text = opener.open(target, urllib.parse.urlencode(form).encode()).read().decode()
        code = re.search('<code>([^<]*)</code>', text)
        if code:
            child.stdin.write(code.group(1) + chr(10))
        child.stdin.close()
sys.exit(child.wait())
"#;

struct Instance {
    url: String,
    server: Server,
}

impl Instance {
    fn start(bench: &Bench, more: &[&str]) -> Self {
        let program = bench.sandbox.command(SEALMARK);
        let words = ["serve", "--dir", "instance", "--listen", "127.0.0.1:0"];
        let (server, url) = program
            .args(words)
            .arg("--dev-issuer")
            .args(more)
            .serve(|line| {
                let (_, rest) = line.split_once("identities for development at ")?;
                rest.trim().strip_suffix("/oidc").map(str::to_owned)
            });
        Self { url, server }
    }

    fn issuer(&self) -> String {
        format!("{}/oidc", self.url)
    }
}

/// A folder with a browser, before all others in `PATH`.
fn with_browser(bench: &Bench, password: &str) -> PathBuf {
    let script = BROWSER.replace("WHO", WHO).replace("PASSWORD", password);
    let file = bench.sandbox.write("bin/xdg-open", script);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    bench.sandbox.join("bin")
}

fn browsing(bench: &Bench, program: Program, password: &str) -> Program {
    let bin = with_browser(bench, password);
    let path = std::env::var("PATH").expect("there is a PATH");
    program
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("BROWSER", format!("{}/xdg-open %s", bin.display()))
}

fn cosign3(bench: &Bench, config: &str) -> Program {
    bench
        .peer("cosign3")
        .args(["sign-blob", "--yes", "--fulcio-auth-flow=normal"])
        .args([
            "--bundle=bundle.json",
            "--trusted-root=instance/trusted_root.json",
        ])
        .arg(format!("--signing-config=instance/{config}"))
        .arg("blob")
}

/// Sealmark verifies what was signed.
fn verify(bench: &Bench, instance: &Instance) {
    let program = bench.sandbox.command(SEALMARK);
    program
        .args(["verify-blob", "--trusted-root=instance/trusted_root.json"])
        .args(["--bundle=bundle.json", "--certificate-identity", WHO])
        .args(["--certificate-oidc-issuer", &instance.issuer(), "blob"])
        .run()
        .success();
}

#[test]
fn people_log_in_with_the_client_that_they_have() {
    if !have(&["cosign2", "cosign3", "sigstore-python"]) {
        return;
    }
    let bench = Bench::new();
    let instance = Instance::start(&bench, &[]);
    assert!(instance.server.log().contains("asks nobody for a password"));
    bench.sandbox.write("blob", "what is signed");
    for config in ["signing_config.json", "signing_config_rekor_v2.json"] {
        browsing(&bench, cosign3(&bench, config), "")
            .run()
            .success();
        verify(&bench, &instance);
    }
    let file = |name: &str| bench.sandbox.join("instance").join(name);
    let cosign2 = bench
        .peer("cosign2")
        .args(["sign-blob", "--yes", "--fulcio-auth-flow=normal"])
        .args(["--new-bundle-format", "--bundle=bundle.json"])
        .args(["--fulcio-url", &instance.url, "--rekor-url", &instance.url])
        .args(["--oidc-issuer", &instance.issuer(), "blob"])
        .env("SIGSTORE_ROOT_FILE", file("fulcio.pem"))
        .env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", file("ctfe.pub"))
        .env("SIGSTORE_REKOR_PUBLIC_KEY", file("rekor.pub"));
    browsing(&bench, cosign2, "").run().success();
    verify(&bench, &instance);
    let python = bench
        .peer("sigstore-python")
        .args(["--trust-config", "instance/trust_config.json", "sign"])
        .args(["--oidc-disable-ambient-providers", "--overwrite"])
        .args(["--bundle", "bundle.json", "blob"]);
    browsing(&bench, python, "").run().success();
    verify(&bench, &instance);
}

#[test]
fn people_log_in_with_sealmark_in_a_browser_on_a_device_and_with_a_code() {
    let bench = Bench::new();
    let instance = Instance::start(&bench, &[]);
    bench.sandbox.write("blob", "what is signed");
    bench.sandbox.write("reader.py", READER.replace("WHO", WHO));
    let words = [
        "sign-blob",
        "--yes",
        "--bundle=bundle.json",
        "--trusted-root=instance/trusted_root.json",
        "--signing-config=instance/signing_config_rekor_v2.json",
        "blob",
    ];
    let program = bench.sandbox.command(SEALMARK).args(words);
    browsing(&bench, program.arg("--fulcio-auth-flow=normal"), "")
        .run()
        .success()
        .stderr_has("to log in, a browser opens");
    verify(&bench, &instance);
    for (flow, said) in [
        ("--fulcio-auth-flow=device", "in a browser on any device"),
        ("--fulcio-auth-flow=normal", "no browser can be opened here"),
    ] {
        let reader = bench
            .sandbox
            .command("python3")
            .args(["reader.py", SEALMARK]);
        reader
            .args(words)
            .arg(flow)
            // She is at the other end of this, without a screen here.
            .env("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22")
            .run()
            .success()
            .stderr_has(said)
            .stderr_has(&format!("certificate for {WHO}"));
        verify(&bench, &instance);
    }
}

#[test]
fn users_of_a_file_have_passwords() {
    if !have(&["cosign3"]) {
        return;
    }
    let bench = Bench::new();
    // RFC 7914, section 12: "password", "NaCl", N=1024, r=8, p=16.
    let hash = "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA";
    let users = format!("users:\n  - email: {WHO}\n    password: {hash}\n");
    bench.sandbox.write("users.yaml", users);
    let instance = Instance::start(&bench, &["--dev-users", "users.yaml"]);
    assert!(!instance.server.log().contains("asks nobody"));
    bench.sandbox.write("blob", "what is signed");
    let config = "signing_config_rekor_v2.json";
    browsing(&bench, cosign3(&bench, config), "password")
        .run()
        .success();
    verify(&bench, &instance);
    // Whose password is wrong is not sent back to cosign, which waits.
    let bin = with_browser(&bench, "wrong");
    let authorize = format!(
        "{}/authorize?response_type=code&client_id=sigstore&scope=openid&code_challenge_method=S256\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&redirect_uri=http://127.0.0.1:1/",
        instance.issuer()
    );
    let browser = bench
        .sandbox
        .command(bin.join("xdg-open"))
        .args([&authorize, "--wait"]);
    browser.run().failure().stderr_has("403");
}

#[test]
fn the_flags_go_together() {
    let bench = Bench::new();
    for (flags, message) in [
        (vec![], "try it out with --dev-issuer"),
        (
            vec!["--only", "log", "--dev-issuer"],
            "which --only leaves out",
        ),
        (vec!["--dev-users", "users.yaml"], "--dev-issuer"),
        (
            vec![
                "--dev-issuer",
                "--dev-users",
                "users.yaml",
                "--listen",
                "127.0.0.1:0",
            ],
            "users.yaml with users",
        ),
    ] {
        let program = bench.sandbox.command(SEALMARK);
        let program = program.args(["serve", "--dir", "instance"]).args(flags);
        program.run().failure().stderr_has(message);
    }
}
