//! How disks, verdicts, certificates and the box's vitals are told, for people and in JSON. Pure but for the answer it writes to.

use keepwell_api::disks::{Certificate, Disk, DiskDetail, Erasure, Standing, Verdict, Vitals};
use serde_json::json;

use crate::output::Answer;
use crate::text;

/// `Seagate IronWolf 4.0 TB, serial number ZX1`.
pub(crate) fn name(disk: &Disk) -> String {
    format!("{} ({}), serial number {}", text::shown(disk.model.as_bytes()), text::size(disk.size_bytes), disk.serial)
}

/// What a disk is to this box, after "is".
pub(crate) fn standing(standing: &Standing) -> String {
    let mounted = |at: &Option<String>| at.as_ref().map_or_else(|| ", not mounted".into(), |at| format!(", mounted at {at}"));
    match standing {
        Standing::Own { why } => format!("never touched: {why}"),
        Standing::Busy { by } => format!("in use: {by}"),
        Standing::Blank => "blank".into(),
        Standing::Foreign { what } => format!("not Keepwell's: {} is on it", text::shown(what.as_bytes())),
        Standing::Prepared { unreadable: Some(why), mounted_at: None, .. } => {
            format!("a disk of this box whose file system can't be read: {}", text::shown(why.as_bytes()))
        }
        Standing::Prepared { mounted_at, .. } => format!("a disk of this box{}", mounted(mounted_at)),
        Standing::OtherBox { name, mounted_at, known, .. } => {
            let key = if *known { "" } else { " (by its own words: its key is not known here)" };
            format!("a disk of the box '{}'{key}{}", text::shown(name.as_bytes()), mounted(mounted_at))
        }
        Standing::Spoilt { why } => format!("spoilt: {why}"),
        Standing::Unread { why, .. } => format!("not readable: {why}"),
        Standing::Absent => "not connected".into(),
    }
}

/// One line of the list.
pub(crate) fn line(disk: &Disk) -> String {
    let device = if disk.device.is_empty() { "-" } else { &disk.device };
    let heat = disk.health.temperature_celsius.map_or_else(String::new, |celsius| format!(", {celsius} °C"));
    let kind = if disk.rotational { "turning" } else { "flash" };
    let (health, bus) = (disk.health.verdict, disk.bus);
    format!("{device:<8} {health:<8} {}, {bus}, {kind}{heat}: {}", name(disk), standing(&disk.standing))
}

/// Why a disk is not well, for people.
pub(crate) fn reasons(disk: &Disk, answer: &mut Answer) {
    for reason in disk.health.reasons.iter().filter(|reason| reason.weight >= Verdict::Suspect) {
        answer.line(format_args!("{}: {}", disk.serial, reason.text));
    }
}

/// A disk after something was done with it.
pub(super) fn brief(disk: &Disk, answer: &mut Answer) {
    answer.field("disk", json!(disk));
    answer.line(format_args!("{} is {}.", name(disk), standing(&disk.standing)));
}

/// All of a disk.
pub(super) fn show(detail: &DiskDetail, answer: &mut Answer) {
    let disk = &detail.disk;
    answer.field("disk", json!(disk));
    answer.field("short_test_at", json!(detail.short_test_at));
    answer.field("long_test_at", json!(detail.long_test_at));
    answer.list("polls", if answer.is_json() { &detail.polls } else { &[] }, |_| String::new(), |poll| json!(poll));
    answer.line(name(disk));
    answer.line(format_args!("  it is {}", standing(&disk.standing)));
    answer.line(format_args!("  health: {}, {} known", disk.health.verdict, text::count(detail.polls.len() as u64, "poll")));
    disk.health.reasons.iter().for_each(|reason| answer.line(format_args!("    {}", reason.text)));
    disk.notes.iter().for_each(|note| answer.line(format_args!("  {note}")));
    let never = || "never".to_owned();
    for (what, at) in [
        ("last asked", disk.health.polled_at),
        ("last short self-test", detail.short_test_at),
        ("last long self-test", detail.long_test_at),
        ("first seen", Some(disk.first_seen)),
        ("last seen", Some(disk.last_seen)),
    ] {
        answer.line(format_args!("  {what}: {}", at.map_or_else(never, |at| text::time(at) + " (UTC)")));
    }
    for (what, value, unit) in [
        ("temperature", disk.health.temperature_celsius.map(|n| n.to_string()), "°C"),
        ("has run for", disk.health.power_on_hours.map(|n| n.to_string()), "hours"),
        ("worn by", disk.health.wear_percent.map(|n| n.to_string()), "%"),
    ] {
        if let Some(value) = value {
            answer.line(format_args!("  {what} {value} {unit}"));
        }
    }
    if let Some(newest) = detail.polls.last() {
        newest.counters.iter().for_each(|(name, value)| answer.line(format_args!("  {name}: {value}")));
    }
    if let Some(found) = &detail.certificate {
        certificate(found, answer);
    }
}

