//! A box without a vault of its own, or without its own state: what the screen says before anything else, and the way from old disks to open backups.

use keepwell_api::state_locked::StateLocked;

use super::*;

const KEY: &str = "04aa";

fn keys(phase: &str, more: Value) -> Value {
    let mut keys = json!({ "phase": phase, "locked": null, "keeper": "tpm", "sealed": null, "box_id": null, "public_key": null, "warnings": [], "vaults": [] });
    keys.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    keys
}

fn disk(serial: &str, standing: Value) -> Value {
    let health = json!({ "verdict": "healthy", "reasons": [], "polled_at": 1, "temperature_celsius": null, "power_on_hours": null, "wear_percent": null });
    json!({ "serial": serial, "device": "sda", "wwn": null, "model": "Disk", "bus": "sata", "size_bytes": 4_000_000_000_000_u64, "rotational": true, "removable": false,
            "notes": [], "standing": standing, "health": health, "job": null, "first_seen": 1, "last_seen": 1 })
}

fn strange(serial: &str, key: &str) -> Value {
    disk(serial, json!({ "kind": "other-box", "disk": "d", "name": "Praxis B", "key": key, "known": false, "mounted_at": null }))
}

impl Desk {
    /// Time goes on, and what is asked in the background is answered.
    fn later(&mut self, keys: &Value, disks: Option<&Value>) {
        self.up += 6;
        self.console.tick(self.up);
        let asks: Vec<Ask> =
            self.console.orders().into_iter().filter_map(|order| if let Order::Ask(ask) = order { Some(ask) } else { None }).collect();
        for ask in asks {
            let answer = match (ask.about, disks) {
                (About::Keys, _) => Ok(keys.clone()),
                (About::Strangers, Some(disks)) => Ok(disks.clone()),
                (About::People, _) => Ok(json!({ "boot": "", "public_key": "", "users": 0, "claimed": false })),
                _ => Err(Trouble { code: "silent".into(), text: "it does not answer".into() }),
            };
            self.console.told(Told::Answer(ask, answer), self.up);
        }
        self.console.tick(self.up);
    }
}

#[test]
fn old_disks_are_taken_over_and_two_papers_open_what_is_on_them() {
    let mut desk = Desk::new();
    let disks = json!({ "disks": [strange("S1", KEY), strange("S2", KEY), strange("S9", "04bb"), disk("S3", json!({ "kind": "blank" }))], "unnamed": [] });
    let new = keys("new", json!({}));
    desk.later(&new, None);
    desk.later(&new, Some(&disks));
    assert!(desk.shown().contains("DISKS OF THE BOX 'Praxis B' are here"), "{}", desk.shown());
    desk.types("3");
    let shown = desk.shown();
    assert!(shown.contains("1  Use 2 disks of the box 'Praxis B'") && shown.contains("2  Use 1 disk of"), "{shown}");
    desk.types("1");
    let shown = desk.shown();
    assert!(
        shown.contains("S1, S2")
            && !shown.contains("S9")
            && shown.contains("Only if they are yours")
            && shown.contains("Nothing is erased"),
        "{shown}"
    );
    desk.types("S7\n");
    desk.refuses(About::TakeOver, "wrong-serial", "the serial number that was typed is not one of a disk of that box. Nothing was changed");
    assert!(desk.shown().contains("not one of a disk of that box"));
    desk.types("01");
    desk.types("S2\n");
    let ask = desk.tells(About::TakeOver, json!({ "mounted": ["S1", "S2"], "left": [] }));
    let body: Value = serde_json::from_slice(&ask.body.unwrap()).unwrap();
    assert_eq!((ask.whom, ask.route.as_str()), (Whom::Diskd, "/v1/boxes/take-over"));
    assert_eq!((&body["key"], &body["typed_serial"]), (&json!(KEY), &json!("S2")));
    assert!(desk.shown().contains("2 disks taken over"), "{}", desk.shown());
    // The page asks for papers by itself as soon as keyd knows of the vault.
    let vault = hex::encode(&[5; 16]);
    let waiting = keys("new", json!({ "waiting": { "vault": vault, "set": 3 } }));
    let rest = json!({ "disks": [strange("S9", "04bb")], "unnamed": [] });
    desk.later(&waiting, Some(&rest));
    assert!(desk.shown().contains("1  Open the backups with two papers") && desk.shown().contains("set 3"), "{}", desk.shown());
    let [one, two, _] = split(&KitSeed::from_bytes([7; 32]), 3, &mut |bytes| bytes.fill(9));
    let rows = |share: &keepwell_crypt::Share| share.to_words().map(|row| format!("{}\n", row.join(" "))).concat();
    desk.types("1");
    desk.types(&rows(&one));
    // What is typed is not disturbed by what is learnt meanwhile.
    desk.later(&waiting, Some(&rest));
    desk.types(&rows(&two));
    let ask = desk.tells(About::Unlock, json!({ "vault": vault, "slots": "", "not_sealed": null }));
    let body: Value = serde_json::from_slice(&ask.body.unwrap()).unwrap();
    assert_eq!((&body["slots"], body["papers"].as_array().unwrap().len()), (&Value::Null, 2));
    assert!(desk.shown().contains("people, shares and history come back"), "{}", desk.shown());
}

