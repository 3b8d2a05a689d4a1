//! `k8s://NAMESPACE/SECRET`.

use sealmark_testkit::kubernetes::{ADMIN, Kubernetes, NOBODY, READER};
use sealmark_testkit::{FaultyServer, Finished, Peer, Program};
use serde_json::{Value, json};

use crate::bench::{Bench, PASSWORD, Tool, have};
use crate::{message, share};

/// A user with a cluster.
struct World {
    bench: Bench,
    cluster: Kubernetes,
}

impl World {
    fn new() -> Self {
        let bench = Bench::new();
        let cluster = Kubernetes::start(&bench.sandbox, "IP:127.0.0.1");
        let world = Self { bench, cluster };
        world.config("admin", &format!("{{token: {ADMIN}}}"));
        world.config("reader", &format!("{{token: {READER}}}"));
        world.config("nobody", &format!("{{token: {NOBODY}}}"));
        world
    }

    /// A kubeconfig of this name.
    fn config(&self, name: &str, user: &str) -> String {
        let text = self.cluster.kubeconfig(user);
        self.bench.sandbox.write(format!("{name}.yaml"), &text);
        text
    }

    fn run(&self, config: &str, words: &[&str]) -> Program {
        let path = self.bench.sandbox.join(format!("{config}.yaml"));
        self.bench
            .run(Tool::Sealmark)
            .args(words)
            .env("KUBECONFIG", path)
    }

    fn make(&self, key: &str) -> Finished {
        self.run("admin", &["generate-key-pair", key, "--yes"])
            .run()
    }
}

#[test]
fn a_pair_in_a_secret_is_shared_with_cosign_both_ways() {
    if !have(&["openssl", "cosign3"]) {
        return;
    }
    let world = World::new();
    let config = world.bench.sandbox.join("admin.yaml");
    let with = |program: Program| program.env("KUBECONFIG", &config);

    let made = world.make("k8s://demo/ours").success();
    made.stderr_has("Successfully created secret ours in namespace demo")
        .stderr_has("Public key written to cosign.pub");
    assert_eq!(
        world.cluster.member("ours", "cosign.password").unwrap(),
        PASSWORD.as_bytes()
    );
    let public = world.cluster.member("ours", "cosign.pub").unwrap();
    assert_eq!(public, world.bench.sandbox.read("cosign.pub").into_bytes());
    share(&world.bench, "k8s://demo/ours", with);

    with(
        world
            .bench
            .run(Tool::Cosign3)
            .args(["generate-key-pair", "k8s://demo/theirs"]),
    )
    .run()
    .success();
    share(&world.bench, "k8s://demo/theirs", with);
}

#[test]
fn the_password_is_that_of_the_secret_and_is_shown_to_nobody() {
    if !have(&["openssl"]) {
        return;
    }
    let world = World::new();
    world.make("k8s://demo/release").success();
    world.bench.sandbox.write("app.txt", "hello");
    // To read is enough, and the password of the environment is not the one that counts.
    let sign = [
        "-v",
        "sign-blob",
        "--key",
        "k8s://demo/release",
        "--bundle",
        "b",
        "app.txt",
    ];
    let said = world
        .run("reader", &sign)
        .env("COSIGN_PASSWORD", "another")
        .run()
        .success()
        .stderr();
    let config = world.bench.sandbox.join("reader.yaml");
    for part in [
        format!(
            "Kubernetes at {} (the context \"test\" of {})",
            world.cluster.url(),
            config.display()
        ),
        "Kubernetes credentials: the token of the user \"ci\"".to_owned(),
        format!(
            "GET {}/api/v1/namespaces/demo/secrets/release 200",
            world.cluster.url()
        ),
        "key k8s://demo/release: ecdsa-p256".to_owned(),
    ] {
        assert!(said.contains(&part), "{part}\n{said}");
    }
    assert!(!said.contains(READER) && !said.contains(PASSWORD), "{said}");
    // One request for the key, and none to make it.
    let requests = world.cluster.requests();
    assert_eq!(
        requests
            .iter()
            .filter(|request| request.method != "GET")
            .count(),
        1
    );
}

