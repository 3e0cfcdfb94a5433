//! What a receiver answers when it does not do what it is asked (`docs/wire.md` 10).

use std::fmt;

use hyper::StatusCode;
use keepwell_offsite::Refused;
use keepwell_wire::snapshots::encode_missing;

use crate::spool::NotBegun;

/// Seconds after which an object that there was no memory for may be sent.
const AGAIN: u64 = 2;

/// An answer that is no.
pub(super) struct No {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// A header that goes with it.
    pub(super) header: Option<(&'static str, u64)>,
    pub(super) body: Option<Vec<u8>>,
}

impl No {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl fmt::Display) -> Self {
        Self { status, code, message: message.to_string(), header: None, body: None }
    }

    pub(super) fn malformed(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        let status = match refused.code() {
            "other-bytes" => StatusCode::UNPROCESSABLE_ENTITY,
            "quota" | "full" => StatusCode::INSUFFICIENT_STORAGE,
            "ended" => StatusCode::FORBIDDEN,
            "missing" => StatusCode::CONFLICT,
            "not-here" => StatusCode::NOT_FOUND,
            _ => {
                tracing::error!(error = &refused as &dyn std::error::Error, "what a tenant sent or asked for met a fault of this box");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        // What this box's disks are called is nobody else's business.
        let message =
            if status == StatusCode::INTERNAL_SERVER_ERROR { "the receiver's own disks failed".to_owned() } else { refused.to_string() };
        let body = if let Refused::Missing(seqs) = &refused { Some(encode_missing(seqs)) } else { None };
        Self { status, code: refused.code(), message, header: None, body }
    }
}

impl From<NotBegun> for No {
    fn from(why: NotBegun) -> Self {
        match why {
            NotBegun::Here(here) => Self {
                header: Some(("keepwell-from", here)),
                ..Self::new(StatusCode::CONFLICT, "from", format!("{here} bytes of it are here"))
            },
            NotBegun::Busy => Self {
                header: Some(("retry-after", AGAIN)),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "others are sending so much that there is no memory for it now")
            },
        }
    }
}
