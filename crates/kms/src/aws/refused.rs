//! What KMS says when it refuses, and what its user can do about it.
//!
//! <https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html>

use serde_json::Value;

/// KMS's own words.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) status: u16,
    /// `AccessDeniedException`.
    pub(super) code: String,
    pub(super) message: String,
}

impl Said {
    /// Reads a refusal: `{"__type":"…","message":"…"}`, with one capital letter or the other.
    pub(super) fn of(status: u16, body: &[u8]) -> Self {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let text = |name: &str| {
            let value = json.as_ref()?.get(name)?.as_str()?;
            Some(sealmark_http::sanitise(value))
        };
        let code = text("__type").or_else(|| text("code"));
        // A code may stand behind the name of its interface.
        let code = code.map(|code| code.rsplit('#').next().unwrap_or_default().to_owned());
        Self {
            status,
            code: code.unwrap_or_else(|| format!("status {status}")),
            message: text("message")
                .or_else(|| text("Message"))
                .unwrap_or_else(|| "(AWS gave no reason)".to_owned()),
        }
    }

    /// Whether it will pass by itself.
    pub(super) fn passes(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ThrottlingException"
                | "Throttling"
                | "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "KMSInternalException"
                | "DependencyTimeoutException"
                | "KeyUnavailableException"
        ) || self.status >= 500
    }

    /// Whether the key or alias does not exist.
    pub(super) fn is_not_found(&self) -> bool {
        self.code == "NotFoundException"
    }

    /// What to do, after a semicolon; empty if AWS has said all that there is.
    pub(super) fn advice(&self, action: &str, key: &str, region: &str) -> String {
        let by_alias = key.contains("alias/");
        let by_arn = key.contains("/arn:");
        let advice = match self.code.as_str() {
            "AccessDeniedException" | "AccessDenied" => {
                let who = match identity(&self.message) {
                    Some(identity) => identity.to_owned(),
                    None => "this identity (shown with -v)".to_owned(),
                };
                let action = permission(&self.message).unwrap_or(action);
                format!("{action} must be allowed for {who}, by the key's policy or its own")
            }
            "NotFoundException" if by_alias && by_arn => {
                "aliases belong to one account and region, which the ARN names; aws kms list-aliases shows them"
                    .to_owned()
            }
            "NotFoundException" if by_alias => format!(
                "aliases belong to one account and region: aws kms list-aliases --region {region} shows those of the \
                 credentials' own account; give the ARN for another region or account"
            ),
            "NotFoundException" if by_arn => {
                "was it deleted, or is the ARN of another partition?".to_owned()
            }
            "NotFoundException" => format!(
                "a key's id is looked for in the credentials' own account and in {region}; give the ARN for another \
                 region or account"
            ),
            "DisabledException" => {
                format!("the key is disabled; enable it: aws kms enable-key --region {region} --key-id …")
            }
            "KMSInvalidStateException" if self.message.contains("pending deletion") => format!(
                "the key is about to be deleted; keep it: aws kms cancel-key-deletion --region {region} --key-id …, \
                 and then enable-key"
            ),
            "KMSInvalidStateException" => {
                format!("see its state: aws kms describe-key --region {region} --key-id …")
            }
            "UnsupportedOperationException" | "InvalidKeyUsageException" | "ValidationException"
                if action == "kms:Encrypt" =>
            {
                "a password is wrapped by a symmetric key (SYMMETRIC_DEFAULT): aws kms create-key makes one".to_owned()
            }
            "InvalidCiphertextException" | "IncorrectKeyException" => {
                "what is to be unwrapped was not wrapped by this key for this instance, or is damaged: is the file another \
                 instance's?"
                    .to_owned()
            }
            "UnsupportedOperationException" | "InvalidKeyUsageException" => {
                "the key is not one that signs: make one with sealmark generate-key-pair --kms awskms:///alias/NAME"
                    .to_owned()
            }
            "ExpiredTokenException" | "ExpiredToken" => {
                "the credentials have expired: log in again".to_owned()
            }
            "UnrecognizedClientException" | "InvalidClientTokenId" => format!(
                "AWS does not know these credentials: is the access key deleted, or of another partition than {region}?"
            ),
            "InvalidSignatureException" | "SignatureDoesNotMatch" => {
                "is the secret access key complete, and this machine's clock right?".to_owned()
            }
            "RequestExpired" | "RequestTimeTooSkewed" => "is this machine's clock right?".to_owned(),
            "ThrottlingException" | "Throttling" | "TooManyRequestsException" => {
                "try again later; KMS has a quota for each account and region".to_owned()
            }
            _ => return String::new(),
        };
        format!("; {advice}")
    }
}

/// `arn:aws:iam::…:user/x` of `User: arn:aws:iam::…:user/x is not authorized to perform: kms:Sign on resource: …`.
fn identity(message: &str) -> Option<&str> {
    let rest = message.split("User: ").nth(1)?;
    rest.split_whitespace()
        .next()
        .filter(|word| word.starts_with("arn:"))
}

/// `kms:Sign` of the same.
fn permission(message: &str) -> Option<&str> {
    let rest = message.split("perform: ").nth(1)?;
    rest.split_whitespace()
        .next()
        .filter(|word| word.starts_with("kms:"))
}
