//! Timestamps of Sigstore's authorities, and of OpenSSL's.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use sealmark_testkit::{Sandbox, require_or_skip};
use sealmark_x509::{
    Certificate, ChainError, MAX_TIMESTAMP, Purpose, TimestampError, TimestampToken,
    VerifiedTimestamp, verify_chain,
};

fn pem(text: &[u8]) -> Vec<Certificate> {
    Certificate::chain_from_pem(text).unwrap()
}

macro_rules! authority {
    ($name:literal) => {
        pem(include_bytes!(concat!(
            "fixtures/authorities/",
            $name,
            "/tsa-0.pem"
        )))
    };
}

/// A case's timestamp and signature.
macro_rules! case {
    ($name:literal) => {
        (
            &include_bytes!(concat!("fixtures/bundles/", $name, "/timestamp.tsr"))[..],
            &include_bytes!(concat!("fixtures/bundles/", $name, "/signature.bin"))[..],
        )
    };
}

fn verify(
    (reply, signature): (&[u8], &[u8]),
    authority: &[Certificate],
) -> Result<VerifiedTimestamp, TimestampError> {
    TimestampToken::parse(reply)?.verify(signature, authority)
}

#[test]
fn timestamps_of_sigstores_authorities_verify() {
    let table = [
        (
            case!("managed-key-no-key_fail"),
            authority!("public-good"),
            1_766_077_479,
            0,
        ),
        (
            case!("rekor2-dsse-happy-path"),
            authority!("staging"),
            1_778_700_213,
            0,
        ),
        (
            case!("rekor2-checkpoint-cosigned"),
            authority!("staging"),
            1_749_729_740,
            1,
        ),
        (
            case!("trust-root-tsa-validity-end-inclusive"),
            authority!("staging"),
            1_749_729_740,
            1,
        ),
        (
            case!("intoto-with-custom-trust-root"),
            authority!("custom"),
            1_675_209_600,
            0,
        ),
        (
            case!("bundle-with-sct-with-extensions"),
            authority!("public-good"),
            1_768_517_366,
            0,
        ),
        // The authority has expired since.
        (
            case!("rekor2-timestamp-with-expired-cert-chain"),
            authority!("expired-tsa"),
            1_754_580_746,
            1,
        ),
    ];
    for (case, authority, time, certificates) in &table {
        let token = TimestampToken::parse(case.0).unwrap();
        assert_eq!(token.certificates().len(), *certificates);
        let verified = token.verify(case.1, authority).unwrap();
        assert_eq!((verified.unix_seconds, verified.nanoseconds), (*time, 0));
        assert_eq!(verified.policy, "1.3.6.1.4.1.57264.2");
        assert_eq!(verified.signer, authority[0]);
        assert_eq!(verified.serial, token.serial());

        // It is the word of this authority, and of no other.
        for (_, other, _, _) in table.iter().filter(|(_, other, _, _)| other != authority) {
            let error = token.verify(case.1, other).unwrap_err();
            assert!(
                matches!(error, TimestampError::OtherAuthority { .. }),
                "{error}"
            );
        }
        // Nor is it that of the root alone under which another authority could stand.
        let root = &authority[authority.len() - 1..];
        let alone = token.verify(case.1, root);
        match certificates {
            0 => assert!(matches!(alone, Err(TimestampError::OtherAuthority { .. }))),
            // With the authority's certificate in the token a CA is enough, as long as nothing is missing between.
            _ if authority.len() == 2 => assert_eq!(alone, Ok(verified)),
            _ => assert!(matches!(alone, Err(TimestampError::Chain { .. }))),
        }
        assert_eq!(token.verify(case.1, &[]), Err(TimestampError::NoAuthority));
    }
}

#[test]
fn a_timestamp_of_something_else_says_so() {
    let error = verify(
        case!("rekor2-timestamp-payload-mismatch_fail"),
        &authority!("staging"),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "the timestamp is for other data: it is for \
         sha256:0a4976ff286d81ce460bf3b64a3e573e4f1ed7675384504dc0f54bfc21416420, and the data is \
         sha256:afefa772b9aeffcef9921d8cb716e6625dcbe58e50adaa5d5adc88370fca410b"
    );
}

