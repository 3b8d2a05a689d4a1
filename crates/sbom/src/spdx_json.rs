//! SPDX 2.3 in JSON.
//!
//! <https://spdx.github.io/spdx-spec/v2.3/>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalogue::Sbom;
use crate::document::{TOOL, VERSION, expression, text, uuid};
use crate::package::Package;

const SUBJECT: &str = "SPDXRef-Subject";
const NOTHING: &str = "NOASSERTION";

/// The document. `created` is a time in UTC as RFC 3339 has it, whole seconds.
#[must_use]
pub fn document(sbom: &Sbom, created: &str) -> String {
    let mut own_licences = OwnLicences::default();
    let id = |number: usize| format!("SPDXRef-Package-{}", number + 1);
    let mut packages = vec![subject(sbom)];
    let mut relationships = vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", SUBJECT)];
    if let Some(os) = &sbom.os {
        packages.push(json!({
            "name": os.id,
            "SPDXID": "SPDXRef-OperatingSystem",
            "versionInfo": os.version,
            "summary": os.name,
            "downloadLocation": NOTHING,
            "filesAnalyzed": false,
            "primaryPackagePurpose": "OPERATING-SYSTEM",
        }));
        relationships.push(relationship(SUBJECT, "CONTAINS", "SPDXRef-OperatingSystem"));
    }
    for (number, package) in sbom.packages.iter().enumerate() {
        packages.push(self::package(package, &id(number), &mut own_licences));
        relationships.push(relationship(SUBJECT, "CONTAINS", &id(number)));
    }
    for (number, needs) in sbom.dependencies().iter().enumerate() {
        for need in needs {
            relationships.push(relationship(&id(*need), "DEPENDENCY_OF", &id(number)));
        }
    }
    packages.iter_mut().for_each(without_nulls);
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": sbom.subject.name,
        "creationInfo": {
            "created": created,
            "creators": [format!("Tool: {TOOL}-{VERSION}")],
        },
        "documentDescribes": [SUBJECT],
        "packages": packages,
        "relationships": relationships,
    });
    if !own_licences.0.is_empty() {
        document["hasExtractedLicensingInfos"] = own_licences.infos();
    }
    if !sbom.problems.is_empty() {
        let problems = sbom.problems.join("\n");
        document["comment"] = format!("Packages may be missing:\n{problems}").into();
    }
    document["documentNamespace"] = uuid(&document).into();
    text(&document)
}

fn subject(sbom: &Sbom) -> Value {
    let subject = &sbom.subject;
    let mut package = json!({
        "name": subject.name,
        "SPDXID": SUBJECT,
        "versionInfo": subject.digest.as_ref().map(ToString::to_string),
        "downloadLocation": NOTHING,
        "filesAnalyzed": false,
        "primaryPackagePurpose": match subject.digest {
            Some(_) => "CONTAINER",
            None => "SOURCE",
        },
    });
    if let Some(digest) = &subject.digest {
        let algorithm = digest.algorithm().name().to_uppercase();
        package["checksums"] = json!([{"algorithm": algorithm, "checksumValue": digest.hex()}]);
    }
    if let Some(purl) = &subject.purl {
        package["externalRefs"] = purl_reference(purl);
    }
    package
}

fn package(package: &Package, id: &str, own_licences: &mut OwnLicences) -> Value {
    let places: Vec<String> = package
        .locations
        .iter()
        .map(|location| match &location.layer {
            Some(layer) => format!("{} in layer {layer}", location.path),
            None => location.path.clone(),
        })
        .collect();
    let supplier = package.supplier.as_deref();
    json!({
        "name": package.name,
        "SPDXID": id,
        "versionInfo": package.version,
        "supplier": supplier.map_or_else(|| NOTHING.to_owned(), |who| format!("Person: {who}")),
        "downloadLocation": NOTHING,
        "filesAnalyzed": false,
        "sourceInfo": format!("found in {}", places.join(", ")),
        "licenseConcluded": NOTHING,
        "licenseDeclared": own_licences.declared(package),
        "copyrightText": NOTHING,
        "externalRefs": purl_reference(&package.purl.to_string()),
        "primaryPackagePurpose": "LIBRARY",
    })
}

fn purl_reference(purl: &str) -> Value {
    json!([{
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": purl,
    }])
}

fn relationship(one: &str, kind: &str, other: &str) -> Value {
    json!({"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other})
}

/// A member without a value is left out: the schema knows no `null`.
fn without_nulls(package: &mut Value) {
    if let Value::Object(members) = package {
        let whole = std::mem::replace(members, Map::new());
        members.extend(whole.into_iter().filter(|(_, value)| !value.is_null()));
    }
}

/// Licences that SPDX has no name for, by the name that the document gives them.
#[derive(Default)]
struct OwnLicences(BTreeMap<String, String>);

impl OwnLicences {
    fn declared(&mut self, package: &Package) -> String {
        let mut terms: Vec<String> = Vec::new();
        for licence in &package.licences {
            let term = expression(licence).unwrap_or_else(|| self.named(licence));
            if !terms.contains(&term) {
                terms.push(term);
            }
        }
        match terms.is_empty() {
            true => NOTHING.to_owned(),
            false => terms.join(" AND "),
        }
    }

    fn named(&mut self, licence: &str) -> String {
        let digest = sealmark_formats::Digest::sha256(licence.as_bytes());
        let name = format!("LicenseRef-{}", &digest.hex()[..16]);
        self.0.insert(name.clone(), licence.to_owned());
        name
    }

    fn infos(&self) -> Value {
        let infos = self.0.iter().map(|(id, text)| {
            json!({"licenseId": id, "name": text, "extractedText": text,
                   "comment": "as the package states it"})
        });
        infos.collect()
    }
}
