//! Names of roles and targets: in URLs, and as names of files. And targets themselves (5.7).

use serde_json::json;

use crate::play;
use crate::repository::quote;
use crate::story::Story;

#[test]
fn roles_of_any_name_stay_in_their_directory() {
    for name in [
        "role",
        "?",
        "#",
        "a b",
        "/absolute",
        "../above",
        "../../../above",
        ".",
        "..",
        "dir/role",
        "dir\\role",
        "100%",
        "%2e%2e%2fabove",
        "r\u{f6}le \u{1F511}",
        "1.root",
        "a.json",
        "quote\"quote",
        "-",
        "*",
    ] {
        println!("case: {name:?}");
        let mut story = Story::new();
        story
            .repository
            .delegate("targets", name, json!({"paths": ["*"]}));
        story.repository.target(name, "file", b"content").publish();
        // The server has the role by its quoted name only.
        let asked = story.asked(|story| story.downloads(&["file"]));
        let expected = format!("metadata/1.{}.json", quote(name));
        assert!(asked.contains(&expected), "{asked:?}");
        let file = story.metadata().join(format!("{}.json", quote(name)));
        assert!(file.is_file(), "{}", file.display());
        assert!(
            story.trusts().contains(&format!("{name} 1")),
            "{}",
            story.trusts()
        );
        story.downloads(&["file"]);
    }
}

#[test]
fn targets_of_any_name_are_downloaded_into_one_directory() {
    for (path, file) in [
        ("file", "file"),
        ("directory/file", "directory%2Ffile"),
        ("a/b/c.tar.gz", "a%2Fb%2Fc.tar.gz"),
        ("a b", "a%20b"),
        ("a%20b", "a%2520b"),
        ("r\u{f6}le", "r%C3%B6le"),
        ("\u{1F511}", "%F0%9F%94%91"),
        ("file?query", "file%3Fquery"),
        ("a+b~c-d_e.f", "a%2Bb~c-d_e.f"),
        ("a:b@c,d;e=f&g", "a%3Ab%40c%2Cd%3Be%3Df%26g"),
        ("[a](b)!*'", "%5Ba%5D%28b%29%21%2A%27"),
        ("http:file", "http%3Afile"),
        (".hidden", ".hidden"),
        ("-option", "-option"),
        ("--option", "--option"),
        ("download", "download"),
        ("x.json", "x.json"),
    ] {
        println!("case: {path:?}");
        let mut story = Story::new();
        story
            .repository
            .target("targets", path, path.as_bytes())
            .publish();
        story.downloads(&[path]);
        let downloaded = story.downloaded();
        assert_eq!(
            downloaded.get(file).map(Vec::as_slice),
            Some(path.as_bytes()),
            "{downloaded:?}"
        );
        assert_eq!(downloaded.len(), 1);
        let asked = story.asked(|story| story.downloads(&[path]));
        assert!(
            asked.iter().all(|path| path.starts_with("metadata/")),
            "{asked:?}"
        );
    }
    // Names that the reference client cannot download.
    for (path, file) in [("a#b", "a%23b"), ("a\\b", "a%5Cb")] {
        let mut story = Story::new();
        story
            .repository
            .target("targets", path, path.as_bytes())
            .publish();
        story.differs("the reference client cuts at #, and its HTTP library changes \\");
        story.downloads(&[path]);
        assert_eq!(story.downloaded()[file], path.as_bytes());
    }
    // Names that lead elsewhere on the server, or nowhere.
    for path in [
        "..",
        "../../metadata/1.root.json",
        "/file",
        "//other/file",
        "a/../b",
    ] {
        let mut story = Story::new();
        story
            .repository
            .target("targets", path, b"content")
            .publish();
        story.differs("what such names mean is the server's affair");
        let _ = story.download(&[path]);
        for name in story.downloaded().keys() {
            assert!(!name.contains('/'), "{name}");
        }
        assert!(story.metadata().join("root.json").is_file());
    }
}

