//! The third and fourth step: where to, and what it would do. The check writes nothing; the restore is what was checked, byte for byte, and a new grant is for
//! that. The writing account's password stays in memory until then, and no longer.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{Conflict, Outcome, Restore, RestoreState, Share, Started};

use super::browse::chosen;
use super::download;
use super::draft::{Draft, Wanted, base64, parent};
use super::{Step, at, change, draft, job, steps};
use crate::neighbours::Trouble;
use crate::pages::address::Address;
use crate::pages::frame::{self, Frame};
use crate::pages::trouble;
use crate::sessions::Notice;
use crate::view::{self, Mark, When};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "restore_where.html")]
struct WherePage {
    frame: Frame,
    steps: Vec<Step>,
    id: String,
    share: String,
    as_of: When,
    error: Option<String>,
    wanted: Vec<String>,
    more: usize,
    one: bool,
    whole: bool,
    zip: bool,
    size: String,
    origin: Address,
    conflict: &'static str,
    code_download: bool,
    code_restore: bool,
}

/// The page.
pub(crate) async fn page(visit: Visit, Path(id): Path<String>) -> Response {
    show(&visit, &id, None).await
}

async fn show(visit: &Visit, id: &str, error: Option<String>) -> Response {
    let (draft, snapshot) = match chosen(visit, id) {
        Ok(chosen) => chosen,
        Err(answer) => return answer,
    };
    let Some(first) = draft.wanted.first() else { return visit.go(&at(id, "what"), None) };
    let typed = Address::typed(&visit.form);
    let origin = if error.is_some() { typed } else { origin(visit, &draft, first).await };
    let bytes = download::bound(&draft.wanted);
    visit.show(&WherePage {
        frame: visit.frame("Restore: where"),
        steps: steps(2),
        id: id.to_owned(),
        share: draft.share.clone(),
        as_of: frame::times(visit).at(snapshot.taken_at),
        error,
        wanted: draft
            .wanted
            .iter()
            .take(20)
            .map(|one| if one.path.is_empty() { "The whole share".into() } else { view::name(&one.path) })
            .collect(),
        more: draft.wanted.len().saturating_sub(20),
        one: draft.wanted.len() == 1,
        whole: first.path.is_empty(),
        zip: draft.wanted.len() > 1 || first.folder,
        size: bytes.map_or_else(String::new, view::size),
        origin,
        conflict: conflict_word(conflict(visit)),
        code_download: download::needs_code(visit, bytes),
        code_restore: visit.needs_code(Verb::Restore),
    })
}

/// Where it came from, without the account: that one can't write.
async fn origin(visit: &Visit, draft: &Draft, wanted: &Wanted) -> Address {
    let shares = visit.app.neighbours.get::<Vec<Share>>("/v1/shares").await.unwrap_or_default();
    let Some(share) = shares.into_iter().find(|share| share.name == draft.share) else {
        return Address { kind: "smb", ..Address::default() };
    };
    let mut address = Address::parse(&share.location);
    address.user = String::new();
    let folder = if wanted.folder { &wanted.path[..] } else { parent(&wanted.path) };
    // A name that is no UTF-8 can't be typed: then the share's root it is.
    if let Ok(folder) = std::str::from_utf8(folder)
        && !folder.is_empty()
    {
        address.share = format!("{}/{folder}", address.share);
    }
    address
}

fn conflict(visit: &Visit) -> Conflict {
    match visit.form.text("conflict") {
        "skip" => Conflict::Skip,
        "replace" => Conflict::Replace,
        "newer" => Conflict::Newer,
        _ => Conflict::Rename,
    }
}

fn conflict_word(conflict: Conflict) -> &'static str {
    match conflict {
        Conflict::Skip => "skip",
        Conflict::Replace => "replace",
        Conflict::Newer => "newer",
        Conflict::Refuse | Conflict::Rename => "rename",
    }
}

/// Begins the check of what was entered.
pub(crate) async fn check(visit: Visit, Path(id): Path<String>) -> Response {
    let (draft, snapshot) = match chosen(&visit, &id) {
        Ok(chosen) => chosen,
        Err(answer) => return answer,
    };
    let [wanted] = &draft.wanted[..] else {
        return show(
            &visit,
            &id,
            Some("Only one file or folder at a time can be written back to a share. Take their folder, or download them.".into()),
        )
        .await;
    };
    let to = match Address::typed(&visit.form).location() {
        Ok(to) => to,
        Err(why) => {
            visit.blame(&Trouble::Typed(why));
            return show(&visit, &id, Some(why.to_string())).await;
        }
    };
    let order = Restore {
        snapshot: snapshot.id.clone(),
        path: base64(&wanted.path),
        to,
        password: visit.form.some_secret("password"),
        conflict: conflict(&visit),
        dry_run: true,
    };
    match visit.granted::<Started>(Verb::Restore, "/v1/restores", &order).await {
        Ok(started) => match change(&visit, &id, |draft| draft.orders(order, started.id)) {
            Ok(()) => visit.go(&at(&id, "check"), None),
            Err(trouble) => trouble::failed(&visit, &trouble),
        },
        Err(Trouble::SignedOut) => visit.go("/sign-in", None),
        Err(trouble) => {
            visit.blame(&trouble);
            show(&visit, &id, Some(trouble.to_string())).await
        }
    }
}

