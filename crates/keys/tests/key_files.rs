//! Every kind of key file that people have, and what is said about those that cannot be used.

mod common;

use common::{fixture, open, open_plain};
use sealmark_keys::{Algorithm, Error, PrivateKey, PublicKey};

#[test]
fn every_kind_of_private_key_file_is_read() {
    let p256 = PublicKey::from_pem(&fixture("p256.pub.pem")).unwrap();
    for name in ["p256.pkcs8.pem", "p256.sec1.pem"] {
        assert_eq!(
            open_plain(&fixture(name)).unwrap().public_key(),
            &p256,
            "{name}"
        );
    }
    for name in [
        "p256.pbes2.pem",
        "p256.pbes2-aes128-sha1.pem",
        "p256.pbes2-aes192-sha512.pem",
        "p256.pbes2-scrypt.pem",
    ] {
        assert_eq!(
            open(&fixture(name), "secret").unwrap().public_key(),
            &p256,
            "{name}"
        );
        assert_eq!(
            open(&fixture(name), "no").unwrap_err(),
            Error::WrongPassword,
            "{name}"
        );
    }
    let rsa = PublicKey::from_pem(&fixture("rsa2048.pub.pem")).unwrap();
    for name in ["rsa2048.pkcs8.pem", "rsa2048.pkcs1.pem"] {
        assert_eq!(
            open_plain(&fixture(name)).unwrap().public_key(),
            &rsa,
            "{name}"
        );
    }
    assert_eq!(
        PublicKey::from_pem(&fixture("rsa2048.pkcs1.pub.pem")).unwrap(),
        rsa
    );
    for name in ["p384", "p521", "ed25519"] {
        let public = PublicKey::from_pem(&fixture(&format!("{name}.pub.pem"))).unwrap();
        let key = open_plain(&fixture(&format!("{name}.pkcs8.pem"))).unwrap();
        assert_eq!(key.public_key(), &public, "{name}");
        assert_eq!(
            public.to_pem().as_bytes(),
            fixture(&format!("{name}.pub.pem"))
        );
    }
}

/// RFC 8410, section 10.3: the same key in PKCS#8 version 1, and in version 2 with its public key.
#[test]
fn ed25519_is_read_in_both_versions_and_written_in_the_first() {
    let v1 = "-----BEGIN PRIVATE KEY-----\n\
              MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
              -----END PRIVATE KEY-----\n";
    let v2 = "-----BEGIN PRIVATE KEY-----\n\
              MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
              oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n\
              Z9w7lshQhqowtrbLDFw4rXAxZuE=\n\
              -----END PRIVATE KEY-----\n";
    let [v1, v2] = [v1, v2].map(|file| open_plain(file.as_bytes()).unwrap());
    assert_eq!(v1.public_key(), v2.public_key());
    let der = v2.to_pkcs8_der().unwrap();
    assert_eq!(*der, *v1.to_pkcs8_der().unwrap());
    assert_eq!((der.len(), der[4]), (48, 0));
}

#[test]
fn private_keys_that_cannot_be_used_say_why() {
    let table = [
        (
            "p256.pub.pem",
            "expected a private key, found a PUBLIC KEY; give the private key that belongs to it",
        ),
        (
            "certificate.pem",
            "expected a private key, found a CERTIFICATE; give the private key that belongs to it",
        ),
        (
            "openssh.pem",
            "expected a private key, found an OPENSSH PRIVATE KEY; convert it: ssh-keygen -p -m PKCS8 -f KEY",
        ),
        (
            "rsa1024.pkcs8.pem",
            "an RSA key of 1024 bits is too weak; use 2048 bits or more",
        ),
        (
            "rsapss.pkcs8.pem",
            "keys of the kind RSASSA-PSS (RSA restricted to PSS) are not supported; use ECDSA P-256, P-384 or P-521, Ed25519, or RSA",
        ),
        (
            "p256.explicit.pem",
            "keys of the kind ECDSA with explicit curve parameters are not supported; use ECDSA P-256, P-384 or P-521, Ed25519, or RSA",
        ),
        (
            "p256.old-encryption.pem",
            "the private key is encrypted with OpenSSL's old PEM encryption, which is not supported; decrypt it first: openssl pkey -in KEY -out PLAIN",
        ),
        (
            "p256.pbes2-des3.pem",
            "the private key is encrypted with triple DES, which is not supported; decrypt it first: openssl pkey -in KEY -out PLAIN",
        ),
        (
            "p256.pbes1.pem",
            "the private key is encrypted with PKCS#12's password-based encryption, which is not supported; decrypt it first: openssl pkey -in KEY -out PLAIN",
        ),
    ];
    for (name, message) in table {
        assert_eq!(
            open_plain(&fixture(name)).unwrap_err().to_string(),
            message,
            "{name}"
        );
    }
}

