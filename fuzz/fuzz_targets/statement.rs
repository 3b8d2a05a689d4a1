//! in-toto statements: what is read is written and read again as the same statement; bounds are kept.
#![no_main]

use sealmark_formats::Digest;
use sealmark_formats::statement::{MAX_DIGESTS_PER_SUBJECT, MAX_SUBJECTS, Statement};

sealmark_fuzz::target!([], |data| {
    let Some(statement) = sealmark_fuzz::read(Statement::parse(data)) else {
        return false;
    };
    assert!(statement.subject.len() <= MAX_SUBJECTS);
    for subject in &statement.subject {
        assert!(subject.digest.len() <= MAX_DIGESTS_PER_SUBJECT);
    }
    assert_eq!(statement.subjects_with(&Digest::sha256(data)).count(), 0);
    let written = serde_json::to_vec(&statement).expect("statements serialise");
    let read = Statement::parse(&written).expect("what was written can be read");
    assert_eq!(read.subject, statement.subject);
    assert_eq!(read.predicate_type, statement.predicate_type);
    let text = |statement: &Statement| statement.predicate.as_ref().map(|raw| raw.get().to_owned());
    assert_eq!(text(&read), text(&statement));
    true
});
