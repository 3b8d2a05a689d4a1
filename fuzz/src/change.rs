//! Changes of a bundle that leave it JSON: what a mutation of bytes rarely gives.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Case, cases};

/// Makes the changes that `changes` asks for, four bytes for each: what, where (two), and with what.
pub fn changed(case: &Case, changes: &[u8]) -> Vec<u8> {
    let mut bundle: Value = serde_json::from_slice(&case.json).expect("bundles are JSON");
    for change in changes.chunks_exact(4) {
        let [what, high, low, with] = [change[0], change[1], change[2], change[3]];
        let place = usize::from(u16::from_be_bytes([high, low]));
        let from = match what & 0x80 {
            0 => bundle.clone(),
            _ => {
                let other = &cases()[usize::from(with) % cases().len()];
                serde_json::from_slice(&other.json).expect("bundles are JSON")
            }
        };
        let count = count(&bundle);
        let Some(target) = nth(&mut bundle, &mut (place % count)) else {
            continue;
        };
        change_one(target, what & 0x7f, with, &from);
    }
    serde_json::to_vec(&bundle).expect("JSON values serialise")
}

fn change_one(target: &mut Value, what: u8, with: u8, from: &Value) {
    let position = usize::from(with);
    match what % 10 {
        0 => *target = Value::Null,
        1 => *target = json!([]),
        2 => *target = json!(""),
        3 => *target = json!(with.to_string()),
        // Another value of this or another bundle.
        4 | 5 => {
            let mut from = from.clone();
            let count = count(&from);
            if let Some(value) = nth(&mut from, &mut (position * 7 % count)) {
                *target = value.clone();
            }
        }
        // A bit of what is in base64, or of the text.
        6 | 7 => {
            if let Value::String(text) = target {
                let decoded = STANDARD.decode(&*text);
                let encoded = decoded.is_ok();
                let mut bytes = decoded.unwrap_or_else(|_| text.clone().into_bytes());
                let length = bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(position * 31 % length) {
                    *byte ^= 1 << (with & 7);
                }
                *text = match encoded {
                    true => STANDARD.encode(bytes),
                    false => String::from_utf8_lossy(&bytes).into_owned(),
                };
            }
        }
        8 => match target {
            Value::Array(items) => {
                let again = items.get(position % items.len().max(1)).cloned();
                items.extend(again);
            }
            Value::Object(fields) => {
                let name = fields.keys().nth(position % fields.len().max(1)).cloned();
                name.and_then(|name| fields.remove(&name));
            }
            other => *other = json!(with),
        },
        _ => match target {
            Value::Array(items) if !items.is_empty() => {
                items.remove(position % items.len());
            }
            Value::Object(fields) => {
                fields.insert(format!("field{with}"), json!({}));
            }
            other => *other = json!(-1),
        },
    }
}

/// How many values there are in a value, itself included.
pub(crate) fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The value at a place, counted in the order of the text.
pub(crate) fn nth<'a>(value: &'a mut Value, place: &mut usize) -> Option<&'a mut Value> {
    if *place == 0 {
        return Some(value);
    }
    *place -= 1;
    let inside: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    };
    for value in inside {
        let here = count(value);
        if *place < here {
            return nth(value, place);
        }
        *place -= here;
    }
    None
}
