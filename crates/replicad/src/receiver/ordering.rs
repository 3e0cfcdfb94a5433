//! Routes of orders (`docs/wire.md` 9): who gives one need be no tenant, so it is told nothing before it has proven that it has the papers.

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use keepwell_link::Stranger;
use keepwell_wire::KeyName;
use keepwell_wire::pairing::Between;
use keepwell_wire::recover::RecoverRequest;
use keepwell_wire::shorten::{CancelOrder, GiveOrder, Orders};

use super::{Answered, No, Receiver, small};

/// Why an order is not taken, or not cancelled: a word of the protocol, and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    /// The word.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Receiver {
    pub(super) async fn order_challenge(&self, stranger: Stranger, request: Request<Incoming>) -> Answered {
        let asked = RecoverRequest::decode(&small(request).await?).map_err(No::malformed)?;
        let between = self.ordering(stranger);
        let answer = self.admission(move |admission| admission.order_challenge(&between, &asked)).await?;
        answer.flatten().map(|answer| (StatusCode::OK, answer)).ok_or_else(|| No::malformed("no recipient"))
    }

    pub(super) async fn give_order(&self, stranger: Stranger, request: Request<Incoming>) -> Answered {
        let given = GiveOrder::decode(&small(request).await?).map_err(No::malformed)?;
        let between = self.ordering(stranger);
        answered(self.admission(move |admission| admission.order(&between, &given)).await?)
    }

    pub(super) async fn cancel_order(&self, stranger: Stranger, request: Request<Incoming>) -> Answered {
        let cancelled = CancelOrder::decode(&small(request).await?).map_err(No::malformed)?;
        let between = self.ordering(stranger);
        answered(self.admission(move |admission| admission.cancel(&between, &cancelled)).await?)
    }

    pub(super) async fn tell_orders(&self, name: KeyName) -> Answered {
        let orders = self.admission(move |admission| admission.orders(name)).await?.flatten();
        let none = || Orders { second_key: None, elapsed: 0, orders: Vec::new() };
        Ok((StatusCode::OK, orders.unwrap_or_else(none).encode()))
    }

    fn ordering(&self, stranger: Stranger) -> Between {
        Between { source: stranger.name, receiver: self.name, exporter: stranger.shorten }
    }
}

fn answered(answer: Option<Result<Orders, NotTaken>>) -> Answered {
    let nobody = || NotTaken { code: "bad-proof", message: "nobody here takes orders".into() };
    let told = answer.unwrap_or_else(|| Err(nobody()));
    told.map(|orders| (StatusCode::OK, orders.encode())).map_err(|no| {
        let status = match no.code {
            "no-order" => StatusCode::NOT_FOUND,
            "order-used" | "order-over" | "other-head" | "no-snapshot" | "not-shorter" | "too-many-orders" => StatusCode::CONFLICT,
            _ => StatusCode::FORBIDDEN,
        };
        No::new(status, no.code, no.message)
    })
}
