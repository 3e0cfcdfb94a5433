//! What replicad does for this box, and what it is told: vaultd asks, and nobody else. Shapes only.
//!
//! Times are Unix seconds, lengths bytes. Names of keys and ids of vaults and snapshots are lower-case hexadecimal digits. Nothing here opens data.

mod kept;
mod line;
mod promised;

use serde::{Deserialize, Serialize};

use crate::Base64;
pub use kept::{KeptPlace, KeptReceiver, KeptShare, KeptShares, PLACE_FILE, PLACE_NAME, SHARES_FILE, STATE_NAME, TakePlace};
pub use line::{LINE_HOURS_MAX, LINE_KBIT_MIN, LimitFrom, Line, LineHours, Pace};
pub use promised::{CancelOrder, ChallengeTold, EndTenant, OrderState, OrderTold, ReceiptTold, Receipts, ReceiptsOf, Unpair};

/// replicad's socket.
pub const SOCKET: &str = "/run/keepwell/replicad.sock";
/// The port on which a box keeps for others, unless told otherwise.
pub const PORT: u16 = 8484;
/// Most snapshots in one hand-over: the newest ones.
pub const OFFERS_MAX: usize = 20_000;
/// A tenant that fills so much of its quota is about to be refused newer copies.
pub const NEARLY_FULL_PERCENT: u64 = 95;
/// Most bytes of a hand-over.
pub const OFFERS_BYTES: usize = 8 << 20;

/// `GET /v1/status` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Name of this box's transport key.
    pub name: String,
    /// This start of the program; what is handed over lasts as long.
    pub start: String,
    /// Where it listens for other boxes; none as long as that is not switched on.
    pub listening: Option<String>,
    /// Why it does not listen although it is to.
    pub not_listening: Option<String>,
    /// Invitations that are open.
    pub invitations: u32,
    /// Whether the snapshots to send were handed over since it started.
    pub handed_over: bool,
    /// Boxes that keep for this one.
    pub receivers: Vec<Receiver>,
    /// Boxes that this one keeps for.
    pub tenants: Vec<TenantTold>,
    /// Calls of keys that nobody knows, since the program began.
    #[serde(default)]
    pub strangers: u64,
    /// The number of the newest of [`Events`].
    pub last_event: u64,
}

/// A box that keeps for this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    /// Name of its transport key.
    pub name: String,
    /// What its receipts are checked with.
    pub receipt_key: String,
    /// What people there call the place.
    pub place: String,
    /// `host:port`.
    pub address: String,
    /// What both screens showed when they were paired.
    pub words: String,
    /// When.
    pub paired_at: i64,
    /// What it keeps at most.
    pub quota_bytes: u64,
    /// Seconds for which it keeps each snapshot at least.
    pub floor_s: u64,
    /// Whether something is under way.
    pub busy: bool,
    /// The newest snapshot of each share that it has signed for.
    pub signed: Vec<Signed>,
    /// Receipts of it that were verified and still bind it.
    pub receipts: u64,
    /// Snapshots that it has not signed for.
    pub waiting: u64,
    /// What is still to be sent, by tier: until the newest snapshot of each share of it is there. Of all that waits, the last one.
    pub backlog: Vec<Backlog>,
    /// Bytes a second, of what was sent lately; none as long as nothing was.
    pub rate: Option<u64>,
    /// Bytes a second to which it is held back at the moment, by the hour's limit or for others that need the line.
    #[serde(default)]
    pub held_to: Option<u64>,
    /// When it last answered.
    pub contact_at: Option<i64>,
    /// What kept the last attempt from its end.
    pub failure: Option<Failure>,
    /// The last challenge.
    pub challenge: Option<ChallengeTold>,
    /// The key of the second organisation that it knows, as digits; none where nothing is ever kept for a shorter time than was promised.
    #[serde(default)]
    pub second_key: Option<String>,
    /// Orders to keep something for a shorter time: the newest ones, and all that are pending.
    #[serde(default)]
    pub orders: Vec<OrderTold>,
}

/// A snapshot with a receipt that was verified.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Id of the share.
    pub share: String,
    /// How much it matters.
    pub tier: u8,
    /// The snapshot.
    pub snapshot: String,
    /// When its run began, by this box.
    pub taken_at: i64,
    /// When it was whole there, by the receiver's clock.
    pub received_at: i64,
}

/// What is to be sent until a tier is safe.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// The tier; none for all that waits, older snapshots too.
    pub tier: Option<u8>,
    /// Bytes.
    pub bytes: u64,
    /// Seconds that it takes at the rate of late, and with the limits of the hours to come; none where no rate is known.
    pub forecast_s: Option<u64>,
}

