//! A vault's refusal in words: what is missing, who misses it, what to do.
//! <https://learn.microsoft.com/azure/key-vault/general/rest-error-codes>

use sealmark_http::{Answer, retry_after, sanitise};
use serde_json::Value;

use super::identity::Identity;
use super::reference::Key;

/// Reading the public part.
pub(crate) const READ: &str = "read the public key";
/// Signing.
pub(crate) const SIGN: &str = "sign";
/// Having a signature checked.
pub(crate) const VERIFY: &str = "verify";
/// Wrapping the password of an instance.
pub(crate) const WRAP: &str = "wrap a password";
/// Opening it again.
pub(crate) const UNWRAP: &str = "unwrap the password";
/// Making a key.
pub(crate) const CREATE: &str = "create the key";

/// Why the vault refused.
pub(crate) fn reason(answer: &Answer, key: &Key, action: &str, who: Option<&Identity>) -> String {
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |pointer: &str| {
        let found = said.pointer(pointer).and_then(Value::as_str);
        found.map(sanitise).unwrap_or_default()
    };
    let refusal = Refusal {
        status: answer.status,
        code: text("/error/code"),
        message: text("/error/message"),
        inner: text("/error/innererror/code"),
        wait: retry_after(&answer.headers).map(|wait| wait.as_secs()),
    };
    refusal.words(key, action, who)
}

/// What the vault said.
#[derive(Debug, Default)]
struct Refusal {
    status: u16,
    code: String,
    message: String,
    inner: String,
    wait: Option<u64>,
}

impl Refusal {
    fn words(&self, key: &Key, action: &str, who: Option<&Identity>) -> String {
        let (vault, name) = (key.vault(), key.name.as_str());
        match (self.status, self.inner.as_str()) {
            (401, _) => self.unauthorised(who),
            (403, "ForbiddenByPolicy") => self.by_policy(key, action, who),
            (403, "ForbiddenByRbac") => self.by_rbac(key, action, who),
            (403, "ForbiddenByFirewall") => format!(
                "the vault's firewall does not let this machine in{}; add its address: az keyvault network-rule add --name \
                 {vault} --ip-address ADDRESS",
                address(&self.message)
            ),
            (403, "ForbiddenByConnection") => format!(
                "the vault takes connections over its private link only, and this one came another way{}; work inside its \
                 network",
                address(&self.message)
            ),
            (403, "KeyDisabled") => format!(
                "the key is disabled; enable it: az keyvault key set-attributes --vault-name {vault} --name {name} --enabled \
                 true"
            ),
            (403, "KeyOperationForbidden") => format!(
                "the key's permitted operations do not have this one; permit it: az keyvault key set-attributes \
                 --vault-name {vault} --name {name} --ops {}",
                match action {
                    WRAP | UNWRAP => "wrapKey unwrapKey",
                    _ => "sign verify",
                }
            ),
            // Older answers have the reason in the text alone.
            (403, _) if self.message.contains("does not have keys") => {
                self.by_policy(key, action, who)
            }
            (403, _) if self.message.contains("not authorized to perform action") => {
                self.by_rbac(key, action, who)
            }
            (404, _) if self.code == "KeyNotFound" => match &key.version {
                Some(version) => format!(
                    "the vault {vault} has no version {version} of a key {name}; it has: az keyvault key list-versions \
                     --vault-name {vault} --name {name}; if it was deleted, recover it: az keyvault key recover --vault-name \
                     {vault} --name {name}"
                ),
                None => format!(
                    "the vault {vault} has no key {name}; it has: az keyvault key list --vault-name {vault}; if it was \
                     deleted, recover it: az keyvault key recover --vault-name {vault} --name {name}"
                ),
            },
            (409, _) => format!(
                "{}; a deleted key of this name may still be kept: az keyvault key recover --vault-name {vault} --name \
                 {name}, or purge it",
                self.quoted()
            ),
            (429, _) => format!(
                "the vault is asked too much ({}){}",
                self.quoted(),
                match self.wait {
                    Some(seconds) => format!("; it wants {seconds} s of peace: try again then"),
                    None => "; try again later".to_owned(),
                }
            ),
            _ => self.quoted(),
        }
    }

    /// The vault's own words.
    fn quoted(&self) -> String {
        let code = match (self.code.as_str(), self.inner.as_str()) {
            ("", _) => String::new(),
            (code, "") => format!(" {code}"),
            (code, inner) => format!(" {code} ({inner})"),
        };
        match self.message.as_str() {
            "" => format!("the vault answered {}{code}", self.status),
            message => format!("the vault answered {}{code}: {message}", self.status),
        }
    }

