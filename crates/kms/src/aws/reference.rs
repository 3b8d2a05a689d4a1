//! References to keys in AWS KMS: what the console, the command line and cosign show, as one value.
//!
//! Invariant: a [`Key`] names a key id, an alias or an ARN of one of them, of the right shape, and perhaps a host. The
//! table in the tests says what is taken for what, and what is said of the rest.
//!
//! - Key identifiers: <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id>
//! - ARNs: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

use core::fmt;

/// The scheme of a reference.
pub(crate) const SCHEME: &str = "awskms://";

/// Longest alias, with its prefix, that KMS takes.
const MAX_ALIAS: usize = 256;
/// Digits of an account's number.
const ACCOUNT_DIGITS: usize = 12;
/// Hexadecimal digits of a key's id, without dashes.
const ID_DIGITS: usize = 32;
/// Where the dashes of an id stand.
const ID_DASHES: [usize; 4] = [8, 13, 18, 23];

/// A key in AWS KMS.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Key {
    /// `HOST` or `HOST:PORT` of another endpoint than the region's own.
    pub endpoint: Option<String>,
    /// The key.
    pub id: Id,
}

/// What identifies a key.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Id {
    /// `1234abcd-12ab-34cd-56ef-1234567890ab`, or `mrk-…` of a key for several regions.
    Key(String),
    /// The name of an alias, without `alias/`.
    Alias(String),
    /// Either of them, with partition, region and account.
    Arn(Arn),
}

/// The Amazon resource name of a key or an alias.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Arn {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// `us-west-2`.
    pub region: String,
    /// The account's number.
    pub account: String,
    /// `key/ID` or `alias/NAME`.
    pub resource: String,
}

impl Key {
    /// Understands what follows `awskms://`, or an ARN alone. The error says which part is wrong, and what is nearest.
    pub(crate) fn parse(rest: &str) -> Result<Self, String> {
        let (endpoint, name) = split(rest)?;
        let id = Id::parse(name).map_err(|wrong| wrong.with_example(endpoint))?;
        Ok(Self {
            endpoint: endpoint.map(str::to_ascii_lowercase),
            id,
        })
    }

    /// The region that the key is in, if the reference says it: by the ARN, or by the host of AWS that was named.
    pub fn region(&self) -> Option<&str> {
        match &self.id {
            Id::Arn(arn) => Some(&arn.region),
            _ => self.endpoint.as_deref().and_then(region_of_host),
        }
    }
}

/// `us-west-2` of `kms.us-west-2.amazonaws.com`, also with `kms-fips`, `api.aws` and the names of private endpoints.
pub(crate) fn region_of_host(host: &str) -> Option<&str> {
    let host = host.split(':').next()?;
    let aws = [
        ".amazonaws.com",
        ".amazonaws.com.cn",
        ".amazonaws.eu",
        ".api.aws",
    ];
    let inside = aws.iter().find_map(|suffix| host.strip_suffix(suffix))?;
    let (service, region) = inside
        .strip_suffix(".vpce")
        .unwrap_or(inside)
        .rsplit_once('.')?;
    matches!(service.rsplit('.').next()?, "kms" | "kms-fips").then_some(region)
}

/// The host, if there is one, and the key's own name.
fn split(rest: &str) -> Result<(Option<&str>, &str), String> {
    if let Some(name) = rest.strip_prefix('/') {
        return Ok((None, name));
    }
    // Whoever forgets the third slash has the name where the host would be; no host looks like one of these.
    let lower = rest.to_ascii_lowercase();
    if lower.starts_with("arn:") || lower.starts_with("alias/") || is_key_id(&lower) {
        return Ok((None, rest));
    }
    if lower.starts_with("http:") || lower.starts_with("https:") {
        return Err(
            "an endpoint is a host without its scheme, always reached with https: awskms://HOST[:PORT]/ID; for a \
             service without TLS set AWS_ENDPOINT_URL_KMS=http://… and write awskms:///ID"
                .to_owned(),
        );
    }
    match rest.split_once('/') {
        Some((host, name)) => {
            check_host(host)?;
            Ok((Some(host), name))
        }
        // One word, which the caller finds to be no id.
        None => Ok((None, rest)),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    let wrong = |reason: &str| {
        Err(format!(
            "{host:?} is not a host name ({reason}); write awskms://HOST[:PORT]/ID, or without a host awskms:///ID"
        ))
    };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err() || port == "0") {
        return wrong("the port is no number from 1 to 65535");
    }
    if host.contains('@') {
        return wrong("it must have no user name or password");
    }
    match url::Host::parse(name) {
        Ok(_) => Ok(()),
        Err(error) => wrong(&error.to_string()),
    }
}

