//! `keepwell offsite`: the second site. Two people at two boxes pair them; from then on the boxes do the rest.

use std::io::Write as _;

use keepwell_api::grants::Verb;
use keepwell_api::hex;
use keepwell_api::offsite::{
    Backlog, CancelOrder, EndTenant, Invite, Invited, Line, Offsite, OrderState, OrderTold, PORT, PairWith, Paired, ProveNow, Receipts,
    ReceiptsOf, ReceiverTold, SendNow, TierOffsite, Unpair,
};
use keepwell_api::vault::Done;
use keepwell_duties::words::duration;
use keepwell_format::{SnapshotId, VaultId};
use keepwell_paper::{PlaceSheet, place_pdf, place_text};
use keepwell_wire::shorten::{OrderId, Shorten, SignedOrder, What};
use keepwell_wire::{KeyName, PlaceCode};

use super::args::{CancelOrderArgs, EndArgs, InviteArgs, LineArgs, MakeOrderArgs, OffsiteCommand, PairArgs, SheetArgs, UnpairArgs};
use super::json;
use super::new_file::NewFile;
use super::place::Place;
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::random::Random;
use crate::{order, text};

/// Seconds.
const DAY: u64 = 86_400;
/// An order can be given for so long after it was made: two weeks of the other box's time.
const ORDER_GOOD_FOR: u64 = 14 * DAY;

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
        OffsiteCommand::Unpair(args) => unpair(args, place, answer),
        OffsiteCommand::End(args) => end(args, place, answer),
        OffsiteCommand::Receipts => receipts(place, answer),
        OffsiteCommand::Order(args) => make_order(args, place, answer),
        OffsiteCommand::Cancel(args) => cancel(args, place, answer),
        OffsiteCommand::Line(args) => line(args, place, answer),
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
    let second_key = args.second_key.as_deref().map(order::public_key).transpose()?;
    let order = Invite { address, quota_bytes: args.quota, place: args.place.clone(), second_key };
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

fn unpair(args: &UnpairArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let told: Offsite = place.vaultd().get("/v1/offsite")?;
    let names = told.receivers.iter().map(|one| (one.place.as_str(), one.name.as_str()));
    let receiver = meant(&args.place, names, "box that keeps for this one")?;
    let _: Done = place.granted(Verb::OffsiteChange, "/v1/offsite/unpair", &Unpair { receiver })?;
    answer
        .line("Nothing is sent there any more. What is there stays for as long as was promised, and two papers bring it back until then.");
    answer.line("Where no other box keeps a copy, one fire loses everything from now on.");
    Ok(Exit::Complete)
}

fn end(args: &EndArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let told: Offsite = place.vaultd().get("/v1/offsite")?;
    let names = told.tenants.iter().map(|one| (one.practice.as_str(), one.vault.as_str()));
    let vault = meant(&args.practice, names, "practice that this box keeps for")?;
    let _: Done = place.granted(Verb::OffsiteChange, "/v1/offsite/end", &EndTenant { vault })?;
    answer.line("Nothing more is taken from there. What is kept stays for as long as was promised, and can be read until then; its room is free after that.");
    Ok(Exit::Complete)
}

/// The one with this name, or with a key or id that begins so.
fn meant<'a>(typed: &str, all: impl Iterator<Item = (&'a str, &'a str)>, what: &str) -> Result<String, CliError> {
    let found: Vec<&str> =
        all.filter(|(name, id)| *name == typed || !typed.is_empty() && id.starts_with(typed)).map(|(_, id)| id).collect();
    match found[..] {
        [one] => Ok(one.to_owned()),
        [] => Err(CliError::Refused(format!("there is no {what} with that name; nothing was changed"))),
        _ => Err(CliError::Refused(format!("more than one {what} has that name: give the beginning of its id; nothing was changed"))),
    }
}

