//! Evidence in amounts that nobody has: refused by a bound that says so, before any of it costs much. The advisories
//! GHSA-vfp6-jrw2-99g9, GHSA-88jx-383q-w4qc and GHSA-95pr-fxf5-86gv were about verifiers that had none.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use sealmark_formats::Digest;
use sealmark_formats::bundle::{
    MAX_CERTIFICATES, MAX_LOG_ENTRIES, MAX_TIMESTAMPS, Material, Version,
};
use sealmark_formats::dsse;
use sealmark_formats::log_entry::MAX_SIGNATURES;
use sealmark_formats::simple_signing::MAX_PAYLOAD;
use sealmark_formats::statement::{MAX_DIGESTS_PER_SUBJECT, MAX_SUBJECTS};
use sealmark_verify::evidence::Content;
use sealmark_virtual::{By, Made, Proofs, Signed, VirtualSigstore, What};
use sealmark_x509::{MAX_CERTIFICATE, MAX_CHAIN, MAX_TIMESTAMP};
use support::{
    Ask, FILE, Need, bundle, detached, key, layer, person, simple_signing, statement, v0_3,
};

const MANY: usize = 5_000;

fn keyless(sigstore: &VirtualSigstore, proofs: Proofs) -> Signed {
    sigstore.sign(What::File(FILE), By::Identity(&person()), proofs)
}

/// One too many is counted; of more, only so many are read.
fn bound(count: usize, most: usize) -> String {
    match count == most + 1 {
        true => most.to_string(),
        false => format!("a list of more than {} items", most + 1),
    }
}

#[track_caller]
fn is_refused(sigstore: &VirtualSigstore, content: Content, reason: &str) {
    let answer = Ask::person().of(&sigstore.trusted_root(), content);
    answer.is_refused("format", reason);
}

#[test]
fn log_entries() {
    let sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V1);
    let one = signed.log_entries[0].clone();
    for count in [MAX_LOG_ENTRIES + 1, MANY] {
        signed.log_entries = vec![one.clone(); count];
        is_refused(&sigstore, v0_3(&signed), &bound(count, MAX_LOG_ENTRIES));
    }
    // As many as are allowed, each another one: a few of logs that nobody trusts do not hurt.
    signed.log_entries = vec![one; MAX_LOG_ENTRIES];
    for (index, entry) in (0..).zip(&mut signed.log_entries).skip(1) {
        entry.log_id[0] ^= index;
    }
    let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
    answer.is_good();
}

#[test]
fn the_same_log_entry_twice() {
    let sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V1);
    signed.log_entries = vec![signed.log_entries[0].clone(); 2];
    let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
    answer.is_refused("transparency log", "the same log entry twice");
}

#[test]
fn hashes_of_an_inclusion_proof() {
    let sigstore = VirtualSigstore::new();
    for count in [65, MANY] {
        let mut signed = keyless(&sigstore, Proofs::REKOR_V1);
        let proof = signed.log_entries[0].inclusion_proof.as_mut().unwrap();
        proof.hashes = vec![vec![0; 32]; count];
        is_refused(&sigstore, v0_3(&signed), &bound(count, 64));
    }
}

#[test]
fn signatures_of_a_checkpoint() {
    let sigstore = VirtualSigstore::new();
    let most = sealmark_tlog::note::MAX_SIGNATURES;
    for (count, good) in [(most, true), (most + 1, false), (MANY, false)] {
        let mut signed = keyless(&sigstore, Proofs::REKOR_V2);
        let proof = signed.log_entries[0].inclusion_proof.as_mut().unwrap();
        let line = "\u{2014} witness.example AAAAAAAA\n";
        proof.checkpoint.push_str(&line.repeat(count - 1));
        let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
        match good {
            true => answer.is_good(),
            false => answer.is_refused("transparency log", "signatures, at most 64 are allowed"),
        }
    }
    let mut signed = keyless(&sigstore, Proofs::REKOR_V2);
    let proof = signed.log_entries[0].inclusion_proof.as_mut().unwrap();
    let line = "an extension\n".repeat(MANY);
    proof.checkpoint = proof.checkpoint.replacen("\n\n", &format!("\n{line}\n"), 1);
    let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
    answer.is_refused("transparency log", "lines, at most 256 are allowed");
}

