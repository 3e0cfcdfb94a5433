//! Owns the header of MS-SMB2 2.2.1, the commands, and the window of message ids that credits open. Never looks into bodies.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    status::{Refusal, Status},
    wire::{Fields, Out, Short, len32},
};

pub(crate) const HEADER: usize = 64;
pub(crate) const ANSWER: u32 = 1;
pub(crate) const ASYNC: u32 = 2;
pub(crate) const RELATED: u32 = 4;
pub(crate) const SIGNED: u32 = 8;

/// Names each command once, in the order of its number.
macro_rules! commands {
    ($($name:ident)*) => {
        /// The commands of MS-SMB2 2.2.1.2.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "the names are those of MS-SMB2")]
        pub enum Command {
            $($name,)*
        }

        const COMMANDS: &[Command] = &[$(Command::$name,)*];
    };
}

commands! {
    Negotiate SessionSetup Logoff TreeConnect TreeDisconnect Create Close Flush Read Write Lock Ioctl Cancel Echo QueryDirectory ChangeNotify
    QueryInfo SetInfo OplockBreak
}

impl Command {
    /// Where in a request, counted from its header, the file id is.
    pub(crate) fn file_id_at(self) -> Option<usize> {
        match self {
            Command::Close | Command::Flush | Command::QueryDirectory | Command::Ioctl => Some(HEADER + 8),
            Command::Read | Command::Write | Command::SetInfo => Some(HEADER + 16),
            Command::QueryInfo => Some(HEADER + 24),
            _ => None,
        }
    }

    /// The larger of what a request carries and what it asks for: its credits have to pay for it (MS-SMB2 3.3.5.2.5).
    pub(crate) fn payload(self, message: &[u8]) -> Result<u32, Short> {
        let u32_at = |at: usize| Fields::new(message, HEADER + at).u32();
        Ok(match self {
            Command::Read | Command::Write | Command::QueryInfo | Command::SetInfo => match self {
                Command::QueryInfo => u32_at(4)?.max(u32_at(12)?),
                _ => u32_at(4)?,
            },
            Command::QueryDirectory => u32_at(28)?,
            Command::Ioctl => u32_at(28)?.saturating_add(u32_at(40)?).max(u32_at(32)?.saturating_add(u32_at(44)?)),
            _ => 0,
        })
    }
}

/// The header of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) charge: u16,
    pub(crate) command: Command,
    pub(crate) credits: u16,
    pub(crate) flags: u32,
    pub(crate) next: usize,
    pub(crate) message_id: u64,
    pub(crate) tree_id: u32,
    pub(crate) session_id: u64,
}

impl Header {
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Short> {
        let mut fields = Fields::new(message, 0);
        if fields.take(4)? != b"\xFESMB" || fields.u16()? != 64 {
            return Err(Short);
        }
        let charge = fields.u16()?;
        let command = *COMMANDS.get(usize::from(fields.skip(4)?.u16()?)).ok_or(Short)?;
        let (credits, flags, next, message_id) = (fields.u16()?, fields.u32()?, fields.u32()? as usize, fields.u64()?);
        let (tree_id, session_id) = (fields.skip(4)?.u32()?, fields.u64()?);
        fields.array16()?;
        Ok(Self { charge, command, credits, flags, next, message_id, tree_id, session_id })
    }
}

/// One answer before it is laid out, with what faults make of it.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) request: Header,
    pub(crate) status: Status,
    pub(crate) body: Vec<u8>,
    pub(crate) flags: u32,
    pub(crate) credits: u16,
    pub(crate) async_id: u64,
    pub(crate) signs: bool,
    pub(crate) faults: Vec<crate::faults::Fault>,
}

impl Reply {
    pub(crate) fn new(request: Header, result: Result<Answer, Refusal>, wrapped: bool) -> Self {
        let (status, body) = match result {
            Ok(answer) => (answer.status, answer.body),
            Err(refusal) => (refusal.status, error_body(&refusal.data, wrapped)),
        };
        let flags = ANSWER | request.flags & RELATED;
        Self { request, status, body, flags, credits: 0, async_id: 0, signs: false, faults: Vec::new() }
    }

    /// Header and body; the signature is left blank.
    pub(crate) fn lay_out(&self) -> Vec<u8> {
        let request = &self.request;
        let mut out = Out::new();
        out.bytes(b"\xFESMB").u16(64).u16(request.charge).u32(self.status.0).u16(request.command as u16).u16(self.credits);
        out.u32(self.flags).u32(0).u64(request.message_id);
        match self.flags & ASYNC {
            0 => out.u32(0xFEFF).u32(request.tree_id),
            _ => out.u64(self.async_id),
        };
        out.u64(request.session_id).zeros(16).bytes(&self.body);
        out.0
    }
}

/// What a command answers when it does not refuse.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) body: Vec<u8>,
}

impl From<Out> for Answer {
    fn from(body: Out) -> Self {
        Self { status: Status::SUCCESS, body: body.0 }
    }
}

/// MS-SMB2 2.2.2; in dialect 3.1.1 the data sits in an error context.
fn error_body(data: &[u8], wrapped: bool) -> Vec<u8> {
    let mut out = Out::new();
    match (data.is_empty(), wrapped) {
        (true, _) => out.u16(9).u16(0).u32(0).u8(0),
        (false, false) => out.u16(9).u16(0).u32(len32(data.len())).bytes(data),
        (false, true) => out.u16(9).u8(1).u8(0).u32(len32(data.len() + 8)).u32(len32(data.len())).u32(0).bytes(data),
    };
    out.0
}

/// The message ids that a client may use (MS-SMB2 3.3.1.1).
#[derive(Debug)]
pub(crate) struct Window {
    low: u64,
    high: u64,
    used: BTreeSet<u64>,
    limit: u64,
}

impl Window {
    pub(crate) fn new(limit: u16) -> Self {
        Self { low: 0, high: 1, used: BTreeSet::new(), limit: u64::from(limit) }
    }

    /// Uses up the ids of one request; false if it may not use them.
    pub(crate) fn spend(&mut self, request: &Header) -> bool {
        let ids = request.message_id..request.message_id.saturating_add(u64::from(request.charge.max(1)));
        if ids.end > self.high || ids.start < self.low || ids.clone().any(|id| self.used.contains(&id)) {
            return false;
        }
        self.used.extend(ids);
        while self.used.remove(&self.low) {
            self.low += 1;
        }
        true
    }

    /// Credits left: none of them is spent yet.
    pub(crate) fn open(&self) -> u64 {
        self.high - self.low - self.used.len() as u64
    }

    /// Grants what is asked for, up to the limit, or what a fault says.
    pub(crate) fn grant(&mut self, asked: u16, exactly: Option<u16>) -> u16 {
        let room = u16::try_from(self.limit.saturating_sub(self.open())).unwrap_or(u16::MAX);
        let granted = exactly.unwrap_or_else(|| asked.max(1).min(room));
        self.high += u64::from(granted);
        granted
    }
}
