//! Documents that are attested: what they are found to be, their check, and the predicate that they become.
#![no_main]

use sealmark_formats::predicate::{Format, predicate};

const SEEDS: [&[u8]; 8] = [
    br#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","packages":[{"SPDXID":"a"}]}"#,
    b"SPDXVersion: SPDX-2.3\n",
    br#"<bom xmlns="http://cyclonedx.org/schema/bom/1.6"/>"#,
    br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"z"}]}"#,
    br#"{"buildDefinition":{"buildType":"t","externalParameters":{}},"runDetails":{"builder":{"id":"b"}}}"#,
    br#"{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{"tools":[{"name":"a"}],"timestamp":"2026-01-31T12:00:00Z"}}"#,
    br#"{"$schema":"sarif","version":"2.1.0","runs":[{"tool":{"driver":{"name":"a"}},"results":[{"message":{"id":"a"}}]}]}"#,
    br#"{"@context":"https://openvex.dev/ns/v0.2.0","statements":[{"status":"fixed"}]}"#,
];

sealmark_fuzz::target!(only SEEDS, |data| {
    let found = Format::of(data);
    if let Some(format) = found {
        assert!(format.fits(format.predicate_type));
        if let Err(fault) = format.check(data) {
            assert!(fault.to_string().starts_with('$'));
        }
    }
    // What is signed is what was given.
    let Ok(made) = predicate(data.to_vec()) else {
        return false;
    };
    match found.is_none_or(Format::is_json) {
        true => assert!(data.windows(made.get().len()).any(|part| part == made.get().as_bytes())),
        false => assert!(made.get().starts_with('"')),
    }
    found.is_some()
});
