//! What a token gets that is limited to some shares, or only restores: nothing of others, not even that they are there. Knows nothing of how anything is asked.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use keepwell_api::Refusal;
use keepwell_api::auth::Token;
use keepwell_api::grants::Role;
use keepwell_api::vault::{RestoreState, Run, Share};
use serde_json::{Value, json};

use super::relay::{Relay, parsed};
use super::table::Told;
use crate::pages::front;

/// Whether this token sees all of that.
pub(super) fn sees_all(token: &Token, told: Told) -> bool {
    match told {
        Told::All => true,
        // As on the page: who restores only sees their own.
        Told::Restores | Told::Restore => token.shares.is_all() && token.role != Role::RestoreOnly,
        Told::Status | Told::Shares | Told::Runs | Told::Run | Told::Nothing => token.shares.is_all(),
    }
}

/// The answer as this token gets it.
pub(super) async fn limited(relay: &Relay, token: &Token, told: Told, body: axum::body::Body) -> Result<Value, Refusal> {
    let actor = format!("token:{}", token.name);
    // The name of a token that was revoked may be given again.
    let is_its_own = |restore: &RestoreState| restore.by == actor && restore.started_at >= token.made_at;
    Ok(match told {
        Told::All => parsed(body).await?,
        Told::Nothing => return Err(beyond()),
        Told::Status => json!(front::limited(parsed(body).await?, &token.shares)),
        Told::Shares => {
            let mut shares: Vec<Share> = parsed(body).await?;
            shares.retain(|share| token.shares.covers(&share.name));
            json!(shares)
        }
        Told::Runs => {
            let mut runs: Vec<Run> = parsed(body).await?;
            let own = own(relay, token).await?;
            runs.retain(|run| own.contains(&run.share));
            json!(runs)
        }
        Told::Run => {
            let run: Run = parsed(body).await?;
            if !own(relay, token).await?.contains(&run.share) {
                return Err(missing("run"));
            }
            json!(run)
        }
        Told::Restores => {
            let mut restores: Vec<RestoreState> = parsed(body).await?;
            restores.retain(is_its_own);
            json!(restores)
        }
        Told::Restore => {
            let restore: RestoreState = parsed(body).await?;
            if !is_its_own(&restore) {
                return Err(missing("restore"));
            }
            json!(restore)
        }
    })
}

/// Ids of the shares that the token may know of.
async fn own(relay: &Relay, token: &Token) -> Result<BTreeSet<String>, Refusal> {
    let shares: Vec<Share> = relay.known("/v1/shares").await?;
    Ok(shares.into_iter().filter(|share| token.shares.covers(&share.name)).map(|share| share.id).collect())
}

/// What can't be limited.
pub(super) fn beyond() -> Refusal {
    Refusal::text(StatusCode::FORBIDDEN, "scope", "this token is limited to some shares, and this can't be; nothing was told")
}

/// As vaultd says it of one that is not there.
fn missing(what: &str) -> Refusal {
    Refusal::text(StatusCode::NOT_FOUND, "not-found", format!("there is no such {what}"))
}
