//! Why replicad did not do what it was asked.

use std::io;

use axum::http::StatusCode;
use keepwell_api::Refusal;
use keepwell_link::{IdentityError, LinkError};
use keepwell_wire::InvitationError;

use crate::sender::SendError;
use crate::store::StoreError;

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its transport key.
    #[error("the box's key among boxes can't be used; what others have of it is unharmed")]
    Identity(#[source] IdentityError),
    /// The system refuses.
    #[error("a file of replicad's own, or the system's random numbers, can't be used")]
    Own(#[source] io::Error),
    /// A value can't be taken.
    #[error("{0}; nothing was changed")]
    Invalid(String),
    /// The text is no invitation.
    #[error("the other box can't be paired with this text; nothing was changed")]
    NoInvitation(#[source] InvitationError),
    /// It was made here.
    #[error("this invitation is this box's own: it has to be given at the other box; nothing was changed")]
    OwnInvitation,
    /// It has others who know it by its key.
    #[error("this box keeps for others, or others keep for it, who know it by its own key; nothing was changed")]
    Known,
    /// The line to the other box.
    #[error("the other box was not paired: there is no connection to it; nothing was changed here")]
    Link(#[source] LinkError),
    /// It said no, or what can't be.
    #[error("the other box was not paired; nothing was changed here")]
    Meeting(#[source] SendError),
    /// No box that keeps for this one has this key.
    #[error("no box with this key keeps for this one; nothing was changed")]
    NoReceiver,
    /// Nothing is kept for such a vault.
    #[error("this box keeps nothing for a box with this vault; nothing was changed")]
    NoTenant,
    /// The other box did not cancel an order, or was not reached.
    #[error("the order was not cancelled at the other box: it counts from its day on, unless that is tried again before")]
    NotCancelled(#[source] SendError),
    /// No other box has an object.
    #[error("no other box that was asked has it")]
    NotKept,
    /// A box that may have it.
    #[error("what this box has lost could not be fetched from the other one now; it is there still, as far as known")]
    NotFetched(#[source] SendError),
}

impl Error {
    fn told(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "state"),
            Self::Identity(_) => (StatusCode::INTERNAL_SERVER_ERROR, "identity"),
            Self::Own(_) => (StatusCode::INTERNAL_SERVER_ERROR, "own-file"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::NoInvitation(_) => (StatusCode::UNPROCESSABLE_ENTITY, "no-invitation"),
            Self::OwnInvitation => (StatusCode::CONFLICT, "own-invitation"),
            Self::Known => (StatusCode::CONFLICT, "known"),
            Self::Link(LinkError::OtherKey { .. }) => (StatusCode::CONFLICT, "other-key"),
            Self::Link(_) => (StatusCode::CONFLICT, "unreachable"),
            Self::Meeting(SendError::Refused { code, .. }) if code == "bad-invitation" => (StatusCode::CONFLICT, "bad-invitation"),
            Self::Meeting(_) => (StatusCode::CONFLICT, "not-paired"),
            Self::NoReceiver => (StatusCode::NOT_FOUND, "no-receiver"),
            Self::NoTenant => (StatusCode::NOT_FOUND, "no-tenant"),
            Self::NotCancelled(SendError::Refused { code, .. }) if code == "no-order" => (StatusCode::CONFLICT, "no-order"),
            Self::NotCancelled(_) => (StatusCode::CONFLICT, "not-cancelled"),
            Self::NotKept => (StatusCode::NOT_FOUND, "not-kept"),
            Self::NotFetched(SendError::Nonsense(_)) => (StatusCode::CONFLICT, "nonsense"),
            Self::NotFetched(_) => (StatusCode::CONFLICT, "unreachable"),
        }
    }
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let (status, code) = error.told();
        Self::new(status, code, error)
    }
}
