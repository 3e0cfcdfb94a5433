//! Broken lines, forged answers, answers that come late, twice, never or out of turn.

use keepwell_smb::{Open, OpenFile, Options, Pending, Share, SmbError, Store, Want};
use keepwell_smb_server::{Command, Fault, Faults, Rule, Server, Status};

use super::{HASTY, PATIENT, connect, ends, fetch, large, open, options, path, serve, tree};

/// What a fault ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Forged,
    Broken,
    Late,
    Lost,
}

fn end_of(error: &SmbError) -> Option<End> {
    match error {
        SmbError::Signature => Some(End::Forged),
        SmbError::Broken { .. } => Some(End::Broken),
        SmbError::Timeout => Some(End::Late),
        SmbError::Lost { .. } => Some(End::Lost),
        _ => None,
    }
}

fn garbage(length: u8) -> Vec<u8> {
    [&[0, 0, 0, length][..], &vec![0xAB; usize::from(length)]].concat()
}

/// What servers may say without being asked (MS-SMB2 2.2.23): unsigned, for no request.
fn oplock_break() -> Vec<u8> {
    let header = [b"\xFESMB\x40\0\0\0\0\0\0\0\x12\0\0\0\x01\0\0\0\0\0\0\0", &[0xFF; 8][..], &[0; 32]].concat();
    [&[0, 0, 0, 88][..], &header, &[24, 0], &[0; 22]].concat()
}

#[test]
fn what_ends_a_connection_is_told_and_the_next_one_works() {
    let cases = [
        (Fault::WrongSignature, End::Forged),
        (Fault::BlankSignature, End::Forged),
        (Fault::Unsigned, End::Forged),
        (Fault::Tamper(70, vec![1]), End::Forged),
        (Fault::MessageId(9999), End::Broken),
        (Fault::MessageId(0), End::Broken),
        (Fault::SessionId(5), End::Broken),
        (Fault::Patch(0, b"\xFFSMB".to_vec()), End::Broken),
        (Fault::Patch(4, vec![63]), End::Broken),
        (Fault::Patch(12, vec![3, 0]), End::Broken),
        (Fault::Patch(16, vec![0]), End::Broken),
        (Fault::Patch(20, vec![0xFF; 4]), End::Broken),
        (Fault::Patch(20, vec![8, 0, 0, 0]), End::Broken),
        (Fault::Silence, End::Late),
        (Fault::Hang, End::Late),
        (Fault::Stall(1500), End::Late),
        (Fault::Pending(1500), End::Late),
        // Left out of its chain.
        (Fault::Truncate(0), End::Late),
        (Fault::CutBefore, End::Lost),
        (Fault::CutUnanswered, End::Lost),
        (Fault::CutWithin(0), End::Lost),
        (Fault::CutWithin(3), End::Lost),
        (Fault::CutWithin(4), End::Lost),
        (Fault::CutWithin(50), End::Lost),
        (Fault::CutWithin(200), End::Lost),
        (Fault::Instead(vec![0, 0xFF, 0xFF, 0xFF]), End::Broken),
        (Fault::Instead(vec![0, 0x10, 0, 0, 1, 2, 3]), End::Late),
        (Fault::Instead(vec![0x85, 0, 0, 0]), End::Late),
        (Fault::Instead(vec![0, 0, 0, 0]), End::Broken),
        (Fault::Instead(vec![0x55, 0, 0, 0]), End::Broken),
        (Fault::Instead(garbage(100)), End::Broken),
        (Fault::Instead([&[0, 0, 0, 68][..], b"\xFESMB", &[0x40, 0], &[0; 10], &[1], &[0; 51]].concat()), End::Forged),
        (Fault::Inject(garbage(64)), End::Broken),
        (Fault::Smb1, End::Broken),
    ];
    for (fault, expected) in cases {
        ends(move || {
            let server = serve(tree(), [Rule::on(Command::Read, fault.clone()).times(1)]);
            let share = connect(&server, options(if expected == End::Late { HASTY } else { PATIENT })).unwrap();
            let error = fetch(&share, "a.txt").expect_err(&format!("{fault:?}"));
            // A header that cannot be a header may be seen before its signature is, or after.
            let fits =
                end_of(&error) == Some(expected) || (expected == End::Broken && matches!(fault, Fault::Patch(..)) && error.is_gone());
            assert!(fits && error.is_gone(), "{fault:?}: {error:?}");
            assert!(fetch(&share, "a.txt").unwrap_err().is_gone(), "{fault:?}: over is over");
            // Whatever the load of this machine, the second connection must not fail for it.
            drop(share);
            let share = connect(&server, options(PATIENT)).unwrap();
            assert_eq!(fetch(&share, "a.txt").unwrap().data, b"the right data"[..], "{fault:?}");
            assert_eq!(server.counts().breaches, [""; 0], "{fault:?}");
        });
    }
}

