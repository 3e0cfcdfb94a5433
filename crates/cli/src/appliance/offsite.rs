//! `keepwell offsite`: the second site. Two people at two boxes pair them; from then on the boxes do the rest.

use std::io::Write as _;

use keepwell_api::grants::Verb;
use keepwell_api::offsite::{Backlog, Invite, Invited, Offsite, PORT, PairWith, Paired, ProveNow, ReceiverTold, SendNow, TierOffsite};
use keepwell_api::vault::Done;
use keepwell_duties::words::duration;
use keepwell_paper::{PlaceSheet, place_pdf, place_text};
use keepwell_wire::PlaceCode;

use super::args::{InviteArgs, OffsiteCommand, PairArgs, SheetArgs};
use super::json;
use super::new_file::NewFile;
use super::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::text;

/// Runs it.
pub(crate) fn run(command: &OffsiteCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        OffsiteCommand::Status => status(place, answer),
        OffsiteCommand::Invite(args) => invite(args, place, answer),
        OffsiteCommand::Pair(args) => pair(args, place, answer),
        OffsiteCommand::Sheet(args) => sheet(args, place, answer),
        OffsiteCommand::Send => {
            let _: Done = place.granted(Verb::RunNow, "/v1/offsite/send", &SendNow {})?;
            answer.line("What is not at the second site yet is being sent. 'keepwell offsite status' says how far it is.");
            Ok(Exit::Complete)
        }
        OffsiteCommand::Prove => {
            let _: Done = place.granted(Verb::RunNow, "/v1/offsite/prove", &ProveNow {})?;
            answer
                .line("The second site is asked to prove that it has what it signed for. 'keepwell offsite status' says what came of it.");
            Ok(Exit::Complete)
        }
    }
}

fn invite(args: &InviteArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let has_port = args.address.rsplit_once(':').is_some_and(|(host, port)| !host.ends_with(':') && port.parse::<u16>().is_ok());
    let address = if has_port { args.address.clone() } else { format!("{}:{PORT}", args.address) };
    let order = Invite { address, quota_bytes: args.quota, place: args.place.clone() };
    let invited: Invited = place.granted(Verb::OffsiteChange, "/v1/offsite/invite", &order)?;
    let invitation = String::from_utf8_lossy(invited.invitation.as_ref()).into_owned();
    answer.line(format_args!("At the other box, until {} UTC, once:", text::time(invited.expires_at)));
    answer.line(format_args!("  keepwell offsite pair --practice NAME {invitation}"));
    answer.line(
        "Whoever has this line can send backups here: tell it to nobody else. Afterwards compare the four words that both boxes show.",
    );
    answer.field("invitation", invitation);
    answer.field("expires_at", invited.expires_at);
    Ok(Exit::Complete)
}

fn pair(args: &PairArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let order = PairWith { invitation: args.text.concat().into_bytes().into(), practice: args.practice.clone() };
    let paired: Paired = place.granted(Verb::OffsiteChange, "/v1/offsite/pair", &order)?;
    let shown = text::shown(paired.place.as_bytes());
    answer.line(format_args!("Backups go to {shown} from now on, at most {} of them.", text::size(paired.quota_bytes)));
    answer.line(format_args!(
        "Each stays there for {} at least. The other box shows these words too, or somebody stands between:",
        days(paired.floor_s)
    ));
    answer.line(format_args!("  {}", paired.words));
    for (name, value) in [("name", paired.name), ("place", paired.place), ("words", paired.words)] {
        answer.field(name, value);
    }
    answer.field("quota_bytes", paired.quota_bytes);
    answer.field("floor_s", paired.floor_s);
    Ok(Exit::Complete)
}

fn sheet(args: &SheetArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let told: Offsite = place.vaultd().get("/v1/offsite")?;
    let mut wanted = told.receivers.iter().filter(|one| args.place.as_ref().is_none_or(|name| one.place == *name));
    let (Some(receiver), None) = (wanted.next(), wanted.next()) else {
        let names: Vec<String> = told.receivers.iter().map(|one| text::shown(one.place.as_bytes())).collect();
        return Err(CliError::Refused(if names.is_empty() {
            "there is no second site: 'keepwell offsite pair' makes one".into()
        } else {
            format!("choose one with --place: {}", names.join(", "))
        }));
    };
    let code = receiver.code.as_deref().and_then(|code| PlaceCode::parse(code).ok());
    let code = code.ok_or_else(|| CliError::Refused("the vault is not open, so the sheet can't name it: try again when it is".into()))?;
    let sheet = PlaceSheet { place: &receiver.place, address: &receiver.address, key: &receiver.name, code: &code.to_groups() };
    answer.field("code", code.to_text());
    answer.field("address", &*receiver.address);
    answer.field("name", &*receiver.name);
    match &args.out {
        Some(out) => {
            let mut file = NewFile::begin(out, false)?;
            file.write_all(&place_pdf(&sheet)).map_err(CliError::file("write", out))?;
            file.finish()?;
            answer.line(format_args!("The sheet is in {}: print it, and keep a copy with each paper of the recovery kit.", out.display()));
        }
        None => place_text(&sheet).lines().for_each(|line| answer.line(line)),
    }
    Ok(Exit::Complete)
}

