//! What a person hears when the box does not do what it was asked: one sentence that says what to do.

use serde_json::json;

use crate::scripted::{Box, Reply, Told};

fn assert_told(told: &Told, code: Option<&str>, wanted: &str) {
    assert_eq!((told.exit, &told.answer["outcome"]), (1, &json!("failed")), "{told:?}");
    assert_eq!(told.answer["code"].as_str(), code, "{told:?}");
    assert!(told.answer["to_do"].as_str().is_some_and(|to_do| to_do.contains(wanted)), "{told:?}");
}

#[test]
fn a_box_that_does_not_run() {
    let the_box = Box::new();
    assert_told(&the_box.ask(&["shares", "list"]), None, "systemctl status keepwell-vaultd");
    assert_told(&the_box.ask(&["users", "list"]), None, "systemctl status keepwell-authd");
    assert_told(&the_box.ask(&["disks", "list"]), None, "systemctl status keepwell-diskd");
    let people = the_box.output(&["status"]);
    let (out, err) = (String::from_utf8_lossy(&people.stdout), String::from_utf8_lossy(&people.stderr));
    assert!(out.starts_with("NOT PROVEN.") && err.contains("\n  to do: see whether it runs"), "{out}{err}");
}

#[test]
fn nobody_is_signed_in() {
    let the_box = Box::new();
    for words in [&["snapshots"][..], &["runs", "gaps", "1"], &["files", "search", "latest", "bill"], &["test-restore"]] {
        assert_told(&the_box.ask(words), None, "keepwell sign-in");
    }
}

#[test]
fn the_session_is_over() {
    let the_box = Box::new().with_session();
    the_box.program("authd", &[("/v1/grants", Reply::refusal("401 Unauthorized", "no-session"))]);
    let told = the_box.ask(&["restores", "cancel", "3"]);
    assert_told(&told, Some("no-session"), "keepwell sign-in");
    assert_eq!(told.answer["request"], "00112233aabbccdd");
}

#[test]
fn the_role_may_not() {
    let the_box = Box::new().with_session();
    the_box.program("authd", &[("/v1/grants", Reply::refusal("403 Forbidden", "not-allowed"))]);
    assert_told(&the_box.ask(&["snapshots", "compare", "a", "b"]), Some("not-allowed"), "keepwell users list");
    let the_box = Box::signed_in();
    the_box.program("vaultd", &[("/v1/snapshots", Reply::refusal("403 Forbidden", "role"))]);
    assert_told(&the_box.ask(&["snapshots"]), Some("role"), "keepwell users list");
}

#[test]
fn the_grant_has_expired() {
    let the_box = Box::signed_in();
    the_box.program("vaultd", &[("/v1/support-bundle", Reply::refusal("403 Forbidden", "grant-expired"))]);
    let to = the_box.at("bundle");
    assert_told(&the_box.ask(&["support-bundle", "--to", to.to_str().unwrap()]), Some("grant-expired"), "give the command again");
    assert!(!to.exists());
}

#[test]
fn the_second_factor_is_asked_for_and_nobody_is_there() {
    let the_box = Box::new().with_session();
    the_box.program("authd", &[("/v1/grants", Reply::refusal("401 Unauthorized", "step-up"))]);
    assert_told(&the_box.ask(&["restores", "cancel", "3"]), Some("step-up"), "within five minutes");
}
