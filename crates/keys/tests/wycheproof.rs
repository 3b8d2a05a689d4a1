//! The test vectors of Project Wycheproof, for every scheme that is checked.
//!
//! "Acceptable" there means that implementations differ; where we stand is said beside each use.

use sealmark_keys::{PublicKey, Scheme};
use wycheproof::TestResult;

/// Checks in every way there is, and that all agree.
fn verify(key: &PublicKey, scheme: Scheme, message: &[u8], signature: &[u8]) -> bool {
    let whole = key.verify_scheme(scheme, message, signature).is_ok();
    let mut check = key.stream_verifier(signature, scheme.hash());
    check.update(message);
    assert_eq!(
        check.finish().is_ok_and(|(found, _)| found == scheme),
        whole
    );
    whole
}

#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestName::*, TestSet};
    let sets = [
        (EcdsaSecp256r1Sha256, Scheme::EcdsaSha256),
        (EcdsaSecp256r1Sha512, Scheme::EcdsaSha512),
        (EcdsaSecp384r1Sha256, Scheme::EcdsaSha256),
        (EcdsaSecp384r1Sha384, Scheme::EcdsaSha384),
        (EcdsaSecp384r1Sha512, Scheme::EcdsaSha512),
        (EcdsaSecp521r1Sha512, Scheme::EcdsaSha512),
    ];
    let mut count = 0;
    for (name, scheme) in sets {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki_der(&group.der).unwrap();
            for test in group.tests {
                // Strict DER only: nothing that is merely acceptable.
                let valid = test.result == TestResult::Valid;
                let accepted = verify(&key, scheme, &test.msg, &test.sig);
                assert_eq!(accepted, valid, "{name:?} {}: {}", test.tc_id, test.comment);
                count += 1;
            }
        }
    }
    assert!(count > 2000, "{count}");
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut count = 0;
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = PublicKey::from_spki_der(&group.der).unwrap();
        for test in group.tests {
            let valid = test.result == TestResult::Valid;
            let accepted = verify(&key, Scheme::Ed25519, &test.msg, &test.sig);
            assert_eq!(accepted, valid, "{}: {}", test.tc_id, test.comment);
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn rsa_pkcs1() {
    use wycheproof::rsa_pkcs1_verify::{TestName::*, TestSet};
    let sets = [
        (Rsa2048Sha256, Scheme::RsaPkcs1Sha256),
        (Rsa2048Sha384, Scheme::RsaPkcs1Sha384),
        (Rsa2048Sha512, Scheme::RsaPkcs1Sha512),
        (Rsa3072Sha256, Scheme::RsaPkcs1Sha256),
        (Rsa4096Sha512, Scheme::RsaPkcs1Sha512),
        (Rsa8192Sha256, Scheme::RsaPkcs1Sha256),
    ];
    let mut count = 0;
    for (name, scheme) in sets {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki_der(&group.der).unwrap();
            for test in group.tests {
                // Acceptable is a DigestInfo without its NULL; no signer makes those, and they are refused.
                let valid = test.result == TestResult::Valid;
                let accepted = verify(&key, scheme, &test.msg, &test.sig);
                assert_eq!(accepted, valid, "{name:?} {}: {}", test.tc_id, test.comment);
                count += 1;
            }
        }
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName::*, TestSet};
    let sets = [
        (RsaPss2048Sha256Mgf1SaltLen32, Scheme::RsaPssSha256),
        (RsaPss2048Sha384Mgf1SaltLen48, Scheme::RsaPssSha384),
        (RsaPss3072Sha256Mgf1SaltLen32, Scheme::RsaPssSha256),
        (RsaPss4096Sha256Mgf1SaltLen32, Scheme::RsaPssSha256),
        (RsaPss4096Sha384Mgf1SaltLen48, Scheme::RsaPssSha384),
        (RsaPss4096Sha512Mgf1SaltLen64, Scheme::RsaPssSha512),
    ];
    let mut count = 0;
    for (name, scheme) in sets {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki_der(&group.der).unwrap();
            for test in group.tests {
                let valid = test.result == TestResult::Valid;
                let accepted = verify(&key, scheme, &test.msg, &test.sig);
                assert_eq!(accepted, valid, "{name:?} {}: {}", test.tc_id, test.comment);
                count += 1;
            }
        }
    }
    assert!(count > 500, "{count}");
}
