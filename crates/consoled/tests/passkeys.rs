//! What a page asks a passkey to sign, and an uploaded certificate, before neighbours that are scripted.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod desk;

use axum::http::StatusCode;
use desk::Desk;
use desk::authd::PASSWORD;
use desk::browser::{Answer, Browser};
use serde_json::Value;

fn asked(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(answer.headers.contains_key("content-security-policy") && answer.headers["cache-control"] == "no-store");
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_asks_what_to_sign_does_nothing_and_says_nothing_later() {
    let desk = Desk::new().await;
    desk.authd.grow_stale();
    let mut owner = Browser::of(&desk, "owner").await;
    let code = format!("code=?localhost:{}", desk.at.port());
    for (path, fields, words) in [
        ("/settings/clock", "at=1795300000", "change settings"),
        ("/disks/add", "serial=S1&typed=ERASE+S1", "add and remove disks"),
        ("/emergency/open", "reason=the+server+burns&hours=2", "open copies in an emergency"),
    ] {
        let question = asked(&owner.post(path, &format!("{fields}&{code}")).await);
        assert_eq!(
            (&question["rp"], &question["challenge"], &question["words"]),
            (&"localhost".into(), &"AQID".into(), &words.into()),
            "{path}"
        );
        assert_eq!(question["allow"], serde_json::json!(["BAUG"]));
        assert!(!owner.get("/help").await.body.contains("id=\"error\""), "{path}: nothing is said on the next page");
    }
    // Also what needs no proof is not done by asking.
    asked(&owner.post("/incidents/1/take", &code).await);
    assert!(desk.vaultd.done().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_door_nobody_is_named_and_addresses_have_no_passkeys() {
    let desk = Desk::new().await;
    let mut browser = Browser::new(&desk);
    let page = browser.get("/sign-in").await;
    assert!(page.body.contains("data-passkey=\"yes\"") && page.body.contains("/assets/passkey-"));
    let script = page.between("<script src=\"/assets/passkey-", "\"");
    assert_eq!(browser.get(&format!("/assets/passkey-{script}")).await.status, StatusCode::OK);
    let host = browser.host.clone();
    let question = asked(&browser.sign_in("owner", PASSWORD, &format!("?{host}")).await);
    assert_eq!(question["act"], "sign-in");
    assert_eq!(desk.authd.signed_in(), 0);
    browser.host = desk.at.to_string();
    browser.cookie = None;
    assert!(!browser.get("/sign-in").await.body.contains("passkey"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_page_has_them_only_where_there_is_a_name() {
    let desk = Desk::new().await;
    let mut browser = Browser::of(&desk, "auditor").await;
    assert!(browser.get("/account").await.body.contains("action=\"/account/passkeys\""));
    browser.host = desk.at.to_string();
    let page = browser.get("/account").await.body;
    assert!(!page.contains("action=\"/account/passkeys\"") && page.contains("bare addresses"));
    // What is no number of a passkey goes into no route.
    assert_eq!(browser.post("/account/passkeys/remove", "id=../../sign-out").await.goes_to(), "/account");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_does_not_fit_is_refused_and_its_key_not_given_back() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let page = owner.post("/settings/certificate", "chain=hidden-too&secret=hidden-key&code=123456").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.body.contains("no certificate in that text") && !page.body.contains("hidden-"));
    assert!(page.body.contains("href=\"#c-chain\"") && page.body.contains("aria-invalid=\"true\""), "{}", page.body);
    let mut operator = Browser::of(&desk, "operator").await;
    assert_eq!(operator.get("/settings/certificate").await.status, StatusCode::FORBIDDEN);
    assert_eq!(operator.post("/settings/certificate", "what=own").await.status, StatusCode::FORBIDDEN);
}
