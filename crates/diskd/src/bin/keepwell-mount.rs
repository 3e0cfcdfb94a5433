//! The program `keepwell-mount`: one mount or unmount of one disk, asked for on standard input, which the service manager makes a connection of diskd's. It exists so that the right to mount, which is a right
//! over all files of the system, is not with a program that reads what strange disks say. Decides nothing, keeps nothing.

use std::io::{stdin, stdout};
use std::path::PathBuf;

use clap::Parser;
use keepwell_diskd::mounter::{Rules, answer};

/// Mounts and unmounts disks, for keepwell-diskd.
#[derive(Debug, Parser)]
#[command(name = "keepwell-mount", version, max_term_width = 100)]
struct Args {
    /// Folder right below which it mounts; may be given several times
    #[arg(long, value_name = "DIR", required = true)]
    below: Vec<PathBuf>,
    /// User and group who get the mounted disks
    #[arg(long, value_name = "UID:GID", value_parser = keepwell_diskd::mounter::owner)]
    owner: (u32, u32),
    /// Group that may read what is mounted below the first of these folders
    #[arg(long, value_name = "GID")]
    readers: Option<u32>,
    /// The program that lets a file system grow
    #[arg(long, default_value = "/usr/sbin/xfs_growfs")]
    growfs: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let rules = Rules { bases: args.below, owner: Some(args.owner), readers: args.readers, growfs: args.growfs };
    Ok(answer(stdin().lock(), stdout().lock(), &rules)?)
}
