//! A tree through a socket pair is the tree.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod model;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keepwell_format::port::{Piece, Source, Walked};
use keepwell_ingest::{Call, CheckOrder, IngestError, May, answer};
use model::{Door, Model, Run, bytes, file, finish, folder, open, order, read};

fn walk(source: &dyn Source) -> Vec<Walked> {
    source.walk().unwrap().map(Result::unwrap).collect()
}

fn shown(walked: &Walked) -> String {
    format!("{walked:?}")
}

#[test]
fn all_entries_and_files_come_as_they_are() {
    let model = Arc::new(Model::varied(700));
    let (remote, answering) = open(&model);
    assert_eq!(remote.info(), model.info());
    let (there, here) = (walk(&*model), walk(&remote));
    assert_eq!(there.iter().map(shown).collect::<Vec<_>>(), here.iter().map(shown).collect::<Vec<_>>());
    for (n, walked) in here.iter().enumerate().filter(|(_, walked)| walked.node.kind == keepwell_format::Kind::File) {
        if n % 2 == 0 {
            remote.expect(walked);
        }
        assert_eq!(read(&remote, walked, 40_000 + n), read(&*model, walked, 50_000), "{}", walked.key);
    }
    for walked in &here {
        for (name, _) in &model.row(&walked.key).streams {
            let (there, here) = (model.stream(walked, name).unwrap(), remote.stream(walked, name).unwrap());
            assert_eq!(finish(here, walked, 70).unwrap().0, finish(there, walked, 100).unwrap().0);
        }
    }
    assert!(remote.stream(&here[0], b"none").unwrap().next(&mut [0; 9]).is_err_and(|gap| gap.text == "no such stream"));
    drop(remote);
    assert!(answering.join().unwrap().is_ok());
}

/// As the engine does it: expected in order, read by several threads, some given up half way, while the walk goes on.
#[test]
fn a_backup_reads_while_it_walks() {
    let model = Arc::new(Model::varied(1_000));
    let (remote, _answering) = open(&model);
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Walked>(100);
    let receiver = std::sync::Mutex::new(receiver);
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (remote, model, receiver) = (&remote, &model, &receiver);
            scope.spawn(move || {
                loop {
                    let Ok(walked) = receiver.lock().unwrap().recv() else { return };
                    if walked.size % 5 == reader {
                        let mut given_up = remote.open(&walked);
                        let _ = given_up.as_mut().map(|file| file.next(&mut [0; 1000]).map(drop));
                    }
                    assert_eq!(read(remote, &walked, 1 << 20), read(&**model, &walked, 1 << 20));
                }
            });
        }
        for walked in remote.walk().unwrap() {
            let walked = walked.unwrap();
            if walked.node.kind == keepwell_format::Kind::File {
                remote.expect(&walked);
                sender.send(walked).unwrap();
            }
        }
        drop(sender);
    });
    let files = model.rows.iter().filter(|row| row.walked.node.kind == keepwell_format::Kind::File);
    assert_eq!(model.expected.lock().unwrap().len(), files.count());
}

/// Files that were begun and that nobody takes keep nothing else from being read.
#[test]
fn files_that_nobody_takes_block_nothing() {
    let large = || vec![Run::Data(bytes(1, 8 << 20))];
    let rows = (0..20).map(|n| file(&format!("large {n:02}"), large())).chain([file("small", vec![Run::Data(bytes(2, 10))])]);
    let model = Arc::new(Model::new(rows.collect()));
    let (remote, _answering) = open(&model);
    let all = walk(&remote);
    all[1..].iter().for_each(|walked| remote.expect(walked));
    let begun: Vec<_> = all[1..21].iter().map(|walked| remote.open(walked).unwrap()).collect();
    assert_eq!(read(&remote, &all[21], 100).unwrap().0, model.rows[21].runs);
    for (file, walked) in begun.into_iter().rev().zip(all[1..21].iter().rev()) {
        assert_eq!(finish(file, walked, 1 << 20).unwrap().0, large());
    }
}

#[test]
fn a_walk_can_be_given_up_and_done_again() {
    let model = Arc::new(Model::plain(10_000));
    let (remote, _answering) = open(&model);
    for taken in [0, 1, 700, 5_000] {
        let some: Vec<_> = remote.walk().unwrap().take(taken).map(Result::unwrap).collect();
        assert_eq!(some.len(), taken);
    }
    let walk = remote.walk().unwrap();
    assert!(remote.walk().is_err_and(|gap| gap.text.contains("under way")));
    assert_eq!(walk.count(), model.rows.len());
    assert!(remote.failure().is_none());
    // What was listed long ago is not held any more.
    let (old, new) = (&model.rows[1].walked, &model.rows[model.rows.len() - 1].walked);
    assert!(remote.open(old).is_err_and(|gap| gap.text.contains("long after")));
    assert!(remote.open(new).is_ok());
}

