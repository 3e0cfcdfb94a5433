//! The commands for a box as scripts and people see them, against sockets that answer what a test says: what is asked, what is told, what is left behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod scripted;
mod told;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use scripted::{Box, Reply, content};
use serde_json::json;

#[test]
fn a_file_comes_as_it_is_and_for_its_user_alone() {
    let the_box = Box::signed_in();
    the_box.program("vaultd", &[("/v1/files/content", Reply::bytes(b"Dear Sir"))]);
    let to = the_box.at("letter");
    let told = the_box.ask(&["download", "EHR@latest", "/letters/a.txt", "--to", to.to_str().unwrap()]);
    assert_eq!((told.exit, &told.answer["form"], &told.answer["written_bytes"]), (0, &json!("file"), &json!(8)), "{told:?}");
    assert_eq!(content(&to), b"Dear Sir");
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(the_box.bodies("vaultd", "/v1/files/content"), [json!({ "snapshot": "EHR@latest", "path": "bGV0dGVycy9hLnR4dA==" })]);
    assert_eq!(the_box.bodies("authd", "/v1/grants")[0]["verb"], "download");
    let again = the_box.ask(&["download", "latest", "a", "--to", to.to_str().unwrap()]);
    assert_eq!(again.exit, 1, "{again:?}");
    assert!(again.answer["error"].as_str().unwrap().contains("left alone"), "{again:?}");
}

#[test]
fn what_is_no_file_comes_as_an_archive() {
    let the_box = Box::signed_in();
    let archive = archive("2 files\n\nMissing from this archive: 1\n  a: locked\n");
    let routes = [("/v1/files/content", Reply::refusal("409 Conflict", "no-file")), ("/v1/files/zip", Reply::bytes(&archive))];
    the_box.program("vaultd", &routes);
    let to = the_box.at("zip");
    let told = the_box.ask(&["download", "latest", "letters/", "--to", to.to_str().unwrap()]);
    assert_eq!((told.exit, &told.answer["form"], &told.answer["missing"]), (3, &json!("zip"), &json!(1)), "{told:?}");
    assert_eq!(the_box.bodies("vaultd", "/v1/files/zip"), [json!({ "snapshot": "latest", "paths": ["bGV0dGVycw=="] })]);
    assert_eq!(content(&to), archive);
}

/// One with nothing but its receipt, made as the box makes it: without going back.
fn archive(receipt: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new_stream(Vec::new());
    zip.start_file("keepwell-receipt.txt", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(receipt.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

#[test]
fn what_is_large_takes_a_grant_without_a_bound() {
    let the_box = Box::signed_in();
    the_box.program("vaultd", &[("/v1/files/content", Reply::refusal("403 Forbidden", "grant-too-small"))]);
    let told = the_box.ask(&["download", "latest", "a", "--to", the_box.at("a").to_str().unwrap()]);
    assert_eq!((told.exit, &told.answer["code"]), (1, &json!("grant-too-small")), "{told:?}");
    let bounds: Vec<_> = the_box.bodies("authd", "/v1/grants").into_iter().map(|body| body["max_bytes"].clone()).collect();
    assert_eq!(bounds, [json!(256 << 20), json!(null)]);
}

#[test]
fn an_answer_that_breaks_off_leaves_no_file() {
    let the_box = Box::signed_in();
    the_box.program("vaultd", &[("/v1/files/content", Reply::broken(b"Dear"))]);
    let before = the_box.entries();
    let told = the_box.ask(&["download", "latest", "a", "--to", the_box.at("letter").to_str().unwrap()]);
    assert_eq!(told.exit, 1, "{told:?}");
    assert_eq!(the_box.entries(), before);
}

#[test]
fn bytes_on_standard_output_are_alone_there() {
    let the_box = Box::signed_in();
    the_box.program("vaultd", &[("/v1/files/content", Reply::bytes(b"a\0b"))]);
    let output = the_box.output(&["download", "latest", "a", "--to", "-"]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"a\0b"[..]), "{output:?}");
    assert_eq!(the_box.ask(&["download", "latest", "a", "--to", "-"]).exit, 2);
}

#[test]
fn events_are_one_object_a_line() {
    let the_box = Box::new();
    let run = json!({ "id": 7, "share": "00ff", "started_at": 0, "finished_at": null, "outcome": null, "snapshot": null, "code": null, "why": null, "counts": {} });
    let events = [json!({ "kind": "status", "at": 5 }), json!({ "kind": "run", "run": run })];
    the_box.program("vaultd", &[("/v1/shares", Reply::json(&json!([]))), ("/v1/events", Reply::events(&events))]);
    let told = the_box.ask(&["events", "--follow"]);
    assert_eq!((told.exit, told.events.len()), (0, 2), "{told:?}");
    assert_eq!((&told.events[0], &told.events[1]["run"]["id"]), (&events[0], &json!(7)));
    assert_eq!((&told.answer["command"], &told.answer["events"]), (&json!("events"), &json!(2)));
}

#[test]
fn the_clock_is_confirmed_by_who_says_so() {
    let the_box = Box::signed_in();
    let status = json!({ "at": 1_000, "headline": "no", "words": "", "answers": [], "shares": [], "pool": null, "disks": [], "todo": [],
        "incidents": [], "running": 0, "duties": [], "doubt": null });
    let routes = [("/v1/status", Reply::json(&status)), ("/v1/clock/confirm", Reply::json(&json!({ "moved_s": 60 })))];
    the_box.program("vaultd", &routes);
    let shown = the_box.ask(&["clock", "confirm"]);
    assert_eq!((shown.exit, &shown.answer["box_at"]), (2, &json!(1_000)), "{shown:?}");
    assert!(the_box.bodies("vaultd", "/v1/clock/confirm").is_empty());
    let done = the_box.ask(&["clock", "confirm", "--yes"]);
    assert_eq!((done.exit, &done.answer["moved_s"]), (0, &json!(60)), "{done:?}");
    assert_eq!(the_box.bodies("vaultd", "/v1/clock/confirm")[0]["at"], done.answer["machine_at"]);
}

#[test]
fn keys_and_disks_are_those_of_the_box() {
    let the_box = Box::new();
    the_box.program("diskd", &[("/v1/disks", Reply::json(&json!({ "disks": [], "unnamed": [] })))]);
    assert_eq!(the_box.ask(&["disks", "list"]).exit, 0);
    the_box.program("keyd", &[("/v1/status", Reply::refusal("423 Locked", "locked"))]);
    let told = the_box.ask(&["keys", "status"]);
    assert_eq!((told.exit, &told.answer["code"]), (1, &json!("locked")), "{told:?}");
}
