//! The watch on files in place of disks, with programs in place of smartctl: through its socket, as other programs meet it.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use keepwell_api::disks::{
    Disk, DiskDetail, Disks, Locate, Mounted, SelfTest, SelfTestKind, Serial, Standing, TakeOver, TakenOver, Typed, Verdict, Vitals,
};
use keepwell_api::{Callers, Client, ClientError, listen, serve};
use keepwell_diskd::certificate::verify;
use keepwell_diskd::identity::{KnownBoxes, PublicKey};
use keepwell_diskd::mount::MountPlace;
use keepwell_diskd::mounter::Mounter;
use keepwell_diskd::prepare::{Tools, prepare};
use keepwell_diskd::service::routes;
use keepwell_diskd::smart::{Route, Smartctl};
use keepwell_diskd::watch::{Config, Watch};
use support::{LoopDisk, TestBox, places, typed, until};

const SIZE: u64 = 512 << 20;

/// A diskd in this process, with a smartctl that answers what the file `answer-NAME` holds and hangs where there is a file `hang-NAME`.
struct Box_ {
    folder: PathBuf,
    client: Client,
    key: PublicKey,
    watch: Arc<Watch>,
}

impl Box_ {
    fn start(folder: &Path) -> Self {
        Self::with_screen(folder, rustix::process::geteuid().as_raw())
    }

    fn with_screen(folder: &Path, screen: u32) -> Self {
        // One that was started before in this folder may listen still.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let socket = folder.join(format!("diskd-{}.sock", STARTED.fetch_add(1, Ordering::Relaxed)));
        let (identity, smartctl) = (TestBox::new("Praxis"), folder.join("smartctl"));
        let key = identity.key();
        let script = format!(
            "#!/bin/sh\nfor last in \"$@\"; do :; done\nname=$(basename \"$last\")\ncase \"$*\" in *-t*) echo \"$*\" >> {0}/tests; exit 0;; esac\n\
             [ -e {0}/hang-$name ] && sleep 600\ncat {0}/answer-$name 2>/dev/null || echo '{{}}'\n",
            folder.display()
        );
        fs::write(&smartctl, script).unwrap();
        fs::set_permissions(&smartctl, fs::Permissions::from_mode(0o700)).unwrap();
        let config = Config {
            places: places(folder),
            tools: Tools::default(),
            smartctl: Smartctl { route: Route::Program(smartctl), deadline: Duration::from_secs(2) },
            poll_every: Duration::from_secs(3600),
            mount: MountPlace { base: folder.join("mnt"), owner: Some((12345, 12345)), readers: None, mounter: Mounter::Itself },
            automount: true,
            self_tests: true,
            known: KnownBoxes(None),
            former: folder.join("taken-over.pub"),
            history: folder.join("disks.sqlite"),
        };
        let watch = Watch::start(config, Box::new(identity), || 1_795_341_600).unwrap();
        watch.listen();
        let listener = listen(&socket).unwrap();
        let guarded = Callers::only([rustix::process::geteuid().as_raw()]).guard(routes(Arc::clone(&watch), Callers::only([screen])));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(listener, guarded))
        });
        Self { folder: folder.to_owned(), client: Client::new("diskd", socket, Duration::from_secs(300)), key, watch }
    }

    fn answer(&self, disk: &LoopDisk, fixture: &str) {
        let from = format!("{}/tests/smart/{fixture}.json", env!("CARGO_MANIFEST_DIR"));
        fs::copy(from, self.folder.join(format!("answer-{}", disk.name()))).unwrap();
    }

    fn disk(&self, serial: &Serial) -> Disk {
        self.detail(serial).disk
    }

    fn detail(&self, serial: &Serial) -> DiskDetail {
        self.client.get(&route(serial, "")).unwrap()
    }

    fn post<T: serde::de::DeserializeOwned>(&self, serial: &Serial, verb: &str, body: &impl serde::Serialize) -> Result<T, ClientError> {
        self.client.post(&route(serial, verb), body)
    }

    fn poll(&self, serial: &Serial) {
        let _: DiskDetail = self.post(serial, "/poll", &()).unwrap();
    }
}

