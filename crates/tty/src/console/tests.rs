//! The screen without a terminal and without a box: keys go in, scripted answers come back, and what is asked and shown is looked at.

mod away;
mod full;
mod new_box;

use jiff::tz::TimeZone;
use keepwell_api::hex;
use keepwell_crypt::{KitSeed, split};
use serde_json::{Value, json};

use super::*;
use crate::network::{Card, Local};
use crate::view::{ROOM, view};
use crate::words::WIDTH;

/// A console, and the moment.
struct Desk {
    console: Console,
    up: u64,
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self { console: Console::new(TimeZone::UTC, Some("https://box".into()), 443, true), up: 0 };
        let cards =
            vec![Card { name: "eth0".into(), mac: "00:00:5e:00:53:01".into(), linked: true, addresses: vec!["192.0.2.7/24".into()] }];
        desk.console.told(Told::Looked(Local { cards, ..Local::default() }), 0);
        desk
    }

    fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.console.press(if c == '\n' { Key::Enter } else { Key::Char(c) }, self.up);
        }
    }

    /// All that is on the screen, of which no line is too long and no line is one too many.
    fn shown(&self) -> String {
        let view = view(&self.console, self.up, true);
        assert!(view.lines.len() <= ROOM, "{}", view.lines.len());
        let texts: Vec<&str> = view.lines.iter().map(|line| line.text.as_str()).collect();
        for text in &texts {
            assert!(text.is_ascii() && text.chars().count() <= WIDTH && !text.contains('\u{1b}'), "{text}");
        }
        [&[view.title.0.as_str()], &texts[..]].concat().join("\n")
    }

    /// What a person waits for.
    fn asked(&mut self, about: About) -> Ask {
        let orders = self.console.orders();
        let mut asks = orders.into_iter().filter_map(|order| if let Order::Ask(ask) = order { Some(ask) } else { None });
        asks.rfind(|ask| ask.about == about).unwrap_or_else(|| panic!("{about:?} was not asked:\n{}", self.shown()))
    }

    fn tells(&mut self, about: About, answer: Value) -> Ask {
        let ask = self.asked(about);
        self.console.told(Told::Answer(ask.clone(), Ok(answer)), self.up);
        ask
    }

    fn refuses(&mut self, about: About, code: &str, text: &str) {
        let ask = self.asked(about);
        self.console.told(Told::Answer(ask, Err(Trouble { code: code.into(), text: text.into() })), self.up);
    }

    fn signs_in(&mut self, role: &str) {
        self.types("1Ann\na long password\n123456\n");
        let ask = self.tells(About::SignIn, json!({ "session": "AAAA", "expires_at": 9, "idle_s": 600, "role": role }));
        let body: Value = serde_json::from_slice(&ask.body.unwrap()).unwrap();
        assert_eq!((&body["user"], &body["code"]), (&json!("Ann"), &json!("123456")));
        assert!(self.console.person.is_none(), "nobody is here before it is known what is theirs");
        self.tells(About::Session, session(role, &[]));
    }
}

fn session(role: &str, shares: &[&str]) -> Value {
    json!({ "user": "Ann", "role": role, "expires_at": 9, "idle_until": 9, "fresh_until": 9, "recovery_codes_left": 8, "shares": shares })
}

fn share(name: &str) -> Value {
    json!({ "id": "00000000000000aa", "name": name, "location": "smb://reader@10.0.0.7/ehr", "tier": "one", "paused": false, "added_at": 1, "running": null,
            "last": null, "newest_copy_at": 1_700_000_000, "next_due": null })
}

fn copy(id: &str, at: i64) -> Value {
    let counts =
        json!({ "entries": 4, "files": 3, "content_bytes": 3_000_000, "read_bytes": 1, "stored_bytes": 1, "gaps": 0, "inconsistent": 0 });
    json!({ "id": id, "share": "EHR", "taken_at": at, "outcome": "complete", "counts": counts })
}

fn restore(dry: bool, over: bool) -> Value {
    json!({ "id": 5, "snapshot": "s2", "to": "smb://writer@10.0.0.7/ehr", "by": "Ann", "started_at": 1, "finished_at": over.then_some(2),
            "outcome": over.then_some("complete"), "why": null, "dry_run": dry, "files": 3, "written_bytes": 3_000_000, "compared": 3, "differing": 0,
            "missing": 0, "skipped": 1 })
}

