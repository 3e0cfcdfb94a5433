//! How the box's messages reach people, its clock, its certificate, and what somebody who helps needs to know. Secrets of channels are never shown again.

use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use keepwell_api::grants::{Role, Verb};
use keepwell_api::notices::{Address, Channel, Email, HookUrl, Host, Line, MailTls, Syslog, SyslogTransport, Webhook};
use keepwell_api::vault::{
    CALL_LINES_MAX, ChannelTold, ClockConfirmed, ConfirmClock, Done, EmergencyState, SetCall, SetChannel, TestChannel,
};

use super::frame::{self, Frame};
use crate::app::HowItIs;
use crate::form::Form;
use crate::sessions::Notice;
use crate::view::{self, Times, When};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    box_name: String,
    zone: String,
    fingerprint: String,
    now: When,
    now_s: i64,
    doubt: Option<String>,
    needs_code: bool,
    may_bundle: bool,
    may_own: bool,
    /// None: vaultd can't say.
    ways: Option<Vec<Way>>,
    /// Whom to call, a line each; for owners.
    call: Option<String>,
}

/// A way for messages.
struct Way {
    name: String,
    kind: &'static str,
    to: String,
    digest: bool,
    delivered: Option<When>,
    failed: Option<(When, &'static str)>,
    waiting: Option<String>,
}

/// The page.
pub(crate) async fn page(visit: Visit) -> Response {
    let doubt = match visit.app.status().await {
        HowItIs::Now(status) => status.doubt.map(|doubt| keepwell_duties::words::duration(doubt.ahead_s.saturating_abs())),
        HowItIs::Silent(..) => None,
    };
    let settings = &visit.app.settings;
    let times = frame::times(&visit);
    let ways = visit.app.neighbours.get::<Vec<ChannelTold>>("/v1/channels").await.ok();
    let call = visit.app.neighbours.get::<EmergencyState>("/v1/emergency").await.ok().map(|state| state.call.join("\n"));
    visit.show(&SettingsPage {
        ways: ways.map(|ways| ways.into_iter().map(|told| way(told, &times)).collect()),
        call: call.filter(|_| visit.role() == Some(Role::Owner)),
        frame: visit.frame("Settings"),
        box_name: settings.box_name.clone(),
        zone: settings.zone.iana_name().unwrap_or("as the machine's").to_owned(),
        fingerprint: settings.authority.1.clone(),
        now: frame::times(&visit).full(visit.now()),
        now_s: visit.now(),
        doubt,
        needs_code: visit.needs_code(Verb::SettingsChange),
        may_bundle: visit.may(Verb::SupportBundle),
        may_own: visit.role() == Some(Role::Owner),
    })
}

fn way(told: ChannelTold, times: &Times) -> Way {
    let kind = match told.kind.as_deref() {
        Some("email") => "e-mail",
        Some("webhook") => "webhook",
        Some("syslog") => "syslog",
        _ => "can't be read any more: set it again",
    };
    let failed = told.failed_at.filter(|at| told.delivered_at.is_none_or(|delivered| delivered < *at));
    Way {
        name: told.name,
        kind,
        to: told.to,
        digest: told.digest,
        delivered: told.delivered_at.map(|at| times.at(at)),
        failed: failed.map(|at| (times.at(at), failure(told.failure.as_deref().unwrap_or_default()))),
        waiting: (told.waiting > 0).then(|| view::count(told.waiting, "message waits", "messages wait")),
    }
}

fn failure(code: &str) -> &'static str {
    match code {
        "unreachable" => "it can't be reached",
        "timeout" => "it did not answer in time",
        "tls" => "the encryption is not to be trusted, or has expired",
        "auth" => "user name and password were not accepted",
        "rejected" => "it did not want the message",
        "settings" => "its settings make no sense",
        _ => "the box's own program for messages does not answer",
    }
}

/// Whom to call on the worst day.
pub(crate) async fn call(visit: Visit) -> Response {
    let lines: Vec<_> = visit.form.text("lines").lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if lines.len() > CALL_LINES_MAX {
        visit.look_at(&["lines"]);
    }
    let done = visit.granted::<Done>(Verb::SettingsChange, "/v1/emergency/call", &SetCall { lines }).await;
    visit.after("/settings", done, "It stands on the page Emergency from now on. Print that page again.")
}

/// Sets a channel, tries one, or takes one away.
pub(crate) async fn channel(visit: Visit) -> Response {
    let form = &visit.form;
    let channel = match form.text("kind") {
        "test" => {
            let ask = TestChannel { name: form.text("name").to_owned() };
            let done = visit.granted::<Done>(Verb::SettingsChange, "/v1/channels/test", &ask).await;
            return visit.after("/settings", done, "A test message is on its way. See below in a minute whether it arrived.");
        }
        "remove" => None,
        kind => match typed(form, kind) {
            Some(channel) => Some(channel),
            None => {
                visit.look_at(&wrong(form, kind));
                let text = "Something in that form can't be: look at names, addresses and the port. Nothing was changed.".into();
                return visit.go("/settings", Some(Notice { good: false, text }));
            }
        },
    };
    let well = if channel.is_some() { "Messages go there too from now on." } else { "Messages do not go there any more." };
    let ask = SetChannel { name: form.text("name").to_owned(), channel };
    let done = visit.granted::<Done>(Verb::SettingsChange, "/v1/channels", &ask).await;
    visit.after("/settings", done, well)
}

