//! What a misspelt word was meant to be.

/// Longer words are not misspelt, but something else; the comparison costs the product of both lengths.
const LONGEST: usize = 64;

/// The known word that is nearest, if it is near: one mistake in three letters.
pub(crate) fn nearest<'a>(word: &str, known: &'a [String]) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let bound = word.trim_start_matches('-').len() / 3;
    known
        .iter()
        // Letters to insert, delete, change, or exchange with the next.
        .map(|other| (strsim::osa_distance(word, other), other.as_str()))
        .filter(|(mistakes, _)| *mistakes <= bound)
        .min()
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known: Vec<String> = ["--key", "--bundle", "--certificate-identity"]
            .map(str::to_owned)
            .to_vec();
        for (word, meant) in [
            ("--kye", Some("--key")),
            ("--bundel", Some("--bundle")),
            ("--certifcate-identiy", Some("--certificate-identity")),
            ("--keyring", None),
            ("--x", None),
            ("--", None),
        ] {
            assert_eq!(nearest(word, &known), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(LONGEST + 1), &known), None);
    }
}
