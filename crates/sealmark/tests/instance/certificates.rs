//! Every certificate that the instance makes, as `cryptography` and openssl read it.

use serde_json::{Map, Value, json};

use crate::bench::{Bench, have, json as said};
use crate::clients::script;
use crate::world::{Instance, WHO};

const SUBJECT_ALT_NAME: &str = "2.5.29.17";
const KEY_USAGE: &str = "2.5.29.15";
const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";

const KEYS: [&str; 7] = [
    "p256", "p384", "p521", "ed25519", "rsa2048", "rsa3072", "rsa4096",
];

/// An issuer of one type, one who has a token of it, and who that is in a certificate. A leading `@` is the issuer's
/// URL.
struct Case {
    /// Also the issuer's path.
    name: &'static str,
    /// Its members in the configuration, besides `client-id`.
    config: &'static [&'static str],
    claims: Value,
    san: &'static str,
    /// The numbers below 1.3.6.1.4.1.57264.1, and what they say, besides the issuer (1 and 8) and the token's subject (24).
    extensions: &'static [(u32, &'static str)],
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "email",
            config: &["type: email"],
            claims: json!({"sub": "1234", "email": WHO, "email_verified": "true"}),
            san: "email jane@example.org",
            extensions: &[],
        },
        Case {
            name: "uri",
            config: &["type: uri", "subject-domain: http://127.0.0.1"],
            claims: json!({"sub": "http://127.0.0.1/users/jane?a=b"}),
            san: "uri http://127.0.0.1/users/jane?a=b",
            extensions: &[],
        },
        Case {
            name: "spiffe",
            config: &["type: spiffe", "spiffe-trust-domain: example.org"],
            claims: json!({"sub": "spiffe://example.org/ns/builds/sa/builder"}),
            san: "uri spiffe://example.org/ns/builds/sa/builder",
            extensions: &[],
        },
        Case {
            name: "username",
            config: &["type: username", "subject-domain: 127.0.0.1"],
            claims: json!({"sub": "jane"}),
            san: "other 1.3.6.1.4.1.57264.1.7 jane!127.0.0.1",
            extensions: &[],
        },
        Case {
            name: "kubernetes",
            config: &["type: kubernetes"],
            claims: json!({
                "sub": "system:serviceaccount:builds:builder",
                "kubernetes.io": {"namespace": "builds", "serviceaccount": {"name": "builder", "uid": "u"}},
            }),
            san: "uri https://kubernetes.io/namespaces/builds/serviceaccounts/builder",
            extensions: &[],
        },
        Case {
            name: "chainguard",
            config: &["type: chainguard-identity"],
            claims: json!({"sub": "group/identity"}),
            san: "uri @/group/identity",
            extensions: &[],
        },
        Case {
            name: "github",
            config: &["type: github-workflow"],
            claims: json!({
                "sub": "repo:octo/app:ref:refs/heads/main", "event_name": "push", "sha": "c0ffee",
                "workflow": "Grüße & release", "repository": "octo/app", "ref": "refs/heads/main",
                "job_workflow_ref": "octo/flows/.github/workflows/build.yml@refs/tags/v1",
                "job_workflow_sha": "f00d", "runner_environment": "github-hosted",
                "repository_id": "11", "repository_owner": "octo", "repository_owner_id": "22",
                "workflow_ref": "octo/app/.github/workflows/ci.yml@refs/heads/main",
                "workflow_sha": "beef", "run_id": "33", "run_attempt": "1",
                "repository_visibility": "public", "environment": "production",
            }),
            san: "uri https://github.com/octo/flows/.github/workflows/build.yml@refs/tags/v1",
            extensions: &[
                (2, "push"),
                (3, "c0ffee"),
                (4, "Grüße & release"),
                (5, "octo/app"),
                (6, "refs/heads/main"),
                (
                    9,
                    "https://github.com/octo/flows/.github/workflows/build.yml@refs/tags/v1",
                ),
                (10, "f00d"),
                (11, "github-hosted"),
                (12, "https://github.com/octo/app"),
                (13, "c0ffee"),
                (14, "refs/heads/main"),
                (15, "11"),
                (16, "https://github.com/octo"),
                (17, "22"),
                (
                    18,
                    "https://github.com/octo/app/.github/workflows/ci.yml@refs/heads/main",
                ),
                (19, "beef"),
                (20, "push"),
                (21, "https://github.com/octo/app/actions/runs/33/attempts/1"),
                (22, "public"),
                (23, "production"),
            ],
        },
        Case {
            name: "gitlab",
            config: &["type: gitlab-pipeline"],
            claims: json!({
                "sub": "project_path:team/app:ref_type:tag:ref:v1", "ref": "v1", "ref_type": "tag",
                "ci_config_ref_uri": "gitlab.example/team/app//.gitlab-ci.yml@refs/tags/v1",
                "ci_config_sha": "f00d", "runner_environment": "self-hosted", "sha": "c0ffee",
                "project_path": "team/app", "project_id": "11", "namespace_path": "team",
                "namespace_id": "22", "pipeline_source": "push", "job_id": "33",
                "pipeline_id": "44", "project_visibility": "private",
            }),
            san: "uri https://gitlab.example/team/app//.gitlab-ci.yml@refs/tags/v1",
            extensions: &[
                (
                    9,
                    "https://gitlab.example/team/app//.gitlab-ci.yml@refs/tags/v1",
                ),
                (10, "f00d"),
                (11, "self-hosted"),
                (12, "@/team/app"),
                (13, "c0ffee"),
                (14, "refs/tags/v1"),
                (15, "11"),
                (16, "@/team"),
                (17, "22"),
                (
                    18,
                    "https://gitlab.example/team/app//.gitlab-ci.yml@refs/tags/v1",
                ),
                (19, "f00d"),
                (20, "push"),
                (21, "@/team/app/-/jobs/33"),
                (22, "private"),
            ],
        },
        Case {
            name: "buildkite",
            config: &["type: buildkite-job"],
            claims: json!({
                "sub": "organization:acme:pipeline:app", "organization_slug": "acme",
                "pipeline_slug": "app", "build_number": 7, "job_id": "0184",
                "build_commit": "c0ffee", "build_source": "webhook",
            }),
            san: "uri https://buildkite.com/acme/app",
            extensions: &[
                (13, "c0ffee"),
                (20, "webhook"),
                (21, "https://buildkite.com/acme/app/builds/7#0184"),
            ],
        },
        Case {
            name: "codefresh",
            config: &["type: codefresh-workflow"],
            claims: json!({
                "sub": "account:a:pipeline:p", "account_id": "a1", "account_name": "acme",
                "pipeline_name": "team/app", "pipeline_id": "p1", "workflow_id": "w1",
                "scm_repo_url": "https://github.com/acme/app", "scm_ref": "main",
            }),
            san: "uri https://g.codefresh.io/acme/team/app:a1/p1",
            extensions: &[
                (9, "https://g.codefresh.io/build/w1"),
                (12, "https://github.com/acme/app"),
                (14, "main"),
                (18, "https://g.codefresh.io/api/pipelines/p1"),
                (21, "https://g.codefresh.io/build/w1"),
            ],
        },
        Case {
            name: "circle",
            config: &["type: ci-provider", "ci-provider: circle"],
            claims: json!({
                "sub": "org/1/project/2", "oidc.example/project-id": "2", "definition": 5,
                "ssh": false, "origin": "https://vcs.example/acme/app",
            }),
            san: "uri https://ci.example/projects/2/definitions/5",
            extensions: &[
                (9, "https://ci.example/projects/2/definitions/5"),
                (11, "hosted"),
                (12, "https://vcs.example/acme/app"),
            ],
        },
    ]
}

