//! Several processes on one directory at once, and one that is killed between.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::story::{CLIENT, Story};

fn client(story: &Story, command: &str) -> Command {
    let mut client = Command::new(CLIENT);
    client.arg("--metadata-dir").arg(story.metadata());
    client.args(["--metadata-url", &story.url("metadata")]);
    client.args([
        "--target-name",
        "file",
        "--target-base-url",
        &story.url("targets"),
    ]);
    client.arg("--target-dir").arg(story.targets()).arg(command);
    client.stdout(Stdio::null()).stderr(Stdio::piped());
    client
}

fn publish_next(story: &mut Story) {
    for role in ["targets", "snapshot", "timestamp", "role"] {
        story.repository.bump(role);
    }
    let content = format!("version {}", story.repository.version("targets"));
    story.repository.target("role", "file", content.as_bytes());
    story.repository.next_root(&[]);
    story.repository.publish();
    story.upload();
}

#[test]
fn processes_at_once_do_not_harm_each_other() {
    let mut story = Story::new();
    story.differs("there are many of ours");
    let paths = serde_json::json!({"paths": ["*"]});
    story.repository.delegate("targets", "role", paths);
    publish_next(&mut story);
    for round in 0..4 {
        let children: Vec<_> = (0..6)
            .map(|number| {
                let command = if number % 2 == 0 {
                    "refresh"
                } else {
                    "download"
                };
                client(&story, command).spawn().unwrap()
            })
            .collect();
        // Nothing that was published goes away: whoever began before goes on with what there was.
        publish_next(&mut story);
        for child in children {
            let output = child.wait_with_output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "round {round}: {error}");
        }
    }
    story.downloads(&["file"]);
    let version = story.repository.version("targets");
    assert_eq!(
        story.downloaded()["file"],
        format!("version {version}").as_bytes()
    );
    assert!(
        story.trusts().contains(&format!("targets {version}")),
        "{}",
        story.trusts()
    );
}

#[test]
fn a_process_that_is_killed_leaves_what_the_next_can_use() {
    let mut story = Story::new();
    story.differs("only ours is killed");
    let paths = serde_json::json!({"paths": ["*"]});
    story.repository.delegate("targets", "role", paths);
    for delay in 0..20 {
        publish_next(&mut story);
        let mut child = client(&story, "download").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay * 3));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    story.downloads(&["file"]);
    let version = story.repository.version("targets");
    assert_eq!(
        story.downloaded()["file"],
        format!("version {version}").as_bytes()
    );
}
