//! What a format demands of its documents, as a table: which members an object has, which must be there, and of what
//! kind each is. The tables are the facts of the formats' schemas, in a language of a few words:
//!
//! ```text
//! # a comment
//! nulls                        a null member is one that is not there
//! enum NAME VALUE …            texts that a member may be
//! object NAME [closed]         an object; closed: it has no other members
//!   MEMBER[!] KIND[/KIND…]     a member; !: it must be there; several kinds: any of them
//!   one-of: A B+C              exactly one of these must be there; + joins what belongs together
//!   any-of: A B                at least one
//!   when: A VALUE B C          if member A is VALUE, one of the others must be there
//! ```
//!
//! A kind is `any`, `bool`, `int`, `number` (both with bounds, `int(1..)`), `object` (with any members), `[KIND]` (a list;
//! `[KIND]+` with an element at least), `{KIND}` (any names with values of this kind), `=ENUM`, the name of an object, or
//! one of the texts of [`Lexical`]. The object `document` is the whole.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::lexical::Lexical;

/// A table that is read when it is first used.
pub(super) struct Table {
    text: &'static str,
    read: OnceLock<Shape>,
}

impl Table {
    pub(super) const fn new(text: &'static str) -> Self {
        Self {
            text,
            read: OnceLock::new(),
        }
    }

    pub(super) fn shape(&self) -> &Shape {
        self.read.get_or_init(|| {
            Shape::read(self.text).expect("each table is a constant, and a test reads all of them")
        })
    }
}

/// A table, read.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) objects: Vec<Object>,
    pub(super) enums: Vec<Vec<&'static str>>,
    /// A null member is one that is not there.
    pub(super) nulls: bool,
    pub(super) document: usize,
}

/// An object and its members.
#[derive(Debug)]
pub(super) struct Object {
    /// In the order of their names.
    pub(super) members: Vec<Member>,
    /// There are no others.
    pub(super) closed: bool,
    pub(super) groups: Vec<Group>,
    pub(super) conditions: Vec<Condition>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) kinds: Vec<Kind>,
}

/// Alternatives, each a set of members.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) only_one: bool,
    pub(super) alternatives: Vec<u64>,
    /// As the table has them.
    pub(super) names: Vec<&'static str>,
}

/// If a member has a value, one of others must be there.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) member: usize,
    pub(super) value: &'static str,
    pub(super) one_of: u64,
    pub(super) names: Vec<&'static str>,
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Any,
    Bool,
    Text(Lexical),
    /// One of [`Shape::enums`].
    Enum(usize),
    Number {
        whole: bool,
        least: Option<f64>,
        most: Option<f64>,
    },
    List {
        items: Vec<Self>,
        filled: bool,
    },
    Map(Vec<Self>),
    AnyObject,
    /// One of [`Shape::objects`].
    Object(usize),
}

impl Object {
    /// The member of a name, by its place.
    pub(super) fn member(&self, name: &str) -> Option<(usize, &Member)> {
        let place = self.members.binary_search_by(|it| it.name.cmp(name)).ok()?;
        Some((place, &self.members[place]))
    }

    fn mask(&self, names: impl Iterator<Item = &'static str>) -> Result<u64, String> {
        let bits = names.map(|name| match self.member(name) {
            Some((place, _)) => Ok(1 << place),
            None => Err(format!("no member {name}")),
        });
        bits.sum()
    }
}

struct Names {
    objects: BTreeMap<&'static str, usize>,
    enums: BTreeMap<&'static str, usize>,
}

/// The bits of a set of members that is seen.
const MAX_MEMBERS: usize = 64;

impl Shape {
    fn read(text: &'static str) -> Result<Self, String> {
        let mut enums = Vec::new();
        let mut names = Names {
            objects: BTreeMap::new(),
            enums: BTreeMap::new(),
        };
        let mut nulls = false;
        let mut blocks: Vec<(bool, Vec<&'static str>)> = Vec::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match (line.starts_with("  "), words.next()) {
                (_, None | Some("#")) => {}
                (true, Some(_)) => {
                    let block = blocks.last_mut().ok_or("a member before an object")?;
                    block.1.push(line.trim());
                }
                (false, Some("nulls")) => nulls = true,
                (false, Some("enum")) => {
                    let name = words.next().ok_or("an enum without a name")?;
                    let mut values: Vec<&'static str> = words.collect();
                    values.sort_unstable();
                    names.enums.insert(name, enums.len());
                    enums.push(values);
                }
                (false, Some("object")) => {
                    let name = words.next().ok_or("an object without a name")?;
                    let known = names.objects.insert(name, blocks.len());
                    if known.is_some() {
                        return Err(format!("object {name} is there twice"));
                    }
                    blocks.push((words.next() == Some("closed"), Vec::new()));
                }
                (false, Some(other)) => return Err(format!("{other} is no word of a table")),
            }
        }
        let objects = blocks.iter().map(|(closed, lines)| {
            object(*closed, lines, &names).map_err(|problem| format!("{problem} in {lines:?}"))
        });
        Ok(Self {
            objects: objects.collect::<Result<_, _>>()?,
            enums,
            nulls,
            document: *names.objects.get("document").ok_or("no document")?,
        })
    }
}

