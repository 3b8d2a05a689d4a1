//! What a policy can ask for: attestations and what they say, how many signers, witnesses; and the policy file.

use std::collections::BTreeMap;

use sealmark_formats::bundle::{self, Bundle, Material};
use sealmark_formats::predicate_type::PredicateType;
use sealmark_formats::{Digest, dsse};
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_verify::evidence::{Content, Evidence, Layout, Source};
use sealmark_verify::policy::{self, Attestation, Condition, Match, Test};
use sealmark_verify::policy_file::{self, PolicyFile};
use sealmark_verify::report::{CheckName, Report, Verdict};
use sealmark_verify::{Artifact, Demand, Kind, Requirement, Signer, TrustedMaterial};
use serde_json::{Value, json};

const SLSA: &str = "https://slsa.dev/provenance/v1";
/// 2023-11-14T22:13:20Z
const NOW: i64 = 1_700_000_000;

fn key() -> PrivateKey {
    PrivateKey::generate(Algorithm::EcdsaP256).expect("a key")
}

fn image() -> Digest {
    Digest::sha256(b"an image")
}

fn attested(key: &PrivateKey, predicate_type: &str, predicate: &Value) -> Evidence {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": image().hex()}}],
        "predicateType": predicate_type,
        "predicate": predicate,
    });
    let mut envelope = dsse::Envelope {
        payload: statement.to_string().into_bytes(),
        payload_type: dsse::IN_TOTO_PAYLOAD_TYPE.to_owned(),
        signatures: Vec::new(),
    };
    let sig = key.sign(&envelope.pae()).expect("a signature");
    envelope
        .signatures
        .push(dsse::Signature { sig, keyid: None });
    let hint = key.public_key().id().hint();
    let bundle = Bundle::new(
        Material::PublicKey { hint },
        bundle::Content::Dsse(envelope),
    );
    Evidence {
        source: Source {
            layout: Layout::Bundle,
            manifest: None,
            location: format!("a bundle of type {predicate_type}"),
        },
        content: Content::from_bundle(&bundle.to_json()),
    }
}

fn demand(keys: &[&PrivateKey], attestation: Attestation) -> Demand {
    let signers = keys.iter().map(|key| Signer::Key(key.public_key().clone()));
    Demand {
        log: Requirement::not_checked("no log in this test"),
        ..Demand::new(Kind::Attestation(attestation), signers.collect())
    }
}

fn of_type(uri: &str) -> Attestation {
    Attestation {
        types: vec![PredicateType::Exact(uri.to_owned())],
        ..Attestation::default()
    }
}

fn verify(evidence: &[Evidence], demands: Vec<Demand>) -> Report {
    sealmark_verify::verify(
        &Artifact::by_digest(image()),
        evidence,
        &TrustedMaterial::default(),
        &sealmark_verify::Policy {
            demands,
            revokers: Vec::new(),
        },
        NOW,
    )
}

fn failed(report: &Report) -> Vec<CheckName> {
    report
        .attachments()
        .filter_map(|attachment| attachment.failure())
        .map(|check| check.name)
        .collect()
}

/// CVE-2022-35929: cosign took an attestation of any type for the one that was asked for.
#[test]
fn an_attestation_of_another_type_is_none_of_this_type() {
    let key = key();
    let evidence = [attested(
        &key,
        "https://example.com/review",
        &json!({"ok": true}),
    )];
    let report = verify(&evidence, vec![demand(&[&key], of_type(SLSA))]);
    assert_eq!(report.verdict, Verdict::NoSignatures);
    assert_eq!(failed(&report), [CheckName::Kind]);
}

#[test]
fn an_image_signature_is_no_attestation_unless_its_type_is_asked_for() {
    let key = key();
    let sign = sealmark_formats::statement::COSIGN_SIGN_V1;
    let evidence = [attested(&key, sign, &json!({}))];
    let any = verify(&evidence, vec![demand(&[&key], Attestation::default())]);
    assert_eq!(any.verdict, Verdict::NoSignatures);
    let this = verify(&evidence, vec![demand(&[&key], of_type(sign))]);
    assert_eq!(this.verdict, Verdict::Verified);
}

