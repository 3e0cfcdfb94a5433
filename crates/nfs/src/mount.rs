//! Finds the ports of services (port mapper version 2, RFC 1833 section 3) and the root of an export (MOUNT version 3, RFC 1813 appendix I).

use crate::connection::Connection;
use crate::export::Options;
use crate::rpc::{Credential, Procedure};
use crate::types::Handle;
use crate::xdr::{Reader, Result};
use crate::{NfsError, Status, dial::dial};

const PORT_MAPPER: u16 = 111;
const GET_PORT: Procedure = Procedure { program: 100_000, version: 2, number: 3, name: "the port mapper" };
const MOUNT: Procedure = Procedure { program: 100_005, version: 3, number: 1, name: "MOUNT version 3" };
const TCP: u32 = 6;
/// Authentication flavors that a server may list.
const MAX_FLAVORS: usize = 64;
const FLAVOR_NONE: u32 = 0;
const FLAVOR_SYS: u32 = 1;

/// The TCP port of a program.
pub(crate) fn port_of(host: &str, program: (u32, u32), service: &'static str, options: &Options) -> Result<u16> {
    let none = || NfsError::NoPort { server: host.to_owned(), service };
    let asked = dial(host, PORT_MAPPER, options.dial).and_then(|socket| {
        let connection = Connection::new(socket, options.timeout)?;
        let arguments = |out: &mut crate::xdr::Writer| {
            out.u32(program.0).u32(program.1).u32(TCP).u32(0);
        };
        connection.begin(GET_PORT, &Credential::none(), 0, arguments, &[], |reader, _, _| reader.u32())?.wait()
    });
    asked.ok().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0).ok_or_else(none)
}

/// The handle of an export's root.
pub(crate) fn mount(host: &str, port: u16, path: &[u8], credential: &Credential, options: &Options) -> Result<Handle> {
    let connection = Connection::new(dial(host, port, options.dial)?, options.timeout)?;
    let arguments = |out: &mut crate::xdr::Writer| {
        out.opaque(path);
    };
    connection.begin(MOUNT, credential, 0, arguments, &[], |reader, _, _| mounted(reader))?.wait()
}

pub(crate) fn mounted(reader: &mut Reader<'_>) -> Result<Handle> {
    let status = Status(reader.u32()?);
    if status != Status::OK {
        return Err(NfsError::Mount(status));
    }
    let handle = crate::wire::handle(reader)?;
    let flavors = reader.count(MAX_FLAVORS, 4)?;
    let flavors = (0..flavors).map(|_| reader.u32()).collect::<Result<Vec<u32>>>()?;
    if flavors.is_empty() || flavors.iter().any(|flavor| matches!(*flavor, FLAVOR_NONE | FLAVOR_SYS)) {
        return Ok(handle);
    }
    Err(NfsError::NotOffered("access without Kerberos"))
}
