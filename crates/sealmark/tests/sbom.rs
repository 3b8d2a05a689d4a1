//! SBOMs of images and directories that are made here: only what survives counts, nothing hostile gets far, and what is
//! attested can be verified.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use std::collections::BTreeSet;
use std::io::Write as _;

use base64::Engine as _;
use bench::{Bench, SEALMARK, Tool, json};
use flate2::Compression;
use flate2::write::GzEncoder;
use sealmark_formats::Digest;
use sealmark_formats::predicate::Format;
use sealmark_testkit::{Finished, SealmarkRegistry};
use serde_json::Value;

const DEBIAN: &str =
    "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
const STATUS: &str = "Package: bash\nStatus: install ok installed\nMaintainer: A <a@example.com>\nArchitecture: amd64\n\
    Version: 5.2.15-2+b7\nSource: bash (5.2.15-2)\nDepends: libc6 (>= 2.36)\n\n\
    Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\nSource: glibc\n\n\
    Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n";
const COPYRIGHT: &str = "Files: *\nLicense: GPL-3.0-or-later\n\nFiles: x\nLicense: my own words\n";
const METADATA: &str =
    "Metadata-Version: 2.1\nName: Flask\nVersion: 3.0.3\nLicense-Expression: BSD-3-Clause\n";
const ALPINE: &str = "ID=alpine\nVERSION_ID=3.19.1\n";
const APK: &str = "P:musl\nV:1.2.4-r4\nA:x86_64\nL:MIT\no:musl\np:so:libc.musl-x86_64.so.1=1\n\n\
    P:musl-utils\nV:1.2.4-r4\nA:x86_64\nL:MIT\no:musl\nD:so:libc.musl-x86_64.so.1\n";

