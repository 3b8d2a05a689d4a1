//! A storage that fails when it is told to, for tests of what is above it.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{CommitError, EachRecord, Object, Storage};
use crate::Error;

/// What a storage does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// [`Storage::commit`].
    Commit,
    /// [`Storage::put`].
    Put,
    /// [`Storage::replace`].
    Replace,
    /// [`Storage::get`].
    Get,
    /// [`Storage::forget`].
    Forget,
}

/// How it fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Nothing was done, and it says so.
    NotDone,
    /// Nothing was done, and it does not know.
    UnknownNotDone,
    /// It was done, and it does not know.
    UnknownDone,
    /// It was done in part: the first of several objects. A commit is whole or not there.
    InPart,
}

/// Another storage, with faults. A fault stays until it is taken away.
pub struct Faulty<S> {
    inner: S,
    fault: Mutex<Option<(Operation, Fault)>>,
}

impl<S: Storage> Faulty<S> {
    /// Without a fault, for now.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            fault: Mutex::default(),
        }
    }

    /// From now on, this operation fails in this way; `None`: nothing fails any more.
    pub fn set(&self, fault: Option<(Operation, Fault)>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn fault(&self, operation: Operation) -> Option<Fault> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault
            .filter(|(failing, _)| *failing == operation)
            .map(|(_, fault)| fault)
    }

    fn fails(
        &self,
        operation: Operation,
        done: impl FnOnce() -> Result<(), Error>,
        in_part: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.fault(operation) {
            None => return done(),
            Some(Fault::UnknownDone) => done()?,
            Some(Fault::InPart) => in_part()?,
            Some(Fault::NotDone | Fault::UnknownNotDone) => {}
        }
        Err(injected(operation))
    }
}

fn injected(operation: Operation) -> Error {
    let cause = io::Error::other("this fault was injected by a test");
    let action = match operation {
        Operation::Commit => "commit",
        Operation::Put => "put",
        Operation::Replace => "replace",
        Operation::Get => "get",
        Operation::Forget => "forget",
    };
    Error::io(action, Path::new("the storage"), cause)
}

impl<S: Storage> Storage for Faulty<S> {
    fn commit(&self, number: u64, record: &[u8]) -> Result<(), CommitError> {
        let error = injected(Operation::Commit);
        match self.fault(Operation::Commit) {
            None => self.inner.commit(number, record),
            Some(Fault::NotDone) => Err(CommitError::NotWritten(error)),
            Some(Fault::UnknownNotDone) => Err(CommitError::Unknown(error)),
            Some(Fault::UnknownDone | Fault::InPart) => {
                self.inner.commit(number, record)?;
                Err(CommitError::Unknown(error))
            }
        }
    }

    fn replay(&self, from: u64, each: &mut EachRecord<'_>) -> Result<(), Error> {
        self.inner.replay(from, each)
    }

    fn forget(&self, before: u64) -> Result<(), Error> {
        let done = || self.inner.forget(before);
        self.fails(Operation::Forget, done, || Ok(()))
    }

    fn put(&self, objects: &[Object]) -> Result<(), Error> {
        let part = &objects[..objects.len().min(1)];
        let done = || self.inner.put(objects);
        self.fails(Operation::Put, done, || self.inner.put(part))
    }

    fn replace(&self, object: &Object) -> Result<(), Error> {
        let done = || self.inner.replace(object);
        self.fails(Operation::Replace, done, || Ok(()))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.fault(Operation::Get) {
            None => self.inner.get(name),
            Some(_) => Err(injected(Operation::Get)),
        }
    }

    fn place(&self, name: &str) -> String {
        self.inner.place(name)
    }
}
