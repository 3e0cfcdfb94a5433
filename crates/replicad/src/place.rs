//! This box goes on in the place of a lost one that two papers gave to its vault (`docs/wire.md` 8): with the key that has the place, and what was agreed on with whoever keeps. Takes no key
//! in place of one that others know.

use keepwell_api::hex;
use keepwell_api::offsite::TakePlace;
use keepwell_link::Identity;
use keepwell_offsite::keeping::FLOOR_MIN;
use keepwell_wire::KeyName;

use crate::error::Error;
use crate::house::{House, KEYS, Keys};
use crate::store::{Happened, ReceiverRow};

impl House {
    /// Takes it. What runs now goes on with the key from before: whoever serves ends this program, so that it begins anew.
    pub fn take_place(&self, order: &TakePlace) -> Result<(), Error> {
        let receivers = self.store.receivers()?;
        let row = row(order)?;
        let pem = std::str::from_utf8(order.key.as_ref()).map_err(|_| Error::Invalid("a key in PEM is text".into()))?;
        let name = Identity::of(pem)?.name();
        if name == self.identity.name() && receivers.iter().any(|known| known.name == row.name) {
            // The answer was lost.
            return Ok(());
        }
        if !receivers.is_empty() || !self.store.tenants()?.is_empty() {
            return Err(Error::Known);
        }
        let before: Keys = self.store.document(KEYS)?.ok_or_else(|| Error::Invalid("this box has no keys yet".into()))?;
        let keys = Keys { transport: pem.to_owned(), receipt: before.receipt };
        let event =
            Happened::new(self.world.wall(), "place-taken").with("receiver", KeyName(row.name)).with("name", name).with("quota", row.quota);
        self.store.put_place((KEYS, &keys), &row, &event)?;
        tracing::info!(%name, "this box goes on in the place of a lost one, with the key that has it");
        self.other_key.send_replace(true);
        Ok(())
    }

    /// Waits until this program has to begin anew.
    pub async fn has_other_key(&self) {
        let mut other = self.other_key.subscribe();
        // The sender lives as long as this.
        let _ = other.wait_for(|other| *other).await;
    }

    /// Whether this program has to begin anew.
    pub fn is_over(&self) -> bool {
        *self.other_key.borrow()
    }
}

fn row(order: &TakePlace) -> Result<ReceiverRow, Error> {
    let digits = |text: &str| hex::decode(text).ok_or_else(|| Error::Invalid("names and keys are 64 hexadecimal digits".into()));
    let vault: String = order.vault.chars().filter(|c| *c != '-').collect();
    let vault = hex::decode(&vault).ok_or_else(|| Error::Invalid("a vault's id is 32 hexadecimal digits".into()))?;
    let kept = &order.receiver;
    if kept.floor_s < FLOOR_MIN {
        return Err(Error::Invalid("nobody keeps for a shorter time than any box may".into()));
    }
    Ok(ReceiverRow {
        name: digits(&kept.name)?,
        receipt_key: digits(&kept.receipt_key)?,
        vault,
        address: kept.address.clone(),
        place: kept.place.clone(),
        quota: kept.quota_bytes,
        floor: kept.floor_s,
        paired_at: kept.paired_at,
    })
}