#[derive(Template)]
#[template(path = "restore_check.html")]
struct CheckPage {
    frame: Frame,
    steps: Vec<Step>,
    id: String,
    share: String,
    what: String,
    as_of: When,
    to: String,
    conflict: &'static str,
    number: u64,
    check: Result<Checked, Trouble>,
    needs_code: bool,
}

struct Checked {
    going: bool,
    good: bool,
    mark: Mark,
    why: Option<String>,
    files: String,
    bytes: String,
    skipped: u64,
    missing: u64,
}

/// What it would do.
pub(crate) async fn checked(visit: Visit, Path(id): Path<String>) -> Response {
    let (draft, snapshot) = match chosen(&visit, &id) {
        Ok(chosen) => chosen,
        Err(answer) => return answer,
    };
    let (Some((order, check)), Some(wanted)) = (&draft.order, draft.wanted.first()) else { return visit.go(&at(&id, "where"), None) };
    let state = visit.app.neighbours.get::<RestoreState>(format!("/v1/restores/{check}")).await;
    let going = matches!(&state, Ok(state) if state.finished_at.is_none());
    let frame = visit.frame("Check before restoring");
    visit.show(&CheckPage {
        frame: if going { frame.reloading(3) } else { frame },
        steps: steps(3),
        id,
        share: draft.share.clone(),
        what: if wanted.path.is_empty() { "The whole share".into() } else { view::name(&wanted.path) },
        as_of: frame::times(&visit).at(snapshot.taken_at),
        to: order.to.clone(),
        conflict: meaning(order.conflict),
        number: *check,
        check: state.map(|state| of_state(&state)),
        needs_code: visit.needs_code(Verb::Restore),
    })
}

fn of_state(state: &RestoreState) -> Checked {
    Checked {
        going: state.finished_at.is_none(),
        good: is_good(state),
        mark: job::mark(state),
        why: state.why.as_deref().map(crate::pages::runs::capital),
        files: view::count(state.files, "file", "files"),
        bytes: view::size(state.written_bytes),
        skipped: state.skipped,
        missing: state.missing,
    }
}

/// Whether it came to its end, so that a person knows what they begin.
fn is_good(state: &RestoreState) -> bool {
    state.finished_at.is_some() && matches!(state.outcome, Some(Outcome::Complete | Outcome::Partial))
}

fn meaning(conflict: Conflict) -> &'static str {
    match conflict {
        Conflict::Refuse => "Stop: the target has to be empty",
        Conflict::Skip => "What is there stays as it is",
        Conflict::Replace => "What is there is replaced",
        Conflict::Rename => "Both are kept: what is restored gets another name",
        Conflict::Newer => "The newer one stays",
    }
}

/// Begins what was checked, and only if it is the check that the person saw.
pub(crate) async fn begin(visit: Visit, Path(id): Path<String>) -> Response {
    let draft = match draft(&visit, &id) {
        Ok(draft) => draft,
        Err(answer) => return answer,
    };
    let Some((order, check)) = draft.order else { return visit.go(&at(&id, "where"), None) };
    if let Err(refusal) = seen(&visit, check).await {
        return visit.go(&at(&id, "check"), Some(Notice { good: false, text: refusal }));
    }
    let order = Restore { dry_run: false, ..order };
    match visit.granted::<Started>(Verb::Restore, "/v1/restores", &order).await {
        Ok(started) => {
            // With it goes the password.
            let _ = visit.kept(|kept| kept.drafts.end(&id));
            visit.go(&format!("/restore/jobs/{}", started.id), None)
        }
        Err(trouble) => visit.after::<()>(&at(&id, "check"), Err(trouble), ""),
    }
}

async fn seen(visit: &Visit, check: u64) -> Result<(), String> {
    if visit.form.number("check") != Some(check) {
        return Err("Something else was checked since that page was shown. Nothing was begun: look at this check, then begin.".into());
    }
    match visit.app.neighbours.get::<RestoreState>(format!("/v1/restores/{check}")).await {
        Ok(state) if is_good(&state) => Ok(()),
        Ok(_) => Err("The check did not come to its end, or not yet. Nothing was begun.".into()),
        Err(trouble) => Err(trouble.to_string()),
    }
}
