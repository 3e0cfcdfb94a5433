//! The log: who did what, newest first, found by who, what and when; and, when somebody wants it verified, whether it is whole.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{LogRecord, LogVerdict, ReadLog};
use serde::Deserialize;

use super::frame::{self, Frame};
use crate::neighbours::Trouble;
use crate::view::{self, Mark, Times, When};
use crate::visit::Visit;

/// Records on a page.
const ROWS: usize = 100;
/// Records that are looked through at a time for those that are wanted, and how often.
const BATCH: u32 = 1_000;
const BATCHES: usize = 5;

/// Which records: those before a number, of somebody, of a kind, of a day.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    before: Option<u64>,
    #[serde(default)]
    verify: Option<String>,
    /// What is looked for may name a patient, and stands in no address.
    #[serde(skip)]
    who: String,
    #[serde(skip)]
    what: String,
    #[serde(skip)]
    day: String,
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    verdict: Option<Result<Verdict, Trouble>>,
    rows: Result<Vec<Row>, Trouble>,
    older: Option<u64>,
    wanted: Wanted,
    narrowed: bool,
}

struct Verdict {
    mark: Mark,
    records: String,
    head: String,
    faults: Vec<String>,
    at: When,
}

struct Row {
    seq: u64,
    at: When,
    actor: String,
    event: String,
    fields: String,
}

/// The page.
pub(crate) async fn page(visit: Visit, Query(wanted): Query<Wanted>) -> Response {
    show(&visit, wanted).await
}

/// The same with what was looked for.
pub(crate) async fn search(visit: Visit) -> Response {
    let of = |name: &str| visit.form.text(name).chars().take(64).collect();
    let wanted = Wanted { before: visit.form.number("before"), verify: None, who: of("who"), what: of("what"), day: of("day") };
    show(&visit, wanted).await
}

async fn show(visit: &Visit, wanted: Wanted) -> Response {
    let times = frame::times(visit);
    let verdict = match wanted.verify {
        Some(_) => Some(visit.app.neighbours.get_slowly::<LogVerdict>("/v1/log/verify").await),
        None => None,
    };
    let verdict = verdict.map(|verdict| verdict.map(|verdict| of_verdict(&verdict, &times, visit.now())));
    let found = find(visit, &wanted, &times).await;
    let older = found.as_ref().ok().and_then(|(_, older)| *older);
    let rows = found.map(|(records, _)| records.iter().map(|record| row(record, &times)).collect());
    visit.show(&LogPage { frame: visit.frame("Log"), verdict, rows, older, narrowed: wanted.narrows(), wanted })
}

impl Wanted {
    fn narrows(&self) -> bool {
        !(self.who.trim().is_empty() && self.what.trim().is_empty() && self.day.trim().is_empty())
    }

    fn fits(&self, record: &LogRecord, times: &Times) -> bool {
        let holds = |text: &str, part: &str| text.to_lowercase().contains(&part.trim().to_lowercase());
        let day = self.day.trim();
        holds(&record.actor, &self.who)
            && holds(&record.event.replace('-', " "), &self.what.replace('-', " "))
            && (day.is_empty() || times.day(record.at).to_string() == day)
    }
}

/// Records that fit, newest first, and the number before which further ones may be.
async fn find(visit: &Visit, wanted: &Wanted, times: &Times) -> Result<(Vec<LogRecord>, Option<u64>), Trouble> {
    let (limit, most) = if wanted.narrows() { (BATCH, BATCHES) } else { (ROWS as u32, 1) };
    let (mut found, mut before) = (Vec::new(), wanted.before);
    for _ in 0..most {
        let from = before.map_or(0, |before| before.saturating_sub(limit.into()));
        let ask = ReadLog { from, limit, newest: before.is_none() };
        let mut records = visit.granted::<Vec<LogRecord>>(Verb::LogRead, "/v1/log", &ask).await?;
        records.retain(|record| before.is_none_or(|before| record.seq < before));
        let Some(first) = records.first().map(|record| record.seq) else { return Ok((found, None)) };
        for record in records.into_iter().rev().filter(|record| wanted.fits(record, times)) {
            let seq = record.seq;
            found.push(record);
            if found.len() == ROWS {
                return Ok((found, Some(seq).filter(|seq| *seq > 1)));
            }
        }
        before = Some(first).filter(|first| *first > 1);
        if before.is_none() {
            break;
        }
    }
    Ok((found, before))
}

fn of_verdict(verdict: &LogVerdict, times: &Times, now: i64) -> Verdict {
    Verdict {
        mark: view::of_good(verdict.faults.is_empty(), "Whole", "Not whole"),
        records: view::count(verdict.records, "record", "records"),
        head: verdict.head.as_ref().map(|(_, hash)| hash.clone()).unwrap_or_default(),
        faults: verdict.faults.clone(),
        at: times.at(now),
    }
}

fn row(record: &LogRecord, times: &Times) -> Row {
    let field = |(name, value): (&String, &serde_json::Value)| match value {
        serde_json::Value::String(text) => format!("{name}: {}", view::name(text.as_bytes())),
        other => format!("{name}: {other}"),
    };
    Row {
        seq: record.seq,
        at: times.full(record.at),
        actor: view::name(record.actor.as_bytes()),
        event: record.event.replace('-', " "),
        fields: record.fields.iter().map(field).collect::<Vec<_>>().join(", "),
    }
}