fn object(closed: bool, lines: &[&'static str], names: &Names) -> Result<Object, String> {
    let is_member = |line: &&&'static str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        !["one-of:", "any-of:", "when:"].contains(&first)
    };
    let mut members = Vec::new();
    for line in lines.iter().filter(is_member) {
        let (name, kind) = line.split_once(' ').ok_or("a member without a kind")?;
        members.push(Member {
            name: name.strip_suffix('!').unwrap_or(name),
            required: name.ends_with('!'),
            kinds: kinds(kind.trim(), names)?,
        });
    }
    members.sort_by_key(|member| member.name);
    if members.len() > MAX_MEMBERS {
        return Err(format!("{} members", members.len()));
    }
    let mut object = Object {
        members,
        closed,
        groups: Vec::new(),
        conditions: Vec::new(),
    };
    for line in lines.iter().filter(|line| !is_member(line)) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("when:") => {
                let name = words.next().ok_or("when what?")?;
                let (member, _) = object.member(name).ok_or("when what?")?;
                let value = words.next().ok_or("when is it what?")?;
                let names: Vec<_> = words.collect();
                object.conditions.push(Condition {
                    member,
                    value,
                    one_of: object.mask(names.iter().copied())?,
                    names,
                });
            }
            word => {
                let names: Vec<_> = words.collect();
                let sets = names.iter().map(|set| object.mask(set.split('+')));
                object.groups.push(Group {
                    only_one: word == Some("one-of:"),
                    alternatives: sets.collect::<Result<_, _>>()?,
                    names,
                });
            }
        }
    }
    Ok(object)
}

/// `KIND/KIND…`; slashes within brackets belong to what is within.
fn kinds(text: &'static str, names: &Names) -> Result<Vec<Kind>, String> {
    let (mut depth, mut start, mut found) = (0_u32, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '[' | '{' | '(' => depth += 1,
            ']' | '}' | ')' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => {
                found.push(kind(&text[start..at], names)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(kind(&text[start..], names)?);
    Ok(found)
}

fn kind(text: &'static str, names: &Names) -> Result<Kind, String> {
    if let Some(inner) = text.strip_prefix('[') {
        let filled = inner.ends_with("]+");
        let inner = inner.trim_end_matches('+');
        let inner = inner.strip_suffix(']').ok_or("a list that does not end")?;
        return Ok(Kind::List {
            items: kinds(inner, names)?,
            filled,
        });
    }
    if let Some(inner) = text.strip_prefix('{') {
        let inner = inner.strip_suffix('}').ok_or("a map that does not end")?;
        return Ok(Kind::Map(kinds(inner, names)?));
    }
    if let Some(name) = text.strip_prefix('=') {
        let place = names.enums.get(name);
        return place
            .map(|place| Kind::Enum(*place))
            .ok_or_else(|| format!("no enum {name}"));
    }
    let (word, bounds) = match text.split_once('(') {
        Some((word, rest)) => (word, rest.strip_suffix(')')),
        None => (text, None),
    };
    let bound = |text: &str| match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("bound {text}")),
    };
    let (least, most) = match bounds.and_then(|bounds| bounds.split_once("..")) {
        Some((least, most)) => (bound(least)?, bound(most)?),
        None => (None, None),
    };
    Ok(match word {
        "any" => Kind::Any,
        "bool" => Kind::Bool,
        "object" => Kind::AnyObject,
        "int" | "number" => Kind::Number {
            whole: word == "int",
            least,
            most,
        },
        word => match (Lexical::named(word), names.objects.get(word)) {
            (Some(lexical), _) => Kind::Text(lexical),
            (None, Some(place)) => Kind::Object(*place),
            (None, None) => return Err(format!("no kind {word}")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_in_tables_are_found() {
        for (text, problem) in [
            ("object a\n", "no document"),
            ("object document\n  a texts\n", "no kind texts"),
            ("object document\n  a =b\n", "no enum b"),
            ("object document\n  a [text\n", "a list that does not end"),
            ("object document\n  a text\n  one-of: a b\n", "no member b"),
            ("object document\nobject document\n", "is there twice"),
            ("  a text\n", "a member before an object"),
            ("class document\n", "class is no word"),
            ("object document\n  a int(x..)\n", "bound x"),
        ] {
            let found = Shape::read(text).unwrap_err();
            assert!(found.contains(problem), "{text}: {found}");
        }
    }
}
