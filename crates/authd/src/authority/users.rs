//! Users: the first owner, and what owners do with the others.

use keepwell_api::Base64;
use keepwell_api::auth::{AddUser, ChangeRole, Claim, Enrol, Enrolled, EventKind, SetUp, Users};
use keepwell_api::grants::{Role, Verb};

use super::{Authority, Inside, Person, USERS_MAX};
use crate::account::{Account, Name, Proofs};
use crate::error::AuthError;
use crate::proof::{Authenticator, Password};
use crate::setup_code::SetUpCode;
use crate::store::{Change, Happened};
use crate::world::Now;

impl Authority {
    /// Makes the first owner; again while that one has not signed in yet.
    pub fn claim(&self, request: &Claim) -> Result<Enrolled, AuthError> {
        let name = Name::parse(&request.user)?;
        self.lock().unclaimed()?;
        let proofs = self.proofs(&request.password)?;
        let otpauth = shown(&proofs, &name)?;
        let (mut inside, now) = (self.lock(), self.world.now());
        let drop = inside.unclaimed()?;
        let owner = Account { proofs: Some(proofs), ..Account::new(name, Role::Owner, now.wall) };
        let event = changed(now, "claimed", "admin", &owner);
        inside.store.commit(&Change { drop, put: vec![&owner], events: vec![event] })?;
        Ok(Enrolled { otpauth })
    }

    /// All users.
    pub fn users(&self) -> Result<Users, AuthError> {
        let now = self.world.now();
        let accounts = self.lock().store.accounts()?;
        Ok(Users { users: accounts.iter().map(|account| account.view(now.wall)).collect() })
    }

    /// Adds a user, who gets a set-up code from the owner.
    pub fn add_user(&self, request: &AddUser) -> Result<SetUp, AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let owner = inside.person(&request.session, Some(Verb::UsersManage), now)?;
        let name = Name::parse(&request.name)?;
        let accounts = inside.store.accounts()?;
        if accounts.len() >= USERS_MAX {
            return Err(AuthError::TooManyUsers(USERS_MAX));
        }
        if accounts.iter().any(|account| account.name.key() == name.key()) {
            return Err(AuthError::UserExists);
        }
        let (code, set_up) = SetUpCode::new(now.wall, &*self.world)?;
        let expires_at = set_up.expires_at();
        let account = Account { set_up: Some(set_up), ..Account::new(name, request.role, now.wall) };
        inside.put(&account, changed(now, "added", owner.account.name.as_str(), &account))?;
        Ok(SetUp { code, expires_at })
    }

    /// A user takes the account over with the set-up code: chooses a password and gets the secret for an authenticator.
    pub fn enrol(&self, name: &str, request: &Enrol) -> Result<Enrolled, AuthError> {
        let key = Name::parse(name).map(|name| name.key()).unwrap_or_default();
        self.lock().who_enrols(&key, request, self.world.now())?;
        let proofs = self.proofs(&request.password)?;
        let (mut inside, now) = (self.lock(), self.world.now());
        let mut account = inside.who_enrols(&key, request, now)?;
        let otpauth = shown(&proofs, &account.name)?;
        (account.proofs, account.set_up) = (Some(proofs), None);
        let event = changed(now, "enrolled", account.name.as_str(), &account);
        inside.put(&account, event)?;
        Ok(Enrolled { otpauth })
    }

    /// Lets a user sign in no more, and ends their sessions.
    pub fn disable(&self, name: &str, session: &Base64) -> Result<(), AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let (owner, mut account) = inside.other(name, session, now)?;
        inside.keep_an_owner(&account)?;
        (account.disabled, account.set_up) = (true, None);
        inside.put(&account, changed(now, "disabled", owner.account.name.as_str(), &account))?;
        inside.sessions.end_all_of(&account.name.key(), None);
        Ok(())
    }

    /// Takes both proofs from a user, who has to enrol again: a lost telephone, a forgotten password, somebody disabled who is back.
    pub fn reset(&self, name: &str, session: &Base64) -> Result<SetUp, AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let (owner, account) = inside.other(name, session, now)?;
        inside.keep_an_owner(&account)?;
        let (code, set_up) = SetUpCode::new(now.wall, &*self.world)?;
        let expires_at = set_up.expires_at();
        let Account { name, role, added_at, signed_in_at, .. } = account;
        let account = Account { added_at, signed_in_at, set_up: Some(set_up), ..Account::new(name, role, now.wall) };
        inside.put(&account, changed(now, "reset", owner.account.name.as_str(), &account))?;
        inside.sessions.end_all_of(&account.name.key(), None);
        Ok(SetUp { code, expires_at })
    }

    /// Gives a user another role, from the next request on.
    pub fn change_role(&self, name: &str, request: &ChangeRole) -> Result<(), AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let (owner, mut account) = inside.other(name, &request.session, now)?;
        if request.role != Role::Owner {
            inside.keep_an_owner(&account)?;
        }
        let before = std::mem::replace(&mut account.role, request.role);
        let event = changed(now, "role-changed", owner.account.name.as_str(), &account);
        inside.put(&account, event.with("role-before", before))
    }

    fn proofs(&self, password: &Base64) -> Result<Proofs, AuthError> {
        let password = self.work(|| Password::new(password, self.effort, &*self.world))?;
        Ok(Proofs { password, authenticator: Authenticator::new(&*self.world)? })
    }
}

impl Inside {
    /// The keys of who may be replaced by the first owner; refused if the box has one who has signed in, or who was restored.
    fn unclaimed(&self) -> Result<Vec<String>, AuthError> {
        let accounts = self.store.accounts()?;
        let replaceable = match &accounts[..] {
            [] => true,
            [only] => only.role == Role::Owner && only.signed_in_at.is_none(),
            _ => false,
        };
        if !replaceable {
            return Err(AuthError::Claimed);
        }
        Ok(accounts.iter().map(|account| account.name.key()).collect())
    }

    /// The owner who asks, and the user that it is about.
    fn other(&mut self, name: &str, session: &Base64, now: Now) -> Result<(Person, Account), AuthError> {
        let owner = self.person(session, Some(Verb::UsersManage), now)?;
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

    fn put(&mut self, account: &Account, event: Happened) -> Result<(), AuthError> {
        Ok(self.store.commit(&Change { put: vec![account], events: vec![event], ..Change::default() })?)
    }
}

fn changed(now: Now, code: &str, actor: &str, account: &Account) -> Happened {
    Happened::new(now.wall, EventKind::UserChanged, code, actor).with("user", account.name.as_str()).with("role", account.role)
}

fn shown(proofs: &Proofs, name: &Name) -> Result<Base64, AuthError> {
    proofs.authenticator.otpauth(name.as_str()).ok_or(AuthError::BadName)
}
