//! apk's account of what is installed.
//!
//! <https://wiki.alpinelinux.org/wiki/Apk_spec#Installed_Database_V2>

use super::{Installed, value};

/// The packages in `lib/apk/db/installed`.
pub(crate) fn installed(text: &str) -> Vec<Installed> {
    text.split("\n\n").filter_map(package).collect()
}

fn package(stanza: &str) -> Option<Installed> {
    let field = |key: &str| {
        let mut lines = stanza.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
    };
    let words = |key: &str| field(key).unwrap_or_default().split_whitespace();
    // `so:libc.musl-x86_64.so.1=1` is given, `busybox>=1.36` is needed; `!a` must not be there.
    let bare = |word: &str| value(word.split(['=', '<', '>', '~']).next().unwrap_or_default());
    let name = value(field("P")?)?;
    let origin = field("o").and_then(value);
    Some(Installed {
        version: value(field("V")?)?,
        architecture: field("A").and_then(value).unwrap_or_default(),
        upstream: origin.filter(|origin| *origin != name).unwrap_or_default(),
        epoch: None,
        supplier: field("m").and_then(value),
        licences: field("L").and_then(value).into_iter().collect(),
        needs: words("D")
            .filter(|word| !word.starts_with('!'))
            .filter_map(bare)
            .collect(),
        provides: words("p").filter_map(bare).collect(),
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Ecosystem;
    use crate::system::OsRelease;

    #[test]
    fn packages_of_alpine_are_named_as_alpine_names_them() {
        let text = "C:Q1x=\nP:musl-utils\nV:1.2.4-r4\nA:x86_64\nL:MIT AND BSD-2-Clause\no:musl\n\
                    D:scanelf so:libc.musl-x86_64.so.1 !uclibc a>=1\np:cmd:getent=1.2.4-r4\nF:sbin\nR:x\n\nP:\nV:1\n\nP:a\n";
        let found = installed(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].needs, ["scanelf", "so:libc.musl-x86_64.so.1", "a"]);
        assert_eq!(found[0].provides, ["cmd:getent"]);
        assert_eq!(found[0].licences, ["MIT AND BSD-2-Clause"]);
        let os = OsRelease::read("ID=alpine\nVERSION_ID=3.19.1").unwrap();
        let package = found[0].package(Ecosystem::Apk, Some(&os));
        assert_eq!(
            package.purl.to_string(),
            "pkg:apk/alpine/musl-utils@1.2.4-r4?arch=x86_64&distro=alpine-3.19.1&upstream=musl"
        );
    }
}