#[test]
fn a_pair_is_replaced_only_on_demand_and_never_in_an_immutable_secret() {
    if !have(&["openssl"]) {
        return;
    }
    let world = World::new();
    // A secret with something else in it gets the pair beside that.
    let other = |mut secret: Value| {
        secret["data"]["other"] = json!("eA==");
        secret["metadata"]["labels"] = json!({"app": "x"});
        secret
    };
    world.cluster.change("release", other);
    let made = world
        .run(
            "admin",
            &["generate-key-pair", "k8s://demo/release", "--yes"],
        )
        .run()
        .success();
    made.stderr_has("Successfully updated secret release in namespace demo");
    assert_eq!(world.cluster.member("release", "other").unwrap(), b"x");
    let first = world.cluster.member("release", "cosign.pub").unwrap();

    let refused = world.make("k8s://demo/release").code(1);
    assert_eq!(
        message(&refused),
        "k8s://demo/release cannot be written: the secret \"release\" is immutable, so what is in it stays (a key pair); take \
         another name, or delete it first: kubectl --namespace demo delete secret release"
    );
    world.cluster.change("release", |mut secret| {
        secret["immutable"] = json!(false);
        secret
    });
    std::fs::remove_file(world.bench.sandbox.join("cosign.pub")).unwrap();
    let refused = world
        .run("admin", &["generate-key-pair", "k8s://demo/release"])
        .run()
        .code(1);
    assert_eq!(
        message(&refused),
        "k8s://demo/release has a key pair already: nothing was written, as a key that is replaced cannot be brought back. \
         Choose another place, or give --yes to replace it"
    );
    assert!(!world.bench.sandbox.join("cosign.pub").exists());
    assert_eq!(
        world.cluster.member("release", "cosign.pub").unwrap(),
        first
    );
    world.make("k8s://demo/release").success();
    assert_ne!(
        world.cluster.member("release", "cosign.pub").unwrap(),
        first
    );
}

#[test]
fn a_secret_that_is_not_right_is_told_by_what_is_wrong_with_it() {
    if !have(&["openssl"]) {
        return;
    }
    let world = World::new();
    world.make("k8s://demo/other").success();
    world.bench.sandbox.write("app.txt", "hello");
    let whole = {
        let mut whole = Value::Null;
        world.cluster.change("other", |secret| {
            whole = secret.clone();
            secret
        });
        whole["immutable"] = json!(false);
        whole
    };
    let place =
        "cannot read key k8s://demo/release: the secret \"release\" in the namespace \"demo\"";
    let missing = "a key pair is kept there by: sealmark generate-key-pair k8s://demo/release";
    let none = Value::Null;
    for (member, value, verify, sign) in [
        (
            "cosign.key",
            none.clone(),
            None,
            Some(format!("{place} has no cosign.key; {missing}")),
        ),
        ("cosign.pub", none.clone(), None, None),
        (
            "cosign.pub",
            json!("eA=="),
            Some(format!("{place}: cosign.pub: ")),
            Some(format!(
                "{place}: cosign.pub is not the public key of cosign.key"
            )),
        ),
        (
            "cosign.password",
            json!("eA=="),
            None,
            Some(format!(
                "{place}: cosign.password is not the password of cosign.key"
            )),
        ),
        (
            "cosign.key",
            json!("eA=="),
            None,
            Some(format!("{place}: cosign.key: ")),
        ),
        (
            "cosign.key",
            json!("?"),
            Some("cosign.key is not Base64".to_owned()),
            Some("cosign.key is not Base64".to_owned()),
        ),
    ] {
        world.cluster.change("release", |_| {
            let mut secret = whole.clone();
            match value.is_null() {
                true => drop(secret["data"].as_object_mut().unwrap().remove(member)),
                false => secret["data"][member] = value.clone(),
            }
            secret
        });
        let read = world
            .run("reader", &["public-key", "--key", "k8s://demo/release"])
            .run();
        let signed = world
            .run(
                "reader",
                &[
                    "sign-blob",
                    "--key",
                    "k8s://demo/release",
                    "--bundle",
                    "b",
                    "app.txt",
                ],
            )
            .run();
        for (finished, expected) in [(read, verify), (signed, sign)] {
            match expected {
                None => drop(finished.success()),
                Some(text) => assert!(
                    message(&finished).contains(&text),
                    "{member} {value}: {text}\n{finished}"
                ),
            }
        }
    }
    // Without a password in the secret, the user is asked, as for a file.
    world.cluster.change("release", |_| {
        let mut secret = whole.clone();
        secret["data"]
            .as_object_mut()
            .unwrap()
            .remove("cosign.password");
        secret
    });
    let sign = [
        "sign-blob",
        "--key",
        "k8s://demo/release",
        "--bundle",
        "b",
        "app.txt",
    ];
    world.run("reader", &sign).run().success();
    let wrong = world
        .run("reader", &sign)
        .env("COSIGN_PASSWORD", "another")
        .run()
        .code(1);
    assert!(
        message(&wrong).contains("it was taken from COSIGN_PASSWORD"),
        "{wrong}"
    );
}

