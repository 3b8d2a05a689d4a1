//! `cargo xtask image`: the images that the tests sign, as an OCI layout in `.peers/images/oci`.
//!
//! Real packages, unpacked and put into layers by umoci. Invariant: the same packages give the same digests, whoever
//! builds: owners, times and order are fixed. Tags: `v1` (amd64, three layers), `v1-arm64`, `multi` (both, with
//! provenance as BuildKit attaches it) and `multi-shared` (both, with one attestation manifest listed twice).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::apt::Unpacked;
use crate::peers::{self, Archive};
use crate::process::{self, Outcome};

/// Changes with every change of this file that changes an image.
const RECIPE: &str = "2\n";

/// The time of every file and every history entry: 2025-01-01T00:00:00Z.
const CREATED: &str = "2025-01-01T00:00:00Z";

/// The packages of the layers, lowest first. The third layer is the application.
const LAYERS: [&[&str]; 2] = [&["base-files"], &["busybox-static", "netbase"]];

const APPLICATION: &str = "#!/bin/sh\necho \"signed, sealed, delivered\"\n";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const IN_TOTO: &str = "application/vnd.in-toto+json";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const PROVENANCE: &str = "https://slsa.dev/provenance/v0.2";

/// Builds the images for this checkout, if this recipe's are not there.
pub(crate) fn build(checkout: &Path) -> Outcome<()> {
    let root = peers::folder(checkout);
    let _lock = peers::lock(&root)?;
    build_in(&root, &mut None)
}

/// Like [`build`], for a caller that holds the lock and may have opened the archive.
pub(crate) fn build_in(root: &Path, archive: &mut Option<Archive>) -> Outcome<()> {
    let folder = root.join("images");
    let start = Instant::now();
    if std::fs::read_to_string(folder.join("recipe")).is_ok_and(|recipe| recipe == RECIPE) {
        println!("{:<16} v1 multi (was there)", "images");
        return Ok(());
    }
    let umoci = root.join("bin/umoci");
    if !umoci.is_file() {
        return Err("umoci is not in .peers/bin: run `cargo xtask peers` first".into());
    }
    let archive = match archive {
        Some(archive) => archive,
        empty => empty.insert(Archive::open(root)?),
    };
    let part = root.join("images.part");
    process::remove_dir(&part)?;
    process::create_dir(&part)?;
    let layout = Layout {
        umoci,
        folder: part.join("oci"),
        stage: part.join("stage"),
    };
    layout.umoci(&["init", "--layout", &layout.path()])?;
    layout.image(archive, "amd64", "v1")?;
    layout.image(archive, "arm64", "v1-arm64")?;
    layout.umoci(&["gc", "--layout", &layout.path()])?;
    layout.index("multi", true)?;
    layout.index("multi-shared", false)?;
    process::remove_dir(&layout.stage)?;
    process::write(&part.join("digests"), layout.digests()?)?;
    process::write(&part.join("recipe"), RECIPE)?;
    process::remove_dir(&folder)?;
    process::rename(&part, &folder)?;
    println!(
        "{:<16} v1 multi ({:.1} s)",
        "images",
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

struct Layout {
    umoci: PathBuf,
    folder: PathBuf,
    stage: PathBuf,
}

impl Layout {
    fn path(&self) -> String {
        self.folder.display().to_string()
    }

    fn umoci(&self, arguments: &[&str]) -> Outcome<()> {
        process::succeed(Command::new(&self.umoci).args(arguments)).map(|_| ())
    }

    /// A one-platform image: each layer's packages with dpkg's own record of what is installed so far.
    fn image(&self, archive: &mut Archive, architecture: &str, tag: &str) -> Outcome<()> {
        let image = format!("{}:{tag}", self.path());
        self.umoci(&["new", "--image", &image])?;
        let mut status = String::new();
        for packages in LAYERS {
            let stage = self.clean_stage()?;
            for name in packages {
                let package = archive.unpack(name, architecture)?;
                install(&package, &stage, &mut status)?;
            }
            process::write(&stage.join("var/lib/dpkg/status"), &status)?;
            if packages.contains(&"busybox-static") {
                peers::link(Path::new("busybox"), &stage.join("bin/sh"))?;
            }
            self.insert(&image, &format!("install {}", packages.join(" ")))?;
        }
        let program = self.clean_stage()?.join("usr/local/bin/hello");
        process::write(&program, APPLICATION)?;
        make_executable(&program)?;
        self.insert(&image, "copy hello")?;
        self.umoci(&[
            "config",
            "--image",
            &image,
            "--os=linux",
            &format!("--architecture={architecture}"),
            &format!("--created={CREATED}"),
            &format!("--history.created={CREATED}"),
            "--history.created_by=configure",
            "--config.env=PATH=/usr/local/bin:/usr/bin:/bin",
            "--config.cmd=/usr/local/bin/hello",
        ])
    }

    fn clean_stage(&self) -> Outcome<PathBuf> {
        process::remove_dir(&self.stage)?;
        process::create_dir(&self.stage)?;
        Ok(self.stage.clone())
    }

    /// Adds what is in the stage as a layer.
    fn insert(&self, image: &str, what: &str) -> Outcome<()> {
        let mut command = Command::new("find");
        command
            .arg(&self.stage)
            .args(["-exec", "touch", "--no-dereference"]);
        process::succeed(command.args([&format!("--date={CREATED}"), "{}", "+"]))?;
        // Rootless maps whoever builds to root inside of the image.
        self.umoci(&[
            "insert",
            "--rootless",
            "--image",
            image,
            &format!("--history.created={CREATED}"),
            &format!("--history.created_by={what}"),
            &self.stage.display().to_string(),
            "/",
        ])
    }

    /// Both platforms in one index, each with an attestation manifest in the form that BuildKit gives it:
    /// <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>. Without a subject in
    /// the statements, as BuildKit writes them for a build without a tag, both are the same manifest.
    fn index(&self, tag: &str, with_subject: bool) -> Outcome<()> {
        let path = self.folder.join("index.json");
        let mut top: Value = parse(&path)?;
        let mut manifests = Vec::new();
        let mut attestations = Vec::new();
        for (tag, platform) in [
            ("v1", json!({"architecture": "amd64", "os": "linux"})),
            (
                "v1-arm64",
                json!({"architecture": "arm64", "os": "linux", "variant": "v8"}),
            ),
        ] {
            let mut descriptor = find(&top, tag)?;
            descriptor["annotations"].take();
            let digest = descriptor["digest"].clone();
            attestations.push(self.attestation(&digest, with_subject)?);
            manifests.push(json!({
                "mediaType": MANIFEST, "digest": digest, "size": descriptor["size"],
                "platform": platform,
            }));
        }
        manifests.append(&mut attestations);
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        let mut descriptor = self.blob(INDEX, &index)?;
        descriptor["annotations"] = json!({REF_NAME: tag});
        let list = top["manifests"]
            .as_array_mut()
            .ok_or("index.json has no manifests")?;
        list.push(descriptor);
        process::write(&path, top.to_string())
    }

    fn attestation(&self, subject: &Value, with_subject: bool) -> Outcome<Value> {
        let hex = subject
            .as_str()
            .and_then(|digest| digest.strip_prefix("sha256:"));
        let hex = hex.ok_or("umoci wrote a digest that is not SHA-256")?;
        let subjects = match with_subject {
            true => json!([{"name": "pkg:docker/hello@v1", "digest": {"sha256": hex}}]),
            false => json!([]),
        };
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": PROVENANCE,
            "subject": subjects,
            "predicate": {
                "builder": {"id": ""},
                "buildType": "https://sealmark.example/test-image",
                "materials": [],
                "invocation": {"configSource": {}, "parameters": {}, "environment": {}},
                "metadata": {
                    "buildStartedOn": CREATED,
                    "buildFinishedOn": CREATED,
                    "completeness": {
                        "parameters": true, "environment": true, "materials": false,
                    },
                    "reproducible": true,
                },
            },
        });
        let mut layer = self.blob(IN_TOTO, &statement)?;
        layer["annotations"] = json!({"in-toto.io/predicate-type": PROVENANCE});
        let config = json!({
            "architecture": "unknown", "os": "unknown", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": self.blob(CONFIG, &config)?, "layers": [layer],
        });
        let mut descriptor = self.blob(MANIFEST, &manifest)?;
        descriptor["platform"] = json!({"architecture": "unknown", "os": "unknown"});
        descriptor["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": subject,
        });
        Ok(descriptor)
    }

    /// A line for each tag: its name and its digest, for readers without a JSON parser.
    fn digests(&self) -> Outcome<String> {
        let top = parse(&self.folder.join("index.json"))?;
        let manifests = top["manifests"].as_array().map_or(&[][..], Vec::as_slice);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let line = |descriptor: &Value| {
            let tag = text(&descriptor["annotations"][REF_NAME]);
            format!("{tag} {}\n", text(&descriptor["digest"]))
        };
        Ok(manifests.iter().map(line).collect())
    }

    /// Stores a document; its descriptor.
    fn blob(&self, media_type: &str, document: &Value) -> Outcome<Value> {
        let bytes = document.to_string();
        let digest = Sha256::digest(bytes.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        process::write(&self.folder.join("blobs/sha256").join(&hex), &bytes)?;
        Ok(json!({
            "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len(),
        }))
    }
}

