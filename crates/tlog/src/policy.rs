//! Policies: which logs there are, which witnesses, and how many of them are enough.
//!
//! Format: <https://c2sp.org/tlog-policy>. A [`Policy`] that was parsed is well formed: every name that it uses was
//! defined before, and counts once.

use crate::note::{KeyKind, Note, VerifierKey};
use crate::{Error, cosignature};

/// Longer policies are refused, in bytes.
pub const MAX_POLICY: usize = 256 * 1024;
/// Logs at most; the format wants 32 at least.
pub const MAX_LOGS: usize = 1024;
/// Witnesses at most; the format wants 32 at least, and a note has no more than 64 signatures.
pub const MAX_WITNESSES: usize = 60;
/// Groups at most; the format wants 32 at least.
pub const MAX_GROUPS: usize = 64;
/// Letters of a policy's word that a message shows.
const MAX_SHOWN: usize = 60;

/// A policy.
///
/// ```
/// use sealmark_tlog::policy::Policy;
/// let policy = Policy::parse(b"# nobody is asked\nquorum none\n")?;
/// assert!(policy.is_satisfied(|_| false));
/// # Ok::<(), sealmark_tlog::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// The logs; a checkpoint is to be of one of them.
    pub logs: Vec<Log>,
    /// The witnesses, in their order.
    pub witnesses: Vec<Witness>,
    groups: Vec<Group>,
    /// `None` if nobody needs to cosign.
    quorum: Option<Member>,
}

/// A log of a policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// Its key, whose name is the origin of its checkpoints.
    pub key: VerifierKey,
    /// Where it is.
    pub url: Option<String>,
}

