//! Tiles, and proofs built from them, beside Go's own (golang.org/x/mod/sumdb/tlog) and the definition in RFC 6962.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use sealmark_formats::Digest;
use sealmark_tlog::merkle::{
    CompletedTile, MemoryTree, NodeId, RightEdge, leaf_hash, node_hash, verify_consistency,
    verify_inclusion,
};
use sealmark_tlog::tile::bundle::{self, LengthPrefix};
use sealmark_tlog::tile::{Bundle, VerifiedTiles};
use sealmark_tlog::{Error, Hash, Tile};
use serde::Deserialize;

#[derive(Deserialize)]
struct Go {
    roots: BTreeMap<u64, Hash32>,
    paths: BTreeMap<u64, String>,
    tiles: Vec<GoTile>,
    inclusion: Vec<GoProof>,
    consistency: Vec<GoProof>,
}

#[derive(Deserialize)]
struct GoTile {
    path: String,
    sha256: String,
}

#[derive(Deserialize)]
struct GoProof {
    a: u64,
    b: u64,
    hashes: Vec<Hash32>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Hash32(Hash);

impl TryFrom<String> for Hash32 {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

fn go() -> Go {
    serde_json::from_str(include_str!("fixtures/tiles/go-sumdb-tlog.json")).unwrap()
}

fn leaf(n: u64) -> Hash {
    leaf_hash(&n.to_be_bytes())
}

/// A log as a server has it: the edge in memory, full tiles as files.
#[derive(Default)]
struct Server {
    edge: RightEdge,
    files: HashMap<Tile, Vec<u8>>,
    completed: Vec<CompletedTile>,
}

impl Server {
    fn with(size: u64) -> Self {
        let mut server = Self::default();
        for n in 0..size {
            for full in server.edge.push(leaf(n)) {
                server
                    .files
                    .insert(full.tile, Tile::encode(full.nodes.hashes()));
                server.completed.push(full);
            }
        }
        server
    }

    fn read(&self, tile: Tile) -> Result<Vec<u8>, Error> {
        if let Some(bytes) = self.files.get(&tile) {
            return Ok(bytes.clone());
        }
        // A partial tile is the beginning of what there is.
        let edge = self.edge.tile(tile.level()).unwrap();
        Ok(Tile::encode(&edge.hashes()[..tile.width()]))
    }