#[test]
fn a_predicate_that_says_otherwise_is_not_accepted() {
    let key = key();
    let wanted = || Attestation {
        predicate: vec![Condition {
            path: "/scanner/findings/*/severity".to_owned(),
            test: Test::NoneOf(vec![json!("CRITICAL")]),
        }],
        ..of_type(SLSA)
    };
    let scan = |severity: &str| {
        let predicate =
            json!({"scanner": {"findings": [{"severity": "LOW"}, {"severity": severity}]}});
        attested(&key, SLSA, &predicate)
    };
    let bad = verify(&[scan("CRITICAL")], vec![demand(&[&key], wanted())]);
    assert_eq!(bad.verdict, Verdict::NoMatchingSignatures);
    assert_eq!(failed(&bad), [CheckName::Predicate]);

    // One that is good is enough, unless every one is asked for.
    let both = [scan("CRITICAL"), scan("MEDIUM")];
    let any = verify(&both, vec![demand(&[&key], wanted())]);
    assert_eq!(any.verdict, Verdict::Verified);
    let every = Attestation {
        every: true,
        ..wanted()
    };
    let all = verify(&both, vec![demand(&[&key], every.clone())]);
    assert_eq!(all.verdict, Verdict::NoMatchingSignatures);
    // What a stranger attests can't block.
    let other = PrivateKey::generate(Algorithm::EcdsaP256).expect("a key");
    let predicate = json!({"scanner": {"findings": [{"severity": "CRITICAL"}]}});
    let by_stranger = [scan("LOW"), attested(&other, SLSA, &predicate)];
    let report = verify(&by_stranger, vec![demand(&[&key], every)]);
    assert_eq!(report.verdict, Verdict::Verified);
}

#[test]
fn every_demand_must_be_met() {
    let key = key();
    let evidence = [attested(&key, SLSA, &json!({}))];
    let report = verify(
        &evidence,
        vec![
            demand(&[&key], of_type(SLSA)),
            demand(&[&key], of_type("https://spdx.dev/Document")),
        ],
    );
    assert_eq!(report.verdict, Verdict::NoSignatures);
    assert_eq!(report.demands[0].verdict, Verdict::Verified);
    assert_eq!(report.demands[1].verdict, Verdict::NoSignatures);
}

/// In whatever order they are written.
#[test]
fn who_matches_two_signers_stands_for_the_one_that_is_left() {
    use sealmark_virtual::{By, Identity, Proofs, VirtualSigstore, What};
    let sigstore = VirtualSigstore::new();
    let statement = sealmark_formats::statement::image_signature(&image(), &BTreeMap::new());
    let evidence: Vec<Evidence> = ["a@example.com", "b@example.com"]
        .iter()
        .map(|email| {
            let person = Identity::email(email, "https://issuer.example.com");
            let what = What::Statement(&statement);
            let signed = sigstore.sign(what, By::Identity(&person), Proofs::REKOR_V1);
            Evidence {
                source: Source {
                    layout: Layout::Bundle,
                    manifest: None,
                    location: (*email).to_owned(),
                },
                content: Content::Bundle(Box::new(signed.bundle(bundle::Version::V0_3))),
            }
        })
        .collect();
    let identity = |subject| {
        Signer::Identity(policy::Identity {
            issuer: Match::Exact("https://issuer.example.com".to_owned()),
            subject,
            extensions: Vec::new(),
        })
    };
    let all = identity(Match::pattern("@example.com$").expect("a pattern"));
    let b = identity(Match::Exact("b@example.com".to_owned()));
    for signers in [vec![all.clone(), b.clone()], vec![b, all]] {
        let demand = Demand {
            threshold: 2,
            ..Demand::new(Kind::ImageSignature, signers)
        };
        let verify = |evidence: &[Evidence]| {
            sealmark_verify::verify(
                &Artifact::by_digest(image()),
                evidence,
                &TrustedMaterial::new(&sigstore.trusted_root()),
                &demand.clone().into(),
                sealmark_virtual::START + sealmark_virtual::DAY,
            )
        };
        assert_eq!(verify(&evidence).verdict, Verdict::Verified);
        assert_eq!(
            verify(&evidence[1..]).verdict,
            Verdict::NoMatchingSignatures
        );
    }
}

