//! The vault: keys, and what is refused.
//! <https://learn.microsoft.com/rest/api/keyvault/keys/operation-groups>

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::entra::claims;
use super::{KEYS, REFUSED, State, TENANT, answer, locked};
use crate::faulty::{Reply, Request};

/// A key pair, whose private part is in a file.
#[derive(Debug)]
pub(super) struct Pair {
    name: String,
    kty: String,
    /// Curve or size.
    form: String,
    version: String,
    jwk: Value,
}

fn error(status: u16, code: &str, message: &str, inner: Option<&str>) -> Reply {
    let mut body = json!({"error": {"code": code, "message": message}});
    if let Some(inner) = inner {
        body["error"]["innererror"] = json!({"code": inner});
    }
    answer(status, &body)
}

fn decoded(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_default();
    URL_SAFE_NO_PAD.decode(text).unwrap_or_default()
}

/// Bytes of a number of the curve.
fn scalar(curve: &str) -> usize {
    match curve {
        "P-384" => 48,
        "P-521" => 66,
        _ => 32,
    }
}

impl State {
    pub(super) fn vault(&self, request: &Request) -> Reply {
        let unauthorised = |message: &str| {
            let challenge = format!(
                "Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\", resource=\"https://vault.azure.net\""
            );
            error(401, "Unauthorized", message, None).with("www-authenticate", challenge)
        };
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let name = *parts.get(1).unwrap_or(&"");
        if name == "slow" {
            return Reply::Hang;
        }
        let Some(token) = request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
        else {
            return unauthorised("AKV10000: Request is missing a Bearer or PoP token.");
        };
        if !locked(&self.tokens).iter().any(|issued| issued == token) {
            return unauthorised("AKV10042: Signature not valid.");
        }
        let claims = claims(token);
        if claims["aud"] != "https://vault.azure.net" {
            return unauthorised("AKV10022: Invalid audience.");
        }
        if claims["tid"] != TENANT {
            let message = format!(
                "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/{TENANT}/, found {}.",
                claims["iss"].as_str().unwrap_or_default()
            );
            return unauthorised(&message);
        }
        {
            let mut throttled = locked(&self.throttled);
            if name == "throttled" || *throttled > 0 {
                *throttled = throttled.saturating_sub(1);
                let wait = if name == "throttled" { 60 } else { 1 };
                let message = "Request was not processed because too many requests were received. Reason: \
                               VaultRequestTypeLimitReached";
                return error(429, "Throttled", message, None).with("retry-after", wait);
            }
        }
        if !query.contains("api-version=") {
            return error(400, "BadParameter", "api-version must be specified", None);
        }
        let operation = parts
            .last()
            .copied()
            .filter(|last| ["sign", "verify", "create", "wrapkey", "unwrapkey"].contains(last));
        if let Some(refusal) = forbidden(name, operation, &claims) {
            return refusal;
        }
        let version = parts
            .get(2)
            .copied()
            .filter(|part| !part.is_empty() && Some(*part) != operation);
        if operation == Some("create") {
            return self.create(name, request);
        }
        let found = self
            .pair(name)
            .filter(|pair| version.is_none_or(|version| version == pair.version));
        let Some(pair) = found else {
            let id = version.map_or_else(|| name.to_owned(), |version| format!("{name}/{version}"));
            let message = format!(
                "A key with (name/id) {id} was not found in this key vault. If you recently deleted this key you may be able \
                 to recover it using the correct recovery command. For help resolving this issue, please see \
                 https://go.microsoft.com/fwlink/?linkid=2125182"
            );
            return error(404, "KeyNotFound", &message, None);
        };
        match operation {
            None => answer(200, &bundle(&pair, request)),
            Some("wrapkey") => self.wrap(&pair, true, request),
            Some("unwrapkey") => self.wrap(&pair, false, request),
            Some(operation) => self.operate(&pair, operation, request),
        }
    }

    /// The key of this name, made when it is first asked for.
    fn pair(&self, name: &str) -> Option<Arc<Pair>> {
        if let Some(pair) = locked(&self.keys).get(name) {
            return Some(Arc::clone(pair));
        }
        let (_, kty, form) = KEYS.iter().find(|(have, ..)| *have == name)?;
        Some(self.make(name, kty, form))
    }

