//! The second site: its page in each state, pairing from both sides, and who may do what.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod desk;

use axum::http::StatusCode;
use desk::browser::Browser;
use desk::{Desk, now, offsite};
use serde_json::json;

/// What of the page is between two headings.
fn section<'a>(page: &'a str, from: &str) -> &'a str {
    page.split(from).nth(1).unwrap_or_else(|| panic!("{from} is not in {page}")).split("<h2").next().unwrap()
}

fn with(receivers: &[serde_json::Value]) -> serde_json::Value {
    offsite::both(now(), receivers)
}

#[tokio::test]
async fn without_a_second_site_the_page_says_what_a_fire_takes() {
    let desk = Desk::new().await;
    desk.vaultd.has_offsite(offsite::none());
    let owner = Browser::of(&desk, "owner").await.get("/offsite").await.body;
    assert!(owner.contains("One fire loses everything") && owner.contains("href=\"/offsite/pair\"") && owner.contains("for nobody else"));
    assert!(!owner.split("<main").nth(1).unwrap().contains("data-status=\"ok\"") && !owner.contains("action=\"/offsite/send\""), "{owner}");
    let operator = Browser::of(&desk, "operator").await.get("/offsite").await.body;
    assert!(operator.contains("An owner can pair") && !operator.contains("href=\"/offsite/pair\""), "{operator}");
}

#[tokio::test]
async fn a_second_site_that_is_well_says_what_was_proven_and_when() {
    let desk = Desk::new().await;
    let page = Browser::of(&desk, "operator").await.get("/offsite").await.body;
    for said in [
        "proven 2 hours ago",
        "4,603 samples, all there",
        "412 snapshots are signed for, each verified",
        "nothing: all snapshots are there",
        "each copy for 90 days at least",
        "Settings of this box",
        "ocean ladder quick violin",
        "backup.example.org:8484",
        "310 GB of 1.0 TB used",
        "Nearly full",
        "amber tunnel fresh orbit",
        "its folders can&#39;t be used now",
        "action=\"/offsite/send\"",
    ] {
        assert!(page.contains(said), "{said} is not in {page}");
    }
    // What people elsewhere call themselves is text here, and the box's own state is no share.
    assert!(!page.contains("<script>alert(2)") && !page.contains("keepwell-state"), "{page}");
    let auditor = Browser::of(&desk, "auditor").await.get("/offsite").await.body;
    assert!(auditor.contains("4,603 samples") && !auditor.contains("action=\"/offsite/send\""));
}

#[tokio::test]
async fn trouble_is_said_in_words_with_what_it_means() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    desk.vaultd.has_offsite(with(&[offsite::failing(now(), "unreachable")]));
    let page = owner.get("/offsite").await.body;
    for said in ["can&#39;t be reached.", "Newer copies are in this building alone", "Overdue", "Not there yet", "38.4 GB, about 8 hours"] {
        assert!(page.contains(said), "{said} is not in {page}");
    }
    assert!(!page.contains("os error"), "{page}");
    desk.vaultd.has_offsite(with(&[offsite::failing(now(), "other-key")]));
    let page = owner.get("/offsite").await.body;
    assert!(page.contains("Something else answers") && page.contains("somebody stands between"), "{page}");
    for (mended, status, said) in [(0, "bad", "4 pieces are lost, not sent again yet"), (4, "ok", "4 pieces were lost, and sent again")] {
        desk.vaultd.has_offsite(with(&[offsite::lost(now(), mended)]));
        let page = owner.get("/offsite").await.body;
        assert!(page.contains(said) && page.contains(&format!("<div class=\"hero\" data-status=\"{status}\"")), "{mended}: {page}");
    }
    let mut deaf = with(&[]);
    deaf["not_listening"] = json!("port 8484: address in use");
    desk.vaultd.has_offsite(deaf);
    assert!(owner.get("/offsite").await.body.contains("Other boxes can't reach this one"));
}

#[tokio::test]
async fn an_invitation_is_shown_once_as_text_and_picture() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let form = "address=backup.example.org&room=3&unit=tb&place=Elm+Street&code=123456";
    let page = owner.post("/offsite/invite", form).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains(offsite::INVITATION) && page.body.contains("class=\"qr\"") && page.body.contains("3.0 TB"), "{}", page.body);
    let (verb, order) = desk.vaultd.done().pop().unwrap();
    assert_eq!(verb, "offsite-change");
    assert_eq!(order, json!({ "address": "backup.example.org:8484", "quota_bytes": 3_000_000_000_000_u64, "place": "Elm Street" }));
    for path in ["/offsite", "/offsite/invite", "/"] {
        assert!(!owner.get(path).await.body.contains(offsite::INVITATION), "{path}");
    }
    for room in ["0", "", "1.5", "-1", "1000001", "99999999999999999999"] {
        let page = owner.post("/offsite/invite", &format!("address=a&room={room}&unit=tb&place=p")).await.body;
        assert!(page.contains("Nobody was invited") && page.contains("aria-invalid=\"true\""), "{room}: {page}");
    }
    assert_eq!(desk.vaultd.done().len(), 1);
}

