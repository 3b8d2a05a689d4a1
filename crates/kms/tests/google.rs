//! Keys in Google Cloud KMS: a double of its documented REST interface on loopback, as there is no emulator. Its keys are
//! openssl's, and openssl makes its signatures.
//!
//! Credentials and the endpoint stand in the environment, so each question is asked by a process of its own: this test
//! program, again.

#![cfg(feature = "google")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sealmark_keys::{Algorithm, PublicKey};
use sealmark_kms::{KeyRef, Options, create_key};
use sealmark_testkit::{FaultyServer, Peer, Reply, Request, Sandbox, require_or_skip};
use serde_json::{Value, json};

const KEY: &str = "SEALMARK_TEST_KEY";
/// Set where the key is to be made first.
const MAKE: &str = "SEALMARK_TEST_MAKE";
const RING: &str = "projects/acme/locations/europe-west3/keyRings/ci";

/// The algorithms, and what openssl makes such keys of.
const ALGORITHMS: [(&str, &str); 9] = [
    (
        "EC_SIGN_P256_SHA256",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    ),
    (
        "EC_SIGN_P384_SHA384",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
    ),
    ("EC_SIGN_ED25519", "-algorithm ED25519"),
    (
        "RSA_SIGN_PKCS1_2048_SHA256",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
    ),
    (
        "RSA_SIGN_PKCS1_3072_SHA256",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:3072",
    ),
    (
        "RSA_SIGN_PKCS1_4096_SHA256",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:4096",
    ),
    (
        "RSA_SIGN_PKCS1_4096_SHA512",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:4096",
    ),
    (
        "RSA_SIGN_PSS_2048_SHA256",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
    ),
    (
        "RSA_SIGN_PSS_4096_SHA512",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:4096",
    ),
];

/// A signature as openssl makes it with the file `NAME.pem`.
fn openssl_signs(home: &Sandbox, name: &str, body: &Value) -> Vec<u8> {
    let run = |words: &str| {
        let openssl = Peer::find("openssl").unwrap();
        home.command(openssl)
            .args(words.split(' '))
            .run()
            .success()
            .stdout_bytes()
            .to_vec()
    };
    if let Some(data) = body.get("data") {
        home.write("data", STANDARD.decode(data.as_str().unwrap()).unwrap());
        return run(&format!("pkeyutl -sign -inkey {name}.pem -rawin -in data"));
    }
    let (hash, digest) = body["digest"].as_object().unwrap().iter().next().unwrap();
    home.write("digest", STANDARD.decode(digest.as_str().unwrap()).unwrap());
    assert!(
        name.ends_with(&hash.to_uppercase()),
        "{name} was sent a digest by {hash}"
    );
    let padding = match name {
        _ if name.contains("PSS") => format!(
            " -pkeyopt digest:{hash} -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest"
        ),
        _ if name.contains("RSA") => format!(" -pkeyopt digest:{hash}"),
        _ => String::new(),
    };
    run(&format!(
        "pkeyutl -sign -inkey {name}.pem -in digest{padding}"
    ))
}

/// The checksum bit by bit, as in RFC 3720: written anew, so that both are judged.
fn crc32c(bytes: &[u8]) -> String {
    let mut remainder = 0xffff_ffff_u64;
    for bit in bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |at| u64::from(byte >> at & 1)))
    {
        let carry = (remainder ^ bit) & 1;
        remainder >>= 1;
        if carry == 1 {
            remainder ^= 0x82f6_3b78;
        }
    }
    (remainder ^ 0xffff_ffff).to_string()
}

fn ok(value: &Value) -> Reply {
    Reply::status(200)
        .with("content-type", "application/json")
        .body(value.to_string())
}

fn refused(code: u16, status: &str, message: &str) -> Reply {
    let error = json!({ "error": { "code": code, "status": status, "message": message } });
    Reply::status(code).body(error.to_string())
}

struct Double {
    home: Sandbox,
    service_account: PublicKey,
    keys: BTreeMap<String, String>,
}