#[test]
fn somebody_who_is_away_is_signed_out_and_nothing_of_theirs_stays() {
    let mut desk = Desk::new();
    desk.signs_in("owner");
    assert!(desk.console.who().contains("Ann"));
    desk.types("1");
    desk.up = LOGOFF_S;
    desk.console.tick(desk.up);
    assert!(desk.console.person.is_none() && matches!(desk.console.screen, Screen::Home));
    desk.asked(About::SignOut);
}

#[test]
fn a_box_that_nobody_owns_shows_its_claim_code_and_no_longer() {
    let mut desk = Desk::new();
    desk.console.tick(0);
    let people = |claimed: bool| json!({ "boot": "", "public_key": "", "users": 0, "claimed": claimed });
    desk.tells(About::People, people(false));
    desk.up = 5;
    desk.console.tick(5);
    let orders = desk.console.orders();
    let asks: Vec<Ask> = orders.into_iter().filter_map(|order| if let Order::Ask(ask) = order { Some(ask) } else { None }).collect();
    let of = |about: About| asks.iter().find(|ask| ask.about == about).unwrap().clone();
    desk.console.told(Told::Answer(of(About::ClaimCode), Ok(json!({ "code": "QUJDREUtRkdISks=" }))), 5);
    assert!(desk.shown().contains("Claim code   ABCDE-FGHJK"), "{}", desk.shown());
    desk.console.told(Told::Answer(of(About::People), Ok(people(true))), 5);
    assert!(!desk.shown().contains("ABCDE-FGHJK"), "{}", desk.shown());
}

#[test]
fn an_answer_that_comes_too_late_signs_nobody_in() {
    let mut desk = Desk::new();
    desk.types("1Ann\na long password\n123456\n");
    let ask = desk.asked(About::SignIn);
    desk.console.press(Key::Escape, 1);
    let session = json!({ "session": "AAAA", "expires_at": 9, "idle_s": 600, "role": "owner" });
    desk.console.told(Told::Answer(ask, Ok(session)), 2);
    assert!(desk.console.person.is_none());
    desk.asked(About::SignOut);
}

#[test]
fn a_whole_share_goes_back_after_a_check_and_the_password_is_forgotten() {
    let mut desk = Desk::new();
    desk.signs_in("operator");
    desk.types("1");
    desk.tells(About::Shares, json!([share("EHR")]));
    desk.types("1");
    desk.tells(About::Snapshots, json!([copy("s1", 1_600_000_000), copy("s2", 1_700_000_000)]));
    assert!(desk.shown().find("2023").unwrap() < desk.shown().find("2020").unwrap(), "the newest first");
    desk.types("11");
    desk.types("PRAXIS\\writer\nits password\n");
    desk.types("3");
    // A fresh code is asked for, with what it is for.
    desk.refuses(About::DryRun, "step-up", "");
    assert!(desk.shown().contains("Check what restoring EHR"), "{}", desk.shown());
    desk.types("654321\n");
    let ask = desk.tells(About::DryRun, json!({ "id": 5 }));
    let Leave::Person { code: Some(code), verb: Verb::Restore, .. } = ask.leave else { panic!("no code went along") };
    assert_eq!(code.as_ref(), b"654321");
    let body: Value = serde_json::from_slice(&ask.body.unwrap()).unwrap();
    assert_eq!(
        (&body["to"], &body["conflict"], &body["dry_run"]),
        (&json!("smb://PRAXIS;writer@10.0.0.7/ehr"), &json!("replace"), &json!(true))
    );
    desk.tells(About::Progress, restore(true, true));
    assert!(desk.shown().contains("would be written; nothing was") && desk.shown().contains("Restore now"), "{}", desk.shown());
    desk.types("1");
    let ask = desk.tells(About::Restore, json!({ "id": 6 }));
    let body: Value = serde_json::from_slice(&ask.body.unwrap()).unwrap();
    assert_eq!((&body["dry_run"], &body["password"]), (&json!(false), &json!("aXRzIHBhc3N3b3Jk")));
    let mut state = restore(false, false);
    state["id"] = json!(6);
    desk.tells(About::Progress, state.clone());
    assert!(desk.shown().contains("3 files, 3.0 MB written so far"), "{}", desk.shown());
    desk.up += 1;
    desk.console.tick(desk.up);
    (state["finished_at"], state["outcome"]) = (json!(3), json!("complete"));
    desk.tells(About::Progress, state);
    assert!(desk.shown().contains("Receipt") && desk.shown().contains("All are as in the backup"), "{}", desk.shown());
    assert!(!desk.shown().contains("Restore now"));
}

