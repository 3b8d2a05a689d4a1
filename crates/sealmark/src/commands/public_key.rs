//! `public-key`: print the public key of a key.

use std::path::PathBuf;

use sealmark_kms::KeyRef;

use super::generate_key_pair::{Overwrite, write_whole};
use crate::error::Error;
use crate::password;
use crate::service_flags::key_options;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The key, private or public: a file, env://VARIABLE, https://…, or a key in a provider (awskms:///…)
    #[arg(long, value_name = "KEY")]
    key: String,
    /// Write the public key to this file
    #[arg(long, value_name = "FILE")]
    outfile: Option<PathBuf>,
}

/// Prints the key as PEM.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let reference = KeyRef::parse(&arguments.key)?;
    if let Some(path) = &arguments.outfile {
        crate::outputs::check(&[std::path::Path::new(&arguments.key)], &[path])?;
    }
    let public = match sealmark_kms::load_public(&reference, &key_options(terminal)).await {
        // Only then is a password needed.
        Err(sealmark_kms::Error::EncryptedPrivateKey { .. }) => {
            let signer =
                sealmark_kms::load_signer(&reference, password::for_key, &key_options(terminal))
                    .await?;
            signer.public_key().clone()
        }
        other => other?,
    };
    terminal.detail(format!(
        "key id {} ({})",
        public.id(),
        public.algorithm_name()
    ));
    match &arguments.outfile {
        Some(path) => {
            write_whole(path, public.to_pem().as_bytes(), 0o644, Overwrite::Yes)?;
            terminal.note(format!("Public key written to {}", path.display()));
            Ok(())
        }
        None => terminal.bytes(public.to_pem().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_public_half_is_written_for_a_plain_private_key_and_for_a_public_one() {
        let directory = tempfile::tempdir().unwrap();
        let key = sealmark_keys::PrivateKey::generate(sealmark_keys::Algorithm::EcdsaP256).unwrap();
        let pem = key.public_key().to_pem();
        let (private, public) = (
            directory.path().join("a.pem"),
            directory.path().join("a.pub"),
        );
        std::fs::write(&public, &pem).unwrap();
        std::fs::write(&private, plain_pem(&key)).unwrap();
        for file in [private, public] {
            let outfile = directory.path().join("out.pub");
            let arguments = Arguments {
                key: file.to_str().unwrap().to_owned(),
                outfile: Some(outfile.clone()),
            };
            run(arguments, &mut Terminal::new()).await.unwrap();
            assert_eq!(std::fs::read_to_string(outfile).unwrap(), pem);
        }
    }

    fn plain_pem(key: &sealmark_keys::PrivateKey) -> String {
        use base64::Engine as _;
        let der = key.to_pkcs8_der().unwrap();
        let body = base64::engine::general_purpose::STANDARD.encode(&*der);
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    }
}
