//! Where credentials are found, and where they are kept.

#![allow(clippy::unwrap_used, reason = "tests")]
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sealmark_oci::credentials::{Credential, Environment, Kind, erase, lookup, store};
use sealmark_oci::{Error, Options};

struct Home {
    dir: tempfile::TempDir,
    options: Options,
}

fn home(docker: &str) -> Home {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    std::fs::create_dir_all(path.join(".docker")).unwrap();
    std::fs::create_dir_all(path.join("bin")).unwrap();
    if !docker.is_empty() {
        std::fs::write(path.join(".docker/config.json"), docker).unwrap();
    }
    let environment = Environment {
        home: Some(path.to_owned()),
        path: Some(format!("{}:/usr/bin:/bin", path.join("bin").display()).into()),
        ..Environment::default()
    };
    let options = Options {
        environment: Some(environment),
        ..Options::default()
    };
    Home { dir, options }
}

impl Home {
    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn helper(&self, name: &str, script: &str) {
        let path = self
            .path()
            .join("bin")
            .join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    async fn lookup(&self, registry: &str, repository: &str) -> Result<Option<String>, Error> {
        lookup(registry, repository, &self.options)
            .await
            .map(|found| found.map(|c| text(&c)))
    }
}

fn text(credential: &Credential) -> String {
    match &credential.kind {
        Kind::Basic { username, password } => format!("{username}:{}", password.expose()),
        Kind::IdentityToken(token) => format!("identity {}", token.expose()),
        Kind::RegistryToken(token) => format!("registry {}", token.expose()),
    }
}

#[tokio::test]
async fn entries_of_every_form() {
    // `dTpw` is `u:p`.
    for (auths, registry, repository, expected) in [
        (
            r#""ghcr.io":{"auth":"dTpw"}"#,
            "ghcr.io",
            "o/a",
            Some("u:p"),
        ),
        (
            r#""https://ghcr.io":{"auth":"dTpw"}"#,
            "ghcr.io",
            "o/a",
            Some("u:p"),
        ),
        (
            r#""https://ghcr.io/v1/":{"auth":"dTpw"}"#,
            "ghcr.io",
            "o/a",
            Some("u:p"),
        ),
        (
            r#""ghcr.io":{"username":"u","password":"q"}"#,
            "ghcr.io",
            "o/a",
            Some("u:q"),
        ),
        (
            r#""ghcr.io":{"auth":"dTpw","identitytoken":"i"}"#,
            "ghcr.io",
            "o/a",
            Some("identity i"),
        ),
        (
            r#""ghcr.io":{"registrytoken":"r"}"#,
            "ghcr.io",
            "o/a",
            Some("registry r"),
        ),
        (
            r#""https://index.docker.io/v1/":{"auth":"dTpw"}"#,
            "index.docker.io",
            "library/a",
            Some("u:p"),
        ),
        (
            r#""docker.io":{"auth":"dTpw"}"#,
            "index.docker.io",
            "library/a",
            Some("u:p"),
        ),
        (
            r#""localhost:5000":{"auth":"dTpw"}"#,
            "localhost:5000",
            "a",
            Some("u:p"),
        ),
        // The nearest entry wins, and one for a repository is not one for its neighbours.
        (
            r#""ghcr.io":{"auth":"dTpw"},"ghcr.io/o":{"username":"o","password":"1"},"ghcr.io/o/a":{"username":"a","password":"2"}"#,
            "ghcr.io",
            "o/a",
            Some("a:2"),
        ),
        (
            r#""ghcr.io":{"auth":"dTpw"},"ghcr.io/o":{"username":"o","password":"1"}"#,
            "ghcr.io",
            "o/b",
            Some("o:1"),
        ),
        (r#""ghcr.io/o":{"auth":"dTpw"}"#, "ghcr.io", "other/b", None),
        (
            r#""ghcr.io":{"auth":"dTpw"}"#,
            "ghcr.io.evil.example",
            "o/a",
            None,
        ),
        (r#""ghcr.io":{}"#, "ghcr.io", "o/a", None),
        ("", "ghcr.io", "o/a", None),
    ] {
        let home = home(&format!("{{\"auths\":{{{auths}}}}}"));
        let found = home.lookup(registry, repository).await.unwrap();
        assert_eq!(found.as_deref(), expected, "{auths}");
    }
}

#[tokio::test]
async fn flags_come_first_and_then_dockers_file_and_then_podmans() {
    let mut home = home("");
    let file =
        |user: &str| format!(r#"{{"auths":{{"ghcr.io":{{"username":"{user}","password":"p"}}}}}}"#);
    let root = home.path().to_owned();
    assert_eq!(home.lookup("ghcr.io", "o/a").await.unwrap(), None);
    std::fs::create_dir_all(root.join(".config/containers")).unwrap();
    std::fs::write(root.join(".config/containers/auth.json"), file("config")).unwrap();
    assert_eq!(
        home.lookup("ghcr.io", "o/a").await.unwrap().unwrap(),
        "config:p"
    );
    std::fs::create_dir_all(root.join("run/containers")).unwrap();
    std::fs::write(root.join("run/containers/auth.json"), file("run")).unwrap();
    home.options.environment.as_mut().unwrap().xdg_runtime_dir = Some(root.join("run"));
    assert_eq!(
        home.lookup("ghcr.io", "o/a").await.unwrap().unwrap(),
        "run:p"
    );
    std::fs::write(root.join("auth"), file("env")).unwrap();
    home.options
        .environment
        .as_mut()
        .unwrap()
        .registry_auth_file = Some(root.join("auth"));
    assert_eq!(
        home.lookup("ghcr.io", "o/a").await.unwrap().unwrap(),
        "env:p"
    );
    std::fs::write(root.join(".docker/config.json"), file("docker")).unwrap();
    assert_eq!(
        home.lookup("ghcr.io", "o/a").await.unwrap().unwrap(),
        "docker:p"
    );
    home.options.username = Some("flag".to_owned());
    let error = home.lookup("ghcr.io", "o/a").await.unwrap_err();
    assert!(
        error.to_string().contains("give --registry-password"),
        "{error}"
    );
    home.options.password = Some("f".into());
    assert_eq!(
        home.lookup("ghcr.io", "o/a").await.unwrap().unwrap(),
        "flag:f"
    );
    home.options.token = Some("t".into());
    assert_eq!(
        home.lookup("ghcr.io", "o/a").await.unwrap().unwrap(),
        "registry t"
    );
}

#[tokio::test]
async fn helpers_are_asked() {
    let home = home(r#"{"credHelpers":{"ecr.example":"ecr"},"credsStore":"store"}"#);
    home.helper(
        "ecr",
        r#"read s; echo "{\"ServerURL\":\"$s\",\"Username\":\"AWS\",\"Secret\":\"for $s\"}""#,
    );
    home.helper(
        "store",
        r#"read s; case "$s" in
https://index.docker.io/v1/) echo '{"Username":"<token>","Secret":"i"}';;
broken.example) echo 'the keychain is locked'; exit 1;;
*) echo 'credentials not found in native keychain'; exit 1;; esac"#,
    );
    let get = |registry| home.lookup(registry, "o/a");
    assert_eq!(
        get("ecr.example").await.unwrap().unwrap(),
        "AWS:for ecr.example"
    );
    assert_eq!(get("index.docker.io").await.unwrap().unwrap(), "identity i");
    assert_eq!(get("other.example").await.unwrap(), None);
    let error = get("broken.example").await.unwrap_err().to_string();
    assert!(
        error.contains("docker-credential-store") && error.contains("is locked"),
        "{error}"
    );
}

#[tokio::test]
async fn a_missing_helper_is_named() {
    let home = home(r#"{"credsStore":"desktop"}"#);
    let error = home.lookup("ghcr.io", "o/a").await.unwrap_err().to_string();
    assert!(
        error.contains("config.json names the helper docker-credential-desktop"),
        "{error}"
    );
    assert!(error.contains("it is not in PATH; install it"), "{error}");
}

#[tokio::test]
async fn a_broken_file_is_an_error_and_not_none() {
    for (text, reason) in [
        ("{", "cannot understand"),
        (
            r#"{"auths":{"ghcr.io":{"auth":"***"}}}"#,
            "its `auth` is not base64",
        ),
        (
            r#"{"auths":{"ghcr.io":{"auth":"dQ=="}}}"#,
            "its `auth` is not USER:PASSWORD",
        ),
    ] {
        let error = home(text)
            .lookup("ghcr.io", "o/a")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(reason) && error.contains("config.json"),
            "{error}"
        );
    }
    assert_eq!(home(" \n").lookup("ghcr.io", "o/a").await.unwrap(), None);
}

#[tokio::test]
async fn a_login_is_kept_privately_and_everything_else_stays() {
    let home = home(r#"{"auths":{"quay.io":{"auth":"dTpw","x":1}},"psFormat":"table"}"#);
    let path = home.path().join(".docker/config.json");
    let place = store("index.docker.io", "me", &"s:e".into(), &home.options)
        .await
        .unwrap();
    assert_eq!(Path::new(&place), path);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(json["psFormat"], "table");
    assert_eq!(json["auths"]["quay.io"]["x"], 1);
    assert_eq!(
        json["auths"]["https://index.docker.io/v1/"]["auth"],
        "bWU6czpl"
    );
    let found = home.lookup("index.docker.io", "library/a").await.unwrap();
    assert_eq!(found.as_deref(), Some("me:s:e"));
    erase("index.docker.io", &home.options).await.unwrap();
    assert_eq!(
        home.lookup("index.docker.io", "library/a").await.unwrap(),
        None
    );
    assert_eq!(
        home.lookup("quay.io", "a").await.unwrap().as_deref(),
        Some("u:p")
    );
}

#[tokio::test]
async fn a_login_goes_to_the_helper_if_there_is_one() {
    let home = home(r#"{"credsStore":"file"}"#);
    home.helper(
        "file",
        r#"f="$HOME/kept"; case "$1" in store) cat >"$f";; get) cat "$f";; erase) rm "$f";; esac"#,
    );
    let place = store("ghcr.io", "me", &"secret".into(), &home.options)
        .await
        .unwrap();
    assert_eq!(place, "docker-credential-file");
    let config = std::fs::read_to_string(home.path().join(".docker/config.json")).unwrap();
    assert!(
        config.contains("ghcr.io") && !config.contains("secret"),
        "{config}"
    );
    assert_eq!(
        home.lookup("ghcr.io", "a").await.unwrap().as_deref(),
        Some("me:secret")
    );
}

#[test]
fn secrets_are_not_printed() {
    let credential = Credential {
        kind: Kind::Basic {
            username: "u".to_owned(),
            password: "hunter2".into(),
        },
        source: "x".to_owned(),
    };
    assert!(!format!("{credential:?}").contains("hunter2"));
    let options = Options {
        token: Some("hunter2".into()),
        ..Options::default()
    };
    assert!(!format!("{options:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_broken_file_is_not_quoted_for_it_may_hold_secrets() {
    for docker in [
        r#"{"auths":{"a.example":"bXk6aHVudGVyMg=="}}"#,
        r#"{"auths":{"a.example":{"auth":{"bXk6aHVudGVyMg==":1}}}}"#,
        r#"{"auths":"bXk6aHVudGVyMg=="}"#,
        r#"{"auths":{"a.example":{"auth":"bXk6aHVudGVyMg=-"}}}"#,
    ] {
        let home = home(docker);
        let error = home.lookup("a.example", "app").await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("config.json"), "{text}");
        assert!(!text.contains("bXk6"), "{text}");
    }
}
