//! The second step: which files. Folders page by page, a search by name, and all versions of one file.

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{File, Files, FoundFiles, ListFiles, ListVersions, SearchFiles, Snapshot, Versions};
use serde::Deserialize;

use super::draft::{Draft, TICKS_MAX, Wanted, base64, joined, last, parent};
use super::{Step, at, change, draft, steps};
use crate::neighbours::Trouble;
use crate::pages::frame::{self, Frame};
use crate::pages::trouble;
use crate::sessions::Notice;
use crate::view::{self, Mark, Times, When};
use crate::visit::Visit;

/// Rows on a page.
const ROWS: u32 = 200;

/// Which folder, and from where on: numbers of paths.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Where {
    #[serde(default, rename = "in")]
    folder: Option<u64>,
    #[serde(default)]
    after: Option<u64>,
}

/// An entry in a list.
struct Row {
    number: u64,
    ticked: bool,
    name: String,
    folder: bool,
    kind: String,
    size: String,
    changed: Option<When>,
    note: String,
    path: String,
}

struct Crumb {
    number: u64,
    name: String,
}

#[derive(Template)]
#[template(path = "restore_what.html")]
struct WhatPage {
    frame: Frame,
    steps: Vec<Step>,
    id: String,
    share: String,
    as_of: When,
    mark: Mark,
    crumbs: Vec<Crumb>,
    folder: u64,
    search: Option<String>,
    rows: Result<Vec<Row>, Trouble>,
    /// The last row's number, where there are further ones; empty where they can't be had.
    more: Option<String>,
    /// Ticked on other pages.
    elsewhere: usize,
    damaged: bool,
    first_page: bool,
}

/// A folder.
pub(crate) async fn folder(visit: Visit, Path(id): Path<String>, Query(wanted): Query<Where>) -> Response {
    let (draft, snapshot) = match chosen(&visit, &id) {
        Ok(chosen) => chosen,
        Err(answer) => return answer,
    };
    let folder = match wanted.folder.map(|number| draft.numbered(number).cloned()) {
        None => Vec::new(),
        Some(Some(folder)) => folder.path,
        Some(None) => return visit.go(&at(&id, "what"), None),
    };
    let after = wanted.after.and_then(|number| draft.numbered(number)).map(|entry| base64(last(&entry.path)));
    let first_page = after.is_none();
    let ask = ListFiles { snapshot: snapshot.id.clone(), path: base64(&folder), after, limit: ROWS };
    let files = visit.granted::<Files>(Verb::FilesList, "/v1/files", &ask).await;
    let times = frame::times(&visit);
    let shown = change(&visit, &id, |draft| {
        let number = draft.number(Wanted { path: folder.clone(), folder: true, size: None });
        let rows = files.map(|files| {
            let rows: Vec<_> = files.files.iter().map(|file| row(draft, &folder, file, &times)).collect();
            (rows, files.more)
        });
        (number, crumbs(draft, &folder), rows)
    });
    let Ok((number, crumbs, rows)) = shown else { return visit.go("/restore", None) };
    let more = match &rows {
        Ok((rows, true)) => rows.last().map(|row| row.number.to_string()),
        _ => None,
    };
    show(&visit, &draft, &snapshot, (crumbs, number, None, rows.map(|(rows, _)| rows), more, (false, first_page)))
}

/// What a search found last.
pub(crate) async fn found(visit: Visit, Path(id): Path<String>) -> Response {
    let (draft, snapshot) = match chosen(&visit, &id) {
        Ok(chosen) => chosen,
        Err(answer) => return answer,
    };
    let Some((text, folder)) = draft.search.clone() else { return visit.go(&at(&id, "what"), None) };
    let ask = SearchFiles { snapshot: snapshot.id.clone(), path: base64(&folder), text: base64(text.as_bytes()), limit: ROWS };
    let found = visit.granted::<FoundFiles>(Verb::FilesList, "/v1/files/search", &ask).await;
    let times = frame::times(&visit);
    let shown = change(&visit, &id, |draft| {
        let number = draft.number(Wanted { path: folder.clone(), folder: true, size: None });
        let rows = found.map(|found| {
            let rows: Vec<_> = found.found.iter().map(|one| row(draft, one.folder.as_ref(), &one.file, &times)).collect();
            (rows, found.more, found.damaged)
        });
        (number, crumbs(draft, &folder), rows)
    });
    let Ok((number, crumbs, rows)) = shown else { return visit.go("/restore", None) };
    let more = matches!(rows, Ok((_, true, _))).then(String::new);
    let damaged = matches!(rows, Ok((_, _, true)));
    show(&visit, &draft, &snapshot, (crumbs, number, Some(text), rows.map(|(rows, ..)| rows), more, (damaged, true)))
}

