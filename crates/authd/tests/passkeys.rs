//! Passkeys: added with both proofs, in place of a code at the door and for one act, and refused wherever anything about them is not as it was asked.

#![allow(clippy::unwrap_used, reason = "a test that fails here fails as it should")]

#[expect(dead_code, reason = "these tests need a part of it")]
mod desk;

#[path = "desk/authenticator.rs"]
mod authenticator;

use authenticator::Authenticator;
use desk::{Desk, PASSWORD, Person, code, secret};
use keepwell_api::Base64;
use keepwell_api::auth::passkey::{Answer, encode};
use keepwell_api::auth::{
    AddPasskey, AskGrant, BeginPasskey, ByOwner, ChangeFactor, ChangePassword, ChangeRole, ConfirmFactor, ConsoleCertificate, Passkey,
    PasskeyAsked, PasskeyBegun, RenamePasskey,
};
use keepwell_api::grants::{HOURLY_DOWNLOAD_BYTES, Role, Verb};
use keepwell_authd::error::AuthError;
use keepwell_authd::lockout::Origin;

const HOST: &str = "box.lan:8443";

fn begin(desk: &Desk, session: &Base64, person: &Person, host: &str) -> Result<PasskeyBegun, AuthError> {
    desk.world.pass(30);
    let (password, code) = (secret(&person.password), person.code(&desk.world));
    desk.authority.begin_passkey(&BeginPasskey { session: session.clone(), password, code, host: host.into() }, Origin::Console)
}

fn add(desk: &Desk, session: &Base64, name: &str, (client, said): &(Vec<u8>, Vec<u8>)) -> Result<(), AuthError> {
    let (client_data, authenticator_data) = (encode(client), encode(said));
    desk.authority.add_passkey(&AddPasskey { session: session.clone(), name: name.into(), client_data, authenticator_data })
}

/// Adds one the whole way.
fn give(desk: &Desk, session: &Base64, person: &Person, key: &Authenticator, name: &str) {
    let begun = begin(desk, session, person, HOST).unwrap();
    add(desk, session, name, &key.make(&begun.challenge)).unwrap();
}

fn asked<T>(answer: Result<T, AuthError>) -> PasskeyAsked {
    match answer {
        Err(AuthError::PasskeyAsked(asked)) => *asked,
        Err(error) => panic!("not asked: {error}"),
        Ok(_) => panic!("it was done"),
    }
}

fn own(desk: &Desk, session: &Base64) -> Vec<Passkey> {
    desk.authority.check(session).unwrap().passkeys
}

fn at_door(desk: &Desk, person: &Person, key: &mut Authenticator) -> Answer {
    let asked = asked(desk.sign_in_with(&person.name, "", &format!("?{HOST}")));
    assert!(asked.rp_id == "box.lan" && asked.allow.is_empty() && asked.act == "sign-in");
    key.answer(&asked.challenge)
}

fn enter(desk: &Desk, person: &Person, answer: &Answer) -> &'static str {
    code(desk.sign_in_with(&person.name, &person.password, &answer.to_code()))
}

#[test]
fn one_is_added_with_both_proofs_and_stands_for_the_code_at_the_door() {
    for mut key in [Authenticator::es256(), Authenticator::eddsa()] {
        let folder = tempfile::tempdir().unwrap();
        let (desk, owner) = Desk::claimed(folder.path());
        let session = desk.session(&owner);
        let begun = begin(&desk, &session, &owner, HOST).unwrap();
        assert!(begun.rp_id == "box.lan" && begun.exclude.is_empty() && begun.user == "Dr. Owner" && !begun.user_handle.is_empty());
        add(&desk, &session, "Key on my ring", &key.make(&begun.challenge)).unwrap();
        let mine = own(&desk, &session);
        assert_eq!((mine.len(), mine[0].name.as_str(), mine[0].host.as_str(), mine[0].used_at), (1, "Key on my ring", "box.lan", None));
        assert_eq!(desk.authority.status().unwrap().passkey_hosts, ["box.lan"]);
        // Another one of the same authenticator is not made, and has the same handle.
        let again = begin(&desk, &session, &owner, HOST).unwrap();
        assert_eq!((again.exclude, again.user_handle), (vec![key.shown_id()], begun.user_handle));
        let answer = at_door(&desk, &owner, &mut key);
        assert_eq!(enter(&desk, &owner, &answer), "done");
        assert_eq!(enter(&desk, &owner, &answer), "sign-in-refused", "the same once more");
        let told = desk.told();
        assert!(told.iter().any(|event| event.code == "passkey-added" && event.fields["passkey"] == "Key on my ring"));
        assert!(told.iter().any(|event| event.code == "signed-in" && event.fields.get("factor").is_some_and(|factor| factor == "passkey")));
        // It is there after a restart, and so is how far it has counted.
        let world = desk.world.clone();
        drop(desk);
        let desk = Desk::open(folder.path(), &world);
        let answer = at_door(&desk, &owner, &mut key);
        assert_eq!(enter(&desk, &owner, &answer), "done");
        key.counter = 0;
        let answer = at_door(&desk, &owner, &mut key);
        assert_eq!(enter(&desk, &owner, &answer), "sign-in-refused");
        assert!(desk.codes_told().contains(&"passkey-copied".to_owned()));
    }
}

