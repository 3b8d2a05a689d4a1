//! What a review of another implementation found (Trail of Bits, of sigstore-rust, 2026), as invariants of this one:
//! each finding by its number. Number 10, that offline metadata goes through the whole workflow from the pinned root
//! again, is a matter of the crate `trust` and is tested there.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::cell::Cell;

use sealmark_formats::bundle::{LogEntry, Version};
use sealmark_formats::log_entry::hashedrekord_v1_body;
use sealmark_formats::trusted_root::TimeRange;
use sealmark_formats::{Digest, HashAlgorithm, dsse};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_verify::artifact::Bytes;
use sealmark_verify::evidence::{Content, Detached};
use sealmark_verify::{Artifact, TrustedMaterial};
use sealmark_virtual::{
    By, CertificateAuthority, DAY, HOUR, Issuer, MINUTE, Made, Proofs, RekorV1, START, Signed,
    TimestampAuthority, V1Kind, VirtualSigstore, What, YEAR, seconds,
};
use sealmark_x509::ExtendedKeyUsage;
use sealmark_x509::issue::Extension;
use support::{Ask, FILE, Need, bundle, key, layer, person, root_with, statement, v0_3};

const TWO_SECONDS_EACH_SIDE: [(i64, i64, bool); 4] = [
    (START, START, true),
    (START - 1, START + 1, true),
    (START + 1, START + YEAR, false),
    (START - YEAR, START - 1, false),
];

fn keyless(sigstore: &VirtualSigstore, proofs: Proofs) -> Signed {
    sigstore.sign(What::File(FILE), By::Identity(&person()), proofs)
}

// 1 and 5: a key that is found by its id counts only within `validFor`, and ranges have one meaning.

#[test]
fn finding_1_a_log_key_counts_only_while_it_is_valid_ends_included() {
    let sigstore = VirtualSigstore::new();
    let signed = keyless(&sigstore, Proofs::REKOR_V1);
    for (from, until, good) in TWO_SECONDS_EACH_SIDE {
        let root = root_with(&sigstore, |root| {
            root.tlogs[0].valid_for = seconds(from, until)
        });
        let answer = Ask::person().of(&root, v0_3(&signed));
        match good {
            true => answer.is_good(),
            false => answer.is_refused("transparency log", "outside of the time"),
        }
    }
}

#[test]
fn finding_1_a_log_key_without_times_counts_only_while_it_is_valid() {
    let sigstore = VirtualSigstore::new();
    let signed = keyless(&sigstore, Proofs::REKOR_V2);
    for (from, until, good) in TWO_SECONDS_EACH_SIDE {
        let root = root_with(&sigstore, |root| {
            root.tlogs[1].valid_for = seconds(from, until)
        });
        let answer = Ask::person().of(&root, v0_3(&signed));
        match good {
            true => answer.is_good(),
            false => answer.is_refused("transparency log", "outside of the time"),
        }
    }
}

#[test]
fn finding_1_of_two_entries_with_one_id_the_valid_one_counts() {
    let sigstore = VirtualSigstore::new();
    let signed = keyless(&sigstore, Proofs::REKOR_V1);
    let root = root_with(&sigstore, |root| {
        let mut ended = root.tlogs[0].clone();
        ended.valid_for = seconds(START - YEAR, START - DAY);
        root.tlogs.insert(0, ended);
    });
    Ask::person().of(&root, v0_3(&signed)).is_good();
}

#[test]
fn finding_5_every_range_of_the_trusted_root_has_the_same_ends() {
    let sigstore = VirtualSigstore::new();
    let signed = keyless(&sigstore, Proofs::ALL);
    for (from, until, good) in TWO_SECONDS_EACH_SIDE {
        let range = seconds(from, until);
        let ct = root_with(&sigstore, |root| root.ctlogs[0].valid_for = range);
        let ca = root_with(&sigstore, |root| {
            root.certificate_authorities[0].valid_for = range;
        });
        let tsa = root_with(&sigstore, |root| {
            root.timestamp_authorities[0].valid_for = range;
        });
        let ask = Ask::person().timestamp(Need::Required);
        for (root, check, reason) in [
            (ct, "certificate transparency", "outside of its time"),
            (
                ca,
                "certificate",
                "no certificate authority is trusted at that time",
            ),
            (tsa, "timestamp", "outside of the time"),
        ] {
            let answer = ask.of(&root, v0_3(&signed));
            match good {
                true => answer.is_good(),
                false => answer.is_refused(check, reason),
            }
        }
    }
    let half_open = TimeRange {
        start: None,
        end: seconds(START, START).end,
    };
    let root = root_with(&sigstore, |root| root.tlogs[0].valid_for = half_open);
    Ask::person().of(&root, v0_3(&signed)).is_good();
}

