//! The shape of the commands about people: signed in, added, enrolled. Parses; never opens a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keepwell_api::grants::Role;

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
    },
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