type Shown = (Vec<Crumb>, u64, Option<String>, Result<Vec<Row>, Trouble>, Option<String>, (bool, bool));

fn show(visit: &Visit, draft: &Draft, snapshot: &Snapshot, (crumbs, folder, search, rows, more, (damaged, first_page)): Shown) -> Response {
    let here = rows.as_ref().map_or(0, |rows| rows.iter().filter(|row| row.ticked).count());
    visit.show(&WhatPage {
        frame: visit.frame("Restore: what"),
        steps: steps(1),
        id: draft.id.clone(),
        elsewhere: draft.ticked.len().saturating_sub(here),
        share: draft.share.clone(),
        as_of: frame::times(visit).at(snapshot.taken_at),
        mark: view::of_outcome(Some(snapshot.outcome)),
        crumbs,
        folder,
        search,
        rows,
        more,
        damaged,
        first_page,
    })
}

/// Looks for a name. It comes as a form, so that it stands in no address.
pub(crate) async fn search(visit: Visit, Path(id): Path<String>) -> Response {
    let (text, folder) = (visit.form.some("text").unwrap_or_default(), visit.form.number("in"));
    if !(2..=100).contains(&text.chars().count()) {
        visit.look_at(&["text"]);
        let notice = Notice { good: false, text: "Enter 2 to 100 letters of a name to look for.".into() };
        return visit.go(&at(&id, "what"), Some(notice));
    }
    let kept = change(&visit, &id, |draft| {
        let folder = folder.and_then(|number| draft.numbered(number)).map_or_else(Vec::new, |folder| folder.path.clone());
        draft.search = Some((text, folder));
    });
    match kept {
        Ok(()) => visit.go(&at(&id, "found"), None),
        Err(_) => visit.go("/restore", None),
    }
}

#[derive(Template)]
#[template(path = "restore_versions.html")]
struct VersionsPage {
    frame: Frame,
    steps: Vec<Step>,
    id: String,
    name: String,
    number: u64,
    folder: u64,
    versions: Result<Vec<VersionLine>, Trouble>,
    more: bool,
}

struct VersionLine {
    snapshot: String,
    at: When,
    first: Option<When>,
    size: String,
    changed: Option<When>,
    note: String,
    there: bool,
    chosen: bool,
}

/// Which path: its number.
#[derive(Debug, Deserialize)]
pub(crate) struct Of {
    of: u64,
}

/// All versions of a file.
pub(crate) async fn versions(visit: Visit, Path(id): Path<String>, Query(of): Query<Of>) -> Response {
    let (draft, snapshot) = match chosen(&visit, &id) {
        Ok(chosen) => chosen,
        Err(answer) => return answer,
    };
    let Some(wanted) = draft.numbered(of.of).cloned() else { return visit.go(&at(&id, "what"), None) };
    let ask = ListVersions { share: draft.share.clone(), path: base64(&wanted.path) };
    let versions = visit.granted::<Versions>(Verb::FilesList, "/v1/files/versions", &ask).await;
    let times = frame::times(&visit);
    let folder = Wanted { path: parent(&wanted.path).to_vec(), folder: true, size: None };
    let sizes = versions.iter().flat_map(|versions| &versions.versions);
    let sizes = sizes.map(|version| (version.snapshot.clone(), version.file.as_ref().and_then(|file| file.size))).collect();
    let kept = change(&visit, &id, |draft| {
        draft.versions = (wanted.path.clone(), sizes);
        draft.number(folder)
    });
    let Ok(folder) = kept else { return visit.go("/restore", None) };
    let line = |version: &keepwell_api::vault::Version| VersionLine {
        at: times.at(version.taken_at),
        first: (version.first_taken_at != version.taken_at).then(|| times.at(version.first_taken_at)),
        size: version.file.as_ref().and_then(|file| file.size).map_or_else(String::new, view::size),
        changed: version.file.as_ref().and_then(|file| file.changed_at).map(|at| times.at(at)),
        note: version.file.as_ref().map_or_else(|| "Not there at that time".into(), note),
        there: version.file.is_some(),
        chosen: version.snapshot == snapshot.id,
        snapshot: version.snapshot.clone(),
    };
    visit.show(&VersionsPage {
        frame: visit.frame("Restore: versions"),
        steps: steps(1),
        id,
        name: view::name(&wanted.path),
        number: of.of,
        folder,
        more: versions.as_ref().is_ok_and(|versions| versions.more),
        versions: versions.map(|versions| versions.versions.iter().map(line).collect()),
    })
}

