//! What copies may take of the practice's line: set by an owner, kept with the box's state, and told to replicad as limits of the days to come, since it knows no time zone.

use std::sync::Arc;

use keepwell_api::grants::Grant;
use keepwell_api::offsite::{LINE_HOURS_MAX, LINE_KBIT_MIN, LimitFrom, Line, LineHours, Pace};
use keepwell_api::vault::Done;
use keepwell_audit::Value;
use keepwell_duties::{At, Weekly};

use super::{Answer, record, replicad};
use crate::appliance::Appliance;
use crate::error::VaultdError;

/// Document: it.
const LINE: &str = "offsite-line";
/// Seconds that are told ahead: replicad goes by them for as long if nobody tells it more.
const AHEAD: i64 = 15 * 86_400;
/// Limits that are told at most.
const MOST: usize = 1_000;

/// As it was set.
pub(crate) fn set(appliance: &Appliance) -> Answer<Line> {
    Ok(appliance.state.document(LINE)?.unwrap_or_default())
}

/// Sets it.
pub(crate) fn change(appliance: &Arc<Appliance>, grant: &Grant, line: Line) -> Answer<Done> {
    check(&line)?;
    let fields = [
        ("courteous", Value::Text(line.courteous.to_string())),
        ("hours", Value::Number(i64::try_from(line.hours.len()).unwrap_or(i64::MAX))),
        ("lowest-kbit", Value::Number(line.hours.iter().map(|hours| i64::from(hours.kbit)).min().unwrap_or(0))),
    ];
    record(appliance, grant, "offsite-line", fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())?;
    appliance.state.set_document(LINE, &line)?;
    tell(appliance)?;
    Ok(Done {})
}

/// Tells replicad the limits of the days to come.
pub(crate) fn tell(appliance: &Appliance) -> Answer<()> {
    let line = set(appliance)?;
    let pace = Pace { courteous: line.courteous, limits: limits(&line, appliance.clock.believed()) };
    replicad(appliance).post::<Done>("/v1/pace", &pace).map(drop).map_err(VaultdError::of_replicad)
}

fn check(line: &Line) -> Answer<()> {
    if line.hours.len() > LINE_HOURS_MAX {
        return Err(VaultdError::Invalid(format!("no more than {LINE_HOURS_MAX} limits can be set. Nothing was changed")));
    }
    for hours in &line.hours {
        weekly(line, hours).check().map_err(|error| VaultdError::Invalid(format!("{error}. Nothing was changed")))?;
        if hours.kbit < LINE_KBIT_MIN {
            let why = format!("with less than {LINE_KBIT_MIN} kbit/s no copy would ever be whole at the second site. Nothing was changed");
            return Err(VaultdError::Invalid(why));
        }
    }
    Ok(())
}

fn weekly(line: &Line, hours: &LineHours) -> Weekly {
    Weekly { days: hours.days.clone(), from_min: hours.from_min, to_min: hours.to_min, tz: line.tz.clone(), spared: false }
}

/// Limits from now on, each time another one holds.
fn limits(line: &Line, now: i64) -> Vec<LimitFrom> {
    let hours: Vec<(Weekly, u32)> = line.hours.iter().map(|hours| (weekly(line, hours), hours.kbit)).collect();
    let (mut limits, mut at): (Vec<LimitFrom>, _) = (Vec::new(), At(now));
    while at.0 < now.saturating_add(AHEAD) && limits.len() < MOST {
        let kbit = hours.iter().filter(|(hours, _)| hours.ends(at).is_some()).map(|(_, kbit)| *kbit).min();
        if limits.last().is_none_or(|last| last.kbit != kbit) {
            limits.push(LimitFrom { at: at.0, kbit });
        }
        // Hours that meet without a break end as one, and another limit may begin in between.
        let next = hours.iter().flat_map(|(hours, _)| [hours.ends(at), hours.begins(at)]).flatten().filter(|next| *next > at).min();
        let Some(next) = next else { break };
        at = next;
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 2026-06-01, midnight in Berlin.
    const MONDAY: i64 = 1_780_264_800;
    const HOUR: i64 = 3600;

    fn line(hours: Vec<LineHours>) -> Line {
        Line { courteous: true, hours, tz: "Europe/Berlin".into() }
    }

    fn office(kbit: u32) -> LineHours {
        LineHours { days: vec![0, 1, 2, 3, 4], from_min: 7 * 60, to_min: 19 * 60, kbit }
    }

    #[test]
    fn without_hours_all_of_the_line_is_free() {
        assert_eq!(limits(&line(Vec::new()), MONDAY), [LimitFrom { at: MONDAY, kbit: None }]);
    }

    #[test]
    fn weekdays_have_a_limit_and_nights_and_weekends_have_none() {
        let told = limits(&line(vec![office(2000)]), MONDAY);
        let first: Vec<(i64, Option<u32>)> = told.iter().take(4).map(|limit| ((limit.at - MONDAY) / HOUR, limit.kbit)).collect();
        assert_eq!(first, [(0, None), (7, Some(2000)), (19, None), (31, Some(2000))]);
        let friday = told.iter().position(|limit| limit.at == MONDAY + (4 * 24 + 19) * HOUR).expect("the end of Friday");
        assert_eq!(told[friday + 1], LimitFrom { at: MONDAY + (7 * 24 + 7) * HOUR, kbit: Some(2000) }, "nothing on the weekend");
        assert!(told.last().is_some_and(|last| last.at > MONDAY + 13 * 24 * HOUR));
    }

    #[test]
    fn of_several_limits_the_lowest_holds() {
        let lunch = LineHours { days: vec![0], from_min: 12 * 60, to_min: 13 * 60, kbit: 500 };
        let night = LineHours { days: vec![0], from_min: 18 * 60, to_min: 60, kbit: 4000 };
        let told = limits(&line(vec![office(2000), lunch, night]), MONDAY + 8 * HOUR);
        let first: Vec<(i64, Option<u32>)> = told.iter().take(6).map(|limit| ((limit.at - MONDAY) / HOUR, limit.kbit)).collect();
        assert_eq!(first, [(8, Some(2000)), (12, Some(500)), (13, Some(2000)), (19, Some(4000)), (25, None), (31, Some(2000))]);
    }

    #[test]
    fn hours_that_make_no_sense_are_refused() {
        let good = line(vec![office(64)]);
        assert!(check(&good).is_ok() && check(&Line::default()).is_ok());
        let with = |change: &dyn Fn(&mut Line)| {
            let mut bad = good.clone();
            change(&mut bad);
            check(&bad).is_err()
        };
        assert!(with(&|line| line.hours[0].kbit = 63));
        assert!(with(&|line| line.hours[0].days = vec![7]));
        assert!(with(&|line| line.hours[0].from_min = 1440));
        assert!(with(&|line| line.tz = "Europe/Nowhere".into()));
        assert!(with(&|line| line.hours = vec![office(64); LINE_HOURS_MAX + 1]));
    }
}
