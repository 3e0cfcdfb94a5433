//! A grant gives the right to its one action, and nothing else: altered at any bit, for anything else, too late or of another start.

use super::*;

const NOW: i64 = 1_795_300_000;
const BODY: &[u8] = br#"{"snapshot":"01JD","to":"original"}"#;
const BOOT: [u8; 16] = [7; 16];

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn scope(names: &[&str]) -> Scope {
    Scope::new(names.iter().map(|name| (*name).to_owned()).collect()).unwrap()
}

fn grant() -> Grant {
    let (role, verb, nonce) = (Role::Operator, Verb::Restore, [3; 16]);
    let user = "Dr. Müller".to_owned();
    Grant {
        boot: BOOT,
        user,
        role,
        verb,
        arguments: digest(BODY),
        nonce,
        expires_at: NOW + 60,
        max_bytes: Some(1 << 30),
        shares: scope(&["EHR", "X-ray"]),
        background: true,
    }
}

fn verify(text: &str) -> Result<Grant, GrantRefused> {
    Grant::verify(text, &key().verifying_key(), NOW, &BOOT, Verb::Restore, BODY)
}

#[test]
fn a_grant_gives_the_right_to_its_action() {
    assert_eq!(verify(&grant().sign(&key())), Ok(grant()));
    let names = (0..NAMES_MAX).map(|n| format!("{n:064}")).collect();
    let longest = Grant { max_bytes: None, user: "a".repeat(USER_MAX), shares: Scope::new(names).unwrap(), ..grant() };
    assert_eq!(verify(&longest.sign(&key())), Ok(longest.clone()));
    assert!(longest.sign(&key()).len() <= TEXT_MAX);
    let all = Grant { shares: Scope::default(), ..grant() };
    assert_eq!(verify(&all.sign(&key())), Ok(all));
}

#[test]
fn and_to_nothing_else() {
    let text = grant().sign(&key());
    let public = key().verifying_key();
    let refused = |now, boot, verb, body| Grant::verify(&text, &public, now, boot, verb, body).unwrap_err();
    for verb in Verb::ALL.iter().filter(|verb| **verb != Verb::Restore) {
        assert_eq!(refused(NOW, &BOOT, *verb, BODY), GrantRefused::OtherVerb, "{verb}");
    }
    assert_eq!(refused(NOW, &BOOT, Verb::Restore, &BODY[1..]), GrantRefused::OtherArguments);
    assert_eq!(refused(NOW, &BOOT, Verb::Restore, b""), GrantRefused::OtherArguments);
    assert_eq!(refused(NOW, &[8; 16], Verb::Restore, BODY), GrantRefused::OtherBoot);
    assert_eq!(refused(NOW + 61, &BOOT, Verb::Restore, BODY), GrantRefused::Expired);
    assert_eq!(refused(NOW - 61, &BOOT, Verb::Restore, BODY), GrantRefused::Expired, "the clock went back");
    assert_eq!(refused(i64::MIN, &BOOT, Verb::Restore, BODY), GrantRefused::Expired);
    assert_eq!(refused(i64::MAX, &BOOT, Verb::Restore, BODY), GrantRefused::Expired);
    let other = SigningKey::from_bytes(&[10; 32]).verifying_key();
    assert_eq!(Grant::verify(&text, &other, NOW, &BOOT, Verb::Restore, BODY), Err(GrantRefused::Forged));
}

#[test]
fn any_bit_that_is_altered_spoils_it() {
    let signed = STANDARD.decode(grant().sign(&key())).unwrap();
    for bit in 0..signed.len() * 8 {
        let mut altered = signed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&STANDARD.encode(altered)).is_err(), "bit {bit}");
    }
    for length in 0..signed.len() {
        assert!(verify(&STANDARD.encode(&signed[..length])).is_err(), "{length}");
    }
    let text = grant().sign(&key());
    for wrong in [String::new(), "x".repeat(10_000), format!("{text}AAAA"), format!(" {text}"), text[1..].to_owned()] {
        assert_eq!(verify(&wrong), Err(GrantRefused::Malformed), "{wrong}");
    }
}