// 2 and 3: a time of a log counts only with its promise, even where the log is not asked for.

#[test]
fn finding_2_a_time_without_its_promise_is_no_time() {
    let sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V1);
    signed.log_entries[0].inclusion_promise = None;
    signed.log_entries[0].log_index = proof_index(&signed.log_entries[0]);
    // The proof is good, the time is nobody's word.
    let no_time = "a time at which the signature was made";
    let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
    answer.is_refused("certificate", no_time);

    // The same with a log that never gives times.
    let mut signed = keyless(&sigstore, Proofs::REKOR_V2);
    signed.timestamps.clear();
    signed.log_entries[0].integrated_time = START;
    let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
    answer.is_refused("certificate", no_time);
}

fn proof_index(entry: &LogEntry) -> u64 {
    entry.inclusion_proof.as_ref().unwrap().log_index
}

#[test]
fn finding_2_a_promise_over_another_time_is_none() {
    let sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V1);
    signed.log_entries[0].integrated_time += 1;
    let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
    answer.is_refused("transparency log", "is not by its key");
}

#[test]
fn finding_3_who_skips_the_log_gets_no_time_from_it() {
    let sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V1);
    let other = RekorV1::new(&sigstore.clock);
    for forged in [false, true] {
        if forged {
            // By a key that nobody trusts, under the id of the one that is.
            let promise = other.promise(&signed.log_entries[0]);
            signed.log_entries[0].inclusion_promise = Some(promise);
        }
        let ask = Ask::person().log(Need::NotChecked);
        let root = sigstore.trusted_root();
        ask.of(&root, v0_3(&signed))
            .is_refused("certificate", "had expired");
        // The present is the only time that is left.
        ask.now(START + MINUTE).of(&root, v0_3(&signed)).is_good();
    }
}

#[test]
fn finding_3_a_bad_entry_is_not_the_same_as_none() {
    let sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::ALL);
    signed.log_entries.truncate(1);
    signed.log_entries[0].integrated_time += 1;
    let ask = Ask::person().log(Need::IfPresent);
    let answer = ask.of(&sigstore.trusted_root(), v0_3(&signed));
    answer.is_refused("transparency log", "is not by its key");
    signed.log_entries.clear();
    ask.of(&sigstore.trusted_root(), v0_3(&signed)).is_good();
}

// 4: the certificate is valid at every time that is proven.

#[test]
fn finding_4_the_certificate_is_valid_at_every_proven_time() {
    for (first, second) in [
        (MINUTE, HOUR),
        (HOUR, MINUTE),
        (-MINUTE, MINUTE),
        (MINUTE, -MINUTE),
    ] {
        let sigstore = VirtualSigstore::new();
        let mut signed = sigstore.sign_only(What::File(FILE), By::Identity(&person()));
        sigstore.clock.set(START + first);
        sigstore.stamp(&mut signed);
        sigstore.clock.set(START + second);
        sigstore.log_v1(&mut signed, V1Kind::Dsse);
        let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
        let reason = if first < 0 || second < 0 {
            "was not yet valid"
        } else {
            "had expired"
        };
        answer.is_refused("certificate", reason);
    }
}

#[test]
fn finding_4_two_logs_that_disagree_must_both_be_inside() {
    let mut sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V1);
    let first = sigstore.trusted_root();
    sigstore.rekor_v1 = RekorV1::new(&sigstore.clock);
    sigstore.rekor_v1.host = "another.virtual.example".to_owned();
    sigstore.clock.advance(HOUR);
    sigstore.log_v1(&mut signed, V1Kind::Dsse);
    let root = root_with(&sigstore, |root| root.tlogs.extend(first.tlogs));
    let answer = Ask::person().of(&root, v0_3(&signed));
    answer.is_refused("certificate", "had expired");
}

// 6: a key is read once, into what it is; nothing is guessed from bare bytes.

