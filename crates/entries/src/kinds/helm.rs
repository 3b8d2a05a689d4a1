//! `helm` 0.0.1: a chart's provenance file, of which the log keeps the signature and what it says the chart's hash is.
//! <https://helm.sh/docs/topics/provenance/>

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::jcs;
use sealmark_keys::openpgp::Cleartext;
use serde::Deserialize;
use serde_json::json;

use crate::field::Field;
use crate::foreign::{ForeignKey, Format};
use crate::{Error, Proposed};

/// Bytes of a provenance file: it has the chart's `Chart.yaml`, one line for each file, and a signature.
const MAX_PROVENANCE: usize = 1 << 20;
/// What stands between `Chart.yaml` and the hashes.
const SEPARATOR: &[u8] = b"\n...\n";

pub(crate) fn read(spec: &Field<'_>) -> Result<Proposed, Error> {
    let public_key = spec.get("publicKey")?.get("content")?;
    let sent = spec.get("chart")?.get("provenance")?.get("content")?;
    let file = sent.bytes()?;
    if file.len() > MAX_PROVENANCE {
        return Err(sent.refuse("it is larger than 1 MiB"));
    }
    let key = ForeignKey::read(Format::Pgp, &public_key.bytes()?)
        .map_err(|reason| public_key.refuse(reason))?;
    let message = Cleartext::parse(&file).map_err(|error| sent.refuse(error))?;
    let chart = ChartHash::read(&message.text).map_err(|reason| sent.refuse(reason))?;
    // The packets alone: Rekor arms them anew, whatever headers the file had.
    let canonical = key
        .verify(&message.signature, &message.signed)
        .map_err(|reason| sent.refuse(reason))?;
    let leaf = jcs::to_vec(&json!({
        "apiVersion": "0.0.1",
        "kind": "helm",
        "spec": {
            "chart": {
                "hash": {"algorithm": chart.algorithm, "value": chart.value},
                "provenance": {"signature": {"content": STANDARD.encode(canonical)}},
            },
            "publicKey": {"content": key.base64()},
        },
    }))
    .map_err(Error::entry)?;
    let mut keys = key.keys();
    keys.push(format!("{}:{}", chart.algorithm, chart.value).to_lowercase());
    Ok(Proposed::new(leaf, keys))
}

/// As the provenance file has it.
#[derive(Debug, Eq, PartialEq)]
struct ChartHash {
    algorithm: String,
    value: String,
}

/// What follows the chart's description.
#[derive(Deserialize)]
struct Sums {
    files: Option<BTreeMap<String, String>>,
}

impl ChartHash {
    /// Of several files, Rekor takes any, and so another one each time; here it is the first by name.
    fn read(text: &[u8]) -> Result<Self, String> {
        let sums = second_part(text).ok_or(
            "the signed text has not the two parts of a provenance file, with a line ... between",
        )?;
        let sums = std::str::from_utf8(sums)
            .map_err(|_| "the second part of the signed text is not UTF-8")?;
        let sums: Sums = serde_saphyr::from_str(sums).map_err(|error| {
            let reason = sealmark_formats::excerpt(error.to_string());
            format!("the second part of the signed text is no list of files: {reason}")
        })?;
        let files = sums.files.unwrap_or_default();
        let (name, hash) = files
            .first_key_value()
            .ok_or("the signed text has no hash of a chart under files:")?;
        match hash.split(':').collect::<Vec<_>>().as_slice() {
            [algorithm, value] => Ok(Self {
                algorithm: (*algorithm).to_owned(),
                value: (*value).to_owned(),
            }),
            _ => {
                let name = sealmark_formats::excerpt(name.clone());
                Err(format!("the hash of {name:?} is not ALGORITHM:VALUE"))
            }
        }
    }
}

/// What is between the first separator and the next, or the end.
fn second_part(text: &[u8]) -> Option<&[u8]> {
    let separator = |text: &[u8]| {
        text.windows(SEPARATOR.len())
            .position(|window| window == SEPARATOR)
    };
    let rest = &text[separator(text)? + SEPARATOR.len()..];
    Some(separator(rest).map_or(rest, |end| &rest[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charts_hash_is_in_the_second_part() {
        let good = |text: &str, algorithm: &str, value: &str| {
            let hash = ChartHash::read(text.as_bytes()).unwrap();
            assert_eq!(
                (&*hash.algorithm, &*hash.value),
                (algorithm, value),
                "{text}"
            );
        };
        good("a: b\n...\nfiles:\n  a.tgz: sha256:00\n", "sha256", "00");
        good(
            "\n...\nfiles: {\"a\": \"x:Y\"}\nimages:\n  i: z\n",
            "x",
            "Y",
        );
        good(
            "\n...\nfiles:\n  b: x:2\n  a: x:1\n...\nfiles: {}\n",
            "x",
            "1",
        );
        for (text, reason) in [
            ("files:\n  a: x:y\n", "has not the two parts"),
            ("\n...\nfiles:\n", "has no hash of a chart"),
            ("\n...\n", "has no hash of a chart"),
            ("\n...\nfiles: 1\n", "no list of files"),
            ("\n...\nfiles:\n  a: x\n", "\"a\" is not ALGORITHM:VALUE"),
            (
                "\n...\nfiles:\n  a: x:y:z\n",
                "\"a\" is not ALGORITHM:VALUE",
            ),
        ] {
            let error = ChartHash::read(text.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn yaml_that_grows_is_refused() {
        let mut text = "\n...\na0: &a0 [x]\n".to_owned();
        for n in 0..40 {
            text += &format!("a{}: &a{} [*a{n},*a{n},*a{n}]\n", n + 1, n + 1);
        }
        assert!(ChartHash::read(text.as_bytes()).is_err());
        let deep = format!("\n...\nfiles: {}", "[".repeat(100_000));
        assert!(ChartHash::read(deep.as_bytes()).is_err());
    }
}