/// A fault in what an authenticator or a browser says, and its name.
type Fault = (&'static str, fn(&mut Authenticator));

const FAULTS: &[Fault] = &[
    ("another host", |key| key.rp_id = "evil.lan".into()),
    ("another page", |key| key.origin = "https://evil.lan".into()),
    ("another port", |key| key.origin = "https://box.lan:9443".into()),
    ("without TLS", |key| key.origin = "http://box.lan:8443".into()),
    ("in a page of somebody else", |key| key.more = r#","topOrigin":"https://evil.lan""#),
    ("nobody there", |key| key.flags = 4),
    ("nobody verified", |key| key.flags = 1),
    ("copied, and can't be", |key| key.flags = 5 | 0x10),
    ("extensions that are not there", |key| key.flags = 5 | 0x80),
    ("more than JSON", |key| key.more = "}"),
    ("twice the same", |key| key.more = r#","type":"webauthn.get""#),
];

#[test]
fn nothing_about_an_answer_may_be_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let mut key = Authenticator::es256();
    give(&desk, &session, &owner, &key, "Ring");
    let fresh = |desk: &Desk, key: &mut Authenticator| {
        // No attempt keeps the next one out.
        desk.world.pass(24 * 3600);
        at_door(desk, &owner, key)
    };
    for (name, spoil) in FAULTS {
        let (id, good) = (key.origin.clone(), (key.rp_id.clone(), key.flags));
        spoil(&mut key);
        let answer = fresh(&desk, &mut key);
        assert_eq!(enter(&desk, &owner, &answer), "sign-in-refused", "{name}");
        (key.origin, key.rp_id, key.flags, key.more) = (id, good.0, good.1, "");
    }
    // A signature of other bytes, by another key, of another user's, for another challenge, of a key that is made.
    let change: [fn(&mut Answer); 6] = [
        |answer| answer.signature[9] ^= 1,
        |answer| answer.authenticator_data[36] ^= 1,
        |answer| answer.client_data.push(b' '),
        |answer| answer.id[0] ^= 1,
        |answer| answer.signature.clear(),
        |answer| answer.authenticator_data.push(0),
    ];
    for (n, change) in change.iter().enumerate() {
        let mut answer = fresh(&desk, &mut key);
        change(&mut answer);
        assert_eq!(enter(&desk, &owner, &answer), "sign-in-refused", "{n}");
    }
    let mut other = Authenticator::es256();
    let (id, counter) = (key.id.clone(), key.counter);
    (other.id, other.counter) = (id, counter);
    let answer = fresh(&desk, &mut other);
    assert_eq!(enter(&desk, &owner, &answer), "sign-in-refused", "by another key");
    let asked_now = |desk: &Desk| asked(desk.sign_in_with("Dr. Owner", "", &format!("?{HOST}"))).challenge;
    let made = key.answer_as("webauthn.create", &asked_now(&desk));
    assert_eq!(enter(&desk, &owner, &made), "sign-in-refused", "what makes a key");
    let invented = key.answer(&encode(&[7; 56]));
    assert_eq!(enter(&desk, &owner, &invented), "sign-in-refused", "a challenge that authd did not give");
    let late = key.answer(&asked_now(&desk));
    desk.world.pass(5 * 60);
    assert_eq!(enter(&desk, &owner, &late), "sign-in-refused", "too late");
    // A right one with a wrong password is used up as a code is.
    let answer = fresh(&desk, &mut key);
    assert_eq!(code(desk.sign_in_with("Dr. Owner", "wrong", &answer.to_code())), "sign-in-refused");
    assert_eq!(enter(&desk, &owner, &answer), "sign-in-refused");
    let answer = fresh(&desk, &mut key);
    assert_eq!(enter(&desk, &owner, &answer), "done");
    let told = format!("{:?}", desk.told());
    for why in ["host", "origin", "person", "backup", "malformed", "signature", "unknown", "kind", "challenge"] {
        assert!(told.contains(&format!("\"passkey\": \"{why}\"")), "{why}");
    }
}

#[test]
fn wrong_ones_lock_out_as_wrong_codes_do_and_names_are_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let mut key = Authenticator::es256();
    give(&desk, &session, &owner, &key, "Ring");
    let challenge = |user: &str| asked(desk.sign_in_with(user, "", &format!("?{HOST}")));
    assert_eq!(challenge("Nobody").allow, challenge("Dr. Owner").allow);
    for bad in ["?", "?10.0.0.1", "?[::1]:8443", "?box.lan/x", "?Box.lan"] {
        assert_eq!(code(desk.sign_in_with("Dr. Owner", PASSWORD, bad)), "no-host", "{bad}");
    }
    for _ in 0..5 {
        let mut answer = at_door(&desk, &owner, &mut key);
        answer.signature[9] ^= 1;
        assert_eq!(enter(&desk, &owner, &answer), "sign-in-refused");
    }
    let answer = at_door(&desk, &owner, &mut key);
    assert_eq!(enter(&desk, &owner, &answer), "sign-in-refused", "locked out");
}

#[test]
fn a_passkey_that_is_made_elsewhere_otherwise_or_twice_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let (session, other) = (desk.session(&owner), desk.session(&owner));
    for bad in ["10.0.0.1:8443", "[::1]", ""] {
        assert_eq!(code(begin(&desk, &session, &owner, bad)), "no-host");
    }
    let wrong = BeginPasskey { session: session.clone(), password: secret("wrong"), code: "123456".into(), host: HOST.into() };
    assert_eq!(code(desk.authority.begin_passkey(&wrong, Origin::Console)), "wrong-proof");
    for (name, spoil) in FAULTS {
        let mut key = Authenticator::es256();
        let begun = begin(&desk, &session, &owner, HOST).unwrap();
        spoil(&mut key);
        assert_eq!(code(add(&desk, &session, "Ring", &key.make(&begun.challenge))), "bad-passkey", "{name}");
    }
    let key = Authenticator::eddsa();
    let begun = begin(&desk, &session, &owner, HOST).unwrap();
    let made = key.make(&begun.challenge);
    assert_eq!(code(add(&desk, &other, "Ring", &made)), "bad-passkey", "in another session");
    assert_eq!(
        code(add(&desk, &session, "Ring", &(key.answer_as("webauthn.get", &begun.challenge).client_data, made.1.clone()))),
        "bad-passkey"
    );
    let begun = begin(&desk, &session, &owner, HOST).unwrap();
    desk.world.pass(5 * 60);
    assert_eq!(code(add(&desk, &session, "Ring", &key.make(&begun.challenge))), "bad-passkey", "too late");
    let begun = begin(&desk, &session, &owner, HOST).unwrap();
    let made = key.make(&begun.challenge);
    assert_eq!(code(add(&desk, &session, "a/b", &made)), "bad-passkey", "its name");
    let begun = begin(&desk, &session, &owner, HOST).unwrap();
    let made = key.make(&begun.challenge);
    add(&desk, &session, "Ring", &made).unwrap();
    assert_eq!(code(add(&desk, &session, "Ring 2", &made)), "bad-passkey", "the same once more");
    for (n, name) in [(0, "Ring"), (1, "Ring 2")] {
        let begun = begin(&desk, &session, &owner, HOST).unwrap();
        let same = if n == 1 { key.make(&begun.challenge) } else { Authenticator::es256().make(&begun.challenge) };
        assert_eq!(code(add(&desk, &session, name, &same)), "bad-passkey", "of the same name, or the same one");
    }
    for n in 0..9_u8 {
        let mut more = Authenticator::es256();
        more.id = vec![n + 10; 4];
        give(&desk, &session, &owner, &more, &format!("More {n}"));
    }
    let begun = begin(&desk, &session, &owner, HOST).unwrap();
    assert_eq!(code(add(&desk, &session, "Eleven", &Authenticator::es256().make(&begun.challenge))), "bad-passkey");
}