/// A ustar header and the content, padded. `size` is what the header says.
fn member(path: &str, kind: u8, size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut bytes = header.to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes: Vec<u8> = files
        .iter()
        .flat_map(|(path, content)| member(path, b'0', content.len() as u64, content.as_bytes()))
        .collect();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Makes a layout with an image of these layers, and copies it into the registry with skopeo's part played by hand:
/// what is wrong with the layers must arrive as it is.
struct Ground {
    bench: Bench,
    registry: SealmarkRegistry,
    runtime: tokio::runtime::Runtime,
}

impl Ground {
    fn new() -> Self {
        Self {
            bench: Bench::new(),
            registry: SealmarkRegistry::start(SEALMARK),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    fn put(&self, url: &str, media_type: &str, body: Vec<u8>) {
        let client = reqwest::Client::new();
        let request = client
            .put(url)
            .header("content-type", media_type)
            .body(body);
        let answer = self.runtime.block_on(request.send()).unwrap();
        assert_eq!(answer.status(), 201, "{url}");
    }

    fn blob(&self, name: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let host = format!("http://{}", self.registry.address());
        let start = reqwest::Client::new().post(format!("{host}/v2/{name}/blobs/uploads/"));
        let answer = self.runtime.block_on(start.send()).unwrap();
        let place = answer.headers()["location"].to_str().unwrap().to_owned();
        let place = match place.starts_with('/') {
            true => format!("{host}{place}"),
            false => place,
        };
        let mark = if place.contains('?') { '&' } else { '?' };
        self.put(
            &format!("{place}{mark}digest={digest}"),
            "application/octet-stream",
            bytes.to_vec(),
        );
        digest
    }

    /// Pushes an image and gives its reference.
    fn image(&self, name: &str, layers: &[Vec<u8>]) -> String {
        let config =
            br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let descriptor = |media_type: &str, bytes: &[u8]| serde_json::json!({"mediaType": media_type, "size": bytes.len(), "digest": self.blob(name, bytes)});
        let layers: Vec<Value> = layers
            .iter()
            .map(|bytes| descriptor("application/vnd.oci.image.layer.v1.tar+gzip", bytes))
            .collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": layers,
        });
        let address = self.registry.address();
        self.put(
            &format!("http://{address}/v2/{name}/manifests/v1"),
            "application/vnd.oci.image.manifest.v1+json",
            manifest.to_string().into_bytes(),
        );
        format!("{address}/{name}:v1")
    }

    fn sbom(&self, format: &str, subject: &str) -> Finished {
        self.bench
            .run(Tool::Sealmark)
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .args(["sbom", "--output", format, subject])
            .run()
    }

    /// The package URLs, as both documents have them, which must be well formed.
    #[track_caller]
    fn purls(&self, subject: &str) -> BTreeSet<String> {
        let spdx = json(&self.sbom("spdx-json", subject).success());
        let cyclonedx = json(&self.sbom("cyclonedx-json", subject).success());
        for document in [&spdx, &cyclonedx] {
            let text = document.to_string();
            let format = Format::of(text.as_bytes()).unwrap();
            assert_eq!(format.check(text.as_bytes()), Ok(()));
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let packages = spdx["packages"].as_array().unwrap().iter();
        let of_spdx: BTreeSet<String> = packages
            .filter(|package| package["SPDXID"] != "SPDXRef-Subject")
            .filter_map(|package| text(&package["externalRefs"][0]["referenceLocator"]))
            .collect();
        let components = cyclonedx["components"].as_array().unwrap().iter();
        let of_cyclonedx: BTreeSet<String> =
            components.filter_map(|it| text(&it["purl"])).collect();
        assert_eq!(of_spdx, of_cyclonedx);
        of_spdx
    }
}

fn debian() -> Vec<u8> {
    gzip(&tar(&[
        ("etc/os-release", DEBIAN),
        ("var/lib/dpkg/status", STATUS),
        ("usr/share/doc/bash/copyright", COPYRIGHT),
        (
            "usr/lib/python3/dist-packages/flask-3.0.3.dist-info/METADATA",
            METADATA,
        ),
        ("opt/venv/flask-3.0.3.dist-info/METADATA", METADATA),
    ]))
}

const BASH: &str =
    "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12&upstream=bash%405.2.15-2";
const LIBC: &str = "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc";
const FLASK: &str = "pkg:pypi/flask@3.0.3";

#[test]
fn only_what_survives_the_layers_is_listed() {
    let ground = Ground::new();
    let set =
        |list: &[&str]| -> BTreeSet<String> { list.iter().map(|it| (*it).to_owned()).collect() };
    for (name, above, expected) in [
        ("whole", None, &[BASH, LIBC, FLASK][..]),
        (
            "no-dpkg",
            Some(&[("var/lib/dpkg/.wh.status", "")][..]),
            &[FLASK],
        ),
        (
            "opaque",
            Some(&[("var/lib/.wh..wh..opq", ""), ("opt/.wh.venv", "")]),
            &[FLASK],
        ),
        (
            "no-python",
            Some(&[
                ("usr/lib/python3/.wh.dist-packages", ""),
                ("opt/venv/.wh..wh..opq", ""),
            ]),
            &[BASH, LIBC],
        ),
        (
            "covered",
            Some(&[("opt", "no directory"), ("usr/lib/python3", "")]),
            &[BASH, LIBC],
        ),
        (
            "one-less",
            Some(&[(
                "var/lib/dpkg/status",
                "Package: bash\nStatus: purge ok not-installed\n",
            )]),
            &[FLASK],
        ),
    ] {
        let mut layers = vec![debian()];
        layers.extend(above.map(|files| gzip(&tar(files))));
        let image = ground.image(name, &layers);
        assert_eq!(ground.purls(&image), set(expected), "{name}");
    }
    // Images without a package manager have one file for each package; layers need not be packed.
    let distroless = tar(&[
        ("usr/lib/os-release", DEBIAN),
        (
            "var/lib/dpkg/status.d/base",
            "Package: libc6\nVersion: 2.36-9\nArchitecture: amd64\nSource: glibc\n",
        ),
        (
            "var/lib/dpkg/status.d/base.md5sums",
            "00  usr/lib/libc.so\n",
        ),
    ]);
    assert_eq!(
        ground.purls(&ground.image("distroless", &[distroless])),
        set(&[LIBC])
    );
    // Made as rpm makes it: see rpmdb.py beside it.
    let database = include_bytes!("../../sbom/fixtures/rpmdb.sqlite");
    let path = "var/lib/rpm/rpmdb.sqlite";
    let mut rpm = member(path, b'0', database.len() as u64, database);
    rpm.resize(rpm.len() + 1024, 0);
    let found = ground.purls(&ground.image("rpm", &[gzip(&rpm)]));
    assert_eq!(found.len(), 40);
    assert!(
        found
            .contains("pkg:rpm/pkg7@7.0-1.el9?arch=x86_64&epoch=2&upstream=pkg7-7.0-1.el9.src.rpm")
    );
    let alpine = gzip(&tar(&[
        ("etc/os-release", ALPINE),
        ("lib/apk/db/installed", APK),
    ]));
    let image = ground.image("alpine", &[alpine]);
    assert_eq!(
        ground.purls(&image),
        set(&[
            "pkg:apk/alpine/musl@1.2.4-r4?arch=x86_64&distro=alpine-3.19.1",
            "pkg:apk/alpine/musl-utils@1.2.4-r4?arch=x86_64&distro=alpine-3.19.1&upstream=musl",
        ])
    );
}

#[test]
fn documents_say_where_of_which_licence_and_what_is_needed_and_are_reproducible() {
    let ground = Ground::new();
    let image = ground.image("app", &[debian()]);
    for format in ["spdx-json", "cyclonedx-json", "table"] {
        let one = ground.sbom(format, &image).success().stdout();
        assert_eq!(one, ground.sbom(format, &image).success().stdout());
    }
    let layer = Digest::sha256(&debian()).to_string();
    let spdx = json(&ground.sbom("spdx-json", &image).success());
    assert_eq!(spdx["creationInfo"]["created"], "2023-11-14T22:13:20Z");
    let packages = spdx["packages"].as_array().unwrap();
    let of = |name: &str| packages.iter().find(|it| it["name"] == name).unwrap();
    let bash = of("bash");
    let declared = bash["licenseDeclared"].as_str().unwrap();
    let own = spdx["hasExtractedLicensingInfos"][0].clone();
    assert_eq!(own["extractedText"], "my own words");
    assert_eq!(
        declared,
        format!(
            "GPL-3.0-or-later AND {}",
            own["licenseId"].as_str().unwrap()
        )
    );
    assert_eq!(bash["supplier"], "Person: A <a@example.com>");
    let found = bash["sourceInfo"].as_str().unwrap();
    assert_eq!(
        found,
        format!("found in /var/lib/dpkg/status in layer {layer}")
    );
    let flask = of("flask")["sourceInfo"].as_str().unwrap();
    assert!(
        flask.contains("/opt/venv/") && flask.contains("/usr/lib/python3/"),
        "{flask}"
    );
    let needs = serde_json::json!({
        "spdxElementId": of("libc6")["SPDXID"],
        "relationshipType": "DEPENDENCY_OF",
        "relatedSpdxElement": bash["SPDXID"],
    });
    assert!(spdx["relationships"].as_array().unwrap().contains(&needs));
    let cyclonedx = json(&ground.sbom("cyclonedx-json", &image).success());
    let dependencies = serde_json::json!([{"ref": BASH, "dependsOn": [LIBC]}]);
    assert_eq!(cyclonedx["dependencies"], dependencies);
    let digest = cyclonedx["metadata"]["component"]["version"]
        .as_str()
        .unwrap();
    assert!(digest.starts_with("sha256:"), "{digest}");
    let table = ground.sbom("table", &image).success().stdout();
    assert!(table.starts_with("NAME   VERSION"), "{table}");
    assert_eq!(table.lines().count(), 4);
}

#[test]
fn hostile_layers_end_with_a_reason() {
    let ground = Ground::new();
    let status = member("var/lib/dpkg/status", b'0', 1 << 25, b"Package: a\n");
    let mut bomb = member("zeros", b'0', 1 << 30, b"");
    bomb.resize(400 << 20, 0);
    let mut broken = debian();
    let middle = broken.len() / 2;
    broken[middle..middle + 40].fill(0x55);
    let mut long = member("././@LongLink", b'L', 1 << 32, b"");
    long.resize(8192, b'a');
    for (name, layer, reason) in [
        ("lies", gzip(&status), "the tar archive ends too early"),
        (
            "bomb",
            gzip(&bomb),
            "it unpacks to more than 200 times its size",
        ),
        ("cut", debian()[..200].to_vec(), ""),
        ("broken", broken, ""),
        ("no-tar", gzip(&[b'a'; 5000]), "not a tar archive"),
        (
            "long",
            gzip(&long),
            "not supported: a name or header of 4294967296 bytes",
        ),
        (
            "zstd",
            b"\x28\xb5\x2f\xfd0000".to_vec(),
            "layers packed with zstd",
        ),
    ] {
        let image = ground.image(name, &[debian(), layer.clone()]);
        let ended = ground.sbom("spdx-json", &image).failure();
        let ended = ended.stderr_has(&format!(
            "cannot look through layer {}",
            Digest::sha256(&layer)
        ));
        ended.stderr_has(reason);
    }
    // A path that leads out is left out, and the document says so; an absolute one is one from the root.
    let tricks = gzip(&tar(&[
        ("/etc/os-release", DEBIAN),
        ("../../var/lib/dpkg/status", STATUS),
        ("/./var//lib/dpkg/status", STATUS),
    ]));
    let image = ground.image("tricks", &[tricks]);
    assert_eq!(ground.purls(&image).len(), 2);
    let document = ground.sbom("cyclonedx-json", &image).success();
    let document = json(&document.stderr_has("leads out of the image"));
    assert_eq!(document["compositions"][0]["aggregate"], "incomplete");
}

#[test]
fn layers_that_are_not_what_their_digest_says_count_for_nothing() {
    let ground = Ground::new();
    let image = ground.image("app", &[debian()]);
    let digest = Digest::sha256(&debian());
    let mut found = 0;
    let mut folders = vec![ground.registry.data()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(&digest.hex()) {
                let other = gzip(&tar(&[("etc/os-release", DEBIAN)]));
                if std::fs::metadata(&path).unwrap().len() == debian().len() as u64 {
                    std::fs::write(path, other).unwrap();
                    found += 1;
                }
            }
        }
    }
    assert_eq!(found, 1);
    ground
        .sbom("table", &image)
        .failure()
        .stderr_has(&digest.hex());
}

#[test]
fn a_directory_is_looked_through_without_following_links() {
    let ground = Ground::new();
    let sandbox = &ground.bench.sandbox;
    let directory = sandbox.join("project");
    std::fs::create_dir_all(directory.join("deep")).unwrap();
    std::fs::write(directory.join("deep/requirements.txt"), "flask==3.0.3\n").unwrap();
    let outside = sandbox.join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("requirements.txt"), "requests==2.0\n").unwrap();
    std::os::unix::fs::symlink(&outside, directory.join("link")).unwrap();
    std::os::unix::fs::symlink(&directory, directory.join("loop")).unwrap();
    let found = ground.purls(directory.to_str().unwrap());
    assert_eq!(found, BTreeSet::from([FLASK.to_owned()]));
}

