//! What is kept and what is signed: the history, erasures on devices that fail, certificates.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::ControlFlow;

use keepwell_api::disks::{Bus, SelfTestKind, Serial, Verdict};
use keepwell_diskd::certificate::{Circumstances, certify, verify};
use keepwell_diskd::erase::{Technique, erase};
use keepwell_diskd::history::{History, Kept};
use keepwell_diskd::inventory::Found;
use keepwell_diskd::medium::Medium;
use keepwell_diskd::smart::{Counter, Dated, Reading};
use support::TestBox;

const DAY: i64 = 86_400;
const NOW: i64 = 1_795_341_600;
const MIB: usize = 1 << 20;

fn found() -> Found {
    let (name, model) = ("sdx".into(), "KW TEST".into());
    Found {
        name,
        sequence: None,
        serial: Serial::parse("S1"),
        wwn: Some("naa.5000".into()),
        model,
        bus: Bus::Sata,
        size_bytes: 8 << 20,
        sector_bytes: 512,
        rotational: true,
        removable: false,
        read_only: false,
        zoned: None,
        partitions: Vec::new(),
        holds: Vec::new(),
    }
}

fn kept(at: i64, pending: u64) -> Kept {
    let mut reading = Reading::parse(br#"{"smart_status":{"passed":true}}"#).unwrap();
    reading.counters.insert(Counter::Pending, pending);
    Kept { dated: Dated { at, reading }, verdict: Verdict::Healthy }
}

#[test]
fn the_history_survives_and_is_thinned() {
    let folder = tempfile::tempdir().unwrap();
    let (path, serial) = (folder.path().join("disks.sqlite"), Serial::parse("S1").unwrap());
    let history = History::open(&path).unwrap();
    history.saw(&found(), NOW - 100 * DAY).unwrap();
    history.saw(&found(), NOW).unwrap();
    history.saw(&found(), NOW - DAY).unwrap();
    for day in [100, 60, 10, 0] {
        for hour in 0..4 {
            history.keep(&serial, &kept(NOW - day * DAY + hour * 3600, hour as u64)).unwrap();
        }
    }
    history.test_began(&serial, SelfTestKind::Long, NOW - 5).unwrap();
    drop(history);
    let history = History::open(&path).unwrap();
    let [disk] = history.disks().unwrap().try_into().unwrap();
    assert_eq!(
        (disk.tests.first_seen, disk.last_seen, disk.tests.long_at, disk.tests.short_at),
        (NOW - 100 * DAY, NOW, Some(NOW - 5), None)
    );
    let polls = history.polls(&serial, 0).unwrap();
    let old: Vec<_> =
        polls.iter().filter(|kept| kept.dated.at < NOW - 30 * DAY).map(|kept| kept.dated.reading.counters[&Counter::Pending]).collect();
    assert_eq!(old, [3, 3], "of old days the last poll stays");
    assert_eq!(polls.len(), 2 + 8);
    assert!(polls.is_sorted_by_key(|kept| kept.dated.at));
    assert_eq!(history.polls(&serial, NOW).unwrap().len(), 4);
}

#[test]
fn a_damaged_history_is_set_aside_and_one_wrong_date_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, serial) = (folder.path().join("disks.sqlite"), Serial::parse("S1").unwrap());
    std::fs::write(&path, vec![0xa5; 8192]).unwrap();
    assert!(History::open(&path).and_then(|history| history.disks()).is_err());
    let history = History::open_anyhow(&path).unwrap();
    assert_eq!(std::fs::read(folder.path().join("disks.sqlite.damaged")).unwrap().len(), 8192);
    history.keep(&serial, &kept(NOW - 60 * DAY, 3)).unwrap();
    history.keep(&serial, &kept(NOW, 3)).unwrap();
    history.keep(&serial, &kept(NOW + 40 * 365 * DAY, 3)).unwrap();
    assert_eq!(history.polls(&serial, 0).unwrap().len(), 3);
    drop(history);
    assert_eq!(History::open_anyhow(&path).unwrap().polls(&serial, 0).unwrap().len(), 3, "a good one stays");
    let nowhere = History::open_anyhow(&folder.path().join("no/such/folder")).unwrap();
    nowhere.saw(&found(), NOW).unwrap();
    assert_eq!(nowhere.disks().unwrap().len(), 1, "it is kept in memory");
}

/// A device in memory that fails where it is told to.
struct Fake {
    bytes: RefCell<Vec<u8>>,
    unwritable: std::ops::Range<usize>,
    /// Writes go to memory first, and only syncing tells that one failed.
    late: bool,
    failed: Cell<bool>,
    discards: bool,
    /// It says that it discarded, and did not.
    lies: bool,
}

