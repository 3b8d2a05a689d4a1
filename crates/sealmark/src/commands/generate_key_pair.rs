//! `generate-key-pair`: make a key pair.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use sealmark_kms::{KeyPair, KeyRef};

use crate::confirm::confirm;
use crate::error::Error;
use crate::password;
use crate::service_flags::key_options;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Where the pair is kept instead of in files: k8s://NAMESPACE/SECRET, gitlab://PROJECT, github://OWNER/REPOSITORY;
    /// PREFIX.pub is written, too
    #[arg(value_name = "PLACE")]
    place: Option<String>,
    /// Where the keys go: PREFIX.key and PREFIX.pub
    #[arg(long, value_name = "PREFIX", default_value = "cosign")]
    output_key_prefix: PathBuf,
    /// Make the key in a provider, where it stays: awskms:///alias/NAME; only PREFIX.pub is written
    #[arg(long, value_name = "KEY")]
    kms: Option<String>,
    /// Kind of key: ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519, rsa-2048, rsa-3072 or rsa-4096
    #[arg(long, value_name = "ALGORITHM", default_value = "ecdsa-p256", value_parser = algorithm)]
    algorithm: Algorithm,
    /// Overwrite existing files without asking
    #[arg(short, long, short_alias = 'f', alias = "force")]
    yes: bool,
}

fn algorithm(text: &str) -> Result<Algorithm, sealmark_keys::Error> {
    text.parse()
}

/// Makes the pair and writes it.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    if let Some(kms) = &arguments.kms {
        return in_provider(kms, &arguments, terminal).await;
    }
    if let Some(place) = &arguments.place {
        return in_service(place, &arguments, terminal).await;
    }
    let pair = Pair::at(&arguments.output_key_prefix);
    // Before the password is asked for: nobody likes to type it for nothing.
    let overwrite = pair.may_be_written(arguments.yes, terminal)?;
    let password = password::new()?;
    let key = PrivateKey::generate(arguments.algorithm)?;
    pair.write(&key, &password, overwrite, terminal)
}

/// Makes the key where it will stay, and writes its public key.
async fn in_provider(kms: &str, arguments: &Arguments, terminal: &Terminal) -> Result<(), Error> {
    if let Some(place) = &arguments.place {
        return Err(Error::Usage(format!(
            "the key is made in {kms} and stays there, so it cannot go to {place}"
        )));
    }
    let reference = KeyRef::parse(kms)?;
    let Pair { public, .. } = Pair::at(&arguments.output_key_prefix);
    let overwrite = may_be_written(&[&public], arguments.yes, terminal)?;
    let options = key_options(terminal);
    let key = sealmark_kms::create_key(&reference, arguments.algorithm, &options).await?;
    terminal.note(format!("Key made: {} ({reference})", key.name));
    write_whole(&public, key.public.to_pem().as_bytes(), 0o644, overwrite)?;
    written(&public, &key.public, terminal);
    Ok(())
}

/// Makes the pair here, and keeps it in a service as in a folder; its public key is written to a file, too.
async fn in_service(place: &str, arguments: &Arguments, terminal: &Terminal) -> Result<(), Error> {
    let reference = KeyRef::parse(place)?;
    if !reference.keeps_key_pairs() {
        return Err(sealmark_kms::Error::NotKept {
            key: reference.to_string(),
        }
        .into());
    }
    let Pair { public, .. } = Pair::at(&arguments.output_key_prefix);
    let overwrite = may_be_written(&[&public], arguments.yes, terminal)?;
    let password = password::new()?;
    let key = PrivateKey::generate(arguments.algorithm)?;
    let pair = KeyPair::of(&key, password)?;
    let options = key_options(terminal);
    let done = match sealmark_kms::store(&reference, &pair, arguments.yes, &options).await {
        Err(sealmark_kms::Error::PairThere { .. })
            if terminal.is_interactive()
                && confirm(&format!("{reference} has a key pair already. Replace it?"))? =>
        {
            sealmark_kms::store(&reference, &pair, true, &options).await
        }
        other => other,
    };
    terminal.note(done?);
    write_whole(&public, pair.public.as_bytes(), 0o644, overwrite)?;
    written(&public, key.public_key(), terminal);
    Ok(())
}

/// Says where a public key is, and which it is.
fn written(path: &Path, key: &PublicKey, terminal: &Terminal) {
    terminal.note(format!("Public key written to {}", path.display()));
    terminal.note(format!("Key id {} ({})", key.id(), key.algorithm_name()));
}

/// The two files of a key pair.
pub(super) struct Pair {
    private: PathBuf,
    public: PathBuf,
}

/// Whether files may be replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Overwrite {
    No,
    Yes,
}

