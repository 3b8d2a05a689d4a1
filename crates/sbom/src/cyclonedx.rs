//! CycloneDX 1.6 in JSON.
//!
//! <https://cyclonedx.org/docs/1.6/json/>

use serde_json::{Value, json};

use crate::catalogue::Sbom;
use crate::document::{TOOL, VERSION, expression, text, uuid};
use crate::package::Package;

const SUBJECT: &str = "subject";

/// The document. `created` is a time in UTC as RFC 3339 has it, whole seconds.
#[must_use]
pub fn document(sbom: &Sbom, created: &str) -> String {
    let mut subject = json!({
        "bom-ref": SUBJECT,
        "type": match sbom.subject.digest {
            Some(_) => "container",
            None => "file",
        },
        "name": sbom.subject.name,
    });
    if let Some(digest) = &sbom.subject.digest {
        subject["version"] = digest.to_string().into();
    }
    if let Some(purl) = &sbom.subject.purl {
        subject["purl"] = purl.as_str().into();
    }
    let mut components: Vec<Value> = sbom.packages.iter().map(component).collect();
    if let Some(os) = &sbom.os {
        let mut system = json!({
            "bom-ref": format!("os:{}", os.distro()),
            "type": "operating-system",
            "name": os.id,
            "description": os.name,
        });
        if let Some(version) = &os.version {
            system["version"] = version.as_str().into();
        }
        components.push(system);
    }
    let reference = |number: usize| sbom.packages[number].purl.to_string();
    let needed = sbom.dependencies();
    let dependencies: Vec<Value> = needed
        .iter()
        .enumerate()
        .filter(|(_, needs)| !needs.is_empty())
        .map(|(number, needs)| {
            let needs: Vec<String> = needs.iter().copied().map(reference).collect();
            json!({"ref": reference(number), "dependsOn": needs})
        })
        .collect();
    let aggregate = match sbom.problems.is_empty() {
        true => "unknown",
        false => "incomplete",
    };
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": created,
            "tools": {"components": [{"type": "application", "name": TOOL, "version": VERSION}]},
            "component": subject,
        },
        "components": components,
        "dependencies": dependencies,
        "compositions": [{"aggregate": aggregate, "assemblies": [SUBJECT]}],
    });
    if !sbom.problems.is_empty() {
        let problems = sbom.problems.iter();
        document["properties"] = problems
            .map(|problem| property("sealmark:unread", problem))
            .collect();
    }
    document["serialNumber"] = uuid(&document).into();
    text(&document)
}

fn component(package: &Package) -> Value {
    let purl = package.purl.to_string();
    let mut component = json!({
        "bom-ref": purl,
        "type": "library",
        "name": package.name,
        "purl": purl,
    });
    if let Some(version) = &package.version {
        component["version"] = version.as_str().into();
    }
    if let Some(supplier) = &package.supplier {
        component["publisher"] = supplier.as_str().into();
    }
    if !package.licences.is_empty() {
        component["licenses"] = licences(&package.licences);
    }
    let mut properties = Vec::new();
    for (number, location) in package.locations.iter().enumerate() {
        let name = |what: &str| format!("sealmark:location:{number}:{what}");
        properties.push(property(&name("path"), &location.path));
        if let Some(layer) = &location.layer {
            properties.push(property(&name("layer"), &layer.to_string()));
        }
    }
    component["properties"] = properties.into();
    component
}

fn property(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// One expression where all are such; the schema allows no mixture.
fn licences(licences: &[String]) -> Value {
    let expressions: Option<Vec<String>> =
        licences.iter().map(|licence| expression(licence)).collect();
    match expressions {
        Some(expressions) => json!([{"expression": expressions.join(" AND ")}]),
        None => licences
            .iter()
            .map(|name| json!({"license": {"name": name}}))
            .collect(),
    }
}
