//! What the machine allows at most: signature checks and nothing else, and syncs of the disk and nothing else.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Algorithm, PrivateKey, PublicKey, Scheme};
use serde_json::{Value, json};

/// Different signatures that are checked again and again.
const SIGNATURES: u32 = 256;

/// Measures each for so long.
pub(crate) fn measure(folder: &Path, time: Duration) -> Value {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).expect("a P-256 key");
    let signed: Vec<(Digest, Vec<u8>)> = (0..SIGNATURES)
        .map(|number| {
            let digest = Digest::of(HashAlgorithm::Sha256, &number.to_be_bytes());
            let signature = key.sign_digest(&digest).expect("a P-256 key signs");
            (digest, signature)
        })
        .collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let one = checks(key.public_key(), &signed, time);
    let all: f64 = thread::scope(|scope| {
        let check = || scope.spawn(|| checks(key.public_key(), &signed, time));
        let threads: Vec<_> = (0..cores).map(|_| check()).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("checks go well"))
            .sum()
    });
    json!({"checksOneThread": one, "checksAllCores": all, "cores": cores, "syncs": syncs(folder, time)})
}

/// Signatures in a second.
fn checks(key: &PublicKey, signed: &[(Digest, Vec<u8>)], time: Duration) -> f64 {
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < time {
        for (digest, signature) in signed {
            key.verify_digest_scheme(Scheme::EcdsaSha256, black_box(digest), signature)
                .expect("the signature is good");
        }
        count += SIGNATURES;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}

/// Appends of 4 KiB, each synced, in a second.
fn syncs(folder: &Path, time: Duration) -> f64 {
    let path = folder.join("syncs");
    let mut file = File::create(&path).expect("the folder can be written");
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < time {
        file.write_all(&[7; 4096]).expect("the disk has room");
        file.sync_data().expect("the disk syncs");
        count += 1;
    }
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    fs::remove_file(&path).expect("the file is there");
    rate
}
