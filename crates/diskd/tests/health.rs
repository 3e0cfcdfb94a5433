//! Fixtures of every kind of disk through the parser and the judgement. They are our own, after smartctl's schema.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use keepwell_api::disks::{Health, Verdict};
use keepwell_diskd::smart::{Counter, Dated, Kind, Reading, ReadingError, SelfTestState, assess};

const DAY: i64 = 86_400;
const NOW: i64 = 1_795_341_600;

fn read(name: &str) -> Reading {
    let path = format!("{}/tests/smart/{name}.json", env!("CARGO_MANIFEST_DIR"));
    Reading::parse(&std::fs::read(path).unwrap()).unwrap()
}

fn codes(health: &Health) -> Vec<(&str, Verdict)> {
    health.reasons.iter().map(|reason| (reason.code.as_str(), reason.weight)).collect()
}

fn judged(reading: Reading, history: &[(i64, Reading)]) -> Health {
    let history: Vec<_> = history.iter().map(|(days, reading)| Dated { at: NOW - days * DAY, reading: reading.clone() }).collect();
    assess(&Dated { at: NOW, reading }, &history)
}

fn with(counter: Counter, value: u64) -> Reading {
    let mut reading = read("sata-hdd-healthy");
    reading.counters.insert(counter, value);
    reading
}

#[test]
fn healthy_disks_of_every_kind() {
    for (name, kind, hours) in [
        ("sata-hdd-healthy", Kind::SataHdd, 9120),
        ("sata-ssd-healthy", Kind::SataSsd, 15201),
        ("nvme-healthy", Kind::Nvme, 12011),
        ("sas-healthy", Kind::SasHdd, 20111),
        ("usb-bridge-healthy", Kind::SataHdd, 9120),
    ] {
        let reading = read(name);
        assert_eq!((reading.kind, reading.power_on_hours, reading.passed), (kind, Some(hours), Some(true)), "{name}");
        assert!(reading.serial.is_some() && reading.model.is_some() && reading.temperature.is_some(), "{name}");
        assert_eq!(reading.self_test, Some(SelfTestState::Passed), "{name}");
        let health = judged(reading, &[]);
        assert_eq!((health.verdict, codes(&health)), (Verdict::Healthy, vec![]), "{name}");
    }
}

#[test]
fn failing_disks_of_every_kind() {
    use Verdict::{Failing, Suspect};
    for (name, verdict, expected) in [
        (
            "sata-hdd-failing",
            Failing,
            vec!["says-failing", "self-test-failed", "reallocated", "uncorrected", "pending", "offline-uncorrectable"],
        ),
        ("sata-ssd-failing", Suspect, vec!["reallocated", "uncorrected"]),
        (
            "nvme-failing",
            Failing,
            vec!["says-failing", "self-test-failed", "nvme-spare", "nvme-unreliable", "nvme-read-only", "uncorrected", "worn-out"],
        ),
        ("sas-failing", Failing, vec!["says-failing", "self-test-failed", "reallocated", "uncorrected"]),
        ("usb-bridge-failing", Suspect, vec!["pending", "offline-uncorrectable", "heat"]),
    ] {
        // In two polls: what can't be read at the moment counts when it lasts.
        let health = judged(read(name), &[(1, read(name))]);
        assert_eq!(health.verdict, verdict, "{name}: {health:?}");
        let bad: Vec<_> = codes(&health).into_iter().filter(|(_, weight)| *weight >= Suspect).map(|(code, _)| code).collect();
        assert_eq!(bad, expected, "{name}");
    }
}

#[test]
fn what_makers_pack_into_one_value_is_taken_apart() {
    let failing = read("sata-hdd-failing");
    assert_eq!(failing.counters[&Counter::CommandTimeout], 1);
    assert_eq!(failing.counters[&Counter::Reallocated], 1840);
    assert_eq!(read("sas-failing").counters[&Counter::Uncorrected], 17);
    let nvme = read("nvme-failing");
    assert_eq!((nvme.spare_percent, nvme.wear_percent, nvme.counters[&Counter::Uncorrected]), (Some((4, 10)), Some(131), 877));
}