#[test]
fn a_threshold_counts_signers_and_says_who_is_missing() {
    let (one, two) = (key(), key());
    let evidence = [
        attested(&one, SLSA, &json!({})),
        attested(&one, SLSA, &json!({"again": 1})),
    ];
    let both = Demand {
        threshold: 2,
        ..demand(&[&one, &two], of_type(SLSA))
    };
    let report = verify(&evidence, vec![both.clone()]);
    assert_eq!(report.verdict, Verdict::NoMatchingSignatures);
    let signed: Vec<_> = report.demands[0]
        .signers
        .iter()
        .map(|signer| signer.signed)
        .collect();
    assert_eq!(signed, [true, false]);

    let evidence = [
        attested(&one, SLSA, &json!({})),
        attested(&two, SLSA, &json!({})),
    ];
    assert_eq!(verify(&evidence, vec![both]).verdict, Verdict::Verified);
}

#[test]
fn witnesses_that_are_asked_for_must_have_seen_the_log() {
    use sealmark_virtual::{By, Proofs, VirtualSigstore, What, Witness};
    let mut sigstore = VirtualSigstore::new();
    let (one, two, stranger) = (
        Witness::new("one.example"),
        Witness::new("two.example"),
        Witness::new("three.example"),
    );
    let named = |witness: &Witness| (witness.name.clone(), witness.key.public_key().clone());
    let known = vec![named(&one), named(&two)];
    let signer = key();
    // The witnesses that cosign, how many of the two known ones are needed, and whether that is enough.
    let table: [(Vec<Witness>, usize, bool); 4] = [
        (vec![], 1, false),
        (vec![stranger], 1, false),
        (vec![one], 2, false),
        (vec![two], 1, true),
    ];
    for (witnesses, threshold, enough) in table {
        sigstore.rekor_v2.witnesses = witnesses;
        let by = By::Key(&signer);
        let proofs = Proofs {
            timestamp: true,
            ..Proofs::REKOR_V2
        };
        let signed = sigstore.sign(What::File(b"file"), by, proofs);
        let evidence = [Evidence {
            source: Source {
                layout: Layout::File,
                manifest: None,
                location: "a bundle".to_owned(),
            },
            content: Content::Bundle(Box::new(signed.bundle(bundle::Version::V0_3))),
        }];
        let demand = Demand {
            witnesses: Some(policy::Witnesses {
                witnesses: known.clone(),
                threshold,
            }),
            ..Demand::new(
                Kind::BlobSignature,
                vec![Signer::Key(signer.public_key().clone())],
            )
        };
        let report = sealmark_verify::verify(
            &Artifact::by_digest(Digest::sha256(b"file")),
            &evidence,
            &TrustedMaterial::new(&sigstore.trusted_root()),
            &demand.into(),
            sealmark_virtual::START + sealmark_virtual::DAY,
        );
        assert_eq!(report.verdict == Verdict::Verified, enough, "{report:#?}");
        if !enough {
            assert_eq!(failed(&report), [CheckName::TransparencyLog]);
        }
    }
}

