//! An issuer of identity tokens, as a CA finds it over HTTP.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_keys::{Algorithm, PrivateKey};
use serde_json::{Value, json};

/// Whom its tokens are of.
pub(crate) const WHO: &str = "jane@example.org";

/// An issuer of identity tokens, for as long as the test runs.
pub(crate) struct Issuer {
    pub(crate) url: String,
    key: PrivateKey,
}

impl Issuer {
    pub(crate) fn start() -> Self {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).expect("there is randomness");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!(
            "http://{}",
            listener.local_addr().expect("it has an address")
        );
        let discovery = json!({
            "issuer": url, "jwks_uri": format!("{url}/keys"),
            "authorization_endpoint": format!("{url}/auth"), "token_endpoint": format!("{url}/token"),
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        let spki = key.public_key().spki_der();
        let (x, y) = spki[spki.len() - 64..].split_at(32);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let keys = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "1", "x": encode(x), "y": encode(y)},
        ]});
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is none of the test's concern.
                let _ = answer(stream, &discovery, &keys);
            }
        });
        Self { url, key }
    }

    /// A token of [`WHO`].
    pub(crate) fn token(&self) -> String {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("it is after 1970")
            .as_secs();
        let claims = json!({
            "iss": self.url, "aud": "sigstore", "sub": "1234", "iat": now, "nbf": now, "exp": now + 600,
            "email": WHO, "email_verified": true,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            part(&json!({"alg": "ES256", "kid": "1"})),
            part(&claims)
        );
        let der = self.key.sign(signed.as_bytes()).expect("the key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw(&der)))
    }
}

fn answer(stream: TcpStream, discovery: &Value, keys: &Value) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let body = match request.contains("/keys ") {
        true => keys.to_string(),
        false => discovery.to_string(),
    };
    let length = body.len();
    reader.get_mut().write_all(
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes(),
    )
}

/// `r || s` of a DER signature of P-256.
fn raw(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut out = Vec::new();
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        let number = &number[number.len().saturating_sub(32)..];
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend(number);
        rest = after;
    }
    out
}
