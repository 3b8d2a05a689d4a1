//! By what each format is known.

use core::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Format;
use super::table::Table;

/// As much of a document that is not JSON as is looked at, in bytes.
const START: usize = 4096;

/// A table of the folder `shapes`.
macro_rules! table {
    ($name:ident, $file:literal) => {
        static $name: Table = Table::new(include_str!(concat!("shapes/", $file, ".txt")));
    };
}

table!(SPDX_23_SHAPE, "spdx-2.3");
table!(SPDX_2_SHAPE, "spdx-2");
table!(SPDX_3_SHAPE, "spdx-3");
table!(CYCLONEDX_14_SHAPE, "cyclonedx-1.4");
table!(CYCLONEDX_15_SHAPE, "cyclonedx-1.5");
table!(CYCLONEDX_16_SHAPE, "cyclonedx-1.6");
table!(CYCLONEDX_SHAPE, "cyclonedx");
table!(SLSA_1_SHAPE, "slsa-1");
table!(SLSA_02_SHAPE, "slsa-0.2");
table!(LINK_SHAPE, "link");
table!(OPENVEX_02_SHAPE, "openvex-0.2");
table!(OPENVEX_SHAPE, "openvex");
table!(CSAF_SHAPE, "csaf-2.0");
table!(SARIF_SHAPE, "sarif-2.1.0");
table!(VULN_SHAPE, "vuln");
table!(TEST_RESULT_SHAPE, "test-result");

const fn json(name: &'static str, predicate_type: &'static str, shape: &'static Table) -> Format {
    Format {
        name,
        predicate_type,
        shape: Some(shape),
    }
}

const fn plain(name: &'static str, predicate_type: &'static str) -> Format {
    Format {
        name,
        predicate_type,
        shape: None,
    }
}

static SPDX_23: Format = json(
    "SPDX 2 in JSON",
    "https://spdx.dev/Document",
    &SPDX_23_SHAPE,
);
static SPDX_2: Format = json("SPDX 2 in JSON", "https://spdx.dev/Document", &SPDX_2_SHAPE);
static SPDX_3: Format = json("SPDX 3 in JSON", "https://spdx.dev/Document", &SPDX_3_SHAPE);
static SPDX_TAG_VALUE: Format = plain("SPDX 2 in tag-value", "https://spdx.dev/Document");
static CYCLONEDX_14: Format = cyclonedx(&CYCLONEDX_14_SHAPE);
static CYCLONEDX_15: Format = cyclonedx(&CYCLONEDX_15_SHAPE);
static CYCLONEDX_16: Format = cyclonedx(&CYCLONEDX_16_SHAPE);
static CYCLONEDX: Format = cyclonedx(&CYCLONEDX_SHAPE);
static CYCLONEDX_XML: Format = plain("CycloneDX in XML", "https://cyclonedx.org/bom");
static SLSA_1: Format = json(
    "SLSA provenance 1",
    "https://slsa.dev/provenance/v1",
    &SLSA_1_SHAPE,
);
static SLSA_02: Format = json(
    "SLSA provenance 0.2",
    "https://slsa.dev/provenance/v0.2",
    &SLSA_02_SHAPE,
);
static LINK: Format = json("an in-toto link", "https://in-toto.io/Link/v1", &LINK_SHAPE);
static OPENVEX_02: Format = json("OpenVEX", "https://openvex.dev/ns", &OPENVEX_02_SHAPE);
static OPENVEX: Format = json("OpenVEX", "https://openvex.dev/ns", &OPENVEX_SHAPE);
static CSAF: Format = json(
    "CSAF 2",
    "https://docs.oasis-open.org/csaf/csaf/v2.0",
    &CSAF_SHAPE,
);
static SARIF: Format = json(
    "SARIF",
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0",
    &SARIF_SHAPE,
);
static VULN: Format = json(
    "a vulnerability scan",
    "https://cosign.sigstore.dev/attestation/vuln/v1",
    &VULN_SHAPE,
);
static TEST_RESULT: Format = json(
    "in-toto test results",
    "https://in-toto.io/attestation/test-result/v0.1",
    &TEST_RESULT_SHAPE,
);

const fn cyclonedx(shape: &'static Table) -> Format {
    json("CycloneDX in JSON", "https://cyclonedx.org/bom", shape)
}

