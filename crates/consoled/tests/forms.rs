//! Forms that are not taken come back as they were typed, with what is to be looked at again; and what else people see when something went wrong.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod desk;

use std::sync::atomic::Ordering;

use axum::http::{Method, StatusCode, header};
use desk::Desk;
use desk::browser::Browser;
use keepwell_consoled::form::Form;
use keepwell_consoled::refill::{SECRETS, Sent, given_back};

/// What is between the first of two texts, everywhere.
fn all<'a>(page: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    page.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()
}

fn plain(text: &str) -> String {
    text.replace("&#38;", "&").replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"").replace("&#39;", "'")
}

#[tokio::test]
async fn every_form_of_the_console_gives_back_what_was_typed_and_no_secret() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let begun = owner.post("/restore/drafts", "name=EHR").await;
    let draft = begun.goes_to().rsplit_once('/').unwrap().0.to_owned();
    owner.post(&format!("{draft}/when"), &format!("snapshot={}", desk::vaultd::SNAPSHOT)).await;
    owner.post(&format!("{draft}/search"), "text=letter").await;
    owner.post(&format!("{draft}/choose"), "pick=1").await;
    let mut paths = [
        "/shares/add",
        "/shares/00000000000000a1",
        "/shares/00000000000000a1/remove",
        "/emergency",
        "/disks/act",
        "/offsite",
        "/offsite/invite",
        "/offsite/pair",
        "/people",
        "/policies",
        "/log",
        "/settings",
        "/settings/certificate",
        "/account",
        "/enrol",
        "/claim",
        "/setup/kit",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend(["what", "where", "found"].map(|step| format!("{draft}/{step}")));
    let mut typed_into = 0;
    for path in paths {
        let page = owner.get(&path).await.body;
        for form in all(&page, "<form method=\"post\"", "</form>") {
            let mut sent = form_urlencoded::Serializer::new(String::new());
            let mut typed = Vec::new();
            for input in all(form, "<input ", ">").into_iter().map(|input| format!(" {input}")) {
                let (name, value) = (attribute(&input, "name").unwrap_or_default(), attribute(&input, "value").unwrap_or_default());
                match attribute(&input, "type").unwrap_or("text") {
                    "hidden" => drop(sent.append_pair(name, &plain(value))),
                    "checkbox" | "radio" => {}
                    kind => {
                        let marker = format!("typed{}", typed.len());
                        sent.append_pair(name, &marker);
                        let is_secret =
                            kind == "password" || SECRETS.contains(&name) || attribute(&input, "autocomplete") == Some("one-time-code");
                        assert!(kind != "password" || SECRETS.contains(&name), "{path}: {name} would be kept for the next page");
                        typed.push((marker, is_secret));
                    }
                }
            }
            for area in all(form, "<textarea ", ">").into_iter().map(|area| format!(" {area}")) {
                let (name, marker) = (attribute(&area, "name").unwrap_or_default(), format!("typed{}", typed.len()));
                sent.append_pair(name, &marker);
                typed.push((marker, SECRETS.contains(&name)));
            }
            let action = plain(attribute(form, "action").unwrap_or_default());
            let filled = given_back(page.clone(), &Sent::new(&action, &Form::parse(sent.finish().as_bytes()).unwrap(), Vec::new()));
            for (marker, is_secret) in &typed {
                let there = [format!("value=\"{marker}\""), format!(">{marker}</textarea>")].iter().any(|there| filled.contains(there));
                assert_eq!(there, !is_secret, "{path}, {action}: {marker}");
            }
            typed_into += typed.len();
        }
    }
    assert!(typed_into > 40, "{typed_into}");
}

#[tokio::test]
async fn a_refused_form_says_why_first_and_leads_to_its_fields() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    // Shown at once.
    let page = owner
        .post("/shares/add", "name=R%C3%B6ntgen+%3C1%3E&kind=smb&server=a%2Fb&share=data&user=reader&password=hunter2hunter2&tier=one")
        .await
        .body;
    for there in [
        "role=\"alert\" id=\"error\" tabindex=\"-1\"",
        "<a href=\"#f-server\" data-of=\"server\">Server</a>",
        "aria-describedby=\"h-server error-text\" aria-invalid=\"true\"",
        "value=\"a/b\"",
        "value=\"Röntgen &#60;1&#62;\"",
    ] {
        assert!(page.contains(there), "{there} is in {page}");
    }
    assert_eq!(page.matches("aria-invalid").count(), 1);
    assert!(!page.contains("hunter2"));
    // Shown on the page that it goes back to, once, and to nobody's script.
    let answer = owner.post("/people/add", "name=Cl%C3%A9mence&role=operator&shares=EHR&code=123456").await;
    assert_eq!(answer.goes_to(), "/people");
    let looks = std::mem::replace(&mut owner.looks, vec![("sec-fetch-dest", "empty")]);
    assert!(!owner.get("/people").await.body.contains("Clémence"));
    owner.looks = looks;
    let page = owner.get("/people").await.body;
    assert!(page.contains("value=\"Clémence\"") && page.contains("data-of=\"shares\""), "{page}");
    let add = page.split("action=\"/people/add\"").nth(1).unwrap().split("</form>").next().unwrap();
    assert!(add.contains("id=\"a-operator\" value=\"operator\"") && add.contains(" checked>"), "{add}");
    assert!(!add.contains("123456"));
    assert!(!owner.get("/people").await.body.contains("Clémence"), "once");
    // What was done comes back to nobody.
    owner.post("/policies", "tier=1&every=0&goal=1").await;
    owner.post("/shares/00000000000000a1/pause", "paused=yes").await;
    assert!(!owner.get("/policies").await.body.contains("aria-invalid"));
}

