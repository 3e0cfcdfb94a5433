//! What nights do while deletions are frozen, and when that ends: a share whose first snapshot no policy keeps, and a night that is long due.

use std::fs;

use keepwell_duties::{Keep, Policy, Tier};
use keepwell_vault::ScrubCursor;
use keepwell_vaultd::state::{NewShare, State, new_share_id};

use super::*;

const SCRUB: &str = "scrub";
const FORGETTING: &str = "forgetting";

/// A box of which a night wants to forget the first snapshot; `night` is what it knows of the last one.
fn heaped_up(frozen: bool, night: impl FnOnce(&str) -> Value) -> Stage {
    Stage::spoilt(|folder, first| {
        fs::create_dir(folder.join("state")).unwrap();
        let state = state(folder);
        let id = new_share_id([1; 8]);
        let location = "smb://reader@server/practice".into();
        let share = NewShare { id: id.clone(), name: "practice".into(), location, tier: Tier::Two, credential: None, may_write: None };
        state.add_share(&share, 0).unwrap();
        let mut share = state.share(&id).unwrap().unwrap();
        share.paused = true;
        state.change_share(&share).unwrap();
        let policy = Policy { keep: Keep { hourly: 0, daily: 0, weekly: 0, monthly: 0 }, ..Policy::of(Tier::Two) };
        state.note("policies", &[policy]).unwrap();
        state.note("settled", &true).unwrap();
        state.note(SCRUB, &ScrubCursor::new(0).encode()).unwrap();
        state.note(FORGETTING, &night(first)).unwrap();
        if frozen {
            state.note("frozen", &json!({ "by": "olga", "at": 1 })).unwrap();
        }
    })
}

fn state(folder: &Path) -> State {
    State::open(&folder.join("state/state.sqlite")).unwrap()
}

impl Stage {
    /// The pool is read again behind each night's work.
    fn night_is_over(&self, state: &State) {
        let begun = ScrubCursor::new(0).encode();
        self.until("the pool is read again", || state.document::<String>(SCRUB).unwrap().unwrap() != begun);
    }

    fn has_first(&self) -> bool {
        let body = json!({ "snapshot": self.first, "limit": 1 });
        self.ask("/v1/files", Verb::FilesList, &body).is_ok()
    }

    /// What the ledger has of deletions, in words.
    fn deletions(&self) -> Vec<String> {
        let records = keepwell_audit::read(&self.folder.path().join("state/ledger"), 1, 10_000).unwrap();
        let of = records.iter().filter(|record| record.event == keepwell_audit::Event::Deletion);
        of.filter_map(|record| match record.field("phase") {
            Some(keepwell_audit::Value::Text(phase)) => Some(phase.clone()),
            _ => None,
        })
        .collect()
    }
}

#[test]
fn a_night_heeds_the_freeze_and_what_heaped_up_waits_for_the_next() {
    let stage = heaped_up(true, |_| json!({ "at": 0 }));
    let state = state(stage.folder.path());
    stage.night_is_over(&state);
    assert!(stage.has_first() && stage.deletions().is_empty(), "{:?}", stage.deletions());
    state.note(FORGETTING, &json!({ "at": 0, "begun": [stage.first] })).unwrap();
    let before = now();
    stage.ask("/v1/deletions/thaw", Verb::DeletionsThaw, &json!({})).unwrap();
    let night: Value = state.document(FORGETTING).unwrap().unwrap();
    assert!(night["at"].as_i64().unwrap() >= before - 1 && night["put_off"] == json!(true), "{night}");
}

#[test]
fn what_was_begun_before_a_freeze_stays_and_what_was_not_frozen_goes() {
    let stage = heaped_up(false, |first| json!({ "at": now(), "begun": [first], "put_off": true }));
    let state = state(stage.folder.path());
    stage.night_is_over(&state);
    assert!(stage.has_first());
    assert_eq!(stage.deletions(), ["refused"]);
    let stage = heaped_up(false, |_| json!({ "at": 0 }));
    stage.until("the night forgets it", || !stage.has_first());
    stage.until("and says so", || stage.deletions() == ["begun", "done"]);
}