#[test]
fn signatures_in_a_log_entry() {
    let sigstore = VirtualSigstore::new();
    for count in [MAX_SIGNATURES + 1, 1_000] {
        let payload = statement("https://example.com/t");
        let what = What::Statement(&payload);
        let mut signed = sigstore.sign(what, By::Identity(&person()), Proofs::NONE);
        let Made::Envelope(envelope) = &signed.made else {
            panic!()
        };
        let mut many = envelope.clone();
        many.signatures = vec![envelope.signatures[0].clone(); count];
        let body = sealmark_formats::log_entry::dsse_v1_body(
            &signed.envelope_json(),
            &many,
            &signed.verifier_pem(),
        );
        let mut entry = sigstore
            .sign(what, By::Key(&key()), Proofs::REKOR_V1)
            .log_entries
            .remove(0);
        entry.canonicalized_body = body.unwrap();
        signed.log_entries = vec![entry];
        let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
        answer.is_refused("transparency log", "items, at most 64 are allowed");
    }
}

#[test]
fn timestamps() {
    let sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V2);
    let one = signed.timestamps[0].clone();
    for count in [MAX_TIMESTAMPS + 1, MANY] {
        signed.timestamps = vec![one.clone(); count];
        is_refused(&sigstore, v0_3(&signed), &bound(count, MAX_TIMESTAMPS));
    }
    // Each authority counts once.
    signed.timestamps = vec![one; MAX_TIMESTAMPS];
    let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
    answer.is_good();
}

#[test]
fn a_long_timestamp() {
    let sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V2);
    signed.timestamps = vec![vec![0x30; MAX_TIMESTAMP + 1]];
    let ask = Ask::person().timestamp(Need::Required);
    let answer = ask.of(&sigstore.trusted_root(), v0_3(&signed));
    answer.is_refused("timestamp", &MAX_TIMESTAMP.to_string());
}

#[test]
fn certificates_of_a_chain() {
    let sigstore = VirtualSigstore::new();
    let signed = keyless(&sigstore, Proofs::REKOR_V1);
    let leaf = signed.certificate.as_ref().unwrap();
    for count in [MAX_CERTIFICATES + 1, MANY] {
        let mut of = signed.bundle(Version::V0_2);
        of.material = Material::CertificateChain(vec![leaf.der().to_vec(); count]);
        is_refused(&sigstore, bundle(&of), &bound(count, MAX_CERTIFICATES));
    }
    let mut legacy = signed.legacy();
    legacy.chain = Some(leaf.to_pem().repeat(MAX_CHAIN + 1).into_bytes());
    is_refused(&sigstore, detached(legacy), &MAX_CHAIN.to_string());
    let mut legacy = signed.legacy();
    legacy.chain = Some(leaf.to_pem().repeat(MANY).into_bytes());
    is_refused(&sigstore, detached(legacy), "more than");
}

#[test]
fn a_long_certificate() {
    let sigstore = VirtualSigstore::new();
    let signed = keyless(&sigstore, Proofs::REKOR_V1);
    let mut of = signed.bundle(Version::V0_3);
    of.material = Material::Certificate(vec![0x30; MAX_CERTIFICATE + 1]);
    is_refused(&sigstore, bundle(&of), &MAX_CERTIFICATE.to_string());
}

#[test]
fn signatures_of_an_envelope() {
    let sigstore = VirtualSigstore::new();
    let payload = statement("https://example.com/t");
    let what = What::Statement(&payload);
    let good = sigstore.sign(what, By::Identity(&person()), Proofs::REKOR_V1);
    for count in [2, MANY] {
        let mut signed = good.clone();
        let Made::Envelope(dsse::Envelope { signatures, .. }) = &mut signed.made else {
            panic!()
        };
        *signatures = vec![signatures[0].clone(); count];
        let legacy = match count {
            2 => "exactly one signature",
            _ => "a list of more than 64 items",
        };
        is_refused(&sigstore, layer(&signed.legacy()), legacy);
        let reason = match count {
            2 => "exactly one is allowed",
            _ => "a list of more than 2 items",
        };
        is_refused(&sigstore, v0_3(&signed), reason);
    }
}

