//! A clock that is set back: nothing is issued and nothing is logged until it is right.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::Algorithm;
use sealmark_log::{Clock, SystemClock};
use serde_json::json;

use crate::world::*;

/// The system's clock, off by so many milliseconds.
#[derive(Clone, Default)]
struct Off(Arc<AtomicI64>);

impl Off {
    fn by(&self, seconds: i64) {
        self.0.store(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for Off {
    fn now_ms(&self) -> u64 {
        SystemClock
            .now_ms()
            .saturating_add_signed(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_old_certificates() {
    let (ca, ct) = (Off::default(), Off::default());
    let world = World::with_clocks(Arc::new(ca.clone()), Arc::new(ct.clone()), people).await;
    let key = new_key(Algorithm::EcdsaP256);
    let ask = async || {
        let token = world.issuer.token(json!({"exp": now() + 86_400}));
        let (status, answer) = world.ask(&key, &token, "1234").await;
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        (status, message, answer)
    };
    assert_eq!(ask().await.0, 200);
    let old = world.issuer.token(json!({"exp": now() - 3000}));
    for (ca_off, ct_off, status, reason) in [
        (-3600, -3600, 503, "the clock of this CA stands"),
        (-60, 0, 503, "the clock of this CA stands"),
        (
            0,
            -3600,
            503,
            "Error entering certificate in CTL: the clock stands at",
        ),
        // What NTP may do is waited out by the log, and no promise is before another.
        (-2, -2, 200, ""),
        (0, 0, 200, ""),
    ] {
        ca.by(ca_off);
        ct.by(ct_off);
        let (found, message, _) = ask().await;
        assert!(
            found == status && message.contains(reason),
            "{ca_off} {ct_off}: {found} {message}"
        );
        // With a clock that stands where it was still good.
        let (found, _) = world.ask(&key, &old, "1234").await;
        assert_ne!(found, 200, "an expired token was good again");
    }
    let (_, _, answer) = ask().await;
    let certificates: Vec<String> = chain(&answer)
        .iter()
        .map(|it| STANDARD.encode(it.der()))
        .collect();
    // Others who log are told the same, and that they may come again.
    ct.by(-3600);
    let submitted = world
        .http
        .post(format!("{}/ct/v1/add-chain", world.ct_url))
        .body(json!({"chain": certificates}).to_string());
    let submitted = submitted.send().await.unwrap();
    assert_eq!(submitted.status(), 503);
    assert!(submitted.headers().contains_key("retry-after"));
    let text = submitted.text().await.unwrap();
    assert!(text.contains("the clock stands at"), "{text}");
    // What the log has is still shown, and in the order of its times.
    let entries = world.http.get(format!(
        "{}/ct/v1/get-entries?start=0&end=100",
        world.ct_url
    ));
    let entries: serde_json::Value = entries.send().await.unwrap().json().await.unwrap();
    let times: Vec<u64> = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let leaf = STANDARD
                .decode(entry["leaf_input"].as_str().unwrap())
                .unwrap();
            u64::from_be_bytes(leaf[2..10].try_into().unwrap())
        })
        .collect();
    assert_eq!(times.len(), 4);
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn what_a_crash_left_among_the_issuers_is_swept_away() {
    let world = World::of_people().await;
    let key = new_key(Algorithm::EcdsaP256);
    let token = world.issuer.token(json!({}));
    assert_eq!(world.ask(&key, &token, "1234").await.0, 200);
    let folder = tempfile::tempdir().unwrap();
    let issuers = folder.path().join("issuers");
    std::fs::create_dir(&issuers).unwrap();
    // One that was being written, and one that was whole but had no name yet.
    std::fs::write(issuers.join(".tmpAbCdEf"), &world.root.der()[..100]).unwrap();
    std::fs::write(issuers.join(".tmpGhIjKl"), world.root.der()).unwrap();
    let key = new_key(Algorithm::EcdsaP256);
    let roots = vec![world.root.clone()];
    drop(open_ct(folder.path(), &key, roots, Arc::new(SystemClock)));
    assert_eq!(std::fs::read_dir(&issuers).unwrap().count(), 0);
}