impl Pair {
    pub(super) fn at(prefix: &Path) -> Self {
        let with = |suffix: &str| {
            let mut path = prefix.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        Self {
            private: with(".key"),
            public: with(".pub"),
        }
    }

    /// Looks if there are files already, and asks about them.
    pub(super) fn may_be_written(
        &self,
        yes: bool,
        terminal: &Terminal,
    ) -> Result<Overwrite, Error> {
        may_be_written(&[&self.private, &self.public], yes, terminal)
    }

    /// Encrypts the private key, and writes both files, each as a whole or not at all.
    pub(super) fn write(
        &self,
        key: &PrivateKey,
        password: &[u8],
        overwrite: Overwrite,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        if password.is_empty() {
            terminal.warn("the password is empty: whoever can read the file has the key");
        }
        let private = zeroize::Zeroizing::new(key.to_encrypted_pem(password)?);
        write_whole(&self.private, private.as_bytes(), 0o600, overwrite)?;
        terminal.note(format!("Private key written to {}", self.private.display()));
        write_whole(
            &self.public,
            key.public_key().to_pem().as_bytes(),
            0o644,
            overwrite,
        )?;
        written(&self.public, key.public_key(), terminal);
        Ok(())
    }
}

/// Looks if there are files already, and asks about them.
fn may_be_written(paths: &[&PathBuf], yes: bool, terminal: &Terminal) -> Result<Overwrite, Error> {
    if yes {
        return Ok(Overwrite::Yes);
    }
    let existing: Vec<String> = paths
        .iter()
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| path.display().to_string())
        .collect();
    if existing.is_empty() {
        return Ok(Overwrite::No);
    }
    let verb = if existing.len() == 1 {
        "exists"
    } else {
        "exist"
    };
    let existing = format!("{} {verb} already", existing.join(" and "));
    if terminal.is_interactive() && confirm(&format!("{existing}. Overwrite?"))? {
        return Ok(Overwrite::Yes);
    }
    Err(Error::Usage(format!(
        "{existing}: nothing was written, as an overwritten key cannot be brought back. Give \
             another --output-key-prefix, or --yes to overwrite"
    )))
}

/// Writes a file that is there with its whole content, on disk, or not at all.
pub(super) fn write_whole(
    path: &Path,
    content: &[u8],
    mode: u32,
    overwrite: Overwrite,
) -> Result<(), Error> {
    let failed = |cause| Error::file("write", path, cause);
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".sealmark-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory.unwrap_or_else(|| Path::new(".")))
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    match overwrite {
        Overwrite::Yes => file.persist(path),
        Overwrite::No => file.persist_noclobber(path),
    }
    .map(drop)
    .map_err(|error| failed(error.error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(directory: &Path, yes: bool) -> Arguments {
        Arguments {
            place: None,
            output_key_prefix: directory.join("release"),
            kms: None,
            algorithm: Algorithm::Ed25519,
            yes,
        }
    }

    #[test]
    fn a_pair_is_written_for_its_owner_alone_and_never_overwritten_silently() {
        let directory = tempfile::tempdir().unwrap();
        let pair = Pair::at(&arguments(directory.path(), false).output_key_prefix);
        let terminal = Terminal::new();
        let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        let overwrite = pair.may_be_written(false, &terminal).unwrap();
        pair.write(&key, b"secret", overwrite, &terminal).unwrap();

        let mode = |name| {
            directory
                .path()
                .join(name)
                .metadata()
                .unwrap()
                .permissions()
                .mode()
        };
        assert_eq!(mode("release.key") & 0o777, 0o600);
        assert_eq!(mode("release.pub") & 0o777 & !0o022, 0o644);
        let file = std::fs::read(directory.path().join("release.key")).unwrap();
        let read = PrivateKey::from_pem::<sealmark_keys::Error>(&file, || {
            Ok(zeroize::Zeroizing::new(b"secret".to_vec()))
        });
        assert_eq!(read.unwrap().public_key(), key.public_key());
        let public = std::fs::read_to_string(directory.path().join("release.pub")).unwrap();
        assert_eq!(public, key.public_key().to_pem());

        let other = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        assert!(pair.write(&other, b"", Overwrite::No, &terminal).is_err());
        assert_eq!(
            std::fs::read(directory.path().join("release.key")).unwrap(),
            file
        );
        pair.write(&other, b"", Overwrite::Yes, &terminal).unwrap();
        assert_ne!(
            std::fs::read(directory.path().join("release.key")).unwrap(),
            file
        );
        // Nothing is left over.
        assert_eq!(directory.path().read_dir().unwrap().count(), 2);
    }

    #[tokio::test]
    async fn a_pair_is_kept_where_pairs_are_kept_and_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        for place in ["awskms:///alias/release", "env://KEY", "cosign.key"] {
            let mut arguments = arguments(directory.path(), true);
            arguments.place = Some(place.to_owned());
            let error = run(arguments, &mut Terminal::new()).await.unwrap_err();
            let expected = format!(
                "{place} is no place where a key pair can be kept: those are k8s://NAMESPACE/SECRET"
            );
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }
}