#[test]
fn a_refusal_names_the_host_the_action_and_who_lacks_it() {
    if !have(&["openssl"]) {
        return;
    }
    let world = World::new();
    let url = world.cluster.url();
    let host = url.strip_prefix("https://").unwrap();
    let shown = "it was shown the token of the user \"ci\"";
    let grant = "who may grant it does so with: kubectl --namespace demo create role NAME";
    world.config("stranger", "{token: unknown}");
    let public = |key| ["public-key", "--key", key];
    let read = "k8s://demo/release cannot be read";
    let write = "k8s://demo/release cannot be written";
    for (config, words, expected) in [
        (
            "nobody",
            &public("k8s://demo/release")[..],
            format!(
                "{read}: {host} does not let \"system:serviceaccount:demo:nobody\" get secrets in namespace \"demo\": secrets \
             \"release\" is forbidden: User \"system:serviceaccount:demo:nobody\" cannot get resource \"secrets\" in API group \
             \"\" in the namespace \"demo\"; {shown}; {grant} --verb=get --resource=secrets, and a rolebinding"
            ),
        ),
        (
            "reader",
            &["generate-key-pair", "k8s://demo/release"],
            format!(
                "{write}: {host} does not let \"system:serviceaccount:demo:reader\" create secrets in namespace \"demo\": secrets is \
             forbidden: User \"system:serviceaccount:demo:reader\" cannot create resource \"secrets\" in API group \"\" in the \
             namespace \"demo\"; {shown}; {grant} --verb=create --resource=secrets, and a rolebinding"
            ),
        ),
        (
            "stranger",
            &public("k8s://demo/release"),
            format!(
                "{read}: {host} does not know who asks to get secrets in namespace \"demo\": Unauthorized; {shown}: log in again, or \
             choose another context (kubectl config use-context)"
            ),
        ),
        (
            "reader",
            &public("k8s://demo/release"),
            format!(
                "{read}: {host} has no secret \"release\" in the namespace \"demo\"; sealmark generate-key-pair k8s://demo/release \
             makes one"
            ),
        ),
        (
            "admin",
            &["generate-key-pair", "k8s://nowhere/release"],
            format!(
                "k8s://nowhere/release cannot be written: {host} has no namespace \"nowhere\"; kubectl create namespace nowhere makes it"
            ),
        ),
    ] {
        let refused = world.run(config, words).run().code(1);
        assert_eq!(message(&refused), expected);
    }
    assert!(!world.bench.sandbox.join("cosign.pub").exists());
    // A server that is not there, one that is not who it should be, and no configuration at all.
    let nobody = FaultyServer::nobody();
    let text = world.config("gone", "{}").replace(host, &nobody);
    world.bench.sandbox.write("gone.yaml", text);
    let gone = message(
        &world
            .run("gone", &public("k8s://demo/release"))
            .run()
            .code(1),
    );
    assert!(
        gone.contains(&nobody) && gone.contains("cannot connect"),
        "{gone}"
    );
    let text = world.config("system", &format!("{{token: {ADMIN}}}"));
    let text: String = text
        .lines()
        .filter(|line| !line.contains("certificate-authority"))
        .map(|line| format!("{line}\n"))
        .collect();
    world.bench.sandbox.write("system.yaml", &text);
    let strange = world
        .run("system", &public("k8s://demo/release"))
        .run()
        .code(1);
    assert!(message(&strange).contains("certificate"), "{strange}");
    assert!(
        world
            .cluster
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_some())
    );
    let lost = world
        .bench
        .run(Tool::Sealmark)
        .args(public("k8s://demo/release"))
        .run()
        .code(1);
    let home = world.bench.sandbox.join("home/.kube/config");
    assert_eq!(
        message(&lost),
        format!(
            "{read}: where is the cluster? No context in {}, and this is no pod (KUBERNETES_SERVICE_HOST is not set); set KUBECONFIG",
            home.display()
        )
    );
    let pod = world
        .bench
        .run(Tool::Sealmark)
        .args(public("k8s://demo/release"));
    let pod = pod
        .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .run()
        .code(1);
    assert!(
        message(&pod)
            .contains("the service account's /var/run/secrets/kubernetes.io/serviceaccount/ca.crt"),
        "{pod}"
    );
}