/// Copies a package's files into `stage` and records it as dpkg does.
fn install(package: &Unpacked, stage: &Path, status: &mut String) -> Outcome<()> {
    let mut command = Command::new("cp");
    process::succeed(
        command
            .arg("--archive")
            .arg(package.tree.join("."))
            .arg(stage),
    )?;
    process::remove_dir(&stage.join(crate::apt::CONTROL))?;
    let control = package.control_file("control")?;
    for (at, line) in control.lines().enumerate() {
        status.push_str(line);
        status.push('\n');
        if at == 0 {
            status.push_str("Status: install ok installed\n");
        }
    }
    status.push('\n');
    let information = stage.join("var/lib/dpkg/info");
    let sums = package.control_file("md5sums")?;
    process::write(
        &information.join(format!("{}.md5sums", package.package)),
        &sums,
    )?;
    let files: String = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(_, file)| format!("/{file}\n"))
        .collect();
    process::write(
        &information.join(format!("{}.list", package.package)),
        files,
    )
}

fn make_executable(path: &Path) -> Outcome<()> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode)
        .map_err(|error| format!("cannot make {} executable: {error}", path.display()).into())
}

fn parse(path: &Path) -> Outcome<Value> {
    serde_json::from_slice(&process::read(path)?)
        .map_err(|error| format!("{} is not JSON: {error}", path.display()).into())
}

fn find(index: &Value, tag: &str) -> Outcome<Value> {
    let manifests = index["manifests"].as_array().map_or(&[][..], Vec::as_slice);
    let found = manifests
        .iter()
        .find(|descriptor| descriptor["annotations"][REF_NAME] == tag);
    Ok(found
        .ok_or_else(|| format!("umoci wrote no image {tag}"))?
        .clone())
}
