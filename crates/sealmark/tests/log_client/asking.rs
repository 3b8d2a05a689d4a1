//! What is asked for wrongly is said, before anything is sent.

use crate::bench::Bench;
use crate::serving::{Log, json, signed, upload};

#[test]
fn what_is_missing_or_wrong_is_said_and_nothing_is_sent() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    signed(&bench, "file");
    signed(&bench, "other");
    bench.sandbox.write("junk", "junk");
    let cases: [(&[&str], &str); 17] = [
        (
            &["upload"],
            "the entry cannot be made: give the --artifact, or its --artifact-hash",
        ),
        (
            &[
                "upload",
                "--artifact",
                "file.txt",
                "--public-key",
                "file.pub",
            ],
            "the entry cannot be made: give the --signature",
        ),
        (
            &["upload", "--artifact-hash", "00", "--signature", "file.sig"],
            "--artifact-hash: \"sha256:00\" is not a digest: the number of hex digits does not fit the algorithm",
        ),
        (
            &[
                "upload",
                "--type",
                "dsse",
                "--artifact",
                "junk",
                "--public-key",
                "file.pub",
            ],
            "the entry was not sent: error processing entry: spec.proposedContent.envelope: not a valid DSSE envelope",
        ),
        (
            &[
                "upload",
                "--type",
                "intoto",
                "--artifact",
                "junk",
                "--public-key",
                "file.pub",
            ],
            "the entry cannot be made: not a valid DSSE envelope",
        ),
        (
            &["upload", "--type", "jar"],
            "the entry cannot be made: give the --artifact",
        ),
        (
            &["upload", "--type", "nothing"],
            "\"nothing\" is none of hashedrekord, dsse, intoto, rekord, helm, rpm, alpine, jar, tuf, cose, rfc3161",
        ),
        (
            &[
                "upload",
                "--artifact",
                "file.txt",
                "--signature",
                "other.sig",
                "--public-key",
                "file.pub",
            ],
            "the entry was not sent: error processing entry: ",
        ),
        (
            &[
                "upload",
                "--artifact",
                "file.txt",
                "--signature",
                "file.sig",
                "--public-key",
                "junk",
            ],
            "the entry cannot be made: ",
        ),
        (
            &["upload", "--artifact", "absent"],
            "the entry cannot be made: give the --artifact, or its --artifact-hash",
        ),
        (&["upload", "--entry", "absent"], "cannot read absent: "),
        (&["get"], "--uuid <UUID>"),
        (
            &["get", "--uuid", "0123"],
            "\"0123\" is not the UUID of an entry: that is 64 hex digits, or 80 with the tree's id before them",
        ),
        (
            &["search"],
            "say what to look for: --artifact, --sha, --public-key, --email or --subject",
        ),
        (
            &["proof", "--last-size", "5"],
            "--last-size 5: the log has 0 entries only",
        ),
        (
            &["info", "--output", "tle"],
            "--output tle is the form of entries, and a checkpoint is none; write --output json",
        ),
        (
            &[
                "get",
                "--uuid",
                "0000000000000000000000000000000000000000000000000000000000000000",
            ],
            "has no entry with the UUID 00",
        ),
    ];
    for (words, message) in cases {
        let failed = log.sealmark(&bench, words).run();
        assert_eq!(failed.exit_code(), Some(1), "{failed}");
        failed.stderr_has(message);
    }
    let info = log
        .sealmark(&bench, &["info", "-o", "json"])
        .run()
        .success();
    assert_eq!(json(&info)["TotalTreeSize"], 0, "nothing was logged");
    upload(&bench, &log, "file");
    upload(&bench, &log, "other");
    log.sealmark(&bench, &["proof", "--first-size", "2", "--last-size", "1"])
        .run()
        .failure()
        .stderr_has("--first-size 2 is more than the last size, 1");
    log.sealmark(&bench, &["proof", "--tree-id", "5"])
        .run()
        .failure()
        .stderr_has("has no tree 5");
    // The signature is in the log, and of another file.
    log.sealmark(&bench, &["verify", "--artifact", "junk"])
        .args(["--signature", "file.sig", "--public-key", "file.pub"])
        .run()
        .code(12)
        .stderr_has("no log can have this: error processing entry: ");
    log.stop();
}