fn receipts(place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let told: Receipts = place.vaultd().get("/v1/offsite/receipts")?;
    for of in &told.receivers {
        answer.line(format_args!("{} ({}):", text::shown(of.place.as_bytes()), of.receiver));
        for one in &of.receipts {
            let share = one.share.as_deref().map_or("not here any more".into(), |share| text::shown(share.as_bytes()));
            let left = days(one.kept_until.saturating_sub(of.elapsed));
            answer.line(format_args!(
                "  {}  came {} UTC, kept for {left} more at least  {share}",
                &one.snapshot,
                text::time(one.received_at)
            ));
        }
    }
    answer.field("receivers", json(&told.receivers));
    Ok(Exit::Complete)
}

fn make_order(args: &MakeOrderArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let told: Receipts = place.vaultd().get("/v1/offsite/receipts")?;
    let wanted = |of: &&ReceiptsOf| args.receiver.as_deref().is_none_or(|name| of.receiver.starts_with(name));
    let [of] = &told.receivers.iter().filter(wanted).collect::<Vec<_>>()[..] else {
        return Err(CliError::Refused(
            "say with --receiver which box is meant: none, or several, keep for this one; no order was made".into(),
        ));
    };
    let nonsense = || CliError::Refused("what the box says of its second site can't be read; no order was made".into());
    let what = match args.floor_days {
        Some(days) => What::Floor(u64::from(days) * DAY),
        None => {
            let mut named = args.snapshots.iter().map(|id| named(id, of)).collect::<Result<Vec<_>, _>>()?;
            named.sort_by_key(|one| one.0);
            named.dedup();
            What::Snapshots(named)
        }
    };
    let order = Shorten {
        id: OrderId(Random::new()?.id()),
        vault: VaultId(hex::decode(&of.vault).ok_or_else(nonsense)?),
        receiver: KeyName(hex::decode(&of.receiver).ok_or_else(nonsense)?),
        head: of
            .head
            .as_deref()
            .and_then(hex::decode)
            .ok_or_else(|| CliError::Refused("the other box has signed for nothing yet; no order was made".into()))?,
        expires: of.elapsed + ORDER_GOOD_FOR,
        what,
    };
    let order = SignedOrder { order, signature: None };
    order::write(&args.file, &order, false)?;
    order::show(&order, answer);
    answer.line(format_args!(
        "It is in {}, and does nothing yet. The second organisation signs it ('keepwell order sign'); within {} who has two papers gives it to the other box ('keepwell order give').",
        args.file.display(),
        days(ORDER_GOOD_FOR)
    ));
    Ok(Exit::Complete)
}

fn named(id: &str, of: &ReceiptsOf) -> Result<SnapshotId, CliError> {
    let mut found = of.receipts.iter().filter(|one| !id.is_empty() && one.snapshot.starts_with(id));
    match (found.next(), found.next()) {
        (Some(one), None) => hex::decode(&one.snapshot).map(SnapshotId).ok_or_else(|| CliError::Refused("that is no snapshot's id".into())),
        (None, _) => {
            Err(CliError::Refused(format!("the other box has no receipt out for {}; no order was made", text::shown(id.as_bytes()))))
        }
        (Some(_), Some(_)) => {
            Err(CliError::Refused(format!("{} is more than one snapshot; no order was made", text::shown(id.as_bytes()))))
        }
    }
}

fn cancel(args: &CancelOrderArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let told: Offsite = place.vaultd().get("/v1/offsite")?;
    let has = |receiver: &&ReceiverTold| receiver.orders.iter().any(|order| order.id == args.order);
    let receiver = told.receivers.iter().find(has);
    let receiver = receiver
        .ok_or_else(|| CliError::Refused("no box that keeps for this one has told of such an order; nothing was changed".into()))?;
    let ask = CancelOrder { receiver: receiver.name.clone(), order: args.order.clone() };
    let _: Done = place.granted(Verb::OffsiteChange, "/v1/offsite/cancel-order", &ask)?;
    answer.line(format_args!("The order is cancelled: {} keeps everything as was promised.", text::shown(receiver.place.as_bytes())));
    Ok(Exit::Complete)
}

