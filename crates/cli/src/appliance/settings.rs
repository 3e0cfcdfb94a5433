//! `keepwell channels` and `keepwell policies`: how the box's messages reach people, and what it promises. A channel's file holds its secrets: it is read, handed on, and never shown.

use keepwell_api::grants::Verb;
use keepwell_api::notices::Channel;
use keepwell_api::vault::{ChannelTold, Done, SetChannel, TestChannel};
use keepwell_duties::Policy;
use keepwell_duties::words::duration;

use super::args::{ChannelsCommand, PoliciesCommand};
use super::json;
use super::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::text;
use crate::unlock::secret_file;

/// Runs it.
pub(crate) fn channels(command: &ChannelsCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let (name, channel, done) = match command {
        ChannelsCommand::List => {
            let all: Vec<ChannelTold> = place.vaultd().get("/v1/channels")?;
            answer.list("channels", &all, way, json);
            return Ok(Exit::Complete);
        }
        ChannelsCommand::Test { name } => {
            let _: Done = place.granted(Verb::SettingsChange, "/v1/channels/test", &TestChannel { name: name.clone() })?;
            answer.field("name", &**name);
            answer.line(format_args!(
                "A test message is on its way: {}. 'keepwell channels list' shows whether it arrived.",
                text::shown(name.as_bytes())
            ));
            return Ok(Exit::Complete);
        }
        ChannelsCommand::Set { name, file } => {
            let channel = serde_json::from_slice::<Channel>(&secret_file(file)?)
                .map_err(|error| CliError::Refused(format!("{} describes no channel: {error}; nothing was changed", file.display())))?;
            (name, Some(channel), "The box sends its messages there too from now on")
        }
        ChannelsCommand::Remove { name } => (name, None, "The box does not send its messages there any more"),
    };
    let _: Done = place.granted(Verb::SettingsChange, "/v1/channels", &SetChannel { name: name.clone(), channel })?;
    answer.field("name", &**name);
    answer.line(format_args!("{done}: {}.", text::shown(name.as_bytes())));
    Ok(Exit::Complete)
}

fn way(told: &ChannelTold) -> String {
    let shown = |line: &str| text::shown(line.as_bytes());
    let report = if told.digest { "; daily report" } else { "" };
    let delivered = told.delivered_at.map_or_else(|| "nothing delivered yet".into(), |at| format!("delivered {} UTC", text::time(at)));
    let failed = told.failed_at.filter(|at| told.delivered_at.is_none_or(|delivered| delivered < *at));
    let failed = failed.map(|at| format!("; failed {} UTC: {}", text::time(at), shown(told.failure.as_deref().unwrap_or_default())));
    let waiting = if told.waiting == 0 { String::new() } else { format!("; {} waiting", told.waiting) };
    let kind = told.kind.as_deref().unwrap_or("can't be read: set it again");
    format!("{}  {kind}  {}{report}; {delivered}{}{waiting}", shown(&told.name), shown(&told.to), failed.unwrap_or_default())
}

/// `policies`.
pub(crate) fn policies(command: &PoliciesCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let now: Vec<Policy> = place.vaultd().get("/v1/policies")?;
    let PoliciesCommand::Set { file } = command else {
        answer.list("policies", &now, line, json);
        return Ok(Exit::Complete);
    };
    let content = secret_file(file)?;
    let one = |_| serde_json::from_slice::<Policy>(&content).map(|policy| vec![policy]);
    let wanted = serde_json::from_slice::<Vec<Policy>>(&content).or_else(one).map_err(|error| {
        CliError::Refused(format!(
            "{} holds no policy as 'keepwell --json policies list' shows them: {error}; nothing was changed",
            file.display()
        ))
    })?;
    for policy in &wanted {
        let loosened = now.iter().any(|before| before.tier == policy.tier && before.is_loosened_by(policy));
        let _: Done = place.granted(if loosened { Verb::PolicyLoosen } else { Verb::PolicyChange }, "/v1/policies", policy)?;
        answer.line(line(policy));
    }
    answer.field("policies", json(&wanted));
    Ok(Exit::Complete)
}

fn line(policy: &Policy) -> String {
    let Policy { tier, cadence_s, copy_age_goal_s, keep, test_sample, .. } = policy;
    let hours =
        policy.clinic_hours.as_ref().filter(|hours| hours.spared).map_or("", |_| "; not in clinic hours, as long as the goal holds");
    format!(
        "tier {}  a copy every {}, none older than {}{hours}; kept: {} hourly, {} daily, {} weekly, {} monthly; {test_sample} files in a test restore",
        tier.number(),
        duration((*cadence_s).into()),
        duration((*copy_age_goal_s).into()),
        keep.hourly,
        keep.daily,
        keep.weekly,
        keep.monthly
    )
}

#[cfg(test)]
mod tests {
    use keepwell_duties::Tier;

    use super::*;

    #[test]
    fn a_policy_is_told_in_one_line() {
        let told = line(&Policy::of(Tier::Two));
        assert_eq!(
            told,
            "tier 2  a copy every 4 hours, none older than 8 hours; kept: 18 hourly, 35 daily, 13 weekly, 24 monthly; 100 files in a test restore"
        );
    }
}
