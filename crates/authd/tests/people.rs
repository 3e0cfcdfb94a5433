//! People: the first owner, signing in, wrong attempts, other users, and what is told of all that.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

#[expect(dead_code, reason = "these tests need a part of it")]
mod desk;

use desk::{Desk, Fake, PASSWORD, by, code, secret};
use keepwell_api::Base64;
use keepwell_api::auth::{AddUser, ChangePassword, ChangeRole, Enrol, UserState};
use keepwell_api::grants::{Role, Scope, Verb};
use keepwell_authd::lockout::Origin;

#[test]
fn the_first_owner_is_claimed_once() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, lost) = Desk::claimed(folder.path());
    assert!(!desk.authority.status().unwrap().claimed);
    // The telephone did not take it in: again, under another name too.
    let owner = desk.claim("Dr. Second").unwrap();
    assert_eq!(code(desk.sign_in(&lost)), "sign-in-refused");
    desk.sign_in(&owner).unwrap();
    let status = desk.authority.status().unwrap();
    assert!(status.claimed && status.users == 1);
    assert_eq!(code(desk.claim("Mallory")), "claimed");
    assert_eq!(code(desk.claim("Dr. Second")), "claimed");
}

#[test]
fn all_that_is_wrong_has_one_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    desk.authority
        .add_user(&AddUser { session: session.clone(), name: "New".into(), role: Role::Operator, shares: Scope::default(), code: None })
        .unwrap();
    let gone = desk.add(&session, "Gone", Role::Operator);
    desk.authority.disable("gone", &by(&session)).unwrap();
    desk.world.pass(60);
    let right = owner.code(&desk.world);
    let wrong = [
        desk.sign_in_with("Dr. Owner", "wrong", &right),
        desk.sign_in_with("Dr. Owner", PASSWORD, &right),
        desk.sign_in_with("Nobody", PASSWORD, "123456"),
        desk.sign_in_with("New", PASSWORD, "123456"),
        desk.sign_in_with("Gone", &gone.password, &gone.code(&desk.world)),
        desk.sign_in_with("no/name", PASSWORD, "123456"),
        desk.sign_in_with("", "", ""),
    ];
    // The second has a right password and a code that is right but was used with the wrong password.
    let texts: Vec<String> = wrong.into_iter().map(|answer| answer.unwrap_err().to_string()).collect();
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
}

#[test]
fn a_code_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let now = owner.code(&desk.world);
    desk.world.pass(30);
    let later = owner.code(&desk.world);
    desk.sign_in_with("dr. owner", PASSWORD, &later).unwrap();
    assert_eq!(code(desk.sign_in_with("Dr. Owner", PASSWORD, &later)), "sign-in-refused");
    assert_eq!(code(desk.sign_in_with("Dr. Owner", PASSWORD, &now)), "sign-in-refused", "an earlier one, still in its time");
    desk.sign_in(&owner).unwrap();
}

#[test]
fn wrong_attempts_lock_out_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    desk.sign_in(&owner).unwrap();
    for _ in 0..5 {
        assert_eq!(code(desk.sign_in_with("Dr. Owner", "wrong", "000000")), "sign-in-refused");
    }
    assert_eq!(code(desk.sign_in(&owner)), "sign-in-refused", "right, but locked out");
    let world = desk.world.clone();
    drop(desk);
    let desk = Desk::open(folder.path(), &world);
    let user = &desk.authority.users().unwrap().users[0];
    assert_eq!((user.state, user.refused_from), (UserState::Active, 1), "from this computer alone");
    desk.world.pass(13 * 60);
    assert_eq!(code(desk.sign_in(&owner)), "sign-in-refused");
    desk.world.pass(60);
    desk.sign_in(&owner).unwrap();
    let codes: Vec<String> = desk.told().into_iter().map(|event| event.code).collect();
    // The others are told together, when the hour is over.
    let told = ["wrong-proof", "locked-out", "while-locked-out", "started", "while-locked-out", "signed-in"];
    assert_eq!(codes[3..], told, "{codes:?}");
}