/// A witness of a policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Witness {
    /// What the policy calls it; for people.
    pub name: String,
    /// The key that it cosigns with.
    pub key: VerifierKey,
    /// Where it takes checkpoints: its submission prefix.
    pub url: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Group {
    needed: usize,
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Member {
    Witness(usize),
    Group(usize),
}

impl Policy {
    /// Parses a policy. It is bytes, as names in it may be any.
    ///
    /// # Errors
    /// [`Error::Policy`], with the line, if it is not of the format or over a bound.
    pub fn parse(policy: &[u8]) -> Result<Self, Error> {
        if policy.len() > MAX_POLICY {
            let bytes = policy.len();
            return Err(Error::Policy {
                line: 0,
                reason: format!("it has {bytes} bytes, at most {MAX_POLICY} are allowed"),
            });
        }
        let mut parser = Parser::default();
        for (number, line) in (1..).zip(policy.split(|byte| *byte == b'\n')) {
            parser.line(line).map_err(|reason| Error::Policy {
                line: number,
                reason,
            })?;
        }
        let quorum = parser.quorum.ok_or_else(|| Error::Policy {
            line: 0,
            reason: "there is no line \"quorum NAME\"; \"quorum none\" asks for no witness"
                .to_owned(),
        })?;
        Ok(Self {
            logs: parser.logs,
            witnesses: parser.witnesses,
            groups: parser.groups,
            quorum,
        })
    }

    /// Whether a checkpoint needs cosignatures at all.
    pub fn wants_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// Whether the witnesses for which `cosigned` is true are enough; it is asked by their positions in `witnesses`.
    pub fn is_satisfied(&self, cosigned: impl Fn(usize) -> bool) -> bool {
        // A group has only members from before it, so that one pass is enough.
        let mut groups: Vec<bool> = Vec::with_capacity(self.groups.len());
        let holds = |member: Member, groups: &[bool]| match member {
            Member::Witness(at) => cosigned(at),
            Member::Group(at) => groups.get(at).copied().unwrap_or(false),
        };
        for group in &self.groups {
            let members = group.members.iter();
            let have = members.filter(|member| holds(**member, &groups)).count();
            groups.push(have >= group.needed);
        }
        self.quorum.is_none_or(|quorum| holds(quorum, &groups))
    }

    /// Whether enough witnesses have cosigned the note, which must be a checkpoint. Who signed it as its log is another
    /// question.
    pub fn is_cosigned(&self, note: &Note) -> bool {
        let cosigned: Vec<bool> = self
            .witnesses
            .iter()
            .map(|witness| witness.has_cosigned(note))
            .collect();
        self.is_satisfied(|at| cosigned[at])
    }
}

impl Witness {
    /// Whether the note, a checkpoint, has a cosignature by this witness, and none that is wrong.
    pub fn has_cosigned(&self, note: &Note) -> bool {
        cosignature::verify(note, self.key.name(), self.key.public_key()).is_ok()
    }
}

/// A policy as far as it was read.
#[derive(Default)]
struct Parser<'a> {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    /// What was defined, and whether a group has it as a member.
    names: Vec<(&'a [u8], Member, bool)>,
    quorum: Option<Option<Member>>,
}

impl<'a> Parser<'a> {
    fn line(&mut self, line: &'a [u8]) -> Result<(), String> {
        let control = |byte: &&u8| (**byte < b' ' && **byte != b'\t') || **byte == 0x7f;
        if let Some(byte) = line.iter().find(control) {
            return Err(format!("it contains the control character 0x{byte:02x}"));
        }
        let mut words = line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        let Some(keyword) = words.next().filter(|word| !word.starts_with(b"#")) else {
            return Ok(());
        };
        let words: Vec<&[u8]> = words.collect();
        match (keyword, words.as_slice()) {
            (b"log", [key, url @ ..]) if url.len() <= 1 => self.log(key, url),
            (b"log", _) => Err("a log is \"log VKEY [URL]\"".to_owned()),
            (b"witness", [name, key, url @ ..]) if url.len() <= 1 => self.witness(name, key, url),
            (b"witness", _) => Err("a witness is \"witness NAME VKEY [URL]\"".to_owned()),
            (b"group", [name, threshold, members @ ..]) if !members.is_empty() => {
                self.group(name, threshold, members)
            }
            (b"group", _) => Err("a group is \"group NAME all|any|K MEMBER…\"".to_owned()),
            (b"quorum", [name]) => self.quorum(name),
            (b"quorum", _) => Err("a quorum is \"quorum NAME\"".to_owned()),
            _ => Err(format!(
                "{} is not log, witness, group or quorum",
                shown(keyword)
            )),
        }
    }

    fn log(&mut self, key: &[u8], url: &[&[u8]]) -> Result<(), String> {
        if self.logs.len() == MAX_LOGS {
            return Err(format!("there are more than {MAX_LOGS} logs"));
        }
        let key = verifier_key(key)?;
        if key.kind() == KeyKind::CosignatureV1 {
            return Err("it is the key of a witness, not of a log (type 4)".to_owned());
        }
        let same = |log: &Log| log.key.public_key() == key.public_key();
        if self.logs.iter().any(same) {
            return Err("there is a log with this key already".to_owned());
        }
        let url = self::url(url)?;
        self.logs.push(Log { key, url });
        Ok(())
    }

    fn witness(&mut self, name: &'a [u8], key: &[u8], url: &[&[u8]]) -> Result<(), String> {
        if self.witnesses.len() == MAX_WITNESSES {
            return Err(format!("there are more than {MAX_WITNESSES} witnesses"));
        }
        let key = verifier_key(key)?;
        if key.kind() == KeyKind::Spki {
            return Err(
                "a witness cosigns with Ed25519 (type 4): other keys are not supported".to_owned(),
            );
        }
        let same = |witness: &Witness| witness.key.public_key() == key.public_key();
        if self.witnesses.iter().any(same) {
            return Err("there is a witness with this key already".to_owned());
        }
        self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(Witness {
            name: String::from_utf8_lossy(name).into_owned(),
            key,
            url: self::url(url)?,
        });
        Ok(())
    }

    fn group(
        &mut self,
        name: &'a [u8],
        threshold: &[u8],
        members: &[&'a [u8]],
    ) -> Result<(), String> {
        if self.groups.len() == MAX_GROUPS {
            return Err(format!("there are more than {MAX_GROUPS} groups"));
        }
        let mut positions = Vec::with_capacity(members.len());
        for member in members {
            let (_, position, used) = self
                .names
                .iter_mut()
                .find(|(name, _, _)| name == member)
                .ok_or_else(|| format!("{} was not defined before", shown(member)))?;
            if std::mem::replace(used, true) {
                return Err(format!(
                    "{} is a member of a group already: each counts once",
                    shown(member)
                ));
            }
            positions.push(*position);
        }
        let needed = match threshold {
            b"all" => members.len(),
            b"any" => 1,
            number => decimal(number)
                .filter(|needed| (1..=members.len()).contains(needed))
                .ok_or_else(|| {
                    format!(
                        "{} of {} members cannot be asked for: write all, any, or a number from 1 on",
                        shown(number),
                        members.len()
                    )
                })?,
        };
        self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group {
            needed,
            members: positions,
        });
        Ok(())
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("there is a quorum already".to_owned());
        }
        if name == b"none" {
            self.quorum = Some(None);
            return Ok(());
        }
        let found = self.names.iter().find(|(known, _, _)| *known == name);
        let (_, member, _) =
            found.ok_or_else(|| format!("{} was not defined before", shown(name)))?;
        self.quorum = Some(Some(*member));
        Ok(())
    }

    fn define(&mut self, name: &'a [u8], member: Member) -> Result<(), String> {
        if name == b"none" {
            return Err("none cannot be the name of a witness or a group".to_owned());
        }
        if self.names.iter().any(|(known, _, _)| *known == name) {
            return Err(format!("{} is defined twice", shown(name)));
        }
        self.names.push((name, member, false));
        Ok(())
    }
}

fn verifier_key(text: &[u8]) -> Result<VerifierKey, String> {
    let text = str::from_utf8(text)
        .map_err(|_| format!("{} is not a verifier key: it is not UTF-8", shown(text)))?;
    text.parse().map_err(|error: Error| error.to_string())
}

fn url(words: &[&[u8]]) -> Result<Option<String>, String> {
    let url = words.first().map(|url| {
        str::from_utf8(url)
            .map(str::to_owned)
            .map_err(|_| format!("the URL {} is not UTF-8", shown(url)))
    });
    url.transpose()
}

/// Digits, without a sign or zeros in front.
fn decimal(text: &[u8]) -> Option<usize> {
    let canonical = text.iter().all(u8::is_ascii_digit) && !text.starts_with(b"0");
    str::from_utf8(text)
        .ok()?
        .parse()
        .ok()
        .filter(|_| canonical)
}

fn shown(word: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(word)
        .chars()
        .take(MAX_SHOWN)
        .collect();
    format!("{text:?}")
}