#[test]
fn finding_6_a_bare_key_is_trusted_for_nothing() {
    let mut sigstore = VirtualSigstore::new();
    sigstore.rekor_v1 = RekorV1::with_key(&sigstore.clock, key());
    let signed = keyless(&sigstore, Proofs::ALL);
    for log in [0, 1] {
        let root = root_with(&sigstore, |root| {
            root.tlogs.swap(0, log);
            root.tlogs.truncate(1);
            // The point of an ECDSA key, the 32 bytes of an Ed25519 key: as other verifiers guess them.
            let bare = if log == 0 { 65 } else { 32 };
            let spki = &mut root.tlogs[0].public_key;
            spki.drain(..spki.len() - bare);
        });
        assert_eq!(TrustedMaterial::new(&root).unusable.len(), 1);
        let answer = Ask::person().of(&root, v0_3(&signed));
        answer.is_refused("transparency log", "no trusted log");
    }
}

#[test]
fn finding_6_the_name_of_a_key_does_not_change_what_it_is() {
    let sigstore = VirtualSigstore::new();
    let signed = keyless(&sigstore, Proofs::ALL);
    let root = root_with(&sigstore, |root| {
        root.tlogs[0].key_details = "PKIX_RSA_PKCS1V15_2048_SHA256".to_owned();
        root.ctlogs[0].key_details = "PKIX_ED25519".to_owned();
    });
    Ask::person().of(&root, v0_3(&signed)).is_good();
}

#[test]
fn finding_6_every_kind_of_key_signs_and_its_certificate_says_which() {
    let sigstore = VirtualSigstore::new();
    for algorithm in [
        Algorithm::EcdsaP256,
        Algorithm::EcdsaP384,
        Algorithm::EcdsaP521,
        Algorithm::Ed25519,
        Algorithm::Rsa2048,
    ] {
        let person = person();
        let by = By::IdentityWith(&person, algorithm);
        for what in [
            What::File(FILE),
            What::Statement(&statement("https://example.com/t")),
        ] {
            let signed = sigstore.sign(what, by, Proofs::ALL);
            let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
            assert!(answer.verified, "{algorithm} {what:?}: {}", answer.why);
            if matches!(what, What::File(_)) {
                let content = support::detached(signed.legacy());
                let answer = Ask::person().of(&sigstore.trusted_root(), content);
                assert!(answer.verified, "{algorithm} detached: {}", answer.why);
            }
        }
    }
}

// 7: no allowance for clocks that differ.

#[test]
fn finding_7_not_a_second_after_the_certificate_expired() {
    for (offset, good) in [(0, true), (600, true), (601, false), (-1, false)] {
        for proofs in [Proofs::REKOR_V1, Proofs::REKOR_V2] {
            let sigstore = VirtualSigstore::new();
            let mut signed = sigstore.sign_only(What::File(FILE), By::Identity(&person()));
            sigstore.clock.set(START + offset);
            if proofs.timestamp {
                sigstore.stamp(&mut signed);
                sigstore.log_v2(&mut signed);
            } else {
                sigstore.log_v1(&mut signed, V1Kind::Dsse);
            }
            let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
            match good {
                true => answer.is_good(),
                false => answer.is_refused("certificate", "valid"),
            }
        }
    }
}

#[test]
fn finding_7_a_proven_time_is_not_in_the_future() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    for proofs in [Proofs::REKOR_V1, Proofs::REKOR_V2] {
        let by_key = sigstore.sign(What::File(FILE), By::Key(&by), proofs);
        let by_person = keyless(&sigstore, proofs);
        for (signed, ask) in [
            (by_key, Ask::key(by.public_key())),
            (by_person, Ask::person()),
        ] {
            // Where it is not asked for, a bad timestamp leaves the signature as if it had none.
            let ask = match proofs.timestamp {
                true => ask.timestamp(Need::Required),
                false => ask,
            };
            let root = sigstore.trusted_root();
            ask.clone().now(START).of(&root, v0_3(&signed)).is_good();
            let early = ask.now(START - 1).of(&root, v0_3(&signed));
            assert!(
                !early.verified,
                "{proofs:?}: a time in the future was believed"
            );
        }
    }
}

// 8: verification itself never holds or hashes the artifact; who calls it reads it where that does not block.

struct Watched<'a> {
    bytes: &'a [u8],
    reads: Cell<usize>,
}