#[test]
fn wear_of_flash_is_found_wherever_it_is_said() {
    assert_eq!(read("sata-ssd-healthy").wear_percent, Some(3), "device statistics");
    assert_eq!(read("sata-ssd-failing").wear_percent, Some(99), "the maker's attribute");
    assert_eq!(read("sata-hdd-healthy").wear_percent, None);
}

#[test]
fn self_tests_that_run_or_were_cut_short() {
    assert_eq!(read("sata-hdd-testing").self_test, Some(SelfTestState::Running(90)));
    assert_eq!(read("nvme-testing").self_test, Some(SelfTestState::Running(70)));
    assert_eq!(judged(read("nvme-testing"), &[]).self_test_remaining_percent, Some(70));
}

#[test]
fn answers_without_data_say_why() {
    let path = format!("{}/tests/smart/usb-bridge-unknown.json", env!("CARGO_MANIFEST_DIR"));
    let error = Reading::parse(&std::fs::read(path).unwrap()).unwrap_err();
    assert!(matches!(&error, ReadingError::Refused(said) if said.contains("Unknown USB bridge")), "{error}");
    assert!(matches!(Reading::parse(b"{}"), Err(ReadingError::None)));
    assert!(matches!(Reading::parse(b"smartctl 7.3"), Err(ReadingError::Syntax(_))));
    let wrong = br#"{"smart_status":{"passed":"yes"}}"#;
    assert!(matches!(Reading::parse(wrong), Err(ReadingError::Syntax(_))), "a field that is used has its type");
}