#[test]
fn a_wrong_code_counts_like_a_wrong_password() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    for _ in 0..5 {
        assert_eq!(code(desk.sign_in_with("Dr. Owner", PASSWORD, "12345")), "sign-in-refused");
    }
    assert_eq!(code(desk.sign_in(&owner)), "sign-in-refused");
    // Somebody else is not kept from anything by it.
    desk.world.pass(15 * 60);
    let session = desk.session(&owner);
    let other = desk.add(&session, "Other", Role::Operator);
    (0..5).for_each(|_| drop(desk.sign_in_with("Dr. Owner", "wrong", "")));
    desk.sign_in(&other).unwrap();
}

#[test]
fn sessions_end_by_time_by_wish_and_by_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    // A clock that jumps ends none and lengthens none.
    desk.world.jump(-100_000);
    assert_eq!(desk.authority.check(&session).unwrap().user, "Dr. Owner");
    desk.world.jump(100_000);
    desk.world.pass(599);
    assert!(desk.authority.check(&session).is_ok() && desk.ask(&session, Verb::LogRead).is_ok());
    desk.world.pass(599);
    assert!(desk.authority.check(&session).is_ok());
    desk.world.pass(1);
    assert_eq!(code(desk.authority.check(&session)), "no-session", "a look does not keep it alive");
    assert_eq!(code(desk.ask(&session, Verb::LogRead)), "no-session");
    let session = desk.session(&owner);
    desk.authority.sign_out(&session).unwrap();
    assert_eq!(code(desk.ask(&session, Verb::LogRead)), "no-session");
    let session = desk.session(&owner);
    let world = desk.world.clone();
    drop(desk);
    let desk = Desk::open(folder.path(), &world);
    assert_eq!(code(desk.authority.check(&session)), "no-session");
    for wrong in [vec![], vec![0; 32], session.as_ref()[1..].to_vec()] {
        assert_eq!(code(desk.authority.check(&Base64::from(wrong))), "no-session");
    }
}

#[test]
fn an_owner_manages_users_and_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let add = |session: &Base64, name: &str| {
        desk.authority.add_user(&AddUser {
            session: session.clone(),
            name: name.into(),
            role: Role::Owner,
            shares: Scope::default(),
            code: None,
        })
    };
    for role in Role::ALL.iter().filter(|role| **role != Role::Owner) {
        let person = desk.add(&session, role.as_str(), *role);
        let theirs = desk.session(&person);
        assert_eq!(code(add(&theirs, "Mallory")), "not-allowed");
        assert_eq!(code(desk.authority.disable("Dr. Owner", &by(&theirs))), "not-allowed");
        assert_eq!(code(desk.authority.reset("Dr. Owner", &by(&theirs))), "not-allowed");
        let role = ChangeRole { session: theirs, role: Role::Owner, code: None };
        assert_eq!(code(desk.authority.change_role(&person.name, &role)), "not-allowed");
    }
    assert_eq!(code(add(&session, "OPERATOR")), "user-exists");
    assert_eq!(code(add(&session, "a/b")), "bad-name");
    assert_eq!(code(desk.authority.disable("Nobody", &by(&session))), "unknown-user");
    assert_eq!(desk.authority.users().unwrap().users.len(), 6);
    let told = desk.told();
    let refused = told.iter().filter(|event| event.code == "not-allowed").count();
    assert_eq!(refused, 5, "once a minute for each who tries");
}

#[test]
fn the_last_owner_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let demote = || desk.authority.change_role("Dr. Owner", &ChangeRole { session: session.clone(), role: Role::Auditor, code: None });
    let added = desk
        .authority
        .add_user(&AddUser { session: session.clone(), name: "Second".into(), role: Role::Owner, shares: Scope::default(), code: None })
        .unwrap();
    // One who has not enrolled can't help.
    assert_eq!(code(demote()), "last-owner");
    assert_eq!(code(desk.authority.disable("Dr. Owner", &by(&session))), "last-owner");
    assert_eq!(code(desk.authority.reset("Dr. Owner", &by(&session))), "last-owner");
    let second = desk.enrol("Second", added.code).unwrap();
    demote().unwrap();
    assert_eq!(code(desk.authority.disable("Second", &by(&session))), "not-allowed", "from the next request on");
    let seconds = desk.session(&second);
    desk.authority.disable("Dr. Owner", &by(&seconds)).unwrap();
    assert_eq!(code(desk.authority.check(&session)), "no-session");
    assert_eq!(code(desk.authority.disable("Second", &by(&seconds))), "last-owner");
}

