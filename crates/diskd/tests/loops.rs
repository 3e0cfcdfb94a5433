//! Preparing, mounting and refusing, on files in place of disks.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use keepwell_api::disks::{Standing, Typed};
use keepwell_diskd::DiskError;
use keepwell_diskd::content::{Content, look};
use keepwell_diskd::guard::{Action, Unseen, permit, standing};
use keepwell_diskd::identity::{Identity, KnownBoxes, PublicKey, Statement};
use keepwell_diskd::inventory::{Found, Partition, Places};
use keepwell_diskd::label::{LABEL_AT, LABEL_BYTES, Label};
use keepwell_diskd::mount::{MountPlace, mount, unmount};
use keepwell_diskd::mounter::{Mounter, Rules, answer};
use keepwell_diskd::prepare::{Tools, appeared, grow, prepare};
use support::{LoopDisk, TestBox, places, typed};

const SIZE: u64 = 768 << 20;
const NOW: i64 = 1_795_341_600;

fn seen(found: &Found, owner: &TestBox, base: &Path) -> (Content, Standing) {
    let content = look(found, &Tools::default().wipefs).unwrap();
    let standing = standing(found, Ok(&content), &[owner.key()], None, base);
    (content, standing)
}

fn label_of(found: &Found) -> Label {
    match look(found, &Tools::default().wipefs).unwrap() {
        Content::Labelled(label) => *label,
        other => panic!("{other:?}"),
    }
}

fn part(disk: &LoopDisk) -> Partition {
    appeared(&disk.found(), &places(disk.file.parent().unwrap()), &Tools::default()).unwrap()
}

fn refusal(result: Result<(), DiskError>) -> &'static str {
    result.expect_err("it is refused").code()
}

fn mount_place(folder: &Path) -> MountPlace {
    MountPlace { base: folder.join("mnt"), owner: None, readers: None, mounter: Mounter::Itself }
}

#[test]
fn a_blank_disk_is_prepared_mounted_and_recognised_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let (this, place) = (TestBox::new("Praxis"), mount_place(folder.path()));
    assert_eq!(seen(&disk.found(), &this, &place.base).1, Standing::Blank);
    let made = prepare(&disk.found(), &places(folder.path()), &Tools::default(), &this, NOW).unwrap();
    let found = disk.found();
    let label = label_of(&found);
    assert_eq!((&label, label.box_name.as_str(), label.size_bytes), (&made, "Praxis", SIZE));
    assert_eq!(Some(&label.serial), found.serial.as_ref());

    let at = mount(&part(&disk), &label, &place, None).unwrap();
    fs::write(at.join("pack"), b"kept").unwrap();
    let found = disk.found();
    let Standing::Prepared { mounted_at, .. } = seen(&found, &this, &place.base).1 else { panic!("prepared") };
    assert_eq!(mounted_at.as_deref().map(Path::new), Some(at.as_path()));
    assert_eq!(mount(&part(&disk), &label, &place, mounted_at.as_deref()).unwrap(), at, "twice is once");
    let options = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = options.lines().find(|line| line.contains(at.to_str().unwrap())).unwrap();
    assert!(["nosuid", "nodev", "noexec", "noatime"].iter().all(|option| line.contains(option)), "{line}");

    unmount(&at, "x", &place).unwrap();
    disk.pull();
    let disk = LoopDisk::attach(disk.file.clone()).unwrap();
    let again = mount(&part(&disk), &label_of(&disk.found()), &place, None).unwrap();
    assert_eq!(fs::read(again.join("pack")).unwrap(), b"kept");
    unmount(&again, "x", &place).unwrap();
}

#[test]
fn a_group_may_read_disks_of_the_pool_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let this = TestBox::new("Praxis");
    let place = MountPlace { owner: Some((12345, 12345)), readers: Some(23456), ..mount_place(folder.path()) };
    let label = prepare(&disk.found(), &places(folder.path()), &Tools::default(), &this, NOW).unwrap();
    let about = |path: &Path| {
        let about = fs::metadata(path).unwrap();
        (about.uid(), about.gid(), about.mode() & 0o7777)
    };
    let at = mount(&part(&disk), &label, &place, None).unwrap();
    assert_eq!(about(&at), (12345, 23456, 0o750));
    fs::create_dir(at.join("packs")).unwrap();
    assert_eq!(about(&at.join("packs")).1, 23456, "what is made there has its group");
    unmount(&at, "x", &place).unwrap();
    let alone = MountPlace { readers: None, ..place };
    let at = mount(&part(&disk), &label, &alone, None).unwrap();
    assert_eq!(about(&at), (12345, 12345, 0o700));
    unmount(&at, "x", &alone).unwrap();

    let rules = Rules {
        bases: vec![folder.path().join("mnt"), folder.path().join("outward")],
        owner: Some((12345, 12345)),
        readers: Some(23456),
        growfs: "xfs_growfs".into(),
    };
    let outward = folder.path().join("outward/disk");
    fs::create_dir_all(&outward).unwrap();
    let act = |act: serde_json::Value| {
        let mut said = Vec::new();
        answer(act.to_string().as_bytes(), &mut said, &rules).unwrap();
        String::from_utf8(said).unwrap()
    };
    let said = act(serde_json::json!({ "act": "mount", "device": part(&disk).name, "kind": "xfs", "at": outward }));
    assert_eq!(about(&outward), (12345, 12345, 0o700), "{said}");
    act(serde_json::json!({ "act": "unmount", "at": outward }));
}

