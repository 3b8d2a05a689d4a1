//! What programs and people read: the names in JSON, the lines of text, and which of the two streams they are on.
//!
//! Names and values that a script may rely on are written out here in full; a change of one fails a test.

mod bench;

use bench::{Bench, SEALMARK, have, json};
use sealmark_testkit::{Finished, Images, SealmarkRegistry, images};
use serde_json::{Value, json as value};

const LOG_NOTE: &str = "transparency log: not used, no signing configuration names one\n";

struct Ground {
    bench: Bench,
    images: Images,
    registry: SealmarkRegistry,
}

impl Ground {
    fn new() -> Option<Self> {
        let images = images()?;
        if !have(&["skopeo"]) {
            return None;
        }
        let ground = Self {
            bench: Bench::new(),
            images,
            registry: SealmarkRegistry::start(SEALMARK),
        };
        ground.bench.make_key("ecdsa-p256", "alice");
        ground.bench.make_key("ecdsa-p256", "bob");
        let image = ground.image();
        assert!(ground.images.push(&ground.bench.sandbox, "v1", &image));
        Some(ground)
    }

    fn repository(&self) -> String {
        format!("{}/app", self.registry.address())
    }

    fn image(&self) -> String {
        format!("{}:v1", self.repository())
    }

    fn digest(&self) -> String {
        self.images.digest("v1")
    }

    /// The image by digest, as it is printed.
    fn pinned(&self) -> String {
        format!("{}@{}", self.repository(), self.digest())
    }

    fn run(&self, words: &[&str]) -> Finished {
        self.bench.sealmark(words)
    }
}

/// The names in an object, sorted.
#[track_caller]
fn names(object: &Value) -> Vec<&str> {
    let object = object.as_object().unwrap_or_else(|| panic!("{object}"));
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// What `sha256:` and 64 hexadecimal digits look like.
#[track_caller]
fn is_digest(value: &Value) {
    let hex = value.as_str().and_then(|text| text.strip_prefix("sha256:"));
    let good = |hex: &str| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(hex.is_some_and(good), "{value}");
}

/// The names and outcomes of the checks.
fn outcomes(attachment: &Value) -> Vec<(&str, &str)> {
    let checks = attachment["checks"].as_array().expect("a list");
    let text = |check: &'_ Value, name| check[name].as_str().expect("a name").to_owned();
    for check in checks {
        // Each outcome has its own fields.
        match text(check, "outcome").as_str() {
            "passed" => assert_eq!(names(check), ["check", "evidence", "outcome"]),
            "skipped" | "not-applicable" => {
                assert_eq!(names(check), ["check", "outcome", "reason"]);
            }
            "not-reached" => assert_eq!(names(check), ["check", "outcome"]),
            "failed" => {
                let mut names = names(check);
                names.retain(|name| *name != "remedy");
                assert_eq!(names, ["check", "expected", "found", "outcome"]);
            }
            other => panic!("outcome {other}"),
        }
    }
    checks
        .iter()
        .map(|check| {
            (
                check["check"].as_str().expect("a name"),
                check["outcome"].as_str().expect("a name"),
            )
        })
        .collect()
}

#[test]
fn sign_says_what_was_signed_and_where_it_is() {
    let Some(ground) = Ground::new() else { return };
    let image = ground.image();
    let sign = [
        "sign",
        "--key",
        "alice.key",
        "--format",
        "both",
        "-o",
        "json",
        &image,
    ];
    let signed = ground.run(&sign).success();
    let list = json(&signed);
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    let signed = &list[0];
    assert_eq!(names(signed), ["digest", "image", "keyId", "signatures"]);
    assert_eq!(signed["image"], ground.pinned());
    assert_eq!(signed["digest"], ground.digest());
    is_digest(&signed["keyId"]);
    let signatures = signed["signatures"].as_array().unwrap();
    let tag = ground.digest().replace(':', "-");
    for (signature, layout, found_by) in [
        (
            &signatures[0],
            "bundle",
            format!("referrer of {}", ground.digest()),
        ),
        (&signatures[1], "legacy-signature", format!("tag {tag}.sig")),
    ] {
        is_digest(&signature["digest"]);
        let digest = signature["digest"].as_str().unwrap();
        let expected = value!({
            "layout": layout,
            "state": "attached",
            "reference": format!("{}@{digest}", ground.repository()),
            "digest": digest,
            "foundBy": found_by,
        });
        assert_eq!(*signature, expected);
    }

    // The same again: nothing is added, and the same places are named.
    let again = json(&ground.run(&sign).success());
    for (new, old) in again[0]["signatures"]
        .as_array()
        .unwrap()
        .iter()
        .zip(signatures)
    {
        assert_eq!(new["state"], "already-there");
        assert_eq!(new["digest"], old["digest"]);
    }
    let apart = ground
        .run(&[
            "sign",
            "--key",
            "bob.key",
            "--upload=false",
            "-o",
            "json",
            &image,
        ])
        .success();
    assert_eq!(
        json(&apart)[0]["signatures"],
        value!([{ "layout": "bundle", "state": "not-uploaded" }])
    );

    // For people.
    let words = ["sign", "--key", "bob.key", &ground.pinned()];
    let text = ground.run(&words).success();
    let stdout = text.stdout();
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0], format!("signed {}", ground.pinned()));
    assert!(lines[1].starts_with(&format!("  bundle: {}@sha256:", ground.repository())));
    assert_eq!(text.stderr(), LOG_NOTE);
    let text = ground.run(&words).success();
    assert!(text.stdout().contains("nothing was added"), "{text}");
    // A tag can move: that is a warning, beside the result.
    let text = ground.run(&["sign", "--key", "bob.key", &image]).success();
    assert!(text.stderr().contains("warning: "), "{text}");
    assert!(!text.stdout().contains("warning"), "{text}");
}