#[test]
fn what_is_only_odd_brings_the_right_data() {
    for fault in [
        Fault::Pending(30),
        Fault::Delay(30),
        Fault::After(1),
        Fault::Twice,
        Fault::CutAfter,
        Fault::Credits(0),
        Fault::Credits(u16::MAX),
        Fault::Inject(vec![0x85, 0, 0, 0, 0x85, 0, 0, 0]),
        Fault::Inject(oplock_break().repeat(20_000)),
    ] {
        ends(move || {
            let server = serve(tree(), [Rule::on(Command::Read, fault.clone()).times(1)]);
            let share = connect(&server, options(PATIENT)).unwrap();
            assert_eq!(fetch(&share, "large").unwrap().data, large(), "{fault:?}");
            if let Err(error) = fetch(&share, "a.txt") {
                assert!(error.is_gone() && matches!(fault, Fault::CutAfter | Fault::Twice), "{fault:?}: {error:?}");
                share.reconnect(1).unwrap();
                assert_eq!((share.generation(), fetch(&share, "a.txt").unwrap().data), (2, b"the right data"[..].into()));
            }
        });
    }
}

#[test]
fn answers_that_only_promise_an_answer_do_not_move_the_deadline() {
    ends(|| {
        let server = serve(tree(), []);
        let share = connect(&server, options(PATIENT)).unwrap();
        (0..500).for_each(|_| server.faults().push(Rule::on(Command::Read, Fault::Pending(0)).times(1)));
        assert_eq!(fetch(&share, "a.txt").unwrap().data, b"the right data"[..]);
        let share = connect(&server, options(HASTY)).unwrap();
        for _ in 0..500 {
            server.faults().push(Rule::on(Command::Read, Fault::Pending(0)));
            server.faults().push(Rule::on(Command::Read, Fault::Stall(5)));
        }
        assert!(matches!(fetch(&share, "a.txt"), Err(SmbError::Timeout)));
    });
}

#[test]
fn a_server_that_fails_while_we_connect_is_told() {
    for command in [Command::Negotiate, Command::SessionSetup, Command::TreeConnect] {
        for fault in [
            Fault::Hang,
            Fault::Silence,
            Fault::CutBefore,
            Fault::CutWithin(20),
            Fault::Instead(garbage(90)),
            Fault::Status(Status(0xC000_0205)),
        ] {
            ends(move || {
                let server = serve(tree(), [Rule::on(command, fault.clone())]);
                let share = connect(&server, options(HASTY));
                let fits = matches!(
                    (&share, &fault),
                    (Err(SmbError::Unreachable { .. }), Fault::Hang | Fault::Silence | Fault::CutBefore | Fault::CutWithin(_))
                        | (Err(SmbError::Broken { .. } | SmbError::Signature | SmbError::Malformed { .. }), Fault::Instead(_))
                        | (Err(SmbError::Status { .. } | SmbError::SignIn { .. } | SmbError::NoShare { .. }), Fault::Status(_))
                );
                assert!(fits, "{command:?} {fault:?}: {share:?}");
            });
        }
    }
}

