//! TUF metadata: no document that the embedded root's keys did not sign is taken for its next root or for another
//! role's metadata.
#![no_main]

use sealmark_trust::tuf::fuzzing;

const TIMESTAMP: &[u8] = br#"{"signed":{"_type":"timestamp","spec_version":"1.0","version":7,"expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":7,"length":2,"hashes":{"sha256":"00"}}}},"signatures":[{"keyid":"a","sig":"00"}]}"#;
const SNAPSHOT: &[u8] = br#"{"signed":{"_type":"snapshot","spec_version":"1.0.31","version":7,"expires":"2030-01-01T00:00:00Z","meta":{"targets.json":{"version":7}}},"signatures":[]}"#;
const TARGETS: &[u8] = br#"{"signed":{"_type":"targets","spec_version":"1.0","version":7,"expires":"2030-01-01T00:00:00Z","targets":{"trusted_root.json":{"length":2,"hashes":{"sha256":"00","sha512":"00"},"custom":{"a":[1,null]}}}},"signatures":[{"keyid":"a","sig":"00"}]}"#;

sealmark_fuzz::target!(
    [fuzzing::EMBEDDED_ROOT, TIMESTAMP, SNAPSHOT, TARGETS],
    |data| {
        let taken = fuzzing::metadata(data);
        assert!(!taken.trusted || data == fuzzing::EMBEDDED_ROOT || taken.same_content);
        taken.read
    }
);
