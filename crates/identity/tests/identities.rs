//! Tokens of every kind of issuer, and what a CA makes of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_identity::{
    Configuration, Expected, Identity, Jwk, KeySet, MAX_TOKEN, SigningAlgorithm, Token, TokenError,
};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_x509::{FulcioExtension, SubjectAltName};
use serde_json::{Value, json};

const NOW: i64 = 1_700_000_000;
const ISSUER: &str = "https://accounts.example.com";

/// An issuer with an Ed25519 key.
struct Issuer {
    key: PrivateKey,
    keys: KeySet,
}

impl Issuer {
    fn new() -> Self {
        let key = PrivateKey::generate(Algorithm::Ed25519).expect("there is randomness");
        let keys = KeySet::of(vec![Jwk {
            id: Some("k1".to_owned()),
            algorithm: None,
            key: key.public_key().clone(),
        }]);
        Self { key, keys }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(signed.as_bytes()).expect("the key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn good(&self) -> String {
        self.token(&header(), &claims())
    }

    fn verify(&self, token: &str) -> Result<(), TokenError> {
        let expected = Expected {
            issuer: ISSUER,
            audience: Some("sigstore"),
            algorithms: &SigningAlgorithm::ALL,
        };
        Token::parse(token)?
            .verify(&self.keys, &expected, NOW)
            .map(|_| ())
    }
}

fn header() -> Value {
    json!({"alg": "EdDSA", "kid": "k1", "typ": "JWT"})
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "sigstore", "sub": "1234", "exp": NOW + 60, "iat": NOW,
        "email": "jane@example.org", "email_verified": true,
    })
}

fn with(mut value: Value, name: &str, new: Value) -> Value {
    value[name] = new;
    value
}

#[test]
fn a_token_is_believed_or_the_reason_is_told() {
    let issuer = Issuer::new();
    issuer.verify(&issuer.good()).unwrap();
    let audiences = with(claims(), "aud", json!(["other", "sigstore"]));
    issuer.verify(&issuer.token(&header(), &audiences)).unwrap();
    for (header, claims, reason) in [
        (
            with(header(), "alg", json!("none")),
            claims(),
            "it is signed with \"none\"",
        ),
        (
            with(header(), "alg", json!("HS256")),
            claims(),
            "it is signed with \"HS256\"",
        ),
        (
            with(header(), "alg", json!("RS256")),
            claims(),
            "its signature is not one by a key",
        ),
        (
            with(header(), "kid", json!("k2")),
            claims(),
            "signed with the key \"k2\", which",
        ),
        (with(header(), "crit", json!(["b64"])), claims(), "\"crit\""),
        (
            header(),
            with(claims(), "iss", json!("https://evil.example")),
            "it was issued by \"https://evil.example\"",
        ),
        (
            header(),
            with(claims(), "aud", json!("other")),
            "its audience is \"other\", not \"sigstore\"",
        ),
        (
            header(),
            with(claims(), "aud", Value::Null),
            "its audience is null",
        ),
        (
            header(),
            with(claims(), "exp", json!(NOW)),
            "it expired 0 s ago",
        ),
        (
            header(),
            with(claims(), "exp", json!(NOW - 5)),
            "it expired 5 s ago",
        ),
        (
            header(),
            with(claims(), "exp", Value::Null),
            "it has no \"exp\"",
        ),
        (
            header(),
            with(claims(), "exp", json!("soon")),
            "it has no \"exp\"",
        ),
        (
            header(),
            with(claims(), "nbf", json!(NOW + 301)),
            "it is valid only in 301 s",
        ),
    ] {
        let error = issuer
            .verify(&issuer.token(&header, &claims))
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{error}");
    }
    let early = with(claims(), "nbf", json!(NOW + 300));
    issuer.verify(&issuer.token(&header(), &early)).unwrap();
}

