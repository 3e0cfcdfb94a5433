//! Rights beside those of people with a role: the claim code of a box without an owner, lists of shares, and the tokens of programs.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

#[expect(dead_code, reason = "these tests need a part of it")]
mod desk;

use desk::{Desk, Fake, PASSWORD, START, by, code, secret};
use keepwell_api::Base64;
use keepwell_api::auth::{AddUser, AskGrant, ChangeRole, ChangeShares, Claim, Enrolled, GrantKey, MakeToken, MayClaim, TokenMade};
use keepwell_api::grants::{Grant, GrantRefused, Role, Scope, SigningKey, Verb, VerifyingKey, allows, digest, needs_person, takes_scope};
use keepwell_api::hex;
use keepwell_authd::error::AuthError;
use keepwell_authd::lockout::Origin;
use keepwell_authd::world::World as _;

fn claim(desk: &Desk, name: &str, code: Option<Base64>, origin: Origin) -> Result<Enrolled, AuthError> {
    desk.authority.claim(&Claim { user: name.into(), password: secret(PASSWORD), code }, origin)
}

#[test]
fn from_the_network_a_box_is_claimed_with_the_code_on_its_screen_alone() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path(), &Fake::new());
    let shown = desk.authority.claim_code().unwrap().code;
    assert_eq!(desk.authority.claim_code().unwrap().code, shown);
    for wrong in [None, Some(Base64::default()), Some(secret("AAAAA-AAAAA-AAAAA-AAAAA"))] {
        assert_eq!(code(claim(&desk, "Mallory", wrong, Origin::Console)), "wrong-claim-code");
    }
    // Given in front of the box, it is looked at too.
    assert_eq!(code(claim(&desk, "Ann", Some(secret("wrong")), Origin::Box)), "wrong-claim-code");
    let text = String::from_utf8(shown.as_ref().to_vec()).unwrap();
    let enrolled = claim(&desk, "Ann", Some(secret(&text.to_lowercase())), Origin::Console).unwrap();
    assert_eq!(code(claim(&desk, "Mallory", Some(shown.clone()), Origin::Console)), "wrong-claim-code", "void");
    // Nobody scanned it: again, in front of the box or with another code.
    claim(&desk, "Ann", None, Origin::Box).unwrap();
    let another = desk.authority.claim_code().unwrap().code;
    assert_ne!(another, shown);
    let ann = desk::Person::new("Ann", PASSWORD, &claim(&desk, "Ann", Some(another), Origin::Console).unwrap());
    assert_eq!(code(desk.sign_in(&desk::Person::new("Ann", PASSWORD, &enrolled))), "sign-in-refused");
    desk.sign_in(&ann).unwrap();
    assert_eq!(code(desk.authority.claim_code()), "claimed");
    for origin in [Origin::Console, Origin::Box] {
        assert_eq!(code(claim(&desk, "Mallory", None, origin)), "claimed");
    }
    let told = desk.told();
    let actors: Vec<_> = told.iter().filter(|event| event.code == "claimed").map(|event| event.actor.as_str()).collect();
    assert_eq!(actors, ["consoled", "admin", "consoled"]);
    assert_eq!(told.iter().filter(|event| event.code == "wrong-claim-code").count(), 5);
    assert!(!told.iter().any(|event| format!("{event:?}").contains(&text)));
}

#[test]
fn ten_wrong_claim_codes_an_hour_and_the_box_itself_is_not_kept_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path(), &Fake::new());
    let shown = desk.authority.claim_code().unwrap().code;
    for _ in 0..10 {
        assert_eq!(code(claim(&desk, "Mallory", Some(secret("wrong")), Origin::Console)), "wrong-claim-code");
    }
    for _ in 0..10 {
        assert_eq!(code(claim(&desk, "Ann", Some(shown.clone()), Origin::Console)), "claim-wait");
    }
    // A clock that is set does not shorten it.
    desk.world.jump(100_000);
    assert_eq!(code(claim(&desk, "Ann", Some(shown.clone()), Origin::Console)), "claim-wait");
    claim(&desk, "Ann", None, Origin::Box).unwrap();
    desk.world.pass(3600);
    let shown = desk.authority.claim_code().unwrap().code;
    claim(&desk, "Ann", Some(shown), Origin::Console).unwrap();
    let told = desk.codes_told();
    assert_eq!(told.iter().filter(|code| *code == "wrong-claim-code").count(), 10);
    assert_eq!(told.iter().filter(|code| *code == "claim-wait").count(), 2, "the first, and the others together");
}

