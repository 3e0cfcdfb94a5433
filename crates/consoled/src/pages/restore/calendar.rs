//! The first step: as of when. A month with the days that have copies, the copies of a day, and the newest complete one at hand.

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use keepwell_api::vault::{Outcome, Snapshot};
use serde::Deserialize;

use super::draft::Draft;
use super::{Step, at, change, draft, steps};
use crate::pages::frame::{self, Frame};
use crate::pages::shares::{SnapshotLine, snapshot_line};
use crate::pages::trouble;
use crate::view::{self, Mark, Times, When};
use crate::visit::Visit;

/// Which month and day are shown.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Shown {
    #[serde(default)]
    month: Option<String>,
    #[serde(default)]
    day: Option<String>,
}

#[derive(Template)]
#[template(path = "restore_when.html")]
struct WhenPage {
    frame: Frame,
    steps: Vec<Step>,
    id: String,
    share: String,
    complete: Option<(String, When, String)>,
    newest_is_worse: Option<(Mark, When)>,
    month: String,
    before: Option<String>,
    after: Option<String>,
    weeks: Vec<Vec<Option<Cell>>>,
    day: Option<String>,
    copies: Vec<SnapshotLine>,
    chosen: String,
    may_compare: bool,
}

struct Cell {
    number: i8,
    date: String,
    copies: usize,
    mark: Option<Mark>,
    here: bool,
}

/// The page.
pub(crate) async fn page(visit: Visit, Path(id): Path<String>, Query(shown): Query<Shown>) -> Response {
    match draft(&visit, &id) {
        Ok(draft) => visit.show(&view(&visit, &draft, &shown)),
        Err(answer) => answer,
    }
}

fn view(visit: &Visit, draft: &Draft, shown: &Shown) -> WhenPage {
    let times = frame::times(visit);
    let newest = draft.snapshots.first();
    let complete = draft.snapshots.iter().find(|one| one.outcome == Outcome::Complete);
    let day = shown.day.as_deref().and_then(|day| day.parse::<Date>().ok());
    let day = day.or_else(|| draft.snapshot.as_ref().or(newest).map(|one| times.day(one.taken_at)));
    let month = shown.month.as_deref().and_then(|month| format!("{month}-01").parse::<Date>().ok());
    let month = month.or(day).unwrap_or_else(|| times.today()).first_of_month();
    let of_day: Vec<_> = draft.snapshots.iter().filter(|one| Some(times.day(one.taken_at)) == day).collect();
    let oldest = draft.snapshots.last().map(|one| times.day(one.taken_at).first_of_month());
    let name = |month: Date| month.strftime("%Y-%m").to_string();
    WhenPage {
        frame: visit.frame("Restore: when"),
        steps: steps(0),
        id: draft.id.clone(),
        share: draft.share.clone(),
        complete: complete.map(|one| (one.id.clone(), times.at(one.taken_at), times.ago(one.taken_at))),
        newest_is_worse: newest
            .filter(|one| one.outcome != Outcome::Complete)
            .map(|one| (view::of_outcome(Some(one.outcome)), times.at(one.taken_at))),
        month: month.strftime("%B %Y").to_string(),
        before: month.checked_sub(1.month()).ok().filter(|before| oldest.is_some_and(|oldest| *before >= oldest)).map(name),
        after: month.checked_add(1.month()).ok().filter(|after| *after <= times.today()).map(name),
        weeks: weeks(month, day, &draft.snapshots, &times),
        day: day.map(|day| day.strftime("%A, %-d %B %Y").to_string()),
        copies: of_day.into_iter().map(|one| snapshot_line(one, &times)).collect(),
        may_compare: draft.snapshots.len() > 1,
        chosen: draft.snapshot.as_ref().map(|one| one.id.clone()).unwrap_or_default(),
    }
}

/// Weeks from Monday on.
fn weeks(month: Date, day: Option<Date>, snapshots: &[Snapshot], times: &Times) -> Vec<Vec<Option<Cell>>> {
    let empty = usize::from(month.weekday().to_monday_zero_offset().unsigned_abs());
    let mut cells: Vec<Option<Cell>> = (0..empty).map(|_| None).collect();
    for number in 1..=month.days_in_month() {
        let this = date(month.year(), month.month(), number);
        let of_day: Vec<_> = snapshots.iter().filter(|one| times.day(one.taken_at) == this).collect();
        // The newest first: a day is as its last copy.
        let mark = of_day.first().map(|one| view::of_outcome(Some(one.outcome)));
        cells.push(Some(Cell { number, date: this.to_string(), copies: of_day.len(), mark, here: Some(this) == day }));
    }
    while !cells.len().is_multiple_of(7) {
        cells.push(None);
    }
    let mut weeks = Vec::new();
    while !cells.is_empty() {
        let rest = cells.split_off(7);
        weeks.push(std::mem::replace(&mut cells, rest));
    }
    weeks
}

/// Takes one of them.
pub(crate) async fn choose(visit: Visit, Path(id): Path<String>) -> Response {
    let wanted = visit.form.text("snapshot");
    match change(&visit, &id, |draft| draft.take(wanted)) {
        Ok(true) => visit.go(&at(&id, "what"), None),
        Ok(false) => trouble::missing(&visit, "There is no such copy."),
        Err(_) => trouble::missing(&visit, "This restore is not being prepared any more. Begin again under Restore."),
    }
}