impl Bytes for Watched<'_> {
    fn read(&self, sink: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        self.reads.set(self.reads.get() + 1);
        self.bytes.chunks(1).for_each(sink);
        Ok(())
    }
}

#[test]
fn finding_8_the_artifact_is_read_only_where_a_digest_does_not_do() {
    for (algorithm, expected) in [
        (Algorithm::EcdsaP256, 0),
        (Algorithm::EcdsaP384, 0),
        (Algorithm::Rsa2048, 0),
        (Algorithm::Ed25519, 1),
    ] {
        let by = PrivateKey::generate(algorithm).unwrap();
        let watched = Watched {
            bytes: FILE,
            reads: Cell::new(0),
        };
        let artifact = Artifact {
            digest: Digest::sha256(FILE),
            more_digests: vec![
                Digest::of(HashAlgorithm::Sha384, FILE),
                Digest::of(HashAlgorithm::Sha512, FILE),
            ],
            bytes: Some(&watched),
        };
        let content = Content::Blob(Detached {
            signature: by.sign(FILE).unwrap(),
            ..Detached::default()
        });
        let ask = Ask::key(by.public_key()).log(Need::NotChecked);
        ask.of_artifact(&artifact, &TrustedMaterial::default(), vec![content])
            .is_good();
        assert_eq!(watched.reads.get(), expected, "{algorithm}");
    }
}

// 9: an envelope has exactly one signature.

#[test]
fn finding_9_an_envelope_has_exactly_one_signature() {
    let sigstore = VirtualSigstore::new();
    let good = sigstore.sign(
        What::Statement(&statement("https://example.com/t")),
        By::Identity(&person()),
        Proofs::REKOR_V1,
    );
    let root = sigstore.trusted_root();
    Ask::person().of(&root, v0_3(&good)).is_good();
    Ask::person().of(&root, layer(&good.legacy())).is_good();
    for count in [0, 2] {
        let mut signed = good.clone();
        let Made::Envelope(dsse::Envelope { signatures, .. }) = &mut signed.made else {
            panic!()
        };
        let one = signatures.remove(0);
        // Both are good, and which of them counts is not for an attacker to say.
        signatures.resize(count, one);
        let mut of_bundle = good.bundle(Version::V0_3);
        if let (sealmark_formats::bundle::Content::Dsse(envelope), Made::Envelope(changed)) =
            (&mut of_bundle.content, &signed.made)
        {
            *envelope = changed.clone();
        }
        let answer = Ask::person().of(&root, bundle(&of_bundle));
        answer.is_refused("format", "exactly one");
        let mut legacy = good.legacy();
        legacy.payload = signed.envelope_json();
        let answer = Ask::person().of(&root, layer(&legacy));
        answer.is_refused("format", "exactly one");
    }
}

// 11: a token is good only within the time, and under the certificates, of the authority that signed it.

#[test]
fn finding_11_no_authority_lends_its_time_to_another() {
    let mut sigstore = VirtualSigstore::new();
    let signed = keyless(&sigstore, Proofs::REKOR_V2);
    let first = sigstore.tsa.clone();
    sigstore.tsa = TimestampAuthority::new(&sigstore.clock);
    sigstore.tsa.uri = "https://another.virtual.example".to_owned();
    let root = root_with(&sigstore, |root| {
        root.timestamp_authorities.push(first.trusted());
    });
    let ask = Ask::person().timestamp(Need::Required);
    ask.of(&root, v0_3(&signed)).is_good();

    // The signer's own is over, the other's is not.
    let mut ended = root.clone();
    ended.timestamp_authorities[1].valid_for = seconds(START - YEAR, START - 1);
    let answer = ask.of(&ended, v0_3(&signed));
    answer.is_refused("timestamp", "outside of the time");

    // Each has the certificates above the other.
    let mut swapped = root.clone();
    let [a, b] = swapped.timestamp_authorities.as_mut_slice() else {
        panic!()
    };
    a.cert_chain[1..].swap_with_slice(&mut b.cert_chain[1..]);
    let answer = ask.of(&swapped, v0_3(&signed));
    answer.is_refused("timestamp", "timestamp: ");
}