/// Whoever rides a session fills no log with what is none.
#[test]
fn passkeys_that_are_none_end_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let made = Authenticator::es256().make(&encode(&[7; 32]));
    let answers: Vec<_> = (0..100).map(|_| code(add(&desk, &session, "Ring", &made))).collect();
    assert!(answers[..5] == ["bad-passkey"; 5] && answers[5..].iter().all(|answer| *answer == "no-session"), "{answers:?}");
    assert_eq!(desk.codes_told().iter().filter(|code| *code == "wrong-passkey").count(), 5);
}

fn ask_for(session: &Base64, verb: Verb, arguments: &str, max_bytes: Option<u64>, code: String) -> AskGrant {
    AskGrant { code: Some(code), ..AskGrant::in_session(session.clone(), verb, arguments.repeat(32), max_bytes) }
}

#[test]
fn what_is_dangerous_is_signed_itself_and_nothing_else_is_by_that() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let mut key = Authenticator::es256();
    give(&desk, &session, &owner, &key, "Ring");
    desk.world.pass(301);
    assert_eq!(code(desk.ask(&session, Verb::Restore)), "step-up");
    let ask = |verb, arguments: &str, max: Option<u64>, code: String| desk.authority.grant(&ask_for(&session, verb, arguments, max, code));
    let begun = asked(ask(Verb::Restore, "ab", Some(9), format!("?{HOST}")));
    assert_eq!((begun.act.as_str(), begun.allow), ("restore", vec![key.shown_id()]));
    // Signed for this; tried for other arguments, another bound, another verb. A challenge is spent by none of these.
    let answer = key.answer(&begun.challenge).to_code();
    for (verb, arguments, max) in
        [(Verb::Restore, "ac", Some(9)), (Verb::Restore, "ab", None), (Verb::Restore, "ab", Some(10)), (Verb::SharesRemove, "ab", Some(9))]
    {
        assert_eq!(code(ask(verb, arguments, max, answer.clone())), "wrong-code", "{verb}");
    }
    ask(Verb::Restore, "ab", Some(9), answer.clone()).unwrap();
    // That was for this act alone, and once.
    assert_eq!(code(desk.ask(&session, Verb::Restore)), "step-up");
    assert_eq!(code(ask(Verb::Restore, "ab", Some(9), answer)), "wrong-code", "the fifth ends the session");
    assert_eq!(code(desk.authority.check(&session)), "no-session");
    let told = desk.told();
    let proven = told.iter().find(|event| event.code == "proven-again" && event.fields.contains_key("arguments")).unwrap();
    assert_eq!((proven.fields["factor"].as_str(), proven.fields["arguments"].as_str()), ("passkey", &*"ab".repeat(32)));
    assert!(told.iter().any(|event| event.code == "wrong-code" && event.fields.get("passkey").is_some_and(|why| why == "challenge")));
}

