//! The shape of the commands for a box. Parses; never opens a file.

mod offsite;
mod people;
mod reading;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use keepwell_api::vault::Tier;
pub(crate) use offsite::*;
pub(crate) use people::*;
pub(crate) use reading::*;

use crate::remote::AccountArgs;

/// What is asked of a box, or told to it.
#[derive(Debug, Subcommand)]
pub(crate) enum ApplianceCommand {
    /// Can I restore today? One screen: the four answers, the shares that need somebody first, what to do
    #[command(after_help = "Exit codes: 0 yes, all is proven; 3 something is not (which is said); 1 the box does not answer.")]
    Status,
    /// The shares that the box backs up
    #[command(subcommand)]
    Shares(SharesCommand),
    /// Backups: begun, ended, looked at
    #[command(subcommand, after_help = RUN_CODES)]
    Runs(RunsCommand),
    /// List the box's snapshots, newest last, or compare two
    #[command(args_conflicts_with_subcommands = true)]
    Snapshots(SnapshotsArgs),
    /// List a folder of a snapshot; find a file, or its versions
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Files(FilesArgs),
    /// Get files out of a snapshot, onto this machine
    #[command(after_help = DOWNLOAD_CODES)]
    Download(DownloadArgs),
    /// Write a snapshot, or a part of it, back to a share or export
    #[command(after_help = RUN_CODES)]
    Restore(BoxRestoreArgs),
    /// Restores: looked at, ended
    #[command(subcommand, after_help = RUN_CODES)]
    Restores(RestoresCommand),
    /// What a person has to look at
    #[command(subcommand)]
    Incidents(IncidentsCommand),
    /// What is going on: runs and restores, as they begin, go on and end
    #[command(after_help = EVENTS_FORM)]
    Events(EventsArgs),
    /// The box's log: who did what, when
    #[command(args_conflicts_with_subcommands = true, after_help = "Exit codes: 0 done, 3 the log is not whole (which is said), 1 failed.")]
    Log(LogArgs),
    /// Ways for the box's messages: e-mail, webhooks, syslog
    #[command(subcommand)]
    Channels(ChannelsCommand),
    /// The second site: boxes that keep a copy of this one's backups, and boxes that this one keeps for
    #[command(subcommand, after_help = "Exit codes: 0 done, 3 not all is proven to be there (which is said), 1 failed, 2 wrong usage.")]
    Offsite(OffsiteCommand),
    /// What is promised for each tier: how often copied, how old a copy may get, what is kept
    #[command(subcommand)]
    Policies(PoliciesCommand),
    /// Restore a sample of files to a place of the box's own now, and compare: what the box does by itself every month
    #[command(after_help = RUN_CODES)]
    TestRestore(TestRestoreArgs),
    /// The box's clock
    #[command(subcommand)]
    Clock(ClockCommand),
    /// Write what support needs to know of the box into a file: numbers and states, no names of shares, servers, people or files
    SupportBundle(BundleArgs),
    /// Begin to act for a person. Lasts until they sign out, for 12 hours, or until they do nothing for 10 minutes
    SignIn(SignInArgs),
    /// Stop to act for a person
    SignOut,
    /// Who may do what
    #[command(subcommand)]
    Users(UsersCommand),
    /// What programs may do that act for nobody in particular
    #[command(subcommand)]
    Tokens(TokensCommand),
    /// The box itself
    #[command(subcommand)]
    Box(BoxCommand),
}

impl ApplianceCommand {
    /// Whether it is a question for vaultd alone, which a program may ask from elsewhere with a token. The others are about people, or need one.
    pub(crate) fn is_for_programs(&self) -> bool {
        !matches!(self, Self::SignIn(_) | Self::SignOut | Self::Users(_) | Self::Tokens(_) | Self::Box(_))
    }
}

const RUN_CODES: &str = "Exit codes: 0 complete, 3 partial (something is missing, which is said) or held, 1 failed, 2 wrong usage.\n\
                         Without --wait, 0 says that it has begun.";
const DOWNLOAD_CODES: &str = "Exit codes: 0 all of it is there, 3 a part is missing (which is said), 1 failed and there is no file, 2 wrong usage.\n\
                              Who gets what is written into the log. A ZIP archive keeps names, bytes and times; rights, owners and streams come back with 'keepwell restore'.";
