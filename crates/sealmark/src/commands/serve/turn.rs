//! The moment at which keys that clients were told of in time come into use: the process ends in order and becomes a new
//! one, which opens the directory as any start does. So there is one way to turn to new keys, and it is tested by every
//! start.

use std::future::Future;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::super::operations::OperationFlags;
use crate::error::Error;
use crate::terminal::Terminal;

/// How long a sleep may be: the clock may be set while it lasts.
const NAP: Duration = Duration::from_secs(20);

/// When that is, and whether it has come.
pub(super) struct Turn {
    at: Option<i64>,
    has_come: Arc<AtomicBool>,
}

impl Turn {
    /// In seconds since 1970; `None` if nothing waits.
    pub(super) fn at(seconds: Option<u64>) -> Self {
        Self {
            at: seconds.and_then(|at| i64::try_from(at).ok()),
            has_come: Arc::default(),
        }
    }

    /// Ends when `stopped` does, or when the moment has come.
    pub(super) fn or(
        &self,
        stopped: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (at, has_come) = (self.at, self.has_come.clone());
        async move {
            tokio::select! {
                () = stopped => {}
                () = come(at) => has_come.store(true, Ordering::SeqCst),
            }
        }
    }

    /// Becomes the new process if the moment has come, with the same arguments and the same process id.
    pub(super) fn or_stop(
        &self,
        listen: &str,
        operation: &OperationFlags,
        terminal: &mut Terminal,
    ) -> Result<(), Error> {
        if !self.has_come.load(Ordering::SeqCst) {
            operation.note(terminal, "stopped");
            return Ok(());
        }
        if listen.ends_with(":0") {
            operation.note(
                terminal,
                "stopped: keys have waited for this moment, and a start uses them. With a port of its own (--listen) it would go on by itself",
            );
            return Ok(());
        }
        operation.note(
            terminal,
            "keys have waited for this moment: starting anew with them",
        );
        terminal.finish()?;
        let program = std::env::current_exe().map_err(|cause| Error::Runtime { cause })?;
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| program.clone().into());
        // Only returns if it fails.
        let cause = Command::new(program).arg0(name).args(arguments).exec();
        Err(Error::Runtime { cause })
    }
}

async fn come(at: Option<i64>) {
    let Some(at) = at else {
        return std::future::pending().await;
    };
    loop {
        let left = at.saturating_sub(Timestamp::now().as_second());
        match u64::try_from(left) {
            Ok(left) if left > 0 => tokio::time::sleep(Duration::from_secs(left).min(NAP)).await,
            _ => return,
        }
    }
}
