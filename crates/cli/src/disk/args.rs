//! The shape of `keepwell vault disk` and `keepwell vault scrub`. Parses; never opens a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keepwell_storage::Layout;

use crate::args::MaybeKeyedArgs;

/// What is to become of the vault's disks.
#[derive(Debug, Subcommand)]
pub(crate) enum DiskCommand {
    /// List the disks: state, id, how full
    List(DiskListArgs),
    /// Take empty disks in. The data is spread over them, or, with another layout, gets that one. One that is being emptied stays after all
    Add(DiskAddArgs),
    /// Let an empty disk take over from another one, which is emptied first if it is there
    Replace(DiskReplaceArgs),
    /// Empty a disk and take it out
    Remove(DiskRemoveArgs),
}

impl DiskCommand {
    /// The words the user typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "disk list",
            Self::Add(_) => "disk add",
            Self::Replace(_) => "disk replace",
            Self::Remove(_) => "disk remove",
        }
    }
}

/// `disk list`.
#[derive(Debug, Args)]
pub(crate) struct DiskListArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    pub(crate) vault: PathBuf,
}

/// What all changes have.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    pub(crate) vault: PathBuf,
    /// Change nothing; say what would be done, or why it would be refused
    #[arg(long)]
    pub(crate) check: bool,
}

/// `disk add`.
#[derive(Debug, Args)]
pub(crate) struct DiskAddArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Data and parity shards from now on; what is there is written anew [default: as it is]
    #[arg(long, value_name = "K+M")]
    pub(crate) layout: Option<Layout>,
    /// Empty folders in the vault's: disk-4
    #[arg(value_name = "DISK", required = true)]
    pub(crate) disks: Vec<String>,
}

/// `disk replace`.
#[derive(Debug, Args)]
pub(crate) struct DiskReplaceArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// The id of the old disk, typed from 'vault disk list'; asked for on a terminal
    #[arg(long, value_name = "ID")]
    pub(crate) typed: Option<String>,
    /// The disk that leaves: disk-2
    #[arg(value_name = "OLD")]
    pub(crate) old: String,
    /// An empty folder in the vault's: disk-4
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
}

/// `disk remove`.
#[derive(Debug, Args)]
pub(crate) struct DiskRemoveArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// The id of the disk, typed from 'vault disk list'; asked for on a terminal
    #[arg(long, value_name = "ID")]
    pub(crate) typed: Option<String>,
    /// The disk that leaves: disk-2
    #[arg(value_name = "DISK")]
    pub(crate) disk: String,
}

/// `tend`.
#[derive(Debug, Args)]
pub(crate) struct TendArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Socket of keepwell-diskd
    #[arg(long, value_name = "SOCKET", default_value = keepwell_api::disks::SOCKET)]
    pub(crate) socket: PathBuf,
}

/// `scrub`.
#[derive(Debug, Args)]
pub(crate) struct ScrubArgs {
    #[command(flatten)]
    pub(crate) keyed: MaybeKeyedArgs,
    /// Bytes to read now, as 500M or 20G [default: what is due, if this runs every day]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) budget: Option<u64>,
    /// Days in which everything is to be read once
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub(crate) days: u32,
}

/// A number of bytes: `1500`, `500M`, `20G`, `1T`; powers of 1024.
fn parse_size(text: &str) -> Result<u64, &'static str> {
    const FORM: &str = "wanted is a number of bytes, or one with K, M, G or T behind it";
    let (digits, shift) = match text.char_indices().next_back().ok_or(FORM)? {
        (at, 'K') => (&text[..at], 10),
        (at, 'M') => (&text[..at], 20),
        (at, 'G') => (&text[..at], 30),
        (at, 'T') => (&text[..at], 40),
        _ => (text, 0),
    };
    let number: u64 = if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().map_err(|_| FORM)? } else { return Err(FORM) };
    number.checked_mul(1 << shift).ok_or(FORM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(["0", "1500", "2K", "500M", "20G", "1T"].map(parse_size), [0, 1500, 2 << 10, 500 << 20, 20 << 30, 1 << 40].map(Ok));
        assert!(["", "M", "-1", "+1", "1.5G", "1GB", "9999999999T", "1 G"].iter().all(|bad| parse_size(bad).is_err()));
    }
}