/// What is wrong with the name of a key, and what may have been meant.
struct Wrong {
    reason: String,
    nearest: Option<String>,
}

impl Wrong {
    fn new(reason: impl Into<String>, nearest: Option<String>) -> Self {
        Self {
            reason: reason.into(),
            nearest,
        }
    }

    fn with_example(self, endpoint: Option<&str>) -> String {
        let host = endpoint.unwrap_or_default();
        match self.nearest {
            Some(nearest) => format!("{}; did you mean {SCHEME}{host}/{nearest}?", self.reason),
            None => format!(
                "{}; write {SCHEME}{host}/KEY-ID, {SCHEME}{host}/alias/NAME or {SCHEME}{host}/ARN",
                self.reason
            ),
        }
    }
}

impl Id {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let lower = text.to_ascii_lowercase();
        if text.is_empty() {
            return Err(Wrong::new("the name of the key is missing", None));
        }
        if is_key_id(&lower) {
            return Ok(Self::Key(with_dashes(&lower)));
        }
        if text.starts_with("arn:") {
            return Arn::parse(text).map(Self::Arn);
        }
        if let Some(name) = text.strip_prefix("alias/") {
            check_alias(name)?;
            return Ok(Self::Alias(name.to_owned()));
        }
        Err(nearly(text, &lower))
    }
}

/// What a name that is none may have been.
fn nearly(text: &str, lower: &str) -> Wrong {
    let valid = |nearest: &str| Id::parse(nearest).is_ok().then(|| nearest.to_owned());
    let trimmed = text.trim_matches('/');
    if trimmed.len() < text.len()
        && let Some(nearest) = valid(trimmed)
    {
        return Wrong::new("there is a slash too many", Some(nearest));
    }
    if let Some(nearest) = text.strip_prefix("key/").and_then(valid) {
        return Wrong::new("a key's id stands without key/", Some(nearest));
    }
    if let Some(nearest) = lower
        .starts_with("alias/")
        .then(|| valid(&format!("alias/{}", &text["alias/".len()..])))
    {
        return Wrong::new("alias/ is written in lower case", nearest);
    }
    if lower.starts_with("arn:") {
        let nearest = valid(&format!("arn:{}", &text["arn:".len()..]));
        return Wrong::new("arn: is written in lower case", nearest);
    }
    if let Some(name) = text.strip_prefix("alias:").filter(|name| !name.is_empty()) {
        return Wrong::new(
            "an alias is written with a slash",
            valid(&format!("alias/{name}")),
        );
    }
    let hex = lower.chars().filter(char::is_ascii_hexdigit).count();
    let id_like = lower.starts_with("mrk-")
        || (hex + lower.matches('-').count() == lower.len() && lower.contains('-') && hex > 8);
    if id_like {
        return Wrong::new(
            format!(
                "{text:?} is not a key id, which has {ID_DIGITS} hexadecimal digits in groups of 8-4-4-4-12, or mrk- \
                 and {ID_DIGITS} of them"
            ),
            None,
        );
    }
    Wrong::new(
        format!("{text:?} is neither a key id nor an ARN, and an alias begins with alias/"),
        valid(&format!("alias/{text}")),
    )
}

/// A UUID, with or without dashes, or the id of a key for several regions.
fn is_key_id(lower: &str) -> bool {
    let hex = |text: &str| text.len() == ID_DIGITS && is_hex(text);
    if let Some(digits) = lower.strip_prefix("mrk-") {
        return hex(digits);
    }
    let dashed = lower.len() == ID_DIGITS + ID_DASHES.len()
        && lower.char_indices().all(|(at, c)| match c {
            '-' => ID_DASHES.contains(&at),
            c => c.is_ascii_hexdigit() && !ID_DASHES.contains(&at),
        });
    dashed || hex(lower)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_hexdigit())
}

/// The id as KMS writes it; cosign takes it without dashes, too.
fn with_dashes(id: &str) -> String {
    if id.len() != ID_DIGITS {
        return id.to_owned();
    }
    let mut dashed = String::with_capacity(ID_DIGITS + ID_DASHES.len());
    for c in id.chars() {
        if ID_DASHES.contains(&dashed.len()) {
            dashed.push('-');
        }
        dashed.push(c);
    }
    dashed
}

