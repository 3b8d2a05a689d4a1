//! The files that a repository hands out, where somebody else writes them: a folder.
//!
//! Invariant: what is published is what the folder had at one moment, as far as each file goes: who writes there should
//! rename files into it.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use super::{MAX_TARGET, MAX_TARGETS, Repository};
use crate::{Error, durable};

/// How often it is looked whether the folder has other files.
const LOOK: Duration = Duration::from_secs(3);

impl Repository {
    /// Makes the files of a folder the targets, by their names; those that begin with a dot are none. `false` if they
    /// were already.
    ///
    /// # Errors
    /// If there are none, if one cannot be read, and as [`publish`](Self::publish).
    pub fn publish_folder(&self, folder: &Path) -> Result<bool, Error> {
        self.publish(&read(folder)?)
    }

    /// Publishes the folder whenever it changes, until `shutdown`. What goes wrong is logged, once, and what was
    /// published stays.
    pub async fn follow_folder(self, folder: &Path, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut said = None;
        loop {
            let tick = std::pin::pin!(tokio::time::sleep(LOOK));
            if let futures_util::future::Either::Left(_) =
                futures_util::future::select(&mut shutdown, tick).await
            {
                return;
            }
            let (again, from) = (self.clone(), folder.to_owned());
            let done = tokio::task::spawn_blocking(move || again.publish_folder(&from)).await;
            let problem = match done {
                Ok(Ok(changed)) => {
                    if changed {
                        tracing::info!("TUF repository: {} was published", folder.display());
                    }
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = &problem
                && said.as_ref() != Some(problem)
            {
                tracing::error!("TUF repository: what was published stays: {problem}");
            }
            said = problem;
        }
    }
}

fn read(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut names = durable::list(folder)?;
    names.retain(|name| !name.starts_with('.') && folder.join(name).is_file());
    names.sort();
    if names.is_empty() {
        return Err(super::Error::NoTargets(folder.to_owned()).into());
    }
    let mut targets = Vec::new();
    // One more than there may be is refused by who publishes them.
    for name in names.into_iter().take(MAX_TARGETS + 1) {
        let path = folder.join(&name);
        let length = std::fs::metadata(&path)
            .map_err(Error::io("read", &path))?
            .len();
        if length > MAX_TARGET as u64 {
            let problem = format!("clients read at most {MAX_TARGET} bytes, it has {length}");
            return Err(super::Error::Target { name, problem }.into());
        }
        let content = durable::read(&path)?;
        targets.extend(content.map(|content| (name, content)));
    }
    Ok(targets)
}