#[test]
fn what_is_no_token_is_refused_whatever_it_is() {
    let issuer = Issuer::new();
    let good = issuer.good();
    let (signed, _) = good.rsplit_once('.').unwrap();
    let unsigned = format!("{signed}.");
    for (token, reason) in [
        ("", "no dots"),
        ("a.b", "three parts"),
        ("a.b.c.d", "three parts"),
        ("!.!.!", "base64url"),
        ("e30.e30.e30", "\"alg\""),
        (unsigned.as_str(), "its signature is not one"),
    ] {
        let error = issuer.verify(token).unwrap_err().to_string();
        assert!(error.contains(reason), "{token}: {error}");
    }
    // GHSA-f83f-xpx7-ffpw: millions of dots, and memory for each of them.
    let dots = ".".repeat(MAX_TOKEN);
    assert!(matches!(
        issuer.verify(&dots),
        Err(TokenError::Malformed(_))
    ));
    let long = ".".repeat(MAX_TOKEN + 1);
    assert!(
        issuer
            .verify(&long)
            .unwrap_err()
            .to_string()
            .contains("at most 65536")
    );
    // One flipped bit anywhere.
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 1;
        if let Ok(text) = String::from_utf8(bytes) {
            assert!(issuer.verify(&text).is_err(), "{at}");
        }
    }
}