fn route(serial: &Serial, verb: &str) -> String {
    format!("/v1/disks/{}{verb}", serial.in_route())
}

fn code(result: Result<DiskDetail, ClientError>) -> String {
    match result {
        Err(ClientError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

fn serial(disk: &LoopDisk) -> Serial {
    disk.found().serial.unwrap()
}

#[test]
fn a_disk_lives_from_arrival_to_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let keepwell = Box_::start(folder.path());
    let serial = serial(&disk);
    until("it is looked at", || keepwell.disk(&serial).standing == Standing::Blank);
    let nothing = Typed::default();
    assert_eq!(code(keepwell.post(&serial, "/prepare", &typed("LOOP-1", false))), "wrong-serial");
    let made: DiskDetail = keepwell.post(&serial, "/prepare", &nothing).unwrap();
    assert!(matches!(made.disk.standing, Standing::Prepared { .. }), "{:?}", made.disk.standing);
    until("it is mounted by itself", || matches!(keepwell.disk(&serial).standing, Standing::Prepared { mounted_at: Some(_), .. }));
    let mounted: Mounted = keepwell.post(&serial, "/mount", &nothing).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&mounted.at).unwrap());
    assert_eq!(owner, 12345);

    assert_eq!(code(keepwell.post(&serial, "/erase", &typed(serial.as_str(), true))), "mounted");
    let open = fs::File::create(Path::new(&mounted.at).join("x")).unwrap();
    assert_eq!(code(keepwell.post(&serial, "/unmount", &nothing)), "in-use");
    drop(open);
    let _: DiskDetail = keepwell.post(&serial, "/unmount", &nothing).unwrap();
    assert_eq!(code(keepwell.post(&serial, "/erase", &nothing)), "in-pool");
    assert_eq!(code(keepwell.post(&serial, "/erase", &typed(serial.as_str(), false))), "in-pool");
    let began: DiskDetail = keepwell.post(&serial, "/erase", &typed(serial.as_str(), true)).unwrap();
    assert_eq!(began.disk.job.unwrap().what, "erase");
    until("it is erased", || keepwell.disk(&serial).job.is_some_and(|job| job.ended_at.is_some()));
    let detail = keepwell.detail(&serial);
    assert_eq!(detail.disk.job.unwrap().error, None);
    let (key, erasure) = verify(&detail.certificate.unwrap()).unwrap();
    assert_eq!((key, erasure.serial, erasure.complete, erasure.asked_by.as_deref()), (keepwell.key, serial.clone(), true, Some("Tester")));
    assert!(fs::read(&disk.file).unwrap().iter().all(|b| *b == 0), "nothing is left in the file");
    until("it is blank", || keepwell.disk(&serial).standing == Standing::Blank);
}

#[test]
fn a_pulled_disk_is_noticed_and_known_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let keepwell = Box_::start(folder.path());
    let serial = serial(&disk);
    until("it is looked at", || keepwell.disk(&serial).standing == Standing::Blank);
    let file = disk.file.clone();
    disk.pull();
    until("it is absent", || keepwell.disk(&serial).standing == Standing::Absent);
    assert_eq!(code(keepwell.post(&serial, "/prepare", &Typed::default())), "absent");
    drop(disk);
    let _back = LoopDisk::attach(file).unwrap();
    until("it is back", || keepwell.disk(&serial).standing == Standing::Blank);
}

