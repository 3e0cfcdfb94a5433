//! The box's own disk is full: whoever stands there is told, whether signed in or not, and the page still has all that it had.

use keepwell_duties::{At, Book, Duty, DutyKind, Incidents};

use super::*;

/// How vaultd says it; `closed_at` when it is over.
fn status(closed_at: Value) -> Value {
    let (mut book, mut incidents, state) = (Book::default(), Incidents::default(), Duty::of_box(DutyKind::State));
    book.owe(state.clone(), At::default());
    book.fail(&state, At::default(), "full", Vec::new());
    incidents.review(&book, At::default());
    let mut incident = serde_json::to_value(&incidents.all()[0]).unwrap();
    incident["closed_at"] = closed_at;
    let words = "EHR, of all shares the one with the longest name, is as it should be";
    let answers = ["here", "offsite", "keys", "people"].map(|question| json!({ "question": question, "mark": "proven", "words": words }));
    json!({ "at": 1, "headline": "partly", "words": "EHR is late.", "answers": answers, "shares": [], "pool": null, "disks": [], "todo": [],
            "incidents": [incident], "running": 0, "duties": [],
            "doubt": { "since": 1, "ahead_s": 86_400, "settled_since": 1, "off_unknown": false } })
}

#[test]
fn that_the_own_disk_is_full_is_told_to_anybody_on_a_page_that_has_room_for_all() {
    let mut desk = Desk::new();
    desk.console.url = None;
    let addresses = ["192.0.2.7/24", "198.51.100.7/24", "203.0.113.7/24"].map(str::to_owned).to_vec();
    let cards = vec![Card { name: "eth0".into(), addresses, ..Card::default() }];
    let fingerprint = Some(format!("{}:LAST", "AB".repeat(40)));
    desk.console.told(Told::Looked(Local { cards, fingerprint, ..Local::default() }), 0);
    desk.console.tick(0);
    desk.tells(About::Status, status(Value::Null));
    let shown = desk.shown();
    let told = |shown: &str| shown.contains("OWN DISK IS FULL") && shown.contains("a restart gives no room.");
    assert!(told(&shown) && shown.contains("203.0.113.7") && shown.contains("LAST"), "{shown}");
    assert!(!shown.contains("EHR"), "nobody is signed in: {shown}");
    desk.signs_in("owner");
    assert!(told(&desk.shown()) && desk.shown().contains("EHR is late"), "{}", desk.shown());
    // What is over is not told any more.
    desk.up += 6;
    desk.console.tick(desk.up);
    desk.tells(About::Status, status(json!(2)));
    assert!(!desk.shown().contains("OWN DISK"), "{}", desk.shown());
}

#[test]
fn programs_that_give_no_answer_for_want_of_room_are_not_met_with_a_restart() {
    let mut desk = Desk::new();
    desk.console.tick(0);
    desk.refuses(About::Status, SILENT, "keepwell-vaultd gave no answer.");
    let shown = desk.shown();
    assert!(shown.contains("UNKNOWN") && shown.contains("If it stays, restart the box.") && !shown.contains("FULL"), "{shown}");
    desk.console.told(Told::Looked(Local { disk_full: true, ..Local::default() }), 0);
    desk.up += 6;
    desk.console.tick(desk.up);
    desk.refuses(About::Status, SILENT, "keepwell-vaultd gave no answer.");
    let shown = desk.shown();
    assert!(shown.contains("OWN DISK IS FULL") && shown.contains("UNKNOWN") && !shown.contains("restart the box"), "{shown}");
    // And so for who tries to sign in meanwhile.
    desk.types("1Ann\na long password\n123456\n");
    desk.refuses(About::SignIn, SILENT, "keepwell-authd gave no answer.");
    let shown = desk.shown();
    assert!(shown.contains("own disk is full") && !shown.contains("restart the box"), "{shown}");
}
