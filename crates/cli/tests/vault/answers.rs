//! Exit codes and JSON: the contract with scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::stage::{Stage, keepwell};

#[test]
fn wrong_usage_is_exit_2_and_touches_nothing() {
    let stage = Stage::bare();
    let (kit, inside, source) = (stage.text("kit"), stage.text("vault/kit"), stage.text("source"));
    let wrong: &[&[&str]] = &[
        &["init"],
        &["init", "--kit-out", &kit, "--disks", "0"],
        &["init", "--kit-out", &kit, "--layout", "2"],
        &["init", "--kit-out", &kit, "--disks", "2", "--layout", "2+1"],
        &["init", "--kit-out", &inside],
        &["backup", &source],
        &["backup", &source, "--unlock", "kit:one"],
        &["backup", &source, "--unlock", "tpm:x"],
        &["backup", &source, "--unlock", "kit:a,b", "--reread", "2"],
        &["backup", &source, "--unlock", "kit:a,b", "--level", "99"],
        &["backup", &source, "--unlock", "kit:a,b", "--password-file", "x"],
        &["backup", "smb://user@host/share", "--unlock", "kit:a,b"],
        &["verify", "--data"],
        &["restore", "latest", "--unlock", "kit:a,b"],
        &["frobnicate"],
    ];
    for arguments in wrong {
        let run = stage.run(arguments);
        assert_eq!((run.exit, run.answer["outcome"].as_str()), (2, Some("failed")), "{arguments:?}: {run:?}");
        assert!(!run.text("error").is_empty());
    }
    assert!(!stage.at("vault").exists() && !stage.at("kit").exists());
}

#[test]
fn an_smb_url_that_is_none_is_wrong_usage() {
    let stage = Stage::bare();
    fs::write(stage.at("password"), "x").unwrap();
    for url in ["smb://", "smb://host", "smb:share"] {
        let run = stage.run(&["backup", url, "--unlock", "kit:a,b", "--password-file", &stage.text("password")]);
        assert_eq!(run.exit, 2, "{url}: {run:?}");
    }
}

#[test]
fn failures_are_exit_1_with_a_message_and_leave_no_snapshot() {
    let stage = Stage::new(1);
    let fails: &[(&[&str], &str)] = &[
        (&["ls", "latest"], "no accepted snapshot"),
        (&["ls", "0123abcd"], "0123abcd"),
        (&["ls", "nobody@latest"], "nobody"),
        (&["backup", "/nonexistent/source"], "/nonexistent/source"),
    ];
    for (arguments, word) in fails {
        let (exit, message) = stage.open(arguments).failure();
        assert!(exit == 1 && message.contains(word), "{arguments:?}: {message}");
    }
    assert_eq!(stage.open(&["list"]).answer["snapshots"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_folder_that_is_no_vault_is_said_to_be_none() {
    let stage = Stage::new(1);
    let vault = stage.text("source");
    let output = keepwell(&["vault", "verify", "--vault", &vault, "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), answer["command"].as_str()), (Some(1), Some("verify")));
    assert!(answer["error"].as_str().unwrap().contains("disk-1"), "{answer}");
    assert!(!stage.at("source/cache").exists());
}

#[test]
fn what_could_not_be_read_is_a_gap_and_exit_3() {
    let stage = Stage::bare();
    fs::write(stage.at("source/locked"), "secret").unwrap();
    fs::set_permissions(stage.at("source/locked"), PermissionsExt::from_mode(0o000)).unwrap();
    let stage = stage.by_ordinary_user();
    assert_eq!(stage.run(&["init", "--kit-out", &stage.text("kit")]).exit, 0);

    let run = stage.open(&["backup", &stage.text("source")]);
    let gap = &run.answer["gaps"][0];
    assert_eq!((run.exit, run.answer["outcome"].as_str(), gap["path"].as_str()), (3, Some("partial"), Some("locked")), "{run:?}");
    assert_eq!(gap["reason"], "permission");
    let run = stage.open(&["restore", "latest", "--to", &stage.text("out")]);
    assert_eq!((run.exit, run.answer["missing"][0]["path"].as_str()), (3, Some("locked")), "{run:?}");
    let run = stage.open(&["restore", "latest", "--path", "letters", "--to", &stage.text("letters")]);
    assert_eq!(run.exit, 0, "{run:?}");
}

#[test]
fn progress_is_json_lines_on_standard_error() {
    let stage = Stage::new(1);
    let run = stage.open(&["backup", &stage.text("source")]);
    let lines: Vec<Value> = run.errors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["event"] == "progress" && line["step"] == "backup"), "{}", run.errors);
}

#[test]
fn help_and_version_are_answers() {
    for arguments in [&["--help"][..], &["--version"], &["vault", "--help"], &["vault", "backup", "--help"]] {
        let output = keepwell(arguments);
        assert!(output.status.success() && !output.stdout.is_empty(), "{arguments:?}");
    }
}