#[test]
fn a_set_up_code_is_good_once_and_for_a_week() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let add = |name: &str| {
        let session = desk.session(&owner);
        desk.authority
            .add_user(&AddUser { session, name: name.into(), role: Role::Auditor, shares: Scope::default(), code: None })
            .unwrap()
            .code
    };
    let first = add("First");
    assert_eq!(code(desk.enrol("First", secret("AAAAA-AAAAA-AAAAA-AAAAA"))), "set-up-refused");
    assert_eq!(code(desk.enrol("Nobody", first.clone())), "set-up-refused");
    let short = Enrol { code: first.clone(), password: secret("short") };
    assert_eq!(code(desk.authority.enrol("First", &short)), "weak-password");
    let person = desk.enrol("First", first.clone()).unwrap();
    assert_eq!(code(desk.enrol("First", first)), "set-up-refused");
    desk.sign_in(&person).unwrap();
    let second = add("Second");
    assert_eq!(code(desk.enrol("First", second.clone())), "set-up-refused", "another's");
    desk.world.pass(8 * 24 * 3600);
    assert_eq!(code(desk.enrol("Second", second)), "set-up-refused");
}

#[test]
fn a_reset_takes_both_proofs_and_the_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let person = desk.add(&session, "Person", Role::Operator);
    let theirs = desk.session(&person);
    (0..5).for_each(|_| drop(desk.sign_in_with("Person", "wrong", "")));
    let set_up = desk.authority.reset("Person", &by(&session)).unwrap();
    assert_eq!(code(desk.authority.check(&theirs)), "no-session");
    assert_eq!(code(desk.sign_in(&person)), "sign-in-refused");
    let again = desk.enrol("Person", set_up.code).unwrap();
    desk.sign_in(&again).unwrap();
    assert_eq!(code(desk.sign_in(&person)), "sign-in-refused");
}

#[test]
fn a_password_is_changed_with_the_old_one_and_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, mut owner) = Desk::claimed(folder.path());
    let (session, other) = (desk.session(&owner), desk.session(&owner));
    let change = |password: &str, code: String, new: &str| {
        let change = ChangePassword { session: session.clone(), password: secret(password), code, new: secret(new) };
        desk.authority.change_password(&change, Origin::Console)
    };
    desk.world.pass(30);
    assert_eq!(code(change("wrong", owner.code(&desk.world), "another long password")), "wrong-proof");
    desk.world.pass(30);
    assert_eq!(code(change(PASSWORD, owner.code(&desk.world), "short")), "weak-password");
    change(PASSWORD, owner.code(&desk.world), "another long password").unwrap();
    assert!(desk.authority.check(&session).is_ok());
    assert_eq!(code(desk.authority.check(&other)), "no-session");
    assert_eq!(code(desk.sign_in(&owner)), "sign-in-refused");
    owner.password = "another long password".into();
    desk.sign_in(&owner).unwrap();
}

