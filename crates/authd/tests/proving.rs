//! Second factors: recovery codes, and showing one again for what is dangerous; and who locks whom out from where.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

#[expect(dead_code, reason = "these tests need a part of it")]
mod desk;

use desk::{Desk, PASSWORD, Person, by, code, secret};
use keepwell_api::Base64;
use keepwell_api::auth::{AddUser, AskGrant, ByOwner, ChangeFactor, ChangeRole, ChangeShares, ConfirmFactor, MakeToken};
use keepwell_api::grants::{FRESH_S, Role, Scope, UNASKED_DOWNLOAD_BYTES, Verb, allows, needs_fresh_factor, needs_own_factor};
use keepwell_authd::lockout::Origin;

fn sign_in_with_recovery(desk: &Desk, person: &Person, n: usize) -> &'static str {
    code(desk.sign_in_with(&person.name, &person.password, &person.recovery[n]))
}

#[test]
fn a_recovery_code_stands_in_once_also_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    assert_eq!(owner.recovery.len(), 10);
    let session = desk.sign_in_with("Dr. Owner", PASSWORD, &owner.recovery[0].to_lowercase()).unwrap().session;
    assert_eq!(desk.authority.check(&session).unwrap().recovery_codes_left, 9);
    assert_eq!(sign_in_with_recovery(&desk, &owner, 0), "sign-in-refused");
    let world = desk.world.clone();
    drop(desk);
    let desk = Desk::open(folder.path(), &world);
    assert_eq!(sign_in_with_recovery(&desk, &owner, 0), "sign-in-refused");
    assert_eq!(sign_in_with_recovery(&desk, &owner, 1), "done");
    // Another user's is nobody else's.
    let session = desk.session(&owner);
    let other = desk.add(&session, "Other", Role::Operator);
    assert_eq!(code(desk.sign_in_with("Other", &other.password, &owner.recovery[2])), "sign-in-refused");
    let told = desk.told();
    let used: Vec<_> = told.iter().filter(|event| event.code == "recovery-code-used").collect();
    assert_eq!((used.len(), used[1].fields["left"].as_str(), used[1].actor.as_str()), (2, "8", "Dr. Owner"));
    assert!(!told.iter().any(|event| format!("{event:?}").contains(&owner.recovery[0])));
}

#[test]
fn one_that_came_with_a_wrong_password_or_while_locked_out_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    for _ in 0..5 {
        assert_eq!(code(desk.sign_in_with("Dr. Owner", "wrong", &owner.recovery[0])), "sign-in-refused");
    }
    assert_eq!(sign_in_with_recovery(&desk, &owner, 0), "sign-in-refused", "locked out");
    desk.world.pass(15 * 60);
    assert_eq!(sign_in_with_recovery(&desk, &owner, 0), "done");
}

/// 80 bits are not guessed, and guessing locks out like any other wrong code.
#[test]
fn guessed_recovery_codes_lock_out() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    for n in 0..5 {
        let guess = format!("AAAA-AAAA-AAAA-AAA{n}");
        assert_eq!(code(desk.sign_in_with("Dr. Owner", PASSWORD, &guess)), "sign-in-refused");
    }
    assert_eq!(sign_in_with_recovery(&desk, &owner, 0), "sign-in-refused");
    assert_eq!(desk.authority.users().unwrap().users[0].refused_from, 1);
}