#[test]
fn the_exit_status_alone_condemns() {
    let reading = Reading::parse(br#"{"smartctl":{"exit_status":8},"smart_status":{}}"#).unwrap();
    assert_eq!(judged(reading, &[]).verdict, Verdict::Failing);
}

#[test]
fn what_rises_is_worse_than_what_stands() {
    let standing = with(Counter::Reallocated, 40);
    let rested: Vec<_> = [40, 20, 5].map(|days| (days, standing.clone())).into();
    assert_eq!(judged(standing.clone(), &rested).verdict, Verdict::Healthy);
    let grown: Vec<_> = [(40, with(Counter::Reallocated, 38)), (9, standing.clone())].into();
    let health = judged(with(Counter::Reallocated, 40), &grown);
    assert_eq!(health.verdict, Verdict::Suspect);
    assert!(health.reasons[0].text.contains("2 of them within 30 days"), "{}", health.reasons[0].text);
    assert_eq!(judged(standing, &[]).verdict, Verdict::Suspect, "of an unknown past the worse is assumed");
}

#[test]
fn a_single_pending_sector_is_enough_when_it_lasts() {
    let one = with(Counter::Pending, 1);
    assert_eq!(judged(one.clone(), &[(1, with(Counter::Pending, 0))]).verdict, Verdict::Healthy, "told, and asked again");
    assert_eq!(judged(one.clone(), &[(1, one)]).verdict, Verdict::Suspect);
    assert_eq!(judged(with(Counter::Pending, 0), &[(1, with(Counter::Pending, 8))]).verdict, Verdict::Healthy, "replaced since");
}

#[test]
fn fast_damage_in_several_ways_is_failing() {
    let mut now = with(Counter::Pending, 80);
    now.counters.insert(Counter::OfflineUncorrectable, 9);
    assert_eq!(judged(now.clone(), &[(3, read("sata-hdd-healthy"))]).verdict, Verdict::Failing);
    assert_eq!(judged(now.clone(), &[(6, now)]).verdict, Verdict::Suspect, "it stands");
}

#[test]
fn cables_and_power_are_not_held_against_the_disk() {
    let health = judged(with(Counter::Cable, 900), &[(3, with(Counter::Cable, 10))]);
    assert_eq!((health.verdict, codes(&health)), (Verdict::Healthy, vec![("cable", Verdict::Healthy)]));
    assert_eq!(judged(with(Counter::CommandTimeout, 3), &[(3, with(Counter::CommandTimeout, 0))]).verdict, Verdict::Healthy);
    assert_eq!(judged(with(Counter::CommandTimeout, 30), &[(3, with(Counter::CommandTimeout, 0))]).verdict, Verdict::Suspect);
}

#[test]
fn heat_counts_when_it_lasts() {
    let hot = Reading { temperature: Some(63), ..read("sata-hdd-healthy") };
    assert_eq!(judged(hot.clone(), &[(1, read("sata-hdd-healthy"))]).verdict, Verdict::Healthy);
    assert_eq!(judged(hot.clone(), &[(1, hot)]).verdict, Verdict::Suspect);
}

#[test]
fn a_spare_below_its_threshold_is_told_once() {
    let low = Reading { spare_percent: Some((4, 10)), ..read("nvme-healthy") };
    assert_eq!(codes(&judged(low, &[])), [("spare-below-threshold", Verdict::Failing)]);
    let both = Reading { spare_percent: Some((4, 10)), critical_warning: 1, ..read("nvme-healthy") };
    assert_eq!(codes(&judged(both, &[])), [("nvme-spare", Verdict::Failing)]);
}

#[test]
fn a_disk_is_emptied_for_damage_that_grows_and_for_nothing_else() {
    let drains = |health: &Health| health.reasons.iter().any(|reason| reason.weight == Verdict::Suspect && reason.damage);
    let hot = Reading { temperature: Some(63), ..read("sata-hdd-healthy") };
    let below = Reading { below_threshold: vec![7], ..read("sata-hdd-healthy") };
    let worn = Reading { wear_percent: Some(120), ..read("nvme-healthy") };
    let unpowered = Reading { critical_warning: 1 << 4, ..read("nvme-healthy") };
    for told in
        [hot, below, worn, unpowered, with(Counter::Uncorrected, 5), with(Counter::OfflineUncorrectable, 5), with(Counter::Reallocated, 40)]
    {
        let health = judged(told.clone(), &[(1, told)]);
        assert_eq!((health.verdict, drains(&health)), (Verdict::Suspect, false), "{health:?}");
    }
    for counter in [Counter::Pending, Counter::Uncorrected, Counter::OfflineUncorrectable, Counter::Reallocated] {
        let health = judged(with(counter, 5), &[(2, with(counter, 1))]);
        assert!(health.verdict == Verdict::Suspect && drains(&health), "{health:?}");
    }
    assert!(drains(&judged(with(Counter::Reallocated, 1840), &[])));
}

/// A SATA disk with one attribute.
fn attribute(id: u8, name: &str, raw: (u64, &str), failed: &str, prefailure: bool) -> Reading {
    let (value, text) = raw;
    let row = format!(
        r#"{{"id":{id},"name":"{name}","when_failed":"{failed}","flags":{{"prefailure":{prefailure}}},"raw":{{"value":{value},"string":"{text}"}}}}"#
    );
    let report = format!(r#"{{"smart_status":{{"passed":true}},"ata_smart_attributes":{{"table":[{row}]}}}}"#);
    Reading::parse(report.as_bytes()).unwrap()
}

#[test]
fn what_makers_mean_otherwise_is_not_believed() {
    let bogus = attribute(197, "Bogus_Current_Pend_Sect", (1, "1"), "", false);
    assert!(!bogus.counters.contains_key(&Counter::Pending));
    let packed = attribute(188, "Command_Timeout", (3 << 32 | 2 << 16 | 1, "3 2 1"), "", false);
    assert_eq!(packed.counters[&Counter::CommandTimeout], 1);
    assert_eq!(attribute(190, "Airflow_Temperature_Cel", (55, "55"), "now", false).below_threshold, [0; 0]);
    assert_eq!(attribute(7, "Seek_Error_Rate", (55, "55"), "now", true).below_threshold, [7]);
}
