//! Every page for every role, from the one table that the console itself is made of; with all neighbours there, and without them.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod desk;

use std::time::Duration;

use axum::http::{StatusCode, header};
use desk::browser::{Answer, Browser};
use desk::{Desk, facts};
use keepwell_api::grants::Role;
use keepwell_api::vault::Outcome;
use keepwell_consoled::pages::{PAGES, Page, Who};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A page that only takes forms, and one that is streamed.
const NO_PAGE: [&str; 5] = ["/live", "/assets/{file}", "/authority.pem", "/sign-in", "/claim"];

/// A route with what is there at the desk in it.
fn path(page: &Page, draft: &str) -> String {
    let id = if page.path.starts_with("/restore/drafts") {
        draft
    } else if page.path.starts_with("/shares") {
        facts::SHARES[0].0
    } else {
        "2"
    };
    let of = if page.path.ends_with("/versions") { "?of=1" } else { "" };
    page.path.replace("{id}", id).replace("{verb}", "disable") + of
}

/// Somebody with a restore prepared up to its check, as far as they may.
async fn prepared(desk: &Desk, browser: &mut Browser) -> String {
    let begun = browser.post("/restore/drafts", "name=EHR").await;
    let Some(id) = begun.goes_to().strip_prefix("/restore/drafts/").and_then(|rest| rest.split('/').next()).map(str::to_owned) else {
        return "0".into();
    };
    browser.post(&format!("/restore/drafts/{id}/when"), &format!("snapshot={}", desk::vaultd::SNAPSHOT)).await;
    browser.get(&format!("/restore/drafts/{id}/what")).await;
    browser.post(&format!("/restore/drafts/{id}/search"), "text=letter").await;
    browser.post(&format!("/restore/drafts/{id}/choose"), "pick=1").await;
    let to = "kind=smb&server=server&share=share&user=writer&password=x&conflict=rename";
    assert_eq!(browser.post(&format!("/restore/drafts/{id}/check"), to).await.goes_to(), format!("/restore/drafts/{id}/check"));
    assert_eq!(desk.vaultd.done().pop().unwrap().1["dry_run"], true);
    id
}

fn is_kept_to_itself(path: &str, answer: &Answer) {
    let headers = &answer.headers;
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}");
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(headers.get(name).map(|value| value.to_str().unwrap()), Some(value), "{path}: {name}");
    }
}

fn is_a_page(path: &str, answer: &Answer) {
    is_kept_to_itself(path, answer);
    assert!(answer.body.len() <= 100_000, "{path} has {} bytes", answer.body.len());
    assert!(answer.body.contains("<html lang=\"en\">") && answer.body.contains("<main id=\"main\""), "{path}");
    assert_eq!(answer.body.matches("<h1").count(), 1, "{path}");
    for inline in ["style=\"", "onclick", "javascript:", "<style"] {
        assert!(!answer.body.contains(inline), "{path}: {inline}");
    }
    for address in answer.body.split("src=\"").skip(1).chain(answer.body.split("href=\"").skip(1)) {
        let address = address.split('"').next().unwrap();
        assert!(!address.starts_with("//") && !address.contains(':'), "{path} asks elsewhere: {address}");
    }
    let mut ids: Vec<_> = answer.body.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "{path} has two elements of one id");
}

#[tokio::test]
async fn each_role_sees_its_pages_and_no_other() {
    let desk = Desk::new().await;
    for role in Role::ALL {
        let mut browser = Browser::of(&desk, role.as_str()).await;
        let draft = prepared(&desk, &mut browser).await;
        let front = browser.get("/").await;
        for page in PAGES.iter().filter(|page| !NO_PAGE.contains(&page.path)) {
            let path = path(page, &draft);
            let answer = browser.get(&path).await;
            let linked = front.body.contains(&format!("<li><a href=\"{}\"", page.path));
            match (page.is_for(*role), answer.status) {
                (false, status) => {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{role} at {path}");
                    assert!(answer.body.contains("for these roles") && !linked, "{role} at {path}");
                    is_a_page(&path, &answer);
                    let posted = browser.post(&path, "").await;
                    assert_eq!(posted.status, StatusCode::FORBIDDEN, "{role} posts to {path}");
                }
                // Who restores only sees their own restores.
                (true, StatusCode::NOT_FOUND) if *role == Role::RestoreOnly && page.path == "/restore/jobs/{id}" => {}
                // There is no second site here.
                (true, StatusCode::NOT_FOUND) if page.path == "/offsite/sheet" => is_a_page(&path, &answer),
                (true, StatusCode::METHOD_NOT_ALLOWED) => {}
                (true, status) => {
                    assert_eq!(status, StatusCode::OK, "{role} at {path}: goes to {}", answer.goes_to());
                    is_a_page(&path, &answer);
                }
            }
        }
        let only_names: Vec<_> = desk.authd.asked().into_iter().filter(|(user, _)| user == role.as_str()).map(|(_, verb)| verb).collect();
        if matches!(role, Role::Auditor | Role::Technician | Role::Security) {
            let seen = ["files-list", "download", "snapshots-list", "restore"];
            assert!(only_names.iter().all(|verb| !seen.contains(&verb.as_str())), "{role} asked for names: {only_names:?}");
            let run = browser.get("/runs/6").await;
            assert!(!run.body.contains("locked.mdb"), "{role}");
        }
    }
}