#[test]
fn new_codes_and_a_new_authenticator_void_those_before() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let (session, other) = (desk.session(&owner), desk.session(&owner));
    let with = |password: &str, code: &str| ChangeFactor { session: session.clone(), password: secret(password), code: code.into() };
    desk.world.pass(30);
    let wrong = with("wrong", &owner.code(&desk.world));
    assert_eq!(code(desk.authority.new_recovery_codes(&wrong, Origin::Console)), "wrong-proof");
    assert_eq!(code(desk.authority.new_authenticator(&with(PASSWORD, "123456"), Origin::Console)), "wrong-proof");
    desk.world.pass(30);
    let made = desk.authority.new_recovery_codes(&with(PASSWORD, &owner.code(&desk.world)), Origin::Console).unwrap();
    assert_eq!(code(desk.authority.check(&other)), "no-session");
    assert_eq!(sign_in_with_recovery(&desk, &owner, 0), "sign-in-refused");
    // The telephone is lost: a recovery code brings another one, for the last owner too.
    let code_left = String::from_utf8(made.recovery_codes[4].as_ref().to_vec()).unwrap();
    let enrolled = desk.authority.new_authenticator(&with(PASSWORD, &code_left), Origin::Console).unwrap();
    let again = Person::new("Dr. Owner", PASSWORD, &enrolled);
    // Until the new one has shown a code, in this session, the one from before counts and its codes do.
    assert_eq!(code(desk.sign_in(&again)), "sign-in-refused");
    let other = desk.session(&owner);
    assert_eq!(desk.authority.check(&session).unwrap().recovery_codes_left, 9);
    let confirm = |session: &Base64, code: String| {
        crate::code(desk.authority.confirm_authenticator(&ConfirmFactor { session: session.clone(), code }))
    };
    assert_eq!(confirm(&other, again.code(&desk.world)), "no-pending");
    assert_eq!(confirm(&session, "000000".into()), "wrong-code");
    assert_eq!(confirm(&session, again.code(&desk.world)), "done");
    assert_eq!(confirm(&session, again.code(&desk.world)), "no-pending");
    assert_eq!(code(desk.authority.check(&other)), "no-session");
    assert_eq!(code(desk.sign_in(&owner)), "sign-in-refused");
    desk.sign_in(&again).unwrap();
    assert_eq!(desk.authority.check(&session).unwrap().recovery_codes_left, 10);
    let told = desk.codes_told();
    for code in ["recovery-codes-made", "recovery-code-used", "authenticator-changed"] {
        assert_eq!(told.iter().filter(|told| *told == code).count(), 1, "{code}: {told:?}");
    }
}

/// Roles x verbs x how fresh: what takes a fresh factor gets one asked for, and nothing else does.
#[test]
fn what_is_dangerous_takes_a_second_factor_of_the_last_five_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let people: Vec<_> = Role::ALL.iter().map(|role| (role, desk.add(&session, &format!("The {role}"), *role))).collect();
    for (role, person) in people {
        for (verb, max_bytes) in Verb::ALL.iter().flat_map(|verb| [None, Some(UNASKED_DOWNLOAD_BYTES)].map(|bound| (*verb, bound))) {
            if verb == Verb::UsersManage {
                continue;
            }
            let theirs = desk.session(&person);
            let ask = |code: Option<String>| {
                let ask = AskGrant { code, ..AskGrant::in_session(theirs.clone(), verb, "ab".repeat(32), max_bytes) };
                crate::code(desk.authority.grant(&ask))
            };
            let allowed = |otherwise| if allows(*role, verb) { otherwise } else { "not-allowed" };
            // More than a session gets in an hour: each takes a code of its own.
            let unbounded = verb == Verb::Download && max_bytes.is_none();
            let unasked = if unbounded { "step-up" } else { "done" };
            let signed_in = if needs_own_factor(verb) { "step-up" } else { unasked };
            assert_eq!(ask(None), allowed(signed_in), "{role} {verb}: just signed in");
            desk.world.pass(FRESH_S);
            let dangerous = needs_fresh_factor(verb, max_bytes);
            assert_eq!(ask(None), allowed(if dangerous { "step-up" } else { "done" }), "{role} {verb} {max_bytes:?}");
            let shown = person.code(&desk.world);
            assert_eq!(ask(Some(shown.clone())), allowed("done"), "{role} {verb}");
            assert_eq!(ask(Some(shown)), allowed("wrong-code"), "{role} {verb}: a code is good once");
            assert_eq!(ask(None), allowed(unasked), "{role} {verb}: it was shown");
            desk.authority.sign_out(&theirs).unwrap();
        }
    }
}

#[test]
fn wrong_codes_end_the_session_and_lock_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    desk.world.pass(FRESH_S);
    for n in 0..5 {
        assert_eq!(code(desk.ask_with(&session, Verb::Restore, Some(format!("{n}")))), "wrong-code");
    }
    assert_eq!(code(desk.ask_with(&session, Verb::Restore, Some(owner.code(&desk.world)))), "no-session");
    desk.sign_in(&owner).unwrap();
    // Whom somebody keeps from signing in can still act in the session they have.
    let session = desk.session(&owner);
    for _ in 0..5 {
        drop(desk.sign_in_with("Dr. Owner", "wrong", ""));
    }
    desk.world.pass(FRESH_S);
    assert_eq!(code(desk.ask(&session, Verb::Restore)), "step-up");
    desk.ask_with(&session, Verb::Restore, Some(owner.code(&desk.world))).unwrap();
    desk.world.pass(FRESH_S);
    desk.ask_with(&session, Verb::Restore, Some(owner.recovery[0].clone())).unwrap();
    let told = desk.codes_told();
    assert_eq!(told.iter().filter(|code| *code == "wrong-code").count(), 5);
    assert_eq!(told.iter().filter(|code| *code == "proven-again").count(), 2 + 2, "two of them as the sessions began");
}