/// cosign 3.1.3 writes such bundles for certificates of one's own CA.
#[test]
fn a_chain_in_a_new_bundle_is_accepted_only_if_that_is_asked_for() {
    use sealmark_virtual::{By, Identity, Proofs, VirtualSigstore, What};
    let sigstore = VirtualSigstore::new();
    let person = Identity::email("person@example.com", "https://issuer.example.com");
    let signed = sigstore.sign(What::File(b"file"), By::Identity(&person), Proofs::REKOR_V1);
    let mut bundle = signed.bundle(bundle::Version::V0_3);
    let Material::Certificate(leaf) = bundle.material else {
        panic!("a certificate")
    };
    let issuer = sigstore.ca.issuer.certificate.der().to_vec();
    bundle.material = Material::CertificateChain(vec![leaf, issuer]);
    let evidence = [Evidence {
        source: Source {
            layout: Layout::File,
            manifest: None,
            location: "a bundle".to_owned(),
        },
        content: Content::Bundle(Box::new(bundle)),
    }];
    let text = |text: &str| Match::Exact(text.to_owned());
    let identity = Signer::Identity(policy::Identity {
        issuer: text("https://issuer.example.com"),
        subject: text("person@example.com"),
        extensions: Vec::new(),
    });
    for (allow_certificate_chain, verdict) in [
        (false, Verdict::NoMatchingSignatures),
        (true, Verdict::Verified),
    ] {
        let demand = Demand {
            allow_certificate_chain,
            ..Demand::new(Kind::BlobSignature, vec![identity.clone()])
        };
        let report = sealmark_verify::verify(
            &Artifact::by_digest(Digest::sha256(b"file")),
            &evidence,
            &TrustedMaterial::new(&sigstore.trusted_root()),
            &demand.into(),
            sealmark_virtual::START + sealmark_virtual::DAY,
        );
        assert_eq!(report.verdict, verdict, "{report:#?}");
    }
}

const FILE: &str = r#"
version: 1
signers:
  release: {key: release.pub}
  ci:
    issuerPattern: ^https://token\.actions\.
    subject: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
    githubWorkflow: {repository: acme/app, ref: refs/heads/main}
