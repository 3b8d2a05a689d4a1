//! gitsign: commits and tags, signed for an identity.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_testkit::{Finished, Peer, Program};
use serde_json::{Value, json};

use crate::bench::{Bench, SEALMARK, have};
use crate::world::{Instance, WHO};

/// A repository whose commits gitsign signs.
struct Repository<'a> {
    bench: &'a Bench,
    instance: &'a Instance,
}

impl Repository<'_> {
    /// `program` in the repository, knowing the instance as gitsign wants to be told.
    fn knowing(&self, program: &str) -> Program {
        let file = |name| self.instance.file(name);
        let git = Peer::find("git").expect("the caller looked for it");
        let folder = git.parent().expect("a program is in a folder").display();
        let path = std::env::var("PATH").unwrap_or_default();
        self.bench
            .peer(program)
            .current_dir(self.bench.sandbox.join("repository"))
            // gitsign runs git.
            .env("PATH", format!("{folder}:{path}"))
            .env("GITSIGN_FULCIO_URL", &self.instance.url)
            .env("GITSIGN_REKOR_URL", &self.instance.url)
            .env("GITSIGN_OIDC_ISSUER", &self.instance.issuer.url)
            .env("GITSIGN_TOKEN_PROVIDER", "envvar")
            .env("SIGSTORE_ID_TOKEN", self.instance.issuer.token())
            .env("SIGSTORE_ROOT_FILE", file("fulcio.pem"))
            .env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", file("ctfe.pub"))
            .env("SIGSTORE_REKOR_PUBLIC_KEY", file("rekor.pub"))
    }

    fn git(&self, words: &[&str]) -> Finished {
        self.knowing("git").args(words).run()
    }
}

#[test]
fn gitsign_signs_commits_and_tags_and_verifies_them() {
    if !have(&["git", "gitsign"]) {
        return;
    }
    let bench = Bench::new();
    let instance = Instance::start(&bench);
    let repository = Repository {
        bench: &bench,
        instance: &instance,
    };
    bench.sandbox.write("repository/a.txt", "a");
    let gitsign = Peer::find("gitsign").expect("it was looked for");
    let gitsign = gitsign.display().to_string();
    repository.git(&["init", "--quiet", "."]).success();
    for [name, value] in [
        ["user.name", "Jane"],
        ["user.email", WHO],
        ["commit.gpgsign", "true"],
        ["tag.gpgsign", "true"],
        ["gpg.format", "x509"],
        ["gpg.x509.program", &gitsign],
    ] {
        repository.git(&["config", name, value]).success();
    }
    repository.git(&["add", "a.txt"]).success();
    // Verifying, it takes the log's key from where it was initialized.
    repository
        .knowing("gitsign")
        .args(["initialize", "--mirror", &format!("{}/tuf", instance.url)])
        .arg("--root")
        .arg(instance.file("root.json"))
        .run()
        .success();
    // Not with timestamps: of one that it got within two seconds of the certificate, which is what an instance on the
    // same machine gives, it says that the certificate was not valid yet (it takes the accuracy off, and wants later).
    for mode in ["online", "offline"] {
        repository
            .knowing("git")
            .env("GITSIGN_REKOR_MODE", mode)
            .args(["commit", "--allow-empty", "--message", mode])
            .run()
            .success();
        let verifying = |program: &str| {
            let program = repository.knowing(program);
            program.env("GITSIGN_REKOR_MODE", mode)
        };
        verifying("git")
            .args(["verify-commit", "HEAD"])
            .run()
            .success()
            .stderr_has("Validated Git signature: true")
            .stderr_has("tlog index: ");
        let issuer = instance.issuer.url.as_str();
        for (who, right) in [(WHO, true), ("eve@example.org", false)] {
            let finished = verifying("gitsign")
                .args(["verify", "--certificate-identity", who])
                .args(["--certificate-oidc-issuer", issuer, "HEAD"])
                .run();
            match right {
                true => finished
                    .success()
                    .stdout_has("Validated Certificate claims: true"),
                false => finished.failure(),
            };
        }
    }
    // Online, it tells the log another hash of a tag than it looks for.
    let offline = |program: &str| {
        repository
            .knowing(program)
            .env("GITSIGN_REKOR_MODE", "offline")
    };
    let tag = offline("git").args(["tag", "--message", "the first", "v1"]);
    tag.run().success();
    let verify = offline("git").args(["verify-tag", "v1"]);
    verify.run().success();
    for (who, right) in [(WHO, true), ("eve@example.org", false)] {
        let verify = offline("gitsign").args(["verify-tag", "--certificate-identity", who]);
        let verify = verify.args(["--certificate-oidc-issuer", &instance.issuer.url, "v1"]);
        match right {
            true => verify.run().success(),
            false => verify.run().failure(),
        };
    }

    let commit = repository.git(&["rev-list", "--max-parents=0", "HEAD"]);
    let commit = commit.success().stdout().trim().to_owned();
    sealmark_verifies(&bench, &instance, &commit);
}

/// What gitsign tells the log is a signature of the commit's name. Found by it, entry, signature and certificate are a bundle.
fn sealmark_verifies(bench: &Bench, instance: &Instance, commit: &str) {
    bench.sandbox.write("commit", commit);
    let search = |by: &[&str]| {
        bench
            .sandbox
            .command(SEALMARK)
            .args(["log", "search", "--rekor-url", &instance.url])
            .args(["--trusted-root", "instance/trusted_root.json"])
            .args(by)
            .run()
            .success()
    };
    search(&["--email", WHO]).stderr_has("3 of them proven");
    let found = search(&["--artifact", "commit", "--output", "tle"]);
    let entry: Value = serde_json::from_slice(found.stdout_bytes()).expect("an entry in JSON");
    let entry = match entry.as_array() {
        Some(entries) => entries[0].clone(),
        None => entry,
    };
    let decode = |value: &Value| {
        let text = value.as_str().expect("base64 is a text");
        STANDARD.decode(text).expect("it is base64")
    };
    let body = decode(&entry["canonicalizedBody"]);
    let body: Value = serde_json::from_slice(&body).expect("an entry's body is JSON");
    let signature = &body["spec"]["signature"];
    let pem = String::from_utf8(decode(&signature["publicKey"]["content"]));
    let pem = pem.expect("PEM is ASCII");
    let der: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let digest = Digest::sha256(commit.as_bytes());
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"certificate": {"rawBytes": der}, "tlogEntries": [entry]},
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(digest.bytes())},
            "signature": signature["content"],
        },
    });
    bench.sandbox.write("commit.json", bundle.to_string());
    for (who, code) in [(WHO, true), ("eve@example.org", false)] {
        let verified = bench
            .sandbox
            .command(SEALMARK)
            .args(["verify-blob", "--bundle", "commit.json"])
            .args(["--trusted-root", "instance/trusted_root.json"])
            .args(["--certificate-identity", who])
            .args(["--certificate-oidc-issuer", &instance.issuer.url, "commit"])
            .run();
        match code {
            true => verified.success(),
            false => verified.failure(),
        };
    }
}