/// What went wrong.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: i64,
    /// A stable word: `unreachable`, `other-key`, `handshake`, `cut`, `nonsense`, `own`, or the receiver's own.
    pub code: String,
    /// In words.
    pub text: String,
}

/// A box that this one keeps for.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantTold {
    /// Its vault.
    pub vault: String,
    /// What people there call the practice.
    pub practice: String,
    /// What both screens showed when they were paired.
    pub words: String,
    /// Since when it is kept for.
    pub since: i64,
    /// What it may fill.
    pub quota_bytes: u64,
    /// What it fills; none while its folders can't be used.
    pub used_bytes: Option<u64>,
    /// Snapshots that were signed for and are kept.
    pub snapshots: Option<u64>,
    /// When the last of them came.
    pub received_at: Option<i64>,
    /// The key of the second organisation, as digits; none where nothing is ever kept for a shorter time than was promised.
    #[serde(default)]
    pub second_key: Option<String>,
    /// Orders to keep something for a shorter time: the newest ones, and all that are pending.
    #[serde(default)]
    pub orders: Vec<OrderTold>,
    /// Since when nothing more is taken of it; none as long as something is.
    #[serde(default)]
    pub ended_at: Option<i64>,
}

impl TenantTold {
    /// Percent of what it may fill that it fills; none where nobody can say.
    pub fn fills_percent(&self) -> Option<u64> {
        let quota = u128::from(self.quota_bytes.max(1));
        self.used_bytes.map(|used| u64::try_from(u128::from(used) * 100 / quota).unwrap_or(u64::MAX))
    }

    /// Whether its newer copies are about to be refused.
    pub fn is_nearly_full(&self) -> bool {
        self.fills_percent().is_some_and(|percent| percent >= NEARLY_FULL_PERCENT)
    }
}

/// `POST /v1/receiving`: whether this box keeps for others. Those it keeps for can't reach it while it is off; nothing of them is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiving {
    /// Whether it listens.
    pub on: bool,
}

/// `POST /v1/invitations`, and vaultd's `POST /v1/offsite/invite`, verb `offsite-change`: lets one other box send its backups here. Switches keeping for others on.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// Where the other box finds this one: `host:port` as seen from there.
    pub address: String,
    /// Bytes that it may fill.
    pub quota_bytes: u64,
    /// What this place is called there: at most 200 bytes.
    pub place: String,
    /// The key of a second organisation, 64 digits: with it and two papers of that practice, and in no other way, something can be kept for a shorter time than was promised. It stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_key: Option<String>,
}

/// Its answer.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// The invitation (`docs/wire.md` 3), UTF-8. Told this once.
    pub invitation: Base64,
    /// Until when it is good.
    pub expires_at: i64,
}

/// vaultd's `POST /v1/offsite/pair`, verb `offsite-change`: sends this box's backups to the one that made the invitation.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairWith {
    /// The invitation as it was typed, UTF-8.
    pub invitation: Base64,
    /// What this practice is called there: at most 200 bytes.
    pub practice: String,
}

/// `POST /v1/pair`: the same with what vaultd knows of the vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The invitation as it was typed, UTF-8.
    pub invitation: Base64,
    /// What this practice is called there.
    pub practice: String,
    /// The vault's newest key slots.
    pub slots: Base64,
}

/// Its answer.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    /// Name of the receiver's key.
    pub name: String,
    /// What people there call the place.
    pub place: String,
    /// Four words that its screen shows too: who compares them knows that nobody stands between.
    pub words: String,
    /// What it keeps at most.
    pub quota_bytes: u64,
    /// Seconds for which it keeps each snapshot at least.
    pub floor_s: u64,
}

/// `POST /v1/offers`: all snapshots that are to be at the second site, in place of those before. What each needs is in the clear in its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offers {
    /// At most [`OFFERS_MAX`].
    pub snapshots: Vec<Offered>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offered {
    /// Its id.
    pub snapshot: String,
    /// Id of the share.
    pub share: String,
    /// How much the share matters, from 1.
    pub tier: u8,
    /// When its run began.
    pub taken_at: i64,
}

/// `POST /v1/send`, and vaultd's `POST /v1/offsite/send`, verb `run-now`: looks at once whether something is to be sent, and sends it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendNow {}

/// `GET /v1/lacking` answers: objects that another box has signed for, and of which the disks here show nothing; forgotten snapshots are among them. `GET /v1/objects/CLASS/ID` gives such an
/// object, or any other that another box keeps for this one, as the bytes that hash to its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    /// Names, as `packs/` and 64 digits.
    pub objects: Vec<String>,
}