#[test]
fn another_session_another_host_and_another_user_have_challenges_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let helper = desk.add(&session, "Helper", Role::Operator);
    let (mut key, mut theirs) = (Authenticator::es256(), Authenticator::eddsa());
    give(&desk, &session, &owner, &key, "Ring");
    let their_session = desk.session(&helper);
    give(&desk, &their_session, &helper, &theirs, "Ring");
    let second = desk.session(&owner);
    let ask = |session: &Base64, code: String| desk.authority.grant(&ask_for(session, Verb::Restore, "ab", None, code));
    let begun = asked(ask(&session, format!("?{HOST}")));
    let answer = key.answer(&begun.challenge).to_code();
    assert_eq!(code(ask(&second, answer.clone())), "wrong-code");
    assert_eq!(code(ask(&their_session, answer.clone())), "wrong-code");
    ask(&session, answer).unwrap();
    // Somebody else's passkey answers nothing of mine.
    let begun = asked(ask(&session, format!("?{HOST}")));
    assert_eq!(code(ask(&session, theirs.answer(&begun.challenge).to_code())), "wrong-code");
    assert_eq!(code(ask(&session, "?other.lan".into())), "no-passkey");
    // The same host with another port is another page.
    let begun = asked(ask(&session, "?box.lan".into()));
    assert_eq!(code(ask(&session, key.answer(&begun.challenge).to_code())), "wrong-code");
    key.origin = "https://box.lan".into();
    let begun = asked(ask(&session, "?box.lan".into()));
    ask(&session, key.answer(&begun.challenge).to_code()).unwrap();
}

