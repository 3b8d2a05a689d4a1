//! What the machine allows at most: the signatures of a request and nothing else, and syncs of the disk and nothing
//! else.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Algorithm, PrivateKey, Scheme};
use serde_json::{Value, json};

/// Different signatures that are checked again and again.
const SIGNATURES: usize = 256;

/// A key with what it signed.
struct Signed {
    key: PrivateKey,
    scheme: Scheme,
    signatures: Vec<(Digest, Vec<u8>)>,
}

impl Signed {
    fn new(algorithm: Algorithm, scheme: Scheme) -> Self {
        let key = PrivateKey::generate(algorithm).expect("a key");
        let signatures = (0..SIGNATURES)
            .map(|number| {
                let digest = Digest::of(HashAlgorithm::Sha256, &number.to_be_bytes());
                let signature = key.sign_digest(&digest).expect("a key signs");
                (digest, signature)
            })
            .collect();
        Self {
            key,
            scheme,
            signatures,
        }
    }

    fn check(&self, number: usize) {
        let (digest, signature) = &self.signatures[number % SIGNATURES];
        let key = self.key.public_key();
        key.verify_digest_scheme(self.scheme, black_box(digest), signature)
            .expect("the signature is good");
    }

    fn sign(&self, number: usize) {
        let (digest, _) = &self.signatures[number % SIGNATURES];
        black_box(
            self.key
                .sign_digest(black_box(digest))
                .expect("a key signs"),
        );
    }
}

/// Measures each for so long.
pub(crate) fn measure(folder: &Path, time: Duration) -> Value {
    let p256 = Signed::new(Algorithm::EcdsaP256, Scheme::EcdsaSha256);
    let rsa = Signed::new(Algorithm::Rsa2048, Scheme::RsaPkcs1Sha256);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // Of a log entry: that it was signed.
    let check = |number| p256.check(number);
    // Of a certificate: the token, the proof of the key; precertificate, promise and certificate are signed.
    let certificate = |number| {
        rsa.check(number);
        p256.check(number);
        (0..3).for_each(|more| p256.sign(number + more));
    };
    let timestamp = |number| p256.sign(number);
    json!({
        "checksOneThread": rate(1, time, &check), "checksAllCores": rate(cores, time, &check),
        "certificatesOneThread": rate(1, time, &certificate), "certificatesAllCores": rate(cores, time, &certificate),
        "timestampsOneThread": rate(1, time, &timestamp), "timestampsAllCores": rate(cores, time, &timestamp),
        "cores": cores, "syncs": syncs(folder, time),
    })
}

/// How often it is done in a second on so many threads.
fn rate(threads: usize, time: Duration, work: &(impl Fn(usize) + Sync)) -> f64 {
    thread::scope(|scope| {
        let one = || {
            let (began, mut count) = (Instant::now(), 0_u32);
            while began.elapsed() < time {
                (0..16).for_each(|more| work(count as usize + more));
                count += 16;
            }
            f64::from(count) / began.elapsed().as_secs_f64()
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let threads = threads.into_iter();
        threads
            .map(|thread| thread.join().expect("signatures go well"))
            .sum()
    })
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