#[test]
fn verify_gives_every_attachment_with_every_check() {
    let Some(ground) = Ground::new() else { return };
    let image = ground.image();
    let sign = [
        "sign",
        "--format",
        "both",
        "-a",
        "who=me",
        "--key",
        "alice.key",
        &image,
    ];
    ground.run(&sign).success();
    ground.run(&["sign", "--key", "bob.key", &image]).success();
    let verify = ["verify", "--key", "alice.pub", "-o", "json", &image];
    let verified = ground.run(&verify).success();
    assert_eq!(verified.stderr(), "");
    let list = json(&verified);
    let report = &list[0];
    assert_eq!(
        names(report),
        [
            "demands",
            "digest",
            "image",
            "pinned",
            "revocationSources",
            "verdict"
        ]
    );
    assert_eq!(report["image"], image);
    assert_eq!(report["pinned"], ground.pinned());
    assert_eq!(report["digest"], ground.digest());
    assert_eq!(report["verdict"], "verified");
    let attachments = report["demands"][0]["attachments"].as_array().unwrap();
    assert_eq!(attachments.len(), 3);
    let (good, bad): (Vec<_>, Vec<_>) = attachments.iter().partition(|a| a["accepted"] == true);
    assert_eq!((good.len(), bad.len()), (2, 1));
    let spki = json(
        &ground
            .run(&["sign", "--key", "alice.key", "-o", "json", &image])
            .success(),
    );
    for attachment in good {
        assert_eq!(
            names(attachment),
            [
                "accepted",
                "checks",
                "claims",
                "layout",
                "location",
                "manifestDigest",
                "signer"
            ]
        );
        assert_eq!(attachment["signer"]["keyId"], spki[0]["keyId"]);
        assert_eq!(
            attachment["signer"]["algorithm"],
            "ECDSA P-256 with SHA-256"
        );
        assert_eq!(attachment["claims"]["annotations"], value!({ "who": "me" }));
        is_digest(&attachment["manifestDigest"]);
        let location = attachment["manifestDigest"].as_str().unwrap();
        assert_eq!(
            attachment["location"],
            format!("{}@{location}", ground.repository())
        );
        let claim = match attachment["layout"].as_str().unwrap() {
            "bundle" => "https://sigstore.dev/cosign/sign/v1",
            "legacy-signature" => "cosign container image signature",
            other => panic!("layout {other}"),
        };
        assert_eq!(attachment["claims"]["type"], claim);
        assert_eq!(
            outcomes(attachment),
            [
                ("format", "passed"),
                ("kind", "passed"),
                ("signature", "passed"),
                ("identity", "not-applicable"),
                ("digest", "passed"),
                ("annotations", "skipped"),
                ("transparency-log", "skipped"),
                ("timestamp", "skipped"),
                ("certificate", "not-applicable"),
                ("sct", "not-applicable"),
                ("predicate", "not-applicable"),
                ("revocation", "skipped"),
            ]
        );
    }
    // What is not verified claims nothing.
    assert_eq!(
        names(bad[0]),
        ["accepted", "checks", "layout", "location", "manifestDigest"]
    );
    assert_eq!(
        outcomes(bad[0]),
        [
            ("format", "passed"),
            ("kind", "passed"),
            ("signature", "failed"),
            ("identity", "not-reached"),
            ("digest", "not-reached"),
            ("annotations", "not-reached"),
            ("transparency-log", "not-reached"),
            ("timestamp", "not-reached"),
            ("certificate", "not-reached"),
            ("sct", "not-reached"),
            ("predicate", "not-reached"),
            ("revocation", "not-reached"),
        ]
    );

    // For people: the good ones first, each with what was checked and what was not.
    let text = ground
        .run(&["verify", "--key", "alice.pub", &image])
        .success();
    let stdout = text.stdout();
    assert!(
        stdout.starts_with(&format!("verified {}\n  good: ", ground.pinned())),
        "{text}"
    );
    for part in [
        "    signature: ECDSA P-256 with SHA-256 by key sha256:",
        "    signed annotation: who=me\n",
        "    transparency log: not checked, no trusted root\n",
        "  not good: bundle ",
    ] {
        assert!(stdout.contains(part), "{part:?}\n{text}");
    }
    assert_eq!(text.stderr(), "");
}

