//! A log in memory, for tests: what is gone with the process was never meant to last.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::directory::different;
use super::{CommitError, EachRecord, Object, Storage};
use crate::Error;

/// A log in memory. To open it a second time, share it in an `Arc`.
#[derive(Default)]
pub struct Memory {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    journal: BTreeMap<u64, Vec<u8>>,
    last: u64,
    objects: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an object away, or puts another in its place: damage, for tests.
    pub fn damage(&self, name: &str, bytes: Option<Vec<u8>>) {
        let mut inner = self.inner();
        match bytes {
            Some(bytes) => inner.objects.insert(name.to_owned(), bytes),
            None => inner.objects.remove(name),
        };
    }

    /// The names of all objects.
    pub fn names(&self) -> Vec<String> {
        self.inner().objects.keys().cloned().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Memory {
    fn commit(&self, number: u64, record: &[u8]) -> Result<(), CommitError> {
        let mut inner = self.inner();
        if number != inner.last + 1 {
            let reason = format!("record {number} was to follow on {}", inner.last);
            return Err(CommitError::Unknown(Error::damaged("journal", reason)));
        }
        inner.last = number;
        inner.journal.insert(number, record.to_vec());
        Ok(())
    }

    fn replay(&self, from: u64, each: &mut EachRecord<'_>) -> Result<(), Error> {
        let records = {
            let inner = self.inner();
            if from <= inner.last && !inner.journal.contains_key(&from) || from > inner.last + 1 {
                let reason = format!("record {from} is missing");
                return Err(Error::damaged("journal", reason));
            }
            let records = inner.journal.range(from..);
            let records = records.map(|(number, record)| (*number, record.clone()));
            records.collect::<Vec<_>>()
        };
        records
            .iter()
            .try_for_each(|(number, record)| each(*number, record))
    }

    fn forget(&self, before: u64) -> Result<(), Error> {
        let mut inner = self.inner();
        inner.journal = inner.journal.split_off(&before);
        Ok(())
    }

    fn put(&self, objects: &[Object]) -> Result<(), Error> {
        let mut inner = self.inner();
        for object in objects {
            match inner.objects.get(&object.name) {
                Some(found) if *found != object.bytes => {
                    return Err(Error::damaged(&object.name, different(found, object)));
                }
                _ => {
                    let (name, bytes) = (object.name.clone(), object.bytes.clone());
                    inner.objects.insert(name, bytes);
                }
            }
        }
        Ok(())
    }

    fn replace(&self, object: &Object) -> Result<(), Error> {
        let (name, bytes) = (object.name.clone(), object.bytes.clone());
        self.inner().objects.insert(name, bytes);
        Ok(())
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.inner().objects.get(name).cloned())
    }

    fn place(&self, name: &str) -> String {
        name.to_owned()
    }
}
