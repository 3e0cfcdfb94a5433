//! One poll of a disk in terms that all kinds of disks share. Pure: what makers and buses do differently ends here. Never judges.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::report::{AtaAttribute, AtaTestStatus, NvmeSelfTestLog, Report};

/// What a disk is made of and how it talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// SATA with platters.
    SataHdd,
    /// SATA without.
    SataSsd,
    /// NVMe.
    Nvme,
    /// SAS with platters.
    SasHdd,
    /// SAS without.
    SasSsd,
    /// smartctl could not say.
    Unknown,
}

impl Kind {
    /// Whether it turns.
    pub fn turns(self) -> bool {
        matches!(self, Self::SataHdd | Self::SasHdd)
    }
}

/// A counter of damage. Names are those of the history and the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counter {
    /// Sectors replaced by spare ones (SATA 5, SAS grown defects).
    Reallocated,
    /// Errors that the disk could not correct (SATA 187, SAS uncorrected errors, NVMe media errors).
    Uncorrected,
    /// Commands that took too long (SATA 188).
    CommandTimeout,
    /// Sectors that can't be read and wait to be replaced (SATA 197).
    Pending,
    /// Sectors that could not be read when the disk checked itself (SATA 198).
    OfflineUncorrectable,
    /// Transfers that were damaged on the cable (SATA 199).
    Cable,
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Reallocated, Self::Uncorrected, Self::CommandTimeout, Self::Pending, Self::OfflineUncorrectable, Self::Cable];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reallocated => "reallocated",
            Self::Uncorrected => "uncorrected",
            Self::CommandTimeout => "command-timeout",
            Self::Pending => "pending",
            Self::OfflineUncorrectable => "offline-uncorrectable",
            Self::Cable => "cable",
        }
    }

    fn of_attribute(id: u8) -> Option<Self> {
        Some(match id {
            5 => Self::Reallocated,
            187 => Self::Uncorrected,
            188 => Self::CommandTimeout,
            197 => Self::Pending,
            198 => Self::OfflineUncorrectable,
            199 => Self::Cable,
            _ => return None,
        })
    }
}

/// How the last self-test ended, or how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelfTestState {
    /// Nothing was found.
    Passed,
    /// Something was found.
    Failed,
    /// It was ended before it could say.
    Aborted,
    /// It runs; so many per cent remain.
    Running(u64),
}

/// One poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The kind of disk.
    pub kind: Kind,
    /// Model as the disk says it.
    pub model: Option<String>,
    /// Serial number as the disk says it, which a USB case may not.
    pub serial: Option<String>,
    /// The disk's own verdict: false when it expects to fail.
    pub passed: Option<bool>,
    /// Damage, by kind; absent where the disk does not count it.
    pub counters: BTreeMap<Counter, u64>,
    /// Numbers of SATA attributes that are below their maker's threshold now.
    pub below_threshold: Vec<u8>,
    /// Degrees Celsius.
    pub temperature: Option<i64>,
    /// Hours it has run.
    pub power_on_hours: Option<u64>,
    /// Used part of the writes that the maker promises, per cent.
    pub wear_percent: Option<u64>,
    /// NVMe: spare blocks left, per cent, and the maker's threshold.
    pub spare_percent: Option<(u64, u64)>,
    /// NVMe critical warning bits.
    pub critical_warning: u8,
    /// The last self-test.
    pub self_test: Option<SelfTestState>,
}

/// Why an answer is no reading.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// It is not what smartctl prints.
    #[error("smartctl's answer can't be understood")]
    Syntax(#[source] serde_json::Error),
    /// smartctl could not ask the disk.
    #[error("the disk can't be asked: {0}")]
    Refused(String),
    /// The disk, or the case it is in, has no health data.
    #[error("the disk, or the case it is in, gives no health data")]
    None,
}

/// Bits of smartctl's exit status (smartctl(8), RETURN VALUES) after which there is no data: wrong call, disk not opened.
const NO_DATA: u8 = 0b11;
/// The disk says that it fails.
const DISK_FAILING: u8 = 0b1000;
const TEXT_MAX: usize = 126;