/// The fields that no channel can have as they are.
fn wrong(form: &Form, kind: &str) -> Vec<&'static str> {
    let addresses = || form.text("to").split([',', ' ', ';']).filter(|one| !one.is_empty()).all(|one| Address::parse(one).is_some());
    let good = |field: &str| match field {
        "server" => Host::parse(form.text(field)).is_some(),
        "port" => form.number::<u16>(field).is_some(),
        "from" => Address::parse(form.text(field)).is_some(),
        "to" => !form.text(field).is_empty() && addresses(),
        "url" => HookUrl::parse(form.text(field)).is_some(),
        "secret" => form.raw(field).len() >= 16,
        _ => form.some(field).is_none_or(|line| Line::parse(&line).is_some()),
    };
    let fields: &[&'static str] = match kind {
        "email" => &["to", "from", "server", "port", "user"],
        "webhook" => &["url", "secret"],
        _ => &["server", "port"],
    };
    fields.iter().copied().filter(|field| !good(field)).collect()
}

fn typed(form: &Form, kind: &str) -> Option<Channel> {
    match kind {
        "email" => {
            let to: Option<Vec<_>> = form.text("to").split([',', ' ', ';']).filter(|one| !one.is_empty()).map(Address::parse).collect();
            Some(Channel::Email(Email {
                server: Host::parse(form.text("server"))?,
                port: form.number("port")?,
                tls: if form.text("tls") == "start-tls" { MailTls::StartTls } else { MailTls::Implicit },
                user: match form.some("user") {
                    Some(user) => Some(Line::parse(&user)?),
                    None => None,
                },
                password: form.some_secret("password"),
                from: Address::parse(form.text("from"))?,
                to: to.filter(|to| !to.is_empty())?,
                ca_pem: None,
                digest: form.text("digest") == "yes",
            }))
        }
        "webhook" => Some(Channel::Webhook(Webhook {
            url: HookUrl::parse(form.text("url"))?,
            secret: form.some_secret("secret").filter(|secret| secret.as_ref().len() >= 16)?,
            ca_pem: None,
            digest: form.text("digest") == "yes",
        })),
        "syslog" => Some(Channel::Syslog(Syslog {
            server: Host::parse(form.text("server"))?,
            port: form.number("port")?,
            transport: match form.text("transport") {
                "udp" => SyslogTransport::Udp,
                "tcp" => SyslogTransport::Tcp,
                _ => SyslogTransport::Tls,
            },
            ca_pem: None,
            digest: form.text("digest") == "yes",
        })),
        _ => None,
    }
}

/// A person says that the clock is right.
pub(crate) async fn clock(visit: Visit) -> Response {
    let Some(at) = visit.form.number("at") else { return visit.go("/settings", None) };
    let done = visit.granted::<ClockConfirmed>(Verb::SettingsChange, "/v1/clock/confirm", &ConfirmClock { at }).await;
    visit.after("/settings", done, "The time is confirmed.")
}

/// What somebody who helps needs: no names in it.
pub(crate) async fn bundle(visit: Visit) -> Response {
    let empty = serde_json::json!({});
    match visit.granted::<serde_json::Value>(Verb::SupportBundle, "/v1/support-bundle", &empty).await {
        Ok(bundle) => {
            let mut answer = serde_json::to_string_pretty(&bundle).unwrap_or_default().into_response();
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"keepwell-support.json\""));
            answer
        }
        Err(trouble) => visit.after::<()>("/settings", Err(trouble), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_what_was_typed_or_none() {
        let mail = "server=mail.example.org&port=465&tls=implicit&user=box&password=x&from=box@example.org&to=a@example.org,+b@example.org";
        let Some(Channel::Email(email)) = typed(&Form::parse(mail.as_bytes()).expect("a form"), "email") else { panic!("a channel") };
        assert_eq!((email.to.len(), email.port), (2, 465));
        for bad in ["", "server=a b&port=1&from=a@b&to=c@d", "server=a&port=x&from=a@b&to=c@d", "server=a&port=1&from=a@b&to="] {
            assert!(typed(&Form::parse(bad.as_bytes()).expect("a form"), "email").is_none(), "{bad}");
        }
        assert!(typed(&Form::parse(b"url=https://a.example/x&secret=short").expect("a form"), "webhook").is_none());
        assert!(typed(&Form::parse(b"url=https://a.example/x&secret=0123456789abcdef").expect("a form"), "webhook").is_some());
    }
}
