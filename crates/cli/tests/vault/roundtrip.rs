//! What goes in comes out, and the listings between say the truth.

use std::fs;
use std::os::unix::ffi::OsStringExt;

use crate::stage::{Stage, same};

#[test]
fn backup_list_ls_diff_restore_verify_stats() {
    let stage = Stage::new(3);
    let first = stage.backup();
    fs::write(stage.at("source/letters/2026/b.txt"), "Dear Madam").unwrap();
    fs::write(stage.at("source/letters/2026/a.txt"), "Dear Sirs").unwrap();
    fs::remove_file(stage.at("source/letters/empty")).unwrap();
    let second = stage.backup();

    let list = stage.open(&["list"]);
    let ids: Vec<_> = list.answer["snapshots"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&first, &second]);
    assert_eq!(list.answer["snapshots"][0]["name"], "source");

    let ls = stage.open(&["ls", "latest", "letters/2026"]);
    let paths: Vec<_> = ls.answer["entries"].as_array().unwrap().iter().map(|e| (e["path"].as_str(), e["size"].as_u64())).collect();
    assert_eq!(paths, [(Some("letters/2026/a.txt"), Some(9)), (Some("letters/2026/b.txt"), Some(10))]);

    let diff = stage.open(&["diff", &first, "source@latest"]);
    let mut changes: Vec<_> = diff.answer["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["path"].as_str().unwrap(), d["change"].as_str().unwrap()))
        .collect();
    changes.retain(|(_, change)| *change != "metadata");
    changes.sort_unstable();
    assert_eq!(changes, [("letters/2026/a.txt", "content"), ("letters/2026/b.txt", "added"), ("letters/empty", "removed")]);

    let restored = stage.open(&["restore", "latest", "--to", &stage.text("out")]);
    assert_eq!((restored.exit, restored.answer["outcome"].as_str()), (0, Some("complete")), "{restored:?}");
    assert!(same(&stage.at("source"), &stage.at("out")));

    let verify = stage.open(&["verify", "--data"]);
    assert_eq!((verify.exit, verify.answer["snapshots"].as_u64()), (0, Some(2)), "{verify:?}");
    assert_eq!(stage.run(&["verify"]).exit, 0);
    let stats = stage.open(&["stats"]);
    assert_eq!((stats.exit, stats.answer["snapshots"].as_u64(), stats.answer["disks"].as_array().unwrap().len()), (0, Some(2), 3));
    assert!(stats.answer["blobs"].as_u64() > Some(2));
    assert!(stage.run(&["stats"]).answer.get("blobs").is_none());
}

#[test]
fn restore_of_a_path_puts_what_it_held_into_the_target() {
    let stage = Stage::new(1);
    let snapshot = stage.backup();
    let run = stage.open(&["restore", &snapshot[..8], "--path", "/letters/2026/", "--to", &stage.text("out/deep")]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(same(&stage.at("source/letters/2026"), &stage.at("out/deep")));

    let file = stage.open(&["restore", "latest", "--path", "letters/2026/a.txt", "--to", &stage.text("one")]);
    assert_eq!((file.exit, file.answer["files"].as_u64(), file.answer["folders"].as_u64()), (0, Some(1), Some(0)), "{file:?}");
    assert_eq!(fs::read(stage.at("one/a.txt")).unwrap(), fs::read(stage.at("source/letters/2026/a.txt")).unwrap());
    assert_eq!(fs::read_dir(stage.at("one")).unwrap().count(), 1);

    let missing = stage.open(&["restore", "latest", "--path", "nowhere", "--to", &stage.text("other")]);
    assert_eq!(missing.exit, 1);
    assert!(missing.failure().1.contains("nowhere"), "{missing:?}");
}

#[test]
fn a_target_that_is_not_empty_is_left_alone() {
    let stage = Stage::new(1);
    stage.backup();
    fs::create_dir(stage.at("out")).unwrap();
    fs::write(stage.at("out/mine"), "keep").unwrap();
    let (exit, message) = stage.open(&["restore", "latest", "--to", &stage.text("out")]).failure();
    assert!(exit == 1 && message.contains("not empty"), "{message}");
    assert_eq!(fs::read_dir(stage.at("out")).unwrap().count(), 1);
}

#[test]
fn names_that_are_no_utf8_are_listed_whole_and_restored() {
    let stage = Stage::new(1);
    let name = std::ffi::OsString::from_vec(b"caf\xe9".to_vec());
    fs::write(stage.at("source/letters").join(&name), "latin-1").unwrap();
    stage.backup();
    let ls = stage.open(&["ls", "latest", "letters"]);
    let entry = ls.answer["entries"].as_array().unwrap().iter().find(|entry| entry.get("path_hex").is_some()).unwrap();
    assert_eq!(entry["path_hex"], "6c6574746572732f636166e9");
    assert!(stage.words(&["ls", "latest", "letters"]).contains("caf\\xe9"));
    assert_eq!(stage.open(&["restore", "latest", "--to", &stage.text("out")]).exit, 0);
    assert!(same(&stage.at("source"), &stage.at("out")));
}

#[test]
fn people_read_words_and_tables() {
    let stage = Stage::new(2);
    assert!(stage.words(&["list"]).contains("no snapshots"));
    let said = stage.words(&["backup", "--name", "practice", &stage.text("source")]);
    assert!(said.contains("'practice'") && said.contains("3 files") || said.contains("4 files"), "{said}");
    let list = stage.words(&["list"]);
    assert!(list.lines().count() == 2 && list.contains("complete") && list.ends_with("practice\n"), "{list}");
    let ls = stage.words(&["ls", "practice@latest"]);
    assert!(ls.contains("letters/") && ls.contains("link -> letters/2026/a.txt"), "{ls}");
    assert!(stage.words(&["verify"]).contains("as it should be"));
}
