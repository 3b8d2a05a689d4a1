//! What attachments hold: each blob fetched once, and read by each attachment as its own manifest describes it.
//!
//! Invariant: who may push cannot hide what others attached. A descriptor's size and compression are about its own
//! attachment, also where another names the same blob; what does not fit is missing alone, and says so. All that is
//! held at once is within [`MAX_ATTACHED`], but for the one blob that is being read. Whatever is not an attachment's
//! own fault is the error of the whole.

use std::collections::HashMap;
use std::io::Read as _;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use sealmark_formats::Digest;
use sealmark_verify::Evidence;
use sealmark_verify::evidence::{self, Content};

use super::{Found, MAX_ATTACHED, PARALLEL, Source, own_fault};
use crate::error::Error;
use crate::manifest::{Descriptor, holds_bundle};

/// Bytes that are unpacked for one artifact, with those that are thrown away. It bounds the time, not the memory:
/// a thousand small bombs would take minutes.
const MAX_UNPACKED: u64 = 4 << 30;

/// The bounds, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// One attachment, also unpacked.
    one: u64,
    /// All that are held.
    together: u64,
    /// All that is unpacked.
    unpacked: u64,
}

impl Limits {
    pub(super) fn of(source: &Source) -> Self {
        Self {
            one: source.max_attachment(),
            together: MAX_ATTACHED,
            unpacked: MAX_UNPACKED,
        }
    }
}

/// A blob that attachments name.
struct Wanted {
    digest: Digest,
    /// Which ones, by their place in the list.
    by: Vec<usize>,
    /// The smallest and the largest size that they say it has: the order, and the bound of the download.
    least: u64,
    most: u64,
}

/// Bytes, or why they are not there.
type Bytes = Result<Vec<u8>, String>;

/// Reads what was found, in that order.
///
/// # Errors
/// What the registry refuses or fails with, except about a single attachment.
pub(super) async fn read(
    source: &Source,
    found: Vec<Found>,
    limits: Limits,
) -> Result<Vec<Evidence>, Error> {
    let wanted = wanted(&found, limits.one);
    let (fetched, left) = fetch(source, &wanted, limits.together).await?;
    let mut reader = Reader { limits, left };
    let mut contents: HashMap<usize, Content> = HashMap::new();
    for (blob, bytes) in wanted.iter().zip(fetched) {
        let layers = blob.by.iter().filter_map(|at| {
            let layer = found.get(*at)?.layer.as_ref().ok()?;
            Some((*at, layer))
        });
        reader.read(&blob.digest, bytes, layers, &mut contents);
    }
    let evidence = found.into_iter().enumerate().map(|(at, found)| {
        let content = match (found.layer, contents.remove(&at)) {
            (Err(reason), _) => Content::Unreadable(reason),
            (Ok(_), Some(content)) => content,
            // Only what is said to be too large is not asked for.
            (Ok(layer), None) => Content::Unreadable(too_large(
                format!("attachment {}", layer.digest),
                limits.one,
            )),
        };
        Evidence {
            source: evidence::Source {
                layout: found.layout,
                location: source.location(&found.manifest),
                manifest: Some(found.manifest),
            },
            content,
        }
    });
    Ok(evidence.collect())
}

/// The blobs, each once, the smallest first: large ones of others cannot take the place of small ones.
fn wanted(found: &[Found], limit: u64) -> Vec<Wanted> {
    let mut places: HashMap<&Digest, usize> = HashMap::new();
    let mut wanted: Vec<Wanted> = Vec::new();
    for (at, found) in found.iter().enumerate() {
        let Some(layer) = found.layer.as_ref().ok().filter(|one| one.size <= limit) else {
            continue;
        };
        let place = *places.entry(&layer.digest).or_insert(wanted.len());
        match wanted.get_mut(place) {
            Some(blob) => {
                blob.by.push(at);
                blob.least = blob.least.min(layer.size);
                blob.most = blob.most.max(layer.size);
            }
            None => wanted.push(Wanted {
                digest: layer.digest.clone(),
                by: vec![at],
                least: layer.size,
                most: layer.size,
            }),
        }
    }
    wanted.sort_by_key(|blob| blob.least);
    wanted
}

