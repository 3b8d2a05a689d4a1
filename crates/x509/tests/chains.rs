//! Chains of real CAs, and of CAs that do what they should not.

#![allow(clippy::unwrap_used, reason = "tests")]

mod issuing;

use issuing::{
    ANY_PURPOSE, CODE_SIGNING, DAY, DIGITAL_SIGNATURE, Issued, NOW, Profile, SERVER_AUTH,
    TIME_STAMPING, extension, oid, sequence, tlv,
};
use sealmark_keys::Algorithm;
use sealmark_x509::{
    Certificate, ChainError, ExtendedKeyUsage, Purpose, SubjectAltName, verify_chain,
};

fn pem(text: &[u8]) -> Vec<Certificate> {
    Certificate::chain_from_pem(text).unwrap()
}

macro_rules! fixture {
    ($path:literal) => {
        pem(include_bytes!(concat!("fixtures/", $path)))
    };
}

#[test]
fn a_signature_that_cannot_be_checked_is_named() {
    // Its salt has the most bytes there are, as OpenSSL 3 makes it unless told otherwise.
    let self_signed = &fixture!("pss-long-salt.pem")[0];
    let root = core::slice::from_ref(self_signed);
    let at = self_signed.validity().not_before.unix_seconds();
    assert_eq!(
        verify_at(self_signed, root, at).unwrap_err().to_string(),
        "the signature of the certificate \"CN=pss\" cannot be checked: its algorithm 1.2.840.113549.1.1.10, with \
         these parameters and its issuer's key, is not supported; supported are ECDSA on P-256, P-384 and P-521, \
         Ed25519, and RSA from 2048 bits, where the salt of PSS is as long as the hash"
    );
}

/// Verifies against the chain of an authority: intermediates, then what is trusted.
fn verify_at(leaf: &Certificate, authority: &[Certificate], at: u64) -> Result<usize, ChainError> {
    let (intermediates, root) = authority.split_at(authority.len() - 1);
    verify_chain(leaf, intermediates, root, at, Purpose::CodeSigning)
        .map(|chain| chain.certificates().len())
}

#[test]
fn certificates_of_sigstores_instances_verify_while_they_are_valid() {
    let public_good = fixture!("authorities/public-good/fulcio-1.pem");
    let staging = fixture!("authorities/staging/fulcio-0.pem");
    let custom = fixture!("authorities/custom/fulcio-0.pem");
    let local = fixture!("authorities/local/fulcio-0.pem");
    let table = [
        (
            fixture!("bundles/checkpoint-wrong-roothash_fail/certificate.pem"),
            &public_good,
            3,
        ),
        (
            fixture!("bundles/inclusion-proof-corrupted-hash_fail/certificate.pem"),
            &public_good,
            3,
        ),
        (fixture!("github-workflow.pem"), &public_good, 3),
        (
            fixture!("bundles/integrated-time-in-future_fail/certificate.pem"),
            &public_good,
            3,
        ),
        (
            fixture!("bundles/rekor2-checkpoint-cosigned/certificate.pem"),
            &staging,
            3,
        ),
        (
            fixture!("bundles/rekor2-dsse-happy-path/certificate.pem"),
            &staging,
            3,
        ),
        (fixture!("custom-ca.pem"), &custom, 2),
        (fixture!("sct-with-extensions.pem"), &local, 2),
    ];
    for (leaf, authority, length) in table {
        let leaf = &leaf[0];
        let first = leaf.validity().not_before.unix_seconds();
        let last = leaf.validity().not_after.unix_seconds();
        for at in [first, last] {
            assert_eq!(verify_at(leaf, authority, at), Ok(length), "{leaf:?}");
        }
        assert!(
            matches!(
                verify_at(leaf, authority, first - 1),
                Err(ChainError::NotYetValid { .. })
            ),
            "{leaf:?}"
        );
        assert!(
            matches!(
                verify_at(leaf, authority, last + 1),
                Err(ChainError::Expired { .. })
            ),
            "{leaf:?}"
        );
    }
}

#[test]
fn a_message_has_both_times() {
    let leaf = &fixture!("bundles/integrated-time-in-future_fail/certificate.pem")[0];
    let authority = fixture!("authorities/public-good/fulcio-1.pem");
    assert_eq!(
        verify_at(leaf, &authority, 1_778_168_051)
            .unwrap_err()
            .to_string(),
        "the certificate with serial number 4644a02e67beeae97f4e6cee92fa6b85e2794042 had expired: it is used at \
         2026-05-07T15:34:11Z, and was valid until 2026-05-07T15:28:10Z"
    );
    // The case intoto-expired-certificate_fail.
    let leaf = &fixture!("bundles/intoto-expired-certificate_fail/certificate.pem")[0];
    let authority = fixture!("authorities/custom/fulcio-0.pem");
    assert_eq!(
        verify_at(leaf, &authority, 1_675_209_600)
            .unwrap_err()
            .to_string(),
        "the certificate with serial number 11182004 was not yet valid: it is used at 2023-02-01T00:00:00Z, and is \
         valid from 2030-01-01T00:00:00Z"
    );
}

