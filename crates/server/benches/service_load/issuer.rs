//! An issuer of identity tokens with one RSA key, as those of most CI systems: it serves its keys, and whoever has its
//! key file signs tokens ahead.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_identity::{Jwk, KeySet, SigningAlgorithm};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_log::{Clock as _, SystemClock};
use serde_json::{Value, json};

/// How long tokens are good, in seconds: longer than any run.
const LIFETIME: u64 = 24 * 60 * 60;

/// An issuer.
pub(crate) struct Issuer {
    url: String,
    jwk: Jwk,
    key: PrivateKey,
    /// Tells tokens of this run from those of others.
    run: u64,
}

fn seconds() -> u64 {
    SystemClock.now_ms() / 1000
}

/// Makes a key, writes it to a file, and serves its public part at `address` until standard input ends.
pub(crate) fn serve(address: &str, file: &Path) -> ! {
    let key = PrivateKey::generate(Algorithm::Rsa2048).expect("an RSA key");
    let der = key.to_pkcs8_der().expect("an RSA key is written");
    fs::write(file, &*der).expect("the folder can be written");
    let issuer = Issuer::new(format!("http://{address}"), key);
    let listener = TcpListener::bind(address).expect("a free address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away does not matter.
            drop(issuer.answer(stream));
        }
    });
    println!("ready");
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    std::process::exit(0)
}

impl Issuer {
    /// The issuer at this URL, with the key that it wrote.
    pub(crate) fn read(url: &str, file: &Path) -> Self {
        let der = fs::read(file).expect("the issuer's key");
        let key = PrivateKey::from_pkcs8_der(&der).expect("the issuer's key");
        Self::new(url.to_owned(), key)
    }

    fn new(url: String, key: PrivateKey) -> Self {
        let jwk = Jwk::new(key.public_key().clone(), SigningAlgorithm::Rs256);
        Self {
            url,
            jwk: jwk.expect("an RSA key has a form"),
            key,
            run: SystemClock.now_ms(),
        }
    }

    /// Whom the token of this number is for.
    pub(crate) fn email(&self, number: usize) -> String {
        format!("person-{number}@example.org")
    }

    /// A token, with the claims that Dex gives.
    pub(crate) fn token(&self, number: usize) -> String {
        let now = seconds();
        let claims = json!({
            "iss": self.url, "aud": "sigstore", "sub": format!("CgVhZG1pbhIFbG9jYWw{number}"),
            "iat": now, "nbf": now, "exp": now + LIFETIME, "jti": format!("{}-{number}", self.run),
            "email": self.email(number), "email_verified": true, "name": "A Person",
            "federated_claims": {"connector_id": "https://accounts.example.org", "user_id": number.to_string()},
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.jwk.id});
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(signed.as_bytes()).expect("an RSA key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        reader.read_line(&mut request)?;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        let url = &self.url;
        let body = match request.contains("/keys ") {
            true => KeySet::of(vec![self.jwk.clone()])
                .to_json()
                .map_err(std::io::Error::other)?,
            false => json!({
                "issuer": url, "jwks_uri": format!("{url}/keys"),
                "authorization_endpoint": format!("{url}/auth"), "token_endpoint": format!("{url}/token"),
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        reader.get_mut().write_all((head + &body).as_bytes())
    }
}
