//! Ways for the box's messages: how they are set, told and tried. What is told holds no secret.

use serde::{Deserialize, Serialize};

use crate::notices::Channel;

/// `POST /v1/channels`, verb `settings-change`: a way for messages, in place of the one of that name.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetChannel {
    /// What it is called: 1 to 32 letters, digits and dashes.
    pub name: String,
    /// How it is used; none takes it away.
    pub channel: Option<Channel>,
}

/// `POST /v1/channels/test`, verb `settings-change`: a message that says that it is a test.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestChannel {
    /// Which.
    pub name: String,
}

/// One of what `GET /v1/channels` answers.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelTold {
    /// What it is called.
    pub name: String,
    /// `email`, `webhook`, `syslog`; none if its settings can't be read any more and have to be set again.
    pub kind: Option<String>,
    /// Where it leads, without what is secret.
    pub to: String,
    /// Whether it gets the daily report.
    pub digest: bool,
    /// Messages that wait for it.
    pub waiting: u64,
    /// When a message was last delivered.
    pub delivered_at: Option<i64>,
    /// When one was last tried in vain.
    pub failed_at: Option<i64>,
    /// Why; as in docs/alerts.md.
    pub failure: Option<String>,
}
