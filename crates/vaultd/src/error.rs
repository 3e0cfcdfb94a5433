//! Why vaultd did not do what it was asked.

use std::io;

use axum::http::StatusCode;
use keepwell_api::vault::Unready;
use keepwell_api::{ClientError, Refusal};
use keepwell_audit::AuditError;
use keepwell_ingest::IngestError;
use keepwell_storage::PoolError;
use keepwell_vault::VaultError;

use crate::checking;
use crate::state::StateError;

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum VaultdError {
    /// The vault is not open.
    #[error("{}", .0.text)]
    Unready(Unready),
    /// The box's state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The ledger failed: what has to be recorded and can't be is not done.
    #[error("the log can't be written, and what is not logged is not done")]
    Ledger(#[from] AuditError),
    /// The engine failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The grant is limited to other shares.
    #[error("this user may read from some shares only, and this is none of them; nothing was done")]
    Scope,
    /// Somebody else began it.
    #[error("somebody else began this restore: they, an operator or an owner can end it; it goes on")]
    NotYours,
    /// Another server than the share's.
    #[error(
        "this user may restore to the server that the share is on, and to no other one: an operator or an owner can restore to any. Nothing was written"
    )]
    NotHome,
    /// No share of tier 1 has a good copy.
    #[error("no share of tier 1 has a copy that could be opened; nothing was opened")]
    NoCopy,
    /// Nothing is open, or something else is.
    #[error("emergency access is closed. Whoever is responsible can open it again, in the console or at the box's own screen")]
    EmergencyClosed,
    /// The secret is another one.
    #[error("this is not the password of the emergency access that is open now")]
    EmergencySecret,
    /// There is none of that id.
    #[error("there is no {0} with this id")]
    NoSuch(&'static str),
    /// The share runs.
    #[error("this share is being backed up already, in run {0}")]
    RunsAlready(u64),
    /// It is the box's own state.
    #[error("this is what the box keeps of itself: shares, policies and users' proofs. A new box takes it over; nobody gets it as files")]
    OwnState,
    /// More bytes than the grant is for.
    #[error("this is {bytes} bytes, and the grant is for {most} at most; nothing was sent")]
    GrantTooSmall {
        /// What was asked for.
        bytes: u64,
        /// The grant's bound.
        most: u64,
    },
    /// Too much goes on already.
    #[error("too many {0} already; try again in a minute")]
    TooMany(&'static str),
    /// More than is sent in one archive.
    #[error("these are more than {0} files and folders, or their names are too long: restore them to a share, or download fewer at a time")]
    TooLarge(u64),
    /// The machine's clock is not what the person was shown.
    #[error("the machine's clock says {now}, which is more than five minutes from what was confirmed; nothing was changed")]
    OtherTime {
        /// Unix seconds.
        now: i64,
    },
    /// A value can't be taken.
    #[error("{0}; nothing was changed")]
    Invalid(String),
    /// No program has the disks of the pool.
    #[error(
        "this box's disks are folders, which no program looks after: they can't be added, removed or tested from here. Nothing was changed"
    )]
    NoDiskd,
    /// Only the owner may.
    #[error("only an owner of the box may do this; nothing was changed")]
    OwnersOnly,
    /// keyd does not answer.
    #[error("keyd does not answer, so the box has no keys for this. Nothing that was there is lost; try again")]
    Keyd(#[source] ClientError),
    /// diskd does not answer.
    #[error("diskd does not answer, so it is not known whether that was done. No data of the pool was touched")]
    Diskd(#[source] ClientError),
    /// replicad does not answer.
    #[error("replicad does not answer, so nothing is known of the second site. What is there is unharmed")]
    Replicad(#[source] ClientError),
    /// It may not be done with this disk.
    #[error("{text}")]
    Disk {
        /// A stable word for programs.
        code: String,
        /// Why, and what it means.
        text: String,
    },
    /// The share can't be looked at as it would be backed up.
    #[error("the share can't be used as it was given, so nothing was changed here or there")]
    Share(#[source] IngestError),
    /// Its account can do more than read.
    #[error(
        "this account can do more than read: it may {may}. Thieves who get hold of this box or of its password could then destroy the data and its backups together. \
         Create an account at the server that may only read, and give that one; or say why this one has to be used. Nothing was changed"
    )]
    CanWrite {
        /// In words.
        may: String,
    },
    /// The server does not say what it may.
    #[error(
        "this server does not say whether the account can do more than read, so it counts as one that can: thieves who get hold of this box or of its password could then \
         destroy the data and its backups together. Make sure at the server that it may only read, and say how that was made sure of. Nothing was changed"
    )]
    RightsUnknown,
    /// Nobody speaks to servers.
    #[error("the program that speaks to servers can't be reached; nothing was changed")]
    NoIngest(#[source] io::Error),
    /// No thread could be had.
    #[error("the box has no room for another thread; try again in a minute")]
    Thread(#[source] io::Error),
    /// A file of the box's own could not be written or read.
    #[error("a file of the box's own can't be used")]
    Own(#[source] io::Error),
}

impl VaultdError {
    /// What diskd says of a disk, in its own words.
    pub(crate) fn of_diskd(error: ClientError) -> Self {
        match error {
            ClientError::Refused(refusal) => Self::Disk { code: refusal.code, text: refusal.error },
            other => Self::Diskd(other),
        }
    }

    /// What keyd says, in its own words.
    pub(crate) fn of_keyd(error: ClientError) -> Self {
        match error {
            ClientError::Refused(refusal) => Self::Disk { code: refusal.code, text: refusal.error },
            other => Self::Keyd(other),
        }
    }

    fn told(&self) -> (StatusCode, &str) {
        match self {
            Self::Unready(unready) => (StatusCode::SERVICE_UNAVAILABLE, &unready.code),
            Self::State(StateError::NameTaken) => (StatusCode::CONFLICT, "name-taken"),
            Self::State(_) => (StatusCode::INTERNAL_SERVER_ERROR, "state"),
            Self::Ledger(_) => (StatusCode::INTERNAL_SERVER_ERROR, "log"),
            Self::Vault(VaultError::NoSnapshot(_)) => (StatusCode::NOT_FOUND, "no-snapshot"),
            Self::Vault(VaultError::NoPath(_)) => (StatusCode::NOT_FOUND, "no-path"),
            Self::Vault(VaultError::Pool(pool)) if matches!(**pool, PoolError::Refused(_)) => (StatusCode::CONFLICT, "pool-refuses"),
            Self::Vault(VaultError::NoFile) => (StatusCode::CONFLICT, "no-file"),
            Self::Vault(VaultError::NotRead(_)) => (StatusCode::CONFLICT, "gap"),
            Self::Vault(_) => (StatusCode::INTERNAL_SERVER_ERROR, "vault"),
            Self::Scope => (StatusCode::FORBIDDEN, "scope"),
            Self::NotYours => (StatusCode::FORBIDDEN, "not-yours"),
            Self::NotHome => (StatusCode::FORBIDDEN, "not-home"),
            Self::NoCopy => (StatusCode::CONFLICT, "no-copy"),
            Self::EmergencyClosed => (StatusCode::FORBIDDEN, "emergency-closed"),
            Self::EmergencySecret => (StatusCode::FORBIDDEN, "emergency-secret"),
            Self::NoSuch(_) => (StatusCode::NOT_FOUND, "not-found"),
            Self::RunsAlready(_) => (StatusCode::CONFLICT, "runs-already"),
            Self::OwnState => (StatusCode::FORBIDDEN, "own-state"),
            Self::GrantTooSmall { .. } => (StatusCode::FORBIDDEN, "grant-too-small"),
            Self::TooMany(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::TooLarge(_) => (StatusCode::UNPROCESSABLE_ENTITY, "too-large"),
            Self::OtherTime { .. } => (StatusCode::CONFLICT, "other-time"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::NoDiskd => (StatusCode::CONFLICT, "no-diskd"),
            Self::OwnersOnly => (StatusCode::FORBIDDEN, "role"),
            Self::Keyd(_) => (StatusCode::SERVICE_UNAVAILABLE, "keyd-silent"),
            Self::Diskd(_) => (StatusCode::SERVICE_UNAVAILABLE, "diskd-silent"),
            Self::Replicad(_) => (StatusCode::SERVICE_UNAVAILABLE, "replicad-silent"),
            Self::Disk { code, .. } => (StatusCode::CONFLICT, code),
            Self::Share(error) => (StatusCode::CONFLICT, checking::code(error)),
            Self::CanWrite { .. } | Self::RightsUnknown => (StatusCode::CONFLICT, "can-write"),
            Self::NoIngest(_) => (StatusCode::SERVICE_UNAVAILABLE, "no-ingest"),
            Self::Thread(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Own(_) => (StatusCode::INTERNAL_SERVER_ERROR, "own-file"),
        }
    }
}

impl From<&VaultdError> for Refusal {
    fn from(error: &VaultdError) -> Self {
        let (status, code) = error.told();
        Self::new(status, code, error)
    }
}
