//! A user points at a key in a file, in the environment, or on a server.
#![allow(clippy::unwrap_used)] // clippy does not see that what the tests call is test code

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use sealmark_keys::{Algorithm, MAX_KEY_FILE, PrivateKey, PublicKey, Scheme};
use sealmark_kms::{Error, KeyRef, Options, Signer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

async fn load_public(key: &KeyRef) -> Result<PublicKey, Error> {
    sealmark_kms::load_public(key, &Options::default()).await
}

async fn load_signer<P>(key: &KeyRef, password: P) -> Result<Signer, Error>
where
    P: FnOnce() -> Result<Zeroizing<Vec<u8>>, Error> + Send + 'static,
{
    sealmark_kms::load_signer(key, password, &Options::default()).await
}

fn no_password() -> Result<Zeroizing<Vec<u8>>, Error> {
    panic!("asked for a password")
}

fn secret() -> Result<Zeroizing<Vec<u8>>, Error> {
    Ok(Zeroizing::new(b"secret".to_vec()))
}

fn pkcs8(key: &PrivateKey) -> String {
    use base64::Engine;
    let der = base64::engine::general_purpose::STANDARD.encode(&*key.to_pkcs8_der().unwrap());
    format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n")
}

/// A directory with a key pair, as cosign lays it out, and the private key unencrypted as `plain.pem`.
fn key_pair(algorithm: Algorithm) -> (tempfile::TempDir, PrivateKey) {
    let dir = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate(algorithm).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("cosign.key", &key.to_encrypted_pem(b"secret").unwrap());
    write("cosign.pub", &key.public_key().to_pem());
    write("plain.pem", &pkcs8(&key));
    (dir, key)
}

fn file(dir: &Path, name: &str) -> KeyRef {
    KeyRef::parse(dir.join(name).to_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_key_pair_in_files_signs_and_verifies() {
    for algorithm in [Algorithm::EcdsaP384, Algorithm::Ed25519, Algorithm::Rsa2048] {
        let (dir, _) = key_pair(algorithm);
        let signer = load_signer(&file(dir.path(), "cosign.key"), secret)
            .await
            .unwrap();
        let public = load_public(&file(dir.path(), "cosign.pub")).await.unwrap();
        assert_eq!(signer.public_key(), &public);
        let signature = signer.sign(b"message").await.unwrap();
        assert_eq!(public.verify(b"message", &signature), Ok(signer.scheme()));

        let blob = dir.path().join("blob");
        let content = vec![7; 3_000_000];
        std::fs::write(&blob, &content).unwrap();
        let (signature, digest) = signer.sign_file(&blob).await.unwrap();
        assert_eq!(public.verify(&content, &signature), Ok(signer.scheme()));
        let by_digest = signer.sign_digest(&digest).await.unwrap();
        let scheme = public.verify_digest(&digest, &by_digest).unwrap();
        assert_eq!(scheme == Scheme::Ed25519ph, algorithm == Algorithm::Ed25519);
        let error = signer
            .sign_file(&dir.path().join("absent"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("absent to sign it: No such file or directory (os error 2)"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_public_key_of_an_unencrypted_private_key_is_taken() {
    let (dir, key) = key_pair(Algorithm::EcdsaP256);
    assert_eq!(
        &load_public(&file(dir.path(), "plain.pem")).await.unwrap(),
        key.public_key()
    );
    let signer = load_signer(&file(dir.path(), "plain.pem"), no_password)
        .await
        .unwrap();
    assert!(matches!(&signer, Signer::Local(local) if local.public_key() == key.public_key()));
}

#[tokio::test]
async fn what_is_said_when_a_file_is_not_the_key_that_is_needed() {
    let (dir, _) = key_pair(Algorithm::EcdsaP256);
    let dir = dir.path();
    let at = |name: &str| dir.join(name).display().to_string();
    std::fs::write(dir.join("empty"), "").unwrap();
    std::fs::File::create(dir.join("huge"))
        .unwrap()
        .set_len(100 << 20)
        .unwrap();

    let public = async |name: &str| load_public(&file(dir, name)).await.unwrap_err().to_string();
    assert_eq!(
        public("cosign.key").await,
        format!(
            "{0} is an encrypted private key, but a public key is needed; \
             write its public key to a file: sealmark public-key --key {0}",
            at("cosign.key")
        )
    );
    assert_eq!(
        public("absent").await,
        format!("cannot read key {}: there is no such file", at("absent"))
    );
    assert_eq!(
        public("empty").await,
        format!("cannot use key {}: the key file is empty", at("empty"))
    );
    assert_eq!(
        public("huge").await,
        format!(
            "cannot use key {}: the key file is larger than 64 KiB, which no key is; \
             is it the right file?",
            at("huge")
        )
    );
    let directory = load_public(&file(dir, ".")).await.unwrap_err().to_string();
    assert!(directory.ends_with(": it is a directory"), "{directory}");

    let error = load_signer(&file(dir, "cosign.pub"), no_password)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot use key {}: expected a private key, found a PUBLIC KEY; \
             give the private key that belongs to it",
            at("cosign.pub")
        )
    );
    let wrong = || Ok(Zeroizing::new(b"wrong".to_vec()));
    let error = load_signer(&file(dir, "cosign.key"), wrong)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot use key {}: wrong password for the private key",
            at("cosign.key")
        )
    );
    let none = || {
        Err(Error::Password(
            "no terminal to ask for the password on".into(),
        ))
    };
    let error = load_signer(&file(dir, "cosign.key"), none)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no terminal to ask for the password on");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_endless_file_is_refused() {
    let error = load_public(&KeyRef::parse("/dev/zero").unwrap())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("larger than 64 KiB"), "{error}");
}

/// Runs itself again with the variable set: to set one is unsafe while other threads read the environment.
#[tokio::test]
async fn a_key_is_taken_from_the_environment() {
    const VARIABLE: &str = "SEALMARK_TEST_KEY";
    if std::env::var_os(VARIABLE).is_some() {
        let key = KeyRef::parse("env://SEALMARK_TEST_KEY").unwrap();
        let signer = load_signer(&key, secret).await.unwrap();
        println!("signs with {}", signer.public_key().id());
        return;
    }
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_key_is_taken_from_the_environment",
            "--nocapture",
        ])
        .env(VARIABLE, key.to_encrypted_pem(b"secret").unwrap())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{output}");
    assert!(
        output.contains(&format!("signs with {}", key.public_key().id())),
        "{output}"
    );
}

#[tokio::test]
async fn what_is_said_when_the_environment_has_no_key() {
    let unset = KeyRef::parse("env://SEALMARK_TEST_NO_SUCH_VARIABLE").unwrap();
    assert_eq!(
        load_public(&unset).await.unwrap_err().to_string(),
        "cannot read key env://SEALMARK_TEST_NO_SUCH_VARIABLE: \
         the environment variable SEALMARK_TEST_NO_SUCH_VARIABLE is not set"
    );
    let other = KeyRef::parse("env://CARGO_PKG_NAME").unwrap();
    assert_eq!(
        load_public(&other).await.unwrap_err().to_string(),
        "cannot use key env://CARGO_PKG_NAME: the key file is not PEM: \
         there is no -----BEGIN …----- line"
    );
}

/// Answers every request with these bytes; gives the address.
async fn server(response: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let response = response.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut buffer = [0; 1024];
                while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                    match stream.read(&mut buffer).await {
                        Ok(n) if n > 0 => request.extend_from_slice(&buffer[..n]),
                        _ => return,
                    }
                }
                let _ = stream.write_all(&response).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    format!("http://{address}")
}

fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write!(
        bytes,
        "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n"
    )
    .unwrap();
    bytes.extend_from_slice(body);
    bytes
}

async fn public_at(url: &str) -> Result<PublicKey, Error> {
    load_public(&KeyRef::parse(url).unwrap()).await
}

#[tokio::test]
async fn a_key_is_taken_from_a_server() {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let pem = key.public_key().to_pem();
    let good = server(response(
        "200 OK",
        &format!("Content-Length: {}\r\n", pem.len()),
        pem.as_bytes(),
    ))
    .await;
    assert_eq!(
        &public_at(&format!("{good}/cosign.pub?token=t"))
            .await
            .unwrap(),
        key.public_key()
    );

    let moved = server(response(
        "302 Found",
        &format!("Location: {good}/\r\nContent-Length: 0\r\n"),
        b"",
    ))
    .await;
    assert_eq!(&public_at(&moved).await.unwrap(), key.public_key());
}

#[tokio::test]
async fn what_is_said_when_a_server_gives_no_key() {
    let error = async |bytes: Vec<u8>| {
        let url = server(bytes).await;
        let error = public_at(&format!("{url}/k?token=SECRET"))
            .await
            .unwrap_err()
            .to_string();
        assert!(!error.contains("SECRET"), "{error}");
        error.replace(&url, "URL")
    };
    assert_eq!(
        error(response("404 Not Found", "Content-Length: 0\r\n", b"")).await,
        "cannot read key URL/k: 127.0.0.1 answered 404 Not Found"
    );
    let large = "cannot use key URL/k: the key file is larger than 64 KiB, which no key is; \
                 is it the right file?";
    assert_eq!(
        error(response("200 OK", "Content-Length: 99999999\r\n", b"x")).await,
        large
    );
    assert_eq!(
        error(response("200 OK", "", &vec![b'x'; MAX_KEY_FILE + 1])).await,
        large
    );
    assert_eq!(
        error(response(
            "301 Moved",
            "Location: http://example.com/k?token=SECRET\r\n",
            b""
        ))
        .await,
        "cannot read key URL/k: the request failed to 127.0.0.1: \
         it redirects to http://example.com/k, which is not https"
    );
    let cut = error(response("200 OK", "Content-Length: 10\r\n", b"x")).await;
    assert!(
        cut.starts_with("cannot read key URL/k: the request failed to 127.0.0.1: "),
        "{cut}"
    );
}

#[tokio::test]
async fn a_server_that_goes_in_circles_or_is_not_there_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}/k", listener.local_addr().unwrap());
    drop(listener);
    let error = public_at(&gone).await.unwrap_err().to_string();
    assert!(error.contains("cannot connect to 127.0.0.1: "), "{error}");

    let circle = server(response(
        "302 Found",
        "Location: /again\r\nContent-Length: 0\r\n",
        b"",
    ))
    .await;
    let load = tokio::time::timeout(Duration::from_secs(10), public_at(&circle));
    let error = load.await.unwrap().unwrap_err().to_string();
    assert!(
        error.ends_with("the request failed to 127.0.0.1: more than 5 redirects"),
        "{error}"
    );
}