/// One session's factor is another's not.
#[test]
fn each_session_has_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let ridden = desk.session(&owner);
    desk.world.pass(FRESH_S);
    let own = desk.session(&owner);
    desk.ask(&own, Verb::PolicyLoosen).unwrap();
    assert_eq!(code(desk.ask(&ridden, Verb::PolicyLoosen)), "step-up");
}

#[test]
fn managing_users_takes_one_too() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    // Who signs in has not said that they want this.
    let fresh = desk.sign_in(&owner).unwrap().session;
    assert_eq!(code(desk.authority.disable("Nobody", &by(&fresh))), "step-up");
    desk.ask(&fresh, Verb::Restore).unwrap();
    let session = desk.session(&owner);
    desk.add(&session, "Person", Role::RestoreOnly);
    desk.world.pass(FRESH_S);
    let authority = &desk.authority;
    let (shares, role) = (Scope::new(vec!["EHR".into()]).unwrap(), Role::Owner);
    let acts: Vec<Box<dyn Fn(Option<String>) -> &'static str>> = vec![
        Box::new(|code| {
            let add = AddUser { session: session.clone(), name: "New".into(), role, shares: Scope::default(), code };
            crate::code(authority.add_user(&add))
        }),
        Box::new(|code| {
            crate::code(authority.change_shares("Person", &ChangeShares { session: session.clone(), shares: shares.clone(), code }))
        }),
        Box::new(|code| crate::code(authority.change_role("Person", &ChangeRole { session: session.clone(), role, code }))),
        Box::new(|code| crate::code(authority.reset("Person", &ByOwner { session: session.clone(), code }))),
        Box::new(|code| crate::code(authority.disable("Person", &ByOwner { session: session.clone(), code }))),
        Box::new(|code| {
            let (name, verbs, expires_at) = ("Monitor".into(), vec![Verb::LogRead], desk::START + 100_000);
            let shares = Scope::default();
            crate::code(authority.make_token(&MakeToken {
                session: session.clone(),
                name,
                role: Role::Auditor,
                verbs,
                shares,
                expires_at,
                code,
            }))
        }),
    ];
    for (n, act) in acts.iter().enumerate() {
        assert_eq!(act(None), "step-up", "{n}");
        assert_eq!(act(Some("000000".into())), "wrong-code", "{n}");
        assert_eq!(act(Some(owner.code(&desk.world))), "done", "{n}");
        desk.world.pass(FRESH_S);
    }
    assert_eq!(code(authority.disable("Person", &by(&Base64::default()))), "no-session");
}

/// A spray from the network slows itself down, and nobody in front of the box.
#[test]
fn who_tries_from_the_network_locks_nobody_out_at_the_box() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    desk.sign_in(&owner).unwrap();
    for _ in 0..20 {
        drop(desk.sign_in_with("Dr. Owner", "wrong", "000000"));
    }
    assert_eq!(code(desk.sign_in(&owner)), "sign-in-refused");
    desk.world.pass(30);
    let here = desk.sign_in_from(Origin::Box, "Dr. Owner", PASSWORD, &owner.code(&desk.world)).unwrap().session;
    assert_eq!(desk.authority.check(&here).unwrap().user, "Dr. Owner");
    assert_eq!(code(desk.sign_in(&owner)), "sign-in-refused", "the other side stays closed");
    desk.authority.unlock("dr. owner").unwrap();
    desk.sign_in(&owner).unwrap();
    // Five wrong ones at the screen lock the screen out, and that alone.
    for _ in 0..5 {
        drop(desk.sign_in_from(Origin::Box, "Dr. Owner", "wrong", ""));
    }
    desk.world.pass(30);
    assert_eq!(code(desk.sign_in_from(Origin::Box, "Dr. Owner", PASSWORD, &owner.code(&desk.world))), "sign-in-refused");
    desk.sign_in(&owner).unwrap();
    assert_eq!(code(desk.authority.unlock("Nobody")), "unknown-user");
    assert_eq!(desk.codes_told().iter().filter(|code| *code == "unlocked").count(), 1);
}
