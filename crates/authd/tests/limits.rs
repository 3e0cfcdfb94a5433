//! How far a ridden session, a loud computer and a lost envelope get: downloads in an hour, pages that ask by themselves, attempts by computer, the sealed code.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

#[expect(dead_code, reason = "these tests need a part of it")]
mod desk;

use desk::{Desk, PASSWORD, by, code, secret};
use keepwell_api::Base64;
use keepwell_api::auth::{AskBreakGlass, AskGrant, BREAK_GLASS, ByOwner, GrantKey};
use keepwell_api::grants::{FRESH_S, Grant, HOURLY_DOWNLOAD_BYTES, Role, UNASKED_DOWNLOAD_BYTES, Verb, VerifyingKey, digest, may_repeat};
use keepwell_api::hex;
use keepwell_authd::error::AuthError;
use keepwell_authd::lockout::Origin;
use keepwell_authd::world::World as _;

fn read(desk: &Desk, grant: &str, verb: Verb) -> Grant {
    let GrantKey { boot, public_key } = desk.authority.key();
    let key = VerifyingKey::from_bytes(&hex::decode(&public_key).unwrap()).unwrap();
    Grant::verify(grant, &key, desk.world.now().wall, &hex::decode(&boot).unwrap(), verb, b"{}").unwrap()
}

fn asked(session: &Base64, verb: Verb, max_bytes: Option<u64>) -> AskGrant {
    AskGrant::in_session(session.clone(), verb, hex::encode(&digest(b"{}")), max_bytes)
}

#[test]
fn a_session_gets_so_much_in_an_hour_and_more_with_a_code_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let download = |max_bytes, code| crate::code(desk.authority.grant(&AskGrant { code, ..asked(&session, Verb::Download, max_bytes) }));
    let parts = HOURLY_DOWNLOAD_BYTES / UNASKED_DOWNLOAD_BYTES;
    for left in (0..parts).rev() {
        assert_eq!(download(Some(UNASKED_DOWNLOAD_BYTES), None), "done");
        assert_eq!(desk.authority.check(&session).unwrap().download_left, left * UNASKED_DOWNLOAD_BYTES);
    }
    // However fresh the last code is, and however little it is.
    assert_eq!(download(Some(1), None), "step-up");
    assert_eq!(download(Some(0), None), "done");
    desk.world.pass(30);
    desk.ask_with(&session, Verb::Restore, Some(owner.code(&desk.world))).unwrap();
    assert_eq!(download(Some(1), None), "step-up", "a code for something else");
    desk.world.pass(30);
    assert_eq!(download(None, Some(owner.code(&desk.world))), "done", "all of it, with a code that came along");
    assert_eq!(download(None, None), "step-up");
    assert_eq!(download(Some(UNASKED_DOWNLOAD_BYTES), None), "done");
    // Another session has its own hour.
    let other = desk.session(&owner);
    desk.authority.grant(&asked(&other, Verb::Download, Some(HOURLY_DOWNLOAD_BYTES))).unwrap();
    assert_eq!(code(desk.authority.grant(&asked(&other, Verb::Download, Some(1)))), "step-up");
}

#[test]
fn a_page_that_asks_by_itself_reads_alone_and_keeps_no_session_alive() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let ask = |verb, code| desk.authority.grant(&AskGrant { background: true, code, ..asked(&session, verb, None) });
    for verb in Verb::ALL.iter().filter(|verb| **verb != Verb::UsersManage) {
        assert_eq!(code(ask(*verb, None)), if may_repeat(*verb) { "done" } else { "malformed" }, "{verb}");
    }
    assert_eq!(code(ask(Verb::FilesList, Some(owner.code(&desk.world)))), "malformed");
    let token = AskGrant { background: true, token: Some(secret("kw_")), ..asked(&Base64::default(), Verb::FilesList, None) };
    assert_eq!(code(desk.authority.grant(&token)), "malformed");
    assert!(read(&desk, &ask(Verb::FilesList, None).unwrap().grant, Verb::FilesList).background);
    let by_person = desk.authority.grant(&asked(&session, Verb::FilesList, None)).unwrap().grant;
    assert!(!read(&desk, &by_person, Verb::FilesList).background);
    for _ in 0..9 {
        desk.world.pass(60);
        ask(Verb::FilesList, None).unwrap();
    }
    desk.world.pass(60);
    assert_eq!(code(ask(Verb::FilesList, None)), "no-session");
}