fn check_alias(name: &str) -> Result<(), Wrong> {
    if name.is_empty() {
        return Err(Wrong::new("the alias has no name after alias/", None));
    }
    if name.len() + "alias/".len() > MAX_ALIAS {
        let reason =
            format!("the alias is longer than the {MAX_ALIAS} characters that it may have");
        return Err(Wrong::new(reason, None));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-');
    match name.chars().find(|c| !legal(*c)) {
        Some(c) => Err(Wrong::new(
            format!(
                "an alias cannot have {c:?} in its name: it is made of letters, digits, /, _ and -"
            ),
            None,
        )),
        None if name.starts_with('/') || name.ends_with('/') => Err(Wrong::new(
            "there is a slash too many",
            Some(format!("alias/{}", name.trim_matches('/'))),
        )),
        None => Ok(()),
    }
}

impl Arn {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let wrong = |reason: String| Wrong::new(reason, None);
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let &[_, partition, service, region, account, resource] = parts.as_slice() else {
            return Err(wrong(
                "the ARN is not complete: it is arn:PARTITION:kms:REGION:ACCOUNT:key/ID, or alias/NAME at its end"
                    .to_owned(),
            ));
        };
        if partition != "aws" && !partition.starts_with("aws-") {
            return Err(wrong(format!(
                "the ARN's partition is {partition:?}, and should be aws, aws-cn, aws-us-gov or the like"
            )));
        }
        if service != "kms" {
            return Err(wrong(format!(
                "this is an ARN of the service {service:?}, not of a key: arn:{partition}:kms:REGION:ACCOUNT:key/ID"
            )));
        }
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.is_empty() || !region.chars().all(legal) || !region.contains('-') {
            return Err(wrong(format!(
                "the ARN's region is {region:?}, and should be like us-west-2"
            )));
        }
        if account.len() != ACCOUNT_DIGITS || !account.bytes().all(|c| c.is_ascii_digit()) {
            return Err(wrong(format!(
                "the ARN's account is {account:?}, and should be {ACCOUNT_DIGITS} digits"
            )));
        }
        let resource = match resource.split_once('/') {
            Some(("key", id)) if is_key_id(&id.to_ascii_lowercase()) => {
                format!("key/{}", with_dashes(&id.to_ascii_lowercase()))
            }
            Some(("key", id)) => {
                return Err(wrong(format!(
                    "the ARN ends with {id:?}, which is not a key id: {ID_DIGITS} hexadecimal digits in groups of \
                     8-4-4-4-12, or mrk- and {ID_DIGITS} of them"
                )));
            }
            Some(("alias", name)) => {
                check_alias(name)?;
                resource.to_owned()
            }
            _ => {
                return Err(wrong(format!(
                    "the ARN ends with {resource:?}, and should end with key/ID or alias/NAME"
                )));
            }
        };
        Ok(Self {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            resource,
        })
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            region,
            account,
            resource,
        } = self;
        write!(f, "arn:{partition}:kms:{region}:{account}:{resource}")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => f.write_str(id),
            Self::Alias(name) => write!(f, "alias/{name}"),
            Self::Arn(arn) => arn.fmt(f),
        }
    }
}