const EVENTS_FORM: &str =
    "With --follow and --json each event is one line with one JSON object; the last line is the command's own answer.";

impl ApplianceCommand {
    /// The words the user typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Shares(command) => command.name(),
            Self::Runs(command) => command.name(),
            Self::Snapshots(SnapshotsArgs { verb: Some(SnapshotsVerb::Compare(_)), .. }) => "snapshots compare",
            Self::Snapshots(_) => "snapshots",
            Self::Files(FilesArgs { verb: Some(FilesVerb::Versions { .. }), .. }) => "files versions",
            Self::Files(FilesArgs { verb: Some(FilesVerb::Search { .. }), .. }) => "files search",
            Self::Files(_) => "files",
            Self::Download(_) => "download",
            Self::Restore(_) => "restore",
            Self::Restores(command) => command.name(),
            Self::Incidents(IncidentsCommand::List) => "incidents list",
            Self::Incidents(IncidentsCommand::Take { .. }) => "incidents take",
            Self::Events(_) => "events",
            Self::Log(LogArgs { verb: Some(LogVerb::Verify), .. }) => "log verify",
            Self::Log(_) => "log",
            Self::Offsite(command) => command.name(),
            Self::Channels(ChannelsCommand::List) => "channels list",
            Self::Channels(ChannelsCommand::Test { .. }) => "channels test",
            Self::Channels(ChannelsCommand::Set { .. }) => "channels set",
            Self::Channels(ChannelsCommand::Remove { .. }) => "channels remove",
            Self::Policies(PoliciesCommand::List) => "policies list",
            Self::Policies(PoliciesCommand::Set { .. }) => "policies set",
            Self::TestRestore(_) => "test-restore",
            Self::Clock(ClockCommand::Confirm { .. }) => "clock confirm",
            Self::SupportBundle(_) => "support-bundle",
            Self::SignIn(_) => "sign-in",
            Self::SignOut => "sign-out",
            Self::Users(command) => command.name(),
            Self::Tokens(command) => command.name(),
            Self::Box(BoxCommand::Claim(_)) => "box claim",
        }
    }
}

/// `shares`.
#[derive(Debug, Subcommand)]
pub(crate) enum SharesCommand {
    /// List them, with their last run
    List,
    /// Ask its server what an account may do there. Nothing is written there, and nothing is kept
    #[command(
        after_help = "Exit codes: 0 it can only read, 3 it can do more, or its server does not say, 1 it can't be used, 2 wrong usage."
    )]
    Check {
        /// smb://user@host[:port]/share[/path], or nfs://host[:port]/export[?version=3&mountport=N]
        #[arg(value_name = "URL")]
        location: OsString,
        #[command(flatten)]
        account: AccountArgs,
    },
    /// Back a share up from now on. Its account may only read
    Add(AddShareArgs),
    /// Say where it is now, with which password, how much it matters, or that it is not to be backed up for a while
    Change(ChangeShareArgs),
    /// Stop backing it up. Its snapshots stay
    Remove {
        /// Its name or id
        #[arg(value_name = "SHARE")]
        share: String,
    },
}

impl SharesCommand {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "shares list",
            Self::Check { .. } => "shares check",
            Self::Add(_) => "shares add",
            Self::Change(_) => "shares change",
            Self::Remove { .. } => "shares remove",
        }
    }
}

/// `shares add`.
#[derive(Debug, Args)]
pub(crate) struct AddShareArgs {
    /// What people will call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// smb://user@host[:port]/share[/path], or nfs://host[:port]/export[?version=3&mountport=N]
    #[arg(value_name = "URL")]
    pub(crate) location: OsString,
    /// How much it matters: 1 what patients are harmed or work stops without, 2 what is needed the same day, 3 all else
    #[arg(long, value_enum, default_value_t = TierArg::Three)]
    pub(crate) tier: TierArg,
    /// Why an account that can do more than read has to be used: 10 to 500 characters, for the log
    #[arg(long, value_name = "WHY")]
    pub(crate) may_write: Option<String>,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
}