#[test]
fn every_way_to_log_in_of_a_kubeconfig_works_or_says_why_not() {
    if !have(&["openssl"]) {
        return;
    }
    let world = World::new();
    world.make("k8s://demo/release").success();
    let sandbox = &world.bench.sandbox;
    sandbox.write("token", format!("{READER}\n"));
    let login = |name: &str, answer: &str| {
        let path = sandbox.write(
            name,
            format!("#!/bin/sh\nprintf '%s' \"$KUBERNETES_EXEC_INFO\" > info\n{answer}\n"),
        );
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let credential = format!(
        "echo '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{{\"token\":\"{READER}\"}}}}'"
    );
    login(
        "login",
        &format!("[ \"$1 $WHO\" = \"get me\" ] || exit 1\n{credential}"),
    );
    login("broken", "echo 'your session has expired' >&2; exit 1");
    login("nonsense", "echo hunter2");
    let v1 = "apiVersion: client.authentication.k8s.io/v1";
    let exec = |command: &str, more: &str| {
        format!("{{exec: {{{v1}, command: {command}, interactiveMode: Never{more}}}}}")
    };
    let good = [
        "{tokenFile: token}".to_owned(),
        "{username: admin, password: hunter2}".to_owned(),
        exec(
            "./login",
            ", args: [get], env: [{name: WHO, value: me}], provideClusterInfo: true",
        ),
        format!("{{token: {ADMIN}, as: 'system:serviceaccount:demo:reader', as-groups: [a, b]}}"),
    ];
    for user in &good {
        world.config("user", user);
        let finished = world
            .run("user", &["-v", "public-key", "--key", "k8s://demo/release"])
            .run();
        assert_eq!(finished.exit_code(), Some(0), "{user}\n{finished}");
        assert!(
            !finished.stderr().contains("hunter2") && !finished.stderr().contains("token-of"),
            "{finished}"
        );
    }
    let info: Value = serde_json::from_str(&sandbox.read("info")).unwrap();
    assert_eq!(
        (&info["kind"], &info["spec"]["interactive"]),
        (&json!("ExecCredential"), &json!(false))
    );
    assert_eq!(info["spec"]["cluster"]["server"], world.cluster.url());
    for (user, expected) in [
        (
            exec("./broken", ""),
            "the credential program \"./broken\" failed: your session has expired",
        ),
        (
            exec("./nonsense", ""),
            "the credential program \"./nonsense\" did not print an ExecCredential",
        ),
        (
            exec(
                "kubelogin-of-nobody",
                ", installHint: 'get it from the shop'",
            ),
            "the credential program \"kubelogin-of-nobody\" is not there: get it from the shop",
        ),
        (
            "{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}".to_owned(),
            "speaks \"client.authentication.k8s.io/v1alpha1\", and client.authentication.k8s.io/v1 is spoken here",
        ),
        (
            "{auth-provider: {name: oidc}}".to_owned(),
            "has the auth-provider \"oidc\", which is not supported (nor by kubectl since 1.26)",
        ),
        (
            "{client-certificate-data: eA==}".to_owned(),
            "has a client-certificate without its client-key",
        ),
        (
            "{tokenFile: nowhere}".to_owned(),
            "the token of the user \"ci\", ",
        ),
        (
            "{token: x, as-user-extra: {a: [b]}}".to_owned(),
            "as-user-extra is not supported",
        ),
        (
            format!("{{token: {ADMIN}, as: 'somebody'}}"),
            "does not let \"somebody\" get secrets",
        ),
    ] {
        world.config("user", &user);
        let refused = world
            .run("user", &["public-key", "--key", "k8s://demo/release"])
            .run()
            .code(1);
        let said = message(&refused);
        assert!(
            said.contains(expected) && !said.contains("hunter2"),
            "{expected}\n{said}"
        );
    }
    // Two files, of which the first has the context; and a server whose certificate has another name.
    let text = world.config("user", &good[0]);
    sandbox.write(
        "first.yaml",
        "current-context: mine\ncontexts:\n- name: mine\n  context: {cluster: double, user: ci}\n",
    );
    let both = format!(
        "{}:{}:{}",
        sandbox.join("first.yaml").display(),
        sandbox.join("absent.yaml").display(),
        sandbox.join("user.yaml").display()
    );
    world
        .run("user", &["public-key", "--key", "k8s://demo/release"])
        .env("KUBECONFIG", both)
        .run()
        .success();
    sandbox.write("user.yaml", text.replace("127.0.0.1:", "localhost:"));
    let other = world
        .run("user", &["public-key", "--key", "k8s://demo/release"])
        .run()
        .code(1);
    assert!(message(&other).contains("certificate"), "{other}");
    sandbox.write(
        "user.yaml",
        text.replace("127.0.0.1:", "localhost:").replace(
            "    certificate-authority",
            "    insecure-skip-tls-verify: true\n    #",
        ),
    );
    let warned = world
        .run("user", &["-v", "public-key", "--key", "k8s://demo/release"])
        .run()
        .success();
    warned.stderr_has("TLS: any certificate of localhost is believed (insecure-skip-tls-verify)");
}

#[test]
fn a_server_whose_certificate_has_another_name_is_checked_by_that_name() {
    if !have(&["openssl"]) {
        return;
    }
    let bench = Bench::new();
    let cluster = Kubernetes::start(&bench.sandbox, "DNS:kubernetes.default");
    let text = cluster.kubeconfig(&format!("{{token: {ADMIN}}}"));
    let run = |text: String| {
        let path = bench.sandbox.write("config.yaml", text);
        let words = ["generate-key-pair", "k8s://demo/release", "--yes"];
        bench
            .run(Tool::Sealmark)
            .args(words)
            .env("KUBECONFIG", path)
            .run()
    };
    let refused = run(text.clone()).code(1);
    assert!(message(&refused).contains("certificate"), "{refused}");
    run(text.replace(
        "    server:",
        "    tls-server-name: kubernetes.default\n    server:",
    ))
    .success();
}

#[test]
fn a_client_certificate_says_who_asks() {
    if !have(&["openssl"]) {
        return;
    }
    use base64::Engine as _;
    let bench = Bench::new();
    let cluster = Kubernetes::start_for_certificates(&bench.sandbox);
    let openssl = |line: &str| {
        let words = line.split(' ');
        bench
            .sandbox
            .command(Peer::find("openssl").unwrap())
            .args(words)
            .run()
            .success();
    };
    bench.sandbox.write(
        "client.ext",
        "extendedKeyUsage=clientAuth\nbasicConstraints=critical,CA:FALSE\n",
    );
    openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out client.key");
    openssl("req -new -key client.key -subj /O=system:masters/CN=kubernetes-admin -out client.csr");
    openssl(
        "x509 -req -in client.csr -CA tls/ca.pem -CAkey tls/ca.key -CAcreateserial -days 2 -sha256 -extfile client.ext -out client.pem",
    );
    let data =
        |name: &str| base64::engine::general_purpose::STANDARD.encode(bench.sandbox.read(name));
    for user in [
        "{client-certificate: client.pem, client-key: client.key}".to_owned(),
        format!(
            "{{client-certificate-data: {}, client-key-data: {}}}",
            data("client.pem"),
            data("client.key")
        ),
    ] {
        let path = bench
            .sandbox
            .write("config.yaml", cluster.kubeconfig(&user));
        let secret = format!("k8s://demo/key-{}", user.len());
        let run = bench
            .run(Tool::Sealmark)
            .args(["-v", "generate-key-pair", &secret, "--yes"]);
        let made = run.env("KUBECONFIG", path).run().success();
        made.stderr_has("Kubernetes credentials: the certificate of the user \"ci\"");
    }
    let path = bench.sandbox.write("config.yaml", cluster.kubeconfig("{}"));
    let run = bench
        .run(Tool::Sealmark)
        .args(["public-key", "--key", "k8s://demo/key"]);
    run.env("KUBECONFIG", path).run().code(1);
}

#[test]
fn a_busy_server_is_asked_again_but_nothing_is_written_twice() {
    if !have(&["openssl"]) {
        return;
    }
    let world = World::new();
    world.make("k8s://demo/release").success();
    world.cluster.throttle(2);
    let public = world.run("reader", &["public-key", "--key", "k8s://demo/release"]);
    public.run().success();
    world.cluster.throttle(1);
    let refused = world.make("k8s://demo/another").code(1);
    assert!(
        message(&refused).contains("answered 429 (TooManyRequests) when asked to get secrets"),
        "{refused}"
    );
    assert!(world.cluster.member("another", "cosign.key").is_none());
}
