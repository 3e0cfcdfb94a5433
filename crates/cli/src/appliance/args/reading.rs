//! The shape of the commands that look into snapshots and get something out of them. Parses; never opens a file.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::WaitArgs;
use crate::args::ConflictArg;
use crate::remote::AccountArgs;

/// `snapshots`.
#[derive(Debug, Args)]
pub(crate) struct SnapshotsArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<SnapshotsVerb>,
    /// Only of the share with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) share: Option<String>,
}

/// What is done with snapshots besides listing them.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotsVerb {
    /// Say what differs between two of them: what was added, removed, changed in its bytes, or in nothing but times, owner and rights
    Compare(CompareArgs),
}

/// `snapshots compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The earlier one: id, unique beginning of one, latest, or NAME@latest
    #[arg(value_name = "OLDER")]
    pub(crate) older: String,
    /// The later one
    #[arg(value_name = "NEWER")]
    pub(crate) newer: String,
    /// Only at this folder and below
    #[arg(long, value_name = "P")]
    pub(crate) path: Option<OsString>,
}

/// `files`.
#[derive(Debug, Args)]
pub(crate) struct FilesArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<FilesVerb>,
    /// Id, unique beginning of one, latest, or NAME@latest
    #[arg(value_name = "SNAP", required = true)]
    pub(crate) snapshot: Option<String>,
    /// The folder [default: its root]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<OsString>,
}

/// What is done with files besides listing them.
#[derive(Debug, Subcommand)]
pub(crate) enum FilesVerb {
    /// List what all snapshots of a share have at one path, newest first
    Versions {
        /// Its name or id
        #[arg(value_name = "SHARE")]
        share: String,
        /// The file or folder
        #[arg(value_name = "PATH")]
        path: OsString,
    },
    /// List the files and folders whose name holds a text, whatever the case of its letters
    Search {
        /// Id, unique beginning of one, latest, or NAME@latest
        #[arg(value_name = "SNAP")]
        snapshot: String,
        /// 2 to 100 characters
        #[arg(value_name = "TEXT")]
        text: String,
        /// Only in this folder and below
        #[arg(long, value_name = "P")]
        path: Option<OsString>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
}

/// `download`.
#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// Id, unique beginning of one, latest, or NAME@latest
    #[arg(value_name = "SNAP")]
    pub(crate) snapshot: String,
    /// One file, which comes as it was; or a folder, or up to 200 files and folders of one folder, which come as a ZIP archive
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<OsString>,
    /// New file to write, for this user alone; - is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// A ZIP archive for one file too
    #[arg(long)]
    pub(crate) zip: bool,
    /// Put it in the place of a file that is there
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `restore`.
#[derive(Debug, Args)]
pub(crate) struct BoxRestoreArgs {
    /// Id, unique beginning of one, latest, or NAME@latest
    #[arg(value_name = "SNAP")]
    pub(crate) snapshot: String,
    /// Only what is at this path
    #[arg(long, value_name = "P")]
    pub(crate) path: Option<OsString>,
    /// With the account that may write: smb://writer@host[:port]/share[/path], or nfs://host/export. The box's reading account never writes
    #[arg(long, value_name = "URL")]
    pub(crate) to: OsString,
    /// What happens to a file where there is one already [default: there must be none]
    #[arg(long, value_name = "RULE")]
    pub(crate) conflict: Option<ConflictArg>,
    /// Write nothing; say what would be written
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
}

/// `restores`.
#[derive(Debug, Subcommand)]
pub(crate) enum RestoresCommand {
    /// List them, newest first
    List,
    /// Say how one is, or what became of it
    Show {
        /// Its number
        #[arg(value_name = "RESTORE")]
        restore: u64,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Go on with one that was cut and waits for its password
    Resume {
        /// Its number
        #[arg(value_name = "RESTORE")]
        restore: u64,
        /// File with the password of the account that it writes with
        #[arg(long, value_name = "F")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// End one. What it wrote stays
    Cancel {
        /// Its number
        #[arg(value_name = "RESTORE")]
        restore: u64,
    },
}

impl RestoresCommand {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::List => "restores list",
            Self::Show { .. } => "restores show",
            Self::Resume { .. } => "restores resume",
            Self::Cancel { .. } => "restores cancel",
        }
    }
}
