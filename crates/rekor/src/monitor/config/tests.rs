use super::*;

fn shown(yaml: &str) -> Vec<String> {
    let config = Config::parse(yaml).unwrap();
    config.conditions.iter().map(Condition::to_string).collect()
}

/// The example of rekor-monitor's README, field for field, with a fingerprint that is one.
#[test]
fn a_file_of_rekor_monitor_means_the_same() {
    let yaml = r"
startIndex: 1000
endIndex: 2000
monitoredValues:
  certIdentities:
    - certSubject: user@domain\.com
    - certSubject: otheruser@domain\.com
      issuers:
        - https://accounts\.google\.com
        - https://github\.com/login
  subjects:
    - subject@domain\.com
  fingerprints:
    - A0B1C2D3E4F5A0B1C2D3E4F5A0B1C2D3E4F5A0B1
  fulcioExtensions:
    build-config-uri:
      - https://example.com/owner/repository/build-config.yml
  customExtensions:
    - objectIdentifier: 1.3.6.1.4.1.57264.1.9
      extensionValues: https://github.com/x/y.yml@v1.4.0
outputIdentities: identities.txt
logInfoFile: logInfo.txt
identityMetadataFile: metadata.json
githubIssue: {assigneeUsername: someone}
";
    assert_eq!(
        shown(yaml),
        [
            r"identity /user@domain\.com/",
            r"identity /otheruser@domain\.com/ of issuer /https://accounts\.google\.com/ or /https://github\.com/login/",
            r"subject /subject@domain\.com/",
            "key a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3e4f5a0b1",
            r#"extension 1.3.6.1.4.1.57264.1.9 "https://github.com/x/y.yml@v1.4.0""#,
            r#"extension 1.3.6.1.4.1.57264.1.18 "https://example.com/owner/repository/build-config.yml""#,
        ]
    );
    let config = Config::parse(yaml).unwrap();
    assert_eq!((config.start, config.end), (Some(1000), Some(2000)));
    assert_eq!(config.log_info_file, Some(PathBuf::from("logInfo.txt")));
    assert_eq!(config.unused.len(), 3, "{:?}", config.unused);
}

#[test]
fn matchers_of_extensions_have_two_forms() {
    let list = "
monitoredValues:
  oidMatchers:
    - {objectIdentifier: 1.2.3, extensionValues: [a, b]}
";
    assert_eq!(shown(list), [r#"extension 1.2.3 "a" or "b""#]);
    let names = "
monitoredValues:
  oidMatchers:
    oidExtensions:
      - {objectIdentifier: 1.2.3, extensionValues: [a]}
    customExtensions:
      - {objectIdentifier: 1.2.4, extensionValues: [b]}
    fulcioExtensions:
      issuer: https://id.example.com
      source-repository-visibility-at-signing: [public]
      github-workflow-sha: [abc]
";
    assert_eq!(
        shown(names),
        [
            r#"extension 1.2.3 "a""#,
            r#"extension 1.2.4 "b""#,
            r#"extension 1.3.6.1.4.1.57264.1.1 "https://id.example.com""#,
            r#"extension 1.3.6.1.4.1.57264.1.8 "https://id.example.com""#,
            r#"extension 1.3.6.1.4.1.57264.1.22 "public""#,
            r#"extension 1.3.6.1.4.1.57264.1.3 "abc""#,
        ]
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (yaml, line, reason) in [
        ("monitoredValue: {}\n", "line 1", "monitoredValue"),
        (
            "monitoredValues:\n  certIdentities:\n    - subject: a\n",
            "line 3",
            "subject",
        ),
        (
            "monitoredValues:\n  certIdentities:\n    - certSubject: a\n    - certSubject: '('\n",
            "line 4",
            "is no pattern",
        ),
        (
            "monitoredValues:\n  fingerprints:\n    - A0B1C2D3E4F5\n",
            "line 3",
            "is no fingerprint",
        ),
        (
            "monitoredValues:\n  fulcioExtensions:\n    build-uri: [a]\n",
            "line 3",
            "no extension of Fulcio",
        ),
        (
            "monitoredValues:\n  customExtensions:\n    - {objectIdentifier: build, extensionValues: a}\n",
            "line 3",
            "no object identifier",
        ),
        ("startIndex: -1\n", "line 1", ""),
    ] {
        let error = Config::parse(yaml).unwrap_err();
        assert!(
            error.contains(line) && error.contains(reason),
            "{yaml}: {error}"
        );
    }
}

#[test]
fn a_file_that_asks_for_nothing_is_one() {
    assert!(shown("").is_empty());
    assert!(shown("monitoredValues: {}\n").is_empty());
    assert!(shown("monitoredValues:\n  certIdentities: []\n").is_empty());
}