#[tokio::test]
async fn the_front_page_asks_each_neighbour_once() {
    let desk = Desk::new().await;
    let mut auditor = Browser::of(&desk, "auditor").await;
    auditor.get("/").await;
    let before = desk.questions.load(Ordering::Relaxed);
    auditor.get("/").await;
    auditor.get("/").await;
    // authd: who asks; vaultd: how the box is. Setting up was seen a moment ago, or is over.
    assert_eq!(desk.questions.load(Ordering::Relaxed) - before, 4);
}

#[tokio::test]
async fn what_was_last_known_says_since_when_in_all_parts() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    assert!(!owner.get("/").await.body.contains("data-as-of"));
    desk.kill_vaultd();
    let page = owner.get("/").await.body;
    for part in ["headline", "doubt", "answers", "todo", "shares"] {
        assert!(page.contains(&format!("data-part=\"{part}\" data-as-of=\"today, ")), "{part} in {page}");
    }
    // Whom to call and what is frozen is not known then, and nobody is told otherwise.
    let worst = owner.get("/emergency").await.body;
    assert!(worst.contains("Whom to call can&#39;t be said now") && worst.contains("Whether deletions are frozen"), "{worst}");
    assert!(!worst.contains("Nobody is named here") && !worst.contains("deletions, below"));
    let main = page.split("<main").nth(1).unwrap();
    for colour in ["ok", "bad", "held", "action"] {
        assert!(!main.contains(&format!("data-status=\"{colour}\"")), "{colour}");
    }
}

#[tokio::test]
async fn other_methods_are_told_what_may_be_asked() {
    let desk = Desk::new().await;
    let mut anybody = Browser::new(&desk);
    for (method, path) in [(Method::OPTIONS, "/"), (Method::OPTIONS, "/sign-in"), (Method::PUT, "/"), (Method::DELETE, "/shares")] {
        let answer = anybody.ask(method.clone(), path, "").await;
        assert_eq!(
            (answer.status, answer.headers[header::ALLOW].to_str().unwrap()),
            (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, POST"),
            "{method} {path}"
        );
        assert!(answer.headers.get("dav").is_none());
    }
}

#[tokio::test]
async fn the_bays_are_a_picture_that_a_list_says_again() {
    let desk = Desk::new().await;
    let mut operator = Browser::of(&desk, "operator").await;
    let page = operator.get("/disks").await;
    let words = page.between("<desc id=\"bays-words\">", "</desc>");
    assert!(words.starts_with("Bay 1: disk1, healthy, serial number ending in 1B2C31. Bay 2: disk2, wearing out"), "{words}");
    assert!(words.contains("disk3, missing.") && page.body.contains("The bays of this box") && page.body.contains("Bay 2, 4.0 TB"));
    assert!(!words.contains("blinks"));
    operator.post("/disks/locate", "serial=ZA1B2C32").await;
    let words = operator.get("/disks/act").await.between("<desc id=\"bays-words\">", "</desc>");
    assert!(words.contains("Bay 2: disk2, wearing out, serial number ending in 1B2C32, its light blinks."), "{words}");
    // A disk is erased with the word and its very number, also here.
    for wrong in ["ZA1B2C34", "ERASE ZA1B2C31", "ERASEZA1B2C34"] {
        let page = operator.post("/disks/add", &format!("serial=ZA1B2C34&typed={wrong}&replaces=")).await.body;
        assert!(
            page.contains("Nothing was touched.") && page.contains("id=\"a-typed\"") && page.contains("aria-invalid=\"true\""),
            "{wrong}"
        );
    }
    operator.post("/disks/add", "serial=ZA1B2C34&typed=ERASE+ZA1B2C34&replaces=&code=123456").await;
    assert_eq!(desk.vaultd.done().last().unwrap().1["typed_serial"], "ZA1B2C34");
}

#[tokio::test]
async fn a_name_that_is_looked_for_stands_in_no_address() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let page = owner.post("/log", "who=Ol%C3%A1h&what=&day=").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("value=\"Oláh\""), "{}", page.body);
    for address in all(&page.body, "href=\"", "\"").into_iter().chain(all(&page.body, "action=\"", "\"")) {
        assert!(!address.contains("who="), "{address}");
    }
    assert!(!owner.get("/log?who=Ol%C3%A1h").await.body.contains("Oláh"));
}
