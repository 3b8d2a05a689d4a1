//! Requests of version 2, good and bad, as a table, with what a log is to answer.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, HashAlgorithm, PrivateKey};
use serde_json::{Value, json};

/// What is expected of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expected {
    /// It is logged.
    Logged,
    /// It was logged before.
    Known,
    /// 400, by both.
    Refused,
    /// 400 here, and for this reason not there.
    RefusedHere(&'static str),
}

use Expected::{Known, Logged, Refused, RefusedHere};

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) body: Vec<u8>,
    pub(crate) expected: Expected,
}

/// A key and how its signatures are called.
struct Signer {
    key: PrivateKey,
    hash: HashAlgorithm,
    details: &'static str,
}

impl Signer {
    fn new(algorithm: Algorithm, hash: HashAlgorithm, details: &'static str) -> Self {
        let key = PrivateKey::generate(algorithm).expect("a key can be made");
        Self { key, hash, details }
    }

    /// A request that is good.
    fn request(&self, data: &str) -> Value {
        let digest = Digest::of(self.hash, data.as_bytes());
        let signature = self.key.sign_digest(&digest).expect("the key signs");
        let der = self.key.public_key().spki_der();
        json!({"hashedRekordRequestV002": {
            "digest": STANDARD.encode(digest.bytes()),
            "signature": {"content": STANDARD.encode(signature), "verifier": {
                "publicKey": {"rawBytes": STANDARD.encode(der)}, "keyDetails": self.details,
            }},
        }})
    }
}

#[derive(Default)]
struct Table(Vec<Case>);

impl Table {
    fn add(&mut self, name: &str, body: impl Into<Vec<u8>>, expected: Expected) {
        let (name, body) = (name.to_owned(), body.into());
        self.0.push(Case {
            name,
            body,
            expected,
        });
    }

    fn json(&mut self, name: &str, body: &Value, expected: Expected) {
        self.add(name, body.to_string(), expected);
    }
}