#[test]
fn who_is_limited_to_shares_sees_no_others_and_no_restores_of_others() {
    let mut desk = Desk::new();
    desk.types("1Ann\na long password\n123456\n");
    desk.tells(About::SignIn, json!({ "session": "AAAA", "expires_at": 9, "idle_s": 600, "role": "restore-only" }));
    desk.tells(About::Session, session("restore-only", &["SCANS"]));
    desk.types("1");
    desk.tells(About::Shares, json!([share("EHR"), share("SCANS")]));
    assert!(desk.shown().contains("SCANS") && !desk.shown().contains("EHR"), "{}", desk.shown());
    desk.types("2");
    let mut other = restore(false, true);
    (other["by"], other["to"]) = (json!("Bob"), json!("smb://writer@10.0.0.8/other"));
    desk.tells(About::Restores, json!([restore(false, true), other]));
    let Screen::Menu(menu) = &desk.console.screen else { panic!("{}", desk.shown()) };
    assert_eq!(menu.items.len(), 1, "theirs: {}", desk.shown());
    let mut desk = Desk::new();
    desk.signs_in("auditor");
    assert!(!desk.shown().contains("Restores under way"), "{}", desk.shown());
}

#[test]
fn who_goes_away_before_they_are_known_is_signed_out() {
    let mut desk = Desk::new();
    desk.types("1Ann\na long password\n123456\n");
    desk.tells(About::SignIn, json!({ "session": "AAAA", "expires_at": 9, "idle_s": 600, "role": "owner" }));
    desk.console.press(Key::Escape, 1);
    assert!(desk.console.person.is_none());
    desk.asked(About::SignOut);
}

#[test]
fn a_disk_is_erased_only_for_its_own_serial_number_and_the_word() {
    let mut desk = Desk::new();
    desk.signs_in("owner");
    desk.types("1");
    desk.tells(About::Shares, json!([share("EHR")]));
    desk.types("1");
    desk.tells(About::Snapshots, json!([copy("s1", 1_600_000_000)]));
    desk.types("1");
    desk.console.screen = Screen::Home;
    desk.console.pick(Pick::UsbDisk("WD-1234".into()));
    desk.types("WD-9999\nERASE\n");
    assert!(desk.shown().contains("not the serial number") && desk.console.orders().is_empty());
    desk.types("\n");
    desk.console.pick(Pick::UsbDisk("WD-1234".into()));
    desk.types("WD-1234\nerase\n");
    assert!(desk.shown().contains("Type ERASE") && desk.console.orders().is_empty());
    for _ in 0..5 {
        desk.console.press(Key::Backspace, 0);
    }
    desk.types("ERASE\n");
    // Nothing is erased before the person has shown again that it is they.
    desk.refuses(About::Prepare, "step-up", "");
    assert!(desk.shown().contains("Erase disk WD-1234"), "{}", desk.shown());
    desk.types("654321\n");
    desk.console.press(Key::Escape, 0);
    let ask = desk.tells(About::Prepare, json!({}));
    let Leave::Person { code: Some(_), verb: Verb::DisksChange, .. } = ask.leave else { panic!("no code went along") };
    let body: Value = serde_json::from_slice(&ask.body.unwrap()).unwrap();
    assert_eq!((ask.whom, ask.route.as_str(), &body["serial"]), (Whom::Vaultd, "/v1/disks/outward", &json!("WD-1234")));
    let body: Value = serde_json::from_slice(&desk.tells(About::DryRun, json!({ "id": 5 })).body.unwrap()).unwrap();
    assert_eq!((&body["to"], &body["snapshot"], &body["dry_run"]), (&json!("usb:WD-1234"), &json!("s1"), &json!(true)));
    let mut checked = restore(true, true);
    checked["snapshot"] = json!("s1");
    desk.tells(About::Progress, checked);
    desk.types("1");
    let body: Value = serde_json::from_slice(&desk.asked(About::Restore).body.unwrap()).unwrap();
    assert_eq!((&body["to"], &body["dry_run"]), (&json!("usb:WD-1234"), &json!(false)));
}

