//! The feed of revocations of an instance: a file beside its others, which its TUF repository publishes.
//!
//! Invariant: the file is replaced as a whole, by one writer at a time, so that it is a feed at every moment, also after
//! a crash; a process that serves publishes what it finds there, and never what is none.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use sealmark_formats::revocation_feed::{FEED_TARGET, Feed};

use crate::tuf::Repository;
use crate::{Error, durable};

/// Who may write. The dot keeps it out of the targets, should the directory be the folder of a TUF repository.
const LOCK: &str = ".revocations.lock";
/// How often it is looked whether there are others.
const LOOK: Duration = Duration::from_secs(3);

/// The feed in `directory`; one without revocations if there is none.
///
/// # Errors
/// If it cannot be read, or is none.
pub fn feed(directory: &Path) -> Result<Feed, Error> {
    let path = directory.join(FEED_TARGET);
    let Some(json) = durable::read(&path)? else {
        return Ok(Feed::default());
    };
    let wrong = |error| Error::Impossible(format!("{}: {error}", path.display()));
    Feed::parse(&json).map_err(wrong)
}

/// Replaces the feed in `directory` by what `change` makes of it, durably. A process that serves the directory publishes
/// it within seconds.
///
/// # Errors
/// If somebody else is about to, if the file cannot be read or written, and what `change` says.
pub fn change_feed<E: From<Error>>(
    directory: &Path,
    change: impl FnOnce(Feed) -> Result<Feed, E>,
) -> Result<(), E> {
    let _lock = durable::lock(&directory.join(LOCK))?;
    let feed = change(feed(directory)?)?;
    Ok(durable::write(
        &directory.join(FEED_TARGET),
        &feed.to_json(),
        directory,
    )?)
}

/// Publishes the feed in `directory` whenever it changes, until `shutdown`. What goes wrong is logged, once, and what was
/// published stays.
pub async fn follow_feed(tuf: Repository, directory: &Path, shutdown: impl Future<Output = ()>) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut said = None;
    loop {
        let tick = std::pin::pin!(tokio::time::sleep(LOOK));
        if let futures_util::future::Either::Left(_) =
            futures_util::future::select(&mut shutdown, tick).await
        {
            return;
        }
        let (tuf, from) = (tuf.clone(), directory.to_owned());
        let publish = move || {
            let json = feed(&from)?.to_json();
            tuf.publish_also(FEED_TARGET, &json)
        };
        let problem = match tokio::task::spawn_blocking(publish).await {
            Ok(Ok(changed)) => {
                if changed {
                    tracing::info!("TUF repository: the feed of revocations was published");
                }
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = &problem
            && said.as_ref() != Some(problem)
        {
            tracing::error!("the feed that was published stays: {problem}");
        }
        said = problem;
    }
}
