//! Access in an emergency: the last good copies of tier 1, opened for some hours to whoever has the secret. Owns when it is open, and what was shown; reads nothing itself.
//!
//! Nothing is given before the ledger has it and people are told. One is open at a time; its secret is kept as a hash, in the state, so that it outlives this program.

mod hourglass;
mod opened;
mod reading;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keepwell_api::grants::{Grant, Role, digest};
use keepwell_api::hex;
use keepwell_api::vault::{
    BREAK_GLASS, CALL_LINE_MAX, CALL_LINES_MAX, CloseEmergency, Done, EMERGENCY_HOURS_MAX, EmergencyNow, EmergencyOpened, EmergencyShare,
    EmergencyState, OpenEmergency, Outcome, SetCall,
};
use keepwell_audit::{Event, Value};
use keepwell_duties::{Duty, Tier};
use keepwell_vault::Vault;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::{freezing, run};
use hourglass::{Hourglass, Moment};
use opened::Opened;
pub(crate) use reading::{content, entry, files};

const DOCUMENT: &str = "emergency";
/// Whom to call. Not sealed: on the worst day the vault may be closed.
const CALL: &str = "call";
/// How much time has passed is written down this often.
const MINUTE: Duration = Duration::from_secs(60);
/// Of a reason, characters.
const REASON: std::ops::RangeInclusive<usize> = 3..=500;
/// Crockford's base 32: no letter is mistaken for another.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SECRET_LETTERS: usize = 20;
const GROUP: usize = 5;

type Answer<T> = Result<T, VaultdError>;

/// What is kept of it while the program runs.
#[derive(Debug)]
pub(crate) struct Emergency {
    /// Held by whoever changes the document.
    changing: Mutex<Instant>,
    opened: Opened,
}

impl Default for Emergency {
    fn default() -> Self {
        Self { changing: Mutex::new(Instant::now()), opened: Opened::default() }
    }
}

/// What is kept for good.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// Number of the last opening.
    last: u64,
    open: Option<Open>,
    to_review: Vec<Review>,
}

/// What is open.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    id: u64,
    by: String,
    opened_at: i64,
    hours: u8,
    glass: Hourglass,
    /// SHA-256 of the secret's letters.
    secret: String,
    shares: Vec<EmergencyShare>,
    files_opened: u64,
}

/// What is over and was not looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Review {
    id: u64,
    hours: u8,
    code: String,
    files_opened: u64,
}

impl Open {
    fn code(&self) -> &'static str {
        if self.by == BREAK_GLASS { "sealed-code" } else { "signed-in" }
    }

    fn left_s(&self, appliance: &Appliance) -> i64 {
        self.glass.left_s(moment(appliance))
    }

    fn told(self, appliance: &Appliance) -> EmergencyNow {
        let until = appliance.clock.believed() + self.left_s(appliance);
        let Self { id, by, opened_at, files_opened, shares, .. } = self;
        EmergencyNow { id, by, opened_at, until, files_opened, shares }
    }
}

fn moment(appliance: &Appliance) -> Moment<'_> {
    let clock = &appliance.clock;
    Moment { boot: clock.boot(), steady_s: clock.steady_s(), believed: clock.believed() }
}

fn load(appliance: &Appliance) -> Answer<Kept> {
    Ok(appliance.state.document(DOCUMENT)?.unwrap_or_default())
}

/// Snapshots that are open: they stay as long as that.
pub(crate) fn snapshots(appliance: &Appliance) -> Answer<Vec<String>> {
    Ok(load(appliance)?.open.map(|open| open.shares.into_iter().map(|share| share.snapshot).collect()).unwrap_or_default())
}

/// How it is: what is open, what would be, what is to be looked at.
pub(crate) fn told(appliance: &Appliance) -> Answer<EmergencyState> {
    let kept = load(appliance)?;
    let open = kept.open.filter(|open| open.left_s(appliance) > 0).map(|open| open.told(appliance));
    let (ready, without_copy) = match appliance.engine.vault() {
        // While it is open, this is asked for each time that somebody reads.
        // Whom to call is told also where the copies can't be read: that is when it is wanted.
        Ok(vault) if open.is_none() => good_copies(appliance, &vault).unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "which copies are good can't be said");
            Default::default()
        }),
        _ => Default::default(),
    };
    let to_review = kept.to_review.iter().map(|review| review.id).collect();
    let call = appliance.state.document(CALL)?.unwrap_or_default();
    Ok(EmergencyState { open, ready, without_copy, to_review, call, frozen: freezing::told(appliance)? })
}

