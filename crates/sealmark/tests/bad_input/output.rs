//! Output that goes nowhere, and text that would like to be more than text.

use sealmark_testkit::Finished;
use serde_json::{Value, json};

use crate::content::{Content, payload, sign};
use crate::{Ground, SEALMARK};

/// Runs a line of the shell, in which `$0` is the program.
fn shell(ground: &Ground, line: &str) -> Finished {
    ground
        .sandbox
        .command("/bin/sh")
        .args(["-c", line, SEALMARK])
        .run()
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let ground = Ground::new();
    for command in ["completion bash", "version", "--help"] {
        let line = format!("{{ sleep 0.2; \"$0\" {command} 2>err; echo $? >code; }} | true");
        shell(&ground, &line).success();
        assert_eq!(ground.read("err"), "", "{command}");
        assert_eq!(ground.read("code"), "0\n", "{command}");
    }
}

#[test]
fn a_reader_that_goes_away_changes_no_verdict() {
    let ground = Ground::new();
    ground
        .run("sign-blob --key cosign.key --bundle b.json app.txt")
        .success();
    ground.write("other.txt", "other");
    for (file, code) in [("app.txt", "0\n"), ("other.txt", "12\n")] {
        let line = format!(
            "{{ sleep 0.2; \"$0\" verify-blob -o json --key cosign.pub --bundle b.json {file} 2>err; echo $? >code; }} | true"
        );
        shell(&ground, &line).success();
        assert_eq!(ground.read("code"), code, "{file}");
    }
}

#[test]
fn a_message_that_nobody_reads_stops_nothing() {
    let ground = Ground::new();
    let (content, _) = Content::with_image();
    let server = content.serve();
    let line = format!(
        "{{ sleep 0.2; \"$0\" verify -v --key cosign.pub {}/team/app:v1; echo $? >code; }} 2>&1 | true",
        server.address()
    );
    shell(&ground, &line).success();
    assert_eq!(ground.read("code"), "10\n");
}

#[test]
fn a_full_disk_is_told() {
    let ground = Ground::new();
    let line = "\"$0\" completion bash >/dev/full";
    let finished = shell(&ground, line).code(1);
    assert_eq!(
        finished.stderr(),
        "error: cannot write the output: No space left on device (os error 28)\n"
    );
}

/// Clears the screen, is another line, turns the direction of writing, and is a control sequence of one character.
const HOSTILE: &str = "x\u{1b}[2J\nverified\u{202e}\u{9b}31m";

#[test]
fn signed_text_does_not_command_the_terminal() {
    let ground = Ground::new();
    let (mut content, image) = Content::with_image();
    let text = payload(&image, &json!({ HOSTILE: HOSTILE }));
    let signature = sign(&ground, &text);
    let layer = content.signed_layer(&text, &signature);
    content.legacy(&image, vec![layer]);
    let server = content.serve();
    let verify = |output: &str| {
        let address = server.address();
        let line = format!("verify --key cosign.pub -o {output} {address}/team/app:v1");
        let stdout = ground.run(&line).success().stdout();
        let raw = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!stdout.contains(raw), "{output}: {stdout:?}");
        stdout
    };
    let shown = r"x\u{1b}[2J\nverified\u{202e}\u{9b}31m";
    let line = format!("    signed annotation: {shown}={shown}\n");
    assert!(verify("text").contains(&line));
    // Programs get the very text.
    let json: Value = serde_json::from_str(&verify("json")).unwrap();
    let annotations = &json[0]["demands"][0]["attachments"][0]["claims"]["annotations"];
    assert_eq!(annotations[HOSTILE], HOSTILE);
    let json: Value = serde_json::from_str(&verify("cosign")).unwrap();
    assert_eq!(json[0]["optional"][HOSTILE], HOSTILE);
}
