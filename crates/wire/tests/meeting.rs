//! Invitations and proofs: typed with errors, carried to another connection, shown by somebody else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use keepwell_format::VaultId;
use keepwell_wire::name::words;
use keepwell_wire::pairing::{Between, PairAnswer, PairRequest, Side};
use keepwell_wire::recover::RecoverSecret;
use keepwell_wire::shorten::OrderSecret;
use keepwell_wire::{Invitation, InvitationError, KeyName, PlaceCode, PlaceCodeError, Token};

fn invitation() -> Invitation {
    Invitation { receiver: KeyName([7; 32]), token: Token::from_bytes([9; 16]), address: "keepwell.example.org:8443".into() }
}

fn between() -> Between {
    Between { source: KeyName([1; 32]), receiver: KeyName([7; 32]), exporter: [3; 32] }
}

#[test]
fn an_invitation_is_read_as_people_type_it() {
    let text = invitation().to_text();
    assert!(text.starts_with("kwpair1"), "{text}");
    let blanks: String = text.chars().enumerate().flat_map(|(n, c)| if n % 5 == 4 { vec![c, ' '] } else { vec![c] }).collect();
    for typed in [text.clone(), text.to_uppercase(), blanks, format!("\n {text}\r\n")] {
        assert_eq!(Invitation::parse(&typed).as_ref(), Ok(&invitation()), "{typed}");
    }
}

#[test]
fn one_wrong_character_is_always_found() {
    let text = invitation().to_text();
    for at in 0..text.len() {
        for other in ["q", "z", "b", "1"] {
            let mut bent = text.clone();
            bent.replace_range(at..=at, other);
            assert!(bent == text || Invitation::parse(&bent) == Err(InvitationError::NotOne), "{bent}");
        }
    }
    for no in ["", "kwpair1", "kwpair", &text[..text.len() - 1], &text.replacen("kwpair", "kwpay", 1)] {
        assert_eq!(Invitation::parse(no), Err(InvitationError::NotOne), "{no}");
    }
}

#[test]
fn the_code_of_a_place_is_read_as_it_was_printed() {
    let place = PlaceCode { vault: VaultId([5; 16]), receiver: KeyName([7; 32]), address: "keepwell.example.org:8484".into() };
    let (text, printed) = (place.to_text(), place.to_groups());
    assert!(text.starts_with("kwplace1") && printed.iter().all(|group| group.len() <= 4), "{text}");
    for typed in [text.clone(), text.to_uppercase(), printed.join(" "), printed.join("\n").to_uppercase()] {
        assert_eq!(PlaceCode::parse(&typed).as_ref(), Ok(&place), "{typed}");
    }
    for at in 0..text.len() {
        for other in ["q", "z", "b", "1"] {
            let mut bent = text.clone();
            bent.replace_range(at..=at, other);
            assert!(bent == text || PlaceCode::parse(&bent) == Err(PlaceCodeError::NotOne), "{bent}");
        }
    }
    // An invitation has a right in it, and is none.
    assert_eq!(PlaceCode::parse(&invitation().to_text()), Err(PlaceCodeError::NotOne));
    let nowhere = PlaceCode { address: String::new(), ..place };
    assert!(matches!(PlaceCode::parse(&nowhere.to_text()), Err(PlaceCodeError::Inside(_))));
}

#[test]
fn a_token_is_in_no_debug_output() {
    assert!(!format!("{:?}", invitation()).contains('9'));
}

#[test]
fn a_proof_is_for_one_connection_one_side_and_one_message() {
    let token = || Token::from_bytes([9; 16]);
    let request = PairRequest { vault: VaultId([5; 16]), slots: vec![1, 2, 3], practice: "Dr. Ada".into() }.encode();
    let proof = between().proof(&token(), Side::Source, &request);
    assert!(between().is_proven(&token(), Side::Source, &request, &proof));
    assert!(!between().is_proven(&token(), Side::Receiver, &request, &proof), "sent back");
    assert!(!between().is_proven(&Token::from_bytes([8; 16]), Side::Source, &request, &proof), "another token");
    assert!(!between().is_proven(&token(), Side::Source, &request[1..], &proof), "another message");
    let elsewhere = [
        Between { exporter: [4; 32], ..between() },
        Between { source: KeyName([2; 32]), ..between() },
        Between { receiver: KeyName([2; 32]), ..between() },
    ];
    for other in elsewhere {
        assert!(!other.is_proven(&token(), Side::Source, &request, &proof), "{other:?}");
    }
    let secret = || RecoverSecret::from_bytes([6; 32]);
    let proof = secret().proof(&between());
    assert!(secret().is_proven(&between(), &proof));
    for other in elsewhere {
        assert!(!secret().is_proven(&other, &proof), "{other:?}");
    }
    assert!(!RecoverSecret::from_bytes([7; 32]).is_proven(&between(), &proof));
    let order = || OrderSecret::from_bytes([6; 32]);
    let ordered = order().proof(&between(), b"said");
    assert!(order().is_proven(&between(), b"said", &ordered) && !order().is_proven(&between(), b"else", &ordered));
    assert!(elsewhere.iter().all(|other| !order().is_proven(other, b"said", &ordered)));
    assert!(
        ordered != proof && OrderSecret::of_payload(&secret().payload()).is_err() && RecoverSecret::of_payload(&order().payload()).is_err()
    );
}

#[test]
fn what_was_said_is_told_apart_from_its_proof() {
    let request = PairRequest { vault: VaultId([5; 16]), slots: vec![1, 2, 3], practice: "Dr. Ada".into() };
    let said = request.encode();
    let sent = [&said[..], &[0xaa; 32]].concat();
    assert_eq!(PairRequest::decode(&sent).unwrap(), (request, &said[..], [0xaa; 32]));
    let answer = PairAnswer { receipt_key: [1; 32], quota: 1 << 40, floor: 90 * 86_400, place: "Northside".into() };
    let said = answer.encode();
    let sent = [&said[..], &[0xbb; 32]].concat();
    assert_eq!(PairAnswer::decode(&sent).unwrap(), (answer, &said[..], [0xbb; 32]));
    assert!(PairAnswer::decode(&sent[..31]).is_err());
}

#[test]
fn words_depend_on_both_keys_and_who_is_which() {
    let (a, b, c) = (KeyName([1; 32]), KeyName([2; 32]), KeyName([3; 32]));
    assert_eq!(words(a, b), words(a, b));
    assert_ne!(words(a, b), words(b, a));
    assert_ne!(words(a, b), words(a, c));
}
