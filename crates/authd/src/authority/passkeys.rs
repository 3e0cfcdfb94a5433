//! Passkeys: added, renamed and removed by whose they are, removed by owners; and what they are asked to sign. What is wrong with an answer is never told to who gave it.

use keepwell_api::Base64;
use keepwell_api::auth::passkey::{self, Answer};
use keepwell_api::auth::{AddPasskey, BeginPasskey, ByOwner, ConsoleCertificate, EventKind, PasskeyAsked, PasskeyBegun, RenamePasskey};
use keepwell_api::grants::Verb;
use sha2::{Digest as _, Sha256};

use super::users::act;
use super::{Authority, Inside, Person};
use crate::account::{Account, Given, Proofs};
use crate::challenges::Act;
use crate::error::AuthError;
use crate::lockout::Origin;
use crate::store::{Change, Happened};
use crate::webauthn::{ClientData, Host, made};
use crate::world::Now;

/// What is signed when a person changes proofs of their own: what it is, and what they get by it.
pub(super) fn own<'a>(what: &'a str, to: &[u8]) -> Act<'a> {
    Act::new(what, Sha256::new().chain_update(what).chain_update([0]).chain_update(to).finalize().into())
}

/// What is signed when a passkey is made.
const ADDING: Act<'static> = Act { word: "passkey-added", arguments: [0; 32], max_bytes: None };

/// Hosts for which somebody has one.
pub(super) fn hosts(accounts: &[Account]) -> Vec<String> {
    let active = accounts.iter().filter(|account| account.is_active());
    let hosts: std::collections::BTreeSet<String> = active.flat_map(|account| account.passkeys()).map(|one| one.host).collect();
    hosts.into_iter().collect()
}

impl Authority {
    /// Begins to add one: password and second factor first, as for every proof.
    pub fn begin_passkey(&self, request: &BeginPasskey, origin: Origin) -> Result<PasskeyBegun, AuthError> {
        let host = Host::parse(&request.host).ok_or(AuthError::NoHost)?;
        let person = self.lock().person(&request.session, None, self.world.now())?;
        let proofs = (&request.password, &*request.code);
        let asks = own("passkey-asked", request.host.as_bytes());
        let (user_handle, exclude) = self.change(&request.session, &person, proofs, origin, &asks, |account, _| {
            let proofs = account.proofs.as_mut().ok_or(AuthError::NoSession)?;
            Ok::<_, AuthError>((proofs.passkeys.handle(&*self.world)?, proofs.passkeys.ids(&host)))
        })??;
        let (mut inside, now) = (self.lock(), self.world.now());
        let rp_id = host.rp_id().to_owned();
        let challenge = passkey::encode(&inside.challenges.ask(&request.session, &ADDING, host, now)?);
        let user = person.account.name.into();
        Ok(PasskeyBegun { challenge, rp_id, user_handle: passkey::encode(user_handle.as_ref()), user, exclude })
    }