/// The bytes of each blob, and what is left of `together`.
///
/// A running download has as much set aside as it may get, and gives back what it did not need. One for which there
/// is not as much waits for those before it, so that what fits does not depend on which of them is faster.
async fn fetch(
    source: &Source,
    wanted: &[Wanted],
    together: u64,
) -> Result<(Vec<Bytes>, u64), Error> {
    let mut left = together;
    let mut fetched: Vec<Bytes> = Vec::new();
    fetched.resize_with(wanted.len(), || Err("its blob was not read".to_owned()));
    let mut waiting = wanted.iter().zip(0_usize..).peekable();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < PARALLEL
            && let Some((blob, at)) =
                waiting.next_if(|(blob, _)| blob.most <= left || running.is_empty())
        {
            if blob.least > left {
                fetched[at] = Err(no_room(&blob.digest, together));
                continue;
            }
            let bound = blob.most.min(left);
            left -= bound;
            running.push(async move { (blob, at, bound, source.blob(&blob.digest, bound).await) });
        }
        let Some((blob, at, bound, bytes)) = running.next().await else {
            return Ok((fetched, left));
        };
        let bytes = match bytes {
            Ok(bytes) => Ok(bytes),
            Err(Error::TooLarge { .. }) if bound < blob.most => {
                Err(no_room(&blob.digest, together))
            }
            Err(error) => Err(own_fault(error)?),
        };
        let held = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        left += bound.saturating_sub(held);
        fetched[at] = bytes;
    }
}

struct Reader {
    limits: Limits,
    /// What is left of the bytes that may be held.
    left: u64,
}

impl Reader {
    /// Reads one blob for each attachment that has it. It is unpacked once.
    fn read<'a>(
        &mut self,
        digest: &Digest,
        bytes: Bytes,
        layers: impl Iterator<Item = (usize, &'a Descriptor)>,
        contents: &mut HashMap<usize, Content>,
    ) {
        let mut unpacked = None;
        // The blob itself goes; each attachment that can be read holds a copy.
        let size = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.left += size;
        for (at, layer) in layers {
            let content = match &bytes {
                Err(reason) => Content::Unreadable(reason.clone()),
                Ok(_) if layer.size != size => Content::Unreadable(format!(
                    "its manifest says that the blob {digest} has {} bytes, and it has {size}",
                    layer.size
                )),
                Ok(bytes) => match packed(&layer.media_type) {
                    None => self.keep(layer, &layer.media_type, bytes),
                    Some(media_type) => {
                        match unpacked.get_or_insert_with(|| self.unpack(digest, bytes)) {
                            Ok(bytes) => self.keep(layer, media_type, bytes),
                            Err(reason) => Content::Unreadable(reason.clone()),
                        }
                    }
                },
            };
            contents.insert(at, content);
        }
    }

    fn keep(&mut self, layer: &Descriptor, media_type: &str, bytes: &[u8]) -> Content {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            return Content::Unreadable(no_room(&layer.digest, self.limits.together));
        };
        let content = if holds_bundle(media_type) {
            Content::from_bundle(bytes)
        } else {
            Content::from_legacy_layer(media_type, bytes.to_vec(), &layer.annotations)
        };
        // What cannot be read is not held.
        if !matches!(content, Content::Unreadable(_)) {
            self.left = left;
        }
        content
    }

    /// A few kilobytes can unpack to terabytes.
    fn unpack(&mut self, digest: &Digest, bytes: &[u8]) -> Bytes {
        let bound = self.limits.one.min(self.limits.unpacked);
        let mut plain = Vec::new();
        let result = flate2::read::MultiGzDecoder::new(bytes)
            .take(bound.saturating_add(1))
            .read_to_end(&mut plain);
        let size = plain.len() as u64;
        self.limits.unpacked = self.limits.unpacked.saturating_sub(size);
        let what = format!("attachment {digest}");
        match result {
            Err(error) => {
                Err(Error::malformed(what, format!("it is not gzip: {error}")).to_string())
            }
            Ok(_) if size <= bound => Ok(plain),
            Ok(_) if bound < self.limits.one => Err(format!(
                "{what} is not unpacked: what is attached to one artifact unpacks to too much"
            )),
            Ok(_) => Err(too_large(format!("{what}, unpacked,"), bound)),
        }
    }
}

fn no_room(digest: &Digest, together: u64) -> String {
    format!(
        "attachment {digest} does not fit into the {together} bytes that all attachments of one artifact may have \
         together; it is not read further"
    )
}

fn too_large(what: String, limit: u64) -> String {
    Error::TooLarge { what, limit }.to_string()
}