impl Double {
    fn answer(&self, request: &Request) -> Reply {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(&request.body)
            .into_owned()
            .collect();
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let bearer = request.header("authorization").unwrap_or_default();
        let token = |token: &str| {
            ok(&json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
        };
        match path {
            "/token" if field("grant_type") == "refresh_token" => {
                assert_eq!(
                    (field("refresh_token"), field("client_secret")),
                    ("hunter2-refresh", "hunter2-client")
                );
                let claims = URL_SAFE_NO_PAD.encode(r#"{"email":"jo@acme.example"}"#);
                ok(
                    &json!({ "access_token": "hunter2-user", "expires_in": 3599, "id_token": format!("e30.{claims}.e30") }),
                )
            }
            "/token" => {
                let (signed, signature) = field("assertion").rsplit_once('.').unwrap();
                let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
                self.service_account
                    .verify(signed.as_bytes(), &signature)
                    .unwrap();
                let claims = URL_SAFE_NO_PAD
                    .decode(signed.split('.').nth(1).unwrap())
                    .unwrap();
                let claims: Value = serde_json::from_slice(&claims).unwrap();
                assert_eq!(claims["iss"], "ci@acme.iam.gserviceaccount.com");
                assert!(claims["aud"].as_str().unwrap().ends_with("/token"));
                token("hunter2-account")
            }
            "/sts" => {
                assert_eq!(field("subject_token"), "hunter2-oidc");
                assert_eq!(field("audience"), "//iam.googleapis.com/pool/ci");
                token("hunter2-federated")
            }
            "/v1/projects/-/serviceAccounts/robot@acme.iam.gserviceaccount.com:generateAccessToken" => {
                match bearer {
                    "Bearer hunter2-federated" => ok(
                        &json!({ "accessToken": "hunter2-robot", "expireTime": "2030-01-01T00:00:00Z" }),
                    ),
                    _ => refused(403, "PERMISSION_DENIED", "no"),
                }
            }
            "/oidc" => {
                assert_eq!(request.header("metadata"), Some("yes"));
                ok(&json!({ "value": "hunter2-oidc" }))
            }
            "/computeMetadata/v1/instance/service-accounts/default/token" => {
                assert_eq!(request.header("metadata-flavor"), Some("Google"));
                token("hunter2-machine")
            }
            "/computeMetadata/v1/instance/service-accounts/default/email" => {
                Reply::status(200).body("vm@acme.iam.gserviceaccount.com")
            }
            _ if !bearer.starts_with("Bearer hunter2-") => {
                refused(401, "UNAUTHENTICATED", "no such token")
            }
            _ if path == format!("/v1/{RING}/cryptoKeys") => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let template = json!({ "algorithm": "EC_SIGN_P256_SHA256" });
                assert_eq!(
                    body,
                    json!({ "purpose": "ASYMMETRIC_SIGN", "versionTemplate": template })
                );
                match query {
                    "cryptoKeyId=EC_SIGN_P256_SHA256" => ok(&json!({})),
                    _ => refused(409, "ALREADY_EXISTS", "CryptoKey already exists."),
                }
            }
            _ => self.kms(path, bearer, &request.body),
        }
    }

    fn kms(&self, path: &str, bearer: &str, body: &[u8]) -> Reply {
        let rest = path
            .strip_prefix(&format!("/v1/{RING}/cryptoKeys/"))
            .unwrap_or_default();
        if let Some((name, verb)) = rest.split_once(':')
            && !name.contains('/')
        {
            return wrapping(name, verb, bearer, body);
        }
        let (name, rest) = rest.split_once("/cryptoKeyVersions").unwrap_or_default();
        let Some(pem) = self.keys.get(name) else {
            return refused(404, "NOT_FOUND", "CryptoKey not found.");
        };
        let resource =
            |version: u64| format!("{RING}/cryptoKeys/{name}/cryptoKeyVersions/{version}");
        match rest {
            "" => {
                let state = |version: u64, state: &str| json!({ "name": resource(version), "state": state });
                // Ten comes after nine, whatever their texts say.
                ok(&json!({ "cryptoKeyVersions": [
                    state(9, "ENABLED"), state(10, "ENABLED"), state(11, "DISABLED"), state(12, "DESTROYED"),
                ] }))
            }
            "/10/publicKey" => ok(
                &json!({ "pem": pem, "algorithm": name, "pemCrc32c": crc32c(pem.as_bytes()), "name": resource(10), "protectionLevel": "HSM" }),
            ),
            "/9/publicKey" => ok(
                &json!({ "pem": pem, "algorithm": name, "pemCrc32c": "1", "name": resource(9), "protectionLevel": "HSM" }),
            ),
            "/11/publicKey" => refused(
                400,
                "FAILED_PRECONDITION",
                "projects/acme is not enabled, current state is: DISABLED.",
            ),
            "/12/publicKey" => refused(400, "FAILED_PRECONDITION", "current state is: DESTROYED."),
            "/13/publicKey" => refused(
                429,
                "RESOURCE_EXHAUSTED",
                "Quota exceeded for quota metric 'Cryptographic requests'",
            ),
            "/10:asymmetricSign" if bearer == "Bearer hunter2-user" => refused(
                403,
                "PERMISSION_DENIED",
                "Permission 'cloudkms.cryptoKeyVersions.useToSign' denied",
            ),
            "/10:asymmetricSign" => {
                let body: Value = serde_json::from_slice(body).unwrap();
                let (sum, bytes, verified) = match body.get("data") {
                    Some(data) => ("dataCrc32c", data, "verifiedDataCrc32c"),
                    None => (
                        "digestCrc32c",
                        body["digest"].as_object().unwrap().values().next().unwrap(),
                        "verifiedDigestCrc32c",
                    ),
                };
                let bytes = STANDARD.decode(bytes.as_str().unwrap()).unwrap();
                assert_eq!(body[sum], crc32c(&bytes));
                let signature = openssl_signs(&self.home, name, &body);
                ok(
                    &json!({ "signature": STANDARD.encode(&signature), "signatureCrc32c": crc32c(&signature), verified: true, "name": resource(10) }),
                )
            }
            other => panic!("asked for {other}"),
        }
    }
}

/// `encrypt` and `decrypt` with a symmetric key: what it is named says what goes wrong. The ciphertext is what was sent, the
/// other way round, with what was bound to it.
fn wrapping(name: &str, verb: &str, bearer: &str, body: &[u8]) -> Reply {
    let body: Value = serde_json::from_slice(body).unwrap();
    let bytes = |field: &str| {
        let bytes = STANDARD.decode(body[field].as_str().unwrap()).unwrap();
        assert_eq!(body[format!("{field}Crc32c")], crc32c(&bytes), "{field}");
        bytes
    };
    let bound = bytes("additionalAuthenticatedData");
    let permission = format!("Permission 'cloudkms.cryptoKeyVersions.useTo{verb}' denied");
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
    match (name, verb) {
        ("denied", "encrypt") | ("no-decrypt", "decrypt") => {
            assert_eq!(bearer, "Bearer hunter2-machine");
            refused(403, "PERMISSION_DENIED", &permission)
        }
        ("signs", _) => refused(
            400,
            "INVALID_ARGUMENT",
            "The CryptoKey's purpose is not ENCRYPT_DECRYPT.",
        ),
        (_, "encrypt") => {
            let ciphertext = reversed(&[bytes("plaintext"), vec![0], bound].concat());
            let sum = match name {
                "damaged" => "1".to_owned(),
                _ => crc32c(&ciphertext),
            };
            ok(&json!({
                "name": format!("{RING}/cryptoKeys/{name}/cryptoKeyVersions/3"),
                "ciphertext": STANDARD.encode(&ciphertext), "ciphertextCrc32c": sum,
                "verifiedPlaintextCrc32c": name != "unheard",
                "verifiedAdditionalAuthenticatedDataCrc32c": true,
            }))
        }
        (_, "decrypt") => {
            let opened = reversed(&bytes("ciphertext"));
            let secret = opened.strip_suffix(bound.as_slice());
            let Some(secret) = secret.and_then(|secret| secret.strip_suffix(&[0])) else {
                return refused(
                    400,
                    "INVALID_ARGUMENT",
                    "Decryption failed: verify that 'name' refers to the correct CryptoKey.",
                );
            };
            ok(&json!({ "plaintext": STANDARD.encode(secret), "plaintextCrc32c": crc32c(secret) }))
        }
        other => panic!("asked for {other:?}"),
    }
}

/// A double with keys of these algorithms, a home with credentials for it, and its address.
fn start(algorithms: &[(&str, &str)]) -> (Sandbox, FaultyServer) {
    let (home, files) = (Sandbox::new(), Sandbox::new());
    let make = |name: &str, words: &str| {
        let run = |words: String| {
            let openssl = Peer::find("openssl").unwrap();
            home.command(openssl)
                .args(words.split(' '))
                .run()
                .success()
                .stdout()
        };
        run(format!("genpkey {words} -out {name}.pem"));
        run(format!("pkey -in {name}.pem -pubout"))
    };
    let keys = algorithms
        .iter()
        .map(|(name, words)| ((*name).to_owned(), make(name, words)))
        .collect();
    let account = make("account", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    let account_key = home.read("account.pem");
    let double = Double {
        home,
        service_account: PublicKey::from_pem(account.as_bytes()).unwrap(),
        keys,
    };
    let server = FaultyServer::start(move |request| double.answer(request));
    let at = |path: &str| format!("http://{}{path}", server.address());
    let robot =
        at("/v1/projects/-/serviceAccounts/robot@acme.iam.gserviceaccount.com:generateAccessToken");
    let user = json!({ "type": "authorized_user", "client_id": "id", "client_secret": "hunter2-client", "refresh_token": "hunter2-refresh", "token_uri": at("/token") });
    let external = |source: Value, impersonate: bool| {
        json!({
            "type": "external_account", "audience": "//iam.googleapis.com/pool/ci", "token_url": at("/sts"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": source,
            "service_account_impersonation_url": if impersonate { robot.as_str() } else { "" },
        })
    };
    files.write("oidc-token", "hunter2-oidc\n");
    for (name, value) in [
        (
            "account.json",
            json!({ "type": "service_account", "client_email": "ci@acme.iam.gserviceaccount.com", "private_key": account_key, "private_key_id": "1", "token_uri": at("/token") }),
        ),
        ("user.json", user.clone()),
        (
            "file.json",
            external(json!({ "file": files.join("oidc-token") }), false),
        ),
        (
            "url.json",
            external(
                json!({ "url": at("/oidc"), "headers": { "Metadata": "yes" }, "format": { "type": "json", "subject_token_field_name": "value" } }),
                true,
            ),
        ),
        (
            "program.json",
            external(json!({ "executable": { "command": "/bin/true" } }), false),
        ),
        (
            "impersonated.json",
            json!({ "type": "impersonated_service_account", "service_account_impersonation_url": robot, "source_credentials": user }),
        ),
        (
            "plain-http.json",
            json!({ "type": "authorized_user", "token_uri": "http://tokens.example/token" }),
        ),
    ] {
        files.write(name, value.to_string());
    }
    files.write("broken.json", "{\"private_key\": hunter2}");
    (files, server)
}

fn ask(
    home: &Sandbox,
    server: &FaultyServer,
    story: &str,
    key: &str,
    environment: &[(&str, &str)],
) -> String {
    let mut program = home
        .command(std::env::current_exe().unwrap())
        .args(["--exact", story, "--nocapture"])
        .env(KEY, key)
        .env("GCE_METADATA_HOST", server.address())
        .env(
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS",
            format!("http://{}/", server.address()),
        );
    for (name, value) in environment {
        program = program.env(name, value);
    }
    let finished = program.run();
    let said = finished.stdout();
    assert!(said.contains("SAID "), "{finished}");
    assert!(!said.contains("hunter2"), "{said}");
    said
}

/// The process of its own: signs, and prints what came of it.
fn sign(key: &str) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&notes);
    let options = Options {
        note: Some(Arc::new(move |line: &str| {
            told.lock().unwrap().push(line.to_owned())
        })),
        ..Options::default()
    };
    let result = tokio::runtime::Runtime::new().unwrap().block_on(async {
        if std::env::var_os(MAKE).is_some() {
            let made = create_key(&KeyRef::parse(key)?, Algorithm::EcdsaP256, &options).await?;
            println!("MADE {}", made.name);
        }
        let no_password = || panic!("asked for a password");
        let signer = sealmark_kms::load_signer(&KeyRef::parse(key)?, no_password, &options).await?;
        // Checked with the public key before it comes.
        signer.sign(b"data").await
    });
    for note in notes.lock().unwrap().iter() {
        println!("NOTE {note}");
    }
    match result {
        Ok(_) => println!("SAID it signed"),
        Err(error) => println!("SAID {error}"),
    }
}

/// The process of its own: wraps a secret, unwraps it, and tries to unwrap it as another's.
fn wrap(key: &str) {
    use sealmark_kms::wrap::{Context, Wrapped, unwrap, wrap};
    let result = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let options = Options::default();
        let context = Context {
            instance: "sigstore.example.com",
        };
        let wrapped = wrap(&KeyRef::parse(key)?, b"hunter2", context, &options).await?;
        assert_eq!(*unwrap(&wrapped, &options).await?, b"hunter2");
        let moved = wrapped
            .to_json()
            .replace("sigstore.example.com", "example.com");
        let moved = Wrapped::parse(moved.as_bytes()).unwrap();
        println!("MOVED {}", unwrap(&moved, &options).await.unwrap_err());
        Ok::<_, sealmark_kms::Error>(wrapped.key().to_owned())
    });
    match result {
        Ok(key) => println!("SAID wrapped by {key}"),
        Err(error) => println!("SAID {error}"),
    }
}

