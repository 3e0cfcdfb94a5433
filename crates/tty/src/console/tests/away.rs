//! A blank box fetches the backups of a lost one: what is typed goes to whom it is for, in this order, and nowhere else.

use keepwell_wire::{KeyName, PlaceCode};

use super::*;

/// As `docs/wire.md` 8 has it; the vault is 0505...
fn code() -> String {
    let place = PlaceCode {
        vault: "05".repeat(16).parse().unwrap(),
        receiver: KeyName(hex::decode(&"44".repeat(32)).unwrap()),
        address: "box.example.org:8484".into(),
    };
    place.to_text()
}

fn status(phase: &str) -> Value {
    json!({ "phase": phase, "place": null, "failed": null, "taken_back": false, "newest": 2, "whole": 2, "snapshots": 9, "damaged": 0, "came": 30_000_000_u64,
            "first_bytes": 90_000_000_u64, "bytes": 900_000_000_u64, "rate": 1_000_000 })
}

struct Blank {
    desk: Desk,
    recovering: Option<String>,
    recovery: Value,
    vaults: Value,
}

impl Blank {
    fn new() -> Self {
        let mut blank = Self { desk: Desk::new(), recovering: None, recovery: status("idle"), vaults: json!([]) };
        blank.later();
        blank.later();
        blank
    }

    fn later(&mut self) {
        let desk = &mut self.desk;
        desk.up += 6;
        desk.console.tick(desk.up);
        let disk = |serial: &str, kind: &str| {
            let health = json!({ "verdict": "healthy", "reasons": [], "polled_at": 1, "temperature_celsius": null, "power_on_hours": null, "wear_percent": null });
            json!({ "serial": serial, "device": "sda", "wwn": null, "model": "Disk", "bus": "sata", "size_bytes": 4_000_000_000_000_u64, "rotational": true, "removable": false,
                    "notes": [], "standing": { "kind": kind, "what": "ntfs" }, "health": health, "job": null, "first_seen": 1, "last_seen": 1 })
        };
        for order in desk.console.orders() {
            let Order::Ask(ask) = order else { continue };
            let answer = match ask.about {
                About::People => json!({ "boot": "", "public_key": "", "users": 0, "claimed": false, "claimable": true }),
                About::Keys => {
                    json!({ "phase": "new", "locked": null, "keeper": "tpm", "sealed": null, "box_id": null, "public_key": null, "warnings": [], "vaults": self.vaults })
                }
                About::Strangers => json!({ "disks": [disk("S1", "blank"), disk("S2", "foreign"), disk("S3", "blank")], "unnamed": [] }),
                About::Pool => {
                    let phase = if self.recovering.is_some() { "begun" } else { "none" };
                    json!({ "phase": phase, "disks": [], "ready": [], "failed": null, "recovering": self.recovering })
                }
                About::Recovery => self.recovery.clone(),
                About::ClaimCode => json!({ "code": "Q09ERQ==" }),
                _ => continue,
            };
            desk.console.told(Told::Answer(ask, Ok(answer)), desk.up);
        }
        desk.console.tick(desk.up);
    }

    fn picks(&mut self, label: &str) {
        let shown = self.desk.shown();
        let digit = (1..=7).find(|digit| shown.contains(&format!("{digit} {label}")) || shown.contains(&format!("{digit}  {label}")));
        let digit = digit.unwrap_or_else(|| panic!("{label}: {shown}"));
        self.desk.types(&digit.to_string());
    }

    fn types_papers(&mut self) {
        let [one, two, _] = split(&KitSeed::from_bytes([7; 32]), 3, &mut |bytes| bytes.fill(9));
        for share in [one, two] {
            let rows = share.to_words().map(|row| format!("{}\n", row.join(" "))).concat();
            self.desk.types(&rows);
        }
    }
}

fn body(ask: &Ask) -> Value {
    serde_json::from_slice(ask.body.as_ref().unwrap()).unwrap()
}