#[test]
fn a_timestamp_after_the_certificates_end_is_no_help() {
    let authority = authority!("staging");
    let case = case!("rekor2-timestamp-with-incorrect-time_fail");
    let time = verify(case, &authority).unwrap().unix_seconds;
    let leaf = &pem(include_bytes!(
        "fixtures/bundles/rekor2-checkpoint-cosigned/certificate.pem"
    ));
    let fulcio = pem(include_bytes!("fixtures/authorities/staging/fulcio-0.pem"));
    let error = verify_chain(
        &leaf[0],
        &fulcio[..1],
        &fulcio[1..],
        time,
        Purpose::CodeSigning,
    )
    .unwrap_err();
    assert!(matches!(error, ChainError::Expired { .. }), "{error}");
}

#[test]
fn a_changed_timestamp_says_the_same_or_nothing() {
    for (case, authority) in [
        (case!("rekor2-checkpoint-cosigned"), authority!("staging")),
        (case!("intoto-with-custom-trust-root"), authority!("custom")),
    ] {
        let good = verify(case, &authority).unwrap();
        let mut unprotected = 0;
        for index in 0..case.0.len() {
            for bit in [0x01, 0x80] {
                let mut changed = case.0.to_vec();
                changed[index] ^= bit;
                if let Ok(verified) = verify((&changed, case.1), &authority) {
                    assert_eq!(verified, good, "byte {index}");
                    unprotected += 1;
                }
            }
        }
        // Certificates, the status and the list of hashes are not signed.
        assert!(unprotected < 1200, "{unprotected}");
        for length in 0..case.0.len() {
            assert!(
                TimestampToken::parse(&case.0[..length]).is_err(),
                "{length}"
            );
        }
        let longer = [case.0, &[0]].concat();
        assert!(TimestampToken::parse(&longer).is_err());
    }
}

#[test]
fn what_is_no_timestamp_is_refused_with_the_reason() {
    let rejection = [
        0x30, 0x15, 0x30, 0x13, 0x02, 0x01, 0x02, 0x30, 0x0e, 0x0c, 0x0c, b'n', b'o', b' ', b'b',
        b'u', b's', b'i', b'n', b'e', b's', b's', b'!',
    ];
    assert_eq!(
        TimestampToken::parse(&rejection).unwrap_err().to_string(),
        "the timestamp authority gave no timestamp: status 2: \"no business!\""
    );
    let error = TimestampToken::parse(&vec![0x30; MAX_TIMESTAMP + 1]).unwrap_err();
    assert_eq!(error, TimestampError::TooLarge(MAX_TIMESTAMP + 1));
}

/// A root, an authority below it and a configuration for `openssl ts`.
fn openssl_authority(sandbox: &Sandbox, openssl: &std::path::Path, key: &[&str], pss: bool) {
    sandbox.write(
        "ts.cnf",
        "[req]\ndistinguished_name=dn\n[dn]\n\
         [root]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n\
         [tsa]\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n\
         extendedKeyUsage=critical,timeStamping\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
         [ts]\nserial=serial\ndefault_policy=1.2.3.4.1\ndigests=sha1,sha256,sha384,sha512\n\
         signer_digest=sha256\naccuracy=secs:1\nordering=no\ntsa_name=yes\ness_cert_id_chain=no\n",
    );
    sandbox.write("serial", "17\n");
    sandbox.write("message", "a signature");
    let run = |arguments: &[&str]| {
        sandbox.command(openssl).args(arguments).run().success();
    };
    let padding: &[&str] = if pss {
        &[
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            "rsa_pss_saltlen:digest",
        ]
    } else {
        &[]
    };
    for (name, subject, extensions) in [("root", "/CN=root", "root"), ("tsa", "/CN=tsa", "tsa")] {
        run(&[&["genpkey", "-out", &format!("{name}.key")], key].concat());
        let (own, out) = (format!("{name}.key"), format!("{name}.pem"));
        let mut request = vec![
            "req",
            "-x509",
            "-new",
            "-config",
            "ts.cnf",
            "-key",
            &own,
            "-subj",
            subject,
            "-days",
            "30",
            "-extensions",
            extensions,
            "-out",
            &out,
        ];
        if name == "tsa" {
            request.extend(["-CA", "root.pem", "-CAkey", "root.key"]);
        }
        request.extend(padding);
        run(&request);
    }
}