impl Fake {
    fn new(bytes: usize) -> Self {
        Self {
            bytes: RefCell::new(vec![0xa5; bytes]),
            unwritable: 0..0,
            late: false,
            failed: Cell::new(false),
            discards: false,
            lies: false,
        }
    }
}

impl Medium for Fake {
    fn size(&self) -> u64 {
        self.bytes.borrow().len() as u64
    }

    fn write_zeros(&self, at: u64, length: usize) -> io::Result<()> {
        let range = at as usize..at as usize + length;
        if range.start < self.unwritable.end && self.unwritable.start < range.end {
            self.failed.set(self.late);
            return if self.late { Ok(()) } else { Err(io::Error::from_raw_os_error(5)) };
        }
        self.bytes.borrow_mut()[range].fill(0);
        Ok(())
    }

    fn discard(&self, at: u64, length: u64) -> io::Result<()> {
        if !self.discards {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if !self.lies {
            self.bytes.borrow_mut()[at as usize..(at + length) as usize].fill(0);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.failed.take() { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }

    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        into.copy_from_slice(&self.bytes.borrow()[at as usize..at as usize + into.len()]);
        Ok(())
    }
}

fn erased(medium: &Fake, discard: bool) -> keepwell_diskd::erase::Outcome {
    let mut last = 0;
    let mut progress = |done| {
        assert!(done >= last, "progress goes forward");
        last = done;
        ControlFlow::Continue(())
    };
    erase(medium, discard, &mut || 7, &mut progress).unwrap()
}

#[test]
fn everything_is_overwritten_or_discarded() {
    let fake = Fake::new(9 * MIB + 512);
    let outcome = erased(&fake, true);
    assert_eq!((outcome.technique, outcome.is_complete()), (Technique::Overwrite, true), "what can't discard is overwritten");
    assert_eq!(outcome.verified_bytes, fake.size());
    assert!(fake.bytes.borrow().iter().all(|b| *b == 0));
    let discards = Fake { discards: true, ..Fake::new(9 * MIB) };
    assert_eq!((erased(&discards, true).technique, erased(&discards, false).technique), (Technique::Discard, Technique::Overwrite));
}

#[test]
fn what_is_left_is_told() {
    for late in [false, true] {
        let fake = Fake { unwritable: 5 * MIB..5 * MIB + 10, late, ..Fake::new(9 * MIB) };
        if late {
            // What memory took and the disk did not is as it was.
            fake.bytes.borrow_mut()[..5 * MIB].fill(0x5a);
        }
        let outcome = erased(&fake, false);
        assert_eq!((outcome.failed_bytes, outcome.is_complete()), (64 << 10, false), "only the piece, late: {late}");
        assert!(outcome.wrong_bytes >= 64 << 10, "it is read back");
        assert!(fake.bytes.borrow()[..5 * MIB].iter().all(|b| *b == 0));
    }
    let lies = Fake { discards: true, lies: true, ..Fake::new(9 * MIB) };
    let outcome = erased(&lies, true);
    assert_eq!((outcome.wrong_bytes, outcome.is_complete()), (9 * MIB as u64, false), "a promise is not believed");
}

#[test]
fn a_disk_that_goes_or_is_stopped_ends_it() {
    let fake = Fake::new(9 * MIB);
    let stopped = erase(&fake, false, &mut || 0, &mut |_| ControlFlow::Break(())).unwrap_err();
    assert_eq!(stopped.kind(), io::ErrorKind::Interrupted);
}

#[test]
fn a_certificate_says_what_happened_and_nothing_else_verifies() {
    let (this, outcome) = (TestBox::new("Praxis"), erased(&Fake::new(8 * MIB), false));
    let about = Circumstances { asked_by: Some("Dr. Meier".into()), asked_by_uid: Some(0), began_at: NOW, ended_at: NOW + 60 };
    let certificate = certify(&found(), &outcome, &about, &this).unwrap();
    let (key, erasure) = verify(&certificate).unwrap();
    assert_eq!((key, erasure.level.as_str(), erasure.complete), (this.key(), "Clear", true));
    assert_eq!((erasure.serial.as_str(), erasure.size_bytes, erasure.asked_by.as_deref()), ("S1", 8 << 20, Some("Dr. Meier")));
    let mut changed = certificate.clone();
    changed.statement = changed.statement.replace("S1", "S2");
    assert!(verify(&changed).is_none());
    let mut other = certificate;
    other.public_key = TestBox::new("Praxis").key().to_hex();
    assert!(verify(&other).is_none());

    let failed = erased(&Fake { unwritable: 0..1, ..Fake::new(8 * MIB) }, false);
    let (_, erasure) = verify(&certify(&found(), &failed, &about, &this).unwrap()).unwrap();
    assert_eq!((erasure.level.as_str(), erasure.complete), ("none", false));
    assert!(erasure.meaning.starts_with("NOT ERASED"));
}
