//! Documents of each format: good ones pass, and whatever is changed in them is found where it is.

use sealmark_formats::predicate::Format;
use serde_json::{Value, json};

/// For each format a document that uses much of it, and the places where anything may stand.
fn documents() -> Vec<(&'static str, Value, &'static [&'static str])> {
    let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let time = "2026-01-31T12:00:00Z";
    let spdx = json!({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "app",
        "documentNamespace": "https://a.example/sbom/1", "comment": "by hand",
        "creationInfo": {"created": time, "creators": ["Tool: a-1", "Person: Bob"], "licenseListVersion": "3.25"},
        "externalDocumentRefs": [{"externalDocumentId": "DocumentRef-b", "spdxDocument": "https://b.example",
            "checksum": {"algorithm": "SHA256", "checksumValue": sha256}}],
        "packages": [{
            "SPDXID": "SPDXRef-app", "name": "app", "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
            "versionInfo": "1.0", "primaryPackagePurpose": "OPERATING_SYSTEM", "licenseConcluded": "MIT",
            "licenseInfoFromFiles": ["MIT"], "builtDate": time,
            "checksums": [{"algorithm": "SHA1", "checksumValue": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}],
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/a@1"}],
            "packageVerificationCode": {"packageVerificationCodeValue": "da39", "packageVerificationCodeExcludedFiles": ["./a"]},
            "annotations": [{"annotationDate": time, "annotationType": "OTHER", "annotator": "Tool: a", "comment": "c"}],
        }],
        "files": [{"SPDXID": "SPDXRef-file", "fileName": "./a", "fileTypes": ["SOURCE"],
            "checksums": [{"algorithm": "SHA1", "checksumValue": "da39"}]}],
        "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relatedSpdxElement": "SPDXRef-app", "relationshipType": "DESCRIBES"}],
        "hasExtractedLicensingInfos": [{"licenseId": "LicenseRef-a", "extractedText": "free", "seeAlsos": ["https://a.example"]}],
    });
    let cyclonedx = |version: &str| {
        json!({
            "bomFormat": "CycloneDX", "specVersion": version, "version": 1,
            "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
            "metadata": {
                "timestamp": time, "tools": [{"vendor": "a", "name": "b", "version": "1"}],
                "authors": [{"name": "Bob", "email": "bob@a.example"}],
                "component": {"type": "container", "name": "app", "bom-ref": "app", "version": "1"},
                "properties": [{"name": "a", "value": "b"}],
            },
            "components": [{
                "type": "library", "name": "a", "bom-ref": "a", "purl": "pkg:npm/a@1", "scope": "required",
                "mime-type": "text/plain", "hashes": [{"alg": "SHA-256", "content": sha256}],
                "licenses": [{"license": {"id": "MIT", "url": "https://a.example/licence"}}],
                "externalReferences": [{"type": "vcs", "url": "git@git.example:a/a.git"}],
                "evidence": {"copyright": [{"text": "A"}]},
                "components": [{"type": "file", "name": "b"}],
            }],
            "services": [{"name": "s", "endpoints": ["https://s.example"], "authenticated": true}],
            "dependencies": [{"ref": "app", "dependsOn": ["a"]}],
            "compositions": [{"aggregate": "complete", "assemblies": ["a"]}],
            "vulnerabilities": [{
                "id": "CVE-2026-1", "ratings": [{"score": 9.8, "severity": "critical", "method": "CVSSv31"}], "cwes": [79],
                "published": time, "affects": [{"ref": "a", "versions": [{"version": "1", "status": "affected"}]}],
                "analysis": {"state": "not_affected", "justification": "code_not_present", "response": ["update"]},
            }],
        })
    };
    let slsa_1 = json!({
        "buildDefinition": {
            "buildType": "https://b.example/t", "externalParameters": {"a": 1}, "internalParameters": {},
            "resolvedDependencies": [{"uri": "git+https://g.example/a", "digest": {"gitCommit": "abc"}, "annotations": {"a": 1}}],
        },
        "runDetails": {
            "builder": {"id": "https://b.example", "version": {"a": "1"}},
            "metadata": {"invocationId": "1", "startedOn": time, "finishedOn": time},
            "byproducts": [{"name": "log"}],
        },
    });
    let slsa_02 = json!({
        "builder": {"id": "https://b.example"}, "buildType": "https://b.example/t",
        "invocation": {"configSource": {"uri": "git+https://g.example", "digest": {"sha1": "a"}, "entryPoint": "b"},
            "parameters": {}, "environment": {}},
        "buildConfig": {},
        "metadata": {"buildInvocationID": "1", "buildStartedOn": time, "buildFinishedOn": time,
            "completeness": {"parameters": true, "environment": false, "materials": false}, "reproducible": false},
        "materials": [{"uri": "git+https://g.example", "digest": {"sha1": "a"}}],
    });
    let link = json!({
        "_type": "link", "name": "build", "command": ["make"], "materials": {"a.c": {"sha256": sha256}},
        "products": {"a": {"sha256": sha256}}, "byproducts": {"return-value": 0}, "environment": {},
    });
    let openvex = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://a.example/vex/1", "author": "A", "timestamp": time, "version": 1,
        "statements": [
            {"vulnerability": {"name": "CVE-2026-1", "aliases": ["GHSA-1"]}, "status": "not_affected",
             "justification": "component_not_present", "timestamp": time,
             "products": [{"@id": "pkg:npm/a@1", "identifiers": {"purl": "pkg:npm/a@1"}, "subcomponents": [{"@id": "pkg:npm/b"}]}]},
            {"vulnerability": {"name": "CVE-2026-2"}, "status": "affected", "action_statement": "update"},
        ],
    });
    let vuln = json!({
        "invocation": {"parameters": [], "uri": "https://a.example/1", "event_id": "1", "builder.id": "b"},
        "scanner": {"uri": "pkg:github/a/scanner", "version": "1", "db": {"uri": "https://db.example", "version": "2"}, "result": {}},
        "metadata": {"scanStartedOn": time, "scanFinishedOn": time},
    });
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "lint", "informationUri": "https://a.example",
                "rules": [{"id": "R1", "shortDescription": {"text": "a"}, "defaultConfiguration": {"level": "warning"}}]}},
            "invocations": [{"executionSuccessful": true, "startTimeUtc": time}],
            "artifacts": [{"location": {"uri": "src/a.c"}, "length": 7, "roles": ["analysisTarget"]}],
            "results": [{
                "ruleId": "R1", "level": "error", "kind": "fail", "message": {"text": "b"}, "rank": 50.5,
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/a.c"}, "region": {"startLine": 3}}}],
                "partialFingerprints": {"a": "b"}, "guid": "3e671687-395b-41f5-a30f-a58921a69b79",
            }],
        }],
    });
    let csaf = json!({
        "document": {
            "category": "csaf_vex", "csaf_version": "2.0", "title": "A", "lang": "en",
            "distribution": {"tlp": {"label": "WHITE", "url": "https://www.first.org/tlp/"}},
            "publisher": {"category": "vendor", "name": "A", "namespace": "https://a.example"},
            "notes": [{"category": "summary", "text": "b"}],
            "tracking": {"id": "A-1", "status": "final", "version": "1", "initial_release_date": time, "current_release_date": time,
                "revision_history": [{"date": time, "number": "1", "summary": "first"}]},
        },
        "product_tree": {"branches": [{"category": "vendor", "name": "A", "branches": [
            {"category": "product_version", "name": "1", "product": {"name": "A 1", "product_id": "P1",
                "product_identification_helper": {"purl": "pkg:npm/a@1"}}}]}]},
        "vulnerabilities": [{
            "cve": "CVE-2026-1234", "cwe": {"id": "CWE-79", "name": "XSS"}, "product_status": {"fixed": ["P1"]},
            "flags": [{"label": "component_not_present", "product_ids": ["P1"]}],
            "scores": [{"products": ["P1"], "cvss_v3": {"version": "3.1", "baseScore": 9.8, "baseSeverity": "CRITICAL",
                "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}],
        }],
    });
    vec![
        ("SPDX 2.3", spdx, &[]),
        (
            "CycloneDX 1.4",
            cyclonedx("1.4"),
            // A number without bounds, and a score of a method of any scale.
            &["$.version", "$.vulnerabilities[0].ratings[0].score"],
        ),
        (
            "CycloneDX 1.5",
            cyclonedx("1.5"),
            &["$.vulnerabilities[0].ratings[0].score"],
        ),
        (
            "CycloneDX 1.6",
            cyclonedx("1.6"),
            &["$.vulnerabilities[0].ratings[0].score"],
        ),
        (
            "SLSA 1",
            slsa_1,
            &[
                "$.buildDefinition.externalParameters.a",
                "$.buildDefinition.resolvedDependencies[0].annotations.a",
            ],
        ),
        (
            "SLSA 0.2",
            slsa_02,
            &[
                "$.buildConfig",
                "$.invocation.environment",
                "$.invocation.parameters",
            ],
        ),
        ("link", link, &["$.byproducts[\"return-value\"]"]),
        ("OpenVEX", openvex, &[]),
        (
            "vulnerabilities",
            vuln,
            &["$.invocation.parameters", "$.scanner.result"],
        ),
        ("SARIF", sarif, &[]),
        ("CSAF", csaf, &[]),
    ]
}

/// Every value in the document: its JSON pointer, and its JSON path as faults have it.
fn places(value: &Value, pointer: String, path: String, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let plain = name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_@$".contains(&byte));
                let path = match plain {
                    true => format!("{path}.{name}"),
                    false => format!("{path}[{name:?}]"),
                };
                let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                found.push((pointer.clone(), path.clone()));
                places(value, pointer, path, found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                let (pointer, path) = (format!("{pointer}/{index}"), format!("{path}[{index}]"));
                found.push((pointer.clone(), path.clone()));
                places(value, pointer, path, found);
            }
        }
        _ => {}
    }
}

