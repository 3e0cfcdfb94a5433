//! Servers that break the protocol, or break down: each call ends in time, with an error or the right answer.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod scripted;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keepwell_nfs::{Export, Identity, NfsError, Options, Status};
use scripted::{Act, Call, NFS, Words, reply, serve};

const READ: u32 = 6;

fn connect(script: impl Fn(&Call) -> Act + Send + Sync + 'static) -> Result<Export, NfsError> {
    let port = serve(script);
    let identity = Identity { uid: 0, gid: 0, groups: Vec::new(), machine: "test".into() };
    let options = Options { timeout: Duration::from_millis(300), dial: Duration::from_secs(5), port: Some(port), mount_port: Some(port) };
    Export::connect("127.0.0.1", b"/x", &identity, options)
}

/// What one READ of 100 bytes makes of an answer.
fn read(answer: impl Fn(&Call) -> Act + Send + Sync + 'static) -> Result<Vec<u8>, NfsError> {
    let export = connect(move |call| if call.is(NFS, READ) { answer(call) } else { Act::Usual }).unwrap();
    let read = export.begin_read(export.root(), 0, 100)?.wait()?;
    Ok(read.data.to_vec())
}

fn data(bytes: &[u8]) -> Words {
    Words::of(&[0, 0, bytes.len() as u32, 0]).opaque(bytes)
}

#[test]
fn a_read_that_brings_more_than_was_asked_is_refused() {
    assert_eq!(read(|_| Act::Answer(data(&[7; 100]))).unwrap(), [7; 100]);
    assert!(matches!(read(|_| Act::Answer(data(&[7; 101]))), Err(NfsError::Malformed(_))));
    assert!(matches!(read(|_| Act::Answer(Words::of(&[0, 0, 5, 0]).opaque(&[7; 4]))), Err(NfsError::Malformed(_))));
    assert!(matches!(read(|_| Act::Answer(Words::of(&[0, 0, 100, 0, 100]))), Err(NfsError::Malformed(_))));
    assert!(matches!(read(|_| Act::Answer(Words::of(&[70]))), Err(NfsError::Status { status: Status::STALE, .. })));
    assert!(matches!(read(|_| Act::Answer(Words::default())), Err(NfsError::Malformed(_))));
}

#[test]
fn lengths_that_lie_end_the_connection() {
    for mark in [[0xFF, 0xFF, 0xFF, 0xFF], [0x7F, 0xFF, 0xFF, 0xFF], [0x80, 0x20, 0, 0]] {
        assert!(matches!(read(move |_| Act::Raw(mark.to_vec())), Err(NfsError::Lost(_))), "{mark:?}");
    }
    assert!(matches!(read(|_| Act::Raw([0, 0, 0, 0].repeat(5_000))), Err(NfsError::Lost(_))));
}

#[test]
fn silence_and_half_an_answer_end_in_time() {
    assert!(matches!(read(|_| Act::Silence), Err(NfsError::Timeout)));
    assert!(matches!(read(|_| Act::Raw(vec![0x80, 0, 0, 9, 1, 2])), Err(NfsError::Timeout)));
    assert!(matches!(read(|call| Act::Raw(reply(call.xid.wrapping_add(99), &data(b"x")))), Err(NfsError::Timeout)));
    assert!(matches!(read(|_| Act::Reset), Err(NfsError::Lost(_))));
}

#[test]
fn answers_to_nobody_are_passed_over_however_many_there_are() {
    let answer = |call: &Call| {
        let strange: Vec<u8> = (1..2_000).flat_map(|n| reply(call.xid.wrapping_add(n), &data(b"not this"))).collect();
        Act::Raw([strange, reply(call.xid, &data(b"this"))].concat())
    };
    assert_eq!(read(answer).unwrap(), b"this");
}

