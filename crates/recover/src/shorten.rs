//! Gives a receiver an order that shortens what it promised, and cancels one (`docs/wire.md` 9): from any machine, with two papers, or with the second organisation's key. Takes nobody's place.

use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use keepwell_crypt::{Signer, kit_recipient, unwrap_with_seed};
use keepwell_link::{Caller, Identity};
use keepwell_wire::KeyName;
use keepwell_wire::recover::RecoverRequest;
use keepwell_wire::shorten::{Cancel, CancelOrder, GiveOrder, OrderSecret, Orders, Right, SignedOrder};

use crate::peer::taken;
use crate::{Papers, RecoverError};

/// Without a sign of life for so long, it is given up: a person waits.
const SILENCE: Duration = Duration::from_secs(60);

/// Who cancels.
#[derive(Debug)]
pub enum Canceller<'a> {
    /// Who has two papers.
    Papers(&'a Papers),
    /// The second organisation.
    Second(&'a Signer),
}

/// Gives an order to the box at this address. When it answers, the order is pending there.
pub async fn give(address: &str, order: &SignedOrder, papers: &Papers) -> Result<Orders, RecoverError> {
    let caller = call(address, order.order.receiver).await?;
    let proof = prove(&caller, papers, &order.order.encode()).await?;
    let given = GiveOrder { signed: order.clone(), proof };
    orders(&ask(&caller, "/v1/orders", given.encode()).await?)
}

/// Cancels an order at the box at this address.
pub async fn cancel(address: &str, cancel: Cancel, by: Canceller<'_>) -> Result<Orders, RecoverError> {
    let caller = call(address, cancel.receiver).await?;
    let right = match by {
        Canceller::Papers(papers) => Right::Papers(prove(&caller, papers, &cancel.encode()).await?),
        Canceller::Second(signer) => Right::Second(signer.sign(&cancel.encode())),
    };
    orders(&ask(&caller, "/v1/orders/cancel", CancelOrder { cancel, right }.encode()).await?)
}

/// With a key that is nobody's, and is forgotten afterwards.
async fn call(address: &str, receiver: KeyName) -> Result<Caller, RecoverError> {
    let identity = Identity::of(&Identity::make()?)?;
    Caller::connect(address, &identity, receiver, SILENCE).await.map_err(RecoverError::Unasked)
}

async fn prove(caller: &Caller, papers: &Papers, said: &[u8]) -> Result<[u8; 32], RecoverError> {
    let request = RecoverRequest { vault: papers.vault(), recipient: kit_recipient(papers.seed()) };
    let challenge = ask(caller, "/v1/orders/challenge", request.encode()).await?;
    let opened =
        unwrap_with_seed(papers.seed(), &challenge).map_err(|_| RecoverError::nonsense("its challenge is not for these papers"))?;
    Ok(OrderSecret::of_payload(&opened).map_err(RecoverError::nonsense)?.proof(caller.ordering(), said))
}

async fn ask(caller: &Caller, path: &str, body: Vec<u8>) -> Result<Bytes, RecoverError> {
    let answered = caller.ask(Method::POST, path, HeaderMap::new(), body.into()).await.map_err(RecoverError::Unasked)?;
    taken(answered).map_err(|error| match error {
        RecoverError::Refused { code, message } => RecoverError::NoOrder { code, message },
        other => other,
    })
}

fn orders(answer: &[u8]) -> Result<Orders, RecoverError> {
    Orders::decode(answer).map_err(RecoverError::nonsense)
}
