//! Signing a file, or data of which only the digest is known.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sealmark_formats::bundle::{self, Bundle, LogEntry, MessageSignature};
use sealmark_formats::{Digest, Hasher};
use sealmark_verify::artifact::Bytes;
use sealmark_verify::evidence::{Content, Detached, Evidence, Layout, Source};
use sealmark_verify::{Artifact, Kind};

use crate::{Error, Sighting, Signatory, check, log};

/// How much of a file is in memory at a time.
const PIECE: usize = 256 * 1024;

/// A signed file.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The file's digest by the key's own hash.
    pub digest: Digest,
    /// The signature over the file's bytes.
    pub signature: Vec<u8>,
    /// The signature as a bundle, JSON.
    pub bundle: Vec<u8>,
    /// The log entries in it.
    pub log_entries: Vec<LogEntry>,
    /// The timestamps in it: RFC 3161 replies, DER.
    pub timestamps: Vec<Vec<u8>>,
    /// Who else has seen the signature.
    pub seen: Vec<Sighting>,
    /// The certificate or the public key that it verifies with, PEM.
    pub verifier_pem: String,
}

/// A file whose bytes can be read again and again.
pub struct FileBytes<'a>(pub &'a Path);

impl Bytes for FileBytes<'_> {
    fn read(&self, sink: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let error = |cause| format!("cannot read {}: {cause}", self.0.display());
        let mut file = File::open(self.0).map_err(error)?;
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece).map_err(error)? {
                0 => return Ok(()),
                count => sink(&piece[..count]),
            }
        }
    }
}

impl FileBytes<'_> {
    /// The file's digests by several algorithms, read once.
    ///
    /// # Errors
    /// A text that says what could not be read and why.
    pub fn digests(
        &self,
        algorithms: &[sealmark_formats::HashAlgorithm],
    ) -> Result<Vec<Digest>, String> {
        let mut hashers: Vec<_> = algorithms
            .iter()
            .map(|algorithm| Hasher::new(*algorithm))
            .collect();
        self.read(&mut |piece| hashers.iter_mut().for_each(|hasher| hasher.update(piece)))?;
        Ok(hashers.into_iter().map(Hasher::finish).collect())
    }
}

/// Signs a file in constant memory, whatever its size.
///
/// # Errors
/// If the file cannot be read, the key does not sign, or somebody who is to see the signature does not.
pub async fn sign_file(signatory: &Signatory, path: &Path) -> Result<Signed, Error> {
    let (signature, digest) = signatory.signer().sign_file(path).await?;
    let bytes = FileBytes(path);
    let what = path.display().to_string();
    finish(signatory, signature, digest, Some(&bytes), &what).await
}

/// Signs data of which only the digest is known.
///
/// # Errors
/// If the digest is not of the key's own hash algorithm, the key signs no digests (Ed25519), or somebody who is to see
/// the signature does not.
pub async fn sign_digest(signatory: &Signatory, digest: &Digest) -> Result<Signed, Error> {
    let signature = signatory.signer().sign_digest(digest).await?;
    let what = digest.to_string();
    finish(signatory, signature, digest.clone(), None, &what).await
}

async fn finish(
    signatory: &Signatory,
    signature: Vec<u8>,
    digest: Digest,
    bytes: Option<&FileBytes<'_>>,
    what: &str,
) -> Result<Signed, Error> {
    // A large file may have taken longer to read than the certificate is good.
    let signatory = &signatory.current().await?;
    let message = MessageSignature {
        digest: Some(digest.clone()),
        signature: signature.clone(),
    };
    let witnessed = signatory
        .witness(log::Signed::Data {
            digest: &digest,
            signature: &signature,
            key: signatory.signer().public_key().key_type(),
        })
        .await?;
    let content = bundle::Content::MessageSignature(message);
    let mut made = Bundle::new(signatory.material(), content);
    made.timestamps = witnessed.timestamps;
    made.log_entries = witnessed.log_entries;
    let bundle = made.to_json();
    let artifact = Artifact {
        digest: digest.clone(),
        more_digests: Vec::new(),
        bytes: bytes.map(|bytes| bytes as &dyn Bytes),
    };
    let content = Content::from_bundle(&bundle);
    let (seen, _) = check::fresh(signatory, Kind::BlobSignature, &artifact, content, what)?;
    Ok(Signed {
        digest,
        signature,
        bundle,
        log_entries: made.log_entries,
        timestamps: made.timestamps,
        seen,
        verifier_pem: signatory.verifier_pem(),
    })
}

/// The evidence of a signature in a file of its own.
pub fn detached(location: String, signature: Vec<u8>) -> Evidence {
    Evidence {
        source: Source {
            layout: Layout::File,
            manifest: None,
            location,
        },
        content: Content::Blob(Detached {
            signature,
            ..Detached::default()
        }),
    }
}