#[test]
fn rising_counters_are_told_and_a_hang_delays_only_its_disk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(sick) = LoopDisk::new(folder.path(), "sick", SIZE) else { return };
    let hung = LoopDisk::new(folder.path(), "hung", SIZE).unwrap();
    fs::write(folder.path().join(format!("hang-{}", hung.name())), "").unwrap();
    let from = format!("{}/tests/smart/sata-hdd-healthy.json", env!("CARGO_MANIFEST_DIR"));
    fs::copy(from, folder.path().join(format!("answer-{}", sick.name()))).unwrap();
    let keepwell = Box_::start(folder.path());
    let (sick_serial, hung_serial) = (serial(&sick), serial(&hung));
    let verdict = |serial| keepwell.disk(serial).health.verdict;
    let codes = |serial| -> Vec<_> { keepwell.disk(serial).health.reasons.into_iter().map(|reason| reason.code).collect() };
    until("the first poll", || verdict(&sick_serial) == Verdict::Healthy);
    until("a new disk tests itself", || fs::read_to_string(folder.path().join("tests")).is_ok_and(|tests| tests.contains("-t short")));
    until("the calendar knows", || keepwell.detail(&sick_serial).short_test_at.is_some());

    keepwell.answer(&sick, "usb-bridge-failing");
    keepwell.poll(&sick_serial);
    until("it is told", || codes(&sick_serial).contains(&"pending".to_owned()));
    keepwell.poll(&sick_serial);
    until("it is suspect", || verdict(&sick_serial) == Verdict::Suspect);
    assert!(codes(&sick_serial).contains(&"pending".to_owned()));

    until("the silence is noticed", || codes(&hung_serial).contains(&"no-answer".to_owned()));
    keepwell.poll(&hung_serial);
    until("twice is held against it", || verdict(&hung_serial) == Verdict::Suspect);
    fs::remove_file(folder.path().join(format!("hang-{}", hung.name()))).unwrap();
    keepwell.answer(&hung, "sas-healthy");
    keepwell.poll(&hung_serial);
    until("it answers again", || verdict(&hung_serial) == Verdict::Healthy);
}

#[test]
fn a_dying_disk_that_answers_no_more_stays_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let from = format!("{}/tests/smart/sata-hdd-failing.json", env!("CARGO_MANIFEST_DIR"));
    let answer = folder.path().join(format!("answer-{}", disk.name()));
    fs::copy(from, &answer).unwrap();
    let keepwell = Box_::start(folder.path());
    let serial = serial(&disk);
    until("it is failing", || keepwell.disk(&serial).health.verdict == Verdict::Failing);
    // IDENTIFY fails at once: smartctl has nothing to say.
    fs::write(&answer, "{}").unwrap();
    keepwell.poll(&serial);
    until("the silence is noticed", || keepwell.disk(&serial).health.reasons.iter().any(|reason| reason.code == "no-answer"));
    assert_eq!(keepwell.disk(&serial).health.verdict, Verdict::Failing);
}

#[test]
fn a_disk_that_can_not_be_mounted_is_asked_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let keepwell = Box_::start(folder.path());
    let serial = serial(&disk);
    until("it is blank", || keepwell.disk(&serial).standing == Standing::Blank);
    let _: DiskDetail = keepwell.post(&serial, "/prepare", &Typed::default()).unwrap();
    let Standing::Prepared { mounted_at: Some(at), disk: id, .. } = keepwell.disk(&serial).standing else { panic!("it is mounted") };
    assert!(std::process::Command::new("umount").arg(&at).status().unwrap().success());
    // In the place of its folder there is a file, so that mounting fails each time.
    fs::remove_dir(&at).ok();
    fs::write(keepwell.watch.mounts().join(id), "in the way").unwrap();
    let _: Result<Mounted, _> = keepwell.post(&serial, "/mount", &Typed::default());
    keepwell.answer(&disk, "sata-hdd-healthy");
    keepwell.poll(&serial);
    until("it is asked", || keepwell.disk(&serial).health.verdict == Verdict::Healthy);
    keepwell.answer(&disk, "nvme-failing");
    keepwell.poll(&serial);
    until("and again", || keepwell.disk(&serial).health.verdict == Verdict::Failing);
    assert!(matches!(keepwell.disk(&serial).standing, Standing::Prepared { mounted_at: None, .. }));
}