#[test]
fn answers_out_of_turn_go_to_whom_they_are_for() {
    ends(|| {
        let rules = [Rule::on(Command::Read, Fault::After(3)).times(5), Rule::on(Command::Read, Fault::Delay(20)).skip(6).times(3)];
        let server = serve(tree(), rules);
        let share = connect(&server, options(PATIENT)).unwrap();
        let (file, all) = (open(&share, "large").unwrap(), large());
        let reads: Vec<_> = (0..30).map(|part| file.begin_read(part * 10_000, 10_000).unwrap()).collect();
        for (read, expected) in reads.into_iter().zip(all.chunks(10_000)) {
            assert_eq!(read.wait().unwrap(), expected);
        }
        assert!(server.counts().most_in_flight > 1);
    });
}

#[test]
fn a_server_that_grants_nothing_more_ends_it_in_time() {
    ends(|| {
        let server = serve(tree(), []);
        let share = connect(&server, options(HASTY)).unwrap();
        server.faults().push(Rule::always(Fault::Credits(0)));
        let error = (0..2000).find_map(|_| fetch(&share, "a.txt").err()).expect("credits without end");
        assert!(matches!(error, SmbError::Credits | SmbError::Timeout), "{error:?}");
        assert_eq!(server.counts().breaches, [""; 0]);
    });
}

#[test]
fn a_few_credits_are_enough() {
    ends(|| {
        for credits in [1, 2, 5, 9] {
            let server_options = keepwell_smb_server::Options { credits, ..keepwell_smb_server::Options::default() };
            let server = Server::start_with(server_options, tree(), Faults::none()).unwrap();
            let share = connect(&server, options(HASTY));
            let result = share.and_then(|share| fetch(&share, "a.txt"));
            // A chain of five needs five.
            match result {
                Ok(fetched) => assert_eq!(fetched.data, b"the right data"[..]),
                Err(error) => assert!(credits < 9 && matches!(error, SmbError::Credits | SmbError::Timeout), "{credits}: {error:?}"),
            }
            assert_eq!(server.counts().breaches, [""; 0], "{credits}");
        }
    });
}

#[test]
fn floods_of_refusals_are_passed_on() {
    let statuses =
        [Status::INSUFFICIENT_RESOURCES, Status::ACCESS_DENIED, Status::SHARING_VIOLATION, Status::NOT_SUPPORTED, Status(0xC123_4567)];
    for status in statuses {
        ends(move || {
            let server = serve(tree(), []);
            let share = connect(&server, options(PATIENT)).unwrap();
            server.faults().push(Rule::always(Fault::Status(status)));
            assert_eq!(fetch(&share, "a.txt").unwrap_err().status().map(|status| status.0), Some(status.0));
            let listed = share.list(&path("folder"), None).and_then(|mut listing| listing.next_batch());
            assert_eq!(listed.unwrap_err().status().map(|status| status.0), Some(status.0));
            assert!(share.volume().is_err());
            server.faults().clear();
            assert_eq!(fetch(&share, "a.txt").unwrap().data, b"the right data"[..], "the connection lives");
            assert!(server.counts().requests[&Command::Create] < 40, "it is not asked for ever");
        });
    }
    for status in [Status::NETWORK_SESSION_EXPIRED, Status::USER_SESSION_DELETED, Status::NETWORK_NAME_DELETED] {
        ends(move || {
            let server = serve(tree(), [Rule::on(Command::Read, Fault::Status(status)).times(1)]);
            let share = connect(&server, options(PATIENT)).unwrap();
            assert!(fetch(&share, "a.txt").unwrap_err().is_gone(), "{status:?}");
            share.reconnect(1).unwrap();
            assert_eq!(fetch(&share, "a.txt").unwrap().data, b"the right data"[..]);
        });
    }
}