#[test]
fn finding_11_two_authorities_under_one_root_are_two() {
    let mut sigstore = VirtualSigstore::new();
    let (from, until) = (START - YEAR, START + YEAR);
    let root = Issuer::root("a common root", Algorithm::EcdsaP384, from, until);
    let [old, new] = [0, 1].map(|_| {
        let clock = &sigstore.clock;
        TimestampAuthority::below(clock, &root, Vec::new(), Algorithm::EcdsaP384, from, until)
    });
    sigstore.tsa = old.clone();
    let signed = keyless(&sigstore, Proofs::REKOR_V2);
    let trusted = root_with(&sigstore, |root| {
        root.timestamp_authorities[0].valid_for = seconds(START - YEAR, START - 1);
        root.timestamp_authorities.push(new.trusted());
    });
    let ask = Ask::person().timestamp(Need::Required);
    let answer = ask.of(&trusted, v0_3(&signed));
    answer.is_refused("timestamp", "which is not this timestamp authority");
}

#[test]
fn finding_11_the_authoritys_certificate_must_be_valid_at_its_time() {
    let mut sigstore = VirtualSigstore::new();
    let root = Issuer::root("a root", Algorithm::EcdsaP384, START - YEAR, START + YEAR);
    let of_last_year = (START - YEAR, START - DAY);
    sigstore.tsa = TimestampAuthority::below(
        &sigstore.clock,
        &root,
        Vec::new(),
        Algorithm::EcdsaP384,
        of_last_year.0,
        of_last_year.1,
    );
    sigstore.tsa.valid_for = TimeRange::ALWAYS;
    let signed = keyless(&sigstore, Proofs::REKOR_V2);
    let ask = Ask::person().timestamp(Need::Required);
    let answer = ask.of(&sigstore.trusted_root(), v0_3(&signed));
    answer.is_refused("timestamp", "had expired");
}

#[test]
fn finding_11_a_certificate_for_other_purposes_gives_no_time() {
    let mut sigstore = VirtualSigstore::new();
    let root = Issuer::root("a root", Algorithm::EcdsaP384, START - YEAR, START + YEAR);
    for (purposes, critical) in [
        (vec![ExtendedKeyUsage::TimeStamping], false),
        (vec![ExtendedKeyUsage::CodeSigning], true),
        (
            vec![
                ExtendedKeyUsage::TimeStamping,
                ExtendedKeyUsage::CodeSigning,
            ],
            true,
        ),
    ] {
        let by = key();
        let until = START + YEAR;
        let mut template =
            TimestampAuthority::template(&root, by.public_key(), START - YEAR, until);
        template.extensions[1] = Extension::extended_key_usage(&purposes, critical).unwrap();
        sigstore.tsa.signer = Issuer {
            certificate: root.certify(&template),
            key: by,
        };
        sigstore.tsa.above = vec![root.certificate.clone()];
        let signed = keyless(&sigstore, Proofs::REKOR_V2);
        let ask = Ask::person().timestamp(Need::Required);
        let answer = ask.of(&sigstore.trusted_root(), v0_3(&signed));
        answer.is_refused("timestamp", "timeStamping");
    }
}

// Also: whose key the SCT is bound to, and what a log entry is bound to.

#[test]
fn also_the_issuer_in_an_sct_is_that_of_the_verified_chain() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let template = sigstore.ca.template(&person(), by.public_key());
    let mut precertificate = template.clone();
    precertificate.extensions.push(Extension::ct_poison());
    let precertificate = sigstore.ca.issuer.certify(&precertificate);
    // Of the same name, with another key.
    let twin = CertificateAuthority::new(&sigstore.clock).issuer;
    for (issuer, good) in [(&sigstore.ca.issuer, true), (&twin, false)] {
        let sct = sigstore.ct.promise(&precertificate, &issuer.certificate);
        let mut template = template.clone();
        template
            .extensions
            .push(Extension::sct_list(&[sct]).unwrap());
        let leaf = sigstore.ca.issuer.certify(&template);
        let by = By::Certificate(&by, &leaf);
        let signed = sigstore.sign(What::File(FILE), by, Proofs::REKOR_V1);
        let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
        match good {
            true => answer.is_good(),
            false => answer.is_refused("certificate transparency", "did not give this SCT"),
        }
    }
}

