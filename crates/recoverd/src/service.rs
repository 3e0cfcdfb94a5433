//! recoverd's routes, for the box's own screen alone. Decides nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use keepwell_api::recovery::{BeginRecovery, GoOn};
use keepwell_api::vault::Done;
use keepwell_api::{Callers, Refusal};

use crate::RecoverdError;
use crate::work::Work;

type Shared = Arc<Work>;

/// All routes, for these users.
pub fn routes(work: Shared, screens: Callers) -> Router {
    let routes = Router::new()
        .route("/v1/recovery", get(async |State(work): State<Shared>| Json(work.status())).post(begin))
        .route("/v1/recovery/go", post(go_on));
    screens.guard(routes.with_state(work))
}

async fn begin(State(work): State<Shared>, Json(order): Json<BeginRecovery>) -> Response {
    answer(work.begin(order).await)
}

async fn go_on(State(work): State<Shared>, Json(order): Json<GoOn>) -> Response {
    answer(work.go_on(order.disks).map(|()| Done {}))
}

fn answer<T: serde::Serialize>(done: Result<T, RecoverdError>) -> Response {
    done.map(Json).map_err(|error| Refusal::from(&error)).into_response()
}
