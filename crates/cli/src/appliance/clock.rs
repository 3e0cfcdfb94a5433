//! `keepwell clock`: shows the machine's time beside the box's, and tells the box that a person looked at it. Sets no clock.

use keepwell_api::grants::Verb;
use keepwell_api::vault::{ClockConfirmed, ConfirmClock};
use keepwell_duties::Status;

use super::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::{opening, text};

/// `clock confirm`.
pub(crate) fn confirm(yes: bool, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let status: Status = place.vaultd().get("/v1/status")?;
    let machine = opening::now().seconds;
    answer.field("machine_at", machine);
    answer.field("box_at", status.at.0);
    answer.line(format_args!("The machine's clock says  {} UTC.", text::time(machine)));
    answer.line(format_args!("The box goes by           {} UTC ({}).", text::time(status.at.0), apart(machine - status.at.0)));
    if !yes {
        return Err(CliError::Usage(
            "nothing was changed: look at another clock, and if the machine's is right, say so with --yes; if it is not, set it first"
                .into(),
        ));
    }
    let done: ClockConfirmed = place.granted(Verb::SettingsChange, "/v1/clock/confirm", &ConfirmClock { at: machine })?;
    answer.field("moved_s", done.moved_s);
    answer.line(match done.moved_s {
        0 => "The box went by the machine's clock already.".to_owned(),
        moved => format!("The box goes by the machine's clock again; its time moved by {}.", seconds(moved)),
    });
    Ok(Exit::Complete)
}

fn apart(ahead_s: i64) -> String {
    match ahead_s {
        -2..=2 => "the same".into(),
        ahead if ahead > 0 => format!("{} behind it", seconds(ahead)),
        ahead => format!("{} ahead of it", seconds(ahead)),
    }
}

fn seconds(moved: i64) -> String {
    keepwell_duties::words::duration(moved.saturating_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_hear_which_clock_is_ahead() {
        assert_eq!([apart(1), apart(7_200), apart(-7_200)], ["the same", "2 hours behind it", "2 hours ahead of it"]);
    }
}