/// Who stands there is called when it matters most: an owner alone says so.
pub(crate) fn set_call(appliance: &Arc<Appliance>, grant: &Grant, order: SetCall) -> Answer<Done> {
    if grant.role != Role::Owner {
        return Err(VaultdError::OwnersOnly);
    }
    let good = |line: &String| !line.trim().is_empty() && line.chars().count() <= CALL_LINE_MAX && !line.chars().any(char::is_control);
    if order.lines.len() > CALL_LINES_MAX || !order.lines.iter().all(good) {
        let text = format!("whom to call takes at most {CALL_LINES_MAX} lines of {CALL_LINE_MAX} characters each");
        return Err(VaultdError::Invalid(text));
    }
    let fields =
        vec![("what".to_owned(), Value::Text("whom-to-call".to_owned())), ("lines".to_owned(), Value::Number(order.lines.len() as i64))];
    appliance.record(&grant.user, Event::SettingChanged, fields)?;
    appliance.state.set_document(CALL, &order.lines)?;
    Ok(Done {})
}

/// The newest good snapshot of each share of tier 1, and the names of those that have none.
fn good_copies(appliance: &Appliance, vault: &Vault) -> Answer<(Vec<EmergencyShare>, Vec<String>)> {
    let (mut good, mut without) = (Vec::new(), Vec::new());
    let snapshots = vault.snapshots()?;
    for share in appliance.state.shares()?.into_iter().filter(|share| share.tier == Tier::One) {
        let of_it = snapshots.iter().rev().filter(|snapshot| snapshot.body.name == share.name);
        let found = of_it.map(|snapshot| (snapshot, run::outcome(snapshot.body.outcome)));
        match found.into_iter().find(|(_, outcome)| matches!(outcome, Outcome::Complete | Outcome::Partial)) {
            Some((snapshot, outcome)) => {
                let (snapshot, taken_at) = (snapshot.id.to_string(), snapshot.body.started.seconds);
                good.push(EmergencyShare { share: share.name, snapshot, taken_at, outcome });
            }
            None => without.push(share.name),
        }
    }
    Ok((good, without))
}

pub(crate) fn open(appliance: &Arc<Appliance>, grant: &Grant, order: OpenEmergency) -> Answer<EmergencyOpened> {
    if !REASON.contains(&order.reason.chars().count()) || order.reason.chars().any(char::is_control) {
        return Err(VaultdError::Invalid("the reason has 3 to 500 characters, all on one line".into()));
    }
    if !(1..=EMERGENCY_HOURS_MAX).contains(&order.hours) {
        return Err(VaultdError::Invalid(format!("emergency access is opened for 1 to {EMERGENCY_HOURS_MAX} hours")));
    }
    let vault = appliance.engine.vault().map_err(VaultdError::Unready)?;
    let mut random = Zeroizing::new([0; SECRET_LETTERS]);
    getrandom::fill(&mut *random).map_err(|error| VaultdError::Own(error.into()))?;
    let letters = Zeroizing::new(random.map(|byte| LETTERS[usize::from(byte % 32)]));
    let mut changing = appliance.emergency.changing();
    let (shares, without_copy) = good_copies(appliance, &vault)?;
    if shares.is_empty() {
        return Err(VaultdError::NoCopy);
    }
    let mut kept = load(appliance)?;
    if kept.open.is_some() {
        end(appliance, &mut kept, &grant.user, "opened-anew")?;
    }
    let (id, opened_at) = (kept.last + 1, appliance.clock.believed());
    let fields = vec![
        ("what".to_owned(), Value::Text("emergency-opened".to_owned())),
        ("opening".to_owned(), Value::Number(id.cast_signed())),
        ("hours".to_owned(), Value::Number(i64::from(order.hours))),
        ("shares".to_owned(), Value::Number(shares.len() as i64)),
        ("reason".to_owned(), Value::Bytes(vault.seal_note("log", order.reason.as_bytes()))),
    ];
    appliance.record(&grant.user, Event::Retrieval, fields)?;
    let glass = Hourglass::turn(i64::from(order.hours) * 3_600, moment(appliance));
    let (by, secret) = (grant.user.clone(), hex::encode(&digest(&letters[..])));
    let open = Open { id, by, opened_at, hours: order.hours, glass, secret, shares: shares.clone(), files_opened: 0 };
    let until = opened_at + open.left_s(appliance);
    (kept.last, kept.open) = (id, Some(open));
    appliance.state.set_document(DOCUMENT, &kept)?;
    *changing = Instant::now();
    // Who can't be told of it has nothing opened to them: it is closed again.
    if let Err(error) = settle(appliance, &kept) {
        end(appliance, &mut kept, "vaultd", "untold")?;
        return Err(error);
    }
    let secret = letters.chunks(GROUP).collect::<Vec<_>>().join(&b'-').into();
    Ok(EmergencyOpened { id, secret, until, shares, without_copy })
}

