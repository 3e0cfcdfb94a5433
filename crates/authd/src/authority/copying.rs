//! The users as a copy for the box's state in the vault, and back on a new box.

use keepwell_api::auth::{EventKind, Status};
use keepwell_api::grants::Role;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::tokens::TOKENS_MAX;
use super::{Authority, Inside, USERS_MAX};
use crate::account::{Account, Name};
use crate::error::AuthError;
use crate::store::{Change, Happened};
use crate::token::StoredToken;
use crate::world::Now;

/// Since users have passkeys.
const VERSION: u32 = 3;
/// Before there were tokens.
const FIRST: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Copied {
    version: u32,
    accounts: Vec<Account>,
    #[serde(default)]
    tokens: Vec<StoredToken>,
}

impl Authority {
    /// All users with their proofs, for vaultd, which seals it.
    pub fn export(&self) -> Result<Zeroizing<Vec<u8>>, AuthError> {
        let (accounts, tokens) = {
            let inside = self.lock();
            (inside.store.accounts()?, inside.store.tokens()?)
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096 * (accounts.len() + tokens.len() + 1)));
        serde_json::to_writer(&mut *bytes, &Copied { version: VERSION, accounts, tokens })
            .map_err(|error| AuthError::BadCopy(Some(error)))?;
        Ok(bytes)
    }

    /// Adds the users and tokens of a copy. Whoever is here already stays as they are.
    pub fn import(&self, bytes: &[u8]) -> Result<Status, AuthError> {
        // What does not fit is not told: it could be a secret.
        let copied: Copied = serde_json::from_slice(bytes).map_err(|_| AuthError::BadCopy(None))?;
        let keys: std::collections::BTreeSet<String> = copied.accounts.iter().map(|account| account.name.key()).collect();
        let sound = (FIRST..=VERSION).contains(&copied.version)
            && keys.len() == copied.accounts.len()
            && copied.accounts.iter().all(Account::is_plausible)
            && copied.tokens.iter().all(StoredToken::is_plausible);
        if !sound {
            return Err(AuthError::BadCopy(None));
        }
        let (mut inside, now) = (self.lock(), self.world.now());
        let here: Vec<String> = inside.store.accounts()?.iter().map(|account| account.name.key()).collect();
        let put: Vec<&Account> = copied.accounts.iter().filter(|account| !here.contains(&account.name.key())).collect();
        if here.len() + put.len() > USERS_MAX {
            return Err(AuthError::TooManyUsers(USERS_MAX));
        }
        let tokens_here: Vec<String> = inside.store.tokens()?.into_iter().map(|stored| stored.token.id).collect();
        let mut new_tokens: Vec<StoredToken> = copied.tokens;
        new_tokens.retain(|stored| !tokens_here.contains(&stored.token.id));
        inside.void_what_is_over(&mut new_tokens, &copied.accounts, now)?;
        let put_tokens: Vec<&StoredToken> = new_tokens.iter().collect();
        if tokens_here.len() + put_tokens.len() > TOKENS_MAX {
            return Err(AuthError::BadToken("there would be more of them than there can be"));
        }
        let event = Happened::new(now.wall, EventKind::StateRestored, "users-restored", "vaultd").with("users", put.len());
        inside.store.commit(&Change { put, put_tokens, events: vec![event.with("tokens", new_tokens.len())], ..Change::default() })?;
        inside.claim_code.void();
        drop(inside);
        self.status()
    }
}

impl Inside {
    /// A copy may be older than what was decided here. On a box that has an owner already, a token that is not here was revoked or ran out; and none outlives that its maker is an
    /// owner.
    fn void_what_is_over(&self, tokens: &mut [StoredToken], copied: &[Account], now: Now) -> Result<(), AuthError> {
        let here = self.store.accounts()?;
        let has_owner = here.iter().any(Account::is_proven_owner);
        let is_owner = |name: &str| {
            let key = Name::parse(name).map(|name| name.key()).unwrap_or_default();
            let account = here.iter().chain(copied).find(|account| account.name.key() == key);
            account.is_some_and(|account| account.role == Role::Owner && account.is_active())
        };
        for stored in tokens.iter_mut().filter(|stored| has_owner || !is_owner(&stored.token.made_by)) {
            stored.token.revoked_at.get_or_insert(now.wall);
        }
        Ok(())
    }
}
