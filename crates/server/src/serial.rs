//! The numbers of certificates and timestamps.

use aws_lc_rs::rand;
use sealmark_x509::issue::IssueError;

/// 158 random bits: never zero, never negative, and always as long.
pub(crate) fn serial() -> Result<Vec<u8>, IssueError> {
    let mut bytes = [0; 20];
    rand::fill(&mut bytes)
        .map_err(|_| IssueError::Key("the system gave no randomness".to_owned()))?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(bytes.to_vec())
}
