//! Another box takes the place of one that is gone, with two papers of its kit (`docs/wire.md` 8). Owns the challenges that are open; who may be challenged is in the key slots
//! that the tenant gave. Must never shorten or remove anything.

use std::collections::HashMap;

use keepwell_format::VaultId;
use keepwell_wire::KeyName;
use keepwell_wire::pairing::Between;
use keepwell_wire::recover::{RecoverProof, RecoverRequest, RecoverSecret};

use crate::house::{House, lock};
use crate::receiver::NotNow;
use crate::store::{Happened, TenantRow};

/// Seconds for which a challenge can be answered.
const GOOD_FOR: u64 = 600;
/// Challenges that are open at a time: more than connections. Only who knows a vault and its kit makes one.
const MOST: usize = 256;

/// A challenge that the right papers answer.
pub(crate) struct Open<S> {
    pub(crate) vault: VaultId,
    pub(crate) secret: S,
    since: u64,
}

/// All that are open, by what tells their connection from every other.
pub(crate) struct Challenges<S>(HashMap<[u8; 32], Open<S>>);

impl<S> Default for Challenges<S> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<S> Challenges<S> {
    pub(crate) fn add(&mut self, connection: [u8; 32], vault: VaultId, secret: S, now: u64) {
        self.0.retain(|_, open| !is_over(open, now));
        if self.0.len() >= MOST
            && let Some(oldest) = self.0.iter().min_by_key(|(_, open)| open.since).map(|(connection, _)| *connection)
        {
            self.0.remove(&oldest);
        }
        self.0.insert(connection, Open { vault, secret, since: now });
    }

    /// The one of a connection, which is used with that.
    pub(crate) fn remove(&mut self, connection: &[u8; 32], now: u64) -> Option<Open<S>> {
        self.0.remove(connection).filter(|open| !is_over(open, now))
    }
}

impl Challenges<RecoverSecret> {
    /// Whether it is the answer. Right or wrong, the challenge is used.
    fn take(&mut self, between: &Between, proof: &RecoverProof, now: u64) -> Answered {
        match self.remove(&between.exporter, now).filter(|open| open.vault == proof.vault) {
            None => Answered::Nothing,
            Some(open) if open.secret.is_proven(between, &proof.proof) => Answered::Right,
            Some(_) => Answered::Wrong,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Right,
    Wrong,
    /// Nothing was asked, or too long ago.
    Nothing,
}

fn is_over<S>(open: &Open<S>, now: u64) -> bool {
    now.saturating_sub(open.since) >= GOOD_FOR
}

/// What only the kit's papers can answer. Who asks with another kit gets one all the same, that nothing answers.
pub(crate) fn challenge(house: &House, between: &Between, request: &RecoverRequest) -> Result<Option<Vec<u8>>, NotNow> {
    let mut bytes = [0; 32];
    house.world.random(&mut bytes).map_err(failed)?;
    let secret = RecoverSecret::from_bytes(bytes);
    let Ok(sealed) = keepwell_crypt::wrap_for_recipient(&request.recipient, &secret.payload()) else { return Ok(None) };
    if is_kit_of(house, request)? {
        lock(&house.challenges).add(between.exporter, request.vault, secret, house.steady());
    }
    Ok(Some(sealed))
}

fn is_kit_of(house: &House, request: &RecoverRequest) -> Result<bool, NotNow> {
    let tenants = house.store.tenants().map_err(failed)?;
    if let Some(row) = tenants.iter().find(|row| row.vault == request.vault.0) {
        let later = || house.receiver.with(KeyName(row.name), |tenant, _| tenant.knows_kit(&request.recipient));
        if row.recipients.contains(&request.recipient) || later() == Some(true) {
            return Ok(true);
        }
    }
    // Its slots may lie on disks that are away: "no" would be a lie, and which tenant's they are is told to nobody.
    if tenants.iter().any(|row| !house.receiver.is_there(KeyName(row.name))) {
        tracing::warn!("a box asks to take another one's place while disks are away: it has to ask again when they are back");
        return Err(NotNow);
    }
    Ok(false)
}

/// Whether it was the answer. If it was, the key has the tenant's place, durably.
pub(crate) fn prove(house: &House, between: &Between, proof: &RecoverProof) -> Result<bool, NotNow> {
    // Held until the place is taken: two that prove at once come one after the other.
    let mut challenges = lock(&house.challenges);
    let answered = challenges.take(between, proof, house.steady());
    if answered != Answered::Right {
        if answered == Answered::Wrong {
            house.refused(between.source, "papers");
        }
        return Ok(false);
    }
    let tenants = house.store.tenants().map_err(failed)?;
    let Some(row) = tenants.iter().find(|row| row.vault == proof.vault.0) else { return Ok(false) };
    let (old, new) = (KeyName(row.name), between.source);
    if old == new {
        // The answer was lost the last time.
        return Ok(true);
    }
    if tenants.iter().any(|row| row.name == new.0) {
        house.refused(new, "key-in-use");
        return Ok(false);
    }
    let event = Happened::new(house.world.wall(), "tenant-replaced").with("tenant", new).with("before", old).with("vault", proof.vault);
    house.store.succeed(old, &TenantRow { name: new.0, ..row.clone() }, &event).map_err(failed)?;
    house.receiver.replace(old, new);
    tracing::warn!(%old, %new, "another box has taken a tenant's place, with two papers of its kit");
    Ok(true)
}

fn failed(error: impl std::error::Error) -> NotNow {
    tracing::error!(error = keepwell_api::error::chain(&error), "a box could not take another one's place");
    NotNow
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(connection: u8, source: u8) -> Between {
        Between { source: KeyName([source; 32]), receiver: KeyName([9; 32]), exporter: [connection; 32] }
    }

    fn proof(secret: u8, between: &Between) -> RecoverProof {
        RecoverProof { vault: VaultId([1; 16]), proof: RecoverSecret::from_bytes([secret; 32]).proof(between) }
    }

    #[test]
    fn one_try_on_one_connection_within_ten_minutes() {
        let (here, there) = (between(1, 7), between(2, 7));
        let tries = [
            (proof(5, &here), here, 100 + GOOD_FOR - 1, Answered::Right),
            (proof(5, &here), here, 100 + GOOD_FOR, Answered::Nothing),
            (proof(6, &here), here, 100, Answered::Wrong),
            (proof(5, &there), there, 100, Answered::Nothing),
            (proof(5, &here), between(1, 8), 100, Answered::Wrong),
            (RecoverProof { vault: VaultId([2; 16]), ..proof(5, &here) }, here, 100, Answered::Nothing),
        ];
        for (n, (proof, between, now, expected)) in tries.into_iter().enumerate() {
            let mut open = Challenges::default();
            open.add([1; 32], VaultId([1; 16]), RecoverSecret::from_bytes([5; 32]), 100);
            assert_eq!(open.take(&between, &proof, now), expected, "try {n}");
            if between.exporter == [1; 32] {
                let again = tests::proof(5, &here);
                assert_eq!(open.take(&here, &again, 100), Answered::Nothing, "used by try {n}");
            }
        }
    }

    #[test]
    fn too_many_push_the_oldest_out() {
        let mut open = Challenges::default();
        for n in 0..=MOST {
            let mut connection = [0; 32];
            connection[..8].copy_from_slice(&(n as u64).to_le_bytes());
            open.add(connection, VaultId([1; 16]), RecoverSecret::from_bytes([5; 32]), n as u64);
        }
        assert_eq!((open.0.len(), open.0.contains_key(&[0; 32])), (MOST, false));
    }
}
