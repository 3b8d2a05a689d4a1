//! `--verify-remotely`: the provider of a key is asked, too, about each signature that was found good here.
//!
//! Invariant: it only takes away. What was not verified here is not asked about, and what the provider does not call
//! good is not verified.

use sealmark_formats::bundle;
use sealmark_formats::{Digest, HashAlgorithm, dsse};
use sealmark_keys::{KeyType, Scheme};
use sealmark_kms::{Input, MAX_MESSAGE, RemoteKey};
use sealmark_sign::blob::FileBytes;
use sealmark_verify::artifact::Bytes as _;
use sealmark_verify::evidence::{Content, Evidence};
use sealmark_verify::report::{Attachment, Report};

use crate::error::{Error, VerificationExit};
use crate::input;
use crate::terminal::Terminal;

/// What is signed by a signature that is over the artifact itself.
pub(crate) enum Artifact<'a> {
    /// Known by its digest alone.
    Digest(&'a Digest),
    /// A file.
    File(FileBytes<'a>),
}

impl<'a> Artifact<'a> {
    /// Of what the user named.
    pub(crate) fn of(input: &'a input::Input) -> Self {
        match input {
            input::Input::File(path) => Self::File(FileBytes(path)),
            input::Input::Standard(file) => Self::File(FileBytes(file.path())),
            input::Input::Digest(digest) => Self::Digest(digest),
        }
    }

    fn digest(&self, hash: HashAlgorithm) -> Result<Digest, String> {
        match self {
            Self::Digest(digest) if digest.algorithm() == hash => Ok((*digest).clone()),
            Self::Digest(_) => Err(format!("its {hash} digest is needed, and not known")),
            Self::File(file) => file
                .digests(&[hash])?
                .pop()
                .ok_or_else(|| "no digest was made".to_owned()),
        }
    }

    /// All of it, if it is not more than can be sent.
    fn bytes(&self) -> Result<Vec<u8>, String> {
        let Self::File(file) = self else {
            return Err("Ed25519 signs the data itself, and only its digest is known".to_owned());
        };
        let mut bytes = Vec::new();
        file.read(&mut |piece| {
            if bytes.len() <= MAX_MESSAGE {
                bytes.extend_from_slice(piece);
            }
        })?;
        match bytes.len() > MAX_MESSAGE {
            true => Err("it is too large to be sent to the provider".to_owned()),
            false => Ok(bytes),
        }
    }
}

/// Asks the providers of these keys about the signatures that were accepted as theirs.
pub(crate) async fn check(
    keys: &[RemoteKey],
    evidence: &[Evidence],
    report: &Report,
    artifact: &Artifact<'_>,
    terminal: &Terminal,
) -> Result<(), Error> {
    if keys.is_empty() {
        return Err(Error::Usage(
            "--verify-remotely: none of the keys is in a provider that could be asked, such as AWS KMS".to_owned(),
        ));
    }
    for demand in &report.demands {
        // There is one attachment for each evidence, in their order.
        for (attachment, evidence) in demand.attachments.iter().zip(evidence) {
            let Some(key) = signer(keys, attachment) else {
                continue;
            };
            let name = &key.name;
            let place = &evidence.source.location;
            if !ask(key, &evidence.content, artifact, place).await? {
                return Err(Error::Verification {
                    exit: VerificationExit::NoMatch,
                    message: format!(
                        "the provider of {name} does not call the signature in {place} one of this key, though the \
                         public key that it gave verifies it: do not trust either"
                    ),
                });
            }
            terminal.note(format!("the provider of {name} verified it, too"));
        }
    }
    Ok(())
}

fn signer<'a>(keys: &'a [RemoteKey], attachment: &Attachment) -> Option<&'a RemoteKey> {
    if !attachment.accepted {
        return None;
    }
    let id = attachment.signer.as_ref()?.key_id.as_ref()?;
    keys.iter().find(|key| key.public.id().to_string() == *id)
}

/// Asks about one signature.
async fn ask(
    key: &RemoteKey,
    content: &Content,
    artifact: &Artifact<'_>,
    place: &str,
) -> Result<bool, Error> {
    let failed = |reason: String| {
        Error::NotSupported(format!(
            "--verify-remotely: {} cannot be asked about {place}: {reason}",
            key.name
        ))
    };
    let in_envelope = |envelope: dsse::Envelope| {
        let message = envelope.pae();
        let signatures = envelope.signatures.into_iter().map(|s| s.sig).collect();
        (Some(message), signatures)
    };
    let (message, signatures): (Option<Vec<u8>>, Vec<Vec<u8>>) = match content {
        Content::Bundle(bundle) => match &bundle.content {
            bundle::Content::MessageSignature(message) => (None, vec![message.signature.clone()]),
            bundle::Content::Dsse(envelope) => in_envelope(envelope.clone()),
        },
        Content::Envelope(detached) => match dsse::Envelope::parse(&detached.payload) {
            Ok(envelope) => in_envelope(envelope),
            Err(error) => return Err(failed(error.to_string())),
        },
        Content::SimpleSigning(detached) => (
            Some(detached.payload.clone()),
            vec![detached.signature.clone()],
        ),
        Content::Blob(detached) => (None, vec![detached.signature.clone()]),
        Content::Unreadable(reason) => return Err(failed(reason.clone())),
    };
    for signature in &signatures {
        let (scheme, input) = match &message {
            Some(message) => match key.public.verify(message, signature) {
                Ok(scheme) => (scheme, Signed::of(scheme, message)),
                // An envelope may have signatures of others, too.
                Err(_) => continue,
            },
            None => over_artifact(key, artifact, signature).map_err(failed)?,
        };
        return Ok(key
            .service
            .verify(scheme, input.as_input(), signature)
            .await?);
    }
    Err(failed(
        "none of its signatures is one of this key".to_owned(),
    ))
}

/// What is sent.
enum Signed {
    Digest(Digest),
    Message(Vec<u8>),
}

impl Signed {
    fn of(scheme: Scheme, message: &[u8]) -> Self {
        match scheme.hash() {
            Some(hash) => Self::Digest(Digest::of(hash, message)),
            None => Self::Message(message.to_vec()),
        }
    }

    fn as_input(&self) -> Input<'_> {
        match self {
            Self::Digest(digest) => Input::Digest(digest),
            Self::Message(message) => Input::Message(message),
        }
    }
}

/// In which scheme the artifact itself was signed.
fn over_artifact(
    key: &RemoteKey,
    artifact: &Artifact<'_>,
    signature: &[u8],
) -> Result<(Scheme, Signed), String> {
    if key.public.key_type() == KeyType::Ed25519 {
        let bytes = artifact.bytes()?;
        let scheme = key.public.verify(&bytes, signature);
        let scheme = scheme.map_err(|error| error.to_string())?;
        return Ok((scheme, Signed::of(scheme, &bytes)));
    }
    let mut last = "it has no scheme that is known".to_owned();
    let mut hashes: Vec<HashAlgorithm> = Vec::new();
    for scheme in key.public.key_type().schemes() {
        let Some(hash) = scheme.hash().filter(|hash| !hashes.contains(hash)) else {
            continue;
        };
        hashes.push(hash);
        let found = artifact.digest(hash).and_then(|digest| {
            let scheme = key.public.verify_digest(&digest, signature);
            scheme
                .map(|scheme| (scheme, Signed::Digest(digest)))
                .map_err(|error| error.to_string())
        });
        match found {
            Ok(found) => return Ok(found),
            Err(reason) => last = reason,
        }
    }
    Err(last)
}
