//! The shape of `keepwell offsite`. Parses; never opens a file.

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
    /// Look at once whether something is to be sent
    Send,
    /// Have the second site prove now, and not within the day, that it has what it signed for
    Prove,
    /// Send nothing more to a box that keeps for this one. It keeps what it promised; two papers bring it back until then
    Unpair(UnpairArgs),
    /// Take nothing more from a box that this one keeps for. What is kept ages out by what was promised
    End(EndArgs),
    /// What other boxes have signed for: what an order can name
    Receipts,
    /// Make an order to have something kept for a shorter time there than was promised. A second organisation signs it ('keepwell order sign'), and who has two papers gives it ('keepwell order give')
    Order(MakeOrderArgs),
    /// Cancel an order that is pending at the other box: all is kept as was promised
    Cancel(CancelOrderArgs),
}

impl OffsiteCommand {
    /// The words that the user typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Status => "offsite status",
            Self::Invite(_) => "offsite invite",
            Self::Pair(_) => "offsite pair",
            Self::Send => "offsite send",
            Self::Prove => "offsite prove",
            Self::Unpair(_) => "offsite unpair",
            Self::End(_) => "offsite end",
            Self::Receipts => "offsite receipts",
            Self::Order(_) => "offsite order",
            Self::Cancel(_) => "offsite cancel",
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
    /// The key of a second organisation, as 'keepwell order key' prints it, or a file with it: with it and two papers of that practice something can be kept for a shorter time than was promised; without one, never. It stays
    #[arg(long, value_name = "KEY")]
    pub(crate) second_key: Option<String>,
}

/// `offsite unpair`.
#[derive(Debug, Args)]
pub(crate) struct UnpairArgs {
    /// What people there call the place, or the beginning of its key's name
    #[arg(value_name = "PLACE")]
    pub(crate) place: String,
}

/// `offsite end`.
#[derive(Debug, Args)]
pub(crate) struct EndArgs {
    /// What people there call the practice, or the beginning of its vault's id
    #[arg(value_name = "PRACTICE")]
    pub(crate) practice: String,
}

/// `offsite order`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["snapshots", "floor_days"])))]
pub(crate) struct MakeOrderArgs {
    /// Where the order goes: a file that does not exist
    #[arg(value_name = "FILE")]
    pub(crate) file: std::path::PathBuf,
    /// Snapshots that are to be kept no longer, as 'keepwell offsite receipts' lists them; as many digits as tell them apart
    #[arg(long = "snapshot", value_name = "ID")]
    pub(crate) snapshots: Vec<String>,
    /// Every snapshot is to be kept for so many days at least, and no longer; the keepers of weeks and months stay
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) floor_days: Option<u32>,
    /// Which box, by the beginning of its key's name, where several keep for this one
    #[arg(long, value_name = "NAME")]
    pub(crate) receiver: Option<String>,
}

/// `offsite cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelOrderArgs {
    /// The order's name, as 'keepwell offsite status' says it
    #[arg(value_name = "ORDER")]
    pub(crate) order: String,
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
