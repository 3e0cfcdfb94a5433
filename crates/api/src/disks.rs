//! What diskd is asked and what it answers. Shapes only: what a disk may be used for, diskd decides.

mod standing;
mod take_over;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use standing::Standing;
pub use take_over::{TakeOver, TakenOver};

/// Where diskd listens.
pub const SOCKET: &str = "/run/keepwell/diskd.sock";

/// A disk's serial number as it says it itself, without blanks around it: what a person reads on the sticker and types.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial(String);

impl Serial {
    /// Longest serial number.
    pub const MAX: usize = 126;

    /// A serial number: 1 to 126 printable ASCII characters but `/`, once the blanks around them are gone.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let good = !text.is_empty() && text.len() <= Self::MAX && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'/');
        good.then(|| Self(text.to_owned()))
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The serial number as a part of a route: what RFC 3986 does not let stand as it is, is escaped.
    pub fn in_route(&self) -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        self.0.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Serial {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("no serial number of a disk")
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.0
    }
}

/// How a disk is connected.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bus {
    /// SATA.
    Sata,
    /// SAS or another SCSI transport.
    Sas,
    /// NVMe.
    Nvme,
    /// In a case with a USB plug.
    Usb,
    /// SD card or eMMC.
    Mmc,
    /// Given by a hypervisor.
    Virtual,
    /// A file in place of a disk, for tests.
    Loop,
    /// Anything else.
    Other,
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sata => "SATA",
            Self::Sas => "SAS",
            Self::Nvme => "NVMe",
            Self::Usb => "USB",
            Self::Mmc => "MMC",
            Self::Virtual => "virtual",
            Self::Loop => "file",
            Self::Other => "other",
        })
    }
}

/// What is thought of a disk's health. Ordered: the worst is the greatest.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The disk was asked and nothing speaks against it.
    Healthy,
    /// Nothing is known: it was not asked yet, does not answer, or its case does not let health data through.
    Unknown,
    /// It still works, and it should be emptied and replaced before it does not.
    Suspect,
    /// It fails, or says so itself. Replace it now.
    Failing,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Suspect => "suspect",
            Self::Failing => "failing",
        })
    }
}

/// One thing that was noticed, in words for the person who runs the practice's office.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The verdict that this alone gives; `healthy` for what is only worth knowing.
    pub weight: Verdict,
    /// A stable word for programs, such as `pending-sectors`.
    pub code: String,
    /// What it means.
    pub text: String,
    /// Whether it is damage that grows, for which a disk is emptied without being asked; heat, silence and old damage are only told.
    #[serde(default)]
    pub damage: bool,
}

/// A disk's health as of its last poll.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The worst of the reasons.
    pub verdict: Verdict,
    /// Why, worst first.
    pub reasons: Vec<Reason>,
    /// When the disk was last asked, Unix seconds.
    pub polled_at: Option<i64>,
    /// Degrees Celsius.
    pub temperature_celsius: Option<i64>,
    /// Hours it has run.
    pub power_on_hours: Option<u64>,
    /// Used part of what the maker promises can be written, per cent; more than 100 is possible.
    pub wear_percent: Option<u64>,
    /// A self-test that runs: per cent that remain.
    pub self_test_remaining_percent: Option<u64>,
}

impl Health {
    /// What is known of a disk that was not asked yet.
    pub fn unknown(code: &str, text: impl Into<String>) -> Self {
        let reasons = vec![Reason { weight: Verdict::Unknown, code: code.to_owned(), text: text.into(), damage: false }];
        let (polled_at, temperature_celsius, power_on_hours, wear_percent) = (None, None, None, None);
        let self_test_remaining_percent = None;
        Self {
            verdict: Verdict::Unknown,
            reasons,
            polled_at,
            temperature_celsius,
            power_on_hours,
            wear_percent,
            self_test_remaining_percent,
        }
    }
}

/// Work on a disk that takes its time.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// `erase` or `prepare`.
    pub what: String,
    /// When it began, Unix seconds.
    pub began_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Bytes of the disk that are behind it.
    pub done_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Why it failed.
    pub error: Option<String>,
}

/// A disk.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its serial number.
    pub serial: Serial,
    /// The kernel's name for it at the moment, such as `sda`; empty when it is absent.
    pub device: String,
    /// World wide name, where it has one.
    pub wwn: Option<String>,
    /// Number of its bay, where the case says so (SES).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bay: Option<u16>,
    /// Maker and model.
    pub model: String,
    /// How it is connected.
    pub bus: Bus,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Whether it turns.
    pub rotational: bool,
    /// Whether it is meant to be taken out.
    pub removable: bool,
    /// What is worth knowing of the model, such as shingled recording.
    pub notes: Vec<String>,
    /// What it is to this box.
    pub standing: Standing,
    /// Its health.
    pub health: Health,
    /// What is being done with it, or was done last.
    pub job: Option<Job>,
    /// When this box first saw it, Unix seconds.
    pub first_seen: i64,
    /// When this box last saw it.
    pub last_seen: i64,
}

/// `GET /v1/disks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disks {
    /// By serial number.
    pub disks: Vec<Disk>,
    /// Disks that can't be told apart, or not be named at all, and why.
    pub unnamed: Vec<String>,
}

