//! So many proofs, each of another: whoever is named twice is one all the same.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use sealmark_formats::bundle::Version;
use sealmark_virtual::{
    By, CtLog, HOUR, MINUTE, Proofs, RekorV1, START, Signed, TimestampAuthority, V1Kind,
    VirtualSigstore, What, YEAR, seconds,
};
use sealmark_x509::issue::Extension;
use support::{Ask, FILE, Need, bundle, key, person, root_with, v0_3};

fn keyless(sigstore: &VirtualSigstore, proofs: Proofs) -> Signed {
    sigstore.sign(What::File(FILE), By::Identity(&person()), proofs)
}

#[test]
fn two_timestamps_by_two_authorities() {
    let mut sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V2);
    let first = sigstore.tsa.clone();
    sigstore.stamp(&mut signed);
    let ask = Ask::person().timestamp(Need::AtLeast(2));
    let by_one = ask.of(&sigstore.trusted_root(), v0_3(&signed));
    by_one.is_refused("timestamp", "another timestamp by");

    sigstore.tsa = TimestampAuthority::new(&sigstore.clock);
    sigstore.stamp(&mut signed);
    let root = root_with(&sigstore, |root| {
        root.timestamp_authorities.push(first.trusted());
    });
    ask.of(&root, v0_3(&signed)).is_good();
}

/// A trusted root lists an authority again when its time is prolonged.
#[test]
fn an_authority_that_is_listed_twice_is_one() {
    let sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V2);
    sigstore.clock.advance(MINUTE);
    sigstore.stamp(&mut signed);
    let root = root_with(&sigstore, |root| {
        let authorities = &mut root.timestamp_authorities;
        authorities[0].valid_for = seconds(START - YEAR, START);
        let mut again = authorities[0].clone();
        again.valid_for = seconds(START + 1, START + YEAR);
        authorities.push(again);
    });
    let ask = Ask::person().timestamp(Need::AtLeast(2));
    ask.of(&root, v0_3(&signed))
        .is_refused("timestamp", "another timestamp by");
}

/// The same authority twice, inside and outside of the certificate's time, in either order.
#[test]
fn every_time_of_an_authority_counts_though_it_counts_once() {
    let sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V2);
    sigstore.clock.advance(HOUR);
    sigstore.stamp(&mut signed);
    for _ in 0..2 {
        let answer = Ask::person().of(&sigstore.trusted_root(), v0_3(&signed));
        answer.is_refused("certificate", "had expired");
        signed.timestamps.reverse();
    }
}

#[test]
fn two_entries_in_two_logs() {
    let mut sigstore = VirtualSigstore::new();
    let mut signed = keyless(&sigstore, Proofs::REKOR_V1);
    let ask = Ask::person().log(Need::AtLeast(2));
    let root = sigstore.trusted_root();
    // The same log took it twice.
    sigstore.log_v1(&mut signed, V1Kind::Dsse);
    ask.of(&root, v0_3(&signed))
        .is_refused("transparency log", "entries in 2");
    // Another log, that nobody trusts.
    sigstore.rekor_v1 = RekorV1::new(&sigstore.clock);
    sigstore.log_v1(&mut signed, V1Kind::Dsse);
    ask.of(&root, v0_3(&signed))
        .is_refused("transparency log", "entries in 2");
    // One of version 2, that is trusted.
    sigstore.log_v2(&mut signed);
    ask.of(&root, v0_3(&signed)).is_good();
}

/// One key, under two ids: the log is one.
#[test]
fn a_log_that_is_listed_under_two_ids_is_one() {
    let sigstore = VirtualSigstore::new();
    let by = key();
    let mut signed = sigstore.sign(What::File(FILE), By::Key(&by), Proofs::REKOR_V2);
    let mut again = signed.log_entries[0].clone();
    let other_id = sigstore.rekor_v2.key.public_key().id().bytes().to_vec();
    again.log_id.clone_from(&other_id);
    signed.log_entries.push(again);
    let root = root_with(&sigstore, |root| {
        let mut again = root.tlogs[1].clone();
        again.log_id = other_id;
        root.tlogs.push(again);
    });
    let ask = Ask::key(by.public_key());
    ask.clone().of(&root, v0_3(&signed)).is_good();
    let ask = ask.log(Need::AtLeast(2));
    ask.of(&root, v0_3(&signed))
        .is_refused("transparency log", "entries in 2");
}

#[test]
fn two_promises_of_two_ct_logs() {
    let sigstore = VirtualSigstore::new();
    let second = CtLog::new(&sigstore.clock);
    let by = key();
    let template = sigstore.ca.template(&person(), by.public_key());
    let mut precertificate = template.clone();
    precertificate.extensions.push(Extension::ct_poison());
    let issuer = &sigstore.ca.issuer;
    let precertificate = issuer.certify(&precertificate);
    let promise = |log: &CtLog| log.promise(&precertificate, &issuer.certificate);
    let root = root_with(&sigstore, |root| root.ctlogs.push(second.trusted()));
    for (scts, good) in [
        (vec![promise(&sigstore.ct), promise(&sigstore.ct)], false),
        (vec![promise(&sigstore.ct), promise(&second)], true),
    ] {
        let mut template = template.clone();
        template
            .extensions
            .push(Extension::sct_list(&scts).unwrap());
        let leaf = issuer.certify(&template);
        let signed = sigstore.sign(
            What::File(FILE),
            By::Certificate(&by, &leaf),
            Proofs::REKOR_V1,
        );
        let mut ask = Ask::person();
        ask.sct = Need::AtLeast(2);
        let answer = ask.of(&root, bundle(&signed.bundle(Version::V0_3)));
        match good {
            true => answer.is_good(),
            false => answer.is_refused("certificate transparency", "promises of 2"),
        }
    }
}
