//! What happens, as it happens: one ear at vaultd for all browsers, and a stream to each. Says that something changed and what kind of thing, never a name:
//! the browser asks for its page again. A stream keeps nobody signed in.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use keepwell_api::Client;
use keepwell_api::auth::{InSession, Session};
use keepwell_api::outflow::{Hung, Outflow, outflow};
use keepwell_api::vault::Event;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::app::App;
use crate::neighbours::Trouble;
use crate::visit::Visit;

/// Streams at a time; who comes then reloads by hand.
const STREAMS_MAX: usize = 128;
/// Between two looks whether the person is still signed in.
const LOOK: Duration = Duration::from_secs(20);
/// Before vaultd is listened to again.
const AGAIN: Duration = Duration::from_secs(3);

/// What is told to browsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Status,
    Run(u64),
    Restore(u64),
    Silent,
}

impl Told {
    fn json(self) -> String {
        match self {
            Self::Status => r#"{"kind":"status"}"#.into(),
            Self::Run(id) => format!(r#"{{"kind":"run","id":{id}}}"#),
            Self::Restore(id) => format!(r#"{{"kind":"restore","id":{id}}}"#),
            Self::Silent => r#"{"kind":"silent"}"#.into(),
        }
    }
}

/// All who look on.
#[derive(Debug)]
pub struct Live {
    told: broadcast::Sender<Told>,
    streams: Arc<AtomicUsize>,
}

impl Default for Live {
    fn default() -> Self {
        Self { told: broadcast::channel(64).0, streams: Arc::default() }
    }
}

/// Listens to vaultd as long as the program runs, beside everything else.
pub fn listen(app: &Arc<App>) {
    let (told, client) = (app.live.told.clone(), Client::new("keepwell-vaultd", app.neighbours.vaultd_socket(), Duration::from_secs(10)));
    let ear = move || loop {
        let heard = client.follow("/v1/events", &mut |event| {
            // Nobody may be looking on.
            let _ = told.send(match event {
                Event::Status { .. } => Told::Status,
                Event::Run { run } => Told::Run(run.id),
                Event::Restore { restore } => Told::Restore(restore.id),
            });
            ControlFlow::Continue(())
        });
        if let Err(error) = heard {
            tracing::debug!(error = &error as &dyn std::error::Error, "nothing is heard of vaultd");
        }
        let _ = told.send(Told::Silent);
        thread::sleep(AGAIN);
    };
    if let Err(error) = thread::Builder::new().name("ear".into()).spawn(ear) {
        tracing::error!(%error, "there are no live updates");
    }
}

/// A place among the streams, until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Server-sent events (HTML Living Standard, section 9.2).
pub(crate) async fn stream(visit: Visit) -> Response {
    let streams = &visit.app.live.streams;
    let place = Place(Arc::clone(streams));
    if streams.fetch_add(1, Ordering::Relaxed) >= STREAMS_MAX {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (out, body) = outflow(None);
    let told = visit.app.live.told.subscribe();
    tokio::spawn(async move {
        let _place = place;
        // Whoever went away hears nothing more, and need not.
        let _ = tell(&visit, &out, told).await;
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn tell(visit: &Visit, out: &Outflow, mut told: broadcast::Receiver<Told>) -> Result<Infallible, Hung> {
    out.put("retry: 5000\n\n").await?;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        let text = tokio::select! {
            () = out.hung() => return Err(Hung),
            _ = looks.tick() => match signed_in(visit).await {
                // An event, and no comment: a browser's page hears of those alone.
                true => "event: here\ndata: {}\n\n".to_owned(),
                false => {
                    out.put("data: {\"kind\":\"signed-out\"}\n\n").await?;
                    out.end().await?;
                    return Err(Hung);
                }
            },
            event = told.recv() => match event {
                Ok(event) => format!("data: {}\n\n", event.json()),
                // Who missed some asks for the page anyway.
                Err(RecvError::Lagged(_)) => format!("data: {}\n\n", Told::Status.json()),
                Err(RecvError::Closed) => return Err(Hung),
            },
        };
        out.put(text).await?;
    }
}

async fn signed_in(visit: &Visit) -> bool {
    let Ok(person) = visit.person() else { return false };
    let asked = visit.app.neighbours.authd::<Session>("/v1/sessions/check", InSession { session: person.session.clone() }).await;
    !matches!(asked, Err(Trouble::SignedOut))
}
