//! Restores into folders that hold something: conflict rules, dry runs, reading back, receipts.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::stage::{Run, Stage, same};

/// A target with a file of its own, and another one where the backup has one.
fn occupied() -> (Stage, PathBuf) {
    let stage = Stage::new(1);
    stage.backup();
    let out = stage.at("out");
    fs::create_dir_all(out.join("letters/2026")).unwrap();
    fs::write(out.join("mine"), "keep").unwrap();
    fs::write(out.join("letters/2026/a.txt"), "changed since").unwrap();
    (stage, out)
}

fn restore(stage: &Stage, more: &[&str]) -> Run {
    let to = stage.text("out");
    stage.open(&[&["restore", "latest", "--to", &to], more].concat())
}

fn count(run: &Run, field: &str) -> u64 {
    run.answer[field].as_u64().unwrap_or_else(|| panic!("no {field}: {run:?}"))
}

#[test]
fn each_rule_does_what_it_says_and_the_dry_run_says_it_first() {
    let original = |stage: &Stage| fs::read(stage.at("source/letters/2026/a.txt")).unwrap();
    for (rule, counts, replaced) in
        [("skip", [0, 0, 1], false), ("newer", [0, 0, 1], false), ("rename", [0, 1, 0], false), ("replace", [1, 0, 0], true)]
    {
        let (stage, out) = occupied();
        let dry = restore(&stage, &["--conflict", rule, "--dry-run"]);
        assert_eq!((dry.exit, &dry.answer["dry_run"]), (0, &Value::from(true)), "{rule}: {dry:?}");
        assert_eq!(fs::read_dir(out.join("letters")).unwrap().count(), 1, "{rule}: nothing was written");
        let run = restore(&stage, &["--conflict", rule]);
        assert_eq!(run.exit, 0, "{rule}: {run:?}");
        for said in [&dry, &run] {
            assert_eq!(["replaced", "renamed", "skipped"].map(|field| count(said, field)), counts, "{rule}: {said:?}");
        }
        assert_eq!(["files", "folders", "others"].map(|f| count(&dry, f)), ["files", "folders", "others"].map(|f| count(&run, f)));
        assert_eq!(run.answer["conflicts"][0]["path"], "letters/2026/a.txt");
        assert_eq!(fs::read(out.join("letters/2026/a.txt")).unwrap() == original(&stage), replaced, "{rule}");
        assert_eq!((fs::read(out.join("mine")).unwrap(), out.join("letters/empty").exists()), (b"keep".to_vec(), true));
        if let Some(renamed) = run.answer["conflicts"][0]["renamed"].as_str() {
            assert!(renamed.starts_with("letters/2026/a (restored 20") && renamed.ends_with(").txt"), "{renamed}");
            assert_eq!(fs::read(out.join(renamed)).unwrap(), original(&stage));
        }
    }
}

#[test]
fn a_dry_run_makes_not_even_the_target() {
    let stage = Stage::new(1);
    stage.backup();
    let run = restore(&stage, &["--dry-run"]);
    assert_eq!((run.exit, count(&run, "files")), (0, 3), "{run:?}");
    assert!(!stage.at("out").exists());
    assert!(stage.words(&["restore", "latest", "--dry-run", "--to", &stage.text("out")]).contains("Nothing was written"));
}

#[test]
fn what_is_in_the_way_is_named_and_left() {
    let (stage, out) = occupied();
    fs::remove_dir_all(out.join("letters")).unwrap();
    fs::write(out.join("letters"), "a file").unwrap();
    for more in [&["--conflict", "replace"][..], &["--conflict", "replace", "--dry-run"]] {
        let run = restore(&stage, more);
        assert_eq!((run.exit, &run.answer["missing"][0]["path"]), (3, &Value::from("letters")), "{run:?}");
        assert_eq!(fs::read(out.join("letters")).unwrap(), b"a file");
    }
}

#[test]
fn reading_back_and_the_receipt() {
    let stage = Stage::new(1);
    let snapshot = stage.backup();
    let receipt = stage.text("receipt.json");
    let run = restore(&stage, &["--read-back", "--receipt", &receipt]);
    assert_eq!((run.exit, count(&run, "differing")), (0, 0), "{run:?}");
    assert!(count(&run, "compared") > 4);
    assert!(same(&stage.at("source"), &stage.at("out")));

    let text = fs::read_to_string(&receipt).unwrap();
    let kept: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&kept["receipt"], &kept["snapshot"]["id"], &kept["outcome"]), (&1.into(), &snapshot.into(), &"complete".into()));
    assert_eq!((&kept["conflict"], &kept["read_back"]), (&"refuse".into(), &true.into()));
    let files = kept["files"].as_array().unwrap();
    let a = files.iter().find(|entry| entry["path"] == "letters/2026/a.txt").unwrap();
    let content = fs::read(stage.at("source/letters/2026/a.txt")).unwrap();
    let hash: String = keepwell_crypt::object_id(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((&a["size"], &a["blake3"]), (&content.len().into(), &hash.into()));
    assert_eq!((&a["action"], &a["read_back"]), (&"created".into(), &"same".into()));
    assert_eq!((kept["entries"].as_u64(), kept["counts"]["files"].as_u64()), (Some(files.len() as u64), Some(3)));

    let lines = text
        .lines()
        .filter(|line| line.starts_with("{\"action\""))
        .fold(String::new(), |all, line| all + line.trim_end_matches(',') + "\n");
    let digest: String = keepwell_crypt::object_id(lines.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(kept["digest"], digest);
    let again = restore(&stage, &["--conflict", "skip", "--receipt", &receipt]);
    assert!(again.exit == 1 && again.failure().1.contains("receipt.json"), "a receipt is never overwritten: {again:?}");
}

#[test]
fn a_receipt_of_a_restore_that_is_not_whole_says_so() {
    let (stage, out) = occupied();
    fs::remove_dir_all(out.join("letters")).unwrap();
    fs::write(out.join("letters"), "a file").unwrap();
    let receipt = stage.text("receipt.json");
    assert_eq!(restore(&stage, &["--conflict", "skip", "--receipt", &receipt]).exit, 3);
    let kept: Value = serde_json::from_str(&fs::read_to_string(&receipt).unwrap()).unwrap();
    assert_eq!((&kept["outcome"], &kept["missing"][0]["path"]), (&"partial".into(), &"letters".into()));
}
