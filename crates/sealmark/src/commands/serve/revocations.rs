//! `serve revocations`: what an instance's feed tells all that trust it. The instance may be served meanwhile.

use std::path::{Path, PathBuf};

use sealmark_formats::Digest;
use sealmark_formats::bundle::{self, Bundle};
use sealmark_formats::revocation::{REVOCATION_V1, Revocation};
use sealmark_formats::revocation_feed::Feed;
use sealmark_formats::statement::Statement;
use sealmark_keys::PublicKey;
use sealmark_kms::KeyRef;
use sealmark_server::instance::{change_feed, feed};
use sealmark_trust::TrustedMaterial;
use sealmark_verify::evidence::Content;
use sealmark_verify::report::{CheckName, Outcome};
use sealmark_verify::{Artifact, Revocations};
use serde_json::json;

use super::blocking;
use super::status::Format;
use crate::commands::log::absolute;
use crate::detached;
use crate::error::Error;
use crate::printable::printable;
use crate::service_flags::key_options;
use crate::terminal::Terminal;
use crate::trust_flags;

/// A file with bundles is not larger, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Add revocations, whose signatures must be good; what is there already is passed over
    Add(Add),
    /// Tell what the feed has
    List(List),
    /// Take revocations out of the feed. Who has them keeps them: to take one back, add one that revoke --undo makes
    Remove(Remove),
}

#[derive(clap::Args, Debug)]
struct Add {
    /// Directory of the instance, or the folder that serve --only tuf publishes; trusted_root.json is there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Public key of somebody who signs revocations with a key; several by repeating
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Bundles of revocations, one a line, as revoke --bundle writes them
    #[arg(value_name = "BUNDLE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(clap::Args, Debug)]
struct List {
    /// Directory of the instance
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How the result is printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(clap::Args, Debug)]
struct Remove {
    /// Directory of the instance
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Which: the SHA-256 of its statement, as list shows it
    #[arg(value_name = "DIGEST", required = true)]
    statements: Vec<Digest>,
}

/// Does what is asked.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    match arguments.action {
        Action::Add(add) => {
            let directory = absolute(&add.dir)?;
            let mut keys = Vec::new();
            for key in &add.key {
                let key = KeyRef::parse(key)?;
                keys.push(sealmark_kms::load_public(&key, &key_options(terminal)).await?);
            }
            let mut bundles = Vec::new();
            for path in &add.files {
                let text = detached::read_bounded(path, MAX_FILE, "file of revocations")?;
                let lines = text.split(|byte| *byte == b'\n').zip(1..);
                let lines = lines.filter(|(line, _)| !line.trim_ascii().is_empty());
                bundles.extend(lines.map(|(line, number): (&[u8], u32)| {
                    (format!("{}:{number}", path.display()), line.to_vec())
                }));
            }
            let count = blocking(move || add_to_feed(&directory, &keys, bundles)).await?;
            terminal.line(format!(
                "{count} added to the feed of {}",
                add.dir.display()
            ))
        }
        Action::List(list) => {
            let directory = absolute(&list.dir)?;
            let feed = blocking(move || Ok(feed(&directory)?)).await?;
            tell(&feed, list.output, terminal)
        }
        Action::Remove(remove) => {
            let directory = absolute(&remove.dir)?;
            let wanted = remove.statements;
            let count = blocking(move || remove_from_feed(&directory, &wanted)).await?;
            terminal.line(format!("{count} removed"))
        }
    }
}

/// Adds bundles to the feed in `directory`, each with the name of where it is from; gives how many are new. Either all are
/// good or none is added.
pub(crate) fn add_to_feed(
    directory: &Path,
    keys: &[PublicKey],
    bundles: Vec<(String, Vec<u8>)>,
) -> Result<usize, Error> {
    let root = TrustedMaterial::from_file(&directory.join("trusted_root.json"))?.trusted_root;
    let trust = sealmark_verify::TrustedMaterial::new(&root);
    let mut new = Vec::new();
    for (place, json) in bundles {
        let one = One::read(&json).and_then(|one| one.check(&json, &trust, keys).map(|()| one));
        let one = one.map_err(|why| {
            Error::Usage(format!(
                "{place} is not taken into the feed: {}",
                printable(&why)
            ))
        })?;
        new.push((one.statement, json));
    }
    let mut count = 0;
    change_feed(directory, |feed: Feed| -> Result<Feed, Error> {
        let mut all: Vec<Vec<u8>> = feed.bundles().map(<[u8]>::to_vec).collect();
        let statement = |json: &[u8]| One::read(json).ok().map(|one| one.statement);
        let mut known: Vec<Digest> = all.iter().filter_map(|json| statement(json)).collect();
        for (statement, json) in new {
            if !known.contains(&statement) {
                known.push(statement);
                all.push(json);
                count += 1;
            }
        }
        Feed::of(all).map_err(|error| Error::Usage(error.to_string()))
    })?;
    Ok(count)
}

