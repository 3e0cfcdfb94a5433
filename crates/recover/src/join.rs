//! The new box takes the old one's place: it shows that it has two papers (`docs/wire.md` 8).

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use keepwell_crypt::{KitSeed, kit_recipient, unwrap_with_seed};
use keepwell_format::VaultId;
use keepwell_wire::recover::{RecoverProof, RecoverRequest, RecoverSecret};
use keepwell_wire::survey::Survey;
use keepwell_wire::{Class, Prefix};

use crate::RecoverError;
use crate::peer::{Peer, code, taken};

/// How the place was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It was this box's already: an earlier run took it.
    Before,
    /// The papers gave it.
    Now,
    /// The papers gave it back: another box had taken it since an earlier run of this one.
    Back,
}

/// Cuts in the middle of it.
const MOST: usize = 64;

/// Takes the place, if it is not had.
pub(crate) async fn join(peer: &Peer, vault: VaultId, seed: &KitSeed) -> Result<Joined, RecoverError> {
    let probe = Survey { class: Class::Slots, prefixes: vec![Prefix::ALL] }.encode();
    let mut joined = Joined::Before;
    // An answer that was lost shows in the next probe.
    for _ in 0..MOST {
        let answered = peer.ask(Method::POST, "/v1/survey", HeaderMap::new(), probe.clone().into()).await?;
        match code(&answered) {
            _ if answered.status.is_success() => return Ok(joined),
            "stranger" => joined = Joined::Now,
            "replaced" => joined = Joined::Back,
            _ => return taken(answered).map(|_| joined),
        }
        prove(peer, vault, seed).await?;
    }
    Err(RecoverError::NotProven)
}

async fn prove(peer: &Peer, vault: VaultId, seed: &KitSeed) -> Result<(), RecoverError> {
    let (number, caller) = peer.line().await?;
    let request = RecoverRequest { vault, recipient: kit_recipient(seed) };
    let ask = async |path: &str, body: Vec<u8>| caller.ask(Method::POST, path, HeaderMap::new(), Bytes::from(body)).await;
    let answered = match ask("/v1/recover", request.encode()).await {
        Ok(answered) => answered,
        Err(error) => return peer.cut(number, error).await,
    };
    let challenge = taken(answered)?;
    let opened = unwrap_with_seed(seed, &challenge).map_err(|_| RecoverError::nonsense("its challenge is not for these papers"))?;
    let secret = RecoverSecret::of_payload(&opened).map_err(RecoverError::nonsense)?;
    let proof = RecoverProof { vault, proof: secret.proof(caller.recovering()) };
    match ask("/v1/recover/proof", proof.encode()).await {
        Ok(answered) if answered.status == StatusCode::FORBIDDEN && code(&answered) == "bad-proof" => Err(RecoverError::NotProven),
        Ok(answered) => taken(answered).map(drop),
        Err(error) => peer.cut(number, error).await,
    }
}