/// The media type of what is inside, if it is compressed.
fn packed(media_type: &str) -> Option<&str> {
    let inner = media_type
        .trim_end_matches("+gzip")
        .trim_end_matches(".gzip");
    (inner.len() < media_type.len()).then_some(inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use sealmark_formats::legacy::SIMPLE_SIGNING_MEDIA_TYPE as SIGNING;

    use super::*;
    use crate::layout::Layout;

    const GZIP: &str = "application/vnd.dev.cosign.simplesigning.v1+json+gzip";

    /// A blob as its attachment describes it: media type, content, and the size that is said.
    type Blob = (&'static str, Vec<u8>, u64);

    /// Zeros, compressed.
    fn packed(size: usize) -> Blob {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; size]).unwrap();
        let bytes = encoder.finish().unwrap();
        let size = bytes.len() as u64;
        (GZIP, bytes, size)
    }

    /// What is read of each.
    async fn outcome(limits: Limits, blobs: &[Blob]) -> Vec<&'static str> {
        let dir = tempfile::tempdir().unwrap();
        let stored = dir.path().join("blobs/sha256");
        std::fs::create_dir_all(&stored).unwrap();
        let version = r#"{"imageLayoutVersion":"1.0.0"}"#;
        std::fs::write(dir.path().join("oci-layout"), version).unwrap();
        let found = blobs.iter().map(|(media_type, bytes, declared)| {
            let digest = Digest::sha256(bytes);
            std::fs::write(stored.join(&*digest.hex()), bytes).unwrap();
            let mut layer = Descriptor::new(*media_type, digest.clone(), *declared);
            let name = sealmark_formats::legacy::SIGNATURE_ANNOTATION.to_owned();
            layer.annotations.insert(name, "c2ln".to_owned());
            Found {
                layout: evidence::Layout::LegacySignature,
                manifest: digest,
                layer: Ok(layer),
            }
        });
        let found = found.collect();
        let source = Source::Layout(Layout::open(dir.path()).unwrap());
        let evidence = read(&source, found, limits).await.unwrap();
        let outcomes = evidence.iter().map(|one| match &one.content {
            Content::Unreadable(reason) => {
                [
                    ("does not fit into", "no room"),
                    ("its manifest says", "lie"),
                    ("it is not gzip", "not gzip"),
                    ("unpacks to too much", "work"),
                    ("unpacked, is larger than", "bomb"),
                    ("larger than", "large"),
                ]
                .into_iter()
                .find(|(text, _)| reason.contains(text))
                .unwrap_or(("", "other"))
                .1
            }
            _ => "read",
        });
        outcomes.collect()
    }

    #[tokio::test]
    async fn the_budget_is_charged_with_what_is_held() {
        let limits = Limits {
            one: 400,
            together: 1000,
            unpacked: 1_000_000,
        };
        let blob = |n: u8, size: usize| (SIGNING, vec![n; size], size as u64);
        let lie = |n: u8, declared: u64| (SIGNING, vec![n; 2], declared);
        let cases: Vec<(&str, Vec<Blob>, Vec<&str>)> = vec![
            (
                "all of it",
                vec![blob(1, 400), blob(2, 400), blob(3, 200)],
                vec!["read"; 3],
            ),
            (
                "one byte more: the largest is left out",
                vec![blob(1, 400), blob(2, 400), blob(3, 201)],
                vec!["read", "no room", "read"],
            ),
            (
                "each attachment holds a copy",
                vec![blob(1, 300); 4],
                vec!["read", "read", "read", "no room"],
            ),
            (
                "what is declared is not held",
                vec![
                    lie(1, 400),
                    lie(2, 400),
                    lie(3, 400),
                    lie(4, 300),
                    blob(5, 400),
                    blob(6, 400),
                ],
                vec!["lie", "lie", "lie", "lie", "read", "read"],
            ),
            (
                "a lie that would be larger than all",
                vec![lie(1, u64::MAX), blob(2, 2)],
                vec!["large", "read"],
            ),
            (
                "a smaller lie",
                vec![(SIGNING, vec![1; 300], 299), blob(2, 2)],
                vec!["large", "read"],
            ),
            (
                "what failed to unpack is given back",
                vec![
                    packed(501),
                    packed(502),
                    packed(503),
                    packed(400),
                    (GZIP, vec![1; 9], 9),
                    blob(6, 400),
                ],
                vec!["bomb", "bomb", "bomb", "read", "not gzip", "read"],
            ),
            (
                "what is unpacked is held, beside what came already",
                vec![packed(399), packed(400), blob(6, 300)],
                vec!["read", "no room", "read"],
            ),
        ];
        for (what, blobs, expected) in cases {
            assert_eq!(outcome(limits, &blobs).await, expected, "{what}");
        }
    }

    #[tokio::test]
    async fn unpacking_ends_however_many_bombs_there_are() {
        let limits = Limits {
            one: 400,
            together: 100_000,
            unpacked: 1000,
        };
        let mut blobs = vec![packed(100), (SIGNING, vec![1; 300], 300)];
        blobs.extend((0..5).map(|n| packed(5000 + n * 5000)));
        let got = outcome(limits, &blobs).await;
        assert_eq!(
            got,
            ["read", "read", "bomb", "bomb", "work", "work", "work"]
        );
        // One blob that many name is unpacked once.
        let got = outcome(limits, &vec![packed(100); 50]).await;
        assert_eq!(got, ["read"; 50]);
    }
}
