//! The other side of a backup or a restore: a folder, a share or an export, and the password that lets in. Opens nothing itself.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::Args;
use keepwell_source::{Address, AsOf};
use zeroize::Zeroizing;

use crate::exit::CliError;
use crate::unlock;

/// How to get in; for all commands with a source or target.
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// File with the password of the account that an smb:// URL names
    #[arg(long, value_name = "F")]
    pub(crate) password_file: Option<PathBuf>,
}

/// A source or target and the password for it.
pub(crate) struct Remote {
    pub(crate) address: Address,
    password: Option<Zeroizing<String>>,
}

impl Remote {
    /// Parses the address and reads the password file. What does not fit together is wrong usage.
    pub(crate) fn new(text: &OsStr, account: &AccountArgs) -> Result<Self, CliError> {
        let address = Address::parse(text).map_err(|why| CliError::Usage(why.to_string()))?;
        let password = match (&account.password_file, address.needs_password()) {
            (None, false) => None,
            (Some(file), true) => Some(password(file)?),
            (Some(_), false) => return Err(CliError::Usage("--password-file is only for smb://user@host/share".into())),
            (None, true) => return Err(CliError::Usage("an SMB share needs --password-file with the password of its account".into())),
        };
        Ok(Self { address, password })
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_ref().map(|password| password.as_str())
    }
}

/// `--as-of`: which of the server's own snapshots is read.
pub(crate) fn parse_as_of(text: &str) -> Result<AsOf, String> {
    AsOf::parse(text).map_err(|why| why.to_string())
}

fn password(file: &Path) -> Result<Zeroizing<String>, CliError> {
    let bytes = unlock::secret_line(file, "password")?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| CliError::Refused(format!("the password in {} is no UTF-8 text", file.display())))?;
    Ok(Zeroizing::new(text.to_owned()))
}
