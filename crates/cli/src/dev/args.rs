//! The shape of `keepwell dev`. Parses; never opens a file.

use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use clap::Args;
use keepwell_storage::Layout;

/// `dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Folder for all of it: disks, keys, state, sockets, logs. Made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Number of disks, when it is made
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) disks: u8,
    /// Data and parity shards, when it is made [default: 1+0, 1+1, 2+1 or 4+2, by number of disks]
    #[arg(long, value_name = "K+M")]
    pub(crate) layout: Option<Layout>,
    /// Runs at a time
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) runs: u8,
    /// The vault's disks are those that the diskd at this socket has mounted, and not folders
    #[arg(long, value_name = "SOCKET")]
    pub(crate) diskd: Option<PathBuf>,
    /// Where that diskd mounts disks: what goes to another box is read there
    #[arg(long, value_name = "DIR", requires = "diskd", default_value = "/run/keepwell/disks")]
    pub(crate) mounts: PathBuf,
    /// As it comes out of its carton: no vault is made, the console or `POST /v1/pool` does that
    #[arg(long, requires = "diskd")]
    pub(crate) without_pool: bool,
    /// As it comes out of its carton: nobody owns it, whoever has the claim code does
    #[arg(long)]
    pub(crate) unclaimed: bool,
    /// As it comes up when its own state can't be opened: this file says why in a word, `no-tpm`, `not-opened` or `damaged`
    #[arg(long, value_name = "FILE")]
    pub(crate) state_locked: Option<PathBuf>,
    /// Start the web console too, at this address of this machine; port 0 for any that is free
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:8443")]
    pub(crate) console: Option<SocketAddrV4>,
    /// Where other boxes find this one, once one was invited
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8484")]
    pub(crate) offsite: SocketAddrV4,
    /// Keep the keys in a TPM made of software (swtpm), where that program is installed, and not behind a passphrase
    #[arg(long)]
    pub(crate) tpm: bool,
}

/// A program that ends when the one that started it does.
#[derive(Debug, Args)]
pub(crate) struct BecomeArgs {
    /// What to turn into, and its arguments
    #[arg(value_name = "PROGRAM", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<OsString>,
}