#[tokio::test]
async fn nobody_sees_a_page_without_signing_in() {
    let desk = Desk::new().await;
    let mut browser = Browser::new(&desk);
    for page in PAGES {
        let answer = browser.get(&path(page, "0")).await;
        match page.who {
            Who::Roles(_) => assert_eq!((answer.status, answer.goes_to()), (StatusCode::SEE_OTHER, "/sign-in"), "{}", page.path),
            Who::Anybody | Who::Asset => assert!(!answer.status.is_redirection() && !answer.status.is_server_error(), "{}", page.path),
        }
    }
    assert_eq!(browser.get("/no/such/page").await.status, StatusCode::NOT_FOUND);
    is_a_page("/sign-in", &browser.get("/sign-in").await);
}

#[tokio::test]
async fn without_vaultd_pages_say_so() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let draft = prepared(&desk, &mut owner).await;
    let before = owner.get("/").await;
    assert!(before.body.contains("<span>Partly</span>"));
    let parts =
        |page: &Answer| page.body.split(" data-part=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>();
    let mut live = Vec::new();
    for path in ["/", "/shares", "/disks", "/offsite"] {
        live.push((path, parts(&owner.get(path).await)));
    }
    desk.kill_vaultd();
    // Else a page that stays open would go on showing what was.
    for (path, before) in live {
        assert!(!before.is_empty(), "{path}");
        assert_eq!(parts(&owner.get(path).await), before, "{path}");
    }
    for page in PAGES.iter().filter(|page| !NO_PAGE.contains(&page.path)) {
        let path = path(page, &draft);
        let answer = owner.get(&path).await;
        assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        if answer.status != StatusCode::METHOD_NOT_ALLOWED {
            is_a_page(&path, &answer);
        }
    }
    let front = owner.get("/").await;
    assert!(front.body.contains("<span>Unknown</span>") && front.body.contains("Last known: Partly"), "{}", front.body);
    assert!(!front.body.contains("data-status=\"ok\""), "nothing is proven in silence");
    for path in ["/shares", "/incidents", "/disks", "/offsite", "/keys", "/policies", "/log", "/restore"] {
        assert!(owner.get(path).await.body.contains("Unknown"), "{path}");
    }
    assert_eq!(owner.post("/shares/00000000000000a1/run", "").await.status, StatusCode::SEE_OTHER);
    assert!(owner.get("/").await.body.contains("does not answer"), "what was not done is said");
}

#[tokio::test]
async fn without_authd_nobody_gets_in_and_no_page_fails() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    desk.kill_authd();
    let answer = owner.get("/").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    is_a_page("/", &answer);
    assert_eq!(owner.get("/sign-in").await.status, StatusCode::OK);
}

#[tokio::test]
async fn partial_is_never_shown_as_good() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let front = owner.get("/").await;
    for (label, status) in [("EHR", "ok"), ("SCANS", "held"), ("Billing", "warn")] {
        let rows: Vec<_> =
            front.body.split("<li data-status=\"").filter(|row| row.contains(&format!("<strong>{label}</strong>"))).collect();
        assert_eq!(rows.len(), 1, "{label}");
        assert!(rows[0].starts_with(status), "{label}: {}", rows[0]);
    }
    let partial = front.body.split("<li data-status=\"").skip(1).find(|row| row.contains("Befunde")).unwrap();
    assert!(partial.starts_with("warn") && partial.contains("Partial"));
    desk.vaultd.says(facts::calm(desk::now()));
    let front = owner.get("/").await;
    assert!(front.body.contains("<span>Not proven</span>") && front.body.contains("Nothing needs you."), "{}", front.body);
}