#[test]
fn keys_of_every_kind_are_read_and_verify() {
    // RFC 7515, appendix A.3 and RFC 8037, appendix A.4: example keys and signatures of the RFCs.
    let set = br#"{"keys":[
      {"kty":"EC","crv":"P-256","kid":"es","use":"sig",
       "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
      {"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
      {"kty":"RSA","kid":"rs","alg":"RS256","e":"AQAB",
       "n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"},
      {"kty":"EC","crv":"P-256","kid":"bad","x":"AA","y":"AA"},
      {"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"},
      {"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}]}"#;
    let set = KeySet::parse(set).unwrap();
    assert!(!set.is_empty());
    // A.3: the payload has the issuer "joe", and expired in 2011.
    let joe = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    // A.2: the same with RSA.
    let joe_rsa = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let expected = Expected {
        issuer: "joe",
        audience: None,
        algorithms: &SigningAlgorithm::ALL,
    };
    for token in [joe, joe_rsa] {
        let token = Token::parse(token).unwrap();
        let claims = token.verify(&set, &expected, 1_300_819_379).unwrap();
        assert_eq!(claims.issuer(), "joe");
        let late = token.verify(&set, &expected, 1_300_819_380);
        assert_eq!(late.unwrap_err(), TokenError::Expired { ago: 0 });
    }
    let only = Expected {
        algorithms: &[SigningAlgorithm::Rs256],
        ..expected
    };
    let error = Token::parse(joe)
        .unwrap()
        .verify(&set, &only, 0)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "it is signed with \"ES256\"; its issuer signs with RS256"
    );
    let many = json!({"keys": vec![json!({"kty": "oct"}); 257]}).to_string();
    let error = KeySet::parse(many.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        error,
        "not a set of keys (JWKS): it has 257 keys, at most 256 are read"
    );
}

const CONFIGURATION: &str = r#"
define:
  - &github "acme-ci"
oidc-issuers:
  https://accounts.example.com:
    issuer-url: https://accounts.example.com
    client-id: sigstore
    type: email
    contact: ops@example.com
    description: "people"
  https://dex.example.com/auth:
    client-id: sigstore
    type: email
    issuer-claim: $.federated_claims.connector_id
  https://entra.example.com:
    client-id: sigstore
    type: email
    skip-email-verification: true
  https://users.example.com:
    client-id: sigstore
    type: username
    subject-domain: example.com
  https://uris.example.com:
    client-id: sigstore
    type: uri
    subject-domain: https://apps.example.com
  https://spire.example.com:
    client-id: sigstore
    type: spiffe
    spiffe-trust-domain: prod.example.com
  https://kubernetes.default.svc:
    client-id: sigstore
    type: kubernetes
  https://enforce.example.com:
    client-id: sigstore
    type: chainguard-identity
  https://token.actions.githubusercontent.com:
    client-id: sigstore
    type: github-workflow
    allow:
      - repository_owner == "acme" && ref matches "refs/(heads|tags)/.*"
  https://ci.example.com:
    client-id: acme
    type: ci-provider
    ci-provider: *github
    single-use-tokens: true
meta-issuers:
  https://oidc.eks.*.amazonaws.com/id/*:
    client-id: sigstore
    type: kubernetes
ci-issuer-metadata:
  *github :
    default-template-values:
      url: "https://ci.example.com"
      environment: ""
    extension-templates:
      build-signer-uri: "{{ .url }}/{{ .job }}"
      source-repository-digest: "sha"
      run-invocation-uri: "{{ .url }}/runs/{{ .run }}"
      deployment-environment: "environment"
    subject-alternative-name-template: "{{ .url }}/{{ .job }}"
"#;

fn identify(claims: &Value) -> Result<Identity, String> {
    let issuer = Issuer::new();
    let configuration = Configuration::parse(CONFIGURATION).expect("the test has it");
    let mut claims = claims.clone();
    for (name, value) in [("exp", json!(NOW + 60)), ("sub", json!("1234"))] {
        if claims.get(name).is_none() {
            claims[name] = value;
        }
    }
    let url = claims["iss"].as_str().expect("the test has it");
    let known = configuration.find(url).ok_or("no such issuer")?;
    let expected = Expected {
        issuer: url,
        audience: None,
        algorithms: &SigningAlgorithm::ALL,
    };
    let token = Token::parse(&issuer.token(&header(), &claims)).expect("the test has it");
    let claims = token
        .verify(&issuer.keys, &expected, NOW)
        .expect("the test has it");
    known.identify(&claims).map_err(|error| error.to_string())
}

fn uri(text: &str) -> SubjectAltName {
    SubjectAltName::Uri(text.to_owned())
}

#[test]
fn every_type_of_issuer_names_its_people_and_machines() {
    let email = |address: &str| SubjectAltName::Email(address.to_owned());
    for (claims, name) in [
        (claims(), email("jane@example.org")),
        (
            with(claims(), "email_verified", json!("true")),
            email("jane@example.org"),
        ),
        (
            json!({"iss": "https://entra.example.com", "email": "a@b.example"}),
            email("a@b.example"),
        ),
        (
            json!({"iss": "https://users.example.com", "sub": "jane"}),
            SubjectAltName::Username("jane!example.com".to_owned()),
        ),
        (
            json!({"iss": "https://uris.example.com", "sub": "https://apps.example.com/x"}),
            uri("https://apps.example.com/x"),
        ),
        (
            json!({"iss": "https://spire.example.com", "sub": "spiffe://prod.example.com/api"}),
            uri("spiffe://prod.example.com/api"),
        ),
        (
            json!({"iss": "https://kubernetes.default.svc", "kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "builder"}}}),
            uri("https://kubernetes.io/namespaces/prod/serviceaccounts/builder"),
        ),
        (
            json!({"iss": "https://oidc.eks.eu-west-1.amazonaws.com/id/AB12", "kubernetes.io": {"namespace": "a", "serviceaccount": {"name": "b"}}}),
            uri("https://kubernetes.io/namespaces/a/serviceaccounts/b"),
        ),
        (
            json!({"iss": "https://enforce.example.com", "sub": "abc/def"}),
            uri("https://enforce.example.com/abc/def"),
        ),
        (
            json!({"iss": "https://ci.example.com", "job": "acme/app", "sha": "c0ffee", "run": 12345678901u64}),
            uri("https://ci.example.com/acme/app"),
        ),
    ] {
        assert_eq!(identify(&claims).map(|it| it.name), Ok(name), "{claims}");
    }
}

#[test]
fn extensions_are_fulcios() {
    let github = json!({
        "iss": "https://token.actions.githubusercontent.com", "sub": "repo:acme/app:ref:refs/heads/main",
        "event_name": "push", "sha": "c0ffee", "workflow": "release", "repository": "acme/app",
        "ref": "refs/heads/main", "job_workflow_ref": "acme/ci/.github/workflows/r.yml@refs/heads/main",
        "job_workflow_sha": "beef", "runner_environment": "github-hosted", "repository_id": "1",
        "repository_owner": "acme", "repository_owner_id": "2", "workflow_ref": "acme/app/.github/workflows/a.yml@refs/heads/main",
        "workflow_sha": "c0ffee", "run_id": "77", "run_attempt": "1", "repository_visibility": "public",
    });
    let identity = identify(&github).unwrap();
    assert_eq!(
        identity.name,
        uri("https://github.com/acme/ci/.github/workflows/r.yml@refs/heads/main")
    );
    let numbers: Vec<u8> = identity
        .extensions
        .iter()
        .map(|(it, _)| it.number())
        .collect();
    assert_eq!(
        numbers,
        [
            1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24
        ]
    );
    let value = |wanted| {
        let found = identity.extensions.iter().find(|(it, _)| *it == wanted);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(
        value(FulcioExtension::Issuer),
        Some("https://token.actions.githubusercontent.com")
    );
    assert_eq!(
        value(FulcioExtension::RunInvocationUri),
        Some("https://github.com/acme/app/actions/runs/77/attempts/1")
    );
    assert_eq!(
        value(FulcioExtension::SourceRepositoryOwnerUri),
        Some("https://github.com/acme")
    );
    assert_eq!(identity.challenges, ["repo:acme/app:ref:refs/heads/main"]);

    let dex = with(
        with(claims(), "iss", json!("https://dex.example.com/auth")),
        "federated_claims",
        json!({"connector_id": "https://github.com/login/oauth"}),
    );
    let identity = identify(&dex).unwrap();
    assert_eq!(
        identity.extensions[0],
        (
            FulcioExtension::IssuerV1,
            "https://github.com/login/oauth".to_owned()
        )
    );
    // Clients sign the address, or the subject: both are of this token.
    assert_eq!(identity.challenges, ["1234", "jane@example.org"]);
    // A whole number is written without an exponent.
    let ci =
        json!({"iss": "https://ci.example.com", "job": "a", "sha": "b", "run": 12345678901u64});
    let identity = identify(&ci).unwrap();
    assert!(
        identity
            .extensions
            .iter()
            .any(|(_, value)| value == "https://ci.example.com/runs/12345678901")
    );
}

#[test]
fn what_a_token_does_not_say_is_not_made_up() {
    for (claims, reason) in [
        (json!({"iss": "https://unknown.example"}), "no such issuer"),
        (
            with(claims(), "email_verified", json!(false)),
            "\"email_verified\" of the token is not true",
        ),
        (
            with(claims(), "email", json!("jane")),
            "is not an e-mail address",
        ),
        (
            with(claims(), "sub", json!("")),
            "the claim \"sub\" of the token is missing, or empty",
        ),
        (
            json!({"iss": ISSUER}),
            "the claim \"email\" of the token is missing",
        ),
        (
            json!({"iss": "https://users.example.com", "sub": "a!b"}),
            "must be a user name",
        ),
        (
            json!({"iss": "https://users.example.com", "sub": "a@b.example"}),
            "must be a user name",
        ),
        (
            json!({"iss": "https://uris.example.com", "sub": "https://evil.example/x"}),
            "is not a URI below",
        ),
        (
            json!({"iss": "https://uris.example.com", "sub": "http://apps.example.com/x"}),
            "is not a URI below",
        ),
        (
            json!({"iss": "https://spire.example.com", "sub": "spiffe://dev.example.com/api"}),
            "trust domain prod.example.com",
        ),
        // Fulcio takes this, and names nobody.
        (
            json!({"iss": "https://kubernetes.default.svc"}),
            "kubernetes.io.namespace",
        ),
        (
            json!({"iss": "https://kubernetes.default.svc", "kubernetes.io": {"namespace": "a/../b", "serviceaccount": {"name": "x"}}}),
            "is missing, or is no name",
        ),
        (
            json!({"iss": "https://ci.example.com", "job": "a", "run": 1}),
            "the token has no \"sha\"",
        ),
        (
            json!({"iss": "https://ci.example.com", "job": "a b", "sha": "x", "run": 1}),
            "not a URI",
        ),
        (
            json!({"iss": "https://token.actions.githubusercontent.com", "repository_owner": "evil", "ref": "refs/heads/main"}),
            "meets none of the rules: repository_owner == \"acme\"",
        ),
        (
            json!({"iss": "https://dex.example.com/auth", "email": "a@b.example", "email_verified": true}),
            "it names the issuer",
        ),
    ] {
        let error = identify(&claims).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_configuration_is_read_in_json_too() {
    let json = r#"{"OIDCIssuers": {"https://a.example": {"IssuerURL": "https://a.example", "ClientID": "sigstore", "Type": "email", "IssuerClaim": "$.x"}},
        "MetaIssuers": {"https://*.b.example": {"ClientID": "sigstore", "Type": "ci-provider", "CIProvider": "p"}},
        "CIIssuerMetadata": {"p": {"ExtensionTemplates": {"BuildSignerURI": "a", "GithubWorkflowSHA": "b", "SourceRepositoryVisibilityAtSigning": "c"},
            "SubjectAlternativeNameTemplate": "{{ .a }}"}}}"#;
    let configuration = Configuration::parse(json).unwrap();
    assert_eq!(configuration.issuers().len(), 2);
    assert!(
        configuration
            .find("https://x.b.example")
            .unwrap()
            .is_wildcard()
    );
    assert!(configuration.find("https://x.y.b.example").is_none());
}

#[test]
fn a_configuration_that_is_wrong_says_where() {
    let issuer = |lines: &str| {
        format!("oidc-issuers:\n  https://a.example:\n    client-id: sigstore\n{lines}")
    };
    for (text, reason) in [
        (issuer("    type: mail"), "\"mail\" is not a type"),
        (issuer("    typ: email"), "unknown field"),
        (issuer("    typ: email"), "line 4"),
        (issuer("    type: ci-provider"), "ci-provider is missing"),
        (issuer("    type: ci-provider\n    ci-provider: x"), "has no \"x\""),
        (issuer("    type: username"), "subject-domain is missing"),
        (issuer("    type: username\n    subject-domain: b.example.org"), "not the same owner"),
        (issuer("    type: uri\n    subject-domain: http://a.example"), "must be the same"),
        (issuer("    type: spiffe\n    spiffe-trust-domain: A b"), "is not one"),
        (issuer("    type: kubernetes\n    issuer-claim: $.a"), "for the type email only"),
        (issuer("    type: email\n    issuer-claim: $..a"), "is not supported"),
        (issuer("    type: email\n    challenge-claim: name"), "neither email nor sub"),
        (issuer("    type: email\n    issuer-url: https://b.example"), "must be the same"),
        (issuer("    type: email\n    allow: [\"a =\"]"), "is not a rule"),
        ("oidc-issuers: {\"https://*.a.example\": {client-id: a, type: email}}".to_owned(), "under meta-issuers"),
        ("meta-issuers: {\"https://a.example\": {client-id: a, type: email}}".to_owned(), "under oidc-issuers"),
        ("oidc-issuers: {ftp://a: {client-id: a, type: email}}".to_owned(), "not an http or https URL"),
        ("ci-issuer-metadata: {p: {subject-alternative-name-template: \"{{ .a\"}}".to_owned(), "\"}}\" is missing"),
        ("ci-issuer-metadata: {p: {subject-alternative-name-template: a, extension-templates: {x: y}}}".to_owned(), "\"x\" is not an extension"),
        ("[]".to_owned(), "not a configuration"),
    ] {
        let error = Configuration::parse(&text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_file_makes_a_check_panic(
        text in "[a-z{}:,\\[\\]\\-\"'&*! \\n\\t#|>%@0-9]{0,80}",
        value in "[ -~\\n]{0,40}",
    ) {
        Configuration::check(&text);
        Configuration::check(&format!("{{{text}"));
        Configuration::check(&format!("oidc-issuers:\n  {value}:\n    type: {text}\n"));
        Configuration::check(&format!("oidc-issuers:\n  https://a.example:\n    allow: [{value}]\n    {text}"));
    }
}

/// All findings of a file, as they are shown: faults with `!`, the others with `?`.
fn found(text: &str) -> Vec<String> {
    let findings = Configuration::check(text).findings;
    let shown = findings.iter().map(|finding| {
        let mark = if finding.is_fault { '!' } else { '?' };
        format!("{mark} {finding}")
    });
    shown.collect()
}

#[test]
fn a_check_tells_all_that_is_wrong_at_once_each_with_its_line() {
    let yaml = "define:
  - &kind email
oidc-issuers:
  https://a.example:
    client-id: sigstore
    typ: email
    type: *kind
    allow:
      - email == \"a@b.example\"
      - email =
  ftp://b.example:
    client-id: sigstore
    type: email
  https://c.example:
    type: spiffe
  https://a.example:
    client-id: sigstore
    type: ci-provider
    ci-provider: p
ci-issuer-metadata:
  p:
    subject-alternative-name-template: \"{{ .a\"
    extension-templates:
      build-signer-url: x
      build-signer-uri: \"{{ if }}\"
oidc-issuer: {}
";
    let lines = found(yaml);
    let expected = [
        "! line 6: the issuer https://a.example: unknown field \"typ\"; there are issuer-url, client-id, type",
        "! line 10: the issuer https://a.example: \"email =\" is not a rule",
        "! line 11: the issuer ftp://b.example: it is not an http or https URL",
        "! line 14: the issuer https://c.example: client-id is missing",
        "! line 14: the issuer https://c.example: spiffe-trust-domain is missing",
        "! line 16: the issuer https://a.example is there already, in line 4",
        "! line 22: the CI provider p: the template of subject-alternative-name-template",
        "! line 24: the CI provider p: \"build-signer-url\" is not an extension",
        "! line 25: the CI provider p: the template of build-signer-uri",
        "! line 26: unknown field \"oidc-issuer\"; there are oidc-issuers",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn json_has_lines_too_also_with_tabs_and_its_own_escapes() {
    let json = "{\n\t\"OIDCIssuers\": {\n\t\t\"https:\\/\\/a.example\": {\n\t\t\t\"ClientID\":\"sigstore\",\n\t\t\t\"Type\": \"mail\"\n\t\t}\n\t}\n}";
    let lines = found(json);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("! line 5: the issuer https://a.example: \"mail\" is not a type"));
    // A character outside the basic plane is two escapes, which are JSON's alone.
    let json = "{\"OIDCIssuers\": {\"https://a.example\": {\"ClientID\": \"sigstore\", \"Type\": \"email\", \"Description\": \"\\ud83d\\ude00\"}}}";
    assert_eq!(found(json), [""; 0]);
    let lines = found("{\"OIDCIssuers\": {\n\"https://a.example\": {\"ClientID\": 1,,}}}");
    assert!(
        lines[0].starts_with("! line 2: not a configuration"),
        "{lines:?}"
    );
    // The same twice, which JSON allows and nobody means.
    let issuer = "\"https://a.example\": {\"ClientID\": \"sigstore\", \"Type\": \"email\"}";
    let lines = found(&format!("{{\"OIDCIssuers\": {{{issuer},\n{issuer}}}}}"));
    assert!(
        lines[0].starts_with("! line 2: the issuer https://a.example is there already, in line 1")
    );
}

#[test]
fn a_check_asks_whether_that_was_meant() {
    let issuer = |url: &str, lines: &str| {
        format!("oidc-issuers:\n  {url}:\n    client-id: sigstore\n{lines}")
    };
    let email = "    type: email\n";
    let github = "https://token.actions.githubusercontent.com";
    for (text, line) in [
        (issuer("http://a.example", email), "? line 2: the issuer http://a.example: http: whoever is between"),
        (issuer("https://a.example", "    type: email\n    subject-domain: a.example"), "? line 5: the issuer https://a.example: subject-domain has no effect on the type email"),
        (issuer("https://a.example", "    type: email\n    skip-email-verification: true"), "? line 5: the issuer https://a.example: whoever may write an address"),
        (issuer("https://a.example", "    type: email\n    allow: [repository == \"a/b\"]"), "? line 5: the issuer https://a.example: the rule repository == \"a/b\" is about \"repository\", which people's tokens do not have"),
        (issuer(github, "    type: github-workflow"), "? line 2: the issuer https://token.actions.githubusercontent.com: without allow, every job of every user of GitHub"),
        (issuer(github, "    type: github-workflow\n    allow:\n      - project_path == \"a\""), "? line 6: the issuer https://token.actions.githubusercontent.com: the rule project_path == \"a\" is about \"project_path\", which tokens of this issuer do not have"),
        (
            format!("{}    type: ci-provider\n    ci-provider: p\n    allow: [repository_owner == \"a\"]\nci-issuer-metadata: {{p: {{subject-alternative-name-template: \"{{{{ .url }}}}/{{{{ .project_path }}}}\", default-template-values: {{url: x, nobody: y}}}}}}", issuer(github, "")),
            "? line 5: the issuer https://token.actions.githubusercontent.com: the templates of p are about \"project_path\"",
        ),
        (
            "ci-issuer-metadata:\n  p:\n    subject-alternative-name-template: a\n    default-template-values:\n      b: c".to_owned(),
            "? line 5: the CI provider p: no template has the default value \"b\"",
        ),
        ("ci-issuer-metadata:\n  p:\n    subject-alternative-name-template: a".to_owned(), "? line 2: the CI provider p: no issuer has it"),
        ("meta-issuers:\n  https://*.a.example/x:\n    client-id: sigstore\n    type: email".to_owned(), "? line 2: the issuer https://*.a.example/x: whoever can have an issuer"),
        ("meta-issuers:\n  https://*.example:\n    client-id: sigstore\n    type: email".to_owned(), "? line 2: the issuer https://*.example: its * is in the part"),
        (format!("{}  https://a.example/:\n    client-id: sigstore\n    type: email", issuer("https://a.example", email)), "? line 5: the issuer https://a.example/ is that of line 2 but for its spelling"),
        ("{}".to_owned(), "? it has no issuers"),
    ] {
        let lines = found(&text);
        assert!(lines.iter().all(|line| line.starts_with('?')), "{text}: {lines:?}");
        assert!(lines.iter().any(|found| found.starts_with(line)), "{text}: {lines:#?}");
    }
    for good in [
        issuer("http://127.0.0.1:5556/auth", email),
        issuer("http://localhost:5556/auth", email),
        issuer("\"http://[::1]:5556/auth\"", email),
        issuer("https://a.example", email),
        issuer(
            github,
            "    type: github-workflow\n    allow: ['repository_owner == \"a\" && repo_property_x == \"y\"']",
        ),
    ] {
        assert_eq!(found(&good), [""; 0], "{good}");
    }
}
