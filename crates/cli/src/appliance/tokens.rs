//! `keepwell tokens`: what programs show that act for nobody in particular. Each is shown once, to who made it.

use keepwell_api::auth::{MakeToken, Revoke, Token, TokenMade, Tokens};
use keepwell_api::grants::Scope;
use serde_json::Value;

use super::args::{AddTokenArgs, TokensCommand};
use super::json;
use super::place::Place;
use super::session::{current, proving};
use crate::exit::{CliError, Exit};
use crate::output::Answer;
use crate::{opening, text};

const DAY_S: i64 = 24 * 3600;

/// Runs it.
pub(crate) fn run(command: &TokensCommand, place: &Place, answer: &mut Answer) -> Result<Exit, CliError> {
    match command {
        TokensCommand::List => {
            let all: Tokens = place.authd().get("/v1/tokens")?;
            answer.list("tokens", &all.tokens, line, json);
        }
        TokensCommand::Add(args) => add(args, place, answer)?,
        TokensCommand::Revoke { id } => {
            if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(CliError::Usage("a token's id has hexadecimal digits: 'keepwell tokens list' shows it".into()));
            }
            let _: Value = place.authd().post(&format!("/v1/tokens/{id}/revoke"), &Revoke { session: current(place)? })?;
            answer.line("The token is void.");
        }
    }
    Ok(Exit::Complete)
}

fn add(args: &AddTokenArgs, place: &Place, answer: &mut Answer) -> Result<(), CliError> {
    let AddTokenArgs { name, role, verbs, shares, days } = args.clone();
    let shares = Scope::new(shares).map_err(|error| CliError::Usage(error.to_string()))?;
    let expires_at = opening::now().seconds.saturating_add(days.saturating_mul(DAY_S));
    let mut request = MakeToken { session: current(place)?, name, role, verbs, shares, expires_at, code: None };
    let made: TokenMade = proving(place, |code| {
        request.code = code;
        place.authd().post("/v1/tokens", &request)
    })?;
    let token = String::from_utf8_lossy(made.token.as_ref());
    answer.field("id", made.id);
    answer.field("token", &*token);
    answer.field("expires_at", made.expires_at);
    answer.line(format_args!("Give this to the program; it is not shown again, and good until {} UTC:", text::time(made.expires_at)));
    answer.line(format_args!("  {}", text::shown(token.as_bytes())));
    Ok(())
}

fn line(token: &Token) -> String {
    let verbs: Vec<_> = token.verbs.iter().map(|verb| verb.as_str()).collect();
    let ends = match token.revoked_at {
        Some(at) => format!("revoked {} UTC", text::time(at)),
        None => format!("good until {} UTC", text::time(token.expires_at)),
    };
    let name = text::shown(token.name.as_bytes());
    format!("{}  {name}  {}: {}; {ends}", text::shown(token.id.as_bytes()), token.role, verbs.join(" "))
}