#[test]
fn a_failed_verification_is_json_too_and_one_message() {
    let Some(ground) = Ground::new() else { return };
    let image = ground.image();
    let unsigned = ground
        .run(&["verify", "--key", "alice.pub", "-o", "json", &image])
        .code(10);
    let unsigned = json(&unsigned);
    let signer = &unsigned[0]["demands"][0]["signers"][0]["signer"];
    assert!(
        signer
            .as_str()
            .is_some_and(|text| text.starts_with("key sha256:")),
        "{signer}"
    );
    assert_eq!(
        unsigned,
        value!([{
            "image": image,
            "pinned": ground.pinned(),
            "digest": ground.digest(),
            "verdict": "no-signatures",
            "demands": [{
                "kind": "image signature",
                "verdict": "no-signatures",
                "threshold": 1,
                "signers": [{"signer": signer, "signed": false}],
                "attachments": [],
            }],
            "revocationSources": [{"kind": "attached", "revocations": 0}],
        }])
    );
    ground
        .run(&["sign", "--key", "alice.key", &image])
        .success();
    let other = ground
        .run(&["verify", "--key", "bob.pub", "-o", "json", &image])
        .code(12);
    assert_eq!(json(&other)[0]["verdict"], "no-matching-signatures");
    for (finished, code) in [
        (ground.run(&["verify", "--key", "bob.pub", &image]), 12),
        (
            ground.run(&["verify", "--key", "bob.pub", "-o", "cosign", &image]),
            12,
        ),
        (
            ground.run(&["verify", "--key", "alice.pub", &format!("{image}9")]),
            11,
        ),
    ] {
        let finished = finished.code(code);
        assert_eq!(finished.stdout(), "", "{finished}");
        let messages = finished.stderr().matches("error: ").count();
        assert_eq!(messages, 1, "{finished}");
    }
    // One bad image of several: all are reported, and the exit code is that of the bad one.
    let second = format!("{}/other:v1", ground.registry.address());
    assert!(ground.images.push(&ground.bench.sandbox, "v1", &second));
    let both = ground
        .run(&[
            "verify",
            "--key",
            "alice.pub",
            "-o",
            "json",
            &second,
            &image,
        ])
        .code(10);
    let both = json(&both);
    assert_eq!(both[0]["verdict"], "no-signatures");
    assert_eq!(both[1]["verdict"], "verified");
}

