//! The shape of `keepwell offsite`. Parses; never opens a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keepwell_api::offsite::LineHours;

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
    /// Say how much of the practice's line copies may take, and when; what is not said stays
    Line(LineArgs),
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
            Self::Sheet(_) => "offsite sheet",
            Self::Send => "offsite send",
            Self::Line(_) => "offsite line",
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
    pub(crate) file: PathBuf,
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

/// `offsite line`.
#[derive(Debug, Args)]
pub(crate) struct LineArgs {
    /// Hours in which copies take no more than so much, in place of those before: such as 'mon-fri 07:00-19:00 2Mbit'. May be given several times
    #[arg(long = "limit", value_name = "HOURS", value_parser = limit, conflicts_with = "no_limits")]
    pub(crate) limits: Vec<LineHours>,
    /// The whole line at all hours
    #[arg(long)]
    pub(crate) no_limits: bool,
    /// Time zone of the hours, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// Whether copies leave the line to whoever else needs it
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
    pub(crate) courteous: Option<bool>,
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("say yes or no".into()),
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Days, hours and a rate.
fn limit(text: &str) -> Result<LineHours, String> {
    let parsed = || {
        let text = text.to_ascii_lowercase();
        let mut words = text.split_whitespace();
        let (days, times, rate) = (words.next()?, words.next()?, words.collect::<String>());
        let (from, to) = times.split_once('-')?;
        Some(LineHours { days: these_days(days)?, from_min: minute(from)?, to_min: minute(to)?, kbit: kbit(&rate)? })
    };
    parsed().ok_or_else(|| "give days, hours and a rate, such as 'mon-fri 07:00-19:00 2Mbit' or 'sat,sun 10:00-12:00 500kbit'".into())
}

fn these_days(text: &str) -> Option<Vec<u8>> {
    if text == "daily" {
        return Some((0..7).collect());
    }
    let day = |name: &str| (0_u8..).zip(DAYS).find(|(_, day)| *day == name).map(|(day, _)| day);
    let mut days = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => days.push(day(part)?),
            Some((first, last)) => {
                let (first, last) = (day(first)?, day(last)?);
                // Over the end of the week as well.
                days.extend((first..first + 7).map(|day| day % 7).take(usize::from((last + 7 - first) % 7) + 1));
            }
        }
    }
    days.sort_unstable();
    days.dedup();
    Some(days)
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (minutes < 60 && hours * 60 + minutes <= 1_440 && hours <= 24).then_some(hours * 60 + minutes)
}

fn kbit(text: &str) -> Option<u32> {
    let (number, factor) = match (text.strip_suffix("kbit"), text.strip_suffix("mbit")) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 1_000),
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(factor)
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
    fn limits_are_days_hours_and_a_rate() {
        let of = |days: &[u8], from_min, to_min, kbit| Ok(LineHours { days: days.to_vec(), from_min, to_min, kbit });
        assert_eq!(limit("mon-fri 07:00-19:00 2Mbit"), of(&[0, 1, 2, 3, 4], 420, 1140, 2000));
        assert_eq!(limit("Sat,Sun 22:30-06:00 500 kbit"), of(&[5, 6], 1350, 360, 500));
        assert_eq!(limit("fri-mon 00:00-24:00 1mbit"), of(&[0, 4, 5, 6], 0, 1440, 1000));
        assert_eq!(limit("daily 12:00-13:00 64kbit"), of(&[0, 1, 2, 3, 4, 5, 6], 720, 780, 64));
        for bad in [
            "",
            "mon-fri",
            "mon 07:00 2Mbit",
            "mon 07:00-25:00 2Mbit",
            "mon 07:60-08:00 2Mbit",
            "mon 07:00-08:00 2",
            "moon 07:00-08:00 2Mbit",
        ] {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units_or_none() {
        assert_eq!([size("2TB"), size("500 gb"), size("7")], [Ok(2_000_000_000_000), Ok(500_000_000_000), Ok(7)]);
        for bad in ["", "TB", "0", "0GB", "1.5TB", "-1GB", "99999999999TB", "5 PB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
