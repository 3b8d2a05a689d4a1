//! What a record of the journal says, and what a snapshot keeps of all records before it.

use std::sync::Arc;

use sealmark_formats::digest::sha256;
use sealmark_tlog::tile::LengthPrefix;

use crate::codec::{Put, Take};
use crate::entry::Record;

/// The version of both forms.
const VERSION: u8 = 2;

/// One step of one tree. A record has one or more.
#[derive(Debug)]
pub(crate) enum Change {
    /// A new tree; its number is the count of those before.
    Create {
        name: String,
        origin: String,
        prefix: LengthPrefix,
        checkpoint: String,
    },
    /// New leaves, from `first` on, and the checkpoint of the tree that has them.
    Append {
        tree: u32,
        first: u64,
        checkpoint: String,
        records: Vec<Arc<Record>>,
    },
    /// The tree takes no more leaves; its last checkpoint, of the same size.
    Freeze { tree: u32, checkpoint: String },
}

pub(crate) fn encode(changes: &[Change]) -> Vec<u8> {
    let weight = changes.iter().map(|change| match change {
        Change::Append { records, .. } => records.iter().map(|r| r.entry.weight()).sum(),
        _ => 1000,
    });
    let mut out = Vec::with_capacity(1000 + weight.sum::<usize>());
    out.put_u8(VERSION);
    out.put_u32(changes.len() as u32);
    for change in changes {
        encode_one(change, &mut out);
    }
    out
}

fn encode_one(change: &Change, out: &mut Vec<u8>) {
    match change {
        Change::Create {
            name,
            origin,
            prefix,
            checkpoint,
        } => {
            out.put_u8(b'C');
            out.put_bytes(name.as_bytes());
            out.put_bytes(origin.as_bytes());
            out.put_u8(prefix_byte(*prefix));
            out.put_bytes(checkpoint.as_bytes());
        }
        Change::Append {
            tree,
            first,
            checkpoint,
            records,
        } => {
            out.put_u8(b'A');
            out.put_u32(*tree);
            out.put_u64(*first);
            out.put_bytes(checkpoint.as_bytes());
            put_records(records, out);
        }
        Change::Freeze { tree, checkpoint } => {
            out.put_u8(b'F');
            out.put_u32(*tree);
            out.put_bytes(checkpoint.as_bytes());
        }
    }
}

/// `None` if the bytes are no record of this version.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Change>> {
    let mut from = Take(bytes);
    (from.u8()? == VERSION).then_some(())?;
    let count = from.u32()?;
    let changes: Option<Vec<Change>> = (0..count).map(|_| decode_one(&mut from)).collect();
    from.end(changes?)
}

fn decode_one(from: &mut Take<'_>) -> Option<Change> {
    Some(match from.u8()? {
        b'C' => Change::Create {
            name: from.text()?,
            origin: from.text()?,
            prefix: prefix(from.u8()?)?,
            checkpoint: from.text()?,
        },
        b'A' => Change::Append {
            tree: from.u32()?,
            first: from.u64()?,
            checkpoint: from.text()?,
            records: take_records(from)?,
        },
        b'F' => Change::Freeze {
            tree: from.u32()?,
            checkpoint: from.text()?,
        },
        _ => return None,
    })
}

/// All trees after one record.
pub(crate) struct Snapshot {
    /// The number of that record.
    pub(crate) record: u64,
    pub(crate) trees: Vec<TreeSnapshot>,
}

/// A tree in a snapshot. The entries before `written` are in bundles.
pub(crate) struct TreeSnapshot {
    pub(crate) name: String,
    pub(crate) origin: String,
    pub(crate) prefix: LengthPrefix,
    pub(crate) frozen: bool,
    pub(crate) last_time: u64,
    pub(crate) written: u64,
    pub(crate) checkpoint: String,
    pub(crate) tail: Vec<Arc<Record>>,
}

