//! The step of the first restore: a file that the box chose comes to this computer, and then the box tries many of its copies itself and compares them.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use keepwell_api::grants::Verb;
use keepwell_api::vault::{Outcome, RestoreState, Share, Started, TestRestores};

use super::progress::{self, Progress, Stage};
use super::{Rung, Trial, pick, rungs};
use crate::neighbours::Trouble;
use crate::pages::frame::{self, Frame};
use crate::pages::restore::draft::{Draft, Wanted, last, parent};
use crate::pages::restore::{download, job};
use crate::pages::runs::capital;
use crate::pages::shares;
use crate::sessions::Notice;
use crate::view::{self, Mark, When};
use crate::visit::Visit;

const PAGE: &str = "/setup/restore";

#[derive(Template)]
#[template(path = "setup_restore.html")]
struct RestorePage {
    frame: Frame,
    steps: Vec<Rung>,
    chosen: Result<Option<Chosen>, Trouble>,
    taken: bool,
    test: Option<Test>,
    proven: bool,
}

struct Chosen {
    share: String,
    name: String,
    folder: String,
    size: String,
    as_of: When,
}

struct Test {
    mark: Mark,
    words: String,
    why: Option<String>,
    going: bool,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let (progress, chosen, restores) =
        tokio::join!(Progress::of(&visit.app), chosen(&visit), visit.app.neighbours.get::<Vec<RestoreState>>("/v1/restores"));
    let restores = restores.unwrap_or_default();
    let test = restores.iter().filter(|state| job::is_test(state) && !state.dry_run).max_by_key(|state| state.id).map(shown);
    let frame = visit.frame("Set up: first restore");
    visit.show(&RestorePage {
        frame: if test.as_ref().is_some_and(|test| test.going) { frame.reloading(3) } else { frame },
        steps: rungs(&progress, Stage::Restore),
        chosen,
        taken: visit.kept(|kept| kept.setup.taken).unwrap_or_default(),
        test,
        proven: progress.at(Stage::Restore) == progress::Fact::Done,
    })
}

fn shown(state: &RestoreState) -> Test {
    let (files, going) = (view::count(state.files, "file", "files"), state.finished_at.is_none());
    let words = match state.outcome {
        _ if progress::is_proof(state) => format!("{files} came back from the copies, and each is byte for byte as it was backed up."),
        None => format!("{files} tried so far. Nothing on your server is touched."),
        Some(Outcome::Failed) => "Nothing is proven by it.".into(),
        Some(Outcome::Cancelled | Outcome::Cut) => "It did not come to its end, so nothing is proven by it. Begin it again.".into(),
        Some(_) => format!(
            "Of {files}, {} are not as they were backed up and {} are missing. Do not rely on this box before that is mended.",
            view::number(state.differing),
            view::number(state.missing)
        ),
    };
    Test { mark: job::mark(state), words, why: state.why.as_deref().map(capital), going }
}

/// The file that was chosen in this session; chosen now if none was.
async fn chosen(visit: &Visit) -> Result<Option<Chosen>, Trouble> {
    let before = visit.kept(|kept| kept.setup.draft.clone().and_then(|id| kept.drafts.get(&id).cloned()))?;
    let draft = match before {
        Some(draft) => Some(draft),
        None => choose(visit).await?,
    };
    Ok(draft.and_then(|draft| {
        let (wanted, snapshot) = (draft.wanted.first()?, draft.snapshot.as_ref()?);
        Some(Chosen {
            share: draft.share.clone(),
            name: view::name(last(&wanted.path)),
            folder: view::name(parent(&wanted.path)),
            size: wanted.size.map(view::size).unwrap_or_default(),
            as_of: frame::times(visit).at(snapshot.taken_at),
        })
    }))
}

/// A random file of the newest good snapshot of the first share that has one.
async fn choose(visit: &Visit) -> Result<Option<Draft>, Trouble> {
    let shares: Vec<Share> = visit.app.neighbours.get("/v1/shares").await?;
    let Some(share) = shares.into_iter().find(|share| share.newest_copy_at.is_some()) else { return Ok(None) };
    let snapshots = shares::snapshots(visit, &share.name).await?;
    let Some(newest) = snapshots.iter().find(|one| matches!(one.outcome, Outcome::Complete | Outcome::Partial)) else { return Ok(None) };
    let newest = newest.id.clone();
    let Some(file) = pick::random_file(visit, &newest).await? else { return Ok(None) };
    let mut id = [0; 8];
    getrandom::fill(&mut id).map_err(|_| Trouble::Busy)?;
    let draft = drafted(keepwell_api::hex::encode(&id), share.name, (snapshots, &newest), file);
    visit.kept(|kept| {
        kept.setup = Trial { draft: Some(draft.id.clone()), taken: false };
        kept.drafts.begin(draft.clone());
    })?;
    Ok(Some(draft))
}

fn drafted(id: String, share: String, (snapshots, newest): (Vec<keepwell_api::vault::Snapshot>, &str), file: Wanted) -> Draft {
    let mut draft = Draft::new(id, share, snapshots);
    draft.take(newest);
    draft.wanted = vec![file];
    draft
}

/// Another file.
pub(crate) async fn another(visit: Visit) -> Response {
    let forgotten = visit.kept(|kept| {
        if let Some(id) = std::mem::take(&mut kept.setup).draft {
            kept.drafts.end(&id);
        }
    });
    match forgotten {
        Ok(()) => visit.go(PAGE, None),
        Err(trouble) => visit.after::<()>(PAGE, Err(trouble), ""),
    }
}

/// Sends the file.
pub(crate) async fn take(visit: Visit) -> Response {
    let Ok(Some(id)) = visit.kept(|kept| kept.setup.draft.clone()) else { return visit.go(PAGE, None) };
    let answer = download::send(visit.clone(), Path(id)).await;
    if answer.status().is_success() {
        let _ = visit.kept(|kept| kept.setup.taken = true);
    }
    answer
}

/// Has the box try its copies, once a person has seen a file come back.
pub(crate) async fn test(visit: Visit) -> Response {
    if !visit.kept(|kept| kept.setup.taken).unwrap_or_default() {
        let notice = Notice { good: false, text: "Get the file first, and open it. Then let the box test many more.".into() };
        return visit.go(PAGE, Some(notice));
    }
    let done = visit.granted::<Started>(Verb::TestRestore, "/v1/test-restores", &TestRestores::default()).await;
    visit.after(PAGE, done, "The test has begun.")
}
