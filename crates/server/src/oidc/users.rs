//! Who may log in.
//!
//! Passwords are kept as scrypt makes them (RFC 7914), in the form of the password hashing competition, as passlib and
//! other tools write it: `$scrypt$ln=15,r=8,p=1$SALT$HASH`, salt and hash in base64 without padding.
//!
//! Invariant: an address that is no user's takes as long to refuse as a wrong password.

use std::path::Path;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::random;
use crate::{Error, durable};

/// Users in a file: this is for development.
const MAX_USERS: usize = 1000;
/// Bytes of the file.
const MAX_FILE: usize = 1 << 20;
/// Bytes of an address (RFC 5321, section 4.5.3.1.3).
const MAX_ADDRESS: usize = 254;
/// Bytes of a password; it is hashed whole.
pub(super) const MAX_PASSWORD: usize = 1024;
/// What new hashes cost: 32 MiB, some 100 ms.
const LOG_N: u8 = 15;
const R: u32 = 8;
const P: u32 = 1;
/// What a hash from elsewhere may cost: as much memory as 128 MiB, and eight times the work of a new one.
const MAX_LOG_N: u8 = 17;
const MAX_MEMORY: u64 = 128 << 20;
const MAX_WORK: u64 = 1 << 21;

/// Who may log in.
pub(super) enum Users {
    /// Whoever types an address is who has it. For development.
    Anybody,
    /// These.
    Listed(Vec<User>),
}

/// Somebody who may log in.
pub(super) struct User {
    email: String,
    password: Hash,
}

struct Hash {
    params: scrypt::Params,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    users: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    email: String,
    password: String,
}

impl Users {
    pub(super) fn read(file: &Path) -> Result<Self, Error> {
        Self::read_if_there(file)?
            .ok_or_else(|| Error::Issuer(format!("there is no file {} with users", file.display())))
    }

    pub(super) fn read_if_there(file: &Path) -> Result<Option<Self>, Error> {
        let Some(bytes) = durable::read(file)? else {
            return Ok(None);
        };
        let users = Self::parse(&bytes);
        let at = |problem| Error::Issuer(format!("{}: {problem}", file.display()));
        users.map(Some).map_err(at)
    }

    /// How many there are; 0 is anybody.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Anybody => 0,
            Self::Listed(users) => users.len(),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_FILE {
            let length = bytes.len();
            return Err(format!(
                "it has {length} bytes, at most {MAX_FILE} are read"
            ));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let file: File = serde_saphyr::from_str(text)
            .map_err(|error| sealmark_formats::excerpt(error.to_string()))?;
        if !(1..=MAX_USERS).contains(&file.users.len()) {
            let count = file.users.len();
            return Err(format!(
                "it has {count} users, there may be 1 to {MAX_USERS}"
            ));
        }
        let mut users: Vec<User> = Vec::with_capacity(file.users.len());
        for entry in &file.users {
            let email = address(&entry.email)
                .ok_or_else(|| format!("{:?} is no e-mail address", entry.email))?;
            if users.iter().any(|user| same(&user.email, email)) {
                return Err(format!("{email} is there twice"));
            }
            let password = Hash::parse(&entry.password)
                .map_err(|problem| format!("the password of {email} {problem}"))?;
            users.push(User {
                email: email.to_owned(),
                password,
            });
        }
        Ok(Self::Listed(users))
    }

    /// The address of who logs in so, as the file has it; `None` if it is nobody's, or the password is wrong. Takes a
    /// tenth of a second.
    pub(super) fn check(&self, email: &str, password: &[u8]) -> Option<String> {
        let users = match self {
            Self::Anybody => return Some(email.to_owned()),
            Self::Listed(users) => users,
        };
        let user = users.iter().find(|user| same(&user.email, email));
        // Somebody's, so that it takes as long.
        let hash = &user.or_else(|| users.first())?.password;
        let right = hash.is_of(password);
        user.filter(|_| right).map(|user| user.email.clone())
    }
}

/// An address in the form that certificates have; without spaces around it.
pub(super) fn address(text: &str) -> Option<&str> {
    let text = text.trim();
    let (name, host) = text.split_once('@')?;
    // RFC 5322, section 3.2.3, without quotes: nothing here needs escaping anywhere.
    let in_name = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&c);
    let in_host = |c: u8| c.is_ascii_alphanumeric() || b"-.".contains(&c);
    let good = text.len() <= MAX_ADDRESS
        && !name.is_empty()
        && name.bytes().all(in_name)
        && !host.starts_with(['.', '-'])
        && !host.ends_with(['.', '-'])
        && !host.is_empty()
        && !host.contains("..")
        && host.bytes().all(in_host);
    good.then_some(text)
}

/// Nobody has two mailboxes that differ in case only.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

