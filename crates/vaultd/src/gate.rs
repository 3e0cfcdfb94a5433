//! Grants at the door: whoever asks for something that reads, restores, changes or deletes shows one, it is used up, and the ledger has it before anything is done. Gives no
//! rights itself: authd does.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode};
use keepwell_api::grants::{self, Grant, GrantRefused, Verb, VerifyingKey, allows, takes_scope};
use keepwell_api::{Client, ClientError, Refusal, hex};
use keepwell_audit::{Event, Value};

use crate::appliance::Appliance;
use crate::error::VaultdError;
use crate::repeats::Repeats;

const PATIENCE: Duration = Duration::from_secs(10);
/// Refusals a minute that get a record each; of more, only their number is recorded, so that nobody fills the disk by asking.
const REFUSALS: u64 = 30;
const MINUTE: Duration = Duration::from_secs(60);

/// Refusals since a time.
#[derive(Debug)]
struct Refused {
    since: Instant,
    count: u64,
}

fn machine_time() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}

/// authd's key of its present start.
#[derive(Clone, Copy, Debug)]
struct Signer {
    boot: [u8; 16],
    key: VerifyingKey,
}

/// The door.
#[derive(Debug)]
pub(crate) struct Gate {
    authd: Client,
    signer: Mutex<Option<Signer>>,
    refused: Mutex<Refused>,
    repeats: Repeats,
}

impl Gate {
    pub(crate) fn new(authd: &Path) -> Self {
        Self {
            authd: Client::new("keepwell-authd", authd, PATIENCE),
            signer: Mutex::new(None),
            refused: Mutex::new(Refused { since: Instant::now(), count: 0 }),
            repeats: Repeats::default(),
        }
    }

    /// Whether the request may go on. Blocks. A refusal is in the ledger, and so is a grant that was used.
    pub(crate) fn admit(&self, appliance: &Appliance, verb: Verb, headers: &HeaderMap, body: &[u8]) -> Result<Grant, Refusal> {
        self.admit_either(appliance, (verb, verb), headers, body)
    }

    /// The same for what the one verb or the other gives the right to.
    pub(crate) fn admit_either(
        &self,
        appliance: &Appliance,
        (one, other): (Verb, Verb),
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Grant, Refusal> {
        let shown = headers.get(grants::HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let word = |text: &str| Value::Text(text.to_owned());
        let grant = match self.check(appliance, one, shown, body) {
            Err(refusal) if one != other && refusal.code == GrantRefused::OtherVerb.code() => self.check(appliance, other, shown, body),
            checked => checked,
        };
        let grant = grant.inspect_err(|refusal| self.note(appliance, one, "unknown", refusal))?;
        let verb = grant.verb;
        let fields = vec![("verb".into(), word(verb.as_str())), ("code".into(), word("admitted"))];
        if !self.repeats.has(&grant, Instant::now()) {
            // What can't be recorded is not done.
            appliance.record(&grant.user, Event::Grant, fields).map_err(|error| Refusal::from(&error))?;
            self.repeats.note(&grant, Instant::now());
        }
        Ok(grant)
    }

    /// Records a refusal, or counts it.
    pub(crate) fn note(&self, appliance: &Appliance, verb: Verb, actor: &str, refusal: &Refusal) {
        let unrecorded = {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            let before = if refused.since.elapsed() >= MINUTE {
                std::mem::replace(&mut *refused, Refused { since: Instant::now(), count: 0 }).count
            } else {
                0
            };
            refused.count += 1;
            if refused.count > REFUSALS {
                return;
            }
            before.saturating_sub(REFUSALS)
        };
        let mut fields = vec![("verb".into(), Value::Text(verb.to_string())), ("code".into(), Value::Text(refusal.code.clone()))];
        if unrecorded > 0 {
            fields.push(("others-before".into(), Value::Number(unrecorded.cast_signed())));
        }
        if let Err(error) = appliance.record(actor, Event::Refusal, fields) {
            tracing::error!(error = keepwell_api::error::chain(&error), "a refusal could not be recorded");
        }
    }

    fn check(&self, appliance: &Appliance, verb: Verb, shown: &str, body: &[u8]) -> Result<Grant, Refusal> {
        // By the machine's clock, which authd goes by too: a clock that the box does not believe must not keep anybody from their restore.
        let now = machine_time();
        let verify = |signer: Signer| Grant::verify(shown, &signer.key, now, &signer.boot, verb, body);
        let grant = match verify(self.signer(false)?) {
            // authd may have started anew.
            Err(GrantRefused::OtherBoot | GrantRefused::Forged) => verify(self.signer(true)?),
            other => other,
        };
        let grant = grant.map_err(|refused| Refusal::new(StatusCode::FORBIDDEN, refused.code(), &refused))?;
        if !allows(grant.role, verb) {
            return Err(Refusal::text(StatusCode::FORBIDDEN, "role", format!("a user with the role '{}' may not do this", grant.role)));
        }
        // What knows nothing of limits is not done for who has one.
        if !grant.shares.is_all() && !takes_scope(verb) {
            return Err(Refusal::from(&VaultdError::Scope));
        }
        let unused = appliance.state.burn(&grant.nonce, grant.expires_at, now).map_err(|error| Refusal::from(&error.into()))?;
        if !unused {
            return Err(Refusal::text(StatusCode::FORBIDDEN, "grant-used", "the grant was used already: ask for a new one"));
        }
        Ok(grant)
    }

    fn signer(&self, anew: bool) -> Result<Signer, Refusal> {
        let mut known = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signer) = known.filter(|_| !anew) {
            return Ok(signer);
        }
        let signer = self.ask()?;
        *known = Some(signer);
        Ok(signer)
    }

    fn ask(&self) -> Result<Signer, Refusal> {
        let silent = |error: ClientError| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "authd-silent", &error);
        let key: keepwell_api::auth::GrantKey = self.authd.get("/v1/key").map_err(silent)?;
        let boot = hex::decode(&key.boot);
        let signer = hex::decode(&key.public_key).and_then(|key| VerifyingKey::from_bytes(&key).ok());
        match (boot, signer) {
            (Some(boot), Some(key)) => Ok(Signer { boot, key }),
            _ => Err(Refusal::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "authd-silent",
                "authd's key can't be read: both programs have to be of one release",
            )),
        }
    }
}
