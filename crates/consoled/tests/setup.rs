//! A new box is set up over TLS, step by step, between scripted neighbours: each step shows what is there, refuses what can't be, and is come back to.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod desk;

use axum::http::{StatusCode, header};
use desk::authd::{CODE, PASSWORD};
use desk::browser::{Answer, Browser};
use desk::new_box::{CONTENT, NewBox};
use desk::{Desk, keyd};
use keepwell_api::vault::Outcome;

/// Somebody comes back in a new session: where they are led, and to which step.
async fn comes_back(desk: &Desk, next: &str) -> Browser {
    let mut owner = Browser::new(desk);
    assert_eq!(owner.sign_in("owner", PASSWORD, CODE).await.goes_to(), "/setup");
    let page = owner.get("/setup").await;
    assert!(page.body.contains(&format!("<span>Next: {next}</span>")), "{next}: {}", page.body);
    owner
}

async fn up_to_a_copy() -> (Desk, NewBox, Browser) {
    let (desk, new) = Desk::first("127.0.0.1:0").await;
    let mut owner = comes_back(&desk, "Network and time").await;
    owner.post("/setup/disks", "serial=ZA1B2C31&erase=ERASE+ZA1B2C31&owner=Elm").await;
    new.gets_a_share();
    new.backup(Some(Outcome::Complete));
    (desk, new, owner)
}

fn words(page: &Answer) -> String {
    let places = page.body.split("<label for=\"w-").skip(1).map(|rest| rest.split('"').next().unwrap().split_once('-').unwrap());
    let words: Vec<_> = places.map(|(row, word)| format!("word={}", keyd::word(row.parse().unwrap(), word.parse().unwrap()))).collect();
    assert_eq!(words.len(), 6, "{}", page.body);
    words.join("&")
}

#[tokio::test]
async fn disks_are_taken_only_when_they_are_typed() {
    let (desk, new) = Desk::first("127.0.0.1:0").await;
    let mut owner = comes_back(&desk, "Network and time").await;
    let network = owner.get("/setup/network").await;
    assert!(network.body.contains("localhost:") && network.body.contains("UTC"), "{}", network.body);
    let page = owner.get("/setup/disks").await;
    assert!(page.body.contains("type ERASE ZA1B2C31") && page.body.contains("NTFS &#60;i&#62;"), "{}", page.body);
    assert!(!page.body.contains("type ERASE ZA1B2C33"), "the box's own disk is not offered");
    for wrong in ["serial=ZA1B2C31&erase=", "serial=ZA1B2C31&erase=ZA1B2C31", "serial=ZA1B2C31&erase=ERASE+ZA1B2C32"] {
        let said = owner.post("/setup/disks", wrong).await;
        assert!(said.body.contains("Nothing was touched."), "{wrong}: {}", said.body);
    }
    assert!(new.done().is_empty());
    new.refuses(true);
    let typed = "serial=ZA1B2C31&erase=ERASE+ZA1B2C31&serial=ZA1B2C32&erase=ERASE+ZA1B2C32&owner=Elm+Street";
    let refused = owner.post("/setup/disks", typed).await;
    assert!(refused.body.contains("runs from this disk") && refused.body.contains("value=\"ERASE ZA1B2C32\""), "{}", refused.body);
    new.refuses(false);
    assert_eq!(owner.post("/setup/disks", typed).await.goes_to(), "/setup/disks");
    let (verb, order) = new.done().pop().unwrap();
    assert_eq!(
        (verb.as_str(), &order["disks"][1]["typed_serial"], &order["owner"]),
        ("disks-change", &"ZA1B2C32".into(), &"Elm Street".into())
    );
    let there = owner.get("/setup/disks").await;
    assert!(there.body.contains("The disks are ready.") && there.body.contains("href=\"/setup/share\">Next"), "{}", there.body);
}

#[tokio::test]
async fn the_first_backup_is_told_as_it_is() {
    let (desk, new) = Desk::first("127.0.0.1:0").await;
    let mut owner = Browser::new(&desk);
    owner.sign_in("owner", PASSWORD, CODE).await;
    owner.post("/setup/disks", "serial=ZA1B2C31&erase=ERASE+ZA1B2C31&owner=Elm").await;
    assert!(owner.get("/setup/backup").await.body.contains("There is no share yet"));
    let share = owner.get("/setup/share").await;
    assert!(share.body.contains("can only read") && share.body.contains("href=\"/shares/add\""), "{}", share.body);
    let form = "name=EHR&kind=smb&server=server&share=ehr&user=backup&password=x&tier=one";
    let added = owner.post("/shares/add", form).await;
    assert_eq!(added.goes_to(), "/setup/backup", "{}", added.body);
    let next = "href=\"/setup/restore\">Next";
    for (outcome, said, may_go_on) in [
        (None, "Not begun", false),
        (Some(None), "Running", false),
        (Some(Some(Outcome::Failed)), "The server refused the password.", false),
        (Some(Some(Outcome::Held)), "suddenly empty", false),
        (Some(Some(Outcome::Partial)), "3 files or folders could not be read", true),
        (Some(Some(Outcome::Complete)), "Everything on the share was copied.", true),
    ] {
        if let Some(outcome) = outcome {
            new.backup(outcome);
        }
        let page = owner.get("/setup/backup").await;
        assert!(page.body.contains(said), "{said}: {}", page.body);
        assert_eq!(page.body.contains(next), may_go_on, "{said}");
    }
    new.backup(Some(Outcome::Failed));
    assert_eq!(owner.post("/setup/backup", "share=00000000000000a1").await.goes_to(), "/setup/backup");
    assert_eq!(new.done().pop().unwrap().0, "run-now");
    comes_back(&desk, "First backup").await;
}

