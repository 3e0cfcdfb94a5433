//! The log: who did what, newest first, and whether it is whole.

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
const ROWS: u64 = 100;

/// From which record on; from the newest if absent.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct From {
    #[serde(default)]
    before: Option<u64>,
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    verdict: Option<Result<Verdict, Trouble>>,
    rows: Option<Result<Vec<Row>, Trouble>>,
    older: Option<u64>,
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

/// The page. The newest records come with the verdict on all of them, which also says how many there are.
pub(crate) async fn page(visit: Visit, Query(from): Query<From>) -> Response {
    let times = frame::times(&visit);
    let (verdict, before) = match from.before {
        Some(before) => (None, Some(before)),
        None => {
            let verdict = visit.app.neighbours.get_slowly::<LogVerdict>("/v1/log/verify").await;
            let newest = verdict.as_ref().ok().map(|verdict| verdict.head.as_ref().map_or(verdict.records, |(seq, _)| seq + 1));
            (Some(verdict.map(|verdict| of_verdict(&verdict, &times, visit.now()))), newest)
        }
    };
    let rows = match before {
        Some(before) => {
            let first = before.saturating_sub(ROWS);
            let ask = ReadLog { from: first, limit: (before - first) as u32 };
            let records = match before {
                0 => Ok(Vec::new()),
                _ => visit.granted::<Vec<LogRecord>>(Verb::LogRead, "/v1/log", &ask).await,
            };
            Some(records.map(|records| records.iter().rev().map(|record| row(record, &times)).collect()))
        }
        None => None,
    };
    let older = before.map(|before| before.saturating_sub(ROWS)).filter(|older| *older > 0);
    visit.show(&LogPage { frame: visit.frame("Log"), verdict, rows, older })
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