#[test]
fn disks_that_stay_behind_are_named() {
    let mut desk = Desk::new();
    let disks = json!({ "disks": [strange("S1", KEY), strange("S2", KEY)], "unnamed": [] });
    let new = keys("new", json!({}));
    desk.later(&new, None);
    desk.later(&new, Some(&disks));
    desk.types("31S1\n");
    desk.tells(About::TakeOver, json!({ "mounted": ["S1"], "left": ["S2"] }));
    assert!(desk.shown().contains("S2") && desk.shown().contains("Not all disks are there"), "{}", desk.shown());
    desk.types("0");
    assert!(desk.shown().contains("1 disk taken over"), "{}", desk.shown());
}

#[test]
fn a_box_without_its_state_says_so_before_all_else_and_lures_nobody() {
    for why in [StateLocked::NoTpm, StateLocked::NotOpened, StateLocked::Damaged] {
        let mut desk = Desk::new();
        desk.console.state_locked = Some(why);
        let locked = json!({ "code": "state-locked", "text": format!("{}. The backups are unharmed", why.happened()) });
        let shut = keys("locked", json!({ "locked": locked }));
        // With all that may stand there.
        desk.later(&shut, None);
        desk.later(&shut, Some(&json!({ "disks": [strange("S1", KEY)], "unnamed": [] })));
        let shown = desk.shown().replace('\n', " ");
        assert!(shown.contains("WITHOUT ITS OWN STATE") && shown.contains("Nothing is lost") && shown.contains("no claim code"), "{shown}");
        assert!(!shown.contains("Claim code") && !shown.contains("CAN I RESTORE") && shown.contains("Recovery papers"), "{shown}");
        // Nobody knows whether it was anybody's; and all of it is on the page, to the last word.
        assert!(
            !shown.contains("has an owner") && shown.contains("gone after it.") && shown.contains("backups back: Recovery papers."),
            "{shown}"
        );
        assert_eq!(shown.contains("before anybody types papers"), why == StateLocked::NotOpened, "{shown}");
        // The papers' page says the same, and then the first page keeps the line above the rest.
        desk.types("3");
        assert!(desk.shown().contains("LOCKED"), "{}", desk.shown());
        desk.types("0");
        desk.later(&keys("open", json!({})), None);
        let shown = desk.shown();
        assert!(
            shown.contains("WITHOUT ITS OWN STATE") && shown.contains("CAN I RESTORE") && !shown.contains("Nothing is lost"),
            "{shown}"
        );
    }
}

#[test]
fn a_box_with_keys_and_without_people_asks_for_papers_and_has_no_code() {
    let mut desk = Desk::new();
    desk.later(&keys("open", json!({})), None);
    let shown = desk.shown();
    assert!(shown.contains("none of its people") && !shown.contains("Claim code"), "{shown}");
    desk.later(&keys("open", json!({ "by_papers": true })), None);
    assert!(desk.shown().contains("Claim code"), "{}", desk.shown());
}

#[test]
fn a_disk_that_can_not_be_read_is_marked_in_the_list() {
    let line = |unreadable: Value| {
        let standing = json!({ "kind": "prepared", "disk": "d", "mounted_at": null, "unreadable": unreadable });
        machine::disk_line(&serde_json::from_value(disk("S1", standing)).unwrap())
    };
    assert!(line(json!("torn")).ends_with("CAN'T BE READ") && !line(Value::Null).contains("READ"));
}