fn shares(names: &[&str]) -> Scope {
    Scope::new(names.iter().map(|name| (*name).to_owned()).collect()).unwrap()
}

/// As vaultd reads it.
fn read(desk: &Desk, grant: &str, verb: Verb) -> Result<Grant, GrantRefused> {
    let GrantKey { boot, public_key } = desk.authority.key();
    let key = VerifyingKey::from_bytes(&hex::decode(&public_key).unwrap()).unwrap();
    Grant::verify(grant, &key, desk.world.now().wall, &hex::decode(&boot).unwrap(), verb, b"{}")
}

fn ask(verb: Verb) -> AskGrant {
    AskGrant::in_session(Base64::default(), verb, hex::encode(&digest(b"{}")), Some(1000))
}

#[test]
fn a_grant_says_from_which_shares() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let add = |name: &str, role, shares| {
        desk.authority.add_user(&AddUser { session: session.clone(), name: name.into(), role, shares, code: None })
    };
    assert_eq!(code(add("Olga", Role::Operator, shares(&["EHR"]))), "malformed");
    let set_up = add("Rita", Role::RestoreOnly, shares(&["X-ray", "EHR"])).unwrap();
    let rita = desk.enrol("Rita", set_up.code).unwrap();
    let theirs = desk.session(&rita);
    let scope = |verb| {
        let made = desk.authority.grant(&AskGrant { session: theirs.clone(), ..ask(verb) }).unwrap().grant;
        read(&desk, &made, verb).unwrap().shares
    };
    assert_eq!(scope(Verb::Restore), shares(&["EHR", "X-ray"]));
    assert_eq!(desk.authority.check(&theirs).unwrap().shares, shares(&["EHR", "X-ray"]));
    // From the next request on, and only while they restore only.
    let change = |names: &[&str]| {
        desk.authority.change_shares("Rita", &ChangeShares { session: session.clone(), shares: shares(names), code: None })
    };
    change(&["EHR"]).unwrap();
    assert_eq!(scope(Verb::FilesList), shares(&["EHR"]));
    let role = |role| desk.authority.change_role("Rita", &ChangeRole { session: session.clone(), role, code: None }).unwrap();
    role(Role::Operator);
    assert!(scope(Verb::FilesList).is_all());
    assert_eq!(code(change(&["X-ray"])), "malformed");
    role(Role::RestoreOnly);
    assert_eq!(scope(Verb::FilesList), shares(&["EHR"]), "what was limited before is limited again");
    // A reset widens nothing.
    let set_up = desk.authority.reset("Rita", &by(&session)).unwrap();
    desk.enrol("Rita", set_up.code).unwrap();
    assert_eq!(desk.authority.users().unwrap().users[1].shares, shares(&["EHR"]));
}

#[test]
fn a_grant_whose_shares_were_changed_is_forged() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let made = desk.authority.grant(&AskGrant { session, ..ask(Verb::Restore) }).unwrap().grant;
    let grant = read(&desk, &made, Verb::Restore).unwrap();
    let wider = Grant { shares: shares(&["X-ray"]), ..grant }.sign(&SigningKey::from_bytes(&[1; 32]));
    assert_eq!(read(&desk, &wider, Verb::Restore), Err(GrantRefused::Forged));
}

fn wanted(session: &Base64, role: Role, verbs: &[Verb], names: &[&str]) -> MakeToken {
    let (name, expires_at) = ("Monitor".to_owned(), START + 300 * 24 * 3600);
    MakeToken { session: session.clone(), name, role, verbs: verbs.to_vec(), shares: shares(names), expires_at, code: None }
}

fn with_token(desk: &Desk, made: &TokenMade, verb: Verb) -> Result<Grant, AuthError> {
    let granted = desk.authority.grant(&AskGrant { token: Some(made.token.clone()), ..ask(verb) })?;
    Ok(read(desk, &granted.grant, verb).unwrap())
}

