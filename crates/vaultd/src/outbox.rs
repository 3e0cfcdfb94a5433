//! What is to be said to people, kept until notifyd says that it was said. One message that can't be delivered does not keep the others waiting, nor one channel the other channels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Scope;
use std::time::Duration;

use axum::http::StatusCode;
use keepwell_api::notices::{self, CALL_DEADLINE, Channel, Delivered, Delivery, Kind, Line, Notice, Severity, Word};
use keepwell_api::{Client, ClientError, Refusal};
use keepwell_audit::{Event, Value};
use keepwell_duties::{Announcement, Duty, DutyKind, Numbers, Said, Severity as Worth, ShareId, words};
use serde::{Deserialize, Serialize};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::state::{Letter, State, StateError};
use keepwell_api::error::chain;

/// Looked at this often.
const LOOK: Duration = Duration::from_secs(2);
/// Waits between attempts, seconds; the last is repeated.
const WAITS: [i64; 6] = [10, 60, 300, 900, 3_600, 4 * 3_600];
/// Nobody wants to hear after this what is long over, seconds.
const STALE: i64 = 7 * 86_400;
/// Messages of one channel that are tried in one go.
const ROUND: u32 = 32;
/// Channels that are used at once.
const AT_ONCE: usize = 8;

/// The ways out, by the names that people gave them. A document of the state; its secrets are sealed.
pub(crate) type Channels = BTreeMap<String, Vec<u8>>;

pub(crate) const DOCUMENT: &str = "channels";

/// What became of the last messages, by channel. Of this box alone, and no more than a help for whoever looks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Heard(BTreeMap<String, Last>);

/// Of one channel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Last {
    pub(crate) delivered_at: Option<i64>,
    pub(crate) failed_at: Option<i64>,
    pub(crate) failure: Option<String>,
}

impl Heard {
    const DOCUMENT: &str = "channels-heard";

    pub(crate) fn load(state: &State) -> Result<Self, StateError> {
        Ok(state.document(Self::DOCUMENT)?.unwrap_or_default())
    }

    pub(crate) fn of(&self, channel: &str) -> Last {
        self.0.get(channel).cloned().unwrap_or_default()
    }

    fn note(appliance: &Appliance, channel: &str, failure: Option<&str>) -> Result<(), StateError> {
        let (mut heard, now) = (Self::load(&appliance.state)?, appliance.clock.believed());
        let last = heard.0.entry(channel.to_owned()).or_default();
        match failure {
            None => last.delivered_at = Some(now),
            Some(code) => (last.failed_at, last.failure) = (Some(now), Some(code.to_owned())),
        }
        // Those that were taken away.
        let channels: Channels = appliance.state.document(DOCUMENT)?.unwrap_or_default();
        heard.0.retain(|name, _| channels.contains_key(name));
        appliance.state.note(Self::DOCUMENT, &heard)
    }
}

/// What the sealed settings of a channel are bound to.
pub(crate) fn purpose(channel: &str) -> String {
    format!("channel {channel}")
}

/// Puts an announcement into the outbox, once for each channel.
pub(crate) fn post(appliance: &Appliance, said: &Announcement) -> Result<(), VaultdError> {
    let channels: Channels = appliance.state.document(DOCUMENT)?.unwrap_or_default();
    if channels.is_empty() {
        return Ok(());
    }
    let notice = serde_json::to_string(&notice(appliance, said)?).expect("plain data becomes JSON");
    let channels: Vec<String> = channels.into_keys().collect();
    Ok(appliance.state.post_to_all(&channels, &notice, appliance.clock.believed())?)
}

fn notice(appliance: &Appliance, said: &Announcement) -> Result<Notice, StateError> {
    let incident = &said.incident;
    let shares = appliance.state.shares()?;
    let label = |id: &ShareId| shares.iter().find(|share| share.id == *id).map(|share| share.name.clone());
    let text = words::text(incident, &label);
    let at = appliance.clock.believed();
    Ok(Notice {
        id: word(&format!("{}-{}-{at}", incident.id, crate::watch::word(said.kind))),
        incident: word(&incident.id.to_string()),
        kind: kind(said.kind),
        severity: severity(incident.worst),
        at,
        box_name: Line::clean(&appliance.config.name),
        subject: Line::clean(&text.happened),
        happened: notices::Text::clean(&text.happened),
        for_your_data: notices::Text::clean(&text.for_your_data),
        to_do: notices::Text::clean(&text.to_do),
        code: word(incident.duty.kind.code()),
        facts: facts(&incident.numbers),
    })
}

/// A word for programs, whatever the text is.
pub(crate) fn word(text: &str) -> Word {
    Word::parse(text).unwrap_or_else(|| Word::parse("other").expect("a word"))
}

/// A word that no other message of any box has: two boxes say good morning in the same second.
pub(crate) fn once(what: &str, at: i64) -> Result<Word, VaultdError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| VaultdError::Own(error.into()))?;
    Ok(word(&format!("{what}-{at}-{:016x}", u64::from_ne_bytes(random))))
}

pub(crate) fn facts(numbers: &Numbers) -> BTreeMap<Word, i64> {
    numbers.iter().filter_map(|(name, value)| Some((Word::parse(&name.replace('_', "-"))?, *value))).collect()
}

fn kind(said: Said) -> Kind {
    match said {
        Said::Opened => Kind::Opened,
        Said::Worse => Kind::Worse,
        Said::Reminder => Kind::Reminder,
        Said::Escalated => Kind::Escalated,
        Said::Closed => Kind::Closed,
    }
}

