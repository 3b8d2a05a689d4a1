//! Revocations: who may revoke, what falls, and every way in which somebody could make too much or too little fall.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use sealmark_formats::Digest;
use sealmark_formats::revocation::{
    LogPosition, LogRange, REVOCATION_V1, Reason, Revocation, Scope, SignerName, Window,
};
use sealmark_formats::statement;
use sealmark_keys::PrivateKey;
use sealmark_verify::evidence::{Content, Evidence, Layout, Source};
use sealmark_verify::policy::{Identity, Match};
use sealmark_verify::report::{CheckName, Outcome, Report, Verdict};
use sealmark_verify::{
    Artifact, Demand, Kind, Policy, Requirement, Revocations, Signer, TrustedMaterial,
    verify_unless_revoked,
};
use sealmark_virtual::{By, DAY, HOUR, Proofs, START, VirtualSigstore, What};
use support::{EMAIL, FILE, ISSUER, LATER, key, person, statement, v0_3};

/// What signs artifacts in these tests: an attestation of a release.
const RELEASE: &str = "https://example.com/release";

/// A release team, a security team, and a stranger; all may write to the registry.
struct World {
    sigstore: VirtualSigstore,
    security: PrivateKey,
    stranger: PrivateKey,
}

/// A revocation's statement and its bundle.
struct Made {
    digest: Digest,
    content: Content,
}

impl World {
    fn new() -> Self {
        Self {
            sigstore: VirtualSigstore::new(),
            security: key(),
            stranger: key(),
        }
    }

    fn release(&self, by: By<'_>) -> Content {
        v0_3(
            &self
                .sigstore
                .sign(What::Statement(&statement(RELEASE)), by, Proofs::REKOR_V1),
        )
    }

    fn revoke(&self, by: By<'_>, revocation: &Revocation) -> Made {
        let subject = revocation.subject().unwrap_or_else(|| Digest::sha256(FILE));
        self.revoke_about(by, revocation, &subject)
    }

    fn revoke_about(&self, by: By<'_>, revocation: &Revocation, subject: &Digest) -> Made {
        let predicate = serde_json::value::to_raw_value(revocation).unwrap();
        let json = statement::attestation(&[("", subject)], REVOCATION_V1, &predicate);
        let signed = self
            .sigstore
            .sign(What::Statement(&json), by, Proofs::REKOR_V1);
        Made {
            digest: Digest::sha256(&json),
            content: v0_3(&signed),
        }
    }

    /// Verifies as a user does who asks for the person's release, and lets the security team revoke.
    fn ask(&self, signer: Signer, contents: &[&Content]) -> Report {
        self.ask_with(signer, contents, &Revocations::default())
    }

    fn ask_with(&self, signer: Signer, contents: &[&Content], more: &Revocations) -> Report {
        let policy = Policy {
            demands: vec![Demand {
                log: Requirement::AtLeast(1),
                ..Demand::new(Kind::BlobSignatureOrStatement, vec![signer])
            }],
            revokers: vec![Signer::Key(self.security.public_key().clone())],
        };
        let evidence: Vec<_> = contents
            .iter()
            .map(|content| attached((*content).clone()))
            .collect();
        let trust = TrustedMaterial::new(&self.sigstore.trusted_root());
        let artifact = Artifact::by_digest(Digest::sha256(FILE));
        verify_unless_revoked(&artifact, &evidence, &trust, &policy, more, LATER)
    }
}

fn attached(content: Content) -> Evidence {
    let source = Source {
        layout: Layout::Bundle,
        manifest: None,
        location: "registry".to_owned(),
    };
    Evidence { source, content }
}

fn the_person() -> Signer {
    Signer::Identity(Identity {
        issuer: Match::Exact(ISSUER.to_owned()),
        subject: Match::Exact(EMAIL.to_owned()),
        extensions: Vec::new(),
    })
}

fn name_of_person() -> Option<SignerName> {
    Some(SignerName::Identity {
        identity: EMAIL.to_owned(),
        issuer: ISSUER.to_owned(),
    })
}

fn name_of(key: &PrivateKey) -> Option<SignerName> {
    Some(SignerName::Key {
        key: key.public_key().id().digest().clone(),
    })
}

fn revocation(scope: Scope, signer: Option<SignerName>) -> Revocation {
    Revocation {
        scope,
        signer,
        reason: Reason::BuildCompromise,
        text: "the runner was taken over".to_owned(),
        supersedes: Vec::new(),
    }
}

fn of_file(signer: Option<SignerName>) -> Revocation {
    let digest = Digest::sha256(FILE);
    revocation(Scope::Artifact { digest }, signer)
}

