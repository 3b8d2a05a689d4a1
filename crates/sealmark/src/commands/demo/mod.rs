//! `demo`: the main job, on this machine alone.
//!
//! An embedded registry and an embedded private Sigstore in a temporary folder, images made here, and the very commands that a user would type,
//! run as processes of their own. Every step states what must come of it; if something else does, the demo fails.

mod images;
mod keyless;

use std::path::Path;
use std::time::{Duration, Instant};

use sealmark_oci::{Client, Options, Reference, Repository};
use sealmark_server::registry;

use crate::error::Error;
use crate::terminal::Terminal;

/// Password of the demo's key.
const PASSWORD: &str = "demo";
/// One step takes some tenths of a second; a step that hangs must not hang the demo.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {}

/// A step that was done.
struct Step {
    title: &'static str,
    exit: i32,
    took: Duration,
}

/// Runs commands as a user would.
struct Stage<'a> {
    terminal: &'a mut Terminal,
    directory: &'a Path,
    /// What commands have in `SIGSTORE_ID_TOKEN`.
    token: Option<String>,
    steps: Vec<Step>,
}

/// Walks through the demo.
pub(crate) async fn run(_: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let started = Instant::now();
    let failed = |cause| Error::Stream {
        action: "make a temporary folder",
        cause,
    };
    let directory = tempfile::Builder::new()
        .prefix("sealmark-demo-")
        .tempdir()
        .map_err(failed)?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .map_err(|cause| Error::Stream {
            action: "listen on 127.0.0.1",
            cause,
        })?;
    let address = listener.local_addr().map_err(|cause| Error::Stream {
        action: "listen on 127.0.0.1",
        cause,
    })?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let storage = directory.path().join("registry");
    let server = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        registry::serve(&storage, listener, stopped).await
    });
    let mut stage = Stage {
        terminal,
        directory: directory.path(),
        token: None,
        steps: Vec::new(),
    };
    let result = stage.play(&address.to_string()).await;
    let _ = stop.send(());
    // The registry answers what is in flight and ends.
    let _ = tokio::time::timeout(Duration::from_secs(5), server).await;
    result?;
    stage.summary(started.elapsed())
}

