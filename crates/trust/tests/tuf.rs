//! A private repository, used by people and attacked by others.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_trust::tuf::{Initialized, Options, RootSource, initialize, refresh};
use sealmark_trust::{Error, TrustedMaterial};
use support::*;
use tempfile::TempDir;

struct Story {
    server: Server,
    root_key: PrivateKey,
    online: PrivateKey,
    root: Vec<u8>,
    cache: TempDir,
}

impl Story {
    /// A repository with one root, version 5 of everything else, and an empty cache.
    fn new() -> Self {
        let (root_key, online) = (key(), PrivateKey::generate(Algorithm::Ed25519).unwrap());
        let root = RootSpec {
            version: 1,
            keys: &[&root_key],
            threshold: 1,
            online: &online,
            expires: LATER,
        }
        .signed_by(&[&root_key]);
        let files = Files::default();
        publish(&files, &online, 5, LATER);
        Self {
            server: Server::start(files),
            root_key,
            online,
            root,
            cache: tempfile::tempdir().unwrap(),
        }
    }

    fn options(&self) -> Options {
        Options {
            mirror: self.server.url.clone(),
            ..Options::new(self.cache.path(), NOW.parse().unwrap())
        }
    }

    fn offline(&self) -> Options {
        Options {
            offline: true,
            ..self.options()
        }
    }

    async fn initialize(&self) -> Result<Initialized, Error> {
        let options = Options {
            root: Some(self.root.clone()),
            ..self.options()
        };
        initialize(&options, &RootSource::Embedded, None).await
    }

    /// The next root, with the same keys unless others are given.
    fn next_root(&self, version: u64, keys: &[&PrivateKey], online: &PrivateKey) -> RootParts {
        let spec = RootSpec {
            version,
            keys,
            threshold: 1,
            online,
            expires: LATER,
        };
        // Two signatures with one id are not allowed.
        let mut signers = vec![&self.root_key];
        signers.extend(
            keys.iter()
                .filter(|key| key_id(key) != key_id(&self.root_key)),
        );
        RootParts {
            name: format!("{version}.root.json"),
            json: spec.signed_by(&signers),
        }
    }

    fn put(&self, name: &str, content: &[u8]) {
        let mut files = self.server.files.lock().unwrap();
        files.insert(name.to_owned(), content.to_vec());
    }

    /// The directory of the repository in the cache.
    fn directory(&self) -> std::path::PathBuf {
        std::fs::read_dir(self.cache.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.is_dir())
            .unwrap()
    }

    async fn error(&self) -> Error {
        refresh(&self.options()).await.expect_err("must be refused")
    }
}

struct RootParts {
    name: String,
    json: Vec<u8>,
}

#[tokio::test]
async fn a_repository_is_initialised_refreshed_and_used_without_a_network() {
    let story = Story::new();
    let done = story.initialize().await.unwrap();
    assert_eq!((done.root_version, done.targets.len()), (1, 2));
    // The mirror is remembered for commands that name none.
    let cache = story.cache.path().as_os_str().to_owned();
    let environment = |name: &str| (name == "TUF_ROOT").then(|| cache.clone());
    let now = NOW.parse().unwrap();
    let options = Options::from_environment(environment, now).unwrap();
    assert_eq!(options.mirror, story.server.url);
    let material = TrustedMaterial::from_tuf(&options).await.unwrap();
    assert_eq!(material.trusted_root.tlogs.len(), 2);

    publish(&story.server.files, &story.online, 6, LATER);
    let repository = refresh(&options).await.unwrap();
    assert_eq!(repository.target("note.txt").await.unwrap(), b"note 6");

    story.server.asked.lock().unwrap().clear();
    let repository = refresh(&story.offline()).await.unwrap();
    assert_eq!(repository.target("note.txt").await.unwrap(), b"note 6");
    assert!(
        story.server.asked.lock().unwrap().is_empty(),
        "offline, nothing is asked"
    );
}