#[track_caller]
fn falls(report: &Report, reason: &str) {
    assert_ne!(report.verdict, Verdict::Verified);
    let failures = report
        .attachments()
        .filter_map(|attachment| attachment.failure());
    let revoked: Vec<_> = failures
        .filter(|check| check.name == CheckName::Revocation)
        .map(|check| match &check.outcome {
            Outcome::Failed { found, .. } => found.clone(),
            other => format!("{other:?}"),
        })
        .collect();
    assert!(
        revoked.iter().any(|found| found.contains(reason)),
        "{revoked:?}"
    );
}

#[track_caller]
fn stays(report: &Report) {
    assert_eq!(report.verdict, Verdict::Verified, "{report:#?}");
}

#[track_caller]
fn ignored(report: &Report, reason: &str) {
    let reasons: Vec<_> = report
        .ignored_revocations
        .iter()
        .map(|one| &one.reason)
        .collect();
    assert!(reasons.iter().any(|it| it.contains(reason)), "{reasons:?}");
}

#[test]
fn who_signed_may_revoke_it() {
    let world = World::new();
    let (person, key) = (person(), key());
    for (by, name, signer) in [
        (By::Identity(&person), name_of_person(), the_person()),
        (
            By::Key(&key),
            name_of(&key),
            Signer::Key(key.public_key().clone()),
        ),
    ] {
        let release = world.release(by);
        stays(&world.ask(signer.clone(), &[&release]));
        let revoked = world.revoke(by, &of_file(name));
        let report = world.ask(signer, &[&release, &revoked.content]);
        falls(
            &report,
            "buildCompromise: the runner was taken over (by the signer",
        );
    }
}

#[test]
fn a_revoker_of_the_policy_may_revoke_what_others_signed() {
    let world = World::new();
    let person = person();
    let release = world.release(By::Identity(&person));
    let revoked = world.revoke(By::Key(&world.security), &of_file(name_of_person()));
    falls(
        &world.ask(the_person(), &[&revoked.content, &release]),
        "by a revoker of the policy",
    );
    // It says whose, and these are another's.
    let of_another = world.revoke(By::Key(&world.security), &of_file(name_of(&world.stranger)));
    let report = world.ask(the_person(), &[&of_another.content, &release]);
    stays(&report);
    ignored(&report, "none of these signatures");
}

#[test]
fn nobody_else_may_and_the_attempt_is_told() {
    let world = World::new();
    let person = person();
    let other = sealmark_virtual::Identity::email("other@example.com", ISSUER);
    let elsewhere = sealmark_virtual::Identity::email(EMAIL, "https://issuer.example.net");
    let release = world.release(By::Identity(&person));
    for by in [
        By::Key(&world.stranger),
        By::Identity(&other),
        By::Identity(&elsewhere),
    ] {
        let revoked = world.revoke(by, &of_file(name_of_person()));
        let report = world.ask(the_person(), &[&release, &revoked.content]);
        stays(&report);
        assert_eq!(report.ignored_revocations.len(), 1, "{report:#?}");
    }
}

/// The signature on it is good, and the log has never seen it: it could have been kept back until now.
#[test]
fn a_revocation_needs_the_proofs_that_a_signature_needs() {
    let world = World::new();
    let person = person();
    let release = world.release(By::Identity(&person));
    let predicate = serde_json::value::to_raw_value(&of_file(name_of_person())).unwrap();
    let subject = Digest::sha256(FILE);
    let json = statement::attestation(&[("", &subject)], REVOCATION_V1, &predicate);
    let by = By::Key(&world.security);
    let bare = v0_3(
        &world
            .sigstore
            .sign(What::Statement(&json), by, Proofs::NONE),
    );
    let report = world.ask(the_person(), &[&release, &bare]);
    stays(&report);
    ignored(&report, "transparency log");
}

#[test]
fn one_signature_of_several_falls() {
    let world = World::new();
    let person = person();
    let by = By::Identity(&person);
    let first = world
        .sigstore
        .sign(What::Statement(&statement(RELEASE)), by, Proofs::REKOR_V1);
    world.sigstore.clock.advance(HOUR);
    let second = world.release(by);
    let entry = &first.log_entries[0];
    let log_id = entry
        .log_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let artifact = Digest::sha256(FILE);
    for (signature, log_entry) in [
        (Some(Digest::sha256(first.signature())), None),
        (
            None,
            Some(LogPosition {
                log_id,
                log_index: entry.log_index,
            }),
        ),
    ] {
        let scope = Scope::Signature {
            artifact: artifact.clone(),
            signature,
            log_entry,
        };
        let revoked = world.revoke(By::Key(&world.security), &revocation(scope, None));
        let first = v0_3(&first);
        falls(
            &world.ask(the_person(), &[&first, &revoked.content]),
            "this signature",
        );
        stays(&world.ask(the_person(), &[&first, &second, &revoked.content]));
    }
}

