//! The connection against a scripted server on loopback that shares its keys.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::wire::header::{AnswerHeader, FLAG_ASYNC, FLAG_RELATED, FLAG_SIGNED};
use crate::wire::header::{FLAGS, MESSAGE_ID, tests::answer};
use crate::{NtStatus, Signing};

const SESSION: u64 = 9;
const ECHO: u16 = Command::Echo as u16;

fn signer() -> Arc<Signer> {
    Arc::new(Signer::new(Signing::AesCmac, &[4; 16]))
}

/// A connection to `server`, which gets the other end of it.
fn connect(timeout: Duration, server: impl FnOnce(TcpStream) + Send + 'static) -> (Arc<Connection>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = dial("127.0.0.1", listener.local_addr().unwrap().port(), timeout, timeout).unwrap();
    let server = thread::spawn(move || server(listener.accept().unwrap().0));
    let mut greeting = Greeting::new(socket, timeout);
    greeting.grant(64);
    let keys = Keys { signer: signer(), sealing: None };
    (Connection::start(greeting, SESSION, keys, 1 << 20).unwrap(), server)
}

fn echo_request() -> Request {
    Request { command: Command::Echo, body: echo::request(), payload: 0 }
}

fn send(connection: &Arc<Connection>) -> Exchange {
    connection.send(1, 5, vec![echo_request()]).unwrap()
}

/// The message ids of the requests in the next frame; their signatures and flags are as they must be.
fn receive(stream: &mut TcpStream) -> Vec<u64> {
    let mut frame = socket::read_frame(stream, 1 << 20).unwrap();
    let (mut ids, mut start) = (Vec::new(), 0);
    loop {
        let next = u32::from_le_bytes(frame[start + 20..start + 24].try_into().unwrap()) as usize;
        let end = if next == 0 { frame.len() } else { start + next };
        let message = &mut frame[start..end];
        let flags = u32::from_le_bytes(message[FLAGS].try_into().unwrap());
        assert_eq!(flags, FLAG_SIGNED | if start == 0 { 0 } else { FLAG_RELATED });
        ids.push(u64::from_le_bytes(message[MESSAGE_ID].try_into().unwrap()));
        assert!(signer().verify(message));
        if next == 0 {
            return ids;
        }
        assert_eq!(next % 8, 0);
        start = end;
    }
}

fn signed(id: u64, status: NtStatus, flags: u32) -> Vec<u8> {
    let mut message = answer(ECHO, status, flags, id, SESSION, 1);
    message.extend([4, 0, 0, 0, id as u8, 0, 0, 0]);
    signer().sign(&mut message);
    message
}

fn reply(stream: &TcpStream, message: &[u8]) {
    socket::write_frame(stream, &mut [&[0; 4], message].concat(), Duration::from_secs(5)).unwrap();
}

fn statuses(exchange: Exchange) -> Vec<(NtStatus, u8)> {
    exchange.wait().unwrap().iter().map(|answer| (answer.status, answer.body[4])).collect()
}

#[test]
fn answers_find_their_requests_in_any_order() {
    let (connection, server) = connect(Duration::from_secs(20), |mut stream| {
        let (first, second) = (receive(&mut stream)[0], receive(&mut stream)[0]);
        reply(&stream, &answer(ECHO, NtStatus::PENDING, FLAG_ASYNC, first, SESSION, 1));
        reply(&stream, &answer(18, NtStatus::SUCCESS, 0, u64::MAX, 0, 0));
        reply(&stream, &signed(second, NtStatus::ACCESS_DENIED, 0));
        reply(&stream, &signed(first, NtStatus::SUCCESS, FLAG_ASYNC));
    });
    let (first, second) = (send(&connection), send(&connection));
    assert_eq!(statuses(first), [(NtStatus::SUCCESS, 0)]);
    assert!(second.is_ready());
    assert_eq!(statuses(second), [(NtStatus::ACCESS_DENIED, 1)]);
    server.join().unwrap();
}