#[test]
fn a_token_is_good_for_its_verbs_its_shares_and_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let verbs = [Verb::SnapshotsList, Verb::Download, Verb::RunNow];
    let made = desk.authority.make_token(&wanted(&session, Role::Operator, &verbs, &["EHR"])).unwrap();
    let text = String::from_utf8(made.token.as_ref().to_vec()).unwrap();
    assert!(text.starts_with("kw_") && text.len() == 46, "{text}");
    for verb in Verb::ALL.iter().filter(|verb| **verb != Verb::UsersManage) {
        let expected = if verbs.contains(verb) { "done" } else { "not-allowed" };
        assert_eq!(code(with_token(&desk, &made, *verb)), expected, "{verb}");
    }
    let grant = with_token(&desk, &made, Verb::Download).unwrap();
    assert_eq!((grant.user.as_str(), grant.role, grant.shares), ("token:Monitor", Role::Operator, shares(&["EHR"])));
    let listed = &desk.authority.tokens().unwrap().tokens[0];
    assert_eq!((listed.made_by.as_str(), listed.last_used_at), ("Dr. Owner", Some(desk.world.now().wall)));
    // Who is asked by it knows whose it is.
    assert_eq!(desk.authority.check_token(&made.token).unwrap(), *listed);
    // It is no session, and comes with none.
    assert_eq!(code(desk.authority.check(&made.token)), "no-session");
    let both = AskGrant { session: session.clone(), token: Some(made.token.clone()), ..ask(Verb::Download) };
    assert_eq!(code(desk.authority.grant(&both)), "malformed");
    for wrong in [vec![], b"kw_".to_vec(), text.as_bytes()[..45].to_vec(), text.to_lowercase().into_bytes(), vec![0; 100_000]] {
        let ask = AskGrant { token: Some(wrong.into()), ..ask(Verb::Download) };
        assert_eq!(code(desk.authority.check_token(ask.token.as_ref().unwrap())), "no-token");
        assert_eq!(code(desk.authority.grant(&ask)), "no-token");
    }
    // Over a restart, and until its day.
    let world = desk.world.clone();
    drop(desk);
    let desk = Desk::open(folder.path(), &world);
    with_token(&desk, &made, Verb::Download).unwrap();
    desk.world.jump(made.expires_at - desk.world.now().wall - 1);
    with_token(&desk, &made, Verb::Download).unwrap();
    desk.world.jump(1);
    assert_eq!((code(with_token(&desk, &made, Verb::Download)), code(desk.authority.check_token(&made.token))), ("no-token", "no-token"));
    let told = desk.told();
    assert!(told.iter().any(|event| event.code == "token-made" && event.actor == "Dr. Owner" && event.fields["token"] == "Monitor"));
    assert!(!told.iter().any(|event| format!("{event:?}").contains(&text[3..])));
}

/// Roles x verbs: a token never has more than its role, and nothing that only a person may do.
#[test]
fn who_makes_a_token_can_give_it_so_much_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let make = |request: &MakeToken| desk.authority.make_token(request);
    for role in Role::ALL {
        for verb in Verb::ALL {
            for names in [&[][..], &["EHR"]] {
                let good = *role != Role::Owner && allows(*role, *verb) && !needs_person(*verb) && (names.is_empty() || takes_scope(*verb));
                let answer = make(&wanted(&session, *role, &[*verb], names));
                assert_eq!(
                    code(answer.as_ref().map_err(|_| AuthError::BadToken(""))),
                    if good { "done" } else { "bad-token" },
                    "{role} {verb}"
                );
                if let Ok(made) = answer {
                    desk.authority.revoke_token(&made.id, &session).unwrap();
                    assert_eq!(code(with_token(&desk, &made, *verb)), "no-token");
                }
            }
        }
    }
    let good = wanted(&session, Role::Auditor, &[Verb::LogRead], &[]);
    for expires_at in [desk.world.now().wall, desk.world.now().wall + 401 * 24 * 3600, i64::MIN, i64::MAX] {
        assert_eq!(code(make(&MakeToken { expires_at, ..good.clone() })), "bad-token");
    }
    for name in ["", " a", "a:b", &"a".repeat(49), "vaultd"] {
        assert_eq!(code(make(&MakeToken { name: name.into(), ..good.clone() })), "bad-token", "{name}");
    }
    assert_eq!(code(make(&MakeToken { verbs: vec![], ..good.clone() })), "bad-token");
    make(&good).unwrap();
    assert_eq!(code(make(&MakeToken { name: "monitor".into(), ..good.clone() })), "bad-token", "there is one");
    let operator = desk.session(&desk.add(&session, "Olga", Role::Operator));
    assert_eq!(code(make(&MakeToken { session: operator.clone(), ..good })), "not-allowed");
    let id = desk.authority.tokens().unwrap().tokens.into_iter().find(|token| token.revoked_at.is_none()).unwrap().id;
    assert_eq!(code(desk.authority.revoke_token(&id, &operator)), "not-allowed");
    assert_eq!(code(desk.authority.revoke_token("none", &session)), "unknown-token");
}

