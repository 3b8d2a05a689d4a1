//! Policies in Rego and CEL on what attestations say: in Rego the verdicts are those of cosign 3 (cosign 2, as Debian has
//! it, knows no Rego), and whatever goes wrong in a policy is a no with its cause.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use std::time::{Duration, Instant};

use bench::{Bench, Registries, Tool, have, json};
use sealmark_testkit::{Finished, images};

const PEERS: [&str; 3] = ["skopeo", "cosign2", "cosign3"];
const REVIEW: &str = "https://example.com/review/v1";
const BY_BOB: &str =
    r#"{"reviewer":"bob","score":7,"ratio":0.5,"findings":[{"severity":"LOW"}],"version":"1.4.0"}"#;
const BY_EVE: &str = r#"{"reviewer":"eve","score":7,"findings":[]}"#;

/// Policies as they are written for cosign: their files' texts, and whether the review by bob is allowed.
const REGO: [(&str, &[&str], bool); 19] = [
    (
        "a condition that holds",
        &[
            "package signature\ndefault allow = false\nallow { input.predicate.reviewer == \"bob\" }",
        ],
        true,
    ),
    (
        "one that does not",
        &[
            "package signature\ndefault allow = false\nallow { input.predicate.reviewer == \"eve\" }",
        ],
        false,
    ),
    (
        "without a default it is undefined",
        &["package signature\nallow { input.predicate.reviewer == \"eve\" }"],
        false,
    ),
    (
        "a text is not true",
        &["package signature\nallow = \"true\""],
        false,
    ),
    ("nor is a number", &["package signature\nallow = 1"], false),
    (
        "no rule of that name",
        &["package signature\npermit { true }"],
        false,
    ),
    (
        "messages of deny decide nothing",
        &["package signature\nallow { true }\ndeny[msg] { msg := \"no\" }"],
        true,
    ),
    (
        "the input is the whole statement",
        &[
            "package signature\nallow { input.predicateType == \"https://example.com/review/v1\"\n  startswith(input._type, \"https://in-toto.io/Statement/\")\n  count(input.subject[0].digest.sha256) == 64 }",
        ],
        true,
    ),
    (
        "numbers, and something that is not there",
        &[
            "package signature\nallow { input.predicate.score >= 7; input.predicate.ratio < 1; not input.predicate.waived }",
        ],
        true,
    ),
    (
        "over lists, by negation",
        &[
            "package signature\nbad { input.predicate.findings[_].severity == \"CRITICAL\" }\nallow { not bad }",
        ],
        true,
    ),
    (
        "comprehensions and functions of one's own",
        &[
            "package signature\nlow(f) { f.severity == \"LOW\" }\nallow { n := count([f | f := input.predicate.findings[_]; low(f)]); n == 1 }",
        ],
        true,
    ),
    (
        "builtins of texts",
        &[
            "package signature\nallow { regex.match(`^b.b$`, input.predicate.reviewer)\n  sprintf(\"%s-%d\", [\"a\", 3]) == \"a-3\"\n  base64.decode(\"aGk=\") == \"hi\"\n  glob.match(\"*.example\", [\".\"], \"a.example\")\n  semver.compare(input.predicate.version, \"1.3.9\") == 1\n  concat(\",\", {\"b\", \"a\"}) == \"a,b\" }",
        ],
        true,
    ),
    (
        "a builtin that fails is undefined",
        &["package signature\nallow { to_number(input.predicate.reviewer) == 1 }"],
        false,
    ),
    (
        "and its negation is true",
        &[
            "package signature\nfine { to_number(input.predicate.reviewer) == 1 }\nallow { not fine }",
        ],
        true,
    ),
    (
        "two values of one rule",
        &[
            "package signature\nallow = true { input.predicate.score == 7 }\nallow = false { input.predicate.reviewer == \"bob\" }",
        ],
        false,
    ),
    (
        "two files, of which one is a library",
        &[
            "package signature\nimport data.people\nallow { people.known[input.predicate.reviewer] }",
            "package people\nknown = {\"bob\", \"carol\"}",
        ],
        true,
    ),
    (
        "two files with a rule each",
        &[
            "package signature\nallow { input.predicate.reviewer == \"eve\" }",
            "package signature\nallow { input.predicate.reviewer == \"bob\" }",
        ],
        true,
    ),
    (
        "the words of version 1, imported",
        &[
            "package signature\nimport rego.v1\nallow if { some f in input.predicate.findings; f.severity == \"LOW\" }",
        ],
        true,
    ),
    (
        "another package",
        &["package policy\nallow { true }"],
        false,
    ),
];

