//! What the fuzz targets reach of this module's parsers; see `fuzz/`.

use super::answer::registry_words;
use super::challenge::{Demand, Scope, demand};
use super::manifests::next_link as link_to_next;

/// Where a registry with these `WWW-Authenticate` headers has its tokens, if it gives tokens.
pub fn realm_of_challenges(headers: &[&str]) -> Option<String> {
    match demand(headers, &[Scope::pull("team/app"), Scope::push("team/app")])? {
        Demand::Basic => None,
        Demand::Bearer { realm, .. } => Some(realm.to_string()),
    }
}

/// What is shown of an error's body.
pub fn words_of_an_error(body: &[u8]) -> String {
    let (codes, words) = registry_words(body);
    codes.concat() + &words
}

/// The next page, from a header `Link`.
pub fn next_link(header: &str) -> Option<&str> {
    link_to_next(header)
}
