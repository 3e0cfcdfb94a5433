//! The shape of `keepwell keys`. Parses; never opens a file.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

/// What is to be done with the box's keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Say what opens the keys, whether they are open, which papers are valid, and when each was last rehearsed
    Status(SocketArgs),
    /// Write one paper of a new kit as a page to print
    Print(PrintArgs),
    /// Type six words of a printed paper back; without --words-file, say which
    Confirm(ConfirmArgs),
    /// Check that a paper is valid and that its kit opens the newest key: one paper at a time, with or without a TPM
    Rehearse(RehearseArgs),
    /// Open the keys with the passphrase of a box that has no TPM; the first one is made so
    Unlock(UnlockArgs),
    /// Open the keys with two papers, and seal them to this box anew: after a fire, a new TPM, or a change of firmware
    Recover(RecoverArgs),
    /// Make a new kit. The old one stays valid until the new papers are printed and confirmed
    Reissue(VaultArgs),
    /// Bring the vault's disks the newest key slots, as after a `confirm` that did not get to its end; does nothing when they have them
    Store(VaultArgs),
    /// Seal the keys to the TPM as it is now, or beforehand as it will be after a planned change
    SealAgain(SealAgainArgs),
}

impl KeysCommand {
    /// The word the user typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Print(_) => "print",
            Self::Confirm(_) => "confirm",
            Self::Rehearse(_) => "rehearse",
            Self::Unlock(_) => "unlock",
            Self::Recover(_) => "recover",
            Self::Reissue(_) => "reissue",
            Self::Store(_) => "store",
            Self::SealAgain(_) => "seal-again",
        }
    }

    /// The socket that the user named.
    pub(crate) fn socket(&self) -> Option<&Path> {
        let socket = match self {
            Self::Status(socket) => socket,
            Self::Print(args) => &args.vault.socket,
            Self::Confirm(args) => &args.vault.socket,
            Self::Rehearse(args) => &args.vault.socket,
            Self::Unlock(args) => &args.socket,
            Self::Recover(args) => &args.socket,
            Self::Reissue(args) | Self::Store(args) => &args.socket,
            Self::SealAgain(args) => &args.socket,
        };
        socket.keyd.as_deref()
    }
}

/// Where the program with the keys listens.
#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// Socket of keepwell-keyd [default: that of the box]
    #[arg(long, value_name = "SOCKET")]
    pub(crate) keyd: Option<PathBuf>,
}

/// What concerns one vault.
#[derive(Debug, Args)]
pub(crate) struct VaultArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    pub(crate) vault: PathBuf,
}

/// `keys print`.
#[derive(Debug, Args)]
pub(crate) struct PrintArgs {
    #[command(flatten)]
    pub(crate) vault: VaultArgs,
    /// Which of the three
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(crate) sheet: u8,
    /// Who will keep it; is printed on it
    #[arg(long, value_name = "NAME")]
    pub(crate) keeper: String,
    /// Serial number of the box, to be printed on it
    #[arg(long, value_name = "SERIAL", default_value = "")]
    pub(crate) serial: String,
    /// As what
    #[arg(long, value_enum, default_value_t = PageFormat::Pdf)]
    pub(crate) format: PageFormat,
    /// New file to write; delete it once it is printed
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// Form of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PageFormat {
    /// A page with a QR code
    Pdf,
    /// Plain text
    Text,
}

/// `keys confirm`.
#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    #[command(flatten)]
    pub(crate) vault: VaultArgs,
    /// Which of the three
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(crate) sheet: u8,
    /// File with the six words, in the order in which they are asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) words_file: Option<PathBuf>,
}

/// `keys rehearse`.
#[derive(Debug, Args)]
pub(crate) struct RehearseArgs {
    #[command(flatten)]
    pub(crate) vault: VaultArgs,
    /// File with the text of the paper, or of its QR code
    #[arg(long, value_name = "FILE")]
    pub(crate) paper: PathBuf,
}

/// `keys unlock`.
#[derive(Debug, Args)]
pub(crate) struct UnlockArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// File with the passphrase
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: PathBuf,
}

/// `keys recover`.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// Folder of the vault [default: the one that the box has found and could not open]
    #[arg(long, value_name = "DIR")]
    pub(crate) vault: Option<PathBuf>,
    /// Files with the texts of two papers, or of their QR codes
    #[arg(long = "paper", value_name = "FILE", num_args = 1, required = true)]
    pub(crate) papers: Vec<PathBuf>,
    /// File with a new passphrase, for a box without a TPM
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// `keys seal-again`.
#[derive(Debug, Args)]
pub(crate) struct SealAgainArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// PCR 7 (SHA-256, hexadecimal) after a change that is planned; the keys stay sealed to the present one too
    #[arg(long, value_name = "HEX")]
    pub(crate) pcr7: Option<String>,
    /// Security epoch of the images that may open the keys; never goes back
    #[arg(long, value_name = "N")]
    pub(crate) epoch: Option<u32>,
}