#[test]
fn papers_are_typed_row_by_row_and_two_of_them_are_sent() {
    let [one, two, _] = split(&KitSeed::from_bytes([7; 32]), 3, &mut |bytes| bytes.fill(9));
    let vault = hex::encode(&[5; 16]);
    let rows = |share: &keepwell_crypt::Share| share.to_words().map(|row| format!("{}\n", row.join(" "))).concat();
    let mut desk = Desk::new();
    desk.console.tick(0);
    let paper = json!({ "keeper": "", "confirmed_at": 1, "rehearsed_at": null });
    let kit = json!({ "vault": vault, "owner": "", "test": true, "epoch": 1, "set": 3, "made_at": 1, "papers": [paper, paper, paper], "pending_set": null, "invalid_sets": [] });
    let locked = json!({ "code": "wrong-pcr-7", "text": "Secure Boot was changed." });
    desk.tells(About::Keys, json!({ "phase": "locked", "locked": locked, "keeper": "tpm", "sealed": null, "box_id": null, "public_key": null, "warnings": [], "vaults": [kit] }));
    assert!(desk.shown().contains("KEYS LOCKED"));
    desk.types("3");
    assert!(desk.shown().contains("Secure Boot was changed"));
    desk.types("2");
    desk.types(&format!("{}\n", one.to_words()[0].join(" ").replacen(one.to_words()[0][2], "qqqq", 1)));
    assert!(desk.shown().contains("row 1, word 3"), "{}", desk.shown());
    desk.console.press(Key::Escape, 0);
    desk.types("2");
    desk.types(&rows(&one));
    assert!(desk.shown().contains("Second paper"), "{}", desk.shown());
    desk.types(&rows(&one));
    assert!(desk.shown().contains("paper 1 again"), "{}", desk.shown());
    desk.console.press(Key::Escape, 0);
    desk.types("2");
    desk.types(&rows(&one));
    desk.types(&rows(&two));
    let ask = desk.tells(About::Unlock, json!({ "vault": vault, "slots": "", "not_sealed": null }));
    assert_eq!(ask.route, "/v1/unlock-by-kit");
    assert!(desk.shown().contains("The keys are open"));
    assert!(!desk.shown().contains(one.to_words()[0][0]));
}

#[test]
fn the_sealed_code_opens_and_the_password_is_shown_once() {
    let mut desk = Desk::new();
    let ready = json!({ "share": "EHR", "snapshot": "s1", "taken_at": 1_700_000_000, "outcome": "complete" });
    desk.types("2");
    desk.tells(About::Emergency, json!({ "open": null, "ready": [], "without_copy": ["EHR"], "to_review": [] }));
    assert!(desk.shown().contains("nothing to open") && !desk.shown().contains("Open it"), "a code is not burnt for nothing");
    desk.types("02");
    desk.tells(About::Emergency, json!({ "open": null, "ready": [ready], "without_copy": [], "to_review": [] }));
    desk.types("1Server room on fire\n");
    desk.console.press(Key::Backspace, 0);
    desk.types("9\n");
    desk.types("ABCD-EFGH\n");
    assert!(desk.shown().contains("number from 1 to 4"), "{}", desk.shown());
    desk.console.press(Key::Backspace, 0);
    desk.types("2\n\n");
    desk.console.press(Key::Escape, 0);
    let answer = json!({ "id": 1, "secret": "QUJDREUtRkdISks=", "until": 1_700_007_200, "shares": [ready], "without_copy": [] });
    let ask = desk.tells(About::OpenEmergency, answer);
    assert!(matches!(ask.leave, Leave::SealedCode(code) if code.as_ref() == b"ABCD-EFGH"));
    let shown = desk.shown();
    assert!(shown.contains("https://box/downtime/") && shown.contains("downtime") && shown.contains("ABCDE-FGHJK"), "{shown}");
    desk.up = LOGOFF_S;
    desk.console.tick(desk.up);
    assert!(!desk.shown().contains("ABCDE-FGHJK"));
}