/// Templates, as those of CircleCI that Fulcio has.
const PROVIDERS: &str = r#"ci-issuer-metadata:
  circle:
    default-template-values:
      url: https://ci.example
    extension-templates:
      build-signer-uri: '{{ .url }}/projects/{{(index . "oidc.example/project-id")}}/definitions/{{ .definition }}'
      runner-environment: '{{if eq .ssh "true"}}ssh{{ else }}hosted{{end}}'
      source-repository-uri: origin
    subject-alternative-name-template: '{{ .url }}/projects/{{(index . "oidc.example/project-id")}}/definitions/{{ .definition }}'
"#;

fn configuration(url: &str, cases: &[Case]) -> String {
    let mut text = String::new();
    for case in cases {
        text += &format!("  {url}/{}:\n    client-id: sigstore\n", case.name);
        for member in case.config {
            text += &format!("    {member}\n");
        }
    }
    text + PROVIDERS
}

#[test]
fn every_certificate_is_read_by_others_and_says_what_the_token_said() {
    if !have(&["openssl", "python-sigstore"]) {
        return;
    }
    let bench = Bench::new();
    let cases = cases();
    let instance = Instance::with(&bench, |url| configuration(url, &cases));
    let mut asked = Vec::new();
    let mut expected = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let path = format!("/{}", case.name);
        let url = format!("{}{path}", instance.issuer.url);
        let mut values = Map::new();
        for number in [1, 8] {
            values.insert(number.to_string(), json!(url));
        }
        values.insert("24".to_owned(), case.claims["sub"].clone());
        for (number, value) in case.extensions {
            let value = match value.strip_prefix('@') {
                Some(path) => format!("{url}{path}"),
                None => (*value).to_owned(),
            };
            values.insert(number.to_string(), json!(value));
        }
        let san = case.san.replace("uri @", &format!("uri {url}"));
        // Every kind of key for one of the issuers, one of them for the others.
        let keys = if at == 0 { &KEYS[..] } else { &KEYS[..1] };
        for key in keys {
            let token = instance.issuer.token_of(&path, case.claims.clone());
            asked.push(json!({"key": key, "token": token}));
            expected.push((format!("{} {key}", case.name), san.clone(), values.clone()));
        }
    }
    let pem = |file: &str| {
        let text = bench.sandbox.read(format!("instance/{file}"));
        let parts = text.split_inclusive("-----END CERTIFICATE-----\n");
        parts.map(|part| part.trim().to_owned()).collect::<Vec<_>>()
    };
    let (ca, tsa) = (pem("fulcio.pem"), pem("tsa.pem"));
    let services = [&ca[..], &tsa[..]].concat();
    let given = json!({"url": instance.url, "asked": asked, "services": services});
    let finished = bench
        .peer("python-sigstore")
        .arg(script("certificates.py"))
        .stdin(given.to_string())
        .run()
        .success();
    let read = said(&finished);
    let services = read["services"].as_array().expect("a list");
    let [ca_own, ca_root, tsa_own, tsa_root] = services.as_slice() else {
        panic!("four certificates: {services:?}");
    };
    for root in [ca_root, tsa_root] {
        is_ca(root);
        assert_eq!(root["extended"], Value::Null);
    }
    is_ca(ca_own);
    assert_eq!(ca_own["extended"], json!([CODE_SIGNING]));
    assert_eq!(ca_own["authority_key"], ca_root["subject_key"]);
    // RFC 3161 section 2.3: this use alone, and critical.
    assert_eq!(tsa_own["extended"], json!([TIME_STAMPING]));
    assert_eq!(tsa_own["critical"], json!([KEY_USAGE, "2.5.29.37"]));
    assert_eq!(tsa_own["usage"], json!(["digital_signature"]));
    assert_eq!(tsa_own["authority_key"], tsa_root["subject_key"]);
    bench.sandbox.write("root.pem", &ca[1]);
    bench.sandbox.write("tsa-root.pem", &tsa[1]);
    bench.sandbox.write("tsa.pem", &tsa[0]);
    openssl_verifies(&bench, "tsa.pem", "tsa-root.pem", "timestampsign");

    let issued = read["issued"].as_array().expect("a list");
    assert_eq!(issued.len(), expected.len());
    for (one, (name, san, values)) in issued.iter().zip(expected) {
        let facts = &one["facts"];
        assert_eq!(facts["fulcio"], Value::Object(values.clone()), "{name}");
        assert_eq!(facts["names"], json!([san]), "{name}");
        let chain = one["chain"].as_array().expect("a list").iter();
        let chain: Vec<&str> = chain.filter_map(|pem| Some(pem.as_str()?.trim())).collect();
        assert_eq!(chain[1..], ca, "{name}");
        is_leaf(facts, ca_own, &name);
        let leaf = chain[0];
        bench.sandbox.write("leaf.pem", leaf);
        bench.sandbox.write("chain.pem", &ca[0]);
        openssl_verifies(&bench, "leaf.pem", "root.pem", "any");
        let text = bench
            .peer("openssl")
            .args(["x509", "-in", "leaf.pem", "-noout", "-text"])
            .run()
            .success()
            .stdout_has("CT Precertificate SCTs")
            .stdout_has("X509v3 Subject Alternative Name: critical");
        for number in values.keys() {
            let text = text.stdout();
            assert!(
                text.contains(&format!("1.3.6.1.4.1.57264.1.{number}:")),
                "{text}"
            );
        }
    }
}

