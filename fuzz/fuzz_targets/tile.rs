//! Tiles: a path that is read is the one that is written, and the bytes of tiles and bundles are read as they are.
#![no_main]

use sealmark_tlog::tile::{Bundle, LengthPrefix, Tile, bundle};

sealmark_fuzz::target!(
    [
        b"tile/0/x001/234.p/5\n",
        b"tile/entries/000.p/2\n\0\x01a\0\0"
    ],
    |data| {
        let end = data
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(data.len());
        let (path, content) = data.split_at(end);
        let content = content.get(1..).unwrap_or_default();
        let Ok(path) = std::str::from_utf8(path) else {
            return false;
        };
        if let Some(tile) = Tile::parse(path) {
            assert_eq!(tile.to_string(), path);
            if let Ok(hashes) = tile.decode(content) {
                assert_eq!(Tile::encode(&hashes), content);
            }
            return true;
        }
        let Some(of) = Bundle::parse(path) else {
            return false;
        };
        assert_eq!(of.to_string(), path);
        for prefix in [LengthPrefix::Two, LengthPrefix::Four] {
            if let Ok(entries) = of.decode(content, prefix) {
                let mut written = Vec::new();
                for entry in entries {
                    bundle::encode(&mut written, entry, prefix).expect("it was read");
                }
                assert_eq!(written, content);
            }
        }
        true
    }
);
