//! Owns which command goes where, and the commands on sessions and shares. Never sees frames or signatures.

pub(crate) mod create;
mod data;
mod directory;
mod ioctl;
mod query;
mod set;
mod volume;

use crate::{
    handle::Handle,
    protocol::{Answer, Command, HEADER, Header},
    server::Shared,
    session::{Agreement, Session},
    status::{Refusal, Status},
    wire::{Fields, Out, Short, slice, units},
};

/// What the requests of a compound chain share (MS-SMB2 3.3.5.2.7.2).
#[derive(Debug, Default)]
pub(crate) struct Chain {
    pub(crate) session_id: u64,
    pub(crate) tree_id: u32,
    pub(crate) file: Option<u64>,
    pub(crate) failed: Option<Status>,
}

/// Everything a command may touch.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) agreement: &'a Agreement,
    pub(crate) session: &'a mut Session,
    pub(crate) chain: &'a mut Chain,
}

type Outcome = Result<Answer, Refusal>;

impl Chain {
    /// The handle that a request names; all ones stands for the one that the chain opened.
    pub(crate) fn file_id(&self, message: &[u8], at: usize) -> Result<u64, Status> {
        let mut fields = Fields::new(message, at);
        match (fields.u64(), fields.u64()) {
            (Ok(u64::MAX), Ok(u64::MAX)) => self.file.ok_or(Status::FILE_CLOSED),
            (Ok(persistent), Ok(volatile)) if persistent == volatile => Ok(volatile),
            _ => Err(Status::FILE_CLOSED),
        }
    }
}

impl Call<'_> {
    fn handle(&mut self, message: &[u8], command: Command) -> Result<(u64, &mut Handle), Status> {
        let at = command.file_id_at().ok_or(Status::INVALID_PARAMETER)?;
        let id = self.chain.file_id(message, at)?;
        self.chain.file = Some(id);
        Ok((id, self.session.handles.get_mut(&id).ok_or(Status::FILE_CLOSED)?))
    }
}

/// Carries out a request of a session that is signed in.
pub(crate) fn carry_out(call: &mut Call<'_>, header: &Header, message: &[u8]) -> Outcome {
    match header.command {
        Command::TreeConnect => return tree_connect(call, message),
        Command::Echo => return Ok(empty()),
        Command::Logoff => {
            call.session.ended = true;
            forget_handles(call);
            return Ok(empty());
        }
        _ => {}
    }
    let on_share = *call.session.trees.get(&header.tree_id).ok_or(Status::NETWORK_NAME_DELETED)?;
    if header.command == Command::TreeDisconnect {
        call.session.trees.remove(&header.tree_id);
        return Ok(empty());
    }
    if header.command == Command::Ioctl && ioctl::is_fileless(message) {
        return ioctl::fileless(call, message);
    }
    if !on_share {
        return Err(Status::ACCESS_DENIED.into());
    }
    let names_chain = header.command.file_id_at().is_some_and(|at| slice(message, at, 16) == Ok(&[0xFF; 16]));
    if let Some(status) = call.chain.failed.filter(|_| names_chain) {
        return Err(status.into());
    }
    match header.command {
        Command::Create => create::create(call, message),
        Command::Close => create::close(call, message),
        Command::Flush => data::flush(call, message),
        Command::Read => data::read(call, message),
        Command::Write => data::write(call, message),
        Command::QueryDirectory => directory::query(call, message),
        Command::QueryInfo => query::query(call, message),
        Command::SetInfo => set::set(call, message),
        Command::Ioctl => ioctl::on_file(call, message),
        _ => Err(Status::NOT_IMPLEMENTED.into()),
    }
}

/// MS-SMB2 2.2.9, 2.2.10.
fn tree_connect(call: &mut Call<'_>, message: &[u8]) -> Outcome {
    let mut fields = Fields::new(message, HEADER + 4);
    let (at, length) = (fields.u16()?, fields.u16()?);
    let path = String::from_utf16_lossy(&units(slice(message, usize::from(at), usize::from(length))?));
    let name = path.rsplit('\\').next().unwrap_or_default();
    let options = &call.shared.options;
    let on_share = name.eq_ignore_ascii_case(&options.share);
    if !on_share && !name.eq_ignore_ascii_case("IPC$") {
        return Err(Status::BAD_NETWORK_NAME.into());
    }
    let id = u32::try_from(call.shared.fresh_id()).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
    call.session.trees.insert(id, on_share);
    call.chain.tree_id = id;
    let mut out = Out::new();
    out.u16(16).u8(if on_share { 1 } else { 2 }).u8(0).u32(0).u32(0).u32(options.access);
    Ok(out.into())
}

fn forget_handles(call: &mut Call<'_>) {
    let left = call.session.handles.len() as u64;
    call.session.handles.clear();
    call.shared.counters.count(|counts| counts.open_handles -= left);
}

/// The body of the commands that answer nothing.
fn empty() -> Answer {
    let mut out = Out::new();
    out.u16(4).u16(0);
    out.into()
}

/// A body that ends in a buffer at offset 72: QUERY_DIRECTORY and QUERY_INFO.
fn buffer(bytes: &[u8], status: Status) -> Answer {
    let mut out = Out::new();
    out.u16(9).u16(72).u32(crate::wire::len32(bytes.len())).bytes(bytes);
    if bytes.is_empty() {
        out.u8(0);
    }
    Answer { status, body: out.0 }
}

/// What a request carries at an offset that it names.
fn carried(message: &[u8], at: u32, length: u32) -> Result<&[u8], Short> {
    slice(message, at as usize, length as usize)
}
