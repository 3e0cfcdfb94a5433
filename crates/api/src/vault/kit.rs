//! The papers of a vault's first kit, as people print and confirm them in the console: vaultd checks the grant, keeps the record, and has keyd do it. Shapes only.

use serde::{Deserialize, Serialize};

use crate::Base64;
use crate::keys::PaperFormat;

/// `POST /v1/kit/print`, verb `kit-print`: one paper of the first kit, as bytes. One at a time: the next when this one is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrintKitPaper {
    /// The vault: this box's.
    pub vault: String,
    /// 1 to 3.
    pub paper: u8,
    /// As what.
    pub format: PaperFormat,
    /// Who will keep it.
    pub keeper: String,
}

/// `POST /v1/kit/confirm`, verb `settings-change`, owners only: the words that were asked for, in that order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmKitPaper {
    /// The vault: this box's.
    pub vault: String,
    /// 1 to 3.
    pub paper: u8,
    /// UTF-8.
    pub words: [Base64; 6],
}

/// `POST /v1/kit/again`, verb `kit-print`: the first kit once more, where its papers went from keyd's memory before all were confirmed. Those that were printed are void when the pool has the new one's slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KitAgain {
    /// The vault: this box's.
    pub vault: String,
}