impl Reading {
    /// Makes sense of smartctl's answer. A status that is not zero may come with data all the same.
    pub fn parse(answer: &[u8]) -> Result<Self, ReadingError> {
        let report = Report::parse(answer).map_err(ReadingError::Syntax)?;
        let status = report.smartctl.exit_status.unwrap_or(0);
        let kind = kind(&report);
        let has_data = report.smart_status.is_some() || report.ata_smart_attributes.is_some() || report.nvme.is_some();
        let has_data = has_data || report.scsi_grown_defect_list.is_some() || report.scsi_error_counter_log.is_some();
        if !has_data {
            let said = report.smartctl.messages.iter().find(|message| message.severity == "error");
            return Err(match said {
                Some(message) => ReadingError::Refused(clean(&message.string).unwrap_or_default()),
                None if status & NO_DATA != 0 => ReadingError::Refused(format!("status {status}")),
                None => ReadingError::None,
            });
        }
        if report.smart_support.as_ref().is_some_and(|support| support.available == Some(false)) {
            return Err(ReadingError::None);
        }
        let failing = (status & DISK_FAILING != 0).then_some(false);
        Ok(Self {
            kind,
            model: report.model_name.as_deref().or(report.scsi_model_name.as_deref()).and_then(clean),
            serial: report.serial_number.as_deref().and_then(clean),
            passed: failing.or(report.smart_status.as_ref().and_then(|status| status.passed)),
            counters: counters(&report),
            below_threshold: below_threshold(&report),
            temperature: temperature(&report),
            power_on_hours: power_on_hours(&report),
            wear_percent: wear(&report, kind),
            spare_percent: spare(&report),
            critical_warning: report.nvme.as_ref().and_then(|nvme| nvme.critical_warning).unwrap_or(0),
            self_test: self_test(&report),
        })
    }
}

fn kind(report: &Report) -> Kind {
    let turns = report.rotation_rate.is_some_and(|rate| rate.0 > 0);
    match report.device.protocol.as_str() {
        "NVMe" => Kind::Nvme,
        "ATA" if turns => Kind::SataHdd,
        // Disks that do not say whether they turn are old, and turn.
        "ATA" => report.rotation_rate.map_or(Kind::SataHdd, |_| Kind::SataSsd),
        "SCSI" if turns => Kind::SasHdd,
        "SCSI" => report.rotation_rate.map_or(Kind::SasHdd, |_| Kind::SasSsd),
        _ => Kind::Unknown,
    }
}