#[test]
fn a_disk_whose_file_system_can_not_be_read_is_told_as_that_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let keepwell = Box_::start(folder.path());
    let serial = serial(&disk);
    until("it is blank", || keepwell.disk(&serial).standing == Standing::Blank);
    let _: DiskDetail = keepwell.post(&serial, "/prepare", &Typed::default()).unwrap();
    let Standing::Prepared { mounted_at: Some(at), .. } = keepwell.disk(&serial).standing else { panic!("it is mounted") };
    assert!(std::process::Command::new("umount").arg(&at).status().unwrap().success());
    // The checksum of the superblock (XFS algorithms and data structures: 4 bytes at 224); name and UUID stay.
    let part = fs::OpenOptions::new().read(true).write(true).open(format!("{}p1", disk.device.display())).unwrap();
    let mut checksum = [0; 4];
    part.read_exact_at(&mut checksum, 224).unwrap();
    part.write_all_at(&checksum.map(|byte| !byte), 224).unwrap();
    part.sync_all().unwrap();
    assert!(keepwell.post::<Mounted>(&serial, "/mount", &Typed::default()).is_err());
    let standing = keepwell.disk(&serial).standing;
    assert!(standing.unreadable().is_some_and(|why| why.contains("p1")), "{standing:?}");
    // Nobody asks for it, and nothing is plugged in anew.
    part.write_all_at(&checksum, 224).unwrap();
    part.sync_all().unwrap();
    until("it is mounted by itself", || matches!(keepwell.disk(&serial).standing, Standing::Prepared { mounted_at: Some(_), .. }));
    assert_eq!(keepwell.disk(&serial).standing.unreadable(), None);
}

#[test]
fn a_stick_with_the_serial_number_of_a_known_disk_does_not_make_it_absent() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let keepwell = Box_::start(folder.path());
    let serial = serial(&disk);
    until("it is looked at", || keepwell.disk(&serial).standing == Standing::Blank);
    // The same file once more says the same serial number.
    let Some(twin) = LoopDisk::attach(disk.file.clone()) else { return };
    assert_eq!(twin.found().serial.as_ref(), Some(&serial));
    keepwell.watch.rescan();
    let disks: Disks = keepwell.client.get("/v1/disks").unwrap();
    assert!(disks.unnamed.iter().any(|text| text.contains(&twin.name())), "{:?}", disks.unnamed);
    assert_eq!((keepwell.disk(&serial).device, keepwell.disk(&serial).standing), (disk.name(), Standing::Blank));
}

#[test]
fn the_other_routes() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let keepwell = Box_::start(folder.path());
    let serial = serial(&disk);
    let disks: Disks = keepwell.client.get("/v1/disks").unwrap();
    assert!(disks.disks.iter().any(|disk| disk.serial == serial));
    let vitals: Vitals = keepwell.client.get("/v1/vitals").unwrap();
    assert!(vitals.cpus > 0);
    let _: DiskDetail = keepwell.post(&serial, "/locate", &Locate { seconds: 0 }).unwrap();
    let _: DiskDetail = keepwell.post(&serial, "/self-test", &SelfTest { kind: SelfTestKind::Long }).unwrap();
    assert!(fs::read_to_string(folder.path().join("tests")).unwrap().contains("-t long"));
    let nobody = Serial::parse("NOBODY").unwrap();
    assert_eq!(code(keepwell.post(&nobody, "/mount", &Typed::default())), "unknown-disk");
    assert_eq!(keepwell.watch.mounts(), folder.path().join("mnt"));
}

#[test]
fn a_disk_is_written_to_and_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = LoopDisk::new(folder.path(), "disk", SIZE) else { return };
    let (it, serial) = (Box_::start(folder.path()), serial(&disk));
    until("it is looked at", || it.disk(&serial).standing == Standing::Blank);
    let outward = |verb: &str, body: &Typed| {
        it.post::<Mounted>(&serial, &format!("/{verb}"), body).map_err(|error| match error {
            ClientError::Refused(refusal) => refusal.code,
            other => panic!("{other}"),
        })
    };
    assert_eq!(outward("outward", &Typed::default()).unwrap_err(), "not-outward");
    assert_eq!(outward("prepare-outward", &Typed::default()).unwrap_err(), "type-serial", "blank or not");
    assert_eq!(outward("prepare-outward", &typed("LOOP-0", false)).unwrap_err(), "wrong-serial");
    let made = outward("prepare-outward", &typed(serial.as_str(), false)).unwrap();
    assert_eq!(Path::new(&made.at).parent(), Some(&*folder.path().join("outward")));
    assert_eq!(outward("outward", &Typed::default()).unwrap(), made);
    fs::write(Path::new(&made.at).join("file"), b"restored").unwrap();
    assert!(matches!(it.disk(&serial).standing, Standing::Busy { .. }), "never a disk of the pool");
    for verb in ["prepare", "prepare-outward", "mount"] {
        assert_eq!(outward(verb, &typed(serial.as_str(), true)).unwrap_err(), "in-use", "{verb}");
    }
    it.post::<DiskDetail>(&serial, "/unmount-outward", &Typed::default()).unwrap();
    assert_eq!(outward("unmount-outward", &Typed::default()).unwrap_err(), "not-outward");
    until("it is what it is", || matches!(it.disk(&serial).standing, Standing::Foreign { .. }));
    assert_eq!(outward("mount", &Typed::default()).unwrap_err(), "no-label");

    // A disk of a pool is refused, whatever is said.
    it.post::<DiskDetail>(&serial, "/prepare", &typed(serial.as_str(), false)).unwrap();
    it.post::<DiskDetail>(&serial, "/unmount", &Typed::default()).unwrap();
    assert_eq!(outward("prepare-outward", &typed(serial.as_str(), true)).unwrap_err(), "in-pool");
}