#[test]
fn a_download_that_is_signed_is_beside_the_budget_of_the_hour() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let mut key = Authenticator::es256();
    give(&desk, &session, &owner, &key, "Ring");
    let ask = |max, code: Option<String>| {
        let ask = AskGrant { code, ..AskGrant::in_session(session.clone(), Verb::Download, "ab".repeat(32), max) };
        desk.authority.grant(&ask)
    };
    ask(Some(HOURLY_DOWNLOAD_BYTES), None).unwrap();
    assert_eq!(code(ask(Some(1), None)), "step-up");
    let begun = asked(ask(None, Some(format!("?{HOST}"))));
    ask(None, Some(key.answer(&begun.challenge).to_code())).unwrap();
    assert_eq!(code(ask(Some(1), None)), "step-up", "the hour goes on");
}

#[test]
fn what_owners_do_with_people_and_what_is_ones_own_is_signed_too() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let helper = desk.add(&session, "Helper", Role::Operator);
    let mut key = Authenticator::es256();
    give(&desk, &session, &owner, &key, "Ring");
    desk.world.pass(301);
    let role = |role, code: String| desk.authority.change_role("Helper", &ChangeRole { session: session.clone(), role, code: Some(code) });
    let begun = asked(role(Role::Auditor, format!("?{HOST}")));
    assert_eq!(begun.act, "users-manage");
    let answer = key.answer(&begun.challenge).to_code();
    assert_eq!(code(role(Role::Owner, answer.clone())), "wrong-code", "another role");
    role(Role::Auditor, answer).unwrap();
    // Nothing is fresh by that.
    let by = |code: Option<String>| ByOwner { session: session.clone(), code };
    assert_eq!(code(desk.authority.disable("Helper", &by(None))), "step-up");
    let begun = asked(desk.authority.disable("Helper", &by(Some(format!("?{HOST}")))));
    let answer = key.answer(&begun.challenge).to_code();
    assert_eq!(code(desk.authority.reset("Helper", &by(Some(answer.clone())))), "wrong-code", "another act");
    desk.authority.disable("Helper", &by(Some(answer))).unwrap();
    drop(helper);
    // One's own password, and this one alone.
    let change_to = |new: &str, code: String| {
        let (password, new) = (secret(PASSWORD), secret(new));
        desk.authority.change_password(&ChangePassword { session: session.clone(), password, code, new }, Origin::Console)
    };
    let begun = asked(change_to("another horse battery", format!("?{HOST}")));
    let answer = key.answer(&begun.challenge).to_code();
    assert_eq!(code(change_to("the password of a console", answer.clone())), "wrong-proof");
    change_to("another horse battery", answer).unwrap();
    assert!(desk.codes_told().contains(&"password-changed".to_owned()));
    // The console's certificate.
    let certificate = |fingerprint: Option<String>, code: Option<String>| {
        desk.authority.console_certificate(&ConsoleCertificate { session: session.clone(), code, fingerprint })
    };
    assert_eq!(code(certificate(Some("ab".repeat(32)), None)), "step-up");
    assert_eq!(code(certificate(Some("no".into()), None)), "malformed");
    let begun = asked(certificate(Some("ab".repeat(32)), Some(format!("?{HOST}"))));
    certificate(Some("ab".repeat(32)), Some(key.answer(&begun.challenge).to_code())).unwrap();
    assert!(desk.told().iter().any(|event| event.code == "console-certificate" && event.fields["sha256"] == "ab".repeat(32)));
}

