//! What a log sends to a witness: a checkpoint, and the proof that the tree has only grown.
//!
//! Format: <https://c2sp.org/tlog-witness#add-checkpoint>. The witness' answer is lines of [`NoteSignature`]s.
//!
//! [`NoteSignature`]: crate::NoteSignature

use core::fmt;

use crate::note::MAX_NOTE;
use crate::{Error, Hash, checkpoint};

/// Hashes of a proof, at most. The format says so: trees of 2⁶³ leaves and more do not exist.
pub const MAX_PROOF_LINES: usize = 63;
/// Longer requests are refused, in bytes: the proof, and the longest note.
pub const MAX_REQUEST: usize = MAX_NOTE + 4096;

/// A request to `add-checkpoint`. It is displayed in its format.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddCheckpoint {
    /// The size that the witness has, as the sender believes.
    pub old_size: u64,
    /// The consistency proof from there; empty if `old_size` is 0.
    pub proof: Vec<Hash>,
    /// The signed checkpoint. It was not read yet.
    pub checkpoint: String,
}

impl AddCheckpoint {
    /// Parses a request.
    ///
    /// # Errors
    /// [`Error::AddCheckpoint`] if it is not `old SIZE`, at most [`MAX_PROOF_LINES`] hashes in base64, an empty line,
    /// and more.
    pub fn parse(request: &str) -> Result<Self, Error> {
        let error = Error::AddCheckpoint;
        if request.len() > MAX_REQUEST {
            return Err(error("it is too long"));
        }
        let (head, checkpoint) = request
            .split_once("\n\n")
            .ok_or_else(|| error("there is no empty line before a checkpoint"))?;
        let mut lines = head.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(checkpoint::parse_size)
            .ok_or_else(|| error("its first line is not \"old SIZE\""))?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_PROOF_LINES {
                return Err(error("its proof has more than 63 hashes"));
            }
            let hash = Hash::from_base64(line);
            proof.push(hash.ok_or_else(|| error("a line of its proof is not base64 of 32 bytes"))?);
        }
        Ok(Self {
            old_size,
            proof,
            checkpoint: checkpoint.to_owned(),
        })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        self.proof
            .iter()
            .try_for_each(|hash| writeln!(f, "{}", hash.to_base64()))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
