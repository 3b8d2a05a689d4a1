//! The images of Kubernetes manifests: every text at a key `image`, wherever it stands and whatever the kind is, and the
//! reference of an image volume. So those of init and ephemeral containers, of jobs' templates, of lists and of custom
//! resources are found without a list of kinds that would be incomplete.

use serde_json::Value;

use super::add;

/// Volumes of Ceph, whose `image` is none of a container.
const NOT_OF_CONTAINERS: [&str; 1] = ["rbd"];

/// The images, each once.
///
/// # Errors
/// What is wrong with the YAML: also that it is over the bounds of anchors, depth and size that the parser has.
pub(super) fn images(yaml: &str) -> Result<Vec<String>, String> {
    // JSON is YAML; several documents of it in one file are not.
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml)
        .map_err(|error| sealmark_formats::excerpt(error.to_string()))?;
    let mut images = Vec::new();
    for document in &documents {
        walk(document, &mut images)?;
    }
    Ok(images)
}

/// Depth is bounded by the parser.
fn walk(value: &Value, images: &mut Vec<String>) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| walk(item, images)),
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("image", Value::String(image)) => add_image(image, images)?,
                    ("image", Value::Object(volume)) => {
                        if let Some(Value::String(image)) = volume.get("reference") {
                            add_image(image, images)?;
                        }
                        walk(value, images)?;
                    }
                    (name, _) if NOT_OF_CONTAINERS.contains(&name) => {}
                    _ => walk(value, images)?,
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn add_image(image: &str, images: &mut Vec<String>) -> Result<(), String> {
    let image = image.trim();
    match image.is_empty() {
        // Kubernetes takes it where something else fills it in later: what, nobody can verify here.
        true => Err("an image is an empty text".to_owned()),
        false => {
            add(images, image);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_is_found_wherever_it_stands() {
        let yaml = r#"
apiVersion: v1
kind: List
items:
- kind: Pod
  spec:
    initContainers: [{name: i, image: a/init}]
    ephemeralContainers: [{name: e, image: a/ephemeral}]
    containers: [{name: c, image: "a/main:v1"}, {name: c2, image: "a/main:v1"}]
    volumes:
    - {name: data, rbd: {image: not-one, pool: p}}
    - {name: model, image: {reference: a/volume, pullPolicy: Always}}
---
kind: CronJob
spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: &x a/cron}]}}}}}
---
# nothing
---
kind: Widget
spec: {image: *x, deep: [[{image: a/widget, 7: {image: true}}]]}
"#;
        // An anchor is of its own document.
        let yaml = yaml.replace("*x", "a/other");
        let mut found = images(&yaml).unwrap();
        found.sort();
        let expected = [
            "a/cron",
            "a/ephemeral",
            "a/init",
            "a/main:v1",
            "a/other",
            "a/volume",
            "a/widget",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn hostile_yaml_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        let deep = "[".repeat(100_000);
        for yaml in [
            bomb.as_str(),
            &deep,
            "a: [",
            "a: *missing",
            "image: ''",
            "\u{0}",
        ] {
            assert!(images(yaml).is_err(), "{}", &yaml[..yaml.len().min(40)]);
        }
        assert_eq!(images("").unwrap(), Vec::<String>::new());
    }
}