#[test]
fn users_come_back_from_a_copy_on_a_new_box() {
    let (folder, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let person = desk.add(&session, "Person", Role::Operator);
    (0..5).for_each(|_| drop(desk.sign_in_with("Person", "wrong", "")));
    let copy = desk.authority.export().unwrap();
    let restored = Desk::open(new.path(), &desk.world);
    let status = restored.authority.import(&copy).unwrap();
    assert!(status.claimed && status.users == 2);
    assert_eq!(code(restored.claim("Mallory")), "claimed");
    restored.sign_in(&owner).unwrap();
    assert_eq!(code(restored.sign_in(&person)), "sign-in-refused", "locked out there, locked out here");
    // Again, and who is here stays as they are: a role that was changed since, a code that was used.
    let session = restored.session(&owner);
    restored.authority.change_role("Person", &ChangeRole { session, role: Role::Auditor, code: None }).unwrap();
    restored.authority.import(&copy).unwrap();
    assert_eq!(restored.authority.users().unwrap().users[1].role, Role::Auditor);
    assert_eq!(restored.told().last().unwrap().fields["users"], "0");
}

#[test]
fn what_is_no_copy_changes_nothing() {
    let (folder, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (desk, _) = Desk::claimed(folder.path());
    let copy = String::from_utf8(desk.authority.export().unwrap().to_vec()).unwrap();
    let restored = Desk::open(new.path(), &Fake::new());
    let wrong = [
        String::new(),
        "{}".into(),
        copy.replace("\"version\":3", "\"version\":4"),
        copy.replace("\"version\":3", "\"version\":0"),
        copy.replace("\"recovery\":[", "\"recovery\":[\"AAAA\","),
        copy.replace("\"shares\":[]", "\"shares\":[\"a\\nb\"]"),
        copy.replace("\"tokens\":[]", "\"tokens\":[{}]"),
        copy.replace("\"handle\":\"\"", "\"handle\":\"AAAA\""),
        copy.replace("\"kib\":8", "\"kib\":4000000"),
        copy.replace("\"passes\":1", "\"passes\":4000000"),
        copy.replace("Dr. Owner", "Dr./Owner"),
        copy.replace("\"role\":\"owner\"", "\"role\":\"god\""),
        copy.replace("\"disabled\":false", "\"disabled\":false,\"more\":1"),
        copy[..copy.len() - 1].into(),
    ];
    for wrong in wrong {
        assert_ne!(wrong, copy);
        assert_eq!(code(restored.authority.import(wrong.as_bytes())), "bad-copy", "{wrong}");
    }
    assert_eq!(restored.authority.status().unwrap().users, 0);
}

#[test]
fn events_are_told_until_they_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    desk.sign_in(&owner).unwrap();
    let all = desk.told();
    assert_eq!(all.iter().map(|event| event.code.as_str()).collect::<Vec<_>>(), ["started", "claimed", "signed-in"]);
    assert_eq!(all.iter().map(|event| event.id).collect::<Vec<_>>(), [1, 2, 3]);
    let rest = desk.authority.events(2).unwrap();
    assert_eq!((&rest.events[..], rest.last), (&all[2..], 3));
    assert_eq!(desk.told(), all[2..], "what was taken is gone");
    // A number of another box's file takes nothing away.
    assert_eq!(desk.authority.events(4000).unwrap().events, all[2..]);
    assert_eq!(desk.authority.events(3).unwrap().events, []);
    let world = desk.world.clone();
    drop(desk);
    let desk = Desk::open(folder.path(), &world);
    assert_eq!(desk.told().iter().map(|event| event.id).collect::<Vec<_>>(), [4], "a number is given once");
}

/// Code in the console's place tries sessions and set-up codes that it does not have, and passwords: a few events an hour, and none is pushed out by it.
#[test]
fn what_can_be_tried_without_end_is_told_once_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    desk.sign_in(&owner).unwrap();
    desk.told();
    let before = desk.authority.events(0).unwrap().last;
    for n in 0..720_u16 {
        assert_eq!(code(desk.ask(&Base64::from(vec![0; 32]), Verb::Download)), "no-session");
        assert_eq!(code(desk.enrol("Nobody", secret("AAAAA"))), "set-up-refused");
        // From another computer each time, as one with many addresses does it.
        let from = format!("10.0.{}.{}", n / 200, n % 200);
        assert_eq!(code(desk.sign_in_at(&from, "Dr. Owner", "wrong", "")), "sign-in-refused");
        assert_eq!(code(desk.sign_in_at(&from, &format!("Somebody {n}"), "wrong", "")), "sign-in-refused");
        desk.world.pass(10);
    }
    let told: Vec<_> = desk.told().into_iter().filter(|event| event.id > before).collect();
    assert!(told.len() <= 24, "{}", told.len());
    let of = |code: &str, actor: &str| told.iter().filter(|event| event.code == code && event.actor == actor).collect::<Vec<_>>();
    let unknown = of("wrong-proof", "unknown");
    assert_eq!(
        unknown.iter().map(|event| event.fields.get("times").map(String::as_str)).collect::<Vec<_>>(),
        [None, Some("359"), None, Some("359")]
    );
    assert_eq!(unknown[1].fields["from"], "10.0.1.159", "the last one");
    assert_eq!((of("no-session", "").len(), of("wrong-set-up-code", "").len()), (4, 4));
    assert!(!told.iter().any(|event| event.actor.starts_with("Somebody")), "what is typed as a name is not told: it could be a password");
    assert!(matches!(desk.authority.users().unwrap().users[0].state, UserState::LockedOut { .. }), "many computers together");
}
