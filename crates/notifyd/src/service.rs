//! notifyd's one verb: a notice to a channel, for vaultd alone.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use jiff::tz::TimeZone;
use keepwell_api::notices::{Channel, Delivered, Delivery, Line};
use keepwell_api::{Callers, Refusal};
use tokio::sync::Semaphore;

use crate::error::{NotifyError, Peer};
use crate::{mail, smtp, syslog, webhook};

/// Deliveries at once. The others wait within their own time.
const AT_ONCE: usize = 16;

/// What deliveries need and requests do not bring.
#[derive(Clone, Debug)]
pub struct Place {
    /// Unix seconds.
    pub clock: fn() -> i64,
    /// In which mails name times.
    pub zone: TimeZone,
    /// Longest time for one delivery.
    pub deadline: Duration,
}

/// The route, for one user alone.
pub fn routes(place: Place, vaultd: u32) -> Router {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    Callers::only([vaultd]).guard(Router::new().route("/v1/send", post(send)).with_state((place, turns)))
}

async fn send(State((place, turns)): State<(Place, Arc<Semaphore>)>, Json(delivery): Json<Delivery>) -> Result<Json<Delivered>, Refusal> {
    let (id, kind) = (&delivery.notice.id, delivery.channel.kind());
    let done = match peer(&delivery.channel) {
        Ok(peer) => {
            let work = async {
                let _turn = turns.acquire().await;
                deliver(&peer, &delivery, &place).await
            };
            tokio::time::timeout(place.deadline, work)
                .await
                .unwrap_or_else(|_| Err(NotifyError::Timeout { peer: peer.clone(), seconds: place.deadline.as_secs() }))
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(delivered) => {
            tracing::info!(%id, kind, refused = delivered.refused.len(), "a notice was delivered");
            Ok(Json(delivered))
        }
        Err(error) => {
            tracing::warn!(%id, kind, code = error.failure().code(), error = &error as &dyn std::error::Error, "a notice was not delivered");
            Err(Refusal::from(&error))
        }
    }
}

async fn deliver(peer: &Peer, delivery: &Delivery, place: &Place) -> Result<Delivered, NotifyError> {
    let notice = &delivery.notice;
    let taken = |answer: Line| (answer, Vec::new());
    let (answer, refused) = match &delivery.channel {
        Channel::Email(email) => {
            let message = mail::compose(email, notice, &place.zone, (place.clock)())?;
            let taken = smtp::send(peer, email, &message).await?;
            (taken.answer, taken.refused)
        }
        Channel::Webhook(hook) => taken(webhook::send(peer, hook, notice, (place.clock)()).await?),
        Channel::Syslog(syslog) => taken(syslog::send(peer, syslog, notice).await?),
    };
    Ok(Delivered { delivered_at: (place.clock)(), answer, refused })
}

fn peer(channel: &Channel) -> Result<Peer, NotifyError> {
    match channel {
        Channel::Email(email) => Ok(Peer { what: "mail server", host: email.server.clone(), port: email.port }),
        Channel::Webhook(hook) => webhook::peer(hook),
        Channel::Syslog(syslog) => Ok(Peer { what: "log collector", host: syslog.server.clone(), port: syslog.port }),
    }
}