#[tokio::test]
async fn roots_are_followed_one_by_one_also_when_all_keys_change() {
    let story = Story::new();
    story.initialize().await.unwrap();
    let (second, third) = (key(), key());
    let next = story.next_root(2, &[&second], &story.online);
    story.put(&next.name, &next.json);
    let spec = RootSpec {
        version: 3,
        keys: &[&third],
        threshold: 1,
        online: &story.online,
        expires: LATER,
    };
    story.put("3.root.json", &spec.signed_by(&[&second, &third]));
    assert_eq!(refresh(&story.options()).await.unwrap().root_version(), 3);
    // The way from the pinned root is in the cache, and is gone again.
    assert_eq!(refresh(&story.offline()).await.unwrap().root_version(), 3);
    let asked = story.server.asked.lock().unwrap().clone();
    refresh(&story.options()).await.unwrap();
    let asked_again = story.server.asked.lock().unwrap()[asked.len()..].to_vec();
    assert_eq!(asked_again, ["4.root.json", "timestamp.json"]);
}

#[tokio::test]
async fn a_root_counts_only_if_the_root_before_it_signs_it() {
    let story = Story::new();
    story.initialize().await.unwrap();
    let stranger = key();
    let spec = RootSpec {
        version: 2,
        keys: &[&stranger],
        threshold: 1,
        online: &stranger,
        expires: LATER,
    };
    for (signers, what) in [
        (&[&stranger][..], "the new keys alone"),
        (&[&story.root_key], "the old keys alone"),
        (&[], "nobody"),
    ] {
        story.put("2.root.json", &spec.signed_by(signers));
        let error = story.error().await;
        assert!(
            matches!(error, Error::Threshold { role: "root", .. }),
            "{what}: {error}"
        );
    }
    // A version is not skipped.
    let skipped = story.next_root(3, &[&story.root_key], &story.online);
    story.put("2.root.json", &skipped.json);
    assert!(matches!(story.error().await, Error::Mismatch { .. }));
}

#[tokio::test]
async fn a_threshold_is_of_keys_not_of_signatures() {
    let story = Story::new();
    let (one, two) = (key(), key());
    let spec = RootSpec {
        version: 1,
        keys: &[&one, &two],
        threshold: 2,
        online: &story.online,
        expires: LATER,
    };
    for (signers, good) in [
        (&[&one, &two][..], true),
        (&[&one, &one], false),
        (&[&one, &story.online], false),
        (&[&one], false),
    ] {
        let options = Options {
            root: Some(spec.signed_by(signers)),
            ..story.options()
        };
        let result = refresh(&options).await;
        assert_eq!(result.is_ok(), good, "{:?}", result.err());
    }
}

