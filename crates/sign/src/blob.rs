//! Signing a file, or data of which only the digest is known.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sealmark_formats::bundle::{self, Bundle, Material, MessageSignature};
use sealmark_formats::{Digest, Hasher};
use sealmark_kms::Signer;
use sealmark_verify::artifact::Bytes;
use sealmark_verify::evidence::{Content, Detached, Evidence, Layout, Source};
use sealmark_verify::{Artifact, Kind};

use crate::{Error, check};

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
/// If the file cannot be read or the key does not sign.
pub async fn sign_file(signer: &Signer, path: &Path) -> Result<Signed, Error> {
    let (signature, digest) = signer.sign_file(path).await?;
    let bytes = FileBytes(path);
    finish(
        signer,
        signature,
        digest,
        Some(&bytes),
        &path.display().to_string(),
    )
}

/// Signs data of which only the digest is known.
///
/// # Errors
/// If the digest is not of the key's own hash algorithm, or the key signs no digests (Ed25519).
pub async fn sign_digest(signer: &Signer, digest: &Digest) -> Result<Signed, Error> {
    let signature = signer.sign_digest(digest).await?;
    finish(signer, signature, digest.clone(), None, &digest.to_string())
}

fn finish(
    signer: &Signer,
    signature: Vec<u8>,
    digest: Digest,
    bytes: Option<&FileBytes<'_>>,
    what: &str,
) -> Result<Signed, Error> {
    let message = MessageSignature {
        digest: Some(digest.clone()),
        signature: signature.clone(),
    };
    let hint = signer.public_key().id().hint();
    let bundle = Bundle::new(
        Material::PublicKey { hint },
        bundle::Content::MessageSignature(message),
    )
    .to_json();
    let artifact = Artifact {
        digest: digest.clone(),
        more_digests: Vec::new(),
        bytes: bytes.map(|bytes| bytes as &dyn Bytes),
    };
    let content = Content::from_bundle(&bundle);
    check::fresh(signer, Kind::BlobSignature, &artifact, content, what)?;
    Ok(Signed {
        digest,
        signature,
        bundle,
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
