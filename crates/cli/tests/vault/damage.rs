//! Lost disks and damage, seen from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;

use crate::stage::{Stage, same};

#[test]
fn a_lost_disk_is_named_reads_go_on_and_repair_fills_an_empty_one() {
    let stage = Stage::new(3);
    stage.backup();
    fs::remove_dir_all(stage.at("vault/disk-2")).unwrap();
    let run = stage.open(&["restore", "latest", "--to", &stage.text("out")]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(run.errors.contains("disk-2"), "{}", run.errors);
    assert!(same(&stage.at("source"), &stage.at("out")));

    let verify = stage.run(&["verify"]);
    assert_eq!(verify.exit, 3, "{verify:?}");
    fs::create_dir(stage.at("vault/disk-2")).unwrap();
    let repair = stage.run(&["repair"]);
    assert_eq!((repair.exit, repair.answer["disks_adopted"][0].as_str()), (0, Some("disk-2")), "{repair:?}");
    assert_eq!(stage.open(&["verify", "--data"]).exit, 0);
}

#[test]
fn the_last_disk_is_missed_too() {
    let stage = Stage::new(3);
    stage.backup();
    fs::remove_dir_all(stage.at("vault/disk-3")).unwrap();
    let verify = stage.run(&["verify"]);
    assert_eq!(verify.exit, 3, "{verify:?}");
    assert!(verify.errors.contains("disk-3"), "{}", verify.errors);
    assert_eq!(stage.open(&["restore", "latest", "--to", &stage.text("out")]).exit, 0);
}

#[test]
fn a_flipped_byte_is_found_without_a_key_and_healed() {
    let stage = Stage::new(3);
    stage.backup();
    flip(&largest(&stage, "vault/disk-1/packs"));
    let verify = stage.run(&["verify"]);
    assert_eq!((verify.exit, verify.answer["healable"].as_array().map(Vec::len)), (3, Some(1)), "{verify:?}");
    assert_eq!(stage.open(&["restore", "latest", "--to", &stage.text("out")]).exit, 0);
    assert_eq!(stage.open(&["repair"]).exit, 0);
    assert_eq!(stage.run(&["verify"]).exit, 0);
}

#[test]
fn damage_beyond_repair_names_the_files_and_the_rest_comes_back() {
    let stage = Stage::new(1);
    let snapshot = stage.backup();
    flip(&largest(&stage, "vault/disk-1/packs"));
    let verify = stage.open(&["verify", "--data"]);
    assert_eq!(verify.exit, 3, "{verify:?}");
    let lost = verify.answer["files_lost"].as_array().unwrap();
    assert!(!lost.is_empty() && lost.iter().all(|file| file["snapshot"] == snapshot && file["name"] == "source"), "{verify:?}");
    let restore = stage.open(&["restore", "latest", "--to", &stage.text("out")]);
    assert_eq!(restore.exit, 3, "{restore:?}");
    assert!(!restore.answer["missing"].as_array().unwrap().is_empty());
}

#[test]
fn too_few_disks_is_one_clear_message() {
    let stage = Stage::new(3);
    stage.backup();
    fs::remove_dir_all(stage.at("vault/disk-1")).unwrap();
    fs::remove_dir_all(stage.at("vault/disk-3")).unwrap();
    let run = stage.open(&["backup", &stage.text("source")]);
    assert_eq!(run.exit, 1, "{run:?}");
    assert!(run.text("error").contains("disk"), "{run:?}");
}

#[test]
fn caches_may_be_deleted_at_any_time() {
    let stage = Stage::new(2);
    stage.backup();
    fs::remove_dir_all(stage.at("vault/cache")).unwrap();
    assert_eq!(stage.open(&["restore", "latest", "--to", &stage.text("out")]).exit, 0);
    assert!(same(&stage.at("source"), &stage.at("out")));
}

fn largest(stage: &Stage, folder: &str) -> PathBuf {
    let files = fs::read_dir(stage.at(folder)).unwrap().map(|entry| entry.unwrap().path());
    files.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

fn flip(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}
