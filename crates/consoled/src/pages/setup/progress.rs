//! How far a new box is: judged anew at each look by what the box's programs say, and stored nowhere. Looks only.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use keepwell_api::keys;
use keepwell_api::vault::{Outcome, PoolMaking, PoolPhase, RestoreState, Share, VaultState};
use keepwell_duties::{DutyKind, Standing, Status};

use crate::app::App;
use crate::neighbours::Trouble;
use crate::pages::restore::job;

/// What was seen is said so long without looking again.
const SEEN: Duration = Duration::from_secs(15);
/// The same where nobody could say: those who wait behind a look that failed do not repeat it one after the other.
const UNSEEN: Duration = Duration::from_secs(3);

/// A step of setting up, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Owner,
    Network,
    Disks,
    Share,
    Backup,
    Restore,
    Kit,
    Peer,
}

impl Stage {
    pub(crate) const ALL: [Self; 8] =
        [Self::Owner, Self::Network, Self::Disks, Self::Share, Self::Backup, Self::Restore, Self::Kit, Self::Peer];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Network => "Network and time",
            Self::Disks => "Disks",
            Self::Share => "Share",
            Self::Backup => "First backup",
            Self::Restore => "First restore",
            Self::Kit => "Papers",
            Self::Peer => "Second box",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Owner => "/account",
            Self::Network => "/setup/network",
            Self::Disks => "/setup/disks",
            Self::Share => "/setup/share",
            Self::Backup => "/setup/backup",
            Self::Restore => "/setup/restore",
            Self::Kit => "/setup/kit",
            Self::Peer => "/setup/peer",
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Owner => "Who answers for this box, with a password, an authenticator and recovery codes.",
            Self::Network => "Where this box is found, and what time it has.",
            Self::Disks => "What the copies are kept on.",
            Self::Share => "What is backed up, read by an account that can change nothing.",
            Self::Backup => "The first copy of all of it.",
            Self::Restore => "One file comes back to you, and the box tries many more.",
            Self::Kit => "Three papers, any two of which open the copies after a fire or a theft.",
            Self::Peer => "A copy in another building.",
        }
    }
}

/// What is known of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Done,
    Open,
    /// Who would know does not say.
    Unknown,
}

/// All that has to hold before a box is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pool: Fact,
    share: Fact,
    copy: Fact,
    restored: Fact,
    kit: Fact,
}

impl Progress {
    /// As it is now.
    pub(crate) async fn of(app: &App) -> Self {
        let box_ = &app.neighbours;
        let (vault, making, shares, restores, status, keys) = tokio::join!(
            box_.get::<VaultState>("/v1/vault"),
            box_.get::<PoolMaking>("/v1/pool"),
            box_.get::<Vec<Share>>("/v1/shares"),
            box_.get::<Vec<RestoreState>>("/v1/restores"),
            box_.get::<Status>("/v1/status"),
            box_.ask_keyd::<keys::Status>("/v1/status"),
        );
        let kit = keys.map_or(Fact::Unknown, |keys| kit(&keys, vault.as_ref().ok()));
        Self {
            pool: pool(vault.as_ref().ok(), making.ok().map(|making| making.phase)),
            share: shares.as_ref().map_or(Fact::Unknown, |shares| fact(!shares.is_empty())),
            copy: shares.as_ref().map_or(Fact::Unknown, |shares| fact(shares.iter().any(|share| share.newest_copy_at.is_some()))),
            restored: restored(&restores, status.as_ref().ok(), kit),
            kit,
        }
    }

    /// What is known of a step. An owner looks at it, so there is one; and nobody can say of an address whether it is the right one, so that step is over with
    /// the next that follows from it.
    pub(crate) fn at(&self, stage: Stage) -> Fact {
        match stage {
            Stage::Owner => Fact::Done,
            Stage::Network | Stage::Share => self.share,
            Stage::Disks => self.pool,
            Stage::Backup => self.copy,
            Stage::Restore => self.restored,
            Stage::Kit => self.kit,
            // Offsite says No until there is one; that keeps nobody from being ready here.
            Stage::Peer => fact(self.is_over()),
        }
    }

    /// The first step that is known to be open.
    pub(crate) fn next(&self) -> Option<Stage> {
        Stage::ALL.into_iter().filter(|stage| *stage != Stage::Peer).find(|stage| self.at(*stage) == Fact::Open)
    }

    /// Whether all is known to hold.
    pub(crate) fn is_over(&self) -> bool {
        [self.pool, self.share, self.copy, self.restored, self.kit].iter().all(|fact| *fact == Fact::Done)
    }
}

/// The step at which a box is that is not set up yet; none if it is, or if nobody can say.
pub(crate) async fn open_at(app: &App) -> Option<Stage> {
    // What was seen to hold is not asked for at each look at the front page.
    if app.set_up.load(Ordering::Relaxed) {
        return None;
    }
    // One looks, and the others wait for what it saw: each look is seven questions.
    let mut seen = app.progress.lock().await;
    let acts = app.acts.load(Ordering::Relaxed);
    if let Some((at, after, stage)) = *seen
        && after == acts
        && at.elapsed() < if stage.is_some() { SEEN } else { UNSEEN }
    {
        return stage;
    }
    let progress = Progress::of(app).await;
    app.set_up.store(progress.is_over(), Ordering::Relaxed);
    let stage = progress.next();
    *seen = Some((Instant::now(), acts, stage));
    stage
}

