//! An issuer on a port of its own, with a clock that tests move; and somebody with a browser.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_formats::Digest;
use sealmark_log::{Clock, SystemClock};
use sealmark_server::oidc::{DevIssuer, Options, PATH};
use sealmark_server::ops::{self, Server};
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;
use url::form_urlencoded::Serializer;

/// The system's clock, put forward.
#[derive(Default)]
pub(crate) struct Ahead(AtomicU64);

impl Clock for Ahead {
    fn now_ms(&self) -> u64 {
        SystemClock.now_ms() + self.0.load(Ordering::SeqCst)
    }
}

impl Ahead {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

/// An address on which nobody serves yet, with its URL.
pub(crate) async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it has an address");
    (listener, format!("http://{address}"))
}

pub(crate) struct World {
    pub(crate) issuer: DevIssuer,
    pub(crate) clock: Arc<Ahead>,
    pub(crate) http: reqwest::Client,
    /// With the key.
    _folder: tempfile::TempDir,
}

impl World {
    /// An issuer, with these users or with anybody.
    pub(crate) async fn start(users: Option<&str>) -> Self {
        Self::with(users, |options| options).await
    }

    pub(crate) async fn with(users: Option<&str>, set: impl FnOnce(Options) -> Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        if let Some(users) = users {
            let file = folder.path().join("users.yaml");
            std::fs::write(file, users).expect("it is written");
        }
        let (listener, url) = listener().await;
        let clock = Arc::new(Ahead::default());
        let mut options = Options::new(format!("{url}{PATH}"));
        options.clock = clock.clone();
        let issuer = DevIssuer::open(folder.path(), set(options)).expect("it opens");
        let server = Server::new(ops::Options::default()).with(issuer.service());
        tokio::spawn(server.serve(listener, None, std::future::pending()));
        Self {
            issuer,
            clock,
            http: client(),
            _folder: folder,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.issuer.url())
    }

    /// Posts a form, as a program does.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let answer = self
            .http
            .post(self.url(path))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(encode(form))
            .send()
            .await
            .expect("the issuer answers");
        let status = answer.status().as_u16();
        let cache = answer.headers().get("cache-control").cloned();
        assert_eq!(cache.expect("it says if it may be kept"), "no-store");
        (status, answer.json().await.expect("it is JSON"))
    }

    /// The page where a program sends the browser, with some parameters changed or (`""`) left out.
    pub(crate) fn authorize(&self, changed: &[(&str, &str)]) -> String {
        let mut parameters = BTreeMap::from([
            ("response_type", "code"),
            ("client_id", "sigstore"),
            ("scope", "openid email"),
            ("redirect_uri", REDIRECT),
            ("state", "some state"),
            ("nonce", "some nonce"),
            ("code_challenge_method", "S256"),
        ]);
        let challenge = challenge();
        parameters.insert("code_challenge", &challenge);
        parameters.extend(changed.iter().copied());
        let given: Vec<_> = parameters
            .into_iter()
            .filter(|(_, it)| !it.is_empty())
            .collect();
        self.url(&format!("authorize?{}", encode(&given)))
    }

    /// Logs in as Jane, and gives the code.
    pub(crate) async fn code(&self) -> String {
        let mut browser = Browser::new();
        let page = browser.open(&self.authorize(&[])).await;
        let fields = [("email", "jane@example.org"), ("decision", "yes")];
        let answer = browser.submit(&page, &fields).await;
        answer.sent_to().remove("code").expect("there is a code")
    }

    /// What the program sends for its tokens, with some parameters changed or (`""`) left out.
    pub(crate) async fn exchange(&self, code: &str, changed: &[(&str, &str)]) -> (u16, Value) {
        let mut parameters = BTreeMap::from([
            ("grant_type", "authorization_code"),
            ("client_id", "sigstore"),
            ("redirect_uri", REDIRECT),
            ("code", code),
            ("code_verifier", VERIFIER),
        ]);
        parameters.extend(changed.iter().copied());
        let given: Vec<_> = parameters
            .into_iter()
            .filter(|(_, it)| !it.is_empty())
            .collect();
        self.post("token", &given).await
    }
}

/// Nobody listens there: the tests' browser does not follow redirects unless it is told to.
pub(crate) const REDIRECT: &str = "http://localhost:41234/auth/callback";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub(crate) fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Digest::sha256(VERIFIER.as_bytes()).bytes())
}

pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(form).finish()
}

fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.build().expect("a client is made")
}

/// Somebody's browser: it keeps cookies, and follows redirects when it opens a page.
pub(crate) struct Browser {
    http: reqwest::Client,
    pub(crate) cookie: Option<String>,
    /// Added to forms that are sent.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
}

/// What it shows.
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) html: String,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self {
            http: client(),
            cookie: None,
            headers: Vec::new(),
        }
    }

    pub(crate) async fn open(&mut self, url: &str) -> Page {
        let mut url = Url::parse(url).expect("it is a URL");
        for _ in 0..5 {
            let page = self.send(self.http.get(url.clone()), url).await;
            match page.headers.get("location") {
                Some(to) => {
                    let to = to.to_str().expect("it is a URL");
                    url = page.url.join(to).expect("it is a URL");
                }
                None => return page,
            }
        }
        panic!("redirects in a circle")
    }

    /// Sends the page's form with these fields, and the hidden ones. Redirects are not followed.
    pub(crate) async fn submit(&mut self, page: &Page, fields: &[(&str, &str)]) -> Page {
        let action = between(&page.html, "<form method=\"post\" action=\"", "\"");
        let action = unescape(action.unwrap_or_else(|| panic!("no form: {}", page.html)));
        let url = page.url.join(&action).expect("it is a URL");
        let mut form = Vec::new();
        for input in page.html.split("<input type=\"hidden\" ").skip(1) {
            let name = between(input, "name=\"", "\"").expect("it has a name");
            form.push((
                name,
                between(input, "value=\"", "\"").expect("it has a value"),
            ));
        }
        form.extend(fields);
        let mut request = self
            .http
            .post(url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(encode(&form));
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        self.send(request, url).await
    }

    async fn send(&mut self, mut request: reqwest::RequestBuilder, url: Url) -> Page {
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", format!("other=1; {cookie}"));
        }
        let answer = request.send().await.expect("it answers");
        if let Some(cookie) = answer.headers().get("set-cookie") {
            let cookie = cookie.to_str().expect("it is a text");
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        Page {
            url,
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            html: answer.text().await.expect("it is a text"),
        }
    }
}

impl Page {
    /// The parameters with which it sends the browser to the program.
    pub(crate) fn sent_to(&self) -> BTreeMap<String, String> {
        assert_eq!(self.status, 303, "{}", self.html);
        let to = self.headers["location"].to_str().expect("it is a URL");
        let to = Url::parse(to).expect("it is a URL");
        to.query_pairs().into_owned().collect()
    }
}

pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("it has three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("it is base64url");
    serde_json::from_slice(&payload).expect("it is JSON")
}