#[test]
fn a_walk_that_fails_ends_with_its_gap() {
    let mut model = Model::varied(900);
    model.walk_fails_at = Some(777);
    let (remote, _answering) = open(&Arc::new(model));
    let all: Vec<_> = remote.walk().unwrap().collect();
    assert_eq!(all.iter().filter(|walked| walked.is_ok()).count(), 777);
    assert!(matches!(all.last(), Some(Err(gap)) if gap.text == "the server went away"));
}

#[test]
fn a_server_that_is_gone_is_told_before_what_it_did_not_give() {
    let model = Arc::new(Model::varied(60));
    let (remote, _answering) = open(&model);
    let all = walk(&remote);
    assert_eq!(remote.gone(), None);
    model.gone.store(true, Ordering::Relaxed);
    let shut = all.iter().find(|walked| model.row(&walked.key).fate == model::Fate::Shut).unwrap();
    assert!(remote.open(shut).unwrap().next(&mut [0; 10]).is_err());
    assert_eq!(remote.gone(), model.gone());
}

#[test]
fn what_is_too_large_to_be_handed_over_is_said_to_be() {
    let mut rows = vec![folder("a"), file("a/b", vec![Run::Data(vec![1])]), folder("c")];
    rows[1].walked.node.descriptor = Some(vec![7; 5 << 20]);
    rows[2].walked.streams = vec![vec![b'n'; 1 << 20]; 6];
    let (remote, _answering) = open(&Arc::new(Model::new(rows)));
    let all = walk(&remote);
    assert_eq!(all.len(), 4);
    assert!(all[2].node.descriptor.is_none() && all[2].node.gap.is_some());
    assert!(all[3].streams.is_empty() && all[3].node.gap.is_some());
    assert_eq!(read(&remote, &all[2], 10).unwrap().0, [Run::Data(vec![1])]);
}

#[test]
fn refusals_come_as_they_are() {
    let model = Arc::new(Model::varied(1));
    for password in [None, Some("wrong".to_owned().into())] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let door = Door(Arc::clone(&model));
        let answering = std::thread::spawn(move || answer(theirs, &door));
        let refused = Call::begin(ours).unwrap().source(keepwell_ingest::SourceOrder { password, ..order() });
        let Err(IngestError::Refused(refusal)) = refused else { panic!("{refused:?}") };
        assert_eq!((refusal.code.as_str(), refusal.causes.len()), ("password", 1));
        assert!(matches!(answering.join().unwrap(), Err(IngestError::Refused(_))));
    }
}

#[test]
fn what_an_account_may_do_is_answered_and_the_job_is_over() {
    for (password, wanted) in [("sesam", Ok((vec![May::Write], 1))), ("wrong", Err("password".to_owned()))] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let door = Door(Arc::new(Model::varied(1)));
        let answering = std::thread::spawn(move || answer(theirs, &door));
        let order = CheckOrder { location: "model://tree".to_owned(), password: Some(password.to_owned().into()) };
        let checked = Call::begin(ours).unwrap().check(&order).map(|checked| (checked.may, checked.changeable));
        let told = checked.map_err(|error| if let IngestError::Refused(refusal) = error { refusal.code } else { panic!("{error}") });
        assert_eq!((&told, answering.join().unwrap().is_ok()), (&wanted, wanted.is_ok()));
    }
}

#[test]
fn cancelling_ends_what_waits() {
    let model = Arc::new(Model::new(vec![file("large", vec![Run::Data(bytes(1, 8 << 20))])]));
    let (remote, answering) = open(&model);
    let all = walk(&remote);
    let canceller = remote.canceller();
    let mut file = remote.open(&all[1]).unwrap();
    assert!(matches!(file.next(&mut [0; 1000]), Ok(Piece::Data(1000))));
    canceller.cancel("the practice closes");
    let told = std::iter::repeat_with(|| file.next(&mut vec![0; 1 << 20])).find_map(Result::err).unwrap();
    assert!(told.text.contains("the practice closes"));
    assert!(matches!(remote.failure(), Some(IngestError::Cancelled(why)) if why == "the practice closes"));
    assert!(remote.gone().is_some() && remote.walk().is_err());
    drop(file);
    assert!(answering.join().unwrap().is_ok());
}

#[test]
fn cancelling_ends_an_opening() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let call = std::thread::spawn(move || Call::begin(ours));
    // Greets, and then opens nothing.
    std::io::Write::write_all(&mut &theirs, b"\x0a\0\0\0\x81\0\0\0\0KWINGEST\x01\0").unwrap();
    let call = call.join().unwrap().unwrap();
    let canceller = call.canceller();
    let opening = std::thread::spawn(move || call.source(order()).map(drop));
    canceller.cancel("nobody waits");
    assert!(matches!(opening.join().unwrap(), Err(IngestError::Cancelled(_))));
}