/// One that has no effect yet.
fn order_line(order: &OrderTold, answer: &mut Answer) {
    if order.state != OrderState::Pending {
        return;
    }
    let what = match order.floor_s {
        Some(floor) => {
            format!("everything is kept for {} only, which {} are older than", days(floor), text::count(order.snapshots, "snapshot"))
        }
        None => format!("{} are let go", text::count(order.snapshots, "snapshot")),
    };
    answer.line(format_args!(
        "  ORDER {}: from about {} UTC on, {what}. 'keepwell offsite cancel {}' stops it",
        order.id,
        text::time(order.counts_at),
        order.id
    ));
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

fn line(args: &LineArgs, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    let mut line = place.vaultd().get::<Offsite>("/v1/offsite")?.line;
    if args.no_limits || !args.limits.is_empty() {
        line.hours.clone_from(&args.limits);
    }
    line.tz = args.zone.clone().unwrap_or(line.tz);
    line.courteous = args.courteous.unwrap_or(line.courteous);
    let _: Done = place.granted(Verb::OffsiteChange, "/v1/offsite/line", &line)?;
    of_line(&line, answer);
    answer.field("line", json(&line));
    Ok(Exit::Complete)
}

fn of_line(line: &Line, answer: &mut Answer) {
    let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    for hours in &line.hours {
        let days: Vec<&str> = hours.days.iter().filter_map(|day| DAYS.get(usize::from(*day)).copied()).collect();
        let (from, to) = (clock(hours.from_min), clock(hours.to_min));
        let days = days.join(", ");
        answer.line(format_args!("Of the line, {days} {from} to {to} ({}): at most {}", line.tz, bits(u64::from(hours.kbit) * 1000)));
    }
    let others = if line.courteous { "; whoever else needs it goes first" } else { "" };
    answer.line(format_args!("Of the line, {}: all of it{others}", if line.hours.is_empty() { "at all hours" } else { "at other hours" }));
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// As lines are sold.
fn bits(a_second: u64) -> String {
    match a_second / 1000 {
        kbit @ ..1000 => format!("{kbit} kbit/s"),
        kbit if kbit % 1000 == 0 || kbit >= 100_000 => format!("{} Mbit/s", kbit / 1000),
        kbit => format!("{}.{} Mbit/s", kbit / 1000, kbit % 1000 / 100),
    }
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
    if !told.receivers.is_empty() {
        of_line(&told.line, answer);
    }
    for tenant in &told.tenants {
        let used = tenant.used_bytes.map_or_else(|| "its folders can't be used now".to_owned(), text::size);
        let came = tenant.received_at.map_or_else(|| "nothing came yet".to_owned(), |at| format!("last snapshot {} UTC", text::time(at)));
        let (practice, quota) = (text::shown(tenant.practice.as_bytes()), text::size(tenant.quota_bytes));
        answer.line(format_args!("Kept here for {practice} ({}): {used} of {quota}; {came}", tenant.words));
        tenant.orders.iter().for_each(|order| order_line(order, answer));
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
    if let Some(held) = receiver.held_to.filter(|_| receiver.busy) {
        answer.line(format_args!("  held back to {} at the moment, by the hour's limit or for others that need the line", bits(held * 8)));
    }
    match &receiver.challenge {
        None => answer.line("  not asked yet whether it has what it signed for"),
        Some(one) => {
            let found = if one.lost == 0 { "all proven".to_owned() } else { format!("{} lost, {} sent again", one.lost, one.mended) };
            answer.line(format_args!("  asked {} UTC for {}: {found}", text::time(one.at), text::count(one.asked, "slice")));
        }
    }
    receiver.orders.iter().for_each(|order| order_line(order, answer));
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
