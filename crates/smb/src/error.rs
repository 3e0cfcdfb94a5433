//! What can go wrong between this client and a server. Owns the error type; never carries a file name or a secret.

use std::io;

use crate::NtStatus;

/// Why something asked of a server did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SmbError {
    /// No connection could be made, or it ended before the sign-in was complete.
    #[error("cannot reach the SMB server {server}")]
    Unreachable {
        /// Host and port as given.
        server: String,
        /// What the network said.
        #[source]
        source: io::Error,
    },
    /// The connection, the session or the share was closed under us.
    #[error("the connection to the SMB server was lost")]
    Lost {
        /// What the network or the server said.
        #[source]
        source: io::Error,
    },
    /// An answer did not come in time; the connection is closed.
    #[error("the SMB server did not answer in time")]
    Timeout,
    /// The server refused the user or the password.
    #[error("the SMB server refused to sign in {user}: {status}")]
    SignIn {
        /// The user name as given.
        user: String,
        /// What the server said.
        status: NtStatus,
    },
    /// The token exchange of the sign-in failed.
    #[error("could not sign in to the SMB server")]
    Authentication {
        /// What the authentication library said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server would neither sign nor encrypt.
    #[error("the SMB server offers neither signing nor encryption")]
    NotSigned,
    /// Encryption was required and the server cannot do it.
    #[error("the SMB server does not offer encryption")]
    NotEncrypted,
    /// The server let us in as a guest or anonymously, which leaves everything unprotected.
    #[error("the SMB server signed us in as a guest")]
    Guest,
    /// The server speaks SMB 1 and nothing newer.
    #[error("the SMB server speaks SMB 1 only")]
    OnlySmb1,
    /// No common dialect: all are outside the range that was asked for.
    #[error("the SMB server speaks no dialect that is allowed here")]
    Refused,
    /// A wrong signature, a failed decryption, or an answer without the protection agreed on; the connection is closed.
    #[error("an answer of the SMB server was tampered with or not protected as agreed")]
    Signature,
    /// An answer whose body makes no sense. The connection stays usable.
    #[error("malformed answer of the SMB server: {what}")]
    Malformed {
        /// What was wrong.
        what: &'static str,
    },
    /// The server broke the rules of the protocol in a way that ends the connection.
    #[error("the SMB server broke the protocol: {what}")]
    Broken {
        /// What was wrong.
        what: &'static str,
    },
    /// The server answered with an error.
    #[error("{during}: {status}")]
    Status {
        /// What it answered (MS-ERREF 2.3).
        status: NtStatus,
        /// What was asked.
        during: &'static str,
    },
    /// The server allows fewer requests than one needs; the connection is closed.
    #[error("the SMB server grants no more credits")]
    Credits,
    /// There is no such share, or the user may not use it.
    #[error("the share {share} cannot be used: {status}")]
    NoShare {
        /// The share as given.
        share: String,
        /// What the server said.
        status: NtStatus,
    },
    /// What was asked for makes no sense.
    #[error("{what}")]
    Config {
        /// What was wrong.
        what: &'static str,
    },
}

impl SmbError {
    /// The status the server answered with, where that is what went wrong.
    pub fn status(&self) -> Option<NtStatus> {
        match self {
            Self::Status { status, .. } | Self::SignIn { status, .. } | Self::NoShare { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the connection can no longer be used: everything open is lost, a new connection may help.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Lost { .. } | Self::Timeout | Self::Signature | Self::Broken { .. } | Self::Credits)
    }

    /// The same error once more: several may wait for what failed once.
    pub(crate) fn replica(&self) -> Self {
        let again = |source: &io::Error| io::Error::new(source.kind(), source.to_string());
        match self {
            Self::Unreachable { server, source } => Self::Unreachable { server: server.clone(), source: again(source) },
            Self::Lost { source } => Self::Lost { source: again(source) },
            Self::Timeout => Self::Timeout,
            Self::SignIn { user, status } => Self::SignIn { user: user.clone(), status: *status },
            Self::Authentication { source } => Self::Authentication { source: source.to_string().into() },
            Self::NotSigned => Self::NotSigned,
            Self::NotEncrypted => Self::NotEncrypted,
            Self::Guest => Self::Guest,
            Self::OnlySmb1 => Self::OnlySmb1,
            Self::Refused => Self::Refused,
            Self::Signature => Self::Signature,
            Self::Malformed { what } => Self::Malformed { what },
            Self::Broken { what } => Self::Broken { what },
            Self::Status { status, during } => Self::Status { status: *status, during },
            Self::Credits => Self::Credits,
            Self::NoShare { share, status } => Self::NoShare { share: share.clone(), status: *status },
            Self::Config { what } => Self::Config { what },
        }
    }

    /// What an input or output error of the socket means.
    pub(crate) fn from_socket(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Timeout,
            _ => Self::Lost { source },
        }
    }

    /// What a connection cannot survive, as the end of it.
    pub(crate) fn fatal(self) -> Self {
        match self {
            Self::Malformed { what } => Self::Broken { what },
            Self::OnlySmb1 => Self::Broken { what: "an SMB1 message" },
            other => other,
        }
    }
}