#[test]
fn blobs_have_the_same_report() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "alice");
    bench.make_key("ecdsa-p256", "bob");
    bench.sandbox.write("file", "");
    // SHA-256 of nothing.
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let sign = [
        "sign-blob",
        "--key",
        "alice.key",
        "--bundle",
        "b",
        "-o",
        "json",
        "file",
    ];
    let signed = bench.sealmark(&sign).success();
    assert_eq!(signed.stderr(), LOG_NOTE);
    let list = json(&signed);
    assert_eq!(
        names(&list[0]),
        ["bundle", "digest", "file", "keyId", "signature"]
    );
    assert_eq!(list[0]["bundle"], "b");
    assert_eq!(list[0]["file"], "file");
    assert_eq!(list[0]["digest"], digest);
    is_digest(&list[0]["keyId"]);
    let bundle: Value = serde_json::from_str(&bench.sandbox.read("b")).unwrap();
    assert_eq!(
        bundle["messageSignature"]["signature"],
        list[0]["signature"]
    );

    // Alone, the signature is all that is printed: it can be piped into a file.
    let alone = bench
        .sealmark(&["sign-blob", "--key", "alice.key", "file"])
        .success();
    bench.sandbox.write("file.sig", alone.stdout_bytes());
    let verify = [
        "verify-blob",
        "--key",
        "alice.pub",
        "--signature",
        "file.sig",
        "file",
    ];
    bench.sealmark(&verify).success();
    assert_eq!(alone.stdout().lines().count(), 1, "{alone}");
    assert_eq!(alone.stderr(), LOG_NOTE);

    let report = |key: &str| {
        let verify = [
            "verify-blob",
            "--key",
            key,
            "--bundle",
            "b",
            "-o",
            "json",
            "file",
        ];
        bench.sealmark(&verify)
    };
    let good = report("alice.pub").success();
    assert_eq!(good.stderr(), "");
    let good = json(&good);
    assert_eq!(
        names(&good),
        ["demands", "digest", "file", "revocationSources", "verdict"]
    );
    assert_eq!(good["digest"], digest);
    assert_eq!(good["verdict"], "verified");
    assert_eq!(good["demands"][0]["attachments"][0]["layout"], "file");
    assert_eq!(good["demands"][0]["attachments"][0]["location"], "b");
    assert_eq!(
        good["demands"][0]["attachments"][0]["signer"]["keyId"],
        list[0]["keyId"]
    );
    assert_eq!(
        outcomes(&good["demands"][0]["attachments"][0])[2],
        ("signature", "passed")
    );
    let bad = json(&report("bob.pub").code(12));
    assert_eq!(bad["verdict"], "no-matching-signatures");
    assert_eq!(
        outcomes(&bad["demands"][0]["attachments"][0])[2],
        ("signature", "failed")
    );

    let text = bench
        .sealmark(&["verify-blob", "--key", "alice.pub", "--bundle", "b", "file"])
        .success();
    assert!(
        text.stdout()
            .starts_with(&format!("verified file ({digest})\n  good: file b\n"))
    );
    assert_eq!(text.stderr(), "");
}

