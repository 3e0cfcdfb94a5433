//! Tokens of programs: made by owners, for some verbs of one role, until a day; never for what only a person may do.

use keepwell_api::Base64;
use keepwell_api::auth::{EventKind, MakeToken, Token, TokenMade, Tokens};
use keepwell_api::grants::{Role, Verb, allows, needs_person, takes_scope};

use super::users::act;
use super::{Authority, Inside};
use crate::account::Name;
use crate::error::AuthError;
use crate::store::{Change, Happened};
use crate::token::StoredToken;
use crate::world::Now;

/// Tokens, also those that are over.
pub(super) const TOKENS_MAX: usize = 100;
/// No token is good for longer.
const LIFE_MAX_S: i64 = 400 * 24 * 3600;
/// One that is over is shown for so long.
const KEPT_S: i64 = 30 * 24 * 3600;
/// Longest name, bytes: with `token:` before it, it is the name of a user in grants and in the log.
const NAME_MAX: usize = 48;
/// How exactly its last use is kept.
const LAST_USE_S: i64 = 60;

/// Whether a program may have this token.
pub fn is_for_programs(token: &Token) -> bool {
    check(token).is_ok()
}

fn check(token: &Token) -> Result<(), AuthError> {
    let no = |why| Err(AuthError::BadToken(why));
    if token.role == Role::Owner {
        return no("a program is no owner");
    }
    if token.verbs.is_empty() || token.verbs.len() > Verb::ALL.len() {
        return no("a token is for one verb or several");
    }
    if !token.verbs.iter().all(|verb| allows(token.role, *verb) && !needs_person(*verb)) {
        return no("its role may not do one of these verbs, or only a person may");
    }
    if !token.shares.is_all() && !token.verbs.iter().all(|verb| takes_scope(*verb)) {
        return no("one of these verbs can't be limited to shares");
    }
    if token.name.len() > NAME_MAX || Name::parse(&token.name).is_err() {
        return no("its name has 1 to 48 bytes: letters, digits, blanks and .-_@'");
    }
    Ok(())
}

impl Authority {
    /// Makes one.
    pub fn make_token(&self, request: &MakeToken) -> Result<TokenMade, AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let owner = inside.owner(&request.session, request.code.as_deref(), act("token", "", request), now)?;
        let made_by = owner.account.name.as_str().to_owned();
        let MakeToken { name, role, verbs, shares, expires_at, .. } = request.clone();
        let (id, made_at) = (String::new(), now.wall);
        let token = Token { id, name, role, verbs, shares, made_by, made_at, expires_at, last_used_at: None, revoked_at: None };
        check(&token)?;
        if !(now.wall + 1..=now.wall.saturating_add(LIFE_MAX_S)).contains(&expires_at) {
            return Err(AuthError::BadToken("it ends at most 400 days from now"));
        }
        let all = inside.store.tokens()?;
        if all.iter().any(|other| other.holds(now.wall) && other.token.name.to_lowercase() == token.name.to_lowercase()) {
            return Err(AuthError::BadToken("there is one of this name"));
        }
        let over = |token: &&StoredToken| now.wall.saturating_sub(token.token.revoked_at.unwrap_or(token.token.expires_at)) > KEPT_S;
        let drop_tokens: Vec<String> = all.iter().filter(over).map(|token| token.token.id.clone()).collect();
        if all.len() - drop_tokens.len() >= TOKENS_MAX {
            return Err(AuthError::BadToken("there are as many as there can be; those that are over go after 30 days"));
        }
        let (shown, stored) = StoredToken::new(token, &*self.world)?;
        let verbs = stored.token.verbs.iter().map(|verb| verb.as_str()).collect::<Vec<_>>().join(" ");
        let event = told(now, "token-made", &stored, owner.account.name.as_str()).with("role", role).with("verbs", verbs);
        let event = event.with("shares", stored.token.shares.names().len());
        inside.store.commit(&Change { put_tokens: vec![&stored], drop_tokens, events: vec![event], ..Change::default() })?;
        Ok(TokenMade { id: stored.token.id, token: shown, expires_at })
    }

    /// All of them, without what they are shown as.
    pub fn tokens(&self) -> Result<Tokens, AuthError> {
        let mut tokens: Vec<Token> = self.lock().store.tokens()?.into_iter().map(|stored| stored.token).collect();
        tokens.sort_by_cached_key(|token| (token.name.to_lowercase(), token.made_at));
        Ok(Tokens { tokens })
    }

    /// Whose the token is that a program shows, if it still holds.
    pub fn check_token(&self, shown: &Base64) -> Result<Token, AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        Ok(inside.shown(shown, now)?.token)
    }

    /// Ends one. Again does no harm.
    pub fn revoke_token(&self, id: &str, session: &Base64) -> Result<(), AuthError> {
        let (mut inside, now) = (self.lock(), self.world.now());
        let owner = inside.person(session, Some(Verb::UsersManage), now)?;
        let mut stored = inside.store.tokens()?.into_iter().find(|stored| stored.token.id == id).ok_or(AuthError::UnknownToken)?;
        if stored.token.revoked_at.is_none() {
            stored.token.revoked_at = Some(now.wall);
            let event = told(now, "token-revoked", &stored, owner.account.name.as_str());
            inside.store.commit(&Change { put_tokens: vec![&stored], events: vec![event], ..Change::default() })?;
        }
        Ok(())
    }
}

impl Inside {
    /// The token that is shown, if it is good for this. A refusal is told.
    pub(super) fn program(&mut self, shown: &Base64, verb: Verb, now: Now) -> Result<Token, AuthError> {
        let mut stored = self.shown(shown, now)?;
        let Token { role, .. } = stored.token;
        // A table that is stricter since holds at once.
        if !stored.token.verbs.contains(&verb) || !allows(role, verb) || needs_person(verb) {
            let event = Happened::new(now.wall, EventKind::Refusal, "not-allowed", &actor(&stored.token));
            self.tell_rarely(now, Some(verb), event.with("verb", verb).with("role", role))?;
            return Err(AuthError::NotAllowed { role, verb });
        }
        if stored.token.last_used_at.is_none_or(|last| now.wall < last || now.wall - last >= LAST_USE_S) {
            stored.token.last_used_at = Some(now.wall);
            self.store.commit(&Change { put_tokens: vec![&stored], ..Change::default() })?;
        }
        Ok(stored.token)
    }

    fn shown(&mut self, shown: &Base64, now: Now) -> Result<StoredToken, AuthError> {
        match self.store.token(&StoredToken::hash(shown.as_ref()))?.filter(|stored| stored.holds(now.wall)) {
            Some(stored) => Ok(stored),
            None => {
                self.tell_rarely(now, None, Happened::new(now.wall, EventKind::Refusal, "no-token", ""))?;
                Err(AuthError::NoToken)
            }
        }
    }
}

/// What a program is called in grants and in the log. No user's name has a colon.
pub(super) fn actor(token: &Token) -> String {
    format!("token:{}", token.name)
}

fn told(now: Now, code: &str, stored: &StoredToken, actor: &str) -> Happened {
    Happened::new(now.wall, EventKind::UserChanged, code, actor).with("token", &stored.token.name).with("id", &stored.token.id)
}