#[test]
fn an_sbom_is_attested_in_one_step_and_verified() {
    let ground = Ground::new();
    ground.bench.make_key("ecdsa-p256", "alice");
    let image = ground.image("app", &[debian()]);
    for (format, name) in [("spdx-json", "spdxjson"), ("cyclonedx-json", "cyclonedx")] {
        ground
            .bench
            .run(Tool::Sealmark)
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .args(["attest", "--key", "alice.key", "--sbom", format, &image])
            .run()
            .success();
        let verify = [
            "verify-attestation",
            "--key",
            "alice.pub",
            "--output",
            "cosign",
            "--type",
            name,
            &image,
        ];
        let verified = ground.bench.sealmark(&verify).success().stdout();
        let line = verified.lines().find(|line| line.starts_with('{')).unwrap();
        let envelope: Value = serde_json::from_str(line).unwrap();
        let payload = envelope["payload"].as_str().unwrap().to_owned();
        let payload = base64::engine::general_purpose::STANDARD.decode(payload);
        let statement: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
        assert_eq!(
            statement["predicate"],
            json(&ground.sbom(format, &image).success())
        );
    }
    let refused = [
        "attest",
        "--recursive",
        "--key",
        "alice.key",
        "--sbom",
        "spdx-json",
        &image,
    ];
    ground.bench.sealmark(&refused).failure();
    let blob = [
        "attest-blob",
        "--key",
        "alice.key",
        "--sbom",
        "spdx-json",
        "alice.pub",
    ];
    ground
        .bench
        .sealmark(&blob)
        .failure()
        .stderr_has("--sbom is for images");
}