#[test]
fn a_symmetric_key_wraps_a_secret_for_one_instance() {
    const STORY: &str = "a_symmetric_key_wraps_a_secret_for_one_instance";
    if let Ok(key) = std::env::var(KEY) {
        return wrap(&key);
    }
    require_or_skip!("openssl");
    let (home, server) = start(&[]);
    let key = |name: &str| format!("gcpkms://{RING}/cryptoKeys/{name}");
    let ask = |key: &str| ask(&home, &server, STORY, key, &[]);
    let said = ask(&key("good"));
    assert!(
        said.contains(&format!("SAID wrapped by {}", key("good"))),
        "{said}"
    );
    let moved = format!(
        "MOVED {} cannot unwrap the password: Google answered 400: Decryption failed",
        key("good")
    );
    assert!(said.contains(&moved), "{said}");
    for (name, part) in [
        (
            "denied",
            "lacks cloudkms.cryptoKeyVersions.useToEncrypt there (the role roles/cloudkms.cryptoKeyEncrypterDecrypter has it)",
        ),
        ("no-decrypt", "vm@acme.iam.gserviceaccount.com"),
        (
            "no-decrypt",
            "lacks cloudkms.cryptoKeyVersions.useToDecrypt there",
        ),
        ("signs", "purpose is not ENCRYPT_DECRYPT"),
        ("damaged", "does not match its ciphertextCrc32c"),
        ("unheard", "what was sent was damaged on the way"),
        ("good/cryptoKeyVersions/3", "leave the version out"),
    ] {
        let said = ask(&key(name));
        assert!(said.contains(part), "{name}: {said}");
    }
}

