//! Who signs a tree's checkpoints.

use sealmark_tlog::{Checkpoint, Note, NoteSigner};

/// Signs the checkpoints of a tree, and knows them again.
pub trait CheckpointSigner: Send + Sync + 'static {
    /// The origin line of the tree's checkpoints.
    fn origin(&self) -> &str;

    /// The checkpoint as a signed note. `time_ms` is the time of its newest entry.
    ///
    /// # Errors
    /// What went wrong, for people.
    fn sign(&self, checkpoint: &Checkpoint, time_ms: u64) -> Result<String, String>;

    /// The checkpoint in a signed note, if this signer made it.
    ///
    /// # Errors
    /// Why it is not one of this signer's.
    fn open(&self, note: &str) -> Result<Checkpoint, String>;
}

/// Keys in memory. The first one decides whether a stored checkpoint is of this log.
#[derive(Debug)]
pub struct LocalSigner {
    origin: String,
    signers: Vec<NoteSigner>,
}

impl LocalSigner {
    /// A signer with these keys, at least one; for a Rekor v1 exactly one, for its clients refuse any other line.
    pub fn new(origin: &str, first: NoteSigner, others: Vec<NoteSigner>) -> Self {
        let mut signers = vec![first];
        signers.extend(others);
        Self {
            origin: origin.to_owned(),
            signers,
        }
    }
}

impl CheckpointSigner for LocalSigner {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn sign(&self, checkpoint: &Checkpoint, time_ms: u64) -> Result<String, String> {
        let note = checkpoint.sign(time_ms / 1000, &self.signers);
        note.map(|note| note.to_string())
            .map_err(|error| error.to_string())
    }

    fn open(&self, note: &str) -> Result<Checkpoint, String> {
        let open = || {
            let key = self.signers[0].public_key();
            let note = Note::parse(note)?;
            note.verify_by(Some(self.signers[0].name()), key)?;
            Checkpoint::parse(&note.text)
        };
        let checkpoint = open().map_err(|error: sealmark_tlog::Error| error.to_string())?;
        match checkpoint.origin == self.origin {
            true => Ok(checkpoint),
            false => Err(format!(
                "it is of the log {:?}, not of {:?}",
                checkpoint.origin, self.origin
            )),
        }
    }
}

impl<S: CheckpointSigner + ?Sized> CheckpointSigner for std::sync::Arc<S> {
    fn origin(&self) -> &str {
        (**self).origin()
    }

    fn sign(&self, checkpoint: &Checkpoint, time_ms: u64) -> Result<String, String> {
        (**self).sign(checkpoint, time_ms)
    }

    fn open(&self, note: &str) -> Result<Checkpoint, String> {
        (**self).open(note)
    }
}
