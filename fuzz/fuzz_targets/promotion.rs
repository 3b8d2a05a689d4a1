//! What Sealmark says about signatures in predicates of its own, promotions and revocations, and the feed of the latter: what
//! is read is written and read again as the same.
#![no_main]

use sealmark_formats::promotion::Promotion;
use sealmark_formats::revocation::Revocation;
use sealmark_formats::revocation_feed::Feed;

const FEED: &[u8] = br#"{"version":1,"revocations":[{"mediaType":"x"},{}]}"#;
const EMPTY: &[u8] = br#"{"version":1,"revocations":[]}"#;

sealmark_fuzz::target!([FEED, EMPTY], |data| {
    let promotion = sealmark_fuzz::read(Promotion::parse(data));
    if let Some(promotion) = &promotion {
        let json = serde_json::to_vec(promotion).expect("it can be written");
        sealmark_fuzz::same(promotion, Promotion::parse(&json));
    }
    let revocation = sealmark_fuzz::read(Revocation::parse(data));
    if let Some(revocation) = &revocation {
        let json = serde_json::to_vec(revocation).expect("it can be written");
        sealmark_fuzz::same(revocation, Revocation::parse(&json));
    }
    let feed = sealmark_fuzz::read(Feed::parse(data));
    if let Some(feed) = &feed {
        let again = Feed::parse(&feed.to_json()).expect("what was written can be read");
        assert!(feed.bundles().eq(again.bundles()));
    }
    promotion.is_some() || revocation.is_some() || feed.is_some()
});