/// What is wrong with the document, as a document of the format that it is before it is changed.
fn fault(format: &Format, document: &Value) -> Option<(String, String)> {
    let fault = format.check(document.to_string().as_bytes()).err()?;
    Some((fault.path, fault.problem))
}

fn format_of(document: &Value) -> &'static Format {
    Format::of(document.to_string().as_bytes()).expect("a format that is known")
}

#[test]
fn a_good_document_passes() {
    for (name, document, _) in documents() {
        assert_eq!(fault(format_of(&document), &document), None, "{name}");
    }
}

/// No kind takes a list in a list in a list, or a number below all bounds, but where anything may stand.
#[test]
fn a_value_of_the_wrong_type_is_found_where_it_is() {
    let mut mutated = 0;
    for (name, document, anything) in documents() {
        let format = format_of(&document);
        let mut all = Vec::new();
        places(&document, String::new(), "$".to_owned(), &mut all);
        let mut accepted = Vec::new();
        for (pointer, path) in all {
            for wrong in [json!([[["wrong"]]]), json!(-1e300)] {
                let mut changed = document.clone();
                *changed.pointer_mut(&pointer).expect("it is there") = wrong.clone();
                mutated += 1;
                match fault(format, &changed) {
                    None => accepted.push(path.clone()),
                    // A list is one where lists are; what is in it is wrong then.
                    Some((found, problem)) => {
                        let within = format!("{path}[0]");
                        assert!(
                            found == path || (wrong.is_array() && found == within),
                            "{name}: {path} = {wrong}: {found} {problem}"
                        );
                        assert!(problem.contains("must be "), "{name}: {path}: {problem}");
                    }
                }
            }
        }
        accepted.sort();
        accepted.dedup();
        assert_eq!(accepted, anything, "{name}");
    }
    assert!(mutated > 1000, "{mutated}");
}

