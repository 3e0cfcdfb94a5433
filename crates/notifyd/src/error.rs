//! Why a notice was not delivered, in words for the person who set the channel up. Never carries a password, nor the notice.

use std::fmt;
use std::io;

use axum::http::StatusCode;
use keepwell_api::Refusal;
use keepwell_api::notices::{Failure, Host, Line};

/// The other end of a channel.
#[derive(Clone, Debug)]
pub struct Peer {
    /// What it is, such as `mail server`.
    pub what: &'static str,
    /// Where it is.
    pub host: Host,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracketed = self.host.as_str().contains(':');
        if bracketed {
            write!(f, "the {} [{}]:{}", self.what, self.host, self.port)
        } else {
            write!(f, "the {} {}:{}", self.what, self.host, self.port)
        }
    }
}

/// Every failure of a delivery.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Nothing was tried.
    #[error("this channel's settings can't be used: {0}; nothing was sent")]
    Settings(&'static str),
    /// Not found, not there, or gone.
    #[error("{peer} can't be reached, so this notice did not get through: check its name and port, and the network")]
    Unreachable {
        /// Who.
        peer: Peer,
        /// What the system or the other end's bytes say.
        source: io::Error,
    },
    /// Not encrypted, or not who it should be.
    #[error(
        "{peer} could not prove who it is, or the connection could not be encrypted; nothing was sent: check its certificate, or give the authority that signed it"
    )]
    Tls {
        /// Who.
        peer: Peer,
        /// What was wrong.
        source: io::Error,
    },
    /// No such user, or another password.
    #[error("{peer} does not accept user name and password, so this notice did not get through: it said \"{answer}\"")]
    Auth {
        /// Who.
        peer: Peer,
        /// Its words.
        answer: Line,
        /// It says itself that this may change.
        passing: bool,
    },
    /// It said no.
    #[error("{peer} did not take this notice: it said \"{answer}\"")]
    Rejected {
        /// Who.
        peer: Peer,
        /// Its words.
        answer: Line,
        /// It says itself that this may change.
        passing: bool,
    },
    /// Silence.
    #[error("{peer} gave no answer within {seconds} s; this notice may not have got through")]
    Timeout {
        /// Who.
        peer: Peer,
        /// How long was waited.
        seconds: u64,
    },
}

impl NotifyError {
    /// What kind of failure it is.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Settings(_) => Failure::Settings,
            Self::Unreachable { .. } => Failure::Unreachable,
            Self::Tls { .. } => Failure::Tls,
            Self::Auth { .. } => Failure::Auth,
            Self::Rejected { .. } => Failure::Rejected,
            Self::Timeout { .. } => Failure::Timeout,
        }
    }

    /// Whether the same may succeed later by itself. A certificate may: they are renewed.
    fn passing(&self) -> bool {
        match self {
            Self::Settings(_) => false,
            Self::Auth { passing, .. } | Self::Rejected { passing, .. } => *passing,
            Self::Unreachable { .. } | Self::Tls { .. } | Self::Timeout { .. } => true,
        }
    }
}

impl From<&NotifyError> for Refusal {
    fn from(error: &NotifyError) -> Self {
        // The status says whether to try again: keepwell_api::notices::may_retry.
        let status = if error.passing() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNPROCESSABLE_ENTITY };
        Self::new(status, error.failure().code(), error)
    }
}
