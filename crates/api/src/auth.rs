//! What authd is asked and what it answers. Shapes only: who somebody is and what they may do, authd decides.
//!
//! Passwords, sessions and the secrets of a second factor are base64 and wiped; hexadecimal digits are lower case; times are Unix seconds.

mod break_glass;
mod factor;
pub mod passkey;
mod tokens;

use std::collections::BTreeMap;

pub use break_glass::{AskBreakGlass, BREAK_GLASS, BreakGlassCode};
pub use factor::{ChangeFactor, ChangePassword, ConfirmFactor, RecoveryCodes};
pub use passkey::{AddPasskey, BeginPasskey, ConsoleCertificate, Passkey, PasskeyAsked, PasskeyBegun, RenamePasskey};
use serde::{Deserialize, Serialize};
pub use tokens::{CheckToken, MakeToken, Revoke, Token, TokenMade, Tokens};

use crate::Base64;
use crate::grants::{Role, Scope, Verb};

/// Where authd listens.
pub const SOCKET: &str = "/run/keepwell/authd.sock";

/// `GET /v1/status` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// This start of authd, which its grants are bound to: 32 hexadecimal digits.
    pub boot: String,
    /// The key of its grants, of this start too: Ed25519, 64 hexadecimal digits.
    pub public_key: String,
    /// Users, disabled ones too.
    pub users: u32,
    /// Whether the box has an owner who has signed in. Until then the first owner may be claimed.
    pub claimed: bool,
    /// Whether a first owner would be taken now, with the code where one is needed.
    #[serde(default)]
    pub claimable: bool,
    /// Whether there is a sealed code that was not used ([`AskBreakGlass`]).
    #[serde(default)]
    pub break_glass: bool,
    /// Hosts for which somebody has a passkey.
    #[serde(default)]
    pub passkey_hosts: Vec<String>,
}

/// `GET /v1/key` answers: what vaultd checks grants with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantKey {
    /// As in [`Status`].
    pub boot: String,
    /// As in [`Status`].
    pub public_key: String,
}

/// `POST /v1/claim`: makes the first owner. Again until that owner has signed in once, so that a lost second factor does not lose the box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Name: 1 to 64 bytes of letters, digits, blanks and `.-_@'`.
    pub user: String,
    /// Password, UTF-8: 12 to 256 characters.
    pub password: Base64,
    /// The claim code from the box's own screen. A console has to give one; the box's own screen and command line need none. One that is given is looked at,
    /// whoever gives it: a console always gives what was typed, be it empty.
    #[serde(default)]
    pub code: Option<Base64>,
}

/// `POST /v1/claims`: vaultd tells whether a box without an owner may get one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MayClaim {
    /// The box has no keys, or two papers of its kit opened them in this start.
    pub open: bool,
}

/// `GET /v1/claim-code` answers, while the box has no owner who has signed in: for the box's own screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimCode {
    /// Four groups of five letters and digits, the same until a claim or a restart of authd.
    pub code: Base64,
}

/// What a claim, an enrolment and a new authenticator answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// For the person's authenticator, as QR code or text: `otpauth://totp/...`. Shown once.
    pub otpauth: Base64,
    /// What stands in for the authenticator when it is lost: ten texts, each good once. Shown once.
    pub recovery_codes: Vec<Base64>,
}

/// `POST /v1/sign-in`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Name.
    pub user: String,
    /// Password.
    pub password: Base64,
    /// What the authenticator shows, six digits; or a recovery code; or what [`passkey`] says.
    pub code: String,
    /// The address that it comes from, as a console sees it: wrong attempts count by address, so that one computer keeps nobody else out. None at the box itself.
    #[serde(default)]
    pub from: Option<String>,
}

/// A person who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// 32 random bytes that stand for the person. authd keeps their hash only.
    pub session: Base64,
    /// When it ends, whatever happens.
    pub expires_at: i64,
    /// After so many seconds without a request it ends too.
    pub idle_s: u32,
    /// Their role.
    pub role: Role,
}

/// `POST /v1/sign-out`, `POST /v1/sessions/check`, `POST /v1/sessions/touch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InSession {
    /// Of who asks.
    pub session: Base64,
}

/// `POST /v1/users/{name}/disable`, `.../reset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByOwner {
    /// Of an owner.
    pub session: Base64,
    /// As in [`AskGrant`].
    #[serde(default)]
    pub code: Option<String>,
}

/// `POST /v1/sessions/check` answers. It does not count as a request of the person: a page that asks by itself keeps no session alive. `POST /v1/sessions/touch` answers the same,
/// and does count: for what a person looks at without a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose it is.
    pub user: String,
    /// Their role, as of now.
    pub role: Role,
    /// When it ends, whatever happens.
    pub expires_at: i64,
    /// When it ends unless they do something.
    pub idle_until: i64,
    /// Until when what is dangerous is done without asking for the second factor again; in the past if it would be asked for now.
    pub fresh_until: i64,
    /// The same for users, tokens and the sealed code: only a code that was shown for these counts, and no sign-in.
    #[serde(default)]
    pub people_until: i64,
    /// The same for papers of a first kit.
    #[serde(default)]
    pub papers_until: i64,
    /// Bytes that may be downloaded in this session and hour before a code is asked for.
    #[serde(default)]
    pub download_left: u64,
    /// Recovery codes that they have left.
    pub recovery_codes_left: u32,
    /// Shares that they may read from; empty for all.
    #[serde(default)]
    pub shares: Scope,
    /// Passkeys that they have.
    #[serde(default)]
    pub passkeys: Vec<Passkey>,
}

