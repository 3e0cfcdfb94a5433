//! Every field of every answer wrong in turn, every answer cut short: the client must come back, with whatever, and stay within bounds.

use keepwell_smb::{Basic, Disposition, FileTime, Open, OpenKind, Pending, Share, SmbError, Store, Want, WidePath, check_name};
use keepwell_smb_server::{Command, Fault, NEW_YEAR, Rule, Server};

use super::{PATIENT, connect, ends, fetch, open, options, path, serve, tree};

/// A bit of everything; errors are passed over, a lost connection ends it.
fn tour(server: &Server) -> Result<(), SmbError> {
    let share = connect(server, options(PATIENT))?;
    passes(share.volume())?;
    passes(share.snapshots())?;
    passes(list(&share, &path("folder")))?;
    passes(fetch(&share, "large"))?;
    passes(open(&share, "large").and_then(|file| {
        passes(file.begin_read(100_000, 65_537).and_then(Pending::wait))?;
        passes(file.allocated_ranges(0, 300_000))?;
        file.close()
    }))?;
    let basic = Basic { written: Some(FileTime(NEW_YEAR)), ..Basic::default() };
    let store = Store { data: b"stored", basic, descriptor: None, disposition: Disposition::Create, takes: Some(&path("taken")) };
    passes(share.begin_store(&path("stored"), &store).and_then(Pending::wait))?;
    let how = Open::writing(OpenKind::File, Disposition::OverwriteIf);
    passes(share.begin_open(&path("written"), &how).and_then(Pending::wait).and_then(|file| {
        passes(file.begin_write(0, &[1; 1000]).and_then(Pending::wait))?;
        passes(file.set_basic(&basic))?;
        file.close()
    }))
}

fn passes<T>(result: Result<T, SmbError>) -> Result<(), SmbError> {
    match result {
        Err(error) if error.is_gone() => Err(error),
        _ => Ok(()),
    }
}

fn list(share: &Share, folder: &WidePath) -> Result<(), SmbError> {
    let mut listing = share.list(folder, None)?;
    while let Some(batch) = listing.next_batch()? {
        batch.iter().for_each(|entry| check_name(&entry.name).unwrap());
    }
    Ok(())
}

/// The commands of the tour, and where the interesting part of their answers ends.
const COMMANDS: [(Command, usize); 11] = [
    (Command::Negotiate, 204),
    (Command::SessionSetup, 84),
    (Command::TreeConnect, 80),
    (Command::Create, 176),
    (Command::Close, 124),
    (Command::Read, 84),
    (Command::Write, 80),
    (Command::QueryDirectory, 180),
    (Command::QueryInfo, 176),
    (Command::Ioctl, 132),
    (Command::SetInfo, 66),
];

fn survives(command: Command, fault: Fault) {
    ends(move || {
        let server = serve(tree(), [Rule::on(command, fault.clone())]);
        // Any result will do.
        let _ = tour(&server);
        let counts = server.counts();
        assert!(counts.requests.values().sum::<u64>() < 300, "{command:?} {fault:?}: {:?}", counts.requests);
        assert_eq!(counts.breaches, [""; 0], "{command:?} {fault:?}");
    });
}

#[test]
fn the_tour_goes_well_without_faults() {
    let server = serve(tree(), []);
    tour(&server).unwrap();
    let counts = server.counts();
    assert!(COMMANDS.iter().all(|(command, _)| counts.requests.contains_key(command)), "{:?}", counts.requests);
    assert_eq!(counts.breaches, [""; 0]);
    assert_eq!(server.stop().at("taken").unwrap().content.bytes(), b"stored");
}

#[test]
fn every_field_may_be_wrong() {
    for (command, end) in COMMANDS {
        for at in (64..end).step_by(4) {
            survives(command, Fault::Patch(at, vec![0xFF; 4]));
            survives(command, Fault::Patch(at, vec![0; 4]));
        }
    }
}

#[test]
fn every_answer_may_be_short() {
    for (command, end) in COMMANDS {
        for length in (1..end).step_by(9) {
            survives(command, Fault::Truncate(length));
        }
    }
}

#[test]
fn a_short_answer_never_brings_wrong_data() {
    for length in (64..90).chain([1000, 300_000]) {
        ends(move || {
            let server = serve(tree(), [Rule::on(Command::Read, Fault::Truncate(length))]);
            let share = connect(&server, options(PATIENT)).unwrap();
            let file = open(&share, "a.txt").unwrap();
            if let Ok(data) = file.begin_read(0, 100).and_then(Pending::wait) {
                assert_eq!(data, b"the right data"[..], "cut at {length}");
                assert!(length >= 80 + 14);
            }
            let looked = share.begin_stat(&path("a.txt"), Want::default(), None).and_then(Pending::wait);
            assert!(looked.is_ok_and(|stat| stat.info.size == 14) || length < 80);
        });
    }
}
