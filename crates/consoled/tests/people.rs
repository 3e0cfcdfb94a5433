//! What owners do with people, programs and the sealed code, and what everybody does with their own second factor: in the browser, before an authd that says yes or no.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod desk;

use desk::Desk;
use desk::authd::CODE;
use desk::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_tokens_and_the_envelope_its_code() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let page = owner.get("/people").await;
    assert!(page.body.contains("There is a sealed code") && page.body.contains("Monitor") && page.body.contains("begin backups"));
    assert_eq!(page.body.matches("/people/tokens/revoke").count(), 1, "what is over is not revoked again");
    assert!(page.body.contains("one computer; it has to wait"));
    // The smallest role that will do; what nobody but an owner may do is for no program.
    let made = owner.post("/people/tokens", "name=Jobs&verb=run-now&verb=run-cancel&days=30").await;
    assert!(made.body.contains("kw_made"));
    assert_eq!(desk.authd.asked().pop().unwrap(), ("technician".to_owned(), "run-now run-cancel".to_owned()));
    for wrong in [
        "name=Jobs&days=30",
        "name=Jobs&verb=policy-loosen&days=30",
        "name=Jobs&verb=run-now&days=401",
        "name=J&verb=log-read&days=9&shares=EHR",
    ] {
        assert_eq!(owner.post("/people/tokens", wrong).await.goes_to(), "/people", "{wrong}");
        assert!(owner.get("/people").await.body.contains("No token was made"), "{wrong}");
    }
    assert_eq!(desk.authd.asked().len(), 1);
    assert_eq!(owner.post("/people/tokens/revoke", "id=00112233445566ff").await.goes_to(), "/people");
    assert!(owner.get("/people").await.body.contains("The token is void"));
    owner.post("/people/tokens/revoke", "id=../users/owner/disable?").await;
    assert!(owner.get("/people").await.body.contains("unknown-token"));
    assert!(owner.post("/people/seal", "").await.body.contains("ABCD-EFGH-JKMN-PQRS-TVWX-YZ01"));
    owner.post("/people/shares", "name=restore-only&shares=EHR").await;
    assert!(owner.get("/people").await.body.contains("The limit was changed"));
    let mut officer = Browser::of(&desk, "security").await;
    let seen = officer.get("/people").await.body;
    assert!(seen.contains("Monitor") && !seen.contains("/people/tokens"));
    assert!(officer.post("/people/seal", "").await.status.is_client_error());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_authenticator_counts_when_it_has_shown_a_code() {
    let desk = Desk::new().await;
    let mut browser = Browser::of(&desk, "auditor").await;
    let asked = browser.post("/account/factor", &format!("what=authenticator&password=x&code={CODE}")).await;
    assert!(asked.body.contains("Does it work?") && asked.body.contains("action=\"/account/authenticator\""));
    browser.post("/account/authenticator", "code=000000").await;
    assert!(browser.get("/account").await.body.contains("wrong-code"));
    browser.post("/account/authenticator", &format!("code={CODE}")).await;
    assert!(browser.get("/account").await.body.contains("count from now on"));
}
