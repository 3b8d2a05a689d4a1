//! The double of Azure Key Vault, to be tried by hand: prints what to put into the environment, and ends with Enter.
//!
//! `key_vault ADDRESS METADATA-ADDRESS NAMES` listens elsewhere than on free ports, with a certificate for other names.

use sealmark_testkit::key_vault::{APPLICATION, KeyVault, SECRET, TENANT};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let vault = match words.as_slice() {
        [address, metadata, names] => KeyVault::start_at(address, metadata, names),
        _ => KeyVault::start(),
    };
    println!(
        "export SSL_CERT_FILE={} AZURE_TENANT_ID={TENANT} AZURE_CLIENT_ID={APPLICATION} AZURE_CLIENT_SECRET='{SECRET}'",
        vault.authority().display()
    );
    if words.is_empty() {
        println!("export AZURE_AUTHORITY_HOST=https://{}", vault.host());
        println!(
            "# keys: azurekms://{}/NAME, with a NAME of key_vault::KEYS",
            vault.host()
        );
    }
    let _ = std::io::stdin().read_line(&mut String::new());
}
