//! `keepwell disks` where a box has a pool: its disks as the box sees them, added, taken out and tested through vaultd, which asks the program that has them. What is to be
//! erased has to be typed from the disk's sticker.

use std::time::Duration;

use keepwell_api::disks::{SelfTestKind, Serial};
use keepwell_api::grants::Verb;
use keepwell_api::vault::{AddDisk, BoxDisk, BoxDisks, Done, LocateDisk, Membership, RemoveDisk, TestDisk};

use super::place::Place;
use super::{json, word};
use crate::disks::args::{AddArgs, DisksCommand, RemoveArgs};
use crate::disks::{ask, words};
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::text;

/// Making a file system on a large, slow disk takes minutes.
const PATIENCE: Duration = Duration::from_secs(2_500);

/// Runs what the box does with its pool's disks; none for what is only diskd's.
pub(crate) fn run(command: &DisksCommand, place: &Place, answer: &mut Answer) -> Option<Result<Exit, CliError>> {
    Some(match command {
        DisksCommand::List(_) => list(place, answer),
        DisksCommand::Add(args) => add(args, place, answer),
        DisksCommand::Remove(args) => remove(args, place, answer),
        DisksCommand::Locate(args) => find(place, &args.disk.disk).and_then(|serial| {
            let seconds = u32::try_from(args.seconds).unwrap_or(u32::MAX);
            test(place, "/v1/disks/locate", &LocateDisk { serial, seconds }, answer)
        }),
        DisksCommand::SelfTest(args) => find(place, &args.disk.disk).and_then(|serial| {
            let kind = if args.long { SelfTestKind::Long } else { SelfTestKind::Short };
            test(place, "/v1/disks/self-test", &TestDisk { serial, kind }, answer)
        }),
        _ => return None,
    })
}

fn list(place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let all: BoxDisks = place.vaultd().get("/v1/disks")?;
    answer.list("disks", &all.disks, line, json);
    all.disks.iter().filter_map(|disk| disk.disk.as_ref()).for_each(|disk| words::reasons(disk, answer));
    answer.field("to_mend", all.to_mend);
    answer.field("diskd_silent", all.diskd_silent.clone());
    if all.to_mend > 0 {
        answer.line(format_args!("{} still to be moved or made again. The box does that by itself.", text::count(all.to_mend, "object")));
    }
    if let Some(why) = &all.diskd_silent {
        answer.line(format_args!("How the disks are is not known: {why}."));
    }
    let well = |disk: &BoxDisk| {
        let is_well = disk.disk.as_ref().is_none_or(|disk| disk.health.verdict < keepwell_api::disks::Verdict::Suspect);
        disk.membership == Membership::None || is_well && disk.membership != Membership::Missing
    };
    Ok(Exit::of(all.diskd_silent.is_none() && all.to_mend == 0 && all.disks.iter().all(well)))
}

fn line(disk: &BoxDisk) -> String {
    let membership = match disk.membership {
        Membership::None => "not of the pool".to_owned(),
        of_pool => word(&of_pool),
    };
    match (&disk.disk, &disk.pool_name) {
        (Some(known), _) => format!("{membership:<16} {}", words::line(known)),
        (None, name) => format!("{membership:<16} {}", name.as_deref().unwrap_or("-")),
    }
}

fn add(args: &AddArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let serial = find(place, &args.disk)?;
    let what = format!("Disk {serial} becomes one of the pool, and all that is on it will be lost");
    let typed_serial = ask(args.serial.as_deref(), &what, answer)?;
    let order = AddDisk { serial: serial.clone(), typed_serial, replaces: args.replaces.clone() };
    let _: Done = place.allowed(Verb::DisksChange, &order, None)?.within(PATIENCE).post("/v1/disks/add", &order)?;
    answer.field("serial", serial.as_str());
    answer.field("replaces", args.replaces.clone());
    answer.line(format_args!(
        "Disk {serial} is one of the pool. What it is to hold is moved there by and by; 'keepwell disks list' says how much is left."
    ));
    Ok(Exit::Complete)
}

fn remove(args: &RemoveArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let _: Done = place.granted(Verb::DisksChange, "/v1/disks/remove", &RemoveDisk { pool_name: args.disk.clone() })?;
    answer.field("disk", &*args.disk);
    let name = text::shown(args.disk.as_bytes());
    answer.line(format_args!(
        "What is on {name} goes to the other disks. Leave it in until 'keepwell disks list' does not show it as one of the pool."
    ));
    Ok(Exit::Complete)
}

fn test(place: &Place, route: &str, order: &impl serde::Serialize, answer: &mut Answer) -> Result<Exit, CliError> {
    let _: Done = place.granted(Verb::DisksTest, route, order)?;
    answer.line("The disk was told so.");
    Ok(Exit::Complete)
}

/// The disk with this serial number, or the only one whose begins so.
fn find(place: &Place, named: &str) -> Result<Serial, CliError> {
    let all: BoxDisks = place.vaultd().get("/v1/disks")?;
    let serials: Vec<Serial> = all.disks.into_iter().filter_map(|disk| disk.disk).map(|disk| disk.serial).collect();
    if let Some(exact) = serials.iter().find(|serial| serial.as_str() == named) {
        return Ok(exact.clone());
    }
    match serials.iter().filter(|serial| serial.as_str().starts_with(named)).collect::<Vec<_>>()[..] {
        [one] => Ok(one.clone()),
        [] => Err(CliError::Refused(format!("there is no disk '{named}'; 'keepwell disks list' lists them"))),
        _ => Err(CliError::Refused(format!("'{named}' is the beginning of more than one serial number"))),
    }
}
