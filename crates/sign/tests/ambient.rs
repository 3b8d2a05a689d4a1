//! Each place that offers an identity, played by a server on loopback, a socket, or a program on `PATH`.

use std::collections::HashMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_http::Options;
use sealmark_sign::Error;
use sealmark_sign::identity::ambient::{self, Looked, PROVIDERS, Place};
use sealmark_testkit::{FaultyServer, Reply};
use serde_json::{Value, json};

/// A token that nobody signed: nothing here looks at its signature.
fn token(claims: Value) -> String {
    let now = jiff::Timestamp::now().as_second();
    let mut all =
        json!({"iss": "https://issuer.example", "sub": "s1", "aud": "sigstore", "exp": now + 60});
    for (name, value) in claims.as_object().expect("claims are an object") {
        all[name] = value.clone();
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.c2lnbmF0dXJl",
        part(&json!({"alg": "RS256"})),
        part(&all)
    )
}

/// A place where nothing is but what a test puts there.
struct Here {
    folder: tempfile::TempDir,
    variables: HashMap<String, String>,
}

impl Here {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("bin");
        std::fs::create_dir(&path).expect("it is ours");
        let variables = HashMap::from([("PATH".to_owned(), path.display().to_string())]);
        Self { folder, variables }
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.insert(name.to_owned(), value.to_string());
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that appends its words to the file `words`, and does what the script says.
    fn program(self, name: &str, script: &str) -> Self {
        let (made, path) = (self.path("made"), self.path("bin").join(name));
        let words = self.path("words");
        let script = format!("#!/bin/sh\necho \"$@\" > {}\n{script}\n", words.display());
        std::fs::write(&made, script).expect("it is ours");
        // Another process puts it there: a file that a thread's fresh child still has open cannot be run.
        let put = std::process::Command::new("install")
            .args(["-m", "755"])
            .args([made, path])
            .status();
        assert!(put.expect("install is there").success());
        self
    }

    fn words(&self) -> String {
        let words = std::fs::read_to_string(self.path("words")).unwrap_or_default();
        words.trim().to_owned()
    }

    fn look(&self, provider: Option<&str>) -> Result<Looked, Error> {
        self.look_for(provider, "sigstore", Options::default())
    }

    fn look_for(
        &self,
        provider: Option<&str>,
        audience: &str,
        options: Options,
    ) -> Result<Looked, Error> {
        let variables = self.variables.clone();
        let variable = move |name: &str| variables.get(name).cloned();
        let mut place = Place::new(&variable);
        place.token_file = self.path("oidc-token");
        place.product_name = self.path("product_name");
        place.spire_socket = self.path("api.sock");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("there are threads");
        runtime.block_on(ambient::token(&place, provider, audience, &options))
    }

    /// The origin of the token that is found.
    fn origin(&self) -> String {
        let looked = self.look(None).expect("nothing fails");
        let token = looked.token.expect("there is one");
        assert!(token.is_for("sigstore"), "{token}");
        token.origin().to_owned()
    }

    fn error(&self, provider: Option<&str>) -> String {
        let looked = self.look(provider);
        looked.expect_err("nothing is found").to_string()
    }
}

fn url(server: &FaultyServer) -> String {
    format!("http://{}", server.address())
}

#[test]
fn where_nothing_is_everything_was_looked_for_and_says_how_that_was_seen() {
    let here = Here::new();
    let looked = here.look(None).unwrap();
    assert!(looked.token.is_none());
    let names: Vec<&str> = looked.absent.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, PROVIDERS);
    let lines = looked.lines();
    for part in [
        "github-actions: ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not set",
        "gitlab-ci: GITLAB_CI is not set",
        "circleci: CIRCLECI is not set",
        "filesystem: there is no ",
        "google-workload-identity: GCE_METADATA_HOST is not set, and ",
        "spiffe: SPIFFE_ENDPOINT_SOCKET is not set, and there is no ",
    ] {
        assert!(lines.contains(part), "expected {part:?} in {lines}");
    }
    for name in PROVIDERS {
        let error = here.error(Some(name));
        assert!(
            error.contains(&format!(
                "--oidc-provider {name}: nothing shows that it is here: "
            )),
            "{error}"
        );
    }
    for (short, name) in [
        ("github", "github-actions"),
        ("google", "google-workload-identity"),
    ] {
        assert!(here.error(Some(short)).contains(name));
    }
    let error = here.error(Some("gutHub"));
    assert!(error.contains("there is none of this name, but github-actions, gitlab-ci"));
}

