//! Two boxes part, each for itself: the one sends no more, the other one takes nothing more. What was promised is kept until its time is over; then a tenant's folders go, and it is none any more. Must never
//! remove what is promised.

use keepwell_api::hex;
use keepwell_api::offsite::{EndTenant, Unpair};
use keepwell_wire::KeyName;

use crate::courier::document;
use crate::error::Error;
use crate::house::House;
use crate::store::{Happened, TenantRow};

impl House {
    /// Sends nothing more to a box, and forgets it. That one is told nothing: it keeps what it promised.
    pub fn unpair(&self, order: &Unpair) -> Result<(), Error> {
        let name =
            KeyName(hex::decode(&order.receiver).ok_or_else(|| Error::Invalid("the name of a key is 64 hexadecimal digits".into()))?);
        let courier = self.couriers().remove(&name).ok_or(Error::NoReceiver)?;
        // What is under way ends with its round, and keeps nothing more.
        courier.retire();
        let event = Happened::new(self.world.wall(), "unpaired").with("receiver", name);
        self.store.drop_receiver(name, &document(name), &event)?;
        tracing::info!(receiver = %name, "nothing is sent there any more");
        Ok(())
    }

    /// Takes nothing more from a box. What is kept for it ages out.
    pub fn end(&self, order: &EndTenant) -> Result<(), Error> {
        let vault: [u8; 16] = hex::decode(&order.vault).ok_or_else(|| Error::Invalid("a vault's id is 32 hexadecimal digits".into()))?;
        let row = self.store.tenants()?.into_iter().find(|row| row.vault == vault).ok_or(Error::NoTenant)?;
        if row.ended_at.is_some() {
            return Ok(());
        }
        let name = KeyName(row.name);
        let ended = TenantRow { ended_at: Some(self.world.wall()), ..row };
        self.store
            .put_tenant(&ended, &Happened::new(self.world.wall(), "tenant-ended").with("tenant", name).with("vault", &order.vault))?;
        self.receiver.with(name, |tenant, _| tenant.end());
        Ok(())
    }

    /// A tenant of whom nothing is kept any more goes: its folders first, so that a start in between finds what is left to do.
    pub(crate) fn let_go(&self, row: &TenantRow) -> Result<(), Error> {
        let name = KeyName(row.name);
        self.receiver.dismiss(name);
        self.shelves.remove(row.vault).map_err(|error| Error::Invalid(keepwell_api::error::chain(&error)))?;
        let event = Happened::new(self.world.wall(), "tenant-gone").with("tenant", name).with("vault", hex::encode(&row.vault));
        self.store.drop_tenant(name, &event)?;
        tracing::info!(tenant = %name, "nothing was kept for it any more, and it is no tenant now");
        Ok(())
    }
}
