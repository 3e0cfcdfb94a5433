//! What is thought of a disk: a pure function of its last reading and what was read before. Says it in words for whoever runs the office. Never asks a disk.
//!
//! The rule does not know models: a counter that rises is worse than one that stands, whatever it stands at.

use keepwell_api::disks::{Health, Reason, Verdict};

use super::reading::{Counter, Reading, SelfTestState};

/// A reading and its time, Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// When.
    pub at: i64,
    /// What the disk said.
    pub reading: Reading,
}

const DAY: i64 = 86_400;
/// A counter that has not moved for this long stands.
const STANDS: i64 = 30 * DAY;
/// What rises within this is rising now.
const WEEK: i64 = 7 * DAY;
/// So many sectors more within a week, and the disk is losing data as we look.
const COLLAPSE: u64 = 50;

/// Judges `now` in the light of `history`, which is ascending in time and may hold `now` itself.
pub fn assess(now: &Dated, history: &[Dated]) -> Health {
    let mut reasons = own_words(&now.reading);
    reasons.extend(counters(now, history));
    reasons.extend(wear(&now.reading));
    reasons.extend(heat(now, history));
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.weight));
    Health {
        verdict: reasons.iter().map(|reason| reason.weight).max().unwrap_or(Verdict::Healthy),
        reasons,
        polled_at: Some(now.at),
        temperature_celsius: now.reading.temperature,
        power_on_hours: now.reading.power_on_hours,
        wear_percent: now.reading.wear_percent,
        self_test_remaining_percent: match now.reading.self_test {
            Some(SelfTestState::Running(left)) => Some(left),
            _ => None,
        },
    }
}

fn reason(weight: Verdict, code: &str, text: impl Into<String>) -> Reason {
    Reason { weight, code: code.to_owned(), text: text.into(), damage: false }
}

/// What the disk says of itself.
fn own_words(now: &Reading) -> Vec<Reason> {
    use Verdict::{Failing, Healthy, Suspect};
    let mut reasons = Vec::new();
    if now.passed == Some(false) {
        reasons.push(reason(Failing, "says-failing", "The disk itself says that it is about to fail. Replace it now."));
    }
    if !now.below_threshold.is_empty() {
        let ids: Vec<_> = now.below_threshold.iter().map(u8::to_string).collect();
        let text = format!("Values of the disk are worse than its maker allows (SMART attribute {}).", ids.join(", "));
        reasons.push(reason(Suspect, "below-threshold", text));
    }
    if now.self_test == Some(SelfTestState::Failed) {
        reasons.push(reason(Failing, "self-test-failed", "The disk tested itself and failed. Replace it now."));
    }
    // NVMe base specification, critical warning.
    for (bit, weight, code, text) in [
        (0, Failing, "nvme-spare", "The disk has used up its spare memory and can't replace what wears out. Replace it now."),
        (1, Healthy, "nvme-temperature", "The disk says that it is too hot or too cold."),
        (2, Failing, "nvme-unreliable", "The disk says that it has become unreliable. Replace it now."),
        (3, Failing, "nvme-read-only", "The disk has stopped accepting data: it can only be read. Replace it now."),
        (4, Suspect, "nvme-backup-power", "The disk's protection against power cuts has failed: data may be lost when the power goes."),
        (5, Healthy, "nvme-persistent-memory", "A part of the disk's memory can only be read."),
    ] {
        if now.critical_warning & 1 << bit != 0 {
            reasons.push(reason(weight, code, text));
        }
    }
    if let Some((spare, threshold)) = now.spare_percent.filter(|(spare, threshold)| spare < threshold && now.critical_warning & 1 == 0) {
        let text = format!("The disk has {spare} % of its spare memory left; its maker's limit is {threshold} %. Replace it now.");
        reasons.push(reason(Failing, "spare-below-threshold", text));
    }
    reasons
}

fn counters(now: &Dated, history: &[Dated]) -> Vec<Reason> {
    let moves: Vec<_> = Counter::ALL.iter().filter_map(|counter| Move::of(*counter, now, history)).collect();
    let mut reasons: Vec<_> = moves.iter().filter_map(Move::judge).collect();
    let losing = moves.iter().filter(|moved| moved.is_loss() && moved.week > 0).count();
    let fast = moves.iter().any(|moved| moved.is_loss() && moved.week >= COLLAPSE);
    if losing >= 2 && fast {
        let text = "Damage on the disk grows from day to day and in several ways at once. Replace it now.";
        reasons.push(Reason { damage: true, ..reason(Verdict::Failing, "damage-grows-fast", text) });
    }
    reasons
}