/// Of several versions the last one is that of those without a table of their own.
pub(super) static FORMATS: &[&Format] = &[
    &SPDX_23,
    &SPDX_2,
    &SPDX_3,
    &SPDX_TAG_VALUE,
    &CYCLONEDX_14,
    &CYCLONEDX_15,
    &CYCLONEDX_16,
    &CYCLONEDX,
    &CYCLONEDX_XML,
    &SLSA_1,
    &SLSA_02,
    &LINK,
    &OPENVEX_02,
    &OPENVEX,
    &CSAF,
    &SARIF,
    &VULN,
    &TEST_RESULT,
];

/// The members by which JSON formats are told apart. Whatever else they hold is passed over, and nothing is kept.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Marks {
    #[serde(rename = "spdxVersion")]
    spdx_version: Mark,
    #[serde(rename = "@context")]
    context: Mark,
    #[serde(rename = "@graph")]
    graph: Mark,
    #[serde(rename = "bomFormat")]
    bom_format: Mark,
    #[serde(rename = "specVersion")]
    spec_version: Mark,
    #[serde(rename = "buildDefinition")]
    build_definition: Mark,
    #[serde(rename = "runDetails")]
    run_details: Mark,
    builder: Mark,
    #[serde(rename = "buildType")]
    build_type: Mark,
    materials: Mark,
    products: Mark,
    byproducts: Mark,
    document: Mark,
    runs: Mark,
    #[serde(rename = "$schema")]
    schema: Mark,
    scanner: Mark,
    invocation: Mark,
    result: Mark,
    #[serde(rename = "passedTests")]
    passed_tests: Mark,
    configuration: Mark,
}

/// What a member tells.
#[derive(Default)]
enum Mark {
    #[default]
    Missing,
    Text(String),
    /// An object with a member `csaf_version`.
    Csaf,
    Other,
}

impl Mark {
    fn is_there(&self) -> bool {
        !matches!(self, Self::Missing)
    }

    fn contains(&self, part: &str) -> bool {
        matches!(self, Self::Text(text) if text.contains(part))
    }

    fn is_one_of(&self, texts: &[&str]) -> bool {
        matches!(self, Self::Text(text) if texts.contains(&text.as_str()))
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MarkVisitor)
    }
}

struct MarkVisitor;

impl<'de> Visitor<'de> for MarkVisitor {
    type Value = Mark;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Mark, E> {
        Ok(match text.len() > START {
            true => Mark::Other,
            false => Mark::Text(text.to_owned()),
        })
    }