fn ground() -> Bench {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "alice");
    bench
}

/// A review of `app.txt` by alice's key, in `NAME.json`.
fn review(bench: &Bench, name: &str, predicate: &str) {
    bench.sandbox.write("app.txt", "hello");
    bench.sandbox.write("predicate.json", predicate);
    let bundle = format!("{name}.json");
    bench
        .sealmark(&[
            "attest-blob",
            "--key",
            "alice.key",
            "--type",
            REVIEW,
            "--predicate",
            "predicate.json",
            "--bundle",
            &bundle,
            "app.txt",
        ])
        .success();
}

/// What is said of the review in `bob.json`, by these words of `verify-blob-attestation`.
fn verify(bench: &Bench, words: &[&str]) -> Finished {
    let all = [
        "verify-blob-attestation",
        "--key",
        "alice.pub",
        "--type",
        REVIEW,
    ];
    bench.sealmark(&[&all[..], &["--bundle", "bob.json"], words, &["app.txt"]].concat())
}

#[test]
fn policies_in_rego_have_the_verdicts_of_cosign() {
    let (true, Some(images)) = (have(&PEERS), images()) else {
        return;
    };
    let bench = ground();
    let registries = Registries::start();
    let registry = registries.addresses()[0];
    let image = |tool: Tool| format!("{registry}/{}:v1", tool.name());
    let attest = |tool: Tool, predicate: &str| {
        bench.sandbox.write("predicate.json", predicate);
        let attest = bench.run(tool).args(["attest", "--key", "alice.key"]);
        let attest = match tool {
            Tool::Cosign3 => attest.arg("--signing-config").arg(&bench.signing_config),
            _ => attest.arg("--tlog-upload=false"),
        };
        attest
            .args(["--yes", "--allow-http-registry", "--type", REVIEW])
            .args(["--predicate", "predicate.json", &image(tool)])
            .run()
            .success();
    };
    let verdict = |program: Tool, of: Tool, words: &[&str]| {
        let own: &[&str] = match program {
            Tool::Sealmark => &[],
            _ => &["--insecure-ignore-tlog", "--allow-http-registry"],
        };
        bench
            .run(program)
            .args(["verify-attestation", "--key", "alice.pub", "--type", REVIEW])
            .args(own)
            .args(words)
            .arg(image(of))
            .run()
    };
    for tool in [Tool::Cosign2, Tool::Cosign3] {
        assert!(images.push(&bench.sandbox, images.single, &image(tool)));
        attest(tool, BY_BOB);
        for (index, (what, texts, allowed)) in REGO.iter().enumerate() {
            let mut words = Vec::new();
            for (part, text) in texts.iter().enumerate() {
                let file = format!("{index}-{part}.rego");
                bench.sandbox.write(&file, text);
                words.extend(["--policy".to_owned(), file]);
            }
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let ours = verdict(Tool::Sealmark, tool, &words);
            match (*allowed, *what) {
                (true, _) => ours.success(),
                (false, "another package") => ours.code(1),
                (false, _) => ours.code(12),
            };
            if tool == Tool::Cosign3 {
                let theirs = verdict(tool, tool, &words);
                assert_eq!(theirs.exit_code() == Some(0), *allowed, "{what}: {theirs}");
            }
        }
        // Of several every one must be allowed, for cosign and so for us; unless one is enough.
        attest(tool, BY_EVE);
        let policy = ["--policy", "0-0.rego"];
        if tool == Tool::Cosign3 {
            verdict(tool, tool, &policy)
                .code(1)
                .stderr_has("1 validation errors occurred");
        }
        verdict(Tool::Sealmark, tool, &policy).code(12);
        verdict(Tool::Sealmark, tool, &[&policy[..], &["--all"]].concat()).code(12);
        let any = [&policy[..], &["--any"]].concat();
        verdict(Tool::Sealmark, tool, &any).success();
        let predicates = verdict(
            Tool::Sealmark,
            tool,
            &[&any[..], &["-o", "predicate"]].concat(),
        );
        let predicates: serde_json::Value =
            serde_json::from_str(&predicates.success().stdout()).unwrap();
        assert_eq!(predicates["reviewer"], "bob");
    }
}

