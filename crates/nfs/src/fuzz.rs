//! Entry points for fuzzing: what parses foreign bytes, with the results thrown away. Never part of the public interface.

use bytes::Bytes;

use crate::xdr::Reader;
use crate::{mount, record, rpc, wire};

/// Record marking, then the header of each reply.
pub fn records(bytes: &[u8]) {
    let (mut stream, spare) = (bytes, record::Spare::default());
    while let Ok(Some(reply)) = record::read(&mut stream, &spare) {
        reply_to(&reply, 0);
    }
}

/// A reply; the first byte says to which procedure.
pub fn reply(bytes: &[u8]) {
    if let [which, rest @ ..] = bytes {
        reply_to(&Bytes::copy_from_slice(rest), *which);
    }
}

/// Results without the header of a reply; the first byte says of which procedure.
pub fn results(bytes: &[u8]) {
    if let [which, rest @ ..] = bytes {
        let whole = Bytes::copy_from_slice(rest);
        decode(*which, &mut Reader::new(&whole));
    }
}

fn reply_to(reply: &Bytes, which: u8) {
    if let Ok(mut reader) = rpc::results(reply, wire::NFS) {
        decode(which, &mut reader);
    }
}

fn decode(which: u8, reader: &mut Reader<'_>) {
    const ASKED: u32 = 1 << 20;
    match which % 15 {
        0 => drop(wire::getattr(reader, wire::GETATTR, 0)),
        1 => drop(wire::done(reader, wire::SETATTR, 0)),
        2 => drop(wire::lookup(reader, wire::LOOKUP, 0)),
        3 => drop(wire::access(reader, wire::ACCESS, 0)),
        4 => drop(wire::readlink(reader, wire::READLINK, 0)),
        5 => drop(wire::read(reader, wire::READ, ASKED)),
        6 => drop(wire::write(reader, wire::WRITE, ASKED)),
        7 => drop(wire::made(reader, wire::CREATE, 0)),
        8 => drop(wire::page(reader, wire::READDIR, 0)),
        9 => drop(wire::page_plus(reader, wire::READDIRPLUS, 0)),
        10 => drop(wire::space(reader, wire::FSSTAT, 0)),
        11 => drop(wire::facts(reader, wire::FSINFO, 0)),
        12 => drop(wire::name_max(reader, wire::PATHCONF, 0)),
        13 => drop(wire::access_lists(reader, wire::GETACL, 0)),
        _ => drop(mount::mounted(reader)),
    }
}