#[test]
fn also_an_sct_is_for_one_certificate() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let ca = &sigstore.ca;
    let other = ca.issue(&person(), by.public_key(), Some(&sigstore.ct));
    let mut template = ca.template(&person(), by.public_key());
    let scts = other.signed_certificate_timestamps();
    template.extensions.push(Extension::sct_list(scts).unwrap());
    let none = ca.issue(&person(), by.public_key(), None);
    for (leaf, reason) in [
        (ca.issuer.certify(&template), "did not give this SCT"),
        (none, "no SCT"),
    ] {
        let by = By::Certificate(&by, &leaf);
        let signed = sigstore.sign(What::File(FILE), by, Proofs::REKOR_V1);
        let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
        answer.is_refused("certificate transparency", reason);
    }
}

#[test]
fn also_a_log_entry_is_bound_to_digest_signature_and_key() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let signed = sigstore.sign(What::File(FILE), By::Key(&by), Proofs::REKOR_V1);
    let root = sigstore.trusted_root();
    let ask = Ask::key(by.public_key());
    ask.of(&root, v0_3(&signed)).is_good();

    let digest = Digest::sha256(FILE);
    let pem = by.public_key().to_pem();
    let signature = signed.signature();
    let another_signature = by.sign(b"another file").unwrap();
    let other = "it is of another signature or signer";
    for (body, reason) in [
        (
            hashedrekord_v1_body(&Digest::sha256(b"another file"), signature, &pem),
            "it is of other content",
        ),
        (
            hashedrekord_v1_body(&digest, &another_signature, &pem),
            other,
        ),
        (
            hashedrekord_v1_body(&digest, signature, &key().public_key().to_pem()),
            other,
        ),
        (
            // A certificate for the very key.
            hashedrekord_v1_body(
                &digest,
                signature,
                &sigstore.ca.issue(&person(), by.public_key(), None).to_pem(),
            ),
            other,
        ),
    ] {
        for version in [Version::V0_1, Version::V0_2, Version::V0_3] {
            let mut signed = signed.clone();
            // In the log, proven, promised: and of something else.
            signed.log_entries = vec![sigstore.rekor_v1.append(body.clone().unwrap())];
            let answer = ask.of(&root, bundle(&signed.bundle(version)));
            answer.is_refused("transparency log", reason);
        }
    }
}

#[test]
fn also_a_certificate_is_logged_as_such() {
    // Whoever watches the log for an identity finds certificates, not their keys.
    let sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::NONE);
    let pem = signed.key.public_key().to_pem();
    let body = hashedrekord_v1_body(&Digest::sha256(FILE), signed.signature(), &pem).unwrap();
    signed.log_entries = vec![sigstore.rekor_v1.append(body)];
    let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
    answer.is_refused("transparency log", "it is of another signature or signer");
}

#[test]
fn also_a_certificate_of_a_ca_that_nobody_trusts_is_nothing() {
    let mut sigstore = VirtualSigstore::new();
    let root = sigstore.trusted_root();
    sigstore.ca = CertificateAuthority::new(&sigstore.clock);
    let signed = keyless(&sigstore, Proofs::ALL);
    for content in [
        v0_3(&signed),
        // With the whole chain beside it.
        bundle(&signed.bundle(Version::V0_2)),
        support::detached(signed.legacy()),
    ] {
        let answer = Ask::person().of(&root, content);
        answer.is_refused("certificate", "was not issued by the trusted");
    }
}

#[test]
fn also_what_is_good_is_good_in_every_form() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let root = sigstore.trusted_root();
    let person = person();
    for (by, ask) in [
        (By::Key(&by), Ask::key(by.public_key())),
        (By::Identity(&person), Ask::person()),
    ] {
        let file = sigstore.sign(What::File(FILE), by, Proofs::ALL);
        let payload = statement("https://sigstore.dev/cosign/sign/v1");
        let statement = sigstore.sign(What::Statement(&payload), by, Proofs::ALL);
        for version in [Version::V0_1, Version::V0_2, Version::V0_3] {
            // What a version 0.1 needs, a promise, logs of version 2 do not give; they do not hurt.
            ask.of(&root, bundle(&file.bundle(version))).is_good();
            ask.of(&root, bundle(&statement.bundle(version))).is_good();
        }
        ask.of(&root, support::detached(file.legacy())).is_good();
        ask.of(&root, layer(&statement.legacy())).is_good();
        let ask = ask.image();
        ask.of(&root, v0_3(&statement)).is_good();
        let payload = support::simple_signing();
        let simple = sigstore.sign(What::SimpleSigning(&payload), by, Proofs::ALL);
        ask.of(&root, layer(&simple.legacy())).is_good();
        // A file's signature is none of an image.
        ask.of(&root, v0_3(&file))
            .is_refused("kind", "a signature over ");
        // And all of it is about this file only.
        let other = ask.file(b"another image");
        other
            .of(&root, v0_3(&statement))
            .is_refused("digest", "another artifact");
    }
}