impl Snapshot {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u8(VERSION);
        out.put_u64(self.record);
        out.put_u32(self.trees.len() as u32);
        for tree in &self.trees {
            out.put_bytes(tree.name.as_bytes());
            out.put_bytes(tree.origin.as_bytes());
            out.put_u8(prefix_byte(tree.prefix));
            out.put_u8(u8::from(tree.frozen));
            out.put_u64(tree.last_time);
            out.put_u64(tree.written);
            out.put_bytes(tree.checkpoint.as_bytes());
            put_records(&tree.tail, &mut out);
        }
        let digest = sha256(&out);
        out.extend_from_slice(&digest);
        out
    }

    /// `None` if the bytes are not what was written.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, digest) = bytes.split_last_chunk::<32>()?;
        (sha256(bytes) == *digest).then_some(())?;
        let mut from = Take(bytes);
        (from.u8()? == VERSION).then_some(())?;
        let (record, count) = (from.u64()?, from.u32()?);
        let trees: Option<Vec<TreeSnapshot>> = (0..count)
            .map(|_| {
                Some(TreeSnapshot {
                    name: from.text()?,
                    origin: from.text()?,
                    prefix: prefix(from.u8()?)?,
                    frozen: from.u8()? != 0,
                    last_time: from.u64()?,
                    written: from.u64()?,
                    checkpoint: from.text()?,
                    tail: take_records(&mut from)?,
                })
            })
            .collect();
        let trees = trees?;
        from.end(Self { record, trees })
    }
}

fn put_records(records: &[Arc<Record>], out: &mut Vec<u8>) {
    out.put_u32(records.len() as u32);
    for record in records {
        record.encode(out);
    }
}

fn take_records(from: &mut Take<'_>) -> Option<Vec<Arc<Record>>> {
    let count = from.u32()?;
    (0..count).map(|_| Record::decode(from)).collect()
}

fn prefix_byte(prefix: LengthPrefix) -> u8 {
    match prefix {
        LengthPrefix::Two => 2,
        LengthPrefix::Four => 4,
    }
}

fn prefix(byte: u8) -> Option<LengthPrefix> {
    match byte {
        2 => Some(LengthPrefix::Two),
        4 => Some(LengthPrefix::Four),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Entry;
    use crate::entry::{decode_sides, encode_sides};

    fn record(leaf: Vec<u8>, keys: Vec<String>, extra: Vec<u8>, time: u64) -> Arc<Record> {
        let leaf_hash = sealmark_tlog::merkle::leaf_hash(&leaf);
        let entry = Entry { leaf, keys, extra };
        Arc::new(Record {
            entry,
            leaf_hash,
            time,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read(
            entries in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<String>>(), any::<Vec<u8>>(), any::<u64>()), 0..5),
            first: u64,
            checkpoint: String,
        ) {
            let records: Vec<_> = entries.into_iter().map(|(leaf, keys, extra, time)| record(leaf, keys, extra, time)).collect();
            let change = Change::Append { tree: 7, first, checkpoint, records };
            let bytes = encode(&[change]);
            let read = decode(&bytes).unwrap();
            prop_assert_eq!(encode(&read), &bytes[..]);
            let [Change::Append { records, .. }] = &read[..] else { panic!("another change") };
            let sides = encode_sides(records);
            let count = records.len();
            let all = decode_sides(&sides, count, 0..count).unwrap();
            for (at, side) in all.iter().enumerate() {
                prop_assert_eq!(&decode_sides(&sides, count, at..at + 1).unwrap()[0], side);
                prop_assert_eq!((side.0, &side.1, &side.2), (records[at].time, &records[at].entry.keys, &records[at].entry.extra));
            }
            prop_assert!(decode_sides(&sides, count + 1, 0..1).is_none());
            for cut in (0..bytes.len()).step_by(17) {
                prop_assert!(decode(&bytes[..cut]).is_none());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = decode(&[&[1, 0, 0, 0, 1, b'A'][..], &bytes].concat());
            let _ = decode_sides(&bytes, 256, 3..7);
            let mut whole = [&[1][..], &bytes].concat();
            let digest = sha256(&whole);
            whole.extend_from_slice(&digest);
            let _ = Snapshot::decode(&whole);
        }
    }
}