fn remove_from_feed(directory: &Path, wanted: &[Digest]) -> Result<usize, Error> {
    let mut count = 0;
    change_feed(directory, |feed: Feed| -> Result<Feed, Error> {
        let is_wanted = |json: &&[u8]| {
            let one = One::read(json).ok();
            !one.is_some_and(|one| wanted.contains(&one.statement))
        };
        let all = feed.bundles().count();
        let kept: Vec<&[u8]> = feed.bundles().filter(is_wanted).collect();
        count = all - kept.len();
        if count == 0 {
            return Err(Error::Usage("the feed has no such statement".to_owned()));
        }
        Feed::of(kept).map_err(|error| Error::Usage(error.to_string()))
    })?;
    Ok(count)
}

fn tell(feed: &Feed, output: Format, terminal: &mut Terminal) -> Result<(), Error> {
    let all: Vec<_> = feed.bundles().map(One::read).collect();
    if output == Format::Json {
        let shown = all.iter().map(|one| match one {
            Ok(one) => json!({"statement": one.statement, "revocation": one.revocation}),
            Err(why) => json!({"unreadable": why}),
        });
        return terminal.json(&shown.collect::<Vec<_>>());
    }
    for one in &all {
        terminal.line(match one {
            Ok(one) => {
                let scope = serde_json::to_string(&one.revocation.scope).unwrap_or_default();
                let (reason, text) = (one.revocation.reason.name(), &one.revocation.text);
                let statement = &one.statement;
                format!(
                    "{statement} {reason} {} {}",
                    printable(&scope),
                    printable(text)
                )
            }
            Err(why) => format!("not readable: {}", printable(why)),
        })?;
    }
    Ok(())
}

/// A revocation, read and not believed.
struct One {
    /// SHA-256 of the statement.
    statement: Digest,
    revocation: Revocation,
    about: Digest,
}

impl One {
    fn read(json: &[u8]) -> Result<Self, String> {
        let bundle = Bundle::parse(json.trim_ascii()).map_err(|error| error.to_string())?;
        let bundle::Content::Dsse(envelope) = &bundle.content else {
            return Err("it is a signature of a file, and no revocation".to_owned());
        };
        let statement = Statement::parse(&envelope.payload).map_err(|error| error.to_string())?;
        if statement.predicate_type != REVOCATION_V1 {
            return Err(format!(
                "it is no revocation but {}",
                statement.predicate_type
            ));
        }
        let predicate = statement.predicate.as_ref().map_or("null", |raw| raw.get());
        let revocation =
            Revocation::parse(predicate.as_bytes()).map_err(|error| error.to_string())?;
        let mut subjects = statement.subject.iter().flat_map(|one| &one.digest);
        let subject = subjects.find_map(|(name, hex)| format!("{name}:{hex}").parse().ok());
        let about = revocation.subject().or(subject);
        Ok(Self {
            statement: Digest::sha256(&envelope.payload),
            revocation,
            about: about.ok_or("it is about nothing")?,
        })
    }

    /// Whether somebody signed it whose key is known or whose identity the instance certified. Whether they may revoke is
    /// for each verifier to say.
    fn check(
        &self,
        json: &[u8],
        trust: &sealmark_verify::TrustedMaterial,
        keys: &[PublicKey],
    ) -> Result<(), String> {
        let content = Content::from_bundle(json.trim_ascii());
        let evidence = [detached::from_file("the bundle".to_owned(), content)];
        let artifact = Artifact::by_digest(self.about.clone());
        let none = Revocations::default();
        let now = trust_flags::now();
        let all = sealmark_verify::explain(&artifact, &evidence, trust, keys, &none, now);
        let Some(attachment) = all.first() else {
            return Err("it could not be looked at".to_owned());
        };
        for check in &attachment.checks {
            match &check.outcome {
                Outcome::Failed {
                    expected, found, ..
                } => {
                    return Err(format!(
                        "{}: expected {expected}, found {found}",
                        check.name.title()
                    ));
                }
                Outcome::Passed { .. } => {}
                _ if check.name == CheckName::Signature => {
                    return Err(
                        "its signature cannot be verified: give the key of whoever made it with --key"
                            .to_owned(),
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }
}
