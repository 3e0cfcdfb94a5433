//! A share on one connection (MS-SMB2 3.2.4.2.4 to 3.2.4.2.6). Owns what has to be checked before it is used; never makes a connection
//! again.

use std::sync::Arc;

use bytes::Bytes;

use crate::connection::{Connection, Exchange, Request};
use crate::session::{Server, Session};
use crate::wire::create::FileId;
use crate::wire::header::AnswerHeader;
use crate::wire::{Command, echo, ioctl, negotiate, tree};
use crate::{Dialect, Facts, NtStatus, Protection, SmbError};

/// MS-SMB2 2.2.31.4.
const VALIDATE_NEGOTIATE_INFO: u32 = 0x0014_0204;
const VALIDATION_LENGTH: u32 = 24;

/// Credits needed for several large requests at once.
const PLENTY: u32 = 256;
const CREDIT_BYTES: u32 = 65_536;

/// A share on one connection.
pub(crate) struct Tree {
    pub(crate) connection: Arc<Connection>,
    pub(crate) session_id: u64,
    pub(crate) generation: u64,
    pub(crate) facts: Facts,
    tree_id: u32,
}

impl Tree {
    /// Connects to `share` on a fresh session.
    pub(crate) fn open(session: Session, server: &Server, share: &str, generation: u64) -> Result<Self, SmbError> {
        let request = Request { command: Command::TreeConnect, body: tree::request(&server.host, share)?, payload: 0 };
        let (header, body) = single(session.connection.send(generation, 0, vec![request])?)?;
        let reply = match header.status {
            NtStatus::SUCCESS => tree::Reply::read(&body)?,
            status => return Err(SmbError::NoShare { share: share.to_owned(), status }),
        };
        if reply.must_encrypt && session.agreement.cipher.is_none() {
            return Err(SmbError::NotEncrypted);
        }
        if session.agreement.dialect < Dialect::Smb311 {
            validate(&session, header.tree_id)?;
        }
        gather_credits(&session.connection)?;
        let facts = facts(&session, &reply);
        Ok(Self { connection: session.connection, session_id: session.id, generation, facts, tree_id: header.tree_id })
    }

    pub(crate) fn send(&self, chain: Vec<Request>) -> Result<Exchange, SmbError> {
        self.connection.send(self.generation, self.tree_id, chain)
    }
}

fn single(exchange: Exchange) -> Result<(AnswerHeader, Bytes), SmbError> {
    exchange.wait_with_headers()?.pop().ok_or(SmbError::Malformed { what: "no answer" })
}

fn facts(session: &Session, reply: &tree::Reply) -> Facts {
    let agreement = &session.agreement;
    // Half the credits at most for one request, so that two can be under way.
    let most = (session.connection.credits() / 2).max(1) * CREDIT_BYTES;
    Facts {
        dialect: agreement.dialect,
        protection: agreement.cipher.map_or(Protection::Signed(agreement.signing), Protection::Encrypted),
        server_guid: agreement.server_guid,
        max_read: agreement.max_read.min(most),
        max_write: agreement.max_write.min(most),
        max_transact: agreement.max_transact.min(most),
        share_is_dfs: reply.is_dfs,
        maximal_access: reply.maximal_access,
        server_time: agreement.server_time,
    }
}

/// Before SMB 3.1.1 somebody between may have changed the negotiation; asks again under protection (MS-SMB2 3.2.5.5).
fn validate(session: &Session, tree_id: u32) -> Result<(), SmbError> {
    let input = negotiate::validation(&session.offer);
    let request = ioctl::encode(FileId([0xFF; 16]), VALIDATE_NEGOTIATE_INFO, &input, VALIDATION_LENGTH);
    let (header, body) = single(session.connection.send(0, tree_id, vec![request])?)?;
    match header.status {
        NtStatus::SUCCESS => {}
        // A server too old to know the request; that it says so is protected.
        NtStatus::INVALID_DEVICE_REQUEST | NtStatus::NOT_SUPPORTED | NtStatus::FILE_CLOSED | NtStatus::INVALID_PARAMETER => return Ok(()),
        status => return Err(SmbError::Status { status, during: "validating the negotiation" }),
    }
    let output = ioctl::decode(&body, VALIDATION_LENGTH)?;
    if negotiate::is_validated(&output, &session.agreement)? { Ok(()) } else { Err(SmbError::Signature) }
}

/// Servers grant credits bit by bit; every request asks for what is missing.
fn gather_credits(connection: &Arc<Connection>) -> Result<(), SmbError> {
    for _ in 0..4 {
        let before = connection.credits();
        if before >= PLENTY {
            break;
        }
        let echo = Request { command: Command::Echo, body: echo::request(), payload: 0 };
        single(connection.send(0, 0, vec![echo])?)?;
        if connection.credits() <= before {
            break;
        }
    }
    Ok(())
}