    fn verified(&self) -> VerifiedTiles<impl FnMut(Tile) -> Result<Vec<u8>, Error>> {
        VerifiedTiles::open(self.edge.size(), &self.edge.root(), |tile| self.read(tile)).unwrap()
    }
}

#[test]
fn go_makes_the_same_tiles_roots_and_proofs() {
    let go = go();
    let server = Server::with(70_000);
    let mut tree = MemoryTree::new();
    (0..70_000).for_each(|n| tree.push(leaf(n)));
    assert_eq!(server.edge.root(), tree.root());
    let mut verified = server.verified();

    for (index, path) in &go.paths {
        assert_eq!(Tile::full(2, *index).unwrap().to_string(), *path);
        assert_eq!(Tile::parse(path), Tile::full(2, *index));
    }
    for GoTile { path, sha256 } in &go.tiles {
        let tile = Tile::parse(path).unwrap();
        assert_eq!(tile.to_string(), *path);
        assert!(tile.is_in(70_000));
        let bytes = server.read(tile).unwrap();
        assert_eq!(Digest::sha256(&bytes).hex(), *sha256, "{path}");
    }
    for (size, Hash32(root)) in &go.roots {
        assert_eq!(tree.root_at(*size).as_ref(), Ok(root), "{size}");
        assert_eq!(verified.root_at(*size).as_ref(), Ok(root), "{size}");
    }
    for GoProof { a, b, hashes } in &go.inclusion {
        let hashes: Vec<Hash> = hashes.iter().map(|hash| hash.0).collect();
        assert_eq!(tree.inclusion_proof(*a, *b).unwrap(), hashes, "{a} {b}");
    }
    for GoProof { a, b, hashes } in &go.consistency {
        let hashes: Vec<Hash> = hashes.iter().map(|hash| hash.0).collect();
        assert_eq!(tree.consistency_proof(*a, *b).unwrap(), hashes, "{a} {b}");
        assert_eq!(verified.consistency_proof(*a, *b).unwrap(), hashes);
    }
}

#[test]
fn every_proof_of_every_small_tree_is_right() {
    const LARGEST: u64 = 70;
    let mut tree = MemoryTree::new();
    (0..LARGEST).for_each(|n| tree.push(leaf(n)));
    for size in 1..=LARGEST {
        let root = tree.root_at(size).unwrap();
        for index in 0..size {
            let proof = tree.inclusion_proof(index, size).unwrap();
            verify_inclusion(index, size, &leaf(index), &proof, &root).unwrap();
            let (size1, root1) = (index + 1, tree.root_at(index + 1).unwrap());
            let proof = tree.consistency_proof(size1, size).unwrap();
            verify_consistency(size1, size, &root1, &root, &proof).unwrap();
        }
    }
}

#[test]
fn a_new_leaf_is_proved_without_reading_a_tile() {
    let mut server = Server::with(65_530);
    // A batch that fills a tile of level 0, and one of level 1.
    let mut completed = Vec::new();
    for n in 65_530..65_830 {
        completed.extend(server.edge.push(leaf(n)));
    }
    let levels: Vec<u8> = completed.iter().map(|full| full.tile.level()).collect();
    assert_eq!(levels, [0, 1, 0]);
    for n in 65_530..65_830 {
        let proof = server.edge.inclusion_proof(n, &completed).unwrap();
        verify_inclusion(n, 65_830, &leaf(n), &proof, &server.edge.root()).unwrap();
    }
    let old = server.edge.inclusion_proof(5, &completed).unwrap_err();
    assert!(old.to_string().contains("is not here"), "{old}");
}

#[test]
fn an_edge_is_loaded_again_from_tiles() {
    for size in [0, 1, 255, 256, 257, 512, 65_535, 65_536, 66_000] {
        let server = Server::with(size);
        let hashes = |tile: Tile| tile.decode(&server.read(tile)?);
        assert_eq!(
            RightEdge::load(size, hashes).unwrap(),
            server.edge,
            "{size}"
        );
    }
}

#[test]
fn a_tile_that_was_changed_is_found() {
    let server = Server::with(66_000);
    let root = server.edge.root();
    for (changed, index) in [("tile/0/007", 7 * 256), ("tile/1/000", 0)] {
        let read = |tile: Tile| {
            let mut bytes = server.read(tile)?;
            bytes[20] ^= u8::from(tile.to_string() == changed);
            Ok(bytes)
        };
        let mut verified = VerifiedTiles::open(66_000, &root, read).unwrap();
        let error = verified.inclusion_proof(index).unwrap_err();
        assert!(
            matches!(&error, Error::TileMismatch { tile, .. } if tile.to_string() == changed),
            "{error}"
        );
        verified.inclusion_proof(65_999).unwrap();
    }
    let changed = |tile: Tile| -> Result<_, Error> {
        let mut bytes = server.read(tile)?;
        bytes[0] ^= u8::from(tile.level() == 1);
        Ok(bytes)
    };
    let error = VerifiedTiles::open(66_000, &root, changed).err().unwrap();
    assert!(matches!(error, Error::RootMismatch { .. }), "{error}");
    let cut = |tile: Tile| -> Result<_, Error> { Ok(server.read(tile)?.split_off(1)) };
    let error = VerifiedTiles::open(66_000, &root, cut).err().unwrap();
    assert!(
        error.to_string().contains("not 32 for each of its"),
        "{error}"
    );
}

#[test]
fn only_one_path_is_that_of_a_tile() {
    for path in [
        "tile/0/000",
        "tile/7/000.p/255",
        "tile/0/x072/x057/x594/x037/x927/934",
        "tile/1/x001/000.p/1",
    ] {
        assert_eq!(Tile::parse(path).unwrap().to_string(), path);
    }
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/00/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/-1/000",
        "tile/0/+01",
        "tile/64/000",
        "tile/7/000",
        "tile/7/001.p/1",
        "tile/0/x072/x057/x594/x037/x927/935",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/entries/000",
        "tile/0/x1\u{661}/000",
        "tile/63/000.p/1",
    ] {
        assert_eq!(Tile::parse(path), None, "{path}");
    }
    assert_eq!(Bundle::parse("tile/0/000"), None);
    assert_eq!(Bundle::parse("tile/entries/000.p/256"), None);
}

#[test]
fn bundles_hold_entries_of_every_length() {
    let entries = [&b""[..], b"a", &[7; bundle::MAX_ENTRY]];
    for prefix in [LengthPrefix::Two, LengthPrefix::Four] {
        let mut bytes = Vec::new();
        for entry in entries {
            bundle::encode(&mut bytes, entry, prefix).unwrap();
        }
        let three = Bundle::new(0, 3).unwrap();
        assert_eq!(three.decode(&bytes, prefix).unwrap(), entries);
        for (wrong, reason) in [
            (&bytes[..bytes.len() - 1], "inside of entry 2"),
            (&bytes[..1], "inside of entry 0"),
            (&[&bytes[..], &[0]].concat(), "1 bytes after its last"),
        ] {
            let error = three.decode(wrong, prefix).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
    let long = vec![0; bundle::MAX_ENTRY + 1];
    assert!(bundle::encode(&mut Vec::new(), &long, LengthPrefix::Two).is_err());
}

/// MTH of RFC 6962, section 2.1.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sealmark_tlog::merkle::empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn tiles_and_edge_agree_with_the_definition(size in 0u64..1500, a in 0u64..1500, b in 0u64..1500) {
        let server = Server::with(size);
        let leaves: Vec<Hash> = (0..size).map(leaf).collect();
        let root = naive_root(&leaves);
        prop_assert_eq!(server.edge.root(), root);
        let mut verified = server.verified();
        if a < size {
            let proof = verified.inclusion_proof(a).unwrap();
            verify_inclusion(a, size, &leaf(a), &proof, &root).unwrap();
        } else {
            prop_assert!(verified.inclusion_proof(a).is_err());
        }
        if 0 < a && a <= b && b <= size {
            let (first, second) = (naive_root(&leaves[..a as usize]), naive_root(&leaves[..b as usize]));
            let proof = verified.consistency_proof(a, b).unwrap();
            verify_consistency(a, b, &first, &second, &proof).unwrap();
        } else {
            prop_assert!(verified.consistency_proof(a, b).is_err());
        }
    }

    #[test]
    fn no_path_or_bundle_makes_it_panic(path in "tile/(entries|[0-9]{1,2})/(x?[0-9]{3}/){0,8}[0-9]{3}(.p/[0-9]{1,3})?", bytes: Vec<u8>, size: u64, height in 0u8..64, index: u64) {
        if let Some(tile) = Tile::parse(&path) {
            prop_assert_eq!(tile.to_string(), path.clone());
            let _ = (tile.is_in(size), tile.decode(&bytes));
        }
        if let Some(bundle) = Bundle::parse(&path) {
            prop_assert_eq!(bundle.to_string(), path);
            let _ = (bundle.is_in(size), bundle.decode(&bytes, LengthPrefix::Four));
        }
        let node = NodeId { height, index };
        let _ = (Tile::of_node(node), node.is_in(size));
        for level in 0..Tile::levels(size) {
            if let Some(tile) = Tile::partial(level, size) {
                prop_assert!(tile.is_in(size) && !tile.is_full());
            }
        }
    }
}