#[test]
fn public_keys_that_cannot_be_used_say_why() {
    let table = [
        (
            "certificate.pem",
            "expected a public key (PUBLIC KEY), found a CERTIFICATE; take its key out: openssl x509 -in CERT -noout -pubkey",
        ),
        (
            "request.pem",
            "expected a public key (PUBLIC KEY), found a CERTIFICATE REQUEST; take the key out: openssl req -in REQUEST -noout -pubkey",
        ),
        (
            "p256.pkcs8.pem",
            "expected a public key (PUBLIC KEY), found a PRIVATE KEY; take the public key out: sealmark public-key --key KEY",
        ),
        (
            "p256.sec1.pem",
            "expected a public key (PUBLIC KEY), found an EC PRIVATE KEY; take the public key out: sealmark public-key --key KEY",
        ),
        (
            "cosign-3.1.1.key",
            "expected a public key (PUBLIC KEY), found an ENCRYPTED SIGSTORE PRIVATE KEY; take the public key out: sealmark public-key --key KEY",
        ),
        (
            "rsa1024.pub.pem",
            "an RSA key of 1024 bits is too weak; use 2048 bits or more",
        ),
        (
            "ed448.pub.pem",
            "keys of the kind Ed448 are not supported; use ECDSA P-256, P-384 or P-521, Ed25519, or RSA",
        ),
        (
            "secp256k1.pub.pem",
            "keys of the kind ECDSA secp256k1 are not supported; use ECDSA P-256, P-384 or P-521, Ed25519, or RSA",
        ),
        (
            "p256.compressed.pub.pem",
            "not a valid ECDSA public key: compressed points are not supported",
        ),
        (
            "openssh.pub",
            "the key file is not PEM: it looks like an SSH public key; convert it: ssh-keygen -e -m PKCS8 -f KEY.pub",
        ),
    ];
    for (name, message) in table {
        assert_eq!(
            PublicKey::from_pem(&fixture(name)).unwrap_err().to_string(),
            message,
            "{name}"
        );
    }
}

#[test]
fn a_damaged_public_key_is_refused() {
    let der = PublicKey::from_pem(&fixture("p256.pub.pem"))
        .unwrap()
        .spki_der()
        .to_vec();
    assert!(PublicKey::from_spki_der(&der).is_ok());
    let mut off_curve = der.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    assert_eq!(
        PublicKey::from_spki_der(&off_curve)
            .unwrap_err()
            .to_string(),
        "not a valid ECDSA public key: the point is not on the curve"
    );
    let trailing = [&der[..], &[0]].concat();
    assert!(PublicKey::from_spki_der(&trailing).is_err());
    assert!(PublicKey::from_spki_der(&der[..der.len() - 1]).is_err());
}

#[test]
fn rsa_keys_with_odd_numbers_are_refused() {
    let rsa = PublicKey::from_pem(&fixture("rsa2048.pub.pem")).unwrap();
    let der = rsa.spki_der();
    let (head, e) = der.split_at(der.len() - 3);
    assert_eq!(e, [1, 0, 1]);
    for (e, accepted) in [
        ([1, 0, 1], true),
        ([0, 0, 3], false),
        ([1, 0, 0], false),
        ([2, 0, 1], true),
    ] {
        let key = PublicKey::from_spki_der(&[head, &e[..]].concat());
        assert_eq!(key.is_ok(), accepted, "{e:?}: {key:?}");
    }
    let even = [head, &[1, 0, 2][..]].concat();
    assert_eq!(
        PublicKey::from_spki_der(&even).unwrap_err(),
        Error::RsaExponent
    );
}

#[test]
fn an_encrypted_key_file_is_written_as_cosign_writes_it() {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let file = key.to_encrypted_pem(b"secret").unwrap();
    let real = String::from_utf8(fixture("cosign-3.1.1.key")).unwrap();
    // The same number of bytes in every line: the same fields in the same order.
    let shape = |file: &str| file.lines().map(str::len).collect::<Vec<_>>();
    assert_eq!(shape(&file), shape(&real));
    let start = |file: &str| file.lines().take(2).collect::<Vec<_>>().join("\n");
    assert_eq!(start(&file), start(&real));
    assert!(file.ends_with("-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"));
    assert_ne!(file, key.to_encrypted_pem(b"secret").unwrap());
    assert_eq!(
        open(file.as_bytes(), "secret").unwrap().public_key(),
        key.public_key()
    );
}

#[test]
fn every_changed_bit_of_an_encrypted_key_is_noticed() {
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let file = key.to_encrypted_pem(b"").unwrap();
    for line in [2, 4, 6] {
        let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
        let letter = lines[line].remove(30);
        lines[line].insert(30, if letter == 'A' { 'B' } else { 'A' });
        assert!(
            open(lines.join("\n").as_bytes(), "").is_err(),
            "line {line}"
        );
    }
}

#[test]
fn a_password_that_cannot_be_had_is_the_callers_own_error() {
    #[derive(Debug, PartialEq)]
    enum Mine {
        Key(Error),
        NoTerminal,
    }
    impl From<Error> for Mine {
        fn from(error: Error) -> Self {
            Self::Key(error)
        }
    }
    let file = fixture("cosign-3.1.1.key");
    let error = PrivateKey::from_pem(&file, || Err(Mine::NoTerminal)).unwrap_err();
    assert_eq!(error, Mine::NoTerminal);
    let error = PrivateKey::from_pem(b"", || Err(Mine::NoTerminal)).unwrap_err();
    assert_eq!(error, Mine::Key(Error::Empty));
    assert_eq!(PrivateKey::is_encrypted_pem(&file), Some(true));
    assert_eq!(
        PrivateKey::is_encrypted_pem(&fixture("p256.sec1.pem")),
        Some(false)
    );
    assert_eq!(PrivateKey::is_encrypted_pem(&fixture("p256.pub.pem")), None);
}

#[test]
fn secrets_do_not_show() {
    let key = open_plain(&fixture("p256.pkcs8.pem")).unwrap();
    let id = key.public_key().id();
    assert_eq!(format!("{key:?}"), format!("PrivateKey(ECDSA P-256, {id})"));
    assert_eq!(
        format!("{:?}", key.public_key()),
        format!("PublicKey(ECDSA P-256, {id})")
    );
    assert!(id.to_string().starts_with("sha256:") && id.to_string().len() == 71);
}
