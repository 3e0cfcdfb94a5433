//! What programs elsewhere get through `/api/v1` with a token, and what they do not.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod desk;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use desk::browser::Browser;
use desk::{Desk, facts};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use keepwell_api::grants::{Role, Verb, allows, needs_person, takes_scope};
use keepwell_consoled::api::table::{Answer, ROUTES, Who};
use serde_json::{Value, json};

/// A program with a token, or without.
struct Program<'a> {
    desk: &'a Desk,
    token: Option<String>,
    more: Vec<(&'static str, String)>,
}

struct Told {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    fn code(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn program(desk: &Desk, token: impl Into<Option<String>>) -> Program<'_> {
    Program { desk, token: token.into(), more: Vec::new() }
}

impl Program<'_> {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.more.push((name, value.into()));
        self
    }

    async fn get(&self, path: &str) -> Told {
        self.ask(Method::GET, path, Vec::new()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Told {
        self.ask(Method::POST, path, body.to_string().into_bytes()).await
    }

    async fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> Told {
        let browser = Browser::new(self.desk);
        let stream = browser.connect().await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        let has = |name: &str| self.more.iter().any(|(known, _)| *known == name);
        if !has("host") {
            request = request.header(header::HOST, &browser.host);
        }
        if !has("content-type") {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &self.more {
            request = request.header(*name, value);
        }
        let answer = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let endless = path.ends_with("/events") && parts.status.is_success();
        let body = if endless { Vec::new() } else { body.collect().await.unwrap().to_bytes().to_vec() };
        driver.abort();
        Told { status: parts.status, headers: parts.headers, body }
    }
}

/// Verbs that a token of this role may be for, as authd has it.
fn verbs(role: Role) -> Vec<Verb> {
    Verb::ALL.iter().copied().filter(|verb| allows(role, *verb) && !needs_person(*verb)).collect()
}

/// Each route x each role with all its verbs x each role without the verb: allowed or refused as the tables say, and the grant is for what was asked.
#[tokio::test]
async fn every_role_tries_every_route() {
    let desk = Desk::new().await;
    for role in Role::ALL.iter().copied().filter(|role| *role != Role::Owner) {
        let token = desk.authd.give(role, &verbs(role), &[]);
        for route in ROUTES {
            let (may, verb) = match route.who {
                Who::Told(roles, wanted, _) => {
                    (roles.contains(&role) && (wanted.is_empty() || wanted.iter().any(|verb| verbs(role).contains(verb))), None)
                }
                Who::Granted(verb) => (verbs(role).contains(&verb), Some(verb)),
                Who::ByContent(_) if route.path == "/v1/policies" => (verbs(role).contains(&Verb::PolicyChange), Some(Verb::PolicyChange)),
                Who::ByContent(_) => (verbs(role).contains(&Verb::SharesChange), Some(Verb::SharesChange)),
            };
            let path = route.place().replace("{id}", "2");
            let before = desk.authd.asked().len();
            let told = program(&desk, token.clone()).ask(route.method.clone(), &path, b"{}".to_vec()).await;
            let refused = told.status == StatusCode::FORBIDDEN;
            assert_eq!(!refused, may, "{role} {} {path}: {}", route.method, told.status);
            let asked = desk.authd.asked()[before..].to_vec();
            let expected: Vec<_> = verb.filter(|_| may).map(|verb| (format!("token:{role}"), verb.to_string())).into_iter().collect();
            assert_eq!(asked, expected, "{role} {} {path}", route.method);
        }
    }
}

#[tokio::test]
async fn nothing_is_told_without_a_token_and_no_cookie_is_one() {
    let desk = Desk::new().await;
    let owner = Browser::of(&desk, "owner").await;
    let good = desk.authd.give(Role::Operator, &verbs(Role::Operator), &[]);
    let mut bad = vec![
        program(&desk, None),
        program(&desk, None).with("cookie", owner.cookie.clone().unwrap()),
        program(&desk, None).with("authorization", format!("Basic {good}")),
        program(&desk, None).with("authorization", format!("Bearer  {good}")),
        program(&desk, good.clone()).with("authorization", format!("Bearer {good}")),
        program(&desk, good.to_lowercase().replace('0', "1")),
        program(&desk, "x".repeat(46)),
        program(&desk, "kw_".to_owned()),
    ];
    for one in bad.drain(..) {
        for route in ROUTES {
            let told = one.ask(route.method.clone(), &route.place().replace("{id}", "1"), b"{}".to_vec()).await;
            assert_eq!(told.code(), (401, "no-token".into()), "{:?} {}", one.more, route.path);
            assert_eq!(told.headers[header::WWW_AUTHENTICATE], "Bearer");
        }
    }
    assert!(desk.authd.asked().is_empty() && desk.vaultd.done().is_empty());
    assert_eq!(program(&desk, good).get("/api/v1/status").await.status, StatusCode::OK);
}

#[tokio::test]
async fn answers_are_vaultds_with_the_consoles_headers() {
    let desk = Desk::new().await;
    let monitor = program(&desk, desk.authd.give(Role::Operator, &verbs(Role::Operator), &[]));
    let status = monitor.get("/api/v1/status").await;
    assert_eq!(status.json()["headline"], json!(facts::practice(desk::now()).headline));
    for (name, value) in [("x-content-type-options", "nosniff"), ("cache-control", "no-store"), ("content-type", "application/json")] {
        assert_eq!(status.headers[name], value);
    }
    assert!(status.headers.get(header::SET_COOKIE).is_none() && status.headers.get("access-control-allow-origin").is_none());
    // The very bytes that came are sent on, and the grant is for them.
    let odd = b"{ \"snapshot\" :\"00000000000000000000000000000001\",  \"path\":\"YQ==\"}".to_vec();
    let file = monitor.ask(Method::POST, "/api/v1/files/content", odd).await;
    assert_eq!((file.status, file.body.len() as u64), (StatusCode::OK, desk::vaultd::size_in("00000000000000000000000000000001")));
    assert_eq!(desk.vaultd.done().last().unwrap().0, "download");
    assert_eq!(monitor.get("/api/v1/runs?limit=3&share=00000000000000a1").await.status, StatusCode::OK);
    assert_eq!(monitor.get("/api/v1/runs/77").await.code(), (404, "not-found".into()));
    assert_eq!(monitor.get("/api/v1/events").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_the_same_words_as_everything() {
    let desk = Desk::new().await;
    let token = desk.authd.give(Role::Operator, &verbs(Role::Operator), &[]);
    let ask = || program(&desk, token.clone());
    assert_eq!(ask().get("/api/v1/nothing").await.code(), (404, "not-found".into()));
    assert_eq!(ask().get("/api/v2/status").await.code(), (404, "not-found".into()));
    assert_eq!(ask().get("/api/v1/runs/..%2f..%2fetc").await.code(), (404, "not-found".into()));
    let other = ask().ask(Method::DELETE, "/api/v1/shares", Vec::new()).await;
    assert_eq!((other.code(), other.headers[header::ALLOW].to_str().unwrap()), ((405, "method".into()), "GET, POST"));
    assert_eq!(ask().get("/api/v1/runs?x=1").await.code(), (400, "malformed".into()));
    assert_eq!(ask().with("content-type", "text/plain").post("/api/v1/runs", &json!({})).await.code(), (415, "malformed".into()));
    assert_eq!(ask().with("keepwell-most-bytes", "-1").post("/api/v1/files/content", &json!({})).await.code(), (400, "malformed".into()));
    let huge = json!({ "text": "x".repeat(300 << 10) });
    assert_eq!(ask().post("/api/v1/files/search", &huge).await.code(), (413, "too-large".into()));
    for bad in ["evil.example", "localhost.evil.example"] {
        assert_eq!(ask().with("host", bad).get("/api/v1/status").await.code(), (421, "host".into()));
    }
    assert!(desk.authd.asked().is_empty() && desk.vaultd.done().is_empty());
}

#[tokio::test]
async fn a_token_for_some_shares_learns_of_no_other() {
    let desk = Desk::new().await;
    let (id, name, _) = facts::SHARES[0];
    let others: Vec<_> = facts::SHARES[1..].iter().map(|(_, name, _)| *name).collect();
    let limited: Vec<_> = verbs(Role::Operator).into_iter().filter(|verb| takes_scope(*verb)).collect();
    let runner = program(&desk, desk.authd.give(Role::Operator, &limited, &[name]));
    for path in ["/api/v1/status", "/api/v1/shares", "/api/v1/runs"] {
        let told = runner.get(path).await;
        let text = String::from_utf8(told.body.clone()).unwrap();
        assert!(told.status == StatusCode::OK && text.contains(id), "{path}: {text}");
        for other in &others {
            assert!(!text.contains(other), "{other} in {path}: {text}");
        }
    }
    // Nor of one that was removed, and whose incident is still open.
    let mut status = facts::practice(desk::now());
    status.shares.retain(|share| share.label != "Billing");
    let todo = status.todo.iter().find(|todo| todo.text.happened.contains("Billing")).unwrap();
    status.words = format!("{}.", todo.text.happened);
    desk.vaultd.says(status);
    let told = String::from_utf8(runner.get("/api/v1/status").await.body).unwrap();
    assert!(told.contains("that is not about your shares") && !told.contains("Billing"), "{told}");
    for (path, field) in [("/api/v1/shares", "id"), ("/api/v1/runs", "share")] {
        let listed = runner.get(path).await.json();
        assert!(listed.as_array().unwrap().iter().all(|one| one[field] == id), "{path}: {listed}");
    }
    let mut seen = [0, 0];
    for run in 1..=9 {
        let told = runner.get(&format!("/api/v1/runs/{run}")).await;
        let is_own = program(&desk, desk.authd.give(Role::Auditor, &[Verb::LogRead], &[])).get(&format!("/api/v1/runs/{run}")).await.json()
            ["share"]
            == id;
        assert_eq!(told.status, if is_own { StatusCode::OK } else { StatusCode::NOT_FOUND }, "{run}");
        seen[usize::from(is_own)] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0);
    // Whose restores they are stands in them; these are a person's.
    assert_eq!(runner.get("/api/v1/restores").await.json(), json!([]));
    assert_eq!(runner.get("/api/v1/restores/1").await.code(), (404, "not-found".into()));
    assert_eq!(runner.get("/api/v1/events").await.code(), (403, "scope".into()));
    assert_eq!(runner.get("/api/v1/metrics").await.code(), (403, "scope".into()));
}

#[tokio::test]
async fn promising_less_is_for_people() {
    let desk = Desk::new().await;
    let operator = program(&desk, desk.authd.give(Role::Operator, &verbs(Role::Operator), &[]));
    let mut policy = operator.get("/api/v1/policies").await.json()[0].clone();
    assert_eq!(operator.post("/api/v1/policies", &policy).await.status, StatusCode::OK);
    policy["keep"]["daily"] = json!(1);
    assert_eq!(operator.post("/api/v1/policies", &policy).await.code(), (403, "not-allowed".into()));
    let to = |tier: &str| json!({ "id": facts::SHARES[0].0, "tier": tier });
    assert_eq!(operator.post("/api/v1/shares/change", &to("one")).await.status, StatusCode::OK);
    assert_eq!(operator.post("/api/v1/shares/change", &to("three")).await.code(), (403, "not-allowed".into()));
    assert_eq!(desk.vaultd.done().len(), 2);
}

#[tokio::test]
async fn it_says_who_does_not_answer() {
    let desk = Desk::new().await;
    let monitor = program(&desk, desk.authd.give(Role::Auditor, &[Verb::LogRead], &[]));
    desk.kill_vaultd();
    assert_eq!(monitor.get("/api/v1/status").await.code(), (503, "vaultd-silent".into()));
    desk.kill_authd();
    assert_eq!(monitor.get("/api/v1/status").await.code(), (503, "authd-silent".into()));
}

/// The description is for anybody, and is of each route.
#[tokio::test]
async fn the_description_is_public() {
    let desk = Desk::new().await;
    let told = program(&desk, None).get(keepwell_consoled::api::DESCRIPTION).await;
    assert_eq!(told.status, StatusCode::OK);
    let document = told.json();
    for route in ROUTES {
        let operation = &document["paths"][route.place()][route.method.as_str().to_ascii_lowercase()];
        let kind = match route.answer {
            Answer::Json(_) => "application/json",
            Answer::Flow(kind) => kind,
        };
        assert!(operation["responses"]["200"]["content"][kind].is_object(), "{}", route.path);
    }
}
