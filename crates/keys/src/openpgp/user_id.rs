//! User ids (RFC 4880, section 5.11): by convention a name, a comment and a mail address.

/// Longer ones are no mail addresses (RFC 5321, section 4.5.3.1.3, with room).
const MAX_EMAIL: usize = 320;

/// The mail address in a user id such as `Name (comment) <mail@example.com>`.
pub(super) fn email(id: &[u8]) -> Option<String> {
    let id = String::from_utf8_lossy(id);
    // As Go has it: what is between the first `<` after the name, or after the comment, and the next `>`.
    let rest = &id[id.find(['(', '<'])?..];
    let rest = match rest.strip_prefix('(') {
        None => rest,
        Some(comment) => {
            let after = &comment[comment.find(')')?..];
            &after[after.find('<')?..]
        }
    };
    let inside = rest.strip_prefix('<')?;
    let end = inside.find('>').unwrap_or(inside.len());
    let email = inside[..end].trim();
    is_email(email).then(|| email.to_owned())
}

/// Whether it reads as a mail address: `local@domain.tld`, as Rekor has it, but for quoted local parts.
///
/// ```
/// use sealmark_keys::openpgp::is_email;
/// assert!(is_email("zoë.x+y@mail.example.com"));
/// assert!(!is_email("not a mail") && !is_email("a@b") && !is_email("a@b..com") && !is_email(".a@b.com"));
/// ```
pub fn is_email(text: &str) -> bool {
    if text.len() > MAX_EMAIL {
        return false;
    }
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let other = |c: char| c as u32 >= 0xa0;
    let atom = |part: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        !part.is_empty() && part.chars().all(|c| legal(c) || other(c))
    };
    let label = |part: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || other(c));
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_~".contains(c) || other(c);
        edge(part.chars().next()) && edge(part.chars().last()) && part.chars().all(legal)
    };
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let Some((rest, last)) = domain.rsplit_once('.') else {
        return false;
    };
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic() || other(c));
    local.split('.').all(atom)
        && rest.split('.').all(label)
        && label(last)
        && letter(last.chars().next())
        && letter(last.chars().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mail_address_is_found_in_a_user_id() {
        for (id, found) in [
            ("Ann <ann@example.com>", Some("ann@example.com")),
            ("Ann (work) <ann@example.com>", Some("ann@example.com")),
            (
                "Ann (<x@example.org>) <ann@example.com>",
                Some("ann@example.com"),
            ),
            ("Ann () < ann@example.com >", Some("ann@example.com")),
            ("<ann@example.com>", Some("ann@example.com")),
            ("Ann <ann@example.com", Some("ann@example.com")),
            ("ann@example.com", None),
            ("Ann <not a mail>", None),
            ("Ann (x", None),
            ("", None),
        ] {
            assert_eq!(email(id.as_bytes()).as_deref(), found, "{id}");
        }
        assert_eq!(
            email(b"\xff <a@example.com>").as_deref(),
            Some("a@example.com")
        );
    }
}
