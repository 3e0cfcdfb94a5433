//! Every sequence of events up to a length, and every pair of state and event, against what must never happen.

use super::*;

const STATES: [State; 8] = [
    State::New,
    State::Healthy,
    State::Suspect,
    State::Failing,
    State::Missing { leaving: false },
    State::Missing { leaving: true },
    State::Draining,
    State::Retired,
];

const EVENTS: [Event; 17] = [
    Event::Labelled,
    Event::Health(Outlook::Good),
    Event::Health(Outlook::Suspect),
    Event::Health(Outlook::Failing),
    Event::Errors { reads: 1, writes: 0 },
    Event::Errors { reads: 9, writes: 0 },
    Event::Errors { reads: 0, writes: 1 },
    Event::Errors { reads: 0, writes: 9 },
    Event::Stalled,
    Event::Gone,
    Event::Returned(Return::Current),
    Event::Returned(Return::Behind),
    Event::Returned(Return::Former),
    Event::DrainAsked,
    Event::Drained,
    Event::Replaced,
    Event::Removed,
];

/// What a driver that does as it is told has, after a sequence.
#[derive(Clone, Copy)]
struct World {
    state: State,
    /// A person asked, or the disk was failing when it went: it is to leave.
    asked: bool,
    writes: bool,
}

fn walk(world: World, depth: usize, seen: &mut usize) {
    if depth == 0 {
        return;
    }
    for event in EVENTS {
        let (next, orders) = step(world.state, event);
        let case = format!("{:?} and {event:?}: {next:?} {orders:?}", world.state);
        *seen += 1;
        let failing = world.state == State::Failing && !next.is_there();
        let asked = world.asked || failing || matches!(event, Event::DrainAsked | Event::Replaced | Event::Removed);
        let writes = match orders.first() {
            Some(Order::StartWrites) => true,
            Some(Order::StopWrites) => false,
            _ => world.writes,
        };
        assert_eq!(writes, next.takes_writes(), "{case}");
        if orders.contains(&Order::Forget) {
            assert!(asked && event == Event::Drained && next == State::Retired, "{case}: data is given up");
        }
        if next == State::Retired && world.state != State::Retired {
            let known = orders.contains(&Order::Forget) || event == Event::Returned(Return::Former);
            assert!(known, "{case}: a disk leaves that is neither drained nor a former one");
        }
        if world.state == State::Retired {
            assert_eq!(next, State::Retired, "{case}");
            assert!(orders.iter().all(|order| matches!(order, Order::Tell(..))), "{case}");
        }
        if !next.is_there() {
            let touches = [Order::StartWrites, Order::Drain, Order::CatchUp];
            assert!(!orders.iter().any(|order| touches.contains(order)), "{case}: nobody is there");
        }
        walk(World { state: next, asked, writes }, depth - 1, seen);
    }
}

#[test]
fn no_sequence_of_events_gives_data_up() {
    for state in [State::New, State::Healthy] {
        let mut seen = 0;
        walk(World { state, asked: false, writes: state.takes_writes() }, 5, &mut seen);
        assert_eq!(seen, (1..=5).map(|n| EVENTS.len().pow(n)).sum::<usize>());
    }
}

#[test]
fn every_change_for_the_worse_is_told_and_acted_upon() {
    for state in STATES {
        for event in EVENTS {
            let (next, orders) = step(state, event);
            let told = orders.iter().any(|order| matches!(order, Order::Tell(..)));
            assert!(told || next == state, "{state:?} and {event:?}: {next:?} in silence");
            if matches!(next, State::Suspect | State::Failing | State::Draining) && next != state {
                assert!(orders.contains(&Order::Drain), "{state:?} and {event:?}");
            }
            if next == (State::Missing { leaving: true }) && next != state {
                assert!(orders.contains(&Order::Rebuild), "{state:?} and {event:?}");
            }
        }
    }
}

#[test]
fn a_wrong_disk_that_is_pulled_and_returned_needs_nothing_but_repair() {
    let (missing, orders) = step(State::Healthy, Event::Gone);
    assert_eq!(orders, [Order::StopWrites, support(Notice::Missing)]);
    let (back, orders) = step(missing, Event::Returned(Return::Current));
    assert_eq!((back, orders), (State::Healthy, vec![Order::StartWrites, Order::CatchUp, practice(Notice::Back)]));
}

#[test]
fn a_suspect_disk_leaves_through_draining_only() {
    let mut state = State::Healthy;
    for (event, expected) in [
        (Event::Health(Outlook::Suspect), State::Suspect),
        (Event::Drained, State::Suspect),
        (Event::DrainAsked, State::Draining),
        (Event::Health(Outlook::Good), State::Draining),
        (Event::Gone, State::Missing { leaving: true }),
        (Event::Returned(Return::Behind), State::Draining),
        (Event::Drained, State::Retired),
        (Event::Labelled, State::Retired),
    ] {
        state = step(state, event).0;
        assert_eq!(state, expected, "{event:?}");
    }
}

#[test]
fn notices_are_sentences_for_people() {
    for notice in [Notice::Joined, Notice::Suspect, Notice::Former, Notice::Left] {
        let text = notice.to_string();
        assert!(!text.ends_with('.') && text.starts_with(|c: char| c.is_lowercase()), "{text}");
    }
}

fn disk(role: Role, state: DiskState, failure: Option<DiskErrorKind>) -> DiskHealth {
    let (slot, id, name, note) = (Some(0), Some([1; 16]), "disk-1".into(), String::new());
    let failed = failure.map(|kind| kind.to_string());
    DiskHealth { slot, id, name, role, state, note, failed, failure, is_behind: false, total_bytes: 0, free_bytes: 0, shards: 0 }
}

#[test]
fn a_disk_that_fails_writes_and_looks_bad_is_emptied_and_one_that_hangs_is_not() {
    use DiskErrorKind::{Denied, Io, ReadOnly, Stalled};
    let of = |failure, verdict| {
        let (state, orders) = hear(&disk(Role::Active, DiskState::Present, failure), verdict);
        (state, orders.contains(&Order::Drain))
    };
    for (failure, verdict, expected) in [
        (Some(Io), Some(Outlook::Suspect), (State::Suspect, true)),
        (Some(ReadOnly), None, (State::Suspect, true)),
        (Some(Io), Some(Outlook::Failing), (State::Failing, true)),
        (None, Some(Outlook::Suspect), (State::Suspect, true)),
        (Some(Stalled), Some(Outlook::Good), (State::Missing { leaving: false }, false)),
        (Some(Denied), Some(Outlook::Good), (State::Healthy, false)),
        (None, None, (State::Healthy, false)),
    ] {
        assert_eq!(of(failure, verdict), expected, "{failure:?} {verdict:?}");
    }
    let (state, orders) = hear(&disk(Role::Active, DiskState::Missing, None), Some(Outlook::Failing));
    assert_eq!((state, orders.contains(&support(Notice::Missing))), (State::Missing { leaving: false }, true));
    assert_eq!(hear(&disk(Role::Draining, DiskState::Present, Some(Io)), Some(Outlook::Suspect)), (State::Draining, vec![]));
    let behind = DiskHealth { is_behind: true, ..disk(Role::Active, DiskState::Present, None) };
    assert_eq!(hear(&behind, None), (State::Healthy, vec![Order::StartWrites, Order::CatchUp, practice(Notice::BackBehind)]));
}