    /// Adds what the browser made.
    pub fn add_passkey(&self, request: &AddPasskey) -> Result<(), AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let Person { account, .. } = inside.person(&request.session, None, now)?;
        let client = passkey::decode(&request.client_data).ok_or(AuthError::BadPasskey(NOT_READ))?;
        let said = passkey::decode(&request.authenticator_data).ok_or(AuthError::BadPasskey(NOT_READ))?;
        let client = ClientData::read(&client).map_err(|_| AuthError::BadPasskey(NOT_READ))?;
        let read =
            inside.challenges.made(&request.session, &ADDING, &client, now).and_then(|host| Ok((made(&client, &said, &host)?, host)));
        let (new, host) = match read {
            Ok(read) => read,
            Err(flaw) => {
                let event = Happened::new(now.wall, EventKind::Refusal, "wrong-passkey", account.name.as_str());
                // Counted as a wrong code is: who rides a session fills no log with these.
                let over = if inside.sessions.wrong_code(&request.session) { "session-ended" } else { "session-goes-on" };
                inside.tell(event.with("passkey", flaw.as_str()).with("session", over))?;
                return Err(AuthError::BadPasskey("it was not made here and now, or does not ask who you are. Begin again"));
            }
        };
        let event = |account: &Account| {
            Happened::new(now.wall, EventKind::UserChanged, "passkey-added", account.name.as_str())
                .with("passkey", &request.name)
                .with("host", host.rp_id())
        };
        let (account, event) = changed(account, |proofs| proofs.passkeys.add(&request.name, new, &host, now.wall), event)?;
        inside.put(&account, event)
    }

    /// Calls one of one's own otherwise. Takes no second factor, so it is told as what can be tried without end is.
    pub fn rename_passkey(&self, id: &str, request: &RenamePasskey) -> Result<(), AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let Person { account, .. } = inside.person(&request.session, None, now)?;
        let event = |account: &Account| {
            Happened::new(now.wall, EventKind::UserChanged, "passkey-renamed", account.name.as_str()).with("passkey", &request.name)
        };
        if account.passkeys().iter().any(|one| one.id == id && one.name == request.name) {
            return Ok(());
        }
        let (account, event) = changed(account, |proofs| proofs.passkeys.rename(id, &request.name), event)?;
        let events = inside.tally.over(now).into_iter().chain(inside.tally.take(now, None, event)).collect();
        Ok(inside.store.commit(&Change { put: vec![&account], events, ..Change::default() })?)
    }

    /// Removes one: of one's own, or an owner somebody else's. Takes a second factor that was shown for that.
    pub fn remove_passkey(&self, name: &str, id: &str, request: &ByOwner) -> Result<(), AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let by = inside.person(&request.session, None, now)?;
        let whose = crate::account::Name::parse(name)?.key();
        // Who may remove only their own is told of no other user.
        let verb = (by.key != whose).then_some(Verb::UsersManage);
        let by = inside.person(&request.session, verb, now)?;
        let arguments = act("passkey", &format!("{whose}\0{id}"), request);
        inside.prove_again(&request.session, &by, request.code.as_deref(), (Verb::UsersManage, arguments, None), now)?;
        let mut account = inside.store.account(&whose)?.ok_or(AuthError::UnknownUser)?;
        let removed = account.proofs.as_mut().ok_or(AuthError::UnknownPasskey)?.passkeys.remove(id)?;
        let event = Happened::new(now.wall, EventKind::UserChanged, "passkey-removed", by.account.name.as_str());
        let event = event.with("user", account.name.as_str()).with("passkey", removed);
        inside.put(&account, event)
    }

    /// An owner has the console show another certificate: it is recorded before the console does it.
    pub fn console_certificate(&self, request: &ConsoleCertificate) -> Result<(), AuthError> {
        let digits = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if request.fingerprint.as_ref().is_some_and(|fingerprint| !digits(fingerprint)) {
            return Err(AuthError::Malformed("fingerprint: 64 hexadecimal digits are expected"));
        }
        let (mut inside, now) = (self.lock(), self.world.now());
        let owner = inside.owner(&request.session, request.code.as_deref(), act("certificate", "", request), now)?;
        let event = Happened::new(now.wall, EventKind::UserChanged, "console-certificate", owner.account.name.as_str());
        inside.tell(event.with("sha256", request.fingerprint.as_deref().unwrap_or("own")))
    }

    /// What is asked of whoever is at the door.
    pub(super) fn asked_at_door(&self, code: &str) -> Result<AuthError, AuthError> {
        let host = code.strip_prefix(passkey::ASK).and_then(Host::parse).ok_or(AuthError::NoHost)?;
        let challenge = self.lock().challenges.ask_at_door(&host, self.world.now())?;
        let (challenge, rp_id) = (passkey::encode(&challenge), host.rp_id().to_owned());
        Ok(AuthError::PasskeyAsked(Box::new(PasskeyAsked { challenge, rp_id, allow: Vec::new(), act: "sign-in".into() })))
    }
}

const NOT_READ: &str = "what the browser sent can't be read. Begin again";

impl Inside {
    /// What a code at the door is.
    pub(super) fn given_at_door<'a>(&self, code: &'a str, now: Now) -> Given<'a> {
        if Answer::is_meant(code) { Given::Passkey(self.challenges.answered_at_door(code, now)) } else { Given::Code(code) }
    }

    /// What a code is that comes with an act. One that asks for a challenge for it gets that, as an error.
    pub(super) fn given<'a>(
        &mut self,
        session: &Base64,
        act: &Act<'_>,
        code: &'a str,
        account: &Account,
        now: Now,
    ) -> Result<Given<'a>, AuthError> {
        if let Some(host) = code.strip_prefix(passkey::ASK) {
            return Err(self.asked(session, act, host, account, now)?);
        }
        let answered = Answer::is_meant(code).then(|| self.challenges.answered(session, act, code, now));
        Ok(answered.map_or(Given::Code(code), Given::Passkey))
    }

    /// The same for what is one's own.
    pub(super) fn own_asked(
        &mut self,
        session: &Base64,
        person: &Person,
        what: &Act<'_>,
        code: &str,
        now: Now,
    ) -> Result<AuthError, AuthError> {
        let host = code.strip_prefix(passkey::ASK).unwrap_or_default();
        self.asked(session, what, host, &person.account, now)
    }

    fn asked(&mut self, session: &Base64, act: &Act<'_>, host: &str, account: &Account, now: Now) -> Result<AuthError, AuthError> {
        let host = Host::parse(host).ok_or(AuthError::NoHost)?;
        let allow = account.proofs.as_ref().map_or_else(Vec::new, |proofs| proofs.passkeys.ids(&host));
        if allow.is_empty() {
            return Err(AuthError::NoPasskey);
        }
        let rp_id = host.rp_id().to_owned();
        let challenge = passkey::encode(&self.challenges.ask(session, act, host, now)?);
        Ok(AuthError::PasskeyAsked(Box::new(PasskeyAsked { challenge, rp_id, allow, act: act.word.to_owned() })))
    }
}

/// The account with other passkeys, and what tells of it.
fn changed(
    mut account: Account,
    change: impl FnOnce(&mut Proofs) -> Result<(), AuthError>,
    event: impl FnOnce(&Account) -> Happened,
) -> Result<(Account, Happened), AuthError> {
    change(account.proofs.as_mut().ok_or(AuthError::NoSession)?)?;
    let event = event(&account);
    Ok((account, event))
}