/// What must be there, by the schemas.
#[test]
fn a_member_that_is_missing_is_named() {
    let all = documents();
    let document = |name: &str| {
        let found = all.iter().find(|(known, ..)| *known == name);
        found.expect("a document").1.clone()
    };
    for (name, pointers) in [
        (
            "SPDX 2.3",
            &[
                "/SPDXID",
                "/name",
                "/dataLicense",
                "/creationInfo",
                "/creationInfo/created",
                "/creationInfo/creators",
                "/packages/0/SPDXID",
                "/packages/0/name",
                "/packages/0/downloadLocation",
                "/packages/0/checksums/0/algorithm",
                "/packages/0/externalRefs/0/referenceLocator",
                "/packages/0/annotations/0/annotator",
                "/files/0/fileName",
                "/files/0/checksums",
                "/relationships/0/relationshipType",
                "/hasExtractedLicensingInfos/0/extractedText",
            ][..],
        ),
        (
            "CycloneDX 1.4",
            &[
                "/bomFormat",
                "/specVersion",
                "/components/0/type",
                "/components/0/name",
                "/components/0/hashes/0/content",
                "/services/0/name",
                "/dependencies/0/ref",
                "/compositions/0/aggregate",
                "/vulnerabilities/0/affects/0/ref",
            ],
        ),
        (
            "CycloneDX 1.6",
            &[
                "/bomFormat",
                "/components/0/components/0/type",
                "/components/0/externalReferences/0/url",
                "/metadata/component/name",
            ],
        ),
        (
            "SLSA 1",
            &[
                "/buildDefinition",
                "/buildDefinition/buildType",
                "/buildDefinition/externalParameters",
                "/runDetails/builder",
                "/runDetails/builder/id",
            ],
        ),
        ("SLSA 0.2", &["/builder", "/builder/id", "/buildType"]),
        ("link", &["/name", "/materials", "/products"]),
        (
            "OpenVEX",
            &[
                "/@id",
                "/author",
                "/timestamp",
                "/version",
                "/statements",
                "/statements/0/vulnerability",
                "/statements/0/vulnerability/name",
                "/statements/1/status",
            ],
        ),
        (
            "vulnerabilities",
            &["/invocation", "/scanner", "/scanner/uri", "/metadata"],
        ),
        (
            "SARIF",
            &[
                "/version",
                "/runs",
                "/runs/0/tool",
                "/runs/0/tool/driver",
                "/runs/0/tool/driver/name",
                "/runs/0/tool/driver/rules/0/id",
                "/runs/0/results/0/message",
                "/runs/0/invocations/0/executionSuccessful",
            ],
        ),
        (
            "CSAF",
            &[
                "/document",
                "/document/category",
                "/document/title",
                "/document/publisher/namespace",
                "/document/tracking/revision_history/0/number",
                "/product_tree/branches/0/branches/0/product/product_id",
                "/vulnerabilities/0/scores/0/products",
                "/vulnerabilities/0/scores/0/cvss_v3/vectorString",
            ],
        ),
    ] {
        let format = format_of(&document(name));
        for pointer in pointers {
            let mut changed = document(name);
            let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
            let parent = changed.pointer_mut(parent).expect("it is there");
            let removed = parent.as_object_mut().expect("an object").remove(member);
            assert!(removed.is_some(), "{name} {pointer}");
            let mut path = "$".to_owned();
            for step in pointer.split('/').skip(1) {
                match step.parse::<usize>() {
                    Ok(index) => path.push_str(&format!("[{index}]")),
                    Err(_) => path.push_str(&format!(".{step}")),
                }
            }
            let expected = Some((path, "is missing".to_owned()));
            assert_eq!(fault(format, &changed), expected, "{name} {pointer}");
        }
    }
}

