//! Fulcio's own extensions, 1.3.6.1.4.1.57264.1.N: who asked for the certificate, and from where.
//!
//! Specification: <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>. There are two generations: 1 to 6
//! hold the bare bytes of a text, 8 and later a DER UTF8String. 7 is the type of a name (see
//! [`SubjectAltName::Username`](crate::SubjectAltName::Username)) and never an extension.

use der::Decode;
use der::asn1::{ObjectIdentifier, Utf8StringRef};

use crate::Error;

/// The arc that all of Fulcio's extensions are under.
const ARC: &str = "1.3.6.1.4.1.57264.1.";

macro_rules! extensions {
    ($($variant:ident = $number:literal, $json:literal, $label:literal;)*) => {
        /// One of Fulcio's extensions, of either generation.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum FulcioExtension {
            $(#[doc = concat!($label, ": 1.3.6.1.4.1.57264.1.", $number, ".")] $variant = $number,)*
        }

        impl FulcioExtension {
            /// Every extension, in the order of the numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in the JSON that Sigstore's clients print.
            pub fn json_name(self) -> &'static str {
                match self { $(Self::$variant => $json,)* }
            }

            /// The name for people.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }
    };
}

extensions! {
    IssuerV1 = 1, "issuerV1", "Issuer (first generation)";
    GithubWorkflowTrigger = 2, "githubWorkflowTrigger", "GitHub workflow trigger";
    GithubWorkflowSha = 3, "githubWorkflowSHA", "GitHub workflow SHA";
    GithubWorkflowName = 4, "githubWorkflowName", "GitHub workflow name";
    GithubWorkflowRepository = 5, "githubWorkflowRepository", "GitHub workflow repository";
    GithubWorkflowRef = 6, "githubWorkflowRef", "GitHub workflow ref";
    Issuer = 8, "issuer", "Issuer";
    BuildSignerUri = 9, "buildSignerURI", "Build signer URI";
    BuildSignerDigest = 10, "buildSignerDigest", "Build signer digest";
    RunnerEnvironment = 11, "runnerEnvironment", "Runner environment";
    SourceRepositoryUri = 12, "sourceRepositoryURI", "Source repository URI";
    SourceRepositoryDigest = 13, "sourceRepositoryDigest", "Source repository digest";
    SourceRepositoryRef = 14, "sourceRepositoryRef", "Source repository ref";
    SourceRepositoryIdentifier = 15, "sourceRepositoryIdentifier", "Source repository identifier";
    SourceRepositoryOwnerUri = 16, "sourceRepositoryOwnerURI", "Source repository owner URI";
    SourceRepositoryOwnerIdentifier = 17, "sourceRepositoryOwnerIdentifier", "Source repository owner identifier";
    BuildConfigUri = 18, "buildConfigURI", "Build config URI";
    BuildConfigDigest = 19, "buildConfigDigest", "Build config digest";
    BuildTrigger = 20, "buildTrigger", "Build trigger";
    RunInvocationUri = 21, "runInvocationURI", "Run invocation URI";
    SourceRepositoryVisibility = 22, "sourceRepositoryVisibilityAtSigning", "Source repository visibility at signing";
    DeploymentEnvironment = 23, "deploymentEnvironment", "Deployment environment";
    TokenSubject = 24, "tokenSubject", "Token subject";
}

impl FulcioExtension {
    /// N in 1.3.6.1.4.1.57264.1.N.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The object identifier, in dots.
    pub fn oid(self) -> String {
        format!("{ARC}{}", self.number())
    }

    /// Whether the value is the bare text, not a DER UTF8String.
    pub(crate) fn is_first_generation(self) -> bool {
        self.number() <= 6
    }

    pub(crate) fn from_oid(oid: &ObjectIdentifier) -> Option<Self> {
        let text = oid.to_string();
        let number: u8 = text.strip_prefix(ARC)?.parse().ok()?;
        Self::ALL
            .iter()
            .copied()
            .find(|extension| extension.number() == number)
    }

    pub(crate) fn parse(self, bytes: &[u8]) -> Result<String, Error> {
        let malformed =
            |reason: &str| Error::extension(format!("{} ({})", self.label(), self.oid()), reason);
        if self.is_first_generation() {
            let text = core::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
            return Ok(text.to_owned());
        }
        let text =
            Utf8StringRef::from_der(bytes).map_err(|_| malformed("it is not a DER UTF8String"))?;
        Ok(text.as_str().to_owned())
    }
}

/// The Fulcio extensions of a certificate; empty for certificates of other CAs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Extensions(pub(crate) Vec<(FulcioExtension, String)>);

impl Extensions {
    /// The value of an extension.
    pub fn get(&self, extension: FulcioExtension) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| *found == extension)
            .map(|(_, value)| value.as_str())
    }

    /// The issuer of the token that the certificate was issued for: the second generation's if there is one, as the
    /// first is deprecated.
    pub fn issuer(&self) -> Option<&str> {
        self.get(FulcioExtension::Issuer)
            .or_else(|| self.get(FulcioExtension::IssuerV1))
    }

    /// Every extension with its value, in the order of the certificate.
    pub fn iter(&self) -> impl Iterator<Item = (FulcioExtension, &str)> {
        self.0
            .iter()
            .map(|(extension, value)| (*extension, value.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_generations_are_encoded_differently() {
        assert_eq!(
            FulcioExtension::IssuerV1.parse(b"https://a").unwrap(),
            "https://a"
        );
        assert_eq!(
            FulcioExtension::Issuer.parse(b"\x0c\x09https://a").unwrap(),
            "https://a"
        );
        let error = FulcioExtension::Issuer
            .parse(b"https://a")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "not a valid X.509 certificate: the extension Issuer (1.3.6.1.4.1.57264.1.8) is malformed: \
             it is not a DER UTF8String"
        );
        assert!(FulcioExtension::IssuerV1.parse(b"\xff").is_err());
    }

    #[test]
    fn numbers_are_those_of_the_specification() {
        let numbers: Vec<u8> = FulcioExtension::ALL.iter().map(|e| e.number()).collect();
        assert_eq!(numbers, (1..=6).chain(8..=24).collect::<Vec<u8>>());
        for extension in FulcioExtension::ALL {
            let oid = ObjectIdentifier::new(&extension.oid()).unwrap();
            assert_eq!(FulcioExtension::from_oid(&oid), Some(*extension));
        }
        for other in [
            "1.3.6.1.4.1.57264.1.7",
            "1.3.6.1.4.1.57264.1.99",
            "1.3.6.1.4.1.57264.2",
        ] {
            assert_eq!(
                FulcioExtension::from_oid(&ObjectIdentifier::new(other).unwrap()),
                None
            );
        }
    }

    #[test]
    fn the_second_generations_issuer_wins() {
        let both = Extensions(vec![
            (FulcioExtension::IssuerV1, "old".into()),
            (FulcioExtension::Issuer, "new".into()),
        ]);
        assert_eq!(both.issuer(), Some("new"));
        assert_eq!(
            Extensions(vec![(FulcioExtension::IssuerV1, "old".into())]).issuer(),
            Some("old")
        );
        assert_eq!(Extensions::default().issuer(), None);
    }
}