#[test]
fn foreign_data_is_named_and_survives() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    assert!(Command::new("mkfs.ext4").args(["-q", "-L", "PRAXIS"]).arg(&disk.device).status().unwrap().success());
    let (this, base) = (TestBox::new("Praxis"), folder.path());
    let (found, nobody) = (disk.found(), Typed::default());
    let (content, standing) = seen(&found, &this, base);
    assert_eq!(content, Content::Foreign("ext4 'PRAXIS'".into()));
    assert_eq!(refusal(permit(Action::Prepare, &found, &standing, &nobody)), "type-serial");
    assert_eq!(refusal(permit(Action::Prepare, &found, &standing, &typed("LOOP-0", false))), "wrong-serial");
    assert_eq!(refusal(permit(Action::Mount, &found, &standing, &nobody)), "no-label");
    permit(Action::Prepare, &found, &standing, &typed(found.serial.as_ref().unwrap().as_str(), false)).unwrap();

    let unknown = LoopDisk::new(folder.path(), "unknown", SIZE).unwrap();
    unknown.write(SIZE - 4096, b"old RAID");
    assert!(matches!(seen(&unknown.found(), &this, base).1, Standing::Foreign { .. }), "data at the end is data");
}

#[test]
fn a_preparation_that_was_cut_leaves_no_disk_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let this = TestBox::new("Praxis");
    disk.write(SIZE / 2, b"somebody's");
    assert!(matches!(seen(&disk.found(), &this, folder.path()).1, Standing::Foreign { .. }), "data in the middle is data");

    let error = prepare(&disk.found(), &places(folder.path()), &Tools::default(), &Silent, NOW).unwrap_err();
    assert_eq!(error.code(), "identity");
    let mut bytes = [0; 10];
    fs::File::open(&disk.device).unwrap().read_exact_at(&mut bytes, SIZE / 2).unwrap();
    assert_eq!(&bytes, b"somebody's");

    let broken = Tools { mkfs: "/bin/false".into(), ..Tools::default() };
    let error = prepare(&disk.found(), &places(folder.path()), &broken, &this, NOW).unwrap_err();
    assert!(matches!(error, DiskError::Program { .. }), "{error:?}");
    assert!(matches!(seen(&disk.found(), &this, folder.path()).1, Standing::Foreign { what } if what.contains("gpt")));
    prepare(&disk.found(), &places(folder.path()), &Tools::default(), &this, NOW).unwrap();
}

/// A box whose keyd does not answer.
struct Silent;

impl Identity for Silent {
    fn name(&self) -> &str {
        "Praxis"
    }

    fn public_key(&self) -> Result<PublicKey, DiskError> {
        Ok(TestBox::new("Praxis").key())
    }

    fn sign(&self, _: Statement<'_>) -> Result<[u8; 64], DiskError> {
        Err(DiskError::Identity("no answer".into()))
    }
}

#[test]
fn a_disk_in_use_is_refused_by_the_kernel_too() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    assert!(Command::new("mkfs.ext4").arg("-q").arg(&disk.device).status().unwrap().success());
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    assert!(Command::new("mount").arg(&disk.device).arg(&elsewhere).status().unwrap().success());
    fs::write(elsewhere.join("x"), b"x").unwrap();
    let (this, found) = (TestBox::new("Praxis"), disk.found());
    let busy = seen(&found, &this, &folder.path().join("mnt")).1;
    assert_eq!(refusal(permit(Action::Erase, &found, &busy, &typed(found.serial.as_ref().unwrap().as_str(), true))), "in-use");
    let error = prepare(&found, &places(folder.path()), &Tools::default(), &this, NOW).unwrap_err();
    assert!(matches!(&error, DiskError::Io { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy), "{error:?}");
    assert_eq!(fs::read(elsewhere.join("x")).unwrap(), b"x");
    assert!(Command::new("umount").arg(&elsewhere).status().unwrap().success());
}

