//! What a browser, a page elsewhere and a network may try with the console.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod desk;

use std::time::Duration;

use axum::http::StatusCode;
use desk::authd::{CODE, PASSWORD};
use desk::browser::Browser;
use desk::{CANARY, Desk, ESCAPED};
use keepwell_consoled::listen::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn the_authority_speaks_for_the_box_and_its_fingerprint_is_for_its_screen() {
    let desk = Desk::new().await;
    let browser = Browser::new(&desk);
    // The address that is connected to gets into the certificate, and names that the authority has stand in it.
    for host in ["localhost", "elm-street.local", "127.0.0.1"] {
        let browser = Browser { host: format!("{host}:1"), ..Browser::new(&desk) };
        browser.connect().await.unwrap_or_else(|error| panic!("{host}: {error}"));
    }
    let elsewhere = Browser { host: "evil.example:1".into(), ..browser };
    assert!(elsewhere.connect().await.is_err());
    let fingerprint = keepwell_consoled::authority::fingerprint_in(desk.folder.path()).unwrap();
    assert_eq!((fingerprint.len(), fingerprint.matches(':').count()), (95, 31));
    assert!(Browser::new(&desk).get("/sign-in").await.body.contains(&fingerprint));
}

#[tokio::test]
async fn only_the_boxs_own_names_are_answered() {
    let desk = Desk::new().await;
    let mut browser = Browser::new(&desk);
    let port = desk.at.port();
    for good in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "ELM-street.local".into()] {
        browser.host = good;
        assert_eq!(browser.get("/sign-in").await.status, StatusCode::OK, "{}", browser.host);
    }
    for bad in ["evil.example", "127.0.0.2", "localhost.evil.example", "[::1]", "10.0.0.1:443"] {
        browser.host = bad.into();
        assert_eq!(browser.get("/sign-in").await.status, StatusCode::MISDIRECTED_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn a_form_from_elsewhere_does_nothing() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let token = owner.get("/help").await.token();
    let form = format!("form={token}");
    let path = "/shares/00000000000000a1/run";
    let evil: [&[(&'static str, &str)]; 5] = [
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-site"), ("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[],
    ];
    for headers in evil {
        owner.extra = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        assert_eq!(owner.post_raw(path, &form).await.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    owner.extra = Browser::new(&desk).extra;
    // Without the token of this very session, or with another's.
    let other = Browser::of(&desk, "operator").await.get("/help").await.token();
    for form in ["", "form=", "form=00", &format!("form={other}")] {
        assert_eq!(owner.post_raw(path, form).await.status, StatusCode::FORBIDDEN, "{form}");
    }
    assert!(desk.vaultd.done().is_empty());
    assert_eq!(owner.post_raw(path, &form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(desk.vaultd.done()[0].0, "run-now");
}

#[tokio::test]
async fn whoever_planted_a_cookie_is_not_signed_in_by_it() {
    let desk = Desk::new().await;
    let mut victim = Browser::new(&desk);
    let planted = format!("__Host-keepwell={}", "ab".repeat(32));
    victim.cookie = Some(planted.clone());
    assert_eq!(victim.sign_in("owner", PASSWORD, CODE).await.goes_to(), "/");
    assert_ne!(victim.cookie.as_deref(), Some(&*planted));
    let mut thief = Browser::new(&desk);
    thief.cookie = Some(planted);
    assert_eq!(thief.get("/").await.goes_to(), "/sign-in");
    // A second sign-in of the same browser ends its first session, here and at authd.
    let before = victim.cookie.clone();
    let token = victim.get("/help").await.token();
    let again = format!("form={token}&user=owner&password={}&code={CODE}", PASSWORD.replace(' ', "+"));
    assert_eq!(victim.post_raw("/sign-in", &again).await.goes_to(), "/");
    thief.cookie = before;
    assert_eq!(thief.get("/").await.goes_to(), "/sign-in");
    assert_eq!(desk.authd.signed_in(), 1);
}

#[tokio::test]
async fn a_session_is_over_when_authd_says_so_and_after_signing_out() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    assert_eq!(owner.get("/").await.status, StatusCode::OK);
    desk.authd.forget();
    assert_eq!(owner.get("/").await.goes_to(), "/sign-in");
    let mut owner = Browser::of(&desk, "owner").await;
    let cookie = owner.cookie.clone();
    assert_eq!(owner.post("/sign-out", "").await.goes_to(), "/sign-in");
    assert_eq!(desk.authd.signed_in(), 0);
    owner.cookie = cookie;
    assert_eq!(owner.get("/").await.goes_to(), "/sign-in");
}

#[tokio::test]
async fn a_page_that_asks_by_itself_keeps_nobody_signed_in() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    owner.post("/incidents/1/take", "").await;
    let before = desk.authd.touched();
    owner.looks = vec![("sec-fetch-dest", "empty")];
    assert!(!owner.get("/incidents").await.body.contains("It is yours."), "what is to be said once is not said to a script");
    owner.looks = Vec::new();
    owner.looks.push(("sec-fetch-dest", "document"));
    assert!(owner.get("/incidents").await.body.contains("It is yours."));
    assert_eq!(desk.authd.touched(), before);
    owner.looks = vec![("accept", "*/*")];
    owner.get("/").await;
    assert_eq!(desk.authd.touched(), before, "what a script asks says less than a page");
    owner.looks = vec![("sec-fetch-dest", "document"), ("accept", "text/html,application/xhtml+xml")];
    owner.get("/").await;
    assert_eq!(desk.authd.touched(), before, "nobody clicked");
    owner.looks = vec![("accept", "text/html,application/xhtml+xml")];
    owner.get("/").await;
    assert_eq!(desk.authd.touched(), before + 1, "a browser that says nothing of clicks");
    let before = before + 1;
    owner.looks.push(("sec-fetch-user", "?1"));
    owner.get("/").await;
    assert_eq!(desk.authd.touched(), before + 1);
}

#[tokio::test]
async fn a_wrong_proof_tells_nothing() {
    let desk = Desk::new().await;
    let mut browser = Browser::new(&desk);
    let one = browser.sign_in("owner", "wrong", CODE).await;
    let two = browser.sign_in("nobody", PASSWORD, "000000").await;
    assert_eq!((one.status, two.status), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert_eq!(one.between("id=\"error\"", "</div>"), two.between("id=\"error\"", "</div>"));
    assert!(!one.body.contains("wrong\""), "the password is not in the page");
}

#[tokio::test]
async fn names_are_text_wherever_they_are_shown_and_stand_in_no_address() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let begun = owner.post("/restore/drafts", "name=EHR").await;
    let draft = begun.goes_to().strip_suffix("/when").unwrap().to_owned();
    owner.post(&format!("{draft}/when"), &format!("snapshot={}", desk::vaultd::SNAPSHOT)).await;
    let what = owner.get(&format!("{draft}/what")).await;
    owner.post(&format!("{draft}/search"), "text=m%C3%BCller").await;
    let picked = what.body.split("name=\"pick\" value=\"").nth(3).unwrap().split('"').next().unwrap().to_owned();
    let chosen = owner.post(&format!("{draft}/choose"), &format!("pick={picked}")).await;
    assert_eq!(chosen.goes_to(), format!("{draft}/where"));
    let pages = [
        what,
        owner.get(&format!("{draft}/found")).await,
        owner.get(&format!("{draft}/versions?of={picked}")).await,
        owner.get(&format!("{draft}/where")).await,
        owner.get("/runs/6").await,
    ];
    for page in &pages {
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body.contains(ESCAPED) && !page.body.contains("<img") && !page.body.contains(CANARY), "{}", page.body);
        let title = page.between("<title>", "</title>");
        assert!(!title.contains("ller") && !title.contains("EHR"), "{title}");
        for address in page.body.split("href=\"").skip(1).chain(page.body.split("action=\"").skip(1)) {
            let address = address.split('"').next().unwrap();
            assert!(!address.contains("ller") && !address.contains("EHR") && !address.contains("2026"), "{address}");
        }
    }
    for path in ["/", "/shares", "/shares/00000000000000a2", "/incidents", "/restore"] {
        let page = owner.get(path).await;
        assert!(page.body.contains("&#60;script&#62;alert(2)") || path == "/restore", "{path}");
        assert!(!page.body.contains("<script>") && !page.body.contains("alert(2)</script>"), "{path}");
    }
}

#[tokio::test]
async fn a_download_is_a_file_and_never_a_page() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let draft = owner.post("/restore/drafts", "name=EHR").await.goes_to().strip_suffix("/when").unwrap().to_owned();
    owner.post(&format!("{draft}/when"), &format!("snapshot={}", desk::vaultd::SNAPSHOT)).await;
    let what = owner.get(&format!("{draft}/what")).await;
    let picks: Vec<_> = what.body.split("name=\"pick\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    owner.post(&format!("{draft}/choose"), &format!("pick={}&pick={}", picks[0], picks[2])).await;
    let zip = owner.post(&format!("{draft}/download"), "").await;
    assert_eq!((zip.status, zip.body.as_str()), (StatusCode::OK, "the file's content"));
    assert_eq!(zip.headers["content-type"], "application/zip");
    assert_eq!(zip.headers["content-disposition"], "attachment; filename=\"EHR.zip\"; filename*=UTF-8''EHR.zip");
    assert_eq!(zip.headers["x-content-type-options"], "nosniff");
    let (verb, asked) = desk.vaultd.done().pop().unwrap();
    assert_eq!((verb.as_str(), asked["paths"].as_array().unwrap().len()), ("download", 2));
}

#[tokio::test]
async fn an_older_version_is_as_long_as_it_was_then() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    let draft = owner.post("/restore/drafts", "name=EHR").await.goes_to().strip_suffix("/when").unwrap().to_owned();
    let when = format!("{draft}/when");
    owner.post(&when, &format!("snapshot={}", desk::vaultd::SNAPSHOT)).await;
    let what = owner.get(&format!("{draft}/what")).await;
    let pick = what.body.split("name=\"pick\" value=\"").nth(3).unwrap().split('"').next().unwrap().to_owned();
    let (new, old) = (desk::vaultd::SNAPSHOT.to_owned(), format!("{:032x}", 4));
    let listed = owner.get(&format!("{draft}/versions?of={pick}")).await;
    assert!(listed.body.contains(&old), "{}", listed.body);
    // A snapshot that this draft does not know is not quietly another one.
    let unknown = owner.post(&format!("{draft}/choose"), &format!("pick={pick}&snapshot={:032x}", 40_000)).await;
    assert_eq!(unknown.goes_to(), format!("{draft}/what"));
    for (snapshot, length) in [(&old, 44_214), (&new, 48_214)] {
        let choice = if *snapshot == new { format!("pick={pick}") } else { format!("pick={pick}&snapshot={snapshot}") };
        assert_eq!(owner.post(&format!("{draft}/choose"), &choice).await.goes_to(), format!("{draft}/where"));
        let file = owner.post(&format!("{draft}/download"), "").await;
        assert_eq!((file.headers["content-length"].to_str().unwrap(), file.body.len()), (&*length.to_string(), length));
        let asked = desk.vaultd.done().pop().unwrap();
        assert_eq!((asked.0.as_str(), &asked.1["snapshot"]), ("download", &snapshot.as_str().into()));
        // Another copy: what was wanted of the one before is not wanted of it.
        owner.post(&when, &format!("snapshot={new}")).await;
        let goes_to = owner.get(&format!("{draft}/where")).await.goes_to().to_owned();
        assert_eq!(goes_to, if *snapshot == new { String::new() } else { format!("{draft}/what") });
        owner.get(&format!("{draft}/what")).await;
    }
}

#[tokio::test]
async fn what_is_dangerous_is_asked_for_again() {
    let desk = Desk::new().await;
    let mut owner = Browser::of(&desk, "owner").await;
    desk.authd.grow_stale();
    let path = "/shares/00000000000000a1/remove";
    assert!(owner.get(path).await.body.contains("name=\"code\""));
    assert_eq!(owner.post(path, "").await.goes_to(), path);
    assert!(owner.get(path).await.body.contains("needs a new code"));
    assert!(desk.vaultd.done().is_empty());
    assert_eq!(owner.post(path, "code=123+456").await.goes_to(), "/shares");
    assert_eq!(desk.vaultd.done()[0].0, "shares-remove");
}

#[tokio::test]
async fn what_is_too_long_or_too_slow_is_cut() {
    let limits = Limits { head: Duration::from_millis(200), handshake: Duration::from_millis(200), ..Limits::default() };
    let desk = Desk::with(limits, "127.0.0.1:0").await;
    let mut browser = Browser::new(&desk);
    browser.get("/sign-in").await;
    for long in [format!("form=x&user={}", "a".repeat(64 << 10)), format!("form=x{}", "&a".repeat(1_024))] {
        assert_eq!(browser.post_raw("/sign-in", &long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    // What a page really sends, at its longest, is read.
    let ticks = format!("form=x{}", "&pick=18446744073709551615".repeat(200));
    assert_eq!(browser.post_raw("/sign-in", &ticks).await.status, StatusCode::FORBIDDEN);
    // Half a head, and no handshake at all.
    let mut half = browser.connect().await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
    let mut rest = Vec::new();
    let _ = half.read_to_end(&mut rest).await;
    let mut silent = TcpStream::connect(desk.at).await.unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn two_thousand_connections_leave_room_for_others() {
    let limits = Limits { connections: 40, of_one_address: 32, ..Limits::default() };
    let desk = Desk::with(limits, "127.0.0.1:0").await;
    let mut held = Vec::new();
    let mut closed = 0;
    for _ in 0..2_000 {
        let mut stream = TcpStream::connect(desk.at).await.unwrap();
        if held.len() < 32 {
            held.push(stream);
            continue;
        }
        // Those above the bound are closed at once.
        closed += usize::from(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    }
    assert_eq!((held.len(), closed), (32, 1_968));
    drop(held);
    // As soon as the others are gone, somebody gets in.
    let browser = Browser::new(&desk);
    let again = async {
        while browser.connect().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.unwrap();
}