#[test]
fn conditions_in_cel_judge_the_statement() {
    let bench = ground();
    review(&bench, "bob", BY_BOB);
    for (expression, allowed) in [
        ("predicate.reviewer == 'bob'", true),
        ("predicate.reviewer == \"eve\"", false),
        (
            "predicate.score >= 7 && predicate.score + 1 == 8 && predicate.ratio < 1.0",
            true,
        ),
        ("predicate.findings.all(f, f.severity != 'CRITICAL')", true),
        (
            "predicate.findings.exists(f, f.severity == 'CRITICAL')",
            false,
        ),
        (
            "size(predicate.findings) == 1 && !has(predicate.waived)",
            true,
        ),
        ("predicateType == 'https://example.com/review/v1'", true),
        (
            "subject[0].name == 'app.txt' && size(subject[0].digest.sha256) == 64",
            true,
        ),
        (
            "statement.predicate == predicate && statement.predicateType == predicateType",
            true,
        ),
        (
            "predicate.reviewer.matches('^b.b$') && predicate.version.startsWith('1.')",
            true,
        ),
        ("predicate.reviewer in ['bob', 'carol']", true),
        // Neither true nor false, not there, not known, of the wrong type.
        ("predicate.reviewer", false),
        ("predicate.waived == true", false),
        ("predicat.reviewer == 'bob'", false),
        ("predicate.reviewer > 3", false),
    ] {
        let finished = verify(&bench, &["--cel", expression]);
        match allowed {
            true => finished.success(),
            false => finished.code(12).stderr_has("CEL expression "),
        };
    }
    // Every one must be true; a file is as good.
    bench.sandbox.write(
        "review.cel",
        "// By bob.\npredicate.reviewer == 'bob' &&\n  predicate.score > 6\n",
    );
    let both = ["--policy", "review.cel", "--cel", "predicate.score < 8"];
    let report = json(&verify(&bench, &[&both[..], &["-o", "json"]].concat()).success());
    assert!(
        report
            .to_string()
            .contains("CEL policy review.cel: yes, CEL expression predicate.score < 8: yes"),
        "{report}"
    );
    verify(
        &bench,
        &["--policy", "review.cel", "--cel", "predicate.score > 8"],
    )
    .code(12)
    .stderr_has("expected CEL expression predicate.score > 8: it to be true")
    .stderr_has("found it to be false");
    verify(&bench, &["--cel", "predicate.waived == true"])
        .code(12)
        .stderr_has("No such key: waived");
    verify(&bench, &["--cel", "predicate.reviewer == "])
        .code(1)
        .stderr_has("is no expression in CEL: line 1, column ");
    let deep = format!("{}1{} == 1", "(".repeat(20_000), ")".repeat(20_000));
    bench.sandbox.write("deep.cel", &deep);
    verify(&bench, &["--policy", "deep.cel"])
        .code(1)
        .stderr_has("deep.cel is no expression in CEL");
}

