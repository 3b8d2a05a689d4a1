//! What registries answer beside manifests: demands for credentials, error documents, links to the next page. The
//! address that credentials go to is a URL of the web, and what is shown of an answer has no control characters.
#![no_main]

use sealmark_oci::client::fuzzing;

const SEEDS: [&[u8]; 5] = [
    br#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull""#,
    br#"Basic realm="a \"quoted\" realm", Bearer realm=https://x.example/t,error="x""#,
    br#"{"errors":[{"code":"DENIED","message":"requested access is denied","detail":{}}]}"#,
    br#"{"message":"no","details":"proxy"}"#,
    br#"</v2/a/tags/list?last=x&n=10>; rel="next", <https://other.example/>; rel=prev"#,
];

sealmark_fuzz::target!(only SEEDS, |data| {
    let shown = fuzzing::words_of_an_error(data);
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let headers: Vec<&str> = text.lines().collect();
    if let Some(realm) = fuzzing::realm_of_challenges(&headers) {
        assert!(
            realm.starts_with("http://") || realm.starts_with("https://"),
            "{realm:?}"
        );
    }
    let _ = fuzzing::next_link(text);
    true
});