    fn unauthorised(&self, who: Option<&Identity>) -> String {
        let token = who.map_or_else(
            || "the token".to_owned(),
            |who| format!("the token, which is that of {who},"),
        );
        if self.message.contains("AKV10032") {
            // "Expected one of https://sts.windows.net/T/, …, found https://sts.windows.net/T2/."
            let (expected, found) = self
                .message
                .split_once("found ")
                .unwrap_or((&self.message, ""));
            let wanted = guids(expected).join(" or ");
            return format!(
                "the vault trusts the tenant {wanted}, and {token} is of tenant {}; log in there: az login --tenant {wanted}, \
                 or set AZURE_TENANT_ID (AKV10032)",
                guids(found).join(" or ")
            );
        }
        format!("{token} was not accepted; {}", self.quoted())
    }

    fn by_policy(&self, key: &Key, action: &str, who: Option<&Identity>) -> String {
        let object = object(who);
        let permission = permission(action);
        format!(
            "{} lacks the permission keys/{permission} in the access policy of the vault {vault}; grant it: az keyvault \
             set-policy --name {vault} --object-id {object} --key-permissions get {permission}{}",
            subject(who),
            passed_over(who),
            vault = key.vault(),
        )
    }

    fn by_rbac(&self, key: &Key, action: &str, who: Option<&Identity>) -> String {
        let object = object(who);
        let role = match (action, key.is_hsm()) {
            (CREATE, false) => "Key Vault Crypto Officer",
            (WRAP | UNWRAP, false) => "Key Vault Crypto Service Encryption User",
            (WRAP | UNWRAP, true) => "Managed HSM Crypto Service Encryption User",
            (CREATE, true) => "Managed HSM Crypto User",
            (_, false) => "Key Vault Crypto User",
            (_, true) => "Managed HSM Crypto User",
        };
        format!(
            "{} lacks the permission keys/{}, which the role {role:?} gives; grant it: az role assignment create --role \
             {role:?} --assignee-object-id {object} --scope $(az keyvault show --name {} --query id -o tsv); it takes up to \
             ten minutes to count{}",
            subject(who),
            permission(action),
            key.vault(),
            passed_over(who),
        )
    }
}

fn permission(action: &str) -> &'static str {
    match action {
        SIGN => "sign",
        VERIFY => "verify",
        CREATE => "create",
        WRAP => "wrapKey",
        UNWRAP => "unwrapKey",
        _ => "get",
    }
}

fn subject(who: Option<&Identity>) -> String {
    who.map_or_else(|| "whoever asked".to_owned(), ToString::to_string)
}

fn object(who: Option<&Identity>) -> &str {
    who.and_then(|who| who.object.as_deref())
        .unwrap_or("OBJECT")
}

/// Which sources were passed over: the identity may be another than the user thinks.
fn passed_over(who: Option<&Identity>) -> String {
    match who {
        Some(who) if !who.passed_over.is_empty() => format!(
            ". If it should be another identity: these were looked for first: {}",
            who.passed_over.join("; ")
        ),
        _ => String::new(),
    }
}

/// `, whose address is 203.0.113.9`, if the vault says so: "Client address: 203.0.113.9".
fn address(message: &str) -> String {
    let found = message
        .split_once("Client address: ")
        .and_then(|(_, rest)| {
            rest.split(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':')))
                .next()
                .map(|address| address.trim_end_matches(['.', ':']))
                .filter(|address| !address.is_empty())
        });
    found.map_or_else(String::new, |found| {
        format!(" (it sees the address {found})")
    })
}

