//! By what each format is known.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Format;
use super::shape::{Rule, any, array, object, one_of, text};

/// As much of a document that is not JSON as is looked at, in bytes.
const START: usize = 4096;

const SPDX_2_SHAPE: &[Rule] = &[
    text("spdxVersion"),
    text("SPDXID"),
    text("name"),
    text("dataLicense"),
    text("documentNamespace"),
    object("creationInfo"),
    text("creationInfo.created"),
    array("creationInfo.creators"),
    text("packages[].SPDXID").if_present(),
    text("packages[].name").if_present(),
    text("relationships[].spdxElementId").if_present(),
    text("relationships[].relatedSpdxElement").if_present(),
    text("relationships[].relationshipType").if_present(),
];
const SPDX_3_SHAPE: &[Rule] = &[any("@context"), array("@graph")];
const CYCLONEDX_SHAPE: &[Rule] = &[
    one_of("bomFormat", &["CycloneDX"]),
    text("specVersion"),
    text("components[].type").if_present(),
    text("components[].name").if_present(),
    text("vulnerabilities[].id").optional(),
];
const SLSA_1_SHAPE: &[Rule] = &[
    object("buildDefinition"),
    text("buildDefinition.buildType"),
    object("buildDefinition.externalParameters"),
    object("runDetails"),
    object("runDetails.builder"),
    text("runDetails.builder.id"),
];
const SLSA_02_SHAPE: &[Rule] = &[object("builder"), text("builder.id"), text("buildType")];
const LINK_SHAPE: &[Rule] = &[
    one_of("_type", &["link"]).optional(),
    text("name"),
    any("materials"),
    any("products"),
];
const OPENVEX_SHAPE: &[Rule] = &[
    text("@context"),
    text("@id"),
    text("author"),
    text("timestamp"),
    any("version"),
    array("statements"),
    any("statements[].vulnerability"),
    one_of(
        "statements[].status",
        &["not_affected", "affected", "fixed", "under_investigation"],
    ),
];
const CSAF_SHAPE: &[Rule] = &[
    object("document"),
    text("document.category"),
    text("document.csaf_version"),
    object("document.publisher"),
    text("document.title"),
    object("document.tracking"),
    text("document.tracking.id"),
];
const SARIF_SHAPE: &[Rule] = &[
    one_of("version", &["2.1.0", "2.0.0"]),
    array("runs"),
    text("runs[].tool.driver.name"),
];
const VULN_SHAPE: &[Rule] = &[
    object("invocation"),
    object("scanner"),
    text("scanner.uri"),
    any("scanner.result").optional(),
    object("metadata"),
];
const TEST_RESULT_SHAPE: &[Rule] = &[
    one_of("result", &["PASSED", "WARNED", "FAILED"]),
    array("configuration"),
];

const fn json(name: &'static str, predicate_type: &'static str, shape: &'static [Rule]) -> Format {
    Format {
        name,
        predicate_type,
        is_json: true,
        shape,
    }
}

const fn plain(name: &'static str, predicate_type: &'static str) -> Format {
    Format {
        name,
        predicate_type,
        is_json: false,
        shape: &[],
    }
}

static SPDX_2: Format = json("SPDX 2 in JSON", "https://spdx.dev/Document", SPDX_2_SHAPE);
static SPDX_3: Format = json("SPDX 3 in JSON", "https://spdx.dev/Document", SPDX_3_SHAPE);
static SPDX_TAG_VALUE: Format = plain("SPDX 2 in tag-value", "https://spdx.dev/Document");
static CYCLONEDX: Format = json(
    "CycloneDX in JSON",
    "https://cyclonedx.org/bom",
    CYCLONEDX_SHAPE,
);
static CYCLONEDX_XML: Format = plain("CycloneDX in XML", "https://cyclonedx.org/bom");
static SLSA_1: Format = json(
    "SLSA provenance 1",
    "https://slsa.dev/provenance/v1",
    SLSA_1_SHAPE,
);
static SLSA_02: Format = json(
    "SLSA provenance 0.2",
    "https://slsa.dev/provenance/v0.2",
    SLSA_02_SHAPE,
);
static LINK: Format = json("an in-toto link", "https://in-toto.io/Link/v1", LINK_SHAPE);
static OPENVEX: Format = json("OpenVEX", "https://openvex.dev/ns", OPENVEX_SHAPE);
static CSAF: Format = json(
    "CSAF 2",
    "https://docs.oasis-open.org/csaf/csaf/v2.0",
    CSAF_SHAPE,
);
static SARIF: Format = json(
    "SARIF",
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0",
    SARIF_SHAPE,
);
static VULN: Format = json(
    "a vulnerability scan",
    "https://cosign.sigstore.dev/attestation/vuln/v1",
    VULN_SHAPE,
);
static TEST_RESULT: Format = json(
    "in-toto test results",
    "https://in-toto.io/attestation/test-result/v0.1",
    TEST_RESULT_SHAPE,
);