    fn make(&self, name: &str, kty: &str, form: &str) -> Arc<Pair> {
        let file = format!("{name}.key");
        let option = match kty {
            "RSA" | "RSA-HSM" => format!("rsa_keygen_bits:{form}"),
            _ if form == "P-256K" => "ec_paramgen_curve:secp256k1".to_owned(),
            _ => format!("ec_paramgen_curve:{form}"),
        };
        let jwk = match kty {
            "oct-HSM" => json!({"kty": kty}),
            "RSA" | "RSA-HSM" => {
                self.run(&[
                    "genpkey",
                    "-algorithm",
                    "RSA",
                    "-pkeyopt",
                    &option,
                    "-out",
                    &file,
                ]);
                let modulus = self.run(&["rsa", "-in", &file, "-noout", "-modulus"]);
                let text = String::from_utf8_lossy(&modulus).trim().to_owned();
                let digits = text.strip_prefix("Modulus=").expect("OpenSSL prints it so");
                let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex");
                let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
                json!({"kty": kty, "n": URL_SAFE_NO_PAD.encode(bytes), "e": "AQAB"})
            }
            _ => {
                self.run(&[
                    "genpkey",
                    "-algorithm",
                    "EC",
                    "-pkeyopt",
                    &option,
                    "-out",
                    &file,
                ]);
                let der = self.run(&["pkey", "-in", &file, "-pubout", "-outform", "DER"]);
                let (x, y) = der[der.len() - 2 * scalar(form)..].split_at(scalar(form));
                json!({"kty": kty, "crv": form, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
            }
        };
        let mut keys = locked(&self.keys);
        let version = format!(
            "{:032x}",
            0x91ca_3fb1_3361_4790_u128 << 64 | keys.len() as u128
        );
        let pair = Arc::new(Pair {
            name: name.to_owned(),
            kty: kty.to_owned(),
            form: form.to_owned(),
            version,
            jwk,
        });
        Arc::clone(keys.entry(name.to_owned()).or_insert(pair))
    }

    fn run(&self, words: &[&str]) -> Vec<u8> {
        let finished = self.openssl().args(words).run().success();
        finished.stdout_bytes().to_vec()
    }

    fn create(&self, name: &str, request: &Request) -> Reply {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let kty = asked["kty"].as_str().unwrap_or("EC").to_owned();
        let form = match asked["key_size"].as_u64() {
            Some(size) => size.to_string(),
            None => asked["crv"].as_str().unwrap_or("P-256").to_owned(),
        };
        let pair = self.make(name, &kty, &form);
        answer(200, &bundle(&pair, request))
    }

    /// Wraps or unwraps as RSA-OAEP-256.
    fn wrap(&self, pair: &Pair, wraps: bool, request: &Request) -> Reply {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if !pair.kty.starts_with("RSA") || asked["alg"] != "RSA-OAEP-256" {
            let message = "Key and algorithm are incompatible.";
            return error(400, "BadParameter", message, None);
        }
        let kid = format!(
            "https://{}/keys/{}/{}",
            request.header("host").unwrap_or_default(),
            pair.name,
            pair.version
        );
        let input = format!("{}.wrap", locked(&self.tokens).len());
        self.sandbox.write(&input, decoded(&asked["value"]));
        let key = format!("{}.key", pair.name);
        let oaep = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256"];
        let words = ["pkeyutl", "-inkey", &key, "-in", &input];
        let words = words
            .into_iter()
            .chain(oaep.into_iter().flat_map(|option| ["-pkeyopt", option]));
        let done = self
            .openssl()
            .args(words)
            .arg(if wraps { "-encrypt" } else { "-decrypt" })
            .run();
        match done.exit_code() {
            Some(0) => {
                let value = URL_SAFE_NO_PAD.encode(done.stdout_bytes());
                answer(200, &json!({"kid": kid, "value": value}))
            }
            _ => error(400, "BadParameter", "The parameter is incorrect.", None),
        }
    }

    fn operate(&self, pair: &Pair, operation: &str, request: &Request) -> Reply {
        if pair.name == "disabled" {
            let message = format!("Operation {operation} is not allowed on a disabled key.");
            return error(403, "Forbidden", &message, Some("KeyDisabled"));
        }
        if pair.name == "nosign" && operation == "sign" {
            let message = "Operation sign is not permitted on this key.";
            return error(403, "Forbidden", message, Some("KeyOperationForbidden"));
        }
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let algorithm = asked["alg"].as_str().unwrap_or_default();
        let kid = format!(
            "https://{}/keys/{}/{}",
            request.header("host").unwrap_or_default(),
            pair.name,
            pair.version
        );
        let is_ec = pair.kty.starts_with("EC");
        let fits = match pair.form.as_str() {
            "P-256" => algorithm == "ES256",
            "P-384" => algorithm == "ES384",
            "P-521" => algorithm == "ES512",
            "P-256K" => algorithm == "ES256K",
            _ => ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].contains(&algorithm),
        };
        if !fits {
            let types = if algorithm.starts_with("ES") {
                "'EC' or 'EC-HSM'"
            } else {
                "'RSA' or 'RSA-HSM'"
            };
            let message = format!(
                "Key and signing algorithm are incompatible. Key {kid} is of type '{}', and algorithm '{algorithm}' can only be \
                 used with a key of type {types}.",
                pair.kty
            );
            return error(400, "BadParameter", &message, None);
        }
        let bits = &algorithm[2..5];
        let digest = decoded(
            &asked[if operation == "verify" {
                "digest"
            } else {
                "value"
            }],
        );
        if digest.len() * 8 != bits.parse().unwrap_or(0) {
            let message = format!("Invalid length of 'value': {} bytes.", digest.len());
            return error(400, "BadParameter", &message, None);
        }
        // Requests may come at the same time.
        let unique = format!(
            "{}-{}",
            locked(&self.tokens).len(),
            URL_SAFE_NO_PAD.encode(&digest)
        );
        let (input, sigfile) = (format!("{unique}.digest"), format!("{unique}.sig"));
        self.sandbox.write(&input, &digest);
        let (key, hash) = (format!("{}.key", pair.name), format!("digest:sha{bits}"));
        let mut words = vec!["pkeyutl", "-inkey", &key, "-in", &input, "-pkeyopt", &hash];
        if algorithm.starts_with("PS") {
            words.extend([
                "-pkeyopt",
                "rsa_padding_mode:pss",
                "-pkeyopt",
                "rsa_pss_saltlen:digest",
            ]);
        }
        if operation == "sign" {
            words.push("-sign");
            let signature = self.run(&words);
            let raw = if is_ec {
                numbers(&signature, scalar(&pair.form))
            } else {
                signature
            };
            return answer(
                200,
                &json!({"kid": kid, "value": URL_SAFE_NO_PAD.encode(raw)}),
            );
        }
        let signature = decoded(&asked["value"]);
        self.sandbox
            .write(&sigfile, if is_ec { der(&signature) } else { signature });
        words.extend(["-verify", "-sigfile", &sigfile]);
        let good = self.openssl().args(words).run().exit_code() == Some(0);
        answer(200, &json!({"value": good}))
    }
}

fn forbidden(name: &str, operation: Option<&str>, claims: &Value) -> Option<Reply> {
    let text = |claim: &str| claims[claim].as_str().unwrap_or_default().to_owned();
    let who = format!(
        "appid={};oid={};numgroups=1;iss={}",
        text("appid"),
        text("oid"),
        text("iss")
    );
    let name = match (name, operation) {
        ("policy-sign", Some("sign"))
        | ("policy-wrap", Some("wrapkey"))
        | ("policy-unwrap", Some("unwrapkey")) => "policy",
        (name, _) => name,
    };
    let (_, inner) = REFUSED.iter().find(|(have, _)| *have == name)?;
    let need = operation.unwrap_or("get");
    let message = match *inner {
        "ForbiddenByPolicy" => format!(
            "The user, group or application '{who}' does not have keys {need} permission on key vault 'tsm-kv;location=westus3'. \
             For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287"
        ),
        "ForbiddenByRbac" => format!(
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role \
             definitions were changed recently, please observe propagation time.\r\nCaller: {who}\r\nAction: \
             'Microsoft.KeyVault/vaults/keys/{need}/action'"
        ),
        "ForbiddenByFirewall" => format!(
            "Client address is not authorized and caller is not a trusted service.\r\nClient address: 203.0.113.9\r\nCaller: {who}"
        ),
        _ => "Public network access is disabled and request is not from a trusted service nor via an approved private link."
            .to_owned(),
    };
    Some(error(403, "Forbidden", &message, Some(inner)))
}

fn bundle(pair: &Pair, request: &Request) -> Value {
    let mut key = pair.jwk.clone();
    let host = request.header("host").unwrap_or_default();
    key["kid"] = format!("https://{host}/keys/{}/{}", pair.name, pair.version).into();
    key["key_ops"] = match pair.name.as_str() {
        "nosign" => json!(["verify"]),
        _ => json!(["sign", "verify"]),
    };
    json!({
        "key": key,
        "attributes": {
            "enabled": pair.name != "disabled", "created": 1_700_000_000, "updated": 1_700_000_000,
            "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90, "exportable": false,
        },
        "tags": {},
    })
}

/// `r` and `s` of a DER signature, each at its full length.
fn numbers(signature: &[u8], length: usize) -> Vec<u8> {
    let start = if signature[1] & 0x80 != 0 { 3 } else { 2 };
    let mut rest = &signature[start..];
    let mut raw = Vec::new();
    while let [0x02, size, tail @ ..] = rest {
        let (number, after) = tail.split_at(usize::from(*size));
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let number = &number[zeros..];
        raw.extend(vec![0; length - number.len()]);
        raw.extend_from_slice(number);
        rest = after;
    }
    raw
}

/// The DER signature of `r` and `s`.
fn der(raw: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    for number in raw.chunks(raw.len().div_ceil(2).max(1)) {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let mut number = number[zeros..].to_vec();
        if number.first().is_none_or(|byte| byte & 0x80 != 0) {
            number.insert(0, 0);
        }
        content.extend([0x02, number.len() as u8]);
        content.extend(number);
    }
    let mut head = vec![0x30];
    if content.len() > 0x7f {
        head.push(0x81);
    }
    head.push(content.len() as u8);
    [head, content].concat()
}