/// `POST /v1/prove`, and vaultd's `POST /v1/offsite/prove`, verb `run-now`: has those that keep for this box prove now, and not within the day, that they have what they signed for.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProveNow {}

/// `GET /v1/events?after=N` answers: what happened with other boxes, for the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// Ascending, at most 500.
    pub events: Vec<Event>,
    /// The newest one's number.
    pub last: u64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, rising.
    pub id: u64,
    /// When.
    pub at: i64,
    /// A stable word: `invited`, `tenant-paired`, `tenant-refused`, `tenant-replaced`, `paired`, `place-taken`, `receipt`, `challenge`, `loss`, `mended`, `other-key`, `chain`.
    pub code: String,
    /// The rest; no name of a file.
    pub fields: std::collections::BTreeMap<String, String>,
}

/// `GET /v1/offsite` of vaultd answers: where this box's second copy is, and for whom it keeps one.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offsite {
    /// Name of this box's key among boxes.
    pub name: String,
    /// Where it listens for other boxes.
    pub listening: Option<String>,
    /// Why it does not although it is to.
    pub not_listening: Option<String>,
    /// What copies may take of the line.
    #[serde(default)]
    pub line: Line,
    /// Boxes that keep for this one.
    pub receivers: Vec<ReceiverTold>,
    /// Boxes that this one keeps for.
    pub tenants: Vec<TenantTold>,
}

/// One that keeps for this box.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverTold {
    /// Name of its key.
    pub name: String,
    /// What people there call the place.
    pub place: String,
    /// `host:port`.
    pub address: String,
    /// What both screens showed when they were paired.
    pub words: String,
    /// What a new box is told after a fire, beside two papers: whose vault is where (`docs/wire.md` 8). No secret.
    #[serde(default)]
    pub code: Option<String>,
    /// When.
    pub paired_at: i64,
    /// What it keeps at most.
    pub quota_bytes: u64,
    /// Seconds for which it keeps each snapshot at least.
    pub floor_s: u64,
    /// Whether something is under way.
    pub busy: bool,
    /// Verified receipts that still bind it.
    pub receipts: u64,
    /// Bytes a second, of what was sent lately; none as long as nothing was.
    pub rate: Option<u64>,
    /// Bytes a second to which sending is held back at the moment, by the hour's limit or for others that need the line.
    #[serde(default)]
    pub held_to: Option<u64>,
    /// Snapshots that it has not signed for.
    pub waiting: u64,
    /// How what is there stands.
    pub stands: Stands,
    /// As of when all that is to be there is signed for and was proven; none as long as it is not.
    pub verified_at: Option<i64>,
    /// By tier, the first one first.
    pub tiers: Vec<TierOffsite>,
    /// All that is still to be sent.
    pub backlog: Backlog,
    /// When it last answered.
    pub contact_at: Option<i64>,
    /// What kept the last attempt from its end.
    pub failure: Option<Failure>,
    /// The last challenge.
    pub challenge: Option<ChallengeTold>,
    /// The key of the second organisation that it knows, as digits; none where nothing is ever kept for a shorter time than was promised.
    #[serde(default)]
    pub second_key: Option<String>,
    /// Orders to keep something for a shorter time: the newest ones, and all that are pending.
    #[serde(default)]
    pub orders: Vec<OrderTold>,
}

/// How what a receiver keeps stands, in a word.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stands {
    /// All is signed for, young enough, and was proven to be there lately.
    Proven,
    /// The same, and too long ago.
    Overdue,
    /// Something is not there as a whole yet, or was never proven.
    NotYet,
    /// It lost what it had signed for, and does not have it again.
    Lost,
    /// What is to be there was not looked at yet.
    Unknown,
}

/// A tier's shares at a receiver.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierOffsite {
    /// The tier.
    pub tier: u8,
    /// The newest snapshot of each share that is verified to be there, the newest first.
    pub copies: Vec<CopyOffsite>,
    /// Names of shares with a copy here and none there.
    pub without_copy: Vec<String>,
    /// What is to be sent until the newest snapshot of each is there.
    pub backlog: Backlog,
}

/// The newest copy of a share there.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyOffsite {
    /// The share's name.
    pub share: String,
    /// The snapshot.
    pub snapshot: String,
    /// When its run began.
    pub taken_at: i64,
    /// How old it is now, seconds.
    pub age_s: u64,
    /// Whether there is a newer one here that should be there by now.
    pub late: bool,
    /// When it was whole there, by the receiver's clock.
    pub received_at: i64,
}