fn status(place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let told: Offsite = place.vaultd().get("/v1/offsite")?;
    if told.receivers.is_empty() {
        answer.line("There is no second site: one fire loses everything. 'keepwell offsite pair' sends the backups to another box.");
    }
    for receiver in &told.receivers {
        lines(receiver, answer);
    }
    for tenant in &told.tenants {
        let used = tenant.used_bytes.map_or_else(|| "its folders can't be used now".to_owned(), text::size);
        let came = tenant.received_at.map_or_else(|| "nothing came yet".to_owned(), |at| format!("last snapshot {} UTC", text::time(at)));
        let (practice, quota) = (text::shown(tenant.practice.as_bytes()), text::size(tenant.quota_bytes));
        answer.line(format_args!("Kept here for {practice} ({}): {used} of {quota}; {came}", tenant.words));
    }
    if let Some(why) = &told.not_listening {
        answer.line(format_args!("Other boxes can't reach this one: {}", text::shown(why.as_bytes())));
    }
    let well = told.not_listening.is_none() && !told.receivers.is_empty() && told.receivers.iter().all(is_well);
    for (name, value) in json(&told).as_object().cloned().unwrap_or_default() {
        answer.field(&name, value);
    }
    Ok(Exit::of(well))
}

/// All that is here is there, and was proven.
fn is_well(receiver: &ReceiverTold) -> bool {
    let proven = receiver.challenge.as_ref().is_some_and(|challenge| challenge.mended >= challenge.lost);
    proven && receiver.failure.is_none() && receiver.waiting == 0 && receiver.tiers.iter().all(|tier| tier.without_copy.is_empty())
}

fn lines(receiver: &ReceiverTold, answer: &mut Answer) {
    let shown = |text: &str| text::shown(text.as_bytes());
    answer.line(format_args!("{} ({}), {}", shown(&receiver.place), receiver.words, shown(&receiver.address)));
    for tier in &receiver.tiers {
        answer.line(format_args!("  {}", of_tier(tier)));
    }
    let all = if receiver.waiting == 0 {
        "all snapshots are there".to_owned()
    } else {
        text::count(receiver.waiting, "snapshot") + " on the way"
    };
    answer.line(format_args!("  {all}{}; {} verified", left(&receiver.backlog), text::count(receiver.receipts, "receipt")));
    match &receiver.challenge {
        None => answer.line("  not asked yet whether it has what it signed for"),
        Some(one) => {
            let found = if one.lost == 0 { "all proven".to_owned() } else { format!("{} lost, {} sent again", one.lost, one.mended) };
            answer.line(format_args!("  asked {} UTC for {}: {found}", text::time(one.at), text::count(one.asked, "slice")));
        }
    }
    if let Some(failure) = &receiver.failure {
        answer.line(format_args!("  since {} UTC: {}. It is tried again", text::time(failure.at), shown(&failure.text)));
    }
}

fn of_tier(tier: &TierOffsite) -> String {
    let newest = tier.copies.first().map_or_else(
        || "nothing is there yet".to_owned(),
        |copy| {
            let age = duration(i64::try_from(copy.age_s).unwrap_or(i64::MAX));
            format!("newest copy {age} old ({}, {} UTC)", text::shown(copy.share.as_bytes()), text::time(copy.taken_at))
        },
    );
    let missing = tier.without_copy.iter().map(|share| text::shown(share.as_bytes())).collect::<Vec<_>>().join(", ");
    let missing = if missing.is_empty() { String::new() } else { format!("; not there: {missing}") };
    format!("tier {}  {newest}{missing}{}", tier.tier, left(&tier.backlog))
}

fn left(backlog: &Backlog) -> String {
    if backlog.bytes == 0 {
        return String::new();
    }
    let forecast =
        backlog.forecast_s.map(|seconds| format!(", {} at the rate of late", duration(i64::try_from(seconds).unwrap_or(i64::MAX))));
    format!("; {} to send{}", text::size(backlog.bytes), forecast.unwrap_or_default())
}

fn days(seconds: u64) -> String {
    text::count(seconds / 86_400, "day")
}
