//! Why a request was not carried out, in words for the person who made it. Never carries a secret, and never tells whether a user exists to who is not signed in.

use axum::http::StatusCode;
use keepwell_api::Refusal;
use keepwell_api::auth::PasskeyAsked;
use keepwell_api::grants::{Role, Verb};

use crate::store::StoreError;
use crate::world::NoRandomness;

/// Every failure of authd.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Name, password or code: which one is not told.
    #[error(
        "nobody was signed in: name, password or code is wrong, the code was used already, or there were five wrong attempts from this computer; then wait 15 minutes, and longer each time"
    )]
    SignInRefused,
    /// What somebody who is signed in shows of themselves is wrong.
    #[error("password or code is wrong, or the code was used already; nothing was changed. After five wrong ones the session is over")]
    WrongProof,
    /// One computer tried too often.
    #[error("too many wrong attempts came from this computer: try again in {0} minutes, or from another one; nobody was signed in")]
    SignInWait(u64),
    /// A wrong sealed code.
    #[error("the sealed code is wrong, was used, or there is none; nothing was opened")]
    WrongBreakGlass,
    /// Too many wrong ones.
    #[error("too many wrong sealed codes: try again in {0} minutes; nothing was opened")]
    BreakGlassWait(u64),
    /// No new authenticator waits for its first code.
    #[error("there is no new authenticator that waits for its code: begin again. The one from before still counts")]
    NoPending,
    /// The session does not hold.
    #[error("the session is over: sign in again; nothing was done")]
    NoSession,
    /// The role does not allow it.
    #[error("the role {role} may not do this ({verb}); nothing was done")]
    NotAllowed {
        /// What they are.
        role: Role,
        /// What they wanted.
        verb: Verb,
    },
    /// Users are no matter of grants.
    #[error("there are no grants for {0}: authd does it itself")]
    NoGrantFor(Verb),
    /// The second factor has to be shown once more.
    #[error("this ({0}) is done only for somebody who has just shown their second factor: give a code; nothing was done")]
    StepUp(Verb),
    /// It was shown, and is wrong.
    #[error("the code is wrong or was used already; nothing was done. After five wrong ones the session is over")]
    WrongCode,
    /// A passkey is asked to sign this first.
    #[error("this is done once your passkey has signed it; nothing was done yet")]
    PasskeyAsked(Box<PasskeyAsked>),
    /// They have none for this host.
    #[error("you have no passkey for this name of the box: give a code; nothing was done")]
    NoPasskey,
    /// Passkeys need a name.
    #[error("passkeys go with a name of the box, and not with an address: give a code; nothing was done")]
    NoHost,
    /// One that can't be added, or not so.
    #[error("the passkey was not taken: {0}")]
    BadPasskey(&'static str),
    /// No such passkey.
    #[error("there is no such passkey")]
    UnknownPasskey,
    /// A token that is none.
    #[error("the token is not known, revoked or expired; nothing was done")]
    NoToken,
    /// No such token.
    #[error("there is no token with this id")]
    UnknownToken,
    /// A token that nobody may have.
    #[error("{0}; no token was made")]
    BadToken(&'static str),
    /// A claim without the code on the screen.
    #[error("the claim code is wrong: it stands on the box's own screen, and is another one after each start; nothing was done")]
    WrongClaimCode,
    /// Too many wrong ones.
    #[error("too many wrong claim codes: try again in {0} minutes, or claim the box at its own screen; nothing was done")]
    ClaimWait(u64),
    /// The first owner was there before.
    #[error("this box has an owner already: an owner adds further users")]
    Claimed,
    /// What is in the vault belongs to somebody.
    #[error(
        "this box has a vault, but none of its people: type two papers of its recovery kit at the box's own screen first; the backups are unharmed"
    )]
    KitFirst,
    /// vaultd has not said yet whether there are keys.
    #[error("the box is still starting, and does not know yet whether it is new: try again in a minute; nothing was done")]
    ClaimsUnheard,
    /// No such user.
    #[error("there is no user of this name")]
    UnknownUser,
    /// There is one.
    #[error("there is a user of this name already; nothing was changed")]
    UserExists,
    /// Too many.
    #[error("the box has as many users as it can have ({0}); nothing was changed")]
    TooManyUsers(usize),
    /// Nobody could manage the box any more.
    #[error("this is the last owner who can sign in: make another one an owner first; nothing was changed")]
    LastOwner,
    /// The set-up code is wrong.
    #[error("name or set-up code is wrong, or the code is no longer good: ask an owner for a new one")]
    SetUpRefused,
    /// What is no name.
    #[error("a user's name has 1 to 64 bytes: letters, digits, blanks and .-_@', no blank at either end, and is not that of a program")]
    BadName,
    /// Too easily guessed.
    #[error("the password has to have 12 to 256 characters")]
    WeakPassword,
    /// A request that makes no sense.
    #[error("{0}")]
    Malformed(&'static str),
    /// A copy of users that is none.
    #[error("this is no copy of the box's users; nothing was changed")]
    BadCopy(#[source] Option<serde_json::Error>),
    /// Too many at a time.
    #[error("too many people sign in at this moment: try again in a few seconds")]
    Busy,
    /// No memory for a password.
    #[error("the password can't be checked: the box lacks memory at this moment; try again")]
    Hashing,
    /// Random numbers.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The users' file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuthError {
    /// A stable word for programs, and what kind of failure it is.
    pub fn code(&self) -> (&'static str, StatusCode) {
        const NO: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
        match self {
            Self::SignInRefused => ("sign-in-refused", StatusCode::UNAUTHORIZED),
            Self::WrongProof => ("wrong-proof", StatusCode::UNAUTHORIZED),
            Self::SignInWait(_) => ("sign-in-wait", StatusCode::TOO_MANY_REQUESTS),
            Self::WrongBreakGlass => ("wrong-break-glass-code", StatusCode::UNAUTHORIZED),
            Self::BreakGlassWait(_) => ("break-glass-wait", StatusCode::TOO_MANY_REQUESTS),
            Self::NoPending => ("no-pending", StatusCode::CONFLICT),
            Self::NoSession => ("no-session", StatusCode::UNAUTHORIZED),
            Self::NotAllowed { .. } => ("not-allowed", StatusCode::FORBIDDEN),
            Self::NoGrantFor(_) => ("no-grant", NO),
            Self::StepUp(_) => ("step-up", StatusCode::UNAUTHORIZED),
            Self::WrongCode => ("wrong-code", StatusCode::UNAUTHORIZED),
            Self::PasskeyAsked(_) => ("passkey-asked", StatusCode::UNAUTHORIZED),
            Self::NoPasskey => ("no-passkey", NO),
            Self::NoHost => ("no-host", NO),
            Self::BadPasskey(_) => ("bad-passkey", NO),
            Self::UnknownPasskey => ("unknown-passkey", StatusCode::NOT_FOUND),
            Self::NoToken => ("no-token", StatusCode::UNAUTHORIZED),
            Self::UnknownToken => ("unknown-token", StatusCode::NOT_FOUND),
            Self::BadToken(_) => ("bad-token", NO),
            Self::WrongClaimCode => ("wrong-claim-code", StatusCode::UNAUTHORIZED),
            Self::ClaimWait(_) => ("claim-wait", StatusCode::TOO_MANY_REQUESTS),
            Self::Claimed => ("claimed", StatusCode::CONFLICT),
            Self::KitFirst => ("kit-first", StatusCode::CONFLICT),
            Self::ClaimsUnheard => ("claims-unheard", StatusCode::SERVICE_UNAVAILABLE),
            Self::UnknownUser => ("unknown-user", StatusCode::NOT_FOUND),
            Self::UserExists => ("user-exists", StatusCode::CONFLICT),
            Self::TooManyUsers(_) => ("too-many-users", StatusCode::CONFLICT),
            Self::LastOwner => ("last-owner", StatusCode::CONFLICT),
            Self::SetUpRefused => ("set-up-refused", StatusCode::UNAUTHORIZED),
            Self::BadName => ("bad-name", NO),
            Self::WeakPassword => ("weak-password", NO),
            Self::Malformed(_) => ("malformed", StatusCode::BAD_REQUEST),
            Self::BadCopy(_) => ("bad-copy", StatusCode::BAD_REQUEST),
            Self::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE),
            Self::Hashing => ("no-memory", StatusCode::SERVICE_UNAVAILABLE),
            Self::NoRandomness(_) => ("no-random-numbers", StatusCode::SERVICE_UNAVAILABLE),
            Self::Store(error) => (error.code(), StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl From<&AuthError> for Refusal {
    fn from(error: &AuthError) -> Self {
        let (code, status) = error.code();
        let mut refusal = Self::new(status, code, error);
        if let AuthError::PasskeyAsked(asked) = error {
            refusal.causes = vec![serde_json::to_string(asked).expect("plain data becomes JSON")];
        }
        refusal
    }
}