#[test]
fn the_first_that_is_there_decides_and_no_other_is_taken_instead() {
    let here = Here::new()
        .with(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            format!("http://{}/x", FaultyServer::nobody()),
        )
        .with("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")
        .with("SIGSTORE_ID_TOKEN", token(json!({})));
    let error = here.error(None);
    assert!(
        error.contains("GitHub Actions' identity provider") && error.contains("cannot connect"),
        "{error}"
    );
    // Whoever names one gets that one.
    let looked = here.look(Some("envvar")).unwrap();
    assert_eq!(looked.token.unwrap().origin(), "SIGSTORE_ID_TOKEN");
    assert!(looked.absent.is_empty());
}

#[test]
fn a_job_of_gitlab_declares_its_token() {
    let here = Here::new().with("GITLAB_CI", "true");
    let looked = here.look(None).unwrap();
    let expected = "this is a job of GitLab CI, but SIGSTORE_ID_TOKEN is not set".to_owned();
    assert!(looked.absent.contains(&("gitlab-ci", expected)));
    let here = here.with("SIGSTORE_ID_TOKEN", token(json!({})));
    assert_eq!(here.origin(), "GitLab CI (SIGSTORE_ID_TOKEN)");
    let private = token(json!({"aud": "our-sigstore.example"}));
    let here = here.with("OUR_SIGSTORE_EXAMPLE_ID_TOKEN", private);
    let looked = here.look_for(None, "our-sigstore.example", Options::default());
    assert_eq!(
        looked.unwrap().token.unwrap().origin(),
        "GitLab CI (OUR_SIGSTORE_EXAMPLE_ID_TOKEN)"
    );
}

#[test]
fn a_job_of_buildkite_asks_its_agent() {
    let given = json!({"token": token(json!({}))}).to_string();
    let agent = FaultyServer::start(move |request| {
        let right = request.method == "POST"
            && request.path == "/v3/jobs/job-1/oidc/tokens"
            && request.header("authorization") == Some("Token secret")
            && request.body == br#"{"audience":"sigstore"}"#;
        match right {
            true => Reply::status(200).body(given.clone()),
            false => Reply::status(403),
        }
    });
    let here = Here::new()
        .with("BUILDKITE_AGENT_ACCESS_TOKEN", "secret")
        .with("BUILDKITE_AGENT_ENDPOINT", format!("{}/v3/", url(&agent)))
        .with("BUILDKITE_JOB_ID", "job-1");
    assert_eq!(here.origin(), "Buildkite");

    // Without the agent's token, its program.
    let here = Here::new().with("BUILDKITE", "true");
    let lines = here.look(None).unwrap().lines();
    assert!(lines.contains("no program buildkite-agent"), "{lines}");
    let here = here.program("buildkite-agent", &format!("echo {}", token(json!({}))));
    assert_eq!(here.origin(), "buildkite-agent");
    assert_eq!(here.words(), "oidc request-token --audience sigstore");
}

