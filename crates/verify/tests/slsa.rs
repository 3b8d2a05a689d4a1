//! What provenance of both versions must say, in the words of those who verify it.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use sealmark_verify::slsa::{Expected, Material, PROVENANCE_V0_2, PROVENANCE_V1};
use serde_json::{Value, json};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const GENERATOR: &str = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_generic_slsa3.yml@refs/tags/v2.0.0";

/// As slsa-github-generator writes it.
fn v0_2() -> Value {
    json!({
        "builder": {"id": GENERATOR},
        "buildType": "https://github.com/slsa-framework/slsa-github-generator/generic@v1",
        "invocation": {
            "configSource": {
                "uri": "git+https://github.com/team/app@refs/tags/v1.2.3",
                "digest": {"sha1": COMMIT},
                "entryPoint": ".github/workflows/release.yml",
            },
            "parameters": {},
            "environment": {
                "github_ref": "refs/tags/v1.2.3",
                "github_event_payload": {"base_ref": "refs/heads/main", "inputs": {"release": "yes", "n": 3}},
            },
        },
        "materials": [
            {"uri": "git+https://github.com/team/app@refs/tags/v1.2.3", "digest": {"sha1": COMMIT}},
            {"uri": "pkg:docker/alpine@3.20", "digest": {"sha256": "ab".repeat(32)}},
        ],
    })
}

/// As GitHub's own attestations have it.
fn v1() -> Value {
    json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {
                "workflow": {
                    "ref": "refs/heads/main",
                    "repository": "https://github.com/team/app",
                    "path": ".github/workflows/release.yml",
                },
                "inputs": {"release": "yes"},
            },
            "resolvedDependencies": [
                {"uri": "git+https://github.com/team/app@refs/heads/main", "digest": {"gitCommit": COMMIT}},
            ],
        },
        "runDetails": {"builder": {"id": "https://github.com/actions/runner/github-hosted"}},
    })
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn expected(change: impl FnOnce(&mut Expected)) -> Expected {
    let mut expected = Expected::default();
    change(&mut expected);
    expected
}

fn material(text: &str) -> Vec<Material> {
    vec![Material::parse(text).unwrap()]
}

/// Each demand: whether it is met by 0.2 and by 1, or what is found instead.
#[test]
fn demands_and_what_is_found_instead() {
    type Found = Option<&'static str>;
    let base = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_generic_slsa3.yml";
    let hosted = "https://github.com/actions/runner/github-hosted";
    let table: Vec<(Expected, Found, Found)> = vec![
        (Expected::default(), None, None),
        (
            expected(|it| it.builder_id = some(base)),
            None,
            Some(hosted),
        ),
        (
            expected(|it| it.builder_id = Some(format!("{base}@v2.0.0"))),
            None,
            Some(hosted),
        ),
        (
            expected(|it| it.builder_id = Some(format!("{base}@v2.0"))),
            Some(GENERATOR),
            Some(hosted),
        ),
        (
            expected(|it| it.builder_id = some(hosted)),
            Some(GENERATOR),
            None,
        ),
        (
            expected(|it| it.source = some("github.com/team/app")),
            None,
            None,
        ),
        (
            expected(|it| it.source = some("git+https://github.com/team/app.git")),
            None,
            None,
        ),
        (
            expected(|it| it.source = some("github.com/team/app2")),
            Some("github.com/team/app"),
            Some("github.com/team/app"),
        ),
        (
            expected(|it| it.source = some("github.com/team/app@refs/heads/main")),
            Some("refs/tags/v1.2.3"),
            None,
        ),
        (
            expected(|it| it.git_ref = some("refs/heads/main")),
            Some("refs/tags/v1.2.3"),
            None,
        ),
        (expected(|it| it.branch = some("main")), None, None),
        (
            expected(|it| it.branch = some("dev")),
            Some("refs/heads/main"),
            Some("refs/heads/main"),
        ),
        (
            expected(|it| it.tag = some("v1.2.3")),
            None,
            Some("refs/heads/main"),
        ),
        (
            expected(|it| it.tag = some("v1.2")),
            Some("refs/tags/v1.2.3"),
            Some("refs/heads/main"),
        ),
        (
            expected(|it| it.versioned_tag = some("v1.2")),
            None,
            Some("refs/heads/main"),
        ),
        (
            expected(|it| it.versioned_tag = some("v1.3")),
            Some("refs/tags/v1.2.3"),
            Some("refs/heads/main"),
        ),
        (expected(|it| it.commit = some(COMMIT)), None, None),
        (
            expected(|it| it.commit = Some("f".repeat(40))),
            Some(COMMIT),
            Some(COMMIT),
        ),
        (
            expected(|it| it.inputs = vec![("release".to_owned(), "yes".to_owned())]),
            None,
            None,
        ),
        (
            expected(|it| it.inputs = vec![("n".to_owned(), "3".to_owned())]),
            None,
            Some("no input n"),
        ),
        (
            expected(|it| it.inputs = vec![("release".to_owned(), "no".to_owned())]),
            Some("release=yes"),
            Some("release=yes"),
        ),
        (
            expected(|it| {
                let alpine = format!("pkg:docker/alpine@3.20@sha256:{}", "ab".repeat(32));
                it.materials = material(&alpine);
            }),
            None,
            Some("1 others"),
        ),
        (
            expected(|it| {
                it.materials = material(&format!(
                    "git+https://github.com/team/app@refs/heads/main@{COMMIT}"
                ))
            }),
            Some("2 others"),
            None,
        ),
        (
            expected(|it| it.build_type = some("https://example.com/make")),
            Some("https://github.com/slsa-framework/slsa-github-generator/generic@v1"),
            Some("https://actions.github.io/buildtypes/workflow/v1"),
        ),
    ];
    for (expected, old, new) in table {
        for (kind, predicate, found) in [(PROVENANCE_V0_2, v0_2(), old), (PROVENANCE_V1, v1(), new)]
        {
            let result = expected.check(kind, &predicate, &[]);
            let result = result.map_err(|mismatch| mismatch.found);
            assert_eq!(
                result.as_ref().err().map(String::as_str),
                found,
                "{expected:?} {kind}"
            );
        }
    }
}