    fn visit_unit<E>(self) -> Result<Mark, E> {
        Ok(Mark::Missing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Mark, E> {
        Ok(Mark::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Mark, E> {
        Ok(Mark::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Mark, E> {
        Ok(Mark::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Mark, E> {
        Ok(Mark::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Mark, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Mark::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mark, A::Error> {
        let mut mark = Mark::Other;
        while let Some(IsCsafVersion(is)) = map.next_key()? {
            map.next_value::<IgnoredAny>()?;
            if is {
                mark = Mark::Csaf;
            }
        }
        Ok(mark)
    }
}

/// Whether the name of a member is `csaf_version`.
struct IsCsafVersion(bool);

impl<'de> Deserialize<'de> for IsCsafVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = IsCsafVersion;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<IsCsafVersion, E> {
                Ok(IsCsafVersion(name == "csaf_version"))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

pub(super) fn format(document: &[u8]) -> Option<&'static Format> {
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    let start = document.trim_ascii_start();
    Some(match start.first()? {
        b'{' => from_json(start)?,
        b'<' => {
            let start = String::from_utf8_lossy(&start[..start.len().min(START)]).into_owned();
            start
                .contains("http://cyclonedx.org/schema/bom")
                .then_some(&CYCLONEDX_XML)?
        }
        _ => {
            let start = String::from_utf8_lossy(&start[..start.len().min(START)]).into_owned();
            let says = |line: &str| line.trim_start().starts_with("SPDXVersion:");
            start.lines().any(says).then_some(&SPDX_TAG_VALUE)?
        }
    })
}

fn from_json(document: &[u8]) -> Option<&'static Format> {
    let marks: Marks = serde_json::from_slice(document).ok()?;
    let is = |mark: &Mark, version: &str| mark.is_one_of(&[version]);
    let table: [(bool, &'static Format); 16] = [
        (is(&marks.spdx_version, "SPDX-2.3"), &SPDX_23),
        (marks.spdx_version.is_there(), &SPDX_2),
        (
            marks.bom_format.is_there() && is(&marks.spec_version, "1.4"),
            &CYCLONEDX_14,
        ),
        (
            marks.bom_format.is_there() && is(&marks.spec_version, "1.5"),
            &CYCLONEDX_15,
        ),
        (
            marks.bom_format.is_there() && is(&marks.spec_version, "1.6"),
            &CYCLONEDX_16,
        ),
        (marks.bom_format.is_there(), &CYCLONEDX),
        (marks.context.contains("openvex.dev/ns/v0.2"), &OPENVEX_02),
        (marks.context.contains("openvex"), &OPENVEX),
        (
            marks.context.contains("spdx.org/rdf/3") && marks.graph.is_there(),
            &SPDX_3,
        ),
        (
            marks.build_definition.is_there() && marks.run_details.is_there(),
            &SLSA_1,
        ),
        (
            marks.builder.is_there() && marks.build_type.is_there(),
            &SLSA_02,
        ),
        (matches!(marks.document, Mark::Csaf), &CSAF),
        (
            marks.runs.is_there() && marks.schema.contains("sarif"),
            &SARIF,
        ),
        (
            marks.scanner.is_there() && marks.invocation.is_there(),
            &VULN,
        ),
        (
            marks.materials.is_there() && marks.products.is_there() && marks.byproducts.is_there(),
            &LINK,
        ),
        (
            marks.result.is_one_of(&["PASSED", "WARNED", "FAILED"])
                && (marks.passed_tests.is_there() || marks.configuration.is_there()),
            &TEST_RESULT,
        ),
    ];
    let found = table.into_iter().find(|(is, _)| *is);
    found.map(|(_, format)| format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_read() {
        for format in FORMATS {
            if let Some(table) = format.shape {
                assert!(!table.shape().objects.is_empty(), "{format}");
            }
        }
    }

    #[test]
    fn each_format_is_known_by_its_content() {
        for (document, expected) in [
            (r#"{"spdxVersion":"SPDX-2.3"}"#, Some("SPDX 2 in JSON")),
            (
                r#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[]}"#,
                Some("SPDX 3 in JSON"),
            ),
            (
                "##\nSPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\n",
                Some("SPDX 2 in tag-value"),
            ),
            (r#"{"bomFormat":"CycloneDX"}"#, Some("CycloneDX in JSON")),
            (
                "\u{feff}<?xml version=\"1.0\"?>\n<bom xmlns=\"http://cyclonedx.org/schema/bom/1.6\"/>",
                Some("CycloneDX in XML"),
            ),
            (
                r#"{"buildDefinition":{},"runDetails":{}}"#,
                Some("SLSA provenance 1"),
            ),
            (
                r#"{"builder":{},"buildType":"x"}"#,
                Some("SLSA provenance 0.2"),
            ),
            (
                r#"{"name":"build","materials":{},"products":{},"byproducts":{}}"#,
                Some("an in-toto link"),
            ),
            (
                r#"{"@context":"https://openvex.dev/ns/v0.2.0"}"#,
                Some("OpenVEX"),
            ),
            (r#"{"document":{"csaf_version":"2.0"}}"#, Some("CSAF 2")),
            (
                r#"{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[]}"#,
                Some("SARIF"),
            ),
            (
                r#"{"invocation":{},"scanner":{},"metadata":{}}"#,
                Some("a vulnerability scan"),
            ),
            (
                r#"{"result":"PASSED","configuration":[]}"#,
                Some("in-toto test results"),
            ),
            (r#"{"document":7,"runs":[]}"#, None),
            (r#"{"result":{"PASSED":1}}"#, None),
            ("{}", None),
            ("[]", None),
            ("", None),
            ("hello", None),
            ("<html/>", None),
            (r#"{"spdxVersion""#, None),
        ] {
            let found = format(document.as_bytes());
            assert_eq!(found.map(|format| format.name), expected, "{document}");
        }
    }
}
