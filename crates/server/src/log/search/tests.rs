//! Pages of answers, beside what a search through everything finds.

use proptest::prelude::*;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_log::storage::Memory;
use sealmark_log::{Entry, LocalSigner, Log, Settings};
use sealmark_tlog::NoteSigner;

use super::super::shards::{Interface, Record, Stage};
use super::*;

/// Trees whose entries have keys by these numbers: bit 0 is `a`, bit 1 is `b`.
fn shards(log: &Log, trees: &[Vec<u8>]) -> Vec<Shard> {
    let key = PrivateKey::generate(Algorithm::Ed25519).expect("there is randomness");
    let mut shards: Vec<Shard> = Vec::new();
    for (number, entries) in trees.iter().enumerate() {
        let name = format!("v1-{number}");
        let signer = NoteSigner::log("a", key.clone()).expect("it is a name");
        let signer = LocalSigner::new(&name, signer, Vec::new());
        let tree = log.create_tree(&name, Interface::V1.prefix(), signer);
        let tree = tree.expect("the tree is new");
        for (index, bits) in entries.iter().enumerate() {
            let keys = [("a", 1), ("b", 2)].into_iter();
            let keys = keys.filter(|(_, bit)| bits & bit != 0);
            let entry = Entry {
                leaf: format!("{number}/{index}").into_bytes(),
                keys: keys.map(|(key, _)| key.to_owned()).collect(),
                extra: Vec::new(),
            };
            log.append_blocking(&name, entry).expect("it is taken");
        }
        let first = shards
            .last()
            .map_or(0, |last| last.first + last.tree.size());
        shards.push(Shard {
            record: Record {
                tree: name,
                interface: Interface::V1,
                host: "a".to_owned(),
                url: None,
                tree_id: None,
                created: 0,
                frozen: None,
                stage: Stage::Ready,
            },
            key: key.clone(),
            tree,
            log_id: String::new(),
            first,
        });
    }
    shards
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// However small the pages, and however soon an answer is tired, all pages together are what was asked for.
    #[test]
    fn pages_lose_nothing(
        trees in prop::collection::vec(prop::collection::vec(0u8..4, 0..30), 1..4),
        all: bool,
        both: bool,
        from in 0u64..40,
        limit in 1usize..8,
        looked_at in 1usize..8,
    ) {
        let scratch = tempfile::tempdir().unwrap();
        let log = Log::open(Memory::default(), scratch.path(), Settings::default()).unwrap();
        let shards = shards(&log, &trees);
        let keys: Vec<String> = if both { vec!["a".into(), "b".into()] } else { vec!["b".into()] };
        let wanted = |bits: u8| match (both, all) {
            (false, _) => bits & 2 != 0,
            (true, true) => bits == 3,
            (true, false) => bits != 0,
        };
        let flat = trees.concat();
        let expected: Vec<u64> = (from..flat.len() as u64)
            .filter(|index| wanted(flat[*index as usize]))
            .collect();
        let mut found = Vec::new();
        let (mut next, mut pages) = (Some(from), 0);
        while let Some(from) = next {
            let query = Query { keys: keys.clone(), all, from, limit };
            let page = query.run_within(&shards, looked_at).unwrap();
            prop_assert!(page.entries.len() <= limit);
            prop_assert_eq!(page.through, flat.len() as u64);
            found.extend(page.entries.iter().map(|(shard, index)| shard.first + index));
            prop_assert!(page.next.is_none_or(|next| next > from));
            next = page.next;
            pages += 1;
            prop_assert!(pages < 500, "it goes on for ever");
        }
        prop_assert_eq!(found, expected);
    }
}
