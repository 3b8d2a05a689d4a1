//! Keys in a provider: what it answers is checked before anybody gets it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Cursor;
use std::sync::Arc;

use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey, Scheme};
use sealmark_kms::{Input, KeyService, Pending, RemoteKey, Signer};

/// A provider that signs with another key than it has shown, or with the right one.
#[derive(Debug)]
struct Provider(PrivateKey);

impl KeyService for Provider {
    fn sign<'a>(&'a self, _: Scheme, input: Input<'a>) -> Pending<'a, Vec<u8>> {
        Box::pin(async move {
            Ok(match input {
                Input::Digest(digest) => self.0.sign_digest(digest).unwrap(),
                Input::Message(message) => self.0.sign(message).unwrap(),
            })
        })
    }

    fn verify<'a>(
        &'a self,
        scheme: Scheme,
        input: Input<'a>,
        signature: &'a [u8],
    ) -> Pending<'a, bool> {
        Box::pin(async move {
            let key = self.0.public_key();
            Ok(match input {
                Input::Digest(digest) => {
                    key.verify_digest_scheme(scheme, digest, signature).is_ok()
                }
                Input::Message(message) => key.verify_scheme(scheme, message, signature).is_ok(),
            })
        })
    }
}

fn remote(shown: &PrivateKey, used: &PrivateKey) -> Signer {
    Signer::Remote(RemoteKey {
        name: "test:///key/1".to_owned(),
        public: shown.public_key().clone(),
        scheme: shown.scheme(),
        service: Arc::new(Provider(used.clone())),
    })
}

#[tokio::test]
async fn a_remote_key_signs_messages_digests_and_files_as_a_local_one_does() {
    for algorithm in [
        Algorithm::EcdsaP256,
        Algorithm::EcdsaP384,
        Algorithm::EcdsaP521,
        Algorithm::Ed25519,
        Algorithm::Rsa2048,
    ] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let (signer, public) = (remote(&key, &key), key.public_key());
        let message = vec![7; 100_000];
        let signature = signer.sign(&message).await.unwrap();
        assert_eq!(
            public.verify(&message, &signature).unwrap(),
            signer.scheme()
        );
        let (signature, digest) = signer
            .sign_reader(Cursor::new(message.clone()))
            .await
            .unwrap();
        assert_eq!(
            public.verify(&message, &signature).unwrap(),
            signer.scheme()
        );
        assert_eq!(digest, Digest::of(public.hash(), &message));
        if algorithm != Algorithm::Ed25519 {
            let signature = signer.sign_digest(&digest).await.unwrap();
            public.verify_digest(&digest, &signature).unwrap();
        }
    }
}

#[tokio::test]
async fn a_signature_that_the_shown_key_does_not_verify_is_not_used() {
    let new = || PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let signer = remote(&new(), &new());
    let error = signer.sign(b"data").await.unwrap_err().to_string();
    assert!(
        error.starts_with("test:///key/1 gave a signature that its public key does not verify (ECDSA P-256 with SHA-256): "),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_waits_signs_with_a_remote_key_too() {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let Signer::Remote(remote) = remote(&key, &key) else {
        panic!("it is remote")
    };
    let waiting = remote.waiting(tokio::runtime::Handle::current());
    let sign = move || waiting.sign(b"data").unwrap();
    let here = sign();
    key.public_key().verify(b"data", &here).unwrap();
    let there = std::thread::spawn(sign).join().unwrap();
    key.public_key().verify(b"data", &there).unwrap();
}