/// Text that a disk wrote, for people: printable, short.
fn clean(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(TEXT_MAX).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn counters(report: &Report) -> BTreeMap<Counter, u64> {
    let mut counters = BTreeMap::new();
    for attribute in attributes(report) {
        // Some makers put numbers there that mean something else, which smartctl's table of models knows (Bogus_Current_Pend_Sect).
        if attribute.name.starts_with("Bogus") {
            continue;
        }
        if let Some(counter) = Counter::of_attribute(attribute.id) {
            counters.insert(counter, raw(attribute));
        }
    }
    if let Some(media) = report.nvme.as_ref().and_then(|nvme| nvme.media_errors) {
        counters.insert(Counter::Uncorrected, media.0);
    }
    if let Some(grown) = report.scsi_grown_defect_list {
        counters.insert(Counter::Reallocated, grown.0);
    }
    if let Some(log) = &report.scsi_error_counter_log {
        let all = [&log.read, &log.write, &log.verify].into_iter().flatten().filter_map(|counted| counted.total_uncorrected_errors);
        if let Some(sum) = all.map(|count| count.0).reduce(u64::saturating_add) {
            counters.insert(Counter::Uncorrected, sum);
        }
    }
    counters
}

fn attributes(report: &Report) -> &[AtaAttribute] {
    // The structure has room for 30.
    report.ata_smart_attributes.as_ref().map_or(&[], |attributes| &attributes.table[..attributes.table.len().min(30)])
}

/// The counter in a raw value. Makers pack several into the 48 bits; smartctl knows which and writes the one that counts first. Where its text does not begin
/// with a number, the lowest 16 bits of a packed value are it.
fn raw(attribute: &AtaAttribute) -> u64 {
    // Three counters of 16 bits, of which smartctl writes the highest first; the lowest counts all timeouts.
    if attribute.id == 188 {
        return attribute.raw.value.0 & 0xffff;
    }
    let first = attribute.raw.string.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    let value: u64 = first.unwrap_or(attribute.raw.value.0);
    if value > u64::from(u32::MAX) { value & 0xffff } else { value }
}

/// Only of attributes by which a maker predicts failure: the others tell of age and heat.
fn below_threshold(report: &Report) -> Vec<u8> {
    let predicts = |attribute: &&AtaAttribute| attribute.flags.as_ref().is_some_and(|flags| flags.prefailure == Some(true));
    attributes(report).iter().filter(predicts).filter(|attribute| attribute.when_failed == "now").map(|attribute| attribute.id).collect()
}

fn temperature(report: &Report) -> Option<i64> {
    let celsius = report.temperature.as_ref().and_then(|temperature| temperature.current);
    // A sensor that says more is broken.
    celsius.or(report.nvme.as_ref().and_then(|nvme| nvme.temperature)).filter(|celsius| (-40..=150).contains(celsius))
}

fn power_on_hours(report: &Report) -> Option<u64> {
    let hours = report.power_on_time.as_ref().and_then(|time| time.hours);
    hours.or(report.nvme.as_ref().and_then(|nvme| nvme.power_on_hours)).map(|hours| hours.0)
}

/// Per cent used: as smartctl derives it, else from the device statistics (ACS-3, page 7, offset 8), else from the attribute that makers of flash use for it.
fn wear(report: &Report, kind: Kind) -> Option<u64> {
    let direct = report.endurance_used.as_ref().and_then(|used| used.current_percent);
    let direct = direct.or(report.nvme.as_ref().and_then(|nvme| nvme.percentage_used)).or(report.scsi_percentage_used_endurance_indicator);
    if let Some(used) = direct {
        return Some(used.0.min(255));
    }
    if kind != Kind::SataSsd {
        return None;
    }
    let pages = report.ata_device_statistics.as_ref().map_or(&[][..], |statistics| &statistics.pages);
    let page = pages.iter().filter(|page| page.number == 7).flat_map(|page| &page.table);
    let mut valid = page.filter(|entry| entry.offset == 8 && entry.flags.as_ref().is_none_or(|flags| flags.valid != Some(false)));
    if let Some(used) = valid.find_map(|entry| entry.value).and_then(|value| u64::try_from(value).ok()) {
        return Some(used.min(255));
    }
    const NAMES: [&str; 6] = ["wear_leveling", "life_left", "lifetime_remain", "wearout_indicator", "remaining_lifetime", "life_remaining"];
    let named = |attribute: &&AtaAttribute| NAMES.iter().any(|name| attribute.name.to_ascii_lowercase().contains(name));
    let left = attributes(report).iter().find(named)?.value?;
    Some(100u64.saturating_sub(left.into()))
}

fn spare(report: &Report) -> Option<(u64, u64)> {
    let nvme = report.nvme.as_ref()?;
    Some((nvme.available_spare?.0, nvme.available_spare_threshold?.0))
}

fn self_test(report: &Report) -> Option<SelfTestState> {
    if let Some(log) = &report.nvme_self_test_log {
        return nvme_self_test(log);
    }
    if let Some(result) = report.scsi_self_test.as_ref().and_then(|test| test.result.as_ref()) {
        return scsi_self_test(result.value);
    }
    let running = report.ata_smart_data.as_ref().and_then(|data| data.self_test.as_ref()).and_then(|test| test.status.as_ref());
    if let Some(state @ SelfTestState::Running(_)) = running.and_then(ata_self_test) {
        return Some(state);
    }
    let log = report.ata_smart_self_test_log.as_ref();
    let tests = log.and_then(|log| log.extended.as_ref().or(log.standard.as_ref())).map_or(&[][..], |tests| &tests.table);
    // The newest is first. One that was cut short says nothing, so the one before it counts.
    let states: Vec<_> = tests.iter().take(21).filter_map(|test| test.status.as_ref().and_then(ata_self_test)).collect();
    states.iter().find(|state| **state != SelfTestState::Aborted).or(states.first()).copied().or(running.and_then(ata_self_test))
}

/// ATA8-ACS, table "self-test execution status byte".
fn ata_self_test(status: &AtaTestStatus) -> Option<SelfTestState> {
    match (status.value.map(|value| value >> 4), status.passed) {
        (Some(0xf), _) => Some(SelfTestState::Running(status.remaining_percent.map_or(100, |left| left.0.min(100)))),
        (Some(1 | 2), _) => Some(SelfTestState::Aborted),
        (Some(3..=8), _) | (None, Some(false)) => Some(SelfTestState::Failed),
        (Some(0), _) | (None, Some(true)) => Some(SelfTestState::Passed),
        _ => None,
    }
}

/// NVMe base specification, device self-test log (06h): result in the low four bits; 0 passed, 5 to 7 failed, others were cut short, 15 is an empty entry.
fn nvme_self_test(log: &NvmeSelfTestLog) -> Option<SelfTestState> {
    if log.current_self_test_operation.as_ref().is_some_and(|operation| operation.value != 0) {
        let done = log.current_self_test_completion_percent.map_or(0, |done| done.0.min(100));
        return Some(SelfTestState::Running(100 - done));
    }
    let state = |value: u8| match value & 0xf {
        0 => Some(SelfTestState::Passed),
        5..=7 => Some(SelfTestState::Failed),
        0xf => None,
        _ => Some(SelfTestState::Aborted),
    };
    let states: Vec<_> = log.table.iter().take(20).filter_map(|test| test.self_test_result.as_ref().and_then(|r| state(r.value))).collect();
    states.iter().find(|state| **state != SelfTestState::Aborted).or(states.first()).copied()
}

/// SPC-4, self-test results log: 0 passed, 1 and 2 were ended by somebody, 3 to 7 failed, 15 runs.
fn scsi_self_test(result: u8) -> Option<SelfTestState> {
    match result & 0xf {
        0 => Some(SelfTestState::Passed),
        1 | 2 => Some(SelfTestState::Aborted),
        3..=7 => Some(SelfTestState::Failed),
        0xf => Some(SelfTestState::Running(100)),
        _ => None,
    }
}
