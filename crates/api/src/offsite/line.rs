//! What copies may take of the practice's line, as people set it and as replicad is told.

use serde::{Deserialize, Serialize};

/// What copies may take of the practice's line: vaultd's `POST /v1/offsite/line`, verb `offsite-change`, and part of what `GET /v1/offsite` says.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = offsite::Line))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Whether they leave it to whoever else needs it: as soon as packets wait in it, less is sent.
    pub courteous: bool,
    /// Hours in which there is a limit, at most [`LINE_HOURS_MAX`]. Where several hold at a time, the lowest; where none does, the whole line.
    pub hours: Vec<LineHours>,
    /// IANA name of the time zone of these hours, such as `Europe/Berlin`.
    pub tz: String,
}

/// Most hours with a limit.
pub const LINE_HOURS_MAX: usize = 16;
/// The lowest limit, kbit/s: with less, a backup would never end.
pub const LINE_KBIT_MIN: u32 = 64;

impl Default for Line {
    fn default() -> Self {
        Self { courteous: false, hours: Vec::new(), tz: "UTC".into() }
    }
}

/// Hours of the week with a limit.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineHours {
    /// Days on which they begin: Monday is 0, Sunday 6.
    pub days: Vec<u8>,
    /// First minute, counted from midnight.
    pub from_min: u16,
    /// The minute after the last; not after `from_min` means on the next day.
    pub to_min: u16,
    /// Thousands of bits a second, at least [`LINE_KBIT_MIN`].
    pub kbit: u32,
}

/// `POST /v1/pace`: the same as replicad keeps to it, which knows no days and no time zones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Whether the line is left to others that need it.
    pub courteous: bool,
    /// Limits of the days to come, ascending; the last one holds until others are told.
    pub limits: Vec<LimitFrom>,
}

/// A limit from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitFrom {
    /// From when.
    pub at: i64,
    /// Thousands of bits a second; none for the whole line.
    pub kbit: Option<u32>,
}