/// The disks of a box that is no more: one serial number from a sticker gives all of them to this box, and no other box's.
#[test]
fn disks_of_another_box_are_taken_over_together() {
    let folder = tempfile::tempdir().unwrap();
    let disks: Vec<_> = ["one", "two", "three"].into_iter().filter_map(|name| LoopDisk::new(folder.path(), name, SIZE)).collect();
    let [one, two, three] = disks.as_slice() else { return };
    let (burnt, partner) = (TestBox::new("Praxis B"), TestBox::new("Praxis C"));
    for (disk, owner) in [(one, &burnt), (two, &burnt), (three, &partner)] {
        prepare(&disk.found(), &places(folder.path()), &Tools::default(), owner, 1_795_341_600).unwrap();
    }
    let order = |key: PublicKey, serial: &str| TakeOver { key: key.to_hex(), typed_serial: serial.into() };
    let take = |keepwell: &Box_, order| keepwell.client.post::<TakenOver>("/v1/boxes/take-over", &order);
    let no = |taken: Result<TakenOver, ClientError>| match taken {
        Err(ClientError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    };
    let keepwell = Box_::with_screen(folder.path(), 4711);
    assert_eq!(no(take(&keepwell, order(burnt.key(), serial(one).as_str()))), "not-you", "for the screen's user alone");
    drop(keepwell);
    let keepwell = Box_::start(folder.path());
    let is_theirs = |disk: &LoopDisk, key: PublicKey| matches!(keepwell.disk(&serial(disk)).standing, Standing::OtherBox { key: theirs, mounted_at: None, .. } if theirs == key.to_hex());
    until("they are looked at", || is_theirs(one, burnt.key()) && is_theirs(two, burnt.key()) && is_theirs(three, partner.key()));
    assert_eq!(no(take(&keepwell, order(burnt.key(), ""))), "wrong-serial");
    assert_eq!(no(take(&keepwell, order(burnt.key(), serial(three).as_str()))), "wrong-serial");
    assert_eq!(no(take(&keepwell, order(TestBox::new("nobody").key(), serial(one).as_str()))), "no-such-box");
    assert!(is_theirs(one, burnt.key()) && is_theirs(two, burnt.key()), "nothing was changed");
    let taken = take(&keepwell, order(burnt.key(), serial(two).as_str())).unwrap();
    assert_eq!((taken.mounted.len(), taken.left.len()), (2, 0));
    for disk in [one, two] {
        assert!(matches!(keepwell.disk(&serial(disk)).standing, Standing::Prepared { mounted_at: Some(_), .. }));
    }
    assert!(is_theirs(three, partner.key()), "the third is a stranger's still");
    // Pulled and plugged in again, or after a restart, they are this box's disks.
    let _: DiskDetail = keepwell.post(&serial(one), "/unmount", &Typed::default()).unwrap();
    drop(keepwell);
    let keepwell = Box_::start(folder.path());
    until("it is mounted by itself", || matches!(keepwell.disk(&serial(one)).standing, Standing::Prepared { mounted_at: Some(_), .. }));
    assert!(matches!(keepwell.disk(&serial(three)).standing, Standing::OtherBox { mounted_at: None, .. }));
}
