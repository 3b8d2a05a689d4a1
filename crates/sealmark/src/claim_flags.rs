//! Flags of the commands that attest: what is said, and of which type it is.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sealmark_formats::predicate::{self, Format};
use sealmark_formats::predicate_type::CUSTOM;
use sealmark_formats::provenance;
use sealmark_formats::statement::Statement;
use sealmark_sign::attest::Claim;
use sealmark_verify::policy::PredicateType;
use serde_json::value::RawValue;

use crate::commands::sbom::SbomFormat;
use crate::error::Error;
use crate::terminal::Terminal;

/// The largest predicate or statement, in bytes: with base64 around it, it fits into the largest attachment and bundle file
/// that are read here, and is in memory some three times while it is signed.
const MAX_CLAIM: u64 = 128 << 20;
/// The largest one that cosign reads: its bound for attachments is 128 MiB, with base64 and the rest of the bundle.
const MAX_FOR_COSIGN: u64 = 95 << 20;
/// What `slsa` means where the content does not say.
const SLSA: &str = "https://slsa.dev/provenance";

/// What is attested.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "What is attested")]
pub(crate) struct ClaimFlags {
    /// The predicate: a file, or - for standard input; it is signed as it is
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present_any = ["statement", "provenance", "sbom"],
        conflicts_with_all = ["statement", "provenance", "sbom"]
    )]
    predicate: Option<PathBuf>,
    /// An SBOM instead, made of each image: its packages
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "statement")]
    sbom: Option<SbomFormat>,
    /// A whole in-toto statement instead, about the artifact: a file, or - for standard input; signed byte for byte
    #[arg(long, value_name = "FILE")]
    statement: Option<PathBuf>,
    /// SLSA provenance of the build that this runs in, as sealmark provenance writes it without flags
    #[arg(long, conflicts_with_all = ["statement", "kind", "sbom"])]
    provenance: bool,
    /// Type of the predicate: custom, sbom, spdxjson, cyclonedx, slsa, vex, vuln, …, or a URI [default: found from the
    /// content, or custom]
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "statement")]
    kind: Option<String>,
    /// Attest also what has not the shape of its type
    #[arg(long)]
    no_schema: bool,
}

/// What is attested, read.
pub(crate) enum Given {
    Predicate {
        predicate_type: String,
        predicate: Box<RawValue>,
    },
    Statement {
        predicate_type: String,
        json: Vec<u8>,
    },
}

impl Given {
    pub(crate) fn claim(&self) -> Claim<'_> {
        match self {
            Self::Predicate {
                predicate_type,
                predicate,
            } => Claim::Predicate {
                predicate_type,
                predicate,
            },
            Self::Statement { json, .. } => Claim::Statement(json),
        }
    }

    pub(crate) fn predicate_type(&self) -> &str {
        match self {
            Self::Predicate { predicate_type, .. } | Self::Statement { predicate_type, .. } => {
                predicate_type
            }
        }
    }
}

impl ClaimFlags {
    /// The file that is read.
    pub(crate) fn file(&self) -> Option<&Path> {
        let file = self.predicate.as_deref().or(self.statement.as_deref());
        file.filter(|path| !is_standard_input(path))
    }

    /// Whether standard input is what is attested.
    pub(crate) fn reads_standard_input(&self) -> bool {
        let given = [&self.predicate, &self.statement];
        given
            .into_iter()
            .flatten()
            .any(|path| is_standard_input(path))
    }

    /// The form of the SBOM that is to be made of each image.
    pub(crate) fn sbom(&self) -> Option<SbomFormat> {
        self.sbom
    }

    /// Reads what is attested, and finds out its type.
    pub(crate) fn read(&self, terminal: &Terminal) -> Result<Given, Error> {
        if self.sbom.is_some() {
            return Err(Error::Usage(
                "--sbom is for images; of a directory, `sealmark sbom DIR --output spdx-json` makes a file for --predicate"
                    .to_owned(),
            ));
        }
        if let Some(path) = &self.statement {
            let json = content(path)?;
            warn_of_size(json.len() as u64, terminal);
            let statement = Statement::parse_head(&json).map_err(|error| {
                Error::Usage(format!("--statement {}: {error}", path.display()))
            })?;
            return Ok(Given::Statement {
                predicate_type: statement.predicate_type,
                json,
            });
        }
        if self.provenance {
            return Ok(Given::Predicate {
                predicate_type: provenance::PREDICATE_TYPE.to_owned(),
                predicate: crate::commands::provenance::of_environment(terminal)?,
            });
        }
        let path = self.predicate.as_deref().unwrap_or_else(|| Path::new("-"));
        let name = path.display().to_string();
        self.predicate("--predicate", &name, content(path)?, terminal)
    }

