//! The shape of the command line: a contract that scripts rely on. Parses; never opens a file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use keepwell_source::AsOf;
use keepwell_storage::Layout;

use crate::appliance::args::ApplianceCommand;
use crate::dev::args::{BecomeArgs, DevArgs};
use crate::disk::args::{DiskCommand, ScrubArgs, TendArgs};
use crate::disks::args::DisksCommand;
use crate::forget::ForgetArgs;
use crate::keys::args::KeysCommand;
use crate::manual::{CompletionsArgs, ManArgs};
use crate::order::OrderCommand;
use crate::recover::RecoverArgs;
use crate::remote::{AccountArgs, parse_as_of};

/// Keepwell keeps every version of a practice's files, encrypted, on several disks.
#[derive(Debug, Parser)]
#[command(name = "keepwell", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print one JSON object on standard output, and progress as JSON lines on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The box in this folder, as 'keepwell dev' makes it [default: KEEPWELL_BOX, or this machine]
    #[arg(long = "box", global = true, value_name = "DIR")]
    pub(crate) box_folder: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) far: FarArgs,
    #[command(subcommand)]
    pub(crate) area: Area,
}

/// A box elsewhere, asked through its web console in the name of a program.
#[derive(Debug, Args)]
pub(crate) struct FarArgs {
    /// Ask a box elsewhere through its web console, such as https://box.practice.lan:8443, in the name of a program
    #[arg(long, global = true, value_name = "URL", requires_all = ["token_file", "authority"], conflicts_with = "box_folder")]
    pub(crate) remote: Option<String>,
    /// File with the program's token, which an owner made ('keepwell tokens add')
    #[arg(long, global = true, value_name = "F", requires = "remote")]
    pub(crate) token_file: Option<PathBuf>,
    /// The certificate of the box's own authority, which its console gives at /authority.pem; nothing else is trusted
    #[arg(long, global = true, value_name = "F", requires = "remote")]
    pub(crate) authority: Option<PathBuf>,
}

/// What the command is about.
#[derive(Debug, Subcommand)]
pub(crate) enum Area {
    /// A vault in a folder, with nothing but its disks and a recovery kit or passphrase
    #[command(
        subcommand,
        after_help = "Exit codes: 0 complete, 3 partial (gaps or damage, which are listed) or held, 1 failed, 2 wrong usage.\n\
                      U is kit:FILE,FILE (any two of the three kit files), passphrase:FILE, or keyd[:SOCKET].\n\
                      SNAP is a snapshot's id, the beginning of one, latest, or NAME@latest."
    )]
    Vault(Command),
    /// A folder, share or export, before anybody relies on a backup of it. Nothing is ever written to it
    #[command(subcommand, after_help = "Exit codes: 0 all of it can be read, 3 a part can't (which is listed), 1 failed, 2 wrong usage.")]
    Source(SourceCommand),
    /// The box's keys and its recovery kit, through the program that holds them
    #[command(
        subcommand,
        after_help = "Exit codes: 0 done, 3 done, and something needs a person (which is said), 1 failed, 2 wrong usage."
    )]
    Keys(KeysCommand),
    /// The box's disks: what is connected, how healthy, prepared, mounted, erased, through the program that has them
    #[command(
        subcommand,
        after_help = "Exit codes: 0 done, 3 done, and a disk needs a person (which is said), 1 failed, 2 wrong usage.\n\
                      What may cost data asks for the disk's whole serial number."
    )]
    Disks(DisksCommand),
    #[command(flatten)]
    Appliance(ApplianceCommand),
    /// After a fire: bring a vault back from the box that keeps it, with two papers of the recovery kit, its address and the name of its key
    #[command(
        after_help = "Exit codes: 0 done, 3 done, and parts are lost at the other box (which are listed), 1 failed, 2 wrong usage.\n\
                      What matters most comes first, and can be restored ('keepwell vault restore') while the rest still comes.\n\
                      A call that was cut, or killed, goes on from where it was. Nothing is removed at the other box."
    )]
    Recover(RecoverArgs),
    /// Have a box keep something for a shorter time than it promised: two organisations together, seven days before it counts. 'keepwell offsite order' makes one
    #[command(subcommand)]
    Order(OrderCommand),
    /// A whole box in one folder, as processes of this machine, until Ctrl-C. For trying out and for tests: what opens it lies beside it
    Dev(DevArgs),
    /// Print a script that completes these commands in a shell
    #[command(after_help = "bash: keepwell completions bash > /etc/bash_completion.d/keepwell")]
    Completions(CompletionsArgs),
    /// Write the manual: one page for each command
    Man(ManArgs),
    /// Turn into another program that ends with the one that started it
    #[command(hide = true)]
    Become(BecomeArgs),
}