#[tokio::test]
async fn what_has_expired_is_refused_with_the_date() {
    let story = Story::new();
    story.initialize().await.unwrap();
    publish(&story.server.files, &story.online, 6, BEFORE);
    let error = story.error().await;
    assert!(
        matches!(
            error,
            Error::Expired {
                role: "timestamp",
                version: 6,
                offline: false,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("2026-05-01T00:00:00Z"),
        "{error}"
    );
    // Offline, the cache's word ends when it says so.
    let later = Options {
        now: LATER.parse().unwrap(),
        ..story.offline()
    };
    let error = refresh(&later).await.unwrap_err();
    assert!(
        matches!(error, Error::Expired { offline: true, .. }),
        "{error}"
    );
    // An expired root is refused, whatever it signs.
    let spec = RootSpec {
        version: 2,
        keys: &[&story.root_key],
        threshold: 1,
        online: &story.online,
        expires: BEFORE,
    };
    story.put("2.root.json", &spec.signed_by(&[&story.root_key]));
    assert!(matches!(
        story.error().await,
        Error::Expired { role: "root", .. }
    ));
}

#[tokio::test]
async fn what_was_trusted_does_not_go_back() {
    let story = Story::new();
    story.initialize().await.unwrap();
    publish(&story.server.files, &story.online, 4, LATER);
    let error = story.error().await;
    assert!(
        matches!(
            error,
            Error::Rollback {
                trusted: 5,
                offered: 4,
                ..
            }
        ),
        "{error}"
    );
    // Set up anew on purpose.
    story.initialize().await.unwrap();
    assert_eq!(
        refresh(&story.options())
            .await
            .unwrap()
            .target("note.txt")
            .await
            .unwrap(),
        b"note 4"
    );
}

#[tokio::test]
async fn after_a_key_was_exchanged_its_versions_no_longer_bind() {
    let story = Story::new();
    publish(&story.server.files, &story.online, 1_000_000, LATER);
    story.initialize().await.unwrap();
    let fresh = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let next = story.next_root(2, &[&story.root_key], &fresh);
    story.put(&next.name, &next.json);
    publish(&story.server.files, &fresh, 7, LATER);
    let repository = refresh(&story.options()).await.unwrap();
    assert_eq!(repository.target("note.txt").await.unwrap(), b"note 7");
}

#[tokio::test]
async fn files_that_are_not_as_described_are_refused() {
    let story = Story::new();
    story.initialize().await.unwrap();
    publish(&story.server.files, &story.online, 6, LATER);
    let snapshot = story.server.files.lock().unwrap()["6.snapshot.json"].clone();
    // Longer, and another of the same length.
    story.put("6.snapshot.json", &[&snapshot[..], b" "].concat());
    assert!(matches!(story.error().await, Error::TooLarge { .. }));
    let other = String::from_utf8(snapshot.clone())
        .unwrap()
        .replacen("snapshot", "snapshox", 1);
    story.put("6.snapshot.json", other.as_bytes());
    assert!(matches!(story.error().await, Error::Mismatch { .. }));
    story.put("6.snapshot.json", &snapshot[1..]);
    assert!(matches!(story.error().await, Error::Mismatch { .. }));
    story.put("6.snapshot.json", &snapshot);
    // A target.
    let hash = Digest::sha256(b"note 6").hex();
    story.put(&format!("targets/{hash}.note.txt"), b"note X");
    let repository = refresh(&story.options()).await.unwrap();
    let error = repository.target("note.txt").await.unwrap_err();
    assert!(
        matches!(error, Error::Mismatch { by: "targets", .. }),
        "{error}"
    );
    let error = repository.target("absent").await.unwrap_err();
    assert!(error.to_string().contains("trusted_root.json"), "{error}");
}

#[tokio::test]
async fn endless_data_ends() {
    let story = Story::new();
    story.initialize().await.unwrap();
    for name in ["2.root.json", "timestamp.json"] {
        story.put(name, ENDLESS);
        let error = story.error().await;
        assert!(matches!(error, Error::TooLarge { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn unsigned_and_malformed_metadata_is_refused() {
    let story = Story::new();
    story.initialize().await.unwrap();
    publish(&story.server.files, &key(), 6, LATER);
    assert!(matches!(
        story.error().await,
        Error::Threshold {
            role: "timestamp",
            ..
        }
    ));
    for json in [
        &b"{}"[..],
        b"",
        b"[]",
        b"{\"signatures\":[],\"signed\":1.5}",
    ] {
        story.put("timestamp.json", json);
        let error = story.error().await;
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    story.server.files.lock().unwrap().remove("timestamp.json");
    assert!(matches!(story.error().await, Error::Missing { .. }));
}

#[tokio::test]
async fn a_cache_that_was_tampered_with_is_not_believed() {
    let story = Story::new();
    story.initialize().await.unwrap();
    let directory = story.directory();
    let target = directory.join("targets/trusted_root.json");
    let good = std::fs::read(&target).unwrap();
    std::fs::write(&target, b"{}").unwrap();
    let error = TrustedMaterial::from_tuf(&story.offline())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    // With a network it is fetched again.
    TrustedMaterial::from_tuf(&story.options()).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), good);
    let targets = directory.join("targets.json");
    let text = std::fs::read_to_string(&targets).unwrap();
    std::fs::write(&targets, text.replace("note.txt", "nite.txt")).unwrap();
    let error = refresh(&story.offline()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Threshold {
                role: "targets",
                ..
            }
        ),
        "{error}"
    );
    std::fs::remove_file(&targets).unwrap();
    let error = refresh(&story.offline()).await.unwrap_err();
    assert!(matches!(error, Error::NotCached { .. }), "{error}");
}

#[tokio::test]
async fn an_initialise_that_fails_leaves_the_old_cache_whole() {
    let story = Story::new();
    story.initialize().await.unwrap();
    let hash = Digest::sha256(TRUSTED_ROOT).hex();
    story.put(&format!("targets/{hash}.trusted_root.json"), b"{}");
    story.initialize().await.unwrap_err();
    TrustedMaterial::from_tuf(&story.offline()).await.unwrap();
}

#[tokio::test]
async fn the_root_is_the_one_that_was_meant_or_none() {
    let story = Story::new();
    let file = story.cache.path().join("given.json");
    std::fs::write(&file, &story.root).unwrap();
    let file = RootSource::Location(file.to_str().unwrap().to_owned());
    story.put("given.json", &story.root);
    let url = RootSource::Location(format!("{}/given.json", story.server.url));
    let sha256 = Digest::sha256(&story.root).hex();
    let sha512 = Digest::of(sealmark_formats::HashAlgorithm::Sha512, &story.root).hex();
    let sha512 = format!("sha512:{sha512}");
    let wrong = "0".repeat(64);
    for (source, checksum, good) in [
        (&file, None, true),
        (&file, Some(sha256.as_str()), true),
        (&file, Some(sha512.as_str()), true),
        (&file, Some(wrong.as_str()), false),
        (&file, Some("abc"), false),
        (&url, None, false),
        (&url, Some(sha256.as_str()), true),
        (&url, Some(wrong.as_str()), false),
        (&RootSource::Embedded, None, false),
    ] {
        let result = initialize(&story.options(), source, checksum).await;
        assert_eq!(
            result.is_ok(),
            good,
            "{source:?} {checksum:?}: {:?}",
            result.err()
        );
    }
}

#[tokio::test]
async fn a_repository_in_a_directory_needs_no_server() {
    let story = Story::new();
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in story.server.files.lock().unwrap().iter() {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let options = Options {
        mirror: format!("file://{}", directory.path().display()),
        root: Some(story.root.clone()),
        ..story.options()
    };
    TrustedMaterial::from_tuf(&options).await.unwrap();
    let bucket = Options {
        mirror: "sigstore-tuf-root".to_owned(),
        ..options
    };
    let error = refresh(&bucket).await.unwrap_err();
    assert!(error.to_string().contains("not supported"), "{error}");
}

#[tokio::test]
async fn delegated_targets_are_found_kept_and_used_without_a_network() {
    let story = Story::new();
    let delegate = key();
    // A name that the cache has for something else.
    for name in ["role", "anchor"] {
        publish_delegated(&story.server.files, &story.online, &delegate, name, 6);
        let done = story.initialize().await.unwrap();
        assert_eq!(done.targets.len(), 2, "the top-level role's own");
        let repository = refresh(&story.options()).await.unwrap();
        assert!(repository.has("delegated.txt").await.unwrap());
        assert!(!repository.has("absent.txt").await.unwrap());
        assert_eq!(
            repository.target("delegated.txt").await.unwrap(),
            b"delegated 6"
        );
        let repository = refresh(&story.offline()).await.unwrap();
        assert_eq!(
            repository.target("delegated.txt").await.unwrap(),
            b"delegated 6"
        );
    }
    publish_delegated(&story.server.files, &story.online, &key(), "anchor", 7);
    let repository = refresh(&story.options()).await.unwrap();
    let role = story.server.files.lock().unwrap()["6.anchor.json"].clone();
    story.put("7.anchor.json", &role);
    let error = repository.target("delegated.txt").await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Threshold {
                role: "targets",
                ..
            }
        ),
        "{error}"
    );
    // What was kept of the role is not what the snapshot describes now.
    let error = refresh(&story.offline())
        .await
        .unwrap()
        .target("delegated.txt")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Threshold { .. }), "{error}");
}

#[tokio::test]
async fn offline_the_way_begins_at_the_pinned_root() {
    let story = Story::new();
    story.initialize().await.unwrap();
    let second = story.next_root(2, &[&story.root_key], &story.online);
    story.put(&second.name, &second.json);
    refresh(&story.options()).await.unwrap();
    // Another root than the one that was pinned leads nowhere, whatever the cache has.
    let stranger = key();
    let other = RootSpec {
        version: 1,
        keys: &[&stranger],
        threshold: 1,
        online: &stranger,
        expires: LATER,
    };
    let options = Options {
        root: Some(other.signed_by(&[&stranger])),
        ..story.offline()
    };
    let error = refresh(&options).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Threshold {
                role: "timestamp",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(refresh(&story.offline()).await.unwrap().root_version(), 2);
    // Without the way, the pinned root alone is believed, and still signs the rest.
    let history = story.directory().join("root_history/2.root.json");
    std::fs::write(&history, b"{}").unwrap();
    std::fs::remove_file(story.directory().join("root.json")).unwrap();
    assert_eq!(refresh(&story.offline()).await.unwrap().root_version(), 1);
    // The network mends it.
    assert_eq!(refresh(&story.options()).await.unwrap().root_version(), 2);
    assert_eq!(std::fs::read(&history).unwrap(), second.json);
}

/// Says to [`one_of_many_processes`] that it is one, and where.
const ONE_OF_MANY: [&str; 3] = [
    "SEALMARK_TEST_MIRROR",
    "SEALMARK_TEST_CACHE",
    "SEALMARK_TEST_MODE",
];

/// Not a test by itself: what the processes of the next one do.
#[test]
fn one_of_many_processes() {
    let [Ok(mirror), Ok(cache), Ok(mode)] = ONE_OF_MANY.map(std::env::var) else {
        return;
    };
    let options = Options {
        mirror,
        offline: mode == "offline",
        ..Options::new(cache, NOW.parse().unwrap())
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..5 {
            if mode == "initialize" {
                let root = RootSource::Location(format!("{}/pinned.json", options.cache.display()));
                initialize(&options, &root, None).await.unwrap();
                continue;
            }
            let repository = refresh(&options).await.unwrap();
            repository.target("trusted_root.json").await.unwrap();
            if mode == "delegated" {
                repository.target("delegated.txt").await.unwrap();
            }
        }
    });
}

#[test]
fn processes_on_one_cache_do_not_harm_each_other() {
    let story = Story::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let delegate = key();
    let publish = |version| {
        publish_delegated(
            &story.server.files,
            &story.online,
            &delegate,
            "role",
            version,
        );
    };
    publish(6);
    runtime.block_on(story.initialize()).unwrap();
    std::fs::write(story.cache.path().join("pinned.json"), &story.root).unwrap();
    let modes = [
        "refresh",
        "offline",
        "delegated",
        "delegated",
        "initialize",
        "offline",
    ];
    let children: Vec<_> = modes
        .iter()
        .map(|mode| {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "one_of_many_processes", "--nocapture"])
                .env(ONE_OF_MANY[0], &story.server.url)
                .env(ONE_OF_MANY[1], story.cache.path())
                .env(ONE_OF_MANY[2], mode)
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for version in 7..20 {
        publish(version);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for (mode, child) in modes.iter().zip(children) {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{mode}: {text}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("1 passed"), "{mode}: {text}");
    }
    let left = runtime.block_on(refresh(&story.options())).unwrap();
    assert_eq!(
        runtime.block_on(left.target("delegated.txt")).unwrap(),
        b"delegated 19"
    );
}

#[test]
fn threads_that_refresh_at_once_do_not_harm_each_other() {
    let story = Story::new();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    runtime().block_on(story.initialize()).unwrap();
    // A lock of a file excludes other openings of it, in this process as in others.
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let repository = runtime().block_on(refresh(&story.options())).unwrap();
                    runtime().block_on(repository.target("note.txt")).unwrap();
                    runtime().block_on(refresh(&story.offline())).unwrap();
                }
            });
        }
        scope.spawn(|| {
            for version in 6..20 {
                publish(&story.server.files, &story.online, version, LATER);
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        });
    });
    runtime().block_on(refresh(&story.offline())).unwrap();
}