/// When the erasure that is certified ended, Unix seconds.
pub(super) fn ended_at(certificate: &Certificate) -> Option<i64> {
    Some(serde_json::from_str::<Erasure>(&certificate.statement).ok()?.ended_at)
}

/// A certificate as text; its signature is checked by whoever relies on it.
pub(super) fn certificate(certificate: &Certificate, answer: &mut Answer) {
    answer.field("certificate", json!(certificate));
    let Ok(erasure) = serde_json::from_str::<Erasure>(&certificate.statement) else { return };
    let title = if erasure.complete { "CERTIFICATE OF ERASURE" } else { "RECORD OF AN ERASURE THAT IS NOT COMPLETE" };
    let who = erasure.asked_by.as_deref().unwrap_or("not named");
    answer.line(title);
    for (what, value) in [
        ("disk", format!("{}, serial number {}", text::shown(erasure.model.as_bytes()), erasure.serial)),
        ("world wide name", erasure.wwn.unwrap_or_else(|| "none".into())),
        ("size", format!("{} bytes", erasure.size_bytes)),
        ("method", erasure.technique),
        ("level", format!("{} (NIST SP 800-88 Rev. 1)", erasure.level)),
        ("read back", format!("{} bytes", erasure.verified_bytes)),
        ("not erased", format!("{} bytes", erasure.failed_bytes)),
        ("began", text::time(erasure.began_at) + " (UTC)"),
        ("ended", text::time(erasure.ended_at) + " (UTC)"),
        ("asked by", text::shown(who.as_bytes())),
        ("box", text::shown(erasure.box_name.as_bytes())),
        ("key", certificate.public_key.clone()),
        ("signature", certificate.signature.clone()),
    ] {
        answer.line(format_args!("  {what}: {value}"));
    }
    answer.line(erasure.meaning);
}

/// The box itself.
pub(super) fn vitals(vitals: &Vitals, answer: &mut Answer) {
    answer.field("vitals", json!(vitals));
    let (days, hours) = (vitals.uptime_seconds / 86_400, vitals.uptime_seconds % 86_400 / 3600);
    answer.line(format_args!("running for {days} d {hours} h"));
    let [one, five, fifteen] = vitals.load;
    answer.line(format_args!("load {one:.2} {five:.2} {fifteen:.2} on {}", text::count(vitals.cpus as u64, "processor")));
    let (free, total) = (text::size(vitals.memory_available_bytes), text::size(vitals.memory_total_bytes));
    answer.line(format_args!("memory: {free} of {total} available"));
    vitals.temperatures.iter().for_each(|sensor| answer.line(format_args!("{}: {:.0} °C", sensor.sensor, sensor.celsius)));
    vitals.fans.iter().for_each(|fan| answer.line(format_args!("{}: {} turns a minute", fan.sensor, fan.rpm)));
    for system in &vitals.file_systems {
        let (free, total) = (text::size(system.available_bytes), text::size(system.total_bytes));
        answer.line(format_args!("{} ({}): {free} of {total} available", system.at, system.kind));
    }
}
