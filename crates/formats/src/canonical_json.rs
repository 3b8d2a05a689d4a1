//! Canonical JSON as TUF signs it: keys sorted, no spaces, in strings only `"` and `\` escaped.
//!
//! <https://wiki.laptop.org/go/Canonical_JSON>; not RFC 8785, which escapes and sorts differently.

use serde_json::Value;

/// The canonical form, or what in `value` has none.
///
/// ```
/// let value = serde_json::json!({"b": 1, "a": "x\ny"});
/// let canonical = sealmark_formats::canonical_json::to_vec(&value)?;
/// assert_eq!(canonical, b"{\"a\":\"x\ny\",\"b\":1}");
/// # Ok::<(), &str>(())
/// ```
///
/// # Errors
/// If a number in it is no integer.
pub fn to_vec(value: &Value) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), &'static str> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) if number.is_f64() => {
            return Err("it has a number that is no integer");
        }
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by(|a, b| a.0.cmp(b.0));
            out.push(b'{');
            for (index, (name, item)) in fields.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(name, out);
                out.push(b':');
                write(item, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_must_be_escaped_is() {
        for (json, expected) in [
            (
                r#"{"b": 1, "a": [true, null, -7]}"#,
                "{\"a\":[true,null,-7],\"b\":1}",
            ),
            (r#""a\n\"\\\u00e9""#, "\"a\n\\\"\\\\é\""),
            (
                r#"{"é": 0, "z": 18446744073709551615}"#,
                "{\"z\":18446744073709551615,\"é\":0}",
            ),
        ] {
            let value = serde_json::from_str(json).unwrap();
            assert_eq!(to_vec(&value).unwrap(), expected.as_bytes(), "{json}");
        }
        assert!(to_vec(&serde_json::json!([1.5])).is_err());
    }
}