rules:
  - images: ["registry.example.com/acme/*"]
    signature: {signers: [release], annotations: {stage: prod}}
    attestations:
      - type: [slsaprovenance1, sbom]
        signers: [ci, {key: "awskms:///alias/x"}]
        threshold: 2
        every: true
        predicate:
          - path: /buildDefinition/buildType
            oneOf: [a, 1, true]
          - {path: /metadata/finished, maxAge: 7d}
    log: 2
    timestamp: required
    sct: ignored
  - files: ["*.tar.gz", dist/**]
    signature: {signers: [release]}
    log: ignored
"#;

#[test]
fn a_policy_file_becomes_a_policy() {
    let file = PolicyFile::parse(FILE).expect("a policy");
    let rule = file
        .rule(policy_file::Artifact::Image(
            "registry.example.com/acme/app",
        ))
        .expect("a rule");
    assert_eq!(
        rule.keys(&file).expect("keys"),
        ["awskms:///alias/x", "release.pub"]
    );
    let (one, two) = (key(), key());
    let keys = BTreeMap::from([
        ("release.pub".to_owned(), one.public_key().clone()),
        ("awskms:///alias/x".to_owned(), two.public_key().clone()),
    ]);
    let policy = rule
        .policy(&file, &keys, &BTreeMap::new())
        .expect("a policy");
    let [signature, attestation] = policy.demands.as_slice() else {
        panic!("two demands, not {:#?}", policy.demands);
    };
    assert!(matches!(signature.kind, Kind::ImageSignature));
    assert_eq!(signature.annotations["stage"], "prod");
    assert_eq!(signature.log, Requirement::AtLeast(2));
    assert_eq!(signature.timestamp, Requirement::AtLeast(1));
    assert!(matches!(signature.sct, Requirement::NotChecked { .. }));
    assert_eq!((attestation.threshold, attestation.signers.len()), (2, 2));
    assert_eq!(
        attestation.signers[0].to_string(),
        "identity \"https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main\" of issuer \
         /^https://token\\.actions\\./ with GitHub workflow repository \"acme/app\" with GitHub workflow ref \
         \"refs/heads/main\"",
    );
    let Kind::Attestation(wanted) = &attestation.kind else {
        panic!("an attestation, not {}", attestation.kind);
    };
    assert_eq!(
        (wanted.types.len(), wanted.predicate.len(), wanted.every),
        (3, 2, true)
    );
    assert_eq!(
        rule.policy(&file, &BTreeMap::new(), &BTreeMap::new())
            .expect_err("no keys")
            .to_string(),
        "the key awskms:///alias/x was not loaded",
    );
}

#[test]
fn the_first_rule_that_fits_decides() {
    let file = PolicyFile::parse(FILE).expect("a policy");
    let fits = |artifact| file.rule(artifact).is_some();
    assert!(fits(policy_file::Artifact::File("out/app.tar.gz")));
    assert!(fits(policy_file::Artifact::File("dist/x/y")));
    assert!(!fits(policy_file::Artifact::File("app.zip")));
    assert!(!fits(policy_file::Artifact::Image("app.tar.gz")));
    assert!(!fits(policy_file::Artifact::Image(
        "registry.example.com/acme/app/sub"
    )));
}

#[test]
fn what_is_written_is_read_again() {
    let file = PolicyFile::parse(FILE).expect("a policy");
    let yaml = file.to_yaml();
    let again = PolicyFile::parse(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    assert_eq!(again.to_yaml(), yaml);
    assert_eq!(format!("{again:?}"), format!("{file:?}"));
}

/// `yes` and `no` stand for policies in some language.
#[derive(Debug)]
struct Word(String);

impl policy::PredicateCheck for Word {
    fn name(&self) -> String {
        self.0.clone()
    }

    fn asks(&self) -> String {
        "it to be yes".to_owned()
    }

    fn check(&self, _: &str) -> Result<(), String> {
        match self.0.as_str() {
            "yes" => Ok(()),
            other => Err(other.to_owned()),
        }
    }
}

const PROGRAMS: &str = r#"version: 1
rules:
  - images: ["**"]
    log: ignored
    attestations:
      - type: slsaprovenance1
        signers: [{key: k}]
        slsa:
          builderId: https://builder.example/a
          ref: refs/heads/main
          versionedTag: v1.2
          level: 1
          materials: [git+https://git.example/app@sha256:0000000000000000000000000000000000000000000000000000000000000000]
          inputs: {debug: false, jobs: 5, mode: "yes"}
        rego:
          - a.rego
          - b.rego
        cel:
          - predicate.score >= 7
          - file: c.cel
        every: true
"#;

#[test]
fn a_policy_file_names_provenance_and_policies_in_other_languages() {
    use sealmark_verify::policy_file::Program;
    let file = PolicyFile::parse(PROGRAMS).expect("a policy");
    // What is written is read again, and says the same.
    let again = PolicyFile::parse(&file.to_yaml()).expect("a policy");
    assert_eq!(again.to_yaml(), file.to_yaml());
    let rule = &file.rules[0];
    let programs = rule.programs();
    let rego = Program::Rego(vec!["a.rego".to_owned(), "b.rego".to_owned()]);
    let cel = Program::Cel("predicate.score >= 7".to_owned());
    let cel_file = Program::CelFile("c.cel".to_owned());
    assert_eq!(
        programs,
        [
            (rego.clone(), Some(16)),
            (cel.clone(), Some(19)),
            (cel_file.clone(), Some(20))
        ]
    );
    let signer = key();
    let keys = BTreeMap::from([("k".to_owned(), signer.public_key().clone())]);
    let check = |word: &str| -> std::sync::Arc<dyn policy::PredicateCheck> {
        std::sync::Arc::new(Word(word.to_owned()))
    };
    let mut checks = BTreeMap::from([(rego.clone(), check("yes")), (cel, check("yes"))]);
    let error = rule.policy(&file, &keys, &checks).expect_err("one lacks");
    assert_eq!(
        error.to_string(),
        "the policy in CEL c.cel was not compiled"
    );
    checks.insert(cel_file, check("yes"));
    let policy = rule.policy(&file, &keys, &checks).expect("a policy");
    let Kind::Attestation(wanted) = &policy.demands[0].kind else {
        panic!("an attestation");
    };
    let slsa = wanted.slsa.as_ref().expect("provenance");
    assert_eq!(slsa.git_ref.as_deref(), Some("refs/heads/main"));
    assert_eq!(slsa.versioned_tag.as_deref(), Some("v1.2"));
    assert_eq!(slsa.materials[0].uri, "git+https://git.example/app");
    assert_eq!(
        slsa.inputs,
        [("debug", "false"), ("jobs", "5"), ("mode", "yes")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!((wanted.checks.len(), wanted.every), (3, true));

    // Whoever says no is heard.
    let yes = "version: 1\nrules: [{images: ['**'], log: ignored, attestations: [{type: 'https://e.example/r', \
               signers: [{key: k}], rego: [a.rego, b.rego]}]}]";
    let file = PolicyFile::parse(yes).expect("a policy");
    for (word, verdict) in [
        ("yes", Verdict::Verified),
        ("no", Verdict::NoMatchingSignatures),
    ] {
        let checks = BTreeMap::from([(rego.clone(), check(word))]);
        let policy = file.rules[0].policy(&file, &keys, &checks).expect("one");
        let evidence = attested(&signer, "https://e.example/r", &json!({"a": 1}));
        let report = verify(&[evidence], policy.demands);
        assert_eq!(report.verdict, verdict, "{word}: {report:#?}");
    }
}

#[test]
fn mistakes_in_what_attestations_must_say_have_their_line() {
    for (from, to, expected) in [
        ("versionedTag: v1.2", "versionedTag: '1.2'", "line 11"),
        (
            "versionedTag: v1.2",
            "versionedTag: '1.2'",
            "1.2: a version is written v1, v1.2 or v1.2.3",
        ),
        ("level: 1", "level: 4", "4: SLSA has build levels 1 to 3"),
        ("level: 1", "level: 4", "line 12"),
        ("level: 1", "levels: 1", "levels"),
        (
            "ref: refs/heads/main",
            "ref: ''",
            "it is empty: is a variable not set?",
        ),
        ("ref: refs/heads/main", "ref: ", "line 10"),
        (
            "debug: false",
            "debug: [1]",
            "an input is a text, a number, or true or false",
        ),
        (
            "materials: [git+https://git.example/app@",
            "materials: ['@",
            "names no material",
        ),
        (
            "- predicate.score >= 7",
            "- ''",
            "line 6: rules[0]: attestations[0]: cel is empty, in line 19",
        ),
        (
            "- file: c.cel",
            "- files: c.cel",
            "an expression in CEL, which is a text",
        ),
        ("- a.rego", "- ", "line 16"),
        (
            "type: slsaprovenance1",
            "type: slsa11",
            "line 6: rules[0]: attestations[0]: \"slsa11\" is no predicate type",
        ),
        (
            "images: [\"**\"]",
            "images: []",
            "line 3: rules[0]: it is for nothing",
        ),
    ] {
        let mut yaml = PROGRAMS.replace(from, to);
        if to.starts_with("materials") {
            yaml = yaml.replace("0]\n", "0']\n");
        }
        assert_ne!(yaml, PROGRAMS, "{from}");
        let error = PolicyFile::parse(&yaml).expect_err(to).to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}

/// What is wrong, and the message.
#[test]
fn mistakes_are_told_where_they_are() {
    let rule = |rule: &str| format!("version: 1\nrules:\n  - {rule}\n");
    let key = "signature: {signers: [{key: a}]}";
    let table = [
        (
            "version: 2\nrules: []".to_owned(),
            "version is 2, and this program reads version 1",
        ),
        (
            rule("{signature: {signers: [{key: a}]}}"),
            "rules[0]: it is for nothing: give images or files",
        ),
        (
            rule("{images: [r.example/a]}"),
            "rules[0]: it asks for nothing: give signature or attestations",
        ),
        (
            rule(&format!("{{images: [r.example/a], files: [b], {key}}}")),
            "rules[0]: it is for images and files: make two rules of it",
        ),
        (
            rule(&format!("{{images: ['r.example/b:v1'], {key}}}")),
            "names a tag or digest",
        ),
        (
            rule("{images: [r.example/a], signature: {signers: [x]}}"),
            "rules[0]: signature: there is no signer \"x\"; signers has none",
        ),
        (
            rule("{images: [r.example/a], signature: {signers: []}}"),
            "rules[0]: signature: signers is empty: nobody could sign",
        ),
        (
            rule("{images: [r.example/a], signature: {signers: [{key: a}], threshold: 2}}"),
            "threshold 2: of 1 signers between 1 and 1",
        ),
        (
            rule("{images: [r.example/a], signature: {signers: [{key: a, subject: b}]}}"),
            "a signer is a key or an identity, not both",
        ),
        (
            rule("{images: [r.example/a], signature: {signers: [{subject: b}]}}"),
            "an identity needs issuer or issuerPattern",
        ),
        (
            rule(
                "{images: [r.example/a], signature: {signers: [{subjectPattern: '(', issuer: b}]}}",
            ),
            "subjectPattern \"(\": regex parse error",
        ),
        (
            rule(
                "{images: [r.example/a], signature: {signers: [{subjectPattern: '', issuer: b}]}}",
            ),
            "it is empty, and would be found in everything",
        ),
        (
            rule(&format!("{{images: [r.example/a], {key}, log: 0}}")),
            "log: 0 is asked for; write ignored",
        ),
        (
            rule(&format!("{{images: [r.example/a], {key}, logs: 1}}")),
            "logs",
        ),
        (
            rule("{images: [r.example/a], attestations: [{type: slsa1, signers: [{key: a}]}]}"),
            "\"slsa1\" is no predicate type: did you mean slsa?",
        ),
        (
            rule(
                "{images: [r.example/a], attestations: [{signers: [{key: a}], predicate: [{path: a, exists: true}]}]}",
            ),
            "rules[0]: attestations[0]: predicate[0]: \"a\" is not a JSON pointer",
        ),
        (
            rule(
                "{images: [r.example/a], attestations: [{signers: [{key: a}], predicate: [{path: /a}]}]}",
            ),
            "nothing is asked of \"/a\"",
        ),
        (
            rule(
                "{images: [r.example/a], attestations: [{signers: [{key: a}], predicate: [{path: /a, maxAge: 7}]}]}",
            ),
            "maxAge",
        ),
        (
            rule("{images: [r.example/a], attestations: [{type: [], signers: [{key: a}]}]}"),
            "type is an empty list",
        ),
        (
            rule(
                "{images: [r.example/a], attestations: [{signers: [{key: a}], predicate: [{path: /a, noneOf: []}]}]}",
            ),
            "an empty list is asked of \"/a\"",
        ),
        // A variable of a template that was not set.
        (
            rule("{images: [r.example/a], signature: null, attestations: [{signers: [{key: a}]}]}"),
            "signature",
        ),
        (
            rule(
                "{images: [r.example/a], signature: {signers: [{issuer: a, subject: b, githubWorkflow: {ref: null}}]}}",
            ),
            "a signer is a name from signers",
        ),
        (
            rule("{images: [nginx], signature: {signers: [{key: a}]}}"),
            "has no registry",
        ),
        (
            rule("{images: [r.example/a], signature: {signers: [{key: a}]}, log: off}"),
            "log is required, ifPresent, ignored, a number, or {atLeast",
        ),
        (
            rule(
                "{images: [r.example/a], signature: {signers: [{key: a}]}, log: {atLeast: ignored, witnesses: [{key: a}]}}",
            ),
            "witnesses need a log",
        ),
    ];
    for (yaml, expected) in table {
        let error = PolicyFile::parse(&yaml).expect_err(&yaml).to_string();
        assert!(error.contains(expected), "{yaml}\n{error}");
    }
}

#[test]
fn a_mistake_is_quoted_in_part() {
    let yaml = format!("version: 1\nrules: [{{{}: 1}}]\n", "x".repeat(100_000));
    let error = PolicyFile::parse(&yaml)
        .expect_err("no such field")
        .to_string();
    assert!(error.len() < 2000, "{} bytes", error.len());
}

/// `docs/policy.md`
#[test]
fn the_examples_of_the_manual_are_policies() {
    let manual = include_str!("../../../docs/policy.md");
    let examples: Vec<&str> = manual
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("an end"))
        .collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        PolicyFile::parse(example).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
    // Every name that the manual lists is known, and the other way round.
    let unknown = PredicateType::named("?").expect_err("no type").to_string();
    let known = unknown.split("Known are ").nth(1).expect("a list");
    for name in known.trim_end_matches(", and every URI").split(", ") {
        assert!(
            manual.contains(&format!("`{name}`")),
            "{name} is not in the manual"
        );
    }
}