/// What one poll saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// When, Unix seconds.
    pub at: i64,
    /// What was thought of the disk then.
    pub verdict: Verdict,
    /// Degrees Celsius.
    pub temperature_celsius: Option<i64>,
    /// Counters of damage by name, such as `pending`.
    pub counters: std::collections::BTreeMap<String, u64>,
}

/// `GET /v1/disks/{serial}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskDetail {
    /// The disk.
    pub disk: Disk,
    /// Polls, oldest first; old ones are thinned to one a day.
    pub polls: Vec<Poll>,
    /// When the last short self-test began, Unix seconds.
    pub short_test_at: Option<i64>,
    /// When the last long self-test began.
    pub long_test_at: Option<i64>,
    /// The certificate of the last erasure.
    pub certificate: Option<Certificate>,
}

/// What a dangerous request carries: the serial number as a person typed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// It has to be the disk's.
    #[serde(default)]
    pub typed_serial: Option<String>,
    /// The pool's side says that no data is lost with the disk: it is in no pool, or was retired from it.
    #[serde(default)]
    pub retired: bool,
    /// For the record: the person who asked.
    #[serde(default)]
    pub asked_by: Option<String>,
}

/// `POST /v1/disks/{serial}/mount` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounted {
    /// The disk's id.
    pub disk: String,
    /// Where its file system is.
    pub at: String,
}

/// A self-test.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelfTestKind {
    /// Minutes.
    Short,
    /// Hours: reads the whole surface.
    Long,
}

/// `POST /v1/disks/{serial}/self-test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Which.
    pub kind: SelfTestKind,
}

/// `POST /v1/disks/{serial}/locate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locate {
    /// How long the light blinks.
    pub seconds: u64,
}

/// A signed statement: exact text, so that no re-ordering of fields breaks the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// JSON text of an [`Erasure`].
    pub statement: String,
    /// The box's key: SEC1, uncompressed, hexadecimal.
    pub public_key: String,
    /// ECDSA P-256 with SHA-256 over the statement's bytes: r and s, hexadecimal.
    pub signature: String,
}

/// What an erasure did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// `keepwell erasure v1`: no other statement of a box begins so.
    pub kind: String,
    /// The disk's serial number.
    pub serial: Serial,
    /// Its world wide name.
    pub wwn: Option<String>,
    /// Its model.
    pub model: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Level of NIST SP 800-88 Rev. 1 that was reached: `Clear`, or `none`.
    pub level: String,
    /// What was done.
    pub technique: String,
    /// What that means for what was on it.
    pub meaning: String,
    /// Bytes read back, all of which were zero if it succeeded.
    pub verified_bytes: u64,
    /// Bytes that could not be overwritten.
    pub failed_bytes: u64,
    /// Whether nothing is left that can be read through the disk's interface.
    pub complete: bool,
    /// When it began, Unix seconds.
    pub began_at: i64,
    /// When it ended.
    pub ended_at: i64,
    /// The person who asked, as the calling program named them.
    pub asked_by: Option<String>,
    /// User of the calling program.
    pub asked_by_uid: Option<u32>,
    /// The box.
    pub box_name: String,
}

/// `GET /v1/vitals`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// Average number of runnable tasks over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Processors.
    pub cpus: usize,
    /// Main memory, bytes.
    pub memory_total_bytes: u64,
    /// Of it, what programs can still have.
    pub memory_available_bytes: u64,
    /// Sensors and what they say in degrees Celsius.
    pub temperatures: Vec<Temperature>,
    /// Fans and their turns a minute.
    pub fans: Vec<Fan>,
    /// The box's own file systems.
    pub file_systems: Vec<FileSystem>,
}

/// One sensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// Its name.
    pub sensor: String,
    /// Degrees Celsius.
    pub celsius: f32,
    /// Where the maker says that it becomes critical.
    pub critical_celsius: Option<f32>,
}

/// One fan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fan {
    /// Its name.
    pub sensor: String,
    /// Turns a minute.
    pub rpm: u64,
}

/// One file system of the box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    /// Where it is mounted.
    pub at: String,
    /// Its kind.
    pub kind: String,
    /// Bytes.
    pub total_bytes: u64,
    /// Bytes that can still be written.
    pub available_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_what_a_sticker_can_show() {
        assert_eq!(Serial::parse("  WD-WX 1 ").unwrap().as_str(), "WD-WX 1");
        for bad in ["", "  ", "a/b", "a\nb", "ä", &"x".repeat(127)] {
            assert!(Serial::parse(bad).is_none(), "{bad:?}");
        }
        assert!(serde_json::from_str::<Serial>("\"a/b\"").is_err());
        assert_eq!(Serial::parse("A b%c").unwrap().in_route(), "A%20b%25c");
    }

    #[test]
    fn the_worst_verdict_is_the_greatest() {
        let mut verdicts = [Verdict::Failing, Verdict::Healthy, Verdict::Suspect, Verdict::Unknown];
        verdicts.sort();
        assert_eq!(verdicts, [Verdict::Healthy, Verdict::Unknown, Verdict::Suspect, Verdict::Failing]);
    }
}