/// What authd signs has one encoding: names in another order, twice, or too many of them are no grant, whoever signed it.
#[test]
fn a_list_of_shares_has_one_encoding() {
    let with = |names: &[&[u8]]| {
        let mut content = Grant { shares: Scope::default(), ..grant() }.encode();
        *content.last_mut().unwrap() = names.len() as u8;
        for name in names {
            content.push(name.len() as u8);
            content.extend(*name);
        }
        content.extend(key().sign(&content).to_bytes());
        verify(&STANDARD.encode(content))
    };
    assert_eq!(with(&[b"EHR", b"X-ray"]), Ok(grant()));
    let many = vec![b"a".as_slice(); NAMES_MAX + 1];
    let long = [b'a'; NAME_MAX + 1];
    for wrong in [&[b"X-ray".as_slice(), b"EHR"][..], &[b"EHR", b"EHR"], &[b""], &[b"a\n"], &[b"\xff"], &[&long], &many] {
        assert_eq!(with(wrong), Err(GrantRefused::Malformed), "{wrong:?}");
    }
}

#[test]
fn a_list_of_shares_covers_its_own_and_an_empty_one_all() {
    let some: Scope = serde_json::from_str(r#"["X-ray","EHR","EHR"]"#).unwrap();
    assert_eq!(some, scope(&["EHR", "X-ray"]));
    assert!(some.covers("EHR") && !some.covers("ehr") && !some.covers("EHR ") && !some.covers("") && !some.covers("keepwell-state"));
    assert!(Scope::default().covers("anything") && Scope::default().is_all() && !some.is_all());
    assert!(serde_json::from_str::<Scope>(r#"[""]"#).is_err() && Scope::new((0..33).map(|n| n.to_string()).collect()).is_err());
}

/// The table, spelt out once more by hand.
#[test]
fn every_role_and_verb() {
    let expected = [
        // Owner, operator, restore-only, auditor, technician, security; a fresh second factor, a person, shares.
        (Verb::SharesAdd, "oo---- ---"),
        (Verb::SharesChange, "oo---- f--"),
        (Verb::SharesRemove, "oo---- fp-"),
        (Verb::PolicyChange, "oo---- ---"),
        (Verb::PolicyLoosen, "o----- fp-"),
        (Verb::RunNow, "oo--o- --s"),
        (Verb::RunCancel, "oo--o- ---"),
        (Verb::SnapshotsList, "ooo--- --s"),
        (Verb::FilesList, "ooo--- --s"),
        (Verb::Restore, "ooo--- f-s"),
        (Verb::Download, "ooo--- f-s"),
        (Verb::DisksChange, "oo---- fp-"),
        (Verb::DisksTest, "oo--o- ---"),
        (Verb::TestRestore, "oo---- ---"),
        (Verb::IncidentsAcknowledge, "oo--oo ---"),
        (Verb::SettingsChange, "oo--o- f--"),
        (Verb::LogRead, "oo-o-o ---"),
        (Verb::SupportBundle, "oo--o- ---"),
        (Verb::EmergencyOpen, "o----o fp-"),
        (Verb::DeletionsFreeze, "oo---o ---"),
        (Verb::DeletionsThaw, "o----o fp-"),
        (Verb::KitPrint, "o----- fp-"),
        (Verb::OffsiteChange, "o----- fp-"),
        (Verb::UsersManage, "o----- fp-"),
    ];
    assert_eq!(expected.map(|(verb, _)| verb), Verb::ALL);
    for (verb, row) in expected {
        let roles: String = Role::ALL.iter().map(|role| if allows(*role, verb) { 'o' } else { '-' }).collect();
        let word = |holds: bool, word: char| if holds { word } else { '-' };
        let [fresh, person, shares] = [needs_fresh_factor(verb, None), needs_person(verb), takes_scope(verb)];
        let found = format!("{roles} {}{}{}", word(fresh, 'f'), word(person, 'p'), word(shares, 's'));
        // A bound helps with a download alone.
        assert_eq!(needs_fresh_factor(verb, Some(UNASKED_DOWNLOAD_BYTES)), fresh && verb != Verb::Download);
        assert_eq!(needs_fresh_factor(verb, Some(UNASKED_DOWNLOAD_BYTES + 1)), fresh);
        assert_eq!(found, row, "{verb}");
        assert_eq!(verb.as_str().parse(), Ok(verb));
        assert_eq!(serde_json::to_string(&verb).unwrap(), format!("\"{verb}\""));
    }
    let roles: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    assert_eq!(roles, ["owner", "operator", "restore-only", "auditor", "technician", "security"]);
}