#[test]
fn a_code_blank_disks_and_two_papers_bring_the_backups() {
    let mut blank = Blank::new();
    assert!(blank.desk.shown().contains("Claim code   CODE"), "{}", blank.desk.shown());
    blank.picks("Recovery papers");
    blank.picks("The box is gone");
    let code = code();
    // A wrong character: the row is typed again.
    let bent = format!("{}{}", if code.starts_with('k') { 'q' } else { 'k' }, &code[1..]);
    blank.desk.types(&format!("{bent}\n\n\n\n\n\n"));
    assert!(blank.desk.shown().contains("a character of it is wrong"), "{}", blank.desk.shown());
    blank.desk.types("\u{1b}");
    blank.desk.console.press(Key::Escape, blank.desk.up);
    blank.picks("The box is gone");
    let (one, two) = code.split_at(40);
    blank.desk.types(&format!(
        "{}\n{two}\n\n\n\n10.0.0.9:8484\n",
        one.to_uppercase().chars().collect::<Vec<_>>().chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
    ));
    // Upper and lower case are not mixed by any printer.
    assert!(blank.desk.shown().contains("a character of it is wrong"), "{}", blank.desk.shown());
    blank.desk.console.press(Key::Escape, blank.desk.up);
    blank.picks("The box is gone");
    blank.desk.types(&format!("{one}\n{two}\n\n\n\n10.0.0.9:8484\n"));
    let shown = blank.desk.shown();
    assert!(shown.contains("S1") && shown.contains("S3") && !shown.contains("S2") && shown.contains("ERASE"), "{shown}");
    blank.desk.types("erase\n");
    assert!(blank.desk.shown().contains("in capitals"), "{}", blank.desk.shown());
    for _ in 0..5 {
        blank.desk.console.press(Key::Backspace, blank.desk.up);
    }
    blank.desk.types("ERASE\n");
    blank.types_papers();
    let slots = json!({ "slots": "c2xvdHM=", "keyring": "cmluZw==" });
    let ask = blank.desk.tells(About::BeginRecovery, json!({ "locks": slots }));
    assert_eq!((ask.whom, &body(&ask)["address"], &body(&ask)["place"]), (Whom::Recoverd, &json!("10.0.0.9:8484"), &json!(code)));
    assert!(body(&ask).get("disks").is_none(), "no disk before the papers are believed");
    let ask = blank.desk.tells(About::AwayKeys, json!({ "vault": "05", "slots": "", "not_sealed": null }));
    assert_eq!((ask.whom, &body(&ask)["slots"], body(&ask)["papers"].as_array().unwrap().len()), (Whom::Keyd, &json!("c2xvdHM="), 2));
    let ask = blank.desk.tells(About::GoOn, json!({}));
    assert_eq!((ask.whom, &body(&ask)["disks"]), (Whom::Recoverd, &json!(["S1", "S3"])));
    assert!(blank.desk.shown().contains("on their way"));
    // How far it is, and no claim code meanwhile.
    (blank.recovering, blank.recovery) = (Some("05".repeat(16)), status("fetching"));
    blank.desk.types("00");
    blank.later();
    blank.later();
    let shown = blank.desk.shown();
    assert!(shown.contains("30.0 MB of 900 MB") && shown.contains("60.0 MB to come") && !shown.contains("Claim code"), "{shown}");
}

#[test]
fn one_that_was_cut_asks_for_two_papers_and_nothing_else() {
    let mut blank = Blank::new();
    blank.recovering = Some("05".repeat(16));
    blank.recovery["place"] = json!(code());
    blank.recovery["failed"] = json!("the line was cut");
    let paper = json!({ "keeper": "", "confirmed_at": null, "rehearsed_at": null });
    blank.vaults = json!([{ "vault": "05".repeat(16), "owner": "", "test": false, "epoch": 1, "open": true, "set": 1, "made_at": 0, "papers": [paper, paper, paper],
                            "pending_set": null, "to_store": false, "invalid_sets": [] }]);
    blank.later();
    blank.later();
    let shown = blank.desk.shown();
    assert!(shown.contains("do not any more") && shown.contains("the line was cut"), "{shown}");
    blank.picks("Recovery papers");
    blank.picks("Go on");
    blank.types_papers();
    blank.desk.tells(About::BeginRecovery, json!({ "locks": { "slots": "", "keyring": "" } }));
    // The keys are here already.
    let ask = blank.desk.tells(About::GoOn, json!({}));
    assert_eq!(body(&ask)["disks"], json!([]));
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let mut blank = Blank::new();
    blank.picks("Recovery papers");
    blank.picks("The box is gone");
    let code = code();
    let (one, two) = code.split_at(40);
    blank.desk.types(&format!("{one}\n{two}\n\n\n\n\n"));
    blank.desk.types("ERASE\n");
    blank.types_papers();
    blank.desk.refuses(About::BeginRecovery, "not-proven", "the other box keeps nothing that these two papers speak for");
    assert!(blank.desk.shown().contains("This was not done") && blank.desk.shown().contains("speak for"), "{}", blank.desk.shown());
    assert!(!blank.desk.console.away.is_under_way());
    let asked: Vec<About> = blank
        .desk
        .console
        .orders()
        .into_iter()
        .filter_map(|order| if let Order::Ask(ask) = order { Some(ask.about) } else { None })
        .collect();
    assert!(!asked.contains(&About::GoOn) && !asked.contains(&About::AwayKeys));
}