pub(crate) fn severity(worth: Worth) -> Severity {
    match worth {
        Worth::Notice => Severity::Notice,
        Worth::Warning => Severity::Warning,
        Worth::Critical => Severity::Critical,
    }
}

/// Sends what is in the outbox, until told to end. Each channel has a thread of its own while it has something to send: a mail server that is silent holds up no webhook.
pub(crate) fn run(appliance: &Appliance, stop: &AtomicBool) {
    let outbox = Outbox { appliance, stop, busy: Mutex::default() };
    std::thread::scope(|scope| {
        let mut seen = 0;
        while !stop.load(Ordering::Acquire) {
            if let Err(error) = outbox.round(scope) {
                tracing::error!(error = chain(&error), "messages could not be sent; it is tried again");
            }
            seen = appliance.wait(seen, LOOK);
        }
    });
}

struct Outbox<'a> {
    appliance: &'a Appliance,
    stop: &'a AtomicBool,
    /// Channels that have a thread now.
    busy: Mutex<BTreeSet<String>>,
}

impl Outbox<'_> {
    fn round<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<(), VaultdError> {
        for channel in self.appliance.state.channels_due(self.appliance.clock.believed())? {
            let mut busy = self.busy();
            if busy.len() < AT_ONCE && busy.insert(channel.clone()) {
                drop(busy);
                let name = channel.clone();
                let thread = std::thread::Builder::new().name("outbox-channel".into()).spawn_scoped(scope, move || {
                    if let Err(error) = self.deliver(&channel) {
                        tracing::error!(error = chain(&error), "messages could not be sent; it is tried again");
                    }
                    self.busy().remove(&channel);
                });
                if let Err(error) = thread {
                    self.busy().remove(&name);
                    return Err(VaultdError::Thread(error));
                }
            }
        }
        Ok(())
    }

    /// Sends what one channel has to send.
    fn deliver(&self, name: &str) -> Result<(), VaultdError> {
        let (appliance, now) = (self.appliance, self.appliance.clock.believed());
        // Without the vault the settings can't be opened: what is to be sent waits.
        let Ok(vault) = appliance.engine.vault() else { return Ok(()) };
        let channels: Channels = appliance.state.document(DOCUMENT)?.unwrap_or_default();
        let opened = channels.get(name).map(|sealed| vault.open_note(&purpose(name), sealed).ok());
        let notifyd = Client::new("keepwell-notifyd", &appliance.config.notifyd, CALL_DEADLINE);
        for letter in appliance.state.letters(name, now, ROUND)? {
            if self.stop.load(Ordering::Acquire) {
                return Ok(());
            }
            let notice = serde_json::from_str::<Notice>(&letter.notice);
            let (Ok(notice), Some(json)) = (notice, &opened) else {
                appliance.state.take_out(letter.id)?;
                continue;
            };
            let at = notice.at;
            let sent: Result<Delivered, ClientError> = match json.as_ref().map(|json| serde_json::from_slice::<Channel>(json)) {
                Some(Ok(channel)) => notifyd.post("/v1/send", &Delivery { channel, notice }),
                // Of another release, or damaged: a person has to set the channel again, and is told so.
                _ => {
                    Err(ClientError::Refused(Refusal::text(StatusCode::CONFLICT, "settings", "the settings of the channel can't be read")))
                }
            };
            settle(appliance, &letter, at, sent, now)?;
        }
        Ok(())
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn settle(appliance: &Appliance, letter: &Letter, at: i64, sent: Result<Delivered, ClientError>, now: i64) -> Result<(), VaultdError> {
    let duty = Duty::of_box(DutyKind::Notices);
    let error = match sent {
        Ok(delivered) => {
            appliance.state.take_out(letter.id)?;
            Heard::note(appliance, &letter.channel, None)?;
            // That one channel works is no proof that all do.
            if delivered.refused.is_empty() && appliance.state.is_any_tried_in_vain()? {
                return Ok(());
            }
            let refused = i64::try_from(delivered.refused.len()).unwrap_or(i64::MAX);
            let looked = if refused == 0 { Ok(Numbers::new()) } else { Err(("recipients", vec![("refused".into(), refused)])) };
            appliance.watch.seen(&duty, looked, appliance);
            return Ok(());
        }
        Err(error) => error,
    };
    let (code, retry) = match &error {
        ClientError::Refused(refusal) => (refusal.code.clone(), notices::may_retry(refusal)),
        _ => ("no-notifyd".to_owned(), true),
    };
    tracing::warn!(channel = letter.channel, code, error = chain(&error), "a message was not delivered");
    Heard::note(appliance, &letter.channel, Some(&code))?;
    let fields = vec![("channel".into(), Value::Text(letter.channel.clone())), ("code".into(), Value::Text(code.clone()))];
    if letter.tries == 0 {
        appliance.record("vaultd", Event::Failure, fields)?;
    }
    // What the settings cause is tried again as well: a person may put them right meanwhile.
    let wait = WAITS[(letter.tries as usize).min(WAITS.len() - 1)].max(if retry { 0 } else { 3_600 });
    if now.saturating_sub(at) > STALE {
        appliance.state.take_out(letter.id)?
    } else {
        appliance.state.try_again(letter.id, now + wait)?
    }
    if letter.tries >= 2 || !retry {
        appliance.watch.seen(&duty, Err((&code, Numbers::new())), appliance);
    }
    Ok(())
}
