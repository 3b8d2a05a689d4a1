//! Tokens: of Entra, of App Service, of the metadata service.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    APPLICATION, EXPIRED_SECRET, IDENTITY_HEADER, OBJECT, OTHER_TENANT, SECRET, State, TENANT,
    answer, locked,
};
use crate::faulty::{Reply, Request};
use crate::{Peer, Program};

impl State {
    /// A token with these claims, which the vault will know again.
    pub(super) fn issue(&self, claims: Value) -> String {
        let mut tokens = locked(&self.tokens);
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = encode(&json!({"typ": "JWT", "alg": "RS256", "kid": "k1"}));
        let token = format!("{header}.{}.{}", encode(&claims), tokens.len());
        tokens.push(token.clone());
        token
    }

    fn of_application(&self, audience: &str, application: &str, tenant: &str) -> String {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        self.issue(json!({
            "aud": audience, "iss": format!("https://sts.windows.net/{tenant}/"), "iat": now, "nbf": now,
            "exp": now + 3600, "appid": application, "oid": OBJECT, "tid": tenant, "idtyp": "app", "ver": "1.0",
        }))
    }

    /// `GET /TENANT/v2.0/.well-known/openid-configuration`, which Azure's own SDKs ask for first.
    pub(super) fn discovery(&self, request: &Request) -> Reply {
        let tenant = request.path.split('/').nth(1).unwrap_or_default();
        let base = format!(
            "https://{}/{tenant}",
            request.header("host").unwrap_or_default()
        );
        answer(
            200,
            &json!({
                "token_endpoint": format!("{base}/oauth2/v2.0/token"),
                "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
                "issuer": format!("{base}/v2.0"),
                "jwks_uri": format!("{base}/discovery/v2.0/keys"),
            }),
        )
    }

    /// `POST /TENANT/oauth2/v2.0/token`
    pub(super) fn token(&self, request: &Request) -> Reply {
        let tenant = request.path.split('/').nth(1).unwrap_or_default();
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body)
            .into_owned()
            .collect();
        let get = |name: &str| {
            let found = form.iter().find(|(have, _)| have == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        let refuse = |status: u16, error: &str, code: u32, text: String| {
            let tail = "Trace ID: 3f0c Correlation ID: 77aa Timestamp: 2026-11-01 00:00:00Z";
            answer(
                status,
                &json!({"error": error, "error_description": format!("AADSTS{code}: {text} {tail}"), "error_codes": [code]}),
            )
        };
        if ![TENANT, OTHER_TENANT].contains(&tenant) {
            let text = format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the \
                 correct cloud."
            );
            return refuse(400, "invalid_request", 90002, text);
        }
        let client = get("client_id");
        if client != APPLICATION {
            let text = format!(
                "Application with identifier '{client}' was not found in the directory 'Test'."
            );
            return refuse(400, "unauthorized_client", 700016, text);
        }
        match (get("client_secret"), get("client_assertion")) {
            (SECRET, _) => {}
            (EXPIRED_SECRET, _) => {
                let text =
                    format!("The provided client secret keys for app '{client}' are expired.");
                return refuse(401, "invalid_client", 7000222, text);
            }
            ("", "a federated token") => {}
            ("", assertion) if self.is_signed(assertion) => {}
            ("", _) => {
                let text = "Client assertion failed signature validation.".to_owned();
                return refuse(401, "invalid_client", 700027, text);
            }
            _ => {
                let text = "Invalid client secret provided. Ensure the secret being sent in the request is the client \
                            secret value, not the client secret ID"
                    .to_owned();
                return refuse(401, "invalid_client", 7000215, text);
            }
        }
        let Some(audience) = get("scope").strip_suffix("/.default") else {
            let text = "The provided value for scope is not valid.".to_owned();
            return refuse(400, "invalid_scope", 1002012, text);
        };
        let token = self.of_application(audience, client, tenant);
        answer(
            200,
            &json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}),
        )
    }

    /// Whether the assertion is signed with the certificate that the application has.
    fn is_signed(&self, assertion: &str) -> bool {
        let file = self.sandbox.join("client.pem");
        let Some((signed, signature)) = assertion.rsplit_once('.').filter(|_| file.is_file())
        else {
            return false;
        };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        self.sandbox.write("assertion", signed);
        self.sandbox.write("assertion.sig", signature);
        let run = |program: Program| program.run();
        let public = run(self
            .openssl()
            .args(["x509", "-in", "client.pem", "-pubkey", "-noout"]));
        self.sandbox.write("client.pub", public.stdout());
        let good = run(self.openssl().args([
            "dgst",
            "-sha256",
            "-verify",
            "client.pub",
            "-signature",
            "assertion.sig",
            "assertion",
        ]));
        let der = run(self
            .openssl()
            .args(["x509", "-in", "client.pem", "-outform", "DER"]));
        self.sandbox.write("client.der", der.stdout_bytes());
        let digest = run(self
            .openssl()
            .args(["dgst", "-sha1", "-binary", "client.der"]));
        let header = assertion.split('.').next().unwrap_or_default();
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap_or_default())
                .unwrap_or_default();
        good.exit_code() == Some(0)
            && header["x5t"] == URL_SAFE_NO_PAD.encode(digest.stdout_bytes())
    }

    pub(super) fn openssl(&self) -> Program {
        let program = Peer::find("openssl").expect("the caller looked for openssl");
        self.sandbox.command(program)
    }

    /// App Service at `/msi/token`, the metadata service at `/metadata/identity/oauth2/token`.
    pub(super) fn managed_identity(&self, request: &Request) -> Reply {
        let refuse = |status: u16, text: &str| {
            answer(
                status,
                &json!({"error": "invalid_request", "error_description": text}),
            )
        };
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let get = |name: &str| {
            let found = query.iter().find(|(have, _)| have == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        match path {
            "/msi/token" if request.header("x-identity-header") != Some(IDENTITY_HEADER) => {
                return answer(
                    401,
                    &json!({"statusCode": 401, "message": "No Managed Identity found"}),
                );
            }
            "/msi/token" => {}
            "/metadata/identity/oauth2/token" if request.header("metadata") != Some("true") => {
                return refuse(400, "Required metadata header not specified");
            }
            "/metadata/identity/oauth2/token" => {}
            _ => return Reply::status(404),
        }
        if !["", APPLICATION].contains(&get("client_id")) {
            return refuse(400, "Identity not found");
        }
        let token = self.of_application(get("resource"), APPLICATION, TENANT);
        answer(
            200,
            &json!({"access_token": token, "expires_on": "4102444800", "resource": get("resource"), "token_type": "Bearer"}),
        )
    }
}

/// The claims of a token that the double issued.
pub(super) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD
        .decode(payload)
        .or_else(|_| STANDARD.decode(payload));
    serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default()
}
