//! Disks that join, leave and are pulled, and the daily reading of everything, seen from outside.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::stage::{Stage, noise, same};

fn disk(run: &crate::stage::Run, name: &str) -> Value {
    let disks = run.answer["disks"].as_array().unwrap();
    disks.iter().find(|disk| disk["name"] == name).unwrap_or_else(|| panic!("no {name}: {run:?}")).clone()
}

fn id(stage: &Stage, name: &str) -> String {
    disk(&stage.run(&["disk", "list"]), name)["id"].as_str().unwrap()[..8].to_owned()
}

fn restores(stage: &Stage) {
    let out = stage.at("out");
    let _ = fs::remove_dir_all(&out);
    assert_eq!(stage.open(&["restore", "latest", "--to", &stage.text("out")]).exit, 0);
    assert!(same(&stage.at("source"), &out));
}

#[test]
fn a_vault_grows_from_two_disks_to_four_and_any_two_may_fail() {
    let stage = Stage::new(2);
    stage.backup();
    ["disk-3", "disk-4"].iter().for_each(|name| fs::create_dir(stage.at("vault").join(name)).unwrap());
    let check = stage.run(&["disk", "add", "disk-3", "disk-4", "--layout", "2+2", "--check"]);
    assert_eq!((check.exit, check.answer["active_disks"].as_u64()), (0, Some(4)), "{check:?}");
    assert_eq!(disk(&stage.run(&["disk", "list"]), "disk-3")["life"], "new");
    let add = stage.run(&["disk", "add", "disk-3", "disk-4", "--layout", "2+2"]);
    assert_eq!(add.exit, 0, "{add:?}");
    let again = stage.run(&["disk", "add", "disk-3", "disk-4", "--layout", "2+2"]);
    assert_eq!((again.exit, again.answer["was_done"].as_bool(), again.answer["shards_written"].as_u64()), (0, Some(true), Some(0)));
    assert_eq!(stage.open(&["verify", "--data"]).exit, 0);
    stage.backup();
    ["disk-1", "disk-2"].iter().for_each(|name| fs::remove_dir_all(stage.at("vault").join(name)).unwrap());
    restores(&stage);
}

#[test]
fn a_disk_leaves_only_when_its_id_was_typed() {
    let stage = Stage::new(3);
    stage.backup();
    fs::create_dir(stage.at("vault/disk-4")).unwrap();
    let id = id(&stage, "disk-2");
    for typed in [&[][..], &["--typed", "01234567"], &["--typed", &id[..4]], &["--typed", ""]] {
        let refused = stage.run(&[&["disk", "replace", "disk-2", "disk-4"], typed].concat());
        let (exit, error) = refused.failure();
        assert!(exit == 1 && error.contains("Nothing was changed"), "{refused:?}");
    }
    assert_eq!(disk(&stage.run(&["disk", "list"]), "disk-4")["life"], "new");
    let replaced = stage.run(&["disk", "replace", "disk-2", "disk-4", "--typed", &id]);
    assert_eq!((replaced.exit, replaced.answer["left"][0].as_str()), (0, Some("disk-2")), "{replaced:?}");
    let list = stage.run(&["disk", "list"]);
    assert_eq!(
        (list.exit, disk(&list, "disk-2")["life"].as_str(), disk(&list, "disk-4")["life"].as_str()),
        (0, Some("retired"), Some("healthy"))
    );
    let verify = stage.open(&["verify", "--data"]);
    assert_eq!(verify.exit, 0, "{verify:?}");
    assert_eq!(stage.run(&["disk", "remove", "disk-1", "--typed", "0"]).failure().0, 1);
    fs::remove_dir_all(stage.at("vault/disk-1")).unwrap();
    restores(&stage);
}

#[test]
fn too_few_disks_are_refused_in_words() {
    let stage = Stage::new(2);
    let (exit, error) = stage.run(&["disk", "remove", "disk-1", "--check"]).failure();
    assert!(exit == 1 && error.contains("1 disks would be left") && error.contains("Nothing was changed"), "{error}");
    let (_, error) = stage.run(&["disk", "add", "disk-7"]).failure();
    assert!(error.contains("there is no empty disk disk-7"), "{error}");
}

#[test]
fn a_wrong_disk_that_was_pulled_needs_nothing_but_repair() {
    let stage = Stage::new(3);
    stage.backup();
    fs::rename(stage.at("vault/disk-2"), stage.at("pulled")).unwrap();
    fs::write(stage.at("source/new.bin"), noise(1_000_000)).unwrap();
    stage.backup();
    assert_eq!(disk(&stage.run(&["disk", "list"]), "disk-2")["life"], "missing");
    fs::rename(stage.at("pulled"), stage.at("vault/disk-2")).unwrap();
    assert_eq!(stage.open(&["repair"]).exit, 0);
    assert_eq!(stage.open(&["verify", "--data"]).exit, 0);
    assert_eq!(stage.run(&["disk", "list"]).exit, 0);
}

#[test]
fn five_hundred_flipped_bits_are_healed_and_no_file_is_lost() {
    let stage = Stage::new(6);
    stage.backup();
    let mut luck = noise(500 * 16).into_iter();
    let mut next = |bound: usize| {
        let number = luck.by_ref().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(byte));
        (number % bound as u64) as usize
    };
    let files: Vec<PathBuf> = ["disk-2", "disk-5"]
        .iter()
        .flat_map(|disk| ["packs", "manifests", "keyrings", "slots"].map(|folder| stage.at("vault").join(disk).join(folder)))
        .flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    for _ in 0..500 {
        let path = &files[next(files.len())];
        let mut bytes = fs::read(path).unwrap();
        let bit = next(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(path, bytes).unwrap();
    }
    let scrub = stage.open(&["scrub", "--budget", "1T"]);
    assert_eq!((scrub.exit, scrub.answer["round_complete"].as_bool()), (0, Some(true)), "{scrub:?}");
    assert!(
        !scrub.answer["healed"].as_array().unwrap().is_empty() && scrub.answer["files_lost"].as_array().unwrap().is_empty(),
        "{scrub:?}"
    );
    assert_eq!(stage.open(&["verify", "--data"]).exit, 0);
    restores(&stage);
}

#[test]
fn the_daily_reading_goes_on_where_it_stopped_and_names_lost_files() {
    let stage = Stage::new(1);
    stage.backup();
    let total = stage.run(&["scrub", "--budget", "0"]).answer["total_objects"].as_u64().unwrap();
    let mut read = 0;
    for number in 1..=total {
        let run = stage.run(&["scrub", "--budget", "1"]);
        assert_eq!(run.exit, 0, "{run:?}");
        assert_eq!(run.answer["round_complete"], number == total);
        read += run.answer["objects"].as_u64().unwrap();
    }
    assert_eq!(read, total, "one object a call, and none twice");
    let due = stage.run(&["scrub", "--budget", "0"]).answer["due_bytes"].as_u64().unwrap();
    assert!(due > 3_000_000 / 30 && due < 3_000_000, "{due}");
    fs::write(stage.at("vault/cache/scrub"), "rubbish").unwrap();
    let packs = fs::read_dir(stage.at("vault/disk-1/packs")).unwrap().map(|entry| entry.unwrap().path());
    let largest = packs.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&largest, bytes).unwrap();
    let run = stage.open(&["scrub", "--budget", "1T"]);
    assert_eq!((run.exit, run.answer["lost"].as_array().map(Vec::len)), (3, Some(1)), "{run:?}");
    assert!(!run.answer["files_lost"].as_array().unwrap().is_empty(), "{run:?}");
}