/// A revocation of another artifact's signatures, attached to this one.
#[test]
fn a_revocation_is_not_replayed_to_another_artifact() {
    let world = World::new();
    let person = person();
    let release = world.release(By::Identity(&person));
    let other = Digest::sha256(b"another file");
    let scope = Scope::Artifact {
        digest: other.clone(),
    };
    let elsewhere = revocation(scope, name_of_person());
    let by = By::Key(&world.security);
    for revoked in [
        world.revoke(by, &elsewhere),
        // Its subject says this one, its scope another.
        world.revoke_about(by, &elsewhere, &Digest::sha256(FILE)),
        // And the other way round.
        world.revoke_about(by, &of_file(name_of_person()), &other),
    ] {
        stays(&world.ask(the_person(), &[&release, &revoked.content]));
    }
}

fn window(from: i64, to: i64) -> Window {
    Window {
        logs: Vec::new(),
        from: jiff::Timestamp::from_second(from).ok(),
        to: jiff::Timestamp::from_second(to).ok(),
    }
}

#[test]
fn what_was_signed_within_the_window_falls_and_the_rest_stays() {
    let world = World::new();
    let person = person();
    let by = By::Identity(&person);
    let mut releases = Vec::new();
    for _ in 0..3 {
        releases.push(world.release(by));
        world.sigstore.clock.advance(DAY);
    }
    let scope = Scope::Window(window(START + DAY - HOUR, START + DAY + HOUR));
    let revoked = world.revoke(by, &revocation(scope, name_of_person()));
    let ask = |release| world.ask(the_person(), &[release, &revoked.content]);
    stays(&ask(&releases[0]));
    falls(&ask(&releases[1]), "within the window");
    stays(&ask(&releases[2]));
}

#[test]
fn positions_in_a_log_decide_for_what_it_has() {
    let world = World::new();
    let key = key();
    let signer = Signer::Key(key.public_key().clone());
    let sign = || {
        let what = statement(RELEASE);
        world
            .sigstore
            .sign(What::Statement(&what), By::Key(&key), Proofs::REKOR_V1)
    };
    let releases = [sign(), sign(), sign()];
    let position = |index: usize| releases[index].log_entries[0].log_index;
    let log_id = world
        .sigstore
        .rekor_v1
        .id()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let scope = Scope::Window(Window {
        logs: vec![LogRange {
            log_id,
            from: Some(position(1)),
            to: Some(position(1)),
        }],
        // By time, all of them would fall.
        ..window(START - DAY, START + DAY)
    });
    let revoked = world.revoke(By::Key(&key), &revocation(scope, name_of(&key)));
    let ask = |index: usize| {
        let release = v0_3(&releases[index]);
        world.ask(signer.clone(), &[&release, &revoked.content])
    };
    stays(&ask(0));
    falls(&ask(1), &format!("log position {}", position(1)));
    stays(&ask(2));
}

/// Whoever stole an identity signs, and has it logged long after the break-in was over.
#[test]
fn a_certificate_of_the_window_falls_whenever_its_signature_is_shown() {
    let world = World::new();
    let person = person();
    let by = By::Identity(&person);
    let stolen = world.release(by);
    let log_id = world
        .sigstore
        .rekor_v1
        .id()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let scope = Scope::Window(Window {
        logs: vec![LogRange {
            log_id,
            from: Some(0),
            to: Some(1),
        }],
        ..window(START - HOUR, START + HOUR)
    });
    world.sigstore.clock.advance(DAY);
    let revoked = world.revoke(by, &revocation(scope, name_of_person()));
    falls(
        &world.ask(the_person(), &[&stolen, &revoked.content]),
        "its certificate is of",
    );
}

/// No log and no timestamp: nothing tells when it was made, whatever its maker says.
#[test]
fn what_nothing_dates_is_within_every_window() {
    let world = World::new();
    let key = key();
    let what = statement(RELEASE);
    let bare = v0_3(
        &world
            .sigstore
            .sign(What::Statement(&what), By::Key(&key), Proofs::NONE),
    );
    let scope = Scope::Window(window(START - DAY, START - HOUR));
    let revoked = world.revoke(By::Key(&key), &revocation(scope, name_of(&key)));
    let trust = TrustedMaterial::new(&world.sigstore.trusted_root());
    let policy = Policy::from(Demand {
        log: Requirement::IfPresent,
        ..Demand::new(
            Kind::BlobSignatureOrStatement,
            vec![Signer::Key(key.public_key().clone())],
        )
    });
    let artifact = Artifact::by_digest(Digest::sha256(FILE));
    let evidence = [attached(bare), attached(revoked.content)];
    let report = sealmark_verify::verify(&artifact, &evidence, &trust, &policy, LATER);
    falls(&report, "a time that nothing proves");
}

