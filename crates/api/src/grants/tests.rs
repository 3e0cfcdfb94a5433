//! A grant gives the right to its one action, and nothing else: altered at any bit, for anything else, too late or of another start.

use super::*;

const NOW: i64 = 1_795_300_000;
const BODY: &[u8] = br#"{"snapshot":"01JD","to":"original"}"#;
const BOOT: [u8; 16] = [7; 16];

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn grant() -> Grant {
    let (role, verb, nonce) = (Role::Operator, Verb::Restore, [3; 16]);
    let user = "Dr. Müller".to_owned();
    Grant { boot: BOOT, user, role, verb, arguments: digest(BODY), nonce, expires_at: NOW + 60, max_bytes: Some(1 << 30) }
}

fn verify(text: &str) -> Result<Grant, GrantRefused> {
    Grant::verify(text, &key().verifying_key(), NOW, &BOOT, Verb::Restore, BODY)
}

#[test]
fn a_grant_gives_the_right_to_its_action() {
    assert_eq!(verify(&grant().sign(&key())), Ok(grant()));
    let unbounded = Grant { max_bytes: None, user: "a".repeat(USER_MAX), ..grant() };
    assert_eq!(verify(&unbounded.sign(&key())), Ok(unbounded));
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

/// The table, spelt out once more by hand.
#[test]
fn every_role_and_verb() {
    let expected = [
        // Owner, operator, restore-only, auditor, technician, security.
        (Verb::SharesAdd, "oo----"),
        (Verb::SharesChange, "oo----"),
        (Verb::SharesRemove, "oo----"),
        (Verb::PolicyChange, "oo----"),
        (Verb::PolicyLoosen, "o-----"),
        (Verb::RunNow, "oo--o-"),
        (Verb::RunCancel, "oo--o-"),
        (Verb::SnapshotsList, "ooo---"),
        (Verb::FilesList, "ooo---"),
        (Verb::Restore, "ooo---"),
        (Verb::Download, "ooo---"),
        (Verb::TestRestore, "oo----"),
        (Verb::IncidentsAcknowledge, "oo--oo"),
        (Verb::SettingsChange, "oo--o-"),
        (Verb::LogRead, "oo-o-o"),
        (Verb::SupportBundle, "oo--o-"),
        (Verb::UsersManage, "o-----"),
    ];
    assert_eq!(expected.map(|(verb, _)| verb), Verb::ALL);
    for (verb, row) in expected {
        let found: String = Role::ALL.iter().map(|role| if allows(*role, verb) { 'o' } else { '-' }).collect();
        assert_eq!(found, row, "{verb}");
        assert_eq!(verb.as_str().parse(), Ok(verb));
        assert_eq!(serde_json::to_string(&verb).unwrap(), format!("\"{verb}\""));
    }
    let roles: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    assert_eq!(roles, ["owner", "operator", "restore-only", "auditor", "technician", "security"]);
}
