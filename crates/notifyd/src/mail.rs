//! A notice as an e-mail: plain text and the same in HTML, in one thread with what was said of the incident before.
//!
//! The subject of an incident never changes, and all its mails refer to one message id that no mail has: mail programs put them together by these two
//! (RFC 5322, 3.6.4), even if the first one got lost. The id of a mail is its notice's, so one that was sent twice is shown once.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use askama::Template;
use jiff::tz::TimeZone;
use keepwell_api::notices::{Address, Email, Kind, Notice, Text};
use lettre::Message;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use crate::error::NotifyError;
use crate::words::{heading, local_time, severity};

const RECIPIENTS_MAX: usize = 32;

/// The mail as it goes to the server, 7 bits wide. `now`: Unix seconds.
pub fn compose(email: &Email, notice: &Notice, zone: &TimeZone, now: i64) -> Result<Vec<u8>, NotifyError> {
    if !(1..=RECIPIENTS_MAX).contains(&email.to.len()) {
        return Err(NotifyError::Settings("wanted are 1 to 32 recipients"));
    }
    let thread = format!("<keepwell.incident.{}@{}>", notice.incident, email.from.domain());
    let reply = if matches!(notice.kind, Kind::Opened | Kind::Test | Kind::Digest) { "" } else { "Re: " };
    let mut mail = Message::builder()
        .from(mailbox(&email.from, Some(uncoded(notice.box_name.as_str())))?)
        .subject(uncoded(&format!("{reply}[{}] {}", notice.box_name, notice.subject)))
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(now.max(0).unsigned_abs()))
        .message_id(Some(format!("<keepwell.notice.{}@{}>", notice.id, email.from.domain())))
        .in_reply_to(thread.clone())
        .references(thread)
        .header(AutoSubmitted);
    for to in &email.to {
        mail = mail.to(mailbox(to, None)?);
    }
    let body = MultiPart::alternative_plain_html(plain(notice, zone), html(notice, zone)?);
    let mail = mail.multipart(body).map_err(|_| NotifyError::Settings("sender and recipients make no mail"))?;
    Ok(mail.formatted())
}

/// What looks like an encoded word (RFC 2047) would be shown as what it encodes.
fn uncoded(text: &str) -> String {
    text.replace("=?", "= ?")
}

fn mailbox(address: &Address, name: Option<String>) -> Result<Mailbox, NotifyError> {
    let address = address.as_str().parse().map_err(|_| NotifyError::Settings("one of its mail addresses is none"))?;
    Ok(Mailbox::new(name, address))
}

/// What a mail says, in order, with what stands above each part.
fn parts(notice: &Notice) -> Vec<(&'static str, Vec<&str>)> {
    let second = if notice.kind == Kind::Digest { "What changed" } else { "What this means for your data" };
    let parts = [("", &notice.happened), (second, &notice.for_your_data), ("What to do", &notice.to_do)];
    let lines = |text: &'_ Text| -> bool { !text.as_str().is_empty() };
    parts.into_iter().filter(|(_, text)| lines(text)).map(|(title, text)| (title, text.as_str().lines().collect())).collect()
}

fn details(notice: &Notice, zone: &TimeZone) -> Vec<(String, String)> {
    let mut fixed = vec![("Box", notice.box_name.to_string()), ("Noticed", local_time(notice.at, zone))];
    // A report of the day is no incident.
    if notice.kind != Kind::Digest {
        fixed.push(("How bad", severity(notice.severity).to_owned()));
        fixed.push(("Incident", format!("{} ({})", notice.incident, notice.code)));
    }
    let facts = notice.facts.iter().map(|(name, number)| (name.to_string(), number.to_string()));
    fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(facts).collect()
}

fn plain(notice: &Notice, zone: &TimeZone) -> String {
    let mut text = format!("{}\n\n{}\n", heading(notice.kind), notice.subject);
    for (title, lines) in parts(notice) {
        let title = if title.is_empty() { String::new() } else { format!("{title}:\n") };
        let _ = write!(text, "\n{title}{}\n", lines.join("\n"));
    }
    text.push('\n');
    for (name, value) in details(notice, zone) {
        let _ = writeln!(text, "{name}: {value}");
    }
    text
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Page<'a> {
    heading: &'static str,
    subject: &'a str,
    parts: Vec<(&'static str, Vec<&'a str>)>,
    details: Vec<(String, String)>,
}

fn html(notice: &Notice, zone: &TimeZone) -> Result<String, NotifyError> {
    let page =
        Page { heading: heading(notice.kind), subject: notice.subject.as_str(), parts: parts(notice), details: details(notice, zone) };
    page.render().map_err(|_| NotifyError::Settings("the notice makes no page"))
}

/// RFC 3834, 5: no out-of-office reply to this.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