#[test]
fn openssls_timestamps_verify() {
    let openssl = require_or_skip!("openssl");
    let keys: [(&[&str], bool, bool); 6] = [
        (
            &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            false,
            true,
        ),
        (
            &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
            true,
            true,
        ),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            false,
            true,
        ),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            false,
            true,
        ),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
            false,
            false,
        ),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            false,
            false,
        ),
    ];
    for (key, pss, v2) in keys {
        let sandbox = Sandbox::new();
        openssl_authority(&sandbox, &openssl, key, pss);
        if !v2 {
            let config = sandbox.read("ts.cnf") + "ess_cert_id_alg=sha1\n";
            sandbox.write("ts.cnf", config);
        }
        let [root, tsa] =
            ["root.pem", "tsa.pem"].map(|name| pem(sandbox.read(name).as_bytes()).remove(0));
        let both = [tsa.clone(), root.clone()];
        for hash in ["-sha256", "-sha384", "-sha512"] {
            for ask in [false, true] {
                for token in [false, true] {
                    let reply = reply(&sandbox, &openssl, hash, ask, token);
                    let read = TimestampToken::parse(&reply).unwrap();
                    assert_eq!(read.certificates().len(), usize::from(ask));
                    assert!(read.nonce().is_some());
                    let verified = read.verify(b"a signature", &both).unwrap();
                    assert_eq!(verified.policy, "1.2.3.4.1");
                    assert_eq!(verified.signer, tsa);
                    let ours = read.verify(b"a signature", core::slice::from_ref(&root));
                    assert_eq!(ours.is_ok(), ask, "{ours:?}");
                    assert!(matches!(
                        read.verify(b"another one", &both),
                        Err(TimestampError::OtherData { .. })
                    ));
                }
            }
        }
        let weak = TimestampToken::parse(&reply(&sandbox, &openssl, "-sha1", true, false));
        assert_eq!(
            weak.unwrap_err().to_string(),
            "the timestamp's message imprint uses the algorithm 1.3.14.3.2.26, which is not supported"
        );
    }
}

/// What `openssl ts` replies when asked for a timestamp of the message.
fn reply(
    sandbox: &Sandbox,
    openssl: &std::path::Path,
    hash: &str,
    certificates: bool,
    token_only: bool,
) -> Vec<u8> {
    let query = [
        "ts",
        "-query",
        "-data",
        "message",
        hash,
        "-out",
        "query.tsq",
    ];
    let mut command = sandbox.command(openssl).args(query);
    if certificates {
        command = command.arg("-cert");
    }
    command.run().success();
    let reply = [
        "ts",
        "-reply",
        "-config",
        "ts.cnf",
        "-section",
        "ts",
        "-queryfile",
        "query.tsq",
        "-signer",
        "tsa.pem",
        "-inkey",
        "tsa.key",
        "-out",
        "reply.tsr",
    ];
    let mut command = sandbox.command(openssl).args(reply);
    if token_only {
        command = command.arg("-token_out");
    }
    command.run().success();
    std::fs::read(sandbox.join("reply.tsr")).unwrap()
}

#[test]
fn a_signer_that_is_no_authority_is_refused() {
    let openssl = require_or_skip!("openssl");
    let sandbox = Sandbox::new();
    let key = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    openssl_authority(&sandbox, &openssl, &key, false);
    let reply = reply(&sandbox, &openssl, "-sha256", true, false);
    let token = TimestampToken::parse(&reply).unwrap();
    // Another root of the same name.
    let other = Sandbox::new();
    openssl_authority(&other, &openssl, &key, false);
    let error = token
        .verify(b"a signature", &pem(other.read("root.pem").as_bytes()))
        .unwrap_err();
    let TimestampError::Chain {
        reason: ChainError::BadSignature { .. },
        ..
    } = error
    else {
        panic!("{error}")
    };
    // Another authority of the same name: only the one that signed it is.
    let authority = pem((other.read("tsa.pem") + &sandbox.read("root.pem")).as_bytes());
    let error = token.verify(b"a signature", &authority).unwrap_err();
    assert!(
        matches!(error, TimestampError::OtherAuthority { .. }),
        "{error}"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = TimestampToken::parse(&bytes);
    }

    #[test]
    fn no_changes_make_it_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let case = case!("rekor2-checkpoint-cosigned");
        let mut changed = case.0.to_vec();
        for (index, byte) in changes {
            let index = index.index(changed.len());
            changed[index] = byte;
        }
        let _ = verify((&changed, case.1), &authority!("staging"));
    }
}