/// One computer tries at everybody: it is kept waiting, and everybody else signs in.
#[test]
fn one_computer_keeps_nobody_else_out() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let people: Vec<_> = (0..8).map(|n| desk.add(&session, &format!("Person {n}"), Role::Operator)).collect();
    let mut answers = Vec::new();
    for person in people.iter().cycle().take(80) {
        answers.push(code(desk.sign_in_at("10.0.0.66", &person.name, "wrong", "")));
    }
    assert_eq!(answers.iter().filter(|answer| **answer == "sign-in-refused").count(), 30);
    assert_eq!(answers.iter().filter(|answer| **answer == "sign-in-wait").count(), 50, "and no password of it is looked at");
    for person in people.iter().chain([&owner]) {
        desk.world.pass(30);
        assert_eq!(code(desk.sign_in_at("10.0.0.7", &person.name, &person.password, &person.code(&desk.world))), "done", "{}", person.name);
    }
    desk.world.pass(600);
    assert_eq!(code(desk.sign_in_at("10.0.0.66", "Person 1", &people[1].password, &people[1].code(&desk.world))), "done");
}

fn seal(desk: &Desk, code: &Base64, verb: Verb) -> Result<String, AuthError> {
    let ask = AskBreakGlass { code: code.clone(), verb, arguments: hex::encode(&digest(b"{}")) };
    desk.authority.break_glass_grant(&ask).map(|granted| granted.grant)
}

#[test]
fn the_sealed_code_is_good_once_whoever_is_locked_out() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.sign_in(&owner).unwrap().session;
    assert!(!desk.authority.status().unwrap().break_glass);
    assert_eq!(code(desk.authority.new_break_glass_code(&by(&session))), "step-up");
    desk.world.pass(30);
    let with_code = ByOwner { session: session.clone(), code: Some(owner.code(&desk.world)) };
    let void = desk.authority.new_break_glass_code(&with_code).unwrap().code;
    let sealed = desk.authority.new_break_glass_code(&by(&session)).unwrap().code;
    assert!(desk.authority.status().unwrap().break_glass && sealed.as_ref().len() == 29);
    assert_eq!(code(seal(&desk, &void, Verb::EmergencyOpen)), "wrong-break-glass-code");
    for verb in Verb::ALL.iter().filter(|verb| **verb != Verb::EmergencyOpen) {
        assert_eq!(code(seal(&desk, &sealed, *verb)), "malformed", "{verb}");
    }
    // Everybody is locked out everywhere, and authd has started anew.
    for _ in 0..20 {
        drop(desk.sign_in_with("Dr. Owner", "wrong", ""));
        drop(desk.sign_in_from(Origin::Box, "Dr. Owner", "wrong", ""));
    }
    assert_eq!(code(desk.sign_in_from(Origin::Box, "Dr. Owner", PASSWORD, &owner.code(&desk.world))), "sign-in-refused");
    let world = desk.world.clone();
    drop(desk);
    let desk = Desk::open(folder.path(), &world);
    let grant = read(&desk, &seal(&desk, &sealed, Verb::EmergencyOpen).unwrap(), Verb::EmergencyOpen);
    assert_eq!((grant.user.as_str(), grant.role, grant.shares.is_all()), (BREAK_GLASS, Role::Security, true));
    assert!(!desk.authority.status().unwrap().break_glass);
    assert_eq!(code(seal(&desk, &sealed, Verb::EmergencyOpen)), "wrong-break-glass-code");
    let told = desk.told();
    assert!(told.iter().any(|event| event.code == "break-glass-code-used" && event.actor == BREAK_GLASS));
    let text = String::from_utf8(sealed.as_ref().to_vec()).unwrap();
    assert!(!format!("{told:?}").contains(&text));
}

#[test]
fn ten_wrong_sealed_codes_an_hour_and_only_owners_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    for role in Role::ALL.iter().filter(|role| **role != Role::Owner) {
        let theirs = desk.session(&desk.add(&session, role.as_str(), *role));
        assert_eq!(code(desk.authority.new_break_glass_code(&by(&theirs))), "not-allowed", "{role}");
    }
    let sealed = desk.authority.new_break_glass_code(&by(&desk.session(&owner))).unwrap().code;
    for _ in 0..10 {
        assert_eq!(code(seal(&desk, &secret("AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"), Verb::EmergencyOpen)), "wrong-break-glass-code");
    }
    assert_eq!(code(seal(&desk, &sealed, Verb::EmergencyOpen)), "break-glass-wait");
    desk.sign_in(&owner).unwrap();
    desk.world.pass(3600);
    seal(&desk, &sealed, Verb::EmergencyOpen).unwrap();
    assert_eq!(desk.codes_told().iter().filter(|code| code.contains("break-glass")).count(), 1 + 10 + 1 + 1);
}

/// A sign-in counts as a fresh factor for what it counted before, and for no longer.
#[test]
fn an_emergency_is_opened_with_a_fresh_factor() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let officer = desk.add(&desk.session(&owner), "Sam", Role::Security);
    let session = desk.session(&officer);
    desk.ask(&session, Verb::EmergencyOpen).unwrap();
    desk.world.pass(FRESH_S);
    assert_eq!(code(desk.ask(&session, Verb::EmergencyOpen)), "step-up");
    desk.ask_with(&session, Verb::EmergencyOpen, Some(officer.code(&desk.world))).unwrap();
}