#[test]
fn a_job_of_circleci_asks_its_program() {
    let of_the_organisation = token(json!({"aud": "org-1"}));
    let here = Here::new()
        .with("CIRCLECI", "true")
        .with("CIRCLE_OIDC_TOKEN_V2", of_the_organisation);
    let lines = here.look(None).unwrap().lines();
    assert!(
        lines.contains("CIRCLE_OIDC_TOKEN_V2 is not for the audience \"sigstore\""),
        "{lines}"
    );
    let here = here.program("circleci", &format!("echo {}", token(json!({}))));
    assert_eq!(here.origin(), "circleci run oidc get");
    assert_eq!(here.words(), r#"run oidc get --claims {"aud":"sigstore"}"#);
    // A token that is for the right audience already is taken.
    let here = here.with("CIRCLE_OIDC_TOKEN_V2", token(json!({})));
    assert_eq!(here.origin(), "CircleCI (CIRCLE_OIDC_TOKEN_V2)");
}

#[test]
fn a_program_that_fails_hangs_or_floods_is_told_apart() {
    let secret = token(json!({}));
    let here = || Here::new().with("CIRCLECI", "true");
    let fails = here().program(
        "circleci",
        &format!("echo {secret}; echo 'not logged in' >&2; exit 3"),
    );
    let error = fails.error(None);
    assert!(
        error.contains("`circleci run oidc get --claims")
            && error.contains("exit status: 3: not logged in"),
        "{error}"
    );
    assert!(!error.contains(&secret[..20]), "{error}");
    let hangs = here().program("circleci", "exec sleep 60");
    let options = Options {
        timeout: std::time::Duration::from_millis(300),
        ..Options::default()
    };
    let error = hangs
        .look_for(None, "sigstore", options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("was not done within 0.3 s"), "{error}");
    let floods = here().program("circleci", "exec head -c 10000000 /dev/zero");
    let error = floods.error(None);
    assert!(error.contains("circleci"), "{error}");
}

#[test]
fn a_machine_of_googles_is_known_by_its_metadata_server() {
    let given =
        token(json!({"email": "builder@p.iam.gserviceaccount.com", "email_verified": true}));
    let metadata = FaultyServer::start(move |request| {
        let path = "/computeMetadata/v1/instance/service-accounts/default/identity?audience=sigstore&format=full";
        match request.path == path && request.header("metadata-flavor") == Some("Google") {
            true => Reply::status(200).body(given.clone()),
            false => Reply::status(404),
        }
    });
    let here = Here::new().with("GCE_METADATA_HOST", metadata.address());
    assert_eq!(here.origin(), "Google's metadata server");
}

#[test]
fn an_account_of_googles_acts_as_another_one() {
    let given =
        json!({"token": token(json!({"email": "release@p.iam.gserviceaccount.com"}))}).to_string();
    let google = FaultyServer::start(move |request| match request.path.as_str() {
        "/computeMetadata/v1/instance/service-accounts/default/token" => Reply::status(200)
            .body(r#"{"access_token":"a1","expires_in":3599,"token_type":"Bearer"}"#),
        "/v1/projects/-/serviceAccounts/release@p.iam.gserviceaccount.com:generateIdToken"
            if request.header("authorization") == Some("Bearer a1")
                && request.body == br#"{"audience":"sigstore","includeEmail":true}"# =>
        {
            Reply::status(200).body(given.clone())
        }
        _ => Reply::status(403).body(r#"{"error":{"code":403,"message":"no"}}"#),
    });
    let account = "release@p.iam.gserviceaccount.com";
    let here = || {
        Here::new()
            .with("GOOGLE_SERVICE_ACCOUNT_NAME", account)
            .with(
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS",
                url(&google),
            )
    };
    let on_google = here().with("GCE_METADATA_HOST", google.address());
    assert_eq!(
        on_google.origin(),
        format!("Google's IAM credentials service, for {account}")
    );
    let elsewhere = here().with("CLOUDSDK_AUTH_ACCESS_TOKEN", "a1");
    assert!(elsewhere.origin().ends_with(account));
    let wrong = here().with("CLOUDSDK_AUTH_ACCESS_TOKEN", "a2").error(None);
    assert!(
        wrong.contains("IAM credentials service") && wrong.contains("403"),
        "{wrong}"
    );
    let nobody = here().error(None);
    assert!(
        nobody.contains("CLOUDSDK_AUTH_ACCESS_TOKEN=$(gcloud auth print-access-token)"),
        "{nobody}"
    );
    let hostile = here().with("GOOGLE_SERVICE_ACCOUNT_NAME", "a/../b?x");
    assert!(hostile.error(None).contains("is not the email address"));
}

#[test]
fn a_pod_has_a_file() {
    let here = Here::new().with("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    std::fs::write(
        here.path("oidc-token"),
        token(json!({"sub": "system:serviceaccount:a:b"})),
    )
    .unwrap();
    assert_eq!(here.origin(), here.path("oidc-token").display().to_string());
    let error = Here::new()
        .with("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .error(Some("filesystem"));
    assert!(
        error.contains("in Kubernetes, project a service account token"),
        "{error}"
    );
}

mod agent {
    //! SPIRE's agent, as far as tokens go: gRPC over HTTP/2 on a Unix socket.

    use std::convert::Infallible;
    use std::path::Path;

    use http_body_util::{BodyExt, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper::{Request, Response};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    /// What it says: the bytes of an answer, or a status and a message.
    pub(super) type Said = Result<Vec<u8>, (&'static str, &'static str)>;

    /// Listens until the test is over.
    pub(super) fn start(socket: &Path, said: Said) {
        let listener = std::os::unix::net::UnixListener::bind(socket).expect("it is ours");
        listener.set_nonblocking(true).expect("it is a socket");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("there are threads");
            runtime.block_on(async {
                let listener = tokio::net::UnixListener::from_std(listener).expect("it is one");
                while let Ok((stream, _)) = listener.accept().await {
                    let said = said.clone();
                    let service =
                        hyper::service::service_fn(move |request| answer(request, said.clone()));
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
                }
            });
        });
    }

    async fn answer(
        request: Request<Incoming>,
        said: Said,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let header = |name: &str| request.headers().get(name).cloned();
        assert_eq!(request.uri().path(), "/SpiffeWorkloadAPI/FetchJWTSVID");
        assert_eq!(header("workload.spiffe.io").expect("it is sent"), "true");
        let kind = header("content-type").expect("it is sent");
        assert_eq!(kind, "application/grpc");
        let body = request.into_body().collect().await.expect("it comes whole");
        // One field, the audience, by hand: tag 1, a text of 8 bytes.
        assert_eq!(body.to_bytes().as_ref(), b"\0\0\0\0\x0a\x0a\x08sigstore");
        let answer = Response::builder().header("content-type", "application/grpc");
        let answer = match said {
            Ok(bytes) => answer.header("grpc-status", "0").body(Full::from(bytes)),
            Err((status, message)) => answer
                .header("grpc-status", status)
                .header("grpc-message", message)
                .body(Full::default()),
        };
        Ok(answer.expect("it is an answer"))
    }
}

/// A field of protobuf with bytes in it, by hand.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(length as u8 & 0x7f | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    [&field, bytes].concat()
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("it is short");
    [&[0][..], &length.to_be_bytes(), message].concat()
}

#[test]
fn a_workload_of_spiffe_asks_the_agent_over_its_socket() {
    let id = "spiffe://example.org/ci";
    let svid = |token: &str| {
        field(
            1,
            &[field(1, id.as_bytes()), field(2, token.as_bytes())].concat(),
        )
    };
    let first = token(json!({"sub": id}));
    let both = [svid(&first), svid("not this one")].concat();
    let here = Here::new();
    let socket = here.path("api.sock");
    agent::start(&socket, Ok(framed(&both)));
    let shown = format!("SPIFFE (unix://{})", socket.display());
    // Where SPIRE has it, or where the variable says.
    assert_eq!(here.origin(), shown);
    for written in [
        format!("unix://{}", socket.display()),
        format!("unix:{}", socket.display()),
        socket.display().to_string(),
    ] {
        let here = Here::new().with("SPIFFE_ENDPOINT_SOCKET", written);
        assert_eq!(here.origin(), shown);
    }
}

#[test]
fn an_agent_of_spiffe_that_refuses_or_talks_nonsense_is_quoted() {
    let ask = |said: agent::Said| {
        let here = Here::new();
        agent::start(&here.path("api.sock"), said);
        here.error(None)
    };
    let refused = ask(Err(("7", "no identity issued")));
    assert!(
        refused.contains("refused with status 7: no identity issued; register this workload"),
        "{refused}"
    );
    for (bytes, expected) in [
        (framed(&[]), "it has no token"),
        (vec![0, 0, 0, 0, 9, 1], "it is not one message"),
        (vec![1, 0, 0, 0, 0], "it is not one message"),
        (Vec::new(), "it is not one message"),
        (framed(b"\xff\xff"), "it is not a JWTSVIDResponse"),
    ] {
        let error = ask(Ok(bytes));
        assert!(
            error.contains("FetchJWTSVID") && error.contains(expected),
            "{error}"
        );
    }
    let nobody = Here::new().with("SPIFFE_ENDPOINT_SOCKET", "unix:///nowhere/api.sock");
    let error = nobody.error(None);
    assert!(
        error.contains("SPIFFE Workload API: POST unix:///nowhere/api.sock"),
        "{error}"
    );
    let wrong = Here::new().with("SPIFFE_ENDPOINT_SOCKET", "api.sock");
    assert!(
        wrong
            .error(None)
            .contains("neither unix:///PATH nor tcp://ADDRESS:PORT")
    );
}
