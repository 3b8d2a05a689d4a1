//! A repository that the reference implementation wrote.

use std::path::Path;
use std::process::Command;

use sealmark_testkit::require_or_skip;

use crate::repository::Repository;
use crate::story::Story;

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/tuf_suite/python_repository.py"
);

#[test]
fn what_python_tuf_writes_is_read() {
    let python = require_or_skip!("python-tuf");
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(python)
        .arg(SCRIPT)
        .arg(folder.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let mut repository = Repository::new();
    repository.files.clear();
    collect(&mut repository, folder.path(), "");
    let mut story = Story::of(repository);
    story.accepts("three roots");
    assert_eq!(story.trusts(), "root 3, snapshot 1, targets 7, timestamp 1");
    story.downloads(&["a b/\u{e9}"]);
    // Through a delegation and hash bins.
    let names: Vec<String> = (0..20).map(|number| format!("packages/{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    story.downloads(&names);
    let downloaded = story.downloaded();
    assert_eq!(downloaded.len(), 21);
    assert_eq!(downloaded["packages%2F17"], b"packages/17");
    story.does_not_download(&["packages/20"], "has no target packages/20");
    story.repository.tamper("metadata/3.root.json", |text| {
        text.replace("tabbed", "Tabbed")
    });
    story.trust(&story.repository.root_json(1));
    story.differs("it has the third root already");
    story.refuses("a field that nobody knows", "0 valid signatures of the 1");
}

/// All files below `folder`, by their names on the server.
fn collect(repository: &mut Repository, folder: &Path, prefix: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            collect(repository, &path, &format!("{name}/"));
        } else {
            let content = std::fs::read(&path).unwrap();
            repository.files.insert(name, content);
        }
    }
}