#[test]
fn tokens_go_with_the_owner_who_made_them_and_come_with_a_copy() {
    let (folder, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let second = desk.add(&session, "Second", Role::Owner);
    let theirs = desk.session(&second);
    let made = desk.authority.make_token(&wanted(&theirs, Role::Auditor, &[Verb::LogRead], &[])).unwrap();
    let restored = Desk::open(new.path(), &desk.world);
    restored.authority.import(&desk.authority.export().unwrap()).unwrap();
    with_token(&restored, &made, Verb::LogRead).unwrap();
    desk.authority.disable("Second", &by(&session)).unwrap();
    assert_eq!(code(with_token(&desk, &made, Verb::LogRead)), "no-token");
    // One who is no owner any more has made none either; an import brings nothing back.
    let demoted = restored.session(&owner);
    restored.authority.change_role("second", &ChangeRole { session: demoted, role: Role::Auditor, code: None }).unwrap();
    assert_eq!(code(with_token(&restored, &made, Verb::LogRead)), "no-token");
    restored.authority.import(&desk.authority.export().unwrap()).unwrap();
    assert_eq!(restored.authority.tokens().unwrap().tokens.len(), 1);
}

/// A copy is as old as it is: what was ended since is not brought back by it.
#[test]
fn a_copy_revives_no_token_and_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let second = desk.add(&session, "Second", Role::Owner);
    let theirs = desk.session(&second);
    let made = desk.authority.make_token(&wanted(&theirs, Role::Auditor, &[Verb::LogRead], &[])).unwrap();
    let copy = desk.authority.export().unwrap();
    // One who enrols anew may be somebody else: what they made ends.
    let session = desk.session(&owner);
    desk.authority.reset("Second", &by(&session)).unwrap();
    assert_eq!(code(with_token(&desk, &made, Verb::LogRead)), "no-token");
    desk.authority.disable("Second", &by(&session)).unwrap();
    // Over for so long that it is not even listed.
    desk.world.pass(31 * 24 * 3600);
    let session = desk.session(&owner);
    let other = MakeToken {
        name: "Other".into(),
        expires_at: desk.world.now().wall + 9_000_000,
        ..wanted(&session, Role::Auditor, &[Verb::LogRead], &[])
    };
    desk.authority.make_token(&other).unwrap();
    assert_eq!(desk.authority.tokens().unwrap().tokens.len(), 1);
    desk.authority.import(&copy).unwrap();
    assert_eq!(code(with_token(&desk, &made, Verb::LogRead)), "no-token");
    assert_eq!(code(desk.sign_in(&second)), "sign-in-refused");
    assert!(desk.authority.tokens().unwrap().tokens.iter().any(|token| token.id == made.id && token.revoked_at.is_some()));
}

#[test]
fn a_box_with_keys_and_without_people_is_nobodys_before_its_papers() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path(), &Fake::new());
    let claimable = || desk.authority.status().unwrap().claimable;
    assert!(claimable());
    desk.authority.wait_for_claims();
    assert!(!claimable());
    assert_eq!(code(desk.claim("Mallory")), "claims-unheard");
    assert_eq!(code(desk.authority.claim_code()), "claims-unheard");
    desk.authority.claims(&MayClaim { open: false });
    assert!(!claimable());
    assert_eq!(code(desk.claim("Mallory")), "kit-first");
    assert_eq!(code(desk.authority.claim_code()), "kit-first");
    assert_eq!(code(claim(&desk, "Mallory", Some(secret("ABCDE-ABCDE-ABCDE-ABCDE")), Origin::Console)), "kit-first");
    desk.authority.claims(&MayClaim { open: true });
    assert!(claimable());
    desk.claim("Dr. Owner").unwrap();
}

#[test]
fn where_nobody_waits_for_it_vaultd_holds_up_no_claim() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path(), &Fake::new());
    desk.authority.claims(&MayClaim { open: false });
    desk.claim("Dr. Owner").unwrap();
}
