//! Attack 4, authd's half: what a grant says, who gets one, and that vaultd's check refuses everything but the one action it was made for.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

#[expect(dead_code, reason = "these tests need a part of it")]
mod desk;

use desk::{Desk, code};
use keepwell_api::Base64;
use keepwell_api::auth::{AskGrant, GrantKey};
use keepwell_api::grants::{Grant, GrantRefused, Role, Verb, VerifyingKey, allows, digest, needs_own_factor};
use keepwell_authd::world::World as _;

const BODY: &[u8] = br#"{"snapshot":"01JD"}"#;

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap())
}

/// As vaultd does it.
fn check(desk: &Desk, grant: &str, verb: Verb, body: &[u8]) -> Result<Grant, GrantRefused> {
    let GrantKey { boot, public_key } = desk.authority.key();
    let key = VerifyingKey::from_bytes(&unhex(&public_key)).unwrap();
    Grant::verify(grant, &key, desk.world.now().wall, &unhex(&boot), verb, body)
}

fn grant(desk: &Desk, session: &Base64, verb: Verb) -> String {
    let arguments = digest(BODY).iter().map(|byte| format!("{byte:02x}")).collect();
    desk.authority.grant(&AskGrant::in_session(session.clone(), verb, arguments, Some(9))).unwrap().grant
}

#[test]
fn every_role_gets_grants_for_what_it_may_do_and_for_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    for role in Role::ALL {
        let person = desk.add(&session, &format!("The {role}"), *role);
        let theirs = desk.session(&person);
        for verb in Verb::ALL {
            let expected = match verb {
                Verb::UsersManage => "no-grant",
                verb if allows(*role, *verb) && needs_own_factor(*verb) => "step-up",
                verb if allows(*role, *verb) => "done",
                _ => "not-allowed",
            };
            assert_eq!(code(desk.ask(&theirs, *verb)), expected, "{role} {verb}");
        }
        desk.authority.check(&session).unwrap();
        desk.ask(&session, Verb::LogRead).unwrap();
    }
}

#[test]
fn a_grant_is_good_for_its_action_its_arguments_its_time_and_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let made = grant(&desk, &session, Verb::Restore);
    let read = check(&desk, &made, Verb::Restore, BODY).unwrap();
    assert_eq!((read.user.as_str(), read.role, read.max_bytes), ("Dr. Owner", Role::Owner, Some(9)));
    assert_eq!(check(&desk, &made, Verb::Download, BODY), Err(GrantRefused::OtherVerb));
    assert_eq!(check(&desk, &made, Verb::Restore, b"{}"), Err(GrantRefused::OtherArguments));
    desk.world.pass(120);
    assert!(check(&desk, &made, Verb::Restore, BODY).is_ok());
    desk.world.pass(1);
    assert_eq!(check(&desk, &made, Verb::Restore, BODY), Err(GrantRefused::Expired));
    desk.world.jump(-1000);
    assert_eq!(check(&desk, &made, Verb::Restore, BODY), Err(GrantRefused::Expired));
    desk.world.jump(999);
    let world = desk.world.clone();
    drop(desk);
    let desk = Desk::open(folder.path(), &world);
    assert_eq!(check(&desk, &made, Verb::Restore, BODY), Err(GrantRefused::OtherBoot));
}

/// vaultd burns what is used by its nonce, so no two may be alike.
#[test]
fn no_two_grants_have_the_same_nonce() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let nonces: std::collections::BTreeSet<_> =
        (0..50).map(|_| check(&desk, &grant(&desk, &session, Verb::LogRead), Verb::LogRead, BODY).unwrap().nonce).collect();
    assert_eq!(nonces.len(), 50);
}

#[test]
fn arguments_have_to_be_a_digest() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    for wrong in [String::new(), "ab".repeat(31), "ab".repeat(33), "zz".repeat(32), format!("+{}", "a".repeat(63)), "é".repeat(32)] {
        let ask = AskGrant::in_session(session.clone(), Verb::Restore, wrong.clone(), None);
        assert_eq!(code(desk.authority.grant(&ask)), "malformed", "{wrong}");
    }
}