#[test]
fn targets_are_what_their_metadata_says() {
    play(&[
        ("several at once", |story| {
            for name in ["one", "two", "three"] {
                story.repository.target("targets", name, name.as_bytes());
            }
            story.repository.publish();
            story.downloads(&["one", "two", "three"]);
            assert_eq!(story.downloaded().len(), 3);
        }),
        ("of no bytes", |story| {
            story.repository.target("targets", "empty", b"").publish();
            story.downloads(&["empty"]);
            assert_eq!(story.downloaded()["empty"], b"");
            story.downloads(&["empty"]);
        }),
        ("with one hash only", |story| {
            for (name, other) in [("sha256", "sha512"), ("sha512", "sha256")] {
                story.repository.target("targets", name, name.as_bytes());
                let hashes = &mut story.repository.role("targets")["targets"][name]["hashes"];
                hashes.as_object_mut().unwrap().remove(other);
            }
            story.repository.publish();
            story.downloads(&["sha256", "sha512"]);
        }),
        (
            "with a hash that is wrong beside one that is right",
            |story| {
                for hash in ["sha256", "sha512"] {
                    story.repository.target("targets", hash, b"content");
                    let target = &mut story.repository.role("targets")["targets"][hash];
                    let length = target["hashes"][hash].as_str().unwrap().len();
                    target["hashes"][hash] = json!("0".repeat(length));
                    // The server has it by that name, too.
                    let name = format!("targets/{}.{hash}", "0".repeat(length));
                    story.repository.files.insert(name, b"content".to_vec());
                }
                story.repository.publish();
                story.does_not_download(&["sha256"], "its sha256 is");
                story.does_not_download(&["sha512"], "its sha512 is");
                assert!(story.downloaded().is_empty());
            },
        ),
        ("without a hash", |story| {
            story.repository.target("targets", "file", b"content");
            story.repository.role("targets")["targets"]["file"]["hashes"] = json!({});
            story.repository.publish();
            story.does_not_download(&["file"], "hashes are given, but none is");
        }),
        ("with a hash that nobody can compute", |story| {
            story.repository.target("targets", "file", b"content");
            story.repository.role("targets")["targets"]["file"]["hashes"]["whirlpool9"] =
                json!("00");
            story.repository.publish();
            story.does_not_download(&["file"], "is none of sha256");
        }),
        ("longer or shorter than said", |story| {
            story.repository.target("targets", "file", b"content");
            for (length, reason) in [(6, "larger than 6 bytes"), (8, "7 bytes instead of 8")] {
                story.repository.role("targets")["targets"]["file"]["length"] = json!(length);
                for role in ["targets", "snapshot", "timestamp"] {
                    story.repository.bump(role);
                }
                story.repository.publish();
                story.does_not_download(&["file"], reason);
            }
            assert!(story.downloaded().is_empty());
        }),
        ("another content on the server", |story| {
            story
                .repository
                .target("targets", "file", b"content")
                .publish();
            let files = &mut story.repository.files;
            files
                .values_mut()
                .filter(|file| *file == b"content")
                .for_each(|file| {
                    *file = b"CONTENT".to_vec();
                });
            story.does_not_download(
                &["file"],
                "target file is not the file that targets describes",
            );
            assert!(story.downloaded().is_empty());
        }),
        ("another content on the disk", |story| {
            story
                .repository
                .target("targets", "file", b"content")
                .publish();
            story.downloads(&["file"]);
            for other in [&b"CONTENT"[..], b"", b"much longer content"] {
                for client in ["ours", "reference"] {
                    story.write(&format!("{client}/targets/file"), other);
                }
                story.downloads(&["file"]);
                assert_eq!(story.downloaded()["file"], b"content");
            }
        }),
        ("a new content of the same name", |story| {
            story.repository.target("targets", "file", b"one").publish();
            story.downloads(&["file"]);
            story.repository.target("targets", "file", b"two");
            for role in ["targets", "snapshot", "timestamp"] {
                story.repository.bump(role);
            }
            story.repository.publish();
            story.downloads(&["file"]);
            assert_eq!(story.downloaded()["file"], b"two");
            // One that cannot be had leaves the old one.
            story.repository.target("targets", "file", b"three");
            for role in ["targets", "snapshot", "timestamp"] {
                story.repository.bump(role);
            }
            story.repository.publish();
            story
                .repository
                .files
                .retain(|_, content| content != b"three");
            story.does_not_download(&["file"], "has no");
            assert_eq!(story.downloaded()["file"], b"two");
        }),
        ("one that is not listed", |story| {
            story.repository.target("targets", "file", b"content");
            story.repository.role("targets")["targets"] = json!({});
            story.repository.publish();
            story.does_not_download(&["file"], "has no target file; it has none");
        }),
        ("nothing is downloaded where metadata is refused", |story| {
            story
                .repository
                .target("targets", "file", b"content")
                .publish();
            story
                .repository
                .signers
                .insert("timestamp".to_owned(), Vec::new());
            story.repository.serve("timestamp");
            let asked = story.asked(|story| story.does_not_download(&["file"], "valid signatures"));
            assert!(
                asked.iter().all(|path| path.starts_with("metadata/")),
                "{asked:?}"
            );
        }),
    ]);
}