    /// A document as a predicate; `flag` with `name` says where it comes from.
    pub(crate) fn predicate(
        &self,
        flag: &str,
        name: &str,
        document: Vec<u8>,
        terminal: &Terminal,
    ) -> Result<Given, Error> {
        let wrong = |problem: String| Error::Usage(format!("{flag} {name}: {problem}"));
        let found = Format::of(&document);
        let predicate_type = match (&self.kind, found) {
            (Some(name), found) => self.named(name, found, &document).map_err(wrong)?,
            (None, Some(format)) => {
                terminal.note(format!(
                    "{name} is {format}: attested as {}",
                    format.predicate_type
                ));
                format.predicate_type.to_owned()
            }
            (None, None) => {
                terminal.note(format!(
                    "{name} is no kind of document that is known: attested as {CUSTOM}; say with --type what it is"
                ));
                CUSTOM.to_owned()
            }
        };
        if let Some(format) = found.filter(|format| format.fits(&predicate_type))
            && !self.no_schema
        {
            format.check(&document).map_err(|fault| {
                wrong(format!(
                    "it is not {format} as that must be: {fault}; --no-schema attests it all the same"
                ))
            })?;
        }
        let size = document.len() as u64;
        let predicate = predicate::predicate(document)
            .map_err(|problem| wrong(format!("it cannot be a predicate: {problem}")))?;
        warn_of_size(size, terminal);
        Ok(Given::Predicate {
            predicate_type,
            predicate,
        })
    }

