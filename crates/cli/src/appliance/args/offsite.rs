//! The shape of `keepwell offsite`. Parses; never opens a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `offsite`.
#[derive(Debug, Subcommand)]
pub(crate) enum OffsiteCommand {
    /// What is at the second site, how old it is, what is still to be sent; and for whom this box keeps
    Status,
    /// Let another box send its backups here: prints an invitation, good for an hour and for one box
    Invite(InviteArgs),
    /// Send this box's backups to the one that made an invitation
    Pair(PairArgs),
    /// Print the sheet that says where the second site is: a new box finds it by that after a fire. Keep it with the papers
    Sheet(SheetArgs),
    /// Look at once whether something is to be sent
    Send,
    /// Have the second site prove now, and not within the day, that it has what it signed for
    Prove,
}

impl OffsiteCommand {
    /// The words that the user typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Status => "offsite status",
            Self::Invite(_) => "offsite invite",
            Self::Pair(_) => "offsite pair",
            Self::Sheet(_) => "offsite sheet",
            Self::Send => "offsite send",
            Self::Prove => "offsite prove",
        }
    }
}

/// `offsite invite`.
#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// Name or number of this box as the other one finds it, and a port if it is another one than 8484: HOST[:PORT]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: String,
    /// What the other box may fill, such as 500GB or 2TB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) quota: u64,
    /// What this place is called at the other box
    #[arg(long, value_name = "NAME")]
    pub(crate) place: String,
}

/// `offsite pair`.
#[derive(Debug, Args)]
pub(crate) struct PairArgs {
    /// The invitation, in lower or upper case; blanks do not matter
    #[arg(value_name = "TEXT", required = true, num_args = 1..)]
    pub(crate) text: Vec<String>,
    /// What this practice is called at the other box
    #[arg(long, value_name = "NAME")]
    pub(crate) practice: String,
}

/// `offsite sheet`.
#[derive(Debug, Args)]
pub(crate) struct SheetArgs {
    /// File for the sheet as PDF, which must not be there yet; text on the screen if left out
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Which one, if there are several: what its place is called
    #[arg(long, value_name = "NAME")]
    pub(crate) place: Option<String>,
}

/// Bytes, with a unit of decimal thousands, as disks are sold.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return Err("give a number with MB, GB or TB".into()),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "give a number with MB, GB or TB".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_none() {
        assert_eq!([size("2TB"), size("500 gb"), size("7")], [Ok(2_000_000_000_000), Ok(500_000_000_000), Ok(7)]);
        for bad in ["", "TB", "0", "0GB", "1.5TB", "-1GB", "99999999999TB", "5 PB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