/// Takes what was ticked, or all of a folder; and another version's snapshot, where one was chosen.
pub(crate) async fn choose(visit: Visit, Path(id): Path<String>) -> Response {
    let ticks: Vec<u64> = visit.form.all("pick").filter_map(|number| number.parse().ok()).take(TICKS_MAX + 1).collect();
    // Those of the form that was sent, whatever was looked at meanwhile.
    let rows: Vec<u64> = visit.form.all("row").filter_map(|number| number.parse().ok()).take(ROWS as usize).collect();
    let (all, next, snapshot) = (visit.form.number("all"), visit.form.number::<u64>("next"), visit.form.some("snapshot"));
    let chosen = change(&visit, &id, |draft| {
        if let Some(snapshot) = &snapshot {
            let taken = matches!(ticks[..], [number] if draft.take_version(snapshot, number)) && !draft.wanted.is_empty();
            return if taken { Ok(()) } else { Err("That copy was made after you began, or is gone. Begin again under Restore.") };
        }
        let wanted = match all {
            Some(folder) => draft.numbered(folder).cloned().into_iter().collect(),
            None => {
                draft.tick(&rows, &ticks)?;
                draft.ticked.clone()
            }
        };
        if next.is_some() {
            return Ok(());
        }
        (draft.wanted, draft.order) = (of_one_folder(wanted)?, None);
        Ok(())
    });
    // Where the ticks are: they stay.
    let folder = visit.form.number::<u64>("in");
    let back = |after: Option<u64>| {
        let step = if folder.is_some() || snapshot.is_some() { "what" } else { "found" };
        let mut query = form_urlencoded::Serializer::new(String::new());
        let both = [("in", folder), ("after", after)];
        both.into_iter().filter_map(|(name, number)| Some((name, number?))).for_each(|(name, number)| {
            query.append_pair(name, &number.to_string());
        });
        let query = query.finish();
        if query.is_empty() { at(&id, step) } else { format!("{}?{query}", at(&id, step)) }
    };
    match (chosen, next) {
        (Ok(Ok(())), None) => visit.go(&at(&id, "where"), None),
        (Ok(Ok(())), Some(after)) => visit.go(&back(Some(after)), None),
        (Ok(Err(why)), _) => visit.go(&back(None), Some(Notice { good: false, text: why.into() })),
        (Err(_), _) => visit.go("/restore", None),
    }
}

/// An archive holds what lies in one folder.
fn of_one_folder(wanted: Vec<Wanted>) -> Result<Vec<Wanted>, &'static str> {
    let Some(first) = wanted.first() else { return Err("Tick what you want back, or take the whole folder.") };
    if wanted.iter().any(|one| parent(&one.path) != parent(&first.path)) {
        return Err(
            "What is ticked lies in several folders, and only one folder's can be restored at a time. Take some ticks away, or take a folder that holds them all.",
        );
    }
    Ok(wanted)
}

/// A draft of which it is known as of when.
pub(crate) fn chosen(visit: &Visit, id: &str) -> Result<(Draft, Snapshot), Response> {
    let draft = draft(visit, id)?;
    match draft.snapshot.clone() {
        Some(snapshot) => Ok((draft, snapshot)),
        None if draft.snapshots.is_empty() => Err(trouble::missing(visit, "There is no copy of this share yet.")),
        None => Err(visit.go(&at(id, "when"), None)),
    }
}

fn row(draft: &mut Draft, folder: &[u8], file: &File, times: &Times) -> Row {
    let is_folder = file.kind == "folder";
    let path = joined(folder, file.name.as_ref());
    let shown = view::name(folder);
    let ticked = draft.is_ticked(&path);
    let number = draft.number(Wanted { path, folder: is_folder, size: file.size });
    Row {
        number,
        ticked,
        name: view::name(file.name.as_ref()),
        folder: is_folder,
        kind: file.kind.clone(),
        size: file.size.map_or_else(String::new, view::size),
        changed: file.changed_at.map(|at| times.at(at)),
        note: note(file),
        path: shown,
    }
}

fn note(file: &File) -> String {
    match (&file.gap, file.inconsistent) {
        (Some(why), _) => format!("Not in this copy, or not whole: {why}"),
        (None, true) => "Changed while it was copied: it may be inconsistent".into(),
        (None, false) => String::new(),
    }
}

fn crumbs(draft: &mut Draft, folder: &[u8]) -> Vec<Crumb> {
    let mut all = vec![Crumb { number: draft.number(Wanted { path: Vec::new(), folder: true, size: None }), name: draft.share.clone() }];
    let ends = folder.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).chain([folder.len()]);
    for end in ends.filter(|end| *end > 0) {
        let path = folder[..end].to_vec();
        let name = view::name(last(&path));
        all.push(Crumb { number: draft.number(Wanted { path, folder: true, size: None }), name });
    }
    all
}