#[test]
fn a_policy_says_what_is_wrong_and_where() {
    let bench = ground();
    review(&bench, "bob", BY_BOB);
    let rego = |name: &str, text: &str| {
        bench.sandbox.write(name, text);
        verify(&bench, &["--policy", name])
    };
    rego("why.rego", "package signature\nallow { false }\ndeny[msg] { msg := sprintf(\"%s is no reviewer\", [input.predicate.reviewer]) }")
        .code(12)
        .stderr_has("expected Rego policy why.rego: data.signature.allow to be true")
        .stderr_has("found it to be undefined: bob is no reviewer");
    rego(
        "broken.rego",
        "package signature\n\nallow { input.predicate == }\n",
    )
    .code(1)
    .stderr_has("policy in Rego, broken.rego:")
    .stderr_has("broken.rego:3:");
    rego("other.rego", "package policy\nallow { true }")
        .code(1)
        .stderr_has("other.rego: a policy in Rego on attestations has `package signature`")
        .stderr_has("package policy");
    // No clock, no network.
    for call in [
        "time.now_ns() > 0",
        "http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1:9\"}).status_code == 200",
    ] {
        rego(
            "world.rego",
            &format!("package signature\nallow {{ {call} }}"),
        )
        .code(12);
    }
    rego(
        "deep.rego",
        &format!(
            "package signature\nallow {{ {}1{} == 1 }}",
            "(".repeat(400_000),
            ")".repeat(400_000)
        ),
    )
    .code(1);
    verify(&bench, &["--policy", "none.rego"])
        .code(1)
        .stderr_has("none.rego");
    bench
        .sandbox
        .write("policy.cue", "predicate: reviewer: \"bob\"\n");
    verify(&bench, &["--policy", "policy.cue"])
        .code(1)
        .stderr_has("not supported: policy.cue is a policy in CUE")
        .stderr_has("--cel");
    // Of signatures no predicate is asked for, and nothing is left out in silence.
    bench
        .sealmark(&[
            "verify",
            "--key",
            "alice.pub",
            "--policy",
            "why.rego",
            "127.0.0.1:9/app",
        ])
        .code(1)
        .stderr_has("verify-attestation");
    verify(&bench, &["--any"]).code(1).stderr_has("--any");
    bench.sandbox.write(
        "own.yaml",
        "version: 1\nrules:\n  - files: [\"**\"]\n    signature:\n      signers: [{key: alice.pub}]\n    log: ignored\n",
    );
    let own = [
        "verify-blob-attestation",
        "--bundle",
        "bob.json",
        "--policy",
    ];
    let both = ["own.yaml", "--policy", "why.rego", "app.txt"];
    bench
        .sealmark(&[&own[..], &both].concat())
        .code(1)
        .stderr_has(
            "Rego policy why.rego is about attestations, and the policy file's rule asks for none",
        );
    bench.sandbox.write(
        "own.yaml",
        "version: 1\nrules:\n  - files: [\"**\"]\n    attestations:\n      - signers: [{key: alice.pub}]\n    log: ignored\n",
    );
    bench
        .sealmark(&[&own[..], &["own.yaml", "app.txt"]].concat())
        .success();
    bench.sealmark(&[&own[..], &both].concat()).code(12);
}

#[test]
fn a_policy_that_never_ends_is_given_up() {
    let bench = ground();
    review(&bench, "bob", BY_BOB);
    bench.sandbox.write(
        "slow.rego",
        "package signature\nn = numbers.range(1, 3000)\nallow { count([1 | a := n[_]; b := n[_]; c := n[_]; a + b == c * 7]) > 0 }",
    );
    let list = format!(
        "[{}]",
        (0..200)
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(",")
    );
    bench.sandbox.write(
        "slow.cel",
        format!("{list}.all(a, {list}.all(b, {list}.all(c, {list}.all(d, a + b + c + d >= 0))))"),
    );
    for name in ["slow.rego", "slow.cel"] {
        let start = Instant::now();
        verify(&bench, &["--policy", name])
            .code(12)
            .stderr_has(name);
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{name}: {:?}",
            start.elapsed()
        );
    }
}

/// A policy file on `app.txt`, attested by alice, with these lines about the attestation.
fn with_file(bench: &Bench, lines: &str) -> Finished {
    bench.sandbox.write(
        "rules/policy.yaml",
        format!(
            "version: 1\nrules:\n  - files: [\"**\"]\n    log: ignored\n    attestations:\n      - type: {REVIEW}\n        \
             signers: [{{key: ../alice.pub}}]\n{lines}"
        ),
    );
    bench.sealmark(&[
        "verify-blob-attestation",
        "--policy",
        "rules/policy.yaml",
        "--bundle",
        "bob.json",
        "app.txt",
    ])
}