impl Hash {
    fn parse(text: &str) -> Result<Self, String> {
        let form = || "is not of the form $scrypt$ln=15,r=8,p=1$SALT$HASH".to_owned();
        let rest = text.strip_prefix("$scrypt$").ok_or_else(form)?;
        let parts: Vec<&str> = rest.splitn(4, '$').collect();
        let [cost, salt, hash] = parts[..] else {
            return Err(form());
        };
        let numbers: Vec<&str> = cost.splitn(4, ',').collect();
        let [ln, r, p] = numbers[..] else {
            return Err(form());
        };
        let number = |text: &str, name: &str| -> Option<u32> {
            text.strip_prefix(name)?.strip_prefix('=')?.parse().ok()
        };
        let (ln, r, p) = (number(ln, "ln"), number(r, "r"), number(p, "p"));
        let (Some(ln), Some(r), Some(p)) = (ln, r, p) else {
            return Err(form());
        };
        let costs_too_much = || {
            let most = MAX_MEMORY >> 20;
            format!("costs too much: N may be 2 to the {MAX_LOG_N}, and the memory {most} MiB")
        };
        let log_n = u8::try_from(ln)
            .ok()
            .filter(|ln| (1..=MAX_LOG_N).contains(ln));
        let log_n = log_n.ok_or_else(costs_too_much)?;
        let blocks = u64::from(r) << log_n;
        if blocks * 128 > MAX_MEMORY || blocks.saturating_mul(u64::from(p)) > MAX_WORK {
            return Err(costs_too_much());
        }
        let params = scrypt::Params::new(log_n, r, p).map_err(|_| form())?;
        let decode = |text: &str| STANDARD_NO_PAD.decode(text).map_err(|_| form());
        let (salt, hash) = (decode(salt)?, decode(hash)?);
        if !(4..=64).contains(&salt.len()) || !(16..=64).contains(&hash.len()) {
            return Err("has a salt or a hash of an unusual length".to_owned());
        }
        Ok(Self { params, salt, hash })
    }

    fn is_of(&self, password: &[u8]) -> bool {
        let mut found = Zeroizing::new(vec![0; self.hash.len()]);
        let made = scrypt::scrypt(password, &self.salt, &self.params, &mut found);
        made.is_ok() && verify_slices_are_equal(&found, &self.hash).is_ok()
    }
}

/// What a file of users has for a password. Takes a tenth of a second.
///
/// # Errors
/// If the password is empty or longer than a login takes.
pub fn password_hash(password: &[u8]) -> Result<String, Error> {
    if !(1..=MAX_PASSWORD).contains(&password.len()) {
        return Err(Error::Issuer(format!(
            "a password has 1 to {MAX_PASSWORD} bytes"
        )));
    }
    let failed = |_| Error::Issuer("the password could not be hashed".to_owned());
    let params = scrypt::Params::new(LOG_N, R, P).map_err(failed)?;
    let salt = &random()?[..16];
    let mut hash = [0; 32];
    scrypt::scrypt(password, salt, &params, &mut hash)
        .map_err(|_| Error::Issuer("the password could not be hashed".to_owned()))?;
    Ok(format!(
        "$scrypt$ln={LOG_N},r={R},p={P}${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(hash)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7914, section 12: "password", "NaCl", N=1024, r=8, p=16.
    const OF_RFC: &str = "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA";

    #[test]
    fn a_user_is_who_knows_the_password() {
        let own = password_hash(b"tr0ub4dor").unwrap();
        let file = format!(
            "users:\n  - email: Jane@example.org\n    password: {OF_RFC}\n  - email: joe@example.org\n    password: {own}\n"
        );
        let users = Users::parse(file.as_bytes()).unwrap();
        for (email, password, who) in [
            ("jane@example.org", "password", Some("Jane@example.org")),
            ("JANE@EXAMPLE.ORG", "password", Some("Jane@example.org")),
            ("joe@example.org", "tr0ub4dor", Some("joe@example.org")),
            ("joe@example.org", "password", None),
            ("jane@example.org", "", None),
            ("eve@example.org", "password", None),
        ] {
            let found = users.check(email, password.as_bytes());
            assert_eq!(found.as_deref(), who, "{email} {password}");
        }
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_with_the_reason() {
        let user = |email: &str, password: &str| {
            format!("users:\n  - email: {email}\n    password: {password}\n")
        };
        let twice = format!(
            "{}{}",
            user("a@b.c", OF_RFC),
            &user("A@b.c", OF_RFC)["users:\n".len()..]
        );
        for (file, problem) in [
            ("users: []\n".to_owned(), "it has 0 users"),
            ("people: []\n".to_owned(), "people"),
            (user("jane", OF_RFC), "\"jane\" is no e-mail address"),
            (
                user("a@b.c", "secret"),
                "the password of a@b.c is not of the form",
            ),
            (
                user("a@b.c", "$scrypt$ln=40,r=8,p=1$TmFDbA$AAAA"),
                "costs too much",
            ),
            (
                user("a@b.c", "$scrypt$ln=17,r=9,p=1$TmFDbA$AAAA"),
                "costs too much",
            ),
            (
                user("a@b.c", "$scrypt$ln=10,r=8,p=4000000000$TmFDbA$AAAA"),
                "costs too much",
            ),
            (
                user("a@b.c", "$scrypt$ln=10,r=8,p=1$TmFDbA$AAAA"),
                "unusual length",
            ),
            (
                user("a@b.c", "$scrypt$ln=10,r=0,p=1$TmFDbA$AAAA"),
                "not of the form",
            ),
            (twice, "A@b.c is there twice"),
        ] {
            let Err(found) = Users::parse(file.as_bytes()) else {
                panic!("{file} was taken")
            };
            assert!(found.contains(problem), "{found}");
        }
    }

    #[test]
    fn addresses_need_no_escaping() {
        for good in ["jane@example.org", " jane.doe+x@a-b.example ", "a@b"] {
            assert_eq!(address(good), Some(good.trim()));
        }
        for bad in [
            "",
            "jane",
            "@example.org",
            "jane@",
            "a@b@c",
            "a b@c",
            "\"a\"@b",
            "<a@b>",
            "a@b,c@d",
            "a@.b",
            "a@b.",
            "a@b..c",
            "a@-b",
            "jäne@example.org",
            "a@b\nc",
        ] {
            assert_eq!(address(bad), None, "{bad}");
        }
        assert_eq!(address(&format!("{}@b.c", "a".repeat(251))), None);
    }
}
