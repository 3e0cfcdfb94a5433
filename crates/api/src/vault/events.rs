//! `GET /v1/events`: what happens, as server-sent events (HTML Living Standard, section 9.2). Shapes only. Names no file and no share: ids.

use serde::{Deserialize, Serialize};

use super::{RestoreState, Run};

/// One event: the `data` of a server-sent event whose name is its `kind`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Event {
    /// First of all, and again after anything that the status says may have changed.
    Status {
        /// When it was so.
        at: i64,
    },
    /// A run began, went on or is over.
    Run {
        /// As `GET /v1/runs/{id}` has it.
        run: Run,
    },
    /// A restore began, went on or is over.
    Restore {
        /// As `GET /v1/restores/{id}` has it, without where to.
        restore: RestoreState,
    },
}
