//! The shape of the commands about people: signed in, added, enrolled. Parses; never opens a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keepwell_api::grants::{Role, Verb};

/// `sign-in`.
#[derive(Debug, Args)]
pub(crate) struct SignInArgs {
    /// Who
    #[arg(long, value_name = "U")]
    pub(crate) user: String,
    /// File with their password
    #[arg(long, value_name = "F")]
    pub(crate) password_file: PathBuf,
    /// What their authenticator shows
    #[arg(long, value_name = "NNNNNN", required_unless_present = "totp_file", conflicts_with = "totp_file")]
    pub(crate) code: Option<String>,
    /// File with the otpauth:// URL of an authenticator. Password and second factor on one machine are one factor: for tests
    #[arg(long, value_name = "F")]
    pub(crate) totp_file: Option<PathBuf>,
}

/// `users`.
#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// List them
    List,
    /// Add somebody; prints the code that they enrol with
    Add {
        /// 1 to 64 bytes: letters, digits, blanks and .-_@'
        #[arg(value_name = "NAME")]
        name: String,
        /// owner, operator, restore-only, auditor, technician or security
        #[arg(long, value_parser = parse_role)]
        role: Role,
        /// For who restores only: names of the only shares, with commas between
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        shares: Vec<String>,
    },
    /// Say from which shares somebody may restore who does nothing else
    Shares {
        /// Who
        #[arg(value_name = "NAME")]
        name: String,
        /// Names with commas between
        #[arg(value_name = "NAMES", value_delimiter = ',', required_unless_present = "all")]
        shares: Vec<String>,
        /// From all of them
        #[arg(long, conflicts_with = "shares")]
        all: bool,
    },
    /// Have somebody's wrong attempts forgotten. On the box itself alone
    Unlock {
        /// Who
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Get ten new recovery codes of one's own; those from before are void
    RecoveryCodes {
        /// File with one's own password
        #[arg(long, value_name = "F")]
        password_file: PathBuf,
    },
    /// Make a new sealed code, which opens copies at the box's own screen when nobody can sign in
    SealedCode,
    /// Choose a password and get a second factor, with the code from `users add` or `users reset`
    Enrol {
        /// Who
        #[arg(value_name = "NAME")]
        name: String,
        /// File with the code
        #[arg(long, value_name = "F")]
        code_file: PathBuf,
        /// File with the password they choose: 12 to 256 characters
        #[arg(long, value_name = "F")]
        password_file: PathBuf,
    },
    /// Let somebody choose a password and a second factor anew; prints the code for it
    Reset {
        /// Who
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Give somebody another role
    Role {
        /// Who
        #[arg(value_name = "NAME")]
        name: String,
        /// owner, operator, restore-only, auditor, technician or security
        #[arg(value_name = "ROLE", value_parser = parse_role)]
        role: Role,
    },
    /// Keep somebody out
    Disable {
        /// Who
        #[arg(value_name = "NAME")]
        name: String,
    },
}

impl UsersCommand {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::List => "users list",
            Self::Add { .. } => "users add",
            Self::Shares { .. } => "users shares",
            Self::Unlock { .. } => "users unlock",
            Self::RecoveryCodes { .. } => "users recovery-codes",
            Self::SealedCode => "users sealed-code",
            Self::Enrol { .. } => "users enrol",
            Self::Reset { .. } => "users reset",
            Self::Role { .. } => "users role",
            Self::Disable { .. } => "users disable",
        }
    }
}

fn parse_role(text: &str) -> Result<Role, &'static str> {
    text.parse().map_err(|_| "wanted is owner, operator, restore-only, auditor, technician or security")
}

/// `tokens`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    /// List them, also those that are over
    List,
    /// Make one; prints it once
    Add(AddTokenArgs),
    /// End one
    Revoke {
        /// Its id, as listed
        #[arg(value_name = "ID")]
        id: String,
    },
}

impl TokensCommand {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::List => "tokens list",
            Self::Add(_) => "tokens add",
            Self::Revoke { .. } => "tokens revoke",
        }
    }
}

/// `tokens add`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AddTokenArgs {
    /// What the log calls it: 1 to 48 bytes, letters, digits, blanks and .-_@'
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// operator, restore-only, auditor, technician or security
    #[arg(long, value_parser = parse_role)]
    pub(crate) role: Role,
    /// What it may do, of what its role may, with commas between: run-now, log-read, ...
    #[arg(long, value_name = "VERBS", required = true, value_delimiter = ',', value_parser = parse_verb)]
    pub(crate) verbs: Vec<Verb>,
    /// Names of the only shares, with commas between
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) shares: Vec<String>,
    /// Days until it ends
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..=400))]
    pub(crate) days: i64,
}

fn parse_verb(text: &str) -> Result<Verb, &'static str> {
    text.parse().map_err(|_| "wanted are words such as run-now, log-read or files-list; see docs/users.md")
}

/// `box`.
#[derive(Debug, Subcommand)]
pub(crate) enum BoxCommand {
    /// Make its first owner; prints what their authenticator takes in
    Claim(ClaimArgs),
}

/// `box claim`.
#[derive(Debug, Args)]
pub(crate) struct ClaimArgs {
    /// The owner's name
    #[arg(long, value_name = "U")]
    pub(crate) user: String,
    /// File with their password: 12 to 256 characters
    #[arg(long, value_name = "F")]
    pub(crate) password_file: PathBuf,
}