#[test]
fn a_text_that_is_none_of_those_that_are_known_is_named() {
    for (name, document, _) in documents() {
        let format = format_of(&document);
        for (of, pointer, path) in [
            (
                "SPDX 2.3",
                "/packages/0/checksums/0/algorithm",
                "$.packages[0].checksums[0].algorithm",
            ),
            (
                "SPDX 2.3",
                "/packages/0/primaryPackagePurpose",
                "$.packages[0].primaryPackagePurpose",
            ),
            (
                "SPDX 2.3",
                "/packages/0/externalRefs/0/referenceCategory",
                "$.packages[0].externalRefs[0].referenceCategory",
            ),
            (
                "SPDX 2.3",
                "/relationships/0/relationshipType",
                "$.relationships[0].relationshipType",
            ),
            (
                "SPDX 2.3",
                "/relationships/0/spdxElementId",
                "$.relationships[0].spdxElementId",
            ),
            (
                "SPDX 2.3",
                "/creationInfo/created",
                "$.creationInfo.created",
            ),
            (
                "SPDX 2.3",
                "/files/0/fileTypes/0",
                "$.files[0].fileTypes[0]",
            ),
            ("CycloneDX", "/bomFormat", "$.bomFormat"),
            ("CycloneDX", "/serialNumber", "$.serialNumber"),
            ("CycloneDX", "/metadata/timestamp", "$.metadata.timestamp"),
            ("CycloneDX", "/components/0/type", "$.components[0].type"),
            ("CycloneDX", "/components/0/scope", "$.components[0].scope"),
            (
                "CycloneDX",
                "/components/0/mime-type",
                "$.components[0][\"mime-type\"]",
            ),
            (
                "CycloneDX",
                "/components/0/hashes/0/alg",
                "$.components[0].hashes[0].alg",
            ),
            (
                "CycloneDX",
                "/components/0/hashes/0/content",
                "$.components[0].hashes[0].content",
            ),
            (
                "CycloneDX",
                "/components/0/licenses/0/license/id",
                "$.components[0].licenses[0].license.id",
            ),
            (
                "CycloneDX",
                "/components/0/externalReferences/0/type",
                "$.components[0].externalReferences[0].type",
            ),
            (
                "CycloneDX",
                "/vulnerabilities/0/ratings/0/severity",
                "$.vulnerabilities[0].ratings[0].severity",
            ),
            (
                "CycloneDX",
                "/vulnerabilities/0/analysis/response/0",
                "$.vulnerabilities[0].analysis.response[0]",
            ),
            (
                "SLSA 1",
                "/runDetails/metadata/startedOn",
                "$.runDetails.metadata.startedOn",
            ),
            (
                "SLSA 0.2",
                "/metadata/buildFinishedOn",
                "$.metadata.buildFinishedOn",
            ),
            ("link", "/_type", "$._type"),
            (
                "link",
                "/materials/a.c/sha256",
                "$.materials[\"a.c\"].sha256",
            ),
            ("OpenVEX", "/statements/0/status", "$.statements[0].status"),
            (
                "OpenVEX",
                "/statements/0/justification",
                "$.statements[0].justification",
            ),
            ("OpenVEX", "/@id", "$.@id"),
            (
                "vulnerabilities",
                "/metadata/scanStartedOn",
                "$.metadata.scanStartedOn",
            ),
            ("SARIF", "/version", "$.version"),
            (
                "SARIF",
                "/runs/0/results/0/level",
                "$.runs[0].results[0].level",
            ),
            (
                "SARIF",
                "/runs/0/artifacts/0/roles/0",
                "$.runs[0].artifacts[0].roles[0]",
            ),
            (
                "SARIF",
                "/runs/0/results/0/guid",
                "$.runs[0].results[0].guid",
            ),
            (
                "CSAF",
                "/document/distribution/tlp/label",
                "$.document.distribution.tlp.label",
            ),
            (
                "CSAF",
                "/product_tree/branches/0/branches/0/category",
                "$.product_tree.branches[0].branches[0].category",
            ),
            ("CSAF", "/vulnerabilities/0/cve", "$.vulnerabilities[0].cve"),
            (
                "CSAF",
                "/vulnerabilities/0/cwe/id",
                "$.vulnerabilities[0].cwe.id",
            ),
            (
                "CSAF",
                "/vulnerabilities/0/scores/0/cvss_v3/baseSeverity",
                "$.vulnerabilities[0].scores[0].cvss_v3.baseSeverity",
            ),
        ] {
            if !name.starts_with(of) {
                continue;
            }
            let mut changed = document.clone();
            *changed.pointer_mut(pointer).expect("it is there") = json!("No Such Thing");
            let (found, problem) = fault(format, &changed).unwrap_or_default();
            assert_eq!(found, path, "{name} {pointer}: {problem}");
            assert!(problem.ends_with("and is \"No Such Thing\""), "{problem}");
        }
    }
}

/// A member of another name is a mistake where the schema says that there are no others.
#[test]
fn a_member_that_is_not_known_is_named_where_there_are_no_others() {
    for (name, document, _) in documents() {
        let mut changed = document.clone();
        changed["komponents"] = json!([]);
        let open = name.starts_with("SLSA") || ["link", "vulnerabilities", "CSAF"].contains(&name);
        let expected = (!open).then(|| {
            (
                "$.komponents".to_owned(),
                "is no member that is known there".to_owned(),
            )
        });
        assert_eq!(fault(format_of(&document), &changed), expected, "{name}");
    }
}

/// Hostile nesting, and what is no JSON at all, are faults and nothing worse.
#[test]
fn nothing_panics() {
    let (_, document, _) = documents().swap_remove(0);
    let format = format_of(&document);
    let deep = format!("{{\"packages\":{}", "[".repeat(100_000));
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{} {}",
        "{\"spdxVersion\":",
        &deep,
        "\u{feff}",
    ] {
        assert!(format.check(text.as_bytes()).is_err(), "{text:.20}");
    }
    assert!(format.check(b"\xff\xfe{}").is_err());
}