#[test]
fn every_kind_of_key_signs_as_its_algorithm_says() {
    const STORY: &str = "every_kind_of_key_signs_as_its_algorithm_says";
    if let Ok(key) = std::env::var(KEY) {
        return sign(&key);
    }
    require_or_skip!("openssl");
    let (home, server) = start(&ALGORITHMS);
    for (name, _) in ALGORITHMS {
        let said = ask(
            &home,
            &server,
            STORY,
            &format!("gcpkms://{RING}/cryptoKeys/{name}"),
            &[],
        );
        let note = format!("NOTE key gcpkms://{RING}/cryptoKeys/{name}/cryptoKeyVersions/10: ");
        assert!(
            said.contains("SAID it signed") && said.contains(&note),
            "{said}"
        );
    }
}

#[test]
fn whoever_asks_is_named_and_a_refusal_says_what_is_missing() {
    const STORY: &str = "whoever_asks_is_named_and_a_refusal_says_what_is_missing";
    if let Ok(key) = std::env::var(KEY) {
        return sign(&key);
    }
    require_or_skip!("openssl");
    let (home, server) = start(&ALGORITHMS[..1]);
    let key = format!("{RING}/cryptoKeys/EC_SIGN_P256_SHA256");
    let version = |version: u64| format!("{key}/cryptoKeyVersions/{version}");
    let console = "https://console.cloud.google.com/security/kms/key/manage/europe-west3/ci/EC_SIGN_P256_SHA256?project=acme";
    home.write(
        "home/.config/gcloud/application_default_credentials.json",
        home.read("file.json"),
    );
    let own = home.join("home/.config/gcloud/application_default_credentials.json");
    let own = own.to_str().unwrap().to_owned();
    let table = [
        (
            "account.json",
            key.clone(),
            "(account.json): the service account ci@acme.iam.gserviceaccount.com; the token expires in 3599 s",
        ),
        (
            "url.json",
            console.to_owned(),
            "the service account robot@acme.iam.gserviceaccount.com, impersonated by the federated identity of //iam.googleapis.com/pool/ci; the token expires 2030-01-01T00:00:00Z",
        ),
        (
            "",
            key.clone(),
            "NOTE Google credentials from HOME: the federated identity of //iam.googleapis.com/pool/ci",
        ),
        (
            "user.json",
            key.clone(),
            "cannot sign: permission denied: the user jo@acme.example (credentials from GOOGLE_APPLICATION_CREDENTIALS (user.json)) lacks cloudkms.cryptoKeyVersions.useToSign there (the role roles/cloudkms.signer has it)",
        ),
        (
            "impersonated.json",
            key.clone(),
            "cannot be used: the user jo@acme.example may not act as robot@acme.iam.gserviceaccount.com: grant it iam.serviceAccounts.getAccessToken there",
        ),
        (
            "program.json",
            key.clone(),
            "credentials that run a program are not supported",
        ),
        (
            "broken.json",
            key.clone(),
            "(broken.json) cannot be used: line 1 is not the JSON of credentials",
        ),
        (
            "nothing.json",
            key.clone(),
            "the credentials of GOOGLE_APPLICATION_CREDENTIALS (nothing.json) cannot be used: No such file",
        ),
        (
            "plain-http.json",
            key.clone(),
            "the credentials name \"http://tokens.example/token\" to ask for a token, which is not https",
        ),
        (
            "account.json",
            version(9),
            "what came does not match its pemCrc32c: it was damaged on the way",
        ),
        (
            "account.json",
            version(11),
            "cannot be read: the version is disabled: enable it, or use another: ",
        ),
        (
            "account.json",
            version(12),
            "cannot be read: the version is destroyed, or about to be: use another: ",
        ),
        (
            "account.json",
            version(13),
            "the project's quota is used up for now: Quota exceeded",
        ),
        (
            "account.json",
            format!("{RING}/cryptoKeys/nothing"),
            "cannot be read: there is no such key or version, or the service account ci@acme",
        ),
    ];
    for (credentials, key, message) in table {
        let said = match credentials {
            "" => ask(&home, &server, STORY, &key, &[]).replace(&own, "HOME"),
            file => ask(
                &home,
                &server,
                STORY,
                &key,
                &[("GOOGLE_APPLICATION_CREDENTIALS", file)],
            ),
        };
        assert!(said.contains(message), "{credentials} {key}: {said}");
    }
    let make = [
        ("GOOGLE_APPLICATION_CREDENTIALS", "account.json"),
        (MAKE, "1"),
    ];
    let said = ask(&home, &server, STORY, &key, &make);
    let made = format!("MADE gcpkms://{key}/cryptoKeyVersions/10\n");
    assert!(
        said.contains(&made) && said.contains("SAID it signed"),
        "{said}"
    );
    let said = ask(
        &home,
        &server,
        STORY,
        &format!("{RING}/cryptoKeys/taken"),
        &make,
    );
    assert!(
        said.contains("cannot be made: it is there already: nothing was made"),
        "{said}"
    );
    let token = [("GOOGLE_OAUTH_ACCESS_TOKEN", "expired")];
    let said = ask(&home, &server, STORY, &key, &token);
    assert!(
        said.contains("Google does not accept the token of whoever the token was made for"),
        "{said}"
    );
    // Where no file is, the machine's own account signs.
    std::fs::remove_file(own).unwrap();
    let said = ask(&home, &server, STORY, &key, &[]);
    assert!(said.contains("NOTE Google credentials from the metadata server: the service account vm@acme.iam.gserviceaccount.com"), "{said}");
    assert!(said.contains("SAID it signed"), "{said}");
    let said = ask(
        &home,
        &server,
        STORY,
        &key,
        &[("GCE_METADATA_HOST", "127.0.0.1:9")],
    );
    assert!(
        said.contains(
            "cannot be used: no credentials: log in with gcloud auth application-default login"
        ),
        "{said}"
    );
}