impl Area {
    /// The command that the user typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Vault(command) => command.name(),
            Self::Source(command) => command.name(),
            Self::Keys(command) => command.name(),
            Self::Disks(command) => command.name(),
            Self::Appliance(command) => command.name(),
            Self::Recover(_) => "recover",
            Self::Order(command) => command.name(),
            Self::Dev(_) => "dev",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
            Self::Become(_) => "become",
        }
    }
}

/// What is to be found out about a source.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// Walk all of it: what can be read, how the connection is protected, what the account may do
    Check(SourceCheckArgs),
    /// List one folder
    Ls(SourceLsArgs),
    /// List the server's own snapshots, newest first
    Snapshots(SourceArgs),
}

impl SourceCommand {
    /// The word the user typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Check(_) => "check",
            Self::Ls(_) => "ls",
            Self::Snapshots(_) => "snapshots",
        }
    }
}

/// `source snapshots`, and the beginning of the others.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// A folder, smb://user@host[:port]/share[/path], or nfs://host[:port]/export[?version=3&mountport=N]
    #[arg(value_name = "SOURCE")]
    pub(crate) source: OsString,
}

/// `source check`.
#[derive(Debug, Args)]
pub(crate) struct SourceCheckArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Read all content as well, as a backup would
    #[arg(long)]
    pub(crate) read: bool,
    /// Look at the server's own snapshot of this time (UTC), or its latest
    #[arg(long, value_name = "TIME", value_parser = parse_as_of)]
    pub(crate) as_of: Option<AsOf>,
}

/// `source ls`.
#[derive(Debug, Args)]
pub(crate) struct SourceLsArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Folder in it [default: its root]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<OsString>,
    /// Look at the server's own snapshot of this time (UTC), or its latest
    #[arg(long, value_name = "TIME", value_parser = parse_as_of)]
    pub(crate) as_of: Option<AsOf>,
}

/// What to do with it.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new, empty vault and its recovery kit
    Init(InitArgs),
    /// Make a snapshot of a folder, an SMB share or an NFS export
    Backup(BackupArgs),
    /// List the snapshots, newest last
    List(KeyedArgs),
    /// List a folder of a snapshot
    Ls(LsArgs),
    /// Show what changed from one snapshot to another
    Diff(DiffArgs),
    /// Write a snapshot, or a part of it, into a folder or back to a share
    Restore(RestoreArgs),
    /// Check everything: without a key the disks, with a key also the snapshots
    Verify(VerifyArgs),
    /// Rebuild what is damaged or missing from the other disks
    Repair(MaybeKeyedArgs),
    /// Say how big the vault is and how its disks are
    Stats(MaybeKeyedArgs),
    /// Forget snapshots for good; held ones and the last accepted one of a name stay. The space they take does not come back yet
    Forget(ForgetArgs),
    /// The disks of the vault: list them, add, replace and remove them
    #[command(subcommand)]
    Disk(DiskCommand),
    /// Read a part of everything again, where the last call left off, and heal what is damaged. To be run every day
    Scrub(ScrubArgs),
    /// Ask diskd how the vault's disks are; empty those that will fail, and rebuild what is missing. To be run every hour
    Tend(TendArgs),
}

impl Command {
    /// The word the user typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Backup(_) => "backup",
            Self::List(_) => "list",
            Self::Ls(_) => "ls",
            Self::Diff(_) => "diff",
            Self::Restore(_) => "restore",
            Self::Verify(_) => "verify",
            Self::Repair(_) => "repair",
            Self::Stats(_) => "stats",
            Self::Forget(_) => "forget",
            Self::Disk(command) => command.name(),
            Self::Scrub(_) => "scrub",
            Self::Tend(_) => "tend",
        }
    }
}