#[test]
fn another_instances_ca_is_not_the_issuer() {
    let leaf = &fixture!("github-workflow.pem")[0];
    let at = leaf.validity().not_before.unix_seconds();
    // Both have the same names.
    let staging = fixture!("authorities/staging/fulcio-0.pem");
    let error = verify_at(leaf, &staging, at).unwrap_err();
    assert!(matches!(error, ChainError::BadSignature { .. }), "{error}");

    let old = fixture!("authorities/public-good/fulcio-0.pem");
    assert_eq!(
        verify_at(leaf, &old, at).unwrap_err().to_string(),
        "the certificate with serial number 73b8a61fb654922066090ee17280b49a8ca9788d was issued by \
         \"CN=sigstore-intermediate,O=sigstore.dev\", which is not trusted; only \"CN=sigstore,O=sigstore.dev\" is"
    );
    // Where the chain ends is what is named.
    let public_good = fixture!("authorities/public-good/fulcio-1.pem");
    let error = verify_chain(leaf, &public_good[..1], &[], at, Purpose::CodeSigning).unwrap_err();
    let expected = ChainError::UnknownIssuer {
        certificate: "\"CN=sigstore-intermediate,O=sigstore.dev\"".into(),
        issuer: "\"CN=sigstore,O=sigstore.dev\"".into(),
        known: vec![],
    };
    assert_eq!(error, expected);
}

#[test]
fn a_trust_anchor_may_be_an_intermediate() {
    let leaf = &fixture!("github-workflow.pem")[0];
    let authority = fixture!("authorities/public-good/fulcio-1.pem");
    let at = leaf.validity().not_before.unix_seconds();
    let chain = verify_chain(leaf, &[], &authority[..1], at, Purpose::CodeSigning).unwrap();
    assert_eq!(chain.certificates(), [leaf, &authority[0]]);
    assert_eq!(
        (chain.issuer(), chain.anchor()),
        (&authority[0], &authority[0])
    );
}

