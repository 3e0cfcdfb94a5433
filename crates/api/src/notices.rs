//! What notifyd is asked and what it answers. Shapes only: how a notice is written and sent, notifyd decides.
//!
//! What ends in a header or in a line of somebody else's protocol has a type here that can't hold a line break, so nothing can be put between the lines.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

pub use text::{Address, HookUrl, Host, Line, Text, Word};

use crate::{Base64, Refusal};

mod text;

/// Where notifyd listens.
pub const SOCKET: &str = "/run/keepwell/notifyd.sock";
/// No delivery takes longer.
pub const DELIVERY_DEADLINE: Duration = Duration::from_secs(30);
/// How long who asks has to wait for the answer.
pub const CALL_DEADLINE: Duration = Duration::from_secs(45);

/// `POST /v1/send`: one notice to one channel. Answers [`Delivered`], or a refusal whose code is a [`Failure`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Where to.
    pub channel: Channel,
    /// What.
    pub notice: Notice,
}

/// Somebody took it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// When, Unix seconds.
    pub delivered_at: i64,
    /// What the other end said to it, or why it says nothing.
    pub answer: Line,
    /// E-mail: those who were refused while others were not. They got nothing.
    #[serde(default)]
    pub refused: Vec<RefusedRecipient>,
}

/// Somebody of several who got no mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRecipient {
    /// Who.
    pub address: Address,
    /// What the mail server said.
    pub answer: Line,
    /// Whether to send it to them again later.
    pub retry: bool,
}

/// Why a notice did not get through. Its code is the refusal's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The channel's settings make no sense, whatever the network does.
    Settings,
    /// No such name, nobody there, or the connection broke.
    Unreachable,
    /// The connection could not be encrypted, or the other end is not who it should be.
    Tls,
    /// User name and password were not accepted.
    Auth,
    /// The other end does not want this notice.
    Rejected,
    /// No answer in time.
    Timeout,
}

impl Failure {
    const ALL: [Self; 6] = [Self::Settings, Self::Unreachable, Self::Tls, Self::Auth, Self::Rejected, Self::Timeout];

    /// The refusal's code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
        }
    }

    /// What a refusal of notifyd is; none if it is not about a delivery.
    pub fn of(refusal: &Refusal) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.code() == refusal.code)
    }
}

/// Whether the same request may succeed later without anybody having changed the settings.
pub fn may_retry(refusal: &Refusal) -> bool {
    refusal.status == StatusCode::SERVICE_UNAVAILABLE.as_u16()
}

/// A way to people or to their programs, with all that is needed to use it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Channel {
    /// To people.
    Email(Email),
    /// To a program of theirs.
    Webhook(Webhook),
    /// To a collector of logs.
    Syslog(Syslog),
}

/// A mail server that takes mail for submission (RFC 6409), and who writes to whom.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The mail server.
    pub server: Host,
    /// Usually 465 for `implicit`, 587 for `start-tls`.
    pub port: u16,
    /// How it is encrypted; there is no third way.
    pub tls: MailTls,
    /// Who signs in; with `password`, or not at all.
    #[serde(default)]
    pub user: Option<Line>,
    /// UTF-8.
    #[serde(default)]
    pub password: Option<Base64>,
    /// Sender.
    pub from: Address,
    /// Recipients, 1 to 32.
    pub to: Vec<Address>,
    /// Certificates (PEM) that are trusted for this server, in place of the public ones.
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// Whether it gets the daily report too.
    #[serde(default = "yes")]
    pub digest: bool,
}

/// Mail is for people, who want to know once a day.
fn yes() -> bool {
    true
}

/// How a connection to a mail server is encrypted.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailTls {
    /// From the first byte (RFC 8314).
    Implicit,
    /// After a word in the clear (RFC 3207); without it nothing is sent.
    StartTls,
}

/// A program that takes signed JSON over HTTPS.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where it listens.
    pub url: HookUrl,
    /// What deliveries are signed with, 16 bytes at least.
    pub secret: Base64,
    /// Certificates (PEM) that are trusted for this server, in place of the public ones.
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// Whether it gets the daily report too.
    #[serde(default)]
    pub digest: bool,
}

/// A collector of logs (RFC 5424).
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// Where it is.
    pub server: Host,
    /// Usually 6514 for TLS, 601 for TCP, 514 for UDP.
    pub port: u16,
    /// How it is reached.
    pub transport: SyslogTransport,
    /// Certificates (PEM) that are trusted for this server, in place of the public ones.
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// Whether it gets the daily report too.
    #[serde(default)]
    pub digest: bool,
}

/// How log messages travel.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyslogTransport {
    /// RFC 5425.
    Tls,
    /// RFC 6587, octet counting. Anybody on the way can read and change it.
    Tcp,
    /// RFC 5426. As TCP, and nobody knows whether it arrives.
    Udp,
}

/// One thing to say to people about one incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The same for each attempt to deliver it, and for no other notice of any box.
    pub id: Word,
    /// The incident; a test has one of its own.
    pub incident: Word,
    /// What became of the incident.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// When it was noticed, Unix seconds.
    pub at: i64,
    /// What the box is called.
    pub box_name: Line,
    /// The incident in a few words, the same as long as it lasts.
    pub subject: Line,
    /// What happened.
    pub happened: Text,
    /// What it means for the data.
    pub for_your_data: Text,
    /// What to do; empty when there is nothing.
    pub to_do: Text,
    /// The incident's kind, for programs.
    pub code: Word,
    /// Numbers, for programs. No names.
    pub facts: BTreeMap<Word, i64>,
}

/// What became of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It began.
    Opened,
    /// It got worse.
    Worse,
    /// It goes on.
    Reminder,
    /// Nobody has taken care of it.
    Escalated,
    /// It was proven to be over.
    Closed,
    /// Nothing happened; somebody wants to see that notices arrive.
    Test,
    /// How the box is, once a day: no incident.
    Digest,
}

impl Channel {
    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Webhook(_) => "webhook",
            Self::Syslog(_) => "syslog",
        }
    }

    /// Whether it gets the daily report too.
    pub fn digest(&self) -> bool {
        match self {
            Self::Email(email) => email.digest,
            Self::Webhook(hook) => hook.digest,
            Self::Syslog(syslog) => syslog.digest,
        }
    }

    /// Where it leads, in a line for people: no secret, no address of a person in full, and no path of a webhook, which may be a secret too.
    pub fn masked(&self) -> String {
        match self {
            Self::Email(email) => {
                let first = email.to.first().map(|to| format!("{}…@{}", to.as_str().get(..1).unwrap_or_default(), to.domain()));
                let more = email.to.len().saturating_sub(1);
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                format!("{}{more}, by {}:{}", first.unwrap_or_default(), email.server, email.port)
            }
            Self::Webhook(hook) => {
                let uri: Option<axum::http::Uri> = hook.url.as_str().parse().ok();
                uri.and_then(|uri| Some(format!("{}://{}/…", uri.scheme_str()?, uri.authority()?))).unwrap_or_default()
            }
            Self::Syslog(syslog) => format!("{}:{}", syslog.server, syslog.port),
        }
    }
}

/// How bad it is. Ordered: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// A promise is at risk.
    Warning,
    /// Data is not protected, or is at risk.
    Critical,
}