#[tokio::test]
async fn a_file_comes_back_before_the_box_tries_many() {
    let (desk, new, mut owner) = up_to_a_copy().await;
    let page = owner.get("/setup/restore").await;
    assert!(page.body.contains("lab &#60;b&#62;7&#60;b&#62;.hl7") && page.body.contains("letters/2026"), "{}", page.body);
    owner.post("/setup/restore/test", "").await;
    assert!(owner.get("/setup/restore").await.body.contains("Get the file first"));
    assert!(new.done().iter().all(|(verb, _)| verb != "test-restore"));
    let file = owner.post("/setup/restore/file", "").await;
    assert_eq!((file.status, file.body.as_str()), (StatusCode::OK, CONTENT));
    assert!(file.headers[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
    owner.post("/setup/restore/test", "").await;
    let going = owner.get("/setup/restore").await;
    assert!(going.body.contains("data-say=\"Running\"") && !going.body.contains("test many more</button>"), "{}", going.body);
    // Whoever chooses another file has to get that one.
    owner.post("/setup/restore/another", "").await;
    new.test_ends(Outcome::Partial);
    let differing = owner.get("/setup/restore").await;
    assert!(differing.body.contains("2 are not as they were") && !differing.body.contains("href=\"/setup/kit\""), "{}", differing.body);
    owner.post("/setup/restore/test", "").await;
    assert!(owner.get("/setup/restore").await.body.contains("Get the file first"));
    comes_back(&desk, "First restore").await;
    new.test_ends(Outcome::Complete);
    assert!(owner.get("/setup/restore").await.body.contains("href=\"/setup/kit\">Next"));
    comes_back(&desk, "Papers").await;
}

#[tokio::test]
async fn papers_are_printed_one_at_a_time_and_never_again() {
    let (desk, new, mut owner) = up_to_a_copy().await;
    new.backup(Some(Outcome::Complete));
    new.test_ends(Outcome::Complete);
    let print = |paper: u8| format!("paper={paper}&keeper=Ann+{paper}&format=pdf");
    let early = owner.post("/setup/kit/print", &print(2)).await;
    assert_eq!((early.status, early.goes_to()), (StatusCode::SEE_OTHER, "/setup/kit"));
    for paper in 1..=3 {
        assert!(owner.get("/setup/kit").await.body.contains(&format!("Paper {paper} is printed")));
        let page = owner.post("/setup/kit/print", &print(paper)).await;
        assert_eq!(page.body, format!("{} {paper}", keyd::PDF));
        assert_eq!(page.headers[header::CONTENT_TYPE], "application/pdf");
        assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
        let asked = owner.get("/setup/kit").await;
        let wrong = words(&asked).replace("word=word-2", "word=other-2");
        owner.post("/setup/kit/confirm", &format!("paper={paper}&{wrong}")).await;
        let said = owner.get("/setup/kit").await;
        assert!(said.body.contains(&format!("is not what paper {paper} says")), "{}", said.body);
        assert_ne!(words(&said), words(&asked), "other words are asked for");
        owner.post("/setup/kit/confirm", &format!("paper={paper}&word=a")).await;
        assert!(owner.get("/setup/kit").await.body.contains("Type all six words"));
        owner.post("/setup/kit/confirm", &format!("paper={paper}&{}", words(&said))).await;
        assert!(owner.get("/setup/kit").await.body.contains(&format!("Paper {paper} is confirmed.")));
    }
    assert_eq!(desk.keyd.keepers(), ["Ann 1", "Ann 2", "Ann 3"]);
    for paper in 1..=3 {
        let again = owner.post("/setup/kit/print", &print(paper)).await;
        assert_eq!((again.status, again.goes_to()), (StatusCode::SEE_OTHER, "/setup/kit"), "{paper} came out again");
    }
    let over = owner.get("/setup").await;
    assert!(over.body.contains("This box is set up"), "{}", over.body);
    assert!(!owner.get("/").await.body.contains("not set up yet"));
    assert_eq!(Browser::new(&desk).sign_in("owner", PASSWORD, CODE).await.goes_to(), "/");
}

#[tokio::test]
async fn a_paper_takes_an_owner_who_is_there_now() {
    let (desk, _, mut owner) = up_to_a_copy().await;
    desk.authd.grow_stale();
    assert!(owner.get("/setup/kit").await.body.contains("New code from your authenticator"));
    let refused = owner.post("/setup/kit/print", "paper=1&keeper=Ann&format=pdf").await;
    assert_eq!(refused.status, StatusCode::SEE_OTHER);
    assert!(owner.get("/setup/kit").await.body.contains("needs a new code"));
    let page = owner.post("/setup/kit/print", &format!("paper=1&keeper=Ann&format=text&code={CODE}")).await;
    assert_eq!((page.status, page.body.as_str()), (StatusCode::OK, "paper 1 of 3"));
}

/// keyd was started again between paper 1 and paper 2: what it has forgotten is no dead end.
#[tokio::test]
async fn papers_that_were_forgotten_come_once_more() {
    let (desk, _, mut owner) = up_to_a_copy().await;
    let print = |paper: u8| format!("paper={paper}&keeper=Ann+{paper}&format=pdf&code={CODE}");
    let soon = owner.post("/setup/kit/again", &format!("code={CODE}")).await;
    assert_eq!(soon.goes_to(), "/setup/kit");
    assert!(owner.get("/setup/kit").await.body.contains("can be printed still"), "nothing is made anew while there is no need");
    owner.post("/setup/kit/print", &print(1)).await;
    let asked = owner.get("/setup/kit").await;
    owner.post("/setup/kit/confirm", &format!("paper=1&{}", words(&asked))).await;
    desk.keyd.forgets();
    let page = owner.get("/setup/kit").await;
    assert!(page.body.contains("Make a new kit") && page.body.contains("has forgotten them"), "{}", page.body);
    desk.authd.grow_stale();
    owner.post("/setup/kit/again", "").await;
    assert!(owner.get("/setup/kit").await.body.contains("needs a new code"));
    assert_eq!(owner.post("/setup/kit/again", &format!("code={CODE}")).await.goes_to(), "/setup/kit");
    let anew = owner.get("/setup/kit").await;
    assert!(anew.body.contains("burn those of the number 7") && anew.body.contains("Open paper 1 to print"), "{}", anew.body);
    for paper in 1..=3 {
        assert_eq!(owner.post("/setup/kit/print", &print(paper)).await.status, StatusCode::OK);
        let asked = owner.get("/setup/kit").await;
        owner.post("/setup/kit/confirm", &format!("paper={paper}&{}&code={CODE}", words(&asked))).await;
    }
    assert!(owner.get("/setup/kit").await.body.contains("All three papers exist"));
}

#[tokio::test]
async fn others_hear_that_it_is_not_done_and_can_do_none_of_it() {
    let (desk, _new) = Desk::first("127.0.0.1:0").await;
    let mut operator = Browser::of(&desk, "operator").await;
    let front = operator.get("/").await;
    assert!(front.body.contains("not set up yet") && !front.body.contains("href=\"/setup\""), "{}", front.body);
    for path in ["/setup/kit/print", "/setup/kit/confirm", "/setup/kit/again", "/setup/disks", "/setup/restore/file"] {
        assert_eq!(operator.post(path, "paper=1&keeper=x").await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let mut owner = Browser::new(&desk);
    owner.sign_in("owner", PASSWORD, CODE).await;
    assert!(owner.get("/").await.body.contains("href=\"/setup\""));
    desk.kill_vaultd();
    assert!(owner.get("/setup").await.body.contains("<span>Unknown</span>"));
    for path in ["/setup/disks", "/setup/share", "/setup/backup", "/setup/restore"] {
        assert!(owner.get(path).await.body.contains("Unknown"), "{path}");
    }
}

#[tokio::test]
async fn at_the_door_a_claim_code_is_named_only_where_the_screen_shows_one() {
    let door = async |desk: &Desk| Browser::new(desk).get("/sign-in").await.body;
    let (desk, _new) = Desk::first("127.0.0.1:0").await;
    assert!(!door(&desk).await.contains("/claim"), "it has an owner");
    desk.authd.has_no_owner();
    let new = door(&desk).await;
    assert!(new.contains("code on its own screen") && new.contains("href=\"/claim\""), "{new}");
    for (code, words) in [("state-locked", "without its own state"), ("tpm-cleared", "none of its people")] {
        desk.keyd.is_locked(code);
        let page = door(&desk).await;
        assert!(page.contains(words) && !page.contains("code on its own screen") && !page.contains("/claim"), "{code}: {page}");
    }
    desk.keyd.takes_papers();
    let page = door(&desk).await;
    assert!(page.contains("come back with them") && !page.contains("code on its own screen"), "{page}");
}