#[test]
fn the_disk_of_root_is_the_boxs_own() {
    let own = |found: &Found| matches!(standing(found, Err(&Unseen::NotYet), &[], None, Path::new("/run/x")), Standing::Own { .. });
    let mounts = keepwell_diskd::inventory::mounts(&Places::default());
    let root = keepwell_diskd::inventory::mounts::mounted_at(&mounts, Path::new("/")).unwrap();
    if root.number.major == 0 {
        return println!("skipped: root is on no disk here");
    }
    let disks = keepwell_diskd::inventory::scan(&Places::default());
    let owned: Vec<_> = disks.iter().filter(|found| own(found)).collect();
    assert!(!owned.is_empty(), "one of {disks:?} has root");
    for found in owned {
        let standing = standing(found, Ok(&Content::Blank), &[], None, Path::new("/run/x"));
        let serial = found.serial.as_ref().map_or("", |serial| serial.as_str());
        assert_eq!(refusal(permit(Action::Prepare, found, &standing, &typed(serial, true))), "own-disk");
    }
}

#[test]
fn another_boxs_disk_is_named_and_mounted_only_by_its_serial() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let (this, other, place) = (TestBox::new("Praxis A"), TestBox::new("Praxis B"), mount_place(folder.path()));
    prepare(&disk.found(), &places(folder.path()), &Tools::default(), &other, NOW).unwrap();
    let found = disk.found();
    let (content, strange) = seen(&found, &this, &place.base);
    assert!(matches!(&strange, Standing::OtherBox { name, known: false, .. } if name == "Praxis B"), "{strange:?}");
    let serial = found.serial.as_ref().unwrap().as_str();
    assert_eq!(refusal(permit(Action::Mount, &found, &strange, &typed(serial, false))), "unknown-box");

    fs::write(folder.path().join("partner.pub"), other.key().to_hex()).unwrap();
    let name = KnownBoxes(Some(PathBuf::from(folder.path()))).name_of(&other.key());
    let known = standing(&found, Ok(&content), &[this.key()], name, &place.base);
    assert!(matches!(&known, Standing::OtherBox { name, known: true, .. } if name == "partner"), "{known:?}");
    assert_eq!(refusal(permit(Action::Mount, &found, &known, &Typed::default())), "type-serial");
    permit(Action::Mount, &found, &known, &typed(serial, false)).unwrap();
    let at = mount(&part(&disk), &label_of(&found), &place, None).unwrap();
    unmount(&at, "x", &place).unwrap();
}

#[test]
fn labels_that_were_changed_copied_or_half_lost() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let this = TestBox::new("Praxis");
    let label = prepare(&disk.found(), &places(folder.path()), &Tools::default(), &this, NOW).unwrap();
    let state = |disk: &LoopDisk| seen(&disk.found(), &this, folder.path()).1;

    let twin = folder.path().join("twin");
    fs::copy(&disk.file, &twin).unwrap();
    let twin = LoopDisk::attach(twin).unwrap();
    assert!(matches!(state(&twin), Standing::Spoilt { why } if why.contains("another disk")), "a copy is not the disk");

    disk.write(LABEL_AT[0], &[0xff; LABEL_BYTES]);
    assert_eq!(label_of(&disk.found()), label, "one copy is enough");
    let forged = label.encode(&[7; 64]);
    LABEL_AT.iter().for_each(|at| disk.write(*at, &forged));
    assert!(matches!(state(&disk), Standing::Spoilt { why } if why.contains("signature")));
}

#[test]
fn a_disk_that_became_larger_is_used_whole() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let (this, place) = (TestBox::new("Praxis"), mount_place(folder.path()));
    let label = prepare(&disk.found(), &places(folder.path()), &Tools::default(), &this, NOW).unwrap();
    let at = mount(&part(&disk), &label, &place, None).unwrap();
    let size = |at: &Path| rustix::fs::statvfs(at).map(|fs| fs.f_blocks * fs.f_frsize).unwrap();
    let before = size(&at);
    fs::OpenOptions::new().write(true).open(&disk.file).unwrap().set_len(2 * SIZE).unwrap();
    assert!(Command::new("losetup").arg("--set-capacity").arg(&disk.device).status().unwrap().success());
    let grown = grow(&disk.found(), &label, &at, &place, &places(folder.path()), &Tools::default(), &this).unwrap();
    assert!(size(&at) > before + SIZE / 2, "{before} became {}", size(&at));
    assert_eq!((grown.size_bytes, label_of(&disk.found())), (2 * SIZE, grown));
    unmount(&at, "x", &place).unwrap();
}

#[test]
fn a_label_without_its_file_system_is_spoilt() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let this = TestBox::new("Praxis");
    prepare(&disk.found(), &places(folder.path()), &Tools::default(), &this, NOW).unwrap();
    assert!(matches!(seen(&disk.found(), &this, folder.path()).1, Standing::Prepared { .. }));
    // As a quick format does, which leaves the gap before the partition.
    let part = format!("/dev/{}", part(&disk).name);
    assert!(Command::new("mkfs.ext4").args(["-q", "-F", "-L", "HOLIDAY"]).arg(part).status().unwrap().success());
    assert!(matches!(seen(&disk.found(), &this, folder.path()).1, Standing::Spoilt { why } if why.contains("file system")));
}
