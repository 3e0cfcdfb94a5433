//! Why the console can't work at all. What a single page can't say is a [`crate::neighbours::Trouble`].

use std::io;
use std::path::{Path, PathBuf};

/// Every failure of the program itself.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// A file of its state.
    #[error("the console can't use its file {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What the file says makes no sense.
    #[error("the console's file {} is damaged: move its folder away, and a new certificate authority is made", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What did not fit.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Certificates.
    #[error("the console's certificate can't be made")]
    Certificate(#[source] rcgen::Error),
    /// TLS.
    #[error("the console's certificate can't be used")]
    Tls(#[source] tokio_rustls::rustls::Error),
    /// A name that no certificate of the box's authority can hold.
    #[error(
        "the certificate authority of this box was made without the name {name}, and may not speak for it; move the folder {} away, and a new one is made, which every computer has to be told to trust again",
        state.display()
    )]
    Name {
        /// The name.
        name: String,
        /// The console's state.
        state: PathBuf,
    },
    /// The system's random numbers.
    #[error("the system gives no random numbers")]
    Random(#[source] getrandom::Error),
}

impl ConsoleError {
    /// For a file.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }

    /// For what is in a file.
    pub(crate) fn damaged<E: std::error::Error + Send + Sync + 'static>(path: &Path) -> impl FnOnce(E) -> Self {
        move |source| Self::Damaged { path: path.to_owned(), source: Box::new(source) }
    }
}