    /// The URI that is meant by `--type`.
    fn named(
        &self,
        name: &str,
        found: Option<&'static Format>,
        document: &[u8],
    ) -> Result<String, String> {
        let types =
            PredicateType::named(name).map_err(|error| format!("--type {name}: {error}"))?;
        let uri = |format: Option<&Format>| match (types.as_slice(), format) {
            ([PredicateType::Exact(uri)], _) => uri.clone(),
            ([PredicateType::Exact(uri), ..], None) => uri.clone(),
            (_, Some(format)) => format.predicate_type.to_owned(),
            ([PredicateType::AnyVersion(base), ..], None) if base == SLSA => format!("{base}/v1"),
            ([first, ..], None) => first.to_string(),
            ([], None) => name.to_owned(),
        };
        let fits = |format: &&Format| {
            let meant = |it: &PredicateType| match it {
                PredicateType::Exact(uri) => format.fits(uri),
                PredicateType::AnyVersion(base) => {
                    it.matches(format.predicate_type) || format.fits(base)
                }
            };
            types.iter().any(meant)
        };
        if let Some(format) = found.filter(fits) {
            return Ok(uri(Some(format)));
        }
        let known: Vec<&Format> = types
            .iter()
            .flat_map(|it| match it {
                PredicateType::AnyVersion(base) if base == SLSA => {
                    Format::all_of(&format!("{base}/v1"))
                }
                it => Format::all_of(&it.to_string()),
            })
            .collect();
        if known.is_empty() || self.no_schema {
            return Ok(uri(None));
        }
        // Versions of one format have one name.
        let mut names: Vec<&str> = known.iter().map(|format| format.name).collect();
        names.dedup();
        let names = names.join(" or ");
        Err(match found {
            Some(format) => format!(
                "it is {format}, and --type {name} is for {names}: leave --type out, or --no-schema attests it all the same"
            ),
            None => {
                let why = known.iter().find_map(|format| format.check(document).err());
                let why = why.map(|fault| format!(" ({fault})")).unwrap_or_default();
                format!(
                    "it is not {names}, as --type {name} says{why}; --no-schema attests it all the same"
                )
            }
        })
    }
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Says that cosign does not read what is so large.
fn warn_of_size(size: u64, terminal: &Terminal) {
    if size > MAX_FOR_COSIGN {
        terminal.note(format!(
            "warning: {} MiB are more than cosign reads of an attestation, unless COSIGN_MAX_ATTACHMENT_SIZE is {} MiB for it",
            size >> 20,
            crate::detached::MAX_BUNDLE >> 20
        ));
    }
}

fn content(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = match is_standard_input(path) {
        true => std::io::stdin()
            .lock()
            .take(MAX_CLAIM + 1)
            .read_to_end(&mut bytes),
        false => File::open(path).and_then(|file| {
            // So that a large file is not moved while it is read.
            let length = file.metadata()?.len().min(MAX_CLAIM);
            bytes.reserve_exact(usize::try_from(length).unwrap_or_default() + 1);
            file.take(MAX_CLAIM + 1).read_to_end(&mut bytes)
        }),
    };
    read.map_err(|cause| Error::file("read", path, cause))?;
    match bytes.len() as u64 > MAX_CLAIM {
        true => Err(Error::Usage(format!(
            "{} is larger than {} MiB, which is the most that is attested; attest of its digest instead",
            path.display(),
            MAX_CLAIM >> 20
        ))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPDX: &str = r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"a","dataLicense":"CC0-1.0","documentNamespace":"x","creationInfo":{"created":"2026-01-31T12:00:00Z","creators":["Tool: a"]}}"#;
    const CYCLONEDX: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#;
    const SLSA_02: &str = r#"{"builder":{"id":"b"},"buildType":"t"}"#;

    fn given(kind: Option<&str>, document: &str, no_schema: bool) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.json");
        std::fs::write(&path, document).unwrap();
        let flags = ClaimFlags {
            predicate: Some(path.clone()),
            sbom: None,
            statement: None,
            provenance: false,
            kind: kind.map(str::to_owned),
            no_schema,
        };
        let given = flags.read(&Terminal::new());
        given
            .map(|given| given.predicate_type().to_owned())
            .map_err(|error| error.to_string().replace(path.to_str().unwrap(), "p.json"))
    }

    #[test]
    fn the_type_is_what_the_content_and_the_user_say() {
        for (kind, document, uri) in [
            (None, SPDX, "https://spdx.dev/Document"),
            (None, CYCLONEDX, "https://cyclonedx.org/bom"),
            (None, SLSA_02, "https://slsa.dev/provenance/v0.2"),
            (None, r#"{"a":1}"#, CUSTOM),
            (None, "hello", CUSTOM),
            (Some("sbom"), SPDX, "https://spdx.dev/Document"),
            (Some("sbom"), CYCLONEDX, "https://cyclonedx.org/bom"),
            (Some("spdx-json"), SPDX, "https://spdx.dev/Document"),
            (Some("slsa"), SLSA_02, "https://slsa.dev/provenance/v0.2"),
            (
                Some("slsaprovenance"),
                SLSA_02,
                "https://slsa.dev/provenance/v0.2",
            ),
            (Some("custom"), SPDX, CUSTOM),
            (
                Some("https://spdx.dev/Document/v2.3"),
                SPDX,
                "https://spdx.dev/Document/v2.3",
            ),
            (
                Some("https://example.com/review/v1"),
                SPDX,
                "https://example.com/review/v1",
            ),
        ] {
            if document == "hello" {
                let error = given(kind, document, false).unwrap_err();
                assert!(error.contains("it cannot be a predicate"), "{error}");
                continue;
            }
            assert_eq!(
                given(kind, document, false).as_deref(),
                Ok(uri),
                "{kind:?} {document}"
            );
        }
    }

    #[test]
    fn what_is_not_of_its_type_is_refused_with_the_place() {
        for (kind, document, message) in [
            (
                None,
                r#"{"bomFormat":"CycloneDX"}"#,
                "--predicate p.json: it is not CycloneDX in JSON as that must be: $.specVersion is missing; --no-schema attests it all the same",
            ),
            (
                Some("spdxjson"),
                CYCLONEDX,
                "--predicate p.json: it is CycloneDX in JSON, and --type spdxjson is for SPDX 2 in JSON or SPDX 3 in JSON or SPDX 2 in tag-value: leave --type out, or --no-schema attests it all the same",
            ),
            (
                Some("slsaprovenance1"),
                "{}",
                "--predicate p.json: it is not SLSA provenance 1, as --type slsaprovenance1 says ($.buildDefinition is missing); --no-schema attests it all the same",
            ),
        ] {
            let error = given(kind, document, false).unwrap_err();
            assert_eq!(error, message);
            given(kind, document, true).unwrap();
        }
        let error = given(Some("sbomm"), SPDX, false).unwrap_err();
        assert!(error.contains("did you mean sbom?"), "{error}");
    }
}
