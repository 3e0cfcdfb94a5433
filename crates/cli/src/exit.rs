//! Exit codes and the one error type of the command line. Says what happened and what to do; never prints a secret.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use keepwell_api::{ClientError, Refusal};
use keepwell_crypt::CryptError;
use keepwell_recover::RecoverError;
use keepwell_source::SourceError;
use keepwell_storage::PoolError;
use keepwell_vault::VaultError;

use crate::to_do;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All that was asked for was done.
    Complete,
    /// Nothing useful was done.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Done, but with gaps or damage, which were listed.
    Partial,
    /// A snapshot was made, but a person has to look before it counts.
    Held,
}

impl Exit {
    /// Complete, or partial where something is wrong.
    pub(crate) fn of(clean: bool) -> Self {
        if clean { Self::Complete } else { Self::Partial }
    }

    /// The exit code, which scripts rely on.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial | Self::Held => 3,
        }
    }

    /// The word for it in JSON.
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Held => "held",
            Self::Failed | Self::Usage => "failed",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A precondition does not hold; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// Only a person may have this done.
    #[error("nobody is signed in here, and this is only done for a person; nothing was done")]
    NotSignedIn,
    /// A file or folder can't be used.
    #[error("can't {doing} {}", .path.display())]
    File {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is not the kit file it should be.
    #[error("{} can't be used as a kit file (wanted is a file as 'vault init' wrote it: kit-1.txt, kit-2.txt or kit-3.txt)", .path.display())]
    Kit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<CryptError>,
    },
    /// The vault or its disks.
    #[error(transparent)]
    Vault(Box<VaultError>),
    /// The tree to back up, or the place to restore to.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What another box keeps.
    #[error(transparent)]
    Recover(Box<RecoverError>),
    /// Another program of the box was asked.
    #[error(transparent)]
    Api(Box<ClientError>),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes, so no keys can be made; nothing was changed")]
    Random(#[source] getrandom::Error),
    /// Standard output failed.
    #[error("the answer can't be written to standard output")]
    Output(#[source] io::Error),
}

impl From<VaultError> for CliError {
    fn from(error: VaultError) -> Self {
        Self::Vault(Box::new(error))
    }
}

impl From<RecoverError> for CliError {
    fn from(error: RecoverError) -> Self {
        Self::Recover(Box::new(error))
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        Self::Api(Box::new(error))
    }
}

impl From<PoolError> for CliError {
    fn from(error: PoolError) -> Self {
        VaultError::from(error).into()
    }
}

impl CliError {
    /// A file operation that failed.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }

    /// The exit code that belongs to it.
    pub(crate) fn exit(&self) -> Exit {
        if matches!(self, Self::Usage(_)) { Exit::Usage } else { Exit::Failed }
    }

    /// The stable word of the program that refused, for programs.
    pub(crate) fn code(&self) -> Option<&str> {
        self.refusal().map(|refusal| &*refusal.code)
    }

    /// Number of the request that was refused, as the program's log has it.
    pub(crate) fn request(&self) -> Option<&str> {
        self.refusal().and_then(|refusal| refusal.request.as_deref())
    }

    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Api(error) => match &**error {
                ClientError::Refused(refusal) => Some(refusal),
                _ => None,
            },
            _ => None,
        }
    }

    /// What the person can do about it, where the message does not say so.
    pub(crate) fn to_do(&self) -> Option<String> {
        match self {
            Self::Api(error) => to_do::about(error),
            Self::NotSignedIn => Some(to_do::SIGN_IN.into()),
            _ => None,
        }
    }

    /// The chain of causes below, outermost first, without repetition.
    pub(crate) fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        if let Some(refusal) = self.refusal() {
            return refusal.causes.clone();
        }
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes.dedup();
        causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_contract() {
        let codes = [Exit::Complete, Exit::Failed, Exit::Usage, Exit::Partial, Exit::Held].map(|exit| (exit.code(), exit.outcome()));
        assert_eq!(codes, [(0, "complete"), (1, "failed"), (2, "failed"), (3, "partial"), (3, "held")]);
        assert_eq!(CliError::Usage(String::new()).exit(), Exit::Usage);
        assert_eq!(CliError::Refused(String::new()).exit(), Exit::Failed);
    }

    #[test]
    fn the_chain_names_the_cause_once() {
        let error = CliError::file("read", "/x")(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(error.to_string(), "can't read /x");
        assert_eq!(error.causes().len(), 1);
    }
}
