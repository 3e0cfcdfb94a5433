//! What a notice looks like as a mail, as a signed request and as a log message. What happens to it on the way is for the scenario `notices`.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io;

use jiff::tz::TimeZone;
use keepwell_api::Refusal;
use keepwell_api::notices::{Address, Channel, Email, Failure, Host, Kind, Line, MailTls, Notice, Severity, Text, Word, may_retry};
use keepwell_notifyd::error::{NotifyError, Peer};
use keepwell_notifyd::{mail, syslog, webhook};

fn notice(kind: Kind) -> Notice {
    let word = |text| Word::parse(text).unwrap();
    Notice {
        id: word("n-17"),
        incident: word("i-4"),
        kind,
        severity: Severity::Warning,
        at: 1_700_000_000,
        box_name: Line::clean("Praxis \"Süd\" <1>"),
        subject: Line::clean("share X: no backup for 9 h"),
        happened: Text::clean("The server <b>refuses</b> the password.\nIt did so four times."),
        for_your_data: Text::clean("Was seit 3:00 geändert wurde, ist nicht gesichert."),
        to_do: Text::clean("Give the new password."),
        code: word("copy-age"),
        facts: BTreeMap::from([(word("copy-age-s"), 32_400)]),
    }
}

fn email() -> Email {
    let address = |text| Address::parse(text).unwrap();
    Email {
        server: Host::parse("mail.example.org").unwrap(),
        port: 465,
        tls: MailTls::Implicit,
        user: None,
        password: None,
        from: address("box@example.org"),
        to: vec![address("owner@example.org"), address("it@example.net")],
        ca_pem: None,
        digest: true,
    }
}

fn mail_of(notice: &Notice) -> String {
    String::from_utf8(mail::compose(&email(), notice, &TimeZone::UTC, 1_700_000_060).unwrap()).unwrap()
}

fn headers(mail: &str) -> Vec<&str> {
    mail.split("\r\n\r\n").next().unwrap().split("\r\n").collect()
}

#[test]
fn mails_of_an_incident_are_one_thread_and_each_has_an_id_of_its_own() {
    let (opened, closed) = (mail_of(&notice(Kind::Opened)), mail_of(&Notice { id: Word::parse("n-18").unwrap(), ..notice(Kind::Closed) }));
    let (opened, closed) = (headers(&opened), headers(&closed));
    for header in [
        "References: <keepwell.incident.i-4@example.org>",
        "In-Reply-To: <keepwell.incident.i-4@example.org>",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(opened.contains(&header) && closed.contains(&header), "{header} in {opened:#?}");
    }
    assert!(opened.contains(&"Message-ID: <keepwell.notice.n-17@example.org>"), "{opened:#?}");
    assert!(closed.contains(&"Message-ID: <keepwell.notice.n-18@example.org>"), "{closed:#?}");
    let subject = |headers: &[&str]| headers.iter().find(|line| line.starts_with("Subject:")).map(|line| line.contains("Re: ")).unwrap();
    assert!(!subject(&opened) && subject(&closed));
}