fn is_ca(facts: &Value) {
    assert_eq!(facts["ca"], true, "{facts}");
    assert_eq!(facts["usage"], json!(["key_cert_sign", "crl_sign"]));
    assert_eq!(facts["of_its_key"], true);
    assert_eq!(
        facts["critical"],
        json!([KEY_USAGE, "2.5.29.19"]),
        "{facts}"
    );
}

/// Fulcio's profile: <https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md>.
fn is_leaf(facts: &Value, ca: &Value, name: &str) {
    for (member, value) in [
        ("version", json!("v3")),
        ("subject", json!("")),
        ("minutes", json!(10.0)),
        ("signature", json!("ecdsa-with-SHA256")),
        ("usage", json!(["digital_signature"])),
        ("extended", json!([CODE_SIGNING])),
        ("critical", json!([KEY_USAGE, SUBJECT_ALT_NAME])),
        ("authority_key", ca["subject_key"].clone()),
        ("of_its_key", json!(true)),
        ("scts", json!(["Version.v1"])),
        ("ca", Value::Null),
        ("other", json!([])),
    ] {
        assert_eq!(facts[member], value, "{name}: {member}");
    }
    let bits = facts["serial_bits"].as_u64().expect("a number");
    assert!(
        (64..160).contains(&bits),
        "{name}: a serial number of {bits} bits"
    );
}

/// With every rule of RFC 5280 that openssl knows.
fn openssl_verifies(bench: &Bench, file: &str, root: &str, purpose: &str) {
    let verify = bench
        .peer("openssl")
        .args(["verify", "-x509_strict", "-purpose", purpose])
        .args(["-CAfile", root]);
    let verify = match file {
        "leaf.pem" => verify.args(["-untrusted", "chain.pem"]),
        _ => verify,
    };
    verify.arg(file).run().success();
    let parse = bench.peer("openssl");
    parse.args(["asn1parse", "-in", file]).run().success();
}