/// How a counter has moved.
struct Move {
    counter: Counter,
    value: u64,
    /// Rise within a week.
    week: u64,
    /// Rise within thirty days.
    month: u64,
    /// Whether it was watched for thirty days.
    watched: bool,
    /// Whether the poll before counted something as well.
    before: bool,
}

impl Move {
    /// None where the disk does not count it, or it is zero.
    fn of(counter: Counter, now: &Dated, history: &[Dated]) -> Option<Self> {
        let value = now.reading.counters.get(&counter).copied().filter(|value| *value > 0)?;
        let before = history.iter().filter(|dated| dated.at < now.at);
        let known: Vec<_> = before.filter_map(|dated| dated.reading.counters.get(&counter).map(|value| (dated.at, *value))).collect();
        let rise = |span: i64| {
            let start = now.at.saturating_sub(span);
            // From the last poll before the span, or the first in it.
            let outside = known.iter().rfind(|(at, _)| *at <= start);
            let base = outside.or(known.first()).map_or(value, |(_, value)| *value);
            value.saturating_sub(base)
        };
        let before = known.last().is_some_and(|(_, value)| *value > 0);
        let watched = known.first().is_some_and(|(at, _)| now.at.saturating_sub(*at) >= STANDS);
        Some(Self { counter, value, week: rise(WEEK), month: rise(STANDS), watched, before })
    }

    /// Whether it counts places that could not be read.
    fn is_loss(&self) -> bool {
        !matches!(self.counter, Counter::CommandTimeout | Counter::Cable)
    }

    fn judge(&self) -> Option<Reason> {
        use Verdict::{Healthy, Suspect};
        let (value, name) = (self.value, self.counter.name());
        let more = match (self.week, self.month) {
            (0, 0) => String::new(),
            (0, month) => format!(", {month} of them within 30 days"),
            (week, _) => format!(", {week} of them within 7 days"),
        };
        let rising = self.month > 0;
        let (weight, text) = match self.counter {
            Counter::Reallocated => {
                let weight = if rising || value >= 100 || (value >= 10 && !self.watched) { Suspect } else { Healthy };
                (weight, format!("The disk has replaced {value} damaged places by spare ones{more}."))
            }
            Counter::Uncorrected => {
                let weight = if rising || !self.watched { Suspect } else { Healthy };
                (weight, format!("The disk could not read back {value} times what was written on it{more}."))
            }
            // What waits to be replaced is not readable now, so it need not rise to count; but what is gone by the next poll was none.
            Counter::Pending => {
                (if self.before { Suspect } else { Healthy }, format!("{value} places on the disk can't be read at the moment{more}."))
            }
            Counter::OfflineUncorrectable => {
                let weight = if rising || !self.watched { Suspect } else { Healthy };
                (weight, format!("Checking itself, the disk found {value} places that can't be read{more}."))
            }
            Counter::CommandTimeout => {
                let weight = if self.week >= 10 { Suspect } else { Healthy };
                (weight, format!("The disk did not answer in time {value} times{more}. Its power supply or cable may be the cause."))
            }
            Counter::Cable if rising => {
                (Healthy, format!("{value} transfers were damaged on the way to the disk{more}. Check its cable or its bay."))
            }
            // Old damage on a cable is no news of the disk.
            Counter::Cable => return None,
        };
        let grows = rising || matches!(self.counter, Counter::Pending) || (self.counter == Counter::Reallocated && value >= 100);
        Some(Reason { damage: weight == Suspect && self.is_loss() && grows, ..reason(weight, name, text) })
    }
}

fn wear(now: &Reading) -> Option<Reason> {
    let used = now.wear_percent?;
    let text = format!("{used} % of what the maker promises can be written to the disk is used up.");
    match used {
        100.. => Some(reason(Verdict::Suspect, "worn-out", text + " Plan its replacement.")),
        90.. => Some(reason(Verdict::Healthy, "wear", text)),
        _ => None,
    }
}

/// Heat counts when it lasts: two polls in a row.
fn heat(now: &Dated, history: &[Dated]) -> Option<Reason> {
    let (warm, hot) = if now.reading.kind.turns() { (50, 60) } else { (70, 80) };
    let celsius = now.reading.temperature.filter(|celsius| *celsius >= warm)?;
    let before = history.iter().rfind(|dated| dated.at < now.at).and_then(|dated| dated.reading.temperature);
    let lasting = celsius >= hot && before.is_some_and(|before| before >= hot);
    let weight = if lasting { Verdict::Suspect } else { Verdict::Healthy };
    Some(reason(weight, "heat", format!("The disk has {celsius} °C, which shortens its life. Check the fans and the air around the box.")))
}