#[test]
fn a_policy_file_says_it_in_rego_and_cel_too() {
    let bench = ground();
    review(&bench, "bob", BY_BOB);
    bench.sandbox.write(
        "rules/bob.rego",
        "package signature\nimport data.people\nallow { people.reviewers[input.predicate.reviewer] }",
    );
    bench
        .sandbox
        .write("rules/people.rego", "package people\nreviewers = {\"bob\"}");
    bench
        .sandbox
        .write("rules/high.cel", "predicate.score >= 8\n");
    let good =
        "        rego: [bob.rego, people.rego]\n        cel:\n          - predicate.score >= 7\n";
    with_file(&bench, good)
        .success()
        .stdout_has("Rego policy rules/bob.rego, rules/people.rego")
        .stdout_has("CEL expression predicate.score >= 7: yes");
    with_file(&bench, &good.replace(">= 7", ">= 8"))
        .code(12)
        .stderr_has("expected CEL expression predicate.score >= 8: it to be true");
    with_file(&bench, &format!("{good}          - file: high.cel\n"))
        .code(12)
        .stderr_has("CEL policy rules/high.cel");
    with_file(&bench, "        slsa: {builderId: https://b.example}\n")
        .code(12)
        .stderr_has("provenance");
    // Mistakes are told with their line, before anything is looked at.
    with_file(&bench, &good.replace("score >= 7", "score >=="))
        .code(1)
        .stderr_has(
            "rules/policy.yaml, line 10: cel: predicate.score >== is no expression in CEL: line 1",
        );
    with_file(&bench, &good.replace("people.rego", "persons.rego"))
        .code(1)
        .stderr_has("rules/policy.yaml, line 8: rego: ")
        .stderr_has("persons.rego");
    with_file(&bench, "        slsa: {level: 7}\n")
        .code(1)
        .stderr_has("line 8")
        .stderr_has("SLSA has build levels 1 to 3");
}

#[test]
fn the_file_that_explain_shows_has_provenance_rego_and_cel() {
    let bench = ground();
    review(&bench, "bob", BY_BOB);
    for (reviewer, name) in [("bob", "bob.rego"), ("eve", "eve.rego")] {
        bench.sandbox.write(
            name,
            format!("package signature\nallow {{ input.predicate.reviewer == \"{reviewer}\" }}"),
        );
    }
    bench.sandbox.write("seven.cel", "predicate.score == 7\n");
    let of = ["--key", "alice.pub", "--type", REVIEW];
    let words = ["--bundle", "bob.json", "app.txt"];
    for (flags, shows, code) in [
        (
            &["--policy", "bob.rego", "--policy", "seven.cel"][..],
            "bob.rego",
            0,
        ),
        (&["--policy", "eve.rego", "--any"], "eve.rego", 12),
        (
            &["--cel", "predicate.reviewer == 'bob'", "--all"],
            "every: true",
            0,
        ),
        (
            &["--cel", "predicate.reviewer == 'it''s: #'"],
            "every: true",
            12,
        ),
        (
            &[
                "--slsa-tag",
                "v1",
                "--slsa-input",
                "a=b",
                "--slsa-material",
                "git+https://g.example/a",
            ],
            "materials:",
            12,
        ),
        (&["--slsa"], "slsa: {}", 12),
    ] {
        let flags = match flags.contains(&"predicate.reviewer == 'it''s: #'") {
            true => vec!["--cel", "predicate.reviewer == \"it's: #\""],
            false => flags.to_vec(),
        };
        let by_flags = bench
            .sealmark(
                &[
                    &["verify-blob-attestation", "--explain"][..],
                    &of,
                    &flags,
                    &words,
                ]
                .concat(),
            )
            .code(code);
        let stdout = by_flags.stdout();
        let mut lines = stdout.lines();
        assert_eq!(lines.next(), Some("policy (made of the flags):"));
        let yaml: String = lines
            .map_while(|line| line.strip_prefix("  "))
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(yaml.contains(shows), "{flags:?}: {yaml}");
        bench.sandbox.write("elsewhere/saved.yaml", &yaml);
        let by_file = [
            "verify-blob-attestation",
            "--explain",
            "--policy",
            "elsewhere/saved.yaml",
        ];
        bench
            .sealmark(&[&by_file[..], &words].concat())
            .code(code)
            .stdout_has(
                &yaml
                    .lines()
                    .map(|it| format!("  {it}\n"))
                    .collect::<String>(),
            );
    }
}