/// `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Folder to make, or one with empty disks mounted in it as disk-1, disk-2 and so on; gets one folder per disk
    #[arg(long, value_name = "DIR")]
    pub(crate) vault: PathBuf,
    /// Number of disks [default: K+M of the layout, or 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) disks: Option<u8>,
    /// Data and parity shards; any M disks may be lost [default: 1+0, 1+1, 2+1 or 4+2, by number of disks]
    #[arg(long, value_name = "K+M")]
    pub(crate) layout: Option<Layout>,
    /// Folder for the files of the recovery kit, three sheets as text and as PDF; not inside the vault
    #[arg(long, value_name = "DIR", required_unless_present = "keyd")]
    pub(crate) kit_out: Option<PathBuf>,
    /// Let the box make the keys and keep them: socket of keepwell-keyd; the kit is printed with 'keepwell keys print'
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, default_missing_value = keepwell_api::keys::SOCKET, conflicts_with = "kit_out")]
    pub(crate) keyd: Option<PathBuf>,
    /// Whose data it will hold, for the sheets of the kit [default: the vault's folder]
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// Also let the passphrase in this file open the vault
    #[arg(long, value_name = "F")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Make a vault for tests: protections that need days of waiting may be shortened in it
    #[arg(long)]
    pub(crate) test: bool,
}

/// `list`, and the beginning of every command that needs a key.
#[derive(Debug, Args)]
pub(crate) struct KeyedArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    pub(crate) vault: PathBuf,
    /// kit:FILE,FILE, passphrase:FILE, or keyd[:SOCKET]
    #[arg(long, value_name = "U")]
    pub(crate) unlock: UnlockArg,
}

/// `repair` and `stats`: do more with a key.
#[derive(Debug, Args)]
pub(crate) struct MaybeKeyedArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    pub(crate) vault: PathBuf,
    /// kit:FILE,FILE, passphrase:FILE, or keyd[:SOCKET]
    #[arg(long, value_name = "U")]
    pub(crate) unlock: Option<UnlockArg>,
}

/// `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) keyed: KeyedArgs,
    /// Name of the series of snapshots [default: last part of SOURCE]
    #[arg(long, value_parser = parse_name)]
    pub(crate) name: Option<String>,
    /// Compression level of zstd
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=22))]
    pub(crate) level: i32,
    /// Share of the unchanged files that is read all the same, from 0 to 1, to find silent changes
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, value_parser = parse_fraction)]
    pub(crate) reread: f64,
    /// Read the server's own snapshot of this time (2026-11-20T00:00:00Z, UTC), or its latest [default: the share as it is]
    #[arg(long, value_name = "TIME", value_parser = parse_as_of)]
    pub(crate) as_of: Option<AsOf>,
    /// Accept a source that lost many files or is another one than before: a person has looked, and it is meant to be so
    #[arg(long)]
    pub(crate) intended: bool,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// A folder, smb://user@host[:port]/share[/path], or nfs://host[:port]/export[?version=3&mountport=N]
    #[arg(value_name = "SOURCE")]
    pub(crate) source: OsString,
}

/// `ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) keyed: KeyedArgs,
    /// Id, unique beginning of one, latest, or NAME@latest
    #[arg(value_name = "SNAP")]
    pub(crate) snapshot: String,
    /// Folder or file in it [default: its root]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<OsString>,
}

/// `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    pub(crate) keyed: KeyedArgs,
    /// The snapshot to compare from
    #[arg(value_name = "SNAP")]
    pub(crate) from: String,
    /// The snapshot to compare to
    #[arg(value_name = "SNAP")]
    pub(crate) to: String,
}