#[test]
fn sealed_means_sealed() {
    let faults = [
        Fault::Unsealed,
        Fault::TamperFrame(4, vec![1]),
        Fault::TamperFrame(20, vec![1]),
        Fault::TamperFrame(36, vec![1]),
        Fault::TamperFrame(42, vec![3]),
        Fault::TamperFrame(44, vec![1]),
        Fault::TamperFrame(100, vec![1]),
    ];
    for fault in faults {
        ends(move || {
            let server_options = keepwell_smb_server::Options { encrypts: true, ..keepwell_smb_server::Options::default() };
            let rules = [Rule::on(Command::Read, fault.clone()).times(1)];
            let server = Server::start_with(server_options, tree(), rules.into()).unwrap();
            let share = connect(&server, Options { require_encryption: true, ..options(PATIENT) }).unwrap();
            let error = fetch(&share, "a.txt").unwrap_err();
            assert!(matches!(error, SmbError::Signature | SmbError::Broken { .. }), "{fault:?}: {error:?}");
            share.reconnect(1).unwrap();
            assert_eq!(fetch(&share, "a.txt").unwrap().data, b"the right data"[..]);
        });
    }
}

#[test]
fn nothing_of_an_old_connection_is_used_on_a_new_one() {
    ends(|| {
        let server = serve(tree(), []);
        let share = connect(&server, options(PATIENT)).unwrap();
        let file = open(&share, "a.txt").unwrap();
        server.cut();
        assert!(file.begin_read(0, 10).and_then(Pending::wait).unwrap_err().is_gone());
        share.reconnect(1).unwrap();
        share.reconnect(1).unwrap();
        assert_eq!((share.generation(), server.counts().connections), (2, 2), "one is enough");
        assert!(file.stale() && file.begin_read(0, 10).and_then(Pending::wait).is_err());
        drop(file);
        assert_eq!(fetch(&share, "a.txt").unwrap().data, b"the right data"[..]);
        let port = server.port();
        let served = server.stop();
        assert!(fetch(&share, "a.txt").unwrap_err().is_gone());
        assert!(matches!(share.reconnect(2), Err(SmbError::Unreachable { .. })));
        let again = keepwell_smb_server::Options { port, ..keepwell_smb_server::Options::default() };
        let _server = Server::start_with(again, served, Faults::none()).unwrap();
        share.reconnect(2).unwrap();
        assert_eq!(fetch(&share, "a.txt").unwrap().data, b"the right data"[..]);
    });
}

fn write(share: &Share) -> Result<OpenFile, SmbError> {
    let how = Open::writing(keepwell_smb::OpenKind::File, keepwell_smb::Disposition::OverwriteIf);
    share.begin_open(&path("new"), &how).and_then(Pending::wait)
}

#[test]
fn writes_that_fail_or_lie_are_noticed() {
    ends(|| {
        let mut small = tree();
        small.volume.free = 25_000;
        let server = serve(small, []);
        let share = connect(&server, options(PATIENT)).unwrap();
        let file = write(&share).unwrap();
        let writes: Vec<_> = (0..4).map(|part| file.begin_write(part * 10_000, &[7; 10_000]).unwrap()).collect();
        let results: Vec<_> = writes.into_iter().map(Pending::wait).collect();
        assert!(results[..2].iter().all(|written| matches!(written, Ok(10_000))));
        assert_eq!(results[2].as_ref().unwrap_err().status().unwrap().0, Status::DISK_FULL.0);
        drop(file);
        let store = Store {
            data: &[1; 9000],
            basic: Default::default(),
            descriptor: None,
            disposition: keepwell_smb::Disposition::Create,
            takes: None,
        };
        let stored = share.begin_store(&path("stored"), &store).and_then(Pending::wait);
        assert_eq!(stored.unwrap().written.unwrap_err().0, Status::DISK_FULL.0);
        server.tree().volume.free = 1 << 30;
        for claimed in [10_001_u32, u32::MAX] {
            let file = write(&share).unwrap();
            server.faults().push(Rule::on(Command::Write, Fault::Patch(68, claimed.to_le_bytes().to_vec())));
            assert!(file.begin_write(0, &[7; 10_000]).and_then(Pending::wait).is_err(), "{claimed} of 10000 bytes");
            server.faults().clear();
        }
        let looked = share.begin_stat(&path("new"), Want::default(), None).and_then(Pending::wait);
        assert_eq!(looked.unwrap().info.size, 10_000);
    });
}
