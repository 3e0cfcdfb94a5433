//! What of the second site lies in the vault, and so outlives the box.

use serde::{Deserialize, Serialize};

use crate::Base64;

/// What snapshots of a box's own state are called; no share can be called so.
pub const STATE_NAME: &str = "keepwell-state";
/// File in them that says how much each share matters, as [`KeptShares`]: what a box that has nothing yet fetches first.
pub const SHARES_FILE: &str = "shares";

/// What the snapshot is called in which a box that took a lost one's place keeps its key among boxes; no share can be called so.
pub const PLACE_NAME: &str = "keepwell-place";
/// File in it, as [`KeptPlace`].
pub const PLACE_FILE: &str = "place";

/// The place that was taken over at another box, for the box that gets the vault's disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPlace {
    /// The key that has the place, as PEM (PKCS #8).
    pub key: Base64,
    /// Name of the other box's key.
    pub receiver: String,
    /// `host:port` at which it was found.
    pub address: String,
}

/// What was agreed on with a box that keeps for this one, as it has to survive this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReceiver {
    /// Name of its transport key.
    pub name: String,
    /// What its receipts are checked with.
    pub receipt_key: String,
    /// `host:port`.
    pub address: String,
    /// What people there call the place.
    pub place: String,
    /// What it keeps at most.
    pub quota_bytes: u64,
    /// Seconds for which it keeps each snapshot at least.
    pub floor_s: u64,
    /// When.
    pub paired_at: i64,
}

/// `POST /v1/place`: goes on in the place that was taken over, with its key instead of the own one. For a box that keeps for nobody and is paired with nobody. replicad ends after it has
/// answered, and begins anew with that key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakePlace {
    /// The key, as PEM.
    pub key: Base64,
    /// The vault that is kept there.
    pub vault: String,
    /// With whom.
    pub receiver: KeptReceiver,
}

/// How much each share matters, as a box's own state says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptShares {
    /// All of them.
    pub shares: Vec<KeptShare>,
}

/// One share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptShare {
    /// What its snapshots are called.
    pub name: String,
    /// From 1, which matters most.
    pub tier: u8,
}