/// `restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    pub(crate) keyed: KeyedArgs,
    /// Id, unique beginning of one, latest, or NAME@latest
    #[arg(value_name = "SNAP")]
    pub(crate) snapshot: String,
    /// Only what is at this path; TARGET gets what the folder holds, or the file itself
    #[arg(long, value_name = "P")]
    pub(crate) path: Option<OsString>,
    /// A folder, absent or empty unless --conflict is given; or smb://user@host[:port]/share[/path], or nfs://host[:port]/export
    #[arg(long, value_name = "TARGET")]
    pub(crate) to: OsString,
    /// What happens to a file where TARGET holds one already [default: it must hold none]
    #[arg(long, value_name = "RULE")]
    pub(crate) conflict: Option<ConflictArg>,
    /// Write nothing; say what would be written, replaced, renamed or skipped, and which rights are missing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Read everything back when it is written, and compare [default for smb:// and nfs://]
    #[arg(long, conflicts_with = "no_read_back")]
    pub(crate) read_back: bool,
    /// Trust TARGET to keep what it was given [default for folders]
    #[arg(long)]
    pub(crate) no_read_back: bool,
    /// Write a receipt (JSON) to this new file: each file with its hash and what was done, and what differs or is missing
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) receipt: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
}

/// `RULE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConflictArg {
    /// The one that is there stays
    Skip,
    /// The one from the backup takes its place
    Replace,
    /// Both stay; the one from the backup is called 'NAME (restored DATE TIME)'
    Rename,
    /// The one from the backup takes its place if it was changed later
    Newer,
}

/// `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) keyed: MaybeKeyedArgs,
    /// Read every file of every snapshot, not only the shards
    #[arg(long, requires = "unlock")]
    pub(crate) data: bool,
}

/// `U`: where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnlockArg {
    /// Two kit files.
    Kit(PathBuf, PathBuf),
    /// A file with a passphrase.
    Passphrase(PathBuf),
    /// The socket of the program that has the keys.
    Keyd(PathBuf),
}

impl FromStr for UnlockArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "wanted is kit:FILE,FILE (two of the three kit files), passphrase:FILE, or keyd[:SOCKET]";
        match text.split_once(':') {
            Some(("kit", files)) => match files.split(',').collect::<Vec<_>>()[..] {
                [a, b] if a.is_empty() || b.is_empty() => Err(FORMS),
                [a, b] if a == b => Err("the same kit file is given twice; two different ones are needed"),
                [a, b] => Ok(Self::Kit(a.into(), b.into())),
                _ => Err("two kit files are needed, with one comma between them (and none in their names)"),
            },
            Some(("passphrase", file)) if !file.is_empty() => Ok(Self::Passphrase(file.into())),
            Some(("keyd", socket)) if !socket.is_empty() => Ok(Self::Keyd(socket.into())),
            None if text == "keyd" => Ok(Self::Keyd(keepwell_api::keys::SOCKET.into())),
            _ => Err(FORMS),
        }
    }
}

fn parse_fraction(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|fraction| (0.0..=1.0).contains(fraction)).ok_or("wanted is a number from 0 to 1")
}

fn parse_name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        return Err("a name has 1 to 255 bytes and no control characters");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn unlock_forms() {
        assert_eq!("kit:a,b".parse(), Ok(UnlockArg::Kit("a".into(), "b".into())));
        assert_eq!("passphrase:a,b:c".parse(), Ok(UnlockArg::Passphrase("a,b:c".into())));
        assert_eq!("keyd:/run/x".parse(), Ok(UnlockArg::Keyd("/run/x".into())));
        assert!(matches!("keyd".parse(), Ok(UnlockArg::Keyd(_))));
        for bad in ["", "keyd:", "kit", "kit:", "kit:a", "kit:a,", "kit:a,a", "kit:a,b,c", "passphrase:", "tpm:x", "/kit-1.txt"] {
            assert!(bad.parse::<UnlockArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_program_to_become_keeps_its_own_options() {
        let cli = Cli::try_parse_from(["keepwell", "become", "/p", "serve", "--box", "x", "--json"]).unwrap();
        assert!(matches!(&cli.area, Area::Become(args) if args.words == ["/p", "serve", "--box", "x", "--json"]));
        assert!(!cli.json && cli.box_folder.is_none());
    }

    #[test]
    fn fractions_and_names() {
        assert_eq!(parse_fraction("0.25"), Ok(0.25));
        assert!(["-0.1", "1.1", "NaN", "x"].iter().all(|bad| parse_fraction(bad).is_err()));
        assert!(["", "a\nb"].iter().all(|bad| parse_name(bad).is_err()));
    }
}