/// `shares change`.
#[derive(Debug, Args)]
pub(crate) struct ChangeShareArgs {
    /// Its name or id
    #[arg(value_name = "SHARE")]
    pub(crate) share: String,
    /// Where the same share is now
    #[arg(long, value_name = "URL")]
    pub(crate) location: Option<String>,
    /// File with the account's new password
    #[arg(long, value_name = "F")]
    pub(crate) password_file: Option<PathBuf>,
    /// Why an account that can do more than read has to be used: 10 to 500 characters, for the log
    #[arg(long, value_name = "WHY")]
    pub(crate) may_write: Option<String>,
    /// How much it matters
    #[arg(long, value_enum)]
    pub(crate) tier: Option<TierArg>,
    /// Do not back it up for now
    #[arg(long, conflicts_with = "resume")]
    pub(crate) pause: bool,
    /// Back it up again
    #[arg(long)]
    pub(crate) resume: bool,
}

/// `1`, `2`, `3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TierArg {
    /// Patients are harmed, or work stops, without it
    #[value(name = "1")]
    One,
    /// Needed the same day
    #[value(name = "2")]
    Two,
    /// All else
    #[value(name = "3")]
    Three,
}

impl From<TierArg> for Tier {
    fn from(tier: TierArg) -> Self {
        match tier {
            TierArg::One => Self::One,
            TierArg::Two => Self::Two,
            TierArg::Three => Self::Three,
        }
    }
}

/// `runs`.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List them, newest first
    List {
        /// Only of this share: its name or id
        #[arg(long, value_name = "SHARE")]
        share: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Say how one is, or what became of it
    Show {
        /// Its number
        #[arg(value_name = "RUN")]
        run: u64,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Back a share up now
    Start {
        /// Its name or id
        #[arg(value_name = "SHARE")]
        share: String,
        /// Accept a source that lost many files or is another one than before: a person has looked, and it is meant to be so
        #[arg(long)]
        intended: bool,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// End one
    Cancel {
        /// Its number
        #[arg(value_name = "RUN")]
        run: u64,
    },
    /// Name what one could not read
    Gaps {
        /// Its number
        #[arg(value_name = "RUN")]
        run: u64,
    },
}

impl RunsCommand {
    fn name(&self) -> &'static str {
        match self {
            Self::List { .. } => "runs list",
            Self::Show { .. } => "runs show",
            Self::Start { .. } => "runs start",
            Self::Cancel { .. } => "runs cancel",
            Self::Gaps { .. } => "runs gaps",
        }
    }
}

/// Whether the command ends when the work does.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WaitArgs {
    /// End when it is over, and exit as it went
    #[arg(long)]
    pub(crate) wait: bool,
}

/// `incidents`.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentsCommand {
    /// List those that are open, the worst first
    List,
    /// Say that you look after one, so that nobody else is called
    Take {
        /// Its number
        #[arg(value_name = "INCIDENT")]
        incident: u64,
    },
}

/// `log`.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<LogVerb>,
    /// From this record on
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) from: u64,
    /// At most so many records
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
}

/// What is done with the log besides reading it.
#[derive(Debug, Subcommand)]
pub(crate) enum LogVerb {
    /// Check that nothing in it was changed or taken out
    Verify,
}

/// `channels`.
#[derive(Debug, Subcommand)]
pub(crate) enum ChannelsCommand {
    /// Show them, without what is secret
    List,
    /// Send a test message
    Test {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Use a channel, in place of the one of that name
    Set {
        /// 1 to 32 letters, digits and dashes
        #[arg(value_name = "NAME")]
        name: String,
        /// JSON file that says how it is used
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Stop using one
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// `policies`.
#[derive(Debug, Subcommand)]
pub(crate) enum PoliciesCommand {
    /// List them; with --json as `policies set` takes them
    List,
    /// Promise something else for a tier. To promise less takes an owner
    Set {
        /// JSON file with one policy, or a list of them
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

/// `events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Go on until Ctrl-C [default: end with what is under way now]
    #[arg(long)]
    pub(crate) follow: bool,
}

/// `test-restore`.
#[derive(Debug, Args)]
pub(crate) struct TestRestoreArgs {
    /// Of this tier alone
    #[arg(long, value_enum)]
    pub(crate) tier: Option<TierArg>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// `clock`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClockCommand {
    /// Show the machine's time and the box's, and make the box believe the machine's clock after somebody looked at it
    Confirm {
        /// The machine's time as shown is right
        #[arg(long)]
        yes: bool,
    },
}

/// `support-bundle`.
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// New file to write, for this user alone
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
}