#[test]
fn every_certificate_of_the_path_must_be_valid_at_the_time() {
    let root = Issued::root(&Profile::ca("root"));
    let intermediate = root.issue(&Profile::ca("intermediate").valid(NOW - DAY, NOW + 300));
    let leaf = intermediate.issue(&Profile::leaf());
    let verify = |at| {
        let roots = core::slice::from_ref(&root.certificate);
        let intermediates = core::slice::from_ref(&intermediate.certificate);
        verify_chain(
            &leaf.certificate,
            intermediates,
            roots,
            at,
            Purpose::CodeSigning,
        )
        .map(drop)
    };
    assert_eq!(verify(NOW + 300), Ok(()));
    // The leaf still is, the CA that issued it is not (GHSA-wfqv-66vq-46rm).
    let error = verify(NOW + 301).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the certificate \"CN=intermediate\" had expired: it is used at 2024-01-01T00:05:01Z, and was valid until \
         2024-01-01T00:05:00Z"
    );

    // Nor is a trust anchor trusted for longer than it says, or earlier.
    for (valid, expired) in [
        ((NOW - DAY, NOW + 300), true),
        ((NOW + 302, NOW + DAY), false),
    ] {
        let root = Issued::root(&Profile::ca("root").valid(valid.0, valid.1));
        let leaf = root.issue(&Profile::leaf()).certificate;
        let error = verify_at(&leaf, &[root.certificate], NOW + 301).unwrap_err();
        match error {
            ChainError::Expired { certificate, .. } if expired => {
                assert_eq!(certificate, "\"CN=root\"");
            }
            ChainError::NotYetValid { certificate, .. } if !expired => {
                assert_eq!(certificate, "\"CN=root\"");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_purpose_must_be_there_in_the_leaf_and_allowed_by_every_ca() {
    let verify = |root: &[ExtendedKeyUsage], ca: &[ExtendedKeyUsage], leaf: &[ExtendedKeyUsage]| {
        let root = Issued::root(&Profile::ca("root").purposes(root));
        let ca = root.issue(&Profile::ca("ca").purposes(ca));
        let leaf = ca.issue(&Profile::leaf().purposes(leaf));
        verify_at(&leaf.certificate, &[ca.certificate, root.certificate], NOW)
            .map_err(|error| error.to_string())
    };
    assert_eq!(verify(&[], &[], &[CODE_SIGNING]), Ok(3));
    assert_eq!(verify(&[], &[CODE_SIGNING], &[CODE_SIGNING]), Ok(3));
    assert_eq!(
        verify(
            &[ANY_PURPOSE],
            &[SERVER_AUTH, CODE_SIGNING],
            &[CODE_SIGNING, SERVER_AUTH]
        ),
        Ok(3)
    );
    let refused = [
        (
            verify(&[], &[], &[]),
            "the certificate with serial number 4217 is not for codeSigning, but for nothing in particular",
        ),
        (
            verify(&[], &[], &[SERVER_AUTH, TIME_STAMPING]),
            "the certificate with serial number 4217 is not for codeSigning, but for serverAuth, timeStamping",
        ),
        (
            verify(&[], &[], &[ANY_PURPOSE]),
            "the certificate with serial number 4217 is not for codeSigning, but for anyExtendedKeyUsage",
        ),
        (
            verify(&[], &[SERVER_AUTH], &[CODE_SIGNING]),
            "the certificate \"CN=ca\" is not for codeSigning, but for serverAuth",
        ),
        (
            verify(&[TIME_STAMPING], &[], &[CODE_SIGNING]),
            "the certificate \"CN=root\" is not for codeSigning, but for timeStamping",
        ),
    ];
    for (result, message) in refused {
        assert_eq!(result.unwrap_err(), message);
    }
}

#[test]
fn timestamp_authorities_have_one_purpose_and_it_is_critical() {
    let root = Issued::root(&Profile::ca("root"));
    let verify = |purposes: &[ExtendedKeyUsage], critical| {
        let mut profile = Profile::leaf().purposes(purposes);
        profile.subject = "tsa".to_owned();
        profile.purposes_critical = critical;
        let leaf = root.issue(&profile).certificate;
        let roots = core::slice::from_ref(&root.certificate);
        verify_chain(&leaf, &[], roots, NOW, Purpose::TimeStamping)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert_eq!(verify(&[TIME_STAMPING], true), Ok(()));
    let message = "the certificate \"CN=tsa\" may not sign timestamps: timeStamping must be its only purpose, and \
                   critical, and it has ";
    assert_eq!(
        verify(&[TIME_STAMPING], false).unwrap_err(),
        format!("{message}timeStamping, not critical")
    );
    assert_eq!(
        verify(&[TIME_STAMPING, CODE_SIGNING], true).unwrap_err(),
        format!("{message}timeStamping, codeSigning, critical")
    );
    assert_eq!(
        verify(&[CODE_SIGNING], true).unwrap_err(),
        "the certificate \"CN=tsa\" is not for timeStamping, but for codeSigning"
    );
}

#[test]
fn no_chain_is_longer_than_its_cas_allow() {
    let chain = |root: &Profile, cas: &[Profile]| {
        let mut issuer = Issued::root(root);
        let mut authority = vec![issuer.certificate.clone()];
        for ca in cas {
            issuer = issuer.issue(ca);
            authority.insert(0, issuer.certificate.clone());
        }
        let leaf = issuer.issue(&Profile::leaf()).certificate;
        verify_at(&leaf, &authority, NOW).map_err(|error| error.to_string())
    };
    let ca = |number: usize| Profile::ca(&format!("ca {number}"));
    let root = Profile::ca("root");
    assert_eq!(
        chain(&root.clone().path_len(1), &[ca(1).path_len(0)]),
        Ok(3)
    );
    assert_eq!(
        chain(&root.clone().path_len(0), &[ca(1)]).unwrap_err(),
        "the chain is too long: \"CN=root\" allows 0 CAs below it, and there are 1"
    );
    assert_eq!(
        chain(&root, &[ca(1).path_len(0), ca(2)]).unwrap_err(),
        "the chain is too long: \"CN=ca 1\" allows 0 CAs below it"
    );
    let six: Vec<_> = (1..=6).map(ca).collect();
    assert_eq!(chain(&root, &six), Ok(8));
    let seven: Vec<_> = (1..=7).map(ca).collect();
    assert_eq!(
        chain(&root, &seven).unwrap_err(),
        "the chain is too long: at most 6 intermediates are looked at"
    );
}

#[test]
fn only_cas_issue_certificates_and_they_sign_nothing_else() {
    let root = Issued::root(&Profile::ca("root"));
    let ca = root.issue(&Profile::ca("ca").purposes(&[CODE_SIGNING]));
    let as_signer = verify_at(
        &ca.certificate,
        core::slice::from_ref(&root.certificate),
        NOW,
    );
    assert!(matches!(as_signer, Err(ChainError::CaAsSigner { .. })));

    let mut profile = Profile::leaf().valid(NOW - DAY, NOW + DAY);
    profile.subject = "somebody".to_owned();
    let somebody = root.issue(&profile);
    let leaf = somebody.issue(&Profile::leaf()).certificate;
    let not_ca = ChainError::NotCa {
        certificate: "\"CN=somebody\"".into(),
    };
    let authority = [somebody.certificate.clone(), root.certificate.clone()];
    assert_eq!(verify_at(&leaf, &authority, NOW), Err(not_ca.clone()));
    // Not even if it is trusted.
    assert_eq!(verify_at(&leaf, &authority[..1], NOW), Err(not_ca));

    let mut profile = Profile::ca("ca");
    profile.key_usage = Some(DIGITAL_SIGNATURE);
    let ca = root.issue(&profile);
    let leaf = ca.issue(&Profile::leaf()).certificate;
    assert_eq!(
        verify_at(&leaf, &[ca.certificate, root.certificate.clone()], NOW)
            .unwrap_err()
            .to_string(),
        "the key of the certificate \"CN=ca\" is not for keyCertSign, but for digitalSignature"
    );

    let mut profile = Profile::leaf();
    profile.key_usage = Some(0x20);
    let leaf = root.issue(&profile).certificate;
    assert_eq!(
        verify_at(&leaf, &[root.certificate], NOW)
            .unwrap_err()
            .to_string(),
        "the key of the certificate with serial number 4217 is not for digitalSignature, but for keyEncipherment"
    );
}

#[test]
fn every_algorithm_of_ours_signs_certificates() {
    for algorithm in Algorithm::ALL {
        let root = Issued::root_with(&Profile::ca("root"), algorithm);
        let leaf = root.issue_with(&Profile::leaf(), algorithm);
        assert_eq!(
            verify_at(&leaf.certificate, &[root.certificate], NOW),
            Ok(2),
            "{algorithm}"
        );
    }
}

#[test]
fn a_ca_that_changed_its_key_keeps_its_name() {
    let root = Issued::root(&Profile::ca("root"));
    let [old, new] = [0, 1].map(|_| root.issue(&Profile::ca("ca")));
    let roots = core::slice::from_ref(&root.certificate);
    for issuer in [&old, &new] {
        let leaf = issuer.issue(&Profile::leaf()).certificate;
        let both = [old.certificate.clone(), new.certificate.clone()];
        let chain = verify_chain(&leaf, &both, roots, NOW, Purpose::CodeSigning).unwrap();
        assert_eq!(chain.issuer(), &issuer.certificate);
    }
    // An impostor only has the name.
    let impostor = Issued::root(&Profile::ca("root"));
    let leaf = impostor.issue(&Profile::leaf()).certificate;
    assert_eq!(
        verify_at(&leaf, roots, NOW).unwrap_err().to_string(),
        "the certificate with serial number 4217 was not issued by the trusted \"CN=root\": a signature in its \
         chain does not match the key of the CA with that name"
    );
}

#[test]
fn a_user_name_is_a_name_and_no_obstacle() {
    // As Fulcio writes it: otherName in a critical extension, and no subject.
    let user = tlv(0xa0, &tlv(0x0c, b"someone!example.com"));
    let other_name = tlv(0xa0, &[oid("1.3.6.1.4.1.57264.1.7"), user].concat());
    let mut profile = Profile::leaf();
    profile.more = vec![extension("2.5.29.17", true, &sequence(&[other_name]))];
    let root = Issued::root(&Profile::ca("root"));
    let leaf = root.issue(&profile).certificate;
    assert_eq!(
        leaf.subject_alt_names(),
        [SubjectAltName::Username("someone!example.com".into())]
    );
    assert_eq!(
        verify_at(&leaf, core::slice::from_ref(&root.certificate), NOW),
        Ok(2)
    );

    // What must be understood and is not, is refused.
    profile.more = vec![extension("1.2.3.4", true, &[5, 0])];
    let leaf = root.issue(&profile).certificate;
    let error = verify_at(&leaf, &[root.certificate], NOW).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("it has a critical extension that is not known"),
        "{error}"
    );
}

#[test]
fn a_changed_certificate_does_not_verify() {
    let leaf = &fixture!("github-workflow.pem")[0];
    let authority = fixture!("authorities/public-good/fulcio-1.pem");
    let at = leaf.validity().not_before.unix_seconds();
    for index in 0..leaf.der().len() {
        let mut changed = leaf.der().to_vec();
        changed[index] ^= 1;
        if let Ok(changed) = Certificate::from_der(&changed) {
            assert!(verify_at(&changed, &authority, at).is_err(), "byte {index}");
        }
    }
}