fn statement_with(subjects: usize, digests: usize) -> Vec<u8> {
    let hex = Digest::sha256(FILE).hex();
    let mut of_one = format!("\"sha256\":\"{hex}\"");
    for number in 1..digests {
        of_one.push_str(&format!(",\"unknown{number}\":\"00\""));
    }
    let subject = format!("{{\"digest\":{{{of_one}}}}}");
    let subjects = vec![subject; subjects].join(",");
    format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{subjects}],"predicateType":"a"}}"#
    )
    .into_bytes()
}

#[test]
fn subjects_of_a_statement_and_their_digests() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let ask = Ask::key(by.public_key()).log(Need::NotChecked);
    for (subjects, digests, reason) in [
        (MAX_SUBJECTS, 1, None),
        (1, MAX_DIGESTS_PER_SUBJECT, None),
        (MAX_SUBJECTS + 1, 1, Some("subjects")),
        (20_000, 1, Some("more than 1025 items")),
        (1, MAX_DIGESTS_PER_SUBJECT + 1, Some("digests")),
        (1, MANY, Some("digests")),
    ] {
        let payload = statement_with(subjects, digests);
        let signed = sigstore.sign(What::Statement(&payload), By::Key(&by), Proofs::NONE);
        for content in [v0_3(&signed), layer(&signed.legacy())] {
            let answer = ask.of(&sigstore.trusted_root(), content);
            match reason {
                None => answer.is_good(),
                Some(reason) => answer.is_refused("format", reason),
            }
        }
    }
}

#[test]
fn a_long_simple_signing_payload() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let ask = Ask::key(by.public_key()).image().log(Need::NotChecked);
    let mut payload = simple_signing();
    payload.resize(MAX_PAYLOAD, b' ');
    for (extra, good) in [(0, true), (1, false)] {
        payload.extend(vec![b' '; extra]);
        let signed = sigstore.sign(What::SimpleSigning(&payload), By::Key(&by), Proofs::NONE);
        let answer = ask.of(&sigstore.trusted_root(), layer(&signed.legacy()));
        match good {
            true => answer.is_good(),
            false => answer.is_refused("format", &MAX_PAYLOAD.to_string()),
        }
    }
}

#[test]
fn nesting() {
    let sigstore = VirtualSigstore::new();
    let deep = 200_000;
    for text in [
        "[".repeat(deep),
        format!("{{\"mediaType\":{}", "{\"a\":".repeat(deep)),
        format!("{{\"unknown\":{}1{}}}", "[".repeat(deep), "]".repeat(deep)),
    ] {
        let content = Content::from_bundle(text.as_bytes());
        is_refused(&sigstore, content, "Sigstore bundle");
    }
    let deep = format!("{}1{}", "[".repeat(deep), "]".repeat(deep));
    let payload = String::from_utf8(statement("https://example.com/t")).unwrap();
    for (part, changed, good) in [
        // What the predicate says was not asked for, so it stays the text that it is.
        (
            r#""predicate":{"a":1}"#,
            format!(r#""predicate":{deep}"#),
            true,
        ),
        (
            r#""name":"file""#,
            format!(r#""annotations":{{"a":{deep}}}"#),
            false,
        ),
        // Nor is what nobody knows read, or it would not be passed over.
        (r#""name":"file""#, format!(r#""unknown":{deep}"#), true),
    ] {
        assert!(payload.contains(part));
        let payload = payload.replace(part, &changed);
        let what = What::Statement(payload.as_bytes());
        let signed = sigstore.sign(what, By::Identity(&person()), Proofs::REKOR_V1);
        let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
        match good {
            true => answer.is_good(),
            false => answer.is_refused("format", "recursion limit"),
        }
    }
}