/// Somebody did something: what was seen before may not hold any more. Waits for nobody who looks.
pub(crate) fn look_anew(app: &App) {
    app.acts.fetch_add(1, Ordering::Relaxed);
}

fn fact(holds: bool) -> Fact {
    if holds { Fact::Done } else { Fact::Open }
}

/// A pool that is there and can't be opened now is neither made nor to be made.
fn pool(vault: Option<&VaultState>, phase: Option<PoolPhase>) -> Fact {
    match (vault, phase) {
        (Some(VaultState { unready: None, .. }), _) => Fact::Done,
        (_, Some(PoolPhase::None | PoolPhase::Making | PoolPhase::Begun)) => Fact::Open,
        _ => Fact::Unknown,
    }
}

/// The kit of this box's vault.
pub(crate) fn kit_of<'a>(keys: &'a keys::Status, vault: Option<&VaultState>) -> Option<&'a keys::VaultStatus> {
    match vault.and_then(|vault| vault.vault.as_ref()) {
        Some(id) => keys.vaults.iter().find(|known| known.vault == *id),
        None => keys.vaults.first(),
    }
}

fn kit(keys: &keys::Status, vault: Option<&VaultState>) -> Fact {
    fact(kit_of(keys, vault).is_some_and(|kit| kit.papers.iter().all(|paper| paper.confirmed_at.is_some())))
}

/// A person saw files come back equal. Restores are forgotten in the end: whoever has confirmed papers and a proven test came past this step.
fn restored(restores: &Result<Vec<RestoreState>, Trouble>, status: Option<&Status>, kit: Fact) -> Fact {
    let Ok(restores) = restores else { return Fact::Unknown };
    let proven = |status: &Status| {
        let mut tests = status.duties.iter().filter(|(duty, _)| duty.kind == DutyKind::TestRestore);
        tests.any(|(_, standing)| matches!(standing, Standing::Proven { .. } | Standing::Overdue { .. }))
    };
    fact(restores.iter().any(is_proof) || (kit == Fact::Done && status.is_some_and(proven)))
}

/// A test of the box's own copies that found all of them equal.
pub(crate) fn is_proof(state: &RestoreState) -> bool {
    let equal = state.compared > 0 && state.differing == 0 && state.missing == 0;
    job::is_test(state) && state.outcome == Some(Outcome::Complete) && equal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(facts: [Fact; 5]) -> Progress {
        let [pool, share, copy, restored, kit] = facts;
        Progress { pool, share, copy, restored, kit }
    }

    #[test]
    fn the_next_step_is_the_first_that_is_open_and_never_a_guess() {
        use Fact::{Done, Open, Unknown};
        for (facts, next, over) in [
            ([Open; 5], Some(Stage::Network), false),
            ([Done, Open, Open, Open, Open], Some(Stage::Network), false),
            ([Done, Done, Open, Open, Open], Some(Stage::Backup), false),
            ([Open, Done, Done, Done, Done], Some(Stage::Disks), false),
            ([Done, Done, Done, Done, Open], Some(Stage::Kit), false),
            ([Done, Done, Done, Done, Unknown], None, false),
            ([Unknown; 5], None, false),
            ([Done; 5], None, true),
        ] {
            let progress = progress(facts);
            assert_eq!((progress.next(), progress.is_over()), (next, over), "{facts:?}");
        }
    }

    #[test]
    fn disks_that_are_away_are_not_to_be_made_anew() {
        let vault = |code: Option<&str>| {
            let unready = code.map(|code| keepwell_api::vault::Unready { code: code.into(), text: String::new() });
            VaultState { unready, ..VaultState::default() }
        };
        for (code, phase, fact) in [
            (None, Some(PoolPhase::There), Fact::Done),
            (None, None, Fact::Done),
            (Some("no-pool"), Some(PoolPhase::None), Fact::Open),
            (Some("no-pool"), Some(PoolPhase::Begun), Fact::Open),
            (Some("no-pool"), Some(PoolPhase::There), Fact::Unknown),
            (Some("locked"), Some(PoolPhase::There), Fact::Unknown),
            (Some("no-pool"), None, Fact::Unknown),
        ] {
            assert_eq!(pool(Some(&vault(code)), phase), fact, "{code:?} {phase:?}");
        }
        assert_eq!(pool(None, None), Fact::Unknown);
    }

    #[test]
    fn only_equal_files_prove_that_they_come_back() {
        let test = RestoreState { files: 9, compared: 9, outcome: Some(Outcome::Complete), ..RestoreState::default() };
        assert!(is_proof(&test));
        for bad in [
            RestoreState { compared: 0, ..test.clone() },
            RestoreState { differing: 1, ..test.clone() },
            RestoreState { missing: 1, ..test.clone() },
            RestoreState { outcome: None, ..test.clone() },
            RestoreState { outcome: Some(Outcome::Partial), ..test.clone() },
            RestoreState { snapshot: "5a".into(), ..test.clone() },
        ] {
            assert!(!is_proof(&bad), "{bad:?}");
        }
    }
}
