//! Signs checkpoints as static-ct-api wants them: the signature is that of RFC 6962's tree head, and has its time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::digest::sha256;
use sealmark_keys::{PrivateKey, Scheme};
use sealmark_log::CheckpointSigner;
use sealmark_tlog::{Checkpoint, Note};

/// The type of a note's signature that is an RFC 6962 `TreeHeadSignature`.
const SIGNATURE_TYPE: u8 = 5;
/// `hash` and `signature` of a `digitally-signed` struct: SHA-256, ECDSA (RFC 5246, section 7.4.1.4.1).
const SHA256_ECDSA: [u8; 2] = [4, 3];

/// The key of a CT log, which must be of the kind ECDSA P-256: clients know no other.
pub struct CtSigner {
    origin: String,
    key: PrivateKey,
}

impl CtSigner {
    /// A signer of the log with this origin: its URL without the scheme.
    pub fn new(origin: &str, key: PrivateKey) -> Self {
        Self {
            origin: origin.to_owned(),
            key,
        }
    }

    /// The key's id in notes: it covers the log's id.
    fn key_id(&self) -> [u8; 4] {
        let mut text = self.origin.as_bytes().to_vec();
        text.extend([b'\n', SIGNATURE_TYPE]);
        text.extend(super::log_id(&self.key));
        let [a, b, c, d, ..] = sha256(&text);
        [a, b, c, d]
    }
}

/// The tree head as it is signed (RFC 6962, section 3.5).
fn tree_head(checkpoint: &Checkpoint, time_ms: u64) -> Vec<u8> {
    let mut head = vec![0, 1];
    head.extend(time_ms.to_be_bytes());
    head.extend(checkpoint.size.to_be_bytes());
    head.extend(checkpoint.root.bytes());
    head
}

/// Time, and `digitally-signed` struct, of the signature in a checkpoint of this log.
pub(super) fn signed_tree_head(note: &str) -> Option<(u64, Vec<u8>)> {
    let (_, line) = note.trim_end().rsplit_once('\n')?;
    let signature = STANDARD.decode(line.rsplit_once(' ')?.1).ok()?;
    let (time, signature) = signature.get(4..)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*time), signature.to_vec()))
}

impl CheckpointSigner for CtSigner {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn sign(&self, checkpoint: &Checkpoint, time_ms: u64) -> Result<String, String> {
        let signature = self.key.sign(&tree_head(checkpoint, time_ms));
        let signature = signature.map_err(|error| error.to_string())?;
        let length = u16::try_from(signature.len()).map_err(|error| error.to_string())?;
        let mut bytes = self.key_id().to_vec();
        bytes.extend(time_ms.to_be_bytes());
        bytes.extend(SHA256_ECDSA);
        bytes.extend(length.to_be_bytes());
        bytes.extend(signature);
        Ok(format!(
            "{checkpoint}\n\u{2014} {} {}\n",
            self.origin,
            STANDARD.encode(bytes)
        ))
    }

    fn open(&self, text: &str) -> Result<Checkpoint, String> {
        let note = Note::parse(text).map_err(|error| error.to_string())?;
        let checkpoint = Checkpoint::parse(&note.text).map_err(|error| error.to_string())?;
        if checkpoint.origin != self.origin {
            return Err(format!(
                "it is of the log {:?}, not of {:?}",
                checkpoint.origin, self.origin
            ));
        }
        let signed = signed_tree_head(text).and_then(|(time, signature)| {
            let (_, signature) = signature.split_at_checked(4)?;
            let head = tree_head(&checkpoint, time);
            let key = self.key.public_key();
            key.verify_scheme(Scheme::EcdsaSha256, &head, signature)
                .ok()
        });
        signed
            .map(|()| checkpoint)
            .ok_or_else(|| "its signature is not by this log's key".to_owned())
    }
}
