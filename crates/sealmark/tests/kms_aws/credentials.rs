//! Where credentials come from, which is told, and never a secret.

use sealmark_keys::Algorithm;
use sealmark_testkit::{Finished, Program, Reply, Sandbox};
use serde_json::json;

use super::bare;
use super::double::{Call, Double};

const LINE: &str = "-v sign-blob --key awskms:///alias/k --bundle b file";
const ENDS: &str = "2099-01-02T03:04:05Z";

fn ground() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox
}

/// Hands out credentials of every kind; whoever asks without the proof that the service wants gets none.
fn cloud(call: &Call<'_>) -> Option<Reply> {
    let request = call.request;
    let document = |id: &str| {
        json!({
            "Code": "Success", "AccessKeyId": id, "SecretAccessKey": "secret-of-the-cloud",
            "Token": "token-of-the-cloud", "Expiration": ENDS,
        })
    };
    let role = |action: &str, id: &str| {
        Reply::status(200).body(format!(
            "<{action}Response><{action}Result><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>secret-of-the-\
             role</SecretAccessKey><SessionToken>token-of-the-role</SessionToken><Expiration>{ENDS}</Expiration>\
             </Credentials></{action}Result></{action}Response>"
        ))
    };
    let body = String::from_utf8_lossy(&request.body);
    let json = |value: serde_json::Value| Reply::status(200).body(value.to_string());
    Some(match (&*request.method, &*call.action) {
        (_, "AssumeRoleWithWebIdentity") if body.contains("WebIdentityToken=the-token") => {
            role("AssumeRoleWithWebIdentity", "ASIAWEBIDENTITY")
        }
        (_, "AssumeRoleWithWebIdentity") => Reply::status(400).body(
            "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>The token has \
             expired</Message></Error></ErrorResponse>",
        ),
        (_, "AssumeRole") if call.by == "AKIABASE" && body.contains("ExternalId=e-1") => {
            role("AssumeRole", "ASIAROLE")
        }
        (_, "AssumeRole") => Reply::status(403).body(
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/x is not authorized to \
             perform: sts:AssumeRole on resource: arn:aws:iam::1:role/r</Message></Error></ErrorResponse>",
        ),
        ("GET", path) if path.starts_with("/federation/credentials") => {
            let good = request.header("x-amz-sso_bearer_token") == Some("sso-token")
                && path.contains("role_name=dev&account_id=562077019569");
            match good {
                true => json(json!({"roleCredentials": {
                    "accessKeyId": "ASIASSO", "secretAccessKey": "secret-of-the-login",
                    "sessionToken": "token-of-the-login", "expiration": 4_071_000_000_000_i64,
                }})),
                false => Reply::status(401),
            }
        }
        ("GET", "/container") => match request.header("authorization") {
            Some("Bearer 1") => json(document("ASIACONTAINER")),
            _ => Reply::status(403),
        },
        ("PUT", "/latest/api/token") => Reply::status(200).body("imds-token"),
        ("GET", path) if path.starts_with("/latest/meta-data/") => {
            if request.header("x-aws-ec2-metadata-token") != Some("imds-token") {
                return Some(Reply::status(401));
            }
            match path.strip_prefix("/latest/meta-data/iam/security-credentials/")? {
                "" => Reply::status(200).body("web-server"),
                "web-server" => json(document("ASIAINSTANCE")),
                _ => Reply::status(404),
            }
        }
        _ => return None,
    })
}

/// Signs, and looks whose access key signed the request.
fn signs_as(program: Program, kms: &Double, id: &str, source: &str) -> Finished {
    let before = kms.calls().len();
    let done = program.env("AWS_REGION", "us-west-2").run().success();
    assert!(
        kms.calls()[before..].contains(&format!("Sign alias/k us-west-2 {id}")),
        "{:?}",
        kms.calls()
    );
    let line = format!("AWS credentials from {source}");
    assert!(done.stderr().contains(&line), "{line}\n{done}");
    let caller = format!("AWS identity arn:aws:iam::562077019569:user/{id}\n");
    assert!(done.stderr().contains(&caller), "{done}");
    for secret in [
        "secret-of",
        "token-of",
        "the-token",
        "sso-token",
        "imds-token",
    ] {
        assert!(!done.stderr().contains(secret), "{done}");
    }
    done
}

fn fails(program: Program, expected: &str) {
    let failed = program.env("AWS_REGION", "us-west-2").run().code(1);
    assert!(
        failed.stderr().contains(expected),
        "expected {expected}\n{failed}"
    );
}