#[test]
fn a_chain_goes_and_comes_as_one() {
    let (connection, server) = connect(Duration::from_secs(20), |mut stream| {
        let ids = receive(&mut stream);
        assert_eq!(ids, [0, 1, 5], "the second takes four credits");
        let mut compound = Vec::new();
        for id in &ids {
            let mut message = signed(*id, NtStatus::SUCCESS, 0);
            if *id != 5 {
                message[20..24].copy_from_slice(&72_u32.to_le_bytes());
                signer().sign(&mut message);
            }
            compound.extend(message);
        }
        reply(&stream, &compound);
    });
    let chain = vec![echo_request(), Request { payload: 200_000, body: vec![4, 0, 0, 0, 1], ..echo_request() }, echo_request()];
    let answers = statuses(connection.send(1, 5, chain).unwrap());
    assert_eq!(answers.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [0, 1, 5]);
    assert!(matches!(connection.send(1, 5, Vec::new()), Err(SmbError::Config { .. })));
    let huge = Request { body: vec![0; socket::LONGEST], ..echo_request() };
    assert!(matches!(connection.send(1, 5, vec![huge]), Err(SmbError::Config { .. })));
    server.join().unwrap();
}

#[test]
fn an_answer_nobody_wants_any_more_does_no_harm() {
    let (connection, server) = connect(Duration::from_secs(20), |mut stream| {
        let dropped = receive(&mut stream)[0];
        let wanted = receive(&mut stream)[0];
        reply(&stream, &signed(dropped, NtStatus::SUCCESS, 0));
        reply(&stream, &signed(wanted, NtStatus::SUCCESS, 0));
    });
    drop(send(&connection));
    assert_eq!(statuses(send(&connection)), [(NtStatus::SUCCESS, 1)]);
    server.join().unwrap();
}

#[test]
fn silence_ends_the_connection_for_everybody() {
    let (connection, server) = connect(Duration::from_millis(300), |mut stream| while socket::read_frame(&mut stream, 1 << 20).is_ok() {});
    let (first, second) = (send(&connection), send(&connection));
    assert!(matches!(first.wait(), Err(SmbError::Timeout)));
    assert!(second.is_ready());
    assert!(second.wait().unwrap_err().is_gone());
    assert!(connection.send(1, 5, vec![echo_request()]).unwrap_err().is_gone());
    server.join().unwrap();
}

#[test]
fn whatever_is_not_as_agreed_ends_the_connection() {
    let unsigned = answer(ECHO, NtStatus::SUCCESS, 0, 0, SESSION, 1);
    let mut changed = signed(0, NtStatus::SUCCESS, 0);
    changed[70] ^= 1;
    let mut command = answer(Command::Read as u16, NtStatus::SUCCESS, 0, 0, SESSION, 1);
    signer().sign(&mut command);
    let is_signature: fn(SmbError) -> bool = |error| matches!(error, SmbError::Signature);
    let is_broken: fn(SmbError) -> bool = |error| matches!(error, SmbError::Broken { .. });
    let is_lost: fn(SmbError) -> bool = |error| matches!(error, SmbError::Lost { .. });
    for (message, expected) in [
        (unsigned, is_signature),
        (changed, is_signature),
        (command, is_broken),
        (signed(7, NtStatus::SUCCESS, 0), is_broken),
        (b"\xFFSMB and more".to_vec(), is_broken),
        (b"\xFCSMB and more".to_vec(), is_broken),
        (Vec::new(), is_broken),
        (signed(0, NtStatus::NETWORK_SESSION_EXPIRED, 0), is_lost),
    ] {
        let (connection, server) = connect(Duration::from_secs(20), move |mut stream| {
            receive(&mut stream);
            reply(&stream, &message);
            assert!(socket::read_frame(&mut stream, 1 << 20).is_err(), "the client hangs up");
        });
        let error = send(&connection).wait().unwrap_err();
        assert!(error.is_gone() && expected(error));
        server.join().unwrap();
    }
}

#[test]
fn a_dropped_connection_says_goodbye() {
    let (connection, server) = connect(Duration::from_secs(20), |mut stream| {
        let message = socket::read_frame(&mut stream, 1 << 20).unwrap();
        assert_eq!(message[12], Command::Logoff as u8);
        assert!(socket::read_frame(&mut stream, 1 << 20).is_err());
        assert!(!AnswerHeader::read(&message).unwrap().is_answer());
    });
    drop(connection);
    server.join().unwrap();
}

#[test]
fn more_than_any_server_grants_is_refused() {
    let (connection, server) = connect(Duration::from_secs(20), |mut stream| while socket::read_frame(&mut stream, 1 << 20).is_ok() {});
    let error = connection.send(1, 5, vec![Request { payload: u32::MAX, ..echo_request() }]).unwrap_err();
    assert!(matches!(error, SmbError::Credits));
    server.join().unwrap();
}
