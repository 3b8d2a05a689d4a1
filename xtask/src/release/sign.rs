//! The signatures of a release, and every check that its users are told to make.
//!
//! Invariant: a release that its own user could not verify is an error here.

use std::path::Path;
use std::process::Command;

use super::Signer;
use super::pack::SUMS;
use crate::process::{self, Outcome};

/// The public key, where a key signs.
const PUBLIC: &str = "release.pub";
/// The certificate, where an identity signs.
const CERTIFICATE: &str = "SHA256SUMS.pem";
const SIGNATURE: &str = "SHA256SUMS.sig";

/// Signs the checksums, for whoever has nothing but openssl, and what is downloaded, for whoever has Sealmark.
pub(super) fn sign(signer: &Signer, name: &str, folder: &Path) -> Outcome<()> {
    let sealmark = || {
        let mut sealmark = Command::new(folder.join(name));
        sealmark.current_dir(folder);
        sealmark
    };
    // The key is named as seen from where this was called, and signing happens in the folder.
    let by: Vec<String> = match signer {
        Signer::Key(key) => vec!["--key".into(), absolute(key)],
        Signer::Identity(flags) => flags.clone(),
    };
    let mut sums = sealmark();
    sums.arg("sign-blob")
        .args(&by)
        .args(["--yes", "--b64=false"]);
    sums.args([
        "--bundle",
        &format!("{SUMS}.sigstore.json"),
        "--output-signature",
        SIGNATURE,
    ]);
    if matches!(signer, Signer::Identity(_)) {
        sums.args(["--output-certificate", CERTIFICATE]);
    }
    process::succeed(sums.arg(SUMS))?;
    let archive = format!("{name}.tar.gz");
    let mut downloads = sealmark();
    downloads
        .arg("sign-blob")
        .args(&by)
        .args(["--yes", "--bundle", "{}.sigstore.json"]);
    process::succeed(downloads.args([name, &archive]))?;
    match signer {
        Signer::Key(_) => {
            let mut public = sealmark();
            public.arg("public-key").args(&by);
            process::succeed(public.args(["--outfile", PUBLIC]))?;
        }
        Signer::Identity(_) => {
            let mut openssl = Command::new("openssl");
            openssl.args(["x509", "-noout", "-pubkey", "-in", CERTIFICATE]);
            let public = process::succeed(openssl.current_dir(folder))?;
            // Of a certificate for ten minutes: it says nothing beyond it, so it stays out of the release.
            process::write(&folder.join(PUBLIC), public)?;
        }
    }
    check(signer, name, folder)?;
    if matches!(signer, Signer::Identity(_)) {
        std::fs::remove_file(folder.join(PUBLIC))
            .map_err(|error| format!("cannot remove {PUBLIC}: {error}"))?;
    }
    Ok(())
}

/// What `docs/install.md` tells users to do.
fn check(signer: &Signer, name: &str, folder: &Path) -> Outcome<()> {
    let mut openssl = Command::new("openssl");
    openssl.args([
        "dgst",
        "-sha256",
        "-verify",
        PUBLIC,
        "-signature",
        SIGNATURE,
        SUMS,
    ]);
    process::succeed(openssl.current_dir(folder)).map_err(|error| {
        format!(
            "openssl does not accept the signature; a key of ECDSA P-256 or RSA is needed: {error}"
        )
    })?;
    let mut sums = Command::new("sha256sum");
    process::succeed(sums.args(["--check", "--strict", SUMS]).current_dir(folder))?;
    if let Signer::Key(_) = signer {
        for file in [SUMS, name, &format!("{name}.tar.gz")] {
            let mut sealmark = Command::new(folder.join(name));
            sealmark.args(["verify-blob", "--key", PUBLIC, "--bundle"]);
            sealmark.args([&format!("{file}.sigstore.json"), file]);
            process::succeed(sealmark.current_dir(folder))?;
        }
    }
    Ok(())
}

/// A key's file by its whole path; anything else is a reference, and stays.
fn absolute(key: &str) -> String {
    match std::fs::canonicalize(key) {
        Ok(path) => path.display().to_string(),
        Err(_) => key.to_owned(),
    }
}
