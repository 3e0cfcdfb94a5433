//! diskd's routes. Hands requests to the watch, off the thread that listens, and turns refusals into answers. Decides nothing.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use keepwell_api::disks::{DiskDetail, Disks, Locate, Mounted, SelfTest, Serial, TakeOver, TakenOver, Typed, Vitals};
use keepwell_api::{Caller, Callers, Refusal};

use crate::error::DiskError;
use crate::watch::{Asker, Watch};
use crate::{locate, vitals};

type Answer<T> = Result<Json<T>, Refusal>;
type Disk = Path<Serial>;

/// All routes; `screens` are the users of the box's own screen.
pub fn routes(watch: Arc<Watch>, screens: Callers) -> Router {
    let at_the_screen = screens.guard(Router::new().route("/v1/boxes/take-over", post(take_over)).with_state(Arc::clone(&watch)));
    Router::new()
        .route("/v1/disks", get(list))
        .route("/v1/disks/{serial}", get(show))
        .route("/v1/disks/{serial}/prepare", post(prepare))
        .route("/v1/disks/{serial}/mount", post(mount))
        .route("/v1/disks/{serial}/unmount", post(unmount))
        .route("/v1/disks/{serial}/prepare-outward", post(prepare_outward))
        .route("/v1/disks/{serial}/outward", post(outward))
        .route("/v1/disks/{serial}/unmount-outward", post(unmount_outward))
        .route("/v1/disks/{serial}/grow", post(grow))
        .route("/v1/disks/{serial}/erase", post(erase))
        .route("/v1/disks/{serial}/self-test", post(self_test))
        .route("/v1/disks/{serial}/poll", post(poll))
        .route("/v1/disks/{serial}/locate", post(blink))
        .route("/v1/vitals", get(box_vitals))
        .with_state(watch)
        .merge(at_the_screen)
}

async fn list(State(watch): State<Arc<Watch>>) -> Answer<Disks> {
    blocking(move || Ok(watch.disks())).await
}

async fn show(State(watch): State<Arc<Watch>>, Path(serial): Disk) -> Answer<DiskDetail> {
    blocking(move || watch.detail(&serial)).await
}

async fn prepare(
    State(watch): State<Arc<Watch>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(serial): Disk,
    Json(typed): Json<Typed>,
) -> Answer<DiskDetail> {
    blocking(move || {
        watch.prepare(&serial, &typed, Asker { uid: caller.uid })?;
        watch.detail(&serial)
    })
    .await
}

async fn mount(State(watch): State<Arc<Watch>>, Path(serial): Disk, Json(typed): Json<Typed>) -> Answer<Mounted> {
    blocking(move || watch.mount(&serial, &typed)).await
}

async fn unmount(State(watch): State<Arc<Watch>>, Path(serial): Disk, Json(typed): Json<Typed>) -> Answer<DiskDetail> {
    blocking(move || {
        watch.unmount(&serial, &typed)?;
        watch.detail(&serial)
    })
    .await
}

async fn prepare_outward(
    State(watch): State<Arc<Watch>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(serial): Disk,
    Json(typed): Json<Typed>,
) -> Answer<Mounted> {
    blocking(move || watch.prepare_outward(&serial, &typed, Asker { uid: caller.uid })).await
}

async fn take_over(
    State(watch): State<Arc<Watch>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Json(order): Json<TakeOver>,
) -> Answer<TakenOver> {
    blocking(move || watch.take_over(&order, Asker { uid: caller.uid })).await
}

async fn outward(State(watch): State<Arc<Watch>>, Path(serial): Disk) -> Answer<Mounted> {
    blocking(move || watch.outward(&serial)).await
}

async fn unmount_outward(State(watch): State<Arc<Watch>>, Path(serial): Disk) -> Answer<DiskDetail> {
    blocking(move || {
        watch.unmount_outward(&serial)?;
        watch.detail(&serial)
    })
    .await
}

async fn grow(State(watch): State<Arc<Watch>>, Path(serial): Disk, Json(typed): Json<Typed>) -> Answer<DiskDetail> {
    blocking(move || {
        watch.grow(&serial, &typed)?;
        watch.detail(&serial)
    })
    .await
}

async fn erase(
    State(watch): State<Arc<Watch>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(serial): Disk,
    Json(mut typed): Json<Typed>,
) -> Answer<DiskDetail> {
    // It goes into the certificate, as a name and not as a text.
    typed.asked_by = typed.asked_by.map(|name| name.chars().filter(|c| !c.is_control()).take(200).collect());
    blocking(move || {
        watch.erase(&serial, &typed, Asker { uid: caller.uid })?;
        watch.detail(&serial)
    })
    .await
}

async fn self_test(State(watch): State<Arc<Watch>>, Path(serial): Disk, Json(test): Json<SelfTest>) -> Answer<DiskDetail> {
    blocking(move || {
        watch.self_test(&serial, test.kind)?;
        watch.detail(&serial)
    })
    .await
}

async fn poll(State(watch): State<Arc<Watch>>, Path(serial): Disk) -> Answer<DiskDetail> {
    blocking(move || {
        watch.poll_now(&serial)?;
        watch.detail(&serial)
    })
    .await
}

async fn blink(State(watch): State<Arc<Watch>>, Path(serial): Disk, Json(light): Json<Locate>) -> Answer<DiskDetail> {
    blocking(move || {
        locate::locate(&watch.connected(&serial)?, watch.places(), light.seconds)?;
        watch.detail(&serial)
    })
    .await
}

async fn box_vitals(State(watch): State<Arc<Watch>>) -> Answer<Vitals> {
    blocking(move || Ok(vitals::vitals(watch.mounts()))).await
}

/// Disks are slow: what they do must not keep others from being answered.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, DiskError> + Send + 'static) -> Answer<T> {
    let done = match tokio::task::spawn_blocking(work).await {
        Ok(Ok(answer)) => Ok(Json(answer)),
        Ok(Err(error)) => Err(refusal(&error)),
        Err(error) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", &error)),
    };
    done.inspect_err(|refusal| tracing::warn!(code = refusal.code, "a request was not carried out"))
}

fn refusal(error: &DiskError) -> Refusal {
    let status = match error {
        DiskError::Refused { code: "unknown-disk", .. } => StatusCode::NOT_FOUND,
        DiskError::Refused { .. } => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refusal::new(status, error.code(), error)
}
