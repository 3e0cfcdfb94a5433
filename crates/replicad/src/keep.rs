//! What goes on by itself: listening while it is switched on, and order among what is kept for others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keepwell_api::error::chain;
use keepwell_link::{Limits, serve};
use keepwell_wire::KeyName;
use tokio::net::TcpListener;

use crate::house::{House, lock};
use crate::{meeting, orders};

/// Between two looks at what is kept.
const LOOK: Duration = Duration::from_secs(20);
/// Before an address that can't be had is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Elapsed seconds between two rounds of expiry. One after a start, too: a box may be switched off each night.
const HOUR: u64 = 3600;
/// Objects that are brought to their full redundancy in one look.
const MENDED_AT_ONCE: usize = 64;

/// Listens as long as it is switched on.
pub async fn listen(house: Arc<House>, at: SocketAddr) {
    let mut on = house.receiving.subscribe();
    loop {
        if on.wait_for(|on| *on).await.is_err() {
            return;
        }
        let failed = match TcpListener::bind(at).await.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((bound, listener)) => {
                set(&house, Some(bound), None);
                tracing::info!(%bound, "listening for other boxes");
                let receiver = Arc::clone(&house.receiver);
                let answer = move |stranger, request| Arc::clone(&receiver).answer(stranger, request);
                let off = async {
                    let _ = on.wait_for(|on| !*on).await;
                };
                serve(listener, &house.identity, Limits::default(), answer, off).await.err()
            }
            Err(error) => Some(error),
        };
        set(&house, None, failed.as_ref().map(ToString::to_string));
        if let Some(error) = failed {
            tracing::error!(%error, %at, "other boxes can't reach this one; it is tried again");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn set(house: &House, at: Option<SocketAddr>, failed: Option<String>) {
    let mut listening = lock(&house.listening);
    (listening.at, listening.failed) = (at, failed);
}

/// Looks after what is kept for others until the program ends.
pub async fn tend(house: Arc<House>) {
    let mut next = None;
    loop {
        let home = Arc::clone(&house);
        let done = tokio::task::spawn_blocking(move || {
            let now = home.tick()?;
            let due = *next.get_or_insert(now);
            look_after(&home, now >= due).map(|()| if now >= due { now + HOUR } else { due })
        });
        match done.await {
            Ok(Ok(due)) => next = Some(due),
            Ok(Err(error)) => {
                tracing::error!(error = chain(&error), "what is kept for others could not be looked after; it is tried again soon");
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn look_after(house: &House, is_hour: bool) -> Result<(), crate::error::Error> {
    house.tell_of_replaced();
    house.receiver.rest();
    house.keep_pace();
    for row in house.store.tenants()? {
        let name = KeyName(row.name);
        // It went, and the program ended before it could say so.
        if row.ended_at.is_some() && house.shelves.is_gone(row.vault) {
            house.let_go(&row)?;
            continue;
        }
        let ails = house.receiver.with(name, |tenant, _| tenant.pool().health().disks.iter().any(keepwell_storage::DiskHealth::is_ailing));
        if ails != Some(false) {
            // Closed first: a pool has one writer. Who is being answered keeps it open until then.
            house.receiver.expect(name, row.began);
            let opened = house.shelves.open(row.vault, &house.random());
            match opened {
                Ok(pool) => {
                    // One tenant that can't be opened is in no other one's way.
                    if let Err(error) = meeting::admit(house, &row, pool) {
                        tracing::error!(tenant = %name, error = chain(&error), "what is kept for another box can't be opened");
                    }
                }
                Err(error) => tracing::warn!(tenant = %name, error = chain(&error), "what is kept for another box can't be used now"),
            }
        }
        house.receiver.with(name, |tenant, now| {
            for object in tenant.pool().unsettled().into_iter().take(MENDED_AT_ONCE) {
                if let Err(error) = tenant.pool().repair_object(object) {
                    tracing::warn!(tenant = %name, error = chain(&error), "an object of another box could not be brought to full redundancy");
                    break;
                }
            }
            let due = orders::due(house, &row);
            if is_hour || !due.is_empty() || tenant.has_ordered(now) {
                match tenant.expire(now) {
                    Ok(gone) => {
                        orders::have_counted(house, &row, due);
                        if gone != (0, 0) {
                            tracing::info!(tenant = %name, snapshots = gone.0, packs = gone.1, "what was promised for so long was let go");
                        }
                    }
                    Err(error) => tracing::warn!(tenant = %name, error = chain(&error), "what is over could not be let go"),
                }
            }
        });
        if house.receiver.with(name, |tenant, _| tenant.is_over()) == Some(true)
            && let Err(error) = house.let_go(&row)
        {
            tracing::warn!(tenant = %name, error = chain(&error), "a tenant of whom nothing is kept could not be let go; it is tried again");
        }
    }
    if is_hour && let Err(error) = house.receiver.tidy(SystemTime::now()) {
        tracing::warn!(%error, "beginnings of objects could not be tidied up");
    }
    Ok(())
}