#[test]
fn everybody_has_their_own_and_owners_remove_those_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let helper = desk.add(&session, "Helper", Role::Auditor);
    let theirs = desk.session(&helper);
    let (mut key, mut ring) = (Authenticator::eddsa(), Authenticator::es256());
    give(&desk, &theirs, &helper, &key, "Ring");
    give(&desk, &session, &owner, &ring, "Ring");
    let (their_id, my_id) = (own(&desk, &theirs)[0].id.clone(), own(&desk, &session)[0].id.clone());
    let rename = |id: &str, name: &str| desk.authority.rename_passkey(id, &RenamePasskey { session: theirs.clone(), name: name.into() });
    rename(&their_id, "Key in the drawer").unwrap();
    assert_eq!((code(rename(&my_id, "x")), code(rename(&their_id, ""))), ("unknown-passkey", "bad-passkey"));
    // As often as they like, and told of once in an hour.
    assert!(
        (0..50).all(|n| rename(&their_id, &format!("Name {}", n % 2)).is_ok() && rename(&their_id, &format!("Name {}", n % 2)).is_ok())
    );
    let renamed = || desk.told().into_iter().filter(|event| event.code == "passkey-renamed").collect::<Vec<_>>();
    assert_eq!((renamed().len(), own(&desk, &theirs)[0].name.as_str()), (1, "Name 1"));
    let by = |session: &Base64, code: Option<String>| ByOwner { session: session.clone(), code };
    assert_eq!(code(desk.authority.remove_passkey("Dr. Owner", &my_id, &by(&theirs, None))), "not-allowed");
    // One's own takes a code that was shown for it, or a passkey that signs it.
    assert_eq!(code(desk.authority.remove_passkey("Helper", &their_id, &by(&theirs, None))), "step-up");
    let begun = asked(desk.authority.remove_passkey("helper", &their_id, &by(&theirs, Some(format!("?{HOST}")))));
    desk.authority.remove_passkey("helper", &their_id, &by(&theirs, Some(key.answer(&begun.challenge).to_code()))).unwrap();
    assert!(own(&desk, &theirs).is_empty());
    let answer = at_door(&desk, &helper, &mut key);
    assert_eq!(enter(&desk, &helper, &answer), "sign-in-refused");
    give(&desk, &theirs, &helper, &key, "Ring");
    let session = desk.session(&owner);
    desk.authority.remove_passkey("Helper", &own(&desk, &theirs)[0].id, &by(&session, None)).unwrap();
    assert!(
        desk.told().iter().any(|event| event.code == "passkey-removed" && event.actor == "Dr. Owner" && event.fields["user"] == "Helper")
    );
    // A reset takes all.
    give(&desk, &theirs, &helper, &key, "Ring");
    desk.authority.reset("Helper", &by(&session, None)).unwrap();
    assert!(desk.authority.users().unwrap().users.iter().all(|user| user.name != "Helper" || user.passkeys.is_empty()));
    let answer = at_door(&desk, &owner, &mut ring);
    assert_eq!(enter(&desk, &owner, &answer), "done");
}

#[test]
fn who_has_nothing_left_but_paper_loses_the_passkeys_too() {
    let folder = tempfile::tempdir().unwrap();
    let (desk, owner) = Desk::claimed(folder.path());
    let mut paper = owner.recovery.clone().into_iter();
    for (code, left) in [(None, 1), (paper.next(), 0)] {
        let session = desk.session(&owner);
        if own(&desk, &session).is_empty() {
            give(&desk, &session, &owner, &Authenticator::es256(), "Ring");
        }
        desk.world.pass(30);
        let code = code.unwrap_or_else(|| owner.code(&desk.world));
        let ask = ChangeFactor { session: session.clone(), password: secret(PASSWORD), code };
        let new = Person::new("Dr. Owner", PASSWORD, &desk.authority.new_authenticator(&ask, Origin::Console).unwrap());
        if left == 0 {
            desk.authority.confirm_authenticator(&ConfirmFactor { session: session.clone(), code: new.code(&desk.world) }).unwrap();
        }
        assert_eq!(own(&desk, &session).len(), left);
    }
}

#[test]
fn they_come_with_the_copy_of_the_users() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (desk, owner) = Desk::claimed(folder.path());
    let session = desk.session(&owner);
    let mut key = Authenticator::eddsa();
    give(&desk, &session, &owner, &key, "Ring");
    let copy = desk.authority.export().unwrap();
    let new = Desk::open(other.path(), &desk.world);
    new.authority.import(&copy).unwrap();
    let answer = at_door(&new, &owner, &mut key);
    assert_eq!(enter(&new, &owner, &answer), "done");
    let copy = String::from_utf8(copy.to_vec()).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let third = Desk::open(empty.path(), &desk.world);
    for wrong in [copy.replace("\"host\":\"box.lan\"", "\"host\":\"10.0.0.1\""), copy.replace("\"kind\":\"eddsa\"", "\"kind\":\"es256\"")] {
        assert_ne!(wrong, copy);
        assert_eq!(code(third.authority.import(wrong.as_bytes())), "bad-copy");
    }
}