#[test]
fn also_a_certificate_for_other_purposes_signs_nothing() {
    let sigstore = VirtualSigstore::new();
    let ca = &sigstore.ca;
    let by = key();
    let purpose = |purposes: &[ExtendedKeyUsage]| {
        let mut template = ca.template(&person(), by.public_key());
        template.extensions[1] = Extension::extended_key_usage(purposes, false).unwrap();
        ca.certify(template, Some(&sigstore.ct))
    };
    let mut precertificate = ca.template(&person(), by.public_key());
    precertificate.extensions.push(Extension::ct_poison());
    let cases = [
        (&by, purpose(&[ExtendedKeyUsage::ServerAuth]), "codeSigning"),
        (&by, purpose(&[ExtendedKeyUsage::Any]), "codeSigning"),
        (
            &by,
            purpose(&[ExtendedKeyUsage::TimeStamping]),
            "codeSigning",
        ),
        // What the log of certificates gets, and nobody else.
        (
            &by,
            ca.issuer.certify(&precertificate),
            "a critical extension that is not known",
        ),
        // The CA signs certificates and nothing else.
        (&ca.issuer.key, ca.issuer.certificate.clone(), "identity"),
    ];
    for (by, certificate, reason) in cases {
        let by = By::Certificate(by, &certificate);
        let signed = sigstore.sign(What::File(FILE), by, Proofs::REKOR_V1);
        let mut ask = Ask::person();
        ask.sct = Need::NotChecked;
        let answer = ask.of(&sigstore.trusted_root(), v0_3(&signed));
        let check = match reason {
            "identity" => "identity",
            _ => "certificate",
        };
        answer.is_refused(check, reason);
    }
}

#[test]
fn also_an_intermediate_that_was_taken_out_does_not_come_back_with_the_signature() {
    let mut sigstore = VirtualSigstore::new();
    let (from, until) = (START - YEAR, START + YEAR);
    let root = Issuer::root("a root", Algorithm::EcdsaP384, from, until);
    let [lost, kept] = [0, 1].map(|_| {
        let purpose = ExtendedKeyUsage::CodeSigning;
        let issuer = root.intermediate("a CA", Algorithm::EcdsaP256, purpose, from, until);
        CertificateAuthority::of(&sigstore.clock, issuer, vec![root.certificate.clone()])
    });
    sigstore.ca = lost;
    let signed = keyless(&sigstore, Proofs::REKOR_V1);
    let forms = [
        v0_3(&signed),
        bundle(&signed.bundle(Version::V0_2)),
        support::detached(signed.legacy()),
    ];
    for content in forms {
        let before = sigstore.trusted_root();
        Ask::person().of(&before, content.clone()).is_good();
        let after = root_with(&sigstore, |root| {
            root.certificate_authorities = vec![kept.trusted()];
        });
        let answer = Ask::person().of(&after, content);
        answer.is_refused("certificate", "was not issued by");
    }
}

#[test]
fn also_an_entry_under_the_id_of_another_log_is_in_neither() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let signed = sigstore.sign(What::File(FILE), By::Key(&by), Proofs::ALL);
    let ids = signed.log_entries.iter().map(|entry| entry.log_id.clone());
    let ids: Vec<_> = ids.collect();
    for (entry, id) in [(0, 1), (1, 0)] {
        let mut signed = signed.clone();
        signed.log_entries = vec![signed.log_entries[entry].clone()];
        signed.log_entries[0].log_id.clone_from(&ids[id]);
        let ask = Ask::key(by.public_key());
        let answer = ask.of(&sigstore.trusted_root(), v0_3(&signed));
        answer.is_refused("transparency log", "checkpoint");
    }
    // A proof of the one, and a promise of the other.
    let mut mixed = signed.clone();
    mixed.log_entries.truncate(1);
    mixed.log_entries[0].inclusion_proof = signed.log_entries[1].inclusion_proof.clone();
    let answer = Ask::key(by.public_key()).of(&sigstore.trusted_root(), v0_3(&mixed));
    answer.is_refused("transparency log", "inclusion proof");
}
