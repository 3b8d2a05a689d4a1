//! The canonical form of JSON, against the vectors of RFC 8785's reference implementation.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use sealmark_formats::jcs::canonicalize;

#[test]
fn reference_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jcs");
    let mut count = 0;
    for entry in fs::read_dir(folder.join("input")).unwrap() {
        let input = entry.unwrap().path();
        let output = folder.join("output").join(input.file_name().unwrap());
        let canonical = canonicalize(&fs::read(&input).unwrap()).unwrap();
        let expected = fs::read_to_string(&output).unwrap();
        assert_eq!(
            String::from_utf8(canonical).unwrap(),
            expected.trim_end_matches('\n'),
            "{}",
            input.display()
        );
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn numbers_are_doubles_written_as_in_ecmascript() {
    // RFC 8785, appendix B, and what an integer beyond 2^53 becomes.
    for (json, canonical) in [
        ("-0", "0"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("9007199254740993", "9007199254740992"),
        ("295147905179352830000", "295147905179352830000"),
        ("1e21", "1e+21"),
        ("999999999999999900000", "999999999999999900000"),
        ("1e-7", "1e-7"),
        ("0.000001", "0.000001"),
        ("333333333.3333332", "333333333.3333332"),
        ("333333333.33333325", "333333333.33333325"),
    ] {
        let found = String::from_utf8(canonicalize(json.as_bytes()).unwrap()).unwrap();
        assert_eq!(found, canonical, "{json}");
    }
}

#[test]
fn what_readers_could_differ_on_is_refused() {
    for (json, reason) in [
        (r#"{"a":1,"a":2}"#, r#"the member "a" occurs twice"#),
        (
            r#"{"a":[{"b":1,"\u0062":2}]}"#,
            r#"the member "b" occurs twice"#,
        ),
        (r#""\ud800""#, "hex escape"),
        ("{} {}", "trailing characters"),
        ("1e999", "out of range"),
        ("", "EOF"),
    ] {
        let error = canonicalize(json.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "{json}: {error}");
    }
    let deep = "[".repeat(100_000);
    assert!(canonicalize(deep.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_input_panics_and_the_canonical_form_is_its_own(bytes: Vec<u8>, text in "[\\[\\]{}\":,0-9eE.a\\\\u-]{0,40}") {
        for input in [bytes.as_slice(), text.as_bytes()] {
            if let Ok(canonical) = canonicalize(input) {
                prop_assert_eq!(&canonicalize(&canonical).unwrap(), &canonical);
            }
        }
    }
}
