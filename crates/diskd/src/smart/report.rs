//! What `smartctl --json=c -x` prints, as far as it is used (smartctl(8), JSON output, schema 1.0). Unknown fields are passed over, fields that are used
//! have their type or nothing is believed. The disk wrote much of it: lengths and numbers are hostile. Never judges.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

/// Longest answer that is parsed; 1,000 times what a disk with full logs gives.
pub const ANSWER_MAX: usize = 4 << 20;

/// A counter. What is greater than 64 bits hold is their greatest number; a fraction or a negative number is no counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Count(pub(super) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Count;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a counter")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Count, E> {
                Ok(Count(value))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Count, E> {
                // Counters of NVMe have 128 bits.
                if value >= u64::MAX as f64 { Ok(Count(u64::MAX)) } else { Err(E::custom("no counter")) }
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// The answer.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    #[serde(default)]
    pub(super) smartctl: Smartctl,
    #[serde(default)]
    pub(super) device: Device,
    pub(super) model_name: Option<String>,
    pub(super) scsi_model_name: Option<String>,
    pub(super) serial_number: Option<String>,
    pub(super) rotation_rate: Option<Count>,
    pub(super) smart_support: Option<Support>,
    pub(super) smart_status: Option<Status>,
    pub(super) temperature: Option<Temperature>,
    pub(super) power_on_time: Option<PowerOn>,
    pub(super) endurance_used: Option<Endurance>,
    pub(super) ata_smart_data: Option<AtaData>,
    pub(super) ata_smart_attributes: Option<AtaAttributes>,
    pub(super) ata_smart_self_test_log: Option<AtaSelfTestLog>,
    pub(super) ata_device_statistics: Option<AtaStatistics>,
    #[serde(rename = "nvme_smart_health_information_log")]
    pub(super) nvme: Option<NvmeHealth>,
    pub(super) nvme_self_test_log: Option<NvmeSelfTestLog>,
    pub(super) scsi_grown_defect_list: Option<Count>,
    pub(super) scsi_error_counter_log: Option<ScsiErrors>,
    pub(super) scsi_percentage_used_endurance_indicator: Option<Count>,
    #[serde(rename = "scsi_self_test_0")]
    pub(super) scsi_self_test: Option<ScsiSelfTest>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Smartctl {
    pub(super) exit_status: Option<u8>,
    #[serde(default)]
    pub(super) messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) string: String,
    #[serde(default)]
    pub(super) severity: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Device {
    #[serde(default)]
    pub(super) protocol: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Support {
    pub(super) available: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) passed: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Temperature {
    pub(super) current: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PowerOn {
    pub(super) hours: Option<Count>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Endurance {
    pub(super) current_percent: Option<Count>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaData {
    pub(super) self_test: Option<AtaSelfTest>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaSelfTest {
    pub(super) status: Option<AtaTestStatus>,
}

/// ATA8-ACS, self-test execution status: the upper four bits say how, the lower how many tenths remain.
#[derive(Debug, Deserialize)]
pub(super) struct AtaTestStatus {
    pub(super) value: Option<u8>,
    pub(super) passed: Option<bool>,
    pub(super) remaining_percent: Option<Count>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaAttributes {
    #[serde(default)]
    pub(super) table: Vec<AtaAttribute>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaAttribute {
    pub(super) id: u8,
    #[serde(default)]
    pub(super) name: String,
    pub(super) value: Option<u8>,
    #[serde(default)]
    pub(super) when_failed: String,
    pub(super) flags: Option<AttributeFlags>,
    pub(super) raw: AtaRaw,
}

#[derive(Debug, Deserialize)]
pub(super) struct AttributeFlags {
    pub(super) prefailure: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaRaw {
    pub(super) value: Count,
    #[serde(default)]
    pub(super) string: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaSelfTestLog {
    pub(super) extended: Option<AtaTests>,
    pub(super) standard: Option<AtaTests>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaTests {
    #[serde(default)]
    pub(super) table: Vec<AtaTest>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaTest {
    pub(super) status: Option<AtaTestStatus>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaStatistics {
    #[serde(default)]
    pub(super) pages: Vec<AtaPage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaPage {
    pub(super) number: u64,
    #[serde(default)]
    pub(super) table: Vec<AtaStatistic>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaStatistic {
    pub(super) offset: u64,
    pub(super) value: Option<i64>,
    pub(super) flags: Option<AtaFlags>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AtaFlags {
    pub(super) valid: Option<bool>,
}

/// NVMe base specification, SMART / Health Information log (02h).
#[derive(Debug, Deserialize)]
pub(super) struct NvmeHealth {
    pub(super) critical_warning: Option<u8>,
    pub(super) temperature: Option<i64>,
    pub(super) available_spare: Option<Count>,
    pub(super) available_spare_threshold: Option<Count>,
    pub(super) percentage_used: Option<Count>,
    pub(super) power_on_hours: Option<Count>,
    pub(super) media_errors: Option<Count>,
}

#[derive(Debug, Deserialize)]
pub(super) struct NvmeSelfTestLog {
    pub(super) current_self_test_operation: Option<Value8>,
    pub(super) current_self_test_completion_percent: Option<Count>,
    #[serde(default)]
    pub(super) table: Vec<NvmeTest>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Value8 {
    pub(super) value: u8,
}

#[derive(Debug, Deserialize)]
pub(super) struct NvmeTest {
    pub(super) self_test_result: Option<Value8>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScsiErrors {
    pub(super) read: Option<ScsiCounters>,
    pub(super) write: Option<ScsiCounters>,
    pub(super) verify: Option<ScsiCounters>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScsiCounters {
    pub(super) total_uncorrected_errors: Option<Count>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScsiSelfTest {
    pub(super) result: Option<Value8>,
}

impl Report {
    /// Parses an answer.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        if bytes.len() > ANSWER_MAX {
            return Err(de::Error::custom("longer than any disk's answer"));
        }
        serde_json::from_slice(bytes)
    }
}