#[test]
fn an_address_is_set_by_who_may_and_after_a_question() {
    let mut desk = Desk::new();
    desk.console.tick(0);
    desk.tells(About::People, json!({ "boot": "", "public_key": "", "users": 1, "claimed": true }));
    desk.types("4");
    assert!(!desk.shown().contains("Set a fixed address"));
    desk.console.press(Key::Escape, 0);
    desk.console.pick(Pick::SetAddress);
    assert!(desk.console.orders().is_empty(), "not without somebody who may");
    desk.console.press(Key::Escape, 0);
    desk.console.press(Key::Escape, 0);
    desk.signs_in("operator");
    desk.types("41192.0.2.9/24\n192.0.2.1\n\n");
    assert!(desk.shown().contains("192.0.2.9/24 on eth0"), "{}", desk.shown());
    desk.types("1");
    desk.refuses(About::Address, "step-up", "");
    assert!(desk.shown().contains("Set the box's address: 192.0.2.9/24"), "{}", desk.shown());
    desk.types("654321\n");
    let ask = desk.tells(About::Address, json!({}));
    assert!(matches!(ask.leave, Leave::Person { verb: Verb::SettingsChange, .. }) && ask.route == "/v1/address");
    assert!(matches!(&desk.console.orders()[..], [Order::Do(Deed::Address(Some(_)))]));
    // Whose session is over sets none.
    desk.console.screen = Screen::Home;
    desk.console.pick(Pick::GivenAddress);
    desk.refuses(About::Address, "no-session", "The session is over.");
    assert!(desk.console.person.is_none() && desk.console.orders().iter().all(|order| matches!(order, Order::Ask(_))));
}

#[test]
fn it_is_switched_off_after_a_question_and_nothing_is_shown_of_what_is_old() {
    let mut desk = Desk::new();
    desk.types("62");
    assert!(desk.console.orders().iter().all(|order| !matches!(order, Order::Do(Deed::PowerOff))));
    desk.types("1");
    assert!(desk.console.orders().iter().any(|order| matches!(order, Order::Do(Deed::PowerOff))));
    desk.console.press(Key::Escape, 0);
    desk.console.press(Key::Escape, 0);
    desk.console.told(Told::Done(Deed::PowerOff, Err(Trouble { code: "x".into(), text: "no right \u{1b}[2J to that".into() })), 0);
    assert!(desk.shown().contains("no right"));
    desk.console.press(Key::Escape, 0);
    assert!(desk.shown().contains("UNKNOWN"));
}

#[test]
fn any_keys_and_any_answers_leave_a_page_that_fits() {
    let mut desk = Desk::new();
    let (mut seed, keys) = (7u64, "0123456789abc\n");
    for step in 0..20_000u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (seed >> 33) as usize;
        desk.up = step / 10;
        match at % 17 {
            0 => desk.console.press(Key::Escape, desk.up),
            1 => desk.console.press(Key::Down, desk.up),
            2 => desk.console.tick(desk.up),
            3 | 4 => {
                let answers = [
                    json!([share("E\u{1b}HR\u{202e}")]),
                    json!([copy("s", i64::MAX)]),
                    json!({ "id": 5 }),
                    restore(at.is_multiple_of(2), at.is_multiple_of(3)),
                    json!(7),
                ];
                for order in desk.console.orders() {
                    if let Order::Ask(ask) = order {
                        let answer = if at.is_multiple_of(5) {
                            Err(Trouble { code: "step-up".into(), text: "x ".repeat(900) })
                        } else {
                            Ok(answers[at % 7 % 5].clone())
                        };
                        desk.console.told(Told::Answer(ask, answer), desk.up);
                    }
                }
            }
            _ => desk.types(&keys[at % keys.len()..=at % keys.len()]),
        }
        desk.shown();
    }
}
