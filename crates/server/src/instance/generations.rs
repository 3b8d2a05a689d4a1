//! The generations of a service's keys: which there were, and from when until when each was in use.
//!
//! ```text
//! ca/                    generation 1, as if there were no others
//! ca/2/                  generation 2: keys/ and ca.pem, and root.pem if it has a root of its own
//! ca/generations.json    {"layout", "generations": [{"number", "since", "until", "root"}, …]}; missing if there is but one
//! ```
//!
//! Invariant: the file decides. It is replaced as a whole, after what it names is durable, so that a rotation is done or
//! not done whenever its process dies. A folder that it does not name was never used, and is made anew. An old
//! generation is never deleted: what it signed is good.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::marker::Marker;
use crate::{Error, durable};

const MARKER: Marker = Marker {
    file: "generations.json",
    layout: 1,
    expected: "the keys of a service of sealmark",
};
/// For how long clients still believe an old generation, in seconds: a certificate that was issued just before is valid
/// for ten minutes, and what it signs is logged and stamped after.
pub const OVERLAP: u64 = 3600;

/// One of them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generation {
    /// Counted from 1.
    pub(crate) number: u32,
    /// Clients believe it from then on, in seconds since 1970.
    pub(crate) since: u64,
    /// And until then, if it is not the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<u64>,
    /// The generation whose root it is below; a CT log has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<u32>,
}

/// All of a service, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Generations {
    folder: PathBuf,
    all: Vec<Generation>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    layout: u32,
    generations: Vec<Generation>,
}

impl Generations {
    /// Reads them; the first is of an instance that was made at `created`.
    pub(crate) fn read(folder: &Path, created: u64) -> Result<Self, Error> {
        let first = Generation {
            number: 1,
            since: created,
            until: None,
            root: Some(1),
        };
        let all = match MARKER.read::<Content>(folder)? {
            Some(content) => content.generations,
            None => vec![first],
        };
        let is_whole = !all.is_empty()
            && all.iter().zip(1..).all(|(it, number)| {
                it.number == number && it.root.is_none_or(|root| (1..=number).contains(&root))
            });
        match is_whole {
            true => Ok(Self {
                folder: folder.to_owned(),
                all,
            }),
            false => Err(Error::Damaged {
                path: folder.join(MARKER.file),
                problem: "its generations are not numbered from 1 on".to_owned(),
            }),
        }
    }

    pub(crate) fn all(&self) -> &[Generation] {
        &self.all
    }

    /// Where the file is, if there is one.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(MARKER.file)
    }

    /// Where keys and certificates of a generation are.
    pub(crate) fn folder(&self, number: u32) -> PathBuf {
        match number {
            1 => self.folder.clone(),
            number => self.folder.join(number.to_string()),
        }
    }

    /// The one that signs: the first that has not ended.
    pub(crate) fn current(&self) -> &Generation {
        let last = &self.all[self.all.len() - 1];
        self.all
            .iter()
            .find(|it| it.until.is_none())
            .unwrap_or(last)
    }

    /// The one that was made and does not sign yet.
    pub(crate) fn waiting(&self) -> Option<&Generation> {
        let last = &self.all[self.all.len() - 1];
        (last.number != self.current().number).then_some(last)
    }

    /// When the next one is to sign, in seconds since 1970, if one is waiting.
    pub(crate) fn turns_at(&self) -> Option<u64> {
        self.waiting().map(|it| it.since)
    }

    /// Turns to the generation whose time has come, and says until when the one before it is believed. `false` if there
    /// was nothing to do. Only a process that is about to sign with it may do this.
    pub(crate) fn turn(&mut self, now: u64) -> Result<bool, Error> {
        let waiting = self.waiting().map(|it| it.since);
        if waiting.is_none_or(|since| since > now) {
            return Ok(false);
        }
        let current = self.current().number;
        for it in &mut self.all {
            if it.number == current {
                it.until = Some(now.saturating_add(OVERLAP));
            }
        }
        self.write()?;
        Ok(true)
    }

    /// An empty folder for the next generation, and its number. What a crash has left in it was never used.
    pub(crate) fn prepare(&self) -> Result<(u32, PathBuf), Error> {
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX - 1) + 1;
        let folder = self.folder(number);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Error::io("delete", &folder))?;
        }
        durable::create_directory(&folder)?;
        Ok((number, folder))
    }

    /// Adds a generation whose keys are durable. From then on it is one.
    pub(crate) fn add(&mut self, number: u32, since: u64, root: Option<u32>) -> Result<(), Error> {
        self.all.push(Generation {
            number,
            since,
            until: None,
            root,
        });
        self.write()
    }

    fn write(&self) -> Result<(), Error> {
        let content = Content {
            layout: MARKER.layout,
            generations: self.all.clone(),
        };
        MARKER.write(&self.folder, &content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_waits_for_its_time_and_the_one_before_it_ends_then() {
        let directory = tempfile::tempdir().unwrap();
        let mut all = Generations::read(directory.path(), 100).unwrap();
        assert_eq!((all.current().number, all.waiting()), (1, None));
        let (number, folder) = all.prepare().unwrap();
        fs::write(folder.join("left by a crash"), "").unwrap();
        assert_eq!(all.prepare().unwrap(), (number, folder.clone()));
        assert!(fs::read_dir(&folder).unwrap().next().is_none());
        all.add(number, 1000, Some(1)).unwrap();
        assert!(!all.turn(999).unwrap());
        let mut all = Generations::read(directory.path(), 100).unwrap();
        assert_eq!(all.current().number, 1);
        assert_eq!(all.waiting().unwrap().number, 2);
        assert!(all.turn(1001).unwrap());
        let all = Generations::read(directory.path(), 100).unwrap();
        assert_eq!((all.current().number, all.waiting()), (2, None));
        assert_eq!(all.all()[0].until, Some(1001 + OVERLAP));
        assert_eq!(all.folder(1), directory.path());
        assert_eq!(all.folder(2), directory.path().join("2"));
    }

    #[test]
    fn what_no_program_writes_is_refused() {
        for content in [
            r#"{"layout":1,"generations":[]}"#,
            r#"{"layout":1,"generations":[{"number":2,"since":1}]}"#,
            r#"{"layout":1,"generations":[{"number":1,"since":1,"root":2}]}"#,
            r#"{"layout":2,"generations":[{"number":1,"since":1}]}"#,
            "{",
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(MARKER.file), content).unwrap();
            let error = Generations::read(directory.path(), 1).unwrap_err();
            assert!(error.to_string().contains(MARKER.file), "{error}");
        }
    }
}
