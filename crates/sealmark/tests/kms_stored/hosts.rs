//! `gitlab://PROJECT` and `github://OWNER/REPOSITORY`.

use sealmark_testkit::Program;
use sealmark_testkit::hosts::{GUEST, GitHub, GitLab, TOKEN};
use serde_json::json;

use crate::bench::{Bench, PASSWORD, Tool, have};
use crate::{message, share};

#[test]
fn a_pair_in_variables_is_shared_with_cosign_both_ways() {
    if !have(&["cosign3"]) {
        return;
    }
    for (maker, key) in [
        (Tool::Sealmark, "gitlab://4711"),
        (Tool::Cosign3, "gitlab://acme/app"),
    ] {
        let bench = Bench::new();
        let gitlab = GitLab::start();
        let with = |program: Program| {
            program
                .env("GITLAB_HOST", gitlab.url())
                .env("GITLAB_TOKEN", TOKEN)
        };
        with(bench.run(maker).args(["generate-key-pair", key]))
            .run()
            .success();
        assert_eq!(gitlab.variable("COSIGN_PASSWORD").unwrap(), PASSWORD);
        assert_eq!(
            gitlab.variable("COSIGN_PUBLIC_KEY").unwrap(),
            bench.sandbox.read("cosign.pub")
        );
        share(&bench, key, with);
    }
}

#[test]
fn what_gitlab_says_no_to_is_told_with_the_way_out() {
    let bench = Bench::new();
    let gitlab = GitLab::start();
    let url = gitlab.url();
    let host = url.strip_prefix("http://").unwrap();
    let run = |words: &[&str]| {
        bench
            .run(Tool::Sealmark)
            .args(words)
            .env("GITLAB_HOST", &url)
            .env("GITLAB_TOKEN", TOKEN)
    };
    let public = ["public-key", "--key", "gitlab://acme/app"];
    let missing = message(&run(&public).run().code(1));
    assert_eq!(
        missing,
        format!(
            "cannot read key gitlab://acme/app: the project gitlab://acme/app at {host} has no \
        COSIGN_PUBLIC_KEY; a key pair is kept there by: sealmark generate-key-pair gitlab://acme/app"
        )
    );
    let made = run(&["-v", "generate-key-pair", "gitlab://acme/app"])
        .run()
        .success();
    let made = made.stderr_has(&format!(
        "GitLab at {url}/api/v4 with the token of GITLAB_TOKEN"
    ));
    assert!(
        !made.stderr().contains(TOKEN) && !made.stderr().contains(PASSWORD),
        "{made}"
    );
    for (words, variable, value, expected) in [
        (&public[..], "GITLAB_TOKEN", "", "gitlab://acme/app cannot be read: GITLAB_TOKEN is not set: a personal, group or project access token with the scope api".to_owned()),
        (&public, "GITLAB_TOKEN", "hunter2", format!("{host} does not accept the token of GITLAB_TOKEN (401 Unauthorized): it has expired, was revoked, or is of another host (GITLAB_HOST)")),
        (&public, "GITLAB_TOKEN", GUEST, format!("{host} does not let the token of GITLAB_TOKEN read the variable COSIGN_PUBLIC_KEY of the project gitlab://acme/app (403 Forbidden): it needs the scope api")),
        (&public, "GITLAB_HOST", "http://gitlab.example.com", "GITLAB_HOST is http://, over which anyone on the way could read the token".to_owned()),
        (&["public-key", "--key", "gitlab://acme/ap"], "X", "", format!("{host} has no project or group gitlab://acme/ap, or the owner of the token of GITLAB_TOKEN may not see it (404 Project Not Found)")),
        (&["public-key", "--key", "gitlab://nobody"], "X", "", format!("{host} has no project or group gitlab://nobody")),
        (&["generate-key-pair", "gitlab://acme/app", "--output-key-prefix", "new"], "X", "", "gitlab://acme/app has a key pair already: nothing was written".to_owned()),
    ] {
        let refused = run(words).env(variable, value).run().code(1);
        let said = message(&refused);
        assert!(said.contains(&expected) && !said.contains("hunter2"), "{expected}\n{said}");
    }
    assert!(!bench.sandbox.join("new.pub").exists());
    // Replaced on demand; a variable that is hidden; a password that is another key's; a group.
    let first = gitlab.variable("COSIGN_PUBLIC_KEY");
    run(&["generate-key-pair", "gitlab://acme/app", "--yes"])
        .run()
        .success();
    assert_ne!(gitlab.variable("COSIGN_PUBLIC_KEY"), first);
    run(&["public-key", "--key", "gitlab://acme"])
        .run()
        .success();
    bench.sandbox.write("app.txt", "hello");
    let sign = [
        "sign-blob",
        "--key",
        "gitlab://acme/app",
        "--bundle",
        "b",
        "app.txt",
    ];
    gitlab.set("COSIGN_PASSWORD", Some(json!({"value": "hunter2"})));
    let wrong = message(&run(&sign).run().code(1));
    assert!(
        wrong.ends_with("COSIGN_PASSWORD is not the password of COSIGN_PRIVATE_KEY"),
        "{wrong}"
    );
    gitlab.set("COSIGN_PASSWORD", None);
    run(&sign).run().success();
    gitlab.set(
        "COSIGN_PRIVATE_KEY",
        Some(json!({"value": null, "hidden": true})),
    );
    let hidden = message(&run(&sign).run().code(1));
    assert!(hidden.contains("the variable COSIGN_PRIVATE_KEY is hidden (masked_and_hidden): GitLab gives it to jobs alone, where it is env://COSIGN_PRIVATE_KEY"), "{hidden}");
}

