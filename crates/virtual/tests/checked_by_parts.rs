//! What the virtual Sigstore makes, taken apart and checked by the crates that read each part.

#![allow(clippy::unwrap_used, reason = "tests")]

use sealmark_formats::bundle::Version;
use sealmark_formats::{Bundle, TrustedRoot};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_tlog::merkle::{leaf_hash, verify_inclusion};
use sealmark_tlog::{Checkpoint, Hash, Note, Origin, cosignature};
use sealmark_virtual::{By, HOUR, Identity, Proofs, START, Tree, VirtualSigstore, What, Witness};
use sealmark_x509::{
    Certificate, FulcioExtension, Purpose, TimestampToken, verify_chain, verify_embedded_sct,
};

fn person() -> Identity {
    Identity::email("person@example.com", "https://issuer.example.com").with(
        FulcioExtension::SourceRepositoryUri,
        "https://example.com/r",
    )
}

#[test]
fn a_certificate_is_fulcios_and_promised() {
    let sigstore = VirtualSigstore::new();
    sigstore.clock.set(START + HOUR);
    for algorithm in Algorithm::ALL {
        let by = person();
        let signed = sigstore.sign_only(What::File(b"a"), By::IdentityWith(&by, algorithm));
        let leaf = signed.certificate.unwrap();
        assert_eq!(leaf.validity().seconds(), 600);
        assert_eq!(leaf.fulcio().issuer(), Some("https://issuer.example.com"));
        assert_eq!(
            leaf.fulcio().get(FulcioExtension::SourceRepositoryUri),
            Some("https://example.com/r")
        );
        let [issuer, root] = sigstore.ca.chain().try_into().unwrap();
        let roots = [root];
        let at = leaf.validity().not_before.unix_seconds();
        assert_eq!(i64::try_from(at), Ok(sigstore.clock.now()));
        let chain = verify_chain(
            &leaf,
            core::slice::from_ref(&issuer),
            &roots,
            at,
            Purpose::CodeSigning,
        );
        assert_eq!(chain.unwrap().issuer(), &issuer);
        let [sct] = leaf.signed_certificate_timestamps() else {
            panic!()
        };
        let log = sigstore.ct.key.public_key();
        assert_eq!(verify_embedded_sct(&leaf, &issuer, sct, log), Ok(()));
    }
}

#[test]
fn logs_prove_their_entries_and_witnesses_cosign() {
    let mut sigstore = VirtualSigstore::new();
    let witness = Witness::new("witness.example");
    sigstore.rekor_v2.witnesses.push(witness.clone());
    for _ in 0..5 {
        let person = person();
        let signed = sigstore.sign(What::File(b"content"), By::Identity(&person), Proofs::ALL);
        let v1 = Origin::RekorV1;
        let v2 = Origin::Named(&sigstore.rekor_v2.host);
        let logs = [
            (v1, sigstore.rekor_v1.key.public_key()),
            (v2, sigstore.rekor_v2.key.public_key()),
        ];
        for (entry, (origin, key)) in signed.log_entries.iter().zip(logs) {
            let proof = entry.inclusion_proof.as_ref().unwrap();
            let path: Vec<_> = proof
                .hashes
                .iter()
                .map(|hash| Hash::try_from(hash.as_slice()).unwrap())
                .collect();
            let root = Hash::try_from(proof.root_hash.as_slice()).unwrap();
            let leaf = leaf_hash(&entry.canonicalized_body);
            verify_inclusion(proof.log_index, proof.tree_size, &leaf, &path, &root).unwrap();
            let checkpoint = Checkpoint::open(&proof.checkpoint, origin, key).unwrap();
            assert_eq!((checkpoint.size, checkpoint.root), (proof.tree_size, root));
        }
        let note = signed.log_entries[1].inclusion_proof.as_ref().unwrap();
        let note = Note::parse(&note.checkpoint).unwrap();
        let seen = cosignature::verify(&note, &witness.name, witness.key.public_key()).unwrap();
        assert_eq!(i64::try_from(seen.timestamp), Ok(START));
    }
}

#[test]
fn a_timestamp_is_of_the_time_that_the_test_set() {
    for algorithm in [Algorithm::EcdsaP384, Algorithm::Ed25519, Algorithm::Rsa2048] {
        let sigstore = VirtualSigstore::new();
        let mut tsa = sealmark_virtual::TimestampAuthority::with(&sigstore.clock, algorithm);
        sigstore.clock.advance(HOUR);
        for embeds in [false, true] {
            tsa.embeds_certificate = embeds;
            let token = TimestampToken::parse(&tsa.stamp(b"signature")).unwrap();
            assert_eq!(token.certificates().len(), usize::from(embeds));
            let verified = token.verify(b"signature", &tsa.chain()).unwrap();
            assert_eq!(i64::try_from(verified.unix_seconds), Ok(START + HOUR));
        }
    }
}

#[test]
fn every_form_is_read_back_as_it_was_made() {
    let sigstore = VirtualSigstore::new();
    let root = sigstore.trusted_root();
    assert_eq!(TrustedRoot::parse(&root.to_json()).unwrap(), root);
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let person = person();
    for by in [By::Key(&key), By::Identity(&person)] {
        for what in [What::File(b"content"), What::Statement(b"{}")] {
            let signed = sigstore.sign(what, by, Proofs::ALL);
            for version in [Version::V0_1, Version::V0_2, Version::V0_3] {
                let bundle = signed.bundle(version);
                assert_eq!(Bundle::parse(&bundle.to_json()).unwrap(), bundle);
            }
            let legacy = signed.legacy();
            let has_certificate = legacy.certificate.is_some();
            assert_eq!(has_certificate, matches!(by, By::Identity(_)));
            if let (Some(certificate), Some(chain)) = (&legacy.certificate, &legacy.chain) {
                assert_eq!(
                    Some(Certificate::from_pem(certificate).unwrap()),
                    signed.certificate
                );
                assert_eq!(Certificate::chain_from_pem(chain).unwrap(), signed.issuers);
            }
            assert!(legacy.annotations().len() >= 3);
        }
    }
}

#[test]
fn every_leaf_of_every_small_tree_is_proven() {
    let mut tree = Tree::default();
    for number in 0..40_u8 {
        assert_eq!(tree.append(&[number]), u64::from(number));
        for index in 0..=number {
            let leaf = leaf_hash(&[index]);
            let proof = tree.inclusion_proof(index.into());
            verify_inclusion(index.into(), tree.size(), &leaf, &proof, &tree.root()).unwrap();
        }
    }
}