#[test]
fn tree_inspect_and_triangulate_say_what_is_there() {
    let Some(ground) = Ground::new() else { return };
    let image = ground.image();
    let empty = ground.run(&["tree", &image]).success();
    assert!(empty.stdout().contains("Nothing is attached."), "{empty}");
    assert!(empty.stderr().contains("sealmark sign"), "{empty}");
    let signed = ground
        .run(&[
            "sign",
            "--format",
            "both",
            "--key",
            "alice.key",
            "-o",
            "json",
            &image,
        ])
        .success();
    let signed = json(&signed);

    let tree = json(&ground.run(&["tree", "-o", "json", &image]).success());
    assert_eq!(
        names(&tree),
        [
            "attachments",
            "children",
            "digest",
            "image",
            "mediaType",
            "platform"
        ]
    );
    assert_eq!(tree["image"], ground.pinned());
    assert_eq!(tree["digest"], ground.digest());
    for (number, layout) in ["bundle", "legacy-signature"].into_iter().enumerate() {
        let attachment = &tree["attachments"][number];
        assert_eq!(
            names(attachment),
            [
                "artifactType",
                "claimedSigner",
                "created",
                "kind",
                "layer",
                "layout",
                "manifest",
                "predicateType",
                "size",
                "tag",
            ]
        );
        assert_eq!(attachment["kind"], "signature");
        assert_eq!(attachment["layout"], layout);
        assert_eq!(
            attachment["manifest"],
            signed[0]["signatures"][number]["digest"]
        );
    }
    let text = ground.run(&["tree", &image]).success();
    assert!(
        text.stdout()
            .starts_with(&format!("{}\n|-- signature\n", ground.pinned()))
    );
    assert_eq!(text.stderr(), "");

    let inspected = json(&ground.run(&["inspect", "-o", "json", &image]).success());
    assert_eq!(names(&inspected), ["content", "kind", "verified", "what"]);
    assert_eq!(inspected["what"], image);
    assert_eq!(inspected["kind"], "image manifest");
    assert_eq!(inspected["verified"], false);
    assert_eq!(inspected["content"]["digest"], ground.digest());
    assert_eq!(inspected["content"]["platform"], "linux/amd64");
    assert_eq!(inspected["content"]["attachmentCount"], 2);
    let text = ground.run(&["inspect", &image]).success();
    assert!(text.stdout().contains("nothing was verified"), "{text}");

    let tag = ground.digest().replace(':', "-");
    let place = ground.run(&["triangulate", &image]).success();
    assert_eq!(
        place.stdout(),
        format!("{}:{tag}.sig\n", ground.repository())
    );
}

#[test]
fn version_says_how_the_program_was_built() {
    let bench = Bench::new();
    let version = bench.sealmark(&["version", "--json"]).success();
    assert_eq!(version.stderr(), "");
    let version = json(&version);
    let mut found = names(&version);
    // Only where the facts from git are unknown.
    found.retain(|name| *name != "gitNote");
    assert_eq!(
        found,
        [
            "buildDate",
            "compiler",
            "cryptoEngine",
            "features",
            "fips",
            "gitCommit",
            "gitTreeState",
            "gitVersion",
            "linkage",
            "platform",
            "profile",
            "rustVersion",
            "target",
        ]
    );
    let expected = concat!("v", env!("CARGO_PKG_VERSION"));
    assert_eq!(version["gitVersion"], expected);
    let text = bench.sealmark(&["version"]).success();
    assert!(
        text.stdout()
            .contains(&format!("GitVersion:    {expected}\n")),
        "{text}"
    );
}

#[test]
fn output_file_takes_the_result_and_nothing_else() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "alice");
    bench.sandbox.write("file", "the file\n");
    let sign = ["sign-blob", "--key", "alice.key", "--bundle", "b", "file"];
    for format in ["text", "json"] {
        let plain = bench
            .sealmark(&[&sign[..], &["-o", format, "--output-file", "out"]].concat())
            .success();
        assert_eq!(plain.stdout(), "");
        assert_eq!(plain.stderr(), LOG_NOTE);
        let out = bench.sandbox.read("out");
        match format {
            "json" => {
                let list: Value = serde_json::from_str(&out).unwrap();
                assert_eq!(list[0]["file"], "file");
            }
            _ => assert!(out.starts_with("signed file (sha256:"), "{out}"),
        }
    }
    // The flag has its variable, as every flag has.
    let verify = ["verify-blob", "--key", "alice.pub", "--bundle", "b", "file"];
    let plain = bench
        .run(bench::Tool::Sealmark)
        .env("COSIGN_OUTPUT_FILE", "verified")
        .args(verify)
        .run()
        .success();
    assert_eq!(plain.stdout(), "");
    assert!(bench.sandbox.read("verified").starts_with("verified file"));
    // A file that cannot be written is said at once.
    bench
        .sealmark(&[&verify[..], &["--output-file", "nowhere/out"]].concat())
        .code(1)
        .stderr_has("nowhere/out");
}
