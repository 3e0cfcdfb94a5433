//! The box's state: what is written is there after a restart, a run ends once, a newer state is refused, and another box's is taken over.

use keepwell_api::Base64;
use keepwell_api::vault::{Counts, Outcome, RestoreState, Run, Waits};
use keepwell_duties::{At, ShareClock, ShareId, Tier};
use keepwell_vaultd::state::{NewShare, State, StateError, new_share_id};

fn share(n: u8, name: &str) -> NewShare {
    let id = new_share_id([n; 8]);
    NewShare { id, name: name.into(), location: "smb://u@host/s".into(), tier: Tier::Two, credential: Some(vec![1, 2, 3]), may_write: None }
}

fn ended(id: u64, share: &ShareId, outcome: Outcome) -> Run {
    let counts = Counts { files: 4, ..Counts::default() };
    Run {
        id,
        share: share.0.clone(),
        started_at: 10,
        finished_at: Some(20),
        outcome: Some(outcome),
        snapshot: None,
        code: None,
        why: None,
        counts,
    }
}

#[test]
fn shares_and_runs_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.sqlite");
    let ehr = share(1, "EHR");
    let id = {
        let state = State::open(&path).unwrap();
        state.add_share(&ehr, 5).unwrap();
        assert!(matches!(state.add_share(&share(2, "EHR"), 5), Err(StateError::NameTaken)));
        let mut clock = ShareClock::new(At(5));
        clock.started(At(10));
        state.begin_run(&ehr.id, 10, &clock).unwrap()
    };
    let state = State::open(&path).unwrap();
    let found = state.share(&ehr.id).unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.tier, found.credential), ("EHR", Tier::Two, Some(vec![1, 2, 3])));
    assert!(found.clock.running);
    assert_eq!(state.open_runs().unwrap().iter().map(|run| run.id).collect::<Vec<_>>(), [id]);
}

#[test]
fn a_run_ends_once_and_stays_as_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.sqlite")).unwrap();
    let ehr = share(1, "EHR");
    state.add_share(&ehr, 5).unwrap();
    let clock = ShareClock::new(At(5));
    let id = state.begin_run(&ehr.id, 10, &clock).unwrap();
    assert!(state.end_run(&ended(id, &ehr.id, Outcome::Cut), &clock).unwrap());
    assert!(!state.end_run(&ended(id, &ehr.id, Outcome::Complete), &clock).unwrap());
    assert_eq!(state.run(id).unwrap().unwrap().outcome, Some(Outcome::Cut));
    assert!(state.open_runs().unwrap().is_empty());
}

#[test]
fn the_state_of_a_newer_release_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.sqlite");
    drop(State::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 1_000).unwrap();
    assert!(matches!(State::open(&path), Err(StateError::Newer { found: 1_000, .. })));
}

#[test]
fn another_boxs_state_is_taken_over_but_for_what_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.sqlite"), folder.path().join("new.sqlite"));
    let copy = folder.path().join("copy.sqlite");
    {
        let state = State::open(&old).unwrap();
        let ehr = share(1, "EHR");
        state.add_share(&ehr, 5).unwrap();
        let clock = ShareClock::new(At(5));
        let id = state.begin_run(&ehr.id, 10, &clock).unwrap();
        state.end_run(&ended(id, &ehr.id, Outcome::Complete), &clock).unwrap();
        state.set_document("policies", &vec!["kept"]).unwrap();
        state.note("time", &"the old box's").unwrap();
        state.post("mail", "{}", 7).unwrap();
        state.copy_to(&copy).unwrap();
    }
    let state = State::open(&new).unwrap();
    assert!(state.is_blank().unwrap());
    state.note("time", &"the new box's").unwrap();
    state.adopt(&copy).unwrap();
    assert!(!state.is_blank().unwrap());
    assert_eq!(state.shares().unwrap()[0].name, "EHR");
    assert_eq!(state.runs(None, 10).unwrap()[0].outcome, Some(Outcome::Complete));
    assert_eq!(state.document::<Vec<String>>("policies").unwrap().unwrap(), ["kept"]);
    assert_eq!(state.document::<String>("time").unwrap().unwrap(), "the new box's");
    assert_eq!(state.unsent().unwrap(), 0);
    assert!(state.adopt(&copy).is_err(), "twice is a mistake, and changes nothing");
    assert_eq!(state.shares().unwrap().len(), 1);
}

#[test]
fn a_grants_number_is_used_once() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.sqlite")).unwrap();
    assert!(state.burn(&[1; 16], 100, 50).unwrap());
    assert!(!state.burn(&[1; 16], 100, 60).unwrap());
    assert!(state.burn(&[2; 16], 100, 60).unwrap());
}