#[test]
fn answers_come_in_any_order() {
    let seen = AtomicUsize::new(0);
    let export = connect(move |call| {
        if !call.is(NFS, READ) {
            return Act::Usual;
        }
        // Behind the handle: the offset's lower half says which read it is.
        let answer = data(&[call.word(1) as u8]);
        if seen.fetch_add(1, Ordering::SeqCst) % 8 == 7 { Act::Answer(answer) } else { Act::Later(answer) }
    })
    .unwrap();
    let reads: Vec<_> = (0..64).map(|at| export.begin_read(export.root(), at, 1).unwrap()).collect();
    let read: Vec<u8> = reads.into_iter().map(|read| read.wait().unwrap().data[0]).collect();
    assert_eq!(read, (0..64).collect::<Vec<u8>>());
}

#[test]
fn no_more_calls_are_in_flight_than_may_be() {
    const MOST: usize = 5;
    let seen = AtomicUsize::new(0);
    let export = connect(move |call| {
        let nth = seen.fetch_add(usize::from(call.is(NFS, READ)), Ordering::SeqCst) % MOST;
        // Nothing is answered before all that may be sent were.
        match call.is(NFS, READ) {
            true if nth == MOST - 1 => Act::Answer(data(b"x")),
            true => Act::Later(data(b"x")),
            false => Act::Usual,
        }
    })
    .unwrap();
    export.set_in_flight(MOST);
    let reads: Vec<_> = (0..20 * MOST as u64).map(|at| export.begin_read(export.root(), at, 1).unwrap()).collect();
    let mut beside = Vec::new();
    reads.into_iter().for_each(|read| drop(read.wait_timed(|timing| beside.push(timing.beside)).unwrap()));
    assert_eq!((beside.len(), beside.iter().max()), (20 * MOST, Some(&MOST)));
    assert_eq!(beside[..MOST], [1, 2, 3, 4, 5]);
    export.set_in_flight(0);
    assert_eq!(export.in_flight(), 1, "one is always allowed");
    export.reconnect(0).unwrap();
    assert_eq!(export.in_flight(), 1, "a new connection changes nothing");
}

#[test]
fn a_broken_connection_fails_all_calls_and_a_new_one_works() {
    let export = connect(|call| match call {
        call if call.is(NFS, READ) && call.word(1) == 3 => Act::Reset,
        call if call.is(NFS, READ) && call.word(1) < 3 => Act::Silence,
        call if call.is(NFS, READ) => Act::Answer(data(b"again")),
        _ => Act::Usual,
    })
    .unwrap();
    let reads: Vec<_> = (0..4).map(|at| export.begin_read(export.root(), at, 9).unwrap()).collect();
    for read in reads {
        assert!(matches!(read.wait(), Err(NfsError::Lost(_))));
    }
    assert!(export.begin_read(export.root(), 9, 9).is_err_and(|error| error.is_gone()));
    assert_eq!(export.generation(), 0);
    export.reconnect(0).unwrap();
    export.reconnect(0).unwrap();
    assert_eq!(export.generation(), 1);
    assert_eq!(export.begin_read(export.root(), 9, 9).unwrap().wait().unwrap().data, b"again"[..]);
}

#[test]
fn a_call_that_nobody_waits_for_leaves_nothing_behind() {
    let export = connect(|call| if call.is(NFS, READ) { Act::Answer(data(b"x")) } else { Act::Usual }).unwrap();
    for at in 0..2_000 {
        drop(export.begin_read(export.root(), at, 1).unwrap());
    }
    assert_eq!(export.begin_read(export.root(), 0, 1).unwrap().wait().unwrap().data, b"x"[..]);
}

#[test]
fn mounts_that_are_refused_or_want_kerberos_are_told() {
    const MOUNT: u32 = scripted::MOUNT;
    let mount =
        |words: Words| connect(move |call| if call.program == MOUNT { Act::Answer(words.clone()) } else { Act::Usual }).unwrap_err();
    assert!(matches!(mount(Words::of(&[13])), NfsError::Mount(Status::ACCES)));
    assert!(matches!(mount(Words::of(&[0]).opaque(&[1; 8]).u32(1).u32(390_003)), NfsError::NotOffered(_)));
    assert!(matches!(mount(Words::of(&[0]).opaque(&[1; 65]).u32(0)), NfsError::Malformed(_)));
    assert!(matches!(mount(Words::of(&[0]).opaque(&[]).u32(0)), NfsError::Malformed(_)));
}
