//! Users: what owners do with the others, and how these take their accounts over.

use keepwell_api::Base64;
use keepwell_api::auth::{AddUser, ByOwner, ChangeRole, ChangeShares, Enrol, Enrolled, EventKind, SetUp, Users};
use keepwell_api::grants::{Role, Scope, Verb, digest};
use serde::Serialize;

use super::factors::door;
use super::{Authority, Inside, Person, USERS_MAX};
use crate::account::{Account, Door, Name, Proofs};
use crate::error::AuthError;
use crate::lockout::Origin;
use crate::passkey::Passkeys;
use crate::proof::{Authenticator, Password};
use crate::recovery::RecoveryCodes;
use crate::setup_code::SetUpCode;
use crate::store::{Change, Happened};
use crate::world::Now;

impl Authority {
    /// All users.
    pub fn users(&self) -> Result<Users, AuthError> {
        let now = self.world.now();
        let accounts = self.lock().store.accounts()?;
        Ok(Users { users: accounts.iter().map(|account| account.view(now.wall)).collect() })
    }

    /// Adds a user, who gets a set-up code from the owner.
    pub fn add_user(&self, request: &AddUser) -> Result<SetUp, AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let owner = inside.owner(&request.session, request.code.as_deref(), act("add", "", request), now)?;
        let name = Name::parse(&request.name)?;
        only_who_restores(request.role, &request.shares)?;
        let accounts = inside.store.accounts()?;
        if accounts.len() >= USERS_MAX {
            return Err(AuthError::TooManyUsers(USERS_MAX));
        }
        if accounts.iter().any(|account| account.name.key() == name.key()) {
            return Err(AuthError::UserExists);
        }
        let (code, set_up) = SetUpCode::new(now.wall, &*self.world)?;
        let expires_at = set_up.expires_at();
        let shares = request.shares.clone();
        let account = Account { set_up: Some(set_up), shares, ..Account::new(name, request.role, now.wall) };
        inside.put(&account, changed(now, "added", owner.account.name.as_str(), &account))?;
        Ok(SetUp { code, expires_at })
    }

    /// A user takes the account over with the set-up code: chooses a password and gets the secret for an authenticator.
    pub fn enrol(&self, name: &str, request: &Enrol) -> Result<Enrolled, AuthError> {
        let key = Name::parse(name).map(|name| name.key()).unwrap_or_default();
        self.lock().who_enrols(&key, request, self.world.now())?;
        let (proofs, recovery_codes) = self.proofs(&door(Origin::Console), &request.password)?;
        let (mut inside, now) = (self.lock(), self.world.now());
        let mut account = inside.who_enrols(&key, request, now)?;
        let otpauth = shown(&proofs.authenticator, &account.name)?;
        (account.proofs, account.set_up) = (Some(proofs), None);
        let event = changed(now, "enrolled", account.name.as_str(), &account);
        inside.put(&account, event)?;
        Ok(Enrolled { otpauth, recovery_codes })
    }

    /// Lets a user sign in no more, and ends their sessions and the tokens that they made.
    pub fn disable(&self, name: &str, request: &ByOwner) -> Result<(), AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let (owner, mut account) = inside.other(name, &request.session, request.code.as_deref(), act("disable", name, request), now)?;
        inside.keep_an_owner(&account)?;
        (account.disabled, account.set_up) = (true, None);
        inside.put_and_end_tokens(&account, changed(now, "disabled", owner.account.name.as_str(), &account), now)?;
        inside.sessions.end_all_of(&account.name.key(), None);
        Ok(())
    }

    /// Takes both proofs from a user, who has to enrol again: a lost telephone, a forgotten password, somebody disabled who is back.
    pub fn reset(&self, name: &str, request: &ByOwner) -> Result<SetUp, AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let (owner, account) = inside.other(name, &request.session, request.code.as_deref(), act("reset", name, request), now)?;
        inside.keep_an_owner(&account)?;
        let (code, set_up) = SetUpCode::new(now.wall, &*self.world)?;
        let expires_at = set_up.expires_at();
        let Account { name, role, added_at, signed_in_at, shares, .. } = account;
        let account = Account { added_at, signed_in_at, shares, set_up: Some(set_up), ..Account::new(name, role, now.wall) };
        inside.put_and_end_tokens(&account, changed(now, "reset", owner.account.name.as_str(), &account), now)?;
        inside.sessions.end_all_of(&account.name.key(), None);
        Ok(SetUp { code, expires_at })
    }

    /// Gives a user another role, from the next request on.
    pub fn change_role(&self, name: &str, request: &ChangeRole) -> Result<(), AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let (owner, mut account) = inside.other(name, &request.session, request.code.as_deref(), act("role", name, request), now)?;
        if request.role != Role::Owner {
            inside.keep_an_owner(&account)?;
        }
        let before = std::mem::replace(&mut account.role, request.role);
        let event = changed(now, "role-changed", owner.account.name.as_str(), &account);
        let event = event.with("role-before", before);
        if request.role == Role::Owner { inside.put(&account, event) } else { inside.put_and_end_tokens(&account, event, now) }
    }

    /// Says from which shares somebody may read who restores only, from the next request on.
    pub fn change_shares(&self, name: &str, request: &ChangeShares) -> Result<(), AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let (owner, mut account) = inside.other(name, &request.session, request.code.as_deref(), act("shares", name, request), now)?;
        only_who_restores(account.role, &request.shares)?;
        account.shares = request.shares.clone();
        let event = changed(now, "shares-changed", owner.account.name.as_str(), &account).with("shares", account.shares.names().len());
        inside.put(&account, event)
    }

    /// Ends what wrong attempts led to: for the box's own screen, where the person stands.
    pub fn unlock(&self, name: &str) -> Result<(), AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let mut account = inside.store.account(&Name::parse(name)?.key())?.ok_or(AuthError::UnknownUser)?;
        account.unlock();
        inside.put(&account, changed(now, "unlocked", "admin", &account))
    }

    /// All that proves somebody, new, and the recovery codes as they are shown.
    pub(super) fn proofs(&self, door: &Door, password: &Base64) -> Result<(Proofs, Vec<Base64>), AuthError> {
        let password = self.work(door, || Password::new(password, self.effort, &*self.world))?;
        let (shown, recovery) = RecoveryCodes::new(&*self.world)?;
        let authenticator = Authenticator::new(&*self.world)?;
        Ok((Proofs { password, authenticator, recovery, passkeys: Passkeys::default() }, shown))
    }
}

