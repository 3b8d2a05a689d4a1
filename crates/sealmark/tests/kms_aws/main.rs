//! Keys in AWS KMS, as their users meet them: what the console shows is pasted, credentials are found or not, and what
//! is refused is told with what is missing.
//!
//! Signatures are judged with LocalStack's KMS and with cosign. What such an emulator cannot do (deny, be busy, be slow,
//! hand out credentials) a double on loopback does, in the words that AWS documents.

#![allow(clippy::unwrap_used, reason = "tests")]

mod credentials;
mod double;
mod localstack;
mod password;
mod refused;
mod story;

use sealmark_testkit::{Program, Sandbox};

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");
/// The key of the article that this program was made for.
const ID: &str = "61c124fb-bf47-4f95-a805-65dda7cd08ae";
const ARN: &str = "arn:aws:kms:us-west-2:562077019569:key/61c124fb-bf47-4f95-a805-65dda7cd08ae";

/// The program with somebody's credentials and the KMS at this address.
fn sealmark(sandbox: &Sandbox, kms: &str, line: &str) -> Program {
    bare(sandbox, kms, line)
        .env("AWS_REGION", "us-west-2")
        .env("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
        .env("AWS_SECRET_ACCESS_KEY", "secret-of-the-environment")
}

/// The program that knows where KMS is, and nothing else.
fn bare(sandbox: &Sandbox, kms: &str, line: &str) -> Program {
    sandbox
        .command(SEALMARK)
        .args(line.split(' '))
        .env("AWS_ENDPOINT_URL", format!("http://{kms}"))
}