#[test]
fn a_level_is_the_builders_who_signs_itself() {
    let level = |level| expected(|it| it.level = Some(level));
    let own = [GENERATOR.to_owned()];
    let other = ["https://github.com/evil/app/.github/workflows/x.yml@refs/heads/main".to_owned()];
    assert!(level(3).check(PROVENANCE_V0_2, &v0_2(), &own).is_ok());
    for identities in [&other[..], &[]] {
        let mismatch = level(3)
            .check(PROVENANCE_V0_2, &v0_2(), identities)
            .unwrap_err();
        assert_eq!(
            mismatch.expected,
            format!("signed by the builder itself, {GENERATOR}")
        );
    }
    assert!(level(2).check(PROVENANCE_V1, &v1(), &other).is_ok());
    let mismatch = level(3).check(PROVENANCE_V1, &v1(), &other).unwrap_err();
    assert_eq!(mismatch.expected, "a builder of SLSA build level 3");
    assert_eq!(
        mismatch.found,
        "https://github.com/actions/runner/github-hosted, which reaches level 2"
    );
    let mut own_builder = v1();
    own_builder["runDetails"]["builder"]["id"] = json!("https://ci.example.com/");
    assert!(level(1).check(PROVENANCE_V1, &own_builder, &[]).is_ok());
    assert!(level(2).check(PROVENANCE_V1, &own_builder, &[]).is_err());
}

/// Who writes a provenance says one thing here and another there.
#[test]
fn what_contradicts_itself_is_not_what_is_expected() {
    let source = expected(|it| it.source = some("github.com/team/app"));
    let mut forged = v1();
    forged["buildDefinition"]["resolvedDependencies"][0]["uri"] =
        json!("git+https://github.com/evil/app");
    let found = source.check(PROVENANCE_V1, &forged, &[]).unwrap_err().found;
    assert_eq!(found, "github.com/evil/app among what went into the build");
    let mut forged = v0_2();
    forged["invocation"]["environment"]["github_ref"] = json!("refs/tags/v6.6.6");
    let tag = expected(|it| it.tag = some("v1.2.3"));
    assert_eq!(
        tag.check(PROVENANCE_V0_2, &forged, &[]).unwrap_err().found,
        "refs/tags/v6.6.6"
    );
    // Not a tag of this branch, but a branch with such a name beside a base that somebody wrote.
    let mut forged = v0_2();
    forged["invocation"]["configSource"]["uri"] =
        json!("git+https://github.com/team/app@refs/heads/evil");
    let branch = expected(|it| it.branch = some("main"));
    assert!(branch.check(PROVENANCE_V0_2, &forged, &[]).is_err());
}

#[test]
fn versions_are_compared_part_by_part() {
    for (wanted, tag, fits) in [
        ("v1", "v1.2.3", true),
        ("v1.2", "v1.2.3", true),
        ("v1.2.3", "v1.2.3", true),
        ("v1.2.3", "v1.2.3+build", true),
        ("v1", "v10.2.3", false),
        ("v1.2", "v1.20.3", false),
        ("v1", "v1.2.3-rc1", false),
        ("v1.2.3-rc1", "v1.2.3-rc1", true),
        ("v1", "v1", false),
        ("1", "v1.2.3", false),
        ("v1", "x1.2.3", false),
    ] {
        let mut predicate = v1();
        let git_ref = json!(format!("refs/tags/{tag}"));
        predicate["buildDefinition"]["externalParameters"]["workflow"]["ref"] = git_ref;
        predicate["buildDefinition"]["resolvedDependencies"][0]["uri"] =
            json!("git+https://github.com/team/app");
        let wants = expected(|it| it.versioned_tag = some(wanted));
        assert_eq!(
            wants.check(PROVENANCE_V1, &predicate, &[]).is_ok(),
            fits,
            "{wanted} {tag}"
        );
    }
}

#[test]
fn what_is_no_provenance_is_not_taken_for_it() {
    for (kind, predicate, what) in [
        ("https://spdx.dev/Document", v1(), "SLSA provenance"),
        (PROVENANCE_V1, v0_2(), "/runDetails/builder/id"),
        (PROVENANCE_V0_2, json!(null), "/builder/id"),
        (
            PROVENANCE_V0_2,
            json!({"builder": {"id": 7}}),
            "/builder/id",
        ),
        (PROVENANCE_V0_2, json!([]), "/builder/id"),
    ] {
        let mismatch = Expected::default()
            .check(kind, &predicate, &[])
            .unwrap_err();
        assert!(mismatch.expected.contains(what), "{mismatch:?}");
    }
}
