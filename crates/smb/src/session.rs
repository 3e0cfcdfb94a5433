//! Negotiating and signing in (MS-SMB2 3.2.4.2). Owns the way from a host name to a protected connection; never accepts a guest session.

use std::sync::Arc;
use std::time::Instant;

use zeroize::Zeroizing;

use crate::auth::{SignIn, offers_ntlm};
use crate::connection::{Connection, Greeting, dial};
use crate::crypto::{Keys, Preauth, derive};
use crate::wire::negotiate::{Agreement, Offer};
use crate::wire::{Command, session_setup};
use crate::{Credentials, Dialect, NtStatus, Options, SmbError, smb1};

/// NTLM takes two rounds, an integrity code a third.
const ROUNDS: usize = 4;

/// Whom to call.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// A session that stands.
pub(crate) struct Session {
    pub(crate) connection: Arc<Connection>,
    pub(crate) id: u64,
    pub(crate) agreement: Agreement,
    pub(crate) offer: Offer,
}

impl Session {
    /// `previous` is the session that this one replaces, or zero.
    pub(crate) fn open(server: &Server, credentials: &Credentials, options: &Options, previous: u64) -> Result<Self, SmbError> {
        let socket = dial(&server.host, server.port, options.dial, options.timeout).map_err(|source| SmbError::Lost { source })?;
        let mut greeting = Greeting::new(socket, options.timeout);
        let mut preauth = Preauth::new();
        let offer = Offer::new(options, &server.host, random()?, random()?)?;
        let deadline = Instant::now() + options.timeout;
        let agreement = match negotiate(&mut greeting, &offer, &mut preauth) {
            // A server that was in use before has no need of this.
            Err(SmbError::Lost { .. }) if previous == 0 && smb1::is_spoken(server, deadline) => return Err(SmbError::OnlySmb1),
            agreement => agreement?,
        };
        if options.require_encryption && agreement.cipher.is_none() {
            return Err(SmbError::NotEncrypted);
        }
        let (id, keys) = sign_in(&mut greeting, credentials, &agreement, preauth, previous)?;
        let longest = agreement.max_read.max(agreement.max_transact);
        Ok(Self { connection: Connection::start(greeting, id, keys, longest)?, id, agreement, offer })
    }
}

fn random<const N: usize>() -> Result<[u8; N], SmbError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SmbError::Config { what: "the system has no random numbers" })?;
    Ok(bytes)
}

fn negotiate(greeting: &mut Greeting, offer: &Offer, preauth: &mut Preauth) -> Result<Agreement, SmbError> {
    let turn = greeting.turn(Command::Negotiate, 0, &offer.request())?;
    preauth.update(&turn.request);
    preauth.update(&turn.answer);
    match turn.header.status {
        NtStatus::SUCCESS => {}
        NtStatus::NOT_SUPPORTED => return Err(SmbError::Refused),
        status => return Err(SmbError::Status { status, during: "negotiating" }),
    }
    let agreement = Agreement::read(&turn.answer, offer)?;
    if offers_ntlm(&agreement.token) == Some(false) {
        return Err(SmbError::Authentication { source: "the server does not allow NTLM".into() });
    }
    Ok(agreement)
}

fn sign_in(
    greeting: &mut Greeting,
    credentials: &Credentials,
    agreement: &Agreement,
    mut preauth: Preauth,
    previous: u64,
) -> Result<(u64, Keys), SmbError> {
    let mut sign_in = SignIn::new(credentials)?;
    let mut token = Zeroizing::new(sign_in.first()?);
    let mut session_id = 0;
    for _ in 0..ROUNDS {
        let mut turn = greeting.turn(Command::SessionSetup, session_id, &session_setup::request(&token, previous)?)?;
        preauth.update(&turn.request);
        match turn.header.status {
            NtStatus::SUCCESS | NtStatus::MORE_PROCESSING_REQUIRED => {}
            status => return Err(refusal(status, credentials)),
        }
        let given = turn.header.session_id;
        if given == 0 || (session_id != 0 && session_id != given) {
            return Err(SmbError::Broken { what: "session id" });
        }
        session_id = given;
        let reply = session_setup::Reply::read(&turn.answer)?;
        if turn.header.status == NtStatus::MORE_PROCESSING_REQUIRED {
            preauth.update(&turn.answer);
            token = sign_in.next(&reply.token)?;
            continue;
        }
        if reply.is_guest {
            return Err(SmbError::Guest);
        }
        if reply.must_encrypt && agreement.cipher.is_none() {
            return Err(SmbError::NotEncrypted);
        }
        let keys = derive(&sign_in.finish(&reply.token)?, agreement, &preauth, session_id);
        // Before SMB 3 servers may leave the last answer unsigned (MS-SMB2 3.2.5.3.1); what follows is signed.
        let must_be_signed = agreement.dialect >= Dialect::Smb300 || turn.header.is_signed();
        if must_be_signed && (!turn.header.is_signed() || !keys.signer.verify(&mut turn.answer)) {
            return Err(SmbError::Signature);
        }
        return Ok((session_id, keys));
    }
    Err(SmbError::Broken { what: "endless sign-in" })
}

/// What a refused sign-in means: nearly always the account, sometimes the server's state.
fn refusal(status: NtStatus, credentials: &Credentials) -> SmbError {
    match status {
        NtStatus::REQUEST_NOT_ACCEPTED | NtStatus::INSUFFICIENT_RESOURCES | NtStatus::NO_MEMORY => {
            SmbError::Status { status, during: "signing in" }
        }
        status => SmbError::SignIn { user: credentials.user.clone(), status },
    }
}