impl Stage<'_> {
    async fn play(&mut self, address: &str) -> Result<(), Error> {
        let repository: Repository = format!("{address}/app")
            .parse()
            .map_err(|error| Error::Oci(sealmark_oci::Error::from(error)))?;
        let client = Client::new(Options::default());
        self.say(&format!(
            "A registry runs at {address}, in a temporary folder."
        ))?;
        self.say("Three images are pushed: app:v1, app:v2, and app:multi for two platforms.")?;
        let base = ("etc/os-release", "NAME=demo\n");
        for (tag, text) in [("v1", "echo one\n"), ("v2", "echo two\n")] {
            let files = [base, ("app/run", text)];
            images::push_image(&client, &repository, Some(tag), "amd64", &files).await?;
        }
        let mut platforms = Vec::new();
        for architecture in ["amd64", "arm64"] {
            let files = [base, ("app/arch", architecture)];
            let image =
                images::push_image(&client, &repository, None, architecture, &files).await?;
            platforms.push(image);
        }
        images::push_index(&client, &repository, "multi", platforms).await?;

        let image = |tag: &str| format!("{address}/app:{tag}");
        let (v1, v2, multi) = (image("v1"), image("v2"), image("multi"));
        self.title("A key pair")?;
        self.say(&format!(
            "(COSIGN_PASSWORD={PASSWORD} is set, so nothing asks for a password.)"
        ))?;
        self.command("make a key pair", 0, &["generate-key-pair"])
            .await?;

        self.title("Sign an image, and verify it")?;
        self.command("sign an image", 0, &["sign", "--key", "cosign.key", &v1])
            .await?;
        self.command("verify it", 0, &["verify", "--key", "cosign.pub", &v1])
            .await?;
        self.command("sign it again", 0, &["sign", "--key", "cosign.key", &v1])
            .await?;

        self.title("An image nobody signed")?;
        self.command(
            "refuse an unsigned image",
            10,
            &["verify", "--key", "cosign.pub", &v2],
        )
        .await?;

        self.title("A signature that belongs to another image")?;
        self.say("Someone attaches the signature of app:v1 to app:v2.")?;
        self.attach_signature_of(&client, &v1, &v2).await?;
        self.command(
            "refuse a borrowed signature",
            12,
            &["verify", "--key", "cosign.pub", &v2],
        )
        .await?;

        self.title("Both forms of signature, and annotations")?;
        let both = [
            "sign",
            "--key",
            "cosign.key",
            "--format",
            "both",
            "-a",
            "stage=test",
            &v2,
        ];
        self.command("sign for old and new verifiers", 0, &both)
            .await?;
        let verify = ["verify", "--key", "cosign.pub", "-a", "stage=test", &v2];
        self.command("verify with an annotation", 0, &verify)
            .await?;
        let verify = [
            "verify",
            "--key",
            "cosign.pub",
            "-a",
            "stage=production",
            &v2,
        ];
        self.command("refuse a wrong annotation", 12, &verify)
            .await?;

        self.title("An image for several platforms")?;
        let sign = ["sign", "--key", "cosign.key", "--recursive", &multi];
        self.command("sign an index and its images", 0, &sign)
            .await?;
        self.command(
            "verify the index",
            0,
            &["verify", "--key", "cosign.pub", &multi],
        )
        .await?;

        self.title("A tag that is moved")?;
        self.say("Someone moves the tag v1 to other content.")?;
        let files = [base, ("app/run", "echo evil\n")];
        images::push_image(&client, &repository, Some("v1"), "amd64", &files).await?;
        self.command(
            "refuse moved content",
            10,
            &["verify", "--key", "cosign.pub", &v1],
        )
        .await?;

        self.title("What is attached to an image")?;
        self.command("show what is attached", 0, &["tree", &v2])
            .await?;

        self.title("A file")?;
        self.write("release.txt", "a release\n")?;
        let sign = [
            "sign-blob",
            "--key",
            "cosign.key",
            "--bundle",
            "release.sigstore.json",
            "release.txt",
        ];
        self.command("sign a file", 0, &sign).await?;
        let verify = [
            "verify-blob",
            "--key",
            "cosign.pub",
            "--bundle",
            "release.sigstore.json",
            "release.txt",
        ];
        self.command("verify a file", 0, &verify).await?;
        self.say("Someone changes the file.")?;
        self.write("release.txt", "another release\n")?;
        self.command("refuse a changed file", 12, &verify).await?;
        keyless::play(self, &client, address).await
    }

    /// What anyone with the right to push can do: attach a signature to an image it was not made for.
    async fn attach_signature_of(
        &self,
        client: &Client,
        from: &str,
        to: &str,
    ) -> Result<(), Error> {
        let parse = |text: &str| {
            text.parse::<Reference>()
                .map_err(|error| Error::Oci(sealmark_oci::Error::from(error)))
        };
        let (from, to) = (parse(from)?, parse(to)?);
        let repository = from.in_repository();
        let signed = client.resolve(&from).await?;
        let victim = client.resolve(&to).await?;
        let referrers = client.referrers(&repository, &signed.digest, None).await?;
        for referrer in referrers.descriptors {
            let manifest = client
                .manifest(&repository, &referrer.digest.to_string())
                .await?;
            let mut image = manifest.image()?;
            image.subject = Some(victim.clone());
            client
                .attach(
                    &repository,
                    &victim,
                    &manifest.media_type,
                    image.to_json().into(),
                )
                .await?;
        }
        Ok(())
    }

    fn title(&mut self, title: &str) -> Result<(), Error> {
        self.terminal.line(format!("\n== {title}"))
    }

    fn say(&mut self, text: &str) -> Result<(), Error> {
        self.terminal.line(text)
    }

    fn write(&self, name: &str, content: &str) -> Result<(), Error> {
        let path = self.directory.join(name);
        std::fs::write(&path, content).map_err(|cause| Error::file("write", path, cause))
    }

    /// Runs this program with these arguments, prints the command and what it printed, and checks the exit code.
    async fn command(
        &mut self,
        title: &'static str,
        expected: i32,
        arguments: &[&str],
    ) -> Result<(), Error> {
        self.terminal
            .line(format!("\n$ sealmark {}", arguments.join(" ")))?;
        let failed = |cause| Error::Stream {
            action: "run a step of the demo",
            cause,
        };
        let program = std::env::current_exe().map_err(failed)?;
        let started = Instant::now();
        let mut process = tokio::process::Command::new(program);
        match &self.token {
            Some(token) => process.env("SIGSTORE_ID_TOKEN", token),
            None => process.env_remove("SIGSTORE_ID_TOKEN"),
        };
        let output = process
            .args(arguments)
            .current_dir(self.directory)
            .env("COSIGN_PASSWORD", PASSWORD)
            .env("DOCKER_CONFIG", self.directory)
            .env_remove("COSIGN_REPOSITORY")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(STEP_TIMEOUT, output)
            .await
            .map_err(|_| Error::Timeout {
                after: STEP_TIMEOUT,
                last_request: None,
            })?
            .map_err(failed)?;
        let took = started.elapsed();
        let exit = output.status.code().unwrap_or(-1);
        // Standard output is written at the end, as on a terminal.
        self.terminal.bytes(&output.stderr)?;
        self.terminal.bytes(&output.stdout)?;
        if expected != 0 {
            self.terminal.line(format!("(exit code {exit})"))?;
        }
        self.steps.push(Step { title, exit, took });
        if exit == expected {
            return Ok(());
        }
        Err(Error::Verification {
            exit: crate::error::VerificationExit::NoMatch,
            message: format!("the step \"{title}\" ended with exit code {exit}, not {expected}"),
        })
    }

    fn summary(&mut self, took: Duration) -> Result<(), Error> {
        self.title("Summary")?;
        for Step { title, exit, took } in &self.steps {
            let millis = took.as_millis();
            self.terminal
                .line(format!("{title:<34} exit {exit:>2}  {millis:>5} ms"))?;
        }
        let count = self.steps.len();
        self.terminal.line(format!(
            "{count} steps, each with the result it must have, in {:.1} s. Nothing is left running.",
            took.as_secs_f64()
        ))
    }
}
