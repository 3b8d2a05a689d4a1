//! The indexer: the thread that writes the search index to its files and merges them.
//!
//! A merge of a large log's index takes seconds, which neither the journal nor the tiles wait for. New entries are in
//! the index already, in memory.

use super::writer::RETRY_AFTER;
use super::{Engine, lock, read};
use crate::Error;

/// Works until the log is closed. What is not written then is made again at the next start.
pub(crate) fn run(engine: &Engine) {
    while !engine.index_bell.wait(None).closed {
        let result = tidy(engine);
        if let Err(error) = &result {
            tracing::error!(%error, "could not write the search index; it is tried again");
        }
        let failed = result.is_err();
        *lock(&engine.index_trouble) = result.err();
        if failed {
            engine.index_bell.pause(RETRY_AFTER);
            // Again, whether anything new comes or not.
            engine.index_bell.ring();
        }
    }
}

fn tidy(engine: &Engine) -> Result<(), Error> {
    engine.all_trees().iter().try_for_each(|tree| {
        let root_at = |size| read::root_at(&*engine.storage, tree, size).map(Some);
        tree.index.tidy(root_at)
    })
}