#[test]
fn a_revocation_is_taken_back_by_the_same_authority_alone() {
    let world = World::new();
    let person = person();
    let release = world.release(By::Identity(&person));
    let revoked = world.revoke(By::Key(&world.security), &of_file(name_of_person()));
    let back = Revocation {
        supersedes: vec![revoked.digest.clone()],
        reason: Reason::Mistake,
        ..revocation(Scope::Nothing {}, None)
    };
    let by_security = world.revoke(By::Key(&world.security), &back);
    let report = world.ask(
        the_person(),
        &[&release, &revoked.content, &by_security.content],
    );
    stays(&report);
    ignored(&report, "takes its place");
    // Two authorities that disagree: the one who says that it is revoked wins.
    for by in [By::Identity(&person), By::Key(&world.stranger)] {
        let other = world.revoke(by, &back);
        let report = world.ask(the_person(), &[&release, &revoked.content, &other.content]);
        falls(&report, "by a revoker of the policy");
    }
    // What was taken back does not come back with an old copy, and can be revoked anew.
    let copies = [
        &release,
        &by_security.content,
        &revoked.content,
        &revoked.content,
    ];
    stays(&world.ask(the_person(), &copies));
    let anew = Revocation {
        supersedes: vec![by_security.digest.clone()],
        ..of_file(name_of_person())
    };
    let anew = world.revoke(By::Key(&world.security), &anew);
    let all = [
        &release,
        &revoked.content,
        &by_security.content,
        &anew.content,
    ];
    falls(&world.ask(the_person(), &all), "by a revoker of the policy");
}

#[test]
fn revocations_from_elsewhere_count_as_those_attached() {
    let world = World::new();
    let person = person();
    let release = world.release(By::Identity(&person));
    let revoked = world.revoke(By::Key(&world.security), &of_file(name_of_person()));
    let more = Revocations {
        evidence: vec![attached(revoked.content)],
        ..Revocations::default()
    };
    falls(&world.ask_with(the_person(), &[&release], &more), "revoked");
    let stale = Revocations {
        evidence: Vec::new(),
        stale: Some("the feed is 3 days old".to_owned()),
        sources: Vec::new(),
    };
    falls(
        &world.ask_with(the_person(), &[&release], &stale),
        "3 days old",
    );
}

/// Somebody fills the registry with revocations, so that the good one is not looked at.
#[test]
fn a_flood_hides_nothing() {
    let world = World::new();
    let person = person();
    let release = world.release(By::Identity(&person));
    let good = world.revoke(By::Key(&world.security), &of_file(name_of_person()));
    let mut contents = vec![release];
    let mut noise = of_file(name_of_person());
    for number in 0..=sealmark_verify::revocation::MAX_REVOCATIONS {
        noise.text = number.to_string();
        contents.push(world.revoke(By::Key(&world.stranger), &noise).content);
    }
    contents.push(good.content);
    let all: Vec<_> = contents.iter().collect();
    let report = world.ask(the_person(), &all);
    falls(&report, "not all of them were looked at");
}

/// A newer program's revocation, by somebody who may: it is not passed over.
#[test]
fn a_revocation_that_cannot_be_read_is_no_reason_to_go_on() {
    let world = World::new();
    let person = person();
    let release = world.release(By::Identity(&person));
    let predicate = serde_json::value::RawValue::from_string(
        r#"{"scope":{"everySecond":{}},"reason":"mistake"}"#.to_owned(),
    );
    let subject = Digest::sha256(FILE);
    let json = statement::attestation(&[("", &subject)], REVOCATION_V1, &predicate.unwrap());
    let sign = |by| {
        v0_3(
            &world
                .sigstore
                .sign(What::Statement(&json), by, Proofs::REKOR_V1),
        )
    };
    let by_security = sign(By::Key(&world.security));
    falls(
        &world.ask(the_person(), &[&release, &by_security]),
        "cannot be read",
    );
    let by_stranger = sign(By::Key(&world.stranger));
    stays(&world.ask(the_person(), &[&release, &by_stranger]));
}

#[test]
fn a_revocation_is_no_signature_of_what_it_revokes() {
    let world = World::new();
    let person = person();
    let revoked = world.revoke(By::Identity(&person), &of_file(name_of_person()));
    let report = world.ask(the_person(), &[&revoked.content]);
    assert_ne!(report.verdict, Verdict::Verified);
}
