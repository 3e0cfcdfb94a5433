//! The shape of `keepwell disks`. Parses; never opens a file.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

/// What is to be done with the box's disks.
#[derive(Debug, Subcommand)]
pub(crate) enum DisksCommand {
    /// List the disks: what each is to this box, and how healthy it is
    List(SocketArgs),
    /// Take a disk into the pool: it is prepared, and the data is spread over it too. What is on it is gone
    Add(AddArgs),
    /// Empty a disk of the pool on to the others, so that it can be taken out
    Remove(RemoveArgs),
    /// Say all that is known of a disk, with its past and the certificate of its last erasure
    Show(DiskArgs),
    /// Make a disk one of this box's. What is on it is gone
    Prepare(DangerArgs),
    /// Mount a prepared disk; one of another box only when its serial number is typed
    Mount(DangerArgs),
    /// Unmount a disk, so that it can be taken out
    Unmount(DiskArgs),
    /// Let the file system of a mounted disk that became larger use all of it
    Grow(DiskArgs),
    /// Overwrite all of a disk and get a signed certificate of it. Takes hours
    Erase(EraseArgs),
    /// Let a disk test itself
    SelfTest(SelfTestArgs),
    /// Blink the light of a disk, or of its bay
    Locate(LocateArgs),
    /// Say how the box itself is: heat, fans, memory, load, file systems
    Vitals(SocketArgs),
}

impl DisksCommand {
    /// The word the user typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "list",
            Self::Add(_) => "add",
            Self::Remove(_) => "remove",
            Self::Show(_) => "show",
            Self::Prepare(_) => "prepare",
            Self::Mount(_) => "mount",
            Self::Unmount(_) => "unmount",
            Self::Grow(_) => "grow",
            Self::Erase(_) => "erase",
            Self::SelfTest(_) => "self-test",
            Self::Locate(_) => "locate",
            Self::Vitals(_) => "vitals",
        }
    }

    /// Whether diskd can do it alone.
    pub(crate) fn is_diskds(&self) -> bool {
        !matches!(self, Self::Add(_) | Self::Remove(_))
    }

    /// The socket that the user named.
    pub(crate) fn socket(&self) -> Option<&Path> {
        let socket = match self {
            Self::List(socket) | Self::Vitals(socket) => socket,
            Self::Show(args) | Self::Unmount(args) | Self::Grow(args) => &args.socket,
            Self::Prepare(args) | Self::Mount(args) => &args.disk.socket,
            Self::Erase(args) => &args.danger.disk.socket,
            // The pool's, which diskd knows nothing of.
            Self::Add(_) | Self::Remove(_) => return None,
            Self::SelfTest(args) => &args.disk.socket,
            Self::Locate(args) => &args.disk.socket,
        };
        socket.socket.as_deref()
    }
}

/// Where the program with the disks listens.
#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// Socket of keepwell-diskd [default: that of the box]
    #[arg(long, value_name = "SOCKET")]
    pub(crate) socket: Option<PathBuf>,
}

/// What concerns one disk.
#[derive(Debug, Args)]
pub(crate) struct DiskArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// Serial number, the beginning of one, or the kernel's name for it now (sda)
    #[arg(value_name = "DISK")]
    pub(crate) disk: String,
}

/// `add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Serial number, or the beginning of one
    #[arg(value_name = "DISK")]
    pub(crate) disk: String,
    /// The whole serial number, typed from the disk's sticker; asked for on a terminal
    #[arg(long, value_name = "TYPED")]
    pub(crate) serial: Option<String>,
    /// The disk of the pool in whose place it comes, by its serial number: that one is given up
    #[arg(long, value_name = "OLD")]
    pub(crate) replaces: Option<String>,
}

/// `remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Its serial number, as 'keepwell disks list' shows it
    #[arg(value_name = "DISK")]
    pub(crate) disk: String,
}

/// What may cost data.
#[derive(Debug, Args)]
pub(crate) struct DangerArgs {
    #[command(flatten)]
    pub(crate) disk: DiskArgs,
    /// The whole serial number, typed from the disk's sticker or 'keepwell disks list'; asked for on a terminal
    #[arg(long, value_name = "TYPED")]
    pub(crate) serial: Option<String>,
    /// Folder of the vault whose disk it was: its other disks say whether it was retired
    #[arg(long, value_name = "DIR")]
    pub(crate) vault: Option<PathBuf>,
    /// You know that no pool needs the disk any more: do not ask its pool
    #[arg(long)]
    pub(crate) not_in_a_pool: bool,
}

/// `erase`.
#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    pub(crate) danger: DangerArgs,
    /// Write the certificate (JSON) to this new file
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Who asks for it, for the certificate
    #[arg(long, value_name = "NAME")]
    pub(crate) asked_by: Option<String>,
    /// Begin it and do not wait for its end
    #[arg(long, conflicts_with = "certificate")]
    pub(crate) no_wait: bool,
}

/// `self-test`.
#[derive(Debug, Args)]
pub(crate) struct SelfTestArgs {
    #[command(flatten)]
    pub(crate) disk: DiskArgs,
    /// Read the whole surface: hours instead of minutes
    #[arg(long)]
    pub(crate) long: bool,
}

/// `locate`.
#[derive(Debug, Args)]
pub(crate) struct LocateArgs {
    #[command(flatten)]
    pub(crate) disk: DiskArgs,
    /// How long it blinks
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub(crate) seconds: u64,
}
