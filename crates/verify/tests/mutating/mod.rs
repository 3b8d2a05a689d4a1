//! Every change of a JSON document that is small: of its structure, of its texts and numbers, and of what its texts
//! contain, base64, JSON again, DER, signed notes.

use serde_json::{Map, Value, json};

/// One changed document.
pub(crate) struct Mutant {
    /// Where: the path of members, `[]` for any item, and after `!` what is inside of a text.
    pub(crate) place: String,
    /// What was done there.
    pub(crate) change: String,
    /// The document as text; a member that is there twice cannot be told otherwise.
    pub(crate) text: String,
}

/// How many places of a text or of bytes are changed, evenly spread. More find no more, and take longer.
const SAMPLES: usize = 16;

/// Every mutant of a document. `inside` says what a text at a place contains.
pub(crate) fn mutants(document: &Value, inside: fn(&str) -> Inside) -> Vec<Mutant> {
    let mut found = Vec::new();
    visit(document, &mut Vec::new(), &mut |path, value| {
        let place = place(path);
        for (change, new) in replacements(value, inside(&place), &place) {
            let (place, change) = match change.split_once('!') {
                Some((deeper, change)) => (format!("{place}!{deeper}"), change.to_owned()),
                None => (place.clone(), change),
            };
            let mut changed = document.clone();
            *at(&mut changed, path) = new;
            let text = changed.to_string();
            found.push(Mutant {
                place,
                change,
                text,
            });
        }
        structural(document, path, &place, &mut found);
    });
    found
}

/// What a text contains.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inside {
    /// Just text.
    Text,
    /// Base64 of bytes.
    Bytes,
    /// Base64 of DER.
    Der,
    /// Base64 of canonical JSON, with texts in it.
    Json(fn(&str) -> Self),
    /// A signed note.
    Note,
    /// JSON with texts in it.
    JsonText(fn(&str) -> Self),
    /// PEM of one certificate or more.
    Pem,
}

#[derive(Clone, Debug)]
enum Step {
    Member(String),
    Item(usize),
}

fn place(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Member(name) if text.is_empty() => text.push_str(name),
            Step::Member(name) => text.extend([".", name]),
            Step::Item(0) => text.push_str("[0]"),
            Step::Item(_) => text.push_str("[+]"),
        }
    }
    text
}

fn visit(value: &Value, path: &mut Vec<Step>, to: &mut impl FnMut(&[Step], &Value)) {
    to(path, value);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                path.push(Step::Member(name.clone()));
                visit(member, path, to);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(Step::Item(index));
                visit(item, path, to);
                path.pop();
            }
        }
        _ => {}
    }
}

fn at<'a>(value: &'a mut Value, path: &[Step]) -> &'a mut Value {
    path.iter().fold(value, |value, step| match step {
        Step::Member(name) => &mut value[name.as_str()],
        Step::Item(index) => &mut value[*index],
    })
}

/// Dropped, there twice, added to.
fn structural(document: &Value, path: &[Step], place: &str, found: &mut Vec<Mutant>) {
    let mut add = |change: &str, text: String| {
        found.push(Mutant {
            place: place.to_owned(),
            change: change.to_owned(),
            text,
        });
    };
    let Some((last, parent)) = path.split_last() else {
        return;
    };
    let mut dropped = document.clone();
    let mut doubled = document.clone();
    match last {
        Step::Member(name) => {
            if let Value::Object(members) = at(&mut dropped, parent) {
                members.remove(name);
            }
            add("dropped", dropped.to_string());
            if let Value::Object(members) = at(&mut doubled, parent) {
                // Two names that no document has, put in the place of the one after.
                let value = members.remove(name).unwrap();
                members.insert("@first@".to_owned(), value.clone());
                members.insert("@second@".to_owned(), value);
            }
            let member = serde_json::to_string(name).unwrap();
            let text = doubled.to_string();
            add(
                "there twice",
                text.replace("\"@first@\"", &member)
                    .replace("\"@second@\"", &member),
            );
            // And the second time something else, as readers differ on which one counts.
            *at(&mut doubled, parent).get_mut("@second@").unwrap() = Value::Null;
            add(
                "there twice, once as null",
                doubled
                    .to_string()
                    .replace("\"@first@\"", &member)
                    .replace("\"@second@\"", &member),
            );
            let mut unknown = document.clone();
            if let Value::Object(members) = at(&mut unknown, parent) {
                members.insert("unheardOf".to_owned(), json!({"a": [1]}));
            }
            add("beside an unknown member", unknown.to_string());
        }
        Step::Item(index) => {
            if let (Value::Array(less), Value::Array(more)) =
                (at(&mut dropped, parent), at(&mut doubled, parent))
            {
                less.remove(*index);
                more.insert(*index, more[*index].clone());
            }
            add("dropped", dropped.to_string());
            add("there twice", doubled.to_string());
            if *index > 0 {
                let mut swapped = document.clone();
                if let Value::Array(items) = at(&mut swapped, parent) {
                    items.swap(index - 1, *index);
                }
                add("swapped with the one before", swapped.to_string());
            }
        }
    }
}

