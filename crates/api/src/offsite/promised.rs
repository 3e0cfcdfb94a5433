//! What becomes of what was promised: challenges, orders to keep less and what they can name, and the end of a pairing. Shapes only.

use serde::{Deserialize, Serialize};

/// An order by which something is kept for a shorter time than was promised, as the box that keeps it tells of it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTold {
    /// Its name, 32 digits.
    pub id: String,
    /// What became of it.
    pub state: OrderState,
    /// Snapshots that it names, or that are older than the new floor.
    pub snapshots: u64,
    /// Seconds for which everything is kept from then on; none where it names snapshots.
    pub floor_s: Option<u64>,
    /// When it was given, by the clock of the box that keeps.
    pub given_at: i64,
    /// About when it begins to count.
    pub counts_at: i64,
    /// When the oldest of those snapshots had come there.
    pub oldest_at: i64,
    /// When the newest of them had.
    pub newest_at: i64,
}

/// What became of an order.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderState {
    /// It does not count yet: whoever has a key can cancel it.
    Pending,
    /// It counts.
    Counts,
    /// It was cancelled, and never counts.
    Cancelled,
}

/// `POST /v1/orders/cancel`, and vaultd's `POST /v1/offsite/cancel-order`, verb `offsite-change`: has a box that keeps for this one cancel an order that is pending there.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelOrder {
    /// Name of that box's key.
    pub receiver: String,
    /// Name of the order, 32 digits.
    pub order: String,
}

/// `GET /v1/receipts` answers, and vaultd's `GET /v1/offsite/receipts`: what boxes have signed for and are bound by, for whoever makes an order.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// Of each box.
    pub receivers: Vec<ReceiptsOf>,
}

/// Of one box.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptsOf {
    /// Name of its key.
    pub receiver: String,
    /// What people there call the place.
    pub place: String,
    /// The vault.
    pub vault: String,
    /// Seconds of its time that have gone by for this box, as it last said.
    pub elapsed: u64,
    /// Hash of the newest receipt; none as long as there is none.
    pub head: Option<String>,
    /// By number, ascending.
    pub receipts: Vec<ReceiptTold>,
}

/// A receipt.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptTold {
    /// Its number.
    pub number: u64,
    /// The snapshot.
    pub snapshot: String,
    /// The share, by name; none where this box has the snapshot no more.
    pub share: Option<String>,
    /// When it was whole there, by the receiver's clock.
    pub received_at: i64,
    /// The same in seconds of the receiver's time.
    pub elapsed: u64,
    /// Until when of that it is kept, at least.
    pub kept_until: u64,
}

/// `POST /v1/unpair`, and vaultd's `POST /v1/offsite/unpair`, verb `offsite-change`: sends nothing more to a box, and forgets it. It is told nothing, and keeps what it promised.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpair {
    /// Name of its key.
    pub receiver: String,
}

/// `POST /v1/end`, and vaultd's `POST /v1/offsite/end`, verb `offsite-change`: takes nothing more from a box that this one keeps for. What is kept ages out by what was promised, and can be read until then.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndTenant {
    /// Its vault, 32 digits.
    pub vault: String,
}

/// What a challenge found.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeTold {
    /// When it ended.
    pub at: i64,
    /// Slices that were asked for.
    pub asked: u64,
    /// Objects that were not proven, or not there: lost.
    pub lost: u64,
    /// Of them sent again since.
    pub mended: u64,
    /// When a loss was last found, in this challenge or before.
    pub lost_at: Option<i64>,
}
