//! replicad's routes on the box: for vaultd alone, which has checked a grant and written the ledger's record before it asks.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use keepwell_api::offsite::{
    CancelOrder, EndTenant, Events, Invite, Lacking, OFFERS_BYTES, Offers, Pace, Pair, Receiving, TakePlace, Unpair,
};
use keepwell_api::{Callers, Refusal};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::fetching;
use crate::house::House;

type Shared = Arc<House>;

/// All routes, for one user alone.
pub fn routes(house: Shared, vaultd: u32) -> Router {
    let routes = Router::new()
        .route("/v1/status", get(async |house: State<Shared>| beside(house, |house| house.status()).await))
        .route("/v1/events", get(events))
        .route(
            "/v1/receiving",
            post(async |house: State<Shared>, Json(order): Json<Receiving>| {
                beside(house, move |house| done(house.receive(order.on))).await
            }),
        )
        .route(
            "/v1/invitations",
            post(async |house: State<Shared>, Json(order): Json<Invite>| beside(house, move |house| house.invite(order)).await),
        )
        .route("/v1/pair", post(pair))
        .route(
            "/v1/place",
            post(async |house: State<Shared>, Json(order): Json<TakePlace>| {
                beside(house, move |house| done(house.take_place(&order))).await
            }),
        )
        .route("/v1/offers", post(offers).layer(DefaultBodyLimit::max(OFFERS_BYTES)))
        .route("/v1/orders/cancel", post(cancel))
        .route(
            "/v1/unpair",
            post(async |house: State<Shared>, Json(order): Json<Unpair>| beside(house, move |house| done(house.unpair(&order))).await),
        )
        .route(
            "/v1/end",
            post(async |house: State<Shared>, Json(order): Json<EndTenant>| beside(house, move |house| done(house.end(&order))).await),
        )
        .route("/v1/receipts", get(async |house: State<Shared>| beside(house, |house| house.receipts()).await))
        .route(
            "/v1/pace",
            post(async |house: State<Shared>, Json(order): Json<Pace>| beside(house, move |house| done(house.set_pace(order))).await),
        )
        .route("/v1/send", post(send))
        .route("/v1/prove", post(prove))
        .route("/v1/lacking", get(lacking))
        .route("/v1/objects/{class}/{id}", get(object));
    Callers::only([vaultd]).guard(routes.with_state(house))
}

#[derive(Debug, Deserialize)]
struct After {
    after: u64,
}

async fn events(house: State<Shared>, Query(which): Query<After>) -> Response {
    let found = move |house: &House| house.store.events(which.after).map(|(events, last)| Events { events, last }).map_err(Error::from);
    beside(house, found).await
}

async fn pair(State(house): State<Shared>, Json(order): Json<Pair>) -> Response {
    house.pair(order).await.map(Json).map_err(|error| refusal(&error)).into_response()
}

async fn cancel(State(house): State<Shared>, Json(order): Json<CancelOrder>) -> Response {
    done(house.cancel_order(&order).await).map(Json).map_err(|error| refusal(&error)).into_response()
}

async fn lacking(State(house): State<Shared>) -> Response {
    let found = fetching::lacking(&house).await.map(|objects| Lacking { objects });
    found.map(Json).map_err(|error| refusal(&error)).into_response()
}

async fn object(State(house): State<Shared>, Path((class, id)): Path<(String, String)>) -> Response {
    fetching::object(&house, &format!("{class}/{id}")).await.map_err(|error| refusal(&error)).into_response()
}

async fn send(house: State<Shared>) -> Response {
    let rung = |house: &House| {
        house.send_now();
        done(Ok(()))
    };
    beside(house, rung).await
}

async fn prove(house: State<Shared>) -> Response {
    let asked = |house: &House| {
        house.prove_now();
        done(Ok(()))
    };
    beside(house, asked).await
}

async fn offers(house: State<Shared>, Json(offers): Json<Offers>) -> Response {
    beside(house, move |house| done(house.hand_over(offers))).await
}

/// Nothing more is to be said.
#[derive(Serialize)]
struct Done {}

fn done(done: Result<(), Error>) -> Result<Done, Error> {
    done.map(|()| Done {})
}

/// Disks are waited for beside the runtime.
async fn beside<T: Serialize + Send + 'static>(
    State(house): State<Shared>,
    work: impl FnOnce(&House) -> Result<T, Error> + Send + 'static,
) -> Response {
    let done = tokio::task::spawn_blocking(move || work(&house)).await;
    let done = done.unwrap_or_else(|error| Err(Error::Own(std::io::Error::other(error))));
    done.map(Json).map_err(|error| refusal(&error)).into_response()
}

fn refusal(error: &Error) -> Refusal {
    let refusal = Refusal::from(error);
    tracing::warn!(code = refusal.code, "a request was not carried out");
    refusal
}