/// What can stand in the place of a value.
fn replacements(value: &Value, inside: Inside, place: &str) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = [
        ("null", Value::Null),
        ("an empty object", json!({})),
        ("an empty list", json!([])),
        ("an empty text", json!("")),
        ("a number", json!(7)),
        ("true", json!(true)),
    ]
    .into_iter()
    .filter(|(_, other)| other != value)
    .map(|(change, value)| (change.to_owned(), value))
    .collect();
    match value {
        Value::String(text) => {
            let whole = match inside {
                // Line by line tells more.
                Inside::Note | Inside::Pem | Inside::JsonText(_) => Vec::new(),
                Inside::Der => base64_of_der(text),
                _ => texts(text),
            };
            let texts = whole.into_iter().chain(contents(text, inside, place));
            found.extend(texts.map(|(change, text)| (change, Value::String(text))));
        }
        Value::Number(number) => {
            if let Some(number) = number.as_i64() {
                for other in numbers(number) {
                    found.push((format!("{other}"), json!(other)));
                }
            }
        }
        Value::Object(members) => {
            let empty = Map::new();
            assert!(*members != empty, "an empty object has nothing to change");
        }
        _ => {}
    }
    found
}

fn numbers(number: i64) -> Vec<i64> {
    let mut all = vec![
        number.wrapping_add(1),
        number.wrapping_sub(1),
        number.wrapping_neg(),
        0,
        1,
        i64::MAX,
        i64::MIN,
        number ^ (1 << 40),
    ];
    all.retain(|other| *other != number);
    all
}

/// Evenly spread positions, the first and the last among them.
fn positions(length: usize) -> Vec<usize> {
    match length {
        0 => Vec::new(),
        length if length <= SAMPLES => (0..length).collect(),
        length => (0..SAMPLES)
            .map(|n| n * (length - 1) / (SAMPLES - 1))
            .collect(),
    }
}

/// Changes of a text as such.
fn texts(text: &str) -> Vec<(String, String)> {
    let characters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    for position in positions(characters.len()) {
        let mut changed = characters.clone();
        let bit = [1_u32, 2, 32][position % 3];
        if let Some(other) = char::from_u32(changed[position] as u32 ^ bit) {
            changed[position] = other;
            found.push((
                format!("character {position} flipped"),
                changed.iter().collect(),
            ));
        }
    }
    if let Some((_, but_last)) = characters.split_last() {
        found.push(("cut by one".to_owned(), but_last.iter().collect()));
        let half = &characters[..characters.len() / 2];
        found.push(("cut by half".to_owned(), half.iter().collect()));
    }
    found.push(("longer".to_owned(), format!("{text}A")));
    found.push(("with a space".to_owned(), format!("{text} ")));
    if let Ok(number) = text.parse::<i64>() {
        let others = numbers(number).into_iter();
        found.extend(others.map(|other| (format!("{other}"), other.to_string())));
    }
    found
}