#[test]
fn a_mail_is_narrow_and_says_everything_once_as_text_and_once_as_html() {
    let mail = mail_of(&notice(Kind::Opened));
    assert!(mail.is_ascii());
    assert!(mail.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
    let text = mail.replace("=\r\n", "");
    assert_eq!(text.matches("Give the new password.").count(), 2);
    assert_eq!(text.matches("It did so four times.").count(), 2);
    assert_eq!(text.matches("2023-11-14 22:13 UTC").count(), 2);
    assert_eq!((text.matches("<b>refuses</b>").count(), text.matches("refuses").count()), (1, 2), "{text}");
    assert!(text.contains("ge=C3=A4ndert") || text.contains("base64"), "{text}");
}

#[test]
fn what_is_empty_has_no_title() {
    let mail = mail_of(&Notice { to_do: Text::clean(""), ..notice(Kind::Closed) });
    assert!(!mail.contains("What to do") && mail.contains("What this means for your data") && mail.contains("Solved"));
}

#[test]
fn the_report_of_a_day_is_no_incident() {
    let mail = mail_of(&Notice { to_do: Text::clean(""), ..notice(Kind::Digest) });
    assert!(mail.contains("How the box is today") && mail.contains("What changed"), "{mail}");
    assert!(
        !mail.contains("What this means") && !mail.contains("What to do") && !mail.contains("Incident:") && !mail.contains("How bad"),
        "{mail}"
    );
}

#[test]
fn recipients_are_counted() {
    let one = Address::parse("a@example.org").unwrap();
    for (count, fine) in [(0, false), (1, true), (32, true), (33, false)] {
        let made = mail::compose(&Email { to: vec![one.clone(); count], ..email() }, &notice(Kind::Test), &TimeZone::UTC, 0);
        assert_eq!(made.is_ok(), fine, "{count}");
    }
}

#[test]
fn a_signature_is_what_others_compute() {
    let signature = webhook::signature(b"0123456789abcdef", 1_700_000_000, br#"{"version":1}"#);
    assert_eq!(signature, "t=1700000000,v1=d4d5218e4060ea8d4e3266cccc3a4dad71e647b6992c00beec425264a92b2c5f");
}

#[test]
fn a_webhook_gets_the_whole_notice() {
    let body: serde_json::Value = serde_json::from_slice(&webhook::body(&notice(Kind::Escalated)).unwrap()).unwrap();
    assert_eq!((&body["version"], &body["kind"], &body["severity"]), (&1.into(), &"escalated".into(), &"warning".into()));
    assert_eq!((&body["facts"]["copy-age-s"], &body["at"]), (&32_400.into(), &1_700_000_000.into()));
    assert_eq!(body.as_object().unwrap().len(), 13);
}

#[test]
fn a_log_message_is_as_rfc_5424_wants_it() {
    let message = syslog::message(&Notice { box_name: Line::clean(r#"a "b\c] ü"#), ..notice(Kind::Reminder) }, 8192);
    let expected = concat!(
        r#"<132>1 2023-11-14T22:13:20Z a-"b\c]-- keepwell - copy-age "#,
        r#"[keepwell@32473 id="n-17" incident="i-4" kind="reminder" severity="warning" code="copy-age" box="a \"b\\c\] ü"]"#,
        r#"[facts@32473 copy-age-s="32400"] "#,
        "\u{feff}share X: no backup for 9 h The server <b>refuses</b> the password. It did so four times. ",
        "Was seit 3:00 geändert wurde, ist nicht gesichert. Give the new password."
    );
    assert_eq!(message, expected);
}

#[test]
fn a_log_message_is_never_too_long_and_loses_its_end_first() {
    let facts = (0..60).map(|number| (Word::parse(&format!("fact-{number}")).unwrap(), i64::MIN)).collect();
    let notice = Notice { facts, happened: Text::clean(&"ä€😀".repeat(700)), ..notice(Kind::Opened) };
    let whole = syslog::message(&notice, 1 << 20);
    assert!(whole.contains("fact-59") && whole.len() > 4096);
    for max in (0..1200).chain([2048, 8192]) {
        let message = syslog::message(&notice, max);
        assert!(message.len() <= max && message.len() + 4 > max.min(whole.len()));
        assert!(!message.contains("[facts@") || message.contains(']'));
    }
    assert!(!syslog::message(&notice, 2048).contains("facts@"), "numbers that would leave no room for words are left out");
}

#[test]
fn a_refusal_says_what_failed_and_whether_to_try_again() {
    let peer = || Peer { what: "mail server", host: Host::parse("::1").unwrap(), port: 25 };
    let (answer, no) = (|| Line::clean("550 no"), || io::Error::other("no"));
    let table = [
        (NotifyError::Settings("x"), Failure::Settings, false),
        (NotifyError::Unreachable { peer: peer(), source: no() }, Failure::Unreachable, true),
        (NotifyError::Tls { peer: peer(), source: no() }, Failure::Tls, true),
        (NotifyError::Auth { peer: peer(), answer: answer(), passing: false }, Failure::Auth, false),
        (NotifyError::Auth { peer: peer(), answer: answer(), passing: true }, Failure::Auth, true),
        (NotifyError::Rejected { peer: peer(), answer: answer(), passing: false }, Failure::Rejected, false),
        (NotifyError::Rejected { peer: peer(), answer: answer(), passing: true }, Failure::Rejected, true),
        (NotifyError::Timeout { peer: peer(), seconds: 30 }, Failure::Timeout, true),
    ];
    for (error, failure, retry) in table {
        let refusal = Refusal::from(&error);
        assert_eq!((Failure::of(&refusal), may_retry(&refusal)), (Some(failure), retry), "{error}");
        assert!(failure == Failure::Settings || refusal.error.contains("the mail server [::1]:25"), "{error}");
    }
}

#[test]
fn a_channel_is_read_strictly_and_never_shows_its_secrets() {
    let json = serde_json::json!({
        "kind": "email", "server": "mail.example.org", "port": 587, "tls": "start-tls", "user": "praxis", "password": "Z2VoZWlt",
        "from": "a@example.org", "to": ["b@example.org"],
    });
    let channel: Channel = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::from_value::<Channel>(serde_json::to_value(&channel).unwrap()).unwrap(), channel);
    let shown = format!("{channel:?}");
    assert!(shown.contains("mail.example.org") && !shown.contains("Z2VoZWlt") && !shown.contains("geheim"));
    for (field, value) in [("tls", "none".into()), ("kind", "fax".into()), ("starttls", true.into()), ("port", (-1).into())] {
        let mut other = json.clone();
        other[field] = value;
        assert!(serde_json::from_value::<Channel>(other).is_err(), "{field}");
    }
}
