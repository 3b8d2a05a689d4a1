//! Predicate types: a name that is taken stands for types, and the error for another is short.
#![no_main]

use sealmark_formats::predicate_type::PredicateType;

sealmark_fuzz::target!([b"slsaprovenance1", b"https://example.com/x/v1"], |data| {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    match PredicateType::named(text) {
        Ok(types) => {
            assert!(!types.is_empty());
            types.iter().any(|t| t.matches(&t.to_string()))
        }
        Err(error) => {
            assert!(error.to_string().len() < 1000 + 10 * text.len());
            false
        }
    }
});
