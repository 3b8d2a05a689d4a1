//! Spellings of cosign that are not ours: they still work and say what to use, or say why they do not.

use std::ffi::OsString;

use crate::terminal::Terminal;

/// Flags of cosign that need what is not supported yet, and what that is.
const UNSUPPORTED: &[(&str, &[&str])] = &[
    ("payloads in files of their own", &["payload"]),
    (
        "experimental OCI 1.1 signatures, written",
        &["registry-referrers-mode"],
    ),
    (
        "the creation time in a legacy payload",
        &["record-creation-timestamp"],
    ),
    (
        "certificates in files of their own",
        &[
            "certificate",
            "certificate-chain",
            "ca-roots",
            "ca-intermediates",
            "sct",
            "issue-certificate",
            "output-certificate",
        ],
    ),
    (
        "timestamps in files of their own, and client certificates for timestamp authorities",
        &[
            "timestamp-client-cacert",
            "timestamp-client-cert",
            "timestamp-client-key",
            "timestamp-server-name",
            "rfc3161-timestamp",
            "timestamp-certificate-chain",
        ],
    ),
    (
        "an unverified certificate authority",
        &["insecure-skip-verify"],
    ),
    ("hardware tokens (PIV)", &["sk", "slot"]),
    (
        "signing an attached SBOM by tag (--attachment)",
        &["attachment"],
    ),
    ("the ambient keychains of Kubernetes", &["k8s-keychain"]),
];

/// Commands of cosign that are not here.
const COMMANDS: &[&str] = &["debug", "env", "generate", "piv-tool", "pkcs11-tool"];

/// Whether cosign has the command, and this program has not.
pub(crate) fn is_command_of_cosign(name: &str) -> bool {
    COMMANDS.contains(&name)
}

/// Why cosign's flag `--name` cannot be given.
pub(crate) fn unsupported(name: &str) -> Option<&'static str> {
    UNSUPPORTED
        .iter()
        .find(|(_, flags)| flags.contains(&name))
        .map(|(reason, _)| *reason)
}

/// Long options with a single dash, which cosign still takes, become proper ones.
pub(crate) fn rewrite(
    arguments: impl Iterator<Item = OsString>,
    terminal: &Terminal,
) -> Vec<OsString> {
    let mut only_operands = false;
    arguments
        .enumerate()
        .map(|(index, argument)| {
            only_operands |= argument == "--";
            if index == 1 && argument == "--version" {
                return "version".into();
            }
            match argument.to_str() {
                Some(text) if !only_operands && is_long_with_one_dash(text) => {
                    if text == "-version" {
                        return "version".into();
                    }
                    terminal.warn(format!("{text} is a long option: write -{text}"));
                    format!("-{text}").into()
                }
                _ => argument,
            }
        })
        .collect()
}

fn is_long_with_one_dash(text: &str) -> bool {
    let Some(name) = text
        .strip_prefix('-')
        .map(|rest| rest.split('=').next().unwrap_or(rest))
    else {
        return false;
    };
    // Two letters can be a short option with its value (`-ok`), more can be one too, so only known names count.
    const KNOWN: &[&str] = &[
        "key",
        "output",
        "output-key-prefix",
        "annotations",
        "recursive",
        "bundle",
        "signature",
        "verbose",
        "version",
        "yes",
        "type",
        "force",
        "payload",
        "upload",
        "check-claims",
        "timeout",
        "local-image",
        "username",
        "password",
        "password-stdin",
        "allow-insecure-registry",
        "allow-http-registry",
        "help",
    ];
    KNOWN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_also_spelt_as_an_option() {
        let rewritten = |words: &[&str]| {
            let words = words.iter().map(OsString::from);
            rewrite(words, &Terminal::new())
        };
        for word in ["--version", "-version", "version"] {
            assert_eq!(rewritten(&["sealmark", word]), ["sealmark", "version"]);
        }
        let elsewhere = ["sealmark", "sign", "--version"];
        assert_eq!(rewritten(&elsewhere), elsewhere);
    }

    #[test]
    fn only_known_long_names_with_one_dash_are_rewritten() {
        for (given, long) in [
            ("-key", true),
            ("-key=cosign.key", true),
            ("--key", false),
            ("-k", false),
            ("-acreator=me", false),
            ("-", false),
            ("key", false),
        ] {
            assert_eq!(is_long_with_one_dash(given), long, "{given}");
        }
    }
}
