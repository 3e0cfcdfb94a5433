//! What differs between two copies of a share, page by page.

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{Change, Changes, CompareSnapshots};
use serde::Deserialize;

use super::draft::base64;
use super::{Step, at, change, draft, steps};
use crate::neighbours::Trouble;
use crate::pages::frame::{self, Frame};
use crate::pages::trouble;
use crate::view;
use crate::visit::Visit;

/// Rows on a page.
const ROWS: u32 = 200;
/// Copies to choose from.
const COPIES: usize = 500;

/// Which two, and from where on: the number of a path.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Which {
    #[serde(default)]
    older: Option<String>,
    #[serde(default)]
    newer: Option<String>,
    #[serde(default)]
    after: Option<u64>,
}

#[derive(Template)]
#[template(path = "restore_compare.html")]
struct ComparePage {
    frame: Frame,
    steps: Vec<Step>,
    id: String,
    share: String,
    /// Id, and when it was taken: newest first.
    copies: Vec<(String, String)>,
    older: String,
    newer: String,
    rows: Option<Result<Vec<(&'static str, String)>, Trouble>>,
    more: Option<String>,
}

/// The page.
pub(crate) async fn page(visit: Visit, Path(id): Path<String>, Query(which): Query<Which>) -> Response {
    let draft = match draft(&visit, &id) {
        Ok(draft) => draft,
        Err(answer) => return answer,
    };
    if draft.snapshots.len() < 2 {
        return trouble::missing(&visit, "There are no two copies of this share yet.");
    }
    let times = frame::times(&visit);
    // Only copies of this share, whatever was asked.
    let known = |wanted: Option<&String>| wanted.and_then(|wanted| draft.snapshots.iter().find(|one| one.id == *wanted));
    let newer = known(which.newer.as_ref()).unwrap_or(&draft.snapshots[0]);
    let older = known(which.older.as_ref()).unwrap_or(&draft.snapshots[1]);
    let (older, newer) = if older.taken_at <= newer.taken_at { (older, newer) } else { (newer, older) };
    let after = which.after.and_then(|number| draft.numbered(number)).map(|one| base64(&one.path));
    let mut rows = None;
    let mut more = None;
    if which.older.is_some() && which.newer.is_some() {
        let ask = CompareSnapshots { older: older.id.clone(), newer: newer.id.clone(), path: base64(&[]), after, limit: ROWS };
        let changes = visit.granted::<Changes>(Verb::FilesList, "/v1/snapshots/compare", &ask).await;
        if let Ok(Changes { changes, more: true }) = &changes
            && let Some(last) = changes.last()
        {
            let path = last.path.as_ref().to_vec();
            let number = change(&visit, &id, |draft| draft.place(path)).ok();
            more = number.map(|number| format!("{}?older={}&newer={}&after={number}", at(&id, "compare"), older.id, newer.id));
        }
        rows = Some(changes.map(|changes| changes.changes.iter().map(|one| (word(one.change), view::name(one.path.as_ref()))).collect()));
    }
    visit.show(&ComparePage {
        frame: visit.frame("Compare two copies"),
        steps: steps(0),
        share: draft.share.clone(),
        copies: draft.snapshots.iter().take(COPIES).map(|one| (one.id.clone(), times.at(one.taken_at).text)).collect(),
        older: older.id.clone(),
        newer: newer.id.clone(),
        id,
        rows,
        more,
    })
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "Added",
        Change::Removed => "Removed",
        Change::Content => "Changed",
        Change::Metadata => "Times or rights changed",
    }
}