#[tokio::test]
async fn who_pairs_is_asked_to_compare_the_words() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let wrong = owner.post("/offsite/pair", "invitation=kwpair1wrong&practice=Elm+Street&code=123456").await.body;
    assert!(wrong.contains("a character of it is wrong. Nothing was changed.") && wrong.contains("aria-invalid=\"true\""), "{wrong}");
    assert!(!wrong.contains("checksum"), "{wrong}");
    // It is given back, to be put right, and so is the practice.
    assert!(wrong.contains(">kwpair1wrong</textarea>") && wrong.contains("value=\"Elm Street\"") && !wrong.contains("123456"), "{wrong}");
    // Out of a message, in capitals and broken into lines.
    let (one, two) = offsite::INVITATION.split_at(40);
    let typed = format!("invitation=+{}%0D%0A{}&practice=Elm+Street&code=123456", one.to_uppercase(), two.to_uppercase());
    let page = owner.post("/offsite/pair", &typed).await;
    assert_eq!(page.status, StatusCode::OK);
    let words = page.between("<p class=\"print big\">", "</p>");
    assert_eq!(words, "ocean ladder quick violin");
    assert!(
        page.body.contains("They are not the same") && page.body.contains(offsite::KEY) && page.body.contains("90 days"),
        "{}",
        page.body
    );
    let (verb, order) = desk.vaultd.done().pop().unwrap();
    assert_eq!((verb.as_str(), order["practice"].as_str()), ("offsite-change", Some("Elm Street")));
}

#[tokio::test]
async fn what_copies_take_of_the_line_is_said_and_changed_by_an_owner() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let page = owner.get("/offsite").await.body;
    assert!(page.contains("At all hours: the whole line") && page.contains("action=\"/offsite/line\""), "{page}");
    let form = "courteous=on&limited=on&day=0&day=1&from=07%3A00&to=19%3A00&most=2.5&zone=Europe%2FBerlin&code=123456";
    owner.post("/offsite/line", form).await;
    let (verb, order) = desk.vaultd.done().pop().unwrap();
    assert_eq!(verb, "offsite-change");
    let hours = json!([{ "days": [0, 1], "from_min": 420, "to_min": 1140, "kbit": 2500 }]);
    assert_eq!(order, json!({ "courteous": true, "hours": hours, "tz": "Europe/Berlin" }));
    let mut set = with(&[offsite::receiver(now())]);
    set["line"] = order;
    desk.vaultd.has_offsite(set);
    let page = owner.get("/offsite").await.body;
    assert!(
        page.contains("Mon, Tue, 07:00 to 19:00: at most 2.5 Mbit/s") && page.contains("Whoever else needs the line goes first"),
        "{page}"
    );
    owner.post("/offsite/line", "limited=on&day=0&from=07%3A00&to=19%3A00&most=0.01&code=123456").await;
    assert_eq!(desk.vaultd.done().len(), 1, "nothing would ever be whole there");
    assert!(owner.get("/offsite").await.body.contains("Nothing was changed"));
    let mut operator = Browser::of(&desk, "operator").await;
    assert!(!operator.get("/offsite").await.body.contains("action=\"/offsite/line\""));
    assert_eq!(operator.post("/offsite/line", form).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn only_an_owner_pairs_and_only_who_runs_the_box_sends() {
    let desk = Desk::new().await;
    for role in ["operator", "technician", "auditor", "security", "restore-only"] {
        let mut browser = Browser::of(&desk, role).await;
        for path in ["/offsite/invite", "/offsite/pair"] {
            let form = format!("address=a&room=1&unit=tb&place=p&invitation={}&practice=p&code=123456", offsite::INVITATION);
            assert_eq!(browser.post(path, &form).await.status, StatusCode::FORBIDDEN, "{role} {path}");
        }
        let sent = browser.post("/offsite/send", "").await.status;
        let runs = matches!(role, "operator" | "technician");
        assert_eq!(sent, if runs { StatusCode::SEE_OTHER } else { StatusCode::FORBIDDEN }, "{role}");
    }
    let done: Vec<_> = desk.vaultd.done().into_iter().map(|(verb, _)| verb).collect();
    assert_eq!(done, ["run-now", "run-now"]);
}

#[tokio::test]
async fn the_front_page_leads_there_whoever_may_see_it() {
    let desk = Desk::new().await;
    for (role, may) in [("owner", true), ("auditor", true), ("security", false), ("restore-only", false)] {
        let front = Browser::of(&desk, role).await.get("/").await.body;
        let answer = section(&front, "<h2>Offsite</h2>");
        assert_eq!(answer.contains("href=\"/offsite\""), may, "{role}: {answer}");
    }
}