impl Inside {
    /// The owner who asks, and has just shown the second factor.
    pub(super) fn owner(&mut self, session: &Base64, code: Option<&str>, act: [u8; 32], now: Now) -> Result<Person, AuthError> {
        let owner = self.person(session, Some(Verb::UsersManage), now)?;
        self.prove_again(session, &owner, code, (Verb::UsersManage, act, None), now)?;
        Ok(owner)
    }

    /// The owner who asks, and the user that it is about, who may be the same.
    pub(super) fn other(
        &mut self,
        name: &str,
        session: &Base64,
        code: Option<&str>,
        act: [u8; 32],
        now: Now,
    ) -> Result<(Person, Account), AuthError> {
        let owner = self.owner(session, code, act, now)?;
        let account = self.store.account(&Name::parse(name)?.key())?.ok_or(AuthError::UnknownUser)?;
        Ok((owner, account))
    }

    fn keep_an_owner(&self, account: &Account) -> Result<(), AuthError> {
        let matters = account.role == Role::Owner && account.is_active();
        if matters && !self.has_another_owner(&account.name.key())? { Err(AuthError::LastOwner) } else { Ok(()) }
    }

    fn who_enrols(&mut self, key: &str, request: &Enrol, now: Now) -> Result<Account, AuthError> {
        let account = self.store.account(key)?;
        let fits = |account: &Account| account.set_up.as_ref().is_some_and(|code| code.fits(&request.code, now.wall)) && !account.disabled;
        match account.filter(fits) {
            Some(account) => Ok(account),
            None => {
                self.tell_rarely(now, None, Happened::new(now.wall, EventKind::Refusal, "wrong-set-up-code", ""))?;
                Err(AuthError::SetUpRefused)
            }
        }
    }

    pub(super) fn put(&mut self, account: &Account, event: Happened) -> Result<(), AuthError> {
        Ok(self.store.commit(&Change { put: vec![account], events: vec![event], ..Change::default() })?)
    }

    /// What an owner made who is one no more goes with them.
    fn put_and_end_tokens(&mut self, account: &Account, event: Happened, now: Now) -> Result<(), AuthError> {
        let mut tokens = self.store.tokens()?;
        tokens.retain(|token| token.holds(now.wall) && Name::parse(&token.token.made_by).is_ok_and(|by| by.key() == account.name.key()));
        tokens.iter_mut().for_each(|token| token.token.revoked_at = Some(now.wall));
        let event = event.with("tokens-revoked", tokens.len());
        let put_tokens = tokens.iter().collect();
        Ok(self.store.commit(&Change { put: vec![account], put_tokens, events: vec![event], ..Change::default() })?)
    }
}

/// What a passkey signs of a request: all of it but who asks and with what proof. In memory of this program alone, so the order of its fields is the same.
pub(super) fn act(what: &str, name: &str, request: &impl Serialize) -> [u8; 32] {
    let mut request = serde_json::to_value(request).expect("requests are plain data");
    if let Some(fields) = request.as_object_mut() {
        fields.retain(|field, _| field != "session" && field != "code");
    }
    digest(format!("{what}\0{name}\0{request}").as_bytes())
}

pub(super) fn changed(now: Now, code: &str, actor: &str, account: &Account) -> Happened {
    Happened::new(now.wall, EventKind::UserChanged, code, actor).with("user", account.name.as_str()).with("role", account.role)
}

pub(super) fn shown(authenticator: &Authenticator, name: &Name) -> Result<Base64, AuthError> {
    authenticator.otpauth(name.as_str()).ok_or(AuthError::BadName)
}

fn only_who_restores(role: Role, shares: &Scope) -> Result<(), AuthError> {
    if role == Role::RestoreOnly || shares.is_all() {
        Ok(())
    } else {
        Err(AuthError::Malformed("shares: only somebody with the role restore-only can be limited to some"))
    }
}
