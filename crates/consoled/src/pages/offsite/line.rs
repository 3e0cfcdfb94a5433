//! What copies may take of the practice's line: one limit for some hours, in plain words. More than one is set with the command.

use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::offsite::{LINE_KBIT_MIN, Line, LineHours, Offsite};
use keepwell_api::vault::Done;

use super::ROUTE;
use crate::form::Form;
use crate::sessions::Notice;
use crate::visit::Visit;

const PAGE: &str = "/offsite";
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// As the page shows it.
pub(super) struct LineForm {
    /// What holds, in words.
    pub(super) says: Vec<String>,
    pub(super) courteous: bool,
    pub(super) limited: bool,
    /// Mbit/s.
    pub(super) most: String,
    pub(super) days: Vec<(u8, &'static str, bool)>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) zone: String,
    /// There are more limits than the form has.
    pub(super) more: bool,
}

pub(super) fn shown(line: &Line, zone: &str) -> LineForm {
    let first = line.hours.first();
    let of = |hours: &LineHours| {
        let days: Vec<&str> = hours.days.iter().filter_map(|day| DAYS.get(usize::from(*day)).copied()).collect();
        format!("{}, {} to {}: at most {} Mbit/s", days.join(", "), clock(hours.from_min), clock(hours.to_min), megabits(hours.kbit))
    };
    let rest = if line.hours.is_empty() { "At all hours: the whole line" } else { "At other hours: the whole line" };
    let courtesy =
        if line.courteous { "Whoever else needs the line goes first" } else { "Nobody goes first: others may find the line slow" };
    LineForm {
        says: line.hours.iter().map(of).chain([rest.to_owned(), courtesy.to_owned()]).collect(),
        courteous: line.courteous,
        limited: first.is_some(),
        most: first.map_or("2".into(), |hours| megabits(hours.kbit)),
        days: DAYS.iter().zip(0..).map(|(name, day)| (day, *name, first.map_or(day < 5, |hours| hours.days.contains(&day)))).collect(),
        from: first.map_or("07:00".into(), |hours| clock(hours.from_min)),
        to: first.map_or("19:00".into(), |hours| clock(hours.to_min)),
        // Nobody has chosen one before there are hours.
        zone: if line.hours.is_empty() { zone.to_owned() } else { line.tz.clone() },
        more: line.hours.len() > 1,
    }
}

/// Sets it.
pub(crate) async fn change(visit: Visit) -> Response {
    let before = match visit.app.neighbours.get::<Offsite>(ROUTE).await {
        Ok(told) => told.line,
        Err(trouble) => return visit.after::<()>(PAGE, Err(trouble), ""),
    };
    let Some(line) = typed(&visit.form, &before) else {
        visit.look_at(&["most", "from", "to", "day"]);
        let text = format!(
            "A limit has at least one day, two times, and a speed of {} Mbit/s or more: with less no copy would ever be whole there. Nothing was changed.",
            megabits(LINE_KBIT_MIN)
        );
        return visit.go(PAGE, Some(Notice { good: false, text }));
    };
    let done = visit.granted::<Done>(Verb::OffsiteChange, "/v1/offsite/line", &line).await;
    visit.after(PAGE, done, "What copies may take of the line was changed. It holds from now on.")
}

fn typed(form: &Form, before: &Line) -> Option<Line> {
    let courteous = form.has("courteous");
    if !form.has("limited") {
        return Some(Line { courteous, hours: Vec::new(), tz: before.tz.clone() });
    }
    let minute = |name: &str| {
        let (hours, minutes) = form.text(name).split_once(':')?;
        hours.parse::<u16>().ok()?.checked_mul(60)?.checked_add(minutes.parse::<u16>().ok()?)
    };
    let days: Vec<u8> = form.all("day").filter_map(|day| day.parse().ok()).collect();
    let kbit = kilobits(form.text("most").trim()).filter(|kbit| *kbit >= LINE_KBIT_MIN && !days.is_empty())?;
    let hours = LineHours { days, from_min: minute("from")?, to_min: minute("to")?, kbit };
    Some(Line { courteous, hours: vec![hours], tz: form.text("zone").trim().to_owned() })
}

fn clock(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

fn megabits(kbit: u32) -> String {
    let text = format!("{}.{:03}", kbit / 1000, kbit % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn kilobits(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let thousandths = format!("{part:0<3}").get(..3)?.parse::<u32>().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_typed_as_lines_are_sold() {
        for (text, kbit) in [("2", 2000), ("0.5", 500), ("2,5", 2500), ("0.064", 64), ("100", 100_000)] {
            assert_eq!(kilobits(text), Some(kbit));
            assert_eq!(megabits(kbit), text.replace(',', "."));
        }
        assert!(["", "x", "-1", "1.x", "1 2"].iter().all(|text| kilobits(text).is_none()));
    }

    #[test]
    fn what_is_typed_is_what_is_shown() {
        let form = |text: &[u8]| Form::parse(text).expect("a form");
        let before = Line::default();
        let line = typed(&form(b"courteous=on&limited=on&most=2.5&day=0&day=4&from=07%3A30&to=19%3A00&zone=Europe/Berlin"), &before)
            .expect("a line");
        assert_eq!(line.hours, [LineHours { days: vec![0, 4], from_min: 450, to_min: 1140, kbit: 2500 }]);
        let shown = shown(&line, "UTC");
        assert_eq!(shown.says[0], "Mon, Fri, 07:30 to 19:00: at most 2.5 Mbit/s");
        assert_eq!(
            (shown.most.as_str(), shown.from.as_str(), shown.to.as_str(), shown.zone.as_str()),
            ("2.5", "07:30", "19:00", "Europe/Berlin")
        );
        let free = typed(&form(b"most=1"), &line).expect("a line");
        assert_eq!((free.hours.len(), free.courteous), (0, false));
        for bad in [
            &b"limited=on&most=0.05&day=0&from=07%3A00&to=19%3A00"[..],
            b"limited=on&most=1&from=07%3A00&to=19%3A00",
            b"limited=on&most=1&day=0&from=x&to=19%3A00",
        ] {
            assert!(typed(&form(bad), &before).is_none());
        }
    }
}
