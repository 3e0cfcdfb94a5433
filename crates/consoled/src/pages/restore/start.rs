//! Where a restore begins: which share, and what was restored lately.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use keepwell_api::grants::{Role, Verb};
use keepwell_api::vault::{ListSnapshots, Outcome, RestoreState, Share, Snapshot, Started, TestRestores};

use super::draft::Draft;
use super::{at, job};
use crate::neighbours::Trouble;
use crate::pages::frame::{self, Frame};
use crate::pages::{shares, trouble};
use crate::view::{self, Mark, Times, When};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "restore.html")]
struct StartPage {
    frame: Frame,
    shares: Result<Vec<Row>, Trouble>,
    jobs: Result<Vec<Job>, Trouble>,
    may_test: bool,
}

struct Row {
    name: String,
    newest: Option<(When, Mark)>,
    complete: Option<When>,
    copies: String,
}

struct Job {
    id: u64,
    mark: Mark,
    by: String,
    at: When,
    files: String,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let times = frame::times(&visit);
    let all = ListSnapshots::default();
    let snapshots = visit.granted::<Vec<Snapshot>>(Verb::SnapshotsList, "/v1/snapshots", &all);
    let (snapshots, jobs) = tokio::join!(snapshots, visit.app.neighbours.get::<Vec<RestoreState>>("/v1/restores"));
    if let Err(Trouble::SignedOut) = snapshots {
        return visit.go("/sign-in", None);
    }
    let jobs = jobs.map(|jobs| {
        let mut jobs: Vec<_> = jobs.into_iter().filter(|job| !job.dry_run && may_see(&visit, job)).collect();
        jobs.sort_by_key(|job| std::cmp::Reverse(job.id));
        jobs.truncate(20);
        jobs.iter().map(|job| line(job, &times)).collect()
    });
    visit.show(&StartPage {
        frame: visit.frame("Restore"),
        shares: snapshots.map(|all| rows(&all, &times)),
        jobs,
        may_test: visit.may(Verb::TestRestore),
    })
}

/// Who began it, and who answers for the box.
pub(crate) fn may_see(visit: &Visit, job: &RestoreState) -> bool {
    let Ok(person) = visit.person() else { return false };
    matches!(person.known.role, Role::Owner | Role::Operator) || person.known.user == job.by
}

fn line(state: &RestoreState, times: &Times) -> Job {
    Job {
        id: state.id,
        mark: job::mark(state),
        by: state.by.clone(),
        at: times.at(state.started_at),
        files: view::count(state.files, "file", "files") + if job::is_test(state) { ", as a test" } else { "" },
    }
}

fn rows(all: &[Snapshot], times: &Times) -> Vec<Row> {
    let mut by_share: BTreeMap<&str, Vec<&Snapshot>> = BTreeMap::new();
    all.iter().for_each(|snapshot| by_share.entry(&snapshot.share).or_default().push(snapshot));
    let row = |(name, copies): (&str, Vec<&Snapshot>)| {
        let newest = |wanted: &dyn Fn(&Snapshot) -> bool| copies.iter().filter(|one| wanted(one)).max_by_key(|one| one.taken_at).copied();
        Row {
            name: name.to_owned(),
            newest: newest(&|_| true).map(|one| (times.at(one.taken_at), view::of_outcome(Some(one.outcome)))),
            complete: newest(&|one| one.outcome == Outcome::Complete).map(|one| times.at(one.taken_at)),
            copies: view::count(copies.len() as u64, "copy", "copies"),
        }
    };
    by_share.into_iter().map(row).collect()
}

/// Begins to prepare one, of the share that was named by its name or its id.
pub(crate) async fn begin(visit: Visit) -> Response {
    let mut name = visit.form.text("name").to_owned();
    if let Some(id) = visit.form.some("share") {
        match visit.app.neighbours.get::<Vec<Share>>("/v1/shares").await {
            Ok(all) => match all.into_iter().find(|share| share.id == id) {
                Some(share) => name = share.name,
                None => return trouble::missing(&visit, "There is no such share."),
            },
            Err(trouble) => return trouble::failed(&visit, &trouble),
        }
    }
    let snapshots = match shares::snapshots(&visit, &name).await {
        Ok(snapshots) => snapshots,
        Err(trouble) => return visit.after::<()>("/restore", Err(trouble), ""),
    };
    let mut id = [0; 8];
    if getrandom::fill(&mut id).is_err() {
        return trouble::failed(&visit, &Trouble::Busy);
    }
    let id = keepwell_api::hex::encode(&id);
    match visit.kept(|kept| kept.drafts.begin(Draft::new(id.clone(), name, snapshots))) {
        Ok(()) => visit.go(&at(&id, "when"), None),
        Err(trouble) => trouble::failed(&visit, &trouble),
    }
}

/// Has the box test now that its copies come back.
pub(crate) async fn test(visit: Visit) -> Response {
    let done = visit.granted::<Started>(Verb::TestRestore, "/v1/test-restores", &TestRestores::default()).await;
    visit.after("/restore", done, "The test has begun. The front page shows its proof, or an incident, when it is over.")
}