/// Requests in the order in which they are sent. Those that only rekor-tiles logs come last, after which the trees differ.
#[rustfmt::skip]
pub(crate) fn cases() -> Vec<Case> {
    let p256 = Signer::new(
        Algorithm::EcdsaP256,
        HashAlgorithm::Sha256,
        "PKIX_ECDSA_P256_SHA_256",
    );
    let mut table = Table::default();
    for signer in [
        Signer::new(
            Algorithm::EcdsaP384,
            HashAlgorithm::Sha384,
            "PKIX_ECDSA_P384_SHA_384",
        ),
        Signer::new(
            Algorithm::EcdsaP521,
            HashAlgorithm::Sha512,
            "PKIX_ECDSA_P521_SHA_512",
        ),
        Signer::new(
            Algorithm::Rsa2048,
            HashAlgorithm::Sha256,
            "PKIX_RSA_PKCS1V15_2048_SHA256",
        ),
        Signer::new(Algorithm::Ed25519, HashAlgorithm::Sha512, "PKIX_ED25519_PH"),
    ] {
        table.json(signer.details, &signer.request("data"), Logged);
    }
    let first = p256.request("first");
    table.json("P-256", &first, Logged);
    table.json("the same again", &first, Known);

    let mut by_number = p256.request("by number");
    by_number["hashedRekordRequestV002"]["signature"]["verifier"]["keyDetails"] = json!(5);
    table.json("keyDetails as a number", &by_number, Logged);
    let sent = p256.request("snake case");
    let sent = &sent["hashedRekordRequestV002"];
    let signature = &sent["signature"];
    let snake = json!({"hashed_rekord_request_v002": {
        "digest": sent["digest"],
        "signature": {"content": signature["content"], "verifier": {
            "public_key": {"raw_bytes": signature["verifier"]["publicKey"]["rawBytes"]},
            "key_details": "PKIX_ECDSA_P256_SHA_256",
        }},
    }});
    table.json("names in snake case", &snake, Logged);
    let mut url_safe = p256.request("URL-safe base64");
    let digest = Digest::sha256(b"URL-safe base64");
    url_safe["hashedRekordRequestV002"]["digest"] = json!(URL_SAFE_NO_PAD.encode(digest.bytes()));
    table.json("URL-safe base64 without padding", &url_safe, Logged);
    let mut null = p256.request("null");
    null["hashedRekordRequestV002"]["signature"]["verifier"]["x509Certificate"] = Value::Null;
    table.json("a member that is null", &null, Logged);

    // Each with one thing wrong. The pointer is from the request in hashedRekordRequestV002.
    let key = "/signature/verifier/publicKey";
    for (name, pointer, value) in [
        ("no digest", "/digest", None),
        ("null for the digest", "/digest", Some(Value::Null)),
        ("an empty digest", "/digest", Some(json!(""))),
        ("a short digest", "/digest", Some(json!(STANDARD.encode([7; 20])))),
        ("a long digest", "/digest", Some(json!(STANDARD.encode([7; 64])))),
        ("another digest", "/digest", Some(json!(STANDARD.encode([7; 32])))),
        ("a digest that is no base64", "/digest", Some(json!("!!!"))),
        ("a digest that is a number", "/digest", Some(json!(5))),
        ("a digest that is a list", "/digest", Some(json!([1, 2]))),
        ("no signature", "/signature", None),
        ("null for the signature", "/signature", Some(Value::Null)),
        ("a signature that is a list", "/signature", Some(json!([]))),
        ("no content", "/signature/content", None),
        ("an empty content", "/signature/content", Some(json!(""))),
        ("a content that is no signature", "/signature/content", Some(json!("anVuaw=="))),
        ("no verifier", "/signature/verifier", None),
        ("no key", key, None),
        ("an empty key", key, Some(json!({}))),
        ("no bytes of the key", key, Some(json!({"rawBytes": ""}))),
        ("bytes that are no key", key, Some(json!({"rawBytes": "anVuaw=="}))),
        ("a key in PEM", key, Some(json!({"rawBytes": STANDARD.encode(p256.key.public_key().to_pem())}))),
        ("key and certificate", "/signature/verifier/x509Certificate", Some(json!({"rawBytes": "anVuaw=="}))),
        ("no keyDetails", "/signature/verifier/keyDetails", None),
        ("keyDetails of P-384", "/signature/verifier/keyDetails", Some(json!("PKIX_ECDSA_P384_SHA_384"))),
        ("keyDetails of Ed25519ph", "/signature/verifier/keyDetails", Some(json!("PKIX_ED25519_PH"))),
        ("keyDetails of Ed25519", "/signature/verifier/keyDetails", Some(json!("PKIX_ED25519"))),
        ("keyDetails that nobody knows", "/signature/verifier/keyDetails", Some(json!("NONSENSE"))),
        ("keyDetails unspecified", "/signature/verifier/keyDetails", Some(json!("PUBLIC_KEY_DETAILS_UNSPECIFIED"))),
        ("keyDetails 99", "/signature/verifier/keyDetails", Some(json!(99))),
        ("keyDetails 5.5", "/signature/verifier/keyDetails", Some(json!(5.5))),
        ("keyDetails -1", "/signature/verifier/keyDetails", Some(json!(-1))),
        ("keyDetails \"5\"", "/signature/verifier/keyDetails", Some(json!("5"))),
        ("keyDetails true", "/signature/verifier/keyDetails", Some(json!(true))),
        ("keyDetails null", "/signature/verifier/keyDetails", Some(Value::Null)),
        ("a member that nobody knows", "/more", Some(json!(1))),
        ("… in the signature", "/signature/more", Some(json!(1))),
        ("… in the verifier", "/signature/verifier/more", Some(json!(1))),
        ("a name in another case", "/Digest", Some(json!("AA=="))),
    ] {
        let mut request = p256.request(name);
        let inner = &mut request["hashedRekordRequestV002"];
        let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
        let parent = inner.pointer_mut(parent).and_then(Value::as_object_mut);
        let parent = parent.expect("the member is there");
        match value {
            Some(value) => parent.insert(member.to_owned(), value),
            None => parent.remove(member),
        };
        table.json(name, &request, Refused);
    }
    let mut more = p256.request("more");
    more["more"] = json!(1);
    table.json("a member beside the request", &more, Refused);
    let members = &p256.request("list")["hashedRekordRequestV002"];
    let lists = json!([[members["digest"], members["signature"]]]);
    table.json("lists of values in place of members", &lists, Refused);
    let text = p256.request("text").to_string();
    let twice = text.replacen("\"digest\"", "\"digest\":\"AA==\",\"digest\"", 1);
    table.add("a member twice", twice, Refused);
    let dsse = json!({"envelope": {"payload": "", "payloadType": "x"}, "verifiers": []});
    table.json("dsse", &json!({"dsseRequestV002": dsse}), Refused);
    for (name, value) in [
        ("null", Value::Null),
        ("text", json!("x")),
        ("a list", json!([])),
    ] {
        let request = json!({"hashedRekordRequestV002": value});
        table.json(&format!("{name} for the request"), &request, Refused);
    }
    for bad in [
        "",
        "{}",
        "null",
        "[]",
        "\"x\"",
        "7",
        "no JSON",
        "{\"a",
        "\u{feff}{}",
    ] {
        table.add(&format!("the body {bad:?}"), bad, Refused);
    }
    table.add("a body that breaks off", &text.as_bytes()[..100], Refused);
    table.add(
        "no UTF-8",
        *b"{\"hashedRekordRequestV002\":\"\xff\"}",
        Refused,
    );
    table.add("many brackets", "[".repeat(20_000), Refused);
    table.add(
        "five million bytes",
        format!("{{\"x\":\"{}\"}}", "a".repeat(5_000_000)),
        Refused,
    );

    let trailing = RefusedHere("rekor-tiles reads one value, and ignores what comes after");
    table.add("a letter after the request", format!("{text}x"), trailing);
    let mut fraction = p256.request("5.0");
    fraction["hashedRekordRequestV002"]["signature"]["verifier"]["keyDetails"] = json!(5.0);
    let reason = RefusedHere("a number of an enum is an integer");
    table.json("keyDetails 5.0", &fraction, reason);
    let rsa = Signer::new(
        Algorithm::Rsa2048,
        HashAlgorithm::Sha256,
        "PKIX_RSA_PKCS1V15_3072_SHA256",
    );
    let reason = RefusedHere(
        "rekor-tiles does not compare the length of an RSA key, and logs a false statement",
    );
    table.json(
        "RSA of another length than it says",
        &rsa.request("data"),
        reason,
    );
    table.0
}