/// Changes of the base64 of DER; where it still is base64, with the place of the first byte that changed.
fn base64_of_der(text: &str) -> Vec<(String, String)> {
    use base64::Engine;
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).ok();
    let original = decode(text).unwrap();
    let place = |changed: &str| {
        let changed = decode(changed)?;
        let offset = original.iter().zip(&changed).position(|(a, b)| a != b)?;
        Some(format!("{}!", der_path(&original, offset)))
    };
    texts(text)
        .into_iter()
        .map(|(change, text)| (place(&text).unwrap_or_default() + &change, text))
        .collect()
}

/// Changes of what a text contains.
fn contents(text: &str, inside: Inside, place: &str) -> Vec<(String, String)> {
    use base64::Engine;
    let base64 = base64::engine::general_purpose::STANDARD;
    let decode = || {
        base64
            .decode(text)
            .unwrap_or_else(|error| panic!("{place} is not base64: {error}"))
    };
    match inside {
        Inside::Text => Vec::new(),
        Inside::Bytes => bytes(&decode(), |_| String::new())
            .into_iter()
            .map(|(change, bytes)| (change, base64.encode(bytes)))
            .collect(),
        Inside::Der => {
            let der = decode();
            bytes(&der, |offset| der_path(&der, offset))
                .into_iter()
                .map(|(change, bytes)| (change, base64.encode(bytes)))
                .collect()
        }
        Inside::Json(inside) => {
            let document: Value = serde_json::from_slice(&decode()).unwrap();
            mutants(&document, inside)
                .into_iter()
                .map(|it| {
                    (
                        format!("{}!{}", it.place, it.change),
                        base64.encode(it.text),
                    )
                })
                .collect()
        }
        Inside::JsonText(inside) => {
            let document: Value = serde_json::from_str(text).unwrap();
            mutants(&document, inside)
                .into_iter()
                .map(|it| (format!("{}!{}", it.place, it.change), it.text))
                .collect()
        }
        Inside::Note => note(text),
        Inside::Pem => pem(text),
    }
}

/// Bits flipped, cut, longer. `path` says where a byte is.
fn bytes(original: &[u8], path: impl Fn(usize) -> String) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for position in positions(original.len()).into_iter().chain(
        // Structures have their tags and lengths at their beginning.
        1..original.len().min(SAMPLES / 2),
    ) {
        for bit in [0, 7] {
            let mut changed = original.to_vec();
            changed[position] ^= 1 << bit;
            let path = path(position);
            found.push((
                format!("{path}!byte {position} flipped in bit {bit}"),
                changed,
            ));
        }
    }
    if let Some((_, but_last)) = original.split_last() {
        found.push(("!bytes cut by one".to_owned(), but_last.to_vec()));
        found.push((
            "!bytes cut by half".to_owned(),
            original[..original.len() / 2].to_vec(),
        ));
    }
    found.push(("!bytes and one more".to_owned(), [original, &[0]].concat()));
    found.push(("!bytes twice".to_owned(), [original, original].concat()));
    found
}

/// The numbers of the elements that a byte is in, outermost first: `der/1/0` is the first part of the second part.
fn der_path(der: &[u8], offset: usize) -> String {
    let mut path = "der".to_owned();
    let (mut start, mut end) = match header(der) {
        Some((head, length)) if offset >= head => (head, head + length),
        _ => return path,
    };
    loop {
        let mut index = 0;
        let inner = loop {
            if start >= end {
                return path;
            }
            let Some((head, length)) = header(&der[start..end]) else {
                return path;
            };
            if offset < start + head + length {
                break (head, length, der[start] & 0x20 != 0);
            }
            start += head + length;
            index += 1;
        };
        path.push_str(&format!("/{index}"));
        let (head, length, constructed) = inner;
        if !constructed || offset < start + head {
            return path;
        }
        start += head;
        end = start + length;
    }
}

