//! `import-key-pair`: encrypt an existing private key as a key pair.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use sealmark_kms::{KeyRef, Signer};
use zeroize::Zeroizing;

use super::generate_key_pair::Pair;
use crate::error::Error;
use crate::password;
use crate::service_flags::key_options;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The private key, PEM: PKCS#8, PKCS#1 or SEC 1, also encrypted; a file, env://VARIABLE, or https://…
    #[arg(short, long, value_name = "KEY")]
    key: String,
    /// Where the keys go: PREFIX.key and PREFIX.pub
    #[arg(short, long, value_name = "PREFIX", default_value = "import-cosign")]
    output_key_prefix: PathBuf,
    /// Overwrite existing files without asking
    #[arg(short, long, short_alias = 'f', alias = "force")]
    yes: bool,
}

/// Reads the key and writes the pair.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let pair = Pair::at(&arguments.output_key_prefix);
    let overwrite = pair.may_be_written(arguments.yes, terminal)?;
    let reference = KeyRef::parse(&arguments.key)?;
    let given = Given::default();
    let signer =
        sealmark_kms::load_signer(&reference, given.clone().ask(), &key_options(terminal)).await?;
    let Signer::Local(key) = signer else {
        return Err(Error::NotSupported(format!(
            "importing {reference}: the key does not leave the place where it is"
        )));
    };
    let password = match given.take() {
        // Standard input has been read to its end: asking again would give an empty password.
        Some(password) if !std::io::stdin().is_terminal() => password,
        _ => password::new()?,
    };
    pair.write(&key, &password, overwrite, terminal)
}

/// The password of the key that is imported, kept if there was one.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<Option<Zeroizing<Vec<u8>>>>>);

impl Given {
    fn ask(
        self,
    ) -> impl FnOnce() -> Result<Zeroizing<Vec<u8>>, sealmark_kms::Error> + Send + 'static {
        move || {
            let password = password::for_key()?;
            *self.lock() = Some(password.clone());
            Ok(password)
        }
    }

    fn take(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.lock().take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Zeroizing<Vec<u8>>>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    // Made with openssl 3: openssl ecparam -name prime256v1 -genkey -noout
    const SEC1: &str = include_str!("../../tests/fixtures/openssl-p256-sec1.pem");

    #[tokio::test]
    async fn what_is_not_a_private_key_is_refused_before_anything_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let public = directory.path().join("some.pub");
        let key = sealmark_keys::PrivateKey::generate(sealmark_keys::Algorithm::Ed25519).unwrap();
        std::fs::write(&public, key.public_key().to_pem()).unwrap();
        let error = run(arguments(&public, directory.path()), &mut Terminal::new())
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("give the private key that belongs to it"),
            "{error}"
        );
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_key_of_openssl_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("openssl.pem");
        std::fs::write(&file, SEC1).unwrap();
        let reference = KeyRef::parse(file.to_str().unwrap()).unwrap();
        let signer = sealmark_kms::load_signer(
            &reference,
            password::for_key,
            &key_options(&Terminal::new()),
        )
        .await
        .unwrap();
        assert_eq!(signer.public_key().algorithm_name(), "ecdsa-p256");
    }

    fn arguments(key: &Path, directory: &Path) -> Arguments {
        Arguments {
            key: key.to_str().unwrap().to_owned(),
            output_key_prefix: directory.join("imported"),
            yes: false,
        }
    }
}