/// The GUIDs in a text.
fn guids(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = text
        .split(|c: char| !(c.is_ascii_hexdigit() || c == '-'))
        .filter(|word| word.len() == 36 && word.matches('-').count() == 4)
        .collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "08c1c649-bfdd-439e-8e5b-5ff31c72ce4e";

    fn refusal(status: u16, inner: &str, message: &str) -> Refusal {
        Refusal {
            status,
            code: match status {
                401 => "Unauthorized",
                403 => "Forbidden",
                404 => "KeyNotFound",
                429 => "Throttled",
                _ => "BadParameter",
            }
            .to_owned(),
            inner: inner.to_owned(),
            message: message.to_owned(),
            wait: (status == 429).then_some(7),
        }
    }

    /// The messages are those of the service, as the story and Microsoft's pages have them.
    #[test]
    fn what_is_said_of_each_refusal() {
        let key = Key::parse("azurekms://tsm-kv/k", None).unwrap().unwrap();
        let cli = Identity {
            source: "the Azure CLI (az)",
            application: Some("04b07795-8ddb-461a-bbee-02f9e1bf7b46".into()),
            object: Some("f4650a81-f57d-4fb3-870c-e84fe859f68a".into()),
            user: Some("toddy@example.com".into()),
            tenant: Some(TENANT.into()),
            expires: 0,
            passed_over: vec![
                "the variables AZURE_CLIENT_ID and AZURE_CLIENT_SECRET: AZURE_TENANT_ID is not set"
                    .into(),
            ],
        };
        let table = [
            // The story's, with the identity that its user could not find out.
            (
                refusal(
                    403,
                    "ForbiddenByPolicy",
                    "The user, group or application '…' does not have keys sign permission",
                ),
                SIGN,
                "user toddy@example.com (object f4650a81-f57d-4fb3-870c-e84fe859f68a, tenant 08c1c649-bfdd-439e-8e5b-5ff31c72ce4e), from the Azure CLI (az), whose own application id is 04b07795-8ddb-461a-bbee-02f9e1bf7b46 lacks the permission keys/sign in the access policy of the vault tsm-kv; grant it: az keyvault set-policy --name tsm-kv --object-id f4650a81-f57d-4fb3-870c-e84fe859f68a --key-permissions get sign. If it should be another identity: these were looked for first: the variables AZURE_CLIENT_ID and AZURE_CLIENT_SECRET: AZURE_TENANT_ID is not set",
            ),
            (
                refusal(
                    403,
                    "",
                    "The user '…' does not have keys get permission on key vault",
                ),
                READ,
                "lacks the permission keys/get in the access policy",
            ),
            (
                refusal(
                    403,
                    "ForbiddenByRbac",
                    "Caller is not authorized to perform action on resource.",
                ),
                SIGN,
                "lacks the permission keys/sign, which the role \"Key Vault Crypto User\" gives",
            ),
            (
                refusal(403, "ForbiddenByRbac", ""),
                CREATE,
                "lacks the permission keys/create, which the role \"Key Vault Crypto Officer\" gives",
            ),
            (
                refusal(
                    403,
                    "ForbiddenByFirewall",
                    "Client address is not authorized and caller is not a trusted service.\r\nClient address: 203.0.113.9\r\nCaller: appid=x",
                ),
                READ,
                "the vault's firewall does not let this machine in (it sees the address 203.0.113.9); add its address",
            ),
            (
                refusal(
                    403,
                    "ForbiddenByConnection",
                    "Public network access is disabled",
                ),
                READ,
                "over its private link only",
            ),
            (
                refusal(403, "KeyDisabled", ""),
                SIGN,
                "the key is disabled; enable it",
            ),
            (
                refusal(403, "Other", "Something else."),
                SIGN,
                "the vault answered 403 Forbidden (Other): Something else.",
            ),
            (
                refusal(404, "", "A key with (name/id) k was not found"),
                READ,
                "the vault tsm-kv has no key k; it has: az keyvault key list --vault-name tsm-kv; if it was deleted, recover it: az keyvault key recover",
            ),
            (
                refusal(
                    429,
                    "",
                    "Request was not processed because too many requests were received.",
                ),
                SIGN,
                "it wants 7 s of peace",
            ),
            (
                refusal(
                    401,
                    "",
                    "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/08c1c649-bfdd-439e-8e5b-5ff31c72ce4e/, found https://sts.windows.net/11111111-2222-3333-4444-555555555555/.",
                ),
                READ,
                "the vault trusts the tenant 08c1c649-bfdd-439e-8e5b-5ff31c72ce4e, and the token",
            ),
            (
                refusal(
                    401,
                    "",
                    "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/08c1c649-bfdd-439e-8e5b-5ff31c72ce4e/, found https://sts.windows.net/11111111-2222-3333-4444-555555555555/.",
                ),
                READ,
                "is of tenant 11111111-2222-3333-4444-555555555555; log in there: az login --tenant 08c1c649-bfdd-439e-8e5b-5ff31c72ce4e",
            ),
            (
                refusal(401, "", "AKV10022: Invalid audience."),
                READ,
                "was not accepted; the vault answered 401 Unauthorized: AKV10022",
            ),
            (
                refusal(400, "", "Key and signing algorithm are incompatible."),
                SIGN,
                "the vault answered 400 BadParameter: Key and signing",
            ),
        ];
        for (refusal, action, part) in table {
            let words = refusal.words(&key, action, Some(&cli));
            assert!(words.contains(part), "{words}\n  has not: {part}");
        }
        let versioned = key.at("91ca3fb133614790a51fc9c04bd96890");
        let words = refusal(404, "", "").words(&versioned, READ, None);
        assert!(
            words.contains("no version 91ca3fb133614790a51fc9c04bd96890 of a key k"),
            "{words}"
        );
    }
}
