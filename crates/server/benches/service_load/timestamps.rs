//! Requests for timestamps, as sigstore-go makes them: the digest of a signature, without the certificate, with a nonce.

use sealmark_formats::Digest;
use sealmark_x509::TimestampToken;

use super::requests::{Requests, body, post};

/// `TimeStampReq` up to the digest, for SHA-256 and a nonce of 8 bytes (RFC 3161, section 2.4.1).
const HEAD: [u8; 24] = [
    0x30, 0x40, 2, 1, 1, // SEQUENCE, version 1
    0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, // imprint
    // the length of the digest follows
    0x20,
];

/// So many.
pub(crate) struct Timestamps {
    host: String,
    count: usize,
}

impl Timestamps {
    pub(crate) fn new(host: &str, count: usize) -> Self {
        Self {
            host: host.to_owned(),
            count,
        }
    }
}

impl Requests for Timestamps {
    fn len(&self) -> usize {
        self.count
    }

    fn request(&self, number: usize, out: &mut Vec<u8>) {
        let mut query = HEAD.to_vec();
        query.extend_from_slice(Digest::sha256(&number.to_be_bytes()).bytes());
        query.extend_from_slice(&[2, 8]);
        query.extend_from_slice(&(number as u64 | 1 << 62).to_be_bytes());
        *out = post(
            &self.host,
            "/api/v1/timestamp",
            "application/timestamp-query",
            &query,
        );
    }

    /// The bytes of the token, which must be one.
    fn sample(&self, answer: &[u8]) -> Option<usize> {
        let reply = body(answer);
        let token = TimestampToken::parse(reply).expect("a timestamp");
        assert_eq!(token.nonce().map(<[u8]>::len), Some(8));
        Some(reply.len())
    }
}