#[test]
fn a_pair_goes_to_github_sealed_for_the_repository_as_cosign_does() {
    if !have(&["cosign3"]) {
        return;
    }
    let bench = Bench::new();
    for maker in [Tool::Sealmark, Tool::Cosign3] {
        let github = GitHub::start();
        let with = |program: Program| {
            program
                .env("GITHUB_HOST", github.url())
                .env("GITHUB_TOKEN", TOKEN)
        };
        let made = with(bench.run(maker).args([
            "generate-key-pair",
            "github://acme/app",
            "--output-key-prefix",
            maker.name(),
        ]))
        .run()
        .success();
        assert!(!made.stderr().contains(TOKEN), "{made}");
        assert_eq!(
            github.secret("COSIGN_PASSWORD").unwrap(),
            PASSWORD.as_bytes()
        );
        let public = String::from_utf8(github.secret("COSIGN_PUBLIC_KEY").unwrap()).unwrap();
        // In a workflow the secret is a variable.
        bench.sandbox.write("app.txt", "hello");
        let private = String::from_utf8(github.secret("COSIGN_PRIVATE_KEY").unwrap()).unwrap();
        let sign = [
            "sign-blob",
            "--key",
            "env://COSIGN_PRIVATE_KEY",
            "--bundle",
            "b",
            "app.txt",
        ];
        bench
            .run(Tool::Sealmark)
            .args(sign)
            .env("COSIGN_PRIVATE_KEY", private)
            .run()
            .success();
        let verify = [
            "verify-blob",
            "--key",
            "env://COSIGN_PUBLIC_KEY",
            "--bundle",
            "b",
            "app.txt",
        ];
        bench
            .run(Tool::Sealmark)
            .args(verify)
            .env("COSIGN_PUBLIC_KEY", public)
            .run()
            .success();
        if maker == Tool::Sealmark {
            let again = with(bench.run(maker).args([
                "generate-key-pair",
                "github://acme/app",
                "--output-key-prefix",
                "again",
            ]));
            assert!(
                message(&again.run().code(1))
                    .starts_with("github://acme/app has a key pair already")
            );
        }
    }
}

#[test]
fn what_github_says_no_to_is_told_with_the_way_out() {
    let bench = Bench::new();
    let github = GitHub::start();
    let url = github.url();
    let host = url.strip_prefix("http://").unwrap();
    let run = |words: &[&str]| {
        bench
            .run(Tool::Sealmark)
            .args(words)
            .env("GITHUB_HOST", &url)
            .env("GITHUB_TOKEN", TOKEN)
    };
    for (words, token, expected) in [
        (&["public-key", "--key", "github://acme/app"][..], TOKEN, "cannot read key github://acme/app: GitHub gives a secret to workflows alone, and never back".to_owned()),
        (&["generate-key-pair", "github://acme/app"], "", "GITHUB_TOKEN is not set: a token that may write secrets of the repository".to_owned()),
        (&["generate-key-pair", "github://acme/app"], "hunter2", format!("{host} does not accept the token of GITHUB_TOKEN (Bad credentials)")),
        (&["generate-key-pair", "github://acme/other"], TOKEN, format!("{host} has no repository acme/other, or does not let the token of GITHUB_TOKEN read the public key for secrets (Not Found)")),
        (&["generate-key-pair", "--kms", "github://acme/app"], TOKEN, "github://acme/app is no place where a key can be made and stays; a key pair is kept there without --kms".to_owned()),
    ] {
        let refused = run(words).env("GITHUB_TOKEN", token).run().code(1);
        assert!(message(&refused).contains(&expected), "{expected}\n{refused}");
    }
    assert!(!bench.sandbox.join("cosign.pub").exists());
}