#[test]
fn every_place_that_awss_own_tools_know() {
    let sandbox = ground();
    let kms = Double::start(Algorithm::EcdsaP256, cloud);
    let cli = || bare(&sandbox, kms.address(), LINE);
    sandbox.write("token", "the-token\n");
    sandbox.write("home/.aws/credentials", "[plain]\naws_access_key_id = AKIAPLAIN\naws_secret_access_key = secret-of-a-file\n[base]\naws_access_key_id=AKIABASE\naws_secret_access_key=secret-of-a-file\n");
    let program = sandbox.write("give credentials", "#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":\"AKIAPROCESS\",\"SecretAccessKey\":\"secret-of-a-program\"}'\n");
    let program = program.display();
    sandbox.write(
        "home/.aws/config",
        format!(
            "[profile role]\nrole_arn = arn:aws:iam::562077019569:role/release\nsource_profile = base\nexternal_id = e-1\n\
             [profile wrong]\nrole_arn = arn:aws:iam::562077019569:role/release\nsource_profile = plain\n\
             [profile program]\ncredential_process = sh \"{program}\"\n\
             [profile failing]\ncredential_process = sh -c 'echo no luck >&2; exit 3'\n\
             [profile login]\nsso_session = corp\nsso_account_id = 562077019569\nsso_role_name = dev\n\
             [profile old-login]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = us-east-1\nsso_account_id = 562077019569\nsso_role_name = dev\n\
             [sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = us-east-1\n\
             [profile empty]\nregion = eu-west-1\n\
             [profile web]\nrole_arn = arn:aws:iam::562077019569:role/release\nweb_identity_token_file = token\n\
             [profile mfa]\nrole_arn = arn:aws:iam::562077019569:role/release\nsource_profile = base\nmfa_serial = arn:aws:iam::562077019569:mfa/me\n"
        ),
    );
    let profile = |name: &str| cli().env("AWS_PROFILE", name);
    let role = "arn:aws:iam::562077019569:role/release";

    let environment = cli()
        .env("AWS_ACCESS_KEY_ID", "AKIAENV")
        .env("AWS_SECRET_ACCESS_KEY", "secret-of-env");
    signs_as(
        environment,
        &kms,
        "AKIAENV",
        "the environment (AWS_ACCESS_KEY_ID), without an end",
    );
    let both = profile("plain")
        .env("AWS_ACCESS_KEY_ID", "AKIAENV")
        .env("AWS_SECRET_ACCESS_KEY", "secret-of-env");
    signs_as(
        both,
        &kms,
        "AKIAENV",
        "the environment (AWS_ACCESS_KEY_ID); it wins over the profile plain that AWS_PROFILE names",
    );
    signs_as(
        profile("plain"),
        &kms,
        "AKIAPLAIN",
        "the profile plain (its access key), without an end",
    );
    signs_as(
        profile("role"),
        &kms,
        "ASIAROLE",
        &format!(
            "the profile role (role {role}, assumed with the profile base (its access key)), valid until {ENDS}"
        ),
    );
    signs_as(
        profile("web"),
        &kms,
        "ASIAWEBIDENTITY",
        &format!(
            "the profile web's web identity (role {role}, token in token), valid until {ENDS}"
        ),
    );
    signs_as(
        profile("program"),
        &kms,
        "AKIAPROCESS",
        "the profile program (credential_process sh)",
    );
    let web = cli()
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", sandbox.join("token"))
        .env("AWS_ROLE_ARN", role);
    signs_as(
        web,
        &kms,
        "ASIAWEBIDENTITY",
        &format!("the environment's web identity (role {role}, token in "),
    );
    let container = cli()
        .env(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://{}/container", kms.address()),
        )
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer 1");
    signs_as(
        container,
        &kms,
        "ASIACONTAINER",
        &format!("the container (AWS_CONTAINER_CREDENTIALS_FULL_URI), valid until {ENDS}"),
    );
    let instance = cli().env("AWS_EC2_METADATA_DISABLED", "false").env(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        format!("http://{}", kms.address()),
    );
    signs_as(
        instance,
        &kms,
        "ASIAINSTANCE",
        &format!("the EC2 instance (role web-server), valid until {ENDS}"),
    );

    // Nobody has logged in, the login has expired, and it is good; with a session, and as it was before there were any.
    let login = |name: &str, expires: &str| {
        let hash = aws_name(name);
        let token = json!({ "accessToken": "sso-token", "expiresAt": expires });
        sandbox.write(
            format!("home/.aws/sso/cache/{hash}.json"),
            token.to_string(),
        );
    };
    let from =
        "no credentials for AWS from the profile login (IAM Identity Center), which is chosen:";
    fails(
        profile("login"),
        &format!("{from} nobody has logged in; run: aws sso login --profile login"),
    );
    login("corp", "2020-01-01T00:00:00Z");
    fails(
        profile("login"),
        &format!("{from} the login has expired; run: aws sso login --profile login"),
    );
    login("corp", ENDS);
    signs_as(
        profile("login"),
        &kms,
        "ASIASSO",
        "the profile login (IAM Identity Center), role dev of account 562077019569, valid until 2099-01-",
    );
    login("https://corp.awsapps.com/start", "2099-01-02T03:04:05UTC");
    signs_as(
        profile("old-login"),
        &kms,
        "ASIASSO",
        "the profile old-login (IAM Identity Center), role dev",
    );

    // What was chosen and cannot be had is not replaced by what could.
    let there = |program: Program| {
        program
            .env(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                format!("http://{}/container", kms.address()),
            )
            .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer 1")
    };
    fails(
        there(profile("nobody")),
        "no credentials for AWS from the profile nobody that AWS_PROFILE names, which is chosen: it is not in ",
    );
    fails(
        there(profile("empty")),
        "it has no access key, role, login (sso_session) or credential_process",
    );
    fails(
        there(profile("wrong")),
        "AccessDenied: User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole",
    );
    fails(
        there(profile("failing")),
        "(credential_process sh), which is chosen: it failed (exit status: 3): no luck",
    );
    fails(
        there(profile("mfa")),
        "its role needs a one-time password (mfa_serial), which is not supported",
    );
    fails(
        there(cli().env("AWS_ACCESS_KEY_ID", "AKIAENV")),
        "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not",
    );
    sandbox.write("token", "old");
    let expired = cli()
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", sandbox.join("token"))
        .env("AWS_ROLE_ARN", role);
    fails(
        there(expired),
        "AWS STS refused sts:AssumeRoleWithWebIdentity",
    );
    let elsewhere = cli().env(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "http://192.0.2.1/container",
    );
    fails(
        elsewhere,
        "http is for loopback and the addresses of ECS and EKS only, and http://192.0.2.1/container is another",
    );
}

/// As AWS's tools call the file of a login.
fn aws_name(session: &str) -> String {
    let hash = sealmark_formats::digest::sha1_for_legacy_use_only(session.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