/// `POST /v1/grants`, with a session or a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskGrant {
    /// Of who wants to do it; empty with a token.
    #[serde(default)]
    pub session: Base64,
    /// A program's token, as it was shown, in place of a session.
    #[serde(default)]
    pub token: Option<Base64>,
    /// What.
    pub verb: Verb,
    /// SHA-256 of the body that will be sent to vaultd, byte for byte: 64 hexadecimal digits.
    pub arguments: String,
    /// Most bytes that may be handed out.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// What the authenticator shows, not used before: asked for with `step-up` where [`crate::grants::needs_fresh_factor`] says so and none was shown in this session
    /// within [`crate::grants::FRESH_S`]. A recovery code does too, and what [`passkey`] says: that is for this grant alone.
    #[serde(default)]
    pub code: Option<String>,
    /// A page asks by itself, and no person: it keeps no session alive, takes no code, and is for reading alone ([`crate::grants::may_repeat`]).
    #[serde(default)]
    pub background: bool,
}

impl AskGrant {
    /// For who has this session, and has not been asked for a code.
    pub fn in_session(session: Base64, verb: Verb, arguments: String, max_bytes: Option<u64>) -> Self {
        Self { session, token: None, verb, arguments, max_bytes, code: None, background: false }
    }
}

/// `POST /v1/grants` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// For the header [`crate::grants::HEADER`].
    pub grant: String,
    /// Until when.
    pub expires_at: i64,
}

/// `POST /v1/users`: adds somebody, who still has to enrol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddUser {
    /// Of an owner.
    pub session: Base64,
    /// Name, as for [`Claim`].
    pub name: String,
    /// Role.
    pub role: Role,
    /// Names of the shares that somebody who restores only may read from; empty for all, and for every other role.
    #[serde(default)]
    pub shares: Scope,
    /// As in [`AskGrant`].
    #[serde(default)]
    pub code: Option<String>,
}

/// `POST /v1/users/{name}/role`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRole {
    /// Of an owner.
    pub session: Base64,
    /// The new one.
    pub role: Role,
    /// As in [`AskGrant`].
    #[serde(default)]
    pub code: Option<String>,
}

/// `POST /v1/users/{name}/shares`: from the next request on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeShares {
    /// Of an owner.
    pub session: Base64,
    /// As in [`AddUser`].
    pub shares: Scope,
    /// As in [`AskGrant`].
    #[serde(default)]
    pub code: Option<String>,
}

/// `POST /v1/users` and `POST /v1/users/{name}/reset` answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetUp {
    /// What the person types once to enrol: four groups of five letters and digits. Shown once.
    pub code: Base64,
    /// Until when.
    pub expires_at: i64,
}

/// `POST /v1/users/{name}/enrol`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// The set-up code.
    pub code: Base64,
    /// The password they choose.
    pub password: Base64,
}

/// How it stands with a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum UserState {
    /// Added, not enrolled yet.
    SetUp,
    /// Can sign in.
    Active,
    /// Can't: too many wrong attempts.
    LockedOut {
        /// Until when.
        until: i64,
    },
    /// Can't, by an owner's wish.
    Disabled,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// How it stands.
    pub state: UserState,
    /// When they were added.
    pub added_at: i64,
    /// When they last signed in.
    pub signed_in_at: Option<i64>,
    /// As in [`AddUser`].
    #[serde(default)]
    pub shares: Scope,
    /// Computers from which so many wrong attempts came that no more are looked at for a while. From others this user can sign in.
    #[serde(default)]
    pub refused_from: u32,
    /// Passkeys that they have.
    #[serde(default)]
    pub passkeys: Vec<Passkey>,
}

/// `GET /v1/users` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// By name.
    pub users: Vec<User>,
}

/// What happened at authd, for the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Somebody signed in.
    SignIn,
    /// Somebody signed out.
    SignOut,
    /// Something was refused.
    Refusal,
    /// A user was claimed, added, enrolled, changed or disabled.
    UserChanged,
    /// authd began: all sessions and grants from before are void.
    Started,
    /// The users came from a copy of the box's state.
    StateRestored,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, from 1, ascending; one that is missing was dropped because nobody took it for too long.
    pub id: u64,
    /// When.
    pub at: i64,
    /// What kind.
    pub kind: EventKind,
    /// A stable word, such as `wrong-proof`, `locked-out`, `role-changed`.
    pub code: String,
    /// Who did it, or said they were; `admin` and `vaultd` for programs. At most 64 bytes.
    pub actor: String,
    /// The rest, such as `user` and `role`.
    pub fields: BTreeMap<String, String>,
}

/// `GET /v1/events?after=N` answers. Those up to `N` are durable with who asks, and may be forgotten here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// Up to 500, ascending.
    pub events: Vec<Event>,
    /// The number of the last one there is.
    pub last: u64,
}