/// Length of tag and length, and of the content.
fn header(der: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*der.get(1)?);
    if first < 0x80 {
        return (2 + first <= der.len()).then_some((2, first));
    }
    let count = first & 0x7f;
    let length = der
        .get(2..2 + count)?
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    (2 + count + length <= der.len()).then_some((2 + count, length))
}

/// Lines dropped, there twice, swapped, and each line's text changed.
fn note(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut found = Vec::new();
    // Behind the empty line are the signatures, of the log and of others.
    let empty = lines.iter().position(|line| line.is_empty()).unwrap_or(0);
    let by_log = |line: &str| {
        let host = lines[0].split(' ').next();
        line.split(' ').nth(1) == host
    };
    let name = |index: usize| match index {
        index if index < empty => format!("line {index}"),
        index if by_log(lines[index]) => "the log's signature".to_owned(),
        index if index > empty && index + 1 < lines.len() => "a cosignature".to_owned(),
        _ => "an empty line".to_owned(),
    };
    for index in 0..lines.len() {
        let mut add = |change: &str, lines: &[&str]| {
            found.push((format!("{}!{change}", name(index)), lines.join("\n")));
        };
        let mut less = lines.clone();
        less.remove(index);
        add("dropped", &less);
        let mut more = lines.clone();
        more.insert(index, lines[index]);
        add("there twice", &more);
        if index > 0 {
            let mut swapped = lines.clone();
            swapped.swap(index - 1, index);
            add("swapped with the line before", &swapped);
        }
        let parts: Vec<&str> = lines[index].split(' ').collect();
        if index > empty && parts.len() == 3 {
            signature_line(&lines, index, &parts, &name(index), &mut found);
            continue;
        }
        for (change, line) in texts(lines[index]) {
            let mut changed = lines.clone();
            changed[index] = &line;
            found.push((format!("{}!{change}", name(index)), changed.join("\n")));
        }
    }
    found
}

fn signature_line(
    lines: &[&str],
    index: usize,
    parts: &[&str],
    name: &str,
    found: &mut Vec<(String, String)>,
) {
    let mut add = |part: &str, change: String, line: String| {
        let mut changed = lines.to_vec();
        changed[index] = &line;
        found.push((format!("{name}, {part}!{change}"), changed.join("\n")));
    };
    for (change, text) in texts(parts[1]) {
        add("name", change, format!("{} {text} {}", parts[0], parts[2]));
    }
    let both = texts(parts[2])
        .into_iter()
        .chain(contents(parts[2], Inside::Bytes, name));
    for (change, text) in both {
        let change = change.trim_start_matches('!').to_owned();
        add("bytes", change, format!("{} {} {text}", parts[0], parts[1]));
    }
}

/// The DER of each certificate changed, and certificates dropped or there twice.
fn pem(text: &str) -> Vec<(String, String)> {
    use base64::Engine;
    let base64 = base64::engine::general_purpose::STANDARD;
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----\n";
    const END: &str = "-----END CERTIFICATE-----\n";
    let blocks: Vec<Vec<u8>> = text
        .split(BEGIN)
        .skip(1)
        .map(|block| {
            let content = block.split_once(END).unwrap().0.replace('\n', "");
            base64.decode(content).unwrap()
        })
        .collect();
    let write = |blocks: &[Vec<u8>]| -> String {
        blocks
            .iter()
            .map(|der| format!("{BEGIN}{}\n{END}", base64.encode(der)))
            .collect()
    };
    let mut found = Vec::new();
    for (index, der) in blocks.iter().enumerate() {
        let name = match index {
            0 => "first",
            _ => "another",
        };
        for (change, changed) in bytes(der, |offset| der_path(der, offset)) {
            let (_, change) = change.split_once('!').unwrap();
            let mut blocks = blocks.clone();
            blocks[index] = changed;
            found.push((format!("{name}!{change}"), write(&blocks)));
        }
        let mut less = blocks.clone();
        less.remove(index);
        found.push((format!("{name}!dropped"), write(&less)));
        let mut more = blocks.clone();
        more.insert(index, der.clone());
        found.push((format!("{name}!there twice"), write(&more)));
    }
    found
}