pub(super) static FORMATS: &[&Format] = &[
    &SPDX_2,
    &SPDX_3,
    &SPDX_TAG_VALUE,
    &CYCLONEDX,
    &CYCLONEDX_XML,
    &SLSA_1,
    &SLSA_02,
    &LINK,
    &OPENVEX,
    &CSAF,
    &SARIF,
    &VULN,
    &TEST_RESULT,
];

/// The members by which JSON formats are told apart.
#[derive(Deserialize)]
struct Marks {
    #[serde(rename = "spdxVersion")]
    spdx_version: Option<IgnoredAny>,
    #[serde(rename = "@context")]
    context: Option<Text>,
    #[serde(rename = "@graph")]
    graph: Option<IgnoredAny>,
    #[serde(rename = "bomFormat")]
    bom_format: Option<IgnoredAny>,
    #[serde(rename = "buildDefinition")]
    build_definition: Option<IgnoredAny>,
    #[serde(rename = "runDetails")]
    run_details: Option<IgnoredAny>,
    builder: Option<IgnoredAny>,
    #[serde(rename = "buildType")]
    build_type: Option<IgnoredAny>,
    materials: Option<IgnoredAny>,
    products: Option<IgnoredAny>,
    byproducts: Option<IgnoredAny>,
    document: Option<Document>,
    runs: Option<IgnoredAny>,
    #[serde(rename = "$schema")]
    schema: Option<Text>,
    scanner: Option<IgnoredAny>,
    invocation: Option<IgnoredAny>,
    result: Option<Text>,
    #[serde(rename = "passedTests")]
    passed_tests: Option<IgnoredAny>,
    configuration: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Object { csaf_version: Option<IgnoredAny> },
    Other(IgnoredAny),
}

/// A text, or something else that is not looked at.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Other(IgnoredAny),
}

impl Text {
    fn contains(this: Option<&Self>, part: &str) -> bool {
        matches!(this, Some(Self::Text(text)) if text.contains(part))
    }

    fn is_one_of(this: Option<&Self>, texts: &[&str]) -> bool {
        matches!(this, Some(Self::Text(text)) if texts.contains(&text.as_str()))
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
    let csaf = matches!(
        marks.document,
        Some(Document::Object {
            csaf_version: Some(_)
        })
    );
    let context = marks.context.as_ref();
    let table: [(bool, &'static Format); 11] = [
        (marks.spdx_version.is_some(), &SPDX_2),
        (marks.bom_format.is_some(), &CYCLONEDX),
        (Text::contains(context, "openvex"), &OPENVEX),
        (
            Text::contains(context, "spdx.org/rdf/3") && marks.graph.is_some(),
            &SPDX_3,
        ),
        (
            marks.build_definition.is_some() && marks.run_details.is_some(),
            &SLSA_1,
        ),
        (
            marks.builder.is_some() && marks.build_type.is_some(),
            &SLSA_02,
        ),
        (csaf, &CSAF),
        (
            marks.runs.is_some() && Text::contains(marks.schema.as_ref(), "sarif"),
            &SARIF,
        ),
        (marks.scanner.is_some() && marks.invocation.is_some(), &VULN),
        (
            marks.materials.is_some() && marks.products.is_some() && marks.byproducts.is_some(),
            &LINK,
        ),
        (
            Text::is_one_of(marks.result.as_ref(), &["PASSED", "WARNED", "FAILED"])
                && (marks.passed_tests.is_some() || marks.configuration.is_some()),
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