/// In the one form that cosign takes, too.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.endpoint.as_deref().unwrap_or_default();
        write!(f, "{SCHEME}{host}/{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use crate::KeyRef;

    const ID: &str = "61c124fb-bf47-4f95-a805-65dda7cd08ae";
    const ARN: &str = "arn:aws:kms:us-west-2:562077019569:key/61c124fb-bf47-4f95-a805-65dda7cd08ae";

    #[test]
    fn what_the_console_shows_is_a_reference_however_it_is_pasted() {
        let mrk = "mrk-1234abcd12ab34cd56ef1234567890ab";
        let alias = "arn:aws:kms:eu-central-1:562077019569:alias/team/release_1";
        let table = [
            // Those of the article that this program was made for, of which cosign takes the last two.
            (format!("awskms://{ID}"), format!("awskms:///{ID}")),
            (format!("awskms://{ARN}"), format!("awskms:///{ARN}")),
            (format!("awskms:///{ID}"), format!("awskms:///{ID}")),
            (format!("awskms:///{ARN}"), format!("awskms:///{ARN}")),
            // Without a scheme.
            (ARN.to_owned(), format!("awskms:///{ARN}")),
            (alias.to_owned(), format!("awskms:///{alias}")),
            (format!("awskms://{alias}"), format!("awskms:///{alias}")),
            // Aliases.
            (
                "awskms:///alias/release".to_owned(),
                "awskms:///alias/release".to_owned(),
            ),
            (
                "awskms://alias/release".to_owned(),
                "awskms:///alias/release".to_owned(),
            ),
            (
                "awskms://alias/a/b".to_owned(),
                "awskms:///alias/a/b".to_owned(),
            ),
            // Keys for several regions, and ids as cosign takes them.
            (format!("awskms://{mrk}"), format!("awskms:///{mrk}")),
            (format!("awskms:///{mrk}"), format!("awskms:///{mrk}")),
            (
                format!("arn:aws:kms:us-east-1:562077019569:key/{mrk}"),
                format!("awskms:///arn:aws:kms:us-east-1:562077019569:key/{mrk}"),
            ),
            (
                format!("awskms:///{}", ID.replace('-', "")),
                format!("awskms:///{ID}"),
            ),
            (
                format!("AWSKMS:///{}", ID.to_uppercase()),
                format!("awskms:///{ID}"),
            ),
            // Partitions.
            (
                format!("arn:aws-cn:kms:cn-north-1:562077019569:key/{ID}"),
                format!("awskms:///arn:aws-cn:kms:cn-north-1:562077019569:key/{ID}"),
            ),
            (
                format!("arn:aws-us-gov:kms:us-gov-west-1:562077019569:key/{ID}"),
                format!("awskms:///arn:aws-us-gov:kms:us-gov-west-1:562077019569:key/{ID}"),
            ),
            (
                format!("awskms:///arn:aws-iso-b:kms:us-isob-east-1:562077019569:key/{ID}"),
                format!("awskms:///arn:aws-iso-b:kms:us-isob-east-1:562077019569:key/{ID}"),
            ),
            (
                format!("arn:aws-eusc:kms:eusc-de-east-1:562077019569:key/{ID}"),
                format!("awskms:///arn:aws-eusc:kms:eusc-de-east-1:562077019569:key/{ID}"),
            ),
            // Endpoints.
            (
                "awskms://localhost:4566/alias/release".to_owned(),
                "awskms://localhost:4566/alias/release".to_owned(),
            ),
            (
                format!("awskms://KMS.us-west-2.amazonaws.com/{ID}"),
                format!("awskms://kms.us-west-2.amazonaws.com/{ID}"),
            ),
            (
                format!("awskms://[::1]:4566/{ARN}"),
                format!("awskms://[::1]:4566/{ARN}"),
            ),
            (
                format!("awskms://10.0.0.1/{mrk}"),
                format!("awskms://10.0.0.1/{mrk}"),
            ),
        ];
        for (text, normal) in table {
            match KeyRef::parse(&text) {
                Ok(key @ KeyRef::Aws(_)) => {
                    assert_eq!(key.to_string(), normal, "{text}");
                    assert_eq!(KeyRef::parse(&normal).unwrap(), key, "{text}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_is_nearest() {
        let forms = "write awskms:///KEY-ID, awskms:///alias/NAME or awskms:///ARN";
        let table = [
            ("awskms://".to_owned(), format!("the name of the key is missing; {forms}")),
            ("awskms:///".to_owned(), format!("the name of the key is missing; {forms}")),
            ("awskms://localhost:4566/".to_owned(), "the name of the key is missing; write awskms://localhost:4566/KEY-ID, awskms://localhost:4566/alias/NAME or awskms://localhost:4566/ARN".to_owned()),
            ("awskms:///release".to_owned(), "\"release\" is neither a key id nor an ARN, and an alias begins with alias/; did you mean awskms:///alias/release?".to_owned()),
            ("awskms://release".to_owned(), "\"release\" is neither a key id nor an ARN, and an alias begins with alias/; did you mean awskms:///alias/release?".to_owned()),
            ("awskms://localhost/release".to_owned(), "\"release\" is neither a key id nor an ARN, and an alias begins with alias/; did you mean awskms://localhost/alias/release?".to_owned()),
            ("awskms:///alias:release".to_owned(), "an alias is written with a slash; did you mean awskms:///alias/release?".to_owned()),
            ("awskms:///ALIAS/release".to_owned(), "alias/ is written in lower case; did you mean awskms:///alias/release?".to_owned()),
            ("awskms:////alias/release".to_owned(), "there is a slash too many; did you mean awskms:///alias/release?".to_owned()),
            ("awskms:///alias/release/".to_owned(), "there is a slash too many; did you mean awskms:///alias/release?".to_owned()),
            (format!("awskms:///{ID}/"), format!("there is a slash too many; did you mean awskms:///{ID}?")),
            (format!("awskms:///key/{ID}"), format!("a key's id stands without key/; did you mean awskms:///{ID}?")),
            (format!("awskms:///{}", ARN.replace("arn:", "ARN:")), format!("arn: is written in lower case; did you mean awskms:///{ARN}?")),
            ("awskms:///alias/".to_owned(), format!("the alias has no name after alias/; {forms}")),
            ("awskms:///alias/a b".to_owned(), format!("an alias cannot have ' ' in its name: it is made of letters, digits, /, _ and -; {forms}")),
            ("awskms:///61c124fb-bf47-4f95-a805-65dda7cd08a".to_owned(), format!("\"61c124fb-bf47-4f95-a805-65dda7cd08a\" is not a key id, which has 32 hexadecimal digits in groups of 8-4-4-4-12, or mrk- and 32 of them; {forms}")),
            ("awskms:///mrk-12".to_owned(), format!("\"mrk-12\" is not a key id, which has 32 hexadecimal digits in groups of 8-4-4-4-12, or mrk- and 32 of them; {forms}")),
            ("arn:aws:kms:us-west-2".to_owned(), format!("the ARN is not complete: it is arn:PARTITION:kms:REGION:ACCOUNT:key/ID, or alias/NAME at its end; {forms}")),
            (format!("arn:amazon:kms:us-west-2:562077019569:key/{ID}"), format!("the ARN's partition is \"amazon\", and should be aws, aws-cn, aws-us-gov or the like; {forms}")),
            ("arn:aws:s3:::bucket".to_owned(), format!("this is an ARN of the service \"s3\", not of a key: arn:aws:kms:REGION:ACCOUNT:key/ID; {forms}")),
            (format!("arn:aws:kms::562077019569:key/{ID}"), format!("the ARN's region is \"\", and should be like us-west-2; {forms}")),
            (format!("arn:aws:kms:us-west-2:1:key/{ID}"), format!("the ARN's account is \"1\", and should be 12 digits; {forms}")),
            ("arn:aws:kms:us-west-2:562077019569:key/2".to_owned(), format!("the ARN ends with \"2\", which is not a key id: 32 hexadecimal digits in groups of 8-4-4-4-12, or mrk- and 32 of them; {forms}")),
            (format!("arn:aws:kms:us-west-2:562077019569:{ID}"), format!("the ARN ends with \"{ID}\", and should end with key/ID or alias/NAME; {forms}")),
            (format!("awskms://http://localhost:4566/{ID}"), "an endpoint is a host without its scheme, always reached with https: awskms://HOST[:PORT]/ID; for a service without TLS set AWS_ENDPOINT_URL_KMS=http://… and write awskms:///ID".to_owned()),
            (format!("awskms://localhost:x/{ID}"), "\"localhost:x\" is not a host name (the port is no number from 1 to 65535); write awskms://HOST[:PORT]/ID, or without a host awskms:///ID".to_owned()),
            (format!("awskms://a b/{ID}"), "\"a b\" is not a host name (invalid international domain name); write awskms://HOST[:PORT]/ID, or without a host awskms:///ID".to_owned()),
        ];
        for (text, reason) in table {
            let error = KeyRef::parse(&text).unwrap_err().to_string();
            let (_, found) = error.split_once("\": ").unwrap();
            assert_eq!(found, reason, "{text}");
        }
    }

    #[test]
    fn a_region_is_known_from_the_arn_or_from_the_host() {
        for (text, region) in [
            (ARN.to_owned(), Some("us-west-2")),
            (format!("awskms://localhost:1/{ARN}"), Some("us-west-2")),
            (format!("awskms:///{ID}"), None),
            (format!("awskms://localhost:4566/{ID}"), None),
            (
                format!("awskms://kms.eu-west-1.amazonaws.com/{ID}"),
                Some("eu-west-1"),
            ),
            (
                format!("awskms://kms-fips.us-gov-west-1.amazonaws.com:443/{ID}"),
                Some("us-gov-west-1"),
            ),
            (
                format!("awskms://kms.cn-north-1.amazonaws.com.cn/{ID}"),
                Some("cn-north-1"),
            ),
            (
                format!("awskms://kms.eu-west-1.api.aws/{ID}"),
                Some("eu-west-1"),
            ),
            (
                format!("awskms://vpce-0a-1b.kms.eu-west-1.vpce.amazonaws.com/{ID}"),
                Some("eu-west-1"),
            ),
            (format!("awskms://s3.eu-west-1.amazonaws.com/{ID}"), None),
        ] {
            let KeyRef::Aws(key) = KeyRef::parse(&text).unwrap() else {
                panic!("{text}");
            };
            assert_eq!(key.region(), region, "{text}");
        }
    }
}