pub(crate) fn close(appliance: &Arc<Appliance>, grant: &Grant, order: CloseEmergency) -> Answer<Done> {
    let _changing = appliance.emergency.changing();
    let mut kept = load(appliance)?;
    if kept.open.as_ref().is_none_or(|open| open.id != order.id) {
        return Err(VaultdError::NoSuch("open emergency access"));
    }
    end(appliance, &mut kept, &grant.user, "closed")?;
    settle(appliance, &kept)?;
    Ok(Done {})
}

/// Looked at each second: what has run out is closed, what somebody looked at is no task any more.
pub(crate) fn look(appliance: &Appliance) -> Answer<()> {
    let mut changing = appliance.emergency.changing();
    let mut kept = load(appliance)?;
    if kept.open.as_ref().is_some_and(|open| open.left_s(appliance) == 0) {
        end(appliance, &mut kept, "vaultd", "time")?;
    }
    if let Some(open) = kept.open.as_mut().filter(|_| changing.elapsed() >= MINUTE) {
        open.glass = open.glass.looked_at(moment(appliance));
        appliance.state.note(DOCUMENT, &kept)?;
        *changing = Instant::now();
    }
    let before = kept.to_review.len();
    kept.to_review.retain(|review| !appliance.watch.is_taken(&Duty::emergency_review(review.id)));
    if kept.to_review.len() != before {
        appliance.state.set_document(DOCUMENT, &kept)?;
    }
    settle(appliance, &kept)
}

/// Ends what is open: the ledger has it before the state.
fn end(appliance: &Appliance, kept: &mut Kept, by: &str, code: &str) -> Answer<()> {
    let Some(open) = &kept.open else { return Ok(()) };
    let fields = vec![
        ("what".to_owned(), Value::Text("emergency-closed".to_owned())),
        ("opening".to_owned(), Value::Number(open.id.cast_signed())),
        ("code".to_owned(), Value::Text(code.to_owned())),
        ("files".to_owned(), Value::Number(open.files_opened.cast_signed())),
    ];
    appliance.record(by, Event::Retrieval, fields)?;
    kept.to_review.push(Review { id: open.id, hours: open.hours, code: open.code().to_owned(), files_opened: open.files_opened });
    kept.open = None;
    Ok(appliance.state.set_document(DOCUMENT, kept)?)
}

/// Makes promises and incidents fit what is open and what is to be looked at, and tells people at once. Also after a program that was cut in the middle.
fn settle(appliance: &Appliance, kept: &Kept) -> Answer<()> {
    let open = kept.open.as_ref().map(|open| {
        let numbers = vec![("hours".to_owned(), i64::from(open.hours))];
        (Duty::emergency(open.id), open.code().to_owned(), numbers)
    });
    let reviews = kept.to_review.iter().map(|review| {
        let numbers = vec![("hours".to_owned(), i64::from(review.hours)), ("files".to_owned(), review.files_opened.cast_signed())];
        (Duty::emergency_review(review.id), review.code.clone(), numbers)
    });
    if appliance.watch.emergencies(open.into_iter().chain(reviews).collect(), appliance) {
        appliance.watch.keep(appliance)?;
        appliance.watch.step(appliance)?;
    }
    Ok(())
}

impl Emergency {
    fn changing(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
