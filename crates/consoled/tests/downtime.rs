//! The worst day: emergency access is opened from the page, read over WebDAV and in a browser by who has the password, and closed; nobody else gets anything, and nothing is written.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod desk;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use desk::authd::CODE;
use desk::browser::Browser;
use desk::emergency::{CONTENT, SECRET};
use desk::{Desk, ESCAPED};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;

/// "downtime:AAAAA-BBBBB-CCCCC-DDDDD"
const BASIC: &str = "Basic ZG93bnRpbWU6QUFBQUEtQkJCQkItQ0NDQ0MtREREREQ=";

/// One request with these headers, as a WebDAV client makes it.
async fn ask(desk: &Desk, method: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Bytes) {
    let browser = Browser::new(desk);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(browser.connect().await.unwrap())).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut request =
        Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path).header(header::HOST, &browser.host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = sender.send_request(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    driver.abort();
    (parts.status, parts.headers, body)
}

async fn opened() -> Desk {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let answer = owner.post("/emergency/open", &format!("reason=the+server+burns&hours=2&code={CODE}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(answer.body.contains(SECRET) && answer.body.contains("/downtime/") && answer.body.contains("BILLING"), "{}", answer.body);
    let page = owner.get("/emergency").await;
    assert!(page.body.contains("3 files were opened") && !page.body.contains(SECRET), "shown once: {}", page.body);
    desk
}

#[tokio::test]
async fn the_page_is_for_who_answers_for_the_box() {
    let desk = Desk::new().await;
    for (role, sees, opens) in [("owner", true, true), ("security", true, true), ("operator", true, false), ("auditor", false, false)] {
        let mut person = Browser::of(&desk, role).await;
        let page = person.get("/emergency").await;
        assert_eq!(page.status == StatusCode::OK, sees, "{role}");
        assert_eq!(page.body.contains("action=\"/emergency/open\""), opens, "{role}");
        if !opens {
            assert_eq!(person.post("/emergency/open", "reason=because&hours=1").await.status, StatusCode::FORBIDDEN, "{role}");
        }
    }
}

#[tokio::test]
async fn deletions_are_frozen_by_many_and_thawed_by_few_and_the_page_says_whom_to_call() {
    let desk = Desk::new().await;
    for (role, thaws) in [("owner", true), ("security", true), ("operator", false)] {
        let mut person = Browser::of(&desk, role).await;
        let page = person.get("/emergency").await;
        assert!(page.body.contains("IT: Meyer, 040") && !page.body.contains("<123456>"), "{role}");
        assert!(page.body.contains("action=\"/emergency/freeze\""), "{role}");
        assert_eq!(person.post("/emergency/freeze", "").await.goes_to(), "/emergency", "{role}");
        assert_eq!(desk.vaultd.done().last().unwrap().0, "deletions-freeze", "{role}");
        let thawed = person.post("/emergency/thaw", &format!("code={CODE}")).await;
        assert_eq!(thawed.status == StatusCode::FORBIDDEN, !thaws, "{role}");
        assert_eq!(desk.vaultd.done().last().unwrap().0 == "deletions-thaw", thaws, "{role}");
    }
    let mut owner = Browser::of(&desk, "owner").await;
    assert!(owner.get("/settings").await.body.contains("action=\"/settings/call\""));
    owner.post("/settings/call", &format!("lines=IT:+Meyer%0D%0A%0D%0A+Landlord+&code={CODE}")).await;
    let (verb, asked) = desk.vaultd.done().last().unwrap().clone();
    assert_eq!((verb.as_str(), asked), ("settings-change", serde_json::json!({ "lines": ["IT: Meyer", "Landlord"] })));
    let mut operator = Browser::of(&desk, "operator").await;
    assert!(!operator.get("/settings").await.body.contains("/settings/call"));
    assert_eq!(operator.post("/settings/call", "lines=me").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn settings_tell_of_each_way_for_messages_and_try_it() {
    let desk = Desk::new().await;
    let mut operator = Browser::of(&desk, "operator").await;
    let page = operator.get("/settings").await;
    for told in [
        "c…@praxis.example",
        "yes, at 7 in the morning",
        "https://hooks.example.org/…",
        "user name and password were not accepted",
        "1 message waits",
    ] {
        assert!(page.body.contains(told), "{told}: {}", page.body);
    }
    operator.post("/settings/channel", &format!("kind=test&name=hook&code={CODE}")).await;
    assert_eq!(desk.vaultd.done().last().unwrap().1, serde_json::json!({ "name": "hook" }));
    operator.post("/settings/channel", &format!("kind=remove&name=hook&code={CODE}")).await;
    assert_eq!(desk.vaultd.done().last().unwrap().1, serde_json::json!({ "name": "hook", "channel": null }));
}

#[tokio::test]
async fn who_has_the_password_reads_and_nobody_else_does() {
    let desk = opened().await;
    let wrong = "Basic ZG93bnRpbWU6d3Jvbmc=";
    for headers in [&[][..], &[("authorization", wrong)], &[("authorization", "Bearer x")]] {
        let (status, headers, body) = ask(&desk, "GET", "/downtime/", headers).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(headers[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Basic "));
        assert!(!String::from_utf8_lossy(&body).contains("EHR"), "not so much as a share's name");
    }
    let mut owner = Browser::of(&desk, "owner").await;
    assert_eq!(owner.get("/downtime/").await.status, StatusCode::UNAUTHORIZED, "a session is no password");
    let auth = ("authorization", BASIC);
    let (status, _, body) = ask(&desk, "PROPFIND", "/downtime/", &[auth, ("depth", "1")]).await;
    let text = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, StatusCode::MULTI_STATUS, "{text}");
    assert!(text.contains("/downtime/EHR/") && text.contains("Befunde"), "{text}");
    let (status, _, body) = ask(&desk, "PROPFIND", "/downtime/EHR/", &[auth, ("depth", "1")]).await;
    let text = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, StatusCode::MULTI_STATUS, "{text}");
    assert!(text.contains("/downtime/EHR/letters/") && text.contains(&format!("{}<", CONTENT.len())), "{text}");
    assert!(!text.contains("link"), "files and folders alone: {text}");
    let (status, headers, body) = ask(&desk, "GET", "/downtime/EHR/letters/evil.html", &[auth]).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, CONTENT));
    assert_eq!(headers[header::CONTENT_TYPE], "application/octet-stream");
    assert_eq!(headers[header::CONTENT_DISPOSITION], "attachment");
    assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().ends_with("sandbox"), "a browser runs nothing of it");
    let (status, headers, body) = ask(&desk, "GET", "/downtime/EHR/letters/evil.html", &[auth, ("range", "bytes=8-12")]).await;
    assert_eq!((status, &body[..]), (StatusCode::PARTIAL_CONTENT, &CONTENT[8..13]));
    assert_eq!(headers[header::CONTENT_RANGE], format!("bytes 8-12/{}", CONTENT.len()));
    let (status, _, body) = ask(&desk, "GET", "/downtime/EHR/letters/evil.html", &[auth, ("range", "bytes=0-1,0-1")]).await;
    assert_eq!((status, body.len()), (StatusCode::OK, CONTENT.len()));
    let (status, headers, body) = ask(&desk, "HEAD", "/downtime/EHR/letters/evil.html", &[auth]).await;
    assert_eq!((status, body.len(), &headers[header::CONTENT_LENGTH]), (StatusCode::OK, 0, &CONTENT.len().to_string().parse().unwrap()));
}

#[tokio::test]
async fn who_guesses_keeps_nobody_waiting_who_has_the_password() {
    let desk = opened().await;
    let (wrong, right) = (("authorization", "Basic ZG93bnRpbWU6d3Jvbmc="), ("authorization", BASIC));
    assert_eq!(ask(&desk, "GET", "/downtime/", &[right]).await.0, StatusCode::OK);
    for _ in 0..5 {
        assert_eq!(ask(&desk, "GET", "/downtime/", &[wrong]).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(ask(&desk, "GET", "/downtime/", &[wrong]).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask(&desk, "GET", "/downtime/", &[right]).await.0, StatusCode::OK, "at the same address");
    let (status, ..) = ask(&desk, "GET", "/downtime/ARCHIVE/", &[right]).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "it is damaged, and no other share is dark by that");
}

#[tokio::test]
async fn a_browser_sees_folders_as_pages_and_names_as_text() {
    let desk = opened().await;
    let auth = ("authorization", BASIC);
    let (status, headers, body) = ask(&desk, "GET", "/downtime/EHR", &[auth]).await;
    let text = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(text.contains(ESCAPED) && text.contains("href=\"/downtime/EHR/letters\""), "{text}");
    assert!(text.contains("?after=6c657474657273") && text.contains("<title>Downtime share – Keepwell</title>"), "{text}");
    assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'"));
    let (_, _, body) = ask(&desk, "GET", "/downtime/EHR?after=6c657474657273", &[auth]).await;
    assert!(!String::from_utf8_lossy(&body).contains("letters\""));
}

#[tokio::test]
async fn nothing_is_written_and_nothing_is_outside() {
    let desk = opened().await;
    let auth = ("authorization", BASIC);
    for method in ["PUT", "DELETE", "MKCOL", "MOVE", "COPY", "LOCK", "PROPPATCH", "POST", "TRACE"] {
        let (status, headers, _) = ask(&desk, method, "/downtime/EHR/letters/evil.html", &[auth]).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(headers[header::ALLOW], "GET, HEAD, OPTIONS, PROPFIND", "{method}");
    }
    for path in [
        "/downtime/EHR/../../etc/passwd",
        "/downtime/%2e%2e/%2e%2e/etc/passwd",
        "/downtime/EHR/%2e%2e/nothing",
        "/downtime/EHR/a%2fb",
        "/downtime/EHR/a%00b",
        "/downtime/none",
        "/downtime/EHR/link",
    ] {
        let (status, ..) = ask(&desk, "GET", path, &[auth]).await;
        assert!(status == StatusCode::NOT_FOUND || status == StatusCode::BAD_REQUEST, "{path}: {status}");
    }
    let (status, ..) = ask(&desk, "PROPFIND", "/downtime/", &[auth, ("depth", "infinity")]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, headers, _) = ask(&desk, "OPTIONS", "/downtime/", &[auth]).await;
    assert_eq!((status, &headers[header::ALLOW]), (StatusCode::OK, &"GET, HEAD, OPTIONS, PROPFIND".parse().unwrap()));
    let (status, ..) = ask(&desk, "GET", "/downtime/", &[auth, ("host", "evil.example")]).await;
    assert!(status.is_client_error(), "{status}");
}

#[tokio::test]
async fn it_is_read_without_authd_and_closed_means_closed() {
    let desk = opened().await;
    let auth = ("authorization", BASIC);
    desk.kill_authd();
    assert_eq!(ask(&desk, "GET", "/downtime/EHR/letters/evil.html", &[auth]).await.0, StatusCode::OK);
    let desk = opened().await;
    let mut security = Browser::of(&desk, "security").await;
    assert_eq!(security.post("/emergency/close", "id=2").await.goes_to(), "/emergency");
    assert_eq!(ask(&desk, "GET", "/downtime/EHR/letters/evil.html", &[auth]).await.0, StatusCode::FORBIDDEN);
    desk.kill_vaultd();
    assert_eq!(ask(&desk, "GET", "/downtime/", &[auth]).await.0, StatusCode::SERVICE_UNAVAILABLE);
}
