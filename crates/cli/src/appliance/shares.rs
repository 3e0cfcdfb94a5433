//! `keepwell shares`: what the box backs up. Reads a password from its file and hands it on; shows none.

use std::ffi::OsStr;
use std::path::Path;

use keepwell_api::Base64;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{AddShare, ChangeShare, CheckShare, Done, RemoveShare, Rights, ServerFacts, Share, ShareAdded, ShareChecked};

use super::args::{AddShareArgs, ChangeShareArgs, SharesCommand};
use super::place::Place;
use super::{json, word};
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::remote::{AccountArgs, Remote};
use crate::text;
use crate::unlock::secret_line;

/// Runs it.
pub(crate) fn run(command: &SharesCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        SharesCommand::List => list(place, answer),
        SharesCommand::Check { location, account } => check(location, account, place, answer),
        SharesCommand::Add(args) => add(args, place, answer),
        SharesCommand::Change(args) => change(args, place, answer),
        SharesCommand::Remove { share } => remove(share, place, answer),
    }
}

/// The share that a person names: by its name, or by its id.
pub(crate) fn find(place: &Place, named: &str) -> Result<Share, CliError> {
    let shares: Vec<Share> = place.vaultd().get("/v1/shares")?;
    shares.into_iter().find(|share| share.name == named || share.id == named).ok_or_else(|| {
        CliError::Refused(format!(
            "the box has no share '{}'; nothing was done. 'keepwell shares list' names all",
            text::shown(named.as_bytes())
        ))
    })
}

fn list(place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let shares: Vec<Share> = place.vaultd().get("/v1/shares")?;
    if shares.is_empty() {
        answer.line("The box backs up no share yet: keepwell shares add");
    }
    answer.list("shares", &shares, line, json);
    Ok(Exit::Complete)
}

fn line(share: &Share) -> String {
    let last = match (&share.running, share.last.as_ref()) {
        _ if share.paused => "paused: not backed up until somebody says 'keepwell shares change --resume'".into(),
        (Some(run), _) => format!("run {run} is under way"),
        (None, None) => "no run yet".into(),
        (None, Some(run)) => {
            let outcome = run.outcome.as_ref().map(word).unwrap_or_default();
            format!("run {} {outcome}, {} UTC", run.id, text::time(run.finished_at.unwrap_or(run.started_at)))
        }
    };
    let copy = share.newest_copy_at.map_or_else(|| "no copy".into(), |at| format!("copy of {} UTC", text::time(at)));
    let [name, location] = [&share.name, &share.location].map(|text| text::shown(text.as_bytes()));
    format!("{}  tier {}  {name}  {location}  {last}; {copy}", share.id, share.tier as u8 + 1)
}

fn check(location: &OsStr, account: &AccountArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let remote = Remote::new(location, account)?;
    let password = remote.password().map(|password| Base64::from(password.as_bytes().to_vec()));
    let request = CheckShare { location: remote.address.location(), password };
    let checked: ShareChecked = place.granted(Verb::SharesAdd, "/v1/shares/check", &request)?;
    answer.field("check", json(&checked));
    let ServerFacts { protocol, protection, findings, .. } = &checked.server;
    answer.line(format_args!("{}, {}", text::shown(protocol.as_bytes()), text::shown(protection.as_bytes())));
    for finding in findings {
        answer.line(format_args!("- {}", text::shown(finding.as_bytes())));
    }
    let may = checked.may.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (asked, changeable) = (checked.asked, checked.changeable);
    answer.line(match checked.rights {
        Rights::ReadOnly => format!("This account can only read, as its server says of {asked} files and folders."),
        Rights::CanWrite => format!("This account can do more than read, in {changeable} of {asked} files and folders: {may}. So could thieves; create one that may only read."),
        Rights::Unknown => "Its server does not say what this account may do: make sure there that it may only read.".to_owned(),
    });
    Ok(if checked.rights == Rights::ReadOnly { Exit::Complete } else { Exit::Partial })
}

fn add(args: &AddShareArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let remote = Remote::new(&args.location, &args.account)?;
    let password = remote.password().map(|password| Base64::from(password.as_bytes().to_vec()));
    let location = remote.address.location();
    let request = AddShare { name: args.name.clone(), location, password, tier: args.tier.into(), may_write: args.may_write.clone() };
    let added: ShareAdded = place.granted(Verb::SharesAdd, "/v1/shares", &request)?;
    answer.field("id", &*added.id);
    answer.line(format_args!("The box backs up '{}' from now on; its id is {}.", text::shown(args.name.as_bytes()), added.id));
    Ok(Exit::Complete)
}

fn change(args: &ChangeShareArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let read = |file: &Path| secret_line(file, "password").map(Base64);
    let mut request = ChangeShare {
        location: args.location.clone(),
        password: args.password_file.as_deref().map(read).transpose()?,
        tier: args.tier.map(Into::into),
        may_write: args.may_write.clone(),
        paused: (args.pause || args.resume).then_some(args.pause),
        ..ChangeShare::default()
    };
    if request == ChangeShare::default() {
        return Err(CliError::Usage("nothing to change: give --location, --password-file, --tier, --pause or --resume".into()));
    }
    let share = find(place, &args.share)?;
    request.id = share.id;
    let _: Done = place.granted(request.verb(share.tier), "/v1/shares/change", &request)?;
    answer.field("id", &*request.id);
    answer.line(format_args!("Changed: '{}'.", text::shown(args.share.as_bytes())));
    Ok(Exit::Complete)
}

fn remove(named: &str, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let share = find(place, named)?;
    let _: Done = place.granted(Verb::SharesRemove, "/v1/shares/remove", &RemoveShare { id: share.id.clone() })?;
    answer.field("id", share.id);
    answer.line(format_args!("'{}' is not backed up any more. Its snapshots stay.", text::shown(share.name.as_bytes())));
    Ok(Exit::Complete)
}
