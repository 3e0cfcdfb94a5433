//! What happens, told to whoever follows, as server-sent events: looked at once a second, and said when something is another than a second before. Names nothing: ids and counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::header;
use axum::response::{IntoResponse, Response};
use keepwell_api::Ending;
use keepwell_api::error::chain;
use keepwell_api::outflow::{Hung, Outflow, outflow};
use keepwell_api::vault::{Event, RestoreState, Run};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::verbs;
use crate::work::Kind;

const LOOK: Duration = Duration::from_secs(1);
/// Who follows hears something at least this often.
const ALIVE: Duration = Duration::from_secs(15);
/// Ages rise and proofs decay by themselves: the status is another one after a minute, whatever happens.
const STALE: Duration = Duration::from_secs(60);
/// Runs and restores that may end within a second.
const AT_ONCE: u32 = 50;

/// Tells until nobody listens, or the program ends.
pub(crate) async fn follow(appliance: Arc<Appliance>, mut ending: Ending) -> Result<Response, VaultdError> {
    let place = appliance.doors.follow()?;
    let (out, body) = outflow(None);
    tokio::spawn(async move {
        let _place = place;
        let told = tokio::select! {
            told = tell(appliance, &out) => told,
            () = ending.comes() => Ok(()),
            () = out.hung() => Err(Hung),
        };
        if told.is_ok() {
            let _ = out.end().await;
        }
    });
    Ok(([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")], body).into_response())
}

async fn tell(appliance: Arc<Appliance>, out: &Outflow) -> Result<(), Hung> {
    let (mut follower, mut said) = (Follower::new(appliance), Instant::now());
    loop {
        if follower.may_have_news() {
            let looked = tokio::task::spawn_blocking(move || {
                let news = follower.look();
                (follower, news)
            });
            let Ok((back, news)) = looked.await else { return Ok(()) };
            follower = back;
            match news {
                Ok(news) => {
                    for event in news {
                        out.put(line(&event)).await?;
                        said = Instant::now();
                    }
                }
                Err(error) => tracing::warn!(error = chain(&error), "what happens could not be told; it is tried again"),
            }
        }
        if said.elapsed() >= ALIVE {
            out.put(": still here\n\n").await?;
            said = Instant::now();
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// JSON has no line breaks, so one line of data is an event.
fn line(event: &Event) -> String {
    let name = match event {
        Event::Status { .. } => "status",
        Event::Run { .. } => "run",
        Event::Restore { .. } => "restore",
    };
    format!("event: {name}\ndata: {}\n\n", serde_json::to_string(event).expect("plain data becomes JSON"))
}

/// What one of them was told.
struct Follower {
    appliance: Arc<Appliance>,
    /// Changes of all kinds, as counted when the status was told.
    counted: Option<(u64, u64, u64)>,
    status_at: Instant,
    runs: Known,
    restores: Known,
}

/// Runs or restores: those under way with what was told of them, and the newest that was ever seen.
#[derive(Default)]
struct Known {
    under_way: BTreeMap<u64, (u64, u64)>,
    newest: u64,
}

impl Follower {
    fn new(appliance: Arc<Appliance>) -> Self {
        Self { appliance, counted: None, status_at: Instant::now(), runs: Known::default(), restores: Known::default() }
    }

    fn count(&self) -> (u64, u64, u64) {
        let state = &self.appliance.state;
        (*self.appliance.followed.borrow(), state.version(), state.history())
    }

    fn may_have_news(&self) -> bool {
        let works = &self.appliance.works;
        self.counted != Some(self.count())
            || self.status_at.elapsed() >= STALE
            || !self.runs.under_way.is_empty()
            || !self.restores.under_way.is_empty()
            || !works.all(Kind::Run).is_empty()
            || !works.all(Kind::Restore).is_empty()
    }

    fn look(&mut self) -> Result<Vec<Event>, VaultdError> {
        let (count, first) = (self.count(), self.counted.is_none());
        if first {
            // What was over before is no news.
            self.runs.newest = self.appliance.state.runs(None, 1)?.first().map_or(0, |run| run.id);
            self.restores.newest = self.appliance.state.restores(false, 1)?.first().map_or(0, |restore| restore.id);
        }
        let mut news = Vec::new();
        let (appliance, ended) = (&self.appliance, self.counted.is_none_or(|before| before.2 != count.2));
        for id in self.runs.changed(appliance, Kind::Run, ended)? {
            // A share that was removed has taken its runs with it.
            match verbs::run(appliance, id) {
                Err(VaultdError::NoSuch(_)) => {}
                run => news.push(Event::Run { run: run? }),
            }
        }
        for id in self.restores.changed(appliance, Kind::Restore, ended)? {
            let restore = RestoreState { to: String::new(), ..verbs::one_restore(appliance, id)? };
            news.push(Event::Restore { restore });
        }
        if self.counted != Some(count) || self.status_at.elapsed() >= STALE || !news.is_empty() && self.began_or_ended(&news) {
            news.insert(0, Event::Status { at: appliance.clock.believed() });
            self.status_at = Instant::now();
        }
        self.counted = Some(count);
        Ok(news)
    }

    fn began_or_ended(&self, news: &[Event]) -> bool {
        news.iter().any(|event| match event {
            Event::Status { .. } => false,
            Event::Run { run: Run { finished_at, counts, .. } } => finished_at.is_some() || counts.entries == 0,
            Event::Restore { restore } => restore.finished_at.is_some(),
        })
    }
}

impl Known {
    /// Those of which there is something to tell.
    fn changed(&mut self, appliance: &Appliance, kind: Kind, ended: bool) -> Result<Vec<u64>, VaultdError> {
        let now: BTreeMap<u64, (u64, u64)> =
            appliance.works.all(kind).into_iter().filter_map(|id| Some((id, appliance.works.get(kind, id)?.done()))).collect();
        let moved = now.iter().filter(|(id, done)| self.under_way.get(id) != Some(done)).map(|(id, _)| *id);
        let over = self.under_way.keys().filter(|id| !now.contains_key(id)).copied();
        let mut changed: Vec<u64> = moved.chain(over).collect();
        if ended {
            // Some may have begun and ended since.
            let newer = match kind {
                Kind::Run => appliance.state.runs(None, AT_ONCE)?.iter().map(|run| run.id).collect::<Vec<_>>(),
                Kind::Restore => appliance.state.restores(false, AT_ONCE)?.iter().map(|restore| restore.id).collect(),
            };
            changed.extend(newer.into_iter().filter(|id| *id > self.newest && !now.contains_key(id)));
        }
        changed.sort_unstable();
        changed.dedup();
        self.newest = self.newest.max(changed.last().copied().unwrap_or(0)).max(now.keys().last().copied().unwrap_or(0));
        self.under_way = now;
        Ok(changed)
    }
}