#[tokio::test]
async fn who_is_limited_to_a_share_hears_of_no_other() {
    let desk = Desk::new().await;
    desk.authd.limit(&["EHR"]);
    let mut limited = Browser::of(&desk, "restore-only").await;
    let others = ["Befunde", "SCANS", "Billing", "Archive", "00000000000000a4"];
    let now = limited.get("/").await;
    assert!(now.body.contains("<strong>EHR</strong>") && now.body.contains("Disk 2"), "{}", now.body);
    let whole = Browser::of(&desk, "owner").await.get("/").await;
    desk.kill_vaultd();
    let silent = limited.get("/").await;
    assert!(silent.body.contains("<strong>EHR</strong>") && silent.body.contains("Last known"), "{}", silent.body);
    for other in &others[..4] {
        assert!(whole.body.contains(other), "{other}");
    }
    for other in others {
        assert!(!now.body.contains(other) && !silent.body.contains(other), "{other}: {}", now.body);
    }
}

#[tokio::test]
async fn a_restore_from_its_share_to_its_receipt_without_a_script() {
    let desk = Desk::new().await;
    let mut operator = Browser::of(&desk, "operator").await;
    let id = prepared(&desk, &mut operator).await;
    let check = operator.get(&format!("/restore/drafts/{id}/check")).await;
    assert!(check.body.contains("Nothing was written yet.") && check.body.contains("Restore 1,201 files"), "{}", check.body);
    let number = check.between("name=\"check\" value=\"", "\"");
    // A check has no receipt; and what was not looked at is not begun.
    assert_eq!(operator.get(&format!("/restore/jobs/{number}")).await.status, StatusCode::NOT_FOUND);
    for unseen in ["", "check=1"] {
        let back = operator.post(&format!("/restore/drafts/{id}/begin"), unseen).await;
        assert_eq!(back.goes_to(), format!("/restore/drafts/{id}/check"));
        assert!(operator.get(back.goes_to()).await.body.contains("Nothing was begun"), "{unseen}");
    }
    desk.vaultd.ends(number.parse().unwrap(), None);
    operator.post(&format!("/restore/drafts/{id}/begin"), &format!("check={number}")).await;
    desk.vaultd.ends(number.parse().unwrap(), Some(Outcome::Failed));
    operator.post(&format!("/restore/drafts/{id}/begin"), &format!("check={number}")).await;
    assert_eq!(desk.vaultd.done().pop().unwrap().1["dry_run"], true, "nothing was begun yet");
    desk.vaultd.ends(number.parse().unwrap(), Some(Outcome::Complete));
    let begun = operator.post(&format!("/restore/drafts/{id}/begin"), &format!("check={number}")).await;
    let (verb, order) = desk.vaultd.done().pop().unwrap();
    assert_eq!((verb.as_str(), &order["dry_run"], &order["conflict"]), ("restore", &false.into(), &"rename".into()));
    assert_eq!(order["to"], "smb://writer@server/share");
    let receipt = operator.get(begun.goes_to()).await;
    assert!(receipt.body.contains("Receipt of restore") && receipt.body.contains("All were read back and are equal."), "{}", receipt.body);
    // What was prepared is gone, and its password with it; what somebody else restored is not theirs to see.
    assert_eq!(operator.get(&format!("/restore/drafts/{id}/check")).await.status, StatusCode::NOT_FOUND);
    let mut other = Browser::of(&desk, "restore-only").await;
    assert_eq!(other.get(begun.goes_to()).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_looks_on_hears_that_something_changed_and_no_name() {
    let desk = Desk::new().await;
    let owner = Browser::of(&desk, "owner").await;
    let mut stream = owner.connect().await.unwrap();
    let ask = format!("GET /live HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", owner.host, owner.cookie.as_deref().unwrap());
    stream.write_all(ask.as_bytes()).await.unwrap();
    let (mut heard, mut piece) = (String::new(), [0; 4096]);
    // The console's ear may not be at vaultd's door yet.
    while !heard.contains("{\"kind\":\"status\"}") {
        desk.vaultd.happens();
        if let Ok(read) = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut piece)).await {
            heard.push_str(&String::from_utf8_lossy(&piece[..read.unwrap()]));
        }
    }
    assert!(heard.contains("text/event-stream") && heard.contains("{\"kind\":\"status\"}"), "{heard}");
    assert!(!heard.contains("EHR"));
}