#[test]
fn what_is_to_be_said_does_not_wait_for_a_time_that_was_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.sqlite")).unwrap();
    let (wrong, right) = (2_000_000_000, 1_800_000_000);
    state.add_share(&share(1, "EHR"), wrong).unwrap();
    state.post("mail", "{}", wrong + 60).unwrap();
    state.shift_clocks(right - wrong).unwrap();
    assert_eq!(state.channels_due(right).unwrap(), [""; 0]);
    assert_eq!(state.channels_due(right + 60).unwrap(), ["mail"]);
    assert_eq!(state.shares().unwrap()[0].added_at, right);
}

#[test]
fn where_a_restore_is_is_kept_until_it_is_over_and_no_other_box_goes_on_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.sqlite");
    let sealed = Base64::from(vec![7; 40]);
    let mut restore = {
        let state = State::open(&path).unwrap();
        let restore = state.begin_restore(RestoreState { snapshot: "5a".into(), ..RestoreState::default() }).unwrap();
        state.keep_restore(&RestoreState { files: 3, waits: Some(Waits::Password), ..restore.clone() }, &sealed).unwrap();
        state.begin_restore(restore).unwrap()
    };
    let state = State::open(&path).unwrap();
    let id = restore.id - 1;
    assert_eq!(state.restore_course(id).unwrap(), Some(sealed.clone()));
    assert_eq!(state.restore_course(restore.id).unwrap(), None);
    let kept = state.restore(id).unwrap().unwrap();
    assert_eq!((kept.files, kept.waits, kept.finished_at), (3, Some(Waits::Password), None));

    let copy = folder.path().join("copy.sqlite");
    state.copy_to(&copy).unwrap();
    let other = State::open(&folder.path().join("other.sqlite")).unwrap();
    other.adopt(&copy).unwrap();
    assert!(other.restore(id).unwrap().is_some() && other.restore_course(id).unwrap().is_none());

    restore.id = id;
    restore.finished_at = Some(9);
    state.end_restore(&restore).unwrap();
    assert_eq!(state.restore_course(id).unwrap(), None);
    state.keep_restore(&restore, &sealed).unwrap();
    assert_eq!(state.restore_course(id).unwrap(), None, "what is over is not kept again");
}

#[test]
fn a_report_and_that_it_was_made_are_kept_together() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.sqlite")).unwrap();
    let both = ["a".to_owned(), "b".to_owned()];
    state.post_and_note(&both, "{}", 7, "digest", &7).unwrap();
    assert_eq!((state.unsent().unwrap(), state.document::<i64>("digest").unwrap()), (2, Some(7)));
    assert_eq!(state.waiting().unwrap().into_iter().collect::<Vec<_>>(), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    // As if the disk were full between the two.
    let sql = "CREATE TRIGGER full BEFORE UPDATE ON documents BEGIN SELECT RAISE(ABORT, 'full'); END";
    rusqlite::Connection::open(state.path()).unwrap().execute_batch(sql).unwrap();
    assert!(state.post_and_note(&both, "{}", 8, "digest", &8).is_err());
    assert_eq!((state.unsent().unwrap(), state.document::<i64>("digest").unwrap()), (2, Some(7)));
}

#[test]
fn an_open_emergency_of_another_box_is_only_to_be_looked_at_here() {
    let folder = tempfile::tempdir().unwrap();
    let (old, copy) = (State::open(&folder.path().join("old.sqlite")).unwrap(), folder.path().join("copy.sqlite"));
    let open = serde_json::json!({ "id": 7, "by": "break-glass", "hours": 2, "files_opened": 3, "secret": "00" });
    let before = serde_json::json!({ "id": 6, "hours": 1, "code": "signed-in", "files_opened": 0 });
    old.set_document("emergency", &serde_json::json!({ "last": 7, "open": open, "to_review": [before] })).unwrap();
    for name in ["first-pool", "digest"] {
        old.note(name, &1).unwrap();
    }
    old.copy_to(&copy).unwrap();
    let new = State::open(&folder.path().join("new.sqlite")).unwrap();
    new.adopt(&copy).unwrap();
    let review = serde_json::json!({ "id": 7, "hours": 2, "code": "sealed-code", "files_opened": 3 });
    let expected = serde_json::json!({ "last": 7, "open": null, "to_review": [before, review] });
    assert_eq!(new.document::<serde_json::Value>("emergency").unwrap(), Some(expected));
    assert_eq!((new.document::<i64>("first-pool").unwrap(), new.document::<i64>("digest").unwrap()), (None, None));
}
